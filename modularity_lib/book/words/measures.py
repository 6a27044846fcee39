"""Words on the matrices of one network."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from modularity_lib.alignment.scores import element_centric_similarity, expected_element_centric_similarity
from modularity_lib.book.words.prose import capitalised
from modularity_lib.clustering.clusterings import Clustering
from modularity_lib.vocabulary import MEASURE_LABELS


def pair_texts(
    matrices: Mapping[str, np.ndarray],
    modules: Mapping[str, Clustering],
    scores: Mapping[tuple[str, str], float],
    pair: tuple[str, str],
) -> dict[str, str]:
    """Names of two measures, and how well the modules of each fit the other's matrix."""
    a, b = pair
    labels_a, labels_b = modules[a].labels, modules[b].labels
    alike, chance = (
        element_centric_similarity(labels_a, labels_b),
        expected_element_centric_similarity(labels_a, labels_b),
    )
    verdict = (
        f"Under its own modules the {MEASURE_LABELS[a]} matrix has Q = {scores[a, a]:.3f}, under those of the "
        f"{MEASURE_LABELS[b]} {scores[a, b]:.3f}; the other way round it is {scores[b, b]:.3f} and {scores[b, a]:.3f}. "
        f"The two clusterings have an element-centric similarity of {alike:.2f}, where shuffled units would give "
        f"{chance:.2f} on average."
    )
    units = len(matrices[a])
    return {"name_a": MEASURE_LABELS[a], "name_b": MEASURE_LABELS[b], "n_units": str(units), "pair_verdict": verdict}


def series_texts(modules: Mapping[float, Clustering], measure: str) -> dict[str, str]:
    """Q of one measure at several strengths of dropout."""
    scores = {dropout: modules[dropout].score for dropout in sorted(modules)}
    listed = ", ".join(f"{score:.3f} at dropout {dropout:g}" for dropout, score in scores.items())
    found = list(scores.values())
    steps = [after - before for before, after in pairwise(found)]
    if not steps:
        course = "There is only one strength to show."
    elif min(steps) > 0:
        course = "It rises from each strength to the next."
    elif max(steps) < 0:
        course = "It falls from each strength to the next."
    else:
        course = "It rises and falls from one strength to the next."
    label = MEASURE_LABELS[measure]
    return {
        "series_measure": capitalised(label),
        "series_verdict": f"Modularity of the {label} matrix, layer and run as in the picture: {listed}. {course}",
    }

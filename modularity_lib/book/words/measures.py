"""Words on the matrices of one network."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from modularity_lib.alignment.scores import element_centric_similarity, expected_element_centric_similarity
from modularity_lib.book.words.prose import capitalised, listed
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
    agree = (alike - chance) / (1.0 - chance)
    verdict = (
        f"The {MEASURE_LABELS[a]} matrix has Q = {scores[a, a]:z.2f} under its own modules and {scores[a, b]:z.2f} "
        f"under those of the {MEASURE_LABELS[b]}. The other way round Q is {scores[b, b]:z.2f} and "
        f"{scores[b, a]:z.2f}. The two clusterings agree by {agree:z.2f}, where 0 is chance and 1 the same modules."
    )
    units = len(matrices[a])
    return {"name_a": MEASURE_LABELS[a], "name_b": MEASURE_LABELS[b], "n_units": str(units), "pair_verdict": verdict}


def series_texts(modules: Mapping[float, Clustering], measure: str) -> dict[str, str]:
    """Q of one measure at several strengths of dropout."""
    scores = {dropout: modules[dropout].score for dropout in sorted(modules)}
    ends = [f"{scores[dropout]:.2f} at dropout {dropout:g}" for dropout in scores]
    found = list(scores.values())
    steps = [after - before for before, after in pairwise(found)]
    if not steps:
        course = f"There is only one strength to show: Q is {ends[0]}."
    elif min(steps) > 0:
        course = f"Q rises from each strength to the next, from {ends[0]} to {ends[-1]}."
    elif max(steps) < 0:
        course = f"Q falls from each strength to the next, from {ends[0]} to {ends[-1]}."
    else:
        course = f"Q rises and falls: it is {listed(ends)}."
    return {"series_measure": capitalised(MEASURE_LABELS[measure]), "series_verdict": course}

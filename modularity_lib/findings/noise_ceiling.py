"""Noise ceiling of agreement: how alike clusterings of the same matrix are, searched twice or on other images."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd

from modularity_lib.alignment.scores import element_centric_similarity, expected_element_centric_similarity
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.images.dataset import load_dataset
from modularity_lib.studies.archive import Archive, Matrices
from modularity_lib.studies.catalogue import setting_of
from modularity_lib.studies.results import Results, rows_at
from modularity_lib.training.config import TrainingConfig
from modularity_lib.vocabulary import MEASURES, REGULARISERS


def ceiling_table(results: Results, *, run: int = 0) -> pd.DataFrame:
    """Agreement of two searches of one similarity matrix that differ only in their random numbers.

    The search does not always end in the same modules, so clusterings by two different measures cannot be expected to
    agree more than this.

    Args:
        run: whose matrices; all analysed networks of it.
    Returns:
        A row per network, layer and measure: `l2`, `l1`, `dropout`, `layer`, `measure`, `element_centric`.
    """
    found = Archive(results.study).with_matrices(results, run=run)
    pairs = ((config, (matrices, matrices)) for config, matrices in found)
    return _self_agreement(pairs, seeds=(run, run + 1_000), steps=results.study.search_steps)


def halves_table(results: Results, *, run: int = 0) -> pd.DataFrame:
    """Agreement of a measure with itself on two halves of the images, searched with the same random numbers.

    The images are the 5,000 that come with the project, every second one in each half, so that both hold every digit
    equally often. They are training images of MNIST, and fewer than a study's test images: with more the halves would
    agree better.

    Returns:
        the columns of `ceiling_table`.
    Raises:
        LookupError: the weights of the run are not at hand.
    """
    # PyTorch comes with it; the other tables need none.
    from modularity_lib.similarity.measures import similarity_matrices

    digits = load_dataset("mnist-5k")
    images = np.concatenate([digits.train_images, digits.test_images])
    classes = np.concatenate([digits.train_labels, digits.test_labels])

    def measured() -> Iterator[tuple[TrainingConfig, tuple[Matrices, Matrices]]]:
        archive = Archive(results.study)
        for config in archive.analysed(results, run=run):
            network = archive.network(config)
            first, second = (similarity_matrices(network, images[half::2], classes[half::2]) for half in (0, 1))
            yield config, (first, second)

    return _self_agreement(measured(), seeds=(run, run), steps=results.study.search_steps)


def halves_of(results: Results, *, run: int = 0) -> pd.DataFrame | None:
    """`halves_table`, or None where the weights of the run are not at hand."""
    try:
        return halves_table(results, run=run)
    except LookupError:
        return None


def searched_again(results: Results, *, restarts: int, run: int = 0) -> Results:
    """Recompute agreement from better searches: the best of several restarts, for the networks of one run.

    Args:
        restarts: searches per matrix, at least 1; the best counts.
        run: the run whose networks are searched; the trained networks of other runs are left out of `agreement`.
    Returns:
        Results whose trained rows of `agreement` have the columns that identify them, `element_centric` and
        `element_centric_chance`; the other tables and the untrained rows are unchanged.
    Raises:
        ValueError: restarts below 1.
        LookupError: the matrices of the run are not at hand.
    """
    if restarts < 1:
        raise ValueError(f"restarts must be at least 1, got {restarts}. 20 leave little to gain.")
    networks = results.networks[results.networks["trained"] & (results.networks["run"] == run)]
    kept = list(results.agreement.columns[: list(results.agreement.columns).index("layer")])
    rows = []
    for config, matrices in Archive(results.study).with_matrices(results, run=run):
        base = rows_at(networks, **setting_of(config)._asdict()).iloc[0]
        for layer, by_measure in enumerate(matrices.values(), start=1):
            found = {
                measure: paper_modules(
                    by_measure[measure], seed=run, steps=results.study.search_steps, restarts=restarts
                )
                for measure in MEASURES
            }
            for a, b in combinations_with_replacement(MEASURES, 2):
                if found[a].status == found[b].status == "ok":
                    alike = {
                        "element_centric": element_centric_similarity(found[a].labels, found[b].labels),
                        "element_centric_chance": expected_element_centric_similarity(found[a].labels, found[b].labels),
                    }
                    names = {"layer": layer, "measure_a": a, "measure_b": b, "status": "ok"}
                    rows.append({**{name: base[name] for name in kept}, **names, **alike})
    untrained = results.agreement[~results.agreement["trained"]]
    return replace(results, agreement=pd.concat([pd.DataFrame(rows), untrained], ignore_index=True))


def at_hand(results: Results, *, run: int = 0) -> bool:
    """Whether the similarity matrices of a run come with the project or can be measured from what is stored."""
    return Archive(results.study).has_matrices(results, run=run)


def _self_agreement(
    pairs: Iterable[tuple[TrainingConfig, tuple[Matrices, Matrices]]], *, seeds: tuple[int, int], steps: int
) -> pd.DataFrame:
    """Element-centric similarity of the modules of two matrices of one measure, each searched with its own seed."""
    rows = []
    for config, (first, second) in pairs:
        for layer, name in enumerate(first, start=1):
            for measure in MEASURES:
                a, b = (
                    paper_modules(matrices[name][measure], seed=seed, steps=steps)
                    for matrices, seed in zip((first, second), seeds, strict=True)
                )
                if a.status == b.status == "ok":
                    alike = element_centric_similarity(a.labels, b.labels)
                    rows.append(
                        {**setting_of(config)._asdict(), "layer": layer, "measure": measure, "element_centric": alike}
                    )
    return pd.DataFrame(rows, columns=[*REGULARISERS, "layer", "measure", "element_centric"])

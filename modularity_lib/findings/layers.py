"""Similarity matrices and modules of one hidden layer of one network, by every measure."""

from dataclasses import dataclass

import numpy as np

from modularity_lib.clustering.clusterings import Clustering
from modularity_lib.clustering.modularity import modularity_score
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.studies.archive import stored_matrices
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import Measure, two_measures


@dataclass(frozen=True)
class SearchedLayer:
    """A layer by measure: its similarity matrices, shape (units, units), and their modules."""

    matrices: dict[str, np.ndarray]
    modules: dict[str, Clustering]


def searched_layer(results: Results, *, dropout: float, layer: int = 1, run: int = 0) -> SearchedLayer:
    """Search the modules of a layer of a network with dropout alone, as the study does.

    Args:
        layer: hidden layer, counted from 1.
    Raises:
        LookupError, DatasetUnavailable: as of `stored_matrices`.
    """
    matrices = dict(stored_matrices(results.study, run=run, dropout=dropout)[f"hidden{layer}"])
    steps = results.study.search_steps
    return SearchedLayer(
        matrices, {name: paper_modules(matrix, seed=run, steps=steps) for name, matrix in matrices.items()}
    )


def scores_of_pair(layer: SearchedLayer, measure_a: Measure, measure_b: Measure) -> dict[tuple[str, str], float]:
    """Q of two measures under the modules of each: {(measure, sorted by): Q of its matrix under these modules}.

    Raises:
        ValueError: no two different measures.
    """
    pair = two_measures(measure_a, measure_b)
    return {(a, b): modularity_score(layer.matrices[a], layer.modules[b].labels) for a in pair for b in pair}

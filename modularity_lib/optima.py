"""How close a search comes to the best modules: other methods, many restarts, every partition of a few units."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache

import igraph
import networkx as nx
import numpy as np
import pandas as pd

from modularity_lib.alignment import element_centric_similarity, expected_element_centric_similarity
from modularity_lib.clustering import find_modules, spectral_modules
from modularity_lib.modularity import AllUnitsDead, dead_units, modularity_matrix, modularity_score, to_adjacency
from modularity_lib.similarity import FAMILY, MEASURES
from modularity_lib.study import stored_matrices

Method = Callable[[np.ndarray, int], np.ndarray]  # similarity matrix and seed -> labels
Matrices = Mapping[str, Mapping[str, np.ndarray]]  # {kind: {name: similarity matrix}}

NO_MODULES = 1e-9  # a Q up to here is 0 but for rounding: all units are in one module
MOST_UNITS = 10  # whose partitions can all be tried: 115,975


def matrices_by_family(
    study: str, *, dropouts: Sequence[float], measures: Sequence[str] | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """Similarity matrices of networks of run 0 with dropout alone: {family: {"dropout 0.3, hidden1, measure": array}}.

    Raises:
        ValueError: one of `measures` is none of `MEASURES`.
        LookupError, DatasetUnavailable: as of `stored_matrices`.
    """
    chosen = MEASURES if measures is None else measures
    if unknown := [measure for measure in chosen if measure not in MEASURES]:
        raise ValueError(f"measures must be of {', '.join(MEASURES)}, got {unknown[0]!r}.")
    found: dict[str, dict[str, np.ndarray]] = {"upstream": {}, "downstream": {}}
    for dropout in dropouts:
        for layer, by_measure in stored_matrices(study, dropout=dropout).items():
            for measure in chosen:
                found[FAMILY[measure]][f"dropout {dropout:g}, {layer}, {measure}"] = by_measure[measure]
    return found


def best_partition(similarity: np.ndarray) -> tuple[float, int]:
    """The largest Q of all partitions of the units, and how many partitions there are. For at most 10 units.

    Raises:
        ValueError: more than 10 units (115,975 partitions).

    >>> best_partition(np.kron(np.eye(2), np.ones((2, 2))))
    (0.5, 15)
    """
    units = len(similarity)
    if units > MOST_UNITS:
        raise ValueError(
            f"similarity must have at most {MOST_UNITS} units, got {units}: their partitions are too many to try."
        )
    gain = modularity_matrix(similarity)
    pairs = np.triu_indices(units, k=1)
    together = _partitions_together(units)
    scores = np.trace(gain) + 2 * (together @ gain[pairs])
    return float(scores.max()), len(together)


@cache
def _partitions_together(units: int) -> np.ndarray:
    """Which two units are together in each partition, shape (partitions, pairs)."""
    labels = np.array(list(_partitions(units)))
    i, j = np.triu_indices(units, k=1)
    return labels[:, i] == labels[:, j]


def _partitions(units: int) -> Iterator[tuple[int, ...]]:
    """Every partition once, as labels in order of first appearance (restricted growth strings)."""
    labels = [0] * units

    def extend(at: int, highest: int) -> Iterator[tuple[int, ...]]:
        if at == units:
            yield tuple(labels)
            return
        for label in range(highest + 2):
            labels[at] = label
            yield from extend(at + 1, max(highest, label))

    yield from extend(1, 0)


def _graph_of(similarity: np.ndarray) -> np.ndarray:
    adjacency = to_adjacency(similarity)
    return adjacency / adjacency.max()


def _labels_of(communities: Sequence[set[int]], units: int) -> np.ndarray:
    labels = np.zeros(units, dtype=int)
    for module, members in enumerate(communities):
        labels[list(members)] = module
    return labels


def _louvain(similarity: np.ndarray, seed: int) -> np.ndarray:
    graph = nx.from_numpy_array(_graph_of(similarity))
    return _labels_of(nx.community.louvain_communities(graph, seed=seed), len(similarity))


def _greedy(similarity: np.ndarray, seed: int) -> np.ndarray:
    graph = nx.from_numpy_array(_graph_of(similarity))
    found = nx.community.greedy_modularity_communities(graph, weight="weight")
    return _labels_of([set(members) for members in found], len(similarity))


def _leiden(similarity: np.ndarray, seed: int) -> np.ndarray:
    graph = igraph.Graph.Weighted_Adjacency(_graph_of(similarity), mode="undirected")
    igraph.set_random_number_generator(random.Random(seed))
    try:
        found = graph.community_leiden(objective_function="modularity", weights="weight", n_iterations=-1)
    finally:
        igraph.set_random_number_generator(random)  # the default of igraph
    return np.array(found.membership)


SEARCH = "search of the paper"
METHODS: dict[str, Method] = {
    "spectral, the paper's": lambda similarity, seed: spectral_modules(similarity, variant="paper").labels,
    "spectral, Newman's": lambda similarity, seed: spectral_modules(similarity, variant="newman").labels,
    "greedy merging": _greedy,
    "Louvain": _louvain,
    "Leiden": _leiden,
    SEARCH: lambda similarity, seed: find_modules(similarity, seed=seed).labels,
}


def gap_table(matrices: Matrices, near: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Q of every method on every matrix, beside the best of many searches.

    Args:
        matrices: {kind: {name: similarity matrix}}.
        near: many searches of each, from `near_optima_table` with the same seed.
    Returns:
        A row per matrix and method: `kind`, `matrix`, `method`, `score`, `best` (the largest Q that any method or
        search reached), `gap` = (best - score) / best. A matrix whose units are all dead is left out, and so is one
        whose best Q is 0.
    """
    rows = []
    for (kind, name), searches in near.groupby(["kind", "matrix"], sort=False):
        similarity = matrices[str(kind)][str(name)]
        scores = {
            method: modularity_score(similarity, find(similarity, seed))
            for method, find in METHODS.items()
            if method != SEARCH
        }
        scores |= {SEARCH: searches["score"].iloc[0], best_of(len(searches)): searches["score"].max()}
        best = max(scores.values())
        if best > NO_MODULES:
            rows += [
                {"kind": kind, "matrix": name, "method": method, "score": score, "best": best, "gap": 1 - score / best}
                for method, score in scores.items()
            ]
    return pd.DataFrame(rows)


def best_of(searches: int) -> str:
    """Name of the method that searches so often and keeps the best."""
    return f"best of {searches} searches"


def near_optima(similarity: np.ndarray, *, searches: int = 20, seed: int = 0) -> pd.DataFrame:
    """Searches that differ in their random numbers alone, beside the best of them.

    Returns:
        A row per search: `score`, `share` of the best Q, `alike` = element-centric similarity with the best one's
        modules, `chance` = its mean when units are shuffled, `is_best` (of equals, the first).
    """
    found = [find_modules(similarity, seed=seed + index) for index in range(searches)]
    best = max(found, key=lambda modules: modules.score)
    return pd.DataFrame(
        {
            "score": [modules.score for modules in found],
            "share": [modules.score / best.score if best.score > NO_MODULES else 1.0 for modules in found],
            "alike": [element_centric_similarity(modules.labels, best.labels) for modules in found],
            "chance": [expected_element_centric_similarity(modules.labels, best.labels) for modules in found],
            "is_best": [modules is best for modules in found],
        }
    )


def near_optima_table(matrices: Matrices, *, searches: int = 20, seed: int = 0) -> pd.DataFrame:
    """`near_optima` of every matrix, with the columns `kind` and `matrix`; without those whose units are all dead."""
    parts = []
    for kind, by_name in matrices.items():
        for name, similarity in by_name.items():
            try:
                table = near_optima(similarity, searches=searches, seed=seed)
            except AllUnitsDead:
                continue
            parts.append(table.assign(kind=kind, matrix=name))
    return pd.concat(parts, ignore_index=True)


def exact_table(matrices: Mapping[str, np.ndarray], *, units: int = 8, seed: int = 0) -> pd.DataFrame:
    """The largest Q of all partitions of some units, and the Q that each method finds on them.

    Args:
        matrices: {name: similarity matrix}; of each a random choice of `units` live units is taken, or all there are.
    Returns:
        A row per matrix and method: `matrix`, `method`, `score`, `exact`, `partitions`, `gap` = exact - score. A
        choice of units that are not similar at all is left out.
    """
    rows = []
    for index, (name, similarity) in enumerate(matrices.items()):
        try:
            live = np.flatnonzero(~dead_units(similarity))
            chosen = np.random.default_rng([seed, index]).choice(live, min(units, len(live)), replace=False)
            part = similarity[np.ix_(chosen, chosen)]
            exact, count = best_partition(part)
        except AllUnitsDead:
            continue
        for method, find in METHODS.items():
            score = modularity_score(part, find(part, seed))
            found = {"matrix": name, "method": method, "score": score, "exact": exact, "partitions": count}
            rows.append(found | {"gap": exact - score})
    return pd.DataFrame(rows)

"""How close a search comes to the best modules: other methods, many restarts, proven optima of a few units."""

import random
from collections.abc import Callable, Mapping, Sequence

import igraph
import networkx as nx
import numpy as np
import pandas as pd

from modularity_lib.alignment.scores import element_centric_similarity, expected_element_centric_similarity
from modularity_lib.clustering.bound import modularity_bound
from modularity_lib.clustering.modularity import AllUnitsDead, dead_units, modularity_score, to_adjacency
from modularity_lib.clustering.paper_search import paper_modules, spectral_modules
from modularity_lib.findings.better_partitions import NO_MODULES
from modularity_lib.findings.synthetic import noise, planted
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import FAMILY, MEASURES, Measure

Method = Callable[[np.ndarray, int], np.ndarray]  # similarity matrix and seed -> labels
Matrices = Mapping[str, Mapping[str, np.ndarray]]  # {kind: {name: similarity matrix}}

_SECONDS_OF_A_PROOF = 60.0


def matrices_by_family(
    study: str, *, dropouts: Sequence[float], measures: Sequence[Measure] | None = None
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
    archive = Archive(study)
    for dropout in dropouts:
        for layer, by_measure in archive.matrices(archive.config(dropout=dropout)).items():
            for measure in chosen:
                found[FAMILY[measure]][f"dropout {dropout:g}, {layer}, {measure}"] = by_measure[measure]
    return found


def matrices_to_search(
    results: Results, *, dropouts: Sequence[float], measures: Sequence[Measure] | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """`matrices_by_family`, and eight matrices of noise and of planted blocks each, of 64 units."""
    return {
        **matrices_by_family(results.study.name, dropouts=dropouts, measures=measures),
        "noise": {f"seed {seed}": noise(64, seed=seed) for seed in range(8)},
        "planted blocks": {f"seed {seed}": planted(64, blocks=4, common=0.5, seed=seed) for seed in range(8)},
    }


def best_partition(similarity: np.ndarray) -> tuple[float, np.ndarray]:
    """The partition with the largest Q there is: that Q, and the module of each unit.

    Raises:
        AllUnitsDead: as `modularity_bound`.
        RuntimeError: not proven within a minute.

    >>> best, modules = best_partition(np.kron(np.eye(2), np.ones((2, 2))))
    >>> best, modules.tolist()
    (0.5, [0, 0, 1, 1])
    """
    bound = modularity_bound(similarity, seconds=_SECONDS_OF_A_PROOF, progress=False)
    if not bound.proven:
        raise RuntimeError(
            f"The best partition of {len(similarity)} units was not proven within {_SECONDS_OF_A_PROOF:g} seconds: "
            f"there may be one with a Q above {bound.score:.6f}, by {bound.gap:.1e} at most. Choose fewer units."
        )
    return bound.score, bound.labels


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
    SEARCH: lambda similarity, seed: paper_modules(similarity, seed=seed).labels,
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
    """Name of the method that keeps the best of this many searches."""
    return f"best of {searches} searches"


def near_optima(similarity: np.ndarray, *, searches: int = 20, seed: int = 0) -> pd.DataFrame:
    """Repeat the search with different seeds and compare each result with the best.

    Returns:
        A row per search: `score`, `share` of the best Q, `alike` = element-centric similarity with the best one's
        modules, `chance` = its mean when units are shuffled, `is_best` (of equals, the first).
    Raises:
        AllUnitsDead: there are no modules to search for.
    """
    found = [paper_modules(similarity, seed=seed + index) for index in range(searches)]
    if found[0].status != "ok":
        raise AllUnitsDead(found[0].reason)
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
    """`near_optima` of every matrix, with the columns `kind` and `matrix`; skips matrices whose units are all dead."""
    parts = []
    for kind, by_name in matrices.items():
        for name, similarity in by_name.items():
            if not dead_units(similarity).all():
                parts.append(near_optima(similarity, searches=searches, seed=seed).assign(kind=kind, matrix=name))
    return pd.concat(parts, ignore_index=True)


def exact_table(matrices: Mapping[str, np.ndarray], *, units: int = 20, seed: int = 0) -> pd.DataFrame:
    """Compare each method with the largest Q of all partitions, on a few units.

    Args:
        matrices: {name: similarity matrix}; of each a random choice of `units` live units is taken, or all there are.
    Returns:
        A row per matrix and method: `matrix`, `method`, `score`, `exact`, `units`, `gap` = exact - score. A choice of
        units that are not similar at all is left out.
    Raises:
        as `best_partition`.
    """
    rows = []
    for index, (name, similarity) in enumerate(matrices.items()):
        live = np.flatnonzero(~dead_units(similarity))
        chosen = np.random.default_rng([seed, index]).choice(live, min(units, len(live)), replace=False)
        part = similarity[np.ix_(chosen, chosen)]
        if dead_units(part).all():
            continue
        exact, _ = best_partition(part)
        for method, find in METHODS.items():
            score = modularity_score(part, find(part, seed))
            found = {"matrix": name, "method": method, "score": score, "exact": exact, "units": len(chosen)}
            rows.append(found | {"gap": exact - score})
    return pd.DataFrame(rows)

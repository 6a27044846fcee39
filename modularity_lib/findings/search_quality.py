"""How close a search comes to the best modules: other methods, many restarts, proven optima of a few units."""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import igraph
import networkx as nx
import numpy as np
import pandas as pd
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from modularity_lib.alignment.scores import element_centric_similarity, expected_element_centric_similarity
from modularity_lib.clustering.modularity import (
    AllUnitsDead,
    dead_units,
    modularity_matrix,
    modularity_score,
    to_adjacency,
)
from modularity_lib.clustering.paper_search import paper_modules, spectral_modules
from modularity_lib.findings.synthetic import noise, planted
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import FAMILY, MEASURES, Measure

Method = Callable[[np.ndarray, int], np.ndarray]  # similarity matrix and seed -> labels
Matrices = Mapping[str, Mapping[str, np.ndarray]]  # {kind: {name: similarity matrix}}

NO_MODULES = 1e-9  # a Q up to here is 0 but for rounding: all units are in one module
MOST_UNITS = 24  # of which the best partition can be proven in a minute


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
    """Find the partition with the largest Q, proven by integer programming. For at most 24 units.

    With x_ij = 1 where units i and j are together, maximise  Σ_i B_ii + 2 Σ_{i<j} B_ij x_ij  under
    x_ij + x_jk - x_ik <= 1  for every three units, in every order: who is together with one is together with all.

    Returns:
        Q, and the module of each unit.
    Raises:
        ValueError: more units, or none that is similar to another (`AllUnitsDead`).
        RuntimeError: not proven within two minutes; noise of 24 units takes half of one, matrices of networks a second.
    Source: Brandes et al. (2008), IEEE TKDE 20:172; solved by HiGHS in scipy.

    >>> best, modules = best_partition(np.kron(np.eye(2), np.ones((2, 2))))
    >>> best, modules.tolist()
    (0.5, [0, 0, 1, 1])
    """
    units = len(similarity)
    if units > MOST_UNITS:
        raise ValueError(
            f"similarity must have at most {MOST_UNITS} units, got {units}: the proof takes too long. Choose some."
        )
    gain = modularity_matrix(similarity)
    i, j = np.triu_indices(units, k=1)
    pair = np.zeros((units, units), dtype=int)
    pair[i, j] = pair[j, i] = np.arange(len(i))
    triples = np.array(list(combinations(range(units), 3)), dtype=int).reshape(-1, 3)
    ij, jk, ik = (pair[triples[:, a], triples[:, b]] for a, b in ((0, 1), (1, 2), (0, 2)))
    variables = np.concatenate([np.stack(order, axis=1) for order in ((ij, jk, ik), (jk, ik, ij), (ij, ik, jk))])
    rows = np.repeat(np.arange(len(variables)), 3)
    together = coo_array(
        (np.tile([1.0, 1.0, -1.0], len(variables)), (rows, variables.ravel())), shape=(len(variables), len(i))
    )
    solved = milp(
        -2 * gain[i, j],
        integrality=np.ones(len(i)),
        bounds=Bounds(0, 1),
        constraints=LinearConstraint(together.tocsr(), -np.inf, 1.0) if len(triples) else [],
        options={"time_limit": 120.0, "mip_rel_gap": 0.0},
    )
    if solved.status != 0:
        raise RuntimeError(f"The best partition of {units} units was not found: {solved.message} Choose fewer units.")
    joined = np.zeros((units, units), dtype=bool)
    joined[i, j] = np.round(solved.x).astype(bool)
    _, labels = connected_components(csr_array(joined), directed=False)
    return modularity_score(similarity, labels), labels


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

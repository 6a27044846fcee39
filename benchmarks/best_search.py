"""How near the best known Q one call of `find_modules` comes, and in what time, beside igraph's Leiden method.

    python benchmarks/best_search.py [--json FOLDER] [--repeats 5] [--smallest]

48 similarity matrices of the paper's networks (run 0 of study v1, dropout 0, 0.3 and 0.7), small social networks, LFR
graphs and planted modules. All searches run in turn in one process, from similarity matrix to labels, Leiden's graph
included, each repeat with another seed; times are medians. The best known Q is the highest that any search found, a
search with many restarts among them. Run it with OMP_NUM_THREADS=1.
"""

import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import igraph
import networkx as nx
import numpy as np
import pandas as pd

import modularity_lib as ml
from measuring import keep, machine, options, show
from modularity_lib.clustering.modularity import modularity_score, to_adjacency

Search = Callable[[np.ndarray, int], np.ndarray]
DOLPHINS = Path(__file__).parent / "dolphins.txt"
RESTARTS = 30  # of the search for the best known Q


def main() -> None:
    """Print a row for each kind of matrix, and one for each matrix that is alone in its kind."""
    arguments = options(__doc__, repeats=5)
    rows = []
    for kind, matrices in everything(smallest=arguments.smallest).items():
        measured = [measure(matrix, arguments.repeats) for matrix in matrices]
        rows.append({"kind": kind, "matrices": len(matrices), **summary(measured)})
    show(f"gaps in % of the best known Q, ms of one search, {machine()}", rows)
    every = pd.DataFrame(rows)
    ratio = (every["ms"] * every["matrices"]).sum() / (every["Leiden ms"] * every["matrices"]).sum()
    print(f"\nall together: {ratio:.2f} times Leiden's time")
    keep(rows, arguments.json, name="best_search")


def everything(*, smallest: bool = False) -> dict[str, list[np.ndarray]]:
    """Matrices by kind."""
    graphs = {
        "karate club": nx.to_numpy_array(nx.karate_club_graph(), weight=None),
        "Les Misérables": nx.to_numpy_array(nx.les_miserables_graph()),
        "dolphins": nx.to_numpy_array(nx.read_adjlist(DOLPHINS, nodetype=int), nodelist=range(62)),
    }
    if smallest:
        return {kind: [graph] for kind, graph in graphs.items()}
    for dropout in (0.0, 0.3, 0.7):
        graphs[f"v1, dropout {dropout:g}"] = of_study(dropout)
    for units in (250, 500, 1000):
        for mixed in (0.1, 0.3, 0.5):
            graphs[f"LFR, {units} nodes, mixing {mixed}"] = lfr(units, mixed)
    for units, modules in ((64, 4), (128, 8), (256, 8), (512, 8), (1024, 4), (1024, 8), (1024, 16)):
        graphs[f"{modules} planted in {units}"] = planted(units, modules)
    return {kind: graph if isinstance(graph, list) else [graph] for kind, graph in graphs.items()}


def of_study(dropout: float) -> list[np.ndarray]:
    """The eight measures of both layers of a network of the paper."""
    network = ml.stored_network("v1", run=0, dropout=dropout)
    digits = ml.load_dataset("mnist")
    matrices = ml.similarity_matrices(network, digits.test_images, digits.test_labels)
    return [matrix for by_measure in matrices.values() for matrix in by_measure.values()]


def lfr(nodes: int, mixed: float) -> np.ndarray:
    """A graph of Lancichinetti, Fortunato & Radicchi (2008), PRE 78:046110, with the sizes of their figures."""
    for seed in range(100):
        try:
            graph = nx.LFR_benchmark_graph(
                nodes, 2.5, 1.5, mixed, average_degree=20, max_degree=50, min_community=20, seed=seed
            )
        except nx.ExceededMaxIterations:
            continue
        graph.remove_edges_from(nx.selfloop_edges(graph))
        return np.asarray(nx.to_numpy_array(graph))
    raise RuntimeError(f"no LFR graph of {nodes} nodes with mixing {mixed} came about")


def planted(units: int, modules: int) -> np.ndarray:
    """Absolute correlations of units that share a factor with their module."""
    draw = np.random.default_rng(units + modules)
    factors = draw.normal(size=(400, modules))[:, np.arange(units) % modules]
    return np.abs(np.corrcoef((draw.normal(size=(400, units)) + 0.5 * factors).T))


def leiden(similarity: np.ndarray, seed: int) -> np.ndarray:
    """One run of igraph's Leiden method, as it comes, with the graph that it needs."""
    random.seed(seed)
    graph = igraph.Graph.Weighted_Adjacency(to_adjacency(similarity), mode="undirected", loops=False)
    return np.array(graph.community_leiden(objective_function="modularity", weights="weight").membership)


def best(similarity: np.ndarray, seed: int, *, restarts: int = 1) -> np.ndarray:
    """The default of `find_modules`."""
    return ml.find_modules(similarity, seed=seed, restarts=restarts).labels


def paper(similarity: np.ndarray, seed: int) -> np.ndarray:
    """The search of the paper."""
    return ml.find_modules(similarity, seed=seed, method="paper").labels


SEARCHES: dict[str, Search] = {"best": best, "Leiden": leiden, "paper": paper}


def measure(similarity: np.ndarray, repeats: int) -> dict[str, Any]:
    """Q and seconds of every search, and the best known Q, without dead units, which Leiden would leave alone."""
    adjacency = to_adjacency(similarity)
    live = adjacency.any(axis=1)
    similarity = adjacency[np.ix_(live, live)]
    found: dict[str, Any] = {}
    for name, search in SEARCHES.items():
        search(similarity, 0)  # compiles
        found[name] = {"scores": [], "seconds": []}
    for seed in range(repeats):
        for name, search in SEARCHES.items():
            began = time.perf_counter()
            labels = search(similarity, seed)
            found[name]["seconds"].append(time.perf_counter() - began)
            found[name]["scores"].append(modularity_score(similarity, labels))
    long = modularity_score(similarity, partial(best, restarts=RESTARTS)(similarity, repeats))
    known = max(long, *(score for of_search in found.values() for score in of_search["scores"]))
    return {"known": known, **found}


def summary(measured: list[dict[str, Any]]) -> dict[str, float]:
    """Gaps to the best known Q and milliseconds, over all matrices of a kind."""
    row: dict[str, float] = {}
    for name in SEARCHES:
        gaps = [100.0 * (1.0 - score / one["known"]) for one in measured for score in one[name]["scores"]]
        prefix = "" if name == "best" else f"{name} "
        row[f"{prefix}gap"] = statistics.fmean(gaps)
        if name == "best":
            row["worst gap"] = max(gaps)
        row[f"{prefix}ms"] = statistics.fmean(1e3 * statistics.median(one[name]["seconds"]) for one in measured)
    row["ratio"] = row["ms"] / row["Leiden ms"]
    return row


if __name__ == "__main__":
    main()

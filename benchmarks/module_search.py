"""How long the search for modules takes and how high its Q is, beside Louvain (networkx) and Leiden (leidenalg).

    python benchmarks/module_search.py [--json FOLDER] [--repeats 21]

Each row is one method on one matrix. All methods run in turn in the same process, from similarity matrix to labels,
with compilation beforehand; times are medians, the ratio is Louvain's time over that of the method. Run it with
OMP_NUM_THREADS=1: on small matrices the threads of a busy machine wait for each other. Louvain and Leiden of igraph's
family join in where `pip install igraph leidenalg` was run: they are not among this project's requirements.
"""

import statistics
import time
from functools import partial
from importlib.util import find_spec

import networkx as nx
import numpy as np

from measuring import keep, machine, medians_of, options
from modularity_lib.clustering.modularity import modularity_score, to_adjacency
from modularity_lib.clustering.search import find_modules, spectral_modules

N_UNITS = 64  # a hidden layer of the paper
N_SAMPLES = 1000


def main() -> None:
    """Print the table of medians and ratios."""
    arguments = options(__doc__, repeats=21).parse_args()
    rows = [row for name, matrix in matrices().items() for row in rows_of(name, matrix, arguments.repeats)]
    print(f"{N_UNITS} units, medians of {arguments.repeats} repeats, {machine()}")
    print(f"{'matrix':<20} {'method':<34} {'ms':>8} {'ratio':>7} {'Q':>9}")
    for row in rows:
        print(f"{row['matrix']:<20} {row['method']:<34} {row['ms']:8.2f} {row['ratio']:7.1f} {row['score']:9.5f}")
    growth = growth_with_units(max(3, arguments.repeats // 7))
    print(f"\n{'units':>6} {'find_modules, 5,000 steps, ms':>30}")
    for row in growth:
        print(f"{row['units']:6} {row['ms']:30.1f}")
    keep({"methods": rows, "units": growth}, arguments.json, name="module_search")


def matrices() -> dict[str, np.ndarray]:
    """Absolute correlations without structure, with four planted modules, and covariances of very unequal units."""
    random = np.random.default_rng(0)
    samples = random.normal(size=(N_UNITS, N_SAMPLES))
    factors = random.normal(size=(4, N_SAMPLES))
    scale = random.lognormal(sigma=1.5, size=N_UNITS)
    noise = np.abs(np.corrcoef(samples))
    return {
        "noise": noise,
        "4 planted, clear": np.abs(np.corrcoef(samples + factors[np.arange(N_UNITS) % 4])),
        "4 planted, faint": np.abs(np.corrcoef(samples + 0.25 * factors[np.arange(N_UNITS) % 4])),
        "noise, heavy-tailed": noise * np.outer(scale, scale),
    }


def rows_of(name: str, matrix: np.ndarray, repeats: int) -> list[dict[str, object]]:
    """Time and Q of every method on one matrix; each repeat has another seed, and Q is the median of the repeats."""
    methods = {
        "find_modules, 5,000 steps": lambda seed: find_modules(matrix, seed=seed).labels,
        "find_modules, 20 restarts": lambda seed: find_modules(matrix, seed=seed, restarts=20).labels,
        "spectral_modules, paper": lambda seed: spectral_modules(matrix).labels,
        "spectral_modules, newman": lambda seed: spectral_modules(matrix, variant="newman").labels,
        "networkx louvain_communities": lambda seed: louvain(matrix, seed=seed),
    }
    if find_spec("leidenalg"):
        methods["leidenalg, Leiden"] = lambda seed: leiden(matrix, seed=seed)
    seconds: dict[str, list[float]] = {method: [] for method in methods}
    scores: dict[str, list[float]] = {method: [] for method in methods}
    find_modules(matrix)  # compiles
    for seed in range(repeats):
        for method, search in methods.items():
            began = time.perf_counter()
            labels = search(seed=seed)
            seconds[method].append(time.perf_counter() - began)
            scores[method].append(modularity_score(matrix, labels))
    slow = statistics.median(seconds["networkx louvain_communities"])
    return [
        {
            "matrix": name,
            "method": method,
            "ms": 1e3 * statistics.median(seconds[method]),
            "ratio": slow / statistics.median(seconds[method]),
            "score": statistics.median(scores[method]),
        }
        for method in methods
    ]


def growth_with_units(repeats: int) -> list[dict[str, float]]:
    """The search of the paper on correlations of ever more units with four planted modules."""
    rows = []
    for units in (64, 128, 256, 512, 1024):
        random = np.random.default_rng(0)
        samples = random.normal(size=(units, N_SAMPLES)) + random.normal(size=(4, N_SAMPLES))[np.arange(units) % 4]
        matrix = np.abs(np.corrcoef(samples))
        [seconds] = medians_of([partial(find_modules, matrix)], repeats)
        rows.append({"units": units, "ms": 1000 * seconds})
    return rows


def leiden(matrix: np.ndarray, *, seed: int) -> np.ndarray:
    """Labels by the Leiden method, until it finds nothing better, the conversion to a graph included."""
    import igraph
    import leidenalg

    graph = igraph.Graph.Weighted_Adjacency(to_adjacency(matrix).tolist(), mode="undirected")
    partition = leidenalg.ModularityVertexPartition
    return np.array(leidenalg.find_partition(graph, partition, weights="weight", seed=seed, n_iterations=-1).membership)


def louvain(matrix: np.ndarray, *, seed: int) -> np.ndarray:
    """Labels by the Louvain method, the conversion to a graph included."""
    graph = nx.from_numpy_array(to_adjacency(matrix))
    labels = np.empty(len(matrix), dtype=np.int64)
    for module, units in enumerate(nx.community.louvain_communities(graph, weight="weight", seed=seed)):
        labels[list(units)] = module
    return labels


if __name__ == "__main__":
    main()

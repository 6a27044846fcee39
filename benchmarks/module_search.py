"""How long the search for modules takes and how high its Q is, beside the Louvain method of networkx.

    python benchmarks/module_search.py [--json PATH] [--repeats 21]

Each row is one method on one matrix. All methods run in turn in the same process, from similarity matrix to labels,
with compilation beforehand; times are medians, the ratio is Louvain's time over that of the method. Run it with
OMP_NUM_THREADS=1: on small matrices the threads of a busy machine wait for each other.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import networkx as nx
import numpy as np

from modularity_lib.clustering import find_modules, spectral_modules
from modularity_lib.modularity import modularity_score, to_adjacency

N_UNITS = 64  # a hidden layer of the paper
N_SAMPLES = 1000


def main() -> None:
    """Print the table of medians and ratios."""
    parser = argparse.ArgumentParser(description="Time the search for modules.")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--repeats", type=int, default=21, help="timings of each method (default: 21)")
    arguments = parser.parse_args()
    rows = [row for name, matrix in matrices().items() for row in rows_of(name, matrix, arguments.repeats)]
    print(f"{N_UNITS} units, medians of {arguments.repeats} repeats, {platform.machine()}")
    print(f"{'matrix':<20} {'method':<34} {'ms':>8} {'ratio':>7} {'Q':>9}")
    for row in rows:
        print(f"{row['matrix']:<20} {row['method']:<34} {row['ms']:8.2f} {row['ratio']:7.1f} {row['score']:9.5f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


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


def louvain(matrix: np.ndarray, *, seed: int) -> np.ndarray:
    """Labels by the Louvain method, the conversion to a graph included."""
    graph = nx.from_numpy_array(to_adjacency(matrix))
    labels = np.empty(len(matrix), dtype=np.int64)
    for module, units in enumerate(nx.community.louvain_communities(graph, weight="weight", seed=seed)):
        labels[list(units)] = module
    return labels


if __name__ == "__main__":
    main()

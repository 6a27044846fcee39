"""How long the search for modules takes and how high its Q is, beside the other methods of `search_quality`.

    python benchmarks/module_search.py [--json FOLDER] [--repeats 21] [--smallest]

Each row is one method on one matrix. All methods run in turn in the same process, from similarity matrix to labels,
with compilation beforehand; times are medians, the ratio is Louvain's time over that of the method. Run it with
OMP_NUM_THREADS=1: on small matrices the threads of a busy machine wait for each other.
"""

import statistics
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from measuring import keep, machine, medians_of, options, show
from modularity_lib.clustering.modularity import modularity_score
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings.search_quality import METHODS, Method

N_UNITS = 64  # a hidden layer of the paper
N_SAMPLES = 1000


def main() -> None:
    """Print the table of medians and ratios."""
    arguments = options(__doc__, repeats=21)
    rows = [row for name, matrix in matrices().items() for row in rows_of(name, matrix, arguments.repeats)]
    show(f"{N_UNITS} units, medians of {arguments.repeats} repeats, {machine()}", rows)
    sizes = (N_UNITS,) if arguments.smallest else (64, 128, 256, 512, 1024)
    growth = growth_with_units(sizes, -(-arguments.repeats // 7))
    show("the paper's search, 5,000 steps", growth)
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


def rows_of(name: str, matrix: np.ndarray, repeats: int) -> list[dict[str, Any]]:
    """Time and Q of every method on one matrix; each repeat has another seed, and Q is the median of the repeats."""
    methods: dict[str, Method] = {
        **METHODS,
        "best of 20 searches": lambda similarity, seed: paper_modules(similarity, seed=seed, restarts=20).labels,
    }
    seconds: dict[str, list[float]] = {method: [] for method in methods}
    scores: dict[str, list[float]] = {method: [] for method in methods}
    paper_modules(matrix)  # compiles
    for seed in range(repeats):
        for method, search in methods.items():
            began = time.perf_counter()
            labels = search(matrix, seed)
            seconds[method].append(time.perf_counter() - began)
            scores[method].append(modularity_score(matrix, labels))
    slow = statistics.median(seconds["Louvain"])
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


def growth_with_units(sizes: Sequence[int], repeats: int) -> list[dict[str, float]]:
    """The search of the paper on correlations of ever more units with four planted modules."""
    rows = []
    for units in sizes:
        random = np.random.default_rng(0)
        samples = random.normal(size=(units, N_SAMPLES)) + random.normal(size=(4, N_SAMPLES))[np.arange(units) % 4]
        matrix = np.abs(np.corrcoef(samples))
        [seconds] = medians_of([partial(paper_modules, matrix)], repeats)
        rows.append({"units": units, "ms": 1000 * seconds})
    return rows


if __name__ == "__main__":
    main()

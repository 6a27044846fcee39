"""How long the scores of a pair of clusterings take, beside clusim and a permutation test in plain numpy.

    python benchmarks/agreement.py [--json FOLDER] [--repeats 30] [--smallest]

All timings come from one run, ours and the other in turn, both from label arrays; the ratio is that of the medians, how
many times faster ours is. The plain test runs fewer relabellings and is scaled to 5,000.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from clusim import sim
from clusim.clustering import Clustering

from measuring import keep, machine, medians_of, options, show
from modularity_lib.alignment import scores

N_UNITS = 64  # a hidden layer of the paper
PERMUTATIONS = 5000
PLAIN_PERMUTATIONS = 200  # of the slow test, in each repeat


def main() -> None:
    """Print the table of medians and ratios."""
    arguments = options(__doc__, repeats=30)
    counts = (4,) if arguments.smallest else (4, 7, 10)
    rows = [row for n_modules in counts for row in rows_of(n_modules, arguments.repeats)]
    show(f"{N_UNITS} units, {PERMUTATIONS} relabellings, medians of {arguments.repeats} repeats, {machine()}", rows)
    keep(rows, arguments.json, name="agreement")


def rows_of(n_modules: int, repeats: int) -> list[dict[str, object]]:
    """Timings for one number of modules, on related clusterings; the permutation test on independent ones as well."""
    random = np.random.default_rng(n_modules)
    a, independent = random.integers(0, n_modules, (2, N_UNITS))
    related = np.where(random.random(N_UNITS) < 0.5, a, independent)
    rows = []
    for score, ours, theirs in (
        ("element-centric similarity", scores.element_centric_similarity, sim.element_sim),
        ("reduced mutual information", scores.reduced_mutual_information, sim.rmi),
        ("variation of information", scores.variation_of_information, sim.vi),
    ):
        ours_ms, other_ms = medians([partial(ours, a, related), partial(by_clusim, theirs, a, related)], repeats)
        rows.append(row_of(n_modules, score, ours_ms, "clusim", other_ms))
    for kind, b in (("related", related), ("independent", independent)):
        test_ms, all_ms, plain_ms = medians(
            [
                partial(scores.agreement_p_value, a, b, permutations=PERMUTATIONS),
                partial(scores.agreement, a, b, permutations=PERMUTATIONS),
                partial(plain_p_value, a, b, PLAIN_PERMUTATIONS),
            ],
            repeats,
        )
        plain_ms *= PERMUTATIONS / PLAIN_PERMUTATIONS
        rows.append(row_of(n_modules, f"permutation test, {kind}", test_ms, "numpy loop", plain_ms))
        rows.append(row_of(n_modules, f"agreement(), {kind}", all_ms))
    return rows


def row_of(
    n_modules: int, score: str, ours_ms: float, other: str | None = None, other_ms: float | None = None
) -> dict[str, object]:
    """One line of the table; the ratio is how many times faster ours is."""
    ratio = None if other_ms is None else other_ms / ours_ms
    return {
        "modules": n_modules,
        "score": score,
        "ours_ms": ours_ms,
        "other": other,
        "other_ms": other_ms,
        "ratio": ratio,
    }


def medians(functions: list[Callable[[], object]], repeats: int) -> list[float]:
    """Median milliseconds of functions called in turn."""
    return [1000 * seconds for seconds in medians_of(functions, repeats)]


def by_clusim(score: Callable[[Clustering, Clustering], float], a: np.ndarray, b: np.ndarray) -> float:
    """A score of clusim from label arrays, as ours start from."""
    return score(*(Clustering().from_membership_list(labels.tolist()) for labels in (a, b)))


def plain_p_value(a: np.ndarray, b: np.ndarray, permutations: int) -> float:
    """The permutation test as one would write it first: shuffle, count the overlaps, take the largest in turn."""
    random = np.random.default_rng(0)
    observed = plain_matched_units(a, b)
    as_high = sum(plain_matched_units(a, random.permutation(b)) >= observed for _ in range(permutations))
    return (as_high + 1) / (permutations + 1)


def plain_matched_units(a: np.ndarray, b: np.ndarray) -> int:
    """Units in greedily matched overlaps; ties go to the lowest labels."""
    table = np.zeros((a.max() + 1, b.max() + 1), dtype=int)
    np.add.at(table, (a, b), 1)
    matched = 0
    while table.max() > 0:
        row, column = np.unravel_index(table.argmax(), table.shape)
        matched += int(table[row, column])
        table[row, :] = 0
        table[:, column] = 0
    return matched


if __name__ == "__main__":
    main()

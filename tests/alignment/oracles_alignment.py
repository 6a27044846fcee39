"""Slow, obvious second versions of `modularity_lib.alignment.scores`, from their definitions; no shared code."""

import functools
import itertools
import math

import numpy as np


def clusters(labels: np.ndarray) -> list[set[int]]:
    """Units of each cluster, the dead units as one more."""
    return [set(np.flatnonzero(labels == name).tolist()) for name in set(labels.tolist())]


def modules(labels: np.ndarray) -> list[set[int]]:
    """Units of each module, smallest module first, then the one with the first unit; without dead units."""
    found = [set(np.flatnonzero(labels == name).tolist()) for name in set(labels.tolist()) - {-1}]
    return sorted(found, key=lambda module: (len(module), min(module)))


def element_centric(a: np.ndarray, b: np.ndarray, alpha: float) -> float:
    """Gates et al. (2019): compare personalised PageRank on the graphs that link units of the same cluster."""
    rank_a, rank_b = _personalised_pagerank(a, alpha), _personalised_pagerank(b, alpha)
    return float(np.mean(1 - np.abs(rank_a - rank_b).sum(axis=1) / (2 * alpha)))


def _personalised_pagerank(labels: np.ndarray, alpha: float) -> np.ndarray:
    n_units = len(labels)
    walk = np.zeros((n_units, n_units))
    for cluster in clusters(labels):
        for i, j in itertools.product(cluster, cluster):
            walk[i, j] = 1 / len(cluster)
    # row i solves p = (1 - alpha) e_i + alpha p walk
    return (1 - alpha) * np.linalg.inv(np.eye(n_units) - alpha * walk)


def entropy(labels: list) -> float:
    """Entropy in nats of the shares of equal entries."""
    shares = [labels.count(label) / len(labels) for label in set(labels)]
    return -sum(share * math.log(share) for share in shares)


def variation_of_information(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """2 H(a, b) - H(a) - H(b), and the joint entropy."""
    joint = entropy(list(zip(a.tolist(), b.tolist(), strict=True)))
    return 2 * joint - entropy(a.tolist()) - entropy(b.tolist()), joint


@functools.cache
def table_count(row_sums: tuple[int, ...], column_sums: tuple[int, ...]) -> int:
    """Number of tables of whole numbers >= 0 with these sums, by filling in the first row in every way."""
    if len(row_sums) == 1:
        return 1
    first_rows = itertools.product(*(range(min(row_sums[0], total) + 1) for total in column_sums))
    return sum(
        table_count(row_sums[1:], tuple(total - used for total, used in zip(column_sums, row, strict=True)))
        for row in first_rows
        if sum(row) == row_sums[0]
    )


def reduced_mutual_information(a: np.ndarray, b: np.ndarray, log_tables: float) -> float:
    """Newman et al. (2020) with exact factorials and a given logarithm of the number of tables."""
    arrangements = math.factorial(len(a))
    for cluster in clusters(a) + clusters(b):
        arrangements /= math.factorial(len(cluster))
    for cluster_a, cluster_b in itertools.product(clusters(a), clusters(b)):
        arrangements *= math.factorial(len(cluster_a & cluster_b))
    return (math.log(arrangements) - log_tables) / len(a)


def greedy_totals(modules_a: list[set[int]], modules_b: list[set[int]]) -> set[int]:
    """Every number of units that largest-overlap-first matching can reach, over all ways to break ties."""
    overlaps = {(r, s): len(a & b) for r, a in enumerate(modules_a) for s, b in enumerate(modules_b)}
    largest = max(overlaps.values(), default=0)
    if largest == 0:
        return {0}
    return {
        largest + rest
        for (r, s), overlap in overlaps.items()
        if overlap == largest
        for rest in greedy_totals(modules_a[:r] + modules_a[r + 1 :], modules_b[:s] + modules_b[s + 1 :])
    }


def greedy_units(modules_a: list[set[int]], modules_b: list[set[int]]) -> int:
    """Units matched when ties go to the modules that come first, here in the order of `modules`."""
    pairs = sorted(
        itertools.product(range(len(modules_a)), range(len(modules_b))),
        key=lambda pair: (-len(modules_a[pair[0]] & modules_b[pair[1]]), *pair),
    )
    matched, used_a, used_b = 0, set(), set()
    for r, s in pairs:
        if r not in used_a and s not in used_b:
            matched += len(modules_a[r] & modules_b[s])
            used_a.add(r)
            used_b.add(s)
    return matched


def share_as_high(a: np.ndarray, b: np.ndarray, relabellings) -> float:
    """Share of the given orders of the units after which b matches a at least as well as it does now."""
    modules_a, modules_b = modules(a), modules(b)
    observed = greedy_units(modules_a, modules_b)
    as_high = [
        greedy_units(modules_a, [{order[unit] for unit in module} for module in modules_b]) >= observed
        for order in relabellings
    ]
    return sum(as_high) / len(as_high)


def modularity(similarity: np.ndarray, labels: np.ndarray) -> float:
    """Q of |S| without its diagonal, pair by pair of units."""
    n_units = len(labels)
    adjacency = [[0.0 if i == j else abs(similarity[i][j]) for j in range(n_units)] for i in range(n_units)]
    total = sum(map(sum, adjacency))
    strength = [sum(row) / total for row in adjacency]
    return sum(
        adjacency[i][j] / total - strength[i] * strength[j]
        for i, j in itertools.product(range(n_units), range(n_units))
        if labels[i] == labels[j] >= 0
    )


def spearman(x: list[float], y: list[float]) -> float:
    """Pearson correlation of ranks, a tie having the mean of its ranks."""
    ranks_x, ranks_y = ([_rank(value, values) for value in values] for values in (x, y))
    mean_x, mean_y = sum(ranks_x) / len(x), sum(ranks_y) / len(y)
    covariance = sum((p - mean_x) * (q - mean_y) for p, q in zip(ranks_x, ranks_y, strict=True))
    spread = sum((p - mean_x) ** 2 for p in ranks_x) * sum((q - mean_y) ** 2 for q in ranks_y)
    return covariance / math.sqrt(spread)


def _rank(value: float, values: list[float]) -> float:
    below, equal = sum(other < value for other in values), sum(other == value for other in values)
    return below + (equal + 1) / 2

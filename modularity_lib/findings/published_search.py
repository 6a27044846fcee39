"""The search of the paper in the arithmetic of the published program: single precision, where weak units wander.

It differs from `clustering.paper_search`, which searches in double precision, in what rounding may decide: Q is summed
anew in float32 for every proposal, and the highest counts even where it is higher by rounding alone; the temperature is
at least 1e-6, so that a unit whose moves hardly change Q goes anywhere.
"""

from collections import deque

import numpy as np
from numba import njit

from modularity_lib.clustering.clusterings import Clustering, in_order_of_appearance

DEAD_SHARE = 1e-15  # a unit is dead, or a whole matrix, whose share of the similarity is below it
COLDEST, HOTTEST = 1e-6, 1e6  # temperatures
TARGET_ENTROPY = 0.15  # nats


def published_modules(similarity: np.ndarray, *, seed: int, steps: int = 5000) -> Clustering:
    """Modules as the published program finds them; all units are dead where the mean similarity is below 1e-15.

    Args:
        similarity: S, shape (units, units), symmetric, at least 0; taken as float32, any diagonal.
        seed: fixes the random numbers.
        steps: of the Monte Carlo search.
    Returns:
        Clustering; `score` is Q in single precision, NaN without modules.
    Source: paper/method.md, "The published numerics".
    """
    adjacency = np.array(similarity, dtype=np.float32)
    np.fill_diagonal(adjacency, 0.0)
    labels = np.full(len(adjacency), -1)
    if not adjacency.mean(dtype=np.float32) >= DEAD_SHARE:
        return Clustering(labels, np.nan, method="published")
    share = adjacency / adjacency.sum(dtype=np.float32)
    strength = share.sum(axis=1, dtype=np.float32)
    live = strength >= DEAD_SHARE
    share, strength = np.ascontiguousarray(share[np.ix_(live, live)]), strength[live]
    matrix = share - np.outer(strength, strength)
    start = _spectral(matrix)
    draws = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0]).random((steps, 2))
    best, score = best_of_proposals(matrix, start, draws, TARGET_ENTROPY)
    labels[live] = in_order_of_appearance(best)
    return Clustering(labels, float(score), method="published", seed=seed, steps=steps)


def _spectral(matrix: np.ndarray) -> np.ndarray:
    """Splits in two by the leading singular vector, breadth first, each kept where Q rises in single precision."""
    labels, queue, n_modules = np.zeros(len(matrix), dtype=np.int64), deque([0]), 1
    score = quality(matrix, labels, 1)
    while queue:
        module = queue.popleft()
        units = np.flatnonzero(labels == module)
        tried = labels.copy()
        tried[units[_leading(matrix[np.ix_(units, units)]) < 0.0]] = n_modules
        risen = quality(matrix, tried, n_modules + 1)
        if risen > score:
            labels, score = tried, risen
            queue.extend((module, n_modules))
            n_modules += 1
    return labels


def _leading(block: np.ndarray) -> np.ndarray:
    """Eigenvector of the eigenvalue of largest magnitude: the leading singular vector of a symmetric matrix."""
    try:
        values, vectors = np.linalg.eigh(block)
    except np.linalg.LinAlgError:  # now and then where entries go over 18 orders of magnitude
        return np.asarray(np.linalg.svd(block)[0][:, 0])
    return np.asarray(vectors[:, np.argmax(np.abs(values))])


@njit(cache=True)
def quality(matrix: np.ndarray, labels: np.ndarray, n_modules: int) -> np.float32:
    """Q = sum of B_ij over pairs of one module, summed in the precision of the matrix, one column after the other."""
    pull = _pulls(matrix, labels, n_modules)
    total = matrix.dtype.type(0.0)
    for unit in range(len(labels)):
        total += pull[labels[unit], unit]
    return total


@njit(cache=True)
def _pulls(matrix, labels, n_modules):  # type: ignore[no-untyped-def]
    """Sum of B_ij over the units j of each module: shape (modules, units)."""
    pull = np.zeros((n_modules, len(labels)), matrix.dtype)
    for unit in range(len(labels)):
        pull[labels[unit]] += matrix[unit]
    return pull


@njit(cache=True)
def best_of_proposals(matrix, start, draws, target):  # type: ignore[no-untyped-def]
    """Best labels of all proposals, and their Q; B and Q are in single precision, the draws are as in `best_of_walk`.

    What a proposal costs is O(units), since moving a unit changes two columns of sums. They are summed anew after
    every move: rounding must be that of a sum from scratch, not pile up.
    """
    n_units = len(start)
    labels, best = start.copy(), start.copy()
    k = start.max() + 1
    highest = quality(matrix, start, k)
    pull = np.zeros((n_units + 2, n_units), matrix.dtype)
    pull[:k] = _pulls(matrix, labels, k)
    size = np.zeros(n_units + 2, np.int64)
    for unit in range(n_units):
        size[labels[unit]] += 1
    scores, weight = np.empty(n_units + 2), np.empty(n_units + 2)
    without = np.empty(n_units, matrix.dtype)
    for step in range(len(draws)):
        unit = int(draws[step, 0] * n_units)
        own = labels[unit]
        for j in range(n_units):
            without[j] = pull[own, j] - matrix[unit, j]
        pull[k] = 0.0  # the empty module
        for module in range(k + 1):
            total = matrix.dtype.type(0.0)
            for j in range(n_units):
                of = labels[j] if j != unit else module
                value = without[j] if of == own else pull[of, j]
                if of == module:
                    value += matrix[unit, j]
                total += value
            scores[module] = total
            if total > highest:
                highest = total
                best[:] = labels
                best[unit] = module
        _weigh(scores[: k + 1], target, weight)
        chosen = _draw(weight[: k + 1], draws[step, 1])
        if chosen == own:
            continue
        labels[unit] = chosen
        size[own] -= 1
        size[chosen] += 1
        k = max(k, chosen + 1)
        if size[own] == 0:  # the last module takes the number of the emptied one
            k -= 1
            size[own], size[k] = size[k], 0
            for j in range(n_units):
                if labels[j] == k:
                    labels[j] = own
            chosen = own if chosen == k else chosen
        for module in (own, chosen):
            if module < k:
                pull[module] = 0.0
                for j in range(n_units):
                    if labels[j] == module:
                        pull[module] += matrix[j]
    return best, highest


@njit(cache=True)
def _weigh(scores, target, weight):  # type: ignore[no-untyped-def]
    """Fill `weight` with exp((Q - Q of the best) / T) at the bounded temperature where their entropy is `target`."""
    low, high = np.log(COLDEST), np.log(HOTTEST)
    if _entropy(scores, COLDEST, weight) >= target:
        return
    for _ in range(60):
        middle = 0.5 * (low + high)
        if _entropy(scores, np.exp(middle), weight) < target:
            low = middle
        else:
            high = middle
        if high - low < 1e-6:
            return


@njit(cache=True)
def _entropy(scores, temperature, weight):  # type: ignore[no-untyped-def]
    """Entropy, in nats, of the options at a temperature; `weight` is filled with their probabilities."""
    top, total, entropy = scores.max(), 0.0, 0.0
    for option in range(len(scores)):
        weight[option] = np.exp((scores[option] - top) / temperature)
        total += weight[option]
    for option in range(len(scores)):
        weight[option] /= total
        if weight[option] > 0.0:
            entropy -= weight[option] * np.log(weight[option])
    return entropy


@njit(cache=True)
def _draw(weight, uniform):  # type: ignore[no-untyped-def]
    """Option whose share of the weights holds the uniform number."""
    for option in range(len(weight)):
        uniform -= weight[option]
        if uniform < 0.0:
            return option
    return len(weight) - 1

"""Slow, obvious second versions of modularity and of its maximisation. They share no code with the package."""

from collections.abc import Iterator, Sequence
from math import exp, log

import numpy as np
from scipy.optimize import brentq


def score(similarity: np.ndarray, labels: Sequence[int]) -> float:
    """Q by the double sum over pairs of units of one module."""
    n = len(similarity)
    weight = [[float(similarity[i][j]) if i != j else 0.0 for j in range(n)] for i in range(n)]
    total = sum(map(sum, weight))
    strength = [sum(row) / total for row in weight]
    together = [(i, j) for i in range(n) for j in range(n) if labels[i] == labels[j] != -1]
    return sum(weight[i][j] / total - strength[i] * strength[j] for i, j in together)


def partitions(n: int) -> Iterator[list[int]]:
    """Every partition of n units, once: modules numbered in order of first appearance."""
    if n == 0:
        yield []
        return
    for shorter in partitions(n - 1):
        for module in range(max(shorter, default=-1) + 2):
            yield [*shorter, module]


def best_score(similarity: np.ndarray) -> float:
    """Highest Q of all partitions of the units."""
    weight = similarity - np.diag(np.diag(similarity))
    strength = weight.sum(axis=1)
    beyond_chance = weight / weight.sum() - np.outer(strength, strength) / weight.sum() ** 2
    labels = np.array(list(partitions(len(similarity))))
    return float(np.einsum("pij,ij->p", labels[:, :, None] == labels[:, None, :], beyond_chance).max())


def spectral(similarity: np.ndarray, *, newman: bool) -> list[set[int]]:
    """Splits by the leading vector of each block, accepted on the full Q of before and after."""
    n = len(similarity)
    weight = similarity * (1 - np.eye(n))
    strength = weight.sum(axis=0) / weight.sum()
    matrix = weight / weight.sum() - strength[:, None] * strength[None, :]
    done: list[list[int]] = []
    waiting = [list(range(n))]
    while waiting:
        module = waiting.pop(0)
        block = np.array([[matrix[i, j] for j in module] for i in module])
        if newman:
            for i in range(len(module)):
                block[i, i] -= sum(matrix[module[i], j] for j in module)
            shifted = block + 10.0 * np.eye(len(module))  # all eigenvalues positive: singular order = algebraic order
            vector = np.linalg.svd(shifted)[0][:, 0]
        else:
            vector = np.linalg.svd(block)[0][:, 0]
        halves = [[i for i, v in zip(module, vector, strict=True) if v < 0], []]
        halves[1] = [i for i in module if i not in halves[0]]
        before = score(similarity, _labels([*done, *waiting, module], n))
        after = score(similarity, _labels([*done, *waiting, *halves], n))
        if all(halves) and after > before + 1e-12:
            waiting += halves
        else:
            done.append(module)
    return [set(module) for module in done]


def entropy(weights: Sequence[float]) -> float:
    """Entropy in nats of the distribution proportional to the weights."""
    total = sum(weights)
    return -sum(w / total * log(w / total) for w in weights if w > 0)


def inverse_temperature(scores: Sequence[float], target: float) -> float:
    """x = 1/T at which the softmax of x * score has the target entropy, by bracketing in log x."""
    top = max(scores)

    def excess(log_x: float) -> float:
        return entropy([exp(max(-700.0, exp(log_x) * (s - top))) for s in scores]) - target

    return exp(brentq(excess, log(1e-9), log(1e15), xtol=1e-12))


def monte_carlo(similarity: np.ndarray, start: Sequence[int], draws: np.ndarray, target: float) -> list[list[int]]:
    """Best labels proposed so far after each step of the search; the full Q of every proposal is computed."""
    n = len(similarity)
    labels, best = list(start), list(start)
    best_score = score(similarity, best)
    history = []
    for pick, uniform in draws:
        unit = int(pick * n)
        used = max(labels) + 1
        alone = labels.count(labels[unit]) == 1
        options = list(range(used)) if alone else list(range(used + 1))
        proposals = [[*labels[:unit], option, *labels[unit + 1 :]] for option in options]
        scores = [score(similarity, proposal) for proposal in proposals]
        for proposal, found in zip(proposals, scores, strict=True):
            if found > best_score + 1e-12:
                best, best_score = proposal, found
        x = inverse_temperature(scores, target)
        weights = [exp(max(-700.0, x * (s - max(scores)))) for s in scores]
        reached = np.cumsum(weights) / sum(weights)
        left, labels = labels[unit], proposals[int(np.searchsorted(reached, uniform, side="right"))]
        if left not in labels:  # the last module takes the free number
            labels = [left if module == max(labels) else module for module in labels] if left < max(labels) else labels
        history.append(list(best))
    return history


def _labels(modules: Sequence[Sequence[int]], n: int) -> list[int]:
    return [next(c for c, module in enumerate(modules) if unit in module) for unit in range(n)]

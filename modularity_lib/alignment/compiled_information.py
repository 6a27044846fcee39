"""The inner loops of `information`, compiled with numba: chance's mutual information, and the shortest code."""

import math

import numpy as np
from numba import njit

_INVERSE_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
_CLOSE_ENOUGH = 1e-7  # of ln α: the length of the code then is right to about 1e-12 of itself


@njit(cache=True)
def expected_information(a_sizes: np.ndarray, b_sizes: np.ndarray, log_factorials: np.ndarray) -> float:
    """E[I] of `information.adjusted_mutual_information` in nats, from the sizes of the modules.

    log_factorials: ln 0!, ..., ln n!.
    """
    n_units = log_factorials.size - 1
    total = 0.0
    for of_a in a_sizes:
        for of_b in b_sizes:
            margins = (
                log_factorials[of_a]
                + log_factorials[of_b]
                + log_factorials[n_units - of_a]
                + log_factorials[n_units - of_b]
                - log_factorials[n_units]
            )
            for shared in range(max(1, of_a + of_b - n_units), min(of_a, of_b) + 1):
                log_chance = margins - (
                    log_factorials[shared]
                    + log_factorials[of_a - shared]
                    + log_factorials[of_b - shared]
                    + log_factorials[n_units - of_a - of_b + shared]
                )
                information = shared / n_units * math.log(n_units * shared / (of_a * of_b))
                total += information * math.exp(log_chance)
    return total


@njit(cache=True)
def shortest_code(given: np.ndarray, shared: np.ndarray, n_modules: int, lowest: float, highest: float) -> float:
    """min over α of L of `information.dirichlet_reduced_mutual_information` in nats, by golden section over ln α.

    given: b_s, the sizes of the modules of b; shared: c_rs, the overlaps that are not empty; n_modules: R, of a.
    """
    # ln Γ(c + α) - ln Γ(α) = Σ_{k < c} ln(α + k): so it matters only how many numbers are larger than each k.
    above_given, above_shared = _above(given), _above(shared)
    low, high = math.log(lowest), math.log(highest)
    left, right = high - _INVERSE_GOLDEN * (high - low), low + _INVERSE_GOLDEN * (high - low)
    of_left = _length(left, above_given, above_shared, n_modules)
    of_right = _length(right, above_given, above_shared, n_modules)
    while right - left > _CLOSE_ENOUGH:
        if of_left < of_right:
            high, right, of_right = right, left, of_left
            left = high - _INVERSE_GOLDEN * (high - low)
            of_left = _length(left, above_given, above_shared, n_modules)
        else:
            low, left, of_left = left, right, of_right
            right = low + _INVERSE_GOLDEN * (high - low)
            of_right = _length(right, above_given, above_shared, n_modules)
    return _length((low + high) / 2.0, above_given, above_shared, n_modules)


@njit(cache=True)
def _above(counts: np.ndarray) -> np.ndarray:
    """How many of the counts are larger than 0, 1, ..., up to the largest."""
    above = np.zeros(counts.max())
    for count in counts:
        above[:count] += 1.0
    return above


@njit(cache=True)
def _length(log_alpha: float, above_given: np.ndarray, above_shared: np.ndarray, n_modules: int) -> float:
    alpha = math.exp(log_alpha)
    length = 0.0
    for k in range(above_given.size):
        length += above_given[k] * math.log(n_modules * alpha + k)
    for k in range(above_shared.size):
        length -= above_shared[k] * math.log(alpha + k)
    return length

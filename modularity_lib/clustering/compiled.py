"""The Monte Carlo walk of the module search, compiled: single units move, and the best proposal is kept."""

from math import exp, log, log1p

import numpy as np
from numba import njit

IMPROVEMENT = 1e-12  # a partition replaces another only if its Q is higher by more: rounding must not choose
TIE_TOLERANCE = 1e-10  # gains of a unit closer than this share of its strength are equal; rounding stays far below
ENTROPY_TOLERANCE = 1e-6  # relative error of the entropy at the temperature of a step


@njit(cache=True)
def best_of_walk(
    share: np.ndarray, strength: np.ndarray, start: np.ndarray, draws: np.ndarray, target: float
) -> np.ndarray:
    """Best labels proposed in len(draws) steps from `start`, for live units only.

    share: Ã; strength: a; start: modules 0..c-1; draws: per step one uniform number for the unit, one for its module.
    Kept up to date: pull[c, i] = sum_{j in c} Ã_ij, mass[c] = sum_{j in c} a_j and size[c]. A step that moves nothing
    costs O(modules), one that does O(units).
    """
    n_units = len(strength)
    labels, best = start.copy(), start.copy()
    n_modules = start.max() + 1
    pull, mass, size = _module_sums(share, strength, labels)
    gain, weight = np.empty(n_units + 1), np.empty(n_units + 1)
    rise, best_rise = 0.0, 0.0  # of Q over the start
    slope = 3.0  # first guess for _weigh; the paper's entropy and two options make it 3.3
    for step in range(len(draws)):
        unit = int(draws[step, 0] * n_units)
        own = labels[unit]
        # What unit i adds to Q in module c: g(c) = 2 sum_{j in c, j != i} (Ã_ij - a_i a_j), but for a_i², the same in
        # every module. A move from c to d changes Q by g(d) - g(c).
        for module in range(n_modules):
            others = mass[module] - strength[unit] if module == own else mass[module]
            gain[module] = 2.0 * (pull[module, unit] - strength[unit] * others)
        # The last option is an empty module. A unit that is alone has one already, its own: a second would count the
        # same partition twice.
        n_options = n_modules
        if size[own] > 1:
            gain[n_modules] = 0.0
            n_options += 1
        top = int(np.argmax(gain[:n_options]))
        if rise + gain[top] - gain[own] > best_rise + IMPROVEMENT:
            best_rise = rise + gain[top] - gain[own]
            best[:] = labels
            best[unit] = top
        slope = _weigh(gain[:n_options], top, target, TIE_TOLERANCE * strength[unit], slope, weight)
        chosen = _draw(weight[:n_options], draws[step, 1])
        if chosen != own:
            rise += gain[chosen] - gain[own]
            n_modules = _move(share, strength, labels, pull, mass, size, n_modules, unit, chosen)
    return best


@njit(cache=True)
def _module_sums(
    share: np.ndarray, strength: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n_units = len(labels)
    pull = np.zeros((n_units + 1, n_units))  # one row more than there can be modules, for the empty one
    mass = np.zeros(n_units + 1)
    size = np.zeros(n_units + 1, dtype=np.int64)
    for unit in range(n_units):
        pull[labels[unit]] += share[unit]
        mass[labels[unit]] += strength[unit]
        size[labels[unit]] += 1
    return pull, mass, size


@njit(cache=True)
def _move(
    share: np.ndarray,
    strength: np.ndarray,
    labels: np.ndarray,
    pull: np.ndarray,
    mass: np.ndarray,
    size: np.ndarray,
    n_modules: int,
    unit: int,
    chosen: int,
) -> int:
    """Move a unit, update the sums in place, and return the new number of modules."""
    own = labels[unit]
    if chosen == n_modules:
        n_modules += 1
        # Set to 0: they may hold what rounding left of a module that was emptied.
        size[chosen], mass[chosen], pull[chosen] = 0, 0.0, 0.0
    labels[unit] = chosen
    size[chosen] += 1
    mass[chosen] += strength[unit]
    pull[chosen] += share[unit]
    size[own] -= 1
    mass[own] -= strength[unit]
    pull[own] -= share[unit]
    if size[own] == 0:  # the last module takes the number of the emptied one, so that the numbers stay 0..c-1
        n_modules -= 1
        size[own], mass[own], pull[own] = size[n_modules], mass[n_modules], pull[n_modules]
        labels[labels == n_modules] = own
    return n_modules


@njit(cache=True)
def _weigh(gain: np.ndarray, top: int, target: float, tie: float, slope: float, weight: np.ndarray) -> float:
    """Fill `weight` with exp((gain - gain[top]) / T) at the temperature where their entropy is `target`, in nats.

    Entropy falls as x = 1/T grows. Newton's method on its logarithm, nearly straight in x where the entropy is small,
    inside a bracket; starts from and returns x times the gap between the best option and the next, which differs
    little from step to step. Gains within `tie` of the best are equal to it. Where ties alone are more random than
    `target`, the limit T -> 0 stands: each of the best has weight 1, the others 0. Where all options together are not
    random enough, the limit T -> inf: all have weight 1.
    """
    n_options, n_ties, gap = len(gain), 0, np.inf
    for option in range(n_options):
        below = gain[top] - gain[option]
        if below <= tie:
            n_ties += 1
        else:
            gap = min(gap, below)
    if log(n_ties) >= target or log(n_options) <= target:
        all_equal = log(n_options) <= target
        for option in range(n_options):
            weight[option] = 1.0 if all_equal or gain[top] - gain[option] <= tie else 0.0
        return slope
    low, high, x = 0.0, np.inf, slope / gap
    for _ in range(200):  # a handful are needed; the bracket ends every case
        rest, first, second = 0.0, 0.0, 0.0  # sums over the options other than the top of w, w d and w d^2
        for option in range(n_options):
            below = gain[top] - gain[option]
            if below <= tie:
                weight[option] = 1.0
            else:
                weight[option] = exp(-x * below)
                rest += weight[option]
                first += weight[option] * below
                second += weight[option] * below * below
        rest += n_ties - 1
        mean = first / (1.0 + rest)
        entropy = log1p(rest) + x * mean
        if abs(entropy - target) <= ENTROPY_TOLERANCE * target:
            break
        if entropy > target:
            low = x
        else:
            high = x
        variance = second / (1.0 + rest) - mean * mean
        x = x + log(entropy / target) * entropy / (x * variance) if entropy > 0.0 and variance > 0.0 else -1.0
        if not low < x < high:
            x = 4.0 * low if high == np.inf else (0.25 * high if low == 0.0 else 0.5 * (low + high))
    return x * gap


@njit(cache=True)
def _draw(weight: np.ndarray, uniform: float) -> int:
    """Option whose share of the weights holds the uniform number."""
    left = uniform * weight.sum()
    chosen = 0
    for option in range(len(weight)):
        if weight[option] > 0.0:
            chosen = option
            left -= weight[option]
            if left < 0.0:
                break
    return chosen

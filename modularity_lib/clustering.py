"""Finds the modules of highest modularity: a spectral start, then Monte Carlo moves of single units."""

from collections import deque
from dataclasses import dataclass
from math import exp, log, log1p

import numpy as np
from numba import njit

from modularity_lib.modularity import (
    dead_units,
    modularity_matrix,
    modularity_score,
    normalised_adjacency,
    strengths,
)

IMPROVEMENT = 1e-12  # a partition replaces another only if its Q is higher by more: rounding must not choose
TIE_TOLERANCE = 1e-10  # gains of a unit closer than this share of its strength are equal; rounding stays far below
ENTROPY_TOLERANCE = 1e-6  # relative error of the entropy at the temperature of a step
SPECTRAL_VARIANTS = ("paper", "newman")


@dataclass(frozen=True, eq=False)
class Clustering:
    """Modules of the units of one layer, and how they were found."""

    labels: np.ndarray  # module of each unit, 0, 1, ... in order of first appearance; -1 = dead unit; read-only
    score: float  # modularity Q of the labels
    seed: int | None  # None where nothing is drawn at random, and so for the other settings of the search
    restarts: int | None
    steps: int | None
    target_entropy: float | None  # in nats
    method: str  # "spectral-paper", "spectral-newman" or "monte-carlo"
    spectral_score: float  # Q of the spectral start; equal to score for a spectral method

    @property
    def n_modules(self) -> float:
        """Soft number of modules: exp(-sum_c f_c ln f_c), f_c = share of all units, dead ones included, in module c.

        Equal to the plain count when no unit is dead and all modules have one size.

        >>> spectral_modules(np.kron(np.eye(2), np.ones((3, 3)))).n_modules
        2.0
        """
        shares = np.bincount(self.labels[self.labels >= 0]) / len(self.labels)
        return float(np.exp(-np.sum(shares * np.log(shares))))

    def communities(self) -> list[set[int]]:
        """Units of each module, as networkx functions take them. Dead units are in none.

        networkx wants every node in one community: add `[{unit} for unit in np.flatnonzero(labels == -1)]` where some
        are dead.

        >>> spectral_modules(np.kron(np.eye(2), np.ones((2, 2)))).communities()
        [{0, 1}, {2, 3}]
        """
        return [set(np.flatnonzero(self.labels == module).tolist()) for module in range(self.labels.max() + 1)]


def spectral_modules(similarity: np.ndarray, *, variant: str = "paper") -> Clustering:
    """Modules from repeated splits in two, by the signs of a leading eigenvector of the modularity matrix B.

    Breadth first from one module of all live units; a split is kept when the total Q rises. A module g is split by

        paper:  its block of B_ij, eigenvector of the eigenvalue of largest magnitude (the leading singular vector)
        newman: its block of B_ij - delta_ij sum_{l in g} B_il, eigenvector of the largest eigenvalue

    The paper's variant stops early where a negative eigenvalue leads, as in heavy-tailed matrices.

    Args:
        similarity: S, shape (units, units), any diagonal and scale; see `modularity.to_adjacency`.
        variant: "paper" or "newman".
    Returns:
        Clustering with Q of at least 0, up to rounding.
    Raises:
        ValueError: similarity is refused by `modularity.to_adjacency`, or the variant is unknown.
        AllUnitsDead: similarity is zero off the diagonal.
    Source: Newman (2006), PNAS 103:8577; the paper, section on modularity.

    >>> spectral_modules(np.kron(np.eye(2), np.ones((3, 3)))).labels
    array([0, 0, 0, 1, 1, 1])
    """
    if variant not in SPECTRAL_VARIANTS:
        raise ValueError(f"variant must be one of {SPECTRAL_VARIANTS}, got {variant!r}. The default is the paper's.")
    share = normalised_adjacency(similarity)
    labels = _spectral_labels(modularity_matrix(share), dead_units(share), variant=variant)
    score = modularity_score(share, labels)
    return Clustering(
        labels=_in_order_of_appearance(labels),
        score=score,
        seed=None,
        restarts=None,
        steps=None,
        target_entropy=None,
        method=f"spectral-{variant}",
        spectral_score=score,
    )


def find_modules(
    similarity: np.ndarray, *, seed: int = 0, restarts: int = 1, steps: int = 5000, target_entropy: float = 0.15
) -> Clustering:
    """Modules of highest Q found by the paper's search: the spectral start, then Monte Carlo moves of single units.

    A step picks a live unit and computes the Q of each module it could be in, an empty one included; the unit goes to
    module c with probability p_c ∝ exp(Q_c / T), with T such that -sum_c p_c ln p_c = target_entropy. The result is the
    best of all partitions that were proposed, taken or not.

    Args:
        similarity: S, shape (units, units), any diagonal and scale; see `modularity.to_adjacency`.
        seed: fixes the random numbers. Restart r draws the same ones whatever the number of restarts, and a search
            starts like a longer one: more restarts or steps never lower Q.
        restarts: number of searches from the same spectral start; the best counts.
        steps: steps of each search.
        target_entropy: randomness of a step in nats, > 0. Small = greedy; from ln 2 = 0.69 on, a unit with two options
            chooses blindly.
    Returns:
        Clustering with Q at least that of its spectral start; the same for the same arguments.
    Raises:
        ValueError: similarity is refused by `modularity.to_adjacency`, or another argument is out of its range.
        AllUnitsDead: similarity is zero off the diagonal.
    Source: the paper, section on modularity.

    >>> find_modules(np.kron(np.eye(2), np.ones((3, 3))), seed=0, steps=100).score
    0.5
    """
    _check_search(seed=seed, restarts=restarts, steps=steps, target_entropy=target_entropy)
    share = normalised_adjacency(similarity)
    dead = dead_units(share)
    start = _spectral_labels(modularity_matrix(share), dead, variant="paper")
    spectral_score = modularity_score(share, start)
    live = ~dead
    live_share, live_strength = share[np.ix_(live, live)], strengths(share)[live]
    best, score = start, spectral_score
    for stream in np.random.SeedSequence(seed).spawn(restarts):
        draws = np.random.default_rng(stream).random((steps, 2))
        labels = np.full(len(share), -1)
        labels[live] = _monte_carlo(live_share, live_strength, start[live], draws, float(target_entropy))
        found = modularity_score(share, labels)  # from scratch: the running sums of the search may have drifted
        if found > score + IMPROVEMENT:
            best, score = labels, found
    return Clustering(
        labels=_in_order_of_appearance(best),
        score=score,
        seed=int(seed),
        restarts=int(restarts),
        steps=int(steps),
        target_entropy=float(target_entropy),
        method="monte-carlo",
        spectral_score=spectral_score,
    )


def _in_order_of_appearance(labels: np.ndarray) -> np.ndarray:
    live = labels >= 0
    _, first, module = np.unique(labels[live], return_index=True, return_inverse=True)
    ordered = np.full(len(labels), -1)
    ordered[live] = np.argsort(np.argsort(first))[module]
    ordered.setflags(write=False)  # a record that says how it was made must not change afterwards
    return ordered


def _spectral_labels(matrix: np.ndarray, dead: np.ndarray, *, variant: str) -> np.ndarray:
    labels = np.where(dead, -1, 0)
    queue, n_modules = deque([0]), 1
    while queue:
        module = queue.popleft()
        units = np.flatnonzero(labels == module)
        block = matrix[np.ix_(units, units)]
        right = _split(block, variant=variant)
        gain = -2.0 * block[np.ix_(~right, right)].sum()  # the pairs that the split parts no longer count in Q
        if gain > IMPROVEMENT:
            labels[units[right]] = n_modules
            queue.extend((module, n_modules))
            n_modules += 1
    return labels


def _split(block: np.ndarray, *, variant: str) -> np.ndarray:
    """Which units of a module go to the second half."""
    if variant == "newman":
        block = block - np.diag(block.sum(axis=1))
    values, vectors = np.linalg.eigh(block)  # values ascend
    leading = vectors[:, np.argmax(np.abs(values))] if variant == "paper" else vectors[:, -1]
    return leading < 0.0


def _check_search(*, seed: int, restarts: int, steps: int, target_entropy: float) -> None:
    for name, value, smallest, advice in (
        ("seed", seed, 0, "A number that names the random draws; any will do."),
        ("restarts", restarts, 1, "The paper uses 1; 20 shows how far one search falls short."),
        ("steps", steps, 1, "The paper uses 5000; for the spectral start alone call spectral_modules."),
    ):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < smallest:
            raise ValueError(f"{name} must be a whole number of at least {smallest}, got {value!r}. {advice}")
    if not 0.0 < target_entropy < np.inf:
        raise ValueError(
            f"target_entropy must be a positive, finite number of nats, got {target_entropy!r}. The paper uses 0.15."
        )


@njit(cache=True)
def _monte_carlo(
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

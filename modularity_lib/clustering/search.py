"""Finds the modules of highest modularity: a spectral start, then Monte Carlo moves of single units."""

from collections import deque
from dataclasses import dataclass

import numpy as np

from modularity_lib.clustering.modularity import (
    ALL_UNITS_DEAD,
    dead_units,
    modularity_matrix,
    modularity_score,
    normalised_adjacency,
    strengths,
)

SPECTRAL_VARIANTS = ("paper", "newman")


@dataclass(frozen=True, eq=False)
class Clustering:
    """Modules of the units of one layer, and how they were found.

    A layer whose units are all dead has no modules: `status` is "all_units_dead", the labels are all -1, and Q is NaN.
    """

    labels: np.ndarray  # module of each unit, 0, 1, ... in order of first appearance; -1 = dead unit; read-only
    score: float  # modularity Q of the labels
    spectral_score: float  # Q of the spectral start; equal to score for a spectral method
    method: str  # "spectral-paper", "spectral-newman" or "monte-carlo"
    seed: int | None = None  # None where nothing is drawn at random, and so for the other settings of the search
    restarts: int | None = None
    steps: int | None = None
    target_entropy: float | None = None  # in nats

    @property
    def status(self) -> str:
        """Either "ok" or "all_units_dead".

        >>> spectral_modules(np.eye(3)).status
        'all_units_dead'
        """
        return "ok" if (self.labels >= 0).any() else "all_units_dead"

    @property
    def reason(self) -> str:
        """Why there are no modules; "" if there are some."""
        return "" if self.status == "ok" else ALL_UNITS_DEAD.format(units=len(self.labels))

    @property
    def n_modules(self) -> float:
        """Soft number of modules: exp(-sum_c f_c ln f_c), f_c = share of all units, dead ones included, in module c.

        Equal to the plain count when no unit is dead and all modules have one size; 0 when all units are dead.

        >>> spectral_modules(np.kron(np.eye(2), np.ones((3, 3)))).n_modules
        2.0
        """
        if self.status != "ok":
            return 0.0
        shares = np.bincount(self.labels[self.labels >= 0]) / len(self.labels)
        return float(np.exp(-np.sum(shares * np.log(shares))))

    def communities(self) -> list[set[int]]:
        """Units of each module, as networkx functions take them. Dead units are in none.

        networkx wants every node in one community: add `[{unit} for unit in np.flatnonzero(labels == -1)]` where some
        are dead.

        >>> spectral_modules(np.kron(np.eye(2), np.ones((2, 2)))).communities()
        [{0, 1}, {2, 3}]
        """
        return [
            set(np.flatnonzero(self.labels == module).tolist()) for module in range(self.labels.max(initial=-1) + 1)
        ]


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
        Clustering with Q of at least 0, up to rounding; without modules where similarity is zero off the diagonal.
    Raises:
        ValueError: similarity is refused by `modularity.dead_units`, or the variant is unknown.
    Source: Newman (2006), PNAS 103:8577; the paper, section on modularity.

    >>> spectral_modules(np.kron(np.eye(2), np.ones((3, 3)))).labels
    array([0, 0, 0, 1, 1, 1])
    """
    if variant not in SPECTRAL_VARIANTS:
        raise ValueError(f"variant must be one of {SPECTRAL_VARIANTS}, got {variant!r}. The default is the paper's.")
    labels, score = _spectral_start(similarity, variant=variant)
    return Clustering(_in_order_of_appearance(labels), score, spectral_score=score, method=f"spectral-{variant}")


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
        Clustering with Q at least that of its spectral start; the same for the same arguments. Without modules where
        similarity is zero off the diagonal.
    Raises:
        ValueError: similarity is refused by `modularity.dead_units`, or another argument is out of its range.
    Source: the paper, section on modularity.

    >>> find_modules(np.kron(np.eye(2), np.ones((3, 3))), seed=0, steps=100).score
    0.5
    """
    # Numba is loaded only where modules are searched: the tables of a study can be read without it.
    from modularity_lib.clustering.compiled import IMPROVEMENT, best_of_walk

    _check_search(seed=seed, restarts=restarts, steps=steps, target_entropy=target_entropy)
    start, spectral_score = _spectral_start(similarity, variant="paper")
    best, score, live = start, spectral_score, start >= 0
    if live.any():
        share = normalised_adjacency(similarity)
        live_share, live_strength = share[np.ix_(live, live)], strengths(share)[live]
        for stream in np.random.SeedSequence(seed).spawn(restarts):
            draws = np.random.default_rng(stream).random((steps, 2))
            labels = np.full(len(share), -1)
            labels[live] = best_of_walk(live_share, live_strength, start[live], draws, float(target_entropy))
            found = modularity_score(share, labels)  # from scratch: the running sums of the search may have drifted
            if found > score + IMPROVEMENT:
                best, score = labels, found
    return Clustering(
        labels=_in_order_of_appearance(best),
        score=score,
        spectral_score=spectral_score,
        method="monte-carlo",
        seed=int(seed),
        restarts=int(restarts),
        steps=int(steps),
        target_entropy=float(target_entropy),
    )


def _in_order_of_appearance(labels: np.ndarray) -> np.ndarray:
    live = labels >= 0
    _, first, module = np.unique(labels[live], return_index=True, return_inverse=True)
    ordered = np.full(len(labels), -1)
    ordered[live] = np.argsort(np.argsort(first))[module]
    ordered.setflags(write=False)  # a record that says how it was made must not change afterwards
    return ordered


def _spectral_start(similarity: np.ndarray, *, variant: str) -> tuple[np.ndarray, float]:
    """Labels of the spectral splits, and their Q; all -1 and NaN where all units are dead."""
    dead = dead_units(similarity)
    if dead.all():
        return np.full(len(dead), -1), np.nan
    share = normalised_adjacency(similarity)
    labels = _spectral_labels(modularity_matrix(share), dead, variant=variant)
    return labels, modularity_score(share, labels)


def _spectral_labels(matrix: np.ndarray, dead: np.ndarray, *, variant: str) -> np.ndarray:
    from modularity_lib.clustering.compiled import IMPROVEMENT  # here for the reason given in `find_modules`

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


_ADVICE = {
    "seed": "A number that names the random draws; any will do.",
    "restarts": "The paper uses 1; 20 shows how far one search falls short.",
    "steps": "The paper uses 5000; for the spectral start alone call spectral_modules.",
}


def _check_search(*, seed: int, restarts: int, steps: int, target_entropy: float) -> None:
    for name, value, smallest in (("seed", seed, 0), ("restarts", restarts, 1), ("steps", steps, 1)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < smallest:
            raise ValueError(f"{name} must be a whole number of at least {smallest}, got {value!r}. {_ADVICE[name]}")
    if not 0.0 < target_entropy < np.inf:
        raise ValueError(
            f"target_entropy must be a positive, finite number of nats, got {target_entropy!r}. The paper uses 0.15."
        )

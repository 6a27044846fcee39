"""Finds the modules of highest modularity: a spectral start, then Monte Carlo moves of single units."""

from collections import deque
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.csgraph import connected_components

from modularity_lib.arrays import real_number, shown, whole_number
from modularity_lib.clustering.modularity import (
    adjacency_of,
    all_units_dead,
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
    Where an array is wanted, by a score of agreement or by NumPy, a clustering is its labels.
    """

    labels: np.ndarray  # module of each unit, 0, 1, ... in order of first appearance; -1 = dead unit; read-only
    score: float  # modularity Q of the labels
    spectral_score: float  # Q of the spectral start; equal to score for a spectral method
    method: str  # "spectral-paper", "spectral-newman" or "monte-carlo"
    seed: int | None = None  # None where nothing is drawn at random, and so for the other settings of the search
    restarts: int | None = None
    steps: int | None = None
    target_entropy: float | None = None  # in nats

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.labels, dtype=dtype, copy=copy)

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
        return "" if self.status == "ok" else all_units_dead(len(self.labels))

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


def spectral_modules(similarity: ArrayLike, *, variant: str = "paper") -> Clustering:
    """Modules from repeated splits in two, by the signs of a leading eigenvector of the modularity matrix B.

    Breadth first from one module of all live units; a split is kept when the total Q rises. A module g is split by

        paper:  its block of B_ij, eigenvector of the eigenvalue of largest magnitude (the leading singular vector)
        newman: its block of B_ij - delta_ij sum_{l in g} B_il, eigenvector of the largest eigenvalue

    The paper's variant stops early where a negative eigenvalue leads, as in heavy-tailed matrices. Where live units
    fall into groups without any link between them, each group is such a first module.

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
    if not isinstance(variant, str) or variant not in SPECTRAL_VARIANTS:
        raise ValueError(
            f"variant must be one of {SPECTRAL_VARIANTS}, got {shown(variant)}. The default is the paper's."
        )
    adjacency = adjacency_of("similarity", similarity)
    parts = _connected_parts(adjacency)
    labels, score = _joined(adjacency, parts, [_spectral_labels(part.matrix, variant=variant) for part in parts])
    return Clustering(_in_order_of_appearance(labels), score, spectral_score=score, method=f"spectral-{variant}")


def find_modules(
    similarity: ArrayLike, *, seed: int = 0, restarts: int = 1, steps: int = 5000, target_entropy: float = 0.15
) -> Clustering:
    """Modules of highest Q found by the paper's search: the spectral start, then Monte Carlo moves of single units.

    A step picks a live unit and computes the Q of each module it could be in, an empty one included; the unit goes to
    module c with probability p_c ∝ exp(Q_c / T), with T such that -sum_c p_c ln p_c = target_entropy. The result is the
    best of all partitions that were proposed, taken or not.

    Units that are not linked, directly or through others, never share a module: each connected part is searched by
    itself, in the steps that pick its units, on the scale of its own weights. Within a part, gains below 1e-12 of its
    weight are lost in rounding, so links that are weaker by more than that do not decide.

    Args:
        similarity: S, shape (units, units), any diagonal and scale; see `modularity.to_adjacency`.
        seed: fixes the random numbers. Restart r draws the same ones whatever the number of restarts, and a search
            starts like a longer one: more restarts or steps never lower Q.
        restarts: number of searches from the same spectral start, at most 1 million; the best counts.
        steps: steps of each search, at most 100 million.
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
    seed, restarts, steps, target_entropy = _checked_search(seed, restarts, steps, target_entropy)
    adjacency = adjacency_of("similarity", similarity)
    parts = _connected_parts(adjacency)
    starts = [_spectral_labels(part.matrix, variant="paper") for part in parts]
    _, spectral_score = _joined(adjacency, parts, starts)
    best, score = _joined(
        adjacency, parts, _walked(parts, starts, seed=seed, restarts=restarts, steps=steps, target=target_entropy)
    )
    return Clustering(
        labels=_in_order_of_appearance(best),
        score=score,
        spectral_score=spectral_score,
        method="monte-carlo",
        seed=seed,
        restarts=restarts,
        steps=steps,
        target_entropy=target_entropy,
    )


class _Part(NamedTuple):
    """Live units that are linked, directly or through others, and what their modules add to Q.

    With w the part's share of all weight, and Ã and a of its units alone, they add w sum_c [ sum_{i,j in c} Ã_ij -
    w (sum_{i in c} a_i)^2 ]: up to the factor w, the Q of a graph with the strengths √w a. So weights far below those
    of another part are searched as well as others.
    """

    units: np.ndarray
    share: np.ndarray  # Ã
    strength: np.ndarray  # √w a
    matrix: np.ndarray  # Ã - w a aᵀ


def _connected_parts(adjacency: np.ndarray) -> list[_Part]:
    """The parts between which there is no link; none where all units are dead."""
    if not adjacency.any():
        return []
    share = normalised_adjacency(adjacency)
    strength = strengths(share)
    live = np.flatnonzero(adjacency.any(axis=1))
    inside = np.ix_(live, live)
    linked = adjacency[inside] > 0  # as a share of all weight, a link may be too small for a number
    is_one = linked.sum(axis=1).max() == len(live) - 1  # a unit linked to all others: the usual case, seen at a glance
    n_parts, part_of = (1, None) if is_one else connected_components(linked, directed=False)
    if n_parts == 1:
        return [_Part(live, share[inside], strength[live], modularity_matrix(share)[inside])]
    parts = []
    for part in range(n_parts):
        units = live[part_of == part]
        inside = np.ix_(units, units)
        own_share = normalised_adjacency(adjacency[inside])
        own_strength = np.sqrt(share[inside].sum()) * own_share.sum(axis=1)
        parts.append(_Part(units, own_share, own_strength, own_share - np.outer(own_strength, own_strength)))
    return parts


def _joined(adjacency: np.ndarray, parts: list[_Part], found: list[np.ndarray]) -> tuple[np.ndarray, float]:
    """Labels of all units from those of the parts, and their Q; all -1 and NaN where all units are dead."""
    labels = np.full(len(adjacency), -1)
    for part, modules in zip(parts, found, strict=True):
        labels[part.units] = modules + labels.max() + 1
    # From scratch: the running sums of a search may have drifted.
    return labels, modularity_score(normalised_adjacency(adjacency), labels) if parts else np.nan


def _walked(
    parts: list[_Part], starts: list[np.ndarray], *, seed: int, restarts: int, steps: int, target: float
) -> list[np.ndarray]:
    """Best labels of each part over all restarts, its start included."""
    # Numba is loaded only where modules are searched: the tables of a study can be read without it.
    from modularity_lib.clustering.compiled import IMPROVEMENT, best_of_walk

    best, scores = list(starts), [_score(part, start) for part, start in zip(parts, starts, strict=True)]
    streams = np.random.SeedSequence(seed)
    for _ in range(restarts if parts else 0):
        draws = np.random.default_rng(streams.spawn(1)[0]).random((steps, 2))
        for index, (part, own_draws) in enumerate(zip(parts, _draws_of_parts(parts, draws), strict=True)):
            labels = best_of_walk(part.share, part.strength, starts[index], own_draws, target)
            score = _score(part, labels)
            if score > scores[index] + IMPROVEMENT:
                best[index], scores[index] = labels, score
    return best


def _draws_of_parts(parts: list[_Part], draws: np.ndarray) -> list[np.ndarray]:
    """The steps that pick a unit of each part, with the draw that picks it among the units of the part alone."""
    if len(parts) == 1:
        return [draws]
    live = np.sort(np.concatenate([part.units for part in parts]))
    picked = live[(draws[:, 0] * len(live)).astype(int)]
    picks_own = [np.isin(picked, part.units) for part in parts]
    return [
        np.column_stack([(np.searchsorted(part.units, picked[own]) + 0.5) / len(part.units), draws[own, 1]])
        for part, own in zip(parts, picks_own, strict=True)
    ]


def _score(part: _Part, labels: np.ndarray) -> float:
    """What the modules of a part add to Q, but for its factor w."""
    inside = part.share[labels[:, None] == labels[None, :]].sum()
    return float(inside - np.square(np.bincount(labels, weights=part.strength)).sum())


def _in_order_of_appearance(labels: np.ndarray) -> np.ndarray:
    live = labels >= 0
    _, first, module = np.unique(labels[live], return_index=True, return_inverse=True)
    ordered = np.full(len(labels), -1)
    ordered[live] = np.argsort(np.argsort(first))[module]
    ordered.setflags(write=False)  # a record that says how it was made must not change afterwards
    return ordered


def _spectral_labels(matrix: np.ndarray, *, variant: str) -> np.ndarray:
    from modularity_lib.clustering.compiled import IMPROVEMENT  # here for the reason given in `_walked`

    labels = np.zeros(len(matrix), dtype=int)
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


def _checked_search(seed: int, restarts: int, steps: int, target_entropy: float) -> tuple[int, int, int, float]:
    entropy = real_number(target_entropy)
    if not 0.0 < entropy < inf:
        raise ValueError(
            f"target_entropy must be a positive, finite number of nats, got {shown(target_entropy)}. The paper uses "
            "0.15."
        )
    return (
        whole_number("seed", seed, at_least=0),
        whole_number("restarts", restarts, at_least=1, at_most=10**6),
        whole_number("steps", steps, at_least=1, at_most=10**8),
        entropy,
    )

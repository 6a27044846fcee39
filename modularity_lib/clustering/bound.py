"""An upper bound on the modularity of all partitions, which proves in many layers that the best one is known."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from math import ceil, inf
from time import monotonic

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.csgraph import connected_components

from modularity_lib.arrays import flag, real_number, shown
from modularity_lib.clustering.clusterings import in_order_of_appearance
from modularity_lib.clustering.modularity import (
    AllUnitsDead,
    adjacency_of,
    all_units_dead,
    checked_resolution,
    modularity_matrix,
    modularity_score,
)
from modularity_lib.clustering.relaxation import Relaxation
from modularity_lib.clustering.search import find_modules
from modularity_lib.progress import progress_bar

PROVEN = 1e-7  # Q of the best partition that is known is the largest if the bound is above it by no more
_PATIENCE = 5  # improvements of a bound that must take a tenth off its gap, or the problem is split in two
_LONGEST = 1e9  # seconds


@dataclass(frozen=True, eq=False)
class ModularityBound:
    """No partition has a Q above `upper`; `labels` are the best partition that is known, with `score`."""

    upper: float
    score: float
    labels: np.ndarray = field(repr=False)  # of all units, -1 = dead; in order of first appearance; read-only
    seconds: float  # that the bound took
    rounds: int  # of a hundred steps each

    @property
    def gap(self) -> float:
        """What the best Q of all can be above the score, at most."""
        return self.upper - self.score

    @property
    def proven(self) -> bool:
        """Whether no partition has a Q that is larger than the score by more than 1e-7."""
        return self.gap <= PROVEN


def modularity_bound(
    similarity: ArrayLike,
    *,
    seconds: float = 10,
    resolution: float = 1.0,
    signed: bool = False,
    progress: bool | None = None,
) -> ModularityBound:
    """A number that the modularity Q of no partition exceeds, and whether the best partition is known.

    Q = sum_ij B_ij x_ij, where x_ij = 1 if i and j share a module. The bound is the largest value for real x_ij in
    place of 0 and 1: a positive semidefinite matrix with ones on its diagonal, without negative entries, that obeys the
    inequalities of `compiled_cuts`, which are added as they are violated. Where that leaves a gap, two units are
    joined in one problem and parted in another, and so on. Every bound is computed from multipliers in plain
    arithmetic: it holds whatever their precision is.

    Args:
        similarity: S, shape (units, units), as `find_modules` takes it.
        seconds: after which the best bound so far is the answer. The search of the best partition comes before.
        resolution, signed: as in `find_modules`; the bound is one of that Q.
        progress: show a bar of the seconds; None = where standard error is a terminal.
    Returns:
        ModularityBound: `upper`; `score` and `labels` of the best partition found; `gap` = upper - score, and `proven`,
        whether the gap is at most 1e-7. How far it comes within the seconds depends on the machine: 64 units are
        mostly proven in a few seconds, several hundred are not.
    Raises:
        ValueError: similarity is refused by `find_modules`, or another argument is out of its range.
        AllUnitsDead: similarity is zero off the diagonal.
    Source: clique partitioning and its inequalities: Grötschel & Wakabayashi (1989), Math. Programming 45:59, and
        (1990), 47:367; relaxations of modularity: Agarwal & Kempe (2008), Eur. Phys. J. B 66:409; the method of
        multipliers: Wen, Goldfarb & Yin (2010), Math. Programming Computation 2:203; safe bounds: Jansson, Chaykin &
        Keil (2007), SIAM J. Numer. Anal. 46:180.

    >>> bound = modularity_bound(np.kron(np.eye(2), np.ones((3, 3))))
    >>> bound.score, bound.proven
    (0.5, True)
    """
    limit = real_number(seconds)
    if not 0.0 < limit < inf:
        raise ValueError(f"seconds must be a positive, finite number, got {shown(seconds)}. The default is 10.")
    resolution, signed = checked_resolution(resolution), flag("signed", signed)
    progress = None if progress is None else flag("progress", progress)
    adjacency = adjacency_of("similarity", similarity, signed=signed)
    if not adjacency.any():
        raise AllUnitsDead(all_units_dead(len(adjacency)))
    restarts = max(1, 1000 // len(adjacency))
    found = find_modules(adjacency, restarts=restarts, resolution=resolution, signed=signed).labels
    labels = np.where(found < 0, -1, np.arange(len(found)))
    matrix = modularity_matrix(adjacency, resolution=resolution, signed=signed)
    began = monotonic()
    upper, rounds = float(np.trace(matrix)), 0
    parts = _parts(matrix)
    with progress_bar(ceil(min(limit, _LONGEST)), "bounding Q", progress) as bar:
        for place, units in enumerate(parts):
            now = monotonic()
            sizes = [len(part) ** 3 for part in parts[place:]]
            deadline = now + (began + limit - now) * sizes[0] / sum(sizes)
            part = _Part(matrix[np.ix_(units, units)], found[units], PROVEN / len(parts))
            for _ in part.rounds(deadline):
                bar.update(int(monotonic() - began) - bar.n)
                rounds += 1
            upper += part.upper
            labels[units] = part.labels + labels.max() + 1
    score = modularity_score(adjacency, labels, resolution=resolution, signed=signed)
    return ModularityBound(max(upper, score), score, in_order_of_appearance(labels), monotonic() - began, rounds)


def _parts(matrix: np.ndarray) -> list[np.ndarray]:
    """Units that some best partition does not join with others, small parts first.

    Between the parts no B_ij is positive: a module of units of two parts can be split without loss. The units of one
    part are linked by positive B_ij, directly or through others.
    """
    linked = matrix > 0.0
    np.fill_diagonal(linked, False)
    _, part_of = connected_components(linked, directed=False)
    parts = [np.flatnonzero(part_of == part) for part in range(part_of.max() + 1)]
    return sorted((part for part in parts if len(part) > 1), key=len)


class _Part:
    """Branch and bound on the units of one part. What its pairs add to Q is in units of the largest |B_ij|."""

    def __init__(self, matrix: np.ndarray, labels: np.ndarray, tolerance: float) -> None:
        self._quality = matrix.copy()
        np.fill_diagonal(self._quality, 0.0)
        self._scale = float(np.abs(self._quality).max())
        self._quality /= self._scale
        self._tolerance = tolerance / self._scale
        self.labels = labels
        self._score = self._value(labels)
        self._closed = self._score  # the largest bound of the problems that are done
        self._open: list[tuple[float, int, Relaxation, np.ndarray]] = []

    @property
    def upper(self) -> float:
        """Bound on what the pairs of these units add to Q."""
        return self._scale * max([self._closed, *(-negative for negative, *_ in self._open[:1])])

    def rounds(self, deadline: float) -> Iterator[None]:
        """Make the bound smaller until the deadline, or until it proves the best partition; yields in between."""
        number = count()
        root = Relaxation.of(self._quality)
        heappush(self._open, (-root.upper, next(number), root, np.arange(len(self._quality))))
        while self._open:
            _, _, problem, group_of = self._open[0]
            yield from self._improved(problem, group_of, deadline)
            heappop(self._open)
            if self._is_done(problem):
                self._closed = max(self._closed, problem.upper)
            elif monotonic() > deadline:
                heappush(self._open, (-problem.upper, next(number), problem, group_of))
                return
            else:
                i, j = _most_open(problem)
                joined = np.where(group_of == j, i, group_of - (group_of > j))
                for child, groups in ((problem.parted(i, j), group_of), (problem.joined(i, j), joined)):
                    heappush(self._open, (-child.upper, next(number), child, groups))

    def _improved(self, problem: Relaxation, group_of: np.ndarray, deadline: float) -> Iterator[None]:
        before = [inf] * _PATIENCE
        while not self._is_done(problem) and monotonic() <= deadline:
            if problem.upper - self._score > 0.9 * (before[-_PATIENCE] - self._score):
                return
            before.append(problem.upper)
            problem.improve(deadline)
            self._take_if_better(problem, group_of)
            yield

    def _is_done(self, problem: Relaxation) -> bool:
        return problem.upper <= self._score + self._tolerance

    def _take_if_better(self, problem: Relaxation, group_of: np.ndarray) -> None:
        """Units that the relaxed problem has together rather than not, as a partition."""
        _, module = connected_components(problem.relaxed() > 0.5, directed=False)
        labels = module[group_of]
        score = self._value(labels)
        if score > self._score + 1e-12:
            self.labels, self._score = labels, score

    def _value(self, labels: np.ndarray) -> float:
        return float(self._quality[labels[:, None] == labels[None, :]].sum())


def _most_open(problem: Relaxation) -> tuple[int, int]:
    """Two groups, the earlier one first, of which it is least clear whether they are together."""
    relaxed = problem.relaxed()
    doubt = np.where(problem.apart, -1.0, relaxed * (1.0 - relaxed))
    i, j = np.unravel_index(np.argmax(np.triu(doubt + 1.0, k=1)), doubt.shape)
    return int(i), int(j)

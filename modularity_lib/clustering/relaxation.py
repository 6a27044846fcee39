"""An upper bound on Q from the relaxed problem: a matrix of who is together, between 0 and 1, in place of a partition.

X_ij = 1 where i and j share a module, else 0, is positive semidefinite with ones on its diagonal and has no negative
entry. Over all such X that obey the star inequalities of `compiled_cuts`, sum_ij B_ij X_ij is at most, for any numbers
y_i, N_ij >= 0 and λ_s >= 0,

    sum_i y_i + sum_s λ_s + n max(0, largest eigenvalue of B + N - L(λ) - Diag(y)),

with the L of `weights_of_pairs`: whatever a solver does, this is a bound. The method of multipliers makes it small.
"""

from dataclasses import dataclass, replace
from time import monotonic

import numpy as np

_STEPS = 25  # of the method between two bounds
_ROUND = 4  # bounds between two searches for violated stars
_LEAST_VIOLATION = 1e-2  # of a star that is added; the bound needs no more
_MOST_OF_A_PAIR = 4  # stars that are added at once
_MOST_ADDED = 2000
_MOST_LEAVES = 16
_RELAXATION = 1.6  # of the step of X: below (1 + √5) / 2
_ROUNDING = 1e-12  # of an eigenvalue


@dataclass(eq=False)
class Relaxation:
    """The relaxed problem of some units, or groups of units, and where the method stands."""

    quality: np.ndarray  # B of two groups: the sum over their units; the largest |B_ij| of two units is about 1
    apart: np.ndarray  # groups that must not share a module
    together: np.ndarray  # X
    at_least_0: np.ndarray  # N
    slack: np.ndarray  # Z = Diag(y) + L(λ) - B - N, positive semidefinite
    stars: np.ndarray
    multipliers: np.ndarray  # λ
    penalty: float = 1.0
    upper: float = np.inf  # the least bound so far

    @classmethod
    def of(cls, quality: np.ndarray) -> "Relaxation":
        """Nothing is known: all units may share a module."""
        zeros, stars = np.zeros_like(quality), np.empty((0, _MOST_LEAVES + 1), dtype=np.int64)
        start = cls(quality, zeros > 0.0, np.eye(len(quality)), zeros, zeros, stars, np.empty(0))
        return start._bounded_at_once()

    def parted(self, i: int, j: int) -> "Relaxation":
        """The same problem where two groups are in different modules."""
        apart = self.apart.copy()
        apart[i, j] = apart[j, i] = True
        return replace(self, apart=apart)._bounded_at_once()

    def joined(self, i: int, j: int) -> "Relaxation":
        """The same problem where two groups are one: the later one becomes part of the earlier one."""
        i, j = min(i, j), max(i, j)
        group = np.arange(len(self.quality))
        group[j] = i
        group[j + 1 :] -= 1
        first = np.delete(np.arange(len(group)), j)
        stars = np.where(self.stars >= 0, group[self.stars], -1)
        leaves = np.sort(stars[:, 1:], axis=1)[:, ::-1]  # the largest first, so that -1 stays last
        twice = np.zeros(leaves.shape, dtype=bool)
        twice[:, 1:] = leaves[:, 1:] == leaves[:, :-1]
        stars[:, 1:] = np.sort(np.where(twice, -1, leaves), axis=1)[:, ::-1]
        kept = (stars[:, 2] >= 0) & ~(stars[:, 1:] == stars[:, :1]).any(axis=1)
        return replace(
            self,
            quality=_summed(self.quality, i, j),
            apart=_summed(self.apart.astype(float), i, j) > 0.0,
            together=self.together[np.ix_(first, first)],
            at_least_0=_summed(self.at_least_0, i, j),
            slack=_summed(self.slack, i, j),
            stars=stars[kept],
            multipliers=self.multipliers[kept],
        )._bounded_at_once()

    def _bounded_at_once(self) -> "Relaxation":
        """No more than all pairs that add to Q can be together; exact where no pair is left to be decided."""
        pairs = np.where(self.apart, 0.0, self.quality)
        np.fill_diagonal(pairs, 0.0)
        self.upper = min(self.upper, float(np.trace(self.quality) + np.maximum(pairs, 0.0).sum()))
        return self

    def improve(self, deadline: float) -> None:
        """Some steps of the method, then the violated stars are added and those without a multiplier left out.

        Past the deadline, a time of `time.monotonic`, there are no more steps.
        """
        from modularity_lib.clustering.compiled_cuts import weights_of_pairs

        n = len(self.quality)
        weights, step = weights_of_pairs(self.stars, self.multipliers, n), self._step_of_multipliers()
        for _ in range(_ROUND):
            for _ in range(_STEPS):
                y, weights, residual = self._step(weights, step)
                if monotonic() > deadline:
                    break
            self.upper = min(self.upper, self._bound(y, weights))
            primal = np.linalg.norm(self.together.diagonal() - 1.0) / (1.0 + np.sqrt(n))
            primal += np.linalg.norm(np.minimum(self.together, 0.0)) / (1.0 + np.linalg.norm(self.together))
            dual = np.linalg.norm(residual) / (1.0 + np.linalg.norm(self.quality))
            if not primal < 2.0 * dual:
                self.penalty /= 1.1
            elif dual > 2.0 * primal:
                self.penalty *= 1.1
            if monotonic() > deadline:
                return
        self._exchange_stars()

    def relaxed(self) -> np.ndarray:
        """X, with entries between 0 and 1."""
        return np.clip((self.together + self.together.T) / 2.0, 0.0, 1.0)

    def _step(self, weights: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Minimise over y, N, Z and λ in turn, then move X: the method of multipliers with several blocks."""
        from modularity_lib.clustering.compiled_cuts import left_sides, weights_of_pairs

        cost = weights - self.quality
        y = (cost - self.at_least_0 - self.slack - self.together / self.penalty).diagonal() + 1.0 / self.penalty
        rest = cost - self.together / self.penalty
        rest[np.diag_indices_from(rest)] -= y
        at_least_0 = rest - self.slack
        self.at_least_0 = np.where(self.apart, at_least_0, np.maximum(at_least_0, 0.0))
        np.fill_diagonal(self.at_least_0, 0.0)
        values, vectors = np.linalg.eigh(rest - self.at_least_0)
        positive = values > 0.0
        self.slack = (vectors[:, positive] * values[positive]) @ vectors[:, positive].T
        if len(self.stars):
            residual = cost - self.at_least_0 - self.slack
            residual[np.diag_indices_from(residual)] -= y
            excess = left_sides(self.stars, self.together - self.penalty * residual) - 1.0
            self.multipliers = np.maximum(self.multipliers + step / self.penalty * excess, 0.0)
            weights = weights_of_pairs(self.stars, self.multipliers, len(cost))
        residual = weights - self.quality - self.at_least_0 - self.slack
        residual[np.diag_indices_from(residual)] -= y
        self.together = self.together - _RELAXATION * self.penalty * residual
        return y, weights, residual

    def _bound(self, y: np.ndarray, weights: np.ndarray) -> float:
        """The bound at the top of this file; y here has the other sign."""
        matrix = self.quality + self.at_least_0 - weights
        matrix[np.diag_indices_from(matrix)] += y
        if not np.isfinite(matrix).all():
            return np.inf
        largest = np.linalg.eigvalsh(matrix)[-1] + _ROUNDING * np.abs(matrix).max()
        return float(self.multipliers.sum() - y.sum() + len(y) * max(0.0, largest))

    def _step_of_multipliers(self) -> float:
        """As large as the largest eigenvalue of the stars' inequalities allows, by the power method."""
        from modularity_lib.clustering.compiled_cuts import left_sides, weights_of_pairs

        if not len(self.stars):
            return 0.0
        vector, largest = np.ones(len(self.stars)), 1.0
        for _ in range(15):
            vector = left_sides(self.stars, weights_of_pairs(self.stars, vector, len(self.quality)))
            largest = float(np.linalg.norm(vector))
            vector /= largest
        return 0.9 / largest

    def _exchange_stars(self) -> None:
        from modularity_lib.clustering.compiled_cuts import few_of_each_pair, violated_stars

        needed = self.multipliers > 1e-7
        self.stars, self.multipliers = self.stars[needed], self.multipliers[needed]
        relaxed = self.relaxed()
        found, excess = violated_stars(relaxed, _LEAST_VIOLATION, 2)
        if len(found) < len(relaxed):  # the triangles first: most others follow from them
            found, excess = violated_stars(relaxed, _LEAST_VIOLATION, _MOST_LEAVES)
        found = found[np.argsort(-excess, kind="stable")[: 10 * _MOST_ADDED]]
        wide = np.full((len(found), _MOST_LEAVES + 1), -1)
        wide[:, : found.shape[1]] = found
        wide = wide[np.sort(np.unique(wide, axis=0, return_index=True)[1])]
        known = {star.tobytes() for star in self.stars}
        wide = wide[[star.tobytes() not in known for star in wide]]
        wide = wide[few_of_each_pair(wide, len(relaxed), _MOST_OF_A_PAIR)][:_MOST_ADDED]
        self.stars = np.concatenate([self.stars, wide])
        self.multipliers = np.concatenate([self.multipliers, np.zeros(len(wide))])


def _summed(matrix: np.ndarray, i: int, j: int) -> np.ndarray:
    """The matrix with row and column j added to those of i, and left out."""
    matrix = matrix.copy()
    matrix[i] += matrix[j]
    matrix[:, i] += matrix[:, j]
    return np.delete(np.delete(matrix, j, axis=0), j, axis=1)

"""Newman's modularity of a similarity matrix: adjacency, unit strengths and the score Q."""

from math import inf

import numpy as np
from numpy.typing import ArrayLike

from modularity_lib.arrays import flag, in_one_order, labels_of, real_number, shown, square_of

# What counts as rounding, be it a gap |S_ij - S_ji| or an entry below 0: no more than this fraction of the largest |S|
# off the diagonal, or than that one of the largest of all. A large diagonal must not make a lopsided matrix pass.
ROUNDING_TOLERANCE = 1e-6
ROUNDING_OF_ALL = 1e-12


class AllUnitsDead(ValueError):
    """The similarity matrix has no weight off its diagonal, so no unit can belong to a module."""


def all_units_dead(n_units: int) -> str:
    """Why so many units have no modules: not only an error, the column `reason` of the tables says it, too."""
    if n_units < 2:
        return (
            f"similarity must have at least two units, got {n_units}: a module is made of units that are similar to "
            "each other, so there are no modules to find. Leave this layer out."
        )
    return (
        f"similarity must have a non-zero entry off its diagonal, got none: all {n_units} "
        "units are dead, so there are no modules to find. Leave this layer out, or check that its units respond to the "
        "images."
    )


def to_adjacency(similarity: ArrayLike) -> np.ndarray:
    """Weighted graph of the units: the similarity matrix without its diagonal.

    A_ij = (S_ij + S_ji) / 2 for i != j,    A_ii = 0

    Args:
        similarity: S, shape (units, units); non-negative and symmetric off its diagonal, which is ignored. Any scale.
            An array, a list, a DataFrame, a tensor, or a sparse matrix, which becomes a dense one. Entries below 0 by
            no more than rounding, 1e-6 of the largest off the diagonal or 1e-12 of the largest of all, count as 0. The
            columns of a DataFrame are brought into the order of its rows.
    Returns:
        A, float64, shape (units, units); exactly symmetric, on the scale of S.
    Raises:
        ValueError: S is not a square array of real numbers, not finite, not symmetric, or negative off the diagonal.
        AllUnitsDead: S is zero everywhere off the diagonal.

    >>> to_adjacency(np.array([[1.0, 0.5], [0.5, 1.0]]))
    array([[0. , 0.5],
           [0.5, 0. ]])
    """
    adjacency = adjacency_of("similarity", similarity)
    if not adjacency.any():
        raise AllUnitsDead(all_units_dead(len(adjacency)))
    return adjacency


def adjacency_of(name: str, similarity: ArrayLike, *, signed: bool = False) -> np.ndarray:
    """The adjacency, which may be all 0; an error calls the similarity by its name. Otherwise as `to_adjacency`.

    With `signed`, entries may be negative and keep their sign.
    """
    adjacency = square_of(name, similarity)  # a copy: the caller's matrix keeps its diagonal
    rounding = ROUNDING_OF_ALL * float(np.abs(adjacency).max(initial=0.0))
    np.fill_diagonal(adjacency, 0.0)
    rounding = max(rounding, ROUNDING_TOLERANCE * float(np.abs(adjacency).max(initial=0.0)))
    is_symmetric = bool((adjacency == adjacency.T).all())
    if is_symmetric and adjacency.min(initial=0.0) >= 0.0:  # the usual case, which needs no second look
        return adjacency
    _check_weights(name, adjacency, rounding, signed=signed)
    if not signed:
        np.maximum(adjacency, 0.0, out=adjacency)
    mean = 0.5 * adjacency + 0.5 * adjacency.T  # halved before the sum, which could overflow
    return np.where(adjacency == adjacency.T, adjacency, mean)  # but half of the smallest number is 0


def normalised_adjacency(similarity: ArrayLike) -> np.ndarray:
    """Share of the total weight on every pair of units: Ã = A / sum(A).

    Args:
        similarity: S, as in `to_adjacency`.
    Returns:
        Ã, float64, shape (units, units), dimensionless; sums to 1.
    Raises:
        ValueError, AllUnitsDead: as `to_adjacency`.

    >>> normalised_adjacency(np.array([[9.0, 4.0], [4.0, 9.0]]))
    array([[0. , 0.5],
           [0.5, 0. ]])
    """
    adjacency = to_adjacency(similarity)
    adjacency /= adjacency.max()  # first, so that the sum neither overflows nor vanishes
    return adjacency / adjacency.sum()


def strengths(similarity: ArrayLike) -> np.ndarray:
    """Strength of every unit as a share of the total: a_i = sum_j Ã_ij. Larger = more similar to the others.

    Args:
        similarity: S, as in `to_adjacency`.
    Returns:
        a, shape (units,), in [0, 1/2]; sums to 1.
    Raises:
        ValueError, AllUnitsDead: as `to_adjacency`.

    >>> strengths(np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]]))
    array([0.5 , 0.25, 0.25])
    """
    return normalised_adjacency(similarity).sum(axis=1)


def dead_units(similarity: ArrayLike) -> np.ndarray:
    """Which units belong to no module: those with a_i = 0, similar to no other unit at all.

    A unit that is silent on all images has outgoing weights that a penalty may have shrunk to 1e-38. Downstream it is
    not dead by this rule; the search puts it somewhere, and where its links to other live units are below 1e-12 of the
    total, rounding may decide where. With a threshold it would be dead upstream and downstream alike; Q would stay the
    same, but the clusterings of different families would agree more than in the paper.

    Args:
        similarity: S, as in `to_adjacency`; it may be zero off its diagonal.
    Returns:
        boolean array, shape (units,); True = dead.
    Raises:
        ValueError: as `to_adjacency`.

    >>> dead_units(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]]))
    array([False, False,  True])
    """
    adjacency = adjacency_of("similarity", similarity)
    return np.asarray(~adjacency.any(axis=1))  # not by strengths, which vanish beside weights 1e308 times as large


def modularity_matrix(similarity: ArrayLike, *, resolution: float = 1.0, signed: bool = False) -> np.ndarray:
    """Weight of every pair beyond what unit strengths predict: B = Ã - γ a aᵀ.

    Signed: with the positive and negative parts A = A⁺ - A⁻, their sums w⁺ and w⁻ and strengths k⁺ and k⁻,

        B = (A⁺ - γ k⁺ k⁺ᵀ / w⁺) / w⁺ - (A⁻ - γ k⁻ k⁻ᵀ / w⁻) / (w⁺ + w⁻)

    So what units have in common counts in full, and what parts them by its share of all weight. Where both count by
    their shares (Gómez, Jensen & Arenas 2009), groups that have nothing in common but their opponents are joined.

    Args:
        similarity: S, as in `to_adjacency`; with `signed`, its entries may be negative.
        resolution: γ > 0. Larger = more and smaller modules.
        signed: whether negative entries count as units that are parted, which makes no difference where there are none.
    Returns:
        B, shape (units, units), dimensionless; for γ = 1 every row sums to 0.
    Raises:
        ValueError, AllUnitsDead: as `to_adjacency`; resolution is no positive, finite number.
    Source: Newman (2006), PNAS 103:8577; Reichardt & Bornholdt (2006), PRE 74:016110, for γ; Rubinov & Sporns
        (2011), NeuroImage 56:2068, for signed weights.

    >>> modularity_matrix(np.array([[0, 1], [1, 0]]))
    array([[-0.25,  0.25],
           [ 0.25, -0.25]])
    """
    resolution, signed = checked_resolution(resolution), flag("signed", signed)
    if not signed:
        share = normalised_adjacency(similarity)
        strength = share.sum(axis=1)
        return share - resolution * np.outer(strength, strength)
    adjacency = adjacency_of("similarity", similarity, signed=True)
    if not adjacency.any():
        raise AllUnitsDead(all_units_dead(len(adjacency)))
    share = adjacency / np.abs(adjacency).max()  # first, so that no sum overflows or vanishes
    weight = np.abs(share).sum()
    matrix = np.zeros_like(share)
    for sign in (1.0, -1.0):
        part = np.maximum(sign * share, 0.0)
        total = part.sum()
        if total > 0.0:
            strength = part.sum(axis=1)
            beyond = part - resolution * np.outer(strength, strength / total)
            matrix += beyond / total if sign > 0.0 else -beyond / weight
    return matrix


def modularity_score(
    similarity: ArrayLike, labels: ArrayLike, *, resolution: float = 1.0, signed: bool = False
) -> float:
    """Modularity Q: weight inside modules beyond what unit strengths predict. Higher = more modular.

    Q = Tr Pᵀ(Ã - γ a aᵀ)P = sum_c [ sum_{i,j in c} Ã_ij - γ (sum_{i in c} a_i)^2 ]

    Args:
        similarity: S, as in `to_adjacency`; with `signed`, its entries may be negative.
        labels: module of each unit, shape (units,), integers, or a Clustering; -1 = in no module. Such a unit adds no
            term, but its weight stays in the total (for a dead unit that weight is 0).
        resolution: γ > 0, 1 in the usual Q. Larger = more and smaller modules are best.
        signed: take negative entries as weights that part units: Tr PᵀBP with the B of `modularity_matrix`.
    Returns:
        Q, dimensionless; for γ = 1 without signed in [-1/2, 1) when every live unit has a module, and 0 when they all
        share one; signed, in [-1, 1].
    Raises:
        ValueError: S is refused by `to_adjacency`, labels are not one integer >= -1 per unit, or another argument is
            out of its range.
        AllUnitsDead: as `to_adjacency`.
    Source: as in `modularity_matrix`.

    >>> two_pairs = np.kron(np.eye(2), np.ones((2, 2)))  # units 0-1 and 2-3 linked
    >>> modularity_score(two_pairs, np.array([0, 0, 1, 1]))
    0.5
    """
    resolution, signed = checked_resolution(resolution), flag("signed", signed)
    similarity, labels = in_one_order(similarity=similarity, labels=labels)
    if signed:
        matrix = modularity_matrix(similarity, resolution=resolution, signed=True)
        module_of = labels_of("labels", labels, n_units=len(matrix))
        return float(matrix[(module_of[:, None] == module_of[None, :]) & (module_of >= 0)].sum())
    share = normalised_adjacency(similarity)
    given = labels_of("labels", labels, n_units=len(share))
    clustered = given >= 0
    _, module = np.unique(given[clustered], return_inverse=True)
    inside = share[np.ix_(clustered, clustered)][module[:, None] == module[None, :]].sum()
    expected = np.square(np.bincount(module, weights=share.sum(axis=1)[clustered])).sum()
    return float(inside - resolution * expected)


def checked_resolution(resolution: object) -> float:
    """The resolution as a float; ValueError unless it is a positive, finite number."""
    number = real_number(resolution)
    if not 0.0 < number < inf:
        raise ValueError(
            f"resolution must be a positive, finite number, got {shown(resolution)}. 1 is the usual modularity; larger "
            "numbers give more and smaller modules."
        )
    return number


def _check_weights(name: str, adjacency: np.ndarray, rounding: float, *, signed: bool) -> None:
    largest = float(np.abs(adjacency).max(initial=0.0))
    if largest == 0.0:
        return
    gap = np.abs(adjacency / largest - adjacency.T / largest)  # divided before: no difference overflows
    i, j = np.unravel_index(np.argmax(gap), gap.shape)
    if gap[i, j] * largest > rounding:
        raise ValueError(
            f"{name} must be symmetric: units {i} and {j} have {adjacency[i, j]:.6g} one way and "
            f"{adjacency[j, i]:.6g} the other, a gap of {gap[i, j]:.1e} of the largest entry (allowed "
            f"{rounding / largest:.0e}). If that is rounding, pass (S + S.T) / 2."
        )
    i, j = np.unravel_index(np.argmin(adjacency), adjacency.shape)
    if adjacency[i, j] < -rounding and not signed:
        raise ValueError(
            f"{name} must not be negative off its diagonal, got {adjacency[i, j]:.6g} at units ({i}, {j}). Two ways "
            "out: signed=True, of find_modules and modularity_score, parts units that go oppositely; np.abs(S) "
            "joins them, as the paper does."
        )

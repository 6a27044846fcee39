"""Newman's modularity of a similarity matrix: adjacency, unit strengths and the score Q."""

import numpy as np

SYMMETRY_TOLERANCE = 1e-6  # largest |S_ij - S_ji| allowed, as a fraction of the largest off-diagonal |S|

# Not only an error: the column `reason` of the tables says it, too.
ALL_UNITS_DEAD = (
    "similarity must have a non-zero entry off its diagonal, got none: all {units} units are dead, so there are no "
    "modules to find. Leave this layer out, or check that its units respond to the images."
)


class AllUnitsDead(ValueError):
    """The similarity matrix has no weight off its diagonal, so no unit can belong to a module."""


def to_adjacency(similarity: np.ndarray) -> np.ndarray:
    """Weighted graph of the units: the similarity matrix without its diagonal.

    A_ij = (S_ij + S_ji) / 2 for i != j,    A_ii = 0

    Args:
        similarity: S, shape (units, units); non-negative and symmetric off its diagonal, which is ignored. Any scale.
    Returns:
        A, float64, shape (units, units); exactly symmetric, on the scale of S.
    Raises:
        ValueError: S is not a square array of real numbers, not finite, not symmetric, or negative off the diagonal.
        AllUnitsDead: S is zero everywhere off the diagonal.

    >>> to_adjacency(np.array([[1.0, 0.5], [0.5, 1.0]]))
    array([[0. , 0.5],
           [0.5, 0. ]])
    """
    adjacency = _weights(similarity)
    if not adjacency.any():
        raise AllUnitsDead(ALL_UNITS_DEAD.format(units=len(adjacency)))
    return adjacency


def _weights(similarity: np.ndarray) -> np.ndarray:
    """The adjacency, which may be all 0; checked as `to_adjacency` says."""
    given = np.asarray(similarity)
    if given.ndim != 2 or given.shape[0] != given.shape[1] or given.dtype.kind not in "biuf":
        raise ValueError(
            f"similarity must be a square array of real numbers with shape (units, units), got shape {given.shape} of "
            f"{given.dtype}. Pass the matrix of one layer; activity goes through similarity/measures.py first."
        )
    adjacency = given.astype(np.float64)  # a copy: the caller's matrix keeps its diagonal
    _check_finite(adjacency)
    np.fill_diagonal(adjacency, 0.0)
    _check_weights(adjacency)
    return 0.5 * adjacency + 0.5 * adjacency.T  # halved before the sum: no overflow at any scale


def normalised_adjacency(similarity: np.ndarray) -> np.ndarray:
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


def strengths(similarity: np.ndarray) -> np.ndarray:
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


def dead_units(similarity: np.ndarray) -> np.ndarray:
    """Which units belong to no module: those with a_i = 0, similar to no other unit at all.

    A unit that is silent on all images has outgoing weights that a penalty may have shrunk to 1e-38. Downstream it is
    not dead by this rule; the search puts it somewhere, and gains too small for rounding may decide where. With a
    threshold it would be dead upstream and downstream alike; Q would stay the same, but the clusterings of different
    families would agree more than in the paper.

    Args:
        similarity: S, as in `to_adjacency`; it may be zero off its diagonal.
    Returns:
        boolean array, shape (units,); True = dead.
    Raises:
        ValueError: as `to_adjacency`.

    >>> dead_units(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]]))
    array([False, False,  True])
    """
    if not _weights(similarity).any():
        return np.ones(len(similarity), dtype=bool)
    return strengths(similarity) == 0


def modularity_matrix(similarity: np.ndarray) -> np.ndarray:
    """Weight of every pair beyond what unit strengths predict: B = Ã - a aᵀ.

    Args:
        similarity: S, as in `to_adjacency`.
    Returns:
        B, shape (units, units), dimensionless; every row sums to 0.
    Raises:
        ValueError, AllUnitsDead: as `to_adjacency`.
    Source: Newman (2006), PNAS 103:8577.

    >>> modularity_matrix(np.array([[0, 1], [1, 0]]))
    array([[-0.25,  0.25],
           [ 0.25, -0.25]])
    """
    share = normalised_adjacency(similarity)
    strength = share.sum(axis=1)
    return share - np.outer(strength, strength)


def modularity_score(similarity: np.ndarray, labels: np.ndarray) -> float:
    """Modularity Q: weight inside modules beyond what unit strengths predict. Higher = more modular.

    Q = Tr Pᵀ(Ã - a aᵀ)P = sum_c [ sum_{i,j in c} Ã_ij - (sum_{i in c} a_i)^2 ]

    Args:
        similarity: S, as in `to_adjacency`.
        labels: module of each unit, shape (units,), integers; -1 = in no module. Such a unit adds no term, but its
            weight stays in the total (for a dead unit that weight is 0).
    Returns:
        Q, dimensionless, in [-1/2, 1) when every live unit has a module; 0 when they all share one.
    Raises:
        ValueError: S is refused by `to_adjacency`, or labels are not one integer >= -1 per unit.
        AllUnitsDead: as `to_adjacency`.
    Source: Newman (2006), PNAS 103:8577.

    >>> two_pairs = np.kron(np.eye(2), np.ones((2, 2)))  # units 0-1 and 2-3 linked
    >>> modularity_score(two_pairs, np.array([0, 0, 1, 1]))
    0.5
    """
    share = normalised_adjacency(similarity)
    labels = _checked_labels(labels, n_units=len(share))
    clustered = labels >= 0
    _, module = np.unique(labels[clustered], return_inverse=True)
    inside = share[np.ix_(clustered, clustered)][module[:, None] == module[None, :]].sum()
    expected = np.square(np.bincount(module, weights=share.sum(axis=1)[clustered])).sum()
    return float(inside - expected)


def _check_finite(similarity: np.ndarray) -> None:
    bad = np.argwhere(~np.isfinite(similarity))
    if len(bad):
        i, j = bad[0]
        raise ValueError(
            f"similarity must be finite, got {similarity[i, j]} at units ({i}, {j}), the first of {len(bad)} such "
            "entries. A normalised measure must be 0, not NaN, where a unit's own similarity S_ii is 0."
        )


def _check_weights(adjacency: np.ndarray) -> None:
    largest = np.abs(adjacency).max(initial=0.0)
    if largest == 0.0:
        return
    # Relative to the weights that count: a large diagonal must not make a lopsided matrix pass.
    gap = np.abs(adjacency / largest - adjacency.T / largest)
    i, j = np.unravel_index(np.argmax(gap), gap.shape)
    if gap[i, j] > SYMMETRY_TOLERANCE:
        raise ValueError(
            f"similarity must be symmetric: units {i} and {j} have {adjacency[i, j]:.6g} one way and "
            f"{adjacency[j, i]:.6g} the other, a gap of {gap[i, j]:.1e} of the largest entry (allowed "
            f"{SYMMETRY_TOLERANCE:.0e}). If that is rounding, pass (S + S.T) / 2."
        )
    i, j = np.unravel_index(np.argmin(adjacency), adjacency.shape)
    if adjacency[i, j] < 0.0:
        raise ValueError(
            f"similarity must not be negative off its diagonal, got {adjacency[i, j]:.6g} at units ({i}, {j}). Pass "
            "np.abs(S), as the paper does: Q has no meaning for negative weights."
        )


def _checked_labels(labels: np.ndarray, *, n_units: int) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.shape != (n_units,):
        raise ValueError(
            f"labels must hold one module per unit, shape ({n_units},), got shape {labels.shape}. Labels and "
            "similarity must come from the same layer, dead units included."
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be integers, got {labels.dtype}. Modules are counted 0, 1, ... and -1 marks a dead unit."
        )
    if labels.min() < -1:
        unit = int(np.argmin(labels))
        raise ValueError(
            f"labels must be at least -1, got {labels[unit]} for unit {unit}. Use -1, and only -1, for a dead unit."
        )
    return labels

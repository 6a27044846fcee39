"""Element-centric similarity of many pairs of clusterings at once, each over units of its own."""

import numpy as np

_CELLS_AT_ONCE = 2_000_000  # of the tables of overlaps that are held together: 16 MB in each of a few arrays


def element_centric_of_pairs(a: np.ndarray, b: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Element-centric similarity of many pairs, and what chance alone would give; higher = more alike.

    The same as `scores.element_centric_similarity` and `scores.expected_element_centric_similarity` of
    `a[pair, counted[pair]]` and `b[pair, counted[pair]]`, up to rounding, in a fraction of the
    time.

    Args:
        a, b: module of each unit, shape (pairs, units), whole numbers from 0; -1 = dead, one more module.
        counted: which units are compared, shape (pairs, units), at least one of each pair.
    Returns:
        similarity and chance, each of shape (pairs,), fractions in (0, 1].
    Raises:
        ValueError: shapes that differ, labels below -1, or a pair without units.

    >>> a, b = np.array([[-1, 0, 0, 1, 1]]), np.array([[-1, 0, 0, 0, 0]])
    >>> [values.tolist() for values in element_centric_of_pairs(a, b, a >= 0)]
    [[0.5], [0.5]]
    """
    a, b, counted = np.asarray(a), np.asarray(b), np.asarray(counted, dtype=bool)
    if a.ndim != 2 or a.shape != b.shape or a.shape != counted.shape:
        raise ValueError(
            f"a, b and counted must all have the shape (pairs, units), got {a.shape}, {b.shape} and {counted.shape}."
        )
    if a.size and min(a.min(), b.min()) < -1:
        raise ValueError(f"a and b must hold modules from 0, or -1 for dead units, got {min(a.min(), b.min())}.")
    if not counted.any(axis=1).all():
        empty = int(np.argmin(counted.any(axis=1)))
        raise ValueError(f"counted must have a unit of every pair, got none of pair {empty}. Leave such pairs out.")
    similarity, chance = np.empty(len(a)), np.empty(len(a))
    n_cells = (a.max(initial=0) + 2) * (b.max(initial=0) + 2)
    step = max(1, _CELLS_AT_ONCE // int(n_cells))
    for first in range(0, len(a), step):
        few = slice(first, first + step)
        similarity[few], chance[few] = _of_few(a[few] + 1, b[few] + 1, counted[few])
    return similarity, chance


def _of_few(a: np.ndarray, b: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same for clusters numbered from 0, the dead units' among them, all tables of overlaps at once."""
    n_pairs, n_rows, n_columns = len(a), int(a.max()) + 1, int(b.max()) + 1
    cell = (np.arange(n_pairs)[:, None] * n_rows + a) * n_columns + b
    shared = np.bincount(cell[counted], minlength=n_pairs * n_rows * n_columns).astype(float)
    shared = shared.reshape(n_pairs, n_rows, n_columns)
    rows, columns = shared.sum(axis=2)[:, :, None], shared.sum(axis=1)[:, None, :]
    larger = np.maximum(np.maximum(rows, columns), 1.0)  # 1 where both are empty, and nothing is shared
    units = counted.sum(axis=1).astype(float)
    n = units[:, None, None]
    expected = rows * columns / n + rows * (rows - 1) * columns * (columns - 1) / (n * np.maximum(n - 1, 1))
    similarity, chance = ((squares / larger).sum(axis=(1, 2)) / units for squares in (shared**2, expected))
    return similarity, chance

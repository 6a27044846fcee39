"""How many units each module of one clustering shares with each of another."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from modularity_lib.arrays import in_one_order, labels_of

# Cells up to which a table is held whole, empty overlaps included: enough for 256 units that are each a module. The
# published scores are sums over whole tables, and the order of a sum decides its last bit.
WHOLE_TABLE = 65_536


@dataclass(frozen=True)
class Overlaps:
    """Units shared by each cluster of a and each of b: the cells that are not empty, row by row.

    Clusters are sorted by size, largest first; of modules of equal size, the one that holds the first unit comes last.
    Among equal overlaps a later module is matched earlier. Dead units come at the end.
    """

    shared: np.ndarray  # (cells,) units in each, all > 0
    shared_rows: np.ndarray  # (cells,) cluster of a
    shared_columns: np.ndarray  # (cells,) cluster of b
    a_sizes: np.ndarray  # (clusters of a,)
    b_sizes: np.ndarray  # (clusters of b,)
    rows: np.ndarray  # (units,) row of each unit
    columns: np.ndarray  # (units,) column of each unit
    n_modules_a: int  # clusters of a but for the dead units
    n_modules_b: int

    @property
    def n_cells(self) -> int:
        """Cells of the whole table."""
        return self.a_sizes.size * self.b_sizes.size

    def table(self, values: np.ndarray) -> np.ndarray:
        """Values of the cells that are not empty in the whole table, (clusters of a, clusters of b); else 0."""
        table = np.zeros((self.a_sizes.size, self.b_sizes.size), dtype=values.dtype)
        table[self.shared_rows, self.shared_columns] = values
        return table

    def sum_of(self, values: np.ndarray) -> float:
        """Sum over the table of values that are 0 where it is empty."""
        return float((self.table(values) if self.n_cells <= WHOLE_TABLE else values).sum())


def overlaps_of(a: ArrayLike, b: ArrayLike) -> Overlaps:
    """Count the units shared by each cluster of a and of b; ValueError unless both label the same units."""
    a, b = in_one_order(a=a, b=b)
    a, b = labels_of("a", a), labels_of("b", b)
    if a.size != b.size:
        raise ValueError(
            f"a and b must label the same units, got {a.size} and {b.size} labels. Two clusterings are compared within "
            "one layer of one network."
        )
    rows, n_modules_a = _ranked(a)
    columns, n_modules_b = _ranked(b)
    a_sizes, b_sizes = np.bincount(rows), np.bincount(columns)
    cells, shared = np.unique(rows * b_sizes.size + columns, return_counts=True)
    return Overlaps(
        shared, cells // b_sizes.size, cells % b_sizes.size, a_sizes, b_sizes, rows, columns, n_modules_a, n_modules_b
    )


def _ranked(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the clusters 0, 1, ... in the order of `Overlaps`; also return how many modules there are."""
    names, first_unit, index, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    is_dead = names == -1
    rank = np.empty(names.size, dtype=np.int64)
    rank[np.lexsort((-first_unit, -sizes, is_dead))] = np.arange(names.size)
    return rank[index], names.size - int(np.count_nonzero(is_dead))

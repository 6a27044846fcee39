"""How many units each module of one clustering shares with each of another."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Overlaps:
    """Units shared by each cluster of a and each of b.

    Modules are sorted by size, largest first; of modules of equal size, the one that holds the first unit comes last.
    Among equal overlaps a later module is matched earlier. Dead units come at the end.
    """

    counts: np.ndarray  # (clusters of a, clusters of b)
    rows: np.ndarray  # (units,) row of each unit
    columns: np.ndarray  # (units,) column of each unit
    n_modules_a: int  # clusters of a but for the dead units
    n_modules_b: int


def overlaps_of(a: np.ndarray, b: np.ndarray) -> Overlaps:
    """Count the units shared by each cluster of a and of b; ValueError unless both label the same units."""
    a, b = _checked_labels("a", a), _checked_labels("b", b)
    if a.size != b.size:
        raise ValueError(
            f"a and b must label the same units, got {a.size} and {b.size} labels. Two clusterings are compared within "
            "one layer of one network."
        )
    rows, n_clusters_a, n_modules_a = _ranked(a)
    columns, n_clusters_b, n_modules_b = _ranked(b)
    counts = np.bincount(rows * n_clusters_b + columns, minlength=n_clusters_a * n_clusters_b)
    return Overlaps(counts.reshape(n_clusters_a, n_clusters_b), rows, columns, n_modules_a, n_modules_b)


def _ranked(labels: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Number the clusters 0, 1, ... in the order of `Overlaps`; also return how many clusters and modules there are."""
    names, first_unit, index, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    is_dead = names == -1
    rank = np.empty(names.size, dtype=np.int64)
    rank[np.lexsort((-first_unit, -sizes, is_dead))] = np.arange(names.size)
    return rank[index], names.size, names.size - int(np.count_nonzero(is_dead))


def _checked_labels(name: str, labels: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(
            f"{name} must be one label per unit, shape (units,) with at least one unit, got shape {labels.shape}."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{name} must hold whole numbers, got dtype {labels.dtype}. A label is the number of a module, or -1 for a "
            "dead unit; convert with .astype(int)."
        )
    if labels.min() < -1:
        raise ValueError(f"{name} must be module numbers >= 0, or -1 for a dead unit, got {labels.min()}.")
    return labels

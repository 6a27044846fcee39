"""A clustering: the module of each unit of a layer, and how the modules were found."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modularity_lib.clustering.modularity import all_units_dead


@dataclass(frozen=True, eq=False)
class Clustering:
    """Modules of the units of one layer, and how they were found.

    A layer whose units are all dead has no modules: `status` is "all_units_dead", the labels are all -1, and Q is NaN.
    Where an array is wanted, by a score of agreement or by NumPy, a clustering is its labels.
    """

    labels: np.ndarray  # module of each unit, 0, 1, ... in order of first appearance; -1 = dead unit; read-only
    score: float  # modularity Q of the labels
    method: str  # "best", "paper", "spectral-paper" or "spectral-newman"
    spectral_score: float | None = None  # Q of the spectral start; None where there was none
    seed: int | None = None  # None where nothing is drawn at random, and so for the other settings of the search
    restarts: int | None = None
    steps: int | None = None
    target_entropy: float | None = None  # in nats
    resolution: float = 1.0
    signed: bool = False
    names: tuple[Any, ...] | None = None  # of the units, where the similarity had some
    similarity: np.ndarray | None = field(default=None, repr=False)  # S off its diagonal and 0 on it; read-only

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.labels, dtype=dtype, copy=copy)

    @property
    def status(self) -> str:
        """Either "ok" or "all_units_dead".

        >>> from modularity_lib.clustering.paper_search import spectral_modules
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

        >>> from modularity_lib.clustering.paper_search import spectral_modules
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

        >>> from modularity_lib.clustering.paper_search import spectral_modules
        >>> spectral_modules(np.kron(np.eye(2), np.ones((2, 2)))).communities()
        [{0, 1}, {2, 3}]
        """
        return [
            set(np.flatnonzero(self.labels == module).tolist()) for module in range(self.labels.max(initial=-1) + 1)
        ]


def in_order_of_appearance(labels: np.ndarray) -> np.ndarray:
    """The same clustering with its modules numbered 0, 1, ... as they first appear; an array that cannot be changed."""
    live = labels >= 0
    _, first, module = np.unique(labels[live], return_index=True, return_inverse=True)
    ordered = np.full(len(labels), -1)
    ordered[live] = np.argsort(np.argsort(first))[module]
    return unchangeable(ordered)


def unchangeable(array: np.ndarray) -> np.ndarray:
    """The array itself, read-only: a record that says how it was made must not change afterwards."""
    array.setflags(write=False)
    return array

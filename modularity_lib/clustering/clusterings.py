"""A clustering: the module of each unit of a layer, and how the modules were found."""

from dataclasses import dataclass, field, fields
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from modularity_lib.arrays import check_names, shown
from modularity_lib.clustering.keeping import facts_to_names, names_to_facts, read_record, write_record
from modularity_lib.clustering.modularity import all_units_dead
from modularity_lib.clustering.pictures import SHARE, draw_modules
from modularity_lib.extras import need_extra

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_MOST_SIZES = 10  # of modules that are printed one by one


@dataclass(frozen=True, eq=False)
class Clustering:
    """Modules of the units of one layer, and how they were found.

    A layer whose units are all dead has no modules: `status` is "all_units_dead", the labels are all -1, and Q is NaN.
    Where an array is wanted, by a score of agreement or by NumPy, a clustering is its labels. Two are equal if all
    their fields are.
    """

    # Module of each unit, -1 = dead unit; read-only. Modules are numbered 0, 1, ... in order of first appearance, but
    # by `match_modules` as in the clustering before: then numbers may be missing.
    labels: np.ndarray
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

    def __post_init__(self) -> None:
        check_names("names", self.names)
        if self.names is not None and len(self.names) != len(self.labels):
            raise ValueError(
                f"names must be one for each of {len(self.labels)} units, got {len(self.names)}. Leave them out, or "
                "name all units, dead ones included."
            )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.labels, dtype=dtype, copy=copy)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Clustering) or type(other) is not type(self):
            return NotImplemented
        return all(_equal(getattr(self, one.name), getattr(other, one.name)) for one in fields(self))

    def __hash__(self) -> int:
        return hash(self.labels.tobytes())

    def __str__(self) -> str:
        """What was found, in a line: `print(modules)`.

        >>> from modularity_lib.clustering.search import find_modules
        >>> print(find_modules(np.kron(np.diag([1, 1, 0]), np.ones((2, 2)))))
        2 modules of 2 and 2 units, 2 dead units: Q = 0.500
        """
        sizes = np.unique(self.labels[self.labels >= 0], return_counts=True)[1].tolist()
        dead = int(np.count_nonzero(self.labels < 0))
        also = f", {_count(dead, 'dead unit')}" if dead else ""
        if not sizes:
            return f"no modules{also}"
        *first, last = map(str, sizes)
        each = f"{', '.join(first)} and {last}" if first else last
        if len(sizes) > _MOST_SIZES:
            each = f"{min(sizes)} to {max(sizes)}"
        score = "" if np.isnan(self.score) else f": Q = {self.score:.3f}"  # of labels alone it is not known
        return f"{_count(len(sizes), 'module')} of {each} unit{'s' * (sizes != [1])}{also}{score}"

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
        shares = np.unique(self.labels[self.labels >= 0], return_counts=True)[1] / len(self.labels)
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
            set(np.flatnonzero(self.labels == module).tolist()) for module in np.unique(self.labels[self.labels >= 0])
        ]

    def to_frame(self) -> "pd.DataFrame":
        """A table with a row per unit: `unit`, its name, or its number where it has none, and `module`, -1 = dead.

        >>> from modularity_lib.clustering.search import find_modules
        >>> find_modules(np.kron(np.eye(2), np.ones((2, 2)))).to_frame()["module"].tolist()
        [0, 0, 1, 1]
        """
        import pandas as pd  # only tables need it

        units = np.arange(len(self.labels)) if self.names is None else pd.Index(self.names, tupleize_cols=False)
        return pd.DataFrame({"unit": units, "module": self.labels})

    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draw the similarity matrix in the order of the modules, dead units last, with lines between them.

        The diagonal counts as 0, as in the search. Up to 40 units are named one by one.

        Args:
            axes: of matplotlib, to draw on; None = those of a new figure.
        Returns:
            the axes; `modules.plot().figure.savefig("modules.png")` keeps the picture.
        Raises:
            ExtraMissing: matplotlib is not installed.
            ValueError: the clustering does not know its similarity, or axes are none.
        """
        need_extra("plot", "Clustering.plot takes", "matplotlib")
        import matplotlib.pyplot as plt
        from matplotlib.axes import Axes

        if self.similarity is None:
            raise ValueError("similarity must be kept in a clustering to be drawn, got None. Use that of find_modules.")
        if axes is None:
            _, axes = plt.subplots(figsize=(5.2, 4.4), layout="constrained")
        elif not isinstance(axes, Axes):
            raise ValueError(f"axes must be those of matplotlib, as of plt.subplots()[1], got {shown(axes)}.")
        image = draw_modules(axes, self.similarity, self.labels, self.names)
        dead = int(np.count_nonzero(self.labels < 0))
        found = f"Q = {self.score:.3f}, {_count(len(self.communities()), 'module')}" if self.status == "ok" else ""
        axes.set_title(", ".join(filter(None, [found, f"{_count(dead, 'dead unit')}" if dead else ""])), fontsize=10)
        axes.figure.colorbar(image, ax=axes, shrink=0.8, label=SHARE)
        return axes

    def save(self, path: "str | PathLike[str]") -> None:
        """Write the clustering to a file, whole or not at all, which `load_modules` reads.

        Args:
            path: of the file, of any name; one that is there is replaced.
        Raises:
            ValueError: the file cannot be written there, or a name of a unit is no text, number or tuple of these.
            OSError: writing fails, as on a full disk; what was there before is still there.
        """
        facts = {one.name: getattr(self, one.name) for one in fields(self)}
        arrays = {name: facts.pop(name) for name, value in list(facts.items()) if isinstance(value, np.ndarray)}
        if self.names is not None:
            facts["names"] = names_to_facts(self.names)
        write_record(path, type(self).__name__, facts, arrays)


@dataclass(frozen=True, eq=False, kw_only=True)
class ConsensusModules(Clustering):
    """Modules that many searches agree on: a clustering, and how sure each unit is of its company in it."""

    confidence: np.ndarray  # of each unit, in [0, 1]: see `consensus_modules`; NaN = dead unit; read-only
    core: np.ndarray  # whether a unit is of the core of its module; read-only
    n_partitions: int  # how many different ones the searches ended in
    scores: np.ndarray = field(repr=False)  # Q of each search; read-only
    searches: int

    def __str__(self) -> str:
        """What was found, in a line: `print(agreed)`.

        >>> from modularity_lib.clustering.consensus import consensus_modules
        >>> print(consensus_modules(np.kron(np.eye(2), np.ones((3, 3))), searches=10))
        2 modules of 3 and 3 units: Q = 0.500; confidence 1.00 on average, 1 partition in 10 searches
        """
        found = super().__str__()
        if self.status != "ok":
            return found
        several = _count(self.n_partitions, "partition")
        return (
            f"{found}; confidence {np.nanmean(self.confidence):.2f} on average, {several} in {self.searches} searches"
        )

    def to_frame(self) -> "pd.DataFrame":
        """A table with a row per unit: `unit` and `module` as for any clustering, `confidence` and `core`.

        >>> from modularity_lib.clustering.consensus import consensus_modules
        >>> consensus_modules(np.kron(np.eye(2), np.ones((2, 2))), searches=3).to_frame()["confidence"].tolist()
        [1.0, 1.0, 1.0, 1.0]
        """
        return super().to_frame().assign(confidence=self.confidence, core=self.core)


_KINDS: dict[str, type[Clustering]] = {kind.__name__: kind for kind in (Clustering, ConsensusModules)}  # in files


def load_modules(path: "str | PathLike[str]") -> Clustering:
    """The clustering, or the `ConsensusModules`, that its `save` wrote to a file, equal in every field.

    The file is NumPy's .npz with a checksum; nothing in it is run.

    Raises:
        ValueError: there is no such file, something else wrote it, a newer version of this library did, or it is
            damaged.
        OSError: the file cannot be read.

    >>> import tempfile, pathlib
    >>> from modularity_lib.clustering.search import find_modules
    >>> modules = find_modules(np.kron(np.eye(2), np.ones((2, 2))))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     modules.save(pathlib.Path(folder, "layer4.modules"))
    ...     load_modules(pathlib.Path(folder, "layer4.modules")) == modules
    True
    """
    kind, facts, arrays = read_record(path, tuple(_KINDS))
    if facts["names"] is not None:
        facts["names"] = facts_to_names(facts["names"])
    return _KINDS[kind](**(facts | {name: unchangeable(array) for name, array in arrays.items()}))


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


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return type(a) is type(b) and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return bool(a is b or a == b or (a != a and b != b))  # NaN too: Q of dead units


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"

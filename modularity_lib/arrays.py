"""What public functions are given, read in one place: matrices and labels in whatever they come, whole numbers, flags.

What holds the wanted numbers without doubt is taken: NumPy arrays, lists, tables of pandas, tensors of PyTorch of any
precision, layout and device, sparse matrices. All else is refused by the name of the argument, with the way out. No
library is imported for that: whoever passes a tensor has loaded PyTorch.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from math import nan
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

_LONGEST_SHOWN = 80  # characters of a value in an error


def square_of(name: str, value: object) -> np.ndarray:
    """Similarity of every two units: a finite float64 array (units, units), a copy.

    >>> square_of("similarity", [[1, 0], [0, 1]])
    array([[1., 0.],
           [0., 1.]])
    """
    array = numbers_of(name, value, _MATRIX)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.dtype.kind not in "biuf":
        raise ValueError(_refusal(name, value, array, _MATRIX))
    order = _order_of_columns(name, value)
    if order is not None:
        array = array[:, order]
    check_names(f"the rows of {name}", names_of(value))
    with np.errstate(over="ignore"):  # what is beyond float64 becomes infinite, and is refused as that
        matrix = array.astype(np.float64)
    if not np.isfinite(matrix).all():
        bad = np.argwhere(~np.isfinite(matrix))
        i, j = bad[0]
        advice = (
            "A normalised measure must be 0, not NaN, where a unit's own similarity S_ii is 0."
            if np.isnan(matrix[i, j])
            else "Infinity comes of numbers too large for their precision; compute the similarity in float64."
        )
        raise ValueError(
            f"{name} must be finite, got {matrix[i, j]} at units ({i}, {j}), the first of {len(bad)} such entries. "
            f"{advice}"
        )
    return matrix


def labels_of(name: str, value: object, *, n_units: int | None = None) -> np.ndarray:
    """Module of each unit: integers of at least -1, shape (units,); as many as `n_units` where that is known.

    >>> labels_of("labels", [0, 0, -1])
    array([ 0,  0, -1])
    """
    expected = f"hold one module per unit, shape ({'units' if n_units is None else n_units},)"
    array = numbers_of(name, value, _LABELS._replace(expected=expected))
    if array.ndim != 1 or (n_units is None and array.size == 0):
        raise ValueError(_refusal(name, value, array, _LABELS._replace(expected=expected)))
    if array.dtype.kind not in "iu":
        raise ValueError(_refusal(name, value, array, _LABELS._replace(expected="hold whole numbers")))
    if n_units is not None and array.size != n_units:
        raise ValueError(
            f"{name} must hold one module per unit, shape ({n_units},), got {_kind(value, array)}. Labels and "
            "similarity must come from the same layer, dead units included."
        )
    if array.size and array.min() < -1:
        unit = int(np.argmin(array))
        raise ValueError(
            f"{name} must be at least -1, got {array[unit]} for unit {unit}. Modules are counted 0, 1, ...; -1, and "
            "only -1, marks a dead unit."
        )
    return array


_ADVICE = {
    "seed": " A number that names the random draws; any will do.",
    "restarts": " The paper uses 1; 20 shows how far one search falls short.",
    "steps": " The paper uses 5000; for the spectral start alone call spectral_modules.",
    "workers": " Leave it out to use every core.",
}


def whole_number(name: str, value: object, *, at_least: int, at_most: int | None = None) -> int:
    """The number as an int; ValueError unless it is whole, of a type for whole numbers, and in its range."""
    advice = _ADVICE.get(name, "")
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < at_least:
        raise ValueError(f"{name} must be a whole number of at least {at_least}, got {shown(value)}.{advice}")
    if at_most is not None and value > at_most:
        came = f"{value:,}" if value < 10**40 else shown(value)
        raise ValueError(f"{name} must be a whole number of at most {at_most:,}, got {came}.{advice}")
    return int(value)


def real_number(value: object) -> float:
    """The number as a float; NaN for what is no real number, as text and True, and for what no float can hold."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return nan
    try:
        return float(value)
    except OverflowError:
        return nan


def flag(name: str, value: object) -> bool:
    """True or False; ValueError for anything else, which may have been meant otherwise."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {shown(value)}.")
    return bool(value)


def shown(value: object) -> str:
    """What came, as an error shows it: the value if it is short, else its type.

    >>> shown("3"), shown(10**400)
    ("'3'", 'an object of type int that is too long to show')
    """
    try:
        text = repr(value)
    except Exception:  # of Python for numbers of thousands of digits, or of whoever wrote the type
        text = ""
    is_short = 0 < len(text) <= _LONGEST_SHOWN and "\n" not in text
    return text if is_short else f"an object of type {type(value).__name__} that is too long to show"


class Wanted(NamedTuple):
    """What an argument is to hold, for the reader and for its errors."""

    expected: str  # after "must"
    way_out: Callable[[object, np.ndarray | None], str]  # of the value, and of the array that it became, if it did
    unmasked: str  # what to pass in place of masked entries
    copies: int = 1  # times the size of the dense array that the work on it takes


def numbers_of(name: str, value: object, wanted: Wanted) -> np.ndarray:
    """A NumPy array of what the value holds, of whatever shape and dtype; ValueError if it cannot become one."""
    if _is_mapping(value) or _is_graph(value):  # NumPy would take the names of nodes for numbers
        raise ValueError(_refusal(name, value, None, wanted))
    try:
        return _plain(name, value, wanted)
    except _Refused as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # whatever the library that made the value raises
        raise ValueError(_refusal(name, value, None, wanted, error=error)) from error


def _refusal(
    name: str, value: object, array: np.ndarray | None, wanted: Wanted, *, error: Exception | None = None
) -> str:
    """What came for an argument, what was wanted, and the way out."""
    came = type(value).__name__ if array is None else _kind(value, array)
    if error is not None:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".!")
        came += f", which does not become a NumPy array: {reason}"
    return f"{name} must {wanted.expected}, got {came}. {wanted.way_out(value, array)}"


class _Refused(Exception):
    """The value could become an array, but it must not: the message says why."""


def _plain(name: str, value: Any, wanted: Wanted) -> np.ndarray:
    if isinstance(value, list | tuple):  # of tensors, or of arrays with masks, perhaps
        value = [
            item
            if isinstance(item, int | float | complex | str | np.generic | None)
            else _plain(name, item, wanted)[()]
            for item in value
        ]
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        value = _of_tensor(name, value, torch, wanted)
    if hasattr(value, "__dask_graph__"):
        value = value.compute()  # NumPy's own way loses a mask
    if _is_sparse(value):
        _check_memory(name, value.shape, wanted)
        value = (value.toarray if hasattr(value, "toarray") else value.todense)()
    array = np.asanyarray(value)  # not asarray, which loses the mask of what becomes a masked array
    if isinstance(array, np.ma.MaskedArray):
        _check_mask(name, np.ma.getmaskarray(array), wanted)
    return np.asarray(array)


def _of_tensor(name: str, value: Any, torch: Any, wanted: Wanted) -> np.ndarray:
    if hasattr(value, "get_mask"):  # torch.masked: True where there is a number
        _check_mask(name, ~value.get_mask().detach().cpu().numpy(), wanted)
        value = value.get_data()
    value = value.detach()
    if value.is_meta:
        raise ValueError("a tensor on the meta device holds no numbers")
    if value.is_quantized:
        value = value.dequantize()
    if value.layout is not torch.strided:
        _check_memory(name, value.shape, wanted)
        value = value.to_dense()
    if value.is_floating_point() and value.dtype not in (torch.float16, torch.float32, torch.float64):
        value = value.to(torch.float32)  # NumPy has no bfloat16 and no 8 bits; no value changes
    return np.asarray(value.resolve_conj().resolve_neg().cpu().numpy())


def _check_mask(name: str, mask: np.ndarray, wanted: Wanted) -> None:
    n_masked = sum(np.count_nonzero(mask[part]) for part in mask.dtype.names or [...])
    if n_masked:
        raise _Refused(
            f"{name} must have no masked entries, got {n_masked}: a mask would be lost. Pass {wanted.unmasked}."
        )


def _check_memory(name: str, shape: tuple[int, ...], wanted: Wanted) -> None:
    if not hasattr(os, "sysconf"):  # Windows
        return
    needed, there = (
        8.0 * wanted.copies * np.prod(shape, dtype=float),
        os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    )
    if needed > there:
        raise _Refused(
            f"{name} must fit into memory as a dense array, got a sparse one of shape {tuple(shape)}: to work on it "
            f"takes about {needed / 1e9:,.0f} GB, and this machine has {there / 1e9:,.0f} GB. Leave out a part."
        )


def n_missing(array: np.ndarray) -> int:
    """How many entries are missing: NaN, NaT, None, or pandas.NA."""
    if array.dtype.kind == "O":
        return sum(
            entry is None or type(entry).__name__ in ("NAType", "NaTType") or _is_nan(entry) for entry in array.flat
        )
    return int(np.count_nonzero(array != array)) if array.dtype.kind in "fcmM" else 0


def _is_nan(entry: Any) -> bool:
    return isinstance(entry, float | np.floating) and entry != entry


def names_of(value: object) -> tuple[Any, ...] | None:
    """Names of the rows of a table of pandas; None for anything else, and for the numbers that pandas gives by itself.

    >>> names_of([[1.0]]) is None
    True
    """
    table = _computed(value)
    return tuple(table.index) if hasattr(table, "iloc") and not _is_unnamed(table.index) else None


def check_names(argument: str, names: Iterable[Any] | None) -> None:
    """Raise ValueError if two units have one name, by which nobody could tell them apart; None are no names.

    >>> check_names("names", (1, True, "1"))
    """
    seen: dict[str, int] = {}
    for unit, name in enumerate(() if names is None else names):
        first = seen.setdefault(repr(name), unit)  # True is no 1, and a list is a name, too
        if first != unit:
            raise ValueError(
                f"{argument} must name each unit once, got {shown(name)} for units {first} and {unit}. Give them other "
                "names, or none by passing .to_numpy() of the table."
            )


def in_one_order(**given: Any) -> list[Any]:
    """The values, in which tables of pandas have the same units in the same order: that of the first that names them.

    The numbers 0, 1, ... that pandas gives by itself are no names where others have names that are not numbers. Tables
    without names, and arrays, are compared place by place.

    Raises:
        ValueError: two tables name different units, or one of them a unit twice.
    """
    values = {name: _computed(value) for name, value in given.items()}
    rows = {name: value.index for name, value in values.items() if hasattr(value, "iloc")}
    first = next((name for name, units in rows.items() if not _is_unnamed(units)), None)
    if first is None:
        return list(values.values())
    if _is_numbered(rows[first]):
        first = next(iter(rows))  # beside other numbers those of pandas are names, too
    for name, units in rows.items():
        order = _order_as(f"the rows of {first}", rows[first], f"the rows of {name}", units)
        if order is not None:
            columns = _order_of_columns(name, values[name])
            array = np.asanyarray(values[name])[order]
            if array.ndim == 2 and array.shape[0] == array.shape[1]:
                array = array[:, order if columns is None else columns[order]]
            values[name] = array
    return list(values.values())


def _order_of_columns(name: str, value: Any) -> np.ndarray | None:
    """Places of the units of the rows of a square table among its columns; None if they are the same."""
    value = _computed(value)
    if not hasattr(value, "iloc") or not hasattr(value, "columns"):
        return None
    return _order_as(f"the rows of {name}", value.index, f"the columns of {name}", value.columns)


def _order_as(name_a: str, units_a: Any, name_b: str, units_b: Any) -> np.ndarray | None:
    """Places of the units a among the units b, by name; None if the places agree, or only one of the two has names."""
    if units_a.equals(units_b) or len(units_a) != len(units_b):  # whoever compares them says it of both shapes
        return None
    if _is_unnamed(units_a) != _is_unnamed(units_b) and not (_is_numbered(units_a) and _is_numbered(units_b)):
        return None
    if units_a.is_unique and units_b.is_unique:
        order = units_b.get_indexer(units_a)
        if (order >= 0).all():
            return np.asarray(order)
    place = next(place for place, (a, b) in enumerate(zip(units_a, units_b, strict=True)) if a != b)
    raise ValueError(
        f"{name_a} and {name_b} must name the same ones, each once, got {shown(units_a[place])} and "
        f"{shown(units_b[place])} at place {place}. Choose the same ones in both with .loc, or pass .to_numpy() where "
        "the places agree and names do not matter."
    )


def _computed(value: Any) -> Any:
    """A table of Dask as one of pandas; anything else as it is."""
    return value.compute() if hasattr(value, "__dask_graph__") and hasattr(value, "index") else value


def _is_numbered(index: Any) -> bool:
    return getattr(index, "nlevels", 1) == 1 and index.dtype.kind in "iu"


def _is_unnamed(index: Any) -> bool:
    """Whether the rows of a table have the numbers that pandas gives where no names are given."""
    return _is_numbered(index) and np.array_equal(index, np.arange(len(index)))


def _is_sparse(value: object) -> bool:
    """Of scipy, or of a library that is like it."""
    return hasattr(value, "shape") and (hasattr(value, "toarray") or hasattr(value, "todense"))


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping) and not _is_sparse(value)  # scipy's dok_matrix is both


def _kind(value: object, array: np.ndarray) -> str:
    came = f"shape {array.shape} of {array.dtype}"
    return came if type(value) is np.ndarray else f"{type(value).__name__}, {came}"


def _is_graph(value: object) -> bool:
    """Of networkx (nodes, edges) or of igraph (vs, es)."""
    return any(all(hasattr(value, part) for part in parts) for parts in (("nodes", "edges"), ("vs", "es")))


def _way_to_a_matrix(value: object, array: np.ndarray | None) -> str:
    if _is_mapping(value):
        path, inner = "", value
        while isinstance(inner, Mapping) and inner:
            key, inner = next(iter(inner.items()))
            path += f"[{key!r}]"
        return f"Pass one of its matrices, as in matrices{path}." if path else "It is empty."
    if _is_graph(value):
        call = "graph.get_adjacency()" if hasattr(value, "es") else "networkx.to_numpy_array(graph)"
        return f"Pass its matrix: {call}."
    if array is None:
        return "Pass the numbers as a NumPy array."
    if array.dtype.kind == "c":
        return "Pass np.abs(S), say: complex numbers have no order."
    if array.dtype.names:
        return "Pass numpy.lib.recfunctions.structured_to_unstructured(S)."
    if array.dtype.kind not in "biuf" and array.ndim == 2:
        return "Pass S.astype(float), if all entries are numbers and none is missing."
    if array.dtype.kind in "iu" and array.ndim == 1:
        return "Pass the matrix of one layer; labels come after it."
    if array.ndim == 2 and array.size:
        return (
            "Pass the matrix of one layer. Activity, shape (samples, units), becomes one by "
            "np.abs(np.corrcoef(activity.T)); activity goes through a measure of similarity first."
        )
    return "Pass the matrix of one layer."


def _way_to_labels(value: object, array: np.ndarray | None) -> str:
    if _is_mapping(value):
        return "Pass the module of each unit, in the order of the units: [modules[unit] for unit in units]."
    if _is_graph(value):
        return "Pass the module of each unit, not the graph."
    for attribute in ("membership", "labels_"):  # igraph, scikit-learn
        if hasattr(value, attribute):
            return f"Pass its .{attribute}."
    if hasattr(value, "to_membership_list"):  # clusim
        return "Pass its .to_membership_list()."
    first = next(iter(value), None) if isinstance(value, list | tuple | set | frozenset) else None
    if isinstance(first, set | frozenset | list | tuple | Mapping):
        return "Modules given as sets of units become labels by labels[list(units)] = number, for each set."
    if array is None or array.ndim == 0:
        return "Pass the module of each unit, counted 0, 1, ...; -1 marks a dead unit."
    if array.size == 0:
        return "There must be at least one unit."
    if array.ndim != 1:
        return (
            "Pass np.ravel(labels)."
            if array.size == max(array.shape)
            else "Pass the labels of one clustering; an assignment (units, modules) becomes labels by .argmax(axis=1)."
        )
    to_int = "; convert with .long()" if hasattr(value, "long") else "; convert with np.asarray(labels).astype(int)"
    missing = n_missing(array)
    if missing:
        return f"Of {array.size} labels {missing} are missing: give units that have no module the label -1."
    is_small = array.dtype.kind == "O" and all(isinstance(label, int) and abs(label) < 2**63 for label in array)
    if array.dtype.kind == "b" or is_small:
        return f"Modules are counted 0, 1, ... and -1 marks a dead unit{to_int}."
    if array.dtype.kind == "f":
        is_whole = np.isfinite(array).all() and (array == np.round(array)).all()
        return f"Modules are counted 0, 1, ... and -1 marks a dead unit{to_int if is_whole else ''}."
    if array.dtype.kind == "O" and not all(isinstance(label, str | int) for label in array):
        return "Modules are counted 0, 1, ...; -1 marks a dead unit."
    return "Names of modules become numbers by np.unique(labels, return_inverse=True)[1]; -1 marks a dead unit."


_MATRIX = Wanted(
    "be a square array of real numbers with shape (units, units)",
    _way_to_a_matrix,
    ".filled(0) if they stand for no similarity, or leave these units out",
    copies=12,  # of a search of modules, measured at 4,000 units
)
_LABELS = Wanted("hold labels", _way_to_labels, ".filled(-1) for dead units, or leave these units out", copies=12)

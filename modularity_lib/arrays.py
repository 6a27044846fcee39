"""What public functions are given, read in one place: matrices and labels in whatever they come, whole numbers, flags.

What holds the wanted numbers without doubt is taken: NumPy arrays, lists, tables of pandas, tensors of PyTorch of any
precision, layout and device, sparse matrices. All else is refused by the name of the argument, with the way out. No
library is imported for that: whoever passes a tensor has loaded PyTorch.
"""

import os
import sys
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

_COPIES = 12  # times the size of a dense matrix that a search of its modules takes, measured at 4,000 units


def square_of(name: str, value: object) -> np.ndarray:
    """Similarity of every two units: a finite float64 array (units, units), a copy.

    >>> square_of("similarity", [[1, 0], [0, 1]])
    array([[1., 0.],
           [0., 1.]])
    """
    array = _numbers(name, value, wanted="matrix")
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.dtype.kind not in "biuf":
        raise ValueError(_refusal(name, value, array, wanted="matrix"))
    check_order_of_units({name: value})
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
    array = _numbers(name, value, wanted="labels", n_units=n_units)
    if array.ndim != 1 or (n_units is None and array.size == 0):
        raise ValueError(_refusal(name, value, array, wanted="labels", n_units=n_units))
    if array.dtype.kind not in "iu":
        raise ValueError(_refusal(name, value, array, wanted="whole numbers"))
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
}


def whole_number(name: str, value: object, *, at_least: int, at_most: int | None = None) -> int:
    """The number as an int; ValueError unless it is whole, of a type for whole numbers, and in its range."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < at_least:
        raise ValueError(f"{name} must be a whole number of at least {at_least}, got {value!r}.{_ADVICE.get(name, '')}")
    if at_most is not None and value > at_most:
        raise ValueError(f"{name} must be a whole number of at most {at_most:,}, got {value:,}.{_ADVICE.get(name, '')}")
    return int(value)


def flag(name: str, value: object) -> bool:
    """True or False; ValueError for anything else, which may have been meant otherwise."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {value!r}.")
    return bool(value)


def _numbers(name: str, value: object, *, wanted: str, n_units: int | None = None) -> np.ndarray:
    """A NumPy array of what the value holds, of whatever shape and dtype; ValueError if it cannot become one."""
    if _is_mapping(value) or _is_graph(value):  # NumPy would take the names of nodes for numbers
        raise ValueError(_refusal(name, value, None, wanted=wanted, n_units=n_units))
    try:
        return _plain(name, value)
    except _Refused as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # whatever the library that made the value raises
        raise ValueError(_refusal(name, value, None, wanted=wanted, n_units=n_units, error=error)) from error


def _refusal(
    name: str,
    value: object,
    array: np.ndarray | None,
    *,
    wanted: str,
    n_units: int | None = None,
    error: Exception | None = None,
) -> str:
    """What came for an argument, what was wanted, and the way out. `array` is what the value became, if it did."""
    expected = {
        "matrix": "be a square array of real numbers with shape (units, units)",
        "labels": f"hold one module per unit, shape ({'units' if n_units is None else n_units},)",
        "whole numbers": "hold whole numbers",
    }[wanted]
    came = type(value).__name__ if array is None else _kind(value, array)
    if error is not None:
        reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".!")
        came += f", which does not become a NumPy array: {reason}"
    way_out = _way_to_a_matrix if wanted == "matrix" else _way_to_labels
    return f"{name} must {expected}, got {came}. {way_out(value, array)}"


class _Refused(Exception):
    """The value could become an array, but it must not: the message says why."""


def _plain(name: str, value: Any) -> np.ndarray:
    if isinstance(value, list | tuple):  # of tensors, or of arrays with masks, perhaps
        value = [
            item if isinstance(item, int | float | complex | str | np.generic) else _plain(name, item) for item in value
        ]
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        value = _of_tensor(name, value, torch)
    if hasattr(value, "__dask_graph__"):
        value = value.compute()  # NumPy's own way loses a mask
    if _is_sparse(value):
        _check_memory(name, value.shape)
        value = (value.toarray if hasattr(value, "toarray") else value.todense)()
    array = np.asanyarray(value)  # not asarray, which loses the mask of what becomes a masked array
    if isinstance(array, np.ma.MaskedArray):
        _check_mask(name, np.ma.getmaskarray(array))
    return np.asarray(array)


def _of_tensor(name: str, value: Any, torch: Any) -> np.ndarray:
    if hasattr(value, "get_mask"):  # torch.masked: True where there is a number
        _check_mask(name, ~value.get_mask().detach().cpu().numpy())
        value = value.get_data()
    value = value.detach()
    if value.is_quantized:
        value = value.dequantize()
    if value.layout is not torch.strided:
        _check_memory(name, value.shape)
        value = value.to_dense()
    if value.is_floating_point() and value.dtype not in (torch.float16, torch.float32, torch.float64):
        value = value.to(torch.float32)  # NumPy has no bfloat16 and no 8 bits; no value changes
    return np.asarray(value.resolve_conj().resolve_neg().cpu().numpy())


def _check_mask(name: str, mask: np.ndarray) -> None:
    n_masked = sum(np.count_nonzero(mask[part]) for part in mask.dtype.names or [...])
    if n_masked:
        raise _Refused(
            f"{name} must have no masked entries, got {n_masked}: a mask would be lost. Pass .filled(0) if they stand "
            "for no similarity, .filled(-1) for labels of dead units, or leave these units out."
        )


def _check_memory(name: str, shape: tuple[int, ...]) -> None:
    if not hasattr(os, "sysconf"):  # Windows
        return
    needed, there = (
        8.0 * _COPIES * np.prod(shape, dtype=float),
        os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    )
    if needed > there:
        raise _Refused(
            f"{name} must fit into memory as a dense matrix, got a sparse one of shape {tuple(shape)}: modules are "
            f"searched in about {needed / 1e9:,.0f} GB, and this machine has {there / 1e9:,.0f} GB. Leave out units."
        )


def check_order_of_units(given: Mapping[str, Any]) -> None:
    """ValueError for tables of pandas that name the same units in another order: only places would be compared."""
    tables = {name: value for name, value in given.items() if hasattr(value, "iloc")}
    names = {f"the rows of {name}": table.index for name, table in tables.items()}
    names |= {f"the columns of {name}": table.columns for name, table in tables.items() if hasattr(table, "columns")}
    for (name_a, units_a), (name_b, units_b) in pairwise(names.items()):
        if not units_a.equals(units_b) and units_a.is_unique and set(units_a) == set(units_b):
            place = int(np.argmax(units_a != units_b))
            raise ValueError(
                f"{name_a} and {name_b} must be the same units in the same order, got {units_a[place]!r} and "
                f"{units_b[place]!r} at place {place}. Bring both into one order, with .loc[names] or .reindex."
            )


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
    if array.dtype.kind == "b" or (array.dtype.kind == "O" and all(isinstance(label, int) for label in array)):
        return f"Modules are counted 0, 1, ... and -1 marks a dead unit{to_int}."
    if array.dtype.kind == "f":
        is_whole = np.isfinite(array).all() and (array == np.round(array)).all()
        missing = "" if np.isfinite(array).all() else ", for a missing one, too"
        return f"Modules are counted 0, 1, ... and -1 marks a dead unit{missing}{to_int if is_whole else ''}."
    if array.dtype.kind == "O" and not all(isinstance(label, str) for label in array):
        return "Modules are counted 0, 1, ...; give units that have none the label -1."
    return "Names of modules become numbers by np.unique(labels, return_inverse=True)[1]; -1 marks a dead unit."

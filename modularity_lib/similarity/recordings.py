"""Similarity of units that were recorded: from their activity, or from gradients, in memory or on disk."""

import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from modularity_lib.arrays import Wanted, check_names, flag, n_missing, numbers_of, shown
from modularity_lib.progress import progress_bar
from modularity_lib.similarity.covariance import CONSTANT, Covariance, check_finite, similarity_of_average

_BLOCK_BYTES = 8_000_000  # of float64 that are read at once
_LARGEST_BLOCK = 8  # times as much, where a file keeps so many samples in one piece


class MoreUnitsThanSamples(UserWarning):
    """A recording has more units than samples: its axes may have been exchanged."""


def similarity_of_activity(activity: Any, *, signed: bool = False) -> dict[str, Any]:
    """Similarity of every two units whose activity was recorded. Higher = more alike.

    S_ij = average over samples of (h_i - average h_i)(h_j - average h_j)

    Samples are read in blocks, so that a file need not fit into memory; differences, products and sums are float64.

    Args:
        activity: h, shape (samples, units), real and finite: an array, a memory-mapped file (`np.load(file,
            mmap_mode="r")`), a data set of HDF5 or Zarr or whatever else has `shape`, `dtype` and slices, a tensor, a
            sparse matrix, or a DataFrame, whose columns are the units.
        signed: keep the sign of S, for `find_modules(S, signed=True)`; otherwise the measures are |S|.
    Returns:
        {"input_covariance": S, "input_covariance_norm": S_ij / √(S_ii S_jj)}, by the names of the measures of
        `similarity_matrices`: float64, symmetric, shape (units, units), the second in [0, 1], or [-1, 1] if signed. A
        unit that is constant has exact zeros in its row and column: one whose standard deviation is at most 16 ε times
        its largest activity, with ε = 2.2e-16. For a DataFrame they are DataFrames with the names of the units.
    Raises:
        ValueError: activity has another number of axes, fewer than two samples, no units, two units of one name, or a
            number that is missing, infinite, complex or none; numbers are too large or too small to be squared.

    >>> similarity_of_activity([[0.0, 1.0], [2.0, 0.0]], signed=True)["input_covariance_norm"]
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    found = covariances_of("activity", activity, signed=flag("signed", signed))
    samples, units = activity.shape if hasattr(activity, "shape") else np.shape(activity)
    if units > samples:
        warnings.warn(
            f"activity has {units:,} units but {samples:,} samples: rows are samples, and columns are units. If it is "
            "the other way round, pass activity.T.",
            MoreUnitsThanSamples,
            stacklevel=2,
        )
    return found


def similarity_of_gradients(gradients: Any, *, signed: bool = False) -> dict[str, Any]:
    """Similarity of every two units by gradients that were computed elsewhere. Higher = more alike.

    S_ij = average over samples of sum_d g_id g_jd

    The directions d are what a gradient points to. With the inputs, g = ∂h/∂x, S is the input gradient of
    `similarity_matrices`, upstream; with the outputs, g = ∂y/∂h, it is the output gradient, downstream.

    Args:
        gradients: g, shape (samples, units, directions); otherwise as the activity in `similarity_of_activity`.
        signed: as there.
    Returns:
        {"gradient": S, "gradient_norm": S_ij / √(S_ii S_jj)}, as there. A unit without any gradient has exact zeros.
    Raises:
        ValueError: as there.

    >>> similarity_of_gradients([[[3.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [1.0, 0.0]]])["gradient"]
    array([[5. , 0.5],
           [0.5, 2.5]])
    """
    signed = flag("signed", signed)
    values = _readable("gradients", gradients, _GRADIENTS)
    samples, units, _ = _checked_shape("gradients", gradients, values, _GRADIENTS)
    total, peak = np.zeros((units, units)), np.zeros(units)
    with np.errstate(over="ignore", invalid="ignore"):
        for block in _blocks("gradients", values, None, _GRADIENTS):
            flat = block.swapaxes(0, 1).reshape(units, -1)
            total += flat @ flat.T
            np.maximum(peak, np.abs(flat).max(axis=1), out=peak)
        average = total / samples
        _check_squares("gradients", average, peak)
        return _measures("gradient", average, gradients, signed=signed)


def covariances_of(name: str, activity: Any, *, signed: bool) -> dict[str, Any]:
    """As `similarity_of_activity`; an error calls the activity by its name."""
    values = _readable(name, activity, _ACTIVITY)
    samples, units = _checked_shape(name, activity, values, _ACTIVITY)
    rounding = float(np.finfo(np.float64).eps)
    covariance = Covariance(rounding)
    low, high = np.full(units, np.inf), np.full(units, -np.inf)
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused by name
        for block in _blocks(name, values, _names(activity), _ACTIVITY):
            covariance.add(block[:, np.newaxis], name)
            np.minimum(low, block.min(axis=0), out=low)
            np.maximum(high, block.max(axis=0), out=high)
        average = covariance.result()
        # A unit whose numbers lie s apart has a standard deviation of at least s / √(2 samples).
        constant = CONSTANT * rounding * np.sqrt(2 * samples) * np.maximum(np.abs(low), np.abs(high))
        _check_squares(name, average, np.where(high - low > constant, high - low, 0.0))
        return _measures("input_covariance", average, activity, signed=signed)


def whole_activity(name: str, activity: Any) -> np.ndarray:
    """What `similarity_of_activity` reads, in memory as a whole: float64, shape (samples, units)."""
    values = _readable(name, activity, _ACTIVITY)
    _checked_shape(name, activity, values, _ACTIVITY)
    return np.concatenate(list(_blocks(name, values, _names(activity), _ACTIVITY)))


def _readable(name: str, value: Any, wanted: Wanted) -> Any:
    """An array, or what is read slice by slice: data sets on disk, which may be larger than memory, sparse matrices."""
    check_names(f"the columns of {name}", _names(value))
    if hasattr(value, "tocsr"):
        value = value.tocsr()  # whose rows can be read
    in_memory = isinstance(value, np.ndarray | np.generic) or hasattr(value, "detach") or hasattr(value, "iloc")
    sized = isinstance(getattr(value, "shape", None), tuple) and hasattr(value, "dtype")
    return value if sized and not in_memory and hasattr(value, "__getitem__") else numbers_of(name, value, wanted)


def _checked_shape(name: str, given: Any, values: Any, wanted: Wanted) -> tuple[int, ...]:
    shape = tuple(values.shape)
    axes = ("samples", "units", "directions") if wanted is _GRADIENTS else ("samples", "units")
    came = f"got shape {shown(shape)}"
    if len(shape) != len(axes):
        raise ValueError(f"{name} must {wanted.expected}, {came}. {wanted.way_out(given, None)}")
    if getattr(values.dtype, "kind", "f") == "c":
        raise ValueError(f"{name} must be real, got {values.dtype}. Pass np.abs({name}), say, or the real part.")
    for axis, length, least in zip(axes, shape, (2, 1, 1), strict=False):
        if length < least:
            way_out = (
                f"For a single sample pass g @ g.T to find_modules, with g = {name}[0]."
                if wanted is _GRADIENTS and length == 1
                else f"One sample has no covariance; samples are the rows: if units are, pass {name}.T."
                if axis == "samples"
                else "There is nothing to compare."
            )
            number = "two samples" if least == 2 else f"one of {axis}"
            raise ValueError(f"{name} must have at least {number}, {came}. {way_out}")
    return shape


def _blocks(name: str, values: Any, names: Any, wanted: Wanted) -> Iterator[np.ndarray]:
    """Parts of the values in float64, one after the other: some samples, or of a large sample some directions."""
    shape = tuple(values.shape)
    per_sample = 8 * int(np.prod(shape[1:]))
    rows = max(1, _BLOCK_BYTES // per_sample)
    pieces = getattr(values, "chunks", None)
    if isinstance(pieces, tuple) and pieces and isinstance(pieces[0], int) and pieces[0] > 0:
        whole = -(-rows // pieces[0]) * pieces[0]  # else a file unpacks the same piece twice
        rows = whole if whole * per_sample <= _LARGEST_BLOCK * _BLOCK_BYTES else rows
    columns = shape[-1] if len(shape) < 3 or rows > 1 else max(1, _BLOCK_BYTES // (8 * shape[1]))
    with progress_bar(shape[0], f"reading {name}") as bar:
        for start in range(0, shape[0], rows):
            stop = min(start + rows, shape[0])
            for first in range(0, shape[-1], columns):
                last = min(first + columns, shape[-1])
                part = values[start:stop] if columns == shape[-1] else values[start:stop, :, first:last]
                expected = (stop - start, *shape[1:-1], last - first)
                yield _checked(name, part, expected, (start, first), names, wanted)
            bar.update(stop - start)


def _checked(
    name: str, part: Any, shape: tuple[int, ...], start: tuple[int, int], names: Any, wanted: Wanted
) -> np.ndarray:
    """A part as float64; ValueError with the first sample and unit where a number is missing."""
    array = numbers_of(name, part, wanted)
    if array.dtype.kind not in "biuf":
        missing = n_missing(array)
        some = f", of which {missing} are missing in the first part" if missing else ""
        raise ValueError(
            f"{name} must hold real numbers, got {array.dtype}{some}. Fill or leave out what is missing, and pass "
            f"{name}.astype(float) where all entries are numbers."
        )
    if array.shape != shape:
        raise ValueError(f"{name} must give slices of its shape, got {array.shape} for a part of shape {shape}.")
    block = array.astype(np.float64, order="C")  # so that sums do not depend on the order in memory
    if not np.isfinite(block).all():
        place = tuple(int(index) for index in np.argwhere(~np.isfinite(block))[0])
        unit = shown(names[place[1]]) if names is not None else place[1]
        direction = f", direction {start[1] + place[2]}" if len(place) > 2 else ""
        what = "missing numbers" if np.isnan(block[place]) else "infinite numbers"
        raise ValueError(
            f"{name} must have no {what}, got {block[place]} at sample {start[0] + place[0]}, unit {unit}{direction}, "
            "the first such. Leave out this sample or this unit, or fill what is missing."
        )
    return block


def _check_squares(name: str, average: np.ndarray, spread: np.ndarray) -> None:
    """Refuse units that would be dead because their squares vanish, and not because all their numbers are the same."""
    check_finite(average, f"the similarity of {name}", f"products of {name} overflow; divide {name} by a number")
    lost = (average.diagonal() == 0) & (spread > 0)
    if lost.any():
        unit = int(np.argmax(lost))
        raise ValueError(
            f"{name} must have squares that float64 can hold, got numbers that differ by {spread[unit]:.1e} in unit "
            f"{unit}. Multiply {name} by a number, such as {1 / spread[unit]:.0e}."
        )


def _measures(quantity: str, average: np.ndarray, given: Any, *, signed: bool) -> dict[str, Any]:
    found = {}
    for name, normalised in ((quantity, False), (f"{quantity}_norm", True)):
        matrix = similarity_of_average(average, normalised=normalised, signed=signed)
        check_finite(matrix, name, "S_ii of a unit is too small to divide by; multiply what was recorded by a number")
        names = _names(given)
        found[name] = matrix if names is None else sys.modules["pandas"].DataFrame(matrix, names, names)
    return found


def _names(value: Any) -> Any:
    """Names of the units of a DataFrame of pandas; None for anything else."""
    return value.columns if hasattr(value, "iloc") and hasattr(value, "columns") else None


def _way_out(advice: str) -> Callable[[object, np.ndarray | None], str]:
    def way_out(value: object, _: np.ndarray | None) -> str:
        if isinstance(value, str | Path):
            return 'Pass its content: np.load(path, mmap_mode="r").'
        if hasattr(value, "keys"):
            return "Pass one of the arrays in it."
        return advice

    return way_out


_UNMASKED = "the samples without masked entries"
_ACTIVITY = Wanted(
    "be real numbers of shape (samples, units)",
    _way_out("One row is a sample, one column a unit; trials and times become samples by .reshape(-1, units)."),
    _UNMASKED,
)
_GRADIENTS = Wanted(
    "be real numbers of shape (samples, units, directions)",
    _way_out("The directions are the inputs or the outputs; flatten them, as by .reshape(samples, units, -1)."),
    _UNMASKED,
)

"""Arrays in files, as `modularity analyze` takes them: .npy and .npz of NumPy, and tables as .csv."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modularity_lib.vocabulary import some_of

if TYPE_CHECKING:
    import numpy as np

_LONGEST = 400  # characters of an error of somebody else's code


class AnalysisFailed(RuntimeError):
    """What `modularity analyze` was given cannot be read, or fails when it is run; the message is one line."""


def inputs_in(path: Path) -> Any:
    """An array; or, of an .npz file with several, a dictionary of them, by the names of the model's arguments."""
    import numpy as np

    value = _read("--inputs", path)
    return {name: np.array(one) for name, one in value.items()} if isinstance(value, dict) else np.array(value)


def array_in(option: str, path: Path) -> Any:
    """The one array, or the table, that a file holds; ValueError names the option that the file was given for."""
    value = _read(option, path)
    if isinstance(value, dict):
        raise ValueError(f"{option} must hold one array, got {len(value)} in {path}: {some_of(value)}.")
    return value


def _read(option: str, path: Path) -> Any:
    """What a file holds: an array, that of .npy on disk still; a table, whose heads are the names of the units; or
    {name: array} of an .npz file with several."""
    kind = path.suffix.lower()
    if kind not in (".npy", ".npz", ".csv"):
        raise ValueError(f"{option} must be a file of .npy, .npz or .csv, got {path}. numpy.save writes the first.")
    if not path.is_file():
        raise ValueError(f"{option} must be a file that exists, got {path}.")
    try:
        found = _table(path) if kind == ".csv" else _arrays(path)
    except OSError as error:
        why = error.strerror or first_line(error)
        raise AnalysisFailed(f"{option}: {path} cannot be read: {why}.") from error
    except Exception as error:  # of whatever the damage leads to
        raise AnalysisFailed(f"{option}: {path} cannot be read as numbers: {first_line(error)}") from error
    if hasattr(found, "columns"):
        _check_heads(path, found.columns)
    return found


def _arrays(path: Path) -> "np.ndarray | dict[str, np.ndarray]":
    import numpy as np

    found = np.load(path, mmap_mode="r", allow_pickle=False)
    if isinstance(found, np.ndarray):
        return found
    with found as archive:
        arrays = {name: archive[name] for name in archive.files}
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def _table(path: Path) -> Any:
    import pandas as pd

    table, heads = pd.read_csv(path), pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0]
    table.columns = pd.Index(heads)  # as they stand there: of two columns "a" pandas calls the second "a.1"
    return table


def _check_heads(path: Path, heads: Any) -> None:
    import pandas as pd

    if heads.isna().any():
        raise ValueError(
            f"{path} must name every column, as each is a unit, got {heads.isna().sum()} without a name. If it is the "
            "index of a DataFrame, write the file by .to_csv(path, index=False)."
        )
    counted = [[str(first + place) for place in range(len(heads))] for first in (0, 1)]
    if pd.to_numeric(pd.Series(heads), errors="coerce").notna().all() and heads.tolist() not in counted:
        raise ValueError(
            f"{path} must begin with a line of names of its columns, got numbers: {some_of(heads)}. The first sample "
            "would be lost. Write names above it, or save the array by numpy.save."
        )


def first_line(said: object) -> str:
    """What fits into one line of an error, be it ours or that of somebody else's code."""
    lines: Iterable[str] = str(said).strip().splitlines()
    first = next(iter(lines), type(said).__name__)
    return first if len(first) <= _LONGEST else f"{first[:_LONGEST]} …"

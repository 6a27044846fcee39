"""Files that hold records: arrays and facts in an .npz of NumPy, with a checksum, and nothing that is run."""

import hashlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modularity_lib.arrays import shown
from modularity_lib.files import file_to_write, write_whole

_VERSION = 1
_FACTS, _CHECKSUM = "facts", "sha256"
# What NumPy, zipfile, zlib and json raise of a file that is cut short, changed, or was never one of ours.
_UNREADABLE: tuple[type[Exception], ...] = (
    *(ValueError, KeyError, TypeError, AttributeError, EOFError, NotImplementedError, RuntimeError, OverflowError),
    *(MemoryError, IndexError, struct.error, zipfile.BadZipFile, zlib.error),
)
_KINDS: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool}


def write_record(path: object, kind: str, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write a record to a file, whole or not at all.

    Args:
        path: of the file, which is replaced if it is there.
        kind: of the record, which `read_record` gives back.
        facts: what JSON can hold; NaN too.
        arrays: of numbers, by name.
    Raises:
        ValueError: the path is none of a file that can be written.
        OSError: the file cannot be written, as on a full disk; what was there before is still there.
    """
    place = file_to_write("path", path)
    said = json.dumps({"kind": kind, "version": _VERSION, "facts": facts}).encode()
    content = io.BytesIO()
    checksum = np.frombuffer(_checksum(said, arrays), np.uint8)
    kept = {_FACTS: np.frombuffer(said, np.uint8), _CHECKSUM: checksum, **arrays}
    np.savez_compressed(content, allow_pickle=False, **kept)
    write_whole(place, content.getvalue())


def read_record(path: object, kinds: Sequence[str]) -> tuple[str, dict[str, Any], dict[str, np.ndarray]]:
    """Kind, facts and arrays of a record of one of these kinds, as they were written; errors name the first.

    Raises:
        ValueError: there is no such file, it was written by something else or by a newer version, or it is damaged.
        OSError: the file cannot be read.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise ValueError(f"path must be the path of a file, got {shown(path)}.")
    place = Path(os.path.expanduser(os.fsdecode(path)))
    if not place.is_file():
        what = "which is a folder" if place.is_dir() else "where there is none"
        raise ValueError(f"path must be a file that {kinds[0]}.save has written, got {place}, {what}.")
    try:
        with np.load(io.BytesIO(place.read_bytes()), allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        said, checksum = arrays.pop(_FACTS).tobytes(), arrays.pop(_CHECKSUM).tobytes()
        record = json.loads(said)
        came, version, facts = record["kind"], record["version"], dict(record["facts"])
    except _UNREADABLE as error:
        raise ValueError(_refusal(kinds, place, "which is another file, or damaged")) from error
    if checksum != _checksum(said, arrays):
        raise ValueError(_refusal(kinds, place, "which is damaged: its content is not what was written"))
    if came not in kinds:
        raise ValueError(_refusal(kinds, place, f"which holds a {came}"))
    if version > _VERSION:
        raise ValueError(
            f"path must be a file of this version of the library or an older one, got {place} of format {version}; "
            f"this one reads up to {_VERSION}. Install a newer one: pip install -U modularity-lib"
        )
    return came, facts, arrays


def names_to_facts(names: tuple[Any, ...]) -> list[Any]:
    """Names of units as JSON holds them with their types: text, numbers, True and False, and tuples of these.

    Raises:
        ValueError: a name is of another type.

    >>> facts_to_names(names_to_facts(("a", 1, (2.0, True))))
    ('a', 1, (2.0, True))
    """
    return [_fact(name, unit) for unit, name in enumerate(names)]


def facts_to_names(facts: list[Any]) -> tuple[Any, ...]:
    """The names from what `names_to_facts` made of them."""
    return tuple(facts_to_names(value) if kind == "tuple" else _KINDS[kind](value) for kind, value in facts)


def _fact(name: Any, unit: int) -> list[Any]:
    kind = type(name).__name__
    if type(name) is tuple:
        return [kind, [_fact(part, unit) for part in name]]
    if _KINDS.get(kind) is type(name):
        return [kind, name]
    raise ValueError(
        f"names must be text, numbers, or tuples of these to be saved, got {shown(name)}, a {kind}, for unit {unit}. "
        "Name the units in the table of similarities otherwise: table.index.astype(str), and the columns alike."
    )


def _checksum(said: bytes, arrays: Mapping[str, np.ndarray]) -> bytes:
    digest = hashlib.sha256(said)
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _refusal(kinds: Sequence[str], place: Path, what: str) -> str:
    return f"path must be a file that {kinds[0]}.save has written, got {place}, {what}. Save it anew."

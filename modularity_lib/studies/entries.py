"""One finished result as files: written whole or not at all, checked by SHA-256 whenever it is read."""

import hashlib
import io
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import load, save

CHECKSUMS = "SHA256SUMS"  # the format of sha256sum, so that `sha256sum -c SHA256SUMS` checks an entry by hand
FACTS = "facts.json"
_ARRAYS = "arrays.safetensors"


@dataclass(frozen=True)
class Entry:
    """One finished result: facts that JSON can hold, named arrays, named tables."""

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)  # what it was made with; filled in when it is read


def key_of(ingredients: Mapping[str, Any]) -> str:
    """Key of a result: SHA-256 of everything that determines it, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()


class EntryDamaged(ValueError):
    """The files of an entry are not those that were written; the message says which and how."""


def read_entry(place: Path, *, key: str | None = None) -> Entry:
    """Read the entry in a folder, and check every file against its SHA-256.

    Args:
        key: the key that it must have; None: any.
    Raises:
        EntryDamaged: a file is missing, changed, cut short, or belongs to another key.
        OSError: the folder cannot be read for a reason that says nothing of its content.
    """
    try:
        contents = _checked_contents(place)
        facts = json.loads(contents[FACTS])
        if key is not None and facts["key"] != key:
            raise EntryDamaged("it is the result of another key")
        return Entry(
            facts["facts"],
            load(contents[_ARRAYS]) if _ARRAYS in contents else {},
            {Path(name).stem: _read_table(file) for name, file in contents.items() if name.endswith(".parquet")},
            facts["provenance"],
        )
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, KeyError) as error:
        raise EntryDamaged(f"it cannot be read: {error}") from error


def replace_entry(place: Path, entry: Entry, *, key: str) -> None:
    """Write an entry to a folder of any name, in place of the one that may be there.

    Raises:
        FileExistsError: the folder is there and holds something else.
        OSError: the folder cannot be written.
    """
    check_replaceable(place)
    with temporary_beside(place) as temporary:
        write_files(temporary, {"key": key, "facts": entry.facts, "provenance": entry.provenance}, entry, indent=1)
        if not place.exists():
            temporary.rename(place)
            return
        before = place.with_name(f"{temporary_prefix()}before")
        place.rename(before)
        temporary.rename(place)
        shutil.rmtree(before)


def check_replaceable(place: Path) -> None:
    """Raise as `replace_entry` would: before the work, not after."""
    if place.is_dir() and any(place.iterdir()) and not (place / CHECKSUMS).exists():
        raise FileExistsError(f"{place} holds other files than tables of a study. Choose a new or an empty folder.")
    with temporary_beside(place):
        pass


@contextmanager
def temporary_beside(place: Path) -> Iterator[Path]:
    """A new folder in the same folder as `place`, gone in the end unless it was renamed."""
    for attempt in range(3):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=temporary_prefix(), dir=place.parent))
            break
        except FileNotFoundError:  # another process has just removed the empty folder
            if attempt == 2:
                raise
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_files(folder: Path, facts: Mapping[str, Any], entry: Entry, *, indent: int | None = None) -> None:
    """Write facts, arrays, tables and checksums of an entry into a folder, and flush them to disk."""
    contents = {FACTS: json.dumps(facts, indent=indent, allow_nan=False).encode()}
    if entry.arrays:
        contents[_ARRAYS] = save({name: np.ascontiguousarray(array) for name, array in entry.arrays.items()})
    for name, table in entry.tables.items():
        contents[f"{name}.parquet"] = table.to_parquet(index=False, compression="zstd")
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(contents.items())]
    contents[CHECKSUMS] = "".join(sums).encode()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    for name in contents:  # all are written by now: many file systems flush them together with the first
        _flush(folder / name)
    folder.chmod(0o755)


def _checked_contents(place: Path) -> dict[str, bytes]:
    """Contents of the files of an entry, by name; EntryDamaged unless they are the files that SHA256SUMS lists."""
    try:
        lines = [line.split("  ", 1) for line in (place / CHECKSUMS).read_text().splitlines()]
        listed = {name: checksum for checksum, name in lines}
    except ValueError as error:
        raise EntryDamaged(f"{CHECKSUMS} cannot be read: {error}") from error
    # Other files than those listed are none of ours: systems leave some, such as .DS_Store.
    contents = {name: (place / name).read_bytes() for name in listed if Path(name).name == name}
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != listed[name]:
            raise EntryDamaged(f"{name} does not have the SHA-256 it was written with")
    return contents


def _read_table(content: bytes) -> pd.DataFrame:
    """A table from the bytes of a Parquet file; lists in a column come back as lists."""
    table = pd.read_parquet(io.BytesIO(content))
    for name in table.columns:
        if len(table) and isinstance(table[name].iloc[0], np.ndarray):
            table[name] = [array.tolist() for array in table[name]]
    return table


def _flush(file: Path) -> None:
    """Make sure that a file outlasts a power cut (which may undo the rename: the entry is then absent)."""
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_prefix() -> str:
    """How the names of this process's temporary folders begin: it is how leftovers are told from those in use."""
    return f".{socket.gethostname()}~{os.getpid()}~"  # no name of a host has a tilde

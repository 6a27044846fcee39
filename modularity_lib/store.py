"""Finished results on disk: written whole or not at all, checked by SHA-256 whenever they are read."""

import errno
import hashlib
import io
import json
import logging
import os
import platform
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import platformdirs
from safetensors.numpy import load, save

from modularity_lib.paths import checkout

_log = logging.getLogger(__name__)
_CHECKSUMS = "SHA256SUMS"  # the format of sha256sum, so that `sha256sum -c SHA256SUMS` checks an entry by hand
_FACTS = "facts.json"
_ARRAYS = "arrays.safetensors"
_SET_ASIDE = "set-aside"
_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Entry:
    """One finished result: facts that JSON can hold, named arrays, named tables."""

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)  # what it was made with; filled in when it is read


def default_store_folder() -> Path:
    """Where results are kept: $MODULARITY_STORE, else .modularity/ in a checkout, else the user's data folder."""
    if chosen := os.environ.get("MODULARITY_STORE"):
        return Path(chosen).expanduser()
    root = checkout()
    if (root / "_toc.yml").exists():
        return root / ".modularity"
    return Path(platformdirs.user_data_dir("modularity-lib"))


def key_of(ingredients: Mapping[str, Any]) -> str:
    """Key of a result: SHA-256 of everything that determines it, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()


class StoreUnusable(OSError):
    """The store cannot be written: the disk is full, say, or the folder belongs to someone else."""


class Store:
    """A folder of entries, `<stage>/<first two digits>/<key>/`, each written whole or not at all.

    An entry is a folder of `facts.json`, `arrays.safetensors` where it has arrays, `<name>.parquet` for each table, and
    `SHA256SUMS`. It is written under a temporary name beside its place, flushed to disk and renamed; a folder that is
    there is therefore complete. An entry that fails its checksums is moved to `set-aside/`, reported, and treated as
    missing.

    Args:
        root: folder of the store; made when the first entry is written. Default: `default_store_folder()`.
    """

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root) if root is not None else default_store_folder()

    def has(self, stage: str, key: str) -> bool:
        """Whether an entry is there; its checksums are not read."""
        return self._place(stage, key).is_dir()

    def read(self, stage: str, key: str) -> Entry | None:
        """Entry of this key, or None where there is none or where it was damaged and has been set aside.

        Raises:
            StoreUnusable: the entry is damaged, and the folder cannot be written to set it aside.
        """
        place = self._place(stage, key)
        if not place.is_dir():
            return None
        try:
            return read_entry(place, key=key)
        except OSError as error:
            raise self._unwritable(error, what=f"{place} cannot be read from") from error
        except EntryDamaged as damage:
            if place.is_dir():  # else another process has just removed it or set it aside
                self._set_aside(place, stage, key, str(damage))
            return None

    def write(
        self,
        stage: str,
        key: str,
        entry: Entry,
        *,
        ingredients: Mapping[str, Any],
        seconds: float,
        device: Mapping[str, Any] | None = None,
    ) -> None:
        """Write an entry; where two processes write the same key, the first one stays.

        Args:
            ingredients: what the key was made of, kept beside the result for the reader.
            seconds: how long the computation took on the processor.
            device: what a GPU had part in it, if one had: it becomes part of the provenance.
        Raises:
            StoreUnusable: the folder cannot be written; the message says which, and how to choose another.
        """
        made = {**provenance(), "seconds": round(seconds, 3), "written": time.strftime("%FT%TZ", time.gmtime())}
        if device is not None:
            made["device"] = dict(device)
        facts = {"key": key, "ingredients": ingredients, "facts": entry.facts, "provenance": made}
        place = self._place(stage, key)
        try:
            with _temporary_beside(place) as temporary:
                _write_files(temporary, facts, entry)
                try:
                    temporary.rename(place)
                except OSError:
                    if not place.is_dir():  # another process finished the same entry first: its copy is as good
                        raise
        except OSError as error:
            raise self._unwritable(error) from error

    def check_writable(self) -> None:
        """Raise StoreUnusable where nothing could be written: before hours are spent, not after."""
        try:
            with _temporary_beside(self.root / _SET_ASIDE):
                pass
        except OSError as error:
            raise self._unwritable(error) from error

    def keys(self, stage: str) -> list[str]:
        """Keys of the entries of a stage, in no particular order."""
        return [place.name for place in self._places(stage) if not place.name.startswith(".")]

    def describe(self, stage: str, key: str) -> dict[str, Any]:
        """All that `facts.json` of an entry holds, unchecked, for estimates; empty where it is unreadable."""
        try:
            return dict(json.loads((self._place(stage, key) / _FACTS).read_text()))
        except (OSError, ValueError):
            return {}

    def remove(self, stage: str, key: str | None = None) -> None:
        """Remove one entry of a stage, or all of them. Only what can be computed again at no cost is ever removed."""
        for name in [key] if key is not None else self.keys(stage):
            place = self._place(stage, name)
            doomed = place.with_name(f"{_temporary_prefix()}{name}")
            try:
                place.rename(doomed)  # at once: another process must not read an entry that is half removed
            except OSError:
                continue  # it is gone already, or the folder is read-only
            shutil.rmtree(doomed, ignore_errors=True)
        if key is None:  # only folders that are empty: another process may just be writing here
            for folder in [*_listed(self.root / stage), self.root / stage]:
                with suppress(OSError):
                    folder.rmdir()

    def remove_leftovers(self) -> int:
        """Remove what processes on this machine left that no longer live; return how many files and folders it was."""
        stages = [folder.name for folder in _listed(self.root)]
        places = [*_listed(self.root), *(place for stage in stages for place in self._places(stage))]
        leftovers = []
        for place in places:
            match = _LEFT.fullmatch(place.name)
            if match and match["host"] == socket.gethostname() and not is_alive(int(match["process"])):
                leftovers.append(place)
        for place in leftovers:
            if place.is_dir():
                shutil.rmtree(place, ignore_errors=True)
            else:
                with suppress(OSError):
                    place.unlink()
        return len(leftovers)

    def _places(self, stage: str) -> list[Path]:
        return [place for first in _listed(self.root / stage) for place in _listed(first)]

    def _place(self, stage: str, key: str) -> Path:
        return self.root / stage / key[:2] / key

    def _set_aside(self, place: Path, stage: str, key: str, fault: str) -> None:
        aside = self.root / _SET_ASIDE / f"{stage}-{key[:16]}-{time.time_ns()}"
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            place.rename(aside)
        except FileNotFoundError:
            return  # another process was faster
        except OSError as error:
            raise self._unwritable(error, what=f"{place} is damaged ({fault}) and could not be set aside in") from error
        _log.warning("Damaged result set aside, it will be computed again: %s (%s). Kept in %s.", place, fault, aside)

    def _unwritable(self, error: OSError, *, what: str = "results cannot be written to") -> "StoreUnusable":
        mend = "free some space" if error.errno in _DISK_IS_FULL else "make it writable"
        return StoreUnusable(
            error.errno,
            f"{what} the store {self.root} ({error.strerror}). Nothing finished is lost: {mend}, or choose another "
            "folder with --store or MODULARITY_STORE=/a/folder, and run again to go on",
        )


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
        facts = json.loads(contents[_FACTS])
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
    if place.is_dir() and any(place.iterdir()) and not (place / _CHECKSUMS).exists():
        raise FileExistsError(f"{place} holds other files than tables of a study. Choose a new or an empty folder.")
    with _temporary_beside(place) as temporary:
        _write_files(temporary, {"key": key, "facts": entry.facts, "provenance": entry.provenance}, entry, indent=1)
        if not place.exists():
            temporary.rename(place)
            return
        before = place.with_name(f"{_temporary_prefix()}before")
        place.rename(before)
        temporary.rename(place)
        shutil.rmtree(before)


@contextmanager
def _temporary_beside(place: Path) -> Iterator[Path]:
    """A new folder in the same folder as `place`, gone in the end unless it was renamed."""
    for attempt in range(3):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=_temporary_prefix(), dir=place.parent))
            break
        except FileNotFoundError:  # another process has just removed the empty folder
            if attempt == 2:
                raise
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_files(folder: Path, facts: Mapping[str, Any], entry: Entry, *, indent: int | None = None) -> None:
    contents = {_FACTS: json.dumps(facts, indent=indent, allow_nan=False).encode()}
    if entry.arrays:
        contents[_ARRAYS] = save({name: np.ascontiguousarray(array) for name, array in entry.arrays.items()})
    for name, table in entry.tables.items():
        contents[f"{name}.parquet"] = table.to_parquet(index=False, compression="zstd")
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(contents.items())]
    contents[_CHECKSUMS] = "".join(sums).encode()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    for name in contents:  # all are written by now: many file systems flush them together with the first
        _flush(folder / name)
    folder.chmod(0o755)


def _checked_contents(place: Path) -> dict[str, bytes]:
    """Contents of the files of an entry, by name; EntryDamaged unless they are the files that SHA256SUMS lists."""
    try:
        lines = [line.split("  ", 1) for line in (place / _CHECKSUMS).read_text().splitlines()]
        listed = {name: checksum for checksum, name in lines}
    except ValueError as error:
        raise EntryDamaged(f"{_CHECKSUMS} cannot be read: {error}") from error
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


@cache
def provenance() -> dict[str, Any]:
    """What a result was made with: versions, processor, threads, commit of the checkout (None outside one)."""
    packages = ("modularity-lib", "numpy", "scipy", "numba", "torch")
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "threads": 1,
        "commit": _commit(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    root = checkout()
    if not (root / ".git").exists():
        return None
    git = ["git", "-C", str(root)]
    try:
        commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip() + ("+changes" if changes.stdout.strip() else "")


def _flush(file: Path) -> None:
    """Make sure that a file outlasts a power cut (which may undo the rename: the entry is then absent)."""
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_prefix() -> str:
    return f".{socket.gethostname()}~{os.getpid()}~"  # no name of a host has a tilde


# Temporary folders, and signs of life (compute.py) with their temporary files.
_LEFT = re.compile(r"\.?(?P<host>[^~.][^~]*)~(?P<process>\d+)(~.*|\.json)")


def _listed(folder: Path) -> list[Path]:
    """What is in a folder; nothing where it is none, or where another process has just removed it."""
    try:
        return [Path(entry.path) for entry in os.scandir(folder)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_alive(process: int) -> bool:
    """Whether a process of this number lives on this machine."""
    if os.name == "nt":
        return True  # there, asking by a signal would end the process
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True

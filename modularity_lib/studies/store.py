"""The folder of finished results: what is done, under which key, and what is damaged or left over."""

import errno
import json
import logging
import os
import re
import shutil
import socket
import stat
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from modularity_lib.arrays import shown
from modularity_lib.paths import checkout, is_checkout
from modularity_lib.studies.entries import (
    CHECKSUMS,
    FACTS,
    Entry,
    EntryDamaged,
    read_entry,
    temporary_beside,
    temporary_prefix,
    write_files,
)
from modularity_lib.studies.provenance import provenance

_log = logging.getLogger(__name__)
_SET_ASIDE = "set-aside"
_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_IN_THE_WAY = (errno.EEXIST, errno.ENOTDIR)


def default_store_folder() -> Path:
    """Where results are kept: $MODULARITY_STORE, else .modularity/ in a checkout, else the user's data folder."""
    if chosen := os.environ.get("MODULARITY_STORE"):
        try:
            return Path(chosen).expanduser()
        except RuntimeError as error:
            raise StoreUnusable(
                errno.ENOENT, f"MODULARITY_STORE is {chosen!r}, and that home is not known here: write the whole path"
            ) from error
    if is_checkout():
        return checkout() / ".modularity"
    return Path(platformdirs.user_data_dir("modularity-lib"))


class StoreUnusable(OSError):
    """The store cannot be read or written: the disk is full, say, or the folder belongs to someone else."""


class Store:
    """A folder of entries, `<stage>/<first two digits>/<key>/`, each written whole or not at all.

    Every method raises StoreUnusable where the system does not let it look.

    An entry is a folder of `facts.json`, `arrays.safetensors` where it has arrays, `<name>.parquet` for each table, and
    `SHA256SUMS`. It is written under a temporary name beside its place, flushed to disk and renamed; a folder that is
    there is therefore complete. An entry that fails its checksums is moved to `set-aside/`, reported, and treated as
    missing.

    Args:
        root: folder of the store; made when the first entry is written. Default: `default_store_folder()`.
    """

    def __init__(self, root: Path | str | None = None) -> None:
        if not isinstance(root, Path | str | None):
            raise ValueError(f"root must be a folder, got {shown(root)}. Leave it out for the usual one.")
        self.root = Path(root) if root is not None else default_store_folder()
        # Whether somebody named the folder, which says that results are wanted there.
        self.is_chosen = root is not None or bool(os.environ.get("MODULARITY_STORE"))

    def has(self, stage: str, key: str) -> bool:
        """Whether an entry is there; its checksums are not read."""
        return self._is_folder(self._place(stage, key))

    def read(self, stage: str, key: str) -> Entry | None:
        """Entry of this key, or None where there is none or where it was damaged and has been set aside.

        Raises:
            StoreUnusable: the entry is damaged, and the folder cannot be written to set it aside.
        """
        place = self._place(stage, key)
        if not self._is_folder(place):
            return None
        try:
            return read_entry(place, key=key)
        except OSError as error:
            raise self._unreadable(error, what=str(place)) from error
        except EntryDamaged as damage:
            if self._is_folder(place):  # else another process has just removed it or set it aside
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
            with temporary_beside(place) as temporary:
                write_files(temporary, facts, entry)
                try:
                    temporary.rename(place)
                except OSError:
                    if not self._is_folder(place):  # another process finished the same entry first: its copy is as good
                        raise
        except OSError as error:
            raise self._unwritable(error) from error

    def check_writable(self, stages: Iterable[str] = ()) -> None:
        """Raise StoreUnusable where nothing could be written, or not in these stages: before hours are spent."""
        try:
            with temporary_beside(self.root / _SET_ASIDE):
                pass
        except OSError as error:
            raise self._unwritable(error) from error
        for folder in (self.root / stage for stage in stages):
            for place in (folder, *self._listed(folder)):
                if os.path.lexists(place) and not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
                    number = errno.EACCES if place.is_dir() else errno.ENOTDIR
                    raise self._unwritable(OSError(number, f"{place}: {os.strerror(number)}"))

    def keys(self, stage: str) -> list[str]:
        """Keys of the entries of a stage, in no particular order."""
        return [place.name for place in self._places(stage) if not place.name.startswith(".")]

    def describe(self, stage: str, key: str) -> dict[str, Any]:
        """All that `facts.json` of an entry holds, unchecked, for estimates; empty where it is unreadable."""
        try:
            return dict(json.loads((self._place(stage, key) / FACTS).read_text()))
        except (OSError, ValueError):
            return {}

    def checksums(self, stage: str, key: str) -> str:
        """SHA-256 of every file of an entry as it was written, provenance included; empty where there is no entry."""
        try:
            return (self._place(stage, key) / CHECKSUMS).read_text()
        except OSError:
            return ""

    def remove(self, stage: str, key: str | None = None) -> None:
        """Remove one entry of a stage, or all of them. Only what can be computed again at no cost is ever removed."""
        for name in [key] if key is not None else self.keys(stage):
            place = self._place(stage, name)
            doomed = place.with_name(f"{temporary_prefix()}{name}")
            try:
                place.rename(doomed)  # at once: another process must not read an entry that is half removed
            except OSError:
                continue  # it is gone already, or the folder is read-only
            shutil.rmtree(doomed, ignore_errors=True)
        if key is None:  # only folders that are empty: another process may just be writing here
            for folder in [*self._listed(self.root / stage), self.root / stage]:
                with suppress(OSError):
                    folder.rmdir()

    def remove_leftovers(self) -> int:
        """Remove what processes on this machine left that no longer live; return how many files and folders it was."""
        stages = [folder.name for folder in self._listed(self.root)]
        places = [*self._listed(self.root), *(place for stage in stages for place in self._places(stage))]
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
        return [place for first in self._listed(self.root / stage) for place in self._listed(first)]

    def _listed(self, folder: Path) -> list[Path]:
        """What is in a folder; nothing where it is none, or where another process has just removed it."""
        try:
            return [Path(entry.path) for entry in os.scandir(folder)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise self._unreadable(error, what=str(folder)) from error

    def _is_folder(self, place: Path) -> bool:
        try:
            return stat.S_ISDIR(place.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._unreadable(error, what=str(place)) from error

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
        mend = "make it writable"
        if error.errno in _DISK_IS_FULL:
            mend = "free some space"
        elif error.errno in _IN_THE_WAY:
            mend = "move away the file that is in the place of a folder"
        return self._unusable(error, what, mend)

    def _unreadable(self, error: OSError, *, what: str) -> "StoreUnusable":
        return self._unusable(error, f"{what} cannot be read from", "make it readable")

    def _unusable(self, error: OSError, what: str, mend: str) -> "StoreUnusable":
        return StoreUnusable(
            error.errno,
            f"{what} the store {self.root} ({error.strerror}). Nothing finished is lost: {mend}, or choose another "
            "folder with --store or MODULARITY_STORE=/a/folder, and run again to go on",
        )


# Temporary folders, and signs of life (heartbeat.py) with their temporary files.
_LEFT = re.compile(r"\.?(?P<host>[^~.][^~]*)~(?P<process>\d+)(~.*|\.json)")


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

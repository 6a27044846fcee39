"""Finished results on disk: written whole or not at all, checked by SHA-256 whenever they are read."""

import hashlib
import json
import logging
import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from safetensors.numpy import load_file, save

_log = logging.getLogger(__name__)
_CHECKSUMS = "SHA256SUMS"  # the format of sha256sum, so that `sha256sum -c SHA256SUMS` checks an entry by hand
_FACTS = "facts.json"
_ARRAYS = "arrays.safetensors"


@dataclass(frozen=True)
class Entry:
    """One finished result: facts that JSON can hold, and named arrays."""

    facts: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def default_store_folder() -> Path:
    """Where results are kept: $MODULARITY_STORE, else .modularity/ in a checkout, else the user's data folder."""
    if chosen := os.environ.get("MODULARITY_STORE"):
        return Path(chosen).expanduser()
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "_toc.yml").exists():
        return checkout / ".modularity"
    return Path(platformdirs.user_data_dir("modularity-lib"))


def key_of(ingredients: Mapping[str, Any]) -> str:
    """Key of a result: SHA-256 of everything that determines it, 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()


class StoreUnusable(OSError):
    """The store cannot be written: the disk is full, say, or the folder belongs to someone else."""


class Store:
    """A folder of entries, `<stage>/<first two digits>/<key>/`, each written whole or not at all.

    An entry is a folder of `facts.json`, `arrays.safetensors` where it has arrays, and `SHA256SUMS`. It is written
    under a temporary name beside its place, flushed to disk and renamed; a folder that is there is therefore
    complete. An entry that fails its checksums is moved to `set-aside/`, reported, and treated as missing.

    Args:
        root: folder of the store; made when the first entry is written. Default: `default_store_folder()`.
    """

    def __init__(self, root: Path | str | None = None) -> None:
        self.root = Path(root) if root is not None else default_store_folder()

    def has(self, stage: str, key: str) -> bool:
        """Whether an entry is there; its checksums are not read."""
        return self._place(stage, key).is_dir()

    def read(self, stage: str, key: str) -> Entry | None:
        """Entry of this key, or None where there is none or where it was damaged and has been set aside."""
        place = self._place(stage, key)
        if not place.is_dir():
            return None
        fault = _fault(place, key)
        if fault:
            self._set_aside(place, stage, key, fault)
            return None
        facts = json.loads((place / _FACTS).read_text())
        arrays = load_file(place / _ARRAYS) if (place / _ARRAYS).exists() else {}
        return Entry(facts["facts"], arrays)

    def write(self, stage: str, key: str, entry: Entry, *, ingredients: Mapping[str, Any], seconds: float) -> None:
        """Write an entry; where two processes write the same key, the first one stays.

        Args:
            ingredients: what the key was made of, kept beside the result for the reader.
            seconds: how long the computation took.
        Raises:
            StoreUnusable: the folder cannot be written; the message says which, and how to choose another.
        """
        place = self._place(stage, key)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=_temporary_prefix(), dir=place.parent))
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            facts = {
                "key": key,
                "ingredients": ingredients,
                "facts": entry.facts,
                "provenance": {
                    **provenance(),
                    "seconds": round(seconds, 3),
                    "written": time.strftime("%FT%TZ", time.gmtime()),
                },
            }
            (temporary / _FACTS).write_text(json.dumps(facts, indent=1, allow_nan=False))
            if entry.arrays:
                arrays = {name: np.ascontiguousarray(array) for name, array in entry.arrays.items()}
                (temporary / _ARRAYS).write_bytes(save(arrays))
            sums = [f"{_sha256(file)}  {file.name}\n" for file in sorted(temporary.iterdir())]
            (temporary / _CHECKSUMS).write_text("".join(sums))
            for file in temporary.iterdir():
                _flush(file)
            temporary.chmod(0o755)
            try:
                temporary.rename(place)
            except OSError:
                if not place.is_dir():  # another process finished the same entry first: its copy is as good
                    raise
            _flush(place.parent)
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def keys(self, stage: str) -> list[str]:
        """Keys of the entries of a stage, in no particular order."""
        return [place.name for place in (self.root / stage).glob("??/*") if not place.name.startswith(".")]

    def describe(self, stage: str, key: str) -> dict[str, Any]:
        """What the key of an entry was made of; empty where the entry cannot be read."""
        try:
            return dict(json.loads((self._place(stage, key) / _FACTS).read_text())["ingredients"])
        except (OSError, ValueError, KeyError):
            return {}

    def remove(self, stage: str, key: str | None = None) -> None:
        """Remove one entry of a stage, or all of them. Only what can be computed again at no cost is ever removed."""
        place = self.root / stage if key is None else self._place(stage, key)
        shutil.rmtree(place, ignore_errors=True)

    def remove_leftovers(self) -> int:
        """Remove temporary folders of processes on this machine that no longer live; return how many there were."""
        leftovers = [
            folder
            for folder in [*self.root.glob(f"*/*/.{socket.gethostname()}-*")]
            if not _is_alive(int(folder.name.removeprefix(f".{socket.gethostname()}-").split("-")[0]))
        ]
        for folder in leftovers:
            shutil.rmtree(folder, ignore_errors=True)
        return len(leftovers)

    def _place(self, stage: str, key: str) -> Path:
        return self.root / stage / key[:2] / key

    def _set_aside(self, place: Path, stage: str, key: str, fault: str) -> None:
        aside = self.root / "set-aside" / f"{stage}-{key[:16]}-{time.time_ns()}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        place.rename(aside)
        _log.warning("Damaged result set aside, it will be computed again: %s (%s). Kept in %s.", place, fault, aside)

    def _unwritable(self, error: OSError) -> "StoreUnusable":
        return StoreUnusable(
            error.errno,
            f"the result could not be written to the store {self.root} ({error.strerror}). Nothing finished is lost: "
            "free some space or choose another folder with MODULARITY_STORE=/a/folder, and run again to go on",
        )


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
    checkout = Path(__file__).resolve().parents[1]
    if not (checkout / ".git").exists():
        return None
    git = ["git", "-C", str(checkout)]
    try:
        commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip() + ("+changes" if changes.stdout.strip() else "")


def _fault(place: Path, key: str) -> str:
    """What is wrong with an entry's files, or "" if nothing is."""
    try:
        lines = [line.split("  ", 1) for line in (place / _CHECKSUMS).read_text().splitlines()]
        listed = {name: checksum for checksum, name in lines}
    except (OSError, ValueError) as error:
        return f"{_CHECKSUMS} cannot be read: {error}"
    present = {file.name for file in place.iterdir()} - {_CHECKSUMS}
    if set(listed) != present or _FACTS not in present:
        return f"{_CHECKSUMS} lists {sorted(listed)}, the folder holds {sorted(present)}"
    for name, expected in listed.items():
        if _sha256(place / name) != expected:
            return f"{name} does not have the SHA-256 it was written with"
    if json.loads((place / _FACTS).read_text())["key"] != key:
        return "it is the result of another key"
    return ""


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flush(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows cannot flush a folder
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_prefix() -> str:
    return f".{socket.gethostname()}-{os.getpid()}-"


def _is_alive(process: int) -> bool:
    if os.name == "nt":
        return True  # there, asking by a signal would end the process
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True

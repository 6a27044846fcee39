"""Where neither the library nor the home of its user can be written, compiled code is kept in a temporary folder."""

import inspect
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import modularity_lib
from modularity_lib import compiled_code
from without_powers import without_root_powers

COMPILE = """
import os, modularity_lib, modularity_lib.alignment.compiled, modularity_lib.similarity.closed_form
from modularity_lib.alignment.compiled import *
import numba
print(modularity_lib.__file__, repr(numba.config.CACHE_DIR), sep="\\n")
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the library that cannot be written."""
    root = tmp_path_factory.mktemp("read-only")
    folder = root / "modularity_lib"
    shutil.copytree(Path(modularity_lib.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    everything = [root, folder, *folder.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield root
    for path in everything:
        path.chmod(0o755)


def cache_of(library: Path, **environment: str) -> str:
    """The folder that numba is told to use by the library; empty: it finds one itself."""
    kept = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", COMPILE],
        env={**kept, "PYTHONPATH": str(library), **environment},
        cwd=library,
        preexec_fn=without_root_powers,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    file, cache = done.stdout.splitlines()
    assert file == str(library / "modularity_lib" / "__init__.py")
    assert done.stderr == ""
    return cache.strip("'")


@pytest.fixture
def closed(tmp_path: Path) -> Iterator[Path]:
    """A folder that cannot be written."""
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


@pytest.mark.parametrize("home", ["closed", "nowhere/at/all", "a file"])
def test_a_temporary_folder_of_the_user_alone_is_the_last_resort(
    home: str, library: Path, closed: Path, tmp_path: Path
) -> None:
    (tmp_path / "a file").write_text("")
    place = closed / home if home.startswith("nowhere") else tmp_path / home
    (tmp_path / "temporary").mkdir()
    cache = cache_of(library, HOME=str(place), TMPDIR=str(tmp_path / "temporary"))
    assert cache == str(tmp_path / "temporary" / f"modularity-lib-{os.getuid()}")
    assert Path(cache).stat().st_mode & 0o777 == 0o700


def test_a_home_that_can_be_written_is_used(library: Path, tmp_path: Path) -> None:
    assert cache_of(library, HOME=str(tmp_path)) == ""
    assert list(tmp_path.glob(".cache/numba/*"))


def test_a_cache_folder_that_cannot_be_written_is_passed_over(library: Path, closed: Path, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    places = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(closed), "TMPDIR": str(tmp_path / "temporary")}
    assert cache_of(library, **places).startswith(str(tmp_path / "temporary"))


def test_the_folder_that_the_user_named_is_respected(library: Path, closed: Path, tmp_path: Path) -> None:
    named = {"NUMBA_CACHE_DIR": str(tmp_path / "mine")}
    assert cache_of(library, HOME=str(closed), **named) == named["NUMBA_CACHE_DIR"]


def no_shared_memory(place: str, *more: object, makedirs=os.makedirs, **how: object) -> None:
    """In place of `os.makedirs`, on a machine that has no /dev/shm."""
    if place.startswith("/dev/shm"):
        raise OSError("Read-only file system")
    makedirs(place, *more, **how)


@pytest.mark.parametrize("mode", [0o777, 0o750, 0o500])
def test_a_folder_that_others_can_enter_or_that_is_closed_is_not_used(
    mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "makedirs", no_shared_memory)
    monkeypatch.setattr(os, "access", lambda place, *_: os.stat(place).st_mode & 0o200 != 0)  # for root, too
    folder = tmp_path / f"modularity-lib-{os.getuid()}"
    assert compiled_code._temporary_folder() == str(folder)
    folder.chmod(mode)
    assert compiled_code._temporary_folder() is None


def test_without_any_folder_each_process_compiles_for_itself(library: Path, closed: Path) -> None:
    script = f"""
import os, tempfile
tempfile.tempdir = {str(closed)!r}
makedirs = os.makedirs
{inspect.getsource(no_shared_memory)}
os.makedirs = no_shared_memory
import modularity_lib.alignment.compiled
print(os.environ.get("NUMBA_CACHE_DIR"))
"""
    kept = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", script],
        env={**kept, "PYTHONPATH": str(library), "HOME": str(closed), "TMPDIR": str(closed)},
        preexec_fn=without_root_powers,
        cwd=library,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")

"""Where compiled code is kept between two starts, on a machine where neither the library nor its user's home can be
written: numba, which would refuse to compile anything there, is then given a temporary folder."""

import os
import stat
import sys

_VARIABLE = "NUMBA_CACHE_DIR"


def find_place() -> None:
    """Name a temporary folder in NUMBA_CACHE_DIR if no folder that numba would try can be written.

    It must be called before the first function is decorated. The folder is the same in each process of a user, so that
    code is compiled once. Where there is none either, each process compiles for itself.
    """
    if _can_be_written(os.environ.get(_VARIABLE, "")) or all(map(_can_be_written, _beside_the_source())):
        return
    import platformdirs

    if _can_be_written(platformdirs.user_cache_dir("numba")):
        return
    folder = _temporary_folder()
    if folder is None:
        from numba.core.dispatcher import Dispatcher

        Dispatcher.enable_caching = lambda self: None  # type: ignore[method-assign]
        return
    os.environ[_VARIABLE] = folder  # of the processes that this one starts, too
    if "numba" in sys.modules:  # it has read the variable already
        sys.modules["numba"].config.CACHE_DIR = folder


def _beside_the_source() -> list[str]:
    package = os.path.dirname(__file__)
    return [os.path.join(entry.path, "__pycache__") for entry in os.scandir(package) if entry.is_dir()]


def _can_be_written(folder: str) -> bool:
    """Whether files can be written to a folder, or the folder can be made."""
    if not folder or folder.startswith("~"):  # the ~ of a user who has no home
        return False
    folder = os.path.abspath(folder)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def _temporary_folder() -> str | None:
    """A folder for temporary files that is this user's alone: numba runs what it finds there."""
    import tempfile

    try:
        usual = tempfile.gettempdir()
    except OSError:
        usual = "/"
    for place in (usual, "/dev/shm"):  # in a container all but the latter may be read-only
        folder = os.path.join(place, f"modularity-lib-{os.getuid()}")
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            found = os.lstat(folder)
        except OSError:
            continue
        is_private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
        if is_private and _can_be_written(folder):
            return folder
    return None

"""Files that users ask for: written whole or not at all, and refused before the work where they cannot be written."""

import os
from contextlib import suppress
from pathlib import Path

from modularity_lib.arrays import shown


def file_to_write(name: str, value: object) -> Path:
    """The path of a file that can be written, or replaced; ValueError, which names the argument, if it cannot."""
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise ValueError(f"{name} must be the path of a file, got {shown(value)}.")
    path = Path(os.path.realpath(os.path.expanduser(os.fsdecode(value))))  # behind a link, the file that it names
    folder = path.parent
    if path.is_dir():
        raise ValueError(f"{name} must be the path of a file, got the folder {path}. Add the name of the file.")
    if path.exists() and not path.is_file():
        raise ValueError(f"{name} must be the path of a file, got {path}, which is a device or a pipe.")
    if not folder.is_dir():
        raise ValueError(f"{name} must lie in a folder that exists, got {path}. Make {folder} first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"{name} must lie in a folder that can be written, got {path}. Choose another than {folder}.")
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside its place, and put it there when it is complete.

    Raises:
        OSError: it cannot be written, as on a full disk; what was there before is still there.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        with suppress(OSError):
            part.unlink()  # it is there if something failed

"""What a chapter reads besides the book itself: studies in the store, the images they need, folders of the user's own.

A chapter names all of it by its parameters. That it is part of the chapter's key (see `execution`) is why a page never
shows what has been changed since.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from modularity_lib.book.parameters import Parameter
from modularity_lib.images.sources import CACHE_FOLDER, DATA_VARIABLE, DATASETS, IDX_FILES, IdxSource
from modularity_lib.studies.archive import Archive

_ALWAYS = "v1"  # the explorer shows it in place of a study that is not at hand


def outside(declared: Mapping[str, Parameter], parameters: Mapping[str, Any], *, root: Path) -> dict[str, str]:
    """State of what each parameter names outside the book, as a digest by the parameter's name.

    Args:
        declared: what the chapter takes.
        parameters: those that differ from the chapter's own.
        root: where relative paths start.
    """
    states = {}
    for name, parameter in declared.items():
        value = parameters.get(name, parameter.default)
        named = value if isinstance(value, list) else [value]
        if parameter.kind == "study":
            seen: list[Any] = [_state_of_study(study) for study in sorted({*named, _ALWAYS})]
        elif parameter.kind == "folder":
            seen = [_files_in(root / folder) for folder in named if folder]
        else:
            continue
        states[name] = hashlib.sha256(json.dumps(seen).encode()).hexdigest()
    return states


def _state_of_study(name: str) -> list[Any]:
    """The checksums of all that the store has of a study, and what there is of its images."""
    archive = Archive(name)
    sums = []
    if archive.store.root.is_dir():  # or else there is nothing, and no need to make keys
        entries = (entry for config in archive.configs for entry in archive.keys(config).of.items())
        sums = [found for found in (archive.store.checksums(*entry) for entry in entries) if found]
    return [name, sums, _images_at_hand(archive.study.dataset)]


def _images_at_hand(dataset: str) -> list[Any]:
    """The files of a dataset that does not come with the project; their content is checked whenever they are read."""
    source = DATASETS[dataset]
    if not isinstance(source, IdxSource):
        return []
    chosen = os.environ.get(DATA_VARIABLE)
    folder = Path(chosen).expanduser() / source.subfolder if chosen else CACHE_FOLDER / source.name
    return [file for file in _files_in(folder) if file[0].removesuffix(".gz") in IDX_FILES]


def _files_in(folder: Path) -> list[list[Any]]:
    """Name, size and times of every file in a folder, but not below it; no file changes without its `st_ctime`."""
    found = []
    with suppress(OSError):  # what cannot be read has no state; whoever reads it says so
        for entry in os.scandir(folder):
            if entry.is_file():
                stat = entry.stat()
                found.append([entry.name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns])
    return sorted(found)

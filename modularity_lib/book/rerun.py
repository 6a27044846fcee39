"""Runs one chapter again with other parameters: `modularity chapter measures -p dropout 0.7 -p layer 2`.

It writes the notebook `_build/chapters/measures-dropout=0.7-layer=2/measures.ipynb` and, beside it, the page
`html/chapters/measures.html`. The book itself stays as it is.
"""

import shutil
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from filelock import FileLock
from jupyter_book.sphinx import build_sphinx
from myst_nb.core.read import is_myst_markdown_notebook
from sphinx_external_toc.parsing import parse_toc_yaml

from modularity_lib.book.execution import (
    BUILD,
    CHAPTERS,
    LIBRARY,
    ChapterFailed,
    chosen_parameters,
    executed_notebook,
    find_chapter,
    surroundings,
    title_of,
)


class OutputUnwritable(OSError):
    """The folder for notebooks and pages cannot be written."""


def rerun(
    name: str, parameters: Mapping[str, Any], *, root: Path = LIBRARY.parent, output: Path | None = None
) -> tuple[Path, Path]:
    """Run a chapter with these parameters; the others keep the chapter's own values.

    Two runs at once with other parameters write to two folders; with the same ones the second waits for the first.

    Args:
        name: of the chapter, e.g. "measures" for chapters/measures.md.
        parameters: new values, by name; a text is read as a person types it.
        root: folder of the book.
        output: where notebook, page and what is remembered go. Default: `_build` in the folder of the book.
    Returns:
        The executed notebook and the page, under `chapters/<name and parameters>/` of the output.
    Raises:
        ValueError: there is no such chapter or parameter, or a value is not what the chapter takes.
        OutputUnwritable: the output cannot be written.
        ChapterFailed: a cell raised an error.
    """
    output = (output or root / BUILD).absolute()
    chapter = replace(find_chapter(root, name), output=output)
    parameters = chosen_parameters(chapter, parameters)
    folder = output / CHAPTERS / title_of(name, parameters)
    _check_writable(folder)
    executed = executed_notebook(chapter, parameters, surroundings(root))
    with FileLock(folder / ".lock"):
        return _write(executed, name, parameters, root=root, output=output, folder=folder)


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputUnwritable(
            f"the chapter's notebook and page cannot be written to {folder}: {error.strerror}. Choose another folder "
            "with --to /a/folder."
        ) from error


def _write(
    executed: Path, name: str, parameters: Mapping[str, Any], *, root: Path, output: Path, folder: Path
) -> tuple[Path, Path]:
    """Write the notebook and its page into a folder; return their files."""
    notebook = folder / f"{name}.ipynb"
    shutil.copyfile(executed, notebook)
    contents = folder / "_toc.yml"
    beside = "".join(f"\n- file: {page}" for page in _pages_without_code(root))
    contents.write_text(f"format: jb-book\nroot: {CHAPTERS}/{name}\nchapters:{beside or ' []'}\n", encoding="utf-8")
    # An extension of Jupyter Book looks at every object there is, and PyTorch warns that one of its own is deprecated.
    warnings.filterwarnings("ignore", message=r".*torch\.distributed\.reduce_op", category=FutureWarning)
    status = build_sphinx(
        root,
        folder / "html",
        path_config=root / "_config.yml",
        noconfig=True,
        confoverrides={
            "external_toc_path": str(contents),
            "latex_individualpages": False,
            "chapter_parameters": {name: dict(parameters)},
            "chapter_output": str(output),
            "suppress_warnings": ["myst.xref_missing", "ref"],  # the other chapters are not part of this page
        },
        quiet=True,
    )
    if status != 0:
        raise ChapterFailed(f"its page could not be rendered ({status})", line=1, notebook=notebook)
    return notebook, folder / "html" / CHAPTERS / f"{name}.html"


def _pages_without_code(root: Path) -> list[str]:
    """The pages that need no execution, such as the references: they are built along with the chapter."""
    pages = parse_toc_yaml(root / "_toc.yml")
    return [page for page in pages if not is_myst_markdown_notebook((root / f"{page}.md").read_text(encoding="utf-8"))]

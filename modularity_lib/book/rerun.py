"""Runs one chapter again with other parameters: `modularity chapter measures -p dropout 0.7 -p layer 2`.

It writes the notebook `_build/chapters/measures/measures.ipynb` and, beside it, the page `html/chapters/measures.html`.
The book itself stays as it is.
"""

import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import papermill
from jupyter_book.sphinx import build_sphinx
from myst_nb.core.read import is_myst_markdown_notebook
from nbformat import NotebookNode
from sphinx_external_toc.parsing import parse_toc_yaml

from modularity_lib.book.execution import (
    CHAPTERS,
    LIBRARY,
    ChapterFailed,
    all_chapters,
    chapter_key,
    check_parameters,
    executed_notebook,
    find_chapter,
    surroundings,
    with_chosen_study,
)
from modularity_lib.book.words.prose import markdown

RERUNS = Path("_build", CHAPTERS)  # below the root of the book


def rerun(name: str, parameters: Mapping[str, Any], *, root: Path = LIBRARY.parent) -> tuple[Path, Path]:
    """Run a chapter with these parameters; the others keep the chapter's own values.

    Args:
        name: of the chapter, e.g. "measures" for chapters/measures.md.
        parameters: new values, by name.
        root: folder of the book.
    Returns:
        The executed notebook and the page, under `_build/chapters/<name>/`.
    Raises:
        ValueError: there is no such chapter or parameter; the message names those that there are.
        ChapterFailed: a cell raised an error.
    """
    chapter = find_chapter(root, name)
    parameters = with_chosen_study(chapter, parameters)
    check_parameters(chapter, parameters)
    executed = executed_notebook(chapter, parameters, chapter_key(chapter, parameters, surroundings(root)))

    folder = root / RERUNS / name
    folder.mkdir(parents=True, exist_ok=True)
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
            "suppress_warnings": ["myst.xref_missing", "ref"],  # the other chapters are not part of this page
        },
        quiet=True,
    )
    if status != 0:
        raise ChapterFailed(f"its page could not be rendered ({status})", line=1, notebook=notebook)
    return notebook, folder / "html" / CHAPTERS / f"{name}.html"


def parameters_markdown(root: Path = LIBRARY.parent) -> str:
    """Markdown table: the parameters of every chapter, their default values and what they mean."""
    rows = []
    for chapter in all_chapters(root):
        notebook = chapter.notebook()
        above = _comments_above(notebook)
        for name, parameter in papermill.inspect_notebook(notebook).items():
            meaning = parameter["help"] or above.get(name, "")
            rows.append([chapter.name, f"`{name}`", f"`{parameter['default']}`", meaning])
    return markdown(["chapter", "parameter", "default", "meaning"], rows)


def _comments_above(notebook: NotebookNode) -> dict[str, str]:
    """The comments right above the parameters of a notebook, by parameter; Papermill only reads those behind them."""
    cells = (cell.source for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    comments: dict[str, str] = {}
    comment: list[str] = []
    for line in next(cells, "").splitlines():
        if line.startswith("#"):
            comment.append(line.lstrip("# "))
            continue
        assigned = re.match(r"(\w+)\s*[:=]", line)
        if assigned:
            comments[assigned[1]] = " ".join(comment)
        comment = []
    return comments


def _pages_without_code(root: Path) -> list[str]:
    """The pages that need no execution, such as the references: they are built along with the chapter."""
    pages = parse_toc_yaml(root / "_toc.yml")
    return [page for page in pages if not is_myst_markdown_notebook((root / f"{page}.md").read_text(encoding="utf-8"))]

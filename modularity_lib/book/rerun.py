"""Runs one chapter again with other parameters: a notebook and a page of its own, beside the book.

    python -m modularity_lib.book.rerun measures -p dropout 0.7 -p layer 2

The notebook is `_build/chapters/measures/measures.ipynb`, the page `html/chapters/measures.html` beside it. The book
itself stays as it is.
"""

import argparse
import re
import shutil
import sys
import warnings
from collections.abc import Mapping, Sequence
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
    parse_value,
    surroundings,
    with_chosen_study,
)

RERUNS = Path("_build", CHAPTERS)  # below the root of the book


def rerun(name: str, parameters: Mapping[str, Any], *, root: Path = LIBRARY.parent) -> tuple[Path, Path]:
    """Run a chapter with these parameters; the others keep the values that the chapter gives them.

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


def parameters_table(root: Path = LIBRARY.parent) -> str:
    """Markdown table: the parameters of every chapter, their default values and what they mean."""
    lines = ["| chapter | parameter | default | meaning |", "|---|---|---|---|"]
    for chapter in all_chapters(root):
        notebook = chapter.notebook()
        above = _comments_above(notebook)
        for name, parameter in papermill.inspect_notebook(notebook).items():
            meaning = (parameter["help"] or above.get(name, "")).replace("|", "/")
            lines.append(f"| {chapter.name} | `{name}` | `{parameter['default']}` | {meaning} |")
    return "\n".join(lines)


def _comments_above(notebook: NotebookNode) -> dict[str, str]:
    """The comments right above the parameters of a notebook, by parameter; Papermill knows those behind them alone."""
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
    """The pages of the book that need no execution, such as the references; they go along with the chapter."""
    pages = parse_toc_yaml(root / "_toc.yml")
    return [page for page in pages if not is_myst_markdown_notebook((root / f"{page}.md").read_text(encoding="utf-8"))]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command to a parser."""
    parser.add_argument("name", help="chapter, e.g. measures for chapters/measures.md")
    parser.add_argument(
        "-p",
        dest="parameters",
        nargs=2,
        metavar=("PARAMETER", "VALUE"),
        action="append",
        default=[],
        help="set a parameter of the chapter; may be given several times",
    )


def run(arguments: argparse.Namespace) -> int:
    """Carry out the command; return its exit status."""
    parameters = {name: parse_value(value) for name, value in arguments.parameters}
    try:
        notebook, page = rerun(arguments.name, parameters)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ChapterFailed as failure:
        print(f"error: chapters/{arguments.name}.md:{failure.line}: {failure}", file=sys.stderr)
        print(f"The notebook as far as it got: {failure.notebook}", file=sys.stderr)
        return 1
    print(f"notebook: {notebook}\npage: {page}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m modularity_lib.book.rerun", description=__doc__.splitlines()[0])
    add_arguments(parser)
    return run(parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())

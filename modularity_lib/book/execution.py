"""Runs one chapter of the book with chosen parameters through Papermill, and remembers the executed notebook.

A chapter is a MyST Markdown file with a Jupytext header. Its executed notebook is kept under `_build/.jupyter_cache/`,
named by a key of everything the chapter may depend on: it runs again when something has changed, and only then.
`schedule` runs all chapters of a build.
"""

import hashlib
import importlib.metadata
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakSet

import jupytext
import jupytext.myst
import nbformat
import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from myst_nb.core.read import is_myst_markdown_notebook
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode

from modularity_lib.book.outside import outside
from modularity_lib.book.parameters import Parameter, checked_parameters, parameters_of
from modularity_lib.book.progress import Progress
from modularity_lib.paths import checkout
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.vocabulary import did_you_mean

LIBRARY = checkout() / "modularity_lib"
CHAPTERS = "chapters"  # folder of the chapters, in the root of the book
BUILD = "_build"  # folder below the root of the book
# A kernel that ends may close a socket to which it still listens, and would print a traceback into the terminal.
QUIET_END = "__import__('logging').getLogger('tornado.general').setLevel('CRITICAL')"
STUDY_VARIABLE = "MODULARITY_STUDY"  # which study the chapters show; part of what they depend on
_LONGEST_TITLE = 100  # characters; file systems take 255 bytes
LINE = "source_line"  # in the metadata of a cell: the line of the .md file, from 1, at which its text starts


class ChapterFailed(Exception):
    """A chapter could not be run to its end.

    Attributes:
        line: line of the .md file, from 1, that raised the error.
        notebook: file of the notebook as far as it got.
    """

    def __init__(self, message: str, *, line: int, notebook: Path) -> None:
        super().__init__(message)
        self.line = line
        self.notebook = notebook


@dataclass(frozen=True)
class Chapter:
    """A MyST Markdown file with code in it, below the root of the book."""

    root: Path
    name: str
    text: str
    output: Path | None = None  # folder of all that is made from the book; None: _build below the root

    @property
    def cache(self) -> Path:
        """Folder of what is remembered of chapters; `jupyter-book clean .` spares it."""
        return (self.output or self.root / BUILD) / ".jupyter_cache"

    @property
    def path(self) -> Path:
        """File of the chapter."""
        return self.root / CHAPTERS / f"{self.name}.md"

    def notebook(self) -> NotebookNode:
        """The chapter as a notebook without outputs; each cell knows its line in the file."""
        notebook = jupytext.myst.myst_to_notebook(self.text, add_source_map=True)
        for cell, line in zip(notebook.cells, notebook.metadata.pop("source_map"), strict=True):
            cell.metadata[LINE] = _first_line(self.text.splitlines(), cell.source.splitlines(), line) + 1
        # Without ids from the text itself, two runs of one chapter would differ in nothing but random ids.
        for index, cell in enumerate(notebook.cells):
            cell.id = f"cell-{index}"
        return notebook

    def parameters(self) -> dict[str, Parameter]:
        """What the chapter declares, by name.

        Raises:
            ValueError: a parameter does not say what it takes.
        """
        with _named(self.name):
            return parameters_of(self.text)

    def defaults(self) -> dict[str, Any]:
        """Default value of each parameter, by name; text where the default is an expression."""
        return {name: parameter.default for name, parameter in self.parameters().items()}


def find_chapter(root: Path, name: str) -> Chapter:
    """Chapter of this name, e.g. "networks" for chapters/networks.md.

    Raises:
        ValueError: there is no such chapter, or it is a page without code.
    """
    chapters = _chapters_with_code(root)
    if name not in chapters:
        raise ValueError(
            f"there is no chapter with code named {name!r}.{did_you_mean(name, chapters)} There are: "
            f"{', '.join(chapters) or 'none'}."
        )
    return Chapter(root, name, chapters[name])


def all_chapters(root: Path) -> list[Chapter]:
    """All chapters with code, in the order of the table of contents; chapters missing there come last."""
    listed = re.findall(rf"{CHAPTERS}/(\S+)", (root / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [Chapter(root, name, text) for name, text in _chapters_with_code(root).items()]
    return sorted(chapters, key=lambda one: listed.index(one.name) if one.name in listed else len(listed))


def _chapters_with_code(root: Path) -> dict[str, str]:
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted((root / CHAPTERS).glob("*.md"))}
    return {name: text for name, text in texts.items() if is_myst_markdown_notebook(text)}


def chosen_parameters(chapter: Chapter, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given parameters as the chapter takes them, and the study that $MODULARITY_STUDY names where it shows one.

    Raises:
        ValueError: one of them is not in the chapter, or is not what it takes (see `parameters`).
    """
    declared, study = chapter.parameters(), os.environ.get(STUDY_VARIABLE)
    if study and study not in STUDIES:
        raise ValueError(
            f"{STUDY_VARIABLE} must be one of {', '.join(STUDIES)}, got {study!r}.{did_you_mean(study, STUDIES)}"
        )
    chosen = {"study": study} if study and "study" in declared else {}
    with _named(chapter.name):
        return checked_parameters(declared, {**chosen, **given}, root=chapter.root)


@contextmanager
def _named(chapter: str) -> Iterator[None]:
    """Put the chapter's name into what is wrong with its parameters."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"chapter {chapter!r}: {error}") from error


def reason_of(error: OSError) -> str:
    """What could not be read or written, and why, in a sentence."""
    return f"{error.filename}: {error.strerror}." if error.filename and error.strerror else f"{error}."


def surroundings(root: Path) -> str:
    """Digest of what every chapter depends on: library, data, installed packages, Python."""
    digest = hashlib.sha256()
    for folder in (LIBRARY, root / "data"):
        files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        for path in sorted(files):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{folder.name}/{path.relative_to(folder).as_posix()} {content}\n".encode())
    installed = sorted({f"{package.name}=={package.version}" for package in importlib.metadata.distributions()})
    digest.update(json.dumps([installed, sys.version]).encode())
    return digest.hexdigest()


def chapter_key(chapter: Chapter, parameters: Mapping[str, Any], around: str, read: Mapping[str, str]) -> str:
    """Key of an executed chapter; `around` comes from `surroundings`, `read` from `outside`."""
    ingredients = [chapter.name, chapter.text, dict(parameters), around, dict(read)]
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:24]


def remembered(chapter: Chapter, key: str) -> Path:
    """File in which the executed chapter is kept under this key; it exists once the chapter has run to its end."""
    return chapter.cache / CHAPTERS / f"{chapter.name}-{key}.ipynb"


def notebook_of(chapter: Chapter, parameters: Mapping[str, Any], around: str) -> Path:
    """File in which the chapter is remembered, given what it would read now; arguments as of `executed_notebook`."""
    read = outside(chapter.parameters(), parameters, root=chapter.root)
    return remembered(chapter, chapter_key(chapter, parameters, around, read))


def executed_notebook(chapter: Chapter, parameters: Mapping[str, Any], around: str) -> Path:
    """Execute a chapter, unless its notebook is remembered; return the file of the notebook.

    Args:
        parameters: from `chosen_parameters`.
        around: from `surroundings`.
    Raises:
        ChapterFailed: a cell raised an error or the kernel died. Nothing is remembered.
        OSError: the notebook cannot be written.
    """
    declared = chapter.parameters()
    before = outside(declared, parameters, root=chapter.root)
    executed = remembered(chapter, chapter_key(chapter, parameters, around, before))
    if executed.exists():
        return executed
    executed.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=executed.parent) as folder:
        written = Path(folder, executed.name)
        with Progress(f"{CHAPTERS}/{chapter.name}") as progress:
            failure = _execute(chapter, parameters, written, progress)
            if failure:
                message, line = failure
                partial = chapter.cache / "failed" / f"{title_of(chapter.name, parameters)}.ipynb"
                partial.parent.mkdir(exist_ok=True)
                written.replace(partial)
                raise ChapterFailed(message, line=line, notebook=partial)
        # A chapter computes what its study lacks, and so changes it; of all else it may have read what was there.
        after = outside(declared, parameters, root=chapter.root)
        read = {name: after[name] if declared[name].takes == "study" else state for name, state in before.items()}
        executed = remembered(chapter, chapter_key(chapter, parameters, around, read))
        written.replace(executed)  # whole or not at all
    return executed


def title_of(name: str, parameters: Mapping[str, Any]) -> str:
    """Name of a chapter with its parameters, fit for a file: other parameters have another one.

    >>> title_of("measures", {"dropout": 0.7, "layer": 2}), title_of("modularity", {"measures": ["input_gradient"]})
    ('measures-dropout=0.7-layer=2', 'modularity-measures=input_gradient')
    >>> title_of("speed", {"folder": "my results/2"})
    'speed-folder=my_results_2-a866214b'
    """
    if not parameters:
        return name
    words = {key: value if isinstance(value, list) else [value] for key, value in parameters.items()}
    plain = "-".join([name, *(f"{key}={','.join(map(str, words[key]))}" for key in sorted(words))])
    # What is plain can be read back; of all else the letters may be the same.
    if len(plain) <= _LONGEST_TITLE and all(_is_plain(word) for several in words.values() for word in several):
        return plain
    title = re.sub(r"[^a-z0-9_.,=+-]", "_", plain.lower(), flags=re.ASCII)[:_LONGEST_TITLE]
    digest = hashlib.sha256(json.dumps(dict(parameters), sort_keys=True).encode()).hexdigest()
    return f"{title}-{digest[:8]}"


def _is_plain(word: Any) -> bool:
    return re.fullmatch(r"[a-z0-9_.+-]+", str(word), flags=re.ASCII) is not None


def _execute(
    chapter: Chapter, parameters: Mapping[str, Any], written: Path, progress: Progress
) -> tuple[str, int] | None:
    """Execute the chapter and write its notebook, as far as it got; return what failed, if anything, and the line."""
    notebook = chapter.notebook()
    nbformat.write(notebook, written)
    failure = None
    try:
        papermill.execute_notebook(
            written,
            written,
            dict(parameters),
            kernel_name="python3",
            resources={"metadata": {"path": str(chapter.root)}},  # `cwd` would move this whole process there
            progress_bar=False,
            request_save_on_cell_execute=False,
            autosave_cell_every=0,
            stderr_file=progress,
            kernel_manager_class=_KernelOfThisPython,
            coalesce_streams=True,
            # Log level: no word from the kernel on the page. Folder: no settings and no history of the user's own.
            extra_arguments=[
                "--IPKernelApp.log_level=50",
                f"--IPKernelApp.exec_lines={QUIET_END}",
                f"--IPKernelApp.ipython_dir={written.parent}",
            ],
        )
    except papermill.PapermillExecutionError as error:
        failed = nbformat.read(written, as_version=4).cells[error.cell_index + 2]  # papermill put two notes above it
        failure = f"{error.ename}: {error.evalue}", _line_of_error(failed, error.traceback)
    except DeadKernelError:
        failure = "its kernel died; often it was ended for want of memory", notebook.cells[0].metadata[LINE]
    executed = nbformat.read(written, as_version=4)
    nbformat.write(_tidied(executed, chapter), written)
    return failure


class _KernelOfThisPython(AsyncKernelManager):
    """Starts the Python that runs this code, whatever "python3" the user has registered with Jupyter."""

    all: ClassVar[WeakSet["_KernelOfThisPython"]] = WeakSet()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.all.add(self)

    @property
    def kernel_spec(self) -> KernelSpec:
        environment = {
            "PYTHONPATH": os.pathsep.join([str(LIBRARY.parent), *filter(None, [os.environ.get("PYTHONPATH")])]),
            # A size for progress bars: tqdm would measure the terminal, which it does not write to.
            **{"TQDM_NCOLS": "80", "TQDM_NROWS": "24"},
            # One thread: other chapters use the other cores, and results must not depend on how many there are.
            **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
        }
        return KernelSpec(**get_kernel_dict(), env=environment)


def end_kernels() -> None:
    """Kill the kernels that this process runs, and the processes that they started; their chapters fail."""
    for kernel in list(_KernelOfThisPython.all):
        group = getattr(kernel.provisioner, "pgid", None)
        if kernel.has_kernel and group:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)


def _tidied(notebook: NotebookNode, chapter: Chapter) -> NotebookNode:
    """Drop progress bars and paths of this machine from an executed notebook, and note the line of each cell."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                output.text = "".join(line for line in output.text.splitlines(True) if not _is_progress(line))
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("text") != ""]
        if any(output.output_type == "error" for output in cell.get("outputs", [])):
            cell.metadata["tags"] = []  # such as "remove-cell", which would hide the error
    line = 1
    lines = []
    for cell in reversed(notebook.cells):  # a cell that Papermill inserted takes the line of the cell below it
        line = cell.metadata.get(LINE, line)
        lines.append(line - 1)
    notebook.metadata["source_map"] = lines[::-1]  # read by the renderer, so that its warnings name the line
    if "papermill" in notebook.metadata:  # a dead kernel leaves none
        notebook.metadata.papermill.update(input_path=f"{CHAPTERS}/{chapter.name}.md", output_path="")
    return notebook


def _is_progress(line: str) -> bool:
    """Whether a line of standard error belongs to a progress bar of tqdm."""
    return re.search(r"\d+%\|.*\||\d+it \[\d+:\d+", line) is not None


def _first_line(lines: list[str], wanted: list[str], start: int) -> int:
    """Index of the line where the wanted lines start. It is `start` or later: cells have options above their text."""
    for index in range(start, len(lines)):
        if lines[index : index + len(wanted)] == wanted:
            return index
    return start


def _line_of_error(cell: NotebookNode, traceback: list[str]) -> int:
    """Line of the chapter that a traceback of IPython points to, or the start of the cell."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(traceback))
    frame = re.search(rf"Cell In\[{cell.execution_count}\], line (\d+)", plain)
    return int(cell.metadata.get(LINE, 1)) + (int(frame[1]) - 1 if frame else 0)

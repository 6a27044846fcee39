"""Sphinx extension: runs the chapters of the book through Papermill, and keeps its pages readable offline.

`_config.yml` lists it, so that plain `jupyter-book build .` does it all. Chapters whose key (see execution.py) is new
are executed before any page is read, side by side (see schedule.py); each page is then rendered from the executed
notebook. A chapter that fails is shown as far as it got, and the build ends with an error.
"""

from pathlib import Path

import nbformat
from docutils import nodes
from docutils.statemachine import StringList
from myst_nb.core.read import is_myst_markdown_notebook
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from modularity_lib.book.build_status import chapters_text, environment_text, execution_of, parameters_markdown
from modularity_lib.book.citation import FILE, citation_markdown
from modularity_lib.book.commands import commands_markdown
from modularity_lib.book.execution import (
    CHAPTERS,
    Chapter,
    ChapterFailed,
    chosen_parameters,
    find_chapter,
    reason_of,
    surroundings,
)
from modularity_lib.book.html import (
    arrange_tables,
    close_cell,
    close_image,
    describe_page,
    join_percent_signs,
    leave_out_thebe,
    mend_roles,
    open_cell,
    open_image,
    ship_mathjax,
    take_out_data,
)
from modularity_lib.book.schedule import Job, at_once, execute_side_by_side

_log = logging.getLogger(__name__)
_WAY_OUT = "Where the book's own folder cannot be written: jupyter-book build . --path-output /a/folder"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_config_value("chapter_parameters", {}, "")  # chapter -> parameter -> value
    app.add_config_value("chapter_output", "", "")  # folder in which executed chapters are remembered
    app.add_directive("build-status", BuildStatus)
    app.add_directive("cite-this", CiteThis)
    app.connect("config-inited", ship_mathjax)
    app.connect("env-get-outdated", execute_chapters)
    app.connect("doctree-resolved", join_percent_signs)
    app.connect("doctree-resolved", arrange_tables)
    app.add_node(nodes.image, override=True, html=(open_image, close_image))
    app.add_node(nodes.entry, override=True, html=(open_cell, close_cell))
    app.connect("html-page-context", mend_roles)
    app.connect("html-page-context", take_out_data)
    app.connect("html-page-context", describe_page)
    app.connect("config-inited", leave_out_thebe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def execute_chapters(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Execute chapters that are not cached, read each page from its executed notebook, return the outdated pages."""
    failures: dict[str, ChapterFailed] = {}

    def report(job: Job, failure: ChapterFailed) -> None:
        name = job.chapter.name
        failures[name] = failure
        _fail(app, f"chapter {name!r} failed: {failure}", (f"{CHAPTERS}/{name}", failure.line))

    try:
        n_at_once = at_once()
    except ValueError as error:
        _fail(app, str(error))
        n_at_once = 1
    try:
        jobs = _jobs(app, env)
        notebooks = execute_side_by_side(jobs, report, n_at_once=n_at_once)
        parameters_of_all = parameters_markdown(Path(app.srcdir))
    except OSError as error:
        _log.error(f"{reason_of(error)} {_WAY_OUT}")
        raise SystemExit(1) from error  # Jupyter Book would bury any other error in a traceback
    keys, formats, executions = {}, {}, []
    for chapter, parameters, _ in jobs:
        failed = chapter.name in failures
        notebook = failures[chapter.name].notebook if failed else notebooks[chapter.name]
        if not failed:
            keys[chapter.name] = notebook.stem
        executions.append(execution_of(chapter, parameters, notebook, failed=failed))
        # The renderer picks a reader by the longest matching end of the path, so a full path means one chapter. In
        # app.config the same would force a full rebuild each time.
        formats[str(chapter.path)] = ["modularity_lib.book.extension.read_executed", {"path": str(notebook)}, False]
    config = env.mystnb_config  # type: ignore[attr-defined]
    env.mystnb_config = config.copy(custom_formats={**config.custom_formats, **formats})  # type: ignore[attr-defined]

    # Any page may show a number of any chapter, so one new key outdates them all. A failed chapter has no key.
    unchanged = keys == getattr(env, "chapter_keys", None) and not failures
    env.chapter_keys = keys  # type: ignore[attr-defined]
    # The commit, say, may be another one although no chapter had to run.
    status = {
        "chapters": chapters_text(executions),
        "environment": environment_text(),
        "parameters": parameters_of_all,
        "commands": commands_markdown({one.chapter: one.seconds for one in executions}),
    }
    told = status == getattr(env, "build_status", None)
    env.build_status = status  # type: ignore[attr-defined]
    if unchanged:
        return [] if told else _pages_with_status(env)
    return sorted(env.found_docs)


class BuildStatus(SphinxDirective):
    """{build-status} chapters | environment | parameters | commands: a table as it is in this build."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Nodes of the table."""
        tables: dict[str, str] = self.env.build_status  # type: ignore[attr-defined]
        if self.arguments[0] not in tables:
            raise self.error(f"build-status must be one of {', '.join(tables)}, got {self.arguments[0]!r}.")
        return _parsed(self, tables[self.arguments[0]])


class CiteThis(SphinxDirective):
    """{cite-this}: how to cite the project and the paper, from CITATION.cff."""

    def run(self) -> list[nodes.Node]:
        """Nodes of the text."""
        self.env.note_dependency(str(Path(self.env.srcdir, FILE)))
        return _parsed(self, citation_markdown(Path(self.env.srcdir)))


def _parsed(directive: SphinxDirective, text: str) -> list[nodes.Node]:
    """Nodes of a text in Markdown, in the place of a directive."""
    around = nodes.container()
    lines = StringList(text.splitlines(), source=directive.get_source_info()[0])
    directive.state.nested_parse(lines, directive.content_offset, around)
    return [around]


def read_executed(text: str, path: str) -> NotebookNode:
    """Executed notebook of a chapter, in place of the text of its file."""
    return nbformat.read(path, as_version=4)


def _jobs(app: Sphinx, env: BuildEnvironment) -> list[Job]:
    """The chapters to execute; a chapter or parameter that does not exist fails the build."""
    around = surroundings(Path(app.srcdir))
    given = dict(app.config.chapter_parameters)
    jobs = []
    wrong: dict[str, None] = {}  # what is wrong with $MODULARITY_STUDY is so for every chapter, and said once
    for chapter in _chapters(app, env):
        try:
            jobs.append(Job(chapter, chosen_parameters(chapter, given.pop(chapter.name, None) or {}), around))
        except ValueError as error:
            wrong[str(error)] = None
    for message in wrong:
        _fail(app, message)
    for name in given:
        _fail_for_unknown_chapter(app, name)
    return jobs


def _chapters(app: Sphinx, env: BuildEnvironment) -> list[Chapter]:
    """The chapters with code, in the order of the table of contents."""
    pages = [page for page in app.config.external_site_map if page in env.found_docs]
    chapters = []
    for page in pages:
        path = Path(env.doc2path(page))
        text = path.read_text(encoding="utf-8")
        if path.parent == Path(app.srcdir, CHAPTERS) and is_myst_markdown_notebook(text):
            output = app.config.chapter_output or Path(app.outdir).parent  # beside the pages, as with --path-output
            chapters.append(Chapter(Path(app.srcdir), path.stem, text, Path(output)))
    return chapters


def _pages_with_status(env: BuildEnvironment) -> list[str]:
    return [page for page in sorted(env.found_docs) if "{build-status}" in Path(env.doc2path(page)).read_text("utf-8")]


def _fail_for_unknown_chapter(app: Sphinx, name: str) -> None:
    try:
        find_chapter(Path(app.srcdir), name)
    except ValueError as error:
        _fail(app, f"chapter_parameters: {error}")


def _fail(app: Sphinx, message: str, location: tuple[str, int] | None = None) -> None:
    """Say what is wrong now; let the build end with status 1. An exception would bury the message."""
    _log.error(message, location=location)
    app.connect("build-finished", _end_with_failure)


def _end_with_failure(app: Sphinx, error: Exception | None) -> None:
    app.statuscode = 1

"""Sphinx extension: runs the chapters of the book through Papermill, and keeps its pages readable offline.

`_config.yml` lists it, so that plain `jupyter-book build .` does it all. A chapter whose key (see chapters.py) is new
is executed before any page is read; its page is then rendered from the executed notebook. A chapter that fails is
shown as far as it got, and the build ends with an error.
"""

import html
import importlib.metadata
import re
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from docutils.statemachine import StringList
from myst_nb.core.read import is_myst_markdown_notebook
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.util.images import get_image_size
from sphinx.writers.html5 import HTML5Translator

from modularity_lib.chapters import (
    CHAPTERS,
    Chapter,
    ChapterFailed,
    chapter_key,
    check_parameters,
    executed_notebook,
    find_chapter,
    surroundings,
    with_chosen_study,
)
from modularity_lib.status import chapters_text, environment_text, execution_of

_log = logging.getLogger(__name__)
COVER = "cover.png"  # in _static; cover.py draws it
DESCRIPTION_LENGTH = 200  # characters
WIDE = 900  # pixels: a figure at least as wide is scrolled on a phone, so that its labels stay legible
LONG = 30  # characters in a cell, above which a table of four columns or more is a list of its rows on a phone
# In tables: a range, what stands in brackets, a share, a day, a quantity. Split between lines they are hard to read.
_NUMBER = r"[+−-]?\d[\d.,]*%?"
_TOGETHER = re.compile(
    rf"([(\[]{_NUMBER}(?:(?: to |, ){_NUMBER})?[)\]]|\d{{4}}-\d\d-\d\d"
    rf"|{_NUMBER} (?:to|of) {_NUMBER}|{_NUMBER} (?:s|ms|MB)\b)"
)
_MATHJAX = "tex-svg-full.js"  # MathJax in one file, its glyphs included: nothing is fetched later


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_config_value("chapter_parameters", {}, "")  # chapter -> parameter -> value
    app.add_directive("build-status", BuildStatus)
    app.connect("config-inited", ship_mathjax)
    app.connect("env-get-outdated", execute_chapters)
    app.connect("doctree-resolved", arrange_tables)
    app.add_node(nodes.image, override=True, html=(open_image, close_image))
    app.add_node(nodes.entry, override=True, html=(open_cell, close_cell))
    app.connect("html-page-context", mend_roles)
    app.connect("html-page-context", describe_page)
    app.connect("config-inited", leave_out_thebe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def execute_chapters(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Execute what is not in the cache, have each chapter read from its executed notebook; return outdated pages."""
    around = surroundings(Path(app.srcdir))
    parameters_of = dict(app.config.chapter_parameters)
    keys, formats, executions = {}, {}, []
    for chapter in _chapters(app, env):
        parameters = with_chosen_study(chapter, parameters_of.pop(chapter.name, {}))
        key = chapter_key(chapter, parameters, around)
        try:
            check_parameters(chapter, parameters)
            notebook = executed_notebook(chapter, parameters, key)
            keys[chapter.name] = key
            executions.append(execution_of(chapter, parameters, notebook, failed=False))
        except ChapterFailed as failure:
            _fail(app, f"chapter {chapter.name!r} failed: {failure}", (f"{CHAPTERS}/{chapter.name}", failure.line))
            notebook = failure.notebook
            executions.append(execution_of(chapter, parameters, notebook, failed=True))
        except ValueError as error:
            _fail(app, str(error))
            continue
        # The renderer picks a reader by the longest matching end of the path, so a full path means one chapter. In
        # app.config the same would force a full rebuild each time.
        formats[str(chapter.path)] = ["modularity_lib.book.read_executed", {"path": str(notebook)}, False]
    for name in parameters_of:
        _fail_for_unknown_chapter(app, name)
    config = env.mystnb_config  # type: ignore[attr-defined]
    env.mystnb_config = config.copy(custom_formats={**config.custom_formats, **formats})  # type: ignore[attr-defined]

    # Any page may show a number of any chapter, so one new key outdates them all. A failed chapter has no key.
    unchanged = keys == getattr(env, "chapter_keys", None) and len(keys) == len(formats)
    env.chapter_keys = keys  # type: ignore[attr-defined]
    # The commit, say, may be another one although no chapter had to run.
    status = {"chapters": chapters_text(executions), "environment": environment_text()}
    told = status == getattr(env, "build_status", None)
    env.build_status = status  # type: ignore[attr-defined]
    if unchanged:
        return [] if told else _pages_with_status(env)
    return sorted(env.found_docs)


class BuildStatus(SphinxDirective):
    """{build-status} chapters | environment: a table of status.py as it is in this build."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Nodes of the table."""
        tables: dict[str, str] = self.env.build_status  # type: ignore[attr-defined]
        if self.arguments[0] not in tables:
            raise self.error(f"build-status must be one of {', '.join(tables)}, got {self.arguments[0]!r}.")
        around = nodes.container()
        lines = StringList(tables[self.arguments[0]].splitlines(), source=self.get_source_info()[0])
        self.state.nested_parse(lines, self.content_offset, around)
        return [around]


def read_executed(text: str, path: str) -> NotebookNode:
    """Executed notebook of a chapter, in place of the text of its file."""
    return nbformat.read(path, as_version=4)


def ship_mathjax(app: Sphinx, config: Config) -> None:
    """Put MathJax into the book: by default each page would fetch it from another host."""
    package = importlib.metadata.distribution("sphinx-mathjax-offline")
    config.html_static_path.append(str(package.locate_file(f"sphinx-mathjax-offline/static/mathjax/{_MATHJAX}")))
    config.mathjax_path = _MATHJAX


def leave_out_thebe(app: Sphinx, config: Config) -> None:
    """Drop the scripts of Thebe, which Jupyter Book always adds: unused here, and an error in the browser's console."""
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            if getattr(listener.handler, "__module__", "") == "sphinx_thebe":
                app.disconnect(listener.id)
    app.registry.css_files = [style for style in app.registry.css_files if style[0] != "sphinx-thebe.css"]


def mend_roles(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Let screen readers count the entries of the bibliography: the role that Docutils gives them is none of a list."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def describe_page(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put title, description and picture of a page into its head, in the words of the Open Graph protocol.

    Those who show links want absolute addresses: `html: baseurl:` in _config.yml says where the book will be. Without
    it they are relative. Nothing is fetched when a page is read.
    """
    if doctree is None:
        return
    base = app.config.html_baseurl.rstrip("/")
    said = {
        "og:type": "article",
        "og:site_name": app.config.html_title or app.config.project,
        "og:title": context["title"],
        "og:description": _description(doctree),
    }
    if base:
        said["og:url"] = f"{base}/{app.builder.get_target_uri(page)}"
    if (Path(app.srcdir) / "_static" / COVER).exists():
        address = f"{base}/_static/{COVER}" if base else context["pathto"](f"_static/{COVER}", 1)
        said |= {"og:image": address, "og:image:width": "1200", "og:image:height": "630"}
        said |= {"og:image:alt": "Modularity against regularisation.", "twitter:card": "summary_large_image"}
    tags = [f'<meta property="{name}" content="{_attribute(text)}" />' for name, text in said.items()]
    tags.append(f'<meta name="description" content="{_attribute(said["og:description"])}" />')
    context["metatags"] = "\n".join([context.get("metatags", ""), *tags])


def arrange_tables(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Mark what book.css needs to know: numbers that belong on one line, and tables that phones show as lists."""
    for table in doctree.findall(nodes.table):
        head, body = (
            [list(row) for part in table.findall(kind) for row in part] for kind in (nodes.thead, nodes.tbody)
        )
        for cell in (cell for row in body for cell in row):
            for text in [text for text in cell.findall(nodes.Text) if not _is_verbatim(text)]:
                _keep_together(text)
        longest = max((len(cell.astext()) for row in body for cell in row), default=0)
        if len(head) == 1 and len(head[0]) >= 4 and longest > LONG and next(table.findall(nodes.math), None) is None:
            table["classes"].append("as-list")
            for row in body:
                for name, cell in zip(head[0][1:], row[1:], strict=False):  # the first is the heading of the others
                    cell["label"] = name.astext() if cell.astext() else ""


def _is_verbatim(text: nodes.Text) -> bool:
    return isinstance(text.parent, nodes.literal | nodes.math)


def _keep_together(text: nodes.Text) -> None:
    pieces = _TOGETHER.split(text.astext())
    if len(pieces) > 1:
        kept = [
            nodes.inline("", piece, classes=["together"]) if n % 2 else nodes.Text(piece)
            for n, piece in enumerate(pieces)
        ]
        text.parent.replace(text, [piece for piece in kept if piece.astext()])


def open_image(self: HTML5Translator, node: nodes.image) -> None:
    """Write a picture; that of a figure as a link to its file, so that it can be seen in full size."""
    start, file = len(self.body), Path(self.builder.srcdir, node["uri"])
    type(self).visit_image(self, node)
    if _is_link(self, node):
        wide = " wide" if (get_image_size(str(file)) or (0, 0))[0] >= WIDE else ""
        address, name = (_attribute(text) for text in (node["uri"], f"Figure in full size: {node.get('alt', '')}"))
        self.body.insert(start, f'<div class="picture{wide}"><a href="{address}" aria-label="{name}">')


def close_image(self: HTML5Translator, node: nodes.image) -> None:
    """End what `open_image` began."""
    type(self).depart_image(self, node)
    if _is_link(self, node):
        self.body.append("</a></div>")


def _is_link(translator: HTML5Translator, node: nodes.image) -> bool:
    """Pictures of figures are links, but for the page that is printed."""
    return isinstance(node.parent, nodes.figure) and translator.builder.name == "html"


def open_cell(self: HTML5Translator, node: nodes.entry) -> None:
    """Write a cell of a table, with the name of its column where `arrange_tables` gave it one."""
    start = len(self.body)
    type(self).visit_entry(self, node)
    if node.get("label"):
        self.body[start] = self.body[start].replace("<td", f'<td data-label="{_attribute(node["label"])}"', 1)


def close_cell(self: HTML5Translator, node: nodes.entry) -> None:
    """End what `open_cell` began."""
    type(self).depart_entry(self, node)


def _description(doctree: nodes.document) -> str:
    """The first words of a page, in whole words up to the length that is shown."""
    paragraphs = (node.astext() for node in doctree.findall(nodes.paragraph) if isinstance(node.parent, nodes.section))
    text = " ".join(next(paragraphs, "").split())
    return text if len(text) <= DESCRIPTION_LENGTH else text[:DESCRIPTION_LENGTH].rsplit(" ", 1)[0] + " …"


def _attribute(text: str) -> str:
    """Text as the value of an attribute; titles come with markup, which is dropped."""
    return html.escape(html.unescape(re.sub(r"<[^>]+>", "", text)), quote=True)


def _chapters(app: Sphinx, env: BuildEnvironment) -> list[Chapter]:
    """The chapters with code, in the order of the table of contents."""
    pages = [page for page in app.config.external_site_map if page in env.found_docs]
    chapters = []
    for page in pages:
        path = Path(env.doc2path(page))
        text = path.read_text(encoding="utf-8")
        if path.parent == Path(app.srcdir, CHAPTERS) and is_myst_markdown_notebook(text):
            chapters.append(Chapter(Path(app.srcdir), path.stem, text))
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

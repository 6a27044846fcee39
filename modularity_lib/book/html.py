"""Changes to the HTML of the pages: mathematics offline, roles, descriptions, tables, linked pictures."""

import base64
import html
import importlib.metadata
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging
from sphinx.util.images import get_image_size
from sphinx.writers.html5 import HTML5Translator

_log = logging.getLogger(__name__)
COVER = "cover.png"  # in _static; cover.py draws it
DESCRIPTION_LENGTH = 200  # characters
WIDE = 1200  # dots, two a pixel: a figure at least as wide is scrolled on a phone, so that its labels stay legible
LONG = 30  # characters: with a longer cell, phones show a table of four or more columns as a list of its rows
# Hard to read in a table when split between lines: a range, a pair of brackets, a share, a day, a quantity.
_NUMBER = r"[+−-]?\d[\d.,]*(?:\s?%)?"
_TOGETHER = re.compile(
    rf"([(\[]{_NUMBER}(?:(?: to |, ){_NUMBER})?[)\]]|\d{{4}}-\d\d-\d\d"
    rf"|{_NUMBER} (?:to|of) {_NUMBER}|{_NUMBER} (?:s|ms|MB)\b)"
)
_DATA = re.compile(r'<a download="(?P<name>[^"]+)" href="data:text/csv;base64,(?P<content>[^"]*)">')
_PERCENT = re.compile(r"(?<=\d) ?%(?![\w%])")  # with a space or without: pages have one form
_MATHJAX = "tex-svg-full.js"  # MathJax in one file, its glyphs included: nothing is fetched later


def ship_mathjax(app: Sphinx, config: Config) -> None:
    """Ship MathJax with the book: by default each page would fetch it from another host."""
    package = importlib.metadata.distribution("sphinx-mathjax-offline")
    config.html_static_path.append(str(package.locate_file(f"sphinx-mathjax-offline/static/mathjax/{_MATHJAX}")))
    config.mathjax_path = _MATHJAX


def leave_out_thebe(app: Sphinx, config: Config) -> None:
    """Drop the scripts of Thebe, which Jupyter Book always adds: unused here, they put an error into the console."""
    for listeners in app.events.listeners.values():
        for listener in list(listeners):
            if getattr(listener.handler, "__module__", "") == "sphinx_thebe":
                app.disconnect(listener.id)
    app.registry.css_files = [style for style in app.registry.css_files if style[0] != "sphinx-thebe.css"]


def mend_roles(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Give bibliography entries the role of list items, so that screen readers count them."""
    if "body" in context:
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def take_out_data(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put the tables that a page offers into files of their own beside it: within the page they would all be loaded."""
    folder = Path(app.outdir) / "_downloads" / Path(page).name

    def file_of(data: re.Match[str]) -> str:
        folder.mkdir(parents=True, exist_ok=True)
        name = html.unescape(data["name"])
        (folder / name).write_bytes(base64.b64decode(data["content"]))
        return f'<a download="{data["name"]}" href="{context["pathto"](f"_downloads/{folder.name}/{name}", 1)}">'

    if "body" in context:
        context["body"] = _DATA.sub(file_of, context["body"])


def describe_page(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put title, description and picture of a page into its head, as the Open Graph protocol names them.

    Sites that show links want absolute addresses: `html: baseurl:` in _config.yml says where the book will be. Without
    it the addresses are relative. A reader's browser fetches none of this.
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


def join_percent_signs(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put a narrow space that no line breaks at between a number and its percent sign, in prose and tables alike."""
    for text in [text for text in doctree.findall(nodes.Text) if not _is_verbatim(text)]:
        joined = _PERCENT.sub("\N{NARROW NO-BREAK SPACE}%", text.astext())
        if joined != text.astext():
            text.parent.replace(text, nodes.Text(joined))


def arrange_tables(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Mark for book.css the numbers that belong on one line, and the tables that phones show as lists."""
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
    return isinstance(text.parent, nodes.FixedTextElement | nodes.literal | nodes.math)


def _keep_together(text: nodes.Text) -> None:
    pieces = _TOGETHER.split(text.astext())
    if len(pieces) > 1:
        kept = [
            nodes.inline("", piece, classes=["together"]) if n % 2 else nodes.Text(piece)
            for n, piece in enumerate(pieces)
        ]
        text.parent.replace(text, [piece for piece in kept if piece.astext()])


def open_image(self: HTML5Translator, node: nodes.image) -> None:
    """Write a picture. The picture of a figure links to its file, so that it can be seen in full size."""
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
    """Pictures of figures are links, except on the page that is printed."""
    return isinstance(node.parent, nodes.figure) and translator.builder.name == "html"


def open_cell(self: HTML5Translator, node: nodes.entry) -> None:
    """Write a cell of a table, labelled with its column where `arrange_tables` says so."""
    start = len(self.body)
    type(self).visit_entry(self, node)
    if node.get("label"):
        self.body[start] = self.body[start].replace("<td", f'<td data-label="{_attribute(node["label"])}"', 1)


def close_cell(self: HTML5Translator, node: nodes.entry) -> None:
    """End what `open_cell` began."""
    type(self).depart_entry(self, node)


def _description(doctree: nodes.document) -> str:
    """The start of a page: as many whole words as are shown."""
    paragraphs = (node.astext() for node in doctree.findall(nodes.paragraph) if isinstance(node.parent, nodes.section))
    text = " ".join(next(paragraphs, "").split())
    return text if len(text) <= DESCRIPTION_LENGTH else text[:DESCRIPTION_LENGTH].rsplit(" ", 1)[0] + " …"


def _attribute(text: str) -> str:
    """Text as the value of an attribute; titles come with markup, which is dropped."""
    return html.escape(html.unescape(re.sub(r"<[^>]+>", "", text)), quote=True)

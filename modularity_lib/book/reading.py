"""How long the pages of the built book are to read: `modularity reading` counts their words, numbers, figures, tables.

What is folded does not count, nor do code, tables and equations: a reader need not read them to follow.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from sphinx_external_toc.parsing import parse_toc_yaml

from modularity_lib.vocabulary import did_you_mean

MAIN_PART = "What we found"  # with the front page before it: what one reads who reads no more
WORDS_A_MINUTE = 220
MINUTES_A_FIGURE = 0.5
_FOLDED = "details, .dropdown, .toggle, .tag_hide-cell, .tag_hide-input .cell_input, .tag_hide-output .cell_output"
_NOT_PROSE = (
    "pre, table, .math, .headerlink, .toctree-wrapper, .tableofcontents-wrapper, script, style, svg, form, button"
)
# Numbers that lead somewhere: of figures, sections and equations, and the years of citations.
_NO_NUMBERS = "code, a.internal, .caption-number, .section-number, .eqno"
_NUMBER = re.compile(r"(?<![\w.,])\d[\d.,]*")


@dataclass(frozen=True)
class Reading:
    """What there is to read on a page, or on several."""

    page: str
    words: int
    numbers: int
    figures: int
    tables: int

    @property
    def minutes(self) -> float:
        """Time it takes: for the words, at 220 a minute, and half a minute for each figure."""
        return self.words / WORDS_A_MINUTE + self.figures * MINUTES_A_FIGURE


def reading_of(page: str, text: str) -> Reading:
    """Count what there is to read on a page, folds left out. Captions are prose, tables are not.

    Args:
        page: its name.
        text: its HTML.
    Raises:
        ValueError: the page has no element `article`.

    >>> reading_of("x", "<article><p>Q is 0.3 here.</p><figure><img></figure><details>Folded.</details></article>")
    Reading(page='x', words=4, numbers=1, figures=1, tables=0)
    """
    article = BeautifulSoup(text, "html.parser").article
    if article is None:
        raise ValueError(f"the page {page} holds no <article>, so it is no page of the book. Build it with: make book")
    _drop(article, _FOLDED)
    figures, tables = (len(article.select(what)) for what in ("figure", "table"))
    _drop(article, _NOT_PROSE)
    words = len(re.findall(r"\w[^\s—–/]*", article.get_text(" ")))
    _drop(article, _NO_NUMBERS)
    numbers = len(_NUMBER.findall(article.get_text(" ")))
    return Reading(page, words, numbers, figures, tables)


def readings_of_book(pages: Path, contents: Path) -> list[Reading]:
    """Count every page of a built book, in the order of its contents.

    Args:
        pages: folder of the HTML, such as `_build/html`.
        contents: file `_toc.yml`.
    Raises:
        ValueError: a page of the contents is not built.
    """
    names = [name.removesuffix(".md") for name in parse_toc_yaml(contents)]
    missing = [name for name in names if not (pages / f"{name}.html").is_file()]
    if missing:
        raise ValueError(f"{pages} lacks the page {missing[0]}: the book is not built there. Build it with: make book")
    return [reading_of(name, (pages / f"{name}.html").read_text(encoding="utf-8")) for name in names]


def main_path(contents: Path, part: str = MAIN_PART) -> list[str]:
    """Names of the front page and of the pages of a part of the contents.

    Raises:
        ValueError: there is no such part.
    """
    root = parse_toc_yaml(contents).root
    parts = {tree.caption: [root.docname, *map(str, tree.items)] for tree in root.subtrees if tree.caption}
    if part not in parts:
        raise ValueError(
            f"{contents.name} has no part {part!r}.{did_you_mean(part, parts)} There are: {', '.join(parts) or 'none'}."
        )
    return parts[part]


def summed(name: str, readings: Iterable[Reading]) -> Reading:
    """What there is to read on several pages together."""
    each = list(readings)
    counts = (sum(getattr(one, what) for one in each) for what in ("words", "numbers", "figures", "tables"))
    return Reading(name, *counts)


def reading_text(readings: Sequence[Reading]) -> str:
    """Table of plain text, a line for each page.

    >>> print(reading_text([Reading("front", 440, 12, 2, 1)]))
    page   words  numbers  figures  tables  minutes
    front    440       12        2       1      3.0
    """
    heads = ["page", "words", "numbers", "figures", "tables", "minutes"]
    rows = [
        [r.page, f"{r.words:,}", f"{r.numbers:,}", str(r.figures), str(r.tables), f"{r.minutes:.1f}"] for r in readings
    ]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    aligned = [[row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in (heads, *rows)]
    return "\n".join("  ".join(row).rstrip() for row in aligned)


def _drop(article: Tag, selector: str) -> None:
    for element in article.select(selector):
        element.decompose()

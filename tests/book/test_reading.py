"""What there is to read on the pages of a book, counted on made-up ones."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from modularity_lib import cli
from modularity_lib.book import reading
from modularity_lib.book.reading import Reading, main_path, reading_of, reading_text, readings_of_book, summed

PROSE = "<p>Modules are found in 12 of 1,000 layers.</p>"
HIDDEN = "three words more 4 5 6"
TOC = """\
format: jb-book
root: chapters/front
parts:
  - caption: What we found
    chapters:
      - file: chapters/first
  - caption: Appendix
    chapters:
      - file: chapters/second
"""


def page(inside: str) -> str:
    return (
        f"<html><body><nav>1 menu</nav><article class='bd-article'>{inside}</article><footer>2</footer></body></html>"
    )


def counted(inside: str) -> tuple[int, int, int, int]:
    found = reading_of("made-up", page(inside))
    return found.words, found.numbers, found.figures, found.tables


def test_words_and_numbers_of_the_prose_are_counted_and_nothing_around_it() -> None:
    assert counted(PROSE) == (8, 2, 0, 0)


@pytest.mark.parametrize(
    "folded",
    [
        f"<details class='fold-out'><summary>Data</summary>{HIDDEN}</details>",
        f"<details class='sd-dropdown'><summary>More</summary><figure><img></figure>{HIDDEN}</details>",
        f"<div class='dropdown admonition'><p>{HIDDEN}</p><table><tr><td>7</td></tr></table></div>",
        f"<div class='cell tag_hide-input'><div class='cell_input'>{HIDDEN}</div></div>",
        f"<div class='cell tag_hide-output'><div class='cell_output'>{HIDDEN}</div></div>",
        f"<div class='cell tag_hide-cell'>{HIDDEN}</div>",
    ],
)
def test_what_is_folded_does_not_count(folded: str) -> None:
    assert counted(PROSE + folded) == counted(PROSE)


@pytest.mark.parametrize(
    "other",
    [
        f"<div class='highlight'><pre>{HIDDEN}</pre></div>",
        f"<span class='math'>{HIDDEN}</span>",
        f"<h1><a class='headerlink'>#</a></h1><div class='toctree-wrapper'>{HIDDEN}</div>",
        f"<svg><text>{HIDDEN}</text></svg>",
        f"<script>{HIDDEN}</script><button>{HIDDEN}</button>",
    ],
)
def test_code_equations_and_contents_are_no_prose(other: str) -> None:
    assert counted(PROSE + other) == counted(PROSE)


def test_tables_and_figures_are_counted_with_the_words_of_captions_alone() -> None:
    assert counted(f"{PROSE}<table><tr><td>{HIDDEN}</td></tr></table>") == (8, 2, 0, 1)
    assert counted(f"{PROSE}<figure><img><figcaption>Four words of it</figcaption></figure>") == (12, 2, 1, 0)


def test_numbers_that_only_name_something_are_no_numbers() -> None:
    for name in (
        "<code>x = 3</code>",
        "<a class='reference internal'>Fig. 4.1</a>",
        "<span class='caption-number'>Fig. 4.1 </span>",
        "L2, v1 and P3",
    ):
        assert counted(f"{PROSE}<p>{name}</p>")[1] == 2, name


def test_a_minute_is_220_words_and_half_a_minute_a_figure() -> None:
    assert Reading("x", words=660, numbers=9, figures=4, tables=2).minutes == 660 / 220 + 4 * 0.5
    both = summed("both", [Reading("x", 1, 2, 3, 4), Reading("y", 10, 20, 30, 40)])
    assert both == Reading("both", 11, 22, 33, 44)
    assert reading_text([both]).splitlines()[1].split() == ["both", "11", "22", "33", "44", "16.6"]


def test_what_is_no_page_is_refused_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the page x holds no <article>.*make book"):
        reading_of("x", "<p>text</p>")
    (tmp_path / "_toc.yml").write_text(TOC)
    with pytest.raises(ValueError, match=r"lacks the page chapters/front: .*make book"):
        readings_of_book(tmp_path, tmp_path / "_toc.yml")
    with pytest.raises(ValueError, match=r"no part 'What we find'\. Did you mean 'What we found'.*Appendix"):
        main_path(tmp_path / "_toc.yml", "What we find")


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built book of three pages, each with the same prose and a figure."""
    (tmp_path / "_toc.yml").write_text(TOC)
    folder = tmp_path / "_build" / "html" / "chapters"
    folder.mkdir(parents=True)
    for name in ("front", "first", "second"):
        (folder / f"{name}.html").write_text(page(f"{PROSE}<figure><img></figure>"))
    monkeypatch.setattr(cli, "checkout", lambda: tmp_path)
    return tmp_path


def test_the_main_path_is_the_front_page_and_the_part_on_what_was_found(book: Path) -> None:
    assert main_path(book / "_toc.yml") == ["chapters/front", "chapters/first"]
    assert [one.page for one in readings_of_book(book / "_build" / "html", book / "_toc.yml")] == [
        "chapters/front",
        "chapters/first",
        "chapters/second",
    ]


def test_the_command_prints_pages_and_sums_and_ends_with_1_beyond_a_limit(book: Path) -> None:
    done = CliRunner().invoke(cli.main, ["reading", "--limit-words", "16", "--limit-figures", "2"])
    assert done.exit_code == 0, done.output
    assert [line.split()[:4] for line in done.stdout.splitlines()[-2:]] == [
        ["main", "path", "16", "4"],
        ["all", "24", "6", "3"],
    ]
    for limit in ("--limit-words=15", "--limit-figures=1"):
        done = CliRunner().invoke(cli.main, ["reading", limit])
        assert done.exit_code == 1
        assert f"the limit is {limit[-2:].lstrip('=')}" in done.stderr
    assert CliRunner().invoke(cli.main, ["reading", "--part", "Nothing"]).exit_code == 2
    assert reading.MAIN_PART == "What we found"

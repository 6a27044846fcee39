"""The book as a PDF: printed by Chromium from a single page, or a clear word why not."""

import shutil
from pathlib import Path

import pytest
import yaml
from pypdf import PdfReader

from chromium import cannot_run
from modularity_lib.book import pdf

PROJECT = Path(__file__).resolve().parents[2]
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SINGLE_PAGE = f"""<!doctype html><html><head><title>Book</title></head><body><header>not printed</header><main><article>
<section id="front"><h1>The front page</h1><p>Opening words.</p><img alt="a point" src="{PIXEL}"></section>
<div class="toctree-wrapper compound"><p class="caption">A part</p>
<section id="first"><h3>1. The first chapter</h3><h4>1.1. A section</h4><p>Its words.</p>
<details class="fold-out"><summary>Data</summary><p>folded away</p></details></section>
<section id="second"><h3>2. The second chapter</h3><p>More words.</p></section></div>
</article></main></body></html>"""


def make_single_page(root: Path) -> Path:
    """A book of three chapters, as the builder singlehtml leaves it."""
    (root / "_config.yml").write_text("title: A <small> book\nauthor: its authors\n")
    (root / "_toc.yml").write_text("format: jb-book\nroot: chapters/front\nchapters:\n- file: chapters/first\n")
    page = root / pdf.SINGLE_PAGE / "chapters" / "front.html"
    page.parent.mkdir(parents=True)
    page.write_text(SINGLE_PAGE)
    return root


def test_without_chromium_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pdf.PdfImpossible, match=r"none of chromium, .* is on the PATH\. Install one"):
        pdf.find_browser()


def test_a_book_that_was_not_built_as_one_page_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pdf, "find_browser", lambda: "chromium")
    make_single_page(tmp_path)
    shutil.rmtree(tmp_path / pdf.SINGLE_PAGE)
    with pytest.raises(pdf.PdfImpossible, match="make pdf"):
        pdf.print_book(tmp_path, tmp_path / "book.pdf")


def test_a_pdf_has_a_title_page_contents_chapters_and_page_numbers(tmp_path: Path) -> None:
    if not any(map(shutil.which, pdf.BROWSERS)):
        cannot_run("no PDF is printed: there is no Chromium")
    assert pdf.print_book(make_single_page(tmp_path), tmp_path / "book.pdf") == 3
    reader = PdfReader(tmp_path / "book.pdf")
    texts = [" ".join(page.extract_text().split()) for page in reader.pages]
    title, contents, *chapters = texts
    assert "A <small> book" in title
    assert "its authors" in title
    assert "The front page 1. The first chapter 2. The second chapter" in contents
    for text, start, number in zip(chapters, ("The front page", "1. The first", "2. The second"), "345", strict=True):
        assert text.startswith(start)
        assert text.endswith(number)
    assert len(reader.pages[2].images) == 1
    for left_out in ("folded away", "not printed"):
        assert left_out not in " ".join(texts)
    assert [entry.title for entry in reader.outline if not isinstance(entry, list)][-1] == "2. The second chapter"


def test_the_pdf_of_the_book_has_all_its_chapters() -> None:
    if not (PROJECT / pdf.PDF).exists():
        pytest.skip("the PDF of the book is not tested: it was not made; run: make pdf")
    reader = PdfReader(PROJECT / pdf.PDF)
    contents = yaml.safe_load((PROJECT / "_toc.yml").read_text())
    n_chapters = 1 + sum(len(part["chapters"]) for part in contents["parts"])
    assert len(reader.pages) > n_chapters
    text = reader.pages[0].extract_text() + reader.pages[1].extract_text()
    assert text.count("\n") > n_chapters
    assert sum(len(page.images) for page in reader.pages) >= 8
    assert all(len(page.extract_text().strip()) > 0 for page in reader.pages)

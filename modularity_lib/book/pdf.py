"""Prints the book as one PDF: `modularity pdf` builds it as a single page, and Chromium prints that.

It has all figures and equations, but not the fold-outs below figures, which are for the screen.
"""

import html
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from playwright.sync_api import sync_playwright
from sphinx_external_toc.parsing import parse_toc_yaml

from modularity_lib.studies.provenance import provenance

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SINGLE_PAGE = Path("_build", "singlehtml")  # below the root of the book
PDF = Path("_build", "modularity-book.pdf")

_READY = """() => document.querySelectorAll("article .math mjx-container").length
    === document.querySelectorAll("article .math").length
    && [...document.querySelectorAll("article img")].every(image => image.complete && image.naturalWidth > 0)"""
_NOTHING = "<span></span>"
_PAGE_NUMBER = '<div style="width: 100%; text-align: center; font-size: 8pt"><span class="pageNumber"></span></div>'


class PdfImpossible(RuntimeError):
    """Something that printing the book needs is missing."""


def find_browser() -> str:
    """Path of Chromium.

    Raises:
        PdfImpossible: none is installed; the message says which would do.
    """
    for name in BROWSERS:
        found = shutil.which(name)
        if found:
            return found
    raise PdfImpossible(
        f"the PDF is printed by Chromium, and none of {', '.join(BROWSERS)} is on the PATH. Install one, as in "
        "`apt install chromium`; the book itself (`make book`) needs none."
    )


def build_single_page(root: Path) -> None:
    """Build the book in this folder as a single page: what `print_book` prints.

    Raises:
        PdfImpossible: there is no Chromium to print it, or the book could not be built.
    """
    find_browser()  # first: the build takes minutes
    command = "from jupyter_book.cli.main import main; main()"
    built = subprocess.run([sys.executable, "-c", command, "build", root, "--builder", "singlehtml"])
    if built.returncode:
        raise PdfImpossible("the book could not be built as a single page; what Jupyter Book wrote above says why.")


def print_book(root: Path, pdf: Path) -> int:
    """Print the single page of the book to a PDF; return how many chapters it has.

    Raises:
        PdfImpossible: there is no Chromium, or the single page was not built.
    """
    browser_file = find_browser()
    contents = parse_toc_yaml(root / "_toc.yml")
    built = root / SINGLE_PAGE / f"{contents.root.docname}.html"
    if not built.exists():
        raise PdfImpossible(
            f"{built} is missing: `jupyter-book build . --builder singlehtml` writes it; so does `make pdf`."
        )
    settings = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    commit = provenance()["commit"]
    lines = [f"<h1>{html.escape(settings['title'])}</h1>", f"<p>{html.escape(settings['author'])}</p>"]
    if commit:
        lines.append(f"<p>Commit {html.escape(commit.replace('+changes', ', with changes'))}</p>")
    # Sphinx writes the page into the folder of the first chapter, but its links as if it were at the top.
    at_the_top = built.parents[len(Path(contents.root.docname).parts) - 1] / "book.html"
    shutil.copyfile(built, at_the_top)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(dir=pdf.parent) as folder:
        browser = playwright.chromium.launch(
            executable_path=browser_file, args=["--no-sandbox", "--disable-background-networking", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1000, "height": 1400}, color_scheme="light")
        page.goto(at_the_top.as_uri())
        page.wait_for_function(_READY, timeout=120_000)
        style, arrange = (Path(__file__).with_suffix(kind).read_text(encoding="utf-8") for kind in (".css", ".js"))
        n_chapters: int = page.evaluate(arrange, {"title": "".join(lines), "style": style})
        written = Path(folder, pdf.name)
        page.pdf(
            path=written,
            format="A4",
            margin={"top": "18mm", "bottom": "18mm", "left": "18mm", "right": "18mm"},
            print_background=True,
            display_header_footer=True,
            header_template=_NOTHING,
            footer_template=_PAGE_NUMBER,
            outline=True,
            tagged=True,
        )
        browser.close()
        written.replace(pdf)  # whole or not at all
    return n_chapters

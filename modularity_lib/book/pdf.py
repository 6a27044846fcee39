"""The book as one PDF: `make pdf` builds it as a single page, which Chromium prints from here.

Figures and equations are in; the fold-outs below figures, which are for the screen, are left out.
"""

import html
import shutil
import sys
import tempfile
from pathlib import Path

import yaml
from playwright.sync_api import sync_playwright
from sphinx_external_toc.parsing import parse_toc_yaml

from modularity_lib.paths import checkout
from modularity_lib.studies.provenance import provenance

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SINGLE_PAGE = Path("_build", "singlehtml")  # below the root of the book
PDF = Path("_build", "modularity-book.pdf")

_STYLE = """
body > *:not(#print) { display: none !important; }
#print { font-size: 10pt; font-variant-ligatures: none; } /* so that a search for "first" finds it */
#print .title-page { height: 240mm; display: flex; flex-direction: column; justify-content: center; }
#print .title-page h1 { font-size: 28pt; margin: 0 0 1em; }
#print .contents li { list-style: none; margin: 0.4em 0; }
#print .chapter, #print .contents { break-before: page; }
#print h1 { font-size: 20pt; margin-top: 0; } #print h2 { font-size: 14pt; } #print h3 { font-size: 12pt; }
#print h1, #print h2, #print h3 { break-after: avoid; }
#print figure, #print tr, #print mjx-container, #print .admonition { break-inside: avoid; }
#print figure img { max-width: 100%; max-height: 200mm; height: auto; }
#print table { font-size: 8pt; width: 100%; } #print table td, #print table th { padding: 0.2em 0.4em; }
#print mjx-container svg g { stroke: none; } /* a stroke of width 0 is a hairline in a PDF, and letters look bold */
#print pre { white-space: pre-wrap; font-size: 8pt; }
#print .headerlink, #print .copybtn, #print details.fold-out, #print .toggle-button { display: none; }
#print .pst-scrollable-table-container, #print .cell_output { overflow: visible; }
"""
# Run in the page: title and contents before the chapters, whose headings stand below those of the front page.
_ARRANGE = """({title, style}) => {
    document.head.append(Object.assign(document.createElement("style"), {textContent: style}));
    document.documentElement.dataset.theme = "light";
    const print = Object.assign(document.createElement("div"), {id: "print"});
    const front = Object.assign(document.createElement("div"), {className: "title-page", innerHTML: title});
    const contents = Object.assign(document.createElement("nav"), {className: "contents"});
    contents.innerHTML = "<h2>Contents</h2>";
    const list = contents.appendChild(document.createElement("ul"));
    const article = document.querySelector("article");
    const found = [...article.querySelectorAll(".toctree-wrapper > section")];
    article.querySelectorAll("details.fold-out, .toctree-wrapper > p.caption").forEach(element => element.remove());
    for (const chapter of [article.querySelector("section"), ...found]) {
        chapter.classList.add("chapter");
        const heading = chapter.querySelector("h1, h2, h3, h4");
        const level = Number(heading.tagName[1]);
        for (const old of level > 1 ? chapter.querySelectorAll("h2, h3, h4, h5, h6") : []) {
            const renamed = document.createElement("h" + Math.max(1, Number(old.tagName[1]) - level + 1));
            renamed.append(...old.childNodes);
            old.replaceWith(renamed);
        }
        const link = Object.assign(document.createElement("a"), {href: "#" + chapter.id});
        link.textContent = chapter.querySelector("h1").innerText.replace(/#$/, "").trim();
        list.appendChild(document.createElement("li")).append(link);
    }
    print.append(front, contents, article);
    document.body.append(print);
    return found.length + 1;
}"""
_READY = """() => document.querySelectorAll("article .math mjx-container").length
    === document.querySelectorAll("article .math").length
    && [...document.querySelectorAll("article img")].every(image => image.complete && image.naturalWidth > 0)"""
_NOTHING = "<span></span>"
_PAGE_NUMBER = '<div style="width: 100%; text-align: center; font-size: 8pt"><span class="pageNumber"></span></div>'


class PdfImpossible(RuntimeError):
    """Something that is needed to print the book is not there."""


def find_browser() -> str:
    """Path of Chromium.

    Raises:
        PdfImpossible: none is installed; the message names those that would do.
    """
    for name in BROWSERS:
        found = shutil.which(name)
        if found:
            return found
    raise PdfImpossible(
        f"the PDF is printed by Chromium, and none of {', '.join(BROWSERS)} is on the PATH. Install one, as in "
        "`apt install chromium`; the book itself (`make book`) needs none."
    )


def print_book(root: Path, pdf: Path) -> int:
    """Print the book, built as a single page, to a PDF; return how many chapters it has.

    Raises:
        PdfImpossible: there is no Chromium, or the single page was not built.
    """
    browser_file = find_browser()
    contents = parse_toc_yaml(root / "_toc.yml")
    built = root / SINGLE_PAGE / f"{contents.root.docname}.html"
    if not built.exists():
        raise PdfImpossible(
            f"{built} is missing: `jupyter-book build . --builder singlehtml` writes it; so does make pdf."
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
        n_chapters: int = page.evaluate(_ARRANGE, {"title": "".join(lines), "style": _STYLE})
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


def main() -> int:
    """Print the book of this checkout; return the exit status. With the argument `check`: only look for Chromium."""
    root = checkout()
    try:
        if sys.argv[1:] == ["check"]:
            find_browser()
            return 0
        n_chapters = print_book(root, root / PDF)
    except PdfImpossible as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 1
    print(f"{PDF}: {n_chapters} chapters, {(root / PDF).stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

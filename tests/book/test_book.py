"""The pages of the built book as a reader sees them: opened from disk in Chromium, nothing fetched from elsewhere."""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urldefrag, urlparse

import axe_playwright_python
import pandas as pd
import pytest
import yaml
from playwright.sync_api import Browser, TimeoutError

from chromium import browser_for, cannot_run
from modularity_lib.book.html import WIDE

PROJECT = Path(__file__).resolve().parents[2]
HTML = PROJECT / "_build" / "html"
CONTENTS = yaml.safe_load((PROJECT / "_toc.yml").read_text())
TITLE = yaml.safe_load((PROJECT / "_config.yml").read_text())["title"]
PAGES = [CONTENTS["root"], *(chapter["file"] for part in CONTENTS["parts"] for chapter in part["chapters"])]
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
# Findings of axe-core that remain, each with the reason. None of them is serious or critical.
KNOWN_BARRIERS = {
    "region": "moderate: the theme's sidebar with the title is outside of all landmarks",
}
NUMBERED = [chapter["file"] for part in CONTENTS["parts"] if part.get("numbered") for chapter in part["chapters"]]
QUESTIONS = [CONTENTS["root"], *(one["file"] for part in CONTENTS["parts"][:2] for one in part["chapters"])]
QUESTIONS.remove("chapters/explorer")  # it is itself the answer
MEGABYTE = 1_000_000
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1300, "height": 900}

# Run in the page: what is on it, as plain values.
READ = """() => {
    const article = document.querySelector("article");
    const text = element => (element ? element.innerText : "").trim();
    return {
        title: document.title,
        heading: text(article.querySelector("h1")),
        text: text(article),
        images: [...article.querySelectorAll("img")].map(image => ({
            alt: image.alt,
            drawn: image.complete && image.naturalWidth > 0,
            // Its text, seen or not: a still picture may lie in a fold-out.
            caption: (image.closest("figure")?.querySelector("figcaption")?.textContent ?? "").trim(),
        })),
        equations: article.querySelectorAll(".math").length,
        typeset: article.querySelectorAll(".math mjx-container").length,
        errors: article.querySelectorAll(".math mjx-merror, .math [data-mjx-error]").length,
        links: [...document.querySelectorAll("a[href]")].map(link => link.href),
        overflow: article.scrollWidth - article.clientWidth,
        tables: [...article.querySelectorAll("table")].filter(one => one.checkVisibility() && !one.closest("#explorer"))
            .length,
        figures: [...article.querySelectorAll("figure")].filter(figure => figure.querySelector("img")).map(figure => {
            let next = figure.nextElementSibling;
            while (next && !next.matches("figure") && !next.querySelector("figure")
                && !next.matches("details.fold-out") && !next.querySelector("details.fold-out"))
                next = next.nextElementSibling;
            const fold = next && (next.matches("details.fold-out") ? next : next.querySelector("details.fold-out"));
            const link = figure.querySelector("a:has(> img)");
            return {
                id: figure.id,
                link: link?.href,
                name: link?.getAttribute("aria-label"),
                picture: figure.querySelector("img").src,
                alt: figure.querySelector("img").alt,
                closed: fold ? !fold.open : null,
                csv: fold ? fold.querySelector("a[download]")?.getAttribute("href") : null,
            };
        }),
    };
}"""

# Run in the page, which is as wide as a phone: what is wider than the page and cannot be scrolled by itself.
TOO_WIDE = """() => {
    const width = document.documentElement.clientWidth;
    const scrolls = element => element && (["auto", "scroll", "hidden"].includes(getComputedStyle(element).overflowX)
        || scrolls(element.parentElement));
    return {
        page: document.documentElement.scrollWidth - width,
        elements: [...document.querySelectorAll("article *")]
            .filter(element => element.getBoundingClientRect().right > width + 1 && !scrolls(element))
            .map(element => element.outerHTML.slice(0, 200)),
    };
}"""

# Where the box with the answer ends, in pixels from the top of the page.
SHORT = """() => document.querySelector("article .in-short")?.getBoundingClientRect().bottom ?? null"""

# Open what the page folds, so that the tests look at it as well; data and code of figures stay closed.
UNFOLD = """() => document.querySelectorAll("article details:not(.fold-out)").forEach(details => {
    if (!details.closest("#explorer")) details.open = true;
})"""

# Run at the width of a phone and of a desktop: what is shown there of figures, tables, equations and code.
SHOWN = """() => {
    const scrolls = element => element.scrollWidth > element.clientWidth + 1;
    const all = selector => [...document.querySelectorAll("article " + selector)].filter(one => one.checkVisibility());
    return {
        figures: all("figure img").map(image => ({
            id: image.closest("figure").id, width: image.getBoundingClientRect().width, pixels: image.naturalWidth,
        })),
        tables: all(".pst-scrollable-table-container").map(box => ({
            head: box.innerText.slice(0, 80), scrolls: scrolls(box),
            cued: getComputedStyle(box).backgroundImage != "none",
            columns: box.querySelectorAll("thead th").length, reached: box.tabIndex == 0,
            longest: Math.max(...[...box.querySelectorAll("td")].map(cell => cell.innerText.length)),
            formulas: box.querySelectorAll(".math").length,
            heads: [...box.querySelectorAll("thead th")].map(cell => cell.textContent),
            labels: [...box.querySelectorAll("tbody tr")].map(row => [...row.cells].slice(1).map(cell => [
                cell.dataset.label, cell.innerText.trim(), getComputedStyle(cell, "::before").content,
            ])),
            // Below the last line of a row, as far as it is in view: what is out of view may be what makes it high.
            empty: Math.max(0, ...[...box.querySelectorAll("tbody tr")].map(row => {
                const seen = [...row.cells].filter(cell => cell.getBoundingClientRect().left
                    < box.getBoundingClientRect().right);
                return row.getBoundingClientRect().bottom - Math.max(...seen.map(cell => {
                    const text = document.createRange();
                    text.selectNodeContents(cell);
                    return text.getBoundingClientRect().bottom;
                }));
            })),
        })),
        split: all(".together").filter(one => one.getClientRects().length > 1).map(one => one.innerText),
        together: all(".together").length,
        equations: all("div.math").filter(math => math.querySelector(".eqno")).map(math => ({
            formula: math.querySelector("mjx-container")?.getBoundingClientRect().toJSON(),
            number: math.querySelector(".eqno").getBoundingClientRect().toJSON(),
            box: math.getBoundingClientRect().toJSON(),
        })),
        formulas: all("div.math mjx-container").map(one => ({scrolls: scrolls(one), reached: one.tabIndex == 0})),
        code: all("pre").map(one => ({
            text: one.innerText.slice(0, 80), scrolls: scrolls(one), reached: one.tabIndex == 0,
            parameters: one.closest(".tag_parameters") !== null,
        })),
    };
}"""

# What can be scrolled and not be reached with the keys alone.
UNREACHABLE = """async () => (await axe.run(document, {
    runOnly: {type: "rule", values: ["scrollable-region-focusable"]}, preload: false,
})).violations.flatMap(violation => violation.nodes.map(node => node.html))"""

BARRIERS = """async () => {
    document.querySelectorAll("details").forEach(details => { details.open = true; });
    const found = await axe.run(document, {resultTypes: ["violations"], preload: false});
    return found.violations.map(violation => ({
        id: violation.id, impact: violation.impact, help: violation.help, where: violation.nodes.map(node => node.html),
    }));
}"""

TYPESET = """() => document.querySelectorAll("article .math mjx-container").length
    === document.querySelectorAll("article .math").length"""


@dataclass
class Page:
    """A page after it was loaded."""

    name: str
    seen: dict[str, Any] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    barriers: list[dict[str, Any]] = field(default_factory=list)  # as axe-core finds them
    too_wide: dict[str, Any] = field(default_factory=dict)  # on a phone
    phone: dict[str, Any] = field(default_factory=dict)
    desktop: dict[str, Any] = field(default_factory=dict)
    unreachable: list[str] = field(default_factory=list)  # on a phone
    short: dict[str, float | None] = field(default_factory=dict)  # where the answer box ends, before anything unfolds


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browser_for(HTML / f"{PAGES[0]}.html", untested="the pages are not tested") as browser:
        yield browser


@pytest.fixture(scope="module", params=PAGES)
def page(request: pytest.FixtureRequest, browser: Browser) -> Page:
    """A page of the book, loaded from disk without a network."""
    loaded = Page(request.param)
    tab = browser.new_page(viewport={"width": 1400, "height": 1000})
    tab.on("request", lambda sent: loaded.requests.append(sent.url))
    tab.on("requestfailed", lambda sent: loaded.complaints.append(f"not loaded: {sent.url}"))
    tab.on("console", lambda said: loaded.complaints.append(said.text) if said.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: loaded.complaints.append(str(error)))
    tab.goto((HTML / f"{request.param}.html").as_uri())
    with suppress(TimeoutError):  # then the test of the equations fails
        tab.wait_for_function(TYPESET, timeout=10_000)
    for width, at in ((DESKTOP, "desktop"), (PHONE, "phone")):
        tab.set_viewport_size(width)
        tab.wait_for_timeout(200)
        loaded.short[at] = tab.evaluate(SHORT)
    tab.evaluate(UNFOLD)
    loaded.seen = tab.evaluate(READ)
    tab.set_viewport_size(PHONE)
    tab.wait_for_timeout(500)  # for what the theme moves
    loaded.too_wide = tab.evaluate(TOO_WIDE)
    loaded.phone = tab.evaluate(SHOWN)
    requests = list(loaded.requests)
    tab.evaluate(AXE.read_text(encoding="utf-8"))
    loaded.unreachable = tab.evaluate(UNREACHABLE)
    tab.set_viewport_size(DESKTOP)
    tab.wait_for_timeout(500)
    loaded.desktop = tab.evaluate(SHOWN)
    tab.set_viewport_size({"width": 1400, "height": 1000})
    loaded.barriers = tab.evaluate(BARRIERS)
    loaded.requests = requests  # those of the page itself
    tab.close()
    return loaded


def test_a_page_loads_without_a_complaint_of_the_browser(page: Page) -> None:
    assert page.complaints == []


def test_what_the_next_tests_look_at_is_found_on_the_page(page: Page) -> None:
    """As many figures, tables and equations as the source has: a test of none of them would pass."""
    source = (PROJECT / f"{page.name}.md").read_text(encoding="utf-8")
    n_figures = len(re.findall(r"\{(?:glue:)?figure\}", source))
    assert len(page.seen["figures"]) == len(page.seen["images"]) == n_figures
    assert page.seen["heading"]
    assert len(page.seen["links"]) > len(PAGES)
    for shown in (page.phone, page.desktop):
        assert len(shown["figures"]) == n_figures  # the still picture of the explorer unfolds as well
        assert len(shown["tables"]) == page.seen["tables"]
        assert len(shown["equations"]) == len(re.findall(r"^\$\$ \(", source, flags=re.MULTILINE))
        assert sum(code["parameters"] for code in shown["code"]) == len(
            re.findall(r":tags: \[parameters(?!, remove-input)", source)
        )


def test_the_answer_is_on_the_first_screen(page: Page) -> None:
    """Of every chapter that has a question, on a desktop and on a phone."""
    source = (PROJECT / f"{page.name}.md").read_text(encoding="utf-8")
    assert ("{admonition} In short" in source) == (page.short["desktop"] is not None)
    assert page.name not in QUESTIONS or page.short["desktop"] is not None
    if page.short["desktop"] is not None:
        assert page.short["desktop"] <= DESKTOP["height"]
        assert page.short["phone"] <= PHONE["height"]


def test_a_page_fetches_nothing_from_elsewhere(page: Page) -> None:
    assert [url for url in page.requests if urlparse(url).scheme not in ("file", "data", "blob")] == []


def test_a_page_is_titled_by_its_heading_and_the_book(page: Page) -> None:
    heading = page.seen["heading"].rstrip("#").strip()
    assert heading
    assert page.seen["title"] in (f"{heading} — {TITLE}", TITLE)


def test_a_page_shows_no_error_of_a_chapter(page: Page) -> None:
    for sign in ("Traceback (most recent call last)", "papermill encountered an exception"):
        assert sign not in page.seen["text"]


def test_every_figure_is_drawn_and_described_for_those_who_cannot_see_it(page: Page) -> None:
    for image in page.seen["images"]:
        assert image["drawn"]
        assert len(image["alt"].split()) >= 8, f"the alternative text is no sentence: {image['alt']!r}"
        assert image["alt"].strip().endswith(".")


def test_every_figure_has_a_caption_that_says_what_it_shows(page: Page) -> None:
    for image in page.seen["images"]:
        assert len(image["caption"].split()) >= 12, f"caption: {image['caption']!r}, figure: {image['alt']!r}"


def test_every_equation_is_typeset(page: Page) -> None:
    assert page.seen["typeset"] == page.seen["equations"]
    assert page.seen["errors"] == 0
    for mark in (r"\(", r"\[", "$$", r"\begin{"):
        assert mark not in page.seen["text"]


def test_no_markup_is_left_in_the_text(page: Page) -> None:
    for mark in ("{glue", "{numref}", "{eq}", "{cite", "{doc}", ":::", "```", "|—"):
        assert mark not in page.seen["text"]


def test_every_link_within_the_book_leads_somewhere(page: Page) -> None:
    for url in page.seen["links"]:
        address, fragment = urldefrag(url)
        if urlparse(address).scheme == "file":
            target = Path(unquote(urlparse(address).path))
            assert target.is_file(), url
            if "=" in fragment:  # a view of the explorer, whose own tests open such an address
                assert target.name == "explorer.html", url
            elif fragment and target.suffix == ".html":
                assert f'id="{fragment}"' in target.read_text(encoding="utf-8"), url


def test_a_page_fits_its_column(page: Page) -> None:
    assert page.seen["overflow"] <= 1


def test_a_page_fits_a_phone(page: Page) -> None:
    assert page.too_wide["elements"] == []
    assert page.too_wide["page"] <= 0


def test_a_page_has_no_barrier_for_people_with_disabilities(page: Page) -> None:
    assert [barrier for barrier in page.barriers if barrier["id"] not in KNOWN_BARRIERS] == []
    assert {barrier["impact"] for barrier in page.barriers} <= {"minor", "moderate"}


def test_every_figure_of_a_numbered_chapter_is_followed_by_its_data(page: Page) -> None:
    if page.name in NUMBERED:
        for figure in page.seen["figures"]:
            assert figure["csv"], f"no fold-out below {figure['id']}"
            assert figure["closed"]
            assert len(pd.read_csv(HTML / "chapters" / figure["csv"])) >= 1, figure["id"]


def test_no_page_is_heavy_to_load(page: Page) -> None:
    """Text and pictures, those in folds included; what is taken away as a file is not loaded with the page."""
    if page.name != "chapters/explorer":
        pictures = {Path(unquote(urlparse(image["picture"]).path)) for image in page.seen["figures"]}
        size = (HTML / f"{page.name}.html").stat().st_size + sum(picture.stat().st_size for picture in pictures)
        assert size <= MEGABYTE


def test_every_figure_is_a_link_to_its_picture_in_full_size(page: Page) -> None:
    for figure in page.seen["figures"]:
        assert figure["link"] == figure["picture"], figure["id"]
        assert figure["name"] == f"Figure in full size: {figure['alt']}"


def test_a_figure_of_several_panels_is_scrolled_on_a_phone_rather_than_made_small(page: Page) -> None:
    for figure in page.phone["figures"]:
        if figure["pixels"] >= WIDE:
            assert figure["width"] >= 600, figure["id"]
    assert all(figure["width"] <= 704 for figure in page.desktop["figures"])


def test_no_table_is_cut_off_unseen_or_beyond_the_keys(page: Page) -> None:
    for table in page.phone["tables"]:
        assert not table["scrolls"] or (table["cued"] and table["reached"]), table["head"]
    assert [table["head"] for table in page.desktop["tables"] if table["scrolls"]] == []
    assert page.unreachable == []


def test_a_table_of_long_texts_is_a_list_of_its_rows_on_a_phone(page: Page) -> None:
    for table in page.phone["tables"]:
        if table["columns"] >= 4 and table["longest"] > 40 and not table["formulas"]:
            assert not table["scrolls"], table["head"]
            for row in table["labels"]:
                for (label, text, shown), name in zip(row, table["heads"][1:], strict=True):
                    if text:
                        assert label == name
                        assert shown in ("attr(data-label)", f'"{name}"')


def test_no_row_of_a_table_ends_in_empty_space(page: Page) -> None:
    for table in page.phone["tables"]:
        assert table["empty"] < 30, table["head"]  # less than two lines


def test_a_range_or_day_in_a_table_stays_on_one_line(page: Page) -> None:
    assert page.phone["split"] == page.desktop["split"] == []
    if page.name in ("chapters/ledger", "chapters/live", "chapters/networks", "chapters/status"):
        assert page.desktop["together"] > 0


def test_the_number_of_an_equation_stands_below_it_on_a_phone(page: Page) -> None:
    for equation in page.phone["equations"]:
        assert equation["formula"]["bottom"] <= equation["number"]["top"] + 1
        assert equation["formula"]["width"] >= equation["box"]["width"] - 1
    for formula in page.phone["formulas"]:
        assert formula["reached"] or not formula["scrolls"]


def test_parameters_are_read_without_scrolling_and_other_code_is_reached_by_keys(page: Page) -> None:
    for shown in (page.phone, page.desktop):
        for code in shown["code"]:
            assert not (code["scrolls"] and code["parameters"]), code["text"]
            assert code["reached"] or not code["scrolls"], code["text"]


def test_a_wide_figure_is_scrolled_by_keys_and_opened_without_javascript(browser: Browser) -> None:
    for javascript in (True, False):
        tab = browser.new_context(java_script_enabled=javascript, viewport=PHONE).new_page()  # type: ignore[arg-type]
        tab.goto((HTML / "chapters/modularity.html").as_uri())
        link = tab.locator("#fig-modularity a:has(> img)")
        link.focus()
        before = tab.locator("#fig-modularity img").bounding_box()
        for _ in range(3):
            tab.keyboard.press("ArrowRight")
        tab.wait_for_timeout(500)
        after = tab.locator("#fig-modularity img").bounding_box()
        assert before is not None
        assert after is not None
        assert after["x"] < before["x"]
        tab.keyboard.press("Enter")
        tab.wait_for_url("**/_images/*.png")
        tab.context.close()


def test_the_front_page_leads_to_the_first_chapter() -> None:
    if not (HTML / "index.html").exists():
        cannot_run("the pages are not tested: the book is not built; run: make book")
    assert f"{PAGES[0]}.html" in (HTML / "index.html").read_text()


@pytest.mark.parametrize(
    ("words", "page"),
    [("modularity", "modularity"), ("null model", "scope"), ("null model", "modules"), ("disentanglement", "scope")],
)
def test_the_search_finds_what_readers_look_for(browser: Browser, words: str, page: str) -> None:
    tab = browser.new_page()
    tab.goto(f"{(HTML / 'search.html').as_uri()}?q={words}")
    tab.wait_for_selector("#search-results li a", timeout=20_000)
    found = [link.get_attribute("href") or "" for link in tab.locator("#search-results li a").all()]
    tab.close()
    assert any(f"chapters/{page}.html" in address for address in found), found


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """Address of the book on a server: from a file a browser shows no text of the pages that it found."""

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:  # type: ignore[override]
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(HTML))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("words", ["covariance", "hidden", "twin"])
def test_the_search_shows_sentences_of_the_pages(browser: Browser, served: str, words: str) -> None:
    tab = browser.new_page()
    tab.goto(f"{served}/search.html?q={words}")
    tab.wait_for_selector("#search-results li p.context", timeout=20_000)
    tab.wait_for_load_state("networkidle")
    told = tab.locator("#search-results li p.context").all_inner_texts()
    tab.close()
    assert any(words in text.lower() for text in told)
    assert not [text for text in told if "\\" in text or "Print to PDF" in text or "Parameters of this page" in text]


# Run in the page: texts that are hard to read on their ground, each with its contrast.
PALE = """() => {
    const channel = value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    const read = colour => colour.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) =>
        0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
    const groundOf = element => {
        for (; element; element = element.parentElement) {
            const colour = read(getComputedStyle(element).backgroundColor);
            if ((colour[3] ?? 1) > 0.5) return luminance(colour);
        }
        return 1;  // paper
    };
    const written = [...document.querySelectorAll("article *")].filter(element => element.checkVisibility()
        && [...element.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim()));
    return written.map(element => {
        const [dark, light] = [luminance(read(getComputedStyle(element).color)), groundOf(element)].sort();
        return [element.textContent.trim().slice(0, 40), (light + 0.05) / (dark + 0.05)];
    }).filter(([, contrast]) => contrast < 4.5);
}"""


@pytest.mark.parametrize("page", ["chapters/introduction", "chapters/ledger", "chapters/your_network"])
def test_pages_printed_from_dark_mode_are_legible(browser: Browser, page: str) -> None:
    context = browser.new_context(color_scheme="dark")
    context.add_init_script("localStorage.setItem('mode', 'dark'); localStorage.setItem('theme', 'dark')")
    tab = context.new_page()
    tab.goto((HTML / f"{page}.html").as_uri())
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    tab.emulate_media(media="print", color_scheme="dark")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    pale = tab.evaluate(PALE)
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"
    context.close()
    assert not pale, pale[:5]

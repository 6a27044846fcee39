"""The explorer of the front page as a reader uses it: with mouse, finger and keys, on a desk and on a phone."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from chromium import COPY_OF, browser_for
from modularity_lib.book import explorer
from modularity_lib.studies.results import Results

SLIDER = '#front input[type="range"]'
KEPT, DROPOUT = '#front [data-part="kept"]', '#front [data-part="dropout"]'
DRAWN = "() => [...document.querySelectorAll('#front .front-side canvas')].map(one => one.toDataURL())"
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
DESK, PHONE = {"width": 1300, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def file(v1: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with nothing but the explorer and a link to that of all networks: no book is needed."""
    place = tmp_path_factory.mktemp("front") / "front.html"
    place.write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Front</title>'
        '<meta name="viewport" content="width=device-width"></head><body><main><article><h1>Front</h1>'
        f'{explorer.front_page(v1)}<p><a href="explorer.html">all networks</a></p></article></main></body></html>',
        encoding="utf-8",
    )
    return place


@pytest.fixture(scope="module")
def browser(file: Path) -> Iterator[Browser]:
    with browser_for(file, untested="the explorer of the front page is not tested") as browser:
        yield browser


@pytest.fixture(scope="module")
def data(file: Path) -> dict[str, Any]:
    """What the page draws from."""
    return json.loads(re.search(r'id="front-data">(.*?)</script>', file.read_text(encoding="utf-8"), re.DOTALL)[1])


def opened(context: BrowserContext | Browser, file: Path, **options: Any) -> Page:
    tab = context.new_page(**options)
    tab.goto(file.as_uri())
    tab.wait_for_selector("#front:not([hidden])")
    return tab


@pytest.fixture
def page(browser: Browser, file: Path) -> Iterator[Page]:
    """The page, just opened; the browser must not complain while it is used."""
    complaints: list[str] = []
    tab = browser.new_page(viewport=DESK)
    tab.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(file.as_uri())
    tab.wait_for_selector("#front:not([hidden])")
    tab.evaluate(COPY_OF)
    yield tab
    tab.close()
    assert complaints == []


def told(page: Page) -> list[str]:
    """Lines below the two pictures; a minus sign as of Python."""
    lines = page.locator("#front .front-scores span").all_inner_texts()
    return [line.replace("−", "-") for line in lines]


def lines_of(network: dict[str, Any]) -> list[str]:
    counts = [max(labels) + 1 for labels in network["labels"]]
    return [
        line
        for side in (0, 1)
        for line in (
            f"Q = {network['scores'][side]:.3f} by its own {counts[side]} modules",
            f"Q = {network['scoresOther'][side]:.3f} by the other’s {counts[1 - side]} modules",
        )
    ]


def kept_of(network: dict[str, Any]) -> str:
    return f"{100 * network['transfer']:.0f} %"


def test_it_begins_at_the_strongest_dropout_sorted_by_its_own_modules(page: Page, data: dict[str, Any]) -> None:
    assert page.inner_text(DROPOUT) == "0.7"
    assert told(page) == lines_of(data["networks"][-1])
    assert kept_of(data["networks"][-1]) in page.inner_text(KEPT)
    assert page.locator(".front-now").all_inner_texts() == told(page)[::2]
    titles = page.locator(".front-title").all_inner_texts()
    assert "upstream: input covariance (norm)" in titles[0]
    assert "downstream: output gradient (norm)" in titles[1]


def test_keys_move_the_slider_and_all_numbers_follow(page: Page, data: dict[str, Any]) -> None:
    page.focus(SLIDER)
    for key, place in (("ArrowLeft", -2), ("ArrowLeft", -3), ("Home", 0), ("ArrowRight", 1), ("End", -1)):
        drawn, network = page.evaluate(DRAWN), data["networks"][place]
        page.keyboard.press(key)
        assert page.inner_text(DROPOUT) == page.get_attribute(SLIDER, "aria-valuetext") == network["dropout"]
        assert told(page) == lines_of(network)
        assert kept_of(network) in page.inner_text(KEPT).replace("−", "-")
        assert all(new != old for new, old in zip(page.evaluate(DRAWN), drawn, strict=True)), key
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


def test_the_mouse_moves_the_slider_and_sorts(page: Page, data: dict[str, Any]) -> None:
    box = page.locator(SLIDER).bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    network = data["networks"][7]
    assert page.inner_text(DROPOUT) == network["dropout"] == "0.35"
    drawn = page.evaluate(DRAWN)
    page.get_by_role("radio", name="the other’s modules").click()
    assert all(new != old for new, old in zip(page.evaluate(DRAWN), drawn, strict=True))
    assert [line.replace("−", "-") for line in page.locator(".front-now").all_inner_texts()] == lines_of(network)[1::2]
    labels = [canvas.get_attribute("aria-label") or "" for canvas in page.locator(".front-side canvas").all()]
    assert all("sorted by the other’s modules: Q = " in label for label in labels)
    page.get_by_role("radio", name="its own modules").click()
    assert page.evaluate(DRAWN) == drawn


def test_the_colour_of_a_square_is_that_of_the_stored_value(page: Page, data: dict[str, Any], v1: Results) -> None:
    one = explorer.both_sides(v1)[-1]
    for side, sorting in ((0, 0), (1, 1), (0, 1), (1, 0)):
        page.get_by_role("radio", name="its own modules" if side == sorting else "the other’s modules").click()
        labels = one.labels[sorting]
        order = sorted(range(64), key=lambda unit: (labels[unit] < 0, labels[unit], unit))
        colours = page.evaluate(
            """side => {
                const canvas = document.querySelectorAll("#front .front-side canvas")[side];
                const cell = canvas.width / 64, context = copyOf(canvas);
                const at = (row, column) => context.getImageData(
                    Math.floor((column + 0.5) * cell), Math.floor((row + 0.5) * cell), 1, 1).data;
                return [[0, 1], [9, 30], [40, 41], [12, 12], [50, 20]].map(([row, column]) => [...at(row, column)]);
            }""",
            side,
        )
        known = base64.b64decode(data["colours"])
        for (row, column), colour in zip(((0, 1), (9, 30), (40, 41), (12, 12), (50, 20)), colours, strict=True):
            i, j = order[row], order[column]
            level = 0 if i == j else round(255 * float(one.matrices[side][i, j]))
            assert colour == [*known[3 * level : 3 * level + 3], 255]


def test_white_lines_part_the_modules(page: Page, data: dict[str, Any]) -> None:
    labels = data["networks"][-1]["labels"][1]
    sizes = [labels.count(module) for module in range(max(labels) + 1)]
    border = sum(sizes[:2]) / 64
    found = page.evaluate(
        """border => {
            const canvas = document.querySelectorAll("#front .front-side canvas")[1];
            const context = copyOf(canvas), x = Math.round(border * canvas.width);
            const white = x => [3, 71, 150].every(
                y => Math.min(...context.getImageData(x, y, 1, 1).data.slice(0, 3)) > 188); // three quarters of white
            return [white(x) || white(x - 1), white(x + 3)];
        }""",
        border,
    )
    assert found == [True, False]


def test_the_link_below_leads_to_the_same_network_in_the_explorer(page: Page) -> None:
    page.focus(SLIDER)
    page.keyboard.press("Home")
    address = page.get_attribute("article p a", "href")
    assert address == (
        "explorer.html#regulariser=dropout&strength=0&layer=1&measure=input_covariance_norm"
        "&sorted_by=output_gradient_norm"
    )


def test_a_finger_moves_the_slider_and_sorts_on_a_phone(browser: Browser, file: Path, data: dict[str, Any]) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    tab = opened(context, file)
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    box = tab.locator(SLIDER).bounding_box()
    assert box
    assert box["height"] >= 44
    assert box["width"] >= 300
    tab.touchscreen.tap(box["x"] + 5, box["y"] + box["height"] / 2)
    assert tab.inner_text(DROPOUT) == "0"
    tab.get_by_role("radio", name="the other’s modules").tap()
    assert tab.locator(".front-now").all_inner_texts()[0].replace("−", "-") == lines_of(data["networks"][0])[1]
    canvases = [one.bounding_box() for one in tab.locator(".front-side canvas").all()]
    assert canvases[0] is not None
    assert canvases[1] is not None
    assert canvases[0]["y"] == canvases[1]["y"]  # side by side
    assert canvases[0]["width"] == pytest.approx(canvases[0]["height"], abs=1)
    explorer_box = tab.locator("#front").bounding_box()
    assert explorer_box
    assert explorer_box["height"] <= PHONE["height"] - 100  # pictures and slider are in sight at once
    context.close()


def test_it_fits_above_the_fold_of_a_desk(page: Page) -> None:
    box = page.locator("#front").bounding_box()
    assert box
    assert box["height"] <= 600


def test_it_has_no_barrier_for_people_with_disabilities(page: Page) -> None:
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("async () => (await axe.run(document)).violations.map(one => one.id)")
    assert found == []


def test_without_javascript_the_picture_stands_in_its_place(browser: Browser, file: Path) -> None:
    context = browser.new_context(java_script_enabled=False, viewport=DESK)
    tab = context.new_page()
    tab.goto(file.as_uri())
    image = tab.locator("figure.front-still img")
    assert image.is_visible()
    box = image.bounding_box()
    assert box
    assert box["width"] > 300
    assert "With JavaScript" in tab.inner_text("figure.front-still figcaption")
    assert not tab.locator("#front").is_visible()
    context.close()

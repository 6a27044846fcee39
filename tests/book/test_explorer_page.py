"""The explorer as a reader uses it: with a mouse, with the keyboard alone, on a phone, and without JavaScript."""

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Browser, Page

from chromium import COPY_OF, browser_for

PROJECT = Path(__file__).resolve().parents[2]
# The page of the book; another one, such as that of `modularity chapter explorer`, can be named.
PAGE = Path(os.environ.get("MODULARITY_EXPLORER", PROJECT / "_build" / "html" / "chapters" / "explorer.html"))
MATRIX, PAIR = '[data-part="matrix"]', '[data-part="pair"]'
MARGIN = 28  # of explorer.js: room for the numbers of the modules and the band of live units
SLIDER = '[data-choice="strength"]'
# Of the matrix as it is drawn: the colours of all its pixels.
DRAWN = f"() => document.querySelector('{MATRIX}').toDataURL()"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browser_for(PAGE, untested="the explorer is not tested") as browser:
        yield browser


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    """What the page draws from."""
    found = re.search(r'id="explorer-data">(.*?)</script>', PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return json.loads(found[1])


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """The page, just opened; it must not complain or ask for anything elsewhere while it is used."""
    complaints: list[str] = []
    tab = browser.new_page(viewport={"width": 1300, "height": 1000})
    tab.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.on(
        "request",
        lambda sent: complaints.append(sent.url) if urlparse(sent.url).scheme not in ("file", "data", "blob") else None,
    )
    tab.goto(PAGE.as_uri())
    tab.wait_for_selector("#explorer:not([hidden])")
    yield tab
    tab.close()
    assert complaints == []


def choose(page: Page, what: str, index: int) -> None:
    if what == "strength":
        page.fill('[data-choice="strength"]', str(index))  # a slider
    else:
        page.select_option(f'[data-choice="{what}"]', index=index)


def chosen_layer(page: Page, data: dict[str, Any]) -> dict[str, Any]:
    """The data of the layer that the selects name."""
    place = {name: int(page.input_value(f'[data-choice="{name}"]')) for name in ("regulariser", "strength", "layer")}
    network = data["sweeps"][place["regulariser"]]["strengths"][place["strength"]]["network"]
    return data["networks"][network]["layers"][place["layer"]]


def fact(page: Page, name: str) -> str:
    return page.locator(f'[data-fact="{name}"]').inner_text().replace("−", "-")


def point(page: Page, row: int, column: int, units: int) -> None:
    """Move the mouse to the square of these positions in the sorted order."""
    page.locator(MATRIX).scroll_into_view_if_needed()
    box = page.locator(MATRIX).bounding_box()
    assert box
    cell = (box["width"] - MARGIN) / units
    page.mouse.move(box["x"] + MARGIN + (column + 0.5) * cell, box["y"] + MARGIN + (row + 0.5) * cell)


def order_of(labels: list[int]) -> list[int]:
    """Units sorted by module, dead ones last."""
    return sorted(range(len(labels)), key=lambda unit: (labels[unit] < 0, labels[unit], unit))


def test_pointing_at_a_square_names_its_units_modules_and_similarity(page: Page, data: dict[str, Any]) -> None:
    layer = chosen_layer(page, data)
    measure, by = (layer["measures"][data["chosen"][name]] for name in ("measure", "sorted_by"))
    order = order_of(by["labels"])
    assert page.inner_text(PAIR) == ""
    assert "stands here" in page.evaluate(f"getComputedStyle(document.querySelector('{PAIR}'), '::before').content")
    said = set()
    for row, column in ((0, 3), (5, 1), (layer["units"] - 1, layer["units"] - 2)):
        point(page, row, column, layer["units"])
        text = page.inner_text(PAIR)
        i, j = order[row], order[column]
        assert text.startswith(
            f"Unit {i} of module {by['labels'][i]}, unit {j} of module {by['labels'][j]}: similarity"
        )
        assert str(measure["largest"]) in text
        said.add(text)
    assert len(said) == 3


def test_the_value_shown_is_the_stored_one(page: Page, data: dict[str, Any]) -> None:
    layer = chosen_layer(page, data)
    units, chosen = layer["units"], data["chosen"]
    order = order_of(layer["measures"][chosen["sorted_by"]]["labels"])
    stored, start = base64.b64decode(data["matrices"]), 0
    for network in data["networks"]:
        for each in network["layers"]:
            for place, measure in enumerate(each["measures"]):
                if each is layer and place == chosen["measure"]:
                    matrix = stored[start : start + units * (units - 1) // 2]
                    largest = measure["largest"]
                start += each["units"] * (each["units"] - 1) // 2
    seen = 0
    for row, column in ((0, 1), (3, 2), (2, 7), (9, 4), (11, 12)):
        i, j = sorted((order[row], order[column]))
        level = matrix[i * units - i * (i + 1) // 2 + j - i - 1]
        point(page, row, column, units)
        text = page.inner_text(PAIR)
        if level:
            value, share = re.search(r"similarity (\S+), (\S+) of the largest", text).groups()  # type: ignore[union-attr]
            assert float(share) == pytest.approx(level / data["levels"], abs=0.0006)
            assert float(value) == pytest.approx(level / data["levels"] * largest, rel=0.051)
            seen += 1
        else:
            assert "under 0.002 of the largest" in text
    assert seen


def test_arrow_keys_move_over_the_matrix_and_say_the_same_as_the_mouse(page: Page, data: dict[str, Any]) -> None:
    units = chosen_layer(page, data)["units"]
    page.focus('[data-choice="sorted_by"]')
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.part") == "matrix"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    start, drawn = page.inner_text(PAIR), page.evaluate(DRAWN)
    for key, row, column in (
        ("ArrowRight", 0, 2),
        ("ArrowDown", 1, 2),
        ("ArrowDown", 2, 2),
        ("ArrowLeft", 2, 1),
        ("ArrowUp", 1, 1),
        ("End", 1, units - 1),
        ("ArrowRight", 1, units - 1),
        ("Home", 1, 0),
        ("ArrowLeft", 1, 0),
    ):
        before = page.evaluate("scrollY")
        page.keyboard.press(key)
        page.wait_for_timeout(100)  # a page that scrolls does so a little later
        assert page.evaluate("scrollY") == before, key
        said = page.inner_text(PAIR)
        if row == column:
            assert "similarity with itself" in said
        assert said != start
        point(page, (row + 5) % units, column, units)  # away, so that the mouse has something to say
        assert page.inner_text(PAIR) != said
        point(page, row, column, units)
        assert page.inner_text(PAIR) == said
    assert page.evaluate(DRAWN) != drawn
    assert page.url.startswith(PAGE.as_uri())  # an arrow key turns no page


def test_what_is_said_of_a_square_is_announced(page: Page) -> None:
    assert page.evaluate(f"document.querySelector('{PAIR}').tagName") == "OUTPUT"  # a live region by itself
    described = page.get_attribute(MATRIX, "aria-describedby") or ""
    assert "explorer-pair" in described.split()
    assert page.get_attribute(MATRIX, "tabindex") == "0"
    assert "Similarity matrix: " in (page.get_attribute(MATRIX, "aria-label") or "")


def test_every_choice_has_a_label(page: Page) -> None:
    labels = {
        name: page.locator(f'[data-choice="{name}"]').evaluate("one => one.labels[0].firstChild.data.trim()")
        for name in ("regulariser", "strength", "layer", "measure", "sorted_by")
    }
    assert list(labels.values()) == ["Regulariser", "Strength", "Layer", "Measure", "Sorted by the modules of"]


def test_another_choice_changes_q_and_the_picture(page: Page, data: dict[str, Any]) -> None:
    for what, index in (("measure", 0), ("sorted_by", 4), ("regulariser", 0), ("strength", 1), ("layer", 1)):
        before, drawn = page.locator(".explorer-facts").inner_text(), page.evaluate(DRAWN)
        choose(page, what, index)
        layer = chosen_layer(page, data)
        own, other = (int(page.input_value(f'[data-choice="{name}"]')) for name in ("measure", "sorted_by"))
        assert page.locator(".explorer-facts").inner_text() != before, what
        assert page.evaluate(DRAWN) != drawn, what
        for name, score in (
            ("own", layer["measures"][own]["score"]),
            ("other", layer["measures"][own]["scores"][other]),
        ):
            assert fact(page, f"score-{name}") == f"{score:.3f}"
        sizes = [int(size) for size in fact(page, "sizes-other").split(", ")]
        labels = layer["measures"][other]["labels"]
        assert sizes == [labels.count(module) for module in range(max(labels) + 1)]
        assert fact(page, "count-other") == str(len(sizes))
        assert fact(page, "dead-other") == str(labels.count(-1))


def test_a_matrix_sorted_by_its_own_modules_has_one_column_of_facts(page: Page) -> None:
    assert page.locator('[data-fact="score-other"]').count() == 1
    choose(page, "sorted_by", int(page.input_value('[data-choice="measure"]')))
    assert page.locator('[data-fact="score-other"]').count() == 0
    assert page.locator('[data-fact="score-own"]').count() == 1


def test_each_module_shows_its_digits_its_weights_and_its_activity(page: Page, data: dict[str, Any]) -> None:
    layer = chosen_layer(page, data)
    by = layer["measures"][data["chosen"]["sorted_by"]]
    assert page.locator(".explorer-modules li").count() == len(by["modules"])
    for number, place in enumerate(by["modules"]):
        item, module = page.locator(".explorer-modules li").nth(number), layer["modules"][place]
        size = by["labels"].count(number)
        assert item.locator("h4").inner_text() == f"Module {number}: {size} unit{'s' if size != 1 else ''}"
        described = [canvas.get_attribute("aria-label") or "" for canvas in item.locator("canvas").all()]
        card, activity = item.inner_text(), module["activity"]
        strong = [digit for digit in range(10) if activity[digit] >= 0.75 * max(activity)]
        named = re.search(r"Most active on ([\d, and]+)\.", card)
        assert named
        assert sorted(re.findall(r"\d", named[1])) == [str(digit) for digit in strong]
        assert max(range(10), key=activity.__getitem__) == int(re.findall(r"\d", named[1])[0])
        lost, beside = module["lost"]
        assert (
            f"Accuracy lost without it: {100 * lost:.1f} points, without as many random units {100 * beside:.1f}"
            in card
        )
        digits = [data["digitLabels"][digit] for digit in module["digits"]]
        assert [label.split(",")[0] for label in described[: len(digits)]] == [f"A handwritten {d}" for d in digits]
        assert described[len(digits)].startswith(f"Mean input weights of module {number}")
        assert f"9: {module['activity'][9]:.2f}" in described[-1]
        sums = item.locator("canvas").evaluate_all(
            "all => all.map(one => one.getContext('2d').getImageData(0, 0, one.width, one.height).data"
            ".reduce((sum, value) => sum + value, 0))"
        )
        assert all(sums)


def test_a_module_without_a_lesion_says_nothing_of_accuracy(page: Page, data: dict[str, Any]) -> None:
    assert page.locator('[data-part="lost"]').count() == page.locator(".explorer-modules li").count()
    l1 = [sweep["name"] for sweep in data["sweeps"]].index("l1")
    choose(page, "regulariser", l1)
    choose(page, "strength", 3)
    assert page.locator(".explorer-modules li").count() > 0
    assert page.locator('[data-part="lost"]').count() == 0


def test_the_first_view_is_of_the_strongest_dropout_and_in_sight(page: Page) -> None:
    assert "dropout 0.7;" in page.inner_text('[data-part="network"]')
    assert urlparse(page.url).fragment == ""
    box = page.locator(MATRIX).bounding_box()
    assert box
    assert box["y"] + box["height"] <= 1000


def test_the_slider_follows_keys_and_mouse(page: Page) -> None:
    page.focus(SLIDER)
    said = []
    for key in ("ArrowLeft", "ArrowLeft", "Home", "End"):
        drawn = page.evaluate(DRAWN)
        page.keyboard.press(key)
        strength = page.inner_text('[data-part="strength"]')
        assert page.get_attribute(SLIDER, "aria-valuetext") == strength
        assert f"dropout {strength};" in page.inner_text('[data-part="network"]')
        assert page.evaluate(DRAWN) != drawn, key
        said.append(strength)
    assert said == ["0.65", "0.6", "0", "0.7"]
    box = page.locator(SLIDER).bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.inner_text('[data-part="strength"]') == "0.35"


def seen_of(page: Page) -> list[str]:
    """What is told of a view, and its picture."""
    parts = ("network", "strength", "facts", "modules-title", "modules")
    return [*(page.inner_text(f'[data-part="{part}"]') for part in parts), page.evaluate(DRAWN)]


def test_the_address_holds_the_view_and_leads_back_to_it(page: Page, browser: Browser, data: dict[str, Any]) -> None:
    views = {"": seen_of(page)}
    for what, index in (("strength", 2), ("measure", 0), ("regulariser", 0), ("layer", 1)):
        choose(page, what, index)
        fragment = urlparse(page.url).fragment
        assert fragment not in views
        views[fragment] = seen_of(page)
    measure = data["measures"][0]["name"]
    assert f"measure={measure}" in fragment
    assert "layer=2" in fragment
    for address in [*views][-2::-1]:
        page.go_back()
        page.wait_for_function("seen => location.hash.slice(1) === seen", arg=address)
        assert seen_of(page) == views[address]
    for address in [*views][1:]:
        page.go_forward()
        page.wait_for_function("seen => location.hash.slice(1) === seen", arg=address)
        assert seen_of(page) == views[address]
    other = browser.new_page(viewport={"width": 1300, "height": 1000})
    other.goto(f"{PAGE.as_uri()}#{fragment}")
    other.wait_for_selector("#explorer:not([hidden])")
    assert seen_of(other) == views[fragment]
    other.close()


def test_an_address_names_as_much_as_it_wants_and_what_is_not_there_is_said(page: Page) -> None:
    first = seen_of(page)
    page.evaluate("location.hash = 'strength=0.3'")
    page.wait_for_function("document.querySelector('[data-part=strength]').textContent === '0.3'")
    assert page.inner_text('[data-part="modules-title"]') == first[3]
    shown = seen_of(page)
    page.evaluate("location.hash = 'what-is-what'")  # a heading of the page
    page.wait_for_timeout(200)
    assert seen_of(page) == shown
    page.evaluate("location.hash = 'strength=0.31&measure=input'")
    page.wait_for_function("document.querySelector('[data-part=notice]').textContent")
    notice = page.inner_text('[data-part="notice"]')
    assert notice == "The address asks for strength 0.31 and measure input, which is not here."
    assert seen_of(page) == first
    choose(page, "strength", 1)
    assert page.inner_text('[data-part="notice"]') == ""


def test_bands_along_the_edges_mark_the_units_that_are_live_for_the_matrix(page: Page, data: dict[str, Any]) -> None:
    places = {measure["name"]: place for place, measure in enumerate(data["measures"])}
    choose(page, "measure", places["input_covariance_norm"])
    choose(page, "sorted_by", places["output_gradient_norm"])
    layer = chosen_layer(page, data)
    own, by = (layer["measures"][places[name]]["labels"] for name in ("input_covariance_norm", "output_gradient_norm"))
    order, units = order_of(by), layer["units"]
    dead = {place for place, unit in enumerate(order) if own[unit] < 0}
    assert 0 < len(dead) < 10
    assert dead != set(range(units - len(dead), units))  # scattered, since the other measure finds them alive
    page.evaluate(COPY_OF)
    inked = page.evaluate(
        f"""([margin, units]) => {{
            const canvas = document.querySelector('{MATRIX}'), scale = canvas.width / canvas.clientWidth;
            const cell = (canvas.clientWidth - margin) / units, context = copyOf(canvas);
            const ink = (x, y) => context.getImageData(Math.floor(x * scale), Math.floor(y * scale), 1, 1).data[3];
            return [...Array(units).keys()].map(place => margin + (place + 0.5) * cell)
                .map(middle => [ink(middle, margin - 4), ink(margin - 4, middle)]);
        }}""",
        [MARGIN, units],
    )
    for place, (above, beside) in enumerate(inked):
        assert (above > 0, beside > 0) == (place not in dead, place not in dead)
    assert page.inner_text('[data-part="live"]').endswith(f": {units - len(dead)} of {units}.")
    assert fact(page, "live-own") == str(units - len(dead))


def test_a_finger_chooses_and_asks_as_a_mouse_does(browser: Browser, data: dict[str, Any]) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    tab = context.new_page()
    tab.goto(PAGE.as_uri())
    tab.wait_for_selector("#explorer:not([hidden])")
    tab.locator(SLIDER).scroll_into_view_if_needed()
    box = tab.locator(SLIDER).bounding_box()
    assert box
    assert box["height"] >= 44  # a finger's width
    tab.touchscreen.tap(box["x"] + 10, box["y"] + box["height"] / 2)
    assert tab.inner_text('[data-part="strength"]') == "0"
    tab.locator(MATRIX).scroll_into_view_if_needed()
    box = tab.locator(MATRIX).bounding_box()
    assert box
    assert tab.inner_text(PAIR) == ""
    cell = (box["width"] - MARGIN) / chosen_layer(tab, data)["units"]
    tab.touchscreen.tap(box["x"] + MARGIN + 2.5 * cell, box["y"] + MARGIN + 1.5 * cell)
    tab.wait_for_function(f"document.querySelector('{PAIR}').textContent")
    labels = chosen_layer(tab, data)["measures"][data["chosen"]["sorted_by"]]["labels"]
    order = order_of(labels)
    assert tab.inner_text(PAIR).startswith(f"Unit {order[1]} of module {labels[order[1]]}, unit {order[2]} of module")
    assert "Tap or point" in tab.inner_text("#explorer-keys")
    context.close()


def test_a_layer_of_dead_units_says_so(page: Page, data: dict[str, Any]) -> None:
    dead = [
        (regulariser, strength, layer, measure)
        for regulariser, sweep in enumerate(data["sweeps"])
        for strength, one in enumerate(sweep["strengths"])
        for layer, seen in enumerate(data["networks"][one["network"]]["layers"])
        for measure, view in enumerate(seen["measures"])
        if view["score"] is None
    ]
    assert dead, "the study shown has no dead layer: this needs a book of v1"
    for name, index in zip(("regulariser", "strength", "layer", "measure"), dead[0], strict=True):
        choose(page, name, index)
    choose(page, "sorted_by", dead[0][3])
    assert fact(page, "score-own") == "none"
    assert "there are no modules" in page.locator('[data-part="modules-note"]').inner_text()
    assert "left out" in page.locator('[data-part="network"]').inner_text()
    point(page, 0, 3, chosen_layer(page, data)["units"])
    assert "(silent)" in page.inner_text(PAIR)


def test_it_fits_a_phone_and_redraws_there(page: Page) -> None:
    wide = page.locator(MATRIX).bounding_box()
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(300)
    narrow = page.locator(MATRIX).bounding_box()
    assert wide
    assert narrow
    assert narrow["width"] <= 390
    overflow = page.evaluate(
        "document.querySelector('article').scrollWidth - document.querySelector('article').clientWidth"
    )
    assert overflow <= 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    ratio = page.evaluate("devicePixelRatio")
    assert page.evaluate(f"document.querySelector('{MATRIX}').width") == pytest.approx(narrow["width"] * ratio, abs=1)


def test_its_text_is_dark_on_light_and_light_on_dark(page: Page) -> None:
    def brightness() -> int:
        colour = page.evaluate("getComputedStyle(document.querySelector('#explorer')).color")
        return sum(int(part) for part in re.findall(r"\d+", colour)[:3])

    drawn, light = page.evaluate(DRAWN), brightness()
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_timeout(300)
    assert light < 3 * 100 < 3 * 155 < brightness()
    assert page.evaluate(DRAWN) != drawn  # the numbers at the edge of the matrix
    ground = page.evaluate("getComputedStyle(document.querySelector('#explorer').parentElement).backgroundColor")
    assert ground in ("rgba(0, 0, 0, 0)", "transparent")


def test_the_still_picture_folds_away_when_the_page_can_draw(page: Page) -> None:
    image = page.locator("details.explorer-still figure img")
    assert image.count() == 1
    assert not image.is_visible()
    page.click("details.explorer-still > summary")
    assert image.is_visible()


def test_without_javascript_a_still_picture_with_alt_text_and_caption_remains(browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(PAGE.as_uri())
    image = tab.locator("article figure img")
    assert image.is_visible()
    assert len((image.get_attribute("alt") or "").split()) >= 12
    assert "still picture" in tab.locator("article figcaption").inner_text()
    assert "JavaScript, which is off" in tab.locator("article").inner_text()
    assert not tab.locator("#explorer").is_visible()
    context.close()

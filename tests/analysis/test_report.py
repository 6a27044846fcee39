"""The page of an analysis: what is on it, that it needs nothing from elsewhere, and that it can be read by anyone."""

import base64
import io
import re
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import axe_playwright_python
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser

import modularity_lib as ml
from chromium import browser_for
from modularity_lib import files
from modularity_lib.analysis.pictures import matrix_svg, null_svg, palette, png

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
QUICK: dict[str, Any] = {"draws": 9, "searches": 4, "seconds": 1.0}
ODD_NAMES = ["<script>alert(1)</script>", 'a "quoted" & name', "ünïcødé", "a" * 200, ("left", 3), 7.5, "", "h"]


@pytest.fixture(scope="module")
def analysis() -> ml.Analysis:
    """A network of two layers, the second of which is dead upstream."""
    torch.manual_seed(1)
    parts = [torch.nn.Linear(6, 20), torch.nn.Tanh(), torch.nn.Linear(20, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3)]
    with torch.no_grad():
        parts[2].weight.zero_()
        parts[2].bias.fill_(-1.0)
    inputs = np.random.default_rng(0).standard_normal((40, 6))
    return ml.analyze(torch.nn.Sequential(*parts), inputs, np.arange(40) % 3, layers=["1", "3"], **QUICK)


@pytest.fixture(scope="module")
def odd() -> ml.Analysis:
    """A recording with signs, whose units have odd names."""
    activity = np.random.default_rng(0).standard_normal((60, len(ODD_NAMES)))
    return ml.analyze(pd.DataFrame(activity, columns=pd.Index(ODD_NAMES, dtype=object)), signed=True, **QUICK)


@pytest.fixture(scope="module")
def page(analysis: ml.Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return analysis.report(tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def odd_page(odd: ml.Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return odd.report(tmp_path_factory.mktemp("page") / "odd.html")


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its words; an element that is not closed fails."""

    EMPTY = ("meta", "img", "br", "image", "rect", "line")

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words.append(data)


def test_nothing_comes_from_elsewhere_and_nothing_is_run(page: Path, odd_page: Path) -> None:
    for one in (page, odd_page):
        elements = Elements(one)
        assert {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in elements.found} == set()
        for _, attributes in elements.found:
            for name, value in attributes.items():
                assert not name.startswith("on")
                if name in ("href", "src", "xlink:href"):
                    assert str(value).startswith(("#", "data:image/png;base64,")), value
        style = re.search(r"<style>(.*?)</style>", one.read_text(), flags=re.DOTALL)
        assert style
        assert not re.search(r"url\(|@import", style[1])


def test_every_link_leads_to_a_place_on_the_page_and_no_name_is_there_twice(page: Path) -> None:
    elements = Elements(page).found
    names = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(set(names)) == len(names)
    links = [str(attributes["href"])[1:] for tag, attributes in elements if tag == "a"]
    assert len(links) == 16
    assert set(links) <= set(names)


def test_every_result_is_on_the_page(page: Path, analysis: ml.Analysis) -> None:
    words = " ".join(" ".join(Elements(page).words).split())
    for result in analysis.results:
        if result.modules.status != "ok":
            continue
        assert result.bound is not None
        assert f"{result.modules.score:.4f}" in words
        assert f"{result.bound.upper:.4f}" in words
        for test in result.tests:
            assert test.question in words
            assert f"p = {test.p:.2g}" in words
        for community in result.modules.communities():
            assert str(len(community)) in words
    assert words.count("All 5 units are dead: by this measure none is similar to another.") == 4
    made = analysis.made_with
    for text in (made["date"], f"torch {made['versions']['torch']}", "ndarray of shape (40, 6), float64", "layers = "):
        assert text in words


def test_every_unit_is_there_with_its_confidence(odd_page: Path, odd: ml.Analysis) -> None:
    rows = re.findall(
        r"<tr><th[^>]*>(.*?)</th><td>(\w+)</td><td>(\w+)</td><td[^>]*>(.*?)</td><td>(\w*)</td></tr>",
        odd_page.read_text(),
    )
    first, consensus = odd.results[0], odd.results[0].consensus
    assert consensus is not None
    assert len(rows) == 2 * len(ODD_NAMES)
    told = zip(rows, first.modules.labels, consensus.labels, consensus.confidence, consensus.core, strict=False)
    for row, label, agreed, confidence, core in told:
        assert row[1:] == (str(label), str(agreed), f"{confidence:.2f}", "yes" if core else "")


def test_names_are_words_and_no_code(odd_page: Path) -> None:
    text = odd_page.read_text(encoding="utf-8")
    assert "<script" not in text
    words = "".join(Elements(odd_page).words)
    for name in ODD_NAMES:
        assert str(name) in words


def test_the_picture_is_the_matrix_in_the_order_of_its_modules() -> None:
    random = np.random.default_rng(0)
    similarity = random.random((7, 7))
    similarity = similarity + similarity.T
    similarity[5] = similarity[:, 5] = 0.0
    labels = np.array([1, 0, 1, 0, 0, -1, 2])
    svg = matrix_svg(similarity, labels, name="m", description="a & b")
    order = [1, 3, 4, 0, 2, 6, 5]
    bare = similarity * (1 - np.eye(7))
    expected = mpl.colormaps["magma"](bare[np.ix_(order, order)] / bare.max())[..., :3] * 255
    np.testing.assert_allclose(pixels_of(svg), expected, atol=12)  # magma, from ten of its colours
    frames = re.findall(r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"/>', svg)
    assert frames == [("0", "0", "3", "3"), ("3", "3", "2", "2"), ("5", "5", "1", "1")]
    assert '<title id="m-title">a &amp; b</title>' in svg


def test_the_picture_of_signs_has_no_colour_at_zero() -> None:
    similarity = np.array([[1.0, 0.5, -0.5, 0.0], [0.5, 1.0, -1.0, 0.0], [-0.5, -1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    shown = pixels_of(matrix_svg(similarity, np.array([0, 0, 1, -1]), name="m", description=""))
    assert shown[0, 3].min() > 240
    assert shown[1, 2, 2] > shown[1, 2, 0] + 80  # blue where opposite
    assert shown[0, 1, 0] > shown[0, 1, 2] + 60  # red where alike


def test_a_large_layer_is_shown_by_means() -> None:
    block = np.kron(np.eye(2), np.ones((700, 700)))
    shown = pixels_of(matrix_svg(block, np.repeat([0, 1], 700), name="m", description=""))
    assert shown.shape == (467, 467, 3)  # 3 units to a pixel
    top = palette("000004 180f3d 440f76 721f81 9e2f7f cd4071 f1605d fd9668 feca8d fcfdbf")[-1]
    np.testing.assert_array_equal(shown[0, 100], top)
    assert shown[0, 400].max() < 5


def pixels_of(svg: str) -> np.ndarray:
    [packed] = re.findall(r"data:image/png;base64,([^\"]+)", svg)
    return np.array(Image.open(io.BytesIO(base64.b64decode(packed))).convert("RGB")).astype(int)


def test_a_png_holds_its_pixels() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (5, 9)).astype(np.uint8)
    colours = np.random.default_rng(1).integers(0, 256, (256, 3)).astype(np.uint8)
    picture = Image.open(io.BytesIO(png(levels, colours)))
    picture.verify()
    np.testing.assert_array_equal(
        np.array(Image.open(io.BytesIO(png(levels, colours))).convert("RGB")), colours[levels]
    )
    assert zlib.crc32(b"IEND") == int.from_bytes(png(levels, colours)[-4:], "big")


@pytest.mark.parametrize("scores", [[0.1, 0.2, 0.3], [0.2], [0.1, 0.1]])
def test_the_histogram_holds_every_draw_and_q(scores: list[float]) -> None:
    svg = null_svg(0.25, np.array(scores), name="n", description="d")
    heights = [float(height) for height in re.findall(r'height="([\d.]+)"/>', svg)]
    assert max(heights) == 70.0
    assert round(sum(heights) * np.bincount(np.unique(scores, return_inverse=True)[1]).max() / 70) == len(scores)
    [x] = re.findall(r'<line class="score" x1="([\d.]+)"', svg)
    assert 0 < float(x) < 320


# ---------------------------------------------------------------- the file


def test_a_page_that_was_there_stays_where_the_new_one_cannot_be_written(
    analysis: ml.Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "report.html"
    place.write_text("before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        analysis.report(place)
    assert place.read_text() == "before"
    assert list(tmp_path.iterdir()) == [place]


def test_a_link_is_followed_and_the_rights_are_the_usual_ones(analysis: ml.Analysis, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.html"
    link.symlink_to(tmp_path / "there" / "report.html")
    assert analysis.report(link) == tmp_path / "there" / "report.html"
    assert link.is_symlink()
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "there" / "report.html").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (5, "path must be the path of a file, got 5"),
        ("", "path must be the path of a file, got ''"),
        (".", "got the folder"),
        ("no/such/folder/report.html", "must lie in a folder that exists"),
        ("/dev/null", "a device or a pipe"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused(analysis: ml.Analysis, path: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        analysis.report(path)


# ---------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser(page: Path) -> Iterator[Browser]:
    with browser_for(page, untested="the page of an analysis") as opened:
        yield opened


@pytest.mark.parametrize("width", [320, 390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_on_a_phone_and_by_everyone(
    browser: Browser, page: Path, odd_page: Path, width: int, scheme: Any
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
    tab = context.new_page()
    asked, said = [], []
    tab.on("request", lambda request: asked.append(request.url))
    tab.on("console", lambda message: said.append(message.text))
    for one in (page, odd_page):
        tab.goto(one.as_uri())
        tab.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.evaluate(AXE.read_text())
        found = tab.evaluate("axe.run(document, {resultTypes: ['violations'], preload: false})")
        barriers = [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]]
        assert barriers == []
    assert [address for address in asked if not address.startswith(("file:", "data:"))] == []
    assert said == []
    context.close()

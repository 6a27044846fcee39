"""The explorer of the front page shows the shipped matrices of both sides, with Q and transfer of the tables."""

import base64
import json
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from modularity_lib.book import explorer
from modularity_lib.book.explorer import BothSides
from modularity_lib.clustering.modularity import modularity_score
from modularity_lib.studies.archive import stored_matrices
from modularity_lib.studies.results import Results
from modularity_lib.studies.run import run_study
from modularity_lib.studies.store import Store
from tiny import TINY

SIDES = ("input_covariance_norm", "output_gradient_norm")


@pytest.fixture(scope="module")
def networks(v1: Results) -> list[BothSides]:
    return explorer.both_sides(v1)


@pytest.fixture(scope="module")
def html(v1: Results) -> str:
    return explorer.front_page(v1)


@pytest.fixture(scope="module")
def data(html: str) -> dict[str, Any]:
    """What the script reads out of the page."""
    return json.loads(re.search(r'id="front-data">(.*?)</script>', html, re.DOTALL)[1])


def test_every_dropout_of_the_sweep_is_there_the_strongest_last(data: dict[str, Any], v1: Results) -> None:
    assert [float(network["dropout"]) for network in data["networks"]] == v1.study.strengths("dropout")
    assert data["networks"][-1]["dropout"] == "0.7"


def test_matrices_are_read_back_within_half_a_step_on_one_scale(data: dict[str, Any]) -> None:
    stored = np.frombuffer(base64.b64decode(data["matrices"]), dtype=np.uint8)
    pairs = 64 * 63 // 2
    assert len(stored) == 2 * pairs * len(data["networks"])
    for place, network in enumerate(data["networks"]):
        exact = stored_matrices("v1", dropout=float(network["dropout"]))["hidden1"]
        for side, measure in enumerate(SIDES):
            start = (2 * place + side) * pairs
            shown = stored[start : start + pairs] / 255
            assert np.abs(shown - exact[measure][np.triu_indices(64, 1)]).max() <= 0.5 / 255 + 1e-9


def test_modules_q_and_transfer_are_those_of_the_tables(data: dict[str, Any], v1: Results) -> None:
    for network in data["networks"]:
        chosen = f"trained and run == 0 and layer == 1 and l1 == 0 and l2 == 1e-5 and dropout == {network['dropout']}"
        modules = v1.modules.query(chosen).set_index("measure")
        assert network["labels"] == [list(modules.loc[measure, "labels"]) for measure in SIDES]
        assert network["scores"] == pytest.approx([modules.loc[measure, "score"] for measure in SIDES], abs=1e-6)
        pair = v1.agreement.query(chosen).query(
            "measure_a in @SIDES and measure_b in @SIDES and measure_a != measure_b"
        )
        assert network["transfer"] == pytest.approx(pair["transfer"].item(), abs=1e-6)


def test_transfer_is_what_the_scores_beside_it_say(data: dict[str, Any]) -> None:
    for network in data["networks"]:
        exact = stored_matrices("v1", dropout=float(network["dropout"]))["hidden1"]
        for side, measure in enumerate(SIDES):
            expected = modularity_score(exact[measure], np.array(network["labels"][1 - side]))
            assert network["scoresOther"][side] == pytest.approx(expected, abs=1e-6)
        kept = [other / (own + 0.001) for own, other in zip(network["scores"], network["scoresOther"], strict=True)]
        assert network["transfer"] == pytest.approx(sum(kept) / 2, abs=2e-5)


def test_the_front_page_stays_small_and_fetches_nothing(html: str) -> None:
    assert len(html.encode()) < 300_000
    assert not re.search(r"https?://|\bsrc=\"(?!data:)|\bhref=|@import|url\(|fetch\(|XMLHttpRequest", html)


def test_without_javascript_a_picture_with_alternative_text_and_a_caption_stands_there(
    html: str, networks: list[BothSides]
) -> None:
    [still] = re.findall(r"<noscript>(.*?)</noscript>", html, re.DOTALL)
    alt, picture, caption = re.search(
        r'<img alt="([^"]+)" src="data:image/svg\+xml;base64,([^"]+)"><figcaption>(.+?)</figcaption>', still
    ).groups()
    assert len(alt.split()) >= 12
    assert caption.startswith(f"Under each other&#x27;s modules the two sides keep {explorer.kept_text(networks[-1])}")
    drawn = ElementTree.fromstring(base64.b64decode(picture))
    images = drawn.findall(".//{http://www.w3.org/2000/svg}image")
    assert [image.get("width") for image in images].count("64") == 4


def test_a_share_below_chance_has_a_minus(networks: list[BothSides]) -> None:
    assert explorer.kept_text(networks[-1]) == "73 %"
    assert explorer.kept_text(networks[0]) == "−5 %"


def test_where_no_matrices_come_with_the_project_a_sentence_stands(tmp_path, v1: Results) -> None:
    results = run_study(TINY, store=Store(tmp_path), workers=1, progress=False)
    text = explorer.front_page(results)
    assert text.startswith("<p>")
    assert f"Matrices of the study {TINY.name} do not come with the project" in text
    assert "<script" not in text

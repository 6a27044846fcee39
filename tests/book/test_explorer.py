"""The explorer shows the stored matrices, the Q of the tables, and digits and weights that are what they are called."""

import base64
import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest

from modularity_lib.book import explorer
from modularity_lib.book.explorer import Digits, NetworkView
from modularity_lib.clustering.modularity import modularity_score
from modularity_lib.figures import modules_looked_at
from modularity_lib.images.dataset import load_dataset
from modularity_lib.similarity.derivatives import activity, input_jacobian
from modularity_lib.studies.archive import stored_matrices, stored_network
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.results import Results
from modularity_lib.studies.run import run_study
from modularity_lib.studies.store import Store
from modularity_lib.training.networks import initial_parameters, network_of
from modularity_lib.vocabulary import MEASURES, Regularisation
from tiny import TINY

CHOSEN = {
    "regulariser": "dropout",
    "strength": 0.3,
    "layer": 1,
    "measure": "input_gradient",
    "sorted_by": "output_gradient",
}
DEEP = replace(TINY, name="deep", hidden=(9, 8, 7, 6, 5), untrained=0, epochs=2)


@pytest.fixture(scope="module")
def digits() -> Digits:
    return explorer.digits_for("v1")


@pytest.fixture(scope="module")
def networks(v1: Results, digits: Digits) -> list[NetworkView]:
    return explorer.explore(v1, digits)


@pytest.fixture(scope="module")
def page(v1: Results, networks: list[NetworkView], digits: Digits) -> dict[str, Any]:
    """What the script reads out of the page."""
    text = explorer.page_of(explorer.page_data(networks, v1.study, digits, CHOSEN))
    return json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)[1])


def bytes_of(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=np.uint8)


def shown_matrices(page: dict[str, Any]) -> dict[tuple[int, int, int], np.ndarray]:
    """Every matrix of the page by network, layer and measure, read as the script reads it."""
    stored, start, found = bytes_of(page["matrices"]), 0, {}
    for index, network in enumerate(page["networks"]):
        for layer, seen in enumerate(network["layers"]):
            units = seen["units"]
            for measure, view in enumerate(seen["measures"]):
                matrix = np.zeros((units, units))
                for i, j in product(range(units), repeat=2):
                    if i < j:
                        place = start + i * units - i * (i + 1) // 2 + (j - i - 1)
                        matrix[i, j] = matrix[j, i] = stored[place] / page["levels"] * view["largest"]
                start += units * (units - 1) // 2
                found[index, layer, measure] = matrix
    assert start == len(stored)
    return found


def test_every_setting_of_the_run_is_there_with_each_layer_and_measure(page: dict[str, Any], v1: Results) -> None:
    assert [Regularisation(**network["setting"]) for network in page["networks"]] == v1.study.settings()
    assert {len(network["layers"]) for network in page["networks"]} == {2}
    assert {len(layer["measures"]) for network in page["networks"] for layer in network["layers"]} == {len(MEASURES)}


def test_a_matrix_is_read_back_within_half_a_step_and_the_rounding_of_its_largest_value(page: dict[str, Any]) -> None:
    shown = shown_matrices(page)
    for index in (0, 7, len(page["networks"]) - 1):
        stored = stored_matrices("v1", **page["networks"][index]["setting"])
        for layer, (measure, name) in product(range(2), enumerate(MEASURES)):
            exact = stored[f"hidden{layer + 1}"][name] * (1 - np.eye(64))
            error = np.abs(shown[index, layer, measure] - exact).max()
            assert error <= (0.5 / 255 + 0.005) * exact.max()
            assert np.abs(shown[index, layer, measure] / (exact.max() or 1) - exact / (exact.max() or 1)).max() < 0.01
            values = page["networks"][index]["layers"][layer]["measures"][measure]
            assert values["largest"] == pytest.approx(exact.max(), rel=0.005)


def test_a_step_of_a_stored_matrix_is_a_255th_of_its_largest_value(page: dict[str, Any]) -> None:
    upper = np.triu_indices(64, 1)
    exact = stored_matrices("v1")["hidden1"][MEASURES[0]][upper]
    stored = bytes_of(page["matrices"])[: len(exact)]
    assert np.abs(stored / 255 - exact / exact.max()).max() <= 0.5 / 255 + 1e-12


def test_colours_follow_the_square_root_of_the_similarity(page: dict[str, Any]) -> None:
    colours = bytes_of(page["matrixColours"]).reshape(256, 3)
    for level in (0, 1, 64, 255):
        expected = [round(255 * value) for value in matplotlib.colormaps["magma"]((level / 255) ** 0.5)[:3]]
        assert colours[level].tolist() == expected


def test_what_is_lost_without_a_module_is_that_of_the_table_of_lesions(page: dict[str, Any]) -> None:
    folder = Path(__file__).resolve().parents[2] / "data" / "findings" / "lesions" / "v1"
    table = pd.read_parquet(folder / "lesions.parquet").query("run == 0 and lesion == 'zero'")
    seen = 0
    for network in page["networks"]:
        rows = table.query("l2 == @l2 and l1 == @l1 and dropout == @dropout", local_dict=network["setting"])
        known: dict[tuple[int, int], list[Any]] = {}  # rows by layer and set of units, which several measures may find
        for _, row in rows.iterrows():
            view = network["layers"][row["layer"] - 1]["measures"][MEASURES.index(row["measure"])]
            assert view["labels"].count(row["module"]) >= row["units"]  # silent units are no part of a lesion
            known.setdefault((row["layer"], view["modules"][row["module"]]), []).append(row)
        for layer, place in product((1, 2), range(64)):
            for module in network["layers"][layer - 1]["modules"][place : place + 1]:
                found = known.get((layer, place))
                if found is None:
                    assert module["lost"] is None
                    continue
                lost, beside = module["lost"]
                assert [lost] * len(found) == pytest.approx([row["accuracy"] for row in found], abs=1e-6)
                assert beside in [
                    None if np.isnan(row["accuracy_random"]) else round(row["accuracy_random"], 6) for row in found
                ]
                seen += 1
    assert seen > 200


def test_modules_and_scores_are_those_of_the_published_table(page: dict[str, Any], v1: Results) -> None:
    table = v1.modules[v1.modules["trained"] & (v1.modules["run"] == 0)]
    seen = 0
    for network in page["networks"]:
        rows = table.query("l2 == @l2 and l1 == @l1 and dropout == @dropout", local_dict=network["setting"])
        for _, row in rows.iterrows():
            view = network["layers"][row["layer"] - 1]["measures"][MEASURES.index(row["measure"])]
            assert view["labels"] == list(row["labels"])
            assert len(view["modules"]) == max(row["labels"]) + 1
            assert view["labels"].count(-1) == row["dead_units"]
            if row["status"] == "ok":
                assert view["score"] == pytest.approx(row["score"], abs=1e-6)
                assert view["scores"][MEASURES.index(row["measure"])] == pytest.approx(row["score"], abs=1e-5)
                assert view["soft"] == pytest.approx(row["n_modules"], abs=0.006)
            else:
                assert view["score"] is None
                assert set(view["scores"]) == {None}
            seen += 1
    assert seen == 32 * 2 * len(MEASURES)


def test_q_under_the_modules_of_another_measure_is_that_of_this_matrix_with_those_labels(networks) -> None:
    layer = networks[4].layers[1]
    for a, b in product(MEASURES, repeat=2):
        expected = modularity_score(
            stored_matrices("v1", **networks[4].setting)["hidden2"][a], layer.measures[b].labels
        )
        assert layer.measures[a].scores[b] == expected


def test_the_strengths_of_a_sweep_lead_to_its_networks(page: dict[str, Any], v1: Results) -> None:
    for sweep in page["sweeps"]:
        strengths = [page["networks"][one["network"]]["setting"][sweep["name"]] for one in sweep["strengths"]]
        assert strengths == v1.study.strengths(sweep["name"])
        assert [float(one["label"]) for one in sweep["strengths"]] == pytest.approx(strengths, rel=0.02)
        assert not any(len(one["label"]) > len("0.00032") for one in sweep["strengths"])
    first = page["chosen"]
    chosen = page["sweeps"][first["regulariser"]]["strengths"][first["strength"]]["network"]
    assert page["networks"][chosen]["setting"] == {"l2": 1e-5, "l1": 0.0, "dropout": 0.3}
    assert (MEASURES[first["measure"]], MEASURES[first["sorted_by"]]) == ("input_gradient", "output_gradient")


def test_the_digits_of_a_module_are_those_with_the_highest_mean_normalised_activity(page: dict[str, Any]) -> None:
    dataset = load_dataset("mnist-5k")
    images = np.concatenate([dataset.train_images, dataset.test_images])
    pixels = bytes_of(page["digits"]).reshape(-1, 784)
    for index, layer in ((2, 0), (25, 1)):
        network = stored_network("v1", **page["networks"][index]["setting"])
        active = activity(network, images, f"hidden{layer + 1}").astype(float)
        seen = page["networks"][index]["layers"][layer]
        for view in seen["measures"]:
            for label, place in enumerate(view["modules"]):
                units = [unit for unit, found in enumerate(view["labels"]) if found == label]
                means = np.zeros(len(images))
                for unit in units:
                    if active[:, unit].max() > 0:
                        means += active[:, unit] / active[:, unit].max() / len(units)
                shown = [pixels[digit] for digit in seen["modules"][place]["digits"]]
                assert len(shown) == explorer.N_DIGITS
                places = [np.flatnonzero((np.round(255 * images) == digit).all(axis=1))[0] for digit in shown]
                np.testing.assert_allclose(means[places], np.sort(means)[::-1][: len(places)], rtol=1e-4)
                assert list(np.argsort(-means[places], kind="stable")) == list(range(len(places)))


def test_shipped_matrices_come_layer_by_layer_from_the_pixels_on(v1: Results) -> None:
    for setting in v1.study.settings():
        assert list(stored_matrices("v1", **setting._asdict())) == ["hidden1", "hidden2"]


def test_every_digit_has_its_label(page: dict[str, Any], digits: Digits) -> None:
    pixels = bytes_of(page["digits"]).reshape(-1, 784)
    assert len(pixels) == len(page["digitLabels"])
    known = {
        np.round(255 * image).astype(np.uint8).tobytes(): label
        for image, label in zip(digits.images, digits.labels, strict=True)
    }
    assert [known[image.tobytes()] for image in pixels] == page["digitLabels"]


def test_a_module_silent_on_some_digits_shows_none_of_them() -> None:
    active = np.array([[0.0, 0.0], [0.0, 2.0], [0.0, 1.0]])
    modules = np.array([[True, False], [False, True], [True, True]])
    found = explorer.exciting_digits(active, modules, n_digits=3)
    assert [list(indices) for indices in found] == [[], [1, 2], [1, 2]]
    np.testing.assert_allclose(explorer.module_activity(active, modules)[1], [0, 1, 0.5])


def test_weights_of_the_first_layer_are_the_mean_rows_of_its_matrix(page: dict[str, Any]) -> None:
    weights = stored_network("v1", **page["networks"][9]["setting"]).linear_layers()[0].weight.detach().numpy()
    seen = page["networks"][9]["layers"][0]
    pictures = bytes_of(page["pictures"]).reshape(-1, 784)
    for view in seen["measures"]:
        for label, place in enumerate(view["modules"]):
            mean = weights[[unit for unit, found in enumerate(view["labels"]) if found == label]].mean(axis=0)
            module = seen["modules"][place]
            shown = (pictures[module["picture"]].astype(float) - 128) / 127 * module["largest"]
            assert np.abs(shown - mean).max() <= (0.5 / 127 + 0.005) * np.abs(mean).max() + 1e-9


def test_weights_of_deeper_layers_are_the_mean_input_gradient() -> None:
    parameters = initial_parameters((784, 12, 11, 10, 9, 10), seed=3)
    images = load_dataset("mnist-5k").train_images[::100]
    for layer in range(4):
        modules = np.random.default_rng(layer).random((3, parameters.sizes[layer + 1])) < 0.4
        modules[:, 0] = True
        found = explorer.pixel_weights(parameters, images, layer=layer, modules=modules)
        if layer == 0:
            expected = parameters.weights[0]
        else:
            expected = input_jacobian(network_of(parameters), images, f"hidden{layer + 1}").mean(axis=0)
        for row, members in zip(found, modules, strict=True):
            np.testing.assert_allclose(row, expected[members].mean(axis=0), rtol=1e-3, atol=1e-7)


def test_the_images_of_the_study_do_not_enter_in_chunks_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = initial_parameters((784, 6, 5, 10), seed=1)
    images, modules = load_dataset("mnist-5k").train_images[:30], np.eye(5, dtype=bool)
    whole = explorer.pixel_weights(parameters, images, layer=1, modules=modules)
    monkeypatch.setattr(explorer.views, "_CHUNK_IMAGES", 7)
    np.testing.assert_allclose(explorer.pixel_weights(parameters, images, layer=1, modules=modules), whole)


def test_a_network_without_live_units_has_no_modules_and_no_score(page: dict[str, Any]) -> None:
    [network] = [network for network in page["networks"] if network["setting"]["l2"] == 0.1]
    assert not network["analysed"]
    assert [view["modules"] for view in network["layers"][0]["measures"]].count([]) > 0


def test_the_data_of_the_page_fit_in_six_megabytes(page: dict[str, Any]) -> None:
    assert len(json.dumps(page)) < 6e6


def test_no_name_in_the_data_can_end_the_script() -> None:
    text = explorer.page_of({"study": "</script><b>"})
    assert text.count("</script>") == 2
    assert json.loads(re.search(r">([^<]*)</script>", text)[1]) == {"study": "</script><b>"}


def test_the_page_names_no_other_host_and_loads_nothing(v1: Results, networks, digits: Digits) -> None:
    text = explorer.page_of(explorer.page_data(networks, v1.study, digits, CHOSEN))
    assert not re.search(r"https?://|\bsrc=|\bhref=|@import|url\(|fetch\(|XMLHttpRequest", text)


def test_a_choice_that_is_not_there_is_refused(v1: Results, networks, digits: Digits) -> None:
    for name, wrong, known in (("strength", 0.31, "0.3"), ("measure", "input", "input_gradient"), ("layer", 3, "1, 2")):
        with pytest.raises(ValueError, match=rf"{name} must be one of .*{known}.*, got {wrong!r}"):
            explorer.page_data(networks, v1.study, digits, CHOSEN | {name: wrong})


def test_a_study_of_five_layers_is_shown_live(tmp_path: Path) -> None:
    store = Store(tmp_path)
    results = run_study(DEEP, store=store, workers=1, progress=False)
    shown = explorer.digits_for(DEEP)
    deep = explorer.explore(results, shown, store=store)
    page = explorer.page_data(deep, DEEP, shown, CHOSEN | {"layer": 5})
    assert [[layer["units"] for layer in network["layers"]] for network in page["networks"]] == [[9, 8, 7, 6, 5]] * 2
    assert len(shown_matrices(page)) == 2 * 5 * len(MEASURES)
    with pytest.raises(explorer.NothingToExplore, match="weights of run 0 of the study 'deep'"):
        explorer.explore(results, shown, store=Store(tmp_path / "empty"))


def test_where_weights_are_not_at_hand_those_of_v1_are_shown(tmp_path: Path, v1: Results, networks, digits) -> None:
    empty = Store(tmp_path)
    assert explorer.study_at_hand("v1", run=0, store=empty) == "v1"
    assert explorer.study_at_hand("final-deep", run=0, store=empty) == "v1"
    told = explorer.texts(v1, 0, networks, digits, CHOSEN, asked="final-deep")
    assert "'final-deep' was asked for" in told["at_hand"]
    assert explorer.texts(v1, 0, networks, digits, CHOSEN, asked="v1")["at_hand"] == ""


def test_the_prose_counts_what_is_there(v1: Results, networks, digits: Digits) -> None:
    told = explorer.texts(v1, 0, networks[:5], Digits(digits.images[:70], digits.labels[:70]), CHOSEN, asked="v1")
    assert told["n_networks"] == "5"
    assert told["n_digits"] == "70"
    assert told["digits_are"].endswith("54,000 of the 60,000 training images of MNIST")
    assert told["chosen_matrix"] == "Input gradient of the units of layer 1, dropout 0.3"
    other = CHOSEN | {"measure": "output_hessian"}
    told = explorer.texts(v1, 0, networks[:5], digits, other, asked="v1")
    assert told["chosen_matrix"].startswith("Output Hessian of the units")


def test_the_still_picture_shows_the_choice_under_both_measures(networks, digits: Digits) -> None:
    drawn = explorer.still_picture(networks, digits, CHOSEN)
    layer = explorer.chosen_layer(networks, CHOSEN)
    assert [order[2] for order in drawn["orders"]] == [
        layer.measures["input_gradient"].scores[name] for name in ("input_gradient", "output_gradient")
    ]
    figure = modules_looked_at(**drawn)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == f"sorted by\ninput gradient\nQ = {drawn['orders'][0][2]:.3f}"
    n_modules = layer.measures["output_gradient"].labels.max() + 1
    assert sum(axes.get_title(loc="left").startswith("module") for axes in figure.axes) == n_modules
    pictures = [image for axes in figure.axes for image in axes.images]
    assert len(pictures) == 2 + n_modules * (explorer.N_DIGITS + 1) + 0


def test_the_table_below_the_picture_has_a_row_per_pair_with_its_modules(networks) -> None:
    table = explorer.pairs_table(networks, CHOSEN)
    layer = explorer.chosen_layer(networks, CHOSEN)
    assert len(table) == 64 * 63 // 2
    row = table.query("unit_a == 3 and unit_b == 40").iloc[0]
    assert row["similarity"] == layer.measures["input_gradient"].matrix[3, 40]
    assert row["module_b"] == layer.measures["input_gradient"].labels[40]
    assert row["other_module_a"] == layer.measures["output_gradient"].labels[3]


@pytest.mark.parametrize(("study", "first"), [("v1", 0.7), ("final-wide", 0.6), ("smoke", 0.3)])
def test_the_strength_shown_first_is_one_of_the_study(study: str, first: float) -> None:
    assert explorer.first_strength(STUDIES[study], "dropout") == first
    for penalty in ("l2", "l1"):
        strengths = STUDIES[study].strengths(penalty)
        assert explorer.first_strength(STUDIES[study], penalty) == strengths[len(strengths) // 2]

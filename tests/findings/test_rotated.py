"""Rotated units: the same inputs, spectrum and firing rates, other axes; and what is made of their Q."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from modularity_lib import figures
from modularity_lib.analysis.draws import random_rotation
from modularity_lib.book.words import rotated as words
from modularity_lib.book.words.prose import percent
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings import rotated
from modularity_lib.findings.rotated import DRAWS, MEASURES, matched_thresholds, rows_of
from modularity_lib.studies.results import Results
from modularity_lib.training.networks import Parameters

STEPS = 300


def made_up_network(parameters: Parameters, images: np.ndarray, *, run: int = 3) -> SimpleNamespace:
    """What `rows_of` reads of a network."""
    return SimpleNamespace(
        parameters=parameters,
        dataset=SimpleNamespace(test_images=images),
        config=SimpleNamespace(run=run),
        study=SimpleNamespace(search_steps=STEPS),
    )


@pytest.fixture(scope="module")
def network() -> SimpleNamespace:
    """Seven pixels, layers of 9 and 8 units; one unit of the second layer is silent, one always active."""
    source = np.random.default_rng(0)
    weights = [source.standard_normal(shape) for shape in ((9, 7), (8, 9), (3, 8))]
    biases = [0.3 * source.standard_normal(units) for units in (9, 8, 3)]
    biases[1][2], biases[1][5] = -40.0, 40.0
    return made_up_network(Parameters(tuple(weights), tuple(biases)), source.standard_normal((40, 7)))


def similarity_by_loops(jacobians: list[np.ndarray], activity: np.ndarray, measure: str) -> np.ndarray:
    """|S_ij| / √(S_ii S_jj), entry by entry."""
    units = activity.shape[1]
    matrix = np.zeros((units, units))
    for i in range(units):
        for j in range(units):
            if measure.startswith("input_gradient"):
                matrix[i, j] = sum(float(jacobian[i] @ jacobian[j]) for jacobian in jacobians) / len(jacobians)
            else:
                a, b = activity[:, i], activity[:, j]
                matrix[i, j] = np.mean((a - a.mean()) * (b - b.mean()))
    lengths = np.sqrt(matrix.diagonal())
    lengths[lengths == 0] = np.inf  # a unit that a rotation has silenced
    return np.abs(matrix) / np.outer(lengths, lengths)


def rotated_by_loops(network: SimpleNamespace, layer: int, turn: np.ndarray | None, rates: str, measure: str) -> float:
    """The similarity of rotated units, image by image and unit by unit."""
    weights, biases, images = network.parameters.weights, network.parameters.biases, network.dataset.test_images
    inputs, jacobians = list(images), [np.eye(images.shape[1]) for _ in images]
    for weight, bias in list(zip(weights, biases, strict=True))[: layer - 1]:
        before = [weight @ one + bias for one in inputs]
        jacobians = [np.diag(z > 0) @ weight @ J for z, J in zip(before, jacobians, strict=True)]
        inputs = [np.maximum(z, 0) for z in before]
    weight, bias = weights[layer - 1], biases[layer - 1]
    before = np.array([weight @ one + bias for one in inputs])
    live = [unit for unit in range(len(weight)) if len(set(np.maximum(before[:, unit], 0))) > 1]
    weight, bias, before = weight[live], bias[live], before[:, live]
    turned = before if turn is None else np.array([turn @ z for z in before])
    if rates == "matched":
        counts = [sum(z > 0 for z in before[:, unit]) for unit in range(len(live))]
        highest = [set(np.argsort(-turned[:, unit])[: counts[unit]]) for unit in range(len(live))]
        gates = np.array([[image in highest[unit] for unit in range(len(live))] for image in range(len(images))])
        thresholds = [
            (min(turned[gates[:, unit], unit]) + max(turned[~gates[:, unit], unit], default=-np.inf)) / 2
            if not gates[:, unit].all()
            else min(turned[:, unit])
            for unit in range(len(live))
        ]
        activity = np.where(gates, turned - thresholds, 0.0)
    else:
        gates, activity = turned > 0, np.maximum(turned, 0)
    mixed = weight if turn is None else turn @ weight
    jacobians = [np.diag(g) @ mixed @ J for g, J in zip(gates, jacobians, strict=True)]
    return similarity_by_loops(jacobians, activity, measure)


def test_rows_are_those_of_plain_loops(network: SimpleNamespace) -> None:
    rows = rows_of(network)
    assert [(row["layer"], row["measure"]) for row in rows] == [(layer, of) for layer in (1, 2) for of in MEASURES]
    assert [row["live_units"] for row in rows] == [9, 9, 7, 7]
    run = network.config.run
    for row in rows:
        turns = [
            random_rotation(row["live_units"], np.random.default_rng([run, row["layer"], d])) for d in range(DRAWS)
        ]
        expected = {"score": [(None, "own")]}
        expected["score_rotated"] = [(turn, "own") for turn in turns]
        expected["score_matched"] = [(turn, "matched") for turn in turns]
        for column, variants in expected.items():
            scores = [
                paper_modules(
                    rotated_by_loops(network, row["layer"], turn, rates, row["measure"]), seed=run + draw, steps=STEPS
                ).score
                for draw, (turn, rates) in enumerate(variants)
            ]
            assert row[column] == pytest.approx(np.mean(scores), abs=1e-9), (column, row)


def test_without_a_rotation_nothing_changes(network: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotated, "random_rotation", lambda units, source: np.eye(units))
    monkeypatch.setattr(rotated, "DRAWS", 1)
    for row in rows_of(network):
        assert row["score_rotated"] == pytest.approx(row["score"], abs=1e-9)
        if row["measure"].startswith("input_gradient"):  # which sees when units are active, and not how much
            assert row["score_matched"] == pytest.approx(row["score"], abs=1e-9)


def test_a_rotation_takes_modules_away_and_leaves_units_without_axes_as_they_are() -> None:
    source = np.random.default_rng(1)
    groups = np.kron(np.eye(4), np.ones((8, 1))) @ np.linalg.qr(source.standard_normal((20, 4)))[0].T
    images = source.standard_normal((400, 20))
    nothing = (np.zeros(32), np.zeros(2))
    scores = {}
    for name, weight in (("groups", groups), ("random", source.standard_normal((32, 20)))):
        rows = rows_of(made_up_network(Parameters((weight, np.ones((2, 32))), nothing), images))
        scores[name] = pd.DataFrame(rows).set_index("measure")[["score", "score_rotated", "score_matched"]]
    found = scores["groups"]
    assert found.loc["input_gradient_norm", "score"] == pytest.approx(1 - 4 * (1 / 4) ** 2)  # nothing shared across
    assert found.loc["input_covariance_norm", "score"] > 0.5  # less, as 400 images correlate by chance
    assert (found[["score_rotated", "score_matched"]] < 0.25).all(axis=None)
    assert (scores["random"].sub(scores["random"]["score"], axis=0).abs() < 0.05).all(
        axis=None
    )  # one layer, and its draws


def test_matched_thresholds_give_every_unit_its_rate() -> None:
    source = np.random.default_rng(2)
    before, other = source.standard_normal((50, 6)), 3 * source.standard_normal((50, 6))
    before[:, 0], before[:, 1] = 1.0, -1.0  # always and never active
    before[:-1, 2] = -1.0
    before[-1, 2] = 1.0
    thresholds = matched_thresholds(before, other)
    np.testing.assert_array_equal((other > thresholds).sum(axis=0), (before > 0).sum(axis=0))
    assert (before[:, 3:] > 0).sum(axis=0).min() > 5


def table_of(rows: list[tuple[int, float, int, str, float, float, float]]) -> pd.DataFrame:
    """Of run, dropout, layer, measure, and Q found, rotated, and rate-matched."""
    columns = ["run", "dropout", "layer", "measure", "score", "score_rotated", "score_matched"]
    return pd.DataFrame(rows, columns=columns).assign(l2=1e-5, l1=0.0, live_units=64)


def test_the_null_s_rise_is_the_larger_of_its_two_and_shares_are_taken_run_by_run(v1: Results) -> None:
    gradient, covariance = MEASURES[:2]
    table = table_of(
        [
            (0, 0.0, 1, gradient, 0.1, 0.1, 0.08),
            (0, 0.7, 1, gradient, 0.5, 0.2, 0.23),  # rises by 0.4, 0.1 and 0.15
            (0, 0.0, 1, covariance, 0.1, 0.1, 0.1),
            (0, 0.7, 1, covariance, 0.3, 0.25, 0.05),  # 0.2, 0.15 and -0.05
            (1, 0.0, 1, gradient, 0.1, 0.1, 0.1),
            (1, 0.7, 1, gradient, 0.6, 0.2, 0.1),  # 0.5, 0.1 and 0
        ]
    )
    found = rotated.rises(table, v1).sort_values(
        ["run", "measure"], key=lambda c: c.map({gradient: 0, covariance: 1}).fillna(c)
    )
    assert found["rise"].tolist() == pytest.approx([0.4, 0.2, 0.5])
    assert found["rise_rotated"].tolist() == pytest.approx([0.15, 0.15, 0.1])
    assert found["excess"].tolist() == pytest.approx([0.5 - 0.23, 0.3 - 0.25, 0.6 - 0.2])
    share = rotated.share_of_rise(found)
    assert share is not None
    assert share.n_runs == 2
    assert share.mean == pytest.approx(((0.15 + 0.15) / (0.4 + 0.2) + 0.1 / 0.5) / 2)
    excess = rotated.excess_over_runs(found)
    assert excess is not None
    assert excess.mean == pytest.approx(((0.27 + 0.05) / 2 + 0.4) / 2)


def test_there_is_no_share_of_a_rise_that_is_hardly_there(v1: Results) -> None:
    table = table_of([(0, 0.0, 1, MEASURES[0], 0.1, 0.1, 0.1), (0, 0.7, 1, MEASURES[0], 0.119, 0.1, 0.1)])
    assert rotated.share_of_rise(rotated.rises(table, v1)) is None
    assert rotated.share_of_rise(rotated.rises(table, v1).iloc[:0]) is None


def many_runs(*, rise: float, null: float, runs: int = 9) -> pd.DataFrame:
    """Of every run Q rises by `rise`, a little more in each, and of rotated units by `null`."""
    rows = []
    for run in range(runs):
        for measure in MEASURES:
            for layer in (1, 2):
                rows.append((run, 0.0, layer, measure, 0.1, 0.1, 0.1))
                rows.append((run, 0.7, layer, measure, 0.1 + rise * (1 + run / 100), 0.1 + null, 0.1))
    return table_of(rows)


def test_words_give_share_excess_and_what_the_pilot_had(v1: Results) -> None:
    turned = many_runs(rise=0.2, null=0.08)
    said = words.texts(turned, "", v1)
    shares = np.array([0.08 / (0.2 * (1 + run / 100)) for run in range(9)])
    assert said["rotated_places"].startswith(f"Rotated units show {percent(shares.mean())} [")
    assert said["rotated_caption"] == f"Rotated units show {percent(shares.mean())} of the rise of Q upstream"
    assert " At dropout 0.7 Q of upstream measures lies 0.128 [0.12" in said["rotated_places"]
    assert said["rotated_n"] == "18 networks of 9 of 9 runs"
    beside = rotated.pilots_beside(rotated.rises(turned, v1)).set_index(["what", "strength"])
    assert len(beside) == 5  # there is no dropout 0.3 or 0.5 here
    assert not beside.loc[("input gradient (norm), layer 2", 0.7), "holds"]
    assert "Of 5 shares that a pilot on three of these runs gave, 0 lie within" in said["rotated_pilots"]
    near = words.texts(many_runs(rise=0.2, null=0.2 * 1.04 * 0.37), "", v1)["rotated_pilots"]
    assert "1 lie within the intervals of all runs. The others: all at dropout 0.7, 46 % there, 37 % [" in near


# Rise of Q at dropout 0.7 and of rotated units in run 0, by measure and layer; at 0.3 they are 0.1 and 0.05 everywhere.
BY_HAND = {
    ("input_gradient_norm", 1): (0.4, 0.1),
    ("input_gradient_norm", 2): (0.4, 0.2),
    ("input_covariance_norm", 1): (0.2, 0.15),
    ("input_covariance_norm", 2): (0.2, 0.03),
}


def by_hand() -> pd.DataFrame:
    """Two runs; in the second the last of these shows 0.07 of its rise."""
    rows = []
    for run in (0, 1):
        for (measure, layer), (rise, null) in BY_HAND.items():
            null += 0.04 * run * (null == 0.03)
            rows.append((run, 0.0, layer, measure, 0.1, 0.1, 0.08))
            rows.append((run, 0.3, layer, measure, 0.2, 0.15, 0.08))
            rows.append((run, 0.7, layer, measure, 0.1 + rise, 0.1 + null, 0.08))
    return table_of(rows)


def test_words_have_the_numbers_of_the_strongest_dropout(v1: Results) -> None:
    # Excess of Q: 0.18 and 0.17; share of the rise: 0.48 / 1.2 and 0.52 / 1.2. Student's t of two runs is 12.706.
    said = words.texts(by_hand(), "", v1)
    assert said["rotated_caption"] == "Rotated units show 42 % of the rise of Q upstream"
    assert said["rotated_places"] == (
        "Rotated units show 42 % [20 %, 63 %] of the upstream rise: 25 % for the input covariance (norm) in layer 2, "
        "25 % for the input gradient (norm) in layer 1, 50 % for the input gradient (norm) in layer 2 and 75 % for the "
        "input covariance (norm) in layer 1. At dropout 0.7 Q of upstream measures lies 0.175 [0.111, 0.239] above "
        "that of rotated units."
        " What they show needs no modules: the inputs and the dimensions of a layer are enough for it."
    )
    assert said["rotated_n"] == "6 networks of 2 of 9 runs"
    one_place = by_hand().query("measure == 'input_covariance_norm' and layer == 1 and run == 0")
    assert words.texts(one_place, "", v1)["rotated_places"] == (
        "Rotated units show 75 % of the upstream rise. At dropout 0.7 Q of upstream measures lies 0.050 above that of "
        "rotated units."
        " What they show needs no modules: the inputs and the dimensions of a layer are enough for it."
    )
    flat = words.texts(many_runs(rise=0.01, null=0.0, runs=1), "", v1)
    assert flat["rotated_places"] == "At dropout 0.7 Q of upstream measures lies 0.010 above that of rotated units."
    assert flat["rotated_caption"] == "Rotated units show no rise of Q, since there is none"


def test_rows_of_the_table_have_the_numbers_of_their_place(v1: Results) -> None:
    lines = words.scores_markdown(by_hand(), v1).splitlines()
    assert lines[0] == "| measure | layer | dropout 0 | dropout 0.3 | dropout 0.7 | share of the rise, dropout 0.7 |"
    last = (
        "| input covariance (norm) | 2 | 0.100 / 0.100 / 0.080 | 0.200 / 0.150 / 0.080 | 0.300 / 0.150 / 0.080 | 25 % ["
    )
    assert [line for line in lines if line.startswith(last)]
    assert lines[-1] == "| share of the rise | all |  | 50 % | 42 % [20 %, 63 %] | 42 % [20 %, 63 %] |"
    lacking = by_hand().query("dropout < 0.5 or layer == 1")  # 0.7 lacks a layer, so 0.3 is the strongest
    head = words.scores_markdown(lacking, v1).splitlines()[0]
    assert head == "| measure | layer | dropout 0 | dropout 0.3 | share of the rise, dropout 0.3 |"


def test_pilots_are_beside_v1_alone_and_where_there_is_an_interval(v1: Results) -> None:
    turned = many_runs(rise=0.2, null=0.08)
    other = replace(v1, study=replace(v1.study, name="another"))
    assert words.texts(turned, "", other)["rotated_pilots"] == ""
    assert words.texts(turned.query("run == 0"), "", v1)["rotated_pilots"] == ""
    constant = pd.concat([turned, turned.query("dropout == 0.7").assign(dropout=0.3, score=0.3)])
    assert words.texts(constant, "", v1)["rotated_pilots"] == ""  # without spread at 0.3 there is no interval


def test_words_say_why_there_is_nothing(v1: Results) -> None:
    said = words.texts(None, "The weights are missing.", v1)
    assert said["rotated_places"] == "The weights are missing."
    assert said.keys() == words.texts(many_runs(rise=0.2, null=0.1), "", v1).keys()
    without = words.texts(many_runs(rise=0.2, null=0.1).query("dropout == 0"), "", v1)
    assert "No network with dropout was analysed" in without["rotated_places"]
    assert "no numbers of rotated units" in words.scores_markdown(None, v1)


def test_the_table_of_scores_has_a_line_per_measure_and_layer_and_one_for_all(v1: Results) -> None:
    lines = words.scores_markdown(many_runs(rise=0.2, null=0.1), v1).splitlines()
    assert lines[0] == "| measure | layer | dropout 0 | dropout 0.7 | share of the rise, dropout 0.7 |"
    assert len(lines) == 2 + 2 * len(MEASURES) + 1
    assert lines[2].startswith("| input gradient (norm) | 1 | 0.100 / 0.100 / 0.100 | 0.308 / 0.200 / 0.100 | 48 % [")
    assert lines[-1].startswith("| share of the rise | all |  | 48 % [")


def test_the_figure_shows_found_rotated_and_matched(v1: Results) -> None:
    turned = many_runs(rise=0.2, null=0.1)
    figure = figures.q_of_rotated_units(v1, turned)
    assert len(figure.axes) == 2 * len(MEASURES)
    curves = [list(map(float, curve.lines[0].get_ydata())) for curve in figure.axes[0].containers]
    np.testing.assert_allclose(curves, [[0.1, 0.308], [0.1, 0.2], [0.1, 0.1]])
    empty = figures.q_of_rotated_units(v1, None)
    assert "nothing at hand to show" in {text.get_text() for text in empty.texts}

"""An analysis is made of its parts: each is what the function gives that is called by itself."""

import inspect
from collections import OrderedDict
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import modularity_lib as ml
from modularity_lib.analysis import analyze as analysing

QUICK: dict[str, Any] = {"draws": 9, "searches": 4, "seconds": 1.0}
LABELS = np.arange(40) % 3


def network() -> torch.nn.Module:
    """Two hidden layers; all units of the second, "dead", are."""
    torch.manual_seed(1)
    made = torch.nn.Sequential()
    made.add_module("first", torch.nn.Linear(6, 12))
    made.add_module("act", torch.nn.Tanh())
    made.add_module("second", torch.nn.Linear(12, 5))
    made.add_module("dead", torch.nn.ReLU())
    made.add_module("last", torch.nn.Linear(5, 3))
    with torch.no_grad():
        made.second.weight.zero_()
        made.second.bias.fill_(-1.0)
    return made


def inputs() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((40, 6))


def recording() -> pd.DataFrame:
    """Two groups of four units that are driven alike, and one unit that is silent."""
    random = np.random.default_rng(3)
    drive = np.repeat(random.standard_normal((200, 2)), 4, axis=1)
    activity = np.column_stack([drive + 0.5 * random.standard_normal((200, 8)), np.zeros(200)])
    return pd.DataFrame(activity, columns=[f"cell {name}" for name in "abcdefghi"])


@pytest.fixture(scope="module")
def of_network() -> ml.Analysis:
    measures = ["input_covariance", "input_covariance_norm", "input_gradient_norm"]
    return ml.analyze(network(), inputs(), LABELS, layers=["act", "dead"], measures=measures, seed=5, **QUICK)


@pytest.fixture(scope="module")
def of_recording() -> ml.Analysis:
    return ml.analyze(recording(), seed=5, **QUICK)


def test_it_takes_all_arguments_of_similarity_matrices() -> None:
    measuring, own = inspect.signature(ml.similarity_matrices), inspect.signature(ml.analyze)
    for name, parameter in measuring.parameters.items():
        if name not in ("network", "inputs"):
            assert own.parameters[name].default == parameter.default, name
            assert own.parameters[name].kind == parameter.kind, name


def test_each_part_is_that_of_the_function_called_alone(of_network: ml.Analysis) -> None:
    measures = ["input_covariance", "input_covariance_norm", "input_gradient_norm"]
    matrices = ml.similarity_matrices(network(), inputs(), LABELS, layers=["act", "dead"], measures=measures)
    assert list(of_network.layers) == ["act", "dead"]
    assert set(of_network.measures) == set(measures)
    for measure, similarity in matrices["act"].items():
        found = of_network["act", measure]
        np.testing.assert_array_equal(found.similarity, similarity)
        np.testing.assert_array_equal(found.modules.labels, ml.find_modules(similarity, seed=5).labels)
        assert found.bound is not None
        assert found.bound.upper >= found.modules.score - 1e-12
        consensus = ml.consensus_modules(similarity, searches=4, seed=5)
        assert found.consensus is not None
        np.testing.assert_array_equal(found.consensus.labels, consensus.labels)
        np.testing.assert_array_equal(found.consensus.confidence, consensus.confidence)
        assert found.tests
        for test in found.tests:
            alone = ml.test_modules(similarity, null=test.null, draws=9, seed=5)
            np.testing.assert_array_equal(test.null_scores, alone.null_scores)
            assert (test.score, test.p) == (alone.score, alone.p)


def test_every_two_measures_are_compared_with_chance(of_network: ml.Analysis) -> None:
    pairs = [(one.measure_a, one.measure_b) for one in of_network.comparisons if one.layer == "act"]
    assert len(pairs) == 3
    for one in of_network.comparisons:
        if one.layer == "act":
            a, b = (of_network["act", measure].modules.labels for measure in (one.measure_a, one.measure_b))
            together = [(a == label_a) & (b == label_b) for label_a, label_b in zip(a, b, strict=True)]
            sizes = [max((a == label_a).sum(), (b == label_b).sum()) for label_a, label_b in zip(a, b, strict=True)]
            by_hand = np.mean([both.sum() / size for both, size in zip(together, sizes, strict=True)])
            assert one.agreement == pytest.approx(by_hand, abs=1e-12)
            assert one.chance == ml.expected_element_centric_similarity(a, b)
            assert one.p == ml.agreement_p_value(a, b, seed=5)


def test_a_layer_whose_units_are_all_dead_is_a_row_with_the_reason(of_network: ml.Analysis) -> None:
    found = of_network["dead", "input_covariance"]
    assert (found.bound, found.consensus, found.tests, found.dead_units) == (None, None, (), 5)
    rows = of_network.to_frame().query("layer == 'dead' and measure == 'input_covariance'")
    assert rows["status"].tolist() == ["all_units_dead"]
    assert "all 5 units are dead" in rows["reason"].item()
    assert rows[["score", "bound", "confidence", "p"]].isna().all(axis=None)
    one = next(one for one in of_network.comparisons if one.layer == "dead")
    assert np.isnan(one.agreement)
    assert "all 5 units are dead" in one.reason


def test_the_table_has_a_row_for_every_layer_measure_and_null(of_network: ml.Analysis) -> None:
    table = of_network.to_frame()
    tested = [(result.layer, result.measure, test.null) for result in of_network.results for test in result.tests]
    live = table[table["status"] == "ok"]
    assert list(live[["layer", "measure", "null"]].itertuples(index=False, name=None)) == tested
    for row in live.to_dict("records"):
        found = of_network[row["layer"], row["measure"]]
        [test] = [test for test in found.tests if test.null == row["null"]]
        assert row["score"] == found.modules.score
        assert row["modules"] == len(set(found.modules.labels.tolist()) - {-1})
        assert row["null_mean"] == pytest.approx(sum(test.null_scores) / 9)
        assert row["p"] == (1 + sum(score >= test.score - 1e-12 for score in test.null_scores)) / 10
    assert len(of_network.comparisons_to_frame()) == len(of_network.comparisons) == 6


def test_the_table_of_units_has_a_row_for_every_unit_by_every_measure(of_network: ml.Analysis) -> None:
    table = of_network.units_to_frame()
    assert len(table) == 3 * (12 + 5)
    for result in of_network.results:
        rows = table[(table["layer"] == result.layer) & (table["measure"] == result.measure)]
        assert rows["unit"].tolist() == list(range(len(result.modules.labels)))
        assert rows["module"].tolist() == result.modules.labels.tolist()
        p = {test.null: test.p for test in result.tests}
        for null in ("shuffled-pairs", "random-directions"):
            assert rows[f"p {null}"].tolist() == pytest.approx([p.get(null, np.nan)] * len(rows), nan_ok=True)
        if result.consensus is None:
            assert rows[["confidence", "score"]].isna().all(axis=None)
            assert (rows["consensus"] == -1).all()
            continue
        assert rows["score"].tolist() == [result.modules.score] * 12
        assert rows["consensus"].tolist() == result.consensus.labels.tolist()
        assert rows["confidence"].tolist() == result.consensus.confidence.tolist()
        assert rows["core"].tolist() == result.consensus.core.tolist()


def test_a_recording_is_one_layer_whose_names_are_kept(of_recording: ml.Analysis) -> None:
    assert of_recording.layers == ("activity",)
    assert of_recording.measures == ("input_covariance", "input_covariance_norm")
    found = of_recording["activity", "input_covariance_norm"]
    assert found.names == tuple(recording().columns)
    assert found.modules.communities() == [{0, 1, 2, 3}, {4, 5, 6, 7}]
    assert found.dead_units == 1
    correlations = np.abs(np.corrcoef(recording().to_numpy()[:, :8].T))
    np.testing.assert_allclose(found.similarity[:8, :8], correlations, atol=1e-12)
    assert [test.null for test in found.tests] == ["independent-units"]


def test_the_measure_of_a_recording_is_the_one_that_is_tested(of_recording: ml.Analysis) -> None:
    for result in of_recording.results:
        assert result.tests[0].score == pytest.approx(result.modules.score, abs=1e-12), result.measure


def test_signs_of_a_recording_are_kept_where_that_is_asked() -> None:
    random = np.random.default_rng(0)
    common = random.standard_normal((500, 1))
    activity = np.hstack([common, common, -common, -common]) + 0.3 * random.standard_normal((500, 4))
    signed = ml.analyze(activity, signed=True, **QUICK)["activity", "input_covariance"]
    assert signed.modules.communities() == [{0, 1}, {2, 3}]
    assert signed.similarity.min() < 0
    unsigned = ml.analyze(activity, **QUICK)["activity", "input_covariance"]
    assert unsigned.similarity.min() >= 0


def test_the_same_seed_gives_the_same_analysis() -> None:
    one, other = (ml.analyze(recording(), seed=7, **QUICK) for _ in range(2))
    pd.testing.assert_frame_equal(one.to_frame(), other.to_frame())
    assert one.comparisons == other.comparisons


def test_several_nulls_can_be_named_and_arrays_are_as_good_as_tables() -> None:
    found = ml.analyze(recording().to_numpy(), null=["independent-units", "shuffled-pairs"], **QUICK)
    assert [test.null for test in found.results[0].tests] == ["independent-units", "shuffled-pairs"]
    assert found.results[0].names == tuple(range(9))


def test_a_null_that_runs_the_network_is_given_what_the_network_was_measured_on() -> None:
    given: dict[str, Any] = {"layers": ["act"], "measures": ["input_gradient_norm"], "seed": 2}
    found = ml.analyze(
        network(), inputs(), LABELS, null=["permuted-inputs", "untrained"], factory=network_of_chance, **given, **QUICK
    )
    permuted, untrained = found.results[0].tests
    about: dict[str, Any] = {"inputs": inputs(), "labels": LABELS, "layer": "act", "measure": "input_gradient_norm"}
    for test, more in ((permuted, {}), (untrained, {"factory": network_of_chance})):
        alone = ml.test_modules(network(), null=test.null, draws=9, seed=2, **about, **more)
        np.testing.assert_array_equal(test.null_scores, alone.null_scores)
        assert test.score == found.results[0].modules.score


def network_of_chance() -> torch.nn.Module:
    return torch.nn.Sequential(OrderedDict(fc=torch.nn.Linear(6, 12), act=torch.nn.Tanh(), last=torch.nn.Linear(12, 3)))


def test_a_null_that_does_not_go_with_a_measure_is_told_and_the_rest_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    real = analysing.test_modules

    def refusing(*given: Any, null: str, **named: Any) -> Any:
        if null == "random-directions":
            raise ValueError("data must be another similarity")
        return real(*given, null=null, **named)

    monkeypatch.setattr(analysing, "test_modules", refusing)
    found = ml.analyze(recording(), null=["random-directions", "shuffled-pairs"], **QUICK)
    [result, _] = found.results
    assert [test.null for test in result.tests] == ["shuffled-pairs"]
    assert result.untested == {"random-directions": "data must be another similarity"}
    [row] = found.to_frame().query("null == 'random-directions' and measure == 'input_covariance'").to_dict("records")
    assert np.isnan(row["p"])
    assert row["reason"] == "data must be another similarity"


def test_how_it_was_made_is_noted(of_network: ml.Analysis) -> None:
    made = of_network.made_with
    assert made["seed"] == 5
    assert made["arguments"]["inputs"] == "ndarray of shape (40, 6), float64"
    assert made["arguments"]["layers"] == "['act', 'dead']"
    assert set(made["versions"]) == {"python", "modularity-lib", "numpy", "scipy", "numba", "torch"}


def test_a_layer_or_measure_that_is_not_there_is_answered_with_those_that_are(of_network: ml.Analysis) -> None:
    for place, near in (
        (("act", "input_gradient"), "Did you mean 'input_gradient_norm'"),
        (("actt", "input_covariance"), "Did you mean 'act'"),
        ("act", "has the layers act, dead and the measures"),
    ):
        with pytest.raises(KeyError, match=near):
            of_network[place]  # type: ignore[index]


def test_the_matrices_are_drawn_in_the_order_of_their_modules(of_network: ml.Analysis) -> None:
    figure = of_network.plot()
    panels = [axes for axes in figure.axes if axes.images and axes.get_title()]
    assert len(panels) == 6
    found = of_network["act", of_network.measures[0]]
    order = sorted(range(12), key=lambda unit: (found.modules.labels[unit], unit))
    bare = np.where(np.eye(12, dtype=bool), 0, found.similarity)
    np.testing.assert_allclose(panels[0].images[0].get_array(), bare[np.ix_(order, order)] / bare.max())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"network": "net"}, r"^network must be a torch\.nn\.Module, or the activity .* got 'net'"),
        ({"network": np.zeros(3)}, r"^network, which is no torch\.nn\.Module, is read as a recording: activity must"),
        (
            {"inputs": np.eye(9)},
            r"^network must be a torch.nn.Module where inputs is given, got DataFrame of shape \(200, 9\)",
        ),
        ({"layers": ["act"]}, r"^network must be a torch.nn.Module where layers is given"),
        ({"positions": "pool"}, r"^network must be a torch.nn.Module where positions is given"),
        ({"network": network()}, r"^inputs must be given for a network"),
        ({"network": network(), "inputs": np.eye(6), "signed": True}, r"^signed must be False for a network"),
        ({"draws": 0}, r"^draws must be a whole number of at least 1, got 0"),
        ({"searches": 1}, r"^searches must be a whole number of at least 2, got 1"),
        ({"seconds": 0}, r"^seconds must be a number above 0, got 0"),
        ({"seed": -1}, r"^seed must be a whole number of at least 0"),
        ({"progress": "yes"}, r"^progress must be True or False, got 'yes'"),
        ({"null": "independent"}, r"^null .*independent-units"),
        ({"null": []}, r"^null must"),
        ({"null": ["independent-units", 5]}, r"^null "),
        (
            {"network": network(), "inputs": np.eye(6), "null": "independent-units"},
            r"^null 'independent-units' does not go with a network; exp",
        ),
        ({"null": "rotated-units"}, r"^null 'rotated-units' does not go with a recording; expected some of"),
        (
            {"network": network(), "inputs": np.eye(6), "null": "untrained"},
            r"^factory must be given with null='untrained'",
        ),
        ({"factory": network}, r"^factory must be given with null='untrained', and only then"),
    ],
)
def test_what_cannot_be_is_refused_by_name_before_any_work(
    given: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analysing, "find_modules", lambda *_, **__: pytest.fail("it has begun to work"))
    with pytest.raises(ValueError, match=said):
        ml.analyze(**({"network": recording()} | given))

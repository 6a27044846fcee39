"""The studies as data."""

from dataclasses import replace

import pytest

from modularity_lib.findings.paper import published
from modularity_lib.studies.catalogue import STUDIES, study_named


def test_v1_is_the_experiment_of_the_paper() -> None:
    v1 = STUDIES["v1"]
    assert len(v1.settings()) == 9 + 9 + 14
    assert len(v1.trained_configs()) == 288
    assert len(v1.untrained_configs()) == 500
    assert (v1.dataset, v1.hidden, v1.protocol, v1.epochs) == ("mnist", (64, 64), "v1", 500)
    assert (v1.min_test_accuracy, v1.search_steps, v1.permutations) == (0.80, 5000, 5000)
    config = v1.trained_configs()[0]
    assert (config.batch_size, config.learning_rate) == (200, 1e-3)


@pytest.mark.parametrize(
    ("name", "hidden", "trained"),
    [("final-base", (64, 64), 288), ("final-wide", (256, 256), 135), ("final-deep", (64,) * 5, 135)],
)
def test_the_studies_of_the_published_version_have_its_grids_and_nine_runs(
    name: str, hidden: tuple[int, ...], trained: int
) -> None:
    study = STUDIES[name]
    assert (study.hidden, study.protocol, study.runs, study.untrained) == (hidden, "final", 9, 100)
    assert len(study.trained_configs()) == trained
    assert study.trained_configs()[0].epochs == 500


@pytest.mark.parametrize("regulariser", ["l2", "l1", "dropout"])
def test_the_strengths_of_v1_are_those_of_the_published_figures(regulariser: str) -> None:
    table = published("q_vs_regularisation").query("regulariser == @regulariser")
    ours = STUDIES["v1"].strengths(regulariser)
    for strength in table["strength"]:
        assert min(abs(strength - x) for x in ours) <= 1e-5 * strength


def test_quick_is_large_enough_to_show_the_effect() -> None:
    quick = STUDIES["quick"]
    assert quick.dataset == "mnist-5k"
    assert quick.protocol == "v1"
    assert (len(quick.l2), len(quick.l1), len(quick.dropout)) >= (5, 4, 5)
    assert quick.epochs >= 150
    assert quick.runs >= 3
    assert quick.untrained >= 30


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_every_network_of_a_study_is_listed_once_and_varies_one_regulariser(study) -> None:
    configs = study.trained_configs() + study.untrained_configs()
    assert len(set(configs)) == len(configs)
    for config in study.trained_configs():
        assert (config.l2 != 1e-5) + (config.l1 != 0) + (config.dropout != 0) <= 1


def test_untrained_networks_do_not_start_like_trained_ones() -> None:
    study = STUDIES["quick"]
    trained, untrained = (
        {config.run for config in configs} for configs in (study.trained_configs(), study.untrained_configs())
    )
    assert not trained & untrained
    assert all(config.epochs == 0 for config in study.untrained_configs())


def test_percent_regularisation_is_the_papers_axis() -> None:
    for row in published("q_vs_regularisation").itertuples():
        position = STUDIES["v1"].percent_regularisation(row.regulariser, row.strength)
        assert position == pytest.approx(row.percent_regularisation, abs=1e-4)


def test_strong_l1_networks_of_v1_are_trained_but_left_out() -> None:
    v1 = STUDIES["v1"]
    analysed = {config.l1 for config in v1.trained_configs() if v1.is_analysed(config, 0.9)}
    assert len({config.l1 for config in v1.trained_configs()} - analysed) == 2
    assert max(analysed) == 1e-2


def test_an_unknown_study_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'smoke', 'quick', 'v1', .*got 'qiuck'. Did you mean 'quick'"):
        study_named("qiuck")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "mnist-6k"}, "dataset must be one of"),
        ({"runs": 0}, "runs must be a whole number of at least 1, got 0"),
        ({"untrained": -1}, "untrained must be a whole number of at least 0"),
        ({"dropout": (1.5,)}, r"dropout must be a probability in \[0, 1\)"),
        ({"l1": (-1.0,)}, "l1 must be a finite number >= 0"),
        ({"protocol": "v2"}, "protocol must be one of"),
    ],
)
def test_a_study_that_cannot_be_run_is_refused_at_once(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(STUDIES["smoke"], **change)


@pytest.mark.parametrize("wrong", [{"dropout": 0.3}, {"l2": "0.1"}, {"l1": ("0.1",)}, {"hidden": 5}, {"hidden": None}])
def test_a_study_takes_tuples_of_numbers(wrong: dict) -> None:
    [name] = wrong
    with pytest.raises(ValueError, match=f"{name} must be a tuple of "):
        replace(STUDIES["smoke"], **wrong)


def test_a_study_may_be_given_lists() -> None:
    assert replace(STUDIES["smoke"], hidden=[4, 4], dropout=[0.3]).trained_configs()[0].hidden == (4, 4)

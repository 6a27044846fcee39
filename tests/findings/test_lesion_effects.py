"""Losses become one number per run, and the rule calls them what they are on made-up tables and networks."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from modularity_lib.findings import lesion_effects, lesion_trials
from modularity_lib.findings.inference import effect_over_runs
from modularity_lib.findings.lesion_effects import (
    AS_NEIGHBOURS,
    CLEAR,
    DOWNSTREAM,
    MORE,
    NEITHER,
    NO_MORE,
    UNTOLD,
    UPSTREAM,
    Lost,
    answer_of,
    comparable,
    families,
)


def table(*rows: dict[str, Any]) -> pd.DataFrame:
    """Modules of 8 runs; a row gives what it differs in, and what runs differ by comes on top of `accuracy`."""
    usual = {
        **{"layer": 1, "measure": "input_gradient_norm", "lesion": "zero", "n_random": 60, "n_neighbours": 60},
        **{"alike": 0.5, "alike_neighbours": 0.6},
        **{"accuracy": 0.1, "accuracy_random": 0.02, "accuracy_neighbours": 0.03, "accuracy_above": 0.9},
    }
    made = []
    for run in range(8):
        for row in rows or ({},):
            one = {"run": run, **usual, **row}
            made.append({**one, "accuracy": one["accuracy"] + 1e-4 * (run - 3.5)})
    return pd.DataFrame(made)


def test_a_run_is_the_mean_over_layers_and_measures_of_the_mean_over_modules() -> None:
    rows = table({"accuracy": 0.1}, {"accuracy": 0.3}, {"accuracy": 0.8, "layer": 2})
    found = lesion_effects.per_run(rows, rows["accuracy"])
    assert found.tolist() == pytest.approx(
        [0.5 + 1e-4 * (run - 3.5) for run in range(8)]
    )  # ((0.1 + 0.3) / 2 + 0.8) / 2


def test_losses_are_paired_by_module_and_left_out_where_sets_are_too_few() -> None:
    rows = table(
        {"accuracy": 0.2, "accuracy_random": 0.05, "accuracy_neighbours": 0.1, "accuracy_above": 0.96},
        {"accuracy": 0.4, "accuracy_random": 0.05, "accuracy_neighbours": np.nan, "n_neighbours": 19},
        {"accuracy": 9.0, "accuracy_random": np.nan, "n_random": 19},
        {"accuracy": 9.0, "lesion": "mean"},
    )
    found = Lost(comparable(rows))
    assert found.matched is not None
    assert found.beyond is not None
    means = (found.module.mean, found.random.mean, found.excess.mean, found.beyond.mean)
    assert means == pytest.approx((0.3, 0.05, 0.25, 0.1))
    matched = (found.matched.module.mean, found.matched.neighbours.mean, found.matched.random.mean)
    assert matched == pytest.approx((0.2, 0.1, 0.05))  # of the first module alone, so that they can be subtracted
    assert found.seldom.mean == pytest.approx(0.5)
    assert found.answer == MORE
    alone = Lost(comparable(rows).query("n_neighbours < 20"))
    assert (alone.matched, alone.beyond) == (None, None)


@pytest.mark.parametrize(("alike", "answer"), [(0.6, MORE), (0.6 + 1e-9, UNTOLD)])
def test_neighbours_that_are_less_alike_than_the_module_say_nothing(alike: float, answer: str) -> None:
    assert Lost(comparable(table({"alike": alike}))).answer == answer


def test_a_run_without_neighbours_leaves_the_question_open() -> None:
    rows = table()
    rows.loc[rows["run"] == 3, "n_neighbours"] = 0
    found = Lost(comparable(rows))
    assert (found.beyond, found.answer) == (None, UNTOLD)


@pytest.mark.parametrize(
    ("accuracy", "random", "neighbours", "answer"),
    [
        (0.1, 0.02, 0.03, MORE),
        (0.1, 0.02, 0.1, AS_NEIGHBOURS),
        (0.1, 0.02, 0.3, AS_NEIGHBOURS),
        (0.1, 0.02, 0.1 - CLEAR + 1e-6, AS_NEIGHBOURS),
        (0.1, 0.02, 0.1 - CLEAR - 1e-6, MORE),
        (0.1, 0.1 - CLEAR + 1e-6, 0.0, NO_MORE),
        (0.1, 0.1 - CLEAR - 1e-6, 0.0, MORE),
        (0.1, 0.2, 0.0, NO_MORE),
    ],
)
def test_the_answer_follows_from_what_is_clear(accuracy: float, random: float, neighbours: float, answer: str) -> None:
    row = {"accuracy": accuracy, "accuracy_random": random, "accuracy_neighbours": neighbours}
    found = Lost(comparable(table(row)))
    assert found.answer == answer


def test_what_differs_from_run_to_run_as_much_as_it_is_large_is_not_clear() -> None:
    wide, narrow = (effect_over_runs(0.05 + size * np.array([-1, 1] * 4)) for size in (0.5, 0.001))
    assert answer_of(wide, narrow) == NO_MORE
    assert answer_of(narrow, wide) == AS_NEIGHBOURS
    assert answer_of(narrow, narrow) == MORE
    assert answer_of(narrow, None) == UNTOLD
    assert answer_of(wide, None) == NO_MORE


@pytest.mark.parametrize(
    ("down", "up", "answer"),
    [
        ({"accuracy": 0.2, "accuracy_above": 0.9}, {"accuracy": 0.1, "accuracy_above": 0.6}, DOWNSTREAM),
        ({"accuracy": 0.1, "accuracy_above": 0.6}, {"accuracy": 0.2, "accuracy_above": 0.9}, UPSTREAM),
        ({"accuracy": 0.2, "accuracy_above": 0.6}, {"accuracy": 0.1, "accuracy_above": 0.9}, NEITHER),  # larger modules
        ({"accuracy": 0.2, "accuracy_random": 0.13}, {"accuracy": 0.1, "accuracy_random": 0.02}, NEITHER),
    ],
)
def test_a_family_is_better_by_what_is_lost_and_by_how_seldom_random_sets_lose_it(
    down: dict[str, float], up: dict[str, float], answer: str
) -> None:
    rows = table({"measure": "output_gradient_norm", **down}, {"measure": "input_gradient_norm", **up})
    rows["accuracy_above"] += 1e-3 * rows["run"] * (rows["measure"] == "output_gradient_norm")
    found = families(comparable(rows))
    assert found is not None
    assert found.answer == answer
    sizes = [row.get("accuracy", 0.1) - row.get("accuracy_random", 0.02) for row in (down, up)]
    assert found.excess.mean == pytest.approx(sizes[0] - sizes[1])
    assert families(comparable(rows.query("measure == 'input_gradient_norm'"))) is None


def test_the_first_made_up_networks_are_called_what_they_are() -> None:
    found = lesion_trials.tried(1)
    for row in found.to_dict("records"):
        assert row["answer"] in lesion_trials.CASES[row["case"]].right, row
        if lesion_trials.CASES[row["case"]].family != NEITHER:  # no family is called better at times by chance
            assert row["family"] == lesion_trials.CASES[row["case"]].family, row

"""The words on lesions follow the table: other losses, other answers."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from made_up_results import made_up_results
from modularity_lib import figures
from modularity_lib.book.words import lesions as words
from modularity_lib.findings import lesion_effects
from modularity_lib.findings.lesion_effects import AS_NEIGHBOURS, MORE, NO_MORE
from modularity_lib.findings.lesions import LESIONS, NORMALISED, OUTCOMES
from modularity_lib.vocabulary import FAMILY

RESULTS = made_up_results()
STRENGTHS = RESULTS.study.strengths("dropout")[::2]


def made_up(runs: int = 8, *, downstream: float = 0.0, **losses: float) -> pd.DataFrame:
    """All modules of a run lose the same, and runs differ a little; `downstream` is added to what its modules lose."""
    source = np.random.default_rng(0)
    rows = []
    for run in range(runs):
        for dropout in STRENGTHS:
            for layer in (1, 2):
                for measure in NORMALISED:
                    for lesion in LESIONS:
                        row: dict[str, Any] = {"run": run, "l2": 1e-5, "l1": 0.0, "dropout": dropout, "lesion": lesion}
                        row |= {"layer": layer, "measure": measure, "module": 0, "units": 9}
                        row |= {"n_random": 60, "n_neighbours": 40}
                        row |= {"alike": 0.6, "alike_random": 0.1, "alike_neighbours": 0.7}
                        own = 0.1 + downstream * (FAMILY[measure] == "downstream")
                        for outcome in OUTCOMES:
                            row |= {outcome: own, f"{outcome}_random": 0.02, f"{outcome}_neighbours": 0.03}
                            row |= {f"{outcome}_above": 0.9 + downstream * (FAMILY[measure] == "downstream") / 2}
                        row |= losses
                        values = {
                            name: x + 1e-3 * source.standard_normal()
                            for name, x in row.items()
                            if name[:2] in ("ac", "en")
                        }
                        rows.append(row | values)
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("losses", "answer"),
    [({}, MORE), ({"accuracy_neighbours": 0.1}, AS_NEIGHBOURS), ({"accuracy_random": 0.1}, NO_MORE)],
)
def test_the_answer_is_that_of_the_rule(losses: dict[str, float], answer: str) -> None:
    table = made_up(**losses)
    said = words.texts(table, RESULTS)
    assert words._MEANT[answer] in said["lesion_answer"]
    assert said["lesion_course"].count(words._MEANT[answer]) == 2  # with dropout and without
    n = len(STRENGTHS)
    missed, more = n * (answer != NO_MORE), n * (answer == MORE)
    assert f"weight at {missed} of {n} strengths" in said["lesion_answer"]
    assert f"in activity at {more} of them" in said["lesion_answer"]
    assert f"“{answer}” at {words.listed(f'{strength:g}' for strength in STRENGTHS)}" in said["lesion_course"]
    for markdown in (words.course_markdown(table, RESULTS), words.places_markdown(table, RESULTS)):
        assert markdown.count(answer) == len(markdown.splitlines()) - 2
    assert "10.0% [" in said["lesion_answer"]


@pytest.mark.parametrize(("downstream", "said"), [(0.05, "downstream"), (-0.05, "upstream"), (0.0, "neither")])
def test_the_family_is_named_that_predicts_better(downstream: float, said: str) -> None:
    text = words.texts(made_up(downstream=downstream), RESULTS)
    assert f"{len(STRENGTHS)} times {said}" in text["lesion_answer"]
    assert words._PREDICTS[said] in text["lesion_families"]


def test_what_is_left_out_is_counted() -> None:
    table = made_up(runs=2)
    table.loc[table["layer"] == 1, "n_random"] = 19
    table.loc[table["measure"] == NORMALISED[0], "n_neighbours"] = 3
    n = len(table) // 2
    assert f"{n:,} modules" in words.texts(table, RESULTS)["lesion_left_out"]
    assert f" {n // 2} are left out" in words.texts(table, RESULTS)["lesion_left_out"]
    assert f" {n // 8} more for" in words.texts(table, RESULTS)["lesion_left_out"]
    table.loc[table["measure"] == NORMALISED[1], "alike"] = 0.8
    assert f" {n // 8} whose" in words.texts(table, RESULTS)["lesion_left_out"]


def test_one_run_has_no_interval_and_is_told() -> None:
    said = words.texts(made_up(runs=1), RESULTS)
    assert "[" not in said["lesion_answer"]


def test_a_study_without_weights_says_so_on_a_page_that_can_be_built() -> None:
    table = lesion_effects.no_lesions(RESULTS)
    said = words.texts(table, RESULTS, missing="The weights are not at hand.")
    assert said.keys() == words.texts(made_up(), RESULTS).keys()
    assert said["lesion_answer"] == "The weights are not at hand."
    assert (
        words.course_markdown(table, RESULTS) == words.places_markdown(table, RESULTS) == "No module could be compared."
    )
    for outcome in ("accuracy", "accuracy_spread"):
        assert len(figures.lost_without_modules.table(RESULTS, table, outcome=outcome)) == 0
        figures.lost_without_modules(RESULTS, table, outcome=outcome)


def test_the_figure_shows_the_means_of_the_modules_of_each_network() -> None:
    table = made_up(runs=3)
    shown = figures.lost_without_modules.table(RESULTS, table)
    assert len(shown) == 3 * len(STRENGTHS) * 2 * len(NORMALISED)
    one = table.query(f"run == 1 and dropout == {STRENGTHS[-1]} and layer == 2 and lesion == 'zero'").iloc[0]
    row = shown[(shown["run"] == 1) & (shown["strength"] == STRENGTHS[-1]) & (shown["layer"] == 2)]
    row = row[row["measure"] == one["measure"]].iloc[0]
    assert row[["module", "random", "neighbours"]].tolist() == pytest.approx(
        one[["accuracy", "accuracy_random", "accuracy_neighbours"]].tolist()
    )
    drawn = figures.lost_without_modules(RESULTS, table)
    assert len(drawn.axes) == 2 * len(NORMALISED)

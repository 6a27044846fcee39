"""The words on lesions follow the table: other losses, other answers."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from made_up_results import made_up_results
from modularity_lib import figures
from modularity_lib.book.words import lesions as words
from modularity_lib.findings import lesion_effects
from modularity_lib.findings.inference import effect_over_runs
from modularity_lib.findings.lesion_effects import AS_NEIGHBOURS, MORE, NO_MORE, UNTOLD
from modularity_lib.findings.lesion_trials import CASES
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
    n, more = len(STRENGTHS), len(STRENGTHS) * (answer == MORE)
    assert said["lesion_short"].startswith(f"{words._SHORT[answer]} At the strongest dropout a network loses 10.0 % of")
    assert f"near neighbours in activity at {more} of {n} strengths" in said["lesion_short"]
    assert said["lesion_caption"] == f"{words._CAPTIONS[answer]}, at {n} of {n} strengths of dropout"
    for markdown in (words.course_markdown(table, RESULTS), words.places_markdown(table, RESULTS)):
        assert markdown.count(answer) == len(markdown.splitlines()) - 2


@pytest.mark.parametrize(("downstream", "said"), [(0.05, "downstream"), (-0.05, "upstream"), (0.0, "neither")])
def test_the_family_is_named_that_predicts_better(downstream: float, said: str) -> None:
    text = words.texts(made_up(downstream=downstream), RESULTS)
    n = len(STRENGTHS)
    expected = {
        "upstream": f"better what is lost at {n} of {n} strengths",
        "downstream": f"downstream modules at {n}, and",
        "neither": f"neither at {n}.",
    }
    assert [name for name, part in expected.items() if part in text["lesion_families"]] == [said]
    assert text["lesion_places"].count(words._PREDICTS[said]) == 4  # two layers, with dropout and without


# What a network loses at each strength of dropout, units set to 0 or held at their mean: without a module, a random set
# and near neighbours; and by how much a downstream module loses more than the mean in layer 1, an upstream one less.
BY_HAND = {
    0.0: {"zero": (0.10, 0.095, 0.09), "mean": (0.06, 0.055, 0.02), "apart": 0.0},
    0.2: {"zero": (0.06, 0.03, 0.05), "mean": (0.05, 0.045, 0.02), "apart": 0.01},
    0.4: {"zero": (0.08, 0.02, 0.085), "mean": (0.04, 0.035, 0.02), "apart": -0.01},
    0.6: {"zero": (0.15, 0.03, 0.05), "mean": (0.16, 0.03, 0.17), "apart": 0.0},
    0.8: {"zero": (0.30, 0.04, 0.11), "mean": (0.20, 0.07, 0.21), "apart": 0.01},
}


def by_hand(*, runs: tuple[float, ...] = (0.0,)) -> pd.DataFrame:
    """One run of `BY_HAND`, of which every number is known; or as many as there are shifts of what modules lose."""
    rows = []
    for run, shift in enumerate(runs):
        for dropout, of in BY_HAND.items():
            for layer, measure, lesion, module in product((1, 2), NORMALISED, LESIONS, (0, 1)):
                apart = of["apart"] * layer * (1 if FAMILY[measure] == "downstream" else -1)
                own, random, near = of[lesion]
                last = dropout == 0.8
                row: dict[str, Any] = {"run": run, "l2": 1e-5, "l1": 0.0, "dropout": dropout, "lesion": lesion}
                row |= {"layer": layer, "measure": measure, "module": module, "units": 8 + 4 * module}
                row |= {"n_random": 60, "n_neighbours": 40, "alike": 0.5 + 0.11 * last}
                row |= {"alike_random": 0.1 + 0.03 * last, "alike_neighbours": 0.6 + 0.12 * last}
                row |= {"accuracy": own + apart + shift, "accuracy_random": random, "accuracy_neighbours": near}
                row |= {"accuracy_above": 0.94 + 2 * apart}
                row |= {"accuracy_spread": 0.12 + 0.2 * dropout, "accuracy_spread_random": 0.08 - 0.05 * dropout}
                row |= {"accuracy_spread_neighbours": 0.0, "accuracy_spread_above": 0.0}
                row |= {"entropy": 0.5 * (1 + dropout), "entropy_random": 0.4 * (1 - dropout), "entropy_above": 0.0}
                row |= {"entropy_neighbours": 0.45, "entropy_spread": 0.31 + dropout, "entropy_spread_above": 0.0}
                row |= {"entropy_spread_random": 0.21 - 0.1 * dropout, "entropy_spread_neighbours": 0.0}
                if dropout == 0.2 or (last and measure == "input_covariance_norm"):
                    row["alike_neighbours"] = 0.2
                if (layer, measure, module) == (1, NORMALISED[2], 1):
                    row |= {"n_random": 19, "n_neighbours": 3} if dropout == 0.4 else {"n_random": 20}
                    row["n_neighbours"] -= 21 * (dropout == 0.6)
                rows.append(row)
    return pd.DataFrame(rows)


def test_the_answer_has_the_numbers_of_the_table() -> None:
    assert words.answer_text(by_hand(), RESULTS) == (
        "Yes, and more than other units that are alike. At the strongest dropout a network loses 30.0 % of accuracy "
        "without a module, and 4.0 % without as many random units. A module costs clearly more than near neighbours in "
        "activity at 2 of 5 strengths. That is of units set to 0, as dropout does. Held at their mean, modules are "
        "missed more than random units there, too."
    )
    weak = words.answer_text(by_hand().query("dropout < 0.3"), RESULTS)
    assert weak.endswith("Held at their mean, modules cost no more than random units there.")
    alone = words.answer_text(by_hand().query("lesion == 'zero'"), RESULTS)
    assert alone.endswith("in activity at 2 of 5 strengths.")


def test_the_course_has_what_is_lost_at_both_ends_and_the_differences() -> None:
    assert words.texts(by_hand(), RESULTS)["lesion_course"] == (
        "Without dropout a module costs 10.0 % of accuracy, random units 9.5 % and near neighbours 9.0 % (a module "
        "minus these: +1.0 %). At dropout 0.8 a module costs 30.0 % of accuracy, random units 4.0 % and near "
        "neighbours 11.0 % (a module minus these: +19.5 %). Dropout trains a network to bear the loss of random units, "
        "so compare differences, not ratios. Beyond random units a module costs 0.5 % without dropout and 26.0 % at "
        "dropout 0.8."
    )
    dearer = words.texts(by_hand().query("dropout in (0.4, 0.8)"), RESULTS)["lesion_course"]
    assert "Dropout trains" not in dearer
    assert dearer.endswith("Beyond random units a module costs 6.0 % at dropout 0.4 and 26.0 % at dropout 0.8.")
    untold = words.texts(by_hand().query("dropout == 0.2"), RESULTS)["lesion_course"]
    assert untold == (
        "At dropout 0.2 a module costs 6.0 % of accuracy, random units 3.0 %. Beyond random units a module costs 3.0 % "
        "at dropout 0.2."
    )


def test_the_other_texts_have_the_numbers_of_the_table() -> None:
    said = words.texts(by_hand(), RESULTS)
    assert said["lesion_mean"] == (
        "Without dropout a module costs 6.0 %, random sets 5.5 % and near neighbours 2.0 %: “no more than random "
        "sets”. At dropout 0.8 a module costs 20.0 %, random sets 7.0 % and near neighbours 21.0 %: “as near "
        "neighbours do”. Modules are missed more than random units at 2 of 5 strengths; the answer is that of units "
        "set to 0 at 1."
    )
    assert said["lesion_entropy"] == (
        "Without dropout it rises by 0.50 nats without a module, by 0.40 without random sets, by 0.45 without near "
        "neighbours (s.d. over classes 0.31 and 0.21). At dropout 0.8 it rises by 0.90 nats without a module, by 0.08 "
        "without random sets, by 0.45 without near neighbours (s.d. over classes 1.11 and 0.13)."
    )
    assert said["lesion_families"] == (
        "Upstream modules predict better what is lost at 1 of 5 strengths of dropout, downstream modules at 2, and "
        "neither at 2."
    )
    assert said["lesion_places"] == (
        "Layer 1 without dropout: neither family's modules predict it better (downstream minus upstream: +0.0 % of "
        "accuracy lost beyond their own random sets, +0.00 of these sets that lose less). Layer 2 without dropout: "
        "neither family's modules predict it better (downstream minus upstream: +0.0 % of accuracy lost beyond their "
        "own random sets, +0.00 of these sets that lose less). Layer 1 at dropout 0.8: downstream modules predict "
        "better what is lost (downstream minus upstream: +2.0 % of accuracy lost beyond their own random sets, +0.04 "
        "of these sets that lose less). Layer 2 at dropout 0.8: downstream modules predict better what is lost "
        "(downstream minus upstream: +4.0 % of accuracy lost beyond their own random sets, +0.08 of these sets that "
        "lose less)."
    )
    assert "the mean correlation of two units' activity is 0.61 in a module, 0.72 in a set" in said["lesion_alike"]
    assert "near neighbours and 0.13 in a random set; 8 of these 12 modules are of downst" in said["lesion_alike"]
    assert said["lesion_left_out"] == (
        "80 modules of 5 networks were taken out. 1 of them are compared with nothing, because fewer than 20 random "
        "sets were found. 1 more are not compared with near neighbours for the same reason, and 20 because the "
        "neighbours are less alike than the module."
    )


@pytest.mark.parametrize(
    ("strength", "answer"), [(0.0, NO_MORE), (0.2, UNTOLD), (0.4, AS_NEIGHBOURS), (0.6, MORE), (0.8, MORE)]
)
def test_the_caption_is_that_of_most_strengths(strength: float, answer: str) -> None:
    said = words.texts(by_hand().query("dropout == @strength"), RESULTS)
    assert said["lesion_caption"] == f"{words._CAPTIONS[answer]}, at 1 of 1 strengths of dropout"
    assert said["lesion_short"].startswith(words._SHORT[answer])
    assert words.texts(by_hand(), RESULTS)["lesion_caption"].endswith("near neighbours, at 2 of 5 strengths of dropout")


def test_the_spread_over_the_classes_has_a_caption() -> None:
    said = words.texts(by_hand(), RESULTS)
    assert said["lesion_spread_caption"] == "A module's loss falls on some classes more than that of random units"
    even = by_hand().assign(accuracy_spread=0.01)
    assert words.texts(even, RESULTS)["lesion_spread_caption"].endswith("classes no more than that of random units")


def test_tables_have_a_row_of_known_numbers_for_every_strength_and_place() -> None:
    rows = words.course_markdown(by_hand(), RESULTS).splitlines()[2:]
    assert rows == [
        "| 0 | 16 | 10.0 | 9.0 | 9.5 | 12.0 / 8.0 | 0 % | no more than random sets |",
        "| 0.2 | 16 | 6.0 | – | 3.0 | 16.0 / 7.0 | 50 % | more than random sets |",
        "| 0.4 | 15 | 8.0 | 8.5 | 2.0 | 20.0 / 6.0 | 50 % | as near neighbours do |",
        "| 0.6 | 16 | 15.0 | 5.0 | 3.0 | 24.0 / 5.0 | 0 % | more than near neighbours |",
        "| 0.8 | 16 | 30.0 | 11.0 | 4.0 | 28.0 / 4.0 | 50 % | more than near neighbours |",
    ]
    assert (
        words.course_markdown(by_hand(), RESULTS, lesion="mean")
        .splitlines()[2]
        .startswith("| 0 | 16 | 6.0 | 2.0 | 5.5 |")
    )
    places = words.places_markdown(by_hand(), RESULTS).splitlines()[2:]
    assert len(places) == 8
    assert (
        "| input covariance (norm), 2 | 2 of 10 units | 28.0 | – | 4.0 | 28.0 / 4.0 | 0 % | more than random sets |"
        in places
    )
    assert (
        "| output gradient (norm), 1 | 2 of 10 units | 31.0 | 11.0 | 4.0 | 28.0 / 4.0 | 100 % | more than near "
        "neighbours |" in places
    )


def test_the_pilot_is_beside_all_runs_of_v1() -> None:
    table = by_hand(runs=(-0.005, 0.0, 0.005)).query("dropout == 0")
    v1 = replace(RESULTS, study=replace(RESULTS.study, name="v1"))
    assert words.texts(table, v1)["lesion_pilot"] == (
        "A pilot on three runs came before the rule. 1 of its 5 numbers lie in the 95 % intervals of all runs; "
        "outside: loss of random sets at dropout 0: pilot 0.072, all runs 0.095 [0.095, 0.095]; s.d. over classes, "
        "modules at dropout 0: pilot 0.122, all runs 0.120 [0.120, 0.120]; s.d. over classes, random sets at dropout "
        "0: pilot 0.081, all runs 0.080 [0.080, 0.080]; share above 95 % of random sets at dropout 0: pilot 0.320, "
        "all runs 0.000 [0.000, 0.000]."
    )
    assert words.texts(table, RESULTS)["lesion_pilot"] == "The pilot was of the study `v1`."


def test_a_share_stands_with_its_interval() -> None:
    # Student's t of three runs: 4.303 * 0.1 / sqrt(3) = 0.248
    assert words._share(effect_over_runs(np.array([0.1, 0.2, 0.3]))) == "20.0 % [-4.8 %, 44.8 %]"


def test_trials_of_the_rule_are_told_with_what_was_right(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = "units and modules at random", "modules of noisy copies, others at random"
    tried = {
        one: {"answer": {NO_MORE: 7, MORE: 3}, "family": {"neither": 9, "upstream": 1}},
        two: {"answer": {UNTOLD: 4, AS_NEIGHBOURS: 2, NO_MORE: 4}, "family": {"downstream": 5, "upstream": 5}},
    }
    monkeypatch.setattr(words, "TRIED", tried)
    monkeypatch.setattr(words, "CASES", {case: CASES[case] for case in tried})
    assert words.trials_text() == (
        f"In experiments of 9 made-up networks each, the rule says of {one}: “no more than random sets” in 7 of 10, "
        f"and no family is called better in 9; of {two}: “as near neighbours do” or “more than random sets” in 6 of "
        "10, and the downstream modules are called better in 5."
    )


def test_what_is_left_out_is_counted() -> None:
    table = made_up(runs=2)
    table.loc[table["layer"] == 1, "n_random"] = 19
    table.loc[table["measure"] == NORMALISED[0], "n_neighbours"] = 3
    n = len(table) // 2
    assert f"{n:,} modules" in words.texts(table, RESULTS)["lesion_left_out"]
    assert f" {n // 2} of them are compared with nothing" in words.texts(table, RESULTS)["lesion_left_out"]
    assert f" {n // 8} more are not compared" in words.texts(table, RESULTS)["lesion_left_out"]
    table.loc[table["measure"] == NORMALISED[1], "alike"] = 0.8
    assert f" {n // 8} because" in words.texts(table, RESULTS)["lesion_left_out"]


def test_one_run_has_no_interval_and_is_told() -> None:
    said = words.texts(made_up(runs=1), RESULTS)
    assert "[" not in said["lesion_short"]


def test_a_study_without_weights_says_so_on_a_page_that_can_be_built() -> None:
    table = lesion_effects.no_lesions(RESULTS)
    said = words.texts(table, RESULTS, missing="The weights are not at hand.")
    assert said.keys() == words.texts(made_up(), RESULTS).keys()
    assert said["lesion_short"] == "The weights are not at hand."
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

"""The words on lesions follow the table: other losses, other answers."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from made_up_results import made_up_results
from modularity_lib import figures
from modularity_lib.book.words import lesion_folds as folds
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
    ("losses", "answer", "opening"),
    [
        ({}, MORE, "Yes"),
        ({"accuracy_neighbours": 0.1}, AS_NEIGHBOURS, "Partly"),
        ({"accuracy_random": 0.1}, NO_MORE, "No"),
        ({"alike_neighbours": 0.5}, UNTOLD, "Partly"),
    ],
)
def test_the_answer_is_that_of_the_rule(losses: dict[str, float], answer: str, opening: str) -> None:
    table = made_up(**losses)
    said = words.texts(table, RESULTS)
    n, more = len(STRENGTHS), len(STRENGTHS) * (answer == MORE)
    assert said["lesion_short"] == (
        f"{opening}: set to 0, as dropout does, a module costs a network {words._COSTS[answer]}. Held "
        f"at its mean, it gives the same answer at dropout {STRENGTHS[-1]:g}."
    )
    assert said["lesion_caption"] == (
        f"Set to 0, a module costs clearly more than near neighbours at {more} of {n} strengths of dropout; held at "
        f"its mean, at {more}."
    )
    for markdown in (folds.course_markdown(table, RESULTS), folds.places_markdown(table, RESULTS)):
        assert markdown.count(answer) == len(markdown.splitlines()) - 2


@pytest.mark.parametrize(
    ("downstream", "said", "short"),
    [
        (0.05, "downstream", "at 0 of {n} strengths. At {n} it is the other way round."),
        (-0.05, "upstream", "at {n} of {n} strengths."),
        (0.0, "neither", "at 0 of {n} strengths. At {n} there is no clear difference."),
    ],
)
def test_the_family_is_named_whose_modules_cost_more(downstream: float, said: str, short: str) -> None:
    text = words.texts(made_up(downstream=downstream), RESULTS)
    told = "Upstream modules cost more than downstream ones, beyond what random units cost, "
    assert text["lesion_families"] == told + short.format(n=len(STRENGTHS))
    assert text["lesion_places"].count(folds._COST_MORE[said]) == 4  # two layers, with dropout and without


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


def test_the_answer_says_where_it_holds_and_whether_it_depends_on_the_lesion() -> None:
    # at 0.8 units held at their mean give AS_NEIGHBOURS, units set to 0 give MORE, and MORE is the answer of most
    assert words.answer_text(by_hand(), RESULTS) == (
        "Partly: set to 0, as dropout does, a module costs a network more accuracy than random units, "
        "and more than other units that are as alike, at 2 of 5 strengths of dropout. Held at its mean, it costs more "
        "accuracy than random units, but not clearly more than units that are as alike at dropout 0.8: the answer "
        "depends on how units are taken out."
    )
    alone = words.answer_text(by_hand().query("lesion == 'zero'"), RESULTS)
    assert alone.startswith("Yes: ")
    assert alone.endswith("at 2 of 5 strengths of dropout.")


@pytest.mark.parametrize(
    ("answers", "where"),
    [
        ((0.4, 0.4, 0.6), ", except at dropout 0.6, the strongest"),
        ((0.4, 0.6, 0.4), ", except at dropout 0.2"),
        ((0.4, 0.4, 0.0), ", at 2 of 3 strengths of dropout"),
        ((0.4, 0.4, 0.4), ""),
    ],
)
def test_one_strength_at_which_a_module_costs_more_is_named(answers: tuple[float, ...], where: str) -> None:
    parts = [
        by_hand().query("dropout == @of and lesion == 'zero'").assign(dropout=dropout)
        for of, dropout in zip(answers, (0.0, 0.2, 0.6), strict=True)
    ]
    said = words.answer_text(pd.concat(parts), RESULTS)
    assert said.endswith(f"more accuracy than random units, but not clearly more than units that are as alike{where}.")


def lacking_upstream() -> pd.DataFrame:
    """`by_hand`, where no upstream module has near neighbours that are as alike at dropout 0.6 and 0.8."""
    table = by_hand()
    lacks = (table["measure"].map(FAMILY) == "upstream") & (table["dropout"] > 0.5)
    return table.assign(alike_neighbours=table["alike_neighbours"].mask(lacks, 0.0))


def test_a_family_without_modules_to_compare_is_an_open_question() -> None:
    said = words.texts(lacking_upstream(), RESULTS)
    assert said["lesion_short"].endswith("For upstream modules the comparison with units as alike is open there.")
    assert (
        " At the strongest dropout 0 of the 8 are upstream modules. For upstream modules the question is open at 3 of "
        "5 strengths, where some run has none to compare."
        in said["lesion_matched"]  # at 0.2 no module of any family has
    )
    assert "open there" not in words.texts(by_hand(), RESULTS)["lesion_short"]


def test_the_course_has_what_is_lost_at_both_ends() -> None:
    assert words.texts(by_hand(), RESULTS)["lesion_course"] == (
        "Without dropout a module costs 10.0 points and random units 9.5. At dropout 0.8 a module costs 30.0 points "
        "and random units 4.0. Dropout makes random units cheap to lose, so any module looks dear beside them."
    )
    dearer = words.texts(by_hand().query("dropout in (0.4, 0.8)"), RESULTS)["lesion_course"]
    assert dearer.endswith("At dropout 0.8 a module costs 30.0 points and random units 4.0.")


def test_the_losses_that_are_compared_are_of_the_same_modules() -> None:
    table = by_hand()
    table.loc[(table["measure"] == "input_covariance_norm") & (table["dropout"] == 0.8), "accuracy"] = 0.9
    # of the 16 modules at 0.8 those of the input covariance are not beside near neighbours: they do not count
    assert words.texts(table, RESULTS)["lesion_matched"].startswith(
        "Without dropout, near neighbours that are as alike exist for 16 of 16 modules. Over these alone, a module "
        "costs 10.0 points, near neighbours 9.0 and random units 9.5. At dropout 0.8, near neighbours that are as "
        "alike exist for 12 of 16 modules. Over these alone, a module costs 30.5 points, near neighbours 11.0 and "
        "random units 4.0."
    )
    untold = words.texts(by_hand().query("dropout == 0.2"), RESULTS)["lesion_matched"]
    assert untold.startswith("At dropout 0.2, near neighbours that are as alike exist for 0 of 16 modules, too few to")


@pytest.mark.parametrize(("spread", "told"), [(0.05, "rule: its"), (0.155, "rule, but barely: its")])
def test_a_lead_that_is_barely_clear_is_called_so(spread: float, told: str) -> None:
    table = by_hand(runs=(-spread / 2, 0.0, spread / 2)).query("dropout == 0.8")
    said = words.texts(table, RESULTS)["lesion_matched"]
    # Student's t of three runs: 0.195 -+ 4.303 * spread / 2 / sqrt(3)
    half = 4.303 * spread / 2 / 3**0.5
    assert f"That lead is clear by our {told} interval goes from {19.5 - 100 * half:.2f} to " in said
    none = by_hand(runs=(-0.01, 0.0, 0.01)).query("dropout == 0.4")
    assert "lead" not in words.texts(none, RESULTS)["lesion_matched"]


def test_units_held_at_their_mean_are_told_beside_those_set_to_0() -> None:
    assert words.texts(by_hand(), RESULTS)["lesion_held"] == (
        "Held at their mean, modules cost clearly more than near neighbours at 0 of 5 strengths, and no more than "
        "random units at 3. At dropout 0.8 a module costs 20.0 points and random units 7.0. Both ways give the same "
        "answer at 1 of 5 strengths."
    )
    assert words.texts(by_hand().query("lesion == 'zero'"), RESULTS)["lesion_held"] == ""
    alone = words.texts(by_hand().query("lesion == 'zero'"), RESULTS)["lesion_caption"]
    assert alone.endswith("at 2 of 5 strengths of dropout.")


def test_the_other_texts_have_the_numbers_of_the_table() -> None:
    said = words.texts(by_hand(), RESULTS)
    assert said["lesion_entropy"] == (
        "Without dropout it rises by 0.50 nats without a module and by 0.40 without random units (s.d. over classes "
        "0.31 and 0.21). Over the modules with near neighbours as alike, it rises by 0.50 without a module and by "
        "0.45 without near neighbours. At dropout 0.8 it rises by 0.90 nats without a module and by 0.08 without "
        "random units (s.d. over classes 1.11 and 0.13). Over the modules with near neighbours as alike, it rises by "
        "0.90 without a module and by 0.45 without near neighbours."
    )
    assert said["lesion_families"] == (
        "Upstream modules cost more than downstream ones, beyond what random units cost, at 1 of 5 strengths. At 2 it "
        "is the other way round. At 2 there is no clear difference."
    )
    assert said["lesion_places"] == (
        "Layer 1 without dropout: no clear difference between the families (downstream minus upstream: +0.0 points "
        "beyond their own random sets, and +0.00 in the share of these sets that lose less). Layer 2 without dropout: "
        "no clear difference between the families (downstream minus upstream: +0.0 points beyond their own random "
        "sets, and +0.00 in the share of these sets that lose less). Layer 1 at dropout 0.8: downstream modules cost "
        "more (downstream minus upstream: +2.0 points beyond their own random sets, and +0.04 in the share of these "
        "sets that lose less). Layer 2 at dropout 0.8: downstream modules cost more (downstream minus upstream: +4.0 "
        "points beyond their own random sets, and +0.08 in the share of these sets that lose less)."
    )
    assert said["lesion_places_apart"] == (
        "All combinations of measure and layer together give “more than near neighbours”, but only 6 of 8 do so by "
        "themselves. A single one has few modules beside near neighbours, or none, and so a wide interval."
    )
    alike = by_hand().query("measure != 'input_covariance_norm'")
    assert words.texts(alike, RESULTS)["lesion_places_apart"].startswith("Each combination of measure and layer gives")
    assert "12 modules are compared with near neighbours" in said["lesion_alike"]
    assert (
        "activity is 0.61 in such a module, 0.72 in a set of near neighbours and 0.13 in a ran" in said["lesion_alike"]
    )
    assert " 8 of these modules are downstream ones" in said["lesion_alike"]
    assert said["lesion_left_out"] == (
        "We took out 80 modules of 5 networks. For 1 of them we found fewer than 20 random sets, so they are compared "
        "with nothing. For 1 more we found fewer than 20 sets of near neighbours, and for 20 the neighbours are less "
        "alike than the module. These are compared with random units alone."
    )


def test_the_spread_over_the_classes_has_a_caption() -> None:
    said = words.texts(by_hand(), RESULTS)
    assert said["lesion_spread_caption"] == "A module's loss falls on some classes more than that of random units"
    even = by_hand().assign(accuracy_spread=0.01)
    assert words.texts(even, RESULTS)["lesion_spread_caption"].endswith("classes no more than that of random units")


def test_tables_have_a_row_of_known_numbers_for_every_strength_and_place() -> None:
    rows = folds.course_markdown(by_hand(), RESULTS).splitlines()[2:]
    assert rows == [
        "| 0 | no more than random sets | 16 | 10.0; 9.5 | 16 (8) | 10.0; 9.0 | 1.0 |",
        "| 0.2 | more than random sets | 16 | 6.0; 3.0 | 0 (0) | – | – |",
        "| 0.4 | as near neighbours do | 15 | 8.0; 2.0 | 15 (8) | 8.0; 8.5 | -0.5 |",
        "| 0.6 | more than near neighbours | 16 | 15.0; 3.0 | 15 (8) | 15.0; 5.0 | 10.0 |",
        "| 0.8 | more than near neighbours | 16 | 30.0; 4.0 | 12 (4) | 30.5; 11.0 | 19.5 |",
    ]
    held = folds.course_markdown(by_hand(), RESULTS, lesion="mean").splitlines()[2]
    assert held.endswith("| 16 | 6.0; 5.5 | 16 (8) | 6.0; 2.0 | 4.0 |")
    places = folds.places_markdown(by_hand(), RESULTS).splitlines()[2:]
    assert len(places) == 8
    assert "| input covariance (norm), 2 | more than random sets | 2 | 28.0; 4.0 | 0 (0) | – | – |" in places
    assert (
        "| output gradient (norm), 1 | more than near neighbours | 2 | 31.0; 4.0 | 2 (0) | 31.0; 11.0 | 20.0 |"
        in places
    )


def test_the_pilot_is_beside_all_runs_of_v1() -> None:
    table = by_hand(runs=(-0.005, 0.0, 0.005)).query("dropout == 0")
    v1 = replace(RESULTS, study=replace(RESULTS.study, name="v1"))
    assert words.texts(table, v1)["lesion_pilot"] == (
        "We fixed the rule and its trials before all runs were measured, but after a pilot on three of them. Of the 5 "
        "numbers of the pilot, 1 lie in the 95 % intervals of all runs. These lie outside: loss of random sets at "
        "dropout 0: pilot 0.072, all runs 0.095 [0.095, 0.095]; s.d. over classes, modules at dropout 0: pilot 0.122, "
        "all runs 0.120 [0.120, 0.120]; s.d. over classes, random sets at dropout 0: pilot 0.081, all runs 0.080 "
        "[0.080, 0.080]; share above 95 % of random sets at dropout 0: pilot 0.320, all runs 0.000 [0.000, 0.000]."
    )
    assert words.texts(table, RESULTS)["lesion_pilot"] == "The pilot was of the study `v1`."


def test_points_stand_with_their_interval() -> None:
    # Student's t of three runs: 4.303 * 0.1 / sqrt(3) = 0.248
    assert folds._points(effect_over_runs(np.array([0.1, 0.2, 0.3]))) == "20.0 [-4.8, 44.8] points"


def test_trials_of_the_rule_are_told_with_what_was_right(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = "units and modules at random", "modules of noisy copies, others at random"
    tried = {
        one: {"answer": {NO_MORE: 7, MORE: 3}, "family": {"neither": 9, "upstream": 1}},
        two: {"answer": {UNTOLD: 4, AS_NEIGHBOURS: 2, NO_MORE: 4}, "family": {"downstream": 5, "upstream": 5}},
    }
    monkeypatch.setattr(folds, "TRIED", tried)
    monkeypatch.setattr(folds, "CASES", {case: CASES[case] for case in tried})
    assert folds.trials_text() == (
        "An experiment has 9 made-up networks. Units and modules at random: the right answer is “no more than random "
        "sets”, and 7 of 10 experiments give it. That no family costs more is right, too, and 9 say so. Modules of "
        "noisy copies, others at random: the right answer is “as near neighbours do” or “more than random sets”, and "
        "6 of 10 experiments give it. That the downstream modules cost more is right, too, and 5 say so."
    )


def test_it_is_told_how_often_the_rule_finds_modules_with_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "TRIED", {case: {"answer": {MORE: 3, NO_MORE: 8}} for case in CASES})
    assert words.texts(made_up(), RESULTS)["lesion_power"] == (
        "Our rule is cautious. We tried it on 11 made-up experiments in which each module has a job of its own, and it "
        "found that in 3 only."
    )


def test_what_is_left_out_is_counted() -> None:
    table = made_up(runs=2)
    table.loc[table["layer"] == 1, "n_random"] = 19
    table.loc[table["measure"] == NORMALISED[0], "n_neighbours"] = 3
    n = len(table) // 2
    said = words.texts(table, RESULTS)["lesion_left_out"]
    assert f"took out {n:,} modules" in said
    assert f"For {n // 2} of them we found fewer" in said
    assert f"For {n // 8} more we found fewer" in said
    table.loc[table["measure"] == NORMALISED[1], "alike"] = 0.8
    assert f"for {n // 8} the neighbours are less" in words.texts(table, RESULTS)["lesion_left_out"]


def test_one_run_has_no_interval_and_is_told() -> None:
    said = words.texts(made_up(runs=1), RESULTS)
    assert "[" not in said["lesion_short"]


def test_a_study_without_weights_says_so_on_a_page_that_can_be_built() -> None:
    table = lesion_effects.no_lesions(RESULTS)
    said = words.texts(table, RESULTS, missing="The weights are not at hand.")
    assert said.keys() == words.texts(made_up(), RESULTS).keys()
    assert said["lesion_short"] == "The weights are not at hand."
    assert folds.course_markdown(table, RESULTS) == "No module could be compared."
    assert folds.places_markdown(table, RESULTS) == "No module could be compared."
    assert len(figures.lost_beside_neighbours.table(RESULTS, table)) == 0
    figures.lost_beside_neighbours(RESULTS, table)
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


def test_the_main_figure_shows_the_modules_that_decide() -> None:
    table = lacking_upstream()
    table.loc[(table["measure"] == "input_covariance_norm") & (table["dropout"] == 0.4), "alike_neighbours"] = 0.0
    shown = figures.lost_beside_neighbours.table(RESULTS, table).query("lesion == 'zero'")
    at = shown.set_index(["modules", "strength"])
    assert at.loc[("both families", 0.8), ["module", "neighbours", "random"]].tolist() == pytest.approx(
        [31.5, 11.0, 4.0]
    )
    assert at.loc[("upstream", 0.4), "n_modules"] == 4
    assert set(shown.query("modules == 'upstream'")["strength"]) == {0.0, 0.4}  # elsewhere there is none to compare
    drawn = figures.lost_beside_neighbours(RESULTS, table)
    assert len(drawn.axes) == 6
    [module, *_] = drawn.axes[1].lines
    assert np.isnan(np.asarray(module.get_ydata(), dtype=float)).tolist() == [False, False, True, True]

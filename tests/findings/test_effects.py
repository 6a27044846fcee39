"""Effects per measure and layer: paired by run, adjusted over all that were tested, and told as they are."""

from dataclasses import replace

import numpy as np
import pytest

from made_up_results import STUDY, made_up_results
from modularity_lib.book.words.modularity import (
    correction_text,
    effect_markdown,
    effects_markdown,
    sure_text,
    trial_text,
)
from modularity_lib.findings.effects import effect_table, usable_strengths
from modularity_lib.findings.inference import Trial, holm
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import MEASURES


def without_one_layer(results: Results, **setting: float) -> Results:
    """The same, but one measure finds every unit of a layer dead in run 2 of a setting."""
    modules = results.modules.copy()
    rows = (modules["run"] == 2) & (modules["layer"] == 2) & (modules["measure"] == "output_gradient")
    for name, value in setting.items():
        rows &= modules[name] == value
    assert rows.sum() == 1
    modules.loc[rows, "status"] = "all_units_dead"
    modules.loc[rows, "score"] = np.nan
    return replace(results, modules=modules)


def test_the_rise_is_the_mean_difference_of_the_same_runs() -> None:
    results = made_up_results()
    table = effect_table(results)
    assert len(table) == 3 * len(MEASURES) * 2
    row = table.query("regulariser == 'dropout' and measure == 'input_gradient' and layer == 2").iloc[0]
    chosen = results.modules.query("measure == 'input_gradient' and layer == 2 and trained and l2 == 1e-5 and l1 == 0")
    by_dropout = chosen.pivot_table(index="dropout", columns="run", values="score")
    difference = by_dropout.loc[0.6] - by_dropout.loc[0.0]
    assert (row["weakest"], row["strongest"], row["n_runs"]) == (0.0, 0.6, STUDY.runs)
    assert row["rise"] == pytest.approx(difference.mean())
    assert row["q_strongest"] - row["q_weakest"] == pytest.approx(row["rise"])
    assert (row["smallest"], row["largest"]) == (pytest.approx(difference.min()), pytest.approx(difference.max()))
    half = 3.182 * difference.std() / 2  # the 0.975 quantile of t with 3 degrees of freedom; four runs
    assert (row["low"], row["high"]) == pytest.approx((row["rise"] - half, row["rise"] + half), rel=1e-3)


def test_p_values_are_adjusted_within_each_regulariser() -> None:
    table = effect_table(made_up_results(flat_measures=("input_gradient",)))
    for _, rows in table.groupby("regulariser"):
        np.testing.assert_allclose(rows["p_holm"], holm(rows["p_value"].tolist()))
    dropout = table[table["regulariser"] == "dropout"].set_index("measure")
    assert (dropout.drop("input_gradient")["p_joint"] == 0.125).all()  # 2 / 2^4
    assert (dropout.loc["input_gradient", "p_joint"] > 0.125).all()
    assert (dropout["p_holm"] == 1.0).all()  # 0.125 times 16 tests


def test_a_strength_at_which_one_layer_of_one_run_is_dead_is_not_used() -> None:
    results = without_one_layer(made_up_results(), dropout=0.6)
    assert usable_strengths(results, "dropout") == [0.0, 0.3]
    assert set(effect_table(results).query("regulariser == 'dropout'")["strongest"]) == {0.3}


def test_a_sweep_whose_left_end_is_not_usable_is_left_out() -> None:
    results = without_one_layer(made_up_results(), l2=1e-5, l1=0.0, dropout=0.0)
    assert usable_strengths(results, "l2") == []
    table = effect_table(results)
    assert table.empty
    assert "No sweep" in effect_markdown(table)
    assert effects_markdown(table) == sure_text(table, results) == "No sweep could be tested in every run."
    assert correction_text(table) == ""


def test_the_markdown_has_a_row_per_measure_and_layer_and_dropout_first() -> None:
    lines = effect_markdown(effect_table(made_up_results())).splitlines()
    assert len(lines) == 2 + len(MEASURES) * 2
    assert lines[0].startswith("| measure | layer | Dropout, 0 → 0.6 | *p* (Holm; joint) | L1 penalty, 0 → 0.001 |")
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| input gradient (norm) | 1 | +0.")
    assert "1; 0.12" in lines[2]


def test_the_summary_follows_the_results() -> None:
    table = effect_table(made_up_results(dropout_rise=0.2, l2_rise=-0.1))
    dropout, l1, l2 = effects_markdown(table).splitlines()[2:]
    assert dropout.startswith("| Dropout, 0 → 0.6 | +0.")
    assert dropout.endswith(" | 16 | 16 | 0 | 0 | 0 |")
    assert l1.startswith("| L1 penalty, ")
    assert l2.endswith(" | 16 | 0 | 16 | 0 | 0 |")
    text = correction_text(table)
    assert "With 4 runs it is 0.12 at the least" in text
    assert "cannot fall below 0.05 here: 1 is the smallest it can give" in text
    assert text.endswith("and can give 0.12.")


def test_certain_rises_and_falls_are_counted_apart() -> None:
    table = effect_table(made_up_results(dropout_rise=0.2, l2_rise=-0.1)).assign(p_joint=0.01)
    dropout, _, l2 = effects_markdown(table).splitlines()[2:]
    assert dropout.endswith(" | 16 | 16 | 0 | 16 | 0 |")
    assert l2.endswith(" | 16 | 0 | 16 | 0 | 16 |")
    assert "Of these Q rises in 16 under dropout, 16 under L1 and 0 under L2, and falls in 16 under L2." in (
        sure_text(table, made_up_results())
    )


@pytest.mark.parametrize(("p_joint", "sure"), [(0.0499, 16), (0.0501, 0)])
def test_a_rise_is_certain_below_five_percent(p_joint: float, sure: int) -> None:
    table = effect_table(made_up_results()).assign(p_joint=p_joint)
    assert effects_markdown(table).count(f" | 16 | 16 | 0 | {sure} | 0 |") == 3
    assert sure_text(table, made_up_results()) == (
        "We compare each curve's left end with the strongest setting at which all runs learn: dropout 0.6, L1 0.001 "
        "and L2 0.001. A joint sign-flip test (n = 4 runs) corrects for 16 pairs of measure and layer. Of these Q "
        f"rises in {sure} under dropout, {sure} under L1 and {sure} under L2. Holm's correction gives no p below 1 "
        "with 4 runs, so it cannot decide."
    )
    assert "Holm's" not in sure_text(table.assign(smallest_p=0.003), made_up_results())


def test_curves_that_go_on_where_only_some_runs_learn_are_named() -> None:
    results = made_up_results()
    modules = results.modules.copy()
    lost = (modules["run"] == 1) & (modules["l1"] == modules["l1"].max())
    modules.loc[lost, ["status", "score"]] = ["all_units_dead", np.nan]
    fewer = replace(results, modules=modules)
    assert " In the figure L1 goes on to 0.001, where only some runs learn. A joint" in (
        sure_text(effect_table(fewer), fewer)
    )


def test_holm_can_reach_the_level_with_runs_enough() -> None:
    table = effect_table(made_up_results())
    assert "so can reach 0.05 here: 0.048 is" in correction_text(table.assign(smallest_p=0.003))  # 16 tests
    assert "so cannot fall below 0.05 here: 0.051 is" in correction_text(table.assign(smallest_p=0.0032))


def test_what_interval_and_test_do_without_an_effect_is_told() -> None:
    assert trial_text(Trial(0.95, 0.04, 200), 9) == (
        "We tried both on 200 made-up effects (normal, mean 0, 9 runs). The 95 % interval holds the true mean in 95 % "
        "of them. At the level of 5 % the sign-flip test calls 4.0 % of them effects."
    )
    assert "interval" not in trial_text(Trial(None, 0.0, 200), 1)

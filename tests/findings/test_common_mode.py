"""Counterfactuals and nulls of Q hold what they say, tell made-up truths apart, and the words follow the tables."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from made_up_results import made_up_results
from modularity_lib import figures
from modularity_lib.book.words import is_it_modules as words_on_rises
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.figures.style import LOOKS
from modularity_lib.findings import common_mode, made_up_blocks, rotated
from modularity_lib.findings import rises as rule
from modularity_lib.findings.synthetic import planted
from modularity_lib.studies.archive import stored_matrices
from modularity_lib.studies.results import Results, sweep
from modularity_lib.studies.store import Store
from modularity_lib.vocabulary import MEASURE_LABELS

NO_ROTATIONS = None  # the null of rotated units is not at hand


def off_diagonal(matrix: np.ndarray) -> np.ndarray:
    return ~np.eye(len(matrix), dtype=bool)


@pytest.mark.parametrize("hold", [common_mode.rescaled, common_mode.shifted])
@pytest.mark.parametrize("level", [0.01, 0.2, 0.7])
def test_the_mean_of_the_pairs_is_held_exactly_though_entries_are_clipped(hold, level: float) -> None:
    matrix = planted(24, blocks=3, common=0.3, seed=0, samples=200)
    pairs = off_diagonal(matrix) & (np.arange(24) % 3 != np.arange(24)[:, None] % 3)
    held = hold(matrix, pairs, level)
    assert held[pairs].mean() == pytest.approx(level, abs=1e-9)
    assert ((held >= 0) & (held <= 1)).all()
    np.testing.assert_allclose(held, held.T, atol=1e-12)
    if level == 0.01:
        assert (held == 0).any()


def test_a_level_that_no_matrix_can_have_is_refused() -> None:
    matrix = np.array([[1.0, 1.0, 0.2], [1.0, 1.0, 0.4], [0.2, 0.4, 1.0]])
    for level in (0.0, 1.0, 0.3):  # a third of the pairs are identical
        with pytest.raises(ValueError, match=r"level must be a mean similarity in \(0, 1\)"):
            common_mode.rescaled(matrix, off_diagonal(matrix), level)


def test_rescaling_exchanges_one_common_factor_for_another() -> None:
    """Exact correlations c + (1 - c) r of the same r under two factors turn into each other."""
    block = np.arange(12) // 4
    apart = block[:, None] != block
    r = np.where(apart, 0.0, 0.4) + 0.6 * np.eye(12)
    weak, strong = (c + (1 - c) * r for c in (0.2, 0.5))
    np.testing.assert_allclose(common_mode.rescaled(weak, apart, 0.5), strong, atol=1e-9)
    np.testing.assert_allclose(common_mode.rescaled(strong, apart, 0.2), weak, atol=1e-9)


def test_on_made_up_matrices_the_counterfactual_finds_the_truth() -> None:
    table = made_up_blocks.made_up_table(draws=1)
    rise, remains = table["q_after"] - table["q_before"], table["rescaled"] - table["q_before"]
    shares = (remains / rise).groupby(table["kind"]).agg(["min", "max"])
    weaker, stronger = (
        shares.loc[kind] for kind in ("the common factor weakens", "blocks strengthen at the same mean")
    )
    assert (rise > rule.CLEAR).all()
    assert weaker["max"] < 0.1  # Q rises, and hardly with as much in common
    assert stronger["min"] > rule.MOST
    missed = {name: (table[name] - table["truth"]).abs() for name in ("rescaled", "shifted")}
    assert (missed["rescaled"] < missed["shifted"]).all()
    assert (missed["rescaled"] / rise).max() < 0.1


def test_a_matrix_keeps_its_mean_when_it_has_as_much_in_common_already() -> None:
    matrix = planted(24, blocks=3, common=0.3, seed=0)
    pairs = off_diagonal(matrix)
    for hold in (common_mode.rescaled, common_mode.shifted):
        np.testing.assert_allclose(hold(matrix, pairs, matrix[pairs].mean())[pairs], matrix[pairs], atol=1e-9)


def test_shuffling_keeps_the_histogram_and_loses_the_blocks() -> None:
    matrix = planted(32, blocks=4, common=0.2, seed=0)
    other = common_mode.shuffled(matrix, np.random.default_rng(0))
    np.testing.assert_allclose(np.sort(other[off_diagonal(other)]), np.sort(matrix[off_diagonal(matrix)]))
    assert (other == other.T).all()
    assert paper_modules(other).score < 0.5 * paper_modules(matrix).score


@pytest.mark.parametrize("dimensions", [2, 5, 9, 60])
def test_random_directions_have_as_few_dimensions_and_no_more_modules(dimensions: int) -> None:
    vectors = np.random.default_rng(1).standard_normal((80, dimensions))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    matrix = np.abs(vectors @ vectors.T)
    pairs = off_diagonal(matrix)
    nulls = [common_mode.random_directions(matrix, np.random.default_rng(seed)) for seed in range(20)]
    squares = np.mean([np.square(null[pairs]).mean() for null in nulls])
    assert squares == pytest.approx(
        np.square(matrix[pairs]).mean(), rel=0.05
    )  # an axis that counts in part is a little less
    q, expected = paper_modules(matrix).score, np.mean([paper_modules(null).score for null in nulls])
    assert q == pytest.approx(expected, abs=rule.CLEAR)
    blocks = planted(80, blocks=4, common=0.2, seed=0)
    chance = paper_modules(common_mode.random_directions(blocks, np.random.default_rng(0))).score
    assert paper_modules(blocks).score > chance + 2 * rule.CLEAR


def test_confounds_are_those_of_a_matrix_done_by_hand() -> None:
    matrix = np.array([[1.0, 0.8, 0.1, 0.2], [0.8, 1.0, 0.3, 0.0], [0.1, 0.3, 1.0, 0.6], [0.2, 0.0, 0.6, 1.0]])
    found = common_mode.confounds(matrix, np.array([0, 0, 1, 1]))
    eigenvalues = np.linalg.eigvalsh(matrix)
    assert found["mean"] == pytest.approx((0.8 + 0.1 + 0.2 + 0.3 + 0.0 + 0.6) / 6)
    assert found["within"] == pytest.approx((0.8 + 0.6) / 2)
    assert found["across"] == pytest.approx((0.1 + 0.2 + 0.3 + 0.0) / 4)
    assert found["contrast"] == pytest.approx(0.7 - 0.15)
    assert found["participation"] == pytest.approx(eigenvalues.sum() ** 2 / np.square(eigenvalues).sum() / 4)
    assert np.isnan(common_mode.confounds(matrix, np.zeros(4, dtype=int))["across"])


@pytest.fixture(scope="module")
def some(v1: Results) -> Results:
    """Of v1: no dropout and two strengths of it, and one L2 penalty under which units die."""
    study = replace(v1.study, l2=(1e-5, 1e-3), l1=(), dropout=(0.1, 0.7))
    return replace(v1, study=study)


@pytest.fixture(scope="module")
def table(some: Results) -> pd.DataFrame:
    return common_mode.common_mode_table(some, draws=1)


def test_the_table_has_the_study_s_q_of_live_units_and_starts_where_nothing_is_changed(
    some: Results, table: pd.DataFrame
) -> None:
    assert len(table) == 4 * 2 * len(common_mode.NORMALISED)
    row = table.query("l2 == 1e-3 and layer == 2 and measure == 'input_gradient_norm'").iloc[0]
    matrix = stored_matrices("v1", l2=1e-3)["hidden2"]["input_gradient_norm"]
    live = matrix.sum(axis=1) > matrix.diagonal()
    assert row["live_units"] == live.sum() < len(matrix)
    part = matrix[np.ix_(live, live)]
    assert row["mean"] == pytest.approx(part[off_diagonal(part)].mean())
    assert row["score"] == pytest.approx(paper_modules(part, seed=0).score, abs=1e-6)
    accuracy = some.networks.query("trained and run == 0 and l2 == 1e-3 and l1 == 0 and dropout == 0")["test_accuracy"]
    assert row["test_accuracy"] == accuracy.item()
    start = table.query("l2 == 1e-5 and dropout == 0")
    np.testing.assert_allclose(start["score_equal"], start["score"], atol=0.003)  # another path of the same search
    np.testing.assert_allclose(start["score_shifted"], start["score"], atol=0.003)
    assert table["contrast"].gt(0).all()


def test_the_counterfactual_of_the_table_has_what_different_modules_shared_before(some: Results, table) -> None:
    """Followed by hand for one matrix, with the modules that the study found."""
    matrices = {
        dropout: stored_matrices("v1", dropout=dropout)["hidden1"]["output_gradient_norm"] for dropout in (0, 0.7)
    }
    modules = some.analysed("modules", trained=True).query("run == 0 and layer == 1 and l1 == 0 and l2 == 1e-5")
    labels = modules[modules["measure"] == "output_gradient_norm"].set_index("dropout")["labels"].map(np.asarray)
    level = matrices[0][labels[0][:, None] != labels[0]].mean()
    held = common_mode.rescaled(matrices[0.7], labels[0.7][:, None] != labels[0.7], level)
    row = table.query("dropout == 0.7 and layer == 1 and measure == 'output_gradient_norm'").iloc[0]
    assert row["score_equal"] == pytest.approx(paper_modules(held, seed=0).score, abs=1e-9)
    assert row["clipped"] == pytest.approx((held[off_diagonal(held)] == 0).mean())


def test_a_study_without_matrices_has_an_empty_table_and_says_so(v1: Results) -> None:
    absent = made_up_results()
    table = common_mode.common_mode_table(absent)
    assert table.empty
    said = words_on_rises.texts(table, NO_ROTATIONS, made_up_blocks.made_up_table(draws=1), absent)
    assert "are not at hand" in said["modules_answer"]
    assert (
        said.keys()
        == words_on_rises.texts(rises([0.2]), NO_ROTATIONS, made_up_blocks.made_up_table(draws=1), v1).keys()
    )
    assert "not at hand" in words_on_rises.confounds_markdown(table, absent)
    figure = figures.q_beside_nulls(absent, table)
    assert "nothing at hand to show" in {text.get_text() for text in figure.texts}


def rises(equal: list[float], *, score: float = 0.3, shuffled: float = 0.1, strength: float = 0.7) -> pd.DataFrame:
    """Tables with Q = 0.1 without dropout; with it `score`, and with as much in common those given, one a measure."""
    rows = []
    for measure, held in zip(common_mode.NORMALISED, equal, strict=False):
        base = {"run": 0, "l2": 1e-5, "l1": 0.0, "layer": 1, "measure": measure, "test_accuracy": 0.9, "live_units": 64}
        same = {"mean": 0.2, "within": 0.4, "across": 0.1, "contrast": 0.3, "participation": 0.5, "clipped": 0.0}
        nulls = {"score_shuffled": 0.05, "score_directions": 0.08}
        rows.append({**base, **same, **nulls, "dropout": 0.0, **dict.fromkeys(SCORES, 0.1)})
        later = {"score": score, "score_equal": held, "score_shifted": score, "score_shuffled": shuffled}
        rows.append({**base, **same, **nulls, "dropout": strength, **later})
    return pd.DataFrame(rows)


SCORES = ("score", "score_equal", "score_shifted")
NEAR = 1e-6  # to a limit


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        (rises([0.3]), rule.MODULES),
        (rises([0.15]), rule.IN_COMMON),
        (rises([0.2]), rule.MIXED),
        (rises([0.3], shuffled=0.24), rule.CHANCE),
        (rises([0.15], shuffled=0.24), rule.IN_COMMON),
        (rises([0.3], score=0.11), ""),
        (rises([0.3], score=0.05), ""),
        # At each limit, just inside and just outside: a rise of 0.02; a third and two thirds of a rise of 0.2; 0.02
        # above chance.
        (rises([0.3], score=0.12 + NEAR, shuffled=0.05), rule.MODULES),
        (rises([0.3], score=0.12 - NEAR, shuffled=0.05), ""),
        (rises([0.1 + 0.2 / 3 - NEAR]), rule.IN_COMMON),
        (rises([0.1 + 0.2 / 3 + NEAR]), rule.MIXED),
        (rises([0.1 + 0.4 / 3 - NEAR]), rule.MIXED),
        (rises([0.1 + 0.4 / 3 + NEAR]), rule.MODULES),
        (rises([0.3], shuffled=0.05 + 0.18 - NEAR), rule.MODULES),
        (rises([0.3], shuffled=0.05 + 0.18 + NEAR), rule.CHANCE),
        (rises([0.3]).assign(score_directions=[0.08, 0.08 + 0.18 - NEAR]), rule.MODULES),
        (rises([0.3]).assign(score_directions=[0.08, 0.08 + 0.18 + NEAR]), rule.CHANCE),
    ],
)
def test_a_rise_counts_as_what_the_rule_says(table: pd.DataFrame, kind: str, v1: Results) -> None:
    assert rule.split_table(table, v1, "dropout")["kind"].tolist() == [kind]


@pytest.mark.parametrize(
    ("equal", "words"),
    [
        ([0.3, 0.3, 0.1], "They count as modules in 2, less in common in 1. The answer: units form modules."),
        ([0.1, 0.1, 0.1], "The answer: units have less in common."),
        ([0.3, 0.1], "The answer: it depends on measure, layer and strength."),
    ],
)
def test_the_answer_follows_the_rises(equal: list[float], words: str, v1: Results) -> None:
    last = rule.strongest(rule.split_table(rises(equal), v1, "dropout"))
    said = words_on_rises.answer_text(last, "dropout", v1.study)
    assert said.startswith("At dropout 0.7 (run 0 alone, of 9) Q has changed by +0.200 to +0.200")
    assert f"they would be {np.mean(equal) - 0.1:.3f}" in said
    assert words in said
    none = rule.split_table(rises([0.1], score=0.1), v1, "dropout")
    said = words_on_rises.answer_text(none, "dropout", v1.study)
    assert "in 0 of 1 combinations of measure, layer and run: there is no rise" in said


@pytest.mark.parametrize(
    ("kinds", "answer"),
    [
        ({"modules": 2, "chance": 1}, "units form modules"),
        ({"modules": 65, "chance": 35}, "it depends on measure, layer and strength"),
        ({"less in common": 67, "modules": 33}, "units have less in common"),
        ({"chance": 67, "modules": 33, "": 100}, "Q rises as much in a control"),
        ({"": 3}, "there is no rise to split"),
    ],
)
def test_the_answer_is_that_of_two_thirds_of_the_rises(kinds: dict[str, int], answer: str) -> None:
    assert words_on_rises._answer(pd.Series([kind for kind, count in kinds.items() for _ in range(count)])) == answer


@pytest.mark.parametrize(("excess", "count"), [(rule.CLEAR - NEAR, 0), (rule.CLEAR + NEAR, 1)])
def test_q_is_above_chance_from_a_clear_difference_on(excess: float, count: int, v1: Results) -> None:
    table = rises([0.3]).assign(score_directions=[0.1 - excess, 0.3])
    said = words_on_rises.texts(table, NO_ROTATIONS, made_up_blocks.made_up_table(draws=1), v1)["common_chance"]
    assert said.endswith(f"by 0.02 or more in {count} and in 0 of 1 combinations.")


def test_the_words_name_where_units_have_less_in_common_and_what_shuffling_shows(v1: Results) -> None:
    table = pd.concat([rises([0.12, 0.3]), rises([0.12, 0.3], strength=0.3).query("dropout > 0")], ignore_index=True)
    said = words_on_rises.texts(table, NO_ROTATIONS, made_up_blocks.made_up_table(draws=1), v1)
    name = MEASURE_LABELS[common_mode.NORMALISED[0]]
    assert (
        f"2 of 2 are of one measure and layer, the {name} in layer 1 at dropout 0.3 to 0.7." in said["modules_course"]
    )
    assert "Shuffled similarities show 25 % of these rises" in said["common_chance"]
    assert said["common_n"] == "3 networks of 1 of 9 runs, 6 matrices"
    assert "No network with L2 penalty was analysed." in said["common_penalties"]


def test_the_table_of_confounds_shows_no_dropout_and_the_strongest(v1: Results, table: pd.DataFrame) -> None:
    lines = words_on_rises.confounds_markdown(table, v1).splitlines()
    assert len(lines) == 2 + 2 * 2 * len(common_mode.NORMALISED)
    row = table.query("dropout == 0.7 and layer == 1 and measure == 'input_gradient_norm'").iloc[0]
    assert f"| 0.7 | {row['live_units']} | {row['mean']:.2f}, {row['within']:.2f}, {row['across']:.2f} |" in lines[3]
    assert f"| {row['score']:.3f}, {row['score_equal']:.3f}, " in lines[3]


def test_the_figures_show_the_table_in_a_panel_per_layer_and_measure(v1: Results, table: pd.DataFrame) -> None:
    place = ["run", "l2", "l1", "dropout", "layer", "measure"]
    turned = table.loc[table["measure"].isin(rotated.MEASURES), place].assign(score_rotated=0.05, score_matched=0.06)
    turned.loc[turned["dropout"] > 0, "score_rotated"] = 0.1
    chance = table[["score_shuffled", "score_directions"]].max(axis=1)
    rows = sweep(table.assign(score_chance=chance, score_null=0.1), v1.study, "dropout")
    rows.loc[rows["dropout"] == 0, "score_null"] = 0.06
    for figure, columns in (
        (figures.q_beside_nulls(v1, table, turned), ["score", "score_null", "score_equal", "score_chance"]),
        (figures.similarity_within_and_across(v1, table), ["within", "mean", "across"]),
    ):
        assert len(figure.axes) == 2 * len(common_mode.NORMALISED)
        panel = figure.axes[0]
        assert panel.get_title() == "input gradient\n(norm), layer 1"
        here = rows.query("layer == 1 and measure == 'input_gradient_norm'").sort_values("strength")
        for curve, column in zip(panel.containers, columns, strict=True):
            np.testing.assert_allclose(curve.lines[0].get_xydata(), here[["strength", column]])
        assert panel.lines[0].get_color() == LOOKS["dropout"].colour


def test_without_rotated_units_and_for_other_measures_the_figure_has_no_curve_of_them(
    v1: Results, table: pd.DataFrame
) -> None:
    assert figures.q_beside_nulls.table(v1, table)["score_null"].isna().all()
    turned = table[table["measure"] == "input_gradient_norm"].assign(score_rotated=0.05, score_matched=0.06)
    beside = figures.q_beside_nulls.table(v1, table, turned)
    assert set(beside.loc[beside["score_null"].notna(), "measure"]) == {"input_gradient_norm"}
    assert len(beside) == len(figures.q_beside_nulls.table(v1, table))


def test_rises_are_taken_within_each_run_and_averaged_over_runs(v1: Results) -> None:
    second = rises([0.5], score=0.5).assign(run=1)
    second.loc[second["dropout"] == 0, list(SCORES)] = 0.2
    splits = rule.split_table(pd.concat([rises([0.3]), second], ignore_index=True), v1, "dropout")
    assert splits.set_index("run")["rise"].to_dict() == pytest.approx({0: 0.2, 1: 0.3})
    said = words_on_rises.answer_text(splits, "dropout", v1.study)
    assert "in 2 of 2 combinations of measure, layer and run." in said
    assert "(2 of 9 runs)" in said
    assert "These rises are 0.250 [-0.385, 0.885] on average" in said
    runs = [rises([0.3 + 0.01 * run], score=0.3 + 0.01 * run).assign(run=run) for run in range(6)]
    many = rule.split_table(pd.concat(runs, ignore_index=True), v1, "dropout")
    assert "These rises are 0.225 [0.2" in words_on_rises.answer_text(many, "dropout", v1.study)


def test_the_pages_say_which_runs_the_table_shows(v1: Results) -> None:
    """Where the table that comes with the project is stale, run 0 alone is measured."""
    table, made_up = common_mode.table_at_hand(v1), made_up_blocks.made_up_table(draws=1)
    for rows, words in ((table, "(all 9 runs)"), (table[table["run"] == 0], "(run 0 alone, of 9)")):
        said = words_on_rises.texts(rows, NO_ROTATIONS, made_up, v1)
        assert (words in said["modules_answer"]) == (words != "(all 9 runs)")  # in short, all runs go without saying
        assert said["common_penalties"].count(words) == 2
        assert f"of {rows['run'].nunique()} of 9 runs" in said["common_n"]


def test_the_strongest_strength_is_one_at_which_every_measure_was_analysed(v1: Results) -> None:
    table = pd.concat([rises([0.3, 0.3], strength=0.3), rises([0.3]).query("dropout > 0")], ignore_index=True)
    splits = rule.split_table(table, v1, "dropout")
    assert splits["strength"].max() == 0.7
    assert set(rule.strongest(splits)["strength"]) == {0.3}


def test_curves_are_means_over_runs() -> None:
    table = pd.concat([rises([0.3]), rises([0.5], score=0.5).assign(run=1)], ignore_index=True)
    panel = figures.q_beside_nulls.draw(table.assign(strength=table["dropout"], score_null=0.1, score_chance=0.1)).axes[
        0
    ]
    assert panel.containers[0].lines[0].get_ydata() == pytest.approx([0.1, 0.4])


def test_the_shipped_table_is_that_of_the_present_code_and_results(v1: Results, table: pd.DataFrame) -> None:
    """Run 0 can be measured here, from the shipped matrices; the others need the weights."""
    shipped = common_mode.table_at_hand(v1)
    assert shipped["run"].nunique() == v1.study.runs
    place = ["run", "l2", "l1", "dropout", "layer", "measure"]
    both = table.merge(shipped, on=place, suffixes=("", "_shipped"), validate="one_to_one")
    assert len(both) == len(table) == 4 * 2 * len(common_mode.NORMALISED)
    for column in ("live_units", "test_accuracy", "score", "mean", "across"):
        np.testing.assert_allclose(both[column], both[f"{column}_shipped"], rtol=1e-6)
    # Shipped matrices are rounded to single precision, and a search may turn on a last bit.
    assert np.abs(both["score_equal"] - both["score_equal_shipped"]).mean() < 0.002


def test_a_shipped_table_of_other_code_is_not_used_and_not_in_silence(
    v1: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common_mode, "common_mode_table", lambda results: "measured")
    assert len(common_mode.table_at_hand(v1)) > 1_000
    assert common_mode.table_at_hand(made_up_results()) == "measured"  # none is shipped
    monkeypatch.setattr(common_mode, "source_of", lambda stage: "other code")
    with pytest.warns(common_mode.StaleTable, match=r"run 0 alone is measured now.*modularity reaffirm"):
        assert common_mode.table_at_hand(v1) == "measured"


def test_what_is_shipped_has_every_run(v1: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common_mode, "SHIPPED", tmp_path)
    monkeypatch.setattr(
        common_mode, "common_mode_table", lambda results, *, run, store: pd.DataFrame({"run": [run], "score": [0.1]})
    )
    written = common_mode.ship(v1, Store(tmp_path / "store"))
    assert written["run"].tolist() == list(range(v1.study.runs))
    pd.testing.assert_frame_equal(common_mode.table_at_hand(v1), written)

"""Scores of the measures against each other: the right networks enter, and runs are what is drawn anew."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from made_up_results import made_up_results
from modularity_lib.book.words import scores as scores_words
from modularity_lib.findings import score_correlations as scores
from modularity_lib.findings.inference import jackknife_interval
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import KINDS, MEASURES, pair_kind

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")


def with_scores(results: Results, score: Callable[[pd.DataFrame], object]) -> Results:
    """The same study with Q given by a function of its table of modules."""
    table = results.modules.assign(score=score(results.modules))
    return Results(results.study, results.networks, table, results.agreement)


def test_each_network_is_a_row_per_layer_named_by_the_regulariser_that_is_not_at_its_baseline() -> None:
    table = scores.scores_by_network(made_up_results())
    counts = table.groupby("regulariser").size() / 2
    assert counts.to_dict() == {"baseline": 4, "l2": 4, "l1": 8, "dropout": 8, "untrained": 20}
    assert set(MEASURES) <= set(table.columns)


def test_networks_left_out_do_not_enter() -> None:
    table = scores.score_correlations(made_up_results(low_accuracy_above=0.5))
    assert set(table.query("sweep == 'dropout'")["networks"]) == {4 * 2}  # the baseline and dropout 0.3
    assert set(table.query("sweep == 'l2'")["networks"]) == {4 * 2}


def test_a_correlation_is_spearmans_over_the_networks_of_one_sweep_and_layer() -> None:
    results = made_up_results()
    table = scores.score_correlations(results).set_index(["sweep", "layer", "measure_a", "measure_b"])
    rows = results.modules.query("trained and l2 == 1e-5 and l1 == 0 and layer == 2")
    wide = rows.pivot_table(index=["dropout", "run"], columns="measure", values="score")
    row = table.loc[("dropout", 2, "output_hessian", "input_gradient")]
    assert row["correlation"] == pytest.approx(stats.spearmanr(wide["output_hessian"], wide["input_gradient"])[0])
    left = wide - wide.groupby("dropout").transform("mean")
    assert row["fixed_strength"] == pytest.approx(stats.spearmanr(left["output_hessian"], left["input_gradient"])[0])
    assert row["kind"] == "across"
    assert len(table) == 4 * 2 * 28


def test_a_rise_with_strength_is_gone_once_the_strength_is_held_fixed() -> None:
    means = scores.mean_correlations(made_up_results(dropout_rise=0.5)).query("sweep == 'dropout' and kind == 'across'")
    by_strength = means.groupby("strength")["mean"].mean()
    assert by_strength["free"] > 0.8
    assert abs(by_strength["fixed"]) < 0.3


def test_means_leave_a_measure_and_its_normalised_form_out() -> None:
    results = made_up_results()
    means = scores.mean_correlations(results).set_index(["sweep", "layer", "strength", "kind"])["mean"]
    pairs = scores.score_correlations(results).query("sweep == 'l1' and layer == 1")
    expected = pairs[
        [pair_kind(a, b) == "upstream" for a, b in zip(pairs["measure_a"], pairs["measure_b"], strict=True)]
    ]
    assert len(expected) == 4
    found = means["l1", 1, "free"]
    assert found["upstream"] == pytest.approx(expected["correlation"].mean())
    assert found["within minus across"] == pytest.approx(
        (found["upstream"] + found["downstream"]) / 2 - found["across"]
    )


def test_every_mean_lies_within_its_interval() -> None:
    means = scores.mean_correlations(made_up_results())
    assert (means["low"] < means["mean"]).all()
    assert (means["mean"] < means["high"]).all()


def test_a_measure_that_never_varies_has_no_correlation() -> None:
    results = with_scores(made_up_results(), lambda t: t["score"].where(t["measure"] != "input_gradient", 0.0))
    table = scores.score_correlations(results)
    constant = (table["measure_a"] == "input_gradient") | (table["measure_b"] == "input_gradient")
    assert table.loc[constant, "correlation"].isna().all()
    assert table.loc[~constant, "correlation"].notna().all()


def test_the_jackknife_interval_holds_the_true_correlation_about_as_often_as_it_says() -> None:
    def correlation(cube: np.ndarray) -> np.ndarray:
        return scores._correlations(cube, fixed=False)[0, 1:]

    random, truth, held = np.random.default_rng(0), 6 / np.pi * np.arcsin(0.6 / 2), []  # of normal scores
    for _ in range(300):
        cube = random.normal(size=(6, 9, 2))  # six strengths of nine runs
        cube[..., 1] = 0.6 * cube[..., 0] + 0.8 * cube[..., 1]
        _, low, high = jackknife_interval(correlation, cube, axis=1)
        held.append(low[0] <= truth <= high[0])
    assert 0.91 < np.mean(held) < 0.98


def test_the_sentences_follow_the_scores() -> None:
    with_common_rise = scores_words.score_texts(scores.mean_correlations(made_up_results(dropout_rise=0.5)))
    assert "across the families lies above 0 in all 6 sweeps" in with_common_rise["score_verdict"]
    no_interval = scores.mean_correlations(made_up_results()).assign(low=np.nan, runs=1)
    assert "no interval over 1 run, and so no verdict" in scores_words.score_texts(no_interval)["score_short"]
    assert with_common_rise["score_fixed_head"].startswith("Most of what the families share is that Q of both")
    assert with_common_rise["score_short"].endswith(
        ", since Q of both families changes with the strength of the regulariser."
    )
    assert with_common_rise["score_untrained"].startswith("The 20 untrained networks differ in nothing but")
    effect = np.random.default_rng(0).normal(size=10_000)

    def one_number_per_network(table: pd.DataFrame) -> np.ndarray:
        return effect[table.groupby(["trained", "l2", "l1", "dropout", "run", "layer"]).ngroup()]

    common = scores.mean_correlations(with_scores(made_up_results(), one_number_per_network))
    told = scores_words.score_texts(common)
    assert told["score_fixed_head"].startswith("The families share more than that Q of both changes with the strength")
    assert "since Q of both" not in told["score_short"]


def test_with_enough_runs_the_verdict_says_in_how_many_sweeps_the_families_agree() -> None:
    rows = [
        {"sweep": name, "layer": 1, "kind": kind, "strength": strength, "mean": 0.5, "low": low, "high": 0.9}
        | {"networks": 9, "runs": 9}
        for name, low in (("l2", 0.2), ("l1", -0.1), ("dropout", 0.3))
        for kind in KINDS
        for strength in ("free", "fixed")
    ]
    untrained = [{**row, "sweep": "untrained"} for row in rows[:6]]
    means = pd.DataFrame(rows + untrained)
    told = scores_words.score_texts(means)
    assert "above 0 in 2 of 3 sweeps and layers (L2 layer 1 and dropout layer 1)." in told["score_verdict"]
    assert told["score_head"].endswith("depends on the regulariser and the layer.")
    assert scores_words.score_texts(means.assign(low=0.1))["score_head"].endswith("Q of both families changes alike.")
    assert scores_words.score_texts(means.assign(low=-0.1))["score_head"].endswith("not follow that of the other.")
    assert scores_words.score_texts(means.assign(low=0.1))["score_verdict"].endswith("in all 3 sweeps and layers.")
    assert scores_words.score_texts(means.assign(low=-0.1))["score_verdict"].endswith("in 0 of 3 sweeps and layers.")


def test_the_answer_and_the_table_have_the_numbers_of_each_kind_and_sweep() -> None:
    by_kind = {"upstream": 0.5, "downstream": 0.6, "across": 0.4}
    rows = [
        {"sweep": sweep, "layer": layer, "kind": kind, "strength": strength, "low": 0.1, "high": 0.9}
        | {"mean": mean + 0.01 * at + 0.02 * layer - 0.3 * (strength == "fixed"), "networks": 9, "runs": 9}
        for at, sweep in enumerate(("l2", "l1", "dropout", "untrained"))
        for layer in (1, 2)
        for kind, mean in by_kind.items()
        for strength in ("free", "fixed")
        if (sweep, strength) != ("untrained", "fixed")
    ]
    means = pd.DataFrame(rows)
    told = scores_words.score_texts(means)
    assert told["score_short"] == (
        "Partly, across the families: among networks of one setting the mean rank correlation of Q is 0.14 for two "
        "measures of different families, 0.24 for two upstream ones and 0.34 for two downstream ones. Over the "
        "networks of a sweep the correlation is 0.44, since Q of both families changes with the strength of the "
        "regulariser."
    )
    lower = means["mean"].where((means["strength"] == "free") | (means["kind"] != "across"), means["mean"] - 0.1)
    said = scores_words.score_texts(means.assign(mean=lower))["score_short"]
    assert said.startswith(
        "Hardly, across the families: among networks of one setting the mean rank correlation of Q is 0.04"
    )
    assert told["score_untrained"].endswith("Across the families their correlation is 0.46.")
    assert scores_words.sweeps_markdown(means).splitlines()[2:] == [
        "| L2 | 0.53 | 0.63 | 0.43 |",
        "| L1 | 0.54 | 0.64 | 0.44 |",
        "| dropout | 0.55 | 0.65 | 0.45 |",
        "| untrained | 0.56 | 0.66 | 0.46 |",
    ]
    rest = means["mean"].where(means["strength"] == "free", means["mean"] + 0.1)  # 0.24 is more than half of 0.44
    assert scores_words.score_texts(means.assign(mean=rest))["score_fixed_head"].startswith("The families share more")
    assert scores_words.sweeps_markdown(means.assign(mean=np.nan)) == "There are too few networks to compare."


def test_unknown_measures_are_refused() -> None:
    with pytest.raises(ValueError, match="measures must be at least two of 'output_hessian'"):
        scores.scores_by_network(made_up_results(), measures=["input_gradient", "q"])
    with pytest.raises(ValueError, match="at least two"):
        scores.scores_by_network(made_up_results(), measures=["input_gradient"])

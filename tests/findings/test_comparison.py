"""Published numbers beside ours: the right numbers are joined, and the errors are those of both."""

import numpy as np
import pandas as pd
import pytest

from made_up_results import STUDY, made_up_results
from modularity_lib.book.words.ledger import choices_markdown
from modularity_lib.findings.comparison import _metric_agreement, compare_with_paper, metric_choices
from modularity_lib.findings.paper import published
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.results import Results


@pytest.fixture(scope="module")
def results() -> Results:
    return made_up_results()


def test_q_is_the_mean_over_runs_and_layers_of_the_networks_that_are_analysed(results: Results) -> None:
    compared = compare_with_paper(results, "q_vs_regularisation")
    assert len(compared) == len(published("q_vs_regularisation"))
    row = compared.query("measure == 'input_gradient' and regulariser == 'dropout' and strength == 0.3").iloc[0]
    chosen = results.modules.query("trained and measure == 'input_gradient' and dropout == 0.3")
    assert row["here"] == pytest.approx(chosen["score"].mean())
    by_run = chosen.groupby("run")["score"].mean()
    assert row["sem"] == pytest.approx(np.std(by_run, ddof=1) / np.sqrt(4))
    assert row["n"] == 4
    assert row["difference"] == pytest.approx(row["here"] - row["paper"])
    assert row["in_errors"] == pytest.approx(
        row["difference"] / np.sqrt(2 * row["sem"] ** 2 + row["reading_error"] ** 2)
    )


def test_the_baseline_is_the_left_end_of_all_three_curves(results: Results) -> None:
    compared = compare_with_paper(results, "q_vs_regularisation").query("measure == 'input_covariance'")
    left = compared[compared["strength"] == compared.groupby("regulariser")["strength"].transform("min")]
    assert left.dropna(subset=["here"])["here"].nunique() == 1


def test_strengths_that_the_study_lacks_have_no_value(results: Results) -> None:
    compared = compare_with_paper(results, "q_vs_regularisation")
    assert compared.query("regulariser == 'dropout' and strength == 0.45")["here"].isna().all()


def test_networks_left_out_do_not_count_in_q_but_in_performance() -> None:
    results = made_up_results(low_accuracy_above=0.5)
    q = compare_with_paper(results, "q_vs_regularisation").query("regulariser == 'dropout' and strength == 0.6")
    assert q["here"].isna().all()
    performance = compare_with_paper(results, "performance_and_norms")
    row = performance.query("quantity == 'test_accuracy' and regulariser == 'dropout' and strength == 0.6").iloc[0]
    assert row["here"] == 0.5


def test_untrained_networks_are_compared_by_mean_and_spread(results: Results) -> None:
    compared = compare_with_paper(results, "untrained_q").set_index(["measure", "statistic"])
    scores = results.modules.query("not trained and measure == 'output_hessian'")["score"]
    assert compared.loc[("output_hessian", "mean"), "here"] == pytest.approx(scores.mean())
    assert compared.loc[("output_hessian", "sd"), "here"] == pytest.approx(scores.std())
    assert len(compared) == 16


def test_agreement_is_compared_for_trained_and_untrained_networks(results: Results) -> None:
    compared = compare_with_paper(results, "agreement").set_index(["networks", "measure_a", "measure_b"])
    assert len(compared) == 56
    row = compared.loc[("trained", "output_hessian", "input_gradient")]
    chosen = results.agreement.query("trained and measure_a == 'output_hessian' and measure_b == 'input_gradient'")[
        "element_centric"
    ]
    assert row["here"] == pytest.approx(chosen.mean())
    assert not compared["here"].isna().any()


@pytest.fixture(scope="module")
def with_metrics() -> Results:
    results = made_up_results()
    random = np.random.default_rng(0)
    n = len(results.agreement)
    common = random.normal(size=n)
    metrics = {name: random.normal(size=n) for name in ("rmi", "rmi_norm", "vi", "vi_norm", "similarity_spearman")}
    table = results.agreement.assign(**metrics, greedy=common, element_centric=-2 * common)
    return Results(results.study, results.networks, results.modules, table)


def test_metrics_are_correlated_over_every_pair_of_measures_once(with_metrics: Results) -> None:
    compared = compare_with_paper(with_metrics, "metric_agreement").set_index(["metric_a", "metric_b"])
    assert compared.loc[("greedy", "element_centric"), "here"] == pytest.approx(1)
    assert compared["n"].tolist() == [STUDY.runs] * 21  # the standard error is over runs
    layer = with_metrics.agreement.query(
        "trained and run == 0 and l2 == 1e-5 and l1 == 0 and dropout == 0 and layer == 1"
    )
    assert len(layer) == 36
    one_layer = Results(with_metrics.study, with_metrics.networks, with_metrics.modules, layer)
    found = compare_with_paper(one_layer, "metric_agreement").set_index(["metric_a", "metric_b"])
    expected = abs(np.corrcoef(layer["greedy"], layer["vi"])[0, 1])
    assert found.loc[("greedy", "vi"), "here"] == pytest.approx(expected)


def test_other_choices_of_pairs_are_compared_as_well(with_metrics: Results) -> None:
    choices = metric_choices(with_metrics)
    assert len(choices) == 3
    ours = compare_with_paper(with_metrics, "metric_agreement")["difference"]
    assert choices["signed"].iloc[0] == pytest.approx(ours.mean())
    assert choices["largest"].iloc[0] == pytest.approx(ours.abs().max())
    assert choices["mean"].nunique() == 3
    layer = with_metrics.agreement.query(
        "trained and run == 0 and l2 == 1e-5 and l1 == 0 and dropout == 0 and layer == 1"
    )
    one_layer = Results(with_metrics.study, with_metrics.networks, with_metrics.modules, layer)
    squares = [layer.pivot_table(index="measure_a", columns="measure_b", values=name) for name in ("greedy", "vi")]
    full = [square.fillna(square.T).to_numpy().ravel() for square in squares]
    assert len(full[0]) == 64
    both_orders = _metric_agreement(one_layer, "every pair in both orders, each measure with itself")[1]
    found = both_orders.set_index(["metric_a", "metric_b"])["here"]
    assert found["greedy", "vi"] == pytest.approx(abs(np.corrcoef(full)[0, 1]))
    different = layer[layer["measure_a"] != layer["measure_b"]]
    once = _metric_agreement(one_layer, "every pair once, no measure with itself")[1].set_index(
        ["metric_a", "metric_b"]
    )
    assert once.loc[("greedy", "vi"), "here"] == pytest.approx(
        abs(np.corrcoef(different["greedy"], different["vi"])[0, 1])
    )
    assert f"| {choices['signed'].iloc[1]:+.4f} ({choices['mean'].iloc[1]:.4f}) |" in choices_markdown(choices)


def test_an_unknown_table_is_refused(results: Results) -> None:
    with pytest.raises(ValueError, match="table must be one of 'q_vs_regularisation'"):
        compare_with_paper(results, "q")
    for table in (["agreement"], {"agreement"}, None, 3):
        with pytest.raises(ValueError, match=r"table must be one of .*, got (\[|\{|None|3)"):
            compare_with_paper(results, table)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"got 'agreements'\. Did you mean 'agreement'"):
        compare_with_paper(results, "agreements")
    for other in (None, "v1", STUDIES["v1"], results.modules):
        with pytest.raises(ValueError, match=r"results must be the Results of a study, got .*run_study\('v1'\)"):
            compare_with_paper(other, "agreement")  # type: ignore[arg-type]


def test_the_published_strengths_are_all_found_in_v1() -> None:
    v1 = STUDIES["v1"]
    table = pd.concat([published("q_vs_regularisation"), published("performance_and_norms")])
    for (regulariser, strength), _ in table.groupby(["regulariser", "strength"]):
        assert round(strength, 9) in {round(value, 9) for value in v1.strengths(regulariser)}

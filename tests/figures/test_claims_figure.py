"""The figure of all claims shows what judges them, on every study."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from made_up_results import made_up_results
from modularity_lib import figures
from modularity_lib.findings.claims import LITTLE, judge_all, q_by_run
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import MEASURES


@pytest.fixture(scope="module")
def table(v1: Results) -> pd.DataFrame:
    """Of the paper's study, and of one whose dropout raises two measures not at all."""
    flat = ("input_covariance", "output_gradient")
    return figures.claims_across_studies.table([v1, made_up_results(flat_measures=flat)])


def of(table: pd.DataFrame, study: str, claim: str) -> pd.DataFrame:
    return table[(table["study"] == study) & (table["claim"] == claim)].set_index("of")


def test_each_claim_has_what_decides_it_its_interval_and_the_papers_value(v1: Results, table: pd.DataFrame) -> None:
    for claim, verdict in judge_all(v1).items():
        whole = of(table, "v1", claim).loc["all"]
        effect = verdict.effect
        assert effect is not None
        assert whole[["mean", "low", "high"]].tolist() == [effect.mean, effect.low, effect.high]
        assert whole["status"] == verdict.status
        assert whole["paper"] == verdict.paper or (verdict.paper is None and np.isnan(whole["paper"]))
        assert whole["limit"] == (LITTLE if claim == "families-differ" else 0.0)
    assert table.loc[table["study"] == "made-up", "paper"].isna().all()


def test_the_parts_of_a_claim_have_its_whole_as_their_mean(v1: Results, table: pd.DataFrame) -> None:
    rises = of(table, "v1", "dropout-raises-modularity")
    assert set(rises.index) == {"all", *MEASURES}
    assert rises.loc[list(MEASURES), "mean"].mean() == pytest.approx(rises.loc["all", "mean"])
    scores = q_by_run(v1, "dropout")
    strongest = scores.index.get_level_values("strength").max()
    rise = (scores.loc[(strongest, "input_gradient")] - scores.loc[(0.0, "input_gradient")]).mean()
    assert rises.loc["input_gradient", "mean"] == pytest.approx(rise)
    within = of(table, "v1", "families-agree-within")
    assert within.loc[["upstream", "downstream"], "mean"].mean() == pytest.approx(within.loc["all", "mean"])
    across = of(table, "v1", "families-differ")["mean"]
    assert list(across.index) == ["all", "l2", "l1", "dropout"]
    assert across.min() < across["all"] < across.max()
    margins = of(table, "v1", "penalties-are-modest")
    assert (margins.drop("all")["meets"].astype(bool) == (margins.drop("all")["mean"] > 0)).all()
    largest = {}
    for name in ("l2", "l1", "dropout"):
        means = q_by_run(v1, name).mean(axis=1).xs("output_gradient", level="measure")
        largest[name] = means.max() - means.iloc[0]
    expected = largest["dropout"] - max(largest["l2"], largest["l1"])
    assert margins.loc["output_gradient", "mean"] == pytest.approx(expected)


def test_a_measure_that_misses_the_rule_is_hollow(table: pd.DataFrame) -> None:
    rises = of(table, "made-up", "dropout-raises-modularity").drop("all")
    missed = rises.index[~rises["meets"].astype(bool)]
    assert set(missed) == {"input_covariance", "output_gradient"}
    figure = figures.claims_across_studies.draw(table)
    hollow = [
        line for line in figure.axes[0].lines if line.get_markerfacecolor() == "none" and line.get_marker() != "D"
    ]
    assert sorted(line.get_xdata()[0] for line in hollow) == pytest.approx(sorted(rises.loc[missed, "mean"]))


def test_each_study_has_a_row_with_its_verdict_and_each_claim_its_limit(table: pd.DataFrame) -> None:
    figure = figures.claims_across_studies.draw(table)
    assert len(figure.axes) == 4
    verdicts = table.drop_duplicates(["claim", "study"]).set_index(["claim", "study"])["status"]
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    words = {"partly reproduced": "partly"}
    status = verdicts["dropout-raises-modularity", "made-up"]
    assert names == [f"made-up:\n{words.get(status, status)}", "v1:\nreproduced"]
    limits = [line.get_xdata()[0] for axes in figure.axes for line in axes.lines if line.get_linestyle() == "--"]
    assert limits == [0, 0, 0, LITTLE]


def test_it_is_drawn_from_its_csv_file_alone(table: pd.DataFrame) -> None:
    def pixels(figure: Figure) -> np.ndarray:
        figure.set_dpi(50)
        figure.canvas.draw()
        return np.asarray(figure.canvas.buffer_rgba())

    read = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    draw = figures.claims_across_studies.draw
    np.testing.assert_array_equal(pixels(draw(read)), pixels(draw(table)))


def test_a_claim_that_could_not_be_tested_is_named_without_a_mark() -> None:
    results = made_up_results()
    nothing = Results(results.study, results.networks, results.modules, results.agreement.iloc[:0])
    table = figures.claims_across_studies.table([nothing])
    row = of(table, "made-up", "families-differ").loc["all"]
    assert row["status"] == "could not test"
    assert np.isnan(row["mean"])
    figure = figures.claims_across_studies.draw(table)
    assert figure.axes[3].get_yticklabels()[0].get_text() == "made-up:\ncould not test"

"""The ledger counts what it is given: other numbers, other verdicts."""

import numpy as np
import pandas as pd
import pytest

from made_up_results import STUDY, made_up_results
from modularity_lib import figures
from modularity_lib.book.words import ledger as ledger_words
from modularity_lib.book.words import verdicts as verdict_words
from modularity_lib.findings import ledger
from modularity_lib.findings.claims import CLAIMS, NOT_REPRODUCED, PARTLY, REPRODUCED, judge_all
from modularity_lib.studies.results import Results

Q = "Q against regularisation"


@pytest.fixture(scope="module")
def numbers(v1: Results) -> pd.DataFrame:
    return ledger.published_beside_ours(v1)


def moved(numbers: pd.DataFrame, group: str, by: float, rows: slice = slice(None)) -> pd.DataFrame:
    changed = numbers.copy()
    chosen = changed.index[changed["group"] == group][rows]
    changed.loc[chosen, ["here", "difference"]] += by
    return changed


def row(table: pd.DataFrame, group: str) -> pd.Series:
    return table.set_index("group").loc[group]


def test_every_published_number_is_in_the_ledger_once(numbers: pd.DataFrame) -> None:
    assert not numbers.duplicated(["group", "what"]).any()
    assert len(numbers) == 2 * (232 + 2 * 8) + 2 * 28 + 336 + 184 + 21
    assert not numbers["here"].isna().any()
    assert set(numbers["group"]) == {group.title for group in ledger.GROUPS}


def test_norms_are_shares_of_the_largest_published_one(numbers: pd.DataFrame) -> None:
    norms = numbers[numbers["group"].str.startswith("norms")]
    assert norms.groupby(norms["what"].str.split(",").str[0])["paper"].max().tolist() == pytest.approx([1, 1, 1])
    assert norms["difference"].to_numpy() == pytest.approx((norms["here"] - norms["paper"]).to_numpy())
    error = np.sqrt(2 * norms["sem"] ** 2 + norms["reading_error"] ** 2)
    assert norms["in_errors"].to_numpy() == pytest.approx((norms["difference"] / error).to_numpy())


def test_a_group_beyond_one_of_its_limits_differs(numbers: pd.DataFrame) -> None:
    assert row(ledger.ledger(numbers), Q)["verdict"] == ledger.AGREES
    far = row(ledger.ledger(moved(numbers, Q, 0.1, slice(1))), Q)
    assert far["verdict"] == ledger.DIFFERS
    assert far["largest"] == pytest.approx(0.1, abs=0.05)
    assert far["at"] == numbers["what"].iloc[0]
    everywhere = row(ledger.ledger(moved(numbers, Q, 0.012)), Q)
    assert everywhere["verdict"] == ledger.DIFFERS
    assert everywhere["mean"] == pytest.approx(0.012, abs=0.005)


LIMITS = {
    Q: (0.01, 0.04),
    "agreement of clusterings, trained": (None, 0.05),
    "agreement of clusterings, untrained": (None, 0.05),
}


@pytest.mark.parametrize(("group", "mean", "each"), [(group, *limits) for group, limits in LIMITS.items()])
@pytest.mark.parametrize(("over", "verdict"), [(-1e-6, ledger.AGREES), (1e-6, ledger.DIFFERS)])
def test_a_verdict_turns_at_each_limit(
    numbers: pd.DataFrame, group: str, mean: float | None, each: float, over: float, verdict: str
) -> None:
    near = numbers.assign(difference=0.0)
    chosen = near.index[near["group"] == group]
    if mean is not None:
        everywhere = near.copy()
        everywhere.loc[chosen, "difference"] = mean + over
        assert row(ledger.ledger(everywhere), group)["verdict"] == verdict
    near.loc[chosen[-1], "difference"] = -(each + over)  # one number, too low
    found = row(ledger.ledger(near), group)
    assert (found["verdict"], found["at"]) == (verdict, near.loc[chosen[-1], "what"])
    assert (found["largest"], found["mean"]) == pytest.approx((each + over, (each + over) / len(chosen)))


def test_two_combined_errors_off_is_the_last_that_counts_as_near(numbers: pd.DataFrame) -> None:
    rows = numbers[numbers["group"] == Q].head(4).assign(in_errors=[2.0, -2.0, 2.01, -2.01])
    assert row(ledger.ledger(rows), Q)["within_two"] == 2 / 4
    assert ledger_words.far_text(rows).startswith("Of 4 published values of Q 2 lie more than two errors off")


@pytest.mark.parametrize(
    ("count", "told"), [(2, "no measure and sweep has more than two; others 2."), (3, " 3; others 0.")]
)
def test_a_measure_and_sweep_is_named_from_three_values_on(numbers: pd.DataFrame, count: int, told: str) -> None:
    rows = numbers[numbers["what"].str.startswith("output_gradient_norm, l2")].head(count)
    assert ledger_words.far_text(rows.assign(in_errors=3.0)).endswith(told)


def test_a_group_of_which_nothing_can_be_had_gets_no_verdict(numbers: pd.DataFrame) -> None:
    nothing = numbers.assign(here=numbers["here"].where(numbers["group"] != Q))
    found = row(ledger.ledger(nothing), Q)
    assert (found["verdict"], found["numbers"], found["missing"], found["at"]) == (ledger.NO_LIMIT, 232, 232, "")


def test_a_group_without_limits_gets_no_verdict(numbers: pd.DataFrame) -> None:
    table = ledger.ledger(moved(numbers, "accuracies", 5.0))
    assert set(table.loc[table["verdict"] != ledger.NO_LIMIT, "group"]) == set(LIMITS)
    assert row(table, "accuracies")["verdict"] == ledger.NO_LIMIT
    assert row(table, "accuracies")["largest"] > 4


def test_the_words_of_the_ledger_follow_its_numbers(numbers: pd.DataFrame) -> None:
    before = ledger_words.ledger_texts(numbers)["ledger_sentence"]
    farther = moved(numbers, Q, 0.1)
    changed = ledger.ledger(farther)
    assert before.startswith("3 of the 3 groups")
    assert ledger_words.ledger_texts(farther)["ledger_sentence"].startswith("2 of the 3 groups")
    assert "| differs (mean 0.01, each 0.04) |" in ledger_words.ledger_markdown(changed)
    assert "| agrees (mean 0.01, each 0.04) |" in ledger_words.ledger_markdown(ledger.ledger(numbers))


def test_numbers_of_a_study_with_another_grid_are_counted_as_missing() -> None:
    made_up = made_up_results()
    for metric in ("greedy", "rmi", "rmi_norm", "vi", "vi_norm", "similarity_spearman"):
        made_up.agreement[metric] = made_up.agreement["element_centric"]
    table = ledger.ledger(ledger.published_beside_ours(made_up))
    assert row(table, Q)["missing"] > 100
    assert f"{row(table, Q)['numbers'] - row(table, Q)['missing']} of 232" in ledger_words.ledger_markdown(table)


def test_every_claim_is_judged_on_every_study() -> None:
    rises = {"rising": 0.2, "flat": 0.0, "slow": 0.03}
    verdicts = {study: judge_all(made_up_results(dropout_rise=rise)) for study, rise in rises.items()}
    table = ledger.verdicts_by_study(verdicts)
    assert len(table) == 3 * len(CLAIMS)
    first = table[table["claim"] == CLAIMS[0].id].set_index("study")
    assert first["status"].to_dict() == {"rising": REPRODUCED, "flat": NOT_REPRODUCED, "slow": PARTLY}
    assert first.loc["rising", ["missed", "n_runs"]].tolist() == ["", STUDY.runs]
    assert first.loc["slow", "missed"] == "Q rises by a factor of 1.5"
    assert first.loc["slow", "mean"] == pytest.approx(0.03, abs=0.002)
    text = verdict_words.by_study_markdown(verdicts)
    assert f"| {CLAIMS[0].statement} | reproduced: 0.20" in text


def test_each_number_is_a_point_of_the_figure(numbers: pd.DataFrame) -> None:
    figure = figures.published_against_ours(numbers)
    points = figure.axes[0].containers[0].lines[0].get_xydata()
    rows = numbers[numbers["group"] == Q]
    assert points.tolist() == rows[["paper", "here"]].to_numpy().tolist()
    assert sum(len(c.lines[0].get_xdata()) for axes in figure.axes for c in axes.containers) == len(numbers) - 16


def test_the_signed_mean_and_the_farthest_number_are_told(numbers: pd.DataFrame) -> None:
    lower = row(ledger.ledger(moved(numbers, Q, -0.02)), Q)
    assert lower["signed"] == pytest.approx(numbers.loc[numbers["group"] == Q, "difference"].mean() - 0.02)
    far = numbers.copy()
    far.loc[5, "in_errors"] = -50.0
    told = row(ledger.ledger(far), Q)
    assert (told["farthest"], told["farthest_at"]) == (50.0, far.loc[5, "what"])
    assert f"| 50.0 ({far.loc[5, 'what'].replace('_', ' ')}) |" in ledger_words.ledger_markdown(ledger.ledger(far))


def test_values_of_q_far_off_are_grouped_by_measure_and_sweep(numbers: pd.DataFrame) -> None:
    near = numbers.assign(in_errors=0.5)
    assert ledger_words.far_text(near).startswith("No published Q lies more than two errors off (232")
    chosen = (near["group"] == Q) & near["what"].str.startswith("output_gradient_norm, l2")
    far = near.assign(
        in_errors=near["in_errors"].where(~chosen, -3.0), difference=near["difference"].where(~chosen, -0.1)
    )
    far.loc[far["what"].str.startswith("input_covariance, l1")[lambda named: named].index[0], "in_errors"] = 4.0
    told = ledger_words.far_text(far)
    assert f"Of 232 published values of Q {int(chosen.sum()) + 1} lie" in told
    assert told.endswith(f"output gradient (norm) under L2 {int(chosen.sum())}; others 1.")


def test_a_claim_reproduced_in_part_says_what_its_rule_missed() -> None:
    verdicts = judge_all(made_up_results(flat_measures=("input_gradient",)))
    told = verdict_words.by_study_markdown({"made-up": verdicts})
    assert "partly reproduced: " in told
    assert "; but Q rises in 7 of 8 (3 upstream, 4 downstream) only" in told


def test_the_size_of_every_study_is_told() -> None:
    told = ledger_words.runs_text([made_up_results()])
    assert (
        told == f"Behind each study: made-up {STUDY.runs} runs of 6 settings and {STUDY.untrained} untrained networks."
    )

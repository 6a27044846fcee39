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


def test_of_many_measures_and_sweeps_the_three_with_most_values_far_off_are_named(numbers: pd.DataFrame) -> None:
    rows = numbers[(numbers["group"] == Q) & numbers["what"].str.contains(", dropout")].assign(in_errors=3.0)
    assert ledger_words.far_text(rows).count(" under dropout (15)") == 3


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (2, " No measure has more than two of them in one sweep."),
        (3, "Most often it is output gradient (norm) under L2 (3)."),
    ],
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
    assert before.startswith(
        "Every group of numbers for which we had set a limit keeps to it. The least close of them is"
    )
    told = "Of the 3 groups for which we had set a limit, 2 keep to it."
    assert ledger_words.ledger_texts(farther)["ledger_sentence"].startswith(told)
    everywhere = moved(numbers, "agreement of clusterings, trained", 0.1)
    one = ledger_words.ledger_texts(moved(everywhere, Q, 0.1))["ledger_sentence"]
    assert one.startswith("Of the 3 groups for which we had set a limit, 1 keeps to it.")
    nowhere = ledger_words.ledger_texts(numbers.assign(difference=1.0))["ledger_sentence"]
    assert nowhere.startswith("Of the 3 groups for which we had set a limit, none keep to it.")
    none = ledger_words.ledger_texts(numbers.assign(here=np.nan))
    assert none["ledger_sentence"] == "No group with a limit belongs to this study."
    assert (none["n_numbers"], none["ledger_head"]) == ("0", "This study has none of the published numbers.")
    assert "| differs (mean 0.01, each 0.04) |" in ledger_words.ledger_markdown(changed)
    assert "| agrees (mean 0.01, each 0.04) |" in ledger_words.ledger_markdown(ledger.ledger(numbers))


def test_the_group_with_a_limit_that_is_least_close_is_named_and_whether_it_is_off_one_way(
    numbers: pd.DataFrame,
) -> None:
    near = numbers.assign(in_errors=0.5)
    chosen = near.index[near["group"] == "agreement of clusterings, untrained"]
    near.loc[chosen[:14], "in_errors"] = 3.0
    near.loc[chosen, "difference"] = [0.02] * 27 + [-0.02]  # mean 0.01857..., mean size 0.02
    told = ledger_words.ledger_texts(near)["ledger_sentence"]
    assert told.endswith(
        "The least close of them is “agreement of clusterings, untrained”. Ours are 0.019 higher there on average, "
        "nearly all one way, and 50 % lie within two errors."
    )
    near.loc[chosen, "difference"] = [-0.02] * 25 + [0.02] * 3  # mean -0.0157..., less than 0.8 times 0.02
    told = ledger_words.ledger_texts(near)["ledger_sentence"]
    assert "Ours are 0.016 lower there on average, some higher and some lower, and 50 % lie" in told


def test_numbers_are_called_by_the_words_of_the_book_in_the_tables(numbers: pd.DataFrame) -> None:
    told = [ledger_words.number_text(what) for what in numbers["what"]]
    assert not any("_" in name or "hessian" in name or "e-0" in name or not name for name in told)
    for group, of in numbers.assign(told=told).groupby("group"):
        assert of["told"].is_unique, group
    table = ledger.ledger(numbers)
    weights = "share of small weights"
    assert row(table, weights)["at"] == "sparsity, l1, 1e-05"
    assert r"| 0.021 (share of $\lvert w \rvert$ < 0.001, L1 1e-5) |" in ledger_words.ledger_markdown(table)
    nothing = ledger.ledger(numbers.assign(here=np.nan))
    assert "| nan (–) |" in ledger_words.ledger_markdown(nothing)


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
    assert f"| 1. {CLAIMS[0].statement} | **reproduced**<br>0.20 [" in text
    some = verdict_words.by_study_markdown(verdicts, claims=[CLAIMS[3].id]).splitlines()
    assert len(some) == 3
    assert some[2].startswith(f"| 4. {CLAIMS[3].statement} | **")


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
    which = ledger_words.number_text(far.loc[5, "what"])
    assert f"| {Q} (P3) | {which} | 50.0 |" in ledger_words.farthest_markdown(ledger.ledger(far))


def test_values_of_q_far_off_are_grouped_by_measure_and_sweep(numbers: pd.DataFrame) -> None:
    near = numbers.assign(in_errors=0.5)
    assert ledger_words.far_text(near).startswith("No published Q lies more than two errors off (232")
    chosen = (near["group"] == Q) & near["what"].str.startswith("output_gradient_norm, l2")
    far = near.assign(
        in_errors=near["in_errors"].where(~chosen, -3.0), difference=near["difference"].where(~chosen, -0.1)
    )
    other = far["what"].str.startswith("input_covariance, l1")[lambda named: named].index[0]
    far.loc[other, ["in_errors", "difference"]] = [4.0, 0.1]
    told = ledger_words.far_text(far)
    assert f"Of 232 published values of Q {int(chosen.sum()) + 1} lie" in told
    assert told.endswith(f"Most often it is output gradient (norm) under L2 ({int(chosen.sum())}).")
    assert f"and ours are lower in {int(chosen.sum())}." in told


def test_a_claim_reproduced_in_part_says_what_its_rule_missed() -> None:
    verdicts = judge_all(made_up_results(flat_measures=("input_gradient",)))
    told = verdict_words.by_study_markdown({"made-up": verdicts})
    assert "**partly reproduced**<br>" in told
    assert "<br>but Q rises in 7 of 8 (3 upstream, 4 downstream) only" in told


def test_the_size_of_every_study_is_told() -> None:
    told = ledger_words.studies_markdown([made_up_results()]).splitlines()
    assert told[2:] == [f"| `made-up` | {STUDY.runs} | 6 | {STUDY.untrained} |"]


def test_verdicts_judged_in_two_ways_are_compared() -> None:
    claims = [CLAIMS[0].id, CLAIMS[1].id]
    rising, flat = (judge_all(made_up_results(dropout_rise=rise)) for rise in (0.2, 0.0))
    same = ledger_words.compared_text({"a": rising, "b": flat}, {"a": rising, "b": flat}, claims)
    assert same == "the verdicts on claims 1 and 2 stay the same on every study as a whole"
    other = ledger_words.compared_text(
        {"a": rising, "b": flat}, {"a": rising, "b": rising | {claims[1]: flat[claims[1]]}}, claims
    )
    assert other == (
        "the verdicts on claims 1 and 2 stay the same but for claim 1 on b (not reproduced, then reproduced)"
    )

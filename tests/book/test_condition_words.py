"""Words on the rules: what is met by untrained networks, how near a verdict is to turning, what was known when."""

import shutil
import subprocess

import numpy as np
import pytest

from made_up_results import made_up_results
from modularity_lib.book.words.conditions import (
    conditions_markdown,
    disclosure_texts,
    equal_accuracy_text,
    rules_in_short,
    stricter_markdown,
    stricter_text,
    turning_text,
)
from modularity_lib.findings.claims import NOT_REPRODUCED, PARTLY, REPRODUCED, Condition, Verdict, judge_all
from modularity_lib.findings.conditions import conditions_table
from modularity_lib.findings.disclosure import FIRST_TABLES, HISTORY, SET_AFTER
from modularity_lib.findings.equal_accuracy import rises_at_equal_accuracy
from modularity_lib.findings.inference import effect_over_runs
from modularity_lib.findings.stricter_claims import judge_within_stricter
from modularity_lib.paths import checkout

FAMILIES = ("upstream", "downstream")


def test_what_untrained_networks_meet_is_in_bold_and_counted() -> None:
    results = made_up_results()
    table = conditions_table(results)
    lines = conditions_markdown(table).splitlines()
    assert len(lines) == 2 + len(table)
    [share] = [line for line in lines if "two upstream measures: share" in line]
    assert share.startswith(
        "| 3 | two upstream measures: share with p < 0.05 | above 0.5 | 1.00 | **1.00, meets it** | – |"
    )
    other = table.assign(untrained=table["untrained"] - 0.25)
    [share] = [line for line in conditions_markdown(other).splitlines() if "two upstream measures: share" in line]
    assert "| 1.00 | **0.75, meets it** |" in share
    [factor] = [line for line in lines if "factor of Q" in line]
    assert "| above 1.5 | 2.9" in factor or "| above 1.5 | 3.0" in factor
    met, compared = int(table["untrained_meets"].sum()), int(table["untrained"].notna().sum())
    told = turning_text(table)
    assert f"Untrained networks can be asked {compared} of the conditions, and meet {met} (4 of claim 3" in told
    assert told.endswith(" What they meet says nothing of training.")
    assert compared < len(table)
    none = turning_text(table.assign(untrained_meets=False))
    assert none.endswith(f"Untrained networks can be asked {compared} of the conditions, and meet 0.")


def test_the_nearest_condition_is_named_with_its_limit() -> None:
    results = made_up_results()
    table = conditions_table(results)
    table.loc[table["condition"] == "factor of Q", ["at", "here", "low", "high", "in_widths"]] = [
        "m",
        1.45,
        1.4,
        1.5,
        -1,
    ]
    assert turning_text(table).startswith(
        "Nearest to another verdict is claim 1. Its condition “factor of Q” (m) asks for more than 1.5, and we find "
        "1.45 [1.40, 1.50]. Untrained networks can"
    )
    assert "−1.0" in conditions_markdown(table)
    across = table[table["condition"] == "agreement across"].assign(in_widths=0.1)
    assert "Its condition “agreement across” asks for at most 0.25, and we find" in turning_text(across)
    assert turning_text(table.iloc[:0]) == "No claim could be tested."


def test_rises_at_equal_accuracy_are_told_with_strength_and_accuracy() -> None:
    told = equal_accuracy_text(rises_at_equal_accuracy(made_up_results()))
    assert "0.03 under L2 0.001 (95 %), 0.00 under L1 0.0001 (95 %) and 0.20 under dropout 0.6 (95 %)" in told
    assert told.endswith(" Dropout leads by 0.17 [0.17, 0.17].")
    assert equal_accuracy_text(None).startswith("A sweep has no strength")


def test_both_rules_stand_in_a_row_per_study() -> None:
    results = made_up_results()
    stricter = judge_within_stricter(results)  # untrained networks agree as trained ones do
    table = stricter_markdown({"made-up": judge_all(results)}, {"made-up": stricter})
    assert f"| `made-up` | reproduced | **{stricter.status}** | +0.00" in table
    assert stricter.status != "reproduced"
    gains = {"upstream": effect_over_runs(np.array([0.1])), "downstream": effect_over_runs(np.array([-0.2]))}
    by_hand = {"made-up": Verdict("partly reproduced", None, None, evidence=gains)}
    row = stricter_markdown({"made-up": judge_all(results)}, by_hand).splitlines()[2]
    assert row.endswith("| **partly reproduced** | +0.100 (0.100 to 0.100) | -0.200 (-0.200 to -0.200) |")
    assert "*The stricter rule.* Over live units alone." in table


def by_families(status: str, *failing: str) -> Verdict:
    conditions = [
        Condition(f"two {kind} measures agree more than untrained", kind not in failing, 0.0) for kind in FAMILIES
    ]
    return Verdict(status, None, None, tuple(conditions))


def test_the_stricter_rule_is_told_with_its_date_what_comes_of_it_and_why() -> None:
    down = by_families(PARTLY, "downstream")
    told = stricter_text({"a": down, "b": down})
    assert "It was set on 26 November 2026, after the tables were known. By it claim 3 is partly" in told
    assert told.endswith(
        "claim 3 is partly reproduced on every study: two downstream measures agree no more than in untrained networks."
    )
    neither = by_families(NOT_REPRODUCED, *FAMILIES)
    assert stricter_text({"a": neither, "b": down}).endswith(
        "claim 3 is not reproduced on a, and partly reproduced on b: two downstream measures agree no more than in "
        "untrained networks."
    )
    assert "on every study: two upstream measures and two downstream measures agree" in stricter_text({"a": neither})
    mixed = stricter_text({"a": by_families(REPRODUCED), "b": down, "c": down})
    assert mixed.endswith("By it claim 3 is reproduced on a, and partly reproduced on b and c.")


def test_every_rule_is_told_in_short_with_the_limits_that_are_applied() -> None:
    lines = rules_in_short().splitlines()
    assert [line[:3] for line in lines] == ["1. ", "2. ", "3. ", "4. "]
    for line, limits in zip(lines, (("1.5 times", "3 standard", "8 measures"), (), ("50 %",), ("0.25",)), strict=True):
        assert all(limit in line for limit in limits)
        assert line[3].islower()
    assert lines[-1].endswith(".")
    assert all(line.endswith(";") for line in lines[:-1])


def test_the_disclosure_tells_both_pairs_of_numbers_and_every_date() -> None:
    results = made_up_results()
    now = {claim: verdict.effect.mean for claim, verdict in judge_all(results).items() if verdict.effect}
    told = disclosure_texts({"v1": judge_all(results)})
    within, across = FIRST_TABLES
    assert told["disclosure_measured"] == (
        f"That moved the numbers that decide claim 3 from 0.19 to {now[within]:.2f} and claim 4 from 0.13 to "
        f"{now[across]:.2f}, and changed no verdict."
    )
    assert "and claim 4 from 0.13, and changed" in disclosure_texts({})["disclosure_measured"]
    assert told["disclosure_3"] == "24 November 2026, 13:03, commit 537f2bf: the first tables of v1 were complete."
    assert told["disclosure_late"].count("November 2026") == len(SET_AFTER)


@pytest.mark.parametrize("step", [step for step in (*HISTORY, *SET_AFTER) if step.commit])
def test_dates_are_those_of_the_commits(step) -> None:
    if not shutil.which("git"):
        pytest.skip("no git")
    command = ["git", "log", "-1", "--format=%ad%n%B", "--date=format:%Y-%m-%d %H:%M", step.commit]
    found = subprocess.run(command, capture_output=True, text=True, cwd=checkout())
    if found.returncode:
        pytest.skip(f"the history lacks {step.commit}")
    assert found.stdout.startswith(step.date)
    if step.commit == "069c472":
        assert "within minus across 0.190 -> 0.224, across 0.127 -> 0.080" in found.stdout

"""How sure each finding is: rows of the table from shipped results, and from made-up trials whose rates are known."""

from dataclasses import replace

import pandas as pd
import pytest

import modularity_lib as ml
from made_up_results import made_up_results
from modularity_lib.book.words.how_sure import Tried, how_sure_markdown, short_text, texts
from modularity_lib.findings.claims import judge_all
from modularity_lib.findings.inference import Trial
from modularity_lib.findings.lesion_trials import TRIED

# Without modules 30 of 200 pairs are called modules, by weak nulls 90; in the worse case 30 of 50.
RISES = pd.DataFrame(
    {
        "truth": ["no modules", "no modules", "modules", "less in common"],
        "pairs": [150, 50, 40, 1000],
        "modules": [0, 30, 38, 999],
        "modules_by_weak_nulls": [60, 30, 40, 999],
    }
)
SIDES = pd.DataFrame(
    {"truth": ["apart", "one thing", ""], "groups": [10, 4, 99], "called": [0.2, 1.0, 1.0], "right": [0.8, 0.75, 0.0]}
)
COPIES = pd.DataFrame(
    {
        "rule": ["copies", "copies", "copies", "copies", "basis"],
        "truth": [False, False, True, True, False],
        "called": [0.0, 0.5, 1.0, 0.9, 1.0],
    }
)
MADE_UP = Tried(Trial(coverage=0.947, called=0.054, samples=1000), RISES, SIDES, COPIES)


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    studies = [ml.run_study(name) for name in ("v1", "final-base")]
    judged = {results.study.name: judge_all(results) for results in studies}
    return [line.split(" | ") for line in how_sure_markdown(studies, judged, MADE_UP).splitlines()]


def test_each_claim_and_each_finding_has_a_row(rows: list[list[str]]) -> None:
    assert len(rows) == 2 + 4 + 4
    assert {len(row) for row in rows if len(row) > 1} == {5}


def test_claims_have_their_size_what_untrained_networks_meet_and_the_other_studies(rows: list[list[str]]) -> None:
    dropout, penalties, within, across = rows[2:6]
    verdict = judge_all(ml.run_study("v1"))["dropout-raises-modularity"]
    assert verdict.effect is not None
    assert dropout[1].startswith(f"{verdict.effect.mean:.2f} [")
    assert dropout[1].endswith(verdict.status)
    assert dropout[2] == "untrained networks meet 0 of its 3 conditions"
    assert penalties[2] == "its conditions cannot be asked of untrained networks"
    assert within[2] == "untrained networks meet 3 of its 4 conditions"
    assert across[2] == "untrained networks meet 2 of its 2 conditions"
    assert dropout[4].startswith("partly reproduced, 0.11")
    assert penalties[4].startswith("partly reproduced, 0.04")


def test_studies_of_one_verdict_are_told_together() -> None:
    results = made_up_results()
    others = [replace(results, study=replace(results.study, name=name)) for name in ("one", "two", "three")]
    judged = {results.study.name: judge_all(results)} | {
        name: judge_all(made_up_results(dropout_rise=rise))
        for name, rise in (("one", 0.2), ("two", 0.3), ("three", 0.0))
    }
    row = how_sure_markdown([results, *others], judged, MADE_UP).splitlines()[2]
    assert row.endswith(" | reproduced, 0.20 to 0.30 (`one` and `two`)<br>not reproduced, 0.00 (`three`) |")


def test_rules_have_the_rates_of_their_trials(rows: list[list[str]]) -> None:
    modules, lesions, sides, copies = rows[6:]
    assert "none in 15 % (worst case 60 %; 45 % where units cannot" in modules[2]  # 30 and 90 of 200, 30 of 50
    assert modules[2].endswith("finds 95 % of planted ones")
    found = TRIED["modules of one job, units unlike in activity"]["answer"]["more than near neighbours"]
    assert lesions[2].endswith(f"finds those of one job in {found} of 100")
    assert sides[2] == "made-up layers: 2 of 10 unrelated groups are called related, 11 of 14 what they are"
    assert copies[2] == "made-up layers: finds 95 % of the copies, and is fooled by 1 of 2 kinds of cases without"


def test_findings_have_their_size_on_other_studies_where_they_were_measured(rows: list[list[str]]) -> None:
    _, _, sides, copies = rows[6:]
    assert sides[1].startswith("at 6 of 8 settings of L2")
    assert sides[4].startswith("`final-base`: at 5 of 8 settings of L2")
    assert "layer 1: units with a twin from 0 % to 49 % (rotated units 0 %)" in copies[1]
    assert "`final-base`: layer 1: units with a twin from 0 % to 56 %" in copies[4]


def test_a_study_by_itself_has_no_last_column_and_no_finding_that_was_not_measured() -> None:
    results = made_up_results()
    lines = how_sure_markdown([results], {results.study.name: judge_all(results)}, MADE_UP).splitlines()
    assert len(lines) == 2 + 4
    assert {line.count(" | ") for line in lines if "---" not in line} == {3}


def test_the_answer_says_what_is_surest_and_what_is_least_sure() -> None:
    results = ml.run_study("v1")
    text = short_text(results, judge_all(results), MADE_UP)
    assert text.startswith("Surest is that dropout raises Q in these networks: by 0.16 [")
    assert "and in each of 9 runs. Claims 3 and 4 say less of training: untrained networks meet 5 of their 6" in text
    assert "our rule finds some in 15 % of made-up cases, and in 60 % of the worst ones." in text
    assert text.endswith("do one job in 47 of 100 trials.")
    no_verdict = {
        name: verdict.__class__(**{**vars(verdict), "effect": None}) for name, verdict in judge_all(results).items()
    }
    assert short_text(results, no_verdict, MADE_UP).startswith("No claim could be judged on this study.")


def test_the_intervals_are_told_with_their_trial() -> None:
    assert texts(MADE_UP) == {
        "sure_intervals": "On 1,000 made-up sets of as many runs a 95 % interval holds the truth in 95 %."
    }

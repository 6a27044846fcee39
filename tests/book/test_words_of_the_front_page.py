"""The answer in four sentences, and the verdicts in words, of made-up studies whose effects are known."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from made_up_results import STUDY, made_up_results
from modularity_lib.book.words.front import answer_text, exception_text
from modularity_lib.book.words.verdicts import short_verdicts_markdown
from modularity_lib.findings.claims import Verdict, judge_all
from modularity_lib.findings.stricter_claims import judge_within_stricter
from modularity_lib.vocabulary import FAMILY, MEASURES

DOWNSTREAM = tuple(name for name in MEASURES if FAMILY[name] == "downstream")
UPSTREAM = tuple(name for name in MEASURES if FAMILY[name] == "upstream")


def told(others: Mapping[str, Mapping[str, Any]] | None = None, **effects: Any) -> str:
    """The answer for a made-up study, and others under the published protocol."""
    studies = {"made-up": STUDY} | {name: replace(STUDY, name=name, protocol="final") for name in others or {}}
    judged = {"made-up": judge_all(made_up_results(**effects))}
    judged |= {name: judge_all(made_up_results(**other)) for name, other in (others or {}).items()}
    return answer_text(studies, judged)


def test_the_answer_has_the_factors_of_both_families_and_the_largest_rises() -> None:
    text = told()
    assert text.startswith(
        "Yes, under dropout. At dropout 0.6 the modularity Q of what units receive is 3.0 times what it is without "
        "dropout, and that of what they do 3.0 times. Weight penalties do less: on average over 8 measures dropout "
        "raises Q by 0.20, L2 by at most 0.03 and L1 by at most 0.02. Measures of what units receive agree on the "
        "modules, and so do measures of what they do. A measure of one side barely agrees with one of the other (0."
    )
    halves = told(flat_measures=DOWNSTREAM)
    assert "receive is 3.0 times what it is without dropout, and that of what they do 1.0 times" in halves


@pytest.mark.parametrize(
    ("effects", "expected"),
    [
        ({"flat_measures": DOWNSTREAM}, "In part, under dropout."),
        ({"dropout_rise": 0.0}, "No. At dropout"),
        (
            {"l2_rise": 0.3},
            "Weight penalties do about as much: on average over 8 measures dropout raises Q by 0.20, L2 by",
        ),
        (
            {"agreement": {"upstream": 0.7, "downstream": 0.2, "across": 0.3}},
            "on the modules on one side only. A measure",
        ),
        (
            {"agreement": {"upstream": 0.2, "downstream": 0.2, "across": 0.3}},
            "Measures of one side of a unit do not agree on the modules. A measure of one side agrees with",
        ),
        (
            {"agreement": {"upstream": 0.7, "downstream": 0.6, "across": 0.5}},
            "A measure of one side agrees with one of the other (0.33, where",
        ),
        ({"low_accuracy_above": -1.0}, "Could not test whether dropout makes hidden units form modules."),
    ],
)
def test_each_sentence_follows_the_verdict(effects: dict[str, Any], expected: str) -> None:
    assert expected in told(**effects)


@pytest.mark.parametrize(
    ("others", "where"),
    [
        (
            [{"flat_measures": DOWNSTREAM}],
            "Q rises by 0.10, and by half or more only in what units receive (4 of 4 measures).",
        ),
        (
            [{"flat_measures": DOWNSTREAM}, {"flat_measures": (*DOWNSTREAM, *UPSTREAM[:2])}],
            "Q rises by 0.05 to 0.10, and by half or more only in what units receive (2 to 4 of 4 measures).",
        ),
        ([{}], "by half or more in 4 of 4 measures of what units receive and in 4 of 4 of what they do."),
        ([{"flat_measures": UPSTREAM}], "in none of 4 measures of what units receive and in 4 of 4 of what they do."),
        (
            [{"flat_measures": MEASURES}],
            "in none of 4 measures of what units receive and in none of 4 of what they do.",
        ),
    ],
)
def test_the_last_sentence_is_on_the_studies_of_the_published_version(others: list[dict[str, Any]], where: str) -> None:
    published = "In the paper's published version, which stops training early,"
    assert published not in told()
    text = told({f"other {number}": other for number, other in enumerate(others)})
    assert published in text
    assert text.endswith(where)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (("partly reproduced", "not reproduced"), "is partly reproduced; over live units it is not reproduced."),
        (("reproduced", "reproduced"), "the last claim is reproduced, and so it is over live units."),
    ],
)
def test_the_exception_is_that_of_the_strongest_dropout(statuses: tuple[str, str], expected: str) -> None:
    rows = [
        {"claim": claim, "networks": networks, "layer": "all", "units": units, "status": status}
        for claim, networks, found in [
            ("families-differ", "dropout", ("never", "never")),
            ("families-differ", "dropout 0.7", statuses),
            ("families-differ", "dropout 0.5", ("never", "never")),
            ("families-agree-within", "dropout 0.7", ("never", "never")),
        ]
        for units, status in zip(("all", "live"), found, strict=True)
    ]
    text = exception_text(pd.DataFrame(rows))
    assert text.startswith("At dropout 0.7, where modules are clearest, the last claim is")
    assert text.endswith(expected)
    assert exception_text(pd.DataFrame(rows[:2])) == ""


def test_verdicts_in_words_say_why_and_join_studies_that_are_alike() -> None:
    wide, base = (replace(STUDY, name=name, protocol="final") for name in ("wide", "base"))
    part = {"flat_measures": DOWNSTREAM}
    results = {"made-up": made_up_results(), "wide": made_up_results(**part), "base": made_up_results(**part)}
    verdicts: dict[str, dict[str, Verdict]] = {name: judge_all(of) for name, of in results.items()}
    rows = short_verdicts_markdown([STUDY, wide, base], verdicts).splitlines()
    assert rows[0] == "| the paper's claim | arXiv version | published version |"
    rises = (
        "Q rises in upstream measures only, Q rises by half or more in upstream measures only and Q is clearly above"
    )
    assert (
        f"| **reproduced** | **partly reproduced**: {rises} untrained networks in upstream measures only |" in rows[2]
    )
    verdicts["base"] = verdicts["made-up"]
    rows = short_verdicts_markdown([STUDY, wide, base], verdicts).splitlines()
    assert "upstream measures only (`wide`)<br>**reproduced** (`base`) |" in rows[2]


def test_verdicts_in_words_can_have_their_sizes() -> None:
    wide, base = (replace(STUDY, name=name, protocol="final") for name in ("wide", "base"))
    results = {
        "made-up": made_up_results(),
        "wide": made_up_results(flat_measures=DOWNSTREAM),
        "base": made_up_results(),
    }
    verdicts = {name: judge_all(of) for name, of in results.items()}
    row = short_verdicts_markdown([STUDY, wide, base], verdicts, sizes=True).splitlines()[2]
    assert "| **reproduced**, 0.20 | **partly reproduced**, 0.10: Q rises in upstream" in row
    assert row.endswith("(`wide`)<br>**reproduced**, 0.20 (`base`) |")
    half = {name: judge_all(made_up_results(dropout_rise=rise)) for name, rise in (("wide", 0.2), ("base", 0.3))}
    assert "| **reproduced**, 0.20 to 0.30 |" in short_verdicts_markdown([wide, base], half, sizes=True)


def test_the_stricter_rule_stands_beside_the_first() -> None:
    results = made_up_results()
    stricter = {"made-up": judge_within_stricter(results)}
    table = short_verdicts_markdown([STUDY], {"made-up": judge_all(results)}, stricter)
    [row] = [line for line in table.splitlines() if "by a stricter rule" in line]
    assert (
        f"<br>by a stricter rule, set later, **{stricter['made-up'].status}**: upstream ones agree no more than in untr"
        in row
    )


@pytest.mark.parametrize(
    ("effects", "why"),
    [
        ({"strong_l2": MEASURES}, "in half of the measures or more a penalty raises Q at least as much as dropout"),
        ({"agreement": {"upstream": 0.7, "downstream": 0.6, "across": 0.5}}, "they agree too much"),
        ({"agreement": {"upstream": 0.7, "downstream": 0.2, "across": 0.3}}, "downstream ones do not"),
        ({"flat_measures": MEASURES}, "Q rises by half or more in no measure"),
        ({"flat_measures": MEASURES[:3]}, "Q rises by half or more in some measures only"),
    ],
)
def test_each_condition_that_is_missed_has_plain_words(effects: dict[str, Any], why: str) -> None:
    assert why in short_verdicts_markdown([STUDY], {"made-up": judge_all(made_up_results(**effects))})

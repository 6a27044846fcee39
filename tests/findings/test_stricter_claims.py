"""The stricter rule on agreement asks for more than the first one, and for what untrained networks do not have."""

from dataclasses import replace

import pytest

from made_up_results import made_up_results
from modularity_lib.book.words.verdicts import missed_text
from modularity_lib.findings.claims import COULD_NOT_TEST, NOT_REPRODUCED, PARTLY, REPRODUCED, judge_all
from modularity_lib.findings.stricter_claims import CLAIM, judge_within_stricter
from modularity_lib.studies.results import Results


def with_untrained(results: Results, **agreement: float) -> Results:
    """The same, but untrained networks agree so much in each family. Chance is 0.25."""
    table = results.agreement
    for family, alike in agreement.items():
        measures = {"upstream": "input", "downstream": "output"}[family]
        both = table["measure_a"].str.startswith(measures) & table["measure_b"].str.startswith(measures)
        table.loc[both & ~table["trained"], "element_centric"] = alike
    return results


@pytest.mark.parametrize(
    ("untrained", "status", "missed"),
    [
        ({"upstream": 0.3, "downstream": 0.3}, REPRODUCED, ""),
        (
            {"upstream": 0.3, "downstream": 0.65},
            PARTLY,
            "two downstream measures do not agree more than untrained (−0.06",
        ),
        (
            {"upstream": 0.75, "downstream": 0.3},
            PARTLY,
            "two upstream measures do not agree more than untrained (−0.06",
        ),
        ({"upstream": 0.75, "downstream": 0.65}, NOT_REPRODUCED, "two upstream measures do not"),
    ],
)
def test_agreement_of_untrained_networks_turns_the_verdict(untrained: dict, status: str, missed: str) -> None:
    results = with_untrained(made_up_results(), **untrained)  # trained ones agree by 0.7 and 0.6
    verdict = judge_within_stricter(results)
    assert verdict.status == status
    assert missed_text(verdict).startswith(missed)
    assert judge_all(results)[CLAIM].status == REPRODUCED  # the first rule does not see it


def test_what_the_first_rule_misses_the_stricter_one_misses_too() -> None:
    without_p = {"upstream": 0.001, "downstream": 0.5, "across": 0.5}
    results = with_untrained(made_up_results(p_value=without_p), upstream=0.3, downstream=0.3)
    verdict = judge_within_stricter(results)
    assert (verdict.status, missed_text(verdict)) == (PARTLY, "not so for two downstream measures")


def test_the_effect_is_what_both_families_gain_on_average_from_chance_to_identity() -> None:
    verdict = judge_within_stricter(with_untrained(made_up_results(), upstream=0.4, downstream=0.25))
    assert verdict.effect is not None
    gains = (0.7 - 0.25) / 0.75 - (0.4 - 0.25) / 0.75, (0.6 - 0.25) / 0.75
    assert verdict.effect.mean == pytest.approx(sum(gains) / 2, abs=0.003)
    assert [verdict.evidence[kind].mean for kind in ("upstream", "downstream")] == pytest.approx(gains, abs=0.003)


def test_without_untrained_networks_nothing_can_be_tested() -> None:
    results = made_up_results()
    trained = replace(results, agreement=results.agreement[results.agreement["trained"]])
    assert judge_within_stricter(trained).status == COULD_NOT_TEST

"""Each verdict follows from the tables by its rule, and turns when the tables do."""

import re

import pytest

from made_up_results import STUDY, made_up_results
from modularity_lib.book.words.verdicts import detail_text, missed_text
from modularity_lib.findings.claims import CLAIMS, COULD_NOT_TEST, NOT_REPRODUCED, PARTLY, REPRODUCED, judge_all
from modularity_lib.studies.results import Results, agreement_by_kind
from modularity_lib.vocabulary import MEASURES

JUDGE = {claim.id: claim.judge for claim in CLAIMS}
DROPOUT, PENALTIES, WITHIN, ACROSS = JUDGE


def detail(claim: str, results: Results) -> str:
    return detail_text(claim, judge_all(results)[claim])


def test_every_claim_holds_where_all_effects_are_as_the_paper_says() -> None:
    verdicts = judge_all(made_up_results())
    assert {verdict.status for verdict in verdicts.values()} == {REPRODUCED}


def test_the_effect_of_dropout_is_the_rise_at_the_strongest_dropout_paired_by_run() -> None:
    verdict = JUDGE[DROPOUT](made_up_results(dropout_rise=0.2))
    assert verdict.effect is not None
    assert verdict.effect.mean == pytest.approx(0.2, abs=0.002)
    assert verdict.effect.n_runs == STUDY.runs
    assert verdict.paper == pytest.approx(0.2635 - 0.1080, abs=0.01)  # mean of the eight panels at dropout 0.7 and 0


@pytest.mark.parametrize(
    ("changes", "claim", "status"),
    [
        ({"dropout_rise": 0.0}, DROPOUT, NOT_REPRODUCED),
        ({"dropout_rise": -0.05}, DROPOUT, NOT_REPRODUCED),
        ({"dropout_rise": 0.03}, DROPOUT, PARTLY),  # it rises, but not dramatically
        ({"flat_measures": MEASURES[:1]}, DROPOUT, PARTLY),  # one measure does not rise
        ({"dropout_rise": 0.2, "flat_measures": MEASURES[4:]}, DROPOUT, PARTLY),  # a family does not rise
        ({"untrained_spread": 0.1}, DROPOUT, PARTLY),  # untrained networks reach as high
        ({"low_accuracy_above": 0.1}, DROPOUT, COULD_NOT_TEST),
        ({"l2_rise": 0.3, "l1_rise": 0.3}, PENALTIES, NOT_REPRODUCED),
        ({"l2_rise": 0.3}, PENALTIES, PARTLY),
        ({"l1_rise": 0.3}, PENALTIES, PARTLY),
        ({"strong_l2": MEASURES[:3]}, PENALTIES, REPRODUCED),
        ({"strong_l2": MEASURES[:2], "dropout_rise": 0.1}, PENALTIES, PARTLY),  # L2 rises more on average, in two alone
        ({"strong_l2": MEASURES[:4]}, PENALTIES, PARTLY),  # dropout's rise is the largest in no more than half
        ({"low_accuracy_above": 0.1}, PENALTIES, COULD_NOT_TEST),
        ({"agreement": {"upstream": 0.25, "downstream": 0.25, "across": 0.3}}, WITHIN, NOT_REPRODUCED),
        ({"agreement": {"upstream": 0.7, "downstream": 0.2, "across": 0.3}}, WITHIN, PARTLY),
        ({"p_value": {"upstream": 0.5, "downstream": 0.5, "across": 0.5}}, WITHIN, NOT_REPRODUCED),
        ({"agreement": {"upstream": 0.7, "downstream": 0.6, "across": 0.65}}, ACROSS, NOT_REPRODUCED),
        ({"agreement": {"upstream": 0.9, "downstream": 0.9, "across": 0.5}}, ACROSS, PARTLY),
    ],
)
def test_a_verdict_turns_when_its_rule_is_not_met(changes: dict, claim: str, status: str) -> None:
    assert JUDGE[claim](made_up_results(**changes)).status == status


def test_a_penalty_that_beats_dropout_in_some_measures_is_told() -> None:
    results = made_up_results()
    assert "the largest of the three in 8 of 8 (4 upstream, 4 downstream)." in detail(PENALTIES, results)
    results = made_up_results(strong_l2=("output_hessian_norm",))
    told = detail(PENALTIES, results)
    assert "the largest of the three in 7 of 8 (4 upstream, 3 downstream); not in output Hessian (norm) (L2 +" in told
    assert "(at 0.001)" in told


@pytest.mark.parametrize(
    ("changes", "claim", "missed"),
    [
        ({}, DROPOUT, ""),
        ({}, PENALTIES, ""),
        ({}, WITHIN, ""),
        ({}, ACROSS, ""),
        ({"dropout_rise": 0.03}, DROPOUT, "Q rises by a factor of 1.5 in 0 of 8 (0 upstream, 0 downstream) only"),
        ({"untrained_spread": 0.1}, DROPOUT, "Q is 3 s.d. above untrained in 1 of 8 (0 upstream, 1 downstream) only"),
        ({"l2_rise": 0.3}, PENALTIES, "dropout's rise exceeds that of L1 only"),
        ({"strong_l2": MEASURES[:4]}, PENALTIES, "dropout's rise is the largest in 4 of 8"),
        (
            {"agreement": {"upstream": 0.7, "downstream": 0.2, "across": 0.3}},
            WITHIN,
            "not so for two downstream measures",
        ),
        ({"agreement": {"upstream": 0.9, "downstream": 0.9, "across": 0.5}}, ACROSS, "the upper end is 0.3"),
        ({"agreement": {"upstream": 0.4, "downstream": 0.4, "across": 0.39}}, ACROSS, "it is not below half of 0.2"),
    ],
)
def test_what_a_rule_asks_for_and_is_not_so_is_told(changes: dict, claim: str, missed: str) -> None:
    verdict = judge_all(made_up_results(**changes))[claim]
    assert missed_text(verdict).startswith(missed)
    assert (verdict.missed == ()) == (verdict.status == REPRODUCED)


def test_agreement_across_is_told_by_sweep_and_at_the_strongest_dropout() -> None:
    results = made_up_results(agreement={"upstream": 0.7, "downstream": 0.7, "across": 0.4})
    table = results.agreement
    strong = (table["dropout"] == 0.6) & table["trained"]
    table["element_centric"] = table["element_centric"].where(~strong, 0.7)
    told = detail(ACROSS, results)
    l2, dropout = (float(value) for value in re.findall(r"(?:L2|, dropout) ([\d.]+\d)", told))
    assert l2 == pytest.approx(0.2, abs=0.01)
    assert dropout == pytest.approx((0.2 + 0.2 + 0.6) / 3, abs=0.01)
    assert "; at dropout 0.6 it is 0.600" in told
    for p_value, is_told in ((0.01, True), (0.9, False)):
        results = made_up_results(p_value={"upstream": 0.01, "downstream": 0.01, "across": p_value})
        assert ("more than the 50% that “usually” asks for" in detail(ACROSS, results)) == is_told


def test_networks_left_out_do_not_count() -> None:
    verdict = JUDGE[DROPOUT](made_up_results(low_accuracy_above=0.4))
    assert verdict.effect is not None
    assert verdict.effect.mean == pytest.approx(0.1, abs=0.002)  # the strongest dropout left is 0.3, half of 0.6


def test_agreement_is_corrected_to_zero_at_chance_and_one_at_identity() -> None:
    rows = agreement_by_kind(made_up_results(agreement={"upstream": 1.0, "downstream": 0.25, "across": 0.625}))
    means = rows.groupby("kind")["corrected"].mean()
    assert means["upstream"] == pytest.approx(1.0, abs=0.01)
    assert means["downstream"] == pytest.approx(0.0, abs=0.01)
    assert means["across"] == pytest.approx(0.5, abs=0.01)


def test_two_clusterings_of_a_single_module_each_count_as_chance() -> None:
    results = made_up_results()
    results.agreement[["element_centric", "element_centric_chance"]] = 1.0
    assert (agreement_by_kind(results)["corrected"] == 0).all()


def test_a_measure_and_its_normalised_form_do_not_count_as_a_pair() -> None:
    results = made_up_results()
    same = results.agreement["measure_b"] == results.agreement["measure_a"] + "_norm"
    assert same.sum() == 4 * 2 * len(results.networks)
    before = [JUDGE[claim](results) for claim in (WITHIN, ACROSS)]
    results.agreement.loc[same, "element_centric"] = 0.0
    assert [JUDGE[claim](results) for claim in (WITHIN, ACROSS)] == before


@pytest.mark.parametrize("claim", [DROPOUT, PENALTIES, WITHIN, ACROSS])
def test_without_anything_to_compare_a_claim_could_not_be_tested(claim: str) -> None:
    results = made_up_results()
    results.modules.loc[results.modules["measure"] == "input_gradient", "status"] = "all_units_dead"
    results.agreement["status"] = "all_units_dead"
    assert JUDGE[claim](results).status == COULD_NOT_TEST


def test_a_baseline_that_was_left_out_is_no_reason_to_compare_with_another() -> None:
    results = made_up_results()
    baseline = (results.modules[["l1", "dropout"]] == 0).all(axis=1) & (results.modules["l2"] == 1e-5)
    results.modules.loc[baseline & results.modules["trained"], "analysed"] = False
    assert JUDGE[DROPOUT](results).status == JUDGE[PENALTIES](results).status == COULD_NOT_TEST


def test_every_claim_says_its_rule_and_what_would_refute_it() -> None:
    for claim in CLAIMS:
        assert "Reproduced if" in claim.rule
        assert claim.refuted_by.endswith(".")


def test_agreement_across_is_little_only_if_its_upper_end_is() -> None:
    results = made_up_results(agreement={"upstream": 0.9, "downstream": 0.9, "across": 0.42})
    assert JUDGE[ACROSS](results).status == REPRODUCED
    table = results.agreement
    one_run = (table["run"] == 2) & table["trained"] & (table["element_centric"] < 0.6)
    table["element_centric"] = table["element_centric"].where(~one_run, 0.46)  # 0.28, where the mean is 0.24
    verdict = JUDGE[ACROSS](results)
    assert verdict.effect is not None
    assert verdict.effect.mean < 0.25
    assert (verdict.status, missed_text(verdict)) == (PARTLY, "the upper end is 0.28, above 0.25")

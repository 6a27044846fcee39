"""The answer in short and the verdicts on modularity follow the claims: other rises, other words."""

from dataclasses import replace
from typing import Any

import pytest

from made_up_results import made_up_results
from modularity_lib.book.words.is_it_modules import FewModules
from modularity_lib.book.words.modularity import axis_text, claims_texts
from modularity_lib.findings.claims import DropoutEvidence, PenaltyEvidence, Verdict, judge_all
from modularity_lib.findings.inference import Effect
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.vocabulary import MEASURE_LABELS, MEASURES

EFFECT = Effect(0.159, 0.149, 0.173, 0.153, 0.166, 0.004, 0.004, 9)
FACTORS = dict.fromkeys(MEASURES, 2.0) | {MEASURES[0]: 4.12, MEASURES[-1]: 1.83}


def judged(status: str = "reproduced", *, exception: bool = False, evidence: bool = True) -> dict[str, Verdict]:
    average: Any = {"l2": (0.03, 0.034), "l1": (0.001, 0.043), "dropout": (0.7, 0.159)}
    by_measure: Any = {measure: {"l2": 0.03, "l1": 0.02, "dropout": 0.2} for measure in MEASURES}
    if exception:
        by_measure["output_gradient"] = {"l2": 0.03, "l1": 0.107, "dropout": 0.091}
    dropout = DropoutEvidence(0.7, FACTORS) if evidence else None
    penalties = PenaltyEvidence(average, by_measure, has_intervals=True) if evidence else None
    effect = EFFECT if evidence else None
    conditions = judge_all(made_up_results())["dropout-raises-modularity"].conditions if evidence else ()
    return {
        "dropout-raises-modularity": Verdict(status, effect, 0.155, conditions, dropout),
        "penalties-are-modest": Verdict(status, effect, None, (), penalties),
    }


@pytest.mark.parametrize(
    ("status", "dropout", "penalties"),
    [
        ("reproduced", "Yes, dropout does.", "Weight penalties do less."),
        ("partly reproduced", "Dropout does in part.", "Weight penalties do less in part."),
        ("not reproduced", "Dropout is not shown to do so.", "Weight penalties are not shown to do less."),
    ],
)
def test_the_answer_in_short_follows_the_verdicts(status: str, dropout: str, penalties: str) -> None:
    said = claims_texts(judged(status))
    assert said["modularity_short"] == (
        f"{dropout} At its strongest it multiplies modularity Q by 1.8 to 2.0 in the four measures of what units "
        f"receive (upstream), and by 2.0 to 4.1 in the four of what they do (downstream). {penalties} On average Q "
        "rises by up to 0.16 under dropout, by 0.04 under a penalty."
    )


def test_the_caption_names_what_the_panels_show() -> None:
    verdicts = judged(exception=True)
    verdicts["penalties-are-modest"].evidence.by_measure["input_gradient"]["dropout"] = 0.31
    assert claims_texts(verdicts)["modularity_caption"] == (
        "Under dropout Q rises most in the input gradient (by 0.31) and least in the output gradient (by 0.09)"
    )


def test_factors_that_are_the_same_are_told_once() -> None:
    same = judged()
    factors = dict.fromkeys(MEASURES, 2.0)
    same["dropout-raises-modularity"] = replace(
        same["dropout-raises-modularity"], evidence=DropoutEvidence(0.7, factors)
    )
    assert "multiplies modularity Q by 2.0 in the four measures of what" in claims_texts(same)["modularity_short"]


def test_rises_that_are_not_modules_are_told_with_the_largest_factor() -> None:
    few = [FewModules(MEASURES[0], 1, 6, 124, "less in common"), FewModules(MEASURES[2], 2, 3, 9, "chance")]
    [largest, other] = [MEASURE_LABELS[one.measure] for one in few]
    said = claims_texts(judged(), few)
    assert (
        f"The largest rise, that of the {largest.removesuffix(' (norm)')}, is not all modules."
        in said["modularity_short"]
    )
    assert said["dropout_verdict"].endswith(
        f"But not all rises are modules: only 6 of 124 rises of the {largest} in layer 1 and 3 of 9 rises of the "
        f"{other} in layer 2 are, over all strengths."
    )
    assert "not all modules" not in claims_texts(judged(), few[1:])["modularity_short"]  # of another measure


def test_the_axis_of_penalties_ends_where_the_paper_looks() -> None:
    assert axis_text(STUDIES["v1"]) == "The axis spans L2 of 1e-5 to 0.1 and L1 of 1e-5 to 0.01."
    assert axis_text(replace(STUDIES["v1"], l1=(0.0,), l2=())) == "There are no penalties."


def test_the_verdicts_have_size_paper_and_exceptions() -> None:
    said = claims_texts(judged(exception=True))
    assert said["dropout_verdict"] == (
        "Reproduced. In all 8 measures Q rises by a factor of 1.5 or more, to more than 3 standard deviations above "
        "the untrained networks. On average it rises by 0.16 [0.15, 0.17] (the paper's figures give 0.15)."
    )
    assert said["penalties_verdict"] == (
        "Reproduced. On average dropout raises Q by 0.16 [0.15, 0.17] more than the better penalty. Dropout's rise is "
        "the largest in 7 of 8 measures, but not in the output gradient (L1 +0.11, dropout +0.09)."
    )
    assert claims_texts(judged())["penalties_verdict"].endswith("rise is the largest in all 8 measures.")


def test_conditions_that_fewer_measures_meet_are_told_one_by_one() -> None:
    verdicts = judged()
    seen = verdicts["dropout-raises-modularity"]
    rises, factor, above = seen.conditions
    fewer = (rises, replace(factor, found=factor.found[:3]), replace(above, found=above.found[:5]))
    verdicts["dropout-raises-modularity"] = replace(seen, conditions=fewer)
    assert claims_texts(verdicts)["dropout_verdict"].startswith(
        "Reproduced. Q rises in all 8 measures, by a factor of 1.5 or more in 3. In 5 it comes to lie more than 3 "
        "standard deviations above the untrained networks. On"
    )


def test_what_could_not_be_tested_says_why() -> None:
    said = claims_texts(judged("could not test", evidence=False))
    assert said["modularity_short"] == (
        "No dropout strength could be analysed in every run. A sweep has no strength that could be analysed in every "
        "run."
    )
    assert said["modularity_caption"] == "Modularity Q against regularisation"
    assert said["dropout_verdict"] == "Could not test. No dropout strength could be analysed in every run."
    assert said["penalties_verdict"].startswith("Could not test. A sweep has no strength")

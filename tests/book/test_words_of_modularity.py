"""The answer in short and the verdicts on modularity follow the claims: other rises, other words."""

from typing import Any

import pytest

from made_up_results import made_up_results
from modularity_lib.book.words.modularity import claims_texts
from modularity_lib.findings.claims import DropoutEvidence, PenaltyEvidence, Verdict, judge_all
from modularity_lib.findings.inference import Effect
from modularity_lib.vocabulary import MEASURES

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
        f"{dropout} The strongest dropout multiplies Q by 1.8 to 4.1, depending on the measure. {penalties} Averaged "
        "over the measures Q rises by up to 0.16 under dropout, and by up to 0.04 under a penalty."
    )
    assert said["modularity_caption"] == "Q rises by up to 0.16 under dropout, 0.04 under L1 and 0.03 under L2"


def test_the_verdicts_have_size_paper_and_exceptions() -> None:
    said = claims_texts(judged(exception=True))
    assert said["dropout_verdict"].startswith("Reproduced. From no dropout to 0.7, Q is multiplied by ")
    assert said["dropout_verdict"].endswith("On average it rises by 0.16 [0.15, 0.17]; the paper's figures give 0.15.")
    assert said["penalties_verdict"] == (
        "Reproduced. Dropout's rise minus the larger one of a penalty is 0.16 [0.15, 0.17]. Measure by measure "
        "dropout's rise is the largest in 7 of 8, but not in the output gradient (L1 +0.11, dropout +0.09)."
    )
    assert claims_texts(judged())["penalties_verdict"].endswith("rise is the largest in 8 of 8.")


def test_what_could_not_be_tested_says_why() -> None:
    said = claims_texts(judged("could not test", evidence=False))
    assert said["modularity_short"] == (
        "No dropout strength could be analysed in every run. A sweep has no strength that could be analysed in every "
        "run."
    )
    assert said["modularity_caption"] == "Modularity Q against regularisation"
    assert said["dropout_verdict"] == "Could not test. No dropout strength could be analysed in every run."
    assert said["penalties_verdict"].startswith("Could not test. A sweep has no strength")

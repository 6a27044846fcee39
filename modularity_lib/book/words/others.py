"""Words on what others found: the verdicts of this book beside them, and tests of Q that call noise modular."""

from collections.abc import Mapping, Sequence

import pandas as pd

from modularity_lib.book.words.prose import effect_text, listed, markdown, percent
from modularity_lib.findings.claims import ALPHA, CLAIMS, REPRODUCED, Verdict
from modularity_lib.findings.synthetic import rate_table

TESTS = {
    "permuted labels": "the labels that were found, on other units",
    "modules in null matrices": "the modules that were found, in matrices of shuffled samples",
    "ml.test_modules": "modules searched for in matrices of shuffled samples",
}
# Pilots on runs 0 to 2 of v1 in half precision: share of the rise of Q, from no dropout to the strongest, of upstream
# measures that a null shows as well; and the range of its Q.
MOST_ENTROPY = {"share": 0.02, "lowest": 0.07, "highest": 0.12}
ROTATED_AFTER = {"share": 0.06}


def short_text(verdicts: Mapping[str, Verdict], p_values: Mapping[str, Sequence[float]]) -> str:
    """The answer of the page: what agrees, how many of the claims hold here, and which tests to beware of."""
    held = sum(verdict.status == REPRODUCED for verdict in verdicts.values())
    return (
        "Mostly, but few looked at the same thing. Dropout was found before to make networks more modular, in the "
        "graph of their weights. We found no study that compares the modules of what units receive and do as the paper "
        f"does. Of its {len(verdicts)} claims {held} are reproduced here. {tests_head(p_values)}"
    )


def claim_text(claim_id: str, verdicts: Mapping[str, Verdict]) -> str:
    """One claim, its verdict here and the number that decides it."""
    [claim] = (claim for claim in CLAIMS if claim.id == claim_id)
    verdict = verdicts[claim_id]
    return (
        f"**The paper:** {claim.statement} **Here:** {verdict.status} ({effect_text(verdict.effect)}, "
        f"{claim.quantity})."
    )


def nulls_texts() -> dict[str, str]:
    """Nulls that were tried in pilots."""
    return {
        "null_entropy": (
            "Correlations with most entropy that keep each unit's sum: their Q is "
            f"{MOST_ENTROPY['lowest']:.2f} to {MOST_ENTROPY['highest']:.2f} at every dropout and shows "
            f"{percent(MOST_ENTROPY['share'])} of the rise of Q of upstream measures (pilot, three runs). Signed "
            "correlations are near 0 on average, so their sums say little."
        ),
        "null_rotation": (
            "Units rotated after the ReLU, which keeps all that the layer can compute: "
            f"{percent(ROTATED_AFTER['share'])} of that rise (pilot, three runs)."
        ),
    }


def tests_markdown(p_values: Mapping[str, Sequence[float]]) -> str:
    """Markdown table: how often each of `TESTS` calls noise modular."""
    rates = _rates(p_values)
    cells = (
        [
            row["test"],
            TESTS[row["test"]],
            f"{row['called']} of {row['matrices']}",
            f"{percent(row['low'])} to {percent(row['high'])}",
        ]
        for row in rates.to_dict("records")
    )
    return markdown(["test", "compares Q with that of", "called modular", "95 % interval"], cells)


def tests_head(p_values: Mapping[str, Sequence[float]]) -> str:
    """Which tests call noise modular more often than they should, for a caption."""
    rates = _rates(p_values)
    wrong = rates[rates["low"] > ALPHA]
    if wrong.empty:
        return "No test calls noise modular more often than it should."
    shares = [f"{row['test']} in {percent(row['called'] / row['matrices'])}" for row in wrong.to_dict("records")]
    return f"Tests that are in use call noise modular: {listed(shares)} of cases."


def _rates(p_values: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    rows = [
        {"kind": "noise", "test": test, "matrix": index, "p_value": p}
        for test, of_test in p_values.items()
        for index, p in enumerate(of_test)
    ]
    return rate_table(pd.DataFrame(rows))

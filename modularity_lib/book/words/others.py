"""Words on what others found: the verdicts of this book beside them, and tests of Q that call noise modular."""

from collections.abc import Mapping, Sequence

import pandas as pd

from modularity_lib.book.words.prose import effect_text, listed, markdown
from modularity_lib.findings.claims import CLAIMS, REPRODUCED, Verdict
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


def answer_text(verdicts: Mapping[str, Verdict]) -> str:
    """How many of the claims hold here."""
    held = sum(verdict.status == REPRODUCED for verdict in verdicts.values())
    return f"Of the {len(verdicts)} claims of the paper, {held} are reproduced in this study of ours."


def claim_text(claim_id: str, verdicts: Mapping[str, Verdict]) -> str:
    """One claim, its verdict here and the number that decides it."""
    [claim] = (claim for claim in CLAIMS if claim.id == claim_id)
    verdict = verdicts[claim_id]
    return (
        f"**The paper:** {claim.statement} **Here:** {verdict.status}; {effect_text(verdict.effect)}, {claim.quantity}."
    )


def nulls_texts() -> dict[str, str]:
    """Nulls that were tried in pilots."""
    return {
        "null_entropy": (
            "Correlations with most entropy that keep each unit's sum: their Q is "
            f"{MOST_ENTROPY['lowest']:.2f} to {MOST_ENTROPY['highest']:.2f} at every dropout and shows "
            f"{MOST_ENTROPY['share']:.0%} of the rise of Q of upstream measures (pilot, three runs). Signed "
            "correlations are near 0 on average, so their sums say little."
        ),
        "null_rotation": (
            "Units rotated after the ReLU, which keeps all that the layer can compute: "
            f"{ROTATED_AFTER['share']:.0%} of that rise (pilot, three runs)."
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
            f"{row['low']:.0%} to {row['high']:.0%}",
        ]
        for row in rates.to_dict("records")
    )
    return markdown(["test", "compares Q with that of", "called modular", "95 % interval"], cells)


def tests_text(p_values: Mapping[str, Sequence[float]]) -> str:
    """The same in a sentence."""
    counts = [f"{row['test']} {row['called']}" for row in _rates(p_values).to_dict("records")]
    return f"of {len(next(iter(p_values.values())))} matrices of noise {listed(counts)}."


def _rates(p_values: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    rows = [
        {"kind": "noise", "test": test, "matrix": index, "p_value": p}
        for test, of_test in p_values.items()
        for index, p in enumerate(of_test)
    ]
    return rate_table(pd.DataFrame(rows))

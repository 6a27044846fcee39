"""Words on how far the results reach, and what would refute a claim."""

from collections.abc import Mapping

from modularity_lib.book.words.prose import effect_text, listed, markdown
from modularity_lib.findings.claims import CLAIMS, Verdict
from modularity_lib.studies.catalogue import Study


def networks_text(study: Study) -> str:
    """What was trained, for a sentence.

    >>> from modularity_lib.studies.catalogue import STUDIES
    >>> networks_text(STUDIES["v1"])
    'perceptrons with hidden layers of 64 and 64 units'
    """
    layers = "hidden layers" if len(study.hidden) > 1 else "a hidden layer"
    return f"perceptrons with {layers} of {listed(study.hidden)} units"


def refuted_markdown(verdicts: Mapping[str, Verdict]) -> str:
    """Markdown table: each claim, its verdict, the quantity that decides it, and the result that would refute it."""
    rows = []
    for number, claim in enumerate(CLAIMS, start=1):
        verdict = verdicts[claim.id]
        rows.append([number, verdict.status, f"{effect_text(verdict.effect)}: {claim.quantity}", claim.refuted_by])
    return markdown(["claim", "verdict", "decided by", "refuted by"], rows)

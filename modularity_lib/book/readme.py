"""The verdict table of the README, from the shipped results: `modularity readme` writes it."""

import re
from collections.abc import Sequence

from modularity_lib.book.words.live_units import front_text, little_text
from modularity_lib.book.words.verdicts import verdicts_markdown
from modularity_lib.findings.ledger import judge_studies
from modularity_lib.findings.live_agreement import agreement_of_both, claims_by_setting
from modularity_lib.findings.stricter_claims import judge_within_stricter
from modularity_lib.paths import checkout
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.results import Results

README = checkout() / "README.md"
_TABLE = re.compile(r"(<!-- verdicts:.*?-->\n).*?(<!-- end of verdicts -->)", re.DOTALL)


def with_table(text: str, studies: Sequence[Results], *, live: Sequence[Results] = ()) -> str:
    """Put the verdicts on these studies between the marks in the text of a README.

    Args:
        studies: results, first those of the paper's own experiment.
        live: the same results `live_units.on_live_units`, for the stricter rule and a sentence on the first study.

    Raises:
        ValueError: the text lacks the marks.
    """
    stricter = {one.study.name: judge_within_stricter(one) for one in live}
    table = verdicts_markdown([one.study for one in studies], judge_studies(studies), stricter)
    if live:
        both, claims = (make(studies[0], live[0], by_layer=False) for make in (agreement_of_both, claims_by_setting))
        table = f"{table}\n\n{front_text(both)} {little_text(claims)}"
    changed, n_tables = _TABLE.subn(lambda marks: f"{marks[1]}\n{table}\n\n{marks[2]}", text)
    if n_tables != 1:
        raise ValueError("text must hold '<!-- verdicts: ... -->' and '<!-- end of verdicts -->' once each.")
    return changed


def shipped_results() -> list[Results]:
    """All shipped results: first those of the paper's own experiment, then the other studies."""
    archives = [archive for archive in map(Archive, STUDIES) if archive.shipped is not None]
    return [archive.tables_at_hand() for archive in archives]

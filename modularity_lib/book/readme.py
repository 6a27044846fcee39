"""The verdict table of the README, from the shipped results: `modularity readme` writes it."""

import re
from collections.abc import Sequence

from modularity_lib.book.words.live_units import front_text
from modularity_lib.book.words.verdicts import verdicts_markdown
from modularity_lib.findings.claims import judge_all
from modularity_lib.findings.live_agreement import agreement_of_both, claims_by_setting
from modularity_lib.paths import checkout
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.results import Results

README = checkout() / "README.md"
_TABLE = re.compile(r"(<!-- verdicts:.*?-->\n).*?(<!-- end of verdicts -->)", re.DOTALL)


def with_table(text: str, results: Results, others: Sequence[Results] = (), *, live: Results | None = None) -> str:
    """Put the verdicts of these results between the marks in the text of a README; other studies are only counted.

    Args:
        live: the same results `live_units.on_live_units`; a sentence says what changes over live units.

    Raises:
        ValueError: the text lacks the marks.
    """
    table = verdicts_markdown(judge_all(results), [judge_all(other) for other in others])
    if live is not None:
        tables = (agreement_of_both(results, live, by_layer=False), claims_by_setting(results, live, by_layer=False))
        table = f"{table}\n\n{front_text(*tables)}"
    changed, n_tables = _TABLE.subn(lambda marks: f"{marks[1]}\n{table}\n\n{marks[2]}", text)
    if n_tables != 1:
        raise ValueError("text must hold '<!-- verdicts: ... -->' and '<!-- end of verdicts -->' once each.")
    return changed


def shipped_results() -> list[Results]:
    """All shipped results: first those of the paper's own experiment, then the other studies."""
    archives = [archive for archive in map(Archive, STUDIES) if archive.shipped is not None]
    return [archive.tables_at_hand() for archive in archives]

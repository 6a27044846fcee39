"""The README's answer, its verdicts, and the commands that make them again: `modularity readme` writes them."""

import re
from collections.abc import Sequence

from modularity_lib.book.commands import short_commands_markdown
from modularity_lib.book.words.front import answer_text
from modularity_lib.book.words.verdicts import short_verdicts_markdown
from modularity_lib.findings.ledger import judge_studies
from modularity_lib.findings.stricter_claims import judge_within_stricter
from modularity_lib.paths import checkout
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.results import Results

README = checkout() / "README.md"


def with_table(text: str, studies: Sequence[Results], *, live: Sequence[Results] = ()) -> str:
    """Put the answer, the verdicts on these studies, and the commands between their marks in the text of a README.

    Args:
        studies: results, first those of the paper's own experiment.
        live: the same results `live_units.on_live_units`, for the stricter rule.

    Raises:
        ValueError: the text lacks the marks of one of them.
    """
    stricter = {one.study.name: judge_within_stricter(one) for one in live}
    named, judged = [one.study for one in studies], judge_studies(studies)
    written = {
        "answer": answer_text({study.name: study for study in named}, judged),
        "verdicts": short_verdicts_markdown(named, judged, stricter),
        "commands": short_commands_markdown(),
    }
    for name, part in written.items():
        found = list(re.finditer(rf"(<!-- {name}:.*?-->\n).*?(<!-- end of {name} -->)", text, re.DOTALL))
        if len(found) != 1:
            raise ValueError(f"text must hold '<!-- {name}: ... -->' and '<!-- end of {name} -->' once each.")
        text = f"{text[: found[0].end(1)]}\n{part}\n\n{text[found[0].start(2) :]}"
    return text


def shipped_results() -> list[Results]:
    """All shipped results: first those of the paper's own experiment, then the other studies."""
    archives = [archive for archive in map(Archive, STUDIES) if archive.shipped is not None]
    return [archive.tables_at_hand() for archive in archives]

"""Words on what the rules of the claims ask for, how far they are from failing, and what was known when."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from modularity_lib.book.words.prose import effect_text, listed, markdown, percent
from modularity_lib.findings.claims import CLAIMS, Verdict
from modularity_lib.findings.conditions import nearest_to_turning
from modularity_lib.findings.disclosure import FIRST_TABLES, HISTORY, SET_AFTER, Dated
from modularity_lib.findings.equal_accuracy import EquallyAccurate
from modularity_lib.findings.stricter_claims import CLAIM, QUANTITY, RULE
from modularity_lib.vocabulary import SWEEP_NAMES

_NUMBERS = {claim.id: number for number, claim in enumerate(CLAIMS, start=1)}
_NO_STRENGTHS = "A sweep has no strength that could be analysed in every run."


def conditions_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `conditions_table`; what untrained networks meet is in bold."""
    rows = []
    for row in table.to_dict("records"):
        at = f" ({row['at']})" if row["at"] else ""
        untrained = "–" if pd.isna(row["untrained"]) else f"{row['untrained']:.2f}"
        untrained = f"**{untrained}, meets it**" if row["untrained_meets"] else untrained
        widths = "–" if pd.isna(row["in_widths"]) else f"{row['in_widths']:+.1f}".replace("-", "−")
        asked = f"{row['asks']} {row['limit']:g}"
        rows.append([_NUMBERS[row["claim"]], f"{row['condition']}{at}", asked, _found(row), untrained, widths])
    heads = ["claim", "condition (measure)", "asked", "here", "untrained", "distance, in half-widths"]
    return markdown(heads, rows)


def turning_text(table: pd.DataFrame) -> str:
    """Which condition lies nearest its limit, and how many of them untrained networks meet."""
    if table.empty:
        return "No claim could be tested."
    nearest = nearest_to_turning(table)
    at = f" of {nearest['at']}" if nearest["at"] else ""
    compared = table.dropna(subset=["untrained"])
    met = compared[compared["untrained_meets"]]
    by_claim = [f"{len(rows)} of claim {_NUMBERS[str(claim)]}" for claim, rows in met.groupby("claim", sort=False)]
    which = f" ({listed(by_claim)})" if by_claim else ""
    return (
        f"Nearest to turning is claim {_NUMBERS[nearest['claim']]}, by the {nearest['condition']}{at}: "
        f"{_found(nearest)}, where the limit is {nearest['limit']:g}. Of {len(compared)} conditions that can be put to "
        f"untrained networks, these meet {len(met)}{which}: such a condition says nothing of training."
    )


def equal_accuracy_text(found: EquallyAccurate | None) -> str:
    """Rises of Q where networks of the three regularisers are about equally accurate, in a sentence."""
    if found is None:
        return _NO_STRENGTHS
    parts = [
        f"{rise.effect.mean:.2f} under {SWEEP_NAMES[name]} (at {rise.strength:.2g}, {percent(rise.accuracy)} accurate)"
        for name, rise in found.rises.items()
    ]
    return (
        "The largest rises are found at different accuracies. At the strengths whose mean test accuracy is nearest "
        f"that of dropout's largest rise, Q rises by {listed(parts)}. Dropout's rise minus "
        f"the larger one of a penalty is {effect_text(found.margin, digits=2)} there."
    )


def stricter_text() -> str:
    """The stricter rule, and when it was set."""
    [date] = [rule.date for rule in SET_AFTER if "stricter" in rule.what]
    return f"A stricter rule for claim {_NUMBERS[CLAIM]} (set on {_day(date)}, after the tables were known). {RULE}"


def stricter_markdown(first: Mapping[str, Mapping[str, Verdict]], stricter: Mapping[str, Verdict]) -> str:
    """Markdown table: the claim by the first and by the stricter rule, a row per study.

    Args:
        first: {study: verdicts of `judge_all`}.
        stricter: {study: of `judge_within_stricter`}.
    """
    heads = ["study", "rule as first set", "stricter rule", "upstream", "downstream"]
    rows = []
    for study, verdict in stricter.items():
        gains = [effect_text((verdict.evidence or {}).get(kind), sign="+") for kind in ("upstream", "downstream")]
        rows.append([f"`{study}`", first[study][CLAIM].status, f"**{verdict.status}**", *gains])
    return markdown(heads, rows) + f"\n\nLast two columns: {QUANTITY}, with its 95 % interval over runs."


def disclosure_texts(judged: Mapping[str, Mapping[str, Verdict]]) -> dict[str, str]:
    """What was measured again, four dates, and the rules that came late, for the box of the ledger.

    Args:
        judged: {study: verdicts}; with v1 among them, its numbers of today stand beside the first ones.
    """
    parts = []
    for claim, before in FIRST_TABLES.items():
        now = judged["v1"][claim].effect if "v1" in judged else None
        parts.append(f"claim {_NUMBERS[claim]} from {before:.3f}" + (f" to {now.mean:.3f}" if now else ""))
    late = [f"{rule.what} ({_told(rule)})" for rule in SET_AFTER]
    return {
        "disclosure_measured": f"moved the numbers that decide {listed(parts)}",
        "disclosure_late": f"{'; '.join(late)}.",
        **{f"disclosure_{place}": f"{_told(step)}: {step.what}." for place, step in enumerate(HISTORY, start=1)},
    }


def _told(step: Dated) -> str:
    return f"{_day(step.date)}, {step.date[11:]}, commit {step.commit}" if step.commit else _day(step.date)


def _day(date: str) -> str:
    return f"{pd.Timestamp(date):%-d %B %Y}"


def _found(row: Mapping[Any, Any] | pd.Series) -> str:
    interval = "" if pd.isna(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]"
    return f"{row['here']:.2f}{interval}"

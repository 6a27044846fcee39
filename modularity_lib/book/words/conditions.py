"""Words on what the rules of the claims ask for, how far they are from failing, and what was known when."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from modularity_lib.book.words.prose import effect_text, listed, markdown, percent
from modularity_lib.findings.claims import BAND, CLAIMS, DRAMATIC, LITTLE, USUALLY, Verdict
from modularity_lib.findings.conditions import nearest_to_turning
from modularity_lib.findings.disclosure import FIRST_TABLES, HISTORY, SET_AFTER, Dated
from modularity_lib.findings.equal_accuracy import EquallyAccurate
from modularity_lib.findings.stricter_claims import CLAIM, QUANTITY, RULE
from modularity_lib.vocabulary import MEASURES, setting_text

_NUMBERS = {claim.id: number for number, claim in enumerate(CLAIMS, start=1)}
_NO_STRENGTHS = "A sweep has no strength that could be analysed in every run."


def rules_in_short() -> str:
    """Markdown list: what each claim asks for to count as reproduced, in a line."""
    asked = {
        "dropout-raises-modularity": (
            f"at the strongest dropout Q is at least {DRAMATIC:g} times Q without, and {BAND:g} standard deviations "
            f"above untrained networks, in each of {len(MEASURES)} measures;"
        ),
        "penalties-are-modest": (
            "dropout's largest rise of Q exceeds that of L2 and that of L1, on average and in most measures;"
        ),
        "families-agree-within": (
            f"within each family more than {percent(USUALLY)} of the comparisons agree beyond chance, and agreement "
            "exceeds that across the families;"
        ),
        "families-differ": (
            f"agreement across the families, where 0 is chance and 1 identity, is at most {LITTLE:g}, and less than "
            "half of that within."
        ),
    }
    return "\n".join(f"{_NUMBERS[claim]}. {asked[claim]}" for claim in _NUMBERS)


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
    at = f" ({nearest['at']})" if nearest["at"] else ""
    asks = {"above": "more than"}.get(nearest["asks"], nearest["asks"])
    compared = table.dropna(subset=["untrained"])
    met = compared[compared["untrained_meets"]]
    by_claim = [f"{len(rows)} of claim {_NUMBERS[str(claim)]}" for claim, rows in met.groupby("claim", sort=False)]
    which = f" ({listed(by_claim)})" if by_claim else ""
    says = " What they meet says nothing of training." if by_claim else ""
    return (
        f"Nearest to another verdict is claim {_NUMBERS[nearest['claim']]}. Its condition “{nearest['condition']}”{at} "
        f"asks for {asks} {nearest['limit']:g}, and we find {_found(nearest)}. Untrained networks can be asked "
        f"{len(compared)} of the conditions, and meet {len(met)}{which}.{says}"
    )


def equal_accuracy_text(found: EquallyAccurate | None) -> str:
    """Rises of Q where networks of the three regularisers are about equally accurate, in a sentence."""
    if found is None:
        return _NO_STRENGTHS
    parts = [
        f"{rise.effect.mean:.2f} under {setting_text(name, rise.strength)} ({percent(rise.accuracy)})"
        for name, rise in found.rises.items()
    ]
    return (
        "At the strengths whose mean test accuracy (in brackets) is nearest that of dropout's largest rise, Q rises by "
        f"{listed(parts)}. Dropout leads by {effect_text(found.margin, digits=2)}."
    )


def stricter_text(stricter: Mapping[str, Verdict]) -> str:
    """When the stricter rule was set, what it asks for, and what comes of it on the studies.

    Args:
        stricter: {study: of `judge_within_stricter`}.
    """
    [date] = [rule.date for rule in SET_AFTER if "stricter" in rule.what]
    by_status: dict[str, list[str]] = {}
    for study, verdict in stricter.items():
        by_status.setdefault(verdict.status, []).append(study)
    where = [f"{status} on {listed(names)}" for status, names in by_status.items()]
    found = f"{next(iter(by_status))} on every study" if len(by_status) == 1 else ", and ".join(where)
    missed = [{condition.name for condition in verdict.missed} for verdict in stricter.values()]
    everywhere = [
        f"two {kind} measures"
        for kind in ("upstream", "downstream")
        if all(f"two {kind} measures agree more than untrained" in names for names in missed)
    ]
    why = f": {listed(everywhere)} agree no more than in untrained networks" if everywhere else ""
    return (
        "A stricter rule asks that over live units the measures of each family agree more than in untrained networks. "
        f"It was set on {_day(date)}, after the tables were known. By it claim {_NUMBERS[CLAIM]} is {found}{why}."
    )


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
    below = f"*The stricter rule.* {RULE}\n\nLast two columns: {QUANTITY}, with its 95 % interval over runs."
    return f"{markdown(heads, rows)}\n\n{below}"


def disclosure_texts(judged: Mapping[str, Mapping[str, Verdict]]) -> dict[str, str]:
    """What was measured again, four dates, and the rules that came late, for the ledger.

    Args:
        judged: {study: verdicts}; with v1 among them, its numbers of today stand beside the first ones.
    """
    parts = []
    for claim, before in FIRST_TABLES.items():
        now = judged["v1"][claim].effect if "v1" in judged else None
        parts.append(f"claim {_NUMBERS[claim]} from {before:.2f}" + (f" to {now.mean:.2f}" if now else ""))
    return {
        "disclosure_measured": f"That moved the numbers that decide {listed(parts)}, and changed no verdict.",
        "disclosure_late": f"{listed(f'{rule.what} ({_told(rule)})' for rule in SET_AFTER)}.",
        **{f"disclosure_{place}": f"{_told(step)}: {step.what}." for place, step in enumerate(HISTORY, start=1)},
    }


def _told(step: Dated) -> str:
    return f"{_day(step.date)}, {step.date[11:]}, commit {step.commit}" if step.commit else _day(step.date)


def _day(date: str) -> str:
    return f"{pd.Timestamp(date):%-d %B %Y}"


def _found(row: Mapping[Any, Any] | pd.Series) -> str:
    interval = "" if pd.isna(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]"
    return f"{row['here']:.2f}{interval}"

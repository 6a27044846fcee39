"""How sure each finding is, in one table: its size, what it was held against, and how often its rule errs."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from modularity_lib.book.words.lesion_folds import by_strength
from modularity_lib.book.words.prose import effect_text, listed, markdown, percent
from modularity_lib.book.words.verdicts import sizes_text
from modularity_lib.findings import common_mode, rotated
from modularity_lib.findings.catalogue import FINDINGS, finding_table
from modularity_lib.findings.claims import CLAIMS, Verdict
from modularity_lib.findings.conditions import conditions_table
from modularity_lib.findings.disclosure import PILOT_FIRST, TABLES_FIRST
from modularity_lib.findings.inference import Trial
from modularity_lib.findings.lesion_effects import MORE
from modularity_lib.findings.lesion_trials import CASES, TRIED
from modularity_lib.findings.made_up_rises import error_rates
from modularity_lib.findings.rises import MODULES, NOT_COMPARABLE, split_table, strongest
from modularity_lib.findings.two_sides import APART, ONE, answers_table, effects_table
from modularity_lib.findings.why_dropout_effects import layer_answers
from modularity_lib.studies.results import Results, sweep

_BEFORE = "before our tables, with the paper at hand"
_CLAIMS = {  # by claim: in short, and what it was held against
    "dropout-raises-modularity": ("Dropout raises Q.", "the baseline, and untrained networks"),
    "penalties-are-modest": ("Penalties raise Q less than dropout.", "dropout, also at equal accuracy"),
    "families-agree-within": ("Measures of one family agree.", "shuffled units, and measures of two families"),
    "families-differ": ("Measures of two families agree little.", "shuffled units, and measures of one family"),
}


class Tried(NamedTuple):
    """What the rules say where the truth is known."""

    intervals: Trial  # of `inference.tried_without_effect`
    rises: pd.DataFrame  # of `made_up_rises.called_table`
    sides: pd.DataFrame  # of `two_sides_made_up.made_up_table`
    copies: pd.DataFrame  # of `made_up_layers.made_up_table`


def how_sure_markdown(studies: Sequence[Results], judged: Mapping[str, Mapping[str, Verdict]], tried: Tried) -> str:
    """Markdown table: a row per claim of the paper, then one per finding of this book.

    Args:
        studies: first the one that the page is about; what is known of the others stands in the last column.
        judged: {study: verdicts of `judge_all`}.
        tried: of all rules.
    """
    first, *others = studies
    heads = ["finding, and what it was held against", "size", "how its rule errs", "the rule was set"]
    if others:
        heads.append("in other studies")
    conditions = conditions_table(first)
    rows = [_claim_row(claim.id, studies, judged, conditions) for claim in CLAIMS]
    makers = (
        ("rotated", _modules_size, _modules_row(tried)),
        ("lesions", _lesions_size, _lesions_row()),
        ("two_sides", _sides_size, _sides_row(tried)),
        ("near_copies", _copies_size, _copies_row(tried)),
    )
    for name, size, (finding, errs, fixed) in makers:
        if FINDINGS[name].is_shipped(first.study):
            elsewhere = _elsewhere(name, size, others)
            rows.append([finding, size(first), errs, fixed, *([elsewhere] if others else [])])
    return markdown(heads, rows)


def short_text(results: Results, judged: Mapping[str, Verdict], tried: Tried) -> str:
    """What is surest and what is least sure, in a few sentences."""
    effect = judged["dropout-raises-modularity"].effect
    surest = (
        "No claim could be judged on this study."
        if effect is None
        else f"Surest is that dropout raises Q in these networks: by {effect_text(effect, digits=2)}, and in "
        f"{'each' if effect.smallest > 0 else 'most'} of {effect.n_runs} runs."
    )
    asked = conditions_table(results).dropna(subset=["untrained"])
    asked = asked[asked["claim"].isin(["families-agree-within", "families-differ"])]
    met = int(asked["untrained_meets"].sum())
    before = f" Claims 3 and 4 say less of training: untrained networks meet {met} of their {len(asked)} conditions."
    rates = error_rates(tried.rises)
    return (
        f"{surest}{before if met else ''} Where there are no modules, our rule finds some in {percent(rates.wrong)} of "
        f"made-up cases, and in {percent(rates.worst)} of the worst ones. Least sure is what modules are for: another "
        f"rule finds modules that do one job in {_found_jobs()} trials."
    )


def texts(tried: Tried) -> dict[str, str]:
    """What the intervals are worth, for a sentence."""
    assert tried.intervals.coverage is not None  # there is more than one run
    return {
        "sure_intervals": (
            f"On {tried.intervals.samples:,} made-up sets of as many runs a 95 % interval holds the truth in "
            f"{percent(tried.intervals.coverage)}."
        )
    }


def _claim_row(
    claim: str, studies: Sequence[Results], judged: Mapping[str, Mapping[str, Verdict]], conditions: pd.DataFrame
) -> list[str]:
    first, *others = (results.study.name for results in studies)
    name, against = _CLAIMS[claim]
    cells = [
        f"**{name}** Held against {against}.",
        f"{effect_text(judged[first][claim].effect, digits=2)}: {judged[first][claim].status}",
        _untrained_text(conditions[conditions["claim"] == claim]),
        _BEFORE,
    ]
    if not others:
        return cells
    by_status: dict[str, list[str]] = {}
    for study in others:
        by_status.setdefault(judged[study][claim].status, []).append(study)
    told = []
    for status, names in by_status.items():
        size = sizes_text(judged[study][claim] for study in names)
        where = f" ({listed(f'`{study}`' for study in names)})" if len(by_status) > 1 else ""
        told.append(f"{status}{size}{where}")
    return [*cells, "<br>".join(told)]


def _untrained_text(conditions: pd.DataFrame) -> str:
    asked = conditions.dropna(subset=["untrained"])
    met, total = int(asked["untrained_meets"].sum()), len(conditions)
    if asked.empty:
        return "its conditions cannot be asked of untrained networks"
    return f"untrained networks meet {met} of its {total} conditions" + (
        f" ({total - len(asked)} cannot be asked)" if len(asked) < total else ""
    )


def _elsewhere(name: str, size: Callable[[Results], str], others: Sequence[Results]) -> str:
    parts = [f"`{one.study.name}`: {size(one)}" for one in others if FINDINGS[name].is_shipped(one.study)]
    return "<br>".join(parts) or "not measured"


def _modules_row(tried: Tried) -> tuple[str, str, str]:
    rates = error_rates(tried.rises)
    return (
        "**The rise of Q is due to modules.** Held against less in common, shuffled similarities, random directions "
        "and, upstream, rotated units.",
        f"made-up cases: modules where there are none in {percent(rates.wrong)} (worst case {percent(rates.worst)}; "
        f"{percent(rates.weak)} where units cannot be rotated, as downstream); finds {percent(rates.found)} of planted "
        "ones",
        TABLES_FIRST,
    )


def _modules_size(results: Results) -> str:
    turned = rotated.rises(finding_table("rotated", results), results)
    share = rotated.share_of_rise(strongest(turned))
    told = "" if share is None else f"rotated units show {percent(share.mean)} of the upstream rise"
    table = common_mode.table_at_hand(results)
    if table.empty:
        return told
    last = strongest(split_table(table, results, "dropout", turned))
    kinds = last.loc[~last["kind"].isin(["", NOT_COMPARABLE]), "kind"]
    at = f"at dropout {last['strength'].iloc[0]:g}"
    return f"{(kinds == MODULES).sum()} of the {len(kinds)} rises that can be compared {at}; {told}"


def _lesions_row() -> tuple[str, str, str]:
    wrong = [
        sum(n for answer, n in TRIED[case]["answer"].items() if answer not in of.right)
        for case, of in CASES.items()
        if MORE not in of.right
    ]
    return (
        "**Networks miss a module more than random units.** Held against near neighbours, too.",
        f"made-up networks: errs in {min(wrong)} to {max(wrong)} of 100 without such modules; finds those of one job "
        f"in {_found_jobs()}",
        PILOT_FIRST,
    )


def _found_jobs() -> str:
    [case] = [case for case, of in CASES.items() if of.right == (MORE,)]
    counts = TRIED[case]["answer"]
    return f"{counts[MORE]} of {sum(counts.values())}"


def _lesions_size(results: Results) -> str:
    lost = by_strength(finding_table("lesions", results), results)
    if not lost:
        return "no module could be compared"
    excess, more = lost[max(lost)].excess, sum(one.answer == MORE for one in lost.values())
    low, high = excess.bounds
    return (
        f"{100 * excess.mean:.1f} [{100 * low:.1f}, {100 * high:.1f}] points more than random units at dropout "
        f"{max(lost):g}; clearly more than near neighbours at {more} of {len(lost)} strengths"
    )


def _sides_row(tried: Tried) -> tuple[str, str, str]:
    unrelated, known = tried.sides[tried.sides["truth"] == APART], tried.sides[tried.sides["truth"] != ""]
    called = round((unrelated["called"] * unrelated["groups"]).sum())
    right = round((known["right"] * known["groups"]).sum())
    return (
        "**Under L2 the last layer has one order of pairs, seen from both sides.** Held against untrained networks.",
        f"made-up layers: {called} of {unrelated['groups'].sum()} unrelated groups are called related, {right} of "
        f"{known['groups'].sum()} what they are",
        PILOT_FIRST,
    )


def _sides_size(results: Results) -> str:
    effects = effects_table(finding_table("two_sides", results))
    last = effects["layer"].max()
    answers = answers_table(effects)
    rows = sweep(answers[answers["trained"] & (answers["layer"] == last)], results.study, "l2")
    correlations = sweep(effects[effects["trained"] & (effects["layer"] == last)], results.study, "l2")
    most = correlations.loc[correlations["quantity"] == "rsa_signed", "mean"].max()
    return f"at {(rows['sides'] == ONE).sum()} of {len(rows)} settings of L2; rank correlation up to {most:.2f}"


def _copies_row(tried: Tried) -> tuple[str, str, str]:
    rows = tried.copies[tried.copies["rule"] == "copies"]
    wrong, right = rows[~rows["truth"]], rows[rows["truth"]]
    fooled = int((wrong["called"] > 0).sum())
    return (
        "**Dropout makes near-copies.** Held against rotated units.",
        f"made-up layers: finds {percent(right['called'].mean())} of the copies, and is fooled by {fooled} of "
        f"{len(wrong)} kinds of cases without",
        PILOT_FIRST,
    )


def _copies_size(results: Results) -> str:
    parts = []
    for answer in layer_answers(finding_table("near_copies", results)):
        before, after, turned = (percent(share) for share in answer.shares)
        parts.append(f"layer {answer.layer}: units with a twin from {before} to {after} (rotated units {turned})")
    return "; ".join(parts)

"""Words of the front page: the answer in four sentences, and findings that have chapters of their own."""

from collections.abc import Mapping, Sequence
from typing import get_args

import pandas as pd

from modularity_lib.book.words import agreement, is_it_modules, lesions, two_sides, why_dropout
from modularity_lib.book.words.prose import capitalised, percent
from modularity_lib.figures import transfer_against_dropout
from modularity_lib.findings import beyond_chance, common_mode, live_agreement
from modularity_lib.findings.catalogue import FINDINGS, finding_table
from modularity_lib.findings.claims import (
    COULD_NOT_TEST,
    FACTOR,
    PARTLY,
    REPRODUCED,
    AcrossEvidence,
    DropoutEvidence,
    PenaltyEvidence,
    Verdict,
)
from modularity_lib.findings.lesion_effects import lesion_table
from modularity_lib.findings.two_sides import effects_at_hand
from modularity_lib.studies.catalogue import Study
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import FAMILY, MEASURES, Family


def answer_text(studies: Mapping[str, Study], judged: Mapping[str, Mapping[str, Verdict]]) -> str:
    """Do units form modules, and do the measures agree? Four sentences on the first study, the last one on the others.

    Args:
        studies: by name, first the one that the page is about.
        judged: {study: verdicts of `claims.judge_all`}.
    """
    first, *others = studies
    verdicts = judged[first]
    sentences = [_dropout_sentence(verdicts), _penalty_sentence(verdicts), _agreement_sentence(verdicts)]
    published = [name for name in others if studies[name].protocol != studies[first].protocol]
    return " ".join(filter(None, [*sentences, _published_sentence([judged[name] for name in published])]))


def _dropout_sentence(verdicts: Mapping[str, Verdict]) -> str:
    verdict = verdicts["dropout-raises-modularity"]
    if verdict.evidence is None:
        return f"{capitalised(COULD_NOT_TEST)} whether dropout makes hidden units form modules."
    seen: DropoutEvidence = verdict.evidence
    times = {family: [seen.factors[name] for name in MEASURES if FAMILY[name] == family] for family in get_args(Family)}
    answer = {REPRODUCED: "Yes, under dropout", PARTLY: "In part, under dropout"}.get(verdict.status, "No")
    received, done = (f"{min(of):.1f} to {max(of):.1f} times" for of in times.values())
    return (
        f"{answer}. At a dropout of {seen.strongest:g} the modularity score is {received} what it is without, "
        f"judged by what units receive, and {done}, judged by what they do."
    )


def _penalty_sentence(verdicts: Mapping[str, Verdict]) -> str:
    verdict = verdicts["penalties-are-modest"]
    if verdict.evidence is None:
        return ""
    seen: PenaltyEvidence = verdict.evidence
    rises = {name: rise for name, (_, rise) in seen.average.items()}
    less = "Weight penalties do less" if verdict.status == REPRODUCED else "Weight penalties do about as much"
    l2, l1, dropout = (f"{rises[name]:.2f}" for name in ("l2", "l1", "dropout"))
    return f"{less}: L2 raises the score by {l2} at most and L1 by {l1}, dropout by {dropout}."


def _agreement_sentence(verdicts: Mapping[str, Verdict]) -> str:
    within, across = verdicts["families-agree-within"], verdicts["families-differ"]
    if within.evidence is None or across.evidence is None or across.effect is None:
        return ""
    seen: AcrossEvidence = across.evidence
    kinds = {
        REPRODUCED: "Ways to measure what units receive agree with each other, and so do ways to measure what they do",
        PARTLY: "Ways to measure the same side of a unit agree on one side only",
    }.get(within.status, "Ways to measure the same side of a unit do not agree")
    little = "barely agree" if across.status == REPRODUCED else "agree"
    size = f"{percent(across.effect.mean)} of the way from chance to identity"
    if seen.by_sweep.effect is not None:
        size += f"; {percent(seen.by_sweep.effect.mean)} at a dropout of {seen.by_sweep.strongest:g}"
    return f"{kinds}; the two kinds {little} with each other ({size})."


def _published_sentence(judged: Sequence[Mapping[str, Verdict]]) -> str:
    found = [
        condition.found
        for verdicts in judged
        for condition in verdicts["dropout-raises-modularity"].conditions
        if condition.name == FACTOR
    ]
    if not found:
        return ""
    done = max(sum(FAMILY[name] == "downstream" for name in names) for names in found)
    received = max(sum(FAMILY[name] == "upstream" for name in names) for names in found)
    training = "Under the published version's shorter training"
    if received and not done:
        return f"{training} the score rises by half or more only where it is judged by what units receive."
    where = "on both sides" if received and done else "on neither side"
    return f"{training} the score rises by half or more {where}."


def found_texts(results: Results, verdicts: Mapping[str, Verdict], live: Results) -> dict[str, str]:
    """The answers of the chapters that go beyond the claims, by the names that these have there.

    Only what is shipped is told: nothing is measured for the front page.

    Args:
        verdicts: of `claims.judge_all`.
        live: the same results `on_live_units`.
    """
    tables = {name: _shipped(name, results) for name in ("rotated", "lesions", "near_copies", "two_sides")}
    untold = f"This was not measured for all runs of {results.study.name}."
    splits = is_it_modules.dropout_splits(common_mode.table_at_hand(results), tables["rotated"], results)
    both = live_agreement.agreement_of_both(results, live, by_layer=False)
    sides = None if tables["two_sides"] is None else effects_at_hand(results)
    kept = transfer_against_dropout.table(results)
    return {
        "modules_answer": is_it_modules.front_text(splits, results.study),
        "agreement_short": agreement.short_text(verdicts, beyond_chance.since_training(results), both),
        "sides_short": two_sides.short_text(sides, results, kept, untold),
        "lesion_short": untold
        if tables["lesions"] is None
        else lesions.texts(lesion_table(results), results, missing="")["lesion_short"],
        "copies_answer": why_dropout.texts(tables["near_copies"], results, missing=untold)["copies_answer"],
    }


def _shipped(name: str, results: Results) -> pd.DataFrame | None:
    return finding_table(name, results) if FINDINGS[name].is_shipped(results.study) else None

"""Words of the front page: the answer in four sentences, and findings that have chapters of their own."""

from collections.abc import Mapping, Sequence
from typing import get_args

from modularity_lib.book.words import lesions, two_sides, why_dropout
from modularity_lib.book.words.prose import capitalised
from modularity_lib.figures import transfer_against_dropout
from modularity_lib.findings import lesion_effects, transfer
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
    by_dropout = seen.by_sweep
    strong = (
        f" ({across.effect.mean:.0%} of the way from chance to identity; {by_dropout.effect.mean:.0%} at a dropout of "
        f"{by_dropout.strongest:g})"
        if by_dropout.effect is not None
        else f" ({across.effect.mean:.0%} of the way from chance to identity)"
    )
    return f"{kinds}; the two kinds {little} with each other{strong}."


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


def found_texts(results: Results) -> dict[str, str]:
    """What lesions, near-copies and the transfer of Q show, in the words of their chapters.

    Only what is shipped is told: nothing is measured for the front page.
    """
    untold = f"It was not measured for all runs of {results.study.name}."
    told = {"lesions_front": untold, "copies_front": untold}
    if FINDINGS["lesions"].is_shipped(results.study):
        told["lesions_front"] = lesions.answer_text(lesion_effects.lesion_table(results), results)
    if FINDINGS["near_copies"].is_shipped(results.study):
        near = finding_table("near_copies", results)
        told["copies_front"] = why_dropout.texts(near, results, missing="")["copies_answer"]
    kept = transfer_against_dropout.table(results)
    told_of_sides = two_sides.transfer_texts(kept, transfer.together_table(results), transfer.merged_in_pairs(8))
    return {**told, "sides_front": told_of_sides["sides_transfer_front"]}

"""Words of the front page: the answer in four sentences, and findings that have chapters of their own."""

from collections.abc import Mapping, Sequence
from typing import get_args

import pandas as pd

from modularity_lib.book.words import agreement, is_it_modules, lesions, two_sides, why_dropout
from modularity_lib.book.words.prose import capitalised, first_sentence, span
from modularity_lib.figures import transfer_against_dropout
from modularity_lib.findings import beyond_chance, common_mode, ledger, live_agreement
from modularity_lib.findings.catalogue import FINDINGS, finding_table
from modularity_lib.findings.claims import (
    COULD_NOT_TEST,
    FACTOR,
    PARTLY,
    REPRODUCED,
    DropoutEvidence,
    PenaltyEvidence,
    Verdict,
)
from modularity_lib.findings.lesion_effects import lesion_table
from modularity_lib.findings.two_sides import effects_at_hand
from modularity_lib.studies.catalogue import Study
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import FAMILY, MEASURES, Family


def texts(results: Results, live: Results) -> dict[str, str]:
    """How many published numbers are compared, and what claim 4 comes to where modules are clearest.

    Args:
        live: the same results `on_live_units`.
    """
    numbers = ledger.published_beside_ours(results)
    claims = live_agreement.claims_by_setting(results, live, by_layer=False)
    return {"n_numbers": f"{numbers['here'].notna().sum():,}", "exception": exception_text(claims)}


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
    received, done = (span(of, "{:.1f}".format) for of in times.values())
    return (
        f"{answer}. At dropout {seen.strongest:g} the modularity Q of what units receive is {received} times what it "
        f"is without dropout, and that of what they do {done} times."
    )


def _penalty_sentence(verdicts: Mapping[str, Verdict]) -> str:
    verdict = verdicts["penalties-are-modest"]
    if verdict.evidence is None:
        return ""
    seen: PenaltyEvidence = verdict.evidence
    rises = {name: rise for name, (_, rise) in seen.average.items()}
    less = "Weight penalties do less" if verdict.status == REPRODUCED else "Weight penalties do about as much"
    l2, l1, dropout = (f"{rises[name]:.2f}" for name in ("l2", "l1", "dropout"))
    return (
        f"{less}: on average over {len(MEASURES)} measures dropout raises Q by {dropout}, L2 by at most {l2} and L1 by "
        f"at most {l1}."
    )


def _agreement_sentence(verdicts: Mapping[str, Verdict]) -> str:
    within, across = verdicts["families-agree-within"], verdicts["families-differ"]
    if within.evidence is None or across.evidence is None or across.effect is None:
        return ""
    kinds = {
        REPRODUCED: "Measures of what units receive agree on the modules, and so do measures of what they do",
        PARTLY: "Measures of one side of a unit agree on the modules on one side only",
    }.get(within.status, "Measures of one side of a unit do not agree on the modules")
    little = "barely agrees" if across.status == REPRODUCED else "agrees"
    return (
        f"{kinds}. A measure of one side {little} with one of the other ({across.effect.mean:.2f}, where 0 is chance "
        "and 1 the same modules)."
    )


def _published_sentence(judged: Sequence[Mapping[str, Verdict]]) -> str:
    """What dropout does under the other protocol: the rise of Q, and where it is a factor of `DRAMATIC`."""
    verdicts = [one["dropout-raises-modularity"] for one in judged]
    rises = [verdict.effect.mean for verdict in verdicts if verdict.effect is not None]
    found = [condition.found for verdict in verdicts for condition in verdict.conditions if condition.name == FACTOR]
    if not found:
        return ""
    received, done = ([sum(FAMILY[name] == family for name in names) for names in found] for family in get_args(Family))
    told = f"In the paper's published version, which stops training early, Q rises by {span(rises, '{:.2f}'.format)}"
    each = len(MEASURES) // 2
    if max(received) and not max(done):
        return f"{told}, and by half or more only in what units receive ({span(received, _count)} of {each} measures)."
    return (
        f"{told}, and by half or more in {span(received, _count)} of {each} measures of what units receive and in "
        f"{span(done, _count)} of {each} of what they do."
    )


def _count(number: float) -> str:
    return f"{number:.0f}" if number else "none"


def exception_text(claims: pd.DataFrame) -> str:
    """What claim 4 comes to at the strongest dropout, where modules are clearest, over all and over live units.

    Args:
        claims: of `live_agreement.claims_by_setting`, not by layer.
    """
    every, live = (live_agreement.across_at_strongest(claims, units) for units in ("all", "live"))
    if every is None or live is None:
        return ""
    told = f"At {every['networks']}, where modules are clearest, the last claim is {every['status']}"
    if every["status"] == live["status"]:
        return f"{told}, and so it is over live units."
    return f"{told}; over live units it is {live['status']}."


def found_texts(results: Results, verdicts: Mapping[str, Verdict], live: Results) -> dict[str, str]:
    """The first sentences of the answers of chapters that go beyond the claims.

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
    whole = {
        "modules": is_it_modules.front_text(splits, results.study),
        "agreement": agreement.short_text(verdicts, beyond_chance.since_training(results), both),
        "sides": two_sides.short_text(sides, results, kept, untold),
        "lesion": untold
        if tables["lesions"] is None
        else lesions.texts(lesion_table(results), results, missing="")["lesion_short"],
        "copies": why_dropout.texts(tables["near_copies"], results, missing=untold)["copies_answer"],
    }
    return {f"{name}_first": first_sentence(text) for name, text in whole.items()}


def _shipped(name: str, results: Results) -> pd.DataFrame | None:
    return finding_table(name, results) if FINDINGS[name].is_shipped(results.study) else None

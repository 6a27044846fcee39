"""Verdicts on the claims in words, for every chapter that judges one."""

from collections import Counter
from collections.abc import Mapping, Sequence

from modularity_lib.book.words.prose import capitalised, effect_text, interval_text, markdown
from modularity_lib.findings.claims import (
    ALPHA,
    BAND,
    CLAIMS,
    DRAMATIC,
    LITTLE,
    STATUSES,
    USUALLY,
    AcrossBySweep,
    AcrossEvidence,
    Condition,
    DropoutEvidence,
    KindOfPair,
    PenaltyEvidence,
    Verdict,
)
from modularity_lib.vocabulary import FAMILY, MEASURE_LABELS, MEASURES, SWEEP_NAMES


def verdicts_markdown(verdicts: Mapping[str, Verdict], others: Sequence[Mapping[str, Verdict]] = ()) -> str:
    """Markdown table: each claim, the verdict, and the quantity that decides it, here and in the paper.

    With the verdicts of other studies, a column counts them.
    """
    rows = []
    for claim in CLAIMS:
        verdict = verdicts[claim.id]
        counts = Counter(other[claim.id].status for other in others)
        elsewhere = [", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])] if others else []
        paper = "–" if verdict.paper is None else f"{verdict.paper:.3f}"
        here = effect_text(verdict.effect)
        rows.append([claim.statement, f"**{verdict.status}**", here, paper, *elsewhere, claim.quantity])
    heads = ["claim", "verdict", "here", "paper", *(["other studies"] if others else []), "decided by"]
    return markdown(heads, rows)


def by_study_markdown(verdicts_of: Mapping[str, Mapping[str, Verdict]], *, claims: Sequence[str] | None = None) -> str:
    """Markdown table: claims on every study, with verdict and effect in each cell.

    Args:
        verdicts_of: {study: verdicts of `judge_all`}.
        claims: ids of those wanted; all of them by default.
    """

    def cell(verdict: Verdict) -> str:
        but = f"; but {missed_text(verdict)}" if verdict.missed else ""
        return f"{verdict.status}: {effect_text(verdict.effect)}{but}"

    wanted = [claim for claim in CLAIMS if claims is None or claim.id in claims]
    rows = ([claim.statement, *(cell(verdicts[claim.id]) for verdicts in verdicts_of.values())] for claim in wanted)
    return markdown(["claim", *(f"`{study}`" for study in verdicts_of)], rows)


def missed_by_study_text(verdicts_of: Mapping[str, Mapping[str, Verdict]]) -> str:
    """What the rules of each claim asked for and did not find, study by study."""
    parts = []
    for number, claim in enumerate(CLAIMS, start=1):
        verdicts = {study: verdicts[claim.id] for study, verdicts in verdicts_of.items()}
        missed = [f"{study}, {missed_text(verdict)}" for study, verdict in verdicts.items() if verdict.missed]
        if missed:
            parts.append(f"Claim {number} in part: {'; '.join(missed)}.")
    return " ".join(parts) or "Every claim is reproduced in full."


def claim_text(claim_id: str, verdict: Verdict) -> str:
    """Markdown paragraphs that judge one claim: verdict, evidence, uncertainty, and the rule that was applied."""
    claim = next(claim for claim in CLAIMS if claim.id == claim_id)
    lines = [f"**Verdict: {verdict.status}.** {detail_text(claim_id, verdict)}"]
    if verdict.effect is not None:
        effect = verdict.effect
        paper = "" if verdict.paper is None else f" (read off the paper's figures: {verdict.paper:.3f})"
        lines.append(
            f"{capitalised(claim.quantity)}: {effect.mean:.3f} (single runs: {effect.smallest:.3f} to "
            f"{effect.largest:.3f}){interval_text(effect, before=_INTERVAL)} over {effect.n_runs} runs{paper}; sign-"
            f"flip p of a mean so far from 0: {effect.p_value:.2g} (the smallest that {effect.n_runs} runs can give is "
            f"{effect.smallest_p:.2g})."
        )
    lines.append(f"*Rule.* {claim.rule} *Refuted by:* {claim.refuted_by[0].lower()}{claim.refuted_by[1:]}")
    return "\n\n".join(lines)


def all_claims_text(verdicts: Mapping[str, Verdict]) -> str:
    """Markdown: every claim as the paper has it, then its judgement as in `claim_text`."""
    return "\n\n".join(f"*{claim.statement}*\n\n{claim_text(claim.id, verdicts[claim.id])}" for claim in CLAIMS)


def missed_text(verdict: Verdict) -> str:
    """What the rule of a claim asked for and did not find."""
    return ", ".join(map(_missed_text, verdict.missed))


def detail_text(claim_id: str, verdict: Verdict) -> str:
    """The evidence for a verdict in sentences."""
    told, untested = _DETAILS[claim_id]
    return untested if verdict.evidence is None else told(verdict)


_INTERVAL = ", 95 % interval "


def _of_measures(measures: Sequence[str]) -> str:
    families = [FAMILY[measure] for measure in measures]
    up, down = (families.count(family) for family in ("upstream", "downstream"))
    return f"{len(measures)} of {len(MEASURES)} ({up} upstream, {down} downstream)"


def _penalties(names: Sequence[str]) -> str:
    return " and ".join(SWEEP_NAMES[name] for name in names) or "neither penalty"


def _missed_text(condition: Condition) -> str:
    name, found = condition.name, condition.found
    match name:
        case "dropout's rise exceeds that of both penalties":
            return f"dropout's rise exceeds that of {_penalties(found)} only"
        case "two upstream measures" | "two downstream measures":
            return f"not so for {name}"
        case "two upstream measures agree more than untrained" | "two downstream measures agree more than untrained":
            return f"{name.replace('agree', 'do not agree')} ({found:+.3f})".replace("-", "−")
        case "upper end":
            return f"the upper end is {found:.2f}, above {LITTLE:g}"
        case "half of that within families":
            return f"it is not below half of {found:.2f}, that within families"
    return f"{name} in {_of_measures(found)} only"


def _dropout_text(verdict: Verdict) -> str:
    seen: DropoutEvidence = verdict.evidence
    upstream, downstream = (
        [factor for measure, factor in seen.factors.items() if FAMILY[measure] == family]
        for family in ("upstream", "downstream")
    )
    rising, dramatic, above = (len(condition.found) for condition in verdict.conditions)
    return (
        f"From no dropout to {seen.strongest:g}, Q is multiplied by {min(upstream):.1f} to {max(upstream):.1f} in the "
        f"upstream measures and by {min(downstream):.1f} to {max(downstream):.1f} in the downstream ones. It rises "
        f"in {rising} of {len(MEASURES)} measures, by a factor of {DRAMATIC:g} or more in {dramatic}, and lies above "
        f"the untrained networks by more than {BAND:g} s.d. in {above}."
    )


def _penalty_text(verdict: Verdict) -> str:
    seen: PenaltyEvidence = verdict.evidence
    exceeded, largest = (condition.found for condition in verdict.conditions)
    how = "by the 95 % interval over runs" if seen.has_intervals else "in every run"
    exceptions = [
        f"{MEASURE_LABELS[measure]} ({', '.join(f'{SWEEP_NAMES[name]} {rise:+.3f}' for name, rise in of.items())})"
        for measure, of in seen.by_measure.items()
        if measure not in largest
    ]
    average = ", ".join(
        f"{SWEEP_NAMES[name]} {rise:.3f} (at {strength:.2g})" for name, (strength, rise) in seen.average.items()
    )
    return (
        f"Largest rise of Q, mean of {len(MEASURES)} measures: {average}; dropout's is larger than that of "
        f"{_penalties(exceeded)} ({how}). Measure by measure, dropout's is the largest of the three in "
        f"{_of_measures(largest)}{'; not in ' if exceptions else ''}{', '.join(exceptions)}."
    )


def _within_text(verdict: Verdict) -> str:
    parts = []
    kinds: dict[str, KindOfPair] = verdict.evidence
    for name, kind in kinds.items():
        levels = f"{kind.similarity:.2f}, untrained {kind.untrained:.2f}"
        if name == "across":
            parts.append(f"Across families it is {kind.beyond_chance:.0%} ({levels}).")
        else:
            share = f"{kind.beyond_chance:.0%} of comparisons"
            parts.append(f"Two {name} measures agree beyond chance in {share} (similarity {levels}).")
    return " ".join(parts)


def _across_text(verdict: Verdict) -> str:
    seen: AcrossEvidence = verdict.evidence
    assert verdict.effect is not None
    beyond = seen.beyond_chance
    bar = f", more than the {USUALLY:.0%} that “usually” asks for within a family" if beyond > USUALLY else ""
    return (
        f"Across families element-centric similarity is {seen.similarity:.2f} where shuffled clusterings give "
        f"{seen.chance:.2f}: {verdict.effect.mean:.0%} of the way from chance to identity, against {seen.within:.0%} "
        f"within families. Little is not nothing: {beyond:.0%} of the comparisons agree beyond chance (permutation p < "
        f"{ALPHA:g}){bar}; it is the size of the agreement that sets the two claims apart. "
        f"{by_sweep_text(seen.by_sweep)} The p below tests for no agreement at all; the verdict goes by the size."
    )


def by_sweep_text(found: AcrossBySweep) -> str:
    """What `across_by_sweep` says, in a sentence."""
    means = ", ".join(f"{SWEEP_NAMES[name]} {mean:.3f}" for name, mean in found.means.items())
    if found.effect is None:
        return f"By sweep: {means}."
    strongest = f"at dropout {found.strongest:g} it is {found.effect.mean:.3f}"
    return f"By sweep: {means}; {strongest}{interval_text(found.effect, before=_INTERVAL)}."


_NO_PAIRS = "In some kind of pair no clusterings could be compared."
_DETAILS = {  # by claim: what its evidence says, and what to say without any
    "dropout-raises-modularity": (_dropout_text, "No dropout strength could be analysed in every run."),
    "penalties-are-modest": (_penalty_text, "A sweep has no strength that could be analysed in every run."),
    "families-agree-within": (_within_text, _NO_PAIRS),
    "families-differ": (_across_text, _NO_PAIRS),
}

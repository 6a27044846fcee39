"""Verdicts on the claims in words, for every chapter that judges one."""

from collections.abc import Iterable, Mapping, Sequence

from modularity_lib.book.words.prose import capitalised, effect_text, interval_text, listed, markdown, span
from modularity_lib.findings.claims import (
    ALPHA,
    BAND,
    CLAIMS,
    DRAMATIC,
    FACTOR,
    LITTLE,
    USUALLY,
    AcrossBySweep,
    AcrossEvidence,
    Claim,
    Condition,
    DropoutEvidence,
    KindOfPair,
    PenaltyEvidence,
    Verdict,
)
from modularity_lib.findings.stricter_claims import CLAIM as STRICTER_CLAIM
from modularity_lib.studies.catalogue import Study
from modularity_lib.vocabulary import FAMILY, MEASURE_LABELS, MEASURES, SWEEP_NAMES, strength_text


def by_version(studies: Iterable[Study]) -> dict[str, list[str]]:
    """Names of studies by the version of the paper that they repeat, in the order in which they come."""
    versions: dict[str, list[str]] = {}
    for study in studies:
        versions.setdefault(VERSIONS[study.protocol], []).append(study.name)
    return versions


def verdicts_markdown(
    studies: Sequence[Study],
    verdicts_of: Mapping[str, Mapping[str, Verdict]],
    stricter: Mapping[str, Verdict] | None = None,
) -> str:
    """Markdown table: each claim with its verdicts, a column for each version of the paper that the studies repeat.

    Args:
        studies: those shown, in this order.
        verdicts_of: {study: verdicts of `judge_all`}.
        stricter: {study: of `judge_within_stricter`}, told beside the verdict by the first rule.
    """
    versions = by_version(studies)

    def cell(claim: Claim, study: str) -> str:
        verdict = verdicts_of[study][claim.id]
        text = f"**{verdict.status}**: {effect_text(verdict.effect)}"
        text += f"; misses: {_in_short(verdict)}" if verdict.missed else ""
        if claim.id == STRICTER_CLAIM and stricter and study in stricter:
            other = stricter[study]
            text += f"; stricter rule: **{other.status}**" + (f" ({_in_short(other)})" if other.missed else "")
        return text

    rows = []
    for claim in CLAIMS:
        cells = [
            "<br>".join((f"`{name}` " if len(names) > 1 else "") + cell(claim, name) for name in names)
            for names in versions.values()
        ]
        paper = next(iter(verdicts_of.values()))[claim.id].paper
        rows.append([claim.statement, *cells, "–" if paper is None else f"{paper:.3f}", claim.quantity])
    heads = [f"{version} ({', '.join(f'`{name}`' for name in names)})" for version, names in versions.items()]
    return markdown(["claim", *heads, "paper", "decided by"], rows)


def short_verdicts_markdown(
    studies: Sequence[Study],
    verdicts_of: Mapping[str, Mapping[str, Verdict]],
    stricter: Mapping[str, Verdict] | None = None,
    *,
    sizes: bool = False,
) -> str:
    """The table of `verdicts_markdown` in words: each verdict, and what it misses, once for all studies alike.

    Args:
        studies, verdicts_of, stricter: as there.
        sizes: with the mean effect behind each verdict.
    """
    versions = by_version(studies)

    def cell(claim: Claim, names: Sequence[str]) -> str:
        by_text: dict[str, list[str]] = {}
        for name in names:
            by_text.setdefault(_short_cell(verdicts_of[name][claim.id]), []).append(name)
        parts = []
        for text, of in by_text.items():
            size = sizes_text(verdicts_of[name][claim.id] for name in of) if sizes else ""
            told = text.replace("**: ", f"**{size}: ") if "**: " in text else text + size
            parts.append(told + (f" ({listed(f'`{name}`' for name in of)})" if len(by_text) > 1 else ""))
        if claim.id == STRICTER_CLAIM and stricter and set(names) <= set(stricter):
            found = dict.fromkeys(_short_cell(stricter[name]) for name in names)
            parts.append("by a stricter rule, set later, " + " or ".join(found))
        return "<br>".join(parts)

    rows = [[claim.statement, *(cell(claim, names) for names in versions.values())] for claim in CLAIMS]
    return markdown(["the paper's claim", *versions], rows)


def sizes_text(verdicts: Iterable[Verdict]) -> str:
    """The smallest and the largest mean effect behind some verdicts, after a comma; empty where there is none."""
    means = [verdict.effect.mean for verdict in verdicts if verdict.effect is not None]
    return f", {span(means, '{:z.2f}'.format)}" if means else ""


def _short_cell(verdict: Verdict) -> str:
    why = listed(dict.fromkeys(_why(condition) for condition in verdict.missed)) if verdict.missed else ""
    return f"**{verdict.status}**" + (f": {why}" if why else "")


def _why(condition: Condition) -> str:
    """What does not hold, in plain words and without numbers."""
    name, found = condition.name, condition.found
    some = "no measure"
    if isinstance(found, tuple) and found and set(found) <= set(MEASURES):
        families = {FAMILY[measure] for measure in found}
        some = f"{families.pop()} measures only" if len(families) == 1 else "some measures only"
    match name:
        case "dropout's rise is the largest":
            return "in half of the measures or more a penalty raises Q at least as much as dropout"
        case "dropout's rise exceeds that of both penalties":
            return "a penalty raises Q at least as much as dropout"
        case "upper end" | "half of that within families":
            return "they agree too much"
        case "Q rises":
            return f"Q rises in {some}"
    if name == FACTOR:
        return f"Q rises by half or more in {some}"
    if name.startswith("Q is "):
        return f"Q is clearly above untrained networks in {some}"
    if name.endswith("agree more than untrained"):
        return f"{name.split()[1]} ones agree no more than in untrained networks"
    return f"{name.split()[1]} ones do not"


def by_study_markdown(verdicts_of: Mapping[str, Mapping[str, Verdict]], *, claims: Sequence[str] | None = None) -> str:
    """Markdown table: claims on every study, with verdict, effect and what is missed in each cell.

    Args:
        verdicts_of: {study: verdicts of `judge_all`}.
        claims: ids of those wanted; all of them by default.
    """

    def cell(verdict: Verdict) -> str:
        but = f"<br>but {missed_text(verdict)}" if verdict.missed else ""
        return f"**{verdict.status}**<br>{effect_text(verdict.effect, digits=2)}{but}"

    rows = (
        [f"{number}. {claim.statement}", *(cell(verdicts[claim.id]) for verdicts in verdicts_of.values())]
        for number, claim in enumerate(CLAIMS, start=1)
        if claims is None or claim.id in claims
    )
    return markdown(["claim", *(f"`{study}`" for study in verdicts_of)], rows)


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
VERSIONS = {"v1": "arXiv version", "final": "published version"}  # of the paper, by protocol


def _in_short(verdict: Verdict) -> str:
    """What is missed, for the cell of a table that also has the claim."""
    return ", ".join(map(_missed_in_short, verdict.missed))


def _missed_in_short(condition: Condition) -> str:
    name, found = condition.name, condition.found
    if name.endswith("agree more than untrained"):
        return f"{name.split()[1]} no more than untrained, {found:+.3f}".replace("-", "−")
    if isinstance(found, tuple) and set(found) <= set(MEASURES):
        return f"{name} in {len(found)} of {len(MEASURES)} only"
    return _missed_text(condition)


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
        f"{SWEEP_NAMES[name]} {rise:.3f} (at {strength_text(strength)})"
        for name, (strength, rise) in seen.average.items()
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
            parts.append(f"Across families it is {levels}; {kind.beyond_chance:.0%} of comparisons.")
        else:
            share = f"{kind.beyond_chance:.0%} of comparisons are beyond chance"
            parts.append(f"Similarity of two {name} measures is {levels}; {share}.")
    return " ".join(parts) + _SHARES


def _across_text(verdict: Verdict) -> str:
    seen: AcrossEvidence = verdict.evidence
    assert verdict.effect is not None
    beyond = seen.beyond_chance
    bar = f", more than the {USUALLY:.0%} that “usually” asks for within a family" if beyond > USUALLY else ""
    return (
        f"Across families element-centric similarity is {seen.similarity:.2f} where shuffled clusterings give "
        f"{seen.chance:.2f}: {verdict.effect.mean:.0%} of the way from chance to identity, against {seen.within:.0%} "
        f"within families. Little is not nothing: {beyond:.0%} of the comparisons agree beyond chance (permutation p < "
        f"{ALPHA:g}){bar}; it is the size of the agreement that sets the two claims apart.{_SHARES} "
        f"{by_sweep_text(seen.by_sweep)} The p below tests for no agreement at all; the verdict goes by the size."
    )


def by_sweep_text(found: AcrossBySweep) -> str:
    """What `across_by_sweep` says, in a sentence."""
    means = ", ".join(f"{SWEEP_NAMES[name]} {mean:.3f}" for name, mean in found.means.items())
    if found.effect is None:
        return f"By sweep: {means}."
    strongest = f"at dropout {found.strongest:g} it is {found.effect.mean:.3f}"
    return f"By sweep: {means}; {strongest}{interval_text(found.effect, before=_INTERVAL)}."


_SHARES = " Such shares are no tests: the measures of a layer, and its pairs, depend on each other."
_NO_PAIRS = "In some kind of pair no clusterings could be compared."
_DETAILS = {  # by claim: what its evidence says, and what to say without any
    "dropout-raises-modularity": (_dropout_text, "No dropout strength could be analysed in every run."),
    "penalties-are-modest": (_penalty_text, "A sweep has no strength that could be analysed in every run."),
    "families-agree-within": (_within_text, _NO_PAIRS),
    "families-differ": (_across_text, _NO_PAIRS),
}

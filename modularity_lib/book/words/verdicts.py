"""Verdicts on the claims in words, for every chapter that shows some."""

from collections import Counter
from collections.abc import Mapping, Sequence

from modularity_lib.findings.claims import CLAIMS, STATUSES, Verdict
from modularity_lib.findings.inference import Effect


def verdict_table(verdicts: Mapping[str, Verdict], others: Sequence[Mapping[str, Verdict]] = ()) -> str:
    """Markdown table: each claim, the verdict, and the quantity that decides it, here and in the paper.

    With the verdicts of other studies, a column counts them.
    """
    names = ["claim", "verdict", "here", "paper", *(["other studies"] if others else []), "decided by"]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for claim in CLAIMS:
        verdict = verdicts[claim.id]
        paper = "–" if verdict.paper is None else f"{verdict.paper:.3f}"
        cells = [claim.statement, f"**{verdict.status}**", effect_text(verdict.effect), paper]
        if others:
            counts = Counter(other[claim.id].status for other in others)
            cells.append(", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status]))
        lines.append(f"| {' | '.join([*cells, verdict.quantity])} |")
    return "\n".join(lines)


def effect_text(effect: Effect | None) -> str:
    """An effect in words: mean and 95 % interval, or smallest and largest run where they are too few for one."""
    if effect is None:
        return "–"
    if effect.low is not None:
        return f"{effect.mean:.3f} [{effect.low:.3f}, {effect.high:.3f}]"
    return f"{effect.mean:.3f} ({effect.smallest:.3f} to {effect.largest:.3f})"


def claim_text(claim_id: str, verdict: Verdict) -> str:
    """Markdown paragraphs that judge one claim: verdict, evidence, uncertainty, and the rule that was applied."""
    claim = next(claim for claim in CLAIMS if claim.id == claim_id)
    lines = [f"**Verdict: {verdict.status}.** {verdict.detail}"]
    if verdict.effect is not None:
        effect = verdict.effect
        paper = "" if verdict.paper is None else f" (read off the paper's figures: {verdict.paper:.3f})"
        interval = (
            ""
            if effect.low is None or effect.high is None
            else f", 95 % interval [{effect.low:.3f}, {effect.high:.3f}]"
        )
        lines.append(
            f"{verdict.quantity[0].upper()}{verdict.quantity[1:]}: {effect.mean:.3f} (single "
            f"runs: {effect.smallest:.3f} to {effect.largest:.3f}){interval} over {effect.n_runs} runs{paper}; sign-"
            f"flip p of a mean so far from 0: {effect.p_value:.2g} (the smallest that {effect.n_runs} runs can give is "
            f"{effect.smallest_p:.2g})."
        )
    lines.append(f"*Rule.* {claim.rule} *Refuted by:* {claim.refuted_by[0].lower()}{claim.refuted_by[1:]}")
    return "\n\n".join(lines)


def all_claims_text(verdicts: Mapping[str, Verdict]) -> str:
    """Markdown: every claim as the paper has it, then its judgement as in `claim_text`."""
    return "\n\n".join(f"*{claim.statement}*\n\n{claim_text(claim.id, verdicts[claim.id])}" for claim in CLAIMS)

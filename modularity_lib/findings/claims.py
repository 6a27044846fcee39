"""The paper's claims, and the rule by which each is judged, with what would refute it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from modularity_lib.findings.inference import Effect, effect_over_runs
from modularity_lib.findings.paper import published
from modularity_lib.studies.results import Results, agreement_by_kind, sweep
from modularity_lib.vocabulary import (
    BASELINE,
    FAMILY,
    KINDS,
    MEASURE_LABELS,
    MEASURES,
    REGULARISERS,
    SWEEP_NAMES,
    Measure,
    Regulariser,
    pair_kind,
)

REPRODUCED, PARTLY, NOT_REPRODUCED = "reproduced", "partly reproduced", "not reproduced"
COULD_NOT_TEST = "could not test"
STATUSES = (REPRODUCED, PARTLY, NOT_REPRODUCED, COULD_NOT_TEST)

DRAMATIC = 1.5  # "dramatically": Q at the strongest dropout at least this many times Q without
BAND = 3.0  # standard deviations of the untrained networks that a score has to clear
ALPHA = 0.05  # level at which one pair of clusterings counts as agreeing beyond chance
USUALLY = 0.5  # "usually agree": more than this share of the pairs
LITTLE = 0.25  # "agree little": at most this far from chance (0) towards identity (1)


_OVER_RUNS = "by its 95 % interval over runs; in every run where they are fewer than 6"


@dataclass(frozen=True)
class Verdict:
    """Outcome of one claim: the decisive quantity here and in the paper, and what follows by the rule."""

    status: str
    quantity: str  # what `effect` and `paper` are
    effect: Effect | None
    paper: float | None
    detail: str
    missed: str = ""  # what the rule asks for and is not so, in words


@dataclass(frozen=True)
class Claim:
    """One claim of the paper with its decision rule."""

    id: str
    statement: str
    rule: str
    refuted_by: str
    judge: Callable[[Results], Verdict]


def judge_all(results: Results) -> dict[str, Verdict]:
    """Verdict on every claim, by claim id, from the tables of one study."""
    return {claim.id: claim.judge(results) for claim in CLAIMS}


def _modularity_by_run(results: Results, regulariser: Regulariser) -> pd.DataFrame:
    """Q averaged over layers, one row per (strength, measure), one column per run; only settings all runs have."""
    rows = sweep(results.analysed("modules", trained=True), results.study, regulariser)
    return rows.pivot_table(index=["strength", "measure"], columns="run", values="score").dropna()


def _rise(by_run: pd.DataFrame, strength: float) -> pd.DataFrame:
    """Q at a strength minus Q at the left end of the curve: (measure, run)."""
    return by_run.loc[strength] - by_run.loc[by_run.index.get_level_values("strength").min()]


def _usable_strengths(by_run: pd.DataFrame) -> list[float]:
    """Strengths above the baseline at which every measure has a score in every run; none if the baseline has not."""
    complete = by_run.groupby("strength").size() == len(MEASURES)
    usable = list(complete[complete].index)
    return usable[1:] if usable and usable[0] in BASELINE else []


class _Rise(NamedTuple):
    strength: float
    by_run: pd.Series


def _largest_rise(results: Results, regulariser: Regulariser) -> _Rise | None:
    """Rise of Q, averaged over measures, at the strength where its mean over runs is largest: one value per run."""
    by_run = _modularity_by_run(results, regulariser)
    rises = [_Rise(strength, _rise(by_run, strength).mean()) for strength in _usable_strengths(by_run)]
    return max(rises, key=lambda rise: rise.by_run.mean()) if rises else None


def _largest_rise_of(results: Results, regulariser: Regulariser, measure: Measure) -> float:
    """The same for one measure, mean over runs."""
    by_run = _modularity_by_run(results, regulariser)
    return max(float(np.mean(_rise(by_run, strength).loc[measure])) for strength in _usable_strengths(by_run))


def _judge_dropout(results: Results) -> Verdict:
    by_run = _modularity_by_run(results, "dropout")
    strengths = _usable_strengths(by_run)
    quantity = "rise of Q from no dropout to the strongest, mean of 8 measures"
    paper = _paper_rise("dropout", strongest=True)
    untrained = results.analysed("modules", trained=False).groupby("measure")["score"].agg(["mean", "std"])
    if not strengths or set(untrained.index) != set(MEASURES):
        return Verdict(COULD_NOT_TEST, quantity, None, paper, "No dropout strength could be analysed in every run.")
    strongest, rise = strengths[-1], _rise(by_run, strengths[-1])
    effect = effect_over_runs(rise.mean().to_numpy())
    means, before = (pd.DataFrame(by_run.loc[strength]).mean(axis=1) for strength in (strongest, 0.0))
    factors = means / before
    rising = [measure for measure in MEASURES if effect_over_runs(rise.loc[measure].to_numpy()).is_above_zero]
    limit = untrained["mean"] + BAND * untrained["std"]
    above = [measure for measure in MEASURES if means[measure] > limit[measure]]
    dramatic = [measure for measure in MEASURES if factors[measure] >= DRAMATIC]
    upstream, downstream = (
        factors[[measure for measure in MEASURES if FAMILY[measure] == family]] for family in ("upstream", "downstream")
    )
    detail = (
        f"From no dropout to {strongest:g}, Q is multiplied by {upstream.min():.1f} to {upstream.max():.1f} in the "
        f"upstream measures and by {downstream.min():.1f} to {downstream.max():.1f} in the downstream ones. It rises "
        f"in {len(rising)} of 8 measures, by a factor of {DRAMATIC:g} or more in {len(dramatic)}, and lies above the "
        f"untrained networks by more than {BAND:g} s.d. in {len(above)}."
    )
    asked = {
        "Q rises": rising,
        f"Q rises by a factor of {DRAMATIC:g}": dramatic,
        f"Q is {BAND:g} s.d. above untrained": above,
    }
    missed = [f"{what} in {_listed(found)} only" for what, found in asked.items() if len(found) < len(MEASURES)]
    status = PARTLY if effect.is_above_zero else NOT_REPRODUCED
    return Verdict(REPRODUCED if not missed else status, quantity, effect, paper, detail, ", ".join(missed))


def _judge_penalties(results: Results) -> Verdict:
    rises: dict[str, _Rise | None] = {name: _largest_rise(results, name) for name in REGULARISERS}
    quantity = "largest rise of Q: dropout's minus the larger of L2's and L1's, mean of 8 measures"
    paper = _paper_rise("dropout") - max(_paper_rise("l2"), _paper_rise("l1"))
    found = {name: rise for name, rise in rises.items() if rise is not None}
    if len(found) < len(rises):
        detail = "A sweep has no strength that could be analysed in every run."
        return Verdict(COULD_NOT_TEST, quantity, None, paper, detail)
    by_run = {name: rise.by_run for name, rise in found.items()}
    margins = {name: effect_over_runs((by_run["dropout"] - by_run[name]).to_numpy()) for name in ("l2", "l1")}
    smaller = [SWEEP_NAMES[name] for name, margin in margins.items() if margin.is_above_zero]
    how = "in every run" if margins["l2"].low is None else "by the 95 % interval over runs"
    by_measure = {
        measure: {name: _largest_rise_of(results, name, measure) for name in REGULARISERS} for measure in MEASURES
    }
    largest = [measure for measure, of in by_measure.items() if of["dropout"] > max(of["l2"], of["l1"])]
    exceptions = [
        f"{MEASURE_LABELS[measure]} ({', '.join(f'{SWEEP_NAMES[name]} {rise:+.3f}' for name, rise in of.items())})"
        for measure, of in by_measure.items()
        if measure not in largest
    ]
    listed = ", ".join(
        f"{SWEEP_NAMES[name]} {rise.by_run.mean():.3f} (at {rise.strength:.2g})" for name, rise in found.items()
    )
    detail = (
        f"Largest rise of Q, mean of 8 measures: {listed}; dropout's is larger than that of "
        f"{' and '.join(smaller) if smaller else 'neither penalty'} ({how}). Measure by measure, dropout's is "
        f"the largest of the three in {_listed(largest)}"
        + (f"; not in {', '.join(exceptions)}." if exceptions else ".")
    )
    larger = max(("l2", "l1"), key=lambda name: by_run[name].mean())
    missed = []
    if len(smaller) < 2:
        missed.append(f"dropout's rise exceeds that of {' and '.join(smaller) or 'neither penalty'} only")
    if len(largest) <= len(MEASURES) / 2:
        missed.append(f"dropout's rise is the largest in {_listed(largest)} only")
    status = REPRODUCED if not missed else PARTLY if smaller else NOT_REPRODUCED
    effect = effect_over_runs((by_run["dropout"] - by_run[larger]).to_numpy())
    return Verdict(status, quantity, effect, paper, detail, ", ".join(missed))


def _listed(measures: list[Measure]) -> str:
    families = [FAMILY[measure] for measure in measures]
    return f"{len(measures)} of 8 ({families.count('upstream')} upstream, {families.count('downstream')} downstream)"


_NO_PAIRS = "In some kind of pair no clusterings could be compared."


def _judge_within(results: Results) -> Verdict:
    rows, untrained = (agreement_by_kind(results, trained=flag) for flag in (True, False))
    quantity = "agreement within a family minus across, element-centric"
    paper = _paper_agreement("within") - _paper_agreement("across")
    if set(rows["kind"]) != set(KINDS):
        return Verdict(COULD_NOT_TEST, quantity, None, paper, _NO_PAIRS)
    by_run = rows.pivot_table(index="run", columns="kind", values="element_centric")
    beyond_chance = (rows["p_value"] < ALPHA).groupby(rows["kind"]).mean()
    before = untrained.groupby("kind")["element_centric"].mean()
    margins = {
        kind: effect_over_runs((by_run[kind] - by_run["across"]).to_numpy()) for kind in ("upstream", "downstream")
    }
    holds = [kind for kind, margin in margins.items() if margin.is_above_zero and beyond_chance[kind] > USUALLY]
    detail = " ".join(
        f"Two {kind} measures agree beyond chance in {beyond_chance[kind]:.0%} of comparisons (similarity "
        f"{by_run[kind].mean():.2f}, untrained {before.get(kind, np.nan):.2f})."
        for kind in margins
    )
    detail += (
        f" Across families it is {beyond_chance['across']:.0%} ({by_run['across'].mean():.2f}, untrained "
        f"{before.get('across', np.nan):.2f})."
    )
    missed = ", ".join(f"not so for two {kind} measures" for kind in margins if kind not in holds)
    status = REPRODUCED if not missed else PARTLY if holds else NOT_REPRODUCED
    within = (by_run["upstream"] + by_run["downstream"]) / 2
    return Verdict(status, quantity, effect_over_runs((within - by_run["across"]).to_numpy()), paper, detail, missed)


def _judge_across(results: Results) -> Verdict:
    rows = agreement_by_kind(results)
    quantity = "agreement across families, 0 = chance, 1 = identical"
    if set(rows["kind"]) != set(KINDS):
        return Verdict(COULD_NOT_TEST, quantity, None, None, _NO_PAIRS)
    by_run = rows.pivot_table(index="run", columns="kind", values="corrected")
    across = effect_over_runs(by_run["across"].to_numpy())
    within = by_run[["upstream", "downstream"]].to_numpy().mean()
    chosen = rows[rows["kind"] == "across"]
    beyond = (chosen["p_value"] < ALPHA).mean()
    bar = f", more than the {USUALLY:.0%} that “usually” asks for within a family" if beyond > USUALLY else ""
    detail = (
        f"Across families element-centric similarity is {chosen['element_centric'].mean():.2f} where shuffled "
        f"clusterings give {chosen['element_centric_chance'].mean():.2f}: {across.mean:.0%} of the way from chance "
        f"to identity, against {within:.0%} within families. Little is not nothing: {beyond:.0%} of the comparisons "
        f"agree beyond chance (permutation p < {ALPHA:g}){bar}; it is the size of the agreement that sets the two "
        f"claims apart. {across_by_sweep(results)} The p below tests for no agreement at all; the verdict goes by the "
        "size."
    )
    upper = across.largest if across.high is None else across.high
    missed = []
    if upper > LITTLE:
        missed.append(f"the upper end is {upper:.2f}, above {LITTLE:g}")
    if across.mean >= within / 2:
        missed.append(f"it is not below half of {within:.2f}, that within families")
    status = REPRODUCED if not missed else PARTLY if len(missed) == 1 else NOT_REPRODUCED
    return Verdict(status, quantity, across, None, detail, ", ".join(missed))


def across_by_sweep(results: Results) -> str:
    """Agreement across families by regulariser, and at the strongest dropout: the mean over a study hides them."""
    rows = agreement_by_kind(results)
    across = rows[rows["kind"] == "across"]
    means = []
    for name in ("l2", "l1", "dropout"):
        rows = sweep(across, results.study, name)
        if len(rows):
            means.append(f"{SWEEP_NAMES[name]} {rows.groupby('run')['corrected'].mean().mean():.3f}")
    rows = sweep(across, results.study, "dropout")
    if rows.empty:
        return f"By sweep: {', '.join(means)}."
    strongest = rows["strength"].max()
    effect = effect_over_runs(rows[rows["strength"] == strongest].groupby("run")["corrected"].mean().to_numpy())
    bounds = "" if effect.low is None else f", 95 % interval [{effect.low:.3f}, {effect.high:.3f}]"
    return f"By sweep: {', '.join(means)}; at dropout {strongest:g} it is {effect.mean:.3f}{bounds}."


def _paper_rise(regulariser: Regulariser, *, strongest: bool = False) -> float:
    table = published("q_vs_regularisation")
    curve = table[table["regulariser"] == regulariser].groupby("strength")["Q"].mean()
    baseline = table[(table["regulariser"] == "dropout") & (table["strength"] == 0)]["Q"].mean()
    return float((curve.iloc[-1] if strongest else curve.max()) - baseline)


def _paper_agreement(kind: str) -> float:
    table = published("agreement").query("networks == 'trained'")
    kinds = pd.Series(
        [pair_kind(a, b) for a, b in zip(table["measure_a"], table["measure_b"], strict=True)], table.index
    )
    if kind == "across":
        return float(table.loc[kinds == "across", "element_centric"].mean())
    return float(table["element_centric"].groupby(kinds).mean()[["upstream", "downstream"]].mean())


CLAIMS = (
    Claim(
        id="dropout-raises-modularity",
        statement="Dropout dramatically increases modularity.",
        rule=(
            "Take the strongest dropout that could be analysed in every run, and Q averaged over layers. Reproduced "
            f"if, in each of the 8 measures, Q rises ({_OVER_RUNS}), to at least {DRAMATIC:g} times its value "
            f"without dropout and above the untrained mean by more than {BAND:g} s.d. Partly if the average over "
            "measures rises."
        ),
        refuted_by="An average rise that is not above 0 in this sense.",
        judge=_judge_dropout,
    ),
    Claim(
        id="penalties-are-modest",
        statement="L2 and L1 weight regularisation have more modest effects.",
        rule=(
            "For each regulariser take the strength, among those that could be analysed in every run, at which Q, "
            "averaged over measures, rises most. Reproduced if dropout's rise exceeds that of both penalties "
            f"({_OVER_RUNS}), and in more than half of the measures taken singly. Partly if it exceeds that of one "
            "penalty, or on average alone."
        ),
        refuted_by="Both penalties rise at least as much as dropout.",
        judge=_judge_penalties,
    ),
    Claim(
        id="families-agree-within",
        statement="Clusters found by different upstream measures usually agree; so do those of downstream measures.",
        rule=(
            "Pairs of a measure and its own normalised form are left out. Reproduced if, within each family, more than "
            f"{USUALLY:.0%} of the comparisons (pair, layer, network) agree beyond chance (permutation p < "
            f"{ALPHA:g}), and the agreement exceeds that across families ({_OVER_RUNS}). Partly if that holds for "
            "one family."
        ),
        refuted_by="Half or fewer of the comparisons beyond chance, or no more agreement within than across, in both.",
        judge=_judge_within,
    ),
    Claim(
        id="families-differ",
        statement="Upstream and downstream clusters agree little with each other.",
        rule=(
            "Take agreement across families on a scale where 0 is what shuffled clusterings give and 1 is identity. "
            f"Reproduced if it stays at or below {LITTLE:g} ({_OVER_RUNS}) and the mean is less than half of that "
            "within families, pairs of a measure and its own normalised form left out. Partly if one of the two holds."
        ),
        refuted_by="Agreement across families above both limits.",
        judge=_judge_across,
    ),
)

"""The paper's claims: the rule that judges each, and what would refute it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from modularity_lib.findings.inference import Effect, effect_over_runs
from modularity_lib.findings.paper import published
from modularity_lib.studies.results import Results, agreement_by_kind, kinds_of_pairs, sweep
from modularity_lib.vocabulary import BASELINE, KINDS, MEASURES, REGULARISERS, Measure, Regulariser

REPRODUCED, PARTLY, NOT_REPRODUCED = "reproduced", "partly reproduced", "not reproduced"
COULD_NOT_TEST = "could not test"
STATUSES = (REPRODUCED, PARTLY, NOT_REPRODUCED, COULD_NOT_TEST)

DRAMATIC = 1.5  # "dramatically": Q at the strongest dropout at least this many times Q without
BAND = 3.0  # standard deviations of the untrained networks that a score has to clear
ALPHA = 0.05  # level at which one pair of clusterings counts as agreeing beyond chance
USUALLY = 0.5  # "usually agree": more than this share of the pairs
LITTLE = 0.25  # "agree little": at most this far from chance (0) towards identity (1)


FACTOR = f"Q rises by a factor of {DRAMATIC:g}"  # name of a condition
_OVER_RUNS = "by its 95 % interval over runs"


@dataclass(frozen=True)
class Condition:
    """One thing that the rule of a claim asks for."""

    name: str
    holds: bool
    found: Any  # the measures or penalties for which it holds, a tuple of names; or the number that decides


@dataclass(frozen=True)
class Verdict:
    """Outcome of one claim: the decisive quantity here and in the paper, the rule's conditions, and the evidence."""

    status: str
    effect: Effect | None
    paper: float | None
    conditions: tuple[Condition, ...] = ()
    evidence: Any = None  # of a type of its own for each claim, see what judges it; None: could not test

    @property
    def missed(self) -> tuple[Condition, ...]:
        """The conditions that do not hold."""
        return tuple(condition for condition in self.conditions if not condition.holds)


@dataclass(frozen=True)
class Claim:
    """One claim of the paper with its decision rule."""

    id: str
    statement: str
    quantity: str  # what decides it: `effect` and `paper` of its verdict
    rule: str
    refuted_by: str
    judge: Callable[[Results], Verdict]


def judge_all(results: Results) -> dict[str, Verdict]:
    """Verdict on every claim, by claim id, from the tables of one study."""
    return {claim.id: claim.judge(results) for claim in CLAIMS}


def q_by_run(results: Results, regulariser: Regulariser) -> pd.DataFrame:
    """Q averaged over layers: a row per (strength, measure), a column per run; only settings that all runs have."""
    rows = sweep(results.analysed("modules", trained=True), results.study, regulariser)
    return rows.pivot_table(index=["strength", "measure"], columns="run", values="score").dropna()


def rise_at(by_run: pd.DataFrame, strength: float) -> pd.DataFrame:
    """Q at a strength minus Q at the left end of the curve: (measure, run)."""
    return by_run.loc[strength] - by_run.loc[by_run.index.get_level_values("strength").min()]


def complete_strengths(by_run: pd.DataFrame) -> list[float]:
    """Strengths above the baseline at which every measure has a score in every run; none if the baseline lacks one."""
    complete = by_run.groupby("strength").size() == len(MEASURES)
    usable = list(complete[complete].index)
    return usable[1:] if usable and usable[0] in BASELINE else []


def _status(conditions: Sequence[Condition], *, partly: bool) -> str:
    return REPRODUCED if all(condition.holds for condition in conditions) else PARTLY if partly else NOT_REPRODUCED


class DropoutEvidence(NamedTuple):
    """Factor by which Q rises from no dropout to the strongest, for each measure; means over runs and layers."""

    strongest: float
    factors: dict[Measure, float]


def _judge_dropout(results: Results) -> Verdict:
    by_run = q_by_run(results, "dropout")
    strengths = complete_strengths(by_run)
    paper = _paper_rise("dropout", strongest=True)
    untrained = results.analysed("modules", trained=False).groupby("measure")["score"].agg(["mean", "std"])
    if not strengths or set(untrained.index) != set(MEASURES):
        return Verdict(COULD_NOT_TEST, None, paper)
    strongest, rise = strengths[-1], rise_at(by_run, strengths[-1])
    effect = effect_over_runs(rise.mean().to_numpy())
    means, before = (pd.DataFrame(by_run.loc[strength]).mean(axis=1) for strength in (strongest, 0.0))
    factors = means / before
    limit = untrained["mean"] + BAND * untrained["std"]
    asked = {
        "Q rises": [name for name in MEASURES if effect_over_runs(rise.loc[name].to_numpy()).is_above_zero],
        FACTOR: [name for name in MEASURES if factors[name] >= DRAMATIC],
        f"Q is {BAND:g} s.d. above untrained": [name for name in MEASURES if means[name] > limit[name]],
    }
    conditions = tuple(Condition(what, len(found) == len(MEASURES), tuple(found)) for what, found in asked.items())
    status = _status(conditions, partly=effect.is_above_zero)
    return Verdict(
        status, effect, paper, conditions, DropoutEvidence(strongest, {name: factors[name] for name in MEASURES})
    )


class PenaltyEvidence(NamedTuple):
    """Largest rise of Q along each sweep: of the mean of the measures with its strength, and of each measure."""

    average: dict[Regulariser, tuple[float, float]]  # strength, rise
    by_measure: dict[Measure, dict[Regulariser, float]]
    has_intervals: bool


def _judge_penalties(results: Results) -> Verdict:
    paper = _paper_rise("dropout") - max(_paper_rise("l2"), _paper_rise("l1"))
    scores = {name: q_by_run(results, name) for name in REGULARISERS}
    rises = {name: {x: rise_at(scores[name], x) for x in complete_strengths(scores[name])} for name in REGULARISERS}
    if not all(rises.values()):
        return Verdict(COULD_NOT_TEST, None, paper)
    # The strength is chosen by the mean over measures and runs; the runs at it are then compared.
    means = {name: {x: rise.mean() for x, rise in by_strength.items()} for name, by_strength in rises.items()}
    chosen = {name: max(by_strength, key=lambda x: by_strength[x].mean()) for name, by_strength in means.items()}
    by_run = {name: means[name][strength] for name, strength in chosen.items()}
    penalties: tuple[Regulariser, ...] = ("l2", "l1")
    margins = {name: effect_over_runs((by_run["dropout"] - by_run[name]).to_numpy()) for name in penalties}
    exceeded = [name for name, margin in margins.items() if margin.is_above_zero]
    by_measure = {
        measure: {name: max(float(np.mean(rise.loc[measure])) for rise in rises[name].values()) for name in rises}
        for measure in MEASURES
    }
    largest = [measure for measure, of in by_measure.items() if of["dropout"] > max(of["l2"], of["l1"])]
    conditions = (
        Condition("dropout's rise exceeds that of both penalties", len(exceeded) == 2, tuple(exceeded)),
        Condition("dropout's rise is the largest", len(largest) > len(MEASURES) / 2, tuple(largest)),
    )
    larger = max(penalties, key=lambda name: by_run[name].mean())
    average = {name: (strength, by_run[name].mean()) for name, strength in chosen.items()}
    evidence = PenaltyEvidence(average, by_measure, has_intervals=margins["l2"].low is not None)
    return Verdict(_status(conditions, partly=bool(exceeded)), margins[larger], paper, conditions, evidence)


class KindOfPair(NamedTuple):
    """Agreement for one kind of pair: share beyond chance, mean similarities (NaN without untrained networks)."""

    beyond_chance: float
    similarity: float
    untrained: float


def _judge_within(results: Results) -> Verdict:
    rows, untrained = (agreement_by_kind(results, trained=flag) for flag in (True, False))
    paper = _paper_agreement("within") - _paper_agreement("across")
    if set(rows["kind"]) != set(KINDS):
        return Verdict(COULD_NOT_TEST, None, paper)
    by_run = rows.pivot_table(index="run", columns="kind", values="element_centric")
    beyond_chance = (rows["p_value"] < ALPHA).groupby(rows["kind"]).mean()
    before = untrained.groupby("kind")["element_centric"].mean()
    margins = {
        kind: effect_over_runs((by_run[kind] - by_run["across"]).to_numpy()) for kind in ("upstream", "downstream")
    }
    conditions = tuple(
        Condition(f"two {kind} measures", margin.is_above_zero and beyond_chance[kind] > USUALLY, beyond_chance[kind])
        for kind, margin in margins.items()
    )
    kinds = {kind: KindOfPair(beyond_chance[kind], by_run[kind].mean(), before.get(kind, np.nan)) for kind in KINDS}
    within = (by_run["upstream"] + by_run["downstream"]) / 2
    effect = effect_over_runs((within - by_run["across"]).to_numpy())
    status = _status(conditions, partly=any(condition.holds for condition in conditions))
    return Verdict(status, effect, paper, conditions, kinds)


class AcrossBySweep(NamedTuple):
    """Corrected agreement across families along each sweep, and at the strongest dropout where there is one."""

    means: dict[Regulariser, float]
    strongest: float | None
    effect: Effect | None


class AcrossEvidence(NamedTuple):
    """Agreement across families: similarity and chance as they are; within families and by sweep, corrected."""

    similarity: float
    chance: float
    within: float
    beyond_chance: float
    by_sweep: AcrossBySweep


def _judge_across(results: Results) -> Verdict:
    rows = agreement_by_kind(results)
    if set(rows["kind"]) != set(KINDS):
        return Verdict(COULD_NOT_TEST, None, None)
    by_run = rows.pivot_table(index="run", columns="kind", values="corrected")
    across = effect_over_runs(by_run["across"].to_numpy())
    within = by_run[["upstream", "downstream"]].to_numpy().mean()
    upper = across.bounds[1]
    conditions = (
        Condition("upper end", upper <= LITTLE, upper),
        Condition("half of that within families", across.mean < within / 2, within),
    )
    chosen = rows[rows["kind"] == "across"]
    evidence = AcrossEvidence(
        similarity=chosen["element_centric"].mean(),
        chance=chosen["element_centric_chance"].mean(),
        within=within,
        beyond_chance=(chosen["p_value"] < ALPHA).mean(),
        by_sweep=across_by_sweep(results),
    )
    status = _status(conditions, partly=any(condition.holds for condition in conditions))
    return Verdict(status, across, None, conditions, evidence)


def across_by_sweep(results: Results) -> AcrossBySweep:
    """Agreement across families by regulariser, and at the strongest dropout; the mean over a study hides both."""
    rows = agreement_by_kind(results)
    across = rows[rows["kind"] == "across"]
    sweeps = {name: sweep(across, results.study, name) for name in REGULARISERS}
    means = {name: rows.groupby("run")["corrected"].mean().mean() for name, rows in sweeps.items() if len(rows)}
    rows = sweeps["dropout"]
    if rows.empty:
        return AcrossBySweep(means, None, None)
    strongest = rows["strength"].max()
    by_run = rows[rows["strength"] == strongest].groupby("run")["corrected"].mean()
    return AcrossBySweep(means, strongest, effect_over_runs(by_run.to_numpy()))


def _paper_rise(regulariser: str, *, strongest: bool = False) -> float:
    table = published("q_vs_regularisation")
    curve = table[table["regulariser"] == regulariser].groupby("strength")["Q"].mean()
    baseline = table[(table["regulariser"] == "dropout") & (table["strength"] == 0)]["Q"].mean()
    return float((curve.iloc[-1] if strongest else curve.max()) - baseline)


def _paper_agreement(kind: str) -> float:
    table = published("agreement").query("networks == 'trained'")
    kinds = kinds_of_pairs(table)
    if kind == "across":
        return float(table.loc[kinds == "across", "element_centric"].mean())
    return float(table["element_centric"].groupby(kinds).mean()[["upstream", "downstream"]].mean())


CLAIMS = (
    Claim(
        id="dropout-raises-modularity",
        statement="Dropout dramatically increases modularity.",
        quantity=f"rise of Q from no dropout to the strongest, mean of {len(MEASURES)} measures",
        rule=(
            "Take the strongest dropout that could be analysed in every run, and Q averaged over layers. Reproduced "
            f"if, in each of the {len(MEASURES)} measures, Q rises ({_OVER_RUNS}), to at least {DRAMATIC:g} times its "
            f"value without dropout and above the untrained mean by more than {BAND:g} s.d. Partly if the average over "
            "measures rises."
        ),
        refuted_by="Averaged over the measures, Q does not rise: the 95 % interval of the rise is not above 0.",
        judge=_judge_dropout,
    ),
    Claim(
        id="penalties-are-modest",
        statement="L2 and L1 weight regularisation have more modest effects.",
        quantity=f"largest rise of Q: dropout's minus the larger of L2's and L1's, mean of {len(MEASURES)} measures",
        rule=(
            "For each regulariser take the strength, among those that could be analysed in every run, at which Q, "
            "averaged over measures, rises most. Reproduced if dropout's rise exceeds that of both penalties "
            f"({_OVER_RUNS}), and in more than half of the measures taken singly. Partly if it exceeds that of one "
            "penalty, or of both on average but not in most measures."
        ),
        refuted_by="Dropout's rise is not shown to exceed that of either penalty.",
        judge=_judge_penalties,
    ),
    Claim(
        id="families-agree-within",
        statement="Clusters found by different upstream measures usually agree; so do those of downstream measures.",
        quantity="raw similarity of clusterings within a family minus across, element-centric",
        rule=(
            "Pairs of a measure and its own normalised form are left out. Reproduced if, within each family, more than "
            f"{USUALLY:.0%} of the comparisons (pair, layer, network) agree beyond chance (permutation p < "
            f"{ALPHA:g}), and the agreement exceeds that across families ({_OVER_RUNS}). Partly if that holds for "
            "one family."
        ),
        refuted_by=(
            "In both families, half or fewer of the comparisons are beyond chance, or agreement is no larger than "
            "across."
        ),
        judge=_judge_within,
    ),
    Claim(
        id="families-differ",
        statement="Upstream and downstream clusters agree little with each other.",
        quantity="agreement across families, 0 = chance, 1 = identical",
        rule=(
            "Take agreement across families on a scale where 0 is what shuffled clusterings give and 1 is identity. "
            f"Reproduced if it stays at or below {LITTLE:g} ({_OVER_RUNS}) and the mean is less than half of that "
            "within families, pairs of a measure and its own normalised form left out. Partly if one of the two holds."
        ),
        refuted_by=f"Agreement across families is above {LITTLE:g}, and above half of that within families.",
        judge=_judge_across,
    ),
)

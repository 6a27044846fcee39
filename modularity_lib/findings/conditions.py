"""How near every condition of the claims' rules is to failing, and what untrained networks score on it.

A condition that untrained networks meet cannot fail: it says nothing of training. The rules are those of `claims`; what
each asks for in all measures is shown for the measure that comes nearest to failing.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from modularity_lib.findings.claims import (
    ALPHA,
    BAND,
    CLAIMS,
    DRAMATIC,
    LITTLE,
    USUALLY,
    Verdict,
    complete_strengths,
    judge_all,
    q_by_run,
)
from modularity_lib.findings.equal_accuracy import rises_at_equal_accuracy
from modularity_lib.findings.inference import Effect, effect_over_runs, jackknife_interval
from modularity_lib.studies.results import Results, agreement_by_kind
from modularity_lib.vocabulary import KINDS, MEASURE_LABELS, MEASURES

_DROPOUT, _PENALTIES, _WITHIN, _ACROSS = (claim.id for claim in CLAIMS)
_Row = dict[str, Any]


def conditions_table(results: Results) -> pd.DataFrame:
    """Every condition of the rules with its limit, what was found, and what untrained networks score.

    Returns:
        `claim`; `condition`; `at` (which measure comes nearest to failing, or ""); `asks` ("above" or "at most") and
        `limit`; `here` with its 95 % interval, `low` and `high` (NaN: a count, or a share); `untrained`: the same
        number with untrained networks in place of those that are judged (NaN: it needs a sweep);
        `untrained_meets`; `in_widths`: distance of `here` from the limit in half-widths of the interval, negative
        where the condition does not hold. Claims that could not be tested are left out.
    """
    verdicts = judge_all(results)
    parts = {_DROPOUT: _of_dropout, _PENALTIES: _of_penalties, _WITHIN: _of_within, _ACROSS: _of_across}
    rows = [
        {"claim": claim, **row}
        for claim, rows_of in parts.items()
        if verdicts[claim].effect is not None
        for row in rows_of(results, verdicts[claim])
    ]
    table = pd.DataFrame(rows).astype({"untrained": float})
    sign = np.where(table["asks"] == "above", 1.0, -1.0)
    met = sign * (table["untrained"] - table["limit"]) > 0
    half = (table["high"] - table["low"]) / 2
    return table.assign(untrained_meets=met, in_widths=sign * (table["here"] - table["limit"]) / half)


def nearest_to_turning(table: pd.DataFrame) -> pd.Series:
    """The condition with an interval whose limit lies nearest, in half-widths of that interval."""
    return table.iloc[int(table["in_widths"].abs().argmin())]


def _row(condition: str, asks: str, limit: float, here: Effect | float, untrained: float, at: str = "") -> _Row:
    mean, low, high = (here.mean, here.low, here.high) if isinstance(here, Effect) else (here, np.nan, np.nan)
    found = {"here": mean, "low": np.nan if low is None else low, "high": np.nan if high is None else high}
    return {"condition": condition, "at": at, "asks": asks, "limit": limit, **found, "untrained": untrained}


def _of_dropout(results: Results, verdict: Verdict) -> Iterator[_Row]:
    """Untrained networks stand in for those with the strongest dropout."""
    by_run = q_by_run(results, "dropout")
    strongest = complete_strengths(by_run)[-1]
    after, before = (pd.DataFrame(by_run.loc[x]).loc[list(MEASURES)].to_numpy() for x in (strongest, 0.0))
    untrained = results.analysed("modules", trained=False).groupby("measure")["score"]
    mean, spread = (values.loc[list(MEASURES)].to_numpy() for values in (untrained.mean(), untrained.std()))

    rises = [effect_over_runs(values) for values in after - before]
    least = min(range(len(MEASURES)), key=lambda index: rises[index].bounds[0])
    level = before.mean(axis=1)
    yield _row("Q rises", "above", 0.0, rises[least], float((mean - level).min()), _label(least))

    both = np.stack([after.T, before.T], axis=1)  # (runs, 2, measures)
    factors, low, high = jackknife_interval(lambda runs: np.divide(*runs.mean(axis=0)), both)
    least = int(factors.argmin())
    row = _row("factor of Q", "above", DRAMATIC, float(factors[least]), float((mean / level).min()), _label(least))
    yield row | {"low": low[least], "high": high[least]}

    above = [effect_over_runs(values) for values in (after - mean[:, None]) / spread[:, None]]
    least = min(range(len(MEASURES)), key=lambda index: above[index].mean)
    yield _row("s.d. above untrained", "above", BAND, above[least], 0.0, _label(least))


def _of_penalties(results: Results, verdict: Verdict) -> Iterator[_Row]:
    assert verdict.effect is not None
    yield _row("dropout's rise minus the larger penalty's", "above", 0.0, verdict.effect, np.nan)
    at_equal_accuracy = rises_at_equal_accuracy(results)
    if at_equal_accuracy is not None:
        yield _row("the same at equal accuracy (not in the rule)", "above", 0.0, at_equal_accuracy.margin, np.nan)
    largest = float(len(verdict.conditions[1].found))
    yield _row("measures in which dropout's rise is the largest", "above", len(MEASURES) / 2, largest, np.nan)


def _of_within(results: Results, verdict: Verdict) -> Iterator[_Row]:
    trained, untrained = (agreement_by_kind(results, trained=flag) for flag in (True, False))
    shares, before = ((rows["p_value"] < ALPHA).groupby(rows["kind"]).mean() for rows in (trained, untrained))
    by_run = trained.pivot_table(index="run", columns="kind", values="element_centric")
    means = untrained.groupby("kind")["element_centric"].mean().reindex(list(KINDS))
    for kind in ("upstream", "downstream"):
        share = f"two {kind} measures: share with p < {ALPHA:g}"
        yield _row(share, "above", USUALLY, float(shares[kind]), float(before.get(kind, np.nan)))
        margin = effect_over_runs((by_run[kind] - by_run["across"]).to_numpy())
        yield _row(f"two {kind} measures: minus across", "above", 0.0, margin, float(means[kind] - means["across"]))


def _of_across(results: Results, verdict: Verdict) -> Iterator[_Row]:
    assert verdict.effect is not None
    untrained = agreement_by_kind(results, trained=False).groupby("kind")["corrected"].mean().reindex(list(KINDS))
    yield _row("agreement across", "at most", LITTLE, verdict.effect, float(untrained["across"]))
    rows = agreement_by_kind(results)
    by_run = rows.pivot_table(index="run", columns="kind", values="corrected")[["across", "upstream", "downstream"]]

    def ratio(runs: np.ndarray) -> np.ndarray:
        across, *within = runs.mean(axis=0)
        level = np.mean(within)
        return np.array([across / level if level else np.nan])

    [found], [low], [high] = jackknife_interval(ratio, by_run.to_numpy())
    [before] = ratio(untrained[["across", "upstream", "downstream"]].to_numpy()[None])
    yield _row("agreement across, over that within", "at most", 0.5, float(found), float(before)) | {
        "low": low,
        "high": high,
    }


def _label(index: int) -> str:
    return MEASURE_LABELS[MEASURES[index]]

"""The claims on every study in one picture: what decides each, beside the limit of its rule and the paper's value."""

from collections.abc import Iterator, Sequence
from textwrap import wrap
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from modularity_lib.figures.plot import drawn_from
from modularity_lib.figures.style import LOOKS, WIDTH, legend_above
from modularity_lib.findings.claims import CLAIMS, LITTLE, PARTLY, Verdict, judge_all, q_by_run, rise_at
from modularity_lib.findings.comparison import repeats_the_paper
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import FAMILY, REGULARISERS

_LIMITS = {"families-differ": LITTLE}  # of what decides a claim; 0 where none is named
_WORDS = {PARTLY: "partly"}  # verdicts that are shortened
_WHOLE = "all"  # in the column `of`: what decides the claim
_TOP, _BELOW = 0.14, -0.2  # of a row: where the study is drawn, and where its parts


def claims_across_studies_table(studies: Sequence[Results]) -> pd.DataFrame:
    """What decides each claim on each study, as a whole and in its parts.

    Returns:
        `claim`, `study`, `status` (the verdict); `of`: "all", or a measure, a kind of pair, a regulariser; `mean`;
        `low` and `high`, the 95 % interval over runs (smallest and largest run where there is none) of "all"; `meets`:
        whether a measure or kind has all that the rule asks of it; `limit` of the rule; `paper`, where the study is the
        paper's.
    """
    rows: list[dict[str, Any]] = []
    for results in studies:
        for name, verdict in judge_all(results).items():
            effect, of_paper = verdict.effect, verdict.paper if repeats_the_paper(results.study) else None
            low, high = (np.nan, np.nan) if effect is None else effect.bounds
            whole = {"of": _WHOLE, "mean": np.nan if effect is None else effect.mean, "low": low, "high": high}
            place = {"claim": name, "study": results.study.name, "status": verdict.status}
            rows.append({**place, **whole, "limit": _LIMITS.get(name, 0.0), "paper": of_paper})
            if verdict.evidence is not None:
                rows += [{**place, **part} for part in _PARTS[name](results, verdict)]
    columns = ["claim", "study", "status", "of", "mean", "low", "high", "meets", "limit", "paper"]
    return pd.DataFrame(rows).reindex(columns=columns)


@drawn_from(claims_across_studies_table)
def claims_across_studies(table: pd.DataFrame) -> Figure:
    """What decides each claim: a panel per claim, a row per study, with its verdict.

    Below the mean and its interval smaller markers show the measures, the kinds of pairs, or the regularisers.
    """
    figure, panels = plt.subplots(2, 2, figsize=(WIDTH, 6.8), layout="constrained")
    for axes, claim in zip(panels.flat, CLAIMS, strict=True):
        rows = table[table["claim"] == claim.id]
        studies = list(dict.fromkeys(rows["study"]))[::-1]
        for height, study in enumerate(studies):
            _draw_study(axes, rows[rows["study"] == study], height)
        axes.axvline(rows["limit"].dropna().iloc[0], color="black", linestyle="--", linewidth=1, zorder=0)
        verdicts = rows.drop_duplicates("study").set_index("study")["status"]
        names = [f"{study}:\n{_WORDS.get(verdicts[study], verdicts[study])}" for study in studies]
        axes.set_yticks(range(len(studies)), names)
        axes.set_ylim(-0.6, len(studies) - 0.4)
        axes.tick_params(axis="y", length=0)
        axes.set_title("\n".join(wrap(claim.statement, 40)), loc="left")
        axes.set_xlabel("\n".join(wrap(claim.quantity, 40)))
    handles = _handles(with_paper=bool(table["paper"].notna().any()))
    legend_above(figure, handles, [str(handle.get_label()) for handle in handles])
    return figure


def _draw_study(axes: Axes, rows: pd.DataFrame, height: float) -> None:
    is_whole = rows["of"] == _WHOLE
    [whole] = rows[is_whole].to_dict("records")
    axes.hlines(height + _TOP, whole["low"], whole["high"], color="black", linewidth=2)
    axes.plot(whole["mean"], height + _TOP, "D", color="black", markersize=5)
    axes.plot(whole["paper"], height + _TOP, "D", color="black", markersize=10, markerfacecolor="none")
    for part in rows[~is_whole].to_dict("records"):
        look = LOOKS[FAMILY.get(part["of"], part["of"])]
        face = "none" if part["meets"] is False else look.colour
        at = height + _BELOW
        axes.plot(part["mean"], at, look.marker, color=look.colour, markersize=5, markerfacecolor=face, alpha=0.8)


def _handles(*, with_paper: bool) -> list[Line2D]:
    small: dict[str, Any] = {"linestyle": "none", "markersize": 5}
    handles = [Line2D([], [], color="black", marker="D", markersize=5, label="mean and 95 % interval")]
    if with_paper:
        hollow: dict[str, Any] = {"linestyle": "none", "markersize": 9, "markerfacecolor": "none"}
        handles.append(Line2D([], [], color="black", marker="D", label="paper", **hollow))
    handles.append(Line2D([], [], color="black", linestyle="--", linewidth=1, label="limit of the rule"))
    for name, label in (("upstream", "upstream"), ("downstream", "downstream")):
        look = LOOKS[name]
        handles.append(Line2D([], [], color=look.colour, marker=look.marker, label=label, **small))
    for name in REGULARISERS:
        look = LOOKS[name]
        handles.append(Line2D([], [], color=look.colour, marker=look.marker, label=look.label, **small))
    handles.append(
        Line2D([], [], color="#555555", marker="o", markerfacecolor="none", label="misses the rule", **small)
    )
    return handles


def _rises(results: Results, verdict: Verdict) -> Iterator[dict[str, Any]]:
    """The rise of Q of each measure at the strongest dropout; it meets the rule if all conditions name it."""
    rises = rise_at(q_by_run(results, "dropout"), verdict.evidence.strongest).mean(axis=1)
    for measure, rise in rises.items():
        yield {"of": measure, "mean": rise, "meets": all(measure in one.found for one in verdict.conditions)}


def _margins(results: Results, verdict: Verdict) -> Iterator[dict[str, Any]]:
    """By how much dropout's largest rise exceeds that of both penalties, for each measure."""
    for measure, rises in verdict.evidence.by_measure.items():
        margin = rises["dropout"] - max(rises["l2"], rises["l1"])
        yield {"of": measure, "mean": margin, "meets": margin > 0}


def _within(results: Results, verdict: Verdict) -> Iterator[dict[str, Any]]:
    """Agreement within each family minus that across."""
    across = verdict.evidence["across"].similarity
    for condition, kind in zip(verdict.conditions, ("upstream", "downstream"), strict=True):
        yield {"of": kind, "mean": verdict.evidence[kind].similarity - across, "meets": condition.holds}


def _by_sweep(results: Results, verdict: Verdict) -> Iterator[dict[str, Any]]:
    """Agreement across families along each sweep."""
    for regulariser, mean in verdict.evidence.by_sweep.means.items():
        yield {"of": regulariser, "mean": mean}


_PARTS = {
    "dropout-raises-modularity": _rises,
    "penalties-are-modest": _margins,
    "families-agree-within": _within,
    "families-differ": _by_sweep,
}

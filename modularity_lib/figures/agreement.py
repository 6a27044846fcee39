"""Agreement of clusterings by kind of pair: against dropout, and from chance to what can be reached at most."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from modularity_lib.figures.plot import drawn_from
from modularity_lib.figures.style import LOOKS, NARROW, legend_above, line
from modularity_lib.studies.results import Results, agreement_by_kind, sweep
from modularity_lib.vocabulary import KINDS


def agreement_against_dropout_table(results: Results) -> pd.DataFrame:
    """Agreement by kind of pair and strength of dropout: `mean` of the `n_runs` runs with results, `sem`, `chance`."""
    rows = sweep(agreement_by_kind(results), results.study, "dropout")
    point = ["kind", "strength"]
    values = ["element_centric", "element_centric_chance"]
    by_run = rows.groupby([*point, "run"])[values].mean().reset_index()
    table = by_run.groupby(point)["element_centric"].agg(mean="mean", sem="sem", n_runs="count")
    return table.assign(chance=rows.groupby(point)["element_centric_chance"].mean()).reset_index()


@drawn_from(agreement_against_dropout_table)
def agreement_against_dropout(table: pd.DataFrame) -> Figure:
    """Agreement against dropout as curves, a colour for each kind of pair; dashed: chance."""
    figure, axes = plt.subplots(figsize=(NARROW, 3.9), layout="constrained")
    for kind in KINDS:
        look, curve = LOOKS[kind], table[table["kind"] == kind]
        axes.errorbar(curve["strength"], curve["mean"], curve["sem"], **line(look))
        axes.plot(curve["strength"], curve["chance"], color=look.colour, linestyle="--", linewidth=1)
    axes.plot([], [], color="black", linestyle="--", linewidth=1, label="chance (units shuffled)")
    axes.set(xlabel="dropout", ylabel="element-centric similarity (0 to 1)", ylim=(0, 1))
    legend_above(figure, *axes.get_legend_handles_labels())
    return figure


def chance_to_ceiling_table(
    results: Results, *, ceilings: pd.DataFrame | None = None, halves: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Mean agreement by `kind` of pair, and by `what`: chance, untrained and trained networks, two ceilings.

    Args:
        ceilings, halves: of `noise_ceiling.ceiling_table` and `halves_table`, where they are at hand. The ceiling of a
            pair is the lower one of its two measures, and NaN without these tables.
    Returns:
        `kind`, `what`, `element_centric`; for trained networks also the means of the `smallest_run` and `largest_run`.
    """
    rows = []
    trained, untrained = (agreement_by_kind(results, trained=flag) for flag in (True, False))
    searches, images = (
        {} if table is None else table.groupby("measure")["element_centric"].mean().to_dict()
        for table in (ceilings, halves)
    )
    for kind in KINDS:
        ours = trained[trained["kind"] == kind]
        pairs = ours[["measure_a", "measure_b"]].drop_duplicates().to_numpy()
        by_run = ours.groupby("run")["element_centric"].mean()
        values = {
            "chance": ours["element_centric_chance"].mean(),
            "untrained": untrained.loc[untrained["kind"] == kind, "element_centric"].mean(),
            "trained": ours["element_centric"].mean(),
            "ceiling": np.mean([min(searches.get(a, np.nan), searches.get(b, np.nan)) for a, b in pairs]),
            "ceiling, images": np.mean([min(images.get(a, np.nan), images.get(b, np.nan)) for a, b in pairs]),
        }
        ends = {"trained": {"smallest_run": by_run.min(), "largest_run": by_run.max()}}
        rows += [
            {"kind": kind, "what": name, "element_centric": value, **ends.get(name, {})}
            for name, value in values.items()
        ]
    return pd.DataFrame(rows)


_MARKS = {
    "chance": ("|", "chance (units shuffled)"),
    "untrained": ("o", "untrained"),
    "trained": ("D", "trained: mean and range of runs"),
    "ceiling": (">", "ceiling: same matrix, two searches"),
    "ceiling, images": ("P", "ceiling: two halves of the images"),
}


@drawn_from(chance_to_ceiling_table)
def chance_to_ceiling(table: pd.DataFrame) -> Figure:
    """From chance to ceiling: points on a line for each kind of pair."""
    figure, axes = plt.subplots(figsize=(NARROW, 3.9), layout="constrained")
    kinds = list(dict.fromkeys(table["kind"]))
    for height, kind in enumerate(reversed(kinds)):
        values = table[table["kind"] == kind].set_index("what")
        means, colour = values["element_centric"], LOOKS[kind].colour
        axes.plot([means["chance"], means.max()], [height, height], color=colour, linewidth=1, alpha=0.4)
        ends = values.loc["trained", ["smallest_run", "largest_run"]].astype(float)
        axes.hlines(height, *ends, color=colour, linewidth=4, alpha=0.6)
        axes.plot(ends, [height, height], "|", color=colour, markersize=13, markeredgewidth=1.5)
        for what, (marker, _) in _MARKS.items():
            axes.plot(means[what], height, color=colour, **_mark(what, marker, colour))
    for what, (marker, label) in _MARKS.items():
        bar = {"linestyle": "-", "linewidth": 3} if what == "trained" else {"linestyle": "none"}
        axes.plot([], [], color="#333333", label=label, **{**_mark(what, marker, "#333333"), "markersize": 8}, **bar)
    axes.set_yticks(
        range(len(kinds)), [LOOKS[kind].label.replace("measures", "\nmeasures") for kind in reversed(kinds)]
    )
    axes.set(xlabel="element-centric similarity (0 to 1)", xlim=(0, 1), ylim=(-0.5, len(kinds) - 0.5))
    legend_above(figure, *axes.get_legend_handles_labels())
    return figure


def _mark(what: str, marker: str, colour: str) -> dict[str, Any]:
    """A marker for one kind of value: untrained hollow, chance a tall line."""
    face = "white" if what == "untrained" else colour
    size = {"chance": 20, "trained": 6}.get(what, 8)
    return {"marker": marker, "markerfacecolor": face, "markersize": size, "markeredgewidth": 1.2}

"""Agreement over all and over live units against the strength of each regulariser, and how many units are live."""

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modularity_lib.figures.plot import drawn_from
from modularity_lib.figures.style import LOOKS, WIDTH, legend_above, line
from modularity_lib.studies.results import LAYER_OF_NETWORK, Results, agreement_by_kind, sweep
from modularity_lib.vocabulary import KINDS, REGULARISERS, Regulariser

_FORMS: dict[str, tuple[str, dict[str, Any]]] = {  # {units: (name, look)}
    "live": ("live units", {}),
    "all": ("all units, as in the paper", {"linestyle": "--", "markerfacecolor": "white", "linewidth": 1.0}),
}


def agreement_over_both_table(results: Results, live: Results) -> pd.DataFrame:
    """Agreement on the scale from chance (0) to identity (1) by regulariser, strength, kind of pair and form.

    Args:
        live: the same results `live_units.on_live_units`.
    Returns:
        `regulariser`, `strength`, `kind`; `units` ("all" or "live"); `mean` over runs of the mean over layers and
        pairs, with `sem` and `n_runs`; `live_units`, mean per layer.
    """
    parts = []
    for units, source in (("live", live), ("all", results)):
        for regulariser in reversed(REGULARISERS):
            rows = sweep(agreement_by_kind(source), results.study, regulariser)
            rows = rows[(rows["strength"] > 0) | (regulariser == "dropout")]  # L1 has a logarithmic axis
            point = ["strength", "kind"]
            by_run = rows.groupby([*point, "run"])["corrected"].mean()
            table = by_run.groupby(point).agg(mean="mean", sem="sem", n_runs="count").reset_index()
            parts.append(table.assign(regulariser=regulariser, units=units))
    table = pd.concat(parts, ignore_index=True).merge(_live_units(results, live))
    return table[["regulariser", "strength", "kind", "units", "mean", "sem", "n_runs", "live_units"]]


def _live_units(results: Results, live: Results) -> pd.DataFrame:
    layers = agreement_by_kind(live).drop_duplicates(LAYER_OF_NETWORK)
    return pd.concat(
        sweep(layers, results.study, name)
        .groupby("strength")["live_units"]
        .mean()
        .reset_index()
        .assign(regulariser=name)
        for name in REGULARISERS
    )


@drawn_from(agreement_over_both_table)
def agreement_over_both(table: pd.DataFrame) -> Figure:
    """Agreement against the strength of each regulariser: solid over live units, dashed over all; below, live units."""
    order: list[Regulariser] = ["dropout", "l2", "l1"]
    figure, panels = plt.subplots(
        2, 3, figsize=(WIDTH, 5.4), sharex="col", sharey="row", layout="constrained", height_ratios=[3, 1]
    )
    for (upper, lower), regulariser in zip(panels.T, order, strict=True):
        rows = table[table["regulariser"] == regulariser]
        for kind in KINDS:
            _draw_kind(upper, rows[rows["kind"] == kind], kind)
        counts = rows.drop_duplicates("strength").sort_values("strength")
        lower.plot(counts["strength"], counts["live_units"], color="black", marker=".", linewidth=1.2)
        for axes in (upper, lower):
            axes.set_xscale("linear" if regulariser == "dropout" else "log")
        upper.set_title(LOOKS[regulariser].label, color=LOOKS[regulariser].colour)
        upper.axhline(0, color="#999999", linewidth=0.8)
        lower.set_xlabel(LOOKS[regulariser].label)
    panels[0, 0].set(ylabel="agreement (0 chance, 1 identical)", ylim=(-0.1, 1))
    panels[1, 0].set(ylabel="live units per layer", ylim=(0, None))
    for name, look in _FORMS.values():
        panels[0, 0].plot([], [], color="black", marker="o", markersize=4, label=name, **look)
    legend_above(figure, *panels[0, 0].get_legend_handles_labels())
    return figure


def _draw_kind(axes: Axes, rows: pd.DataFrame, kind: str) -> None:
    look = LOOKS[kind]
    for units, (_, form) in _FORMS.items():
        curve = rows[rows["units"] == units].sort_values("strength")
        style = {**line(look), "label": look.label if units == "live" else None, **form}
        axes.errorbar(curve["strength"], curve["mean"], curve["sem"].fillna(0.0), **style)

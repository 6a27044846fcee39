"""A panel for every measure and hidden layer, with curves along dropout."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from modularity_lib.figures.style import LOOKS, NARROW, WIDTH, legend_above, measure_title
from modularity_lib.vocabulary import FAMILY, NORMALISED, Measure

Curves = dict[str, tuple[str, dict[str, Any]]]  # {column: (name, look)}


def panels_along_dropout(
    table: pd.DataFrame,
    curves: Curves,
    *,
    label: str,
    absent: str,
    measures: Sequence[Measure] = NORMALISED,
) -> Figure:
    """Means over runs ± s.e.m.

    Args:
        table: of one sweep, with `strength`, `layer`, `measure` and a column for each curve.
        label: of the y axis.
        absent: what a table without rows is shown as.
        measures: a column of panels for each.
    """
    layers = sorted(set(table["layer"]))
    figure, panels = plt.subplots(
        max(1, len(layers)),
        len(measures),
        figsize=(WIDTH if len(measures) > 2 else NARROW, 0.9 + 1.9 * max(1, len(layers))),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for row, layer in zip(panels, layers, strict=False):
        for axes, measure in zip(row, measures, strict=True):
            rows = table[(table["layer"] == layer) & (table["measure"] == measure)].groupby("strength")
            for column, (name, look) in curves.items():
                means, errors = rows[column].mean(), rows[column].sem().fillna(0.0)
                looks = {"linewidth": 1.1, "markersize": 4, "capsize": 1.5, **look}
                axes.errorbar(means.index, means, errors, **looks, label=name)
            axes.set_title(measure_title(measure, f"layer {layer}"), color=LOOKS[FAMILY[measure]].colour)
    if not layers:
        for axes in panels.flat:
            axes.set_axis_off()
        figure.text(0.5, 0.5, absent, ha="center", va="center")
        return figure
    for axes in panels[-1]:
        axes.set_xlabel("dropout")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    panels[0, 0].set_ylim(0, None)
    for axes in panels[:, 0]:
        axes.set_ylabel(label)
    legend_above(figure, *panels[0, 0].get_legend_handles_labels())
    return figure

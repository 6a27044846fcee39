"""Q against dropout beside its counterfactual and its nulls, and what units of one module and of two share."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from modularity_lib.figures.panels import Curves, panels_along_dropout
from modularity_lib.figures.plot import drawn_from
from modularity_lib.figures.style import LOOKS, UNTRAINED_COLOUR
from modularity_lib.findings.common_mode import NORMALISED
from modularity_lib.findings.rotated import MEASURES as UPSTREAM
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import FAMILY, MEASURE_LABELS, Measure

_Curves = dict[str, tuple[str, dict[str, Any]]]  # {column: (name, look)}

# As on every page: dropout in its colour, what is made up on purpose in black, chance in grey.
_Q_CURVES: Curves = {
    "score": ("Q", {"color": LOOKS["dropout"].colour, "marker": LOOKS["dropout"].marker, "linewidth": 1.6}),
    "score_equal": ("with as much in common as without dropout", {"color": "black", "marker": "P", "markersize": 5}),
    "score_shuffled": ("similarities shuffled", {"color": UNTRAINED_COLOUR, "marker": "v", "linestyle": "--"}),
    "score_directions": ("random directions", {"color": UNTRAINED_COLOUR, "marker": "x", "linestyle": ":"}),
}
_ROTATED_CURVES: _Curves = {
    "score": _Q_CURVES["score"],
    "score_rotated": ("units rotated", {"color": UNTRAINED_COLOUR, "marker": "s", "linestyle": "--"}),
    "score_matched": ("rotated, at the same firing rates", {"color": UNTRAINED_COLOUR, "marker": "D"}),
}
_SHARED_CURVES: _Curves = {
_SHARED_CURVES: Curves = {
    "within": ("units of one module", {"color": LOOKS["dropout"].colour, "marker": LOOKS["dropout"].marker}),
    "mean": ("all pairs", {"color": "black", "linestyle": ":"}),
    "across": ("units of different modules", {"color": LOOKS["dropout"].colour, "marker": "_", "linestyle": "--"}),
}
_ABSENT = "no similarity matrices at hand"


def along_dropout(results: Results, measured: pd.DataFrame | None) -> pd.DataFrame:
    """Rows with dropout alone, which is their `strength`; none where nothing was measured.

    Args:
        measured: `common_mode.common_mode_table`, or the table of the finding `rotated`.
    """
    return pd.DataFrame(columns=["layer"]) if measured is None else sweep(measured, results.study, "dropout")


@drawn_from(along_dropout)
def q_with_as_much_in_common(table: pd.DataFrame) -> Figure:
    """Q along dropout: as it is, with as much in common, and of both nulls."""
    return panels_along_dropout(table, _Q_CURVES, label="modularity Q", columns=4, absent=_ABSENT)


@drawn_from(along_dropout)
def q_of_rotated_units(table: pd.DataFrame) -> Figure:
    """Q of upstream measures along dropout: as it is, and after rotations of the units before their ReLU."""
    return _panels(table, _ROTATED_CURVES, label="modularity Q", columns=3, measures=UPSTREAM)


@drawn_from(along_dropout)
def similarity_within_and_across(table: pd.DataFrame) -> Figure:
    """Mean similarity along dropout: within the modules, across them, and of all pairs."""
    return _panels(table, _SHARED_CURVES, label="mean similarity", columns=3)


def _panels(
    table: pd.DataFrame,
    curves: _Curves,
    *,
    label: str,
    columns: int,
    measures: Sequence[Measure] = NORMALISED,
) -> Figure:
    """A panel per layer and normalised measure: means over runs ± s.e.m. of one sweep, with `strength`."""
    layers = sorted(set(table["layer"]))
    figure, panels = plt.subplots(
        max(1, len(layers)),
        len(measures),
        figsize=(0.6 + 2.0 * max(3, len(measures)), 0.9 + 1.9 * max(1, len(layers))),
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
            axes.set_title(f"{MEASURE_LABELS[measure]},\nlayer {layer}", color=LOOKS[FAMILY[measure]].colour)
    if not layers:
        for axes in panels.flat:
            axes.set_axis_off()
        figure.text(0.5, 0.5, "nothing at hand to show", ha="center", va="center")
        return figure
    for axes in panels[-1]:
        axes.set_xlabel("dropout")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    panels[0, 0].set_ylim(0, None)
    for axes in panels[:, 0]:
        axes.set_ylabel(label)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=columns)
    return figure
    return panels_along_dropout(table, _SHARED_CURVES, label="mean similarity", columns=3, absent=_ABSENT)

"""Do the measures agree on how modular a layer is?"""

from collections.abc import Sequence
from itertools import combinations
from typing import get_args

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from modularity_lib.figures.plot import as_given, drawn_from
from modularity_lib.figures.style import (
    COLOUR_BAR,
    LOOKS,
    NARROW,
    UNTRAINED_COLOUR,
    WIDTH,
    legend_above,
    measure_ticks,
    written,
)
from modularity_lib.findings.score_correlations import SWEEPS, score_correlations, scores_by_network
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import (
    KINDS,
    LABELS,
    MEASURE_LABELS,
    MEASURES,
    Measure,
    PairKind,
    is_normalised,
    pair_kind,
)

_KIND_TITLES = {kind: LABELS.get(kind, "the same, normalised") for kind in get_args(PairKind)}
_SWEEP_LABELS = {name: LOOKS[name].label if name in LOOKS else "untrained" for name in SWEEPS}


def scatter_table(
    results: Results, *, measures: Sequence[Measure] = MEASURES, layers: Sequence[int] | None = None
) -> pd.DataFrame:
    """Q of every network in two layers: `layer`, `regulariser`, ... and a column per measure.

    Args:
        measures: which ones, in order.
        layers: the one shown below the diagonal, whose rows come first, and the one above it; by default the first and
            the last.
    """
    return _of_two_layers(results, scores_by_network(results, measures=measures), layers)


@drawn_from(scatter_table)
def scatter_of_scores(table: pd.DataFrame) -> Figure:
    """Q of two measures against each other, a point per network: a column per kind of pair, a row per layer (P8).

    Of each kind the first pair of the table is shown, one of normalised measures if there is any.
    """
    pairs = _one_of_each_kind([name for name in table if name in MEASURES])
    layers = list(dict.fromkeys(_layers_of(table)))
    figure, panels = plt.subplots(
        len(layers),
        len(pairs),
        figsize=(WIDTH if len(pairs) > 1 else NARROW, 0.8 + 2.3 * len(layers)),
        sharex="col",
        sharey="col",
        squeeze=False,
        layout="constrained",
    )
    for row, layer in zip(panels, layers, strict=True):
        for axes, (kind, (x, y)) in zip(row, pairs.items(), strict=True):
            for group, rows in table[table["layer"] == layer].groupby("regulariser", sort=False):
                axes.plot(rows[x], rows[y], **_points(str(group)))
            title = f"layer {layer}" if axes not in panels[0] else f"{_KIND_TITLES[kind]}\nlayer {layer}"
            axes.set_title(title, color=LOOKS[kind].colour if kind in LOOKS else "black")
            axes.set_ylabel(f"Q, {MEASURE_LABELS[y]}")
            axes.locator_params(nbins=4)
    for axes, (x, _) in zip(panels[-1], pairs.values(), strict=True):
        axes.set_xlabel(f"Q, {MEASURE_LABELS[x]}")
    handles = _handles()
    legend_above(figure, handles, [str(handle.get_label()) for handle in handles])
    return figure


def score_correlation_table(results: Results, *, layers: Sequence[int] | None = None) -> pd.DataFrame:
    """`score_correlations` of two layers: the one shown below the diagonal, whose rows come first, and the one above.

    Args:
        layers: these two; by default the first and the last hidden layer.
    """
    return _of_two_layers(results, score_correlations(results), layers)


@drawn_from(score_correlation_table)
def score_correlation_matrices(table: pd.DataFrame) -> Figure:
    """Spearman correlation of Q between measures, a matrix per regulariser and for untrained networks (P8)."""
    below, above = _layers_of(table)
    figure, panels = plt.subplots(2, 2, figsize=(WIDTH, 8.4), layout="constrained")
    for axes, name in zip(panels.flat, SWEEPS, strict=True):
        rows = table[table["sweep"] == name]
        halves = [rows[rows["layer"] == layer] for layer in (below, above)]
        counts = [int(half["networks"].max()) if len(half) else 0 for half in halves]
        matrix = _below(halves[0]).combine_first(_below(halves[1]).T).reindex(index=MEASURES, columns=MEASURES)
        heatmap = {"vmin": -1, "vmax": 1, "cmap": "RdBu_r", "square": True, "cbar": False}
        sns.heatmap(matrix, ax=axes, annot=written(matrix), fmt="", annot_kws={"size": 7.5}, **heatmap)
        axes.set_facecolor("#EEEEEE")
        axes.axhline(4, color="black", linewidth=1)
        axes.axvline(4, color="black", linewidth=1)
        axes.set_title(f"{_SWEEP_LABELS[name]}: n = {counts[0]} below, {counts[1]} above")
        measure_ticks(axes, left=axes in panels[:, 0], below=axes in panels[-1])
    label = f"Spearman correlation of Q\nbelow the diagonal: layer {below}, above: layer {above}"
    figure.colorbar(panels[0, 0].collections[0], ax=panels, label=label, **COLOUR_BAR)
    return figure


@drawn_from(as_given)
def score_correlations_by_kind(means: pd.DataFrame) -> Figure:
    """Mean rank correlation of Q by kind of pair, per sweep and layer, with and without the strength of regularisation.

    Args:
        means: of `score_correlations.mean_correlations`.
    """
    layers = sorted(means["layer"].unique())
    rows_of = {
        "free": "all networks",
        "fixed": "mean of each setting\ntaken off",
    }
    figure, panels = plt.subplots(
        2, len(layers), figsize=(WIDTH, 5.6), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for row, (strength, label) in zip(panels, rows_of.items(), strict=True):
        for axes, layer in zip(row, layers, strict=True):
            axes.axhline(0, color="black", linewidth=0.8)
            chosen = means[(means["strength"] == strength) & (means["layer"] == layer)]
            for shift, kind in zip((-0.2, 0.0, 0.2), KINDS, strict=True):
                rows = chosen[chosen["kind"] == kind].set_index("sweep").reindex(SWEEPS)
                look = LOOKS[kind]
                bars = np.nan_to_num(np.abs(rows[["low", "high"]].sub(rows["mean"], axis=0).to_numpy().T))
                axes.errorbar(
                    np.arange(len(SWEEPS)) + shift,
                    rows["mean"],
                    bars,
                    linestyle="none",
                    color=look.colour,
                    marker=look.marker,
                    markersize=5,
                    capsize=2,
                    label=look.label,
                )
            if strength == "fixed":
                axes.text(len(SWEEPS) - 1, 0.04, "one setting", ha="center", fontsize=8, color="#555555")
        row[0].set_ylabel(f"mean correlation of Q,\n{label}")
    for axes, layer in zip(panels[0], layers, strict=True):
        axes.set_title(f"layer {layer}")
    for axes in panels[-1]:
        axes.set_xticks(range(len(SWEEPS)), [_SWEEP_LABELS[name].replace(" ", "\n") for name in SWEEPS])
    legend_above(figure, *panels[0, 0].get_legend_handles_labels())
    return figure


def _of_two_layers(results: Results, table: pd.DataFrame, layers: Sequence[int] | None) -> pd.DataFrame:
    n_layers = len(results.study.hidden)
    chosen = (1, n_layers) if layers is None else tuple(layers)
    if len(chosen) != 2 or not all(layer in range(1, n_layers + 1) for layer in chosen):
        raise ValueError(f"layers must be two hidden layers, counted from 1 to {n_layers}, got {layers!r}.")
    return pd.concat([table[table["layer"] == layer] for layer in dict.fromkeys(chosen)], ignore_index=True)


def _layers_of(table: pd.DataFrame) -> tuple[int, int]:
    """The layer below the diagonal and the one above it, in the order of the rows."""
    layers = table["layer"].unique()
    return layers[0], layers[-1]


def _below(rows: pd.DataFrame) -> pd.DataFrame:
    """Correlations as a square, the later measure of each pair in the row; NaN on the diagonal and above it."""
    square = rows.pivot_table(index="measure_b", columns="measure_a", values="correlation")
    return square.reindex(index=MEASURES, columns=MEASURES)


def _one_of_each_kind(measures: Sequence[Measure]) -> dict[PairKind, tuple[Measure, Measure]]:
    """Two measures for each kind of pair; "same", of a measure and its own normalised form, where there is no other."""
    pairs = sorted(combinations(measures, 2), key=lambda pair: not all(map(is_normalised, pair)))
    first: dict[PairKind, tuple[Measure, Measure]] = {}
    for pair in pairs:
        first.setdefault(pair_kind(*pair), pair)
    return {kind: first[kind] for kind in KINDS if kind in first} or first


def _points(group: str) -> dict[str, object]:
    """How the points of networks look that were trained with one regulariser."""
    common = {"linestyle": "none", "markersize": 3, "markeredgewidth": 0}
    if group == "untrained":
        return {**common, "color": UNTRAINED_COLOUR, "marker": "o", "alpha": 0.3, "zorder": 1}
    if group == "baseline":
        return {**common, "color": "black", "marker": "D", "zorder": 3}
    return {**common, "color": LOOKS[group].colour, "marker": LOOKS[group].marker, "zorder": 2}


def _handles() -> list[Line2D]:
    labels = {**_SWEEP_LABELS, "baseline": "baseline"}
    looks = {name: {**_points(name), "markersize": 5, "alpha": 1} for name in labels}
    return [Line2D([], [], label=label, **looks[name]) for name, label in labels.items()]  # type: ignore[arg-type]

"""Do the measures agree on how modular a layer is?"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from modularity_lib.figures.plot import as_given, drawn_from
from modularity_lib.figures.style import LOOKS, UNTRAINED_COLOUR, measure_ticks, written
from modularity_lib.findings.score_correlations import SWEEPS, score_correlations, scores_by_network
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import FAMILY, KINDS, MEASURE_LABELS, MEASURES, Measure

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
    """Q of every two measures against each other, a point per network, a layer on each side of the diagonal (P8).

    The x axis of a panel is the measure named above or below its column, the y axis the one named beside its row.
    """
    measures = [name for name in table if name in MEASURES]
    below, above = _layers_of(table)
    ranges = {name: _range(table[name]) for name in measures}
    n = len(measures)
    figure, panels = plt.subplots(n, n, figsize=(9, 9.3), layout=ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01))
    for row, y in enumerate(measures):
        for column, x in enumerate(measures):
            axes = panels[row, column]
            if row == column:
                _name_plate(axes, x)
                continue
            part = table[table["layer"] == (below if row > column else above)]
            for group, rows in part.groupby("regulariser", sort=False):
                axes.plot(rows[x], rows[y], **_points(str(group)))
            axes.set(xlim=ranges[x], ylim=ranges[y])
            axes.locator_params(nbins=3)
            # The corners hold names, so their neighbours carry the numbers.
            is_lowest, is_leftmost = row == n - 1 - (column == n - 1), column == (row == 0)
            axes.tick_params(labelsize=6, length=2, labelbottom=is_lowest, labelleft=is_leftmost)
    figure.supxlabel("modularity Q of the measure named in the column", fontsize=9)
    figure.supylabel("modularity Q of the measure named in the row", fontsize=9)
    title = f"below the diagonal: layer {below}; above: layer {above}"
    figure.legend(handles=_handles(), loc="outside upper center", ncols=5, title=title, title_fontsize=9)
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
    figure, panels = plt.subplots(2, 2, figsize=(9, 9.6), layout="constrained")
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
    label = f"Spearman correlation of Q (-1 to 1); below the diagonal: layer {below}, above: layer {above}"
    figure.colorbar(panels[0, 0].collections[0], ax=panels, location="bottom", shrink=0.4, aspect=40, label=label)
    return figure


@drawn_from(as_given)
def score_correlations_by_kind(means: pd.DataFrame) -> Figure:
    """Mean rank correlation of Q by kind of pair, per sweep and layer, with and without the strength of regularisation.

    Args:
        means: of `score_correlations.mean_correlations`.
    """
    layers = sorted(means["layer"].unique())
    rows_of = {
        "free": "all networks of the sweep",
        "fixed": "strength held fixed:\nmean of each setting taken off",
    }
    figure, panels = plt.subplots(
        2, len(layers), figsize=(9, 6), sharex=True, sharey=True, squeeze=False, layout="constrained"
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
                axes.text(len(SWEEPS) - 1, 0.04, "one setting", ha="center", fontsize=7, color="#555555")
        row[0].set_ylabel(f"mean Spearman correlation of Q\n({label})")
    for axes, layer in zip(panels[0], layers, strict=True):
        axes.set_title(f"layer {layer}")
    for axes in panels[-1]:
        axes.set_xticks(range(len(SWEEPS)), [_SWEEP_LABELS[name] for name in SWEEPS])
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
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


def _range(values: pd.Series) -> tuple[float, float]:
    low, high = values.min(), values.max()
    room = 0.05 * (high - low) or 0.01
    return low - room, high + room


def _points(group: str) -> dict[str, object]:
    """How the points of networks look that were trained with one regulariser."""
    common = {"linestyle": "none", "markersize": 1.6, "markeredgewidth": 0, "rasterized": True}
    if group == "untrained":
        return {**common, "color": UNTRAINED_COLOUR, "marker": "o", "alpha": 0.3, "zorder": 1}
    if group == "baseline":
        return {**common, "color": "black", "marker": "D", "zorder": 3}
    return {**common, "color": LOOKS[group].colour, "marker": LOOKS[group].marker, "zorder": 2}


def _handles() -> list[Line2D]:
    labels = {**_SWEEP_LABELS, "baseline": "baseline"}
    looks = {name: {**_points(name), "markersize": 5, "alpha": 1} for name in labels}
    return [Line2D([], [], label=label, **looks[name]) for name, label in labels.items()]  # type: ignore[arg-type]


def _name_plate(axes: Axes, measure: Measure) -> None:
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    words = MEASURE_LABELS[measure].replace(" ", "\n", 2)
    axes.text(0.5, 0.5, words, ha="center", va="center", fontsize=8, color=LOOKS[FAMILY[measure]].colour)

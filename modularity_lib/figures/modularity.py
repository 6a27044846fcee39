"""Modularity and number of modules against regularisation."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modularity_lib.figures.style import LOOKS, PAPER_LABEL, SIDE_BY_SIDE, STYLE, band, line, paper_handle, paper_points
from modularity_lib.findings.comparison import compare_with_paper, repeats_the_paper
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import FAMILY, MEASURE_LABELS, PANEL_ORDER, REGULARISERS, Measure

QUANTITY_LABELS = {"score": "modularity Q", "n_modules": "number of modules"}
ALL_LAYERS = "all"  # in the column `layer`: the mean over the hidden layers


def modularity_against_regularisation(
    results: Results, *, quantity: str = "score", measures: Sequence[Measure] | None = None
) -> Figure:
    """Modularity Q (P3) or "n_modules" (P4) against each regulariser, one panel per measure, untrained band.

    Args:
        measures: those wanted; all eight by default.
    Raises:
        ValueError: one of `measures` is none.
    """
    shown = measures_shown(measures)
    table = modularity_table(results, quantity=quantity, measures=shown)
    columns = min(4, len(shown))
    rows = -(-len(shown) // columns)
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            rows,
            columns,
            figsize=(max(5.5, 2.15 * columns), 0.7 + 2.2 * rows),
            sharex=True,
            sharey=True,
            layout="constrained",
            squeeze=False,
        )
        for axes in panels.flat[len(shown) :]:
            axes.remove()
        for axes, measure in zip(panels.flat, shown, strict=False):
            _draw_sweeps(axes, table[table["measure"] == measure])
            axes.set_title(MEASURE_LABELS[measure], color=LOOKS[FAMILY[measure]].colour)
            axes.xaxis.set_tick_params(labelbottom=True)
        figure.supxlabel("% regularisation", fontsize=9)
        figure.supylabel(QUANTITY_LABELS[quantity], fontsize=9)
        _legend(figure, table, n_columns=4 if columns == 4 else 2)
        return figure


def measures_shown(measures: Sequence[Measure] | None) -> list[Measure]:
    """Measures in the order in which figures show them: those wanted, or all eight.

    Raises:
        ValueError: an unknown measure, or none.
    """
    if measures is None:
        return list(PANEL_ORDER)
    if not measures or (set(measures) - set(PANEL_ORDER)):
        raise ValueError(f"measures must be None or some of {', '.join(PANEL_ORDER)}, got {list(measures)!r}.")
    return [measure for measure in PANEL_ORDER if measure in measures]


def modularity_by_layer(
    results: Results, *, quantity: str = "score", measures: Sequence[Measure] | None = None
) -> Figure:
    """The same for every hidden layer (P5): the layers of a measure side by side."""
    chosen = measures_shown(measures)
    table = modularity_table(results, quantity=quantity, by_layer=True, measures=chosen)
    n_layers = len(results.study.hidden)
    n_columns = n_layers * (2 if n_layers < 3 and len(chosen) > 1 else 1)
    n_rows = -(-len(chosen) * n_layers // n_columns)
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            n_rows,
            n_columns,
            figsize=(8.6, 0.7 + 1.6 * n_rows),
            sharex=True,
            sharey=True,
            layout="constrained",
            squeeze=False,
        )
        separator = " " if n_columns < 5 else "\n"
        shown = [(measure, layer) for measure in chosen for layer in range(1, n_layers + 1)]
        for axes in panels.flat[len(shown) :]:
            axes.remove()
        for axes, (measure, layer) in zip(panels.flat, shown, strict=False):
            _draw_sweeps(axes, table[(table["measure"] == measure) & (table["layer"] == layer)])
            title = f"{MEASURE_LABELS[measure]},{separator}layer {layer}"
            axes.set_title(title, color=LOOKS[FAMILY[measure]].colour, fontsize=8)
        for axes in panels[-1]:
            axes.set_xlabel("% regularisation")
        figure.supylabel(QUANTITY_LABELS[quantity], fontsize=9)
        _legend(figure, table)
        return figure


def modularity_of_measure(results: Results, measure: Measure) -> Figure:
    """Modularity Q of one measure against the strength of each regulariser, with the untrained band."""
    table = modularity_table(results, measures=[measure])
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
        _draw_sweeps(axes, table)
        axes.set(xlabel="% regularisation", ylabel=f"modularity Q, {MEASURE_LABELS[measure]}")
        _legend(figure, table, n_columns=2)
        return figure


def modularity_table(
    results: Results,
    *,
    quantity: str = "score",
    by_layer: bool = False,
    measures: Sequence[Measure] = tuple(PANEL_ORDER),
) -> pd.DataFrame:
    """What the figures of this module show: a row per point, one per untrained band, one per published value.

    Args:
        quantity: "score" (Q) or "n_modules" (soft count).
        by_layer: a row per layer, instead of the mean over the hidden layers (`layer` = "all").
        measures: those wanted.
    Returns:
        source: "here", "untrained" or "paper"; measure, layer, regulariser, strength, percent_regularisation;
        mean, sem, n: over runs, each averaged over its layers first; of the untrained, over networks and layers;
        sd: of the untrained, what their band shows;
        reading_error: of the published values, which are those of Q over both layers alone.
    """
    trained, untrained = (results.analysed("modules", trained=flag) for flag in (True, False))
    trained, untrained = (
        rows if by_layer else rows.assign(layer=ALL_LAYERS)
        for rows in (rows[rows["measure"].isin(measures)] for rows in (trained, untrained))
    )
    curves = pd.concat(sweep(trained, results.study, name).assign(regulariser=name) for name in REGULARISERS)
    # Strength 0 of L1 has no place on the paper's logarithmic axis.
    curves = curves[(curves["regulariser"] != "l1") | (curves["strength"] > 0)]
    point = ["measure", "layer", "regulariser", "strength"]
    by_run = curves.groupby([*point, "run"])[quantity].mean().reset_index()
    here = by_run.groupby(point)[quantity].agg(["mean", "sem", "count"]).reset_index().assign(source="here")
    null = untrained.groupby(["measure", "layer"])[quantity].agg(["mean", "sem", "count", "std"]).reset_index()
    parts = [here, null.assign(source="untrained").rename(columns={"std": "sd"})]
    if quantity == "score" and not by_layer and repeats_the_paper(results.study):
        paper = compare_with_paper(results, "q_vs_regularisation")
        paper = paper.loc[paper["measure"].isin(measures), ["measure", "regulariser", "strength", "paper"]].assign(
            reading_error=paper["reading_error"], layer=ALL_LAYERS, source="paper"
        )
        parts.append(paper.rename(columns={"paper": "mean"}))
    table = pd.concat(parts, ignore_index=True).rename(columns={"count": "n"})
    percent = [
        results.study.percent_regularisation(regulariser, strength) if strength == strength else float("nan")
        for regulariser, strength in zip(table["regulariser"], table["strength"], strict=True)
    ]
    columns = ["source", *point, "percent_regularisation", "mean", "sem", "n", "sd", "reading_error"]
    return table.assign(percent_regularisation=percent).reindex(columns=columns)


def _draw_sweeps(axes: Axes, table: pd.DataFrame) -> None:
    """The curves of one measure, and of one layer if the table has several."""
    here, untrained, paper = (table[table["source"] == source] for source in ("here", "untrained", "paper"))
    for _, null in untrained.iterrows():
        band(axes, null["mean"], null["sd"])
    for regulariser in REGULARISERS:
        look = LOOKS[regulariser]
        curve, theirs = (rows[rows["regulariser"] == regulariser] for rows in (here, paper))
        axes.errorbar(curve["percent_regularisation"], curve["mean"], curve["sem"], **line(look))
        paper_points(axes, theirs["percent_regularisation"].tolist(), theirs["mean"], theirs["reading_error"], look)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")


def _legend(figure: Figure, table: pd.DataFrame, *, n_columns: int = 4) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    entries = dict(zip(labels, handles, strict=True))
    if (table["source"] == "paper").any():
        entries[PAPER_LABEL] = paper_handle()
        n_columns = min(n_columns, 3)
    figure.legend(
        entries.values(), entries.keys(), loc="outside upper center", ncols=n_columns, handler_map=SIDE_BY_SIDE
    )

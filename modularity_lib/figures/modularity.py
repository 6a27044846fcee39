"""Modularity and number of modules against regularisation."""

from collections.abc import Sequence
from itertools import product

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modularity_lib.figures.plot import drawn_from
from modularity_lib.figures.style import (
    LOOKS,
    NARROW,
    PAPER_LABEL,
    SIDE_BY_SIDE,
    WIDTH,
    band,
    legend_above,
    line,
    measure_title,
    paper_handle,
    paper_points,
)
from modularity_lib.findings.comparison import compare_with_paper, repeats_the_paper
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import FAMILY, MEASURE_LABELS, PANEL_ORDER, REGULARISERS, Measure

_PUBLISHED = {"score": "q_vs_regularisation", "n_modules": "n_modules_vs_regularisation"}
QUANTITY_LABELS = {"score": "modularity Q", "n_modules": "number of modules"}
_STRENGTH_LABEL = (
    "rate of dropout, or strength of a penalty\nfrom its weakest (0%) to its strongest (100%), logarithmic"
)
ALL_LAYERS = "all"  # in the column `layer`: the mean over the hidden layers


def modularity_table(
    results: Results, *, quantity: str = "score", by_layer: bool = False, measures: Sequence[Measure] | None = None
) -> pd.DataFrame:
    """Q or the number of modules against regularisation: a row per point, untrained band and published value.

    Args:
        quantity: "score" (Q) or "n_modules" (soft count).
        by_layer: a row per hidden layer, instead of the mean over them (`layer` = "all").
        measures: those wanted; all eight by default.
    Returns:
        source: "here", "untrained" or "paper"; quantity, measure, layer, regulariser, strength, percent_regularisation;
        mean, sem, n: over runs, each averaged over its layers first; of the untrained, over networks and layers;
        sd: of the untrained, what their band shows;
        reading_error: of the published values, which are those over both layers.
    Raises:
        ValueError: an unknown measure, or none.
    """
    chosen = tuple(PANEL_ORDER) if measures is None else tuple(measures)
    if not chosen or set(chosen) - set(PANEL_ORDER):
        raise ValueError(f"measures must be None or some of {', '.join(PANEL_ORDER)}, got {list(chosen)!r}.")
    trained, untrained = (results.analysed("modules", trained=flag) for flag in (True, False))
    trained, untrained = (
        rows if by_layer else rows.assign(layer=ALL_LAYERS)
        for rows in (rows[rows["measure"].isin(chosen)] for rows in (trained, untrained))
    )
    curves = pd.concat(sweep(trained, results.study, name).assign(regulariser=name) for name in REGULARISERS)
    # Strength 0 of L1 has no place on the paper's logarithmic axis.
    curves = curves[(curves["regulariser"] != "l1") | (curves["strength"] > 0)]
    point = ["measure", "layer", "regulariser", "strength"]
    by_run = curves.groupby([*point, "run"])[quantity].mean().reset_index()
    here = by_run.groupby(point)[quantity].agg(["mean", "sem", "count"]).reset_index().assign(source="here")
    null = untrained.groupby(["measure", "layer"])[quantity].agg(["mean", "sem", "count", "std"]).reset_index()
    parts = [here, null.assign(source="untrained").rename(columns={"std": "sd"})]
    if not by_layer and repeats_the_paper(results.study):
        paper = compare_with_paper(results, _PUBLISHED[quantity])
        paper = paper.loc[paper["measure"].isin(chosen), ["measure", "regulariser", "strength", "paper"]].assign(
            reading_error=paper["reading_error"], layer=ALL_LAYERS, source="paper"
        )
        parts.append(paper.rename(columns={"paper": "mean"}))
    table = pd.concat(parts, ignore_index=True).rename(columns={"count": "n"})
    percent = [
        results.study.percent_regularisation(regulariser, strength) if strength == strength else float("nan")
        for regulariser, strength in zip(table["regulariser"], table["strength"], strict=True)
    ]
    columns = ["source", "quantity", *point, "percent_regularisation", "mean", "sem", "n", "sd", "reading_error"]
    return table.assign(quantity=quantity, percent_regularisation=percent).reindex(columns=columns)


@drawn_from(modularity_table)
def modularity_against_regularisation(table: pd.DataFrame) -> Figure:
    """Modularity Q (P3; by layer P5) or the number of modules (P4) against each regulariser, with the untrained band.

    A panel per measure, or per measure and layer with the layers of a measure side by side.
    """
    measures = [measure for measure in PANEL_ORDER if measure in set(table["measure"])]
    layers = sorted(set(table["layer"]))
    by_layer = layers != [ALL_LAYERS]
    n_panels = len(measures) * len(layers)
    if by_layer:
        columns = len(layers) * (2 if len(layers) < 3 and len(measures) > 1 else 1)
        width, height = WIDTH, 1.7
    else:
        columns = min(4, n_panels)
        width, height = (WIDTH if columns > 2 else NARROW), 2.2
    rows = -(-n_panels // columns)
    figure, panels = plt.subplots(
        rows,
        columns,
        figsize=(width, 0.7 + height * rows),
        sharex=True,
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    for axes in panels.flat[n_panels:]:
        axes.remove()
    for axes, (measure, layer) in zip(panels.flat, product(measures, layers), strict=False):
        _draw_sweeps(axes, table[(table["measure"] == measure) & (table["layer"] == layer)])
        axes.set_title(
            measure_title(measure, f"layer {layer}" if by_layer else ""), color=LOOKS[FAMILY[measure]].colour
        )
        if not by_layer:
            axes.xaxis.set_tick_params(labelbottom=True)
    figure.supxlabel(_STRENGTH_LABEL)
    figure.supylabel(_quantity_label(table))
    _legend(figure, table)
    return figure


def modularity_of_measure_table(results: Results, measure: Measure) -> pd.DataFrame:
    """`modularity_table` of one measure."""
    return modularity_table(results, measures=[measure])


@drawn_from(modularity_of_measure_table)
def modularity_of_measure(table: pd.DataFrame) -> Figure:
    """Modularity Q of one measure against the strength of each regulariser, with the untrained band."""
    figure, axes = plt.subplots(figsize=(NARROW, 3.9), layout="constrained")
    _draw_sweeps(axes, table)
    [measure] = set(table["measure"])
    axes.set(xlabel=_STRENGTH_LABEL, ylabel=f"{_quantity_label(table)}, {MEASURE_LABELS[measure]}")
    _legend(figure, table)
    return figure


def _quantity_label(table: pd.DataFrame) -> str:
    [quantity] = set(table["quantity"])
    return QUANTITY_LABELS[quantity]


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


def _legend(figure: Figure, table: pd.DataFrame) -> None:
    handles, labels = figure.axes[0].get_legend_handles_labels()
    entries = dict(zip(labels, handles, strict=True))
    if (table["source"] == "paper").any():
        entries[PAPER_LABEL] = paper_handle()
    legend_above(figure, entries.values(), entries.keys(), handler_map=SIDE_BY_SIDE)

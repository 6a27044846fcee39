"""Modularity and number of modules against regularisation."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modularity_lib.experiments import REGULARISERS
from modularity_lib.figures.looks import LOOKS, MEASURE_LABELS, PANEL_ORDER, STYLE, line, untrained_band
from modularity_lib.results import Results, sweep
from modularity_lib.similarity import FAMILY

_QUANTITY_LABELS = {"score": "modularity Q", "n_modules": "number of modules"}


def modularity_against_regularisation(results: Results, *, quantity: str = "score") -> Figure:
    """Modularity Q (or "n_modules") against the strength of each regulariser, one panel per measure, untrained band."""
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(2, 4, figsize=(8.6, 4.9), sharex=True, sharey=True, layout="constrained")
        for axes, measure in zip(panels.flat, PANEL_ORDER, strict=True):
            _draw_sweeps(axes, results, measure, quantity)
            axes.set_title(MEASURE_LABELS[measure], color=LOOKS[FAMILY[measure]].colour)
        for axes in panels[-1]:
            axes.set_xlabel("% regularisation")
        for axes, family in zip(panels[:, 0], ("upstream", "downstream"), strict=True):
            axes.set_ylabel(f"{family}\n{_QUANTITY_LABELS[quantity]}")
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        return figure


def modularity_of_measure(results: Results, measure: str) -> Figure:
    """Modularity Q of one measure against the strength of each regulariser, with the untrained band."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
        _draw_sweeps(axes, results, measure, "score")
        axes.set(xlabel="% regularisation", ylabel=f"modularity Q, {MEASURE_LABELS[measure]}")
        axes.legend(loc="upper left")
        return figure


def _draw_sweeps(axes: Axes, results: Results, measure: str, quantity: str) -> None:
    trained, untrained = (results.analysed("modules", trained=flag) for flag in (True, False))
    untrained_band(axes, untrained.loc[untrained["measure"] == measure, quantity])
    for regulariser in REGULARISERS:
        rows = sweep(trained[trained["measure"] == measure], results.study, regulariser)
        if regulariser == "l1":
            rows = rows[rows["strength"] > 0]  # strength 0 has no place on the paper's logarithmic axis
        by_run = rows.pivot_table(index="strength", columns="run", values=quantity)
        x = [results.study.percent_regularisation(regulariser, strength) for strength in by_run.index]
        axes.errorbar(x, by_run.mean(axis=1), by_run.sem(axis=1), **line(LOOKS[regulariser]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")

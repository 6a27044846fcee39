"""Similarity matrices as pictures, sorted by modules."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from modularity_lib.clustering import Clustering
from modularity_lib.figures.looks import (
    LOOKS,
    MEASURE_LABELS,
    PANEL_ORDER,
    STYLE,
)
from modularity_lib.similarity import FAMILY


def sorted_by_each_other(
    matrices: Mapping[str, np.ndarray], modules: Mapping[str, Clustering], scores: Mapping[tuple[str, str], float]
) -> Figure:
    """Two measures of one layer: each similarity matrix unsorted, sorted by its own modules, and by the other's.

    Args:
        matrices: {measure: (units, units)}, two measures.
        modules: {measure: its modules}.
        scores: {(measure, sorted by): Q of the measure's matrix under the modules of the other}.
    """
    first, second = matrices
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(2, 3, figsize=(8.6, 6.2), layout="constrained")
        for row, (measure, other) in zip(panels, ((first, second), (second, first)), strict=True):
            for axes, order in zip(row, (None, measure, other), strict=True):
                image = _draw_matrix(axes, matrices[measure], None if order is None else modules[order].labels)
                title = "units as they come" if order is None else f"sorted by {MEASURE_LABELS[order]}"
                axes.set_title(title if order is None else f"{title}\nQ = {scores[measure, order]:.3f}")
            row[0].set_ylabel(f"{MEASURE_LABELS[measure]}\nunit", color=LOOKS[FAMILY[measure]].colour)
        for axes in panels[-1]:
            axes.set_xlabel("unit")
        figure.colorbar(image, ax=panels, shrink=0.6, label="similarity, share of the largest")
        return figure


def all_measures(matrices: Mapping[str, np.ndarray], modules: Mapping[str, Clustering]) -> Figure:
    """The eight similarity matrices of one layer, each sorted by its own modules."""
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(2, 4, figsize=(8.6, 5.2), layout="constrained")
        for axes, measure in zip(panels.flat, PANEL_ORDER, strict=True):
            image = _draw_matrix(axes, matrices[measure], modules[measure].labels)
            axes.set_title(
                f"{MEASURE_LABELS[measure]}\nQ = {modules[measure].score:.3f}", color=LOOKS[FAMILY[measure]].colour
            )
        for axes, family in zip(panels[:, 0], ("upstream", "downstream"), strict=True):
            axes.set_ylabel(f"{family}\nunit, sorted by module")
        figure.colorbar(image, ax=panels, shrink=0.6, label="similarity, share of the largest")
        return figure


def _draw_matrix(axes: Axes, matrix: np.ndarray, labels: np.ndarray | None) -> AxesImage:
    off_diagonal = matrix * (1 - np.eye(len(matrix)))  # the module search ignores the diagonal, so the picture does too
    shown = off_diagonal / max(off_diagonal.max(), np.finfo(float).tiny)
    if labels is not None:
        order = np.argsort(np.where(labels < 0, np.iinfo(int).max, labels), kind="stable")  # dead units come last
        shown = shown[np.ix_(order, order)]
        for border in np.flatnonzero(np.diff(labels[order])) + 0.5:
            axes.axhline(border, color="white", linewidth=0.8)
            axes.axvline(border, color="white", linewidth=0.8)
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(shown, vmin=0, vmax=1, cmap="magma", interpolation="nearest")

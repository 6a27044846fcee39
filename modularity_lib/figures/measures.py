"""Similarity matrices as pictures, sorted by modules."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from modularity_lib.clustering.pictures import SHARE, draw_matrix, in_order_of_modules
from modularity_lib.figures.plot import drawn_from
from modularity_lib.figures.style import COLOUR_BAR, LOOKS, WIDTH, measure_title
from modularity_lib.vocabulary import FAMILY, MEASURE_LABELS, PANEL_ORDER, Measure

if TYPE_CHECKING:  # it brings numba, which no figure needs
    from modularity_lib.clustering.clusterings import Clustering
    from modularity_lib.findings.layers import SearchedLayer

STRIP = 0.16  # width of the strip that shows the modules beside a matrix, as a share of the matrix


def pair_table(layer: "SearchedLayer", scores: Mapping[tuple[str, str], float]) -> pd.DataFrame:
    """Two measures of one layer: a row per measure and two units, with the modules of both in each clustering.

    Args:
        scores: of `layers.scores_of_pair`.
    Returns:
        `unit_a`, `unit_b`, `similarity`, `measure`, `module_by_<measure>_a` and `_b`; `score`: Q of the measure's
        matrix under its own modules; `score_other`: under those of the other measure.
    """
    pair = tuple(dict.fromkeys(measure for measure, _ in scores))
    parts = []
    for measure, other in (pair, pair[::-1]):
        upper = _upper_triangle(layer.matrices[measure]).assign(measure=measure)
        for name in (measure, other):
            for unit in ("unit_a", "unit_b"):
                upper[f"module_by_{name}_{unit[-1]}"] = layer.modules[name].labels[upper[unit]]
        parts.append(upper.assign(score=scores[measure, measure], score_other=scores[measure, other]))
    return pd.concat(parts, ignore_index=True)


@drawn_from(pair_table)
def sorted_by_each_other(table: pd.DataFrame) -> Figure:
    """Two measures of one layer: each matrix and its modules, unsorted, sorted by its own, and by the other's (P2).

    The strip beside a matrix shows, in the order of its rows, to which of the matrix's own modules each unit belongs.
    """
    first, second = table["measure"].unique()
    figure = plt.figure(figsize=(WIDTH, 5.6), layout="constrained")
    panels = figure.subplots(2, 6, width_ratios=[1, STRIP] * 3)
    for row, (measure, other) in zip(panels, ((first, second), (second, first)), strict=True):
        rows = table[table["measure"] == measure]
        matrix, colour = _matrix(rows), LOOKS[FAMILY[measure]].colour
        for axes, strip, order in zip(row[::2], row[1::2], (None, measure, other), strict=True):
            sorting = None if order is None else _labels(rows, f"module_by_{order}")
            image = draw_matrix(axes, matrix, sorting)
            _draw_membership(strip, _labels(rows, f"module_by_{measure}"), sorting, colour=colour)
            title = "units as they come"
            if order is not None:
                score = rows["score" if order == measure else "score_other"].iloc[0]
                title = f"sorted by\n{MEASURE_LABELS[order]}\nQ = {score:.3f}"
            axes.set_title(title)
        row[0].set_ylabel(f"{MEASURE_LABELS[measure]}\nunit", color=colour)
    for axes, strip in zip(panels[-1, ::2], panels[-1, 1::2], strict=True):
        axes.set_xlabel("unit")
        strip.set_xlabel("module")
    figure.colorbar(image, ax=panels, label=SHARE, **COLOUR_BAR)
    return figure


def all_measures_table(layer: "SearchedLayer") -> pd.DataFrame:
    """The matrices of one layer: a row per measure and two units, their modules, and the Q of these modules."""
    return pd.concat(
        [_with_modules(layer.matrices[name], layer.modules[name]).assign(measure=name) for name in PANEL_ORDER],
        ignore_index=True,
    )


@drawn_from(all_measures_table)
def all_measures(table: pd.DataFrame) -> Figure:
    """The eight similarity matrices of one layer, each sorted by its own modules."""
    figure, panels = plt.subplots(2, 4, figsize=(WIDTH, 5.2), layout="constrained")
    for axes, measure in zip(panels.flat, PANEL_ORDER, strict=True):
        rows = table[table["measure"] == measure]
        image = draw_matrix(axes, _matrix(rows), _labels(rows, "module"))
        title = measure_title(measure, f"Q = {rows['score'].iloc[0]:.3f}")
        axes.set_title(title, color=LOOKS[FAMILY[measure]].colour)
    for axes, family in zip(panels[:, 0], ("upstream", "downstream"), strict=True):
        axes.set_ylabel(f"{family}\nunit, sorted by module")
    figure.colorbar(image, ax=panels, label=SHARE, **COLOUR_BAR)
    return figure


def against_dropout_table(layers: Mapping[float, "SearchedLayer"], measure: Measure) -> pd.DataFrame:
    """One measure of a layer at several strengths of dropout: a row per dropout and two units, with their modules.

    Args:
        layers: {dropout: its layer}.
    Returns:
        `dropout`, `measure`, `unit_a`, `unit_b`, `similarity`, `module_a`, `module_b`, `score` (Q of these modules).
    """
    tables = [
        _with_modules(layer.matrices[measure], layer.modules[measure]).assign(dropout=dropout, measure=measure)
        for dropout, layer in layers.items()
    ]
    return pd.concat(tables, ignore_index=True)


@drawn_from(against_dropout_table)
def against_dropout(table: pd.DataFrame) -> Figure:
    """The matrix of one measure and layer at several strengths of dropout, each sorted by its own modules (P7)."""
    [measure] = set(table["measure"])
    by_dropout = table.groupby("dropout", sort=False)
    figure, panels = plt.subplots(1, len(by_dropout), figsize=(WIDTH, 3.2), layout="constrained", squeeze=False)
    for axes, (dropout, rows) in zip(panels[0], by_dropout, strict=True):
        image = draw_matrix(axes, _matrix(rows), _labels(rows, "module"))
        axes.set_title(f"dropout {dropout:g}\nQ = {rows['score'].iloc[0]:.3f}")
        axes.set_xlabel("unit, sorted by module")
    panels[0, 0].set_ylabel(MEASURE_LABELS[measure], color=LOOKS[FAMILY[measure]].colour)
    figure.colorbar(image, ax=panels, label=SHARE, **COLOUR_BAR)
    return figure


def _with_modules(matrix: np.ndarray, modules: "Clustering") -> pd.DataFrame:
    upper = _upper_triangle(matrix)
    labels = {f"module_{unit[-1]}": modules.labels[upper[unit]] for unit in ("unit_a", "unit_b")}
    return upper.assign(**labels, score=modules.score)


def _upper_triangle(matrix: np.ndarray) -> pd.DataFrame:
    """A row per two different units, counted from 0."""
    unit_a, unit_b = np.triu_indices(len(matrix), k=1)
    return pd.DataFrame({"unit_a": unit_a, "unit_b": unit_b, "similarity": matrix[unit_a, unit_b]})


def _matrix(rows: pd.DataFrame) -> np.ndarray:
    """The whole matrix of such rows, its diagonal 0."""
    units = rows["unit_b"].max() + 1
    matrix = np.zeros((units, units))
    matrix[rows["unit_a"], rows["unit_b"]] = matrix[rows["unit_b"], rows["unit_a"]] = rows["similarity"]
    return matrix


def _labels(rows: pd.DataFrame, name: str) -> np.ndarray:
    """The module of each unit, from the columns `<name>_a` and `<name>_b`."""
    labels = np.empty(rows["unit_b"].max() + 1, dtype=int)
    labels[rows["unit_a"]], labels[rows["unit_b"]] = rows[f"{name}_a"], rows[f"{name}_b"]
    return labels


def _draw_membership(axes: Axes, labels: np.ndarray, sorting: np.ndarray | None, *, colour: str) -> None:
    """Units by modules, coloured where a unit is in a module: one mark per row, none for a dead unit."""
    order = np.arange(len(labels)) if sorting is None else in_order_of_modules(sorting)
    member = labels[order][:, None] == np.arange(max(labels.max() + 1, 1))
    axes.imshow(member, cmap=ListedColormap(["white", colour]), vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.set_box_aspect(1 / STRIP)  # as high as the matrix beside it
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, linewidth=0.5, color="#999999")

"""Figures, drawn from the tables of a study alone; a colour means the same on every page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from modularity_lib.claims import agreement_by_kind
from modularity_lib.clustering import Clustering
from modularity_lib.experiments import REGULARISERS
from modularity_lib.results import Results, sweep
from modularity_lib.similarity import FAMILY, MEASURES


@dataclass(frozen=True)
class _Look:
    label: str
    colour: str
    marker: str


# Colours that stay apart for every common kind of colour blindness (after Okabe & Ito), each with its own marker too.
LOOKS = {
    "l2": _Look("L2 penalty", "#0072B2", "o"),
    "l1": _Look("L1 penalty", "#E69F00", "s"),
    "dropout": _Look("dropout", "#009E73", "^"),
    "upstream": _Look("two upstream measures", "#CC3377", "o"),
    "downstream": _Look("two downstream measures", "#5D3A9B", "s"),
    "across": _Look("one of each family", "#555555", "D"),
}
UNTRAINED_COLOUR = "#999999"
MEASURE_LABELS = {name: name.replace("_norm", " (norm)").replace("_", " ") for name in MEASURES}
PANEL_ORDER = [name for family in ("upstream", "downstream") for name in reversed(MEASURES) if FAMILY[name] == family]

QUANTITIES = {
    "test_accuracy": "test accuracy",
    "train_accuracy": "train accuracy",
    "sum_abs_weights": "sum of |w|",
    "sum_squared_weights": "sum of w²",
    "sparsity": "share of |w| < 0.001",
    "nuclear_norm": "nuclear norm",
}
_STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "figure.dpi": 130,
    "savefig.dpi": 130,
}


def performance_and_norms(results: Results) -> Figure:
    """Accuracy and norms of the weights against each regulariser: lines per run, mean, untrained band."""
    with plt.rc_context(_STYLE):
        figure, panels = plt.subplots(
            len(QUANTITIES), 3, figsize=(8, 10.5), sharey="row", sharex="col", layout="constrained"
        )
        networks = results.analysed("networks", trained=True)
        untrained = results.analysed("networks", trained=False)
        for row, (quantity, label) in zip(panels, QUANTITIES.items(), strict=True):
            for axes, regulariser in zip(row, REGULARISERS, strict=True):
                rows = sweep(networks, results.study, regulariser)
                _untrained_band(axes, untrained[quantity])
                positions = _strength_axis(axes, results, regulariser, label=row is panels[-1])
                by_run = rows.pivot_table(index="strength", columns="run", values=quantity)
                look = LOOKS[regulariser]
                x = [positions[strength] for strength in by_run.index]
                axes.plot(x, by_run.to_numpy(), color=look.colour, linewidth=0.7, alpha=0.5)
                axes.errorbar(x, by_run.mean(axis=1), by_run.sem(axis=1), **_line(look))
            row[0].set_ylabel(label)
        for axes, regulariser in zip(panels[0], REGULARISERS, strict=True):
            axes.set_title(LOOKS[regulariser].label)
        return figure


def modularity_against_regularisation(results: Results, *, quantity: str = "score") -> Figure:
    """Modularity Q (or "n_modules") against the strength of each regulariser, one panel per measure, untrained band."""
    with plt.rc_context(_STYLE):
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
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
        _draw_sweeps(axes, results, measure, "score")
        axes.set(xlabel="% regularisation", ylabel=f"modularity Q, {MEASURE_LABELS[measure]}")
        axes.legend(loc="upper left")
        return figure


def growth_curves(growth: Mapping[str, pd.DataFrame]) -> Figure:
    """Seconds against images and against units, both axes logarithmic, with lines of slope 1, 2 and 3."""
    looks = {
        "8 matrices of 2 layers": ("#0072B2", "o"),
        "input gradient alone": ("#CC3377", "s"),
        "one module search": ("#E69F00", "^"),
    }
    with plt.rc_context(_STYLE):
        figure, panels = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
        for axes, (what, table), slopes in zip(panels, growth.items(), ((1,), (2, 3)), strict=True):
            for name, rows in table.groupby("what", sort=False):
                colour, marker = looks[str(name)]
                axes.loglog(rows["x"], rows["seconds"], color=colour, marker=marker, markersize=5, label=name)
            first = table[table["what"] == table["what"].iloc[0]]
            x = first["x"].to_numpy()
            for slope, style in zip(slopes, ("--", ":"), strict=False):
                y = first["seconds"].iloc[0] * (x / x[0]) ** slope
                axes.loglog(x, y, color=UNTRAINED_COLOUR, linestyle=style, linewidth=1, label=f"slope {slope}")
            axes.set_xlabel(f"{what} (logarithmic)")
            axes.legend()
        panels[0].set_ylabel("seconds on one core (logarithmic)")
        return figure


_QUANTITY_LABELS = {"score": "modularity Q", "n_modules": "number of modules"}


def _draw_sweeps(axes: Axes, results: Results, measure: str, quantity: str) -> None:
    trained, untrained = (results.analysed("modules", trained=flag) for flag in (True, False))
    _untrained_band(axes, untrained.loc[untrained["measure"] == measure, quantity])
    for regulariser in REGULARISERS:
        rows = sweep(trained[trained["measure"] == measure], results.study, regulariser)
        if regulariser == "l1":
            rows = rows[rows["strength"] > 0]  # strength 0 has no place on the paper's logarithmic axis
        by_run = rows.pivot_table(index="strength", columns="run", values=quantity)
        x = [results.study.percent_regularisation(regulariser, strength) for strength in by_run.index]
        axes.errorbar(x, by_run.mean(axis=1), by_run.sem(axis=1), **_line(LOOKS[regulariser]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")


def agreement_matrices(results: Results) -> Figure:
    """Mean agreement of every two measures: trained networks, untrained networks, and shuffled clusterings."""
    trained, untrained = (results.analysed("agreement", trained=flag) for flag in (True, False))
    panels = {
        f"trained\n({_count(trained)} networks)": _square(trained, "element_centric"),
        f"untrained\n({_count(untrained)} networks)": _square(untrained, "element_centric"),
        "chance: trained,\nunits shuffled": _square(trained, "element_centric_chance"),
    }
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(10, 5.4), layout="constrained")
        for panel, (title, matrix) in zip(axes, panels.items(), strict=True):
            if title.startswith("chance"):
                matrix = matrix.mask(np.eye(len(matrix), dtype=bool))
            heatmap = {"vmin": 0, "vmax": 1, "cmap": "cividis", "square": True, "cbar": False}
            written = matrix.map(lambda value: f"{value:.2f}".removeprefix("0"))
            sns.heatmap(matrix, ax=panel, annot=written, fmt="", annot_kws={"size": 9}, **heatmap)
            panel.axhline(4, color="white", linewidth=2)
            panel.axvline(4, color="white", linewidth=2)
            panel.set_title(title)
            _measure_ticks(panel, named=panel is axes[0])
        label = "element-centric similarity (0 to 1)"
        figure.colorbar(axes[0].collections[0], ax=axes, location="bottom", shrink=0.4, aspect=30, label=label)
        return figure


def agreement_against_dropout(results: Results) -> Figure:
    """Agreement within a family and across, against dropout; dashed: chance for the same clusterings."""
    rows = sweep(agreement_by_kind(results), results.study, "dropout")
    with plt.rc_context(_STYLE):
        figure, axes = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
        for kind in ("upstream", "downstream", "across"):
            look = LOOKS[kind]
            chosen = rows[rows["kind"] == kind]
            by_run = chosen.pivot_table(index="strength", columns="run", values="element_centric")
            chance = chosen.groupby("strength")["element_centric_chance"].mean()
            axes.errorbar(by_run.index, by_run.mean(axis=1), by_run.sem(axis=1), **_line(look))
            axes.plot(chance.index, chance, color=look.colour, linestyle="--", linewidth=1)
        axes.plot([], [], color="black", linestyle="--", linewidth=1, label="chance (units shuffled)")
        axes.set(xlabel="dropout", ylabel="element-centric similarity (0 to 1)", ylim=(0, 1))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
        return figure


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
    with plt.rc_context(_STYLE):
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
    with plt.rc_context(_STYLE):
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


def _line(look: _Look) -> dict[str, Any]:
    return {
        "color": look.colour,
        "marker": look.marker,
        "markersize": 4,
        "linewidth": 1.6,
        "capsize": 2,
        "label": look.label,
    }


def _untrained_band(axes: Axes, values: pd.Series) -> None:
    mean, deviation = values.mean(), values.std()
    for width, alpha in ((3, 0.15), (2, 0.2), (1, 0.3)):
        label = "untrained, mean ± 1, 2, 3 s.d." if width == 1 else None
        axes.axhspan(
            mean - width * deviation,
            mean + width * deviation,
            color=UNTRAINED_COLOUR,
            alpha=alpha,
            linewidth=0,
            label=label,
        )


def _strength_axis(axes: Axes, results: Results, regulariser: str, *, label: bool) -> dict[float, float]:
    """Put the strengths of a sweep on the x axis, evenly spaced for the penalties; return each strength's position."""
    strengths = results.study.strengths(regulariser)
    if regulariser == "dropout":
        positions = {strength: strength for strength in strengths}
    else:
        positions = {strength: float(index) for index, strength in enumerate(strengths)}
        axes.set_xticks(
            list(positions.values()),
            [f"{strength:.0e}".replace("e-0", "e-") if strength else "0" for strength in strengths],
            rotation=45,
        )
    if label:
        axes.set_xlabel({"l2": "L2 strength", "l1": "L1 strength", "dropout": "dropout"}[regulariser])
    return positions


def _square(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    means = rows.groupby(["measure_a", "measure_b"])[column].mean().unstack()
    means = means.reindex(index=MEASURES, columns=MEASURES)
    return means.fillna(means.T)


def _count(rows: pd.DataFrame) -> int:
    return len(rows[["run", "l2", "l1", "dropout"]].drop_duplicates())


def _measure_ticks(axes: Axes, *, named: bool) -> None:
    """Name the measures below the panel, and beside it if `named`, in the colours of their families."""
    centres = np.arange(len(MEASURES)) + 0.5
    axes.set_xticks(centres, [MEASURE_LABELS[name] for name in MEASURES], rotation=90)
    axes.set_yticks(centres, [MEASURE_LABELS[name] if named else "" for name in MEASURES], rotation=0)
    axes.set(xlabel="", ylabel="")
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        for tick, name in zip(ticks, MEASURES, strict=True):
            tick.set_color(LOOKS[FAMILY[name]].colour)

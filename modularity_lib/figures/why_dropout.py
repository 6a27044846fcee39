"""Near-copies, one signal per module and linear networks against dropout; what appears when in training."""

from textwrap import wrap
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modularity_lib.figures.plot import drawn_from
from modularity_lib.figures.style import LOOKS, NARROW, WIDTH, band, legend_above, measure_title
from modularity_lib.findings.why_dropout_effects import FOLLOWED, followed
from modularity_lib.studies.results import Results, rows_at
from modularity_lib.vocabulary import BASELINE, REGULARISERS, Regularisation, setting_text

_FOUND = {"color": LOOKS["dropout"].colour, "marker": LOOKS["dropout"].marker, "linewidth": 1.6}
_CHANCE = {"color": "0.35", "marker": "v", "linestyle": "--"}  # darker than what is untrained
_OTHER = {"color": "black", "marker": "P", "linestyle": ":"}

# Panels of the figure of copies: title, limits of y, and its curves by column.
_PANELS: list[tuple[str, tuple[float | None, float | None], dict[str, tuple[str, dict[str, Any]]]]] = [
    (
        "share of units\nwith a twin",
        (-0.03, 1.0),
        {"twins": ("as trained", _FOUND), "rotated_twins": ("rotated units", _CHANCE)},
    ),
    (
        "correlation\nwith the most\nsimilar unit",
        (0.0, 1.0),
        {"twin_correlation": ("", _FOUND), "rotated_twin_correlation": ("", _CHANCE)},
    ),
    (
        "cosine of weights\nof the nearest\npair of units",
        (0.0, 1.0),
        {"input_cosine": ("incoming weights", _FOUND), "output_cosine": ("their outgoing weights", _OTHER)},
    ),
    ("dimensions\nof activity", (0.0, None), {"participation": ("", _FOUND)}),
    ("modularity Q,\nmean of\neight measures", (0.0, None), {"score": ("", _FOUND)}),
]


def copies_table(results: Results, near: pd.DataFrame | None) -> pd.DataFrame:
    """Rows of `near_copies` with `score`, the mean Q of the eight measures; none where it is not at hand."""
    if near is None:
        return pd.DataFrame()
    modules = results.analysed("modules", trained=True)
    place = ["run", *REGULARISERS, "layer"]
    scores = modules.groupby(place)["score"].mean().rename("score").reset_index()
    return near.merge(scores.assign(trained=True), on=[*place, "trained"], how="left")


@drawn_from(copies_table)
def copies_against_dropout(table: pd.DataFrame) -> Figure:
    """Twins, likeness of weights, dimensions and Q against dropout: means over runs ± s.e.m., a row per layer."""
    if table.empty:
        return _absent()
    layers = sorted(table["layer"].unique())
    figure, panels = _grid(len(layers), len(_PANELS), sharey="col")
    for row, layer in zip(panels, layers, strict=True):
        own = table[table["layer"] == layer]
        for axes, (title, limits, curves) in zip(row, _PANELS, strict=True):
            for column, (label, look) in curves.items():
                _curve(axes, own[own["trained"]].groupby("dropout")[column], look, label)
            [first, *_] = curves
            untrained = own.loc[~own["trained"].astype(bool), first].dropna()
            if len(untrained) > 1:
                band(axes, untrained.mean(), untrained.std())
            axes.set(ylim=limits)
            axes.set_title(title if layer == layers[0] else "")
        row[0].set_ylabel(f"layer {layer}")
    _name_dropout(panels[-1])
    _legend(figure, panels[0])
    return figure


_SIGNALS: dict[str, tuple[str, dict[str, Any]]] = {
    "accuracy": ("all that the layer says", {"color": "black", "linewidth": 1.0}),
    "same_rank": ("as many signals for the whole layer", _OTHER),
    "one_signal": ("one signal per module", _FOUND),
    "one_signal_random": ("one signal per random group", _CHANCE),
}


def signals_table(results: Results, near: pd.DataFrame | None) -> pd.DataFrame:
    """The trained networks of `near_copies`; none where it is not at hand."""
    return pd.DataFrame() if near is None else near[near["trained"]].reset_index(drop=True)


@drawn_from(signals_table)
def accuracy_of_signals(table: pd.DataFrame) -> Figure:
    """Test accuracy when each module of a layer passes on one signal: means over runs ± s.e.m., a panel per layer."""
    if table.empty:
        return _absent()
    layers = sorted(table["layer"].unique())
    figure, panels = _grid(1, len(layers), sharey=True, height=2.6)
    for axes, layer in zip(panels[0], layers, strict=True):
        for column, (label, look) in _SIGNALS.items():
            _curve(axes, table[table["layer"] == layer].groupby("dropout")[column], look, label)
        axes.set_title(f"layer {layer}")
        axes.set_ylim(0, 1)
    panels[0, 0].set_ylabel("test accuracy")
    _name_dropout(panels[0])
    _legend(figure, panels[0])
    return figure


def linear_table(results: Results, linear: pd.DataFrame | None) -> pd.DataFrame:
    """Rows of `linear_control`; none where it is not at hand."""
    return pd.DataFrame() if linear is None else linear


@drawn_from(linear_table)
def linear_against_rectified(table: pd.DataFrame) -> Figure:
    """Q without dropout and at the strongest, of linear units and of ReLUs, as trained and rotated; a line per run."""
    if table.empty:
        return _absent()
    places = list(dict.fromkeys(zip(table["layer"], table["measure"], strict=True)))
    figure, panels = _grid(1, len(places), sharey=True, height=2.8)
    strengths = sorted(table["dropout"].unique())
    for axes, (layer, measure) in zip(panels[0], sorted(places), strict=True):
        own = table[(table["layer"] == layer) & (table["measure"] == measure)]
        for left, rectified in ((0.0, False), (1.6, True)):
            part = own[own["rectified"] == rectified].set_index(["run", "dropout"]).sort_index()
            for column, look, label in (
                ("score", _FOUND, "as trained"),
                ("rotated", _CHANCE, "rotated units"),
            ):
                by_run = part[column].unstack("dropout")
                places_of = left + np.arange(len(strengths))
                for _, values in by_run.iterrows():
                    axes.plot(places_of, values, color=look["color"], linewidth=0.6, alpha=0.4)
                looks = {"capsize": 2, "markersize": 5, **look, "linewidth": 1.4}
                axes.errorbar(
                    places_of, by_run.mean(), by_run.sem().fillna(0.0), label=label if left else None, **looks
                )
        ticks = [left + at for left in (0.0, 1.6) for at in range(len(strengths))]
        axes.set_xticks(ticks, [f"{strength:.0%}" for strength in strengths] * 2)
        for left, name in ((0.0, "linear"), (1.6, "ReLU")):
            axes.text(left + (len(strengths) - 1) / 2, -0.22, name, ha="center", transform=axes.get_xaxis_transform())
        axes.set_title(measure_title(measure, f"layer {layer}"), color=LOOKS["upstream"].colour)
    panels[0, 0].set_ylabel("modularity Q")
    panels[0, 0].set_ylim(0, None)
    figure.supxlabel("dropout")
    _legend(figure, panels[0])
    return figure


def course_table(results: Results, course: pd.DataFrame | None) -> pd.DataFrame:
    """What is followed through training, means over layers of each network; none where it is not at hand."""
    return pd.DataFrame() if course is None else followed(course)


@drawn_from(course_table)
def course_of_training(table: pd.DataFrame) -> Figure:
    """What appears when: quantities against the epoch, a curve per setting; means over runs ± s.e.m."""
    if table.empty:
        return _absent()
    figure, panels = _grid(2, 3, height=2.2)
    for axes, (name, label) in zip(panels.flat, FOLLOWED.items(), strict=True):
        for setting in table[list(REGULARISERS)].drop_duplicates().itertuples(index=False, name=None):
            of = Regularisation(*setting)
            _curve(axes, rows_at(table, **of._asdict()).groupby("epoch")[name], *_of_setting(of))
        axes.set_xscale("symlog", linthresh=1, linscale=0.4)
        axes.set_title("\n".join(wrap(label, 24)))
        axes.set_xlim(-0.15, None)
    for axes in panels[-1]:
        axes.set_xlabel("epochs trained")
    _legend(figure, panels[0])
    return figure


def _of_setting(setting: Regularisation) -> tuple[dict[str, Any], str]:
    """Look and name of a setting."""
    strengths = {name: strength for name, strength in setting._asdict().items() if strength != getattr(BASELINE, name)}
    for name, strength in strengths.items():
        look = LOOKS[name]
        return {"color": look.colour, "marker": look.marker}, setting_text(name, strength)
    return {"color": "black", "marker": "D"}, "baseline"


def _curve(axes: Axes, rows: Any, look: dict[str, Any], label: str) -> None:
    means, errors = rows.mean(), rows.sem().fillna(0.0)
    looks = {"linewidth": 1.1, "markersize": 4, "capsize": 1.5, **look}
    axes.errorbar(means.index, means, errors, label=label or None, **looks)


def _grid(rows: int, columns: int, *, sharey: bool | str = False, height: float = 2.0) -> tuple[Figure, np.ndarray]:
    figure, panels = plt.subplots(
        rows,
        columns,
        figsize=(WIDTH if columns > 1 else NARROW, 0.8 + height * rows),
        sharex=True,
        sharey=sharey,  # type: ignore[arg-type]
        squeeze=False,
        layout="constrained",
    )
    return figure, panels


def _name_dropout(panels: np.ndarray) -> None:
    for axes in panels:
        axes.set_xlabel("dropout")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")


def _legend(figure: Figure, panels: np.ndarray) -> None:
    entries = dict(pair[::-1] for axes in panels for pair in zip(*axes.get_legend_handles_labels(), strict=True))
    legend_above(figure, entries.values(), entries.keys())


def _absent() -> Figure:
    figure, axes = plt.subplots(figsize=(WIDTH, 1.5))
    axes.set_axis_off()
    axes.text(0.5, 0.5, "not at hand for this study", ha="center", va="center")
    return figure

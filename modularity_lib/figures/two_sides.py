"""Upstream and downstream: transfer of Q against dropout, both sides of a layer, and the balance of its weights."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modularity_lib.figures.plot import drawn_from
from modularity_lib.figures.style import LOOKS, NARROW, UNTRAINED_COLOUR, WIDTH, legend_above, line
from modularity_lib.findings.transfer import ALL_LAYERS, transfer_table
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import KINDS, REGULARISERS, Regulariser, strength_text

_Curves = dict[str, tuple[str, dict[str, Any]]]  # {quantity: (name, look)}

# Hue: what is compared. Filled: with the sign of similarity; hollow: of its absolute value.
_SIDES: _Curves = {
    "rsa_signed": ("similarities, signed", {"color": "#D55E00", "marker": "o"}),
    "corrected_absolute": (
        "modules, absolute",
        {"color": "black", "marker": "s", "markerfacecolor": "white", "linestyle": "--"},
    ),
    "rsa_absolute": ("similarities, absolute", {"color": "#D55E00", "marker": "o", "markerfacecolor": "white"}),
    "corrected_positive": ("modules, signed", {"color": "black", "marker": "s", "linestyle": "--"}),
    "gram_correlation": ("cosines of weights in and out", {"color": "#0F8B8D", "marker": "D"}),
    "ceiling_absolute": (
        "modules, absolute: ceiling",
        {"color": "#888888", "linestyle": ":", "elinewidth": 0, "capsize": 0},
    ),
}
_DECISIVE = ("rsa_signed", "corrected_absolute")
_BALANCE: _Curves = {
    "norm_gap": ("squared norms of units", {"color": LOOKS["l2"].colour, "marker": LOOKS["l2"].marker}),
    "gram_gap": ("all products of units", {"color": "black", "marker": "s", "linestyle": "--"}),
}
_TRAINED, _UNTRAINED = "trained", "untrained"


@drawn_from(transfer_table)
def transfer_against_dropout(table: pd.DataFrame) -> Figure:
    """Transfer of Q against dropout by kind of pair, a panel per layer; dashed: agreement across the families."""
    layers = [layer for layer in sorted(set(table["layer"])) if layer != ALL_LAYERS]
    figure, panels = plt.subplots(
        1,
        len(layers),
        figsize=(WIDTH if len(layers) > 1 else NARROW, 4.0),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, layer in zip(panels[0], layers, strict=True):
        for kind in KINDS:
            _curve(axes, _chosen(table, layer, "transfer", kind=kind), line(LOOKS[kind]))
        dashed = {**line(LOOKS["across"]), "linestyle": "--", "markerfacecolor": "white"}
        label = "one of each family: agreement beyond chance"
        _curve(axes, _chosen(table, layer, "corrected", kind="across"), {**dashed, "label": label})
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set(title=f"layer {layer}", xlabel="dropout")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    panels[0, 0].set_ylabel("share of Q that is kept\n(0 = chance, 1 = all)")
    legend_above(figure, *panels[0, 0].get_legend_handles_labels())
    return figure


def along_sweeps(results: Results, effects: pd.DataFrame | None, *, every: bool = False) -> pd.DataFrame:
    """Similarities and modules of both sides along each sweep.

    Args:
        effects: of `two_sides.effects_table`; the table is empty without.
        every: all curves, not only the two that decide.
    Returns:
        `networks`, `regulariser`, `strength`, `layer`, `live_units`, `quantity`, `mean`, `low`, `high`, `n_runs`;
        untrained networks have no regulariser.
    """
    return _along(results, effects, list(_SIDES if every else _DECISIVE), list(REGULARISERS))


@drawn_from(along_sweeps)
def two_sides_against_regularisation(table: pd.DataFrame) -> Figure:
    """How far both sides of a layer are one thing, along each sweep: a row of panels per layer."""
    shown = {quantity: look for quantity, look in _SIDES.items() if quantity in set(table["quantity"])}
    return _panels(table, shown, list(REGULARISERS), label="correlation or\nagreement")


def along_l2(results: Results, effects: pd.DataFrame | None) -> pd.DataFrame:
    """Balance of weights under the L2 penalty, and in untrained networks; columns as of `along_sweeps`."""
    return _along(results, effects, list(_BALANCE), ["l2"])


@drawn_from(along_l2)
def balance_against_l2(table: pd.DataFrame) -> Figure:
    """How far incoming and outgoing weights are from balance under L2; grey: before training."""
    return _panels(table, _BALANCE, ["l2"], label="distance from balance\n(0 = balanced, 1 = one side only)")


def _along(
    results: Results, effects: pd.DataFrame | None, quantities: list[str], regularisers: list[Regulariser]
) -> pd.DataFrame:
    columns = [
        "networks",
        "regulariser",
        "strength",
        "layer",
        "live_units",
        "quantity",
        "mean",
        "low",
        "high",
        "n_runs",
    ]
    if effects is None:
        return pd.DataFrame(columns=columns)
    trained, untrained = effects[effects["trained"]], effects[~effects["trained"]]
    parts = [sweep(trained, results.study, name).assign(networks=_TRAINED, regulariser=name) for name in regularisers]
    table = pd.concat([*parts, untrained.assign(networks=_UNTRAINED, regulariser="")], ignore_index=True)
    table = table[table["quantity"].isin(quantities)]
    return table.sort_values("strength", kind="stable")[columns].reset_index(drop=True)


def _panels(table: pd.DataFrame, curves: _Curves, regularisers: list[Regulariser], *, label: str) -> Figure:
    """A panel per layer and sweep; the layers of a single sweep are side by side."""
    layers = sorted(set(table["layer"]))
    if not layers:
        figure, axes = plt.subplots(figsize=(6, 1.2), layout="constrained")
        axes.set_axis_off()
        axes.text(0.5, 0.5, "the weights of this study are not at hand", ha="center", va="center")
        return figure
    by_layer = len(regularisers) > 1
    shape = (len(layers), len(regularisers)) if by_layer else (1, len(layers))
    figure, panels = plt.subplots(
        *shape,
        figsize=(WIDTH, 1.0 + 2.3 * shape[0]) if by_layer else (WIDTH if shape[1] > 1 else NARROW, 3.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    places = [(layer, regulariser) for layer in layers for regulariser in regularisers]
    for axes, (layer, regulariser) in zip(panels.flat, places, strict=True):
        rows = table[(table["layer"] == layer) & (table["regulariser"] == regulariser)]
        strengths = sorted(set(rows["strength"]))
        before = table[(table["layer"] == layer) & (table["networks"] == _UNTRAINED)].set_index("quantity")["mean"]
        for quantity, (name, look) in curves.items():
            chosen = rows[rows["quantity"] == quantity]
            looks = {"linewidth": 1.2, "markersize": 4, "capsize": 1.5, **look}
            _curve(axes, chosen.assign(strength=chosen["strength"].map(strengths.index)), {**looks, "label": name})
            if quantity in before and (quantity in _BALANCE or quantity == "rsa_signed"):
                of = {"color": UNTRAINED_COLOUR, "linestyle": looks.get("linestyle", "-"), "linewidth": 2, "zorder": 1}
                axes.axhline(before[quantity], **of, label=f"{name}: untrained")
        shown = range(0, len(strengths), 1 + len(strengths) // 6)
        axes.set_xticks(shown, [strength_text(strengths[place]) for place in shown])
        axes.tick_params(axis="x", rotation=60 if regulariser != "dropout" else 0)
        axes.set(
            title=f"{LOOKS[regulariser].label}, layer {layer}",
        )
    for axes, (_, regulariser) in zip(panels[-1], places[-len(panels[-1]) :], strict=True):
        name = LOOKS[regulariser].label
        axes.set_xlabel(name if regulariser == "dropout" else f"strength of the {name}")
    lowest = float(np.nanmin(table["low"]))
    panels[0, 0].set_ylim(max(-1.0, min(0.0, lowest)) - 0.03, 1.03)  # no correlation is below -1, as a bar may be
    for axes in panels[:, 0]:
        axes.set_ylabel(label)
    legend_above(figure, *panels[0, 0].get_legend_handles_labels())
    return figure


def _chosen(table: pd.DataFrame, layer: int, quantity: str, *, kind: str) -> pd.DataFrame:
    rows = table[(table["layer"] == layer) & (table["quantity"] == quantity) & (table["kind"] == kind)]
    return rows.sort_values("strength")


def _curve(axes: Axes, rows: pd.DataFrame, look: dict[str, Any]) -> None:
    """Means with their intervals."""
    bars = np.abs(rows[["low", "high"]].sub(rows["mean"], axis=0).to_numpy(dtype=float).T)
    axes.errorbar(rows["strength"], rows["mean"], bars, **look)

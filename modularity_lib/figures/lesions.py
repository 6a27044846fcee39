"""What a network loses without a module, beside near neighbours and random sets, along dropout."""

from typing import get_args

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from modularity_lib.figures.panels import Curves, panels_along_dropout
from modularity_lib.figures.plot import drawn_from
from modularity_lib.figures.style import LOOKS, UNTRAINED_COLOUR, WIDTH, legend_above
from modularity_lib.findings.lesion_effects import beside_neighbours, comparable, per_run
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import FAMILY, Family

_CURVES: Curves = {  # as on every page: dropout in its colour, what is made up on purpose in black, chance in grey
    "module": ("a module", {"color": LOOKS["dropout"].colour, "marker": LOOKS["dropout"].marker, "linewidth": 1.6}),
    "neighbours": ("near neighbours by activity", {"color": "black", "marker": "P", "markersize": 5}),
    "random": ("random units", {"color": UNTRAINED_COLOUR, "marker": "v", "linestyle": "--"}),
}
_ROWS = {"zero": "set to 0:\npoints lost", "mean": "held at their mean:\npoints lost"}
_ALL = "both families"
_COLUMNS = (_ALL, *get_args(Family))


def _beside(results: Results, table: pd.DataFrame) -> pd.DataFrame:
    """Losses in points over the modules of `beside_neighbours`, by lesion, modules of one family or of both, and run.

    A strength at which some run has no such module is left out, as in the rule.
    """
    parts = []
    for lesion in _ROWS:
        rows = sweep(comparable(table, lesion=lesion), results.study, "dropout")
        for strength, every in rows.groupby("strength"):
            beside = beside_neighbours(every)
            for family in _COLUMNS:
                chosen = beside if family == _ALL else beside[beside["measure"].map(FAMILY) == family]
                if set(chosen["run"]) != set(every["run"]):
                    continue
                losses = {
                    name: 100 * per_run(chosen, chosen[f"accuracy{ending}"])
                    for name, ending in (("module", ""), ("neighbours", "_neighbours"), ("random", "_random"))
                }
                place = {"lesion": lesion, "modules": family, "strength": strength}
                parts.append(pd.DataFrame(losses).reset_index().assign(**place, n_modules=len(chosen)))
    columns = ["lesion", "modules", "strength", "run", "n_modules", *_CURVES]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


@drawn_from(_beside)
def lost_beside_neighbours(table: pd.DataFrame) -> Figure:
    """The modules that decide, beside their near neighbours and random units: a row per lesion, a column per family."""
    if table.empty:
        return panels_along_dropout(table.assign(layer=[]), _CURVES, label="", absent="no module to compare")
    figure, panels = plt.subplots(
        len(_ROWS), len(_COLUMNS), figsize=(WIDTH, 4.6), sharex=True, sharey="row", layout="constrained"
    )
    for row, lesion in zip(panels, _ROWS, strict=True):
        for axes, family in zip(row, _COLUMNS, strict=True):
            chosen = table[(table["lesion"] == lesion) & (table["modules"] == family)].groupby("strength")
            strengths = sorted(set(table["strength"]))  # also those without a point, where the curve is broken
            for column, (name, look) in _CURVES.items():
                means, errors = (
                    chosen[column].mean().reindex(strengths),
                    chosen[column].sem().reindex(strengths).fillna(0.0),
                )
                axes.errorbar(
                    means.index,
                    means,
                    errors,
                    **{"linewidth": 1.1, "markersize": 4, "capsize": 1.5, **look},
                    label=name,
                )
        row[0].set(ylabel=_ROWS[lesion], ylim=(0, None))
    for axes, family in zip(panels[0], _COLUMNS, strict=True):
        colour = LOOKS[family].colour if family in LOOKS else "black"
        axes.set_title("all compared modules" if family == _ALL else f"{family} modules", color=colour)
    for axes in panels[-1]:
        axes.set_xlabel("dropout")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    legend_above(figure, *panels[0, 0].get_legend_handles_labels())
    return figure


def _losses(results: Results, table: pd.DataFrame, *, lesion: str = "zero", outcome: str = "accuracy") -> pd.DataFrame:
    """Means over the modules of each network, layer and measure, with dropout alone, which is their `strength`."""
    rows = sweep(comparable(table, lesion=lesion), results.study, "dropout")
    names = {outcome: "module", f"{outcome}_neighbours": "neighbours", f"{outcome}_random": "random"}
    place = ["strength", "layer", "measure", "run"]
    means = rows.groupby(place)[list(names)].mean().rename(columns=names).reset_index()
    return means.assign(outcome=outcome)


_LABELS = {
    "accuracy": "accuracy lost,\nmean over classes",
    "accuracy_spread": "accuracy lost,\ns.d. over classes",
    "entropy": "rise of the cross-\nentropy, in nats",
    "entropy_spread": "the same,\ns.d. over classes",
}


@drawn_from(_losses)
def lost_without_modules(table: pd.DataFrame) -> Figure:
    """What is lost along dropout with a module, with near neighbours, and with random sets of units."""
    label = _LABELS[next(iter(table["outcome"]), "accuracy")]
    return panels_along_dropout(table, _CURVES, label=label, absent="no weights at hand")

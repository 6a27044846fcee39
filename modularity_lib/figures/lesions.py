"""What a network loses without a module, beside random sets and near neighbours, along dropout."""

import pandas as pd
from matplotlib.figure import Figure

from modularity_lib.figures.panels import Curves, panels_along_dropout
from modularity_lib.figures.plot import drawn_from
from modularity_lib.figures.style import LOOKS, UNTRAINED_COLOUR
from modularity_lib.findings.lesion_effects import comparable
from modularity_lib.studies.results import Results, sweep

_CURVES: Curves = {  # as on every page: dropout in its colour, what is made up on purpose in black, chance in grey
    "module": ("a module", {"color": LOOKS["dropout"].colour, "marker": LOOKS["dropout"].marker, "linewidth": 1.6}),
    "neighbours": ("near neighbours by activity", {"color": "black", "marker": "P", "markersize": 5}),
    "random": ("random units", {"color": UNTRAINED_COLOUR, "marker": "v", "linestyle": "--"}),
}


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

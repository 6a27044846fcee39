"""All published numbers against ours."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from modularity_lib.figures.plot import as_given, drawn_from
from modularity_lib.figures.style import UNTRAINED_COLOUR, WIDTH

_PANELS: Mapping[str, tuple[str, ...]] = {
    "modularity Q": ("Q against regularisation", "Q of untrained networks, mean"),
    "number of modules": ("number of modules", "number of modules, untrained networks, mean"),
    "agreement of clusterings": (
        "agreement of clusterings, trained",
        "agreement of clusterings, untrained",
        "agreement of clusterings by strength",
    ),
    "accuracies, norms (relative)": (
        "accuracies",
        "norms of the weights, share of the largest",
        "share of small weights",
    ),
    "correlation of metrics": ("correlation of agreement metrics",),
}
_COLOURS = ("#000000", "#777777", "#AAAAAA")  # none that means a regulariser or a family elsewhere
_MARKERS = ("o", "s", "^")


@drawn_from(as_given)
def published_against_ours(numbers: pd.DataFrame) -> Figure:
    """Each number of `ledger.published_beside_ours` as a point: published value across, ours upwards; the diagonal."""
    figure, panels = plt.subplots(3, 2, figsize=(WIDTH, 10.8), layout="constrained")
    panels[2, 1].remove()
    for axes, (title, groups) in zip(panels.flat[: len(_PANELS)], _PANELS.items(), strict=True):
        for group, colour, marker in zip(groups, _COLOURS, _MARKERS, strict=False):
            rows = numbers[numbers["group"] == group].dropna(subset=["here"])
            axes.errorbar(
                rows["paper"],
                rows["here"],
                xerr=rows["reading_error"],
                yerr=rows["sem"],
                linestyle="none",
                marker=marker,
                markersize=4,
                markerfacecolor="none",
                color=colour,
                elinewidth=0.6,
                label=f"{group} ({len(rows)})",
            )
        low, high = np.min([axes.get_xlim(), axes.get_ylim()]), np.max([axes.get_xlim(), axes.get_ylim()])
        axes.plot([low, high], [low, high], color=UNTRAINED_COLOUR, linewidth=1, zorder=0)
        axes.set(
            title=title, xlabel="published value", ylabel="here", aspect="equal", xlim=(low, high), ylim=(low, high)
        )
        axes.legend(loc="upper left", fontsize=8, handletextpad=0.2, borderpad=0.1)
    return figure

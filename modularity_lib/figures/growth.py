"""Seconds against images and units."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from modularity_lib.figures.looks import (
    STYLE,
    UNTRAINED_COLOUR,
)


def growth_curves(growth: Mapping[str, pd.DataFrame]) -> Figure:
    """Seconds against images and against units, both axes logarithmic, with lines of slope 1, 2 and 3."""
    looks = {
        "8 matrices of 2 layers": ("#0072B2", "o"),
        "input gradient alone": ("#CC3377", "s"),
        "one module search": ("#E69F00", "^"),
    }
    with plt.rc_context(STYLE):
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

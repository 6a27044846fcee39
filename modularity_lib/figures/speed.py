"""Seconds against images and units."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator

from modularity_lib.figures.plot import as_given, drawn_from
from modularity_lib.figures.style import UNTRAINED_COLOUR, WIDTH

POWERS = {1: "in proportion", 2: "with the square", 3: "with the cube"}  # of the grey lines


@drawn_from(as_given)
def growth_curves(growth: pd.DataFrame) -> Figure:
    """Seconds against images and against units, both axes logarithmic, with lines of growth in proportion and so on.

    The table has the columns `against` ("images" or "units"), `x`, `what` and `seconds`.
    """
    looks = {
        "8 matrices of 2 layers": ("#0072B2", "o"),
        "input gradient alone": ("#CC3377", "s"),
        "one module search": ("#E69F00", "^"),
    }
    figure, panels = plt.subplots(1, 2, figsize=(WIDTH, 3.6), layout="constrained")
    for axes, (against, table), powers in zip(
        panels, growth.groupby("against", sort=False), ((1,), (2, 3)), strict=True
    ):
        for name, rows in table.groupby("what", sort=False):
            colour, marker = looks[str(name)]
            axes.loglog(rows["x"], rows["seconds"], color=colour, marker=marker, markersize=5, label=name)
        first = table[table["what"] == table["what"].iloc[0]]
        x = first["x"].to_numpy()
        for power, style in zip(powers, ("--", ":"), strict=False):
            y = first["seconds"].iloc[0] * (x / x[0]) ** power
            axes.loglog(x, y, color=UNTRAINED_COLOUR, linestyle=style, linewidth=1, label=POWERS[power])
        axes.set_xlabel(f"{against} (logarithmic)")
        _name_ticks(axes, x)
        axes.legend()
    panels[0].set_ylabel("seconds on one core (logarithmic)")
    return figure


def _name_ticks(axes: Axes, measured: list[float]) -> None:
    """Ticks where something was measured; seconds as plain numbers, with lines for 2, 3, 4 ... times a power of ten."""
    axes.xaxis.set_major_locator(FixedLocator(list(measured)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,)))
    axes.yaxis.set_minor_locator(LogLocator(subs=tuple(range(2, 10))))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())

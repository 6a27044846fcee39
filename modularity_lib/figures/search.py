"""How close searches for modules come to the best, and what Q does on matrices whose modules are known."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from modularity_lib.figures.looks import STYLE, UNTRAINED_COLOUR


def gaps_of_methods(table: pd.DataFrame) -> Figure:
    """`optima.gap_table`: how far below the best Q each method stays, a point per matrix, a bar for the mean."""
    kinds, methods = list(dict.fromkeys(table["kind"])), list(dict.fromkeys(table["method"]))[::-1]
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            1, len(kinds), figsize=(8.8, 2.9), sharey=True, squeeze=False, layout="constrained"
        )
        for axes, kind in zip(panels[0], kinds, strict=True):
            rows = table[table["kind"] == kind]
            for height, method in enumerate(methods):
                gaps = 100 * rows.loc[rows["method"] == method, "gap"]
                spread = height + np.linspace(-0.25, 0.25, len(gaps))
                axes.plot(gaps, spread, "o", markersize=3, color=UNTRAINED_COLOUR, alpha=0.7)
                axes.plot(gaps.mean(), height, "|", markersize=20, markeredgewidth=2, color="black")
            axes.set_yticks(range(len(methods)), methods)
            axes.set(title=f"{kind} ({rows['matrix'].nunique()})", xlabel="gap to the best Q, %")
            axes.set_xlim(-3, max(10.0, 105 * rows["gap"].max()))
        return figure


def near_optima(table: pd.DataFrame) -> Figure:
    """`optima.near_optima`: Q of each search as a share of the best, and how like the best one's its modules are."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
        axes.plot(100 * table["share"], table["alike"], "o", markerfacecolor="none", color="black")
        axes.set(xlabel="Q, % of the best", ylabel="element-centric similarity\nwith the best one", ylim=(0, 1.05))
        return figure


def floor_and_common_factor(floor: pd.DataFrame, common: pd.DataFrame) -> Figure:
    """Q of noise by the number of units, and Q of planted blocks by the correlation that all units share."""
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
        left.errorbar(floor["units"], floor["mean"], floor["sd"], color="black", marker="o", capsize=2)
        left.set_xscale("log", base=2)
        left.set_xticks(floor["units"], [str(count) for count in floor["units"]])
        left.minorticks_off()
        left.set(xlabel="units (logarithmic)", ylabel="modularity Q", ylim=(0, None), title="noise")
        right.plot(common["common"], common["score"], color="black", marker="o", label="modularity Q")
        right.plot(common["common"], common["recovered"], color="black", marker="s", linestyle=":", label="recovered")
        right.set(xlabel="correlation shared by all units", ylabel="Q; similarity with the truth", ylim=(0, 1.05))
        right.set_title("four planted blocks")
        right.legend(loc="center right")
        return figure

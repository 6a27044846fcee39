"""How close searches for modules come to the best, and what Q does on matrices whose modules are known."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from modularity_lib.figures.plot import as_given, drawn_from
from modularity_lib.figures.style import LOOKS, UNTRAINED_COLOUR, WIDTH, legend_above

# Upstream and downstream as on every page, chance in grey; what is made up on purpose is black.
KINDS = {
    "upstream": (LOOKS["upstream"].colour, LOOKS["upstream"].marker),
    "downstream": (LOOKS["downstream"].colour, LOOKS["downstream"].marker),
    "noise": (UNTRAINED_COLOUR, "v"),
    "planted blocks": ("black", "P"),
}
_LINES = ("-", "--", ":", "-.")
_MARKERS = ("o", "s", "^", "D")


def _title_colour(kind: str) -> str:
    """Grey is too pale for words."""
    colour, _ = KINDS[kind]
    return "#555555" if colour == UNTRAINED_COLOUR else colour


@drawn_from(as_given)
def gaps_of_methods(table: pd.DataFrame) -> Figure:
    """`gap_table`: how far below the best Q each method stays, a point per matrix, a bar for the mean."""
    kinds, methods = list(dict.fromkeys(table["kind"])), list(dict.fromkeys(table["method"]))[::-1]
    figure, panels = plt.subplots(
        1, len(kinds), figsize=(WIDTH, 3.3), sharey=True, sharex=True, squeeze=False, layout="constrained"
    )
    for axes, kind in zip(panels[0], kinds, strict=True):
        rows = table[table["kind"] == kind]
        colour, marker = KINDS[kind]
        for height, method in enumerate(methods):
            gaps = 100 * rows.loc[rows["method"] == method, "gap"]
            spread = height + np.linspace(-0.25, 0.25, len(gaps))
            axes.plot(gaps, spread, marker, markersize=3, color=colour, alpha=0.6, clip_on=False)
            axes.plot(gaps.mean(), height, "|", markersize=18, markeredgewidth=2, color="black")
        axes.set_yticks(range(len(methods)), methods)
        axes.set_title(f"{kind} ({rows['matrix'].nunique()})", color=_title_colour(kind))
        axes.grid(axis="x", linewidth=0.4, alpha=0.6)
    # Gaps differ by powers of ten, and many are 0: equal steps below 1 %, factors of ten above.
    panels[0, 0].set_xscale("symlog", linthresh=1, linscale=0.6)
    panels[0, 0].set_xticks([0, 1, 10, 100], ["0", "1", "10", "100"])
    panels[0, 0].set_xlim(-0.15, 130)
    figure.supxlabel("gap to the best Q found, % (straight up to 1, logarithmic above)")
    return figure


@drawn_from(as_given)
def near_optima(table: pd.DataFrame) -> Figure:
    """`near_optima_table`: how far below the best each search ends, and how like the best its modules are."""
    kinds = list(dict.fromkeys(table["kind"]))
    others = table[~table["is_best"]]
    figure, panels = plt.subplots(
        1, len(kinds), figsize=(WIDTH, 2.9), sharey=True, sharex=True, squeeze=False, layout="constrained"
    )
    for axes, kind in zip(panels[0], kinds, strict=True):
        rows = others[others["kind"] == kind]
        colour, marker = KINDS[kind]
        axes.plot(100 * (1 - rows["share"]), rows["alike"], marker, markersize=3, color=colour, alpha=0.35)
        axes.axhline(rows["chance"].mean(), color=colour, linestyle="--", linewidth=1)
        axes.set_title(f"{kind} ({table.loc[table['kind'] == kind, 'matrix'].nunique()})", color=_title_colour(kind))
    panels[0, 0].set(ylabel="element-centric similarity\nwith the best modules", ylim=(0, 1.05))
    figure.supxlabel("gap to the best search of the same matrix, % of its Q")
    return figure


def floor_and_common_factor_table(floor: pd.DataFrame, common: pd.DataFrame) -> pd.DataFrame:
    """`synthetic.floor_table` above `synthetic.common_factor_table`."""
    return pd.concat([floor, common])


@drawn_from(floor_and_common_factor_table)
def floor_and_common_factor(table: pd.DataFrame) -> Figure:
    """Q of noise by the number of units, and Q of planted blocks by the correlation that all units share."""
    floor, common = (table.dropna(subset=[column]) for column in ("samples", "common"))
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(WIDTH, 3.1), layout="constrained")
    colour, _ = KINDS["noise"]
    for index, (samples, rows) in enumerate(floor.groupby("samples")):
        left.errorbar(
            rows["units"] * 1.04 ** (index - 1),  # side by side, so that the bars can be told apart
            rows["mean"],
            rows["sd"],
            color=colour,
            linestyle=_LINES[index % len(_LINES)],
            marker=_MARKERS[index % len(_MARKERS)],
            markersize=4,
            linewidth=1,
            capsize=2,
            label=f"{samples:,.0f}",
        )
    left.set_xscale("log", base=2)
    counts = sorted(set(floor["units"]))
    left.set_xticks(counts, [f"{count:.0f}" for count in counts])
    left.minorticks_off()
    left.set(xlabel="units (logarithmic)", ylabel="modularity Q", ylim=(0, None), title="Q of noise")
    left.legend(title="samples", fontsize=8.5)
    colour, _ = KINDS["planted blocks"]
    for index, (shared, rows) in enumerate(common.groupby("shared")):
        look = {"color": colour, "linestyle": _LINES[index], "marker": _MARKERS[index], "markersize": 4}
        middle.plot(rows["common"], rows["score"], **look, label=f"{shared:g}")
        middle.plot(rows["common"], rows["expected"], "_", color=UNTRAINED_COLOUR, markersize=14, zorder=3)
        right.plot(rows["common"], rows["recovered"], **look, label=f"{shared:g}")
    middle.set(ylabel="modularity Q", ylim=(0, None), title="Q of planted blocks")
    right.set(ylabel="element-centric similarity\nof modules and blocks", ylim=(0, 1.05), title="are the blocks found?")
    for axes in (middle, right):
        axes.set_xlabel("correlation shared by all units")
    middle.legend(title="correlation\nwithin blocks", fontsize=8.5)
    return figure


@drawn_from(as_given)
def p_values_of_tests(table: pd.DataFrame) -> Figure:
    """`p_value_table`: share of matrices with a p-value up to each level; dotted: a valid test."""
    kinds, tests = list(dict.fromkeys(table["kind"])), list(dict.fromkeys(table["test"]))
    figure, panels = plt.subplots(1, len(kinds), figsize=(WIDTH, 3.2), sharey=True, squeeze=False, layout="constrained")
    for axes, kind in zip(panels[0], kinds, strict=True):
        for index, test in enumerate(tests):
            values = np.sort(table.loc[(table["kind"] == kind) & (table["test"] == test), "p_value"])
            share = np.arange(1, len(values) + 1) / len(values)
            axes.step(
                [0, *values, 1],
                [0, *share, 1],
                where="post",
                color=("#555555", "black")[index % 2],
                linestyle=("--", "-")[index % 2],
                label=test,
            )
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle=":", label="p-values of a valid test")
        axes.set(title=kind, xlabel="p-value up to", xlim=(0, 1), ylim=(0, 1.02))
    panels[0, 0].set_ylabel("share of the matrices")
    legend_above(figure, *panels[0, 0].get_legend_handles_labels())
    return figure

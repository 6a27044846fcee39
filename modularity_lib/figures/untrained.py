"""The null distribution: modularity and number of modules of networks that were never trained."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modularity_lib.figures.modularity import ALL_LAYERS, QUANTITY_LABELS
from modularity_lib.figures.plot import drawn_from
from modularity_lib.figures.style import LOOKS, UNTRAINED_COLOUR, WIDTH, legend_above, measure_title
from modularity_lib.findings.comparison import compare_with_paper, repeats_the_paper
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import FAMILY, PANEL_ORDER

# All untrained, so all grey: a layer is told by its shade and its dashes.
_LINES: tuple[tuple[str, object], ...] = (
    ("#222222", "-"),
    ("#555555", "--"),
    ("#777777", ":"),
    ("#999999", "-."),
    ("#666666", (0, (6, 1))),
)
_COLUMNS = ["source", "quantity", "measure", "layer", "bin_from", "bin_to", "count", "mean", "sd", "n"]


def null_table(results: Results, *, quantity: str = "score") -> pd.DataFrame:
    """Untrained networks: a row per bar of each histogram, and a row per mean with its s.d.

    Args:
        quantity: "score" (Q) or "n_modules" (soft count).
    Returns:
        source: "here" or "paper"; quantity; measure; layer, "all" = over all of them together;
        bin_from, bin_to, count: networks in [bin_from, bin_to), the last bin with its right end; or
        mean, sd, n: over networks, or networks and layers. The paper gives those of Q, over its layers together.
    """
    rows = results.analysed("modules", trained=False)
    if rows.empty:
        return pd.DataFrame(columns=_COLUMNS)
    n_networks = len(rows.drop_duplicates("run"))
    edges = np.linspace(rows[quantity].min(), rows[quantity].max(), max(5, round(np.sqrt(n_networks))) + 1)
    parts = []
    for name, values in rows.groupby(["measure", "layer"])[quantity]:
        bars = {"bin_from": edges[:-1], "bin_to": edges[1:], "count": np.histogram(values, edges)[0]}
        parts.append(pd.DataFrame(bars | dict(zip(("measure", "layer"), name, strict=True))).assign(source="here"))
    for layers in (rows, rows.assign(layer=ALL_LAYERS)):
        statistics = layers.groupby(["measure", "layer"])[quantity].agg(mean="mean", sd="std", n="count")
        parts.append(statistics.reset_index().assign(source="here"))
    if quantity == "score" and repeats_the_paper(results.study):
        paper = compare_with_paper(results, "untrained_q").pivot(index="measure", columns="statistic", values="paper")
        parts.append(paper.reset_index().assign(source="paper", layer=ALL_LAYERS))
    return pd.concat(parts, ignore_index=True).assign(quantity=quantity).reindex(columns=_COLUMNS)


@drawn_from(null_table)
def null_distributions(table: pd.DataFrame) -> Figure:
    """Histograms of Q or "n_modules" of the untrained networks, per measure and layer, with mean and s.d. (P6)."""
    bins, means = table[table["count"].notna()], table[table["mean"].notna() & (table["layer"] == ALL_LAYERS)]
    bins = bins.astype({"layer": int})  # in a CSV file the column is text, because of the layer "all"
    figure, panels = plt.subplots(2, 4, figsize=(WIDTH, 5.0), sharex=True, sharey=True, layout="constrained")
    for axes, measure in zip(panels.flat, PANEL_ORDER, strict=True):
        for layer in sorted(bins["layer"].unique()):
            rows = bins[(bins["measure"] == measure) & (bins["layer"] == layer)]
            colour, dashes = _LINES[(layer - 1) % len(_LINES)]
            edges = [*rows["bin_from"], rows["bin_to"].iloc[-1]]
            axes.stairs(
                rows["count"],
                edges,
                color=colour,
                linestyle=dashes,
                linewidth=1.2,
                baseline=None,
                label=f"layer {layer}",
            )
            if layer == 1:
                axes.stairs(rows["count"], edges, fill=True, color=UNTRAINED_COLOUR, alpha=0.3)
        highest = bins["count"].max()
        for _, row in means[means["measure"] == measure].iterrows():
            _mean_and_sd(axes, row, above=highest)
        axes.set_title(measure_title(measure), color=LOOKS[FAMILY[measure]].colour)
    for axes in panels[-1]:
        axes.set_xlabel(QUANTITY_LABELS[table["quantity"].iloc[0]] if len(table) else "")
    for axes, family in zip(panels[:, 0], ("upstream", "downstream"), strict=True):
        axes.set_ylabel(f"{family}\nuntrained networks")
    legend_above(figure, *panels[0, 0].get_legend_handles_labels())
    return figure


def _mean_and_sd(axes: Axes, row: pd.Series, *, above: float) -> None:
    """Mean ± s.d. over all layers, drawn over the histograms; hollow where it is the paper's."""
    is_ours = row["source"] == "here"
    axes.errorbar(
        row["mean"],
        above * (1.08 if is_ours else 1.2),
        xerr=row["sd"],
        color="black",
        linestyle="none",
        marker="o",
        markersize=5,
        markerfacecolor="black" if is_ours else "none",
        capsize=2,
        elinewidth=0.9,
        label="mean ± s.d., all layers" if is_ours else "the same in the paper",
    )

"""Agreement of clusterings as maps: beside the published ones (P9, P11), by strength (P10), by metric (P12)."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import Figure

from modularity_lib.comparison import compare_with_paper
from modularity_lib.experiments import REGULARISERS
from modularity_lib.figures.looks import LOOKS, STYLE, measure_ticks, repeats_the_paper, written
from modularity_lib.paper import published
from modularity_lib.results import Results, sweep
from modularity_lib.similarity import MEASURES

_METRIC_LABELS = {
    "greedy": "greedy matching",
    "rmi": "RMI",
    "rmi_norm": "RMI (norm)",
    "vi": "VI",
    "vi_norm": "VI (norm)",
    "element_centric": "element-centric",
    "similarity_spearman": "RSA (Spearman)",
}
_STRENGTHS_SHOWN = 4
_ROWS = {"trained": "trained", "minus": "trained minus untrained", "untrained": "untrained"}


def agreement_table(results: Results, *, layer: int | None = None) -> pd.DataFrame:
    """Mean element-centric similarity of every two measures: `networks` ("trained", "untrained", "minus"), `measure_a`,
    `measure_b`, `here`, and `published` and `difference` where the study is the paper's and all layers are taken.
    """
    parts = []
    for name, trained in (("trained", True), ("untrained", False)):
        rows = _of_layer(results.analysed("agreement", trained=trained), layer)
        rows = rows[rows["measure_a"] != rows["measure_b"]]
        means = rows.groupby(["measure_a", "measure_b"])["element_centric"].mean()
        parts.append(means.rename("here").reset_index().assign(networks=name))
    table = pd.concat(parts, ignore_index=True)
    if repeats_the_paper(results.study) and layer is None and len(parts[0]):
        paper = published("agreement").rename(columns={"element_centric": "published"})
        table = table.merge(paper.drop(columns="reading_error"), how="left")
    values = [column for column in ("here", "published") if column in table]
    wide = table.set_index(["networks", "measure_a", "measure_b"])[values]
    minus = wide.loc["trained"] - wide.loc["untrained"]
    table = pd.concat([table, minus.reset_index().assign(networks="minus")], ignore_index=True)
    if "published" in table:
        table["difference"] = table["here"] - table["published"]
    return table[["networks", "measure_a", "measure_b", *(n for n in (*values, "difference") if n in table)]]


def agreement_beside_published(results: Results, *, layer: int | None = None) -> Figure:
    """`agreement_table` as maps: trained, trained minus untrained, and untrained networks; ours, theirs, difference."""
    table = agreement_table(results, layer=layer)
    columns = [name for name in ("here", "published", "difference") if name in table]
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            3, len(columns), figsize=(3.2 * len(columns) + 1, 10.2), squeeze=False, layout="constrained"
        )
        for row, (networks, label) in zip(panels, _ROWS.items(), strict=True):
            for axes, column in zip(row, columns, strict=True):
                _draw_map(
                    axes,
                    _square(table[table["networks"] == networks], column),
                    signed=networks == "minus" or column == "difference",
                    named=column == "here",
                    below=networks == "untrained",
                )
                axes.set_title(f"{label}\n" + ("here − published" if column == "difference" else column))
        return figure


def agreement_by_strength_table(
    results: Results, *, layer: int | None = None, minus_untrained: bool = False
) -> pd.DataFrame:
    """Mean element-centric similarity by regulariser and strength: four strengths of each sweep, evenly spread."""
    rows = _of_layer(results.analysed("agreement", trained=True), layer)
    rows = rows[rows["measure_a"] != rows["measure_b"]]
    parts = []
    for regulariser in REGULARISERS:
        chosen = sweep(rows, results.study, regulariser)
        strengths = sorted(strength for strength in chosen["strength"].unique() if strength > 0)
        shown = [strengths[index] for index in _spread(len(strengths))]
        chosen = chosen[chosen["strength"].isin(shown)]
        means = chosen.groupby(["strength", "measure_a", "measure_b"])["element_centric"].agg(["mean", "size"])
        parts.append(means.reset_index().assign(regulariser=regulariser))
    table = pd.concat(parts, ignore_index=True).rename(columns={"mean": "here", "size": "n_clusterings"})
    if minus_untrained:
        before = agreement_table(results, layer=layer).query("networks == 'untrained'")
        before = before[["measure_a", "measure_b", "here"]].rename(columns={"here": "untrained"})
        table = table.merge(before, how="left")
        table["here"] = table["here"] - table.pop("untrained")
    return table[["regulariser", "strength", "measure_a", "measure_b", "here", "n_clusterings"]]


def agreement_by_strength(results: Results, *, layer: int | None = None, minus_untrained: bool = False) -> Figure:
    """`agreement_by_strength_table` as maps: a row per regulariser, strengths from left to right (P10)."""
    table = agreement_by_strength_table(results, layer=layer, minus_untrained=minus_untrained)
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(len(REGULARISERS), _STRENGTHS_SHOWN, figsize=(8.8, 7.6), layout="constrained")
        for row, regulariser in zip(panels, REGULARISERS, strict=True):
            for axes in row:
                axes.axis("off")
            of_sweep = table[table["regulariser"] == regulariser]
            for axes, (strength, rows) in zip(row, of_sweep.groupby("strength"), strict=False):
                axes.axis("on")
                image = _draw_map(axes, _square(rows, "here"), signed=minus_untrained, named=False, numbers=False)
                axes.set_title(f"{LOOKS[regulariser].label} {strength:.2g}", color=LOOKS[regulariser].colour)
        label = "element-centric similarity" + (", trained minus untrained" if minus_untrained else "")
        figure.colorbar(image, ax=panels, location="bottom", shrink=0.5, aspect=40, label=label)
        return figure


def metric_table(results: Results) -> pd.DataFrame:
    """Mean |correlation| of every two metrics of agreement: here, and as published."""
    table = compare_with_paper(results, "metric_agreement")
    columns = ["metric_a", "metric_b", "here", "sem", "n", "paper", "difference"]
    table = table[columns].rename(columns={"paper": "published"})
    return table if repeats_the_paper(results.study) else table.drop(columns=["published", "difference"])


def metric_agreement(results: Results) -> Figure:
    """`metric_table` as maps (P12)."""
    table = metric_table(results)
    columns = [name for name in ("here", "published") if name in table]
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            1, len(columns), figsize=(4.2 * len(columns), 4.6), squeeze=False, layout="constrained"
        )
        for axes, column in zip(panels[0], columns, strict=True):
            rows = table.rename(columns={"metric_a": "measure_a", "metric_b": "measure_b"})
            values = _square(rows, column, names=list(_METRIC_LABELS))
            _heat(axes, values, signed=False)
            labels = list(_METRIC_LABELS.values())
            axes.set_xticks(np.arange(len(labels)) + 0.5, labels, rotation=90)
            axes.set_yticks(
                np.arange(len(labels)) + 0.5, labels if column == "here" else [""] * len(labels), rotation=0
            )
            axes.set(title=column, xlabel="", ylabel="")
        return figure


def _of_layer(rows: pd.DataFrame, layer: int | None) -> pd.DataFrame:
    return rows if layer is None else rows[rows["layer"] == layer]


def _spread(count: int) -> list[int]:
    """Indices of at most four of so many strengths, from the first to the last."""
    return sorted({round(index) for index in np.linspace(0, count - 1, min(count, _STRENGTHS_SHOWN))})


def _square(rows: pd.DataFrame, column: str, *, names: Sequence[str] = MEASURES) -> pd.DataFrame:
    values = rows.set_index(["measure_a", "measure_b"])[column].unstack()
    values = values.reindex(index=list(names), columns=list(names))
    return values.fillna(values.T)


def _draw_map(
    axes: Axes, values: pd.DataFrame, *, signed: bool, named: bool, below: bool = False, numbers: bool = True
) -> Collection:
    image = _heat(axes, values, signed=signed, numbers=numbers)
    axes.tick_params(length=0)
    axes.axhline(len(MEASURES) / 2, color="white", linewidth=2)
    axes.axvline(len(MEASURES) / 2, color="white", linewidth=2)
    measure_ticks(axes, left=named, below=below)
    return image


def _heat(axes: Axes, values: pd.DataFrame, *, signed: bool, numbers: bool = True) -> Collection:
    colours: dict[str, Any]
    colours = {"vmin": -0.3, "vmax": 0.3, "cmap": "RdBu_r"} if signed else {"vmin": 0, "vmax": 1, "cmap": "cividis"}
    annotated: dict[str, Any] = {"annot": written(values), "fmt": "", "annot_kws": {"size": 7}} if numbers else {}
    sns.heatmap(values, ax=axes, square=True, cbar=False, **colours, **annotated)
    return axes.collections[0]

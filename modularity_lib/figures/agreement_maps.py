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

from modularity_lib.claims import agreement_by_kind
from modularity_lib.comparison import compare_with_paper
from modularity_lib.experiments import REGULARISERS
from modularity_lib.figures.looks import LOOKS, STYLE, measure_ticks, repeats_the_paper
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
                image = _draw_map(axes, _square(rows, "here"), signed=minus_untrained, named=False, written=False)
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
            _heat(axes, values, signed=False, written=True)
            labels = list(_METRIC_LABELS.values())
            axes.set_xticks(np.arange(len(labels)) + 0.5, labels, rotation=90)
            axes.set_yticks(
                np.arange(len(labels)) + 0.5, labels if column == "here" else [""] * len(labels), rotation=0
            )
            axes.set(title=column, xlabel="", ylabel="")
        return figure


def chance_to_ceiling_table(
    results: Results, ceilings: pd.DataFrame | None, halves: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Agreement by kind of pair: mean of `chance`, `untrained`, `trained` and `ceiling` (see `ceiling.ceiling_table`).

    `ceiling, images` is the ceiling by `ceiling.halves_table`. The ceiling of a pair is the lower one of its two
    measures; NaN where there are no ceilings.
    """
    rows = []
    trained, untrained = (agreement_by_kind(results, trained=flag) for flag in (True, False))
    searches, images = (
        {} if table is None else table.groupby("measure")["element_centric"].mean().to_dict()
        for table in (ceilings, halves)
    )
    for kind in ("upstream", "downstream", "across"):
        ours = trained[trained["kind"] == kind]
        pairs = ours[["measure_a", "measure_b"]].drop_duplicates().to_numpy()
        values = {
            "chance": ours["element_centric_chance"].mean(),
            "untrained": untrained.loc[untrained["kind"] == kind, "element_centric"].mean(),
            "trained": ours["element_centric"].mean(),
            "ceiling": np.mean([min(searches.get(a, np.nan), searches.get(b, np.nan)) for a, b in pairs]),
            "ceiling, images": np.mean([min(images.get(a, np.nan), images.get(b, np.nan)) for a, b in pairs]),
        }
        rows += [{"kind": kind, "what": name, "element_centric": value} for name, value in values.items()]
    return pd.DataFrame(rows)


def chance_to_ceiling(table: pd.DataFrame) -> Figure:
    """`chance_to_ceiling_table` as points on a line for each kind of pair."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
        kinds = list(dict.fromkeys(table["kind"]))
        markers = {"chance": "|", "untrained": "o", "trained": "D", "ceiling": ">", "ceiling, images": "P"}
        for height, kind in enumerate(reversed(kinds)):
            values = table[table["kind"] == kind].set_index("what")["element_centric"]
            colour = LOOKS[kind].colour
            axes.plot([values["chance"], values.max()], [height, height], color=colour, linewidth=1, alpha=0.5)
            for what, marker in markers.items():
                face = "white" if what == "untrained" else colour
                axes.plot(
                    values[what],
                    height,
                    marker,
                    color=colour,
                    markerfacecolor=face,
                    markersize=12 if marker == "|" else 8,
                )
        for what, marker in markers.items():
            face = "white" if what == "untrained" else "black"
            axes.plot([], [], marker, color="black", markerfacecolor=face, linestyle="none", label=what)
        axes.set_yticks(range(len(kinds)), [LOOKS[kind].label for kind in reversed(kinds)])
        axes.set(xlabel="element-centric similarity (0 to 1)", xlim=(0, 1), ylim=(-0.6, len(kinds) - 0.4))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=5)
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
    axes: Axes, values: pd.DataFrame, *, signed: bool, named: bool, below: bool = False, written: bool = True
) -> Collection:
    image = _heat(axes, values, signed=signed, written=written)
    axes.tick_params(length=0)
    axes.axhline(len(MEASURES) / 2, color="white", linewidth=2)
    axes.axvline(len(MEASURES) / 2, color="white", linewidth=2)
    measure_ticks(axes, named=named)
    if not below:
        axes.set_xticklabels([])
    return image


def _heat(axes: Axes, values: pd.DataFrame, *, signed: bool, written: bool) -> Collection:
    text = values.map(lambda value: "" if pd.isna(value) else f"{value:.2f}".replace("0.", ".", 1))
    colours: dict[str, Any]
    colours = {"vmin": -0.3, "vmax": 0.3, "cmap": "RdBu_r"} if signed else {"vmin": 0, "vmax": 1, "cmap": "cividis"}
    annotated: dict[str, Any] = {"annot": text, "fmt": "", "annot_kws": {"size": 7}} if written else {}
    sns.heatmap(values, ax=axes, square=True, cbar=False, **colours, **annotated)
    return axes.collections[0]

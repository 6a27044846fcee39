"""Agreement of clusterings as maps: beside the published ones (P9, P11), by strength (P10), by metric (P12)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from modularity_lib.figures.plot import drawn_from
from modularity_lib.figures.style import COLOUR_BAR, LOOKS, NARROW, STYLE, WIDTH, written
from modularity_lib.findings.comparison import compare_with_paper, repeats_the_paper
from modularity_lib.findings.paper import published
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import FAMILY, MEASURE_LABELS, MEASURES, METRIC_LABELS, REGULARISERS, setting_text

_STRENGTHS_SHOWN = 4
_NETWORKS = {"trained": "trained", "untrained": "untrained", "minus": "trained minus untrained"}
_SOURCES = {"here": "here", "published": "published", "difference": "here minus published"}
_PAIR = ["measure_a", "measure_b"]
_AGREEMENT = ("element_centric", "element_centric_chance")
_SIMILARITY = "element-centric similarity"
_STYLE = {**STYLE, "axes.titlesize": 9, "xtick.labelsize": 8, "ytick.labelsize": 8}


@dataclass(frozen=True)
class _Scale:
    """What colours mean: values from `low` to `high`; signed ones around 0, of which `low` is minus `high`."""

    label: str
    low: float
    high: float
    chance: float | None = None  # marked on the colour bar

    def colours(self) -> dict[str, Any]:
        return {"vmin": self.low, "vmax": self.high, "cmap": "RdBu_r" if self.low < 0 else "cividis"}

    def bar(self, figure: Figure, image: Collection, axes: Any, **options: Any) -> None:
        """Draw the colour bar below some maps."""
        bar = figure.colorbar(image, ax=axes, label=self.label, **{**COLOUR_BAR, **options})
        if self.chance is not None:
            bar.ax.axvline(self.chance, color="white", linewidth=2)


def agreement_table(results: Results, *, layer: int | None = None, by_layer: bool = False) -> pd.DataFrame:
    """Mean element-centric similarity of every two measures, in trained and untrained networks.

    Args:
        layer: hidden layer, counted from 1; all of them by default.
        by_layer: each hidden layer by itself, with the column `layer`.
    Returns:
        `networks` ("trained", "untrained", "minus"), `measure_a`, `measure_b`, `here`, `chance` (of shuffled
        clusterings), `n_networks` (trained ones for "minus"); `published` and `difference` where the study is the
        paper's and all layers are taken together.
    Raises:
        ValueError: a layer and by_layer.
    """
    if by_layer:
        layers = range(1, len(results.study.hidden) + 1)
        return _of_layers(layers, lambda layer: agreement_table(results, layer=layer), instead_of=layer)
    parts = []
    for name, trained in (("trained", True), ("untrained", False)):
        rows = _of_two_measures(results, layer=layer, trained=trained)
        means = rows.groupby(_PAIR)[list(_AGREEMENT)].mean().set_axis(["here", "chance"], axis=1).reset_index()
        parts.append(means.assign(networks=name, n_networks=_n_networks(rows)))
    table = pd.concat(parts, ignore_index=True)
    if repeats_the_paper(results.study) and layer is None and len(parts[0]):
        paper = published("agreement").rename(columns={"element_centric": "published"})
        table = table.merge(paper.drop(columns="reading_error"), how="left")
    values = [column for column in ("here", "published") if column in table]
    wide = table.set_index(["networks", *_PAIR])[values]
    minus = (wide.loc["trained"] - wide.loc["untrained"]).reset_index()
    minus = minus.assign(networks="minus", n_networks=parts[0]["n_networks"].max())
    table = pd.concat([table, minus], ignore_index=True)
    if "published" in table:
        table["difference"] = table["here"] - table["published"]
    return table[["networks", *_PAIR, *(n for n in (*values, "difference") if n in table), "chance", "n_networks"]]


@drawn_from(agreement_table, style=_STYLE)
def agreement_maps(table: pd.DataFrame) -> Figure:
    """Agreement as maps: columns for trained networks, untrained ones, and trained minus untrained.

    A row for each hidden layer; or, of all layers, one for our values and, where there are published ones, one for
    these and one for the difference (P9, P11).
    """
    sources = [name for name in _SOURCES if name in table]
    if "layer" in table:
        shown = [("here", f"hidden layer {layer}", rows) for layer, rows in table.groupby("layer")]
    else:
        shown = [(source, _SOURCES[source], table) for source in sources]
    size = (WIDTH, 2.54 * len(shown) + 1.8 + 0.8 * (len(sources) > 1))  # room for one or two rows of colour bars
    figure, panels = plt.subplots(len(shown), len(_NETWORKS), figsize=size, squeeze=False, layout="constrained")
    scales = {networks: _scale_of(table, networks, sources) for networks in _NETWORKS}
    for row, (source, name, of_row) in zip(panels, shown, strict=True):
        for axes, networks in zip(row, _NETWORKS, strict=True):
            rows = of_row[of_row["networks"] == networks]
            scale = _difference(table) if source == "difference" else scales[networks]
            _draw_map(axes, _square(rows, source), scale=scale)
            counted = source == "here" and networks != "minus" and len(rows)
            n = f", n = {rows['n_networks'].max()}" if counted else ""
            axes.set_title(f"{_NETWORKS[networks]}{n}\n{name}")
    ours = panels[:2] if "difference" in table else panels
    for columns, networks, bar in ((ours[:, :2], "trained", {}), (ours[:, 2:], "minus", _narrow_bar())):
        scales[networks].bar(figure, columns[0, 0].collections[0], columns, **bar)
    if "difference" in table:
        _difference(table).bar(figure, panels[-1, 0].collections[0], panels[-1])
    _name_measures(panels)
    return figure


def agreement_by_strength_table(
    results: Results, *, layer: int | None = None, minus_untrained: bool = False, by_layer: bool = False
) -> pd.DataFrame:
    """Mean element-centric similarity by regulariser and strength: four strengths of each sweep, evenly spread.

    Where the study is the paper's, they are the four that the paper shows.

    Args:
        layer: hidden layer, counted from 1; all of them by default.
        minus_untrained: subtract the mean of the untrained networks.
        by_layer: the first and the last hidden layer each by itself, with the column `layer`.
    Returns:
        `networks` ("trained" or "minus"), `regulariser`, `strength`, `measure_a`, `measure_b`, `here`, `chance`;
        `n_clusterings`: how many pairs of clusterings are averaged; `n_networks`: networks of that strength with
        results; `published` and `difference` where the study is the paper's, of all layers and nothing is subtracted.
    Raises:
        ValueError: a layer and by_layer.
    """
    if by_layer:
        return _of_layers(
            sorted({1, len(results.study.hidden)}),
            lambda layer: agreement_by_strength_table(results, layer=layer, minus_untrained=minus_untrained),
            instead_of=layer,
        )
    all_layers = _of_two_measures(results, layer=None, trained=True)
    is_the_papers = repeats_the_paper(results.study)
    paper = published("agreement_by_strength").rename(columns={"element_centric": "published"})
    parts = []
    for regulariser in REGULARISERS:
        chosen = sweep(all_layers, results.study, regulariser)
        # Of all layers, so that the same strengths are shown of each.
        strengths = sorted(strength for strength in chosen["strength"].unique() if strength > 0)
        shown = [strengths[index] for index in _spread(len(strengths))]
        if is_the_papers:
            of_paper = paper.loc[paper["regulariser"] == regulariser, "strength"].unique()
            shown = [strength for strength in strengths if np.isclose(strength, of_paper, rtol=1e-4).any()]
        for strength in shown:
            of_strength = _of_layer(chosen[chosen["strength"] == strength], layer)
            by_pair = of_strength.groupby(_PAIR)[list(_AGREEMENT)]
            means = by_pair.mean().set_axis(["here", "chance"], axis=1).assign(n_clusterings=by_pair.size())
            parts.append(
                means.reset_index().assign(
                    regulariser=regulariser, strength=strength, n_networks=_n_networks(of_strength)
                )
            )
    table = pd.concat(parts, ignore_index=True)
    if minus_untrained:
        before = agreement_table(results, layer=layer).query("networks == 'untrained'")
        before = before[[*_PAIR, "here"]].rename(columns={"here": "untrained"})
        table = table.merge(before, how="left")
        table["here"] = table["here"] - table.pop("untrained")
    table = table.assign(networks="minus" if minus_untrained else "trained")
    columns = ["networks", "regulariser", "strength", *_PAIR, "here", "chance", "n_clusterings", "n_networks"]
    if is_the_papers and layer is None and not minus_untrained:
        names = ["regulariser", "strength", *_PAIR]
        theirs = paper.assign(strength=paper["strength"].round(9))[[*names, "published"]]
        table = table.assign(strength=table["strength"].round(9)).merge(theirs, on=names, how="left")
        table["difference"] = table["here"] - table["published"]
        columns += ["published", "difference"]
    return table[columns]


@drawn_from(agreement_by_strength_table, style=_STYLE)
def agreement_by_strength(table: pd.DataFrame) -> Figure:
    """Agreement by strength as maps: a row per regulariser, strengths from left to right (P10).

    Of a table by layer the first layer is below the diagonal of each map, the last one above it. Of a table with
    published values ours are below the diagonal, the published ones above it.
    """
    networks = table["networks"].iloc[0]
    halves = [rows for _, rows in table.groupby("layer")] if "layer" in table else [table]
    scale = _scale_of(table, networks, ["here", *(["published"] if "published" in table else [])])
    label = scale.label
    if "layer" in table:
        below, above = table["layer"].min(), table["layer"].max()
        label += f"\nbelow the diagonal: hidden layer {below}; above: hidden layer {above}"
    has_published = "published" in table
    if has_published:
        label += "\nbelow the diagonal: here; above: published"
    size = (WIDTH, 7.7)
    figure, panels = plt.subplots(len(REGULARISERS), _STRENGTHS_SHOWN, figsize=size, layout="constrained")
    for row, regulariser in zip(panels, REGULARISERS, strict=True):
        for axes in row:
            axes.axis("off")
        strengths = sorted(table.loc[table["regulariser"] == regulariser, "strength"].unique())
        for axes, strength in zip(row, strengths, strict=False):
            axes.axis("on")
            rows = [half[(half["regulariser"] == regulariser) & (half["strength"] == strength)] for half in halves]
            squares = [_square(of_half, "here") for of_half in rows]
            if has_published:
                squares.append(_square(rows[0], "published"))
            lower = np.tri(len(MEASURES), dtype=bool)
            _draw_map(axes, squares[0].where(lower, squares[-1]), scale=scale, numbers=False)
            n = pd.concat(rows)["n_networks"].max()
            axes.set_title(f"{setting_text(regulariser, strength)}\nn = {n} networks")
    drawn = next(axes.collections[0] for axes in panels.flat if axes.collections)
    replace(scale, label=label).bar(figure, drawn, panels)
    _name_measures(panels)
    return figure


def metric_table(results: Results) -> pd.DataFrame:
    """Mean |correlation| of every two metrics of agreement: here, and as published."""
    table = compare_with_paper(results, "metric_agreement")
    columns = ["metric_a", "metric_b", "here", "sem", "n", "paper", "difference"]
    table = table[columns].rename(columns={"paper": "published"})
    return table if repeats_the_paper(results.study) else table.drop(columns=["published", "difference"])


@drawn_from(metric_table, style=_STYLE)
def metric_agreement(table: pd.DataFrame) -> Figure:
    """Correlations of metrics as maps: ours and, where there are published values, these and the difference (P12)."""
    table = table.rename(columns={"metric_a": "measure_a", "metric_b": "measure_b"})
    sources = [name for name in _SOURCES if name in table]
    labels = list(METRIC_LABELS.values())
    correlation = _Scale("mean size of the correlation", 0, 1)
    size = (WIDTH, 3.9) if len(sources) > 1 else (NARROW, 5.2)
    figure, panels = plt.subplots(1, len(sources), figsize=size, squeeze=False, layout="constrained")
    for axes, source in zip(panels[0], sources, strict=True):
        scale = _difference(table) if source == "difference" else correlation
        _heat(axes, _square(table, source, names=list(METRIC_LABELS)), scale=scale)
        axes.set_title(_SOURCES[source])
        centres = np.arange(len(labels)) + 0.5
        axes.set_xticks(centres, labels, rotation=90)
        axes.set_yticks(centres, labels if axes is panels[0, 0] else [""] * len(labels), rotation=0)
    correlation.bar(figure, panels[0, 0].collections[0], panels[0, :2])
    if "difference" in table:
        last = panels[0, -1]
        _difference(table).bar(figure, last.collections[0], last, **_narrow_bar())
    return figure


def _of_two_measures(results: Results, *, layer: int | None, trained: bool) -> pd.DataFrame:
    """Rows of agreement of two different measures that enter the figures, of one layer or of all."""
    rows = results.analysed("agreement", trained=trained)
    return _of_layer(rows[rows["measure_a"] != rows["measure_b"]], layer)


def _of_layer(rows: pd.DataFrame, layer: int | None) -> pd.DataFrame:
    return rows if layer is None else rows[rows["layer"] == layer]


def _n_networks(rows: pd.DataFrame) -> int:
    return len(rows[["run", *REGULARISERS]].drop_duplicates())


def _of_layers(layers: Sequence[int], make: Callable[[int], pd.DataFrame], *, instead_of: int | None) -> pd.DataFrame:
    """A table made for each of some layers, with the column `layer` in front."""
    if instead_of is not None:
        raise ValueError(f"layer must be None where by_layer is True, got {instead_of}: leave one of the two out.")
    return pd.concat([pd.DataFrame({"layer": layer, **make(layer)}) for layer in layers], ignore_index=True)


def _spread(count: int) -> list[int]:
    """Indices of at most four of so many strengths, from the first to the last."""
    return sorted({round(index) for index in np.linspace(0, count - 1, min(count, _STRENGTHS_SHOWN))})


def _limit(values: pd.Series, *, step: float) -> float:
    """Smallest multiple of a step that no value exceeds in size: the end of a scale that cuts nothing off."""
    largest = values.abs().max()
    return step if np.isnan(largest) else step * max(1, np.ceil(round(largest / step, 6)))


def _scale_of(table: pd.DataFrame, networks: str, columns: Sequence[str]) -> _Scale:
    """Colours of trained or untrained networks, or of their difference in any of the columns of values."""
    is_minus = table["networks"] == "minus"
    columns = [name for name in columns if name != "difference"]
    if networks == "minus":
        limit = _limit(pd.Series(table.loc[is_minus, columns].to_numpy().ravel()), step=0.1)
        return _Scale("trained minus untrained", -limit, limit)
    shown, chance = table.loc[~is_minus, columns].to_numpy().ravel(), table.loc[~is_minus, "chance"].mean()
    low = float(np.floor(np.nanmin([chance, *shown]) / 0.05) * 0.05)
    label = f"{_SIMILARITY} (white line: chance, {chance:.2f})"
    return _Scale(label, low, _limit(pd.Series(shown), step=0.1), chance)


def _difference(table: pd.DataFrame) -> _Scale:
    limit = _limit(table["difference"], step=0.05)
    return _Scale("here minus published", -limit, limit)


def _square(rows: pd.DataFrame, column: str, *, names: Sequence[str] = MEASURES) -> pd.DataFrame:
    values = rows.set_index(_PAIR)[column].unstack()
    values = values.reindex(index=list(names), columns=list(names))
    return values.fillna(values.T)


def _narrow_bar() -> dict[str, Any]:
    """A colour bar under one column of maps, with few ticks; a locator belongs to one axis, so each has its own."""
    return {"shrink": 0.9, "aspect": 18, "ticks": MaxNLocator(4, steps=[1, 2, 5, 10])}


def _draw_map(axes: Axes, values: pd.DataFrame, *, scale: _Scale, numbers: bool = True) -> None:
    _heat(axes, values, scale=scale, numbers=numbers)
    axes.axhline(len(MEASURES) / 2, color="white", linewidth=2)
    axes.axvline(len(MEASURES) / 2, color="white", linewidth=2)


def _name_measures(panels: np.ndarray) -> None:
    """Name the measures beside the first panel of each row and below the last one of each column."""
    centres = np.arange(len(MEASURES)) + 0.5
    names = [MEASURE_LABELS[name].replace("(norm)", "(n)") for name in MEASURES]
    lowest = [[axes for axes in column if axes.collections][-1:] for column in panels.T]
    for row in panels:
        for axes in row:
            below, left = any(axes in found for found in lowest), axes is row[0]
            axes.set_xticks(centres, names if below else [""] * len(names), rotation=90)
            axes.set_yticks(centres, names if left else [""] * len(names), rotation=0)
            for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
                for tick, name in zip(ticks, MEASURES, strict=True):
                    tick.set_color(LOOKS[FAMILY[name]].colour)


def _heat(axes: Axes, values: pd.DataFrame, *, scale: _Scale, numbers: bool = True) -> None:
    """Squares with their values written in. Not by seaborn, which draws the whole figure once for every map in it."""
    squares = np.ma.masked_invalid(values.to_numpy(dtype=float))
    image = axes.pcolormesh(squares, **scale.colours())
    axes.set(aspect="equal", facecolor="#EEEEEE")  # where there is no value: not the white of a difference of 0
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if numbers:
        for (row, column), text in np.ndenumerate(written(values).to_numpy()):
            if text:
                colour = _readable_on(image, float(squares[row, column]))
                axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", size=7, color=colour)


def _readable_on(image: Collection, value: float) -> str:
    """Black or white, whichever has more contrast on the colour of a value (WCAG 2.1)."""
    channels = image.to_rgba(np.array([value]))[0, :3]
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    return "black" if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "white"

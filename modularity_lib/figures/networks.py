"""Accuracy and norms of the weights against regularisation."""

from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from modularity_lib.figures.plot import drawn_from
from modularity_lib.figures.style import (
    LOOKS,
    PAPER_LABEL,
    SIDE_BY_SIDE,
    UNTRAINED_COLOUR,
    WIDTH,
    legend_above,
    line,
    paper_handle,
    paper_points,
    untrained_band,
)
from modularity_lib.findings.comparison import compare_with_paper, repeats_the_paper
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import NETWORK_LABELS, REGULARISERS, Regulariser, strength_text


def performance_table(results: Results) -> pd.DataFrame:
    """A row per network and quantity: `source` "here" or "untrained"; and one per published mean over runs, "paper".

    As in the paper, networks of low accuracy are among them, which all other figures leave out.
    """
    networks = results.networks[results.networks["trained"] & (results.networks["status"] == "ok")]
    sweeps = pd.concat(sweep(networks, results.study, name).assign(regulariser=name) for name in REGULARISERS)
    names = ["regulariser", "strength", "run"]
    parts = [
        rows.melt(id_vars=names, value_vars=list(NETWORK_LABELS), var_name="quantity").assign(source=source)
        for source, rows in (
            ("here", sweeps),
            ("untrained", results.analysed("networks", trained=False).reindex(columns=[*names, *NETWORK_LABELS])),
        )
    ]
    if repeats_the_paper(results.study):
        paper = compare_with_paper(results, "performance_and_norms").rename(columns={"paper": "value"})
        parts.append(paper[["regulariser", "strength", "quantity", "value", "reading_error"]].assign(source="paper"))
    return pd.concat(parts, ignore_index=True).reindex(columns=[*names, "quantity", "value", "source", "reading_error"])


@drawn_from(performance_table)
def performance_and_norms(table: pd.DataFrame) -> Figure:
    """Accuracy and norms of the weights against each regulariser: lines per run, mean ± s.e.m., untrained band (P1)."""
    figure, panels = plt.subplots(
        len(NETWORK_LABELS), 3, figsize=(WIDTH, 10.6), sharey="row", sharex="col", layout="constrained"
    )
    for row, (quantity, label) in zip(panels, NETWORK_LABELS.items(), strict=True):
        ours, paper, untrained = (
            table[(table["source"] == source) & (table["quantity"] == quantity)]
            for source in ("here", "paper", "untrained")
        )
        for axes, regulariser in zip(row, REGULARISERS, strict=True):
            look = LOOKS[regulariser]
            untrained_band(axes, untrained["value"])
            # Norms differ so little between untrained networks that the band alone would be too thin to see.
            axes.axhline(untrained["value"].mean(), color=UNTRAINED_COLOUR, linewidth=1, zorder=0)
            curve = ours[ours["regulariser"] == regulariser]
            by_run = curve.pivot_table(index="strength", columns="run", values="value")
            positions = _strength_axis(axes, list(by_run.index), regulariser)
            x = list(positions.values())
            axes.plot(x, by_run.to_numpy(), color=look.colour, linewidth=0.7, alpha=0.5)
            axes.errorbar(x, by_run.mean(axis=1), by_run.sem(axis=1), **line(look))
            theirs = paper[(paper["regulariser"] == regulariser) & paper["strength"].isin(by_run.index)]
            x = [positions[strength] for strength in theirs["strength"]]
            paper_points(axes, x, theirs["value"], theirs["reading_error"], look)
        row[0].set_ylabel(label)
    for above, below, regulariser in zip(panels[0], panels[-1], REGULARISERS, strict=True):
        above.set_title(LOOKS[regulariser].label)
        below.set_xlabel({"l2": "L2 strength", "l1": "L1 strength", "dropout": "dropout"}[regulariser])
    _legend(figure, with_paper="paper" in set(table["source"]))
    return figure


def _legend(figure: Figure, *, with_paper: bool) -> None:
    """Say what lines, points and bands are; the markers are those of all three regularisers, the colours of none."""
    looks = [LOOKS[name] for name in REGULARISERS]
    dark: dict[str, Any] = {"color": "#333333", "linewidth": 1.6, "markersize": 5}
    entries: dict[str, Any] = {
        "one run": Line2D([], [], color="#333333", linewidth=0.7, alpha=0.5),
        "mean of the runs ± s.e.m.": tuple(Line2D([], [], marker=look.marker, **dark) for look in looks),
    }
    bands = [handle for handle in figure.axes[0].get_legend_handles_labels()[0] if isinstance(handle, Patch)]
    entries |= {str(handle.get_label()): handle for handle in bands}
    if with_paper:
        entries[PAPER_LABEL] = paper_handle()
    legend_above(figure, entries.values(), entries.keys(), handlelength=3, handler_map=SIDE_BY_SIDE)


def _strength_axis(axes: Axes, strengths: list[float], regulariser: Regulariser) -> dict[float, float]:
    """Put the strengths of a sweep on the x axis, evenly spaced for the penalties; return each strength's position."""
    if regulariser == "dropout":
        return {strength: strength for strength in strengths}
    axes.set_xticks(range(len(strengths)), map(strength_text, strengths), rotation=60)
    return {strength: float(index) for index, strength in enumerate(strengths)}

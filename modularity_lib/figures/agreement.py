"""Do two clusterings of the same units agree?"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from modularity_lib.claims import agreement_by_kind
from modularity_lib.figures.looks import LOOKS, STYLE, line, measure_ticks
from modularity_lib.results import Results, sweep
from modularity_lib.similarity import MEASURES


def agreement_matrices(results: Results) -> Figure:
    """Mean agreement of every two measures: trained networks, untrained networks, and shuffled clusterings."""
    trained, untrained = (results.analysed("agreement", trained=flag) for flag in (True, False))
    panels = {
        f"trained\n({_count(trained)} networks)": _square(trained, "element_centric"),
        f"untrained\n({_count(untrained)} networks)": _square(untrained, "element_centric"),
        "chance: trained,\nunits shuffled": _square(trained, "element_centric_chance"),
    }
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(10, 5.4), layout="constrained")
        for panel, (title, matrix) in zip(axes, panels.items(), strict=True):
            if title.startswith("chance"):
                matrix = matrix.mask(np.eye(len(matrix), dtype=bool))
            heatmap = {"vmin": 0, "vmax": 1, "cmap": "cividis", "square": True, "cbar": False}
            written = matrix.map(lambda value: f"{value:.2f}".removeprefix("0"))
            sns.heatmap(matrix, ax=panel, annot=written, fmt="", annot_kws={"size": 9}, **heatmap)
            panel.axhline(4, color="white", linewidth=2)
            panel.axvline(4, color="white", linewidth=2)
            panel.set_title(title)
            measure_ticks(panel, named=panel is axes[0])
        label = "element-centric similarity (0 to 1)"
        figure.colorbar(axes[0].collections[0], ax=axes, location="bottom", shrink=0.4, aspect=30, label=label)
        return figure


def agreement_against_dropout(results: Results) -> Figure:
    """Agreement within a family and across, against dropout; dashed: chance for the same clusterings."""
    rows = sweep(agreement_by_kind(results), results.study, "dropout")
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
        for kind in ("upstream", "downstream", "across"):
            look = LOOKS[kind]
            chosen = rows[rows["kind"] == kind]
            by_run = chosen.pivot_table(index="strength", columns="run", values="element_centric")
            chance = chosen.groupby("strength")["element_centric_chance"].mean()
            axes.errorbar(by_run.index, by_run.mean(axis=1), by_run.sem(axis=1), **line(look))
            axes.plot(chance.index, chance, color=look.colour, linestyle="--", linewidth=1)
        axes.plot([], [], color="black", linestyle="--", linewidth=1, label="chance (units shuffled)")
        axes.set(xlabel="dropout", ylabel="element-centric similarity (0 to 1)", ylim=(0, 1))
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
        return figure


def _square(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    means = rows.groupby(["measure_a", "measure_b"])[column].mean().unstack()
    means = means.reindex(index=MEASURES, columns=MEASURES)
    return means.fillna(means.T)


def _count(rows: pd.DataFrame) -> int:
    return len(rows[["run", "l2", "l1", "dropout"]].drop_duplicates())

"""Agreement of clusterings by kind of pair: against dropout, and from chance to what can be reached at most."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from modularity_lib.claims import KINDS, agreement_by_kind
from modularity_lib.figures.looks import LOOKS, STYLE, line
from modularity_lib.results import Results, sweep


def agreement_against_dropout(results: Results) -> Figure:
    """Agreement within a family and across, against dropout; dashed: chance for the same clusterings."""
    rows = sweep(agreement_by_kind(results), results.study, "dropout")
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
        for kind in KINDS:
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
    for kind in KINDS:
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

"""Accuracy and norms of the weights against regularisation."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modularity_lib.experiments import REGULARISERS
from modularity_lib.figures.looks import LOOKS, STYLE, line, untrained_band
from modularity_lib.results import Results, sweep

QUANTITIES = {
    "test_accuracy": "test accuracy",
    "train_accuracy": "train accuracy",
    "sum_abs_weights": "sum of |w|",
    "sum_squared_weights": "sum of w²",
    "sparsity": "share of |w| < 0.001",
    "nuclear_norm": "nuclear norm",
}


def performance_and_norms(results: Results) -> Figure:
    """Accuracy and norms of the weights against each regulariser: lines per run, mean, untrained band."""
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(
            len(QUANTITIES), 3, figsize=(8, 10.5), sharey="row", sharex="col", layout="constrained"
        )
        networks = results.analysed("networks", trained=True)
        untrained = results.analysed("networks", trained=False)
        for row, (quantity, label) in zip(panels, QUANTITIES.items(), strict=True):
            for axes, regulariser in zip(row, REGULARISERS, strict=True):
                rows = sweep(networks, results.study, regulariser)
                untrained_band(axes, untrained[quantity])
                positions = _strength_axis(axes, results, regulariser, label=row is panels[-1])
                by_run = rows.pivot_table(index="strength", columns="run", values=quantity)
                look = LOOKS[regulariser]
                x = [positions[strength] for strength in by_run.index]
                axes.plot(x, by_run.to_numpy(), color=look.colour, linewidth=0.7, alpha=0.5)
                axes.errorbar(x, by_run.mean(axis=1), by_run.sem(axis=1), **line(look))
            row[0].set_ylabel(label)
        for axes, regulariser in zip(panels[0], REGULARISERS, strict=True):
            axes.set_title(LOOKS[regulariser].label)
        return figure


def _strength_axis(axes: Axes, results: Results, regulariser: str, *, label: bool) -> dict[float, float]:
    """Put the strengths of a sweep on the x axis, evenly spaced for the penalties; return each strength's position."""
    strengths = results.study.strengths(regulariser)
    if regulariser == "dropout":
        positions = {strength: strength for strength in strengths}
    else:
        positions = {strength: float(index) for index, strength in enumerate(strengths)}
        axes.set_xticks(
            list(positions.values()),
            [f"{strength:.0e}".replace("e-0", "e-") if strength else "0" for strength in strengths],
            rotation=45,
        )
    if label:
        axes.set_xlabel({"l2": "L2 strength", "l1": "L1 strength", "dropout": "dropout"}[regulariser])
    return positions

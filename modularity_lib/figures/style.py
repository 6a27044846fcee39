"""How things look in every figure: a colour, a marker and a name mean the same on every page.

A page shows a figure `PAGE` pixels wide, and one of several panels is `WIDTH` inches wide: 9 points are 12 pixels.
Phones show it 600 pixels wide and scroll it (book.css), so what one needs to read it stands above it at the left.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D

from modularity_lib.vocabulary import FAMILY, LABELS, MEASURE_LABELS, MEASURES, REGULARISERS, is_normalised, quantity_of


@dataclass(frozen=True)
class Look:
    """How a regulariser, or a kind of pair of measures, is drawn and named."""

    label: str
    colour: str
    marker: str


# Colours that stay apart for every common kind of colour blindness (after Okabe & Ito), each with its own marker too.
LOOKS = {
    "l2": Look(LABELS["l2"], "#0072B2", "o"),
    "l1": Look(LABELS["l1"], "#E69F00", "s"),
    "dropout": Look(LABELS["dropout"], "#009E73", "^"),
    "upstream": Look(LABELS["upstream"], "#CC3377", "o"),
    "downstream": Look(LABELS["downstream"], "#5D3A9B", "s"),
    "across": Look(LABELS["across"], "#555555", "D"),
}
UNTRAINED_COLOUR = "#999999"
PAPER_LABEL = "paper ± reading error"
UNTRAINED_LABEL = "untrained ± 1, 2, 3 s.d."

WIDTH = 7.2  # inches, of a figure with several panels
NARROW = 5.4  # of one with a single panel, which phones show whole
PAGE = 688  # pixels: how wide a page shows a figure
SMALLEST_TEXT = 9  # pixels at that width
_DOTS_PER_INCH = 192  # two dots for each pixel, as screens have them
PHONE = 0.54  # of a wide figure is what a phone shows before it is scrolled

STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 9,
    "legend.title_fontsize": 9,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.handletextpad": 0.6,
    "legend.columnspacing": 1.2,
    "figure.labelsize": 9,
    "figure.dpi": _DOTS_PER_INCH,
    "savefig.dpi": _DOTS_PER_INCH,
}

# Below the panels at the left, as a legend above them: a phone shows it before it scrolls.
COLOUR_BAR: dict[str, Any] = {"location": "bottom", "shrink": 0.5, "aspect": 30, "pad": 0.02, "anchor": (0.0, 1.0)}


def line(look: Look) -> dict[str, Any]:
    """Arguments of `Axes.errorbar` for a curve."""
    return {
        "color": look.colour,
        "marker": look.marker,
        "markersize": 4,
        "linewidth": 1.6,
        "capsize": 2,
        "label": look.label,
    }


def untrained_band(axes: Axes, values: pd.Series) -> None:
    """`band` of the values of untrained networks."""
    band(axes, values.mean(), values.std())


def band(axes: Axes, mean: float, deviation: float) -> None:
    """Grey bands of the untrained networks: mean ± 1, 2 and 3 standard deviations."""
    for width, alpha in ((3, 0.15), (2, 0.2), (1, 0.3)):
        label = UNTRAINED_LABEL if width == 1 else None
        axes.axhspan(
            mean - width * deviation,
            mean + width * deviation,
            color=UNTRAINED_COLOUR,
            alpha=alpha,
            linewidth=0,
            label=label,
        )


def legend_above(figure: Figure, handles: Iterable[Any], labels: Iterable[str], **options: Any) -> Legend:
    """Put a legend above the panels at the left, in as many columns as a phone shows at once."""
    entries = {"handles": list(handles), "labels": list(labels), "loc": "outside upper left", **options}
    room = figure.bbox.width * (PHONE if figure.get_figwidth() > NARROW else 1.0)
    for columns in range(len(entries["labels"]), 1, -1):
        legend = figure.legend(**entries, ncols=columns)
        if legend.get_window_extent().width <= room:
            return legend
        legend.remove()
    return figure.legend(**entries, ncols=1)


def measure_title(measure: str, more: str = "") -> str:
    """The name of a measure above a narrow panel, "(norm)" and what else stands there in a second line."""
    second = ", ".join(filter(None, ["(norm)" if is_normalised(measure) else "", more]))
    return "\n".join(filter(None, [MEASURE_LABELS[quantity_of(measure)], second]))


def measure_ticks(axes: Axes, *, left: bool, below: bool = True) -> None:
    """Name the measures beside and below a map of them, in the colours of their families."""
    centres = np.arange(len(MEASURES)) + 0.5
    axes.set_xticks(centres, [MEASURE_LABELS[name] if below else "" for name in MEASURES], rotation=90)
    axes.set_yticks(centres, [MEASURE_LABELS[name] if left else "" for name in MEASURES], rotation=0)
    axes.set(xlabel="", ylabel="")
    axes.tick_params(length=0)
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        for tick, name in zip(ticks, MEASURES, strict=True):
            tick.set_color(LOOKS[FAMILY[name]].colour)


def written(values: pd.DataFrame) -> pd.DataFrame:
    """Numbers from -1 to 1 as they are written into the squares of a map; nothing where there is none."""
    return values.map(lambda value: "" if np.isnan(value) else _short(value))


def _short(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("0.", ".")  # + 0.0: no minus before a zero


def paper_points(axes: Axes, x: Sequence[float], values: pd.Series, errors: pd.Series, look: Look) -> None:
    """Published values: hollow markers, larger than ours and around them, with their reading error."""
    axes.errorbar(
        x,
        values,
        errors,
        linestyle="none",
        marker=look.marker,
        markersize=7,
        markerfacecolor="none",
        markeredgecolor="black",
        markeredgewidth=0.8,
        ecolor="black",
        elinewidth=0.8,
        zorder=3,
    )


def paper_handle() -> tuple[Line2D, ...]:
    """Entry of the legend for `paper_points`: the hollow shape of each regulariser. Its label is `PAPER_LABEL`."""
    hollow: dict[str, Any] = {"linestyle": "none", "markersize": 7, "markerfacecolor": "none", "color": "black"}
    return tuple(Line2D([], [], marker=LOOKS[name].marker, **hollow) for name in REGULARISERS)


# How a legend draws an entry of several shapes: side by side.
SIDE_BY_SIDE = {tuple: HandlerTuple(ndivide=None, pad=0.4)}

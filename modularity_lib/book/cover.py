"""The picture that links to the book show: `modularity readme` writes `_static/cover.png`."""

import hashlib
from pathlib import Path

import matplotlib.pyplot as plt

from modularity_lib.figures.modularity import modularity_of_measure
from modularity_lib.paths import checkout
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import Measure

COVER = checkout() / "_static" / "cover.png"
TITLE = "Do hidden units form modules?"
MEASURE: Measure = "input_gradient"
_DOTS_PER_INCH = 100
_SIZE = (12.0, 6.3)  # inches: 1200 x 630 pixels, the size that sites expect for the picture of a link


def draw_cover(results: Results, file: Path) -> None:
    """Write the cover as a PNG file of 1200 x 630 pixels, with `cover_source` in its text field "Source"."""
    with plt.rc_context({"font.size": 16}):
        figure = modularity_of_measure(results, MEASURE)
        figure.set_size_inches(*_SIZE)
        [axes], [legend] = figure.axes, figure.legends
        names = [text.get_text() for text in legend.get_texts()]
        handles = [handle for handle in legend.legend_handles if handle is not None]
        axes.legend(handles, names, loc="upper left", fontsize=13, frameon=False)
        legend.remove()
        axes.set_title(TITLE, fontsize=30, fontweight="bold", pad=12)
        axes.tick_params(labelsize=14)
        axes.xaxis.label.set_fontsize(16)
        axes.yaxis.label.set_fontsize(16)
        figure.savefig(file, dpi=_DOTS_PER_INCH, metadata={"Source": cover_source(results), "Software": None})
        plt.close(figure)


def cover_source(results: Results) -> str:
    """Digest of the numbers that the cover shows."""
    shown = modularity_of_measure.table(results, MEASURE).to_csv(index=False, float_format="%.6g")
    return hashlib.sha256(shown.encode()).hexdigest()

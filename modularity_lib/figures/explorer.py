"""What the explorers show, as still pictures."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from modularity_lib.clustering.pictures import SHARE, draw_matrix
from modularity_lib.figures.style import COLOUR_BAR, LOOKS, STYLE, WIDTH
from modularity_lib.vocabulary import FAMILY, MEASURE_LABELS, Measure

_PER_ROW = 2  # modules beside each other


def modules_looked_at(
    matrix: np.ndarray,
    orders: Sequence[tuple[str, np.ndarray, float | None]],
    digits: Sequence[np.ndarray],
    weights: Sequence[np.ndarray],
    *,
    measure: Measure,
    weights_label: str,
) -> Figure:
    """A similarity matrix under the modules of two measures, and below it what the modules of the last respond to.

    Args:
        matrix: (units, units), of `measure`.
        orders: measure, labels of the units and Q of the matrix under them: one panel each.
        digits: per module of the last order the digits that excite it most, (digits, 784).
        weights: per module its mean weight on each pixel, (784,).
        measure: that the matrix is of.
        weights_label: what the last picture of each module is.
    """
    rows = max(1, -(-len(digits) // _PER_ROW))
    columns = max((len(images) for images in digits), default=0) + 1
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(WIDTH, 4.0 + 1.0 * rows), layout="constrained")
        above, below = figure.subfigures(2, 1, height_ratios=[4.0, 1.0 * rows], squeeze=False)[:, 0]
        panels = above.subplots(1, len(orders), squeeze=False)[0]
        for axes, (order, labels, score) in zip(panels, orders, strict=True):
            image = _draw(axes, matrix, labels)
            reached = "no modules" if score is None else f"Q = {score:.3f}"
            axes.set_title(f"sorted by\n{MEASURE_LABELS[order]}\n{reached}", color=LOOKS[FAMILY[order]].colour)
            axes.set_xlabel("unit, sorted by module")
        panels[0].set_ylabel(f"{MEASURE_LABELS[measure]}\nunit, sorted by module")
        above.colorbar(image, ax=panels, label=SHARE, **COLOUR_BAR)
        grid = below.subplots(rows, _PER_ROW * columns, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for module, (images, weight) in enumerate(zip(digits, weights, strict=True)):
            row, first = module // _PER_ROW, module % _PER_ROW * columns
            grid[row, first].set_title(f"module {module}", loc="left")
            for axes, pixels in zip(grid[row, first:], images, strict=False):
                axes.imshow(pixels.reshape(28, 28), cmap="gray", vmin=0, vmax=1)
            largest = float(np.abs(weight).max()) or 1.0
            picture = grid[row, first + columns - 1]
            picture.imshow(weight.reshape(28, 28), cmap="RdBu_r", vmin=-largest, vmax=largest)
            picture.set_title(f"±{largest:.2g}", fontsize=8)
        below.supxlabel(f"the digits that excite each module most; right of them its {weights_label}")
        return figure


def both_sides_looked_at(
    matrices: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    scores: Sequence[tuple[float, float]],
    measures: Sequence[Measure],
) -> Figure:
    """Two similarity matrices of one layer: above sorted by the modules of each, below by those of the other.

    Args:
        matrices: (units, units), of each of the two measures.
        labels: modules found in each, (units,).
        scores: Q of each matrix under its own modules and under the other's.
        measures: what the matrices are of.
    """
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(6.4, 6.2), layout="constrained")
        panels = figure.subplots(2, 2)
        for place, measure in enumerate(measures):
            for row, sorting, name in ((0, place, "its own"), (1, 1 - place, "the other's")):
                axes = panels[row, place]
                image = _draw(axes, matrices[place], labels[sorting])
                title = f"by {name} modules: Q = {scores[place][row]:.3f}"
                axes.set_title(f"{MEASURE_LABELS[measure]}\n{title}", color=LOOKS[FAMILY[measure]].colour)
        figure.colorbar(image, ax=panels, shrink=0.6, label=SHARE)
        return figure


def _draw(axes: Axes, matrix: np.ndarray, labels: np.ndarray) -> AxesImage:
    """A matrix in the colours of the page: by the square root, since most similarities are small."""
    image = draw_matrix(axes, matrix, labels)
    image.set_norm(PowerNorm(0.5, vmin=0, vmax=1))
    return image

"""Pictures of an analysis: for a page, without matplotlib, and as a figure of matplotlib."""

import base64
import struct
import zlib
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from modularity_lib.analysis.records import LayerModules
from modularity_lib.clustering.pictures import SHARE, draw_matrix, in_order_of_modules, is_signed, shares_of_largest
from modularity_lib.vocabulary import MEASURE_LABELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LARGEST = 512  # units that a picture shows one by one; of a larger layer a pixel is the mean of several
# Colours from the lowest to the highest value, evenly spaced: those of matplotlib's magma and RdBu.
_FROM_ZERO = "000004 180f3d 440f76 721f81 9e2f7f cd4071 f1605d fd9668 feca8d fcfdbf"
_AROUND_ZERO = "2166ac 67a9cf d1e5f0 f7f7f7 fddbc7 ef8a62 b2182b"


def matrix_svg(similarity: np.ndarray, labels: np.ndarray, *, name: str, description: str) -> str:
    """The matrix in the order of the modules, with a frame around each, as an element of a page.

    Args:
        similarity: S, shape (units, units).
        labels: module of each unit, -1 = dead.
        name: of the picture, for its id.
        description: what it shows, for whoever does not see it.
    """
    order = in_order_of_modules(labels)
    shown = shares_of_largest(similarity)[np.ix_(order, order)]
    units = len(order)
    with_sign = is_signed(shown)
    shown = _block_means(shown, -(-units // _LARGEST))
    levels = np.clip(np.rint((shown + 1) * 127.5 if with_sign else shown * 255), 0, 255).astype(np.uint8)
    picture = base64.b64encode(png(levels, palette(_AROUND_ZERO if with_sign else _FROM_ZERO))).decode()
    sizes = np.bincount(labels[labels >= 0])
    starts = np.cumsum(sizes) - sizes
    frames = "".join(
        f'<rect x="{start}" y="{start}" width="{size}" height="{size}"/>'
        for start, size in zip(starts, sizes, strict=True)
    )
    return (
        f'<svg class="matrix{" signed" if with_sign else ""}" viewBox="0 0 {units} {units}" role="img" '
        f'aria-labelledby="{escape(name)}-title"><title id="{escape(name)}-title">{escape(description)}</title>'
        f'<image width="{units}" height="{units}" preserveAspectRatio="none" href="data:image/png;base64,{picture}"/>'
        f'<g class="frames">{frames}</g></svg>'
    )


def null_svg(score: float, null_scores: np.ndarray, *, name: str, description: str) -> str:
    """Where Q lies beside the Q of each draw of a null: a histogram of the draws, and a line at Q."""
    lowest, highest = min(score, null_scores.min()), max(score, null_scores.max())
    margin = 0.06 * (highest - lowest) or 0.01
    lowest, highest = lowest - margin, highest + margin
    width, height, base = 320, 110, 88
    counts, edges = np.histogram(null_scores, bins=40, range=(lowest, highest))

    def across(value: float) -> float:
        return round(float(width * (value - lowest) / (highest - lowest)), 2)

    bars = "".join(
        f'<rect x="{across(left)}" width="{max(across(right) - across(left) - 0.5, 0.5):.2f}" '
        f'y="{base - 70 * count / counts.max():.2f}" height="{70 * count / counts.max():.2f}"/>'
        for count, left, right in zip(counts, edges[:-1], edges[1:], strict=True)
        if count
    )
    x = across(score)
    anchor = "end" if x > width / 2 else "start"
    return (
        f'<svg class="null" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{escape(name)}-title">'
        f'<title id="{escape(name)}-title">{escape(description)}</title><g class="draws">{bars}</g>'
        f'<line class="axis" x1="0" x2="{width}" y1="{base}" y2="{base}"/>'
        f'<line class="score" x1="{x}" x2="{x}" y1="4" y2="{base}"/>'
        f'<text class="score" x="{x + (-5 if anchor == "end" else 5)}" y="13" text-anchor="{anchor}">'
        f"Q = {score:.3f}</text>"
        f'<text x="0" y="{height - 6}">{lowest:.3f}</text>'
        f'<text x="{width}" y="{height - 6}" text-anchor="end">{highest:.3f}</text></svg>'
    )


def scale_svg(*, is_signed: bool) -> str:
    """The colours of a matrix, from 0, or from -1, to 1."""
    levels = np.arange(256, dtype=np.uint8)[np.newaxis]
    picture = base64.b64encode(png(levels, palette(_AROUND_ZERO if is_signed else _FROM_ZERO))).decode()
    return f'<img class="scale" alt="" src="data:image/png;base64,{picture}">'


def palette(anchors: str) -> np.ndarray:
    """256 colours, shape (256, 3), uint8, between evenly spaced ones that are given as hexadecimal numbers."""
    fixed = np.array([list(bytes.fromhex(anchor)) for anchor in anchors.split()], dtype=float)
    places = np.linspace(0, len(fixed) - 1, 256)
    colours = [np.interp(places, np.arange(len(fixed)), channel) for channel in fixed.T]
    return np.rint(np.stack(colours, axis=1)).astype(np.uint8)


def png(levels: np.ndarray, colours: np.ndarray) -> bytes:
    """A picture in the format PNG, of numbers of colours.

    Args:
        levels: number of the colour of each pixel, shape (rows, columns), uint8.
        colours: shape (256, 3), uint8.
    Source: W3C, Portable Network Graphics (PNG) Specification.
    """

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows, columns = levels.shape
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)  # 8 bits for each pixel, of a palette
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), levels], axis=1)  # 0: no filter
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"PLTE", colours.tobytes())
        + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
        + chunk(b"IEND", b"")
    )


def _block_means(matrix: np.ndarray, side: int) -> np.ndarray:
    """Means over squares of so many units; those at the lower and the right border may be smaller."""
    if side == 1:
        return matrix
    starts = np.arange(0, len(matrix), side)
    sums = np.add.reduceat(np.add.reduceat(matrix, starts, axis=0), starts, axis=1)
    sizes = np.diff([*starts, len(matrix)])
    return sums / np.outer(sizes, sizes)


def figure_of(results: Sequence[LayerModules]) -> "Figure":
    """All matrices of an analysis: a row for each layer, a column for each measure."""
    import matplotlib.pyplot as plt

    by_place = {(result.layer, result.measure): result for result in results}
    layers, measures = (list(dict.fromkeys(names)) for names in zip(*by_place, strict=True))
    figure, panels = plt.subplots(
        len(layers),
        len(measures),
        figsize=(1.2 + 2.3 * len(measures), 0.8 + 2.5 * len(layers)),
        layout="constrained",
        squeeze=False,
    )
    for row, layer in zip(panels, layers, strict=True):
        row[0].set_ylabel(layer)
        for axes, measure in zip(row, measures, strict=True):
            result = by_place[layer, measure]
            image = draw_matrix(axes, result.similarity, result.modules.labels)
            quality = f"Q = {result.modules.score:.3f}" if result.modules.status == "ok" else "all units dead"
            axes.set_title(f"{MEASURE_LABELS[measure]}\n{quality}", fontsize=9)
    figure.colorbar(image, ax=panels, shrink=0.7, label=SHARE)
    return figure

"""Pictures of modules: a similarity matrix in their order. For axes of matplotlib, which is not imported here."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

SHARE = "similarity, share of the largest"  # what the colours of a matrix are
_NAMED_ONE_BY_ONE = 40  # units; names of more could not be read
_LEAST_SHARE = 0.03  # of the units, for a module to have its number beside the matrix: numbers must not overlap
_LONGEST_NAME = 24  # characters


def in_order_of_modules(labels: np.ndarray) -> np.ndarray:
    """Places of the units sorted by their modules, dead ones last."""
    return np.argsort(np.where(labels < 0, np.iinfo(int).max, labels), kind="stable")


def shares_of_largest(similarity: np.ndarray) -> np.ndarray:
    """S without its diagonal, which the search ignores, as shares of the largest absolute value: in [-1, 1].

    >>> shares_of_largest(np.array([[9.0, 2.0], [2.0, 0.0]]))
    array([[0., 1.],
           [1., 0.]])
    """
    off_diagonal = np.where(np.eye(len(similarity), dtype=bool), 0.0, similarity)
    largest = np.abs(off_diagonal).max(initial=0.0)
    return off_diagonal / largest if largest > 0 else off_diagonal


def is_signed(shares: np.ndarray) -> bool:
    """Whether a matrix is drawn in colours around 0, and not from 0."""
    return bool((shares < 0.0).any())


def draw_matrix(axes: "Axes", matrix: np.ndarray, labels: np.ndarray | None) -> "AxesImage":
    """One similarity matrix, sorted by the modules of its units if there are any, with lines between modules."""
    shown = shares_of_largest(matrix)
    with_sign = is_signed(shown)
    looks: dict[str, Any] = {"vmin": -1, "cmap": "RdBu_r"} if with_sign else {"vmin": 0, "cmap": "magma"}
    if labels is not None:
        order = in_order_of_modules(labels)
        shown = shown[np.ix_(order, order)]
        for border in np.flatnonzero(np.diff(labels[order])) + 0.5:
            axes.axhline(border, color="#777777" if with_sign else "white", linewidth=0.8)
            axes.axvline(border, color="#777777" if with_sign else "white", linewidth=0.8)
    axes.set_xticks([])
    axes.set_yticks([])
    return axes.imshow(shown, vmax=1, interpolation="nearest", **looks)


def draw_modules(axes: "Axes", matrix: np.ndarray, labels: np.ndarray, names: Sequence[Any] | None) -> "AxesImage":
    """`draw_matrix` with the numbers of the modules and, of a few units, their names beside it."""
    image = draw_matrix(axes, matrix, labels)
    order = in_order_of_modules(labels)
    modules = [module for module in dict.fromkeys(labels[order]) if (labels == module).mean() >= _LEAST_SHARE]
    centres = [float(np.flatnonzero(labels[order] == module).mean()) for module in modules]
    axes.set_xticks(centres, ["dead" if module < 0 else f"{module}" for module in modules])
    axes.set_xlabel("module")
    if len(labels) <= _NAMED_ONE_BY_ONE:
        written = [f"{unit}" if names is None else _short(names[unit]) for unit in order]
        axes.set_yticks(range(len(order)), written, fontsize="small" if len(order) <= _NAMED_ONE_BY_ONE / 2 else 6)
    axes.set_ylabel("unit, in the order of the modules")
    return image


def _short(name: object) -> str:
    text = f"{name}".replace("$", r"\$")  # which would begin a formula
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"

"""A figure and the table that it shows, as one object."""

import inspect
from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any, Generic, ParamSpec

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from modularity_lib.figures.style import STYLE

P = ParamSpec("P")


class Plot(Generic[P]):
    """A figure, called with what its table is made of.

    table: makes what is shown, a row per point, bar or square.
    draw: draws that table and needs nothing else, so that the CSV file below a figure gives the same picture.
    """

    def __init__(
        self, table: Callable[P, pd.DataFrame], draw: Callable[[pd.DataFrame], Figure], style: Mapping[Any, Any]
    ) -> None:
        update_wrapper(self, draw)
        self.__signature__ = inspect.signature(table)
        self.table, self._draw, self._style = table, draw, dict(style)

    def draw(self, table: pd.DataFrame) -> Figure:
        """The figure of such a table."""
        with plt.rc_context(self._style):
            return self._draw(table)

    def __call__(self, *inputs: P.args, **options: P.kwargs) -> Figure:
        """The figure of the table that is made of these arguments."""
        return self.draw(self.table(*inputs, **options))


def drawn_from(
    table: Callable[P, pd.DataFrame], *, style: Mapping[Any, Any] = STYLE
) -> Callable[[Callable[[pd.DataFrame], Figure]], Plot[P]]:
    """Decorator that makes a drawing function the `Plot` of what `table` gives."""
    return lambda draw: Plot(table, draw, style)


def as_given(table: pd.DataFrame) -> pd.DataFrame:
    """The table of a figure whose table is made elsewhere."""
    return table

"""What the words of all chapters share: effects, names, lists and tables as text."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from modularity_lib.findings.inference import Effect


def markdown(heads: Sequence[str], rows: Iterable[Iterable[object]], *, right: Sequence[str] = ()) -> str:
    """Markdown table. A | within a cell would end it, so it becomes a /.

    Args:
        heads: names of the columns.
        rows: cells, one for each column.
        right: columns that are aligned to the right.

    >>> print(markdown(["layer", "Q"], [[1, "0.3"], [2, "–"]]))
    | layer | Q |
    |---|---|
    | 1 | 0.3 |
    | 2 | – |
    """
    rule = "|".join("---:" if head in right else "---" for head in heads)
    cells = ([str(cell).replace("|", "/") for cell in row] for row in (heads, *rows))
    first, *others = (f"| {' | '.join(line)} |" for line in cells)
    return "\n".join([first, f"|{rule}|", *others])


def markdown_of(rows: pd.DataFrame | Iterable[Mapping[Any, Any]], cells: Mapping[str, str]) -> str:
    """Markdown table with a line for each row: {name of the column: format of its cells}.

    >>> print(markdown_of([{"layer": 1, "q": 0.3}], {"layer": "{layer}", "Q": "{q:.2f}"}))
    | layer | Q |
    |---|---|
    | 1 | 0.30 |
    """
    records = rows.to_dict("records") if isinstance(rows, pd.DataFrame) else rows
    return markdown(list(cells), ([cell.format_map(row) for cell in cells.values()] for row in records))


def effect_text(effect: Effect | None, *, sign: str = "", digits: int = 3) -> str:
    """Mean and 95 % interval, or the extremes over runs where there is none; "–" without an effect."""
    if effect is None:
        return "–"
    return f"{effect.mean:{sign}.{digits}f}" + (
        interval_text(effect, before=" ", digits=digits)
        or f" ({effect.smallest:.{digits}f} to {effect.largest:.{digits}f})"
    )


def interval_text(effect: Effect, *, before: str, digits: int = 3) -> str:
    """The 95 % interval in brackets, with these words before it; empty without an interval."""
    return "" if effect.low is None else f"{before}[{effect.low:.{digits}f}, {effect.high:.{digits}f}]"


def percent(share: float, *, digits: int = 0, sign: str = "") -> str:
    """A share in percent.

    >>> percent(0.44), percent(0.0663, digits=1, sign="+"), percent(-0.001)
    ('44 %', '+6.6 %', '0 %')
    """
    rounded = round(share, digits + 2) + 0.0  # which turns -0.0 into 0.0
    return f"{rounded:{sign}.{digits}%}".replace("%", " %")


def listed(parts: Iterable[object]) -> str:
    """Join parts for a sentence.

    >>> listed([64, 32, 16]), listed(["one"])
    ('64, 32 and 16', 'one')
    """
    *first, last = map(str, parts)
    return f"{', '.join(first)} and {last}" if first else last


def capitalised(text: str) -> str:
    """Capitalise the first letter; the others stay as they are, unlike with `str.capitalize`."""
    return text[0].upper() + text[1:]


def first_sentence(text: str) -> str:
    """The first sentence of a text.

    >>> first_sentence("Yes, by 0.16. That is much.")
    'Yes, by 0.16.'
    """
    return re.split(r"(?<=[.!?]) (?=[A-Z])", text)[0]


def span(values: Iterable[float], write: Callable[[float], str]) -> str:
    """The smallest and the largest of some numbers, as they are written, and once where they look alike.

    >>> span([0.3, 0.1, 0.2], "{:.1f}".format), span([0.10, 0.11], "{:.1f}".format)
    ('0.1 to 0.3', '0.1')
    """
    known = list(values)
    return " to ".join(dict.fromkeys(map(write, (min(known), max(known)))))

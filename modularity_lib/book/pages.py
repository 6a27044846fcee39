"""What a chapter puts on its page: facts of a study, and figures with their data and the code that remakes them."""

import base64
import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import HTML, Image, Markdown
from matplotlib.figure import Figure
from myst_nb import glue

from modularity_lib.book.origin import Call, call_of, code_of, facts_of, made, studies_of
from modularity_lib.book.parameters import checked_parameters, parameters_of
from modularity_lib.book.words.study import study_texts
from modularity_lib.figures.plot import Plot
from modularity_lib.figures.png import png_of
from modularity_lib.findings.catalogue import finding_table
from modularity_lib.findings.tables import FindingNotAtHand
from modularity_lib.paths import checkout
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.results import Results, StudyIncomplete

__all__ = [
    "at_hand",
    "check_parameters",
    "fold_out",
    "glue_table",
    "made",
    "show",
    "show_drawn",
    "tell",
    "tell_study",
    "where_computed",
]


def check_parameters(chapter: str, values: Mapping[str, Any]) -> None:
    """Raise ValueError unless the parameters of a chapter are what it takes, whoever has set them.

    The book and `modularity chapter` check before they run a chapter; Papermill and Jupyter run it unchecked.

    Args:
        chapter: its name.
        values: variables by name, the parameters among them.
    """
    root = checkout()
    declared = parameters_of((root / "chapters" / f"{chapter}.md").read_text(encoding="utf-8"))
    changed = {name: values[name] for name, one in declared.items() if values[name] != one.default}
    for name, meant in checked_parameters(declared, changed, root=root).items():
        if meant != (list(changed[name]) if isinstance(changed[name], tuple) else changed[name]):
            raise ValueError(f"{name} must be {meant!r}, got {changed[name]!r}.")


def tell(facts: Mapping[str, object]) -> None:
    """Make each text available to the prose of the book as {glue:text}`name`."""
    for name, text in facts.items():
        glue(name, text, display=False)


def tell_study(results: Results) -> None:
    """Make the facts of a study (`words.study.study_texts`) available to the prose."""
    tell(study_texts(results))


def at_hand(names: Iterable[str]) -> list[Results]:
    """Results of the studies that are complete, shipped or stored; computes nothing."""
    found = []
    for name in names:
        with suppress(StudyIncomplete):
            found.append(Archive(name).tables())
    return found


def where_computed(results: Results) -> str:
    """Say whether the results of a study came with the project or were computed here."""
    if Archive(results.study).shipped is not None:
        return f"But the study {results.study.name} comes with the project: nothing was computed for this page."
    return (
        f"The study {results.study.name} does not come with the project: the machine that built these pages computed "
        "it, in this build or in an earlier one with the same code."
    )


def finding_at_hand(name: str, results: Results) -> tuple[pd.DataFrame | None, str]:
    """The table of a finding and "", or None and a sentence on what is missing to have it."""
    return made_at_hand(finding_table, name, results)


def made_at_hand(make: Callable[..., Any], *inputs: Any, **options: Any) -> tuple[Any, str]:
    """What `made` gives and "", or None and a sentence on what is missing to have it."""
    try:
        return made(make, *inputs, **options), ""
    except FindingNotAtHand as missing:
        return None, str(missing)


def show(name: str, plot: Plot[...], *inputs: Any, origin: Sequence[str] | None = None, **options: Any) -> pd.DataFrame:
    """Draw a figure for {glue:figure}`name`, and its fold-out for {glue}`name-data`; return the table that it shows.

    Args:
        plot: of `modularity_lib.figures`.
        inputs, options: what its table is made of: results of studies, plain values, and what `made` gave.
        origin: for a figure of no study, lines that say where it comes from.
    Raises:
        ValueError: it is not known how an input was made, or where the figure comes from.
    """
    table = plot.table(*inputs, **options)
    show_drawn(name, plot.draw(table), table, Call(plot, inputs, options), origin=origin)
    return table


def table(name: str, caption: str, markdown: str) -> Markdown:
    """A table with a number and a caption above it, to be displayed; {numref}`name` refers to it.

    Args:
        caption: what is to be seen in it, one sentence of inline Markdown.
        markdown: of the table, and paragraphs that may follow it; text without a table, such as a word on what is
            missing, is displayed as it is.
    """
    rows, *paragraphs = markdown.split("\n\n")
    if not rows.startswith("|"):
        return Markdown(markdown)
    return Markdown("\n\n".join([f"```{{table}} {caption}\n:name: {name}\n\n{rows}\n```", *paragraphs]))


def glue_table(
    name: str,
    caption: str,
    markdown: str,
    data: pd.DataFrame | None = None,
    *,
    origin: Sequence[str] | None = None,
) -> None:
    """The same for a fold, in which no cell can stand: {glue}`name` puts the table there.

    Args:
        data: what `made` gave and the table shows; its fold-out is {glue}`name-data`.
        origin: as of `show`.
    """
    glue(name, table(name, caption, markdown), display=False)
    if data is not None:
        glue(f"{name}-data", fold_out(name, data, origin=origin), display=False)


def show_drawn(
    name: str,
    figure: Figure,
    table: pd.DataFrame,
    call: Call | None = None,
    *,
    origin: Sequence[str] | None = None,
) -> None:
    """The same for a figure that is more than its table: it is what `made` gave, or comes with its call."""
    glue(name, Image(png_of(figure)), display=False)
    plt.close(figure)
    below = fold_out(name, table, call or call_of(figure), ending=f'.savefig("{name}.png")', origin=origin)
    glue(f"{name}-data", below, display=False)


def fold_out(
    name: str,
    table: pd.DataFrame,
    call: Call | None = None,
    *,
    ending: str = "",
    origin: Sequence[str] | None = None,
) -> HTML:
    """A table as a CSV file inside the page, the code that makes it again, and where it comes from.

    Args:
        call: that made what is shown; by default the table is what `made` gave.
        ending: of the code, after the call.
        origin: as of `show`.
    Raises:
        ValueError: it is not known how the table was made, or where it comes from.
    """
    call = call or call_of(table)
    if call is None:
        raise ValueError(f"nobody knows how {name} was made. Use pages.made(function, ...) in place of function(...).")
    code, what = code_of(call, ending), "figure" if ending else "table"
    lines = [line for results in studies_of(call) for line in facts_of(results)] if origin is None else origin
    if not lines:
        raise ValueError(f"{name} is made from no study: give show() an origin, lines that say where it comes from.")
    facts = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    text = table.to_csv(index=False, float_format="%.6g")
    address = "data:text/csv;base64," + base64.b64encode(text.encode()).decode()
    return HTML(
        f'<details class="fold-out"><summary>Data, code and origin of this {what}</summary>'
        f'<p><a download="{name}.csv" href="{address}">{name}.csv</a>: {len(table):,} rows, columns '
        f"{html.escape(', '.join(map(str, table.columns)))}</p>"
        f'<pre tabindex="0"><code>{html.escape(code)}</code></pre><ul>{facts}</ul></details>'
    )

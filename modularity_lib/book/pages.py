"""What a chapter puts on its page: facts of a study, and figures with their data and the way to remake them."""

import base64
import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import HTML
from matplotlib.figure import Figure
from myst_nb import glue

from modularity_lib.book.words.study import study_facts
from modularity_lib.studies.archive import tables_of
from modularity_lib.studies.catalogue import study_named
from modularity_lib.studies.results import Results, StudyIncomplete
from modularity_lib.studies.shipped import shipped_tables
from modularity_lib.studies.store import Store


def tell(facts: Mapping[str, object]) -> None:
    """Make each text available to the prose of the book as {glue:text}`name`."""
    for name, text in facts.items():
        glue(name, text, display=False)


def tell_study(results: Results) -> None:
    """Make the facts of a study (`words.study.study_facts`) available to the prose."""
    tell(study_facts(results))


def at_hand(names: Iterable[str]) -> list[Results]:
    """Results of those studies that are complete, shipped or in the store; nothing is computed."""
    found = []
    for name in names:
        with suppress(StudyIncomplete):
            found.append(tables_of(study_named(name), Store()))
    return found


def where_computed(results: Results) -> str:
    """A sentence: whether the results of a study came with the project or were computed here."""
    if shipped_tables(results.study.name) is not None:
        return f"But the study {results.study.name} comes with the project: nothing was computed for this page."
    return (
        f"The study {results.study.name} does not come with the project: the machine that built these pages computed "
        "it, in this build or in an earlier one with the same code."
    )


def show(
    name: str,
    draw: Callable[..., Figure],
    *inputs: Any,
    data: pd.DataFrame,
    results: Results | Sequence[str],
    code: str | None = None,
    **options: Any,
) -> None:
    """Draw a figure for {glue:figure}`name`, and its fold-out for {glue}`name-data`.

    Args:
        draw: function of `modularity_lib.figures`.
        inputs, options: what it is called with.
        data: what the figure shows, one row per point, bar or square.
        results: the study that it comes from; for a figure of no study lines that say where it comes from.
        code: Python that makes the figure from nothing. By default that of a figure drawn from `results` alone.
    Raises:
        ValueError: the figure is of no study, and `code` was not given.
    """
    figure = draw(*inputs, **options)
    glue(name, figure, display=False)
    plt.close(figure)
    if code is None:
        if not isinstance(results, Results):
            raise ValueError(f"code must be given for {name}: only a figure of a study is known to be drawn from it.")
        arguments = "".join(f", {option}={value!r}" for option, value in options.items())
        code = (
            "import modularity_lib as ml\nfrom modularity_lib import figures\n\n"
            f"results = ml.run_study({results.study.name!r})\n"
            f'figures.{draw.__name__}(results{arguments}).savefig("{name}.png")'
        )
    glue(f"{name}-data", HTML(fold_out(name, data, code, results)), display=False)


def fold_out(name: str, data: pd.DataFrame, code: str, results: Results | Sequence[str]) -> str:
    """HTML below a figure: its data as a CSV file inside the page, the code that remakes it, where it comes from."""
    text = data.to_csv(index=False, float_format="%.6g")
    address = "data:text/csv;base64," + base64.b64encode(text.encode()).decode()
    lines = origin(results) if isinstance(results, Results) else results
    facts = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return (
        '<details class="fold-out"><summary>Data, code and origin of this figure</summary>'
        f'<p><a download="{name}.csv" href="{address}">{name}.csv</a>: {len(data):,} rows, columns '
        f"{html.escape(', '.join(map(str, data.columns)))}</p>"
        f'<pre tabindex="0"><code>{html.escape(code)}</code></pre><ul>{facts}</ul></details>'
    )


def origin(results: Results) -> list[str]:
    """Where the numbers of a study come from, in a few lines."""
    study, made = results.study, results.made_with
    lines = [
        f"study {study.name}: {len(results.networks):,} networks on {study.dataset}, protocol {study.protocol}",
        f"seeds: runs 0 to {study.runs - 1} (each seeds its split, initial weights, batches and searches)",
    ]
    if made:
        seconds = made["core_seconds"]
        first, last = (written[:10] for written in made["written"])
        spent = ", ".join(f"{stage} {value:,.0f} s" for stage, value in seconds.items())
        lines += [
            f"computed {first if first == last else f'{first} to {last}'}; core time: {spent}",
            f"commits {', '.join(made['versions']['commit'])}",
        ]
    return lines

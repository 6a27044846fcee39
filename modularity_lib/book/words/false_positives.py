"""Words on the nulls of `test_modules`: what each asks, and how often it errs."""

import pandas as pd

from modularity_lib.analysis.nulls import NULLS
from modularity_lib.book.words.prose import listed, markdown
from modularity_lib.findings.false_positives import PLANTED, STRUCTURELESS
from modularity_lib.findings.synthetic import LEVEL, rate_table


def rates_markdown(table: pd.DataFrame) -> str:
    """Markdown table: each null, its question, where it is true, and how often it calls data modular there and not."""
    rates = rate_table(table).set_index(["test", "kind"])
    rows = []
    for null in table["test"].unique():
        without, blocks = (rates.loc[(null, kind)] for kind in (STRUCTURELESS, PLANTED))
        rows.append(
            [
                f"`{null}`",
                NULLS[null].question,
                NULLS[null].holds,
                f"{without['rate']:.1%} ({without['low']:.1%} to {without['high']:.1%})",
                f"{blocks['rate']:.0%}",
            ]
        )
    return markdown(["null", "question", "true where", "called modular there", "planted blocks found"], rows)


def texts(table: pd.DataFrame) -> dict[str, str]:
    """What `false_positives_table` shows, in words."""
    rates = rate_table(table)
    without, blocks = (rates[rates["kind"] == kind] for kind in (STRUCTURELESS, PLANTED))
    doubtful = without[(without["low"] > LEVEL) | (without["high"] < LEVEL)]
    sizes = _counts(without)
    err = (
        "no interval leaves it out"
        if doubtful.empty
        else f"the interval of {listed(f'`{name}`' for name in doubtful['test'])} leaves it out"
    )
    return {
        "false_positives_sentence": (
            f"On {sizes} data sets where it is true, each null calls {without['rate'].min():.1%} to "
            f"{without['rate'].max():.1%} modular at the {LEVEL:.0%} level: {err} (95 % intervals of Wilson)."
        ),
        "power_sentence": (
            f"Of {_counts(blocks)} data sets with planted blocks the "
            f"nulls call {blocks['rate'].min():.0%} to {blocks['rate'].max():.0%} modular."
        ),
    }


def _counts(rates: pd.DataFrame) -> str:
    """How many data sets: 400, or 400 to 700."""
    fewest, most = rates["matrices"].min(), rates["matrices"].max()
    return f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"

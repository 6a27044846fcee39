"""Words on the nulls of `test_modules`: what each asks, and how often it errs."""

import pandas as pd

from modularity_lib.analysis.nulls import NULLS
from modularity_lib.book.words.prose import listed, markdown, percent, span
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
                _with_interval(without),
                percent(blocks["rate"]),
            ]
        )
    return markdown(["null", "question", "true where", "called modular there", "planted blocks found"], rows)


def texts(table: pd.DataFrame) -> dict[str, str]:
    """What `false_positives_table` shows, in words."""
    rates = rate_table(table)
    without, blocks = (rates[rates["kind"] == kind] for kind in (STRUCTURELESS, PLANTED))
    strict, lax = without[without["high"] < LEVEL], without[without["low"] > LEVEL]
    clearly = [
        f"{listed(f'`{name}`' for name in off['test'])} {'calls' if len(off) == 1 else 'call'} clearly {how}"
        for off, how in ((strict, "fewer"), (lax, "more"))
        if len(off)
    ]
    err = f"Of these {listed(clearly)}" if clearly else "None is clearly off"
    level = percent(LEVEL)
    return {
        "false_positives_sentence": (
            f"Where a null is true, its test should call {level} of the data modular (p at most {LEVEL:g}). We tried "
            f"each on {_counts(without)} such data sets, and they call {_range(without)}. {err}: the 95 % interval of "
            f"Wilson {'does not hold' if clearly else 'holds'} {level}."
        ),
        "power_sentence": (
            f"Of {_counts(blocks)} data sets with planted blocks they call {_range(blocks, digits=0)} modular."
        ),
    }


def _with_interval(rate: pd.Series) -> str:
    return f"{percent(rate['rate'], digits=1)} ({percent(rate['low'], digits=1)} to {percent(rate['high'], digits=1)})"


def _range(rates: pd.DataFrame, *, digits: int = 1) -> str:
    """The rates of all nulls: 3.1 % to 5.6 %, or 95 %."""
    return span(rates["rate"], lambda rate: percent(rate, digits=digits))


def _counts(rates: pd.DataFrame) -> str:
    """How many data sets: 400, or 400 to 700."""
    return span(rates["matrices"], "{:,}".format)

"""Words on the published numerics: which published numbers they explain, and which nothing here explains."""

import numpy as np
import pandas as pd

from modularity_lib.book.words.prose import capitalised, effect_text, listed, markdown, markdown_of
from modularity_lib.findings.published_numerics import BOTH, DOUBLE, MET, NEITHER, PUBLISHED
from modularity_lib.findings.silent_weights import AS_TRAINED
from modularity_lib.vocabulary import SWEEP_NAMES

_KINDS = {"upstream": "two upstream", "downstream": "two downstream", "across": "across"}


def summary_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `published_numerics.summary`."""
    cells = {
        "published numbers": "{group} ({figure})",
        "sweep": "{name}",
        "how many": "{numbers}",
        "double precision: mean, largest difference": "{mean:.3f}, {largest:.3f}",
        "published numerics": "{mean_published:.3f}, {largest_published:.3f}",
        "met by both / double alone / published alone / neither": "{both} / {double} / {published} / {neither}",
    }
    return markdown_of(table.assign(name=table["sweep"].map({**SWEEP_NAMES, "all": "all"})), cells)


def under_l2_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `published_numerics.agreement_under_l2`."""
    shown = table.assign(
        name=table["kind"].map(_KINDS),
        here=table["double"].map(effect_text),
        single=table["published"].map(effect_text),
    )
    cells = {
        "L2": "{strength:.0e}",
        "pairs": "{name}",
        "paper": "{paper:.3f}",
        "double precision": "{here}",
        "published numerics": "{single}",
    }
    return markdown_of(shown, cells)


def texts(numbers: pd.DataFrame, table: pd.DataFrame, under_l2: pd.DataFrame) -> dict[str, str]:
    """What the published numerics explain: of all numbers, and of agreement under L2."""
    met = numbers["met"].value_counts()
    counts = {name: int(met.get(name, 0)) for name in (BOTH, DOUBLE, PUBLISHED, NEITHER)}
    return {
        "met_sentence": (
            f"Of {len(numbers):,} published numbers {counts[BOTH]:,} are met by both numerics within {MET:g} errors, "
            f"{counts[DOUBLE]:,} by double precision alone, {counts[PUBLISHED]:,} by the published numerics alone, and "
            f"{counts[NEITHER]:,} by neither."
        ),
        "nearer_sentence": _nearer_text(table),
        "under_l2_sentence": _under_l2_text(under_l2),
        "numerics_runs": f"{under_l2['double'].iloc[0].n_runs}",
    }


def _nearer_text(table: pd.DataFrame) -> str:
    nearer = table[table["mean_published"] < table["mean"]]
    farther = table[table["mean_published"] >= table["mean"]]
    parts = []
    for rows, word in ((nearer, "nearer"), (farther, "no nearer")):
        names = [f"{row.group} ({SWEEP_NAMES.get(str(row.sweep), 'all')})" for row in rows.itertuples()]
        if names:
            parts.append(f"the published numerics come {word} to the paper in {listed(names)}")
    return f"By the mean size of the difference {'; '.join(parts)}."


def _under_l2_text(table: pd.DataFrame) -> str:
    across = table[table["kind"] == "across"].sort_values("strength")
    told = []
    for row in across.itertuples():
        gaps = {name: abs(getattr(row, name).mean - row.paper) for name in ("double", "published")}
        nearer = min(gaps, key=lambda name: gaps[name])
        who = "the published numerics" if nearer == "published" else "double precision"
        told.append((who, f"{row.strength:.0e}"))
    by = {who: [strength for name, strength in told if name == who] for who, _ in told}
    sentences = [f"{who} come{'' if who.endswith('s') else 's'} nearer at {listed(of)}" for who, of in by.items()]
    return f"{capitalised('; '.join(sentences))}."


def by_size_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `silent_weights.by_size`."""
    found = table.to_dict("records")
    heads = ["outgoing weights of silent units", *(row["quantity"] for row in found)]
    rows = [["in the paper", *(f"{row['paper']:.3g}" for row in found)]]
    for size in _sizes(table):
        name = "as trained" if size == AS_TRAINED else f"about {size:.0e}"
        rows.append([name, *(effect_text(row[size]) for row in found)])
    return markdown(heads, rows)


def by_size_text(table: pd.DataFrame) -> str:
    """At which size of the weights of silent units the published numbers come about."""
    away = {size: _away(table, size) for size in _sizes(table)}
    nearest = min(away, key=lambda size: away[size])
    if nearest == AS_TRAINED:
        return "No other size comes nearer to the published values than the weights as they are."
    return (
        f"With outgoing weights of silent units of about {nearest:.0e} these {len(table)} numbers, taken together, "
        f"come nearest to the published values: they are {away[nearest]:.0%} off on average, as trained "
        f"{away[AS_TRAINED]:.0%}. So in the paper's "
        "networks silent units probably swung at weights of about that size, where ours partly lie still near 0."
    )


def _sizes(table: pd.DataFrame) -> list[float]:
    return [float(name) for name in table.columns if name not in ("quantity", "paper")]


def _away(table: pd.DataFrame, size: float) -> float:
    """Mean distance from the published values, as a share of them."""
    return float(np.mean([abs(row[size].mean / row["paper"] - 1) for row in table.to_dict("records")]))

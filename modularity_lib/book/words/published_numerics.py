"""Words on the published numerics: which published numbers they explain, and which nothing here explains."""

import numpy as np
import pandas as pd

from modularity_lib.book.words.prose import effect_text, listed, markdown, markdown_of, percent
from modularity_lib.findings.published_numerics import BOTH, DOUBLE, MET, NEITHER, PUBLISHED
from modularity_lib.findings.silent_weights import AS_TRAINED
from modularity_lib.vocabulary import SWEEP_NAMES, strength_text

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
        at=table["strength"].map(strength_text),
        name=table["kind"].map(_KINDS),
        here=table["double"].map(effect_text),
        single=table["published"].map(effect_text),
    )
    cells = {
        "L2": "{at}",
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
    n_runs = under_l2["double"].iloc[0].n_runs
    by = {name: counts[BOTH] + counts[name] for name in (DOUBLE, PUBLISHED)}
    return {
        "met_sentence": (
            f"Of {len(numbers):,} published numbers double precision meets {by[DOUBLE]:,} within {MET:g} errors, and "
            f"the published numerics meet {by[PUBLISHED]:,}."
        ),
        "nearer_sentence": _nearer_text(table),
        "under_l2_sentence": _under_l2_text(under_l2),
        "numerics_again": (
            f"We measured and searched the networks of {n_runs} run{'' if n_runs == 1 else 's'} again by these rules."
        ),
    }


def _nearer_text(table: pd.DataFrame) -> str:
    nearer = int((table["mean_published"] < table["mean"]).sum())
    return (
        f"By the mean size of the difference the published numerics come nearer to the paper in {nearer or 'none'} of "
        f"these {len(table)} rows."
    )


def _under_l2_text(table: pd.DataFrame) -> str:
    """Which numerics come nearer to the published agreement across families, from weak to strong L2."""
    nearer: dict[str, list[str]] = {DOUBLE: [], PUBLISHED: []}
    order = []
    for row in table[table["kind"] == "across"].sort_values("strength").to_dict("records"):
        is_published = abs(row["published"].mean - row["paper"]) < abs(row["double"].mean - row["paper"])
        nearer[PUBLISHED if is_published else DOUBLE].append(strength_text(row["strength"]))
        order.append(is_published)
    if not any(order):
        return "They do not explain agreement under L2: across the families they come nearer to the paper nowhere."
    if all(order):
        return "They explain agreement under L2: across the families they come nearer to the paper at every strength."
    if order == sorted(order, reverse=True):
        start = "They explain agreement under weak L2, and not under strong L2"
    elif order == sorted(order):
        start = "They explain agreement under strong L2, and not under weak L2"
    else:
        start = "They explain agreement under L2 in part"
    return (
        f"{start}: across the families they come nearer to the paper at L2 {listed(nearer[PUBLISHED])}, and double "
        f"precision at {listed(nearer[DOUBLE])}."
    )


def by_size_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `silent_weights.by_size`."""
    found = table.to_dict("records")
    heads = ["outgoing weights of silent units", *(row["quantity"] for row in found)]
    rows = [["in the paper", *(f"{row['paper']:.3g}" for row in found)]]
    for size in _sizes(table):
        name = "as trained" if size == AS_TRAINED else f"about {strength_text(size)}"
        rows.append([name, *(effect_text(row[size]) for row in found)])
    return markdown(heads, rows)


def by_size_text(table: pd.DataFrame) -> str:
    """At which size of the weights of silent units the published numbers come about."""
    away = {size: _away(table, size) for size in _sizes(table)}
    nearest = min(away, key=lambda size: away[size])
    if nearest == AS_TRAINED:
        return "No other size comes nearer to the published values than the weights as they are."
    return (
        f"With outgoing weights of silent units of about {strength_text(nearest)}, these {len(table)} numbers taken "
        f"together come nearest to the published values: they are {percent(away[nearest])} off on average, with the "
        f"weights as trained {percent(away[AS_TRAINED])}. So the weights of silent units were probably about that size "
        "in the paper's networks, where ours partly lie still near 0."
    )


def _sizes(table: pd.DataFrame) -> list[float]:
    return [float(name) for name in table.columns if name not in ("quantity", "paper")]


def _away(table: pd.DataFrame, size: float) -> float:
    """Mean distance from the published values, as a share of them."""
    return float(np.mean([abs(row[size].mean / row["paper"] - 1) for row in table.to_dict("records")]))

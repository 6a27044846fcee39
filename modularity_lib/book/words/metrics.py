"""Words on the claims as other metrics of agreement would have them judged."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from modularity_lib.book.words.prose import capitalised, listed, markdown, span
from modularity_lib.findings.claims import COULD_NOT_TEST
from modularity_lib.findings.metrics import ALL, JUDGED, METRICS
from modularity_lib.vocabulary import KINDS, LABELS, REGULARISERS, SWEEP_NAMES


def by_metric_markdown(table: pd.DataFrame) -> str:
    """Markdown table: agreement by kind of pair and metric over all networks, and what the claims would be."""
    rows = []
    for metric, found in _records(table[table["networks"] == ALL], "kind").items():
        status = [found[KINDS[0]][claim] for claim in JUDGED]
        rows.append([METRICS[metric].label, *(_with_interval(found[kind]) for kind in KINDS), *status])
    return markdown(["metric", *(LABELS[kind] for kind in KINDS), "claim: within", "claim: across"], rows)


def by_sweep_markdown(table: pd.DataFrame) -> str:
    """Markdown table: agreement across the families by sweep and metric, and what the claim would be."""
    by_metric = _records(table[table["kind"] == "across"], "networks")
    sweeps = [name for name in REGULARISERS if all(name in found for found in by_metric.values())]
    rows = (
        [METRICS[metric].label, *(f"{_with_interval(found[name])} {found[name][JUDGED[1]]}" for name in sweeps)]
        for metric, found in by_metric.items()
    )
    return markdown(["metric", *(SWEEP_NAMES[name] for name in sweeps)], rows)


def by_metric_text(table: pd.DataFrame, *, live: bool = False) -> str:
    """Whether the verdicts depend on the metric: of modules, and of the matrices themselves.

    Args:
        table: of `metric_table`.
        live: whether it is the one over live units.
    """
    every = {metric: found["across"] for metric, found in _records(table[table["networks"] == ALL], "kind").items()}
    if not every:
        return f"{capitalised(COULD_NOT_TEST)}: this study lacks pairs of some kind."
    own, *others = (name for name in every if METRICS[name].compares == "modules")
    kept = [name for name in others if all(every[name][claim] == every[own][claim] for claim in JUDGED)]
    differing = [
        f"by {METRICS[name].label} the claim on pairs {where} is {row[claim]} ({row['mean']:.2f} across)"
        for name, row in every.items()
        for claim, where in zip(JUDGED, ("within a family", "across the families"), strict=True)
        if row[claim] != every[own][claim]
    ]
    means = [every[name]["mean"] for name in (own, *others)]
    verdicts = "the verdicts of element-centric similarity over live units" if live else "both verdicts of this page"
    count = f"All {len(others)}" if len(kept) == len(others) else f"{len(kept)} of {len(others)}"
    return (
        f"{count} other ways to compare two clusterings give {verdicts}. By these and by "
        f"element-centric similarity, agreement across the families is {span(means, '{:.2f}'.format)}."
        + (f" But {listed(differing)}." if differing else "")
    )


def _records(table: pd.DataFrame, by: str) -> dict[str, dict[str, Mapping[Any, Any]]]:
    """{metric: {what stands in the column `by`: its row}}."""
    found: dict[str, dict[str, Mapping[Any, Any]]] = {}
    for row in table.to_dict("records"):
        found.setdefault(str(row["metric"]), {})[str(row[by])] = row
    return found


def _with_interval(row: Mapping[Any, Any]) -> str:
    return f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]".replace("-", "−")

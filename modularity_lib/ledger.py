"""The ledger: every published number beside ours, and the claims judged on every study that there is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from modularity_lib.claims import CLAIMS, STATUSES, Verdict, judge_all
from modularity_lib.comparison import compare_with_paper
from modularity_lib.results import Results

AGREES, DIFFERS, NO_LIMIT = "agrees", "differs", "no limit set"


@dataclass(frozen=True)
class Limits:
    """How far numbers may lie from the published ones, decided before our networks were trained; None = undecided."""

    mean: float | None = None  # of the absolute differences
    each: float | None = None  # of every one


@dataclass(frozen=True)
class PublishedNumbers:
    """One group of published numbers."""

    title: str
    figure: str  # of the paper, by the list of figures P1 to P12
    table: str  # see `compare_with_paper`
    only: Mapping[str, Sequence[str]]  # rows of that table, by column
    limits: Limits = Limits()


GROUPS = (
    PublishedNumbers("Q against regularisation", "P3", "q_vs_regularisation", {}, Limits(mean=0.01, each=0.04)),
    PublishedNumbers("Q of untrained networks, mean", "P3", "untrained_q", {"statistic": ["mean"]}),
    PublishedNumbers("Q of untrained networks, s.d.", "P3", "untrained_q", {"statistic": ["sd"]}),
    PublishedNumbers(
        "agreement of clusterings, trained", "P9", "agreement", {"networks": ["trained"]}, Limits(each=0.05)
    ),
    PublishedNumbers(
        "agreement of clusterings, untrained", "P11", "agreement", {"networks": ["untrained"]}, Limits(each=0.05)
    ),
    PublishedNumbers("accuracies", "P1", "performance_and_norms", {"quantity": ["test_accuracy", "train_accuracy"]}),
    PublishedNumbers(
        "norms of the weights, share of the largest",
        "P1",
        "performance_and_norms",
        {"quantity": ["sum_abs_weights", "sum_squared_weights", "nuclear_norm"]},
    ),
    PublishedNumbers("share of small weights", "P1", "performance_and_norms", {"quantity": ["sparsity"]}),
    PublishedNumbers("correlation of agreement metrics", "P12", "metric_agreement", {}),
)


CODE = """import modularity_lib as ml
from modularity_lib import ledger

ledger.verdicts_by_study([ml.run_study(name) for name in ("v1", "final-base", "final-wide", "final-deep")])"""


def published_beside_ours(results: Results) -> pd.DataFrame:
    """Every published number with ours: a row each.

    Returns:
        `group`, `figure`, `what` (the number's name), then the columns of `compare_with_paper`. Norms, which differ in
        unit and size, are divided by the largest published value of their kind.
    """
    parts = []
    for group in GROUPS:
        rows = compare_with_paper(results, group.table)
        for column, values in group.only.items():
            rows = rows[rows[column].isin(values)]
        names = list(rows.columns[: rows.columns.get_loc("paper")])
        what = rows[names].astype(str).agg(", ".join, axis=1)
        numbers = rows.drop(columns=names)
        if group.title.endswith("share of the largest"):
            lengths = ["paper", "reading_error", "here", "sem", "difference"]
            numbers[lengths] = numbers[lengths].div(rows.groupby("quantity")["paper"].transform("max"), axis=0)
        parts.append(numbers.assign(group=group.title, figure=group.figure, what=what))
    table = pd.concat(parts, ignore_index=True)
    first = ["group", "figure", "what"]
    return table[[*first, *(name for name in table.columns if name not in first)]]


def ledger(numbers: pd.DataFrame) -> pd.DataFrame:
    """One row per group of `published_beside_ours`: how many, how far, and whether within the limits set beforehand.

    Returns:
        `group`, `figure`, `numbers`, `missing` (not to be had in this study), `mean` and `largest` (absolute
        difference), `at` (where the largest is), `within_two` (share within two combined errors), `limit`, `verdict`.
    """
    rows = []
    for group in GROUPS:
        chosen = numbers[numbers["group"] == group.title]
        found = chosen.dropna(subset=["here"])
        distance = found["difference"].abs()
        limits = group.limits
        within = [
            distance.mean() <= limits.mean if limits.mean is not None else None,
            distance.max() <= limits.each if limits.each is not None else None,
        ]
        decided = [bool(holds) for holds in within if holds is not None]
        verdict = NO_LIMIT if not decided or found.empty else AGREES if all(decided) else DIFFERS
        rows.append(
            {
                "group": group.title,
                "figure": group.figure,
                "numbers": len(chosen),
                "missing": len(chosen) - len(found),
                "mean": distance.mean(),
                "largest": distance.max(),
                "at": str(found["what"].iloc[int(distance.argmax())]) if len(found) else "",
                "within_two": (found["in_errors"].abs() <= 2).mean(),
                "limit": _limit_text(limits),
                "verdict": verdict,
            }
        )
    return pd.DataFrame(rows)


def _limit_text(limits: Limits) -> str:
    parts = [
        f"mean {limits.mean:g}" if limits.mean is not None else "",
        f"each {limits.each:g}" if limits.each is not None else "",
    ]
    return ", ".join(filter(None, parts))


def ledger_facts(groups: pd.DataFrame, verdicts: pd.DataFrame) -> dict[str, str]:
    """What the ledger says, in words."""
    limited = groups[groups["verdict"] != NO_LIMIT]
    agreeing = limited[limited["verdict"] == AGREES]
    farthest = groups.iloc[int(groups["within_two"].argmin())]
    return {
        "n_numbers": f"{(groups['numbers'] - groups['missing']).sum():,}",
        "ledger_sentence": (
            f"{len(agreeing)} of the {len(limited)} groups with a limit keep to it. Measured by its errors, the group "
            f"that lies farthest off is “{farthest['group']}”, with {farthest['within_two']:.0%} of its numbers within "
            "two."
        ),
        "studies_sentence": counts_text(verdicts),
    }


def counts_text(verdicts: pd.DataFrame) -> str:
    """How many claims got which verdict on every study of `verdicts_by_study`, in a sentence."""
    parts = []
    for study, rows in verdicts.groupby("study", sort=False):
        counts = {status: int((rows["status"] == status).sum()) for status in STATUSES}
        parts.append(f"{study}: " + ", ".join(f"{count} {status}" for status, count in counts.items() if count))
    return "Claims by verdict on each study: " + "; ".join(parts) + "."


def ledger_text(table: pd.DataFrame) -> str:
    """The ledger as a Markdown table."""
    lines = [
        "| published numbers | how many | difference: mean, largest | largest at | in 2 errors | verdict (limits) |",
        "|---|---|---|---|---|---|",
    ]
    for row in table.to_dict("records"):
        counted = f"{row['numbers'] - row['missing']}" + (f" of {row['numbers']}" if row["missing"] else "")
        place = str(row["at"]).replace("_", " ")
        limits = f" ({row['limit']})" if row["limit"] else ""
        lines.append(
            f"| {row['group']} ({row['figure']}) | {counted} | {row['mean']:.4f}, {row['largest']:.3f} | {place} "
            f"| {row['within_two']:.0%} | {row['verdict']}{limits} |"
        )
    return "\n".join(lines)


def verdicts_by_study(studies: Sequence[Results]) -> pd.DataFrame:
    """Every claim on every study: `study`, `claim`, `status`, then the effect: paper, mean, interval, p, runs."""
    rows = []
    for results in studies:
        verdicts = judge_all(results)
        for claim in CLAIMS:
            verdict = verdicts[claim.id]
            rows.append({"study": results.study.name, "claim": claim.id, "status": verdict.status, **_numbers(verdict)})
    return pd.DataFrame(rows)


def _numbers(verdict: Verdict) -> dict[str, float | int | None]:
    effect = verdict.effect
    names = ("mean", "low", "high", "smallest", "largest", "p_value", "smallest_p", "n_runs")
    return {"paper": verdict.paper, **{name: getattr(effect, name) if effect else None for name in names}}


def verdicts_text(table: pd.DataFrame) -> str:
    """The claims on every study as a Markdown table: verdict and effect in each cell."""
    studies = list(dict.fromkeys(table["study"]))
    lines = ["| claim | " + " | ".join(f"`{name}`" for name in studies) + " |", "|---|" + "---|" * len(studies)]
    for claim in CLAIMS:
        rows = table[table["claim"] == claim.id].set_index("study")
        cells = [f"{rows.loc[name, 'status']}: {_effect_text(rows.loc[name])}" for name in studies]
        lines.append(f"| {claim.statement} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _effect_text(row: pd.Series) -> str:
    if pd.isna(row["mean"]):
        return "–"
    if pd.isna(row["low"]):
        return f"{row['mean']:.3f} ({row['smallest']:.3f} to {row['largest']:.3f})"
    return f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"

"""The ledger: every published number beside ours, and the claims judged on every study that there is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from modularity_lib.findings.claims import CLAIMS, Verdict, judge_all
from modularity_lib.findings.comparison import compare_with_paper
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import SWEEP_NAMES, measure_in_words

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
from modularity_lib.findings import ledger

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
        difference), `at` (where the largest is), `signed` (mean difference), `within_two` (share within two combined
        errors), `farthest` and `farthest_at` (in combined errors), `limit`, `verdict`.
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
                "signed": found["difference"].mean(),
                "farthest": found["in_errors"].abs().max(),
                "farthest_at": str(found["what"].iloc[int(found["in_errors"].abs().argmax())]) if len(found) else "",
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


def ledger_facts(numbers: pd.DataFrame) -> dict[str, str]:
    """What `published_beside_ours` says, in words."""
    groups = ledger(numbers)
    limited = groups[groups["verdict"] != NO_LIMIT]
    agreeing = limited[limited["verdict"] == AGREES]
    farthest = groups.iloc[int(groups["within_two"].argmin())]
    return {
        "n_numbers": f"{(groups['numbers'] - groups['missing']).sum():,}",
        "ledger_sentence": (
            f"{len(agreeing)} of the {len(limited)} groups with a limit keep to it. The smallest share of numbers "
            f"within two errors has “{farthest['group']}”, with {farthest['within_two']:.0%}."
        ),
        "far_sentence": far_sentence(numbers),
    }


def far_sentence(numbers: pd.DataFrame) -> str:
    """Which published values of Q lie more than two errors off, and whether they have something in common."""
    q = numbers[numbers["group"] == GROUPS[0].title].dropna(subset=["here"])
    far = q[q["in_errors"].abs() > 2]
    if far.empty:
        return f"No published Q lies more than two errors off ({len(q)} were compared)."
    names = far["what"].str.split(", ", expand=True)
    kinds = names[0].map(measure_in_words) + " under " + names[1].replace(SWEEP_NAMES)
    counts = kinds.value_counts()
    most = counts[counts >= 3]
    below = int((far["difference"] < 0).sum())
    common = "; ".join(f"{kind} {count}" for kind, count in most.items()) or "no measure and sweep has more than two"
    return (
        f"Of {len(q)} published values of Q {len(far)} lie more than two errors off, {below} of them below: {common}; "
        f"others {len(far) - int(most.sum())}."
    )


def missed_text(verdicts_of: Mapping[str, Mapping[str, Verdict]]) -> str:
    """What the rules asked for and did not find, claim by claim, in sentences.

    Args:
        verdicts_of: {study: verdicts of `judge_all`}.
    """
    parts = []
    for number, claim in enumerate(CLAIMS, start=1):
        found = {study: verdicts[claim.id].missed for study, verdicts in verdicts_of.items()}
        missed = [f"{study}, {what}" for study, what in found.items() if what]
        if missed:
            parts.append(f"Claim {number} in part: {'; '.join(missed)}.")
    return " ".join(parts) or "Every claim is reproduced in full."


def runs_text(studies: Sequence[Results]) -> str:
    """How many networks and runs each study has, in a sentence."""
    parts = [
        f"{results.study.name} {results.study.runs} runs of {len(results.study.settings())} settings and "
        f"{results.study.untrained} untrained networks"
        for results in studies
    ]
    return f"Behind each study: {'; '.join(parts)}."


def ledger_text(table: pd.DataFrame) -> str:
    """The ledger as a Markdown table."""
    lines = [
        "| published numbers | how many | size of difference: mean, largest (where) | signed mean | in 2 errors | "
        "farthest, in errors (where) | verdict (limits) |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in table.to_dict("records"):
        counted = f"{row['numbers'] - row['missing']}" + (f" of {row['numbers']}" if row["missing"] else "")
        places = [str(row[name]).replace("_", " ") for name in ("at", "farthest_at")]
        limits = f" ({row['limit']})" if row["limit"] else ""
        lines.append(
            f"| {row['group']} ({row['figure']}) | {counted} | {row['mean']:.4f}, {row['largest']:.3f} ({places[0]}) "
            f"| {row['signed']:+.4f} | {row['within_two']:.0%} | {row['farthest']:.1f} ({places[1]}) "
            f"| {row['verdict']}{limits} |"
        )
    return "\n".join(lines)


def verdicts_by_study(studies: Sequence[Results]) -> pd.DataFrame:
    """Every claim on every study: `study`, `claim`, `status`, `missed` (what the rule asks for and is not so), then the
    effect: paper, mean, interval, p, runs."""
    rows = []
    for results in studies:
        verdicts = judge_all(results)
        for claim in CLAIMS:
            verdict = verdicts[claim.id]
            judged = {"status": verdict.status, "missed": verdict.missed}
            rows.append({"study": results.study.name, "claim": claim.id, **judged, **_numbers(verdict)})
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
        cells = [_cell(rows.loc[name]) for name in studies]
        lines.append(f"| {claim.statement} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(row: pd.Series) -> str:
    missed = f"; but {row['missed']}" if row["missed"] else ""
    return f"{row['status']}: {_effect_text(row)}{missed}"


def _effect_text(row: pd.Series) -> str:
    if pd.isna(row["mean"]):
        return "–"
    if pd.isna(row["low"]):
        return f"{row['mean']:.3f} ({row['smallest']:.3f} to {row['largest']:.3f})"
    return f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"

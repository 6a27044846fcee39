"""The ledger: every published number beside ours, and the claims judged on every study."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from modularity_lib.findings.claims import CLAIMS, Verdict, judge_all
from modularity_lib.findings.comparison import compare_with_paper
from modularity_lib.studies.results import Results

AGREES, DIFFERS, NO_LIMIT = "agrees", "differs", "no limit set"


@dataclass(frozen=True)
class Limits:
    """Allowed distance from the published numbers, set before our networks were trained; None = no limit."""

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
    PublishedNumbers("number of modules", "P4", "n_modules_vs_regularisation", {}),
    PublishedNumbers(
        "number of modules, untrained networks, mean", "P4", "untrained_n_modules", {"statistic": ["mean"]}
    ),
    PublishedNumbers("number of modules, untrained networks, s.d.", "P4", "untrained_n_modules", {"statistic": ["sd"]}),
    PublishedNumbers(
        "agreement of clusterings, trained", "P9", "agreement", {"networks": ["trained"]}, Limits(each=0.05)
    ),
    PublishedNumbers(
        "agreement of clusterings, untrained", "P11", "agreement", {"networks": ["untrained"]}, Limits(each=0.05)
    ),
    PublishedNumbers("agreement of clusterings by strength", "P10", "agreement_by_strength", {}),
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


def published_beside_ours(results: Results, *, groups: Collection[str] | None = None) -> pd.DataFrame:
    """Every published number with ours: a row each.

    Args:
        groups: titles of those that are wanted; None: all.
    Returns:
        `group`, `figure`, `what` (the number's name), then the columns of `compare_with_paper`. Norms, which differ in
        unit and size, are divided by the largest published value of their kind.
    """
    parts = []
    for group in GROUPS if groups is None else [group for group in GROUPS if group.title in groups]:
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
    """Summarise each group of `published_beside_ours`: how many, how far, and whether within the limits set beforehand.

    Returns:
        `group`, `figure`, `numbers`, `missing` (this study has no such network), `mean` and `largest` (absolute
        difference), `at` (where the largest is), `signed` (mean difference), `within_two` (share within two combined
        errors), `farthest` and `farthest_at` (in combined errors), `limit_mean`, `limit_each`, `verdict`.
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
                "limit_mean": limits.mean,
                "limit_each": limits.each,
                "verdict": verdict,
            }
        )
    return pd.DataFrame(rows)


def judge_studies(studies: Sequence[Results]) -> dict[str, dict[str, Verdict]]:
    """The verdicts on every study, by its name and the id of the claim."""
    return {results.study.name: judge_all(results) for results in studies}


def verdicts_by_study(judged: Mapping[str, Mapping[str, Verdict]]) -> pd.DataFrame:
    """Every claim on every study, a row each.

    Args:
        judged: of `judge_studies`.
    Returns:
        `study`, `claim`, `status`, `missed` (names of the conditions that do not hold), `paper`, then the fields of the
        effect.
    """
    rows = []
    for study, verdicts in judged.items():
        for claim in CLAIMS:
            verdict = verdicts[claim.id]
            missed = "; ".join(condition.name for condition in verdict.missed)
            found = {"study": study, "claim": claim.id, "status": verdict.status, "missed": missed}
            effect = {name: getattr(verdict.effect, name, None) for name in _EFFECT}
            rows.append({**found, "paper": verdict.paper, **effect})
    return pd.DataFrame(rows)


_EFFECT = ("mean", "low", "high", "smallest", "largest", "p_value", "smallest_p", "n_runs")

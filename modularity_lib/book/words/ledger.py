"""Words of the ledger: published numbers beside ours, verdicts, choices, silent units."""

from collections.abc import Mapping, Sequence

import pandas as pd

from modularity_lib.book.words.prose import listed, markdown_of
from modularity_lib.book.words.verdicts import by_version
from modularity_lib.findings.claims import CLAIMS, REPRODUCED, Verdict
from modularity_lib.findings.ledger import AGREES, GROUPS, NO_LIMIT, ledger
from modularity_lib.findings.silent_units import EQUALLY_CLOSE
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import MEASURE_LABELS, SWEEP_NAMES


def short_text(numbers: pd.DataFrame, studies: Sequence[Results], judged: Mapping[str, Mapping[str, Verdict]]) -> str:
    """How many claims are reproduced, and how many published numbers are met, in a few sentences.

    Args:
        numbers: of `published_beside_ours`, for the first study.
        studies: those that are judged.
        judged: {study: verdicts of `judge_all`}.
    """
    reproduced = {
        study: sum(verdict.status == REPRODUCED for verdict in verdicts.values()) for study, verdicts in judged.items()
    }
    parts = [
        f"{_range([reproduced[name] for name in names])} on the {version}'s experiments"
        for version, names in by_version(one.study for one in studies).items()
    ]
    told = f"Of the paper's {len(CLAIMS)} claims {listed(parts)} are reproduced."
    compared = numbers.dropna(subset=["here"])
    if compared.empty:
        return f"{told} None of the published numbers belongs to this study."
    met, groups = (compared["in_errors"].abs() <= 2).mean(), ledger(numbers)
    limited = groups[groups["verdict"] != NO_LIMIT]
    keep = int((limited["verdict"] == AGREES).sum())
    return (
        f"{told} Of {len(compared):,} published numbers {met:.0%} lie within two errors of ours, and {keep} of the "
        f"{len(limited)} groups with a limit keep to it."
    )


def _range(counts: Sequence[int]) -> str:
    return f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def choices_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `metric_choices`."""
    cells = {
        "entries": "{entries}",
        "size of difference: mean, largest": "{mean:.4f}, {largest:.3f}",
        "signed mean": "{signed:+.4f}",
        "in 2 errors": "{within_two:.0%}",
    }
    return markdown_of(table, cells)


def rules_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `rules_table`."""
    agreement = "{agreement_signed:+.3f}, {agreement_mean:.3f}, {agreement_largest:.3f}"
    cells = {
        "which units count as silent": "{rule}",
        "how many": "{silent:.1f}",
        "Q − published: mean, mean size": "{q_signed:+.3f}, {q_mean:.3f}",
        "agreement − published: mean, mean size, largest": agreement,
    }
    return markdown_of(table, cells).replace("S_ii", "$S_{ii}$")


def rules_text(table: pd.DataFrame) -> str:
    """Which rule comes closest to the published numbers, in Q and in agreement."""
    q, agreement = (
        table.loc[table[name] <= table[name].min() + EQUALLY_CLOSE, "rule"].tolist()
        for name in ("q_mean", "agreement_mean")
    )
    both = [rule for rule in q if rule in agreement]
    told = (
        f"By the mean size of the difference, and within {EQUALLY_CLOSE:g}, Q fits best by the rules {_quoted(q)}, and "
        f"agreement by {_quoted(agreement)}."
    )
    if both:
        return (
            f"{told} Only {_quoted(both)} {'fits' if len(both) == 1 else 'fit'} both. What the published program did "
            "is tried below."
        )
    return f"{told} No rule fits both. What the published program did is tried below."


def _quoted(rules: list[str]) -> str:
    return listed(f"“{rule}”" for rule in rules)


def ledger_texts(numbers: pd.DataFrame) -> dict[str, str]:
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
        "far_sentence": far_text(numbers),
    }


def far_text(numbers: pd.DataFrame) -> str:
    """Which published values of Q lie more than two errors off, and whether they have something in common."""
    q = numbers[numbers["group"] == GROUPS[0].title].dropna(subset=["here"])
    far = q[q["in_errors"].abs() > 2]
    if far.empty:
        return f"No published Q lies more than two errors off ({len(q)} were compared)."
    names = far["what"].str.split(", ", expand=True)
    kinds = names[0].map(MEASURE_LABELS) + " under " + names[1].replace(SWEEP_NAMES)
    counts = kinds.value_counts()
    most = counts[counts >= 3]
    below = int((far["difference"] < 0).sum())
    common = "; ".join(f"{kind} {count}" for kind, count in most.items()) or "no measure and sweep has more than two"
    return (
        f"Of {len(q)} published values of Q {len(far)} lie more than two errors off, {below} of them below: {common}; "
        f"others {len(far) - int(most.sum())}."
    )


def runs_text(studies: Sequence[Results]) -> str:
    """How many networks and runs each study has, in a sentence."""
    parts = [
        f"{results.study.name} {results.study.runs} runs of {len(results.study.settings())} settings and "
        f"{results.study.untrained} untrained networks"
        for results in studies
    ]
    return f"Behind each study: {'; '.join(parts)}."


def ledger_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `ledger.ledger`."""
    counted = (table["numbers"] - table["missing"]).astype(str)
    counted = counted.where(table["missing"] == 0, counted + " of " + table["numbers"].astype(str))
    names = {name: table[name].str.replace("_", " ") for name in ("at", "farthest_at")}
    cells = {
        "published numbers": "{group} ({figure})",
        "how many": "{counted}",
        "size of difference: mean, largest (where)": "{mean:.4f}, {largest:.3f} ({at})",
        "signed mean": "{signed:+.4f}",
        "in 2 errors": "{within_two:.0%}",
        "farthest, in errors (where)": "{farthest:.1f} ({farthest_at})",
        "verdict (limits)": "{verdict}{limits}",
    }
    return markdown_of(table.assign(counted=counted, limits=table.apply(_limits_text, axis=1), **names), cells)


def _limits_text(row: pd.Series) -> str:
    limits = {"mean": row["limit_mean"], "each": row["limit_each"]}
    told = ", ".join(f"{what} {limit:g}" for what, limit in limits.items() if pd.notna(limit))
    return f" ({told})" if told else ""

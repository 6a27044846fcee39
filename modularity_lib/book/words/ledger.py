"""Words of the ledger: published numbers beside ours, verdicts, choices, silent units."""

from collections.abc import Mapping, Sequence

import pandas as pd

from modularity_lib.findings.claims import CLAIMS, Verdict
from modularity_lib.findings.ledger import AGREES, GROUPS, NO_LIMIT, ledger
from modularity_lib.findings.silent_units import EQUALLY_CLOSE
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import MEASURE_LABELS, SWEEP_NAMES


def choices_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `metric_choices`."""
    head = "| entries | size of difference: mean, largest | signed mean | in 2 errors |\n|---|---|---|---|"
    rows = [
        f"| {row['entries']} | {row['mean']:.4f}, {row['largest']:.3f} | {row['signed']:+.4f} "
        f"| {row['within_two']:.0%} |"
        for row in table.to_dict("records")
    ]
    return "\n".join([head, *rows])


def rules_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `rules_table`."""
    head = (
        "| which units count as silent | how many | Q − published: mean, mean size | agreement − published: mean, mean "
        "size, largest |\n|---|---|---|---|"
    )
    rows = [
        f"| {row['rule']} | {row['silent']:.1f} | {row['q_signed']:+.3f}, {row['q_mean']:.3f} | "
        f"{row['agreement_signed']:+.3f}, {row['agreement_mean']:.3f}, {row['agreement_largest']:.3f} |"
        for row in table.to_dict("records")
    ]
    return "\n".join([head, *rows]).replace("S_ii", "$S_{ii}$")


def rules_sentence(table: pd.DataFrame) -> str:
    """Which rule comes closest to the published numbers, in Q and in agreement."""
    q, agreement = (
        table.loc[table[name] <= table[name].min() + EQUALLY_CLOSE, "rule"].tolist()
        for name in ("q_mean", "agreement_mean")
    )
    both = [rule for rule in q if rule in agreement]
    told = (
        f"By the mean size of the difference, and within {EQUALLY_CLOSE:g}, Q comes closest to the published one by "
        f"the rules {_quoted(q)}, and agreement by {_quoted(agreement)}."
    )
    if both:
        return (
            f"{told} {_quoted(both)} alone {'is' if len(both) == 1 else 'are'} in both lists, and may be what the "
            "paper's program did; the paper does not say."
        )
    return f"{told} No rule is in both lists; the paper does not state its own."


def _quoted(rules: list[str]) -> str:
    return " and ".join(f"“{rule}”" for rule in rules)


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
    kinds = names[0].map(MEASURE_LABELS) + " under " + names[1].replace(SWEEP_NAMES)
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

"""Words of the ledger: published numbers beside ours, verdicts, choices, silent units."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from string import ascii_uppercase

import pandas as pd
from scipy.stats import norm

from modularity_lib.book.words.prose import listed, markdown, markdown_of, percent
from modularity_lib.book.words.verdicts import by_version
from modularity_lib.findings.claims import CLAIMS, PARTLY, REPRODUCED, Verdict
from modularity_lib.findings.ledger import AGREES, GROUPS, NO_LIMIT, ledger
from modularity_lib.findings.published_numerics import MET
from modularity_lib.findings.silent_units import EQUALLY_CLOSE
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import MEASURE_LABELS, METRIC_LABELS, NETWORK_LABELS, SWEEP_NAMES, setting_text

ONE_WAY = 0.8  # differences go nearly all one way where their mean is at least this share of their mean size

_MET_BY_CHANCE = float(2 * norm.cdf(MET) - 1)  # share of numbers that are off by no more, if errors are all there is


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
        f"{_of_claims([reproduced[name] for name in names])} on the {version}'s experiments"
        for version, names in by_version(one.study for one in studies).items()
    ]
    told = f"Of the paper's {len(CLAIMS)} claims we reproduce {listed(parts)}."
    missed = {verdict.status for of in judged.values() for verdict in of.values()} - {REPRODUCED}
    told += " The others are reproduced in part." if missed == {PARTLY} else ""
    if numbers["here"].isna().all():
        return f"{told} None of the published numbers belongs to this study."
    return f"{told} {head_text(numbers)} {_limits_kept_text(ledger(numbers))}"


def _of_claims(counts: Sequence[int]) -> str:
    fewest, most = min(counts), max(counts)
    if fewest == most:
        return {0: "none", len(CLAIMS): "all"}.get(most, f"{most}")
    return f"{fewest} to {most}"


def head_text(numbers: pd.DataFrame) -> str:
    """Share of the published numbers that are met, for a caption."""
    compared = numbers.dropna(subset=["here"])
    if compared.empty:
        return "This study has none of the published numbers."
    met = (compared["in_errors"].abs() <= MET).mean()
    return (
        f"Of the published numbers {percent(met)} lie within two standard errors of ours (by chance alone "
        f"{percent(_MET_BY_CHANCE)} would)."
    )


def _limits_kept_text(groups: pd.DataFrame) -> str:
    limited = groups[groups["verdict"] != NO_LIMIT]
    keep = int((limited["verdict"] == AGREES).sum())
    if keep == len(limited):
        return "Every group of numbers for which we had set a limit keeps to it."
    verb = "keeps" if keep == 1 else "keep"
    return f"Of the {len(limited)} groups for which we had set a limit, {keep or 'none'} {verb} to it."


def compared_text(
    first: Mapping[str, Mapping[str, Verdict]], second: Mapping[str, Mapping[str, Verdict]], claims: Sequence[str]
) -> str:
    """Where the verdicts on some claims differ between two ways to judge, in the words that end a sentence.

    Args:
        first, second: {study: verdicts}.
        claims: ids of those compared.
    """
    numbers = {claim.id: number for number, claim in enumerate(CLAIMS, start=1)}
    differ = [
        f"claim {numbers[claim]} on {study} ({verdicts[claim].status}, then {second[study][claim].status})"
        for study, verdicts in first.items()
        for claim in claims
        if verdicts[claim].status != second[study][claim].status
    ]
    which = listed(numbers[claim] for claim in claims)
    if not differ:
        return f"the verdicts on claims {which} stay the same on every study as a whole"
    return f"the verdicts on claims {which} stay the same but for {listed(differ)}"


def choices_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `metric_choices`."""
    cells = {
        "entries": "{entries}",
        "mean difference (size)": "{signed:+.4f} ({mean:.4f})",
        "largest": "{largest:.3f}",
        "within 2 errors": "{within}",
    }
    return markdown_of(table.assign(within=table["within_two"].map(percent)), cells)


def rules_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `rules_table`, with a letter for each rule."""
    agreement = "{agreement_signed:+.3f}, {agreement_mean:.3f}, {agreement_largest:.3f}"
    cells = {
        "which units count as silent": "{letter}. {rule}",
        "how many": "{silent:.1f}",
        "Q − published: mean, mean size": "{q_signed:+.3f}, {q_mean:.3f}",
        "agreement − published: mean, mean size, largest": agreement,
    }
    return markdown_of(table.assign(letter=_letters(table)), cells).replace("S_ii", "$S_{ii}$")


def rules_text(table: pd.DataFrame) -> str:
    """Which rule comes closest to the published numbers, in Q and in agreement, by the letters of `rules_markdown`."""
    lettered = table.assign(letter=_letters(table))
    q, agreement = (
        lettered.loc[table[name] <= table[name].min() + EQUALLY_CLOSE, "letter"].tolist()
        for name in ("q_mean", "agreement_mean")
    )
    both = [rule for rule in q if rule in agreement]
    told = f"Q fits the published values best under {listed(q)}, agreement under {listed(agreement)}."
    if not both:
        return f"{told} No rule fits both."
    return f"{told} Only {listed(both)} {'fits' if len(both) == 1 else 'fit'} both."


def _letters(rules: pd.DataFrame) -> list[str]:
    return list(ascii_uppercase[: len(rules)])


def ledger_texts(numbers: pd.DataFrame) -> dict[str, str]:
    """What `published_beside_ours` says, in words."""
    groups = ledger(numbers)
    return {
        "n_numbers": f"{(groups['numbers'] - groups['missing']).sum():,}",
        "ledger_head": head_text(numbers),
        "ledger_sentence": _groups_text(groups),
        "far_sentence": far_text(numbers),
    }


def _groups_text(groups: pd.DataFrame) -> str:
    """Whether the limits are kept to, and which group with a limit has the fewest numbers within two errors."""
    limited = groups[groups["verdict"] != NO_LIMIT]
    if limited.empty:
        return "No group with a limit belongs to this study."
    farthest = limited.iloc[int(limited["within_two"].argmin())]
    signed = float(farthest["signed"])
    systematic = abs(signed) >= ONE_WAY * farthest["mean"]
    which = "higher" if signed > 0 else "lower"
    return (
        f"{_limits_kept_text(groups)} The least close of them is “{farthest['group']}”. Ours are {abs(signed):.3f} "
        f"{which} there on average, {'nearly all one way' if systematic else 'some higher and some lower'}, and "
        f"{percent(farthest['within_two'])} lie within two errors."
    )


def far_text(numbers: pd.DataFrame) -> str:
    """Which published values of Q lie more than two errors off, and whether they have something in common."""
    q = numbers[numbers["group"] == GROUPS[0].title].dropna(subset=["here"])
    far = q[q["in_errors"].abs() > 2]
    if far.empty:
        return f"No published Q lies more than two errors off ({len(q)} were compared)."
    names = far["what"].str.split(", ", expand=True)
    kinds = names[0].map(MEASURE_LABELS) + " under " + names[1].replace(SWEEP_NAMES)
    counts = kinds.value_counts()
    most = counts[counts >= 3].head(3)
    below = int((far["difference"] < 0).sum())
    told = f"Of {len(q)} published values of Q {len(far)} lie more than two errors off, and ours are lower in {below}."
    if most.empty:
        return f"{told} No measure has more than two of them in one sweep."
    return f"{told} Most often it is {listed(f'{kind} ({count})' for kind, count in most.items())}."


def studies_markdown(studies: Sequence[Results]) -> str:
    """Markdown table: how many networks and runs each study has."""
    rows = ([f"`{one.study.name}`", one.study.runs, len(one.study.settings()), one.study.untrained] for one in studies)
    return markdown(["study", "runs", "settings", "untrained networks"], rows)


def number_text(what: str) -> str:
    """The name of a published number as `published_beside_ours` has it, in the words of the book.

    What the name of its group says anyway, such as mean or untrained, is left out.

    >>> number_text("input_covariance, l1, 0.00316228"), number_text("vi_norm, similarity_spearman")
    ('input covariance, L1 0.0032', 'VI (norm) and RSA (Spearman)')
    >>> number_text("trained, output_hessian, output_gradient"), number_text("input_gradient, sd")
    ('output Hessian and output gradient', 'input gradient')
    """
    parts = what.split(", ")
    named = listed(_LABELS[part] for part in parts if part in _LABELS)
    at = [setting_text(name, float(strength)) for name, strength in pairwise(parts) if name in SWEEP_NAMES]
    return ", ".join([named, *at])


def ledger_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `ledger.ledger`."""
    counted = (table["numbers"] - table["missing"]).astype(str)
    counted = counted.where(table["missing"] == 0, counted + " of " + table["numbers"].astype(str))
    cells = {
        "published numbers": "{group} ({figure})",
        "how many": "{counted}",
        "verdict (limits)": "{verdict}{limits}",
        "mean difference (size)": "{signed:+.4f} ({mean:.4f})",
        "largest (where)": "{largest:.3f} ({where})",
        "within 2 errors": "{within}",
    }
    shown = _compared(table).assign(
        counted=counted, limits=table.apply(_limits_text, axis=1), within=table["within_two"].map(percent)
    )
    return markdown_of(shown, cells).replace("| -", "| −")


def farthest_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `ledger.ledger`: the number of each group that is most errors off."""
    cells = {"published numbers": "{group} ({figure})", "which": "{farthest_where}", "errors": "{farthest:.1f}"}
    return markdown_of(_compared(table), cells)


def _compared(table: pd.DataFrame) -> pd.DataFrame:
    def told(what: str) -> str:
        return number_text(what).replace("|w|", r"$\lvert w \rvert$") if what else "–"  # a | would end the cell

    return table.assign(where=table["at"].map(told), farthest_where=table["farthest_at"].map(told))


def _limits_text(row: pd.Series) -> str:
    limits = {"mean": row["limit_mean"], "each": row["limit_each"]}
    told = ", ".join(f"{what} {limit:g}" for what, limit in limits.items() if pd.notna(limit))
    return f" ({told})" if told else ""


_LABELS = {**MEASURE_LABELS, **METRIC_LABELS, **NETWORK_LABELS}

"""Words on modularity: the claims in short, effects of the regularisers, and numbers of modules."""

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import get_args

import pandas as pd

from modularity_lib.book.words.is_it_modules import FewModules
from modularity_lib.book.words.prose import capitalised, effect_text, listed, markdown, percent, span
from modularity_lib.book.words.verdicts import detail_text
from modularity_lib.findings.claims import (
    BAND,
    DRAMATIC,
    NOT_REPRODUCED,
    PARTLY,
    REPRODUCED,
    DropoutEvidence,
    PenaltyEvidence,
    Verdict,
)
from modularity_lib.findings.effects import LEVEL, usable_strengths
from modularity_lib.findings.inference import Effect, Trial
from modularity_lib.studies.catalogue import Study
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import (
    FAMILY,
    LABELS,
    MEASURE_LABELS,
    MEASURES,
    REGULARISERS,
    SWEEP_NAMES,
    Family,
    Measure,
    Regulariser,
    quantity_of,
    strength_text,
)

_SHOWN_ORDER = tuple(reversed(REGULARISERS))  # dropout first: the claim is about it


_DROPOUT, _PENALTIES = "dropout-raises-modularity", "penalties-are-modest"
_DOES = {
    REPRODUCED: "Yes, dropout does.",
    PARTLY: "Dropout does in part.",
    NOT_REPRODUCED: "Dropout is not shown to do so.",
}
_DO_LESS = {
    REPRODUCED: "Weight penalties do less.",
    PARTLY: "Weight penalties do less in part.",
    NOT_REPRODUCED: "Weight penalties are not shown to do less.",
}


def claims_texts(verdicts: Mapping[str, Verdict], few: Sequence[FewModules] = ()) -> dict[str, str]:
    """The answer in short, the caption of the figure, and the verdicts, from those of `judge_all`.

    Args:
        few: where few rises of Q under dropout are modules, from `is_it_modules.where_few_are_modules`.
    """
    seen: PenaltyEvidence | None = verdicts[_PENALTIES].evidence
    caption = "Modularity Q against regularisation"
    if seen is not None:
        rises = {measure: of["dropout"] for measure, of in seen.by_measure.items()}
        least, most = min(rises, key=rises.__getitem__), max(rises, key=rises.__getitem__)
        caption = (
            f"Under dropout Q rises most in the {MEASURE_LABELS[most]} (by {rises[most]:.2f}) and least in the "
            f"{MEASURE_LABELS[least]} (by {rises[least]:.2f})"
        )
    return {
        "modularity_short": _short(verdicts, few),
        "modularity_caption": caption,
        "dropout_verdict": _dropout_verdict(verdicts[_DROPOUT], few),
        "penalties_verdict": _penalties_verdict(verdicts[_PENALTIES]),
    }


def _short(verdicts: Mapping[str, Verdict], few: Sequence[FewModules]) -> str:
    dropout, penalties = verdicts[_DROPOUT], verdicts[_PENALTIES]
    factors: DropoutEvidence | None = dropout.evidence
    rises: PenaltyEvidence | None = penalties.evidence
    if factors is None or rises is None:
        untold = [detail_text(name, verdicts[name]) for name in verdicts if name in (_DROPOUT, _PENALTIES)]
        return " ".join(dict.fromkeys(untold))
    average = {name: rise for name, (_, rise) in rises.average.items()}
    upstream, downstream = _by_family(factors)
    largest = quantity_of(_most(factors))
    warning = ""
    if largest in {quantity_of(one.measure) for one in few}:
        warning = f" The largest rise, that of the {MEASURE_LABELS[largest]}, is not all modules."
    received, done = (span(of, "{:.1f}".format) for of in (upstream, downstream))
    return (
        f"{_DOES[dropout.status]} At its strongest it multiplies modularity Q by {received} in the four "
        f"measures of what units receive (upstream), and by {done} in the four of what they do "
        f"(downstream).{warning} {_DO_LESS[penalties.status]} On average Q rises by up to {average['dropout']:.2f} "
        f"under dropout, by {max(average['l1'], average['l2']):.2f} under a penalty."
    )


def _by_family(seen: DropoutEvidence) -> list[list[float]]:
    return [[seen.factors[name] for name in MEASURES if FAMILY[name] == family] for family in get_args(Family)]


def _most(seen: DropoutEvidence) -> Measure:
    return max(seen.factors, key=seen.factors.__getitem__)


def _dropout_verdict(verdict: Verdict, few: Sequence[FewModules]) -> str:
    """The verdict with its evidence and what the paper's figures give; the rule stands in the ledger."""
    seen: DropoutEvidence | None = verdict.evidence
    if seen is None:
        return f"{capitalised(verdict.status)}. {detail_text(_DROPOUT, verdict)}"
    rising, dramatic, above = (len(condition.found) for condition in verdict.conditions)
    places = [f"{one.modules} of {one.of} rises of the {one.label}" for one in few]
    warning = f" But not all rises are modules: only {listed(places)} are, over all strengths." if few else ""
    size = f"by a factor of {DRAMATIC:g} or more"
    beyond = f"more than {BAND:g} standard deviations above the untrained networks"
    counts = (
        f"In {_of_all(rising)} Q rises {size}, to {beyond}."
        if rising == dramatic == above
        else f"Q rises in {_of_all(rising)}, {size} in {dramatic}. In {above} it comes to lie {beyond}."
    )
    return f"{capitalised(verdict.status)}. {counts} On average it rises by {_beside_paper(verdict)}.{warning}"


def _of_all(count: int) -> str:
    """How many of the measures."""
    return f"all {count} measures" if count == len(MEASURES) else f"{count} of {len(MEASURES)} measures"


def _penalties_verdict(verdict: Verdict) -> str:
    seen: PenaltyEvidence | None = verdict.evidence
    if seen is None:
        return f"{capitalised(verdict.status)}. {detail_text(_PENALTIES, verdict)}"
    exceptions = []
    for measure, of in seen.by_measure.items():
        larger: Regulariser = "l1" if of["l1"] >= of["l2"] else "l2"
        if of["dropout"] <= of[larger]:
            label = f"{MEASURE_LABELS[measure]} ({SWEEP_NAMES[larger]} {of[larger]:+.2f}, dropout {of['dropout']:+.2f})"
            exceptions.append(f"the {label}")
    most = len(seen.by_measure) - len(exceptions)
    but = f", but not in {listed(exceptions)}" if exceptions else ""
    return (
        f"{capitalised(verdict.status)}. On average dropout raises Q by {_beside_paper(verdict)} more than the better "
        f"penalty. Dropout's rise is the largest in {_of_all(most)}{but}."
    )


def _beside_paper(verdict: Verdict) -> str:
    paper = "" if verdict.paper is None else f" (the paper's figures give {verdict.paper:.2f})"
    return effect_text(verdict.effect, digits=2) + paper


def effect_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `effect_table`: a row per measure and layer; rise, interval and both adjusted p-values."""
    by_regulariser = [rows.set_index(["measure", "layer"]) for rows in _by_regulariser(table).values()]
    if not by_regulariser:
        return "No sweep has two strengths that could be analysed in every run."
    heads = [[_sweep_label(rows), "*p* (Holm; joint)"] for rows in by_regulariser]
    lines = [
        [MEASURE_LABELS[measure], layer, *chain(*(_cells(rows.loc[(measure, layer)]) for rows in by_regulariser))]
        for measure, layer in by_regulariser[0].index
    ]
    return markdown(["measure", "layer", *chain(*heads)], lines)


def _cells(row: pd.Series) -> list[str]:
    found = row[["rise", "smallest", "largest", "low", "high", "p_value", "smallest_p", "n_runs"]].astype(object)
    effect = Effect(*found.where(found.notna(), None))
    return [effect_text(effect, sign="+"), f"{row['p_holm']:.2g}; {row['p_joint']:.2g}"]


def sure_text(table: pd.DataFrame, results: Results) -> str:
    """In how many pairs of measure and layer Q rises or falls, corrected for their number, from `effect_table`."""
    rises, falls, strengths = [], [], []
    for name, rows in _by_regulariser(table).items():
        up, down = (int(((rows["p_joint"] < LEVEL) & which).sum()) for which in (rows["rise"] > 0, rows["rise"] < 0))
        rises.append(f"{up} under {SWEEP_NAMES[name]}")
        falls += [f"{down} under {SWEEP_NAMES[name]}"] if down else []
        strengths.append(f"{SWEEP_NAMES[name]} {strength_text(rows['strongest'].iloc[0])}")
    if not rises:
        return "No sweep could be tested in every run."
    n_tests, n_runs = int(table.groupby("regulariser").size().iloc[0]), int(table["n_runs"].iloc[0])
    holm = min(1.0, n_tests * float(table["smallest_p"].iloc[0]))
    return (
        f"We compare each curve's left end with the strongest setting at which all runs learn: {listed(strengths)}."
        f"{_reach_text(results)} A joint sign-flip test (n = {_runs(n_runs)}) corrects for {n_tests} pairs of measure "
        f"and layer. Of these Q rises in {listed(rises)}{f', and falls in {listed(falls)}' if falls else ''}."
        + (
            f" Holm's correction gives no p below {holm:.2g} with {_runs(n_runs)}, so it cannot decide."
            if holm > LEVEL
            else ""
        )
    )


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


def effects_markdown(table: pd.DataFrame) -> str:
    """Markdown table of what `effect_table` says, a row per regulariser."""
    rows = []
    for of in _by_regulariser(table).values():
        above, below = of["low"].fillna(of["smallest"]) > 0, of["high"].fillna(of["largest"]) < 0
        sure, up = of["p_joint"] < LEVEL, of["rise"] > 0
        change = f"{of['rise'].min():+.2f} to {of['rise'].max():+.2f}"
        counts = [int(which.sum()) for which in (above, below, sure & up, sure & ~up)]
        rows.append([_sweep_label(of), change, len(of), *counts])
    if not rows:
        return "No sweep could be tested in every run."
    corrected = f"joint p < {LEVEL:g}"
    heads = ["regulariser", "change of Q", "pairs of measure and layer", "rises", "falls"]
    return markdown([*heads, f"rises, {corrected}", f"falls, {corrected}"], rows)


def correction_text(table: pd.DataFrame) -> str:
    """What so few runs can prove, and how the tests of `effect_table` are corrected."""
    if table.empty:
        return ""
    n_runs, smallest_p = int(table["n_runs"].iloc[0]), float(table["smallest_p"].iloc[0])
    n_tests = int(table.groupby("regulariser").size().iloc[0])
    least = min(1.0, n_tests * smallest_p)
    reach = "cannot fall below" if least > LEVEL else "can reach"
    return (
        "Rises and falls are counted by the interval of each. The p-value is that of a sign-flip test: we flip the "
        "signs of the runs in every way, and count the flips whose mean lies at least as far from 0. With "
        f"{n_runs} runs it is {smallest_p:.2g} at the least. The {n_tests} tests of a regulariser are corrected "
        "together, in two ways. Holm's method multiplies the smallest p by the number of tests, and so "
        f"{reach} {LEVEL:g} here: {least:.2g} is the smallest it can give. The joint one flips each run in all tests "
        "at once and compares with the test that comes farthest from 0 (Westfall and Young). It allows for tests that "
        f"share their runs, and can give {smallest_p:.2g}."
    )


def _by_regulariser(table: pd.DataFrame) -> dict[Regulariser, pd.DataFrame]:
    """The rows of each regulariser that has some, dropout first."""
    if table.empty:
        return {}
    return {name: rows for name in _SHOWN_ORDER if len(rows := table[table["regulariser"] == name])}


def axis_text(study: Study) -> str:
    """From which strength to which the axis of penalties goes."""
    parts = []
    for name in ("l2", "l1"):
        limit = study.largest_analysed_l1 if name == "l1" else math.inf
        strengths = [value for value in study.strengths(name) if 0 < value <= limit]
        if len(strengths) > 1:
            ends = f"of {strength_text(min(strengths))} to {strength_text(max(strengths))}"
            parts.append(f"{SWEEP_NAMES[name]} {ends}")
    return f"The axis spans {listed(parts)}." if parts else "There are no penalties."


def _reach_text(results: Results) -> str:
    """Which penalties lose some runs before they lose all, and from which strength on they do."""
    parts = []
    for name in ("l2", "l1"):
        usable = usable_strengths(results, name)
        rows = sweep(results.analysed("modules", trained=True), results.study, name)
        if usable and not rows.empty and rows["strength"].max() > usable[-1]:
            parts.append(f"{SWEEP_NAMES[name]} goes on to {strength_text(rows['strength'].max())}")
    return f" In the figure {listed(parts)}, where only some runs learn." if parts else ""


def trial_text(trial: Trial, n_runs: int) -> str:
    """How interval and test do without an effect, from `inference.tried_without_effect`."""
    held = (
        ""
        if trial.coverage is None
        else f" The 95 % interval holds the true mean in {percent(trial.coverage)} of them."
    )
    return (
        f"We tried both on {trial.samples:,} made-up effects (normal, mean 0, {_runs(n_runs)}).{held} At the level of "
        f"{percent(LEVEL)} the sign-flip test calls {percent(trial.called, digits=1)} of them effects."
    )


def _sweep_label(rows: pd.DataFrame) -> str:
    label = capitalised(LABELS[rows["regulariser"].iloc[0]])
    return f"{label}, {strength_text(rows['weakest'].iloc[0])} → {strength_text(rows['strongest'].iloc[0])}"


def module_texts(results: Results, live: Results) -> dict[str, str]:
    """How modular untrained networks are, and how many modules networks have at the strongest regularisation.

    Args:
        live: the same results `live_units.on_live_units`.
    """
    untrained = results.analysed("modules", trained=False)
    if untrained.empty:
        none = "There are no untrained networks in this study."
        return {"untrained_scores": none, "untrained_short": none, "module_counts": none, "module_counts_short": none}
    scores = untrained.groupby("measure")["score"]
    means = scores.mean()
    low, high = str(means.idxmin()), str(means.idxmax())
    spread = scores.std()
    return {
        "untrained_short": f"{means[low]:.2f} to {means[high]:.2f}, depending on the measure",
        "untrained_scores": (
            f"Mean Q of untrained networks goes from {means[low]:.2f} ({MEASURE_LABELS[low]}) to "
            f"{means[high]:.2f} ({MEASURE_LABELS[high]}), with standard deviations of {spread.min():.3f} to "
            f"{spread.max():.3f} over networks and layers."
        ),
        "module_counts_short": _counts_text(results),
        "module_counts": f"Over live units: {_counts_text(live)}",
    }


def _counts_text(results: Results) -> str:
    """How many modules untrained networks have, and those at the strongest settings at which all runs learn."""
    chance = results.analysed("modules", trained=False).groupby("measure")["n_modules"].mean()
    counts, compared = [f"{span(chance, '{:.1f}'.format)} in untrained networks"], dict[str, list[str]]()
    for regulariser in _SHOWN_ORDER:
        strengths = usable_strengths(results, regulariser)
        if len(strengths) < 2:
            continue
        rows = sweep(results.analysed("modules", trained=True), results.study, regulariser)
        strongest = rows[rows["strength"] == strengths[-1]].groupby("measure")["n_modules"].mean()
        fewer = int((strongest < chance[strongest.index]).sum())
        counted = span(strongest, "{:.1f}".format)
        counts.append(f"{counted} with {SWEEP_NAMES[regulariser]} {strength_text(strengths[-1])}")
        answer = {0: "no fewer", len(strongest): "fewer"}.get(fewer, f"fewer by {fewer} of {len(strongest)} measures")
        compared.setdefault(answer, []).append(SWEEP_NAMES[regulariser])
    answers = [f"Under {listed(names)} there are {answer}." for answer, names in compared.items()]
    depends = f"Depending on the measure, there are {listed(counts)}."
    return " ".join([depends, *(answer.replace("fewer", "fewer than in untrained networks", 1) for answer in answers)])

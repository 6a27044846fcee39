"""Words on modularity: the claims in short, effects of the regularisers, and numbers of modules."""

from collections.abc import Mapping
from itertools import chain

import pandas as pd

from modularity_lib.book.words.prose import capitalised, effect_text, listed, markdown, percent
from modularity_lib.book.words.verdicts import detail_text
from modularity_lib.findings.claims import (
    NOT_REPRODUCED,
    PARTLY,
    REPRODUCED,
    DropoutEvidence,
    PenaltyEvidence,
    Verdict,
)
from modularity_lib.findings.effects import LEVEL
from modularity_lib.findings.inference import Effect, Trial
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import LABELS, MEASURE_LABELS, REGULARISERS, SWEEP_NAMES, Regulariser, strength_text

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


def claims_texts(verdicts: Mapping[str, Verdict]) -> dict[str, str]:
    """The answer in short, the caption of the figure, and the verdicts, from those of `judge_all`."""
    seen: PenaltyEvidence | None = verdicts[_PENALTIES].evidence
    caption = "Modularity Q against regularisation"
    if seen is not None:
        rises = [f"{seen.average[name][1]:.2f} under {SWEEP_NAMES[name]}" for name in _SHOWN_ORDER]
        caption = f"Q rises by up to {listed(rises)}"
    return {
        "modularity_short": f"{_dropout_short(verdicts[_DROPOUT])} {_penalties_short(verdicts[_PENALTIES])}",
        "modularity_caption": caption,
        "dropout_verdict": _dropout_verdict(verdicts[_DROPOUT]),
        "penalties_verdict": _penalties_verdict(verdicts[_PENALTIES]),
    }


def _dropout_short(verdict: Verdict) -> str:
    seen: DropoutEvidence | None = verdict.evidence
    if seen is None:
        return detail_text(_DROPOUT, verdict)
    factors = seen.factors.values()
    return (
        f"{_DOES[verdict.status]} The strongest dropout multiplies Q by {min(factors):.1f} to {max(factors):.1f}, "
        "depending on the measure."
    )


def _penalties_short(verdict: Verdict) -> str:
    seen: PenaltyEvidence | None = verdict.evidence
    if seen is None:
        return detail_text(_PENALTIES, verdict)
    rises = {name: rise for name, (_, rise) in seen.average.items()}
    return (
        f"{_DO_LESS[verdict.status]} Averaged over the measures Q rises by up to {rises['dropout']:.2f} under dropout, "
        f"and by up to {max(rises['l1'], rises['l2']):.2f} under a penalty."
    )


def _dropout_verdict(verdict: Verdict) -> str:
    """The verdict with its evidence and what the paper's figures give; the rule stands in the ledger."""
    size = f" On average it rises by {_beside_paper(verdict)}." if verdict.effect else ""
    return f"{capitalised(verdict.status)}. {detail_text(_DROPOUT, verdict)}{size}"


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
    return (
        f"{capitalised(verdict.status)}. Dropout's rise minus the larger one of a penalty is {_beside_paper(verdict)}. "
        f"Measure by measure dropout's rise is the largest in {most} of {len(seen.by_measure)}"
        f"{f', but not in {listed(exceptions)}' if exceptions else ''}."
    )


def _beside_paper(verdict: Verdict) -> str:
    paper = "" if verdict.paper is None else f"; the paper's figures give {verdict.paper:.2f}"
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


def sure_text(table: pd.DataFrame) -> str:
    """In how many combinations of measure and layer Q rises or falls, corrected for their number, from "
    "`effect_table`."""
    parts = []
    for name, rows in _by_regulariser(table).items():
        up, down = (int(((rows["p_joint"] < LEVEL) & which).sum()) for which in (rows["rise"] > 0, rows["rise"] < 0))
        parts.append(f"in {up} under {SWEEP_NAMES[name]}" + (f", where it falls in {down}" if down else ""))
    if not parts:
        return "No sweep could be tested in every run."
    n_tests = int(table.groupby("regulariser").size().iloc[0])
    return f"Of {n_tests} combinations of measure and layer, and corrected for their number, Q rises {listed(parts)}."


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
    heads = ["regulariser", "change of Q", "combinations", "rises", "falls"]
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


def trial_text(trial: Trial, n_runs: int) -> str:
    """How interval and test do without an effect, from `inference.tried_without_effect`."""
    held = "" if trial.coverage is None else f"the 95 % interval holds the true mean in {percent(trial.coverage)}, and "
    return (
        f"tried on {trial.samples:,} made-up effects (normal, mean 0, {n_runs} runs), {held}the sign-flip test calls "
        f"{percent(trial.called, digits=1)} at the level of {percent(LEVEL)}."
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
            f"Mean Q of untrained networks goes from {means[low]:.3f} ({MEASURE_LABELS[low]}) to "
            f"{means[high]:.3f} ({MEASURE_LABELS[high]}), with standard deviations of {spread.min():.3f} to "
            f"{spread.max():.3f} over networks and layers."
        ),
        "module_counts_short": _counts_text(results, compared=False),
        "module_counts": f"Over all units: {_counts_text(results)} Over live units: {_counts_text(live)}",
    }


def _counts_text(results: Results, *, compared: bool = True) -> str:
    """How many modules untrained networks have, and those at the strongest regularisation.

    Args:
        compared: say in how many measures these are fewer than in untrained networks.
    """
    chance = results.analysed("modules", trained=False).groupby("measure")["n_modules"].mean()
    parts = []
    for regulariser in _SHOWN_ORDER:
        rows = sweep(results.analysed("modules", trained=True), results.study, regulariser)
        if rows.empty:
            continue
        strongest = rows[rows["strength"] == rows["strength"].max()].groupby("measure")["n_modules"].mean()
        fewer = int((strongest < chance[strongest.index]).sum())
        beside = f" (fewer than untrained in {fewer} of {len(strongest)})" if compared else ""
        at = f"{SWEEP_NAMES[regulariser]} {strength_text(rows['strength'].max())}"
        parts.append(f"{strongest.min():.1f} to {strongest.max():.1f} at {at}{beside}")
    start = f"Untrained networks have {chance.min():.1f} to {chance.max():.1f} modules, depending on the measure"
    return f"{start}. At the strongest regularisation it is {listed(parts)}." if parts else f"{start}."

"""Words on modularity: effects of the regularisers, and numbers of modules."""

from itertools import chain

import pandas as pd

from modularity_lib.book.words.prose import capitalised, effect_text, markdown
from modularity_lib.findings.effects import LEVEL
from modularity_lib.findings.inference import Effect, Trial
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import LABELS, MEASURE_LABELS, REGULARISERS

_SHOWN_ORDER = tuple(reversed(REGULARISERS))  # dropout first: the claim is about it


def effect_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `effect_table`: a row per measure and layer; rise, interval and both adjusted p-values."""
    shown = [name for name in _SHOWN_ORDER if (table["regulariser"] == name).any()]
    if not shown:
        return "No sweep has two strengths that could be analysed in every run."
    by_regulariser = [table[table["regulariser"] == name].set_index(["measure", "layer"]) for name in shown]
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


def effects_text(table: pd.DataFrame) -> str:
    """Markdown: what `effect_table` says, an item per regulariser, and what so few runs can prove."""
    if table.empty:
        return "No sweep could be tested in every run."
    items = []
    for name in _SHOWN_ORDER:
        rows = table[table["regulariser"] == name]
        if rows.empty:
            continue
        above, below = rows["low"].fillna(rows["smallest"]) > 0, rows["high"].fillna(rows["largest"]) < 0
        sure, up = rows["p_joint"] < LEVEL, rows["rise"] > 0
        items.append(
            f"* **{_sweep_label(rows)}**: Q changes by {rows['rise'].min():+.3f} to {rows['rise'].max():+.3f}. Of "
            f"{len(rows)} combinations of measure and layer it rises in {int(above.sum())} and falls in "
            f"{int(below.sum())}; adjusted for their number (joint p < {LEVEL:g}), it rises in "
            f"{int((sure & up).sum())} and falls in {int((sure & ~up).sum())}."
        )
    n_runs, smallest_p = int(table["n_runs"].iloc[0]), float(table["smallest_p"].iloc[0])
    n_tests = int(table.groupby("regulariser").size().iloc[0])
    least = min(1.0, n_tests * smallest_p)
    reach = "cannot fall below" if least > LEVEL else "can reach"
    limit = (
        "The first count goes by the interval of each. "
        "*p* is that of a sign-flip test: the signs of the runs are flipped in every way, and p is the share of flips "
        f"whose mean lies at least as far from 0. With {n_runs} runs it is {smallest_p:.2g} at the least. The "
        f"{n_tests} tests of a regulariser are adjusted together, in two ways. Holm's method multiplies the smallest p "
        f"by the number of tests, and so {reach} {LEVEL:g} here: {least:.2g} is the smallest it can give. The joint "
        "one flips each run in all tests at once and compares with the test that comes farthest from 0 (Westfall and "
        f"Young); it allows for tests that share their runs, and can give {smallest_p:.2g}."
    )
    return "\n".join(items) + "\n\n" + limit


def trial_text(trial: Trial, n_runs: int) -> str:
    """How interval and test do without an effect, from `inference.tried_without_effect`."""
    held = "" if trial.coverage is None else f"the 95 % interval holds the true mean in {trial.coverage:.0%}, and "
    return (
        f"tried on {trial.samples:,} made-up effects (normal, mean 0, {n_runs} runs), {held}the sign-flip test calls "
        f"{trial.called:.1%} at the level of {LEVEL:.0%}."
    )


def _sweep_label(rows: pd.DataFrame) -> str:
    label = capitalised(LABELS[rows["regulariser"].iloc[0]])
    return f"{label}, {rows['weakest'].iloc[0]:.2g} → {rows['strongest'].iloc[0]:.2g}"


def module_texts(results: Results, live: Results) -> dict[str, str]:
    """How modular untrained networks are, and how many modules networks have at the strongest regularisation.

    Args:
        live: the same results `live_units.on_live_units`.
    """
    untrained = results.analysed("modules", trained=False)
    if untrained.empty:
        none = "There are no untrained networks in this study."
        return {"untrained_scores": none, "module_counts": none}
    scores = untrained.groupby("measure")["score"]
    means = scores.mean()
    low, high = str(means.idxmin()), str(means.idxmax())
    spread = scores.std()
    return {
        "untrained_scores": (
            f"Mean Q of untrained networks goes from {means[low]:.3f} ({MEASURE_LABELS[low]}) to "
            f"{means[high]:.3f} ({MEASURE_LABELS[high]}), with standard deviations of {spread.min():.3f} to "
            f"{spread.max():.3f} over networks and layers."
        ),
        "module_counts": f"{_counts_text(results)} Over live units: {_counts_text(live)}",
    }


def _counts_text(results: Results) -> str:
    """How many modules untrained networks have, and those at the strongest regularisation."""
    chance = results.analysed("modules", trained=False).groupby("measure")["n_modules"].mean()
    parts = []
    for regulariser in reversed(REGULARISERS):
        rows = sweep(results.analysed("modules", trained=True), results.study, regulariser)
        if rows.empty:
            continue
        strongest = rows[rows["strength"] == rows["strength"].max()].groupby("measure")["n_modules"].mean()
        fewer = int((strongest < chance[strongest.index]).sum())
        parts.append(
            f"{LABELS[regulariser]} {rows['strength'].max():.2g}: {strongest.min():.1f} to {strongest.max():.1f} "
            f"(fewer than untrained in {fewer} of {len(strongest)})"
        )
    return (
        f"Untrained networks have {chance.min():.1f} to {chance.max():.1f} modules by measure. At the strongest "
        f"analysed regularisation it is, by measure: {'; '.join(parts)}."
    )

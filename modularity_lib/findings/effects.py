"""How much each regulariser changes Q, measure by measure and layer by layer, and how sure that is."""

import numpy as np
import pandas as pd

from modularity_lib.figures import LOOKS
from modularity_lib.findings.inference import Trial, effect_over_runs, holm, joint_sign_flips
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import MEASURE_LABELS, MEASURES, PANEL_ORDER, REGULARISERS

LEVEL = 0.05
_SHOWN_ORDER = tuple(reversed(REGULARISERS))  # dropout first: the claim is about it


def usable_strengths(results: Results, regulariser: str) -> list[float]:
    """Strengths of a sweep at which every run has a score in every measure and layer, the left end of its curve first.

    Empty where the left end itself has not.
    """
    study = results.study
    rows = sweep(results.analysed("modules", trained=True), study, regulariser)
    complete = rows.groupby("strength").size() == len(MEASURES) * len(study.hidden) * study.runs
    usable = [strength for strength in study.strengths(regulariser) if complete.get(strength, False)]
    return usable if usable[:1] == study.strengths(regulariser)[:1] else []


def effect_table(results: Results) -> pd.DataFrame:
    """Rise of Q from the left end of each sweep to its strongest usable strength, paired by run.

    Returns:
        a row per regulariser, measure and layer:
        weakest, strongest: the two strengths (see `usable_strengths`); q_weakest, q_strongest: mean Q at each;
        rise, low, high: mean difference over runs and its BCa 95 % interval (NaN with fewer than 6 runs);
        smallest, largest: single runs; n_runs; p_value: exact sign-flip test, two-sided, at least smallest_p;
        p_holm, p_joint: adjusted over the measures and layers of the regulariser, see `inference`.
        A regulariser without two usable strengths has no rows.
    """
    parts = []
    for regulariser in REGULARISERS:
        strengths = usable_strengths(results, regulariser)
        if len(strengths) < 2:
            continue
        weakest, strongest = strengths[0], strengths[-1]
        rows = sweep(results.analysed("modules", trained=True), results.study, regulariser)
        scores = rows.pivot_table(index=["measure", "layer"], columns=["strength", "run"], values="score")
        scores = scores.reindex(PANEL_ORDER, level="measure")
        before, after = (scores.xs(strength, axis=1).to_numpy() for strength in (weakest, strongest))
        effects = [effect_over_runs(values) for values in after - before]
        table = scores.index.to_frame(index=False).assign(
            regulariser=regulariser,
            weakest=weakest,
            strongest=strongest,
            q_weakest=before.mean(axis=1),
            q_strongest=after.mean(axis=1),
            rise=[effect.mean for effect in effects],
            low=[np.nan if effect.low is None else effect.low for effect in effects],
            high=[np.nan if effect.high is None else effect.high for effect in effects],
            smallest=[effect.smallest for effect in effects],
            largest=[effect.largest for effect in effects],
            n_runs=[effect.n_runs for effect in effects],
            p_value=[effect.p_value for effect in effects],
            smallest_p=[effect.smallest_p for effect in effects],
            p_holm=holm([effect.p_value for effect in effects]),
            p_joint=joint_sign_flips(after - before),
        )
        parts.append(table)
    if not parts:
        return pd.DataFrame(columns=["measure", "layer", "regulariser"])
    table = pd.concat(parts, ignore_index=True)
    return table[["regulariser", "measure", "layer", *table.columns.drop(["regulariser", "measure", "layer"])]]


def effect_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `effect_table`: a row per measure and layer; rise, interval and both adjusted p-values."""
    shown = [name for name in _SHOWN_ORDER if (table["regulariser"] == name).any()]
    if not shown:
        return "No sweep has two strengths that could be analysed in every run."
    by_regulariser = {name: table[table["regulariser"] == name].set_index(["measure", "layer"]) for name in shown}
    heads = [_sweep_label(table[table["regulariser"] == name]) for name in shown]
    lines = [f"| measure | layer | {' | '.join(f'{head} | *p* (Holm; joint)' for head in heads)} |"]
    lines.append("|---|---|" + "---|---|" * len(shown))
    for measure, layer in by_regulariser[shown[0]].index:
        cells = [_cells(rows.loc[(measure, layer)]) for rows in by_regulariser.values()]
        lines.append(f"| {MEASURE_LABELS[measure]} | {layer} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cells(row: pd.Series) -> str:
    low, high = ("smallest", "largest") if np.isnan(row["low"]) else ("low", "high")
    brackets = "({} to {})" if low == "smallest" else "[{}, {}]"
    bounds = brackets.format(f"{row[low]:.3f}", f"{row[high]:.3f}")
    return f"{row['rise']:+.3f} {bounds} | {row['p_holm']:.2g}; {row['p_joint']:.2g}"


def effect_summary(table: pd.DataFrame) -> str:
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
        "The first count goes by the interval of each, or by every run where they are too few for one. "
        "*p* is that of a sign-flip test: the signs of the runs are flipped in every way, and p is the share of flips "
        f"whose mean lies at least as far from 0. With {n_runs} runs it is {smallest_p:.2g} at the least. The "
        f"{n_tests} tests of a regulariser are adjusted together, in two ways. Holm's method multiplies the smallest p "
        f"by the number of tests, and so {reach} {LEVEL:g} here: {least:.2g} is the smallest it can give. The joint "
        "one flips each run in all tests at once and compares with the test that comes farthest from 0 (Westfall and "
        f"Young); it allows for tests that share their runs, and can give {smallest_p:.2g}."
    )
    return "\n".join(items) + "\n\n" + limit


def trial_sentence(trial: Trial, n_runs: int) -> str:
    """What `inference.tried_without_effect` says, in words."""
    held = "" if trial.coverage is None else f"the 95 % interval holds the true mean in {trial.coverage:.0%}, and "
    return (
        f"tried on {trial.samples:,} made-up effects (normal, mean 0, {n_runs} runs), {held}the sign-flip test calls "
        f"{trial.called:.1%} at the level of {LEVEL:.0%}."
    )


def _sweep_label(rows: pd.DataFrame) -> str:
    label = LOOKS[rows["regulariser"].iloc[0]].label
    return f"{label[0].upper()}{label[1:]}, {rows['weakest'].iloc[0]:.2g} → {rows['strongest'].iloc[0]:.2g}"

"""Words on modularity: effects of the regularisers, and numbers of modules."""

from itertools import chain

import pandas as pd

from modularity_lib.book.words.prose import capitalised, effect_text, markdown
from modularity_lib.findings.effects import LEVEL
from modularity_lib.findings.inference import Effect, Trial
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import LABELS, MEASURE_LABELS, REGULARISERS

_SHOWN_ORDER = tuple(reversed(REGULARISERS))  # dropout first: the claim is about it
# What it means when most rises of Q are of one kind.
_ANSWERS = {
    MODULES: "units form modules",
    IN_COMMON: "units have less in common",
    CHANCE: "Q rises as it does by chance",
    MIXED: "units form modules and have less in common",
}


def confounds_markdown(table: pd.DataFrame, results: Results) -> str:
    """Markdown table of Q and its possible confounds without dropout and at the strongest; means over runs."""
    rows = sweep(table, results.study, "dropout")
    if rows.empty:
        return "The similarity matrices of this study are not at hand."
    rows = rows[rows["strength"].isin([rows["strength"].min(), rows["strength"].max()])]
    rows = rows.groupby(["measure", "layer", "strength"]).mean(numeric_only=True).reset_index()
    rows = rows.sort_values("measure", key=lambda names: names.map(NORMALISED.index), kind="stable")
    cells = {
        "measure": "{label}",
        "layer": "{layer}",
        "dropout": "{strength:g}",
        "live units": "{live_units:.0f}",
        "similarity: mean, within, across modules": "{mean:.2f}, {within:.2f}, {across:.2f}",
        "participation ratio": "{participation:.2f}",
        "test accuracy": "{test_accuracy:.1%}",
        "Q: found, as much in common, shuffled, random directions": (
            "{score:.3f}, {score_equal:.3f}, {score_shuffled:.3f}, {score_directions:.3f}"
        ),
    }
    return markdown_of(rows.assign(label=rows["measure"].map(MEASURE_LABELS)), cells)


def texts(table: pd.DataFrame, made_up: pd.DataFrame, results: Results) -> dict[str, str]:
    """What a weaker common factor explains, in sentences; for the rules see `split_table` and `prevailing`."""
    most, least = (Fraction(share).limit_denominator(10) for share in (MOST, LEAST))
    rule = (
        f"Such a rise is called (a) {IN_COMMON}, if at most {least} of it is left with as much in common; otherwise "
        f"(b) {CHANCE}, if the rise of Q as found is less than {CLEAR:g} above that of a null; otherwise "
        f"(c) {MODULES}, if at least {most} of it is left; otherwise (d) {MIXED}. The answer is the name of at least "
        f"{most} of the rises."
    )
    known = {"common_rule": rule, "common_check": _check_text(made_up)}
    told = ("common_course", "common_shared", "common_chance", "common_penalties", "common_held")
    if table.empty:
        absent = f"The similarity matrices of {results.study.name} are not at hand, so this could not be asked of it."
        asked = {"common_n": "no network", "common_answer": absent, "common_penalties": "not asked."}
        return known | dict.fromkeys(told, "") | asked
    networks, runs = len(table[["run", *REGULARISERS]].drop_duplicates()), table["run"].nunique()
    splits = split_table(table, results, "dropout")
    last = strongest(splits)
    penalties = [(strongest(split_table(table, results, name)), name) for name in ("l2", "l1")]
    return known | {
        "common_n": f"{networks:,} networks of {runs} of {results.study.runs} runs, {len(table):,} matrices",
        "common_answer": answer_text(last, "dropout", results.study),
        "common_course": _course_text(splits),
        "common_shared": _shared_text(last),
        "common_chance": _chance_text(last),
        "common_penalties": " ".join(answer_text(rows, name, results.study) for rows, name in penalties),
        "common_held": _held_text(splits),
    }


def answer_text(last: pd.DataFrame, regulariser: str, study: Study) -> str:
    """Rises of Q at one strength, how much of them remains with as much in common, and the answer."""
    label = LABELS[regulariser]
    if last.empty:
        return f"No network with {label} was analysed."
    split = last[last["kind"] != ""]
    start = (
        f"At {label} {last['strength'].iloc[0]:.2g} ({_runs_text(last, study)}) Q has changed by "
        f"{last['rise'].min():+.3f} to {last['rise'].max():+.3f}, and risen by {CLEAR:g} or more in "
        f"{len(split)} of {len(last)} combinations of measure, layer and run"
    )
    if split.empty:
        return f"{start}: {_answer(split['kind'])}."
    live = f" ({1 + last['live_change'].mean():.0%} of the units that were live still are, on average)"
    return (
        f"{start}{live if regulariser != 'dropout' else ''}. These rises are {_over_runs(split, 'rise')} on average; "
        f"with as much in common as without they would be {_over_runs(split, 'remains')}. They count as "
        f"{_counted(split['kind'])}. The answer: {_answer(split['kind'])}."
    )


def _runs_text(rows: pd.DataFrame, study: Study) -> str:
    """Which runs are shown: all, or those that could be measured."""
    runs = rows["run"].unique()
    if len(runs) == 1:
        return f"run {runs[0]} alone, of {study.runs}"
    return f"all {study.runs} runs" if len(runs) == study.runs else f"{len(runs)} of {study.runs} runs"


def _over_runs(split: pd.DataFrame, column: str) -> str:
    """Mean over runs of their means, with the 95 % interval."""
    effect = effect_over_runs(split.groupby("run")[column].mean().to_numpy())
    return f"{effect.mean:.3f}{interval_text(effect, before=' ')}"


def _answer(kinds: pd.Series) -> str:
    if (kinds == "").all():
        return "there is no rise to split"
    return _ANSWERS.get(prevailing(kinds), "it depends on measure, layer and strength")


def _counted(kinds: pd.Series) -> str:
    counts = kinds.value_counts()
    return ", ".join(f"{kind} in {counts[kind]}" for kind in _ANSWERS if kind in counts.index)


def _course_text(splits: pd.DataFrame) -> str:
    """Rises at all strengths, and where units have less in common."""
    split = splits[splits["kind"] != ""]
    if split.empty:
        return ""
    text = (
        f"At all strengths of dropout there are {len(split)} such rises, of {split['rise'].mean():.3f} on average. "
        f"They count as {_counted(split['kind'])}."
    )
    less = split[split["kind"] == IN_COMMON]
    if less.empty:
        return text
    measure, layer = less[["measure", "layer"]].value_counts().index.to_frame(index=False).iloc[0]
    rows = less[(less["measure"] == measure) & (less["layer"] == layer)]
    low, high = rows["strength"].min(), rows["strength"].max()
    strengths = f"dropout {low:g}" if low == high else f"dropout {low:g} to {high:g}"
    return (
        f"{text} Of those that are {IN_COMMON}, {len(rows)} of {len(less)} are of one measure and layer, the "
        f"{MEASURE_LABELS[str(measure)]} in layer {layer} at {strengths}."
    )


def _shared_text(last: pd.DataFrame) -> str:
    """Whether units have less in common at all: mean similarity, overall and between modules."""
    means, across = last["mean_change"], last["across_change"]
    return (
        f"At the strongest dropout the mean similarity of two units is {_relative(means)} than without, on average, "
        f"and lower in {int((means < 0).sum())} of {len(last)} combinations; that of units in different modules is "
        f"{_relative(across)}, and lower in {int((across < 0).sum())}."
    )


def _relative(changes: pd.Series) -> str:
    return f"{abs(changes.mean()):.0%} {'higher' if changes.mean() >= 0 else 'lower'}"


def _chance_text(last: pd.DataFrame) -> str:
    """How much of the rise the nulls show too, and how far Q lies above them at both ends."""
    split = last[last["kind"] != ""]
    if split.empty:
        return ""
    total = split["rise"].sum()
    by_place = split.groupby(["measure", "layer"])[["rise_shuffled", "rise"]].sum()
    shares = by_place["rise_shuffled"] / by_place["rise"]
    measure, layer = shares.index.to_frame(index=False).iloc[int(shares.argmax())]
    before, after = (int((last[name] >= CLEAR).sum()) for name in ("excess_before", "excess"))
    return (
        f"Shuffled similarities show {split['rise_shuffled'].sum() / total:.0%} of these rises, most for the "
        f"{MEASURE_LABELS[measure]} in layer {layer} ({shares.max():.0%}); random directions in as few "
        f"dimensions show {split['rise_directions'].sum() / total:.0%}. Q is above that of random directions by "
        f"{last['excess_before'].mean():.3f} without dropout and by {last['excess'].mean():.3f} with the strongest, on "
        f"average; by {CLEAR:g} or more in {before} and in {after} of {len(last)} combinations."
    )


def _held_text(splits: pd.DataFrame) -> str:
    """How often the counterfactual clips, and whether a shift to the same mean gives the same answer."""
    return (
        f"In networks with dropout the rescaling leaves {splits['clipped'].mean():.0%} of the pairs at 0, in one "
        f"matrix {splits['clipped'].max():.0%}. With a shift that holds the mean similarity instead, the answer for "
        f"the strongest dropout is: {_answer(strongest(splits)['kind_shifted'])}."
    )


def _check_text(made_up: pd.DataFrame) -> str:
    """How far each counterfactual is from the truth on matrices made up for it, in percent of the change of Q."""
    change = (made_up["q_after"] - made_up["q_before"]).abs()
    missed = pd.DataFrame({name: (made_up[name] - made_up["truth"]).abs() / change for name in ("rescaled", "shifted")})
    means = missed.groupby(made_up["kind"], sort=False).mean()
    listed = "; ".join(f"{kind}: {row['rescaled']:.0%} and {row['shifted']:.0%}" for kind, row in means.iterrows())
    closer = "closer to it than" if missed["rescaled"].mean() < missed["shifted"].mean() else "no closer to it than"
    return (
        f"On {len(made_up)} pairs of made-up matrices with planted blocks, for which the true answer is known, the "
        f"rescaling comes {closer} a shift by a constant. In percent of the change of Q they miss it by ({listed})."
    )


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

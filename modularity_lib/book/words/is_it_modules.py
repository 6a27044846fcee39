"""Words on what a rise of Q is: modules, less in common, or what nulls without modules show too."""

from collections.abc import Sequence
from fractions import Fraction

import pandas as pd

from modularity_lib.book.words.prose import interval_text, markdown_of, percent
from modularity_lib.findings import rotated
from modularity_lib.findings.inference import effect_over_runs
from modularity_lib.findings.rises import (
    CHANCE,
    CLEAR,
    IN_COMMON,
    LEAST,
    MIXED,
    MODULES,
    MOST,
    MOST_LIVE_CHANGE,
    NOT_COMPARABLE,
    prevailing,
    split_table,
    strongest,
)
from modularity_lib.studies.catalogue import Study
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import LABELS, MEASURE_LABELS, NORMALISED, REGULARISERS, strength_text

# What it means when most rises of Q are of one kind.
_ANSWERS = {
    MODULES: "units form modules",
    IN_COMMON: "units have less in common",
    CHANCE: "Q rises as it does by chance",
    MIXED: "units form modules and have less in common",
    NOT_COMPARABLE: "the layers cannot be compared, since other numbers of their units are live",
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
        "test accuracy": "{accuracy}",
        "Q: found, as much in common, shuffled, random directions": (
            "{score:.3f}, {score_equal:.3f}, {score_shuffled:.3f}, {score_directions:.3f}"
        ),
    }
    accuracy = [percent(accuracy, digits=1) for accuracy in rows["test_accuracy"]]
    return markdown_of(rows.assign(label=rows["measure"].map(MEASURE_LABELS), accuracy=accuracy), cells)


def texts(table: pd.DataFrame, turned: pd.DataFrame | None, made_up: pd.DataFrame, results: Results) -> dict[str, str]:
    """What a weaker common factor and the nulls explain, in sentences; for the rule see `split_table` and `prevailing`.

    Args:
        table: `common_mode_table`.
        turned: the table of the finding `rotated`, if it is at hand.
        made_up: `made_up_blocks.made_up_table`.
    """
    known = {"modules_rule": _rule_text(), "common_check": _check_text(made_up)}
    told = ("modules_counts", "modules_course", "common_shared", "common_chance", "common_penalties", "common_held")
    if table.empty:
        absent = f"The similarity matrices of {results.study.name} are not at hand, so this could not be asked of it."
        asked = {"common_n": "no network", "modules_answer": absent, "common_caption": "Not at hand for this study"}
        return known | dict.fromkeys((*told, "penalties_short"), "") | asked
    networks, runs = len(table[["run", *REGULARISERS]].drop_duplicates()), table["run"].nunique()
    splits = dropout_splits(table, turned, results)
    last = strongest(splits)
    penalties = [(strongest(split_table(table, results, name)), name) for name in ("l2", "l1")]
    return known | {
        "common_n": f"{networks:,} networks of {runs} of {results.study.runs} runs, {len(table):,} matrices",
        "modules_answer": front_text(splits, results.study),
        "modules_counts": _counts_text(splits, results.study),
        "common_caption": _caption(last),
        "penalties_short": _penalties_text(penalties),
        "modules_course": answer_text(last, "dropout", results.study) + _course_text(splits),
        "common_shared": _shared_text(last),
        "common_chance": _chance_text(last),
        "common_penalties": " ".join(answer_text(rows, name, results.study) for rows, name in penalties),
        "common_held": _held_text(splits),
    }


def dropout_splits(table: pd.DataFrame, turned: pd.DataFrame | None, results: Results) -> pd.DataFrame:
    """`split_table` of the sweep of dropout, with the null of rotations where it is at hand."""
    return split_table(table, results, "dropout", None if turned is None else rotated.rises(turned, results))


def front_text(splits: pd.DataFrame, study: Study) -> str:
    """In short: what the rises are at the strongest dropout, how many are modules, and where fewest are."""
    last = strongest(splits)
    rises, fit = last.loc[last["kind"] != "", "kind"], _comparable(splits)
    if fit.empty:
        return "There is no rise of Q that could be taken apart."
    all_runs = last["run"].nunique() == study.runs
    start = f"At the strongest dropout{'' if all_runs else f' ({_runs_text(last, study)})'} {_answer(rises)}"
    return (
        f"{start}: {(rises == MODULES).sum()} of {len(rises)} rises of Q count as modules. Over all strengths "
        f"{percent((fit['kind'] == MODULES).mean())} do.{_exception_text(fit)}"
    )


def _comparable(splits: pd.DataFrame) -> pd.DataFrame:
    """The rises that are taken apart."""
    return splits[~splits["kind"].isin(["", NOT_COMPARABLE])]


def _exception_text(fit: pd.DataFrame) -> str:
    """The measure and layer with the smallest share of modules, if it is half or less, and what is there instead."""
    rates = (fit["kind"] == MODULES).groupby([fit["measure"], fit["layer"]]).agg(["sum", "size", "mean"]).reset_index()
    least = rates.iloc[int(rates["mean"].argmin())]
    measure, layer = str(least["measure"]), int(least["layer"])
    if least["mean"] > 0.5:
        return ""
    kinds = fit.loc[(fit["measure"] == measure) & (fit["layer"] == layer), "kind"]
    most = kinds.value_counts()
    instead = f", and more often {_ANSWERS[str(most.index[0])]}" if most.iloc[0] > least["sum"] else ""
    return (
        f" The exception is the {MEASURE_LABELS[measure]} in layer {layer}, where {least['sum']:.0f} of "
        f"{least['size']:.0f} do{instead}."
    )


def _counts_text(splits: pd.DataFrame, study: Study) -> str:
    """How many rises there are at all strengths, and of which kind they are."""
    split, fit = splits[splits["kind"] != ""], _comparable(splits)
    unfit = len(split) - len(fit)
    start = (
        f"With dropout of any strength Q rises by {CLEAR:g} or more in {len(split):,} of {len(splits):,} combinations "
        "of strength, measure, layer and run"
    )
    start += f"; {unfit} of them are not compared, as the number of live units has changed." if unfit else "."
    if fit.empty:
        return start
    return (
        f"{start} The {len(fit)} rises that are taken apart count as {counted(fit['kind'])}. The answer over all "
        f"strengths: {_answer(fit['kind'])}. {_last_text(strongest(splits), study)}"
    )


def _last_text(last: pd.DataFrame, study: Study) -> str:
    """The same at the strongest strength, in a sentence."""
    split = last[last["kind"] != ""]
    if split.empty:
        return ""
    return (
        f"At the strongest, dropout {strength_text(last['strength'].iloc[0])} ({_runs_text(last, study)}), it is "
        f"{(split['kind'] == MODULES).sum()} of {len(split)}. The answer there: {_answer(split['kind'])}."
    )


def _rule_text() -> str:
    most, least = (Fraction(share).limit_denominator(10) for share in (MOST, LEAST))
    return (
        f"A rise of Q by {CLEAR:g} or more is called (a) {NOT_COMPARABLE}, if the number of live units has changed by "
        f"more than {percent(MOST_LIVE_CHANGE)}; otherwise (b) {IN_COMMON}, if at most {least} of it is left with as "
        f"much in common; otherwise (c) {CHANCE}, if it is less than {CLEAR:g} above that of a null; otherwise (d) "
        f"{MODULES}, if at least {most} of it is left; otherwise (e) {MIXED}. The answer is the name of at least "
        f"{most} of the rises. All these limits are choices."
    )


def answer_text(last: pd.DataFrame, regulariser: str, study: Study) -> str:
    """Rises of Q at one strength, how much of them remains with as much in common, and the answer."""
    label = LABELS[regulariser]
    if last.empty:
        return f"No network with {label} was analysed."
    split = last[last["kind"] != ""]
    start = (
        f"At {label} {strength_text(last['strength'].iloc[0])} ({_runs_text(last, study)}) Q has changed by "
        f"{last['rise'].min():+.3f} to {last['rise'].max():+.3f}, and risen by {CLEAR:g} or more in "
        f"{len(split)} of {len(last)} combinations of measure, layer and run"
    )
    if split.empty:
        return f"{start}: {_answer(split['kind'])}."
    live = f" ({percent(1 + last['live_change'].mean())} of the units that were live still are, on average)"
    fit = split[split["kind"] != NOT_COMPARABLE]
    held = ""
    if len(fit) == len(split):
        held = f"with as much in common as without they would be {_over_runs(fit, 'remains')}"
    elif len(fit):
        held = (
            f"of the {len(fit)} that can be compared ({_over_runs(fit, 'rise')}) {_over_runs(fit, 'remains')} would "
            "be left with as much in common as without"
        )
    return (
        f"{start}{live if regulariser != 'dropout' else ''}. These rises are {_over_runs(split, 'rise')} on average"
        f"{f'; {held}' if held else ''}. They count as {counted(split['kind'])}. The answer: {_answer(split['kind'])}."
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


def counted(kinds: pd.Series) -> str:
    """How many are of each kind: "chance in 3, modules in 2"."""
    counts = kinds.value_counts()
    return ", ".join(f"{kind} in {counts[kind]}" for kind in _ANSWERS if kind in counts.index)


def _caption(last: pd.DataFrame) -> str:
    """How much of the rise is left with as much in common, at the strongest dropout."""
    fit = _comparable(last)
    if fit.empty:
        return "There is no rise of Q that could be taken apart"
    left = fit["remains"].sum() / fit["rise"].sum()
    return f"At the strongest dropout {percent(left)} of the rise of Q is left with as much in common as without"


def _penalties_text(penalties: Sequence[tuple[pd.DataFrame, str]]) -> str:
    """How many of the rises under each penalty count as modules, and how many cannot be compared."""
    parts = []
    for last, name in penalties:
        kinds = pd.Series(dtype=object) if last.empty else last.loc[last["kind"] != "", "kind"]
        if kinds.empty:
            continue
        modules, unfit = ((kinds == kind).sum() for kind in (MODULES, NOT_COMPARABLE))
        parts.append(
            f"Under the {LABELS[name]} {modules} of {len(kinds)} rises count as modules, and {unfit} cannot be "
            "compared."
        )
    return " ".join(parts)


def _course_text(splits: pd.DataFrame) -> str:
    """What the null of rotations changes, and where units have less in common."""
    split = splits[splits["kind"] != ""]
    if split.empty:
        return ""
    asked = split[split["rise_rotated"].notna()]
    before, now = (int((asked[name] == MODULES).sum()) for name in ("kind_by_weak_nulls", "kind"))
    text = (
        ""
        if asked.empty
        else f" Of the {len(asked)} rises of upstream measures at all strengths, {before} were modules by the other "
        f"two nulls, and {now} are with rotated units besides."
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
        f"At the strongest dropout the mean similarity of two units is {_relative(means)} than without, and that of "
        f"units in different modules {_relative(across)}. "
        + (
            "So units have more in common there, not less: the rescaling has nothing to take away, and could not have "
            "spoken against modules. It speaks where units share less, as at weaker dropout."
            if across.mean() >= 0
            else "So there is something for the rescaling to take away."
        )
    )


def _relative(changes: pd.Series) -> str:
    return f"{percent(abs(changes.mean()))} {'higher' if changes.mean() >= 0 else 'lower'}"


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
        f"Shuffled similarities show {percent(split['rise_shuffled'].sum() / total)} of these rises, most for the "
        f"{MEASURE_LABELS[measure]} in layer {layer} ({percent(shares.max())}); random directions in as few "
        f"dimensions show {percent(split['rise_directions'].sum() / total)}. Q is above that of random directions by "
        f"{last['excess_before'].mean():.3f} without dropout and by {last['excess'].mean():.3f} with the strongest, on "
        f"average; by {CLEAR:g} or more in {before} and in {after} of {len(last)} combinations."
    )


def _held_text(splits: pd.DataFrame) -> str:
    """How often the counterfactual clips, and whether a shift to the same mean gives the same answer."""
    return (
        f"In networks with dropout the rescaling leaves {percent(splits['clipped'].mean())} of the pairs at 0, in one "
        f"matrix {percent(splits['clipped'].max())}. With a shift that holds the mean similarity instead, the answer "
        f"for the strongest dropout is: {_answer(strongest(splits)['kind_shifted'])}."
    )


def _check_text(made_up: pd.DataFrame) -> str:
    """How far each counterfactual is from the truth on matrices made up for it, in percent of the change of Q."""
    change = (made_up["q_after"] - made_up["q_before"]).abs()
    missed = pd.DataFrame({name: (made_up[name] - made_up["truth"]).abs() / change for name in ("rescaled", "shifted")})
    means = missed.groupby(made_up["kind"], sort=False).mean()
    listed = "; ".join(
        f"{kind}: {percent(row['rescaled'])} and {percent(row['shifted'])}" for kind, row in means.iterrows()
    )
    closer = "closer to it than" if missed["rescaled"].mean() < missed["shifted"].mean() else "no closer to it than"
    return (
        f"On {len(made_up)} pairs of made-up matrices with planted blocks, for which the true answer is known, the "
        f"rescaling comes {closer} a shift by a constant. In percent of the change of Q they miss it by ({listed})."
    )

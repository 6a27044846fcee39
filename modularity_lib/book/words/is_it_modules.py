"""Words on what a rise of Q is: modules, less in common, or what nulls without modules show too."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

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
    CHANCE: "Q rises as much in a control",
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
    known = {"modules_rule": _rule_text(), "rule_short": _rule_short(), "common_check": _check_text(made_up)}
    told = ("modules_counts", "modules_course", "common_shared", "common_chance", "common_penalties", "common_held")
    if table.empty:
        absent = f"The similarity matrices of {results.study.name} are not at hand, so this could not be asked of it."
        asked = {"common_n": "no network", "modules_answer": absent, "common_caption": "Not at hand for this study"}
        return known | dict.fromkeys((*told, "modules_all", "penalties_short"), "") | asked
    networks, runs = len(table[["run", *REGULARISERS]].drop_duplicates()), table["run"].nunique()
    splits = dropout_splits(table, turned, results)
    last = strongest(splits)
    penalties = [(strongest(split_table(table, results, name)), name) for name in ("l2", "l1")]
    return known | {
        "common_n": f"{networks:,} networks of {runs} of {results.study.runs} runs, {len(table):,} matrices",
        "modules_answer": front_text(splits, results.study),
        "modules_all": _all_text(splits),
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
    """In short: what rotated units show of the rise, how many rises are modules at the strongest dropout, and at all.

    Args:
        splits: of `dropout_splits`.
    """
    last, fit = strongest(splits), _comparable(splits)
    rises = last.loc[last["kind"] != "", "kind"]
    if fit.empty:
        return "There is no rise of Q that could be taken apart."
    all_runs = last["run"].nunique() == study.runs
    where = f"At the strongest dropout{'' if all_runs else f' ({_runs_text(last, study)})'}"
    share = rotated.share_of_rise(last[last["rise_rotated"].notna()])
    but = ", but the rise of Q is not all due to them" if share is not None and prevailing(rises) == MODULES else ""
    start = f"{where} {_answer(rises)}{but}."
    if share is not None:
        start += (
            f" Units mixed by a random rotation lose their modules, and still show {percent(share.mean)} of "
            f"{'it' if but else 'the rise of Q'} upstream."
        )
    unfit = int((rises == NOT_COMPARABLE).sum())
    return (
        f"{start} By our rule {(rises == MODULES).sum()} of {len(rises)} rises are modules"
        f"{f' ({unfit} cannot be compared)' if unfit else ''}. Over all strengths {_shares_text(fit)}."
    )


def _shares_text(fit: pd.DataFrame) -> str:
    """The share of rises that are modules; apart where only some of them could be asked of rotated units."""
    modules, asked = fit["kind"] == MODULES, fit["rise_rotated"].notna()
    if asked.all() or not asked.any():
        return f"{percent(modules.mean())} of the rises are modules"
    return (
        f"{percent(modules[asked].mean())} of the upstream rises are modules, and {percent(modules[~asked].mean())} of "
        "the downstream ones, which lack this control"
    )


def _comparable(splits: pd.DataFrame) -> pd.DataFrame:
    """The rises that can be compared."""
    return splits[~splits["kind"].isin(["", NOT_COMPARABLE])]


LESS = 0.1  # of what units of different modules share: a fall beyond it leaves something to take away


class FewModules(NamedTuple):
    """A measure and layer in which at most half of the rises of Q under dropout count as modules."""

    measure: str
    layer: int
    modules: int
    of: int  # rises that can be compared
    instead: str  # what more of them are than anything else

    @property
    def label(self) -> str:
        """Measure and layer in words."""
        return f"{MEASURE_LABELS[self.measure]} in layer {self.layer}"


def where_few_are_modules(splits: pd.DataFrame) -> list[FewModules]:
    """The measures and layers with few modules, those with fewest first.

    Args:
        splits: of `dropout_splits`.
    """
    found = []
    for (measure, layer), kinds in _comparable(splits).groupby(["measure", "layer"])["kind"]:
        modules = int((kinds == MODULES).sum())
        if modules <= len(kinds) / 2:
            found.append(
                FewModules(str(measure), int(str(layer)), modules, len(kinds), str(kinds.value_counts().index[0]))
            )
    return sorted(found, key=lambda one: one.modules / one.of)


def few_at_hand(table: pd.DataFrame, turned: pd.DataFrame | None, results: Results) -> list[FewModules]:
    """`where_few_are_modules` from the two tables of `texts`; nothing where they are not at hand."""
    return [] if table.empty else where_few_are_modules(dropout_splits(table, turned, results))


def _all_text(splits: pd.DataFrame) -> str:
    """How many rises at all strengths are modules, what the rule answers, by family, and where few are."""
    fit = _comparable(splits)
    if fit.empty:
        return ""
    modules, asked = fit["kind"] == MODULES, fit["rise_rotated"].notna()
    apart = ""
    if asked.any() and not asked.all():
        last = fit["strength"] == strongest(splits)["strength"].iloc[0]
        up, down, up_last, down_last = (
            f"{modules[which].sum()} of {which.sum()}" for which in (asked, ~asked, asked & last, ~asked & last)
        )
        apart = (
            f" Upstream it is {up} ({up_last} at the strongest). Downstream it is {down} ({down_last}), but without "
            "rotated units the rule is weaker."
        )
    exceptions = "".join(
        f" In the {one.label} it is {one.modules} of {one.of}"
        f"{'' if one.instead == MODULES else f', and more often {_ANSWERS[one.instead]}'}."
        for one in where_few_are_modules(splits)
    )
    return (
        f"Over all strengths {modules.sum()} of the {len(fit)} rises that can be compared are modules "
        f"({percent(modules.mean())}). The rule asks for {_share(MOST)}, and so it says: {_answer(fit['kind'])}."
        f"{apart}{exceptions}"
    )


def _share(of: float) -> Fraction:
    return Fraction(of).limit_denominator(10)


def _rule_short() -> str:
    """The rule in a sentence, with its limits."""
    return (
        f"A rise of Q by {CLEAR:g} or more counts as modules if at least {_share(MOST)} of it stays with as much "
        f"in common, and if it is larger by at least {CLEAR:g} than the rise in each of the other controls."
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
    kinds = f"The {len(fit)} rises that can be compared count as {counted(fit['kind'])}."
    return f"{start} {kinds} {_last_text(strongest(splits), study)}"


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
    most, least = map(_share, (MOST, LEAST))
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
    """How much of the rise rotated units show, if that is known, and how much is left with as much in common."""
    fit = _comparable(last)
    if fit.empty:
        return "There is no rise of Q that could be taken apart"
    share = rotated.share_of_rise(last[last["rise_rotated"].notna()])
    if share is None:
        return f"At the strongest dropout {percent(_left(fit))} of the rise of Q stays with as much in common"
    return f"At the strongest dropout rotated units show {percent(share.mean)} of the rise of Q upstream"


def _left(fit: pd.DataFrame) -> float:
    return float(fit["remains"].sum() / fit["rise"].sum())


def _penalties_text(penalties: Sequence[tuple[pd.DataFrame, str]]) -> str:
    """How many of the rises under each penalty count as modules, and how many cannot be compared."""
    parts = []
    for last, name in penalties:
        kinds = pd.Series(dtype=object) if last.empty else last.loc[last["kind"] != "", "kind"]
        if kinds.empty:
            continue
        modules, unfit = ((kinds == kind).sum() for kind in (MODULES, NOT_COMPARABLE))
        parts.append(
            f"At the strongest {LABELS[name]} {modules} of {len(kinds)} rises count as modules, and {unfit} cannot be "
            "compared."
        )
    if any(not last.empty and (last["kind"] == NOT_COMPARABLE).any() for last, _ in penalties):
        parts.append(
            "Penalties silence units, and Q depends on how many units there are. So we do not compare layers whose "
            f"number of live units has changed by more than {percent(MOST_LIVE_CHANGE)}."
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
    """What stays with as much in common, from which place to which, and whether the control could have failed."""
    fit, across = _comparable(last), last["across_change"]
    left = "" if fit.empty else f"On average {percent(_left(fit))} of the rise stays at the strongest dropout. "
    if across.mean() < 0:
        return (
            f"{left}On average units of different modules are {_relative(across)} than without dropout, so there is "
            "something for the rescaling to take away."
        )
    where = ""
    if not fit.empty:
        means = fit.groupby(["measure", "layer"])[["across_change", "remains", "rise"]].mean().reset_index()
        least = means.iloc[int(means["across_change"].argmin())]
        if least["across_change"] < -LESS:
            changes = fit.loc[(fit["measure"] == least["measure"]) & (fit["layer"] == least["layer"]), "across_change"]
            where = (
                f" It is a real test in the {MEASURE_LABELS[str(least['measure'])]} in layer {least['layer']}, "
                f"where they are {_relative(changes)}: there {percent(least['remains'] / least['rise'])} stays."
            )
    return (
        f"{left}But that is a weak test there. On average units of different modules are {_relative(across)} "
        f"than without dropout, so there is little to take away.{where}"
    )


def _relative(changes: pd.Series) -> str:
    return f"{percent(abs(changes.mean()))} {'more' if changes.mean() >= 0 else 'less'} similar"


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

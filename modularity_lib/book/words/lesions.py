"""Words on lesions: what is lost with a module, what other units would cost, and whose modules predict it better."""

from collections.abc import Callable, Iterator

import pandas as pd

from modularity_lib.book.words.prose import capitalised, listed, markdown
from modularity_lib.findings.inference import Effect
from modularity_lib.findings.lesion_effects import (
    AS_NEIGHBOURS,
    CLEAR,
    DOWNSTREAM,
    MORE,
    NEITHER,
    NO_MORE,
    SELDOM,
    UNTOLD,
    UPSTREAM,
    Families,
    Lost,
    beside_neighbours,
    comparable,
    families,
    pilot_table,
)
from modularity_lib.findings.lesion_trials import CASES, RUNS, TRIED
from modularity_lib.findings.lesions import FEWEST_SETS, IMAGES, LEFT_STANDING, SETS, SMALLEST_MODULE
from modularity_lib.findings.matched_sets import TOLERANCE
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import FAMILY, MEASURE_LABELS, PANEL_ORDER

# In two sentences of the front: what the answer means.
_MEANT = {
    NO_MORE: "modules are no more to the network than other units",
    AS_NEIGHBOURS: "modules matter, as units that stand in for each other do, and no more than these",
    UNTOLD: "modules matter; too few near neighbours are as alike as a module to say whether these would do the same",
    MORE: "modules matter, and more than units that are merely alike in activity",
}
_MISSED = (AS_NEIGHBOURS, UNTOLD, MORE)  # more than random units
_PREDICTS = {
    DOWNSTREAM: "downstream modules predict better what is lost",
    UPSTREAM: "upstream modules predict better what is lost",
    NEITHER: "neither family's modules predict it better",
}


def texts(table: pd.DataFrame, results: Results, *, missing: str = "") -> dict[str, str]:
    """What the table of `lesions` says, in sentences; `missing` says why there is none."""
    known = {"lesion_rule": _rule_text(), "lesion_method": _method_text(), "lesion_trials": trials_text()}
    rows = sweep(comparable(table), results.study, "dropout")
    if rows.empty:
        told = ("caption", "spread_caption", "course", "families", "mean", "entropy", "alike", "left_out", "pilot")
        why = missing or "No module of this study could be compared."
        return known | dict.fromkeys((f"lesion_{name}" for name in told), "") | {"lesion_answer": why}
    by_strength = _by_strength(rows)
    last = max(by_strength)
    return known | {
        "lesion_answer": answer_text(table, results),
        "lesion_caption": _caption(by_strength[last]),
        "lesion_spread_caption": _spread_caption(rows, last),
        "lesion_course": _course_text(by_strength),
        "lesion_families": _families_text(rows),
        "lesion_mean": _mean_text(table, results),
        "lesion_entropy": _entropy_text(rows),
        "lesion_alike": _alike_text(rows, last),
        "lesion_left_out": _left_out_text(table),
        "lesion_pilot": _pilot_text(table, results),
    }


def answer_text(table: pd.DataFrame, results: Results) -> str:
    """The answer in three sentences: over all strengths of dropout, at the mean, and whose modules."""
    rows = sweep(comparable(table), results.study, "dropout")
    if rows.empty:
        return "No network's weights are at hand, so no module was taken out."
    zero = _by_strength(rows)
    mean = _by_strength(sweep(comparable(table, lesion="mean"), results.study, "dropout"))
    missed, more = (sum(one.answer in which for one in zero.values()) for which in (_MISSED, (MORE,)))
    answers = [one.answer for one in zero.values()]
    last = max(zero)
    held = sum(one.answer in _MISSED for one in mean.values())
    found = [one.answer for one in map(families, (some for _, some in _at_each(rows))) if one is not None]
    whose = ", ".join(f"{found.count(name)} times {name}" for name in (UPSTREAM, DOWNSTREAM, NEITHER))
    return (
        f"A module is missed more than random units of the same number and outgoing weight at {missed} of {len(zero)} "
        f"strengths of dropout (at {last:g}: {_share(zero[last].module)} of accuracy lost against "
        f"{_share(zero[last].random)}), and clearly more than as many near neighbours in activity at {more} of them: "
        f"{_MEANT[max(_MEANT, key=answers.count)]}. That is of units set to 0, as dropout does; held at their mean, "
        f"modules are missed more than random units at {held} of {len(mean)} strengths (at {last:g}: "
        f"{_share(mean[last].module)} against {_share(mean[last].random)}). The family whose modules predict better "
        f"what is lost is {whose}, counted over the strengths."
    )


def _at(found: Lost, strength: float) -> str:
    where = f"at dropout {strength:g}" if strength else "without dropout"
    near = ""
    if found.neighbours is not None and found.beyond is not None:
        beyond = _share(found.beyond, sign="+")
        near = f" and {_share(found.neighbours)} without as many near neighbours (a module minus these: {beyond})"
    return (
        f"{capitalised(where)} a network loses {_share(found.module)} of its accuracy without a module, "
        f"{_share(found.random)} without as many random units of the same outgoing weight{near}: "
        f"{_MEANT[found.answer]}."
    )


def course_markdown(table: pd.DataFrame, results: Results, *, lesion: str = "zero") -> str:
    """Markdown table by strength of dropout: losses, their spread over the classes, and the answer."""
    rows = sweep(comparable(table, lesion=lesion), results.study, "dropout")
    cells = []
    for strength, some in _at_each(rows):
        cells.append([f"{strength:g}", *_cells(some)])
    return _losses_markdown(["dropout"], cells)


def places_markdown(table: pd.DataFrame, results: Results) -> str:
    """The same by measure and layer, at the strongest dropout."""
    rows = sweep(comparable(table), results.study, "dropout")
    rows = rows[rows["strength"] == rows["strength"].max()]
    cells = []
    for measure in PANEL_ORDER:
        for layer, some in rows[rows["measure"] == measure].groupby("layer"):
            number, *losses = _cells(some)
            counted = f"{number} of {some['units'].mean():.0f} units"
            cells.append([f"{MEASURE_LABELS[measure]}, {layer}", counted, *losses])
    return _losses_markdown(["measure, layer"], cells)


def _losses_markdown(first: list[str], cells: list[list[object]]) -> str:
    heads = ["modules", "% lost with a module", "with neighbours", "with random units", "s.d. over classes"]
    if not cells:
        return "No module could be compared."
    return markdown([*first, *heads, f"above {SELDOM:.0%}", "it loses"], cells)


def _cells(rows: pd.DataFrame) -> list[object]:
    accuracy, spread = Lost(rows), Lost(rows, "accuracy_spread")
    near = "–" if accuracy.neighbours is None else _percent(accuracy.neighbours)
    over_classes = f"{100 * spread.module.mean:.1f} / {100 * spread.random.mean:.1f}"
    losses = [_percent(accuracy.module), near, _percent(accuracy.random), over_classes]
    return [len(rows), *losses, f"{accuracy.seldom.mean:.0%}", accuracy.answer]


def _by_strength(rows: pd.DataFrame) -> dict[float, Lost]:
    return {strength: Lost(some) for strength, some in _at_each(rows)}


def _at_each(rows: pd.DataFrame) -> Iterator[tuple[float, pd.DataFrame]]:
    """Each strength of dropout, the weakest first, with its rows."""
    for strength in sorted(set(rows["strength"].tolist())):
        yield strength, rows[rows["strength"] == strength]


def _share(effect: Effect, *, sign: str = "") -> str:
    """A share of accuracy with its 95 % interval, or the extremes over runs if there are too few for one."""
    return _text(effect, lambda value: f"{value:{sign}.1%}")


def _percent(effect: Effect) -> str:
    """The same in percent, without the sign: for tables."""
    return _text(effect, lambda value: f"{100 * value:.1f}")


def _number(effect: Effect, *, sign: str = "") -> str:
    return _text(effect, lambda value: f"{value:{sign}.2f}")


def _text(effect: Effect, written: Callable[[float], str]) -> str:
    if effect.n_runs == 1:
        return written(effect.mean)
    low, high = map(written, effect.bounds)
    return f"{written(effect.mean)} " + (f"({low} to {high})" if effect.low is None else f"[{low}, {high}]")


def _rule_text() -> str:
    return (
        f"A loss is clearly larger if the 95 % interval of the difference lies above 0 and its mean is {CLEAR:g} of "
        f"accuracy or more. A network loses (a) “{NO_MORE}”, if a module's loss is not clearly larger than that of its "
        f"random sets; otherwise (b) “{AS_NEIGHBOURS}”, if it is not clearly larger than that of its sets of near "
        "neighbours, where only modules count whose sets are as alike in activity as the module; otherwise "
        f"(c) “{MORE}”. Where some run has no such module, it is “{UNTOLD}”. A family predicts better what is lost if "
        "both the loss beyond a module's own random sets and the share of these that lose less are larger than the "
        "other family's, each with its interval on one side of 0."
    )


def _method_text() -> str:
    return (
        f"modules of {SMALLEST_MODULE} live units or more that leave {LEFT_STANDING} or more of them; {SETS} sets of "
        f"each kind where so many are found, {FEWEST_SETS} at the least; sums within {TOLERANCE:.0%}; {IMAGES:,} test "
        "images, evenly spaced among all"
    )


def trials_text() -> str:
    """How often the rule gives which answer on made-up networks."""
    parts = []
    for case, of in CASES.items():
        counts = TRIED[case]
        right = sum(counts["answer"].get(answer, 0) for answer in of.right)
        total = sum(counts["answer"].values())
        families = counts["family"].get(of.family, 0)
        meant = "no family is called better" if of.family == NEITHER else f"the {of.family} modules are called better"
        parts.append(f"{case}: {listed_or(of.right)} in {right} of {total}, and {meant} in {families}")
    return f"In experiments of {RUNS} made-up networks each, the rule says of {'; of '.join(parts)}."


def listed_or(names: tuple[str, ...]) -> str:
    """Names joined by "or", in italics.

    >>> listed_or(("one", "two"))
    '“one” or “two”'
    """
    return " or ".join(f"“{name}”" for name in names)


def _caption(found: Lost) -> str:
    endings = {AS_NEIGHBOURS: ", and as near neighbours are", MORE: ", and more than near neighbours", UNTOLD: ""}
    if found.answer == NO_MORE:
        return "At the strongest dropout a module is not missed more than random units"
    return f"At the strongest dropout a module is missed more than random units{endings[found.answer]}"


def _spread_caption(rows: pd.DataFrame, last: float) -> str:
    spread = Lost(rows[rows["strength"] == last], "accuracy_spread")
    more = "more" if spread.excess.is_above_zero else "no more"
    return f"A module's loss falls on some classes {more} than that of random units"


def _course_text(by_strength: dict[float, Lost]) -> str:
    """Both losses along dropout, so that their ratio is not taken for the effect, and the answers."""
    first, last = by_strength[min(by_strength)], by_strength[max(by_strength)]
    answers = {
        answer: [f"{strength:g}" for strength, one in by_strength.items() if one.answer == answer] for answer in _MEANT
    }
    counted = "; ".join(f"“{name}” at {listed(found)}" for name, found in answers.items() if found)
    ratios = [f"{one.module.mean / one.random.mean:.1f}" for one in (first, last) if one.random.mean > 0]
    turned = "falls too" if last.module.mean < first.module.mean else "does not fall"
    ends = sorted({min(by_strength), max(by_strength)})
    return " ".join(_at(by_strength[strength], strength) for strength in ends) + (
        f" Dropout trains a network to bear the loss of units at random: random sets cost {first.random.mean:.1%} "
        f"without it and {last.random.mean:.1%} at {max(by_strength):g}. What a module costs {turned}: "
        f"{first.module.mean:.1%} and {last.module.mean:.1%}. So their ratio, {listed(ratios)}, says as much of the "
        f"sets as of the modules; the difference is {_share(first.excess)} and {_share(last.excess)}. The answers by "
        f"strength of dropout: {counted}."
    )


def _families_numbers(found: Families) -> str:
    return (
        f"downstream minus upstream: {_share(found.excess, sign='+')} of accuracy lost beyond their own random sets, "
        f"{_number(found.above, sign='+')} of these sets that lose less"
    )


def _families_text(rows: pd.DataFrame) -> str:
    parts = []
    for strength, at in _at_each(rows):
        if strength not in (rows["strength"].min(), rows["strength"].max()):
            continue
        for layer, some in at.groupby("layer"):
            found = families(some)
            if found is not None:
                parts.append(
                    f"layer {layer} at dropout {strength:g}: {_PREDICTS[found.answer]} ({_families_numbers(found)})"
                )
    answers: dict[str, list[str]] = {}
    for strength, some in _at_each(rows):
        found = families(some)
        if found is not None:
            answers.setdefault(found.answer, []).append(f"{strength:g}")
    counted = "; ".join(f"{_PREDICTS[name]} at {listed(found)}" for name, found in answers.items())
    return f"Both layers together: {counted}. {capitalised('; '.join(parts))}."


def _mean_text(table: pd.DataFrame, results: Results) -> str:
    rows = sweep(comparable(table, lesion="mean"), results.study, "dropout")
    found = _by_strength(rows)
    parts = []
    for strength in sorted({min(found), max(found)}):
        one = found[strength]
        near = "" if one.neighbours is None else f", near neighbours {_share(one.neighbours)}"
        parts.append(
            f"at dropout {strength:g} a module costs {_share(one.module)}, random sets {_share(one.random)}{near}: "
            f"“{one.answer}”"
        )
    zero = _by_strength(sweep(comparable(table), results.study, "dropout"))
    same = sum(zero[strength].answer == one.answer for strength, one in found.items())
    return f"{capitalised('; '.join(parts))}. The answer is that of units set to 0 at {same} of {len(found)} strengths."


def _entropy_text(rows: pd.DataFrame) -> str:
    parts = []
    for strength in sorted({rows["strength"].min(), rows["strength"].max()}):
        one, spread = (Lost(rows[rows["strength"] == strength], name) for name in ("entropy", "entropy_spread"))
        near = "" if one.neighbours is None else f", near neighbours {_number(one.neighbours)}"
        parts.append(
            f"at dropout {strength:g} it rises by {_number(one.module)} nats without a module, random sets "
            f"{_number(one.random)}{near} (s.d. over classes {spread.module.mean:.2f} and {spread.random.mean:.2f})"
        )
    return f"{capitalised('; '.join(parts))}."


def _alike_text(rows: pd.DataFrame, last: float) -> str:
    some = beside_neighbours(rows[rows["strength"] == last])
    means = some[["alike", "alike_neighbours", "alike_random"]].astype(float).mean()
    return (
        "Only modules whose sets are as alike in activity as the module count. There, at dropout "
        f"{last:g}, the mean correlation of two units' activity is {means['alike']:.2f} in a module, "
        f"{means['alike_neighbours']:.2f} in a set of near neighbours and {means['alike_random']:.2f} in a random set; "
        f"{int((some['measure'].map(FAMILY) == DOWNSTREAM).sum())} of these {len(some)} modules are of downstream "
        "measures, since modules that were searched in activity itself are seldom less alike than other sets."
    )


def _left_out_text(table: pd.DataFrame) -> str:
    zero = table[table["lesion"] == "zero"]
    few = zero["n_random"] < FEWEST_SETS
    lonely = ~few & (zero["n_neighbours"] < FEWEST_SETS)
    unlike = len(zero) - int(few.sum()) - int(lonely.sum()) - len(beside_neighbours(zero[~few]))
    networks = len(zero[["run", "l2", "l1", "dropout"]].drop_duplicates())
    return (
        f"{len(zero):,} modules of {networks} networks were taken out. {int(few.sum()):,} are left out of all "
        f"comparisons because fewer than {FEWEST_SETS} random sets were found. Out of that with near neighbours are "
        f"left {int(lonely.sum()):,} more for the same reason, and {unlike:,} whose neighbours are less alike than the "
        "module"
    )


def _pilot_text(table: pd.DataFrame, results: Results) -> str:
    if results.study.name != "v1":
        return "The pilot was of the study `v1`."
    found = pilot_table(table)
    names = {
        "module": "loss of modules",
        "random": "loss of random sets",
        "seldom": f"share above {SELDOM:.0%} of random sets",
        "spread": "s.d. over classes, modules",
        "spread_random": "s.d. over classes, random sets",
    }
    outside = found[~found["within"]]
    differing = "; ".join(
        f"{names[row['quantity']]} at dropout {row['dropout']:g}: pilot {row['pilot']:.3f}, all runs {row['mean']:.3f} "
        f"[{row['low']:.3f}, {row['high']:.3f}]"
        for row in outside.to_dict("records")
    )
    return (
        f"A pilot on three runs came before the rule. {int(found['within'].sum())} of its {len(found)} numbers lie in "
        f"the 95 % intervals of all runs" + (f"; outside: {differing}." if differing else ".")
    )

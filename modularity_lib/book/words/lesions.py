"""Words on lesions: what is lost with a module, what other units would cost, and whose modules predict it better."""

from collections.abc import Callable, Iterator

import pandas as pd

from modularity_lib.book.words.prose import capitalised, listed, markdown, percent
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

# What the answer of most strengths means, in short, and as the caption of the figure.
_SHORT = {
    NO_MORE: "No, not more than other units.",
    AS_NEIGHBOURS: "Yes, but no more than other units that are alike.",
    UNTOLD: "Yes. Whether other units that are alike matter as much cannot be told.",
    MORE: "Yes, and more than other units that are alike.",
}
_CAPTIONS = {
    NO_MORE: "A module is not missed more than random units",
    AS_NEIGHBOURS: "A module is missed more than random units, but not more than near neighbours",
    UNTOLD: "A module is missed more than random units",
    MORE: "A module is missed more than random units, and more than near neighbours",
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
        told = ("spread_caption", "course", "families", "places", "mean", "entropy", "alike", "left_out", "pilot")
        why = missing or "No module of this study could be compared."
        absent = {"lesion_short": why, "lesion_caption": "Not at hand for this study"}
        return known | dict.fromkeys((f"lesion_{name}" for name in told), "") | absent
    by_strength = _by_strength(rows)
    return known | {
        "lesion_short": answer_text(table, results),
        "lesion_caption": _caption(by_strength),
        "lesion_spread_caption": _spread_caption(rows, max(by_strength)),
        "lesion_course": _course_text(by_strength),
        "lesion_families": _families_text(rows),
        "lesion_places": _places_text(rows),
        "lesion_mean": _mean_text(table, results),
        "lesion_entropy": _entropy_text(rows),
        "lesion_alike": _alike_text(rows, max(by_strength)),
        "lesion_left_out": _left_out_text(table),
        "lesion_pilot": _pilot_text(table, results),
    }


def answer_text(table: pd.DataFrame, results: Results) -> str:
    """The answer in short: what most strengths of dropout say, what is lost at the strongest, and held at the mean."""
    rows = sweep(comparable(table), results.study, "dropout")
    if rows.empty:
        return "No network's weights are at hand, so no module was taken out."
    zero = _by_strength(rows)
    last, more = zero[max(zero)], sum(one.answer == MORE for one in zero.values())
    mean = _by_strength(sweep(comparable(table, lesion="mean"), results.study, "dropout"))
    held = ""
    if max(zero) in mean:
        still = mean[max(zero)].answer in _MISSED
        held = (
            " That is of units set to 0, as dropout does. Held at their mean, modules "
            f"{'are missed more than random units there, too' if still else 'cost no more than random units there'}."
        )
    return (
        f"{_SHORT[_prevailing(zero)]} At the strongest dropout a network loses {_of(last.module)} of accuracy without "
        f"a module, and {_of(last.random)} without as many random units. A module costs clearly more than near "
        f"neighbours in activity at {more} of {len(zero)} strengths.{held}"
    )


def _prevailing(by_strength: dict[float, Lost]) -> str:
    """The answer of most strengths."""
    answers = [one.answer for one in by_strength.values()]
    return max(_SHORT, key=answers.count)


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
    return markdown([*first, *heads, f"above {percent(SELDOM)}", "it loses"], cells)


def _cells(rows: pd.DataFrame) -> list[object]:
    accuracy, spread = Lost(rows), Lost(rows, "accuracy_spread")
    near = "–" if accuracy.neighbours is None else _percent(accuracy.neighbours)
    over_classes = f"{100 * spread.module.mean:.1f} / {100 * spread.random.mean:.1f}"
    losses = [_percent(accuracy.module), near, _percent(accuracy.random), over_classes]
    return [len(rows), *losses, percent(accuracy.seldom.mean), accuracy.answer]


def _by_strength(rows: pd.DataFrame) -> dict[float, Lost]:
    return {strength: Lost(some) for strength, some in _at_each(rows)}


def _at_each(rows: pd.DataFrame) -> Iterator[tuple[float, pd.DataFrame]]:
    """Each strength of dropout, the weakest first, with its rows."""
    for strength in sorted(set(rows["strength"].tolist())):
        yield strength, rows[rows["strength"] == strength]


def _share(effect: Effect, *, sign: str = "") -> str:
    """A share of accuracy with its 95 % interval, or the extremes over runs if there are too few for one."""
    return _text(effect, lambda value: percent(value, digits=1, sign=sign))


def _of(effect: Effect) -> str:
    """A share of accuracy without its interval."""
    return percent(effect.mean, digits=1)


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
        f"each kind where so many are found, {FEWEST_SETS} at the least; sums within {percent(TOLERANCE)}; {IMAGES:,} "
        "test images, evenly spaced among all"
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


def _caption(by_strength: dict[float, Lost]) -> str:
    prevailing = _prevailing(by_strength)
    count = sum(one.answer == prevailing for one in by_strength.values())
    return f"{_CAPTIONS[prevailing]}, at {count} of {len(by_strength)} strengths of dropout"


def _spread_caption(rows: pd.DataFrame, last: float) -> str:
    spread = Lost(rows[rows["strength"] == last], "accuracy_spread")
    more = "more" if spread.excess.is_above_zero else "no more"
    return f"A module's loss falls on some classes {more} than that of random units"


def _course_text(by_strength: dict[float, Lost]) -> str:
    """Losses at both ends of dropout; and the differences, so that the ratio is not taken for the effect."""
    ends = {_at(strength): by_strength[strength] for strength in sorted({min(by_strength), max(by_strength)})}
    costs, differences = [], []
    for where, one in ends.items():
        others = [f"random units {_of(one.random)}"]
        if one.neighbours is not None and one.beyond is not None:
            beyond = percent(one.beyond.mean, digits=1, sign="+")
            others.append(f"near neighbours {_of(one.neighbours)} (a module minus these: {beyond})")
        costs.append(f"{capitalised(where)} a module costs {_of(one.module)} of accuracy, {listed(others)}.")
        differences.append(f"{_share(one.excess)} {where}")
    first, last = ends.values() if len(ends) > 1 else (*ends.values(), *ends.values())
    learned = "Dropout trains a network to bear the loss of random units, so compare differences, not ratios. "
    return " ".join(costs) + (
        f" {learned if last.random.mean < first.random.mean else ''}Beyond random units a module costs "
        f"{listed(differences)}."
    )


def _at(strength: float) -> str:
    return f"at dropout {strength:g}" if strength else "without dropout"


def _families_numbers(found: Families) -> str:
    return (
        f"downstream minus upstream: {_share(found.excess, sign='+')} of accuracy lost beyond their own random sets, "
        f"{_number(found.above, sign='+')} of these sets that lose less"
    )


def _families_text(rows: pd.DataFrame) -> str:
    """At how many strengths which family predicts better what is lost."""
    found = [one.answer for one in map(families, (some for _, some in _at_each(rows))) if one is not None]
    if not found:
        return ""
    return (
        f"Upstream modules predict better what is lost at {found.count(UPSTREAM)} of {len(found)} strengths of "
        f"dropout, downstream modules at {found.count(DOWNSTREAM)}, and neither at {found.count(NEITHER)}."
    )


def _places_text(rows: pd.DataFrame) -> str:
    """The same at both ends of dropout, layer by layer."""
    parts = []
    for strength, at in _at_each(rows):
        if strength not in (rows["strength"].min(), rows["strength"].max()):
            continue
        for layer, some in at.groupby("layer"):
            found = families(some)
            if found is not None:
                numbers = _families_numbers(found)
                parts.append(f"Layer {layer} {_at(strength)}: {_PREDICTS[found.answer]} ({numbers}).")
    return " ".join(parts)


def _mean_text(table: pd.DataFrame, results: Results) -> str:
    rows = sweep(comparable(table, lesion="mean"), results.study, "dropout")
    found = _by_strength(rows)
    parts = []
    for strength in sorted({min(found), max(found)}):
        one = found[strength]
        others = [f"random sets {_share(one.random)}"]
        others += [] if one.neighbours is None else [f"near neighbours {_share(one.neighbours)}"]
        where = capitalised(_at(strength))
        parts.append(f"{where} a module costs {_share(one.module)}, {listed(others)}: “{one.answer}”.")
    zero = _by_strength(sweep(comparable(table), results.study, "dropout"))
    same = sum(zero[strength].answer == one.answer for strength, one in found.items())
    missed = sum(one.answer in _MISSED for one in found.values())
    return (
        f"{' '.join(parts)} Modules are missed more than random units at {missed} of {len(found)} strengths; the "
        f"answer is that of units set to 0 at {same}."
    )


def _entropy_text(rows: pd.DataFrame) -> str:
    parts = []
    for strength in sorted({rows["strength"].min(), rows["strength"].max()}):
        one, spread = (Lost(rows[rows["strength"] == strength], name) for name in ("entropy", "entropy_spread"))
        near = "" if one.neighbours is None else f", by {_number(one.neighbours)} without near neighbours"
        parts.append(
            f"{capitalised(_at(strength))} it rises by {_number(one.module)} nats without a module, by "
            f"{_number(one.random)} without random sets{near} (s.d. over classes {spread.module.mean:.2f} and "
            f"{spread.random.mean:.2f})."
        )
    return " ".join(parts)


def _alike_text(rows: pd.DataFrame, last: float) -> str:
    some = beside_neighbours(rows[rows["strength"] == last])
    means = some[["alike", "alike_neighbours", "alike_random"]].astype(float).mean()
    return (
        "Only modules count whose sets are as alike in activity as the module. Among these, at dropout "
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
        f"{len(zero):,} modules of {networks} networks were taken out. {int(few.sum()):,} of them are compared with "
        f"nothing, because fewer than {FEWEST_SETS} random sets were found. {int(lonely.sum()):,} more are not "
        f"compared with near neighbours for the same reason, and {unlike:,} because the neighbours are less alike than "
        "the module."
    )


def _pilot_text(table: pd.DataFrame, results: Results) -> str:
    if results.study.name != "v1":
        return "The pilot was of the study `v1`."
    found = pilot_table(table)
    names = {
        "module": "loss of modules",
        "random": "loss of random sets",
        "seldom": f"share above {percent(SELDOM)} of random sets",
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

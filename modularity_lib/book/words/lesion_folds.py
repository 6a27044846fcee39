"""Words on lesions in the folds: tables, layers and families, the cross-entropy, the rule, and how often it errs."""

from collections.abc import Callable, Iterator

import pandas as pd

from modularity_lib.book.words.prose import capitalised, markdown, percent
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

_COST_MORE = {
    DOWNSTREAM: "downstream modules cost more",
    UPSTREAM: "upstream modules cost more",
    NEITHER: "no clear difference between the families",
}


def texts(table: pd.DataFrame, results: Results) -> dict[str, str]:
    """What stands in the folds of the page, by name; without modules only the rule, the method and the trials."""
    known = {"lesion_rule": _rule_text(), "lesion_method": _method_text(), "lesion_trials": trials_text()}
    rows = sweep(comparable(table), results.study, "dropout")
    if rows.empty:
        told = ("spread_caption", "places", "places_apart", "entropy", "alike", "left_out", "pilot")
        return known | dict.fromkeys((f"lesion_{name}" for name in told), "")
    last = rows["strength"].max()
    return known | {
        "lesion_spread_caption": _spread_caption(rows, last),
        "lesion_places": _places_text(rows),
        "lesion_places_apart": _places_apart_text(rows[rows["strength"] == last]),
        "lesion_entropy": _entropy_text(rows),
        "lesion_alike": _alike_text(rows, last),
        "lesion_left_out": _left_out_text(table),
        "lesion_pilot": _pilot_text(table, results),
    }


def by_strength(table: pd.DataFrame, results: Results, *, lesion: str = "zero") -> dict[float, Lost]:
    """What is lost at each strength of dropout, the weakest first."""
    rows = sweep(comparable(table, lesion=lesion), results.study, "dropout")
    return {strength: Lost(some) for strength, some in _at_each(rows)}


def at_strength(strength: float) -> str:
    """Where on the sweep of dropout, for a sentence.

    >>> at_strength(0.7), at_strength(0.0)
    ('at dropout 0.7', 'without dropout')
    """
    return f"at dropout {strength:g}" if strength else "without dropout"


def points(effect: Effect) -> str:
    """Accuracy lost, in percentage points, without its interval."""
    return f"{100 * effect.mean:.1f}"


def course_markdown(table: pd.DataFrame, results: Results, *, lesion: str = "zero") -> str:
    """Markdown table by strength of dropout: losses of all modules, of those beside near neighbours, and the answer."""
    found = by_strength(table, results, lesion=lesion)
    return _losses_markdown("dropout", [[f"{strength:g}", *_cells(lost)] for strength, lost in found.items()])


def places_markdown(table: pd.DataFrame, results: Results) -> str:
    """The same by measure and layer, at the strongest dropout."""
    rows = sweep(comparable(table), results.study, "dropout")
    rows = rows[rows["strength"] == rows["strength"].max()]
    cells = [
        [f"{MEASURE_LABELS[measure]}, {layer}", *_cells(Lost(some))]
        for measure in PANEL_ORDER
        for layer, some in rows[rows["measure"] == measure].groupby("layer")
    ]
    return _losses_markdown("measure, layer", cells)


def _losses_markdown(first: str, cells: list[list[object]]) -> str:
    if not cells:
        return "No module could be compared."
    every = ["it loses", "modules", "a module; random units"]
    matched = ["beside neighbours (upstream)", "a module; near neighbours", "difference"]
    return markdown([first, *every, *matched], cells)


def _cells(lost: Lost) -> list[object]:
    upstream = int((lost.beside["measure"].map(FAMILY) == UPSTREAM).sum())
    beside = [f"{len(lost.beside)} ({upstream})", "–", "–"]
    if lost.matched is not None and lost.beyond is not None:
        both = f"{points(lost.matched.module)}; {points(lost.matched.neighbours)}"
        beside[1:] = [both, _with_bounds(lost.beyond)]
    every = f"{_with_bounds(lost.module)}; {points(lost.random)}"
    return [lost.answer, len(lost.rows), every, *beside]


def _with_bounds(effect: Effect) -> str:
    return _text(effect, lambda value: f"{100 * value:.1f}")


def _at_each(rows: pd.DataFrame) -> Iterator[tuple[float, pd.DataFrame]]:
    """Each strength of dropout, the weakest first, with its rows."""
    for strength in sorted(set(rows["strength"].tolist())):
        yield strength, rows[rows["strength"] == strength]


def _points(effect: Effect, *, sign: str = "") -> str:
    """Accuracy in points with its 95 % interval, or the extremes over runs if there are too few for one."""
    return f"{_text(effect, lambda value: f'{100 * value:{sign}.1f}')} points"


def _number(effect: Effect, *, sign: str = "") -> str:
    return _text(effect, lambda value: f"{value:{sign}.2f}")


def _text(effect: Effect, written: Callable[[float], str]) -> str:
    if effect.n_runs == 1:
        return written(effect.mean)
    low, high = map(written, effect.bounds)
    return f"{written(effect.mean)} " + (f"({low} to {high})" if effect.low is None else f"[{low}, {high}]")


def _rule_text() -> str:
    return (
        f"A loss is clearly larger if the 95 % interval of the difference lies above 0 and its mean is "
        f"{100 * CLEAR:g} point or more. (a) “{NO_MORE}”: the loss of a module is not clearly larger than that of its "
        f"random sets. (b) “{AS_NEIGHBOURS}”: it is, but it is not clearly larger than that of its sets of near "
        "neighbours, where only modules count whose sets are as alike in activity as the module. "
        f"(c) “{MORE}”: both are clearly larger. Where some run has no module to compare with near neighbours, it is "
        f"“{UNTOLD}”. The modules of one family cost more if they exceed the other family's in two numbers, each with "
        "its interval on one side of 0: the loss beyond a module's own random sets, and the share of these sets that "
        "lose less."
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
        meant = "no family costs more" if of.family == NEITHER else f"the {of.family} modules cost more"
        parts.append(
            f"{capitalised(case)}: the right answer is {listed_or(of.right)}, and {right} of {total} experiments give "
            f"it. That {meant} is right, too, and {families} say so."
        )
    return f"An experiment has {RUNS} made-up networks. {' '.join(parts)}"


def listed_or(names: tuple[str, ...]) -> str:
    """Names joined by "or", in quotes.

    >>> listed_or(("one", "two"))
    '“one” or “two”'
    """
    return " or ".join(f"“{name}”" for name in names)


def _spread_caption(rows: pd.DataFrame, last: float) -> str:
    spread = Lost(rows[rows["strength"] == last], "accuracy_spread")
    more = "more" if spread.excess.is_above_zero else "no more"
    return f"A module's loss falls on some classes {more} than that of random units"


def _places_text(rows: pd.DataFrame) -> str:
    """The families compared at both ends of dropout, layer by layer."""
    parts = []
    for strength, at in _at_each(rows):
        if strength not in (rows["strength"].min(), rows["strength"].max()):
            continue
        for layer, some in at.groupby("layer"):
            found = families(some)
            if found is not None:
                parts.append(
                    f"Layer {layer} {at_strength(strength)}: {_COST_MORE[found.answer]} (downstream minus upstream: "
                    f"{_points(found.excess, sign='+')} beyond their own random sets, and "
                    f"{_number(found.above, sign='+')} in the share of these sets that lose less)."
                )
    return " ".join(parts)


def _places_apart_text(rows: pd.DataFrame) -> str:
    """Why the answer over all places need not be that of a single one."""
    together = Lost(rows).answer
    places = [Lost(some).answer for _, some in rows.groupby(["measure", "layer"])]
    same = places.count(together)
    if same == len(places):
        return f"Each combination of measure and layer gives the answer of all together, “{together}”."
    return (
        f"All combinations of measure and layer together give “{together}”, but only {same} of {len(places)} do so by "
        "themselves. A single one has few modules beside near neighbours, or none, and so a wide interval."
    )


def _entropy_text(rows: pd.DataFrame) -> str:
    parts = []
    for strength in sorted({rows["strength"].min(), rows["strength"].max()}):
        one, spread = (Lost(rows[rows["strength"] == strength], name) for name in ("entropy", "entropy_spread"))
        over = f" (s.d. over classes {spread.module.mean:.2f} and {spread.random.mean:.2f})."
        parts.append(
            f"{capitalised(at_strength(strength))} it rises by {_number(one.module)} nats without a module and by "
            f"{_number(one.random)} without random units{over}"
        )
        if one.matched is not None:
            parts.append(
                f"Over the modules with near neighbours as alike, it rises by {_number(one.matched.module)} without a "
                f"module and by {_number(one.matched.neighbours)} without near neighbours."
            )
    return " ".join(parts)


def _alike_text(rows: pd.DataFrame, last: float) -> str:
    some = beside_neighbours(rows[rows["strength"] == last])
    means = some[["alike", "alike_neighbours", "alike_random"]].astype(float).mean()
    return (
        f"At dropout {last:g}, {len(some)} modules are compared with near neighbours. The mean correlation of two "
        f"units' activity is {means['alike']:.2f} in such a module, {means['alike_neighbours']:.2f} in a set of near "
        f"neighbours and {means['alike_random']:.2f} in a random set. "
        f"{int((some['measure'].map(FAMILY) == DOWNSTREAM).sum())} of these modules are downstream ones. Upstream ones "
        "are searched in activity or in what drives it, so few other sets are as alike as they are."
    )


def _left_out_text(table: pd.DataFrame) -> str:
    zero = table[table["lesion"] == "zero"]
    few = zero["n_random"] < FEWEST_SETS
    lonely = ~few & (zero["n_neighbours"] < FEWEST_SETS)
    unlike = len(zero) - int(few.sum()) - int(lonely.sum()) - len(beside_neighbours(zero[~few]))
    networks = len(zero[["run", "l2", "l1", "dropout"]].drop_duplicates())
    return (
        f"We took out {len(zero):,} modules of {networks} networks. For {int(few.sum()):,} of them we found fewer than "
        f"{FEWEST_SETS} random sets, so they are compared with nothing. For {int(lonely.sum()):,} more we found fewer "
        f"than {FEWEST_SETS} sets of near neighbours, and for {unlike:,} the neighbours are less alike than the "
        "module. These are compared with random units alone."
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
        "We fixed the rule and its trials before all runs were measured, but after a pilot on three of them. Of the "
        f"{len(found)} numbers of the pilot, {int(found['within'].sum())} lie in the 95 % intervals of all runs."
        + (f" These lie outside: {differing}." if differing else "")
    )

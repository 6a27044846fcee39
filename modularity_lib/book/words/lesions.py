"""Words on lesions in the open: what a module costs beside other units, set to 0 and held at their mean."""

import pandas as pd

from modularity_lib.book.words import lesion_folds
from modularity_lib.book.words.lesion_folds import at_strength, by_strength, points
from modularity_lib.book.words.prose import capitalised
from modularity_lib.findings.lesion_effects import (
    AS_NEIGHBOURS,
    DOWNSTREAM,
    MORE,
    NEITHER,
    NO_MORE,
    UNTOLD,
    UPSTREAM,
    Lost,
    families,
)
from modularity_lib.findings.lesion_trials import CASES, TRIED
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import FAMILY

_OPENINGS = {NO_MORE: "No", AS_NEIGHBOURS: "Partly", UNTOLD: "Partly", MORE: "Yes"}
# What a module costs, by the answer of the rule.
_COSTS = {
    NO_MORE: "no more accuracy than random units",
    AS_NEIGHBOURS: "more accuracy than random units, but not clearly more than units that are as alike",
    UNTOLD: "more accuracy than random units, and units that are as alike are too few to compare with",
    MORE: "more accuracy than random units, and more than other units that are as alike",
}


def texts(table: pd.DataFrame, results: Results, *, missing: str = "") -> dict[str, str]:
    """What the table of `lesions` says, in sentences; `missing` says why there is none."""
    zero, mean = (by_strength(table, results, lesion=lesion) for lesion in ("zero", "mean"))
    known = lesion_folds.texts(table, results) | {"lesion_power": _power_text()}
    if not zero:
        why = missing or "No module of this study could be compared."
        absent = {"lesion_short": why, "lesion_caption": "Not at hand for this study."}
        return known | dict.fromkeys(("lesion_course", "lesion_matched", "lesion_held", "lesion_families"), "") | absent
    return known | {
        "lesion_short": answer_text(table, results),
        "lesion_caption": _caption(zero, mean),
        "lesion_course": _course_text(zero),
        "lesion_matched": _matched_text(zero),
        "lesion_held": _held_text(zero, mean),
        "lesion_families": _families_text(zero),
    }


def answer_text(table: pd.DataFrame, results: Results) -> str:
    """The answer in short: units set to 0, held at their mean, and the family that cannot be compared."""
    zero, mean = (by_strength(table, results, lesion=lesion) for lesion in ("zero", "mean"))
    if not zero:
        return "No network's weights are at hand, so no module was taken out."
    last, answer = max(zero), _prevailing(zero)
    held = mean[last].answer if last in mean else zero[last].answer
    differs = held != zero[last].answer
    opening = "Partly" if differs else _OPENINGS[answer]
    told = [f"{opening}: set to 0, as dropout does, a module costs a network {_COSTS[answer]}{_where(zero, answer)}."]
    if differs:
        told.append(
            f"Held at its mean, it costs {_COSTS[held]} at dropout {last:g}: the answer depends on how units are taken "
            "out."
        )
    elif last in mean:
        told.append(f"Held at its mean, it gives the same answer at dropout {last:g}.")
    if zero[last].matched is not None:
        told += [
            f"For {family} modules the comparison with units as alike is open there." for family in _open(zero[last])
        ]
    return " ".join(told)


def _where(zero: dict[float, Lost], answer: str) -> str:
    """At which strengths the answer holds, if not at all."""
    others = {strength: one.answer for strength, one in zero.items() if one.answer != answer}
    if not others:
        return ""
    if answer == AS_NEIGHBOURS and list(others.values()) == [MORE]:
        [strength] = others
        return f", except at dropout {strength:g}" + (", the strongest" if strength == max(zero) else "")
    return f", at {len(zero) - len(others)} of {len(zero)} strengths of dropout"


def _prevailing(zero: dict[float, Lost]) -> str:
    """The answer of most strengths."""
    answers = [one.answer for one in zero.values()]
    return max(_OPENINGS, key=answers.count)


def _open(lost: Lost) -> list[str]:
    """The families that have no module beside near neighbours in some run."""
    beside = lost.beside["measure"].map(FAMILY)
    runs = set(lost.rows["run"])
    return [family for family in (UPSTREAM, DOWNSTREAM) if set(lost.beside.loc[beside == family, "run"]) != runs]


def _caption(zero: dict[float, Lost], mean: dict[float, Lost]) -> str:
    set_to_0, held = (sum(one.answer == MORE for one in found.values()) for found in (zero, mean))
    told = (
        f"Set to 0, a module costs clearly more than near neighbours at {set_to_0} of {len(zero)} strengths of dropout"
    )
    return f"{told}; held at its mean, at {held}." if mean else f"{told}."


def _course_text(zero: dict[float, Lost]) -> str:
    """What is lost at both ends of dropout, over all modules."""
    ends = sorted({min(zero), max(zero)})
    told = [
        f"{capitalised(at_strength(strength))} a module costs {points(zero[strength].module)} points and random units "
        f"{points(zero[strength].random)}."
        for strength in ends
    ]
    if zero[ends[-1]].random.mean < zero[ends[0]].random.mean:
        told.append("Dropout makes random units cheap to lose, so any module looks dear beside them.")
    return " ".join(told)


def _matched_text(zero: dict[float, Lost]) -> str:
    """The same over the modules beside near neighbours, so that losses can be subtracted; and who is not among them."""
    ends = sorted({min(zero), max(zero)})
    told = [_matched_at(strength, zero[strength]) for strength in ends]
    last = zero[ends[-1]]
    if last.answer == MORE and last.beyond is not None and last.beyond.low is not None:
        barely = ", but barely" if last.beyond.low < last.beyond.mean / 10 else ""
        told.append(
            f"That lead is clear by our rule{barely}: its interval goes from {100 * last.beyond.low:.2f} to "
            f"{100 * last.beyond.bounds[1]:.2f} points."
        )
    for family in (UPSTREAM, DOWNSTREAM):
        lacking = sum(family in _open(lost) for lost in zero.values())
        if lacking:
            number = int((last.beside["measure"].map(FAMILY) == family).sum())
            told.append(
                f"At the strongest dropout {number} of the {len(last.beside)} are {family} modules. For {family} "
                f"modules the question is open at {lacking} of {len(zero)} strengths, where some run has none to "
                "compare."
            )
    return " ".join(told)


def _matched_at(strength: float, lost: Lost) -> str:
    told = (
        f"{capitalised(at_strength(strength))}, near neighbours that are as alike exist for {len(lost.beside)} of "
        f"{len(lost.rows)} modules"
    )
    if lost.matched is None:
        return f"{told}, too few to compare with."
    return (
        f"{told}. Over these alone, a module costs {points(lost.matched.module)} points, near neighbours "
        f"{points(lost.matched.neighbours)} and random units {points(lost.matched.random)}."
    )


def _held_text(zero: dict[float, Lost], mean: dict[float, Lost]) -> str:
    """The same with units held at their mean, and how often both ways give one answer."""
    if not mean:
        return ""
    last = max(mean)
    answers = [one.answer for one in mean.values()]
    same = sum(zero[strength].answer == one.answer for strength, one in mean.items())
    return (
        f"Held at their mean, modules cost clearly more than near neighbours at {answers.count(MORE)} of {len(mean)} "
        f"strengths, and no more than random units at {answers.count(NO_MORE)}. {capitalised(at_strength(last))} a "
        f"module costs {points(mean[last].module)} points and random units {points(mean[last].random)}. Both ways give "
        f"the same answer at {same} of {len(mean)} strengths."
    )


def _families_text(zero: dict[float, Lost]) -> str:
    """At how many strengths the modules of which family cost more, beside their own random sets."""
    found = [one.answer for one in (families(lost.rows) for lost in zero.values()) if one is not None]
    if not found:
        return ""
    up, down, neither = (found.count(name) for name in (UPSTREAM, DOWNSTREAM, NEITHER))
    told = [
        f"Upstream modules cost more than downstream ones, beyond what random units cost, at {up} of {len(found)} "
        "strengths."
    ]
    if down:
        told.append(f"At {down} it is the other way round.")
    if neither:
        told.append(f"At {neither} there is no clear difference.")
    return " ".join(told)


def _power_text() -> str:
    """How often the rule finds modules that have a job of their own, in made-up networks."""
    [case] = (case for case, of in CASES.items() if of.right == (MORE,))
    counts = TRIED[case]["answer"]
    return (
        f"Our rule is cautious. We tried it on {sum(counts.values())} made-up experiments in which each module has a "
        f"job of its own, and it found that in {counts[MORE]} only."
    )

"""Words on the course of training: what comes before Q, and when units are alike."""

from collections.abc import Sequence

import pandas as pd

from modularity_lib.book.words.prose import capitalised, listed, markdown, span
from modularity_lib.findings.inference import Effect, effect_over_runs
from modularity_lib.findings.why_dropout import AFTER, BEFORE, TOGETHER
from modularity_lib.findings.why_dropout_effects import FOLLOWED, Order, followed, orders
from modularity_lib.studies.results import rows_at
from modularity_lib.vocabulary import BASELINE, LABELS, REGULARISERS, Regularisation, strength_text

# Of what is followed in training, as it is called in sentences.
_FOLLOWED = {
    "accuracy": "accuracy",
    "participation": "the number of dimensions",
    "twin_correlation": "the likeness of units",
    "copies": "their likeness beyond that of rotated units",
    "across": "agreement across the families",
}


def course_texts(course: pd.DataFrame | None, *, missing: str) -> dict[str, str]:
    """What `training_course` shows, in sentences."""
    if course is None:
        absent = {"course_answer": missing, "course_caption": "Not at hand for this study"}
        return absent | {"course_n": "no network", "course_short": "", "course_alike": ""}
    found, runs = orders(course), course["run"].nunique()
    settings = list(dict.fromkeys(order.setting for order in found))
    sentences = [_order_text([order for order in found if order.setting == setting]) for setting in settings]
    networks = len(course[["run", "l2", "l1", "dropout"]].drop_duplicates())
    return {
        "course_answer": " ".join(sentences),
        "course_caption": _course_caption(found, course),
        "course_short": _course_short(found, course),
        "course_alike": _alike_text(course),
        "course_n": f"{networks} networks of {runs} runs",
    }


def _with_most_dropout(found: Sequence[Order]) -> list[Order]:
    last = max(order.setting.dropout for order in found)
    return [order for order in found if order.setting.dropout == last and order.quantity != "score"]


def _course_caption(found: Sequence[Order], course: pd.DataFrame) -> str:
    """Whether Q is the last to change in the networks with most dropout, and whether their units stay alike."""
    of = _with_most_dropout(found)
    first = [order for order in of if order.answer == BEFORE]
    start = f"With dropout {of[0].setting.dropout:g}"
    alike = (
        ", and units are alike early and stay so" if _since_first_epoch(course, of[0].setting).bounds[0] >= 0 else ""
    )
    if len(first) == len(of):
        return f"{start} Q is the last to change{alike}"
    return f"{start} {len(first)} of {len(of)} other quantities change before Q{alike}"


def _course_short(found: Sequence[Order], course: pd.DataFrame) -> str:
    """What makes half of its change before Q with most dropout, and whether Q still rises at the end."""
    of = _with_most_dropout(found)
    first = [_FOLLOWED[order.quantity] for order in of if order.answer == BEFORE]
    start = f"With dropout {of[0].setting.dropout:g}"
    before = f"{start} nothing that we follow makes half of its change before Q."
    if len(first) == len(of):
        before = f"{start} all {len(of)} other quantities make half of their change before Q does."
    elif first:
        makes = "makes half of its" if len(first) == 1 else "make half of their"
        before = f"{start} {listed(first)} {makes} change before Q does."
    scores = _by_epoch(course, of[0].setting, "score")
    still = effect_over_runs((scores.iloc[:, -1] - scores.iloc[:, -2]).to_numpy())
    late = " Q still rises at the end, so in longer training its half would come later." if still.is_above_zero else ""
    return before + late


def _alike_text(course: pd.DataFrame) -> str:
    """How alike units are early and at the end, in every setting, and where they stay so."""
    settings = [Regularisation(*of) for of in course[list(REGULARISERS)].drop_duplicates().itertuples(index=False)]
    likeness = {setting: _by_epoch(course, setting, "twin_correlation") for setting in settings}
    early = [of.iloc[:, 1].mean() for of in likeness.values()]
    changes = {setting: _since_first_epoch(course, setting) for setting in settings}
    ends = {setting: f"{setting_text(setting)} ({of.iloc[:, -1].mean():.2f})" for setting, of in likeness.items()}
    kept = [ends[setting] for setting, change in changes.items() if change.bounds[0] >= 0]
    lost = [ends[setting] for setting, change in changes.items() if change.bounds[1] < 0]
    epoch = likeness[settings[0]].columns[1]
    return " ".join(
        [
            f"After epoch {epoch} a unit's correlation with its most similar one is {span(early, '{:.2f}'.format)} in "
            "all settings.",
            f"Units then grow less alike under {listed(lost)}." if lost else "",
            f"They stay alike, or grow more so, under {listed(kept)}." if kept else "",
        ]
    ).strip()


def _since_first_epoch(course: pd.DataFrame, setting: Regularisation) -> Effect:
    """By how much the likeness of units changes from the first epoch that was measured to the last."""
    likeness = _by_epoch(course, setting, "twin_correlation")
    return effect_over_runs((likeness.iloc[:, -1] - likeness.iloc[:, 1]).to_numpy())


def _by_epoch(course: pd.DataFrame, setting: Regularisation, name: str) -> pd.DataFrame:
    """A quantity of `followed` in the networks of a setting: a row for each run, a column for each epoch."""
    rows = rows_at(followed(course), **setting._asdict())
    return rows.pivot(index="run", columns="epoch", values=name).sort_index(axis=1)


def setting_text(setting: Regularisation) -> str:
    """A setting by what it has beside the baseline.

    >>> setting_text(Regularisation(dropout=0.7))
    'dropout 0.7'
    """
    own = [
        f"{LABELS[name]} {strength_text(value)}"
        for name, value in setting._asdict().items()
        if value != getattr(BASELINE, name)
    ]
    return listed(own) if own else "the baseline"


def _order_text(found: Sequence[Order]) -> str:
    by_answer: dict[str, list[str]] = {}
    for order in found:
        if order.answer:
            by_answer.setdefault(order.answer, []).append(_FOLLOWED[order.quantity])
    heads = {BEFORE: "before Q", TOGETHER: "about when Q does", AFTER: "after Q"}
    said = [
        f"{listed(by_answer[answer])} {'is' if len(by_answer[answer]) == 1 else 'are'} halfway {when}"
        for answer, when in heads.items()
        if answer in by_answer
    ]
    where = capitalised(f"under {setting_text(found[0].setting)}")
    return f"{where} {'; '.join(said) or 'Q hardly moves in some run, so nothing is said'}."


def course_markdown(course: pd.DataFrame | None) -> str:
    """Markdown table: half-times in epochs of every quantity, by setting."""
    if course is None:
        return ""
    found = orders(course)
    rows = []
    for setting in dict.fromkeys(order.setting for order in found):
        own = {order.quantity: order for order in found if order.setting == setting}
        rows.append([setting_text(setting), *(_half_time(own[name]) for name in FOLLOWED)])
    return markdown(["setting", *FOLLOWED.values()], rows)


def _half_time(order: Order) -> str:
    if order.half_time != order.half_time:
        return "hardly moves"
    return f"{order.half_time:.2g}" + (f" ({order.answer})" if order.answer else "")

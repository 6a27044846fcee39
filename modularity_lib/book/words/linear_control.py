"""Words on linear units: whether dropout makes a privileged basis without the ReLU."""

from collections.abc import Mapping, Sequence

import pandas as pd

from modularity_lib.book.words.prose import effect_text, listed, markdown_of, percent
from modularity_lib.findings.linear_control import EPOCHS
from modularity_lib.findings.why_dropout import BASIS, LINEAR_PILOT, Q_CLEAR
from modularity_lib.findings.why_dropout_effects import Basis, bases, linear_pilot_holds
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import MEASURE_LABELS


def linear_texts(linear: pd.DataFrame | None, results: Results, *, missing: str) -> dict[str, str]:
    """What `linear_control` shows, in sentences."""
    found = [] if linear is None else bases(linear)
    epochs = {"linear_epochs": f"{EPOCHS} epochs, where those of the study have {results.study.epochs:,}"}
    if linear is None or not found:
        absent = missing or "This study has no network with the dropout that is asked."
        told = {"linear_answer": absent, "linear_caption": "Not at hand for this study"}
        return epochs | told | dict.fromkeys(("linear_without", "linear_rectified", "linear_facts", "linear_pilot"), "")
    both = {rectified: [basis for basis in found if basis.rectified == rectified] for rectified in (False, True)}
    means = {rectified: sum(basis.excess.mean for basis in of) / len(of) for rectified, of in both.items()}
    strongest, runs = linear["dropout"].max(), linear["run"].nunique()
    accuracy = linear[(linear["dropout"] == strongest)].groupby("rectified")["accuracy"].mean()
    balance = linear[~linear["rectified"]].groupby("dropout")["balance"].mean()
    penalty = linear[~linear["rectified"]].groupby("dropout")[["penalty", "rotated_penalty"]].mean()
    less = 1 - penalty["penalty"] / penalty["rotated_penalty"]
    apart = max(abs(basis.without.mean - basis.without_rotated.mean) for basis in both[False])
    return epochs | {
        "linear_caption": (
            f"Beyond that of rotated units Q rises by {means[False]:.2f} with linear units, by {means[True]:.2f} with "
            "ReLUs"
        ),
        "linear_without": (
            f"Without dropout Q of linear units lies within {apart:.2f} of that of the same units rotated."
            + (" So neither Adam nor the initial weights make modules here." if apart < Q_CLEAR else "")
        ),
        "linear_answer": f"{_linear_count(both[False], strongest)} {_linear_verdict(both)}",
        "linear_rectified": _rectified(both[True]),
        "linear_facts": (
            f"Dropout {strongest:g} is compared with none in {runs} run{'' if runs == 1 else 's'}. At that dropout "
            f"{percent(accuracy[False])} of the test digits are right with linear units and {percent(accuracy[True])} "
            "with ReLUs. The cosines of incoming and of outgoing weights of linear units correlate by "
            f"{balance.iloc[0]:.2f} without dropout and {balance.iloc[-1]:.2f} with it. What dropout adds to the loss "
            f"is {percent(less.iloc[-1])} less than for rotated units, which compute the same. In networks that were "
            f"trained without dropout it would be {percent(less.iloc[0])} less."
        ),
        "linear_pilot": _linear_pilot_text(linear_pilot_holds(found)),
    }


def _linear_count(linear: Sequence[Basis], strongest: float) -> str:
    chosen, mean = (
        [basis.answer for basis in linear].count(BASIS),
        sum(basis.excess.mean for basis in linear) / len(linear),
    )
    return (
        f"With dropout {strongest:g} Q of linear units rises beyond that of rotated ones in {chosen} of {len(linear)} "
        f"pairs of layer and measure, by {_two_digits(mean)} on average."
    )


def _two_digits(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}"  # which turns -0.0 into 0.0


def _linear_verdict(both: Mapping[bool, Sequence[Basis]]) -> str:
    chosen = [basis.answer for basis in both[False]].count(BASIS)
    if chosen == 0:
        return "So without the ReLU dropout makes no privileged basis."
    where = "even without a ReLU" if chosen == len(both[False]) else "in part of these even without a ReLU"
    return f"So dropout makes a privileged basis {where}."


def _rectified(rectified: Sequence[Basis]) -> str:
    """The same with ReLUs: in how many, which has most of it, and which has none."""
    chosen, mean = [basis.answer for basis in rectified].count(BASIS), sum(basis.excess.mean for basis in rectified)
    most = max(rectified, key=lambda basis: basis.excess.mean)
    none = [
        f"the {MEASURE_LABELS[basis.measure]} in layer {basis.layer}" for basis in rectified if basis.answer != BASIS
    ]
    alone = (
        f", most of it in the {MEASURE_LABELS[most.measure]} in layer {most.layer} ({most.excess.mean:.2f})"
        if mean > 0 and most.excess.mean > mean / 2
        else ""
    )
    but = f" It does not in {listed(none)}." if none and chosen else ""
    size = _two_digits(mean / len(rectified))
    return f"With ReLUs it rises in {chosen} of {len(rectified)}, by {size} on average{alone}.{but}"


def _linear_pilot_text(holds: bool | None) -> str:
    if holds is None:
        return ""
    ends = {name: "{:.3f} without dropout and {:.3f} with it".format(*of) for name, of in LINEAR_PILOT.items()}
    verdict = "All four lie within the intervals" if holds else "Not all four lie within the intervals"
    return (
        f"A pilot of one run had Q of linear units in layer 1, input covariance (norm), at {ends['score']}, and "
        f"of rotated units at {ends['rotated']}. {verdict} of the table."
    )


def linear_markdown(linear: pd.DataFrame | None) -> str:
    """Markdown table: Q of linear units and of ReLUs, as trained and rotated."""
    found = [] if linear is None else bases(linear)
    if linear is None or not found:
        return ""
    rows = [
        {
            "units": "ReLU" if basis.rectified else "linear",
            "layer": basis.layer,
            "measure": MEASURE_LABELS[basis.measure],
            "without": f"{effect_text(basis.without)}, {basis.without_rotated.mean:.3f}",
            "strongest": f"{effect_text(basis.strongest)}, {basis.strongest_rotated.mean:.3f}",
            "excess": effect_text(basis.excess, sign="+"),
            "answer": basis.answer,
        }
        for basis in found
    ]
    cells = {
        "units": "{units}",
        "layer": "{layer}",
        "measure": "{measure}",
        "Q without dropout, rotated": "{without}",
        f"Q at {linear['dropout'].max():g}, rotated": "{strongest}",
        "rise beyond rotated": "{excess}",
        "dropout chooses": "{answer}",
    }
    return markdown_of(rows, cells)

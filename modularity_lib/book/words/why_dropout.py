"""Words on why dropout makes modules: near-copies, what a module says, linear networks, and the order in training."""

from collections.abc import Sequence

import pandas as pd

from modularity_lib.book.words.prose import capitalised, effect_text, listed, markdown, markdown_of
from modularity_lib.findings.inference import Effect
from modularity_lib.findings.near_copies import TWIN
from modularity_lib.findings.why_dropout import (
    AFTER,
    AS_MUCH,
    BASIS,
    BEFORE,
    BOTH,
    COPIES,
    COPIES_CLEAR,
    DIMENSIONS,
    ENOUGH,
    MOST_OF_IT,
    NO_COPIES,
    ONE,
    Q_CLEAR,
    SEVERAL,
    TOGETHER,
    UNDECIDED,
)
from modularity_lib.findings.why_dropout_effects import (
    FOLLOWED,
    Basis,
    LayerAnswer,
    Order,
    Quantity,
    bases,
    layer_answers,
    linear_pilot_holds,
    orders,
    quantities,
    strongest_dropout,
)
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import BASELINE, LABELS, MEASURE_LABELS, Regularisation

_NAMES = {
    "twin_correlation": "correlation with the most similar unit",
    "twins": "share of units with a twin",
    "input_cosine": "cosine of incoming weights, nearest pair",
    "output_cosine": "cosine of the outgoing weights of that pair",
    "participation": "dimensions of activity",
    "input_contrast": "incoming cosine, within minus across modules",
    "output_contrast": "outgoing cosine, within minus across modules",
    "one_signal": "accuracy with one signal per module",
    "one_signal_random": "the same for random groups",
}
_COPIES = {
    COPIES: "dropout makes near-copies",
    BOTH: "dropout makes near-copies, and half of the twins or more are due to fewer dimensions",
    DIMENSIONS: "units use fewer dimensions, which explains their twins",
    NO_COPIES: "units have no more twins than without dropout",
}
_SIGNALS = {
    ONE: "a module says one thing, as one unit copied would",
    SEVERAL: "a module is not one unit copied: one signal per module does not keep the accuracy above guessing",
    UNDECIDED: "whether a module says one thing is undecided",
}


def texts(near: pd.DataFrame | None, results: Results, *, missing: str) -> dict[str, str]:
    """What `near_copies` shows, in sentences.

    Args:
        near: its table, or None.
        missing: why there is none.
    """
    told = ("copies_detail", "copies_pilot", "signal_detail")
    if near is None:
        captions = dict.fromkeys(("copies_caption", "signal_caption"), "Not at hand for this study")
        return dict.fromkeys(told, "") | captions | {"copies_answer": missing, "copies_n": "no network"}
    answers, strongest = layer_answers(near), strongest_dropout(near)
    runs = near["run"].nunique()
    networks = len(near.loc[near["trained"], ["run", "dropout"]].drop_duplicates())
    which = f"all {runs} runs" if runs == results.study.runs else f"{runs} of {results.study.runs} runs"
    return {
        "copies_answer": _answer(answers, strongest),
        "copies_caption": capitalised(_by_layer(answers)),
        "signal_caption": _signal_caption(answers),
        "copies_detail": " ".join(map(_copies_detail, answers)),
        "copies_pilot": _pilot_text(quantities(near)),
        "signal_detail": " ".join(map(_signal_detail, answers)),
        "copies_n": f"{networks:,} networks of {which}",
    }


def rule_text() -> str:
    """The rules, in a few sentences."""
    return (
        f"A unit has a twin if another one's activity correlates with it above {TWIN:g}. There are more twins if their "
        f"share rises by {COPIES_CLEAR:g} or more from no dropout to the strongest. They are due to {DIMENSIONS} if it "
        f"does not rise by as much beyond that of units turned at random, to {COPIES} if that is {MOST_OF_IT:.0%} of "
        f"the rise or more, and otherwise to both. A module says one thing if one signal per module keeps "
        f"{ENOUGH:.0%} of the accuracy above guessing or more. Dropout chooses a basis if Q rises by "
        f"{Q_CLEAR:g} or more beyond that of turned units. Each of these must hold for the interval over runs. One "
        "quantity comes before another in training if the interval of the ratio of their half-times says so."
    )


def _answer(answers: Sequence[LayerAnswer], strongest: float) -> str:
    before, after, turned = (
        listed(f"{answer.shares[place]:.0%} of layer {answer.layer}" for answer in answers) for place in range(3)
    )
    kept = listed(f"{answer.kept.mean:.0%} in layer {answer.layer}" for answer in answers)
    signals = listed(dict.fromkeys(_SIGNALS[answer.signal] for answer in answers))
    return (
        f"{capitalised(_by_layer(answers))}. Of the units, {after} have a twin at dropout {strongest:g}, and {before} "
        f"without dropout; units turned at random would have one in {turned}. {capitalised(signals)} ({kept})."
    )


def _by_layer(answers: Sequence[LayerAnswer]) -> str:
    """What the rule says of the copies in each layer; once if it says the same of all."""
    said = list(dict.fromkeys(_COPIES[answer.copies] for answer in answers))
    if len(said) == 1:
        return said[0]
    return "; ".join(f"in layer {answer.layer} {_COPIES[answer.copies]}" for answer in answers)


def _signal_caption(answers: Sequence[LayerAnswer]) -> str:
    kept = listed(f"{answer.kept.mean:.0%} in layer {answer.layer}" for answer in answers)
    return f"Of the accuracy above guessing one signal per module keeps {kept}"


def _copies_detail(answer: LayerAnswer) -> str:
    return (
        f"In layer {answer.layer} the share of units with a twin changes by {effect_text(answer.found, sign='+')}, "
        f"that of units turned at random by {effect_text(answer.rotated, sign='+')}. Beyond what so few dimensions "
        f"give is {effect_text(answer.beyond, sign='+')}{_part(answer)}: {answer.copies}."
    )


def _part(answer: LayerAnswer) -> str:
    """How much of the rise of the twins lies beyond that of turned units."""
    return f", {answer.beyond.mean / answer.found.mean:.0%} of it" if answer.copies in (COPIES, BOTH) else ""


def _signal_detail(answer: LayerAnswer) -> str:
    rank = answer.over_rank
    if rank.bounds[0] > -AS_MUCH:
        beside = "as much as the same number of signals for the whole layer keep, or more: modules are its dimensions"
    elif rank.bounds[1] < -AS_MUCH:
        beside = "less than the same number of signals for the whole layer keep"
    else:
        beside = "about what the same number of signals for the whole layer keep"
    return (
        f"In layer {answer.layer} one signal per module keeps {_share(answer.kept)} of the accuracy above guessing, "
        f"{beside} (accuracy {effect_text(rank, sign='+')}). Beside random groups of the same sizes it is "
        f"{effect_text(answer.over_random, sign='+')}."
    )


def _share(effect: Effect) -> str:
    low, high = effect.bounds
    return f"{effect.mean:.0%} [{low:.0%}, {high:.0%}]"


def _pilot_text(found: Sequence[Quantity]) -> str:
    asked = [quantity for quantity in found if quantity.pilot is not None]
    if not asked:
        return "The pilot was of another study."
    missed = [quantity for quantity in asked if not quantity.holds]
    if not missed:
        return f"Both ends of all {len(asked)} lie within the intervals."
    names = listed(f"{_NAMES[quantity.name]}, layer {quantity.layer}" for quantity in missed)
    return (
        f"Of {len(asked)} quantities {len(asked) - len(missed)} lie within the intervals at both ends. Not: {names}. "
        "The table shows by how much."
    )


def quantities_markdown(near: pd.DataFrame | None) -> str:
    """Markdown table: each quantity and layer before training, without dropout and at the strongest, and the pilot."""
    if near is None:
        return ""
    rows = [
        {
            "name": _NAMES[quantity.name],
            "layer": quantity.layer,
            "untrained": "–" if quantity.untrained is None else f"{quantity.untrained.mean:.3f}",
            "without": effect_text(quantity.without),
            "strongest": effect_text(quantity.strongest),
            "pilot": "–" if quantity.pilot is None else "{:g} → {:g}".format(*quantity.pilot),
        }
        for quantity in quantities(near)
    ]
    cells = {
        "quantity": "{name}",
        "layer": "{layer}",
        "untrained": "{untrained}",
        "no dropout": "{without}",
        f"dropout {strongest_dropout(near):g}": "{strongest}",
        "pilot": "{pilot}",
    }
    return markdown_of(rows, cells)


def trials_markdown(made_up: pd.DataFrame) -> str:
    """Markdown table of `made_up_layers.made_up_table`."""
    rows = [
        [row["case"], row["rule"], "yes" if row["truth"] else "no", f"{row['called']:.0%}"]
        for _, row in made_up.iterrows()
    ]
    return markdown(["made-up runs", "rule", "is it so?", "called so"], rows)


def trials_text(made_up: pd.DataFrame) -> str:
    """How often the rules err, in a sentence."""
    wrong, right = made_up[~made_up["truth"]], made_up[made_up["truth"]]
    always = wrong[wrong["called"] > 0.05]
    sets = int(made_up["sets"].iloc[0])
    but = (
        ""
        if always.empty
        else f" Wrongly called: {listed(f'{row.case} ({row.called:.0%})' for row in always.itertuples())}."
    )
    return (
        f"Of {sets} made-up sets of nine runs per case the rules call what is there in {right['called'].min():.0%} or "
        f"more, and what is not there in {wrong['called'].median():.0%} (median over cases).{but}"
    )


def linear_texts(linear: pd.DataFrame | None, *, missing: str) -> dict[str, str]:
    """What `linear_control` shows, in sentences."""
    found = [] if linear is None else bases(linear)
    if linear is None or not found:
        absent = missing or "This study has no network with the dropout that is asked."
        told = {"linear_answer": absent, "linear_caption": "Not at hand for this study"}
        return told | dict.fromkeys(("linear_facts", "linear_pilot"), "")
    both = {rectified: [basis for basis in found if basis.rectified == rectified] for rectified in (False, True)}
    chosen = [basis for basis in both[False] if basis.answer == BASIS]
    means = {rectified: sum(basis.excess.mean for basis in of) / len(of) for rectified, of in both.items()}
    strongest, runs = linear["dropout"].max(), linear["run"].nunique()
    accuracy = linear[(linear["dropout"] == strongest)].groupby("rectified")["accuracy"].mean()
    balance = linear[~linear["rectified"]].groupby("dropout")["balance"].mean()
    penalty = linear[~linear["rectified"]].groupby("dropout")[["penalty", "rotated_penalty"]].mean()
    less = 1 - penalty["penalty"] / penalty["rotated_penalty"]
    return {
        "linear_caption": (
            f"Beyond that of turned units Q rises by {means[False]:.3f} with linear units, by {means[True]:.3f} with "
            "ReLUs"
        ),
        "linear_answer": (
            f"Dropout {strongest:g} against none, {runs} runs: with linear units Q rises beyond that of turned ones in "
            f"{len(chosen)} of {len(both[False])} combinations of layer and measure ({_places(chosen)}), on average by "
            f"{means[False]:+.3f}; with ReLUs, trained for as many epochs, in "
            f"{sum(basis.answer == BASIS for basis in both[True])} of {len(both[True])}, by {means[True]:+.3f}. "
            + _linear_verdict(len(chosen), len(both[False]), means)
        ),
        "linear_facts": (
            f"Accuracy at dropout {strongest:g}: {accuracy[False]:.1%} with linear units, {accuracy[True]:.1%} with "
            "ReLUs. The cosines of incoming and of outgoing weights of linear units correlate by "
            f"{balance.iloc[0]:.2f} without dropout and {balance.iloc[-1]:.2f} with it. What dropout adds to the loss "
            f"is {less.iloc[-1]:.0%} less than for turned units, which compute the same (without dropout "
            f"{less.iloc[0]:.0%} less)."
        ),
        "linear_pilot": {
            None: "",
            True: "The pilot, one run, lies within the intervals.",
            False: "The pilot, one run, does not lie within the intervals of the mean; the table shows by how much.",
        }[linear_pilot_holds(found)],
    }


def _places(found: Sequence[Basis]) -> str:
    return listed(f"{MEASURE_LABELS[basis.measure]} in layer {basis.layer}" for basis in found) if found else "none"


def _linear_verdict(chosen: int, of: int, means: dict[bool, float]) -> str:
    if chosen == 0:
        return "Without the ReLU dropout chooses no basis."
    share = (
        f"{means[False] / means[True]:.0%} of what it is with ReLUs" if means[True] > 0 else "no less than with ReLUs"
    )
    scope = (
        "Dropout chooses a basis without any ReLU"
        if chosen == of
        else "In part dropout chooses a basis without any ReLU"
    )
    return f"{scope}; the effect is {share}."


def linear_markdown(linear: pd.DataFrame | None) -> str:
    """Markdown table: Q of linear units and of ReLUs, as trained and turned."""
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
        "Q without dropout, turned": "{without}",
        f"Q at {linear['dropout'].max():g}, turned": "{strongest}",
        "rise beyond turned": "{excess}",
        "dropout chooses": "{answer}",
    }
    return markdown_of(rows, cells)


def course_texts(course: pd.DataFrame | None, *, missing: str) -> dict[str, str]:
    """What `training_course` shows, in sentences."""
    if course is None:
        return {"course_answer": missing, "course_n": "no network", "course_caption": "Not at hand for this study"}
    found, runs = orders(course), course["run"].nunique()
    settings = list(dict.fromkeys(order.setting for order in found))
    sentences = [_order_text([order for order in found if order.setting == setting]) for setting in settings]
    networks = len(course[["run", "l2", "l1", "dropout"]].drop_duplicates())
    return {
        "course_answer": " ".join(sentences),
        "course_caption": _course_caption(found),
        "course_n": f"{networks} networks of {runs} runs",
    }


def _course_caption(found: Sequence[Order]) -> str:
    """What comes before Q in the networks with most dropout."""
    last = max(order.setting.dropout for order in found)
    first = [FOLLOWED[o.quantity] for o in found if o.setting.dropout == last and o.answer == BEFORE]
    come = "comes" if len(first) < 2 else "come"
    return f"With dropout {last:g}, {listed(first) if first else 'nothing that is followed'} {come} before Q"


def setting_text(setting: Regularisation) -> str:
    """A setting by what it has beside the baseline.

    >>> setting_text(Regularisation(dropout=0.7))
    'dropout 0.7'
    """
    own = [
        f"{LABELS[name]} {value:.2g}" for name, value in setting._asdict().items() if value != getattr(BASELINE, name)
    ]
    return listed(own) if own else "no regularisation"


def _order_text(found: Sequence[Order]) -> str:
    by_answer: dict[str, list[str]] = {}
    for order in found:
        if order.answer:
            by_answer.setdefault(order.answer, []).append(FOLLOWED[order.quantity])
    heads = {BEFORE: "before Q: ", TOGETHER: "with Q, or not to be told: ", AFTER: "after Q: "}
    said = "; ".join(f"{head}{listed(by_answer[answer])}" for answer, head in heads.items() if answer in by_answer)
    return f"{capitalised(setting_text(found[0].setting))}: {said or 'Q has no half-time in every run'}."


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
        return "hardly moves in some run"
    return f"{order.half_time:.2g}" + (f" ({order.answer})" if order.answer else "")

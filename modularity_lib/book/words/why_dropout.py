"""Words on why dropout makes modules: near-copies, what a module says, linear networks, and the order in training."""

from collections.abc import Callable, Sequence

import pandas as pd

from modularity_lib.book.words.prose import capitalised, effect_text, listed, markdown, markdown_of, percent
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
from modularity_lib.vocabulary import BASELINE, LABELS, MEASURE_LABELS, Regularisation, strength_text

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
_SHORT = 2  # layers that are named one by one in short; of more the extremes are told
_SIGNALS = {
    ONE: "a module says one thing, as one unit copied would",
    SEVERAL: "a module is more than one unit copied, since one signal per module does not keep the accuracy",
    UNDECIDED: "whether a module says one thing is undecided",
}

# Of what is followed in training, as it is called in sentences.
_FOLLOWED = {
    "accuracy": "accuracy",
    "participation": "the number of dimensions",
    "twin_correlation": "the likeness of units",
    "copies": "their likeness beyond that of turned units",
    "across": "agreement across the families",
}


def texts(near: pd.DataFrame | None, results: Results, *, missing: str) -> dict[str, str]:
    """What `near_copies` shows, in sentences.

    Args:
        near: its table, or None.
        missing: why there is none.
    """
    told = ("copies_detail", "copies_pilot", "signal_short", "signal_detail")
    if near is None:
        captions = dict.fromkeys(("copies_caption", "signal_caption"), "Not at hand for this study")
        return dict.fromkeys(told, "") | captions | {"copies_answer": missing, "copies_n": "no network"}
    answers = layer_answers(near)
    runs = near["run"].nunique()
    networks = len(near.loc[near["trained"], ["run", "dropout"]].drop_duplicates())
    which = f"all {runs} runs" if runs == results.study.runs else f"{runs} of {results.study.runs} runs"
    return {
        "copies_answer": _answer(answers),
        "copies_caption": capitalised(_copies(answers)),
        "signal_caption": _signal_caption(answers),
        "copies_detail": " ".join(map(_copies_detail, answers)),
        "copies_pilot": _pilot_text(quantities(near)),
        "signal_short": _signal_short(answers),
        "signal_detail": " ".join(map(_signal_detail, answers)),
        "copies_n": f"{networks:,} networks of {which}",
    }


def rule_text() -> str:
    """The rules, in a few sentences."""
    return (
        f"A unit has a twin if another one's activity correlates with it above {TWIN:g}. There are more twins if their "
        f"share rises by {COPIES_CLEAR:g} or more from no dropout to the strongest. They are due to {DIMENSIONS} if it "
        f"does not rise by as much beyond that of units turned at random, to {COPIES} if that is {percent(MOST_OF_IT)} "
        f"of the rise or more, and otherwise to both. A module says one thing if one signal per module keeps "
        f"{percent(ENOUGH)} of the accuracy above guessing or more. Dropout chooses a basis if Q rises by "
        f"{Q_CLEAR:g} or more beyond that of turned units. Each of these must hold for the interval over runs. One "
        "quantity comes before another in training if the interval of the ratio of their half-times says so."
    )


def _answer(answers: Sequence[LayerAnswer]) -> str:
    """In short: copies or not, units with a twin beside those of turned units, and what a module says."""
    _, after, turned = zip(*(answer.shares for answer in answers), strict=True)
    many = len(answers) > _SHORT
    where = "" if many else f" in layer{'s' if len(answers) > 1 else ''} {listed(answer.layer for answer in answers)}"
    signals = _by_layer(answers, lambda answer: _SIGNALS[answer.signal])
    return (
        f"{capitalised(_copies(answers))}. At the strongest dropout {_shares(after)} of the units{where} have a twin, "
        f"another unit whose activity is almost the same. Of units that are turned at random {_shares(turned)} would "
        f"have one. {capitalised(signals)}."
    )


def _shares(values: Sequence[float]) -> str:
    """Shares of the layers one by one, or the extremes of many."""
    if len(values) > _SHORT:
        return f"{percent(min(values))} to {percent(max(values))}"
    return listed(map(percent, values))


def _copies(answers: Sequence[LayerAnswer]) -> str:
    return _by_layer(answers, lambda answer: _COPIES[answer.copies])


def _by_layer(answers: Sequence[LayerAnswer], say: Callable[[LayerAnswer], str]) -> str:
    """What is said of each layer; once if the same is said of all."""
    said = list(dict.fromkeys(map(say, answers)))
    if len(said) == 1:
        return said[0]
    return "; ".join(f"in layer {answer.layer} {say(answer)}" for answer in answers)


def _signal_caption(answers: Sequence[LayerAnswer]) -> str:
    kept = listed(f"{percent(answer.kept.mean)} in layer {answer.layer}" for answer in answers)
    return f"Of the accuracy above guessing one signal per module keeps {kept}"


def _copies_detail(answer: LayerAnswer) -> str:
    part = ""
    if answer.copies in (COPIES, BOTH):  # how much of the rise of the twins lies beyond that of turned units
        part = f", {percent(answer.beyond.mean / answer.found.mean)} of the rise"
    return (
        f"In layer {answer.layer} the share of units with a twin changes by {_share(answer.found)}, and that of units "
        f"turned at random by {_share(answer.rotated)}. The difference is {_share(answer.beyond)}{part}."
    )


def _signal_short(answers: Sequence[LayerAnswer]) -> str:
    return f"{_signal_caption(answers)}. {capitalised(_by_layer(answers, lambda one: f'that is {_beside(one)}'))}."


def _beside(answer: LayerAnswer) -> str:
    """One signal per module beside as many signals for the whole layer."""
    rank = answer.over_rank
    if rank.bounds[0] > -AS_MUCH:
        return "as much as the same number of signals for the whole layer keep, or more"
    if rank.bounds[1] < -AS_MUCH:
        return "less than the same number of signals for the whole layer keep"
    return "about what the same number of signals for the whole layer keep"


def _signal_detail(answer: LayerAnswer) -> str:
    return (
        f"In layer {answer.layer} one signal per module keeps {_share(answer.kept)} of the accuracy above guessing. "
        f"Its accuracy minus that of as many signals for the whole layer is {effect_text(answer.over_rank, sign='+')}, "
        f"and minus that of random groups of the same sizes {effect_text(answer.over_random, sign='+')}."
    )


def _share(effect: Effect) -> str:
    low, high = map(percent, effect.bounds)
    return f"{percent(effect.mean)} [{low}, {high}]"


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
        [row["case"], row["rule"], "yes" if row["truth"] else "no", percent(row["called"])]
        for _, row in made_up.iterrows()
    ]
    return markdown(["made-up runs", "rule", "is it so?", "called so"], rows)


def trials_text(made_up: pd.DataFrame) -> str:
    """How often the rules err, in a sentence."""
    wrong, right = made_up[~made_up["truth"]], made_up[made_up["truth"]]
    always = wrong[wrong["called"] > 0.05]
    sets = int(made_up["sets"].iloc[0])
    cases = [f"{row['case']} ({percent(row['called'])})" for row in always.to_dict("records")]
    but = f" Wrongly called: {listed(cases)}." if cases else ""
    return (
        f"In {sets} made-up sets of nine runs per case the rules find what is there in at least "
        f"{percent(right['called'].min())} of the sets, and call what is not there in "
        f"{percent(wrong['called'].median())} (median over cases).{but}"
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
            f"Beyond that of turned units Q rises by {means[False]:.2f} with linear units, by {means[True]:.2f} with "
            "ReLUs"
        ),
        "linear_answer": (
            f"With linear units and dropout {strongest:g} Q rises beyond that of turned units in {len(chosen)} of "
            f"{len(both[False])} combinations of layer and measure, by {means[False]:.2f} on average; with ReLUs it "
            f"does in {sum(basis.answer == BASIS for basis in both[True])} of {len(both[True])}, by {means[True]:.2f}. "
            + _linear_verdict(len(chosen), len(both[False]))
        ),
        "linear_facts": (
            f"Dropout {strongest:g} is compared with none in {runs} runs. At that dropout {percent(accuracy[False])} "
            f"of the test digits are right with linear units and {percent(accuracy[True])} with ReLUs. The cosines of "
            "incoming and of outgoing weights of linear units correlate by "
            f"{balance.iloc[0]:.2f} without dropout and {balance.iloc[-1]:.2f} with it. What dropout adds to the loss "
            f"is {percent(less.iloc[-1])} less than for turned units, which compute the same; without dropout it would "
            f"be {percent(less.iloc[0])} less."
        ),
        "linear_pilot": {
            None: "",
            True: "The pilot, one run, lies within the intervals.",
            False: "The pilot, one run, does not lie within the intervals of the mean; the table shows by how much.",
        }[linear_pilot_holds(found)],
    }


def _linear_verdict(chosen: int, of: int) -> str:
    if chosen == 0:
        return "So without the ReLU dropout prefers no units to their mixtures."
    scope = "" if chosen == of else "in part "
    return f"So dropout {scope}prefers some units to their mixtures without any ReLU."


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
    first = [_FOLLOWED[o.quantity] for o in found if o.setting.dropout == last and o.answer == BEFORE]
    if not first:
        return f"With dropout {last:g} nothing that is followed makes half of its change before Q"
    makes = "makes half of its" if len(first) == 1 else "make half of their"
    return f"With dropout {last:g}, {listed(first)} {makes} change before Q does"


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
    return listed(own) if own else "no regularisation"


def _order_text(found: Sequence[Order]) -> str:
    by_answer: dict[str, list[str]] = {}
    for order in found:
        if order.answer:
            by_answer.setdefault(order.answer, []).append(_FOLLOWED[order.quantity])
    heads = {BEFORE: "before Q: ", TOGETHER: "with Q, or not to be told: ", AFTER: "after Q: "}
    said = "; ".join(f"{head}{listed(by_answer[answer])}" for answer, head in heads.items() if answer in by_answer)
    return f"{capitalised(setting_text(found[0].setting))}: {said or 'Q hardly moves in some run, so nothing is said'}."


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

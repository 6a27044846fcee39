"""Words on why dropout makes modules: near-copies, and what a module says."""

from collections.abc import Callable, Sequence

import pandas as pd

from modularity_lib.book.words.prose import capitalised, effect_text, listed, markdown, markdown_of, percent
from modularity_lib.findings.inference import Effect
from modularity_lib.findings.near_copies import TWIN
from modularity_lib.findings.why_dropout import (
    AS_MUCH,
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
    UNDECIDED,
)
from modularity_lib.findings.why_dropout_effects import (
    LayerAnswer,
    Quantity,
    layer_answers,
    quantities,
    strongest_dropout,
)
from modularity_lib.studies.results import Results

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
    BOTH: "dropout makes near-copies, but most twins are due to fewer dimensions",
    DIMENSIONS: "units use fewer dimensions, which explains their twins",
    NO_COPIES: "units have no more twins than without dropout",
}
_SOME = 0.05  # of the rise of twins: what is told to be due to fewer dimensions
_SHORT = 2  # layers that are named one by one in short; of more the extremes are told
_SIGNALS = {
    ONE: "a module says one thing, as one unit copied would",
    SEVERAL: "a module is more than one unit copied, as one signal for it does not keep the accuracy",
    UNDECIDED: "whether a module says one thing is undecided",
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
        "signal_short": _signal_short(answers, quantities(near)),
        "signal_detail": " ".join(map(_signal_detail, answers)),
        "copies_n": f"{networks:,} networks of {which}",
    }


def rule_text() -> str:
    """The rules, in a few sentences."""
    return (
        f"A unit has a twin if another one's activity correlates with it above {TWIN:g}. There are more twins if their "
        f"share rises by {COPIES_CLEAR:g} or more from no dropout to the strongest. They are due to {DIMENSIONS} if it "
        f"does not rise by as much beyond that of rotated units, to {COPIES} if that is {percent(MOST_OF_IT)} "
        f"of the rise or more, and otherwise to both. A module says one thing if one signal per module keeps "
        f"{percent(ENOUGH)} of the accuracy above guessing or more. Dropout chooses a basis if Q rises by "
        f"{Q_CLEAR:g} or more beyond that of rotated units. What counts as a rise has an interval over runs above 0, "
        "too, and one signal is judged by its whole interval. One quantity comes before another in training if the "
        "interval of the ratio of their half-times says so."
    )


def _answer(answers: Sequence[LayerAnswer]) -> str:
    """In short: copies or not, units with a twin beside those of rotated units, and what a module says."""
    _, after, rotated = zip(*(answer.shares for answer in answers), strict=True)
    many = len(answers) > _SHORT
    where = "" if many else f" in layer{'s' if len(answers) > 1 else ''} {listed(answer.layer for answer in answers)}"
    signals = _by_layer(answers, lambda answer: _SIGNALS[answer.signal])
    return (
        f"{capitalised(_copies(answers))}. At its strongest {_shares(after)} of the units{where} have a twin: another "
        f"unit's activity correlates with theirs above {TWIN:g}. If a random rotation mixes units, "
        f"{_shares(rotated)} do.{_dimensions_text(answers)} {capitalised(signals)}."
    )


def _dimensions_text(answers: Sequence[LayerAnswer]) -> str:
    """How much of the rise of twins is due to fewer dimensions, in the layers of copies where it is some of it."""
    parts = []
    for answer in answers:
        share = 1 - answer.beyond.mean / answer.found.mean if answer.copies in (COPIES, BOTH) else 0.0
        if share >= _SOME:
            parts.append(f"{percent(share)} of the rise in layer {answer.layer}")
    return f" So {listed(parts)} come{'s' if len(parts) == 1 else ''} with fewer dimensions." if parts else ""


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
    """From where to where the share of units with a twin goes, beside rotated units, and what that leaves to copies."""
    before, after, rotated = map(percent, answer.shares)
    low, high = (f"{100 * end:.0f}" for end in answer.beyond.bounds)
    end = ""
    if answer.copies in (COPIES, BOTH):
        share = answer.beyond.mean / answer.found.mean
        rest = "the rest comes with" if share <= 1 - _SOME else "hardly any comes with"
        end = f": {percent(share)} of the rise is copies, and {rest} fewer dimensions"
    return (
        f"In layer {answer.layer} the share of units with a twin goes from {before} to {after}. Among rotated units it "
        f"ends at {rotated}. The rise beyond theirs is {100 * answer.beyond.mean:.0f} points [{low}, {high}]{end}."
    )


def _signal_short(answers: Sequence[LayerAnswer], found: Sequence[Quantity]) -> str:
    """What one signal per module keeps, beside as many for the whole layer, and whether dropout makes that more."""
    signals = {quantity.layer: quantity for quantity in found if quantity.name == "one_signal"}
    changes = [
        f"from {signals[one.layer].without.mean:.2f} to {signals[one.layer].strongest.mean:.2f} in layer {one.layer}"
        for one in answers
    ]
    fall = [one.layer for one in answers if signals[one.layer].change.bounds[1] < 0]
    against = ""
    if fall:
        against = (
            f" The fall in layer{'s' if len(fall) > 1 else ''} {listed(fall)} speaks against plain copies: what tells "
            "the units of a module apart matters more there than without dropout."
        )
    beside = listed(f"{_beside(answer)} in layer {answer.layer}" for answer in answers)
    return (
        f"{_signal_caption(answers)}. As many principal components of the whole layer keep {beside}. From no dropout "
        f"to the strongest, the accuracy with one signal per module goes {listed(changes)}.{against}"
    )


def _beside(answer: LayerAnswer) -> str:
    """What as many signals for the whole layer keep beside one signal per module."""
    low, high = answer.over_rank.bounds
    return "no more" if low > -AS_MUCH else "more" if high < -AS_MUCH else "about as much"


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

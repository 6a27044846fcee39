"""Words on upstream and downstream as two views of one thing."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from modularity_lib.book.words.prose import capitalised, listed, markdown_of
from modularity_lib.findings.claims import LITTLE, Verdict
from modularity_lib.findings.transfer import ALL_LAYERS, REVIEWED, Merged
from modularity_lib.findings.two_sides import (
    APART,
    FEWEST_UNITS,
    HIDDEN,
    MORE_THAN_LITTLE,
    NEGLIGIBLE,
    ONE,
    OPPOSED,
    RELATED,
    SAME,
    SHARED,
    UNDECIDED,
    answers_table,
    pilot_table,
    with_all_units,
)
from modularity_lib.studies.results import Results, rows_at, sweep
from modularity_lib.vocabulary import BASELINE, REGULARISERS, SWEEP_NAMES, Regulariser

_ROUNDING = 0.005  # numbers of a review have two decimals


class _Number(NamedTuple):
    """A mean with its bounds."""

    mean: float
    low: float
    high: float
    n_runs: int

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + (f" [{self.low:.2f}, {self.high:.2f}]" if self.n_runs > 1 else "")

    @property
    def percent(self) -> str:
        ends = f" [{self.low:.0%}, {self.high:.0%}]" if self.n_runs > 1 else ""
        return (f"{self.mean:.0%}" + ends).replace("%", " %")


def transfer_texts(transfer: pd.DataFrame, together: pd.DataFrame, merged: Merged) -> dict[str, str]:
    """How much of its Q a layer keeps under the other family's modules, and why the same units agree less.

    Args:
        transfer, together: of `findings.transfer.transfer_table` and `together_table`.
        merged: of `findings.transfer.merged_in_pairs`.
    """
    across = transfer[transfer["kind"] == "across"]
    strongest, layers = across["strength"].max(), sorted(set(across["layer"]) - {ALL_LAYERS})
    ends = [_transfer(across, strength) for strength in (0.0, strongest)]
    agreement = _transfer(across, strongest, quantity="corrected")
    by_layer = [
        f"layer {layer}: {_transfer(across, 0.0, layer=layer)} and {_transfer(across, strongest, layer=layer)}"
        for layer in layers
    ]
    within = [
        f"{_transfer(transfer[transfer['kind'] == kind], 0.0)} and "
        f"{_transfer(transfer[transfer['kind'] == kind], strongest)} for two {kind} measures"
        for kind in ("upstream", "downstream")
    ]
    at_end = together[together["strength"] == strongest].to_dict("records")
    pairs = [
        f"of the pairs of units in one {row['given']} module {_percent(row['together'])} share one of the other family "
        f"({_percent(row['chance'])} of all pairs do)"
        for row in at_end
    ]
    reviewed = {strength: value for strength, value in REVIEWED.items() if strength in set(across["strength"])}
    held = [_holds(value, _transfer(across, strength)) for strength, value in reviewed.items()]
    rises = ends[1].low > ends[0].high
    return {
        "sides_transfer_head": (
            "The more dropout, the more each family's modules serve the other's matrices."
            if rises
            else "Modules of one family and matrices of the other, against dropout."
        ),
        "sides_transfer_front": (
            f"Under the other family's modules a layer keeps {ends[0].percent} of its Q without dropout and "
            f"{ends[1].percent} at dropout {strongest:g}."
        ),
        "sides_transfer": (
            f"Without dropout and at {strongest:g}, across the families: {'; '.join(by_layer)}. Within them it is "
            f"{' and '.join(within)} (means over layers)."
        ),
        "sides_why_lower": (
            f"Agreement of the same modules, corrected for chance, is {agreement} at dropout {strongest:g}. It asks "
            "for the same units; transfer asks only that Q be not lost, and Q loses little where modules are merged, "
            "split or wrong at their edges. If one family's modules were those of the other merged in pairs, and "
            f"nothing else differed, transfer would be {merged.transfer:.2f} and agreement {merged.corrected:.2f}. At "
            f"dropout {strongest:g}, {listed(pairs)}."
        ),
        "sides_transfer_known": (
            f"A review had read transfer from these tables at {len(reviewed)} strengths before the page was written; "
            f"{sum(held)} of these numbers lie within the intervals."
        ),
    }


def texts(
    effects: pd.DataFrame | None, results: Results, verdict: Verdict, made_up: pd.DataFrame, absent: str
) -> dict[str, str]:
    """What both sides of a layer have in common, in sentences.

    Args:
        effects: of `two_sides.effects_table`, or None where they are not at hand.
        verdict: on claim 4.
        made_up: of `two_sides_made_up.made_up_table`.
        absent: why there are no effects.
    """
    known = {"sides_rule": _rule_text(), "sides_made_up": _made_up_text(made_up)}
    told = ("sides_course", "sides_hidden", "sides_balance", "sides_claim", "sides_pilot")
    if effects is None:
        heads = dict.fromkeys(("sides_head", "sides_balance_head"), "Not at hand.")
        return known | dict.fromkeys(told, "") | heads | {"sides_answer": absent, "sides_n": "no network"}
    answers, last = answers_table(effects), int(effects["layer"].max())
    return known | {
        "sides_head": _head_text(answers, results, last),
        "sides_balance_head": _balance_head_text(effects, results),
        "sides_answer": _answer_text(effects, answers, results, last),
        "sides_course": _course_text(effects, answers, results),
        "sides_hidden": _hidden_text(effects, answers, results, last),
        "sides_balance": _balance_text(effects, results, last),
        "sides_claim": _claim_text(answers, results, verdict, last),
        "sides_pilot": _pilot_text(effects, results),
        "sides_n": f"{int(effects['n_runs'].max())} of {results.study.runs} runs",
    }


def answers_markdown(effects: pd.DataFrame | None, results: Results) -> str:
    """Markdown table, a row per setting of each sweep and layer, from the paper's numbers to the answer."""
    if effects is None:
        return "The weights of this study are not at hand."
    wide = effects[effects["trained"]].pivot(index=_PLACE, columns="quantity", values="mean").reset_index()
    table = answers_table(effects[effects["trained"]]).merge(wide, on=_PLACE).merge(with_all_units(results), on=_PLACE)
    parts = [sweep(table, results.study, name).assign(sweep=SWEEP_NAMES[name]) for name in REGULARISERS]
    rows = pd.concat(part[part["strength"].isin(_spread(part["strength"]))] for part in parts)
    rows = rows.sort_values(["layer", "sweep", "strength"], kind="stable")
    cells = {
        "layer": "{layer}",
        "sweep": "{sweep} {strength:.2g}",
        "live units": "{live_units:.0f}",
        "rank correlation: all units, absolute; live, absolute; live, signed": (
            "{rsa_all:.2f}; {rsa_absolute:.2f}; **{rsa_signed:.2f}**"
        ),
        "cosines of weights": "{gram_correlation:.2f}",
        "modules: all units, absolute; live, absolute (ceiling); live, sign kept (ceiling)": (
            "{corrected_all:.2f}; {corrected_absolute:.2f} ({ceiling_absolute:.2f}); "
            "{corrected_positive:.2f} ({ceiling_positive:.2f})"
        ),
        "the two sides are": "{sides}",
    }
    return markdown_of(rows, cells)


def made_up_markdown(made_up: pd.DataFrame) -> str:
    """Markdown table of `made_up_table`."""
    cells = {
        "made-up layers": "{case}",
        "truth": "{truth}",
        "rank correlation: signed, absolute": "{rsa_signed:.2f}, {rsa_absolute:.2f}",
        "modules: absolute, sign kept": "{corrected_absolute:.2f}, {corrected_positive:.2f}",
        f'called "{RELATED}" or more': "{called:.0%}",
        f'called "{ONE}"': "{one:.0%}",
        "agreement above chance": "{beyond_chance:.0%}",
        "absolute values hide it": "{sign_hides:.0%}",
    }
    shown = made_up.assign(truth=made_up["truth"].where(made_up["truth"] != "", "–"))
    return markdown_of(shown, cells)


_PLACE = [*REGULARISERS, "layer"]
_OF_MODULES, _SIGNS = ("corrected", "ceiling"), ("absolute", "positive")
_MOST_STRENGTHS = 5  # of a sweep in the table


def _head_text(answers: pd.DataFrame, results: Results, last: int) -> str:
    rows = sweep(answers[answers["trained"] & (answers["layer"] == last)], results.study, "l2")
    if (rows["sides"] == ONE).mean() > 1 / 2:
        return "Under L2 both sides of the last layer are one thing."
    return "Both sides of every layer along the three sweeps."


def _balance_head_text(effects: pd.DataFrame, results: Results) -> str:
    falls = []
    for layer in sorted(set(effects["layer"])):
        for quantity in ("norm_gap", "gram_gap"):
            first, end = (
                _at(effects, "l2", strength, layer, quantity)
                for strength in _ends(_along(effects, results, "l2", layer, quantity))
            )
            falls.append(end.high < first.low)
    if all(falls):
        return "Strong L2 brings incoming and outgoing weights into balance."
    return "Balance of incoming and outgoing weights against L2."


def _answer_text(effects: pd.DataFrame, answers: pd.DataFrame, results: Results, last: int) -> str:
    rows = sweep(answers[answers["trained"] & (answers["layer"] == last)], results.study, "l2")
    n_one = int((rows["sides"] == ONE).sum())
    signed, live = (_along(effects, results, "l2", last, name) for name in ("rsa_signed", "corrected_absolute"))
    whole = sweep(rows_at(with_all_units(results), layer=last), results.study, "l2")["corrected_all"]
    if n_one > len(rows) / 2:
        start = (
            f"Yes, in the last hidden layer under L2: in {n_one} of {len(rows)} settings what units receive and what "
            "they do is one thing"
        )
    elif n_one:
        start = (
            f"In the last hidden layer under L2, in {n_one} of {len(rows)} settings what units receive and what they "
            "do is one thing"
        )
    else:
        start = "No: under no strength of L2 is what units receive and what they do one thing in the last hidden layer"
    return (
        f"{start} (rank correlation of signed similarities, live units: {signed['mean'].min():.2f} to "
        f"{signed['mean'].max():.2f}). Compared as the paper does it, by modules of absolute values over all units, "
        f"the same two measures agree there by {whole.min():.2f} to {whole.max():.2f} (0 = chance, 1 = identity); over "
        f"live units by {live['mean'].min():.2f} to {live['mean'].max():.2f}. "
        f"{_elsewhere_text(effects, answers, results, last)}"
    )


def _elsewhere_text(effects: pd.DataFrame, answers: pd.DataFrame, results: Results, last: int) -> str:
    parts = []
    for name in ("dropout", "l1"):
        rows = sweep(answers[answers["trained"] & (answers["layer"] == last)], results.study, name)
        end = rows.sort_values("strength").iloc[-1]
        number = _at(effects, name, end["strength"], last, "rsa_signed")
        parts.append(f"{number} for {SWEEP_NAMES[name]} {end['strength']:.2g} ({end['sides']})")
    plain = _at(effects, "dropout", 0.0, last, "rsa_signed")
    before = _at(effects, "dropout", 0.0, last, "rsa_signed", trained=False)
    return (
        f"Without regularisation the correlation is {plain} in that layer; at the strongest it is {listed(parts)}; "
        f"before training {before}."
    )


def _course_text(effects: pd.DataFrame, answers: pd.DataFrame, results: Results) -> str:
    items = []
    for layer in sorted(set(answers["layer"])):
        parts = []
        for name in REGULARISERS:
            rows = sweep(answers[answers["trained"] & (answers["layer"] == layer)], results.study, name)
            numbers = _along(effects, results, name, layer, "rsa_signed")
            counts = rows["sides"].value_counts()
            said = [f"{counts[kind]} {kind}" for kind in (ONE, RELATED, APART, OPPOSED, UNDECIDED) if kind in counts]
            start = f"{capitalised(SWEEP_NAMES[name])}: of {len(rows)} settings {listed(said)}"
            ends = [_at(effects, name, strength, layer, "rsa_signed") for strength in _ends(numbers)]
            parts.append(
                f"{start}; from {ends[0]} at {numbers['strength'].min():.2g} to {ends[1]} at "
                f"{numbers['strength'].max():.2g}"
            )
        before = _at(effects, "dropout", 0.0, layer, "rsa_signed", trained=False)
        items.append(f"* **Layer {layer}** (before training: {before}). {'. '.join(parts)}.")
    return "\n".join(items)


def _hidden_text(effects: pd.DataFrame, answers: pd.DataFrame, results: Results, last: int) -> str:
    trained = answers[answers["trained"]]
    hidden, helped = int(trained["sign_hides"].sum()), int(trained["sign_helps"].sum())
    of_l2 = sweep(trained[trained["layer"] == last], results.study, "l2")
    at = float(_along(effects, results, "l2", last, "rsa_signed").sort_values("mean")["strength"].iloc[-1])
    signed, absolute, modules, positive, ceiling, kept = (
        _at(effects, "l2", at, last, name)
        for name in ("rsa_signed", "rsa_absolute", *(f"{of}_{sign}" for of in _OF_MODULES for sign in _SIGNS))
    )
    whole = rows_at(with_all_units(results), **{**BASELINE._asdict(), "l2": at, "layer": last}).iloc[0]
    without, above = (int((of_l2[f"modules_{sign}"] == MORE_THAN_LITTLE).sum()) for sign in _SIGNS)
    steps = {
        "silent units": modules.mean - whole["corrected_all"],
        "absolute values": positive.mean - modules.mean,
        "the search for modules, which does not end in the same ones twice": 1 - kept.mean,
        "clustering at all": kept.mean - positive.mean,
    }
    largest = max(steps, key=lambda name: steps[name])
    return (
        f"In the last layer at L2 {at:.2g}, where the sides are most alike, several things hide it one by one. "
        f"Silent units: with all units, as the paper compares them, absolute similarities have a rank correlation of "
        f"{whole['rsa_all']:.2f} and modules agree by {whole['corrected_all']:.2f}; on live units it is {absolute} and "
        f"{modules}. Absolute values: with the sign it is {signed} and {positive}. Clustering: two searches of one "
        f"matrix agree by {ceiling} without the sign and by {kept} with it. The largest step of agreement is due to "
        f"{largest}. Over all settings and layers, absolute values lower the rank correlation by {HIDDEN:g} or more in "
        f"{hidden} of {len(trained)}, but modules agree more with the sign only in {helped}. On live units of the last "
        f"layer under L2 modules agree by more than the limit of the claim, {LITTLE:g}, in {without} of {len(of_l2)} "
        f"settings with absolute values and in {above} with the sign."
    )


def _balance_text(effects: pd.DataFrame, results: Results, last: int) -> str:
    parts = []
    for layer in sorted(set(effects["layer"])):
        said = []
        for quantity, name in (("norm_gap", "squared lengths"), ("gram_gap", "all products")):
            numbers = _along(effects, results, "l2", layer, quantity)
            first, end = (_at(effects, "l2", strength, layer, quantity) for strength in _ends(numbers))
            said.append(f"{name} {first} to {end}")
        parts.append(f"layer {layer}: {', '.join(said)}")
    numbers = _along(effects, results, "l2", last, "rsa_signed")
    weakest, strongest = _ends(numbers)
    return (
        f"Distance from balance from L2 {weakest:.2g} to {strongest:.2g}, over live units: {'; '.join(parts)}. Before "
        f"training it is {_at(effects, 'l2', BASELINE.l2, last, 'norm_gap', trained=False)} and "
        f"{_at(effects, 'l2', BASELINE.l2, last, 'gram_gap', trained=False)} in layer {last}."
    )


def _claim_text(answers: pd.DataFrame, results: Results, verdict: Verdict, last: int) -> str:
    rows = sweep(answers[answers["trained"] & (answers["layer"] == last)], results.study, "l2")
    ones = rows[rows["sides"] == ONE]
    stays = (
        "The claim is about modules of absolute similarities over all units, and it stays judged as the paper defines "
        f"it: **{verdict.status}**."
    )
    if ones.empty:
        return (
            f"{stays} Nothing here speaks against it: in no setting of L2 are both sides of the last layer one thing."
        )
    return (
        f"{stays} In another sense it is overturned for the last hidden layer in {len(ones)} of {len(rows)} settings "
        f"of L2 ({ones['strength'].min():.2g} to {ones['strength'].max():.2g}): there the two families do not see "
        "different things, they see the same thing, and that modules of these two measures agree little over all units "
        "comes from silent units, absolute values and the search for modules."
    )


def _pilot_text(effects: pd.DataFrame, results: Results) -> str:
    if results.study.name != "v1":
        return f"The pilot was of the study v1, so there is nothing to compare {results.study.name} with."
    pilots = pilot_table(effects)
    missed = pilots[~pilots["holds"]]
    start = f"Of {len(pilots)} numbers of the pilot {int(pilots['holds'].sum())} lie within the intervals."
    if missed.empty:
        return start
    names = [
        f"{_QUANTITIES[row['quantity']]} at {SWEEP_NAMES[row['regulariser']]} {row['strength']:.2g} in layer "
        f"{row['layer']} (pilot {row['pilot']:.2f}, here {row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}])"
        for row in missed.to_dict("records")
    ]
    return f"{start} Outside: {'; '.join(names)}."


_QUANTITIES = {
    "gram_correlation": "cosines of weights",
    "rsa_signed": "signed rank correlation",
    "rsa_absolute": "absolute rank correlation",
    "corrected_absolute": "agreement of modules",
    "ceiling_absolute": "its ceiling",
    "corrected_positive": "agreement of modules with the sign kept",
}


def _rule_text() -> str:
    return (
        f'By the whole interval of the signed rank correlation, the two sides are "{ONE}" from {SAME:g} on, '
        f'"{RELATED}" from {SHARED:g} on, "{APART}" between -{SHARED:g} and {SHARED:g}, "{OPPOSED}" below '
        f'-{SHARED:g}, else "{UNDECIDED}". Absolute values hide it where they lower the correlation by {HIDDEN:g} or '
        f"more. A unit is live if some image moves it, it moves some logit, and its outgoing weights are longer than "
        f"{NEGLIGIBLE:g}; a layer with fewer than {FEWEST_UNITS} live units is left out."
    )


def _made_up_text(made_up: pd.DataFrame) -> str:
    unrelated, known = made_up[made_up["truth"] == APART], made_up[made_up["truth"] != ""]
    called = round((unrelated["called"] * unrelated["groups"]).sum())
    right = round((known["right"] * known["groups"]).sum())
    faults = [
        f"{row['corrected_absolute']:.2f} and {row['corrected_positive']:.2f} ({row['case']})"
        for row in made_up[made_up["truth"] == ONE].to_dict("records")
    ]
    return (
        f"Of {unrelated['groups'].sum()} groups whose sides are unrelated, {called} are called related or one thing; "
        f"of {known['groups'].sum()} groups with a known answer {right} get it. Where both sides are one thing by "
        f"construction, modules of absolute values and those with the sign agree by {listed(faults)}: the first hide "
        "it there too."
    )


def _spread(strengths: pd.Series) -> list[float]:
    """Up to `_MOST_STRENGTHS` of them, evenly spaced, with both ends."""
    found = sorted(set(strengths))
    places = np.linspace(0, len(found) - 1, min(len(found), _MOST_STRENGTHS)).round().astype(int)
    return [found[place] for place in places]


def _ends(numbers: pd.DataFrame) -> tuple[float, float]:
    return float(numbers["strength"].min()), float(numbers["strength"].max())


def _along(effects: pd.DataFrame, results: Results, name: Regulariser, layer: int, quantity: str) -> pd.DataFrame:
    rows = effects[effects["trained"] & (effects["layer"] == layer) & (effects["quantity"] == quantity)]
    return sweep(rows, results.study, name)


def _at(
    effects: pd.DataFrame, name: Regulariser, strength: float, layer: int, quantity: str, *, trained: bool = True
) -> _Number:
    chosen = {**BASELINE._asdict(), name: strength, "layer": layer, "quantity": quantity, "trained": trained}
    row = rows_at(effects, **chosen).iloc[0]
    return _Number(row["mean"], row["low"], row["high"], int(row["n_runs"]))


def _transfer(rows: pd.DataFrame, strength: float, *, layer: int = ALL_LAYERS, quantity: str = "transfer") -> _Number:
    row = rows_at(rows, strength=strength, layer=layer, quantity=quantity).iloc[0]
    return _Number(row["mean"], row["low"], row["high"], int(row["n_runs"]))


def _holds(value: float, number: _Number) -> bool:
    return number.low - _ROUNDING <= value <= number.high + _ROUNDING


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")

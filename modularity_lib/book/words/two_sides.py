"""Words on upstream and downstream as two views of one thing."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from modularity_lib.book.words.prose import capitalised, listed, markdown_of, percent
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
from modularity_lib.vocabulary import BASELINE, REGULARISERS, SWEEP_NAMES, Regulariser, setting_text, strength_text

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
        ends = f" [{percent(self.low)}, {percent(self.high)}]" if self.n_runs > 1 else ""
        return percent(self.mean) + ends


def transfer_texts(transfer: pd.DataFrame, together: pd.DataFrame, merged: Merged) -> dict[str, str]:
    """How much of its Q a layer keeps under the other family's modules, and why the same units agree less.

    Args:
        transfer, together: of `findings.transfer.transfer_table` and `together_table`.
        merged: of `findings.transfer.merged_in_pairs`.
    """
    across = transfer[transfer["kind"] == "across"]
    strongest, layers = across["strength"].max(), sorted(set(across["layer"]) - {ALL_LAYERS})
    plain, end = _ends_of_transfer(across)
    agreement = _transfer(across, strongest, quantity="corrected")
    by_layer = [
        f"{_transfer(across, 0.0, layer=layer).percent} and {_transfer(across, strongest, layer=layer).percent} in "
        f"layer {layer}"
        for layer in layers
    ]
    within = [
        f"{_transfer(transfer[transfer['kind'] == kind], 0.0).percent} and "
        f"{_transfer(transfer[transfer['kind'] == kind], strongest).percent} for two {kind} measures"
        for kind in ("upstream", "downstream")
    ]
    at_end = together[together["strength"] == strongest].to_dict("records")
    pairs = [
        f"{percent(row['together'])} of the pairs of units in one {row['given']} module share a module of the other "
        f"family ({percent(row['chance'])} of all pairs do)"
        for row in at_end
    ]
    reviewed = {strength: value for strength, value in REVIEWED.items() if strength in set(across["strength"])}
    held = [_holds(value, _transfer(across, strength)) for strength, value in reviewed.items()]
    return {
        "sides_transfer_head": (
            "The more dropout, the more each family's modules serve the other's matrices."
            if _rises(plain, end)
            else "With dropout each family's modules do not clearly serve the other's matrices better."
        ),
        "sides_transfer": (
            f"A layer keeps {plain.percent} of its Q without dropout and {end.percent} at dropout {strongest:g}."
        ),
        "sides_transfer_places": (
            f"Without dropout and at {strongest:g}, across the families a layer keeps {listed(by_layer)}. Within the "
            f"families it keeps {listed(within)} (means over layers)."
        ),
        "sides_why_lower": (
            f"At dropout {strongest:g} the same modules agree by only {agreement}, corrected for chance. Agreement "
            "asks for the same units. Transfer asks only that Q is not lost, and Q loses little where modules are "
            "merged, split or wrong at their edges."
        ),
        "sides_merged": (
            "If one family's modules were those of the other merged in pairs, and nothing else differed, transfer "
            f"would be {percent(merged.transfer)} and agreement {merged.corrected:.2f}. At dropout {strongest:g}, "
            f"{listed(pairs)}."
        ),
        "sides_transfer_known": (
            f"A review had read transfer from these tables at {len(reviewed)} strengths before the page was written. "
            f"Of these numbers {sum(held)} lie within the intervals."
        ),
    }


def short_text(effects: pd.DataFrame | None, results: Results, transfer: pd.DataFrame, absent: str) -> str:
    """The answer of the page: the last layer under L2, and transfer from no dropout to the strongest.

    Args:
        effects: as of `texts`.
        absent: why there are no effects.
        transfer: of `findings.transfer.transfer_table`.
    """
    plain, end = _ends_of_transfer(transfer[transfer["kind"] == "across"])
    closer = "Dropout brings the two views closer: under" if _rises(plain, end) else "Under"
    kept = (
        f"{closer} the other family's modules a layer keeps {percent(plain.mean)} of its Q without dropout and "
        f"{percent(end.mean)} at the strongest."
    )
    return f"{absent if effects is None else _one_thing_text(effects, results)} {kept}"


def texts(effects: pd.DataFrame | None, results: Results, verdict: Verdict, made_up: pd.DataFrame) -> dict[str, str]:
    """What both sides of a layer have in common, in sentences.

    Args:
        effects: of `two_sides.effects_table`, or None where they are not at hand.
        verdict: on claim 4.
        made_up: of `two_sides_made_up.made_up_table`.
    """
    known = {"sides_rule": _rule_text(), "sides_made_up": _made_up_text(made_up)}
    told = (
        "sides_along",
        "sides_course",
        "sides_hidden",
        "sides_counts",
        "sides_balance",
        "sides_pilot",
    )
    if effects is None:
        heads = dict.fromkeys(("sides_head", "sides_balance_head"), "Not at hand.")
        known |= {"sides_n": "no network", "sides_claim": _stays_text(verdict)}
        return known | heads | dict.fromkeys(told, "")
    answers, last = answers_table(effects), int(effects["layer"].max())
    return known | {
        "sides_head": _head_text(answers, results, last),
        "sides_balance_head": _balance_head_text(effects, results),
        "sides_along": _along_text(effects, answers, results, last),
        "sides_course": _course_text(effects, answers, results),
        "sides_hidden": _hidden_text(effects, results, last),
        "sides_counts": _counts_text(effects, answers, results, last),
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
        "sweep": "{sweep} {told}",
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
    return markdown_of(rows.assign(told=rows["strength"].map(strength_text)), cells)


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


def _under_l2(answers: pd.DataFrame, results: Results, last: int) -> tuple[int, int]:
    """In how many settings of L2 both sides of the last layer are one thing, and of how many."""
    rows = sweep(answers[answers["trained"] & (answers["layer"] == last)], results.study, "l2")
    return int((rows["sides"] == ONE).sum()), len(rows)


def _head_text(answers: pd.DataFrame, results: Results, last: int) -> str:
    one, settings = _under_l2(answers, results, last)
    if one > settings / 2:
        return "Under L2 both sides of the last layer are one thing."
    if one:
        return "Under some strengths of L2 both sides of the last layer are one thing."
    return "Under no strength of L2 are both sides of the last layer one thing."


def _one_thing_text(effects: pd.DataFrame, results: Results) -> str:
    last = int(effects["layer"].max())
    one, settings = _under_l2(answers_table(effects), results, last)
    if not one:
        return "No: under no strength of L2 do units of the last hidden layer that receive the same also do the same."
    found = (
        f"{'Yes' if one > settings / 2 else 'In part'}, in the last hidden layer under L2: in {one} of {settings} "
        "settings units that receive the same also do the same."
    )
    whole = sweep(rows_at(with_all_units(results), layer=last), results.study, "l2")["corrected_all"]
    if whole.mean() > LITTLE:
        return found
    return f"{found} Modules compared as in the paper show little of it."


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
    return "Strong L2 does not bring all incoming and outgoing weights into balance."


def _along_text(effects: pd.DataFrame, answers: pd.DataFrame, results: Results, last: int) -> str:
    signed = _along(effects, results, "l2", last, "rsa_signed")["mean"]
    parts = []
    for name in ("dropout", "l1"):
        rows = sweep(answers[answers["trained"] & (answers["layer"] == last)], results.study, name)
        end = rows.sort_values("strength").iloc[-1]
        number = _at(effects, name, end["strength"], last, "rsa_signed")
        parts.append(f"{number.mean:.2f} under {SWEEP_NAMES[name]} ({end['sides']})")
    plain = _at(effects, "dropout", 0.0, last, "rsa_signed")
    before = _at(effects, "dropout", 0.0, last, "rsa_signed", trained=False)
    return (
        f"In the last hidden layer the signed rank correlation is {signed.min():.2f} to {signed.max():.2f} under L2. "
        f"Without regularisation it is {plain.mean:.2f}, and before training {before.mean:.2f}. At the strongest "
        f"setting it is {listed(parts)}."
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
                f"{start}; from {ends[0]} at {strength_text(numbers['strength'].min())} to {ends[1]} at "
                f"{strength_text(numbers['strength'].max())}"
            )
        before = _at(effects, "dropout", 0.0, layer, "rsa_signed", trained=False)
        items.append(f"* **Layer {layer}** (before training: {before}). {'. '.join(parts)}.")
    return "\n".join(items)


def _most_alike(effects: pd.DataFrame, results: Results, last: int) -> tuple[float, pd.Series]:
    """The strength of L2 at which both sides of the last layer are most alike, and its numbers over all units."""
    at = float(_along(effects, results, "l2", last, "rsa_signed").sort_values("mean")["strength"].iloc[-1])
    return at, rows_at(with_all_units(results), **{**BASELINE._asdict(), "l2": at, "layer": last}).iloc[0]


def _hidden_text(effects: pd.DataFrame, results: Results, last: int) -> str:
    at, whole = _most_alike(effects, results, last)
    absolute, positive, kept = (
        _at(effects, "l2", at, last, name).mean
        for name in ("corrected_absolute", "corrected_positive", "ceiling_positive")
    )
    steps = {
        "silent units": absolute - whole["corrected_all"],
        "absolute values": positive - absolute,
        "the search for modules, which does not end in the same ones twice": 1 - kept,
        "clustering at all": kept - positive,
    }
    largest = max(steps, key=lambda name: steps[name])
    return (
        f"In the last layer at L2 {strength_text(at)}, where the sides are most alike, modules agree by "
        f"{whole['corrected_all']:.2f} when compared as in the paper. Over live units they agree by {absolute:.2f}, "
        f"and with the sign kept by {positive:.2f}. Two searches of one matrix agree by {kept:.2f}. The largest step "
        f"is due to {largest}."
    )


def _counts_text(effects: pd.DataFrame, answers: pd.DataFrame, results: Results, last: int) -> str:
    trained = answers[answers["trained"]]
    hidden, helped = int(trained["sign_hides"].sum()), int(trained["sign_helps"].sum())
    of_l2 = sweep(trained[trained["layer"] == last], results.study, "l2")
    at, whole = _most_alike(effects, results, last)
    absolute, signed = (_at(effects, "l2", at, last, name) for name in ("rsa_absolute", "rsa_signed"))
    without, above = (int((of_l2[f"modules_{sign}"] == MORE_THAN_LITTLE).sum()) for sign in _SIGNS)
    return (
        f"The similarities themselves tell the same. There, absolute ones have a rank correlation of "
        f"{whole['rsa_all']:.2f} over all units and of {absolute} over live units; with the sign it is {signed}. Over "
        f"all settings and layers, absolute values lower it by {HIDDEN:g} or more in {hidden} of {len(trained)}, but "
        f"modules agree more with the sign only in {helped}. On live units of the last layer under L2 modules agree "
        f"by more than the limit of the claim, {LITTLE:g}, in {without} of {len(of_l2)} settings with absolute values "
        f"and in {above} with the sign."
    )


def _balance_text(effects: pd.DataFrame, results: Results, last: int) -> str:
    parts = []
    for layer in sorted(set(effects["layer"])):
        said = []
        for quantity, name in (("norm_gap", "squared lengths"), ("gram_gap", "all products")):
            numbers = _along(effects, results, "l2", layer, quantity)
            first, end = (_at(effects, "l2", strength, layer, quantity) for strength in _ends(numbers))
            said.append(f"from {first} to {end} for {name}")
        parts.append(f"layer {layer}, {' and '.join(said)}")
    numbers = _along(effects, results, "l2", last, "rsa_signed")
    weakest, strongest = _ends(numbers)
    return (
        f"From L2 {strength_text(weakest)} to {strength_text(strongest)} the distance from balance over live units "
        f"goes, in {', and in '.join(parts)}. Before training it is "
        f"{_at(effects, 'l2', BASELINE.l2, last, 'norm_gap', trained=False)} and "
        f"{_at(effects, 'l2', BASELINE.l2, last, 'gram_gap', trained=False)} in layer {last}."
    )


def _stays_text(verdict: Verdict) -> str:
    return (
        "The claim is about modules of absolute similarities over all units, and it stays judged as the paper defines "
        f"it: {verdict.status}."
    )


def _claim_text(answers: pd.DataFrame, results: Results, verdict: Verdict, last: int) -> str:
    rows = sweep(answers[answers["trained"] & (answers["layer"] == last)], results.study, "l2")
    ones = rows[rows["sides"] == ONE]
    stays = _stays_text(verdict)
    if ones.empty:
        return f"{stays} Nothing here speaks against it."
    return (
        f"{stays} But in the last hidden layer, in {len(ones)} of {len(rows)} settings of L2 "
        f"({strength_text(ones['strength'].min())} to {strength_text(ones['strength'].max())}), the two families see "
        "the same thing."
    )


def _pilot_text(effects: pd.DataFrame, results: Results) -> str:
    if results.study.name != "v1":
        return f"The pilot was of the study v1, so there is nothing to compare {results.study.name} with."
    pilots = pilot_table(effects)
    missed = pilots[~pilots["holds"]]
    start = f"Of {len(pilots)} numbers of the pilot, {int(pilots['holds'].sum())} lie within the intervals."
    if missed.empty:
        return start
    names = [
        f"{_QUANTITIES[row['quantity']]} at {setting_text(row['regulariser'], row['strength'])} in layer "
        f"{row['layer']} (pilot {row['pilot']:.2f}, here {row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}])"
        for row in missed.to_dict("records")
    ]
    return f"{start} These lie outside: {'; '.join(names)}."


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
        f"construction, modules of absolute values and those with the sign agree by {listed(faults)}. So the first "
        "hide it there too."
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


def _ends_of_transfer(across: pd.DataFrame) -> tuple[_Number, _Number]:
    """Without dropout, and at the strongest."""
    return _transfer(across, 0.0), _transfer(across, across["strength"].max())


def _rises(first: _Number, end: _Number) -> bool:
    return end.low > first.high


def _transfer(rows: pd.DataFrame, strength: float, *, layer: int = ALL_LAYERS, quantity: str = "transfer") -> _Number:
    row = rows_at(rows, strength=strength, layer=layer, quantity=quantity).iloc[0]
    return _Number(row["mean"], row["low"], row["high"], int(row["n_runs"]))


def _holds(value: float, number: _Number) -> bool:
    return number.low - _ROUNDING <= value <= number.high + _ROUNDING

"""Words on upstream and downstream as two views of one thing."""

import numpy as np
import pandas as pd

from modularity_lib.book.words.prose import capitalised, listed, markdown_of, percent, span
from modularity_lib.book.words.transfer import Number, ends_of_transfer, rises
from modularity_lib.findings.claims import LITTLE, Verdict
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


def short_text(effects: pd.DataFrame | None, results: Results, transfer: pd.DataFrame, absent: str) -> str:
    """The answer of the page: the last layer under L2, and transfer from no dropout to the strongest.

    Args:
        effects: as of `texts`.
        absent: why there are no effects.
        transfer: of `findings.transfer.transfer_table`.
    """
    across = transfer[transfer["kind"] == "across"]
    plain, end = ends_of_transfer(across)
    kept = (
        f"With dropout {across['strength'].max():g} a layer keeps {percent(end.mean)} of its Q under the other "
        f"family's modules, instead of {percent(plain.mean)}."
    )
    if effects is None:
        return f"{absent} {kept}"
    return f"{_one_thing_text(effects, results)} {kept} {_drift_text(effects, results, closer=rises(plain, end))}"


def _drift_text(effects: pd.DataFrame, results: Results, *, closer: bool) -> str:
    """What dropout does to the rank correlation of the last layer; `closer`: whether by transfer they come closer."""
    first, end = _signed_ends(effects, results, "dropout", int(effects["layer"].max()))
    moved = f"from {first.mean:.2f} to {end.mean:.2f}"
    if rises(end, first):
        where = "But in" if closer else "In"
        return f"{where} the last layer the two sides then rank pairs less alike: their correlation falls {moved}."
    if rises(first, end):
        where = "In" if closer else "But in"
        return f"{where} the last layer the two sides then rank pairs more alike: their correlation rises {moved}."
    return "In the last layer the two sides then rank pairs about as much alike as without."


def texts(effects: pd.DataFrame | None, results: Results, verdict: Verdict, made_up: pd.DataFrame) -> dict[str, str]:
    """What both sides of a layer have in common, in sentences.

    Args:
        effects: of `two_sides.effects_table`, or None where they are not at hand.
        verdict: on claim 4.
        made_up: of `two_sides_made_up.made_up_table`.
    """
    known = {"sides_rule": _rule_text(), "sides_same": f"{SAME:g}", "sides_made_up": _made_up_text(made_up)}
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


_ALIKE = "rank the pairs of units nearly alike"  # what `ONE` means


def _head_text(answers: pd.DataFrame, results: Results, last: int) -> str:
    one, settings = _under_l2(answers, results, last)
    how_many = "most" if one > settings / 2 else "some" if one else "no"
    subject = "do both sides" if not one else "both sides"
    return f"Under {how_many} L2 penalties {subject} of the last layer {_ALIKE}."


def _one_thing_text(effects: pd.DataFrame, results: Results) -> str:
    last = int(effects["layer"].max())
    one, settings = _under_l2(answers_table(effects), results, last)
    if not one:
        return f"No: under no L2 penalty do both sides of the last hidden layer, by one measure each, {_ALIKE}."
    how_many = "most" if one > settings / 2 else "some"
    told = f"Only in the last hidden layer, under {how_many} L2 penalties"
    found = f"{told}: there both sides, by one measure each, {_ALIKE}."
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
    signed = _along(effects, results, "l2", last, "rsa_signed")
    one, settings = _under_l2(answers, results, last)
    told = [
        "In the last hidden layer the rank correlation is "
        f"{_signed_ends(effects, results, 'dropout', last)[0].mean:.2f} in the baseline, which is the first of the "
        f"{settings} L2 settings ({strength_text(signed['strength'].min())}). Under L2 it reaches "
        f"{signed['mean'].max():.2f}, and both sides are one thing in {one} of the {settings} settings."
    ]
    for name in ("dropout", "l1"):
        strongest = _along(effects, results, name, last, "rsa_signed")["strength"].max()
        end = _signed_ends(effects, results, name, last)[1]
        told.append(f"At {setting_text(name, strongest)} it is {end.mean:.2f}.")
    before = _at(effects, "dropout", 0.0, last, "rsa_signed", trained=False)
    told.append(f"Before training it is {before.mean:.2f}.")
    for layer in sorted(set(effects["layer"]) - {last}):
        first, end = _signed_ends(effects, results, "dropout", layer)
        told.append(f"In layer {layer} dropout takes it from {first.mean:.2f} to {end.mean:.2f}.")
    return " ".join(told)


def _signed_ends(effects: pd.DataFrame, results: Results, name: Regulariser, layer: int) -> tuple[Number, Number]:
    """The signed rank correlation at the weakest and at the strongest of a sweep."""
    weakest, strongest = (
        _at(effects, name, strength, layer, "rsa_signed")
        for strength in _ends(_along(effects, results, name, layer, "rsa_signed"))
    )
    return weakest, strongest


def _course_text(effects: pd.DataFrame, answers: pd.DataFrame, results: Results) -> str:
    items = []
    for layer in sorted(set(answers["layer"])):
        parts = []
        for name in REGULARISERS:
            rows = sweep(answers[answers["trained"] & (answers["layer"] == layer)], results.study, name)
            numbers = _along(effects, results, name, layer, "rsa_signed")
            counts = rows["sides"].value_counts()
            said = [f"{counts[kind]} {kind}" for kind in (ONE, RELATED, APART, OPPOSED, UNDECIDED) if kind in counts]
            start = f"{capitalised(SWEEP_NAMES[name])}: {listed(said)}, of {len(rows)} settings"
            ends = [_at(effects, name, strength, layer, "rsa_signed") for strength in _ends(numbers)]
            parts.append(
                f"{start}, from {ends[0]} at {strength_text(numbers['strength'].min())} to {ends[1]} at "
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
        f"{whole['corrected_all']:.2f} when compared as in the paper (0 is chance, 1 the same modules). Over live "
        f"units they agree by {absolute:.2f}, and with the sign kept by {positive:.2f}. Two searches of one matrix "
        f"agree by {kept:.2f}. The largest step is due to {largest}."
    )


def _counts_text(effects: pd.DataFrame, answers: pd.DataFrame, results: Results, last: int) -> str:
    trained = answers[answers["trained"]]
    hidden, helped = int(trained["sign_hides"].sum()), int(trained["sign_helps"].sum())
    of_l2 = sweep(trained[trained["layer"] == last], results.study, "l2")
    at, whole = _most_alike(effects, results, last)
    absolute, signed = (_at(effects, "l2", at, last, name) for name in ("rsa_absolute", "rsa_signed"))
    without, above = (int((of_l2[f"modules_{sign}"] == MORE_THAN_LITTLE).sum()) for sign in _SIGNS)
    return (
        f"The similarities themselves tell the same. At L2 {strength_text(at)}, absolute ones have a rank correlation "
        f"of {whole['rsa_all']:.2f} over all units and of {absolute} over live units. With the sign it is {signed}. "
        f"Over all settings and layers, absolute values lower it by {HIDDEN:g} or more in {hidden} of {len(trained)}, "
        f"but modules agree more with the sign only in {helped}. On live units of the last layer under L2, modules "
        f"agree by more than the claim allows, {LITTLE:g}, in {without} of {len(of_l2)} settings with absolute values "
        f"and in {above} with the sign."
    )


def _balance_text(effects: pd.DataFrame, results: Results, last: int) -> str:
    parts = []
    for layer in sorted(set(effects["layer"])):
        said = []
        for quantity, name in (("norm_gap", "squared norms"), ("gram_gap", "all products")):
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
        f"{stays} But in {len(ones)} of {len(rows)} settings of L2 ({span(ones['strength'], strength_text)}) the two "
        f"gradient measures {_ALIKE} in the last hidden layer. Their modules still differ."
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
        "more. Here a unit is live if it responds to some image, some logit depends on it, and the norm of its "
        f"outgoing weights exceeds {NEGLIGIBLE:g}. A layer with fewer than {FEWEST_UNITS} live units is left out."
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
        f"The rule calls {called} of the {unrelated['groups'].sum()} groups with unrelated sides related or one thing. "
        f"Of the {known['groups'].sum()} groups with a known answer, it gives it in {right}. Where both sides are one "
        f"thing by construction, modules of absolute values and those with the sign agree by {listed(faults)}. So "
        "absolute values hide it there, too."
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
) -> Number:
    chosen = {**BASELINE._asdict(), name: strength, "layer": layer, "quantity": quantity, "trained": trained}
    row = rows_at(effects, **chosen).iloc[0]
    return Number(row["mean"], row["low"], row["high"], int(row["n_runs"]))

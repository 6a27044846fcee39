"""Words on live units: what is left of agreement without those that are silent."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from modularity_lib.book.words.prose import capitalised, listed, markdown, markdown_of, percent
from modularity_lib.findings.claims import ALPHA, CLAIMS, LITTLE
from modularity_lib.findings.live_agreement import (
    AGREEMENT_CLAIMS,
    ALL_LAYERS,
    ALL_NETWORKS,
    NONE,
    first_look_held,
    is_about_the_dead,
)
from modularity_lib.studies.catalogue import Study
from modularity_lib.vocabulary import KINDS, LABELS, setting_text

_UNITS = {"all": "all units", "live": "live units"}
_SWEEPS = (NONE, "dropout", "L2", "L1")
_NUMBERS = {claim.id: number for number, claim in enumerate(CLAIMS, start=1)}


def texts(study: Study, both: pd.DataFrame, claims: pd.DataFrame, shares: pd.DataFrame) -> dict[str, str]:
    """What the tables of `findings.live_agreement` say, in sentences.

    Args:
        both, claims, shares: of `agreement_of_both`, `claims_by_setting` and `beyond_chance_of_both`.
    """
    inside, looked_at = first_look_held(both, study)
    held = (
        f"Before, we had looked at live units in earlier tables of this study, with other code. Of those {looked_at} "
        f"numbers {inside} lie within the intervals here."
        if looked_at
        else "Before, we had looked at live units in tables of another study."
    )
    return {
        "live_head": head_text(both),
        "live_dead": dead_text(both),
        "live_families": families_text(both),
        "live_shares": shares_text(shares),
        "live_held": held,
        **{f"live_{claim.replace('-', '_')}": claim_text(claims, claim) for claim in AGREEMENT_CLAIMS},
    }


def head_text(both: pd.DataFrame) -> str:
    """What leaving out silent units does to agreement upstream under penalties, for a caption."""
    upstream = both[(both["kind"] == "upstream") & (both["layer"] == ALL_LAYERS) & (both["change_high"] < 0)]
    fallen = [name for name in ("L2", "L1") if name in set(upstream["networks"])]
    if not fallen:
        return "Under no penalty do upstream measures agree less once silent units are left out."
    return f"Under {listed(fallen)} upstream measures agree less once silent units are left out."


def dead_text(both: pd.DataFrame) -> str:
    """Where agreement of two upstream measures is largely about which units are dead."""
    upstream = both[(both["kind"] == "upstream") & both["networks"].isin(_SWEEPS)]
    found = [row for _, row in upstream[upstream["layer"] == ALL_LAYERS].iterrows() if is_about_the_dead(row)]
    in_layers = [
        f"{_place(row['networks'], row['layer'])} ({_fall(row)})"
        for _, row in upstream[upstream["layer"] != ALL_LAYERS].iterrows()
        if is_about_the_dead(row) and row["networks"] not in [of["networks"] for of in found]
    ]
    share = "most of the upstream agreement is about silent units"
    if not found and not in_layers:
        return f"Nowhere is it so that {share}."
    told = [
        f"{capitalised(_place(row['networks'], ALL_LAYERS))}, {share}: it falls {_fall(row)} over live units."
        for row in found
    ]
    if in_layers:
        told.append(f"{'The same holds' if found else f'It holds that {share}'} {listed(in_layers)}.")
    return " ".join(told)


def _fall(row: pd.Series) -> str:
    return f"from {row['all']:.2f} to {row['live']:.2f}"


def families_text(both: pd.DataFrame) -> str:
    """Which family agrees more within itself, over all and over live units."""
    rows = _of_all(both)
    if not {"upstream", "downstream"} <= set(rows):
        return ""
    up, down = rows["upstream"], rows["downstream"]
    parts = []
    for units, name in _UNITS.items():
        if up[f"{units}_low"] > down[f"{units}_high"]:
            how = "more than downstream ones"
        elif up[f"{units}_high"] < down[f"{units}_low"]:
            how = "less than downstream ones"
        else:
            how = "about as much as downstream ones"
        parts.append(f"Over {name}, upstream measures agree {how} ({up[units]:.2f} and {down[units]:.2f}).")
    return " ".join(parts)


def exceeding_text(shown: pd.DataFrame) -> str:
    """Where agreement across the families, over live units, exceeds what the claim allows.

    Args:
        shown: of `figures.agreement_over_both`.
    """
    rows = shown[(shown["kind"] == "across") & (shown["units"] == "live") & (shown["mean"] > LITTLE)]
    where = [
        f"{setting_text(row['regulariser'], row['strength'])} ({row['mean']:.2f})" for row in rows.to_dict("records")
    ]
    if not where:
        return f"Over live units, agreement across the families stays below the {LITTLE:g} that the claim allows."
    exceeds = f"exceeds the {LITTLE:g} that the claim allows"
    return f"Over live units, agreement across the families {exceeds} at {listed(where)}."


def shares_text(shares: pd.DataFrame) -> str:
    """Share of upstream comparisons beyond chance, by sweep and in untrained networks."""
    rows = shares[(shares["kind"] == "upstream") & shares["networks"].isin([*_SWEEPS, "untrained"])]
    parts = [f"{percent(row['all'])} and {percent(row['live'])} ({row['networks']})" for _, row in rows.iterrows()]
    return (
        f"A permutation test finds more agreement than by chance (p < {ALPHA:g}) in these shares of the upstream "
        f"pairs, over all and over live units: {listed(parts)}."
    )


def claim_text(claims: pd.DataFrame, claim: str) -> str:
    """The verdict on a claim over live units, and where verdicts over all and over live units differ."""
    found = _by(claims[claims["claim"] == claim], "networks", "layer", "units")
    places = dict.fromkeys(place[:2] for place in found)
    differ = [
        f"{_place(networks, layer)} (from {found[networks, layer, 'all']['status']} to "
        f"{found[networks, layer, 'live']['status']})"
        for networks, layer in places
        if found[networks, layer, "all"]["status"] != found[networks, layer, "live"]["status"]
    ]
    whole = found[ALL_NETWORKS, ALL_LAYERS, "live"]
    where = f"{len(differ)} of {len(places)} parts of the study: {listed(differ)}" if differ else "no part of the study"
    return (
        f"Over live units, claim {_NUMBERS[claim]} is {whole['status']} ({whole['mean']:.2f} [{whole['low']:.2f}, "
        f"{whole['high']:.2f}]). From all to live units, its verdict changes in {where}."
    )


def agreement_markdown(both: pd.DataFrame) -> str:
    """Markdown table of `agreement_of_both`: agreement over all and over live units, and the live one's interval."""
    found = _by(both, "networks", "layer", "kind")
    rows = []
    for networks, layer in dict.fromkeys(place[:2] for place in found):
        of_kind = {kind: found[networks, layer, kind] for kind in KINDS if (networks, layer, kind) in found}
        cells = [f"{of['all']:.2f} → {_live(of)}" for of in of_kind.values()]
        one = next(iter(of_kind.values()))
        rows.append([networks, layer, one["n_networks"], f"{one['live_units']:.0f}", *cells])
    return markdown(["networks", "layer", "how many", "live units", *(LABELS[kind] for kind in KINDS)], rows)


def claims_markdown(claims: pd.DataFrame) -> str:
    """Markdown table of `claims_by_setting`: the verdict in each place, with the quantity that decides."""
    found = _by(claims, "networks", "layer", "claim", "units")
    rows = []
    for networks, layer in dict.fromkeys(place[:2] for place in found):
        cells = [_verdict(found[networks, layer, claim, units]) for claim in AGREEMENT_CLAIMS for units in _UNITS]
        rows.append([networks, layer, *cells])
    heads = [f"claim {_NUMBERS[claim]}, {name}" for claim in AGREEMENT_CLAIMS for name in _UNITS.values()]
    return markdown(["networks", "layer", *heads], rows)


def shares_markdown(shares: pd.DataFrame) -> str:
    """Markdown table of `beyond_chance_of_both`."""
    cells = {"networks": "{networks}", "pair": "{pair}", "comparisons": "{comparisons:,}"}
    cells |= {name: f"{{{units}}}" for units, name in _UNITS.items()}
    told = {units: shares[units].map(percent) for units in _UNITS}
    return markdown_of(shares.assign(pair=shares["kind"].map(LABELS), **told), cells)


def trial_markdown(trial: pd.DataFrame) -> str:
    """Markdown table of `made_up_silence.trial_table`: share beyond chance and agreement, in both forms."""
    found = _by(trial, "pairs_of", "dead", "units")
    rows = []
    for pairs_of, dead in dict.fromkeys(place[:2] for place in found):
        of_units = [found[pairs_of, dead, units] for units in _UNITS]
        rows.append([pairs_of, dead, *(f"{percent(of['beyond_chance'])}, {of['corrected']:.2f}" for of in of_units)])
    return markdown(["made-up clusterings", "silent units", *_UNITS.values()], rows)


def rank_text(ranks: pd.DataFrame | None) -> str:
    """What the rank correlation of two upstream matrices is made of under penalties, from `rank_correlations`."""
    if ranks is None or ranks.empty:
        return "The matrices of this study are not at hand, so the rank correlation over live units is not known."
    parts = []
    for penalty in ("l2", "l1"):
        strengths = ranks[ranks["dropout"] == 0].groupby(penalty)["tied"].mean()
        strongest = float(strengths.index[int(strengths.argmax())])
        rows = ranks[ranks[penalty] == strongest]
        means = rows[["tied", "all", "live"]].mean()
        parts.append(
            f"at {setting_text(penalty, strongest)}, where {percent(means['tied'])} of the pairs of units "
            f"have a silent one, it is {means['all']:.2f} over all and {means['live']:.2f} over live units"
        )
    return (
        "The same holds for the rank correlation of two upstream similarity matrices (RSA): a pair with a silent unit "
        f"has similarity 0 in both, and ties count as agreement. In run 0, {', and '.join(parts)}."
    )


def _by(table: pd.DataFrame, *names: str) -> dict[tuple[Any, ...], dict[Any, Any]]:
    """The rows of a table by what is in these columns."""
    return {tuple(row[name] for name in names): row for row in table.to_dict("records")}


def _of_all(both: pd.DataFrame) -> dict[str, pd.Series]:
    rows = both[(both["networks"] == ALL_NETWORKS) & (both["layer"] == ALL_LAYERS)]
    return {row["kind"]: row for _, row in rows.iterrows()}


def _live(row: Mapping[Any, Any] | pd.Series) -> str:
    return f"{row['live']:.2f} [{row['live_low']:.2f}, {row['live_high']:.2f}]"


def _place(networks: str, layer: str) -> str:
    where = {NONE: f"in the {NONE}", ALL_NETWORKS: "over all networks"}.get(networks, f"under {networks}")
    return where if layer == ALL_LAYERS else f"{where}, layer {layer}"


def _verdict(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["mean"]):
        return str(row["status"])
    return f"{row['status']}: {row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"

"""A rule for the claim on agreement that untrained networks cannot meet, beside the first one of `claims`.

Set on 26 November 2026, when the tables were known and a first look had been had at what live units would give
(`SET_AFTER` of `disclosure`). So it never takes the place of the first rule: both verdicts are shown.
"""

from modularity_lib.findings.beyond_chance import gain_by_run
from modularity_lib.findings.claims import (
    CLAIMS,
    COULD_NOT_TEST,
    NOT_REPRODUCED,
    PARTLY,
    REPRODUCED,
    Condition,
    Verdict,
)
from modularity_lib.findings.inference import effect_over_runs
from modularity_lib.studies.results import Results

CLAIM = "families-agree-within"
QUANTITY = "agreement within a family over live units, minus that of untrained networks (0 = chance, 1 = identical)"
RULE = (
    "Over live units alone. Reproduced if, within each family, all that the first rule asks for holds, and the "
    "agreement, on a scale where 0 is what shuffled clusterings give and 1 is identity, exceeds that of untrained "
    "networks by its 95 % interval over runs. Partly if that holds for one family."
)
_FAMILIES = ("upstream", "downstream")


def judge_within_stricter(live: Results) -> Verdict:
    """Judge the claim that measures of one family agree by the stricter `RULE`.

    The mean of the untrained networks, 100 and more, is taken as known. If training changes nothing, a family gains
    by this rule once in forty studies.

    Args:
        live: the results of a study `on_live_units`.
    Returns:
        Verdict with the conditions of the first rule and one more for each family; its effect is the `QUANTITY`, mean
        of the two families. "Could not test" without trained or untrained networks.
    """
    [first] = [claim.judge(live) for claim in CLAIMS if claim.id == CLAIM]
    gains = gain_by_run(live, "corrected")
    if first.effect is None or not set(_FAMILIES) <= set(gains):
        return Verdict(COULD_NOT_TEST, None, None)
    gained = {kind: effect_over_runs(gains[kind].to_numpy()) for kind in _FAMILIES}
    added = tuple(
        Condition(f"two {kind} measures agree more than untrained", effect.is_above_zero, effect.mean)
        for kind, effect in gained.items()
    )
    held = [old.holds and new.holds for old, new in zip(first.conditions, added, strict=True)]
    status = REPRODUCED if all(held) else PARTLY if any(held) else NOT_REPRODUCED
    effect = effect_over_runs(gains[list(_FAMILIES)].mean(axis=1).to_numpy())
    return Verdict(status, effect, None, (*first.conditions, *added), gained)

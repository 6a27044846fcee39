"""Words on agreement: of measures, layers and networks, beyond chance and below the ceiling."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from modularity_lib.book.words.prose import capitalised, listed, percent
from modularity_lib.findings.beyond_chance import FalsePositives, within_minus_across
from modularity_lib.findings.claims import ALPHA, LITTLE, REPRODUCED, Verdict
from modularity_lib.findings.inference import Effect
from modularity_lib.findings.live_agreement import (
    AGREEMENT_CLAIMS,
    ALL_LAYERS,
    ALL_NETWORKS,
    across_at_strongest,
)
from modularity_lib.findings.noise_ceiling import at_hand
from modularity_lib.studies.results import Results, agreement_by_kind, sweep
from modularity_lib.vocabulary import KINDS, LABELS, REGULARISERS

_ALIKE = 0.03  # agreements that differ by no more are called alike in prose


WITHIN, ACROSS = AGREEMENT_CLAIMS


def short_text(
    verdicts: Mapping[str, Verdict],
    effects: Mapping[str, Effect],
    both: pd.DataFrame,
    claims: pd.DataFrame | None = None,
) -> str:
    """The answer of the page, from the verdicts, from what training changed, and from live units.

    Args:
        verdicts: of `judge_all`.
        effects: of `since_training`.
        both: of `agreement_of_both`.
        claims: of `claims_by_setting`; where it is left out, nothing is said of the strongest dropout.
    """
    across = verdicts[ACROSS]
    if across.evidence is None or across.effect is None:
        return "This study lacks pairs of some kind, so the claims cannot be tested."
    held = {verdicts[name].status for name in AGREEMENT_CLAIMS} == {REPRODUCED}
    found = _of_all(both)
    told = [
        f"{'Within a family yes, across the families hardly' if held else 'Not as clearly as the paper says'}. "
        f"{_levels(found)}, and one of each by {across.effect.mean:.2f} (0 is chance, 1 the same modules)."
    ]
    if claims is not None:
        told += _exception(claims)
    silent = "upstream" in found and found["upstream"]["change_high"] < 0
    before = "downstream" in effects and effects["downstream"].bounds[0] <= 0
    parts = ["part of the upstream agreement is about silent units"] if silent else []
    parts += ["downstream measures agree no more than in untrained networks"] if before else []
    if parts:
        told.append(f"{capitalised(', and '.join(parts))}.")
    return " ".join(told)


def _levels(found: Mapping[str, pd.Series]) -> str:
    """How much two measures of one family agree, a number for each family."""
    up, down = (f"{found[kind]['all']:.2f}" if kind in found else "–" for kind in ("upstream", "downstream"))
    return f"Two upstream measures agree by {up}, two downstream ones by {down}"


def _exception(claims: pd.DataFrame) -> list[str]:
    """What the rule says of agreement across the families at the strongest dropout, where it is not as elsewhere."""
    every, live = (across_at_strongest(claims, units) for units in ("all", "live"))
    if every is None or live is None or {every["status"], live["status"]} == {REPRODUCED}:
        return []
    where = f"But at {every['networks']} the claim that families differ is"
    if every["status"] == live["status"]:
        return [f"{where} {every['status']}."]
    return [f"{where} {every['status']}, and over live units {live['status']}."]


def within_text(verdict: Verdict, both: pd.DataFrame, shares: pd.DataFrame) -> str:
    """The verdict on agreement within the families, in short.

    Args:
        both: of `agreement_of_both`.
        shares: of `beyond_chance_table`.
    """
    if verdict.evidence is None or verdict.effect is None:
        return f"{capitalised(verdict.status)}."
    alone = shares.set_index(["networks", "kind"])["alone"]
    parts = []
    for kind in ("upstream", "downstream"):
        share = f"{percent(verdict.evidence[kind].beyond_chance)} of the {kind} pairs"
        before = alone.get(("untrained", kind))
        parts.append(share if before is None else f"{share} (untrained networks: {percent(before)})")
    return (
        f"{capitalised(verdict.status)}. {_levels(_of_all(both))}. A permutation test finds more than chance in "
        f"{listed(parts)}."
    )


def across_text(verdict: Verdict, claims: pd.DataFrame) -> str:
    """The verdict on agreement across the families, in short, and at the strongest dropout, where modules are.

    Args:
        claims: of `claims_by_setting`.
    """
    if verdict.evidence is None or verdict.effect is None:
        return f"{capitalised(verdict.status)}."
    told = (
        f"{capitalised(verdict.status)}. An upstream and a downstream measure agree by {verdict.effect.mean:.2f}, "
        f"where the rule allows {LITTLE:g}. Little is not nothing: {percent(verdict.evidence.beyond_chance)} of these "
        "pairs agree more than by chance."
    )
    every, live = (across_at_strongest(claims, units) for units in ("all", "live"))
    if every is None or live is None:
        return told
    return (
        f"{told} At {every['networks']}, where modules are clearest, they agree by {_row_text(every)}, and by the same "
        f"rule that is “{every['status']}”. Over live units it is {_row_text(live)}, “{live['status']}”."
    )


def _row_text(row: pd.Series) -> str:
    return f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"


def _of_all(both: pd.DataFrame) -> dict[str, pd.Series]:
    """Agreement over all networks and layers, by kind of pair."""
    rows = both[(both["networks"] == ALL_NETWORKS) & (both["layer"] == ALL_LAYERS)]
    return {str(row["kind"]): row for _, row in rows.iterrows()}


_PAIRS = {
    "upstream": "two upstream measures",
    "downstream": "two downstream measures",
    "across": "measures of different families",
}


def since_head_text(effects: Mapping[str, Effect]) -> str:
    """What training does to agreement, for a caption."""
    more = [_PAIRS[kind] for kind, effect in effects.items() if effect.bounds[0] > 0]
    rest = [_PAIRS[kind] for kind, effect in effects.items() if effect.bounds[0] <= 0]
    if not effects:
        return "How much agreement there is, and how much is possible."
    if not more:
        return "Training makes no kind of pair agree more."
    but = f", but not {listed(rest)}" if rest else ""
    return f"Training makes {listed(more)} agree more{but}."


def restarts_text(results: Results, better: Results, *, restarts: int, run: int = 0) -> str:
    """Agreement within families and across, by a single search of each matrix and by the best of several.

    Args:
        better: of `searched_again`, with as many restarts and the same run.
    """
    means = []
    for source in (results, better):
        rows = agreement_by_kind(source)
        means.append(rows[rows["run"] == run].groupby("kind")["element_centric"].mean())
    single, best = means
    parts = [f"{single[kind]:.3f} and {best[kind]:.3f} for {LABELS[kind]}" for kind in KINDS]
    return f"In run {run}, the mean raw similarity by a single search and by the best of {restarts} is {listed(parts)}."


def texts(results: Results, shown: Results, *, restarts: int, layer: int | None) -> dict[str, str]:
    """Which networks, layers and searches the maps of agreement cover."""
    trained = shown.analysed("agreement", trained=True)
    count = len(trained[["run", *REGULARISERS]].drop_duplicates())
    layers = "all hidden layers" if layer is None else f"hidden layer {layer}"
    searched = f", modules by the best of {restarts} searches" if restarts else ""
    ceiling = "over the networks of run 0" if at_hand(results) else "not at hand for this study"
    return {"maps_of": f"{layers} of {count} analysed networks{searched}", "ceiling_of": ceiling}


def beyond_chance_texts(
    results: Results, shares: pd.DataFrame, errors: FalsePositives, effects: dict[str, Effect]
) -> dict[str, str]:
    """What `findings.beyond_chance` found, in sentences."""
    comparisons = int(shares.loc[shares["networks"] == "trained", "comparisons"].sum())
    least = comparisons / (results.study.permutations + 1)
    across = shares[(shares["kind"] == "across") & (shares["networks"] == "trained")]
    little = "There are no comparisons across the families."
    if len(across):
        row = across.iloc[0]
        little = (
            f"Of {row['comparisons']:,} comparisons across the families {percent(row['alone'])} have p < {ALPHA:g}. "
            f"{percent(row['false_discovery'])} remain when the rate of false discoveries is held at "
            f"{percent(ALPHA)}, and {percent(row['holm'])} when Holm's method is applied within each layer of a "
            f"network. Among untrained networks {_untrained_share(shares)} remain at the same rate of false "
            "discoveries. These are shares, not tests: the measures of a layer, and so its pairs, depend on each other."
        )
    holds = errors.low <= ALPHA
    return {
        "little_is_not_nothing": little,
        "holm_over_all": (
            f"Holm's method over all {comparisons:,} comparisons of trained networks "
            f"{'could call none of them' if least >= ALPHA else 'is possible, but stricter'}: "
            f"{results.study.permutations:,} relabellings cannot give a smaller p than 1 / "
            f"{results.study.permutations + 1:,}, which it multiplies to {min(least, 1):.2g}."
        ),
        "false_positives": (
            f"On {errors.pairs:,} pairs with the units of one clustering shuffled the test finds agreement in "
            f"{round(errors.rate * errors.pairs)} (95 % interval {percent(errors.low)} to {percent(errors.high)} of "
            f"them). It {'keeps' if holds else 'does not keep'} its level of {percent(ALPHA)}."
        ),
        "since_training": since_training_text(effects),
    }


def since_training_text(effects: dict[str, Effect]) -> str:
    """Whether training changed agreement, from `since_training`: a sentence per kind of pair."""
    if not effects:
        return "There are no untrained networks to compare with."
    told = " ".join(_since(kind, effect) for kind, effect in effects.items())
    return f"{told} These differences are in raw similarity."


def _untrained_share(shares: pd.DataFrame) -> str:
    chosen = shares[(shares["kind"] == "across") & (shares["networks"] == "untrained")]
    return percent(chosen["false_discovery"].iloc[0], digits=1) if len(chosen) else "none"


def _since(kind: str, effect: Effect) -> str:
    low, high = effect.bounds
    how = "more" if low > 0 else "less" if high < 0 else "neither more nor less"
    ends = f"{_signed(low)} to {_signed(high)}" if effect.low is None else f"[{_signed(low)}, {_signed(high)}]"
    bounds = f", single runs {ends}" if effect.low is None else f" {ends}"
    return f"{capitalised(_PAIRS[kind])} agree {how} after training ({_signed(effect.mean)}{bounds})."


def strength_text(results: Results) -> str:
    """How agreement changes from no dropout to the strongest, by kind of pair."""
    rows = sweep(agreement_by_kind(results), results.study, "dropout")
    if rows["strength"].nunique() < 2:
        return "There is no second strength of dropout to compare with."
    first, last = rows["strength"].min(), rows["strength"].max()
    means = rows.groupby(["kind", "strength"])["corrected"].mean()
    parts = [f"from {means[kind, first]:.2f} to {means[kind, last]:.2f} for {_PAIRS[kind]}" for kind in KINDS]
    return f"From dropout {first:g} to {last:g} agreement goes {listed(parts)}."


def metrics_text(table: pd.DataFrame) -> str:
    """How the metrics of agreement correlate, from `figures.metric_table`."""
    matrices = (table["metric_a"] == "similarity_spearman") | (table["metric_b"] == "similarity_spearman")
    clusterings, rsa = table.loc[~matrices, "here"], table.loc[matrices, "here"]
    return (
        f"The metrics of two clusterings correlate by {clusterings.min():.2f} to {clusterings.max():.2f} with each "
        f"other. The rank correlation of the two similarity matrices (RSA) correlates with them by {rsa.min():.2f} to "
        f"{rsa.max():.2f}."
    )


def chance_to_ceiling_text(table: pd.DataFrame) -> str:
    """Agreement between chance and ceiling, from `figures.chance_to_ceiling_table`: a sentence per kind of pair."""
    values = table.set_index(["kind", "what"])["element_centric"]
    sentences = []
    for kind in KINDS:
        chance, before, trained, ceiling = (
            values[kind, what] for what in ("chance", "untrained", "trained", "ceiling")
        )
        images = values.get((kind, "ceiling, images"), np.nan)
        highest = "" if pd.isna(ceiling) else f" and the ceiling {ceiling:.2f}"
        highest += "" if pd.isna(images) else f" ({images:.2f} with other images)"
        sentences.append(
            f"{capitalised(_PAIRS[kind])} have a raw similarity of {trained:.2f} in trained networks and of "
            f"{before:.2f} in untrained ones. Chance is {chance:.2f}{highest}."
        )
    return " ".join(sentences)


def layers_text(table: pd.DataFrame) -> str:
    """How families differ by layer, from `agreement_by_layer_table`."""
    levels = within_minus_across(table).pivot_table(index="layer", columns="networks", values="difference")
    told = [
        f"by {trained:.2f} in layer {layer} ({before:.2f} in untrained networks)"
        for layer, trained, before in levels[["trained", "untrained"]].itertuples()
    ]
    wider, narrower = (
        [f"{layer}" for layer, rise in (levels["trained"] - levels["untrained"]).items() if sign * rise > _ALIKE]
        for sign in (1, -1)
    )
    compared = [
        f"{verb} this gap in {_layers(layers, len(levels))}"
        for verb, layers in (("widens", wider), ("narrows", narrower))
        if layers
    ]
    then = f"So training {' and '.join(compared)}." if compared else "Training leaves this gap about as it was."
    more = "In raw similarity, two measures of one family agree more than two of different families"
    return f"{more} {listed(told)}. {then}"


def _layers(numbers: Sequence[str], n_layers: int) -> str:
    if len(numbers) == n_layers > 1:
        return "both layers" if n_layers == 2 else "all layers"
    return f"layer{'s' if len(numbers) > 1 else ''} {listed(numbers)}"


def _signed(value: float) -> str:
    """A number with its sign, + or a true minus."""
    return f"{value:+.2f}".replace("-", "−")

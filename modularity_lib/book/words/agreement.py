"""Words on agreement: of measures, layers and networks, beyond chance and below the ceiling."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from modularity_lib.book.words.prose import capitalised, listed
from modularity_lib.findings.beyond_chance import FalsePositives, within_minus_across
from modularity_lib.findings.claims import ALPHA
from modularity_lib.findings.inference import Effect
from modularity_lib.findings.noise_ceiling import at_hand
from modularity_lib.studies.results import Results, agreement_by_kind, sweep
from modularity_lib.vocabulary import KINDS, LABELS, REGULARISERS

_ALIKE = 0.03  # agreements that differ by no more are called alike in prose


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
    parts = [f"{LABELS[kind]} {single[kind]:.3f} and {best[kind]:.3f}" for kind in KINDS]
    return (
        f"Mean element-centric similarity in run {run} by a single search and by the best of {restarts}: "
        f"{'; '.join(parts)}."
    )


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
            f"Of {row['comparisons']:,} comparisons across the families {row['alone']:.0%} have p < {ALPHA:g}; "
            f"{row['false_discovery']:.0%} remain when the rate of false discoveries is held at {ALPHA:.0%}, "
            f"{row['holm']:.0%} when Holm's method is applied within each layer of a network. Among untrained networks "
            f"{_untrained_share(shares)} remain at the same rate of false discoveries. These are shares, no tests: the "
            "measures of a layer, and so its pairs, depend on each other."
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
            f"{round(errors.rate * errors.pairs)} (95 % interval {errors.low:.0%} to {errors.high:.0%} of them): it "
            f"{'keeps' if holds else 'does not keep'} its level of {ALPHA:.0%}."
        ),
        "since_training": since_training_text(effects),
    }


def since_training_text(effects: dict[str, Effect]) -> str:
    """Whether training changed agreement, from `since_training`: a sentence per kind of pair."""
    told = " ".join(_since(kind, effect) for kind, effect in effects.items())
    return told or "There are no untrained networks to compare with."


def _untrained_share(shares: pd.DataFrame) -> str:
    chosen = shares[(shares["kind"] == "across") & (shares["networks"] == "untrained")]
    return f"{chosen['false_discovery'].iloc[0]:.1%}" if len(chosen) else "none"


def _since(kind: str, effect: Effect) -> str:
    measures = "Measures of different families" if kind == "across" else capitalised(LABELS[kind])
    low, high = effect.bounds
    how = "more" if low > 0 else "less" if high < 0 else "neither more nor less"
    bounds = "single runs" if effect.low is None else "95 % interval"
    return (
        f"{measures} agree {how} in trained networks than in untrained ones "
        f"({effect.mean:+.3f}, {bounds} {low:+.3f} to {high:+.3f}; {effect.n_runs} runs)."
    )


def strength_text(results: Results) -> str:
    """How agreement changes from no dropout to the strongest, by kind of pair."""
    rows = sweep(agreement_by_kind(results), results.study, "dropout")
    if rows["strength"].nunique() < 2:
        return "There is no second strength of dropout to compare with."
    first, last = rows["strength"].min(), rows["strength"].max()
    parts = []
    for kind in KINDS:
        chosen = rows[rows["kind"] == kind].groupby("strength")[["element_centric", "element_centric_chance"]].mean()
        before, after = chosen.loc[first], chosen.loc[last]
        parts.append(
            f"{LABELS[kind]} {before['element_centric']:.2f} to {after['element_centric']:.2f} (chance "
            f"{before['element_centric_chance']:.2f} to {after['element_centric_chance']:.2f})"
        )
    return f"From dropout {first:g} to {last:g} mean element-centric similarity goes, for {'; for '.join(parts)}."


def metrics_text(table: pd.DataFrame) -> str:
    """How the metrics of agreement correlate, from `figures.metric_table`."""
    matrices = (table["metric_a"] == "similarity_spearman") | (table["metric_b"] == "similarity_spearman")
    clusterings, rsa = table.loc[~matrices, "here"], table.loc[matrices, "here"]
    return (
        f"The metrics of two clusterings correlate by {clusterings.min():.2f} to {clusterings.max():.2f} with each "
        f"other; the rank correlation of the two similarity matrices (RSA) correlates with them by {rsa.min():.2f} to "
        f"{rsa.max():.2f}."
    )


def chance_to_ceiling_text(table: pd.DataFrame) -> str:
    """Agreement between chance and ceiling, from `figures.chance_to_ceiling_table`: a sentence per kind of pair."""
    values = table.set_index(["kind", "what"])["element_centric"]
    sentences = []
    for kind in KINDS:
        name = "A measure of each family" if kind == "across" else capitalised(LABELS[kind])
        chance, before, trained, ceiling = (
            values[kind, what] for what in ("chance", "untrained", "trained", "ceiling")
        )
        images = values.get((kind, "ceiling, images"), np.nan)
        highest = "" if pd.isna(ceiling) else f", ceiling {ceiling:.2f}"
        highest += "" if pd.isna(images) else f" ({images:.2f} with other images)"
        sentences.append(
            f"{name}: {trained:.2f} in trained networks, {before:.2f} in untrained ones, chance {chance:.2f}{highest}."
        )
    return " ".join(sentences)


def layers_text(table: pd.DataFrame) -> str:
    """How families differ by layer, from `agreement_by_layer_table`."""
    levels = within_minus_across(table).pivot_table(index="layer", columns="networks", values="difference")
    told = [
        f"{_signed(trained)} in hidden layer {layer} ({_signed(before)})"
        for layer, trained, before in levels[["trained", "untrained"]].itertuples()
    ]
    wider, narrower = (
        [f"{layer}" for layer, rise in (levels["trained"] - levels["untrained"]).items() if sign * rise > _ALIKE]
        for sign in (1, -1)
    )
    compared = [f"{word} in {_layers(layers)}" for word, layers in (("larger", wider), ("smaller", narrower)) if layers]
    than = f"it is {' and '.join(compared)}" if compared else "it differs little in any layer"
    return (
        "Agreement of two measures of one family minus that of two of different families, in trained networks and, in "
        f"brackets, in untrained ones: {listed(told)}. Compared with untrained networks, {than}."
    )


def _layers(numbers: Sequence[str]) -> str:
    return f"layer{'s' if len(numbers) > 1 else ''} {listed(numbers)}"


def _signed(value: float) -> str:
    """A number with its sign, + or a true minus."""
    return f"{value:+.2f}".replace("-", "−")

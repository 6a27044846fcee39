"""Which clusterings agree beyond chance once there are thousands of comparisons, and how often the test errs."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from modularity_lib.alignment.scores import agreement_p_value
from modularity_lib.findings.claims import ALPHA
from modularity_lib.findings.inference import Effect, effect_over_runs, holm
from modularity_lib.studies.results import LAYER_OF_NETWORK, Results, agreement_by_kind, kinds_of_pairs
from modularity_lib.vocabulary import KINDS


def beyond_chance_table(results: Results) -> pd.DataFrame:
    """Share of comparisons that agree beyond chance, by kind of pair, with and without correction.

    A comparison is two measures of different quantities in one layer of one network. Holm's method cannot be used over
    all of them: p is at least 1 / (permutations + 1), which times thousands of comparisons is above any level. Within
    one layer of one network it can.

    Returns:
        `networks` ("trained" or "untrained"), `kind`, `comparisons`, and the shares with p < 0.05: `alone`, as it is;
        `false_discovery`, after Benjamini and Hochberg over all comparisons of the trained or untrained networks;
        `holm`, after Holm over those of one layer of one network.
    """
    rows = []
    for label, trained in (("trained", True), ("untrained", False)):
        table = agreement_by_kind(results, trained=trained)
        if table.empty:
            continue
        adjusted = {
            "alone": table["p_value"],
            "false_discovery": stats.false_discovery_control(table["p_value"]),
            "holm": table.groupby(LAYER_OF_NETWORK)["p_value"].transform(lambda p: holm(p.tolist())),
        }
        beyond = pd.DataFrame({name: np.asarray(p) < ALPHA for name, p in adjusted.items()}).groupby(
            table["kind"].to_numpy()
        )
        shares = beyond.mean().assign(comparisons=beyond.size())
        rows += [{"networks": label, "kind": kind, **shares.loc[kind]} for kind in KINDS if kind in shares.index]
    table = pd.DataFrame(rows, columns=["networks", "kind", "comparisons", "alone", "false_discovery", "holm"])
    return table.astype({"comparisons": int})


@dataclass(frozen=True)
class FalsePositives:
    """How often the permutation test finds agreement where there is none; 95 % interval from `low` to `high`."""

    rate: float
    low: float
    high: float
    pairs: int


def false_positives(results: Results, *, pairs: int = 400, seed: int = 0) -> FalsePositives:
    """Rate of p < 0.05 among pairs of clusterings that agree only by chance.

    Two measures of one layer of a trained network are drawn, and the units of one clustering are shuffled: the modules
    keep their number and sizes, and any agreement is chance. The interval is exact (Clopper and Pearson 1934).
    """
    random = np.random.default_rng(seed)
    modules = results.analysed("modules", trained=True)
    layers = [rows for _, rows in modules.groupby(LAYER_OF_NETWORK)["labels"] if len(rows) > 1]
    hits = 0
    for _ in range(pairs):
        labels = layers[random.integers(len(layers))]
        a, b = (np.asarray(labels.iloc[index]) for index in random.choice(len(labels), 2, replace=False))
        relabellings = int(random.integers(2**31))
        p_value = agreement_p_value(
            a, random.permutation(b), permutations=results.study.permutations, seed=relabellings
        )
        hits += p_value < ALPHA
    interval = stats.binomtest(int(hits), pairs).proportion_ci(method="exact")
    return FalsePositives(hits / pairs, float(interval.low), float(interval.high), pairs)


def since_training(results: Results) -> dict[str, Effect]:
    """How much more alike clusterings are in trained than in untrained networks, per kind of pair, over runs.

    The effect is in element-centric similarity. Empty without untrained networks.
    """
    gains = gain_by_run(results, "element_centric")
    return {kind: effect_over_runs(gains[kind].dropna().to_numpy()) for kind in KINDS if kind in gains}


def gain_by_run(results: Results, column: str) -> pd.DataFrame:
    """Mean agreement of each run minus that of untrained networks, which share no run with it: (run, kind).

    Args:
        column: of `agreement_by_kind`, such as "element_centric" or "corrected".
    Returns:
        a column for each kind of pair that trained and untrained networks have.
    """
    trained, untrained = (agreement_by_kind(results, trained=flag) for flag in (True, False))
    before = untrained.groupby("kind")[column].mean()
    by_run = trained.pivot_table(index="run", columns="kind", values=column)
    return (by_run - before).dropna(axis=1, how="all")


def within_minus_across(table: pd.DataFrame) -> pd.DataFrame:
    """Agreement within families, across them, and the difference, for each layer and kind of networks.

    Pairs of a measure and its own normalised form are left out; both families count alike.

    Args:
        table: of `agreement_by_layer_table`.
    """
    rows = table.assign(kind=kinds_of_pairs(table))[table["networks"] != "minus"]
    means = rows.pivot_table(index=["layer", "networks"], columns="kind", values="here").reindex(columns=KINDS)
    means = means.assign(within=(means["upstream"] + means["downstream"]) / 2)
    return means.assign(difference=means["within"] - means["across"]).reset_index()

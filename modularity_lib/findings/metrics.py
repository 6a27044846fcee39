"""Whether the verdicts on agreement depend on the metric: the same rules with other metrics in the place of theirs.

Every metric is on a scale where 0 is chance and 1 is identity, so that the limits of the rules mean the same. It works
on the results of a study and on the same results `on_live_units`, where the metric of matrices is missing.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from modularity_lib.alignment import information
from modularity_lib.alignment.overlaps import Overlaps, overlaps_of
from modularity_lib.alignment.scores import reduced_mutual_information
from modularity_lib.findings.claims import CLAIMS
from modularity_lib.findings.inference import Effect, effect_over_runs
from modularity_lib.studies.results import LAYER_OF_NETWORK, Results, agreement_by_kind, sweep
from modularity_lib.vocabulary import KINDS, REGULARISERS

ALL = "all networks"
JUDGED = ("families-agree-within", "families-differ")  # the claims whose rules ask for agreement


class Metric(NamedTuple):
    """A metric of agreement, 0 for chance and 1 for identity."""

    label: str
    compares: str  # "modules", or "matrices" without a search for modules
    of: Callable[[pd.DataFrame], pd.Series]  # from rows of `agreement_by_kind` with the columns of `informed`


# Without the transfer of Q: a ratio without bounds where Q is near 0, its mean is that of a few networks with L1.
METRICS = {
    "element_centric": Metric("element-centric similarity", "modules", lambda rows: rows["corrected"]),
    "adjusted": Metric(
        "adjusted mutual information, variation of information", "modules", lambda rows: rows["adjusted"]
    ),
    "rmi": Metric("reduced mutual information of 2020, the paper's", "modules", lambda rows: rows["rmi_norm"]),
    "dirichlet_rmi": Metric("reduced mutual information of 2025", "modules", lambda rows: rows["dirichlet_rmi"]),
    "similarity_spearman": Metric("rank correlation (RSA)", "matrices", lambda rows: rows["similarity_spearman"]),
}


def informed(results: Results) -> pd.DataFrame:
    """`agreement_by_kind` of trained networks with the metrics of modules that its tables do not have.

    Two clusterings of one module each agree by necessity: by every metric they count as chance.

    Returns:
        its rows, with `adjusted`, `rmi_norm` and `dirichlet_rmi`, the mean of what each clustering tells of the other:
        neither is the truth.
    """
    rows = agreement_by_kind(results)
    layers = dict(list(results.analysed("modules", trained=True).groupby(LAYER_OF_NETWORK)))
    found = pd.DataFrame(np.nan, rows.index, ["adjusted", "rmi_norm", "dirichlet_rmi"])
    for layer, pairs in rows.groupby(LAYER_OF_NETWORK):
        modules = layers[layer]
        labels = dict(zip(modules["measure"], map(np.asarray, modules["labels"]), strict=True))
        for index, a, b in pairs[["measure_a", "measure_b"]].itertuples():
            overlaps = overlaps_of(labels[a], labels[b])
            if overlaps.a_sizes.size == overlaps.b_sizes.size == 1:
                found.loc[index] = 0.0
                continue
            reduced = reduced_mutual_information(labels[a], labels[b], normalized=True)
            found.loc[index] = (information.adjusted(overlaps), reduced, _told(overlaps))
    return rows.assign(**found)


def _told(overlaps: Overlaps) -> float:
    """Mean of the normalised I(a; b) and I(b; a)."""
    sizes = (overlaps.a_sizes, overlaps.b_sizes)
    of_a, of_b = (information.share_told(of, given, overlaps.shared) for of, given in (sizes, sizes[::-1]))
    return (of_a + of_b) / 2


def judged_by(results: Results, rows: pd.DataFrame, metric: str) -> dict[str, str]:
    """Status of each claim in `JUDGED` by its own rule, with a metric in the place of element-centric similarity.

    What the rule says of chance, the share of comparisons beyond it, stays: its test is the same for all metrics.

    Args:
        results: a study.
        rows: of `informed`, those to be judged on.
        metric: of `METRICS`.
    """
    values = METRICS[metric].of(rows)
    exchanged = replace(results, agreement=rows.assign(element_centric=values, element_centric_chance=0.0))
    untrained = results.agreement[~results.agreement["trained"]]
    exchanged = replace(exchanged, agreement=pd.concat([exchanged.agreement, untrained]))
    return {claim.id: claim.judge(exchanged).status for claim in CLAIMS if claim.id in JUDGED}


def metric_table(results: Results) -> pd.DataFrame:
    """Agreement by kind of pair, sweep and metric, over the runs, and how the claims would be judged by it.

    Returns:
        A row per metric, networks ("all networks" or the name of a sweep, the baseline included) and kind of pair:
        `metric`, `networks`, `kind`, `mean`, `low`, `high` (95 % interval over runs; the smallest and largest run where
        they are too few), `runs`, and a column for each claim in `JUDGED`, the same for all kinds. A metric of matrices
        is missing where the results have none.
    """
    rows = informed(results)
    at_hand = {name: one for name, one in METRICS.items() if one.compares == "modules" or name in rows}
    parts = {ALL: rows} | {name: sweep(rows, results.study, name) for name in REGULARISERS}
    table = []
    for metric, one in at_hand.items():
        for networks, chosen in parts.items():
            if set(chosen["kind"]) != set(KINDS):
                continue
            status = judged_by(results, chosen, metric)
            for kind in KINDS:
                effect = _effect(chosen[chosen["kind"] == kind], one)
                low, high = effect.bounds
                row: dict[str, object] = {"metric": metric, "networks": networks, "kind": kind, "mean": effect.mean}
                table.append({**row, "low": low, "high": high, "runs": effect.n_runs, **status})
    return pd.DataFrame(table)


def _effect(rows: pd.DataFrame, metric: Metric) -> Effect:
    return effect_over_runs(metric.of(rows).groupby(rows["run"]).mean().to_numpy())

"""What if silent units had weights of another size? The published numerics on networks whose silent units are changed.

Under strong L2 the silent units of our networks have outgoing weights of any size, from 1e-3 to below 1e-30
(paper/method.md says why that matters for the published program). Here those weights are exchanged for random ones of
one size, to see at which the published numbers come about. It was done after a look at them: it explains, and tests
nothing.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from modularity_lib.alignment.scores import element_centric_similarity
from modularity_lib.findings.inference import effect_over_runs
from modularity_lib.findings.paper import published
from modularity_lib.findings.published_numerics import rows_of as measured
from modularity_lib.findings.tables import AnalysedNetwork, Finding, Rows
from modularity_lib.similarity.closed_form import forward_pass
from modularity_lib.studies.results import kinds_of_pairs
from modularity_lib.training.networks import Parameters
from modularity_lib.vocabulary import BASELINE, FAMILY, MEASURES, Regularisation, is_normalised, pair_kind

SIZES = (1e-3, 1e-4, 1e-6, 1e-8)  # of the outgoing weights
SPREAD = 2.0  # s.d. of the logarithm of a unit's size
STRONG = 1e-3  # L2 from which on many units are silent
AS_TRAINED = 0.0  # stands for the weights as they are


def rows_of(network: AnalysedNetwork) -> Rows:
    """The rows of `published_numerics.rows_of` for each `size`, with the weights as they are first."""
    rows: Rows = []
    for size in (AS_TRAINED, *SIZES):
        changed = network.parameters
        if size:
            changed = with_silent_weights(changed, network.dataset.test_images, size=size, seed=network.config.run)
        rows += [{"size": size, **row} for row in measured(replace(network, parameters=changed))]
    return rows


def with_silent_weights(parameters: Parameters, images: np.ndarray, *, size: float, seed: int) -> Parameters:
    """The network with other outgoing weights of its silent units, those whose activity is the same on all images.

    w_k = size * exp(SPREAD z_i) * e_k for unit i, with z_i and e_k standard normal

    It still gives the same outputs, but for what a constant activity times a small weight adds.
    """
    source = np.random.default_rng(seed)
    activities = forward_pass(parameters, images).activities
    weights = list(parameters.weights)
    for layer, activity in enumerate(activities, start=1):
        silent = np.flatnonzero(activity.min(axis=0) == activity.max(axis=0))
        own = size * np.exp(SPREAD * source.standard_normal(len(silent)))
        drawn = own * source.standard_normal((len(weights[layer]), len(silent)))
        weights[layer] = weights[layer].copy()
        weights[layer][:, silent] = drawn
    return Parameters(tuple(weights), parameters.biases)


def is_strong_l2(setting: Regularisation) -> bool:
    """Whether a setting is one of the sweep of L2 at which many units are silent."""
    return setting._replace(l2=BASELINE.l2) == BASELINE and setting.l2 >= STRONG


FINDING = Finding("silent_weights", rows_of, is_wanted=is_strong_l2, in_full=True)


def by_size(table: pd.DataFrame) -> pd.DataFrame:
    """What comes out at each size beside the published values, means over runs as `Effect`; a row per quantity.

    Returns:
        `quantity`, `paper`, and a column for each size. The number of modules of the raw and of the normalised
        downstream measures is a mean over all strengths of the table; agreement is over pairs of a kind at L2 0.01.
    """
    downstream = [measure for measure in MEASURES if FAMILY[measure] == "downstream"]
    kinds = {
        "number of modules, raw downstream": [name for name in downstream if not is_normalised(name)],
        "number of modules, normalised downstream": [name for name in downstream if is_normalised(name)],
    }
    counts = published("n_modules_vs_regularisation").query("regulariser == 'l2' and strength >= @STRONG * 0.99")
    rows: list[dict[Any, Any]] = []
    for quantity, measures in kinds.items():
        chosen = table[table["measure"].isin(measures)]
        by_run = chosen.groupby(["size", "run"])["n_modules"].mean()
        theirs = counts.loc[counts["measure"].isin(measures), "n_modules"].mean()
        rows.append({"quantity": quantity, "paper": theirs, **_effects(by_run)})
    agreement = published("agreement_by_strength").query("regulariser == 'l2'")
    agreement = agreement[np.isclose(agreement["strength"], _AGREEMENT_AT)]
    by_kind = agreement["element_centric"].groupby(kinds_of_pairs(agreement)).mean()
    ours = _agreement(table[np.isclose(table["l2"], _AGREEMENT_AT)])
    rows += [{"quantity": f"agreement, {kind}", "paper": by_kind[kind], **_effects(of)} for kind, of in ours.items()]
    return pd.DataFrame(rows)


_AGREEMENT_AT = 0.01  # the strongest L2 of the published agreement


def _effects(by_run: pd.Series) -> dict[Any, Any]:
    sizes = sorted(set(by_run.index.get_level_values("size")))
    return {size: effect_over_runs(by_run.loc[size].to_numpy()) for size in sizes}


def _agreement(table: pd.DataFrame) -> dict[str, pd.Series]:
    """Element-centric similarity by kind of pair: a mean over pairs and layers for each size and run."""
    rows = []
    for (size, run, _), of_layer in table.groupby(["size", "run", "layer"]):
        labels = dict(zip(of_layer["measure"], map(np.asarray, of_layer["labels"]), strict=True))
        for place, a in enumerate(MEASURES):
            for b in MEASURES[:place]:
                if np.any(labels[a] >= 0) and np.any(labels[b] >= 0):
                    alike = element_centric_similarity(labels[a], labels[b])
                    rows.append({"size": size, "run": run, "kind": pair_kind(a, b), "alike": alike})
    means = pd.DataFrame(rows).groupby(["kind", "size", "run"])["alike"].mean()
    return {kind: means.loc[kind] for kind in ("downstream", "across")}

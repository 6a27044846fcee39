"""How much of its Q a layer keeps under the modules of another measure, and why the same units agree less."""

from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from modularity_lib.alignment.scores import (
    element_centric_similarity,
    expected_element_centric_similarity,
    transfer,
)
from modularity_lib.findings.inference import effect_over_runs
from modularity_lib.findings.synthetic import block_of
from modularity_lib.studies.results import Results, agreement_by_kind, sweep
from modularity_lib.vocabulary import FAMILY

ALL_LAYERS = 0  # in the column `layer`: the mean over the hidden layers
QUANTITIES = ("transfer", "corrected")


def transfer_table(results: Results) -> pd.DataFrame:
    """Transfer of Q, and agreement corrected for chance, against dropout: from the table of agreement alone.

    Both are of all units, as in the paper. Transfer is `alignment.scores.transfer`: Q of a matrix under the modules of
    the other measure over Q under its own, both ways averaged.

    Returns:
        a row per strength, kind of pair, layer (`ALL_LAYERS`: the mean over them) and `quantity`, "transfer" or
        "corrected": `strength`, `kind`, `layer`, `quantity`, `mean`, `low`, `high` (95 % interval over runs; smallest
        and largest run where they are too few), `smallest`, `largest`, `n_runs`.
    """
    rows = sweep(agreement_by_kind(results), results.study, "dropout")
    by_layer = rows.groupby(["strength", "kind", "layer", "run"])[list(QUANTITIES)].mean().reset_index()
    over_layers = by_layer.groupby(["strength", "kind", "run"])[list(QUANTITIES)].mean().reset_index()
    values = pd.concat([over_layers.assign(layer=ALL_LAYERS), by_layer], ignore_index=True)
    found = []
    for (strength, kind, layer), runs in values.groupby(["strength", "kind", "layer"]):
        for quantity in QUANTITIES:
            effect = effect_over_runs(runs[quantity].to_numpy())
            low, high = effect.bounds
            named: dict[str, Any] = {"strength": strength, "kind": kind, "layer": layer, "quantity": quantity}
            ends = {"low": low, "high": high, "smallest": effect.smallest, "largest": effect.largest}
            found.append({**named, "mean": effect.mean, **ends, "n_runs": effect.n_runs})
    return pd.DataFrame(found)


# Transfer across the families by dropout, mean over layers and runs, in a review of the same tables.
REVIEWED = {0.0: 0.11, 0.3: 0.32, 0.5: 0.47, 0.7: 0.61}


def together_table(results: Results) -> pd.DataFrame:
    """Do two units of one module share a module of the other family? At the ends of the sweep of dropout.

    Returns:
        a row per strength, the weakest and the strongest, and family `given`: `strength`, `given`, `together`, the
        share of pairs of units of one module, found by a measure of that family, that are in one module by a measure of
        the other; `chance`, that share of all pairs. Means over pairs of measures, layers and runs; dead units are left
        out.
    """
    modules = sweep(results.analysed("modules", trained=True), results.study, "dropout")
    rows = []
    for strength in sorted({modules["strength"].min(), modules["strength"].max()}):
        for _, layer in modules[modules["strength"] == strength].groupby(["run", "layer"]):
            labels = {str(row["measure"]): np.asarray(row["labels"]) for _, row in layer.iterrows()}
            for given, other in product(labels, repeat=2):
                if FAMILY[given] != FAMILY[other]:
                    alike, chance = _together(labels[given], labels[other])
                    named = {"strength": strength, "given": FAMILY[given]}
                    rows.append({**named, "together": alike, "chance": chance})
    return pd.DataFrame(rows).groupby(["strength", "given"]).mean().reset_index()


def _together(given: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Share of pairs in one module of `other`: of those in one module of `given` (NaN without such), and of all."""
    live = (given >= 0) & (other >= 0)
    above = np.triu_indices(int(live.sum()), k=1)
    first, second = ((of[live][:, None] == of[live])[above] for of in (given, other))
    return float(second[first].mean()) if first.any() else float("nan"), float(second.mean())


class Merged(NamedTuple):
    """Two measures that see the same blocks, one of them in pairs."""

    transfer: float
    corrected: float


def merged_in_pairs(blocks: int, *, units: int = 64) -> Merged:
    """Transfer and agreement where one measure's modules are the other's merged in pairs: nothing else differs.

    Args:
        blocks: equal modules of the finer measure, an even number.
        units: in all.

    >>> kept, agreement = merged_in_pairs(8)
    >>> round(kept, 2), round(agreement, 2)
    (0.66, 0.4)
    """
    fine = block_of(units, blocks)
    coarse = fine // 2
    matrices = [(labels[:, None] == labels).astype(float) for labels in (fine, coarse)]
    kept = transfer(matrices[0], fine, matrices[1], coarse)
    chance = expected_element_centric_similarity(fine, coarse)
    return Merged(kept, (element_centric_similarity(fine, coarse) - chance) / (1 - chance))

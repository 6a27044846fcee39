"""Tables of a study whose effects are chosen, so that a verdict can be known beforehand."""

from itertools import combinations_with_replacement

import numpy as np
import pandas as pd

from modularity_lib.studies.catalogue import Study
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import MEASURES, pair_kind

STUDY = Study(
    name="made-up",
    dataset="mnist-5k",
    l2=(1e-5, 1e-3),
    l1=(1e-4, 1e-3),
    dropout=(0.3, 0.6),
    runs=4,
    untrained=20,
)


def made_up_results(
    *,
    dropout_rise: float = 0.2,
    l2_rise: float = 0.03,
    l1_rise: float = 0.02,
    flat_measures: tuple[str, ...] = (),
    strong_l2: tuple[str, ...] = (),
    agreement: dict[str, float] | None = None,
    p_value: dict[str, float] | None = None,
    low_accuracy_above: float = 1.0,
    untrained_spread: float = 0.002,
) -> Results:
    """Q = 0.1 without regularisation, plus a rise in proportion to the strength; agreement by kind of pair as given.

    `flat_measures` do not rise at all, `strong_l2` rise by 0.3 with L2; networks with more
    than `low_accuracy_above` dropout are inaccurate; untrained ones have this s.d. of Q.
    """
    agreement = {"same": 0.9} | (agreement or {"upstream": 0.7, "downstream": 0.6, "across": 0.3})
    p_value = {"same": 0.001} | (p_value or {"upstream": 0.001, "downstream": 0.001, "across": 0.5})
    random = np.random.default_rng(0)
    rows: dict[str, list[dict[str, object]]] = {"networks": [], "modules": [], "agreement": []}
    for config in STUDY.trained_configs() + STUDY.untrained_configs():
        trained = config.epochs > 0
        accuracy = 0.5 if config.dropout > low_accuracy_above else 0.95
        base = {
            "study": STUDY.name,
            "dataset": STUDY.dataset,
            "hidden": "64-64",
            "protocol": config.protocol,
            "trained": trained,
            "run": config.run,
            "l2": config.l2,
            "l1": config.l1,
            "dropout": config.dropout,
            "analysed": STUDY.is_analysed(config, accuracy),
            "status": "ok",
            "reason": "",
        }
        norms = {
            name: 1.0 + random.normal(0, 0.01) for name in ("sum_abs_weights", "sum_squared_weights", "nuclear_norm")
        }
        rows["networks"].append(
            {
                **base,
                "test_accuracy": accuracy,
                "train_accuracy": accuracy,
                "sparsity": 0.1,
                "validation_loss": 0.1,
                **norms,
            }
        )
        rise = dropout_rise * config.dropout / 0.6 + l2_rise * (config.l2 > 1e-5) + l1_rise * (config.l1 / 1e-3)
        for layer in (1, 2):
            for measure in MEASURES:
                score = (
                    0.1
                    + random.normal(0, 0.002 if trained else untrained_spread)
                    + (0.0 if measure in flat_measures else rise)
                )
                score += 0.3 * (measure in strong_l2 and config.l2 > 1e-5)
                found = {"score": score, "n_modules": 4.0, "spectral_score": score - 0.01, "dead_units": 0}
                rows["modules"].append({**base, "layer": layer, "measure": measure, **found})
            for a, b in combinations_with_replacement(MEASURES, 2):
                kind = pair_kind(a, b)
                alike = 1.0 if a == b else agreement[kind] + random.normal(0, 0.01)
                metrics = {"element_centric": alike, "element_centric_chance": 0.25, "p_value": p_value[kind]}
                rows["agreement"].append({**base, "layer": layer, "measure_a": a, "measure_b": b, **metrics})
    return Results(
        STUDY, pd.DataFrame(rows["networks"]), pd.DataFrame(rows["modules"]), pd.DataFrame(rows["agreement"])
    )

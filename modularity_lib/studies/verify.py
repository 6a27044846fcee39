"""Compute some networks of a study again, and compare them with the stored results."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from modularity_lib.studies import measurement
from modularity_lib.studies.archive import dataset_of_study
from modularity_lib.studies.catalogue import setting_of
from modularity_lib.studies.results import Results, rows_at
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.performance import network_facts
from modularity_lib.training.training import train

# What a recomputed network may differ by. On the same machine it does not at all; another processor rounds otherwise,
# and hundreds of epochs carry that on: the network is another one of the same kind.
SCORE_TOLERANCE = 0.05  # of Q, mean over measures and layers
ACCURACY_TOLERANCE = 0.01


@dataclass(frozen=True)
class Verification:
    """Recomputed networks beside the stored ones."""

    table: pd.DataFrame
    agrees: bool

    def text(self) -> str:
        """The comparison, a line per network, and what is allowed."""
        verdict = "agree" if self.agrees else "DO NOT AGREE"
        return (
            f"{self.table.to_string(index=False)}\nrecomputed and stored networks {verdict} (allowed: "
            f"{ACCURACY_TOLERANCE} of accuracy, {SCORE_TOLERANCE} of Q on average over measures and layers)"
        )


def verify(configs: Sequence[TrainingConfig], stored: Results) -> Verification:
    """Train and analyse networks again, from nothing, and compare with the rows of a study."""
    with threadpool_limits(1, user_api="blas"):  # as in `worker.compute`
        return _verify(configs, stored)


def _verify(configs: Sequence[TrainingConfig], stored: Results) -> Verification:
    study = stored.study
    dataset = dataset_of_study(study.dataset)
    rows = []
    bar = tqdm(total=sum(config.epochs for config in configs), desc=f"training {len(configs)} networks", disable=None)
    for config in configs:
        network = train([config], dataset, progress=bar.update)[0]
        facts = network_facts(network, dataset)
        modules = pd.DataFrame(
            measurement.module_rows(
                measurement.measured_matrices(network.parameters, dataset), seed=config.run, steps=study.search_steps
            )
        )
        chosen = {"run": config.run, **setting_of(config)._asdict()}
        networks, before = (rows_at(table, trained=True, **chosen) for table in (stored.networks, stored.modules))
        gap = np.abs(before["score"].to_numpy(dtype=float) - modules["score"].to_numpy(dtype=float))
        accuracies = float(networks["test_accuracy"].iloc[0]), facts["test_accuracy"]
        rows.append(
            {
                **chosen,
                "accuracy_stored": accuracies[0],
                "accuracy_now": accuracies[1],
                "mean_gap_of_Q": float(np.nanmean(gap)),
                "largest_gap_of_Q": float(np.nanmax(gap)),
            }
        )
    bar.close()
    table = pd.DataFrame(rows)
    accuracy_gap = (table["accuracy_stored"] - table["accuracy_now"]).abs()
    agrees = (accuracy_gap <= ACCURACY_TOLERANCE).all() and (table["mean_gap_of_Q"] <= SCORE_TOLERANCE).all()
    return Verification(table, bool(agrees))

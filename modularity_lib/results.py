"""The tables of a study: one row per network, clustering, and pair of clusterings, with the configuration in each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from modularity_lib.data import Dataset
from modularity_lib.experiments import Study
from modularity_lib.store import Store
from modularity_lib.training import TrainingConfig

TABLES = ("networks", "modules", "agreement")
IDENTIFYING = ["study", "dataset", "hidden", "protocol", "trained", "run", "l2", "l1", "dropout"]


def write_tables(results: "Results", folder: Path) -> None:
    """Write the tables of a study as Parquet files, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        temporary = folder / f".{name}.parquet"
        getattr(results, name).to_parquet(temporary, index=False)
        temporary.replace(folder / f"{name}.parquet")


class StudyIncomplete(LookupError):
    """Some networks of a study have not been computed yet."""


@dataclass(frozen=True)
class Results:
    """Tables of one study. Each row starts with the columns that identify its network (`IDENTIFYING`).

    networks: performance, norms, epochs, status, reason; `analysed` is False for networks left out of every figure
        (diverged, test accuracy below the study's limit, or L1 above it).
    modules: layer (counted from 1), measure, score (Q), n_modules (soft count), spectral_score, dead_units, labels.
    agreement: layer, measure_a, measure_b, and every metric of how alike the two clusterings are.
    """

    study: Study
    networks: pd.DataFrame
    modules: pd.DataFrame
    agreement: pd.DataFrame

    def analysed(self, table: str, *, trained: bool) -> pd.DataFrame:
        """Rows of a table that enter the figures: analysed networks, clusterings with status "ok"."""
        rows: pd.DataFrame = getattr(self, table)
        return rows[rows["analysed"] & (rows["trained"] == trained) & (rows["status"] == "ok")]


def tables_of(
    study: Study, dataset: Dataset, store: Store, keys_of: Callable[[TrainingConfig, Study, Dataset], Any]
) -> Results:
    """Read the tables of a study from the store.

    Raises:
        StudyIncomplete: a network is missing; the message says how many and how to compute them.
    """
    rows: dict[str, list[dict[str, Any]]] = {"networks": [], "modules": [], "agreement": []}
    missing = 0
    for config in study.trained_configs() + study.untrained_configs():
        keys = keys_of(config, study, dataset).keys
        entries = {stage: store.read(stage, key) for stage, key in keys.items()}
        if any(entry is None for entry in entries.values()):
            missing += 1
            continue
        facts = {stage: entry.facts for stage, entry in entries.items() if entry is not None}
        identity = _identity(config, study)
        training = facts["training"]
        analysed = training["status"] == "ok" and study.is_analysed(config, training["test_accuracy"])
        rows["networks"].append({**identity, "analysed": analysed, **training})
        for stage in ("modules", "agreement"):
            rows[stage] += [{**identity, "analysed": analysed, **row} for row in facts[stage]["rows"]]
    if missing:
        raise StudyIncomplete(
            f"{missing} networks of the study {study.name!r} are not in the store {store.root}. "
            f"modularity_lib.run_study({study.name!r}) computes them."
        )
    return Results(study, **{name: pd.DataFrame(table) for name, table in rows.items()})


def _identity(config: TrainingConfig, study: Study) -> dict[str, Any]:
    return {
        "study": study.name,
        "dataset": study.dataset,
        "hidden": "-".join(map(str, config.hidden)),
        "protocol": config.protocol,
        "trained": config.epochs > 0,
        "run": config.run,
        "l2": config.l2,
        "l1": config.l1,
        "dropout": config.dropout,
    }


def sweep(table: pd.DataFrame, study: Study, regulariser: str) -> pd.DataFrame:
    """Rows of one sweep of regularisation, the baseline included, with the column `strength` added."""
    others = {"l2": study.settings()[0]["l2"], "l1": 0.0, "dropout": 0.0}
    others.pop(regulariser)
    chosen = (table[list(others)] == pd.Series(others)).all(axis=1)
    return table[chosen].assign(strength=table.loc[chosen, regulariser])

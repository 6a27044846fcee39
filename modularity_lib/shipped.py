"""Results that come with the project: tables of studies in data/results/<study>/, read only, checked when read."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modularity_lib.store import EntryDamaged, read_entry

RESULTS_FOLDER = Path(__file__).resolve().parents[1] / "data" / "results"


class ResultsAltered(RuntimeError):
    """Tables that come with the project are not those that were shipped."""


@dataclass(frozen=True, eq=False)
class ShippedTables:
    """Tables of one study as `modularity export STUDY --parquet` wrote them."""

    tables: dict[str, pd.DataFrame]  # by name, see `results.TABLES`
    facts: dict[str, Any]  # what they were made of and with
    keys: frozenset[str]  # of the last stage of each network
    weights: dict[str, np.ndarray]  # of some networks: "<key of the training>/weight0", ".../bias0" and so on


@cache
def shipped_tables(study: str) -> ShippedTables | None:
    """Tables that come with the project for a study of this name, or None.

    Raises:
        ResultsAltered: a file does not have the SHA-256 that it was shipped with.
    """
    folder = RESULTS_FOLDER / study
    if not folder.is_dir():
        return None
    try:
        entry = read_entry(folder)
    except EntryDamaged as damage:
        raise ResultsAltered(
            f"the results in {folder} are not those that were shipped: {damage}. Get a fresh copy of this folder, with "
            f"`git checkout -- {folder}`, say; without the folder the study is computed anew."
        ) from damage
    return ShippedTables(entry.tables, entry.facts, frozenset(entry.tables["networks"]["key"]), entry.arrays)


def is_shipped(study: str, key: str) -> bool:
    """Whether the results of a network of this key come with the project."""
    shipped = shipped_tables(study)
    return shipped is not None and key in shipped.keys


def shipped_arrays(study: str, key: str) -> dict[str, np.ndarray] | None:
    """Weights and biases that come with the project for a training of this key, or None; float32, maybe rounded.

    Most are shipped in half precision: a weight below 6e-5 has fewer than 11 bits, one below 3e-8 is 0.
    """
    shipped = shipped_tables(study)
    if shipped is None:
        return None
    prefix = f"{key}/"
    arrays = {name.removeprefix(prefix): array for name, array in shipped.weights.items() if name.startswith(prefix)}
    return {name: array.astype(np.float32) for name, array in arrays.items()} or None

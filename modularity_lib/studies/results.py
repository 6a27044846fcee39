"""The tables of a study: one row per network, clustering, and pair of clusterings, with the configuration in each."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from modularity_lib.studies.catalogue import Study
from modularity_lib.vocabulary import BASELINE, MEASURES, Regulariser, pair_kind

TABLES = ("networks", "modules", "agreement")
LAYER_OF_NETWORK = ["trained", "run", "l2", "l1", "dropout", "layer"]  # what tells one layer from another in a study
_KINDS = np.array([[pair_kind(a, b) for b in MEASURES] for a in MEASURES])  # of two measures, by their numbers
IDENTIFYING = ["study", "dataset", "hidden", "protocol", "trained", "run", "l2", "l1", "dropout"]


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
    made_with: dict[str, Any] = field(default_factory=dict)  # versions, processors, commits, seconds: see `archive`

    def analysed(self, table: str, *, trained: bool) -> pd.DataFrame:
        """Rows of a table that enter the figures: analysed networks, clusterings with status "ok"."""
        rows: pd.DataFrame = getattr(self, table)
        return rows[rows["analysed"] & (rows["trained"] == trained) & (rows["status"] == "ok")]


def rows_at(table: pd.DataFrame, **chosen: Any) -> pd.DataFrame:
    """The rows that have these values, such as `rows_at(results.modules, trained=True, run=0, dropout=0.3)`."""
    return table[(table[list(chosen)] == pd.Series(chosen)).all(axis=1)]


def sweep(table: pd.DataFrame, study: Study, regulariser: Regulariser) -> pd.DataFrame:
    """Rows of one sweep of regularisation, the baseline included, with the column `strength` added."""
    rows = rows_at(table, **{name: value for name, value in BASELINE._asdict().items() if name != regulariser})
    return rows.assign(strength=rows[regulariser])


def kinds_of_pairs(rows: pd.DataFrame) -> pd.Series:
    """What the two measures of each row have in common, of `measure_a` and `measure_b`: see `pair_kind`."""
    a, b = (pd.Index(MEASURES).get_indexer(pd.Index(rows[name])) for name in ("measure_a", "measure_b"))
    return pd.Series(_KINDS[a, b], rows.index)


def agreement_by_kind(results: Results, *, trained: bool = True) -> pd.DataFrame:
    """Agreement rows of two different quantities, with `kind` and `corrected` = (agreement - chance) / (1 - chance).

    `corrected` is 0 for clusterings that agree as shuffled ones do, 1 for identical ones.
    """
    rows = results.analysed("agreement", trained=trained)
    chance = rows["element_centric_chance"]
    # Two clusterings of one module each agree by necessity (chance = 1): they say nothing, so they count as chance.
    room = (1 - chance).where(chance < 1, np.inf)
    rows = rows.assign(kind=kinds_of_pairs(rows), corrected=(rows["element_centric"] - chance) / room)
    return rows[rows["kind"] != "same"]

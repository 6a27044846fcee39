"""Is the best partition of a layer known? A bound on Q of all partitions, for matrices of trained networks."""

import time
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from modularity_lib.clustering.bound import PROVEN, modularity_bound
from modularity_lib.clustering.modularity import dead_units, modularity_score
from modularity_lib.clustering.search import find_modules
from modularity_lib.paths import checkout
from modularity_lib.progress import progress_bar
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.entries import Entry, check_replaceable, key_of, read_entry, replace_entry
from modularity_lib.studies.provenance import provenance
from modularity_lib.studies.results import Results, rows_at
from modularity_lib.vocabulary import BASELINE

SHIPPED = checkout() / "data" / "bounds"
DROPOUTS = (0.0, 0.7)
SOON = 10.0  # seconds, within which most are proven
_LONG = 300.0  # seconds for each matrix of the shipped table, which takes up to three minutes
_SAME = 1e-6  # the most by which Q of the same labels differs where a matrix is kept in float32


def bound_table(results: Results, *, dropouts: Sequence[float] = DROPOUTS, seconds: float = SOON) -> pd.DataFrame:
    """Bound on Q of every measure and layer of the networks of run 0 with dropout alone.

    Args:
        dropouts: of these networks; those that the study lacks are left out.
        seconds: for each matrix.
    Returns:
        A row per matrix that has weight: `dropout`, `layer`, `measure`, `live_units`; `search` = Q that the search of
        the study found; `score` = Q of the best partition that is known, and its `labels`; `upper` = the bound,
        `proven` = whether it proves the score to be the largest, up to 1e-7; `seconds` and `rounds` that it took, on
        the machine of the provenance.
    Raises:
        LookupError, DatasetUnavailable: as of `stored_matrices`.
    """
    matrices = _matrices(results, dropouts)
    rows = []
    with progress_bar(len(matrices), "bounding Q") as bar:
        for (dropout, layer, measure), similarity in matrices.items():
            if dead_units(similarity).all():
                continue
            bound = modularity_bound(similarity, seconds=seconds, progress=False)
            at = {"trained": True, "run": 0, **BASELINE._replace(dropout=dropout)._asdict()}
            [search] = rows_at(results.modules, layer=layer, measure=measure, **at)["score"]
            rows.append(
                {
                    **{"dropout": dropout, "layer": layer, "measure": measure},
                    "live_units": int(np.count_nonzero(bound.labels >= 0)),
                    **{"search": search, "score": bound.score, "upper": bound.upper, "proven": bound.proven},
                    **{"seconds": bound.seconds, "rounds": bound.rounds, "labels": bound.labels.tolist()},
                }
            )
            bar.update()
    return pd.DataFrame(rows)


def table_at_hand(results: Results, *, seconds: float = 1.0) -> pd.DataFrame:
    """The shipped `bound_table` if it is of these matrices; otherwise one that is made now.

    It is of the same matrices if its labels have the same Q on them: a bound does not depend on the code that made it.

    Args:
        seconds: for each matrix, where the table is made now.
    Raises:
        EntryDamaged: the shipped table is not what its checksum says.
    """
    folder = SHIPPED / results.study.name
    if not folder.is_dir():
        return bound_table(results, seconds=seconds)
    table = read_entry(folder).tables["bounds"]
    matrices = _matrices(results, DROPOUTS)
    places = zip(table["dropout"], table["layer"], table["measure"], strict=True)
    for place, labels, score in zip(places, table["labels"], table["score"], strict=True):
        if abs(modularity_score(matrices[place], labels) - score) > _SAME:
            warnings.warn(
                f"the table in {folder} is of other matrices, so bounds are computed now, for {seconds:g} seconds "
                "each. `make bounds` computes them at length.",
                OtherMatrices,
                stacklevel=2,
            )
            return bound_table(results, seconds=seconds)
    return table


class OtherMatrices(UserWarning):
    """The shipped bounds are not of the matrices that are there now."""


def ship(results: Results) -> pd.DataFrame:
    """Bound Q of all matrices at length, and write the table into the project."""
    check_replaceable(SHIPPED / results.study.name)
    table = bound_table(results, seconds=_LONG)
    made = {**provenance(), "written": time.strftime("%FT%TZ", time.gmtime())}
    entry = Entry({"study": results.study.name}, {}, {"bounds": table}, made)
    replace_entry(SHIPPED / results.study.name, entry, key=key_of({"labels": table["labels"].tolist()}))
    return table


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """How many matrices are proven, and how far the search of the study stays below: a row per dropout.

    Args:
        table: from `default_search`.
    Returns:
        `dropout`, `matrices`; `proven`, and `proven_soon` = within ten seconds; `largest_gap` = upper / score - 1;
        `search_gap` and `largest_search_gap` = mean and largest 1 - search / score of those that are proven;
        `search_reaches` and `default_reaches` = in how many of these that search and `find_modules` found the best.
    """
    rows = []
    for dropout, found in table.groupby("dropout"):
        proven = found[found["proven"]]
        missed = (1.0 - proven["search"] / proven["score"]).clip(lower=0.0)
        rows.append(
            {
                "dropout": dropout,
                "matrices": len(found),
                "proven": len(proven),
                "proven_soon": int((proven["seconds"] <= SOON).sum()),
                "largest_gap": (found["upper"] / found["score"] - 1.0).max(),
                "search_gap": missed.mean(),
                "largest_search_gap": missed.max(),
                "search_reaches": int((proven["score"] - proven["search"] <= PROVEN).sum()),
                "default_reaches": int((proven["score"] - proven["default"] <= PROVEN).sum()),
            }
        )
    return pd.DataFrame(rows)


def default_search(results: Results, table: pd.DataFrame) -> pd.DataFrame:
    """The table with Q that `find_modules` finds by default, in the column `default`."""
    matrices = _matrices(results, table["dropout"].unique().tolist())
    places = zip(table["dropout"], table["layer"], table["measure"], strict=True)
    return table.assign(default=[find_modules(matrices[place]).score for place in places])


def _matrices(results: Results, dropouts: Sequence[float]) -> dict[tuple[float, int, str], np.ndarray]:
    archive = Archive(results.study)
    known = set(results.study.strengths("dropout"))
    return {
        (dropout, int(layer.removeprefix("hidden")), measure): matrix
        for dropout in dropouts
        if dropout in known
        for layer, by_measure in archive.matrices(archive.config(dropout=dropout)).items()
        for measure, matrix in by_measure.items()
    }

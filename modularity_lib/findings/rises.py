"""What a rise of Q is: modules, less in common, or what a null shows as well. The rule, applied to measured tables."""

import numpy as np
import pandas as pd

from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import BASELINE, Regulariser

CLEAR = 0.02  # a rise of Q below it is not split, nor is Q so close to chance called above it
MOST, LEAST = 2 / 3, 1 / 3  # of a rise: from the first on nearly all of it, up to the second hardly any
# By how much of itself the number of live units may change: matrices of other sizes have another Q by that alone.
MOST_LIVE_CHANGE = 0.1
# What a rise of Q can be.
MODULES, IN_COMMON, CHANCE, MIXED = "modules", "less in common", "chance", "in part less in common"
NOT_COMPARABLE = "not comparable"

PLACE = ["run", "layer", "measure"]
WEAK_NULLS = ["rise_shuffled", "rise_directions"]
NULLS = [*WEAK_NULLS, "rise_rotated"]


def split_table(
    table: pd.DataFrame, results: Results, regulariser: Regulariser, rotated: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Split the rises of Q along a sweep of `common_mode_table`, and say what each is.

    A rise of at least `CLEAR` is NOT_COMPARABLE where the number of live units has changed by more than
    `MOST_LIVE_CHANGE`; of the others it is IN_COMMON where at most `LEAST` of it remain with as much in common; of the
    others CHANCE where it is not by `CLEAR` larger than that of every null; of the others MODULES where at least `MOST`
    of it remain, and MIXED between.

    Args:
        rotated: `rotated.rises` of the same sweep: for the measures that are there, the rise after rotations is a null
            too. Runs that it lacks are left out.
    Returns:
        the rows of the sweep but its left end, with `strength`; since the left end: `rise` of Q, `remains` and
        `remains_shifted` of it with as much in common, `rise_shuffled`, `rise_directions`, `rise_rotated` (NaN without
        that null), and `mean_change`, `across_change`, `live_change`, each in parts of what it was; `kind` ("" for a
        rise that is not split), by the shift `kind_shifted`, and without the null of rotations `kind_by_weak_nulls`;
        `excess`, Q above random directions, and `excess_before`.
    """
    rows, first = since_left_end(sweep(table, results.study, regulariser), regulariser)
    rows = compared(rows, first).assign(rise_rotated=np.nan)
    if rotated is not None:
        rows = rows[rows["run"].isin(rotated["run"].unique())].drop(columns="rise_rotated")
        found = rotated[["strength", *PLACE, "rise_rotated"]]
        rows = rows.merge(found, how="left", on=["strength", *PLACE], validate="one_to_one")
    return with_kinds(rows)


def since_left_end(rows: pd.DataFrame, regulariser: Regulariser) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of a sweep but its left end, in the order of the strengths, and beside each the row of the left end."""
    left = rows["strength"] == getattr(BASELINE, regulariser)
    start = rows[left].set_index(PLACE)
    later = rows[~left].sort_values("strength", kind="stable")
    return later, start.reindex(pd.MultiIndex.from_frame(later[PLACE])).set_index(later.index)


def compared(rows: pd.DataFrame, first: pd.DataFrame) -> pd.DataFrame:
    """Rows of `common_mode.measured` with what has changed since others, which stand beside them; see `split_table`."""
    return rows.assign(
        rise=rows["score"] - first["score"],
        remains=rows["score_equal"] - first["score"],
        remains_shifted=rows["score_shifted"] - first["score"],
        rise_shuffled=rows["score_shuffled"] - first["score_shuffled"],
        rise_directions=rows["score_directions"] - first["score_directions"],
        mean_change=rows["mean"] / first["mean"] - 1,
        across_change=rows["across"] / first["across"] - 1,
        live_change=rows["live_units"] / first["live_units"] - 1,
        excess=rows["score"] - rows["score_directions"],
        excess_before=first["score"] - first["score_directions"],
    )


def with_kinds(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of `compared` that have `rise_rotated` too, with what each rise is: see `split_table`."""
    return rows.assign(
        kind=_kinds(rows, "remains", NULLS),
        kind_shifted=_kinds(rows, "remains_shifted", NULLS),
        kind_by_weak_nulls=_kinds(rows, "remains", WEAK_NULLS),
    )


def _kinds(rows: pd.DataFrame, remains: str, nulls: list[str]) -> np.ndarray:
    by_chance = rows[nulls].max(axis=1)  # without those that a measure does not have
    rules = {
        "": ~(rows["rise"] >= CLEAR),
        NOT_COMPARABLE: rows["live_change"].abs() > MOST_LIVE_CHANGE,
        IN_COMMON: rows[remains] <= LEAST * rows["rise"],
        CHANCE: rows["rise"] - by_chance < CLEAR,
        MODULES: rows[remains] >= MOST * rows["rise"],
    }
    return np.select(list(rules.values()), list(rules), default=MIXED)


def strongest(splits: pd.DataFrame) -> pd.DataFrame:
    """Rows of a `split_table` at the strongest strength at which every layer and measure was analysed."""
    counts = splits.groupby("strength").size()
    complete = counts[counts == counts.max()].index
    return splits[splits["strength"] == complete.max()] if len(complete) else splits


def prevailing(kinds: pd.Series) -> str:
    """The kind of at least `MOST` of the rises that are split; "" where there is none.

    >>> prevailing(pd.Series(["modules", "modules", "chance", ""]))
    'modules'
    """
    shares = kinds[kinds != ""].value_counts(normalize=True)
    return "" if shares.empty or shares.iloc[0] < MOST - 1e-12 else str(shares.index[0])

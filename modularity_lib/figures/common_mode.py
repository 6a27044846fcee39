"""Q against dropout beside its counterfactual and its nulls, and what units of one module and of two share."""

import pandas as pd
from matplotlib.figure import Figure

from modularity_lib.figures.panels import Curves, panels_along_dropout
from modularity_lib.figures.plot import drawn_from
from modularity_lib.figures.style import LOOKS, UNTRAINED_COLOUR
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import FAMILY, NORMALISED

# As on every page: dropout in its colour, what is made up on purpose in black, chance in grey.
_Q_CURVES: Curves = {
    "score": ("Q as found", {"color": LOOKS["dropout"].colour, "marker": LOOKS["dropout"].marker, "linewidth": 1.6}),
    "score_null": ("rotated units (upstream only)", {"color": "black", "marker": "s", "markersize": 3}),
    "score_equal": (
        "as much in common as without dropout",
        {"color": LOOKS["dropout"].colour, "marker": "", "linestyle": "--", "linewidth": 1.0},
    ),
    "score_chance": ("shuffled, or random directions", {"color": UNTRAINED_COLOUR, "marker": "", "linestyle": "-"}),
}
_ROTATED_CURVES: Curves = {
    "score": _Q_CURVES["score"],
    "score_rotated": ("units rotated", {"color": UNTRAINED_COLOUR, "marker": "s", "linestyle": "--"}),
    "score_matched": ("rotated, at the same firing rates", {"color": UNTRAINED_COLOUR, "marker": "D"}),
}
_SHARED_CURVES: Curves = {
    "within": ("units of one module", {"color": LOOKS["dropout"].colour, "marker": LOOKS["dropout"].marker}),
    "mean": ("all pairs", {"color": "black", "linestyle": ":"}),
    "across": ("units of different modules", {"color": LOOKS["dropout"].colour, "marker": "_", "linestyle": "--"}),
}
_UPSTREAM = tuple(measure for measure in NORMALISED if FAMILY[measure] == "upstream")
_ABSENT = "nothing at hand to show"


def along_dropout(results: Results, measured: pd.DataFrame | None) -> pd.DataFrame:
    """Rows with dropout alone, which is their `strength`; none where nothing was measured.

    Args:
        measured: `common_mode.common_mode_table`, or the table of the finding `rotated`.
    """
    return pd.DataFrame(columns=["layer"]) if measured is None else sweep(measured, results.study, "dropout")


def beside_nulls(results: Results, measured: pd.DataFrame, turned: pd.DataFrame | None = None) -> pd.DataFrame:
    """`along_dropout` with two columns more, each the larger Q of two nulls.

    Args:
        measured: `common_mode.common_mode_table`.
        turned: the table of the finding `rotated`, if it is at hand.
    Returns:
        `score_chance`: of shuffled similarities and of random directions; `score_null`: of rotated units as they are
        and at the same firing rates, NaN where there are none.
    """
    table, null = along_dropout(results, measured), along_dropout(results, turned)
    if table.empty:
        return table
    table = table.assign(score_chance=table[["score_shuffled", "score_directions"]].max(axis=1))
    if null.empty:
        return table.assign(score_null=float("nan"))
    null = null.assign(score_null=null[["score_rotated", "score_matched"]].max(axis=1))
    place = ["strength", "run", "layer", "measure"]
    return table.merge(null[[*place, "score_null"]], how="left", on=place, validate="one_to_one")


@drawn_from(beside_nulls)
def q_beside_nulls(table: pd.DataFrame) -> Figure:
    """Q along dropout: as found, of rotated units, with as much in common, and by chance."""
    return panels_along_dropout(table, _Q_CURVES, label="modularity Q", absent=_ABSENT)


@drawn_from(along_dropout)
def q_of_rotated_units(table: pd.DataFrame) -> Figure:
    """Q of upstream measures along dropout: as it is, and after rotations of the units before their ReLU."""
    return panels_along_dropout(table, _ROTATED_CURVES, label="modularity Q", absent=_ABSENT, measures=_UPSTREAM)


@drawn_from(along_dropout)
def similarity_within_and_across(table: pd.DataFrame) -> Figure:
    """Mean similarity along dropout: within the modules, across them, and of all pairs."""
    return panels_along_dropout(table, _SHARED_CURVES, label="mean similarity", absent=_ABSENT)

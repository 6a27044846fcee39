"""What the table of `lesions` says: losses over runs, whether modules matter, and which family's modules matter more.

The rule was written, and tried on made-up networks (`lesion_trials`), before the nine runs were measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from modularity_lib.findings.inference import Effect, effect_over_runs
from modularity_lib.findings.lesion_choices import FEWEST_SETS, OUTCOMES
from modularity_lib.findings.tables import table_at_hand
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import FAMILY, REGULARISERS

CLEAR = 0.01  # of accuracy: losses that differ by less are called the same
SELDOM = 0.95  # a module that loses more than this share of its random sets loses what few of them lose

# What modules are, by what is lost with them.
NO_MORE = "no more than random sets"
AS_NEIGHBOURS = "as near neighbours do"
UNTOLD = "more than random sets"  # and near neighbours that are as alike are too few to compare with
MORE = "more than near neighbours"
# Whose modules predict better what is lost.
DOWNSTREAM, UPSTREAM, NEITHER = "downstream", "upstream", "neither"

# Of a first look at runs 0 to 2 of v1, before there was a rule: means over all modules that were compared, by dropout,
# and the share of modules above 95 % of their random sets.
PILOT = {
    0.0: {"module": 0.105, "random": 0.072, "spread": 0.122, "spread_random": 0.081, "seldom": 0.32},
    0.3: {"module": 0.036, "random": 0.005, "spread": 0.071, "spread_random": 0.010, "seldom": 0.84},
    0.5: {"module": 0.052, "random": 0.004, "spread": 0.106, "spread_random": 0.011, "seldom": 0.96},
    0.7: {"module": 0.062, "random": 0.005, "spread": 0.129, "spread_random": 0.012, "seldom": 0.90},
}


def lesion_table(results: Results, *, layers: Sequence[int] | None = None) -> pd.DataFrame:
    """The table of `lesions.rows_of`, of these layers if some are named; errors are those of `table_at_hand`."""
    from modularity_lib.findings.lesions import FINDING  # here, so that this is loaded without Numba

    table = table_at_hand(FINDING, results)
    return table if layers is None else table[table["layer"].isin(layers)].reset_index(drop=True)


def no_lesions(results: Results) -> pd.DataFrame:
    """The same without rows, for a study whose weights are not at hand."""
    columns = ["run", *REGULARISERS, "layer", "measure", "n_random", "n_neighbours", "lesion"]
    endings = ("", "_random", "_neighbours", "_above")
    return pd.DataFrame(columns=[*columns, *(f"{outcome}{ending}" for outcome in OUTCOMES for ending in endings)])


@dataclass(frozen=True)
class Matched:
    """Three losses over the same modules, so that they can be subtracted."""

    module: Effect
    neighbours: Effect
    random: Effect


@dataclass(frozen=True, eq=False)
class Lost:
    """Losses of modules and of their sets, and the answer, from some rows of `comparable`.

    Each number is of runs: a run counts with one, see `per_run`. What is asked of near neighbours is asked of the rows
    of `beside_neighbours`, and None unless every run has some.
    """

    rows: pd.DataFrame
    outcome: str = "accuracy"

    @cached_property
    def module(self) -> Effect:
        """What is lost with a module."""
        return _over_runs(self.rows, self.rows[self.outcome])

    @cached_property
    def random(self) -> Effect:
        """What is lost with its random sets."""
        return _over_runs(self.rows, self.rows[f"{self.outcome}_random"])

    @cached_property
    def excess(self) -> Effect:
        """Loss of a module minus that of its random sets."""
        return _over_runs(self.rows, self.rows[self.outcome] - self.rows[f"{self.outcome}_random"])

    @cached_property
    def beside(self) -> pd.DataFrame:
        """The rows of `beside_neighbours`."""
        return beside_neighbours(self.rows)

    @cached_property
    def matched(self) -> Matched | None:
        """What is lost with the modules that have near neighbours as alike, with these, and with random units."""
        if set(self.beside["run"]) != set(self.rows["run"]):
            return None
        endings = ("", "_neighbours", "_random")
        return Matched(*(_over_runs(self.beside, self.beside[f"{self.outcome}{ending}"]) for ending in endings))

    @cached_property
    def beyond(self) -> Effect | None:
        """Loss of a module minus that of its sets of near neighbours."""
        if self.matched is None:
            return None
        return _over_runs(self.beside, self.beside[self.outcome] - self.beside[f"{self.outcome}_neighbours"])

    @cached_property
    def seldom(self) -> Effect:
        """Share of modules that lose more than `SELDOM` of their random sets; by chance 1 - `SELDOM`."""
        return _over_runs(self.rows, (self.rows[f"{self.outcome}_above"] > SELDOM).astype(float))

    @property
    def answer(self) -> str:
        """What modules are, by the rule of `answer_of`."""
        return answer_of(self.excess, self.beyond)


def answer_of(excess: Effect, beyond: Effect | None) -> str:
    """Whether a network loses more without a module than without other units; of accuracy, units set to 0.

    * `NO_MORE`: the excess over random sets is not clear.
    * `AS_NEIGHBOURS`: it is, but the excess over sets of near neighbours that are as alike is not. Units that stand in
      for each other explain it, and modules are not seen to add anything to that.
    * `MORE`: both are clear. `UNTOLD`: the first is, and there is no second.

    Clear: the 95 % interval over runs lies above 0, and the mean is `CLEAR` or more.
    """
    if not _is_clear(excess):
        return NO_MORE
    if beyond is None:
        return UNTOLD
    return MORE if _is_clear(beyond) else AS_NEIGHBOURS


def _is_clear(effect: Effect) -> bool:
    return effect.is_above_zero and effect.mean >= CLEAR


def comparable(table: pd.DataFrame, *, lesion: str = "zero") -> pd.DataFrame:
    """Rows of one lesion, of the modules that have enough random sets."""
    return table[(table["lesion"] == lesion) & (table["n_random"] >= FEWEST_SETS)]


def beside_neighbours(rows: pd.DataFrame) -> pd.DataFrame:
    """Those of such rows whose sets of near neighbours are enough, and as alike in activity as the module itself.

    Sets that have to fit a module's outgoing weights may hold units that are less near. A module of near-copies then
    seems to be missed more than its neighbours, only because these are fewer copies: without this condition the rule
    said so of 6 in 10 made-up networks of copies (`lesion_trials`).
    """
    return rows[(rows["n_neighbours"] >= FEWEST_SETS) & (rows["alike_neighbours"] >= rows["alike"])]


def per_run(rows: pd.DataFrame, values: pd.Series) -> pd.Series:
    """One number per run: the mean over layers and measures of the mean over modules."""
    places = values.groupby([rows["run"], rows["layer"], rows["measure"]]).mean()
    return places.groupby("run").mean()


def _over_runs(rows: pd.DataFrame, values: pd.Series) -> Effect:
    return effect_over_runs(per_run(rows, values).to_numpy())


@dataclass(frozen=True)
class Families:
    """Downstream minus upstream modules, paired by run, each against its own random sets.

    excess: of the accuracy lost beyond random sets; above: of the share of random sets that lose less than the module.
    """

    excess: Effect
    above: Effect

    @property
    def answer(self) -> str:
        """The family whose modules predict better what is lost: by both numbers, with intervals on one side of 0."""
        both = (self.excess, self.above)
        if all(effect.is_above_zero for effect in both):
            return DOWNSTREAM
        return UPSTREAM if all(effect.bounds[1] < 0 for effect in both) else NEITHER


def families(rows: pd.DataFrame) -> Families | None:
    """Compare the families, from rows of `comparable`; None unless some run has modules of both."""
    excess, above = (
        _downstream_minus_upstream(rows, values)
        for values in (rows["accuracy"] - rows["accuracy_random"], rows["accuracy_above"])
    )
    return Families(effect_over_runs(excess), effect_over_runs(above)) if len(excess) else None


def _downstream_minus_upstream(rows: pd.DataFrame, values: pd.Series) -> np.ndarray:
    family = rows["measure"].map(FAMILY)
    down, up = (per_run(rows[family == name], values[family == name]) for name in (DOWNSTREAM, UPSTREAM))
    return np.asarray((down - up).dropna())


def pilot_table(table: pd.DataFrame) -> pd.DataFrame:
    """The `PILOT` beside all runs.

    Returns:
        a row per dropout and number: `dropout`, `quantity`, `pilot`, `mean`, `low`, `high`, `within`: whether the pilot
        lies in the 95 % interval.
    """
    rows = comparable(table)
    found = []
    for dropout, numbers in PILOT.items():
        some = rows[rows["dropout"] == dropout]
        if some.empty:
            continue
        accuracy, spread = Lost(some), Lost(some, "accuracy_spread")
        ours = {"module": accuracy.module, "random": accuracy.random, "seldom": accuracy.seldom}
        ours |= {"spread": spread.module, "spread_random": spread.random}
        for quantity, pilot in numbers.items():
            low, high = ours[quantity].bounds
            place = {"dropout": dropout, "quantity": quantity, "pilot": pilot, "mean": ours[quantity].mean}
            found.append({**place, "low": low, "high": high, "within": low <= pilot <= high})
    return pd.DataFrame(found)

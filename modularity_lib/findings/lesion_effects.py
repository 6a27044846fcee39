"""What the table of `lesions` says: losses over runs, whether modules matter, and which family's modules matter more.

The rule was written, and tried on made-up networks (`lesion_trials`), before the nine runs were measured.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from modularity_lib.findings.inference import Effect, effect_over_runs
from modularity_lib.findings.lesions import FEWEST_SETS
from modularity_lib.vocabulary import FAMILY

CLEAR = 0.01  # of accuracy: losses that differ by less are called the same
SELDOM = 0.95  # a module that loses more than this share of its random sets loses what few of them lose

# What modules are, by what is lost with them.
NO_MORE = "no more than random sets"
AS_NEIGHBOURS = "as near neighbours do"
MORE = "more than near neighbours"
# Whose modules predict better what is lost.
DOWNSTREAM, UPSTREAM, NEITHER = "downstream", "upstream", "neither"


@dataclass(frozen=True)
class Lost:
    """Losses of modules and of their sets, each a mean over runs, and the answer.

    module, random, neighbours: the losses; excess = module - random and beyond = module - neighbours, paired by module;
    seldom: share of modules that lose more than `SELDOM` of their random sets, 1 - `SELDOM` by chance. What is asked of
    near neighbours is asked of the modules that have enough sets of them, and None where there are none.
    """

    module: Effect
    random: Effect
    neighbours: Effect | None
    excess: Effect
    beyond: Effect | None
    seldom: Effect

    @property
    def answer(self) -> str:
        """What modules are, by the rule of `answer_of`."""
        return answer_of(self.excess, self.beyond)


def answer_of(excess: Effect, beyond: Effect | None) -> str:
    """Whether a network loses more without a module than without other units; of accuracy, units set to 0.

    * `NO_MORE`: the excess over random sets is not clear.
    * `AS_NEIGHBOURS`: it is, but the excess over sets of near neighbours is not. Units that stand in for each other
      explain it, and modules add nothing to that.
    * `MORE`: both are clear.

    Clear: the 95 % interval over runs lies above 0, and the mean is `CLEAR` or more.
    """
    if not _is_clear(excess):
        return NO_MORE
    return MORE if beyond is not None and _is_clear(beyond) else AS_NEIGHBOURS


def _is_clear(effect: Effect) -> bool:
    return effect.is_above_zero and effect.mean >= CLEAR


def comparable(table: pd.DataFrame, *, lesion: str = "zero") -> pd.DataFrame:
    """Rows of one lesion, of the modules that have enough random sets."""
    return table[(table["lesion"] == lesion) & (table["n_random"] >= FEWEST_SETS)]


def lost(rows: pd.DataFrame, outcome: str = "accuracy") -> Lost | None:
    """Losses over runs, from rows of `comparable`; None where there are none.

    A run counts with one number: the mean over its layers and measures, each of which is the mean over its modules.
    """
    if rows.empty:
        return None
    beside = rows[rows["n_neighbours"] >= FEWEST_SETS]
    module, random = rows[outcome], rows[f"{outcome}_random"]
    near = beside[f"{outcome}_neighbours"]
    return Lost(
        module=_over_runs(rows, module),
        random=_over_runs(rows, random),
        neighbours=_over_runs(beside, near) if len(beside) else None,
        excess=_over_runs(rows, module - random),
        beyond=_over_runs(beside, beside[outcome] - near) if len(beside) else None,
        seldom=_over_runs(rows, (rows[f"{outcome}_above"] > SELDOM).astype(float)),
    )


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

"""What an analysis finds: the modules of a layer by a measure, how sure they are, and how alike those of two are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modularity_lib.analysis.significance import ModuleTest
from modularity_lib.clustering.bound import PROVEN, ModularityBound
from modularity_lib.clustering.clusterings import Clustering, ConsensusModules


@dataclass(frozen=True, eq=False)
class LayerModules:
    """The modules of one layer by one measure, and how sure they are.

    Where all units are dead there are none; `bound` and `consensus` are None, and `tests` and `untested` are empty.
    """

    layer: str  # "activity" for a recording
    measure: str
    similarity: np.ndarray  # S, (units, units), with its diagonal; read-only
    modules: Clustering
    bound: ModularityBound | None  # on Q of all partitions
    consensus: ConsensusModules | None  # of many searches
    tests: tuple[ModuleTest, ...]  # of Q, one for each null that goes with the similarity
    untested: Mapping[str, str]  # {null: why it does not go with it}

    @property
    def shortfall(self) -> float:
        """What the best Q of all can be above that of the modules, at most; NaN where there are none."""
        return float("nan") if self.bound is None else max(0.0, self.bound.upper - self.modules.score)

    @property
    def is_proven(self) -> bool:
        """Whether no partition has a Q that is larger by more than 1e-7."""
        return self.shortfall <= PROVEN

    @property
    def dead_units(self) -> int:
        """How many units have no similarity to any other: they are in no module."""
        return int(np.count_nonzero(self.modules.labels == -1))

    @property
    def names(self) -> tuple[Any, ...]:
        """Name of each unit; its number where there are no names."""
        return tuple(range(len(self.modules.labels))) if self.modules.names is None else self.modules.names


@dataclass(frozen=True)
class MeasuresCompared:
    """How alike the modules of one layer are by two measures; see `alignment.scores`."""

    layer: str
    measure_a: str
    measure_b: str
    agreement: float  # element-centric similarity, in (0, 1]; NaN where a measure has no modules
    chance: float  # its mean over all ways to shuffle the units
    p: float  # of the permutation test, see `agreement_p_value`
    reason: str = ""  # why there are no numbers

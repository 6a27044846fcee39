"""The studies as data: which networks are trained, how, and how often. Each number of the grids lives here once."""

import math
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

from modularity_lib.arrays import real_number, shown, whole_number
from modularity_lib.images.sources import DATASETS
from modularity_lib.training.config import TrainingConfig
from modularity_lib.vocabulary import BASELINE, REGULARISERS, Protocol, Regularisation, Regulariser, did_you_mean

# Of the networks whose matrices the paper shows.
EXAMPLES = tuple(Regularisation(dropout=dropout) for dropout in (0.0, 0.1, 0.3, 0.5, 0.7))
# Networks of run 0 whose weights are shipped in full precision, by study. That of final-deep has layers whose units are
# all dead.
IN_FULL = {"v1": EXAMPLES, "final-deep": (Regularisation(l2=0.1),)}
FIRST_UNTRAINED_RUN = 1000  # untrained networks are runs of their own, so that none starts like a trained one
# Counts of a study: the least, and what could still be computed in a lifetime.
_COUNTS = (
    ("runs", 1, FIRST_UNTRAINED_RUN),
    ("untrained", 0, 10**6),
    ("search_steps", 1, 10**8),
    ("permutations", 1, 10**9),
)


@dataclass(frozen=True, kw_only=True)
class Study:
    """One experiment: a dataset, a network shape, a protocol, three sweeps of regularisation, and how many runs.

    In each sweep the other two regularisers stay at the baseline (L2 = 1e-5, L1 = 0, dropout = 0), which is a setting
    of its own and the left end of all three curves.

    Raises:
        ValueError: an unknown dataset, a count below its least, or a strength no network can have.
    """

    name: str
    dataset: str
    hidden: tuple[int, ...] = (64, 64)
    protocol: Protocol = "v1"
    epochs: int = 500
    l2: tuple[float, ...] = ()
    l1: tuple[float, ...] = ()
    dropout: tuple[float, ...] = ()
    runs: int
    untrained: int
    min_test_accuracy: float = 0.80  # networks below it are left out of every analysis, as in the paper
    largest_analysed_l1: float = math.inf  # networks above it are trained but left out, as in the paper
    search_steps: int = 5000  # Monte Carlo steps of one module search
    permutations: int = 5000  # relabellings behind one p-value of agreement

    def __post_init__(self) -> None:
        for name, of in (("hidden", "units"), *((name, "strengths") for name in REGULARISERS)):
            value = getattr(self, name)
            if not isinstance(value, tuple | list) or not all(isinstance(one, Real) for one in value):
                raise ValueError(
                    f"{name} must be a tuple of {of}, got {shown(value)}. A single one is written (0.3,), say."
                )
            object.__setattr__(self, name, tuple(value))  # a study is a key of dictionaries
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"name must be a text, got {shown(self.name)}.")
        if not isinstance(self.dataset, str) or self.dataset not in DATASETS:
            raise ValueError(f"dataset must be one of {', '.join(map(repr, DATASETS))}, got {shown(self.dataset)}.")
        for name, least, most in _COUNTS:
            object.__setattr__(self, name, whole_number(name, getattr(self, name), at_least=least, at_most=most))
        for name in ("min_test_accuracy", "largest_analysed_l1"):
            if math.isnan(real_number(getattr(self, name))):
                raise ValueError(f"{name} must be a number, got {shown(getattr(self, name))}.")
        self.trained_configs()  # refuses strengths, hidden layers, protocols and epochs that no network can have

    def settings(self) -> list[Regularisation]:
        """Every regularisation setting once: the baseline, then the sweeps of L2, L1 and dropout."""
        sweeps = [Regularisation(**{name: value}) for name in REGULARISERS for value in getattr(self, name)]
        return [BASELINE, *(setting for setting in sweeps if setting != BASELINE)]

    def trained_configs(self) -> list[TrainingConfig]:
        """Configuration of every trained network, run by run."""
        common = TrainingConfig(hidden=self.hidden, protocol=self.protocol, epochs=self.epochs)
        return [
            replace(common, run=run, **setting._asdict()) for run in range(self.runs) for setting in self.settings()
        ]

    def untrained_configs(self) -> list[TrainingConfig]:
        """Configuration of every untrained network: a fresh random initialisation, no training."""
        return [
            TrainingConfig(hidden=self.hidden, protocol=self.protocol, epochs=0, run=FIRST_UNTRAINED_RUN + index)
            for index in range(self.untrained)
        ]

    def is_analysed(self, config: TrainingConfig, test_accuracy: float) -> bool:
        """Whether a network that was trained without fault enters the analysis."""
        return config.epochs == 0 or (test_accuracy >= self.min_test_accuracy and config.l1 <= self.largest_analysed_l1)

    def strengths(self, regulariser: Regulariser) -> list[float]:
        """Strengths along one sweep, the left end of its curve first; the baseline is 1e-5 for L2, else 0."""
        return sorted({getattr(BASELINE, regulariser), *getattr(self, regulariser)})

    def percent_regularisation(self, regulariser: Regulariser, strength: float) -> float:
        """Position of a strength on the paper's common x axis, 0 to 1.

        Dropout is its own rate; for L1 and L2 it is where log(strength) lies between the logs of the weakest and the
        strongest strength of the sweep that is analysed. Strength 0 has no place on a logarithmic axis.

        >>> STUDIES["v1"].percent_regularisation("l2", 1e-3)
        0.5
        """
        if regulariser == "dropout":
            return strength
        limit = self.largest_analysed_l1 if regulariser == "l1" else math.inf
        strengths = [value for value in getattr(self, regulariser) if value <= limit]
        weakest, strongest = math.log(min(strengths)), math.log(max(strengths))
        return (math.log(strength) - weakest) / (strongest - weakest) if strongest > weakest else 0.0


def _log_spaced(exponent_from: int, exponent_to: int, per_decade: int) -> tuple[float, ...]:
    steps = (exponent_to - exponent_from) * per_decade
    return tuple(float(f"{10 ** (exponent_from + step / per_decade):.6g}") for step in range(steps + 1))


def _evenly_spaced(start: float, stop: float, step: float) -> tuple[float, ...]:
    return tuple(round(start + step * index, 10) for index in range(round((stop - start) / step) + 1))


_V1_GRID: dict[str, Any] = {
    "l2": _log_spaced(-5, -1, 2),
    "l1": _log_spaced(-5, -1, 2),
    "dropout": _evenly_spaced(0.05, 0.70, 0.05),
    "largest_analysed_l1": 1e-2,
}
_FINAL_GRID: dict[str, Any] = {
    "l2": _log_spaced(-5, -1, 1),
    "l1": _log_spaced(-5, -2, 1),
    "dropout": _evenly_spaced(0.1, 0.6, 0.1),
}

STUDIES = {
    study.name: study
    for study in (
        # Seconds: for the tests, and to see that an installation works. Too small to judge a claim.
        Study(
            name="smoke",
            dataset="mnist-5k",
            hidden=(16, 16),
            epochs=10,
            l2=(1e-5, 1e-3),
            l1=(1e-4,),
            dropout=(0.3,),
            runs=2,
            untrained=4,
            min_test_accuracy=0.5,
            search_steps=500,
            permutations=200,
        ),
        # Minutes on a laptop: the digits that the project ships, a coarser grid, fewer runs. The book computes it live.
        Study(
            name="quick",
            dataset="mnist-5k",
            epochs=150,
            l2=(1e-5, 1e-4, 1e-3, 1e-2, 3.16228e-2),
            l1=(1e-5, 1e-4, 1e-3, 3.16228e-3),
            dropout=(0.1, 0.2, 0.3, 0.5, 0.7),
            runs=3,
            untrained=30,
        ),
        # The experiment of arXiv:2203.11815v1: 32 settings x 9 runs, and 500 untrained networks.
        Study(name="v1", dataset="mnist", runs=9, untrained=500, **_V1_GRID),
        # Those of the published version. It has 3 runs of the last two, which can never be significant: here are 9.
        Study(name="final-base", dataset="mnist", protocol="final", runs=9, untrained=100, **_V1_GRID),
        Study(
            name="final-wide",
            dataset="mnist",
            hidden=(256, 256),
            protocol="final",
            runs=9,
            untrained=100,
            **_FINAL_GRID,
        ),
        Study(
            name="final-deep",
            dataset="mnist",
            hidden=(64, 64, 64, 64, 64),
            protocol="final",
            runs=9,
            untrained=100,
            **_FINAL_GRID,
        ),
    )
}


def setting_of(config: TrainingConfig) -> Regularisation:
    """How a network is regularised, as in `Study.settings`."""
    return Regularisation(config.l2, config.l1, config.dropout)


def study_named(name: str | Study) -> Study:
    """Look a study up by name; a `Study` comes back as it is.

    Raises:
        ValueError: no study has this name.
    """
    if isinstance(name, Study):
        return name
    if not isinstance(name, str) or name not in STUDIES:
        raise ValueError(
            f"study must be one of {', '.join(map(repr, STUDIES))}, got {shown(name)}.{did_you_mean(name, STUDIES)} "
            "A study of your own is a modularity_lib.Study(...), which every function here takes as well."
        )
    return STUDIES[name]

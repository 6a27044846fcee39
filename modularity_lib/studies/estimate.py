"""About how long the networks of a study take on one core: for progress bars and for the time a run has left."""

from itertools import pairwise
from statistics import median
from typing import NamedTuple

from modularity_lib.images.sources import DATASETS
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import Study
from modularity_lib.training.config import TrainingConfig

_PIXELS, _CLASSES = 784, 10
_NON_ZERO_PIXELS = 0.2  # share of an image of a digit; the others cost nothing
_MULTIPLICATIONS_PER_SECOND = 2e10  # in training
_UNITS_PER_SECOND = 200.0  # in analysis, in a layer of 64 units


class Cost(NamedTuple):
    """Seconds on one core; all networks of a study have one shape."""

    epoch: float  # of one network
    analysis: float  # of one network

    def of(self, config: TrainingConfig) -> float:
        """Seconds of one network, if it trains for as many epochs as it may."""
        return config.epochs * self.epoch + self.analysis


def expected_cost(study: Study) -> Cost:
    """A guess from the shape of the networks, right within a factor of about two."""
    first, *others = (fan_in * fan_out for fan_in, fan_out in pairwise((_PIXELS, *study.hidden, _CLASSES)))
    multiplications = 2 * _NON_ZERO_PIXELS * first + 3 * sum(others)  # the pixels need no gradient
    images = 0.9 * DATASETS[study.dataset].n_train_images
    analysis = sum(units * max(1.0, units / 64) for units in study.hidden) / _UNITS_PER_SECOND
    return Cost(images * multiplications / _MULTIPLICATIONS_PER_SECOND, analysis)


def duration(seconds: float) -> str:
    """A time in seconds, minutes or hours, to about two digits.

    >>> duration(40.2), duration(1200), duration(7200)
    ('40 s', '20 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def cost_seen(archive: Archive) -> Cost:
    """Medians over the networks of the study that are in the store; as expected where there are none."""
    epoch, analysis = [], []
    for config in archive.configs:
        keys = archive.keys(config).of
        made = [archive.store.describe(stage, key).get("provenance", {}) for stage, key in keys.items()]
        training, *measuring = (provenance.get("seconds") for provenance in made)
        if config.epochs and training is not None and "device" not in made[0]:  # a GPU says nothing about cores
            epoch.append(training / config.epochs)
        if None not in measuring:
            analysis.append(sum(measuring))
    expected = expected_cost(archive.study)
    return Cost(median(epoch or [expected.epoch]), median(analysis or [expected.analysis]))

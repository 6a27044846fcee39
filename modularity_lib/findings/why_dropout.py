"""Why does dropout make modules? Rules that turn the tables of three findings into answers.

The tables are those of `near_copies`, `linear_control` and `training_course`. `made_up_layers` says how often the rules
err where the truth is known.
"""

from collections.abc import Sequence

import numpy as np

from modularity_lib.findings.inference import Effect, effect_over_runs

COPIES_CLEAR = 0.05  # share of units: a rise of the twins beyond it counts
MOST_OF_IT = 1 / 2  # of the rise of the twins
Q_CLEAR = 0.02  # of Q, as for the common mode
ENOUGH = 0.9  # of the accuracy above guessing: what keeps so much keeps what a layer says
AS_MUCH = 0.05  # accuracies that differ by less are as good as each other
MOVES = 0.05  # share of the range of a quantity that it must change by in training to have a half-time
GUESSING = 0.1  # accuracy with ten classes

COPIES, BOTH, DIMENSIONS = "near-copies", "near-copies and fewer dimensions", "fewer dimensions"
NO_COPIES = "no more twins"
ONE, SEVERAL, UNDECIDED = "one signal", "more than one signal", "undecided"
BASIS, NO_BASIS = "a basis", "no basis"
BEFORE, AFTER, TOGETHER = "before", "after", "together"

# Means of runs 0 to 2 of v1, n = 3, without dropout and at 0.7, by layer: measured before there were nine runs. The
# accuracies of one signal are those of modules of the activity; contrasts are those of modules of the input gradient.
PILOT: dict[str, dict[int, tuple[float, float]]] = {
    "twin_correlation": {1: (0.45, 0.85), 2: (0.65, 0.96)},
    "twins": {1: (0.0, 0.42), 2: (0.0, 0.85)},
    "input_cosine": {1: (0.25, 0.68), 2: (0.55, 0.88)},
    "output_cosine": {1: (0.26, 0.85), 2: (0.62, 0.85)},
    "participation": {1: (19.9, 9.9), 2: (10.2, 5.4)},
    "input_contrast": {1: (0.03, 0.27), 2: (0.06, 0.49)},
    "output_contrast": {1: (0.07, 0.57), 2: (0.07, 0.31)},
    "one_signal": {1: (0.39, 0.78), 2: (0.60, 0.50)},
    "one_signal_random": {1: (0.30, 0.34), 2: (0.42, 0.18)},
}
LINEAR_PILOT = {  # one run: Q of the input covariance in layer 1 of linear networks without dropout and at 0.7
    "score": (0.109, 0.180),
    "rotated": (0.114, 0.117),
}


def is_clear(effect: Effect, least: float) -> bool:
    """Whether an effect is above 0 over runs and large enough to count."""
    return effect.is_above_zero and effect.mean >= least


def copies_answer(found: np.ndarray, rotated: np.ndarray) -> str:
    """Are there more near-copies, or is it that units use fewer dimensions?

    `NO_COPIES` where the share of twins does not rise by `COPIES_CLEAR`; of the others `DIMENSIONS` where it does not
    rise by as much beyond that of rotated units; of the others `COPIES` where that is `MOST_OF_IT`, else `BOTH`. What
    counts as a rise is above 0 over runs, too.

    Args:
        found: rise of the share of twins since no dropout, one number per run.
        rotated: the same of units turned at random before the ReLU.
    """
    if not is_clear(effect_over_runs(found), COPIES_CLEAR):
        return NO_COPIES
    if not is_clear(effect_over_runs(found - rotated), COPIES_CLEAR):
        return DIMENSIONS
    return COPIES if np.mean(found - rotated) >= MOST_OF_IT * np.mean(found) else BOTH


def signal_answer(kept: np.ndarray) -> str:
    """Does a module say one thing, as one unit copied would?

    `ONE` where the interval over runs of what one signal per module keeps lies at `ENOUGH` or above, `SEVERAL` where it
    lies below, else `UNDECIDED`.

    Args:
        kept: share of the accuracy above guessing that is kept, one number per run.
    """
    low, high = effect_over_runs(kept).bounds
    return ONE if low >= ENOUGH else SEVERAL if high < ENOUGH else UNDECIDED


def basis_answer(excess: np.ndarray) -> str:
    """Does dropout prefer some units to their mixtures? `BASIS` where Q rises `Q_CLEAR` or more beyond rotated units.

    Args:
        excess: rise of Q since no dropout minus that of the layer turned at random, one number per run.
    """
    return BASIS if is_clear(effect_over_runs(excess), Q_CLEAR) else NO_BASIS


def order_answer(ratios: np.ndarray) -> str:
    """Does one quantity come before the other in training?

    Args:
        ratios: log10 of the half-time of the first over that of the second, one number per run.
    Returns:
        `BEFORE` or `AFTER` where the interval over runs leaves out 0, else `TOGETHER`.
    """
    low, high = effect_over_runs(ratios).bounds
    return BEFORE if high < 0 else AFTER if low > 0 else TOGETHER


def half_time(epochs: Sequence[float], values: Sequence[float], *, least: float) -> float:
    """Epoch at which a quantity has first made half of the change that it makes in training.

    Between two snapshots it goes straight in log(1 + epoch).

    Args:
        epochs: of the snapshots, rising; the first is 0.
        values: of the quantity.
        least: change that counts.
    Returns:
        epochs; NaN where it changes by less, or not at all.

    >>> half_time([0, 9, 99], [0.0, 0.25, 1.0], least=0.1).__round__(2)
    20.54
    """
    course, places = np.asarray(values, dtype=float), np.log10(1.0 + np.asarray(epochs, dtype=float))
    change = course[-1] - course[0]
    if change == 0 or not abs(change) >= least:
        return float("nan")
    done = (course - course[0]) / change
    at = int(np.argmax(done >= 0.5))
    share = (0.5 - done[at - 1]) / (done[at] - done[at - 1])
    return float(10 ** (places[at - 1] + share * (places[at] - places[at - 1])) - 1.0)

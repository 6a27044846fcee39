"""How a network is trained, as plain data: the configuration, and the two protocols.

A protocol says when the learning rate falls, when training stops and which parameters are kept.
"v1" (arXiv version): constant learning rate, a fixed number of epochs, the parameters after the last one.
"final" (published version): the rate falls on a plateau of the validation loss, the parameters of its lowest are kept.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from modularity_lib.arrays import real_number, shown, whole_number
from modularity_lib.vocabulary import Protocol

PROTOCOLS = ("v1", "final")
FACTOR = 0.25  # of the learning rate
PATIENCE = 3  # epochs without improvement that the learning rate still waits for
STOP_AFTER = 6  # epochs above the lowest validation loss
# Defaults of torch.optim.lr_scheduler.ReduceLROnPlateau:
THRESHOLD = 1e-4  # an improvement lowers the loss by more than this share of it
LEAST_CUT = 1e-8  # the learning rate does not fall by less


@dataclass(frozen=True)
class Plateau:
    """How long the validation loss of a network has not fallen."""

    lowest_loss: float = math.inf
    epochs_since_lowest: int = 0
    improved_loss: float = math.inf  # at the last improvement by more than THRESHOLD
    bad_epochs: int = 0  # since then, or since the learning rate fell

    @property
    def stops(self) -> bool:
        """Whether training is over."""
        return self.epochs_since_lowest >= STOP_AFTER

    def after(self, loss: float, learning_rate: float) -> tuple["Plateau", float]:
        """State and learning rate after one more epoch, with the validation loss at its end.

        The rate falls in the epoch in which `bad_epochs` exceeds PATIENCE, as in torch's ReduceLROnPlateau.

        >>> plateau, rate = Plateau(lowest_loss=1.0, improved_loss=1.0, bad_epochs=3).after(2.0, 1e-3)
        >>> plateau.bad_epochs, plateau.epochs_since_lowest, rate
        (0, 1, 0.00025)
        """
        is_lowest = loss < self.lowest_loss
        improves = loss < self.improved_loss * (1 - THRESHOLD)
        bad_epochs = 0 if improves else self.bad_epochs + 1
        if bad_epochs > PATIENCE:
            bad_epochs = 0
            if learning_rate * (1 - FACTOR) > LEAST_CUT:
                learning_rate *= FACTOR
        after = Plateau(
            lowest_loss=loss if is_lowest else self.lowest_loss,
            epochs_since_lowest=0 if is_lowest else self.epochs_since_lowest + 1,
            improved_loss=loss if improves else self.improved_loss,
            bad_epochs=bad_epochs,
        )
        return after, learning_rate


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How one network is trained. Every field is a column of the results tables.

    Adam, with its default betas, minimises the mean over a batch of

        cross-entropy (in nats) + l1 sum |W| + l2 sum W^2,    the sums over all weight matrices, not the biases.

    Raises:
        ValueError: a field is out of its range.
    Source: Lange et al. (2022), Methods.

    >>> TrainingConfig(dropout=0.3, run=2).hidden
    (64, 64)
    """

    hidden: tuple[int, ...] = (64, 64)  # units of each hidden layer
    l2: float = 1e-5  # weight of the sum of squared weights in the loss
    l1: float = 0.0  # weight of the sum of absolute weights in the loss
    dropout: float = 0.0  # probability that a hidden unit is silenced in a training step, in [0, 1)
    run: int = 0  # seed of the split, the initial weights, the order of the batches and the dropout masks
    protocol: Protocol = "v1"  # "v1": constant learning rate, last network; "final": it falls, network of lowest loss
    epochs: int = 500  # v1: number of epochs; final: the most; 0: the initial network
    batch_size: int = 200  # images
    learning_rate: float = 1e-3  # of Adam, at the start

    def __post_init__(self) -> None:
        # Plain numbers and a tuple: NumPy's own would make other keys of results.
        widths = listed(self.hidden) or []
        if not widths or not all(map(is_width, widths)):
            raise ValueError(
                f"hidden must give the number of units of at least one layer, got {shown(self.hidden)}. The paper's is "
                "(64, 64)."
            )
        object.__setattr__(self, "hidden", tuple(map(int, widths)))
        object.__setattr__(self, "dropout", checked_dropout(self.dropout))
        for name in ("l1", "l2"):
            value = _number(name, getattr(self, name), "a finite number >= 0")
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(
                    f"{name} must be a finite number >= 0, got {value!r}. It is the weight of a penalty in the loss, 0 "
                    "for none; the paper uses 1e-5 to 1e-1."
                )
            object.__setattr__(self, name, value)
        rate = _number("learning_rate", self.learning_rate, "a finite number > 0")
        if not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"learning_rate must be a finite number > 0, got {rate!r}. Try 1e-3.")
        object.__setattr__(self, "learning_rate", rate)
        for name, least, most in _COUNTS:
            object.__setattr__(self, name, whole_number(name, getattr(self, name), at_least=least, at_most=most))
        if not isinstance(self.protocol, str) or self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol must be one of {', '.join(map(repr, PROTOCOLS))}, got {shown(self.protocol)}.")


# Counts of a training: the least, and what the tables and the compiled loops can hold.
_COUNTS = (("run", 0, 2**63 - 1), ("epochs", 0, 10**9), ("batch_size", 1, 10**9))
MOST_WEIGHTS = 2**32  # of a network: 16 GB, and Adam needs three times as much


def checked_dropout(dropout: object) -> float:
    """Dropout as a float; ValueError unless it is a probability below 1."""
    value = _number("dropout", dropout, "a probability in [0, 1)")
    if not 0.0 <= value < 1.0:
        raise ValueError(
            f"dropout must be a probability in [0, 1), got {value!r}. It is the share of hidden units silenced in "
            "each training step, not a percentage; the paper uses 0.05 to 0.70."
        )
    return value


def listed(value: object) -> list[Any] | None:
    """What a value holds, one after the other; None for a single thing, for text, and where there is no order."""
    if isinstance(value, str | bytes | dict | set):
        return None
    try:
        return list(value)  # type: ignore[call-overload]
    except TypeError:
        return None


def is_width(units: object) -> bool:
    """Whether this can be the number of units of a layer."""
    is_whole = isinstance(units, int | np.integer) and not isinstance(units, bool)
    return is_whole and bool(1 <= units <= MOST_WEIGHTS)  # type: ignore[operator]


def _number(name: str, value: object, expected: str) -> float:
    number = real_number(value)
    if math.isnan(number) and not isinstance(value, float):  # NaN itself is out of range, which is said elsewhere
        raise ValueError(f"{name} must be {expected}, got {shown(value)}.")
    return value if type(value) is int else number  # an int stays one, as it is in the keys

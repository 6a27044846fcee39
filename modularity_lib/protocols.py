"""The two training protocols: when the learning rate falls, when training stops, which parameters are kept.

"v1" (arXiv version): constant learning rate, a fixed number of epochs, the parameters after the last one.
"final" (published version): what follows here.
"""

import math
from dataclasses import dataclass

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

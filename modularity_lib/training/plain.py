"""Training of one network in plain PyTorch, as one would write it first: what the paper's networks are. Start here.

`training.py` trains the networks of a run side by side, in machine code and several times as fast; its tests hold it to
this loop, step by step and epoch by epoch.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from modularity_lib.images.dataset import Dataset, train_validation_split
from modularity_lib.training.config import FACTOR, PATIENCE, STOP_AFTER, TrainingConfig
from modularity_lib.training.layout import dropout_mask
from modularity_lib.training.networks import Parameters, initial_parameters
from modularity_lib.training.subnormal import subnormals_as_zero
from modularity_lib.training.training import BATCH_ORDER_STREAM, TrainedNetwork, mask_key_of


@dataclass(frozen=True)
class Epoch:
    """The network at the end of an epoch."""

    parameters: Parameters
    validation_loss: float  # mean cross-entropy in nats, without penalties and without dropout
    learning_rate: float  # of the epoch that comes next


def train_plain(
    config: TrainingConfig,
    dataset: Dataset,
    *,
    rectified: bool = True,
    after_epoch: Callable[[Epoch], object] | None = None,
) -> TrainedNetwork:
    """Train one network by either protocol, as `training.train` does up to rounding.

    The order of the batches and the dropout masks are drawn as there, so that the two can be compared step by step.

    Args:
        config: which network, and how it is trained.
        dataset: images; a tenth of the training images is set aside for validation.
        rectified: whether hidden units have a ReLU, as all networks of the studies; otherwise they are linear.
        after_epoch: called at the end of each epoch.
    Returns:
        The network of the last epoch (protocol "v1") or of the lowest validation loss ("final").
    Source: Lange et al. (2022), Methods.
    """
    network = PlainNetwork(config, dataset, rectified=rectified)
    optimiser = torch.optim.Adam([*network.weights, *network.biases], lr=config.learning_rate)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=FACTOR, patience=PATIENCE)
    train_index, validation_index = train_validation_split(len(dataset.train_labels), seed=config.run)
    images, labels = dataset.train_images[train_index], dataset.train_labels[train_index]
    unseen, unseen_labels = dataset.train_images[validation_index], dataset.train_labels[validation_index]
    kept, losses, step, reason = network.parameters(), [], 0, ""
    for epoch in range(config.epochs):
        order = np.random.default_rng([config.run, BATCH_ORDER_STREAM, epoch]).permutation(len(labels))
        for first in range(0, len(order), config.batch_size):
            batch = order[first : first + config.batch_size]
            step += 1
            optimiser.zero_grad()
            with subnormals_as_zero():
                network.loss(images[batch], labels[batch], step).backward()
            optimiser.step()
        losses.append(network.validation_loss(unseen, unseen_labels))
        moments = [state[name] for state in optimiser.state.values() for name in ("exp_avg", "exp_avg_sq")]
        if not all(bool(torch.isfinite(tensor).all()) for tensor in (*network.weights, *network.biases, *moments)):
            reason = f"weights or moments of Adam were not finite after epoch {epoch + 1}"
            break
        if config.protocol == "final":
            scheduler.step(losses[-1])
        if config.protocol == "v1" or losses[-1] < min(losses[:-1], default=math.inf):
            kept = network.parameters()
        if after_epoch is not None:
            after_epoch(Epoch(network.parameters(), losses[-1], optimiser.param_groups[0]["lr"]))
        if config.protocol == "final" and epoch - int(np.argmin(losses)) >= STOP_AFTER:
            break
    n_epochs = len(losses)
    network.set_parameters(kept)
    loss = network.validation_loss(unseen, unseen_labels)
    return TrainedNetwork(config, kept, n_epochs, loss, "diverged" if reason else "ok", reason)


class PlainNetwork:
    """A perceptron with ReLU, then dropout, after each hidden layer: weights and biases as tensors with gradients.

    rectified: whether it has the ReLU.
    """

    def __init__(self, config: TrainingConfig, dataset: Dataset, *, rectified: bool = True) -> None:
        n_classes = int(max(dataset.train_labels.max(), dataset.test_labels.max())) + 1
        initial = initial_parameters((dataset.train_images.shape[1], *config.hidden, n_classes), seed=config.run)
        self.config, self.rectified = config, rectified
        self.set_parameters(initial)

    def logits(self, images: np.ndarray, step: int | None = None) -> torch.Tensor:
        """Logits, shape (images, classes), with the dropout masks of a training step if one is given."""
        activity = torch.tensor(images)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            activity = activity @ weight.T + bias
            if layer < len(self.weights) - 1:
                activity = torch.relu(activity) if self.rectified else activity
                if step is not None:
                    activity = activity * self._mask(step, layer, len(images), len(bias))
        return activity

    def _mask(self, step: int, layer: int, n_images: int, n_units: int) -> torch.Tensor:
        key, dropout = mask_key_of(self.config), self.config.dropout
        mask = dropout_mask(key, step=step, layer=layer, n_images=n_images, n_units=n_units, dropout=dropout)
        return torch.tensor(mask)

    def loss(self, images: np.ndarray, labels: np.ndarray, step: int) -> torch.Tensor:
        """Training loss of a batch: mean cross-entropy + l1 sum |W| + l2 sum W^2."""
        loss = cross_entropy(self.logits(images, step), torch.tensor(labels))
        for weight in self.weights:
            loss = loss + self.config.l1 * weight.abs().sum() + self.config.l2 * (weight**2).sum()
        return loss

    def validation_loss(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Mean cross-entropy in nats, without penalties and without dropout."""
        with torch.no_grad():
            return float(cross_entropy(self.logits(images), torch.tensor(labels)))

    def set_parameters(self, parameters: Parameters) -> None:
        """Put copies of these weights and biases in place of the present ones."""
        self.weights = [torch.tensor(weight, requires_grad=True) for weight in parameters.weights]
        self.biases = [torch.tensor(bias, requires_grad=True) for bias in parameters.biases]

    def parameters(self) -> Parameters:
        """Copies of the weights and biases as they are now."""
        weights, biases = ([tensor.detach().numpy().copy() for tensor in part] for part in (self.weights, self.biases))
        return Parameters(tuple(weights), tuple(biases))

"""Slow, obvious second versions of training: one network, PyTorch's autograd and optimiser. They share no code with the
package except where the random numbers of a run come from (split, initial parameters, dropout masks).
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np
import torch

from modularity_lib.images.dataset import Dataset, train_validation_split
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.layout import dropout_mask
from modularity_lib.training.networks import initial_parameters
from modularity_lib.training.training import mask_key_of

MASK_64 = 2**64 - 1


def made_up_dataset(n_images: int = 500, *, n_pixels: int = 40, n_classes: int = 4, seed: int = 0) -> Dataset:
    """Blurred prototypes of a few classes with noise; about half of the pixels are 0, as in images of digits."""
    random = np.random.default_rng(seed)
    prototypes = random.random((n_classes, n_pixels))

    def draw(n: int) -> tuple[np.ndarray, np.ndarray]:
        labels = random.integers(0, n_classes, n)
        images = prototypes[labels] + 0.5 * random.standard_normal((n, n_pixels)) - 0.5
        return np.clip(images, 0, 1).astype(np.float32), labels

    images, labels = draw(n_images)
    images[:, 3] = 0  # a pixel that is never on, like the corners of a digit
    return Dataset("made-up", images, labels, *draw(100), sha256=hashlib.sha256(images.tobytes()).hexdigest())


@dataclass
class PlainTraining:
    """What a plain loop saw: after each epoch, the parameters, the validation loss, and the next learning rate."""

    weights: list[list[np.ndarray]] = field(default_factory=list)
    biases: list[list[np.ndarray]] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    learning_rates: list[float] = field(default_factory=list)


class PlainNetwork:
    """Weights and biases as tensors with gradients."""

    def __init__(self, config: TrainingConfig, dataset: Dataset) -> None:
        n_classes = len(np.unique(dataset.train_labels))
        initial = initial_parameters((dataset.train_images.shape[1], *config.hidden, n_classes), seed=config.run)
        self.config = config
        self.weights = [torch.tensor(weight, requires_grad=True) for weight in initial.weights]
        self.biases = [torch.tensor(bias, requires_grad=True) for bias in initial.biases]

    def logits(self, images: np.ndarray, step: int | None = None) -> torch.Tensor:
        """Logits; with the dropout masks of a training step if one is given."""
        activity = torch.tensor(images)
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            activity = activity @ weight.T + bias
            if layer < len(self.weights) - 1:
                activity = torch.relu(activity)
                if step is not None:
                    activity = activity * torch.tensor(
                        dropout_mask(
                            mask_key_of(self.config),
                            step=step,
                            layer=layer,
                            n_images=len(images),
                            n_units=len(bias),
                            dropout=self.config.dropout,
                        )
                    )
        return activity

    def loss(self, images: np.ndarray, labels: np.ndarray, step: int) -> torch.Tensor:
        """Training loss of a batch: mean cross-entropy and both penalties."""
        loss = torch.nn.functional.cross_entropy(self.logits(images, step), torch.tensor(labels))
        for weight in self.weights:
            loss = loss + self.config.l1 * weight.abs().sum() + self.config.l2 * (weight**2).sum()
        return loss

    def validation_loss(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Mean cross-entropy without dropout."""
        with torch.no_grad():
            return float(torch.nn.functional.cross_entropy(self.logits(images), torch.tensor(labels)))


def plain_training(config: TrainingConfig, dataset: Dataset) -> PlainTraining:
    """Train one network as a textbook would, by either protocol."""
    network = PlainNetwork(config, dataset)
    optimiser = torch.optim.Adam([*network.weights, *network.biases], lr=config.learning_rate)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.25, patience=3)
    train_index, validation_index = train_validation_split(len(dataset.train_labels), seed=config.run)
    images, labels = dataset.train_images[train_index], dataset.train_labels[train_index]
    seen = PlainTraining()
    step = 0
    for epoch in range(config.epochs):
        order = np.random.default_rng([config.run, 2, epoch]).permutation(len(train_index))
        for first in range(0, len(order), config.batch_size):
            batch = order[first : first + config.batch_size]
            step += 1
            optimiser.zero_grad()
            network.loss(images[batch], labels[batch], step).backward()
            optimiser.step()
        loss = network.validation_loss(dataset.train_images[validation_index], dataset.train_labels[validation_index])
        if config.protocol == "final":
            scheduler.step(loss)
        seen.weights.append([weight.detach().numpy().copy() for weight in network.weights])
        seen.biases.append([bias.detach().numpy().copy() for bias in network.biases])
        seen.validation_losses.append(loss)
        seen.learning_rates.append(optimiser.param_groups[0]["lr"])
        if config.protocol == "final" and epoch - int(np.argmin(seen.validation_losses)) >= 6:
            break
    return seen


def torch_learning_rates(losses: list[float], learning_rate: float) -> list[float]:
    """Learning rate after each epoch with these losses, by torch's scheduler."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=learning_rate)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.25, patience=3)
    rates = []
    for loss in losses:
        optimiser.step()
        scheduler.step(loss)
        rates.append(optimiser.param_groups[0]["lr"])
    return rates


def torch_adam(
    parameters: np.ndarray, gradients: np.ndarray, *, l1: float, l2: float, n_weights: int, learning_rate: float
) -> np.ndarray:
    """Parameters after steps of torch's Adam with these gradients and penalties on the first `n_weights`."""
    weights = torch.tensor(parameters[:n_weights], requires_grad=True)
    biases = torch.tensor(parameters[n_weights:], requires_grad=True)
    optimiser = torch.optim.Adam([weights, biases], lr=learning_rate)
    for gradient in gradients:
        optimiser.zero_grad()
        loss = (weights * torch.tensor(gradient[:n_weights])).sum() + (
            biases * torch.tensor(gradient[n_weights:])
        ).sum()
        (loss + l1 * weights.abs().sum() + l2 * (weights**2).sum()).backward()
        optimiser.step()
    return np.concatenate([weights.detach().numpy(), biases.detach().numpy()])


def splitmix64(seed: int, index: int) -> int:
    """Output number `index` (from 1) of the generator splitmix64, in Python's integers."""
    bits = (seed + index * 0x9E3779B97F4A7C15) & MASK_64
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK_64
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK_64
    return bits ^ (bits >> 31)


def silenced(key: int, *, step: int, layer: int, image: int, unit: int, dropout: float) -> bool:
    """Whether a unit is silenced, by the definition: 16 bits of a number of nested generators, against the dropout."""
    row = splitmix64(splitmix64(key, step), layer * 2**32 + image)
    bits = splitmix64(row, unit // 4 + 1) >> (16 * (unit % 4)) & 0xFFFF
    return bits < round(dropout * 65536)


def nuclear_norm(matrix: np.ndarray) -> float:
    """Sum of singular values, as the trace of the square root of W^T W, from its eigenvalues."""
    values = np.linalg.eigvalsh(matrix.astype(np.float64).T @ matrix.astype(np.float64))
    return float(np.sqrt(np.clip(values, 0, None)).sum())

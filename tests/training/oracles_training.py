"""Slow, obvious second versions of parts of training; a whole training, in plain PyTorch, is `training/plain.py`."""

import hashlib

import numpy as np
import torch

from modularity_lib.images.dataset import Dataset

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

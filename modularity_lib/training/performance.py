"""What the paper reports of a network besides its modules: accuracy, and norms of the weights."""

from typing import Any

import numpy as np

from modularity_lib.images.dataset import Dataset, train_validation_split
from modularity_lib.training.networks import Parameters
from modularity_lib.training.subnormal import subnormals_as_zero
from modularity_lib.training.training import TrainedNetwork

SMALL_WEIGHT = 1e-3  # a weight nearer to 0 counts as 0 in the sparsity


def accuracy(parameters: Parameters, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of images whose largest logit is that of their label, in [0, 1]. Higher = better.

    Args:
        parameters: of the network.
        images: shape (images, pixels), float32, in [0, 1].
        labels: shape (images,), class of each image.
    """
    activity = images
    with subnormals_as_zero():
        for weight, bias in zip(parameters.weights[:-1], parameters.biases[:-1], strict=True):
            activity = np.maximum(activity @ weight.T + bias, 0)
        logits = activity @ parameters.weights[-1].T + parameters.biases[-1]
    return float(np.mean(logits.argmax(axis=1) == labels))


def weight_statistics(parameters: Parameters) -> dict[str, float]:
    """Norms of the weights over all weight matrices, biases left out.

    Returns:
        sum_abs_weights: sum |w|
        sum_squared_weights: sum w^2
        sparsity: share of weights with |w| < 1e-3, in [0, 1]
        nuclear_norm: sum over matrices of the sum of their singular values
    Source: Lange et al. (2022), figure of performance and norms.
    """
    matrices = [weight.astype(np.float64) for weight in parameters.weights]
    weights = np.concatenate([matrix.ravel() for matrix in matrices])
    return {
        "sum_abs_weights": float(np.sum(np.abs(weights))),
        "sum_squared_weights": float(np.sum(weights**2)),
        "sparsity": float(np.mean(np.abs(weights) < SMALL_WEIGHT)),
        "nuclear_norm": float(sum(np.linalg.svd(matrix, compute_uv=False).sum() for matrix in matrices)),
    }


def network_facts(trained: TrainedNetwork, dataset: Dataset) -> dict[str, Any]:
    """Facts of one network: status, accuracies as fractions, validation loss in nats, sums and norms of its weights.

    A network that diverged has status "diverged" and a reason, and None for what cannot be computed from it.
    """
    facts: dict[str, Any] = {"status": trained.status, "reason": trained.reason, "epochs": trained.epochs}
    if trained.status != "ok":
        missing = ("test_accuracy", "train_accuracy", "validation_loss", *_WEIGHT_STATISTICS)
        return {**facts, **dict.fromkeys(missing)}
    seen, _ = train_validation_split(len(dataset.train_labels), seed=trained.config.run)
    return {
        **facts,
        "test_accuracy": accuracy(trained.parameters, dataset.test_images, dataset.test_labels),
        "train_accuracy": accuracy(trained.parameters, dataset.train_images[seen], dataset.train_labels[seen]),
        "validation_loss": trained.validation_loss,
        **weight_statistics(trained.parameters),
    }


_WEIGHT_STATISTICS = ("sum_abs_weights", "sum_squared_weights", "sparsity", "nuclear_norm")

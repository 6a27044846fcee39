"""What one signal per module keeps: the accuracy of a network in which every module says only one thing."""

from typing import Protocol

import numpy as np

from modularity_lib.training.networks import Parameters

RANDOM_GROUPINGS = 5  # of each layer


class _Layer(Protocol):
    @property
    def activity(self) -> np.ndarray: ...

    @property
    def outgoing(self) -> np.ndarray: ...


def one_signal(activity: np.ndarray, gains: np.ndarray, labels: np.ndarray, *, rank: int = 1) -> np.ndarray:
    """Activity of a layer in which every module passes on one signal, or a few.

    The activity of a module is replaced by its mean and the `rank` first principal components of g_i (h_i - mean h_i),
    divided by g_i again: the best approximation of so many signals by what units pass on.

    Args:
        activity: h, shape (images, units).
        gains: g, how strongly each unit acts on the next layer, shape (units,), >= 0; a unit of gain 0 is left at its
            mean.
        labels: module of each unit, shape (units,).
        rank: number of signals of each module.
    Returns:
        shape (images, units).
    """
    means = activity.mean(axis=0)
    weighted = (activity - means) * gains
    kept = np.zeros_like(weighted)
    for label in np.unique(labels):
        units = labels == label
        part = weighted[:, units]
        _, directions = np.linalg.eigh(part.T @ part)
        first = directions[:, -rank:]
        kept[:, units] = part @ first @ first.T
    return np.asarray(means + np.divide(kept, gains, out=np.zeros_like(kept), where=gains > 0))


def accuracy_from(parameters: Parameters, layer: int, activity: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy when this activity stands in a hidden layer (from 1), and the rest of the network goes on from there."""
    last = len(parameters.weights) - 1
    for number in range(layer, last + 1):
        activity = activity @ parameters.weights[number].T.astype(np.float64) + parameters.biases[number]
        if number < last:
            activity = np.maximum(activity, 0.0)
    return float(np.mean(activity.argmax(axis=1) == labels))


def signal_accuracies(
    parameters: Parameters,
    number: int,
    layer: _Layer,
    live: np.ndarray,
    modules: np.ndarray,
    digits: np.ndarray,
    source: np.random.Generator,
) -> dict[str, float]:
    """Accuracies that are left when the live units of a layer say less than they do.

    Args:
        parameters: of the network.
        number: of the layer, from 1.
        layer: with all its units.
        live: which units are, shape (units,).
        modules: module of each unit, shape (units,).
        digits: label of each image.
        source: of the random groups.
    Returns:
        modules: how many there are; one_signal: accuracy with one signal per module; one_signal_random: the same for
        units put into groups of the same sizes at random, mean of `RANDOM_GROUPINGS`; same_rank: with as many signals
        for the whole layer as there are modules, whichever keep most.
    """
    groups = modules[live]
    gains = np.linalg.norm(layer.outgoing[live], axis=1)

    def kept(labels: np.ndarray, rank: int = 1) -> float:
        changed = layer.activity.copy()
        changed[:, live] = one_signal(layer.activity[:, live], gains, labels, rank=rank)
        return accuracy_from(parameters, number, changed, digits)

    count = len(np.unique(groups))
    shuffled = [kept(source.permutation(groups)) for _ in range(RANDOM_GROUPINGS)]
    return {
        "modules": count,
        "one_signal": kept(groups),
        "one_signal_random": float(np.mean(shuffled)),
        "same_rank": kept(np.zeros_like(groups), count),
    }

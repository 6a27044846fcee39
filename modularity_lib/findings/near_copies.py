"""Near-copies: how alike the live units of a layer are to their nearest neighbours, and what modules add to that.

Two units are near-copies where their activities are almost proportional up to a constant: r > `TWIN`. Units in a space
of few dimensions come near each other by chance, so the same is measured on units turned at random before the ReLU.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from modularity_lib.analysis.draws import random_rotation
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings.one_signal import signal_accuracies
from modularity_lib.findings.tables import AnalysedNetwork, Finding, Rows, is_of_dropout
from modularity_lib.studies.catalogue import setting_of
from modularity_lib.studies.measurement import measured_matrices
from modularity_lib.training.networks import Parameters, initial_parameters
from modularity_lib.training.performance import accuracy
from modularity_lib.vocabulary import BASELINE

TWIN = 0.9  # correlation above which a unit has a twin; fixed by the pilot
ROTATIONS = 3  # of each layer
ACTIVITY, WEIGHTS = "input_covariance_norm", "input_gradient_norm"  # whose modules are asked: one signal; like weights


class Layer(NamedTuple):
    """A hidden layer as some images see it, in float64; all units, or those that are live."""

    before: np.ndarray  # (images, units), before the ReLU
    activity: np.ndarray  # (images, units), after it
    incoming: np.ndarray  # weights (units, units of the layer below)
    outgoing: np.ndarray  # weights (units, units of the layer above)

    def of(self, units: np.ndarray) -> "Layer":
        """The same layer with these units alone."""
        return Layer(self.before[:, units], self.activity[:, units], self.incoming[units], self.outgoing[units])

    @property
    def live(self) -> np.ndarray:
        """Which units respond to some of the images, otherwise than to others."""
        return np.asarray(np.ptp(self.activity, axis=0) > 0)


def layers_of(parameters: Parameters, images: np.ndarray, *, rectified: bool = True) -> list[Layer]:
    """The hidden layers of a perceptron, input side first.

    Args:
        parameters: of the perceptron.
        images: shape (images, pixels).
        rectified: whether its units have a ReLU; otherwise they are linear.
    """
    weights = [weight.astype(np.float64) for weight in parameters.weights]
    layers, below = [], images.astype(np.float64)
    for weight, bias, above in zip(weights[:-1], parameters.biases[:-1], weights[1:], strict=True):
        before = below @ weight.T + bias
        below = np.maximum(before, 0.0) if rectified else before
        layers.append(Layer(before, below, weight, above.T))
    return layers


def cosines(vectors: np.ndarray) -> np.ndarray:
    """Cosines of every two rows; 0 for rows without length.

    >>> cosines(np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 0.0]])).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return np.asarray(directions @ directions.T)


def correlations(activity: np.ndarray) -> np.ndarray:
    """Correlations of every two units, shape (units, units); 0 for a unit whose activity never changes."""
    centred = activity - activity.mean(axis=0)
    return cosines(centred.T)


def nearest(likeness: np.ndarray) -> np.ndarray:
    """Of each unit, the other one that is most like it.

    >>> nearest(np.array([[1.0, 0.2, 0.9], [0.2, 1.0, 0.1], [0.9, 0.1, 1.0]])).tolist()
    [2, 0, 0]
    """
    others = likeness.copy()
    np.fill_diagonal(others, -np.inf)
    return np.asarray(others.argmax(axis=1))


def participation(likeness: np.ndarray) -> float:
    """Number of dimensions that units use: (sum l)² / sum l² of the eigenvalues l of their correlations, in [1, units].

    >>> participation(np.eye(3)), participation(np.ones((3, 3)))
    (3.0, 1.0)
    """
    return float(np.trace(likeness) ** 2 / np.square(likeness).sum())


def contrast(likeness: np.ndarray, labels: np.ndarray) -> float | None:
    """Mean over pairs of one module minus mean over pairs of two; None where there are no pairs of either kind.

    >>> contrast(np.array([[1.0, 0.8, 0.1], [0.8, 1.0, 0.3], [0.1, 0.3, 1.0]]), np.array([0, 0, 1])).__round__(12)
    0.6
    """
    one, two = np.triu_indices(len(labels), k=1)
    together, values = labels[one] == labels[two], likeness[one, two]
    if together.all() or not together.any():
        return None
    return float(values[together].mean() - values[~together].mean())


def twin_numbers(likeness: np.ndarray) -> tuple[float, float]:
    """Mean correlation of a unit with the unit most like it, and the share of units with a twin."""
    largest = likeness[np.arange(len(likeness)), nearest(likeness)]
    return float(largest.mean()), float((largest > TWIN).mean())


def _turned(layer: Layer, source: np.random.Generator) -> np.ndarray:
    """Activity of units turned before the ReLU by a random rotation."""
    return np.maximum(_turned_without_threshold(layer, source), 0.0)


def _turned_without_threshold(layer: Layer, source: np.random.Generator) -> np.ndarray:
    return np.asarray(layer.before @ random_rotation(layer.before.shape[1], source).T)


def _turned_at_same_rates(layer: Layer, source: np.random.Generator) -> np.ndarray:
    """The same with thresholds such that each turned unit fires on as many images as the unit in its place."""
    before = _turned_without_threshold(layer, source)
    silent = np.count_nonzero(layer.activity <= 0, axis=0)
    ordered = np.sort(before, axis=0)
    thresholds = ordered[np.maximum(silent - 1, 0), np.arange(before.shape[1])]
    return np.maximum(before - thresholds, 0.0)


def copy_numbers(layer: Layer, source: np.random.Generator, *, rectified: bool = True) -> dict[str, float]:
    """How near the units of a layer are to being copies of each other.

    Args:
        layer: two live units or more, and no other.
        source: of the rotations.
        rectified: whether its units have a ReLU.
    Returns:
        live_units: how many; twin_correlation: mean over units of the correlation of activity with the unit most
        correlated with it; twins: the share of units for which that is above `TWIN`; rotated_twin_correlation,
        rotated_twins: the same of units turned at random, Rz in place of z before the ReLU, with their thresholds or
        with such that units fire as often as before, whichever gives more: inputs and dimensions are as they were, and
        only the choice of units is chance; input_cosine: mean over units of the cosine of its
        incoming weights with those of the unit nearest in them; output_cosine: of the outgoing weights of that same
        pair; participation: number of dimensions of the activity.
    """
    likeness = correlations(layer.activity)
    correlation, share = twin_numbers(likeness)
    kinds = [_turned, _turned_at_same_rates] if rectified else [_turned_without_threshold]
    of_turned = [
        np.mean([twin_numbers(correlations(turned(layer, source))) for _ in range(ROTATIONS)], axis=0)
        for turned in kinds
    ]
    rotated_correlation, rotated_share = np.max(of_turned, axis=0)
    incoming, outgoing = cosines(layer.incoming), cosines(layer.outgoing)
    neighbour = nearest(incoming)
    every = np.arange(len(likeness))
    return {
        "live_units": len(likeness),
        "twin_correlation": correlation,
        "twins": share,
        "rotated_twin_correlation": float(rotated_correlation),
        "rotated_twins": float(rotated_share),
        "input_cosine": float(incoming[every, neighbour].mean()),
        "output_cosine": float(outgoing[every, neighbour].mean()),
        "participation": participation(likeness),
    }


def rows_of(network: AnalysedNetwork) -> Rows:
    """Rows of one network with dropout or without regularisation, on all test images.

    Returns:
        a row per hidden layer with `layer`, `trained`, the `copy_numbers`; input_contrast, output_contrast: `contrast`
        of the cosines of incoming and outgoing weights between modules of the input gradient (norm); and the
        `signal_accuracies` of modules of the input covariance (norm). Without regularisation as many rows again with
        `trained` False: of the same run before its training.
    """
    rows = _rows(network, network.parameters, network.labels, trained=True)
    if setting_of(network.config) == BASELINE:
        untrained = initial_parameters(network.parameters.sizes, seed=network.config.run)
        rows += _rows(network, untrained, labels_of_network(network, untrained, (ACTIVITY, WEIGHTS)), trained=False)
    return rows


def labels_of_network(
    network: AnalysedNetwork, parameters: Parameters, measures: Sequence[str]
) -> dict[tuple[int, str], np.ndarray]:
    """Modules of other parameters of a network, found as those of its study: by layer, from 1, and measure."""
    matrices = measured_matrices(parameters, network.dataset)
    seed, steps = network.config.run, network.study.search_steps
    return {
        (layer, measure): paper_modules(by_measure[measure], seed=seed, steps=steps).labels
        for layer, by_measure in enumerate(matrices.values(), start=1)
        for measure in measures
    }


def _rows(
    network: AnalysedNetwork, parameters: Parameters, labels: dict[tuple[int, str], np.ndarray], *, trained: bool
) -> Rows:
    images, digits = network.dataset.test_images, network.dataset.test_labels
    full = accuracy(parameters, images, digits)
    rows = []
    for number, layer in enumerate(layers_of(parameters, images), start=1):
        source = np.random.default_rng([network.config.run, number, int(trained)])
        of_activity, of_weights = labels[number, ACTIVITY], labels[number, WEIGHTS]
        live = layer.live & (of_activity >= 0) & (of_weights >= 0)
        if live.sum() < 2:
            continue
        of_live = layer.of(live)
        numbers = copy_numbers(of_live, source)
        rows.append(
            {
                "layer": number,
                "trained": trained,
                **numbers,
                "input_contrast": contrast(cosines(of_live.incoming), of_weights[live]),
                "output_contrast": contrast(cosines(of_live.outgoing), of_weights[live]),
                "accuracy": full,
                **signal_accuracies(parameters, number, layer, live, of_activity, digits, source),
            }
        )
    return rows


FINDING = Finding("near_copies", rows_of, is_wanted=is_of_dropout)

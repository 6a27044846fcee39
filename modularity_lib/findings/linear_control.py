"""Does dropout choose a basis without the ReLU? Networks of linear units, trained as the others but for fewer epochs.

A linear layer can be turned, x -> Rx with R' in the weights above, and the network computes the same. So whatever Q has
above that of turned layers is due to training that prefers some units to their mixtures.
"""

from dataclasses import replace
from functools import reduce

import numpy as np

from modularity_lib.analysis.draws import random_rotation
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings.near_copies import ROTATIONS, Layer, copy_numbers, correlations, cosines, layers_of
from modularity_lib.findings.tables import AnalysedNetwork, Finding, Rows
from modularity_lib.similarity.perceptron_measures import measure_of, perceptron_averages
from modularity_lib.training.networks import Parameters
from modularity_lib.training.plain import train_plain
from modularity_lib.training.training import train
from modularity_lib.vocabulary import BASELINE, Measure, Regularisation, quantity_of

EPOCHS = 15
STRENGTHS = (0.0, 0.7)  # of dropout; those that a study has
MEASURES_OF_INPUTS: tuple[Measure, ...] = ("input_covariance_norm", "input_gradient_norm")


def is_compared(setting: Regularisation) -> bool:
    """Whether networks of a setting are trained with linear units, too."""
    return setting._replace(dropout=0.0) == BASELINE and setting.dropout in STRENGTHS


def rows_of(network: AnalysedNetwork) -> Rows:
    """Train a network of `EPOCHS` epochs with linear units and one with ReLUs, and measure both on all test images.

    Both start from the same weights, and see the same batches and the same dropout.

    Returns:
        a row for each kind of unit, hidden layer and normalised upstream measure with `rectified`, `layer`, `measure`;
        `accuracy`; `score`, Q; `rotated`, Q of the layer turned at random before the ReLU, mean of `ROTATIONS`;
        `balance`, the `balance` of its weights; `penalty`, the `dropout_penalty`, and `rotated_penalty`; and
        `twin_correlation`, `twins`, `rotated_twins` as of `near_copies.copy_numbers`.
    """
    config = replace(network.config, protocol="v1", epochs=EPOCHS)
    [usual] = train([config], network.dataset)
    linear = train_plain(config, network.dataset, rectified=False)
    return [
        {"rectified": rectified, **row}
        for rectified, parameters in ((False, linear.parameters), (True, usual.parameters))
        for row in measured(network, parameters, rectified=rectified)
    ]


def measured(network: AnalysedNetwork, parameters: Parameters, *, rectified: bool) -> Rows:
    """Rows of `rows_of` for one kind of unit; parameters are those of the network after its training."""
    images = network.dataset.test_images
    exact = Parameters(
        weights=tuple(weight.astype(np.float64) for weight in parameters.weights),
        biases=tuple(bias.astype(np.float64) for bias in parameters.biases),
    )
    rows = []
    layers = layers_of(exact, images, rectified=rectified)
    logits = layers[-1].activity @ exact.weights[-1].T + exact.biases[-1]
    right = float(np.mean(logits.argmax(axis=1) == network.dataset.test_labels))
    for number, layer in enumerate(layers, start=1):
        source = np.random.default_rng([network.config.run, number, int(rectified)])
        live = np.flatnonzero(layer.live)
        numbers = copy_numbers(layer.of(live), source, rectified=rectified)
        rotations = [random_rotation(len(live), source) for _ in range(ROTATIONS)]
        turned = [with_layer_turned(exact, number, live, rotation) for rotation in rotations]
        layers_turned = [layers_of(other, images, rectified=rectified) for other in turned]
        shared = {
            "accuracy": right,
            "balance": balance(layer.of(live)),
            "penalty": dropout_penalty(layer),
            "rotated_penalty": float(np.mean([dropout_penalty(of[number - 1]) for of in layers_turned])),
            **{name: numbers[name] for name in ("twin_correlation", "twins", "rotated_twins")},
        }
        matrices = [similarities(number, of, images, rectified=rectified) for of in (exact, *turned)]
        for measure in MEASURES_OF_INPUTS:
            score, *of_turned = (_score(of[measure], network) for of in matrices)
            rows.append(
                {
                    "layer": number,
                    "measure": measure,
                    "score": score,
                    "rotated": float(np.mean(of_turned)),
                    **shared,
                }
            )
    return rows


def with_layer_turned(parameters: Parameters, layer: int, units: np.ndarray, rotation: np.ndarray) -> Parameters:
    """The network with some units of a hidden layer (from 1) turned before the ReLU, and the weights above turned back.

    Of linear units it computes the same.
    """
    weights, biases = ([array.copy() for array in part] for part in (parameters.weights, parameters.biases))
    weights[layer - 1][units] = rotation @ weights[layer - 1][units]
    biases[layer - 1][units] = rotation @ biases[layer - 1][units]
    weights[layer][:, units] = weights[layer][:, units] @ rotation.T
    return Parameters(tuple(weights), tuple(biases))


def similarities(layer: int, parameters: Parameters, images: np.ndarray, *, rectified: bool) -> dict[str, np.ndarray]:
    """Similarity matrices of a hidden layer, from 1, by measure of `MEASURES_OF_INPUTS`.

    The gradient of a linear unit is the same for all images: its row in the product of the weight matrices so far.
    """
    if rectified:
        name, quantities = f"hidden{layer}", {quantity_of(measure) for measure in MEASURES_OF_INPUTS}
        averages = perceptron_averages(parameters, images, {name: layer - 1}, quantities, None)[name]
        return {measure: measure_of(averages, measure, name) for measure in MEASURES_OF_INPUTS}
    activity = layers_of(parameters, images, rectified=False)[layer - 1].activity
    gradient = reduce(lambda below, weight: weight @ below, parameters.weights[:layer])
    return {"input_covariance_norm": np.abs(correlations(activity)), "input_gradient_norm": np.abs(cosines(gradient))}


def balance(layer: Layer) -> float:
    """Correlation, over pairs of units, of the cosines of incoming weights with those of outgoing ones; in [-1, 1].

    Weight decay pushes it towards 1: where incoming W and outgoing V are balanced, W W' = V V'.
    """
    pairs = np.triu_indices(len(layer.incoming), k=1)
    return float(np.corrcoef(cosines(layer.incoming)[pairs], cosines(layer.outgoing)[pairs])[0, 1])


def dropout_penalty(layer: Layer) -> float:
    """What dropout adds to the squared error of what a layer passes on, without its factor p / (1 - p).

    sum_i |v_i|² E h_i²,    v_i the outgoing weights of unit i, h_i its activity

    It depends on which units there are: a rotation of the layer changes it, though a linear network computes the same.

    Source: Srivastava et al. (2014), JMLR 15:1929, section 9.
    """
    return float((np.square(layer.outgoing).sum(axis=1) * np.square(layer.activity).mean(axis=0)).sum())


def _score(similarity: np.ndarray, network: AnalysedNetwork) -> float:
    score = paper_modules(similarity, seed=network.config.run, steps=network.study.search_steps).score
    return 0.0 if np.isnan(score) else score  # no two units are alike: no modules


FINDING = Finding("linear_control", rows_of, is_wanted=is_compared, trains=True)

"""The measures of ReLU perceptrons, in closed form: what all networks of the studies are measured by."""

from collections.abc import Collection, Mapping
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from modularity_lib.similarity import closed_form
from modularity_lib.similarity.covariance import Covariance, check_finite, similarity_of_average
from modularity_lib.similarity.losses import Root, cross_entropy_root
from modularity_lib.training.networks import Parameters
from modularity_lib.vocabulary import MEASURES, Measure, is_normalised, quantity_of

_CHUNK_BYTES = 8_000_000  # working memory for one chunk of inputs


def perceptron_matrices(parameters: Parameters, images: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """All measures of all hidden layers of a classifier, as `measures.similarity_matrices` gives them for an `MLP`.

    Args:
        parameters: of the perceptron; it is measured in float64.
        images: shape (images, pixels).
    """
    exact = Parameters(
        weights=tuple(weight.astype(np.float64) for weight in parameters.weights),
        biases=tuple(bias.astype(np.float64) for bias in parameters.biases),
    )
    index_of = {f"hidden{index + 1}": index for index in range(len(exact.sizes) - 2)}
    quantities = {quantity_of(name) for name in MEASURES}
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused by name
        averages = perceptron_averages(exact, images, index_of, quantities, cross_entropy_root)
        return {layer: {name: measure_of(averages[layer], name, layer) for name in MEASURES} for layer in index_of}


@threadpool_limits.wrap(limits=1, user_api="blas")  # many small products: threads only wait for each other
def perceptron_averages(
    parameters: Parameters,
    images: np.ndarray,
    index_of: Mapping[str, int],
    quantities: Collection[str],
    root: Root | None,
) -> dict[str, dict[str, np.ndarray]]:
    """The signed averages {layer: {quantity: S}} of a ReLU perceptron.

    Args:
        parameters: of the perceptron, in float64.
        images: its inputs, shape (inputs, pixels).
        index_of: {layer: index of that hidden layer, 0 = nearest the pixels}.
        quantities: which averages are wanted; output_hessian is there only where there is a `root` of the loss.
    """
    sums = {
        "input_gradient": closed_form.input_gradient_sums,
        "output_gradient": closed_form.output_gradient_sums,
    }
    if root is not None:
        sums["output_hessian"] = partial(closed_form.loss_hessian_sums, root=root)
    sums = {quantity: function for quantity, function in sums.items() if quantity in quantities}
    units = {layer: parameters.sizes[index + 1] for layer, index in index_of.items()}
    totals = {layer: {quantity: np.zeros((n, n)) for quantity in sums} for layer, n in units.items()}
    rounding = float(np.finfo(np.float64).eps)
    covariances = {layer: Covariance(rounding) for layer in index_of if "input_covariance" in quantities}

    sizes, classes = parameters.sizes, parameters.sizes[-1]
    floats_per_image = 2 * sum(sizes) + 3 * classes * max(sizes[1:]) + 4 * classes**2
    longest = max(1, _CHUNK_BYTES // (8 * floats_per_image))
    for start in range(0, len(images), longest):
        passed = closed_form.forward_pass(parameters, images[start : start + longest])
        if not np.isfinite(passed.logits).all():
            raise ValueError("the network's outputs are not all finite: did its training diverge?")
        for layer, covariance in covariances.items():
            covariance.add(passed.activities[index_of[layer]][:, np.newaxis], layer)
        for quantity, function in sums.items():
            matrices = function(passed, index_of.values())
            for layer, index in index_of.items():
                totals[layer][quantity] += matrices[index]

    averages = {layer: {name: total / len(images) for name, total in totals[layer].items()} for layer in index_of}
    for layer, covariance in covariances.items():
        averages[layer]["input_covariance"] = covariance.result()
    return averages


def measure_of(averages: Mapping[str, np.ndarray], name: Measure, layer: str) -> np.ndarray:
    """The named measure from the signed averages S of a layer."""
    signed = averages[quantity_of(name)]
    overflow = "activities" if name.startswith("input_covariance") else "derivatives"
    cause = f"{overflow} or their products overflow, or are not defined, as that of √ at 0; rescale weights or inputs"
    check_finite(signed, f"{quantity_of(name)} of layer {layer!r}", cause)
    similarity = similarity_of_average(signed, normalised=is_normalised(name))
    check_finite(similarity, f"{name} of layer {layer!r}", "S_ii of a unit is too small to divide by")
    return similarity

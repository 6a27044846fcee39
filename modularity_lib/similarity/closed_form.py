"""Averages of derivatives at the hidden layers of a ReLU perceptron, in closed form.

Each image is treated by itself, with dropout off. An `MLP` is piecewise linear: with the gates D_l = diag(h_l > 0) of
an image x, K = W_1 W_1ᵀ, logits y, p = softmax(y) and hidden layers 1..m,

    (∂h_l/∂x)(∂h_l/∂x)ᵀ = P_l        with  P_1 = D_1 K D_1,  P_l = D_l W_l P_{l-1} W_lᵀ D_l
    ∂y/∂h_l = J_l                    with  J_m = W_{m+1},  J_l = J_{l+1} D_{l+1} W_{l+1}
    ∂²L/∂h_l∂h_l = J_lᵀ C J_l        with  C = diag(p) - p pᵀ, for the cross-entropy L, whatever the label

almost everywhere. The pixels enter through K alone, so their number costs nothing per image.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numba
import numpy as np

from modularity_lib.similarity.losses import Root, cross_entropy_root
from modularity_lib.training.networks import Parameters


@dataclass(frozen=True)
class ForwardPass:
    """A chunk of images on its way through a ReLU perceptron, in the precision of its weights.

    `activities[l]` is the activity of hidden layer l + 1, shape (images, units); `logits` has shape (images, classes).
    """

    parameters: Parameters
    activities: tuple[np.ndarray, ...]
    logits: np.ndarray


def forward_pass(parameters: Parameters, images: np.ndarray) -> ForwardPass:
    """Activity of every hidden layer and the logits of images with shape (images, pixels).

    >>> chain = Parameters(weights=(np.array([[2.0]]), np.array([[3.0]])), biases=(np.array([-1.0]), np.array([0.5])))
    >>> passed = forward_pass(chain, np.array([[0.0], [1.0]]))
    >>> passed.activities[0].tolist(), passed.logits.tolist()
    ([[0.0], [1.0]], [[0.5], [3.5]])
    """
    activities = []
    before = np.asarray(images, dtype=parameters.weights[0].dtype)
    for weight, bias in zip(parameters.weights[:-1], parameters.biases[:-1], strict=True):
        before = np.maximum(before @ weight.T + bias, 0)
        activities.append(before)
    return ForwardPass(parameters, tuple(activities), before @ parameters.weights[-1].T + parameters.biases[-1])


def input_gradient_sums(passed: ForwardPass, layers: Collection[int]) -> dict[int, np.ndarray]:
    """Sum over a chunk of images of ⟨∂h_i/∂x, ∂h_j/∂x⟩, for each wanted hidden layer.

    Args:
        passed: the images, and the network.
        layers: indices of hidden layers, 0 = nearest the pixels.
    Returns:
        Per index a float64 array (units, units).
    """
    weights = passed.parameters.weights[: max(layers) + 1]
    first = weights[0].astype(np.float64)
    pixel_products = first @ first.T
    gates = [activity > 0 for activity in passed.activities[: len(weights)]]
    open_together = gates[0].astype(first.dtype)
    sums = [pixel_products * (open_together.T @ open_together)]
    if len(weights) > 1:
        sizes = np.array([len(weight) for weight in weights])
        totals = np.zeros(int((sizes[1:] ** 2).sum()))
        _add_gated_products(
            pixel_products.astype(weights[0].dtype),
            np.concatenate([weight.ravel() for weight in weights[1:]]),
            sizes,
            np.concatenate(gates, axis=1),
            totals,
        )
        parts = np.split(totals, np.cumsum(sizes[1:] ** 2)[:-1])
        sums += [part.reshape(size, size) for part, size in zip(parts, sizes[1:], strict=True)]
    return {index: sums[index] for index in layers}


@numba.njit(cache=True)
def _add_gated_products(pixel_products, weights, sizes, gates, totals):  # type: ignore[no-untyped-def]
    """Add P_2, P_3, ... of every image to totals. Weights, gates and totals hold one layer after the other, flat.

    On each image only the rows and columns of active units are multiplied; the others of P_l are zero.
    """
    widest = sizes.max()
    products = np.empty(widest * widest, weights.dtype)
    weight, half_way = np.empty_like(products), np.empty_like(products)
    before, after = np.empty(widest, np.int64), np.empty(widest, np.int64)
    for image in range(len(gates)):
        n_before = _active_units(gates[image, : sizes[0]], before)
        for i in range(n_before):
            for j in range(n_before):
                products[i * n_before + j] = pixel_products[before[i], before[j]]
        gate_at, weight_at, total_at = sizes[0], 0, 0
        for layer in range(1, len(sizes)):
            n_after = _active_units(gates[image, gate_at : gate_at + sizes[layer]], after)
            if n_before == 0 or n_after == 0:  # no gradient gets past a silent layer
                break
            for i in range(n_after):
                for j in range(n_before):
                    weight[i * n_before + j] = weights[weight_at + after[i] * sizes[layer - 1] + before[j]]
            w = weight[: n_after * n_before].reshape(n_after, n_before)
            wp = half_way[: n_after * n_before].reshape(n_after, n_before)
            np.dot(w, products[: n_before * n_before].reshape(n_before, n_before), wp)
            np.dot(wp, w.T, products[: n_after * n_after].reshape(n_after, n_after))
            for i in range(n_after):
                for j in range(n_after):
                    totals[total_at + after[i] * sizes[layer] + after[j]] += products[i * n_after + j]
            gate_at, weight_at = gate_at + sizes[layer], weight_at + sizes[layer] * sizes[layer - 1]
            total_at += sizes[layer] ** 2
            n_before, before, after = n_after, after, before


@numba.njit(cache=True)
def _active_units(gates, units):  # type: ignore[no-untyped-def]
    """Write the indices of the open gates to the front of units; return how many there are."""
    n_active = 0
    for unit in range(len(gates)):
        if gates[unit]:
            units[n_active] = unit
            n_active += 1
    return n_active


def output_gradient_sums(passed: ForwardPass, layers: Collection[int]) -> dict[int, np.ndarray]:
    """Sum over a chunk of images of ⟨∂y/∂h_i, ∂y/∂h_j⟩; arguments and result as in `input_gradient_sums`."""
    return _sums_of_squares(passed.parameters.weights[-1][np.newaxis], passed, layers)


def loss_hessian_sums(
    passed: ForwardPass, layers: Collection[int], *, root: Root = cross_entropy_root
) -> dict[int, np.ndarray]:
    """Sum over a chunk of images of ∂²L/∂h_i∂h_j; arguments and result as in `input_gradient_sums`.

    C = AᵀA, where A is the root of C that a loss has (see `losses`); that of the cross-entropy is diag(√p)(1 - 1pᵀ). So
    this is a sum of squares too, of A J_l where the gradients have J_l.
    """
    output = passed.parameters.weights[-1]
    factors = root(passed.logits)
    rows = (
        factors.astype(output.dtype).reshape(-1, len(output)) @ output
    )  # one large product: many small ones are slower
    return _sums_of_squares(rows.reshape(*factors.shape[:2], -1), passed, layers)


def _sums_of_squares(rows: np.ndarray, passed: ForwardPass, layers: Collection[int]) -> dict[int, np.ndarray]:
    """Carry rows of derivatives back from the last hidden layer; at each wanted layer sum their outer products.

    rows has shape (images, classes, units of the last hidden layer), or (1, classes, units) if all images share them.
    """
    n_images, last = len(passed.logits), len(passed.activities) - 1
    sums = {}
    for index in range(last, min(layers) - 1, -1):
        if index < last:
            gates, weight = passed.activities[index + 1] > 0, passed.parameters.weights[index + 1]
            gated = rows * gates[:, np.newaxis, :]
            rows = (gated.reshape(-1, len(weight)) @ weight).reshape(*gated.shape[:2], -1)
        if index in layers:
            flat = rows.reshape(-1, rows.shape[-1])
            sums[index] = (flat.T @ flat).astype(np.float64) * (n_images / len(rows))
    return sums

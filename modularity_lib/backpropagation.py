"""Compiled training of perceptrons: the gradient of the loss by backpropagation, and Adam.

Everything runs in one thread, in float32, image by image, with loops of our own instead of a library's matrix products.
Four of five pixels of a digit are 0, and so is half of the activity of the hidden units: `_add_rows` skips them, which
on digits takes less time than the full product (on images without zeros it takes twice as long). No other threads are
started, so processes side by side do not get in each other's way. And the result of a network does not depend, to the
last bit, on which others are trained beside it.

The parameters of a network are one flat vector, see `flat_networks`.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from modularity_lib.adam import adam_step
from modularity_lib.dropout import drop, row_key
from modularity_lib.flat_networks import Layout, Networks, aligned_zeros
from modularity_lib.sparse_images import SparseImages, SparsePixels, empty_pixels, sort_by_pixel

NETWORKS_PER_PASS = 4  # share the preparation of a batch; of more, too little stays in the processor's cache

# "contract" and "reassoc" let the compiler fuse and reorder sums, but NaN and infinity keep their meaning: they are how
# divergence shows. In numpy's error model a division is not checked for zero, which would keep loops from vectorising.
_COMPILED: dict[str, Any] = {"fastmath": {"contract", "reassoc"}, "error_model": "numpy", "cache": True}
_INLINED = {**_COMPILED, "forceinline": True}  # a call that passes a Workspace copies a hundred numbers


class Workspace(NamedTuple):
    """Memory of one training step of one network, written anew in each."""

    gradient: np.ndarray  # (layout.starts[-1],)
    transposed: np.ndarray  # as gradient: weights of all maps but the first, a row per output
    activity: np.ndarray  # (maps, widest), after ReLU and dropout; the logits are last
    delta: np.ndarray  # (maps, widest), derivative of the loss with respect to the output of each map
    first_delta: np.ndarray  # (batch * first width,), delta of the first map, image after image
    active: np.ndarray  # (maps, widest), uint32, which outputs of a map are not 0 ...
    active_values: np.ndarray  # ... and a number for each, its activity or its delta
    n_active: np.ndarray  # (maps,), int64
    by_pixel: SparsePixels


def workspace_of(layout: Layout, batch_size: int) -> Workspace:
    """Memory for the training steps of networks with this layout."""
    length = (int(layout.starts[-1]),)
    outputs = (len(layout.width), int(layout.width.max()))
    active = np.zeros(outputs, dtype=np.uint32)
    active[-1] = np.arange(outputs[1])  # every logit has a delta
    return Workspace(
        gradient=aligned_zeros(length),
        transposed=aligned_zeros(length),
        activity=aligned_zeros(outputs),
        delta=aligned_zeros(outputs),
        first_delta=aligned_zeros((batch_size * int(layout.width[0]),)),
        active=active,
        active_values=aligned_zeros(outputs),
        n_active=np.full(outputs[0], layout.sizes[-1]),
        by_pixel=empty_pixels(batch_size, int(layout.fan_in[0])),
    )


@njit(**_COMPILED)
def train_epoch(
    images: SparseImages,
    labels: np.ndarray,
    order: np.ndarray,
    batch_size: int,
    first_step: int,
    layout: Layout,
    networks: Networks,
    training: np.ndarray,
    workspace: Workspace,
) -> None:
    """Train networks for one epoch, in place.

    Args:
        images, labels: SparseImages and the class of each.
        order: images in the order of the epoch; a last batch that is not full is smaller.
        batch_size: images in a batch.
        first_step: training steps done before this epoch.
        layout, networks, workspace: Layout, Networks and Workspace.
        training: (networks,), bool; the others are left alone.
    """
    chosen = np.flatnonzero(training)
    for first_network in range(0, len(chosen), NETWORKS_PER_PASS):
        step = first_step
        for first in range(0, len(order), batch_size):
            batch = order[first : first + batch_size]
            step += 1
            sort_by_pixel(images, batch, workspace.by_pixel)
            for network in chosen[first_network : first_network + NETWORKS_PER_PASS]:
                loss_gradient(images, labels, batch, step, network, layout, networks, workspace)
                adam_step(step, network, layout, networks, workspace.gradient)


@njit(**_COMPILED)
def loss_gradient(
    images: SparseImages,
    labels: np.ndarray,
    batch: np.ndarray,
    step: int,
    network: int,
    layout: Layout,
    networks: Networks,
    workspace: Workspace,
) -> None:
    """Gradient of the mean cross-entropy of a batch, without the penalties; the batch is sorted by pixel before."""
    parameters, gradient = networks.parameters[network], workspace.gradient
    level, factor = networks.drop_levels[network], networks.drop_factors[network]
    first_weights = layout.fan_in[0] * layout.width[0]
    gradient[first_weights:] = 0
    _transpose(layout, parameters, workspace.transposed)
    for position in range(len(batch)):
        image = batch[position]
        _forward(
            images, image, layout, parameters, level, factor, networks.mask_keys[network], step, position, workspace
        )
        _logit_delta(labels[image], len(batch), layout, workspace)
        _backward(position, layout, factor, workspace)
    width = layout.width[0]
    by_pixel = workspace.by_pixel
    for pixel in range(layout.fan_in[0]):
        row = gradient[pixel * width : (pixel + 1) * width]
        for j in range(width):
            row[j] = 0
        first, last = by_pixel.starts[pixel], by_pixel.starts[pixel + 1]
        _add_rows(by_pixel.images, by_pixel.values, first, last, workspace.first_delta, row)


@njit(**_COMPILED)
def mean_cross_entropy(
    images: SparseImages, labels: np.ndarray, layout: Layout, parameters: np.ndarray, workspace: Workspace
) -> float:
    """Mean cross-entropy of one network, in nats, over all images: no penalties, no dropout."""
    total = 0.0
    for image in range(len(labels)):
        _forward(images, image, layout, parameters, np.uint32(0), np.float32(1), np.uint64(0), 0, 0, workspace)
        logits = workspace.activity[-1]
        top = _largest(logits, layout.sizes[-1])
        normaliser = 0.0
        for j in range(layout.sizes[-1]):
            normaliser += np.exp(logits[j] - top)
        total += np.log(normaliser) + top - logits[labels[image]]
    return total / len(labels)


@njit(**_COMPILED)
def _add_rows(
    indices: np.ndarray, values: np.ndarray, first: int, last: int, matrix: np.ndarray, out: np.ndarray
) -> None:
    """out += sum_k values[k] * row indices[k] of a flat matrix, for k from first to last."""
    # Unsigned, because numba would check whether a signed index counts from the end.
    width, at, end = np.uint64(len(out)), np.uint64(first), np.uint64(last)
    one, four = np.uint64(1), np.uint64(4)
    while at + four <= end:  # four rows for each time that `out` is read and written
        at1, at2, at3 = at + one, at + one + one, at + four - one
        row0, row1 = np.uint64(indices[at]) * width, np.uint64(indices[at1]) * width
        row2, row3 = np.uint64(indices[at2]) * width, np.uint64(indices[at3]) * width
        value0, value1, value2, value3 = values[at], values[at1], values[at2], values[at3]
        for j in range(width):
            out[j] += (
                value0 * matrix[row0 + j]
                + value1 * matrix[row1 + j]
                + value2 * matrix[row2 + j]
                + value3 * matrix[row3 + j]
            )
        at += four
    while at < end:
        row, value = np.uint64(indices[at]) * width, values[at]
        for j in range(width):
            out[j] += value * matrix[row + j]
        at += one


@njit(**_COMPILED)
def _add_to_rows(indices: np.ndarray, values: np.ndarray, n_rows: int, vector: np.ndarray, matrix: np.ndarray) -> None:
    """Row indices[k] of a flat matrix += values[k] * vector, for k below n_rows."""
    width = np.uint64(len(vector))
    for k in range(n_rows):
        row, value = np.uint64(indices[k]) * width, values[k]
        for j in range(width):
            matrix[row + j] += value * vector[j]


@njit(**_COMPILED)
def _transpose(layout: Layout, parameters: np.ndarray, transposed: np.ndarray) -> None:
    for layer in range(1, len(layout.width)):
        fan_in, width, start = layout.fan_in[layer], layout.width[layer], layout.starts[layer]
        for i in range(fan_in):
            for j in range(width):
                transposed[start + j * fan_in + i] = parameters[start + i * width + j]


@njit(**_INLINED)
def _forward(
    images: SparseImages,
    image: int,
    layout: Layout,
    parameters: np.ndarray,
    level: np.uint32,
    factor: np.float32,
    key: np.uint64,
    step: int,
    position: int,
    workspace: Workspace,
) -> None:
    """Activity of every layer for one image, and the list of the units of each that are not 0."""
    n_maps = len(layout.width)
    for layer in range(n_maps):
        width = layout.width[layer]
        block = parameters[layout.starts[layer] : layout.starts[layer + 1]]
        activity = workspace.activity[layer, :width]
        biases = block[layout.fan_in[layer] * width :]
        for j in range(width):
            activity[j] = biases[j]
        if layer == 0:
            _add_rows(images.pixels, images.values, images.starts[image], images.starts[image + 1], block, activity)
        else:
            active, values = workspace.active[layer - 1], workspace.active_values[layer - 1]
            _add_rows(active, values, 0, workspace.n_active[layer - 1], block, activity)
        if layer < n_maps - 1:
            for j in range(width):
                activity[j] = activity[j] if activity[j] > 0 else np.float32(0)
            if level > 0:
                drop(activity, level, factor, row_key(key, step, layer, position))
            workspace.n_active[layer] = _list_active(activity, workspace.active[layer], workspace.active_values[layer])


@njit(**_INLINED)
def _list_active(activity: np.ndarray, active: np.ndarray, values: np.ndarray) -> int:
    n_active = 0
    for j in range(len(activity)):  # no branch on the activity, which the processor could not predict
        active[n_active] = j
        values[n_active] = activity[j]
        n_active += activity[j] > 0
    return n_active


@njit(**_INLINED)
def _logit_delta(label: int, n_images: int, layout: Layout, workspace: Workspace) -> None:
    """Derivative of a batch's mean cross-entropy with respect to the logits: (softmax - one-hot label) / images."""
    logits, delta = workspace.activity[-1], workspace.delta[-1]
    top = _largest(logits, layout.sizes[-1])
    total = np.float32(0)
    for j in range(layout.sizes[-1]):
        delta[j] = np.exp(logits[j] - top)
        total += delta[j]
    share = np.float32(1) / np.float32(n_images)
    for j in range(layout.sizes[-1]):
        delta[j] *= share / total
    delta[label] -= share


@njit(**_INLINED)
def _largest(logits: np.ndarray, n_classes: int) -> np.float32:
    top = logits[0]
    for j in range(1, n_classes):
        top = max(top, logits[j])
    return top


@njit(**_INLINED)
def _backward(position: int, layout: Layout, factor: np.float32, workspace: Workspace) -> None:
    """Add one image's gradient of all parameters but the first weights, and note its delta of the first map."""
    for layer in range(len(layout.width) - 1, -1, -1):
        fan_in, width = layout.fan_in[layer], layout.width[layer]
        delta = workspace.delta[layer, :width]
        block = workspace.gradient[layout.starts[layer] : layout.starts[layer + 1]]
        bias = block[fan_in * width :]
        for j in range(width):
            bias[j] += delta[j]
        if layer == 0:
            for j in range(width):
                workspace.first_delta[position * width + j] = delta[j]
            return
        below = layer - 1
        active, values = workspace.active[below], workspace.active_values[below]
        _add_to_rows(active, values, workspace.n_active[below], delta, block)
        for k in range(workspace.n_active[layer]):
            workspace.active_values[layer, k] = delta[workspace.active[layer, k]]
        transposed = workspace.transposed[layout.starts[layer] : layout.starts[layer + 1]]
        delta_below, activity_below = workspace.delta[below, :fan_in], workspace.activity[below, :fan_in]
        for j in range(fan_in):
            delta_below[j] = 0
        active, values = workspace.active[layer], workspace.active_values[layer]
        _add_rows(active, values, 0, workspace.n_active[layer], transposed, delta_below)
        for j in range(fan_in):
            delta_below[j] = delta_below[j] * factor if activity_below[j] > 0 else np.float32(0)

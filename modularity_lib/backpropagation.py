"""Compiled training of perceptrons: the gradient of the loss by backpropagation, dropout masks, and Adam.

Everything runs in one thread, in float32, image by image, with loops of our own instead of a library's matrix products.
Four of five pixels of a digit are 0, and so is half of the activity of the hidden units: `_add_rows` skips them. A
whole step then takes little longer than its full matrix products alone (on images without zeros, twice to three times
as long). No other threads are started, so processes side by side do not get in each other's way. And the result of a
network does not depend, to the last bit, on which others are trained beside it.

All of it is in one file on purpose: numba keeps compiled functions on disk until the file that they are written in
changes, and would not notice a change of what they call, or of a record that they read, in another file.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

ADAM_BETAS = (0.9, 0.999)  # with ADAM_EPSILON the defaults of torch.optim.Adam
ADAM_EPSILON = 1e-8
DROP_LEVELS = 1 << 16  # a random number that decides on one unit has 16 bits
NETWORKS_PER_PASS = 4  # share the preparation of a batch; of more, too little stays in the processor's cache
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: the step of the counter of splitmix64

# "contract" and "reassoc" let the compiler fuse and reorder sums, but NaN and infinity keep their meaning: they are how
# divergence shows. In numpy's error model a division is not checked for zero, which would keep loops from vectorising.
_COMPILED: dict[str, Any] = {"fastmath": {"contract", "reassoc"}, "error_model": "numpy", "cache": True}
_INLINED = {**_COMPILED, "forceinline": True}  # a call that passes a Workspace copies a hundred numbers


class SparseImages(NamedTuple):
    """Non-zero pixels, image by image: those of image i are at starts[i] to starts[i + 1]."""

    starts: np.ndarray  # (images + 1,), int64
    pixels: np.ndarray  # (non-zero pixels,), uint32, which pixel of its image
    values: np.ndarray  # (non-zero pixels,), float32


class SparsePixels(NamedTuple):
    """Non-zero pixels of a batch, pixel by pixel: those of pixel p are at starts[p] to starts[p + 1]."""

    starts: np.ndarray  # (pixels + 1,), int64
    images: np.ndarray  # (images * pixels,), uint32, which image of the batch
    values: np.ndarray  # (images * pixels,), float32


class Layout(NamedTuple):
    """Where the linear maps of a network lie in its flat vector. All int64."""

    sizes: np.ndarray  # (maps + 1,), width of every layer from the pixels to the logits
    fan_in: np.ndarray  # (maps,), rows of weights, padding included
    width: np.ndarray  # (maps,), numbers in a row, padding included
    starts: np.ndarray  # (maps + 1,), where each map starts; the last is the length of the vector


class Networks(NamedTuple):
    """Networks of one run: parameters, state of Adam, and regularisation. First axis of every array: networks."""

    parameters: np.ndarray  # (networks, layout.starts[-1]), float32, as the moments
    first_moments: np.ndarray
    second_moments: np.ndarray
    learning_rates: np.ndarray  # (networks,), float64
    l1: np.ndarray  # (networks,), float32, weight of the sum of absolute weights in the loss
    l2: np.ndarray  # (networks,), float32, weight of the sum of squared weights in the loss
    drop_levels: np.ndarray  # (networks,), uint32, see dropout.drop_arguments
    drop_factors: np.ndarray  # (networks,), float32
    mask_keys: np.ndarray  # (networks,), uint64, see dropout.mask_key


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
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    while at + four <= end:  # four rows for each time that `out` is read and written
        at1, at2, at3 = at + one, at + two, at + three
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
                _drop(activity, level, factor, _row_key(key, step, layer, position))
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


@njit(**_COMPILED)
def sort_by_pixel(images: SparseImages, batch: np.ndarray, by_pixel: SparsePixels) -> None:
    """List the non-zero pixels of a batch pixel by pixel, in place (a counting sort)."""
    starts = by_pixel.starts
    starts[:] = 0
    for image in batch:
        for at in range(images.starts[image], images.starts[image + 1]):
            starts[images.pixels[at] + 1] += 1
    for pixel in range(len(starts) - 1):
        starts[pixel + 1] += starts[pixel]
    for position in range(len(batch)):
        image = batch[position]
        for at in range(images.starts[image], images.starts[image + 1]):
            pixel = images.pixels[at]
            to = starts[pixel]
            by_pixel.images[to] = position
            by_pixel.values[to] = images.values[at]
            starts[pixel] = to + 1
    for pixel in range(len(starts) - 1, 0, -1):  # each start has moved on to the next one's place
        starts[pixel] = starts[pixel - 1]
    starts[0] = 0


@njit(**_COMPILED)
def _row_key(key: np.uint64, step: int, layer: int, image: int) -> np.uint64:
    """Key of the masks of one layer for one image in one training step."""
    return _mix(_mix(key + np.uint64(step) * _GOLDEN) + np.uint64((layer << 32) + image) * _GOLDEN)


@njit(**_COMPILED)
def _drop(activity: np.ndarray, level: np.uint32, factor: np.float32, key: np.uint64) -> None:
    """Apply one row of a mask to the activity of a layer, in place. One number of 64 bits serves four units."""
    n_units = len(activity)
    for quad in range((n_units + 3) // 4):
        bits = _mix(key + np.uint64(quad + 1) * _GOLDEN)
        for part in range(min(4, n_units - 4 * quad)):
            random = np.uint32((bits >> np.uint64(16 * part)) & np.uint64(DROP_LEVELS - 1))
            unit = 4 * quad + part
            activity[unit] = activity[unit] * factor if random >= level else np.float32(0)


@njit(**_COMPILED)
def fill_mask(mask: np.ndarray, key: np.uint64, step: int, layer: int, level: np.uint32, factor: np.float32) -> None:
    """Multiply a mask of ones, shape (images, units), by what a training step does to the activity of a layer."""
    for image in range(len(mask)):
        _drop(mask[image], level, factor, _row_key(key, step, layer, image))


@njit(**_COMPILED)
def _mix(bits: np.uint64) -> np.uint64:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@njit(**_COMPILED)
def adam_step(step: int, network: int, layout: Layout, networks: Networks, gradient: np.ndarray) -> None:
    """Add the gradients of the penalties to the weights' gradient, and take a step of Adam."""
    size = np.float32(networks.learning_rates[network] / (1 - ADAM_BETAS[0] ** step))
    root = np.float32(np.sqrt(1 - ADAM_BETAS[1] ** step))
    parameters = networks.parameters[network]
    first, second = networks.first_moments[network], networks.second_moments[network]
    for layer in range(len(layout.width)):
        start, stop = layout.starts[layer], layout.starts[layer + 1]
        bias = stop - layout.width[layer]
        l1, l2 = networks.l1[network], networks.l2[network]
        _adam(parameters[start:bias], first[start:bias], second[start:bias], gradient[start:bias], l1, l2, size, root)
        l1, l2 = np.float32(0), np.float32(0)
        _adam(parameters[bias:stop], first[bias:stop], second[bias:stop], gradient[bias:stop], l1, l2, size, root)


@njit(**_COMPILED)
def _adam(
    parameters: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    gradient: np.ndarray,
    l1: np.float32,
    l2: np.float32,
    size: np.float32,
    root: np.float32,
) -> None:
    beta1, beta2 = np.float32(ADAM_BETAS[0]), np.float32(ADAM_BETAS[1])
    for j in range(len(parameters)):
        weight = parameters[j]
        sign = np.float32(weight > 0) - np.float32(weight < 0)
        slope = gradient[j] + l1 * sign + np.float32(2) * l2 * weight
        first[j] += (slope - first[j]) * (np.float32(1) - beta1)
        second[j] = beta2 * second[j] + (np.float32(1) - beta2) * slope * slope
        parameters[j] = weight - size * first[j] / (np.sqrt(second[j]) / root + np.float32(ADAM_EPSILON))

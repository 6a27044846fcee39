"""Compiled training of perceptrons: the gradient of the loss by backpropagation, dropout masks, and Adam.

Everything runs in one thread, in float32, with loops of our own instead of a library's matrix products. Four of five
pixels of a digit are 0: `_add_rows` skips them, so that a whole step takes half the time of its full matrix products
alone (on images without zeros, one and a half times). No other threads are started, so processes side by side do not
get in each other's way. And the result of a network does not depend, to the last bit, on which others are trained
beside it.

Sums stay in the processor's registers while they grow. Left to itself the compiler writes them to memory after every
term, since it cannot know that the arrays of a loop do not overlap. Hence _Lanes: LANES neighbours of a row as one
value.

All of it is in one file on purpose: numba keeps compiled functions on disk until the file that they are written in
changes, and would not notice a change of what they call, or of a record that they read, in another file.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, models, register_model

ADAM_BETAS = (0.9, 0.999)  # with ADAM_EPSILON the defaults of torch.optim.Adam
ADAM_EPSILON = 1e-8
DROP_LEVELS = 1 << 16  # a random number that decides on one unit has 16 bits
NETWORKS_PER_PASS = 8  # share the preparation of a batch; of more, too little stays in the processor's cache
LANES = 16  # float32 numbers in a cache line of 64 bytes; rows are padded to a multiple
ROWS_TOGETHER = 4  # rows of a matrix product that are computed at a time
# The rows that the images of a batch, or the pixels, go over one after the other are taken in blocks that the nearest
# caches hold. (An index within a block has 16 bits.)
PIXELS_PER_BLOCK = 392
IMAGES_PER_BLOCK = 100
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: the step of the counter of splitmix64

# "contract" and "reassoc" let the compiler fuse and reorder sums, but NaN and infinity keep their meaning: they are how
# divergence shows. In numpy's error model a division is not checked for zero, which would keep loops from vectorising.
_COMPILED: dict[str, Any] = {"fastmath": {"contract", "reassoc"}, "error_model": "numpy", "cache": True}
_INLINED = {**_COMPILED, "forceinline": True}  # for what innermost loops call
# Without either every operation is rounded as it stands; with "contract" alone a product is not, before it is added to.
_STRICT: dict[str, Any] = {"error_model": "numpy", "cache": True, "forceinline": True}
_FUSED = {**_STRICT, "fastmath": {"contract"}}

# Tiny numbers. Below LEAST_NORMAL float32 numbers are subnormal: multiples of SPACING. Many processors compute with
# them a hundred times as slowly, so training takes them for 0 (subnormal.py) everywhere but in the step of Adam.
LEAST_NORMAL = 2.0**-126
SPACING = 2.0**-149
SUBNORMALS = np.float32(LEAST_NORMAL / SPACING)  # from there on float32 numbers have no fractions
# Half a spacing is rounded to none. A little less, since the products that are compared with it are rounded themselves.
ROUNDED_AWAY = np.float32(0.49999)
TINY = np.float32(2.0**-100)  # above it, no result of a step is subnormal
TINY_BITS = TINY.view(np.int32)
ADAM_BLOCK = 1024  # parameters, a multiple of 8


class SparseImages(NamedTuple):
    """Non-zero pixels, image by image: those of image i in block b are at starts[i, b] to starts[i, b + 1]."""

    starts: np.ndarray  # (images, blocks of PIXELS_PER_BLOCK + 1), int64
    pixels: np.ndarray  # (non-zero pixels,), uint16, which pixel of its block
    values: np.ndarray  # (non-zero pixels,), float32


class SparsePixels(NamedTuple):
    """Non-zero pixels of a batch, pixel by pixel: for each block of images, a list per pixel with room for all."""

    lengths: np.ndarray  # (blocks, pixels), int64, how many images of the block are not 0 at the pixel
    images: np.ndarray  # (blocks * pixels * IMAGES_PER_BLOCK,), uint16, which image of its block
    values: np.ndarray  # (blocks * pixels * IMAGES_PER_BLOCK,), float32


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
    """Memory of one training step of one network, written anew in each. A batch is a multiple of ROWS_TOGETHER."""

    gradient: np.ndarray  # (layout.starts[-1],)
    transposed: np.ndarray  # as gradient: weights of all maps but the first, a row per output
    activity: np.ndarray  # (maps, batch * widest), image after image, after ReLU and dropout; the logits are last
    delta: np.ndarray  # (maps, batch * widest), derivative of the loss with respect to the output of each map
    random: np.ndarray  # (widest / 4,), uint64, for dropout
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
    parameters = networks.parameters[network]
    level, factor = networks.drop_levels[network], networks.drop_factors[network]
    _forward(images, batch, layout, parameters, level, factor, networks.mask_keys[network], step, workspace)
    _logit_delta(labels, batch, layout, workspace)
    _backward(len(batch), layout, parameters, factor, workspace)


@njit(**_COMPILED)
def mean_cross_entropy(
    images: SparseImages, labels: np.ndarray, layout: Layout, parameters: np.ndarray, workspace: Workspace
) -> float:
    """Mean cross-entropy of one network, in nats, over all images: no penalties, no dropout."""
    order = np.arange(len(labels))
    batch_size = workspace.activity.shape[1] // layout.width.max()
    total = 0.0
    for first in range(0, len(order), batch_size):
        batch = order[first : first + batch_size]
        _forward(images, batch, layout, parameters, np.uint32(0), np.float32(1), np.uint64(0), 0, workspace)
        for position in range(len(batch)):
            logits = workspace.activity[-1, position * layout.width[-1] :]
            top = _largest(logits, layout.sizes[-1])
            normaliser = 0.0
            for j in range(layout.sizes[-1]):
                normaliser += np.exp(logits[j] - top)
            total += np.log(normaliser) + top - logits[labels[batch[position]]]
    return total / len(labels)


class _Lanes(types.Type):
    """Numba's type of LANES float32 numbers, which LLVM puts in one register or in several, as the processor has.

    The four functions below that take or give it write LLVM's instructions, one or two each. They check no bounds.
    """


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: _Lanes) -> None:
        super().__init__(manager, numba_type, ir.VectorType(ir.FloatType(), LANES))


_LANES = _Lanes("lanes")
_intrinsic: Any = intrinsic  # numba declares what it returns as if it were called with the typing context


def _pointer(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.bitcast(builder.gep(array.data, [arguments[1]]), context.get_value_type(_LANES).as_pointer())


@_intrinsic
def _load(typing_context: Any, array: Any, at: Any) -> Any:
    """array[at : at + LANES]"""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(context, builder, signature, arguments), align=4)

    return _LANES(array, at), generate


@_intrinsic
def _store(typing_context: Any, array: Any, at: Any, lanes: Any) -> Any:
    """array[at : at + LANES] = lanes"""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _pointer(context, builder, signature, arguments), align=4)
        return context.get_dummy_value()

    return types.void(array, at, lanes), generate


@_intrinsic
def _multiply_add(typing_context: Any, factor: Any, lanes: Any, total: Any) -> Any:
    """factor * lanes + total, for a number and two _Lanes"""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        factor, lanes, total = arguments
        none = ir.Constant(lanes.type, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        first = builder.insert_element(none, factor, ir.Constant(ir.IntType(32), 0))
        factors = builder.shuffle_vector(first, none, zeros)
        product = builder.fmul(factors, lanes, flags=("contract",))
        return builder.fadd(total, product, flags=("contract",))

    return _LANES(types.float32, lanes, total), generate


@njit(**_INLINED)
def _add_rows(
    indices: np.ndarray,
    values: np.ndarray,
    first: int,
    last: int,
    matrix: np.ndarray,
    width: int,
    out: np.ndarray,
    at: int,
) -> None:
    """out[at : at + width] += sum_k values[k] * row indices[k] of a flat matrix, for k from first to last."""
    # Unsigned, because numba would check whether a signed index counts from the end.
    column = 0
    while column + 4 * LANES <= width:  # four sums at once: one has to wait for its last addition
        to = at + column
        total0, total1 = _load(out, to), _load(out, to + LANES)
        total2, total3 = _load(out, to + 2 * LANES), _load(out, to + 3 * LANES)
        for k in range(np.uint64(first), np.uint64(last)):
            row, value = np.uint64(indices[k]) * np.uint64(width) + np.uint64(column), values[k]
            total0 = _multiply_add(value, _load(matrix, row), total0)
            total1 = _multiply_add(value, _load(matrix, row + np.uint64(LANES)), total1)
            total2 = _multiply_add(value, _load(matrix, row + np.uint64(2 * LANES)), total2)
            total3 = _multiply_add(value, _load(matrix, row + np.uint64(3 * LANES)), total3)
        _store(out, to, total0)
        _store(out, to + LANES, total1)
        _store(out, to + 2 * LANES, total2)
        _store(out, to + 3 * LANES, total3)
        column += 4 * LANES
    while column < width:
        total = _load(out, at + column)
        for k in range(np.uint64(first), np.uint64(last)):
            row = np.uint64(indices[k]) * np.uint64(width) + np.uint64(column)
            total = _multiply_add(values[k], _load(matrix, row), total)
        _store(out, at + column, total)
        column += LANES


@njit(**_COMPILED)
def _add_product(
    left: np.ndarray,
    row_step: int,
    column_step: int,
    n_rows: int,
    n_columns: int,
    right: np.ndarray,
    width: int,
    out: np.ndarray,
) -> None:
    """Row i of out += sum_k left[i * row_step + k * column_step] * row k of right, for k below n_columns.

    Zeros are not skipped: it costs as much to find them. Computes a multiple of ROWS_TOGETHER rows, so `left` and `out`
    must have as many; those beyond n_rows mean nothing.
    """
    for row in range(0, n_rows, ROWS_TOGETHER):
        for column in range(0, width, LANES):
            to = row * width + column
            total0, total1 = _load(out, to), _load(out, to + width)
            total2, total3 = _load(out, to + 2 * width), _load(out, to + 3 * width)
            at0 = np.uint64(row * row_step)
            at1, at2, at3 = at0 + np.uint64(row_step), at0 + np.uint64(2 * row_step), at0 + np.uint64(3 * row_step)
            at = np.uint64(column)
            for _ in range(n_columns):
                lanes = _load(right, at)
                total0 = _multiply_add(left[at0], lanes, total0)
                total1 = _multiply_add(left[at1], lanes, total1)
                total2 = _multiply_add(left[at2], lanes, total2)
                total3 = _multiply_add(left[at3], lanes, total3)
                at += np.uint64(width)
                at0 += np.uint64(column_step)
                at1 += np.uint64(column_step)
                at2 += np.uint64(column_step)
                at3 += np.uint64(column_step)
            _store(out, to, total0)
            _store(out, to + width, total1)
            _store(out, to + 2 * width, total2)
            _store(out, to + 3 * width, total3)


@njit(**_COMPILED)
def _transpose(layout: Layout, parameters: np.ndarray, transposed: np.ndarray) -> None:
    for layer in range(1, len(layout.width)):
        fan_in, width, start = layout.fan_in[layer], layout.width[layer], layout.starts[layer]
        block, out = parameters[start : layout.starts[layer + 1]], transposed[start : layout.starts[layer + 1]]
        for j in range(width):
            for i in range(fan_in):
                out[np.uint64(j * fan_in + i)] = block[np.uint64(i * width + j)]


@njit(**_COMPILED)
def _forward(
    images: SparseImages,
    batch: np.ndarray,
    layout: Layout,
    parameters: np.ndarray,
    level: np.uint32,
    factor: np.float32,
    key: np.uint64,
    step: int,
    workspace: Workspace,
) -> None:
    """Activity of every layer for a batch. The logits are left as they are."""
    n_maps = len(layout.width)
    for layer in range(n_maps):
        fan_in, width = layout.fan_in[layer], layout.width[layer]
        block = parameters[layout.starts[layer] : layout.starts[layer + 1]]
        activity = workspace.activity[layer, : len(batch) * width]
        biases = block[fan_in * width :]
        for position in range(len(batch)):
            for j in range(width):
                activity[position * width + j] = biases[j]
        if layer == 0:
            _add_pixels(images, batch, block, width, activity)
        else:
            below = workspace.activity[layer - 1]
            _add_product(below, fan_in, 1, len(batch), fan_in, block, width, activity)
        if layer < n_maps - 1:
            for j in range(len(activity)):
                activity[j] = activity[j] if activity[j] > 0 else np.float32(0)
            if level > 0:
                for position in range(len(batch)):
                    row = activity[position * width : (position + 1) * width]
                    _drop(row, level, factor, _row_key(key, step, layer, position), workspace.random)


@njit(**_COMPILED)
def _add_pixels(images: SparseImages, batch: np.ndarray, weights: np.ndarray, width: int, activity: np.ndarray) -> None:
    """Add the pixels, times the first weights, to activity, flat (batch, width)."""
    for block in range(images.starts.shape[1] - 1):
        rows = weights[block * PIXELS_PER_BLOCK * width :]
        for position in range(len(batch)):
            first, last = images.starts[batch[position], block], images.starts[batch[position], block + 1]
            _add_rows(images.pixels, images.values, first, last, rows, width, activity, position * width)


@njit(**_COMPILED)
def _logit_delta(labels: np.ndarray, batch: np.ndarray, layout: Layout, workspace: Workspace) -> None:
    """Derivative of a batch's mean cross-entropy with respect to the logits: (softmax - one-hot label) / images."""
    n_classes, width = layout.sizes[-1], layout.width[-1]
    logits, delta = workspace.activity[-1], workspace.delta[-1, : len(batch) * width]
    for first in range(0, len(delta), width):
        top = _largest(logits[first : first + width], n_classes)
        for j in range(first, first + n_classes):
            delta[j] = logits[j] - top
    for j in range(len(delta)):
        delta[j] = _exp(delta[j])
    share = np.float32(1) / np.float32(len(batch))
    for position in range(len(batch)):
        first = position * width
        total = np.float32(0)
        for j in range(first, first + n_classes):
            total += delta[j]
        scale = share / total
        for j in range(first, first + n_classes):
            delta[j] *= scale
        delta[first + labels[batch[position]]] -= share
        for j in range(first + n_classes, first + width):
            delta[j] = 0


@njit(**_INLINED)
def _exp(x: np.float32) -> np.float32:
    """exp(x) for x <= 0, to 1e-6 of it above -87 and 0 to 1e-37 below; unlike that of numpy, for many at once."""
    x = np.float32(-87) if x < np.float32(-87) else x
    power = np.floor(x * np.float32(1 / np.log(2)) + np.float32(0.5))
    rest = x - power * np.float32(np.log(2))  # exp(x) = 2^power exp(rest), |rest| < 0.35
    series = np.float32(1 / 720)
    for factorial in (120, 24, 6, 2, 1, 1):
        series = series * rest + np.float32(1 / factorial)
    # A float32 has the exponent of 2, plus 127, in its bits from 23 on.
    return series * np.int32((power + np.float32(127)) * np.float32(1 << 23)).view(np.float32)


@njit(**_INLINED)
def _largest(logits: np.ndarray, n_classes: int) -> np.float32:
    top = logits[0]
    for j in range(1, n_classes):
        top = max(top, logits[j])
    return top


@njit(**_COMPILED)
def _backward(n_images: int, layout: Layout, parameters: np.ndarray, factor: np.float32, workspace: Workspace) -> None:
    """Gradient of all parameters from the delta of the logits."""
    workspace.gradient[:] = 0
    _transpose(layout, parameters, workspace.transposed)
    for layer in range(len(layout.width) - 1, -1, -1):
        fan_in, width = layout.fan_in[layer], layout.width[layer]
        delta = workspace.delta[layer]
        block = workspace.gradient[layout.starts[layer] : layout.starts[layer + 1]]
        bias = block[fan_in * width :]
        for position in range(n_images):
            for j in range(width):
                bias[j] += delta[position * width + j]
        if layer == 0:
            _first_gradient(workspace.by_pixel, delta, width, block)
            return
        below = layer - 1
        activity_below, delta_below = workspace.activity[below], workspace.delta[below, : n_images * fan_in]
        _add_product(activity_below, 1, fan_in, fan_in, n_images, delta, width, block)
        delta_below[:] = 0
        transposed = workspace.transposed[layout.starts[layer] : layout.starts[layer + 1]]
        _add_product(delta, width, 1, n_images, width, transposed, fan_in, delta_below)
        for j in range(len(delta_below)):
            delta_below[j] = delta_below[j] * factor if activity_below[j] > 0 else np.float32(0)


@njit(**_COMPILED)
def _first_gradient(by_pixel: SparsePixels, delta: np.ndarray, width: int, gradient: np.ndarray) -> None:
    """Add the gradient of the first weights to gradient, flat (pixels, width)."""
    for block in range(by_pixel.lengths.shape[0]):
        rows = delta[block * IMAGES_PER_BLOCK * width :]
        for pixel in range(by_pixel.lengths.shape[1]):
            first = (block * by_pixel.lengths.shape[1] + pixel) * IMAGES_PER_BLOCK
            last = first + by_pixel.lengths[block, pixel]
            _add_rows(by_pixel.images, by_pixel.values, first, last, rows, width, gradient, pixel * width)


@njit(**_COMPILED)
def sort_by_pixel(images: SparseImages, batch: np.ndarray, by_pixel: SparsePixels) -> None:
    """List the non-zero pixels of a batch pixel by pixel, in place."""
    by_pixel.lengths[:] = 0
    n_pixels = by_pixel.lengths.shape[1]
    for position in range(len(batch)):
        image_block, image = position // IMAGES_PER_BLOCK, batch[position]
        lengths = by_pixel.lengths[image_block]
        for block in range(images.starts.shape[1] - 1):
            first_pixel = np.uint64(block * PIXELS_PER_BLOCK)
            for at in range(np.uint64(images.starts[image, block]), np.uint64(images.starts[image, block + 1])):
                pixel = first_pixel + np.uint64(images.pixels[at])
                to = (np.uint64(image_block * n_pixels) + pixel) * np.uint64(IMAGES_PER_BLOCK) + np.uint64(
                    lengths[pixel]
                )
                by_pixel.images[to] = position - image_block * IMAGES_PER_BLOCK
                by_pixel.values[to] = images.values[at]
                lengths[pixel] += 1


@njit(**_COMPILED)
def _row_key(key: np.uint64, step: int, layer: int, image: int) -> np.uint64:
    """Key of the masks of one layer for one image in one training step."""
    return _mix(_mix(key + np.uint64(step) * _GOLDEN) + np.uint64((layer << 32) + image) * _GOLDEN)


@njit(**_COMPILED)
def _drop(activity: np.ndarray, level: np.uint32, factor: np.float32, key: np.uint64, random: np.ndarray) -> None:
    """Apply one row of a mask to the activity of a layer, in place. One number of 64 bits serves four units."""
    for quad in range((len(activity) + 3) // 4):
        random[quad] = _mix(key + np.uint64(quad + 1) * _GOLDEN)
    parts = random.view(np.uint16)  # lowest bits first, as every processor has them that numba compiles for
    for unit in range(len(activity)):
        activity[unit] = activity[unit] * factor if parts[unit] >= level else np.float32(0)


@njit(**_COMPILED)
def fill_mask(mask: np.ndarray, key: np.uint64, step: int, layer: int, level: np.uint32, factor: np.float32) -> None:
    """Multiply a mask of ones, shape (images, units), by what a training step does to the activity of a layer."""
    random = np.empty((mask.shape[1] + 3) // 4, dtype=np.uint64)
    for image in range(len(mask)):
        _drop(mask[image], level, factor, _row_key(key, step, layer, image), random)


@njit(**_COMPILED)
def _mix(bits: np.uint64) -> np.uint64:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@njit(**_COMPILED)
def adam_step(step: int, network: int, layout: Layout, networks: Networks, gradient: np.ndarray) -> None:
    """Add the gradients of the penalties to the weights' gradient, and take a step of Adam."""
    size = np.float32(networks.learning_rates[network] / (1 - ADAM_BETAS[0] ** step))
    inverse_root = np.float32(1 / np.sqrt(1 - ADAM_BETAS[1] ** step))
    parameters = networks.parameters[network]
    first, second = networks.first_moments[network], networks.second_moments[network]
    for layer in range(len(layout.width)):
        start, stop = layout.starts[layer], layout.starts[layer + 1]
        bias = stop - layout.width[layer]
        l1, l2 = networks.l1[network], networks.l2[network]
        _adam(
            parameters[start:bias],
            first[start:bias],
            second[start:bias],
            gradient[start:bias],
            l1,
            l2,
            size,
            inverse_root,
        )
        l1, l2 = np.float32(0), np.float32(0)
        _adam(
            parameters[bias:stop], first[bias:stop], second[bias:stop], gradient[bias:stop], l1, l2, size, inverse_root
        )


@njit(**_COMPILED)
def _adam(
    parameters: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    gradient: np.ndarray,
    l1: np.float32,
    l2: np.float32,
    size: np.float32,
    inverse_root: np.float32,
) -> None:
    """Take a step of Adam with parameters under the same penalties.

    What is tiny gets what the arithmetic of float32 gives, subnormal numbers included, but without that arithmetic. It
    matters: under strong L2, weights of silent units leave 0 again from there, or stay.
    """
    moves, places = np.empty(ADAM_BLOCK, dtype=np.uint8), np.empty(ADAM_BLOCK, dtype=np.int64)
    moving = np.empty((4, ADAM_BLOCK), dtype=np.float32)
    for start in range(0, len(parameters), ADAM_BLOCK):
        stop = min(start + ADAM_BLOCK, len(parameters))
        block = parameters[start:stop], first[start:stop], second[start:stop], gradient[start:stop]
        if not _any_tiny(*block):
            _step(*block, l1, l2, size, inverse_root)
            continue
        _step_but_tiny(*block, l1, l2, size, inverse_root, moves)
        count = _list_places(moves[: stop - start], places)
        if count > 0:  # they are gathered, so that many can be computed at once
            for k in range(count):
                at = places[k]
                moving[0, k], moving[1, k], moving[2, k], moving[3, k] = (
                    block[0][at],
                    block[1][at],
                    block[2][at],
                    block[3][at],
                )
            _step_tiny(
                moving[0, :count], moving[1, :count], moving[2, :count], moving[3, :count], l1, l2, size, inverse_root
            )
            for k in range(count):
                block[0][places[k]], block[1][places[k]] = moving[0, k], moving[1, k]


@njit(**_COMPILED)
def _list_places(moves: np.ndarray, places: np.ndarray) -> int:
    """Write down where there is a 1, and return how many there are."""
    count = 0
    eights = moves.view(np.uint64)
    for eight in range(len(eights)):
        if eights[eight] != 0:
            for at in range(8 * eight, 8 * eight + 8):
                places[count] = at
                count += moves[at]
    return count


@njit(**_COMPILED)
def _any_tiny(weights: np.ndarray, firsts: np.ndarray, _: np.ndarray, slopes: np.ndarray) -> bool:
    weight_bits, first_bits, slope_bits = weights.view(np.int32), firsts.view(np.int32), slopes.view(np.int32)
    found = False
    for j in range(len(weights)):
        found |= _is_tiny(weight_bits[j]) | _is_tiny(first_bits[j]) | _is_tiny(slope_bits[j])
    return found


@njit(**_COMPILED)
def _step(
    weights: np.ndarray,
    firsts: np.ndarray,
    seconds: np.ndarray,
    slopes: np.ndarray,
    l1: np.float32,
    l2: np.float32,
    size: np.float32,
    inverse_root: np.float32,
) -> None:
    for j in range(len(weights)):
        weights[j], firsts[j], seconds[j] = _stepped(
            weights[j], firsts[j], seconds[j], slopes[j], l1, l2, size, inverse_root
        )


@njit(**_INLINED)
def _stepped(
    weight: np.float32,
    first: np.float32,
    second: np.float32,
    slope: np.float32,
    l1: np.float32,
    l2: np.float32,
    size: np.float32,
    inverse_root: np.float32,
) -> tuple[np.float32, np.float32, np.float32]:
    """A weight and its two moments after a step, from the slope of the loss without the penalties."""
    beta1, beta2 = np.float32(ADAM_BETAS[0]), np.float32(ADAM_BETAS[1])
    sign = np.float32(weight > 0) - np.float32(weight < 0)
    slope = slope + l1 * sign + np.float32(2) * l2 * weight
    first += (slope - first) * (np.float32(1) - beta1)
    second = beta2 * second + (np.float32(1) - beta2) * slope * slope
    weight -= size * first / (np.sqrt(second) * inverse_root + np.float32(ADAM_EPSILON))
    return weight, first, second


@njit(**_COMPILED)
def _step_but_tiny(
    weights: np.ndarray,
    firsts: np.ndarray,
    seconds: np.ndarray,
    slopes: np.ndarray,
    l1: np.float32,
    l2: np.float32,
    size: np.float32,
    inverse_root: np.float32,
    moves: np.ndarray,
) -> None:
    """As _step, but leave tiny weights and their first moments as they are, and tell which of them a step moves."""
    weight_bits, first_bits, slope_bits = weights.view(np.int32), firsts.view(np.int32), slopes.view(np.int32)
    for j in range(len(weights)):
        is_tiny = _is_tiny(weight_bits[j]) | _is_tiny(first_bits[j]) | _is_tiny(slope_bits[j])
        moves[j] = is_tiny & (not _rests(weight_bits[j], first_bits[j], slopes[j], l1, l2, size))
        weight, first, seconds[j] = _stepped(weights[j], firsts[j], seconds[j], slopes[j], l1, l2, size, inverse_root)
        weight_bits[j] = weight_bits[j] if is_tiny else np.float32(weight).view(np.int32)
        first_bits[j] = first_bits[j] if is_tiny else np.float32(first).view(np.int32)


@njit(**_FUSED)
def _rests(
    weight_bits: np.int32, first_bits: np.int32, slope: np.float32, l1: np.float32, l2: np.float32, size: np.float32
) -> bool:
    """Whether a step leaves a tiny weight and its first moment alone, since all it would add is rounded away."""
    weight, first = _in_spacings(weight_bits), _in_spacings(first_bits)
    penalty = (np.float32(2) * l2 * weight + SUBNORMALS) - SUBNORMALS  # rounded to whole spacings
    difference = penalty - first if (weight_bits ^ first_bits) >= 0 else penalty + first
    first_stays = abs(difference) * (np.float32(1) - np.float32(ADAM_BETAS[0])) < ROUNDED_AWAY
    return bool((slope == 0) & (l1 * weight == 0) & first_stays & (size * first < ROUNDED_AWAY))


@njit(**_STRICT)
def _in_spacings(bits: np.int32) -> np.float32:
    """The magnitude of the float32 number with these bits in spacings, 2^100 at most."""
    magnitude = np.int32(_magnitude(bits))
    normal = min(magnitude.view(np.float32) * np.float32(1 / LEAST_NORMAL) * SUBNORMALS, np.float32(2.0**100))
    return np.float32(magnitude) if magnitude < np.int32(SUBNORMALS) else normal


@njit(**_STRICT)
def _step_tiny(
    weights: np.ndarray,
    firsts: np.ndarray,
    seconds: np.ndarray,
    slopes: np.ndarray,
    l1: np.float32,
    l2: np.float32,
    size: np.float32,
    inverse_root: np.float32,
) -> None:
    """Take a step with tiny weights in float64, rounding as `_stepped` does where the processor fuses its products.

    The second moments are those after the step.
    """
    weight_bits, first_bits = weights.view(np.int32), firsts.view(np.int32)
    share = np.float64(np.float32(1) - np.float32(ADAM_BETAS[0]))
    for j in range(len(weights)):
        weight, first = _float64(weight_bits[j]), _float64(first_bits[j])
        sign = np.float64(weight > 0) - np.float64(weight < 0)
        slope = np.float64(slopes[j]) + np.float64(l1) * sign + np.float64(np.float32(2) * l2) * weight
        first = _as_float32(first + share * _as_float32(_as_float32(slope) - first))
        root = np.float64(np.sqrt(seconds[j])) * np.float64(inverse_root) + np.float64(np.float32(ADAM_EPSILON))
        step = _as_float32(np.float64(size) * first) / _as_float32(root)
        weight_bits[j] = _bits(_as_float32(weight - _as_float32(step)))
        first_bits[j] = _bits(first)


@njit(**_INLINED)
def _is_tiny(bits: np.int32) -> bool:
    """Whether the float32 number with these bits is not 0, but below TINY."""
    return bool(np.uint32(_magnitude(bits) - np.int32(1)) < np.uint32(TINY_BITS - 1))


@njit(**_INLINED)
def _magnitude(bits: np.int32) -> np.int32:
    """Bits without the sign. Of a subnormal number that is how many spacings it is away from 0."""
    return np.int32(bits & np.int32(0x7FFFFFFF))


@njit(**_STRICT)
def _float64(bits: np.int32) -> np.float64:
    """The float32 number with these bits, by whole numbers if it is subnormal."""
    magnitude = np.int32(_magnitude(bits))
    normal, subnormal = np.float64(magnitude.view(np.float32)), np.float64(magnitude) * SPACING
    value = subnormal if subnormal < LEAST_NORMAL else normal
    return -value if bits < 0 else value


@njit(**_STRICT)
def _as_float32(x: np.float64) -> np.float64:
    """The float32 number next to x."""
    shift = np.float64(LEAST_NORMAL * 2.0**29)  # from there on float64 numbers are multiples of SPACING
    subnormal = np.copysign((abs(x) + shift) - shift, x)
    return subnormal if abs(x) < LEAST_NORMAL else np.float64(np.float32(x))


@njit(**_STRICT)
def _bits(x: np.float64) -> np.int32:
    """Bits of a float32 number; the inverse of _float64."""
    normal, spacings = np.float32(x).view(np.int32), np.int32(abs(x) * (1 / SPACING))
    subnormal = np.int32(spacings | np.int32(normal & np.int32(-0x80000000)))  # what becomes 0 keeps its sign
    return subnormal if abs(x) < LEAST_NORMAL else normal

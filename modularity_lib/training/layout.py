"""Networks, images and dropout masks as the compiled training wants them.

Networks are flat vectors: for each linear map the vector of a network holds its weights, a row per input, then one more
row for its biases. Rows are padded with zeros to whole cache lines; the padding stays zero in training.

Images are lists of their non-zero pixels: four of five pixels of a digit are 0, and nothing is computed for those.

Dropout masks come from a counter: which units are silenced is a function of the step, the layer, the image and the
unit. Nothing but the number of the step is needed to go on with a training, and the masks of a network depend on no
other.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit

from modularity_lib.training.compiled import (
    DROP_LEVELS,
    IMAGES_PER_BLOCK,
    LANES,
    PIXELS_PER_BLOCK,
    ROWS_TOGETHER,
    Layout,
    SparseImages,
    SparsePixels,
    Workspace,
    fill_mask,
)
from modularity_lib.training.networks import Parameters

_COMPILED: dict[str, Any] = {"error_model": "numpy", "cache": True}


def layout_of(sizes: Sequence[int]) -> Layout:
    """Layout of networks with these widths, from the pixels to the logits.

    >>> layout_of((784, 64, 64, 10)).starts
    array([    0, 50240, 54400, 55440])
    """
    padded = [sizes[0], *(-(-size // LANES) * LANES for size in sizes[1:])]
    fan_in, width = np.array(padded[:-1]), np.array(padded[1:])
    return Layout(np.array(sizes), fan_in, width, np.concatenate([[0], np.cumsum((fan_in + 1) * width)]))


def pack(parameters: Parameters, layout: Layout) -> np.ndarray:
    """Flat vector of a network's parameters."""
    flat = aligned_zeros((int(layout.starts[-1]),))
    for rows, weight, bias in zip(_maps(flat, layout), parameters.weights, parameters.biases, strict=True):
        rows[: weight.shape[1], : weight.shape[0]] = weight.T
        rows[-1, : len(bias)] = bias
    return flat


def unpack(flat: np.ndarray, layout: Layout) -> Parameters:
    """Parameters of the network with this flat vector, as copies; the inverse of `pack`."""
    maps = list(zip(_maps(flat, layout), layout.sizes[:-1], layout.sizes[1:], strict=True))
    return Parameters(
        weights=tuple(rows[:fan_in, :fan_out].T.copy(order="C") for rows, fan_in, fan_out in maps),
        biases=tuple(rows[-1, :fan_out].copy() for rows, _, fan_out in maps),
    )


def workspace_of(layout: Layout, batch_size: int) -> Workspace:
    """Memory for the training steps of networks with this layout."""
    length = (int(layout.starts[-1]),)
    widest = int(layout.width.max())
    outputs = (len(layout.width), -(-batch_size // ROWS_TOGETHER) * ROWS_TOGETHER * widest)
    return Workspace(
        gradient=aligned_zeros(length),
        transposed=aligned_zeros(length),
        activity=aligned_zeros(outputs),
        delta=aligned_zeros(outputs),
        random=np.zeros(widest // 4, dtype=np.uint64),
        by_pixel=empty_pixels(batch_size, int(layout.fan_in[0])),
    )


def aligned_zeros(shape: tuple[int, ...]) -> np.ndarray:
    """Zeros in float32 that start at a cache line; loops over rows that straddle two lines take 1.4 times as long."""
    n_bytes = 4 * int(np.prod(shape))
    memory = np.zeros(n_bytes + 4 * LANES, dtype=np.uint8)
    start = -memory.ctypes.data % (4 * LANES)
    return memory[start : start + n_bytes].view(np.float32).reshape(shape)


def _maps(flat: np.ndarray, layout: Layout) -> list[np.ndarray]:
    bounds = zip(layout.starts[:-1], layout.starts[1:], layout.width, strict=True)
    return [flat[start:stop].reshape(-1, width) for start, stop, width in bounds]


def sparse_images(images: np.ndarray, index: np.ndarray) -> SparseImages:
    """Keep the non-zero pixels of some images.

    Args:
        images: shape (images, pixels), float32.
        index: which images, in this order.

    >>> sparse_images(np.array([[0, 0.5], [0, 0], [1, 0.25]], dtype=np.float32), np.array([2, 0])).pixels
    array([0, 1, 1], dtype=uint16)
    """
    n_blocks = -(-images.shape[1] // PIXELS_PER_BLOCK)
    starts = np.zeros((len(index), n_blocks + 1), dtype=np.int64)
    n_pixels = _count(images, index, PIXELS_PER_BLOCK, starts)
    pixels, values = np.empty(n_pixels, dtype=np.uint16), np.empty(n_pixels, dtype=np.float32)
    _fill(images, index, PIXELS_PER_BLOCK, starts, pixels, values)
    return SparseImages(starts, pixels, values)


def empty_pixels(n_images: int, n_pixels: int) -> SparsePixels:
    """Memory for the non-zero pixels of a batch, however many there are."""
    n_blocks = -(-n_images // IMAGES_PER_BLOCK)
    room = n_blocks * n_pixels * IMAGES_PER_BLOCK
    return SparsePixels(
        lengths=np.zeros((n_blocks, n_pixels), dtype=np.int64),
        images=np.zeros(room, dtype=np.uint16),
        values=np.zeros(room, dtype=np.float32),
    )


@njit(**_COMPILED)
def _count(images: np.ndarray, index: np.ndarray, block_size: int, starts: np.ndarray) -> int:
    """Set the starts of the blocks, and return the number of non-zero pixels."""
    n_nonzero = 0
    for position in range(len(index)):
        image = images[index[position]]
        for block in range(starts.shape[1]):
            starts[position, block] = n_nonzero
            for pixel in range(block * block_size, min((block + 1) * block_size, len(image))):
                n_nonzero += image[pixel] != 0
    return n_nonzero


@njit(**_COMPILED)
def _fill(
    images: np.ndarray, index: np.ndarray, block_size: int, starts: np.ndarray, pixels: np.ndarray, values: np.ndarray
) -> None:
    for position in range(len(index)):
        image = images[index[position]]
        at = starts[position, 0]
        for pixel in range(len(image)):
            if image[pixel] != 0:
                pixels[at] = pixel % block_size
                values[at] = image[pixel]
                at += 1


def mask_key(*ingredients: int | float) -> np.uint64:
    """Key of a stream of masks: the first 64 bits of the SHA-256 of some numbers.

    >>> len({int(mask_key(0, dropout)) for dropout in (0.5, 0.6, 0.5)})
    2
    """
    text = " ".join(float(number).hex() for number in ingredients)
    return np.uint64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


def dropout_mask(key: np.uint64, *, step: int, layer: int, n_images: int, n_units: int, dropout: float) -> np.ndarray:
    """Factors by which dropout multiplies the activity of a hidden layer in one training step.

    0 with probability `dropout`, else 1 / (1 - dropout), so that the mean is 1.

    Args:
        key: which stream, see `mask_key`.
        step: number of the training step, from 1.
        layer: number of the hidden layer, from 0.
        n_images: images in the batch.
        n_units: units of the layer.
        dropout: probability that a unit is silenced, in [0, 1).
    Returns:
        Mask, shape (n_images, n_units), float32. Row and column depend on no other row or column.
    Source: Steele, Lea & Flood (2014), OOPSLA (the mixing function, splitmix64).

    >>> dropout_mask(mask_key(0), step=1, layer=0, n_images=2, n_units=4, dropout=0.5)
    array([[0., 2., 0., 0.],
           [0., 2., 2., 0.]], dtype=float32)
    """
    mask = np.ones((n_images, n_units), dtype=np.float32)
    fill_mask(mask, key, step, layer, *drop_arguments(dropout))
    return mask


def drop_arguments(dropout: float) -> tuple[np.uint32, np.float32]:
    """How many of the 65,536 random levels silence a unit, and the factor of the others."""
    return np.uint32(round(dropout * DROP_LEVELS)), np.float32(1 / (1 - dropout))

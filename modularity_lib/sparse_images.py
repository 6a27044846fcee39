"""Images as lists of their non-zero pixels: four of five pixels of a digit are 0, and nothing is computed for those."""

from typing import Any

import numpy as np
from numba import njit

from modularity_lib.backpropagation import IMAGES_PER_BLOCK, PIXELS_PER_BLOCK, SparseImages, SparsePixels

_COMPILED: dict[str, Any] = {"error_model": "numpy", "cache": True}


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

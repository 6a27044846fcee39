"""Images as lists of their non-zero pixels: four of five pixels of a digit are 0, and nothing is computed for those."""

from typing import Any

import numpy as np
from numba import njit

from modularity_lib.backpropagation import SparseImages, SparsePixels

_COMPILED: dict[str, Any] = {"error_model": "numpy", "cache": True}


def sparse_images(images: np.ndarray, index: np.ndarray) -> SparseImages:
    """Keep the non-zero pixels of some images.

    Args:
        images: shape (images, pixels), float32.
        index: which images, in this order.

    >>> sparse_images(np.array([[0, 0.5], [0, 0], [1, 0.25]], dtype=np.float32), np.array([2, 0])).pixels
    array([0, 1, 1], dtype=uint32)
    """
    starts = np.zeros(len(index) + 1, dtype=np.int64)
    _count(images, index, starts)
    pixels, values = np.empty(starts[-1], dtype=np.uint32), np.empty(starts[-1], dtype=np.float32)
    _fill(images, index, starts, pixels, values)
    return SparseImages(starts, pixels, values)


def empty_pixels(n_images: int, n_pixels: int) -> SparsePixels:
    """Memory for the non-zero pixels of a batch, however many there are."""
    return SparsePixels(
        starts=np.zeros(n_pixels + 1, dtype=np.int64),
        images=np.zeros(n_images * n_pixels, dtype=np.uint32),
        values=np.zeros(n_images * n_pixels, dtype=np.float32),
    )


@njit(**_COMPILED)
def _count(images: np.ndarray, index: np.ndarray, starts: np.ndarray) -> None:
    for position in range(len(index)):
        image = images[index[position]]
        starts[position + 1] = starts[position]
        for pixel in range(len(image)):
            starts[position + 1] += image[pixel] != 0


@njit(**_COMPILED)
def _fill(images: np.ndarray, index: np.ndarray, starts: np.ndarray, pixels: np.ndarray, values: np.ndarray) -> None:
    for position in range(len(index)):
        image = images[index[position]]
        at = starts[position]
        for pixel in range(len(image)):
            if image[pixel] != 0:
                pixels[at] = pixel
                values[at] = image[pixel]
                at += 1

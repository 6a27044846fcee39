"""Images as lists of their non-zero pixels: four of five pixels of a digit are 0, and nothing is computed for those."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

_COMPILED: dict[str, Any] = {"error_model": "numpy", "cache": True}


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
    sparse = SparseImages(starts, np.empty(starts[-1], dtype=np.uint32), np.empty(starts[-1], dtype=np.float32))
    _fill(images, index, sparse)
    return sparse


def empty_pixels(n_images: int, n_pixels: int) -> SparsePixels:
    """Memory for the non-zero pixels of a batch, however many there are."""
    return SparsePixels(
        starts=np.zeros(n_pixels + 1, dtype=np.int64),
        images=np.zeros(n_images * n_pixels, dtype=np.uint32),
        values=np.zeros(n_images * n_pixels, dtype=np.float32),
    )


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
def _count(images: np.ndarray, index: np.ndarray, starts: np.ndarray) -> None:
    for position in range(len(index)):
        image = images[index[position]]
        starts[position + 1] = starts[position]
        for pixel in range(len(image)):
            starts[position + 1] += image[pixel] != 0


@njit(**_COMPILED)
def _fill(images: np.ndarray, index: np.ndarray, sparse: SparseImages) -> None:
    for position in range(len(index)):
        image = images[index[position]]
        at = sparse.starts[position]
        for pixel in range(len(image)):
            if image[pixel] != 0:
                sparse.pixels[at] = pixel
                sparse.values[at] = image[pixel]
                at += 1

"""The lists of non-zero pixels hold the images, image by image and pixel by pixel."""

import numpy as np
import pytest

import oracles_training as oracles
from modularity_lib.training.compiled import IMAGES_PER_BLOCK, PIXELS_PER_BLOCK, sort_by_pixel
from modularity_lib.training.layout import empty_pixels, sparse_images


@pytest.mark.parametrize("n_pixels", [40, PIXELS_PER_BLOCK, 2 * PIXELS_PER_BLOCK + 7])
def test_the_lists_hold_the_images(n_pixels: int) -> None:
    images = oracles.made_up_dataset(n_pixels=n_pixels).train_images
    index = np.array([7, 3, 400, 3])
    sparse = sparse_images(images, index)
    dense = np.zeros((len(index), images.shape[1]), dtype=np.float32)
    for image in range(len(index)):
        for block in range(sparse.starts.shape[1] - 1):
            for at in range(sparse.starts[image, block], sparse.starts[image, block + 1]):
                dense[image, block * PIXELS_PER_BLOCK + sparse.pixels[at]] = sparse.values[at]
    assert np.array_equal(dense, images[index])
    assert sparse.starts[-1, -1] == len(sparse.pixels) == len(sparse.values) == np.count_nonzero(images[index])


def test_a_batch_is_listed_pixel_by_pixel() -> None:
    images = oracles.made_up_dataset().train_images
    sparse = sparse_images(images, np.arange(len(images)))
    n_pixels, most = images.shape[1], 2 * IMAGES_PER_BLOCK + 5
    by_pixel = empty_pixels(most, n_pixels)
    order = np.random.default_rng(0).permutation(len(images))
    for batch in (order[:most], order[most : most + 3], np.tile(order[:1], most)):  # each overwrites the one before
        sort_by_pixel(sparse, batch, by_pixel)
        dense = np.zeros((len(batch), n_pixels), dtype=np.float32)
        for block in range(3):
            for pixel in range(n_pixels):
                first = (block * n_pixels + pixel) * IMAGES_PER_BLOCK
                for at in range(first, first + by_pixel.lengths[block, pixel]):
                    dense[block * IMAGES_PER_BLOCK + by_pixel.images[at], pixel] = by_pixel.values[at]
        assert np.array_equal(dense, images[batch])
        assert by_pixel.lengths.sum() == np.count_nonzero(images[batch])

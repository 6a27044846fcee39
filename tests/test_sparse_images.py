"""The lists of non-zero pixels hold the images, image by image and pixel by pixel."""

import numpy as np

import oracles_training as oracles
from modularity_lib.backpropagation import sort_by_pixel
from modularity_lib.sparse_images import empty_pixels, sparse_images


def test_the_lists_hold_the_images() -> None:
    images = oracles.made_up_dataset().train_images
    index = np.array([7, 3, 400, 3])
    sparse = sparse_images(images, index)
    dense = np.zeros((len(index), images.shape[1]), dtype=np.float32)
    for image in range(len(index)):
        for at in range(sparse.starts[image], sparse.starts[image + 1]):
            dense[image, sparse.pixels[at]] = sparse.values[at]
    assert np.array_equal(dense, images[index])
    assert sparse.starts[-1] == np.count_nonzero(images[index])


def test_a_batch_is_listed_pixel_by_pixel() -> None:
    images = oracles.made_up_dataset().train_images[:30]
    sparse = sparse_images(images, np.arange(30))
    by_pixel = empty_pixels(5, images.shape[1])
    for batch in (np.array([1, 2, 3, 4, 5]), np.array([20, 7, 9])):  # the second overwrites the first
        sort_by_pixel(sparse, batch, by_pixel)
        dense = np.zeros((len(batch), images.shape[1]), dtype=np.float32)
        for pixel in range(images.shape[1]):
            for at in range(by_pixel.starts[pixel], by_pixel.starts[pixel + 1]):
                dense[by_pixel.images[at], pixel] = by_pixel.values[at]
        assert np.array_equal(dense, images[batch])
        assert by_pixel.starts[-1] == np.count_nonzero(images[batch])

"""Dropout masks from a counter: which units are silenced is a function of the step, the layer, the image and the unit.

Nothing but the number of the step is needed to go on with a training, and the masks of a network depend on no other.
"""

import hashlib

import numpy as np

from modularity_lib.backpropagation import DROP_LEVELS, fill_mask


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

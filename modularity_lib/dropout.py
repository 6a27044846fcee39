"""Dropout masks from a counter: which units are silenced is a function of the step, the layer, the image and the unit.

Nothing but the number of the step is needed to go on with a training, and the masks of a network depend on no other.
"""

import hashlib
from typing import Any

import numpy as np
from numba import njit

_COMPILED: dict[str, Any] = {"error_model": "numpy", "cache": True}
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: the step of the counter of splitmix64
_LEVELS = 1 << 16  # a uniform number is 16 bits, so the dropout is exact to 1/131072


def mask_key(*ingredients: int | float) -> np.uint64:
    """Key of a stream of masks: the first 64 bits of the SHA-256 of some numbers.

    >>> mask_key(0, 0.5) == mask_key(0, 0.5), mask_key(0, 0.5) == mask_key(0, 0.6)
    (True, False)
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
    XX
    """
    mask = np.ones((n_images, n_units), dtype=np.float32)
    for image in range(n_images):
        drop(mask[image], *drop_arguments(dropout), row_key(key, step, layer, image))
    return mask


def drop_arguments(dropout: float) -> tuple[np.uint32, np.float32]:
    """How many of the 65,536 random levels silence a unit, and the factor of the others."""
    return np.uint32(round(dropout * _LEVELS)), np.float32(1 / (1 - dropout))


@njit(**_COMPILED)
def row_key(key: np.uint64, step: int, layer: int, image: int) -> np.uint64:
    """Key of the masks of one layer for one image in one training step."""
    return _mix(_mix(key + np.uint64(step) * _GOLDEN) + np.uint64((layer << 32) + image) * _GOLDEN)


@njit(**_COMPILED)
def drop(activity: np.ndarray, level: np.uint32, factor: np.float32, key: np.uint64) -> None:
    """Apply one row of a mask to the activity of a layer, in place. One number of 64 bits serves four units."""
    n_units = len(activity)
    for quad in range((n_units + 3) // 4):
        bits = _mix(key + np.uint64(quad + 1) * _GOLDEN)
        for part in range(min(4, n_units - 4 * quad)):
            random = np.uint32((bits >> np.uint64(16 * part)) & np.uint64(_LEVELS - 1))
            unit = 4 * quad + part
            activity[unit] = activity[unit] * factor if random >= level else np.float32(0)


@njit(**_COMPILED)
def _mix(bits: np.uint64) -> np.uint64:
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))

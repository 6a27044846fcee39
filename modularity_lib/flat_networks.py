"""Networks as flat vectors, as the compiled training wants them.

For each linear map the vector of a network holds its weights, a row per input, then one more row for its biases. Rows
are padded with zeros to whole cache lines; the padding stays zero in training.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from modularity_lib.networks import Parameters

_LINE = 16  # float32 numbers in a cache line of 64 bytes


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


def layout_of(sizes: Sequence[int]) -> Layout:
    """Layout of networks with these widths, from the pixels to the logits.

    >>> layout_of((784, 64, 64, 10)).starts
    array([    0, 50240, 54400, 55440])
    """
    padded = [sizes[0], *(-(-size // _LINE) * _LINE for size in sizes[1:])]
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


def aligned_zeros(shape: tuple[int, ...]) -> np.ndarray:
    """Zeros in float32 that start at a cache line; loops over rows that straddle two lines take 1.4 times as long."""
    n_bytes = 4 * int(np.prod(shape))
    memory = np.zeros(n_bytes + 4 * _LINE, dtype=np.uint8)
    start = -memory.ctypes.data % (4 * _LINE)
    return memory[start : start + n_bytes].view(np.float32).reshape(shape)


def _maps(flat: np.ndarray, layout: Layout) -> list[np.ndarray]:
    bounds = zip(layout.starts[:-1], layout.starts[1:], layout.width, strict=True)
    return [flat[start:stop].reshape(-1, width) for start, stop, width in bounds]

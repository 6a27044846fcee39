"""Networks as flat vectors, as the compiled training wants them.

For each linear map the vector of a network holds its weights, a row per input, then one more row for its biases. Rows
are padded with zeros to whole cache lines; the padding stays zero in training.
"""

from collections.abc import Sequence

import numpy as np

from modularity_lib.backpropagation import LANES, ROWS_TOGETHER, Layout, Workspace
from modularity_lib.networks import Parameters
from modularity_lib.sparse_images import empty_pixels


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

"""How long one's own networks take: input gradients beside torch.func, and a Sequential perceptron beside `MLP`.

    python benchmarks/own_networks.py [--json FOLDER] [--repeats 5] [--smallest]

Medians of several repeats in one run, in seconds of processor time, one thread. torch.func takes the Jacobian of every
input by vmap of jacrev, at the best of several numbers of inputs and of rows at once; both work in single precision,
with products and sums in double. Ours is a whole call, with all its checks. Networks are untrained and inputs made up.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

from measuring import keep, options, show
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.training.networks import MLP
from modularity_lib.vocabulary import MEASURES

PIXELS, CLASSES, CHANNELS = 784, 10, 64
_JACOBIAN_BYTES = 300_000_000  # more does not make it faster


def main() -> None:
    """Print both tables."""
    arguments = options(__doc__, repeats=5)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    few = arguments.smallest
    rows = [*against_torch_func(arguments.repeats, few=few), *sequential(arguments.repeats, few=few)]
    keep(rows, arguments.json, name="own_networks")


def against_torch_func(repeats: int, *, few: bool) -> list[dict[str, Any]]:
    """input_gradient of the second hidden layer of tanh perceptrons, and of a ResNet block, averaged over positions."""
    cases: list[tuple[str, nn.Module, str, torch.Tensor]] = []
    for units, n_inputs in ((64, 500), (256, 200), (1_024, 32)):
        network = nn.Sequential(nn.Linear(PIXELS, units), nn.Tanh(), nn.Linear(units, units), nn.Tanh())
        cases.append((f"tanh MLP, {units} units", network, "3", torch.rand(5 if few else n_inputs, PIXELS)))
    for side, n_inputs in ((4, 96), (8, 8)):
        images = torch.rand(1 if few else n_inputs, CHANNELS, side, side)
        cases.append((f"ResNet block, {side} x {side}", nn.Sequential(BasicBlock()), "0", images))
    rows = [beside_torch_func(*case, repeats, few=few) for case in (cases[:1] if few else cases)]
    show("Input gradient: ours, as a multiple of torch.func at its best", rows)
    return rows


def beside_torch_func(
    name: str, network: nn.Module, layer: str, inputs: torch.Tensor, repeats: int, *, few: bool
) -> dict[str, Any]:
    """One row: both in turn, after a search for the best way to call torch.func."""
    units = {layer: 1} if inputs.ndim > 2 else None

    def ours() -> np.ndarray:
        matrices = similarity_matrices(network, inputs, layers=[layer], units=units, measures=["input_gradient"])
        return matrices[layer]["input_gradient"]

    bytes_of_one = 4 * network(inputs[:1]).numel() * inputs[0].numel()  # torch.func makes whole Jacobians
    most = min(len(inputs), max(1, _JACOBIAN_BYTES // bytes_of_one))
    ways = [(at_once, rows) for at_once in (1, 4, 16, 64) for rows in (64, 256, 1_024) if at_once <= most]
    times = {way: seconds(partial(by_torch_func, network, inputs, *way)) for way in (ways[:1] if few else ways)}
    best = min(times, key=lambda way: times[way])
    found, expected = ours(), by_torch_func(network, inputs, *best)
    took, theirs = medians([ours, partial(by_torch_func, network, inputs, *best)], repeats)
    return {
        **{"table": "torch_func", "network": name, "inputs": len(inputs), "ours_s": took, "torch_func_s": theirs},
        **{"inputs_at_once": best[0], "rows_at_once": best[1], "ratio": took / theirs},
        "largest_difference": float(np.abs(found - expected).max() / expected.max()),
    }


def by_torch_func(network: nn.Module, inputs: torch.Tensor, n_together: int, chunk: int) -> np.ndarray:
    """Average over inputs and positions of ⟨∂h_i/∂x, ∂h_j/∂x⟩ from whole Jacobians, shape (units, units)."""
    network.eval()

    def units(one: torch.Tensor) -> torch.Tensor:
        return network(one[None])[0].flatten(1).T if one.ndim > 1 else network(one[None])  # (positions, units)

    jacobian = torch.func.vmap(torch.func.jacrev(units, chunk_size=chunk))
    total: Any = 0.0
    for some in torch.split(inputs, n_together):
        found = jacobian(some).detach()
        n_positions, n_units = found.shape[1:3]
        flat = found.movedim(2, 0).reshape(n_units, -1).numpy().astype(np.float64)
        total += flat @ flat.T
    return np.asarray(np.abs(total) / (len(inputs) * n_positions))


class BasicBlock(nn.Module):
    """The first block of ResNet-18."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False), nn.BatchNorm2d(CHANNELS)
        self.conv2, self.bn2 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False), nn.BatchNorm2d(CHANNELS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same shape as its input, (inputs, channels, rows, columns)."""
        h = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(h)) + x)


def sequential(repeats: int, *, few: bool) -> list[dict[str, Any]]:
    """All eight measures of both hidden layers of a ReLU perceptron, written as a chain and as `MLP`."""
    rows = []
    for units in (64,) if few else (64, 256):
        perceptron = MLP([PIXELS, units, units, CLASSES])
        hidden = [part for layer in perceptron.layers for part in perceptron.get_submodule(layer).children()]
        chain = nn.Sequential(*hidden, perceptron.output)
        inputs = torch.rand(10 if few else 2_000, PIXELS)
        similarity_matrices(perceptron, inputs[:2])  # compile
        as_chain = partial(similarity_matrices, chain, inputs, layers=["1", "4"])
        as_mlp = partial(similarity_matrices, perceptron, inputs)
        found, expected = as_chain(), as_mlp()
        took, usual = medians([as_chain, as_mlp], repeats)
        same = list(zip(("1", "4"), perceptron.layers, strict=True))
        difference = max(float(np.abs(found[a][name] - expected[b][name]).max()) for a, b in same for name in MEASURES)
        rows.append(
            {"table": "sequential", "units": units, "inputs": len(inputs), "sequential_s": took, "mlp_s": usual}
            | {"ratio": took / usual, "largest_difference": difference}
        )
    show("All measures of a ReLU perceptron: Sequential, as a multiple of MLP", rows)
    return rows


def medians(functions: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Median processor time of functions that are called in turn."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, taken in zip(functions, times, strict=True):
            taken.append(seconds(function))
    return [median(taken) for taken in times]


def seconds(function: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    function()
    return time.process_time() - start


if __name__ == "__main__":
    main()

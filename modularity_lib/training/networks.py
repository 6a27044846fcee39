"""The multi-layer perceptron of the paper: its parameters and the activity of every hidden layer."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from modularity_lib.training.arguments import checked_sizes
from modularity_lib.training.config import checked_dropout


@dataclass(frozen=True)
class Parameters:
    """Weights and biases of one multi-layer perceptron, input side first, as plain float32 arrays.

    `weights[l]` has shape (units of layer l + 1, units of layer l), as in `torch.nn.Linear`; `biases[l]` has shape
    (units of layer l + 1,).
    """

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Width of every layer from the pixels to the logits."""
        return (self.weights[0].shape[1], *(weight.shape[0] for weight in self.weights))


class MLP(torch.nn.Module):
    """Perceptron with ReLU, then dropout, after each hidden layer; `forward` gives logits.

    The hidden layers are the submodules "hidden1", "hidden2", ... and the logits come from "output". The activity of a
    hidden layer is the value after ReLU and dropout; in evaluation mode dropout does nothing. Weights and biases start
    as `torch.nn.Linear` draws them: uniform on ±1/√fan_in. Inputs may be any real numbers, and outputs be used for
    whatever loss; output_hessian of `similarity_matrices` is that of the cross-entropy of classes all the same.

    Args:
        sizes: width of every layer, e.g. [784, 64, 64, 10]; at least one hidden layer.
        dropout: probability that a hidden unit is silenced in training, in [0, 1).
    Raises:
        ValueError: fewer than three sizes, one that is no whole number of at least 1, more weights than memory could
            hold, or dropout that is no number in [0, 1).

    >>> MLP([784, 64, 64, 10], dropout=0.3).layers
    ('hidden1', 'hidden2')
    """

    def __init__(self, sizes: Sequence[int], *, dropout: float = 0.0) -> None:
        super().__init__()
        self.sizes = checked_sizes(sizes)
        self.dropout = float(checked_dropout(dropout))
        for index, (fan_in, fan_out) in enumerate(zip(self.sizes[:-2], self.sizes[1:-1], strict=True), start=1):
            block = OrderedDict(
                linear=torch.nn.Linear(fan_in, fan_out),
                relu=torch.nn.ReLU(),
                dropout=torch.nn.Dropout(self.dropout),
            )
            self.add_module(f"hidden{index}", torch.nn.Sequential(block))
        self.output = torch.nn.Linear(self.sizes[-2], self.sizes[-1])

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the hidden layers, input side first."""
        return tuple(f"hidden{index}" for index in range(1, len(self.sizes) - 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits, shape (images, classes), of images with shape (images, pixels)."""
        activity = images
        for layer in self.layers:
            activity = self.get_submodule(layer)(activity)
        return self.output(activity)

    def linear_layers(self) -> list[torch.nn.Linear]:
        """Every linear map of the network, input side first."""
        return [module for module in self.modules() if isinstance(module, torch.nn.Linear)]


def parameters_of(network: MLP) -> Parameters:
    """Copy the weights and biases out of a network; a linear map without biases has biases of 0."""
    linear = network.linear_layers()
    return Parameters(
        weights=tuple(_array(module.weight) for module in linear),
        biases=tuple(
            np.zeros_like(_array(module.weight[:, 0])) if module.bias is None else _array(module.bias)
            for module in linear
        ),
    )


def _array(tensor: torch.Tensor) -> np.ndarray:
    """A copy for NumPy, in single precision at least."""
    return tensor.detach().to("cpu", torch.promote_types(tensor.dtype, torch.float32), copy=True).numpy()


def network_of(parameters: Parameters, *, dropout: float = 0.0) -> MLP:
    """Network that carries these parameters; the inverse of `parameters_of`."""
    with torch.random.fork_rng(devices=[]):  # the weights that MLP draws are not kept, so the draw leaves no trace
        network = MLP(parameters.sizes, dropout=dropout)
    with torch.no_grad():
        for module, weight, bias in zip(network.linear_layers(), parameters.weights, parameters.biases, strict=True):
            module.weight.copy_(torch.tensor(weight))
            module.bias.copy_(torch.tensor(bias))
    return network


def initial_parameters(sizes: Sequence[int], *, seed: int) -> Parameters:
    """Draw the initial weights and biases of a run: uniform on ±1/√fan_in, as `torch.nn.Linear` does.

    The same seed gives the same arrays on every platform; torch's global random state is neither read nor changed.
    """
    random = np.random.default_rng([seed, _INITIAL_PARAMETERS_STREAM])
    weights, biases = [], []
    for fan_in, fan_out in pairwise(sizes):
        bound = 1.0 / np.sqrt(fan_in)
        weights.append(random.uniform(-bound, bound, size=(fan_out, fan_in)).astype(np.float32))
        biases.append(random.uniform(-bound, bound, size=fan_out).astype(np.float32))
    return Parameters(weights=tuple(weights), biases=tuple(biases))


_INITIAL_PARAMETERS_STREAM = 0  # keeps this draw apart from the other random draws of a run (see training.py)

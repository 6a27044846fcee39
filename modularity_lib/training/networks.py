"""The multi-layer perceptron of the paper: its parameters and the activity of every hidden layer."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from modularity_lib.training.arguments import checked_sizes
from modularity_lib.training.config import checked_dropout
from modularity_lib.training.weights import checked_weights, fitted_perceptron


@dataclass(frozen=True)
class Parameters:
    """Weights and biases of one multi-layer perceptron, input side first, as plain arrays; float32 as they are trained.

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
    whatever loss, which output_hessian of `similarity_matrices` is then told by its argument `loss`.

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

    @staticmethod
    def from_sklearn(fitted: Any) -> torch.nn.Module:
        """The network that scikit-learn has fitted, to be measured; scikit-learn itself is not needed.

        Its hidden layers are "hidden1", "hidden2", ..., whatever their function. Its outputs are those of "output",
        before softmax or sigmoid: logits of a classifier, predictions of a regressor (their logarithm under the Poisson
        loss). A classifier of two classes has one logit, and one of several labels at once a logit for each: both are
        fitted by the binary cross-entropy, so that `similarity_matrices` takes loss="binary-cross-entropy"; for a
        regressor it takes loss="mean-squared-error".

        Args:
            fitted: an MLPClassifier or MLPRegressor after its fit. Inputs go into the network as they went into fit,
                after all scaling.
        Returns:
            an `MLP` if its activation is "relu". Another function is never turned into a ReLU: with "tanh", "logistic"
            or "identity" it is a `torch.nn.Sequential` of the same layers under the same names, for which layers must
            be named. Weights keep their precision, float64 unless it was fitted in float32.
        Raises:
            ValueError: it is not fitted, is something else, or has no hidden layer.
        Source: coefs_, intercepts_, activation as in scikit-learn's documentation of `MLPClassifier`.

        >>> from types import SimpleNamespace
        >>> weights = [np.ones((4, 3)), np.ones((3, 2))]  # (inputs, units), as scikit-learn has them
        >>> fitted = SimpleNamespace(activation="relu", coefs_=weights, intercepts_=[np.zeros(3), np.zeros(2)])
        >>> MLP.from_sklearn(fitted).sizes
        (4, 3, 2)
        """
        read = fitted_perceptron(fitted)
        network = network_of(Parameters(tuple(read.weights), tuple(read.biases)))
        if read.function == "relu":
            return network
        parts: OrderedDict[str, torch.nn.Module] = OrderedDict()
        for layer in network.layers:
            linear = network.get_submodule(f"{layer}.linear")
            parts[layer] = torch.nn.Sequential(
                OrderedDict([("linear", linear), ("function", _FUNCTIONS[read.function]())])
            )
        return torch.nn.Sequential(OrderedDict(parts, output=network.output))

    def linear_layers(self) -> list[torch.nn.Linear]:
        """Every linear map of the network, input side first."""
        return [module for module in self.modules() if isinstance(module, torch.nn.Linear)]


_FUNCTIONS = {"tanh": torch.nn.Tanh, "logistic": torch.nn.Sigmoid, "identity": torch.nn.Identity}


def parameters_of(network: MLP) -> Parameters:
    """Copy the weights and biases out of a network; a linear map without biases has biases of 0.

    Raises:
        ValueError: network is no `MLP`.

    >>> parameters_of(MLP([4, 3, 2])).sizes
    (4, 3, 2)
    """
    if not isinstance(network, MLP):
        raise ValueError(
            f"network must be an MLP, got {type(network).__name__}. Other networks of PyTorch have .state_dict()."
        )
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
    """Network that carries these parameters; the inverse of `parameters_of`.

    Args:
        parameters: weights of shape (units, units before) and biases of shape (units,) of every layer, input side
            first, in `Parameters`; arrays or tensors. As in `torch.nn.Linear`, a row holds what goes into one unit:
            libraries that have it in a column, as scikit-learn and Keras, need weight.T.
        dropout: probability that a hidden unit is silenced in training, in [0, 1).
    Returns:
        the network, in float64 if one of the arrays is, else in float32.
    Raises:
        ValueError: parameters are something else, or shapes that do not follow each other; dropout is no number in
            [0, 1).

    >>> network_of(Parameters(weights=(np.ones((3, 4)), np.ones((2, 3))), biases=(np.zeros(3), np.zeros(2)))).sizes
    (4, 3, 2)
    """
    if not isinstance(parameters, Parameters):
        raise ValueError(
            f"parameters must be Parameters(weights, biases), got {type(parameters).__name__}. "
            + (
                "Pass MLP.from_sklearn(fitted)."
                if hasattr(parameters, "coefs_")
                else "Both are tuples with an array for each layer, input side first."
            )
        )
    weights, biases = checked_weights("parameters", parameters.weights, parameters.biases)
    sizes = [weights[0].shape[1], *map(len, weights)]
    with torch.random.fork_rng(devices=[]):  # the weights that MLP draws are not kept, so the draw leaves no trace
        network = MLP(sizes, dropout=dropout).to(torch.from_numpy(weights[0]).dtype)
    with torch.no_grad():
        for module, weight, bias in zip(network.linear_layers(), weights, biases, strict=True):
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

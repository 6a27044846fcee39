"""Perceptrons to which something was done are measured as what they are now."""

import copy
import functools
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.similarity.perceptron import why_not_plain
from modularity_lib.training.networks import MLP
from modularity_lib.vocabulary import MEASURES

LAYERS = ["hidden1", "hidden2"]
IMAGES = np.random.default_rng(0).uniform(size=(20, 12)).astype(np.float32)
CLASSES = np.arange(20) % 4


class Same(MLP):
    """The same perceptron, always measured by automatic differentiation."""


def perceptron(kind: type[MLP] = MLP) -> MLP:
    torch.manual_seed(0)
    network = kind([12, 9, 8, 4])
    with torch.no_grad():
        for linear in network.linear_layers():
            linear.weight.mul_(2)
    return network


@pytest.fixture(autouse=True)
def _random_state() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        yield


def largest_difference(
    one: dict[str, dict[str, np.ndarray]], other: dict[str, dict[str, np.ndarray]], measures: Any = MEASURES
) -> float:
    """As a share of the largest entry."""
    return max(
        np.abs(one[layer][name] - other[layer][name]).max() / max(other[layer][name].max(), 1e-300)
        for layer in other
        for name in measures
    )


def silence_half(module: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
    return output * (torch.arange(output.shape[1]) % 2)


class Damped(nn.ReLU):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return super().forward(values) * 0.3


class Absolute(nn.Linear):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return super().forward(values).abs()


def with_residual(network: MLP) -> None:
    def forward(images: torch.Tensor) -> torch.Tensor:
        first = network.hidden1(images)
        return network.output(network.hidden2(first) + first[:, :8])

    network.forward = forward  # type: ignore[method-assign]


def with_weight_norm(network: MLP) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        nn.utils.weight_norm(network.hidden2.linear)
    network.load_state_dict({name: 1.5 * value for name, value in network.state_dict().items()})


def with_squared_logits(network: MLP) -> None:
    forward = network.forward
    network.forward = functools.wraps(forward)(lambda images: forward(images) ** 2)  # type: ignore[method-assign]


def with_doubled_images(network: MLP) -> None:
    network.forward = types.MethodType(  # type: ignore[method-assign]
        lambda self, images: type(self).forward(self, 2 * images), network
    )


def with_another_class(network: MLP) -> None:
    network.hidden1.linear.__class__ = Absolute


CHANGES: dict[str, Callable[[MLP], Any]] = {
    "hook on a layer": lambda network: network.hidden1.register_forward_hook(silence_half),
    "hook on a ReLU": lambda network: network.hidden1.relu.register_forward_hook(silence_half),
    "hook on the logits": lambda network: network.output.register_forward_hook(lambda *given: given[-1] ** 2),
    "hook with keywords": lambda network: network.hidden2.register_forward_hook(
        lambda module, inputs, keywords, output: output / 2, with_kwargs=True
    ),
    "pre-hook on the network": lambda network: network.register_forward_pre_hook(
        lambda module, inputs: ((inputs[0] - 0.1) / 0.3,)
    ),
    "pre-hook on a linear map": lambda network: network.hidden2.linear.register_forward_pre_hook(
        lambda module, inputs: (inputs[0].clamp(max=0.2),)
    ),
    "backward hook": lambda network: network.hidden2.relu.register_full_backward_hook(
        lambda module, into, out: (into[0].clamp(min=0),)
    ),
    "backward pre-hook": lambda network: network.hidden2.relu.register_full_backward_pre_hook(
        lambda module, out: (out[0] / 2,)
    ),
    "another function in a ReLU": lambda network: setattr(network.hidden1.relu, "forward", torch.tanh),
    "another call of a ReLU": lambda network: setattr(network.hidden1.relu, "_call_impl", torch.tanh),
    "another compiled call": lambda network: setattr(network.hidden1.relu, "_compiled_call_impl", torch.tanh),
    "no ReLU": lambda network: delattr(network.hidden1, "relu"),
    "dropout for a ReLU": lambda network: setattr(network.hidden1, "relu", nn.Dropout(0.0)),
    "leaky ReLU": lambda network: setattr(network.hidden2, "relu", nn.LeakyReLU(0.2)),
    "subclass of ReLU": lambda network: setattr(network.hidden1, "relu", Damped()),
    "class of a linear map": with_another_class,
    "one more part": lambda network: network.hidden1.add_module("more", nn.Tanh()),
    "part that is not used": lambda network: setattr(network, "skip", nn.Linear(12, 4)),
    "shared ReLU": lambda network: setattr(network.hidden1, "relu", network.hidden2.relu),
    "more than an output": lambda network: setattr(network, "output", nn.Sequential(network.output, nn.Tanh())),
    "residual connection": with_residual,
    "wrapped forward": with_squared_logits,
    "bound forward": with_doubled_images,
    "old weight_norm": with_weight_norm,
    "old spectral_norm": lambda network: nn.utils.spectral_norm(network.hidden1.linear),
    "weight_norm": lambda network: parametrizations.weight_norm(network.hidden1.linear),
    "spectral_norm": lambda network: parametrizations.spectral_norm(network.hidden2.linear),
    "pruning": lambda network: prune.l1_unstructured(network.hidden1.linear, "weight", 0.5),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_perceptron_is_measured_as_automatic_differentiation_has_it(name: str) -> None:
    measured = []
    for kind in (MLP, Same):
        network = perceptron(kind)
        torch.manual_seed(1)
        CHANGES[name](network)
        assert why_not_plain(network)
        measured.append(similarity_matrices(network, IMAGES, CLASSES, layers=LAYERS))
    assert largest_difference(*measured) <= 1e-6


def test_a_silenced_layer_has_no_covariance() -> None:
    network = perceptron()
    assert similarity_matrices(network, IMAGES)["hidden2"]["input_covariance"].any()
    network.hidden1.register_forward_hook(lambda module, inputs, output: output * 0)
    found = similarity_matrices(network, IMAGES, CLASSES)  # layers are known of an MLP whatever was done to it
    assert all(not found[layer]["input_covariance"].any() for layer in LAYERS)


def test_a_hook_that_is_removed_leaves_nothing() -> None:
    network = perceptron()
    expected = similarity_matrices(network, IMAGES)
    network.hidden1.register_forward_hook(silence_half).remove()
    assert why_not_plain(network) == ""
    assert largest_difference(similarity_matrices(network, IMAGES), expected) == 0


def test_hooks_of_states_do_not_matter() -> None:
    network = perceptron()
    network.register_state_dict_post_hook(lambda *given: None)
    network.note = "mine"
    assert why_not_plain(network) == ""


def clipped(relu: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    return functools.wraps(relu)(lambda values, inplace=False: relu(values).clamp(max=0.4))


def straight_through(relu: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """The same values with other derivatives."""
    return lambda *given: relu(*given) + (given[-1] - given[-1].detach()) / 2


EVERYWHERE: dict[str, Callable[[pytest.MonkeyPatch], Any]] = {
    "ReLU.forward": lambda patch: patch.setattr(nn.ReLU, "forward", lambda self, values: torch.tanh(values)),
    "ReLU.__call__": lambda patch: patch.setattr(nn.ReLU, "__call__", lambda self, values: values / 2, raising=False),
    "MLP.forward": lambda patch: patch.setattr(
        MLP, "forward", lambda self, x: self.output(self.hidden2(self.hidden1(-x)))
    ),
    "Linear.forward": lambda patch: patch.setattr(nn.Linear, "forward", lambda self, x: x @ self.weight.T),
    "Module.__call__": lambda patch: patch.setattr(
        nn.Module,
        "__call__",
        functools.partialmethod(lambda self, call, *given: call(self, *given) / 2, nn.Module.__call__),
    ),
    "functional.relu": lambda patch: patch.setattr(nn.functional, "relu", clipped(nn.functional.relu)),
    "derivatives of ReLU": lambda patch: patch.setattr(nn.ReLU, "forward", straight_through(nn.ReLU.forward)),
    "functional.linear": lambda patch: patch.setattr(nn.functional, "linear", lambda x, weight, bias: x @ weight.T),
}


@pytest.mark.parametrize("name", EVERYWHERE)
def test_what_is_replaced_for_all_networks_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = [perceptron(), perceptron(Same)]
    plain = similarity_matrices(networks[0], IMAGES)
    EVERYWHERE[name](monkeypatch)
    measured = [similarity_matrices(network, IMAGES, CLASSES, layers=LAYERS) for network in networks]
    assert largest_difference(*measured) <= 1e-6
    assert largest_difference(measured[0], plain, ["input_covariance", "input_gradient", "output_gradient"]) > 0.1


def halved(module: nn.Module, *given: Any) -> Any:
    """The output of a ReLU, or the derivative before it, by half."""
    if not isinstance(module, nn.ReLU):
        return None
    return given[-1] / 2 if isinstance(given[-1], torch.Tensor) else (given[0][0] / 2,)


@pytest.mark.parametrize("kind", ["forward", "full_backward"])
def test_a_hook_for_all_modules_is_noticed(kind: str) -> None:
    networks = [perceptron(), perceptron(Same)]
    hook = getattr(nn.modules.module, f"register_module_{kind}_hook")(halved)
    try:
        measured = [similarity_matrices(network, IMAGES, CLASSES, layers=LAYERS) for network in networks]
    finally:
        hook.remove()
    assert largest_difference(*measured) <= 1e-6


@pytest.mark.parametrize("part", ["output", "hidden1", "hidden2"])
def test_no_bias_is_a_bias_of_zero(part: str) -> None:
    without, zero = perceptron(), perceptron()
    for network, linear in ((without, None), (zero, None)):
        linear = network.output if part == "output" else network.get_submodule(part).linear
        linear.bias = None if network is without else nn.Parameter(torch.zeros(linear.out_features))
    assert why_not_plain(without) == ""
    assert largest_difference(similarity_matrices(without, IMAGES), similarity_matrices(zero, IMAGES)) == 0


def test_an_output_of_another_width_is_the_one_that_counts() -> None:
    network = perceptron()
    network.output = nn.Linear(8, 2)
    assert similarity_matrices(network, IMAGES)["hidden2"]["output_hessian"].any()
    with pytest.raises(ValueError, match=r"labels must lie in 0..1, as the network has 2 outputs, got 0..3"):
        similarity_matrices(network, IMAGES, CLASSES)


def test_a_copy_is_as_plain_as_the_network() -> None:
    assert why_not_plain(copy.deepcopy(perceptron()).eval().requires_grad_(False).double()) == ""

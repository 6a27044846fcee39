"""A layer whose activation function cannot be named is measured before it, and the caller is told so."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.similarity.pre_activations import PreActivations

IMAGES = np.random.default_rng(0).uniform(size=(6, 5))


class Network(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.first, self.second, self.output = nn.Linear(5, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.function = function

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.output(self.function(self.second(self.function(self.first(images)))))


def told(network: nn.Module, *layers: str) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        similarity_matrices(network, IMAGES, layers=layers, measures=["input_covariance"])
    assert all(warning.category is PreActivations and warning.filename == __file__ for warning in caught)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (functional.relu, "relu"),
        (lambda values: functional.relu(values, inplace=True), "relu"),
        (torch.relu, "relu"),
        (torch.Tensor.relu, "relu"),
        (torch.Tensor.relu_, "relu"),
        (torch.tanh, "tanh"),
        (torch.Tensor.sigmoid, "sigmoid"),
        (functional.gelu, "gelu"),
        (functional.silu, "silu"),
        (functional.leaky_relu, "leaky_relu"),
        (functional.logsigmoid, "log_sigmoid"),
        (functional.softplus, "softplus"),
        (lambda values: functional.threshold(values, 0.0, 0.0), "threshold"),
        (lambda values: values.clamp(min=0), "clamp"),
        (lambda values: torch.maximum(values, torch.zeros(())), "maximum"),
        (lambda values: values * (values > 0), "gt"),
        (lambda values: values * torch.sigmoid(values), "sigmoid"),
        (lambda values: functional.relu(functional.dropout(values.view(-1, 4), 0.5, False)), "relu"),
        (lambda values: nn.ReLU()(values), "relu"),
        (lambda values: functional.relu(values) if values.sum() < 1e9 else values, "relu"),  # cannot be traced
    ],
)
def test_a_function_that_follows_is_named(function: Callable[[torch.Tensor], torch.Tensor], name: str) -> None:
    first, second = told(Network(function), "first", "second")
    assert first.startswith(f"layer 'first' is followed by {name}(), so its pre-activations are measured")
    assert "torch.nn.ReLU()" in first
    assert second.startswith("layer 'second'")
    assert told(Network(function), "output") == []


@pytest.mark.parametrize(
    "function", [torch.Tensor.clone, lambda values: 2 * values, lambda values: values.softmax(dim=1), nn.LayerNorm(4)]
)
def test_what_is_no_activation_function_is_not_named(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    assert told(Network(function), "first", "second", "output") == []


class Doubled(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return 2 * functional.relu(values)


@pytest.mark.parametrize("kind", [nn.ReLU, nn.GELU, Doubled])
def test_a_module_that_is_used_once_can_be_named_and_one_that_is_reused_cannot(kind: type[nn.Module]) -> None:
    once = nn.Sequential(nn.Linear(5, 4), kind(), nn.Linear(4, 3))
    assert told(once, "0", "1") == []
    [message] = told(Network(kind()), "first")
    assert message.startswith("layer 'first' is followed by module 'function', which is called 2 times, so its pre-")


def test_a_block_is_told_as_its_last_layer_is_and_one_with_its_activation_is_not() -> None:
    network = Network(functional.relu)
    network.first = nn.Sequential(nn.Linear(5, 4))
    assert len(told(network, "first", "first.0")) == 2
    network.first = nn.Sequential(nn.Linear(5, 4), nn.Tanh())
    assert told(network, "first", "first.1") == []


def test_half_precision_and_compiled_networks_are_told_too() -> None:
    assert len(told(Network(functional.relu).half(), "first")) == 1
    compiled = torch.compile(Network(functional.relu), backend="eager")
    [message] = told(compiled, "second")
    assert message.startswith("layer 'second'")


def test_watching_leaves_no_hooks() -> None:
    network = Network(functional.relu)
    told(network, "first")
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())

"""A layer whose activation function cannot be named is measured before it, and the caller is told so."""

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from modularity_lib.similarity.evaluation import Subject
from modularity_lib.similarity.inputs import Inputs
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.similarity.places import Layer
from modularity_lib.similarity.pre_activations import PreActivations, warn_of_pre_activations

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


def until_all_are_small(values: torch.Tensor) -> torch.Tensor:
    return functional.relu(values) if values.sum() < 1e9 else values


def made_on_the_way(values: torch.Tensor) -> torch.Tensor:
    return nn.ReLU()(values)


def beside_a_mean(values: torch.Tensor) -> torch.Tensor:
    return torch.stack([values, values], 2).mean(2) + values.relu()


CANNOT_BE_TRACED = (until_all_are_small, made_on_the_way, torch.Tensor.relu, torch.Tensor.relu_, torch.Tensor.sigmoid)


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
        (made_on_the_way, "relu"),
        (until_all_are_small, "relu"),
        # written by hand
        (lambda values: torch.max(values, torch.zeros(())), "max"),
        (lambda values: values * torch.sigmoid(1.702 * values), "sigmoid"),
        (lambda values: 0.5 * values * (1 + torch.erf(values / 2**0.5)), "erf"),
        (lambda values: torch.where(values > 0, values, 0), "gt"),
        (lambda values: torch.where(values.le(0), 0.1 * values, values), "le"),
        (lambda values: (values.abs() + values) / 2, "abs"),
        (lambda values: torch.log1p(values.exp()), "exp"),
        (lambda values: values**2, "pow"),
        (lambda values: values * values, "mul"),
        (torch.square, "square"),
        (lambda values: torch.heaviside(values, torch.zeros(())), "heaviside"),
        (lambda values: values / (1 + values.abs()), "abs"),
        (lambda values: 1 / (1 + (-values).exp()), "exp"),
        (lambda values: torch.logaddexp(values, torch.zeros(())), "logaddexp"),
        (lambda values: torch.special.expit(values), "special_expit"),
        (lambda values: torch.addcmul(values, values, values), "addcmul"),
        (lambda values: torch.atan(3 * (values - 0.2)).T.contiguous().T, "atan"),
        (lambda values: values.masked_fill(values < 0, 0), "lt"),
        (lambda values: values.sign() * values, "sign"),
        (lambda values: (values + torch.ones(4)).round(), "round"),
        (lambda values: values[:, None].sin()[:, 0], "sin"),
        (lambda values: torch.minimum(torch.ones(()), values), "minimum"),
        (lambda values: values.add_(1).mul_(2).relu_(), "relu"),
        (lambda values: values.reshape(-1).tanh().view(-1, 4), "tanh"),
        (beside_a_mean, "relu"),
        (lambda values: Spikes.apply(values), "gt"),
        (lambda values: 2 * Spikes.apply(3 * values), "gt"),
    ],
)
def test_a_function_that_follows_is_named(function: Callable[[torch.Tensor], torch.Tensor], name: str) -> None:
    first, second = told(Network(function), "first", "second")
    assert first.startswith(f"layer 'first' is followed by {name}(), so its pre-activations are measured")
    assert second.startswith("layer 'second'")
    named = re.search("To measure what comes after, name '([a-z0-9_]+)' in layers.$", first)
    if named is None:
        assert "torch.nn.ReLU()" in first
        assert function in CANNOT_BE_TRACED
        return
    network = Network(function)
    found = similarity_matrices(network, IMAGES, layers=[named[1]], measures=["input_covariance"])[named[1]]
    with torch.no_grad():
        applied = torch.relu if function is beside_a_mean else function
        activity = applied(network.first.float()(torch.tensor(IMAGES).float())).double()
    expected = np.abs(np.cov(activity.numpy().T, bias=True))
    np.testing.assert_allclose(found["input_covariance"], expected, atol=1e-6)
    assert told(Network(function), "output") == []


@pytest.mark.parametrize("sign", [-1, 1])
def test_what_comes_after_is_named_whatever_numbers_come_before(sign: int) -> None:
    for function in (lambda values: values * (values > 0), lambda values: (values.abs() + values) / 2):
        network = Network(function)
        with torch.no_grad():
            network.first.bias.fill_(100.0 * sign)
        [first] = told(network, "first")
        assert re.search("name '(mul|truediv)' in layers", first)


def set_negatives_to_zero(values: torch.Tensor) -> torch.Tensor:
    values[values < 0] = 0
    return values


def test_a_function_by_assignment_is_told() -> None:
    [message] = told(Network(set_negatives_to_zero), "first")
    assert "is followed by lt()" in message


def normalised_by_hand(values: torch.Tensor) -> torch.Tensor:
    return (values - values.mean(1, keepdim=True)) / (values.var(1, keepdim=True) + 1e-5).sqrt()


def scaled_by_root_mean_square(values: torch.Tensor) -> torch.Tensor:
    return values * torch.rsqrt(values.pow(2).mean(dim=-1, keepdim=True) + 1e-6)


def softmax_by_hand(values: torch.Tensor) -> torch.Tensor:
    exponential = values.exp()
    return exponential / exponential.sum(dim=1, keepdim=True)


def looked_at(values: torch.Tensor) -> torch.Tensor:
    assert not torch.isnan(values).any()
    assert float((values > 0).float().mean()) <= 1
    assert values.abs().max().item() < 1e6
    return values


ATTENTION = nn.MultiheadAttention(4, 2, batch_first=True)


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: torch.Tensor) -> torch.Tensor:
        return values.clone()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return -gradient


class Spikes(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: torch.Tensor) -> torch.Tensor:
        return (values > 0).to(values.dtype)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return gradient


@pytest.mark.parametrize(
    "function",
    [
        torch.Tensor.clone,
        lambda values: 2 * values,
        lambda values: values * torch.ones(4) + torch.ones(4),
        lambda values: values.softmax(dim=1),
        nn.LogSoftmax(1),
        lambda values: functional.log_softmax(values, 1),
        nn.LayerNorm(4),
        nn.BatchNorm1d(4),
        lambda values: functional.relu(nn.LayerNorm(4)(values)),
        lambda values: functional.relu(functional.normalize(values)),
        normalised_by_hand,
        scaled_by_root_mean_square,
        lambda values: functional.relu(normalised_by_hand(values)),
        softmax_by_hand,
        looked_at,
        lambda values: values @ torch.eye(4),
        lambda values: functional.relu(values @ torch.eye(4)),
        lambda values: torch.einsum("iu,u->iu", values, torch.ones(4)).tanh(),
        lambda values: functional.linear(values, torch.eye(4)).relu(),
        lambda values: functional.conv1d(values[:, None], torch.ones(1, 1, 1))[:, 0].relu(),
        lambda values: ATTENTION(values[:, None], values[:, None], values[:, None])[0][:, 0],
        lambda values: functional.max_pool1d(values, 1),
        lambda values: torch.cat([values, values], dim=1)[:, :4],
        lambda values: torch.cat([values[:, :2].relu(), values[:, 2:]], dim=1),
        lambda values: values.cumsum(1),
        lambda values: values.sort(1).values,
        lambda values: functional.glu(torch.cat([values, values], 1)),
        nn.GRUCell(4, 4),
        lambda values: functional.dropout(values, 0.5, False).flip(1).view(-1, 2, 2).flatten(1),
        Reversed.apply,
    ],
)
def test_what_is_no_activation_function_is_not_named(function: Callable[[torch.Tensor], torch.Tensor]) -> None:
    network = Network(function)
    assert told(network, "first", "second", "output") == []


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu, self.branch, self.block = nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 4), nn.Identity()
        self.gate, self.output = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        start = self.relu(self.first(images))
        total = functional.relu(start + self.branch(start))
        return self.output(self.block(total) * self.gate(total))


def test_residual_sums_and_gates_are_not_named() -> None:
    assert told(Residual(), "first", "relu", "branch", "block", "gate", "output") == []


def test_parts_of_pytorch_that_hold_functions_are_not_named() -> None:
    encoder = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    network = nn.Sequential(nn.Linear(5, 4), nn.Unflatten(1, (1, 4)), encoder, nn.Flatten(), nn.Linear(4, 3))
    assert told(network, "0", "3", "4") == []


class Returning(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.first, self.output, self.function = nn.Linear(5, 4), nn.Linear(4, 3), function

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.function(self.output(self.first(images)))


def test_a_function_at_the_end_is_told() -> None:
    assert len(told(Returning(torch.sigmoid), "output")) == 1
    assert len(told(Returning(Spikes.apply), "output")) == 1
    assert told(Returning(nn.Sigmoid()), "output") == []
    assert told(Returning(lambda values: values - 1), "first", "output") == []


class Readout(nn.Module):
    """A module without parts that applies a function and more: what comes after the function has no name."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(4))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return functional.relu(values) @ self.weight


def test_a_function_within_a_module_that_does_more_is_told() -> None:
    network = nn.Sequential(nn.Linear(5, 4), Readout(), nn.Linear(4, 3))
    [message] = told(network, "0")
    assert "is followed by relu()" in message


class Doubled(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return 2 * functional.relu(values)


@pytest.mark.parametrize("kind", [nn.ReLU, nn.GELU, Doubled])
def test_a_module_that_is_used_once_can_be_named_and_one_that_is_reused_cannot(kind: type[nn.Module]) -> None:
    once = nn.Sequential(nn.Linear(5, 4), kind(), nn.Linear(4, 3))
    assert told(once, "0", "1") == []
    [message] = told(Network(kind()), "first")
    assert message.startswith("layer 'first' is followed by module 'function', which is called 2 times, so its pre-")
    assert message.endswith("name it in layers, and the call in calls={'function': 0}.")
    [message] = told(Network(kind()), "second")
    assert message.endswith("name it in layers, and the call in calls={'function': 1}.")


class Swish(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values * torch.sigmoid(values)


class Cut(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return torch.where(values > 0, values, 0)


def test_a_block_is_told_as_its_last_layer_is_and_one_that_ends_in_an_activation_is_not() -> None:
    for block, paths in (
        (nn.Sequential(nn.Linear(5, 4)), ("first", "first.0")),
        (nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 4)), ("first", "first.2")),
        (nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Dropout(0.1), nn.Linear(4, 4), nn.Dropout(0.1)), ("first",)),
    ):
        network = Network(functional.relu)
        network.first = block
        assert len(told(network, *paths)) == len(paths)
    for kind in (nn.Tanh, nn.ReLU, Swish, Cut, lambda: nn.Sequential(nn.Tanh(), nn.Dropout(0.1))):
        network = Network(functional.relu)
        network.first = nn.Sequential(nn.Linear(5, 4), kind())
        assert told(network, "first", "first.1") == []


def test_tensors_that_forward_writes_to_are_not_written_to_once_more() -> None:
    latest = torch.zeros(1)

    def keep(values: torch.Tensor) -> torch.Tensor:
        latest.resize_(values.shape).copy_(values.detach())
        return values

    layer = Layer("output", "output", shape=(3,))
    warn_of_pre_activations(Subject(Returning(keep), (layer,)), Inputs((IMAGES,)), dict, stacklevel=1)
    assert 0 < latest.abs().max() < 5


def test_half_precision_and_compiled_networks_are_told_too() -> None:
    assert len(told(Network(functional.relu).half(), "first")) == 1
    compiled = torch.compile(Network(functional.relu), backend="eager")
    [message] = told(compiled, "second")
    assert message.startswith("layer 'second'")


def test_watching_leaves_no_hooks() -> None:
    network = Network(functional.relu)
    told(network, "first")
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())

"""Functions in forward are measured under the names of torch.fx, as the same network with modules in their place is."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.similarity.nodes import CannotBeTraced, Node, nodes_of, nodes_taken
from modularity_lib.vocabulary import MEASURES, Measure, quantity_of

pytestmark = pytest.mark.usefixtures("seeded")

INPUTS = np.random.default_rng(0).normal(size=(8, 6))
CLASSES = np.arange(8) % 3


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.output = nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(5, 3)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = functional.silu(self.first(x))
        return self.output(functional.silu(self.second(h)))


class InPlace(Network):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        functional.silu(h, inplace=True)  # what it returns is not used
        h = self.second(h)
        return self.output(functional.silu(h, inplace=True))


class Method(Network):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        h = h * h.sigmoid()
        h = self.second(h)
        h *= torch.sigmoid(h)
        return self.output(h)


class WithDefaults(Network):
    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None, scale: float = 1.0) -> torch.Tensor:
        h = self.first(x)
        if mask is not None:
            h = functional.silu(h * mask)
        if self.training:
            h = functional.silu(h)
        h = self.second(functional.silu(scale * h))
        return self.output(functional.silu(h))


class WithParts(Network):
    """Parts of the user's own, a function inside of PyTorch's modules, and functions that no input goes through."""

    class Part(nn.Module):
        def __init__(self, linear: nn.Linear) -> None:
            super().__init__()
            self.linear, self.scale = linear, nn.Parameter(torch.ones(5, dtype=torch.float64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.silu(functional.silu(nn.functional.softplus(self.scale)) * 0 + self.linear(x))

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.act = self.Part(self.first), self.Part(self.second), nn.SiLU()
        self.mixed = nn.Linear(5, 5).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.two(self.one(x)) + 0 * self.act(self.mixed(torch.eye(5, dtype=torch.float64)[:1])))


def reference(layer: int, network: Network) -> dict[Measure, np.ndarray]:
    """The eight measures after the first or second SiLU, input by input, in float64."""
    maps = [network.first, network.second, network.output]

    def before(x: torch.Tensor) -> torch.Tensor:
        for linear in maps[:layer]:
            x = functional.silu(linear(x))
        return x

    def after(h: torch.Tensor) -> torch.Tensor:
        for linear in maps[layer:-1]:
            h = functional.silu(linear(h))
        return network.output(h)

    activities, found = [], {"input_gradient": 0.0, "output_gradient": 0.0, "output_hessian": 0.0}
    jacobian, hessian = torch.autograd.functional.jacobian, torch.autograd.functional.hessian
    for x, label in zip(torch.tensor(INPUTS), torch.tensor(CLASSES), strict=True):
        h = before(x).detach()
        activities.append(h.numpy())
        up, down = jacobian(before, x), jacobian(after, h)
        found["input_gradient"] += (up @ up.T).numpy() / len(INPUTS)
        found["output_gradient"] += (down.T @ down).numpy() / len(INPUTS)
        curved = hessian(lambda h, label=label: functional.cross_entropy(after(h), label), h)
        found["output_hessian"] += curved.numpy() / len(INPUTS)
    averages: dict[str, Any] = found | {"input_covariance": np.cov(np.array(activities).T, bias=True)}
    measures = {}
    for name in MEASURES:
        signed = averages[quantity_of(name)]
        root = np.sqrt(np.abs(signed.diagonal()))
        measures[name] = np.abs(signed / np.outer(root, root)) if name.endswith("_norm") else np.abs(signed)
    return measures


NETWORKS: dict[str, tuple[Callable[[], Network], tuple[str, str]]] = {
    "functions": (Network, ("silu", "silu_1")),
    "in place": (InPlace, ("silu", "silu_1")),
    "methods and operators": (Method, ("mul", "mul_1")),
    "arguments that are left out": (WithDefaults, ("silu", "silu_1")),
}


def assert_measured(network: nn.Module, name: str, expected: dict[Measure, np.ndarray], **options: Any) -> None:
    found = similarity_matrices(network, INPUTS, CLASSES, layers=[name], **options)[name]
    for measure in MEASURES:
        np.testing.assert_allclose(found[measure], expected[measure], atol=1e-12, err_msg=measure)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_function_is_measured_as_derivatives_input_by_input_have_it(kind: str) -> None:
    build, names = NETWORKS[kind]
    network = build()
    before = copy.deepcopy(network.state_dict()), set(vars(network))
    for place, name in enumerate(names, start=1):
        assert_measured(network, name, reference(place, network))
        assert_measured(network, name, reference(place, network), batch_size=3)
    assert set(vars(network)) == before[1]
    assert all(torch.equal(value, before[0][key]) for key, value in network.state_dict().items())
    assert network.training


@pytest.mark.parametrize("kind", NETWORKS)
def test_functions_and_submodules_are_measured_together(kind: str) -> None:
    build, names = NETWORKS[kind]
    network = build()
    options: dict[str, Any] = {"measures": ["input_gradient", "output_hessian"]}
    with pytest.warns(UserWarning, match="name"):
        both = similarity_matrices(network, INPUTS, CLASSES, layers=["first", *names, "second"], **options)
    assert list(both) == ["first", *names, "second"]
    for place, name in enumerate(names, start=1):
        for measure in both[name]:
            np.testing.assert_allclose(both[name][measure], reference(place, network)[measure], atol=1e-12)


def test_names_are_those_of_torch_fx() -> None:
    for build, names in NETWORKS.values():
        if build is WithDefaults:
            continue  # of which torch.fx has all branches
        graph = torch.fx.symbolic_trace(build().eval()).graph
        assert set(names) <= {node.name for node in graph.nodes}


def test_functions_of_parts_and_of_parameters_are_told_apart() -> None:
    network = WithParts()
    for place, name in enumerate(("silu_1", "silu_3"), start=1):  # the others are of parameters
        assert_measured(network, name, reference(place, network))


def test_hooks_of_the_user_count() -> None:
    """One on the whole network, one on a part; each changes what comes after."""
    network, expected = Network(), Network()
    expected.load_state_dict(network.state_dict())
    with torch.no_grad():
        expected.first.weight.mul_(3)  # as inputs times 3
        expected.second.weight[1] = expected.second.bias[1] = 0.0
    network.register_forward_pre_hook(lambda module, inputs: (functional.silu(inputs[0]) * 0 + 3 * inputs[0],))
    network.second.register_forward_hook(
        lambda module, inputs, output: output * (torch.arange(5) != 1) + 0 * functional.silu(output)
    )
    found = similarity_matrices(network, INPUTS, CLASSES, layers=["silu", "silu_1"])
    same = similarity_matrices(expected, INPUTS, CLASSES, layers=["silu", "silu_1"])
    for layer in same:
        for measure in MEASURES:
            np.testing.assert_allclose(found[layer][measure], same[layer][measure], atol=1e-12)


def test_compiled_networks_have_the_same_functions() -> None:
    network = Network()
    assert_measured(torch.compile(network, backend="eager"), "silu", reference(1, network))


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.output = nn.Conv2d(1, 4, 3), nn.Linear(16, 3)
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(torch.flatten(functional.max_pool2d(functional.relu(self.conv(x)), 2), 1))


@pytest.mark.parametrize("positions", ["average", "pool"])
def test_channels_of_a_function_are_those_of_a_module(positions: str) -> None:
    network = Convolutional()
    chain = nn.Sequential(network.conv, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), network.output)
    images = np.random.default_rng(0).normal(size=(5, 1, 6, 6))
    options: dict[str, Any] = {"labels": CLASSES[:5], "positions": positions}
    for name, place in (("relu", "1"), ("max_pool2d", "2"), ("flatten", "3")):
        axis = None if name == "flatten" else 1
        units = {} if axis is None else {"units": {name: axis}}
        same = {} if axis is None else {"units": {place: axis}}
        if axis is None:
            options["positions"] = "average"
        found = similarity_matrices(network, images, layers=[name], **units, **options)[name]
        expected = similarity_matrices(chain, images, layers=[place], **same, **options)[place]
        for measure in MEASURES:
            np.testing.assert_allclose(found[measure], expected[measure], atol=1e-12)


class Deciding(Network):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) if x.isfinite().all() else x[:, :3]


def test_a_network_that_cannot_be_traced_says_why() -> None:
    with pytest.raises(
        ValueError,
        match=r"^layers has no 'silu'\. Expected some of first, second, output\. Only submodules can be named, and no "
        r"functions in forward, as torch\.fx cannot trace this network: symbolically traced variables cannot be used",
    ):
        similarity_matrices(Deciding(), INPUTS, layers=["silu"], measures=["input_covariance"])
    network = Network()
    network.forward = lambda x: Network.forward(network, x)  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="cannot trace this network: its forward was replaced"):
        similarity_matrices(network, INPUTS, layers=["silu"], measures=["input_covariance"])


def test_an_unknown_name_is_answered_with_submodules_and_functions() -> None:
    with pytest.raises(
        ValueError, match=r"layers has no 'silu_2'\. Did you mean 'silu_1'\? .*first, second, output, silu, silu_1\.$"
    ):
        similarity_matrices(Network(), INPUTS, layers=["silu_2"], measures=["input_covariance"])


def test_a_function_that_is_called_now_more_now_less_is_refused() -> None:
    network, values = Network().eval(), torch.tensor(INPUTS)
    with (
        pytest.raises(ValueError, match=r"silu\(\) is called 2 times in a forward pass, and 3 times in another"),
        nodes_taken(network, [(Node("silu", 0, 3), lambda output: None)]),
    ):
        network(values)
    assert "forward" not in vars(network)


def test_what_is_not_found_again_cannot_be_named() -> None:
    class Changing(Network):
        n_runs = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            Changing.n_runs += 1
            return self.output(functional.silu(self.first(x)) * Changing.n_runs)

    network, values = Changing().eval(), torch.tensor(INPUTS)
    assert list(nodes_of(network, lambda: network(values))) == ["silu"]  # and not "mul"
    with pytest.raises(CannotBeTraced, match="its forward is called 2 times"):
        nodes_of(network, lambda: (network(values), network(values)))

"""Several passes backwards at once, and inputs that enter through one linear map, change no derivative."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from modularity_lib.similarity import averages, backward, derivatives
from modularity_lib.similarity.backward import Backward
from modularity_lib.similarity.linear_maps import linear_entry, linear_exit
from modularity_lib.similarity.measures import similarity_matrices

pytestmark = pytest.mark.usefixtures("seeded")

INPUTS = np.random.default_rng(0).normal(size=(7, 40))
CLASSES = np.arange(7) % 3


def chain(*more: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(40, 6), nn.Tanh(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3), *more).double()


def average_of_products(network: nn.Module, layer: int, inputs: np.ndarray) -> np.ndarray:
    """⟨∂h_i/∂x, ∂h_j/∂x⟩ of a chain, input by input."""
    total: Any = 0
    for x in torch.tensor(inputs):
        jacobian = torch.autograd.functional.jacobian(lambda x: network[: layer + 1](x[None])[0], x)
        flat = jacobian.flatten(1).numpy()
        total = total + flat @ flat.T
    return np.abs(total / len(inputs))


# --- through one linear map ---


class Network(nn.Module):
    """A linear map in some form, then tanh and what else is made of it and of the inputs."""

    def __init__(self, enter: Callable[["Network", torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.first, self.other = nn.Linear(40, 6), nn.Linear(40, 6)
        self.weight = nn.Parameter(torch.randn(40, 6))
        self.act, self.output, self.enter = nn.Tanh(), nn.Linear(6, 3), enter
        self.double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.act(self.enter(self, x)))


def with_hook(network: Network, x: torch.Tensor) -> torch.Tensor:
    x = x * 1
    x.register_hook(lambda gradient: gradient / 2)
    return network.first(x)


def with_hook_on_a_copy(network: Network, x: torch.Tensor) -> torch.Tensor:
    x = x.view(len(x), 40)
    x.register_hook(lambda gradient: gradient / 2)
    return network.first(x)


ENTER: dict[str, tuple[bool, Callable[[Network, torch.Tensor], torch.Tensor]]] = {
    "linear": (True, lambda network, x: network.first(x)),
    "a product": (True, lambda network, x: x @ network.weight),
    "a function": (True, lambda network, x: functional.linear(x, network.first.weight)),
    "addmm": (True, lambda network, x: torch.addmm(network.first.bias, x, network.weight)),
    "flattened": (True, lambda network, x: network.first(x.reshape(len(x), 4, 10).flatten(1))),
    "functions after it": (True, lambda network, x: network.first(x).sigmoid() * 3),
    "alpha": (False, lambda network, x: torch.addmm(network.first.bias, x, network.weight, alpha=2)),
    "turned": (False, lambda network, x: network.first(x.reshape(len(x), 4, 10).transpose(1, 2).flatten(1))),
    "a part": (False, lambda network, x: x[:, :20] @ network.weight[:20]),
    "scaled": (False, lambda network, x: network.first(2 * x)),
    "two maps": (False, lambda network, x: network.first(x) + network.other(x)),
    "a skip connection": (False, lambda network, x: network.first(x) + x[:, :6]),
    "the same map twice": (False, lambda network, x: network.first(x) * network.first(2 * x)),
    "rows of inputs": (
        False,
        lambda network, x: (x.reshape(-1, 20) @ network.weight[:20]).reshape(len(x), 2, 6).sum(1),
    ),
    "a hook on a tensor": (False, with_hook),
    "a hook on the inputs": (False, with_hook_on_a_copy),
    "the inputs are the map": (False, lambda network, x: (network.weight.T @ x.T).T),
    "cut in part": (True, lambda network, x: network.first(x) + network.other(x.detach())),
}


@pytest.mark.parametrize("name", ENTER)
def test_a_linear_entry_is_seen_where_there_is_one_and_changes_nothing(name: str) -> None:
    is_entry, enter = ENTER[name]
    network = Network(enter)
    x = torch.tensor(INPUTS, requires_grad=True)
    h = network.act(network.enter(network, x.clone()))
    assert (linear_entry(h, x) is not None) == is_entry
    found = similarity_matrices(network, INPUTS, layers=["act"], measures=["input_gradient"])["act"]["input_gradient"]
    expected: Any = 0
    for one in torch.tensor(INPUTS):
        variable = one[None].clone().requires_grad_()
        units = network.act(network.enter(network, variable))
        rows = [torch.autograd.grad(units[0, at], variable, retain_graph=True)[0].flatten() for at in range(6)]
        jacobian = torch.stack(rows).numpy()
        expected = expected + jacobian @ jacobian.T / len(INPUTS)
    np.testing.assert_allclose(found, np.abs(expected), rtol=1e-12, atol=1e-13)


def test_a_linear_entry_is_taken_where_it_is_less_work() -> None:
    x = torch.rand(3, 40, requires_grad=True)
    narrow, wide = nn.Linear(40, 6), nn.Linear(40, 64)
    entries = [linear_entry(network(x.clone()).tanh(), x) for network in (narrow, wide)]
    assert entries[0] is not None
    assert entries[1] is not None
    assert entries[0].saves(6)
    assert not entries[1].saves(64)
    root = entries[0].root()
    weight = narrow.weight.detach().double().numpy()
    np.testing.assert_allclose(root.T @ root, weight @ weight.T, atol=1e-14)


def test_dead_units_have_no_gradient_through_a_linear_entry() -> None:
    network = nn.Sequential(nn.Linear(40, 6), nn.ReLU(), nn.Sigmoid()).float()
    with torch.no_grad():
        network[0].bias[2] = -1e3
    found = similarity_matrices(network, INPUTS, layers=["1"], measures=["input_gradient"])["1"]["input_gradient"]
    assert not found[2].any()
    assert not found[:, 2].any()
    assert found[0, 0] > 0


# --- out of one linear map ---


def with_hook_on_z(network: nn.Module, h: torch.Tensor) -> torch.Tensor:
    z = network(h)
    z.register_hook(lambda gradient: gradient * (1 + torch.arange(5)))
    return z.tanh()


def with_hook_on_the_output(network: nn.Module, h: torch.Tensor) -> torch.Tensor:
    values = network(h).tanh()
    values.register_hook(lambda gradient: 3 * gradient)
    return values


EXIT: dict[str, tuple[bool, Callable[[nn.Module, torch.Tensor], torch.Tensor]]] = {
    "linear": (True, lambda network, h: network(h)),
    "tanh": (True, lambda network, h: network(h).tanh()),
    "relu in place": (True, lambda network, h: functional.relu(network(h), inplace=True)),
    "gelu of sigmoid": (True, lambda network, h: functional.gelu(network(h).sigmoid())),
    "elu, rearranged": (True, lambda network, h: functional.elu(network(h)).view(-1).view(len(h), 5)),
    "softplus": (True, lambda network, h: functional.softplus(network(h), beta=2.0)),
    "of its own inputs": (True, lambda network, h: functional.leaky_relu(network(h.sigmoid()))),
    "softmax": (False, lambda network, h: network(h).softmax(1)),
    "normalised": (False, lambda network, h: functional.layer_norm(network(h), (5,))),
    "by hand": (False, lambda network, h: network(h) * torch.sigmoid(network(h))),
    "with a skip connection": (False, lambda network, h: (network(h) + h[:, :5]).tanh()),
    "a part": (False, lambda network, h: torch.cat([network(h)[:, :3], h[:, :2]], 1)),
    "in another order": (False, lambda network, h: network(h).tanh().flip(1)),
    "a hook on z": (True, with_hook_on_z),
    "a hook on the output": (True, with_hook_on_the_output),
}


@pytest.mark.parametrize("name", EXIT)
def test_a_linear_exit_is_seen_where_there_is_one_and_changes_nothing(name: str) -> None:
    is_exit, leave = EXIT[name]
    last = nn.Linear(6, 5).double()
    x = torch.randn(7, 6, dtype=torch.float64, requires_grad=True)
    outputs = leave(last, x.clone().tanh())
    assert (linear_exit(outputs, [x]) is not None) == is_exit
    rows = [torch.autograd.grad(outputs[:, at].sum(), x, retain_graph=True)[0] for at in range(5)]
    end = linear_exit(outputs, [x])
    if end is not None and "hook" not in name:
        starts = zip(end.starts(range(5)), rows, strict=True)
        for start, row in starts:
            (by_x,) = torch.autograd.grad([end.edge], [x], [start], retain_graph=True)  # type: ignore[list-item]
            torch.testing.assert_close(by_x, row, rtol=1e-12, atol=1e-14)
    found = torch.cat([part for _, (part,) in Backward(n_bytes=1).columns(outputs, [x]) if part is not None])
    torch.testing.assert_close(found, torch.stack(rows), rtol=1e-12, atol=1e-14)


def test_what_lies_behind_the_linear_exit_is_differentiated_by_all_the_same() -> None:
    network = nn.Sequential(nn.Linear(40, 6), nn.Tanh(), nn.Linear(6, 3)).double()  # entry and exit are one map
    found = similarity_matrices(network, INPUTS, CLASSES, layers=["0", "1"])
    expected = average_of_products(network, 1, INPUTS)
    np.testing.assert_allclose(found["1"]["input_gradient"], expected, atol=1e-13)
    weight = network[0].weight.detach().numpy()
    np.testing.assert_allclose(found["0"]["input_gradient"], np.abs(weight @ weight.T), atol=1e-13)


# --- several at once ---


class Own(torch.autograd.Function):
    """A function of the user's that cannot be differentiated for several passes at once."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(values)
        return values**2

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        (values,) = context.saved_tensors
        return torch.from_numpy(2 * values.detach().numpy() * gradient.detach().numpy())


class Squared(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return Own.apply(values)


def halved_when_alone(module: nn.Module, into: Any, out: Any) -> Any:
    """A hook that several passes at once do not see as each alone does."""
    return (into[0] * (0.5 if not torch._C._functorch.is_batchedtensor(into[0]) else 1.0),)


def hooked(network: nn.Sequential) -> nn.Sequential:
    network[1].register_full_backward_hook(halved_when_alone)
    return network


NETWORKS: dict[str, Callable[[], nn.Sequential]] = {
    "tanh": chain,
    "own function": lambda: nn.Sequential(
        nn.Linear(40, 6), Squared(), nn.Linear(6, 5), Squared(), nn.Linear(5, 3)
    ).double(),
    "softplus": lambda: nn.Sequential(
        nn.Linear(40, 6), nn.Tanh(), nn.Linear(6, 5), nn.Softplus(), nn.Linear(5, 3)
    ).double(),
}


@pytest.mark.parametrize("n_bytes", [1, 10_000, 10**9])
@pytest.mark.parametrize("name", NETWORKS)
def test_how_many_go_together_makes_no_difference(name: str, n_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network = NETWORKS[name]()
    monkeypatch.setattr(backward, "_BYTES", n_bytes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = similarity_matrices(network, INPUTS, CLASSES, layers=["3"])["3"]
    np.testing.assert_allclose(found["input_gradient"], average_of_products(network, 3, INPUTS), atol=1e-13)
    after, gradient, hessian = network[4:], 0.0, 0.0
    for x, label in zip(torch.tensor(INPUTS), torch.tensor(CLASSES), strict=True):
        h = network[:4](x[None])[0].detach()
        down = torch.autograd.functional.jacobian(after, h).numpy()
        gradient = gradient + down.T @ down / len(INPUTS)
        loss = lambda h, label=label: functional.cross_entropy(after(h), label)  # noqa: E731
        hessian = hessian + torch.autograd.functional.hessian(loss, h).numpy() / len(INPUTS)
    np.testing.assert_allclose(found["output_gradient"], np.abs(gradient), atol=1e-13)
    np.testing.assert_allclose(found["output_hessian"], np.abs(hessian), atol=1e-13)


def test_what_differs_when_several_go_together_goes_alone() -> None:
    network = hooked(chain())
    found = similarity_matrices(network, INPUTS, layers=["3"], measures=["input_gradient"])["3"]["input_gradient"]
    np.testing.assert_allclose(found, average_of_products(chain_like(network), 3, INPUTS) / 4, atol=1e-13)


def chain_like(network: nn.Sequential) -> nn.Sequential:
    same = chain()
    same.load_state_dict(network.state_dict())
    return same


def test_many_go_together_if_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    grad = torch.autograd.grad

    def counted(*given: Any, **options: Any) -> Any:
        passes.append(options.get("is_grads_batched", False))
        return grad(*given, **options)

    monkeypatch.setattr(torch.autograd, "grad", counted)
    x = torch.rand(4, 8, requires_grad=True)
    outputs = nn.Linear(8, 10)(x).tanh()
    blocks = list(Backward(n_bytes=6_000_000).columns(outputs, [x]))
    assert [n_columns for n_columns, _ in blocks] == [4, 4, 2]
    assert passes == [False, True, False, True, True]  # the first is of the tanh, the third compares
    with pytest.raises(ValueError, match="not defined"):
        list(derivatives.blocks(outputs.detach(), [x], None, "act"))  # type: ignore[arg-type]


def test_positions_are_counted_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Conv2d(4, 3, 2)).double()
    images = np.random.default_rng(1).normal(size=(3, 1, 6, 5))
    expected: Any = 0
    for x in torch.tensor(images):
        jacobian = torch.autograd.functional.jacobian(lambda x: network(x[None])[0], x).flatten(3).numpy()
        expected = expected + np.einsum("ipqx,jpqx->ij", jacobian, jacobian) / (len(images) * jacobian[0, :, :, 0].size)
    for n_bytes in (1, 60_000, 10**9):
        monkeypatch.setattr(backward, "_BYTES", n_bytes)
        monkeypatch.setattr(averages, "_BATCH_BYTES", n_bytes)
        found = similarity_matrices(network, images, layers=["2"], units={"2": 1}, measures=["input_gradient"])["2"]
        np.testing.assert_allclose(found["input_gradient"], np.abs(expected), rtol=1e-12)

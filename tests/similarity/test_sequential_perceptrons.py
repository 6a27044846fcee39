"""A perceptron written as a chain of PyTorch's own parts takes the closed form, and is measured as derivatives say."""

import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from modularity_lib.similarity import measures
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.similarity.perceptron import plain_perceptron, why_not_plain
from modularity_lib.training.networks import MLP
from modularity_lib.vocabulary import MEASURES, Measure, quantity_of

pytestmark = pytest.mark.usefixtures("seeded")

N_INPUTS, N_CLASSES = 12, 4
INPUTS = np.random.default_rng(0).normal(size=(20, N_INPUTS))
CLASSES = np.arange(20) % N_CLASSES


def linear(fan_in: int, fan_out: int, **options: Any) -> nn.Linear:
    made = nn.Linear(fan_in, fan_out, **options, dtype=torch.float64)
    with torch.no_grad():
        made.weight.mul_(2)
    return made


def chain() -> nn.Sequential:
    return nn.Sequential(linear(12, 9), nn.ReLU(), linear(9, 8), nn.ReLU(), linear(8, 4))


def reference(network: nn.Module, layer: str, inputs: np.ndarray) -> dict[Measure, np.ndarray]:
    """The eight measures from the Jacobians and Hessians of every input, one after the other, in float64.

    The network is cut in two by hand: the parts up to a layer, and those after it.
    """
    parts = list(leaves(network, ""))
    place = next(place for place, (name, _) in enumerate(parts) if name == layer or name.startswith(f"{layer}."))
    while place + 1 < len(parts) and parts[place + 1][0].startswith(f"{layer}."):
        place += 1
    before = nn.Sequential(*(part for _, part in parts[: place + 1])).eval()
    after = nn.Sequential(*(part for _, part in parts[place + 1 :])).eval()
    units: list[torch.Tensor] = []
    sums: dict[str, torch.Tensor | int] = {"input_gradient": 0, "output_gradient": 0, "output_hessian": 0}
    for one, label in zip(torch.tensor(inputs, dtype=torch.float64), torch.tensor(CLASSES), strict=False):
        h = before(one[None]).detach()
        units.append(h[0])
        upstream = torch.autograd.functional.jacobian(before, one[None])[0].flatten(1)
        downstream = torch.autograd.functional.jacobian(after, h)[0, :, 0]
        hessian = torch.autograd.functional.hessian(
            lambda h, label=label: nn.functional.cross_entropy(after(h), label[None]), h
        )
        sums["input_gradient"] = sums["input_gradient"] + upstream @ upstream.T
        sums["output_gradient"] = sums["output_gradient"] + downstream.T @ downstream
        sums["output_hessian"] = sums["output_hessian"] + hessian[0, :, 0]
    found = {name: (total / len(inputs)).numpy() for name, total in sums.items() if isinstance(total, torch.Tensor)}
    found["input_covariance"] = np.atleast_2d(np.cov(torch.stack(units).numpy().T, bias=True))
    result = {}
    for name in MEASURES:
        raw = found[quantity_of(name)]
        diagonal = np.sqrt(raw.diagonal())
        scale = np.where(diagonal > 0, diagonal, np.inf) if name.endswith("_norm") else np.ones(len(raw))
        result[name] = np.abs(raw / scale / scale[:, None])
    return result


def leaves(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    for key, child in module.named_children():
        path = f"{name}.{key}" if name else key
        if type(child) is nn.Sequential or isinstance(child, MLP):
            yield from leaves(child, path)
        else:
            yield path, child


def named(**parts: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(parts))


# Networks with the layers that give the activity of their hidden layers after the ReLU.
CHAINS: dict[str, tuple[Callable[[], nn.Module], dict[str, int]]] = {
    "plain": (chain, {"1": 0, "3": 1}),
    "in place": (
        lambda: nn.Sequential(linear(12, 9), nn.ReLU(inplace=True), linear(9, 8), nn.ReLU(True), linear(8, 4)),
        {"1": 0, "3": 1},
    ),
    "dropout": (
        lambda: nn.Sequential(
            *(nn.Dropout(0.2), linear(12, 9), nn.Dropout(0.3), nn.ReLU(), nn.Dropout(0.5, inplace=True)),
            *(linear(9, 4), nn.Dropout(0.5)),
        ),
        {"3": 0, "4": 0},
    ),
    "identities": (
        lambda: nn.Sequential(
            *(nn.Identity(), linear(12, 9), nn.Identity(), nn.ReLU(), nn.Identity(), nn.ReLU(), linear(9, 4)),
            nn.Identity(),
        ),
        {"5": 0},  # what comes between the two is followed by a ReLU, whose derivative at 0 is 0
    ),
    "no biases": (
        lambda: nn.Sequential(linear(12, 9, bias=False), nn.ReLU(), linear(9, 4, bias=False)),
        {"1": 0},
    ),
    "nested": (
        lambda: named(
            body=nn.Sequential(nn.Sequential(linear(12, 9), nn.ReLU()), nn.Sequential(linear(9, 8)), nn.ReLU()),
            drop=nn.Sequential(nn.Dropout(0.1), nn.Sequential(nn.Identity())),
            empty=nn.Sequential(),
            head=nn.Sequential(linear(8, 4)),
        ),
        {
            "body.0.1": 0,
            "body.0": 0,
            "body.2": 1,
            "body": 1,
            "drop.0": 1,
            "drop.1.0": 1,
            "drop.1": 1,
            "drop": 1,
            "empty": 1,
        },
    ),
    "flattened late": (lambda: nn.Sequential(linear(12, 9), nn.ReLU(), nn.Flatten(), linear(9, 4)), {"1": 0, "2": 0}),
    "MLP within": (
        lambda: nn.Sequential(nn.Identity(), MLP([12, 9, 8, 4]).double()),
        {f"1.hidden{i}{part}": i - 1 for i in (1, 2) for part in (".relu", ".dropout", "")},
    ),
    "MLP": (
        lambda: MLP([12, 9, 8, 4], dropout=0.5).double(),
        {f"hidden{i}{part}": i - 1 for i in (1, 2) for part in (".relu", ".dropout", "")},
    ),
    "one unit": (lambda: nn.Sequential(linear(12, 1), nn.ReLU(), linear(1, 4)), {"1": 0}),
}


def differentiated(*given: Any) -> Any:
    raise AssertionError("the network was measured by automatic differentiation")


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_takes_the_closed_form_under_the_names_of_its_parts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build, hidden = CHAINS[name]
    network = build()
    assert plain_perceptron(network).hidden == hidden
    monkeypatch.setattr(measures, "signed_averages", differentiated)
    found = similarity_matrices(network, INPUTS, layers=list(hidden))
    assert list(found) == list(hidden)
    assert all(module.training for module in network.modules())
    for layer in hidden:
        for measure, expected in reference(network, "drop" if layer == "empty" else layer, INPUTS).items():
            np.testing.assert_allclose(found[layer][measure], expected, atol=1e-12 * max(expected.max(), 1.0))


@pytest.mark.parametrize("before", [[nn.Flatten()], [nn.Identity(), nn.Flatten()], [nn.Sequential(nn.Flatten())]])
def test_inputs_with_rows_and_columns_are_flattened_as_the_network_does(before: list[nn.Module]) -> None:
    network = nn.Sequential(*before, linear(12, 9), nn.ReLU(), linear(9, 4))
    layer = str(len(before) + 1)
    flat = similarity_matrices(network, INPUTS, layers=[layer])[layer]
    square = similarity_matrices(network, INPUTS.reshape(20, 3, 1, 4), layers=[layer])[layer]
    for measure, expected in reference(network, layer, INPUTS).items():
        np.testing.assert_allclose(flat[measure], expected, atol=1e-12)
        np.testing.assert_array_equal(square[measure], flat[measure])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_chain_is_measured_as_the_mlp_with_its_weights(dtype: torch.dtype) -> None:
    perceptron = MLP([12, 9, 8, 4]).to(dtype)
    network = nn.Sequential(*perceptron.hidden1, *perceptron.hidden2, perceptron.output)
    found, expected = similarity_matrices(network, INPUTS, layers=["1", "4"]), similarity_matrices(perceptron, INPUTS)
    for layer, same in (("1", "hidden1"), ("4", "hidden2")):
        for measure in MEASURES:
            np.testing.assert_array_equal(found[layer][measure], expected[same][measure])


def test_layers_that_are_no_activity_after_a_relu_are_differentiated() -> None:
    network = chain()
    found = similarity_matrices(network, INPUTS, CLASSES, layers=["0", "1", "2"])
    for layer in found:
        for measure, expected in reference(network, layer, INPUTS).items():
            np.testing.assert_allclose(found[layer][measure], expected, atol=1e-12)


class Subclass(nn.Sequential):
    pass


class Twice(nn.ReLU):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(values)


def halve(module: nn.Module, *given: Any) -> Any:
    return given[-1] / 2


def with_part(place: int, part: nn.Module) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        network = chain()
        network[place] = part
        return network

    return build


def changed(change: Callable[[nn.Sequential], Any]) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        network = chain()
        change(network)
        return network

    return build


def with_old_weight_norm(network: nn.Sequential) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        nn.utils.weight_norm(network[2])
    network.load_state_dict({name: 1.5 * value for name, value in network.state_dict().items()})


def shared_relu() -> nn.Module:
    relu = nn.ReLU()
    return nn.Sequential(linear(12, 9), relu, linear(9, 8), relu, linear(8, 4))


def shared_linear() -> nn.Module:
    square = linear(9, 9)
    return nn.Sequential(linear(12, 9), nn.ReLU(), square, nn.ReLU(), square, nn.ReLU(), linear(9, 4))


# Networks of which the closed form would be wrong, or is not proven, with a layer to measure and the reason.
OTHERS: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "subclass": (lambda: Subclass(*chain()), "1", "it is a Subclass"),
    "subclass within": (lambda: nn.Sequential(Subclass(*chain()[:2]), *chain()[2:]), "0.1", "'0' is a Subclass"),
    "another function": (with_part(3, nn.Tanh()), "1", "'3' is a Tanh"),
    "another ReLU": (with_part(1, Twice()), "3", "'1' is a Twice"),
    "leaky ReLU": (with_part(3, nn.LeakyReLU(0.1)), "1", "'3' is a LeakyReLU"),
    "ReLU6": (with_part(1, nn.ReLU6()), "3", "'1' is a ReLU6"),
    "normalisation": (with_part(3, nn.LayerNorm(8).double()), "1", "'3' is a LayerNorm"),
    "no ReLU": (with_part(1, nn.Identity()), "3", "no ReLU comes between '2'"),
    "ReLU at the end": (lambda: nn.Sequential(*chain(), nn.ReLU()), "3", "must come last"),
    "ReLU at the start": (lambda: nn.Sequential(nn.ReLU(), *chain()), "2", "'0' comes before its first linear"),
    "softmax at the end": (lambda: nn.Sequential(*chain(), nn.Softmax(1)), "3", "'5' is a Softmax"),
    "one linear map": (lambda: nn.Sequential(nn.Identity(), linear(12, 4)), "0", "must come last"),
    "flattens less": (lambda: nn.Sequential(nn.Flatten(0, 0), *chain()), "2", "'0' does not flatten"),
    "unflattened": (lambda: nn.Sequential(nn.Unflatten(1, (1, 12)), nn.Flatten(), *chain()), "3", "is a Unflatten"),
    "shared ReLU": (shared_relu, "4", "'3' is used more than once"),
    "shared linear map": (shared_linear, "1", "'4' is used more than once"),
    "hook": (changed(lambda network: network[1].register_forward_hook(halve)), "1", "'1' has a hook"),
    "hook on the whole": (changed(lambda network: network.register_forward_hook(halve)), "1", "the network has a hook"),
    "hook on an identity": (
        lambda: nn.Sequential(*chain(), _with_hook(nn.Identity())),
        "1",
        "'5' has a hook",
    ),
    "backward hook": (
        changed(lambda network: network[3].register_full_backward_hook(lambda module, into, out: (into[0] / 2,))),
        "1",
        "'3' has a hook",
    ),
    "own forward": (changed(lambda network: setattr(network[1], "forward", torch.tanh)), "3", "'1' has a forward"),
    "own forward of the whole": (
        changed(lambda network: setattr(network, "forward", lambda x: nn.Sequential.forward(network, 2 * x))),
        "1",
        "the network has a forward",
    ),
    "weight_norm": (changed(lambda network: parametrizations.weight_norm(network[2])), "1", "'2' is a Parametrized"),
    "old weight_norm": (changed(with_old_weight_norm), "1", "'2' has a hook"),
    "pruning": (changed(lambda network: prune.l1_unstructured(network[0], "weight", 0.5)), "1", "'0' has a hook"),
    "changed MLP": (
        lambda: nn.Sequential(nn.Identity(), _with_leaky_relu(MLP([12, 9, 8, 4]).double())),
        "1.hidden1",
        "parts of it were exchanged",
    ),
}


def _with_hook(part: nn.Module) -> nn.Module:
    part.register_forward_hook(halve)
    return part


def _with_leaky_relu(network: MLP) -> MLP:
    network.hidden2.relu = nn.LeakyReLU(0.3)
    return network


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_plain_chain_is_measured_as_automatic_differentiation_has_it(name: str) -> None:
    build, layer, reason = OTHERS[name]
    measured = []
    for wrap in (lambda network: network, lambda network: Wrapped(network)):
        torch.manual_seed(3)
        network = build()
        assert reason in why_not_plain(network)
        assert why_not_plain(network)
        path = layer if wrap(network) is network else f"inner.{layer}"
        measured.append(similarity_matrices(wrap(network), INPUTS, CLASSES, layers=[path])[path])
    for measure in MEASURES:
        largest = max(measured[1][measure].max(), 1e-300)
        assert np.abs(measured[0][measure] - measured[1][measure]).max() <= 1e-12 * largest


class Wrapped(nn.Module):
    """The same network, of which nothing is known."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.inner(values)


def test_what_is_replaced_in_a_class_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Identity(), *chain())
    assert why_not_plain(network) == ""
    monkeypatch.setattr(nn.Identity, "forward", lambda self, values: values**2)
    assert why_not_plain(network) == "methods of its classes were replaced"


def test_a_compiled_chain_is_a_chain() -> None:
    network = chain()
    expected = similarity_matrices(network, INPUTS, layers=["1"])["1"]
    found = similarity_matrices(torch.compile(network, backend="eager"), INPUTS, layers=["1"])["1"]
    for measure in MEASURES:
        np.testing.assert_array_equal(found[measure], expected[measure])


def test_inputs_of_another_width_are_refused_with_what_is_expected() -> None:
    with pytest.raises(ValueError, match=r"shape \(inputs, 12\)"):
        similarity_matrices(chain(), INPUTS[:, :11], layers=["1"])

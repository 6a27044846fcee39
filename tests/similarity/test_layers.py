"""Layers by name: within wrappers, as submodules, called several times, giving several tensors; outputs of any kind."""

from collections import OrderedDict
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.training.networks import MLP
from oracles_positions import assert_similar, cross_entropies, signed_similarities

pytestmark = pytest.mark.usefixtures("seeded")

VECTORS = np.random.default_rng(0).standard_normal((6, 4))
CLASSES = np.arange(6) % 3
LOSSES = cross_entropies(CLASSES)


def chain() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()


def measured(network: nn.Module, layers: Any, **options: Any) -> dict[str, dict[str, np.ndarray]]:
    return similarity_matrices(network, VECTORS, CLASSES, layers=layers, **options)


def assert_equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray], rounding: float = 0.0) -> None:
    for name, matrix in one.items():
        np.testing.assert_allclose(other[name], matrix, rtol=0, atol=rounding * matrix.max(), err_msg=name)


def refuse(message: str, network: nn.Module, layers: Any, **options: Any) -> None:
    with pytest.raises(ValueError, match=message):
        measured(network, layers, **options)


# --- wrappers ---


@pytest.mark.parametrize(
    "wrap", [nn.DataParallel, AveragedModel, lambda network: nn.DataParallel(AveragedModel(network))]
)
def test_wrappers_are_seen_through(wrap: Any) -> None:
    network = chain()
    right = measured(network, ["1"])["1"]
    wrapped = wrap(network)
    [full] = [name for name, module in wrapped.named_modules() if isinstance(module, nn.Tanh)]
    for name in ("1", full):
        assert_equal(right, measured(wrapped, [name])[name], 1e-12)  # DataParallel moves it to a GPU if there is one
    inner = nn.Sequential(wrap(network))
    for name in ("0.1", f"0.{full}"):
        assert_equal(right, measured(inner, [name])[name], 1e-12)
    perceptron = MLP([4, 5, 3])
    plain = similarity_matrices(perceptron, VECTORS)["hidden1"]  # no labels, no layers
    assert_equal(plain, similarity_matrices(wrap(perceptron), VECTORS)["hidden1"])
    [full] = [name for name, _ in wrap(perceptron).named_modules() if name.endswith("hidden1")]
    assert_equal(plain, similarity_matrices(wrap(perceptron), VECTORS, layers=[full])[full])
    refuse(r"layers has no '7'\. Expected some of 0, 1, 2\.", wrapped, ["7"])


def test_hooks_on_a_wrapper_count() -> None:
    network = chain()
    wrapped = nn.DataParallel(network)
    wrapped.register_forward_hook(lambda module, given, output: 3 * output)
    found, plain = measured(wrapped, ["1"])["1"], measured(network, ["1"])["1"]
    np.testing.assert_allclose(found["output_gradient"], 9 * plain["output_gradient"], rtol=1e-12)


def test_layers_may_be_one_name_or_submodules() -> None:
    network = chain()
    right = measured(network, ["1"])["1"]
    for layers in ("1", network[1], [network[1]], (network[1], "1")):
        assert_equal(right, measured(network, layers)["1"])
    compiled = torch.compile(network, backend="eager")
    assert_equal(right, measured(compiled, [network[1]])["1"])
    refuse("layers must be names, got a Tanh among them", network, [nn.Tanh()])


# --- calls ---


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.act, self.output = nn.Linear(4, 5), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3)
        self.unused = nn.Tanh()

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return self.output(self.act(self.second(self.act(self.first(vectors)))))


def test_a_call_of_a_module_is_chosen_by_its_index() -> None:
    network = Twice().double()
    below = nn.Sequential(network.first, nn.Tanh())
    above = nn.Sequential(network.second, nn.Tanh())
    whole = nn.Sequential(below, above)
    for call, up, down in ((0, below, nn.Sequential(above, network.output)), (1, whole, network.output)):
        right = signed_similarities(up, down, [torch.tensor(x) for x in VECTORS], LOSSES, axis=0)
        assert_similar(measured(network, ["act"], calls={"act": call})["act"], right)


def test_calls_that_are_not_made_are_refused_with_their_number() -> None:
    network = Twice().double()
    refuse(
        r"'act' is called 2 times in a forward pass, .*calls=\{'act': 0\}, counted from 0, up to 1", network, ["act"]
    )
    refuse(r"calls must lie in 0\.\.1 for layer 'act', which is called 2 times", network, ["act"], calls={"act": 2})
    refuse("calls must be at least 0 for layer 'act', got -1", network, ["act"], calls={"act": -1})
    refuse("calls must be a whole number for layer 'act', got '0'", network, ["act"], calls={"act": "0"})
    refuse("calls must name layers that are measured, act, got 'first'", network, ["act"], calls={"first": 0})
    refuse("'unused' is called 0 times in a forward pass", network, ["unused"])


def test_of_a_deep_network_the_nearest_layer_comes_first_and_not_all_are_listed() -> None:
    blocks = OrderedDict((f"block{number:02}", nn.Linear(4, 4)) for number in range(58))
    deep = nn.Sequential(OrderedDict(**blocks, act=nn.Tanh(), output=nn.Linear(4, 3))).double()
    some = r"block00, .*block09 and 50 more\."
    refuse(rf"^layers has no 'bloc57'\. Did you mean 'block57'\? Expected some of {some}$", deep, ["bloc57"])
    refuse(rf"^layers must be given for a network other than MLP: some of {some}$", deep, None)
    names = [*blocks]
    refuse(
        r"^units must name layers that are measured, block00, .* and 48 more, got 'x'\.$", deep, names, units={"x": 1}
    )
    deep.forward = lambda x: nn.Sequential.forward(deep, x)  # type: ignore[method-assign]  # torch.fx cannot trace it
    refuse(rf"^layers has no 'bloc57'\. Did you mean 'block57'\? Expected some of {some} Only sub", deep, ["bloc57"])


# --- several tensors ---


@dataclass
class Output:
    logits: torch.Tensor


class Named(dict):
    """As ModelOutput of transformers: a dict whose entries are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


RETURNED: dict[str, tuple[Any, Any]] = {
    "a tuple": (lambda y, h: (y, h), lambda o: o[0]),
    "a dict": (lambda y, h: {"prediction": y, "hidden": h}, lambda o: o["prediction"]),
    "a dict of logits": (lambda y, h: {"hidden": h, "logits": y}, None),
    "a record of logits": (lambda y, h: Output(y), None),
    "a named dict": (lambda y, h: Named(hidden=h, logits=y), None),
    "a sequence": (lambda y, h: y[:, None].expand(-1, 2, -1), lambda o: o[:, -1]),
}


class Returning(nn.Module):
    """Its block and the whole of it give what they are told to."""

    def __init__(self, gather: Any) -> None:
        super().__init__()
        self.block, self.output, self.gather = Block(), nn.Linear(5, 3), gather

    def forward(self, vectors: torch.Tensor) -> Any:
        hidden = self.block(vectors)[1]["h"]
        return self.gather(self.output(hidden), hidden)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.act = nn.Linear(4, 5), nn.Tanh()

    def forward(self, vectors: torch.Tensor) -> Any:
        return "no tensor", {"ones": torch.ones(2), "h": self.act(self.linear(vectors))}


@pytest.mark.parametrize("kind", RETURNED)
def test_networks_and_layers_may_return_more_than_a_tensor(kind: str) -> None:
    gather, output = RETURNED[kind]
    network = Returning(gather).double()
    right = signed_similarities(
        nn.Sequential(network.block.linear, nn.Tanh()),
        network.output,
        [torch.tensor(x) for x in VECTORS],
        LOSSES,
        axis=0,
    )
    for layer in ("block", "block.act"):
        assert_similar(measured(network, layer, output=output)[layer], right)
    upstream: Any = ["input_covariance", "input_gradient"]
    found = measured(network, "block", measures=upstream)["block"]  # needs no output
    np.testing.assert_allclose(found["input_gradient"], np.abs(right["input_gradient"]), atol=1e-14)


def test_of_several_tensors_the_first_with_the_inputs_first_counts() -> None:
    class Both(nn.Module):
        def forward(self, values: torch.Tensor) -> Any:
            return 2 * values.T, values, 3 * values

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.both, self.output = nn.Linear(4, 5), Both(), nn.Linear(5, 3)

        def forward(self, vectors: torch.Tensor) -> torch.Tensor:
            return self.output(self.both(self.first(vectors).tanh())[1])

    network = Network().double()
    right = signed_similarities(
        nn.Sequential(network.first, nn.Tanh()), network.output, [torch.tensor(x) for x in VECTORS], LOSSES, axis=0
    )
    assert_similar(measured(network, "both")["both"], right)


def test_outputs_that_are_not_found_are_refused_with_the_way_out() -> None:
    for kind, message in (
        ("a tuple", r"got tuple\. Choose them by output=lambda y: y\[0\]"),
        ("a dict", r"got dict\. Choose them by output=lambda y: y\['prediction'\]"),
        ("a sequence", r"got shape \(2, 2, 3\)\. Choose them by output=lambda y: y\.flatten\(1\)"),
    ):
        refuse(message, Returning(RETURNED[kind][0]).double(), "block")
    network = Returning(RETURNED["a tuple"][0]).double()
    refuse(r"output must give a tensor of shape \(2, outputs\) .* got tuple", network, "block", output=lambda o: o)
    refuse(
        r"output cannot be applied to what the network returns, tuple: .*'logits'",
        network,
        "block",
        output=lambda o: o.logits,
    )
    refuse("output must be a function of what the network returns", network, "block", output="logits")
    refuse("output must be a function of what the network returns", network, "block", output=nn.Linear)


# --- what is left as it was, and what is shown ---


def test_settings_of_pytorch_are_left_as_they_were_also_after_an_error() -> None:
    def settings() -> list[Any]:
        cuda = torch.backends.cuda
        return [
            torch.backends.mha.get_fastpath_enabled(),
            torch.backends.cudnn.enabled,
            *(enabled() for enabled in (cuda.flash_sdp_enabled, cuda.math_sdp_enabled, cuda.mem_efficient_sdp_enabled)),
        ]

    before = settings()
    network = nn.Sequential(nn.GRU(4, 5, batch_first=True), First(), nn.Linear(5, 3)).double()
    series = VECTORS[:, None].repeat(3, axis=1)
    similarity_matrices(network, series, CLASSES, layers=["1"])
    assert settings() == before
    for parameter in network.parameters():
        assert parameter.grad is None
        assert parameter.requires_grad
    with pytest.raises(ValueError, match="cannot go through the network"):
        similarity_matrices(network, VECTORS[:, None, :2], CLASSES, layers=["1"])
    assert settings() == before


class First(nn.Module):
    def forward(self, returned: Any) -> torch.Tensor:
        return returned[0][:, 0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_measured_in_float32_with_positions_too(dtype: torch.dtype) -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 2), nn.GELU(), nn.Flatten(), nn.Linear(16, 3)).to(dtype)
    images = VECTORS[:, :3].repeat(3, axis=1).reshape(6, 1, 3, 3).astype(np.float32)
    options: Any = {"layers": ["1"], "units": {"1": 1}}
    found = similarity_matrices(network, images, CLASSES, **options)["1"]
    assert_equal(found, similarity_matrices(deepcopy(network).float(), images, CLASSES, **options)["1"])


def test_a_bar_shows_the_time_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("modularity_lib.progress._SHOWN_AFTER", 0.0)
    for progress, is_shown in ((True, True), (False, False), (None, False)):  # here is no terminal
        measured(chain(), "1", progress=progress)
        assert ("measuring" in capsys.readouterr().err) is is_shown
    refuse("progress must be True or False, got 'yes'", chain(), "1", progress="yes")


@pytest.mark.parametrize("size", [0, -1, 1.5, True, "8"])
def test_a_batch_size_is_a_whole_number(size: Any) -> None:
    refuse("batch_size must be a whole number of at least 1", chain(), "1", batch_size=size)

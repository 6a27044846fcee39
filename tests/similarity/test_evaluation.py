"""Half precision, autocast, compilers and the caller's modes change nothing of what is measured."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.training.networks import MLP
from modularity_lib.vocabulary import MEASURES

IMAGES = np.random.default_rng(0).uniform(size=(14, 10)).astype(np.float32)
IMAGES.flags.writeable = False  # as those of every Dataset
CLASSES = np.arange(14) % 4


class AnyNetwork(nn.Sequential):
    """Whatever is in it, nothing is known of its forward pass."""


def chain(function: type[nn.Module] = nn.ReLU, scale: float = 1.0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = AnyNetwork(nn.Linear(10, 7), function(), nn.Linear(7, 4))
    with torch.no_grad():
        network[2].weight.mul_(scale)
    return network


def perceptron() -> MLP:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MLP([10, 7, 6, 4])


def measured(network: nn.Module, layer: str = "1", images: Any = IMAGES) -> dict[str, np.ndarray]:
    return similarity_matrices(network, images, CLASSES, layers=[layer])[layer]


def assert_equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray], rtol: float = 0) -> None:
    assert list(one) == list(MEASURES)
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=0, atol=rtol * other[name].max(), err_msg=name)


class Around(nn.Module):
    """A network within what users put around it; its layer is "network.1"."""

    def __init__(self, network: nn.Module, forward: Callable[[nn.Module, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.network, self.surround = network, forward

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.surround(self.network, images)


# --- precision ---


@pytest.mark.parametrize("scale", [1.0, 100.0, 1000.0])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_network_in_half_precision_is_measured_as_its_weights_in_float32(dtype: torch.dtype, scale: float) -> None:
    half = chain(scale=scale).to(dtype)
    single = copy.deepcopy(half).float()
    parameters = {name: (id(value), value.clone()) for name, value in half.named_parameters()}
    assert_equal(measured(half), measured(single))
    assert all(np.isfinite(matrix).all() for matrix in measured(half).values())
    for name, value in half.named_parameters():
        assert id(value) == parameters[name][0]
        assert value.dtype == dtype
        assert torch.equal(value, parameters[name][1])
        assert value.grad is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_perceptron_in_half_precision_is_measured_in_float64(dtype: torch.dtype) -> None:
    half = perceptron().to(dtype)
    assert_equal(measured(half, "hidden1"), measured(copy.deepcopy(half).double(), "hidden1"))


def test_what_a_float16_network_has_beyond_float16_is_measured() -> None:
    network = chain(scale=3e4).half()
    assert measured(network)["output_gradient"].max() > 1e8


AUTOCAST = torch.bfloat16


def cast_within(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", AUTOCAST):
        return network(images).float()


@pytest.mark.parametrize(
    "surround",
    [
        cast_within,
        lambda network, images: network(images.half().float()),
        lambda network, images: network(images).to(torch.bfloat16),
        lambda network, images: network(images.type(torch.float16)),
        lambda network, images: network(images + torch.zeros(10, dtype=torch.float16)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_casts_within_forward_do_not_round(
    surround: Callable[[nn.Module, torch.Tensor], torch.Tensor], dtype: torch.dtype
) -> None:
    network = chain().to(dtype)
    assert_equal(measured(Around(network, surround), "network.1"), measured(copy.deepcopy(network).float()))


@pytest.mark.parametrize("kind", [nn.ReLU, nn.Tanh])
def test_autocast_of_the_caller_does_not_round(kind: type[nn.Module]) -> None:
    expected = measured(chain(kind))
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype):
            assert_equal(measured(chain(kind)), expected)
            assert torch.is_autocast_enabled("cpu")
    with torch.autocast("cpu", torch.bfloat16):
        assert_equal(measured(perceptron(), "hidden2"), measured(perceptron(), "hidden2"))


def test_recurrent_and_normalised_networks_in_half_precision_are_measured() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cells, self.scale = nn.GRU(2, 6, batch_first=True), nn.BatchNorm1d(6)
            self.layer, self.output = nn.Identity(), nn.Linear(6, 4)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.output(self.layer(self.scale(self.cells(images.view(-1, 5, 2))[0][:, -1])))

    half = Recurrent().half()
    assert_equal(measured(half, "layer"), measured(copy.deepcopy(half).float(), "layer"), rtol=1e-6)


@pytest.mark.parametrize(
    "convert",
    [
        lambda images: torch.tensor(images).bfloat16(),
        lambda images: torch.tensor(images).half().requires_grad_(),
        lambda images: images.astype(np.float16),
        lambda images: torch.tensor(images).to_sparse(),
        lambda images: images.astype(">f4"),
        lambda images: images.astype(np.longdouble),
        lambda images: images[::-1, ::-1][::-1, ::-1],
        lambda images: list(torch.tensor(images)),
        np.ma.array,
    ],
)
def test_images_may_be_tensors_and_arrays_of_any_kind(convert: Callable[[np.ndarray], Any]) -> None:
    images = convert(IMAGES)
    rounded = isinstance(images, torch.Tensor | np.ndarray) and "16" in str(images.dtype)
    for network, layer in ((chain(), "1"), (perceptron(), "hidden1")):
        assert_equal(measured(network, layer, images), measured(network, layer), rtol=0.05 if rounded else 1e-7)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, lambda: torch.device("meta")])
def test_what_surrounds_the_call_does_not_matter(context: Callable[[], Any]) -> None:
    expected, images = measured(chain()), torch.tensor(IMAGES)
    network = chain()
    with context():
        assert_equal(measured(network, images=images), expected)


def test_networks_made_in_inference_mode_are_measured() -> None:
    with torch.inference_mode():
        networks = chain(), perceptron()
    assert_equal(measured(networks[0]), measured(chain()))
    assert_equal(measured(networks[1], "hidden1"), measured(perceptron(), "hidden1"))


def test_a_network_without_weights_keeps_the_precision_of_the_images() -> None:
    recording = np.random.default_rng(0).normal(1e6, 1, size=(50, 4))
    network = nn.Sequential(nn.Identity())
    found = similarity_matrices(network, recording, layers=["0"], measures=["input_covariance"])
    np.testing.assert_allclose(found["0"]["input_covariance"], np.abs(np.cov(recording.T, bias=True)), rtol=1e-6)


# --- compiled networks ---


@pytest.fixture(scope="module", params=["eager", "aot_eager"])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


def test_a_compiled_network_is_measured_as_the_one_it_wraps(backend: str) -> None:
    compiled = torch.compile(chain(nn.Tanh), backend=backend)
    for layer in ("1", "_orig_mod.1"):
        assert_equal(measured(compiled, layer), measured(chain(nn.Tanh)))
    in_place = chain(nn.Tanh)
    in_place.compile(backend=backend)
    assert_equal(measured(in_place), measured(chain(nn.Tanh)))
    part = chain(nn.Tanh)
    part[2] = torch.compile(part[2], backend=backend)
    assert_equal(measured(part), measured(chain(nn.Tanh)))
    method = chain(nn.Tanh)
    method.forward = torch.compile(method.forward, backend=backend)  # type: ignore[method-assign]
    assert_equal(measured(method), measured(chain(nn.Tanh)))


def test_a_compiled_perceptron_stays_one(backend: str) -> None:
    expected = similarity_matrices(perceptron(), IMAGES)  # no labels, no layers
    in_place, method = perceptron(), perceptron()
    in_place.compile(backend=backend)
    method.forward = torch.compile(method.forward, backend=backend)  # type: ignore[method-assign]
    for network in (torch.compile(perceptron(), backend=backend), in_place, method):
        found = similarity_matrices(network, IMAGES)
        for layer in expected:
            assert_equal(found[layer], expected[layer])


def test_hooks_on_a_compiled_perceptron_count() -> None:
    outside, inside = (torch.compile(perceptron(), backend="eager") for _ in range(2))
    outside.register_forward_hook(lambda module, inputs, output: 3 * output)
    plain, found = measured(perceptron(), "hidden1"), measured(outside, "hidden1")
    np.testing.assert_allclose(found["output_gradient"], 9 * plain["output_gradient"], rtol=1e-4)
    inside._orig_mod.hidden1.register_forward_hook(lambda module, inputs, output: 0 * output)
    assert not measured(inside, "hidden1")["input_covariance"].any()


def test_an_unknown_layer_of_a_compiled_network_is_answered_in_its_own_names() -> None:
    compiled = torch.compile(chain(), backend="eager")
    with pytest.raises(ValueError, match=r"layers has no '7'\. Expected some of 0, 1, 2\."):
        similarity_matrices(compiled, IMAGES, CLASSES, layers=["7"])


# --- networks that cannot be measured ---


def test_networks_of_torch_jit_are_refused_with_the_way_out(recwarn: pytest.WarningsRecorder) -> None:
    example = torch.tensor(IMAGES)
    scripted, traced = torch.jit.script(chain()), torch.jit.trace(chain(), example)
    for network in (scripted, traced, torch.jit.freeze(torch.jit.script(chain().eval()))):
        with pytest.raises(ValueError, match=r"of torch\.jit, .*Give the network that was scripted or traced"):
            measured(network)
    inner = nn.Sequential(chain()[0], torch.jit.script(nn.Sequential(nn.ReLU())), chain()[2])
    for layer in ("1", "1.0"):
        with pytest.raises(ValueError, match=rf"layer '{layer}' must not lie in a part .* as '1' is"):
            measured(inner, layer)
    beside = nn.Sequential(torch.jit.script(chain()[0]), nn.ReLU(), chain()[2])
    assert_equal(measured(beside), measured(chain()))


def test_networks_without_numbers_are_refused() -> None:
    for network in (chain().to("meta"), perceptron().to("meta")):
        with pytest.raises(ValueError, match="weights on the meta device, which hold no numbers"):
            similarity_matrices(network, IMAGES, CLASSES, layers=["1"])
    lazy = nn.Sequential(nn.LazyLinear(7), nn.ReLU(), nn.Linear(7, 4))
    with pytest.raises(ValueError, match=r"lazy layers without weights\. Run it once"):
        measured(lazy)
    assert isinstance(lazy[0], nn.LazyLinear)


def test_a_network_that_has_no_evaluation_mode_is_refused() -> None:
    exported = torch.export.export(chain(), (torch.tensor(IMAGES),)).module()
    with pytest.raises(ValueError, match="network must have an evaluation mode, got GraphModule"):
        measured(exported, "0")


def test_token_ids_have_no_input_gradient_but_by_their_embedding() -> None:
    network = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(12, 7), nn.ReLU(), nn.Linear(7, 4))
    with pytest.raises(ValueError, match=r"inputs must be real numbers for input_gradient, .* inputs_at='0', or leave"):
        measured(network, "3", np.ones((14, 4), dtype=np.int64))
    with pytest.raises(
        ValueError, match=r"a table \(torch\.nn\.Embedding\), which takes whole numbers: .*astype\(int\)"
    ):
        measured(network, "3", np.ones((14, 4), dtype=np.float32))


class Through(nn.Module):
    """Linear, then a module of one's own, then a linear readout of what that gives."""

    def __init__(self, middle: Callable[[torch.Tensor], torch.Tensor], after: Callable[[torch.Tensor], torch.Tensor]):
        super().__init__()
        self.below, self.act, self.above = nn.Linear(12, 6), nn.Identity(), nn.Linear(6, 3)
        self._middle, self._after = middle, after

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.above(self._after(self.act(self._middle(self.below(images)))))


VECTORS = np.random.default_rng(0).standard_normal((30, 12)).astype(np.float32)


@pytest.mark.parametrize("measure", ["input_covariance", "input_gradient", "output_gradient"])
def test_complex_activities_are_refused_with_the_way_out(measure: str) -> None:
    network = Through(torch.fft.fft, torch.abs)
    with pytest.raises(ValueError, match=r"real activities, got complex numbers. Name a module .* \.abs\(\)"):
        similarity_matrices(network, VECTORS, layers=["act"], measures=[measure])


def test_activities_that_are_true_or_false_have_a_covariance_and_no_derivative() -> None:
    network = Through(lambda x: x > 0, torch.Tensor.float)
    found = similarity_matrices(network, VECTORS, layers=["act"], measures=["input_covariance"])
    spikes = (network.below(torch.tensor(VECTORS)) > 0).double().numpy()
    np.testing.assert_allclose(
        found["act"]["input_covariance"], np.abs(np.cov(spikes.T, bias=True)), rtol=1e-6, atol=1e-12
    )
    with pytest.raises(ValueError, match=r"can be differentiated, got torch\.bool.*input_covariance alone is defined"):
        similarity_matrices(network, VECTORS, layers=["act"], measures=["output_gradient"])


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize("sparse", [torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr, torch.Tensor.to_mkldnn])
def test_buffers_that_are_not_dense_stay_as_they_were(sparse: Callable[[torch.Tensor], torch.Tensor]) -> None:
    network = Through(torch.tanh, torch.clone)
    expected = similarity_matrices(network, VECTORS, layers=["act"], measures=["input_gradient"])
    edges = sparse(torch.eye(4))
    network.register_buffer("edges", edges)
    found = similarity_matrices(network, VECTORS, layers=["act"], measures=["input_gradient"])
    np.testing.assert_array_equal(found["act"]["input_gradient"], expected["act"]["input_gradient"])
    assert network.edges is edges
    np.testing.assert_array_equal(network.edges.to_dense(), np.eye(4))


# --- what is left as it was ---


class Merging(nn.Module):
    """A linear map and a product of two thin ones, which is added to its weight in evaluation mode."""

    def __init__(self, how: str) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.weight = nn.Parameter(torch.randn(7, 10))
            self.register_buffer("mask", torch.rand(7, 10))
            self.scale = torch.rand(7, 1)  # no buffer
            self.one, self.other, self.merged, self.how = nn.Linear(10, 3), nn.Linear(3, 7), False, how

    def train(self, mode: bool = True) -> "Merging":
        super().train(mode)
        if self.merged is mode:
            self.merged = not mode
            change = (0.3 if mode else -0.3) * self.other.weight @ self.one.weight
            with torch.no_grad():
                if self.how == "in place":
                    self.weight.sub_(change)
                elif self.how == "by .data":
                    self.weight.data -= change
                elif self.how == "anew":
                    self.weight = nn.Parameter(self.weight - change)
                else:
                    del self._modules["one"]
                self.mask.mul_(1.1)
                self.scale.mul_(1.1)
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images @ (self.weight * self.mask * self.scale).T


@pytest.mark.parametrize("how", ["in place", "by .data", "anew", "without a part"])
@pytest.mark.parametrize("fails", [False, True])
def test_networks_that_merge_weights_are_left_as_they_were(how: str, fails: bool) -> None:
    def later(activity: torch.Tensor) -> torch.Tensor:
        if fails:
            raise RuntimeError("fails in forward")
        return activity

    network = Around(
        nn.Sequential(Merging(how), nn.ReLU(), nn.Linear(7, 4)), lambda network, images: later(network(images))
    )
    merging: Any = network.network[0]
    before = {name: (value, value.clone()) for name, value in network.state_dict(keep_vars=True).items()}
    scale = merging.scale.clone()
    if fails:
        with pytest.raises(ValueError, match="fails in forward"):
            measured(network, "network.1")
    else:
        measured(network, "network.1")
    after = network.state_dict(keep_vars=True)
    assert list(after) == list(before)
    for name, (tensor, values) in before.items():
        assert after[name] is tensor
        assert torch.equal(tensor, values)
    assert torch.equal(merging.scale, scale)
    assert not merging.merged
    assert merging.training


def test_an_evaluation_mode_that_only_the_whole_network_has_is_left_again() -> None:
    network: Any = chain()
    weight = network[0].weight
    before = weight.detach().clone()

    def evaluated() -> nn.Module:
        weight.data.mul_(1.1)
        return network.train(False)

    network.eval = evaluated
    measured(network)
    assert network[0].weight is weight
    assert torch.equal(weight, before)
    assert network.eval is evaluated


def test_attributes_that_forward_changes_are_put_back() -> None:
    network = chain()
    network.count, network.latest = 0, None

    def count(module: Any, given: Any) -> None:
        module.count += 1
        module.latest = given[0]

    network.register_forward_pre_hook(count)
    measured(network)
    assert (network.count, network.latest) == (0, None)


# --- eight bits ---

FLOAT8 = [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz]


@pytest.mark.parametrize("dtype", FLOAT8)
def test_networks_of_eight_bits_are_measured_as_their_weights_in_float32(dtype: torch.dtype) -> None:
    for kind in (nn.ReLU, nn.Tanh):
        small = chain(kind).to(dtype)
        small.register_buffer("unused", torch.ones(3).to(dtype))
        assert_equal(measured(small), measured(copy.deepcopy(small).float()))
        assert all(value.dtype == dtype for value in small.state_dict().values())
    small = perceptron().to(dtype)
    assert_equal(measured(small, "hidden1"), measured(copy.deepcopy(small).double(), "hidden1"))
    images = torch.tensor(IMAGES).to(dtype)
    assert_equal(measured(chain(), images=images), measured(chain(), images=images.float()))


# --- hooks that change activities in place ---


def silence(module: Any, given: Any, output: torch.Tensor) -> None:
    output[:, :3] = 0


def weigh(module: Any, given: Any, output: torch.Tensor) -> torch.Tensor:
    return output.mul_(torch.linspace(0, 2, output.shape[1], dtype=output.dtype))


def silence_what_comes(module: Any, given: Any) -> None:
    given[0][:, :3] = 0


def replaced(hook: Callable[..., Any]) -> Callable[..., Any]:
    """The same by a changed copy."""

    def copied(module: Any, given: Any, *output: torch.Tensor) -> Any:
        changed = tuple(value.clone() for value in (output or given))
        if output:
            hook(module, given, *changed)
            return changed[0]
        hook(module, changed)
        return changed

    return copied


@pytest.mark.parametrize("kind", [nn.ReLU, nn.Tanh, nn.Softplus])
@pytest.mark.parametrize("place", ["0", "1", "2"])
@pytest.mark.parametrize("hook", [silence, weigh, silence_what_comes])
def test_hooks_may_change_activities_in_place(hook: Callable[..., Any], place: str, kind: type[nn.Module]) -> None:
    register = "register_forward_pre_hook" if hook is silence_what_comes else "register_forward_hook"
    in_place, copied = chain(kind), chain(kind)
    getattr(in_place.get_submodule(place), register)(hook)
    getattr(copied.get_submodule(place), register)(replaced(hook))
    assert_equal(measured(in_place), measured(copied), rtol=1e-6)
    assert_equal(measured(in_place.half()), measured(copied.half()), rtol=1e-6)


def test_hooks_may_change_a_perceptron_in_place() -> None:
    in_place, copied = perceptron(), perceptron()
    for network, hook in ((in_place, silence), (copied, replaced(silence))):
        network.hidden1.relu.register_forward_hook(hook)
        network.hidden2.register_forward_hook(hook)
    for layer in ("hidden1", "hidden1.linear", "hidden2"):
        assert_equal(measured(in_place, layer), measured(copied, layer), rtol=1e-6)


def without_gradients(module: Any, given: Any, output: torch.Tensor) -> None:
    with torch.no_grad():
        output[:, :3] = 0


def by_data(module: Any, given: Any, output: torch.Tensor) -> None:
    output.data.mul_(0.5)


@pytest.mark.parametrize("hook", [without_gradients, by_data])
@pytest.mark.parametrize("kind", [nn.ReLU, nn.Tanh])
def test_hooks_that_derivatives_do_not_see_are_refused(hook: Callable[..., Any], kind: type[nn.Module]) -> None:
    for place in (0, 1):
        network = chain(kind)
        network[place].register_forward_hook(hook)
        with pytest.raises(ValueError, match=rf"a hook on '{place}' changes numbers in place .*output\.clone\(\)"):
            measured(network)
        found = similarity_matrices(network, IMAGES, layers=["1"], measures=["input_covariance"])["1"]
        assert found["input_covariance"].any()


def test_activities_that_are_not_finite_are_not_blamed_on_a_hook() -> None:
    network = Through(lambda values: values.log(), torch.nan_to_num)
    network.act.register_forward_hook(lambda *given: None)
    with pytest.raises(ValueError, match="the activity of layer 'act' must be finite"):
        similarity_matrices(network, VECTORS, layers=["act"], measures=["input_covariance", "output_gradient"])


def test_what_forward_changes_in_place_is_refused_with_the_way_out() -> None:
    def in_forward(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
        activity = network[1](network[0](images))
        activity.mul_(2)
        return network[2](activity.sigmoid().mul_(activity))

    def a_view(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
        left, right = network[1](network[0](images)).split([3, 4], dim=1)
        left.mul_(0)
        return network[2](torch.cat([left, right], dim=1))

    for surround in (in_forward, a_view):
        network = Around(chain(nn.Tanh), surround)
        with pytest.raises(ValueError, match=r"changed in place, by .* Change a copy: in forward h = h\.clone\(\)"):
            measured(network, "network.0")

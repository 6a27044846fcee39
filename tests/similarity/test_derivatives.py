"""Derivatives at a hidden layer, against loops and central differences in float64."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch

import oracles_derivatives as oracles
from modularity_lib.similarity import averages, closed_form, derivatives
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.training.networks import MLP, Parameters, initial_parameters, network_of

pytestmark = pytest.mark.usefixtures("seeded")

STEP = 1e-5  # of central differences: their error is near 1e-10, of second differences near 1e-6


def random_images(n_images: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(5).uniform(size=(n_images, *shape))


def float64_network(*sizes: int, dropout: float = 0.0, seed: int = 2) -> MLP:
    return network_of(initial_parameters(sizes, seed=seed), dropout=dropout).double()


def weights_of(network: MLP) -> oracles.Weights:
    return [(linear.weight.detach().numpy(), linear.bias.detach().numpy()) for linear in network.linear_layers()]


def perceptron_of(function: type[torch.nn.Module], *sizes: int) -> torch.nn.Sequential:
    """A float64 perceptron with another non-linearity; its hidden layers are "1", "3", ..."""
    parts: list[torch.nn.Module] = []
    for linear in float64_network(*sizes).linear_layers():
        parts += [linear, function()]
    return torch.nn.Sequential(*parts[:-1])


def weights_of_sequential(network: torch.nn.Sequential) -> oracles.Weights:
    return [(part.weight.detach().numpy(), part.bias.detach().numpy()) for part in network if hasattr(part, "weight")]


class WithImages(torch.nn.Module):
    """A small convolutional network with batch normalisation, on images with rows and columns."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = torch.nn.Conv2d(1, 2, 3)
        self.scale = torch.nn.BatchNorm2d(2)
        self.hidden = torch.nn.Linear(8, 3)
        self.dropout = torch.nn.Dropout(0.5)
        self.output = torch.nn.Linear(3, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        planes = torch.tanh(self.scale(self.filters(images)))
        return self.output(self.dropout(torch.sigmoid(self.hidden(planes.flatten(1)))))


# --- automatic differentiation ---


def test_activity_is_what_a_loop_over_units_gives() -> None:
    network, images = float64_network(6, 5, 4, 3), random_images(4, 6)
    for index, layer in enumerate(network.layers):
        by_hand = [oracles.activities(weights_of(network), image)[index] for image in images]
        np.testing.assert_allclose(derivatives.activity(network, images, layer), by_hand, atol=1e-14)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize(("function", "by_hand"), [(torch.nn.ReLU, oracles.relu), (torch.nn.Tanh, np.tanh)])
def test_jacobians_are_central_differences(
    function: type[torch.nn.Module], by_hand: Callable[[float], float], layer: int
) -> None:
    network, images = perceptron_of(function, 6, 5, 4, 3), random_images(3, 6)
    weights = weights_of_sequential(network)
    assert min(oracles.distance_to_a_kink(weights, image) for image in images) > 20 * STEP
    name = str(2 * layer + 1)
    into = derivatives.input_jacobian(network, images, name)
    out_of = derivatives.output_jacobian(network, images, name)
    assert into.shape == (3, [5, 4][layer], 6)
    assert out_of.shape == (3, 3, [5, 4][layer])
    for index, image in enumerate(images):
        slow = oracles.central_jacobian(lambda x: oracles.activities(weights, x, by_hand)[layer], image, STEP)
        np.testing.assert_allclose(into[index], slow, atol=1e-9)
        activity = oracles.activities(weights, image, by_hand)[layer]
        slow = oracles.central_jacobian(lambda h: oracles.logits_from(weights, layer, h, by_hand), activity, STEP)
        np.testing.assert_allclose(out_of[index], slow, atol=1e-9)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize(("function", "by_hand"), [(torch.nn.ReLU, oracles.relu), (torch.nn.Tanh, np.tanh)])
def test_hessian_is_central_differences(
    function: type[torch.nn.Module], by_hand: Callable[[float], float], layer: int
) -> None:
    network, images, labels = perceptron_of(function, 6, 5, 4, 3), random_images(3, 6), np.array([0, 2, 1])
    weights = weights_of_sequential(network)
    hessians = derivatives.loss_hessian(network, images, labels, str(2 * layer + 1))
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        slow = oracles.central_hessian(
            lambda h, label=label: oracles.cross_entropy(oracles.logits_from(weights, layer, h, by_hand), label),
            oracles.activities(weights, image, by_hand)[layer],
            1e-3,
        )
        np.testing.assert_allclose(hessians[index], slow, atol=1e-6)


def test_hessian_of_a_smooth_network_depends_on_the_labels_and_is_not_just_the_softmax_term() -> None:
    network, images = perceptron_of(torch.nn.Tanh, 6, 5, 4, 3), random_images(3, 6)
    hessians = [derivatives.loss_hessian(network, images, np.full(3, label), "1") for label in (0, 1)]
    assert np.abs(hessians[0] - hessians[1]).max() > 1e-3
    jacobian = derivatives.output_jacobian(network, images, "1")
    probability = torch.softmax(network(torch.from_numpy(images)), dim=1).detach().numpy()
    curvature = np.array([np.diag(p) - np.outer(p, p) for p in probability])
    softmax_term = jacobian.swapaxes(1, 2) @ curvature @ jacobian
    assert np.abs(hessians[0] - softmax_term).max() > 1e-3
    # and at the last hidden layer the logits are linear, so the softmax term is all there is
    jacobian = derivatives.output_jacobian(network, images, "3")
    last = derivatives.loss_hessian(network, images, np.full(3, 0), "3")
    np.testing.assert_allclose(last, jacobian.swapaxes(1, 2) @ curvature @ jacobian, atol=1e-14)


def test_images_of_any_shape_are_flattened_row_by_row() -> None:
    network, images = WithImages().double().eval(), random_images(2, 1, 4, 4)
    jacobian = derivatives.input_jacobian(network, images, "hidden")
    assert jacobian.shape == (2, 3, 16)

    def hidden(image: np.ndarray) -> np.ndarray:
        planes = torch.tanh(network.scale(network.filters(torch.from_numpy(image[np.newaxis]))))
        return network.hidden(planes.flatten(1))[0].detach().numpy()

    for index, image in enumerate(images):
        np.testing.assert_allclose(jacobian[index], oracles.central_jacobian(hidden, image, STEP), atol=1e-9)


@pytest.mark.parametrize("chunk_bytes", [1, 4 * 2 * 5 * 6 * 2, 10**9])
def test_averages_are_means_over_images_however_they_are_chunked(
    monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    monkeypatch.setattr(averages, "_BATCH_BYTES", chunk_bytes)
    network, images, labels = perceptron_of(torch.nn.Tanh, 6, 5, 4, 3), random_images(7, 6), np.arange(7) % 3
    found = measured(network, images, labels, "1")
    into = derivatives.input_jacobian(network, images, "1")
    np.testing.assert_allclose(
        found["input_gradient"],
        np.abs(oracles.average_products(list(into))),
        atol=1e-14,
    )
    out_of = derivatives.output_jacobian(network, images, "1")
    np.testing.assert_allclose(
        found["output_gradient"],
        np.abs(oracles.average_products([jacobian.T for jacobian in out_of])),
        atol=1e-14,
    )
    np.testing.assert_allclose(
        found["output_hessian"],
        np.abs(derivatives.loss_hessian(network, images, labels, "1").mean(axis=0)),
        atol=1e-14,
    )


def test_a_long_chunk_is_cut_to_the_largest_number_of_images() -> None:
    class Counting(torch.nn.Linear):
        longest = 0

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            Counting.longest = max(Counting.longest, len(images))
            return super().forward(images)

    network = torch.nn.Sequential(Counting(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, 2))
    similarity_matrices(network, np.zeros((600, 2)), layers=["1"], measures=["output_gradient"])
    assert Counting.longest == 256


def test_a_change_in_place_after_the_layer_does_not_reach_its_activity() -> None:
    weights = float64_network(6, 5, 3).linear_layers()
    apart = torch.nn.Sequential(weights[0], torch.nn.ReLU(), weights[1])
    in_place = torch.nn.Sequential(weights[0], torch.nn.ReLU(inplace=True), weights[1])
    images, labels = random_images(4, 6), np.zeros(4, dtype=int)
    assert (derivatives.activity(in_place, images, "0") < 0).any()
    for function, rest in (
        (derivatives.activity, ()),
        (derivatives.input_jacobian, ()),
        (derivatives.output_jacobian, ()),
        (derivatives.loss_hessian, (labels,)),
    ):
        np.testing.assert_array_equal(
            function(in_place, images, *rest, layer="0"), function(apart, images, *rest, layer="0")
        )


def test_images_are_not_changed_by_a_network_that_works_in_place() -> None:
    network = torch.nn.Sequential(torch.nn.ReLU(inplace=True), torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    images = torch.tensor([[-1.0, 1.0]])
    jacobian = derivatives.input_jacobian(network, images, "1")
    assert images.tolist() == [[-1.0, 1.0]]
    assert (jacobian[0, :, 0] == 0).all()
    assert (jacobian[0, :, 1] != 0).all()


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_derivatives_are_found_where_the_caller_has_switched_them_off(without: Callable[[], Any]) -> None:
    network, images, labels = float64_network(6, 5, 3), random_images(2, 6), np.array([0, 1])
    expected = derivatives.loss_hessian(network, images, labels, "hidden1")
    expected_jacobian = derivatives.input_jacobian(network, images, "hidden1")
    with without():
        tensor = torch.from_numpy(images) + 0
        for given in (images, tensor):
            np.testing.assert_array_equal(derivatives.loss_hessian(network, given, labels, "hidden1"), expected)
            np.testing.assert_array_equal(derivatives.input_jacobian(network, given, "hidden1"), expected_jacobian)


def measured(network: torch.nn.Module, images: np.ndarray, labels: np.ndarray, layer: str) -> dict[str, np.ndarray]:
    return similarity_matrices(network, images, labels, layers=[layer])[layer]


def every_function() -> list[Callable[[torch.nn.Module, np.ndarray, np.ndarray, str], Any]]:
    return [
        lambda network, images, labels, layer: derivatives.activity(network, images, layer),
        lambda network, images, labels, layer: derivatives.input_jacobian(network, images, layer),
        lambda network, images, labels, layer: derivatives.output_jacobian(network, images, layer),
        derivatives.loss_hessian,
        lambda network, images, labels, layer: measured(network, images, labels, layer)["input_gradient"],
        lambda network, images, labels, layer: measured(network, images, labels, layer)["output_gradient"],
        lambda network, images, labels, layer: measured(network, images, labels, layer)["output_hessian"],
    ]


@pytest.mark.filterwarnings("ignore:layer 'hidden' is followed by sigmoid")
@pytest.mark.parametrize("function", every_function())
def test_dropout_is_off_and_the_network_is_left_as_it_was(function: Callable[..., Any]) -> None:
    network, images, labels = WithImages().double(), random_images(3, 1, 4, 4), np.array([0, 1, 2])
    expected = function(deepcopy(network).eval(), images, labels, "hidden")
    network.scale.eval()  # a mixture of modes, as in fine-tuning
    network.filters.requires_grad_(False)
    network.output(torch.ones(1, 3, dtype=torch.float64)).sum().backward()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    gradients = {name: deepcopy(parameter.grad) for name, parameter in network.named_parameters()}

    np.testing.assert_array_equal(function(network, images, labels, "hidden"), expected)

    assert [name for name, module in network.named_modules() if not module.training] == ["scale"]
    assert {name for name, parameter in network.named_parameters() if not parameter.requires_grad} == {
        "filters.weight",
        "filters.bias",
    }
    for name, parameter in network.named_parameters():
        if gradients[name] is None:
            assert parameter.grad is None
        else:
            assert torch.equal(parameter.grad, gradients[name])
    assert not network.hidden._forward_hooks
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name])


@pytest.mark.parametrize("function", every_function())
def test_the_network_is_left_as_it_was_when_its_forward_fails(function: Callable[..., Any]) -> None:
    network = WithImages().double()
    network.scale.eval()
    with pytest.raises(
        ValueError, match=r"inputs of shape .* cannot go through the network: .*shapes cannot be multiplied"
    ):
        function(network, random_images(3, 1, 5, 5), np.array([0, 1, 2]), "hidden")
    assert [name for name, module in network.named_modules() if not module.training] == ["scale"]
    assert not network.hidden._forward_hooks


class Faulty(torch.nn.Module):
    """Goes wrong in the way it is told to."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.hidden = torch.nn.Linear(2, 2)
        self.unused = torch.nn.Linear(2, 2)
        self.output = torch.nn.Linear(2, 2)

    def forward(self, images: torch.Tensor) -> Any:
        hidden = self.hidden(images)
        if self.fault == "called twice":
            hidden = self.hidden(hidden)
        if self.fault == "cut after the layer":
            hidden = hidden.detach()
        logits = self.output(hidden)
        if self.fault == "one number per image":
            return logits[:, 0]
        if self.fault == "two outputs":
            return logits, hidden
        if self.fault == "not finite":
            return logits / 0
        if self.fault == "past the layer":
            return self.output(images)
        return logits


@pytest.mark.parametrize(
    ("fault", "layer", "message"),
    [
        ("called twice", "hidden", "'hidden' is called 2 times in a forward pass, expected once"),
        ("none", "unused", "'unused' is called 0 times in a forward pass, expected once"),
        ("not finite", "hidden", "outputs are not all finite"),
    ],
)
def test_networks_that_cannot_be_measured_are_refused(fault: str, layer: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        derivatives.activity(Faulty(fault), np.ones((3, 2)), layer)


@pytest.mark.parametrize("fault", ["cut after the layer", "past the layer"])
def test_logits_that_do_not_depend_on_the_layer_have_no_derivative(fault: str) -> None:
    with pytest.raises(ValueError, match=r"a derivative is not defined: .* cut, by detach"):
        derivatives.output_jacobian(Faulty(fault), np.ones((3, 2)), "hidden")
    with pytest.raises(ValueError, match=r"a derivative is not defined: .* cut, by detach"):
        derivatives.loss_hessian(Faulty(fault), np.ones((3, 2)), np.zeros(3, dtype=int), "hidden")


def test_a_layer_that_does_not_depend_on_the_images_has_no_derivative() -> None:
    class Constant(Faulty):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(torch.ones_like(images))

    with pytest.raises(ValueError, match="a derivative is not defined"):
        derivatives.input_jacobian(Constant("none"), np.ones((3, 2)), "hidden")


class Once(torch.autograd.Function):
    """A ReLU that can be differentiated once."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(values)
        return values.clamp(min=0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return gradient * (context.saved_tensors[0] > 0)


@pytest.mark.parametrize("beside", [0.0, 1.0])
def test_functions_that_can_be_differentiated_once_have_no_hessian(beside: float) -> None:
    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.below, self.act, self.above = torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            hidden = self.act(self.below(images))
            return self.above(Once.apply(hidden) + beside * hidden**2)

    network, images, labels = Network().double(), random_images(4, 6), np.arange(4) % 3
    with pytest.raises(ValueError, match=r"'act' must be followed by functions with two .* curvature='gauss-newton'"):
        similarity_matrices(network, images, labels, layers=["act"])
    found = similarity_matrices(network, images, layers=["act"], curvature="gauss-newton")
    assert found["act"]["output_hessian"].any()


def test_images_that_the_network_cannot_take_are_refused() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(784, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    with pytest.raises(ValueError, match=r"inputs of shape \(2, 100\) cannot go through the network: .*Give inputs as"):
        derivatives.activity(network, np.ones((3, 100)), "1")


def test_a_layer_with_planes_instead_of_units_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"'filters' must have an output of shape \(inputs, units\), got \(inputs, 2, 2, 2\)"
    ):
        derivatives.activity(WithImages(), random_images(3, 1, 4, 4), "filters")


def test_a_recurrent_layer_that_takes_inputs_for_time_steps_is_refused() -> None:
    class Recurrent(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = torch.nn.GRU(2, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.hidden(images)[0]

    with pytest.raises(ValueError, match="network must treat each input by itself"):
        similarity_matrices(Recurrent(), random_images(3, 2), layers=["hidden"], measures=["input_covariance"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(4, dtype=int), r"labels must hold one entry for each of 3 inputs, got int64 of shape \(4,\)"),
        (np.zeros((3, 2), dtype=int), r"got int64 of shape \(3, 2\): .* One-hot labels go through"),
        (np.zeros(3), "labels must be 3 whole numbers, one class for each input, got float64"),
        (np.array([0, 1, 2]), r"labels must lie in 0..1, as the network has 2 outputs, got 0..2"),
        (np.array([0, 1, -1]), r"labels must be at least 0, got -1"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: np.ndarray, message: str) -> None:
    for function in (derivatives.loss_hessian, measured):
        with pytest.raises(ValueError, match=message):
            function(Faulty("none"), np.ones((3, 2)), labels, "hidden")


# --- closed forms of a ReLU perceptron ---


def parameters_in_float64(network: MLP) -> Parameters:
    pairs = weights_of(network)
    return Parameters(weights=tuple(weight for weight, _ in pairs), biases=tuple(bias for _, bias in pairs))


HIDDEN = [(5,), (5, 4), (3, 6, 4), (4, 7, 3, 5, 6)]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_closed_forms_are_automatic_derivatives_at_any_depth(hidden: tuple[int, ...]) -> None:
    network, images, labels = float64_network(8, *hidden, 3), random_images(11, 8), np.arange(11) % 3
    with torch.no_grad():  # every unit is active on about half of the images
        before = torch.from_numpy(images)
        for linear in network.linear_layers()[:-1]:
            linear.weight.mul_(3)
            linear.bias.copy_(-torch.quantile(before @ linear.weight.T, 0.45, dim=0))
            before = torch.relu(before @ linear.weight.T + linear.bias)
    passed = closed_form.forward_pass(parameters_in_float64(network), images)
    indices = range(len(hidden))
    into, out_of, curvature = (
        function(passed, indices)
        for function in (
            closed_form.input_gradient_sums,
            closed_form.output_gradient_sums,
            closed_form.loss_hessian_sums,
        )
    )
    for index, layer in enumerate(network.layers):
        np.testing.assert_allclose(passed.activities[index], derivatives.activity(network, images, layer), atol=1e-13)
        assert 0.4 < (passed.activities[index] > 0).mean() < 0.6
        jacobian = derivatives.input_jacobian(network, images, layer)
        np.testing.assert_allclose(into[index], np.einsum("xip,xjp->ij", jacobian, jacobian), rtol=1e-12, atol=1e-12)
        jacobian = derivatives.output_jacobian(network, images, layer)
        np.testing.assert_allclose(out_of[index], np.einsum("xki,xkj->ij", jacobian, jacobian), rtol=1e-12, atol=1e-12)
        hessian = derivatives.loss_hessian(network, images, labels, layer).sum(axis=0)
        np.testing.assert_allclose(curvature[index], hessian, rtol=1e-12, atol=1e-12)


def test_closed_forms_of_a_single_layer_are_those_of_all_layers() -> None:
    passed = closed_form.forward_pass(parameters_in_float64(float64_network(8, 5, 4, 6, 3)), random_images(5, 8))
    for function in (closed_form.input_gradient_sums, closed_form.output_gradient_sums, closed_form.loss_hessian_sums):
        together = function(passed, [0, 1, 2])
        for index in range(3):
            alone = function(passed, [index])
            assert list(alone) == [index]
            np.testing.assert_array_equal(alone[index], together[index])


def test_closed_forms_pass_over_images_that_silence_a_whole_layer() -> None:
    network, images = float64_network(4, 3, 4, 6, 2), random_images(6, 4)
    sums_of_pixels = np.sort(images.sum(axis=1))
    with torch.no_grad():  # hidden1: one unit, open for the brighter four images; hidden2: open for the brightest two
        network.hidden1.linear.weight.fill_(1.0)
        network.hidden1.linear.bias.copy_(torch.tensor([-sums_of_pixels[1:3].mean(), -100.0, -100.0]))
        network.hidden2.linear.weight.copy_(network.hidden2.linear.weight.abs() + 0.1)
        threshold = float(sums_of_pixels[3:5].mean() - sums_of_pixels[1:3].mean())
        network.hidden2.linear.bias.copy_(-threshold * network.hidden2.linear.weight[:, 0])
    is_open = [derivatives.activity(network, images, layer).any(axis=1) for layer in network.layers]
    assert [int(open_images.sum()) for open_images in is_open] == [4, 2, 6]
    passed = closed_form.forward_pass(parameters_in_float64(network), images)
    sums = closed_form.input_gradient_sums(passed, [0, 1, 2])
    for index, layer in enumerate(network.layers):
        jacobian = derivatives.input_jacobian(network, images, layer)
        np.testing.assert_allclose(sums[index], np.einsum("xip,xjp->ij", jacobian, jacobian), rtol=1e-12, atol=1e-12)


def test_hessian_of_a_network_that_is_sure_of_itself_is_zero_and_not_nan() -> None:
    network = float64_network(4, 3, 2)
    with torch.no_grad():
        network.output.bias.copy_(torch.tensor([1e4, -1e4]))
    passed = closed_form.forward_pass(parameters_in_float64(network), random_images(5, 4))
    assert (closed_form.loss_hessian_sums(passed, [0])[0] == 0).all()

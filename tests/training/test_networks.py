"""The perceptron and its parameters."""

import numpy as np
import pytest
import torch

import oracles_derivatives as oracles
from modularity_lib.training.networks import MLP, Parameters, initial_parameters, network_of, parameters_of

SIZES = [7, 5, 4, 3]


def random_images(n_images: int, *, pixels: int = 7) -> np.ndarray:
    return np.random.default_rng(1).uniform(size=(n_images, pixels)).astype(np.float32)


def test_forward_is_a_loop_over_units_and_weights() -> None:
    parameters = initial_parameters(SIZES, seed=3)
    images = random_images(4)
    logits = network_of(parameters).eval()(torch.from_numpy(images)).detach().numpy()
    by_hand = [
        oracles.activities(list(zip(parameters.weights, parameters.biases, strict=True)), image)[-1] for image in images
    ]
    np.testing.assert_allclose(logits, by_hand, atol=1e-6)  # a few float32 roundings of numbers below 1


@pytest.mark.parametrize("n_hidden", [1, 2, 5])
def test_hidden_layers_are_submodules_named_in_order(n_hidden: int) -> None:
    network = MLP([7, *range(11, 11 + n_hidden), 3])
    assert network.layers == tuple(f"hidden{index}" for index in range(1, n_hidden + 1))
    assert [network.get_submodule(layer).linear.out_features for layer in network.layers] == list(
        range(11, 11 + n_hidden)
    )
    assert network.output.in_features == 10 + n_hidden


def test_output_of_a_hidden_layer_is_its_activity_after_relu() -> None:
    parameters = initial_parameters(SIZES, seed=3)
    network = network_of(parameters, dropout=0.5).eval()
    images = random_images(6)
    seen = {}
    for layer in network.layers:
        network.get_submodule(layer).register_forward_hook(
            lambda module, arguments, output, layer=layer: seen.update({layer: output.detach().numpy()})
        )
    network(torch.from_numpy(images))
    weights = list(zip(parameters.weights, parameters.biases, strict=True))
    for index, layer in enumerate(network.layers):
        by_hand = np.array([oracles.activities(weights, image)[index] for image in images])
        assert 0 < (by_hand == 0).mean() < 1  # the ReLU silences some units, not all
        np.testing.assert_allclose(seen[layer], by_hand, atol=1e-6)


def test_dropout_silences_hidden_units_in_training_only() -> None:
    network = network_of(initial_parameters([7, 400, 3], seed=0), dropout=0.5)
    images = torch.from_numpy(random_images(1))
    open_units = network.eval().hidden1(images) > 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        silenced = network.train().hidden1(images)[open_units] == 0
    # half of about 200 open units, within 5 standard deviations
    assert abs(silenced.float().mean().item() - 0.5) < 5 * 0.5 / open_units.sum().sqrt().item()


def test_parameters_survive_the_way_into_a_network_and_out() -> None:
    parameters = initial_parameters(SIZES, seed=8)
    back = parameters_of(network_of(parameters, dropout=0.2))
    assert back.sizes == parameters.sizes == tuple(SIZES)
    for before, after in zip((*parameters.weights, *parameters.biases), (*back.weights, *back.biases), strict=True):
        assert after.dtype == np.float32
        np.testing.assert_array_equal(after, before)


def test_parameters_are_copies() -> None:
    network = network_of(initial_parameters(SIZES, seed=8))
    parameters = parameters_of(network)
    before = parameters.weights[0].copy()
    with torch.no_grad():
        network.hidden1.linear.weight.zero_()
    np.testing.assert_array_equal(parameters.weights[0], before)


def test_read_only_parameters_make_a_network() -> None:
    parameters = initial_parameters(SIZES, seed=8)
    for array in (*parameters.weights, *parameters.biases):
        array.flags.writeable = False
    network = network_of(parameters)
    with torch.no_grad():
        network.output.bias.add_(1.0)
    np.testing.assert_array_equal(parameters_of(network).biases[-1], parameters.biases[-1] + 1)


def test_initial_parameters_fill_the_range_of_one_over_the_root_of_fan_in() -> None:
    parameters = initial_parameters([400, 300, 200], seed=0)
    for weight, bias, fan_in in zip(parameters.weights, parameters.biases, (400, 300), strict=True):
        bound = 1 / np.sqrt(fan_in)
        assert weight.dtype == bias.dtype == np.float32
        for values in (weight, bias):
            assert np.abs(values).max() <= bound * (1 + 1e-6)  # float32
            # mean and standard deviation of the uniform distribution, within 5 standard errors
            assert abs(values.mean()) < 5 * bound / np.sqrt(3 * values.size)
            assert values.std() == pytest.approx(bound / np.sqrt(3), rel=5 / np.sqrt(values.size))


def test_initial_parameters_follow_the_seed() -> None:
    first, again, other = (initial_parameters(SIZES, seed=seed) for seed in (4, 4, 5))
    np.testing.assert_array_equal(first.weights[1], again.weights[1])
    np.testing.assert_array_equal(first.biases[1], again.biases[1])
    assert not np.array_equal(first.weights[1], other.weights[1])
    assert not np.array_equal(first.biases[0], other.biases[0])


def test_initial_parameters_are_the_same_on_every_platform() -> None:
    weight = initial_parameters([4, 3, 2], seed=0).weights[0]
    np.testing.assert_array_equal(
        weight[0], np.array([0.13696168, -0.23021328, -0.45902649, -0.48347238], dtype=np.float32)
    )


def test_global_random_state_of_torch_has_no_part_in_parameters() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        first = initial_parameters(SIZES, seed=4)
        before = torch.random.get_rng_state()
        network = network_of(initial_parameters(SIZES, seed=4))
        assert torch.equal(torch.random.get_rng_state(), before)
    np.testing.assert_array_equal(parameters_of(network).weights[0], first.weights[0])


@pytest.mark.parametrize("sizes", [[784, 10], [784], [784, 0, 10], [784, -5, 10], [784, 6.5, 10]])
def test_sizes_that_make_no_network_are_refused(sizes: list[float]) -> None:
    with pytest.raises(ValueError, match=r"sizes must be .* got .*\[784, 64, 64, 10\]"):
        MLP(sizes)  # type: ignore[arg-type]


@pytest.mark.parametrize("dropout", [-0.1, 1.0, 30.0, float("nan")])
def test_dropout_that_is_no_probability_is_refused(dropout: float) -> None:
    with pytest.raises(ValueError, match=r"dropout must be a probability in \[0, 1\), got .*not a percentage"):
        MLP(SIZES, dropout=dropout)


def test_sizes_are_read_off_the_weights() -> None:
    parameters = Parameters(
        weights=(np.zeros((5, 7)), np.zeros((4, 5)), np.zeros((3, 4))),
        biases=(np.zeros(5), np.zeros(4), np.zeros(3)),
    )
    assert parameters.sizes == (7, 5, 4, 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_parameters_are_copied_in_single_precision_at_least(dtype: torch.dtype) -> None:
    network = network_of(initial_parameters(SIZES, seed=1)).to(dtype)
    copied = parameters_of(network)
    assert {array.dtype for array in (*copied.weights, *copied.biases)} == {
        np.dtype(np.float64 if dtype == torch.float64 else np.float32)
    }
    np.testing.assert_array_equal(copied.weights[0], network.linear_layers()[0].weight.detach().double().numpy())
    copied.weights[0][:] = 7
    assert (network.linear_layers()[0].weight != 7).all()


def test_no_bias_is_copied_as_a_bias_of_zero() -> None:
    network = network_of(initial_parameters(SIZES, seed=1))
    network.output = torch.nn.Linear(*reversed(network.output.weight.shape), bias=False)
    copied = parameters_of(network)
    assert copied.biases[-1].shape == (SIZES[-1],)
    assert not copied.biases[-1].any()

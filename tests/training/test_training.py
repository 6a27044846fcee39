"""Training side by side gives what a plain PyTorch loop gives, network by network."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

import oracles_training as oracles
from modularity_lib.images.dataset import Dataset, train_validation_split
from modularity_lib.training.compiled import PIXELS_PER_BLOCK, adam_step, mean_cross_entropy
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.layout import layout_of, pack, unpack, workspace_of
from modularity_lib.training.networks import Parameters, initial_parameters
from modularity_lib.training.plain import Epoch, PlainNetwork, train_plain
from modularity_lib.training.training import TrainedNetwork, advance, images_of_run, start, train

# 450 images to train on: 9 steps an epoch. Widths that are and are not multiples of the 16 that rows are padded to.
BASE = TrainingConfig(hidden=(16, 12), l2=0.0, epochs=4, batch_size=50, learning_rate=3e-3)
REGULARISED = {
    "none": BASE,
    "l1": replace(BASE, l1=1e-3),
    "l2": replace(BASE, l2=1e-2),
    "dropout": replace(BASE, dropout=0.4),
    "all": replace(BASE, l1=3e-4, l2=3e-3, dropout=0.2),
}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return oracles.made_up_dataset()


def flat(parameters: Parameters) -> np.ndarray:
    return np.concatenate([array.ravel() for array in (*parameters.weights, *parameters.biases)])


def assert_alike(network: TrainedNetwork, plain: TrainedNetwork) -> None:
    """Equal to float tolerance after some dozen steps in which the typical weight moves by 0.05.

    The sums of float32 numbers are taken in another order. Mostly that changes parameters by 1e-6. In one training of
    twenty it decides whether a unit at the kink of its ReLU is active for an image; Adam divides a gradient by its own
    size, so that a weight that had none before then differs by up to a step, the learning rate.
    """
    difference = np.abs(flat(network.parameters) - flat(plain.parameters))
    assert np.median(difference) < 1e-4
    assert np.max(difference) < 2 * network.config.learning_rate
    assert network.validation_loss == pytest.approx(plain.validation_loss, rel=1e-2)
    assert (network.epochs, network.status) == (plain.epochs, plain.status)


def same_bits(a: Sequence[TrainedNetwork], b: Sequence[TrainedNetwork]) -> bool:
    return all(
        np.array_equal(flat(x.parameters), flat(y.parameters)) and x.validation_loss == y.validation_loss
        for x, y in zip(a, b, strict=True)
    )


def assert_gradient_is_that_of_autograd(config: TrainingConfig, dataset: Dataset, *, scale: float = 1) -> None:
    """One step on all images at once; the initial parameters are scaled first."""
    train_index, _ = train_validation_split(len(dataset.train_labels), seed=0)
    config = replace(config, batch_size=len(train_index), epochs=1)
    state = start([config], dataset)
    state.networks.parameters[:] *= np.float32(scale)
    advance(state, images_of_run(dataset, run=0))
    gradient = unpack(state.networks.first_moments[0] / np.float32(1 - 0.9), state.layout)  # moments start at 0
    network = PlainNetwork(config, dataset)
    for parameter in (*network.weights, *network.biases):
        parameter.data *= scale
    order = np.random.default_rng([0, 2, 0]).permutation(len(train_index))  # decides which image has which mask
    batch = train_index[order]
    network.loss(dataset.train_images[batch], dataset.train_labels[batch], step=1).backward()
    for ours, theirs in zip((*gradient.weights, *gradient.biases), (*network.weights, *network.biases), strict=True):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-4, atol=1e-6 * np.abs(theirs.grad.numpy()).max())


@pytest.mark.parametrize("name", REGULARISED)
def test_the_gradient_of_one_step_is_that_of_autograd(dataset: Dataset, name: str) -> None:
    assert_gradient_is_that_of_autograd(REGULARISED[name], dataset)


@pytest.mark.parametrize("hidden", [(16, 12), (64, 80), (70, 130, 5)])
def test_the_gradient_is_right_on_images_of_several_blocks(hidden: tuple[int, ...]) -> None:
    wide = oracles.made_up_dataset(n_pixels=2 * PIXELS_PER_BLOCK + 7)
    assert_gradient_is_that_of_autograd(replace(REGULARISED["dropout"], hidden=hidden), wide)


def test_the_gradient_is_right_when_logits_are_far_apart(dataset: Dataset) -> None:
    assert_gradient_is_that_of_autograd(BASE, dataset, scale=20)  # probabilities below the smallest float32


def test_padding_stays_zero(dataset: Dataset) -> None:
    state = start([REGULARISED["all"]], dataset)
    for _ in range(2):
        advance(state, images_of_run(dataset, run=0))
    for array in (state.networks.parameters[0], state.networks.first_moments[0], state.networks.second_moments[0]):
        assert np.array_equal(array, pack(unpack(array, state.layout), state.layout))


def test_the_loss_of_a_network_does_not_depend_on_how_many_images_are_computed_at_a_time(dataset: Dataset) -> None:
    state, images = start([BASE], dataset), images_of_run(dataset, run=0)
    losses = {
        mean_cross_entropy(
            images.train, images.train_labels, state.layout, state.networks.parameters[0], workspace_of(state.layout, n)
        )
        for n in (1, 3, 7, 450, 1000)
    }
    assert len(losses) == 1


@pytest.mark.parametrize("name", REGULARISED)
def test_side_by_side_training_is_the_plain_loop(dataset: Dataset, name: str) -> None:
    configs = list(REGULARISED.values())
    network = train(configs, dataset)[list(REGULARISED).index(name)]
    plain = train_plain(REGULARISED[name], dataset)
    assert plain.epochs == 4
    assert_alike(network, plain)
    initial = flat(initial_parameters((40, 16, 12, 4), seed=0))
    assert np.median(np.abs(flat(network.parameters) - initial)) > 0.02


@pytest.mark.parametrize("hidden", [(5,), (40,), (20, 7, 33)])
def test_layers_of_any_width_and_number_train_as_in_the_plain_loop(dataset: Dataset, hidden: tuple[int, ...]) -> None:
    config = replace(REGULARISED["all"], hidden=hidden, run=3, epochs=2)
    (network,) = train([config], dataset)
    assert network.parameters.sizes == (40, *hidden, 4)
    plain = train_plain(config, dataset)
    assert_alike(network, plain)


def test_a_last_batch_that_is_not_full_is_a_smaller_batch(dataset: Dataset) -> None:
    config = replace(REGULARISED["all"], batch_size=200, epochs=3)  # 200 + 200 + 50
    (network,) = train([config], dataset)
    plain = train_plain(config, dataset)
    assert_alike(network, plain)


def test_the_final_protocol_is_that_of_the_plain_loop(dataset: Dataset) -> None:
    # A high learning rate, so that the validation loss turns within 100 steps, before rounding has grown.
    final = {"protocol": "final", "epochs": 60, "learning_rate": 0.01}
    configs = [replace(REGULARISED[name], **final) for name in ("none", "dropout", "all")]
    state = start(configs, dataset)
    images = images_of_run(dataset, run=0)
    rates = []
    while state.training.any():
        advance(state, images)
        rates.append(state.networks.learning_rates.copy())
    networks = train(configs, dataset)
    for index, (config, network) in enumerate(zip(configs, networks, strict=True)):
        epochs: list[Epoch] = []
        assert_alike(network, train_plain(config, dataset, after_epoch=epochs.append))
        best = int(np.argmin([epoch.validation_loss for epoch in epochs]))
        assert [rate[index] for rate in rates[: network.epochs]] == [epoch.learning_rate for epoch in epochs]
        assert 0 < best < network.epochs - 1 < 59  # it stopped early, and not at its best
        assert rates[network.epochs - 1][index] < config.learning_rate
    assert len({network.epochs for network in networks}) == 3  # some went on without the others


def test_the_final_protocol_trains_for_at_most_the_given_epochs(dataset: Dataset) -> None:
    (network,) = train([replace(BASE, protocol="final", epochs=2)], dataset)
    assert network.epochs == 2


def test_a_network_does_not_depend_on_those_beside_it(dataset: Dataset) -> None:
    configs = [*REGULARISED.values(), *(replace(BASE, dropout=dropout) for dropout in (0.1, 0.5, 0.7))]
    together = train(configs, dataset)
    assert same_bits(together, [network for config in configs for network in train([config], dataset)])
    assert same_bits(together[:3], train(configs[:3], dataset))


def test_batches_of_1_8_and_32_give_the_same_bits(dataset: Dataset) -> None:
    strengths = [10.0**-exponent for exponent in range(2, 6)]
    configs = [replace(BASE, l2=l2, l1=l1, epochs=2) for l2 in strengths for l1 in strengths]
    configs += [replace(BASE, dropout=index / 20, l1=1e-7, epochs=2) for index in range(16)]
    assert len(set(configs)) == 32
    all_at_once = train(configs, dataset)
    by_eight = [network for first in range(0, 32, 8) for network in train(configs[first : first + 8], dataset)]
    alone = [network for config in configs for network in train([config], dataset)]
    assert same_bits(all_at_once, by_eight)
    assert same_bits(all_at_once, alone)


def test_networks_come_back_in_the_order_of_their_configs(dataset: Dataset) -> None:
    configs = list(REGULARISED.values())
    forwards, backwards = train(configs, dataset), train(configs[::-1], dataset)
    assert [network.config for network in forwards] == configs
    assert same_bits(forwards, backwards[::-1])


def test_training_twice_gives_the_same_bits(dataset: Dataset) -> None:
    configs = list(REGULARISED.values())
    assert same_bits(train(configs, dataset), train(configs, dataset))


def test_runs_differ(dataset: Dataset) -> None:
    first, second = (train([replace(BASE, run=run)], dataset)[0] for run in (0, 1))
    assert not np.allclose(flat(first.parameters), flat(second.parameters))


def test_a_shorter_training_is_the_beginning_of_a_longer_one(dataset: Dataset) -> None:
    config = REGULARISED["all"]
    state = start([config], dataset)
    for _ in range(2):
        advance(state, images_of_run(dataset, run=0))
    (shorter,) = train([replace(config, epochs=2)], dataset)
    assert np.array_equal(flat(unpack(state.networks.parameters[0], state.layout)), flat(shorter.parameters))


def test_an_untrained_network_has_its_initial_parameters(dataset: Dataset) -> None:
    config = replace(BASE, epochs=0, run=5)
    (network,) = train([config], dataset)
    assert np.array_equal(flat(network.parameters), flat(initial_parameters((40, 16, 12, 4), seed=5)))
    _, validation_index = train_validation_split(len(dataset.train_labels), seed=5)
    images, labels = dataset.train_images[validation_index], dataset.train_labels[validation_index]
    expected = PlainNetwork(config, dataset).validation_loss(images, labels)
    assert (network.epochs, network.status) == (0, "ok")
    assert network.validation_loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("protocol", ["v1", "final"])
def test_a_diverging_network_is_reported_and_leaves_the_others_alone(dataset: Dataset, protocol: str) -> None:
    healthy = [replace(REGULARISED[name], protocol=protocol) for name in ("none", "all")]
    diverging = replace(healthy[0], l1=1e30)  # its square, in Adam's second moment, is beyond float32
    first, diverged, last = train([healthy[0], diverging, healthy[1]], dataset)
    assert (diverged.status, diverged.epochs) == ("diverged", 1)
    assert diverged.reason == "weights or moments of Adam were not finite after epoch 1"
    plain = train_plain(diverging, dataset)
    assert (plain.status, plain.epochs, plain.reason) == (diverged.status, 1, diverged.reason)
    assert np.array_equal(flat(plain.parameters), flat(diverged.parameters))
    assert np.isfinite(flat(diverged.parameters)).all()
    assert same_bits([first, last], train(healthy, dataset))
    assert [network.status for network in (first, last)] == ["ok", "ok"]
    assert first.reason == ""


def test_a_learning_rate_that_makes_weights_infinite_is_divergence(dataset: Dataset) -> None:
    # One step in all: the moments of Adam are still finite, only the weights are not.
    (network,) = train([replace(BASE, learning_rate=1e39, batch_size=450, epochs=1)], dataset)
    assert network.status == "diverged"


def test_an_image_that_is_not_a_number_is_divergence(dataset: Dataset) -> None:
    images = dataset.train_images.copy()
    images[:, 7] = np.nan
    (network,) = train([BASE], replace(dataset, train_images=images))
    assert (network.status, network.epochs) == ("diverged", 1)
    assert np.isfinite(flat(network.parameters)).all()  # those of the epoch before


def test_progress_counts_networks_that_trained_in_each_epoch(dataset: Dataset) -> None:
    seen: list[int] = []
    train([BASE, replace(BASE, l1=1e30), replace(BASE, dropout=0.5)], dataset, progress=seen.append)
    assert seen == [3, 2, 2, 2]


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (0.02, 0.0), (0.0, 0.3), (0.02, 0.3)])
def test_adam_is_that_of_torch_over_fifty_steps(dataset: Dataset, l1: float, l2: float) -> None:
    config = replace(BASE, l1=l1, l2=l2, hidden=(16,), learning_rate=0.01)
    state = start([replace(config, l1=0.5), config], dataset)
    layout = state.layout
    first_map = slice(0, layout.starts[1])
    n_weights = int(layout.fan_in[0] * layout.width[0])
    random = np.random.default_rng(0)
    length = int(layout.starts[-1])
    sizes = 10.0 ** random.uniform(-10, 0, length)  # from below Adam's epsilon
    gradients = (sizes * random.standard_normal((50, length))).astype(np.float32)
    start_parameters = state.networks.parameters[1, first_map].copy()
    start_parameters[:10] = state.networks.parameters[1, :10] = 0  # where the slope of |w| is 0
    for step, gradient in enumerate(gradients, start=1):
        adam_step(step, 1, layout, state.networks, gradient)
    expected = oracles.torch_adam(
        start_parameters, gradients[:, first_map], l1=l1, l2=l2, n_weights=n_weights, learning_rate=0.01
    )
    np.testing.assert_allclose(state.networks.parameters[1, first_map], expected, rtol=0, atol=2e-6)


def test_flat_vectors_hold_the_parameters() -> None:
    parameters = initial_parameters((9, 5, 17, 3), seed=0)
    layout = layout_of((9, 5, 17, 3))
    vector = pack(parameters, layout)
    back = unpack(vector, layout)
    assert np.array_equal(flat(back), flat(parameters))
    assert back.weights[1].flags.c_contiguous
    assert np.count_nonzero(vector) == len(flat(parameters))
    assert vector[2 * 16 + 4] == parameters.weights[0][4, 2]  # row of input 2, unit 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dropout": 1.0}, "dropout must be a probability"),
        ({"dropout": 30}, "dropout must be a probability"),
        ({"l1": -1e-5}, "l1 must be a finite number >= 0, got -1e-05"),
        ({"l2": float("nan")}, "l2 must be a finite number >= 0, got nan"),
        ({"l2": float("inf")}, "l2 must be a finite number >= 0, got inf"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number > 0, got 0.0"),
        ({"hidden": ()}, r"hidden must give the number of units of at least one layer, got \(\)"),
        ({"hidden": (64, 0)}, r"got \(64, 0\)"),
        ({"run": -1}, "run must be a whole number of at least 0, got -1"),
        ({"epochs": -1}, "epochs must be a whole number of at least 0, got -1"),
        ({"epochs": 2.5}, "epochs must be a whole number of at least 0, got 2.5"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"protocol": "v2"}, "protocol must be one of 'v1', 'final', got 'v2'"),
    ],
)
def test_a_config_out_of_range_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run": 1}, "configs must share one run, got 0, 1"),
        ({"hidden": (8,)}, r"configs must share one hidden, got \(8,\), \(16, 12\)"),
        ({"protocol": "final"}, "configs must share one protocol, got 'final', 'v1'"),
        ({"batch_size": 100}, "configs must share one batch_size, got 50, 100"),
    ],
)
def test_networks_of_different_runs_are_refused(dataset: Dataset, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train([BASE, replace(BASE, **changes)], dataset)  # type: ignore[arg-type]


def test_an_empty_list_is_refused(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="configs is empty"):
        train([], dataset)

"""Near-copies and one signal per module: against plain loops, and where the answer is known."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest

from modularity_lib.analysis.draws import random_rotation
from modularity_lib.findings import near_copies
from modularity_lib.findings.near_copies import Layer, contrast, copy_numbers, layers_of, nearest, participation
from modularity_lib.findings.one_signal import accuracy_from, one_signal, signal_accuracies
from modularity_lib.findings.tables import AnalysedNetwork
from modularity_lib.images.dataset import load_dataset
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.measurement import measured_matrices, module_rows
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.networks import Parameters, initial_parameters
from modularity_lib.training.performance import accuracy

SMOKE = STUDIES["smoke"]


@pytest.fixture(scope="module")
def network() -> AnalysedNetwork:
    """An untrained network of the study smoke, with its modules."""
    dataset = load_dataset("mnist-5k")
    parameters = initial_parameters((784, 16, 16, 10), seed=3)
    rows = module_rows(measured_matrices(parameters, dataset), seed=0, steps=SMOKE.search_steps)
    labels = {(row["layer"], row["measure"]): np.asarray(row["labels"]) for row in rows}
    return AnalysedNetwork(SMOKE, TrainingConfig(hidden=(16, 16), epochs=10), parameters, labels, dataset)


def angle(a: np.ndarray, b: np.ndarray) -> float:
    return float(sum(x * y for x, y in zip(a, b, strict=True)) / np.sqrt(sum(a * a) * sum(b * b)))


def slow_numbers(layer: Layer) -> dict[str, float]:
    """`copy_numbers` but for the rotated units, unit by unit."""
    units = range(layer.activity.shape[1])
    r = [[float(np.corrcoef(layer.activity[:, i], layer.activity[:, j])[0, 1]) for j in units] for i in units]
    best = [max(r[i][j] for j in units if j != i) for i in units]
    inputs, outputs = [], []
    for i in units:
        found, j = max((angle(layer.incoming[i], layer.incoming[j]), j) for j in units if j != i)
        inputs.append(found)
        outputs.append(angle(layer.outgoing[i], layer.outgoing[j]))
    eigenvalues = np.linalg.eigvalsh(np.array(r))
    return {
        "live_units": len(units),
        "twin_correlation": np.mean(best),
        "twins": sum(value > 0.9 for value in best) / len(units),
        "input_cosine": np.mean(inputs),
        "output_cosine": np.mean(outputs),
        "participation": eigenvalues.sum() ** 2 / (eigenvalues**2).sum(),
    }


@pytest.mark.parametrize("seed", [0, 1])
def test_numbers_of_copies_are_those_of_plain_loops(seed: int) -> None:
    random = np.random.default_rng(seed)
    incoming = random.standard_normal((12, 3))  # few dimensions: some have twins
    before = random.standard_normal((300, 3)) @ incoming.T
    layer = Layer(before, np.maximum(before, 0), incoming, random.standard_normal((12, 5)))
    expected = slow_numbers(layer)
    found = copy_numbers(layer, np.random.default_rng(0))
    assert 0 < found["twins"] < 1
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)


def twins_by_loops(activity: np.ndarray) -> tuple[float, float]:
    centred = activity - activity.mean(axis=0)
    lengths = np.sqrt((centred**2).sum(axis=0))
    lengths[lengths == 0] = np.inf  # a turn has silenced the unit
    r = centred.T @ centred / np.outer(lengths, lengths)
    best = [max(r[i, j] for j in range(len(r)) if j != i) for i in range(len(r))]
    return float(np.mean(best)), sum(value > 0.9 for value in best) / len(best)


@pytest.mark.parametrize("rectified", [True, False])
@pytest.mark.parametrize(
    "shift", [0.0, 1.5]
)  # with which units fire more often: one kind of turn gives more, or the other
def test_turned_units_are_the_same_inputs_in_three_rotations_and_the_kind_that_gives_more(
    rectified: bool, shift: float
) -> None:
    random = np.random.default_rng(3)
    before = random.standard_normal((200, 3)) @ random.standard_normal((3, 10)) + shift * random.standard_normal(10)
    before[:, 0] += 100.0  # always fires
    activity = np.maximum(before, 0) if rectified else before
    found = copy_numbers(Layer(before, activity, np.eye(10), np.eye(10)), np.random.default_rng(5), rectified=rectified)
    source = np.random.default_rng(5)
    by_kind = []
    for matched in (False, True) if rectified else (False,):
        numbers = []
        for _ in range(3):
            turned = before @ random_rotation(10, source).T
            if matched:
                for unit in range(10):
                    n_silent = int((activity[:, unit] <= 0).sum())
                    turned[:, unit] -= sorted(turned[:, unit])[max(n_silent - 1, 0)]
            numbers.append(twins_by_loops(np.maximum(turned, 0) if rectified else turned))
        by_kind.append(np.mean(numbers, axis=0))
    expected = [max(kind[place] for kind in by_kind) for place in (0, 1)]
    assert (found["rotated_twin_correlation"], found["rotated_twins"]) == pytest.approx(expected)


def test_a_unit_is_live_whose_activity_changes() -> None:
    activity = np.array([[0.0, 1.0, 1.0], [0.0, 1.0, 2.0]])
    layer = Layer(activity, activity, np.arange(6.0).reshape(3, 2), np.arange(3.0).reshape(3, 1))
    assert layer.live.tolist() == [False, False, True]
    assert layer.of(layer.live).incoming.tolist() == [[4.0, 5.0]]


def test_two_units_that_are_opposites_are_no_twins() -> None:
    assert near_copies.twin_numbers(np.array([[1.0, -0.95], [-0.95, 1.0]])) == (-0.95, 0.0)


def test_exact_copies_are_twins_and_units_turned_at_random_are_none() -> None:
    random = np.random.default_rng(0)
    prototypes, scales = np.repeat(random.standard_normal((16, 30)), 2, axis=0), random.uniform(0.5, 2.0, 32)
    incoming = prototypes * scales[:, None]
    before = random.standard_normal((500, 30)) @ incoming.T
    found = copy_numbers(Layer(before, np.maximum(before, 0), incoming, incoming), random)
    assert found["twins"] == 1
    assert [found[name] for name in ("twin_correlation", "input_cosine", "output_cosine")] == pytest.approx([1] * 3)
    assert found["rotated_twins"] == 0
    assert found["rotated_twin_correlation"] < 0.7


def test_turned_units_fire_as_often_as_those_in_their_place() -> None:
    random = np.random.default_rng(0)
    before = random.standard_normal((400, 9)) + np.linspace(-2, 4, 9)  # from hardly ever to always
    layer = Layer(before, np.maximum(before, 0), np.eye(9), np.eye(9))
    turned = near_copies._turned_at_same_rates(layer, np.random.default_rng(1))
    rates, expected = (np.count_nonzero(of > 0, axis=0) for of in (turned, layer.activity))
    assert (turned >= 0).all()
    assert np.abs(rates - expected).max() <= 1  # of units that always fire, the lowest value is 0
    as_is = near_copies._turned(layer, np.random.default_rng(1))
    assert np.abs(np.count_nonzero(as_is > 0, axis=0) - expected).max() > 50


def test_units_of_one_dimension_all_are_twins_however_they_are_turned() -> None:
    random = np.random.default_rng(0)
    before = random.standard_normal((200, 1)) * random.uniform(1, 2, 8)
    found = copy_numbers(Layer(before, before, np.eye(8), np.eye(8)), random, rectified=False)
    assert found["rotated_twins"] >= 0.7  # of linear units some are turned to the other side
    assert found["participation"] == pytest.approx(1)


def test_the_nearest_unit_is_another_one() -> None:
    likeness = np.array([[1.0, -0.5, -0.2], [-0.5, 1.0, -0.9], [-0.2, -0.9, 1.0]])
    assert nearest(likeness).tolist() == [2, 0, 0]
    assert likeness[0, 0] == 1  # what was given stays


def test_contrast_is_that_of_loops_and_none_without_pairs_of_both_kinds() -> None:
    random = np.random.default_rng(0)
    values = random.standard_normal((7, 7))
    values, labels = values + values.T, np.array([0, 1, 0, 2, 1, 0, 2])
    pairs = list(combinations(range(7), 2))
    within = np.mean([values[i, j] for i, j in pairs if labels[i] == labels[j]])
    across = np.mean([values[i, j] for i, j in pairs if labels[i] != labels[j]])
    assert contrast(values, labels) == pytest.approx(within - across, abs=1e-12)
    assert contrast(values, np.zeros(7, dtype=int)) is None
    assert contrast(values, np.arange(7)) is None


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_equal_blocks_of_copies_use_as_many_dimensions_as_there_are_blocks(blocks: int) -> None:
    copies = np.kron(np.eye(blocks), np.ones((8 // blocks, 8 // blocks)))
    assert participation(copies) == pytest.approx(blocks)


def test_layers_are_those_of_the_network(network: AnalysedNetwork) -> None:
    images = network.dataset.test_images[:5]
    first, second = layers_of(network.parameters, images)
    (w1, w2, w3), (b1, b2, _) = network.parameters.weights, network.parameters.biases
    for image, before, activity, above in zip(images, first.before, first.activity, second.activity, strict=True):
        expected = [sum(float(x) * float(w) for x, w in zip(image, row, strict=True)) for row in w1]
        np.testing.assert_allclose(before, np.array(expected) + b1, atol=1e-9)
        np.testing.assert_allclose(activity, [max(value, 0) for value in before])
        np.testing.assert_allclose(above, np.maximum(w2 @ activity + b2, 0), atol=1e-6)
    np.testing.assert_array_equal(first.outgoing, w2.T)
    np.testing.assert_array_equal(second.outgoing, w3.T)
    linear = layers_of(network.parameters, images, rectified=False)[1]
    np.testing.assert_allclose(linear.activity, (images @ w1.T + b1) @ w2.T + b2, atol=1e-5)


def test_one_signal_is_the_best_approximation_of_rank_one_of_what_units_pass_on() -> None:
    random = np.random.default_rng(0)
    activity, gains = random.standard_normal((50, 6)) + 3, random.uniform(0.5, 2, 6)
    labels = np.array([0, 1, 0, 1, 1, 0])
    expected = np.empty_like(activity)
    for label in (0, 1):
        units = labels == label
        means = activity[:, units].mean(axis=0)
        left, values, right = np.linalg.svd((activity[:, units] - means) * gains[units], full_matrices=False)
        expected[:, units] = means + values[0] * np.outer(left[:, 0], right[0]) / gains[units]
    np.testing.assert_allclose(one_signal(activity, gains, labels), expected, atol=1e-10)
    np.testing.assert_allclose(one_signal(activity, gains, labels, rank=3), activity, atol=1e-10)


def test_one_signal_loses_nothing_of_modules_that_are_one_unit_copied() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(12) // 4
    activity = np.maximum(random.standard_normal((80, 3)), 0)[:, labels] * random.uniform(0.5, 2, 12)
    gains = random.uniform(0.5, 2, 12)
    np.testing.assert_allclose(one_signal(activity, gains, labels), activity, atol=1e-12)
    assert np.abs(one_signal(activity, gains, labels[random.permutation(12)]) - activity).max() > 0.5


def test_a_unit_that_passes_nothing_on_is_left_at_its_mean() -> None:
    random = np.random.default_rng(0)
    activity = random.standard_normal((20, 3))
    kept = one_signal(activity, np.array([1.0, 0.0, 2.0]), np.zeros(3, dtype=int))
    np.testing.assert_allclose(kept[:, 1], activity[:, 1].mean())
    assert np.isfinite(kept).all()


def test_the_network_goes_on_from_a_layer_as_it_would_by_itself(network: AnalysedNetwork) -> None:
    images, digits = network.dataset.test_images, network.dataset.test_labels
    full = accuracy(network.parameters, images, digits)
    for number, layer in enumerate(layers_of(network.parameters, images), start=1):
        assert accuracy_from(network.parameters, number, layer.activity, digits) == pytest.approx(full, abs=1e-3)
        assert accuracy_from(network.parameters, number, 0 * layer.activity, digits) < 0.2


def test_accuracies_of_signals_are_those_of_loops_and_copies_lose_nothing() -> None:
    """Eight classes, of which each module of three copies says one."""
    random, digits = np.random.default_rng(0), np.arange(80) % 8
    activity = np.repeat(np.eye(8)[digits] + 0.3 * random.random((80, 8)), 3, axis=1)
    weights, modules = np.kron(np.eye(8), np.ones((1, 3))), np.repeat([2, 0, 1, 3, 7, 5, 4, 6], 3)
    parameters = Parameters((np.eye(24), weights), (np.zeros(24), np.zeros(8)))
    layer, live = Layer(activity, activity, np.eye(24), weights.T), np.ones(24, dtype=bool)
    live[0] = False  # goes on as it is
    found = signal_accuracies(parameters, 1, layer, live, modules, digits, np.random.default_rng(1))

    def kept(groups: np.ndarray) -> float:
        changed = activity.copy()
        for group in np.unique(groups):
            units = np.flatnonzero(live)[groups == group]
            means = activity[:, units].mean(axis=0)
            left, values, right = np.linalg.svd(activity[:, units] - means, full_matrices=False)
            changed[:, units] = means + values[0] * np.outer(left[:, 0], right[0])
        return float(np.mean((changed @ weights.T).argmax(axis=1) == digits))

    source = np.random.default_rng(1)
    expected = [kept(source.permutation(modules[live])) for _ in range(5)]
    assert found["one_signal_random"] == pytest.approx(np.mean(expected))
    assert found["modules"] == 8
    assert found["one_signal"] == kept(modules[live]) == found["same_rank"] == 1
    assert found["one_signal_random"] < 1


def test_accuracies_of_signals_weigh_units_by_their_outgoing_weights_and_leave_the_others() -> None:
    """A network of two hidden layers, image by image; what it says is right, and its logits are below 0."""
    random = np.random.default_rng(0)
    images, gains = random.standard_normal((300, 6)), np.geomspace(0.1, 10, 10)
    first, second, last = (random.standard_normal(shape) for shape in ((10, 6), (8, 10), (4, 8)))
    second, shift = second * gains, np.array([0.0, 0.3, -0.3, 0.1]) - 100.0
    biases = (np.zeros(10), random.standard_normal(8), shift)
    activity = np.maximum(images @ first.T, 0)
    activity[:, 0] = 3.0
    live = np.arange(10) > 0
    modules = np.array([5, 0, 2, 5, 0, 2, 5, 0, 2, 5])

    def says(activity: np.ndarray) -> list[int]:
        after = [[max(float(w @ h) + b, 0) for w, b in zip(second, biases[1], strict=True)] for h in activity]
        return [int(np.argmax([float(w @ h) + b for w, b in zip(last, shift, strict=True)])) for h in after]

    digits = np.array(says(activity))
    lengths = np.array([np.sqrt(sum(second[:, unit] ** 2)) for unit in range(10)])

    def kept(groups: np.ndarray, rank: int = 1) -> float:
        changed = activity.copy()
        for group in np.unique(groups):
            units = np.flatnonzero(live)[groups == group]
            means = activity[:, units].mean(axis=0)
            left, values, right = np.linalg.svd((activity[:, units] - means) * lengths[units], full_matrices=False)
            low_rank = (left[:, :rank] * values[:rank]) @ right[:rank]
            changed[:, units] = means + low_rank / lengths[units]
        return float(np.mean(np.array(says(changed)) == digits))

    layer, parameters = Layer(activity, activity, first, second.T), Parameters((first, second, last), biases)
    assert accuracy_from(parameters, 1, activity, digits) == 1
    found = signal_accuracies(parameters, 1, layer, live, modules, digits, np.random.default_rng(1))
    assert found["modules"] == 3
    assert found["one_signal"] == pytest.approx(kept(modules[live]))
    assert found["same_rank"] == pytest.approx(kept(np.zeros(9, dtype=int), 3))
    source = np.random.default_rng(1)
    shuffled = [kept(source.permutation(modules[live])) for _ in range(5)]
    assert found["one_signal_random"] == pytest.approx(np.mean(shuffled))
    assert len({found["one_signal"], found["same_rank"], found["one_signal_random"], 1.0}) == 4


def test_rows_of_a_network_are_those_of_its_layers_and_of_its_start(network: AnalysedNetwork) -> None:
    rows = near_copies.rows_of(network)
    assert [(row["layer"], row["trained"]) for row in rows] == [(1, True), (2, True), (1, False), (2, False)]
    images = network.dataset.test_images
    for row, layer in zip(rows, layers_of(network.parameters, images), strict=False):
        live = layer.live
        expected = slow_numbers(layer.of(live))
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-9)
        labels = network.labels[row["layer"], "input_gradient_norm"][live]
        for name, weights in (("input_contrast", layer.incoming), ("output_contrast", layer.outgoing)):
            alike = np.array([[angle(a, b) for b in weights[live]] for a in weights[live]])
            assert row[name] == pytest.approx(contrast(alike, labels), abs=1e-9)
        assert row["modules"] == len(set(network.labels[row["layer"], "input_covariance_norm"][live]))
    untrained = initial_parameters((784, 16, 16, 10), seed=0)
    found = module_rows(measured_matrices(untrained, network.dataset), seed=0, steps=SMOKE.search_steps)
    start = {(row["layer"], row["measure"]): np.asarray(row["labels"]) for row in found}
    states = ((network.parameters, network.labels, True), (untrained, start, False))
    digits = network.dataset.test_labels
    for row, ((parameters, labels_of, trained), number) in zip(rows, product(states, (1, 2)), strict=True):
        layer, of_activity = layers_of(parameters, images)[number - 1], labels_of[number, "input_covariance_norm"]
        source = np.random.default_rng([0, number, int(trained)])
        expected = copy_numbers(layer.of(layer.live), source)
        expected |= signal_accuracies(parameters, number, layer, layer.live, of_activity, digits, source)
        assert {name: row[name] for name in expected} == pytest.approx(expected, abs=1e-12)
        assert row["accuracy"] == accuracy(parameters, images, digits)
        of_weights = labels_of[number, "input_gradient_norm"][layer.live]
        alike = np.array([[angle(a, b) for b in layer.incoming[layer.live]] for a in layer.incoming[layer.live]])
        assert row["input_contrast"] == pytest.approx(contrast(alike, of_weights), abs=1e-9)
    with_dropout = AnalysedNetwork(
        SMOKE,
        TrainingConfig(hidden=(16, 16), epochs=10, dropout=0.3),
        network.parameters,
        network.labels,
        network.dataset,
    )
    assert [row["trained"] for row in near_copies.rows_of(with_dropout)] == [True, True]


def test_units_without_a_module_of_either_measure_are_left_out_and_so_is_a_layer_of_one(
    network: AnalysedNetwork,
) -> None:
    labels = {place: of.copy() for place, of in network.labels.items()}
    live = layers_of(network.parameters, network.dataset.test_images)[0].live
    first, second = np.flatnonzero(live)[:2]
    labels[1, "input_covariance_norm"][first] = labels[1, "input_gradient_norm"][second] = -1
    labels[2, "input_gradient_norm"][1:] = -1
    config = TrainingConfig(hidden=(16, 16), epochs=10, dropout=0.3)
    [row] = near_copies.rows_of(replace(network, labels=labels, config=config))
    assert (row["layer"], row["live_units"]) == (1, live.sum() - 2)

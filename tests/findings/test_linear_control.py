"""Linear networks: what they are trained to, what a turn leaves as it is, and what the numbers are."""

from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from modularity_lib.analysis.draws import random_rotation
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings import linear_control
from modularity_lib.findings.linear_control import balance, dropout_penalty, similarities, with_layer_turned
from modularity_lib.findings.near_copies import Layer, copy_numbers, layers_of
from modularity_lib.findings.tables import AnalysedNetwork
from modularity_lib.images.dataset import load_dataset
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.networks import Parameters, initial_parameters, network_of
from modularity_lib.training.plain import train_plain
from modularity_lib.vocabulary import BASELINE

CONFIG = TrainingConfig(hidden=(12, 8), epochs=2, dropout=0.3, batch_size=100)


@pytest.fixture(scope="module")
def network() -> AnalysedNetwork:
    dataset = load_dataset("mnist-5k")
    return AnalysedNetwork(STUDIES["smoke"], CONFIG, initial_parameters((784, 12, 8, 10), seed=0), {}, dataset)


def exact(parameters: Parameters) -> Parameters:
    return Parameters(*(tuple(array.astype(np.float64) for array in part) for part in vars(parameters).values()))


def test_a_linear_network_is_trained_to_less_loss_and_is_linear(network: AnalysedNetwork) -> None:
    losses: list[float] = []
    trained = train_plain(
        replace(CONFIG, dropout=0.0),
        network.dataset,
        rectified=False,
        after_epoch=lambda epoch: losses.append(epoch.validation_loss),
    )
    assert losses[1] < losses[0] < np.log(10)
    weights, biases = trained.parameters.weights, trained.parameters.biases
    images = network.dataset.train_images[:20].astype(np.float64)
    product = weights[2].astype(float) @ weights[1] @ weights[0]
    shift = weights[2] @ (weights[1] @ biases[0] + biases[1]) + biases[2]
    *_, last = layers_of(trained.parameters, images, rectified=False)
    np.testing.assert_allclose(last.activity @ weights[2].T + biases[2], images @ product.T + shift, atol=1e-4)
    rectified = train_plain(replace(CONFIG, dropout=0.0), network.dataset)
    assert abs(rectified.validation_loss - losses[-1]) > 1e-3


@pytest.mark.parametrize("layer", [1, 2])
def test_a_linear_network_computes_the_same_when_a_layer_is_turned(network: AnalysedNetwork, layer: int) -> None:
    parameters = exact(network.parameters)
    units = np.arange(1, 6)
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))[0]
    turned = with_layer_turned(parameters, layer, units, rotation)
    images = network.dataset.test_images[:50]
    before, after = (layers_of(of, images, rectified=False)[-1] for of in (parameters, turned))
    logits = [of.activity @ with_.weights[2].T for of, with_ in ((before, parameters), (after, turned))]
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-10)
    assert (
        np.abs(layers_of(turned, images)[layer - 1].before - layers_of(parameters, images)[layer - 1].before).max()
        > 0.1
    )
    np.testing.assert_array_equal(turned.weights[layer - 1][0], parameters.weights[layer - 1][0])  # not turned


@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("rectified", [True, False])
def test_similarities_are_those_of_the_generic_measures(network: AnalysedNetwork, layer: int, rectified: bool) -> None:
    parameters = exact(network.parameters)
    images = network.dataset.test_images[:200]
    model: torch.nn.Module = network_of(parameters)
    if not rectified:
        for name in ("hidden1", "hidden2"):
            model.get_submodule(name).relu = torch.nn.Identity()
    expected = similarity_matrices(
        model,
        torch.tensor(images, dtype=torch.float64),
        network.dataset.test_labels[:200],
        layers=[f"hidden{layer}"],
        measures=list(linear_control.MEASURES_OF_INPUTS),
    )[f"hidden{layer}"]
    for measure, matrix in similarities(layer, parameters, images, rectified=rectified).items():
        np.testing.assert_allclose(matrix, expected[measure], atol=1e-9, err_msg=measure)


def test_balance_is_1_where_both_sides_have_the_same_angles() -> None:
    incoming = np.random.default_rng(0).standard_normal((6, 9))
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((9, 9)))[0]
    activity = np.zeros((2, 6))
    assert balance(Layer(activity, activity, incoming, 3 * incoming @ rotation)) == pytest.approx(1)
    one = np.array([[1.0, 0], [1, 0], [0, 1]])
    other = np.array([[1.0, 0], [0, 1], [0, 1]])  # pairs (0, 1), (0, 2), (1, 2): cosines 1, 0, 0 and 0, 0, 1
    assert balance(Layer(activity, activity, one, other)) == pytest.approx(-0.5)


def test_the_penalty_is_what_dropout_adds_to_the_squared_error() -> None:
    random = np.random.default_rng(0)
    activity, outgoing = random.standard_normal((7, 4)), random.standard_normal((4, 3))
    p, draws = 0.4, 40_000
    masks = (random.random((draws, 7, 4)) >= p) / (1 - p)
    spread = ((masks * activity) @ outgoing - activity @ outgoing) ** 2
    layer = Layer(activity, activity, outgoing, outgoing)
    assert spread.sum(axis=2).mean() == pytest.approx(p / (1 - p) * dropout_penalty(layer), rel=0.02)


def test_rows_of_both_kinds_of_network(network: AnalysedNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_control, "EPOCHS", 1)
    rows = linear_control.rows_of(network)
    assert [(row["rectified"], row["layer"]) for row in rows] == [(r, n) for r in (False, True) for n in (1, 1, 2, 2)]
    linear = train_plain(replace(CONFIG, epochs=1), network.dataset, rectified=False)
    images, digits = network.dataset.test_images, network.dataset.test_labels
    *_, last = layers_of(linear.parameters, images, rectified=False)
    logits = last.activity @ linear.parameters.weights[2].T + linear.parameters.biases[2]
    assert rows[0]["accuracy"] == pytest.approx(np.mean(logits.argmax(axis=1) == digits), abs=1e-3)
    assert rows[0]["accuracy"] != rows[4]["accuracy"]
    for row in rows:
        assert 0 <= row["rotated"] < 1
        assert row["score"] >= 0
        assert row["penalty"] > 0


def test_units_of_which_no_two_are_alike_have_a_q_of_0(network: AnalysedNetwork) -> None:
    assert linear_control._score(np.eye(4), network) == 0


def test_both_kinds_of_network_are_trained_alike_and_measured_as_what_they_are(
    network: AnalysedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def train(configs: list[TrainingConfig], dataset: object) -> list[SimpleNamespace]:
        trained.extend(configs)
        return [SimpleNamespace(parameters="usual")]

    def train_plain(config: TrainingConfig, dataset: object, *, rectified: bool) -> SimpleNamespace:
        trained.append(config)
        return SimpleNamespace(parameters=f"plain, {rectified=}")

    monkeypatch.setattr(linear_control, "train", train)
    monkeypatch.setattr(linear_control, "train_plain", train_plain)
    monkeypatch.setattr(
        linear_control, "measured", lambda _, parameters, *, rectified: [{"of": (parameters, rectified)}]
    )
    config = replace(CONFIG, protocol="final", run=4)
    assert linear_control.rows_of(replace(network, config=config)) == [
        {"rectified": False, "of": ("plain, rectified=False", False)},
        {"rectified": True, "of": ("usual", True)},
    ]
    assert trained == [replace(config, protocol="v1", epochs=15)] * 2


@pytest.mark.parametrize("rectified", [True, False])
def test_what_is_measured_is_that_of_loops_over_three_rotations(network: AnalysedNetwork, rectified: bool) -> None:
    few = replace(network.dataset, test_images=network.dataset.test_images[:80], test_labels=np.arange(80) % 10)
    parameters = exact(network.parameters)
    parameters.biases[0][2] = -1e6  # with a ReLU the unit is silent
    parameters.biases[2][:] = np.linspace(0, 0.2, 10)
    here = replace(network, dataset=few, config=replace(CONFIG, run=4))
    rows = linear_control.measured(here, parameters, rectified=rectified)
    assert [(row["layer"], row["measure"]) for row in rows] == list(product((1, 2), linear_control.MEASURES_OF_INPUTS))
    images, below = few.test_images.astype(float), few.test_images.astype(float)
    logits = layers_of(parameters, images, rectified=rectified)[-1].activity @ parameters.weights[2].T
    right = np.mean((logits + parameters.biases[2]).argmax(axis=1) == few.test_labels)
    for number in (1, 2):
        before = below @ parameters.weights[number - 1].T + parameters.biases[number - 1]
        below = np.maximum(before, 0) if rectified else before
        live = [unit for unit in range(before.shape[1]) if len(set(below[:, unit])) > 1]
        assert rectified == (len(live) < before.shape[1])
        outgoing = parameters.weights[number].T
        layer = Layer(before, below, parameters.weights[number - 1], outgoing)
        source = np.random.default_rng([4, number, int(rectified)])
        copies = copy_numbers(layer.of(np.array(live)), source, rectified=rectified)
        turns = [random_rotation(len(live), source) for _ in range(3)]
        penalties, networks = [], [parameters]
        for turn in turns:
            turned = np.array([turn @ z for z in before[:, live]])
            turned = np.maximum(turned, 0) if rectified else turned
            lengths = [sum(v**2) for v in turn @ outgoing[live]]
            dead = [unit for unit in range(before.shape[1]) if unit not in live]
            rest = sum(sum(outgoing[unit] ** 2) * np.mean(below[:, unit] ** 2) for unit in dead)
            penalties.append(sum(v * np.mean(h**2) for v, h in zip(lengths, turned.T, strict=True)) + rest)
            networks.append(with_layer_turned(parameters, number, np.array(live), turn))
        for row in (row for row in rows if row["layer"] == number):
            q, *of_turned = (
                paper_modules(
                    similarities(number, of, images, rectified=rectified)[row["measure"]],
                    seed=4,
                    steps=network.study.search_steps,
                ).score
                for of in networks
            )
            assert row["score"] == pytest.approx(q, abs=1e-9)
            assert row["rotated"] == pytest.approx(np.mean(of_turned), abs=1e-9)
            assert row["accuracy"] == right
            assert row["balance"] == balance(layer.of(np.array(live)))
            assert row["penalty"] == pytest.approx(dropout_penalty(layer))
            assert row["rotated_penalty"] == pytest.approx(np.mean(penalties))
            for name in ("twin_correlation", "twins", "rotated_twins"):
                assert row[name] == pytest.approx(copies[name])


def test_dropout_alone_is_compared() -> None:
    compared = [setting for setting in STUDIES["v1"].settings() if linear_control.is_compared(setting)]
    assert compared == [BASELINE, BASELINE._replace(dropout=0.7)]

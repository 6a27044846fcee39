"""Linear networks: what they are trained to, what a turn leaves as it is, and what the numbers are."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from modularity_lib.findings import linear_control
from modularity_lib.findings.linear_control import balance, dropout_penalty, similarities, with_layer_turned
from modularity_lib.findings.near_copies import Layer, layers_of
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


def test_dropout_alone_is_compared() -> None:
    compared = [setting for setting in STUDIES["v1"].settings() if linear_control.is_compared(setting)]
    assert compared == [BASELINE, BASELINE._replace(dropout=0.7)]

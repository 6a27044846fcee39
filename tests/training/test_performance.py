"""Accuracy and norms of the weights, against torch and plain sums."""

import numpy as np
import pytest
import torch

import oracles_training as oracles
from modularity_lib.training.networks import Parameters, initial_parameters, network_of
from modularity_lib.training.performance import accuracy, weight_statistics


def test_accuracy_is_the_share_of_right_answers_of_the_torch_network() -> None:
    dataset = oracles.made_up_dataset()
    # Weights and biases far from 0, so that what ReLU cuts off and what the biases add decides the answers.
    random = np.random.default_rng(1)
    sizes = (40, 16, 12, 4)
    parameters = Parameters(
        weights=tuple(
            random.standard_normal(shape, dtype=np.float32) for shape in zip(sizes[1:], sizes[:-1], strict=True)
        ),
        biases=tuple(10 * random.standard_normal(size, dtype=np.float32) for size in sizes[1:]),
    )
    logits = network_of(parameters)(torch.tensor(dataset.test_images))
    right = [int(row.argmax()) == label for row, label in zip(logits, dataset.test_labels, strict=True)]
    assert accuracy(parameters, dataset.test_images, dataset.test_labels) == sum(right) / len(right)
    assert 0 < sum(right) < len(right)


def test_accuracy_by_hand() -> None:
    identity, none = np.eye(2, dtype=np.float32), np.zeros(2, dtype=np.float32)
    images = np.array([[1, 0], [0, 1], [0.2, 0.1], [0.3, 0.4]], dtype=np.float32)
    labels = np.array([0, 1, 0, 0])
    assert accuracy(Parameters((identity, identity), (none, none)), images, labels) == 3 / 4
    towards_1 = np.array([0, 0.15], dtype=np.float32)  # turns the answer for the third image from 0 to 1
    assert accuracy(Parameters((identity, identity), (none, towards_1)), images, labels) == 2 / 4


def test_weight_statistics_are_plain_sums_over_all_weights_but_no_biases() -> None:
    parameters = initial_parameters((40, 16, 12, 4), seed=0)
    parameters.weights[0][:, :7] *= np.float32(1e-4)
    weights = [float(weight) for matrix in parameters.weights for weight in matrix.ravel()]
    assert weight_statistics(parameters) == pytest.approx(
        {
            "sum_abs_weights": sum(abs(weight) for weight in weights),
            "sum_squared_weights": sum(weight * weight for weight in weights),
            "sparsity": sum(abs(weight) < 1e-3 for weight in weights) / len(weights),
            "nuclear_norm": sum(oracles.nuclear_norm(matrix) for matrix in parameters.weights),
        },
        rel=1e-6,
    )
    assert 0.1 < weight_statistics(parameters)["sparsity"] < 0.5

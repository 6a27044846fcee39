"""Networks of weights that were made elsewhere: of arrays, and of what scikit-learn has fitted."""

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import modularity_lib as ml
from modularity_lib.training.networks import MLP, Parameters, network_of, parameters_of

SIZES = [7, 5, 4, 3]
FUNCTIONS = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "identity": lambda z: z,
}


class MLPClassifier:
    """The attributes that scikit-learn documents for its own, and its way from inputs to outputs."""

    def __init__(self, activation: Any = "relu", hidden_layer_sizes: tuple[int, ...] = (5, 4)) -> None:
        self.activation, self.hidden_layer_sizes = activation, hidden_layer_sizes

    def fit(self, n_inputs: int = 7, n_outputs: int = 3, dtype: Any = np.float64) -> "MLPClassifier":
        random = np.random.default_rng(0)
        sizes = [n_inputs, *self.hidden_layer_sizes, n_outputs]
        self.coefs_ = [random.normal(size=pair).astype(dtype) for pair in pairwise(sizes)]
        self.intercepts_ = [random.normal(size=size).astype(dtype) for size in sizes[1:]]
        self.n_layers_, self.n_outputs_ = len(sizes), n_outputs
        self.out_activation_ = "softmax" if n_outputs > 1 else "logistic"
        return self

    def outputs(self, inputs: np.ndarray) -> list[np.ndarray]:
        """Activity of every layer, the outputs before softmax or sigmoid last."""
        found, last = [inputs], len(self.coefs_) - 1
        for place, (weight, bias) in enumerate(zip(self.coefs_, self.intercepts_, strict=True)):
            z = found[-1] @ weight + bias
            found.append(z if place == last else FUNCTIONS[self.activation](z))
        return found[1:]


INPUTS = np.random.default_rng(1).normal(size=(9, 7))


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_a_fitted_network_gives_what_scikit_learn_gives(activation: str, n_outputs: int) -> None:
    fitted = MLPClassifier(activation).fit(n_outputs=n_outputs)
    network = MLP.from_sklearn(fitted)
    assert isinstance(network, MLP) == (activation == "relu")
    expected = fitted.outputs(INPUTS)
    with torch.no_grad():
        values = torch.from_numpy(INPUTS)
        np.testing.assert_allclose(network(values).numpy(), expected[-1], atol=1e-13)
    found = ml.similarity_matrices(network, INPUTS, layers=["hidden1", "hidden2"], measures=["input_covariance"])
    for layer, activity in zip(found, expected, strict=False):
        covariance = np.abs(np.cov(activity.T, bias=True))
        np.testing.assert_allclose(found[layer]["input_covariance"], covariance, atol=1e-13)


def test_weights_keep_the_precision_that_they_were_fitted_in() -> None:
    for dtype in (np.float32, np.float64):
        fitted = MLPClassifier().fit(dtype=dtype)
        back = parameters_of(MLP.from_sklearn(fitted))
        for array, before in zip(back.weights, fitted.coefs_, strict=True):
            assert array.dtype == dtype
            np.testing.assert_array_equal(array, before.T)


class GridSearchCV:
    best_estimator_ = MLPClassifier()


class Pipeline:
    steps = (("mlp", MLPClassifier()),)


@pytest.mark.parametrize(
    ("fitted", "message"),
    [
        (MLPClassifier(), r"got a MLPClassifier without coefs_. Call its .fit\(X, y\) first"),
        (MLPClassifier, r"got the type MLPClassifier. Make one and fit it"),
        (Pipeline(), r"got a Pipeline. Pass its last step, pipeline\[-1\]"),
        (GridSearchCV(), r"got a GridSearchCV. Pass its .best_estimator_"),
        (SimpleNamespace(estimators_=[]), r"Pass one of its .estimators_"),
        (torch.nn.Linear(2, 2), r"got a Linear. A torch.nn.Module is measured as it is"),
        (SimpleNamespace(coef_=np.ones(3)), r"network_of\(Parameters\(weights, biases\)\)"),
        (None, "got None"),
        (3, "got 3"),
        ("relu", "got 'relu'"),
        ([np.ones((2, 2))], "got a list"),
        (MLPClassifier("softplus").fit(), r"one of the activations relu, tanh, logistic, identity, got 'softplus'"),
        (MLPClassifier(np.tanh).fit(), "one of the activations"),
        (MLPClassifier(hidden_layer_sizes=()).fit(), "have a hidden layer, got a network without"),
    ],
)
def test_what_is_no_fitted_network_is_refused_with_the_way_out(fitted: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^fitted must .*{message}"):
        MLP.from_sklearn(fitted)


def made(*shapes: tuple[int, int], biases: tuple[int, ...] | None = None) -> Parameters:
    lengths = [shape[0] for shape in shapes] if biases is None else biases
    return Parameters(tuple(np.ones(shape) for shape in shapes), tuple(np.ones(length) for length in lengths))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            made((64, 32), (32, 10), biases=(32, 10)),
            r"\(64, 32\), \(32, 10\) .*other way round.*weight.T.*from_sklearn",
        ),
        (made((5, 7), (3, 4)), r"got weights \(5, 7\), \(3, 4\) and biases \(5,\), \(3,\). The weights of a torch.nn"),
        (made((5, 7), (3, 5), biases=(5, 4)), r"biases \(5,\), \(4,\)"),
        (made((5, 7)), "two at least, got 1 and 1"),
        (made(), "two at least, got 0 and 0"),
        (made((5, 7), (3, 5), biases=(5,)), "as many layers, two at least, got 2 and 1"),
        (Parameters((np.ones(5), np.ones((3, 5))), (np.ones(5), np.ones(3))), r"got \(5,\) and \(5,\) in layer 0"),
        (Parameters((np.ones((5, 7)), np.ones((3, 5))), (np.ones(5), np.ones((3, 1)))), r"\(3, 1\) in layer 1"),
        (Parameters(3, None), "got 3 and None"),  # type: ignore[arg-type]
        (Parameters((np.ones((2, 2)) * 1j, np.ones((2, 2))), (np.ones(2), np.ones(2))), "got complex128"),
        (Parameters((np.array([["a"]]), np.ones((2, 1))), (np.ones(1), np.ones(2))), "must be real numbers"),
        (MLPClassifier().fit(), r"got MLPClassifier. Pass MLP.from_sklearn\(fitted\)"),
        ([np.ones((2, 2))], "got list. Both are tuples"),
        (MLP(SIZES), "got MLP"),
    ],
)
def test_parameters_that_make_no_network_are_refused_with_the_way_out(parameters: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^parameters.*{message}"):
        network_of(parameters)


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, lambda array: array.tolist()])
def test_arrays_tensors_and_lists_make_the_same_network(kind: Any) -> None:
    random = np.random.default_rng(2)
    weights, biases = [random.normal(size=(3, 4)), random.normal(size=(2, 3))], [random.normal(size=3), np.zeros(2)]
    network = network_of(Parameters(tuple(map(kind, weights)), tuple(map(kind, biases))))
    for array, expected in zip(parameters_of(network).weights, weights, strict=True):
        assert array.dtype == np.float64
        np.testing.assert_array_equal(array, expected)


def test_the_mode_of_torch_has_no_part_in_the_precision() -> None:
    single = Parameters(
        weights=(np.ones((3, 4), np.float32), np.ones((2, 3), np.float32)),
        biases=(np.ones(3, np.float32), np.ones(2, np.float32)),
    )
    torch.set_default_dtype(torch.float64)
    try:
        assert network_of(single).output.weight.dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


def test_parameters_are_those_of_an_mlp() -> None:
    with pytest.raises(ValueError, match=r"^network must be an MLP, got Linear"):
        parameters_of(torch.nn.Linear(2, 2))  # type: ignore[arg-type]

"""Weights that were made elsewhere: those of `Parameters`, and of a perceptron that scikit-learn has fitted."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from modularity_lib.arrays import Wanted, numbers_of, shown
from modularity_lib.training.config import listed
from modularity_lib.vocabulary import some_of

FUNCTIONS = ("relu", "tanh", "logistic", "identity")  # of hidden units, as scikit-learn calls them


def checked_weights(argument: str, weights: object, biases: object) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Weights (units, units before) and biases (units,) of every layer; ValueError unless they fit each other.

    Args:
        argument: what errors call the two together.
        weights, biases: one array for each layer, input side first, two at least.
    Returns:
        float64 arrays if one of them is float64, else float32 ones.
    """
    n_layers = None if listed(weights) is None else len(listed(weights) or ())
    if n_layers is None or n_layers < 2 or n_layers != len(listed(biases) or ()):
        counts = [shown(given) if listed(given) is None else len(listed(given) or ()) for given in (weights, biases)]
        raise ValueError(
            f"{argument} must have weights and biases of as many layers, two at least, got {counts[0]} and "
            f"{counts[1]}. The last layer gives the outputs, those before it are hidden."
        )
    read = [_array(f"{argument}.weights[{place}]", array, _WEIGHT) for place, array in enumerate(listed(weights) or ())]
    added = [_array(f"{argument}.biases[{place}]", array, _BIAS) for place, array in enumerate(listed(biases) or ())]
    for place, (weight, bias) in enumerate(zip(read, added, strict=True)):
        if weight.ndim != 2 or weight.size == 0 or bias.ndim != 1:
            raise ValueError(
                f"{argument} must have weights of shape (units, units before) and biases of shape (units,), got "
                f"{weight.shape} and {bias.shape} in layer {place}."
            )
    if not _follow(read, added):
        shapes, lengths = some_of(weight.shape for weight in read), some_of(bias.shape for bias in added)
        way_out = (
            "They are the other way round, as coefs_ of scikit-learn: pass every weight.T, or MLP.from_sklearn(fitted)."
            if _follow([weight.T for weight in read], added)
            else "The weights of a torch.nn.Linear are so; those of other libraries may have to be transposed."
        )
        raise ValueError(
            f"{argument} must have weights of shape (units, units before), each for the units of the layer before, and "
            f"biases of shape (units,), got weights {shapes} and biases {lengths}. {way_out}"
        )
    exact = any(array.dtype == np.float64 for array in (*read, *added))
    dtype = np.float64 if exact else np.float32
    return [array.astype(dtype) for array in read], [array.astype(dtype) for array in added]


def _follow(weights: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> bool:
    """Whether each layer takes what the one before gives, and has a bias for every unit."""
    before = weights[0].shape[1]
    for weight, bias in zip(weights, biases, strict=True):
        if weight.shape[1] != before or bias.shape != weight.shape[:1]:
            return False
        before = len(weight)
    return True


def _array(name: str, value: object, wanted: Wanted) -> np.ndarray:
    array = numbers_of(name, value, wanted)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must {wanted.expected}, got {array.dtype}. {wanted.way_out(value, array)}")
    single = array.dtype.kind == "f" and array.dtype.itemsize <= 4
    return array.astype(np.float32 if single else np.float64, copy=False)


class FittedPerceptron(NamedTuple):
    """What scikit-learn has fitted; weights have shape (units, units before), as in `torch.nn.Linear`."""

    function: str  # of `FUNCTIONS`
    weights: list[np.ndarray]
    biases: list[np.ndarray]


def fitted_perceptron(fitted: Any) -> FittedPerceptron:
    """Function, weights and biases of a fitted MLPClassifier or MLPRegressor, by the attributes that those have."""
    expected = "fitted must be a fitted MLPClassifier or MLPRegressor of scikit-learn, got"
    is_one = not isinstance(fitted, type) and hasattr(fitted, "activation") and hasattr(fitted, "hidden_layer_sizes")
    if not is_one and not (hasattr(fitted, "coefs_") and hasattr(fitted, "activation")):
        raise ValueError(f"{expected} {_kind(fitted)}. {_way_to_fitted(fitted)}")
    if not hasattr(fitted, "coefs_") or not hasattr(fitted, "intercepts_"):
        raise ValueError(f"{expected} a {type(fitted).__name__} without coefs_. Call its .fit(X, y) first.")
    function = fitted.activation
    if not isinstance(function, str) or function not in FUNCTIONS:
        raise ValueError(f"fitted must have one of the activations {', '.join(FUNCTIONS)}, got {shown(function)}.")
    coefs = [np.asarray(weight).T for weight in fitted.coefs_]
    if len(coefs) < 2:
        raise ValueError(
            "fitted must have a hidden layer, got a network without: its outputs are linear in its inputs."
        )
    return FittedPerceptron(function, *checked_weights("fitted", coefs, fitted.intercepts_))


def _way_to_fitted(value: Any) -> str:
    if isinstance(value, type):
        return "Make one and fit it: MLPClassifier(...).fit(X, y)."
    if hasattr(value, "best_estimator_"):
        return "Pass its .best_estimator_."
    if hasattr(value, "steps"):
        return "Pass its last step, pipeline[-1], and measure it on pipeline[:-1].transform(X), which it was fitted to."
    if hasattr(value, "estimators_"):
        return "Pass one of its .estimators_."
    if hasattr(value, "named_modules"):
        return "A torch.nn.Module is measured as it is."
    return "Weights of other libraries become a network by network_of(Parameters(weights, biases))."


def _kind(value: object) -> str:
    if isinstance(value, type):
        return f"the type {value.__name__}"
    return shown(value) if isinstance(value, str | int | float | bytes | None) else f"a {type(value).__name__}"


def _way_out(*_: object) -> str:
    return "Pass the numbers as a NumPy array."


_WEIGHT = Wanted("be real numbers of shape (units, units before)", _way_out, "the weights that are there")
_BIAS = Wanted("be real numbers of shape (units,)", _way_out, "the biases that are there")

"""Slow, obvious second versions: networks unit by unit, derivatives by central differences, similarities by loops."""

from collections.abc import Callable

import numpy as np

Weights = list[tuple[np.ndarray, np.ndarray]]  # (weight, bias) of each layer, input side first, float64


def relu(value: float) -> float:
    return value if value > 0 else 0.0


def one_layer(weight: np.ndarray, bias: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Pre-activation of each unit, one weight after the other."""
    values = []
    for unit in range(len(weight)):
        value = float(bias[unit])
        for source in range(len(before)):
            value += float(weight[unit, source]) * float(before[source])
        values.append(value)
    return np.array(values)


def activities(weights: Weights, image: np.ndarray, function: Callable[[float], float] = relu) -> list[np.ndarray]:
    """Activity of every hidden layer, then the logits, for one image."""
    found = []
    before = image
    for weight, bias in weights[:-1]:
        before = np.array([function(value) for value in one_layer(weight, bias, before)])
        found.append(before)
    return [*found, one_layer(*weights[-1], before)]


def logits_from(
    weights: Weights, layer: int, activity: np.ndarray, function: Callable[[float], float] = relu
) -> np.ndarray:
    """Logits as a function of the activity of hidden layer `layer`, 0 = nearest the pixels."""
    return activities(weights[layer + 1 :], activity, function)[-1]


def distance_to_a_kink(weights: Weights, image: np.ndarray) -> float:
    """Smallest |pre-activation| of a hidden unit: central differences are exact only well inside it."""
    before, smallest = image, np.inf
    for weight, bias in weights[:-1]:
        value = one_layer(weight, bias, before)
        smallest = min(smallest, float(np.abs(value).min()))
        before = np.maximum(value, 0)
    return smallest


def cross_entropy(logits: np.ndarray, label: int) -> float:
    """In nats."""
    return float(np.log(np.exp(logits).sum()) - logits[label])


def central_jacobian(function: Callable[[np.ndarray], np.ndarray], point: np.ndarray, step: float) -> np.ndarray:
    """Derivative of every output by every input, shape (outputs, inputs)."""
    columns = []
    for index in range(point.size):
        shift = np.zeros_like(point)
        shift.flat[index] = step
        columns.append((function(point + shift) - function(point - shift)) / (2 * step))
    return np.array(columns).T


def central_hessian(function: Callable[[np.ndarray], float], point: np.ndarray, step: float) -> np.ndarray:
    """Second derivative of one number by every two inputs."""
    units = len(point)
    hessian = np.zeros((units, units))
    for i in range(units):
        for j in range(units):
            a, b = step * np.eye(units)[i], step * np.eye(units)[j]
            corners = (
                function(point + a + b) - function(point + a - b) - function(point - a + b) + function(point - a - b)
            )
            hessian[i, j] = corners / (4 * step**2)
    return hessian


def average_products(jacobians: list[np.ndarray]) -> np.ndarray:
    """Average over images of the inner products of rows; each Jacobian has one row per unit."""
    units = len(jacobians[0])
    products = np.zeros((units, units))
    for i in range(units):
        for j in range(units):
            products[i, j] = sum(float(np.dot(rows[i], rows[j])) for rows in jacobians) / len(jacobians)
    return products


def covariance(activity: np.ndarray) -> np.ndarray:
    """Covariance over images, shape (units, units), from activity with shape (images, units)."""
    units = activity.shape[1]
    result = np.zeros((units, units))
    for i in range(units):
        for j in range(units):
            a, b = activity[:, i], activity[:, j]
            result[i, j] = sum((a - a.mean()) * (b - b.mean())) / len(activity)
    return result


def normalised(similarity: np.ndarray) -> np.ndarray:
    """|S_ij / √(S_ii S_jj)|, and 0 where S_ii or S_jj is 0."""
    result = np.zeros_like(similarity)
    for i in range(len(similarity)):
        for j in range(len(similarity)):
            if similarity[i, i] != 0 and similarity[j, j] != 0:
                result[i, j] = abs(similarity[i, j]) / np.sqrt(abs(similarity[i, i]) * abs(similarity[j, j]))
    return result


def similarities(weights: Weights, images: np.ndarray, labels: np.ndarray, layer: int) -> dict[str, np.ndarray]:
    """All eight measures of a hidden layer of a ReLU perceptron, by central differences and double loops."""
    step = 1e-5
    assert min(distance_to_a_kink(weights, image) for image in images) > 20 * step
    activity = np.array([activities(weights, image)[layer] for image in images])
    input_jacobians = [central_jacobian(lambda x: activities(weights, x)[layer], image, step) for image in images]
    output_jacobians = [central_jacobian(lambda h: logits_from(weights, layer, h), h, step) for h in activity]
    hessians = [
        central_hessian(lambda h, label=label: cross_entropy(logits_from(weights, layer, h), label), h, 1e-3)
        for h, label in zip(activity, labels, strict=True)
    ]
    signed = {
        "output_hessian": sum(hessians) / len(images),
        "output_gradient": average_products([jacobian.T for jacobian in output_jacobians]),
        "input_covariance": covariance(activity),
        "input_gradient": average_products(input_jacobians),
    }
    plain = {name: np.abs(matrix) for name, matrix in signed.items()}
    return plain | {f"{name}_norm": normalised(matrix) for name, matrix in signed.items()}

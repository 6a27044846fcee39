"""Derivatives at a hidden layer: by automatic differentiation for any network, in closed form for a ReLU perceptron.

Each image is treated by itself, with dropout off. The first half of the module differentiates unit by unit. The second
half, from `ForwardPass` on, serves `MLP`, which is piecewise linear: with the gates D_l = diag(h_l > 0) of an image x,
K = W_1 W_1ᵀ, logits y, p = softmax(y) and hidden layers 1..m,

    (∂h_l/∂x)(∂h_l/∂x)ᵀ = P_l        with  P_1 = D_1 K D_1,  P_l = D_l W_l P_{l-1} W_lᵀ D_l
    ∂y/∂h_l = J_l                    with  J_m = W_{m+1},  J_l = J_{l+1} D_{l+1} W_{l+1}
    ∂²L/∂h_l∂h_l = J_lᵀ C J_l        with  C = diag(p) - p pᵀ, for the cross-entropy L, whatever the label

almost everywhere. The pixels enter through K alone, so their number costs nothing per image.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch

from modularity_lib.networks import Parameters

Images = np.ndarray | torch.Tensor

_CHUNK_BYTES = 16_000_000  # working memory for one chunk of images
_CHUNK_IMAGES = 256  # at most, where the memory that the network itself needs per image is unknown


def activity(network: torch.nn.Module, images: Images, layer: str) -> np.ndarray:
    """Output of a submodule, shape (images, units).

    Args:
        network: any module whose output is logits, shape (images, classes).
        images: input of the network, shape (images, ...).
        layer: name of a submodule, as in `network.named_modules()`; its output must have shape (images, units).
    Raises:
        ValueError: `layer` is called never or more than once, an output has another shape, or logits are not finite.
    """
    with _measuring(network):
        return _forward(network, images, layer).activity.detach().cpu().numpy()


def input_jacobian(network: torch.nn.Module, images: Images, layer: str) -> np.ndarray:
    """∂h/∂x of every image, shape (images, units, inputs); inputs with more dimensions are flattened.

    Arguments and errors as in `activity`; it is an error too if the layer does not depend on the images.

    >>> input_jacobian(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Tanh()), np.zeros((1, 2)), "1").tolist()
    [[[1.0, 0.0], [0.0, 1.0]]]
    """
    with _measuring(network):
        forward = _forward(network, images, layer)
        return _stacked(_rows(forward.activity, forward.images))


def output_jacobian(network: torch.nn.Module, images: Images, layer: str) -> np.ndarray:
    """∂y/∂h of every image, shape (images, classes, units).

    Arguments and errors as in `activity`; it is an error too if the logits do not depend on the layer.
    """
    with _measuring(network):
        forward = _forward(network, images, layer, cut=True)
        return _stacked(_rows(forward.logits, forward.activity))


def loss_hessian(network: torch.nn.Module, images: Images, labels: np.ndarray, layer: str) -> np.ndarray:
    """∂²L/∂h∂h of every image, shape (images, units, units), with L its cross-entropy in nats.

    Arguments and errors as in `output_jacobian`, and labels: the class of every image, whole numbers from 0.
    """
    with _measuring(network):
        forward = _forward(network, images, layer, cut=True)
        return _stacked(_rows(_loss_gradient(forward, labels), forward.activity))


def units_and_classes(network: torch.nn.Module, images: Images, layer: str) -> tuple[int, int]:
    """Number of units of a layer and number of logits of the network, seen on the first image."""
    with _measuring(network):
        forward = _forward(network, images[:1], layer)
    return forward.activity.shape[1], forward.logits.shape[1]


def average_input_gradient(network: torch.nn.Module, images: Images, layer: str) -> np.ndarray:
    """Average over the images of ⟨∂h_i/∂x, ∂h_j/∂x⟩, float64, shape (units, units)."""
    units, _ = units_and_classes(network, images, layer)
    total = np.zeros((units, units))
    for chunk in _chunks(images, floats_per_image=2 * units * int(np.prod(images.shape[1:]))):
        flat = input_jacobian(network, images[chunk], layer).swapaxes(0, 1).reshape(units, -1)
        total += flat @ flat.T
    return total / len(images)


def average_output_gradient(network: torch.nn.Module, images: Images, layer: str) -> np.ndarray:
    """Average over the images of ⟨∂y/∂h_i, ∂y/∂h_j⟩, float64, shape (units, units)."""
    units, classes = units_and_classes(network, images, layer)
    total = np.zeros((units, units))
    for chunk in _chunks(images, floats_per_image=2 * classes * units):
        flat = output_jacobian(network, images[chunk], layer).reshape(-1, units)
        total += flat.T @ flat
    return total / len(images)


def average_loss_hessian(network: torch.nn.Module, images: Images, labels: np.ndarray, layer: str) -> np.ndarray:
    """Average over the images of ∂²L/∂h_i∂h_j, float64, shape (units, units)."""
    units, classes = units_and_classes(network, images, layer)
    check_labels(labels, len(images), classes)
    total = np.zeros((units, units))
    for chunk in _chunks(images, floats_per_image=units):
        with _measuring(network):
            forward = _forward(network, images[chunk], layer, cut=True)
            gradient = _loss_gradient(forward, labels[chunk])
            for unit, row in enumerate(_rows(gradient, forward.activity)):  # one at a time: a Hessian may be large
                total[unit] += row.sum(dim=0, dtype=torch.float64).cpu().numpy()
    return total / len(images)


def check_labels(labels: np.ndarray, n_images: int, n_classes: int) -> None:
    """Raise ValueError unless labels holds one whole number in 0..n_classes - 1 for every image."""
    if labels.shape != (n_images,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be {n_images} whole numbers, one per image, got {labels.dtype} of shape {labels.shape}. "
            "One-hot labels go through .argmax(axis=1)."
        )
    if labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(
            f"labels must lie in 0..{n_classes - 1}, as the network has {n_classes} logits, got "
            f"{labels.min()}..{labels.max()}."
        )


@dataclass(frozen=True)
class _Forward:
    images: torch.Tensor
    activity: torch.Tensor
    logits: torch.Tensor


@contextmanager
def _measuring(network: torch.nn.Module) -> Iterator[None]:
    """Turn dropout off and differentiation on; put the mode of every submodule back, whatever happens."""
    modes = {module: module.training for module in network.modules()}
    try:
        network.eval()
        with torch.inference_mode(False):  # ends the caller's no_grad() too
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _forward(network: torch.nn.Module, images: Images, layer: str, *, cut: bool = False) -> _Forward:
    """Run the network and record a layer; cut makes the layer's activity a variable of its own, free of the images."""
    recorded: list[Any] = []

    def record(module: torch.nn.Module, arguments: Any, output: Any) -> Any:
        if not isinstance(output, torch.Tensor) or output.ndim != 2 or len(output) != len(images):
            raise ValueError(
                f"layer {layer!r} must have an output of shape ({len(images)}, units) for {len(images)} images, got "
                f"{_shape(output)}. Name a layer that comes after flattening."
            )
        recorded.append(output.detach().requires_grad_() if cut else output)
        return recorded[-1].clone()  # the network may change its copy in place

    handle = network.get_submodule(layer).register_forward_hook(record)
    try:
        start = _as_input(network, images)
        logits = network(start.clone())
    except RuntimeError as error:
        raise ValueError(
            f"network cannot be applied to images of shape {tuple(images.shape)}: {error}. Give images as its first "
            "layer expects them, (images, pixels) for a linear one."
        ) from error
    finally:
        handle.remove()
    if len(recorded) != 1:
        raise ValueError(
            f"layer {layer!r} is called {len(recorded)} times in a forward pass, expected once: its activity is not "
            "defined. Name a layer that forward calls exactly once."
        )
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(images):
        raise ValueError(
            f"network must give logits of shape ({len(images)}, classes) for {len(images)} images, got "
            f"{_shape(logits)}."
        )
    if not logits.isfinite().all():
        raise ValueError("the network's logits are not all finite: did its training diverge?")
    return _Forward(images=start, activity=recorded[0], logits=logits)


def _as_input(network: torch.nn.Module, images: Images) -> torch.Tensor:
    """Copy images to where the network's weights are, in their precision, as the variable to differentiate by."""
    floating = (parameter for parameter in network.parameters() if parameter.is_floating_point())
    like = next(floating, torch.empty(0))
    values = images.detach() if isinstance(images, torch.Tensor) else torch.tensor(images)
    return values.to(device=like.device, dtype=like.dtype, copy=True).requires_grad_()


def _shape(output: Any) -> str:
    return f"shape {tuple(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__


def _loss_gradient(forward: _Forward, labels: np.ndarray) -> torch.Tensor:
    """Gradient of the cross-entropy by the activity, ready to be differentiated once more."""
    check_labels(labels, *forward.logits.shape)
    target = torch.tensor(labels, dtype=torch.int64, device=forward.logits.device)
    loss = torch.nn.functional.cross_entropy(forward.logits, target, reduction="sum")
    return _gradient(loss, forward.activity, differentiable=True)


def _rows(outputs: torch.Tensor, variable: torch.Tensor) -> Iterator[torch.Tensor]:
    """Derivative of each column of outputs by the variable, flattened: shape (images, entries) each.

    Images do not meet inside the network, so the gradient of a column's sum holds the gradient of every image.
    """
    for column in range(outputs.shape[1]):
        yield _gradient(outputs[:, column].sum(), variable).flatten(1)


def _gradient(output: torch.Tensor, variable: torch.Tensor, *, differentiable: bool = False) -> torch.Tensor:
    gradient: torch.Tensor | None = None
    if output.requires_grad:
        (gradient,) = torch.autograd.grad(
            output, variable, retain_graph=True, create_graph=differentiable, allow_unused=True
        )
    if gradient is None:
        raise ValueError(
            "a derivative is not defined: between images, layer and logits something is cut, by detach() or no_grad() "
            "in forward, or as the logits do not come from that layer."
        )
    return gradient


def _stacked(rows: Iterator[torch.Tensor]) -> np.ndarray:
    return torch.stack(list(rows), dim=1).cpu().numpy()


def _chunks(images: Images, *, floats_per_image: int) -> Iterator[slice]:
    longest = max(1, min(_CHUNK_IMAGES, _CHUNK_BYTES // (4 * floats_per_image)))
    return (slice(start, start + longest) for start in range(0, len(images), longest))


@dataclass(frozen=True)
class ForwardPass:
    """A chunk of images on its way through a ReLU perceptron, in the precision of its weights.

    `activities[l]` is the activity of hidden layer l + 1, shape (images, units); `logits` has shape (images, classes).
    """

    parameters: Parameters
    activities: tuple[np.ndarray, ...]
    logits: np.ndarray


def forward_pass(parameters: Parameters, images: np.ndarray) -> ForwardPass:
    """Activity of every hidden layer and the logits of images with shape (images, pixels).

    >>> chain = Parameters(weights=(np.array([[2.0]]), np.array([[3.0]])), biases=(np.array([-1.0]), np.array([0.5])))
    >>> passed = forward_pass(chain, np.array([[0.0], [1.0]]))
    >>> passed.activities[0].tolist(), passed.logits.tolist()
    ([[0.0], [1.0]], [[0.5], [3.5]])
    """
    activities = []
    before = np.asarray(images, dtype=parameters.weights[0].dtype)
    for weight, bias in zip(parameters.weights[:-1], parameters.biases[:-1], strict=True):
        before = np.maximum(before @ weight.T + bias, 0)
        activities.append(before)
    return ForwardPass(parameters, tuple(activities), before @ parameters.weights[-1].T + parameters.biases[-1])


def input_gradient_sums(passed: ForwardPass, layers: Collection[int]) -> dict[int, np.ndarray]:
    """Sum over a chunk of images of ⟨∂h_i/∂x, ∂h_j/∂x⟩, for each wanted hidden layer.

    Args:
        passed: the images, and the network.
        layers: indices of hidden layers, 0 = nearest the pixels.
    Returns:
        Per index a float64 array (units, units).
    """
    weights = passed.parameters.weights[: max(layers) + 1]
    first = weights[0].astype(np.float64)
    pixel_products = first @ first.T
    gates = [activity > 0 for activity in passed.activities[: len(weights)]]
    open_together = gates[0].astype(first.dtype)
    sums = [pixel_products * (open_together.T @ open_together)]
    if len(weights) > 1:
        sizes = np.array([len(weight) for weight in weights])
        totals = np.zeros(int((sizes[1:] ** 2).sum()))
        _add_gated_products(
            pixel_products.astype(weights[0].dtype),
            np.concatenate([weight.ravel() for weight in weights[1:]]),
            sizes,
            np.concatenate(gates, axis=1),
            totals,
        )
        parts = np.split(totals, np.cumsum(sizes[1:] ** 2)[:-1])
        sums += [part.reshape(size, size) for part, size in zip(parts, sizes[1:], strict=True)]
    return {index: sums[index] for index in layers}


@numba.njit(cache=True)
def _add_gated_products(pixel_products, weights, sizes, gates, totals):  # type: ignore[no-untyped-def]
    """Add P_2, P_3, ... of every image to totals. Weights, gates and totals hold one layer after the other, flat.

    On each image only the rows and columns of active units are multiplied; the others of P_l are zero.
    """
    widest = sizes.max()
    products = np.empty(widest * widest, weights.dtype)
    weight, half_way = np.empty_like(products), np.empty_like(products)
    before, after = np.empty(widest, np.int64), np.empty(widest, np.int64)
    for image in range(len(gates)):
        n_before = _active_units(gates[image, : sizes[0]], before)
        for i in range(n_before):
            for j in range(n_before):
                products[i * n_before + j] = pixel_products[before[i], before[j]]
        gate_at, weight_at, total_at = sizes[0], 0, 0
        for layer in range(1, len(sizes)):
            n_after = _active_units(gates[image, gate_at : gate_at + sizes[layer]], after)
            if n_before == 0 or n_after == 0:  # no gradient gets past a silent layer
                break
            for i in range(n_after):
                for j in range(n_before):
                    weight[i * n_before + j] = weights[weight_at + after[i] * sizes[layer - 1] + before[j]]
            w = weight[: n_after * n_before].reshape(n_after, n_before)
            wp = half_way[: n_after * n_before].reshape(n_after, n_before)
            np.dot(w, products[: n_before * n_before].reshape(n_before, n_before), wp)
            np.dot(wp, w.T, products[: n_after * n_after].reshape(n_after, n_after))
            for i in range(n_after):
                for j in range(n_after):
                    totals[total_at + after[i] * sizes[layer] + after[j]] += products[i * n_after + j]
            gate_at, weight_at = gate_at + sizes[layer], weight_at + sizes[layer] * sizes[layer - 1]
            total_at += sizes[layer] ** 2
            n_before, before, after = n_after, after, before


@numba.njit(cache=True)
def _active_units(gates, units):  # type: ignore[no-untyped-def]
    """Write the indices of the open gates to the front of units; return how many there are."""
    n_active = 0
    for unit in range(len(gates)):
        if gates[unit]:
            units[n_active] = unit
            n_active += 1
    return n_active


def output_gradient_sums(passed: ForwardPass, layers: Collection[int]) -> dict[int, np.ndarray]:
    """Sum over a chunk of images of ⟨∂y/∂h_i, ∂y/∂h_j⟩; arguments and result as in `input_gradient_sums`."""
    return _sums_of_squares(passed.parameters.weights[-1][np.newaxis], passed, layers)


def loss_hessian_sums(passed: ForwardPass, layers: Collection[int]) -> dict[int, np.ndarray]:
    """Sum over a chunk of images of ∂²L/∂h_i∂h_j; arguments and result as in `input_gradient_sums`.

    C = AᵀA with A = diag(√p)(1 - 1pᵀ), so this is a sum of squares too, of A J_l where the gradients have J_l.
    """
    output = passed.parameters.weights[-1]
    shifted = passed.logits.astype(np.float64) - passed.logits.max(axis=1, keepdims=True)
    probability = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    root = np.sqrt(probability)[:, :, np.newaxis] * (np.eye(len(output)) - probability[:, np.newaxis, :])
    rows = root.astype(output.dtype).reshape(-1, len(output)) @ output  # one large product: many small ones are slower
    return _sums_of_squares(rows.reshape(*root.shape[:2], -1), passed, layers)


def _sums_of_squares(rows: np.ndarray, passed: ForwardPass, layers: Collection[int]) -> dict[int, np.ndarray]:
    """Carry rows of derivatives back from the last hidden layer; at each wanted layer sum their outer products.

    rows has shape (images, classes, units of the last hidden layer), or (1, classes, units) if all images share them.
    """
    n_images, last = len(passed.logits), len(passed.activities) - 1
    sums = {}
    for index in range(last, min(layers) - 1, -1):
        if index < last:
            gates, weight = passed.activities[index + 1] > 0, passed.parameters.weights[index + 1]
            gated = rows * gates[:, np.newaxis, :]
            rows = (gated.reshape(-1, len(weight)) @ weight).reshape(*gated.shape[:2], -1)
        if index in layers:
            flat = rows.reshape(-1, rows.shape[-1])
            sums[index] = (flat.T @ flat).astype(np.float64) * (n_images / len(rows))
    return sums

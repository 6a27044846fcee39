"""Derivatives at a hidden layer, by automatic differentiation, for any network.

Each image is treated by itself, with dropout off, and differentiated unit by unit. For the paper's networks
`closed_form` gives the same averages much faster.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

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

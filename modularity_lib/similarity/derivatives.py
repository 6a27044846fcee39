"""Derivatives at a hidden layer, by automatic differentiation, for any network.

Each image is treated by itself, with dropout off, and differentiated unit by unit. Derivatives are taken in the
precision of the network, float32 at least; their products and sums in float64. For the paper's networks `closed_form`
gives the same averages much faster.
"""

from collections.abc import Iterator

import numpy as np
import torch

from modularity_lib.similarity.arguments import check_labels
from modularity_lib.similarity.evaluation import (
    CHANGE_A_COPY,
    Evaluation,
    Images,
    evaluate,
    evaluating,
    is_about_change_in_place,
)

_CHUNK_BYTES = 16_000_000  # working memory for one chunk of images
_CHUNK_IMAGES = 256  # at most, where the memory that the network itself needs per image is unknown


def activity(network: torch.nn.Module, images: Images, layer: str) -> np.ndarray:
    """Output of a submodule, shape (images, units).

    Args:
        network: any module whose output is logits, shape (images, classes).
        images: input of the network, shape (images, ...).
        layer: name of a submodule, as in `network.named_modules()`; its output must have shape (images, units).
    Raises:
        ValueError: the network cannot be applied to the images, `layer` is called never or more than once, an output
            has another shape, or logits are not finite.
    """
    with evaluating(network):
        return evaluate(network, images, [layer]).activities[layer].detach().cpu().numpy()


def input_jacobian(network: torch.nn.Module, images: Images, layer: str) -> np.ndarray:
    """∂h/∂x of every image, shape (images, units, inputs); inputs with more dimensions are flattened.

    Arguments and errors as in `activity`; it is an error too if the layer does not depend on the images.

    >>> input_jacobian(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Tanh()), np.zeros((1, 2)), "1").tolist()
    [[[1.0, 0.0], [0.0, 1.0]]]
    """
    with evaluating(network):
        return _input_jacobian(network, images, layer)


def output_jacobian(network: torch.nn.Module, images: Images, layer: str) -> np.ndarray:
    """∂y/∂h of every image, shape (images, classes, units).

    Arguments and errors as in `activity`; it is an error too if the logits do not depend on the layer.
    """
    with evaluating(network):
        return _output_jacobian(network, images, layer)


def loss_hessian(network: torch.nn.Module, images: Images, labels: np.ndarray, layer: str) -> np.ndarray:
    """∂²L/∂h∂h of every image, shape (images, units, units), with L its cross-entropy in nats.

    Arguments and errors as in `output_jacobian`, and labels: the class of every image, whole numbers from 0.
    """
    with evaluating(network):
        return _stacked(_hessian_rows(network, images, labels, layer))


def units_and_classes(network: torch.nn.Module, images: Images, layer: str) -> tuple[int, int]:
    """Number of units of a layer and number of logits of the network, seen on the first image."""
    with evaluating(network):
        first = evaluate(network, images[:1], [layer])
    return first.activities[layer].shape[1], first.logits.shape[1]


def combined_derivatives(evaluated: Evaluation, *, upstream: bool, downstream: bool) -> dict[str, torch.Tensor]:
    """One derivative of each kind that is asked for, by what it is: shape (images, ...) each.

    A fixed combination of all units is differentiated by the images, and one of the logits by each layer. What cannot
    be differentiated is left out.
    """
    found: dict[str, torch.Tensor | None] = {}
    for layer, activity in evaluated.activities.items():
        if upstream:
            gradient = _gradient_or_none(_combined(activity), evaluated.images, layer)
            found[f"the derivatives of layer {layer!r} by an image"] = gradient
        if downstream and activity.requires_grad:
            gradient = _gradient_or_none(_combined(evaluated.logits), activity, layer)
            found[f"the derivatives of its logits by layer {layer!r}"] = gradient
    return {what: gradient for what, gradient in found.items() if gradient is not None}


def _combined(values: torch.Tensor) -> torch.Tensor:
    columns = torch.arange(1, values.shape[1] + 1, dtype=values.dtype, device=values.device)
    return (values * columns.cos()).sum()


def average_input_gradient(network: torch.nn.Module, images: Images, layer: str) -> np.ndarray:
    """Average over the images of ⟨∂h_i/∂x, ∂h_j/∂x⟩, float64, shape (units, units)."""
    units, _ = units_and_classes(network, images, layer)
    total = np.zeros((units, units))
    with evaluating(network):
        for chunk in _chunks(images, floats_per_image=4 * units * int(np.prod(images.shape[1:]))):
            jacobian = _input_jacobian(network, images[chunk], layer).astype(np.float64)
            flat = jacobian.swapaxes(0, 1).reshape(units, -1)
            total += flat @ flat.T
    return total / len(images)


def average_output_gradient(network: torch.nn.Module, images: Images, layer: str) -> np.ndarray:
    """Average over the images of ⟨∂y/∂h_i, ∂y/∂h_j⟩, float64, shape (units, units)."""
    units, classes = units_and_classes(network, images, layer)
    total = np.zeros((units, units))
    with evaluating(network):
        for chunk in _chunks(images, floats_per_image=4 * classes * units):
            flat = _output_jacobian(network, images[chunk], layer).astype(np.float64).reshape(-1, units)
            total += flat.T @ flat
    return total / len(images)


def average_loss_hessian(network: torch.nn.Module, images: Images, labels: np.ndarray, layer: str) -> np.ndarray:
    """Average over the images of ∂²L/∂h_i∂h_j, float64, shape (units, units)."""
    units, classes = units_and_classes(network, images, layer)
    check_labels(labels, len(images), classes)
    total = np.zeros((units, units))
    with evaluating(network):
        for chunk in _chunks(images, floats_per_image=units):
            rows = _hessian_rows(network, images[chunk], labels[chunk], layer)
            for unit, row in enumerate(rows):  # one at a time: a Hessian may be large
                total[unit] += row.sum(dim=0, dtype=torch.float64).cpu().numpy()
    return total / len(images)


def _input_jacobian(network: torch.nn.Module, images: Images, layer: str) -> np.ndarray:
    evaluated = evaluate(network, images, [layer])
    return _stacked(_rows(evaluated.activities[layer], evaluated.images, layer))


def _output_jacobian(network: torch.nn.Module, images: Images, layer: str) -> np.ndarray:
    evaluated = evaluate(network, images, [layer], cut=True)
    return _stacked(_rows(evaluated.logits, evaluated.activities[layer], layer))


def _hessian_rows(network: torch.nn.Module, images: Images, labels: np.ndarray, layer: str) -> Iterator[torch.Tensor]:
    """Rows of the Hessian of the cross-entropy: derivatives of its gradient by the activity."""
    evaluated = evaluate(network, images, [layer], cut=True)
    check_labels(labels, *evaluated.logits.shape)
    target = torch.tensor(labels, dtype=torch.int64, device=evaluated.logits.device)
    loss = torch.nn.functional.cross_entropy(evaluated.logits, target, reduction="sum")
    gradient = _gradient(loss, evaluated.activities[layer], layer, differentiable=True)
    return _rows(gradient, evaluated.activities[layer], layer)


def _rows(outputs: torch.Tensor, variable: torch.Tensor, layer: str) -> Iterator[torch.Tensor]:
    """Derivative of each column of outputs by the variable, flattened: shape (images, entries) each.

    Images do not meet inside the network, so the gradient of a column's sum holds the gradient of every image.
    """
    for column in range(outputs.shape[1]):
        yield _gradient(outputs[:, column].sum(), variable, layer).flatten(1)


def _gradient(
    output: torch.Tensor, variable: torch.Tensor, layer: str, *, differentiable: bool = False
) -> torch.Tensor:
    gradient = _gradient_or_none(output, variable, layer, differentiable=differentiable)
    if gradient is None:
        raise ValueError(
            f"a derivative is not defined: between images, layer {layer!r} and logits something is cut, by "
            "detach() or no_grad() in forward, or as the logits do not come from that layer."
        )
    return gradient


def _gradient_or_none(
    output: torch.Tensor, variable: torch.Tensor, layer: str, *, differentiable: bool = False
) -> torch.Tensor | None:
    if not output.requires_grad:
        return None
    gradient: torch.Tensor | None
    try:
        (gradient,) = torch.autograd.grad(
            output, variable, retain_graph=True, create_graph=differentiable, allow_unused=True
        )
    except RuntimeError as error:
        raise ValueError(_cannot_be_differentiated(layer, error)) from error
    return gradient


def _cannot_be_differentiated(layer: str, error: Exception) -> str:
    if is_about_change_in_place(error):
        return f"layer {layer!r} cannot be differentiated. {CHANGE_A_COPY}"
    return (
        f"layer {layer!r} cannot be differentiated as a measure needs it: {error}. Attention can be with "
        "torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH) around the call; input_covariance needs no "
        "derivatives."
    )


def _stacked(rows: Iterator[torch.Tensor]) -> np.ndarray:
    return torch.stack(list(rows), dim=1).cpu().numpy()


def _chunks(images: Images, *, floats_per_image: int) -> Iterator[slice]:
    longest = max(1, min(_CHUNK_IMAGES, _CHUNK_BYTES // (4 * floats_per_image)))
    return (slice(start, start + longest) for start in range(0, len(images), longest))

"""Derivatives at a hidden layer, by automatic differentiation, for any network.

Each input is treated by itself, with dropout off, and differentiated unit by unit, in the precision of the network,
float32 at least. For the paper's networks `closed_form` gives what is made of them much faster.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from modularity_lib.similarity.evaluation import (
    CHANGE_A_COPY,
    Evaluation,
    Subject,
    evaluate,
    is_about_change_in_place,
)
from modularity_lib.similarity.inputs import data_of, label_array
from modularity_lib.similarity.losses import CROSS_ENTROPY, Loss, check_labels, label_tensor
from modularity_lib.similarity.places import Layer, layer_of, places_of
from modularity_lib.similarity.surroundings import evaluating

Tensors = Sequence[torch.Tensor]


def combined_derivatives(evaluated: Evaluation, subject: Subject) -> dict[str, torch.Tensor]:
    """One derivative of each kind that is asked for, by what it is: shape (inputs, ...) each.

    A fixed combination of all units is differentiated by the inputs, and one of the outputs by each layer. What cannot
    be differentiated is left out.
    """
    found: dict[str, torch.Tensor] = {}
    for layer in subject.layers:
        if subject.upstream:
            units = layer.units_of(evaluated.activities[layer.name])
            gradients = _gradients_or_none(_combined(units), evaluated.variables, layer.name)
            if gradients is not None:
                found[f"the derivatives of layer {layer.name!r} by an input"] = _joined(gradients)
        if subject.downstream and evaluated.units[layer.name].requires_grad:
            gradients = _gradients_or_none(_combined(outputs_of(evaluated)), [evaluated.units[layer.name]], layer.name)
            if gradients is not None:
                found[f"the derivatives of its outputs by layer {layer.name!r}"] = layer.derivative_of(gradients[0])
    return found


def check_derivatives(evaluated: Evaluation, subject: Subject) -> None:
    """Raise ValueError if a derivative that is asked for is not there."""
    for layer in subject.layers:
        if subject.upstream:
            units = layer.units_of(evaluated.activities[layer.name])
            _gradients(_combined(units), evaluated.variables, layer.name)
        if subject.downstream:
            _gradients(_combined(outputs_of(evaluated)), [evaluated.units[layer.name]], layer.name)


def _combined(values: torch.Tensor) -> torch.Tensor:
    flat = values.flatten(1)
    columns = torch.arange(1, flat.shape[1] + 1, dtype=values.dtype, device=values.device)
    return (flat * columns.cos()).sum()


# --- of every input, for layers that give (inputs, units) ---


def activity(network: torch.nn.Module, inputs: object, layer: str) -> np.ndarray:
    """Output of a submodule, shape (inputs, units).

    Args:
        network: any module.
        inputs: what it is applied to, shape (inputs, ...).
        layer: name of a submodule, as in `network.named_modules()`; its output must have shape (inputs, units).
    Raises:
        ValueError: the network cannot be applied to the inputs, `layer` is called never or more than once, an output
            has another shape, or outputs are not finite.
    """
    with evaluating(network):
        evaluated, _ = _evaluated(network, inputs, layer)
        return evaluated.activities[layer].detach().cpu().numpy()


def input_jacobian(network: torch.nn.Module, inputs: object, layer: str) -> np.ndarray:
    """∂h/∂x of every input, shape (inputs, units, numbers); inputs with more dimensions are flattened.

    Arguments and errors as in `activity`; it is an error too if the layer does not depend on the inputs.

    >>> input_jacobian(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Tanh()), np.zeros((1, 2)), "1").tolist()
    [[[1.0, 0.0], [0.0, 1.0]]]
    """
    with evaluating(network):
        evaluated, _ = _evaluated(network, inputs, layer, upstream=True)
        return _stacked(_rows(evaluated.activities[layer], evaluated.variables, evaluated, layer))


def output_jacobian(network: torch.nn.Module, inputs: object, layer: str) -> np.ndarray:
    """∂y/∂h of every input, shape (inputs, outputs, units).

    Arguments and errors as in `activity`; it is an error too if the outputs do not depend on the layer.
    """
    with evaluating(network):
        evaluated, _ = _evaluated(network, inputs, layer, downstream=True)
        return _stacked(_rows(outputs_of(evaluated), [evaluated.units[layer]], evaluated, layer))


def loss_hessian(network: torch.nn.Module, inputs: object, labels: np.ndarray, layer: str) -> np.ndarray:
    """∂²L/∂h∂h of every input, shape (inputs, units, units), with L its cross-entropy in nats.

    Arguments and errors as in `output_jacobian`, and labels: the class of every input, whole numbers from 0.
    """
    with evaluating(network):
        evaluated, seen = _evaluated(network, inputs, layer, downstream=True)
        check_labels(CROSS_ENTROPY, label_array(labels, len(outputs_of(evaluated))), n_outputs_of(evaluated))
        gradient = loss_gradient(evaluated, seen, CROSS_ENTROPY, labels)
        return _stacked(row[:, 0] for row in hessian_rows(gradient[:, 0], evaluated, seen))


def _evaluated(
    network: torch.nn.Module, inputs: object, layer: str, *, upstream: bool = False, downstream: bool = False
) -> tuple[Evaluation, Layer]:
    data = data_of(inputs, None)
    subject = Subject(network)
    place = places_of(network, {layer: layer}, {}, lambda n: evaluate(subject, data.first(n)))
    found = layer_of(place[layer], None, "average")
    return evaluate(Subject(network, (found,), upstream=upstream, downstream=downstream), data.start), found


# --- rows ---


def _rows(outputs: torch.Tensor, variables: Tensors, evaluated: Evaluation, layer: str) -> Iterator[torch.Tensor]:
    """Derivative of each column of outputs by the variables, flattened: shape (inputs, entries) each."""
    for block in blocks(outputs, variables, evaluated, layer):
        for row in range(len(block[0])):
            yield _joined([gradient[row] for gradient in block])


def blocks(
    outputs: torch.Tensor, variables: Sequence[Any], evaluated: Evaluation, layer: str, *, may_be_constant: bool = False
) -> Iterator[Tensors]:
    """Derivatives of some columns of outputs after the other, by each variable: shape (columns, inputs, ...)."""
    if not outputs.requires_grad:
        raise ValueError(_not_defined(layer))
    try:
        for n_columns, block in evaluated.backward.columns(outputs, variables):
            if all(gradient is None for gradient in block) and not may_be_constant:
                raise ValueError(_not_defined(layer))
            yield [
                variable.new_zeros(n_columns, *variable.shape) if gradient is None else gradient
                for gradient, variable in zip(block, variables, strict=True)
            ]
    except RuntimeError as error:
        raise ValueError(_cannot_be_differentiated(layer, error)) from error


def output_rows(evaluated: Evaluation, layer: Layer) -> Iterator[torch.Tensor]:
    """Derivative of each output by the units: shape (inputs, positions, units)."""
    for (block,) in blocks(outputs_of(evaluated), [evaluated.units[layer.name]], evaluated, layer.name):
        for gradient in block:
            yield layer.derivative_of(gradient)


def combined_rows(evaluated: Evaluation, layer: Layer, weights: torch.Tensor) -> Iterator[torch.Tensor]:
    """The same of combinations of outputs, by weights of shape (inputs, rows, outputs)."""
    for row in range(weights.shape[1]):
        combined = (outputs_of(evaluated) * weights[:, row]).sum()
        (gradient,) = _gradients(combined, [evaluated.units[layer.name]], layer.name)
        yield layer.derivative_of(gradient)


def loss_gradient(evaluated: Evaluation, layer: Layer, loss: Loss, labels: np.ndarray) -> torch.Tensor:
    """∂L/∂h, differentiable, shape (inputs, positions, units)."""
    total = _loss(outputs_of(evaluated), evaluated.is_column, loss, labels)
    (gradient,) = _gradients(total, [evaluated.units[layer.name]], layer.name, differentiable=True)
    if gradient.grad_fn is not None and _ends_in_an_error(gradient.grad_fn):
        raise ValueError(
            f"layer {layer.name!r} must be followed by functions with two derivatives for output_hessian, but one of "
            "them is marked with once_differentiable. curvature='gauss-newton' needs one derivative."
        )
    return layer.derivative_of(gradient)


def _ends_in_an_error(start: Any) -> bool:
    """Whether a gradient was made of something without a derivative, which PyTorch leaves out without a word."""
    found, left = {start}, [start]
    while left:
        node = left.pop()
        if node.name() == "torch::autograd::Error":
            return True
        new = {following for following, _ in node.next_functions if following is not None} - found
        found |= new
        left += new
    return False


def hessian_rows(gradient: torch.Tensor, evaluated: Evaluation, layer: Layer) -> Iterator[torch.Tensor]:
    """Derivative of each column of a gradient, (inputs, units), by the units: shape (inputs, positions, units)."""
    variable = evaluated.units[layer.name]
    if not gradient.requires_grad:  # a constant slope
        yield from [layer.derivative_of(torch.zeros_like(variable))] * gradient.shape[1]
        return
    for (block,) in blocks(gradient, [variable], evaluated, layer.name, may_be_constant=True):
        for row in block:
            yield layer.derivative_of(row)


def hessian_by_outputs(evaluated: Evaluation, loss: Loss, labels: np.ndarray) -> torch.Tensor:
    """∂²L/∂y∂y of every input, shape (inputs, outputs, outputs)."""
    outputs = outputs_of(evaluated).detach().requires_grad_()
    total = _loss(outputs, evaluated.is_column, loss, labels)
    rows = torch.zeros(*outputs.shape, outputs.shape[1], dtype=outputs.dtype, device=outputs.device)
    gradients = _gradients_or_none(total, [outputs], "", differentiable=True)
    if gradients is None:
        raise ValueError("loss must depend on the outputs, but its derivative by them is not defined.")
    for at in range(outputs.shape[1]):
        found = _gradients_or_none(gradients[0][:, at].sum(), [outputs], "")
        if found is not None:
            rows[:, at] = found[0]
    return rows


def _loss(outputs: torch.Tensor, is_column: bool, loss: Loss, labels: np.ndarray) -> torch.Tensor:
    own = is_column and loss.root is None  # a function of the caller is given what the network gives
    return loss.sum(outputs[:, 0] if own else outputs, label_tensor(loss, labels, outputs))


def _gradients(output: torch.Tensor, variables: Tensors, layer: str, *, differentiable: bool = False) -> Tensors:
    gradients = _gradients_or_none(output, variables, layer, differentiable=differentiable)
    if gradients is None:
        raise ValueError(_not_defined(layer))
    return gradients


def _gradients_or_none(
    output: torch.Tensor, variables: Tensors, layer: str, *, differentiable: bool = False
) -> Tensors | None:
    """Derivatives by each variable, 0 where there are none; None if there are none by any."""
    if not output.requires_grad or not variables:
        return None
    try:
        found = torch.autograd.grad(
            output, variables, retain_graph=True, create_graph=differentiable, allow_unused=True
        )
    except RuntimeError as error:
        raise ValueError(_cannot_be_differentiated(layer, error)) from error
    if all(gradient is None for gradient in found):
        return None
    return [
        torch.zeros_like(variable) if gradient is None else gradient
        for gradient, variable in zip(found, variables, strict=True)
    ]


def _not_defined(layer: str) -> str:
    return (
        f"a derivative is not defined: between inputs, layer {layer!r} and outputs something is cut, by "
        "detach() or no_grad() in forward, by whole numbers, or as the outputs do not come from that layer. Of several "
        "tensors that a layer returns the first counts: a network that reads the state h_n of a recurrent layer can "
        "read output[:, -1]."
    )


def _cannot_be_differentiated(layer: str, error: Exception) -> str:
    if is_about_change_in_place(error):
        return f"layer {layer!r} cannot be differentiated. {CHANGE_A_COPY}"
    return (
        f"layer {layer!r} cannot be differentiated as a measure needs it: {error}. input_covariance needs no "
        "derivatives; input_gradient, output_gradient and curvature='gauss-newton' need no second ones."
    )


def n_outputs_of(evaluated: Evaluation) -> int:
    """How many outputs the network has; 0 if there are none that are looked at."""
    return 0 if evaluated.outputs is None else evaluated.outputs.shape[1]


def outputs_of(evaluated: Evaluation) -> torch.Tensor:
    """The outputs, which measures of the outputs need; shape (inputs, outputs)."""
    assert evaluated.outputs is not None
    return evaluated.outputs


def _joined(gradients: Tensors) -> torch.Tensor:
    return (
        torch.cat([gradient.flatten(1) for gradient in gradients], dim=1)
        if len(gradients) > 1
        else gradients[0].flatten(1)
    )


def _stacked(rows: Iterator[torch.Tensor]) -> np.ndarray:
    return torch.stack(list(rows), dim=1).detach().cpu().numpy()

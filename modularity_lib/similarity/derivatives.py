"""Derivatives at a hidden layer, by automatic differentiation, for any network.

Each input is treated by itself, with dropout off, and differentiated unit by unit. Derivatives are taken in the
precision of the network, float32 at least; their products and sums in float64. For the paper's networks `closed_form`
gives the same averages much faster.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

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
from modularity_lib.similarity.linear_maps import LinearEntry, linear_entry
from modularity_lib.similarity.losses import CROSS_ENTROPY, Loss, check_labels, label_tensor
from modularity_lib.similarity.places import Layer, layer_of, places_of
from modularity_lib.similarity.surroundings import evaluating

Tensors = Sequence[torch.Tensor]
Step = Callable[[], object]  # is called after each pass backwards


def input_gradient_sums(evaluated: Evaluation, layer: Layer, step: Step) -> np.ndarray:
    """Sum over inputs and positions of ⟨∂h_i/∂x, ∂h_j/∂x⟩, float64, shape (units, units)."""
    units = layer.units_of(evaluated.activities[layer.name])
    entry = _entry(evaluated, layer)
    by: Sequence[Any] = evaluated.variables if entry is None else [entry.edge]
    root = None if entry is None else entry.root()
    n_units = layer.n_units
    total, rows, at = np.zeros((n_units, n_units)), np.empty((n_units, 0)), 0
    activity = evaluated.activities[layer.name]
    columns = activity if activity.ndim == 2 and layer.units_axis == 1 else units.flatten(1)
    for block in _blocks(columns, by, evaluated, layer.name):  # one position after the other
        for gradients in zip(*block, strict=True):
            values = torch.cat([gradient.flatten(1) for gradient in gradients], dim=1).cpu().numpy()
            if root is not None:
                values = values.astype(np.float64) @ root.T
            if rows.shape[1] != values.size:
                rows = np.empty((n_units, values.size))
            rows[at] = values.ravel()  # in double precision from here on
            at = (at + 1) % n_units
            if at == 0:
                total += rows @ rows.T
            step()
    return total


def numbers_by_input(evaluated: Evaluation, layer: Layer) -> int:
    """How many derivatives of each unit `input_gradient_sums` takes for one input."""
    entry = _entry(evaluated, layer)
    return sum(variable[0].numel() for variable in evaluated.variables) if entry is None else entry.n_z


def _entry(evaluated: Evaluation, layer: Layer) -> LinearEntry | None:
    """The linear map that inputs enter through, if to differentiate by what comes out of it is less work."""
    if len(evaluated.variables) != 1:
        return None
    entry = linear_entry(evaluated.activities[layer.name], evaluated.variables[0])
    return entry if entry is not None and entry.saves(layer.n_units) else None


def output_gradient_sums(evaluated: Evaluation, layer: Layer, step: Step) -> np.ndarray:
    """Sum over inputs and positions of ⟨∂y/∂h_i, ∂y/∂h_j⟩, float64, shape (units, units)."""
    total = np.zeros((layer.n_units, layer.n_units))
    for row in _counted(_output_rows(evaluated, layer), step):
        flat = _flat(row, layer)
        total += flat.T @ flat
    return total


def loss_hessian_sums(evaluated: Evaluation, layer: Layer, loss: Loss, labels: np.ndarray, step: Step) -> np.ndarray:
    """Sum over inputs and positions of ∂²L/∂h_i∂h_j, float64, shape (units, units)."""
    gradient = _loss_gradient(evaluated, layer, loss, labels)
    total = np.zeros((layer.n_units, layer.n_units))
    for position in range(gradient.shape[1]):
        rows = _counted(_hessian_rows(gradient[:, position], evaluated, layer), step)
        for unit, row in enumerate(rows):  # one at a time: a Hessian may be large
            total[unit] += row[:, position].sum(dim=0, dtype=torch.float64).cpu().numpy()
    return total


def gauss_newton_sums(
    evaluated: Evaluation, layer: Layer, loss: Loss, labels: np.ndarray | None, step: Step
) -> np.ndarray:
    """Sum over inputs and positions of JᵀHJ with J = ∂y/∂h and H = ∂²L/∂y∂y, float64, shape (units, units)."""
    outputs = _outputs(evaluated)
    total = np.zeros((layer.n_units, layer.n_units))
    if loss.root is not None:  # H = RᵀR, so this is a sum of squares, of RJ
        root = torch.tensor(loss.root(outputs.detach().cpu().numpy())).to(outputs.device, outputs.dtype)
        for row in _counted(_combined_rows(evaluated, layer, root), step):
            flat = _flat(row, layer)
            total += flat.T @ flat
        return total
    assert labels is not None
    curved = _combined_rows(evaluated, layer, _hessian_by_outputs(evaluated, loss, labels))
    for row, other in _counted(zip(_output_rows(evaluated, layer), curved, strict=True), step):
        total += _flat(row, layer).T @ _flat(other, layer)
    return total


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
            gradients = _gradients_or_none(_combined(_outputs(evaluated)), [evaluated.units[layer.name]], layer.name)
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
            _gradients(_combined(_outputs(evaluated)), [evaluated.units[layer.name]], layer.name)


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
        return _stacked(_rows(_outputs(evaluated), [evaluated.units[layer]], evaluated, layer))


def loss_hessian(network: torch.nn.Module, inputs: object, labels: np.ndarray, layer: str) -> np.ndarray:
    """∂²L/∂h∂h of every input, shape (inputs, units, units), with L its cross-entropy in nats.

    Arguments and errors as in `output_jacobian`, and labels: the class of every input, whole numbers from 0.
    """
    with evaluating(network):
        evaluated, seen = _evaluated(network, inputs, layer, downstream=True)
        check_labels(CROSS_ENTROPY, label_array(labels, len(_outputs(evaluated))), n_outputs_of(evaluated))
        gradient = _loss_gradient(evaluated, seen, CROSS_ENTROPY, labels)
        return _stacked(row[:, 0] for row in _hessian_rows(gradient[:, 0], evaluated, seen))


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
    for block in _blocks(outputs, variables, evaluated, layer):
        for row in range(len(block[0])):
            yield _joined([gradient[row] for gradient in block])


def _blocks(
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


def _output_rows(evaluated: Evaluation, layer: Layer) -> Iterator[torch.Tensor]:
    """Derivative of each output by the units: shape (inputs, positions, units)."""
    for (block,) in _blocks(_outputs(evaluated), [evaluated.units[layer.name]], evaluated, layer.name):
        for gradient in block:
            yield layer.derivative_of(gradient)


def _combined_rows(evaluated: Evaluation, layer: Layer, weights: torch.Tensor) -> Iterator[torch.Tensor]:
    """The same of combinations of outputs, by weights of shape (inputs, rows, outputs)."""
    for row in range(weights.shape[1]):
        combined = (_outputs(evaluated) * weights[:, row]).sum()
        (gradient,) = _gradients(combined, [evaluated.units[layer.name]], layer.name)
        yield layer.derivative_of(gradient)


_Each = TypeVar("_Each")


def _counted(rows: Iterable[_Each], step: Step) -> Iterator[_Each]:
    for row in rows:
        yield row
        step()


def _loss_gradient(evaluated: Evaluation, layer: Layer, loss: Loss, labels: np.ndarray) -> torch.Tensor:
    """∂L/∂h, differentiable, shape (inputs, positions, units)."""
    total = _loss(_outputs(evaluated), evaluated.is_column, loss, labels)
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


def _hessian_rows(gradient: torch.Tensor, evaluated: Evaluation, layer: Layer) -> Iterator[torch.Tensor]:
    """Derivative of each column of a gradient, (inputs, units), by the units: shape (inputs, positions, units)."""
    variable = evaluated.units[layer.name]
    if not gradient.requires_grad:  # a constant slope
        yield from [layer.derivative_of(torch.zeros_like(variable))] * gradient.shape[1]
        return
    for (block,) in _blocks(gradient, [variable], evaluated, layer.name, may_be_constant=True):
        for row in block:
            yield layer.derivative_of(row)


def _hessian_by_outputs(evaluated: Evaluation, loss: Loss, labels: np.ndarray) -> torch.Tensor:
    """∂²L/∂y∂y of every input, shape (inputs, outputs, outputs)."""
    outputs = _outputs(evaluated).detach().requires_grad_()
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


def _outputs(evaluated: Evaluation) -> torch.Tensor:
    assert evaluated.outputs is not None
    return evaluated.outputs


def _joined(gradients: Tensors) -> torch.Tensor:
    return (
        torch.cat([gradient.flatten(1) for gradient in gradients], dim=1)
        if len(gradients) > 1
        else gradients[0].flatten(1)
    )


def _flat(rows: torch.Tensor, layer: Layer) -> np.ndarray:
    """(inputs and positions, units)."""
    return _in_float64(rows).reshape(-1, layer.n_units)


def _in_float64(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().numpy().astype(np.float64)


def _stacked(rows: Iterator[torch.Tensor]) -> np.ndarray:
    return torch.stack(list(rows), dim=1).detach().cpu().numpy()

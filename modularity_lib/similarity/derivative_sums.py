"""Sums over inputs and positions of products of derivatives, which the measures are averages of.

Products and sums are taken in double precision.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from modularity_lib.similarity.derivatives import (
    blocks,
    combined_rows,
    hessian_by_outputs,
    hessian_rows,
    loss_gradient,
    output_rows,
    outputs_of,
)
from modularity_lib.similarity.evaluation import Evaluation
from modularity_lib.similarity.linear_maps import LinearEntry, linear_entry
from modularity_lib.similarity.losses import Loss
from modularity_lib.similarity.places import Layer

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
    for block in blocks(columns, by, evaluated, layer.name):  # one position after the other
        for gradients in zip(*block, strict=True):
            flat = [gradient.flatten(1) for gradient in gradients]
            values = (flat[0] if len(flat) == 1 else torch.cat(flat, dim=1)).cpu().numpy()  # a copy only where needed
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
    for row in _counted(output_rows(evaluated, layer), step):
        flat = _flat(row, layer)
        total += flat.T @ flat
    return total


def loss_hessian_sums(evaluated: Evaluation, layer: Layer, loss: Loss, labels: np.ndarray, step: Step) -> np.ndarray:
    """Sum over inputs and positions of ∂²L/∂h_i∂h_j, float64, shape (units, units)."""
    gradient = loss_gradient(evaluated, layer, loss, labels)
    total = np.zeros((layer.n_units, layer.n_units))
    for position in range(gradient.shape[1]):
        rows = _counted(hessian_rows(gradient[:, position], evaluated, layer), step)
        for unit, row in enumerate(rows):  # one at a time: a Hessian may be large
            total[unit] += row[:, position].sum(dim=0, dtype=torch.float64).cpu().numpy()
    return total


def gauss_newton_sums(
    evaluated: Evaluation, layer: Layer, loss: Loss, labels: np.ndarray | None, step: Step
) -> np.ndarray:
    """Sum over inputs and positions of JᵀHJ with J = ∂y/∂h and H = ∂²L/∂y∂y, float64, shape (units, units)."""
    outputs = outputs_of(evaluated)
    total = np.zeros((layer.n_units, layer.n_units))
    if loss.root is not None:  # H = RᵀR, so this is a sum of squares, of RJ
        root = torch.tensor(loss.root(outputs.detach().cpu().numpy())).to(outputs.device, outputs.dtype)
        for row in _counted(combined_rows(evaluated, layer, root), step):
            flat = _flat(row, layer)
            total += flat.T @ flat
        return total
    assert labels is not None
    curved = combined_rows(evaluated, layer, hessian_by_outputs(evaluated, loss, labels))
    for row, other in _counted(zip(output_rows(evaluated, layer), curved, strict=True), step):
        total += _flat(row, layer).T @ _flat(other, layer)
    return total


_Each = TypeVar("_Each")


def _counted(rows: Iterable[_Each], step: Step) -> Iterator[_Each]:
    for row in rows:
        yield row
        step()


def _flat(rows: torch.Tensor, layer: Layer) -> np.ndarray:
    """(inputs and positions, units)."""
    return _in_float64(rows).reshape(-1, layer.n_units)


def _in_float64(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().numpy().astype(np.float64)

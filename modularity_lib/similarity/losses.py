"""The loss that output_hessian is of: one input at a time, with the labels that it takes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from modularity_lib.arrays import n_missing, shown
from modularity_lib.vocabulary import did_you_mean

Root = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Loss:
    """A loss of the outputs of one input.

    `sum` adds up the losses of outputs (inputs, outputs) with their labels. Where a loss has a `root`, that is R of
    shape (inputs, rows, outputs), its Hessian by the outputs is RᵀR and needs no labels.
    """

    name: str
    sum: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    root: Root | None = None


def cross_entropy_root(outputs: np.ndarray) -> np.ndarray:
    """R = diag(√p)(1 - 1pᵀ) with p the softmax of the outputs, so that RᵀR = diag(p) - ppᵀ."""
    shifted = outputs.astype(np.float64) - outputs.max(axis=1, keepdims=True)
    probability = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    return np.asarray(
        np.sqrt(probability)[:, :, np.newaxis] * (np.eye(outputs.shape[1]) - probability[:, np.newaxis, :])
    )


def _binary_root(outputs: np.ndarray) -> np.ndarray:
    """R = diag(√(p(1 - p) / K)) with p the sigmoid of each of the K outputs."""
    decay = np.exp(-np.abs(outputs.astype(np.float64)))
    slopes = decay / (1 + decay) ** 2
    return np.asarray(np.sqrt(slopes / outputs.shape[1])[:, :, np.newaxis] * np.eye(outputs.shape[1]))


def _squared_root(outputs: np.ndarray) -> np.ndarray:
    """R = √(2 / K), on the diagonal."""
    n_outputs = outputs.shape[1]
    return np.broadcast_to(np.sqrt(2 / n_outputs) * np.eye(n_outputs), (len(outputs), n_outputs, n_outputs))


def _cross_entropies(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(outputs, labels, reduction="sum")


def _binary_cross_entropies(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return functional.binary_cross_entropy_with_logits(outputs, labels, reduction="sum") / outputs.shape[1]


def _squared_errors(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return functional.mse_loss(outputs, labels, reduction="sum") / outputs.shape[1]


CROSS_ENTROPY = Loss("cross-entropy", _cross_entropies, cross_entropy_root)
BINARY = Loss("binary-cross-entropy", _binary_cross_entropies, _binary_root)
SQUARED_ERROR = Loss("mean-squared-error", _squared_errors, _squared_root)
LOSSES = {loss.name: loss for loss in (CROSS_ENTROPY, BINARY, SQUARED_ERROR)}


def loss_of(loss: object) -> Loss:
    """The loss of a name, or one of the caller's own; ValueError for anything else."""
    if loss is None:
        return CROSS_ENTROPY
    if isinstance(loss, str) and loss in LOSSES:
        return LOSSES[loss]
    if callable(loss) and not isinstance(loss, type):
        return Loss("of your own", partial(_sum_of_each, loss))
    way_out = did_you_mean(loss, LOSSES) or (" Make it first, as nn.MSELoss()." if isinstance(loss, type) else "")
    raise ValueError(
        f"loss must be one of {', '.join(map(repr, LOSSES))} or a function of (outputs, labels), got "
        f"{shown(loss)}.{way_out}"
    )


def _sum_of_each(loss: Callable[..., Any], outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The sum of a loss that the caller has written, of one input after the other: its own average has no say."""
    losses = [_of_one(loss, outputs[at : at + 1], labels[at : at + 1]) for at in range(len(outputs))]
    return torch.stack(losses).sum()


def _of_one(loss: Callable[..., Any], outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    try:
        found = loss(outputs, labels)
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ValueError(
            f"loss cannot be applied to outputs of shape {tuple(outputs.shape)} and labels of shape "
            f"{tuple(labels.shape)} of {labels.dtype}, those of one input: {str(error).rstrip('.')}. Labels are passed "
            "on as the whole or real numbers that they are. Real ones go through .astype(float)."
        ) from error
    if not isinstance(found, torch.Tensor) or found.numel() != 1 or not found.is_floating_point():
        is_tensor = isinstance(found, torch.Tensor)
        came = f"{found.dtype} of shape {tuple(found.shape)}" if is_tensor else type(found).__name__
        raise ValueError(f"loss must give one real number for one input, got {came}. Return its .mean() or .sum().")
    return found.reshape(())


def check_labels_alone(loss: Loss, labels: np.ndarray) -> None:
    """Raise ValueError if labels, (inputs, ...), cannot be those of a loss whatever the network gives."""
    missing = n_missing(labels)
    if missing:
        raise ValueError(
            f"labels must be there for every input, got {labels.dtype} of shape {labels.shape}, of which {missing} are "
            "missing. Leave their inputs out, or leave output_hessian out of measures: the other measures need no "
            "labels."
        )
    if labels.dtype.kind not in "biuf":
        raise ValueError(
            f"labels must be numbers, got {labels.dtype} of shape {labels.shape}. Names of classes become numbers by "
            "np.unique(labels, return_inverse=True)[1]."
        )
    if not np.isfinite(labels).all():
        raise ValueError("labels must be finite, got infinity, which is no class and no target.")
    if loss is CROSS_ENTROPY and (labels.ndim != 1 or labels.dtype.kind not in "iu"):
        raise ValueError(
            f"labels must be {len(labels)} whole numbers, one class for each input, got {labels.dtype} of shape "
            f"{labels.shape}: the loss is the cross-entropy of classes. {_way_to_classes(labels)}"
        )
    if loss is CROSS_ENTROPY and labels.min() < 0:
        raise ValueError(f"labels must be at least 0, got {labels.min()}. {_COUNTED}")
    if loss is BINARY and not np.isin(labels, (0, 1)).all():
        other = labels[~np.isin(labels, (0, 1))].flat[0]
        raise ValueError(
            f"labels must be 0 or 1 for loss='binary-cross-entropy', got {other}. Classes have loss='cross-entropy', "
            "real numbers loss='mean-squared-error'."
        )


def check_labels(loss: Loss, labels: np.ndarray, n_outputs: int) -> None:
    """Raise ValueError if labels, (inputs, ...), do not go with so many outputs."""
    check_labels_alone(loss, labels)
    if loss is CROSS_ENTROPY and labels.max() >= n_outputs:
        raise ValueError(
            f"labels must lie in 0..{n_outputs - 1}, as the network has {n_outputs} outputs, got "
            f"{labels.min()}..{labels.max()}. {_COUNTED} Real numbers have loss='mean-squared-error'."
        )
    if loss in (BINARY, SQUARED_ERROR):
        is_one = n_outputs == 1 and labels.shape in ((len(labels),), (len(labels), 1))
        if labels.shape != (len(labels), n_outputs) and not is_one:
            raise ValueError(
                f"labels must have the shape of the outputs for loss={loss.name!r}, ({len(labels)}, {n_outputs}), got "
                f"{labels.shape}." + _way_to_shape(labels, n_outputs)
            )


def check_outputs(loss: Loss, n_outputs: int) -> None:
    """Raise ValueError if the loss of so many outputs says nothing."""
    if loss is CROSS_ENTROPY and n_outputs == 1:
        raise ValueError(
            "loss must be another than the cross-entropy for one output, of which the softmax is constant, so that "
            "output_hessian is 0: loss='binary-cross-entropy' for a logit, loss='mean-squared-error' for a regression. "
            "Or leave output_hessian out of measures."
        )


def label_tensor(loss: Loss, labels: np.ndarray, outputs: torch.Tensor) -> torch.Tensor:
    """Labels as a tensor beside outputs: whole numbers as they are, real ones in the same precision."""
    values = torch.tensor(np.ascontiguousarray(labels), device="cpu")
    if loss in (BINARY, SQUARED_ERROR):
        return values.to(outputs.device, outputs.dtype).reshape(outputs.shape)
    dtype: Any = outputs.dtype if values.is_floating_point() else (None if values.dtype == torch.bool else torch.int64)
    return values.to(outputs.device, dtype)


_COUNTED = "Classes are counted from 0; np.unique(labels, return_inverse=True)[1] counts them anew."


def _way_to_classes(labels: np.ndarray) -> str:
    several = "several labels of one input have loss='binary-cross-entropy'"
    real = "loss='mean-squared-error'"
    if labels.ndim == 2 and labels.shape[1] == 1 and labels.dtype.kind in "iu":
        return f"Pass labels.ravel(); one logit has loss='binary-cross-entropy', targets of a regression {real}."
    if labels.ndim > 1 and np.isin(labels, (0, 1)).all():
        return f"One-hot labels go through .argmax(axis=1); {several}, targets of a regression {real}."
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels)):
        return f"Real numbers are targets of a regression: {real}."
    if labels.ndim > 1:
        return f"Targets of a regression have {real}, and another loss is a function of (outputs, labels)."
    return (
        f"Classes that are stored so become whole numbers by .astype(int); one logit has loss='binary-cross-entropy', "
        f"targets of a regression {real}."
    )


def _way_to_shape(labels: np.ndarray, n_outputs: int) -> str:
    if labels.size == len(labels) * n_outputs:
        return " Pass labels.reshape(len(labels), -1), in the order of the outputs."
    if labels.ndim == 1 and n_outputs > 1:
        return " Classes, one whole number for each input, have loss='cross-entropy'."
    return ""

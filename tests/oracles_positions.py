"""All measures of a layer with positions, from Jacobians and Hessians of two functions, input by input."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.autograd.functional import hessian, jacobian
from torch.nn import functional

from modularity_lib.vocabulary import MEASURES
from oracles_derivatives import normalised

Function = Callable[[torch.Tensor], torch.Tensor]


def cross_entropies(classes: np.ndarray) -> list[Function]:
    """The cross-entropy of the outputs of each input, for its class."""
    return [lambda y, label=label: functional.cross_entropy(y, torch.tensor(label)) for label in classes]


def signed_similarities(
    up: Function,
    down: Function,
    inputs: Sequence[torch.Tensor],
    losses: Sequence[Function],
    *,
    axis: int,
    positions: str | int = "average",
    downs: Sequence[Function] | None = None,
    curvature: str = "hessian",
) -> dict[str, np.ndarray]:
    """{quantity: S} of a layer h = up(x) with outputs y = down(h), each of one input and without an axis for inputs.

    Args:
        inputs: one tensor for each input.
        losses: one function of the outputs for each input.
        axis: of the units in h.
        downs: `down` of each input, where it depends on the input in another way, too.
    """
    activities, upstream, downstream, curved = [], [], [], []
    for at, x in enumerate(inputs):
        of_units = down if downs is None else downs[at]
        h = up(x).detach()
        places = np.moveaxis(np.arange(h.numel()).reshape(tuple(h.shape)), axis, -1).reshape(-1, h.shape[axis])
        into = jacobian(up, x).reshape(h.numel(), -1).numpy()
        out_of = jacobian(of_units, h).reshape(-1, h.numel()).numpy()
        if curvature == "hessian":
            second = hessian(lambda h, at=at, down=of_units: losses[at](down(h)), h).reshape(h.numel(), -1).numpy()
        else:
            y = of_units(h).detach()
            by_outputs = hessian(losses[at], y).reshape(y.numel(), -1).numpy()
            second = out_of.T @ by_outputs @ out_of
        flat = h.reshape(-1).numpy()
        if positions == "pool":  # the mean over positions, and a shift that is common to all
            mean = np.zeros((places.shape[1], h.numel()))
            for unit in range(places.shape[1]):
                mean[unit, places[:, unit]] = 1 / len(places)
            shift = (mean > 0).astype(float)
            parts = [(mean @ flat, mean @ into, out_of @ shift.T, shift @ second @ shift.T)]
        else:
            chosen = places if positions == "average" else places[[positions]]
            parts = [(flat[units], into[units], out_of[:, units], second[np.ix_(units, units)]) for units in chosen]
        activities.append([part[0] for part in parts])
        upstream.append(np.mean([part[1] @ part[1].T for part in parts], axis=0))
        downstream.append(np.mean([part[2].T @ part[2] for part in parts], axis=0))
        curved.append(np.mean([part[3] for part in parts], axis=0))
    by_position = np.array(activities)  # (inputs, positions, units)
    covariances = [
        np.atleast_2d(np.cov(by_position[:, position].T, bias=True)) for position in range(by_position.shape[1])
    ]
    return {
        "output_hessian": np.mean(curved, axis=0),
        "output_gradient": np.mean(downstream, axis=0),
        "input_covariance": np.mean(covariances, axis=0),
        "input_gradient": np.mean(upstream, axis=0),
    }


def assert_similar(found: dict[str, np.ndarray], signed: dict[str, np.ndarray], tolerance: float = 1e-12) -> None:
    """All eight measures are |S| and its norm, to a share of the largest entry."""
    assert list(found) == list(MEASURES)
    for name, matrix in signed.items():
        right: Any = np.abs(matrix)
        assert right.max() > 0, name
        np.testing.assert_allclose(found[name], right, rtol=0, atol=tolerance * right.max(), err_msg=name)
        norm = normalised(matrix)
        np.testing.assert_allclose(found[f"{name}_norm"], norm, rtol=0, atol=100 * tolerance * norm.max(), err_msg=name)

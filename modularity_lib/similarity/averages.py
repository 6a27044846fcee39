"""Signed averages over all inputs, of every layer that is asked for: one pass through the network for each batch.

As many inputs go through together as about 64 MB of intermediate numbers allow, 256 at most. What one input takes is a
lower bound of the memory: all that the network keeps of it for derivatives, and for input_gradient the derivatives of
all units by all numbers of an input, in its own precision and in double.
"""

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch

from modularity_lib.progress import progress_bar
from modularity_lib.similarity.covariance import Covariance
from modularity_lib.similarity.derivative_sums import (
    Step,
    gauss_newton_sums,
    input_gradient_sums,
    loss_hessian_sums,
    numbers_by_input,
    output_gradient_sums,
)
from modularity_lib.similarity.derivatives import check_derivatives, n_outputs_of
from modularity_lib.similarity.evaluation import Evaluation, Subject, evaluate, needs_a_graph
from modularity_lib.similarity.inputs import Data
from modularity_lib.similarity.losses import Loss, check_labels
from modularity_lib.similarity.places import Layer
from modularity_lib.similarity.precision import precision_of
from modularity_lib.similarity.surroundings import evaluating

Curvature = Literal["hessian", "gauss-newton"]

_BATCH_BYTES = 64_000_000  # working memory for one batch of inputs
_BATCH_INPUTS = 256  # at most: what the network keeps in its own code is not seen


@dataclass(frozen=True)
class Hessian:
    """Which Hessian is averaged: of which loss, and in full or without the curvature of the network itself."""

    loss: Loss
    curvature: Curvature

    @property
    def needs_labels(self) -> bool:
        """Whether it depends on them."""
        return self.curvature == "hessian" or self.loss.root is None

    def sums(self, evaluated: Evaluation, layer: Layer, labels: np.ndarray | None, step: Step) -> np.ndarray:
        """Sum over inputs and positions, (units, units)."""
        if self.curvature == "gauss-newton":
            return gauss_newton_sums(evaluated, layer, self.loss, labels, step)
        assert labels is not None
        return loss_hessian_sums(evaluated, layer, self.loss, labels, step)


def signed_averages(
    subject: Subject,
    data: Data,
    quantities: Collection[str],
    hessian: Hessian,
    *,
    batch_size: int | None = None,
    progress: bool | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """{layer: {quantity: S}}, averaged over inputs and positions, with the signs of S.

    Args:
        subject: the network, and the layers.
        data: all inputs, and labels if the Hessian needs them.
        quantities: which averages are wanted.
        hessian: what output_hessian is of.
        batch_size: inputs for each pass; None = chosen by memory.
        progress: whether to show a bar; None = where standard error is a terminal.
    """
    layers, network = subject.layers, subject.network
    totals = {
        layer.name: {quantity: np.zeros((layer.n_units, layer.n_units)) for quantity in quantities} for layer in layers
    }
    rounding = torch.finfo(precision_of(network, data.first(1).arrays)).eps
    covariances = {layer.name: Covariance(rounding) for layer in layers if "input_covariance" in quantities}
    n_inputs = 0
    with evaluating(network):
        graph = subject.upstream or subject.downstream or needs_a_graph(subject, data.first(1))
        seen = evaluate(subject, data.first(1))
        check_derivatives(seen, subject)
        size = batch_size or _chosen_batch_size(subject, seen, quantities)
        passes = sum(_n_passes(quantity, seen, layer, hessian) for layer in layers for quantity in quantities)
        with progress_bar(data.n_inputs * (1 + passes), "measuring", progress) as bar:
            for inputs, labels in data.batches(size):
                evaluated = evaluate(subject, inputs, graph=graph)
                if labels is not None and "output_hessian" in quantities and hessian.needs_labels:
                    check_labels(hessian.loss, labels, n_outputs_of(evaluated))
                n_inputs += len(inputs)
                bar.update(len(inputs))
                step = partial(bar.update, len(inputs))
                for layer in layers:
                    for quantity, total in totals[layer.name].items():
                        if quantity == "input_covariance":
                            covariances[layer.name].add(_activity(evaluated, layer), layer.name)
                        elif quantity == "input_gradient":
                            total += input_gradient_sums(evaluated, layer, step)
                        elif quantity == "output_gradient":
                            total += output_gradient_sums(evaluated, layer, step)
                        else:
                            total += hessian.sums(evaluated, layer, labels, step)
    return {
        layer.name: {
            quantity: covariances[layer.name].result()
            if quantity == "input_covariance"
            else total / (n_inputs * layer.n_positions)
            for quantity, total in totals[layer.name].items()
        }
        for layer in layers
    }


def _activity(evaluated: Evaluation, layer: Layer) -> np.ndarray:
    """Shape (inputs, positions, units); means over positions are taken in double precision."""
    activity = evaluated.activities[layer.name].detach()
    if layer.positions == "pool":
        activity = activity.to(torch.float64)
    return np.asarray(layer.units_of(activity).cpu().numpy())


def _n_passes(quantity: str, seen: Evaluation, layer: Layer, hessian: Hessian) -> int:
    """How often a batch goes backwards for a quantity."""
    by_unit, by_output = layer.n_positions * layer.n_units, n_outputs_of(seen)
    if quantity == "output_gradient":
        return by_output
    if quantity == "output_hessian" and hessian.curvature == "gauss-newton":
        return by_output
    return 0 if quantity == "input_covariance" else by_unit


def _chosen_batch_size(subject: Subject, seen: Evaluation, quantities: Collection[str]) -> int:
    """How many inputs go through the network together, from what one of them takes."""
    needed = seen.n_bytes
    if "input_gradient" in quantities:  # of one position, in its own precision and in double
        bytes_of_one = 8 + max(variable.element_size() for variable in seen.variables)
        needed += bytes_of_one * max(layer.n_units * numbers_by_input(seen, layer) for layer in subject.layers)
    return max(1, min(_BATCH_INPUTS, _BATCH_BYTES // max(1, needed)))

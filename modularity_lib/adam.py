"""Adam for networks whose loss has penalties on the weights, compiled."""

from typing import Any

import numpy as np
from numba import njit

from modularity_lib.flat_networks import Layout, Networks

BETAS = (0.9, 0.999)  # with EPSILON the defaults of torch.optim.Adam
EPSILON = 1e-8

_COMPILED: dict[str, Any] = {"fastmath": {"contract", "reassoc"}, "error_model": "numpy", "cache": True}


@njit(**_COMPILED)
def adam_step(step: int, network: int, layout: Layout, networks: Networks, gradient: np.ndarray) -> None:
    """Add the gradients of the penalties to the weights' gradient, and take a step of Adam."""
    size = np.float32(networks.learning_rates[network] / (1 - BETAS[0] ** step))
    root = np.float32(np.sqrt(1 - BETAS[1] ** step))
    parameters = networks.parameters[network]
    first, second = networks.first_moments[network], networks.second_moments[network]
    for layer in range(len(layout.width)):
        start, stop = layout.starts[layer], layout.starts[layer + 1]
        bias = stop - layout.width[layer]
        l1, l2 = networks.l1[network], networks.l2[network]
        _adam(parameters[start:bias], first[start:bias], second[start:bias], gradient[start:bias], l1, l2, size, root)
        l1, l2 = np.float32(0), np.float32(0)
        _adam(parameters[bias:stop], first[bias:stop], second[bias:stop], gradient[bias:stop], l1, l2, size, root)


@njit(**_COMPILED)
def _adam(
    parameters: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    gradient: np.ndarray,
    l1: np.float32,
    l2: np.float32,
    size: np.float32,
    root: np.float32,
) -> None:
    beta1, beta2 = np.float32(BETAS[0]), np.float32(BETAS[1])
    for j in range(len(parameters)):
        weight = parameters[j]
        sign = np.float32(weight > 0) - np.float32(weight < 0)
        slope = gradient[j] + l1 * sign + np.float32(2) * l2 * weight
        first[j] += (slope - first[j]) * (np.float32(1) - beta1)
        second[j] = beta2 * second[j] + (np.float32(1) - beta2) * slope * slope
        parameters[j] = weight - size * first[j] / (np.sqrt(second[j]) / root + np.float32(EPSILON))

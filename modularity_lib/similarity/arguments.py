"""What `similarity_matrices` is given beside inputs and layers: networks that can be measured, and settings."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch.nn.parameter import is_lazy

from modularity_lib.arrays import flag, shown, whole_number
from modularity_lib.similarity.inputs import Data
from modularity_lib.vocabulary import did_you_mean

CURVATURES = ("hessian", "gauss-newton")


def images_of(data: Data, n_inputs: int, *, flat: bool) -> np.ndarray:
    """What a perceptron is given, (images, inputs); ValueError for another shape.

    If the perceptron makes its inputs flat, they may have any shape (images, ...) with as many numbers.
    """
    start, n_numbers = data.start, data.start.numbers_per_input
    if start.arrays[0].ndim < 2 or (start.arrays[0].ndim > 2 and not flat) or n_numbers != n_inputs:
        way_out = (
            f"The network makes them flat, and its first linear map takes {n_inputs} numbers."
            if flat
            else "Images with rows and columns become flat by .reshape(len(inputs), -1)."
        )
        raise ValueError(
            f"inputs must have shape (inputs, {n_inputs}) with at least one input, got shape "
            f"{start.arrays[0].shape}. {way_out}"
        )
    return data.in_memory().start.as_real().arrays[0]


def check_settings(curvature: object, output: object, batch_size: object, progress: object) -> None:
    """Raise ValueError unless these arguments of `similarity_matrices` are what they can be."""
    if not isinstance(curvature, str) or curvature not in CURVATURES:
        expected = " or ".join(map(repr, CURVATURES))
        raise ValueError(f"curvature must be {expected}, got {shown(curvature)}.{did_you_mean(curvature, CURVATURES)}")
    if output is not None and (not callable(output) or isinstance(output, type | torch.nn.Module)):
        raise ValueError(
            f"output must be a function of what the network returns, such as lambda o: o.logits, got {shown(output)}."
        )
    if batch_size is not None:
        whole_number("batch_size", batch_size, at_least=1)
    if progress is not None:
        flag("progress", progress)


def check_network(network: object) -> None:
    """Raise ValueError unless network is a module of PyTorch with numbers in it, and its parts can be watched."""
    if not isinstance(network, torch.nn.Module):
        raise ValueError(
            f"network must be a torch.nn.Module, got {type(network).__name__}. Parameters become one by network_of()."
        )
    if isinstance(network, torch.jit.ScriptModule):
        raise ValueError(
            f"network must be a torch.nn.Module as it was written, got {type(network).__name__} of torch.jit, whose "
            "layers cannot be watched. Give the network that was scripted or traced, with the same weights."
        )
    tensors = [*chain(network.parameters(), network.buffers())]
    if any(is_lazy(tensor) for tensor in tensors):
        raise ValueError("network has lazy layers without weights. Run it once on some inputs, and measure then.")
    if any(tensor.is_meta for tensor in tensors):
        raise ValueError("network has weights on the meta device, which hold no numbers. Load its weights first.")


def check_layers(network: torch.nn.Module, layers: Sequence[str]) -> None:
    """Raise ValueError if a layer lies in a part that torch.jit has compiled, where nothing can be watched."""
    for layer in layers:
        path = layer.split(".")
        for depth in range(1, len(path) + 1):
            part = ".".join(path[:depth])
            if isinstance(network.get_submodule(part), torch.jit.ScriptModule):
                raise ValueError(
                    f"layer {layer!r} must not lie in a part that torch.jit has scripted or traced, as {part!r} is. "
                    "Put the module that it was made from in its place, with the same weights."
                )

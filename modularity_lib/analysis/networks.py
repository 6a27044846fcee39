"""Nulls that a network is run for: permuted inputs, units rotated before their non-linearity, untrained networks."""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch

from modularity_lib.arrays import Wanted, numbers_of
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.vocabulary import Measure

_PROBED = 7  # numbers that a part of the network is given, to see whether it treats each by itself


def similarity_in(
    network: Any, inputs: Any, labels: Any, *, layer: str, measure: Measure, about: Mapping[str, Any]
) -> np.ndarray:
    """One similarity matrix of a network."""
    found = similarity_matrices(network, inputs, labels, layers=[layer], measures=[measure], progress=False, **about)
    return found[layer][measure]


def permuted_inputs(inputs: Any, source: np.random.Generator) -> Any:
    """Null: every feature of the inputs, shape (inputs, ...), permuted over the inputs by itself."""
    if isinstance(inputs, Mapping):
        return {name: permuted_inputs(part, source) for name, part in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(permuted_inputs(part, source) for part in inputs)
    flat = inputs.reshape(len(inputs), -1)
    return source.permuted(flat, axis=0).reshape(inputs.shape)


def permutable(name: str, inputs: Any) -> Any:
    """Inputs as arrays whose features can be permuted; a tuple or a dictionary of inputs part by part."""
    if isinstance(inputs, Mapping) and inputs:
        return {key: permutable(f"{name}[{key!r}]", part) for key, part in inputs.items()}
    if isinstance(inputs, tuple) and inputs:
        return tuple(permutable(f"{name}[{index}]", part) for index, part in enumerate(inputs))
    array = numbers_of(name, inputs, _INPUTS)
    if array.ndim < 2 or len(array) < 2 or array.size == 0 or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} must be at least two inputs of numbers, shape (inputs, ...), got {array.dtype} of shape "
            f"{array.shape}. {_INPUTS.way_out(inputs, array)}"
        )
    return array


_INPUTS = Wanted(
    "be an array of numbers",
    lambda value, array: "Put those of a data set or a loader into one array or tensor: each feature is permuted.",
    "the inputs without masked entries",
)


def as_untrained(factory: Callable[[], Any], source: np.random.Generator) -> torch.nn.Module:
    """A network of the factory; all global random generators are seeded for it, and put back afterwards."""
    python, numpy, seed = random.getstate(), np.random.get_state(), int(source.integers(2**32))
    with torch.random.fork_rng():
        try:
            torch.manual_seed(seed)
            np.random.seed(seed)
            random.seed(seed)
            network = factory()
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
    if not isinstance(network, torch.nn.Module):
        raise ValueError(
            f"factory must give a torch.nn.Module, got {type(network).__name__}. It is called as factory()."
        )
    return network


def check_draws_differ(networks: list[torch.nn.Module]) -> None:
    """Raise ValueError where a factory gives the same network, or the same weights, twice."""
    first, second = networks
    numbers = [list(network.state_dict().values()) for network in networks]
    alike = len(numbers[0]) == len(numbers[1]) and all(map(torch.equal, *numbers))
    if first is second or alike:
        same = "network" if first is second else "weights"
        raise ValueError(
            f"factory must give another untrained network at each call, got the same {same} twice. Make the network in "
            "it, and set no seed there: test_modules does."
        )


@contextmanager
def rotating(network: torch.nn.Module, layer: str, axis: int) -> Iterator[Callable[[np.ndarray], None]]:
    """Rotate what comes into the non-linearity of a layer, by the matrix that is set last; the network stays as it was.

    Args:
        layer: a submodule that treats each number by itself, or a Sequential that ends in such.
        axis: of the units.
    """
    rotation: list[np.ndarray] = []

    def rotated(_: torch.nn.Module, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        before = arguments[0].movedim(axis, -1)
        matrix = torch.as_tensor(rotation[-1], dtype=before.dtype, device=before.device)
        return ((before @ matrix).movedim(-1, axis), *arguments[1:])

    hook = _nonlinearity(network, layer).register_forward_pre_hook(rotated)
    try:
        yield rotation.append
    finally:
        hook.remove()


def _nonlinearity(network: torch.nn.Module, layer: str) -> torch.nn.Module:
    """The part of a layer before which its units can be rotated."""
    try:
        module = network.get_submodule(layer)
    except AttributeError:
        raise ValueError(f"layer must be a submodule for rotated-units, got {layer!r}. {_BY_HAND}") from None
    found = None if not _is_elementwise(module) else module
    if found is None and isinstance(module, torch.nn.Sequential):
        for part in reversed(module):
            if not _is_elementwise(part):
                break
            found = part
    if found is None:
        raise ValueError(
            f"layer must be a non-linearity for rotated-units, or a Sequential that ends in one, got {layer!r}, a "
            f"{type(module).__name__}. Name the activation function that follows it, if that is a module. {_BY_HAND}"
        )
    return found


_BY_HAND = "Else pass the activity before the non-linearity, shape (samples, units), as data, and nonlinearity=."


def _is_elementwise(module: torch.nn.Module) -> bool:
    """Whether a part treats each number by itself."""
    first = next((tensor for tensor in module.parameters()), None)
    numbers = torch.linspace(-2, 2, _PROBED, dtype=None if first is None else first.dtype)
    numbers = numbers if first is None else numbers.to(first.device)
    try:
        with torch.no_grad():
            part = deepcopy(module).eval()
            whole = part(numbers.clone())
            single = [part(number[None].clone()) for number in numbers]
    except Exception:  # whatever a module raises that wants another shape
        return False
    return isinstance(whole, torch.Tensor) and whole.shape == numbers.shape and torch.equal(whole, torch.cat(single))

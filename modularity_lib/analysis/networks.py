"""Nulls that a network is run for: permuted inputs, units rotated before their non-linearity, untrained networks."""

import random
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
import torch

from modularity_lib.arrays import Wanted, numbers_of
from modularity_lib.similarity.covariance import Covariance, similarity_of_average
from modularity_lib.similarity.evaluation import evaluate
from modularity_lib.similarity.inputs import data_of
from modularity_lib.similarity.layers import chosen_paths, without_wrappers
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.similarity.places import Layer
from modularity_lib.similarity.subjects import subject_of
from modularity_lib.similarity.surroundings import evaluating
from modularity_lib.vocabulary import Measure

_BATCH = 64  # inputs that are run together to be rotated
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


@dataclass(frozen=True)
class Rotatable:
    """What comes into the non-linearity of a layer, for all inputs, and what follows."""

    before: torch.Tensor  # in double precision, of the shape that the network gives it
    nonlinearity: torch.nn.Module
    layer: Layer

    def covariance(self, turn: np.ndarray, *, normalised: bool) -> np.ndarray:
        """Similarity, (units, units), of the activity after its units were mixed by an orthogonal matrix."""
        axis = self.layer.units_axis
        turned = (self.before.movedim(axis, -1) @ torch.as_tensor(turn)).movedim(-1, axis)
        with torch.no_grad():
            activity = self.layer.units_of(self.nonlinearity(turned))
        covariance = Covariance(float(np.finfo(np.float64).eps))
        covariance.add(np.asarray(activity), self.layer.name)
        return similarity_of_average(covariance.result(), normalised=normalised)


def rotatable(network: torch.nn.Module, inputs: Any, layer: str, about: Mapping[str, Any]) -> Rotatable:
    """Run the network, in double precision, and keep what comes into the non-linearity of a layer.

    Args:
        layer: a submodule that treats each number by itself, or a Sequential that ends in such.
        about: further arguments of `similarity_matrices`.
    """
    paths = chosen_paths("layer", network, [layer], functions=dict)
    inner, path = without_wrappers(network), str(paths[layer])
    subject, data = subject_of(
        inner,
        data_of(inputs, None),
        paths,
        units=about.get("units"),
        positions=about.get("positions", "average"),
        output=about.get("output"),
        inputs_at={},
        calls=about.get("calls"),
        upstream=False,
        downstream=False,
    )
    parts = _nonlinearity(layer, inner.get_submodule(path))
    seen: list[torch.Tensor] = []
    hook = parts[0].register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().cpu().double()))
    try:
        with evaluating(inner):
            for number, (batch, _) in enumerate(data.batches(about.get("batch_size") or _BATCH), start=1):
                evaluate(subject, batch, at_least=torch.float64, graph=False)
                if len(seen) != number:
                    raise ValueError(
                        f"layer {layer!r} must be called once for rotated-units, is more often. {_BY_HAND}"
                    )
    finally:
        hook.remove()
    [place] = subject.layers
    nonlinearity = torch.nn.Sequential(*(deepcopy(part).cpu().double().eval() for part in parts))
    return Rotatable(torch.cat(seen, dim=place.inputs_axis), nonlinearity, place)


def _nonlinearity(layer: str, module: torch.nn.Module) -> list[torch.nn.Module]:
    """The parts of a layer, before the first of which its units can be rotated."""
    found = [module] if _is_elementwise(module) else []
    if not found and isinstance(module, torch.nn.Sequential):
        found = [*reversed([*takewhile(_is_elementwise, reversed(module))])]
    if not found:
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

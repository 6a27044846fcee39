"""Whether a network is a plain perceptron, which the closed forms hold for, at the moment it is measured.

An `MLP` is one, and so is a `torch.nn.Sequential` of such parts, nested or not: linear maps, a ReLU after each but the
last, dropout and identities anywhere, a flattening before. Anything may have been done to a network since it was made:
hooks, exchanged parts, other methods, parametrised weights. So it is read part by part, and its logits are compared
with those of its weights.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn.modules import module as torch_module

from modularity_lib.similarity.closed_form import forward_pass
from modularity_lib.similarity.evaluation import Subject, evaluate
from modularity_lib.similarity.inputs import Inputs
from modularity_lib.similarity.surroundings import COMPILED, as_written, evaluating
from modularity_lib.training.networks import MLP, Parameters

_BLOCK = {"": torch.nn.Sequential, ".linear": torch.nn.Linear, ".relu": torch.nn.ReLU, ".dropout": torch.nn.Dropout}
_UNCHANGED = (torch.nn.Dropout, torch.nn.Identity, torch.nn.Flatten)  # what they give in evaluation, flat inputs given
_KINDS = (MLP, torch.nn.Sequential, torch.nn.Linear, torch.nn.ReLU, *_UNCHANGED)
_ON_THE_WAY = ("__call__", "_wrapped_call_impl", "_call_impl", "__getattr__", "get_submodule", "forward")  # of a call


@dataclass
class Perceptron:
    """The parts of a plain perceptron.

    `hidden` holds the index of a hidden layer, 0 = nearest the inputs, by the name of each part of the network that
    gives its activity after the ReLU; `flattens` tells whether inputs are made flat before the first linear map.
    """

    linear: list[torch.nn.Linear] = field(default_factory=list)
    hidden: dict[str, int] = field(default_factory=dict)
    flattens: bool = False

    @property
    def n_inputs(self) -> int:
        """How many numbers the first linear map takes."""
        return self.linear[0].in_features

    def parameters(self) -> Parameters:
        """Weights and biases in float64; a linear map without biases has biases of 0."""
        return Parameters(
            weights=tuple(_in_float64(module.weight) for module in self.linear),
            biases=tuple(
                np.zeros(len(module.weight)) if module.bias is None else _in_float64(module.bias)
                for module in self.linear
            ),
        )


def perceptron_in(network: torch.nn.Module) -> MLP | None:
    """The `MLP` that a network is, or that `torch.compile` wraps; None for another network."""
    wrapped = as_written(network)
    return wrapped if isinstance(wrapped, MLP) else None


def why_not_plain(network: torch.nn.Module) -> str:
    """Why a network is not just its linear maps, with a ReLU after each hidden one; empty if it is."""
    try:
        plain_perceptron(network)
    except NotPlain as reason:
        return str(reason)
    return ""


def plain_perceptron(network: torch.nn.Module) -> Perceptron:
    """The parts of a network that is a plain perceptron; raises `NotPlain`, which says why, for another one."""
    whole = as_written(network)
    if type(whole) not in (MLP, torch.nn.Sequential):
        raise NotPlain(f"it is a {type(whole).__name__}, no MLP")
    if torch_module._has_any_global_hook():
        raise NotPlain("hooks are registered for all modules")
    perceptron = _read(whole, "" if whole is network else COMPILED)
    for name, module in network.named_modules():  # the compiler's wrapper, if there is one, and all below it
        named = repr(name) if name else "the network"
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks:
            raise NotPlain(f"{named} has a hook")
        own = [key for key, value in vars(module).items() if _replaces(module, key, value)]
        if own:
            raise NotPlain(f"{named} has a {own[0]} of its own")
    for linear in perceptron.linear:
        for name in ("weight", "bias"):
            tensor = linear._parameters.get(name)
            if tensor is None and (name == "weight" or getattr(linear, name) is not None):
                raise NotPlain("weights of it are computed")
            if tensor is not None and not _is_plain(tensor):
                raise NotPlain("weights of it are no plain numbers")
    methods = [inspect.getattr_static(kind, name) for kind in _KINDS for name in _ON_THE_WAY]
    methods += [torch.nn.Sequential.__iter__, torch.nn.functional.relu, torch.nn.functional.dropout]
    if any(_file_of(method) not in _FILES for method in methods):
        raise NotPlain("methods of its classes were replaced")
    return perceptron


class NotPlain(Exception):
    """A network is no plain perceptron; the message says why."""


def gives_logits_of(parameters: Parameters, network: torch.nn.Module, images: np.ndarray) -> bool:
    """Whether a network gives, in float64 and on these images, the logits that its parameters give."""
    with evaluating(network):
        outputs = evaluate(Subject(network), Inputs((images,)), at_least=torch.float64).outputs
    if outputs is None:
        return False
    logits, passed = outputs.detach().cpu().numpy(), forward_pass(parameters, images.reshape(len(images), -1))
    largest = max(np.abs(values).max() for values in (*passed.activities, passed.logits, logits))
    return logits.shape == passed.logits.shape and bool(np.abs(logits - passed.logits).max() <= 1e-9 * largest)


def _read(network: torch.nn.Module, path: str) -> Perceptron:
    """What a network is made of, in the order of a forward pass; path is its own name."""
    perceptron = Perceptron()
    is_hidden = is_linear = False  # whether a ReLU, or a linear map, comes before what is read
    seen: set[int] = set()
    for name, part in _parts(network, path):
        kind = type(part)
        if id(part) in seen:
            raise NotPlain(f"{name!r} is used more than once")
        seen.add(id(part))
        if kind is torch.nn.Flatten:
            if (part.start_dim, part.end_dim) != (1, -1):
                raise NotPlain(f"{name!r} does not flatten all that belongs to one input")
            perceptron.flattens |= not perceptron.linear
        elif isinstance(part, torch.nn.Linear):
            if is_linear:
                raise NotPlain(f"no ReLU comes between {name!r} and the linear map before it")
            perceptron.linear.append(part)
            is_hidden, is_linear = False, True
        elif kind is torch.nn.ReLU:
            if not perceptron.linear:
                raise NotPlain(f"{name!r} comes before its first linear map")
            if is_hidden:  # the derivative past this ReLU is 0 where the one before gave 0
                last = len(perceptron.linear) - 1
                perceptron.hidden = {path: index for path, index in perceptron.hidden.items() if index != last}
            is_hidden, is_linear = True, False
        if is_hidden:
            perceptron.hidden[name] = len(perceptron.linear) - 1
    if not is_linear or not perceptron.hidden:
        raise NotPlain("a linear map with a ReLU, and one without, must come last")
    return perceptron


def _parts(part: torch.nn.Module, name: str) -> Iterator[tuple[str, torch.nn.Module]]:
    """The modules of a network in the order in which a forward pass leaves them, the network itself at last.

    These are the parts of a plain perceptron; for another kind of part `NotPlain` is raised.
    """
    if type(part) is MLP:
        _check_parts(part)
    elif type(part) is not torch.nn.Sequential and (type(part) not in _KINDS or part._modules):
        raise NotPlain(f"{name!r} is a {type(part).__name__}, no part of an MLP")
    for key, child in part._modules.items():
        if child is None:
            raise NotPlain(f"{name!r} has an empty place")
        yield from _parts(child, f"{name}.{key}" if name else key)
    yield name, part


def _check_parts(perceptron: MLP) -> None:
    """Raise `NotPlain` unless an `MLP` has the parts that it was made with, and no others."""
    expected: list[tuple[str, type[torch.nn.Module]]] = [("", MLP)]
    for layer in perceptron.layers:
        expected += [(f"{layer}{part}", kind) for part, kind in _BLOCK.items()]
    expected.append(("output", torch.nn.Linear))
    if [(name, type(module)) for name, module in perceptron.named_modules()] != expected:
        raise NotPlain("parts of it were exchanged, added or taken away")


def _in_float64(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().to("cpu", torch.float64, copy=True).numpy()


def _replaces(module: torch.nn.Module, name: str, value: object) -> bool:
    """Whether an attribute of a module stands in the place of a method; compiled, the method remains what it is."""
    if value is None or type(module).__name__ == "OptimizedModule":
        return False
    method = "_call_impl" if name == "_compiled_call_impl" else name
    if not callable(getattr(type(module), method, None)):
        return False
    compiled = getattr(value, "_torchdynamo_orig_callable", None)
    return compiled is None or compiled != getattr(type(module), method).__get__(module)


def _is_plain(tensor: torch.Tensor) -> bool:
    is_dense = tensor.layout is torch.strided and tensor.is_floating_point()
    return is_dense and type(tensor) in (torch.Tensor, torch.nn.Parameter)


def _file_of(function: object) -> str:
    """Where a function was written; a wrapper around it stands elsewhere, whatever it says of itself."""
    code = getattr(function, "__code__", None)
    return code.co_filename if code is not None else ""


_FILES = {inspect.getfile(part) for kind in _KINDS for part in kind.__mro__ if part is not object} | {
    inspect.getfile(torch.nn.functional)
}

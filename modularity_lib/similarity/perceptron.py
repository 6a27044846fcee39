"""Whether a network is the plain perceptron that the closed forms hold for, at the moment it is measured.

Anything may have been done to a network since it was made: hooks, exchanged parts, other methods, parametrised weights.
So it is compared part by part with what `MLP` builds, and its logits with those of its weights.
"""

import inspect

import numpy as np
import torch
from torch.nn.modules import module as torch_module

from modularity_lib.similarity.closed_form import forward_pass
from modularity_lib.similarity.evaluation import Subject, evaluate
from modularity_lib.similarity.inputs import Inputs
from modularity_lib.similarity.surroundings import evaluating
from modularity_lib.training.networks import MLP, Parameters

_BLOCK = {"": torch.nn.Sequential, ".linear": torch.nn.Linear, ".relu": torch.nn.ReLU, ".dropout": torch.nn.Dropout}
_ON_THE_WAY = ("__call__", "_wrapped_call_impl", "_call_impl", "__getattr__", "get_submodule", "forward")  # of a call


def perceptron_in(network: torch.nn.Module) -> MLP | None:
    """The `MLP` that a network is, or that `torch.compile` wraps; None for another network."""
    wrapped = _wrapped(network)
    return wrapped if isinstance(wrapped, MLP) else None


def why_not_plain(network: torch.nn.Module) -> str:
    """Why a network is not just its linear maps, with a ReLU after each hidden one; empty if it is."""
    perceptron = _wrapped(network)
    if type(perceptron) is not MLP:
        return f"it is a {type(perceptron).__name__}, no MLP"
    expected: list[tuple[str, type[torch.nn.Module]]] = [("", MLP)]
    for layer in perceptron.layers:
        expected += [(f"{layer}{part}", kind) for part, kind in _BLOCK.items()]
    expected.append(("output", torch.nn.Linear))
    if [(name, type(module)) for name, module in perceptron.named_modules()] != expected:
        return "parts of it were exchanged, added or taken away"
    if torch_module._has_any_global_hook():
        return "hooks are registered for all modules"
    for name, module in network.named_modules():  # the compiler's wrapper, if there is one, and all below it
        named = repr(name) if name else "the network"
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks:
            return f"{named} has a hook"
        own = [key for key, value in vars(module).items() if _replaces(module, key, value)]
        if own:
            return f"{named} has a {own[0]} of its own"
    for linear in perceptron.linear_layers():
        for name in ("weight", "bias"):
            tensor = linear._parameters.get(name)
            if tensor is None and (name == "weight" or getattr(linear, name) is not None):
                return "weights of it are computed"
            if tensor is not None and not _is_plain(tensor):
                return "weights of it are no plain numbers"
    methods = [inspect.getattr_static(kind, name) for kind in (MLP, *_BLOCK.values()) for name in _ON_THE_WAY]
    methods += [torch.nn.Sequential.__iter__, torch.nn.functional.relu, torch.nn.functional.dropout]
    if any(_file_of(method) not in _FILES for method in methods):
        return "methods of its classes were replaced"
    return ""


def parameters_in_float64(network: torch.nn.Module) -> Parameters:
    """Weights and biases of a network for which `why_not_plain` found nothing."""
    perceptron = perceptron_in(network)
    assert perceptron is not None
    linear = perceptron.linear_layers()
    weights = tuple(_in_float64(module.weight) for module in linear)
    biases = tuple(
        np.zeros(len(module.weight)) if module.bias is None else _in_float64(module.bias) for module in linear
    )
    return Parameters(weights=weights, biases=biases)


def _in_float64(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().to("cpu", torch.float64, copy=True).numpy()


def gives_logits_of(parameters: Parameters, network: torch.nn.Module, images: np.ndarray) -> bool:
    """Whether a network gives, in float64 and on these images, the logits that its parameters give."""
    with evaluating(network):
        outputs = evaluate(Subject(network), Inputs((images,)), at_least=torch.float64).outputs
    if outputs is None:
        return False
    logits, passed = outputs.detach().cpu().numpy(), forward_pass(parameters, images)
    largest = max(np.abs(values).max() for values in (*passed.activities, passed.logits, logits))
    return logits.shape == passed.logits.shape and bool(np.abs(logits - passed.logits).max() <= 1e-9 * largest)


def _wrapped(network: torch.nn.Module) -> torch.nn.Module:
    """What `torch.compile` wraps, or the network itself."""
    inner = getattr(network, "_orig_mod", None)
    is_compiled = hasattr(network, "_torchdynamo_orig_callable")
    return inner if is_compiled and isinstance(inner, torch.nn.Module) else network


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


_FILES = {inspect.getfile(part) for kind in (MLP, *_BLOCK.values()) for part in kind.__mro__ if part is not object} | {
    inspect.getfile(torch.nn.functional)
}

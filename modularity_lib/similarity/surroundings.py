"""What surrounds a network while it is measured: evaluation mode, kernels that can be differentiated, no compiler.

Whatever changes what a network gives, its mode, autocast or a compiler, is set aside, and put back afterwards with all
that the network itself has changed.
"""

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules import module as torch_module

from modularity_lib.similarity.precision import without_autocast

COMPILED = "_orig_mod"  # how `torch.compile` calls the network that it wraps


@contextmanager
def evaluating(network: torch.nn.Module) -> Iterator[None]:
    """Turn dropout off, differentiation on, compilers off; leave the network and random states as they were."""
    devices = {parameter.device for parameter in network.parameters() if parameter.device.type == "cuda"}
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=list(devices)))
        stack.enter_context(torch.inference_mode(False))  # ends the caller's no_grad() too
        stack.enter_context(_not_compiled())
        stack.enter_context(_kernels_with_two_derivatives(network))
        for device in ("cpu", *({"cuda"} if devices else ())):
            stack.enter_context(without_autocast(device))  # it would round in backward passes too
        for generator in _generators(network):
            stack.callback(generator.write, generator.read())
        stack.enter_context(_left_as_it_was(network))
        if any(True for _ in hooked_modules(network)):  # hooks may change in place what derivatives are made of
            stack.enter_context(torch.autograd.graph.allow_mutation_on_saved_tensors())
        try:
            network.eval()
        except NotImplementedError as error:  # of torch.export
            raise ValueError(f"network must have an evaluation mode, got {type(network).__name__}: {error}") from error
        yield


@contextmanager
def _kernels_with_two_derivatives(network: torch.nn.Module) -> Iterator[None]:
    """Attention and recurrent layers as they can be differentiated twice.

    Fused attention has one derivative, and cuDNN's recurrent layers have none in evaluation mode. The fast path of
    transformer layers, which passes their parts by, is not taken while operations are seen (`precision.AtLeast`).
    """
    is_recurrent = any(isinstance(module, torch.nn.RNNBase) for module in network.modules())
    without_cudnn = torch.backends.cudnn.flags(enabled=False) if is_recurrent else nullcontext()
    with sdpa_kernel(SDPBackend.MATH), without_cudnn:
        yield


def as_written(network: torch.nn.Module) -> torch.nn.Module:
    """What `torch.compile` wraps, or the network itself."""
    inner = getattr(network, COMPILED, None)
    is_compiled = hasattr(network, "_torchdynamo_orig_callable")
    return inner if is_compiled and isinstance(inner, torch.nn.Module) else network


def random_states(network: torch.nn.Module) -> list[Any]:
    """State of every random generator at hand, to be compared: who draws from one changes it."""
    return [_comparable(generator.read()) for generator in _generators(network)]


def _comparable(state: Any) -> Any:
    if isinstance(state, torch.Tensor | np.ndarray):
        return np.asarray(state).tobytes()
    if isinstance(state, dict):
        return {name: _comparable(value) for name, value in state.items()}
    return tuple(_comparable(value) for value in state) if isinstance(state, tuple) else state


def hooked_modules(network: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Module]]:
    """The modules with forward hooks; all of them if there is a hook for all modules."""
    for_all = torch_module._global_forward_hooks or torch_module._global_forward_pre_hooks
    for name, module in network.named_modules():
        if for_all or module._forward_hooks or module._forward_pre_hooks:
            yield name, module


class _Generator(NamedTuple):
    """How to read and how to set the state of a random generator."""

    read: Callable[[], Any]
    write: Callable[[Any], object]


def _generators(network: torch.nn.Module) -> list[_Generator]:
    """The global random generators, that of the current GPU included, and those that modules keep."""
    found = [
        _Generator(torch.get_rng_state, torch.set_rng_state),
        _Generator(np.random.get_state, np.random.set_state),
        _Generator(random.getstate, random.setstate),
    ]
    if torch.cuda.is_initialized():
        found.append(_Generator(torch.cuda.get_rng_state, torch.cuda.set_rng_state))
    for value in {id(value): value for module in network.modules() for value in vars(module).values()}.values():
        if isinstance(value, torch.Generator | np.random.RandomState):
            found.append(_Generator(value.get_state, value.set_state))
        elif isinstance(value, random.Random):
            found.append(_Generator(value.getstate, value.setstate))
        elif isinstance(value, np.random.Generator):
            bits = value.bit_generator
            found.append(_Generator(partial(getattr, bits, "state"), partial(setattr, bits, "state")))
    return found


@contextmanager
def _left_as_it_was(network: torch.nn.Module) -> Iterator[None]:
    """Put back modes, parts and attributes of all modules, and the numbers in their buffers and attributes.

    Parameters are copied only where a module has its own way into training or evaluation mode: that may merge weights,
    by arithmetic that is not undone to the last bit.
    """
    modules = list(network.modules())
    modes = [module.training for module in modules]
    written = [module for module in modules if not isinstance(module, torch.jit.ScriptModule)]
    buffers: list[dict[str, Any]] = [module._buffers for module in modules]
    attributes: list[dict[str, Any]] = [vars(module) for module in written]
    parts: list[dict[str, Any]] = [part for module in written for part in (module._parameters, module._modules)]
    parts += [module._buffers for module in written]
    before = [(holder, dict(holder)) for holder in (*parts, *attributes)]
    numbers = [*buffers, *attributes]
    if any(_has_a_mode_of_its_own(module) for module in written):
        numbers += [module._parameters for module in written]
    kept = [
        _Kept(holder, name, tensor, tensor.detach().clone(), _version(tensor))
        for holder in numbers
        for name, tensor in holder.items()
        if isinstance(tensor, torch.Tensor)
    ]
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        for holder, entries in before:
            if holder.keys() != entries.keys() or any(holder[name] is not entry for name, entry in entries.items()):
                holder.clear()
                holder.update(entries)
        for each in kept:
            each.put_back()


class _Kept(NamedTuple):
    """A tensor, where it stood, and what was in it."""

    holder: dict[str, Any]
    name: str
    tensor: torch.Tensor
    values: torch.Tensor
    version: int

    def put_back(self) -> None:
        tensor = self.tensor
        if tensor.layout is not torch.strided or tensor.is_nested or tensor.is_quantized:  # it cannot be compared
            self.holder[self.name] = tensor if _version(tensor) == self.version else self.values
            return
        self.holder[self.name] = tensor
        if not torch.equal(_bits(tensor), _bits(self.values)):
            with torch.inference_mode(tensor.is_inference()), torch.no_grad():
                tensor.copy_(self.values)


def _has_a_mode_of_its_own(module: torch.nn.Module) -> bool:
    methods = {name: getattr(module, name) for name in ("train", "eval")}
    return any(
        getattr(method, "__func__", None) is not getattr(torch.nn.Module, name) for name, method in methods.items()
    )


def _version(tensor: torch.Tensor) -> int:
    """How often a tensor was changed in place; 0 for those that do not count it."""
    return 0 if tensor.is_inference() else tensor._version


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    """What is stored, so that NaN equals itself and numbers of eight bits can be compared."""
    return tensor.detach().reshape(-1).view(torch.uint8)


def _not_compiled() -> AbstractContextManager[Any]:
    """Run compiled networks and parts as they were written: compiled code cannot be differentiated twice."""
    if "torch._dynamo" not in sys.modules:  # nothing was compiled, and to load the compiler takes seconds
        return nullcontext()
    return torch.compiler.set_stance("force_eager")

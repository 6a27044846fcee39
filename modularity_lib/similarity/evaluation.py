"""A network as a function that can be differentiated: in evaluation mode, in single precision at least, not compiled.

What surrounds a network may change what it gives: its mode, autocast, a compiler, half precision. All that is set
aside while it is measured, and put back afterwards.
"""

import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn.modules import module as torch_module
from torch.overrides import TorchFunctionMode

Images = np.ndarray | torch.Tensor


@dataclass(frozen=True)
class Evaluation:
    """Images on their way through a network: (images, ...), per layer (images, units), and (images, classes)."""

    images: torch.Tensor
    activities: dict[str, torch.Tensor]
    logits: torch.Tensor


@contextmanager
def evaluating(network: torch.nn.Module) -> Iterator[None]:
    """Turn dropout off, differentiation on, compilers off; leave the network and random states as they were."""
    devices = {parameter.device for parameter in network.parameters() if parameter.device.type == "cuda"}
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=list(devices)))
        stack.enter_context(torch.inference_mode(False))  # ends the caller's no_grad() too
        stack.enter_context(_not_compiled())
        for device in ("cpu", *({"cuda"} if devices else ())):
            stack.enter_context(_without_autocast(device))  # it would round in backward passes too
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


def evaluate(
    network: torch.nn.Module,
    images: Images,
    layers: Sequence[str] = (),
    *,
    cut: bool = False,
    at_least: torch.dtype = torch.float32,
) -> Evaluation:
    """Run the network within `evaluating` and record the activity of layers, as it leaves the hooks of the user.

    Args:
        network: any module whose output is logits, shape (images, classes).
        images: input of the network, shape (images, ...).
        layers: names of submodules, as in `network.named_modules()`, with outputs of shape (images, units).
        cut: makes the activity of a layer a variable of its own, free of the images.
        at_least: the precision to work in, where that of the network is lower.
    Raises:
        ValueError: the network cannot be applied to the images, a layer is called never or more than once, an output
            has another shape, or logits are not finite.
    """
    recorded: dict[str, list[torch.Tensor]] = {layer: [] for layer in layers}
    with ExitStack() as stack:
        for layer in layers:
            record = _recorder(layer, recorded[layer], len(images), cut=cut)
            stack.callback(network.get_submodule(layer).register_forward_hook(record).remove)
        try:
            start = _as_input(network, images, at_least)
            with _Precision(start.dtype, start.device.type):
                logits = network(start.clone())
        except CannotBeMeasured:
            raise
        except (RuntimeError, TypeError, ValueError, IndexError, KeyError, AssertionError) as error:
            raise ValueError(_cannot_be_applied(images, error)) from error
    for layer, outputs in recorded.items():
        if len(outputs) != 1:
            raise ValueError(
                f"layer {layer!r} is called {len(outputs)} times in a forward pass, expected once: its activity is not "
                "defined. Name a layer that forward calls exactly once."
            )
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(images):
        raise ValueError(
            f"network must give logits of shape ({len(images)}, classes) for {len(images)} images, got "
            f"{_shape(logits)}."
        )
    if logits.is_complex() or logits.dtype == torch.bool:
        raise ValueError(f"network must give real logits, got {logits.dtype}.")
    if not logits.isfinite().all():
        raise ValueError("the network's logits are not all finite: did its training diverge?")
    return Evaluation(start, {layer: output for layer, (output,) in recorded.items()}, logits)


def precision_of(network: torch.nn.Module, images: Images, at_least: torch.dtype = torch.float32) -> torch.dtype:
    """What a network is measured in: the precision of its first weights, or of the images if it has none."""
    own = (tensor.dtype for tensor in chain(network.parameters(), network.buffers()) if tensor.is_floating_point())
    of_images = torch.float64 if images.dtype in (torch.float64, np.float64) else torch.float32
    return max(next(own, of_images), at_least, key=lambda dtype: torch.finfo(dtype).bits)


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


class CannotBeMeasured(ValueError):
    """What a layer or a hook gives is not what measures are defined for; the message says why."""


def _recorder(layer: str, outputs: list[torch.Tensor], n_images: int, *, cut: bool) -> Any:
    def record(module: torch.nn.Module, arguments: Any, output: Any) -> torch.Tensor:
        if not isinstance(output, torch.Tensor) or output.ndim != 2 or len(output) != n_images:
            raise CannotBeMeasured(
                f"layer {layer!r} must have an output of shape ({n_images}, units) for {n_images} images, got "
                f"{_shape(output)}. Name a layer that comes after flattening."
            )
        if output.is_complex():
            raise CannotBeMeasured(
                f"layer {layer!r} must have real activities, got complex numbers. Name a module that makes them real, "
                "by .abs() or torch.view_as_real(x).flatten(1)."
            )
        if cut and not output.is_floating_point():
            raise CannotBeMeasured(
                f"layer {layer!r} must have activities that can be differentiated by, got {output.dtype}. Of whole "
                "numbers, or of True and False, input_covariance alone is defined."
            )
        outputs.append(output.detach().requires_grad_() if cut else output)
        return outputs[-1].clone()  # the network may change its copy in place

    return record


def _as_input(network: torch.nn.Module, images: Images, at_least: torch.dtype) -> torch.Tensor:
    """Copy images to where the network's weights are, in its precision, as the variable to differentiate by."""
    device = next((tensor.device for tensor in chain(network.parameters(), network.buffers())), torch.device("cpu"))
    values = images.detach() if isinstance(images, torch.Tensor) else torch.tensor(images, device="cpu")
    return values.to(device=device, dtype=precision_of(network, images, at_least), copy=True).requires_grad_()


def _cannot_be_applied(images: Images, error: Exception) -> str:
    text = f"network cannot be applied to images of shape {tuple(images.shape)}: {error}."
    if "Long" in str(error) and "Int" in str(error):
        return (
            f"{text} It looks numbers up in a table (torch.nn.Embedding), but images are made real numbers, as "
            "derivatives by them are taken. Measure the part of the network behind the table, with the embeddings of "
            "the tokens, .flatten(1) if need be, as images."
        )
    if is_about_change_in_place(error):
        return f"{text} {CHANGE_A_COPY}"
    return f"{text} Give images as its first layer expects them, (images, inputs) for a linear one."


CHANGE_A_COPY = (
    "Something is changed in place, by h[:, 0] = 0 or h.mul_(mask), that derivatives still need. Change a copy: in "
    "forward h = h.clone() before, in a hook output = output.clone() before, and return output."
)


def is_in_place(function: Callable[..., Any]) -> bool:
    """Whether a function of PyTorch changes its first argument, by its name."""
    name = function.__name__
    return name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors among arguments or results, however they are nested in tuples, lists and dicts."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors_in(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors_in(item)


def alike(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Where two tensors are equal, NaN to NaN."""
    return (one == other) | (one.isnan() & other.isnan())


def is_about_change_in_place(error: Exception) -> bool:
    """Whether PyTorch complains that something was changed in place."""
    return "inplace" in str(error) or "in-place" in str(error)


def _shape(output: Any) -> str:
    return f"shape {tuple(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__


def _not_compiled() -> AbstractContextManager[Any]:
    """Run compiled networks and parts as they were written: compiled code cannot be differentiated twice."""
    if "torch._dynamo" not in sys.modules:  # nothing was compiled, and to load the compiler takes seconds
        return nullcontext()
    return torch.compiler.set_stance("force_eager")


def _without_autocast(device: str) -> AbstractContextManager[Any]:
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


class _Precision(TorchFunctionMode):
    """Every operation sees tensors of this precision at least, whatever parameters, casts and autocast say."""

    def __init__(self, dtype: torch.dtype, device: str) -> None:
        super().__init__()
        self._dtype, self._device = dtype, device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with _without_autocast(self._device):  # which forward itself may turn on
            if func.__name__ == "__get__":  # an attribute, such as weight.dtype
                return self._raised(func(*args))
            given, args, kwargs = args, self._raised(tuple(args)), self._raised(kwargs or {})
            if is_in_place(func) and given and args[0] is not given[0]:
                func(given[0], *args[1:], **kwargs)  # what is written into a copy would be lost
                return given[0]
            if func in _CASTS and self._is_lower(_CASTS[func]):
                return args[0].to(self._dtype)
            return self._raised(func(*args, **kwargs))

    def _is_lower(self, dtype: torch.dtype) -> bool:
        return dtype.is_floating_point and torch.finfo(dtype).bits < torch.finfo(self._dtype).bits

    def _raised(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if value.is_inference():  # autograd cannot save it
                value = value.clone()
            return value.to(self._dtype) if self._is_lower(value.dtype) else value
        if isinstance(value, torch.dtype):
            return self._dtype if self._is_lower(value) else value
        if type(value) in (list, tuple):
            return type(value)(self._raised(item) for item in value)
        if type(value) is dict:
            return {key: self._raised(item) for key, item in value.items()}
        return value


_CASTS = {
    torch.Tensor.half: torch.float16,
    torch.Tensor.bfloat16: torch.bfloat16,
    torch.Tensor.float: torch.float32,
}

"""A network as a function that can be differentiated: in evaluation mode, in single precision at least, not compiled.

What surrounds a network may change what it gives: its mode, autocast, a compiler, half precision. All that is set
aside while it is measured, and put back afterwards.
"""

import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
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
    """Turn dropout off, differentiation on, compilers off; leave modes, buffers and random states as they were."""
    modes = {module: module.training for module in network.modules()}
    buffers = [
        (module, name, buffer, buffer.detach().clone(), _version(buffer))
        for module in modes
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    numpy_state, python_state = np.random.get_state(), random.getstate()
    devices = {parameter.device for parameter in network.parameters() if parameter.device.type == "cuda"}
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=list(devices)))
        stack.enter_context(torch.inference_mode(False))  # ends the caller's no_grad() too
        stack.enter_context(_not_compiled())
        for device in ("cpu", *({"cuda"} if devices else ())):
            stack.enter_context(_without_autocast(device))  # it would round in backward passes too
        try:
            try:
                network.eval()
            except NotImplementedError as error:  # of torch.export
                raise ValueError(
                    f"network must have an evaluation mode, got {type(network).__name__}: {error}"
                ) from error
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode
            for module, name, buffer, before, version in buffers:
                module._buffers[name] = buffer
                if buffer.layout is not torch.strided or buffer.is_nested:  # they cannot be compared, nor copied
                    if _version(buffer) != version:
                        module._buffers[name] = before
                elif not torch.equal(buffer, before):
                    with torch.no_grad():
                        buffer.copy_(before)
            np.random.set_state(numpy_state)
            random.setstate(python_state)


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
        except _OtherOutput:
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
    first = next(own, of_images)
    return torch.promote_types(first, at_least)


def _version(buffer: torch.Tensor) -> int:
    """How often a tensor was changed in place; 0 for those that do not count it."""
    return 0 if buffer.is_inference() else buffer._version


class _OtherOutput(ValueError):
    """The output of a layer is not one row of units per image, or holds no real numbers."""


def _recorder(layer: str, outputs: list[torch.Tensor], n_images: int, *, cut: bool) -> Any:
    def record(module: torch.nn.Module, arguments: Any, output: Any) -> torch.Tensor:
        if not isinstance(output, torch.Tensor) or output.ndim != 2 or len(output) != n_images:
            raise _OtherOutput(
                f"layer {layer!r} must have an output of shape ({n_images}, units) for {n_images} images, got "
                f"{_shape(output)}. Name a layer that comes after flattening."
            )
        if output.is_complex():
            raise _OtherOutput(
                f"layer {layer!r} must have real activities, got complex numbers. Name a module that makes them real, "
                "by .abs() or torch.view_as_real(x).flatten(1)."
            )
        if cut and not output.is_floating_point():
            raise _OtherOutput(
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
    return f"{text} Give images as its first layer expects them, (images, inputs) for a linear one."


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
            in_place = func.__name__ == "__setitem__" or (func.__name__.endswith("_") and func.__name__[-2] != "_")
            if in_place and args[0] is not given[0]:
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

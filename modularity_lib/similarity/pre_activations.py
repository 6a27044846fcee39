"""Whether a layer is followed by an activation function that has no name: then what comes after it cannot be named.

Seen while the network runs, so that it holds for any network: the first operations on the output of a layer.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from modularity_lib.similarity.evaluation import evaluate, evaluating


class PreActivations(UserWarning):
    """What is measured is the activity before an activation function, as what comes after it has no name."""


# By the names of functions and methods, without "_": those that PyTorch has modules for (Softmax mixes units), and
# others. A comparison is how x * (x > 0) begins.
_ACTIVATIONS = {name.lower() for name in torch.nn.modules.activation.__all__ if "Soft" not in name} | (
    {"softplus", "softshrink", "softsign", "specialexpit", "clamp", "clampmin", "clip", "maximum", "fmax", "erf", "sin"}
    | {"gt", "ge", "lt", "le"}
)
_NO_CHANGE = {"clone", "contiguous", "to", "float", "double", "dropout", "flatten", "view", "reshape"}


def warn_of_pre_activations(
    network: torch.nn.Module, images: np.ndarray, layers: Mapping[str, str], *, stacklevel: int
) -> None:
    """Warn of layers whose output goes straight into an activation function that is no module of its own.

    Args:
        network: the network.
        images: of which one is run through it.
        layers: {how the caller calls a layer: its name in the network}.
        stacklevel: as in `warnings.warn`, counted from the caller of this function.
    """
    with evaluating(network), _watched(network, layers) as watch:
        evaluate(network, images[:1])
    for layer, (function, module) in watch.followed.items():
        if module and watch.calls[module] == 1:
            continue  # what comes after it is the output of that module
        by = f"module {module!r}, which is called {watch.calls[module]} times" if module else f"{function}()"
        warnings.warn(
            f"layer {layer!r} is followed by {by}, so its pre-activations are measured: what comes before that "
            "function, not after it. To measure what comes after, write the function as a module of its own, such as "
            "self.act1 = torch.nn.ReLU() for relu, call it once in forward, and name it in layers.",
            PreActivations,
            stacklevel=stacklevel + 1,
        )


class _Watch(TorchFunctionMode):
    """Notes which activation function takes the output of a layer first, and in which module it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.followed: dict[str, tuple[str, str]] = {}
        self.calls: dict[str, int] = {}
        self.inside: list[str] = []  # modules without parts that are running
        self._outputs: list[tuple[torch.Tensor, str]] = []  # kept, so that no other tensor gets their identity

    def note(self, output: Any, layer: str) -> None:
        self._outputs.append((output, layer))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [*args, *(kwargs or {}).values()]
        layers = [layer for output, layer in self._outputs if any(argument is output for argument in given)]
        result = func(*args, **(kwargs or {}))
        name = func.__name__.replace("_", "")
        for layer in layers:
            if name in _ACTIVATIONS:
                self.followed.setdefault(layer, (func.__name__.strip("_"), self.inside[-1] if self.inside else ""))
            elif name in _NO_CHANGE:
                self.note(result, layer)
        return result


@contextmanager
def _watched(network: torch.nn.Module, layers: Mapping[str, str]) -> Iterator[_Watch]:
    watch = _Watch()
    with ExitStack() as stack:
        for name, module in network.named_modules():
            if any(True for _ in module.children()) or isinstance(module, torch.jit.ScriptModule):
                continue

            def enter(module: Any, arguments: Any, name: str = name) -> None:
                watch.calls[name] = watch.calls.get(name, 0) + 1
                watch.inside.append(name)

            def leave(module: Any, arguments: Any, output: Any) -> None:
                watch.inside.pop()

            stack.callback(module.register_forward_pre_hook(enter).remove)
            stack.callback(module.register_forward_hook(leave).remove)
        for layer, path in layers.items():
            module = network.get_submodule(path)
            if any(type(part).__module__ == torch.nn.ReLU.__module__ for part in module.modules()):
                continue  # an activation function, or a block with one: what it gives is no pre-activation
            hook = module.register_forward_hook(lambda module, given, output, layer=layer: watch.note(output, layer))
            stack.callback(hook.remove)
        with watch:
            yield watch

"""Whether a layer is followed by an activation function that has no name: then what comes after it cannot be named.

Seen while the network runs, so that it holds for any network: the output of a layer is followed through operations that
scale, shift or rearrange it, up to the first function that changes each number by itself, and not in proportion.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode

from modularity_lib.similarity.evaluation import Subject, evaluate
from modularity_lib.similarity.inputs import Inputs
from modularity_lib.similarity.nested import alike, is_in_place, replaced, tensors_in
from modularity_lib.similarity.nodes import CannotBeTraced, Node, calls_seen, unseen
from modularity_lib.similarity.places import Place, taken
from modularity_lib.similarity.surroundings import evaluating


class PreActivations(UserWarning):
    """What is measured is the activity before an activation function, as what comes after it has no name."""


def warn_of_pre_activations(
    subject: Subject, inputs: Inputs, functions: Callable[[], Mapping[str, Node]], *, stacklevel: int
) -> None:
    """Warn of layers whose output goes straight into an activation function that is no module of its own.

    A function counts once more than its average over units or inputs is used, so that the activity of a layer may be
    normalised by hand.

    Args:
        subject: the network and its layers.
        inputs: of which one is run through it.
        functions: gives what can be named of what forward computes by functions.
        stacklevel: as in `warnings.warn`, counted from the caller of this function.
    """
    with evaluating(subject.network), _watched(subject) as watch:
        evaluate(subject, inputs.part([0, 0, 0]))
    followed = {  # a module that is called once can be named, and gives what comes after
        layer: found for layer, found in watch.followed.items() if not found.module or watch.calls[found.module] > 1
    }
    names = _names_of(functions) if followed else {}
    for layer, (function, module, call, place) in followed.items():
        by = f"module {module!r}, which is called {watch.calls[module]} times" if module else f"{function}()"
        if module:
            way_out = f"name it in layers, and the call in calls={{{module!r}: {call}}}."
        elif place in names:
            way_out = f"name {names[place]!r} in layers."
        else:
            way_out = (
                "write the function as a module of its own, such as self.act1 = torch.nn.ReLU() for relu, call it "
                "once in forward, and name it in layers; or name a Dropout that comes right after it, if there is one, "
                "as in torch.nn.TransformerEncoderLayer."
            )
        warnings.warn(
            f"layer {layer!r} is followed by {by}, so its pre-activations are measured: what comes before that "
            f"function, not after it. To measure what comes after, {way_out}",
            PreActivations,
            stacklevel=stacklevel + 1,
        )


def _names_of(functions: Callable[[], Mapping[str, Node]]) -> dict[tuple[str, int], str]:
    """By function and number of its call, the name in forward; empty where there are none."""
    try:
        return {(node.function, node.call): name for name, node in functions().items()}
    except CannotBeTraced:
        return {}


class _Followed(NamedTuple):
    """What the output of a layer goes into."""

    function: str
    module: str  # that the function is, or empty
    call: int  # of the module
    place: tuple[str, int] | None  # the function and call that give what comes after


class _Kind(Enum):
    """What an operation makes of the numbers that it is given."""

    AFFINE = "scales, shifts or rearranges them"
    FUNCTION = "changes each by itself, and not in proportion"
    MIXING = "lets them meet, or leaves some out"


# Parts of names, without "_". What these do may look affine: a product with a diagonal matrix, say.
_MIXING = ("linear", "matmul", "mm", "conv", "einsum", "dot", "attention", "norm", "softmax", "softmin", "pool")
_REDUCING = {
    *("sum", "mean", "var", "std", "max", "amax", "min", "amin", "norm", "linalgnorm", "linalgvectornorm", "prod"),
    *("any", "all", "median", "logsumexp", "countnonzero", "nanmean", "nansum", "varmean", "stdmean"),
}
_SHIFTS = (-103.7, -7.3, -1.9, 0.37, 1.1, 7.9)  # beyond the kinks of usual functions
_FURTHEST = 97.1
_ROUNDING = 1e-4  # of the largest change, that an affine operation in single precision may deviate by


@dataclass(frozen=True, eq=False)
class _Operation:
    """How a tensor that depends on the inputs was made."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    inputs: tuple[torch.Tensor, ...]  # those of its arguments that depend on the inputs
    sources: "tuple[_Operation | None, ...]"  # how these were made

    @property
    def name(self) -> str:
        return str(self.function.__name__.replace("_", ""))

    @cached_property
    def kind(self) -> _Kind:
        is_written_elsewhere = "out" in self.keywords or (
            is_in_place(self.function) and all(given is not self.arguments[0] for given in self.inputs)
        )
        if is_written_elsewhere or any(part in self.name for part in _MIXING):
            return _Kind.MIXING  # to try it would change what is not ours
        try:
            with unseen():
                return self._tried()
        except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError):
            return _Kind.MIXING

    @cached_property
    def is_idle(self) -> bool:
        """Whether it gives the numbers that it is given, as dropout in evaluation mode does."""
        if self.kind is not _Kind.AFFINE or len(self.inputs) > 1:
            return False
        given = torch.linspace(-1.0, 1.0, self.inputs[0].numel(), dtype=torch.float64).to(self.inputs[0].dtype)
        with unseen():
            return bool(torch.equal(self._on(None, 0.0), given.to(torch.float64)))

    def _tried(self) -> _Kind:
        """The kind, from what comes out when numbers that come in are shifted: one of them, or all."""
        start = self._on(None, 0.0)
        n = self.inputs[0].numel()
        if start is None or start.numel() != n or any(values.numel() != n for values in self.inputs):
            return _Kind.MIXING
        for place in (0, n // 2, n - 1):
            if int((~alike(self._on(place, 2.3), start)).sum()) > 1:
                return _Kind.MIXING
        change = self._on(None, _FURTHEST) - start
        if not change.isfinite().all():
            return _Kind.FUNCTION
        allowed = _ROUNDING * change.abs().max()
        deviations = [self._on(None, shift) - start - shift / _FURTHEST * change for shift in _SHIFTS]
        is_affine = all(bool((deviation.abs() <= allowed).all()) for deviation in deviations)
        return _Kind.AFFINE if is_affine else _Kind.FUNCTION

    def _on(self, place: int | None, shift: float) -> Any:
        """What comes out, in double precision, when the inputs are numbers in [-1, 1] with one or all shifted."""
        instead: dict[int, torch.Tensor] = {}
        for given in self.inputs:
            values = torch.linspace(-1.0, 1.0, given.numel(), dtype=torch.float64)
            values[slice(None) if place is None else place] += shift
            instead[id(given)] = values.reshape(given.shape).to(given.device, given.dtype)
        with torch.no_grad():
            arguments, keywords = replaced(self.arguments, instead), replaced(self.keywords, instead)
            result = self.function(*arguments, **keywords)
        result = arguments[0] if self.name == "setitem" else result
        return result.to(torch.float64).flatten() if isinstance(result, torch.Tensor) else None

    def start(self) -> "tuple[_Operation | None, bool]":
        """Where the numbers come from that this operation changed each by itself, and whether it is a function."""
        if self.kind is _Kind.MIXING:
            return self, False
        found = [(None, False) if source is None else source.start() for source in self.sources]
        if any(start is not found[0][0] for start, _ in found):
            return self, False
        return found[0][0], self.kind is _Kind.FUNCTION or any(is_function for _, is_function in found)


@dataclass(frozen=True)
class _Trace:
    """What a tensor has become since it left a layer."""

    function: str = ""  # the first that was applied; empty as long as there was none
    module: str = ""  # in which it was
    call: int = 0  # of that module
    shape: tuple[int, ...] = ()  # of the layer's output
    made: torch.Tensor | None = None  # what the function gave, or what was made of that in the shape of the layer
    is_reduced: bool = False

    def then(self, operation: _Operation, output: torch.Tensor) -> "_Trace":
        """The trace after one more operation, which may be a part of a function that is written by hand."""
        assert self.made is not None
        is_like_the_layer = tuple(output.shape) == self.shape or tuple(self.made.shape) != self.shape
        is_new = output.shape != self.made.shape or not operation.is_idle
        return replace(self, made=output) if is_like_the_layer and is_new else self


class _Watch(TorchFunctionMode):
    """Notes which function takes the output of a layer first, and in which module it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.followed: dict[str, _Followed] = {}
        self.calls: dict[str, int] = {}
        self.inside: list[str] = []  # modules without parts that are running
        self.place_of: dict[int, tuple[str, int]] = {}  # function and call that gave a tensor
        self._kept: dict[int, torch.Tensor] = {}  # those that depend on the inputs; no other gets their identity
        self._made: dict[int, _Operation | None] = {}
        self._traces: dict[int, dict[str, _Trace]] = {}

    def start_at(self, tensor: torch.Tensor) -> None:
        """Take note of a tensor that depends on the inputs, if that is not known yet."""
        if id(tensor) not in self._kept:
            self._keep(tensor, None)

    def leave_layer(self, layer: str, output: torch.Tensor) -> None:
        """Follow the output of a layer, unless an activation function has made it."""
        self.start_at(output)
        made = self._made[id(output)]
        if made is None or not made.start()[1]:
            self._traces.setdefault(id(output), {})[layer] = _Trace(shape=tuple(output.shape))

    def use(self, tensor: torch.Tensor) -> None:
        """Take note that something is made of a tensor."""
        for layer, trace in self._traces.get(id(tensor), {}).items():
            if trace.function and not trace.is_reduced:
                is_within = bool(self.inside) and self.inside[-1] == trace.module
                module, place = "" if is_within else trace.module, self.place_of.get(id(trace.made))
                self.followed.setdefault(layer, _Followed(trace.function, module, trace.call, place))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        keywords = kwargs or {}
        result = func(*args, **keywords)
        inputs = tuple({id(each): each for each in tensors_in((args, keywords)) if id(each) in self._kept}.values())
        outputs = [args[0]] if func is torch.Tensor.__setitem__ else list(tensors_in(result))
        if inputs and outputs:
            sources = tuple(self._made[id(each)] for each in inputs)
            operation = _Operation(func, args, keywords, inputs, sources)
            traces = self._followed(operation, outputs)
            for output in outputs:
                self._keep(output, operation)
                self._traces[id(output)] = traces
        return result

    def _keep(self, tensor: torch.Tensor, operation: _Operation | None) -> None:
        self._kept[id(tensor)] = tensor
        self._made[id(tensor)] = operation

    def _followed(self, operation: _Operation, outputs: Sequence[torch.Tensor]) -> dict[str, _Trace]:
        """What the outputs of layers are after an operation."""
        given = [self._traces.get(id(each), {}) for each in operation.inputs]
        after = {}
        for layer in {layer: None for traces in given for layer in traces}:
            traces = [of_one.get(layer) for of_one in given]
            trace = self._after(operation, traces, outputs)
            if trace is not None:
                after[layer] = trace
        return after

    def _after(
        self, operation: _Operation, traces: Sequence[_Trace | None], outputs: Sequence[torch.Tensor]
    ) -> _Trace | None:
        known = [trace for trace in traces if trace is not None]
        reduced = next((trace for trace in known if trace.is_reduced), None)
        if reduced is not None:  # what is scaled by an average of itself is normalised
            return reduced if all(trace is not None and trace.is_reduced for trace in traces) else None
        changed = next((trace for trace in known if trace.function), None)
        is_alone = len(known) == len(traces)
        if changed is None:
            if is_alone and operation.kind is not _Kind.MIXING:
                if operation.kind is _Kind.AFFINE:
                    return known[0]
                module = self.inside[-1] if self.inside else ""
                call = self.calls.get(module, 1) - 1
                return replace(known[0], function=_shown(operation), module=module, call=call, made=outputs[0])
            return _Trace(is_reduced=True) if operation.name in _REDUCING else None
        is_each_by_itself = outputs[0].numel() == operation.inputs[0].numel() and not any(
            part in operation.name for part in _MIXING
        )
        if is_alone and is_each_by_itself:
            return changed.then(operation, outputs[0])
        if operation.name in _REDUCING:
            return replace(changed, is_reduced=True)
        for each in operation.inputs:
            self.use(each)
        return None


def _shown(operation: _Operation) -> str:
    return str(operation.function.__name__.strip("_"))


@contextmanager
def _watched(subject: Subject) -> Iterator[_Watch]:
    watch, network = _Watch(), subject.network
    with ExitStack() as stack:
        for name, module in network.named_modules():
            if any(True for _ in module.children()) or isinstance(module, torch.jit.ScriptModule):
                continue

            def enter(module: Any, arguments: Any, name: str = name) -> None:
                watch.calls[name] = watch.calls.get(name, 0) + 1
                watch.inside.append(name)

            def leave(module: Any, arguments: Any, output: Any) -> None:
                for tensor in tensors_in(output):  # what PyTorch's own functions have not made
                    watch.start_at(tensor)
                watch.inside.pop()

            stack.callback(module.register_forward_pre_hook(enter).remove)
            stack.callback(module.register_forward_hook(leave).remove)

        def start(module: Any, arguments: Any, keywords: Any) -> None:
            for tensor in tensors_in((arguments, keywords)):
                watch.start_at(tensor)

        def end(module: Any, arguments: Any, output: Any) -> None:
            for tensor in tensors_in(output):
                watch.use(tensor)

        def follow(layer: Place, output: torch.Tensor) -> None:
            watch.leave_layer(layer.name, output)

        stack.callback(network.register_forward_pre_hook(start, with_kwargs=True).remove)
        stack.enter_context(taken(network, subject.layers, follow))
        stack.callback(network.register_forward_hook(end).remove)

        def see(function: str, call: int, result: Any) -> None:
            watch.place_of |= {id(tensor): (function, call) for tensor in tensors_in(result)}

        stack.enter_context(calls_seen(network, see))
        with watch:
            yield watch

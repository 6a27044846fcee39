"""What forward computes by functions rather than modules, under the names that torch.fx gives to its nodes.

torch.fx follows a network symbolically, and so names what it computes: "relu" is the first F.relu(...) in forward,
"relu_1" the second. What torch.fx makes of a network lacks hooks and whatever else was done to it, so it is not what is
measured. The network itself runs, and a node is found again as one of the calls of a function.
"""

import inspect
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import fx
from torch.overrides import TorchFunctionMode

from modularity_lib.similarity.nested import alike, tensors_in
from modularity_lib.similarity.surroundings import as_written

_COPIES = {"clone", "contiguous", "detach", "to", "float", "double", "half", "bfloat16"}  # hooks and casts make more


_is_unseen = ContextVar("_is_unseen", default=False)


@contextmanager
def unseen() -> Iterator[None]:
    """Calls of functions do not count here: those of hooks that are not the user's."""
    token = _is_unseen.set(True)
    try:
        yield
    finally:
        _is_unseen.reset(token)


class Node(NamedTuple):
    """One of the calls of a function during forward, counted from 0, and how many there are."""

    function: str
    call: int
    of: int


class CannotBeTraced(Exception):
    """torch.fx cannot follow a network; the message says why."""


def nodes_of(network: torch.nn.Module, run: Callable[[], object]) -> dict[str, Node]:
    """The calls of functions in forward that give tensors, by the names of torch.fx.

    Those are left out that are not found again: the network runs once as it is and once as torch.fx has it, and both
    must call a function as often, with the same result.

    Args:
        network: the network, in the state that it is measured in.
        run: sends some inputs through it, the same ones every time.
    Raises:
        CannotBeTraced: torch.fx cannot follow forward.
    """
    network = as_written(network)
    signature = inspect.signature(network.forward)
    bound: list[inspect.BoundArguments] = []
    real = _Results()

    def as_it_is(*arguments: Any, **keywords: Any) -> Any:
        bound.append(signature.bind(*arguments, **keywords))
        return forward(*arguments, **keywords)

    with _forward_replaced(network, as_it_is) as forward, calls_seen(network, real.add):
        run()
    if len(bound) != 1:
        raise CannotBeTraced(f"its forward is called {len(bound)} times for one batch")
    interpreter = _Interpreter(network, _graph_of(network, bound[0]))

    def as_traced(*arguments: Any, **keywords: Any) -> Any:
        given = signature.bind(*arguments, **keywords)
        given.apply_defaults()
        return interpreter.run(*given.args, *given.kwargs.values())

    try:
        with _forward_replaced(network, as_traced), calls_seen(network, interpreter.results.add):
            run()
    except Exception as error:  # of the network's own code, run in another way
        raise CannotBeTraced(_first_line(error)) from error
    found = {}
    for name, (function, call) in interpreter.place_of.items():
        results, traced = real.of[function], interpreter.results.of[function]
        if len(results) == len(traced) and _are_alike(results[call], traced[call]):
            found[name] = Node(function, call, len(results))
    return found


@contextmanager
def calls_seen(network: torch.nn.Module, see: Callable[[str, int, Any], object]) -> Iterator[None]:
    """Call a function with the name, the number and the result of each call during forward."""
    with _counted(network, _Calls(see=see)):
        yield


@contextmanager
def nodes_taken(network: torch.nn.Module, takers: Sequence[tuple[Node, Callable[[Any], Any]]]) -> Iterator[None]:
    """Call functions with what nodes give, in one pass of a network; what they return goes on in its stead.

    Raises:
        ValueError: a function was called more or less often than when the node was found.
    """
    calls = _Calls({(node.function, node.call): take for node, take in takers})
    with _counted(network, calls):
        yield
    for node, _ in takers:
        if calls.n_calls[node.function] != node.of:
            raise ValueError(
                f"layers must not name a function that is called now more, now less: {node.function}() is called "
                f"{calls.n_calls[node.function]} times in a forward pass, and {node.of} times in another. Write it as "
                "a module of its own, and name that."
            )


class _Calls(TorchFunctionMode):
    """Counts calls of functions of PyTorch; what some of them give is taken, what all of them give is seen."""

    def __init__(
        self,
        takers: Mapping[tuple[str, int], Callable[[Any], Any]] | None = None,
        *,
        see: Callable[[str, int, Any], object] | None = None,
    ) -> None:
        super().__init__()
        self.n_calls: Counter[str] = Counter()
        self._takers, self._see = takers or {}, see

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        keywords = kwargs or {}
        name = name_of(func)
        if _is_unseen.get() or not any(True for _ in tensors_in((args, keywords))):
            return func(*args, **keywords)
        call = self.n_calls[name]
        self.n_calls[name] += 1
        take = self._takers.get((name, call))
        result = func(*args, **keywords) if take is None else _taken(func, args, keywords, take)
        if self._see is not None:
            self._see(name, call, result)
        return result


class _Results:
    """What all calls have given, by function, and in which order they came."""

    def __init__(self) -> None:
        self.of: dict[str, list[list[torch.Tensor]]] = defaultdict(list)
        self.order: list[tuple[str, int]] = []

    def add(self, function: str, call: int, result: Any) -> None:
        """Keep a copy: what comes after may be written in place."""
        self.of[function].append([tensor.detach().clone() for tensor in tensors_in(result)])
        self.order.append((function, call))


def _taken(func: Any, args: Any, keywords: Any, take: Callable[[Any], Any]) -> Any:
    """What a function gives, or what is made of it; in place if the function works in place."""
    if not args or not isinstance(args[0], torch.Tensor):
        result = func(*args, **keywords)
        with unseen():
            instead = take(result)
        return result if instead is None else instead
    first = args[0].clone()  # so that what comes after can be written there, and derivatives still know what was
    result = func(first, *args[1:], **keywords)
    with unseen():
        instead = take(result)
    if result is first:
        return args[0].copy_(result if instead is None else instead)
    return result if instead is None else instead


def name_of(func: Any) -> str:
    """Name of a function, the same for a method, an operator, and what works in place."""
    return str(getattr(func, "__name__", "")).strip("_")


class _Interpreter(fx.Interpreter):
    """Runs what torch.fx has traced, and notes which call each node is."""

    def __init__(self, network: torch.nn.Module, graph: fx.Graph) -> None:
        super().__init__(fx.GraphModule(network, graph))
        self.results = _Results()
        self.place_of: dict[str, tuple[str, int]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run a node; if it is one call of a function that gives tensors, note which."""
        before = len(self.results.order)
        result = super().run_node(n)
        places = self.results.order[before:]
        is_function = n.op in ("call_function", "call_method")
        if is_function and len(places) == 1 and places[0][0] not in _COPIES and any(True for _ in tensors_in(result)):
            self.place_of[n.name] = places[0]
        return result


def _graph_of(network: torch.nn.Module, bound: inspect.BoundArguments) -> fx.Graph:
    """What torch.fx makes of forward with these arguments given and the others at their defaults."""
    if "forward" in vars(network):
        raise CannotBeTraced("its forward was replaced")
    left_out = {
        name: parameter.default
        for name, parameter in bound.signature.parameters.items()
        if name not in bound.arguments and parameter.default is not inspect.Parameter.empty
    }
    try:
        return fx.Tracer().trace(network, left_out)
    except Exception as error:  # whatever the code of a network makes of numbers that are not there
        raise CannotBeTraced(_first_line(error)) from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".!")


def _are_alike(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> bool:
    pairs = list(zip(one, other, strict=False))
    return len(one) == len(other) and all(a.shape == b.shape and bool(alike(a, b).all()) for a, b in pairs)


@contextmanager
def _counted(network: torch.nn.Module, calls: _Calls) -> Iterator[None]:
    """Count the calls during forward, and not those of hooks on the whole network."""
    network = as_written(network)

    def counted(*arguments: Any, **keywords: Any) -> Any:
        with calls:
            return forward(*arguments, **keywords)

    with _forward_replaced(network, counted) as forward:
        yield


@contextmanager
def _forward_replaced(network: torch.nn.Module, instead: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Put a function in the place of a network's forward; gives the forward that was there."""
    attributes = vars(network)
    was_replaced, forward = "forward" in attributes, network.forward
    attributes["forward"] = instead
    try:
        yield forward
    finally:
        if was_replaced:
            attributes["forward"] = forward
        else:
            attributes.pop("forward", None)

"""Where the units of a layer are: in which call, in which of its tensors, on which axis, at which positions."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, Literal

import torch

from modularity_lib.similarity.nested import replaced, tensors_in
from modularity_lib.similarity.nodes import Node, nodes_taken, unseen
from modularity_lib.vocabulary import some_of

Where = str | Node  # the name of a submodule in its network, or a function in forward
Positions = Literal["average", "pool"] | int

_N_SEEN = (2, 3)  # inputs that go through a network together, to see which axis of an output they are


@dataclass(frozen=True)
class Place:
    """Where a tensor is among all that a network computes."""

    name: str  # as the caller calls it
    where: Where
    call: int = 0  # of those of the submodule in one forward pass
    tensor: int = 0  # among those that it returns
    inputs_axis: int = 0
    shape: tuple[int, ...] = ()  # without the inputs
    dtype: torch.dtype = torch.float32


@dataclass(frozen=True)
class Layer(Place):
    """A place whose numbers are units, on one axis, at positions, on all the others."""

    units_axis: int = 1
    positions: Positions = "average"

    @property
    def n_units(self) -> int:
        """How many units there are."""
        return _with_inputs(self)[self.units_axis]

    @property
    def n_positions(self) -> int:
        """How many positions their similarity is averaged over."""
        return prod(self.shape) // max(1, self.n_units) if self.positions == "average" else 1

    @property
    def is_shifted(self) -> bool:
        """Whether derivatives by the units are those by a shift of numbers, rather than by each of them."""
        return self.positions != "average"

    def units_of(self, output: torch.Tensor) -> torch.Tensor:
        """Shape (inputs, positions, units): with all positions, their mean, or the one that is asked for."""
        arranged = self._arranged(output)
        if self.positions == "average":
            return arranged
        if self.positions == "pool":
            return arranged.mean(dim=1, keepdim=True)
        return arranged[:, [self.positions]]

    def derivative_of(self, gradient: torch.Tensor) -> torch.Tensor:
        """What is differentiated by the output, or by its shift, as (inputs, positions, units)."""
        return gradient if self.is_shifted else self._arranged(gradient)

    def shift_of(self, output: torch.Tensor) -> torch.Tensor:
        """A variable of zeros, (inputs, 1, units)."""
        arranged = self._arranged(output)
        return torch.zeros_like(arranged[:, :1]).detach().requires_grad_()

    def shifted(self, output: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        """The output where a shift is added to the units at the positions that are asked for."""
        arranged = self._arranged(output)
        if self.positions == "pool":
            wide = shift.expand_as(arranged)
        else:
            place = torch.zeros(arranged.shape[1], 1, dtype=shift.dtype, device=shift.device)
            place[self.positions] = 1.0  # type: ignore[index]
            wide = place * shift
        moved = self._moved(output)
        return output + wide.reshape(moved.shape).movedim((0, -1), (self.inputs_axis, self.units_axis))

    def _moved(self, output: torch.Tensor) -> torch.Tensor:
        return output.movedim((self.inputs_axis, self.units_axis), (0, -1))

    def _arranged(self, output: torch.Tensor) -> torch.Tensor:
        moved = self._moved(output)
        return moved.reshape(len(moved), -1, moved.shape[-1])


def places_of(
    network: torch.nn.Module,
    paths: Mapping[str, Where],
    calls: Mapping[str, int],
    run: Callable[[int], object],
) -> dict[str, Place]:
    """Where submodules and functions give numbers for each input, seen when a few inputs go through the network.

    Args:
        network: the network.
        paths: {name as the caller calls it: the submodule's name in the network, or the function}.
        calls: {name: which call of the submodule counts}; needed for those that are called several times.
        run: sends so many inputs through the network.
    """
    fewer, more = (_seen(network, paths, run, n_inputs) for n_inputs in _N_SEEN)
    return {name: _place_of(name, where, calls, [fewer[name], more[name]]) for name, where in paths.items()}


def _seen(
    network: torch.nn.Module, paths: Mapping[str, Where], run: Callable[[int], object], n_inputs: int
) -> dict[str, list[list[torch.Tensor]]]:
    """Per name and call the tensors that are given, without their numbers."""
    outputs: dict[str, list[list[torch.Tensor]]] = {name: [] for name in paths}

    def keep(name: str, output: Any) -> None:
        outputs[name].append([tensor.detach().to("meta") for tensor in tensors_in(output)])

    with _hooked(network, [(where, partial(keep, name)) for name, where in paths.items()]):
        run(n_inputs)
    return outputs


def _place_of(
    name: str, where: Where, calls: Mapping[str, int], seen: Sequence[Sequence[Sequence[torch.Tensor]]]
) -> Place:
    n_calls = len(seen[-1])
    if n_calls == 0 or (n_calls > 1 and name not in calls) or len(seen[0]) != n_calls:
        raise ValueError(
            f"layer {name!r} is called {n_calls} times in a forward pass, expected once: its activity is not defined. "
            + (
                f"Choose a call by calls={{{name!r}: 0}}, counted from 0, up to {n_calls - 1}."
                if n_calls
                else "Name a layer that forward calls; those of which parts are used by themselves are not called."
            )
        )
    call = calls.get(name, 0)
    if call >= n_calls:
        raise ValueError(
            f"calls must lie in 0..{n_calls - 1} for layer {name!r}, which is called {n_calls} times in a forward "
            f"pass, got {call}."
        )
    fewer, more = (list(outputs[call]) for outputs in seen)
    axes = [_axis_of_inputs(one, other) for one, other in zip(fewer, more, strict=False)]
    number = next((at for at, axis in enumerate(axes) if axis == 0), None)
    if number is None:
        number = next((at for at, axis in enumerate(axes) if axis is not None), None)
    if number is None:
        came = " and ".join(_shapes(tensors) for tensors in (fewer, more))
        raise ValueError(
            f"layer {name!r} must give a tensor with the inputs as an axis, got {came} for {_N_SEEN[0]} and "
            f"{_N_SEEN[1]} inputs. Name a layer whose output keeps the inputs apart."
        )
    tensor, axis = more[number], axes[number] or 0
    shape = (*tensor.shape[:axis], *tensor.shape[axis + 1 :])
    return Place(name, where, call, number, axis, shape, tensor.dtype)


def _axis_of_inputs(fewer: torch.Tensor, more: torch.Tensor) -> int | None:
    """The axis that has as many entries as there are inputs, if all others stay the same."""
    if fewer.ndim != more.ndim:
        return None
    differ = [axis for axis in range(more.ndim) if fewer.shape[axis] != more.shape[axis]]
    is_inputs = len(differ) == 1 and (fewer.shape[differ[0]], more.shape[differ[0]]) == _N_SEEN
    return differ[0] if is_inputs else None


def _shapes(tensors: Sequence[torch.Tensor]) -> str:
    return some_of(f"shape {tuple(tensor.shape)}" for tensor in tensors) or "no tensor"


def layer_of(place: Place, units: int | None, positions: Positions) -> Layer:
    """The layer at a place, with its units on an axis; ValueError if they cannot be there."""
    n_axes = len(place.shape) + 1
    shown_shape = shape_of(place)
    if place.dtype.is_complex:
        raise ValueError(
            f"layer {place.name!r} must have real activities, got complex numbers. Name a module that makes them real, "
            "by .abs() or torch.view_as_real(x).flatten(1)."
        )
    if n_axes == 1:
        raise ValueError(
            f"layer {place.name!r} must have an output of shape (inputs, units), got {shown_shape}: one number for "
            "each input is no layer of units."
        )
    if units is None and n_axes > 2:
        raise ValueError(
            f"layer {place.name!r} must have an output of shape (inputs, units), got {shown_shape}. Say which axis is "
            f"that of the units: units={{{place.name!r}: 1}} for channels, {n_axes - 1} for the last axis. The other "
            "axes are positions."
        )
    axis = (1 if place.inputs_axis == 0 else 0) if units is None else units
    if not -n_axes <= axis < n_axes or axis % n_axes == place.inputs_axis:
        raise ValueError(
            f"units must name an axis of the output of layer {place.name!r} other than that of the inputs, got {units} "
            f"for {shown_shape}."
        )
    axis %= n_axes
    n_axes_of_positions = n_axes - 2
    if n_axes_of_positions == 0:
        positions = "average"  # there are none to choose from
    if isinstance(positions, int):
        if n_axes_of_positions > 1:
            raise ValueError(
                f"positions must be 'average' or 'pool' for layer {place.name!r}, which has {n_axes_of_positions} axes "
                f"of positions, got {positions}: shape {shown_shape}."
            )
        lengths = [length for at, length in enumerate(_with_inputs(place)) if at not in (axis, place.inputs_axis)]
        if not -lengths[0] <= positions < lengths[0]:
            raise ValueError(
                f"positions must lie in {-lengths[0]}..{lengths[0] - 1} for layer {place.name!r}, which has "
                f"{lengths[0]} of them, got {positions}."
            )
    return Layer(**vars(place), units_axis=axis, positions=positions)


def _with_inputs(place: Place) -> tuple[int, ...]:
    return (*place.shape[: place.inputs_axis], 0, *place.shape[place.inputs_axis :])


def shape_of(place: Place) -> str:
    """The shape of a tensor as errors show it, such as (inputs, 32, 14, 14)."""
    lengths = [str(length) for length in place.shape]
    lengths.insert(place.inputs_axis, "inputs")
    return f"({', '.join(lengths)}{',' if len(lengths) == 1 else ''})"


@contextmanager
def taken(
    network: torch.nn.Module, places: Iterable[Place], take: Callable[[Place, torch.Tensor], torch.Tensor | None]
) -> Iterator[None]:
    """Call a function with the tensor at each place when it is computed; what it returns goes on in its stead."""
    with _hooked(network, [(place.where, _hook(place, take)) for place in places]):
        yield


@contextmanager
def _hooked(network: torch.nn.Module, hooks: Sequence[tuple[Where, Callable[[Any], Any]]]) -> Iterator[None]:
    """Call functions with what submodules and functions of a network give; what they return goes on in its stead."""
    of_nodes = [(where, hook) for where, hook in hooks if isinstance(where, Node)]
    with ExitStack() as stack:
        if of_nodes:
            stack.enter_context(nodes_taken(network, of_nodes))
        for where, hook in hooks:
            if isinstance(where, str):

                def call(module: Any, given: Any, output: Any, hook: Callable[[Any], Any] = hook) -> Any:
                    with unseen():
                        return hook(output)

                stack.callback(network.get_submodule(where).register_forward_hook(call).remove)
        yield


def _hook(place: Place, take: Callable[[Place, torch.Tensor], torch.Tensor | None]) -> Any:
    n_calls = 0

    def hook(output: Any) -> Any:
        nonlocal n_calls
        n_calls += 1
        if n_calls != place.call + 1:
            return None
        tensor = list(tensors_in(output))[place.tensor]
        instead = take(place, tensor)
        return None if instead is None else replaced(output, {id(tensor): instead})

    return hook

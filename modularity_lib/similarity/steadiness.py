"""Whether what a network gives for an input depends on that input alone: else averages over inputs mean nothing.

Some inputs go through the network together, and two of them alone, again and again. In float64 whatever differs by more
than rounding has another cause, also in networks whose numbers cancel in their own precision.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from modularity_lib.similarity.derivatives import combined_derivatives
from modularity_lib.similarity.evaluation import CannotBeMeasured, Subject, evaluate, needs_a_graph
from modularity_lib.similarity.inputs import Data, Inputs
from modularity_lib.similarity.nested import alike, tensors_in
from modularity_lib.similarity.surroundings import evaluating, hooked_modules, random_states

_N_TOGETHER = (16, 64)  # fewest and most: inputs may meet in larger groups only
_BYTES_TOGETHER = 16_000_000  # of more than the fewest inputs
_BYTES_DIFFERENTIATED = 256_000_000  # of what is kept for derivatives: at least two inputs are differentiated together
_N_RUNS = 16  # of each of two inputs alone
_N_RUNS_IF_IT_DRAWS = 64
# Allowed differences, relative to the largest value of the unit and of its whole layer.
_TOLERANCES = {torch.float64: (1e-6, 1e-11), torch.float32: (1e-3, 1e-4)}
_OFF_TIES = 1e-3  # numbers are a little smaller, each by another share, lest rounding decide at a kink


def check_is_function_of_one_input(subject: Subject, data: Data) -> None:
    """Raise ValueError unless outputs, activities of layers and derivatives follow from each input alone.

    A network may draw random numbers that it does not use, as some do in evaluation mode: it is then run more often.
    What the 128 passes do not show then, and 32 where no draw is seen, is rare: with probability 0.95 it concerns less
    than 2.4 % of the passes, or less than 9 %.
    """
    network, is_differentiated = subject.network, subject.upstream or subject.downstream
    n_together = int(np.clip(_BYTES_TOGETHER // (8 * data.first(1).numbers_per_input), *_N_TOGETHER))
    some = _off_ties(data.some(n_together))
    if len(some) == 1:  # a neighbour is needed all the same
        some = _with_a_neighbour(some)
    with evaluating(network):
        precision = _highest_precision(subject, some.part([0, -1]))
        not_differentiated = replace(subject, upstream=False, downstream=False)
        needs_graph = needs_a_graph(not_differentiated, some.part([0]), at_least=precision)

        def seen(part: Inputs, *, derivatives: bool = is_differentiated) -> dict[str, torch.Tensor]:
            looked_at, graph = (subject, True) if derivatives else (not_differentiated, needs_graph)
            evaluated = evaluate(looked_at, part, at_least=precision, graph=graph)
            outputs = {} if evaluated.outputs is None else {"its outputs": evaluated.outputs}
            units = {
                f"the activities of layer {layer.name!r}": layer.units_of(_real(evaluated.activities[layer.name]))
                for layer in subject.layers
            }
            found = {**outputs, **units, **(combined_derivatives(evaluated, subject) if derivatives else {})}
            return {what: value.detach() for what, value in found.items()}

        few = some
        if is_differentiated:  # what a derivative keeps of many may be too much
            kept = evaluate(subject, some.part([0, -1]), at_least=precision).n_bytes // 2
            n_few = int(np.clip(_BYTES_DIFFERENTIATED // max(1, kept), 2, len(some)))
            few = some.part(np.linspace(0, len(some) - 1, n_few).astype(int))
        before = random_states(network)  # the network has run: if it seeds a generator itself, this stays so
        if is_differentiated:
            with _hooks_are_differentiated(network):
                together = seen(few)
        if not is_differentiated or len(few) < len(some):
            together = (together if is_differentiated else {}) | seen(some, derivatives=False)

        def seen_alone() -> dict[str, torch.Tensor]:
            first, last = seen(some.part([0])), seen(some.part([-1]))
            return {what: torch.cat([first[what], last[what]]) for what in first}

        try:
            alone = seen_alone()
        except ValueError as error:
            raise ValueError(
                f"network must take each input alone, but takes {len(some)} together and not one: {error} {_MEET}"
            ) from error
        n_runs = 1
        while n_runs < (_N_RUNS if random_states(network) == before else _N_RUNS_IF_IT_DRAWS):
            n_runs += 1
            unlike = _unlike(seen_alone(), alone, precision, scale=together)
            if unlike and random_states(network) != before:
                raise ValueError(
                    f"network must not be random in evaluation mode, but it draws random numbers, and {unlike} differ "
                    f"when it is run again. {_RANDOM}"
                )
            if unlike:
                raise ValueError(
                    f"network must give the same when it is run again, but {unlike} differ: it is random, or remembers "
                    f"earlier inputs. {_RANDOM} What it remembers must be forgotten at the start of forward."
                )
        ends = {what: value[[0, -1]] for what, value in together.items()}
        unlike = _unlike(ends, alone, precision, scale=together)
        if unlike:
            raise ValueError(
                f"network must treat each input by itself, but {unlike} of an input differ when other inputs are "
                f"beside it. {_MEET}"
            )


_RANDOM = (
    "Usually dropout is written as a function: write F.dropout(x, p, self.training) instead of F.dropout(x, p), or "
    "use a torch.nn.Dropout module, and add noise only where self.training is True."
)
_MEET = (
    "Usually something is averaged over axis 0 (h.mean(0)), batch normalisation has track_running_stats=False, or "
    "attention runs over the inputs."
)


def _off_ties(inputs: Inputs) -> Inputs:
    """Inputs nearly as they are, none of whose real numbers are exactly alike but those that are 0.

    Where a ReLU is at 0 or two numbers tie in a maximum, rounding decides on the derivative, which then differs between
    a batch and one input. Zeros stay, and no number leaves the range of the inputs.
    """
    changed = []
    for array in inputs.arrays:
        if array.dtype.kind == "f":
            shares = np.random.default_rng(0).uniform(size=array.shape[1:])
            array = (array * (1 - _OFF_TIES * shares)).astype(array.dtype)
        changed.append(array)
    return replace(inputs, arrays=tuple(changed))


def _with_a_neighbour(inputs: Inputs) -> Inputs:
    """One input, and another beside it: of half its numbers."""
    halves = ((array / 2).astype(array.dtype) for array in inputs.arrays)
    both = tuple(np.concatenate(pair) for pair in zip(inputs.arrays, halves, strict=True))
    return replace(inputs, arrays=both)


def _real(activity: torch.Tensor) -> torch.Tensor:
    """So that a mean over positions can be taken of whole numbers, and of True and False."""
    return activity if activity.is_floating_point() else activity.to(torch.float64)


def _highest_precision(subject: Subject, inputs: Inputs) -> torch.dtype:
    """Double precision, unless the network or its device has none: a part that was compiled by torch.jit, say."""
    try:
        evaluate(Subject(subject.network, output=subject.output), inputs, at_least=torch.float64)
    except ValueError:
        return torch.float32
    return torch.float64


@contextmanager
def _hooks_are_differentiated(network: torch.nn.Module) -> Iterator[None]:
    """Raise ValueError if a forward hook changes numbers in place where automatic differentiation does not see it."""
    with ExitStack() as stack:
        for name, module in list(hooked_modules(network)):
            watched: list[tuple[torch.Tensor, torch.Tensor, Any]] = []

            def remember(module: Any, *given: Any, watched: list[Any] = watched) -> None:
                watched[:] = [(tensor, tensor.detach().clone(), tensor.grad_fn) for tensor in tensors_in(given[-1])]

            def compare(module: Any, *given: Any, watched: list[Any] = watched, name: str = name) -> None:
                for tensor, before, made_by in watched:
                    if tensor.requires_grad and tensor.grad_fn is made_by and not alike(tensor, before).all():
                        raise CannotBeMeasured(
                            f"a hook on {name or 'the network'!r} changes numbers in place under torch.no_grad() or by "
                            ".data, so derivatives would be those of what was there before. Return a changed copy: "
                            "output = output.clone(), then output[:, 0] = 0, then return output."
                        )

            hooks = (
                module.register_forward_pre_hook(remember, prepend=True),
                module.register_forward_pre_hook(compare),
                module.register_forward_hook(remember, prepend=True),
                module.register_forward_hook(compare),
            )
            for hook in hooks:
                stack.callback(hook.remove)
        yield


def _unlike(
    one: dict[str, torch.Tensor],
    other: dict[str, torch.Tensor],
    precision: torch.dtype,
    *,
    scale: dict[str, torch.Tensor],
) -> str:
    """What differs between two runs by more than rounding, in words; empty if nothing does."""
    for what, values in one.items():
        if _differ(values, other[what], scale[what], precision):
            return what
    return ""


def _differ(one: torch.Tensor, other: torch.Tensor, scale: torch.Tensor, precision: torch.dtype) -> bool:
    if one.shape != other.shape:
        return True
    one, other = one.to(torch.float64), other.to(torch.float64)  # of True and False, too
    size = scale.to(torch.float64).nan_to_num(0.0, 0.0, 0.0).abs()
    of_unit, of_layer = _TOLERANCES[precision]
    allowed = of_unit * size.amax(dim=0) + of_layer * size.max()
    return not bool(((one - other).abs() <= allowed).logical_or(alike(one, other)).all())

"""Whether what a network gives for an image depends on that image alone: else averages over images mean nothing.

Some images go through the network together, and two of them alone, again and again. In float64 whatever differs by more
than rounding has another cause, also in networks whose numbers cancel in their own precision.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

from modularity_lib.similarity.derivatives import combined_derivatives
from modularity_lib.similarity.evaluation import (
    CannotBeMeasured,
    alike,
    evaluate,
    evaluating,
    hooked_modules,
    random_states,
    tensors_in,
)

_N_TOGETHER = (16, 64)  # fewest and most: images may meet in larger groups only
_BYTES_TOGETHER = 16_000_000  # of more than the fewest images
_N_RUNS = 16  # of each of two images alone
_N_RUNS_IF_IT_DRAWS = 64
# Allowed differences, relative to the largest value of the unit and of its whole layer.
_TOLERANCES = {torch.float64: (1e-6, 1e-11), torch.float32: (1e-3, 1e-4)}
_OFF_TIES = 1e-3  # images are a little darker, each pixel by another share, lest rounding decide at a kink


def check_is_function_of_one_image(
    network: torch.nn.Module,
    images: np.ndarray,
    layers: Sequence[str],
    *,
    upstream: bool = False,
    downstream: bool = False,
) -> int:
    """Raise ValueError unless logits and the activities of layers follow from each image alone.

    A network may draw random numbers that it does not use, as some do in evaluation mode: it is then run more often.
    What the 128 passes do not show then, and 32 where no draw is seen, is rare: with probability 0.95 it concerns less
    than 2.4 % of the passes, or less than 9 %.

    Args:
        upstream, downstream: whether derivatives up to the layers, or past them, must follow from each image, too.
    Returns:
        the number of logits, which is seen on the way.
    """
    n_together = int(np.clip(_BYTES_TOGETHER // (8 * images[0].size), *_N_TOGETHER))
    some = _off_ties(images[np.unique(np.linspace(0, len(images) - 1, n_together).astype(int))])
    if len(some) == 1:  # a neighbour is needed all the same
        some = np.concatenate([some, some / 2])
    with evaluating(network):
        precision = _highest_precision(network, some[[0, -1]])

        def seen(part: np.ndarray) -> dict[str, torch.Tensor]:
            evaluated = evaluate(network, part, layers, at_least=precision)
            named = {f"the activities of layer {layer!r}": value for layer, value in evaluated.activities.items()}
            derivatives = combined_derivatives(evaluated, upstream=upstream, downstream=downstream)
            found = {"its logits": evaluated.logits, **named, **derivatives}
            return {what: value.detach() for what, value in found.items()}

        before = random_states(network)  # the network has run once: if it seeds a generator itself, this stays so
        if upstream or downstream:
            with _hooks_are_differentiated(network):
                together = seen(some)
        else:
            together = seen(some)

        def seen_alone() -> dict[str, torch.Tensor]:
            first, last = seen(some[:1]), seen(some[-1:])
            return {what: torch.cat([first[what], last[what]]) for what in first}

        try:
            alone = seen_alone()
        except ValueError as error:
            raise ValueError(
                f"network must take each image alone, but takes {len(some)} together and not one: {error} {_MEET}"
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
                    f"earlier images. {_RANDOM} What it remembers must be forgotten at the start of forward."
                )
        ends = {what: value[[0, -1]] for what, value in together.items()}
        unlike = _unlike(ends, alone, precision, scale=together)
        if unlike:
            raise ValueError(
                f"network must treat each image by itself, but {unlike} of an image differ when other images are "
                f"beside it. {_MEET}"
            )
    return together["its logits"].shape[1]


_RANDOM = (
    "Usually dropout is written as a function: write F.dropout(x, p, self.training) instead of F.dropout(x, p), or "
    "use a torch.nn.Dropout module, and add noise only where self.training is True."
)
_MEET = (
    "Usually something is averaged over axis 0 (h.mean(0)), batch normalisation has track_running_stats=False, or "
    "attention runs over the images."
)


def _off_ties(images: np.ndarray) -> np.ndarray:
    """Images nearly as they are, none of whose pixels are exactly alike but those that are 0.

    Where a ReLU is at 0 or two pixels tie in a maximum, rounding decides on the derivative, which then differs between
    a batch and one image. Zeros stay, and no pixel leaves the range of the images.
    """
    shares = np.random.default_rng(0).uniform(size=images.shape[1:])
    darker = images * (1 - _OFF_TIES * shares)
    return darker if images.dtype == np.float64 else darker.astype(np.float32)


def _highest_precision(network: torch.nn.Module, images: np.ndarray) -> torch.dtype:
    """Double precision, unless the network or its device has none: a part that was compiled by torch.jit, say."""
    try:
        evaluate(network, images, at_least=torch.float64)
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

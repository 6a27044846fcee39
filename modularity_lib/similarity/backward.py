"""Derivatives of many numbers of every input, by passes backwards of which several go together.

Inputs do not meet inside the network, so the gradient of a column's sum over inputs holds the gradient of every input.
"""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from modularity_lib.similarity.linear_maps import LinearExit, linear_exit

Gradient = torch.Tensor | None
_BYTES = 24_000_000  # of intermediate numbers of the passes that go together; more does not stay in the cache
_ROUNDING = 1e-3  # of the largest derivative, in single precision; what does not go together is off by far more
# What operations raise that cannot be done for several passes at once, such as the user's own.
_NOT_TOGETHER = (RuntimeError, TypeError, ValueError, NotImplementedError, AttributeError, IndexError, AssertionError)


class Backward:
    """Passes backwards through one batch of inputs, as many together as 24 MB of intermediate numbers allow.

    Args:
        n_bytes: of the intermediate numbers of the batch.
    """

    def __init__(self, n_bytes: int) -> None:
        self._at_once = max(1, _BYTES // max(1, n_bytes))

    def columns(self, outputs: torch.Tensor, variables: Sequence[Any]) -> Iterator[tuple[int, list[Gradient]]]:
        """How many columns of outputs, (inputs, columns), come next, and their derivatives by each variable.

        These have shape (columns, inputs, ...), or are None for a variable that the columns do not depend on. Raises
        RuntimeError if there are no such derivatives.
        """
        n_columns, column = outputs.shape[1], 0
        end = linear_exit(outputs, variables) if self._at_once > 1 else None
        while column < n_columns:
            some = range(column, min(column + self._at_once, n_columns))
            found = self._together(outputs, variables, some, end) if len(some) > 1 else None
            if found is not None and column == 0 and not _is_right(found, outputs, variables, some):
                self._at_once, found = 1, None
            if found is None:
                some = range(column, column + 1)
                found = [None if one is None else one[None] for one in _alone(outputs[:, column].sum(), variables)]
            yield len(some), found
            column = some.stop

    def _together(
        self, outputs: torch.Tensor, variables: Sequence[Any], some: range, end: LinearExit | None
    ) -> list[Gradient] | None:
        """Several passes at once; None, and never tried again, if that cannot be done."""
        start: Any = outputs
        if end is not None:
            start, chosen = end.edge, end.starts(some)
        else:
            chosen = torch.zeros(len(some), *outputs.shape, dtype=outputs.dtype, device=outputs.device)
            chosen[range(len(some)), :, list(some)] = 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of operations that are done one after the other all the same
                found: list[Gradient] = list(
                    torch.autograd.grad(
                        [start], variables, [chosen], retain_graph=True, allow_unused=True, is_grads_batched=True
                    )
                )
        except _NOT_TOGETHER:
            self._at_once = 1
            return None
        return found


def _alone(output: torch.Tensor, variables: Sequence[Any]) -> list[Gradient]:
    return list(torch.autograd.grad(output, variables, retain_graph=True, allow_unused=True))


def _is_right(found: Sequence[Gradient], outputs: torch.Tensor, variables: Sequence[Any], some: range) -> bool:
    """Whether several passes give what one alone gives, of the same combination of columns."""
    weights = torch.arange(1, len(some) + 1, dtype=outputs.dtype, device=outputs.device).cos()
    combined = [None if one is None else torch.tensordot(weights, one, dims=1) for one in found]
    return _are_alike(_alone((outputs[:, some.start : some.stop] * weights).sum(), variables), combined)


def _are_alike(one: Sequence[Gradient], other: Sequence[Gradient]) -> bool:
    for a, b in zip(one, other, strict=True):
        if a is None or b is None:
            if a is not b:
                return False
        elif a.shape != b.shape or bool(((a - b).abs() > _ROUNDING * a.abs().max()).any()):
            return False
    return True

"""Tensors within what functions and modules are given and give: found, replaced, compared."""

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import Any

import torch

_PLAIN = (int, float, str, type(None), torch.dtype, torch.device)


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors among arguments or results, however they are nested in tuples, lists and dicts."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, _PLAIN):  # nearly all arguments: to ask whether they are mappings takes longest
        return
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, Mapping):
        yield from tensors_in(tuple(value.values()))


def replaced(value: Any, instead: Mapping[int, torch.Tensor]) -> Any:
    """The same with other tensors in place of some, which are named by their id()."""
    if isinstance(value, torch.Tensor):
        return instead.get(id(value), value)
    if isinstance(value, Mapping):
        changed = {name: replaced(item, instead) for name, item in value.items()}
        if type(value) is dict:
            return changed
        result: Any = copy(value)  # of a class of its own, as those of transformers are
        for name, item in changed.items():
            if item is not value[name]:
                result[name] = item
        return result
    if isinstance(value, tuple | list):
        items = [replaced(item, instead) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def alike(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Where two tensors are equal, NaN to NaN."""
    return (one == other) | (one.isnan() & other.isnan())


def is_in_place(function: Callable[..., Any]) -> bool:
    """Whether a function of PyTorch changes its first argument, by its name."""
    name = function.__name__
    return name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))

"""The precision that a network is measured in: its own, single precision at least, whatever casts stand in it."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from modularity_lib.similarity.nested import is_in_place, tensors_in


def precision_of(
    network: torch.nn.Module, arrays: Iterable[np.ndarray], at_least: torch.dtype = torch.float32
) -> torch.dtype:
    """What a network is measured in: the precision of its first weights, or of the inputs if it has none."""
    own = (tensor.dtype for tensor in chain(network.parameters(), network.buffers()) if tensor.is_floating_point())
    is_double = any(array.dtype == np.float64 for array in arrays)
    of_inputs = torch.float64 if is_double else torch.float32
    return max(next(own, of_inputs), at_least, key=lambda dtype: torch.finfo(dtype).bits)


def without_autocast(device: str) -> AbstractContextManager[Any]:
    """No rounding to half precision by the caller, or by forward itself."""
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


class AtLeast(TorchFunctionMode):
    """Every operation sees tensors of this precision at least, whatever parameters, casts and autocast say.

    `n_bytes` is the size of all that the operations gave, which bounds what a derivative keeps of them.
    """

    def __init__(self, dtype: torch.dtype, device: str) -> None:
        super().__init__()
        self._dtype, self._device = dtype, device
        self.n_bytes = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        with without_autocast(self._device):  # which forward itself may turn on
            if func.__name__ == "__get__":  # an attribute, such as weight.dtype
                return self._raised(func(*args))
            given, args, kwargs = args, self._raised(tuple(args)), self._raised(kwargs or {})
            if is_in_place(func) and given and args[0] is not given[0]:
                func(given[0], *args[1:], **kwargs)  # what is written into a copy would be lost
                return given[0]
            if func in _CASTS and self._is_lower(_CASTS[func]):
                return args[0].to(self._dtype)
            result = self._raised(func(*args, **kwargs))
            self.n_bytes += sum(_size(tensor) for tensor in tensors_in(result))
            return result

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


def _size(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size() if tensor.layout is torch.strided and not tensor.is_nested else 0


_CASTS = {
    torch.Tensor.half: torch.float16,
    torch.Tensor.bfloat16: torch.bfloat16,
    torch.Tensor.float: torch.float32,
}

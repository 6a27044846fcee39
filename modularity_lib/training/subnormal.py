"""Subnormal numbers, those below 1.2e-38 in float32, taken for 0 while networks are trained.

Under L2 the weights of silent units and of pixels at the border shrink until they are subnormal. Intel processors
compute with such numbers a hundred times as slowly as with others, AMD's and ARM's some times. In sums that hold any
other number they are not seen: an activity, a slope of the loss, is the same without them.

The processor is told so, by a mode of the thread. One without such a mode computes with them, and gives the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_SUBNORMAL = np.array([1e-39], dtype=np.float32)


@contextmanager
def subnormals_as_zero() -> Iterator[None]:
    """Let this thread take subnormal numbers for 0, in compiled loops as in PyTorch's; afterwards all is as before."""
    before = bool((_SUBNORMAL * np.float32(1) == 0)[0])
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)

"""A stand-in for a data set on disk, as those of HDF5 and Zarr are read."""

from typing import Any

import numpy as np


class OnDisk:
    """A data set as those of HDF5 and Zarr: it can be sliced, and refuses to be read whole."""

    def __init__(self, values: np.ndarray, chunks: tuple[int, ...] | None = None) -> None:
        self._values, self.shape, self.dtype = values, values.shape, values.dtype
        self.chunks = chunks
        self.largest = 0
        self.read: list[tuple[slice, ...]] = []

    def __getitem__(self, key: Any) -> np.ndarray:
        keys = key if isinstance(key, tuple) else (key,)
        assert all(isinstance(one, slice) for one in keys)
        part = self._values[key]
        self.largest = max(self.largest, part.nbytes)
        self.read.append(keys)
        return part.copy()

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise AssertionError("read whole")

    __len__ = __iter__ = __array__

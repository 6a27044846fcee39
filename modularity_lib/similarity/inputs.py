"""What a network is given: one array or several, in memory or from a data loader, with labels beside them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, SequentialSampler

from modularity_lib.arrays import Wanted, in_one_order, numbers_of, shown
from modularity_lib.vocabulary import some_of

_LABEL_KEYS = ("labels", "label")  # in what a loader yields, as in the data sets of transformers


@dataclass(frozen=True)
class Inputs:
    """Arrays of finite numbers that share axis 0, and the keywords that they are passed by; by position without."""

    arrays: tuple[np.ndarray, ...]
    keywords: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.arrays[0])

    def part(self, which: slice | Sequence[int] | np.ndarray) -> "Inputs":
        """Some of the inputs."""
        return replace(self, arrays=tuple(array[which] for array in self.arrays))

    @property
    def names(self) -> tuple[str, ...]:
        """How errors call the arrays."""
        if self.keywords is not None:
            return tuple(f"inputs[{keyword!r}]" for keyword in self.keywords)
        return tuple(f"inputs[{place}]" for place in range(len(self.arrays))) if len(self.arrays) > 1 else ("inputs",)

    @property
    def is_several(self) -> bool:
        """Whether a network is given more than one argument, or by a keyword."""
        return len(self.arrays) > 1 or self.keywords is not None

    @property
    def whole(self) -> tuple[str, ...]:
        """Names of the arrays that hold whole numbers, of which there are no derivatives."""
        return tuple(name for name, array in zip(self.names, self.arrays, strict=True) if array.dtype.kind == "i")

    @property
    def has_real(self) -> bool:
        """Whether one of the arrays holds real numbers."""
        return any(array.dtype.kind == "f" for array in self.arrays)

    @property
    def shown(self) -> str:
        """What there is, for errors: "inputs of shape (3, 784)", or each array by its name."""
        return some_of(f"{name} of shape {array.shape}" for name, array in zip(self.names, self.arrays, strict=True))

    @property
    def numbers_per_input(self) -> int:
        """How many numbers make one input."""
        return sum(array[0].size for array in self.arrays)

    def as_real(self) -> "Inputs":
        """All numbers as real ones."""
        changed = []
        for array in self.arrays:
            is_exact = array.dtype.kind == "b" or np.abs(array).max() < 2**24  # in single precision
            changed.append(array if array.dtype.kind == "f" else array.astype(np.float32 if is_exact else np.float64))
        return replace(self, arrays=tuple(changed))

    def tensors(self, device: torch.device, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
        """A copy on a device; real numbers in this precision, whole numbers as they are."""
        found = []
        for array in self.arrays:
            tensor = torch.tensor(array, device="cpu")
            found.append(tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None, copy=True))
        return tuple(found)


@dataclass(frozen=True)
class Data:
    """All inputs and their labels: in memory, or what a loader yields, which is then passed through once a time.

    `start` is all of the inputs where they are in memory, else the first batch. Labels are None, too, where the loader
    yields them.
    """

    start: Inputs
    labels: np.ndarray | None = None
    loader: Any = None
    yields_labels: bool = False
    as_real: bool = False  # whole numbers become real ones

    @property
    def n_inputs(self) -> int:
        """How many inputs there are; about so many, if a loader makes batches of its own."""
        if self.loader is None:
            return len(self.start)
        return len(self.loader.sampler) if _has_plain_batches(self.loader) else len(self.loader) * len(self.start)

    def first(self, n_inputs: int) -> Inputs:
        """So many inputs, to look at; the same again if there are fewer."""
        return self._changed(self.start.part(np.arange(n_inputs) % len(self.start)))

    def some(self, n_inputs: int) -> Inputs:
        """At most so many inputs, spread over those at hand."""
        places = np.unique(np.linspace(0, len(self.start) - 1, n_inputs).astype(int))
        return self._changed(self.start.part(places))

    def batches(self, size: int) -> Iterator[tuple[Inputs, np.ndarray | None]]:
        """All inputs in turn, at most so many at once, each part with its labels."""
        whole = [(self.start, self.labels)] if self.loader is None else _yielded(self.loader)
        before = 0
        for inputs, labels in whole:
            if self.loader is not None and self.labels is not None:
                labels = self.labels[before : before + len(inputs)]
            before += len(inputs)
            for start in range(0, len(inputs), size):
                part = slice(start, start + size)
                yield self._changed(inputs.part(part)), None if labels is None else labels[part]

    def in_memory(self) -> "Data":
        """The same, with all that a loader yields at hand."""
        if self.loader is None:
            return self
        with torch.random.fork_rng(devices=[]):
            parts = list(_yielded(self.loader))
        columns = zip(*(inputs.arrays for inputs, _ in parts), strict=True)
        arrays = tuple(np.concatenate(column) for column in columns)
        yielded = [part for _, part in parts if part is not None]
        labels = np.concatenate(yielded) if yielded else self.labels
        return replace(self, start=Inputs(arrays, self.start.keywords), labels=labels, loader=None)

    def _changed(self, inputs: Inputs) -> Inputs:
        return inputs.as_real() if self.as_real else inputs


def data_of(inputs: Any, labels: Any) -> Data:
    """Inputs and labels in whatever they come; ValueError for anything that is no finite set of numbers.

    Args:
        inputs: an array or tensor with the inputs as axis 0; a tuple or dict of such, for a network that takes several;
            a Dataset or DataLoader of PyTorch that yields inputs, or pairs of inputs and labels.
        labels: one entry for each input; None if there are none, or if the loader yields them.
    """
    if isinstance(inputs, Dataset | DataLoader):
        return _data_of_loader(inputs, labels)
    if isinstance(inputs, Mapping) and not hasattr(inputs, "toarray"):  # scipy's dok_matrix is a mapping, too
        if not inputs:
            raise ValueError("inputs must hold at least one array, got an empty mapping.")
        if not all(isinstance(keyword, str) for keyword in inputs):
            raise ValueError("inputs must name each array by a keyword of the network's forward, got other keys.")
        *arrays, labels = in_one_order(**{f"inputs[{key!r}]": value for key, value in inputs.items()}, labels=labels)
        read = _several(arrays, tuple(inputs))
    elif isinstance(inputs, tuple) and inputs and all(len(getattr(each, "shape", ())) for each in inputs):
        *arrays, labels = in_one_order(**{f"inputs[{at}]": value for at, value in enumerate(inputs)}, labels=labels)
        read = _several(arrays, None)
    else:
        one, labels = in_one_order(inputs=inputs, labels=labels)
        read = Inputs((_array("inputs", one),))
    several = " Several inputs go into a tuple: a list is one array." if isinstance(inputs, list) else ""
    return Data(read, None if labels is None else label_array(labels, len(read), several))


def label_array(labels: object, n_inputs: int, way_out: str = "") -> np.ndarray:
    """Labels as an array, one entry for each input."""
    values = numbers_of("labels", labels, _LABELS)
    if values.ndim == 0 and not hasattr(labels, "shape"):  # NumPy makes an array of any object
        raise ValueError(f"labels must be an array, got {type(labels).__name__}. {_way_out(labels, values)}")
    if values.ndim == 0 or len(values) != n_inputs:
        raise ValueError(
            f"labels must hold one entry for each of {n_inputs} inputs, got {values.dtype} of shape {values.shape}. "
            f"Inputs and labels must be the same part of the data.{way_out}"
        )
    return values


def _several(values: Sequence[object], keywords: tuple[str, ...] | None) -> Inputs:
    names = Inputs((np.empty(0),) * len(values), keywords).names
    read = Inputs(tuple(_array(name, value) for name, value in zip(names, values, strict=True)), keywords)
    lengths = {name: len(array) for name, array in zip(names, read.arrays, strict=True)}
    other = next((name for name, length in lengths.items() if length != len(read)), None)
    if other is not None:
        raise ValueError(
            f"inputs must all have the inputs as axis 0, got {names[0]} with {len(read)} and {other} with "
            f"{lengths[other]}. Repeat what all inputs share: np.repeat(value[None], {len(read)}, axis=0)."
        )
    return read


def _array(name: str, value: object) -> np.ndarray:
    """Finite numbers that PyTorch can take: float32 or float64, int64, or True and False."""
    array = numbers_of(name, value, _INPUTS)
    if array.ndim == 0 and not hasattr(value, "shape"):  # NumPy makes an array of any object
        raise ValueError(f"{name} must be an array, got {type(value).__name__}. {_way_out(value, array)}")
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"{name} must have shape (inputs, ...) with at least one input, got {array.shape}.")
    if array.dtype.kind not in "buif":
        raise ValueError(f"{name} must be real numbers, got {array.dtype}. Tables and categories become numbers first.")
    if array.dtype.kind == "f":
        single = array.dtype.itemsize <= 4  # neither float16 nor more than float64 is measured in
        array = array.astype(np.float32 if single else np.float64, copy=False)
    elif array.dtype.kind in "iu":
        array = array.astype(np.int64, copy=False)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity. Leave such inputs out, or fill what is missing.")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


# --- data sets and loaders of PyTorch ---


def _data_of_loader(given: Any, labels: Any) -> Data:
    dataset = given.dataset if isinstance(given, DataLoader) else given
    kind = type(given).__name__
    try:
        n_inputs = None if isinstance(dataset, IterableDataset) else len(given)
    except (TypeError, NotImplementedError):
        n_inputs = None
    if n_inputs is None:
        raise ValueError(
            f"inputs must have an end and a length, got {kind} without one. Pass a part of it as an array, such as "
            "torch.stack([x for x, label in itertools.islice(data, 1000)])."
        )
    if n_inputs == 0:
        raise ValueError(f"inputs must hold at least one input, got an empty {kind}.")
    loader = given if isinstance(given, DataLoader) else DataLoader(given, batch_size=_SET_BATCH)
    with torch.random.fork_rng(devices=[]):  # an iterator draws a number, which the caller shall not miss
        start, beside = next(_yielded(loader))
    data = Data(start, loader=loader)
    if labels is None:
        return replace(data, yields_labels=beside is not None)
    if beside is not None:
        raise ValueError(
            f"labels must come from one place, but {kind} yields labels, too. Leave labels out, or pass inputs and "
            "labels as arrays."
        )
    if not _has_plain_batches(loader) or not isinstance(loader.sampler, SequentialSampler):
        raise ValueError(
            f"labels must be yielded by a {kind} that does not keep the order of its data, as (inputs, label) pairs, "
            "got labels beside it."
        )
    return replace(data, labels=label_array(labels, len(loader.sampler)))


def _has_plain_batches(loader: DataLoader) -> bool:
    """Whether a loader makes batches of what one sampler chooses."""
    return type(loader.batch_sampler) is BatchSampler and loader.batch_sampler.sampler is loader.sampler


_SET_BATCH = 256  # items of a Dataset that are stacked at once


def _yielded(loader: Any) -> Iterator[tuple[Inputs, np.ndarray | None]]:
    """What a loader yields, read as inputs and labels."""
    try:
        for batch in loader:
            inputs, labels = _parted(batch)
            read = data_of(inputs, None).start
            yield read, None if labels is None else label_array(labels, len(read))
    except TypeError as error:  # of what stacks the items of a batch
        raise ValueError(
            f"inputs must yield tensors or numbers, got {type(loader.dataset).__name__}, which does not: "
            f"{str(error).splitlines()[0].rstrip('.')}."
        ) from error


def _parted(batch: Any) -> tuple[Any, Any]:
    """Inputs and labels of a batch: (inputs,), (inputs, labels), or keywords with or without labels."""
    if isinstance(batch, torch.Tensor):
        return batch, None
    if isinstance(batch, Mapping):
        key = next((key for key in _LABEL_KEYS if key in batch), None)
        return {name: value for name, value in batch.items() if name != key}, None if key is None else batch[key]
    if isinstance(batch, list | tuple) and len(batch) in (1, 2):
        inputs = tuple(batch[0]) if isinstance(batch[0], list) else batch[0]
        return inputs, batch[1] if len(batch) == 2 else None
    came = f"{len(batch)} parts" if isinstance(batch, list | tuple) else shown(batch)
    raise ValueError(
        f"inputs must yield inputs, or pairs of inputs and labels, got {came}. Several inputs go into a tuple or a "
        "dict: ((x1, x2), label)."
    )


def _way_out(value: object, _: np.ndarray | None) -> str:
    if hasattr(value, "test_images"):
        return "Its images are .test_images, their labels .test_labels."
    if hasattr(value, "dataset") or (hasattr(value, "__getitem__") and not isinstance(value, str | bytes | dict)):
        return (
            "Pass all inputs in one tensor, as torch.stack([x for x, label in data]) makes it, and all labels, or a "
            "DataLoader of PyTorch."
        )
    return "Pass the numbers as a NumPy array or a tensor; a tuple or dict of them if the network takes several."


_INPUTS = Wanted("be an array", _way_out, ".filled(0), say, or leave these inputs out")
_LABELS = Wanted("be an array", _way_out, "the inputs and labels that are there: a label cannot be filled in")

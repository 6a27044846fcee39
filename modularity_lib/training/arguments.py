"""What `TrainingConfig`, `MLP` and `train` are given: what is of another kind is refused before anything is made of it.

These checks stand outside of `config` and `training`, whose definitions are part of the keys of all shipped results:
what is refused changes no number.
"""

from itertools import pairwise
from math import isnan
from typing import Any

import numpy as np

from modularity_lib.arrays import real_number, shown, whole_number
from modularity_lib.images.dataset import Dataset
from modularity_lib.training.config import PROTOCOLS, TrainingConfig, check_dropout

_MOST = {"run": 2**63 - 1, "epochs": 10**9, "batch_size": 10**9}  # what the tables and the compiled loops can count
_LEAST = {"batch_size": 1}
_MOST_WEIGHTS = 2**32  # of a network: 16 GB, and Adam needs three times as much


def checked_dropout(dropout: object) -> float:
    """Dropout as a float; ValueError unless it is a probability below 1."""
    number = _number("dropout", dropout, "a probability in [0, 1)")
    check_dropout(number)
    return float(number)


def checked_sizes(sizes: object) -> tuple[int, ...]:
    """Widths of the layers of an `MLP`; ValueError unless they are at least three positive whole numbers."""
    widths = _listed(sizes) or []
    if len(widths) < 3 or not all(map(_is_width, widths)):
        raise ValueError(
            f"sizes must be at least three positive whole numbers (pixels, hidden layers, logits), got {shown(sizes)}. "
            "The paper's network is [784, 64, 64, 10]."
        )
    n_weights = sum(int(fan_in) * int(fan_out) for fan_in, fan_out in pairwise(widths))
    if n_weights > _MOST_WEIGHTS:
        raise ValueError(
            f"sizes must make a network of at most {_MOST_WEIGHTS:,} weights, got {shown(sizes)}. The paper's network "
            "is [784, 64, 64, 10]."
        )
    return tuple(map(int, widths))


def checked_training(configs: object, dataset: object, progress: object) -> tuple[list[TrainingConfig], Dataset]:
    """What `train` is given, configs as a list; ValueError unless each is what it is to be."""
    listed = _listed(configs)
    if isinstance(configs, TrainingConfig):
        raise ValueError("configs must be a list of TrainingConfig, got one by itself. Pass [config].")
    if listed is None or not all(isinstance(config, TrainingConfig) for config in listed):
        other = next((one for one in listed or () if not isinstance(one, TrainingConfig)), configs)
        among = "" if other is configs else " among them"
        order = " The configs come first, then the images." if isinstance(other, Dataset) else ""
        raise ValueError(f"configs must be a list of TrainingConfig, got {_kind(other)}{among}.{order}")
    if not isinstance(dataset, Dataset):
        way_out = (
            f"Pass load_dataset({dataset!r})." if isinstance(dataset, str) else "load_dataset('mnist-5k') gives one."
        )
        raise ValueError(f"dataset must be a Dataset, got {_kind(dataset)}. {way_out}")
    for part in ("train", "test"):
        images, labels = getattr(dataset, f"{part}_images"), getattr(dataset, f"{part}_labels")
        is_right = getattr(images, "ndim", 0) == 2 and images.dtype == np.float32 and len(images) > 0
        if not is_right or getattr(labels, "shape", None) != images.shape[:1] or labels.dtype.kind not in "iu":
            raise ValueError(
                f"dataset must have {part}_images of float32 with shape (images, pixels) and one whole number for each "
                f"in {part}_labels, got {_kind(images)} and {_kind(labels)}. images.dataset.dataset_of makes one of "
                "grey values."
            )
    if progress is not None and not callable(progress):
        raise ValueError(
            f"progress must be a function of the number of networks, got {shown(progress)}. Leave it out, or pass the "
            "update of a tqdm."
        )
    return listed, dataset


def _checked_fields(config: TrainingConfig) -> dict[str, Any]:
    """The fields as plain numbers, text and a tuple: NumPy's own numbers would make other keys of results."""
    widths = _listed(config.hidden) or []
    if not widths or not all(map(_is_width, widths)):
        raise ValueError(
            f"hidden must give the number of units of at least one layer, got {shown(config.hidden)}. The paper's is "
            "(64, 64)."
        )
    if not isinstance(config.protocol, str):
        raise ValueError(f"protocol must be one of {', '.join(map(repr, PROTOCOLS))}, got {shown(config.protocol)}.")
    return {
        "hidden": tuple(map(int, widths)),
        "dropout": _number("dropout", config.dropout, "a probability in [0, 1)"),
        **{name: _number(name, getattr(config, name), "a finite number") for name in ("l2", "l1", "learning_rate")},
        **{
            name: whole_number(name, getattr(config, name), at_least=_LEAST.get(name, 0), at_most=most)
            for name, most in _MOST.items()
        },
    }


def _number(name: str, value: object, expected: str) -> float:
    number = real_number(value)
    if isnan(number) and not isinstance(value, float):  # NaN itself is out of range, which is said elsewhere
        raise ValueError(f"{name} must be {expected}, got {shown(value)}.")
    return value if type(value) is int else number  # an int stays one, as it is in the keys


def _listed(value: object) -> list[Any] | None:
    """What a value holds, one after the other; None for a single thing, for text, and where there is no order."""
    if isinstance(value, str | bytes | dict | set):
        return None
    try:
        return list(value)  # type: ignore[call-overload]
    except TypeError:
        return None


def _is_width(units: object) -> bool:
    is_whole = isinstance(units, int | np.integer) and not isinstance(units, bool)
    return is_whole and bool(1 <= units <= _MOST_WEIGHTS)  # type: ignore[operator]


def _kind(value: object) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{type(value).__name__}, shape {tuple(value.shape)} of {value.dtype}"
    return shown(value) if isinstance(value, str | int | float | None) else type(value).__name__


_check_ranges = TrainingConfig.__post_init__


def _check_kinds_and_ranges(config: TrainingConfig) -> None:
    for name, value in _checked_fields(config).items():
        object.__setattr__(config, name, value)
    _check_ranges(config)


TrainingConfig.__post_init__ = _check_kinds_and_ranges  # type: ignore[method-assign,assignment]

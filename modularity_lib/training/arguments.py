"""What `MLP` and `train` are given: what is of another kind is refused before anything is made of it.

`config` refuses what no `TrainingConfig` can hold.
"""

from itertools import pairwise

import numpy as np

from modularity_lib.arrays import shown
from modularity_lib.images.dataset import Dataset
from modularity_lib.training.config import MOST_WEIGHTS, TrainingConfig, is_width, listed


def checked_sizes(sizes: object) -> tuple[int, ...]:
    """Widths of the layers of an `MLP`; ValueError unless they are at least three positive whole numbers."""
    widths = listed(sizes) or []
    if len(widths) < 3 or not all(map(is_width, widths)):
        raise ValueError(
            f"sizes must be at least three positive whole numbers (pixels, hidden layers, logits), got {shown(sizes)}. "
            "The paper's network is [784, 64, 64, 10]."
        )
    n_weights = sum(int(fan_in) * int(fan_out) for fan_in, fan_out in pairwise(widths))
    if n_weights > MOST_WEIGHTS:
        raise ValueError(
            f"sizes must make a network of at most {MOST_WEIGHTS:,} weights, got {shown(sizes)}. The paper's network "
            "is [784, 64, 64, 10]."
        )
    return tuple(map(int, widths))


def checked_training(configs: object, dataset: object, progress: object) -> tuple[list[TrainingConfig], Dataset]:
    """What `train` is given, configs as a list; ValueError unless each is what it is to be."""
    chosen = listed(configs)
    if isinstance(configs, TrainingConfig):
        raise ValueError("configs must be a list of TrainingConfig, got one by itself. Pass [config].")
    if chosen is None or not all(isinstance(config, TrainingConfig) for config in chosen):
        other = next((one for one in chosen or () if not isinstance(one, TrainingConfig)), configs)
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
    return chosen, dataset


def _kind(value: object) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{type(value).__name__}, shape {tuple(value.shape)} of {value.dtype}"
    return shown(value) if isinstance(value, str | int | float | None) else type(value).__name__

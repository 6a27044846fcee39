"""What `similarity_matrices` is given: images and labels in whatever they come, and networks that can be measured."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch.nn.parameter import is_lazy

from modularity_lib.arrays import Wanted, n_missing, numbers_of


def checked_images(images: object, *, inputs: int | None = None) -> np.ndarray:
    """Images as an array that PyTorch can take; ValueError unless finite and (images, ...), or (images, inputs)."""
    values = _array("images", images, _IMAGES)
    expected = "(images, ...)" if inputs is None else f"(images, {inputs})"
    if values.ndim < 2 or values.size == 0 or (inputs is not None and values.shape[1:] != (inputs,)):
        raise ValueError(
            f"images must have shape {expected} with at least one image, got {values.shape}. "
            "Images with rows and columns become flat by .reshape(len(images), -1)."
        )
    if values.dtype.kind not in "buif":
        raise ValueError(
            f"images must be real numbers, got {values.dtype}. Tables and categories become numbers first."
        )
    if values.dtype.kind == "f":
        single = values.dtype.itemsize <= 4  # neither float16 nor more than float64 is measured in
        values = values.astype(np.float32 if single else np.float64, copy=False)
    if not np.isfinite(values).all():
        raise ValueError("images must be finite, got NaN or infinity. Leave such images out, or fill what is missing.")
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))


def checked_labels(labels: object, n_images: int) -> np.ndarray:
    """Labels as an array; ValueError unless there is one whole number of at least 0 for every image."""
    values = _array("labels", labels, _LABELS)
    if values.shape != (n_images,) or values.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be {n_images} whole numbers, one per image, got {values.dtype} of shape {values.shape}. "
            f"{_way_to_labels(values, n_images)}"
        )
    return values


def check_labels(labels: np.ndarray, n_images: int, n_classes: int) -> None:
    """Raise ValueError unless labels holds one whole number in 0..n_classes - 1 for every image."""
    values = checked_labels(labels, n_images)
    if values.min() < 0 or values.max() >= n_classes:
        raise ValueError(
            f"labels must lie in 0..{n_classes - 1}, as the network has {n_classes} logits, got "
            f"{values.min()}..{values.max()}. Classes are counted from 0; np.unique(labels, return_inverse=True)[1] "
            "counts them anew."
        )


def check_network(network: object) -> None:
    """Raise ValueError unless network is a module of PyTorch with numbers in it, and its parts can be watched."""
    if not isinstance(network, torch.nn.Module):
        raise ValueError(
            f"network must be a torch.nn.Module, got {type(network).__name__}. Parameters become one by "
            "modularity_lib.training.networks.network_of()."
        )
    if isinstance(network, torch.jit.ScriptModule):
        raise ValueError(
            f"network must be a torch.nn.Module as it was written, got {type(network).__name__} of torch.jit, whose "
            "layers cannot be watched. Give the network that was scripted or traced, with the same weights."
        )
    tensors = [*chain(network.parameters(), network.buffers())]
    if any(is_lazy(tensor) for tensor in tensors):
        raise ValueError("network has lazy layers without weights. Run it once on some images, and measure then.")
    if any(tensor.is_meta for tensor in tensors):
        raise ValueError("network has weights on the meta device, which hold no numbers. Load its weights first.")


def check_layers(network: torch.nn.Module, layers: Sequence[str]) -> None:
    """Raise ValueError if a layer lies in a part that torch.jit has compiled, where nothing can be watched."""
    for layer in layers:
        path = layer.split(".")
        for depth in range(1, len(path) + 1):
            part = ".".join(path[:depth])
            if isinstance(network.get_submodule(part), torch.jit.ScriptModule):
                raise ValueError(
                    f"layer {layer!r} must not lie in a part that torch.jit has scripted or traced, as {part!r} is. "
                    "Put the module that it was made from in its place, with the same weights."
                )


def _array(name: str, value: object, wanted: Wanted) -> np.ndarray:
    array = numbers_of(name, value, wanted)
    if array.ndim == 0 and not hasattr(value, "shape"):  # NumPy makes an array of any object
        raise ValueError(f"{name} must {wanted.expected}, got {type(value).__name__}. {wanted.way_out(value, array)}")
    return array


def _way_out(value: object, _: np.ndarray | None) -> str:
    if hasattr(value, "test_images"):
        return "Its images are .test_images, their labels .test_labels."
    if hasattr(value, "dataset") or (hasattr(value, "__getitem__") and not isinstance(value, str | bytes | dict)):
        return (  # of torch.utils.data
            "Pass all images in one tensor, as torch.stack([image for image, label in data]) makes it, and all labels."
        )
    return "Pass the numbers as a NumPy array or a tensor."


def _way_to_labels(labels: np.ndarray, n_images: int) -> str:
    if labels.ndim == 2 and labels.shape[1] == 1 and labels.dtype.kind in "iu":
        return "Pass labels.ravel()."
    if labels.ndim == 2 and len(labels) == n_images and labels.shape[1] > 1:
        return f"One-hot labels go through .argmax(axis=1). Several labels per image have another loss. {_ONE_LOSS}"
    if labels.ndim == 1 and len(labels) != n_images:
        return "Images and labels must be the same part of the data."
    missing = n_missing(labels)
    if missing:
        return (
            f"Of the labels {missing} are missing. Leave their images out, or leave labels and output_hessian out: the "
            "other measures need no labels."
        )
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        return "Infinity is no class."
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels)):
        return f"Real numbers are targets of a regression. {_ONE_LOSS}"
    if labels.dtype.kind in "bf":
        return f"Classes that are stored so become whole numbers by .astype(int). {_ONE_LOSS}"
    if labels.dtype.kind in "iu":
        return f"A class is one number. {_ONE_LOSS}"
    return "Names of classes become numbers by np.unique(labels, return_inverse=True)[1]."


_ONE_LOSS = (
    "The Hessian here is that of the cross-entropy of classes, which are whole numbers; other losses are not there "
    "yet. The other measures need no labels: leave labels and output_hessian out."
)


_IMAGES = Wanted("be an array", _way_out, ".filled(0), say, or leave these images out")
_LABELS = Wanted("be an array", _way_out, "the images and labels that are there: a class cannot be filled in")

"""The images of the study: their scale, their checksum, and the split of a run."""

import hashlib
from dataclasses import dataclass

import numpy as np

from modularity_lib.arrays import shown
from modularity_lib.images.sources import DATASETS, GreyImages
from modularity_lib.vocabulary import did_you_mean

_SPLIT_STREAM = 1  # keeps this draw apart from the other random draws of a run (see training/training.py)


@dataclass(frozen=True)
class Dataset:
    """Images of ten classes, split into a training and a test set; all arrays are read-only.

    `sha256` identifies the content, whatever file it was read from: the SHA-256 of the grey values of the training
    images, the training labels, the grey values of the test images and the test labels, one after the other, each as
    unsigned bytes in row-major order.

    `torch.tensor(dataset.test_images)` copies an array into torch; `torch.from_numpy` would warn that it shares memory
    with a read-only one.
    """

    name: str
    train_images: np.ndarray  # (images, pixels), float32, grey value / 255, in [0, 1]
    train_labels: np.ndarray  # (images,), int64, class of each image
    test_images: np.ndarray
    test_labels: np.ndarray
    sha256: str


def load_dataset(name: str = "mnist-5k") -> Dataset:
    """Read one of the `DATASETS`; every file is checked against its published SHA-256 before it is used.

    "mnist-5k" comes with the library (4,000 training and 1,000 test images). "mnist" and "fashion-mnist" (60,000 and
    10,000) are read from the folder named by the environment variable MODULARITY_DATA if it is set ("fashion-mnist"
    from its subfolder of that name), else from the user's cache folder, into which missing files are downloaded.

    Raises:
        ValueError: unknown name.
        DatasetUnavailable: a file is missing and cannot be downloaded, or MODULARITY_DATA does not hold it.
        DatasetAltered: a file in MODULARITY_DATA or in the library is not the published one.

    >>> digits = load_dataset("mnist-5k")
    >>> digits.train_images.shape, digits.test_images.shape
    ((4000, 784), (1000, 784))
    """
    if not isinstance(name, str) or name not in DATASETS:
        known = ", ".join(map(repr, DATASETS))
        raise ValueError(f"name must be one of {known}, got {shown(name)}.{did_you_mean(name, DATASETS)}")
    return dataset_of(name, DATASETS[name].read())


def dataset_of(name: str, grey: GreyImages) -> Dataset:
    """Dataset of images given as grey values: scales them to [0, 1] and computes the checksum of the content.

    Raises:
        ValueError: an array is not uint8, images are not (images, pixels), or images and labels differ in number.
    """
    for part, images, labels in (("train", *grey[:2]), ("test", *grey[2:])):
        if images.dtype != np.uint8 or labels.dtype != np.uint8:
            raise ValueError(
                f"{part}_images and {part}_labels must be uint8, got {images.dtype} and {labels.dtype}. Images are "
                "given as grey values 0 to 255; the division by 255 happens here."
            )
        if images.ndim != 2 or labels.shape != images.shape[:1]:
            raise ValueError(
                f"{part}_images must have shape (images, pixels) and {part}_labels shape (images,), got {images.shape} "
                f"and {labels.shape}. An image of 28 x 28 pixels becomes a row of 784."
            )
    digest = hashlib.sha256()
    for array in grey:
        digest.update(np.ascontiguousarray(array).data)
    return Dataset(
        name=name,
        train_images=_read_only(grey.train_images / np.float32(255)),
        train_labels=_read_only(grey.train_labels.astype(np.int64)),
        test_images=_read_only(grey.test_images / np.float32(255)),
        test_labels=_read_only(grey.test_labels.astype(np.int64)),
        sha256=digest.hexdigest(),
    )


def _read_only(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)  # else one `*=` in a chapter would leave the checksum beside other images
    return array


def train_validation_split(
    n_images: int, *, seed: int, validation_fraction: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Draw which training images a run trains on and which it validates on.

    Args:
        n_images: how many training images there are.
        seed: fixes the split; the same on every platform.
        validation_fraction: share set aside for validation, in (0, 1); 0.1 makes 6,000 of 60,000.
    Returns:
        Indices of the images to train on and of those to validate on, int64, each in ascending order: every image is in
        exactly one. (The order of the batches is another random draw of the run.)
    Raises:
        ValueError: one of the two parts would be empty.
    Source: Lange et al. (2022), Methods; 54,000 and 6,000 of MNIST's 60,000.

    >>> train_index, validation_index = train_validation_split(60_000, seed=0)
    >>> len(train_index), len(validation_index)
    (54000, 6000)
    """
    n_validation = round(n_images * validation_fraction)
    if not 0 < n_validation < n_images:
        raise ValueError(
            f"both parts of the split must hold an image: validation_fraction={validation_fraction!r} of "
            f"n_images={n_images!r} sets {n_validation} aside. The paper uses 0.1 of 60,000."
        )
    order = np.random.default_rng([seed, _SPLIT_STREAM]).permutation(n_images)
    return np.sort(order[n_validation:]), np.sort(order[:n_validation])

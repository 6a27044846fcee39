"""What training is given is of the right kind, or is refused in words before anything is computed."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch

import modularity_lib as ml
from modularity_lib.studies import lineage
from modularity_lib.studies.fingerprint import definitions
from modularity_lib.studies.keys import network_keys
from oracles_training import made_up_dataset

OTHERS = [
    None,
    True,
    False,
    "3",
    b"3",
    -1,
    np.nan,
    10**400,
    10**5000,
    1j,
    [],
    {},
    {1, 2},
    object(),
    int,
    np.zeros((2, 3)),
    np.array(["a", "b"]),
    np.datetime64("2020"),
    torch.nn.Linear(2, 2),
    torch.tensor(3),
    ml.TrainingConfig(),
    lambda: 0,
]
NUMBERS = ("l1", "l2", "dropout", "learning_rate")
COUNTS = ("run", "epochs", "batch_size")


@pytest.mark.parametrize("value", OTHERS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("field", [*NUMBERS, *COUNTS, "hidden", "protocol"])
def test_a_field_of_another_kind_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field} must ") as refusal:
        ml.TrainingConfig(**{field: value})
    assert len(str(refusal.value)) < 400
    with pytest.raises(ValueError, match=f"^{field} must "):
        replace(ml.TrainingConfig(), **{field: value})


@pytest.mark.parametrize("value", [2.5, 1.0, np.float64(3), 2**80])
@pytest.mark.parametrize("field", COUNTS)
def test_a_count_is_a_whole_number_that_can_be_reached(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field} must be a whole number of at (least|most) "):
        ml.TrainingConfig(**{field: value})


@pytest.mark.parametrize("hidden", [5, (64, True), (64, 2.0), ("64",), [[64], [64]], (64, -1), (0,), (64, 2**80), "64"])
def test_hidden_is_a_list_of_whole_numbers(hidden: Any) -> None:
    with pytest.raises(ValueError, match=r"^hidden must give the number of units of at least one layer, got "):
        ml.TrainingConfig(hidden=hidden)


def test_numbers_of_numpy_make_the_config_and_the_keys_of_plain_ones() -> None:
    plain = ml.TrainingConfig(hidden=(8, 4), run=3, epochs=2, batch_size=50, l2=0.5, l1=0.25, dropout=0.5)
    of_numpy = ml.TrainingConfig(
        hidden=np.array([8, 4]),  # type: ignore[arg-type]
        run=np.int64(3),  # type: ignore[arg-type]
        epochs=np.uint8(2),  # type: ignore[arg-type]
        batch_size=np.int32(50),  # type: ignore[arg-type]
        l2=np.float32(0.5),  # type: ignore[arg-type]
        l1=np.float64(0.25),
        dropout=np.float16(0.5),  # type: ignore[arg-type]
    )
    assert of_numpy == plain
    assert hash(of_numpy) == hash(plain)
    assert ml.TrainingConfig(hidden=[8, 4]) == ml.TrainingConfig(hidden=(8, 4))  # type: ignore[arg-type]
    assert [type(value) for value in asdict(of_numpy).values()] == [type(value) for value in asdict(plain).values()]
    assert network_keys(of_numpy, ml.STUDIES["smoke"]) == network_keys(plain, ml.STUDIES["smoke"])
    assert type(ml.TrainingConfig(l1=0).l1) is int  # as it is in the keys


def test_whoever_makes_a_config_meets_the_checks() -> None:
    code = "from modularity_lib.training.config import TrainingConfig; TrainingConfig(hidden=5)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ValueError: hidden must give" in ended.stderr.splitlines()[-1]


def test_the_checks_are_no_part_of_the_keys() -> None:
    reached = {place.module for place in definitions(*lineage.ENTRIES["training"])}
    assert "modularity_lib.training.config" in reached
    assert "modularity_lib.training.arguments" not in reached


SIZES = [None, 5, True, "784", 2.5, [784, "a", 10], [784, True, 10], [784, 3.0, 10], {784, 64, 10}, torch.nn.ReLU()]
SIZES += [[784, None, 10], [784, 2**80, 10], [784, 10**400, 10], np.array(3), np.ones((3, 3)), object(), [10, 0, 10]]


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: type(sizes).__name__)
def test_sizes_of_another_kind_are_refused_by_name(sizes: Any) -> None:
    with pytest.raises(ValueError, match=r"^sizes must be at least three positive whole numbers .* got "):
        ml.MLP(sizes)


def test_a_network_that_no_memory_holds_is_refused_before_it_is_tried() -> None:
    with pytest.raises(ValueError, match=r"sizes must make a network of at most 4,294,967,296 weights, got \[784, 10"):
        ml.MLP([784, 10**8, 10])


@pytest.mark.parametrize("value", [one for one in OTHERS if one is not None], ids=lambda value: type(value).__name__)
def test_dropout_of_a_network_is_refused_by_name(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^dropout must be a probability in \[0, 1\), got "):
        ml.MLP([4, 3, 2], dropout=value)


def test_sizes_are_taken_in_any_order_that_holds_whole_numbers() -> None:
    for sizes in ((4, 3, 2), np.array([4, 3, 2]), (size for size in (4, 3, 2)), range(4, 1, -1)):
        assert ml.MLP(sizes).sizes == (4, 3, 2)  # type: ignore[arg-type]


CONFIG = ml.TrainingConfig(hidden=(4,), epochs=0)
WRONG: dict[str, tuple[Callable[[ml.Dataset], tuple[Any, ...]], str]] = {
    "one config": (lambda images: (CONFIG, images), r"^configs must be a list .* one by itself\. Pass \[config\]"),
    "exchanged": (lambda images: (images, [CONFIG]), "^configs must be a list .* got Dataset.* configs come first"),
    "network first": (lambda images: (ml.MLP([4, 3, 2]), images), "^configs must be a list of .*, got MLP"),
    "network among": (lambda images: ([CONFIG, ml.MLP([4, 3, 2])], images), "^configs must .* got MLP among them"),
    "images among": (lambda images: ([images], CONFIG), "got Dataset among them.* configs come first"),
    "nothing": (lambda images: (None, images), "^configs must be a list of TrainingConfig, got None"),
    "text": (lambda images: ("v1", images), "^configs must be a list of TrainingConfig, got 'v1'"),
    "fields": (lambda images: ({"hidden": (4,)}, images), "^configs must be a list of TrainingConfig, got dict"),
    "name": (
        lambda images: ([CONFIG], "mnist-5k"),
        r"^dataset must be a Dataset, got 'mnist-5k'\. Pass load_dataset\(",
    ),
    "array": (
        lambda images: ([CONFIG], images.train_images),
        r"^dataset must .* got ndarray, shape \(500, 40\) of float",
    ),
    "twice": (lambda images: ([CONFIG], [CONFIG]), "^dataset must be a Dataset, got list"),
    "progress": (lambda images: ([CONFIG], images, True), "^progress must be a function .* got True"),
}


@pytest.mark.parametrize("case", WRONG)
def test_training_says_which_argument_is_not_what_it_is_to_be(case: str) -> None:
    make, message = WRONG[case]
    first, second, *progress = make(made_up_dataset())
    with pytest.raises(ValueError, match=message):
        ml.train(first, second, progress=progress[0] if progress else None)


@pytest.mark.parametrize(
    "changes",
    [
        {"train_images": np.zeros((5, 4, 4), dtype=np.float32)},
        {"train_images": np.zeros((500, 40))},
        {"train_images": [[0.0]]},
        {"train_images": np.zeros((0, 40), dtype=np.float32), "train_labels": np.zeros(0, dtype=int)},
        {"train_labels": np.zeros(3, dtype=int)},
        {"train_labels": np.zeros(500)},
        {"test_images": None},
        {"test_labels": "labels"},
    ],
)
def test_a_dataset_of_other_arrays_is_refused(changes: dict[str, Any]) -> None:
    part = next(iter(changes)).partition("_")[0]
    with pytest.raises(ValueError, match=rf"^dataset must have {part}_images of float32 .* {part}_labels, got "):
        ml.train([CONFIG], replace(made_up_dataset(), **changes))


def test_configs_are_taken_from_whatever_lists_them() -> None:
    images = made_up_dataset()
    [right] = ml.train([CONFIG], images)
    for configs in ((CONFIG,), (config for config in [CONFIG]), np.array([CONFIG])):
        [found] = ml.train(configs, images)  # type: ignore[arg-type]
        assert np.array_equal(found.parameters.weights[0], right.parameters.weights[0])

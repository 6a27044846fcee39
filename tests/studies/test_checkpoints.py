"""A training that is stopped and goes on from its checkpoint is, bit for bit, the one that was never stopped."""

from pathlib import Path

import numpy as np
import pytest

from modularity_lib.images.dataset import Dataset, dataset_of
from modularity_lib.images.sources import GreyImages
from modularity_lib.studies.checkpoints import forget_checkpoints, has_checkpoint, train_with_checkpoints
from modularity_lib.studies.store import Store
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.training import TrainedNetwork, train


class Stopped(Exception):
    """Stands for a kill."""


def tiny_digits() -> Dataset:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(10, dtype=np.uint8), 30)
    images = (random.random((300, 12)) * 40 + 20 * (labels[:, None] % 12 == np.arange(12))).astype(np.uint8)
    return dataset_of("tiny", GreyImages(images, labels, images, labels))


DIGITS = tiny_digits()


def configs(protocol: str) -> list[TrainingConfig]:
    common = {"hidden": (8, 8), "protocol": protocol, "epochs": 12, "batch_size": 50}
    return [TrainingConfig(**common), TrainingConfig(**common, dropout=0.5), TrainingConfig(**common, l1=1e-2)]


def stop_after(epochs: int):
    seen = []

    def progress(_: int) -> None:
        seen.append(None)
        if len(seen) > epochs:  # the first call says how much the checkpoint saved
            raise Stopped

    return progress


def assert_same(ours: list[TrainedNetwork], theirs: list[TrainedNetwork]) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert (a.epochs, a.status, a.validation_loss) == (b.epochs, b.status, b.validation_loss)
        for one, other in zip(
            a.parameters.weights + a.parameters.biases, b.parameters.weights + b.parameters.biases, strict=True
        ):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("protocol", ["v1", "final"])
@pytest.mark.parametrize("stops", [(5,), (1, 1, 3)])
def test_a_stopped_training_goes_on_as_if_it_had_not_been_stopped(
    protocol: str, stops: tuple[int, ...], tmp_path: Path
) -> None:
    store, kwargs = Store(tmp_path), {"name": "a-training-of-three", "interval": 0.0}
    for epochs in stops:
        with pytest.raises(Stopped):
            train_with_checkpoints(configs(protocol), DIGITS, store, progress=stop_after(epochs), **kwargs)
    saved = []
    resumed = train_with_checkpoints(configs(protocol), DIGITS, store, progress=saved.append, **kwargs)
    assert saved[0] == 3 * (sum(stops) - len(stops))  # of each stop, the epoch under way is lost
    assert_same(resumed, train(configs(protocol), DIGITS))


def test_a_damaged_checkpoint_is_not_used(tmp_path: Path) -> None:
    store, kwargs = Store(tmp_path), {"name": "a-training-of-three", "interval": 0.0}
    with pytest.raises(Stopped):
        train_with_checkpoints(configs("v1"), DIGITS, store, progress=stop_after(4), **kwargs)
    [arrays] = tmp_path.rglob("arrays.safetensors")
    content = bytearray(arrays.read_bytes())
    content[-1] ^= 1
    arrays.write_bytes(content)
    saved = []
    resumed = train_with_checkpoints(configs("v1"), DIGITS, store, progress=saved.append, **kwargs)
    assert saved[0] == 0
    assert_same(resumed, train(configs("v1"), DIGITS))


def test_only_the_last_checkpoint_is_kept_and_none_once_forgotten(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(Stopped):
        train_with_checkpoints(configs("v1"), DIGITS, store, name="x", interval=0.0, progress=stop_after(6))
    assert len(list(tmp_path.rglob("facts.json"))) == 1
    assert has_checkpoint(store, "x")
    forget_checkpoints(store, "x")
    assert not has_checkpoint(store, "x")
    assert not list(tmp_path.rglob("facts.json"))


def test_a_short_training_leaves_no_checkpoint(tmp_path: Path) -> None:
    train_with_checkpoints(configs("v1"), DIGITS, Store(tmp_path), name="x")
    assert not list(tmp_path.iterdir())

"""Checkpoints of a training: after a kill it goes on from the last one, bit for bit as if nothing had happened."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from modularity_lib.data import Dataset
from modularity_lib.protocols import Plateau
from modularity_lib.store import Entry, Store, key_of
from modularity_lib.training import TrainedNetwork, TrainingConfig, TrainingState, advance, finish, images_of_run, start

CHECKPOINT_SECONDS = 20.0  # a kill costs at most this much work, and the epoch under way
SHORT_TRAINING_SECONDS = 5.0  # what is trained so fast needs no checkpoint

_NETWORK_ARRAYS = ("parameters", "first_moments", "second_moments", "learning_rates")


def train_with_checkpoints(
    configs: Sequence[TrainingConfig],
    dataset: Dataset,
    store: Store,
    *,
    name: str,
    progress: Callable[[int], object] | None = None,
    interval: float = CHECKPOINT_SECONDS,
) -> list[TrainedNetwork]:
    """Train the networks of one run as `training.train` does, going on from the last checkpoint of this name.

    Args:
        name: names the checkpoints; it must stand for these configs and this version of the training.
        progress: called with the number of network-epochs that a checkpoint saved, and after each epoch.
        interval: seconds between two checkpoints.
    """
    stage = f"checkpoints-{name[:16]}"
    state = _latest(configs, dataset, store, stage) or start(configs, dataset)
    images = images_of_run(dataset, run=configs[0].run, validation_only=not state.training.any())
    if progress is not None:
        progress(int(state.epochs.sum()))
    started = written = time.monotonic()
    while state.training.any():
        n_training = int(state.training.sum())
        advance(state, images)
        if progress is not None:
            progress(n_training)
        if time.monotonic() - written > interval and state.training.any():
            save(state, store, stage)
            written = time.monotonic()
    if time.monotonic() - started > SHORT_TRAINING_SECONDS:
        save(state, store, stage)  # until all its networks are written
    return finish(state, images)


def has_checkpoint(store: Store, name: str) -> bool:
    """Whether there is a checkpoint of this name."""
    return bool(store.keys(f"checkpoints-{name[:16]}"))


def forget_checkpoints(store: Store, name: str) -> None:
    """Remove the checkpoints of a training whose results are in the store."""
    store.remove(f"checkpoints-{name[:16]}")


def save(state: TrainingState, store: Store, stage: str) -> None:
    """Write a checkpoint, then remove the one before."""
    before = store.keys(stage)
    arrays = {name: getattr(state.networks, name) for name in _NETWORK_ARRAYS}
    arrays |= {"epochs": state.epochs, "training": state.training.astype(np.uint8), "kept": state.kept}
    plateaus = [{name: _finite_or_none(value) for name, value in asdict(plateau).items()} for plateau in state.plateaus]
    facts = {"epoch": state.epoch, "plateaus": plateaus, "reasons": state.reasons}
    key = key_of({"stage": stage, "epoch": state.epoch})
    store.write(stage, key, Entry(facts, arrays), ingredients={"epoch": state.epoch}, seconds=0.0)
    for old in before:
        if old != key:
            store.remove(stage, old)


def _latest(configs: Sequence[TrainingConfig], dataset: Dataset, store: Store, stage: str) -> TrainingState | None:
    entries = [entry for key in store.keys(stage) if (entry := store.read(stage, key)) is not None]
    if not entries:
        return None
    entry = max(entries, key=lambda entry: entry.facts["epoch"])
    state = start(configs, dataset)
    for name in _NETWORK_ARRAYS:
        getattr(state.networks, name)[:] = entry.arrays[name]
    state.epochs[:] = entry.arrays["epochs"]
    state.training[:] = entry.arrays["training"].astype(bool)
    state.kept[:] = entry.arrays["kept"]
    state.epoch = entry.facts["epoch"]
    state.plateaus = [_plateau(plateau) for plateau in entry.facts["plateaus"]]
    state.reasons = entry.facts["reasons"]
    return state


def _plateau(facts: dict[str, Any]) -> Plateau:
    values: dict[str, Any] = {name: math.inf if value is None else value for name, value in facts.items()}
    return Plateau(**values)


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None  # JSON has no infinity

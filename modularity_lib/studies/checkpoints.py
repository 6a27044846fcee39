"""Checkpoints of a training: after a kill it goes on from the last one, bit for bit as if nothing had happened.

A GPU (training/gpu.py) writes the same checkpoints and can go on from those of a processor, and the other way round;
the networks are then the same up to rounding.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from modularity_lib.images.dataset import Dataset
from modularity_lib.studies.entries import Entry, key_of
from modularity_lib.studies.store import Store
from modularity_lib.training.config import Plateau, TrainingConfig
from modularity_lib.training.training import TrainedNetwork, TrainingState, advance, finish, images_of_run, start

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
    state, device = begin(configs, dataset, store, name=name)
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
            save(state, store, name=name, device=device)
            written = time.monotonic()
    if time.monotonic() - started > SHORT_TRAINING_SECONDS:
        save(state, store, name=name, device=device)  # until all its networks are written
    return finish(state, images)


def begin(
    configs: Sequence[TrainingConfig], dataset: Dataset, store: Store, *, name: str
) -> tuple[TrainingState, dict[str, Any] | None]:
    """State of the last checkpoint of this name, or of a new training; and the device that trained, see `save`."""
    entry = _latest(store, _stage(name))
    if entry is None:
        return start(configs, dataset), None
    return _state(entry, configs, dataset), entry.facts.get("device")


def device_of(store: Store, name: str) -> dict[str, Any] | None:
    """Device that brought a training to its last checkpoint, see `save`; None: none but the processor."""
    entry = _latest(store, _stage(name))
    return None if entry is None else entry.facts.get("device")


def has_checkpoint(store: Store, name: str) -> bool:
    """Whether there is a checkpoint of this name."""
    return bool(store.keys(_stage(name)))


def forget_checkpoints(store: Store, name: str) -> None:
    """Remove the checkpoints of a training whose results are in the store."""
    store.remove(_stage(name))


def save(state: TrainingState, store: Store, *, name: str, device: dict[str, Any] | None = None) -> None:
    """Write a checkpoint, then remove the one before.

    Args:
        device: the GPU that trained, its "name" and the "seconds" that it spent on each network; None: none did.
    """
    stage = _stage(name)
    before = store.keys(stage)
    arrays = {name: getattr(state.networks, name) for name in _NETWORK_ARRAYS}
    arrays |= {"epochs": state.epochs, "training": state.training.astype(np.uint8), "kept": state.kept}
    plateaus = [{name: _finite_or_none(value) for name, value in asdict(plateau).items()} for plateau in state.plateaus]
    facts = {"epoch": state.epoch, "plateaus": plateaus, "reasons": state.reasons, "device": device}
    key = key_of({"stage": stage, "epoch": state.epoch})
    store.write(stage, key, Entry(facts, arrays), ingredients={"epoch": state.epoch}, seconds=0.0)
    for old in before:
        if old != key:
            store.remove(stage, old)


def _stage(name: str) -> str:
    return f"checkpoints-{name[:16]}"


def _latest(store: Store, stage: str) -> Entry | None:
    entries = [entry for key in store.keys(stage) if (entry := store.read(stage, key)) is not None]
    return max(entries, key=lambda entry: entry.facts["epoch"]) if entries else None


def _state(entry: Entry, configs: Sequence[TrainingConfig], dataset: Dataset) -> TrainingState:
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

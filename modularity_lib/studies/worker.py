"""Compute the results of some networks of a study, stage by stage, except what is in the store."""

import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from modularity_lib.images.dataset import Dataset
from modularity_lib.studies import measurement
from modularity_lib.studies.archive import Archive, arrays_of, dataset_of_study, parameters_of_arrays
from modularity_lib.studies.checkpoints import (
    begin,
    device_of,
    forget_checkpoints,
    has_checkpoint,
    save,
    train_with_checkpoints,
)
from modularity_lib.studies.entries import Entry, key_of
from modularity_lib.studies.heartbeat import Heartbeat
from modularity_lib.studies.store import StoreUnusable
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.gpu import device_title, train_on_device
from modularity_lib.training.performance import network_facts
from modularity_lib.training.training import TrainingState

ATTEMPTS = 3  # a network that fails so often is set aside, and the others go on


@dataclass(frozen=True)
class Failure:
    """A network that was set aside, and the traceback of its last attempt."""

    config: dict[str, Any]
    error: str
    traceback: str


def compute(configs: Sequence[TrainingConfig], archive: Archive) -> list[Failure]:
    """Compute the results of networks that were grouped by `engine.tasks_of`, unless they are in the store.

    The networks of a group that miss their training are trained as one batch. Where that fails, each is tried alone;
    what fails three times is set aside and returned. Nothing is raised but for a store that cannot be used.
    """
    dataset = dataset_of_study(archive.study.dataset)
    # One thread in each process, whoever calls: on these small products threads only wait for each other.
    with threadpool_limits(1, user_api="blas"), Heartbeat(archive.store, archive.study.name) as heartbeat:
        failures: list[Failure] = []
        for batch in _by_run(configs):
            try:
                _compute_batch(batch, archive, dataset, heartbeat)
            except StoreUnusable:
                raise
            except Exception:  # whatever it is, the other networks must not suffer
                for config in batch:
                    failures += _try_alone(config, archive, dataset, heartbeat)
        return failures


def train_missing(
    tasks: Sequence[Sequence[TrainingConfig]],
    archive: Archive,
    *,
    device: torch.device,
    report: Callable[[], object],
) -> None:
    """Train on a device all networks of some tasks that miss their training, and leave them as finished checkpoints.

    `compute` then finds those checkpoints, and makes and analyses the results. A training that was stopped goes on from
    its last checkpoint, here or there. At the end `report` is called while the sign of life still says what was done.
    """
    store, dataset = archive.store, dataset_of_study(archive.study.dataset)
    with Heartbeat(store, archive.study.name) as heartbeat:
        states: list[TrainingState] = []
        names: list[str] = []
        devices: list[dict[str, Any] | None] = []
        for chosen, name in _missing_trainings(tasks, archive):
            state, trained_on = begin(chosen, dataset, store, name=name)
            states.append(state)
            names.append(name)
            devices.append(trained_on)
        heartbeat.trained(sum(int(state.epochs.sum()) for state in states))
        started = time.monotonic()
        n_networks = sum(int(state.training.sum()) for state in states)
        saved: dict[str, int] = {}

        def save_some(some: Sequence[TrainingState]) -> None:
            seconds = (time.monotonic() - started) / n_networks
            for state, name, before in zip(states, names, devices, strict=True):
                if any(state is one for one in some) and saved.get(name) != state.epoch:
                    spent = seconds + (before["seconds"] if before else 0.0)
                    save(state, store, name=name, device={"name": device_title(device), "seconds": round(spent, 3)})
                    saved[name] = state.epoch

        train_on_device(states, dataset, device, progress=heartbeat.trained, save=save_some)
        # Networks that ended before their time have no epochs left to train.
        heartbeat.trained(sum(config.epochs for state in states for config in state.configs) - heartbeat.epochs)
        heartbeat.say()
        report()


def misses_training(tasks: Sequence[Sequence[TrainingConfig]], archive: Archive) -> bool:
    """Whether some networks of these tasks have yet to be trained."""
    return any(config.epochs and not archive.has("training", config) for configs in tasks for config in configs)


def _missing_trainings(
    tasks: Sequence[Sequence[TrainingConfig]], archive: Archive
) -> Iterator[tuple[list[TrainingConfig], str]]:
    """Networks that are to be trained side by side, and the name of their checkpoints; without the untrained ones."""
    for configs in tasks:
        for batch in _by_run([config for config in configs if config.epochs > 0]):
            chosen, name = _missing_of(batch, archive)
            if chosen:
                yield chosen, name


def _missing_of(batch: Sequence[TrainingConfig], archive: Archive) -> tuple[list[TrainingConfig], str]:
    """Networks of a batch of one run that miss their training, and the name of their checkpoints."""
    keys = {config: archive.keys(config).of["training"] for config in batch}
    missing = [config for config in batch if archive.read("training", config) is None]
    # A checkpoint of the whole batch may hold the networks that a kill kept from being written.
    whole = key_of({"batch": list(keys.values())})
    if missing and has_checkpoint(archive.store, whole):
        return list(batch), whole
    return missing, key_of({"batch": [keys[config] for config in missing]})


def _by_run(configs: Sequence[TrainingConfig]) -> list[list[TrainingConfig]]:
    by_run: dict[int, list[TrainingConfig]] = defaultdict(list)
    for config in configs:
        by_run[config.run].append(config)
    return list(by_run.values())


def _compute_batch(batch: Sequence[TrainingConfig], archive: Archive, dataset: Dataset, heartbeat: Heartbeat) -> None:
    store = archive.store
    chosen, name = _missing_of(batch, archive)
    if chosen:
        started = time.thread_time()  # what it takes of a core, whatever else the machine does
        device = device_of(store, name)
        networks = train_with_checkpoints(chosen, dataset, store, name=name, progress=heartbeat.trained)
        seconds = (time.thread_time() - started) / len(chosen)
        for network in networks:
            entry = Entry(network_facts(network, dataset), arrays_of(network.parameters))
            archive.write("training", network.config, entry, seconds=seconds, device=device)
        heartbeat.written()
        forget_checkpoints(store, name)
    for config in batch:
        heartbeat.say()  # the analysis of a wide network takes a while
        _analyse(config, archive, dataset)
        archive.remove("failures", config)


def _try_alone(config: TrainingConfig, archive: Archive, dataset: Dataset, heartbeat: Heartbeat) -> list[Failure]:
    for _ in range(ATTEMPTS):
        try:
            _compute_batch([config], archive, dataset, heartbeat)
        except StoreUnusable:
            raise
        except Exception as error:
            failure = Failure(asdict(config), f"{type(error).__name__}: {error}", traceback.format_exc())
        else:
            return []
    keep_failure(archive, config, failure)
    return [failure]


def _analyse(config: TrainingConfig, archive: Archive, dataset: Dataset) -> None:
    modules = archive.read("modules", config)
    if modules is not None and archive.read("agreement", config) is not None:
        return
    trained, study = archive.read("training", config), archive.study
    assert trained is not None
    started = time.thread_time()
    matrices: measurement.Matrices = {}
    if trained.facts["status"] == "ok":
        matrices = measurement.measured_matrices(parameters_of_arrays(trained.arrays), dataset)
    if modules is None:
        modules = Entry({"rows": measurement.module_rows(matrices, seed=config.run, steps=study.search_steps)})
        archive.write("modules", config, modules, seconds=time.thread_time() - started)
    started = time.thread_time()
    rows = measurement.agreement_rows(matrices, modules.facts["rows"], seed=config.run, permutations=study.permutations)
    archive.write("agreement", config, Entry({"rows": rows}), seconds=time.thread_time() - started)


def keep_failure(archive: Archive, config: TrainingConfig, failure: Failure) -> None:
    """Note that a network was set aside, so that `modularity status` can show why."""
    archive.remove("failures", config)
    archive.write("failures", config, Entry(asdict(failure)), seconds=0.0)

"""Spread the tasks of a study over processes: on this machine's cores or on any Dask scheduler, or one shard here."""

import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, LocalCluster

from modularity_lib.compute import ATTEMPTS, Failure, compute, dataset_of_study, is_computed, keep_failure
from modularity_lib.experiments import Study
from modularity_lib.keys import network_keys
from modularity_lib.store import Store
from modularity_lib.training import TrainingConfig

NETWORKS_PER_TASK = 8  # trained side by side; enough tasks remain to keep every core busy to the end
POLL_SECONDS = 0.5

Report = Callable[[], object]  # called every POLL_SECONDS while tasks run


def tasks_of(study: Study) -> list[list[TrainingConfig]]:
    """All networks of a study in groups of one run, largest first; the same groups in every run of the study."""
    by_run: dict[int, list[TrainingConfig]] = defaultdict(list)
    for config in study.trained_configs() + study.untrained_configs():
        by_run[config.run if config.epochs else -1].append(config)
    tasks = []
    for configs in by_run.values():
        groups = -(-len(configs) // NETWORKS_PER_TASK)
        tasks += [configs[index::groups] for index in range(groups)]
    return sorted(tasks, key=lambda configs: -sum(config.epochs for config in configs))


def open_tasks(study: Study, store: Store, *, shard: tuple[int, int] = (1, 1)) -> list[list[TrainingConfig]]:
    """Groups in which something is left to compute; of shard i of n every n-th group, from the i-th on."""
    dataset = dataset_of_study(study.dataset)
    index, count = shard
    tasks = tasks_of(study)[index - 1 :: count]
    return [configs for configs in tasks if not all(is_computed(config, study, dataset, store) for config in configs)]


def run_here(tasks: Sequence[list[TrainingConfig]], study: Study, store: Store, *, report: Report) -> list[Failure]:
    """Compute tasks one after the other in this process, without an engine: one shard of a job array."""
    failures = []
    for configs in tasks:
        report()
        failures += compute(configs, study, str(store.root.resolve()))
    return failures


def run_on_dask(
    tasks: Sequence[list[TrainingConfig]],
    study: Study,
    store: Store,
    *,
    workers: int,
    scheduler: str | None,
    report: Report,
) -> list[Failure]:
    """Compute tasks on a Dask cluster: the one at the address `scheduler`, else one of our own on this machine.

    A worker that dies is replaced, and its task goes on from the last checkpoint. Where a task has cost three workers,
    each of its networks is tried alone, and one that costs three more is set aside.

    Raises:
        StoreUnusable: the store cannot be written.
        OSError: there is no scheduler at this address.
    """
    with _client(min(workers, len(tasks)), scheduler) as client:
        waiting = {_submit(client, configs, study, store): configs for configs in tasks}
        failures: list[Failure] = []
        while waiting:
            report()
            time.sleep(POLL_SECONDS)
            for future in [future for future in waiting if future.done()]:
                configs = waiting.pop(future)
                error = future.exception() if future.status != "finished" else None
                if error is None:
                    failures += future.result()
                elif not isinstance(error, KilledWorker):
                    raise error
                elif len(configs) > 1:
                    waiting |= {_submit(client, [config], study, store): [config] for config in configs}
                else:
                    failures.append(_set_aside(configs[0], study, store, error))
        report()
        return failures


def _submit(client: Client, configs: list[TrainingConfig], study: Study, store: Store) -> Future:
    return client.submit(compute, configs, study, str(store.root.resolve()), pure=False)


def _set_aside(config: TrainingConfig, study: Study, store: Store, error: Exception) -> Failure:
    failure = Failure(asdict(config), f"its process died {ATTEMPTS} times", str(error))
    keep_failure(store, network_keys(config, study, dataset_of_study(study.dataset)), failure)
    return failure


@contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Client]:
    settings: dict[str, Any] = {
        "distributed.scheduler.allowed-failures": ATTEMPTS - 1,
        "distributed.comm.timeouts.connect": "10s",
        "distributed.admin.tick.limit": "1h",  # a training step may hold the interpreter for seconds: no warning
    }
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # deaths and restarts are ours to report
    with dask.config.set(settings):
        if scheduler is not None:
            with Client(scheduler, set_as_default=False) as client:
                yield client
            return
        with (
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,  # threads of several processes would fight for the cores
                processes=True,
                memory_limit=0,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield client


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""Spread the tasks of a study over processes: on this machine's cores or on any Dask scheduler, or one shard here."""

import logging
import re
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import Study
from modularity_lib.training.config import TrainingConfig

if TYPE_CHECKING:
    # Dask, and what the worker needs to train and to measure, are imported where they are used: what is left to compute
    # can be seen without them.
    import torch
    from distributed import Client, Future

    from modularity_lib.studies.worker import Failure

NETWORKS_PER_TASK = 8  # trained side by side; enough tasks remain to keep every core busy to the end
REPORT_SECONDS = 0.5
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # of a worker: one

Report = Callable[[], object]  # called about every REPORT_SECONDS while tasks run


class SchedulerUnavailable(ConnectionError):
    """There is no Dask scheduler at the given address, or it ended in the middle."""


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


def open_tasks(archive: Archive, *, shard: tuple[int, int] = (1, 1)) -> list[list[TrainingConfig]]:
    """Groups in which something is left to compute; of shard i of n every n-th group, from the i-th on.

    A group stays whole, though some of its networks are in the store: its checkpoint is that of all of them.
    """
    index, count = shard
    tasks = [
        [config for config in configs if not archive.is_shipped(config)]
        for configs in tasks_of(archive.study)[index - 1 :: count]
    ]
    return [configs for configs in tasks if not all(map(archive.is_done, configs))]


def run_here(tasks: Sequence[list[TrainingConfig]], archive: Archive, *, report: Report) -> list["Failure"]:
    """Compute tasks one after the other in this process, without an engine: one shard of a job array."""
    from modularity_lib.studies.worker import compute

    with _reporting(report):
        return [failure for configs in tasks for failure in compute(configs, archive)]


def train_here(
    tasks: Sequence[list[TrainingConfig]], archive: Archive, *, device: "torch.device", report: Report
) -> None:
    """Train on a device, in this process, what the tasks miss; the results are left to those who compute the tasks."""
    from modularity_lib.studies.worker import train_missing

    with _reporting(report):
        train_missing(tasks, archive, device=device, report=report)


@contextmanager
def _reporting(report: Report) -> Iterator[None]:
    ended = threading.Event()

    def keep_reporting() -> None:
        while not ended.wait(REPORT_SECONDS):
            report()

    reporter = threading.Thread(target=keep_reporting, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        ended.set()
        reporter.join()
        report()


def run_on_dask(
    tasks: Sequence[list[TrainingConfig]],
    archive: Archive,
    *,
    workers: int,
    scheduler: str | None,
    report: Report,
) -> list["Failure"]:
    """Compute tasks on a Dask cluster: the one at the address `scheduler`, else one of our own on this machine.

    A worker that dies is replaced, and its task goes on from the last checkpoint. Where a task has cost three workers,
    each of its networks is tried alone, and one that costs three more is set aside.

    Raises:
        StoreUnusable: the store cannot be written.
        SchedulerUnavailable: there is no scheduler at this address, or it ended.
    """
    from distributed import KilledWorker

    from modularity_lib.studies.worker import compute

    with _client(min(workers, len(tasks)), scheduler) as client:
        changed = threading.Event()

        def submit(configs: list[TrainingConfig]) -> "Future":
            future = client.submit(compute, configs, archive, pure=False)
            future.add_done_callback(lambda _: changed.set())
            return future

        waiting = {submit(configs): configs for configs in tasks}
        failures: list[Failure] = []
        while waiting:
            report()
            changed.wait(REPORT_SECONDS)
            changed.clear()
            for future in [future for future in waiting if future.done()]:
                configs = waiting.pop(future)
                if future.status in ("cancelled", "lost"):
                    raise SchedulerUnavailable("the Dask scheduler ended. Start it and run again to go on")
                error = future.exception() if future.status != "finished" else None
                if error is None:
                    failures += future.result()
                elif not isinstance(error, KilledWorker):
                    raise error
                elif len(configs) > 1:
                    waiting |= {submit([config]): [config] for config in configs}
                else:
                    failures.append(_set_aside(configs[0], archive, error))
        report()
        return failures


def _set_aside(config: TrainingConfig, archive: Archive, error: Exception) -> "Failure":
    from modularity_lib.studies.worker import ATTEMPTS, Failure, keep_failure

    failure = Failure(asdict(config), f"its process died {ATTEMPTS} times", str(error))
    keep_failure(archive, config, failure)
    return failure


_ADDRESS = re.compile(r"(tcp|tls|ucx|wss?)://\S+:\d+\S*")


def _no_scheduler(address: str, why: str) -> str:
    return (
        f"no Dask scheduler answers at {address} ({why}). `dask scheduler` prints its address: tcp://10.0.0.1:8786, say"
    )


@contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator["Client"]:
    import dask
    from distributed import Client, LocalCluster

    from modularity_lib.studies.worker import ATTEMPTS

    settings: dict[str, Any] = {
        "distributed.scheduler.allowed-failures": ATTEMPTS - 1,
        "distributed.comm.timeouts.connect": "10s",
        # Dask gives a worker up, and its successor with it, that is not back in 15 s: a busy machine takes longer.
        "distributed.deploy.lost-worker-timeout": "1h",
        # Without Dask's own setting for glibc, which gives memory back at once and has to fetch it again: 10 % slower.
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(_THREADS, 1),
        "distributed.admin.tick.limit": "1h",  # a training step may hold the interpreter for seconds: no warning
    }
    with _silent("distributed", "tornado"), dask.config.set(settings):  # deaths and restarts are ours to report
        if scheduler is not None:
            if not _ADDRESS.fullmatch(scheduler):  # a client of such an address would fail and not end
                raise SchedulerUnavailable(_no_scheduler(scheduler, "it is no address of one"))
            try:
                client = Client(scheduler, set_as_default=False)
            except OSError as error:
                raise SchedulerUnavailable(_no_scheduler(scheduler, str(error))) from error
            with client:
                yield client
            return
        with _without_interrupts():  # none of the threads that start here, nor the workers that they start, sees Ctrl-C
            cluster = LocalCluster(
                n_workers=0,
                threads_per_worker=1,  # threads of several processes would fight for the cores
                processes=True,
                memory_limit=0,
                dashboard_address="127.0.0.1:0",  # any free port: a second run finds another one
                silence_logs=logging.CRITICAL,
            )
        with cluster, Client(cluster, set_as_default=False) as client:
            cluster.scale(workers)
            yield client


@contextmanager
def _silent(*packages: str) -> Iterator[None]:
    """Keep the loggers of some packages from saying anything; at the end they are as the user had set them."""
    names = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in packages]
    before = {logger: logger.level for logger in map(logging.getLogger, names)}
    for logger in before:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in before.items():
            logger.setLevel(level)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Keep Ctrl-C from this thread, and for good from the threads and processes that it starts meanwhile.

    In a terminal Ctrl-C goes to all processes at once, and each worker would say what it was doing.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # Python's keeper of semaphores lets signals through again in the thread that starts it: it must be there before.
    # It warns of what a process that was stopped has left, although it has just cleaned that up.
    sys.warnoptions.append("ignore:resource_tracker")
    resource_tracker.ensure_running()
    sys.warnoptions.remove("ignore:resource_tracker")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

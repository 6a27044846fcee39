"""Spread the tasks of a study over processes: on this machine's cores or on any Dask scheduler, or one shard here."""

import logging
import multiprocessing
import os
import re
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import Study
from modularity_lib.studies.entries import temporary_beside
from modularity_lib.studies.rehearsal import (
    WORKER_SECONDS,
    WorkersUnavailable,
    could_not_start,
    is_refused_thread,
    rehearsal,
)
from modularity_lib.training.config import TrainingConfig

if TYPE_CHECKING:
    # Dask, and what the worker needs to train and to measure, are imported where they are used: what is left to compute
    # can be seen without them.
    import torch
    from distributed import Client, Future, LocalCluster

    from modularity_lib.studies.worker import Failure

NETWORKS_PER_TASK = 8  # trained side by side; enough tasks remain to keep every core busy to the end
REPORT_SECONDS = 0.5
_OF_A_WORKER = {  # its environment
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "DASK_LOGGING__DISTRIBUTED": "critical",
}
_log = logging.getLogger(__name__)

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


def open_tasks(
    archive: Archive, *, shard: tuple[int, int] = (1, 1), weights: bool = False
) -> list[list[TrainingConfig]]:
    """Groups in which something is left to compute; of shard i of n every n-th group, from the i-th on.

    A group stays whole, though some of its networks are in the store: its checkpoint is that of all of them.

    Args:
        weights: also networks that come with the project, but without their weights in full precision.
    """
    index, count = shard

    def comes(config: TrainingConfig) -> bool:
        has_all = not weights or not config.epochs or archive.has_full_network(config)
        return archive.is_shipped(config) and has_all

    tasks = [
        [config for config in configs if not comes(config)] for configs in tasks_of(archive.study)[index - 1 :: count]
    ]
    return [configs for configs in tasks if not all(comes(config) or archive.is_stored(config) for config in configs)]


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
        WorkersUnavailable: no process of our own comes, or all have ended and none comes back.
    """
    with _client(min(workers, len(tasks)), scheduler, archive.store.root) as client:
        from distributed import KilledWorker

        from modularity_lib.studies.worker import compute

        watch = _Watch(client)
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
            watch.look()
            for future in [future for future in waiting if future.done()]:
                configs = waiting.pop(future)
                if future.status in ("cancelled", "lost"):
                    raise SchedulerUnavailable("the Dask scheduler ended. Start it and run again to go on")
                error = future.exception() if future.status != "finished" else None
                if error is None:
                    failures += future.result()
                elif is_refused_thread(error):
                    raise WorkersUnavailable(could_not_start(error)) from None
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


class _Watch:
    """Notices that no worker is there: of our own cluster that is an error, of another's it is said once."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._rounds_alone = 0

    def look(self) -> None:
        """Count one more round of REPORT_SECONDS without a worker; a process that is suspended counts none."""
        cluster = self._client.cluster
        if cluster is None:
            if self._rounds_alone <= WORKER_SECONDS / REPORT_SECONDS:
                self._look_at_another()
            return
        if cluster.scheduler.workers:
            self._rounds_alone = 0
            return
        self._rounds_alone += 1
        nannies = list(cluster.workers.values())  # each keeps one process alive, until it gives up
        if nannies and all(nanny.status.name in ("closed", "failed") for nanny in nannies):
            raise WorkersUnavailable(
                "all workers ended as they started. What they said is above; if it is nothing, the system may have "
                "refused the processes: see `ulimit -u`, or give fewer workers."
            )
        if self._rounds_alone > WORKER_SECONDS / REPORT_SECONDS:
            raise WorkersUnavailable(
                f"no worker has come in {WORKER_SECONDS:.0f} s, or come back. What they said is above. Nothing "
                "finished is lost: run again to go on, with fewer workers if the machine is busy."
            )

    def _look_at_another(self) -> None:
        if self._client.scheduler_info(n_workers=1)["workers"]:
            self._rounds_alone = sys.maxsize  # they come and go as its owner likes
            return
        self._rounds_alone += 1
        if self._rounds_alone > WORKER_SECONDS / REPORT_SECONDS:
            _log.warning("The Dask scheduler has no workers yet. `dask worker ADDRESS` starts one; the run waits.")


@contextmanager
def _client(workers: int, scheduler: str | None, store: Path) -> Iterator["Client"]:
    if scheduler is not None:
        with _settings(), _client_of(scheduler) as client:
            yield client
        return
    with _folder_for_dask(store) as folder, ExitStack() as ends:
        try:
            with _without_interrupts():
                first_has_come = ends.enter_context(rehearsal(folder))  # it imports while this process does
        except OSError as error:
            raise WorkersUnavailable(could_not_start(error)) from None
        with _settings(folder), _own_cluster() as (cluster, client):
            first_has_come()
            others = multiprocessing.active_children()
            try:
                cluster.scale(workers)
                yield client
            except WorkersUnavailable:
                for child in multiprocessing.active_children():  # Dask would wait for those that hang
                    if child not in others and child.name.startswith("Dask"):
                        child.kill()
                raise


@contextmanager
def _settings(folder: Path | None = None) -> Iterator[None]:
    """Dask as we need it while we run, and as it was thereafter."""
    import dask
    import distributed  # noqa: F401, its handlers of logs are to be there

    from modularity_lib.studies.worker import ATTEMPTS

    settings: dict[str, Any] = {
        "distributed.scheduler.allowed-failures": ATTEMPTS - 1,
        "distributed.comm.timeouts.connect": "10s",
        # Dask gives a worker up, and its successor with it, that is not back in 15 s: a busy machine takes longer.
        "distributed.deploy.lost-worker-timeout": "1h",
        # Without Dask's own setting for glibc, which gives memory back at once and has to fetch it again: 10 % slower.
        "distributed.nanny.pre-spawn-environ": _OF_A_WORKER,
        "distributed.worker.preload": [rehearsal.__module__],  # its `dask_setup`
        "distributed.admin.tick.limit": "1h",  # a training step may hold the interpreter for seconds: no warning
    }
    if folder is not None:
        settings["temporary-directory"] = str(folder)
    set_by_dask = ("PYTHONHASHSEED", "__DASK_PARENT_PID", *_OF_A_WORKER)  # here, for those that start from here
    before = {name: os.environ.get(name) for name in set_by_dask}
    try:
        with _silent("distributed", "tornado"), dask.config.set(settings):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _client_of(scheduler: str) -> Iterator["Client"]:
    from distributed import Client

    if not _ADDRESS.fullmatch(scheduler):  # a client of such an address would fail and not end
        raise SchedulerUnavailable(_no_scheduler(scheduler, "it is no address of one"))
    try:
        client = Client(scheduler, set_as_default=False)
    except OSError as error:
        raise SchedulerUnavailable(_no_scheduler(scheduler, str(error))) from error
    with client:
        yield client


@contextmanager
def _own_cluster() -> Iterator[tuple["LocalCluster", "Client"]]:
    """A new cluster on this machine, which has no workers yet, and its client."""
    from distributed import Client, LocalCluster

    with _without_interrupts():  # none of the threads that start here, nor the workers that they start, sees Ctrl-C
        try:
            cluster = LocalCluster(
                n_workers=0,
                threads_per_worker=1,  # threads of several processes would fight for the cores
                processes=True,
                memory_limit=0,
                dashboard_address="127.0.0.1:0",  # any free port: a second run finds another one
                silence_logs=False,  # it would silence all clusters of this process
            )
        except (OSError, RuntimeError) as error:
            raise WorkersUnavailable(could_not_start(error)) from None
    try:
        with Client(cluster, set_as_default=False) as client:
            yield cluster, client
    finally:
        with suppress(TimeoutError):  # where a limit has kept threads of it from starting it would wait for ever
            cluster.close(timeout=WORKER_SECONDS)


@contextmanager
def _folder_for_dask(store: Path) -> Iterator[Path]:
    """Where Dask keeps its locks while we run: in the folder that its user named, else in the store."""
    import dask

    chosen = dask.config.get("temporary-directory", None)
    parent = Path(chosen).expanduser() if chosen else store
    with ExitStack() as ends:
        try:
            folder = ends.enter_context(temporary_beside(parent / "dask"))
        except OSError as error:
            raise WorkersUnavailable(
                f"the workers' scratch folder {parent} cannot be used ({error.strerror}). Set DASK_TEMPORARY_DIRECTORY "
                "to a folder that can be written, or unset it: theirs is then in the store."
            ) from error
        yield folder


@contextmanager
def _silent(*packages: str) -> Iterator[None]:
    """Keep what some packages say of our own processes from the log: it is ours to report.

    Who else uses them in this process does so in other threads, which were there before; their words stay.
    """
    others = {thread.ident for thread in threading.enumerate()} - {threading.get_ident()}

    def may_be_said(record: logging.LogRecord) -> bool:
        return record.name.partition(".")[0] not in packages or record.thread in others

    # At the handlers, since Dask makes more loggers as it goes.
    loggers = [logging.getLogger(name) for name in (None, *packages)]
    handlers = {handler for logger in loggers for handler in logger.handlers}
    if logging.lastResort is not None:
        handlers.add(logging.lastResort)
    for handler in handlers:
        handler.addFilter(may_be_said)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(may_be_said)


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

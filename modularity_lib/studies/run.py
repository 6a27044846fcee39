"""Run a study: compute what is not in the store yet, and read it back as tables."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tqdm import tqdm

from modularity_lib.arrays import flag, shown, whole_number
from modularity_lib.studies.archive import Archive, dataset_of_study
from modularity_lib.studies.catalogue import Study
from modularity_lib.studies.engine import open_tasks, run_here, run_on_dask, train_here
from modularity_lib.studies.estimate import Cost, cost_seen
from modularity_lib.studies.heartbeat import running
from modularity_lib.studies.keys import STAGES
from modularity_lib.studies.provenance import cores
from modularity_lib.studies.rehearsal import check_may_start_workers
from modularity_lib.studies.results import Results, StudyIncomplete
from modularity_lib.studies.store import Store
from modularity_lib.training.config import TrainingConfig

if TYPE_CHECKING:
    from modularity_lib.studies.worker import Failure

_BAR = "{desc}: {percentage:3.0f}%|{bar:20}| {elapsed} elapsed, {remaining} left{postfix}"
_LINE = "{desc}: {percentage:3.0f}%, {elapsed} elapsed, {remaining} left{postfix}"
_ONLY_EPOCHS = Cost(1.0, 0.0)  # counts network-epochs instead of seconds
_LIVE_SECONDS, _LOG_SECONDS = 0.1, 60.0  # between two signs of life, in a terminal and in a log


class NetworksFailed(RuntimeError):
    """Some networks of a study failed three times each and were set aside; all others were computed."""

    def __init__(self, study: str, failures: list["Failure"]) -> None:
        first = failures[0]
        super().__init__(
            f"{len(failures)} networks of the study {study!r} failed three times and were set aside, the first with "
            f"{first.error}. `modularity status {study}` shows each with its traceback; all others are in the store. "
            "Run again to try them once more."
        )
        self.failures = failures


def run_study(
    study: str | Study,
    *,
    store: Store | Path | str | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    device: str = "cpu",
    weights: bool = False,
    progress: bool = True,
) -> Results:
    """Compute every network of a study that is not in the store yet, and return the study's tables.

    Work is spread over processes of one thread each. Every network is written to the store as it is finished, and
    trainings leave checkpoints: a run that was stopped goes on where it was.

    Args:
        study: name of a study, or a `Study`.
        store: where results are kept; default: `Store()`.
        workers: number of processes on this machine; default: as many as cores.
        scheduler: address of a running Dask scheduler to use instead, e.g. "tcp://10.0.0.1:8786"; its workers must see
            the same store and have the same version of this library.
        device: where networks are trained: "cpu", in those processes; or "cuda", or "cuda:1" for the second GPU: all
            that miss their training as one batch in this process, before the processes measure them. The results have
            the same keys and differ as those of two kinds of processors do; their provenance names the device.
        weights: compute also networks that come with the project, but without their weights in full precision: what
            measures the networks anew needs these (`modularity finding`).
        progress: show a progress bar on stderr while something is computed.
    Raises:
        ValueError: unknown study, workers below 1, a device that is not there, or one together with a scheduler.
        NetworksFailed: some networks could not be computed.
        CheckoutNeeded: the study takes hours, its results come with the project's repository, and here is the installed
            package alone; with `store` or MODULARITY_STORE it is computed all the same.
        StoreUnusable: the store cannot be written.
        WorkersUnavailable: no process comes on this machine; as where the script that calls this has no main guard.
            What is stored or shipped already starts none, and needs none.
    """
    archive = Archive(study, store)
    workers = cores() if workers is None else whole_number("workers", workers, at_least=1)
    if not isinstance(device, str):
        raise ValueError(f"device must be 'cpu' or a GPU such as 'cuda', got {shown(device)}.")
    if scheduler is not None and not isinstance(scheduler, str):
        raise ValueError(f"scheduler must be an address such as 'tcp://10.0.0.1:8786', got {shown(scheduler)}.")
    progress, weights = flag("progress", progress), flag("weights", weights)
    is_gpu = device != "cpu"
    if is_gpu:
        # PyTorch comes with them; a study that is complete, or trains in other processes, needs none of it here.
        from modularity_lib.studies.worker import misses_training
        from modularity_lib.training.gpu import device_named, device_title

        trains_on = device_named(device)
    if is_gpu and scheduler is not None:
        raise ValueError(
            f"device {device!r} trains in this process and scheduler {scheduler!r} in others: give one of the two. "
            "To train here and measure there, run with the device first."
        )
    for _ in range(2):  # a damaged result shows only when it is read, and is then computed again
        tasks = open_tasks(archive, weights=weights)
        if tasks:
            archive.check_may_compute()
            if scheduler is None:
                check_may_start_workers()
            _prepare(archive)
            cost = cost_seen(archive)
            if is_gpu and misses_training(tasks, archive):
                title = f"study {archive.study.name}, training on {device_title(trains_on)}"
                with _Progress(tasks, archive, shown=progress, cost=_ONLY_EPOCHS, title=title) as report:
                    train_here(tasks, archive, device=trains_on, report=report)
            if is_gpu:
                cost = Cost(0.0, cost.analysis)  # the training is done
            with _Progress(tasks, archive, shown=progress, cost=cost) as report:
                failures = run_on_dask(tasks, archive, workers=workers, scheduler=scheduler, report=report)
            if failures:
                raise NetworksFailed(archive.study.name, failures)
        try:
            return archive.tables()
        except StudyIncomplete:
            continue
    return archive.tables()


def run_shard(
    study: str | Study, *, store: Store, shard: tuple[int, int], weights: bool = False, progress: bool = True
) -> None:
    """Compute shard i of n of a study in this process: for job arrays, without an engine.

    Raises:
        NetworksFailed: some networks could not be computed.
        StoreUnusable: the store cannot be written.
    """
    archive = Archive(study, store)
    tasks = open_tasks(archive, shard=shard, weights=weights)
    if not tasks:
        return
    archive.check_may_compute()
    _prepare(archive)
    with _Progress(tasks, archive, shown=progress, cost=cost_seen(archive)) as report:
        failures = run_here(tasks, archive, report=report)
    if failures:
        raise NetworksFailed(archive.study.name, failures)


def _prepare(archive: Archive) -> None:
    """Raise now what would stop every worker: an error of this process is easier to read than one of theirs."""
    archive.store.check_writable((*STAGES, "failures"))
    archive.store.remove_leftovers()
    dataset_of_study(archive.study.dataset)


class _Progress:
    """Progress of a run, read from the store: a bar in a terminal or notebook, a line a minute in a log."""

    def __init__(
        self,
        tasks: list[list[TrainingConfig]],
        archive: Archive,
        *,
        shown: bool,
        cost: Cost,
        title: str | None = None,
    ) -> None:
        self._archive, self._cost = archive, cost
        self._open = dict.fromkeys(config for configs in tasks for config in configs)
        self._n_networks, self._n_done, self._done = len(self._open), 0, 0.0
        self._there_before, self._resumed = 0.0, dict[str, int]()
        total = sum(map(self._cost.of, self._open))
        is_live = sys.stderr.isatty() or "ipykernel" in sys.modules
        bar = tqdm if is_live else _LogLines
        seconds = _LIVE_SECONDS if is_live else _LOG_SECONDS
        self._bar = bar(
            total=total,
            desc=title or f"study {archive.study.name}",
            disable=not shown,
            bar_format=_BAR if is_live else _LINE,
            mininterval=seconds,
            position=0,  # tqdm would put it below one that it takes for unfinished
            miniters=0,  # or else tqdm would decide by itself how often
            smoothing=0,  # what is left, from the speed so far: networks come in batches, not evenly
        )

    def __enter__(self) -> Callable[[], None]:
        self.report()
        self._there_before = self._bar.n
        return self.report

    def report(self) -> None:
        """Bring the bar up to date."""
        archive = self._archive
        signs = running(archive.store, archive.study.name)
        under_way = sum(sign["network_epochs"] for sign in signs) * self._cost.epoch
        self._resumed |= {sign["process"]: sign.get("resumed", 0) for sign in signs}
        for config in list(self._open):
            if archive.has("agreement", config):
                if self._open.pop(config, self) is self:
                    continue  # another thread reports as well
                self._n_done += 1
                self._done += self._cost.of(config)
            elif archive.has("training", config):
                under_way += config.epochs * self._cost.epoch
        self._bar.n = max(self._bar.n, min(self._done + under_way, self._bar.total))
        # What was there before, in the store or in checkpoints, says nothing of the speed.
        self._bar.initial = min(self._bar.n, self._there_before + sum(self._resumed.values()) * self._cost.epoch)
        self._bar.set_postfix_str(f"{self._n_done} of {self._n_networks} networks done", refresh=False)
        self._bar.update(0)

    def __exit__(self, *_: object) -> None:
        self._bar.close()


class _LogLines(tqdm):
    """The same as whole lines, none of which is written over."""

    disable: bool

    @staticmethod
    def status_printer(file: TextIO) -> Callable[[str], None]:
        return lambda text: print(text, file=file, flush=True)

    def close(self) -> None:
        if not self.disable:
            self.display()
        self.disable = True  # tqdm would add an empty line

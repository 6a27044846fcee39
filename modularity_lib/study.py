"""Run a study: compute what is not in the store yet, on all cores, and read it back as tables."""

import ast
import multiprocessing
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from modularity_lib import analysis
from modularity_lib.data import Dataset, load_dataset
from modularity_lib.experiments import BASELINE_L2, REGULARISERS, Study, study_named
from modularity_lib.networks import MLP, Parameters, network_of
from modularity_lib.results import Results, tables_of
from modularity_lib.store import Entry, Store, key_of
from modularity_lib.training import TrainingConfig, train

# The source that decides the outcome of each stage. A change there makes the stage's stored results stale, and those of
# the stages after it; a change of comments, docstrings or layout does not.
STAGE_SOURCES = {
    "training": (
        "data",
        "networks",
        "backpropagation",
        "sparse_images",
        "dropout",
        "flat_networks",
        "protocols",
        "training",
        "performance",
    ),
    "modules": ("derivatives", "similarity", "modularity", "monte_carlo", "clustering", "analysis"),
    "agreement": ("matching", "alignment"),
}
NETWORKS_PER_TASK = 8  # trained together as one batch; more do not fit the processor's cache


@dataclass(frozen=True)
class NetworkKeys:
    """Keys of the three results of one network, and what each was made of."""

    keys: dict[str, str]
    ingredients: dict[str, dict[str, Any]]


def network_keys(config: TrainingConfig, study: Study, dataset: Dataset) -> NetworkKeys:
    """Keys of a network's results in a study: each depends on all that determines it, the stage before included."""
    ingredients: dict[str, dict[str, Any]] = {
        "training": {"dataset": dataset.sha256, **asdict(config), "hidden": list(config.hidden)},
        "modules": {"search_steps": study.search_steps},
        "agreement": {"permutations": study.permutations},
    }
    keys: dict[str, str] = {}
    for stage, parts in ingredients.items():
        parts |= {"stage": stage, "source": stage_fingerprint(stage), "after": list(keys.values())[-1:]}
        keys[stage] = key_of(parts)
    return NetworkKeys(keys, ingredients)


@cache
def stage_fingerprint(stage: str) -> str:
    """Fingerprint of the code of a stage, blind to comments, docstrings and layout."""
    folder = Path(__file__).parent
    return key_of({name: _code_without_prose((folder / f"{name}.py").read_text()) for name in STAGE_SOURCES[stage]})[
        :16
    ]


def _code_without_prose(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def run_study(
    study: str | Study, *, store: Store | None = None, workers: int | None = None, progress: bool = True
) -> Results:
    """Compute every network of a study that is not in the store yet, and return the study's tables.

    Work is spread over processes of one thread each. Every network is written to the store as it is finished: a run
    that was stopped goes on where it was.

    Args:
        study: name of a study, or a `Study`.
        store: where results are kept; default: `Store()`.
        workers: number of processes; default: as many as cores.
        progress: show a progress bar on stderr while something is computed.
    Raises:
        ValueError: unknown study, or workers below 1.
    """
    study = study_named(study)
    store = store or Store()
    workers = workers if workers is not None else _cores()
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}. Leave it out to use every core.")
    dataset = load_dataset(study.dataset)
    store.remove_leftovers()
    tasks = _tasks(study, dataset, store)
    if tasks:
        _run_tasks(tasks, study, store, min(workers, len(tasks)), progress=progress)
    return tables_of(study, dataset, store, network_keys)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _tasks(study: Study, dataset: Dataset, store: Store) -> list[list[TrainingConfig]]:
    """Networks with something left to compute, in groups that are trained as one batch."""
    by_run: dict[int, list[TrainingConfig]] = defaultdict(list)
    for config in study.trained_configs() + study.untrained_configs():
        keys = network_keys(config, study, dataset).keys
        if not all(store.has(stage, key) for stage, key in keys.items()):
            by_run[config.run if config.epochs else -1].append(config)
    tasks = []
    for configs in by_run.values():
        groups = -(-len(configs) // NETWORKS_PER_TASK)
        tasks += [configs[index::groups] for index in range(groups)]
    return sorted(tasks, key=lambda configs: -sum(config.epochs for config in configs))


def compute(configs: Sequence[TrainingConfig], study: Study, store: Store) -> None:
    """Compute the results of some networks of one study, stage by stage, except what is in the store."""
    dataset = load_dataset(study.dataset)
    keys = {config: network_keys(config, study, dataset) for config in configs}
    untrained_here = [config for config in configs if store.read("training", keys[config].keys["training"]) is None]
    for batch in _batches(untrained_here):
        started = time.perf_counter()
        networks = train(batch, dataset, progress=_report_epochs)
        seconds = (time.perf_counter() - started) / len(batch)
        for network in networks:
            entry = Entry(analysis.network_facts(network, dataset), _arrays_of(network.parameters))
            _write(store, "training", keys[network.config], entry, seconds)
    for config in configs:
        _analyse(config, keys[config], study, dataset, store)
        _report_network()


def _batches(configs: Sequence[TrainingConfig]) -> list[list[TrainingConfig]]:
    by_run: dict[int, list[TrainingConfig]] = defaultdict(list)
    for config in configs:
        by_run[config.run].append(config)
    return list(by_run.values())


def _analyse(config: TrainingConfig, keys: NetworkKeys, study: Study, dataset: Dataset, store: Store) -> None:
    trained = store.read("training", keys.keys["training"])
    assert trained is not None
    modules = store.read("modules", keys.keys["modules"])
    if modules is not None and store.has("agreement", keys.keys["agreement"]):
        return
    started = time.perf_counter()
    matrices: analysis.Matrices = {}
    if trained.facts["status"] == "ok":
        matrices = analysis.measured_matrices(_parameters_of(trained.arrays), dataset)
    if modules is None:
        modules = Entry({"rows": analysis.module_rows(matrices, seed=config.run, steps=study.search_steps)})
        _write(store, "modules", keys, modules, time.perf_counter() - started)
    started = time.perf_counter()
    rows = analysis.agreement_rows(matrices, modules.facts["rows"], seed=config.run, permutations=study.permutations)
    _write(store, "agreement", keys, Entry({"rows": rows}), time.perf_counter() - started)


def _write(store: Store, stage: str, keys: NetworkKeys, entry: Entry, seconds: float) -> None:
    store.write(stage, keys.keys[stage], entry, ingredients=keys.ingredients[stage], seconds=seconds)


def _arrays_of(parameters: Parameters) -> dict[str, Any]:
    layers = zip(parameters.weights, parameters.biases, strict=True)
    arrays: dict[str, Any] = {}
    for index, (weight, bias) in enumerate(layers):
        arrays |= {f"weight{index}": weight, f"bias{index}": bias}
    return arrays


def _parameters_of(arrays: dict[str, Any]) -> Parameters:
    layers = range(len(arrays) // 2)
    return Parameters(
        weights=tuple(arrays[f"weight{index}"] for index in layers),
        biases=tuple(arrays[f"bias{index}"] for index in layers),
    )


def stored_network(
    study: str | Study,
    *,
    run: int = 0,
    l2: float = BASELINE_L2,
    l1: float = 0.0,
    dropout: float = 0.0,
    store: Store | None = None,
) -> MLP:
    """One trained network of a study that has been run, ready to be measured.

    Raises:
        LookupError: the study has no network of this run and regularisation, or it has not been computed yet.
    """
    study = study_named(study)
    store = store or Store()
    chosen = {"run": run, "l2": l2, "l1": l1, "dropout": dropout}
    configs = [config for config in study.trained_configs() if asdict(config).items() >= chosen.items()]
    if not configs:
        strengths = "; ".join(f"{name}: {', '.join(f'{x:g}' for x in study.strengths(name))}" for name in REGULARISERS)
        raise LookupError(
            f"the study {study.name!r} has no network with {chosen}. It has runs 0 to {study.runs - 1} and, one at a "
            f"time beside the baseline, {strengths}."
        )
    key = network_keys(configs[0], study, load_dataset(study.dataset)).keys["training"]
    entry = store.read("training", key)
    if entry is None:
        raise LookupError(
            f"the network {chosen} is not in the store {store.root}. "
            f"modularity_lib.run_study({study.name!r}) computes it."
        )
    return network_of(_parameters_of(entry.arrays), dropout=dropout)


# Progress crosses process borders as two shared counters: network-epochs trained and networks finished.
_counters: Any = None


def _set_counters(counters: Any) -> None:
    global _counters
    _counters = counters


def _report_epochs(network_epochs: int) -> None:
    if _counters is not None:
        with _counters.get_lock():
            _counters[0] += network_epochs


def _report_network() -> None:
    if _counters is not None:
        with _counters.get_lock():
            _counters[1] += 1


def _run_tasks(tasks: list[list[TrainingConfig]], study: Study, store: Store, workers: int, *, progress: bool) -> None:
    context = multiprocessing.get_context("spawn")  # forking a process that holds threads (torch, Jupyter) can hang
    counters = context.Array("q", 2)
    epochs = sum(config.epochs for configs in tasks for config in configs)
    networks = sum(map(len, tasks))
    with (
        _one_thread_per_process(),
        ProcessPoolExecutor(workers, mp_context=context, initializer=_set_counters, initargs=(counters,)) as pool,
        tqdm(total=epochs + networks, desc=f"study {study.name}", disable=not progress, bar_format=_BAR) as bar,
    ):
        futures = [pool.submit(compute, configs, study, store) for configs in tasks]
        try:
            for _ in _until_done(futures):
                bar.n = counters[0] + counters[1]
                bar.set_postfix_str(f"{counters[1]} of {networks} networks done")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_BAR = "{desc}: {percentage:3.0f}%|{bar:20}| {elapsed} elapsed, {remaining} left{postfix}"


def _until_done(futures: list[Future[None]]) -> Iterator[None]:
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=0.5)
        for future in done:
            future.result()
        yield


@contextmanager
def _one_thread_per_process() -> Iterator[None]:
    # Read by the numerical libraries when a worker starts. Threads of several processes would fight for the cores.
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

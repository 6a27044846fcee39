"""What store and engine cost for each network, beside the computation itself.

A trained and 199 untrained networks of 4 units in each layer are computed twice: in this process without a store, and
as a study on one worker of the engine. The difference, per network, is the overhead; the start of the worker is
reported apart.

    python benchmarks/overhead.py [--json FOLDER] [--repeats 3] [--smallest]
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from measuring import keep, machine, options, show
from modularity_lib.studies import measurement
from modularity_lib.studies.archive import Archive, dataset_of_study
from modularity_lib.studies.catalogue import Study
from modularity_lib.studies.engine import open_tasks, run_here, run_on_dask
from modularity_lib.studies.store import Store
from modularity_lib.training.performance import network_facts
from modularity_lib.training.training import train


def study_of(networks: int) -> Study:
    """One trained network and the others untrained, with as little to compute as can be."""
    return Study(
        name="overhead",
        dataset="mnist-5k",
        hidden=(4, 4),
        epochs=1,
        runs=1,
        untrained=networks - 1,
        search_steps=10,
        permutations=10,
    )


def bare(study: Study) -> None:
    """The computation alone."""
    dataset = dataset_of_study(study.dataset)
    for config in study.trained_configs() + study.untrained_configs():
        [network] = train([config], dataset)
        network_facts(network, dataset)
        matrices = measurement.measured_matrices(network.parameters, dataset)
        rows = measurement.module_rows(matrices, seed=config.run, steps=study.search_steps)
        measurement.agreement_rows(matrices, rows, seed=config.run, permutations=study.permutations)


def one_round(study: Study) -> dict[str, float]:
    """All figures once. Each is a difference of times of seconds, so it is the median of several that counts."""
    networks = len(study.trained_configs()) + study.untrained
    alone = timed(bare, study)
    with tempfile.TemporaryDirectory() as folder:
        here, first_task, all_tasks = (Archive(study, Store(Path(folder, name))) for name in ("here", "first", "whole"))
        stored = timed(run_here, open_tasks(here), here, report=lambda: None)
        tasks = open_tasks(first_task)
        engine = {"workers": 1, "scheduler": None, "report": lambda: None}
        first = timed(run_on_dask, tasks[:1], first_task, **engine)
        whole = timed(run_on_dask, tasks, all_tasks, **engine)
    in_engine = (whole - first) / (networks - len(tasks[0]))  # one network more, without the start of the worker
    return {
        "networks": networks,
        "computation_ms": 1000 * alone / networks,
        "store_ms": 1000 * (stored - alone) / networks,
        "store_and_engine_ms": 1000 * (in_engine - alone / networks),
        "start_of_a_worker_s": whole - in_engine * networks,
    }


def timed(function: Callable[..., object], *args: Any, **kwargs: Any) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    function(*args, **kwargs)
    return time.perf_counter() - started


def main() -> None:
    """Print the table of medians."""
    arguments = options(__doc__, repeats=3)
    study = study_of(10 if arguments.smallest else 200)
    bare(study)  # compiles
    rounds = [one_round(study) for _ in range(arguments.repeats)]
    figures = {name: median(figures[name] for figures in rounds) for name in rounds[0]}
    show(f"Networks of 4 and 4 units, one core, {machine()}", [figures])
    keep(figures, arguments.json, name="overhead")


if __name__ == "__main__":
    main()

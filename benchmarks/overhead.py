"""What store and engine cost for each network, beside the computation itself.

200 untrained networks of 4 units in each layer are computed twice: in this process without a store, and as a study on
one worker of the engine. The difference, per network, is the overhead; the start of the worker is reported apart.

    python benchmarks/overhead.py [--json FOLDER]
"""

import os
import tempfile
import time
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

from measuring import keep, options
from modularity_lib.studies import measurement
from modularity_lib.studies.archive import dataset_of_study
from modularity_lib.studies.catalogue import Study
from modularity_lib.studies.engine import open_tasks, run_here, run_on_dask
from modularity_lib.studies.store import Store
from modularity_lib.training.performance import network_facts
from modularity_lib.training.training import train

NETWORKS = 200
STUDY = Study(
    name="overhead",
    dataset="mnist-5k",
    hidden=(4, 4),
    epochs=1,
    runs=1,
    untrained=NETWORKS - 1,
    search_steps=10,
    permutations=10,
)


def bare() -> None:
    """The computation alone."""
    dataset = dataset_of_study(STUDY.dataset)
    for config in STUDY.trained_configs() + STUDY.untrained_configs():
        [network] = train([config], dataset)
        network_facts(network, dataset)
        matrices = measurement.measured_matrices(network.parameters, dataset)
        rows = measurement.module_rows(matrices, seed=config.run, steps=STUDY.search_steps)
        measurement.agreement_rows(matrices, rows, seed=config.run, permutations=STUDY.permutations)


def one_round() -> dict[str, float]:
    """All figures once. Each is a difference of times of seconds, so it is the median of several that counts."""
    alone = timed(bare)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder, "here"))
        stored = timed(run_here, open_tasks(STUDY, store), STUDY, store, report=lambda: None)
        tasks = open_tasks(STUDY, Store(Path(folder, "first")))
        engine = {"workers": 1, "scheduler": None, "report": lambda: None}
        first = timed(run_on_dask, tasks[:1], STUDY, Store(Path(folder, "first")), **engine)
        whole = timed(run_on_dask, tasks, STUDY, Store(Path(folder, "whole")), **engine)
    in_engine = (whole - first) / (NETWORKS - len(tasks[0]))  # one network more, without the start of the worker
    return {
        "networks": NETWORKS,
        "computation_ms": 1000 * alone / NETWORKS,
        "store_ms": 1000 * (stored - alone) / NETWORKS,
        "store_and_engine_ms": 1000 * (in_engine - alone / NETWORKS),
        "start_of_a_worker_s": whole - in_engine * NETWORKS,
    }


def timed(function, *args, **kwargs) -> float:
    started = time.perf_counter()
    function(*args, **kwargs)
    return time.perf_counter() - started


def main() -> None:
    arguments = options(__doc__, repeats=3).parse_args()
    bare()  # compiles
    rounds = [one_round() for _ in range(arguments.repeats)]
    figures = {name: median(figures[name] for figures in rounds) for name in rounds[0]}
    for name, value in figures.items():
        print(f"{name:24}{value:10.2f}")
    keep(figures, arguments.json, name="overhead")


if __name__ == "__main__":
    main()

"""How long it takes to analyse one network of the paper, all of it, and how much memory a process of v1 needs.

    OMP_NUM_THREADS=1 python benchmarks/analysis.py [--json FOLDER] [--repeats 7] [--smallest]

784-64-64-10, trained for five epochs with dropout 0.3 on the digits that the project ships; analysed on 10,000 images
(the same digits, twice): the eight matrices of two layers, sixteen searches of 5,000 steps, the 72 comparisons of two
measures with all metrics and 5,000 relabellings each, on one core. The memory is that of a fresh process that trains
eight networks for an epoch on 60,000 images and analyses one.
"""

import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from measuring import keep, machine, medians_of, options, show
from modularity_lib.images.dataset import Dataset, load_dataset
from modularity_lib.studies import measurement
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.training import train

STEPS = PERMUTATIONS = 5000
TEST_IMAGES = 10_000


def main() -> None:
    """Print seconds of each part, and the peak of memory."""
    arguments = options(__doc__, repeats=7, memory="print the peak of memory of this process, in GB")
    torch.set_num_threads(1)
    n_test = 1_000 if arguments.smallest else TEST_IMAGES
    if arguments.memory:
        print(peak_memory(dataset_of(n_train=4_000 if arguments.smallest else 60_000, n_test=n_test)))
        return
    dataset = dataset_of(n_train=4_000, n_test=n_test)
    network = train([TrainingConfig(dropout=0.3, epochs=5)], dataset)[0].parameters
    matrices = measurement.measured_matrices(network, dataset)
    modules = measurement.module_rows(matrices, seed=0, steps=STEPS)
    parts: dict[str, Callable[[], object]] = {
        "similarity matrices": partial(measurement.measured_matrices, network, dataset),
        "module searches": partial(measurement.module_rows, matrices, seed=0, steps=STEPS),
        "comparisons": partial(measurement.agreement_rows, matrices, modules, seed=0, permutations=PERMUTATIONS),
    }
    seconds = dict(zip(parts, medians_of(list(parts.values()), arguments.repeats), strict=True))
    seconds["one network, all of it"] = sum(seconds.values())
    this_script = [sys.executable, __file__, "--memory", *(["--smallest"] if arguments.smallest else [])]
    memory = float(subprocess.run(this_script, capture_output=True, text=True, check=True).stdout)
    show(
        f"One network of 64 and 64 units, one core, {machine()}",
        [{"part": part, "seconds": took} for part, took in seconds.items()],
    )
    print(f"memory of a process: {memory:.2f} GB")
    keep({"seconds": seconds, "memory_gb": memory}, arguments.json, name="analysis")


def dataset_of(*, n_train: int, n_test: int) -> Dataset:
    """The digits of the project, repeated to as many training and test images."""
    digits = load_dataset("mnist-5k")
    train_index, test_index = np.arange(n_train) % 4_000, np.arange(n_test) % 5_000
    images = np.concatenate([digits.train_images, digits.test_images])
    labels = np.concatenate([digits.train_labels, digits.test_labels])
    return replace(
        digits,
        train_images=images[train_index],
        train_labels=labels[train_index],
        test_images=images[test_index],
        test_labels=labels[test_index],
    )


def peak_memory(dataset: Dataset) -> float:
    """Gigabytes of this process after the work of v1."""
    configs = [TrainingConfig(dropout=dropout / 10, epochs=1) for dropout in range(8)]
    network = train(configs, dataset)[0].parameters
    matrices = measurement.measured_matrices(network, dataset)
    modules = measurement.module_rows(matrices, seed=0, steps=STEPS)
    measurement.agreement_rows(matrices, modules, seed=0, permutations=PERMUTATIONS)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()

"""What all tests share: one thread for each library, so that results and times do not depend on the machine's cores;
figures that no screen shows; the shipped results of v1."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy and PyTorch are imported

from collections.abc import Iterator
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest
import torch

from modularity_lib.images.dataset import load_dataset
from modularity_lib.images.sources import DatasetUnavailable
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.results import Results
from modularity_lib.studies.store import Store

matplotlib.use("Agg")

torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _store_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the tests away from the results that the book is made of."""
    os.environ["MODULARITY_STORE"] = str(tmp_path_factory.mktemp("store"))


@pytest.fixture(autouse=True)
def _no_figure_stays_open() -> Iterator[None]:
    """Close what a test has drawn: matplotlib warns of many open figures, and a warning fails a test."""
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def project() -> Path:
    """Root of the checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def v1(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The shipped results of v1."""
    return Archive("v1", Store(tmp_path_factory.mktemp("empty"))).tables_at_hand()


@pytest.fixture(scope="session")
def mnist() -> None:
    """Skip what needs full MNIST where it is neither at hand nor can be fetched."""
    try:
        load_dataset("mnist")
    except DatasetUnavailable as error:
        pytest.skip(str(error))

"""A study of a few small networks, computed in the process of the tests."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.worker import Failure, compute
from modularity_lib.training.config import TrainingConfig

# Two trained networks and an untrained one; a single epoch, which says nothing of accuracy.
TINY = replace(
    STUDIES["smoke"],
    name="tiny",
    l2=(1e-5,),
    l1=(),
    dropout=(0.3,),
    runs=1,
    untrained=1,
    epochs=1,
    min_test_accuracy=0.0,
)


def run_here(
    tasks: Sequence[Sequence[TrainingConfig]], archive: Archive, *, report: Callable[[], object], **_: Any
) -> list[Failure]:
    """In place of `engine.run_on_dask`: the same tasks, without other processes."""
    failures = []
    for configs in tasks:
        failures += compute(configs, archive)
        report()
    return failures

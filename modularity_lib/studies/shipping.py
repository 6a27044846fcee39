"""Tables, weights and matrices of a study, written as files to be shipped."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from modularity_lib.studies.archive import Archive, dataset_of_study, parameters_of_arrays
from modularity_lib.studies.catalogue import IN_FULL, setting_of
from modularity_lib.studies.entries import Entry, key_of, replace_entry
from modularity_lib.studies.measurement import measured_matrices
from modularity_lib.studies.results import TABLES, Results, StudyIncomplete
from modularity_lib.studies.shipped import triangle
from modularity_lib.training.config import TrainingConfig
from modularity_lib.vocabulary import BASELINE


def export(results: Results, folder: Path, *, arrays: Mapping[str, np.ndarray] | None = None) -> None:
    """Write tables as Parquet files with their checksums and what they were made of: the form that can be shipped.

    Args:
        arrays: weights and matrices of some networks, see `weights_to_ship` and `matrices_to_ship`.
    Raises:
        FileExistsError: the folder holds something else.
        OSError: the folder cannot be written.
    """
    study = results.study
    facts = {
        "study": {name: None if value == math.inf else value for name, value in asdict(study).items()},  # no limit
        "networks": len(results.networks),
        "networks_of_the_study": len(study.trained_configs()) + study.untrained,
        "stages": Archive(study).keys(study.trained_configs()[0]).ingredients,  # those of the first network
        "made_with": results.made_with,
        "command": f"modularity run {study.name} && modularity export {study.name} --parquet --to {folder.name}",
    }
    tables = {name: getattr(results, name) for name in TABLES}
    entry = Entry(facts, dict(arrays or {}), tables)
    replace_entry(folder, entry, key=key_of({"networks": sorted(results.networks["key"])}))


def weights_to_ship(archive: Archive, *, runs: int, dropout_runs: int = 0) -> dict[str, np.ndarray]:
    """Weights of some networks: in half precision, those of `IN_FULL` in full.

    Args:
        runs: all networks of so many runs.
        dropout_runs: of so many runs the sweep of dropout, with the baseline at its left end.
    Raises:
        StudyIncomplete: one of these networks is not in the store.
    """
    arrays: dict[str, np.ndarray] = {}
    for config in archive.study.trained_configs():
        setting = setting_of(config)
        is_of_dropout = setting._replace(dropout=0.0) == BASELINE
        in_full = bool(runs or dropout_runs) and config.run == 0 and setting in IN_FULL.get(archive.study.name, ())
        if config.run < runs or (is_of_dropout and config.run < dropout_runs) or in_full:
            key = archive.keys(config).of["training"]
            precision = np.float32 if in_full else np.float16
            entry = _trained(config, archive)
            arrays |= {f"{key}/{name}": array.astype(precision) for name, array in entry.arrays.items()}
    return arrays


def matrices_to_ship(archive: Archive) -> dict[str, np.ndarray]:
    """Similarity matrices of the networks of run 0 that did not diverge: upper triangles, see `triangle`.

    Raises:
        StudyIncomplete: one of these networks is not in the store.
        DatasetUnavailable: the test images of the study cannot be had.
    """
    arrays: dict[str, np.ndarray] = {}
    dataset = dataset_of_study(archive.study.dataset)
    for config in archive.study.trained_configs():
        if config.run > 0:
            continue
        entry = _trained(config, archive)
        if entry.facts["status"] == "ok":
            measured = measured_matrices(parameters_of_arrays(entry.arrays), dataset)
            for layer, by_measure in measured.items():
                arrays |= {
                    f"{archive.keys(config).of['modules']}/{layer}/{measure}": triangle(matrix, measure)
                    for measure, matrix in by_measure.items()
                }
    return arrays


def _trained(config: TrainingConfig, archive: Archive) -> Entry:
    entry = archive.read("training", config)
    if entry is None:
        raise StudyIncomplete(
            f"the weights of {config} are not in the store {archive.store.root}. "
            f"`modularity run {archive.study.name} --weights` makes them."
        )
    return entry

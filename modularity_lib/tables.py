"""Tables of a study: read together from the store and from what comes with the project, and written as files."""

import math
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modularity_lib.analysis import measured_matrices
from modularity_lib.compute import dataset_of_study, parameters_of_arrays
from modularity_lib.experiments import EXAMPLES, Study
from modularity_lib.keys import NetworkKeys, network_keys
from modularity_lib.lineage import OtherLibraries, libraries_sentence
from modularity_lib.results import IDENTIFYING, TABLES, Results, StudyIncomplete
from modularity_lib.shipped import shipped_tables, triangle
from modularity_lib.store import Entry, Store, key_of, replace_entry
from modularity_lib.training.config import TrainingConfig

_Entries = Mapping[str, Entry]  # of one network, by stage


def tables_of(study: Study, store: Store, *, incomplete: bool = False) -> Results:
    """Read the tables of a study: rows that come with the project where their keys are current, else from the store.

    Args:
        incomplete: give what there is, where networks are missing.
    Raises:
        StudyIncomplete: a network is missing, or all are; the message says how many and how to compute them.
        ResultsAltered: tables that come with the project were changed.
        StoreUnusable: an entry is damaged and cannot be set aside.
    """
    configs = study.trained_configs() + study.untrained_configs()
    keys = {config: network_keys(config, study) for config in configs}
    shipped = shipped_tables(study.name)
    current = {config for config in configs if shipped and keys[config].keys["agreement"] in shipped.keys}
    computed = {config: _entries_of(keys[config], store) for config in configs if config not in current}
    found = {config: entries for config, entries in computed.items() if entries is not None}
    n_missing = len(computed) - len(found)
    if (n_missing and not incomplete) or n_missing == len(configs):
        raise StudyIncomplete(
            f"{n_missing} of {len(configs)} networks of the study {study.name!r} are neither in the store "
            f"{store.root} nor shipped with the project. `modularity run {study.name}` computes them."
        )
    parts = []
    if found:
        parts.append((_tables_of_entries(found, keys, study), _made_with(found.values())))
    if shipped and current:
        if libraries := libraries_sentence(study.name):
            warnings.warn(libraries, OtherLibraries, stacklevel=3)
        chosen = {name: _rows_of(current, table, study) for name, table in shipped.tables.items()}
        parts.append((chosen, shipped.facts["made_with"]))
    order = {identity_of(config, study): number for number, config in enumerate(configs)}
    tables = {name: _in_order([tables[name] for tables, _ in parts], order) for name in TABLES}
    return Results(study, **tables, made_with=_united([made_with for _, made_with in parts]))


def stored_results(study: Study, store: Store) -> Results:
    """What there is of a study, complete or not; if nothing is current, the shipped tables though they are stale.

    Raises:
        StudyIncomplete: there is nothing at all.
    """
    try:
        return tables_of(study, store, incomplete=True)
    except StudyIncomplete:
        shipped = shipped_tables(study.name)
        if shipped is None:
            raise
        return Results(study, **shipped.tables, made_with=shipped.facts["made_with"])


def export(results: Results, folder: Path, *, arrays: Mapping[str, np.ndarray] | None = None) -> None:
    """Write tables as Parquet files with their checksums and what they were made of: the form that can be shipped.

    Args:
        arrays: weights and matrices of some networks, see `weights_to_ship` and `matrices_to_ship`.
    Raises:
        FileExistsError: the folder holds something else.
        OSError: the folder cannot be written.
    """
    study = results.study
    keys = network_keys(study.trained_configs()[0], study)
    facts = {
        "study": {name: None if value == math.inf else value for name, value in asdict(study).items()},  # no limit
        "networks": len(results.networks),
        "networks_of_the_study": len(study.trained_configs()) + study.untrained,
        "stages": keys.ingredients,  # those of the first network
        "made_with": results.made_with,
        "command": f"modularity run {study.name} && modularity export {study.name} --parquet --to {folder.name}",
    }
    tables = {name: getattr(results, name) for name in TABLES}
    entry = Entry(facts, dict(arrays or {}), tables)
    replace_entry(folder, entry, key=key_of({"networks": sorted(results.networks["key"])}))


def weights_to_ship(study: Study, store: Store, *, runs: int) -> dict[str, np.ndarray]:
    """Weights of the networks of the first runs: in half precision, those of `EXAMPLES` of run 0 in full.

    Raises:
        StudyIncomplete: one of these networks is not in the store.
    """
    arrays: dict[str, np.ndarray] = {}
    for config in study.trained_configs():
        if config.run >= runs:
            continue
        key = network_keys(config, study).keys["training"]
        entry = _trained(config, key, study, store)
        in_full = config.run == 0 and (config.l2, config.l1, config.dropout) in EXAMPLES
        precision = np.float32 if in_full else np.float16
        arrays |= {f"{key}/{name}": array.astype(precision) for name, array in entry.arrays.items()}
    return arrays


def matrices_to_ship(study: Study, store: Store) -> dict[str, np.ndarray]:
    """Similarity matrices of the networks of run 0 that did not diverge: upper triangles, see `triangle`.

    Raises:
        StudyIncomplete: one of these networks is not in the store.
        DatasetUnavailable: the test images of the study cannot be had.
    """
    arrays: dict[str, np.ndarray] = {}
    dataset = dataset_of_study(study.dataset)
    for config in study.trained_configs():
        if config.run > 0:
            continue
        keys = network_keys(config, study).keys
        entry = _trained(config, keys["training"], study, store)
        if entry.facts["status"] == "ok":
            measured = measured_matrices(parameters_of_arrays(entry.arrays), dataset)
            for layer, by_measure in measured.items():
                arrays |= {
                    f"{keys['modules']}/{layer}/{measure}": triangle(matrix, measure)
                    for measure, matrix in by_measure.items()
                }
    return arrays


def _trained(config: TrainingConfig, key: str, study: Study, store: Store) -> Entry:
    entry = store.read("training", key)
    if entry is None:
        raise StudyIncomplete(
            f"the weights of {config} are not in the store {store.root}. `modularity run {study.name}` makes them."
        )
    return entry


def _entries_of(keys: NetworkKeys, store: Store) -> _Entries | None:
    """All results of one network, or None where one is missing or damaged."""
    entries = {stage: store.read(stage, key) for stage, key in keys.keys.items()}
    found = {stage: entry for stage, entry in entries.items() if entry is not None}
    return found if len(found) == len(entries) else None


def _tables_of_entries(
    found: Mapping[TrainingConfig, _Entries], keys: Mapping[TrainingConfig, NetworkKeys], study: Study
) -> dict[str, pd.DataFrame]:
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    for config, entries in found.items():
        training = entries["training"].facts
        analysed = training["status"] == "ok" and study.is_analysed(config, training["test_accuracy"])
        identity = {**dict(zip(IDENTIFYING, identity_of(config, study), strict=True)), "analysed": analysed}
        rows["networks"].append({**identity, **training, "key": keys[config].keys["agreement"]})
        for stage in ("modules", "agreement"):
            rows[stage] += [{**identity, **row} for row in entries[stage].facts["rows"]]
    return {name: pd.DataFrame(table) for name, table in rows.items()}


def identity_of(config: TrainingConfig, study: Study) -> tuple[Any, ...]:
    """Values of the columns `IDENTIFYING` of a network's rows."""
    hidden = "-".join(map(str, config.hidden))
    regularisation = (config.l2, config.l1, config.dropout)
    return (study.name, study.dataset, hidden, config.protocol, config.epochs > 0, config.run, *regularisation)


def _rows_of(configs: Iterable[TrainingConfig], table: pd.DataFrame, study: Study) -> pd.DataFrame:
    wanted = {identity_of(config, study) for config in configs}
    return table[[row in wanted for row in table[IDENTIFYING].itertuples(index=False, name=None)]]


def _in_order(parts: list[pd.DataFrame], order: Mapping[tuple[Any, ...], int]) -> pd.DataFrame:
    """Parts of one table as one, networks in the order of the study."""
    table = pd.concat(parts, ignore_index=True)
    if len(parts) == 1:
        return table
    numbers = pd.Series([order[row] for row in table[IDENTIFYING].itertuples(index=False, name=None)])
    return table.loc[numbers.sort_values(kind="stable").index].reset_index(drop=True)


def _made_with(networks: Iterable[_Entries]) -> dict[str, Any]:
    """What the results of some networks were made with, taken together: versions, processors, commits, core-seconds."""
    seconds: dict[str, float] = defaultdict(float)
    versions: dict[str, set[str]] = defaultdict(set)
    written = []
    for stage, entry in (item for entries in networks for item in entries.items()):
        made = entry.provenance
        seconds[stage] += made["seconds"]
        written.append(made["written"])
        versions["python"].add(made["python"])
        versions["commit"].add(str(made["commit"]))
        versions["machine"].add(f"{made['processor']}, {made['system']}")
        for package, version in made["packages"].items():
            versions[package].add(version)
    return {
        "versions": {name: sorted(found) for name, found in versions.items()},
        "core_seconds": dict(seconds),
        "written": [min(written), max(written)],
    }


def _united(parts: list[dict[str, Any]]) -> dict[str, Any]:
    first, *others = parts
    for other in others:
        names = {**first["versions"], **other["versions"]}
        stages = {**first["core_seconds"], **other["core_seconds"]}
        versions = [part["versions"] for part in (first, other)]
        first = {
            "versions": {name: sorted({v for part in versions for v in part.get(name, [])}) for name in names},
            "core_seconds": {
                stage: sum(part["core_seconds"].get(stage, 0.0) for part in (first, other)) for stage in stages
            },
            "written": [min(first["written"][0], other["written"][0]), max(first["written"][1], other["written"][1])],
        }
    return first

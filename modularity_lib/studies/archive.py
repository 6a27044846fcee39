"""What there is of a study, in the store or among the results that come with the project, read together."""

import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modularity_lib.images.dataset import Dataset, load_dataset
from modularity_lib.studies.catalogue import Study, study_named
from modularity_lib.studies.entries import Entry
from modularity_lib.studies.keys import NetworkKeys, network_keys
from modularity_lib.studies.lineage import OtherLibraries, libraries_sentence
from modularity_lib.studies.results import IDENTIFYING, TABLES, Results, StudyIncomplete
from modularity_lib.studies.shipped import is_shipped, shipped_arrays, shipped_matrices, shipped_tables
from modularity_lib.studies.store import Store
from modularity_lib.training.config import TrainingConfig
from modularity_lib.vocabulary import BASELINE, REGULARISERS

if TYPE_CHECKING:
    # PyTorch comes with them, so they are imported where a network is made or measured: tables are read without it.
    from modularity_lib.training.networks import MLP, Parameters

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


def stored_network(
    study: str | Study,
    *,
    run: int = 0,
    l2: float = BASELINE.l2,
    l1: float = 0.0,
    dropout: float = 0.0,
    store: Store | None = None,
) -> "MLP":
    """One trained network of a study that has been run, or whose weights are shipped, ready to be measured.

    Raises:
        LookupError: the study has no network of this run and regularisation, or it has not been computed yet.
    """
    study = study_named(study)
    config = _config_of(study, run=run, l2=l2, l1=l1, dropout=dropout)
    return _network_of(config, network_keys(config, study).keys["training"], study, store or Store())


def stored_matrices(
    study: str | Study,
    *,
    run: int = 0,
    l2: float = BASELINE.l2,
    l1: float = 0.0,
    dropout: float = 0.0,
    store: Store | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """Similarity matrices of one trained network over the test images of its study: those shipped, or measured now.

    Returns:
        {layer: {measure: array}}, as of `similarity_matrices`. The normalised ones of those shipped are rounded to
        float32.
    Raises:
        LookupError: as of `stored_network`.
        DatasetUnavailable: they are not shipped, and the images cannot be had.
    """
    from modularity_lib.similarity.measures import similarity_matrices

    study = study_named(study)
    config = _config_of(study, run=run, l2=l2, l1=l1, dropout=dropout)
    keys = network_keys(config, study).keys
    matrices = shipped_matrices(study.name, keys["modules"])
    if matrices is not None:
        return matrices
    network = _network_of(config, keys["training"], study, store or Store())
    dataset = dataset_of_study(study.dataset)
    return similarity_matrices(network, dataset.test_images, dataset.test_labels)


def _config_of(study: Study, **chosen: float) -> TrainingConfig:
    for config in study.trained_configs():
        if asdict(config).items() >= chosen.items():
            return config
    strengths = "; ".join(f"{name}: {', '.join(f'{x:g}' for x in study.strengths(name))}" for name in REGULARISERS)
    raise LookupError(
        f"the study {study.name!r} has no network with {chosen}. It has runs 0 to {study.runs - 1} and, one at a "
        f"time beside the baseline, {strengths}."
    )


def _network_of(config: TrainingConfig, key: str, study: Study, store: Store) -> "MLP":
    from modularity_lib.training.networks import network_of

    entry = store.read("training", key)
    arrays = entry.arrays if entry is not None else shipped_arrays(study.name, key)
    if arrays is None:
        chosen = {name: getattr(config, name) for name in ("run", "l2", "l1", "dropout")}
        raise LookupError(
            f"the network {chosen} is neither in the store {store.root} nor shipped with the project. "
            f"modularity_lib.run_study({study.name!r}) computes it."
        )
    return network_of(parameters_of_arrays(arrays), dropout=config.dropout)


@lru_cache(maxsize=2)
def dataset_of_study(name: str) -> Dataset:
    """The dataset, read once in each process."""
    return load_dataset(name)


def is_computed(config: TrainingConfig, study: Study, store: Store) -> bool:
    """Whether all results of a network are in the store, or come with the project."""
    keys = network_keys(config, study).keys
    return is_shipped(study.name, keys["agreement"]) or all(store.has(stage, key) for stage, key in keys.items())


def arrays_of(parameters: "Parameters") -> dict[str, Any]:
    """Weights and biases as the named arrays of an entry."""
    arrays: dict[str, Any] = {}
    for index, (weight, bias) in enumerate(zip(parameters.weights, parameters.biases, strict=True)):
        arrays |= {f"weight{index}": weight, f"bias{index}": bias}
    return arrays


def parameters_of_arrays(arrays: dict[str, Any]) -> "Parameters":
    """The inverse of `arrays_of`."""
    from modularity_lib.training.networks import Parameters

    layers = range(len(arrays) // 2)
    return Parameters(
        weights=tuple(arrays[f"weight{index}"] for index in layers),
        biases=tuple(arrays[f"bias{index}"] for index in layers),
    )

"""A study and where its results are: what is there is asked for here, whether stored or shipped."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cached_property, lru_cache
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from modularity_lib.arrays import real_number, shown, whole_number
from modularity_lib.images.dataset import Dataset, load_dataset
from modularity_lib.images.sources import DatasetUnavailable
from modularity_lib.paths import CheckoutNeeded, is_checkout
from modularity_lib.studies.catalogue import STUDIES, Study, setting_of, study_named
from modularity_lib.studies.entries import Entry
from modularity_lib.studies.keys import NetworkKeys, network_keys
from modularity_lib.studies.lineage import OtherLibraries, libraries_sentence
from modularity_lib.studies.results import IDENTIFYING, TABLES, Results, StudyIncomplete
from modularity_lib.studies.shipped import SHIPPED_STUDIES, ShippedTables, shipped_tables
from modularity_lib.studies.store import Store
from modularity_lib.training.config import TrainingConfig
from modularity_lib.vocabulary import BASELINE, REGULARISERS

if TYPE_CHECKING:
    # PyTorch comes with them, so they are imported where a network is made or measured: tables are read without it.
    from modularity_lib.training.networks import MLP, Parameters

Matrices = dict[str, dict[str, np.ndarray]]  # {layer: {measure: (units, units)}}
_Entries = Mapping[str, Entry]  # of one network, by stage


class Archive:
    """A study and where its results are: in a store, or among those that come with the project.

    The keys of a network are made once, when they are first asked for: to look again costs little.

    Args:
        study: its name, or the study.
        store: where what is computed is kept. Default: `Store()`.
        source: gives the fingerprint of a stage's code. Default: that of the code as it is, see `lineage`.
    Raises:
        ValueError: no study has this name.
    """

    def __init__(
        self, study: str | Study, store: Store | Path | str | None = None, *, source: Callable[[str], str] | None = None
    ) -> None:
        self.study = study_named(study)
        if not isinstance(store, Store | Path | str | None):
            raise ValueError(f"store must be a Store or a folder, got {shown(store)}. Leave it out for the usual one.")
        self.store = store if isinstance(store, Store) else Store(store)
        self._source = source
        self._keys: dict[TrainingConfig, NetworkKeys] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process works elsewhere, and makes the keys anew: they are those of the code that it runs.
        return Archive, (self.study, Store(self.store.root.resolve()))

    @cached_property
    def configs(self) -> list[TrainingConfig]:
        """All networks of the study, the trained ones first."""
        return self.study.trained_configs() + self.study.untrained_configs()

    def config(self, *, run: int = 0, l2: float = BASELINE.l2, l1: float = 0.0, dropout: float = 0.0) -> TrainingConfig:
        """The trained network of this run and regularisation.

        Raises:
            ValueError: the run is no whole number, or a strength no number.
            LookupError: the study has none.
        """
        run = whole_number("run", run, at_least=0)
        for name, value in (("l2", l2), ("l1", l1), ("dropout", dropout)):
            if isnan(real_number(value)):
                raise ValueError(f"{name} must be a number, got {shown(value)}.")
        chosen = {"run": run, "l2": l2, "l1": l1, "dropout": dropout}
        study = self.study
        for config in study.trained_configs():
            if asdict(config).items() >= chosen.items():
                return config
        strengths = "; ".join(f"{name}: {', '.join(f'{x:g}' for x in study.strengths(name))}" for name in REGULARISERS)
        raise LookupError(
            f"the study {study.name!r} has no network with {chosen}. It has runs 0 to {study.runs - 1} and, one at a "
            f"time beside the baseline, {strengths}."
        )

    def keys(self, config: TrainingConfig) -> NetworkKeys:
        """Keys of a network's results, and what they are made of."""
        if config not in self._keys:
            self._keys[config] = network_keys(config, self.study, source=self._source)
        return self._keys[config]

    def has(self, stage: str, config: TrainingConfig) -> bool:
        """Whether this result of a network is in the store; its checksums are not read."""
        return self.store.has(stage, self._key(stage, config))

    def read(self, stage: str, config: TrainingConfig) -> Entry | None:
        """This result of a network from the store, or None; raises as `Store.read`."""
        return self.store.read(stage, self._key(stage, config))

    def write(
        self,
        stage: str,
        config: TrainingConfig,
        entry: Entry,
        *,
        seconds: float,
        device: Mapping[str, Any] | None = None,
    ) -> None:
        """Write this result of a network into the store; arguments and errors are those of `Store.write`."""
        key, ingredients = self._key(stage, config), self.keys(config).ingredients.get(stage, {})
        self.store.write(stage, key, entry, ingredients=ingredients, seconds=seconds, device=device)

    def remove(self, stage: str, config: TrainingConfig) -> None:
        """Remove this result of a network from the store, if it is there."""
        self.store.remove(stage, self._key(stage, config))

    def _key(self, stage: str, config: TrainingConfig) -> str:
        # A note on a failure stands where the last result of the network is missing.
        return self.keys(config).of["agreement" if stage == "failures" else stage]

    def entries(self, config: TrainingConfig) -> _Entries | None:
        """All results of a network from the store, or None where one is missing or damaged."""
        entries = {stage: self.read(stage, config) for stage in self.keys(config).of}
        found = {stage: entry for stage, entry in entries.items() if entry is not None}
        return found if len(found) == len(entries) else None

    @property
    def shipped(self) -> ShippedTables | None:
        """What comes with the project of this study, current or not; raises as `shipped_tables`."""
        return shipped_tables(self.study.name)

    def is_shipped(self, config: TrainingConfig) -> bool:
        """Whether the results of a network come with the project and are current."""
        return self.shipped is not None and self._key("agreement", config) in self.shipped.keys

    def is_done(self, config: TrainingConfig) -> bool:
        """Whether all results of a network are in the store, or come with the project."""
        return self.is_shipped(config) or self.is_stored(config)

    def is_stored(self, config: TrainingConfig) -> bool:
        """Whether all results of a network are in the store."""
        return all(self.has(stage, config) for stage in self.keys(config).of)

    def check_may_compute(self) -> None:
        """Raise CheckoutNeeded where a study would be computed for hours only because its shipped tables are not here.

        Whoever names a store wants it computed.
        """
        if not self.store.is_chosen and (needed := self._needs_checkout()):
            raise CheckoutNeeded(needed)

    def _needs_checkout(self) -> str:
        """Where the results of a study are, and the other way to them, if the installed package lacks them; else ""."""
        name = self.study.name
        if is_checkout() or name not in SHIPPED_STUDIES or self.study != STUDIES[name]:
            return ""
        return (
            f"The results of the study {name!r} come with the project's repository, not with the installed package: "
            f"work in a checkout. To compute them all, which takes hours, name a folder for them: "
            f'run_study({name!r}, store="results") or `modularity run {name} --store results`.'
        )

    def missing(self) -> list[TrainingConfig]:
        """Networks that are not done."""
        return [config for config in self.configs if not self.is_done(config)]

    def network(self, config: TrainingConfig) -> "MLP":
        """A trained network, ready to be measured.

        Raises:
            LookupError: its weights are neither stored nor shipped.
        """
        from modularity_lib.training.networks import network_of

        entry = self.read("training", config)
        shipped = self.shipped.weights(self._key("training", config)) if self.shipped else None
        arrays = entry.arrays if entry is not None else shipped
        if arrays is None:
            chosen = {"run": config.run, **setting_of(config)._asdict()}
            raise LookupError(
                f"the network {chosen} is neither in the store {self.store.root} nor shipped with the project. "
                + (self._needs_checkout() or f"modularity_lib.run_study({self.study.name!r}) computes it.")
            )
        return network_of(parameters_of_arrays(arrays), dropout=config.dropout)

    def has_network(self, config: TrainingConfig) -> bool:
        """Whether the weights of a trained network are stored or shipped."""
        return self.has("training", config) or self._has_shipped("training", config)

    def has_full_network(self, config: TrainingConfig) -> bool:
        """Whether the weights of a trained network are stored, or shipped without rounding to half precision."""
        if self.has("training", config):
            return True
        return self.shipped is not None and self.shipped.has_in_full(self._key("training", config))

    def _has_shipped(self, stage: str, config: TrainingConfig) -> bool:
        return self.shipped is not None and self.shipped.has_arrays(self._key(stage, config))

    def matrices(self, config: TrainingConfig) -> Matrices:
        """Similarity matrices of a trained network, see `stored_matrices`, which has the same errors."""
        shipped = self.shipped.matrices(self._key("modules", config)) if self.shipped else None
        if shipped is not None:
            return shipped
        from modularity_lib.studies.measurement import measured_matrices
        from modularity_lib.training.networks import parameters_of

        parameters = parameters_of(self.network(config))
        return measured_matrices(parameters, dataset_of_study(self.study.dataset))

    def analysed(self, results: Results, *, run: int) -> list[TrainingConfig]:
        """The study's trained networks of one run that enter the figures of some results."""
        networks = results.analysed("networks", trained=True)
        settings = set(networks.loc[networks["run"] == run, list(REGULARISERS)].itertuples(index=False, name=None))
        configs = (config for config in self.study.trained_configs() if config.run == run)
        return [config for config in configs if setting_of(config) in settings]

    def with_matrices(self, results: Results, *, run: int) -> Iterator[tuple[TrainingConfig, Matrices]]:
        """The networks of `analysed`, each with its similarity matrices.

        Raises:
            LookupError, DatasetUnavailable: as `stored_matrices`, when the first network that lacks them is reached.
        """
        for config in self.analysed(results, run=run):
            yield config, self.matrices(config)

    def has_matrices(self, results: Results, *, run: int) -> bool:
        """Whether `with_matrices` gives the matrices of all networks of a run; nothing is measured to see that."""
        to_measure = [config for config in self.analysed(results, run=run) if not self._has_shipped("modules", config)]
        if not all(self.has_network(config) for config in to_measure):
            return False
        if to_measure:
            try:
                dataset_of_study(self.study.dataset)
            except DatasetUnavailable:
                return False
        return True

    def tables(self, *, incomplete: bool = False) -> Results:
        """Read the tables: rows that come with the project where their keys are current, else from the store.

        Args:
            incomplete: give what there is, where networks are missing.
        Raises:
            StudyIncomplete: a network is missing, or all are; the message says how many and how to compute them.
            ResultsAltered: tables that come with the project were changed.
            StoreUnusable: an entry is damaged and cannot be set aside.
        """
        study, shipped = self.study, self.shipped
        current = {config for config in self.configs if self.is_shipped(config)}
        computed = {config: self.entries(config) for config in self.configs if config not in current}
        found = {config: entries for config, entries in computed.items() if entries is not None}
        n_missing = len(computed) - len(found)
        if (n_missing and not incomplete) or n_missing == len(self.configs):
            raise StudyIncomplete(
                f"{n_missing} of {len(self.configs)} networks of the study {study.name!r} are neither in the store "
                f"{self.store.root} nor shipped with the project. "
                + (self._needs_checkout() or f"`modularity run {study.name}` computes them.")
            )
        parts = []
        if found:
            parts.append((self._tables_of_entries(found), _made_with(found.values())))
        if shipped and current:
            if libraries := libraries_sentence(study.name):
                warnings.warn(libraries, OtherLibraries, stacklevel=3)
            chosen = {name: _rows_of(current, table, study) for name, table in shipped.tables.items()}
            parts.append((chosen, shipped.facts["made_with"]))
        order = {identity_of(config, study): number for number, config in enumerate(self.configs)}
        tables = {name: _in_order([tables[name] for tables, _ in parts], order) for name in TABLES}
        return Results(study, **tables, made_with=_united([made_with for _, made_with in parts]))

    def tables_at_hand(self) -> Results:
        """What there is of the tables, complete or not; if nothing is current, those shipped though they are stale.

        Raises:
            StudyIncomplete: there is nothing at all.
        """
        try:
            return self.tables(incomplete=True)
        except StudyIncomplete:
            if self.shipped is None:
                raise
            return Results(self.study, **self.shipped.tables, made_with=self.shipped.facts["made_with"])

    def _tables_of_entries(self, found: Mapping[TrainingConfig, _Entries]) -> dict[str, pd.DataFrame]:
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
        for config, entries in found.items():
            training = entries["training"].facts
            analysed = training["status"] == "ok" and self.study.is_analysed(config, training["test_accuracy"])
            names = dict(zip(IDENTIFYING, identity_of(config, self.study), strict=True))
            identity = {**names, "analysed": analysed}
            rows["networks"].append({**identity, **training, "key": self._key("agreement", config)})
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
    store: Store | Path | str | None = None,
) -> "MLP":
    """One trained network of a study that has been run, or whose weights are shipped, ready to be measured.

    Raises:
        LookupError: the study has no network of this run and regularisation, or it has not been computed yet; shipped
            weights are in a checkout of the project, not in the installed package.
    """
    archive = Archive(study, store)
    return archive.network(archive.config(run=run, l2=l2, l1=l1, dropout=dropout))


def stored_matrices(
    study: str | Study,
    *,
    run: int = 0,
    l2: float = BASELINE.l2,
    l1: float = 0.0,
    dropout: float = 0.0,
    store: Store | Path | str | None = None,
) -> Matrices:
    """Similarity matrices of one trained network over the test images of its study: those shipped, or measured now.

    Returns:
        {layer: {measure: array}}, as of `similarity_matrices`. The normalised ones of those shipped are rounded to
        float32.
    Raises:
        LookupError: as of `stored_network`.
        DatasetUnavailable: they are not shipped, and the images cannot be had.
    """
    archive = Archive(study, store)
    return archive.matrices(archive.config(run=run, l2=l2, l1=l1, dropout=dropout))


@lru_cache(maxsize=2)
def dataset_of_study(name: str) -> Dataset:
    """The dataset, read once in each process."""
    return load_dataset(name)


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

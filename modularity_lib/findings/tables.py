"""Tables of findings: measured network by network, shipped, and used as long as code and networks are the same.

A finding is a module of this folder with a function `rows_of`, which measures one network; `catalogue.FINDINGS` names
them all. How such rows become numbers stands in that module too, and works on the table alone.
"""

import json
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from modularity_lib.images.dataset import Dataset
from modularity_lib.images.sources import DatasetUnavailable
from modularity_lib.paths import checkout
from modularity_lib.progress import progress_bar
from modularity_lib.studies.archive import Archive, dataset_of_study
from modularity_lib.studies.catalogue import Study, setting_of
from modularity_lib.studies.entries import Entry, EntryDamaged, check_replaceable, key_of, read_entry, replace_entry
from modularity_lib.studies.lineage import source_of
from modularity_lib.studies.provenance import provenance
from modularity_lib.studies.results import Results, rows_at
from modularity_lib.training.config import TrainingConfig
from modularity_lib.vocabulary import BASELINE, Regularisation

if TYPE_CHECKING:
    from modularity_lib.training.networks import Parameters

SHIPPED = checkout() / "data" / "findings"
MOST_TRAINED = 10_000_000  # images, one after the other, that a finding which trains may see where it is not shipped

Rows = list[dict[str, Any]]


def _any(setting: Regularisation) -> bool:
    return True


def is_of_dropout(setting: Regularisation) -> bool:
    """Whether a setting belongs to the sweep of dropout; weights of all its runs come with the project."""
    return setting._replace(dropout=0.0) == BASELINE


@dataclass(frozen=True)
class AnalysedNetwork:
    """A trained network with its modules, as the rows of a finding are made from."""

    study: Study
    config: TrainingConfig
    parameters: "Parameters"  # float32; most of those that come with the project are rounded to half precision
    labels: dict[tuple[int, str], np.ndarray]  # module of each unit, -1 for dead ones, by layer (from 1) and measure
    dataset: Dataset


@dataclass(frozen=True)
class Finding:
    """Something that is measured on every network of a study.

    `rows_of(network)` gives the rows of one network, without the columns that name it; it must depend on the network
    alone, to the last bit. `is_wanted` says of a setting whether its networks have any. `in_full`: weights in half
    precision will not do. `trains`: it trains networks anew, from the parameters before training, and needs no weights.
    """

    name: str
    rows_of: Callable[[AnalysedNetwork], Rows]
    is_wanted: Callable[[Regularisation], bool] = _any
    in_full: bool = False
    trains: bool = False

    def configs(self, archive: Archive, results: Results, *, runs: Sequence[int] | None = None) -> list[TrainingConfig]:
        """The analysed networks that it is measured on, run by run."""
        chosen = range(results.study.runs) if runs is None else runs
        found = [config for run in chosen for config in archive.analysed(results, run=run)]
        return [config for config in found if self.is_wanted(setting_of(config))]

    def folder(self, study: Study) -> Path:
        """Where its table of a study is shipped."""
        return SHIPPED / self.name / study.name

    def is_shipped(self, study: Study) -> bool:
        """Whether a table of a study comes with the project, current or not."""
        return (self.folder(study) / "facts.json").exists()

    def shipped_facts(self, study: Study) -> dict[str, Any]:
        """Facts written beside its shipped table of a study."""
        return dict(json.loads((self.folder(study) / "facts.json").read_text(encoding="utf-8"))["facts"])

    def shipped_table(self, study: Study) -> pd.DataFrame:
        """Its shipped table of a study, even if it is stale."""
        return read_entry(self.folder(study)).tables[self.name]

    def key(self, archive: Archive, results: Results) -> str:
        """Key of its table: the networks it is of, with their modules, and the code that makes a row."""
        keys = [archive.keys(config).of["modules"] for config in self.configs(archive, results)]
        return key_of({"finding": self.name, "modules": keys, "source": source_of(self.name)})


class FindingNotAtHand(LookupError):
    """A finding is neither shipped nor can it be measured here; the message says what is missing."""


class StaleFinding(UserWarning):
    """A shipped table belongs to other code or other networks, so it is not used."""


def table_at_hand(finding: Finding, results: Results) -> pd.DataFrame:
    """The shipped table of a finding if it is current; otherwise that of run 0, measured now.

    Returns:
        `run`, `l2`, `l1`, `dropout`, then the columns of `finding.rows_of`. The column `run` says which runs there are.
    Raises:
        FindingNotAtHand: it is not shipped for this study, and weights or images are missing to measure it.
        EntryDamaged: the shipped table is not what its checksum says.
    """
    folder, archive = finding.folder(results.study), Archive(results.study)
    if finding.is_shipped(results.study):
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        if facts["key"] == finding.key(archive, results):
            return finding.shipped_table(results.study)
        warnings.warn(
            f"the table in {folder} is of other code or other networks, so run 0 alone is measured now. `modularity "
            f"reaffirm` proves changed code to be the same; `modularity finding {finding.name}` measures all runs.",
            StaleFinding,
            stacklevel=2,
        )
    return measured_now(finding, results)


def measured_now(finding: Finding, results: Results, *, run: int = 0) -> pd.DataFrame:
    """The table of one run, measured now; raises FindingNotAtHand as `table_at_hand` does."""
    archive = Archive(results.study)
    configs = finding.configs(archive, results, runs=[run])
    _check_at_hand(finding, archive, configs)
    seen = len(configs) * results.study.epochs * len(dataset_of_study(results.study.dataset).train_labels)
    if finding.trains and seen > MOST_TRAINED:
        raise FindingNotAtHand(
            f"This takes the training of {len(configs)} networks for each run of the study {results.study.name!r}, "
            f"minutes or hours. `modularity finding {finding.name} --study {results.study.name}` does it once."
        )
    parts = []
    with progress_bar(len(configs), finding.name) as bar:
        for config in configs:
            parts += _rows(finding, archive, results, config)
            bar.update()
    return pd.DataFrame(parts)


def analysed_network(
    archive: Archive, results: Results, config: TrainingConfig, *, trains: bool = False
) -> AnalysedNetwork:
    """A network with the modules that the tables of its study hold; raises as `Archive.network`.

    Args:
        trains: its parameters are those before training.
    """
    from modularity_lib.training.networks import parameters_of  # here, so that shipped tables are read without PyTorch

    rows = results.analysed("modules", trained=True)
    rows = rows_at(rows, run=config.run, **setting_of(config)._asdict())
    places = zip(rows["layer"], rows["measure"], rows["labels"], strict=True)
    labels = {(int(layer), measure): np.asarray(of) for layer, measure, of in places}
    dataset = dataset_of_study(results.study.dataset)
    parameters = _before_training(config, dataset) if trains else parameters_of(archive.network(config))
    return AnalysedNetwork(results.study, config, parameters, labels, dataset)


def _before_training(config: TrainingConfig, dataset: Dataset) -> "Parameters":
    from modularity_lib.training.layout import unpack  # here for the reason given in `analysed_network`
    from modularity_lib.training.training import start

    state = start([config], dataset)
    return unpack(state.kept[0], state.layout)


def ship(finding: Finding, results: Results, archive: Archive, *, workers: int = 1) -> pd.DataFrame:
    """Measure all runs, and write the table into the project. What a stopped run has measured is in the store.

    Raises:
        FindingNotAtHand: weights of some networks are neither stored nor shipped; nothing is measured.
    """
    check_replaceable(finding.folder(results.study))
    configs = finding.configs(archive, results)
    _check_at_hand(finding, archive, configs)
    rows: Rows = []
    of_all = (repeat(finding), repeat(archive), repeat(results), configs)
    with progress_bar(len(configs), finding.name) as bar, ExitStack() as stack:
        each: Callable[..., Iterable[Rows]] = map
        if workers > 1:
            spawn = get_context("spawn")
            each = stack.enter_context(ProcessPoolExecutor(workers, mp_context=spawn, initializer=_one_thread)).map
        else:
            stack.enter_context(threadpool_limits(1, user_api="blas"))  # as when the networks were measured
        for part in each(_stored_rows, *of_all):
            rows += part
            bar.update()
    table = pd.DataFrame(rows)
    made = {**provenance(), "written": time.strftime("%FT%TZ", time.gmtime())}
    facts = {"study": results.study.name, "source": source_of(finding.name)}
    entry = Entry(facts, {}, {finding.name: table}, made)
    replace_entry(finding.folder(results.study), entry, key=finding.key(archive, results))
    return table


def _rows(finding: Finding, archive: Archive, results: Results, config: TrainingConfig) -> Rows:
    named = {"run": config.run, **setting_of(config)._asdict()}
    network = analysed_network(archive, results, config, trains=finding.trains)
    return [{**named, **row} for row in finding.rows_of(network)]


def _one_thread() -> None:
    threadpool_limits(1, user_api="blas")


def _stored_rows(finding: Finding, archive: Archive, results: Results, config: TrainingConfig) -> Rows:
    """Rows of one network: from the store if they are there, else measured and written."""
    key = key_of({"modules": archive.keys(config).of["modules"], "source": source_of(finding.name)})
    place = archive.store.root / "findings" / finding.name / key
    try:
        return list(read_entry(place, key=key).facts["rows"])
    except EntryDamaged:
        rows = _rows(finding, archive, results, config)
    place.parent.mkdir(parents=True, exist_ok=True)
    replace_entry(place, Entry({"rows": rows}), key=key)
    return rows


def _check_at_hand(finding: Finding, archive: Archive, configs: Sequence[TrainingConfig]) -> None:
    study = archive.study.name
    have = archive.has_full_network if finding.in_full else archive.has_network
    missing = [] if finding.trains else [config for config in configs if not have(config)]
    if missing or not configs:
        precision = " in full precision" if finding.in_full else ""
        raise FindingNotAtHand(
            f"The weights{precision} of {len(missing)} of {len(configs)} networks of the study {study!r} are neither "
            f"in the store {archive.store.root} nor shipped with the project. `modularity run {study} --weights "
            "--store FOLDER` computes them."
        )
    try:
        dataset_of_study(archive.study.dataset)
    except DatasetUnavailable as error:
        raise FindingNotAtHand(f"The images of the study {study!r} are not at hand: {error}") from error

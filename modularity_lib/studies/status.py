"""Look at a study without running it: what is done, under way, failed, missing and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modularity_lib.studies.archive import Archive
from modularity_lib.studies.estimate import cost_seen, duration
from modularity_lib.studies.heartbeat import running
from modularity_lib.studies.keys import STAGES
from modularity_lib.studies.lineage import changed_definitions, libraries_sentence
from modularity_lib.training.config import TrainingConfig
from modularity_lib.vocabulary import some_of

_MANY = 20  # networks of which `why` says the same: beyond that, one line for all


@dataclass(frozen=True)
class Status:
    """How far a study is."""

    study: str
    networks: int
    done: int
    shipped: int  # of them, come with the project
    under_way: int  # processes at work
    failures: list[dict[str, Any]]
    seconds_left: float | None  # None where nobody works on it or nothing is known yet
    note: str = ""  # on shipped results, see `lineage.libraries_sentence`

    def text(self) -> str:
        """The same in a few lines."""
        shipped = f", {self.shipped} of them shipped with the project" if self.shipped else ""
        note = f"\nnote       {self.note}" if self.note else ""
        left = "unknown" if self.seconds_left is None else duration(self.seconds_left)
        return (
            f"study      {self.study}\nnetworks   {self.networks}\ndone       {self.done}{shipped}\n"
            f"running    {self.under_way} processes\nfailed     {len(self.failures)}\ntime left  {left}{note}"
        )


def status(archive: Archive) -> Status:
    """How far a study is, from what is in the store."""
    study, configs, missing = archive.study.name, archive.configs, archive.missing()
    failures = [entry.facts for config in missing if (entry := archive.read("failures", config)) is not None]
    signs, cost = running(archive.store, study), cost_seen(archive)
    trained = [config for config in missing if archive.has("training", config)]
    epochs_done = sum(config.epochs for config in trained) + sum(sign["network_epochs"] for sign in signs)
    seconds = max(0.0, sum(map(cost.of, missing)) - epochs_done * cost.epoch)
    seconds_left = seconds / len(signs) if signs else None if missing else 0.0
    n_shipped = sum(map(archive.is_shipped, configs))
    return Status(
        study,
        len(configs),
        len(configs) - len(missing),
        n_shipped,
        len(signs),
        failures,
        seconds_left,
        libraries_sentence(study),
    )


def plan(archive: Archive, tasks: Sequence[Sequence[TrainingConfig]], *, workers: int, device: str = "cpu") -> str:
    """What a run would compute, and about how long it would take."""
    study = archive.study
    missing = [config for task in tasks for config in task if not archive.is_stored(config)]
    if not missing:
        return f"{study.name}: nothing to compute."
    to_train = [config for config in missing if config.epochs and not archive.has("training", config)]
    n_untrained = sum(config.epochs == 0 for config in missing)
    cost, workers = cost_seen(archive), min(workers, len(tasks))
    analysis = len(missing) * cost.analysis
    if device == "cpu":
        seconds = (sum(config.epochs for config in to_train) * cost.epoch + analysis) / workers
        how = f"With {workers} processes about {duration(seconds)}."
    else:
        how = f"All are trained on {device}; to measure them then takes about {duration(analysis / workers)}."
    return (
        f"{study.name}: {len(to_train)} networks to train ({study.epochs} epochs each at most), and {len(missing)} to "
        f"measure, {n_untrained} of them untrained, in {len(tasks)} tasks. {how}"
    )


def reasons(configs: Sequence[TrainingConfig], archive: Archive) -> list[str]:
    """Why entries count as missing or stale: lines on the networks that are neither in the store nor shipped."""
    store = archive.store
    near = {stage: [store.describe(stage, key).get("ingredients", {}) for key in store.keys(stage)] for stage in STAGES}
    lines: dict[str, list[str]] = {}  # networks by what is the matter with them
    for config in configs:
        if archive.is_shipped(config):
            continue
        for stage in STAGES:
            if archive.read(stage, config) is None:
                why = _why(archive.keys(config).ingredients[stage], near[stage], first=stage == "training")
                lines.setdefault(f"{stage} {why}", []).append(f"run {config.run}, {_regularisation(config)}")
                break  # the later stages follow from this one
    libraries = libraries_sentence(archive.study.name)
    notes = [libraries] if libraries else []
    if not lines:
        return [*notes, f"all {len(configs)} networks are in the store {store.root} or shipped, and none is stale."]
    return [*notes, *_why_not_shipped(archive), *(line for why in lines.items() for line in _told(*why))]


def _told(why: str, networks: list[str]) -> list[str]:
    """A line per network, or one for all where they are many."""
    if len(networks) <= _MANY:
        return [f"{network}: {why}" for network in networks]
    return [f"{len(networks)} networks, from {networks[0]} to {networks[-1]}: {why}"]


def _why_not_shipped(archive: Archive) -> list[str]:
    """A line on how the tables that come with the project differ from what is wanted, if they do."""
    if archive.shipped is None:
        return []
    own_to_a_network = {"run", "l2", "l1", "dropout", "seed", "after"}
    wanted = archive.keys(archive.configs[0]).ingredients
    for stage, stored in archive.shipped.facts["stages"].items():
        names = [name for name in wanted[stage] if name not in own_to_a_network]
        changes = _changes(wanted[stage], stored, [name for name in names if stored.get(name) != wanted[stage][name]])
        if changes:
            way_out = " `modularity reaffirm` keeps them if they come out the same." if "code" in changes else ""
            return [f"the shipped tables are stale from {stage} on: {changes}.{way_out}"]
    return []


def _regularisation(config: TrainingConfig) -> str:
    return "untrained" if config.epochs == 0 else f"l2 {config.l2:g}, l1 {config.l1:g}, dropout {config.dropout:g}"


def _why(wanted: dict[str, Any], stored: list[dict[str, Any]], *, first: bool) -> str:
    """How the nearest stored entry of this stage differs from what is wanted."""
    own = ("dataset", "hidden", "protocol", "run", "l2", "l1", "dropout")
    identity = own if first else ("after",)
    same = [entry for entry in stored if all(entry.get(name) == wanted[name] for name in identity)]
    if not same:
        return "has never been computed."
    differences = [{name for name in wanted if entry.get(name) != wanted[name]} for entry in same]
    nearest = min(range(len(same)), key=lambda index: len(differences[index]))
    if not differences[nearest]:
        return "was damaged and has been set aside."
    return f"is stale: {_changes(wanted, same[nearest], sorted(differences[nearest]))}."


def _changes(wanted: dict[str, Any], stored: dict[str, Any], names: Sequence[str]) -> str:
    return "; ".join(
        _code_changes(wanted["stage"], stored.get("source", ""))
        if name == "source"
        else f"{name} was {stored.get(name)!r}, is {wanted[name]!r}"
        for name in names
    )


def _code_changes(stage: str, source: str) -> str:
    names = changed_definitions(stage, source)
    return f"the code of this stage has changed{f': {some_of(names)}' if names else ''}"

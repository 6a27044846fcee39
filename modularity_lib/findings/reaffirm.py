"""Prove that changed code still gives the shipped results: recompute a sample, and accept it only if equal to the bit.

Without such a proof, results of changed code are stale. With it they stay, and the lineage says what was recomputed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from modularity_lib.findings import common_mode
from modularity_lib.findings.catalogue import FINDINGS
from modularity_lib.findings.tables import Finding, analysed_network
from modularity_lib.studies import lineage
from modularity_lib.studies.archive import Archive, dataset_of_study, identity_of, parameters_of_arrays
from modularity_lib.studies.catalogue import IN_FULL, STUDIES, Study, setting_of
from modularity_lib.studies.fingerprint import fingerprint
from modularity_lib.studies.lineage import ENTRIES, is_proven, unproven_libraries
from modularity_lib.studies.measurement import Matrices, agreement_rows, measured_matrices, module_rows
from modularity_lib.studies.results import IDENTIFYING, StudyIncomplete, rows_at
from modularity_lib.studies.shipped import ShippedTables, shipped_tables, triangle
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.networks import Parameters
from modularity_lib.training.performance import network_facts
from modularity_lib.training.training import train
from modularity_lib.vocabulary import BASELINE, REGULARISERS

# Networks that are trained again, for each branch that a stage can take: (study, run, l2, l1, dropout).
TRAINED = (
    ("final-base", 0, BASELINE.l2, 0.0, 0.0),
    ("final-base", 0, 0.1, 0.0, 0.0),  # collapses to chance
    ("final-base", 0, BASELINE.l2, 0.01, 0.0),
    ("final-base", 0, BASELINE.l2, 0.0, 0.05),
    ("final-deep", 0, BASELINE.l2, 0.0, 0.2),  # five layers
    ("final-deep", 0, 0.1, 0.0, 0.0),  # layers whose units are all dead
    ("v1", 0, BASELINE.l2, 0.0, 0.3),  # the other protocol
)


class NotTheSame(RuntimeError):
    """Recomputed results differ from the shipped ones."""


@dataclass(frozen=True)
class Difference:
    """One number that differs from the shipped one."""

    network: str
    stage: str
    what: str
    shipped: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.network}, {self.stage}: {self.what} was {self.shipped!r}, is {self.now!r}"


def reaffirm(*, sample: int = 0, say: Callable[[str], object] = print) -> list[str]:
    """Recompute a sample of the shipped results; if it is equal to the bit, add the code to the lineage.

    Modules and agreement: the networks of run 0 whose weights are shipped in full (`IN_FULL`), from these weights.
    Training, where its code or a library is new: the networks of `TRAINED`, from nothing, with all that follows.

    Args:
        sample: so many more networks of v1, drawn at random, are trained too.
        say: called with a line on each network.
    Returns:
        the stages that were added; none where all of them were proven before.
    Raises:
        NotTheSame: a number differs; nothing is added.
        DatasetUnavailable: full MNIST is not at hand.
    """
    new = [stage for stage in ENTRIES if not is_proven(stage)]
    other_versions = bool(unproven_libraries("v1"))
    if not (new or other_versions or sample):
        return []
    lineage.check_appendable()
    to_train = [*TRAINED] if "training" in new or other_versions else []
    to_train += _drawn(sample)
    with threadpool_limits(1, user_api="blas"):  # as in `worker.compute`
        checks = [*_shipped_weights(), *_trained(to_train)]
        if "common_mode" in new or other_versions:
            checks.append(("v1 run 0, common mode", _common_mode_differences))
        checks += [check for name, of in FINDINGS.items() if name in new or other_versions for check in _finding(of)]
        names = []
        for name, differences in checks:
            found = list(islice(differences(), 5))
            if found:
                raise NotTheSame(_refusal(found))
            say(f"{name}: the same")
            names.append(name)
    if new or other_versions:
        lineage.append(new, how="recomputed", networks=names, same_as={stage: _shipped_source(stage) for stage in new})
    return new


_Check = tuple[str, Callable[[], Iterator[Difference]]]


def _refusal(found: list[Difference]) -> str:
    gaps = [
        abs(one.now - one.shipped) for one in found if isinstance(one.now, float) and isinstance(one.shipped, float)
    ]
    size = f"The largest of these differences is {max(gaps):.1e}. " if gaps else ""
    return (
        "recomputed results are not those that were shipped, to the last bit:\n  "
        + "\n  ".join(map(str, found))
        + f"\n{size}If the change was to leave all numbers alone, it did not. Else compute the studies again. Another "
        "processor, or other versions of numpy, scipy, numba or torch, may round otherwise: try on that which made the "
        "results, see `made_with` in data/results/v1/facts.json. Nothing was added to the lineage."
    )


def _shipped_source(stage: str) -> str:
    """Fingerprint of the code that the shipped results of a stage were computed with."""
    if stage == "common_mode":
        return str(common_mode.shipped_facts("v1")["facts"]["source"])
    if stage in FINDINGS:
        return str(FINDINGS[stage].shipped_facts(STUDIES["v1"])["source"])
    return str(_shipped("v1").facts["stages"][stage]["source"])


def _shipped(study: str) -> ShippedTables:
    shipped = shipped_tables(study)
    if shipped is None:
        raise StudyIncomplete(
            f"no results of the study {study!r} come with this installation: nothing to compare with."
        )
    return shipped


def shipped_in_full(study: Study) -> list[TrainingConfig]:
    """The networks of a study whose weights are shipped in full; the first of v1 is the one without regularisation."""
    chosen = IN_FULL.get(study.name, ())
    return [config for config in study.trained_configs() if config.run == 0 and setting_of(config) in chosen]


def _parameters(config: TrainingConfig, study: Study) -> Parameters | None:
    """Shipped weights of a network, even if the code has changed since."""
    arrays = _shipped(study.name).weights(_keys(config, study)["training"])
    return None if arrays is None else parameters_of_arrays(arrays)


def _keys(config: TrainingConfig, study: Study) -> dict[str, str]:
    return Archive(study, source=_shipped_source).keys(config).of


def _shipped_weights() -> Iterator[_Check]:
    """Matrices, modules and agreement of networks whose weights are shipped in full."""
    for study, config in ((STUDIES[name], config) for name in IN_FULL for config in shipped_in_full(STUDIES[name])):

        def differences(config: TrainingConfig = config, study: Study = study) -> Iterator[Difference]:
            parameters = _parameters(config, study)
            assert parameters is not None
            matrices = measured_matrices(parameters, dataset_of_study(study.dataset))
            shipped, key = _shipped(study.name).arrays, _keys(config, study)["modules"]
            has_matrices = any(name.startswith(f"{key}/") for name in shipped)  # those of v1
            for layer, by_measure in matrices.items() if has_matrices else ():
                for measure, matrix in by_measure.items():
                    was, now = shipped[f"{key}/{layer}/{measure}"], triangle(matrix, measure)
                    if not np.array_equal(was, now):
                        at = int(np.argmax(np.abs(was - now)))
                        what = f"similarity {at} of {layer} by {measure}"
                        yield Difference(_name(config, study), "modules", what, float(was[at]), float(now[at]))
            yield from _analysis_differences(config, study, matrices)

        yield f"{_name(config, study)}, measured", differences


def _trained(chosen: list[tuple[str, int, float, float, float]]) -> Iterator[_Check]:
    for name, run, l2, l1, dropout in chosen:
        study = STUDIES[name]
        config = replace(study.trained_configs()[0], run=run, l2=l2, l1=l1, dropout=dropout)

        def differences(config: TrainingConfig = config, study: Study = study) -> Iterator[Difference]:
            dataset = dataset_of_study(study.dataset)
            network = train([config], dataset)[0]
            facts = network_facts(network, dataset)
            was = _rows("networks", config, study)[0]
            yield from _row_differences(_name(config, study), "training", [was], [facts])
            yield from _weight_differences(config, study, network.parameters)
            if facts["status"] == "ok":
                yield from _analysis_differences(config, study, measured_matrices(network.parameters, dataset))

        yield f"{_name(config, study)}, trained", differences


def _drawn(sample: int) -> list[tuple[str, int, float, float, float]]:
    configs = STUDIES["v1"].trained_configs()
    drawn = [configs[index] for index in np.random.default_rng().permutation(len(configs))[:sample]]
    return [("v1", config.run, config.l2, config.l1, config.dropout) for config in drawn]


def _analysis_differences(config: TrainingConfig, study: Study, matrices: Matrices) -> Iterator[Difference]:
    modules = module_rows(matrices, seed=config.run, steps=study.search_steps)
    yield from _row_differences(_name(config, study), "modules", _rows("modules", config, study), modules)
    agreement = agreement_rows(matrices, modules, seed=config.run, permutations=study.permutations)
    yield from _row_differences(_name(config, study), "agreement", _rows("agreement", config, study), agreement)


def _weight_differences(config: TrainingConfig, study: Study, now: Parameters) -> Iterator[Difference]:
    """Differences of weights that are shipped in full; weights in half precision would show less than their norms."""
    if config in shipped_in_full(study):
        was = _parameters(config, study)
        assert was is not None
        for index, (before, after) in enumerate(zip(was.weights, now.weights, strict=True)):
            gap = float(np.abs(before - after).max())
            if gap > 0:
                yield Difference(_name(config, study), "training", f"largest change of weights {index}", 0.0, gap)


def _common_mode_differences() -> Iterator[Difference]:
    """Differences from the shipped table of common mode; its run 0 was measured from the shipped matrices."""
    study, table = STUDIES["v1"], common_mode.shipped_table("v1")
    table = table[table["run"] == 0].reset_index(drop=True)
    start: dict[tuple[int, str], dict[str, float]] = {}
    for config in shipped_in_full(study):
        shipped = _shipped(study.name).matrices(_keys(config, study)["modules"])
        assert shipped is not None
        matrices = list(shipped.values())
        own = (table[list(REGULARISERS)] == [config.l2, config.l1, config.dropout]).all(axis=1)
        labels = {(row["layer"], row["measure"]): np.array(row["labels"]) for row in _rows("modules", config, study)}
        for number in np.flatnonzero(own).tolist():
            was = _record(table.iloc[number])
            place = (was["layer"], was["measure"])
            similarity = matrices[place[0] - 1][place[1]]
            start.setdefault(place, common_mode.confounds(*common_mode.live_part(similarity, labels[place])))
            now = common_mode.measured(
                similarity, labels[place], start[place], draws=3, steps=study.search_steps, run=0, row=number
            )
            yield from _row_differences(_name(config, study), "common_mode", [was], [now])


def _finding(finding: Finding) -> Iterator[_Check]:
    """Rows of a finding of the networks of v1 whose weights are shipped in full."""
    study = STUDIES["v1"]
    table = finding.shipped_table(study)
    configs = [config for config in shipped_in_full(study) if finding.is_wanted(setting_of(config))]
    if not configs and finding.shipped_facts(study)["source"] != fingerprint(*ENTRIES[finding.name]):
        raise NotTheSame(
            f"the code of the finding {finding.name!r} has changed, and no network that it is measured on comes with "
            "the project in full precision, so nothing can be compared. "
            f"`modularity finding {finding.name}` measures it anew."
        )
    for config in configs:

        def differences(config: TrainingConfig = config) -> Iterator[Difference]:
            archive = Archive(study, source=_shipped_source)
            shipped = rows_at(table, run=config.run, **setting_of(config)._asdict())
            was = [_record(row) for _, row in shipped.iterrows()]
            results = archive.tables_at_hand()
            now = finding.rows_of(analysed_network(archive, results, config, trains=finding.trains))
            yield from _row_differences(_name(config, study), finding.name, was, now)

        yield f"{_name(config, study)}, {finding.name}", differences


def _row_differences(
    network: str, stage: str, shipped: list[dict[str, Any]], now: list[dict[str, Any]]
) -> Iterator[Difference]:
    if len(shipped) != len(now):
        yield Difference(network, stage, "number of rows", len(shipped), len(now))
        return
    for index, (before, after) in enumerate(zip(shipped, now, strict=True)):
        for column, value in after.items():
            if not _is_same(before[column], value):
                yield Difference(network, stage, f"{column} of row {index}", before[column], value)


def _is_same(before: Any, now: Any) -> bool:
    """Equal to the bit; None and NaN count as equal, since both mark a missing value in a table."""
    if isinstance(before, list) or isinstance(now, list):
        return list(before) == list(now)
    if pd.isna(before) or pd.isna(now):
        return bool(pd.isna(before) and pd.isna(now))
    return bool(before == now)


def _rows(table: str, config: TrainingConfig, study: Study) -> list[dict[str, Any]]:
    own = dict(zip(IDENTIFYING, identity_of(config, study), strict=True))
    return [_record(row) for _, row in rows_at(_shipped(study.name).tables[table], **own).iterrows()]


def _record(row: pd.Series) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}


def _name(config: TrainingConfig, study: Study) -> str:
    return f"{study.name} run {config.run} l2 {config.l2:g} l1 {config.l1:g} dropout {config.dropout:g}"

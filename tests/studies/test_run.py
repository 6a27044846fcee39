"""Running a study: complete tables, nothing computed twice, and what a change makes stale."""

import contextlib
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import dask
import distributed  # noqa: F401, it sets up its loggers when it is imported
import numpy as np
import pandas as pd
import pytest

import modularity_lib
from modularity_lib.images.dataset import load_dataset
from modularity_lib.studies import engine, keys, measurement, worker
from modularity_lib.studies import run as study_run
from modularity_lib.studies.archive import Archive, stored_network
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.engine import SchedulerUnavailable
from modularity_lib.studies.keys import network_keys
from modularity_lib.studies.results import IDENTIFYING, Results, StudyIncomplete
from modularity_lib.studies.run import run_study
from modularity_lib.studies.store import Store
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.networks import initial_parameters, parameters_of
from modularity_lib.training.performance import network_facts
from modularity_lib.training.training import TrainedNetwork
from modularity_lib.vocabulary import MEASURES
from tiny import TINY, run_here

SMOKE = STUDIES["smoke"]
DIGITS = load_dataset("mnist-5k")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def smoke(store: Store) -> Results:
    return run_study("smoke", store=store, workers=2, progress=False)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often each stage is computed, with the pool replaced by this process."""
    counts = dict.fromkeys(("training", "modules", "agreement"), 0)

    def count(stage, function):
        def counted(*args, **kwargs):
            counts[stage] += len(args[0]) if stage == "training" else 1
            return function(*args, **kwargs)

        return counted

    monkeypatch.setattr(worker, "train_with_checkpoints", count("training", worker.train_with_checkpoints))
    monkeypatch.setattr(measurement, "module_rows", count("modules", measurement.module_rows))
    monkeypatch.setattr(measurement, "agreement_rows", count("agreement", measurement.agreement_rows))
    monkeypatch.setattr(study_run, "run_on_dask", run_here)
    return counts


def test_a_study_gives_a_row_per_network_clustering_and_pair(smoke: Results) -> None:
    networks = len(SMOKE.trained_configs()) + len(SMOKE.untrained_configs())
    assert len(smoke.networks) == networks == 12
    assert len(smoke.modules) == networks * 2 * 8
    assert len(smoke.agreement) == networks * 2 * 36
    for table in (smoke.networks, smoke.modules, smoke.agreement):
        assert list(table.columns[: len(IDENTIFYING)]) == IDENTIFYING
        assert not table[["status", "analysed"]].isna().any().any()
    assert smoke.networks.loc[smoke.networks["trained"], "test_accuracy"].min() > 0.5


def test_scores_and_labels_belong_together(smoke: Results, store: Store) -> None:
    network = stored_network("smoke", run=1, dropout=0.3, store=store)
    matrices = modularity_lib.similarity_matrices(network, DIGITS.test_images)
    rows = smoke.modules.query("run == 1 and dropout == 0.3")
    assert len(rows) == 16
    for row in rows.itertuples():
        matrix = matrices[f"hidden{row.layer}"][row.measure]
        assert modularity_lib.modularity_score(matrix, np.asarray(row.labels)) == pytest.approx(row.score, abs=1e-9)


def test_a_measure_agrees_with_itself_and_chance_lies_below(smoke: Results) -> None:
    same = smoke.agreement.query("measure_a == measure_b and status == 'ok'")
    np.testing.assert_allclose(same["element_centric"], 1)
    assert (same["element_centric_chance"] <= 1).all()
    assert smoke.agreement["element_centric_chance"].mean() < smoke.agreement["element_centric"].mean()


def test_the_number_of_workers_makes_no_difference(smoke: Results, tmp_path: Path) -> None:
    alone = run_study("smoke", store=Store(tmp_path), workers=1, progress=False)
    for name in ("networks", "modules", "agreement"):
        pd.testing.assert_frame_equal(getattr(alone, name), getattr(smoke, name))


def test_a_study_already_computed_is_not_computed_again(smoke: Results, store: Store, calls: dict[str, int]) -> None:
    again = run_study("smoke", store=store, progress=False)
    assert calls == {"training": 0, "modules": 0, "agreement": 0}
    pd.testing.assert_frame_equal(again.modules, smoke.modules)


def test_a_process_that_measures_gives_a_sign_of_life_for_every_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signs = []

    def analyse(config, archive, dataset):
        [file] = (archive.store.root / "running" / "tiny").glob("[!.]*.json")
        signs.append(file.stat().st_mtime_ns)
        compute_analysis(config, archive, dataset)

    compute_analysis = worker._analyse
    monkeypatch.setattr(worker, "_analyse", analyse)
    assert worker.compute(TINY.untrained_configs() + TINY.trained_configs(), Archive(TINY, Store(tmp_path))) == []
    assert len(set(signs)) == len(signs) == 3


def test_the_seconds_of_a_stage_are_those_of_a_core_whatever_else_the_machine_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = measurement.agreement_rows

    def slowed(*args, **kwargs):
        time.sleep(1.0)  # as where another process has the core
        return rows(*args, **kwargs)

    monkeypatch.setattr(measurement, "agreement_rows", slowed)
    archive = Archive(TINY, Store(tmp_path))
    config = TINY.untrained_configs()[0]
    assert worker.compute([config], archive) == []
    made = archive.store.describe("agreement", archive.keys(config).of["agreement"])
    assert made["provenance"]["seconds"] < 1.0


def test_a_changed_configuration_computes_only_what_it_adds(tmp_path: Path, calls: dict[str, int]) -> None:
    run_study(TINY, store=Store(tmp_path), progress=False)
    assert calls == {"training": 3, "modules": 3, "agreement": 3}
    run_study(replace(TINY, dropout=(0.3, 0.5)), store=Store(tmp_path), progress=False)
    assert calls == {"training": 4, "modules": 4, "agreement": 4}


@pytest.mark.parametrize(
    ("changed", "computed_again"),
    [
        ({"permutations": 99}, {"training": 0, "modules": 0, "agreement": 3}),
        ({"search_steps": 99}, {"training": 0, "modules": 3, "agreement": 3}),
        ({"epochs": 2}, {"training": 2, "modules": 2, "agreement": 2}),  # the untrained network stays
    ],
)
def test_a_changed_stage_is_computed_again_from_there(
    changed: dict, computed_again: dict[str, int], tmp_path: Path, calls: dict[str, int]
) -> None:
    run_study(TINY, store=Store(tmp_path), progress=False)
    before = dict(calls)
    run_study(replace(TINY, **changed), store=Store(tmp_path), progress=False)
    assert {stage: calls[stage] - before[stage] for stage in calls} == computed_again


@pytest.mark.parametrize(
    ("stage", "stale"),
    [
        ("training", ["training", "modules", "agreement"]),
        ("modules", ["modules", "agreement"]),
        ("agreement", ["agreement"]),
    ],
)
def test_changed_code_of_a_stage_makes_it_and_the_later_ones_stale(
    stage: str, stale: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TINY.trained_configs()[0]
    before = network_keys(config, TINY).of
    source_of = keys.source_of
    monkeypatch.setattr(keys, "source_of", lambda name: "changed" if name == stage else source_of(name))
    after = network_keys(config, TINY).of
    assert [name for name in before if before[name] != after[name]] == stale


def test_a_diverged_network_is_a_row_with_a_reason_and_no_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: dict[str, int]
) -> None:
    trained = worker.train_with_checkpoints

    def one_diverges(configs, dataset, store, **kwargs):
        networks = trained(configs, dataset, store, **kwargs)
        return [
            replace(network, status="diverged", reason="the loss was not finite in epoch 1")
            if network.config.dropout
            else network
            for network in networks
        ]

    monkeypatch.setattr(worker, "train_with_checkpoints", one_diverges)
    results = run_study(TINY, store=Store(tmp_path), progress=False)
    row = results.networks.query("status == 'diverged'").iloc[0]
    assert row["reason"] == "the loss was not finite in epoch 1"
    assert not row["analysed"]
    assert np.isnan(row["test_accuracy"])
    assert len(results.modules) == 2 * 16
    assert 0.3 not in set(results.analysed("networks", trained=True)["dropout"])


def test_a_layer_of_dead_units_is_a_row_with_a_reason() -> None:
    parameters = initial_parameters((784, 16, 16, 10), seed=0)
    parameters.biases[1][:] = -100.0
    matrices = measurement.measured_matrices(parameters, DIGITS)
    rows = measurement.module_rows(matrices, seed=0, steps=10)
    second = [row for row in rows if row["layer"] == 2 and row["measure"].startswith("input")]
    assert {row["status"] for row in second} == {"all_units_dead"}
    assert all(row["reason"] and row["score"] is None and row["dead_units"] == 16 for row in second)
    pairs = measurement.agreement_rows(matrices, rows, seed=0, permutations=10)
    affected = [row for row in pairs if row["layer"] == 2 and "input" in row["measure_a"] + row["measure_b"]]
    assert {row["status"] for row in affected} == {"all_units_dead"}
    assert {row["element_centric"] for row in affected} == {None}


def test_the_facts_of_a_network_are_those_of_its_weights() -> None:
    parameters = initial_parameters((784, 16, 16, 10), seed=0)
    config = TrainingConfig(hidden=(16, 16), epochs=0)
    network = TrainedNetwork(
        config=config, parameters=parameters, epochs=0, validation_loss=2.3, status="ok", reason=""
    )
    facts = network_facts(network, DIGITS)
    assert facts["sum_abs_weights"] == pytest.approx(sum(np.abs(w).sum() for w in parameters.weights), rel=1e-6)
    assert 0 < facts["test_accuracy"] < 0.3


def test_the_rows_hold_every_measure_and_pair_in_order() -> None:
    matrices = measurement.measured_matrices(initial_parameters((784, 16, 16, 10), seed=0), DIGITS)
    rows = measurement.module_rows(matrices, seed=0, steps=10)
    assert [row["measure"] for row in rows] == [*MEASURES, *MEASURES]


def test_an_incomplete_study_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(
        StudyIncomplete, match=r"3 of 3 networks of the study 'tiny'.*`modularity run tiny` computes them"
    ):
        Archive(TINY, Store(tmp_path)).tables()


def test_a_damaged_result_is_computed_again(tmp_path: Path, calls: dict[str, int]) -> None:
    first = run_study(TINY, store=Store(tmp_path), progress=False)
    victim = next(tmp_path.glob("training/*/*/arrays.safetensors"))
    victim.write_bytes(victim.read_bytes()[:-4])
    Store(tmp_path).read("training", victim.parent.name)  # noticed here, set aside
    again = run_study(TINY, store=Store(tmp_path), progress=False)
    assert calls["training"] == 4
    pd.testing.assert_frame_equal(first.networks, again.networks)


def test_a_stored_network_has_the_weights_that_were_trained(smoke: Results, store: Store) -> None:
    network = stored_network("smoke", run=0, l1=1e-4, store=store)
    row = smoke.networks.query("run == 0 and l1 == 1e-4").iloc[0]
    total = sum(np.abs(weight).sum() for weight in parameters_of(network).weights)
    assert total == pytest.approx(row["sum_abs_weights"], rel=1e-5)


def test_a_network_the_study_does_not_have_is_refused_with_those_it_has(store: Store) -> None:
    with pytest.raises(LookupError, match=r"runs 0 to 1 .* dropout: 0, 0.3"):
        stored_network("smoke", dropout=0.4, store=store)


def test_a_network_not_yet_computed_is_refused_with_the_way_to_compute_it(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"run_study\('smoke'\) computes it"):
        stored_network("smoke", dropout=0.3, store=Store(tmp_path))


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="Did you mean 'smoke'"):
        run_study("smok")
    with pytest.raises(ValueError, match="workers must be a whole number of at least 1, got 0"):
        run_study("smoke", workers=0)
    with pytest.raises(ValueError, match="workers must be a whole number of at least 1, got '2'"):
        run_study("smoke", workers="2")
    with pytest.raises(ValueError, match="store must be a Store or a folder, got 5"):
        run_study("v1", store=5)  # shipped: no store is needed
    with pytest.raises(ValueError, match=r"study must be one of .* got \['v1'\]"):
        run_study(["v1"])


def test_a_folder_is_a_store(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=f"neither in the store {tmp_path} nor shipped"):
        stored_network("smoke", dropout=0.3, store=str(tmp_path))


@pytest.mark.parametrize("scheduler", [None, "nowhere"])
def test_who_uses_dask_in_the_same_process_hears_it_all_the_time(
    scheduler: str | None, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    theirs, ours = logging.getLogger("distributed.of_a_user"), logging.getLogger("distributed.of_our_cluster")
    theirs.setLevel(logging.INFO)
    core = logging.getLogger("distributed")
    before = core.level, [(handler.level, list(handler.filters)) for handler in core.handlers]
    variables, settings = dict(os.environ), dict(dask.config.config)
    with ThreadPoolExecutor(max_workers=1) as their_thread:
        their_thread.submit(theirs.info, "before").result()
        with contextlib.suppress(SchedulerUnavailable), engine._client(1, scheduler, tmp_path):
            their_thread.submit(theirs.info, "during").result()
            ours.critical("a worker has died")
        theirs.info("after")
    said = [record.message for record in caplog.records if record.name in (theirs.name, ours.name)]
    assert said == (["before", "during", "after"] if scheduler is None else ["before", "after"])
    assert (core.level, [(handler.level, list(handler.filters)) for handler in core.handlers]) == before
    assert dict(os.environ) == variables
    assert dict(dask.config.config) == settings
    assert not list(tmp_path.iterdir())

"""Tables that come with the project: read instead of computing, completed from the store, checked, told when stale."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import tiny
from modularity_lib import cli
from modularity_lib.images.dataset import load_dataset
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.studies import archive, keys, shipped, worker
from modularity_lib.studies import run as study_run
from modularity_lib.studies import shipping as exporting
from modularity_lib.studies.archive import Archive, stored_matrices, stored_network
from modularity_lib.studies.catalogue import EXAMPLES, IN_FULL, STUDIES
from modularity_lib.studies.keys import network_keys
from modularity_lib.studies.results import TABLES, Results
from modularity_lib.studies.run import run_study
from modularity_lib.studies.shipped import ResultsAltered, shipped_tables
from modularity_lib.studies.shipping import export, matrices_to_ship, weights_to_ship
from modularity_lib.studies.store import Store
from modularity_lib.training.networks import parameters_of
from modularity_lib.vocabulary import MEASURES, Regularisation

TINY = replace(tiny.TINY, runs=2)


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Results]:
    store = Store(tmp_path_factory.mktemp("store"))
    for config in TINY.trained_configs() + TINY.untrained_configs():
        assert worker.compute([config], Archive(TINY, store)) == []
    return store, Archive(TINY, store).tables()


@pytest.fixture
def shipping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder in place of data/results."""
    monkeypatch.setattr(shipped, "RESULTS_FOLDER", tmp_path / "results")
    monkeypatch.setitem(STUDIES, "tiny", TINY)
    shipped_tables.cache_clear()
    yield tmp_path / "results"
    shipped_tables.cache_clear()


@pytest.fixture
def no_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    def computes(*_: object, **__: object) -> None:
        raise AssertionError("this must not compute anything")

    monkeypatch.setattr(study_run, "run_on_dask", computes)
    monkeypatch.setattr(archive, "load_dataset", computes)


def assert_equal(ours: Results, theirs: Results) -> None:
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(ours, name), getattr(theirs, name))


def ship(results: Results, folder: Path) -> None:
    export(results, folder / "tiny")
    shipped_tables.cache_clear()


def modularity(*arguments: object) -> str:
    shown = CliRunner().invoke(cli.main, [str(argument) for argument in arguments])
    assert shown.exit_code == 0, shown.output
    return shown.output


def test_a_shipped_study_is_read_without_images_store_or_computing(
    computed: tuple[Store, Results], shipping: Path, tmp_path: Path, no_computing: None
) -> None:
    ship(computed[1], shipping)
    assert_equal(run_study(TINY, store=Store(tmp_path / "nowhere"), progress=False), computed[1])
    assert not (tmp_path / "nowhere").exists()


def test_the_weights_of_a_shipped_study_are_computed_where_they_are_asked_for(
    computed: tuple[Store, Results], shipping: Path, tmp_path: Path
) -> None:
    ship(computed[1], shipping)
    archive = Archive(TINY, Store(tmp_path / "weights"))
    trained = [config for config in archive.configs if config.epochs]
    assert not study_run.open_tasks(archive)
    tasks = study_run.open_tasks(archive, weights=True)
    assert sorted(config.run for task in tasks for config in task) == sorted(config.run for config in trained)
    study_run.run_shard(TINY, store=archive.store, shard=(1, 1), weights=True, progress=False)
    assert all(map(archive.has_full_network, trained))
    assert not study_run.open_tasks(archive, weights=True)
    assert_equal(archive.tables(), computed[1])


def test_what_is_not_shipped_comes_from_the_store_in_the_order_of_the_study(
    computed: tuple[Store, Results], shipping: Path, tmp_path: Path
) -> None:
    store, results = computed
    second_run = {name: getattr(results, name).query("run == 1") for name in TABLES}
    ship(Results(TINY, **second_run, made_with=results.made_with), shipping)
    others = Store(tmp_path / "others")
    assert [config.run for task in study_run.open_tasks(Archive(TINY, others)) for config in task] == [0, 0, 1000]
    with pytest.raises(exporting.StudyIncomplete, match="3 of 5 networks"):
        Archive(TINY, others).tables()
    worker.compute(
        [config for task in study_run.open_tasks(Archive(TINY, others)) for config in task], Archive(TINY, others)
    )
    assert_equal(Archive(TINY, others).tables(), results)
    united = Archive(TINY, others).tables().made_with
    assert united["core_seconds"]["training"] > results.made_with["core_seconds"]["training"]
    assert united["versions"]["numpy"] == results.made_with["versions"]["numpy"]
    assert_equal(Archive(TINY, store).tables(), results)


def test_a_shipped_table_that_was_changed_is_refused(computed: tuple[Store, Results], shipping: Path) -> None:
    ship(computed[1], shipping)
    victim = shipping / "tiny" / "modules.parquet"
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    with pytest.raises(ResultsAltered, match=r"modules.parquet does not have the SHA-256.*git checkout"):
        run_study(TINY, progress=False)
    shown = CliRunner().invoke(cli.main, ["status", "tiny"])
    assert (shown.exit_code, shown.stderr.count("\n")) == (1, 1)


def test_shipped_tables_of_other_code_are_stale_and_it_is_said_why(
    computed: tuple[Store, Results], shipping: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(computed[1], shipping)
    assert "done       5, 5 of them shipped" in modularity("status", "tiny", "--store", tmp_path)
    assert "none is stale" in modularity("why", "tiny", "--store", tmp_path)
    source_of = keys.source_of
    monkeypatch.setattr(keys, "source_of", lambda name: "changed" if name == "modules" else source_of(name))
    assert "done       0\n" in modularity("status", "tiny", "--store", tmp_path)
    why = modularity("why", "tiny", "--store", tmp_path).splitlines()
    assert why[0].startswith("the shipped tables are stale from modules on: the code of this stage has changed. `mod")
    assert len(why) == 1 + 5
    assert_equal(Archive(TINY, Store(tmp_path)).tables_at_hand(), computed[1])  # there, though stale


def test_a_shipped_study_of_other_strengths_is_used_as_far_as_it_goes(
    computed: tuple[Store, Results], shipping: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(computed[1], shipping)
    monkeypatch.setitem(STUDIES, "tiny", replace(TINY, dropout=(0.3, 0.5)))
    assert "networks   7\ndone       5, 5" in modularity("status", "tiny", "--store", tmp_path)


def test_networks_that_are_shipped_can_be_verified(
    computed: tuple[Store, Results], shipping: Path, tmp_path: Path
) -> None:
    ship(computed[1], shipping)
    assert "networks agree" in modularity("verify", "tiny", "--sample", 2, "--store", tmp_path)


def test_weights_that_are_shipped_give_their_network_without_a_store(
    computed: tuple[Store, Results], shipping: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(IN_FULL, "tiny", EXAMPLES)
    store, results = computed
    export(results, shipping / "tiny", arrays=weights_to_ship(Archive(TINY, store), runs=1))
    shipped_tables.cache_clear()
    found, made = (parameters_of(stored_network(TINY, dropout=0.3, store=place)) for place in (Store(tmp_path), store))
    for ours, theirs in zip(found.weights + found.biases, made.weights + made.biases, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(LookupError, match=r"neither in the store .* nor shipped"):
        stored_network(TINY, run=1, store=Store(tmp_path))


def test_matrices_that_are_shipped_need_neither_store_nor_images(
    computed: tuple[Store, Results], shipping: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, results = computed
    export(results, shipping / "tiny", arrays=matrices_to_ship(Archive(TINY, store)))
    shipped_tables.cache_clear()
    images = load_dataset(TINY.dataset)
    measured = similarity_matrices(stored_network(TINY, dropout=0.3, store=store), images.test_images)
    monkeypatch.setattr(archive, "dataset_of_study", None)
    found = stored_matrices(TINY, dropout=0.3, store=Store(tmp_path))
    assert list(found) == list(measured)
    for layer, by_measure in measured.items():
        assert list(found[layer]) == list(MEASURES)
        for measure, matrix in by_measure.items():
            if measure.endswith("_norm"):
                np.testing.assert_allclose(found[layer][measure], matrix, rtol=1e-7)
            else:
                np.testing.assert_array_equal(found[layer][measure], matrix)
    with pytest.raises(LookupError, match=r"neither in the store .* nor shipped"):
        stored_matrices(TINY, run=1, store=Store(tmp_path))


def test_weights_that_no_figure_shows_are_shipped_in_half_precision(
    computed: tuple[Store, Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(IN_FULL, "tiny", EXAMPLES)
    weights = weights_to_ship(Archive(TINY, computed[0]), runs=2)
    keys_of_run = [
        {network_keys(config, TINY).of["training"] for config in TINY.trained_configs() if config.run == run}
        for run in (0, 1)
    ]
    assert {name.split("/")[0] for name in weights} == keys_of_run[0] | keys_of_run[1]
    for name, array in weights.items():
        assert array.dtype == (np.float32 if name.split("/")[0] in keys_of_run[0] else np.float16)


def test_weights_of_the_sweep_of_dropout_are_shipped_for_more_runs(
    computed: tuple[Store, Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive(TINY, computed[0])

    def networks(**runs: int) -> set[tuple[int, float]]:
        keys = {name.split("/")[0] for name in weights_to_ship(archive, **runs)}
        configs = [config for config in TINY.trained_configs() if archive.keys(config).of["training"] in keys]
        assert len(configs) == len(keys)
        return {(config.run, config.dropout) for config in configs}

    assert networks(runs=1, dropout_runs=2) == {(0, 0.0), (0, 0.3), (1, 0.0), (1, 0.3)}
    assert networks(runs=0, dropout_runs=1) == {(0, 0.0), (0, 0.3)}
    assert networks(runs=0) == set()
    monkeypatch.setattr(exporting, "BASELINE", Regularisation(l2=1e-3))
    assert networks(runs=0, dropout_runs=2) == set()  # a network outside of the sweep
    monkeypatch.setitem(IN_FULL, "tiny", EXAMPLES)
    assert networks(runs=0, dropout_runs=2) == {(0, 0.0), (0, 0.3)}


@pytest.mark.parametrize("made", [weights_to_ship, matrices_to_ship])
def test_matrices_are_at_hand_only_where_all_networks_of_the_run_are(
    computed: tuple[Store, Results], shipping: Path, tmp_path: Path, made: Callable[..., dict[str, np.ndarray]]
) -> None:
    store, results = computed
    at_hand = Archive(TINY, store)
    arrays = made(at_hand, runs=1) if made is weights_to_ship else made(at_hand)
    without_last = at_hand.keys(at_hand.config(dropout=0.3)).of["training" if made is weights_to_ship else "modules"]

    def is_at_hand(arrays: dict[str, np.ndarray]) -> bool:
        export(results, shipping / "tiny", arrays=arrays)
        shipped_tables.cache_clear()
        return Archive(TINY, Store(tmp_path)).has_matrices(results, run=0)

    assert is_at_hand(arrays)
    assert not is_at_hand({name: array for name, array in arrays.items() if not name.startswith(without_last)})
    assert not is_at_hand({})


def test_the_facts_of_shipped_tables_say_what_they_were_made_with(
    computed: tuple[Store, Results], shipping: Path
) -> None:
    ship(computed[1], shipping)
    found = shipped_tables("tiny")
    assert found is not None
    assert found.facts["networks"] == found.facts["networks_of_the_study"] == 5
    assert found.facts["study"]["largest_analysed_l1"] is None
    made_with = found.facts["made_with"]
    assert set(made_with["core_seconds"]) == {"training", "modules", "agreement"}
    assert made_with["versions"]["torch"][0].startswith("2.")
    assert found.keys == {
        network_keys(config, TINY).of["agreement"] for config in TINY.trained_configs() + TINY.untrained_configs()
    }


def test_the_shipped_studies_are_named_where_their_folder_is_not() -> None:
    assert sorted(shipped.SHIPPED_STUDIES) == sorted(folder.name for folder in shipped.RESULTS_FOLDER.glob("*/"))


def test_what_the_project_ships_is_whole() -> None:
    for folder in shipped.RESULTS_FOLDER.glob("*/"):
        found = shipped_tables(folder.name)
        assert found is not None
        assert set(found.tables) == set(TABLES)


def test_the_checksums_of_datasets_that_keys_are_made_of_are_those_of_the_images() -> None:
    assert keys.dataset_checksum("mnist-5k") == archive.dataset_of_study("mnist-5k").sha256

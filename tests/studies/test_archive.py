"""A study and where its results are: keys made once, what is there, and whose matrices are at hand."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tiny
from modularity_lib.studies import archive as archives
from modularity_lib.studies import estimate, status, worker
from modularity_lib.studies import run as study_run
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.results import Results, rows_at
from modularity_lib.studies.store import Store

TINY = tiny.TINY


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """A study of which one trained network and the untrained one are computed."""
    found = Archive(TINY, Store(tmp_path / "store"))
    assert worker.compute([found.config(), *TINY.untrained_configs()], found) == []
    return found


def test_a_network_is_done_when_its_last_result_is_stored(archive: Archive) -> None:
    missing = archive.config(dropout=0.3)
    assert archive.missing() == [missing]
    assert not archive.is_done(missing)
    archive.remove("modules", archive.config())
    assert archive.missing() == [archive.config(), missing]
    assert archive.entries(archive.config()) is None


def test_keys_of_a_network_are_made_once_however_often_one_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    original = archives.network_keys

    def keys(config, study, *, source=None):
        made.append(config)
        return original(config, study, source=source)

    def run_here(tasks, archive, **how):
        status.status(archive)
        estimate.cost_seen(archive)
        return tiny.run_here(tasks, archive, **how)

    monkeypatch.setattr(archives, "network_keys", keys)
    monkeypatch.setattr(study_run, "run_on_dask", run_here)
    study_run.run_study(TINY, store=Store(tmp_path), progress=False)
    assert sorted(made, key=repr) == sorted(Archive(TINY).configs, key=repr)


def test_another_process_finds_the_same_folder_and_makes_keys_of_its_own_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = Archive(TINY, Store("relative"), source=lambda stage: "other code")
    there = pickle.loads(pickle.dumps(here))
    assert there.store.root == tmp_path.resolve() / "relative"
    config = TINY.trained_configs()[0]
    assert there.keys(config).of == Archive(TINY).keys(config).of != here.keys(config).of


def test_networks_come_with_their_matrices_in_the_order_of_the_study_without_those_left_out(v1: Results) -> None:
    archive = Archive("v1")
    found = dict(archive.with_matrices(v1, run=0))
    left_out = rows_at(v1.networks, trained=True, run=0, analysed=False)
    assert len(found) == len(STUDIES["v1"].settings()) - len(left_out) < len(STUDIES["v1"].settings())
    assert list(found) == [config for config in archive.configs if config in found]
    config = archive.config(dropout=0.3)
    for layer, by_measure in archive.matrices(config).items():
        for measure, matrix in by_measure.items():
            assert np.array_equal(found[config][layer][measure], matrix)


def test_networks_come_with_their_matrices_up_to_the_first_that_lacks_them(archive: Archive) -> None:
    results = archive.tables(incomplete=True)
    both = replace(results, networks=results.networks.loc[[0, 0, 1]].assign(dropout=[0.0, 0.3, 0.0]))
    found = archive.with_matrices(both, run=0)
    config, matrices = next(found)
    assert (config, list(matrices)) == (archive.config(), ["hidden1", "hidden2"])
    with pytest.raises(LookupError, match=r"'dropout': 0\.3} is neither in the store .* computes it"):
        next(found)


def test_a_network_that_the_study_has_not_is_refused_with_those_it_has() -> None:
    with pytest.raises(LookupError, match=r"has no network with .*'dropout': 0\.4.* It has runs 0 to 0 and"):
        Archive(TINY).config(dropout=0.4)

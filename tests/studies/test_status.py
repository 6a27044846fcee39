"""What is said of a study: how long it takes, what is stale, and whether recomputed networks agree."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from modularity_lib.studies import run, status, verify
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import STUDIES, Study
from modularity_lib.studies.estimate import Cost, cost_seen, expected_cost
from modularity_lib.studies.heartbeat import Heartbeat
from modularity_lib.studies.results import Results
from modularity_lib.studies.store import Store


@pytest.mark.parametrize("name", ["v1", "final-base", "final-wide", "final-deep"])
def test_the_expected_cost_is_within_a_factor_of_two_of_what_the_shipped_study_took(name: str, tmp_path: Path) -> None:
    results = Archive(name, Store(tmp_path)).tables_at_hand()
    took, cost = results.made_with["core_seconds"], expected_cost(STUDIES[name])
    assert 1 / 2 < cost.epoch * results.networks["epochs"].sum() / took["training"] < 2
    assert 1 / 2 < cost.analysis * len(results.networks) / (took["modules"] + took["agreement"]) < 2


def test_what_is_in_the_store_says_more_than_a_guess(tmp_path: Path) -> None:
    assert cost_seen(Archive("smoke", Store(tmp_path))) == expected_cost(STUDIES["smoke"])


@pytest.mark.parametrize(
    ("seconds", "text"), [(89.4, "89 s"), (90.0, "2 min"), (5399.0, "90 min"), (5400.0, "1.5 h"), (9000.0, "2.5 h")]
)
def test_time_left_is_told_in_the_unit_that_fits(seconds: float, text: str) -> None:
    found = status.Status("a", 2, 1, 0, 1, [], seconds)
    assert found.text().splitlines()[-1] == f"time left  {text}"


def test_what_a_checkpoint_brought_along_says_nothing_of_the_speed_of_a_run(tmp_path: Path) -> None:
    study = replace(STUDIES["smoke"], name="never", runs=4, l2=(1e-5,), l1=(), dropout=(), untrained=0, epochs=100)
    archive = Archive(study, Store(tmp_path))
    tasks = [[config] for config in study.trained_configs()]
    progress = run._Progress(tasks, archive, shown=False, cost=Cost(epoch=1.0, analysis=0.0))
    with progress as report, Heartbeat(archive.store, study.name) as heartbeat:
        heartbeat.trained(60)  # of the first network, by an earlier run
        heartbeat.trained(10)
        heartbeat.say()
        report()
        assert (progress._bar.initial, progress._bar.n, progress._bar.total) == (60.0, 70.0, 400.0)
        heartbeat.trained(30)
        heartbeat.written()
        heartbeat.trained(5)  # the second network goes on from a checkpoint, too
        heartbeat.trained(1)
        heartbeat.say()
        report()
        assert progress._bar.initial == 65.0
        spent = progress._bar.format_dict
        assert spent["rate"] is None  # the average so far, not that of the last moment


@pytest.mark.parametrize("n_networks", [20, 21])
def test_many_networks_of_which_the_same_is_said_are_one_line(n_networks: int, tmp_path: Path) -> None:
    study = replace(STUDIES["smoke"], name="never", runs=n_networks, l2=(1e-5,), l1=(), dropout=(), untrained=0)
    lines = status.reasons(study.trained_configs(), Archive(study, Store(tmp_path)))
    assert len(lines) == (20 if n_networks == 20 else 1)
    assert lines[-1].endswith("run 20, l2 1e-05, l1 0, dropout 0: training has never been computed.") == (
        n_networks > 20
    )


@pytest.mark.parametrize(
    ("names", "told"), [("abcde", "a, b, c, d, e"), ("abcdefghijkl", "a, b, c, d, e, f, g, h, i, j and 2 more")]
)
def test_of_changed_definitions_ten_are_named(names: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "changed_definitions", lambda stage, source: list(names))
    assert status._code_changes("modules", "source") == f"the code of this stage has changed: {told}"


@pytest.mark.parametrize(
    ("accuracy", "score", "agrees"),
    [
        (0.01 - 1e-9, 0.05 - 1e-9, True),
        (-0.01 + 1e-9, -0.05 + 1e-9, True),
        (0.01 + 1e-9, 0.0, False),
        (0.0, 0.05 + 1e-9, False),
    ],
)
def test_recomputed_networks_agree_up_to_the_tolerances(
    accuracy: float, score: float, agrees: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    study: Study = replace(STUDIES["smoke"], runs=1, l2=(1e-5,), l1=(), dropout=(), untrained=0)
    [config] = study.trained_configs()
    row = {"run": 0, "l2": 1e-5, "l1": 0.0, "dropout": 0.0, "trained": True}
    networks = pd.DataFrame([{**row, "test_accuracy": 0.9}])
    modules = pd.DataFrame([{**row, "score": value} for value in (0.1, 0.3, np.nan)])
    # What is computed again lies off by so much, one score by half of it and one by more: the mean counts.
    again = [{"score": 0.1 + score / 2}, {"score": 0.3 + 3 * score / 2}, {"score": np.nan}]
    monkeypatch.setattr(verify, "train", lambda configs, dataset, progress: [SimpleNamespace(parameters=None)])
    monkeypatch.setattr(verify, "network_facts", lambda network, dataset: {"test_accuracy": 0.9 + accuracy})
    monkeypatch.setattr(verify.measurement, "measured_matrices", lambda parameters, dataset: {})
    monkeypatch.setattr(verify.measurement, "module_rows", lambda matrices, seed, steps: again)
    found = verify.verify([config], Results(study, networks, modules, pd.DataFrame()))
    assert found.agrees is agrees
    assert ("DO NOT AGREE" in found.text()) is not agrees
    assert found.table["largest_gap_of_Q"].item() == pytest.approx(abs(3 * score / 2))

"""Tables of findings are measured network by network, shipped, and used only while code and networks are theirs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modularity_lib.findings import reaffirm, tables
from modularity_lib.findings.catalogue import FINDINGS
from modularity_lib.findings.tables import AnalysedNetwork, Finding, FindingNotAtHand, StaleFinding
from modularity_lib.studies import lineage
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.results import Results
from modularity_lib.studies.run import run_study
from modularity_lib.studies.store import Store
from modularity_lib.vocabulary import Regularisation


def rows_of(network: AnalysedNetwork) -> tables.Rows:
    live = [int((labels >= 0).sum()) for (_, measure), labels in network.labels.items() if measure == "input_gradient"]
    return [
        {"layer": layer, "sum": float(weight.sum()), "live": units}
        for layer, (weight, units) in enumerate(zip(network.parameters.weights, live, strict=False), start=1)
    ]


def without_l1(setting: Regularisation) -> bool:
    return setting.l1 == 0


SUMS = Finding("sums", rows_of, is_wanted=without_l1)


@pytest.fixture
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Archive]:
    folder = tmp_path_factory.getbasetemp() / "smoke-of-findings"
    return run_study("smoke", store=folder, progress=False), Archive("smoke", Store(folder))


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "SHIPPED", tmp_path / "findings")
    monkeypatch.setattr(tables, "source_of", lambda name: "this code")


def shipped(smoke: tuple[Results, Archive]) -> pd.DataFrame:
    return tables.ship(SUMS, *smoke)


def at_hand(smoke: tuple[Results, Archive], monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    results, archive = smoke
    monkeypatch.setattr(tables, "Archive", lambda study: Archive(study, archive.store))
    return tables.table_at_hand(SUMS, results)


def test_all_wanted_networks_of_all_runs_are_shipped(smoke: tuple[Results, Archive]) -> None:
    table, (results, archive) = shipped(smoke), smoke
    networks = results.analysed("networks", trained=True).query("l1 == 0")
    assert len(table) == 2 * len(networks)
    assert set(table["run"]) == {0, 1}
    assert not table["l1"].any()
    one = archive.network(archive.config(run=1, dropout=0.3))
    [first, _] = table.query("run == 1 and dropout == 0.3")["sum"]
    assert first == pytest.approx(float(next(one.parameters()).detach().numpy().sum(dtype=np.float64)), rel=1e-4)


def test_what_is_shipped_is_used_and_nothing_measured(
    smoke: tuple[Results, Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = shipped(smoke)
    monkeypatch.setattr(tables, "measured_now", lambda *_: pytest.fail("measured"))
    pd.testing.assert_frame_equal(at_hand(smoke, monkeypatch), table)


def test_other_code_makes_it_stale_and_run_0_is_measured(
    smoke: tuple[Results, Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = shipped(smoke)
    monkeypatch.setattr(tables, "source_of", lambda name: "other code")
    with pytest.warns(StaleFinding, match="modularity finding sums"):
        now = at_hand(smoke, monkeypatch)
    pd.testing.assert_frame_equal(now, table.query("run == 0").reset_index(drop=True))


def test_without_weights_it_says_what_is_missing(smoke: tuple[Results, Archive], tmp_path: Path) -> None:
    results, _ = smoke
    with pytest.raises(FindingNotAtHand, match=r"The weights of 6 of 6 networks of the study 'smoke'.*modularity run"):
        tables.ship(SUMS, results, Archive("smoke", Store(tmp_path / "empty")))


def test_a_stopped_shipping_goes_on(smoke: tuple[Results, Archive], monkeypatch: pytest.MonkeyPatch) -> None:
    table = shipped(smoke)
    monkeypatch.setattr(tables, "_rows", lambda *_: pytest.fail("measured again"))
    (tables.SHIPPED / "sums" / "smoke" / "facts.json").unlink()
    for file in (tables.SHIPPED / "sums" / "smoke").iterdir():
        file.unlink()
    (tables.SHIPPED / "sums" / "smoke").rmdir()
    results, archive = smoke
    again = []
    for config in SUMS.configs(archive, results):
        again += tables._stored_rows(SUMS, archive, results, config)
    pd.testing.assert_frame_equal(pd.DataFrame(again), table)


@pytest.mark.parametrize("name", FINDINGS)
def test_shipped_findings_belong_to_the_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails: `modularity reaffirm`, or `modularity finding NAME` where numbers change."""
    monkeypatch.undo()
    study = STUDIES["v1"]
    results = Archive(study).tables_at_hand()
    facts = FINDINGS[name].shipped_facts(study)
    assert facts["source"] == lineage.source_of(name)
    table = FINDINGS[name].shipped_table(study)
    assert len(FINDINGS[name].configs(Archive(study), results)) == len(
        table.drop_duplicates(["run", "l2", "l1", "dropout"])
    )


def test_a_changed_number_of_a_finding_is_refused(
    smoke: tuple[Results, Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    table, (results, archive) = shipped(smoke), smoke
    table.loc[1, "sum"] += 1e-12
    monkeypatch.setattr(Finding, "shipped_table", lambda self, study: table)
    monkeypatch.setattr(reaffirm, "STUDIES", {"v1": results.study})
    monkeypatch.setattr(reaffirm, "Archive", lambda study, source: archive)
    configs = [config for config in archive.study.trained_configs() if config.run == 0 and config.dropout == 0]
    monkeypatch.setattr(reaffirm, "shipped_in_full", lambda study: configs)
    found = [difference for _, check in reaffirm._finding(SUMS) for difference in check()]
    assert [difference.what for difference in found] == ["sum of row 1"]


def test_a_changed_finding_that_cannot_be_compared_is_refused(
    smoke: tuple[Results, Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    results, _ = smoke
    table = shipped(smoke)
    monkeypatch.setattr(Finding, "shipped_table", lambda self, study: table)
    monkeypatch.setattr(reaffirm, "STUDIES", {"v1": results.study})
    monkeypatch.setattr(reaffirm, "shipped_in_full", lambda study: [])
    monkeypatch.setitem(lineage.ENTRIES, "sums", ("findings.tables.is_of_dropout",))
    with pytest.raises(reaffirm.NotTheSame, match=r"the finding 'sums' has changed.*modularity finding sums"):
        list(reaffirm._finding(SUMS))
    source = reaffirm.fingerprint("findings.tables.is_of_dropout")
    monkeypatch.setattr(Finding, "shipped_facts", lambda self, study: {"source": source})
    assert list(reaffirm._finding(SUMS)) == []

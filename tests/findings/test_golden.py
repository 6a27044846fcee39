"""The code as it is gives what is shipped, to the last bit; and `reaffirm` lets nothing pass that does not."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from modularity_lib import cli
from modularity_lib.findings import common_mode, reaffirm
from modularity_lib.studies import lineage
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.measurement import module_rows
from modularity_lib.studies.status import reasons, status
from modularity_lib.studies.store import Store

STUDY = STUDIES["v1"]


@pytest.fixture
def own_lineage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "lineage.json"
    shutil.copy(lineage.LINEAGE, file)
    monkeypatch.setattr(lineage, "LINEAGE", file)
    forget()
    yield file
    forget()


def forget() -> None:
    lineage._lines.cache_clear()
    lineage.source_of.cache_clear()


def test_every_stage_and_every_library_is_proven() -> None:
    """If this fails: `modularity reaffirm`, and commit data/results/lineage.json with the change."""
    assert [stage for stage in lineage.ENTRIES if not lineage.is_proven(stage)] == []
    assert lineage.unproven_libraries("v1") == {}


def test_nothing_that_is_shipped_is_stale(tmp_path: Path) -> None:
    for name in ("v1", "final-base", "final-wide", "final-deep"):
        done = status(Archive(name, Store(tmp_path)))
        assert done.shipped == done.networks > 0, name


@pytest.mark.parametrize("config", reaffirm.shipped_in_full(STUDY), ids=lambda config: f"dropout {config.dropout}")
def test_search_gives_the_shipped_modules_from_the_shipped_matrices(config) -> None:
    archive = Archive(STUDY)
    matrices = archive.shipped.matrices(archive.keys(config).of["modules"])
    rows = module_rows(matrices, seed=config.run, steps=STUDY.search_steps)
    # Normalised matrices are shipped in single precision: the raw ones alone are what was searched.
    raw = [index for index, row in enumerate(rows) if not row["measure"].endswith("_norm")]
    shipped = reaffirm._rows("modules", config, STUDY)
    assert len(raw) == 8
    for index in raw:
        assert {name: shipped[index][name] for name in rows[index]} == rows[index]


@pytest.mark.usefixtures("mnist")
def test_shipped_weights_give_the_shipped_matrices_modules_and_agreement() -> None:
    for name, differences in reaffirm._shipped_weights():
        assert list(differences()) == [], name


def test_the_table_of_common_mode_comes_out_the_same() -> None:
    assert list(reaffirm._common_mode_differences()) == []


@pytest.fixture
def changed(monkeypatch: pytest.MonkeyPatch, own_lineage: Path) -> Path:
    """The code of the search is new, and one network is the sample."""
    fingerprint = lineage.fingerprint
    entries = lineage.ENTRIES["modules"]
    monkeypatch.setattr(lineage, "fingerprint", lambda *names: "new" if names == entries else fingerprint(*names))
    config = reaffirm.shipped_in_full(STUDY)[1]
    monkeypatch.setattr(reaffirm, "shipped_in_full", lambda study: [config] if study.name == "v1" else [])
    forget()
    return own_lineage


@pytest.mark.usefixtures("mnist")
def test_changed_code_that_gives_the_same_is_added_to_the_lineage_and_makes_nothing_stale(
    changed: Path, tmp_path: Path
) -> None:
    assert (
        "the shipped tables are stale from modules on"
        in reasons(STUDY.trained_configs(), Archive(STUDY, Store(tmp_path)))[0]
    )
    before = json.loads(changed.read_text())
    shown = CliRunner().invoke(cli.main, ["reaffirm"])
    assert shown.exit_code == 0, shown.output
    assert shown.output.splitlines()[-1] == "added to the lineage: modules"
    after = json.loads(changed.read_text())
    line = after["modules"].pop("new")
    assert after == before
    assert line["how"] == "recomputed"
    assert line["same_as"] == reaffirm._shipped_source("modules")
    assert len(line["networks"]) == 1
    assert "none is stale" in reasons(STUDY.trained_configs(), Archive(STUDY, Store(tmp_path)))[0]
    assert CliRunner().invoke(cli.main, ["reaffirm"]).output == "the code of every stage is proven already.\n"


@pytest.mark.usefixtures("mnist")
@pytest.mark.parametrize("table", ["modules", "agreement", "matrices"])
def test_a_change_of_one_bit_is_refused(changed: Path, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = changed.read_text()
    rows_of, matrices_of = getattr(reaffirm, f"{table[:-1]}_rows", reaffirm.agreement_rows), reaffirm.measured_matrices

    def one_bit_off(*arguments, **options):
        rows = rows_of(*arguments, **options)
        name = "score" if table == "modules" else "transfer"
        rows[5][name] = float(np.nextafter(rows[5][name], 1.0))
        return rows

    def matrix_off(*arguments):
        matrices = matrices_of(*arguments)
        matrices["hidden2"]["input_gradient"][3, 4] = np.nextafter(matrices["hidden2"]["input_gradient"][3, 4], 1.0)
        return matrices

    if table == "matrices":
        monkeypatch.setattr(reaffirm, "measured_matrices", matrix_off)
    else:
        monkeypatch.setattr(reaffirm, "module_rows" if table == "modules" else "agreement_rows", one_bit_off)
    shown = CliRunner().invoke(cli.main, ["reaffirm"])
    assert shown.exit_code == 1
    assert "not those that were shipped, to the last bit" in shown.stderr
    assert "Nothing was added to the lineage" in shown.stderr
    assert changed.read_text() == before


def test_another_version_of_a_library_is_noticed(
    own_lineage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = lineage.installed_libraries()
    monkeypatch.setattr(lineage, "installed_libraries", lambda: {**here, "numpy": "9.9.9"})
    assert lineage.unproven_libraries("v1") == {"numpy": ("9.9.9", here["numpy"])}
    assert "numpy 9.9.9 here" in status(Archive(STUDY, Store(tmp_path))).text()
    assert "modularity reaffirm" in reasons(STUDY.trained_configs(), Archive(STUDY, Store(tmp_path)))[0]

    with pytest.warns(lineage.OtherLibraries, match=r"numpy 9\.9\.9 here"):
        Archive(STUDY, Store(tmp_path)).tables()
    lines = json.loads(own_lineage.read_text())
    lines["libraries"].append({"versions": {**here, "numpy": "9.9.9"}})
    own_lineage.write_text(json.dumps(lines))
    forget()
    assert lineage.unproven_libraries("v1") == {}


def test_common_mode_of_other_code_is_recomputed_only_in_words(own_lineage: Path) -> None:
    assert common_mode.shipped_facts("v1")["facts"]["source"] == lineage.source_of("common_mode")

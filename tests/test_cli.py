"""The command `modularity`: what it shows, and one line with status 2 for what was typed wrong."""

import errno
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import click
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from threadpoolctl import threadpool_info, threadpool_limits

import tiny
from made_up_results import made_up_results
from modularity_lib import cli
from modularity_lib.book import cover, pdf, readme, rerun
from modularity_lib.book.execution import ChapterFailed
from modularity_lib.findings import bounds, common_mode, false_positives, live_units, made_up_rises, reaffirm
from modularity_lib.images import dataset
from modularity_lib.images.sources import DatasetUnavailable
from modularity_lib.studies import archive, measurement, shipping, status
from modularity_lib.studies import run as study_run
from modularity_lib.studies.archive import dataset_of_study
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.measurement import measured_matrices
from modularity_lib.studies.rehearsal import WorkersUnavailable
from modularity_lib.studies.results import TABLES
from modularity_lib.studies.store import Store, StoreUnusable
from without_powers import without_root_powers

TINY = replace(tiny.TINY, epochs=2)


@pytest.fixture(autouse=True)
def _tiny_study(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STUDIES, "tiny", TINY)
    monkeypatch.setattr(study_run, "run_on_dask", tiny.run_here)


def modularity(*arguments: object) -> Result:
    return CliRunner().invoke(cli.main, [str(argument) for argument in arguments])


@pytest.fixture
def computed(tmp_path: Path) -> Path:
    assert modularity("run", "tiny", "--store", tmp_path, "--quiet").exit_code == 0
    return tmp_path


def test_a_run_says_where_the_results_are(tmp_path: Path) -> None:
    shown = modularity("run", "tiny", "--store", tmp_path)
    assert shown.exit_code == 0
    assert f"tiny: all 3 networks are in {tmp_path} or shipped" in shown.stderr
    assert "3 of 3 networks done" in shown.stderr


def test_a_quiet_run_says_nothing(tmp_path: Path) -> None:
    shown = modularity("run", "tiny", "--store", tmp_path, "--quiet")
    assert (shown.exit_code, shown.output) == (0, "")


def test_a_dry_run_computes_nothing_and_says_what_it_would(tmp_path: Path) -> None:
    shown = modularity("run", "tiny", "--store", tmp_path, "--dry-run", "--workers", 2)
    assert "2 networks to train" in shown.output
    assert "3 to measure, 1 of them untrained" in shown.output
    assert "processes about" in shown.output
    assert not list(tmp_path.iterdir())


def test_a_dry_run_counts_only_what_is_missing(computed: Path) -> None:
    Store(computed).remove("agreement")
    shown = modularity("run", "tiny", "--store", computed, "--dry-run").output
    assert "0 networks to train" in shown
    assert "3 to measure, 1 of them untrained" in shown


def test_a_dry_run_of_a_complete_study_has_nothing_to_do(computed: Path) -> None:
    assert modularity("run", "tiny", "--store", computed, "--dry-run").output == "tiny: nothing to compute.\n"


def test_status_counts_networks(tmp_path: Path) -> None:
    before = modularity("status", "tiny", "--store", tmp_path).output
    assert "done       0" in before
    assert "time left  unknown" in before
    modularity("run", "tiny", "--store", tmp_path, "--quiet")
    after = modularity("status", "tiny", "--store", tmp_path)
    assert "done       3" in after.output
    assert "time left  0 s" in after.output
    assert after.exit_code == 0


def test_why_says_what_was_never_computed_and_what_is_stale(computed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "none is stale" in modularity("why", "tiny", "--store", computed).output
    monkeypatch.setitem(STUDIES, "tiny", replace(TINY, permutations=99))
    assert "agreement is stale: permutations was 200, is 99." in modularity("why", "tiny", "--store", computed).output
    monkeypatch.setitem(STUDIES, "tiny", replace(TINY, epochs=3))
    stale = modularity("why", "tiny", "--store", computed, "--dropout", 0.3).output
    assert stale == "run 0, l2 1e-05, l1 0, dropout 0.3: training is stale: epochs was 2, is 3.\n"
    monkeypatch.setitem(STUDIES, "tiny", replace(TINY, dropout=(0.4,)))
    assert "dropout 0.4: training has never been computed." in modularity("why", "tiny", "--store", computed).output


def test_verify_recomputes_networks_and_agrees_with_what_is_stored(computed: Path) -> None:
    shown = modularity("verify", "tiny", "--sample", 2, "--store", computed)
    assert shown.exit_code == 0, shown.output
    assert "recomputed and stored networks agree" in shown.output
    assert len(shown.output.splitlines()) == 1 + 2 + 1  # names of the columns, two networks, the verdict


def test_running_and_verifying_keep_to_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def measured(parameters, dataset):
        threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return measured_matrices(parameters, dataset)

    monkeypatch.setattr(measurement, "measured_matrices", measured)
    for command in ("run", "verify"):
        with threadpool_limits(2, user_api="blas"):
            assert modularity(command, "tiny", "--store", tmp_path).exit_code == 0
        assert set(threads) == {1}
        threads.clear()


def test_verify_notices_results_that_cannot_be_repeated(computed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = measurement.module_rows
    changed = lambda *args, **kwargs: [{**row, "score": row["score"] + 0.1} for row in rows(*args, **kwargs)]  # noqa: E731
    monkeypatch.setattr(measurement, "module_rows", changed)
    shown = modularity("verify", "tiny", "--store", computed)
    assert shown.exit_code == 1
    assert "DO NOT AGREE" in shown.output


def test_export_writes_the_tables_as_csv(computed: Path, tmp_path: Path) -> None:
    shown = modularity("export", "tiny", "--store", computed, "--to", tmp_path / "tables")
    assert shown.exit_code == 0
    for name, rows in zip(TABLES, (3, 48, 216), strict=True):
        assert len(pd.read_csv(tmp_path / "tables" / f"{name}.csv")) == rows


def test_export_writes_parquet_with_labels_as_lists(computed: Path, tmp_path: Path) -> None:
    assert modularity("export", "tiny", "--store", computed, "--to", tmp_path / "tables", "--parquet").exit_code == 0
    modules = pd.read_parquet(tmp_path / "tables" / "modules.parquet")
    assert len(modules) == 48
    assert len(modules["labels"].iloc[0]) == 16
    assert sorted(file.name for file in (tmp_path / "tables").iterdir()) == [
        "SHA256SUMS",
        "agreement.parquet",
        "facts.json",
        "modules.parquet",
        "networks.parquet",
    ]


def test_export_does_not_write_over_a_folder_of_other_things(computed: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    shown = modularity("export", "tiny", "--store", computed, "--to", tmp_path / "mine", "--parquet")
    assert shown.exit_code == 2
    assert "holds other files than tables of a study" in shown.stderr
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_what_there_is_of_an_incomplete_study_can_be_exported(computed: Path, tmp_path: Path) -> None:
    Store(computed).remove("agreement", next(iter(Store(computed).keys("agreement"))))
    arguments = ["export", "tiny", "--store", computed, "--to", tmp_path / "tables"]
    assert modularity(*arguments).exit_code == 1
    assert modularity(*arguments, "--incomplete").exit_code == 0
    assert len(pd.read_csv(tmp_path / "tables" / "networks.csv")) == 2


def test_a_chapter_that_fails_is_told_with_its_line_and_what_there_is_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, parameters: dict[str, object], *, output: Path | None) -> None:
        assert (name, parameters, output) == ("measures", {"dropout": "0.7", "layer": "2", "run": "[1, 2]"}, None)
        raise ChapterFailed("NameError: no", line=7, notebook=Path("partial.ipynb"))

    monkeypatch.setattr(rerun, "rerun", fail)
    shown = modularity("chapter", "measures", "-p", "dropout", 0.7, "--parameters", "layer=2 run=[1, 2]")
    assert shown.exit_code == 1
    assert shown.stderr.splitlines() == [
        "modularity: chapters/measures.md:7: NameError: no",
        "The notebook as far as it got: partial.ipynb",
    ]


@pytest.mark.parametrize("command", [["chapter", "measures"], ["pdf"]])
@pytest.mark.parametrize("installed", ["2.1.7", "10.0", None])
def test_another_jupyter_book_than_the_first_is_refused_with_what_to_install(
    command: list[str], installed: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(package: str) -> str:
        if installed is None:
            raise PackageNotFoundError(package)
        return installed

    monkeypatch.setattr("importlib.metadata.version", version)
    shown = modularity(*command)
    assert shown.exit_code == 1
    assert (
        f"made by Jupyter Book 1, and installed is {installed or 'none'}. Install it with: pip install" in shown.stderr
    )
    assert shown.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied", "data/a.npz"), "modularity: data/a.npz: Permission denied."),
        (OSError(28, "No space left on device", "x"), "modularity: x: No space left on device."),
        (OSError("something else"), "modularity: something else."),
    ],
)
def test_a_file_that_a_chapter_needs_and_cannot_have_is_one_line(
    error: OSError, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(rerun, "surroundings", fail)
    monkeypatch.setattr(rerun, "_check_writable", lambda folder: None)
    shown = modularity("chapter", "live")
    assert (shown.exit_code, shown.stderr) == (1, f"{message}\n")


def test_a_place_that_cannot_be_written_is_named_before_a_chapter_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        shown = modularity("chapter", "live", "-p", "study", "smoke", "--to", folder)
        assert shown.exit_code in (1, 2)
        assert shown.stderr.count("\n") == 1
    assert "live-study=smoke: Not a directory. Choose another folder with --to /a/folder." in shown.stderr


def test_a_book_that_cannot_be_printed_is_not_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pdf.subprocess, "run", lambda *_: pytest.fail("it was built"))
    shown = modularity("pdf")
    assert shown.exit_code == 1
    assert "modularity: the PDF is printed by Chromium" in shown.stderr


def test_the_readme_and_the_cover_are_written_from_what_is_shipped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shipped = readme.README.read_text()
    (tmp_path / "README.md").write_text(readme.with_table(shipped, [made_up_results()]))
    monkeypatch.setattr(readme, "README", tmp_path / "README.md")
    monkeypatch.setattr(cover, "COVER", tmp_path / "cover.png")
    assert modularity("readme").exit_code == 0
    assert (tmp_path / "README.md").read_text() == shipped
    assert (tmp_path / "cover.png").exists()


def test_common_mode_is_measured_on_the_networks_of_the_given_store(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shipped: list[tuple[str, Path]] = []
    monkeypatch.setattr(common_mode, "ship", lambda results, store: shipped.append((results.study.name, store.root)))
    assert modularity("common-mode", "--store", tmp_path).exit_code == 0
    assert shipped == [("v1", tmp_path)]


def test_bounds_are_computed_for_v1(monkeypatch: pytest.MonkeyPatch) -> None:
    shipped: list[str] = []
    monkeypatch.setattr(bounds, "ship", lambda results: shipped.append(results.study.name))
    assert modularity("bounds").exit_code == 0
    assert shipped == ["v1"]


@pytest.mark.parametrize(("arguments", "study"), [([], "v1"), (["final-base"], "final-base")])
def test_live_units_are_tested_for_a_study(arguments: list[str], study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped: list[str] = []
    monkeypatch.setattr(live_units, "ship", lambda results: shipped.append(results.study.name))
    assert modularity("live-units", *arguments).exit_code == 0
    assert shipped == [study]


def test_data_fetch_names_what_is_at_hand() -> None:
    shown = modularity("data", "fetch", "mnist-5k")
    assert f"4,000 training and 1,000 test images, SHA-256 {dataset_of_study('mnist-5k').sha256}" in shown.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "smok"], "Did you mean 'smoke'"),
        (["run"], "Missing argument 'STUDY'"),
        (["run", "tiny", "--workers", "0"], "0 is not in the range x>=1"),
        (["run", "tiny", "--shard", "3/2"], "must be i/n with 1 <= i <= n"),
        (["run", "tiny", "--shard", "half"], "must be i/n with 1 <= i <= n"),
        (["status", "nothing"], "study must be one of"),
        (["why", "tiny", "--dropout", "0.9"], "has no network with {'dropout': 0.9}"),
        (["verify", "tiny", "--sample", "none"], "'none' is not a valid integer"),
        (["export", "tiny"], "Missing option '--to'"),
        (["chapter", "mesures"], "Did you mean 'measures'?"),
        (["chapter", "measures", "-p", "dropuot", "0.3"], "Did you mean 'dropout'?"),
        (["chapter", "measures", "-p", "dropouts", "[0.1 0.2]"], "chapter 'measures': dropouts must be a list of"),
        (["chapter", "measures", "-p", "layer", "1", "-p", "layer", "2"], "'layer' is given twice"),
        (["chapter", "measures", "-p", "layer", "1", "--parameters", "layer=2"], "'layer' is given twice"),
        (["chapter", "measures", "--parameters", "dropout 0.7"], "must be written like"),
        (["chapter", "rerun", "-p", "cores", "1e400"], "whole number from 1 to 4096, such as 2, got '1e400'"),
        (["data", "fetch", "cifar"], "is not one of 'fashion-mnist'"),
        (["nonsense"], "No such command 'nonsense'"),
        (["run", "tiny", "--nonsense"], "No such option"),
        (["run", "tiny", "--shard", "1/2", "--workers", "2"], "exclude each other"),
        (["run", "tiny", "--shard", "1/2", "--scheduler", "tcp://127.0.0.1:1"], "exclude each other"),
        (["export", "tiny", "--to", "tables", "--weights", "1"], "--weights goes with --parquet"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(arguments: list[str], message: str) -> None:
    shown = modularity(*arguments)
    assert shown.exit_code == 2
    assert message in shown.stderr
    assert shown.stderr.count("\n") == 1
    assert "Traceback" not in shown.output


def fail_with(error: BaseException):
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


# What each command calls first of all that touches a file.
FIRST_OF = {
    ("run", "tiny"): (study_run, "run_study"),
    ("run", "tiny", "--shard", "1/2"): (study_run, "run_shard"),
    ("run", "tiny", "--dry-run"): (status, "plan"),
    ("status", "tiny"): (status, "status"),
    ("why", "tiny"): (status, "reasons"),
    ("verify", "tiny"): (archive.Archive, "tables_at_hand"),
    ("export", "tiny", "--to", "tables"): (archive.Archive, "tables"),
    ("reaffirm",): (reaffirm, "reaffirm"),
    ("readme",): (readme, "shipped_results"),
    ("common-mode",): (common_mode, "ship"),
    ("bounds",): (bounds, "ship"),
    ("live-units",): (live_units, "ship"),
    ("false-positives",): (false_positives, "ship"),
    ("made-up-rises",): (made_up_rises, "ship"),
    ("pdf",): (pdf, "build_single_page"),
    ("data", "fetch", "mnist-5k"): (dataset, "load_dataset"),
}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/a/file"), "/a/file: Permission denied. Make it readable"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "/a/folder"), "/a/folder: Is a directory."),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/a/file/b"), "/a/file/b: Not a directory."),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "/gone"), "/gone: No such file or directory."),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device. Free some space."),
        (OSError(errno.EROFS, "Read-only file system", "/a"), "/a: Read-only file system. Work in a copy"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error."),
        (StoreUnusable(errno.EACCES, "the store cannot be read"), "modularity: the store cannot be read\n"),
        (DatasetUnavailable("no images"), "modularity: no images\n"),
        (WorkersUnavailable("no worker"), "modularity: no worker\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
@pytest.mark.parametrize("command", FIRST_OF, ids=" ".join)
def test_what_a_users_surroundings_do_to_a_command_is_one_line(
    command: tuple[str, ...], error: OSError, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(*FIRST_OF[command], fail_with(error))
    shown = modularity(*command)
    assert shown.exit_code == 1
    assert message in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_a_fault_of_the_program_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "status", fail_with(KeyError("a bug")))
    assert isinstance(modularity("status", "tiny").exception, KeyError)


def test_a_book_that_is_stopped_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf, "build_single_page", fail_with(KeyboardInterrupt()))
    shown = modularity("pdf")
    assert (shown.exit_code, shown.stderr.strip()) == (130, "modularity: stopped.")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("arguments", [["--version"], ["run", "smoke", "--dry-run"], ["why", "smoke", "--run", "0"]])
def test_output_that_cannot_be_written_is_one_line(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "modularity_lib.cli", *arguments], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (1, "modularity: No space left on device. Free some space.\n")


def test_a_reader_who_reads_no_further_is_no_error() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    command = [sys.executable, "-m", "modularity_lib.cli", "why", "smoke"]
    done = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE, text=True)
    os.close(writes)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("arguments", [["status", "smoke"], ["run", "smoke"], ["export", "smoke", "--to", "tables"]])
def test_a_store_that_may_not_be_read_is_one_line(arguments: list[str], tmp_path: Path) -> None:
    closed = tmp_path / "training"
    closed.mkdir(mode=0o000)
    done = subprocess.run(
        [sys.executable, "-m", "modularity_lib.cli", *arguments, "--store", str(tmp_path)],
        capture_output=True,
        text=True,
        preexec_fn=without_root_powers,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"cannot be read from the store {tmp_path} (Permission denied)" in done.stderr


def test_a_table_that_cannot_replace_others_is_refused_before_the_networks_are_measured(
    computed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipping, "weights_to_ship", lambda *_, **__: pytest.fail("it measures"))
    (tmp_path / "file").write_text("")
    shown = modularity(
        *("export", "tiny", "--store", computed, "--to", tmp_path / "file" / "tables", "--parquet", "--weights", 1)
    )
    assert shown.exit_code == 2
    assert "cannot be written" in shown.stderr


def test_an_incomplete_study_cannot_be_exported_and_says_how_to_complete_it(tmp_path: Path) -> None:
    shown = modularity("export", "tiny", "--store", tmp_path, "--to", tmp_path / "tables")
    assert shown.exit_code == 1
    assert "`modularity run tiny` computes them" in shown.stderr


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, command in group.commands.items():
        found += commands(command, (*path, name)) if isinstance(command, click.Group) else [(*path, name)]
    return found


@pytest.mark.parametrize("command", commands(cli.main), ids=" ".join)
def test_the_help_of_every_command_shows_an_example(command: tuple[str, ...]) -> None:
    shown = modularity(*command, "--help")
    assert shown.exit_code == 0
    assert f"modularity {' '.join(command)}" in shown.output.split("Example:")[1]

"""`modularity analyze`: a network or a recording on disk; errors are one line, and nothing is left half written."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

import modularity_lib as ml
from modularity_lib import cli
from modularity_lib.analysis import analyze as analysing
from modularity_lib.analysis.nulls import NULLS
from modularity_lib.similarity.losses import LOSSES
from modularity_lib.vocabulary import MEASURES, quantity_of

PACKAGE = """
import torch
from collections import OrderedDict

def build():
    torch.manual_seed(0)
    parts = [("fc", torch.nn.Linear(6, 10)), ("act", torch.nn.Tanh()), ("out", torch.nn.Linear(10, 3))]
    return torch.nn.Sequential(OrderedDict(parts))

READY = build()
NUMBER = 5

def without_weights():
    raise RuntimeError("no weights here\\nand more lines")

def no_network():
    return 5

def narrow():
    return torch.nn.Sequential(OrderedDict(act=torch.nn.Linear(5, 4)))
"""
QUICK = ["--draws", "9", "--searches", "3", "--seconds", "0.5"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a package, arrays, and files that are none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("mypackage", "broken", "needs_more"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    random = np.random.default_rng(0)
    (tmp_path / "mypackage.py").write_text(PACKAGE)
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "needs_more.py").write_text("import not_installed_anywhere")
    np.save("x.npy", random.standard_normal((30, 6)).astype(np.float32))
    np.save("y.npy", np.arange(30) % 3)
    np.save("spikes.npy", random.standard_normal((100, 6)))
    np.savez("one.npz", random.standard_normal((100, 6)))
    np.savez("two.npz", a=np.eye(3), b=np.eye(3))
    np.save("objects.npy", np.array([{}], dtype=object))
    Path("short.npy").write_bytes(Path("spikes.npy").read_bytes()[:500])
    Path("spikes.txt").write_text("1 2")
    pd.DataFrame(random.standard_normal((50, 4)), columns=list("abcd")).to_csv("table.csv", index=False)
    Path("alike.csv").write_text("a,b,a\n1,2,4\n2,3,3\n5,1,2\n")
    np.savetxt("headless.csv", random.standard_normal((50, 4)), delimiter=",")
    Path("words.csv").write_text("a,b\nx,y\nz,w\n")
    return tmp_path


def analyze(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["analyze", *QUICK, *arguments], prog_name="modularity")


def test_a_recording_becomes_a_page() -> None:
    done = analyze("--activity", "spikes.npy", "--report", "report.html")
    assert done.exit_code == 0, done.stderr
    assert "input_covariance_norm" in done.stdout
    assert Path("report.html").read_text().startswith("<!DOCTYPE html>")
    assert done.stdout.splitlines()[-1] == f"report: {Path('report.html').resolve()}"


def test_the_module_of_each_unit_is_kept_where_it_says() -> None:
    done = analyze("--activity", "table.csv", "--csv", "modules.csv", "--report", "report.html")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[-2] == f"modules of the units: {Path('modules.csv').resolve()}"
    found = ml.analyze(pd.read_csv("table.csv"), draws=9, searches=3, seconds=0.5)
    pd.testing.assert_frame_equal(pd.read_csv("modules.csv"), found.units_to_frame())
    assert analyze("--activity", "table.csv", "--csv", "no/modules.csv").exit_code == 2


def test_columns_that_are_counted_have_names() -> None:
    for first in (0, 1):
        pd.DataFrame(np.eye(4), columns=range(first, first + 4)).to_csv("counted.csv", index=False)
        assert analyze("--activity", "counted.csv", "--csv", "modules.csv").exit_code == 0
        assert pd.read_csv("modules.csv")["unit"].unique().tolist() == list(range(first, first + 4))


def test_a_newcomer_is_told_how_to_keep_what_is_found() -> None:
    done = analyze("--activity", "spikes.npy")
    assert done.stderr == "Nothing was kept: --report FILE writes a page, --csv FILE the module of each unit.\n"
    assert "e-1" not in done.stdout  # a Q of 1e-17
    for kept in ("--csv", "--report"):
        assert analyze("--activity", "spikes.npy", kept, "file").stderr == ""


def test_the_help_names_all_measures_and_nulls() -> None:
    said = " ".join(CliRunner().invoke(cli.main, ["analyze", "--help"]).stdout.split()).replace("- ", "-")
    for name in {*map(quantity_of, MEASURES), *NULLS, *LOSSES} - {"untrained"}:
        assert name in said, name  # "untrained" takes a function, and is no option


def test_a_model_becomes_a_page() -> None:
    given = ["--model", "mypackage:build", "--inputs", "x.npy", "--labels", "y.npy", "--layers", "act,fc"]
    done = analyze(*given, "--measures", "input_gradient", "--measures", "output_hessian", "--report", "report.html")
    assert done.exit_code == 0, done.stderr
    rows = [line.split()[:2] for line in done.stdout.splitlines()[1:-1]]
    assert {tuple(row) for row in rows} == {
        (layer, measure) for layer in ("act", "fc") for measure in ("input_gradient", "output_hessian")
    }


@pytest.mark.parametrize("given", [["--activity", "one.npz"], ["--activity", "table.csv"]])
def test_other_files_are_read_too(given: list[str]) -> None:
    done = analyze(*given, "--report", "report.html")
    assert done.exit_code == 0, done.stderr
    assert ("csv" in given[1]) == (
        "<td>a, b" in Path("report.html").read_text() or ">a<" in Path("report.html").read_text()
    )


def test_quiet_without_a_file_is_refused() -> None:
    done = analyze("--activity", "spikes.npy", "--quiet")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--quiet goes with --report or --csv: without them nothing would be told or kept." in done.stderr


def test_a_network_that_is_there_needs_no_function_and_quiet_says_nothing() -> None:
    given = ["--model", "mypackage:READY", "--inputs", "x.npy", "--layers", "act", "--measures", "input_covariance"]
    done = analyze(*given, "--quiet", "--report", "report.html")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"report: {Path('report.html').resolve()}\n"


MODEL = ["--model", "mypackage:build", "--inputs", "x.npy"]


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        ([], 2, "Give --activity for a recording, or --model with --inputs for a network."),
        ([*MODEL, "--activity", "spikes.npy"], 2, "Give --activity for a recording, or"),
        (["--model", "mypackage:build"], 2, "--inputs must be given with --model"),
        (["--activity", "spikes.npy", "--inputs", "x.npy"], 2, "--inputs goes with --model"),
        (["--activity", "spikes.npy", "--labels", "y.npy"], 2, "--labels goes with --model"),
        (["--activity", "spikes.npy", "--layers", "act"], 2, "network must be a torch.nn.Module where layers is given"),
        (["--activity", "no.npy"], 2, "--activity must be a file that exists, got no.npy"),
        (["--activity", "."], 2, "--activity must be a file of .npy, .npz or .csv"),
        (["--activity", "spikes.txt"], 2, "--activity must be a file of .npy, .npz or .csv, got spikes.txt"),
        (["--activity", "two.npz"], 2, "--activity must hold one array, got 2 in two.npz: a, b"),
        (["--activity", "objects.npy"], 1, "--activity: objects.npy cannot be read as numbers"),
        (["--activity", "short.npy"], 1, "--activity: short.npy cannot be read as numbers"),
        (["--activity", "words.csv"], 2, "modularity analyze: activity must hold real numbers"),
        (["--activity", "alike.csv"], 2, "the columns of activity must name each unit once, got 'a' for units 0 and 2"),
        (["--activity", "headless.csv"], 2, "headless.csv must begin with a line of names of its columns, got numbers"),
        (["--activity", "spikes.npy", "--csv", "no/x.csv"], 2, "--csv must lie in a folder that exists"),
        (["--activity", "spikes.npy", "--draws", "0"], 2, "draws must be a whole number of at least 1"),
        (["--activity", "spikes.npy", "--null", "nonsense"], 2, "null"),
        (["--activity", "spikes.npy", "--report", "no/report.html"], 2, "--report must lie in a folder that exists"),
        (["--activity", "spikes.npy", "--report", "."], 2, "--report must be the path of a file, got the folder"),
        ([*MODEL, "--layers", "actt", "--labels", "y.npy"], 2, "Did you mean 'act'?"),
        ([*MODEL, "--layers", "act", "--units", "act"], 2, "--units must be LAYER=NUMBER, such as layer4=1, got 'act'"),
        (["--model", "mypackage", "--inputs", "x.npy"], 2, "--model must be PACKAGE:FUNCTION"),
        (["--model", "nowhere:build", "--inputs", "x.npy"], 2, "--model must name a module that Python finds here"),
        (["--model", "mypackage:buil", "--inputs", "x.npy"], 2, "mypackage has no 'buil'. Did you mean 'build'?"),
        (["--model", "mypackage:NUMBER", "--inputs", "x.npy"], 2, "--model must name a function without arguments"),
        (["--model", "mypackage:no_network", "--inputs", "x.npy"], 2, "--model must give a torch.nn.Module, got int"),
        (["--model", "mypackage:without_weights", "--inputs", "x.npy"], 1, "failed with RuntimeError: no weights here"),
        (["--model", "broken:build", "--inputs", "x.npy"], 1, "broken cannot be imported: ZeroDivisionError"),
        (["--model", "needs_more:build", "--inputs", "x.npy"], 1, "imports not_installed_anywhere"),
        (
            ["--model", "mypackage:narrow", "--inputs", "x.npy", "--layers", "act", "--measures", "input_covariance"],
            None,
            "",
        ),
    ],
)
def test_an_error_is_one_line_and_no_page_is_begun(
    given: list[str], status: int | None, said: str, folder: Path
) -> None:
    before = sorted(folder.glob("*"))
    with_page = given if "--report" in given else [*given, "--report", "report.html"]
    done = analyze(*with_page)
    assert done.exit_code == status if status is not None else done.exit_code > 0
    assert said in done.stderr
    assert done.stderr.startswith("modularity")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert [path for path in sorted(folder.glob("*")) if path.name != "__pycache__"] == before


def test_a_page_that_cannot_be_written_is_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysing, "find_modules", lambda *_, **__: pytest.fail("it has begun to work"))
    assert "--report must lie" in analyze("--activity", "spikes.npy", "--report", "no/report.html").stderr


def test_a_warning_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    real = analysing.find_modules

    def warning(*given, **named):
        warnings.warn("two\nlines", UserWarning, stacklevel=1)
        return real(*given, **named)

    monkeypatch.setattr(analysing, "find_modules", warning)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        done = analyze("--activity", "spikes.npy")
    assert done.exit_code == 0, done.stderr
    assert "modularity: warning: two\n" in done.stderr


def test_a_column_without_a_name_is_refused(tmp_path: Path) -> None:
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 3)), columns=list("abc"))
    table.to_csv(tmp_path / "x.csv")
    done = CliRunner().invoke(cli.main, ["analyze", "--activity", str(tmp_path / "x.csv")])
    assert done.exit_code == 2
    assert "1 without a name" in done.output
    assert "index=False" in done.output

"""Commands and scripts leave nothing behind: no file outside their folder, no process, no word of another library."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

FOLDERS = ("home", "temporary", "here")
RUN = """
import modularity_lib as ml
if __name__ == "__main__":
    study = ml.Study(name="tiny", dataset="mnist-5k", hidden=(4, 4), epochs=1, dropout=(0.3,), runs=1, untrained=2)
    ml.run_study(study, workers=2, progress=False)
"""
FIND = """
import modularity_lib as ml
digits = ml.load_dataset()
matrices = ml.similarity_matrices(ml.MLP((784, 8, 10)), digits.test_images[:50], digits.test_labels[:50])
print(ml.find_modules(matrices["hidden1"]["input_covariance"]).score)
"""


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["-m", "modularity_lib.cli", "--help"], 0),
        (["-m", "modularity_lib.cli", "run", "smoke", "--dry-run"], 0),
        (["-m", "modularity_lib.cli", "status", "v1"], 0),
        (["-m", "modularity_lib.cli", "why", "smoke", "--run", "0"], 0),
        (["-m", "modularity_lib.cli", "data", "fetch", "mnist-5k"], 0),
        (["-c", FIND], 0),
        pytest.param(
            ["-m", "modularity_lib.cli", "run", "smoke", "--shard", "1/4", "--quiet"], 0, marks=pytest.mark.slow
        ),
        pytest.param(["-m", "modularity_lib.cli", "run", "smoke", "--quiet"], 0, marks=pytest.mark.slow),
        pytest.param(["-c", RUN], 0, marks=pytest.mark.slow),
    ],
    ids=lambda value: " ".join(value)[:60].strip() if isinstance(value, list) else None,
)
def test_nothing_is_left(arguments: list[str], status: int, tmp_path: Path) -> None:
    for name in FOLDERS:
        (tmp_path / name).mkdir()
    places = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary")}
    store = {"MODULARITY_STORE": str(tmp_path / "store")}
    project = str(Path(__file__).parents[1])
    path = os.pathsep.join([project, *filter(None, [os.environ.get("PYTHONPATH")])])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", *arguments],
        cwd=tmp_path / "here",
        env={**kept, **places, **store, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (status, "")
    assert [str(file) for name in FOLDERS for file in (tmp_path / name).rglob("*")] == []
    hidden = [file.name for file in (tmp_path / "store").rglob(".*")]
    assert hidden == []
    assert [process for process in psutil.process_iter() if is_of(process, places["HOME"])] == []


def is_of(process: psutil.Process, home: str) -> bool:
    try:
        return process.environ().get("HOME") == home and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False

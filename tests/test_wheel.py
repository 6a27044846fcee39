"""The installed package, without the checkout and the extras: what it holds, what works, what is said at once.

The wheel is built from what git tracks. The environment borrows the packages of this one, but those of the extras
cannot be imported in it. Every use is in an empty folder.
"""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.slow

NOT_INSTALLED = (
    "dask",
    "distributed",
    "igraph",
    "jupytext",
    "matplotlib",
    "networkx",
    "pooch",
    "pyarrow",
    "safetensors",
)
# PyTorch may import networkx where it is there; what is not there it does without.


@pytest.fixture(scope="module")
def wheel(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the files that git tracks."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=project, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if name.startswith("modularity_lib/") or "/" not in name:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((project / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", out, copy], check=True)
    [built] = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment that holds the wheel and what the library requires."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-qq", "--no-deps", "--no-index"]
    subprocess.run([*pip, wheel], check=True)
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout.strip())
    blocked = "; ".join(f"sys.modules[{name!r}] = None" for name in NOT_INSTALLED)
    (packages / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\nimport sys; {blocked}\n")
    return place / "bin"


@pytest.fixture
def use(installed: Path, tmp_path: Path):
    """Runs a command of the environment in an empty folder."""
    unwanted = {"PYTHONPATH", "MODULARITY_STORE", "MODULARITY_DATA"}

    def run(command: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if name not in unwanted}
        kept |= {"HOME": str(tmp_path / "home"), **environment}
        folder = tmp_path / "empty"
        folder.mkdir(exist_ok=True)
        return subprocess.run([installed / command, *arguments], cwd=folder, env=kept, capture_output=True, text=True)

    return run


def test_the_wheel_holds_the_digits_with_their_licence_and_no_tests(wheel: Path, project: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"modularity_lib/images/mnist_5k.npz", "modularity_lib/images/README.md"} <= set(names)
    tracked = {path.relative_to(project).as_posix() for path in (project / "modularity_lib").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == tracked
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"modularity_lib"}
    assert wheel.stat().st_size < 2_000_000


def test_the_library_is_the_installed_one(use) -> None:
    done = use("python", "-c", "import modularity_lib; print(modularity_lib.__file__)")
    assert "site-packages" in done.stdout
    assert "environment" in done.stdout


def test_the_lines_of_the_readme_run(use, project: Path) -> None:
    section = (project / "README.md").read_text().split("## Your own network", 1)[1].split("\n## ", 1)[0]
    code = "\n".join(re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL))
    assert "load_dataset" in code
    without_what_draws = code.replace("modules.plot()\n", "")
    assert without_what_draws != code
    done = use("python", "-W", "error", "-c", without_what_draws)
    assert done.returncode == 0, done.stderr
    assert re.match(r"\d+ modules of .* units: Q = 0\.\d+\n", done.stdout)
    assert done.stderr == ""


def test_a_recording_becomes_a_page_without_what_draws(use, tmp_path: Path) -> None:
    made = "import numpy as np; np.save('spikes.npy', np.random.default_rng(0).standard_normal((50, 6)))"
    assert use("python", "-c", made).returncode == 0
    done = use("modularity", "analyze", "--activity", "spikes.npy", "--draws", "9", "--report", "report.html")
    assert done.returncode == 0, done.stderr
    assert "<svg" in (tmp_path / "empty" / "report.html").read_text()
    code = "import modularity_lib as ml, numpy as np; ml.analyze(np.load('spikes.npy'), draws=9, seconds=0.1).plot()"
    assert 'pip install "modularity-lib[plot]"' in use("python", "-c", code).stderr.splitlines()[-1]


def test_every_public_name_is_there_or_says_what_to_install(use) -> None:
    code = """
import modularity_lib as ml
for name in ml.__all__:
    try:
        getattr(ml, name)
    except ImportError as error:
        assert type(error).__name__ == "ExtraMissing" and 'pip install "modularity-lib[studies]"' in str(error), error
        print(name)
"""
    done = use("python", "-c", code)
    assert done.returncode == 0, done.stderr
    of_studies = {"Results", "ResultsAltered", "STUDIES", "Store", "Study", "StudyIncomplete"}
    of_studies |= {"compare_with_paper", "run_study", "stored_matrices", "stored_network"}
    assert set(done.stdout.split()) == of_studies


def test_full_mnist_without_the_extra_says_the_ways_out(use) -> None:
    done = use("python", "-c", "import modularity_lib as ml; ml.load_dataset('mnist')")
    assert "modularity_lib.images.sources.DatasetUnavailable: mnist: the download of mnist needs pooch" in done.stderr
    assert 'pip install "modularity-lib[studies]"' in done.stderr
    assert "set MODULARITY_DATA to a folder" in done.stderr


@pytest.mark.parametrize("command", ["run", "status", "why", "verify"])
def test_the_commands_of_studies_without_the_extra_say_what_to_install(use, command: str) -> None:
    done = use("modularity", command, "v1")
    assert done.returncode == 1
    assert done.stderr.startswith("modularity: A study needs dask, distributed, pyarrow and safetensors, not installed")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["chapter", "measures"], ["pdf"], ["readme"], ["common-mode"], ["reaffirm"]])
def test_the_commands_of_the_book_ask_for_a_checkout(use, command: list[str]) -> None:
    done = use("modularity", *command)
    assert done.returncode == 1
    assert done.stderr.startswith(f"modularity: modularity {command[0]} needs a checkout of the project's repository")
    assert done.stderr.count("\n") == 1


# Lets a script of the environment import what the extras install.
WITH_EXTRAS = (
    "import sys\nfor name in [name for name in sys.modules if sys.modules[name] is None]: del sys.modules[name]\n"
)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("ml.run_study('v1')", "CheckoutNeeded"),
        ("ml.run_study('final-deep', store=None)", "CheckoutNeeded"),
        ("ml.stored_matrices('v1')", "LookupError"),
        ("ml.stored_network('v1', dropout=0.3)", "LookupError"),
        ("from modularity_lib import cli; cli.main(['run', 'v1'])", "modularity"),
        ("from modularity_lib import cli; cli.main(['export', 'v1', '--to', 'tables'])", "modularity"),
    ],
)
def test_shipped_results_that_are_not_here_are_not_computed_for_hours(use, call: str, error: str) -> None:
    done = use("python", "-c", f"{WITH_EXTRAS}import modularity_lib as ml\n{call}")
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert re.match(rf"(\w+\.)*{error}: ", said), done.stderr
    assert "come with the project's repository, not with the installed package: work in a checkout." in said
    assert "store" in said


def test_a_store_of_ones_own_says_that_it_is_wanted(use, tmp_path: Path) -> None:
    code = (
        "import modularity_lib as ml\nfrom modularity_lib.studies.archive import Archive\n"
        "Archive('v1', 'results').check_may_compute()\nArchive('smoke').check_may_compute()\n"
        "Archive(ml.Study(name='v1', dataset='mnist-5k', dropout=(0.3,), runs=1, untrained=0)).check_may_compute()"
    )
    done = use("python", "-c", WITH_EXTRAS + code)
    assert done.returncode == 0, done.stderr
    code = "from modularity_lib.studies.archive import Archive; Archive('v1').check_may_compute()"
    done = use("python", "-c", WITH_EXTRAS + code, MODULARITY_STORE=str(tmp_path / "chosen"))
    assert done.returncode == 0, done.stderr


def test_a_small_study_is_computed(use) -> None:
    code = (
        "import modularity_lib as ml\n"
        "if __name__ == '__main__':\n"
        "    study = ml.Study(name='tiny', dataset='mnist-5k', hidden=(8,), epochs=1, dropout=(0.3,), runs=1,\n"
        "        untrained=1, min_test_accuracy=0.0, search_steps=50, permutations=10)\n"
        "    print(len(ml.run_study(study, workers=1, progress=False).networks))\n"
    )
    script = use("python", "-c", f"open('study.py', 'w').write({WITH_EXTRAS + code!r})")
    assert script.returncode == 0
    done = use("python", "study.py")
    assert done.stdout == "3\n", done.stderr


def test_the_requirements_of_the_wheel_are_those_of_the_project(wheel: Path, project: Path) -> None:
    metadata = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("METADATA")]
        lines = archive.read(name).decode().splitlines()
    required = [Requirement(line.removeprefix("Requires-Dist: ")) for line in lines if line.startswith("Requires-Dist")]
    assert {one.name for one in required if one.marker is None} == {
        Requirement(x).name for x in metadata["dependencies"]
    }
    assert not set(NOT_INSTALLED) & {one.name for one in required if one.marker is None}

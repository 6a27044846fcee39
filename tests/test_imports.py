"""What is loaded when: to describe, read and judge a study takes nothing of what trains and measures networks."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import modularity_lib

AT_WORK = {"torch", "numba", "llvmlite", "dask", "distributed", "pooch"}  # what trains, measures, spreads or downloads
TABLES = {"numpy", "scipy", "pandas", "pyarrow", "matplotlib"}

CURRENT = "from modularity_lib.studies.archive import Archive; assert not Archive('v1').missing(), 'v1 is stale'"
READ = f"{CURRENT}; import modularity_lib as ml; results = ml.run_study('v1')"  # stale, it would compute for hours
JUDGE = f"{READ}; from modularity_lib.findings import ledger; ledger.verdicts_by_study(ledger.judge_studies([results]))"
DRAW = f"{READ}; from modularity_lib import figures; figures.performance_and_norms(results)"
FIND = "from modularity_lib.findings import beyond_chance, common_mode, false_positives, noise_ceiling, silent_units"
FIND += "; from modularity_lib.findings import live_agreement, live_units, made_up_silence, synthetic"
RECORDED = "import numpy as np, modularity_lib as ml; ml.test_modules(np.eye(5)[:, :3], draws=1)"


def command(*arguments: str) -> str:
    return (
        "from contextlib import suppress; from modularity_lib import cli\n"
        f"with suppress(SystemExit): cli.main({list(arguments)})"
    )


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import modularity_lib", AT_WORK | TABLES | {"click"}),
        (command("--help"), AT_WORK | TABLES),
        (command("--version"), AT_WORK | TABLES),
        (command("run", "--help"), AT_WORK | TABLES),
        (command("data", "fetch", "--help"), AT_WORK | TABLES),
        (command("run", "v1", "--dry-run"), AT_WORK),
        (command("status", "v1"), AT_WORK),
        (command("why", "v1"), AT_WORK),
        (READ, AT_WORK),
        (JUDGE, AT_WORK),
        (DRAW, AT_WORK),
        (FIND, AT_WORK),
        (RECORDED, {"torch", "pandas", "dask", "matplotlib"}),
    ],
)
def test_it_is_done_without_loading(code: str, unwanted: set[str]) -> None:
    script = f"import sys\n{code}\nprint('loaded', *sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    [loaded] = [line.split() for line in done.stderr.splitlines() if line.startswith("loaded ")]
    assert unwanted & set(loaded) == set()


def test_type_checkers_see_the_names_that_are_loaded_when_used() -> None:
    tree = ast.parse(Path(modularity_lib.__file__).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {(node.module, alias.name) for node in block.body for alias in node.names}
    assert seen == {(f"modularity_lib.{home}", name) for name, home in modularity_lib._MODULE_OF.items()}


@pytest.mark.parametrize("name", modularity_lib.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert name in dir(modularity_lib)
    assert getattr(modularity_lib, name) is getattr(modularity_lib, name)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(AttributeError, match=r"has no attribute 'find_module'\. Did you mean 'find_modules'\?"):
        _ = modularity_lib.find_module
    with pytest.raises(AttributeError, match=r"has no attribute 'xyz'\.$"):
        _ = modularity_lib.xyz
    with pytest.raises(ImportError):
        from modularity_lib import find_module  # noqa: F401


def test_a_folder_of_the_library_can_be_imported_from_it() -> None:
    script = "from modularity_lib import similarity; import modularity_lib.figures; print(similarity.__name__)"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown == "modularity_lib.similarity\n"

"""What is not installed is said at once, with what to install; what each part takes stands in pyproject.toml."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import modularity_lib
from modularity_lib.extras import ExtraMissing, need_extra

PACKAGE = Path(modularity_lib.__file__).parent


def calls_of_need_extra() -> list[tuple[str, list[str]]]:
    """(extra, packages) of each call in the library."""
    found = []
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "need_extra":
                extra, _, *packages = (getattr(argument, "value", None) for argument in node.args)
                found.append((str(extra), [str(package) for package in packages]))
    return found


def packages_of(extra: str, project: dict[str, list[str]]) -> set[str]:
    """Names of the requirements of an extra, those of the extras that it includes among them."""
    found = set()
    for line in map(Requirement, project[extra]):
        found |= {name for inner in line.extras for name in packages_of(inner, project)} or {line.name}
    return found


def test_an_extra_installs_what_its_parts_ask_for(project: Path) -> None:
    extras = tomllib.loads((project / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    calls = calls_of_need_extra()
    assert {"plot", "studies", "book"} == {extra for extra, _ in calls}
    for extra, packages in calls:
        assert set(packages) <= packages_of(extra, extras), extra


def test_the_core_imports_only_what_it_requires(project: Path) -> None:
    metadata = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    allowed = {Requirement(line).name for line in metadata["dependencies"]} | set(sys.stdlib_module_names)
    allowed |= {"modularity_lib"}
    optional = {"pooch", "matplotlib"}  # imported where they are needed, after a call of need_extra
    for file in sorted(PACKAGE.rglob("*.py")):
        if file.relative_to(PACKAGE).parts[0] in ("studies", "findings", "figures", "book"):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] in allowed | optional, f"{file.name} imports {name}"


def test_what_is_missing_is_named_with_what_to_install() -> None:
    need_extra("plot", "a picture needs", "json", "math")
    with pytest.raises(ExtraMissing) as raised:
        need_extra("plot", "a picture needs", "json", "no_such_a", "no_such_b", "no_such_c")
    assert str(raised.value) == (
        "a picture needs no_such_a, no_such_b and no_such_c, not installed here. Install what belongs to it: "
        'pip install "modularity-lib[plot]"'
    )
    assert isinstance(raised.value, ImportError)


@pytest.mark.parametrize(
    ("package", "code", "said"),
    [
        ("safetensors", "import modularity_lib as ml; ml.run_study('v1')", r"A study needs safetensors, .*\[studies\]"),
        ("distributed", "from modularity_lib import stored_matrices", r"A study needs distributed, .*\[studies\]"),
        ("dask", "from modularity_lib.findings import ledger", r"A study needs dask, .*\[studies\]"),
        ("seaborn", "from modularity_lib import figures", r"Figures of the book need seaborn, .*\[book\]"),
        ("papermill", "import modularity_lib.book.pages", r"The book needs papermill, .*\[book\]"),
    ],
)
def test_a_part_without_its_extra_says_what_to_install(package: str, code: str, said: str) -> None:
    script = f"import sys; sys.modules[{package!r}] = None\n{code}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert re.search(f"^modularity_lib.extras.ExtraMissing: {said}", done.stderr.splitlines()[-1]), done.stderr


def test_the_command_says_it_in_one_line() -> None:
    script = "import sys; sys.modules['dask'] = None\nfrom modularity_lib import cli; cli.main(['run', 'v1'])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("modularity: A study needs dask, not installed here.")
    assert done.stderr.count("\n") == 1

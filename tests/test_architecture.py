"""The package keeps its shape: imports point one way, nothing unsafe, every public name documented."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import modularity_lib

PACKAGE = Path(modularity_lib.__file__).parent
# In the order of the paper: a module imports only from those before it.
ORDER = [
    "sources",
    "data",
    "networks",
    "backpropagation",
    "sparse_images",
    "dropout",
    "flat_networks",
    "protocols",
    "training",
    "device_training",
    "performance",
    "derivatives",
    "similarity",
    "modularity",
    "monte_carlo",
    "clustering",
    "matching",
    "alignment",
    "planted",
    "analysis",
    "experiments",
    "store",
    "results",
    "shipped",
    "fingerprint",
    "lineage",
    "keys",
    "estimate",
    "checkpoints",
    "compute",
    "engine",
    "tables",
    "study",
    "survey",
    "optima",
    "inference",
    "paper",
    "comparison",
    "claims",
    "ceiling",
    "score_correlations",
    "beyond_chance",
    "silent_units",
    "ledger",
    "figures",
    "effects",
    "common_mode",
    "reaffirm",
    "common_mode_report",
    "report",
    "search_report",
    "example",
    "explorer",
    "pages",
    "provenance",
    "readme",
    "cover",
    "speed",
    "progress",
    "chapters",
    "status",
    "rerun",
    "book",
    "pdf",
    "cli",
]


def imports_of(file: Path) -> set[str]:
    return {
        node.module.split(".")[1]
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("modularity_lib.")
    }


def files_of(name: str) -> list[Path]:
    """The file of a module, or those of a package."""
    return [PACKAGE / f"{name}.py"] if (PACKAGE / f"{name}.py").exists() else sorted((PACKAGE / name).glob("*.py"))


@pytest.mark.parametrize("name", ORDER)
def test_imports_follow_the_order_of_the_paper(name: str) -> None:
    for file in files_of(name):
        assert imports_of(file) - {name} <= set(ORDER[: ORDER.index(name)]), file


def test_what_is_drawn_or_judged_comes_from_tables() -> None:
    for name in ("claims", "figures"):
        for file in files_of(name):
            assert not imports_of(file) & {"training", "study", "store", "analysis"}, file


def test_nothing_unsafe_is_read_or_run() -> None:
    unsafe = re.compile(
        r"(import|from) \w*pickle|\bpickle\.|(read|to)_pickle|torch\.load|from torch import load|"
        r"allow_pickle\s*=\s*True|(?<![.\w])eval\(|(?<![.\w])exec\("
    )
    for file in PACKAGE.rglob("*.py"):
        assert not unsafe.search(file.read_text()), file.name


@pytest.mark.parametrize("name", modularity_lib.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    documented = getattr(modularity_lib, name)
    if inspect.isclass(documented) or inspect.isfunction(documented):
        assert inspect.getdoc(documented)

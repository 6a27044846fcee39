"""The package keeps its shape: imports point one way, nothing unsafe."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import modularity_lib

PACKAGE = Path(modularity_lib.__file__).parent
STEPS = {"images", "training", "similarity", "clustering", "alignment"}
BELOW_FIGURES = {"findings", "studies.results", "studies.catalogue", "clustering"}
# What a folder, or a file beside the folders, may import besides itself, `paths` and `vocabulary`.
ALLOWED: dict[str, set[str]] = {
    "paths": set(),
    "vocabulary": set(),
    "images": set(),
    "clustering": set(),
    "training": {"images"},
    "alignment": {"clustering"},
    "similarity": {"training.networks"},
    "studies": STEPS,
    "findings": STEPS | {"studies"},
    "figures": BELOW_FIGURES,
    "book": STEPS | {"studies", "findings", "figures"},
    "cli": STEPS | {"studies", "findings", "figures", "book"},
    "__init__": STEPS | {"studies", "findings"},
}


def imports_of(file: Path) -> set[str]:
    """The modules of the library that a file imports, such as "studies.results"."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "modularity_lib":
            for alias in node.names:
                *above, name = [*node.module.split(".")[1:], alias.name]
                place = PACKAGE.joinpath(*above, name)
                found.add(".".join([*above, name] if place.is_dir() or place.with_suffix(".py").exists() else above))
    return found


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


IMPORTS = {module_of(file): imports_of(file) for file in sorted(PACKAGE.rglob("*.py"))}


@pytest.mark.parametrize("module", IMPORTS)
def test_a_folder_imports_only_what_the_table_allows(module: str) -> None:
    folder = module.split(".")[0]
    allowed = ALLOWED[folder] | {folder, "paths", "vocabulary"}
    assert [name for name in IMPORTS[module] if not {name, name.split(".")[0]} & allowed] == []


def test_no_imports_go_in_a_circle() -> None:
    TopologicalSorter(IMPORTS).prepare()


def test_claims_are_judged_on_tables() -> None:
    judged_on = {"findings.inference", "findings.paper", "studies.catalogue", "studies.results", "vocabulary"}
    assert IMPORTS["findings.claims"] <= judged_on


def test_nothing_unsafe_is_read_or_run() -> None:
    unsafe = re.compile(
        r"(import|from) \w*pickle|\bpickle\.|(read|to)_pickle|torch\.load|from torch import load|"
        r"allow_pickle\s*=\s*True|(?<![.\w])eval\(|(?<![.\w])exec\("
    )
    for file in PACKAGE.rglob("*.py"):
        assert not unsafe.search(file.read_text()), file.name

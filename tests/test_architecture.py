"""The package keeps its shape: imports point one way, nothing unsafe."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import modularity_lib

PACKAGE = Path(modularity_lib.__file__).parent
STEPS = {"images", "training", "similarity", "clustering", "alignment"}
EVERYWHERE = {"paths", "extras", "files", "vocabulary", "arrays", "progress"}
# What a folder, or a file beside the folders, may import besides itself and `EVERYWHERE`.
ALLOWED: dict[str, set[str]] = {
    **{key: set() for key in (*EVERYWHERE, "compiled_code", "images", "clustering")},
    "training": {"images"},
    "alignment": {"clustering"},
    "similarity": {"training.networks"},
    "analysis": STEPS,
    "studies": STEPS,
    "findings": STEPS | {"analysis", "studies"},
    "figures": {"findings", "studies.results", "studies.catalogue", "clustering"},
    "book": STEPS | {"analysis", "studies", "findings", "figures"},
    "cli": STEPS | {"analysis", "studies", "findings", "figures", "book"},
    "__init__": STEPS | {"analysis", "studies", "findings", "compiled_code"},
}


def imports_of(file: Path) -> set[str]:
    """The modules of the library that a file imports, such as "studies.results"."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            package, *above = filter(None, f"{getattr(node, 'module', None) or ''}.{alias.name}".split("."))
            if package == "modularity_lib" or getattr(node, "level", 0):
                place = PACKAGE.joinpath(*above)
                found.add(".".join(above if place.is_dir() or place.with_suffix(".py").exists() else above[:-1]))
    return found - {""}


IMPORTS = {
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): imports_of(file)
    for file in sorted(PACKAGE.rglob("*.py"))
}


@pytest.mark.parametrize("module", IMPORTS)
def test_a_folder_imports_only_what_the_table_allows(module: str) -> None:
    folder = module.split(".")[0]
    allowed = ALLOWED[folder] | {folder} | EVERYWHERE
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

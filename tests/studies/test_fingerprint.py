"""What a fingerprint of code sees, and what it does not: tried on copies of the library, edited as one would."""

import ast
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modularity_lib.studies import fingerprint as fingerprints
from modularity_lib.studies import lineage
from modularity_lib.studies.fingerprint import Unresolved, definitions, digests, fingerprint

LIBRARY = Path(fingerprints._ROOT)
Edit = Callable[[str, str, str], None]


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the library that fingerprints are taken of."""
    folder = tmp_path / LIBRARY.name
    shutil.copytree(LIBRARY, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(fingerprints, "_ROOT", folder)
    forget()
    yield folder
    forget()


def forget() -> None:
    for cached in (fingerprint, definitions, fingerprints._module):
        cached.cache_clear()


def stages() -> dict[str, str]:
    forget()
    return {stage: fingerprint(*entries) for stage, entries in lineage.ENTRIES.items()}


def file_of(copy: Path, text: str) -> Path:
    """The file of the copy that holds a text, wherever it stands in the library."""
    found = [file for file in copy.rglob("*.py") if text in file.read_text()]
    assert len(found) == 1, found
    return found[0]


def replace(copy: Path, old: str, new: str) -> None:
    file = file_of(copy, old)
    file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("must be finite, got {matrix[i, j]} at units", "is {matrix[i, j]} at units"),
        ("A normalised measure must be 0, not NaN,", "It must be 0, not NaN,"),
        ("must be finite, got NaN or infinity in {count} of {values.size} entries", "has {count} that are not finite"),
        ("The paper uses 1; 20 shows how far one search falls short.", "Any number will do."),
        ("must be a probability in [0, 1), got", "lies in [0, 1), got"),
        ('    """Which units of a module go to the second half."""\n', ""),
        ("# of Q over the start", "# since the start"),
        ("    weights: tuple[np.ndarray, ...]\n", '    weights: tuple[np.ndarray, ...]\n    """Of each map."""\n'),
        ("    learning_rate: float = 1e-3  # of Adam", "    learning_rate: np.float64 = 1e-3  # of Adam"),
        (
            "def strengths(similarity: ArrayLike) -> np.ndarray:",
            "def strengths(\n    similarity,\n):",
        ),
    ],
)
def test_words_hints_and_layout_leave_every_stage_as_it_is(copy: Path, old: str, new: str) -> None:
    before = stages()
    replace(copy, old, new)
    assert stages() == before


def test_files_of_other_names_leave_every_stage_as_it_is(copy: Path) -> None:
    """All of them at once, and their order by name turned round: no order of files may decide."""
    before = stages()
    reached = {place.module for entries in lineage.ENTRIES.values() for place in definitions(*entries)}
    names = {module: f"m{100 - number}" for number, module in enumerate(sorted(reached))}
    new = {module: f"{module.rpartition('.')[0]}.{name}" for module, name in names.items()}
    for file in copy.rglob("*.py"):
        lines = file.read_text().splitlines()
        for node in reversed(list(ast.walk(ast.parse("\n".join(lines))))):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:  # of a module: under the name that the code knows
                    if f"{node.module}.{alias.name}" in names:
                        alias.asname, alias.name = alias.asname or alias.name, names[f"{node.module}.{alias.name}"]
                node.module = new.get(node.module, node.module)
                indent = " " * node.col_offset
                lines[node.lineno - 1 : node.end_lineno] = [indent + ast.unparse(node)] + [""] * (
                    node.end_lineno - node.lineno
                )
        file.write_text("\n".join(lines) + "\n")
    for module, name in names.items():
        file = copy.joinpath(*module.split(".")[1:]).with_suffix(".py")
        file.rename(file.with_name(f"{name}.py"))
    entries = {stage: [renamed(entry, new) for entry in of] for stage, of in lineage.ENTRIES.items()}
    forget()
    assert {stage: fingerprint(*of) for stage, of in entries.items()} == before


def renamed(entry: str, new: dict[str, str]) -> str:
    module, _, name = entry.rpartition(".")
    return f"{new[f'modularity_lib.{module}'].removeprefix('modularity_lib.')}.{name}"


def test_a_definition_that_moves_between_files_and_one_that_is_renamed_leave_every_stage_as_it_is(copy: Path) -> None:
    before = stages()
    source, target = file_of(copy, "def _split(block"), file_of(copy, "def to_adjacency(")
    text = source.read_text()
    start, end = text.index("def _split(block"), text.index("def ", text.index("def _split(block") + 10)
    target.write_text(f"{target.read_text()}\n\n{text[start:end]}")
    module = ".".join(target.relative_to(copy.parent).with_suffix("").parts)
    rest = (text[:start] + text[end:]).replace("_split(block, variant", "halved(block, variant")
    at = rest.index("import numpy as np\n")
    source.write_text(f"{rest[:at]}from {module} import _split as halved\n{rest[at:]}")
    assert stages() == before


def test_an_attribute_of_a_module_is_the_definition_that_it_names(copy: Path) -> None:
    before = stages()
    file, other = file_of(copy, "def paper_modules("), file_of(copy, "def best_of_walk(")
    package, _, name = ".".join(other.relative_to(copy.parent).with_suffix("").parts).rpartition(".")
    text = file.read_text().replace("= best_of_walk(", f"= {name}.best_of_walk(")
    file.write_text(text.replace("import numpy as np\n", f"import numpy as np\nfrom {package} import {name}\n", 1))
    assert stages() == before


@pytest.mark.parametrize(
    ("old", "new", "stale"),
    [
        ("IMPROVEMENT = 1e-12", "IMPROVEMENT = 1e-11", "modules common_mode"),
        ("if gain > IMPROVEMENT:", "if gain > 2 * IMPROVEMENT:", "modules common_mode"),
        ("ADAM_EPSILON = 1e-8", "ADAM_EPSILON = 1e-7", "training"),
        ("TRANSFER_OFFSET = 1e-3", "TRANSFER_OFFSET = 1e-2", "agreement"),
        ("grey.train_images / np.float32(255)", "grey.train_images / np.float32(256)", "training"),
        ("ir.VectorType(ir.FloatType(), LANES))", "ir.VectorType(ir.FloatType(), 2 * LANES))", "training"),
        ("whole = int(dimensions)", "whole = round(dimensions)", "common_mode"),
        ("units are dead, so there are no", "units are dead: there are no", "modules common_mode"),
    ],
)
def test_arithmetic_and_constants_make_their_stages_stale(copy: Path, old: str, new: str, stale: str) -> None:
    before = stages()
    replace(copy, old, new)
    after = stages()
    of_studies = ("training", "modules", "agreement", "common_mode")  # findings reach parts of these
    assert [stage for stage in of_studies if before[stage] != after[stage]] == stale.split()


def test_the_same_name_for_something_else_is_seen(copy: Path) -> None:
    before = stages()
    file = file_of(copy, "def connected_parts(")
    text = file.read_text()
    file.write_text(text.replace("strength = strengths(share)", "strength = modularity_matrix(share)"))
    after = stages()
    assert before["modules"] != after["modules"]
    assert before["training"] == after["training"]


def test_two_definitions_that_change_places_are_seen(copy: Path) -> None:
    """Each definition is still there as it was, and only what their names mean has changed."""
    before = stages()
    file = file_of(copy, "ENTROPY_TOLERANCE = 1e-6")
    text = file.read_text().replace("IMPROVEMENT = 1e-12", "IMPROVEMENT = 1e-10")
    file.write_text(text.replace("TIE_TOLERANCE = 1e-10", "TIE_TOLERANCE = 1e-12"))
    assert stages()["modules"] != before["modules"]


def test_a_name_that_stands_nowhere_is_refused(copy: Path) -> None:
    replace(copy, "gain > IMPROVEMENT:", "gain > IMPROVEMENTS:")
    with pytest.raises(Unresolved, match="reads IMPROVEMENTS, which stands nowhere"):
        stages()


def test_every_name_that_the_stages_reach_is_followed() -> None:
    """What no fingerprint sees is outside the library: a name of a definition is never left as a name."""
    for entries in lineage.ENTRIES.values():
        reached = definitions(*entries)
        names = {place.name for place in reached}
        for place, definition in reached.items():
            written = set(re.findall(r'\["id", "\'([^@\']*)\'"\]', definition.text))
            source = "".join(ast.unparse(part) for part in fingerprints._module(place.module).statements[place.name])
            bound = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name) and stores(node)}
            bound |= {node.arg for node in ast.walk(ast.parse(source)) if isinstance(node, ast.arg)}
            assert not (written & names) - bound, f"{place} reads these by name"


def stores(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


@pytest.mark.parametrize(
    ("body", "reads"),
    [
        ("return [one for one in other]", "other"),
        ("return [other for other in other]", "other"),
        ("other = 1\n    return other", ""),
        ("def inner(other):\n        return other\n    return inner(other)", "other"),
        ("return (lambda other: other)(1)", ""),
        ("return (lambda x=other: x)()", "other"),
        ("def inner():\n        return other\n    return inner()", "other"),
        ("return {x: other for x in (1, 2)}", "other"),
        ("from modularity_lib.elsewhere import thing as alias\n    return alias", "thing"),
        ("from modularity_lib import elsewhere\n    return elsewhere.thing(other)", "other thing"),
        ("for other in (1, 2):\n        pass\n    return other", ""),
        ("raise ValueError(f'{other}')", ""),
        ("text = f'{other}'\n    raise ValueError(text)", ""),
        (
            "class Inner:\n        other = 1\n        def method(self):\n            return other\n    return Inner",
            "other",
        ),
        ("global other\n    other = 2\n    return other", "other"),
    ],
)
def test_names_mean_what_they_mean_in_python(
    body: str, reads: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here.py").write_text(f"def start():\n    {body}\n\n\ndef other(x=None):\n    pass\n")
    (tmp_path / "elsewhere.py").write_text("def thing(x=None):\n    pass\n")
    monkeypatch.setattr(fingerprints, "_ROOT", tmp_path)
    forget()
    reached = {place.name for place in definitions("here.start")} - {"start"}
    forget()
    assert reached == set(reads.split())


def test_what_changed_is_told_by_name(copy: Path) -> None:
    before = digests(*lineage.ENTRIES["modules"])
    replace(copy, "IMPROVEMENT = 1e-12", "IMPROVEMENT = 1e-11")
    forget()
    after = digests(*lineage.ENTRIES["modules"])
    assert [name for name in before if before[name] != after[name]] == ["IMPROVEMENT"]

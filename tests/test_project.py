"""The files around the code agree with each other: pins, licence, citation, commands, chapters."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jupytext
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version


@pytest.fixture(scope="module")
def metadata(project: Path) -> dict[str, Any]:
    """The project table of pyproject.toml."""
    return tomllib.loads((project / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def pins(project: Path) -> list[Requirement]:
    """Every pinned package of requirements.lock."""
    lines = (project / "requirements.lock").read_text().splitlines()
    return [Requirement(line.rstrip(" \\")) for line in lines if line and not line.startswith(" ")]


def test_every_dependency_is_pinned_to_a_version_that_the_project_allows(
    metadata: dict[str, Any], pins: list[Requirement]
) -> None:
    optional = [line for group in metadata["optional-dependencies"].values() for line in group]
    for line in metadata["dependencies"] + optional:
        wanted = Requirement(line)
        if wanted.name == metadata["name"]:  # an extra that includes others
            continue
        versions = [str(pin.specifier) for pin in pins if canonicalize_name(pin.name) == canonicalize_name(wanted.name)]
        assert versions, f"{line} is not in requirements.lock; run: make lock"
        for version in versions:
            assert Version(version.removeprefix("==")) in wanted.specifier, f"{line}, but {version}; run: make lock"


def test_every_pinned_package_but_pytorch_is_known_by_its_hashes(project: Path) -> None:
    entries = re.split(r"\n(?=\S)", (project / "requirements.lock").read_text().strip())
    without = [entry for entry in entries if "--hash=sha256:" not in entry]
    assert [Requirement(entry).name for entry in without] == ["torch"]


def test_pytorch_is_pinned_for_every_kind_of_machine(pins: list[Requirement]) -> None:
    [torch] = [pin for pin in pins if pin.name == "torch"]
    assert "+" not in str(torch.specifier)  # as in +cpu, which only some package indexes have
    assert torch.marker is None
    assert not [pin.name for pin in pins if pin.name.startswith(("nvidia", "triton"))]


def requirements_of(file: Path) -> list[str]:
    """Lines of a file of requirements; in place of `-r` those of the file that it names, as pip reads them."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    read = [requirements_of(file.parent / line[3:]) if line.startswith("-r ") else [line] for line in lines]
    return [line for several in read for line in several]


def test_the_requirements_without_hashes_are_the_same_pins(project: Path, pins: list[Requirement]) -> None:
    assert [str(Requirement(line)) for line in requirements_of(project / "requirements.txt")] == list(map(str, pins))


def test_the_conda_environment_has_the_same_pins_and_the_project(project: Path, tmp_path: Path) -> None:
    environment = yaml.safe_load((project / "environment.yml").read_text())
    # conda writes these lines into a file beside environment.yml and gives it to pip.
    shutil.copy(project / "requirements.txt", tmp_path)
    (tmp_path / "condaenv.txt").write_text("\n".join(environment["dependencies"][-1]["pip"]))
    assert requirements_of(tmp_path / "condaenv.txt") == [*requirements_of(project / "requirements.txt"), "-e ."]


def test_binder_installs_the_same_pins_and_the_project(project: Path) -> None:
    folder = project / ".binder"
    index, *lines = requirements_of(folder / "requirements.txt")
    assert index == "--extra-index-url https://download.pytorch.org/whl/cpu"
    assert lines == requirements_of(project / "requirements.txt")
    environment = yaml.safe_load((project / "environment.yml").read_text())
    assert (folder / "runtime.txt").read_text().strip().replace("-", "=") in environment["dependencies"]
    steps = folder / "postBuild"
    assert steps.stat().st_mode & 0o100
    assert subprocess.run(["bash", "-n", str(steps)]).returncode == 0
    assert "--editable ." in steps.read_text()
    assert {path.name for path in folder.iterdir()} == {"requirements.txt", "runtime.txt", "postBuild"}


def test_citation_names_the_paper_and_this_version(project: Path, metadata: dict[str, Any]) -> None:
    citation = yaml.safe_load((project / "CITATION.cff").read_text())
    assert str(citation["version"]) == metadata["version"]
    assert citation["license"] == metadata["license"]
    [paper] = citation["references"]
    assert [author["family-names"] for author in paper["authors"]] == ["Lange", "Rolnick", "Kording"]
    assert paper["identifiers"][0]["value"] == "arXiv:2203.11815"


def test_the_paper_is_the_same_in_the_citation_and_in_the_references(project: Path) -> None:
    [paper] = yaml.safe_load((project / "CITATION.cff").read_text())["references"]
    [entry] = re.findall(r"^@article\{lange2022,(.*?)^\}", (project / "references.bib").read_text(), re.M | re.S)
    fields = dict(re.findall(r"^  (\w+) = \{(.*)\}", entry, re.MULTILINE))
    assert fields["author"] == " and ".join(f"{one['family-names']}, {one['given-names']}" for one in paper["authors"])
    assert (fields["title"], fields["journal"], fields["year"], fields["url"]) == (
        *(paper["title"], paper["journal"], str(paper["year"]), paper["url"]),
    )
    assert f"arXiv:{fields['eprint']}" == paper["identifiers"][0]["value"]


def broken_rules(project: Path, text: str) -> set[str]:
    """The rules of CODECHECK's configuration 2.0 for what authors write that a text breaks, by their names there."""
    said = yaml.safe_load(text)
    paper, manifest = said.get("paper", {}), said.get("manifest", [])
    authors = paper.get("authors", [])
    others = paper.get("reference-other", [])
    files = [item.get("file", "") for item in manifest]
    broken = {
        "explicit-document": not text.startswith("---\n"),
        "manifest-present": not manifest,
        "manifest-item-file": not all(files),
        "manifest-path-relative": any(Path(file).is_absolute() or ".." in Path(file).parts for file in files),
        "manifest-item-comment": not all(item.get("comment") for item in manifest),
        "manifest-files-exist": not all((project / file).is_file() for file in files),
        "version-present": not re.fullmatch(r"https://codecheck\.org\.uk/spec/config/2\.0/", said.get("version", "")),
        "paper-title": not paper.get("title"),
        "paper-authors": not authors,
        "paper-author-name": not all(author.get("name") for author in authors),
        "paper-author-orcid": not all(re.fullmatch(r"(\d{4}-){3}\d{3}[\dX]", one.get("ORCID", "")) for one in authors),
        "paper-reference": not paper.get("reference"),
        "reference-other-item-form": not all(re.fullmatch(r"https://\S+", other) for other in others),
        "no-placeholder-values": re.search("FIXME|TODO|XXXX|0000-0000", text, re.IGNORECASE) is not None,
    }
    return {rule for rule, is_broken in broken.items() if is_broken}


def test_what_a_codecheck_takes_is_there_but_for_what_nobody_has_yet(project: Path) -> None:
    text = (project / "codecheck.yml").read_text()
    assert broken_rules(project, text) == {"paper-author-orcid", "paper-reference"}  # it is not published
    for wrong, rule in (
        (text.removeprefix("---\n"), "explicit-document"),
        (text.replace("_static/cover.png", "_static/gone.png"), "manifest-files-exist"),
        (text.replace("README.md\n    comment:", "README.md\n    note:"), "manifest-item-comment"),
        (text.replace("file: README.md", "file: /README.md"), "manifest-path-relative"),
        (text.replace("config/2.0/", "config/9/"), "version-present"),
        (text.replace("https://arxiv", "arxiv"), "reference-other-item-form"),
        (text.replace("the modularity-lib authors", "FIXME"), "no-placeholder-values"),
    ):
        assert rule in broken_rules(project, wrong), rule
    assert yaml.safe_load(text)["paper"]["title"] == yaml.safe_load((project / "CITATION.cff").read_text())["title"]


def test_make_codecheck_makes_every_file_of_the_manifest(project: Path) -> None:
    lines = subprocess.run(["make", "-n", "codecheck"], cwd=project, capture_output=True, text=True, check=True).stdout
    for item in yaml.safe_load((project / "codecheck.yml").read_text())["manifest"]:
        [command] = re.findall("`(modularity .*?)`", item["comment"]) or ["modularity verify v1 --sample 3"]
        assert f"/{command}\n" in lines, item["file"]


def test_every_reference_can_be_followed(project: Path) -> None:
    entries = re.findall(r"^@\w+\{(\w+),(.*?)^\}", (project / "references.bib").read_text(), re.MULTILINE | re.DOTALL)
    assert len(entries) > 30
    shown = re.compile(r"^  (doi = \{10\.|url = \{https://|eprint = \{\d{4}\.\d{5}\},\n  archiveprefix)", re.MULTILINE)
    assert [key for key, fields in entries if not shown.search(fields)] == []


def test_every_make_target_is_in_the_help(project: Path) -> None:
    makefile = (project / "Makefile").read_text()
    [targets] = re.findall(r"^\.PHONY: (.+)$", makefile, flags=re.MULTILINE)
    shown = subprocess.run(["make", "help"], cwd=project, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^make ([\w-]+) +\S", shown, flags=re.MULTILINE) == targets.split()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "chapters/introduction.md", "chapters/extend.md"])
def test_every_command_and_file_that_a_page_names_exists(project: Path, page: str) -> None:
    text = (project / page).read_text()
    commands = re.findall(r"(?:^|`)make ([a-z]+)", text, flags=re.MULTILINE)
    [targets] = re.findall(r"^\.PHONY: (.+)$", (project / "Makefile").read_text(), flags=re.MULTILINE)
    assert commands
    assert set(commands) <= set(targets.split())
    named = re.findall(r"`((?:modularity_lib|data|chapters|tests|benchmarks)/[\w./-]*)`", text)
    linked = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert [name for name in named + linked if not (project / name).exists()] == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_the_installation_refuses_an_old_python_with_a_way_out(project: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexec python3 -c \"import sys; sys.version_info = (3, 9); sys.version = '3.9.1'; $2\"\n")
    old.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(project / name, tmp_path)
    made = subprocess.run(["make", "install", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True)
    assert made.returncode != 0
    assert "Python 3.11 or newer is needed" in made.stderr
    assert "make PYTHON=" in made.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
def test_jupyter_book_2_is_told_what_to_install(project: Path) -> None:
    [plugin] = yaml.safe_load((project / "myst.yml").read_text())["project"]["plugins"]
    told = subprocess.run(["node", project / plugin], capture_output=True, text=True)
    assert told.returncode == 1
    assert "this is version 2. Install version 1 with: pip install" in told.stderr
    assert told.stderr.count("\n") == 1


def chapters_in_the_contents(project: Path) -> list[Path]:
    """Files of the chapters; some, and all pages elsewhere, hold no code."""
    contents = yaml.safe_load((project / "_toc.yml").read_text())
    files = [contents["root"], *(chapter["file"] for part in contents["parts"] for chapter in part["chapters"])]
    return [project / f"{name}.md" for name in files if name.startswith("chapters/")]


def test_the_contents_list_every_chapter(project: Path) -> None:
    assert sorted(chapters_in_the_contents(project)) == sorted((project / "chapters").glob("*.md"))


def chapters_with_code(project: Path) -> list[Path]:
    return [chapter for chapter in chapters_in_the_contents(project) if "{code-cell}" in chapter.read_text()]


def test_every_chapter_can_be_opened_as_a_notebook_and_has_parameters(project: Path) -> None:
    for chapter in chapters_with_code(project):
        notebook = jupytext.read(chapter)
        assert notebook.metadata["kernelspec"]["name"] == "python3", chapter.name
        tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        assert len(tagged) == 1, chapter.name


def test_a_chapter_saved_as_a_notebook_by_jupytext_stays_the_same(project: Path) -> None:
    for chapter in chapters_with_code(project):
        text = chapter.read_text()
        saved = jupytext.writes(jupytext.reads(text, fmt="md:myst"), fmt="md:myst")
        without_header = [part.split("\n---\n", 1)[1] for part in (text, saved)]  # it also holds Jupytext's version
        assert without_header[1].strip() == without_header[0].strip(), chapter.name

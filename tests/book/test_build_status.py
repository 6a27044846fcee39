"""What the page about the build says, and where the numbers of the studies come from."""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest

from made_up_book import HEADER
from made_up_results import made_up_results
from modularity_lib.book import build_status
from modularity_lib.book.build_status import Execution, chapters_text, execution_of
from modularity_lib.book.execution import Chapter
from modularity_lib.book.words import study as study_words

FIRST = Execution("first", {"study": "v1", "layer": 2}, frozenset({"layer"}), False, "2026-01-02T03:04:05", 1.25)
DEAD = Execution("dead", {"folder": ""}, frozenset(), True, "", None)
TEXT = f"""\
{HEADER}\
# First

```{{code-cell}} ipython3
:tags: [parameters]

study: "study" = "v1"
layer: "layer" = 1  # counted from 1
```
"""
MADE_WITH = {
    "versions": {"commit": ["abc", "def"], "python": ["3.11.7"], "torch": ["2.13.0"], "numpy": ["2.4", "2.5"]}
    | {"machine": ["a machine"]},
    "core_seconds": {"training": 7200.0, "modules": 360.0},
    "written": ["2026-01-02T03:04:05Z", "2026-01-03T03:04:05Z"],
}


def test_every_chapter_is_a_row_with_its_study_its_parameters_and_its_time() -> None:
    _, _, *rows, total = chapters_text([FIRST, DEAD]).splitlines()
    assert rows[0] == "| first | `v1` | layer = **`2`** | 2026-01-02 03:04:05 | 1.2 s |"
    assert rows[1] == '| dead | – | folder = `""` | – | **failed** after – |'
    assert total.endswith("| **1.2 s** |")


def test_time_and_parameters_are_read_from_the_executed_notebook(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook()
    notebook.metadata.papermill = {"start_time": "2026-01-02T03:04:05.678+00:00", "duration": 1.25}
    nbformat.write(notebook, tmp_path / "first.ipynb")
    chapter = Chapter(tmp_path, "first", TEXT)
    assert execution_of(chapter, {"layer": 2}, tmp_path / "first.ipynb", failed=False) == FIRST
    del notebook.metadata["papermill"]
    nbformat.write(notebook, tmp_path / "first.ipynb")
    assert execution_of(chapter, {}, tmp_path / "first.ipynb", failed=True).seconds is None


def test_the_list_of_parameters_says_what_each_takes_and_means(tmp_path: Path) -> None:
    (tmp_path / "chapters").mkdir()
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: chapters/first\n")
    (tmp_path / "chapters" / "first.md").write_text(TEXT)
    assert build_status.parameters_markdown(tmp_path).splitlines() == [
        "- `first`: {doc}`/chapters/first`",
        '  - `study` (study; default `"v1"`)',
        "  - `layer` (layer; default `1`): counted from 1",
    ]


def test_the_environment_is_that_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"processor": "a processor", "system": "Linux", "commit": "abc+changes", "python": "3.99"}
    monkeypatch.setattr(build_status, "provenance", lambda: made)
    text = build_status.environment_text()
    for row in ("| Python | 3.99 |", "| commit of this checkout | abc, with changes |"):
        assert row in text
    assert "| machine | a processor, " in text
    for package in build_status.PACKAGES:
        assert f" {package} {version(package)}" in text


def test_a_study_is_a_row_with_its_age_size_cost_and_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_words, "RESULTS_FOLDER", tmp_path)
    results = replace(made_up_results(), made_with=MADE_WITH)
    head, _, *rows = study_words.provenance_markdown([results, results]).splitlines()
    assert rows == [rows[0]] * 2
    assert dict(zip(head.strip("| ").split(" | "), rows[0].strip("| ").split(" | "), strict=True)) == {
        "study": "made-up",
        "networks": str(len(results.networks)),
        "where": "computed here",
        "computed (UTC)": "2026-01-02 to 2026-01-03",
        "core-hours": "2.1",
        "commits": "abc, def",
        "with": "Python 3.11.7, torch 2.13.0, numpy 2.4 and 2.5; a machine",
    }
    assert study_words.provenance_markdown([]) == ""
    (tmp_path / "made-up").mkdir()
    (tmp_path / "made-up" / "networks.parquet").write_bytes(bytes(1_500_000))
    assert "| shipped, 1.5 MB |" in study_words.provenance_markdown([results])

"""From a result to its command, file and time."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from made_up_results import made_up_results
from modularity_lib.book import commands
from modularity_lib.book.commands import RESULTS, commands_markdown, short_commands_markdown
from modularity_lib.book.execution import all_chapters
from modularity_lib.findings.catalogue import FINDINGS
from modularity_lib.findings.claims import CLAIMS
from modularity_lib.studies.results import Results


def test_every_chapter_and_file_of_the_table_is_there_and_no_finding_is_left_out(project: Path) -> None:
    chapters = {chapter.name for chapter in all_chapters(project)}
    files = [file for result in RESULTS for file in result.files]
    assert [result.chapter for result in RESULTS if result.chapter not in chapters] == []
    assert [file for file in files if not (project / file).exists()] == []
    shown = {file.removeprefix("data/findings/") for file in files if file.startswith("data/findings/")}
    assert shown == set(FINDINGS)
    assert f"claims 1 and {len(CLAIMS) - 2}, claims {len(CLAIMS) - 1} and {len(CLAIMS)}" == ", ".join(
        result.what for result in RESULTS[:2]
    )


def test_a_page_that_computes_a_study_has_the_core_time_of_that_study(monkeypatch: pytest.MonkeyPatch) -> None:
    [live] = [line for line in commands_markdown({"live": 6.0}).splitlines() if "modularity chapter live" in line]
    assert live.endswith("| – |")  # the store of the tests is empty
    stored = replace(made_up_results(), made_with={"core_seconds": {"training": 34.0, "modules": 20.4}})
    monkeypatch.setattr(commands.Archive, "tables", lambda archive: stored)
    [live] = [line for line in commands_markdown({"live": 6.0}).splitlines() if "modularity chapter live" in line]
    assert live.endswith("| 54 s of core time, once |")


def test_the_table_has_the_times_of_the_build_and_of_the_shipped_tables(v1: Results) -> None:
    lines = commands_markdown({"modularity": 12.4, "agreement": 130.0}).splitlines()
    assert lines[2].startswith("| {doc}`claims 1 and 2 </chapters/modularity>` | `modularity chapter modularity` |")
    assert lines[2].endswith("| 12 s |")
    assert lines[3].endswith("| 2 min |")
    assert lines[4].endswith("| – |")
    spent = v1.made_with["core_seconds"]
    hours = (spent["training"] + spent["modules"]) / 3600
    n_trained = int(v1.networks["trained"].sum())
    assert "| `modularity verify v1 --sample 3` | `data/results/v1` | 3 min in one process |" in lines[-2]
    assert f"`modularity verify v1 --sample {n_trained}`" in lines[-1]
    assert lines[-1].endswith(f"| {hours:.1f} h in one process |")
    short = short_commands_markdown().splitlines()
    assert len(short) == 2 + 4 + 2
    assert f"`.venv/bin/modularity verify v1 --sample {n_trained}`" in short[-1]
    assert short[-1].endswith(f"| {hours:.1f} h in one process |")


def test_the_lines_for_one_figure_run_in_any_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = (project / "chapters/rerun.md").read_text(encoding="utf-8").split("## One figure")[1]
    [lines] = re.findall(r"```python\n(.*?)```", section.split("\n## ")[0], re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(lines, {})
    assert [file.name for file in tmp_path.iterdir()] == ["figure.png"]


def test_where_no_tables_are_shipped_there_is_no_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(commands, "RESULTS_FOLDER", tmp_path)
    assert [line.rsplit("|", 2)[1] for line in short_commands_markdown().splitlines()[-2:]] == [" – ", " – "]

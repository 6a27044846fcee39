"""Every benchmark runs, at its smallest size, and what it writes is what the page on speed shows."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modularity_lib.book.words import speed

pytestmark = pytest.mark.slow


def run(name: str, project: Path, folder: Path) -> dict[str, Any]:
    """What a benchmark has written."""
    command = [sys.executable, f"benchmarks/{name}.py", "--smallest", "--json", str(folder)]
    done = subprocess.run(
        command, cwd=project, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 2
    return json.loads((folder / f"{name}.json").read_text())


@pytest.mark.parametrize(
    ("name", "table", "rows"),
    [
        ("training", speed.training_markdown, 9),
        ("module_search", speed.module_search_markdown, 4 * 7),
        ("similarity", speed.similarity_markdown, 1),
        ("agreement", speed.agreement_markdown, 7),
    ],
)
def test_a_benchmark_runs_and_its_table_can_be_shown(
    name: str, table: Callable[[dict[str, Any]], str], rows: int, project: Path, tmp_path: Path
) -> None:
    assert len(table(run(name, project, tmp_path)).splitlines()) == 2 + rows


def test_the_benchmark_of_late_epochs_runs(project: Path, tmp_path: Path) -> None:
    rows = run("late_epochs", project, tmp_path)["rows"]
    assert [row["l2"] for row in rows] == [0, 1e-5, 1e-2]
    assert all(row["late_by_early"] == row["late_ms"] / row["early_ms"] for row in rows)


def test_the_benchmark_of_starts_runs(project: Path, tmp_path: Path) -> None:
    assert run("imports", project, tmp_path)["rows"][0]["times"] == 1


def test_the_benchmarks_of_one_network_run_and_share_a_table(project: Path, tmp_path: Path) -> None:
    analysis, overhead = (run(name, project, tmp_path) for name in ("analysis", "overhead"))
    assert len(speed.analysis_markdown(analysis, overhead).splitlines()) == 2 + 4 + 3


def test_the_benchmark_of_the_best_search_runs_and_finds_the_best_of_small_graphs(
    project: Path, tmp_path: Path
) -> None:
    rows = run("best_search", project, tmp_path)["rows"]
    assert [row["kind"] for row in rows] == ["karate club", "Les Misérables", "dolphins"]
    assert max(row["worst gap"] for row in rows) < 0.5

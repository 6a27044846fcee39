"""The README's table is what the results say."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from made_up_results import made_up_results
from modularity_lib.book.readme import README, shipped_results, with_table
from modularity_lib.findings.live_units import on_live_units


def test_the_table_of_the_readme_is_that_of_the_shipped_studies() -> None:
    text = README.read_text(encoding="utf-8")
    studies = shipped_results()
    assert studies[0].study.name == "v1"
    assert with_table(text, studies, live=[on_live_units(one) for one in studies]) == text


def test_other_results_give_another_table() -> None:
    text = "# Title\n<!-- verdicts: here -->\nold\n<!-- end of verdicts -->\nrest"
    table = with_table(text, [made_up_results()])
    assert "old" not in table
    assert table.startswith("# Title\n<!-- verdicts: here -->\n\n| claim |")
    assert table.endswith("<!-- end of verdicts -->\nrest")
    assert with_table(text, [made_up_results(dropout_rise=0.0)]) != table
    assert with_table(table, [made_up_results()]) == table
    other = made_up_results(dropout_rise=0.0)
    final = replace(other, study=replace(other.study, name="final", protocol="final"))
    assert "| claim | arXiv version (`made-up`) | published version (`final`) | paper |" in with_table(
        text, [made_up_results(), final]
    )


def test_a_readme_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="end of verdicts"):
        with_table("# Title\n", [made_up_results()])


def python_of(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_examples_of_the_readme_run(tmp_path: Path) -> None:
    examples = python_of(README)
    assert len(examples) >= 2
    run = subprocess.run([sys.executable, "-c", "\n".join(examples)], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert re.match(r"\d+ modules of [\d, and]+ units.*: Q = 0\.\d+\n", run.stdout)
    assert {file.name for file in tmp_path.iterdir()} == {"hidden1.modules", "report.html"}

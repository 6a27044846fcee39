"""The README's table is what the results say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from made_up_results import made_up_results
from modularity_lib.book.readme import README, shipped_results, with_table
from modularity_lib.findings.live_units import on_live_units


def test_the_table_of_the_readme_is_that_of_the_shipped_studies() -> None:
    text = README.read_text(encoding="utf-8")
    v1, *others = shipped_results()
    assert v1.study.name == "v1"
    assert with_table(text, v1, others, live=on_live_units(v1)) == text


def test_other_results_give_another_table() -> None:
    text = "# Title\n<!-- verdicts: here -->\nold\n<!-- end of verdicts -->\nrest"
    table = with_table(text, made_up_results())
    assert "old" not in table
    assert table.startswith("# Title\n<!-- verdicts: here -->\n\n| claim |")
    assert table.endswith("<!-- end of verdicts -->\nrest")
    assert with_table(text, made_up_results(dropout_rise=0.0)) != table
    assert with_table(table, made_up_results()) == table
    with_others = with_table(text, made_up_results(), [made_up_results(), made_up_results(dropout_rise=0.0)])
    assert "| other studies |" in with_others
    assert "| 1 reproduced, 1 not reproduced | rise of Q" in with_others


def test_a_readme_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="end of verdicts"):
        with_table("# Title\n", made_up_results())


def python_of(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_examples_of_the_readme_run(tmp_path: Path) -> None:
    examples = python_of(README)
    assert len(examples) >= 2
    run = subprocess.run([sys.executable, "-c", "\n".join(examples)], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert re.match(r"\d+ modules of [\d, and]+ units.*: Q = 0\.\d+\n", run.stdout)
    assert {file.name for file in tmp_path.iterdir()} == {"hidden1.modules", "report.html"}

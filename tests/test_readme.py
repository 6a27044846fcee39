"""The README's table is what the results say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from made_up_results import made_up_results
from modularity_lib.experiments import STUDIES
from modularity_lib.readme import README, with_table
from modularity_lib.results import StudyIncomplete
from modularity_lib.store import Store
from modularity_lib.tables import tables_of

TOLERANCE = 0.05  # another processor rounds differently, and 150 epochs carry that to other networks


def numbers_and_words(text: str) -> tuple[list[float], str]:
    table = text.split("<!-- verdicts:")[1].split("<!-- end of verdicts -->")[0]
    return [float(number) for number in re.findall(r"\d+\.\d+", table)], re.sub(r"\d+\.\d+", "#", table)


def test_the_table_of_the_readme_is_that_of_the_quick_study(project: Path) -> None:
    study = STUDIES["quick"]
    try:
        results = tables_of(study, Store(project / ".modularity"))
    except StudyIncomplete:
        pytest.skip("the quick study has not been computed: `make book` does it")
    text = README.read_text(encoding="utf-8")
    (stated, words), (computed, expected_words) = numbers_and_words(text), numbers_and_words(with_table(text, results))
    assert words == expected_words
    assert stated == pytest.approx(computed, abs=TOLERANCE)


def test_other_results_give_another_table() -> None:
    text = "# Title\n<!-- verdicts: here -->\nold\n<!-- end of verdicts -->\nrest"
    table = with_table(text, made_up_results())
    assert "old" not in table
    assert table.startswith("# Title\n<!-- verdicts: here -->\n\n| claim |")
    assert table.endswith("<!-- end of verdicts -->\nrest")
    assert with_table(text, made_up_results(dropout_rise=0.0)) != table
    assert with_table(table, made_up_results()) == table


def test_a_readme_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="end of verdicts"):
        with_table("# Title\n", made_up_results())


def test_the_examples_of_the_readme_run() -> None:
    examples = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) >= 2
    run = subprocess.run([sys.executable, "-c", "\n".join(examples)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert float(run.stdout.split()[0]) > 0  # the first thing printed is a modularity score

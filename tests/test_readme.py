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


MARKS = "".join(
    f"<!-- {name}: here -->\nbefore\n<!-- end of {name} -->\n" for name in ("answer", "verdicts", "commands")
)


def test_other_results_give_another_answer_and_another_table() -> None:
    text = f"# Title\n{MARKS}rest"
    written = with_table(text, [made_up_results()])
    assert "\nbefore\n" not in written
    assert written.startswith("# Title\n<!-- answer: here -->\n\nYes, under dropout. ")
    assert "\n<!-- verdicts: here -->\n\n| the paper's claim | arXiv version |\n" in written
    assert written.endswith("<!-- end of commands -->\nrest")
    others = with_table(text, [made_up_results(dropout_rise=0.0)])
    assert "\n\nNo. At" in others
    assert "| Dropout dramatically increases modularity. | **not reproduced**" in others
    assert with_table(written, [made_up_results()]) == written
    other = made_up_results(dropout_rise=0.0)
    final = replace(other, study=replace(other.study, name="final", protocol="final"))
    assert "| the paper's claim | arXiv version | published version |" in with_table(text, [made_up_results(), final])


@pytest.mark.parametrize("name", ["answer", "verdicts", "commands"])
def test_a_readme_without_its_marks_is_refused(name: str) -> None:
    with pytest.raises(
        ValueError, match=f"text must hold '<!-- {name}: ... -->' and '<!-- end of {name} -->' once each"
    ):
        with_table(f"# Title\n{MARKS}".replace(f"end of {name}", "no end"), [made_up_results()])


def test_the_readme_fits_two_screens_and_begins_with_a_picture_and_the_answer() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    first = "\n".join(lines[:30])
    assert first.index("_static/cover.png") < first.index("<!-- answer") < first.index("<!-- verdicts")


def python_of(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_examples_of_the_readme_run(tmp_path: Path) -> None:
    examples = python_of(README)
    assert len(examples) >= 2
    run = subprocess.run([sys.executable, "-c", "\n".join(examples)], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert re.match(r"\d+ modules of [\d, and]+ units.*: Q = 0\.\d+\n", run.stdout)
    assert {file.name for file in tmp_path.iterdir()} == {"hidden1.modules", "report.html"}

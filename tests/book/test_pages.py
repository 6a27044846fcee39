"""What chapters put on their pages: figures with data that can be taken away, and where it all comes from."""

import base64
import io
import re
from dataclasses import replace

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.figure import Figure

from made_up_results import STUDY, made_up_results
from modularity_lib.book import pages
from modularity_lib.studies.results import Results, StudyIncomplete

MADE_WITH = {
    "versions": {"commit": ["abc123", "def456"]},
    "core_seconds": {"training": 1234.5, "modules": 6.0},
    "written": ["2026-01-02T03:04:05Z", "2026-01-03T03:04:05Z"],
}


@pytest.fixture
def results() -> Results:
    return replace(made_up_results(), made_with=MADE_WITH)


@pytest.fixture
def glued(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    found: dict[str, object] = {}
    monkeypatch.setattr(pages, "glue", lambda name, value, display: found.update({name: value}))
    return found


def draw(results: Results, *, quantity: str = "score") -> Figure:
    figure, axes = plt.subplots()
    axes.set_title(f"{results.study.name} {quantity}")
    return figure


def test_the_data_of_a_figure_can_be_taken_away_as_csv(results: Results) -> None:
    data = pd.DataFrame({"measure": ["a", "b"], "score": [0.123456789, 2.0]})
    shown = pages.fold_out("fig-x", data, "print(1 < 2)", results)
    [address] = re.findall(r'<a download="fig-x\.csv" href="data:text/csv;base64,([^"]+)">', shown)
    found = pd.read_csv(io.StringIO(base64.b64decode(address).decode()))
    pd.testing.assert_frame_equal(found, data, atol=1e-6)
    assert "2 rows, columns measure, score" in shown
    assert "print(1 &lt; 2)" in shown


def test_a_fold_out_says_where_the_numbers_come_from(results: Results) -> None:
    shown = pages.fold_out("fig-x", pd.DataFrame({"a": [1]}), "", results)
    n_networks = len(STUDY.trained_configs()) + STUDY.untrained
    for part in (
        f"study made-up: {n_networks} networks on mnist-5k",
        "runs 0 to 3",
        "computed 2026-01-02 to 2026-01-03",
        "training 1,234 s, modules 6 s",
        "commits abc123, def456",
    ):
        assert part in shown


def test_a_figure_is_shown_with_the_code_that_makes_it(results: Results, glued: dict[str, object]) -> None:
    open_before = plt.get_fignums()
    pages.show("fig-x", draw, results, quantity="n_modules", data=pd.DataFrame({"a": [1]}), results=results)
    figure, shown = glued["fig-x"], glued["fig-x-data"]
    assert isinstance(figure, Figure)
    assert figure.axes[0].get_title() == "made-up n_modules"
    assert plt.get_fignums() == open_before
    text = str(getattr(shown, "data", ""))
    assert "results = ml.run_study(&#x27;made-up&#x27;)" in text
    assert "figures.draw(results, quantity=&#x27;n_modules&#x27;).savefig" in text


def test_a_figure_of_no_study_says_itself_where_it_comes_from(glued: dict[str, object]) -> None:
    def empty() -> Figure:
        return plt.figure()

    lines = ["measured by <a script>"]
    pages.show("fig-x", empty, data=pd.DataFrame({"a": [1]}), results=lines, code="print()")
    assert "<li>measured by &lt;a script&gt;</li>" in str(getattr(glued["fig-x-data"], "data", ""))
    with pytest.raises(ValueError, match="code must be given for fig-x"):
        pages.show("fig-x", empty, data=pd.DataFrame({"a": [1]}), results=lines)


def test_facts_of_a_study_are_told_by_name(results: Results, glued: dict[str, object]) -> None:
    pages.tell_study(results)
    assert glued["n_runs"] == str(STUDY.runs)


def test_only_complete_studies_are_at_hand(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    def tables_of(study, store):
        if study.name == "smoke":
            raise StudyIncomplete
        return results

    monkeypatch.setattr(pages, "tables_of", tables_of)
    assert pages.at_hand(["smoke", "quick"]) == [results]


def test_the_page_says_whether_results_were_shipped(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "does not come with the project" in pages.where_computed(results)
    monkeypatch.setattr(pages, "shipped_tables", lambda name: object())
    assert "nothing was computed for this page" in pages.where_computed(results)

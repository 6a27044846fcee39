"""What chapters put on their pages: figures with data that can be taken away, and where it all comes from."""

import base64
import html
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import modularity_lib as ml
from made_up_results import STUDY, made_up_results
from modularity_lib import figures
from modularity_lib.book import pages
from modularity_lib.figures.plot import as_given, drawn_from
from modularity_lib.findings import common_mode, layers, ledger
from modularity_lib.studies.archive import Archive
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
    monkeypatch.setattr(pages, "png_of", lambda figure: figure)  # figures as they are, before they become files
    monkeypatch.setattr(pages, "Image", lambda figure: figure)
    return found


def levels(results: Results, *, quantity: str = "score", layers: tuple[int, ...] | None = None) -> pd.DataFrame:
    return pd.DataFrame({"study": [results.study.name], "quantity": quantity, "level": [0.123456789]})


@drawn_from(levels)
def bars(table: pd.DataFrame) -> Figure:
    figure, axes = plt.subplots()
    axes.set_title(" ".join(table.loc[0, ["study", "quantity"]]))
    return figure


def told(shown: object) -> str:
    return html.unescape(str(getattr(shown, "data", "")))


def code_in(shown: object) -> str:
    [code] = re.findall("<code>(.*?)</code>", told(shown), re.DOTALL)
    return str(code)


def test_the_data_of_a_figure_can_be_taken_away_as_csv(results: Results, glued: dict[str, object]) -> None:
    table = pages.show("fig-x", bars, results)
    shown = told(glued["fig-x-data"])
    [address] = re.findall(r'<a download="fig-x\.csv" href="data:text/csv;base64,([^"]+)">', shown)
    found = pd.read_csv(io.StringIO(base64.b64decode(address).decode()))
    pd.testing.assert_frame_equal(found, table, atol=1e-6)
    assert "1 rows, columns study, quantity, level" in shown


def test_a_table_has_a_name_and_a_caption() -> None:
    rows = "| measure | Q |\n|---|---|\n| input gradient | 0.3 |"
    shown = pages.table("tab-x", "**It rises.** Q by measure.", rows).data
    assert shown == f"```{{table}} **It rises.** Q by measure.\n:name: tab-x\n\n{rows}\n```"
    assert pages.table("tab-x", "**It rises.**", "Nothing is at hand.").data == "Nothing is at hand."
    followed = pages.table("tab-x", "**It rises.** Q by measure.", f"{rows}\n\nAnd more.").data
    assert followed == f"{shown}\n\nAnd more."


def test_a_table_for_a_fold_is_the_same_table_by_name(results: Results, glued: dict[str, object]) -> None:
    rows = "| measure | Q |\n|---|---|\n| input gradient | 0.3 |"
    pages.glue_table("tab-x", "**It rises.** Q by measure.", rows)
    assert getattr(glued["tab-x"], "data", "") == pages.table("tab-x", "**It rises.** Q by measure.", rows).data
    assert "tab-x-data" not in glued
    pages.glue_table("tab-x", "**It rises.** Q by measure.", rows, pages.made(levels, results))
    assert "Data, code and origin of this table" in told(glued["tab-x-data"])
    pages.show("fig-x", bars, results)
    assert "Data, code and origin of this figure" in told(glued["fig-x-data"])


def test_a_fold_out_says_where_the_numbers_come_from(results: Results) -> None:
    shown = told(pages.fold_out("table-x", pages.made(levels, results)))
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
    pages.show("fig-x", bars, results, quantity="n_modules", layers=None)
    figure = glued["fig-x"]
    assert isinstance(figure, Figure)
    assert figure.axes[0].get_title() == "made-up n_modules"
    assert plt.get_fignums() == open_before
    assert code_in(glued["fig-x-data"]) == (
        "import modularity_lib as ml\nimport test_pages\n\nresults = ml.run_study('made-up')\n"
        "test_pages.bars(results, quantity='n_modules').savefig(\"fig-x.png\")"
    )


def test_a_figure_of_no_study_says_itself_where_it_comes_from(glued: dict[str, object]) -> None:
    table = pages.made(pd.DataFrame, {"study": ["none"], "quantity": ["x"]})
    pages.show("fig-x", GIVEN, table, origin=["measured by <a script>"])
    assert "<li>measured by &lt;a script&gt;</li>" in str(getattr(glued["fig-x-data"], "data", ""))
    with pytest.raises(ValueError, match="fig-x is made from no study: give show"):
        pages.show("fig-x", GIVEN, table)


GIVEN = drawn_from(as_given)(lambda table: plt.figure())


def test_what_nobody_knows_how_it_was_made_is_not_shown(results: Results, glued: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="table is a DataFrame of which nobody knows how it was made"):
        pages.show("fig-x", GIVEN, levels(results))
    with pytest.raises(ValueError, match=r"nobody knows how table-x was made\. Use pages\.made"):
        pages.fold_out("table-x", levels(results))


def both(first: pd.DataFrame, second: pd.DataFrame, *, studies: list[Results]) -> pd.DataFrame:
    return pd.concat([first, second])


def test_each_value_on_the_way_is_made_once_and_named_after_its_parameter(results: Results) -> None:
    other = replace(results, study=replace(results.study, name="other"))
    first = pages.made(levels, results)
    second = pages.made(both, first, first, studies=[other, results])
    shown = pages.fold_out("table-x", pages.made(both, second, first, studies=[]))
    assert code_in(shown).splitlines()[3:] == [
        "results = ml.run_study('made-up')",
        "first = test_pages.levels(results)",
        "first_2 = test_pages.both(first, first, studies=[ml.run_study('other'), ml.run_study('made-up')])",
        "test_pages.both(first_2, first, studies=[])",
    ]
    assert re.findall(r"<li>study ([\w-]+):", told(shown)) == ["made-up", "other"]


@pytest.mark.parametrize("study", ["v1", "final-base"])
def test_the_code_below_a_figure_runs_as_it_stands_and_gives_the_same_picture(
    study: str, glued: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    results = ml.run_study(study)
    pages.show("fig-maps", figures.agreement_maps, results, layer=2)
    some = ["input_gradient", "output_gradient"]
    pages.show("fig-q", figures.modularity_against_regularisation, results, by_layer=True, measures=some)
    pages.show("fig-common", figures.q_beside_nulls, results, pages.made(common_mode.table_at_hand, results))
    if study == "v1":  # whose matrices come with the project
        layer = pages.made(layers.searched_layer, results, dropout=0.3, layer=2)
        scores = pages.made(layers.scores_of_pair, layer, *some)
        pages.show("fig-pair", figures.sorted_by_each_other, layer, scores)
        pages.show("fig-dropouts", figures.against_dropout, {0.3: layer}, "output_gradient")
    shown = {name: value for name, value in glued.items() if isinstance(value, Figure)}
    assert len(shown) == (5 if study == "v1" else 3)
    for name, figure in shown.items():
        below = glued[f"{name}-data"]
        exec(code_in(below), {})
        figure.savefig("expected.png")
        np.testing.assert_array_equal(plt.imread(f"{name}.png"), plt.imread("expected.png"), err_msg=name)
        assert re.findall(r"<li>study ([\w-]+):", told(below)) == [study]


def test_the_code_of_a_table_makes_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    studies = [ml.run_study(name) for name in ("final-base", "v1")]
    table = pages.made(ledger.verdicts_by_study, pages.made(ledger.judge_studies, studies))
    shown = pages.fold_out("claims", table)
    assert re.findall(r"<li>study ([\w-]+):", told(shown)) == ["final-base", "v1"]
    *lines, last = code_in(shown).splitlines()
    names: dict[str, Any] = {}
    exec("\n".join([*lines, f"found = {last}"]), names)
    pd.testing.assert_frame_equal(names["found"], table)


def test_facts_of_a_study_are_told_by_name(results: Results, glued: dict[str, object]) -> None:
    pages.tell_study(results)
    assert glued["n_runs"] == str(STUDY.runs)


def test_only_complete_studies_are_at_hand(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    def tables(archive: Archive) -> Results:
        if archive.study.name == "smoke":
            raise StudyIncomplete
        return results

    monkeypatch.setattr(Archive, "tables", tables)
    assert pages.at_hand(["smoke", "quick"]) == [results]


def test_the_page_says_whether_results_were_shipped(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "does not come with the project" in pages.where_computed(results)
    monkeypatch.setattr(Archive, "shipped", object())
    assert "nothing was computed for this page" in pages.where_computed(results)

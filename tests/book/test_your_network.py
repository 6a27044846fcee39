"""The page "Your network in five lines": its code runs when it is copied, and its words follow the analysis."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modularity_lib as ml
from modularity_lib.analysis.records import LayerModules
from modularity_lib.book.execution import find_chapter
from modularity_lib.book.words.your_network import (
    agreement_text,
    assemblies_text,
    certainty_markdown,
    inputs_text,
    nulls_text,
    test_text,
)

RANDOM = np.random.default_rng(0)
ACTIVITY = np.repeat(RANDOM.standard_normal((300, 2)), 4, axis=1) + RANDOM.standard_normal((300, 8))
ACTIVITY = np.column_stack([ACTIVITY, np.zeros(300)])
PLACE = "activity", "input_covariance_norm"


@pytest.fixture(scope="module")
def analysis() -> ml.Analysis:
    return ml.analyze(ACTIVITY, draws=19, searches=10)


@pytest.fixture
def found(analysis: ml.Analysis) -> LayerModules:
    return analysis[PLACE]


def rows_of(found: LayerModules) -> dict[str, tuple[str, str]]:
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in certainty_markdown(found).splitlines()[2:]]
    return {name: (here, says) for name, here, says in lines}


def test_every_number_of_an_analysis_is_said(analysis: ml.Analysis, found: LayerModules) -> None:
    rows = rows_of(found)
    [numbers] = analysis.to_frame().query(f"measure == {PLACE[1]!r}").to_dict("records")
    assert rows["`modules`"] == (
        "2",
        "of 8 units. 1 other is silent (`dead` in the library): similar to no unit, and in no module.",
    )
    assert rows["`score`"][0] == f"{numbers['score']:.3f}"
    assert rows["`bound`"][0] == f"{numbers['bound']:.3f}"
    assert rows["`bound`"][1].endswith("These modules reach it, but others may as well: see the next line.")
    assert rows["`partitions`"] == ("1", "All of 10 quick searches end in the same modules.")
    assert rows["`confidence`"][0] == "1.00"
    assert rows["`core_units`"][0] == "8"
    here, says = rows["`p`, null `independent-units`"]
    assert here == "0.05"
    assert says.endswith("Yes. No draw of the null has so large a Q.")


def test_other_numbers_are_said_in_other_words(found: LayerModules) -> None:
    assert found.bound is not None
    assert found.consensus is not None
    [test] = found.tests
    other = replace(
        found,
        bound=replace(found.bound, upper=found.modules.score * 1.25),
        consensus=replace(found.consensus, n_partitions=3),
        tests=(replace(test, p=0.5),),
        untested={"shuffled-pairs": "it does not go."},
    )
    rows = rows_of(other)
    assert rows["`bound`"][1].endswith("So the best grouping has a Q that is larger by 25.0 % at most.")
    assert rows["`partitions`"] == (
        "3",
        "Different results of 10 quick searches. So there is more than one good answer.",
    )
    assert rows["`p`, null `independent-units`"][1].endswith("These data do not show it.")
    assert rows["`p`, null `shuffled-pairs`"][0] == "–"
    assert rows["`p`, null `shuffled-pairs`"][1].endswith("it does not go.")
    two_reach = rows_of(replace(found, tests=(replace(test, p=3 / 100, null_scores=np.zeros(99)),)))
    assert two_reach["`p`, null `independent-units`"][1].endswith("Yes.")


def test_a_layer_of_dead_units_has_nothing_to_be_sure_of() -> None:
    dead = ml.analyze(np.zeros((5, 3)), draws=1, searches=2)
    assert certainty_markdown(dead[PLACE]).startswith("There are no modules to be sure of: ")
    assert agreement_text(dead.comparisons[0]).startswith("Modules of the two measures cannot be compared: ")


def test_agreement_is_said_on_a_scale_where_chance_is_0(analysis: ml.Analysis) -> None:
    [compared] = analysis.comparisons
    assert agreement_text(replace(compared, agreement=0.7, chance=0.4, p=0.01)) == (
        "Their agreement is 0.50, where 0 is chance and 1 the same modules. It is more than chance (p = 0.01)."
    )
    assert "It is not shown to be more than chance (p = 0.4)" in agreement_text(replace(compared, p=0.4))
    assert agreement_text(replace(compared, agreement=1.0, chance=1.0)).startswith("Their agreement is 0.00, ")


def test_two_nulls_may_be_beaten_or_not(found: LayerModules) -> None:
    def told(*ps: float) -> str:
        tests = (replace(found.tests[0], p=p, null=name) for p, name in zip(ps, ("a", "b"), strict=True))
        return nulls_text(replace(found, tests=tuple(tests)))

    assert told(0.02, 0.06) == (
        "p is 0.02 against a and 0.06 against b. So Q is larger than a would give, but not shown to be larger than b "
        "would. Report all: the similarities have some order, but maybe no more than the last has without modules."
    )
    assert told(0.01, 0.05).endswith("So Q is larger than chance gives, whichever of these is meant by chance.")
    assert told(0.3, 0.06).endswith("So Q is not shown to be larger than chance gives.")
    assert nulls_text(replace(found, tests=())) == "There is no test of these modules."


def test_modules_of_other_inputs_are_the_same_or_not() -> None:
    blocks, others, none = (
        ml.find_modules(matrix)
        for matrix in (np.kron(np.eye(2), np.ones((4, 4))), np.kron(np.ones((4, 4)), np.eye(2)), np.zeros((8, 8)))
    )
    assert inputs_text(blocks, blocks) == (
        "Their agreement with the first modules is 1.00, on the same scale. So these inputs are enough: others give "
        "nearly the same modules."
    )
    assert inputs_text(blocks, others).endswith(
        "So these inputs are too few to rest on their modules. Take more, until others give the same."
    )
    assert inputs_text(blocks, none) == inputs_text(none, none) == inputs_text(none, blocks)
    assert inputs_text(none, none) == "Nothing can be compared, since one of them has no modules."


def test_what_the_sign_is_worth_follows_the_modules() -> None:
    correlation = np.kron([[1.0, -0.9], [-0.9, 1.0]], np.ones((3, 3)))
    truth = [0, 0, 0, 1, 1, 1]
    signed, absolute = ml.find_modules(correlation, signed=True), ml.find_modules(np.abs(correlation))
    assert len(absolute.communities()) == 1
    assert assemblies_text(signed, absolute, truth) == (
        "With the sign the search finds 2 modules, and the agreement with the true assemblies is 1.00. From absolute "
        "values it finds 1 module, with an agreement of 0.00."
    )


def test_a_test_is_said_with_its_question_and_answer() -> None:
    test = ml.test_modules(ACTIVITY, draws=9)
    text = test_text(test)
    null = f"{test.null_scores.mean():.3f}"
    assert text.startswith(
        f"{test.question} These data do not show it. Q is {test.score:.3f}, that of the null {null} on "
    )
    assert text.endswith("on average over 9 draws, and p is 0.1.")
    one = replace(test, null_scores=test.null_scores[:1], p=0.5)
    assert "in one draw, and p is 0.5" in test_text(one)


def test_the_code_in_sight_runs_when_it_is_copied(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the hidden cells. Of what is folded, the transformer and its inputs stand for a reader's own."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in find_chapter(project, "your_network").notebook().cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type != "code" or {"remove-cell", "remove-input"} & set(tags):
            continue
        folded = dict(names) if "hide-input" in tags else names
        exec(compile(cell.source, "your_network", "exec"), folded)
        if "hide-input" in tags:
            names |= {name: folded[name] for name in ("transformer", "ids")}
        if "parameters" in tags:
            names |= {"epochs": 0, "draws": 1}
    assert {file.name for file in tmp_path.iterdir()} == {"relu2.modules", "report.html"}
    assert {"again", "test", "upstream"} <= names.keys()

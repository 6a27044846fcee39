"""What the page "Your network in five lines" says of an analysis follows the analysis."""

from dataclasses import replace

import numpy as np
import pytest

import modularity_lib as ml
from modularity_lib.analysis.records import LayerModules
from modularity_lib.book.words.your_network import agreement_text, assemblies_text, certainty_markdown, test_text

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
    assert rows["`modules`"] == ("2", "of 8 units. 1 other is dead: similar to no unit at all, and in no module.")
    assert rows["`score`"][0] == f"{numbers['score']:.3f}"
    assert rows["`bound`"][0] == f"{numbers['bound']:.3f}"
    assert "proven to be the best" in rows["`bound`"][1]
    assert rows["`partitions`"] == ("1", "All of 10 quick searches end in the same modules.")
    assert rows["`confidence`"][0] == "1.00"
    assert rows["`core_units`"][0] == "8"
    here, says = rows["`p`, null `independent-units`"]
    assert here == "0.05"
    assert says.endswith("Yes. Not one draw of the null has so large a Q.")


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
    assert rows["`bound`"][1].endswith("So the best modules have a Q that is larger by 25.0% at most.")
    assert rows["`partitions`"] == ("3", "Different results of 10 quick searches: there is more than one good answer.")
    assert rows["`p`, null `independent-units`"][1].endswith("No, or not so that these data show it.")
    assert rows["`p`, null `shuffled-pairs`"][0] == "–"
    assert rows["`p`, null `shuffled-pairs`"][1].endswith("it does not go.")
    two_reach = rows_of(replace(found, tests=(replace(test, p=3 / 100, null_scores=np.zeros(99)),)))
    assert two_reach["`p`, null `independent-units`"][1].endswith("Yes.")


def test_a_layer_of_dead_units_has_nothing_to_be_sure_of() -> None:
    dead = ml.analyze(np.zeros((5, 3)), draws=1, searches=2)
    assert certainty_markdown(dead[PLACE]).startswith("There are no modules to be sure of: ")
    assert agreement_text(dead.comparisons[0]).startswith("Modules of the two measures cannot be compared: ")


def test_agreement_is_said_beside_chance(analysis: ml.Analysis) -> None:
    [compared] = analysis.comparisons
    text = agreement_text(compared)
    assert f"alike by {compared.agreement:.2f}" in text
    assert f"would give {compared.chance:.2f}: more than chance (p = {compared.p:.2g})" in text
    assert ": not more than chance (p = 0.4)" in agreement_text(replace(compared, p=0.4))


def test_what_the_sign_is_worth_follows_the_modules() -> None:
    correlation = np.kron([[1.0, -0.9], [-0.9, 1.0]], np.ones((3, 3)))
    truth = [0, 0, 0, 1, 1, 1]
    signed, absolute = ml.find_modules(correlation, signed=True), ml.find_modules(np.abs(correlation))
    alike = ml.element_centric_similarity(absolute, truth)
    assert assemblies_text(signed, absolute, truth) == (
        "With the sign the search finds 2 modules, alike the true assemblies by 1.00. From absolute values it finds "
        f"{len(absolute.communities())}, alike by {alike:.2f}."
    )


def test_a_test_is_said_with_its_question_and_answer() -> None:
    test = ml.test_modules(ACTIVITY, draws=9)
    text = test_text(test)
    assert text.startswith(f"{test.question} Q is {test.score:.3f}, that of the null {test.null_scores.mean():.3f} on ")
    assert "over 9 draws, and p = 0.1. No, or not so that these data show it." in text

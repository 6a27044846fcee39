"""The words on what a rise of Q is, against a table of known numbers: one run, two measures, two layers."""

from typing import Any

import pandas as pd
import pytest

from modularity_lib.book.words import is_it_modules as words
from modularity_lib.findings import rises as rule
from modularity_lib.findings.common_mode import NORMALISED
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import MEASURE_LABELS

FIRST, SECOND = NORMALISED[:2]
COLUMNS = ("score", "score_equal", "score_shifted", "score_shuffled", "score_directions", "mean", "across", "clipped")
START = (0.10, 0.10, 0.10, 0.05, 0.07, 0.20, 0.10, 0.0)
BY_HAND = {
    # At dropout 0.7: modules; less in common; chance, by random directions; and hardly a rise.
    (0.7, FIRST, 1): (0.30, 0.30, 0.11, 0.10, 0.10, 0.25, 0.09, 0.02),
    (0.7, FIRST, 2): (0.30, 0.12, 0.12, 0.23, 0.09, 0.15, 0.08, 0.10),
    (0.7, SECOND, 1): (0.40, 0.40, 0.12, 0.25, 0.36, 0.30, 0.16, 0.06),
    (0.7, SECOND, 2): (0.11, 0.11, 0.11, 0.05, 0.10, 0.214, 0.122, 0.0),
    # At dropout 0.3: modules but for one.
    (0.3, FIRST, 1): (0.20, 0.20, 0.20, 0.05, 0.07, 0.20, 0.10, 0.02),
    (0.3, FIRST, 2): (0.20, 0.11, 0.20, 0.05, 0.07, 0.20, 0.10, 0.06),
    (0.3, SECOND, 1): (0.20, 0.20, 0.20, 0.05, 0.07, 0.20, 0.10, 0.04),
    (0.3, SECOND, 2): (0.20, 0.20, 0.20, 0.05, 0.07, 0.20, 0.10, 0.02),
}


def row(numbers: tuple[float, ...], **place: Any) -> dict[str, Any]:
    same = {"run": 0, "l2": 1e-5, "l1": 0.0, "dropout": 0.0, "within": 0.45, "participation": 0.5, "live_units": 64}
    return same | {"test_accuracy": 0.9} | dict(zip(COLUMNS, numbers, strict=True)) | place


def table() -> pd.DataFrame:
    rows = [row(START, measure=measure, layer=layer) for measure in (SECOND, FIRST) for layer in (1, 2)]
    rows += [
        row(numbers, dropout=dropout, measure=measure, layer=layer)
        for (dropout, measure, layer), numbers in BY_HAND.items()
    ]
    return pd.DataFrame(rows)


def made_up(rescaled: str = "rescaled", shifted: str = "shifted") -> pd.DataFrame:
    """Changes of 0.2 and -0.1: they are missed by a twentieth and a tenth, or by a fifth and a half."""
    rows = [("one", 0.1, 0.3, 0.12, 0.13, 0.08), ("other", 0.2, 0.1, 0.2, 0.19, 0.15)]
    return pd.DataFrame(rows, columns=["kind", "q_before", "q_after", "truth", rescaled, shifted])


@pytest.fixture(scope="module")
def told(v1: Results) -> dict[str, str]:
    return words.texts(table(), None, made_up(), v1)


def test_the_front_counts_all_strengths_and_the_strongest(told: dict[str, str]) -> None:
    assert told["common_n"] == "3 networks of 1 of 9 runs, 12 matrices"
    assert told["modules_answer"] == (
        "At the strongest dropout (run 0 alone, of 9) it depends on measure, layer and strength. By our rule 1 of 3 "
        "rises are modules. Over all strengths 57 % of the rises are modules."
    )
    assert told["modules_all"] == (
        "Over all strengths 4 of the 7 rises that can be compared are modules (57 %). The rule asks for 2/3, and so it "
        f"says: it depends on measure, layer and strength. In the {MEASURE_LABELS[FIRST]} in layer 2 it is 0 of 2, and "
        f"more often units have less in common. In the {MEASURE_LABELS[SECOND]} in layer 1 it is 1 of 2."
    )
    assert told["modules_counts"] == (
        "With dropout of any strength Q rises by 0.02 or more in 7 of 8 combinations of strength, measure, layer and "
        "run. The 7 rises that can be compared count as modules in 4, less in common in 2, chance in 1. At the "
        "strongest, dropout 0.7 (run 0 alone, of 9), it is 1 of 3. The answer there: it depends on measure, layer and "
        "strength."
    )


def test_an_exception_in_which_modules_are_still_the_most_is_told_without_another_kind(v1: Results) -> None:
    runs = [table().query("layer == 1 and measure == @FIRST").assign(run=run) for run in range(2)]
    some = pd.concat(runs, ignore_index=True)
    some.loc[(some["run"] == 0) & (some["dropout"] == 0.7), "score_equal"] = 0.1  # less in common
    some.loc[(some["run"] == 0) & (some["dropout"] == 0.3), "score_shuffled"] = 0.2  # chance
    said = words.texts(some, None, made_up(), v1)["modules_all"]
    assert said.endswith(f" In the {MEASURE_LABELS[FIRST]} in layer 1 it is 2 of 4.")
    [few] = words.few_at_hand(some, None, v1)
    assert few == (FIRST, 1, 2, 4, rule.MODULES)
    assert few.label == f"{MEASURE_LABELS[FIRST]} in layer 1"
    assert words.few_at_hand(some.iloc[:0], None, v1) == []


def test_without_a_rise_there_is_nothing_to_take_apart(v1: Results) -> None:
    flat = table().assign(score=0.1, score_equal=0.1)
    said = words.texts(flat, None, made_up(), v1)
    assert said["modules_answer"] == "There is no rise of Q that could be taken apart."
    assert said["common_caption"] == "There is no rise of Q that could be taken apart"
    assert said["modules_counts"].endswith(" in 0 of 8 combinations of strength, measure, layer and run.")
    absent = words.texts(flat.iloc[:0], None, made_up(), v1)
    assert absent.keys() == said.keys()
    assert absent["common_caption"] == "Not at hand for this study"


def test_the_caption_is_of_the_strongest_dropout(told: dict[str, str]) -> None:
    # Rises of 0.2, 0.2 and 0.3, of which 0.2, 0.02 and 0.3 are left.
    assert told["common_caption"] == "At the strongest dropout 74 % of the rise of Q stays with as much in common"


def test_there_is_no_exception_where_most_rises_of_every_place_are_modules(v1: Results) -> None:
    runs = [table().query("layer == 1 and measure == @FIRST").assign(run=run) for run in range(3)]
    some = pd.concat(runs, ignore_index=True)
    some.loc[(some["run"] == 0) & (some["dropout"] > 0), "score_equal"] = 0.1
    told = words.texts(some, None, made_up(), v1)
    assert told["modules_answer"].endswith("Over all strengths 67 % of the rises are modules.")
    assert told["modules_all"].endswith("says: units form modules.")


def test_the_course_is_of_the_strongest_and_names_where_units_have_less_in_common(told: dict[str, str]) -> None:
    assert told["modules_course"] == (
        "At dropout 0.7 (run 0 alone, of 9) Q has changed by +0.010 to +0.300, and risen by 0.02 or more in 3 of 4 "
        "combinations of measure, layer and run. These rises are 0.233 on average; with as much in common as without "
        "they would be 0.173. They count as modules in 1, less in common in 1, chance in 1. The answer: it depends "
        "on measure, layer and strength. Of those that are less in common, 2 of 2 are of one measure and layer, the "
        f"{MEASURE_LABELS[FIRST]} in layer 2 at dropout 0.3 to 0.7."
    )


def test_the_null_of_rotations_is_told_for_the_measures_that_have_it(v1: Results) -> None:
    turned = pd.DataFrame(
        [
            row(numbers, dropout=dropout, measure=measure, layer=layer)
            for (dropout, measure, layer), numbers in BY_HAND.items()
            if measure == FIRST
        ]
        + [row(START, measure=FIRST, layer=layer) for layer in (1, 2)]
    ).assign(score_rotated=0.1, score_matched=0.1)
    turned.loc[(turned["dropout"] == 0.7) & (turned["layer"] == 1), "score_rotated"] = 0.29
    told = words.texts(table(), turned, made_up(), v1)
    assert (
        " Of the 4 rises of upstream measures at all strengths, 2 were modules by the other two nulls, and 1 are with "
        "rotated units besides. Of those" in told["modules_course"]
    )
    # Rises of 0.2 and 0.2, of which rotated units show 0.19 and 0.
    assert told["common_caption"] == "At the strongest dropout rotated units show 47 % of the rise of Q upstream"
    assert told["modules_answer"] == (
        "At the strongest dropout (run 0 alone, of 9) Q rises as much in a control. Units mixed by a random "
        "rotation lose their modules, and still show 47 % of the rise of Q upstream. By our rule 0 of 3 rises "
        "are modules. Over all strengths 25 % of the upstream rises are modules, and 67 % of the downstream ones, "
        "which lack this control."
    )
    alike = turned.assign(score_rotated=0.12)
    only = table().query("measure == @FIRST and layer == 1")
    assert words.texts(only, alike.query("layer == 1"), made_up(), v1)["modules_answer"].startswith(
        "At the strongest dropout (run 0 alone, of 9) units form modules, but the rise of Q is not all due to them. "
        "Units mixed by a random rotation lose their modules, and still show"
    )
    assert (
        " Upstream it is 1 of 4 (0 of 2 at the strongest). Downstream it is 2 of 3 (0 of 1), but" in told["modules_all"]
    )


def test_what_units_share_is_told_in_percent_of_what_they_shared(told: dict[str, str], v1: Results) -> None:
    # Units of different modules share 0.09, 0.08, 0.16 and 0.122 after 0.10.
    assert told["common_shared"] == (
        "On average 74 % of the rise stays at the strongest dropout. But that is a weak test there. On average "
        "units of different modules are 13 % more similar than without dropout, so there is little to take away. It "
        f"is a real test in the {MEASURE_LABELS[FIRST]} in layer 2, where they are 20 % less similar: there 10 % stays."
    )
    more = table().assign(across=lambda rows: 0.1 + 0.1 * (rows["dropout"] > 0))
    assert words.texts(more, None, made_up(), v1)["common_shared"].endswith("so there is little to take away.")
    less = table().assign(across=lambda rows: 0.2 - 0.1 * (rows["dropout"] > 0))
    assert words.texts(less, None, made_up(), v1)["common_shared"] == (
        "On average 74 % of the rise stays at the strongest dropout. On average units of different modules are 50 % "
        "less similar than without dropout, so there is something for the rescaling to take away."
    )


def test_what_nulls_show_is_a_share_of_the_rises(told: dict[str, str]) -> None:
    # Rises of 0.2, 0.2 and 0.3; shuffled 0.05, 0.18 and 0.20; random directions 0.03, 0.02 and 0.29.
    assert told["common_chance"] == (
        f"Shuffled similarities show 61 % of these rises, most for the {MEASURE_LABELS[FIRST]} in layer 2 (90 %); "
        "random directions in as few dimensions show 49 %. Q is above that of random directions by 0.030 without "
        "dropout and by 0.115 with the strongest, on average; by 0.02 or more in 4 and in 3 of 4 combinations."
    )


def test_clipping_and_the_shift_are_told(told: dict[str, str]) -> None:
    assert told["common_held"] == (
        "In networks with dropout the rescaling leaves 4 % of the pairs at 0, in one matrix 10 %. With a shift that "
        "holds the mean similarity instead, the answer for the strongest dropout is: units have less in common."
    )


def test_a_penalty_that_silences_units_says_how_many_are_left(v1: Results) -> None:
    rows = [row(START, measure=FIRST, layer=layer) for layer in (1, 2)]
    rows.append(row((0.30, 0.25, *START[2:]), l2=1e-3, measure=FIRST, layer=1, live_units=60))
    rows.append(row((0.40, 0.40, *START[2:]), l2=1e-3, measure=FIRST, layer=2, live_units=48))
    told = words.texts(pd.DataFrame(rows), None, made_up(), v1)
    assert told["penalties_short"].startswith(
        "At the strongest L2 penalty 1 of 2 rises count as modules, and 1 cannot be compared. Penalties silence units"
    )
    assert told["penalties_short"].endswith("number of live units has changed by more than 10 %.")
    assert told["common_penalties"] == (
        "At L2 penalty 0.001 (run 0 alone, of 9) Q has changed by +0.200 to +0.300, and risen by 0.02 or more in 2 "
        "of 2 combinations of measure, layer and run (84 % of the units that were live still are, on average). These "
        "rises are 0.250 on average; of the 1 that can be compared (0.200) 0.150 would be left with as much in "
        "common as without. They count as modules in 1, not comparable in 1. The answer: it depends on measure, "
        "layer and strength. No network with L1 penalty was analysed."
    )


def test_rises_under_penalties_are_counted_by_what_they_are() -> None:
    kinds = pd.DataFrame({"kind": [rule.MODULES, rule.MODULES, rule.CHANCE, rule.NOT_COMPARABLE, ""]})
    assert words._penalties_text([(kinds, "l2"), (kinds.iloc[:0], "l1")]).startswith(
        "At the strongest L2 penalty 2 of 4 rises count as modules, and 1 cannot be compared. Penalties "
    )
    assert words._penalties_text([(kinds.iloc[:3], "l2")]).endswith("modules, and 0 cannot be compared.")


def test_made_up_matrices_say_how_far_each_counterfactual_is_off(told: dict[str, str]) -> None:
    assert told["common_check"] == (
        "On 2 pairs of made-up matrices with planted blocks, for which the true answer is known, the rescaling comes "
        "closer to it than a shift by a constant. In percent of the change of Q they miss it by (one: 5 % and 20 %; "
        "other: 10 % and 50 %)."
    )
    assert "comes no closer to it than" in words._check_text(made_up("shifted", "rescaled"))


def test_the_rule_is_told_with_its_limits() -> None:
    assert words._rule_short() == (
        "A rise of Q by 0.02 or more counts as modules if at least 2/3 of it stays with as much in common, and if it "
        "is larger by at least 0.02 than the rise in each of the other controls."
    )
    assert words._rule_text() == (
        "A rise of Q by 0.02 or more is called (a) not comparable, if the number of live units has changed by more "
        "than 10 %; otherwise (b) less in common, if at most 1/3 of it is left with as much in common; otherwise (c) "
        "chance, if it is less than 0.02 above that of a null; otherwise (d) modules, if at least 2/3 of it is left; "
        "otherwise (e) in part less in common. The answer is the name of at least 2/3 of the rises. All these limits "
        "are choices."
    )


@pytest.mark.parametrize(
    ("kind", "meant"),
    [
        (rule.MODULES, "units form modules"),
        (rule.IN_COMMON, "units have less in common"),
        (rule.CHANCE, "Q rises as much in a control"),
        (rule.MIXED, "units form modules and have less in common"),
        (rule.NOT_COMPARABLE, "the layers cannot be compared, since other numbers of their units are live"),
    ],
)
def test_every_kind_has_its_meaning(kind: str, meant: str) -> None:
    assert words._answer(pd.Series([kind])) == meant


def test_the_table_of_confounds_has_the_numbers_of_both_ends_over_runs(v1: Results) -> None:
    twice = pd.concat([table(), table().assign(run=1, mean=lambda rows: rows["mean"] + 0.1)], ignore_index=True)
    lines = words.confounds_markdown(twice, v1).splitlines()[2:]
    label = MEASURE_LABELS[FIRST]
    assert lines[:2] == [
        f"| {label} | 1 | 0 | 64 | 0.25, 0.45, 0.10 | 0.50 | 90.0 % | 0.100, 0.100, 0.050, 0.070 |",
        f"| {label} | 1 | 0.7 | 64 | 0.30, 0.45, 0.09 | 0.50 | 90.0 % | 0.300, 0.300, 0.100, 0.100 |",
    ]
    assert len(lines) == 8

"""Module numbers that are kept from one clustering to the next."""

from itertools import permutations

import numpy as np
import pandas as pd
import pytest

import modularity_lib as ml
from modularity_lib.clustering.matching import match_modules


def labels_of(matched: list[ml.Clustering]) -> list[list[int]]:
    return [one.labels.tolist() for one in matched]


def test_numbers_go_to_the_modules_that_share_most_units() -> None:
    assert labels_of(match_modules([[0, 0, 0, 1, 1, 1], [0, 1, 1, 2, 2, 2]])) == [
        [0, 0, 0, 1, 1, 1],
        [2, 0, 0, 1, 1, 1],
    ]
    renumbered = match_modules([[0, 0, 1, 1, 2], [2, 2, 0, 0, 1]])
    assert labels_of(renumbered)[0] == labels_of(renumbered)[1]


@pytest.mark.parametrize("seed", range(10))
def test_as_many_units_as_possible_keep_their_number(seed: int) -> None:
    random = np.random.default_rng(seed)
    before, after = random.integers(0, 4, 20), random.integers(0, 4, 20)
    before[:4] = after[4:8] = range(4)
    kept = np.count_nonzero(match_modules([before, after])[1].labels == before)
    assert kept == max(np.count_nonzero(np.array(order)[after] == before) for order in permutations(range(4)))


def test_a_number_never_stands_for_another_module() -> None:
    first, gone, new, back = [0, 0, 1, 1, -1, -1], [0, 0, -1, -1, -1, -1], [0, 0, -1, -1, 1, 1], [0, 0, 1, 1, 2, 2]
    assert labels_of(match_modules([first, gone, new])) == [first, gone, [0, 0, -1, -1, 2, 2]]  # 1 had other units
    assert labels_of(match_modules([first, gone, new, back]))[3] == [0, 0, 1, 1, 2, 2]  # 1 is what it was


def test_of_equal_matches_the_module_that_was_there_just_before_counts() -> None:
    first, second, third = [0, 0, 1, 1, 1], [0, 0, 0, 0, 0], [0, 0, -1, -1, -1]  # in the second 0 is gone, all are in 1
    assert labels_of(match_modules([first, second, third]))[1:] == [[1] * 5, [1, 1, -1, -1, -1]]


def test_a_module_that_is_split_keeps_its_number_in_the_larger_part() -> None:
    assert labels_of(match_modules([[0] * 5 + [1], [0, 0, 1, 1, 1, 2]]))[1] == [2, 2, 0, 0, 0, 1]


def test_dead_units_stay_dead_and_a_dead_layer_changes_no_number() -> None:
    dead = np.full(4, -1)
    assert labels_of(match_modules([dead, [1, 1, 0, 0], dead, [0, 0, 1, 1]])) == [
        [-1] * 4,
        [1, 1, 0, 0],
        [-1] * 4,
        [1, 1, 0, 0],
    ]


def test_all_but_the_labels_stays_as_it_was() -> None:
    similarity = np.kron(np.eye(2), np.ones((3, 3)))
    names = list("abcdef")
    first = ml.find_modules(pd.DataFrame(similarity, names, names))
    second = ml.find_modules(similarity[::-1, ::-1])
    matched = match_modules([first, second])
    assert matched[0] == first
    assert matched[1].score == second.score
    assert matched[1].n_modules == second.n_modules
    assert not matched[1].labels.flags.writeable
    numbered = match_modules([[0, 0, 1], [-1, 2, 1]])[1]
    assert numbered.method == "given"
    assert np.isnan(numbered.score)
    assert numbered.communities() == [{1}, {2}]


def test_numbers_that_are_missing_do_not_count_as_modules() -> None:
    gone = match_modules([[0, 0, 1, 1, 2, 2], [0, 0, -1, -1, 1, 1]])[1]
    assert gone.labels.tolist() == [0, 0, -1, -1, 2, 2]
    assert gone.communities() == [{0, 1}, {4, 5}]
    assert gone.n_modules == pytest.approx(np.exp(-2 * (1 / 3) * np.log(1 / 3)))


def test_other_units_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^clusterings must .* got 3 units in the first and 2 in clusterings\[1\]"):
        match_modules([[0, 0, 1], [0, 1]])
    similarity = np.ones((3, 3))
    one, other = (ml.find_modules(pd.DataFrame(similarity, list(names), list(names))) for names in ("abc", "acb"))
    with pytest.raises(ValueError, match=r"^clusterings must .* got the names 'b' and 'c' for unit 1"):
        match_modules([one, [0, 0, 0], other])
    for given in ([], 5, "abc", None, one, {"a": one}):
        with pytest.raises(ValueError, match=r"^clusterings must be a list"):
            match_modules(given)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^clusterings\[1\] must hold"):
        match_modules([one, "abc"])

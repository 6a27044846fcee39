"""Element-centric similarity of many pairs at once is that of each pair."""

import numpy as np
import pytest

from modularity_lib.alignment import many_pairs
from modularity_lib.alignment.many_pairs import element_centric_of_pairs


def by_definition(a: np.ndarray, b: np.ndarray) -> float:
    """Unit by unit, from sets."""
    total = 0.0
    for i in range(len(a)):
        own_a, own_b = ({j for j in range(len(a)) if labels[j] == labels[i]} for labels in (a, b))
        total += len(own_a & own_b) / max(len(own_a), len(own_b))
    return total / len(a)


def drawn(random: np.random.Generator, pairs: int, units: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a, b = random.integers(-1, 5, (pairs, units)), random.integers(-1, 3, (pairs, units))
    counted = random.random((pairs, units)) < 0.6
    counted[:, 0] = True
    return a, b, counted


@pytest.mark.parametrize("cells", [1, 100, many_pairs._CELLS_AT_ONCE])
def test_each_pair_is_compared_over_its_own_units(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_pairs, "_CELLS_AT_ONCE", cells)
    random = np.random.default_rng(0)
    a, b, counted = drawn(random, 30, 9)
    similarity, chance = element_centric_of_pairs(a, b, counted)
    for pair in range(len(a)):
        left, right = a[pair, counted[pair]], b[pair, counted[pair]]
        assert similarity[pair] == pytest.approx(by_definition(left, right), abs=1e-12)
        shuffled = [by_definition(left, random.permutation(right)) for _ in range(300)]
        assert chance[pair] == pytest.approx(np.mean(shuffled), abs=5 * np.std(shuffled) / np.sqrt(300) + 1e-12)


def test_chance_of_a_small_pair_is_the_mean_over_all_orders() -> None:
    [similarity], [chance] = element_centric_of_pairs([[0, 0, 1, 1, 9]], [[0, 1, 0, 1, 9]], [[1, 1, 1, 1, 0]])
    assert similarity == 1 / 2  # every unit shares one of two
    assert chance == pytest.approx(2 / 6 * 1 + 4 / 6 * 1 / 2, abs=1e-15)


def test_two_clusterings_of_one_module_agree_by_necessity() -> None:
    ones = np.zeros((3, 7), dtype=int)
    counted = np.arange(7) < np.array([[1], [2], [7]])
    similarity, chance = element_centric_of_pairs(ones, ones, counted)
    assert similarity.tolist() == chance.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("a", "b", "counted", "message"),
    [
        ([[0, 1]], [[0, 1, 2]], [[1, 1]], r"shape \(pairs, units\), got \(1, 2\), \(1, 3\)"),
        ([0, 1], [0, 1], [1, 1], r"got \(2,\)"),
        ([[0, -2]], [[0, 1]], [[1, 1]], "-1 for dead units, got -2"),
        ([[0, 1], [0, 1]], [[0, 1], [0, 1]], [[1, 1], [0, 0]], "got none of pair 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(a: list, b: list, counted: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        element_centric_of_pairs(np.array(a), np.array(b), np.array(counted))

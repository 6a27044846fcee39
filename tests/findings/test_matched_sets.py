"""Sets that are compared with a module have its size, carry as much, and are random ones or near neighbours."""

from itertools import combinations

import numpy as np
import pytest

from modularity_lib.findings.matched_sets import TOLERANCE, neighbour_sets, random_sets


def units_of(sets: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(np.flatnonzero(chosen).tolist()) for chosen in sets}


def all_that_fit(module: np.ndarray, carried: np.ndarray) -> set[tuple[int, ...]]:
    """By trying every set."""
    fitting = set()
    for units in combinations(range(len(module)), int(module.sum())):
        ratios = [sum(of[i] for i in units) / sum(of[module]) for of in carried]
        if all(abs(ratio - 1) <= TOLERANCE for ratio in ratios):
            fitting.add(units)
    return fitting


def layer(seed: int, units: int, size: int) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    source = np.random.default_rng(seed)
    outgoing = source.uniform(0.5, 2.0, units)
    return np.arange(units) < size, np.stack([outgoing, outgoing * source.uniform(0.5, 2.0, units)]), source


@pytest.mark.parametrize("seed", range(5))
def test_random_sets_are_all_those_that_fit_and_no_others(seed: int) -> None:
    module, carried, source = layer(seed, units=9, size=3)
    found = random_sets(module, carried, wanted=400, source=source)
    assert len(found) == len(units_of(found))  # each once
    assert units_of(found) == all_that_fit(module, carried)


def test_random_sets_of_a_large_layer_fit_and_hold_all_units_alike() -> None:
    module, carried, source = layer(0, units=64, size=15)
    found = random_sets(module, carried, wanted=300, source=source)
    assert found.shape == (300, 64)
    assert (found.sum(axis=1) == 15).all()
    ratios = found @ carried.T / carried[:, module].sum(axis=1)
    assert np.abs(ratios - 1).max() <= TOLERANCE
    assert np.ptp(ratios) > TOLERANCE  # they spread over what is allowed
    share = found.mean(axis=0)
    assert share.min() > 0.05  # 15 / 64 on average; matching prefers some units, and leaves none out
    assert abs(share[module].mean() - 15 / 64) < 0.1


def test_sets_of_other_weight_are_swapped_until_they_fit() -> None:
    """The module carries the most: sets drawn at random carry half of it, and few of them fit."""
    module, carried, source = layer(1, units=40, size=10)
    heavy = np.argsort(-carried[0])
    module = np.isin(np.arange(40), heavy[[0, 2, 4, 6, 8, 10, 12, 14, 16, 18]])
    found = random_sets(module, carried, wanted=60, source=source)
    assert len(found) == 60
    by_chance = [source.permutation(40)[:10] for _ in range(1000)]
    fits = [np.abs(carried[:, units].sum(axis=1) / carried[:, module].sum(axis=1) - 1).max() for units in by_chance]
    assert np.mean(np.array(fits) <= TOLERANCE) < 0.02


def test_nothing_fits_a_module_that_carries_more_than_all_others() -> None:
    carried = np.array([[9.0, 9.0, 9.0, 1.0, 1.0, 1.0, 1.0]] * 2)
    module = carried[0] > 5
    found = random_sets(module, carried, wanted=60, source=np.random.default_rng(0))
    assert units_of(found) == {(0, 1, 2)}  # the module itself is a random set too


def ring(units: int) -> np.ndarray:
    """Similarity falls with the distance on a ring."""
    steps = np.abs(np.arange(units)[:, None] - np.arange(units))
    return -np.minimum(steps, units - steps).astype(float)


def test_neighbours_are_the_nearest_where_all_units_carry_the_same() -> None:
    units = 12
    found = neighbour_sets(
        np.arange(units) % 4 == 0, np.ones((2, units)), ring(units), wanted=60, source=np.random.default_rng(0)
    )
    expected = {tuple(sorted([(i - 1) % units, i, (i + 1) % units])) for i in range(units)}
    assert units_of(found) == expected
    assert len(found) == units


def test_copies_give_the_same_set_as_often_as_there_are_units() -> None:
    block = np.repeat(np.arange(3), 4)
    alike = (block[:, None] == block).astype(float)
    found = neighbour_sets(block == 0, np.ones((2, 12)), alike, wanted=60, source=np.random.default_rng(0))
    assert len(found) == 12
    assert units_of(found) == {(0, 1, 2, 3), (4, 5, 6, 7), (8, 9, 10, 11)}


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_that_do_not_fit_give_way_to_the_next_ones(seed: int) -> None:
    module, carried, source = layer(seed, units=40, size=8)
    alike = ring(40)
    found = neighbour_sets(module, carried, alike, wanted=60, source=source)
    assert 20 <= len(found) <= 40
    assert (found.sum(axis=1) == 8).all()
    assert np.abs(found @ carried.T / carried[:, module].sum(axis=1) - 1).max() <= TOLERANCE
    nearest = np.argsort(-alike, axis=1, kind="stable")[:, :12]  # a set of 8 is drawn among 12 at the most
    around = np.zeros((40, 40), dtype=bool)
    np.put_along_axis(around, nearest, True, axis=1)
    assert all((around[:, chosen].all(axis=1)).any() for chosen in found)


def test_fewer_are_given_where_fewer_are_wanted_and_the_seed_fixes_all() -> None:
    module, carried, _ = layer(3, units=40, size=8)
    drawn = [
        (
            random_sets(module, carried, wanted=5, source=source),
            neighbour_sets(module, carried, ring(40), wanted=5, source=source),
        )
        for source in map(np.random.default_rng, (0, 0, 1))
    ]
    assert len(drawn[0][0]) == 5
    assert len(drawn[0][1]) <= 5
    for one, same, other in zip(*drawn, strict=True):
        assert np.array_equal(one, same)
        assert not np.array_equal(one, other)

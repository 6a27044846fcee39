"""Effects over runs: intervals and sign-flip tests."""

from itertools import product

import numpy as np
import pytest

from modularity_lib.inference import effect_over_runs


def test_the_p_value_is_the_share_of_sign_flips_at_least_as_far_from_zero() -> None:
    values = np.array([0.3, 0.1, -0.05, 0.2])
    flips = [np.mean(values * signs) for signs in product([1, -1], repeat=4)]
    expected = np.mean(np.abs(flips) >= abs(values.mean()) - 1e-12)
    assert effect_over_runs(values).p_value == pytest.approx(expected)


@pytest.mark.parametrize(("n_runs", "smallest"), [(1, 1.0), (3, 0.25), (5, 0.0625), (6, 0.03125), (9, 0.00390625)])
def test_the_smallest_p_value_is_what_runs_of_one_sign_give(n_runs: int, smallest: float) -> None:
    effect = effect_over_runs(np.linspace(0.1, 0.2, n_runs))
    assert effect.smallest_p == smallest
    assert effect.p_value == pytest.approx(smallest)


def test_the_interval_holds_the_mean_and_lies_within_the_data() -> None:
    effect = effect_over_runs(np.array([0.1, 0.2, 0.25, 0.4, 0.15, 0.3]))
    assert effect.low is not None
    assert effect.high is not None
    assert (effect.mean, effect.smallest, effect.largest) == (pytest.approx(1.4 / 6), 0.1, 0.4)
    assert 0.1 <= effect.low < effect.mean < effect.high <= 0.4
    assert effect.is_above_zero


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        effect = effect_over_runs(random.normal(1.0, 1.0, size=30))
        assert effect.low is not None
        assert effect.high is not None
        covered += effect.low <= 1.0 <= effect.high
    assert 51 <= covered <= 60  # 95 % of 60 is 57; a bootstrap of 30 values falls a little short


def test_few_runs_have_no_interval_and_count_as_above_zero_only_together() -> None:
    few = effect_over_runs(np.array([0.1, 0.2, 0.25, 0.4, 0.15]))
    assert (few.low, few.high) == (None, None)
    assert few.is_above_zero
    assert not effect_over_runs(np.array([0.1, 0.2, -0.01])).is_above_zero


def test_with_runs_enough_the_interval_decides_though_one_run_lies_below() -> None:
    effect = effect_over_runs(np.array([0.3, 0.2, 0.25, 0.4, 0.35, 0.3, -0.01]))
    assert effect.smallest < 0 < effect.low
    assert effect.is_above_zero


def test_where_nothing_is_there_an_effect_is_above_zero_no_more_often_than_chance_has_it() -> None:
    random = np.random.default_rng(1)
    called = {n: np.mean([effect_over_runs(random.normal(size=n)).is_above_zero for _ in range(400)]) for n in (3, 4)}
    assert called[3] == pytest.approx(1 / 8, abs=3 * np.sqrt(1 / 8 * 7 / 8 / 400))
    assert called[4] == pytest.approx(1 / 16, abs=3 * np.sqrt(1 / 16 * 15 / 16 / 400))


def test_an_interval_that_reaches_zero_is_not_above_zero() -> None:
    assert not effect_over_runs(np.array([0.1, -0.1, 0.05, 0.02, 0.1, 0.2])).is_above_zero


@pytest.mark.parametrize("values", [np.array([0.5]), np.array([0.5, 0.5, 0.5])])
def test_without_spread_there_is_no_interval(values: np.ndarray) -> None:
    effect = effect_over_runs(values)
    assert (effect.low, effect.high) == (None, None)


@pytest.mark.parametrize("values", [np.array([]), np.array([0.1, np.nan]), np.zeros((2, 2))])
def test_values_that_are_not_one_finite_number_per_run_are_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one finite number per run"):
        effect_over_runs(values)

"""Effects over runs: intervals and sign-flip tests."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from modularity_lib.findings import inference
from modularity_lib.findings.inference import (
    MOST_RUNS_ENUMERATED,
    effect_over_runs,
    holm,
    jackknife_interval,
    joint_sign_flips,
    tried_without_effect,
)


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


# Quantiles of Student's t at 0.975, as printed in tables, by degrees of freedom.
T_TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 5: 2.571, 8: 2.306, 29: 2.045}


@pytest.mark.parametrize("degrees", T_TABLE)
def test_the_interval_is_the_mean_and_so_many_standard_errors_to_either_side(degrees: int) -> None:
    n = degrees + 1
    values = [float(value) for value in np.random.default_rng(degrees).lognormal(size=n)]
    mean = sum(values) / n
    variance = sum((value - mean) ** 2 for value in values) / degrees
    half = T_TABLE[degrees] * (variance / n) ** 0.5
    effect = effect_over_runs(np.array(values))
    assert (effect.mean, effect.smallest, effect.largest) == (pytest.approx(mean), min(values), max(values))
    assert (effect.low, effect.high) == pytest.approx((mean - half, mean + half), abs=3e-4 * half)


@pytest.mark.parametrize("n_runs", [2, 3, 9])
def test_the_interval_covers_the_truth_as_often_as_it_says(n_runs: int) -> None:
    random = np.random.default_rng(0)
    effects = [effect_over_runs(random.normal(1.0, 1.0, size=n_runs)) for _ in range(600)]
    covered = np.mean([effect.bounds[0] <= 1.0 <= effect.bounds[1] for effect in effects])
    assert covered == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 600))


def test_runs_are_left_out_whole_and_an_undefined_statistic_costs_the_others_no_interval() -> None:
    by_run = np.random.default_rng(1).exponential(size=20)
    cube = by_run[None, :, None] + np.array([-1.0, 1.0])[:, None, None]  # two strengths of 20 runs
    observed, low, high = jackknife_interval(
        lambda part: np.array([part.mean(), part.std() ** 2, np.nan]), cube, axis=1
    )
    half = 2.093 * by_run.std(ddof=1) / np.sqrt(20)  # the 0.975 quantile of t with 19 degrees of freedom
    expected = by_run.mean(), by_run.mean() - half, by_run.mean() + half  # of a mean, Student's interval
    assert (observed[0], low[0], high[0]) == pytest.approx(expected, rel=1e-3)
    squares = [np.delete(by_run, run).var() + 1 for run in range(20)]  # the two strengths differ by 2
    half = 2.093 * np.sqrt(19 / 20 * sum((squares - np.mean(squares)) ** 2))
    assert (low[1], high[1]) == pytest.approx((observed[1] - half, observed[1] + half), rel=1e-3)
    assert np.isnan([low[2], high[2]]).all()
    assert all(np.isnan(ends).all() for ends in jackknife_interval(lambda runs: runs[0], np.ones((1, 2)))[1:])


def test_an_effect_is_above_zero_if_its_interval_is_though_one_run_lies_below() -> None:
    effect = effect_over_runs(np.array([0.3, 0.2, 0.25, 0.4, 0.35, 0.3, -0.01]))
    assert effect.smallest < 0 < effect.low
    assert effect.is_above_zero
    together = effect_over_runs(np.array([0.1, 0.5, 0.9]))  # every run lies above, but far apart
    assert together.low < 0 < together.smallest
    assert not together.is_above_zero


def test_where_nothing_is_there_an_effect_is_above_zero_once_in_forty() -> None:
    random = np.random.default_rng(1)
    called = np.mean([effect_over_runs(random.normal(size=3)).is_above_zero for _ in range(600)])
    assert called == pytest.approx(1 / 40, abs=3 * np.sqrt(1 / 40 * 39 / 40 / 600))


def test_an_interval_that_reaches_zero_is_not_above_zero() -> None:
    assert not effect_over_runs(np.array([0.1, -0.1, 0.05, 0.02, 0.1, 0.2])).is_above_zero


@pytest.mark.parametrize("values", [np.array([0.5]), np.full(3, 0.5), np.full(6, 0.5)])
def test_without_spread_there_is_no_interval(values: np.ndarray) -> None:
    effect = effect_over_runs(values)
    assert (effect.low, effect.high) == (None, None)


@pytest.mark.parametrize("values", [np.array([]), np.array([0.1, np.nan]), np.zeros((2, 2))])
def test_values_that_are_not_one_finite_number_per_run_are_refused(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one finite number per run"):
        effect_over_runs(values)


def test_holm_gives_the_hand_example_and_keeps_the_order_of_the_tests() -> None:
    # sorted: 0.005, 0.01, 0.03, 0.04; times 4, 3, 2, 1: 0.02, 0.03, 0.06, 0.04; never falling: 0.02, 0.03, 0.06, 0.06
    np.testing.assert_allclose(holm([0.04, 0.01, 0.03, 0.005]), [0.06, 0.03, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.6, 0.7]), [1.0, 1.0])


def test_holm_rejects_what_the_step_down_rule_rejects() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        p_values = random.beta(0.3, 3, size=6)
        rejected = np.zeros(6, dtype=bool)
        for step, test in enumerate(np.argsort(p_values)):
            if p_values[test] > 0.05 / (6 - step):
                break
            rejected[test] = True
        np.testing.assert_array_equal(holm(p_values) <= 0.05, rejected)


@pytest.mark.parametrize("p_values", [[0.1, 1.2], [-0.1], [[0.1]], [float("nan")]])
def test_holm_refuses_what_is_no_list_of_p_values(p_values: list) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        holm(p_values)


def test_joint_flips_count_the_patterns_in_which_any_test_comes_as_far() -> None:
    values = np.random.default_rng(0).normal(0.5, 1.0, size=(3, 5))
    patterns = list(product([1, -1], repeat=5))

    def distances(signs) -> list[float]:
        return [abs(sum(s * v for s, v in zip(signs, row, strict=True))) / np.sqrt((row**2).sum()) for row in values]

    expected = [
        np.mean([max(distances(signs)) >= seen - 1e-12 for signs in patterns]) for seen in distances([1, 1, 1, 1, 1])
    ]
    np.testing.assert_allclose(joint_sign_flips(values), expected)


def test_joint_flips_of_one_test_are_its_sign_flip_test_and_of_equal_ones_cost_nothing() -> None:
    values = np.array([0.3, 0.1, -0.05, 0.2, 0.4, 0.1])
    alone = effect_over_runs(values).p_value
    np.testing.assert_allclose(joint_sign_flips(values[None]), [alone])
    np.testing.assert_allclose(joint_sign_flips(np.tile(values, (4, 1)) * [[1], [2], [-3], [4]]), [alone] * 4)


def test_joint_flips_keep_the_error_of_all_tests_together() -> None:
    random = np.random.default_rng(1)
    called = [(joint_sign_flips(random.normal(size=(8, 9))) <= 0.05).any() for _ in range(400)]
    assert np.mean(called) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_many_runs_are_flipped_at_random_and_p_is_never_zero() -> None:
    values = np.vstack([np.ones(MOST_RUNS_ENUMERATED + 4), np.zeros(MOST_RUNS_ENUMERATED + 4)])
    p_values = joint_sign_flips(values)
    assert 0 < p_values[0] < 0.001
    assert p_values[1] == 1.0


@pytest.mark.parametrize("values", [np.zeros(3), np.zeros((0, 3)), np.array([[np.nan, 1.0]])])
def test_joint_flips_refuse_what_is_not_a_number_per_test_and_run(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="per test and run"):
        joint_sign_flips(values)


def test_without_an_effect_interval_and_sign_flip_test_keep_their_levels() -> None:
    trial = tried_without_effect(9, samples=400)
    assert trial.samples == 400
    assert 0.02 < trial.called < 0.08
    assert trial.coverage is not None
    assert 0.92 < trial.coverage < 0.98
    assert tried_without_effect(1, samples=20).coverage is None


def test_a_trial_counts_what_holds_zero_and_what_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    effect = effect_over_runs(np.array([0.1, 0.2, 0.25, 0.4, 0.15, 0.3]))
    ends = [(0.0, 1.0), (-1.0, 0.0), (0.001, 1.0), (-1.0, -0.001)]
    p_values = (0.05, 0.0501, 0.06, 1.0)
    seen = iter([replace(effect, low=low, high=high, p_value=p) for (low, high), p in zip(ends, p_values, strict=True)])
    monkeypatch.setattr(inference, "effect_over_runs", lambda _: next(seen))
    assert tried_without_effect(6, samples=4) == inference.Trial(coverage=2 / 4, called=1 / 4, samples=4)

"""Uncertainty of effects over a few runs: intervals, p-values, and corrections for many tests."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import stats

MOST_RUNS_ENUMERATED = 14  # 8,192 sign patterns


@dataclass(frozen=True)
class Effect:
    """Mean of one number per run, with its uncertainty over runs.

    `smallest` and `largest` are the extremes over runs. `low` and `high` bound the 95 % interval, None with a single
    run or without spread. `p_value` is two-sided for "the runs are symmetric about 0";
    `smallest_p` is the smallest p-value that so many runs can give at all.
    """

    mean: float
    smallest: float
    largest: float
    low: float | None
    high: float | None
    p_value: float
    smallest_p: float
    n_runs: int

    @property
    def bounds(self) -> tuple[float, float]:
        """The 95 % interval, or the smallest and largest run where there is none."""
        return (self.smallest, self.largest) if self.low is None or self.high is None else (self.low, self.high)

    @property
    def is_above_zero(self) -> bool:
        """Whether the interval lies above 0; without an interval, whether every run does."""
        return self.bounds[0] > 0


def smallest_sign_flip_p(n_runs: int) -> float:
    """The smallest two-sided p-value of a sign-flip test of n runs: 2 / 2^n, and 1 with one run."""
    return min(1.0, 2.0 / 2**n_runs)


def effect_over_runs(values: np.ndarray) -> Effect:
    """Mean over runs with Student's t interval and an exact sign-flip test.

    Runs share their seed across settings, so a difference between settings is taken within each run first: `values` are
    those differences.

    Args:
        values: one number per run, shape (runs,).
    Returns:
        Effect; the sign-flip p-value is at least 2 / 2^n (0.25 with 3 runs, 0.0039 with 9).
    Raises:
        ValueError: no value, or one that is not finite.
    Source: Student (1908), Biometrika 6:1; the test is computed by scipy.stats.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise ValueError(
            f"values must be one finite number per run, got {values!r}. Leave runs without a value out of both "
            "settings."
        )
    n_runs = len(values)
    low, high = t_interval(values) or (None, None)
    p_value = 1.0  # a single run can flip its sign either way
    if n_runs > 1:
        flips = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=10_000, rng=0)
        p_value = float(flips.pvalue)
    return Effect(
        mean=float(values.mean()),
        smallest=float(values.min()),
        largest=float(values.max()),
        low=low,
        high=high,
        p_value=p_value,
        smallest_p=smallest_sign_flip_p(n_runs),
        n_runs=n_runs,
    )


def t_interval(values: np.ndarray) -> tuple[float, float] | None:
    """95 % interval of the mean of a few values.

    mean ± t s / √n,    t: the 0.975 quantile of Student's distribution of n - 1 degrees of freedom

    If values are normal it holds the true mean in 95 % of all samples, however few they are; of 3 values it is 2.5 s
    wide to either side. A bootstrap of so few is too narrow: Efron's BCa held the mean in 89 % with 9 values and in
    73 % with 3. If values are skewed neither keeps its level (exponential, 9 values: t 90 %).

    Args:
        values: finite numbers, shape (n,).
    Returns:
        lower and upper end; None with one value, or without spread.
    Source: Student (1908), Biometrika 6:1.

    >>> low, high = t_interval(np.array([1.0, 2.0, 3.0]))
    >>> round(low, 3), round(high, 3)
    (-0.484, 4.484)
    """
    n = len(values)
    if n < 2 or np.ptp(values) == 0:
        return None
    half = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)
    return float(values.mean() - half), float(values.mean() + half)


def jackknife_interval(
    statistic: Callable[[np.ndarray], np.ndarray], values: np.ndarray, *, axis: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Statistics of a few runs that are no means, and their 95 % intervals.

    With T of all n runs, and T_i of all but run i with their mean M, the numbers T - (n - 1) (T_i - M) are taken as n
    values whose mean T has a t interval. If T is itself a mean over runs they are the runs.

    Args:
        statistic: values to numbers, shape (numbers,).
        values: those of all runs.
        axis: the one of the runs.
    Returns:
        numbers, lower ends, upper ends; ends are NaN with one run, and for a number that is undefined once some run is
        left out.
    Source: Tukey (1958), Annals of Mathematical Statistics 29:614.

    >>> numbers, low, high = jackknife_interval(lambda runs: np.array([runs.mean()]), np.array([1.0, 2.0, 3.0]))
    >>> numbers.round(3).tolist(), low.round(3).tolist(), high.round(3).tolist()
    ([2.0], [-0.484], [4.484])
    """
    observed, n_runs = statistic(values), values.shape[axis]
    if n_runs == 1:
        return observed, *np.full((2, len(observed)), np.nan)
    without = np.array([statistic(np.delete(values, run, axis=axis)) for run in range(n_runs)])
    pseudo_values = observed - (n_runs - 1) * (without - without.mean(axis=0))
    found = [t_interval(values) if np.isfinite(values).all() else None for values in pseudo_values.T]
    low, high = np.array([interval or (np.nan, np.nan) for interval in found]).T
    return observed, low, high


@dataclass(frozen=True)
class Trial:
    """Coverage of the interval and error rate of the test of `effect_over_runs` without an effect."""

    coverage: float | None  # share of intervals that hold the true mean; None where one run has none
    called: float  # share of tests with p <= 0.05
    samples: int


def tried_without_effect(n_runs: int, *, samples: int = 1_000, seed: int = 0) -> Trial:
    """Calibrate interval and test on simulated data without an effect: normal samples of mean 0.

    >>> tried_without_effect(3, samples=20)
    Trial(coverage=0.95, called=0.0, samples=20)
    """
    random = np.random.default_rng(seed)
    effects = [effect_over_runs(random.standard_normal(n_runs)) for _ in range(samples)]
    held = [effect.low <= 0 <= effect.high for effect in effects if effect.low is not None and effect.high is not None]
    called = float(np.mean([effect.p_value <= 0.05 for effect in effects]))
    return Trial(float(np.mean(held)) if held else None, called, samples)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """p-values adjusted by Holm's method: below α where the error of calling any of them wrongly stays below α.

    adjusted_(i) = max_{j <= i} min(1, (m - j + 1) p_(j)),    p_(1) <= ... <= p_(m)

    It holds whatever the tests have to do with each other, and so pays for that: see `joint_sign_flips`.

    Args:
        p_values: m of them, in [0, 1].
    Returns:
        the adjusted ones in the same order, in [0, 1], none below what was given.
    Raises:
        ValueError: a value outside [0, 1].
    Source: Holm (1979), Scandinavian Journal of Statistics 6:65.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    values = np.asarray(p_values, dtype=float)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p_values must be a list of numbers from 0 to 1, got {p_values!r}.")
    order = np.argsort(values, kind="stable")
    stepped = np.minimum(1.0, values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(stepped)
    return adjusted


def joint_sign_flips(values: np.ndarray) -> np.ndarray:
    """p-values adjusted by flipping each run's sign in all tests at once, after Westfall and Young.

    The adjusted p of test k is the share of the sign patterns s under which some test j comes as far from 0,

        max_j |sum_r s_r v_jr| / √(sum_r v_jr²)  >=  |sum_r v_kr| / √(sum_r v_kr²) .

    Like Holm's it bounds the error of calling any test wrongly, for "each run could as well have had the opposite
    signs in all tests". As tests that share their runs go together, it does not multiply the smallest p that so many
    runs can give by the number of tests.

    Args:
        values: one number per test and run, shape (tests, runs).
    Returns:
        shape (tests,); at least 2 / 2^n with n runs. Beyond `MOST_RUNS_ENUMERATED` runs, 10,000 patterns are drawn.
    Raises:
        ValueError: another shape, or a value that is not finite.
    Source: Westfall & Young (1993), Resampling-Based Multiple Testing.

    >>> joint_sign_flips(np.array([[0.3, 0.2, 0.4], [0.1, -0.1, 0.0]])).tolist()
    [0.25, 1.0]
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or 0 in values.shape or not np.isfinite(values).all():
        raise ValueError(f"values must be one finite number per test and run, got shape {values.shape}.")
    n_runs = values.shape[1]
    if n_runs <= MOST_RUNS_ENUMERATED:
        signs = np.array([(1.0, *rest) for rest in product((1.0, -1.0), repeat=n_runs - 1)])  # the other half mirrors
    else:
        signs = np.random.default_rng(0).choice((-1.0, 1.0), size=(10_000, n_runs))
        signs[0] = 1.0  # what was seen is one of the patterns, so that p is never 0
    lengths = np.sqrt(np.square(values).sum(axis=1))
    units = np.divide(values, lengths[:, None], out=np.zeros_like(values), where=lengths[:, None] > 0)
    farthest = np.abs(signs @ units.T).max(axis=1)
    seen = np.abs(units.sum(axis=1))
    return np.asarray((farthest[None, :] >= seen[:, None] - 1e-12).mean(axis=1))

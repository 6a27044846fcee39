"""Subnormal numbers are taken for 0 where that cannot be seen, and the path of tiny weights is that of float32."""

from contextlib import nullcontext
from fractions import Fraction
from math import floor, log2

import numpy as np
import pytest
import torch

from modularity_lib.training import training
from modularity_lib.training.compiled import ADAM_BETAS, ADAM_BLOCK, ADAM_EPSILON, _adam
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.plain import train_plain
from modularity_lib.training.subnormal import subnormals_as_zero
from modularity_lib.training.training import train
from oracles_training import made_up_dataset

LEAST_NORMAL = 2.0**-126
SIZE, NO_CORRECTION = np.float32(1e-3), np.float32(1)


def as_float32(x: Fraction) -> Fraction:
    """The float32 number next to x, by exact arithmetic; ties to even."""
    if x == 0:
        return x
    spacing = Fraction(2) ** max(floor(log2(abs(x))) - 23, -149)
    return round(x / spacing) * spacing


def exact(x: float) -> Fraction:
    """A float32 number as a fraction."""
    return Fraction(float(x))


def drawn(random: np.random.Generator, n: int, exponents: tuple[int, int], zeros: float) -> np.ndarray:
    """Float32 numbers with exponents of 2 in a range, some of them 0."""
    numbers = np.ldexp(random.uniform(1, 2, n), random.integers(*exponents, n)) * random.choice([-1, 1], n)
    return np.where(random.random(n) < zeros, 0, numbers).astype(np.float32)


def is_flushed() -> bool:
    """Whether this thread takes subnormal numbers for 0."""
    return bool((np.array([1e-39], dtype=np.float32) * np.float32(1) == 0)[0])


@pytest.mark.parametrize("l2", [0.0, 1e-5, 1e-4, 1e-2, 0.1])
@pytest.mark.parametrize("l1", [0.0, 1e-3])
@pytest.mark.parametrize("exponents", [(-149, -126), (-149, -100), (-130, -120)])
def test_tiny_weights_step_as_exact_arithmetic_rounded_to_float32(
    l2: float, l1: float, exponents: tuple[int, int]
) -> None:
    random = np.random.default_rng(0)
    n = 2 * ADAM_BLOCK
    weights, firsts = drawn(random, n, exponents, 0.1), drawn(random, n, exponents, 0.1)
    slopes, seconds = drawn(random, n, (-126, -101), 0.8), np.abs(drawn(random, n, (-60, -10), 0.2))
    before = weights.copy(), firsts.copy()
    with subnormals_as_zero():
        _adam(weights, firsts, seconds, slopes, np.float32(l1), np.float32(l2), SIZE, NO_CORRECTION)
    share = exact(np.float32(1) - np.float32(ADAM_BETAS[0]))
    for weight, first, slope, second, new_weight, new_first in zip(
        *before, slopes, seconds, weights, firsts, strict=True
    ):
        sign = int(weight > 0) - int(weight < 0)
        step = exact(slope) + exact(np.float32(l1)) * sign + exact(np.float32(2) * np.float32(l2)) * exact(weight)
        moment = as_float32(exact(first) + share * as_float32(as_float32(step) - exact(first)))
        assert exact(new_first) == moment
        root = exact(np.float32(np.sqrt(second)) + np.float32(ADAM_EPSILON))
        quotient = as_float32(as_float32(exact(SIZE) * moment) / root)
        assert exact(new_weight) == as_float32(exact(weight) - quotient)


def test_weights_that_are_not_tiny_do_not_depend_on_tiny_ones_beside_them() -> None:
    random = np.random.default_rng(0)
    arrays = [drawn(random, ADAM_BLOCK, exponents, 0.1) for exponents in ((-20, 0), (-40, -5), (-40, -5))]
    weights, firsts, slopes = arrays
    seconds = firsts**2
    alone = [array.copy() for array in (weights, firsts, seconds, slopes)]
    weights[::3], firsts[::5] = np.float32(1e-40), np.float32(-1e-41)
    kept = [array.copy() for array in (weights, firsts)]
    beside = [weights, firsts, seconds.copy(), slopes]
    penalties = np.float32(0), np.float32(1e-3), SIZE, NO_CORRECTION
    with subnormals_as_zero():
        _adam(*alone, *penalties)
        _adam(*beside, *penalties)
    normal = (np.abs(kept[0]) > 1e-30) & (np.abs(kept[1]) > 1e-30)
    assert normal.sum() > 100
    for one, other in zip(alone, beside, strict=True):
        np.testing.assert_array_equal(one[normal], other[normal])


SILENT, LOUD_STEPS, STEPS, L2 = 256, 300, 12_000, 1e-3  # weights of a unit that falls silent early


def slopes_of_silent(step: int) -> np.ndarray:
    """Slopes of the loss without penalty: noise, then nothing."""
    noise = np.random.default_rng([1, step]).standard_normal(SILENT).astype(np.float32) * np.float32(1e-6)
    return noise if step <= LOUD_STEPS else np.zeros(SILENT, dtype=np.float32)


def silent_weights_compiled(start: np.ndarray) -> np.ndarray:
    """After STEPS of our Adam."""
    weights, firsts, seconds = start.copy(), np.zeros_like(start), np.zeros_like(start)
    with subnormals_as_zero():
        for step in range(1, STEPS + 1):
            size = np.float32(1e-3 / (1 - ADAM_BETAS[0] ** step))
            inverse_root = np.float32(1 / np.sqrt(1 - ADAM_BETAS[1] ** step))
            _adam(weights, firsts, seconds, slopes_of_silent(step), np.float32(0), np.float32(L2), size, inverse_root)
    return weights


def silent_weights_torch(start: np.ndarray, *, flushed: bool) -> np.ndarray:
    """After STEPS of torch's Adam, with subnormal numbers or without."""
    weights = torch.tensor(start, requires_grad=True)
    optimiser = torch.optim.Adam([weights], lr=1e-3)
    torch.set_flush_denormal(flushed)
    try:
        for step in range(1, STEPS + 1):
            weights.grad = 2 * L2 * weights.detach() + torch.tensor(slopes_of_silent(step))
            optimiser.step()
    finally:
        torch.set_flush_denormal(False)
    return weights.detach().numpy()


def test_as_many_weights_of_silent_units_leave_zero_again_as_in_a_plain_loop() -> None:
    start = (np.random.default_rng(0).standard_normal(SILENT) * 0.05).astype(np.float32)

    def share_away(weights: np.ndarray) -> float:
        return float((np.abs(weights) > 1e-13).mean())

    ours, plain = share_away(silent_weights_compiled(start)), share_away(silent_weights_torch(start, flushed=False))
    assert share_away(silent_weights_torch(start, flushed=True)) < 0.05 < 0.1 < plain
    assert ours == pytest.approx(plain, abs=0.1)  # paths are chaotic: a share of a fifth of 256 has s.d. 0.025


def test_subnormal_numbers_are_not_seen_in_what_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = made_up_dataset()
    config = TrainingConfig(hidden=(16, 12), l2=1e-4, epochs=400, batch_size=25, learning_rate=3e-3)
    flushed = train([config], dataset)[0]
    monkeypatch.setattr(training, "subnormals_as_zero", nullcontext)
    native = train([config], dataset)[0]
    weights = np.concatenate([weight.ravel() for weight in flushed.parameters.weights])
    assert ((weights != 0) & (np.abs(weights) < LEAST_NORMAL)).sum() > 10  # there were subnormal numbers to be seen
    for one, other in zip(flushed.parameters.weights, native.parameters.weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("flushes", [False, True])
def test_training_leaves_the_mode_of_the_thread_alone(flushes: bool) -> None:
    dataset, config = made_up_dataset(), TrainingConfig(hidden=(4,), epochs=1, batch_size=50)
    torch.set_flush_denormal(flushes)
    try:
        train([config], dataset)
        assert is_flushed() == flushes
        train_plain(config, dataset)
        assert is_flushed() == flushes
    finally:
        torch.set_flush_denormal(False)


@pytest.mark.parametrize("before", [False, True])
def test_the_mode_of_the_thread_is_set_back(before: bool) -> None:
    try:
        supported = torch.set_flush_denormal(before)
        with subnormals_as_zero():
            assert is_flushed() or not supported
        assert is_flushed() == before
        with pytest.raises(KeyError), subnormals_as_zero():
            raise KeyError
        assert is_flushed() == before
    finally:
        torch.set_flush_denormal(False)

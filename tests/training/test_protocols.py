"""The final protocol lowers the learning rate as torch does and stops in time."""

import numpy as np
import pytest

import oracles_training as oracles
from modularity_lib.training.config import Plateau


def follow(losses: list[float], learning_rate: float = 1e-3) -> tuple[list[Plateau], list[float]]:
    plateau, plateaus, rates = Plateau(), [], []
    for loss in losses:
        plateau, learning_rate = plateau.after(loss, learning_rate)
        plateaus.append(plateau)
        rates.append(learning_rate)
    return plateaus, rates


@pytest.mark.parametrize("seed", range(5))
def test_the_learning_rate_falls_as_in_torch(seed: int) -> None:
    random = np.random.default_rng(seed)
    # Steps of the size of the threshold, 1e-4 of the loss, so that some improve by less; long enough for the rate to
    # reach the floor of 1e-8 on which it stays.
    losses = (1 + 1e-4 * np.cumsum(random.normal(-0.3, 1, 120))).tolist()
    losses[60] = float("nan")
    rates = follow(losses)[1]
    assert rates == oracles.torch_learning_rates(losses, 1e-3)
    assert len(set(rates)) > 4


def test_the_learning_rate_stays_at_its_floor_as_in_torch() -> None:
    rates = follow([1.0] * 100)[1]
    assert rates == oracles.torch_learning_rates([1.0] * 100, 1e-3)
    assert rates[-1] == rates[-20] > 0


def test_the_learning_rate_falls_in_the_fourth_epoch_without_improvement() -> None:
    rates = follow([1.0, 2.0, 2.0, 2.0, 2.0, 2.0])[1]
    assert rates == [1e-3, 1e-3, 1e-3, 1e-3, 2.5e-4, 2.5e-4]


def test_training_stops_in_the_sixth_epoch_above_the_lowest_loss() -> None:
    plateaus, _ = follow([3.0, 2.0, *[2.5] * 6])
    assert [plateau.stops for plateau in plateaus] == [False] * 7 + [True]
    assert plateaus[-1].lowest_loss == 2.0


def test_the_smallest_fall_of_the_loss_keeps_training_going() -> None:
    plateaus, _ = follow([1 - 1e-7 * epoch for epoch in range(20)])
    assert not any(plateau.stops for plateau in plateaus)
    assert all(plateau.epochs_since_lowest == 0 for plateau in plateaus)

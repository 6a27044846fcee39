"""Dropout masks silence the right share of units, and no two are alike."""

import numpy as np
import pytest

import oracles_training as oracles
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.layout import dropout_mask, mask_key
from modularity_lib.training.training import mask_key_of

SHAPE = {"n_images": 200, "n_units": 64}
KEY = mask_key(0)


def is_kept(key: np.uint64, *, step: int = 1, layer: int = 0, dropout: float = 0.5) -> np.ndarray:
    return dropout_mask(key, step=step, layer=layer, dropout=dropout, **SHAPE) > 0


def test_a_mask_is_the_definition_unit_by_unit() -> None:
    for key, step, layer, dropout in ((KEY, 1, 0, 0.3), (mask_key(7), 135_000, 4, 0.05)):
        mask = dropout_mask(key, step=step, layer=layer, n_images=5, n_units=7, dropout=dropout)
        for image in range(5):
            for unit in range(7):
                where = {"step": step, "layer": layer, "image": image, "unit": unit}
                expected = 0.0 if oracles.silenced(int(key), dropout=dropout, **where) else 1 / (1 - dropout)
                assert mask[image, unit] == np.float32(expected)


@pytest.mark.parametrize("dropout", [0.05, 0.3, 0.7])
def test_the_share_of_silenced_units_is_the_dropout(dropout: float) -> None:
    kept = np.array([is_kept(KEY, step=step, dropout=dropout) for step in range(1, 41)])
    standard_error = np.sqrt(dropout * (1 - dropout) / kept.size)
    assert 1 - kept.mean() == pytest.approx(dropout, abs=4 * standard_error)
    per_unit = np.sqrt(dropout * (1 - dropout) / (kept.size / 64))
    np.testing.assert_allclose(1 - kept.mean(axis=(0, 1)), dropout, atol=5 * per_unit)


def test_kept_units_make_up_for_the_silenced() -> None:
    mask = dropout_mask(KEY, step=1, layer=0, dropout=0.2, **SHAPE)
    assert set(np.unique(mask)) == {np.float32(0), np.float32(1.25)}


def test_without_dropout_every_unit_is_kept() -> None:
    assert np.all(dropout_mask(KEY, step=1, layer=0, dropout=0.0, **SHAPE) == 1)


def test_masks_of_other_steps_layers_networks_images_and_units_are_independent() -> None:
    mask = is_kept(KEY)
    others = {
        "next step": is_kept(KEY, step=2),
        "next layer": is_kept(KEY, layer=1),
        "other network": is_kept(mask_key(1)),
        "next image": np.roll(mask, 1, axis=0),
        "next unit": np.roll(mask, 1, axis=1),
        "unit of the next number": np.roll(mask, 4, axis=1),
        "layer and step swapped": is_kept(KEY, step=0, layer=1),
    }
    for name, other in others.items():
        correlation = np.corrcoef(mask.ravel(), other.ravel())[0, 1]
        assert abs(correlation) < 4 / np.sqrt(mask.size), name


def test_a_mask_grows_without_changing_what_it_was() -> None:
    small = dropout_mask(KEY, step=1, layer=0, n_images=3, n_units=6, dropout=0.5)
    large = dropout_mask(KEY, step=1, layer=0, n_images=9, n_units=64, dropout=0.5)
    assert np.array_equal(small, large[:3, :6])


def test_each_run_and_setting_has_masks_of_its_own_whatever_the_length_of_training() -> None:
    base = TrainingConfig(dropout=0.3)
    changed = [{"run": 1}, {"dropout": 0.5}, {"l1": 1e-4}, {"l2": 1e-4}, {"hidden": (64,)}, {"hidden": (64, 32)}]
    configs = [base, *(TrainingConfig(**{"dropout": 0.3, **changes}) for changes in changed)]
    assert len({int(mask_key_of(config)) for config in configs}) == len(configs)
    assert mask_key_of(TrainingConfig(dropout=0.3, epochs=7, l1=0)) == mask_key_of(base)

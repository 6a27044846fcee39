"""The words of the field agree with what they stand for."""

from typing import get_args

import pytest

from modularity_lib import vocabulary
from modularity_lib.images.sources import DATASETS
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.results import TABLES, Results
from modularity_lib.training.config import PROTOCOLS, TrainingConfig
from modularity_lib.vocabulary import BASELINE, FAMILY, MEASURE_LABELS, MEASURES, REGULARISERS, Regularisation


@pytest.mark.parametrize(
    ("quantity", "label"),
    [
        ("input_covariance", "input covariance"),
        ("input_gradient", "input gradient"),
        ("output_gradient", "output gradient"),
        ("output_hessian", "output Hessian"),  # a person's name
    ],
)
def test_a_measure_knows_its_parts(quantity: str, label: str) -> None:
    for measure, is_normalised, its_label in ((quantity, False, label), (f"{quantity}_norm", True, f"{label} (norm)")):
        assert measure in MEASURES
        assert vocabulary.quantity_of(measure) == quantity
        assert vocabulary.is_normalised(measure) == is_normalised
        assert MEASURE_LABELS[measure] == its_label
        assert FAMILY[measure] == ("upstream" if "input" in quantity else "downstream")


def test_there_are_eight_measures_and_each_has_its_panel() -> None:
    assert len(set(MEASURES)) == 8
    assert set(vocabulary.PANEL_ORDER) == set(MEASURES) == set(FAMILY) == set(MEASURE_LABELS)


def test_the_baseline_is_how_a_network_is_trained_by_default() -> None:
    default = TrainingConfig()
    assert Regularisation._fields == REGULARISERS
    assert (default.l2, default.l1, default.dropout) == BASELINE


def test_the_first_setting_of_a_study_is_the_baseline_and_others_change_one_strength() -> None:
    for study in STUDIES.values():
        first, *others = study.settings()
        assert first == BASELINE
        assert len(set(others)) == len(others)
        for setting in others:
            assert sum(strength != baseline for strength, baseline in zip(setting, BASELINE, strict=True)) == 1


def test_the_short_lists_are_those_of_the_code_and_of_the_tables(v1: Results) -> None:
    assert tuple(sorted(DATASETS)) == vocabulary.DATASET_NAMES
    assert get_args(vocabulary.Protocol) == PROTOCOLS
    for table in TABLES:
        assert set(getattr(v1, table)["status"]) <= set(get_args(vocabulary.Status))


def test_the_nearest_name_is_named_if_one_is_near() -> None:
    assert vocabulary.did_you_mean("mnits", DATASETS) == " Did you mean 'mnist'?"
    assert vocabulary.did_you_mean("cifar", DATASETS) == ""
    assert vocabulary.did_you_mean(5, DATASETS) == ""

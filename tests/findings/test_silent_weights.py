"""Silent units get other outgoing weights, nothing else changes; and the table reads what it is given."""

import numpy as np
import pandas as pd
import pytest

from modularity_lib.alignment.scores import element_centric_similarity
from modularity_lib.findings import silent_weights
from modularity_lib.findings.silent_weights import AS_TRAINED, SPREAD, by_size, is_strong_l2, with_silent_weights
from modularity_lib.training.networks import Parameters, initial_parameters
from modularity_lib.vocabulary import FAMILY, MEASURES, Regularisation, pair_kind


@pytest.fixture
def partly_silent() -> Parameters:
    parameters = initial_parameters((8, 40, 30, 3), seed=1)
    biases = [bias + 1.0 for bias in parameters.biases]  # so that the others respond
    biases[0][:25] = biases[1][:20] = -100.0
    return Parameters(parameters.weights, tuple(biases))


IMAGES = np.random.default_rng(0).random((50, 8))


def test_outgoing_weights_of_silent_units_alone_are_of_the_size(partly_silent: Parameters) -> None:
    changed = with_silent_weights(partly_silent, IMAGES, size=1e-4, seed=3)
    for before, after in zip(partly_silent.biases, changed.biases, strict=True):
        assert np.array_equal(before, after)
    assert np.array_equal(partly_silent.weights[0], changed.weights[0])
    for layer, silent in ((1, 25), (2, 20)):
        before, after = partly_silent.weights[layer], changed.weights[layer]
        assert np.array_equal(before[:, silent:], after[:, silent:])
        sizes = np.log(np.abs(after[:, :silent]) / 1e-4)
        # log |e| of a normal e has mean -0.635 and s.d. 1.11
        assert sizes.mean() == pytest.approx(-0.635, abs=4 * SPREAD / np.sqrt(silent))
        assert sizes.mean(axis=0).std() == pytest.approx(SPREAD, rel=0.5)
    again = with_silent_weights(partly_silent, IMAGES, size=1e-4, seed=3)
    assert np.array_equal(again.weights[2], changed.weights[2])
    assert not np.array_equal(
        with_silent_weights(partly_silent, IMAGES, size=1e-4, seed=4).weights[2], again.weights[2]
    )


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        (Regularisation(l2=0.01), True),
        (Regularisation(l2=1e-4), False),
        (Regularisation(l2=0.01, dropout=0.1), False),
        (Regularisation(l1=0.01), False),
    ],
)
def test_it_is_measured_under_strong_l2(setting: Regularisation, wanted: bool) -> None:
    assert is_strong_l2(setting) is wanted


def made_up_table() -> tuple[pd.DataFrame, dict[tuple[float, int], dict[str, np.ndarray]]]:
    source = np.random.default_rng(0)
    rows, found = [], {}
    for size in (AS_TRAINED, 1e-4):
        for run in range(3):
            labels = {measure: source.integers(0, 3, 20) for measure in MEASURES}
            labels["input_gradient"][:] = -1  # all dead: no clustering to compare
            found[size, run] = labels
            for number, measure in enumerate(MEASURES):
                row = {"run": run, "l2": 0.01, "layer": 1, "size": size, "measure": measure}
                rows.append(
                    {**row, "n_modules": 1.0 + number + run + 10 * (size > 0), "labels": labels[measure].tolist()}
                )
    return pd.DataFrame(rows), found


def test_the_table_has_means_over_measures_and_pairs_for_each_run() -> None:
    table, found = made_up_table()
    shown = by_size(table).set_index("quantity")
    raw = [n for n, name in enumerate(MEASURES) if FAMILY[name] == "downstream" and not name.endswith("norm")]
    assert shown.loc["number of modules, raw downstream", 1e-4].mean == pytest.approx(12 + np.mean(raw))
    assert shown.loc["number of modules, raw downstream", AS_TRAINED].largest == pytest.approx(3 + np.mean(raw))
    for kind in ("downstream", "across"):
        by_run = []
        for run in range(3):
            labels = {name: of for name, of in found[1e-4, run].items() if name != "input_gradient"}
            pairs = [(a, b) for a in labels for b in labels if a < b and pair_kind(a, b) == kind]
            by_run.append(np.mean([element_centric_similarity(labels[a], labels[b]) for a, b in pairs]))
        effect = shown.loc[f"agreement, {kind}", 1e-4]
        assert effect.mean == pytest.approx(np.mean(by_run))
        assert (effect.smallest, effect.largest) == pytest.approx((min(by_run), max(by_run)))
    assert shown.loc["agreement, across", "paper"] == pytest.approx(0.267, abs=0.001)


def test_its_finding_has_a_name() -> None:
    assert silent_weights.FINDING.name == "silent_weights"

"""Silent units get other outgoing weights, nothing else changes; and the table reads what it is given."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modularity_lib.alignment.scores import element_centric_similarity
from modularity_lib.findings import paper, silent_weights
from modularity_lib.findings.silent_weights import AS_TRAINED, by_size, is_strong_l2, with_silent_weights
from modularity_lib.findings.tables import AnalysedNetwork
from modularity_lib.images.dataset import load_dataset
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.networks import Parameters, initial_parameters
from modularity_lib.vocabulary import MEASURES, Regularisation, pair_kind


@pytest.fixture
def partly_silent() -> Parameters:
    parameters = initial_parameters((8, 40, 30, 3), seed=1)
    biases = [bias + 1.0 for bias in parameters.biases]  # so that the others respond
    biases[0][:25] = biases[1][:20] = -100.0
    weights = [weight.copy() for weight in parameters.weights]
    weights[0][0], biases[0][0] = 0.0, 1.0  # silent, too: it says the same of every image
    return Parameters(tuple(weights), tuple(biases))


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
        # log |e| of a normal e has mean -0.635 and s.d. 1.11; a unit has one size, of which the logarithm has s.d. 2
        assert sizes.mean() == pytest.approx(-0.635, abs=4 * 2.0 / np.sqrt(silent))
        assert sizes.mean(axis=0).std() == pytest.approx(2.0, rel=0.25)
        assert (sizes - sizes.mean(axis=0)).std() == pytest.approx(1.11 * np.sqrt(1 - 1 / len(after)), rel=0.25)
        assert (after[:, :silent] < 0).mean() == pytest.approx(1 / 2, abs=0.15)
    again = with_silent_weights(partly_silent, IMAGES, size=1e-4, seed=3)
    assert np.array_equal(again.weights[2], changed.weights[2])
    assert not np.array_equal(
        with_silent_weights(partly_silent, IMAGES, size=1e-4, seed=4).weights[2], again.weights[2]
    )


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        (Regularisation(l2=0.01), True),
        (Regularisation(l2=1e-3), True),
        (Regularisation(l2=9e-4), False),
        (Regularisation(l2=1e-4), False),
        (Regularisation(l2=0.01, dropout=0.1), False),
        (Regularisation(l1=0.01), False),
        (Regularisation(l2=0.01, l1=1e-4), False),
    ],
)
def test_it_is_measured_under_strong_l2_with_weights_in_full(setting: Regularisation, wanted: bool) -> None:
    assert is_strong_l2(setting) is silent_weights.FINDING.is_wanted(setting) is wanted
    assert silent_weights.FINDING.in_full


def test_rows_are_those_of_the_network_as_it_is_and_of_each_size(
    partly_silent: Parameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen(network: AnalysedNetwork) -> list[dict[str, object]]:
        assert network.config.run == 3
        return [{"weights": [weight.tolist() for weight in network.parameters.weights]}]

    monkeypatch.setattr(silent_weights, "measured", seen)
    digits = load_dataset("mnist-5k")
    few = replace(digits, test_images=IMAGES, train_images=0 * IMAGES)  # on which all units are silent
    network = AnalysedNetwork(STUDIES["v1"], TrainingConfig(run=3), partly_silent, {}, few)
    first, *others = silent_weights.rows_of(network)
    assert first == {"size": 0.0, "weights": [weight.tolist() for weight in partly_silent.weights]}
    for row, size in zip(others, (1e-3, 1e-4, 1e-6, 1e-8), strict=True):
        expected = with_silent_weights(partly_silent, IMAGES, size=size, seed=3)
        assert row == {"size": size, "weights": [weight.tolist() for weight in expected.weights]}


Labels = dict[tuple[float, int, int], dict[str, np.ndarray]]  # by size, run and layer


def made_up_table() -> tuple[pd.DataFrame, Labels]:
    source = np.random.default_rng(0)
    rows, found = [], {}
    for size in (AS_TRAINED, 1e-4):
        for run in range(3):
            for l2, layer in ((0.01, 1), (0.01, 2), (0.001, 1)):
                labels = {measure: source.integers(0, 3, 20) for measure in MEASURES}
                labels["input_gradient"][:] = -1  # all dead: no clustering to compare
                if l2 == 0.01:
                    found[size, run, layer] = labels
                for number, measure in enumerate(MEASURES):
                    row = {"run": run, "l2": l2, "layer": layer, "size": size, "measure": measure}
                    n_modules = 1.0 + number + run + 10 * (size > 0) + 3 * (l2 == 0.001)
                    rows.append({**row, "n_modules": n_modules, "labels": labels[measure].tolist()})
    return pd.DataFrame(rows), found


def published_rows(table: str) -> list[dict[str, str]]:
    with (Path(paper.__file__).parent / f"{table}.csv").open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["regulariser"] == "l2"]


def test_the_table_has_means_over_measures_and_pairs_for_each_run() -> None:
    table, found = made_up_table()
    shown = by_size(table).set_index("quantity")
    counts = published_rows("n_modules_vs_regularisation")
    for name, is_norm in (("raw", False), ("normalised", True)):
        chosen = [
            measure for measure in MEASURES if measure.startswith("output") and measure.endswith("norm") == is_norm
        ]
        own = np.mean([MEASURES.index(measure) for measure in chosen])
        quantity = f"number of modules, {name} downstream"
        # runs add 0, 1 and 2, and one of three layers has three modules more
        assert shown.loc[quantity, 1e-4].mean == pytest.approx(1 + own + 1 + 10 + 1)
        assert shown.loc[quantity, AS_TRAINED].largest == pytest.approx(1 + own + 2 + 1)
        theirs = [
            float(row["n_modules"]) for row in counts if row["measure"] in chosen and float(row["strength"]) > 9e-4
        ]
        assert shown.loc[quantity, "paper"] == pytest.approx(np.mean(theirs))
    for kind in ("downstream", "across"):
        by_run = []
        for run in range(3):
            values = []
            for layer in (1, 2):
                labels = {name: of for name, of in found[1e-4, run, layer].items() if name != "input_gradient"}
                pairs = [(a, b) for a in labels for b in labels if a < b and pair_kind(a, b) == kind]
                values += [element_centric_similarity(labels[a], labels[b]) for a, b in pairs]
            by_run.append(np.mean(values))
        effect = shown.loc[f"agreement, {kind}", 1e-4]
        assert effect.mean == pytest.approx(np.mean(by_run))
        assert (effect.smallest, effect.largest) == pytest.approx((min(by_run), max(by_run)))
        theirs = [
            float(row["element_centric"])
            for row in published_rows("agreement_by_strength")
            if float(row["strength"]) == 0.01 and pair_kind(row["measure_a"], row["measure_b"]) == kind
        ]
        assert shown.loc[f"agreement, {kind}", "paper"] == pytest.approx(np.mean(theirs))
    assert shown.loc["agreement, across", "paper"] == pytest.approx(0.267, abs=0.001)


def test_its_finding_has_a_name() -> None:
    assert silent_weights.FINDING.name == "silent_weights"

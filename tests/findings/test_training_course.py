"""Networks followed through their training: the same as the study's, measured as the study measures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modularity_lib.alignment.scores import element_centric_similarity
from modularity_lib.findings import tables, training_course
from modularity_lib.findings.near_copies import copy_numbers, layers_of
from modularity_lib.findings.tables import AnalysedNetwork
from modularity_lib.findings.training_course import agreement_across, snapshots
from modularity_lib.images.dataset import load_dataset
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import STUDIES, setting_of
from modularity_lib.studies.measurement import measured_matrices, module_rows
from modularity_lib.studies.results import rows_at
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.layout import unpack
from modularity_lib.training.networks import Parameters, initial_parameters
from modularity_lib.training.performance import accuracy
from modularity_lib.training.training import advance, images_of_run, start, train
from modularity_lib.vocabulary import FAMILY

CONFIG = TrainingConfig(hidden=(16, 16), epochs=5, dropout=0.3)


def flat(parameters: Parameters) -> np.ndarray:
    return np.concatenate([array.ravel() for array in (*parameters.weights, *parameters.biases)])


@pytest.mark.parametrize("protocol", ["v1", "final"])
def test_snapshots_are_the_networks_of_shorter_trainings_to_the_last_bit(protocol: str) -> None:
    dataset = load_dataset("mnist-5k")
    config = replace(CONFIG, protocol=protocol, epochs=12, learning_rate=0.03)
    found = dict(snapshots(config, dataset))
    [whole] = train([config, replace(config, l1=1e-3)], dataset)[:1]
    assert list(found)[:4] == [0, 1, 3, 10]
    assert list(found)[-1] == whole.epochs
    np.testing.assert_array_equal(flat(found[0]), flat(initial_parameters((784, 16, 16, 10), seed=config.run)))
    np.testing.assert_array_equal(flat(found[whole.epochs]), flat(whole.parameters))
    [short] = train([replace(config, protocol="v1", epochs=1)], dataset)
    np.testing.assert_array_equal(flat(found[1]), flat(short.parameters))
    assert len({flat(parameters).tobytes() for parameters in list(found.values())[:4]}) == 4


def test_a_snapshot_amid_the_training_is_of_the_latest_weights_not_of_the_best_so_far() -> None:
    dataset = load_dataset("mnist-5k")
    config = replace(CONFIG, protocol="final", epochs=12, learning_rate=0.1, dropout=0.0)
    found = dict(snapshots(config, dataset))
    state, images = start([config], dataset), images_of_run(dataset, run=config.run)
    worse = 0
    while state.training.any():
        advance(state, images)
        if state.epoch in found and state.training.any():
            np.testing.assert_array_equal(
                flat(found[state.epoch]), flat(unpack(state.networks.parameters[0], state.layout))
            )
            worse += not np.array_equal(state.networks.parameters[0], state.kept[0])
    assert worse > 0


def test_rows_at_the_end_are_those_of_the_study() -> None:
    dataset, study = load_dataset("mnist-5k"), STUDIES["smoke"]
    [trained] = train([CONFIG], dataset)
    modules = module_rows(measured_matrices(trained.parameters, dataset), seed=0, steps=study.search_steps)
    rows = training_course.rows_of(
        AnalysedNetwork(study, CONFIG, initial_parameters((784, 16, 16, 10), seed=0), {}, dataset)
    )
    assert [(row["epoch"], row["layer"]) for row in rows] == [(e, layer) for e in (0, 1, 3, 5) for layer in (1, 2)]
    for row in rows[-2:]:
        here = [one for one in modules if one["layer"] == row["layer"]]
        assert row["score"] == pytest.approx(np.mean([one["score"] for one in here]), abs=1e-15)
        for family in ("upstream", "downstream"):
            scores = [one["score"] for one in here if FAMILY[one["measure"]] == family]
            assert row[f"score_{family}"] == pytest.approx(np.mean(scores), abs=1e-15)
        upstream = [one["labels"] for one in here if FAMILY[one["measure"]] == "upstream"]
        live = [unit for unit in range(16) if all(labels[unit] >= 0 for labels in upstream)]
        assert row["live_units"] == len(live)
        labels = {one["measure"]: np.array([one["labels"][unit] for unit in live]) for one in here}
        assert row["across"] == pytest.approx(slow_across(labels), abs=0.01)
        assert row["accuracy"] == accuracy(trained.parameters, dataset.test_images, dataset.test_labels)
        layer = layers_of(trained.parameters, dataset.test_images)[row["layer"] - 1]
        expected = copy_numbers(layer.of(np.array(live)), np.random.default_rng([CONFIG.run, row["layer"]]))
        assert {name: row[name] for name in expected} == expected


def test_a_unit_is_live_that_every_upstream_measure_sees_and_what_finds_no_modules_scores_0() -> None:
    dataset, study = load_dataset("mnist-5k"), STUDIES["smoke"]
    parameters = initial_parameters((784, 16, 16, 10), seed=0)
    (first, second, last), biases = parameters.weights, parameters.biases
    network = AnalysedNetwork(study, CONFIG, parameters, {}, dataset)
    steady = first.copy()
    steady[:3] = 0.0
    steady[:3, 0] = 1.0  # of a pixel that is 0 in every image: a gradient, and activity that never changes
    shifted = (np.where(np.arange(16) < 3, 1.0, biases[0]).astype(np.float32), *biases[1:])
    silent = sum(layers_of(parameters, dataset.test_images)[0].activity[:, 3:].max(axis=0) == 0)
    row = training_course.measured(network, Parameters((steady, second, last), shifted))[0]
    assert row["live_units"] == 13 - silent
    one_left = (np.where(np.arange(16) < 1, 0.0, -100.0).astype(np.float32), *biases[1:])
    assert [row["layer"] for row in training_course.measured(network, Parameters(parameters.weights, one_left))] == [2]
    [row] = training_course.measured(network, Parameters((first, 0 * second, last), biases))
    assert (row["layer"], row["score_downstream"]) == (1, 0.0)
    assert row["score"] == row["score_upstream"] / 2 > 0


def slow_across(labels: dict[str, np.ndarray]) -> float:
    """Chance by shuffling one of the two clusterings."""
    random = np.random.default_rng(0)
    values = []
    for one, x in labels.items():
        for other, y in labels.items():
            if one.startswith("input") and other.startswith("output"):
                chance = np.mean([element_centric_similarity(random.permutation(x), y) for _ in range(400)])
                values.append((element_centric_similarity(x, y) - chance) / (1 - chance))
    return float(np.mean(values))


def test_agreement_is_1_of_one_clustering_and_chance_where_there_is_one_module() -> None:
    two, one = np.arange(8) % 2, np.zeros(8, dtype=int)
    assert agreement_across({"input_gradient": two, "output_gradient": two}) == pytest.approx(1)
    assert agreement_across({"input_gradient": one, "output_gradient": one}) == 0
    half = agreement_across({"input_gradient": two, "output_gradient": two, "output_hessian": one})
    assert half < 0.6


def test_the_shipped_course_ends_at_the_scores_of_the_study() -> None:
    study = STUDIES["v1"]
    table = training_course.FINDING.shipped_table(study)
    modules = Archive(study).tables_at_hand().analysed("modules", trained=True)
    last = table[table["epoch"] == table["epoch"].max()]
    assert sorted(set(table["epoch"])) == [0, *training_course.EPOCHS]
    settings = table[["l2", "l1", "dropout"]].drop_duplicates().itertuples(index=False, name=None)
    assert {tuple(setting) for setting in settings} == {
        tuple(getattr(setting, name) for name in ("l2", "l1", "dropout")) for setting in training_course.FOLLOWED
    }
    assert len(last) == 2 * 4 * study.runs
    for _, row in last.iterrows():
        setting = {name: row[name] for name in ("l2", "l1", "dropout")}
        own = rows_at(modules, run=row["run"], layer=row["layer"], **setting)
        assert row["score"] == pytest.approx(own["score"].mean(), abs=1e-15)


@pytest.mark.usefixtures("mnist")
def test_a_finding_that_trains_needs_no_weights(tmp_path: Path) -> None:
    archive = Archive("v1", tmp_path)
    results = archive.tables_at_hand()
    wanted = [config for config in training_course.FINDING.configs(archive, results, runs=[5]) if config.l2 > 1e-4]
    assert not archive.has_network(wanted[0])
    tables._check_at_hand(training_course.FINDING, archive, wanted)
    network = tables.analysed_network(archive, results, wanted[0], trains=True)
    np.testing.assert_array_equal(
        flat(network.parameters), flat(initial_parameters((784, 64, 64, 10), seed=wanted[0].run))
    )
    assert setting_of(network.config).l2 == 1e-3

"""What appears first in training? Near-copies, modules, agreement and accuracy after some epochs, trained from nothing.

Networks are trained once more, since only the last weights of a study are kept: after `EPOCHS` they are measured. A
network depends on its configuration alone, so that it ends as the network of the study, to the last bit.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import get_args

import numpy as np

from modularity_lib.alignment.scores import element_centric_similarity, expected_element_centric_similarity
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings.near_copies import copy_numbers, layers_of
from modularity_lib.findings.tables import AnalysedNetwork, Finding, Rows
from modularity_lib.images.dataset import Dataset
from modularity_lib.studies.measurement import measured_matrices
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.layout import unpack
from modularity_lib.training.networks import Parameters
from modularity_lib.training.performance import accuracy
from modularity_lib.training.training import advance, images_of_run, start
from modularity_lib.vocabulary import BASELINE, FAMILY, MEASURES, Family, Regularisation

EPOCHS = (1, 3, 10, 30, 100, 300, 500)
FOLLOWED = (
    BASELINE,
    BASELINE._replace(dropout=0.7),
    BASELINE._replace(l2=1e-3),
    BASELINE._replace(l1=3.16228e-4),
)


def is_followed(setting: Regularisation) -> bool:
    """Whether networks of a setting are followed through their training."""
    return setting in FOLLOWED


def snapshots(config: TrainingConfig, dataset: Dataset) -> Iterator[tuple[int, Parameters]]:
    """Train a network, and give its parameters before the first epoch, after each of `EPOCHS`, and at the end.

    Yields:
        the number of epochs trained, and copies of the parameters. The last are those that the network is analysed
        with: under protocol "final" those of the lowest validation loss.
    """
    state = start([config], dataset)
    yield 0, unpack(state.kept[0], state.layout)
    images = images_of_run(dataset, run=config.run)
    while state.training.any():
        advance(state, images)
        goes_on = bool(state.training.any())
        if state.epoch in EPOCHS or not goes_on:
            yield state.epoch, unpack((state.networks.parameters if goes_on else state.kept)[0], state.layout)


def rows_of(network: AnalysedNetwork) -> Rows:
    """Train a network from nothing, and measure each of its `snapshots` on all test images.

    Returns:
        a row per snapshot and hidden layer: `epoch`, and what `measured` gives.
    """
    return [
        {"epoch": epoch, **row}
        for epoch, parameters in snapshots(network.config, network.dataset)
        for row in measured(network, parameters)
    ]


def measured(network: AnalysedNetwork, parameters: Parameters) -> Rows:
    """What there is to see of some parameters of a network, after any number of epochs.

    Returns:
        a row per hidden layer: `layer`; `accuracy`; `score`, mean Q over the eight measures, `score_upstream` and
        `score_downstream`; `across`, the agreement of an upstream and a downstream measure on the live units, mean of
        (E - chance) / (1 - chance) over the 16 pairs, E the element-centric similarity; and the
        `near_copies.copy_numbers` but for live units.
    """
    images, digits = network.dataset.test_images, network.dataset.test_labels
    kept = accuracy(parameters, images, digits)
    matrices = list(measured_matrices(parameters, network.dataset).values())
    seed, steps = network.config.run, network.study.search_steps
    rows = []
    for number, (by_measure, layer) in enumerate(zip(matrices, layers_of(parameters, images), strict=True), start=1):
        found = {name: paper_modules(by_measure[name], seed=seed, steps=steps) for name in MEASURES}
        labels = {name: modules.labels for name, modules in found.items()}
        live = np.logical_and.reduce([labels[name] >= 0 for name in MEASURES if FAMILY[name] == "upstream"])
        if live.sum() < 2:
            continue
        scores = {name: 0.0 if np.isnan(modules.score) else modules.score for name, modules in found.items()}
        by_family = {
            f"score_{family}": float(np.mean([scores[name] for name in MEASURES if FAMILY[name] == family]))
            for family in get_args(Family)
        }
        rows.append(
            {
                "layer": number,
                "accuracy": kept,
                "score": float(np.mean(list(scores.values()))),
                **by_family,
                "across": agreement_across({name: of[live] for name, of in labels.items()}),
                **copy_numbers(layer.of(live), np.random.default_rng([seed, number])),
            }
        )
    return rows


def agreement_across(labels: Mapping[str, np.ndarray]) -> float:
    """Agreement of an upstream and a downstream measure beyond chance, mean over all such pairs.

    (E - chance) / (1 - chance),    E the element-centric similarity; 0 = chance, 1 = identical

    Args:
        labels: module of each unit, by measure. Where both measures find one module (chance is 1) it counts as chance.
    """
    values = []
    for one, other in combinations(labels, 2):
        if FAMILY[one] != FAMILY[other]:
            chance = expected_element_centric_similarity(labels[one], labels[other])
            alike = element_centric_similarity(labels[one], labels[other])
            values.append((alike - chance) / (1 - chance) if chance < 1 else 0.0)
    return float(np.mean(values))


FINDING = Finding("training_course", rows_of, is_wanted=is_followed, trains=True)

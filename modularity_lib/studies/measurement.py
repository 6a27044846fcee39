"""What is measured of one network: modules by each measure, agreement of every two measures."""

from collections.abc import Mapping
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from modularity_lib.alignment.scores import (
    agreement,
    expected_element_centric_similarity,
    similarity_spearman,
    transfer,
)
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.images.dataset import Dataset
from modularity_lib.similarity.perceptron_measures import perceptron_matrices
from modularity_lib.training.networks import Parameters
from modularity_lib.vocabulary import MEASURES

Matrices = Mapping[str, Mapping[str, np.ndarray]]  # {layer: {measure: (units, units)}}


def measured_matrices(parameters: Parameters, dataset: Dataset) -> dict[str, dict[str, np.ndarray]]:
    """The eight similarity matrices of every hidden layer, averaged over the test images."""
    return perceptron_matrices(parameters, dataset.test_images)


def module_rows(matrices: Matrices, *, seed: int, steps: int) -> list[dict[str, Any]]:
    """One row per layer and measure: the modules found, their score Q, and the score of the spectral start.

    A layer in which all units are dead for a measure is a row with status "all_units_dead" and a reason.
    """
    rows = []
    for layer, by_measure in enumerate(matrices.values(), start=1):
        for measure, matrix in by_measure.items():
            found = paper_modules(matrix, seed=seed, steps=steps)
            is_ok = found.status == "ok"
            rows.append(
                {
                    "layer": layer,
                    "measure": measure,
                    "status": found.status,
                    "reason": found.reason,
                    **{name: getattr(found, name) if is_ok else None for name in _NUMBERS_OF_MODULES},
                    "dead_units": int(np.sum(found.labels == -1)),
                    "labels": found.labels.tolist(),
                }
            )
    return rows


def agreement_rows(
    matrices: Matrices, modules: list[dict[str, Any]], *, seed: int, permutations: int
) -> list[dict[str, Any]]:
    """One row per layer and pair of measures (each with itself too): how alike the two clusterings are.

    `element_centric_chance` is the expected element-centric similarity when the units of one clustering are shuffled.
    """
    found = {(row["layer"], row["measure"]): row for row in modules}
    rows = []
    for layer, by_measure in enumerate(matrices.values(), start=1):
        for measure_a, measure_b in combinations_with_replacement(MEASURES, 2):
            a, b = found[layer, measure_a], found[layer, measure_b]
            row: dict[str, Any] = {"layer": layer, "measure_a": measure_a, "measure_b": measure_b}
            if a["status"] != "ok" or b["status"] != "ok":
                reason = a["reason"] or b["reason"]
                rows.append({**row, "status": "all_units_dead", "reason": reason, **dict.fromkeys(_AGREEMENT)})
                continue
            labels_a, labels_b = np.asarray(a["labels"]), np.asarray(b["labels"])
            matrix_a, matrix_b = by_measure[measure_a], by_measure[measure_b]
            alike = agreement(labels_a, labels_b, permutations=permutations, seed=seed)
            rows.append(
                {
                    **row,
                    "status": "ok",
                    "reason": "",
                    "element_centric": alike.element_centric,
                    "element_centric_chance": expected_element_centric_similarity(labels_a, labels_b),
                    "rmi": alike.rmi,
                    "rmi_norm": alike.rmi_norm,
                    "vi": alike.vi,
                    "vi_norm": alike.vi_norm,
                    "greedy": alike.greedy,
                    "p_value": alike.p_value,
                    "similarity_spearman": similarity_spearman(matrix_a, matrix_b),
                    "transfer": transfer(matrix_a, labels_a, matrix_b, labels_b),
                }
            )
    return rows


_NUMBERS_OF_MODULES = ("score", "n_modules", "spectral_score")
_AGREEMENT = (
    "element_centric",
    "element_centric_chance",
    "rmi",
    "rmi_norm",
    "vi",
    "vi_norm",
    "greedy",
    "p_value",
    "similarity_spearman",
    "transfer",
)

"""Results that come with the project: tables of studies in data/results/<study>/, read only, checked when read."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from modularity_lib.paths import checkout
from modularity_lib.studies.entries import EntryDamaged, read_entry
from modularity_lib.vocabulary import MEASURES, is_normalised

RESULTS_FOLDER = checkout() / "data" / "results"
SHIPPED_STUDIES = (
    "final-base",
    "final-deep",
    "final-wide",
    "v1",
)  # named here, for the package comes without the folder


class ResultsAltered(RuntimeError):
    """Tables that come with the project are not those that were shipped, or cannot be read."""


@dataclass(frozen=True, eq=False)
class ShippedTables:
    """Tables of one study as `modularity export STUDY --parquet` wrote them."""

    tables: dict[str, pd.DataFrame]  # by name, see `results.TABLES`
    facts: dict[str, Any]  # what they were made of and with
    keys: frozenset[str]  # of the last stage of each network
    # Weights of some networks: "<key of the training>/weight0", ".../bias0" and so on; and similarity matrices of some:
    # "<key of the modules>/<layer>/<measure>", see `triangle`.
    arrays: dict[str, np.ndarray]

    def weights(self, key: str) -> dict[str, np.ndarray] | None:
        """Weights and biases for a training of this key, or None; float32, maybe rounded.

        Most are shipped in half precision: a weight below 6e-5 has fewer than 11 bits, one below 3e-8 is 0.
        """
        prefix = f"{key}/"
        arrays = {name.removeprefix(prefix): array for name, array in self.arrays.items() if name.startswith(prefix)}
        return {name: array.astype(np.float32) for name, array in arrays.items()} or None

    def has_arrays(self, key: str) -> bool:
        """Whether there are weights or matrices for this key."""
        return any(name.startswith(f"{key}/") for name in self.arrays)

    def has_in_full(self, key: str) -> bool:
        """Whether there are weights for this key that were not rounded to half precision."""
        weight = self.arrays.get(f"{key}/weight0")
        return weight is not None and weight.dtype == np.float32

    def matrices(self, key: str) -> dict[str, dict[str, np.ndarray]] | None:
        """Similarity matrices {layer: {measure: (units, units)}} for modules of this key, or None."""
        matrices: dict[str, dict[str, np.ndarray]] = {}
        for name, array in self.arrays.items():
            network, *rest = name.split("/")
            if network == key:
                layer, measure = rest
                matrices.setdefault(layer, {})[measure] = square(array)
        # The file has its own order: of layers too, which callers count from the pixels on.
        return {layer: {name: matrices[layer][name] for name in MEASURES} for layer in sorted(matrices)} or None


@cache
def shipped_tables(study: str) -> ShippedTables | None:
    """Tables that come with the project for a study of this name, or None.

    Raises:
        ResultsAltered: a file does not have the SHA-256 that it was shipped with, or cannot be read.
    """
    folder = RESULTS_FOLDER / study
    try:
        if not folder.is_dir():
            return None
        entry = read_entry(folder)
    except OSError as error:
        raise ResultsAltered(
            f"the results in {folder} cannot be read ({error.strerror}). Make the folder and its files readable; "
            "without the folder the study is computed anew."
        ) from error
    except EntryDamaged as damage:
        raise ResultsAltered(
            f"the results in {folder} are not those that were shipped: {damage}. Get a fresh copy of this folder, with "
            f"`git checkout -- {folder}`, say; without the folder the study is computed anew."
        ) from damage
    return ShippedTables(entry.tables, entry.facts, frozenset(entry.tables["networks"]["key"]), entry.arrays)


def triangle(matrix: np.ndarray, measure: str) -> np.ndarray:
    """Upper triangle of a symmetric matrix, row by row, diagonal included: half of the numbers say it all.

    Normalised measures, in [0, 1], are kept as float32; of the others float32 could not tell the smallest from 0.

    >>> triangle(np.array([[1.0, 2.0], [2.0, 3.0]]), "input_gradient")
    array([1., 2., 3.])
    """
    upper = matrix[np.triu_indices(len(matrix))]
    return upper.astype(np.float32) if is_normalised(measure) else upper


def square(triangle: np.ndarray) -> np.ndarray:
    """The symmetric float64 matrix of an upper triangle.

    >>> square(np.array([1.0, 2.0, 3.0]))
    array([[1., 2.],
           [2., 3.]])
    """
    units = round((np.sqrt(8 * len(triangle) + 1) - 1) / 2)
    matrix = np.zeros((units, units))
    matrix[np.triu_indices(units)] = triangle
    return np.maximum(matrix, matrix.T)

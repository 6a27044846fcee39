"""The search for the best modules: an iterated local search, on each connected part of the graph of units."""

import numpy as np

from modularity_lib.clustering.modularity import modularity_matrix
from modularity_lib.clustering.parts import connected_parts

_ROUNDS = 400  # disturbances of one search


def best_labels(adjacency: np.ndarray, *, seed: int, restarts: int, resolution: float, signed: bool) -> np.ndarray:
    """Module of each unit, -1 for dead ones, of the partition with the highest Q that was found.

    Args:
        adjacency: A, as `modularity.adjacency_of` gives it.
        seed, restarts, resolution, signed: as in `search.find_modules`.
    """
    # Numba is loaded only where modules are searched: the tables of a study can be read without it.
    from modularity_lib.clustering.compiled_best import best_of_rounds

    labels = np.full(len(adjacency), -1)
    streams = np.random.SeedSequence(seed).generate_state(restarts, np.uint64)
    for units, matrix in _parts(adjacency, resolution, signed=signed):
        found = [best_of_rounds(matrix, stream, _ROUNDS) for stream in streams]
        modules, _ = max(found, key=lambda one: one[1])
        labels[units] = modules + labels.max() + 1
    return labels


def _parts(adjacency: np.ndarray, resolution: float, *, signed: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Units that are searched together, and their quality matrix B, whose diagonal is 0."""
    if signed and adjacency.min(initial=0.0) < 0.0:
        live = np.flatnonzero(adjacency.any(axis=1))
        matrix = modularity_matrix(adjacency, resolution=resolution, signed=True)
        parts = [(live, matrix[np.ix_(live, live)])]
    else:
        parts = [
            (part.units, part.share - resolution * np.outer(part.strength, part.strength))
            for part in connected_parts(adjacency)
        ]
    for _, matrix in parts:
        np.fill_diagonal(matrix, 0.0)  # the same in every partition
    return parts

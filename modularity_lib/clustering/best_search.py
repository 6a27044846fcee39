"""The search for the best modules: an iterated local search, on each connected part of the graph of units."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from modularity_lib.clustering.modularity import modularity_matrix, modularity_score
from modularity_lib.progress import progress_over

_SPARSE = 0.25  # share of pairs with a link from which on most are not looked at,
_MANY = 128  # in parts of so many units
_DESCENTS = 8  # whose common groups are searched in sparse parts; twice as many where
_DISAGREEMENT = 0.2  # groups per unit are left after these: what several descents miss, more of them may see
_PATIENCE = 3


def best_modules(
    adjacency: np.ndarray, *, seed: int, restarts: int, resolution: float, signed: bool
) -> tuple[np.ndarray, float]:
    """Module of each unit, -1 for dead ones, and Q of the best partition that was found; NaN if all units are dead.

    Args:
        adjacency: A, as `modularity.adjacency_of` gives it.
        seed, restarts, resolution, signed: as in `search.find_modules`.
    """
    signed = signed and bool((adjacency < 0.0).any())
    parts = _signed_part(adjacency, resolution) if signed else _parts(adjacency, resolution)
    labels = np.full(len(adjacency), -1)
    scores = [-np.inf] * len(parts)
    seeds = np.random.SeedSequence(seed).generate_state(restarts, np.uint64)
    for one in seeds if restarts == 1 else progress_over(list(seeds), "searching modules"):
        for index, part in enumerate(parts):
            found = part.searched(one)
            score = part.score(found)
            if score > scores[index]:
                labels[part.units], scores[index] = found + index * len(labels), score
    if not parts:
        return labels, np.nan
    if len(parts) == 1:
        return labels, scores[0]
    return labels, modularity_score(adjacency, labels, resolution=resolution)


class _DensePart(NamedTuple):
    """Units that are searched together, by their quality matrix B."""

    units: np.ndarray
    matrix: np.ndarray

    def searched(self, seed: int) -> np.ndarray:
        from modularity_lib.clustering.compiled_best import search  # Numba is loaded only where modules are searched

        matrix = self.matrix.copy()
        np.fill_diagonal(matrix, 0.0)  # which is the same in every partition
        return np.asarray(search(matrix, seed, 1))

    def score(self, labels: np.ndarray) -> float:
        return float(self.matrix[labels[:, None] == labels].sum())


class _SparsePart(NamedTuple):
    """The same where most pairs have no link: B = Ã - s sᵀ by its links."""

    units: np.ndarray
    share: csr_array  # Ã
    strength: np.ndarray  # s

    def searched(self, seed: int) -> np.ndarray:
        """Units that several descents agree to join are one from then on, and those groups are searched.

        Source: Ovelgönne & Geyer-Schulz (2013), Contemp. Math. 588:187.
        """
        from modularity_lib.clustering import compiled_best

        links = (self.share.indptr.astype(np.int64), self.share.indices.astype(np.int64), self.share.data)
        group = np.zeros(len(self.units), np.int64)
        for number in range(2 * _DESCENTS):
            if number == _DESCENTS and group.max() < _DISAGREEMENT * len(group):
                break
            alone = np.arange(len(group))
            found = compiled_best.descend_on_links(*links, self.strength, alone, seed + np.uint64(number))
            _, group = np.unique(group * len(group) + found, return_inverse=True)
        n_groups = int(group.max()) + 1
        matrix = compiled_best.group_matrix(*links, self.strength, group, n_groups)
        labels = compiled_best.search(matrix, seed, _PATIENCE)[group]
        return self._connected(compiled_best.descend_on_links(*links, self.strength, labels, seed))

    def _connected(self, labels: np.ndarray) -> np.ndarray:
        """The connected pieces of each module: to part them costs no link, so Q rises."""
        rows = np.repeat(np.arange(len(labels)), np.diff(self.share.indptr))
        inside = labels[rows] == labels[self.share.indices]
        shape = self.share.shape
        links = csr_array((self.share.data[inside], (rows[inside], self.share.indices[inside])), shape=shape)
        return np.asarray(connected_components(links, directed=False)[1], dtype=np.int64)

    def score(self, labels: np.ndarray) -> float:
        rows = np.repeat(np.arange(len(labels)), np.diff(self.share.indptr))
        inside = self.share.data[labels[rows] == labels[self.share.indices]].sum()
        return float(inside - np.square(np.bincount(labels, weights=self.strength)).sum())


def _signed_part(adjacency: np.ndarray, resolution: float) -> list[_DensePart | _SparsePart]:
    """All live units: two without a link may gain by sharing a module, so there are no parts to search alone."""
    live = np.flatnonzero(adjacency.any(axis=1))
    matrix = modularity_matrix(adjacency, resolution=resolution, signed=True)
    return [_DensePart(live, matrix[np.ix_(live, live)])]


def _parts(adjacency: np.ndarray, resolution: float) -> list[_DensePart | _SparsePart]:
    """The connected parts, each on the scale of its own weights, as in `parts.Part`; none where all units are dead."""
    n_links = np.count_nonzero(adjacency)
    if n_links == 0:
        return []
    if n_links == adjacency.size - len(adjacency):  # all are linked: the usual case
        return [_part(np.arange(len(adjacency)), adjacency, resolution, 1.0)]
    live = np.flatnonzero(adjacency.any(axis=1))
    linked = adjacency[np.ix_(live, live)] > 0.0
    if _is_connected(linked):
        return [_part(live, adjacency[np.ix_(live, live)], resolution, 1.0)]
    n_parts, part_of = connected_components(csr_array(linked), directed=False)
    total = (adjacency / adjacency.max()).sum()
    parts = []
    for number in range(n_parts):
        units = live[part_of == number]
        inside = adjacency[np.ix_(units, units)]
        parts.append(_part(units, inside, resolution, (inside / adjacency.max()).sum() / total))
    return parts


def _is_connected(linked: np.ndarray) -> bool:
    """Whether all units are linked, directly or through others; at once where it is so, unlike a list of all parts."""
    reached = linked[0].copy()
    reached[0] = True
    newest = np.flatnonzero(linked[0])
    while len(newest):
        newest = np.flatnonzero(linked[newest].any(axis=0) & ~reached)
        reached[newest] = True
    return bool(reached.all())


def _part(units: np.ndarray, adjacency: np.ndarray, resolution: float, weight: float) -> _DensePart | _SparsePart:
    share = adjacency / adjacency.max()  # first, so that the sum neither overflows nor vanishes
    share /= share.sum()
    strength = np.sqrt(resolution * weight) * share.sum(axis=1)
    if len(units) >= _MANY and np.count_nonzero(share) < _SPARSE * share.size:
        return _SparsePart(units, csr_array(share), strength)
    return _DensePart(units, share - np.outer(strength, strength))

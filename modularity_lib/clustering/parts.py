"""Connected parts of the graph of units, which are searched one by one: units without any link share no module."""

from typing import NamedTuple

import numpy as np
from scipy.sparse.csgraph import connected_components

from modularity_lib.clustering.modularity import modularity_matrix, modularity_score, normalised_adjacency, strengths


class Part(NamedTuple):
    """Live units that are linked, directly or through others, and what their modules add to Q.

    With w the part's share of all weight, and Ã and a of its units alone, they add w sum_c [ sum_{i,j in c} Ã_ij -
    w (sum_{i in c} a_i)^2 ]: up to the factor w, the Q of a graph with the strengths √w a. So weights far below those
    of another part are searched as well as others.
    """

    units: np.ndarray
    share: np.ndarray  # Ã
    strength: np.ndarray  # √w a
    matrix: np.ndarray  # Ã - w a aᵀ


def connected_parts(adjacency: np.ndarray) -> list[Part]:
    """The parts between which there is no link; none where all units are dead."""
    if not adjacency.any():
        return []
    share = normalised_adjacency(adjacency)
    strength = strengths(share)
    live = np.flatnonzero(adjacency.any(axis=1))
    inside = np.ix_(live, live)
    linked = adjacency[inside] > 0  # as a share of all weight, a link may be too small for a number
    is_one = linked.sum(axis=1).max() == len(live) - 1  # a unit linked to all others: the usual case, seen at a glance
    n_parts, part_of = (1, None) if is_one else connected_components(linked, directed=False)
    if n_parts == 1:
        return [Part(live, share[inside], strength[live], modularity_matrix(share)[inside])]
    parts = []
    for part in range(n_parts):
        units = live[part_of == part]
        inside = np.ix_(units, units)
        own_share = normalised_adjacency(adjacency[inside])
        own_strength = np.sqrt(share[inside].sum()) * own_share.sum(axis=1)
        parts.append(Part(units, own_share, own_strength, own_share - np.outer(own_strength, own_strength)))
    return parts


def joined(adjacency: np.ndarray, parts: list[Part], found: list[np.ndarray]) -> tuple[np.ndarray, float]:
    """Labels of all units from those of the parts, and their Q; all -1 and NaN where all units are dead."""
    labels = np.full(len(adjacency), -1)
    for part, modules in zip(parts, found, strict=True):
        labels[part.units] = modules + labels.max() + 1
    # From scratch: the running sums of a search may have drifted.
    return labels, modularity_score(normalised_adjacency(adjacency), labels) if parts else np.nan


def score_of(part: Part, labels: np.ndarray) -> float:
    """What the modules of a part add to Q, but for its factor w."""
    inside = part.share[labels[:, None] == labels[None, :]].sum()
    return float(inside - np.square(np.bincount(labels, weights=part.strength)).sum())

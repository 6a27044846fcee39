"""The paper's search: a spectral start, then Monte Carlo moves of single units."""

from collections import deque
from math import inf

import numpy as np
from numpy.typing import ArrayLike

from modularity_lib.arrays import names_of, real_number, shown, whole_number
from modularity_lib.clustering.clusterings import Clustering, in_order_of_appearance, unchangeable
from modularity_lib.clustering.modularity import adjacency_of
from modularity_lib.clustering.parts import Part, connected_parts, joined, score_of

SPECTRAL_VARIANTS = ("paper", "newman")


def spectral_modules(similarity: ArrayLike, *, variant: str = "paper") -> Clustering:
    """Modules from repeated splits in two, by the signs of a leading eigenvector of the modularity matrix B.

    Breadth first from one module of all live units; a split is kept when the total Q rises. A module g is split by

        paper:  its block of B_ij, eigenvector of the eigenvalue of largest magnitude (the leading singular vector)
        newman: its block of B_ij - delta_ij sum_{l in g} B_il, eigenvector of the largest eigenvalue

    The paper's variant stops early where a negative eigenvalue leads, as in heavy-tailed matrices. Where live units
    fall into groups without any link between them, each group is such a first module.

    Args:
        similarity: S, shape (units, units), any diagonal and scale; see `modularity.to_adjacency`.
        variant: "paper" or "newman".
    Returns:
        Clustering with Q of at least 0, up to rounding; without modules where similarity is zero off the diagonal.
    Raises:
        ValueError: similarity is refused by `modularity.dead_units`, or the variant is unknown.
    Source: Newman (2006), PNAS 103:8577; the paper, section on modularity.

    >>> spectral_modules(np.kron(np.eye(2), np.ones((3, 3)))).labels
    array([0, 0, 0, 1, 1, 1])
    """
    if not isinstance(variant, str) or variant not in SPECTRAL_VARIANTS:
        raise ValueError(
            f"variant must be one of {SPECTRAL_VARIANTS}, got {shown(variant)}. The default is the paper's."
        )
    adjacency = adjacency_of("similarity", similarity)
    parts = connected_parts(adjacency)
    labels, score = joined(adjacency, parts, [_spectral_labels(part.matrix, variant=variant) for part in parts])
    return Clustering(
        in_order_of_appearance(labels),
        score,
        method=f"spectral-{variant}",
        spectral_score=score,
        names=names_of(similarity),
        similarity=unchangeable(adjacency),
    )


def paper_modules(
    similarity: ArrayLike, *, seed: int = 0, restarts: int = 1, steps: int = 5000, target_entropy: float = 0.15
) -> Clustering:
    """Modules found by the paper's search: the spectral start, then Monte Carlo moves of single units.

    A step picks a live unit and computes the Q of each module it could be in, an empty one included; the unit goes to
    module c with probability p_c ∝ exp(Q_c / T), with T such that -sum_c p_c ln p_c = target_entropy. The result is the
    best of all partitions that were proposed, taken or not.

    Units that are not linked, directly or through others, never share a module: each connected part is searched by
    itself, in the steps that pick its units, on the scale of its own weights. Within a part, gains below 1e-12 of its
    weight are lost in rounding, so links that are weaker by more than that do not decide.

    Args:
        similarity: S, shape (units, units), any diagonal and scale; see `modularity.to_adjacency`.
        seed: fixes the random numbers. Restart r draws the same ones whatever the number of restarts, and a search
            starts like a longer one: more restarts or steps never lower Q.
        restarts: number of searches from the same spectral start, at most 1 million; the best counts.
        steps: steps of each search, at most 100 million. 5,000 are 78 visits of each of 64 units, and 5 of 1,024.
        target_entropy: randomness of a step in nats, > 0. Small = greedy; from ln 2 = 0.69 on, a unit with two options
            chooses blindly.
    Returns:
        Clustering with Q at least that of its spectral start; the same for the same arguments. Without modules where
        similarity is zero off the diagonal.
    Raises:
        ValueError: similarity is refused by `modularity.dead_units`, or another argument is out of its range.
    Source: the paper, section on modularity.

    >>> paper_modules(np.kron(np.eye(2), np.ones((3, 3))), seed=0, steps=100).score
    0.5
    """
    seed, restarts, steps, target_entropy = _checked_search(seed, restarts, steps, target_entropy)
    adjacency = adjacency_of("similarity", similarity)
    parts = connected_parts(adjacency)
    starts = [_spectral_labels(part.matrix, variant="paper") for part in parts]
    _, spectral_score = joined(adjacency, parts, starts)
    best, score = joined(
        adjacency, parts, _walked(parts, starts, seed=seed, restarts=restarts, steps=steps, target=target_entropy)
    )
    return Clustering(
        labels=in_order_of_appearance(best),
        score=score,
        method="paper",
        spectral_score=spectral_score,
        seed=seed,
        restarts=restarts,
        steps=steps,
        target_entropy=target_entropy,
        names=names_of(similarity),
        similarity=unchangeable(adjacency),
    )


def _walked(
    parts: list[Part], starts: list[np.ndarray], *, seed: int, restarts: int, steps: int, target: float
) -> list[np.ndarray]:
    """Best labels of each part over all restarts, its start included."""
    # Numba is loaded only where modules are searched: the tables of a study can be read without it.
    from modularity_lib.clustering.compiled import IMPROVEMENT, best_of_walk

    best, scores = list(starts), [score_of(part, start) for part, start in zip(parts, starts, strict=True)]
    streams = np.random.SeedSequence(seed)
    for _ in range(restarts if parts else 0):
        draws = np.random.default_rng(streams.spawn(1)[0]).random((steps, 2))
        for index, (part, own_draws) in enumerate(zip(parts, _draws_of_parts(parts, draws), strict=True)):
            labels = best_of_walk(part.share, part.strength, starts[index], own_draws, target)
            score = score_of(part, labels)
            if score > scores[index] + IMPROVEMENT:
                best[index], scores[index] = labels, score
    return best


def _draws_of_parts(parts: list[Part], draws: np.ndarray) -> list[np.ndarray]:
    """The steps that pick a unit of each part, with the draw that picks it among the units of the part alone."""
    if len(parts) == 1:
        return [draws]
    live = np.sort(np.concatenate([part.units for part in parts]))
    picked = live[(draws[:, 0] * len(live)).astype(int)]
    picks_own = [np.isin(picked, part.units) for part in parts]
    return [
        np.column_stack([(np.searchsorted(part.units, picked[own]) + 0.5) / len(part.units), draws[own, 1]])
        for part, own in zip(parts, picks_own, strict=True)
    ]


def _spectral_labels(matrix: np.ndarray, *, variant: str) -> np.ndarray:
    from modularity_lib.clustering.compiled import IMPROVEMENT  # here for the reason given in `_walked`

    labels = np.zeros(len(matrix), dtype=int)
    queue, n_modules = deque([0]), 1
    while queue:
        module = queue.popleft()
        units = np.flatnonzero(labels == module)
        block = matrix[np.ix_(units, units)]
        right = _split(block, variant=variant)
        gain = -2.0 * block[np.ix_(~right, right)].sum()  # the pairs that the split parts no longer count in Q
        if gain > IMPROVEMENT:
            labels[units[right]] = n_modules
            queue.extend((module, n_modules))
            n_modules += 1
    return labels


def _split(block: np.ndarray, *, variant: str) -> np.ndarray:
    """Which units of a module go to the second half."""
    if variant == "newman":
        block = block - np.diag(block.sum(axis=1))
    values, vectors = np.linalg.eigh(block)  # values ascend
    leading = vectors[:, np.argmax(np.abs(values))] if variant == "paper" else vectors[:, -1]
    return leading < 0.0


def _checked_search(seed: int, restarts: int, steps: int, target_entropy: float) -> tuple[int, int, int, float]:
    entropy = real_number(target_entropy)
    if not 0.0 < entropy < inf:
        raise ValueError(
            f"target_entropy must be a positive, finite number of nats, got {shown(target_entropy)}. The paper uses "
            "0.15."
        )
    return (
        whole_number("seed", seed, at_least=0),
        whole_number("restarts", restarts, at_least=1, at_most=10**6),
        whole_number("steps", steps, at_least=1, at_most=10**8),
        entropy,
    )

"""Finds the modules of highest modularity."""

from numpy.typing import ArrayLike

from modularity_lib.arrays import flag, names_of, shown, whole_number
from modularity_lib.clustering.best_search import best_modules
from modularity_lib.clustering.clusterings import Clustering, in_order_of_appearance, unchangeable
from modularity_lib.clustering.modularity import adjacency_of, checked_resolution
from modularity_lib.clustering.paper_search import paper_modules

METHODS = ("best", "paper")


def find_modules(
    similarity: ArrayLike,
    *,
    seed: int = 0,
    method: str = "best",
    resolution: float = 1.0,
    signed: bool = False,
    restarts: int = 1,
    steps: int | None = None,
    target_entropy: float | None = None,
) -> Clustering:
    """Modules of highest modularity, Q = sum_c [ sum_{i,j in c} Ã_ij - γ (sum_{i in c} a_i)^2 ], that a search finds.

    "best" is an iterated local search. Single units move while Q rises, and modules are merged; then a part of the best
    partition so far is disturbed, and the search goes down again from there. Where no entry is negative, its modules
    are connected. "paper" is the search of the paper, `paper_search.paper_modules`, by which all studies are made.

    Args:
        similarity: S, shape (units, units), any diagonal and scale; see `modularity.to_adjacency`. Names of units, in a
            DataFrame, are kept.
        seed: fixes the random numbers: the same arguments give the same modules.
        method: "best" or "paper".
        resolution: γ > 0, for "best". 1 is the usual Q; larger = more and smaller modules.
        signed: take negative entries, as weights that part units, for "best": see `modularity.modularity_matrix`. Units
            may then share a module without a link.
        restarts: number of searches, at most 1 million; the best counts, so that more never lower Q.
        steps: of "paper" alone: steps of each search, 5,000 by default.
        target_entropy: of "paper" alone: randomness of a step in nats, 0.15 by default.
    Returns:
        Clustering; without modules where similarity is zero off the diagonal.
    Raises:
        ValueError: similarity is refused by `modularity.dead_units`, or another argument is out of its range.
    Source: iterated local search: Lourenço, Martin & Stützle (2003), Handbook of Metaheuristics; moves of units and
        merges: Blondel et al. (2008), J. Stat. Mech. P10008.

    >>> import numpy as np
    >>> find_modules(np.kron(np.eye(2), np.ones((3, 3)))).communities()
    [{0, 1, 2}, {3, 4, 5}]
    """
    resolution, signed = checked_quality(method, resolution, signed)
    if method == "paper":
        given = {"steps": steps, "target_entropy": target_entropy}
        chosen = {name: value for name, value in given.items() if value is not None}
        return paper_modules(similarity, seed=seed, restarts=restarts, **chosen)  # type: ignore[arg-type]
    for name, value in {"steps": steps, "target_entropy": target_entropy}.items():
        if value is not None:
            raise ValueError(
                f'{name} must be left out with method="best", got {shown(value)}: it belongs to method="paper". More '
                "restarts search longer."
            )
    seed = whole_number("seed", seed, at_least=0)
    restarts = whole_number("restarts", restarts, at_least=1, at_most=10**6)
    adjacency = adjacency_of("similarity", similarity, signed=signed)
    labels, score = best_modules(adjacency, seed=seed, restarts=restarts, resolution=resolution, signed=signed)
    return Clustering(
        labels=in_order_of_appearance(labels),
        score=score,
        method="best",
        seed=seed,
        restarts=restarts,
        resolution=resolution,
        signed=signed,
        names=names_of(similarity),
        similarity=unchangeable(adjacency),
    )


def checked_quality(method: object, resolution: object, signed: object) -> tuple[float, bool]:
    """Resolution and sign of the Q that a method maximises; ValueError unless there is one, and it has them."""
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(
            f'method must be "best" or "paper", got {shown(method)}. "paper" is the search of the studies.'
        )
    gamma, is_signed = checked_resolution(resolution), flag("signed", signed)
    if method == "paper" and (gamma != 1.0 or is_signed):
        named = "signed" if is_signed else "resolution"
        raise ValueError(f'{named} must be left out with method="paper", which has none. Take method="best".')
    return gamma, is_signed

"""What many searches agree on: consensus modules, and how sure each unit is of its company."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.csgraph import connected_components

from modularity_lib.arrays import flag, names_of, whole_number
from modularity_lib.clustering.clusterings import ConsensusModules, in_order_of_appearance, unchangeable
from modularity_lib.clustering.modularity import adjacency_of, modularity_matrix, modularity_score
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.clustering.search import checked_quality
from modularity_lib.progress import progress_bar

CORE_SHARE = 0.95  # of the searches in which the units of a core are together
_MOST_ROUNDS = 20  # of consensus; a handful are needed


def consensus_modules(
    similarity: ArrayLike,
    *,
    searches: int = 100,
    seed: int = 0,
    method: str = "best",
    resolution: float = 1.0,
    signed: bool = False,
    progress: bool | None = None,
) -> ConsensusModules:
    """Modules that many searches agree on, and how sure each unit is of its company.

    Each search ends in a partition that no move of a unit and no merge of modules makes better: with "best" where the
    way up ends that starts from single units, in an order drawn at random; with "paper" where the search of the paper
    ends. `find_modules` goes on from there and hides how many such ends there are. Where the structure is clear all
    searches end alike; where modules of nearly the same Q compete, they do not.

    D_ij = share of the searches in which i and j are together. What is no more than of units at random counts as 0, D
    is searched in place of S as often, and so on until all searches of D agree.

    Confidence is about the searches, not about the data: where noise has one best partition, all searches find it.
    Whether there is more than chance, `test_modules` asks.

    The confidence of unit i, whose module M holds it and its company, is the mean over searches of
    |M ∩ M'| / |M ∪ M'|, without i itself, where M' is its module in the search; 1 where it is alone in both. The core
    of a module are its units that are together in at least 95 % of the searches, directly or through others: the
    largest such group, of at least two.

    Args:
        similarity: S, shape (units, units), as `find_modules` takes it.
        searches: how many, at least 2.
        seed: fixes the random numbers: the same arguments give the same modules.
        method: "best" or "paper".
        resolution, signed: as in `find_modules`.
        progress: show a bar; None = where standard error is a terminal.
    Returns:
        ConsensusModules: a Clustering, to be printed, drawn, saved and put into a table as any other. Beside `labels`
        it has `confidence` and `core`, shape (units,), `scores` of the searches, and `n_partitions`. `score`, Q of the
        labels, may be below that of `find_modules`. Dead units have the label -1, the confidence NaN and are of no
        core; where all units are dead Q is NaN.
    Raises:
        ValueError: similarity is refused by `find_modules`, or another argument is out of its range.
    Source: Lancichinetti & Fortunato (2012), Sci. Rep. 2:336; the threshold: Bassett et al. (2013), Chaos 23:013142;
        cores: Seifi et al. (2013), Complex Networks, Studies in Computational Intelligence 424:87.

    >>> agreed = consensus_modules(np.kron(np.eye(2), np.ones((3, 3))), searches=10)
    >>> agreed.labels, agreed.confidence, agreed.n_partitions
    (array([0, 0, 0, 1, 1, 1]), array([1., 1., 1., 1., 1., 1.]), 1)
    """
    resolution, signed = checked_quality(method, resolution, signed)
    searches = whole_number("searches", searches, at_least=2, at_most=10**5)
    seed = whole_number("seed", seed, at_least=0)
    progress = None if progress is None else flag("progress", progress)
    adjacency = adjacency_of("similarity", similarity, signed=signed)
    live = np.flatnonzero(adjacency.any(axis=1))
    made_by: dict[str, Any] = {"searches": searches, "seed": seed, "method": method, "resolution": resolution}
    made_by |= {"signed": signed, "names": names_of(similarity), "similarity": unchangeable(adjacency)}
    unknown = np.full(len(adjacency), np.nan)
    if not len(live):
        return ConsensusModules(
            labels=unchangeable(np.full(len(adjacency), -1)),
            score=np.nan,
            confidence=unchangeable(unknown),
            core=unchangeable(np.zeros(len(adjacency), dtype=bool)),
            n_partitions=0,
            scores=unchangeable(np.empty(0)),
            **made_by,
        )
    matrix = modularity_matrix(adjacency, resolution=resolution, signed=signed)[np.ix_(live, live)]
    found = np.empty((searches, len(live)), dtype=int)
    with progress_bar(searches, "searching", progress) as bar:
        for place in range(searches):
            if method == "paper":
                one = paper_modules(adjacency, seed=seed + place).labels[live]
            else:
                one = _way_up(matrix, seed, place)
            found[place] = in_order_of_appearance(one)
            bar.update()
    agreed, together = _agreed(found, seed), _together(found)
    labels = np.full(len(adjacency), -1)
    labels[live] = agreed
    unknown[live] = _confidence(agreed, found)
    core = np.zeros(len(adjacency), dtype=bool)
    core[live] = _core(agreed, together)
    every = np.full((searches, len(adjacency)), -1)
    every[:, live] = found
    different, which = np.unique(every, axis=0, return_inverse=True)
    scores = [modularity_score(adjacency, one, resolution=resolution, signed=signed) for one in different]
    return ConsensusModules(
        labels=in_order_of_appearance(labels),
        score=modularity_score(adjacency, labels, resolution=resolution, signed=signed),
        confidence=unchangeable(unknown),
        core=unchangeable(core),
        n_partitions=len(different),
        scores=unchangeable(np.array(scores)[which]),
        **made_by,
    )


def _way_up(matrix: np.ndarray, seed: int, place: int) -> np.ndarray:
    """Labels of the local optimum where a way up from single units ends, for the quality matrix B."""
    from modularity_lib.clustering.compiled_best import search  # Numba is loaded only where modules are searched

    matrix = matrix.copy()
    np.fill_diagonal(matrix, 0.0)  # which is the same in every partition
    return np.asarray(search(matrix, np.random.SeedSequence([seed, place]).generate_state(1, np.uint64)[0], 0))


def _together(found: np.ndarray) -> np.ndarray:
    """D: share of the partitions in which two units are together, shape (units, units)."""
    together = np.zeros((found.shape[1], found.shape[1]))
    for labels in found:
        together += labels[:, None] == labels[None, :]
    return together / len(found)


def _agreed(found: np.ndarray, seed: int) -> np.ndarray:
    """One partition from many: the matrix D of who is together is searched as often, until all searches agree."""
    for round_ in range(_MOST_ROUNDS):
        if (found == found[0]).all():
            break
        weight = _beyond_chance(found)
        if not weight.any():
            break
        matrix = modularity_matrix(weight)
        found = np.array(
            [in_order_of_appearance(_way_up(matrix, seed + round_ + 1, place)) for place in range(len(found))]
        )
    most_often, how_often = np.unique(found, axis=0, return_counts=True)
    return np.asarray(most_often[how_often.argmax()])


def _beyond_chance(found: np.ndarray) -> np.ndarray:
    """D without its diagonal, and 0 where it is no more than of units at random; each keeps its strongest link."""
    weight = _together(found)
    np.fill_diagonal(weight, 0.0)
    nearest, strongest = weight.argmax(axis=1), weight.max(axis=1)
    weight[weight <= weight.sum() / max(weight.size - len(weight), 1)] = 0.0  # the mean over all pairs
    alone = np.flatnonzero(~weight.any(axis=1))
    weight[alone, nearest[alone]] = weight[nearest[alone], alone] = strongest[alone]
    return weight


def _confidence(agreed: np.ndarray, found: np.ndarray) -> np.ndarray:
    total = np.zeros(len(agreed))
    for labels in found:
        both = np.zeros((agreed.max() + 1, labels.max() + 1))
        np.add.at(both, (agreed, labels), 1.0)
        common = both[agreed, labels] - 1.0
        either = both.sum(axis=1)[agreed] + both.sum(axis=0)[labels] - 2.0 - common
        total += np.divide(common, either, out=np.ones_like(common), where=either > 0.0)
    return total / len(found)


def _core(agreed: np.ndarray, together: np.ndarray) -> np.ndarray:
    same = (agreed[:, None] == agreed[None, :]) & (together >= CORE_SHARE)
    _, group = connected_components(same, directed=False)
    core = np.zeros(len(agreed), dtype=bool)
    for module in range(agreed.max() + 1):
        groups, sizes = np.unique(group[agreed == module], return_counts=True)
        if sizes.max() > 1:
            core |= group == groups[sizes.argmax()]
    return core

"""The bound holds for every partition, and is reached where the best one is known."""

from itertools import combinations
from typing import Any

import networkx as nx
import numpy as np
import pytest

import modularity_lib as ml
from modularity_lib.clustering import bound as bounds
from modularity_lib.clustering.bound import PROVEN, modularity_bound
from modularity_lib.clustering.compiled_cuts import few_of_each_pair, left_sides, violated_stars, weights_of_pairs
from modularity_lib.clustering.modularity import modularity_matrix
from modularity_lib.clustering.relaxation import Relaxation
from modularity_lib.findings.synthetic import noise, planted
from oracles_modularity import partitions

SOON = 1e12  # a deadline that does not pass


def random_similarity(units: int, seed: int, *, signed: bool = False) -> np.ndarray:
    weight = np.random.default_rng(seed).exponential(size=(units, units)) ** 2
    if signed:
        weight *= np.random.default_rng([seed, 1]).choice([-1.0, 1.0], size=weight.shape)
    return np.asarray(weight + weight.T)


def best_of_all(matrix: np.ndarray) -> float:
    """The largest sum_ij B_ij [i and j together] of all partitions, one by one."""
    return max(
        sum(matrix[i, j] for i in range(len(matrix)) for j in range(len(matrix)) if labels[i] == labels[j])
        for labels in partitions(len(matrix))
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("options", [{}, {"resolution": 0.6}, {"resolution": 1.7}, {"signed": True}])
def test_of_a_few_units_the_bound_is_the_best_of_all_partitions(seed: int, options: dict[str, Any]) -> None:
    similarity = random_similarity(3 + seed, seed, signed=options.get("signed", False))
    best = best_of_all(modularity_matrix(similarity, **options))
    found = modularity_bound(similarity, **options)
    assert best - 1e-12 <= found.upper <= best + PROVEN
    assert found.score == pytest.approx(best, abs=1e-12)
    assert found.proven


@pytest.mark.parametrize(
    ("graph", "weight", "known"),
    [
        (nx.karate_club_graph(), None, 0.4197896),  # Brandes et al. (2008)
        (nx.les_miserables_graph(), "weight", 0.5666880),
    ],
)
def test_the_known_optimum_of_a_graph_is_proven(graph: nx.Graph, weight: str | None, known: float) -> None:
    found = modularity_bound(nx.to_numpy_array(graph, weight=weight), seconds=60)
    assert (found.score, found.proven) == (pytest.approx(known, abs=1e-6), True)


def test_branching_proves_what_the_relaxation_alone_leaves_open(monkeypatch: pytest.MonkeyPatch) -> None:
    split = []
    monkeypatch.setattr(bounds, "_most_open", lambda problem, true=bounds._most_open: split.append(1) or true(problem))
    similarity = next(
        similarity for similarity in (random_similarity(9, seed) for seed in range(50)) if _splits(similarity, split)
    )
    assert modularity_bound(similarity).upper == pytest.approx(best_of_all(modularity_matrix(similarity)), abs=PROVEN)


def _splits(similarity: np.ndarray, split: list[int]) -> bool:
    split.clear()
    modularity_bound(similarity)
    return bool(split)


def test_whatever_the_multipliers_are_the_bound_holds() -> None:
    random = np.random.default_rng(0)
    for seed in range(20):
        matrix = modularity_matrix(random_similarity(6, seed))
        n = len(matrix)
        problem = Relaxation.of(matrix)
        at_least_0 = random.exponential(scale=0.1, size=(n, n))
        problem.at_least_0 = at_least_0 + at_least_0.T
        np.fill_diagonal(problem.at_least_0, 0.0)
        problem.stars = np.array([[*star, *[-1] * (17 - n)] for star in ([0, 1, 2, 3, 4, 5], [3, 0, 1, 4, -1, -1])])
        problem.multipliers = random.exponential(scale=0.05, size=2)
        weights = weights_of_pairs(problem.stars, problem.multipliers, n)
        assert problem._bound(random.normal(scale=0.1, size=n), weights) >= best_of_all(matrix)


def test_a_star_holds_for_every_partition_and_its_excess_is_what_is_above_one() -> None:
    for labels in partitions(6):
        together = np.equal.outer(labels, labels).astype(float)
        assert len(violated_stars(together, 1e-9, 5)[0]) == 0
    relaxed = np.full((5, 5), 0.5)
    relaxed[1:, 1:] = 0.0
    stars, excess = violated_stars(relaxed, 1e-9, 4)
    for star, above in zip(stars, excess, strict=True):
        centre, leaves = star[0], [leaf for leaf in star[1:] if leaf >= 0]
        said = sum(relaxed[centre, leaf] for leaf in leaves) - sum(relaxed[a, b] for a, b in combinations(leaves, 2))
        assert above == pytest.approx(said - 1)
        assert left_sides(star[None], relaxed) == pytest.approx([said])
        assert (weights_of_pairs(star[None], np.array([2.0]), 5) * relaxed).sum() == pytest.approx(2 * said)
    assert max(excess) == 1.0  # the four leaves of unit 0


def test_of_each_pair_only_so_many_stars_are_kept() -> None:
    stars = np.array([[0, 1, 2], [0, 1, 3], [1, 0, 3], [2, 1, 3]])
    assert few_of_each_pair(stars, 4, 1).tolist() == [0, 3]
    assert few_of_each_pair(stars, 4, 2).tolist() == [0, 1, 3]


def test_a_joined_problem_has_the_partitions_that_join_them_and_a_parted_one_the_others() -> None:
    matrix = modularity_matrix(random_similarity(6, 3))
    problem = Relaxation.of(matrix)
    problem.improve(SOON)
    best = {True: -1.0, False: -1.0}
    for labels in partitions(6):
        score = float(matrix[np.equal.outer(labels, labels)].sum())
        best[labels[1] == labels[4]] = max(best[labels[1] == labels[4]], score)
    for child, expected in ((problem.joined(1, 4), best[True]), (problem.parted(1, 4), best[False])):
        for _ in range(30):
            child.improve(SOON)
        assert expected - 1e-12 <= child.upper <= expected + 1e-3
    assert problem.joined(1, 4).joined(0, 1).quality.sum() == pytest.approx(matrix.sum())


def test_stars_of_joined_groups_are_stars_again_or_left_out() -> None:
    problem = Relaxation.of(np.zeros((6, 6)))
    stars = [[0, 2, 3], [0, 1, 4], [1, 0, 4], [0, 1, 2, 4], [5, 1, 3, 4]]
    problem.stars = np.array([[*star, *[-1] * (17 - len(star))] for star in stars])
    problem.multipliers = np.arange(1.0, 6.0)
    joined = problem.joined(4, 1)  # 4 becomes 1, and 5 becomes 4
    assert [(star[0], *sorted(star[star >= 0][1:])) for star in joined.stars] == [(0, 2, 3), (0, 1, 2), (4, 1, 3)]
    assert joined.multipliers.tolist() == [1.0, 4.0, 5.0]
    assert (np.diff((joined.stars >= 0).astype(int), axis=1) <= 0).all()  # -1 up to the end alone


def test_where_nothing_is_left_to_be_decided_the_bound_is_exact_at_once() -> None:
    matrix = modularity_matrix(random_similarity(4, 0))
    parted = joined = Relaxation.of(matrix)
    for i, j in combinations(range(4), 2):
        parted = parted.parted(i, j)
    for _ in range(3):
        joined = joined.joined(0, 1)
    assert parted.upper == pytest.approx(np.trace(matrix))
    assert joined.upper == pytest.approx(0.0)  # the sum of B


def test_parts_without_a_link_are_bounded_one_by_one_and_dead_units_have_no_module() -> None:
    blocks = [random_similarity(5, 1), 1e-3 * random_similarity(4, 2), np.zeros((2, 2)), np.ones((2, 2))]
    sizes = np.cumsum([0, *(len(block) for block in blocks)])
    similarity = np.zeros((sizes[-1], sizes[-1]))
    for start, end, block in zip(sizes, sizes[1:], blocks, strict=False):
        similarity[start:end, start:end] = block
    order = np.random.default_rng(0).permutation(len(similarity))
    found = modularity_bound(similarity[np.ix_(order, order)])
    assert found.proven
    assert (found.labels[np.argsort(order)][9:11] == -1).all()
    assert found.score == pytest.approx(ml.modularity_score(similarity[np.ix_(order, order)], found.labels))
    assert found.score == pytest.approx(ml.find_modules(similarity, restarts=20).score)


def test_time_that_runs_out_is_an_answer() -> None:
    similarity = noise(100, seed=0)
    soon = modularity_bound(similarity, seconds=1e-3)
    later = modularity_bound(similarity, seconds=2)
    assert ml.find_modules(similarity).score <= later.upper < soon.upper
    assert not later.proven
    assert soon.seconds < 1.0
    assert soon.gap == soon.upper - soon.score


def test_past_the_deadline_there_is_one_step_and_no_search_for_stars(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    monkeypatch.setattr(
        Relaxation, "_step", lambda self, *given, true=Relaxation._step: steps.append(1) or true(self, *given)
    )
    problem = Relaxation.of(modularity_matrix(noise(30, seed=0)))
    problem.improve(-1.0)
    assert (len(steps), len(problem.stars)) == (1, 0)
    problem.improve(SOON)
    assert len(steps) == 101
    assert len(problem.stars) > 0


@pytest.mark.parametrize("seed", range(4))
def test_joined_and_parted_problems_have_all_partitions_between_them(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def groups_alone(self: Any, problem: Relaxation, group_of: np.ndarray, deadline: float) -> Any:
        self._take_if_better(problem, group_of)  # X is still one of groups that are apart
        yield

    similarity = random_similarity(6, seed)
    worst = np.zeros(6, dtype=int)
    monkeypatch.setattr(bounds._Part, "_improved", groups_alone)
    monkeypatch.setattr(bounds, "find_modules", lambda *given, **options: ml.Clustering(worst, 0.0, "worst"))
    found = modularity_bound(similarity)
    best = best_of_all(modularity_matrix(similarity))
    assert (found.score, found.upper) == (pytest.approx(best), pytest.approx(best))
    assert ml.modularity_score(similarity, found.labels) == pytest.approx(best)


def test_a_problem_that_is_done_leaves_its_bound_and_not_the_score(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "PROVEN", 0.01)
    found = modularity_bound(noise(24, seed=0))
    assert found.score + 1e-4 < found.upper <= found.score + 0.01


def test_planted_blocks_are_the_best_partition() -> None:
    found = modularity_bound(planted(64, blocks=4, common=0.2, seed=0))
    assert found.proven
    assert found.labels.max() == 3


def test_the_scale_of_the_similarity_does_not_matter() -> None:
    similarity = random_similarity(12, 0)
    scores = [modularity_bound(scale * similarity).score for scale in (1.0, 1e-300, 1e300)]
    assert scores == pytest.approx([scores[0]] * 3)


def test_a_matrix_without_weight_and_seconds_that_are_none_are_refused() -> None:
    with pytest.raises(ml.AllUnitsDead, match=r"^similarity must have a non-zero entry"):
        modularity_bound(np.eye(4))
    for seconds in (0, -1, np.inf, np.nan, "10", True, None):
        with pytest.raises(ValueError, match=r"^seconds must be a positive, finite number, got"):
            modularity_bound(np.ones((3, 3)), seconds=seconds)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^similarity must not be negative"):
        modularity_bound(-np.ones((3, 3)))

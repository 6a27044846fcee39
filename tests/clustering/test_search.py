"""The search for users: as good as exhaustive search where that can be done, and the same for the same seed."""

from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest

import modularity_lib as ml
import oracles_modularity as oracles
from modularity_lib.clustering import compiled_best
from modularity_lib.clustering.modularity import modularity_matrix
from modularity_lib.clustering.paper_search import paper_modules

DOLPHINS = Path(__file__).parents[2] / "benchmarks" / "dolphins.txt"


def noise(units: int, *, seed: int, samples: int = 20) -> np.ndarray:
    return np.abs(np.corrcoef(np.random.default_rng(seed).normal(size=(units, samples))))


def sparse(units: int, *, seed: int, links: int = 6, groups: int = 5) -> np.ndarray:
    """Weighted links, most of them inside one of some groups."""
    random = np.random.default_rng(seed)
    graph = np.zeros((units, units))
    for i in range(units):
        for _ in range(links):
            j = random.integers(units)
            if random.random() < 0.7:
                j = i % groups + groups * random.integers(units // groups)
            graph[i, j] = graph[j, i] = random.uniform(0.5, 2.0)
    np.fill_diagonal(graph, 0.0)
    return graph


def best_signed_score(similarity: np.ndarray, resolution: float = 1.0) -> float:
    """Highest signed Q of all partitions, by the formula of Rubinov & Sporns (2011), sum by sum."""
    n = len(similarity)
    positive = [[max(similarity[i, j], 0.0) if i != j else 0.0 for j in range(n)] for i in range(n)]
    negative = [[max(-similarity[i, j], 0.0) if i != j else 0.0 for j in range(n)] for i in range(n)]
    total_positive, total_negative = sum(map(sum, positive)), sum(map(sum, negative))
    best = -np.inf
    for labels in oracles.partitions(n):
        q = 0.0
        for i in range(n):
            for j in range(n):
                if labels[i] == labels[j]:
                    expected = sum(positive[i]) * sum(positive[j]) / total_positive
                    q += (positive[i][j] - resolution * expected) / total_positive
                    if total_negative:
                        expected = sum(negative[i]) * sum(negative[j]) / total_negative
                        q -= (negative[i][j] - resolution * expected) / (total_positive + total_negative)
        best = max(best, q)
    return best


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("units", [2, 3, 5, 8])
def test_small_matrices_are_solved_exactly(units: int, seed: int) -> None:
    similarity = noise(units, seed=seed, samples=5)
    assert ml.find_modules(similarity, seed=seed).score == pytest.approx(oracles.best_score(similarity), abs=1e-12)


@pytest.mark.parametrize("resolution", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("seed", range(3))
def test_signed_matrices_are_solved_exactly_at_every_resolution(seed: int, resolution: float) -> None:
    similarity = np.corrcoef(np.random.default_rng(seed).normal(size=(7, 5)))
    found = ml.find_modules(similarity, signed=True, resolution=resolution)
    assert found.score == pytest.approx(best_signed_score(similarity, resolution), abs=1e-12)
    again = ml.modularity_score(similarity, found, signed=True, resolution=resolution)
    assert found.score == pytest.approx(again, abs=1e-12)
    assert (found.signed, found.resolution) == (True, resolution)


@pytest.mark.parametrize(
    ("graph", "optimum"),
    [  # proven: Aloise et al. (2010), PRE 82:046112; Brandes et al. (2008), IEEE TKDE 20:172
        (lambda: nx.to_numpy_array(nx.karate_club_graph(), weight=None), 0.4197896),
        (lambda: nx.to_numpy_array(nx.read_adjlist(DOLPHINS, nodetype=int)), 0.5285194),
        (lambda: nx.to_numpy_array(nx.les_miserables_graph(), weight=None), 0.5600084),
    ],
)
def test_graphs_whose_optimum_is_known_are_solved(graph: Callable[[], np.ndarray], optimum: float) -> None:
    scores = [ml.find_modules(graph(), seed=seed, restarts=5).score for seed in range(3)]
    assert scores == pytest.approx([optimum] * 3, abs=1e-7)


def test_it_is_at_least_as_good_as_the_paper_s_search_with_restarts() -> None:
    for seed in range(5):
        similarity = noise(64, seed=seed)
        of_paper = paper_modules(similarity, restarts=20).score
        assert ml.find_modules(similarity, seed=seed).score > 0.995 * of_paper
        assert ml.find_modules(similarity, seed=seed, restarts=5).score >= of_paper - 1e-12


def test_one_call_comes_near_to_the_best_of_many_on_noise() -> None:
    gaps = []
    for number in range(8):
        similarity = noise(64, seed=number, samples=40)
        known = ml.find_modules(similarity, seed=1000, restarts=20).score
        gaps += [1.0 - ml.find_modules(similarity, seed=seed).score / known for seed in range(10)]
    assert np.mean(gaps) < 2e-4
    assert max(gaps) < 5e-3


@pytest.mark.parametrize("groups", [4, 8, 16])
def test_planted_modules_of_a_wide_layer_are_found(groups: int) -> None:
    random = np.random.default_rng(groups)
    truth = np.arange(512) % groups
    activity = random.normal(size=(600, 512)) + 0.6 * random.normal(size=(600, groups))[:, truth]
    found = ml.find_modules(np.abs(np.corrcoef(activity.T)))
    assert ml.element_centric_similarity(found, truth) == 1.0


def test_modules_of_sparse_graphs_are_connected_and_planted_ones_found() -> None:
    for seed in range(5):
        graph = sparse(300, seed=seed)
        found = ml.find_modules(graph, seed=seed)
        assert ml.element_centric_similarity(found, np.arange(300) % 5) > 0.9
        for units in found.communities():
            assert nx.is_connected(nx.from_numpy_array(graph[np.ix_(sorted(units), sorted(units))]))


@pytest.mark.parametrize("seed", range(3))
def test_by_links_and_by_the_whole_matrix_the_same_is_found(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = sparse(150, seed=seed, groups=6)
    by_links = ml.find_modules(graph, restarts=5).score
    monkeypatch.setattr("modularity_lib.clustering.best_search._MANY", 1000)
    assert by_links == pytest.approx(ml.find_modules(graph, restarts=5).score, rel=2e-3)


def test_the_matrix_of_groups_holds_what_their_pairs_add() -> None:
    graph = sparse(40, seed=0)
    matrix = modularity_matrix(graph)
    group = np.arange(40) % 7
    share = graph / graph.sum()
    rows, columns = np.nonzero(share)
    pointer = np.searchsorted(rows, np.arange(41))
    found = compiled_best.group_matrix(pointer, columns, share[rows, columns], share.sum(axis=1), group, 7)
    expected = [[matrix[np.ix_(group == a, group == b)].sum() * (a != b) for b in range(7)] for a in range(7)]
    assert found == pytest.approx(np.array(expected), abs=1e-15)


@pytest.mark.parametrize("make", [lambda: noise(40, seed=1), lambda: sparse(200, seed=2)])
def test_the_same_arguments_give_the_same_modules(make: Callable[[], np.ndarray]) -> None:
    similarity = make()
    labels = {tuple(ml.find_modules(similarity, seed=seed).labels) for seed in (3, 3, np.int64(3))}
    assert len(labels) == 1
    scores = [ml.find_modules(similarity, seed=0, restarts=restarts).score for restarts in (1, 2, 4, 8)]
    assert scores == sorted(scores)


@pytest.mark.parametrize("make", [lambda: noise(60, seed=1), lambda: sparse(200, seed=2, links=2)])
@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e300])
def test_q_does_not_depend_on_the_scale(make: Callable[[], np.ndarray], scale: float) -> None:
    similarity = make()
    found = ml.find_modules(similarity * scale)
    assert found.score == pytest.approx(ml.find_modules(similarity).score, abs=1e-12)
    assert found.score == pytest.approx(ml.modularity_score(similarity, found), abs=1e-12)


def test_dead_units_are_in_no_module_and_parts_without_links_apart() -> None:
    blocks = np.kron(np.eye(3), np.ones((4, 4)))
    blocks[8:, 8:] *= 1e-13  # a part with hardly any weight is searched as well as others
    found = ml.find_modules(np.pad(blocks, (0, 2)))
    assert found.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [-1] * 2


def test_a_higher_resolution_gives_more_modules() -> None:
    similarity = noise(40, seed=0)
    counts = [len(ml.find_modules(similarity, resolution=gamma).communities()) for gamma in (0.2, 1.0, 1.3, 5.0)]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (1, 40)


def test_signed_modularity_parts_neurons_that_are_driven_oppositely() -> None:
    random, group = np.random.default_rng(0), np.repeat([0, 1, 2], 20)
    z = random.standard_normal((3000, 2))
    drive = np.stack([z[:, 0], -z[:, 0], z[:, 1]], axis=1)[:, group]
    spikes = random.poisson(np.exp(-1 + 0.6 * drive))
    correlation = np.corrcoef(spikes.T)
    assert ml.element_centric_similarity(ml.find_modules(correlation, signed=True), group) == 1.0
    assert len(ml.find_modules(np.abs(correlation)).communities()) == 2


@pytest.mark.parametrize(("pairs", "alone"), [(2, 0), (2, 1), (3, 0)])
def test_assemblies_that_share_opponents_alone_are_not_joined(pairs: int, alone: int) -> None:
    random = np.random.default_rng(0)
    z = random.standard_normal((5000, pairs + alone))
    drive = [sign * z[:, number] for number in range(pairs) for sign in (1, -1)] + list(z[:, pairs:].T)
    group = np.repeat(np.arange(len(drive)), 20)
    spikes = random.poisson(np.exp(-1 + 0.5 * np.array(drive)[group].T))
    found = ml.find_modules(np.corrcoef(spikes.T), signed=True)
    assert ml.element_centric_similarity(found, group) == 1.0


def test_signed_without_negative_entries_changes_nothing() -> None:
    similarity = noise(30, seed=4)
    plain, signed = ml.find_modules(similarity), ml.find_modules(similarity, signed=True)
    assert plain.labels.tolist() == signed.labels.tolist()
    assert plain.score == pytest.approx(signed.score, abs=1e-15)
    assert modularity_matrix(similarity, signed=True) == pytest.approx(modularity_matrix(similarity), abs=1e-17)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_all_of_one_sign_is_taken(sign: float) -> None:
    found = ml.find_modules(sign * noise(12, seed=0), signed=True)
    assert np.isfinite(found.score)
    assert found.score >= 0.0


def test_all_dead_units_are_a_result() -> None:
    for signed in (False, True):
        found = ml.find_modules(np.eye(3), signed=signed)
        assert (found.status, found.labels.tolist()) == ("all_units_dead", [-1, -1, -1])
        assert np.isnan(found.score)


def test_names_and_the_matrix_are_kept() -> None:
    table = pd.DataFrame(np.kron(np.eye(2), np.ones((2, 2))), index=list("abcd"), columns=list("abcd"))
    for found in (ml.find_modules(table), ml.find_modules(table, method="paper"), ml.spectral_modules(table)):
        assert found.names == ("a", "b", "c", "d")
        assert found.similarity is not None
        assert not found.similarity.flags.writeable
        assert found.similarity.tolist() == (table.to_numpy() - np.eye(4)).tolist()
    assert ml.find_modules(table.to_numpy()).names is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "Leiden"}, r'method must be "best" or "paper", got \'Leiden\''),
        ({"steps": 10}, r'steps must be left out with method="best", got 10: it belongs to method="paper"'),
        ({"target_entropy": 0.1}, r"target_entropy must be left out with method"),
        ({"method": "paper", "resolution": 2.0}, r'resolution must be left out with method="paper"'),
        ({"method": "paper", "signed": True}, r'signed must be left out with method="paper"'),
        ({"resolution": 0.0}, r"resolution must be a positive, finite number, got 0\.0"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ml.find_modules(noise(5, seed=0), **settings)  # type: ignore[arg-type]


def test_the_paper_s_method_is_the_paper_s_search() -> None:
    similarity = noise(20, seed=0)
    found = ml.find_modules(similarity, method="paper", seed=3, restarts=2, steps=300, target_entropy=0.2)
    same = paper_modules(similarity, seed=3, restarts=2, steps=300, target_entropy=0.2)
    assert found.labels.tolist() == same.labels.tolist()
    assert (found.method, found.score, found.steps) == ("paper", same.score, 300)

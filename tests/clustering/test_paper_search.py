"""Spectral start, Monte Carlo search and the record they return."""

from dataclasses import FrozenInstanceError

import networkx as nx
import numpy as np
import pytest

import oracles_modularity as oracles
from modularity_lib.clustering import compiled
from modularity_lib.clustering.modularity import AllUnitsDead, modularity_score, normalised_adjacency
from modularity_lib.clustering.paper_search import _draws_of_parts, paper_modules, spectral_modules
from modularity_lib.clustering.parts import connected_parts


def noise(n: int, *, seed: int) -> np.ndarray:
    """Absolute correlations of independent units."""
    return np.abs(np.corrcoef(np.random.default_rng(seed).normal(size=(n, 300))))


def planted(n: int, n_modules: int, *, seed: int) -> np.ndarray:
    """Absolute correlations of units that share one factor with every n_modules-th unit."""
    random = np.random.default_rng(seed)
    factors = random.normal(size=(n_modules, 300))
    return np.abs(np.corrcoef(factors[np.arange(n) % n_modules] + random.normal(size=(n, 300))))


def heavy_tailed(n: int, *, seed: int) -> np.ndarray:
    scale = np.random.default_rng(seed).lognormal(sigma=1.5, size=n)
    return noise(n, seed=seed) * np.outer(scale, scale)


SIMILARITIES = {"noise": noise(12, seed=0), "planted": planted(12, 3, seed=1), "heavy": heavy_tailed(12, seed=2)}
each_similarity = pytest.mark.parametrize("similarity", SIMILARITIES.values(), ids=SIMILARITIES.keys())


def as_sets(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == module).tolist()) for module in set(labels) - {-1}}


@pytest.mark.parametrize("variant", ["paper", "newman"])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("make", [noise, heavy_tailed, lambda n, seed: planted(n, 4, seed=seed)])
def test_the_spectral_start_is_that_of_a_slow_second_version(make, seed, variant):
    similarity = make(16, seed=seed)
    found = spectral_modules(similarity, variant=variant)
    assert as_sets(found.labels) == set(map(frozenset, oracles.spectral(similarity, newman=variant == "newman")))
    assert found.score == pytest.approx(oracles.score(similarity, found.labels), abs=1e-13)
    assert found.method == f"spectral-{variant}"
    assert found.spectral_score == found.score
    assert (found.seed, found.restarts, found.steps, found.target_entropy) == (None,) * 4


def test_newmans_variant_goes_on_where_the_papers_stops_early():
    similarity = heavy_tailed(64, seed=2)
    assert spectral_modules(similarity, variant="newman").score > spectral_modules(similarity).score + 0.01


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("make", [noise, heavy_tailed, lambda n, seed: planted(n, 3, seed=seed)])
def test_the_search_reaches_the_best_of_all_partitions_of_eight_units(make, seed):
    similarity = make(8, seed=seed)
    assert paper_modules(similarity, restarts=5).score == pytest.approx(oracles.best_score(similarity), abs=1e-12)


def test_the_oracle_of_the_best_partition_looks_at_all_of_them():
    assert len({tuple(labels) for labels in oracles.partitions(8)}) == 4140


@each_similarity
def test_the_search_proposes_what_a_slow_second_version_proposes_with_the_same_random_numbers(similarity):
    share = normalised_adjacency(similarity)
    draws = np.random.default_rng(5).random((400, 2))
    for start in (np.zeros(12, dtype=int), np.arange(12), np.arange(12) % 5):
        slow = oracles.monte_carlo(similarity, start.tolist(), draws, 0.15)
        for steps in (1, 3, 10, 20, 40, 80, 400):
            fast = compiled.best_of_walk(share, share.sum(axis=1), start, draws[:steps], 0.15)
            assert as_sets(fast) == as_sets(np.array(slow[steps - 1])), f"after {steps} steps"


def test_the_best_proposal_counts_even_when_it_is_not_taken():
    # The one step proposes to bring unit 3 to the others; the first random number leaves it alone, the second moves it.
    share = normalised_adjacency(np.array([[0, 1, 8, 8], [1, 0, 8, 8], [8, 8, 0, 1], [8, 8, 1, 0]]))
    start = np.array([0, 0, 0, 1])
    best = compiled.best_of_walk(share, share.sum(axis=1), start, np.array([[0.8, 0.999]]), 0.15)
    taken = compiled.best_of_walk(share, share.sum(axis=1), start, np.array([[0.8, 0.0]]), 0.15)
    assert as_sets(best) == as_sets(taken) == {frozenset({0, 1, 2, 3})}


def test_a_unit_that_is_alone_has_no_second_empty_module_to_choose():
    # Unit 3 can join the others or stay alone: at 0.15 nats it stays with probability 0.0345 (draws above 0.9655). With
    # a second empty module it would be 0.0287 and 0.968 would join. Only from where it stayed is {2, 3} one move away.
    assert oracles.entropy([0.0345, 0.9655]) == pytest.approx(0.15, abs=1e-3)
    assert oracles.entropy([0.0287 / 2, 0.0287 / 2, 0.9713]) == pytest.approx(0.15, abs=1e-3)
    share = normalised_adjacency(np.kron(np.eye(2), np.ones((2, 2))) + 0.1)
    draws = np.array([[0.8, 0.968], [0.6, 0.5]])  # units 3 and 2
    best = compiled.best_of_walk(share, share.sum(axis=1), np.array([0, 0, 0, 1]), draws, 0.15)
    assert as_sets(best) == {frozenset({0, 1}), frozenset({2, 3})}


@pytest.mark.parametrize("target", [1e-3, 0.15, 0.6])
@pytest.mark.parametrize("spread", [1e-9, 1e-3, 1.0])
def test_the_temperature_of_a_step_gives_the_target_entropy(target, spread):
    random = np.random.default_rng(0)
    for n_options in (2, 3, 5, 20, 60):
        gain = spread * random.normal(size=n_options)
        top = int(np.argmax(gain))
        for slope in (1e-3, 3.0, 1e3):  # a first guess that is far off must not matter
            weight = np.empty(n_options)
            found = compiled._weigh(gain, top, target, 0.0, slope, weight)
            assert oracles.entropy(weight) == pytest.approx(target, rel=2e-6)
            inverse_temperature = found / (gain[top] - np.sort(gain)[-2])
            assert inverse_temperature == pytest.approx(oracles.inverse_temperature(gain, target), rel=1e-4)
            np.testing.assert_allclose(weight, np.exp(inverse_temperature * (gain - gain[top])), rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize(
    ("gain", "target", "expected"),
    [
        ([1.0, 1.0, 0.5], 0.15, [1, 1, 0]),  # ties alone have ln 2 > 0.15: T -> 0
        ([1.0, 1.0 - 1e-12, 0.5], 0.15, [1, 1, 0]),  # a tie but for rounding
        ([0.3, 0.3, 0.3], 0.15, [1, 1, 1]),
        ([0.3, 0.1], 0.8, [1, 1]),  # no temperature makes two options that random: T -> inf
        ([0.3], 0.15, [1]),
    ],
)
def test_where_no_temperature_gives_the_target_entropy_the_limit_stands(gain, target, expected):
    weight = np.full(len(gain), np.nan)
    top = int(np.argmax(gain))
    assert compiled._weigh(np.array(gain), top, target, 1e-10, 3.0, weight) == 3.0
    assert weight.tolist() == expected


def test_ties_among_the_best_do_not_keep_the_entropy_from_its_target():
    gain, weight = np.array([1.0, 0.2, 1.0, 0.9]), np.empty(4)
    compiled._weigh(gain, 0, 1.0, 1e-10, 3.0, weight)
    assert weight[0] == weight[2] == 1
    assert oracles.entropy(weight) == pytest.approx(1.0, rel=2e-6)


def test_options_are_drawn_in_proportion_to_their_weights():
    weight = np.array([0.0, 3.0, 0.0, 1.0, 0.0])
    uniform = (np.arange(1000) + 0.5) / 1000
    drawn = [compiled._draw(weight, u) for u in uniform]
    assert np.bincount(drawn, minlength=5).tolist() == [0, 750, 0, 250, 0]
    assert compiled._draw(weight, 1.0) == 3  # rounding at the upper end must not reach an option of weight 0


@pytest.mark.parametrize("seed", range(3))
def test_planted_modules_are_found_and_dead_units_left_out(seed):
    similarity = np.zeros((26, 26))
    live = np.delete(np.arange(26), [0, 7])
    similarity[np.ix_(live, live)] = planted(24, 4, seed=seed)
    expected = np.full(26, -1)
    expected[live] = np.arange(24) % 4
    modules = paper_modules(similarity, seed=seed)
    assert modules.labels.tolist() == expected.tolist()
    assert spectral_modules(similarity).labels[[0, 7]].tolist() == [-1, -1]
    assert modules.communities() == [set(live[module::4].tolist()) for module in range(4)]
    assert modules.n_modules == pytest.approx(np.exp(-4 * (6 / 26) * np.log(6 / 26)))  # shares of all 26 units


def test_dead_units_change_neither_the_modules_nor_their_score():
    similarity = heavy_tailed(20, seed=3)
    alone, beside_dead = paper_modules(similarity), paper_modules(np.pad(similarity, (0, 5)))
    assert beside_dead.labels.tolist() == alone.labels.tolist() + [-1] * 5
    assert beside_dead.score == pytest.approx(alone.score, abs=1e-13)


def test_units_without_structure_score_about_0_07():
    scores = [paper_modules(noise(64, seed=seed)).score for seed in range(10)]
    assert np.mean(scores) == pytest.approx(0.07, abs=0.005)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("steps", [1, 30, 2000])
def test_the_search_is_never_below_its_spectral_start(seed, steps):
    similarity = heavy_tailed(20, seed=seed)
    modules = paper_modules(similarity, seed=seed, steps=steps)
    assert modules.spectral_score == spectral_modules(similarity).score
    assert modules.score >= modules.spectral_score


def test_the_score_is_q_of_the_labels_and_not_the_running_sum():
    similarity = noise(30, seed=1)
    modules = paper_modules(similarity)
    assert modules.score == pytest.approx(modularity_score(similarity, modules.labels), abs=1e-15)
    assert modules.score == pytest.approx(oracles.score(similarity, modules.labels), abs=1e-13)


def test_the_same_seed_gives_the_same_modules_and_another_seed_searches_elsewhere():
    similarity = noise(40, seed=2)
    scores = [paper_modules(similarity, seed=seed, steps=200).score for seed in (0, 0, 1, 2, 3)]
    assert scores[0] == scores[1]
    assert len(set(scores)) > 2


@pytest.mark.parametrize("seed", range(3))
def test_more_restarts_or_more_steps_never_lower_the_score(seed):
    similarity = noise(40, seed=seed)
    by_restarts = [paper_modules(similarity, seed=seed, restarts=r, steps=150).score for r in (1, 2, 3, 5, 8, 20)]
    by_steps = [paper_modules(similarity, seed=seed, steps=steps).score for steps in (*range(1, 150, 10), 150, 600)]
    for scores in (by_restarts, by_steps):
        assert (np.diff(scores) >= -1e-15).all()
        assert scores[-1] > scores[0]
    assert by_restarts[0] == by_steps[-2]


def test_the_modules_are_blind_to_scale_and_diagonal():
    similarity = noise(30, seed=4)  # many near-optima: the least difference on the way would lead to another one
    modules = paper_modules(similarity, steps=300)
    other = similarity.copy()
    np.fill_diagonal(other, -5.0)
    for changed in (other, 1e-30 * similarity, 1e30 * similarity):
        found = paper_modules(changed, steps=300)
        assert found.labels.tolist() == modules.labels.tolist()
        assert found.score == pytest.approx(modules.score, abs=1e-13)


def test_the_modules_of_reordered_units_are_the_reordered_modules():
    similarity = planted(24, 4, seed=5)
    order = np.random.default_rng(1).permutation(24)
    shuffled = paper_modules(similarity[np.ix_(order, order)])
    assert {frozenset(order[list(module)].tolist()) for module in shuffled.communities()} == as_sets(np.arange(24) % 4)


def test_another_entropy_takes_another_path():
    similarity = noise(40, seed=6)
    scores = {
        tuple(paper_modules(similarity, seed=seed, steps=300, target_entropy=entropy).score for seed in range(5))
        for entropy in (0.01, 0.15, 0.6)
    }
    assert len(scores) == 3


def test_labels_are_numbered_in_order_of_first_appearance():
    for similarity in (noise(40, seed=7), np.pad(planted(12, 3, seed=7), (2, 0))):
        for modules in (paper_modules(similarity, restarts=3), spectral_modules(similarity)):
            first = list(dict.fromkeys(label for label in modules.labels.tolist() if label != -1))
            assert first == list(range(len(first)))


def test_communities_go_into_networkx():
    similarity = noise(20, seed=8)
    modules = paper_modules(similarity)
    graph = nx.from_numpy_array(similarity * (1 - np.eye(20)))
    assert nx.community.is_partition(graph, modules.communities())
    assert nx.community.modularity(graph, modules.communities()) == pytest.approx(modules.score, abs=1e-13)


def test_the_soft_number_of_modules_is_the_one_worked_out_by_hand():
    blocks = np.kron(np.eye(2), np.ones((3, 3)))
    assert paper_modules(blocks, steps=50).n_modules == pytest.approx(2)
    # two modules of 3 of 8 units: exp(-2 * 3/8 ln 3/8)
    assert paper_modules(np.pad(blocks, (0, 2)), steps=50).n_modules == pytest.approx((8 / 3) ** (3 / 4))


def test_a_clustering_says_how_it_was_made_and_cannot_be_changed():
    modules = paper_modules(noise(10, seed=9), seed=np.int64(4), restarts=2, steps=30, target_entropy=0.2)
    settings = (modules.method, modules.seed, modules.restarts, modules.steps, modules.target_entropy)
    assert settings == ("paper", 4, 2, 30, 0.2)
    with pytest.raises(ValueError, match="read-only"):
        modules.labels[0] = 5
    with pytest.raises(FrozenInstanceError):
        modules.score = 1.0


def test_an_unknown_variant_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"variant must be one of \('paper', 'newman'\), got 'louvain'\. The default"):
        spectral_modules(noise(5, seed=0), variant="louvain")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, r"seed must be a whole number of at least 0, got -1\. A number that names"),
        ({"seed": 1.0}, r"seed must be a whole number of at least 0, got 1\.0"),
        ({"seed": True}, r"seed must be a whole number of at least 0, got True"),
        ({"restarts": 0}, r"restarts must be a whole number of at least 1, got 0\. The paper uses 1"),
        ({"steps": 0}, r"steps must be a whole number of at least 1, got 0\. .* spectral_modules"),
        ({"steps": None}, r"steps must be a whole number of at least 1, got None"),
        ({"target_entropy": 0.0}, r"target_entropy must be a positive, finite number of nats, got 0\.0\. .* 0\.15"),
        ({"target_entropy": np.nan}, r"target_entropy must be .* got nan"),
        ({"target_entropy": np.inf}, r"target_entropy must be .* got inf"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        paper_modules(noise(5, seed=0), **settings)


@pytest.mark.parametrize("search", [paper_modules, spectral_modules])
@pytest.mark.parametrize("units", [0, 1, 4])
def test_a_layer_whose_units_are_all_dead_is_a_result_without_modules(search, units):
    modules = search(np.eye(units))
    assert modules.status == "all_units_dead"
    assert modules.labels.tolist() == [-1] * units
    assert np.isnan([modules.score, modules.spectral_score]).all()
    assert (modules.n_modules, modules.communities()) == (0.0, [])
    with pytest.raises(AllUnitsDead) as refusal:
        modularity_score(np.eye(units), modules.labels)
    assert modules.reason == str(refusal.value)


WEIGHTS = [1e-8, 1e-12, 1e-16, 1e-40, 1e-200]


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("search", [paper_modules, spectral_modules])
def test_separate_cliques_are_modules_whatever_their_weights(search, weight):
    for weights in ([1, weight, weight], [weight, 1], [1, weight, weight**1.4]):
        similarity = np.kron(np.diag(weights), np.ones((4, 4)))
        assert search(similarity).labels.tolist() == np.repeat(np.arange(len(weights)), 4).tolist()


@pytest.mark.parametrize("weight", WEIGHTS)
def test_a_part_of_small_weights_is_searched_as_well_as_one_alone(weight):
    # Beside a heavy part, chance expects next to nothing inside the light one, so its best module is the whole of it:
    # each of its two cliques is linked to the other by more than that.
    light = np.kron(np.array([[1.0, 0.1], [0.1, 1.0]]), np.ones((4, 4)))
    similarity = np.zeros((12, 12))
    similarity[:4, :4], similarity[4:, 4:] = 1.0, weight * light
    order = np.random.default_rng(0).permutation(12)
    modules = paper_modules(similarity[np.ix_(order, order)])
    assert as_sets(modules.labels) == {frozenset(np.flatnonzero(order < 4)), frozenset(np.flatnonzero(order >= 4))}


@pytest.mark.parametrize("seed", range(5))
def test_units_without_any_link_between_them_never_share_a_module(seed):
    for graph in (
        nx.disjoint_union_all([nx.path_graph(6)] * 8),
        nx.gnm_random_graph(50, 35, seed=seed),
        nx.disjoint_union(nx.complete_graph(9), nx.cycle_graph(7)),
    ):
        similarity = nx.to_numpy_array(graph)
        part_of = {unit: part for part, units in enumerate(nx.connected_components(graph)) for unit in units}
        for modules in (paper_modules(similarity, seed=seed), spectral_modules(similarity)):
            assert all(len({part_of[unit] for unit in module}) == 1 for module in modules.communities())
            assert modules.score == pytest.approx(modularity_score(similarity, modules.labels), abs=1e-15)


@pytest.mark.parametrize("seed", range(4))
def test_the_search_reaches_the_best_of_all_partitions_where_units_fall_into_parts(seed):
    similarity = np.zeros((9, 9))
    similarity[:5, :5], similarity[5:8, 5:8] = noise(5, seed=seed), 0.3 * noise(3, seed=seed)  # unit 8 is dead
    order = np.random.default_rng(seed).permutation(9)
    similarity = similarity[np.ix_(order, order)]
    modules = paper_modules(similarity, seed=seed, restarts=5)
    live = np.delete(np.arange(9), np.flatnonzero(order == 8))
    assert modules.score == pytest.approx(oracles.best_score(similarity[np.ix_(live, live)]), abs=1e-12)
    assert modules.labels[order == 8].tolist() == [-1]


@pytest.mark.parametrize("seed", range(3))
def test_more_restarts_or_steps_never_lower_the_score_of_separate_parts(seed):
    similarity = np.zeros((40, 40))
    similarity[:25, :25], similarity[25:, 25:] = noise(25, seed=seed), 1e-3 * noise(15, seed=seed)
    by_restarts = [paper_modules(similarity, seed=seed, restarts=r, steps=90).score for r in (1, 2, 3, 5, 8)]
    by_steps = [paper_modules(similarity, seed=seed, steps=steps).score for steps in (1, 5, 20, 60, 150, 600)]
    for scores in (by_restarts, by_steps):
        assert (np.diff(scores) >= -1e-15).all()
        assert scores[-1] > scores[0]


def test_the_steps_of_a_part_are_those_that_pick_its_units():
    similarity = np.zeros((7, 7))
    similarity[np.ix_([0, 2, 5], [0, 2, 5])] = similarity[np.ix_([1, 6], [1, 6])] = 1.0  # unit 3 and 4 are dead
    parts = connected_parts(similarity * (1 - np.eye(7)))
    assert [part.units.tolist() for part in parts] == [[0, 2, 5], [1, 6]]
    draws = np.array([[0.1, 0.5], [0.3, 0.6], [0.99, 0.7], [0.45, 0.8]])  # live units 0, 1, 6 and 2 of 0, 1, 2, 5, 6
    first, second = _draws_of_parts(parts, draws)
    assert (first[:, 0] * 3).astype(int).tolist() == [0, 1]
    assert (second[:, 0] * 2).astype(int).tolist() == [0, 1]
    assert (first[:, 1].tolist(), second[:, 1].tolist()) == ([0.5, 0.8], [0.6, 0.7])


def test_a_layer_with_live_units_has_no_reason_to_be_left_out():
    modules = paper_modules(np.ones((2, 2)), steps=5)
    assert (modules.status, modules.reason, modules.n_modules) == ("ok", "", 1.0)


@pytest.mark.parametrize("search", [paper_modules, spectral_modules])
def test_a_matrix_with_negative_entries_is_refused_by_every_search(search):
    with pytest.raises(ValueError, match="must not be negative"):
        search(np.array([[1.0, -0.5], [-0.5, 1.0]]))


BLOCKS = np.kron(np.eye(2), np.ones((3, 3)))
EXTREMES = {
    "the smallest number": 5e-324 * BLOCKS,
    "subnormal": 1e-320 * BLOCKS,
    "large": 1e300 * BLOCKS,
    "the largest numbers": 1.7e308 * BLOCKS,
    "both": np.kron(np.diag([1e300, 1e-320]), np.ones((3, 3))),
    "as far apart as can be": np.kron(np.diag([1.7e308, 5e-324]), np.ones((3, 3))),
    "weak links between": np.where(BLOCKS > 0, 1e300, 1e-320),
    "a diagonal that dwarfs them": 5e-324 * BLOCKS + 1e308 * np.eye(6),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", EXTREMES)
def test_weights_at_both_ends_of_the_numbers_give_the_modules_that_they_show(name):
    for found in (paper_modules(EXTREMES[name], steps=200), spectral_modules(EXTREMES[name], variant="newman")):
        assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
        assert found.score == modularity_score(EXTREMES[name], found.labels)
        weights = EXTREMES[name] * (1 - np.eye(6))
        assert found.score == pytest.approx(oracles.score(weights / weights.max(), found.labels))

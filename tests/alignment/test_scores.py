"""Scores of two clusterings against definitions, hand tables, clusim and exact enumeration."""

import itertools
import math
import time

import numpy as np
import pytest
from clusim import sim
from clusim.clustering import Clustering

import oracles_alignment as oracles
from modularity_lib.alignment import compiled, overlaps, scores

SCORES = {
    "element_centric": (scores.element_centric_similarity, 1.0),
    "expected": (scores.expected_element_centric_similarity, None),
    "vi": (scores.variation_of_information, 0.0),
    "vi_norm": (lambda a, b: scores.variation_of_information(a, b, normalized=True), 0.0),
    "rmi": (scores.reduced_mutual_information, None),
    "rmi_norm": (lambda a, b: scores.reduced_mutual_information(a, b, normalized=True), 1.0),
    "greedy": (scores.greedy_matching_score, 1.0),
}
ON_LABELS = (
    *(score for score, _ in SCORES.values()),
    scores.agreement,
    scores.agreement_p_value,
)
every_score = pytest.mark.parametrize("name", SCORES)


def random_labels(random, n_units, n_modules, dead=0.0):
    labels = random.integers(0, n_modules, n_units)
    return np.where(random.random(n_units) < dead, -1, labels)


def random_pairs(n_units=64, n_pairs=20, seed=0):
    """Independent and related pairs, with and without dead units, of one to ten modules."""
    random = np.random.default_rng(seed)
    for index in range(n_pairs):
        a = random_labels(random, n_units, random.integers(1, 11), dead=0.15 * (index % 2))
        b = random_labels(random, n_units, random.integers(1, 11), dead=0.15 * (index // 2 % 2))
        yield a, np.where(random.random(n_units) < 0.5, a, b) if index % 3 else b


def in_clusim(labels):
    return Clustering().from_membership_list(labels.tolist())


# ---------------------------------------------------------------- all scores


@every_score
def test_identical_clusterings_have_the_best_score(name):
    score, best = SCORES[name]
    for a, _ in random_pairs():
        if best is not None:
            assert score(a, a) == best


@every_score
def test_names_of_modules_do_not_matter(name):
    score, _ = SCORES[name]
    random = np.random.default_rng(1)
    for a, b in random_pairs():
        new_names = np.append(random.choice(1000, size=10, replace=False), -1)  # index -1: the dead keep their name
        assert score(new_names[a], b) == pytest.approx(score(a, b), abs=1e-12)
        assert score(a, new_names[b]) == pytest.approx(score(a, b), abs=1e-12)


@every_score
def test_order_of_the_two_clusterings_does_not_matter(name):
    score, _ = SCORES[name]
    for a, b in (*random_pairs(), *random_pairs(n_units=20, n_pairs=60)):  # fewer units: more ties
        assert score(a, b) == pytest.approx(score(b, a), abs=1e-12)


@every_score
def test_moving_one_unit_away_is_noticed(name):
    score, best = SCORES[name]
    a = np.repeat([0, 1, 2, 3], 16)
    b = np.append(a[:-1], 0)
    if best is not None:
        assert abs(score(a, b) - best) > 0.01


@every_score
def test_whole_numbers_of_every_kind_are_labels(name):
    score, _ = SCORES[name]
    a, b = np.repeat([0, 1, 2], [2, 4, 6]), np.tile([0, 1, 2], 4)
    assert score(a.astype(np.int8), b.astype(np.uint8)) == score(a, b) == score(a.tolist(), b.tolist())
    assert score((255 - a).astype(np.uint8), b) == score(a, b)  # 255 is no -1


@every_score
def test_a_single_unit_has_a_score(name):
    score, best = SCORES[name]
    expected = {"expected": 1.0, "rmi": 0.0}.get(name, best)
    assert score(np.array([0]), np.array([3])) == expected


def test_one_table_gives_the_same_numbers_as_the_single_functions():
    for a, b in random_pairs(n_pairs=6):
        assert scores.agreement(a, b, permutations=99, seed=3) == scores.Agreement(
            element_centric=scores.element_centric_similarity(a, b),
            rmi=scores.reduced_mutual_information(a, b),
            rmi_norm=scores.reduced_mutual_information(a, b, normalized=True),
            vi=scores.variation_of_information(a, b),
            vi_norm=scores.variation_of_information(a, b, normalized=True),
            greedy=scores.greedy_matching_score(a, b),
            p_value=scores.agreement_p_value(a, b, permutations=99, seed=3),
        )


def test_labels_are_left_as_they_were():
    a, b = np.array([0, 0, 1, 1, -1, 2]), np.array([1, 0, 0, 0, -1, 1])
    scores.agreement(a, b, permutations=20)
    assert a.tolist() == [0, 0, 1, 1, -1, 2]
    assert b.tolist() == [1, 0, 0, 0, -1, 1]


# ---------------------------------------------------------------- element-centric similarity


@pytest.mark.parametrize("alpha", [0.3, 0.9, 0.99])
def test_element_centric_is_the_pagerank_definition_for_every_teleport_parameter(alpha):
    for a, b in random_pairs(n_units=40, n_pairs=8):
        slow = oracles.element_centric(a, b, alpha)
        assert scores.element_centric_similarity(a, b) == pytest.approx(slow, abs=1e-10)


def test_element_centric_agrees_with_clusim():
    for a, b in random_pairs():
        theirs = sim.element_sim(in_clusim(a), in_clusim(b))
        assert scores.element_centric_similarity(a, b) == pytest.approx(theirs, abs=1e-10)


def test_element_centric_counts_the_dead_units_as_one_more_module():
    a, b = np.array([0, 0, 0, -1]), np.array([0, 0, 0, 0])
    assert scores.element_centric_similarity(a, b) == (3 * 3 / 4 + 1 / 4) / 4
    assert scores.element_centric_similarity(np.array([0, 0, -1, -1]), np.array([0, 0, 1, 1])) == 1.0


def test_expected_element_centric_is_the_mean_over_all_shuffles():
    for a, b in (([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 1]), ([0, 0, 1, 1, -1, -1], [0, 1, 2, 3, 3, -1])):
        a, b = np.array(a), np.array(b)
        shuffled = [oracles.element_centric(a, b[list(order)], 0.9) for order in itertools.permutations(range(6))]
        assert scores.expected_element_centric_similarity(a, b) == pytest.approx(np.mean(shuffled), abs=1e-12)


def test_expected_element_centric_of_one_module_each_is_exactly_one():
    for n_units in (1, 2, 3, 7, 64, 511):
        labels = np.zeros(n_units, dtype=int)
        assert scores.expected_element_centric_similarity(labels, labels) == 1.0


# ---------------------------------------------------------------- variation of information


def test_variation_of_information_is_what_entropies_give_by_hand():
    a, b = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])  # overlaps of 2 and 1 units, and of 0 and 1
    of_a = -(3 / 4 * math.log(3 / 4) + 1 / 4 * math.log(1 / 4))
    of_b = math.log(2)
    joint = -(2 / 4 * math.log(2 / 4) + 2 * 1 / 4 * math.log(1 / 4))
    assert scores.variation_of_information(a, b) == pytest.approx(2 * joint - of_a - of_b, abs=1e-14)
    normalised = scores.variation_of_information(a, b, normalized=True)
    assert normalised == pytest.approx((2 * joint - of_a - of_b) / joint, abs=1e-14)


def test_variation_of_information_is_what_entropies_give():
    for a, b in random_pairs():
        vi, joint = oracles.variation_of_information(a, b)
        assert scores.variation_of_information(a, b) == pytest.approx(vi, abs=1e-12)
        assert scores.variation_of_information(a, b, normalized=True) == pytest.approx(vi / joint, abs=1e-12)


def test_variation_of_information_agrees_with_clusim_in_bits():
    for a, b in random_pairs():
        theirs = sim.vi(in_clusim(a), in_clusim(b))
        assert scores.variation_of_information(a, b) / math.log(2) == pytest.approx(theirs, abs=1e-12)


def test_variation_of_information_counts_the_dead_units_as_one_more_module():
    a, b = np.array([0, 0, -1, -1]), np.zeros(4, dtype=int)
    assert scores.variation_of_information(a, b) == pytest.approx(math.log(2), abs=1e-15)
    assert scores.variation_of_information(a, np.array([0, 0, 1, 1])) == 0.0


def test_clusterings_of_one_module_have_no_variation_of_information():
    ones = np.zeros(5, dtype=int)
    assert scores.variation_of_information(ones, ones - 1) == 0.0
    assert scores.variation_of_information(ones, ones - 1, normalized=True) == 0.0


# ---------------------------------------------------------------- reduced mutual information


@pytest.mark.parametrize(
    ("a_sizes", "b_sizes", "nats"),
    [
        # Modules of several units: within 0.1; two equal halves are the worst of them.
        ((20, 12, 16, 16), (30, 10, 24), 0.05),
        ((10, 10, 10, 10, 10), (10, 20, 20), 0.05),
        ((8, 8, 8), (12, 6, 6), 0.05),
        ((40, 8, 8, 4, 4), (30, 20, 10, 4), 0.1),
        ((6, 4), (5, 5), 0.1),
        ((32, 32), (32, 32), 0.2),
        # Modules of one unit: the formula is made for larger ones.
        ((62, 1, 1), (62, 1, 1), 0.35),
        ((1, 1, 1, 1), (1, 1, 1, 1), 0.35),
    ],
)
def test_log_table_count_is_close_to_counting_every_table(a_sizes, b_sizes, nats):
    exact = math.log(oracles.table_count(a_sizes, b_sizes))
    assert scores.log_table_count(np.array(a_sizes), np.array(b_sizes)) == pytest.approx(exact, abs=nats)


def test_only_one_table_has_a_single_row_or_column():
    assert oracles.table_count((9,), (2, 3, 4)) == 1
    for sizes in (np.array([2, 3, 4]), np.arange(1, 12)):  # of 11 sizes the formula alone makes 1e-15
        assert scores.log_table_count(np.array([sizes.sum()]), sizes) == 0.0
        assert scores.log_table_count(sizes, np.array([sizes.sum()])) == 0.0


def test_reduced_mutual_information_is_factorials_less_the_cost_of_the_table():
    halves, tilted = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 1])  # overlaps: 2 and 1, 0 and 3
    nats = math.log(math.factorial(6) * 2 * 1 * 1 * 6 / (6 * 6 * 2 * 24))
    assert oracles.table_count((3, 3), (2, 4)) == 3
    cost = scores.log_table_count(np.array([3, 3]), np.array([2, 4]))
    assert cost == pytest.approx(math.log(3), abs=0.1)
    assert scores.reduced_mutual_information(halves, tilted) == pytest.approx((nats - cost) / 6, abs=1e-14)


def test_reduced_mutual_information_is_close_to_the_one_with_exactly_counted_tables():
    random = np.random.default_rng(2)
    for _ in range(10):
        a = np.append([0, 1, 2], random_labels(random, 21, 3))
        b = np.append([0, 1, 2], random_labels(random, 21, 3))
        tables = oracles.table_count(tuple(np.bincount(a).tolist()), tuple(np.bincount(b).tolist()))
        slow = oracles.reduced_mutual_information(a, b, math.log(tables))
        # the cost is within 0.2 nats in total, here shared by 24 units
        assert scores.reduced_mutual_information(a, b) == pytest.approx(slow, abs=0.2 / 24)


@pytest.mark.parametrize("normalized", [False, True])
def test_reduced_mutual_information_agrees_with_clusim(normalized):
    for a, b in random_pairs():
        if len(set(a)) == 1 or len(set(b)) == 1:
            continue  # clusim divides rounding errors there
        norm_type, to_nats = ("normalized", 1.0) if normalized else ("none", math.log(2))
        theirs = sim.rmi(in_clusim(a), in_clusim(b), norm_type=norm_type) * to_nats
        ours = scores.reduced_mutual_information(a, b, normalized=normalized)
        assert ours == pytest.approx(theirs, abs=1e-10)


def test_reduced_mutual_information_counts_the_dead_units_as_one_more_module():
    a, b = np.repeat([0, 1, -1], 8), np.repeat([0, 1, 2], 8)
    assert scores.reduced_mutual_information(a, b) == scores.reduced_mutual_information(b, b) > 0.5
    assert scores.reduced_mutual_information(a, b, normalized=True) == 1.0


def test_one_module_tells_nothing_of_another_clustering():
    ones = np.zeros(64, dtype=int)
    for n_modules in range(2, 12):
        for normalized in (False, True):
            assert scores.reduced_mutual_information(ones, np.arange(64) % n_modules, normalized=normalized) == 0.0
    assert scores.reduced_mutual_information(ones, ones) == 0.0
    assert scores.reduced_mutual_information(ones, ones, normalized=True) == 1.0


def test_clusterings_without_information_about_themselves_have_a_normalised_score():
    singles, almost = np.arange(64), np.append(np.arange(63), 0)
    assert scores.reduced_mutual_information(singles, singles) < 0  # the cost of the table is overestimated there
    assert scores.reduced_mutual_information(singles, almost, normalized=True) == 0.0
    assert scores.reduced_mutual_information(singles, singles, normalized=True) == 1.0


def test_independent_clusterings_share_no_reduced_information():
    random = np.random.default_rng(4)
    pairs = [(random_labels(random, 64, 5), random_labels(random, 64, 5)) for _ in range(200)]
    assert np.mean([scores.reduced_mutual_information(a, b) for a, b in pairs]) < 0


# ---------------------------------------------------------------- greedy matching


def labels_of_table(table):
    """Two label arrays with this table of overlaps."""
    cells = [(r, s) for r, row in enumerate(table) for s, units in enumerate(row) for _ in range(units)]
    return tuple(np.array(labels) for labels in zip(*cells, strict=True))


def test_greedy_takes_the_largest_overlap_first_even_if_another_matching_is_better():
    a, b = labels_of_table([[5, 4], [4, 0]])
    assert scores.greedy_matching_score(a, b) == (5 + 0) / 13  # 4 + 4 would be more

    a, b = labels_of_table([[1, 7, 2], [6, 5, 0], [3, 4, 1], [0, 0, 2]])
    assert scores.greedy_matching_score(a, b) == (7 + 6 + 2) / 31


def test_greedy_breaks_ties_towards_the_smaller_module():
    # Two overlaps of 3 share a row. The one with the module of 3 units goes first, which leaves the other module its 2.
    for table in ([[3, 3], [2, 0]], [[3, 3], [0, 2]]):
        a, b = labels_of_table(table)
        assert scores.greedy_matching_score(a, b) == scores.greedy_matching_score(b, a) == (3 + 2) / 8
    # So too where it costs more: after the 4 comes the 3 with the module of 3 + 1 units, and the 1 is lost.
    a, b = labels_of_table([[3, 3, 0], [1, 0, 0], [0, 2, 4]])
    assert scores.greedy_matching_score(a, b) == (4 + 3 + 0) / 13


def test_greedy_breaks_ties_of_equal_sizes_towards_the_module_with_the_first_unit():
    units = [(0, 0), (0, 1), (1, 0), (1, 2), (2, 1), (2, 2)]  # each module has two units, each overlap is 1 or 0
    a, b = np.array(units).T
    for order in itertools.permutations(range(6)):
        rows, columns = (np.unique(labels[list(order)], return_inverse=True)[1] for labels in (a, b))
        expected = oracles.greedy_units(oracles.modules(rows), oracles.modules(columns))
        assert scores.greedy_matching_score(rows, columns) == expected / 6


def test_greedy_agrees_with_sets_of_units():
    for a, b in (*random_pairs(), *random_pairs(n_units=20, n_pairs=100)):
        matched = oracles.greedy_units(oracles.modules(a), oracles.modules(b))
        assert scores.greedy_matching_score(a, b) == matched / min(np.sum(a >= 0), np.sum(b >= 0))


def test_greedy_reaches_a_number_that_largest_overlap_first_can_reach():
    random = np.random.default_rng(5)
    for _ in range(50):
        a, b = random_labels(random, 16, 4, dead=0.1), random_labels(random, 16, 4, dead=0.1)
        matched = scores.greedy_matching_score(a, b) * min(np.sum(a >= 0), np.sum(b >= 0))
        assert round(matched, 9) in oracles.greedy_totals(oracles.modules(a), oracles.modules(b))


def test_greedy_leaves_dead_units_out_of_overlaps_and_of_the_count():
    a, b = np.array([0, 0, 0, -1, -1, -1, -1]), np.array([0, 0, 1, -1, -1, -1, -1])
    assert scores.greedy_matching_score(a, b) == 2 / 3
    assert scores.greedy_matching_score(np.array([0, 0, -1, -1]), np.array([0, 0, 0, 0])) == 2 / 2


def test_clusterings_of_dead_units_match_nothing():
    dead, alive = np.full(4, -1), np.zeros(4, dtype=int)
    for a, b in ((dead, dead), (dead, alive), (alive, dead)):
        assert scores.greedy_matching_score(a, b) == 0.0
        assert scores.agreement_p_value(a, b, permutations=9) == 1.0


# ---------------------------------------------------------------- permutation test


def test_smallest_p_value_is_one_in_permutations_plus_one():
    labels = np.arange(64) % 8
    for permutations in (1, 9, 4999):
        assert scores.agreement_p_value(labels, labels, permutations=permutations) == 1 / (permutations + 1)


def test_agreement_that_every_relabelling_reaches_has_p_value_one():
    ones, singles = np.zeros(8, dtype=int), np.arange(8)
    for a, b in ((ones, ones), (ones, np.repeat([0, 1], 4)), (singles, singles)):
        assert scores.agreement_p_value(a, b, permutations=50) == 1.0


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1]),  # chance 1/35
        ([0, 0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 1, 1, 0]),
        ([0, 0, 1, 1, 2, 2, 2], [0, 1, 1, 1, 2, 2, 2]),
        ([0, 0, 0, 0, 0, 1, 2], [0, 1, 1, 2, 2, 2, 2]),
        ([0, 0, 1, 1, -1, -1, -1], [0, 0, 1, 1, 1, -1, -1]),  # dead units are relabelled too
        ([0, 0, 0, -1, -1, 1, 1], [0, 0, 0, 0, 1, 1, 1]),
        ([0, 0, 1, 1, 1, 1, 1], [0, 0, -1, -1, -1, -1, 1]),
    ],
)
def test_p_value_is_the_exact_share_over_all_orders_of_seven_units(a, b):
    a, b = np.array(a), np.array(b)
    share = oracles.share_as_high(a, b, list(itertools.permutations(range(7))))
    permutations = 40_000
    slack = 4 * math.sqrt(share * (1 - share) / permutations) + 1 / permutations
    for seed in (0, 1):
        p = scores.agreement_p_value(a, b, permutations=permutations, seed=seed)
        assert p == pytest.approx(share, abs=slack)


def test_the_first_relabelling_of_each_seed_is_a_fair_one():
    a, b = np.array([0, 0, 1, 1, 2, 2, 2]), np.array([0, 0, 0, 1, 1, 2, 2])
    share = oracles.share_as_high(a, b, list(itertools.permutations(range(7))))
    p_values = [scores.agreement_p_value(a, b, permutations=1, seed=seed) for seed in range(4000)]
    as_high = np.mean(np.array(p_values) == 1.0)  # (1 + 1) / (1 + 1), against (0 + 1) / (1 + 1)
    assert as_high == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 4000))


def test_p_value_agrees_with_shuffling_by_numpy():
    random = np.random.default_rng(6)
    for n_modules, noise in ((3, 0.75), (5, 0.9), (9, 0.9)):
        a = random_labels(random, 64, n_modules, dead=0.1)
        b = np.where(random.random(64) < noise, random_labels(random, 64, n_modules), a)
        slow = oracles.share_as_high(a, b, [random.permutation(64) for _ in range(1000)])
        p = scores.agreement_p_value(a, b, permutations=20_000)
        assert p == pytest.approx(slow, abs=4 * math.sqrt(max(slow, 0.01) * (1 - slow) / 1000))


def test_p_value_is_uniform_when_clusterings_are_independent():
    random = np.random.default_rng(7)
    p_values = np.array(
        [
            scores.agreement_p_value(
                random_labels(random, 64, random.integers(4, 11), dead=0.05 * (index % 3)),
                random_labels(random, 64, random.integers(4, 11), dead=0.05 * (index % 2)),
                permutations=199,
                seed=index,
            )
            for index in range(400)
        ]
    )
    for level in (0.05, 0.2, 0.5):
        sampling = math.sqrt(level * (1 - level) / 400)
        share = np.mean(p_values <= level)
        assert share <= level + 3 * sampling
        # The score is a whole number of units, and ties count as chance: p is a little too large, but not useless.
        assert share >= 0.6 * level - 3 * sampling


def test_same_seed_same_p_value():
    random = np.random.default_rng(8)
    a, b = random_labels(random, 64, 6), random_labels(random, 64, 6)
    first, again, other = (scores.agreement_p_value(a, b, permutations=1999, seed=seed) for seed in (5, 5, 6))
    assert first == again
    assert 0.02 < first < 0.98
    assert first != other


# ---------------------------------------------------------------- many units, many modules


@pytest.mark.parametrize("dead", [0.0, 0.2])
def test_a_nearly_empty_table_gives_the_same_p_value_as_a_whole_one(monkeypatch, dead):
    random = np.random.default_rng(11)
    for n_units, n_modules in ((7, 3), (40, 12), (64, 64), (100, 8)):
        a, b = (random_labels(random, n_units, n_modules, dead) for _ in range(2))
        b = np.where(random.random(n_units) < 0.4, a, b)
        p_values = []
        for cells_per_unit in (0, 10**9):
            monkeypatch.setattr(compiled, "_CELLS_PER_UNIT", cells_per_unit)
            p_values += [scores.agreement_p_value(*pair, permutations=200, seed=5) for pair in ((a, b), (a, a))]
        assert p_values[:2] == p_values[2:]


@every_score
def test_a_table_held_whole_or_by_its_cells_gives_the_same_score(name, monkeypatch):
    score, _ = SCORES[name]
    pairs = [*random_pairs(n_pairs=8), (np.arange(30), np.arange(30)), (np.arange(30), np.repeat(np.arange(15), 2))]
    whole = [score(a, b) for a, b in pairs]
    monkeypatch.setattr(scores, "WHOLE_TABLE", 0)
    monkeypatch.setattr(overlaps, "WHOLE_TABLE", 0)
    assert [score(a, b) for a, b in pairs] == pytest.approx(whole, rel=1e-12, abs=1e-12)


@every_score
def test_a_hundred_thousand_modules_take_no_table_of_all_their_pairs(name):
    score, best = SCORES[name]
    singles, pairs = np.random.default_rng(12).permutation(100_000), np.arange(100_000) // 2
    started = time.process_time()
    found = score(singles, singles), score(singles, pairs)
    assert time.process_time() - started < 5  # the table would have 1e10 cells
    if best is not None:
        assert found[0] == best
    # each unit is one of the two of its pair
    expected = {"element_centric": 1 / 2, "expected": 1 / 2, "greedy": 1 / 2, "vi": math.log(2)}
    if name in expected:
        assert found[1] == pytest.approx(expected[name], rel=1e-12)


def test_the_test_of_agreement_takes_thousands_of_modules():
    singles = np.arange(6000)
    started = time.process_time()
    result = scores.agreement(singles, singles[::-1], permutations=20)
    assert (result.element_centric, result.greedy, result.p_value) == (1.0, 1.0, 1.0)
    assert time.process_time() - started < 60  # most of it to compile; it took minutes for each permutation


@pytest.mark.parametrize("n_units", [60_000, 200_000])  # the fourth power of their number is beyond 64 bits
def test_chance_is_right_for_more_units_than_whole_numbers_can_multiply(n_units):
    ones = np.zeros(n_units, dtype=int)
    assert scores.expected_element_centric_similarity(ones, ones) == pytest.approx(1.0, rel=1e-12)
    halves = ones.copy()
    halves[: n_units // 2] = 1
    # each half of a meets half of each half of b, by the same number of units
    assert scores.expected_element_centric_similarity(halves, halves) == pytest.approx(0.5, rel=1e-4)


# ---------------------------------------------------------------- scores that need the similarities


def random_similarity(random, n_units):
    similarity = random.random((n_units, n_units))
    return similarity + similarity.T


def test_transfer_is_the_mean_ratio_of_modularity_under_swapped_modules():
    pairs = np.kron(np.eye(2), np.ones((2, 2)))  # units 0-1 and 2-3 linked
    crossed = pairs[np.ix_([0, 2, 1, 3], [0, 2, 1, 3])]  # units 0-2 and 1-3 linked
    own, other = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    # Q of two linked pairs: own modules 1 - 2/4 = 1/2; across 0 - 2/4 = -1/2
    assert scores.transfer(pairs, own, crossed, other) == pytest.approx(-0.5 / (0.5 + 1e-3), abs=1e-12)
    assert scores.transfer(pairs, own, pairs, own) == pytest.approx(0.5 / (0.5 + 1e-3), abs=1e-12)


def test_transfer_divides_each_by_its_own_score():
    random = np.random.default_rng(9)
    labels_a, labels_b = np.array([0, 0, 0, 1, 1, 1, -1]), np.array([0, 0, 1, 1, 1, 2, 2])
    a = random_similarity(random, 7) + 3 * np.equal.outer(labels_a, labels_a)
    b = random_similarity(random, 7) + 6 * np.equal.outer(labels_b, labels_b)
    slow = (
        oracles.modularity(a, labels_b) / (oracles.modularity(a, labels_a) + 1e-3)
        + oracles.modularity(b, labels_a) / (oracles.modularity(b, labels_b) + 1e-3)
    ) / 2
    assert scores.transfer(a, labels_a, b, labels_b) == pytest.approx(slow, abs=1e-12)


def test_similarity_spearman_is_the_correlation_of_ranks_above_the_diagonal():
    random = np.random.default_rng(10)
    for decimals in (1, 8):  # with ties, and without
        a, b = (random_similarity(random, 9).round(decimals) for _ in range(2))
        b += 0.5 * a
        np.fill_diagonal(a, 50.0)
        upper = [(i, j) for i in range(9) for j in range(i + 1, 9)]
        slow = oracles.spearman([a[pair] for pair in upper], [b[pair] for pair in upper])
        assert scores.similarity_spearman(a, b) == pytest.approx(slow, abs=1e-12)
        assert scores.similarity_spearman(a, -b) == pytest.approx(-slow, abs=1e-12)


def test_similarity_spearman_of_constant_similarities_is_zero():
    ramp = np.add.outer(np.arange(5.0), np.arange(5.0))
    for constant in (np.zeros((5, 5)), np.full((5, 5), 0.1), np.full((5, 5), 0.3) + np.eye(5)):
        assert scores.similarity_spearman(constant, ramp) == 0.0
        assert scores.similarity_spearman(ramp, constant) == 0.0
    for n_units in (1, 2):
        assert scores.similarity_spearman(np.ones((n_units, n_units)), np.ones((n_units, n_units))) == 0.0


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("score", ON_LABELS)
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ([0, 1, 1], [0, 1], "a and b must label the same units, got 3 and 2 labels"),
        ([0.0, 1.0], [0, 1], r"a must hold whole numbers, got list, shape \(2,\) of float64"),
        ([0, 1], [True, False], r"b must hold whole numbers, got list, shape \(2,\) of bool"),
        ([0, 1], [[0, 1]], r"b must hold one module per unit, .* shape \(1, 2\)"),
        (3, [0, 1], r"a must hold one module per unit, .* shape \(\)"),
        ([], [], r"a must hold one module per unit, .* shape \(0,\)"),
        ([0, 1], [0, -2], "b must be at least -1, got -2 for unit 1"),
    ],
)
def test_labels_that_are_no_clusterings_of_the_same_units_are_refused(score, a, b, message):
    with pytest.raises(ValueError, match=message):
        score(a, b)


@pytest.mark.parametrize("score", [scores.agreement, scores.agreement_p_value])
@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"permutations": 0}, "permutations must be a whole number of at least 1, got 0"),
        ({"permutations": 10.5}, "permutations must be a whole number of at least 1, got 10.5"),
        ({"permutations": True}, "permutations must be a whole number of at least 1, got True"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"seed": None}, "seed must be a whole number of at least 0, got None"),
    ],
)
def test_permutations_and_seeds_that_are_not_whole_numbers_are_refused(score, choice, message):
    with pytest.raises(ValueError, match=message):
        score(np.array([0, 1]), np.array([0, 1]), **choice)


def test_transfer_refuses_modules_that_were_not_found_in_their_similarity():
    pairs = np.kron(np.eye(2), np.ones((2, 2)))
    own, other = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"labels_a must be modules found in similarity_a, got .* Q = -0.5"):
        scores.transfer(pairs, other, pairs, own)
    with pytest.raises(ValueError, match=r"labels_b must be modules found in similarity_b, got .* Q = -0.5"):
        scores.transfer(pairs, own, pairs, other)


def test_transfer_calls_what_it_refuses_by_its_name():
    pairs, own = np.kron(np.eye(2), np.ones((2, 2))), np.array([0, 0, 1, 1])
    for arguments, message in (
        ((pairs, own, np.ones((5, 5)), own), "similarity_a and similarity_b must be of the same units, got 4 and 5"),
        ((pairs, own, -pairs, own), "similarity_b must not be negative"),
        ((pairs + np.eye(4)[::-1] * [1, 0, 0, 0], own, pairs, own), "similarity_a must be symmetric"),
        ((pairs, own, pairs, own[:3]), r"labels_b must hold one module per unit, shape \(4,\), got shape \(3,\)"),
        ((np.eye(4), own, pairs, own), "similarity_a: .* all 4 units are dead"),
    ):
        with pytest.raises(ValueError, match=message):
            scores.transfer(*arguments)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (np.eye(3), np.eye(4), r"must be of one size, got shapes \(3, 3\) and \(4, 4\)"),
        (np.ones((2, 3)), np.ones((2, 3)), r"similarity_a must be a square array .* shape \(2, 3\)"),
        (np.ones(9), np.eye(3), r"similarity_a must be a square array .* shape \(9,\)"),
        (np.full((3, 3), np.nan), np.eye(3), "similarity_a must be finite, got nan .* first of 9"),
        (np.eye(3), np.diag([1.0, 1.0, np.inf]), "similarity_b must be finite, got inf .* first of 1"),
    ],
)
def test_similarities_of_other_shapes_and_unfinished_numbers_are_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        scores.similarity_spearman(a, b)

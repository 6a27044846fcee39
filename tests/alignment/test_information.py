"""Mutual information corrected in two ways, against definitions, closed cases and two programs of others."""

import itertools
import math

import numpy as np
import pytest

import oracles_alignment as oracles
from modularity_lib.alignment import compiled_information, information

UNITS = np.arange(64)
# What two programs of others give: I(a; b) in bits of all units, normalised, and I(b; a) normalised, by clustering-mi
# 0.2.2 (`mutual_information(b, a)` and `normalized_mutual_information`), whose search for α stops at 1e-5 of ln α; and
# AMI by scikit-learn 1.9.1 (`adjusted_mutual_info_score`). Neither is required here.
BY_OTHERS = {
    "a quarter moved": (
        (UNITS // 8, np.where(UNITS % 4 == 0, UNITS * 5 % 7, UNITS // 8)),
        (67.2983634164, 0.400625809, 0.4036573865, 0.5940155149),
    ),
    "nothing shared": ((UNITS % 4, UNITS // 4 % 4), (-2.0749e-06, -1.73e-08, -1.73e-08, -0.0582188365)),
    "halves of halves": ((UNITS // 16, UNITS // 32), (50.6759945495, 0.4223079933, 0.9677303882, 0.65864802)),
    "48 dead in both, nothing else shared": (
        (np.where(UNITS < 48, -1, UNITS % 4), np.where(UNITS < 48, -1, UNITS // 4 % 4)),
        (35.4936500108, 0.4299337969, 0.4299337969, 0.5662506355),
    ),
    "unequal modules": (
        (np.minimum(UNITS // 3, 9), np.minimum(UNITS**2 // 90, 6)),
        (67.6165038151, 0.5096469223, 0.6216550833, 0.7134716458),
    ),
}


def pairs(n_units=40, n_pairs=30, seed=0):
    random = np.random.default_rng(seed)
    for index in range(n_pairs):
        a, b = (random.integers(-1, random.integers(1, 9), n_units) for _ in range(2))
        yield a, np.where(random.random(n_units) < 0.7, a, b) if index % 3 else b


@pytest.mark.parametrize("name", BY_OTHERS)
def test_both_are_what_the_programs_of_others_give(name):
    (a, b), (bits, share_of_a, share_of_b, adjusted) = BY_OTHERS[name]
    score = information.dirichlet_reduced_mutual_information
    assert score(a, b) * 64 / math.log(2) == pytest.approx(bits, abs=5e-6)
    assert score(a, b, normalized=True) == pytest.approx(share_of_a, abs=1e-6)
    assert score(b, a, normalized=True) == pytest.approx(share_of_b, abs=1e-6)
    assert information.adjusted_mutual_information(a, b) == pytest.approx(adjusted, abs=1e-9)


def test_adjusted_mutual_information_is_corrected_by_the_mean_over_all_ways_to_shuffle():
    for a, b in (([0, 0, 1, 1, 2, -1], [0, 1, 0, 1, 1, 1]), ([0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2])):
        shuffled = [_information(a, list(other)) for other in itertools.permutations(b)]
        by_chance = sum(shuffled) / len(shuffled)
        most = (oracles.entropy(a) + oracles.entropy(b)) / 2
        expected = (_information(a, b) - by_chance) / (most - by_chance)
        assert information.adjusted_mutual_information(a, b) == pytest.approx(expected, abs=1e-13)


def _information(a, b):
    return oracles.entropy(a) + oracles.entropy(b) - oracles.entropy(list(zip(a, b, strict=True)))


def test_adjusted_mutual_information_is_0_on_average_for_shuffled_units():
    random = np.random.default_rng(0)
    a, b = random.integers(0, 6, 64), random.integers(0, 4, 64)
    scores = [information.adjusted_mutual_information(a, random.permutation(b)) for _ in range(400)]
    assert abs(np.mean(scores)) < 4 * np.std(scores) / math.sqrt(400)


def test_the_code_is_as_long_as_its_letters_one_by_one():
    # An urn: in each module of b, the modules of a are expected as they were seen, with α units of each to begin with.
    for a, b in pairs(n_pairs=6):
        n_modules, alpha = len(set(a.tolist())), 0.7
        seen, length = {}, 0.0
        for of_a, of_b in zip(a.tolist(), b.tolist(), strict=True):
            urn = seen.setdefault(of_b, {})
            length -= math.log((urn.get(of_a, 0) + alpha) / (sum(urn.values()) + n_modules * alpha))
            urn[of_a] = urn.get(of_a, 0) + 1
        at_alpha = (alpha, alpha)  # the only α that is tried
        given = np.array([sum(urn.values()) for urn in seen.values()])
        shared = np.array([count for urn in seen.values() for count in urn.values()])
        found = compiled_information.shortest_code(given, shared, n_modules, *at_alpha)
        assert found == pytest.approx(length, abs=1e-11)


def test_what_is_saved_is_the_shortest_code_alone_less_the_shortest_one_given_b():
    grid = np.exp(np.linspace(math.log(1e-4), math.log(1e4), 4001))
    for a, b in pairs():
        saved = _length(a, np.zeros_like(a), grid).min() - _length(a, b, grid).min()
        score = information.dirichlet_reduced_mutual_information(a, b)
        assert score * len(a) == pytest.approx(saved, abs=1e-4)  # by the steps of the grid


def _length(a, b, alpha):
    modules, given = set(a.tolist()), set(b.tolist())
    shared = sum(_log_gamma_ratio(((a == r) & (b == s)).sum(), alpha) for r in modules for s in given)
    return sum(_log_gamma_ratio((b == s).sum(), len(modules) * alpha) for s in given) - shared


def _log_gamma_ratio(count, alpha):
    """ln Γ(count + α) - ln Γ(α), factor by factor."""
    return sum((np.log(alpha + k) for k in range(count)), start=np.zeros_like(alpha))


@pytest.mark.parametrize("normalized", [False, True])
def test_one_module_has_nothing_to_tell_and_nothing_to_be_told(normalized):
    one, two = np.zeros(8, dtype=int), np.repeat([0, 1], 4)
    score = information.dirichlet_reduced_mutual_information
    assert score(one, two, normalized=normalized) == 0.0
    assert score(two, one, normalized=normalized) == pytest.approx(0.0, abs=1e-15)
    assert information.adjusted_mutual_information(one, one) == 0.0
    assert information.adjusted_mutual_information(one, two) == 0.0
    assert information.adjusted_mutual_information(np.arange(8), np.arange(8)) == 0.0


def test_identical_clusterings_score_1_whatever_their_modules_are_called():
    for a, _ in pairs():
        renamed = np.append(np.random.default_rng(1).permutation(20), -1)[a]
        expected = float(len(set(a.tolist())) > 1)
        assert information.adjusted_mutual_information(a, renamed) == expected
        assert information.dirichlet_reduced_mutual_information(a, renamed, normalized=True) == expected


def test_what_b_tells_of_a_is_not_what_a_tells_of_b():
    quarters, halves = UNITS // 16, UNITS // 32
    score = information.dirichlet_reduced_mutual_information
    assert score(halves, quarters, normalized=True) > 0.9 > 0.5 > score(quarters, halves, normalized=True)


def test_labels_that_share_nothing_score_0_after_the_reduction():
    random = np.random.default_rng(0)
    scores = [
        information.dirichlet_reduced_mutual_information(*random.integers(0, 7, (2, 64)), normalized=True)
        for _ in range(200)
    ]
    assert abs(np.mean(scores)) < 0.01

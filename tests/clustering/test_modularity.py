"""Adjacency, unit strengths, Q and the gain of one move."""

import networkx as nx
import numpy as np
import pytest

import oracles_modularity as oracles
from modularity_lib.clustering.modularity import (
    AllUnitsDead,
    dead_units,
    modularity_matrix,
    modularity_score,
    normalised_adjacency,
    strengths,
    to_adjacency,
)
from modularity_lib.clustering.search import find_modules

TWO_TRIANGLES = np.array(
    [
        [0, 1, 1, 0, 0, 0],
        [1, 0, 1, 0, 0, 0],
        [1, 1, 0, 1, 0, 0],
        [0, 0, 1, 0, 1, 1],
        [0, 0, 0, 1, 0, 1],
        [0, 0, 0, 1, 1, 0],
    ]
)
TRIANGLES = np.array([0, 0, 0, 1, 1, 1])


def random_similarity(n: int, *, seed: int) -> np.ndarray:
    matrix = np.random.default_rng(seed).lognormal(sigma=1.0, size=(n, n))
    return matrix + matrix.T


def test_two_triangles_and_a_bridge_have_the_q_worked_out_by_hand():
    # 7 edges, 6 of them inside; each triangle has half of the strength
    assert modularity_score(TWO_TRIANGLES, TRIANGLES) == pytest.approx(6 / 7 - 1 / 2, abs=1e-15)
    assert modularity_score(TWO_TRIANGLES, TRIANGLES) == pytest.approx(5 / 14, abs=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_q_is_that_of_networkx_on_weighted_graphs(seed):
    similarity = random_similarity(15, seed=seed)
    labels = np.random.default_rng(seed).integers(4, size=15)
    graph = nx.from_numpy_array(similarity * (1 - np.eye(15)))
    communities = [set(np.flatnonzero(labels == module)) for module in np.unique(labels)]
    expected = nx.community.modularity(graph, communities, weight="weight")
    assert modularity_score(similarity, labels) == pytest.approx(expected, abs=1e-13)


def test_q_is_the_double_sum_when_some_live_units_are_in_no_module():
    similarity = random_similarity(12, seed=3)
    labels = np.array([0, -1, 5, 5, 0, -1, 2, 2, -1, 0, 5, 2])
    assert modularity_score(similarity, labels) == pytest.approx(oracles.score(similarity, labels), abs=1e-13)


def test_one_module_of_all_units_has_no_modularity():
    assert modularity_score(random_similarity(20, seed=0), np.zeros(20, dtype=int)) == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e308])  # the sum of the last is beyond the largest float
def test_q_strengths_and_dead_units_are_blind_to_scale(scale):
    similarity = random_similarity(10, seed=1)
    similarity = np.pad(similarity / similarity.max(), (0, 2))
    labels = np.array([0, 1] * 5 + [-1, -1])
    assert modularity_score(scale * similarity, labels) == pytest.approx(
        modularity_score(similarity, labels), abs=1e-13
    )
    np.testing.assert_allclose(strengths(scale * similarity), strengths(similarity), rtol=1e-12)
    assert dead_units(scale * similarity).tolist() == [False] * 10 + [True] * 2


def test_q_is_blind_to_the_diagonal_and_leaves_the_callers_matrix_alone():
    similarity = random_similarity(10, seed=2)
    other = similarity.copy()
    np.fill_diagonal(other, np.linspace(-1e9, 1e9, 10))
    kept = other.copy()
    labels = np.arange(10) % 3
    assert modularity_score(other, labels) == modularity_score(similarity, labels)
    assert np.array_equal(other, kept)


def test_q_is_blind_to_the_order_of_the_units_and_to_the_names_of_the_modules():
    similarity = random_similarity(10, seed=4)
    labels = np.arange(10) % 3
    order = np.random.default_rng(0).permutation(10)
    expected = modularity_score(similarity, labels)
    assert modularity_score(similarity[np.ix_(order, order)], labels[order]) == pytest.approx(expected, abs=1e-13)
    assert modularity_score(similarity, np.array([7, 0, 10**12])[labels]) == pytest.approx(expected, abs=1e-13)


def test_q_changes_when_one_unit_changes_its_module():
    moved = np.array([0, 0, 1, 1, 1, 1])
    # inside: 1 edge and 4; strengths 4/14 and 10/14
    assert modularity_score(TWO_TRIANGLES, moved) == pytest.approx(5 / 7 - (4 / 14) ** 2 - (10 / 14) ** 2, abs=1e-15)


def test_the_adjacency_is_the_mean_of_both_halves_without_the_diagonal():
    similarity = np.array([[3, 2 + 1e-7, 0], [2 - 1e-7, 3, 1], [0, 1, 3]])
    adjacency = to_adjacency(similarity)
    np.testing.assert_allclose(adjacency, [[0, 2, 0], [2, 0, 1], [0, 1, 0]], rtol=0, atol=1e-15)
    assert np.array_equal(adjacency, adjacency.T)
    assert adjacency.dtype == np.float64
    assert to_adjacency(np.eye(2, dtype=np.float32)[::-1]).dtype == np.float64


def test_the_normalised_adjacency_and_the_strengths_sum_to_one():
    similarity = random_similarity(6, seed=6)
    share = normalised_adjacency(similarity)
    assert share[1, 2] == pytest.approx(similarity[1, 2] / (similarity.sum() - np.trace(similarity)), rel=1e-13)
    assert share.sum() == pytest.approx(1, abs=1e-14)
    np.testing.assert_allclose(strengths(TWO_TRIANGLES), np.array([2, 2, 3, 3, 2, 2]) / 14, rtol=1e-14)


def test_the_modularity_matrix_is_weight_minus_expectation_with_rows_that_sum_to_zero():
    matrix = modularity_matrix(TWO_TRIANGLES)
    assert matrix[2, 3] == pytest.approx(1 / 14 - (3 / 14) * (3 / 14), abs=1e-15)
    assert matrix[0, 0] == pytest.approx(-((2 / 14) ** 2), abs=1e-15)
    np.testing.assert_allclose(matrix.sum(axis=1), 0, atol=1e-15)


@pytest.mark.parametrize(("weight", "is_dead"), [(0.0, True), (1e-38, False), (1e-11, False)])
def test_a_unit_is_dead_without_any_weight(weight, is_dead):
    similarity = np.zeros((3, 3))
    similarity[0, 1] = similarity[1, 0] = 0.5  # total weight 1, so `weight` is the share of unit 2
    similarity[0, 2] = similarity[2, 0] = weight
    assert dead_units(similarity).tolist() == [False, False, is_dead]


@pytest.mark.parametrize(
    ("similarity", "message"),
    [
        (
            np.ones(4),
            r"similarity must be a square array .* got shape \(4,\) of float64\. Pass the matrix of one layer",
        ),
        (np.ones((3, 4)), r"similarity must be a square array .* got shape \(3, 4\)"),
        (np.ones((3, 3, 3)), r"similarity must be a square array .* got shape \(3, 3, 3\)"),
        (np.ones((3, 3)) + 0j, r"similarity must be a square array of real numbers .* complex128"),
        (np.array([["a", "b"], ["b", "a"]]), r"similarity must be a square array of real numbers .* <U1"),
    ],
)
def test_what_is_no_square_array_of_real_numbers_is_refused(similarity, message):
    with pytest.raises(ValueError, match=message):
        to_adjacency(similarity)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_entries_that_are_not_finite_are_refused_with_the_first_place_and_their_number(value):
    similarity = np.ones((4, 4))
    similarity[1, 2] = similarity[2, 1] = similarity[3, 3] = value
    advice = "must be 0, not NaN" if np.isnan(value) else "too large for their precision"
    message = rf"similarity must be finite, got {value} at units \(1, 2\), the first of 3 such entries.*{advice}"
    with pytest.raises(ValueError, match=message):
        to_adjacency(similarity)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_a_lopsided_matrix_is_refused_with_its_worst_pair_whatever_its_diagonal(scale):
    similarity = np.full((4, 4), 0.5)
    np.fill_diagonal(similarity, 1e10)
    similarity[0, 1] += 1e-5
    similarity[2, 3] += 0.1
    with pytest.raises(ValueError, match=r"must be symmetric: units 2 and 3 .* gap of 1\.7e-01 .* \(S \+ S\.T\) / 2"):
        to_adjacency(scale * similarity)


def test_a_matrix_without_weight_off_its_diagonal_has_an_error_of_its_own():
    with pytest.raises(AllUnitsDead, match=r"entry off its diagonal, got none: all 5 units .* Leave this layer"):
        modularity_score(np.eye(5), np.full(5, -1))


@pytest.mark.parametrize("n", [0, 1])
def test_a_matrix_too_small_for_a_module_is_not_said_to_be_of_dead_units(n):
    for similarity in (np.eye(n), np.zeros((n, n))):
        with pytest.raises(AllUnitsDead, match=rf"must have at least two units, got {n}: .* Leave this layer out\.$"):
            modularity_score(similarity, np.full(n, -1))


@pytest.mark.parametrize("n", [0, 1, 5])
def test_all_units_of_a_matrix_without_weight_off_its_diagonal_are_dead(n):
    assert dead_units(np.eye(n)).tolist() == [True] * n


def test_negative_entries_are_refused_with_the_advice_to_take_absolute_values():
    similarity = np.ones((3, 3))
    similarity[0, 2] = similarity[2, 0] = -0.25
    with pytest.raises(ValueError, match=r"must not be negative .* got -0\.25 at units \(0, 2\)\. .* np\.abs\(S\)"):
        to_adjacency(similarity)


def test_both_ways_out_of_negative_entries_are_named_and_work():
    similarity = np.corrcoef(np.random.default_rng(0).normal(size=(6, 20)))
    with pytest.raises(ValueError, match=r"signed=True, .* parts units .*; np\.abs\(S\) joins them"):
        to_adjacency(similarity)
    assert to_adjacency(np.abs(similarity)).any()
    assert find_modules(similarity, signed=True).score > 0.0


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
@pytest.mark.parametrize("below", [-1e-17, -1e-9, -0.9e-6])
def test_what_rounding_leaves_below_zero_counts_as_zero(scale, below):
    blocks = np.kron(np.eye(2), np.ones((3, 3)))
    rounded = scale * np.where(blocks > 0, 1.0, below)
    assert np.array_equal(to_adjacency(rounded), to_adjacency(scale * blocks))
    assert modularity_score(rounded, TRIANGLES) == 0.5
    rounded[0, 3] = 0.0  # a gap and an entry below 0 at once
    assert to_adjacency(rounded).min() == 0.0


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1.0, 1e300])
@pytest.mark.parametrize(
    "noise",
    [
        np.full((3, 3), -1e-17),
        np.array([[0, -1e-17, 0], [0, 0, -3e-16], [-1e-13, 0, 0]]),
        -5e-324 * (1 - np.eye(3)),
    ],
)
def test_rounding_below_zero_beside_a_diagonal_counts_as_zero(noise, scale):
    similarity = scale * (np.eye(3) + noise)
    assert dead_units(similarity).all()
    assert find_modules(similarity).status == "all_units_dead"


def test_rounding_of_the_diagonal_leaves_the_weights_alone():
    blocks = np.kron(np.eye(2), np.full((3, 3), 1e-3)) + 0.999e4 * np.eye(6)
    rounded = blocks.copy()
    rounded[0, 4], rounded[2, 5] = -9e-9, -1e-16  # not symmetric, and not the same on both sides of 0
    assert find_modules(rounded).labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert modularity_score(rounded, TRIANGLES) == 0.5
    rounded[0, 4] = rounded[4, 0] = -1.1e-8
    with pytest.raises(ValueError, match="similarity must not be negative"):
        find_modules(rounded)


@pytest.mark.parametrize("largest", [1.0, 1e-17])
def test_entries_below_zero_are_measured_against_the_largest(largest):
    similarity = largest * np.where(np.kron(np.eye(2), np.ones((3, 3))) > 0, 1.0, -2e-6)
    np.fill_diagonal(similarity, 1e5 * largest)
    with pytest.raises(ValueError, match="must not be negative"):
        to_adjacency(similarity)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            np.zeros(5, dtype=int),
            r"labels must hold one module per unit, shape \(6,\), got shape \(5,\) of int64\. .* same layer",
        ),
        (np.zeros((6, 1), dtype=int), r"labels must hold one module per unit, shape \(6,\), got shape \(6, 1\)"),
        (np.zeros(6), r"labels must hold whole numbers, got shape \(6,\) of float64\. Modules are counted"),
        (np.zeros(6, dtype=bool), r"labels must hold whole numbers, got shape \(6,\) of bool"),
        (np.array([0, 0, 0, -3, 1, 1]), r"labels must be at least -1, got -3 for unit 3\. .* -1, and only -1, marks"),
    ],
)
def test_labels_that_are_not_one_module_per_unit_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        modularity_score(TWO_TRIANGLES, labels)

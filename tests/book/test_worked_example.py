"""The example that a pencil can follow: every number on the page beside fractions worked out by hand here."""

from fractions import Fraction as F  # noqa: N817
from math import sqrt

import numpy as np
import pytest

from modularity_lib.book import worked_example as example
from modularity_lib.book.worked_example import WorkedExample, as_latex, closest_pair, worked_example


@pytest.fixture(scope="module")
def found() -> WorkedExample:
    return worked_example()


def same(array: np.ndarray, by_hand: list) -> None:
    np.testing.assert_allclose(array, np.array(by_hand, dtype=float), rtol=0, atol=2e-7)  # float32 where it is autodiff


def test_the_forward_pass(found: WorkedExample) -> None:
    # Image A = (1, 0): -2·1 + 2·0 + 1 = -1, 0·1 + 2·0 - 1 = -1, 1 + 0 = 1, and so on.
    same(found.pre_activities, [[-1, -1, 1], [2 + 1, 2 - 1, 1], [-2 + 2 + 1, 2 - 1, 1 + 1]])
    same(found.activity, [[0, 0, 1], [3, 1, 1], [1, 1, 2]])
    # Logits of B: -2·1 + 1·1 + 0 = -1 and -1·3 + 1·1 - 1·1 + 2 = -1.
    same(found.passed.logits, [[1, -1 + 2], [-2 + 1, -3 + 1 - 1 + 2], [-2 + 2, -1 + 1 - 2 + 2]])
    same(found.probabilities, [[F(1, 2)] * 2] * 3)
    # Means: (0 + 3 + 1) / 3, (0 + 1 + 1) / 3, (1 + 1 + 2) / 3.
    third = F(1, 3)
    same(found.deviations, [[-4 * third, -2 * third, -third], [5 * third, third, -third], [-third, third, 2 * third]])


def test_the_derivatives_of_each_image(found: WorkedExample) -> None:
    open_gates = [[-2, 2], [0, 2], [1, 1]]
    same(
        found.input_jacobians, [[[0, 0], [0, 0], [1, 1]], open_gates, open_gates]
    )  # on A only the third unit is active
    same(found.output_jacobians, [[[0, -2, 1], [-1, 1, -1]]] * 3)
    # C = 1/4 [[1, -1], [-1, 1]], so the Hessian is v vᵀ / 4 with v the difference of the rows of W_2: (1, -3, 2).
    quarter = F(1, 4)
    hessian = [[1 * quarter, -3 * quarter, 2 * quarter], [-3 * quarter, 9 * quarter, -6 * quarter]]
    same(found.hessians, [[*hessian, [2 * quarter, -6 * quarter, 4 * quarter]]] * 3)


def test_the_four_averages(found: WorkedExample) -> None:
    ninth = F(1, 9)  # of the deviations above, each a third: covariance = 1/27 of the sum of products of the numerators
    covariance = [
        [(16 + 25 + 1) * ninth / 3, (8 + 5 - 1) * ninth / 3, (4 - 5 - 2) * ninth / 3],
        [(8 + 5 - 1) * ninth / 3, (4 + 1 + 1) * ninth / 3, (2 - 1 + 2) * ninth / 3],
        [(4 - 5 - 2) * ninth / 3, (2 - 1 + 2) * ninth / 3, (1 + 1 + 4) * ninth / 3],
    ]
    same(found.averages["input_covariance"], covariance)
    assert covariance[0][0] == F(14, 9)
    third = F(1, 3)  # units 1 and 2 are active on two of the three images, unit 3 on all
    gradient = [
        [(4 + 4) * 2 * third, (0 + 4) * 2 * third, (-2 + 2) * 2 * third],
        [(0 + 4) * 2 * third, (0 + 4) * 2 * third, (0 + 2) * 2 * third],
        [(-2 + 2) * 2 * third, (0 + 2) * 2 * third, (1 + 1) * 3 * third],
    ]
    same(found.averages["input_gradient"], gradient)
    same(found.averages["output_gradient"], [[0 + 1, 0 - 1, 0 + 1], [0 - 1, 4 + 1, -2 - 1], [0 + 1, -2 - 1, 1 + 1]])
    same(
        found.averages["output_hessian"],
        [[F(1, 4), F(-3, 4), F(1, 2)], [F(-3, 4), F(9, 4), F(-3, 2)], [F(1, 2), F(-3, 2), 1]],
    )


def test_the_eight_measures_are_these_averages_without_sign_raw_and_normalised(found: WorkedExample) -> None:
    for name, average in found.averages.items():
        same(found.measures[name], np.abs(average))
    # |S_ij| / √(S_ii S_jj) of the fractions above
    same(found.measures["input_covariance_norm"][0], [1, 4 / sqrt(14 * 2), 1 / sqrt(14 * 2)])
    same(found.measures["input_gradient_norm"][1], [8 / sqrt(16 * 8), 1, 4 / sqrt(8 * 6)])
    same(found.measures["output_gradient_norm"][1], [1 / sqrt(1 * 5), 1, 3 / sqrt(5 * 2)])
    same(found.measures["output_hessian_norm"], np.ones((3, 3)).tolist())  # two classes leave one direction, v


def test_upstream_and_downstream_name_different_units_as_the_closest(found: WorkedExample) -> None:
    pairs = {name: closest_pair(matrix) for name, matrix in found.measures.items() if name != "output_hessian_norm"}
    assert {pair for name, pair in pairs.items() if name.startswith("input")} == {(0, 1)}
    assert {pair for name, pair in pairs.items() if name.startswith("output")} == {(1, 2)}
    assert example.closest_pair_text(found) == (
        "Over all 3 images the most similar two are units 1 and 2 by input covariance and input gradient and units 2 "
        "and 3 by output gradient and output Hessian."
    )


def test_the_page_shows_these_numbers(found: WorkedExample) -> None:
    assert r"| B | $(0,\, 1)$ | $(3,\, 1,\, 1)$ |" in example.forward_markdown(found)
    assert r"| mean |  |  | $(\tfrac{4}{3},\, \tfrac{2}{3},\, \tfrac{4}{3})$ |" in example.forward_markdown(found)
    assert r"| A | $\begin{bmatrix} 0 & 0 \\ 0 & 0 \\ 1 & 1 \end{bmatrix}$ |" in example.derivative_markdown(found)
    one = example.image_markdown(found, "B").splitlines()
    assert one[2] == r"| input covariance | activity $h$ | $\begin{bmatrix} 3 & 1 & 1 \end{bmatrix}$ |"
    gates = r"$\begin{bmatrix} -2 & 2 \\ 0 & 2 \\ 1 & 1 \end{bmatrix}$"
    assert one[3] == rf"| input gradient | derivative $\partial h / \partial x$ | {gates} |"
    assert one[4].endswith(r"$\begin{bmatrix} 0 & -2 & 1 \\ -1 & 1 & -1 \end{bmatrix}$ |")
    assert one[5].startswith("| output Hessian |")
    assert len(one) == 6
    similarity = example.similarity_markdown(found)
    assert (
        r"| upstream | input covariance | $\begin{bmatrix} \tfrac{14}{9} & \tfrac{4}{9} & -\tfrac{1}{9}" in similarity
    )
    assert r"0.949" in similarity
    assert r"b_2 &= \begin{bmatrix} 0 & 2 \end{bmatrix}" in example.network_text()


def test_only_simple_fractions_are_shown_as_fractions() -> None:
    assert [as_latex(x) for x in (0.0, -1.0, 1 / 3, -9 / 4, sqrt(2), 0.123)] == [
        "0",
        "-1",
        r"\tfrac{1}{3}",
        r"-\tfrac{9}{4}",
        "1.414",
        "0.123",
    ]

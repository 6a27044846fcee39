"""What nulls are made of: they keep what they say, lose what they say, and treat all that is alike the same."""

import numpy as np
import pytest

from modularity_lib.analysis import draws


def sources(count: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(count)]


def test_time_courses_begin_elsewhere_and_go_round() -> None:
    courses = np.arange(12.0).reshape(6, 2)
    starts = set()
    for source in sources(200):
        shifted = draws.shifted_in_time(courses, source)
        for unit in range(2):
            start = int(np.flatnonzero(courses[:, unit] == shifted[0, unit])[0])
            assert shifted[:, unit].tolist() == [*courses[start:, unit], *courses[:start, unit]]
        starts.add((shifted[0, 0], shifted[0, 1]))
    assert len(starts) == 6 * 6  # each unit by itself


def test_rotations_are_orthogonal_and_all_equally_likely() -> None:
    turned = np.array([draws.random_rotation(3, source) for source in sources(4000)])
    np.testing.assert_allclose(turned @ turned.swapaxes(1, 2), np.broadcast_to(np.eye(3), turned.shape), atol=1e-12)
    # Of a Haar matrix every entry has mean 0 and variance 1/3, also on the diagonal, where QR alone leaves a sign.
    np.testing.assert_allclose(turned.mean(axis=0), 0.0, atol=0.05)
    np.testing.assert_allclose(np.square(turned).mean(axis=0), 1 / 3, atol=0.03)
    assert np.linalg.det(turned).mean() == pytest.approx(0.0, abs=0.05)  # as many reflections


def test_directions_have_the_lengths_of_the_units() -> None:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((40, 6)) * random.lognormal(size=(40, 1))
    gram = np.abs(vectors @ vectors.T)
    lengths = np.sqrt(gram.diagonal())
    for seed in range(3):
        null = draws.with_lengths(gram, np.random.default_rng(seed))
        of_cosines = draws.random_directions(gram / lengths / lengths[:, None], np.random.default_rng(seed))
        np.testing.assert_allclose(null, of_cosines * lengths * lengths[:, None], rtol=1e-12)
    cosines = gram / lengths / lengths[:, None]
    bare = cosines - np.diag(cosines.diagonal())
    one, other = (draws.with_lengths(matrix, np.random.default_rng(0)) for matrix in (cosines, bare))
    np.testing.assert_allclose(one, other, rtol=1e-12)  # an adjacency has no diagonal, and lengths of 1

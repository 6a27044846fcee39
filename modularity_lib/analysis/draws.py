"""Matrices and samples without modules, each drawn from what was observed: what a null of `test_modules` is made of."""

import numpy as np


def shuffled(similarity: np.ndarray, source: np.random.Generator) -> np.ndarray:
    """Null: assign the similarities to pairs of units at random. The histogram stays, the arrangement goes."""
    upper = np.triu_indices(len(similarity), k=1)
    return _symmetric(source.permutation(similarity[upper]), len(similarity))


def random_directions(similarity: np.ndarray, source: np.random.Generator) -> np.ndarray:
    """Null: absolute cosines of random vectors, one for each unit, in a space of as few dimensions.

    There are d = 1 / (mean of S_ij² over i != j) dimensions, as the squared cosine of isotropic vectors is 1 / d on
    average; where d is not whole, one more axis counts in part. Units that are like a third one are like each other,
    the more so the fewer the dimensions. Shuffling destroys that; this null keeps it, and has no modules.

    Args:
        similarity: S, shape (units, units), in [0, 1]; some pair is neither 0 nor 1.
    Returns:
        same shape, in [0, 1], diagonal 0.
    """
    upper = np.triu_indices(len(similarity), k=1)
    dimensions = 1.0 / np.mean(np.square(similarity[upper]))
    whole = int(dimensions)
    # Variances 1, ..., 1, v with participation ratio (whole + v)² / (whole + v²) = dimensions.
    rest = max(whole**2 - (dimensions - 1) * whole * (dimensions - whole), 0.0)
    partial = (whole - np.sqrt(rest)) / (dimensions - 1) if dimensions > 1 else 0.0
    vectors = source.standard_normal((len(similarity), whole + 1))
    vectors[:, -1] *= np.sqrt(partial)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return _symmetric(np.abs(vectors @ vectors.T)[upper], len(similarity))


def with_lengths(similarity: np.ndarray, source: np.random.Generator) -> np.ndarray:
    """Null: `random_directions` of vectors that are as long as the units' own, √S_ii.

    Args:
        similarity: S of live units, shape (units, units), with |S_ij| <= √(S_ii S_jj). Where its diagonal is 0, as in
            an adjacency, all lengths are 1.
    """
    own = similarity.diagonal()
    lengths = np.sqrt(own) if own.any() else np.ones(len(own))
    cosines = similarity / lengths / lengths[:, np.newaxis]
    return random_directions(cosines, source) * lengths * lengths[:, np.newaxis]


def shifted_in_time(activity: np.ndarray, source: np.random.Generator) -> np.ndarray:
    """Null: the samples of every unit, shape (samples, units), begin at another one, and go round at the end."""
    samples, units = activity.shape
    rows = np.arange(samples)[:, np.newaxis] + source.integers(samples, size=units)
    return activity[rows % samples, np.arange(units)]


def random_rotation(units: int, source: np.random.Generator) -> np.ndarray:
    """An orthogonal matrix, all equally likely (Haar), shape (units, units).

    Source: Mezzadri (2007), Notices of the AMS 54:592.

    >>> turned = random_rotation(3, np.random.default_rng(0))
    >>> np.allclose(turned @ turned.T, np.eye(3))
    True
    """
    orthogonal, triangular = np.linalg.qr(source.standard_normal((units, units)))
    return orthogonal * np.sign(triangular.diagonal())


def _symmetric(upper: np.ndarray, units: int) -> np.ndarray:
    matrix = np.zeros((units, units))
    matrix[np.triu_indices(units, k=1)] = upper
    return matrix + matrix.T

"""Inequalities that hold for partitions and not for the relaxed matrix of who is together, compiled.

A star of a unit c and leaves T: as many of T as c is together with, but for pairs of T that are together, are at most
one: sum_{t in T} x_ct - sum_{t < u in T} x_tu <= 1. With two leaves it is the triangle inequality: who is together with
one is together with all. A row of `stars` is c, its leaves, and -1 up to the end.
Source: the 2-partition inequalities of Grötschel & Wakabayashi (1990), Math. Programming 47:367, with one unit on one
side.
"""

import numpy as np
from numba import njit


@njit(cache=True)
def violated_stars(together: np.ndarray, least: float, most_leaves: int) -> tuple[np.ndarray, np.ndarray]:
    """Stars that are violated by more than `least`, and by how much: of each unit and first leaf the greedy one."""
    n_units = len(together)
    stars = np.full((n_units * n_units, most_leaves + 1), -1)
    excess = np.empty(n_units * n_units)
    n_found = 0
    gain = np.empty(n_units)
    for centre in range(n_units):
        for first in range(n_units):
            if first == centre or together[centre, first] <= least:
                continue
            gain[:] = together[centre]
            gain[centre] = -1.0
            total, n_leaves, leaf = 0.0, 0, first
            while True:
                total += gain[leaf]
                n_leaves += 1
                stars[n_found, n_leaves] = leaf
                gain[leaf] = -1.0
                best = -1
                for unit in range(n_units):
                    gain[unit] -= together[leaf, unit]
                    if gain[unit] > least and (best < 0 or gain[unit] > gain[best]):
                        best = unit
                if n_leaves == most_leaves or best < 0:
                    break
                leaf = best
            if total > 1.0 + least:
                stars[n_found, 0] = centre
                stars[n_found, 1 : n_leaves + 1].sort()  # so that equal stars are equal rows
                excess[n_found] = total - 1.0
                n_found += 1
            else:
                stars[n_found] = -1
    return stars[:n_found], excess[:n_found]


@njit(cache=True)
def few_of_each_pair(stars: np.ndarray, n_units: int, most: int) -> np.ndarray:
    """Places of the stars, the first ones first, that are left when no unit has a leaf in more than `most` of them."""
    count = np.zeros((n_units, n_units), dtype=np.int64)
    kept = np.zeros(len(stars), dtype=np.bool_)
    for row in range(len(stars)):
        centre, fits = stars[row, 0], True
        for leaf in stars[row, 1:]:
            fits = fits and (leaf < 0 or count[centre, leaf] < most)
        if fits:
            kept[row] = True
            for leaf in stars[row, 1:]:
                if leaf >= 0:
                    count[centre, leaf] += 1
                    count[leaf, centre] += 1
    return np.flatnonzero(kept)


@njit(cache=True)
def left_sides(stars: np.ndarray, together: np.ndarray) -> np.ndarray:
    """What the inequality of each star says is at most one."""
    sums = np.zeros(len(stars))
    for row in range(len(stars)):
        star = stars[row]
        for place in range(1, len(star)):
            if star[place] < 0:
                break
            sums[row] += together[star[0], star[place]]
            for other in range(1, place):
                sums[row] -= together[star[other], star[place]]
    return sums


@njit(cache=True)
def weights_of_pairs(stars: np.ndarray, multipliers: np.ndarray, n_units: int) -> np.ndarray:
    """Symmetric matrix L with sum_ij L_ij x_ij = the left sides, weighed by their multipliers and summed."""
    weights = np.zeros((n_units, n_units))
    for row in range(len(stars)):
        star, half = stars[row], 0.5 * multipliers[row]
        for place in range(1, len(star)):
            leaf = star[place]
            if leaf < 0:
                break
            weights[star[0], leaf] += half
            weights[leaf, star[0]] += half
            for before in range(1, place):
                weights[star[before], leaf] -= half
                weights[leaf, star[before]] -= half
    return weights

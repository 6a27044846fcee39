"""Greedy matching of modules and its permutation test, compiled with numba."""

from typing import NamedTuple

import numpy as np
from numba import njit

from modularity_lib.alignment.overlaps import Overlaps


def matched_share(overlaps: Overlaps) -> float:
    """The score of `scores.greedy_matching_score`."""
    n_clustered = min(overlaps.counts[: overlaps.n_modules_a].sum(), overlaps.counts[:, : overlaps.n_modules_b].sum())
    if n_clustered == 0:
        return 0.0
    matching = _matching_without_units(overlaps)
    return _matched_units(_keys(overlaps, matching), matching) / int(n_clustered)


class _Matching(NamedTuple):
    """A table of overlaps as greedy matching needs it, flattened row by row.

    Each cell has a key of three bit fields: overlap, row, column. So no two keys are equal, the largest one names the
    next match, and of equal overlaps that share a row (a column) it is the one with the last column (row).
    """

    empty_keys: np.ndarray  # (cells,) keys where all overlaps are 0; too negative to be matched for dead units
    n_rows: int
    n_columns: int
    column_bits: int
    bits: int  # of row and column together


def _matching_without_units(overlaps: Overlaps) -> _Matching:
    n_rows, n_columns = overlaps.counts.shape
    column_bits = (n_columns - 1).bit_length()
    bits = (n_rows - 1).bit_length() + column_bits
    rows, columns = np.indices((n_rows, n_columns)).reshape(2, -1)
    empty_keys = (rows << column_bits) | columns
    is_dead = (rows >= overlaps.n_modules_a) | (columns >= overlaps.n_modules_b)
    empty_keys[is_dead] -= (overlaps.rows.size + 1) << bits
    return _Matching(empty_keys, n_rows, n_columns, column_bits, bits)


def _keys(overlaps: Overlaps, matching: _Matching) -> np.ndarray:
    return matching.empty_keys + (overlaps.counts.ravel() << matching.bits)


def matching_p_value(overlaps: Overlaps, permutations: int, seed: int) -> float:
    """The p-value of `scores.agreement_p_value`."""
    matching = _matching_without_units(overlaps)
    observed = _matched_units(_keys(overlaps, matching), matching)
    # The cell of a unit is (first cell of its row) + (its column), so either clustering can be the one that is
    # shuffled. The largest cluster of the other goes last: it takes what is left and needs no random numbers.
    row_starts, columns = overlaps.rows * matching.n_columns, overlaps.columns
    a_sizes, b_sizes = overlaps.counts.sum(axis=1), overlaps.counts.sum(axis=0)
    if a_sizes.max() >= b_sizes.max():
        fixed, shuffled, in_largest = row_starts, columns, overlaps.rows == a_sizes.argmax()
    else:
        fixed, shuffled, in_largest = columns, row_starts, columns == b_sizes.argmax()
    largest_last = np.argsort(in_largest, kind="stable")
    n_drawn = int(np.count_nonzero(~in_largest))
    state = np.uint64(seed % 2**64)
    k = _relabellings_as_high(observed, matching, fixed[largest_last], shuffled.copy(), n_drawn, permutations, state)
    return (k + 1) / (permutations + 1)


@njit(cache=True)
def _match_largest(keys: np.ndarray, matching: _Matching) -> int:
    """Take the largest overlap, with its row and its column, out of `keys`; 0 if none is left."""
    largest = keys[0]
    for cell in range(1, keys.size):
        largest = max(largest, keys[cell])
    overlap = largest >> matching.bits
    if overlap <= 0:
        return 0
    column = largest & ((1 << matching.column_bits) - 1)
    row = (largest & ((1 << matching.bits) - 1)) >> matching.column_bits
    for cell in range(row * matching.n_columns, (row + 1) * matching.n_columns):
        keys[cell] = -1
    for cell in range(column, keys.size, matching.n_columns):
        keys[cell] = -1
    return overlap


@njit(cache=True)
def _matched_units(keys: np.ndarray, matching: _Matching) -> int:
    """Count the units in greedily matched overlaps; uses up `keys`."""
    matched = 0
    overlap = _match_largest(keys, matching)
    while overlap > 0:
        matched += overlap
        overlap = _match_largest(keys, matching)
    return matched


@njit(cache=True)
def _matches_at_least(target: int, keys: np.ndarray, matching: _Matching) -> bool:
    """Whether greedy matching reaches `target` units; stops as soon as that is decided, and uses up `keys`."""
    matched = 0
    for matches_left in range(min(matching.n_rows, matching.n_columns), 0, -1):
        if matched >= target:
            break
        overlap = _match_largest(keys, matching)
        if matched + overlap * matches_left < target:  # later overlaps are not larger
            return False
        matched += overlap
    return matched >= target


@njit(cache=True)
def _relabellings_as_high(
    observed: int,
    matching: _Matching,
    fixed: np.ndarray,
    shuffled: np.ndarray,
    n_drawn: int,
    permutations: int,
    state: np.uint64,
) -> int:
    """Count the relabellings that match at least `observed` units; uses up `shuffled`."""
    n_units = fixed.size
    unit_of_overlap = 1 << matching.bits
    keys = np.empty_like(matching.empty_keys)
    as_high = 0
    for _ in range(permutations):
        keys[:] = matching.empty_keys
        for unit in range(n_drawn):  # Fisher-Yates; a shuffle may start from any order, so from the last one
            state += np.uint64(0x9E3779B97F4A7C15)  # SplitMix64 (Steele, Lea & Flood 2014)
            random = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            random = (random ^ (random >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            random = (random ^ (random >> np.uint64(31))) >> np.uint64(32)
            # 32 random bits scaled to 0 ... n_units - unit - 1: off from uniform by less than n_units / 2^32.
            other = unit + np.int64((random * np.uint64(n_units - unit)) >> np.uint64(32))
            shuffled[unit], shuffled[other] = shuffled[other], shuffled[unit]
            keys[fixed[unit] + shuffled[unit]] += unit_of_overlap
        for unit in range(n_drawn, n_units):
            keys[fixed[unit] + shuffled[unit]] += unit_of_overlap
        as_high += _matches_at_least(observed, keys, matching)
    return as_high

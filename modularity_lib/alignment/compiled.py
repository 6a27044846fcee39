"""Greedy matching of modules and its permutation test, compiled with numba."""

from typing import NamedTuple

import numpy as np
from numba import njit

from modularity_lib.alignment.overlaps import Overlaps

# A permutation costs about (cells of the table) x (modules to match) where the table is held whole, else a few sorts of
# the units. Up to so many of the first per unit the whole table is faster, measured at 64 to 4,096 units.
_CELLS_PER_UNIT = 500


def matched_share(overlaps: Overlaps) -> float:
    """The score of `scores.greedy_matching_score`."""
    n_clustered = min(overlaps.a_sizes[: overlaps.n_modules_a].sum(), overlaps.b_sizes[: overlaps.n_modules_b].sum())
    return _observed(overlaps) / int(n_clustered) if n_clustered else 0.0


def _observed(overlaps: Overlaps) -> int:
    """Units in greedily matched overlaps."""
    order = np.lexsort((overlaps.shared_columns, overlaps.shared_rows, overlaps.shared))[::-1]
    rows, columns = overlaps.shared_rows[order], overlaps.shared_columns[order]
    is_alive = (rows < overlaps.n_modules_a) & (columns < overlaps.n_modules_b)
    free_rows, free_columns = np.ones(overlaps.a_sizes.size, dtype=bool), np.ones(overlaps.b_sizes.size, dtype=bool)
    return _matched_units(overlaps.shared[order][is_alive], rows[is_alive], columns[is_alive], free_rows, free_columns)


@njit(cache=True)
def _matched_units(
    shared: np.ndarray, rows: np.ndarray, columns: np.ndarray, free_rows: np.ndarray, free_columns: np.ndarray
) -> int:
    """Count the units in overlaps whose row and column are still free, in the order given; uses up what is free."""
    matched = 0
    for cell in range(shared.size):
        row, column = rows[cell], columns[cell]
        if free_rows[row] and free_columns[column]:
            free_rows[row] = free_columns[column] = False
            matched += shared[cell]
    return matched


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
    n_rows, n_columns = overlaps.a_sizes.size, overlaps.b_sizes.size
    column_bits = (n_columns - 1).bit_length()
    bits = (n_rows - 1).bit_length() + column_bits
    rows, columns = np.indices((n_rows, n_columns)).reshape(2, -1)
    empty_keys = (rows << column_bits) | columns
    is_dead = (rows >= overlaps.n_modules_a) | (columns >= overlaps.n_modules_b)
    empty_keys[is_dead] -= (overlaps.rows.size + 1) << bits
    return _Matching(empty_keys, n_rows, n_columns, column_bits, bits)


def matching_p_value(overlaps: Overlaps, permutations: int, seed: int) -> float:
    """The p-value of `scores.agreement_p_value`."""
    observed = _observed(overlaps)
    a_sizes, b_sizes = overlaps.a_sizes, overlaps.b_sizes
    # The cell of a unit is (first cell of its row) + (its column), so either clustering can be the one that is
    # shuffled. The largest cluster of the other goes last: it takes what is left and needs no random numbers.
    row_starts, columns = overlaps.rows * b_sizes.size, overlaps.columns
    if a_sizes.max() >= b_sizes.max():
        fixed, shuffled, in_largest = row_starts, columns, overlaps.rows == a_sizes.argmax()
    else:
        fixed, shuffled, in_largest = columns, row_starts, columns == b_sizes.argmax()
    largest_last = np.argsort(in_largest, kind="stable")
    n_drawn = int(np.count_nonzero(~in_largest))
    state = np.uint64(seed % 2**64)
    fixed, shuffled = fixed[largest_last], shuffled.copy()
    if overlaps.n_cells * min(a_sizes.size, b_sizes.size) <= _CELLS_PER_UNIT * overlaps.rows.size:
        matching = _matching_without_units(overlaps)
        k = _relabellings_as_high(observed, matching, fixed, shuffled, n_drawn, permutations, state)
    else:
        modules = (b_sizes.size, overlaps.n_modules_a, overlaps.n_modules_b)
        k = _sparse_relabellings_as_high(observed, modules, fixed, shuffled, n_drawn, permutations, state)
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
def _shuffle(shuffled: np.ndarray, n_drawn: int, state: np.uint64) -> np.uint64:
    """Draw what comes to the first places, in place, and return the state of the random numbers."""
    n_units = shuffled.size
    for unit in range(n_drawn):  # Fisher-Yates; a shuffle may start from any order, so from the last one
        state += np.uint64(0x9E3779B97F4A7C15)  # SplitMix64 (Steele, Lea & Flood 2014)
        random = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        random = (random ^ (random >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        random = (random ^ (random >> np.uint64(31))) >> np.uint64(32)
        # 32 random bits scaled to 0 ... n_units - unit - 1: off from uniform by less than n_units / 2^32.
        other = unit + np.int64((random * np.uint64(n_units - unit)) >> np.uint64(32))
        shuffled[unit], shuffled[other] = shuffled[other], shuffled[unit]
    return state


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
        state = _shuffle(shuffled, n_drawn, state)
        for unit in range(n_units):
            keys[fixed[unit] + shuffled[unit]] += unit_of_overlap
        as_high += _matches_at_least(observed, keys, matching)
    return as_high


@njit(cache=True)
def _sparse_relabellings_as_high(
    observed: int,
    modules: tuple[int, int, int],
    fixed: np.ndarray,
    shuffled: np.ndarray,
    n_drawn: int,
    permutations: int,
    state: np.uint64,
) -> int:
    """As `_relabellings_as_high`, for tables that are nearly empty: only the cells that hold units are looked at.

    modules: columns of the table; modules of a; modules of b.
    """
    n_columns, n_modules_a, n_modules_b = modules
    n_units = fixed.size
    starts, keys = np.empty(n_units, dtype=np.int64), np.empty(n_units, dtype=np.int64)
    matched_in_row = np.full(n_units, -1)  # the last permutation in which a row, a column was matched
    matched_in_column = np.full(n_units, -1)
    as_high = 0
    for permutation in range(permutations):
        state = _shuffle(shuffled, n_drawn, state)
        cells = np.sort(fixed + shuffled)
        # The units of a cell are a run of equal numbers. Sorted by its length and then its place, so that the last key
        # names the next match, as the largest one does in `_Matching`.
        n_runs = 0
        for unit in range(n_units):
            if unit == 0 or cells[unit] != cells[unit - 1]:
                starts[n_runs], keys[n_runs] = unit, n_runs
                n_runs += 1
            keys[n_runs - 1] += n_units
        matched = 0
        for key in np.sort(keys[:n_runs])[::-1]:
            shared, cell = key // n_units, cells[starts[key % n_units]]
            row, column = cell // n_columns, cell % n_columns
            is_free = matched_in_row[row] < permutation and matched_in_column[column] < permutation
            if is_free and row < n_modules_a and column < n_modules_b:
                matched_in_row[row] = matched_in_column[column] = permutation
                matched += shared
                if matched >= observed:
                    break
        as_high += matched >= observed
    return as_high

"""Sets of units to compare a module with, as large and with outgoing weights as large: random ones, near neighbours.

A set that carries less of what goes out of a layer costs less to lose, whatever its units have to do with each other.
So the sets are matched: two sums over their units come as near to the module's as `TOLERANCE`.
"""

import numpy as np
from numba import njit

TOLERANCE = 0.05  # of the module's sums
_SWAPS = 150  # proposed to a set before it is given up
_TRIED = 3  # sets for each that is wanted: some do not fit, some are the same


def random_sets(module: np.ndarray, carried: np.ndarray, *, wanted: int, source: np.random.Generator) -> np.ndarray:
    """Draw sets of units that are matched to a module: units drawn at random, then swapped until both sums fit.

    For a set T as large as the module M, and each of the two quantities a_i that a unit carries,

        |sum_{i in T} a_i / sum_{i in M} a_i - 1| <= TOLERANCE .

    A swap exchanges a random unit of the set for a random one outside, and is kept if the larger of the two gaps gets
    smaller; a set that fits is not touched again.

    Args:
        module: which units belong to it, boolean, shape (units,).
        carried: what each unit carries, shape (2, units), >= 0: in this project its outgoing weights, and these times
            the standard deviation of its activity.
        wanted: how many sets.
        source: of the draws.
    Returns:
        boolean, shape (sets, units): different sets, at most `wanted` of them, and fewer where few fit.

    >>> carried = np.array([[1.0, 1.0, 1.0, 9.0], [1.0, 1.0, 1.0, 9.0]])
    >>> sets = random_sets(np.array([True, True, False, False]), carried, wanted=9, source=np.random.default_rng(0))
    >>> sorted(np.flatnonzero(chosen).tolist() for chosen in sets)
    [[0, 1], [0, 2], [1, 2]]
    """
    size, units = int(module.sum()), len(module)
    pools = source.permuted(np.tile(np.arange(units), (_TRIED * wanted, 1)), axis=1)
    found, _ = _fitting(pools, size, module, carried, source)
    _, first = np.unique(np.packbits(found, axis=1), axis=0, return_index=True)
    return found[np.sort(first)][:wanted]


def neighbour_sets(
    module: np.ndarray, carried: np.ndarray, alike: np.ndarray, *, wanted: int, source: np.random.Generator
) -> np.ndarray:
    """Draw sets of near neighbours that are matched to a module: a random unit and those most like it.

    The units nearest to a random one, itself included, are taken, as many as the module has. Where these do not fit,
    the set is drawn among a few more of the nearest, as few more as needed: 1, 2, 4, ..., at most half the module.

    Args:
        alike: similarity of every two units, shape (units, units); larger = more alike.
        module, carried, wanted, source: as of `random_sets`.
    Returns:
        boolean, shape (sets, units), at most `wanted` of them, each of another unit's neighbours: where these are
        several units' nearest, as of copies, the same set comes several times.
    """
    size, units = int(module.sum()), len(module)
    nearest = np.argsort(-alike, axis=1, kind="stable")
    own = np.arange(units)[:, None]
    nearest = np.concatenate([own, nearest[nearest != own].reshape(units, units - 1)], axis=1)
    left = source.permutation(units)[:wanted]
    found = np.zeros((0, units), dtype=bool)
    for more in _more(size, units):
        pools = source.permuted(nearest[left, : size + more], axis=1)
        fitting, which = _fitting(pools, size, module, carried, source)
        found = np.concatenate([found, fitting])
        left = np.delete(left, which)
    return found


def _more(size: int, units: int) -> list[int]:
    most = min(max(1, size // 2), units - size)
    return [0, *(2**power for power in range(most.bit_length()) if 2**power <= most)]


def _fitting(
    pools: np.ndarray, size: int, module: np.ndarray, carried: np.ndarray, source: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The sets that fit in the end, and of which rows of the pools they are.

    Args:
        pools: units that each set may hold, shape (sets, more than `size` units); it starts with the first ones.
    """
    relative = carried / carried[:, module].sum(axis=1, keepdims=True)
    inside, outside = pools[:, :size].copy(), pools[:, size:].copy()
    leaving = source.integers(size, size=(len(pools), _SWAPS))
    entering = source.integers(max(1, outside.shape[1]), size=(len(pools), _SWAPS))
    gaps = _swapped(inside, outside, relative, leaving, entering)
    which = np.flatnonzero(gaps <= TOLERANCE)
    sets = np.zeros((len(which), len(module)), dtype=bool)
    sets[np.arange(len(which))[:, None], inside[which]] = True
    return sets, which


@njit(cache=True)
def _swapped(
    inside: np.ndarray, outside: np.ndarray, relative: np.ndarray, leaving: np.ndarray, entering: np.ndarray
) -> np.ndarray:
    """Swap units of each set, in place, for others of its pool until it fits; the larger gap of each in the end."""
    gaps = np.empty(len(inside))
    for row in range(len(inside)):
        sums = np.zeros(2)
        for unit in inside[row]:
            sums += relative[:, unit]
        gaps[row] = np.abs(sums - 1.0).max()
        for swap in range(leaving.shape[1] if outside.shape[1] else 0):
            if gaps[row] <= TOLERANCE:
                break
            out, new = leaving[row, swap], entering[row, swap]
            proposed = sums + relative[:, outside[row, new]] - relative[:, inside[row, out]]
            gap = np.abs(proposed - 1.0).max()
            if gap < gaps[row]:
                inside[row, out], outside[row, new] = outside[row, new], inside[row, out]
                sums, gaps[row] = proposed, gap
    return gaps

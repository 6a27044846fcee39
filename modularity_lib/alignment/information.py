"""Mutual information of two clusterings that chance does not feign: adjusted for it, or less what its code costs.

Beside the scores of the paper (`scores`). Here, too, the dead units of a clustering count as one more module, and names
of modules are irrelevant.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from modularity_lib.alignment.overlaps import Overlaps, overlaps_of
from modularity_lib.arrays import flag

CONCENTRATIONS = (1e-4, 1e4)  # α that are tried: those of the authors' program, so that both give the same numbers
_ROUNDING = 1e-12  # nats: less room than that is none


def adjusted_mutual_information(a: ArrayLike, b: ArrayLike) -> float:
    """Mutual information on a scale where 0 is what shuffled units give and 1 is identity. Higher = more alike.

    AMI = (I - E[I]) / (½ [H(a) + H(b)] - E[I]),    I = Σ_rs (c_rs / n) ln( n c_rs / (a_r b_s) )

    with c_rs units in module r of a and s of b, a_r and b_s the sizes of the modules, and E the exact mean over all
    ways to shuffle the units of one (hypergeometric). The variation of information, H(a) + H(b) - 2 I, comes to the
    same: 1 - VI / E[VI] = AMI.

    Args:
        a, b: module of each unit, shape (units,), whole numbers, or a Clustering; -1 = dead, one more module.
    Returns:
        AMI, dimensionless, at most 1; 0 on average for shuffled units, and below where a and b share less; 1 for
        identical clusterings, but exactly 0 where chance leaves no room: both are one module, or single units in both.
    Raises:
        ValueError: a and b are not labels of the same units.
    Source: Vinh, Epps & Bailey (2010), Journal of Machine Learning Research 11:2837.

    >>> halves = np.repeat([0, 1], 32)
    >>> adjusted_mutual_information(halves, 1 - halves)
    1.0
    >>> round(adjusted_mutual_information(halves, np.arange(64) % 2), 3)       # I = 0, and E[I] = 0.008
    -0.012
    """
    return adjusted(overlaps_of(a, b))


def dirichlet_reduced_mutual_information(a: ArrayLike, b: ArrayLike, *, normalized: bool = False) -> float:
    """What knowing b saves of the shortest code for a: the reduced mutual information of 2025. Higher = more alike.

    I(a; b) = (1/n) [ min_α L(a | one module of all units; α) - min_α L(a | b; α) ]
    L(a | b; α) = Σ_s ln( Γ(b_s + R α) / Γ(R α) ) - Σ_rs ln( Γ(c_rs + α) / Γ(α) )

    with c_rs units in module r of a and s of b, b_s the sizes of the modules of b, and R the number of modules of a. L
    is the length of a code that learns as it goes: within each module of b it expects the modules of a in proportion to
    what it has seen of them, with α units of each to begin with (Dirichlet-multinomial); α is the best from 1e-4 to
    1e4. So the table of overlaps is paid for, as in `reduced_mutual_information`, but by a better code where a and b
    are alike. It is not symmetric: I(a; b) says what b tells of a.

    Args:
        a, b: module of each unit, shape (units,), whole numbers, or a Clustering; -1 = dead, one more module.
        normalized: divide by I(a; a), what there is to be known of a.
    Returns:
        I in nats, below ln units; 0 or a little below where b tells nothing, exactly 0 if a has one module. Normalised:
        1 for identical clusterings of two modules or more; 0 where I(a; a) is not positive, as with one module. Between
        -0.2 and 1 in 70,000 made-up pairs, most with many single units; that it cannot leave this is not proven.
    Raises:
        ValueError: a and b are not labels of the same units.
    Source: Jerdee, Kirkley & Newman (2024), arXiv:2405.05393, for the code, and (2025), Nature Communications,
        doi:10.1038/s41467-025-66150-8, for the normalisation; their program is clustering-mi.

    >>> halves = np.repeat([0, 1], 32)
    >>> round(dirichlet_reduced_mutual_information(halves, halves), 2)     # ln 2 = 0.69, less what the code costs
    0.67
    >>> dirichlet_reduced_mutual_information(halves, 1 - halves, normalized=True)
    1.0
    """
    normalized = flag("normalized", normalized)
    overlaps = overlaps_of(a, b)
    cells = (overlaps.a_sizes, overlaps.b_sizes, overlaps.shared)
    return share_told(*cells) if normalized else saved_by(*cells) / overlaps.rows.size


def adjusted(overlaps: Overlaps) -> float:
    """The score of `adjusted_mutual_information`."""
    from modularity_lib.alignment.compiled_information import expected_information  # numba, only where it is needed

    n_units = int(overlaps.a_sizes.sum())
    of_a, of_b = overlaps.a_sizes[overlaps.shared_rows], overlaps.b_sizes[overlaps.shared_columns]
    share = overlaps.shared / n_units
    # H(a|b) + H(b|a), term by term: exactly 0 for identical clusterings.
    unknown = share @ (np.log(of_a / overlaps.shared) + np.log(of_b / overlaps.shared))
    entropies = share @ (np.log(n_units / of_a) + np.log(n_units / of_b))
    by_chance = expected_information(overlaps.a_sizes, overlaps.b_sizes, gammaln(np.arange(n_units + 1) + 1.0))
    room = entropies / 2 - by_chance
    return 1.0 - float(unknown / 2 / room) if room > _ROUNDING else 0.0


def saved_by(sizes: np.ndarray, given: np.ndarray, shared: np.ndarray) -> float:
    """n I(a; b) of `dirichlet_reduced_mutual_information`: a_r and b_s, and the c_rs that are not 0."""
    from modularity_lib.alignment.compiled_information import shortest_code  # numba, only where it is needed

    if sizes.size == 1:
        return 0.0  # exact, where a difference of rounded logarithms is not
    whole = np.array([sizes.sum()])
    alone = shortest_code(whole, sizes, sizes.size, *CONCENTRATIONS)
    return float(alone - shortest_code(given, shared, sizes.size, *CONCENTRATIONS))


def share_told(sizes: np.ndarray, given: np.ndarray, shared: np.ndarray) -> float:
    """I(a; b) / I(a; a), from the same."""
    known = saved_by(sizes, sizes, sizes)
    return saved_by(sizes, given, shared) / known if known > 0 else 0.0

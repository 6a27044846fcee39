"""Do two clusterings of the same units agree? Scores of a pair of label arrays, and what chance alone would give.

Labels are whole numbers, one per unit; -1 marks a dead unit. Three scores (element-centric similarity, reduced mutual
information, variation of information) count the dead units of a clustering as one more module; greedy matching leaves
them out. Names of modules are irrelevant to all of them.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.special import gammaln
from scipy.stats import rankdata

from modularity_lib.modularity import modularity_score

TRANSFER_OFFSET = 1e-3  # method: keeps the ratio of two scores finite where the modules of a measure score 0


@dataclass(frozen=True)
class Agreement:
    """Every score of one pair of clusterings; each field is the result of the function named beside it."""

    element_centric: float  # element_centric_similarity
    rmi: float  # reduced_mutual_information, in nats
    rmi_norm: float  # reduced_mutual_information(normalized=True)
    vi: float  # variation_of_information, in nats
    vi_norm: float  # variation_of_information(normalized=True)
    greedy: float  # greedy_matching_score
    p_value: float  # agreement_p_value


def agreement(a: np.ndarray, b: np.ndarray, *, permutations: int = 5000, seed: int = 0) -> Agreement:
    """All scores of a pair from one table of overlaps; the same numbers as the single functions give.

    Args:
        a, b: module of each unit, shape (units,), whole numbers; -1 = dead.
        permutations: random relabellings behind the p-value, at least 1.
        seed: fixes the relabellings; a whole number, at least 0.
    Raises:
        ValueError: labels that are not two arrays of the same units, permutations below 1, or a negative seed.

    >>> result = agreement(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]), permutations=9)
    >>> result.element_centric, result.vi, result.greedy
    (1.0, 0.0, 1.0)
    """
    overlaps = _overlaps(a, b)
    _check_whole_number("permutations", permutations, at_least=1)
    _check_whole_number("seed", seed, at_least=0)
    rmi, rmi_norm = _reduced_mutual_information(overlaps.counts)
    vi, vi_norm = _variation_of_information(overlaps.counts)
    return Agreement(
        element_centric=_element_centric_similarity(overlaps.counts),
        rmi=rmi,
        rmi_norm=rmi_norm,
        vi=vi,
        vi_norm=vi_norm,
        greedy=_greedy_matching_score(overlaps),
        p_value=_p_value(overlaps, permutations, seed),
    )


def element_centric_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Element-centric similarity: how alike the company is that each unit keeps. Higher = more alike.

    s = mean_i |A(i) ∩ B(i)| / max(|A(i)|, |B(i)|),    A(i), B(i) = units of i's module in a, in b

    This is what the definition (personalised PageRank from each unit) comes to for clusterings without overlaps and
    hierarchy, whatever its teleport parameter.

    Args:
        a, b: module of each unit, shape (units,), whole numbers; -1 = dead, one more module.
    Returns:
        s, a fraction in (0, 1]; 1 for identical clusterings.
    Raises:
        ValueError: a and b are not labels of the same units.
    Source: Gates, Wood, Hetrick & Ahn (2019), Scientific Reports 9:8574.

    >>> element_centric_similarity(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0]))
    0.5
    """
    return _element_centric_similarity(_overlaps(a, b).counts)


def expected_element_centric_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Mean element-centric similarity of a and b over all ways to shuffle the units of one: what chance alone gives.

    E[s] = (1/n) Σ_rs E[c_rs²] / max(a_r, b_s),    E[c_rs²] = a_r b_s / n + a_r (a_r - 1) b_s (b_s - 1) / (n (n - 1))

    with c_rs units in module r of a and s of b (hypergeometric), a_r and b_s the sizes of the modules. No sampling.

    Args:
        a, b: module of each unit, shape (units,), whole numbers; -1 = dead, one more module. Only the sizes matter.
    Returns:
        E[s], a fraction in (0, 1]; exactly 1 where both have one module, and the score cannot be anything else.
    Raises:
        ValueError: a and b are not labels of the same units.

    >>> expected_element_centric_similarity(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))   # 2/6 · 1 + 4/6 · 1/2
    0.6666666666666666
    """
    counts = _overlaps(a, b).counts
    n_units = counts.sum()
    rows, columns = counts.sum(axis=1)[:, None], counts.sum(axis=0)[None, :]
    pairs = rows * (rows - 1) * columns * (columns - 1) / (n_units * max(n_units - 1, 1))  # 0 for a single unit
    return float(((rows * columns / n_units + pairs) / np.maximum(rows, columns)).sum() / n_units)


def variation_of_information(a: np.ndarray, b: np.ndarray, *, normalized: bool = False) -> float:
    """Variation of information: what one clustering leaves unknown of the other. Lower = more alike.

    VI = H(a|b) + H(b|a) = 2 H(a, b) - H(a) - H(b);    normalised: VI / H(a, b)

    Args:
        a, b: module of each unit, shape (units,), whole numbers; -1 = dead, one more module.
        normalized: divide by the joint entropy.
    Returns:
        VI in nats, in [0, ln units]; normalised, in [0, 1]. 0 for identical clusterings, and so where H(a, b) = 0.
    Raises:
        ValueError: a and b are not labels of the same units.
    Source: Meilă (2007), Journal of Multivariate Analysis 98:873.

    >>> variation_of_information(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), normalized=True)
    1.0
    """
    return _variation_of_information(_overlaps(a, b).counts)[int(normalized)]


def reduced_mutual_information(a: np.ndarray, b: np.ndarray, *, normalized: bool = False) -> float:
    """Mutual information less the cost of the overlap table itself, so that chance scores about 0. Higher = more alike.

    RMI = (1/n) [ ln( n! Π_rs c_rs! / (Π_r a_r! Π_s b_s!) ) - ln Ω ]

    with c_rs units in module r of a and s of b, a_r and b_s the sizes of the modules, and Ω the number of tables with
    these sizes (`log_table_count`). The factorials are exact, not Stirling's. Normalised:
    2 RMI(a, b) / (RMI(a, a) + RMI(b, b)).

    Args:
        a, b: module of each unit, shape (units,), whole numbers; -1 = dead, one more module.
        normalized: divide by the mean of RMI(a, a) and RMI(b, b).
    Returns:
        RMI in nats, below ln units; negative where a and b share less than chance; 0 if a or b has one module only.
        Normalised: 1 for identical clusterings, those of one module included; otherwise 0 where the mean is not
        positive. Usually at most 1, but without bounds where most modules have fewer than about four units: what a
        clustering then tells about itself hardly covers the cost of its table, and the mean comes near 0.
    Raises:
        ValueError: a and b are not labels of the same units.
    Source: Newman, Cantwell & Young (2020), Physical Review E 101:042304.

    >>> halves = np.repeat([0, 1], 32)
    >>> round(reduced_mutual_information(halves, halves), 1)                # (ln(64! / 32! / 32!) - ln 33) / 64 = 0.60
    0.6
    >>> reduced_mutual_information(halves, 1 - halves, normalized=True)
    1.0
    """
    return _reduced_mutual_information(_overlaps(a, b).counts)[int(normalized)]


def log_table_count(a_sizes: np.ndarray, b_sizes: np.ndarray) -> float:
    """Logarithm of the number Ω of tables of whole numbers ≥ 0 with the given row and column sums, approximately.

    ln Ω = (R - 1) (S - 1) ln(n + RS/2) + ½ (R + nu - 2) Σ_s ln y_s + ½ (S + mu - 2) Σ_r ln x_r
           + ½ ln[ Γ(mu R) Γ(nu S) / ( (Γ(nu) Γ(R))^S (Γ(mu) Γ(S))^R ) ]
    x_r = (a_r + S/2) / (n + RS/2),         y_s = (b_s + R/2) / (n + RS/2),
    mu = (R + 1) / (R Σ_s y_s²) - 1/R,      nu = (S + 1) / (S Σ_r x_r²) - 1/S

    Args:
        a_sizes, b_sizes: row sums, shape (R,), and column sums, shape (S,): positive, with the same total n.
    Returns:
        ln Ω in nats; exactly 0 for one row or one column. Off by up to about 0.3, and by more where most sizes are 1.
    Source: Newman, Cantwell & Young (2020), after Diaconis & Efron (1985), Annals of Statistics 13:845.
    """
    n_rows, n_columns, n_units = len(a_sizes), len(b_sizes), a_sizes.sum()
    if n_rows == 1 or n_columns == 1:
        return 0.0  # one table only; spares the result of the formula its rounding
    smoothed = n_units + n_rows * n_columns / 2
    x = (a_sizes + n_columns / 2) / smoothed
    y = (b_sizes + n_rows / 2) / smoothed
    mu = (n_rows + 1) / (n_rows * (y @ y)) - 1 / n_rows
    nu = (n_columns + 1) / (n_columns * (x @ x)) - 1 / n_columns
    gammas = (
        gammaln(mu * n_rows)
        + gammaln(nu * n_columns)
        - n_columns * (gammaln(nu) + gammaln(n_rows))
        - n_rows * (gammaln(mu) + gammaln(n_columns))
    )
    return float(
        (n_rows - 1) * (n_columns - 1) * np.log(smoothed)
        + (n_rows + nu - 2) / 2 * np.log(y).sum()
        + (n_columns + mu - 2) / 2 * np.log(x).sum()
        + gammas / 2
    )


def greedy_matching_score(a: np.ndarray, b: np.ndarray) -> float:
    """Share of units in modules matched one to one, largest overlap first. Higher = more alike.

    score = (units in matched overlaps) / min(clustered units of a, clustered units of b)

    Of equal overlaps that share a module, the one whose other module is smaller is matched first; of modules of the
    same size, the one with the first unit. So neither the names of modules nor the order of a and b matter.

    Args:
        a, b: module of each unit, shape (units,), whole numbers; -1 = dead, in no module and no overlap.
    Returns:
        The share, in [0, 1]; 1 for identical clusterings; 0 if a or b has dead units only.
    Raises:
        ValueError: a and b are not labels of the same units.

    >>> greedy_matching_score(np.array([0, 0, 0, 1, 1, -1]), np.array([1, 1, 0, 0, 0, 0]))   # (2 + 2) / 5
    0.8
    """
    return _greedy_matching_score(_overlaps(a, b))


def agreement_p_value(a: np.ndarray, b: np.ndarray, *, permutations: int = 5000, seed: int = 0) -> float:
    """How often chance matches modules as well as observed: a permutation test. Lower = agreement is less by chance.

    p = (k + 1) / (permutations + 1),    k = relabellings with a greedy score at least the observed one

    A relabelling hands the labels of one clustering, -1 included, to the units in random order. Ties count as chance
    and the observed labelling is one of the possible ones, so p is never 0; the paper counts strictly higher scores
    and divides by their number, which can give 0.

    Args:
        a, b: module of each unit, shape (units,), whole numbers; -1 = dead.
        permutations: number of relabellings, at least 1.
        seed: start of the random numbers (SplitMix64), a whole number, at least 0; the same seed gives the same p.
    Returns:
        p, in [1 / (permutations + 1), 1].
    Raises:
        ValueError: labels that are not two arrays of the same units, permutations below 1, or a negative seed.
    Source: Phipson & Smyth (2010), Statistical Applications in Genetics and Molecular Biology 9:39, for the + 1.

    >>> agreement_p_value(np.arange(64) % 8, np.arange(64) % 8, permutations=99)
    0.01
    """
    overlaps = _overlaps(a, b)
    _check_whole_number("permutations", permutations, at_least=1)
    _check_whole_number("seed", seed, at_least=0)
    return _p_value(overlaps, permutations, seed)


def transfer(similarity_a: np.ndarray, labels_a: np.ndarray, similarity_b: np.ndarray, labels_b: np.ndarray) -> float:
    """How much of its modularity each similarity keeps under the modules of the other. Higher = more alike.

    transfer = ½ [ Q(S_a, labels_b) / (Q(S_a, labels_a) + 0.001) + Q(S_b, labels_a) / (Q(S_b, labels_b) + 0.001) ]

    Args:
        similarity_a, similarity_b: similarities of the same units, shape (units, units), as for `modularity_score`.
        labels_a, labels_b: the modules found in each; module of each unit, shape (units,), -1 = dead.
    Returns:
        The mean ratio, dimensionless; about 1 where both have the same modules, 0 at the level of chance, may be < 0.
    Raises:
        ValueError: a similarity scores -0.001 or less under its own modules, or `modularity_score` refuses an argument.
    """
    return (_kept("a", similarity_a, labels_a, labels_b) + _kept("b", similarity_b, labels_b, labels_a)) / 2


def similarity_spearman(similarity_a: np.ndarray, similarity_b: np.ndarray) -> float:
    """Rank correlation of the similarities of all pairs of units (RSA). Higher = more alike.

    Spearman's rho between the entries above the diagonals; equal entries share their mean rank.

    Args:
        similarity_a, similarity_b: similarities of the same units, shape (units, units), finite; symmetric, only the
            part above the diagonal is read.
    Returns:
        rho, in [-1, 1]; 0 where one of the two has no ranking (all entries equal, or fewer than two).
    Raises:
        ValueError: the two are not finite square matrices of one size.

    >>> ramp = np.add.outer(np.arange(5.0), np.arange(5.0) ** 2)
    >>> round(similarity_spearman(ramp, np.exp(ramp)), 12)
    1.0
    """
    ranks = []
    shape = np.shape(similarity_a)
    for name, similarity in (("similarity_a", similarity_a), ("similarity_b", similarity_b)):
        if np.ndim(similarity) != 2 or shape[0] != shape[1] or np.shape(similarity) != shape:
            raise ValueError(
                f"similarity_a and similarity_b must be square and of one size, got shapes {shape} and "
                f"{np.shape(similarity_b)}. Each is a similarity of all pairs of the same units."
            )
        if not np.isfinite(similarity).all():
            raise ValueError(
                f"{name} must be finite, got {np.count_nonzero(~np.isfinite(similarity))} entries that are NaN or "
                "infinite. A unit without variance has similarity 0 to all others."
            )
        ranks.append(rankdata(np.asarray(similarity)[np.triu_indices(shape[0], 1)]))
    centred_a, centred_b = (rank - (rank.size + 1) / 2 for rank in ranks)  # mean rank of 1 ... size, ties or not
    scale = np.sqrt((centred_a @ centred_a) * (centred_b @ centred_b))
    return float(centred_a @ centred_b / scale) if scale > 0 else 0.0


@dataclass(frozen=True)
class _Overlaps:
    """Units shared by each cluster of a and each of b.

    Modules come by size, largest first, of equal sizes the one with the first unit last: the later, the earlier its
    turn among equal overlaps. Dead units follow.
    """

    counts: np.ndarray  # (clusters of a, clusters of b)
    rows: np.ndarray  # (units,) row of each unit
    columns: np.ndarray  # (units,) column of each unit
    n_modules_a: int  # clusters of a but for the dead units
    n_modules_b: int


def _overlaps(a: np.ndarray, b: np.ndarray) -> _Overlaps:
    a, b = _checked_labels("a", a), _checked_labels("b", b)
    if a.size != b.size:
        raise ValueError(
            f"a and b must label the same units, got {a.size} and {b.size} labels. Two clusterings are compared within "
            "one layer of one network."
        )
    rows, n_clusters_a, n_modules_a = _ranked(a)
    columns, n_clusters_b, n_modules_b = _ranked(b)
    counts = np.bincount(rows * n_clusters_b + columns, minlength=n_clusters_a * n_clusters_b)
    return _Overlaps(counts.reshape(n_clusters_a, n_clusters_b), rows, columns, n_modules_a, n_modules_b)


def _ranked(labels: np.ndarray) -> tuple[np.ndarray, int, int]:
    """Rename clusters 0, 1, ... in the order of `_Overlaps`; with the number of clusters and of modules."""
    names, first_unit, index, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    is_dead = names == -1
    rank = np.empty(names.size, dtype=np.int64)
    rank[np.lexsort((-first_unit, -sizes, is_dead))] = np.arange(names.size)
    return rank[index], names.size, names.size - int(np.count_nonzero(is_dead))


def _element_centric_similarity(counts: np.ndarray) -> float:
    larger = np.maximum.outer(counts.sum(axis=1), counts.sum(axis=0))
    return float((counts * counts / larger).sum() / counts.sum())


def _variation_of_information(counts: np.ndarray) -> tuple[float, float]:
    rows, columns = np.nonzero(counts)
    shared = counts[rows, columns]
    # Written so that each term is 0 where two modules are the same units: identical clusterings score exactly 0.
    unknown = np.log(counts.sum(axis=1)[rows] / shared) + np.log(counts.sum(axis=0)[columns] / shared)
    n_units = shared.sum()
    vi = float(shared @ unknown / n_units)
    if vi == 0.0:
        return 0.0, 0.0
    return vi, vi / float(shared @ np.log(n_units / shared) / n_units)


def _reduced_mutual_information(counts: np.ndarray) -> tuple[float, float]:
    a_sizes, b_sizes = counts.sum(axis=1), counts.sum(axis=0)
    n_units = int(a_sizes.sum())
    rmi = _total_rmi(counts, a_sizes, b_sizes)
    if np.count_nonzero(counts) == a_sizes.size == b_sizes.size:
        return rmi / n_units, 1.0
    mean = (_total_rmi(a_sizes, a_sizes, a_sizes) + _total_rmi(b_sizes, b_sizes, b_sizes)) / 2
    return rmi / n_units, rmi / mean if mean > 0 else 0.0


def _total_rmi(counts: np.ndarray, a_sizes: np.ndarray, b_sizes: np.ndarray) -> float:
    """n RMI; empty overlaps may be left out of counts."""
    if a_sizes.size == 1 or b_sizes.size == 1:
        return 0.0  # one cluster tells nothing; exact, where a sum of rounded logarithms is not
    information = (
        gammaln(a_sizes.sum() + 1) + gammaln(counts + 1).sum() - gammaln(a_sizes + 1).sum() - gammaln(b_sizes + 1).sum()
    )
    return float(information) - log_table_count(a_sizes, b_sizes)


def _greedy_matching_score(overlaps: _Overlaps) -> float:
    n_clustered = min(overlaps.counts[: overlaps.n_modules_a].sum(), overlaps.counts[:, : overlaps.n_modules_b].sum())
    if n_clustered == 0:
        return 0.0
    matching = _matching_without_units(overlaps)
    return _matched_units(_keys(overlaps, matching), matching) / int(n_clustered)


class _Matching(NamedTuple):
    """What greedy matching needs to know of a table of overlaps, flattened row by row.

    Each cell has a key of three bit fields: overlap, row, column. So no two keys are equal, the largest one names the
    next match, and of equal overlaps that share a row (a column) it is the one with the last column (row).
    """

    empty_keys: np.ndarray  # (cells,) keys where all overlaps are 0; too negative to be matched for dead units
    n_rows: int
    n_columns: int
    column_bits: int
    bits: int  # of row and column together


def _matching_without_units(overlaps: _Overlaps) -> _Matching:
    n_rows, n_columns = overlaps.counts.shape
    column_bits = (n_columns - 1).bit_length()
    bits = (n_rows - 1).bit_length() + column_bits
    rows, columns = np.indices((n_rows, n_columns)).reshape(2, -1)
    empty_keys = (rows << column_bits) | columns
    is_dead = (rows >= overlaps.n_modules_a) | (columns >= overlaps.n_modules_b)
    empty_keys[is_dead] -= (overlaps.rows.size + 1) << bits
    return _Matching(empty_keys, n_rows, n_columns, column_bits, bits)


def _keys(overlaps: _Overlaps, matching: _Matching) -> np.ndarray:
    return matching.empty_keys + (overlaps.counts.ravel() << matching.bits)


def _p_value(overlaps: _Overlaps, permutations: int, seed: int) -> float:
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
    """Number of units in greedily matched overlaps; uses up `keys`."""
    matched = 0
    overlap = _match_largest(keys, matching)
    while overlap > 0:
        matched += overlap
        overlap = _match_largest(keys, matching)
    return matched


@njit(cache=True)
def _matches_at_least(target: int, keys: np.ndarray, matching: _Matching) -> bool:
    """Whether greedy matching comes to `target` units, from as few matches as decide it; uses up `keys`."""
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


def _kept(name: str, similarity: np.ndarray, own: np.ndarray, other: np.ndarray) -> float:
    """Score of a similarity under the other's modules, relative to its own."""
    score = modularity_score(similarity, own)
    if score <= -TRANSFER_OFFSET:
        raise ValueError(
            f"labels_{name} must be modules found in similarity_{name}, got modules that score Q = {score:.3g} there, "
            "less than all units in one module (0). Are the labels of a and b exchanged?"
        )
    return modularity_score(similarity, other) / (score + TRANSFER_OFFSET)


def _checked_labels(name: str, labels: np.ndarray) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(
            f"{name} must be one label per unit, shape (units,) with at least one unit, got shape {labels.shape}."
        )
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{name} must hold whole numbers, got dtype {labels.dtype}. A label is the number of a module, or -1 for a "
            "dead unit; convert with .astype(int)."
        )
    if labels.min() < -1:
        raise ValueError(f"{name} must be module numbers >= 0, or -1 for a dead unit, got {labels.min()}.")
    return labels


def _check_whole_number(name: str, value: int, *, at_least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < at_least:
        raise ValueError(f"{name} must be a whole number of at least {at_least}, got {value!r}.")

"""Do two clusterings of the same units agree? Scores of a pair of label arrays, and what chance alone would give.

Labels are whole numbers, one per unit; -1 marks a dead unit. Three scores (element-centric similarity, reduced mutual
information, variation of information) count the dead units of a clustering as one more module; greedy matching leaves
them out. Names of modules are irrelevant to all of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln
from scipy.stats import rankdata

from modularity_lib.alignment.overlaps import WHOLE_TABLE, Overlaps, overlaps_of
from modularity_lib.arrays import flag, in_one_order, labels_of, square_of, whole_number
from modularity_lib.clustering.modularity import AllUnitsDead, adjacency_of, all_units_dead, modularity_score

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


def agreement(a: ArrayLike, b: ArrayLike, *, permutations: int = 5000, seed: int = 0) -> Agreement:
    """Compute all scores of a pair from one table of overlaps. The single functions give the same numbers.

    Time and memory grow with the overlaps that are not empty, at most one per unit: a permutation of 64 units in ten
    modules takes 0.6 microseconds, one of 15,000 units that are each a module 2 milliseconds, the default 10 seconds.

    Args:
        a, b: module of each unit, shape (units,), whole numbers, or a Clustering; -1 = dead.
        permutations: random relabellings behind the p-value, at least 1.
        seed: fixes the relabellings; a whole number, at least 0.
    Raises:
        ValueError: labels that are not two arrays of the same units, permutations below 1, or a negative seed.

    >>> result = agreement(np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0]), permutations=9)
    >>> result.element_centric, result.vi, result.greedy
    (1.0, 0.0, 1.0)
    """
    # Numba is loaded only where modules are matched: the tables of a study can be read without it.
    from modularity_lib.alignment.compiled import matched_share, matching_p_value

    overlaps = overlaps_of(a, b)
    permutations, seed = _checked_test(permutations, seed)
    rmi, rmi_norm = _reduced_mutual_information(overlaps)
    vi, vi_norm = _variation_of_information(overlaps)
    return Agreement(
        element_centric=_element_centric_similarity(overlaps),
        rmi=rmi,
        rmi_norm=rmi_norm,
        vi=vi,
        vi_norm=vi_norm,
        greedy=matched_share(overlaps),
        p_value=matching_p_value(overlaps, permutations, seed),
    )


def element_centric_similarity(a: ArrayLike, b: ArrayLike) -> float:
    """Element-centric similarity: how much each unit's module in a is like its module in b. Higher = more alike.

    s = mean_i |A(i) ∩ B(i)| / max(|A(i)|, |B(i)|),    A(i), B(i) = units of i's module in a, in b

    This is what the definition (personalised PageRank from each unit) comes to for clusterings without overlaps and
    hierarchy, whatever its teleport parameter.

    Args:
        a, b: module of each unit, shape (units,), whole numbers, or a Clustering; -1 = dead, one more module.
    Returns:
        s, a fraction in (0, 1]; 1 for identical clusterings.
    Raises:
        ValueError: a and b are not labels of the same units.
    Source: Gates, Wood, Hetrick & Ahn (2019), Scientific Reports 9:8574.

    >>> element_centric_similarity(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0]))
    0.5
    """
    return _element_centric_similarity(overlaps_of(a, b))


def expected_element_centric_similarity(a: ArrayLike, b: ArrayLike) -> float:
    """Mean element-centric similarity of a and b over all ways to shuffle the units of one: what chance alone gives.

    E[s] = (1/n) Σ_rs E[c_rs²] / max(a_r, b_s),    E[c_rs²] = a_r b_s / n + a_r (a_r - 1) b_s (b_s - 1) / (n (n - 1))

    with c_rs units in module r of a and s of b (hypergeometric), a_r and b_s the sizes of the modules. No sampling.

    Args:
        a, b: module of each unit, shape (units,), whole numbers, or a Clustering; -1 = dead, one more module. Only
            the sizes matter.
    Returns:
        E[s], a fraction in (0, 1]; exactly 1 where both have one module, and the score cannot be anything else.
    Raises:
        ValueError: a and b are not labels of the same units.

    >>> expected_element_centric_similarity(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]))   # 2/6 · 1 + 4/6 · 1/2
    0.6666666666666666
    """
    overlaps = overlaps_of(a, b)
    n_units = float(overlaps.rows.size)  # as all numbers here: the products go beyond the largest integer
    is_whole = overlaps.n_cells <= WHOLE_TABLE
    a_sizes, a_times, b_sizes, b_times = (
        numbers.astype(np.float64)
        for sizes in (overlaps.a_sizes, overlaps.b_sizes)
        for numbers in ((sizes, np.ones_like(sizes)) if is_whole else np.unique(sizes, return_counts=True))
    )
    rows, columns = a_sizes[:, None], b_sizes[None, :]
    pairs = rows * (rows - 1) * columns * (columns - 1) / (n_units * max(n_units - 1, 1))  # 0 for a single unit
    each = (rows * columns / n_units + pairs) / np.maximum(rows, columns)
    return float((each * np.outer(a_times, b_times)).sum() / n_units)


def variation_of_information(a: ArrayLike, b: ArrayLike, *, normalized: bool = False) -> float:
    """Variation of information: how much each clustering leaves unknown about the other. Lower = more alike.

    VI = H(a|b) + H(b|a) = 2 H(a, b) - H(a) - H(b);    normalised: VI / H(a, b)

    Args:
        a, b: module of each unit, shape (units,), whole numbers, or a Clustering; -1 = dead, one more module.
        normalized: divide by the joint entropy.
    Returns:
        VI in nats, in [0, ln units]; normalised, in [0, 1]. 0 for identical clusterings, and so where H(a, b) = 0.
    Raises:
        ValueError: a and b are not labels of the same units.
    Source: Meilă (2007), Journal of Multivariate Analysis 98:873.

    >>> variation_of_information(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), normalized=True)
    1.0
    """
    normalized = flag("normalized", normalized)
    return _variation_of_information(overlaps_of(a, b))[int(normalized)]


def reduced_mutual_information(a: ArrayLike, b: ArrayLike, *, normalized: bool = False) -> float:
    """Mutual information minus the cost of the overlap table, so that chance scores about 0. Higher = more alike.

    RMI = (1/n) [ ln( n! Π_rs c_rs! / (Π_r a_r! Π_s b_s!) ) - ln Ω ]

    with c_rs units in module r of a and s of b, a_r and b_s the sizes of the modules, and Ω the number of tables with
    these sizes (`log_table_count`). The factorials are exact, not Stirling's. Normalised:
    2 RMI(a, b) / (RMI(a, a) + RMI(b, b)).

    Args:
        a, b: module of each unit, shape (units,), whole numbers, or a Clustering; -1 = dead, one more module.
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
    normalized = flag("normalized", normalized)
    return _reduced_mutual_information(overlaps_of(a, b))[int(normalized)]


def log_table_count(a_sizes: np.ndarray, b_sizes: np.ndarray) -> float:
    """Approximate logarithm of Ω, the number of tables of whole numbers ≥ 0 with these row and column sums.

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


def greedy_matching_score(a: ArrayLike, b: ArrayLike) -> float:
    """Share of units in modules matched one to one, largest overlap first. Higher = more alike.

    score = (units in matched overlaps) / min(clustered units of a, clustered units of b)

    Of equal overlaps that share a module, the one whose other module is smaller is matched first; of modules of the
    same size, the one with the first unit. So neither the names of modules nor the order of a and b matter.

    Args:
        a, b: module of each unit, shape (units,), whole numbers, or a Clustering; -1 = dead, in no module and no
            overlap.
    Returns:
        The share, in [0, 1]; 1 for identical clusterings; 0 if a or b has dead units only.
    Raises:
        ValueError: a and b are not labels of the same units.

    >>> greedy_matching_score(np.array([0, 0, 0, 1, 1, -1]), np.array([1, 1, 0, 0, 0, 0]))   # (2 + 2) / 5
    0.8
    """
    from modularity_lib.alignment.compiled import matched_share  # here for the reason given in `agreement`

    return matched_share(overlaps_of(a, b))


def agreement_p_value(a: ArrayLike, b: ArrayLike, *, permutations: int = 5000, seed: int = 0) -> float:
    """Permutation test: how often chance matches modules as well as observed. Lower = chance explains it less.

    p = (k + 1) / (permutations + 1),    k = relabellings with a greedy score at least the observed one

    A relabelling hands the labels of one clustering, -1 included, to the units in random order. Ties count as chance
    and the observed labelling is one of the possible ones, so p is never 0; the paper counts strictly higher scores
    and divides by their number, which can give 0.

    Args:
        a, b: module of each unit, shape (units,), whole numbers, or a Clustering; -1 = dead.
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
    from modularity_lib.alignment.compiled import matching_p_value  # here for the reason given in `agreement`

    overlaps = overlaps_of(a, b)
    permutations, seed = _checked_test(permutations, seed)
    return matching_p_value(overlaps, permutations, seed)


def transfer(similarity_a: ArrayLike, labels_a: ArrayLike, similarity_b: ArrayLike, labels_b: ArrayLike) -> float:
    """How much modularity each similarity keeps under the other's modules. Higher = more alike.

    transfer = ½ [ Q(S_a, labels_b) / (Q(S_a, labels_a) + 0.001) + Q(S_b, labels_a) / (Q(S_b, labels_b) + 0.001) ]

    Args:
        similarity_a, similarity_b: similarities of the same units, shape (units, units), as for `modularity_score`.
        labels_a, labels_b: the modules found in each; module of each unit, shape (units,), -1 = dead.
    Returns:
        The mean ratio, dimensionless; about 1 where both have the same modules, 0 at the level of chance, may be < 0.
    Raises:
        ValueError: a similarity scores -0.001 or less under its own modules, or `modularity_score` refuses an argument.
        AllUnitsDead: a similarity is zero everywhere off the diagonal.
    """
    similarity_a, labels_a, similarity_b, labels_b = in_one_order(
        similarity_a=similarity_a, labels_a=labels_a, similarity_b=similarity_b, labels_b=labels_b
    )
    a, b = _linked("similarity_a", similarity_a), _linked("similarity_b", similarity_b)
    if len(a) != len(b):
        raise ValueError(
            f"similarity_a and similarity_b must be of the same units, got {len(a)} and {len(b)} units. Two "
            "similarities are compared within one layer of one network."
        )
    modules_a, modules_b = (
        labels_of(name, labels, n_units=len(a)) for name, labels in (("labels_a", labels_a), ("labels_b", labels_b))
    )
    return (_kept("a", a, modules_a, modules_b) + _kept("b", b, modules_b, modules_a)) / 2


def similarity_spearman(similarity_a: ArrayLike, similarity_b: ArrayLike) -> float:
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
    similarity_a, similarity_b = in_one_order(similarity_a=similarity_a, similarity_b=similarity_b)
    a, b = square_of("similarity_a", similarity_a), square_of("similarity_b", similarity_b)
    if a.shape != b.shape:
        raise ValueError(
            f"similarity_a and similarity_b must be of one size, got shapes {a.shape} and {b.shape}. Each is a "
            "similarity of all pairs of the same units."
        )
    above = np.triu_indices(len(a), 1)
    ranks = [rankdata(similarity[above]) for similarity in (a, b)]
    centred_a, centred_b = (rank - (rank.size + 1) / 2 for rank in ranks)  # mean rank of 1 ... size, ties or not
    scale = np.sqrt((centred_a @ centred_a) * (centred_b @ centred_b))
    return float(centred_a @ centred_b / scale) if scale > 0 else 0.0


def _element_centric_similarity(overlaps: Overlaps) -> float:
    larger = np.maximum(overlaps.a_sizes[overlaps.shared_rows], overlaps.b_sizes[overlaps.shared_columns])
    return overlaps.sum_of(overlaps.shared * overlaps.shared / larger) / overlaps.rows.size


def _variation_of_information(overlaps: Overlaps) -> tuple[float, float]:
    shared = overlaps.shared
    # Written so that each term is 0 where two modules are the same units: identical clusterings score exactly 0.
    unknown = np.log(overlaps.a_sizes[overlaps.shared_rows] / shared) + np.log(
        overlaps.b_sizes[overlaps.shared_columns] / shared
    )
    n_units = shared.sum()
    vi = float(shared @ unknown / n_units)
    if vi == 0.0:
        return 0.0, 0.0
    return vi, vi / float(shared @ np.log(n_units / shared) / n_units)


def _reduced_mutual_information(overlaps: Overlaps) -> tuple[float, float]:
    a_sizes, b_sizes = overlaps.a_sizes, overlaps.b_sizes
    n_units = overlaps.rows.size
    rmi = _total_rmi(overlaps.sum_of(gammaln(overlaps.shared + 1)), a_sizes, b_sizes)
    if overlaps.shared.size == a_sizes.size == b_sizes.size:
        return rmi / n_units, 1.0
    mean = sum(_total_rmi(gammaln(sizes + 1).sum(), sizes, sizes) for sizes in (a_sizes, b_sizes)) / 2
    return rmi / n_units, rmi / mean if mean > 0 else 0.0


def _total_rmi(log_shared: float, a_sizes: np.ndarray, b_sizes: np.ndarray) -> float:
    """Reduced mutual information times the number of units, from the sum of ln(overlap!) over the table."""
    if a_sizes.size == 1 or b_sizes.size == 1:
        return 0.0  # one cluster tells nothing; exact, where a sum of rounded logarithms is not
    information = gammaln(a_sizes.sum() + 1) + log_shared - gammaln(a_sizes + 1).sum() - gammaln(b_sizes + 1).sum()
    return float(information) - log_table_count(a_sizes, b_sizes)


def _linked(name: str, similarity: ArrayLike) -> np.ndarray:
    adjacency = adjacency_of(name, similarity)
    if not adjacency.any():
        raise AllUnitsDead(f"{name}: {all_units_dead(len(adjacency))}")
    return adjacency


def _kept(name: str, similarity: np.ndarray, own: np.ndarray, other: np.ndarray) -> float:
    """Score of a similarity under the other's modules, relative to its own."""
    score = modularity_score(similarity, own)
    if score <= -TRANSFER_OFFSET:
        raise ValueError(
            f"labels_{name} must be modules found in similarity_{name}, got modules that score Q = {score:.3g} there, "
            "less than all units in one module (0). Are the labels of a and b exchanged?"
        )
    return modularity_score(similarity, other) / (score + TRANSFER_OFFSET)


def _checked_test(permutations: int, seed: int) -> tuple[int, int]:
    return (
        whole_number("permutations", permutations, at_least=1, at_most=10**9),
        whole_number("seed", seed, at_least=0),
    )

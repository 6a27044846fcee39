"""Do two clusterings of the same units agree? Scores of a pair of label arrays, and what chance alone would give.

Labels are whole numbers, one per unit; -1 marks a dead unit. Three scores (element-centric similarity, reduced mutual
information, variation of information) count the dead units of a clustering as one more module; greedy matching leaves
them out. Names of modules are irrelevant to all of them.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln
from scipy.stats import rankdata

from modularity_lib.alignment.overlaps import overlaps_of
from modularity_lib.clustering.modularity import modularity_score

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
    """Compute all scores of a pair from one table of overlaps. The single functions give the same numbers.

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
    # Numba is loaded only where modules are matched: the tables of a study can be read without it.
    from modularity_lib.alignment.compiled import matched_share, matching_p_value

    overlaps = overlaps_of(a, b)
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
        greedy=matched_share(overlaps),
        p_value=matching_p_value(overlaps, permutations, seed),
    )


def element_centric_similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Element-centric similarity: how much each unit's module in a is like its module in b. Higher = more alike.

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
    return _element_centric_similarity(overlaps_of(a, b).counts)


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
    counts = overlaps_of(a, b).counts
    n_units = counts.sum()
    rows, columns = counts.sum(axis=1)[:, None], counts.sum(axis=0)[None, :]
    pairs = rows * (rows - 1) * columns * (columns - 1) / (n_units * max(n_units - 1, 1))  # 0 for a single unit
    return float(((rows * columns / n_units + pairs) / np.maximum(rows, columns)).sum() / n_units)


def variation_of_information(a: np.ndarray, b: np.ndarray, *, normalized: bool = False) -> float:
    """Variation of information: how much each clustering leaves unknown about the other. Lower = more alike.

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
    return _variation_of_information(overlaps_of(a, b).counts)[int(normalized)]


def reduced_mutual_information(a: np.ndarray, b: np.ndarray, *, normalized: bool = False) -> float:
    """Mutual information minus the cost of the overlap table, so that chance scores about 0. Higher = more alike.

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
    return _reduced_mutual_information(overlaps_of(a, b).counts)[int(normalized)]


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
    from modularity_lib.alignment.compiled import matched_share  # here for the reason given in `agreement`

    return matched_share(overlaps_of(a, b))


def agreement_p_value(a: np.ndarray, b: np.ndarray, *, permutations: int = 5000, seed: int = 0) -> float:
    """Permutation test: how often chance matches modules as well as observed. Lower = chance explains it less.

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
    from modularity_lib.alignment.compiled import matching_p_value  # here for the reason given in `agreement`

    overlaps = overlaps_of(a, b)
    _check_whole_number("permutations", permutations, at_least=1)
    _check_whole_number("seed", seed, at_least=0)
    return matching_p_value(overlaps, permutations, seed)


def transfer(similarity_a: np.ndarray, labels_a: np.ndarray, similarity_b: np.ndarray, labels_b: np.ndarray) -> float:
    """How much modularity each similarity keeps under the other's modules. Higher = more alike.

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
    """Reduced mutual information times the number of units; `counts` need not hold the empty overlaps."""
    if a_sizes.size == 1 or b_sizes.size == 1:
        return 0.0  # one cluster tells nothing; exact, where a sum of rounded logarithms is not
    information = (
        gammaln(a_sizes.sum() + 1) + gammaln(counts + 1).sum() - gammaln(a_sizes + 1).sum() - gammaln(b_sizes + 1).sum()
    )
    return float(information) - log_table_count(a_sizes, b_sizes)


def _kept(name: str, similarity: np.ndarray, own: np.ndarray, other: np.ndarray) -> float:
    """Score of a similarity under the other's modules, relative to its own."""
    score = modularity_score(similarity, own)
    if score <= -TRANSFER_OFFSET:
        raise ValueError(
            f"labels_{name} must be modules found in similarity_{name}, got modules that score Q = {score:.3g} there, "
            "less than all units in one module (0). Are the labels of a and b exchanged?"
        )
    return modularity_score(similarity, other) / (score + TRANSFER_OFFSET)


def _check_whole_number(name: str, value: int, *, at_least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < at_least:
        raise ValueError(f"{name} must be a whole number of at least {at_least}, got {value!r}.")

"""Q where the truth is known: noise, planted blocks, a factor common to all, and tests of Q on them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from modularity_lib.alignment.scores import element_centric_similarity
from modularity_lib.clustering.modularity import modularity_score
from modularity_lib.clustering.paper_search import paper_modules

SHARED = 0.64  # correlation of the units of a planted block, before a factor common to all is mixed in
LEVEL = 0.05  # at which a test calls a matrix modular


def noise(units: int, *, seed: int, samples: int = 500) -> np.ndarray:
    """Absolute correlations of independent normal variables, shape (units, units): modules arise only by chance."""
    return _correlations(_independent(units, samples, seed=seed))


def planted(
    units: int, *, blocks: int, common: float, seed: int, samples: int = 5_000, shared: float = SHARED
) -> np.ndarray:
    """Absolute correlations of variables in equal blocks, shape (units, units).

    Each variable is √common · g + √(1 - common) (√shared · b + √(1 - shared) · e) with one g for all, one b per block
    and noise e of its own, all standard normal. The correlation is common + (1 - common) shared within a block, and
    `common` across.
    """
    return _correlations(_in_blocks(units, samples, blocks=blocks, common=common, seed=seed, shared=shared))


def _independent(units: int, samples: int, *, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((samples, units))


def _in_blocks(units: int, samples: int, *, blocks: int, common: float, seed: int, shared: float) -> np.ndarray:
    source = np.random.default_rng(seed)
    own = np.sqrt(shared) * source.standard_normal((samples, blocks))[:, block_of(units, blocks)]
    own += np.sqrt(1 - shared) * source.standard_normal((samples, units))
    return np.sqrt(common) * source.standard_normal((samples, 1)) + np.sqrt(1 - common) * own


def _correlations(values: np.ndarray) -> np.ndarray:
    return np.abs(np.corrcoef(values, rowvar=False))


def block_of(units: int, blocks: int) -> np.ndarray:
    """The planted block of each unit.

    >>> block_of(6, 3)
    array([0, 0, 1, 1, 2, 2])
    """
    return np.arange(units) * blocks // units


def floor_table(
    units: Sequence[int] = (8, 16, 32, 64, 128),
    *,
    samples: Sequence[int] = (100, 1_000, 10_000),
    draws: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    """Q of noise by the number of units and of samples: `units`, `samples`, `mean`, `sd` over the draws, `draws`."""
    rows = []
    for size in samples:
        for count in units:
            scores = [
                paper_modules(noise(count, seed=seed + draw, samples=size), seed=draw).score for draw in range(draws)
            ]
            spread = {"mean": np.mean(scores), "sd": np.std(scores, ddof=1)}
            rows.append({"units": count, "samples": size, **spread, "draws": draws})
    return pd.DataFrame(rows)


def common_factor_table(
    common: Sequence[float] = (0.0, 0.2, 0.5, 0.8),
    *,
    units: int = 64,
    blocks: int = 4,
    shared: Sequence[float] = (0.3, SHARED),
    draws: int = 3,
    seed: int = 0,
) -> pd.DataFrame:
    """The same planted blocks under a correlation shared by all units.

    Returns:
        A row per `shared` (correlation within a block without the common factor) and `common`: `score` and
        `recovered` (element-centric similarity with the blocks), means over the draws; and `expected`, the Q of the
        blocks themselves if correlations had no sampling error.
    """
    truth = block_of(units, blocks)
    rows = []
    for within in shared:
        for share in common:
            scores, recovered = [], []
            for draw in range(draws):
                matrix = planted(units, blocks=blocks, common=share, seed=seed + draw, shared=within)
                found = paper_modules(matrix, seed=seed)
                scores.append(found.score)
                recovered.append(element_centric_similarity(found.labels, truth))
            exact = np.where(truth[:, None] == truth, share + (1 - share) * within, share)
            found_here = {"score": np.mean(scores), "recovered": np.mean(recovered)}
            expected = modularity_score(exact, truth)
            rows.append({"shared": within, "common": share, **found_here, "expected": expected, "draws": draws})
    return pd.DataFrame(rows)


SHUFFLED, SEARCHED = "shuffled labels", "searched nulls"
BLOCKS_IN_TEST = {"blocks": 4, "shared": 0.15}
TESTED = {"noise": None, "planted blocks": 0.0, "blocks under a common factor": 0.5}  # the correlation shared by all


def p_value_table(
    *, matrices: int = 100, draws: int = 19, units: int = 32, samples: int = 300, steps: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """p-values of two tests of Q, on matrices without and with modules.

    Both ask how often a null reaches the Q that a search found: p = (b + 1) / (n + 1). "shuffled labels" gives the
    modules found to shuffled units of the same matrix, and searches no more. "searched nulls" shuffles the samples of
    each unit by itself, which leaves no similarity but chance, and searches that matrix in the same way.

    Args:
        matrices: how many of each kind in `TESTED`.
        draws: n, nulls of each test of each matrix.
        units, samples: size of the matrices, and of what they are correlations of.
        steps: of every search.
    Returns:
        A row per matrix and test: `kind`, `matrix`, `test`, `score`, `p_value`.
    """
    rows = []
    for kind, common in TESTED.items():
        for index in range(matrices):
            source = np.random.default_rng([seed, index])
            if common is None:
                values = _independent(units, samples, seed=seed + index)
            else:
                values = _in_blocks(
                    units,
                    samples,
                    blocks=int(BLOCKS_IN_TEST["blocks"]),
                    common=common,
                    seed=seed + index,
                    shared=BLOCKS_IN_TEST["shared"],
                )
            similarity = _correlations(values)
            found = paper_modules(similarity, seed=index, steps=steps)
            nulls: dict[str, list[float]] = {SHUFFLED: [], SEARCHED: []}
            for draw in range(draws):
                nulls[SHUFFLED].append(modularity_score(similarity, source.permutation(found.labels)))
                alone = _correlations(source.permuted(values, axis=0))
                nulls[SEARCHED].append(paper_modules(alone, seed=draw, steps=steps).score)
            for test, scores in nulls.items():
                p = (1 + np.sum(np.array(scores) >= found.score)) / (draws + 1)
                rows.append({"kind": kind, "matrix": index, "test": test, "score": found.score, "p_value": p})
    return pd.DataFrame(rows)


def rate_table(p_values: pd.DataFrame) -> pd.DataFrame:
    """How often each test calls a matrix modular: `called` of `matrices`, `rate`, and its interval, `low` to `high`."""
    rows = []
    for (kind, test), group in p_values.groupby(["kind", "test"], sort=False):
        called = int((group["p_value"] <= LEVEL + 1e-12).sum())
        interval = stats.binomtest(called, len(group)).proportion_ci(method="wilson")
        counted = {"called": called, "matrices": len(group), "rate": called / len(group)}
        rows.append({"kind": kind, "test": test, **counted, "low": interval.low, "high": interval.high})
    return pd.DataFrame(rows)

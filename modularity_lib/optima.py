"""How close a search comes to the best modules there are: other methods, restarts, every partition of a few units."""

from collections.abc import Callable, Iterator, Mapping

import networkx as nx
import numpy as np
import pandas as pd

from modularity_lib.alignment import element_centric_similarity
from modularity_lib.clustering import find_modules, spectral_modules
from modularity_lib.modularity import AllUnitsDead, modularity_matrix, modularity_score, to_adjacency

Method = Callable[[np.ndarray, int], np.ndarray]  # similarity matrix and seed -> labels


def noise(units: int, *, seed: int, samples: int = 500) -> np.ndarray:
    """Absolute correlations of independent normal variables, shape (units, units): no modules but those of chance."""
    values = np.random.default_rng(seed).standard_normal((samples, units))
    return np.abs(np.corrcoef(values, rowvar=False))


def planted(units: int, *, blocks: int, common: float, seed: int, samples: int = 5_000) -> np.ndarray:
    """Absolute correlations of variables in equal blocks, shape (units, units).

    Each variable is √common · g + √(1 - common) (0.8 b + 0.6 e) with one g for all, one b per block and noise e of its
    own, all standard normal: correlation 0.64 (1 - common) + common within a block, `common` across.
    """
    random = np.random.default_rng(seed)
    block = np.arange(units) * blocks // units
    own = 0.8 * random.standard_normal((samples, blocks))[:, block] + 0.6 * random.standard_normal((samples, units))
    values = np.sqrt(common) * random.standard_normal((samples, 1)) + np.sqrt(1 - common) * own
    return np.abs(np.corrcoef(values, rowvar=False))


def best_partition(similarity: np.ndarray) -> tuple[float, int]:
    """The largest Q of all partitions of the units, and how many partitions there are. For at most 10 units.

    Raises:
        ValueError: more than 10 units (115,975 partitions).

    >>> best_partition(np.kron(np.eye(2), np.ones((2, 2))))
    (0.5, 15)
    """
    units = len(similarity)
    if units > 10:
        raise ValueError(f"similarity must have at most 10 units, got {units}: their partitions are too many to try.")
    gain = modularity_matrix(similarity)
    scores = [float(gain[labels[:, np.newaxis] == labels].sum()) for labels in _partitions(units)]
    return max(scores), len(scores)


def _partitions(units: int) -> Iterator[np.ndarray]:
    """Every partition once, as labels in order of first appearance (restricted growth strings)."""
    labels = [0] * units

    def extend(at: int, highest: int) -> Iterator[np.ndarray]:
        if at == units:
            yield np.array(labels)
            return
        for label in range(highest + 2):
            labels[at] = label
            yield from extend(at + 1, max(highest, label))

    yield from extend(1, 0)


def _louvain(similarity: np.ndarray, seed: int) -> np.ndarray:
    graph = nx.from_numpy_array(to_adjacency(similarity) / to_adjacency(similarity).max())
    labels = np.zeros(len(similarity), dtype=int)
    for module, units in enumerate(nx.community.louvain_communities(graph, seed=seed)):
        labels[list(units)] = module
    return labels


METHODS: dict[str, Method] = {
    "spectral, the paper's": lambda similarity, seed: spectral_modules(similarity, variant="paper").labels,
    "spectral, Newman's": lambda similarity, seed: spectral_modules(similarity, variant="newman").labels,
    "Louvain": _louvain,
    "search of the paper": lambda similarity, seed: find_modules(similarity, seed=seed).labels,
}


def gap_table(matrices: Mapping[str, Mapping[str, np.ndarray]], *, restarts: int = 20, seed: int = 0) -> pd.DataFrame:
    """Q of every method on every matrix, beside the best of many restarts.

    Args:
        matrices: {kind: {name: similarity matrix}}.
    Returns:
        A row per matrix and method: `kind`, `matrix`, `method`, `score`, `best` (the largest Q that any method or
        restart reached), `gap` = (best - score) / best.
    """
    rows = []
    for kind, by_name in matrices.items():
        for name, similarity in by_name.items():
            try:
                scores = {
                    method: modularity_score(similarity, find(similarity, seed)) for method, find in METHODS.items()
                }
            except AllUnitsDead:
                continue
            scores[f"best of {restarts} searches"] = find_modules(similarity, seed=seed, restarts=restarts).score
            best = max(scores.values())
            rows += [
                {"kind": kind, "matrix": name, "method": method, "score": score, "best": best, "gap": 1 - score / best}
                for method, score in scores.items()
            ]
    return pd.DataFrame(rows)


def near_optima(similarity: np.ndarray, *, searches: int = 20, seed: int = 0) -> pd.DataFrame:
    """Searches that differ in their random numbers alone: `score`, `share` of the best Q, `alike` = element-centric
    similarity with the best one's modules."""
    found = [find_modules(similarity, seed=seed + index) for index in range(searches)]
    best = max(found, key=lambda modules: modules.score)
    return pd.DataFrame(
        {
            "score": [modules.score for modules in found],
            "share": [modules.score / best.score for modules in found],
            "alike": [element_centric_similarity(modules.labels, best.labels) for modules in found],
        }
    )


def exact_table(matrices: Mapping[str, np.ndarray], *, units: int = 8, seed: int = 0) -> pd.DataFrame:
    """The largest Q of all partitions of some units, and the Q that the search finds on them.

    Args:
        matrices: {name: similarity matrix}; of each a random choice of `units` units is taken.
    Returns:
        `matrix`, `exact`, `search`, `partitions`. A choice of units that are all dead is left out.
    """
    rows = []
    for index, (name, similarity) in enumerate(matrices.items()):
        chosen = np.random.default_rng([seed, index]).choice(
            len(similarity), min(units, len(similarity)), replace=False
        )
        part = similarity[np.ix_(chosen, chosen)]
        try:
            found = find_modules(part, seed=seed)
        except AllUnitsDead:
            continue
        exact, count = best_partition(part)
        rows.append({"matrix": name, "exact": exact, "search": found.score, "partitions": count})
    return pd.DataFrame(rows)


def floor_table(units: tuple[int, ...] = (8, 16, 32, 64, 128), *, draws: int = 10, seed: int = 0) -> pd.DataFrame:
    """Q of noise by the number of units: `units`, `mean`, `sd` over the draws."""
    rows = []
    for count in units:
        scores = [find_modules(noise(count, seed=seed + draw), seed=draw).score for draw in range(draws)]
        rows.append({"units": count, "mean": np.mean(scores), "sd": np.std(scores, ddof=1)})
    return pd.DataFrame(rows)


def common_factor_table(
    common: tuple[float, ...] = (0.0, 0.2, 0.5, 0.8), *, units: int = 64, blocks: int = 4, seed: int = 0
) -> pd.DataFrame:
    """Planted blocks under a correlation shared by all units: `common`, `score`, `recovered` (element-centric)."""
    truth = np.arange(units) * blocks // units
    rows = []
    for share in common:
        found = find_modules(planted(units, blocks=blocks, common=share, seed=seed), seed=seed)
        recovered = element_centric_similarity(found.labels, truth)
        rows.append({"common": share, "score": found.score, "recovered": recovered})
    return pd.DataFrame(rows)


def false_positive_table(
    *, matrices: int = 40, draws: int = 39, units: int = 32, level: float = 0.05, seed: int = 0
) -> pd.DataFrame:
    """How often two tests call noise modular at a level: `test`, `rate`, `matrices`.

    "shuffled labels" compares Q with the Q of the same modules on shuffled units, which were not searched for;
    "searched noise" compares it with the Q that the same search finds on fresh noise. p = (b + 1) / (n + 1).
    """
    random = np.random.default_rng(seed)
    nulls = np.array([find_modules(noise(units, seed=10_000 + draw), seed=draw).score for draw in range(draws)])
    called = {"shuffled labels": 0, "searched noise": 0}
    for index in range(matrices):
        similarity = noise(units, seed=seed + index)
        found = find_modules(similarity, seed=index)
        shuffled = np.array([modularity_score(similarity, random.permutation(found.labels)) for _ in range(draws)])
        for test, null in (("shuffled labels", shuffled), ("searched noise", nulls)):
            p = (np.sum(null >= found.score) + 1) / (draws + 1)
            called[test] += int(p <= level)
    return pd.DataFrame([{"test": test, "rate": n / matrices, "matrices": matrices} for test, n in called.items()])


def facts(
    gaps: pd.DataFrame, near: pd.DataFrame, exact: pd.DataFrame, common: pd.DataFrame, positives: pd.DataFrame
) -> dict[str, str]:
    """What the tables of this module say, in words."""
    trained = gaps[gaps["kind"] == "trained networks"].groupby("method", sort=False)["gap"].agg(["mean", "max"])
    gap_parts = [f"{name}: {row['mean']:.1%} on average, {row['max']:.1%} at most" for name, row in trained.iterrows()]
    equal = int(np.isclose(exact["exact"], exact["search"], rtol=1e-9, atol=1e-12).sum())
    close = int((near["share"] >= 0.95).sum())
    others = near["alike"].drop(near["score"].idxmax())
    rates = positives.set_index("test")["rate"]
    first, last = common.iloc[0], common.iloc[-1]
    return {
        "n_matrices": str(gaps.loc[gaps["kind"] == "trained networks", "matrix"].nunique()),
        "gap_sentence": "Below the best Q found on the matrices of trained networks: " + "; ".join(gap_parts) + ".",
        "exact_sentence": (
            f"On {equal} of {len(exact)} such choices the search finds the largest Q of all "
            f"{exact['partitions'].max():,} partitions."
        ),
        "near_sentence": (
            f"Of {len(near)} searches {close} come within five percent of the best one. The modules of the others "
            f"have an element-centric similarity of {others.min():.2f} to {others.max():.2f} with its modules."
        ),
        "common_sentence": (
            f"Q goes from {first['score']:.3f} to {last['score']:.3f} as the correlation shared by all units goes from "
            f"{first['common']:g} to {last['common']:g}; the blocks are recovered with a similarity of "
            f"{common['recovered'].min():.2f} or more."
        ),
        "positives_sentence": (
            f"Of {positives['matrices'].iloc[0]} matrices of noise the test that shuffles labels calls "
            f"{rates['shuffled labels']:.0%} modular at the five percent level; the test against searched noise calls "
            f"{rates['searched noise']:.0%}."
        ),
    }

"""What counts as a silent unit, and how much Q and agreement depend on it.

A weight penalty shrinks the outgoing weights of a unit without ever reaching 0: to 1e-40, say. A raw measure hardly
sees such a unit, a normalised one divides its smallness out. In single precision the square of such a weight is 0, and
the unit is dead; in double precision, in which the tables of this project were computed, it is not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from modularity_lib.alignment.scores import element_centric_similarity
from modularity_lib.clustering.clusterings import Clustering
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings.comparison import compare_with_paper
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import setting_of
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import FAMILY, MEASURES, REGULARISERS, is_normalised, quantity_of

SMALLEST_SINGLE = float(np.finfo(np.float32).smallest_subnormal)
EQUALLY_CLOSE = 0.001  # means of differences that differ by no more do not tell rules apart
NEGLIGIBLE = 1e-12  # share of the largest self-similarity of a layer


@dataclass(frozen=True)
class Rule:
    """Which units of a layer are silent, by their self-similarities S_ii in the raw measure, and where they end up."""

    name: str
    normalised: Callable[[np.ndarray], np.ndarray]  # silent in the normalised measure
    raw: Callable[[np.ndarray], np.ndarray]  # silent in the raw measure
    placed: bool = False  # put into modules at random, as by a search that does not set them aside; else dead


def _zero(own: np.ndarray) -> np.ndarray:
    return own == 0


def _zero_in_single_precision(own: np.ndarray) -> np.ndarray:
    return own < SMALLEST_SINGLE


def _negligible(own: np.ndarray) -> np.ndarray:
    return own < NEGLIGIBLE * own.max()


RULES = (
    Rule("dead: S_ii = 0 in double precision, as in this book", _zero, _zero),
    Rule("dead: S_ii = 0 in single precision, normalised measures", _zero_in_single_precision, _zero),
    Rule("the same units, put into modules at random", _zero_in_single_precision, _zero, placed=True),
    Rule(f"dead: S_ii below {NEGLIGIBLE:g} of the largest, all measures", _negligible, _negligible),
)


def without_units(similarity: np.ndarray, dead: np.ndarray) -> np.ndarray:
    """Set the rows and columns of some units to 0.

    >>> without_units(np.ones((2, 2)), np.array([False, True])).tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """
    return np.where(dead[:, None] | dead[None, :], 0.0, similarity)


def rules_table(results: Results, *, run: int = 0) -> pd.DataFrame:
    """Compare the modules of one run under each rule with the published numbers.

    Args:
        run: whose matrices are used; all its analysed networks.
    Returns:
        A row per rule: `rule`; `silent` (units per layer and normalised downstream measure under L2, mean); `q_signed`,
        `q_mean` (difference from the published Q of these measures under L2, mean over measures and strengths, signed
        and absolute); `agreement_signed`, `agreement_mean`, `agreement_largest` (of the published agreements of
        trained networks). One run here, all runs in the paper.
    Raises:
        LookupError, DatasetUnavailable: as of `stored_matrices`.
    """
    modules = pd.DataFrame(_modules(results, run))
    rows = []
    for rule in RULES:
        found = modules[modules["rule"] == rule.name]
        q = _q_beside(found, results)
        agreement = _agreement_beside(found, results)
        rows.append(
            {
                "rule": rule.name,
                "silent": found.loc[found["regulariser_l2"] & found["normalised_downstream"], "silent"].mean(),
                "q_signed": q.mean(),
                "q_mean": q.abs().mean(),
                "agreement_signed": agreement.mean(),
                "agreement_mean": agreement.abs().mean(),
                "agreement_largest": agreement.abs().max(),
            }
        )
    return pd.DataFrame(rows)


def _modules(results: Results, run: int) -> Iterator[dict[str, object]]:
    for config, matrices in Archive(results.study).with_matrices(results, run=run):
        of_l2 = config.l1 == 0 and config.dropout == 0
        for layer, by_measure in enumerate(matrices.values(), start=1):
            for measure in MEASURES:
                own = np.diag(by_measure[quantity_of(measure)])
                found: dict[bytes, Clustering] = {}  # by which units are silent
                for rule in RULES:
                    silent = (rule.normalised if is_normalised(measure) else rule.raw)(own)
                    if silent.tobytes() not in found:
                        left = without_units(by_measure[measure], silent)
                        found[silent.tobytes()] = paper_modules(left, seed=run, steps=results.study.search_steps)
                    modules = found[silent.tobytes()]
                    labels = modules.labels
                    if rule.placed and modules.status == "ok":
                        labels = placed_at_random(labels, silent & (own > 0), seed=run)
                    yield {
                        **setting_of(config)._asdict(),
                        "layer": layer,
                        "measure": measure,
                        "rule": rule.name,
                        "silent": int(silent.sum()),
                        "status": modules.status,
                        "score": modules.score,
                        "labels": labels,
                        "regulariser_l2": of_l2,
                        "normalised_downstream": is_normalised(measure) and FAMILY[measure] == "downstream",
                    }


def placed_at_random(labels: np.ndarray, units: np.ndarray, *, seed: int) -> np.ndarray:
    """Put some units into modules at random, all modules equally likely; the others stay.

    >>> placed_at_random(np.array([0, 0, -1]), np.array([False, False, True]), seed=0).tolist()
    [0, 0, 0]
    """
    placed = labels.copy()
    placed[units] = np.random.default_rng(seed).choice(np.unique(labels[labels >= 0]), int(units.sum()))
    return placed


def _q_beside(found: pd.DataFrame, results: Results) -> pd.Series:
    """Q minus the published Q, of the normalised downstream measures under L2."""
    paper = compare_with_paper(results, "q_vs_regularisation").query("regulariser == 'l2'")
    chosen = found[found["regulariser_l2"] & found["normalised_downstream"]].assign(strength=found["l2"].round(9))
    ours = chosen.groupby(["measure", "strength"])["score"].mean().rename("score").reset_index()
    joined = ours.merge(paper, on=["measure", "strength"])
    return joined["score"] - joined["paper"]


def _agreement_beside(found: pd.DataFrame, results: Results) -> pd.Series:
    """Agreement of every two measures minus the published one, mean over layers and networks."""
    pairs = []
    for _, rows in found[found["status"] == "ok"].groupby([*REGULARISERS, "layer"]):
        labels = rows.set_index("measure")["labels"]
        pairs += [
            {"measure_a": a, "measure_b": b, "alike": element_centric_similarity(labels[a], labels[b])}
            for a, b in combinations([measure for measure in MEASURES if measure in labels.index], 2)
        ]
    ours = pd.DataFrame(pairs).groupby(["measure_a", "measure_b"])["alike"].mean().rename("alike").reset_index()
    paper = compare_with_paper(results, "agreement").query("networks == 'trained'")
    joined = ours.merge(paper, on=["measure_a", "measure_b"])
    return joined["alike"] - joined["paper"]

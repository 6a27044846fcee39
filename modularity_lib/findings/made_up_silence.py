"""How agreement over all units errs where units are silent: made-up pairs of clusterings whose answer is known."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from modularity_lib.alignment.scores import (
    agreement_p_value,
    element_centric_similarity,
    expected_element_centric_similarity,
)
from modularity_lib.clustering.paper_search import spectral_modules
from modularity_lib.findings.claims import ALPHA

UNITS = 64
SILENT = (0, 32, 48)
_MODULES = 4
_DIMENSIONS = 3

_Pair = tuple[np.ndarray, np.ndarray]


def _unrelated(random: np.random.Generator, units: int) -> _Pair:
    return random.integers(0, _MODULES, units), random.integers(0, _MODULES, units)


def _half_in_common(random: np.random.Generator, units: int) -> _Pair:
    a, b = _unrelated(random, units)
    return a, np.where(np.arange(units) < units // 2, a, b)


def _rectified(random: np.random.Generator, units: int) -> _Pair:
    """Modules of two layers of random ReLU units, with inputs of few dimensions, that share nothing."""
    return _modules_of_relus(random, units), _modules_of_relus(random, units)


def _modules_of_relus(random: np.random.Generator, units: int) -> np.ndarray:
    activity = np.maximum(random.standard_normal((300, _DIMENSIONS)) @ random.standard_normal((_DIMENSIONS, units)), 0)
    return spectral_modules(np.abs(np.corrcoef(activity.T))).labels


KINDS_OF_PAIRS: dict[str, Callable[[np.random.Generator, int], _Pair]] = {
    "modules at random": _unrelated,
    f"modules of unrelated layers of ReLU units, inputs of {_DIMENSIONS} dimensions": _rectified,
    "half of the live units in the same modules": _half_in_common,
    "the same, silent units scattered in one of the two": _half_in_common,
}
_SCATTERED = [name for name in KINDS_OF_PAIRS if "scattered" in name]


def trial_table(*, pairs: int = 100, permutations: int = 199, seed: int = 0) -> pd.DataFrame:
    """Try both forms of agreement on pairs of clusterings with the same silent units, of `UNITS` in all.

    Returns:
        A row per kind of pair, number of dead units and form: `pairs_of`, `dead`, `units` ("all" or "live"), `pairs`;
        `beyond_chance` = share of pairs with permutation p < 0.05, false positives in the first two kinds and power in
        the others; `corrected` = mean agreement, 0 = chance, 1 = identity.

    >>> table = trial_table(pairs=20, permutations=99).query("dead == 48").set_index(["pairs_of", "units"])
    >>> table.loc["modules at random", "beyond_chance"].to_dict()
    {'all': 1.0, 'live': 0.0}
    """
    random = np.random.default_rng(seed)
    rows = []
    for name, draw in KINDS_OF_PAIRS.items():
        for dead in SILENT:
            drawn = [draw(random, UNITS - dead) for _ in range(pairs)]
            silent = [(np.full(dead, -1), _others(random, dead, scattered=name in _SCATTERED)) for _ in drawn]
            padded = [(np.r_[p, a], np.r_[q, b]) for (p, q), (a, b) in zip(silent, drawn, strict=True)]
            for units, tried in (("all", padded), ("live", drawn)):
                tests = [agreement_p_value(a, b, permutations=permutations, seed=i) for i, (a, b) in enumerate(tried)]
                share = float(np.mean([p < ALPHA for p in tests]))
                corrected = float(np.mean([_corrected(a, b) for a, b in tried]))
                found = {"pairs": pairs, "beyond_chance": share, "corrected": corrected}
                rows.append({"pairs_of": name, "dead": dead, "units": units, **found})
    return pd.DataFrame(rows)


def _others(random: np.random.Generator, dead: int, *, scattered: bool) -> np.ndarray:
    """Labels of the silent units in the second clustering: dead as well, or in modules, as in downstream measures."""
    return random.integers(0, _MODULES, dead) if scattered else np.full(dead, -1)


def _corrected(a: np.ndarray, b: np.ndarray) -> float:
    chance = expected_element_centric_similarity(a, b)
    return (element_centric_similarity(a, b) - chance) / (1 - chance) if chance < 1 else 0.0

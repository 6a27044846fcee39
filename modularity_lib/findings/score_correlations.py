"""Do the measures agree on how modular a layer is? Rank correlations of their scores Q over the networks of a sweep."""

from collections.abc import Sequence
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats

from modularity_lib.findings.inference import jackknife_interval
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import BASELINE, KINDS, MEASURES, REGULARISERS, Measure, pair_kind

SWEEPS = (*REGULARISERS, "untrained")  # what one correlation is taken over
_NETWORK = ["l2", "l1", "dropout", "run"]
_FEWEST_NETWORKS = 4  # of three, ranks can hardly disagree


def scores_by_network(results: Results, *, measures: Sequence[Measure] = MEASURES) -> pd.DataFrame:
    """Q of every measure, one row per analysed network and layer.

    Returns:
        `trained, l2, l1, dropout, run, layer`; `regulariser`: the one that is not at its baseline, "baseline" or
        "untrained"; then a column per measure, NaN where all units of the layer are dead for it.
    Raises:
        ValueError: unknown measures, or fewer than two.
    """
    unknown = [name for name in measures if name not in MEASURES]
    if unknown or len(set(measures)) < 2:
        raise ValueError(f"measures must be at least two of {', '.join(map(repr, MEASURES))}, got {list(measures)!r}.")
    rows = pd.concat([results.analysed("modules", trained=flag) for flag in (True, False)])
    names = ["trained", *_NETWORK, "layer"]
    table = rows.pivot_table(index=names, columns="measure", values="score")
    table = table.reindex(columns=list(measures)).reset_index().rename_axis(columns=None)
    varied = np.select(
        [~table["trained"], table["dropout"] > 0, table["l1"] > 0, table["l2"] != BASELINE.l2],
        ["untrained", "dropout", "l1", "l2"],
        default="baseline",
    )
    table.insert(len(names), "regulariser", varied)
    return table


def score_correlations(results: Results, *, measures: Sequence[Measure] = MEASURES) -> pd.DataFrame:
    """Spearman's rho between the Q of every two measures, over the networks of one sweep in one layer.

    Returns:
        `sweep` (of `SWEEPS`; the baseline is the left end of all three), `layer`, `measure_a`, `measure_b`, `kind` (see
        `pair_kind`), `correlation`, `fixed_strength`: the same once the mean of each setting is subtracted, so that
        only differences between runs are left (NaN for untrained networks, which have one setting), and
        `networks`. NaN also where a measure gives all networks one score, or fewer than four networks have all scores.
    """
    rows = []
    for name, layer, cube in _sweeps(results, measures):
        raw, fixed, n = _correlations(cube, fixed=False), _correlations(cube, fixed=True), _count(cube)
        for a, b in combinations(range(len(measures)), 2):
            rows.append(
                {
                    "sweep": name,
                    "layer": layer,
                    "measure_a": measures[a],
                    "measure_b": measures[b],
                    "kind": pair_kind(measures[a], measures[b]),
                    "correlation": raw[a, b],
                    "fixed_strength": np.nan if name == "untrained" else fixed[a, b],
                    "networks": n,
                }
            )
    return pd.DataFrame(rows)


def mean_correlations(results: Results) -> pd.DataFrame:
    """Mean of `score_correlations` over the pairs of each kind, with an interval over runs.

    A measure and its own normalised form are one quantity and left out. The jackknife leaves out whole runs, since the
    networks of a run share their seed, and recomputes the correlations from all networks of the others.

    Returns:
        `sweep`, `layer`, `kind` (of `KINDS`, or "within minus across": the mean of the two families less that
        across), `strength` ("free", or "fixed" as in `score_correlations`), `mean`, `low` and `high` (95 %
        interval; NaN with one run), `networks`, `runs`.
    """
    pairs = {
        kind: np.array([pair for pair in combinations(range(len(MEASURES)), 2) if _kind_of(*pair) == kind])
        for kind in KINDS
    }

    def means(cube: np.ndarray, *, fixed: bool) -> np.ndarray:
        matrix = _correlations(cube, fixed=fixed)
        by_kind = [matrix[tuple(pairs[kind].T)].mean() for kind in KINDS]
        return np.array([*by_kind, (by_kind[0] + by_kind[1]) / 2 - by_kind[2]])

    rows = []
    for name, layer, cube in _sweeps(results, MEASURES):
        for strength in ("free",) if name == "untrained" else ("free", "fixed"):
            observed, low, high = jackknife_interval(partial(means, fixed=strength == "fixed"), cube, axis=1)
            for kind, *values in zip((*KINDS, "within minus across"), observed, low, high, strict=True):
                what = {"sweep": name, "layer": layer, "kind": kind, "strength": strength}
                numbers = dict(zip(("mean", "low", "high"), map(float, values), strict=True))
                rows.append({**what, **numbers, "networks": _count(cube), "runs": cube.shape[1]})
    return pd.DataFrame(rows)


def _kind_of(a: int, b: int) -> str:
    return pair_kind(MEASURES[a], MEASURES[b])


def _sweeps(results: Results, measures: Sequence[Measure]) -> list[tuple[str, int, np.ndarray]]:
    """Sweep, layer, and the scores: (strengths, runs, measures), NaN where a network is not analysed."""
    table = scores_by_network(results, measures=measures)
    parts: dict[str, pd.DataFrame] = {
        name: sweep(table[table["trained"]], results.study, name) for name in REGULARISERS
    }
    parts["untrained"] = table[~table["trained"]].assign(strength=0.0)
    found = []
    for name, part in parts.items():
        for layer in range(1, len(results.study.hidden) + 1):
            rows = part[part["layer"] == layer]
            strengths, runs = np.unique(rows["strength"]), np.unique(rows["run"])
            cube = np.full((len(strengths), len(runs), len(measures)), np.nan)
            where = np.searchsorted(strengths, rows["strength"]), np.searchsorted(runs, rows["run"])
            cube[where] = rows[list(measures)].to_numpy()
            cube[np.isnan(cube).any(axis=2)] = np.nan  # every correlation of a panel is over the same networks
            found.append((name, layer, cube))
    return found


def _count(cube: np.ndarray) -> int:
    return int(np.isfinite(cube[..., 0]).sum())


def _correlations(cube: np.ndarray, *, fixed: bool) -> np.ndarray:
    """Spearman's rho of every two measures: (measures, measures), NaN where it is not defined."""
    present = np.isfinite(cube[..., 0])
    if fixed:
        counts = np.maximum(present.sum(axis=1), 1)[:, None, None]
        cube = cube - np.nan_to_num(cube).sum(axis=1, keepdims=True) / counts
        present = present & (counts[..., 0] > 1)  # the only network of a setting differs from its mean by nothing
    values = cube[present]
    if len(values) < _FEWEST_NETWORKS:
        return np.full((cube.shape[2],) * 2, np.nan)
    ranks = stats.rankdata(values, axis=0)
    centred = ranks - ranks.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    length[length == 0] = np.nan
    return centred.T @ centred / np.outer(length, length)

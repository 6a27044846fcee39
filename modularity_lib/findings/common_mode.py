"""Does dropout make modules, or weaken what all units share? Q with the common factor restored, and Q of nulls."""

import json
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from tqdm import tqdm

from modularity_lib.analysis.draws import random_directions, shuffled
from modularity_lib.clustering.modularity import dead_units
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.paths import checkout
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import setting_of
from modularity_lib.studies.entries import Entry, check_replaceable, key_of, read_entry, replace_entry
from modularity_lib.studies.lineage import source_of
from modularity_lib.studies.provenance import provenance
from modularity_lib.studies.results import Results, rows_at
from modularity_lib.studies.store import Store
from modularity_lib.vocabulary import BASELINE, NORMALISED, REGULARISERS

SHIPPED = checkout() / "data" / "common_mode"

_COLUMNS = (
    *("run", *REGULARISERS, "layer", "measure", "test_accuracy", "live_units"),
    *("mean", "within", "across", "contrast", "participation"),
    *("score", "score_equal", "clipped", "score_shifted", "score_shuffled", "score_directions"),
)


def rescaled(similarity: np.ndarray, pairs: np.ndarray, level: float) -> np.ndarray:
    """Change what all units have in common, until the mean similarity of some pairs is `level`.

    S'_ij = max(0, 1 - k (1 - S_ij)),    k such that the mean of S' over the pairs is level

    A factor common to all units turns correlations r into c + (1 - c) r: it multiplies all distances from identity,
    1 - r, by the same number. So this exchanges the common factor c for c' = 1 - k (1 - c), and c need not be known.
    Give the pairs of units in different modules: what those share is what all units share, while the mean over all
    pairs rises with the modules too. A shift by a constant (`shifted`) holds a mean as well, but leaves blocks as far
    above the rest as a weak common factor lets them be; `made_up_blocks.made_up_table` compares both with the truth.

    Args:
        similarity: S, shape (units, units), in [0, 1], symmetric.
        pairs: which entries, boolean, same shape.
        level: in (0, 1).
    Returns:
        S', same shape, in [0, 1].
    Raises:
        ValueError: level is outside (0, 1), or so many of the pairs are identical that no k gives it.

    >>> rescaled(np.array([[1.0, 0.6], [0.6, 1.0]]), ~np.eye(2, dtype=bool), 0.2)
    array([[1. , 0.2],
           [0.2, 1. ]])
    """
    chosen = 1.0 - similarity[pairs]
    _check_level(level, lowest=float(np.mean(chosen <= 0)))
    most = 1.0 / chosen[chosen > 0].min()  # at which no pair has anything in common
    k = brentq(lambda k: np.maximum(0.0, 1.0 - k * chosen).mean() - level, 0.0, most, xtol=1e-13)
    return np.maximum(0.0, 1.0 - k * (1.0 - similarity))


def shifted(similarity: np.ndarray, pairs: np.ndarray, level: float) -> np.ndarray:
    """Add a constant to every entry and clip to [0, 1], so that the mean over the pairs is `level`.

    Arguments, result and errors are those of `rescaled`.

    >>> shifted(np.array([[1.0, 0.6], [0.6, 1.0]]), ~np.eye(2, dtype=bool), 0.2)[0, 1].round(12)
    np.float64(0.2)
    """
    _check_level(level, lowest=0.0)
    added = brentq(lambda added: np.clip(similarity[pairs] + added, 0.0, 1.0).mean() - level, -1.0, 1.0, xtol=1e-13)
    return np.clip(similarity + added, 0.0, 1.0)


def confounds(similarity: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Properties of a layer's live units, other than modules, that could change Q.

    Args:
        similarity: S of live units, shape (units, units), in [0, 1].
        labels: module of each, shape (units,).
    Returns:
        live_units; mean: of S_ij over i != j; within, across: over pairs of one module and of two (NaN without such
        pairs); contrast = within - across; participation: (sum l)² / sum l² of the eigenvalues l of S with diagonal 1,
        over the number of units, in (0, 1]. Eigenvalues of S without absolute values give the same: it is
        n / sum_ij S_ij².
    """
    units = len(similarity)
    together, upper = labels[:, None] == labels, np.triu(np.ones((units, units), dtype=bool), k=1)
    within, across = (_mean(similarity[upper & pairs]) for pairs in (together, ~together))
    squares = units + 2.0 * np.square(similarity[upper]).sum()
    found = {"live_units": units, "mean": _mean(similarity[upper]), "within": within, "across": across}
    return found | {"contrast": within - across, "participation": units / squares}


def common_mode_table(results: Results, *, run: int = 0, draws: int = 3, store: Store | None = None) -> pd.DataFrame:
    """Q of one run's networks, with its possible confounds, the two counterfactuals and the two nulls.

    Args:
        run: whose matrices, at the strengths that are analysed.
        store: where the weights of runs are whose matrices are not shipped. Default: `Store()`.
        draws: of each null, searched like the matrix itself.
    Returns:
        a row per network, layer and normalised measure: `run`, `l2`, `l1`, `dropout`, `layer`, `measure`,
        `test_accuracy`; the `confounds`; `score`, the Q of the study; and found by the same search
        score_equal: with units of different modules as similar as without regularisation (`rescaled`); `clipped`: the
        share of pairs that this left at 0;
        score_shifted: with the mean over all pairs as without regularisation, by a shift (`shifted`);
        score_shuffled, score_directions: of the two nulls, mean over the draws.
        No rows where some matrices, or the network without regularisation, are not at hand.
    """
    modules = results.analysed("modules", trained=True)
    modules = modules[(modules["run"] == run) & modules["measure"].isin(NORMALISED)]
    networks = results.networks[results.networks["trained"] & (results.networks["run"] == run)]
    accuracies = networks.set_index(list(REGULARISERS))["test_accuracy"].to_dict()
    rows: list[dict[str, object]] = []
    before: dict[tuple[int, str], dict[str, float]] = {}
    archive = Archive(results.study, store)
    at_hand = archive.with_matrices(results, run=run) if archive.has_matrices(results, run=run) else ()
    for config, matrices in at_hand:  # the first is that without regularisation
        setting, layers = setting_of(config), list(matrices.values())
        for row in _records(rows_at(modules, **setting._asdict())):
            similarity, labels = layers[row["layer"] - 1][row["measure"]], np.asarray(row["labels"])
            place = (row["layer"], row["measure"])
            if setting == BASELINE:
                before[place] = confounds(*live_part(similarity, labels))
            if place in before:
                steps = results.study.search_steps
                seen = measured(similarity, labels, before[place], draws=draws, steps=steps, run=run, row=len(rows))
                rows.append({**row, "test_accuracy": accuracies[setting], **seen})
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def measured(
    similarity: np.ndarray,
    labels: np.ndarray,
    start: dict[str, float],
    *,
    draws: int,
    steps: int,
    run: int,
    row: int,
) -> dict[str, float]:
    """Compute a row of `common_mode_table`: confounds, counterfactuals and nulls of one layer and measure.

    Args:
        start: the `confounds` of this layer and measure without regularisation.
        draws: of each null.
        steps: of each search.
        run, row: seed of the nulls; run is that of the searches, too.
    """
    similarity, labels = live_part(similarity, labels)
    source = np.random.default_rng([run, row])
    scores = _scores(similarity, labels, start, draws=draws, steps=steps, seed=run, source=source)
    return {**confounds(similarity, labels), **scores}


def live_part(similarity: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Similarity and labels of the units that are not dead."""
    live = ~dead_units(similarity)
    return similarity[np.ix_(live, live)], labels[live]


def table_at_hand(results: Results) -> pd.DataFrame:
    """The shipped `common_mode_table` of all runs if it is current; otherwise measure run 0 now.

    A stale shipped table is never used; a warning says so. The column `run` tells which runs the table covers.

    Raises:
        EntryDamaged: the shipped table is not what its checksum says.
    """
    folder = SHIPPED / results.study.name
    if not (folder / "facts.json").exists():
        return common_mode_table(results)
    if shipped_facts(results.study.name)["key"] != table_key(results):
        warnings.warn(
            f"the table in {folder} is of other code or other results, so run 0 alone is measured now. `modularity "
            "reaffirm` proves changed code to be the same; `make common-mode` measures all runs again.",
            StaleTable,
            stacklevel=2,
        )
        return common_mode_table(results)
    return shipped_table(results.study.name)


class StaleTable(UserWarning):
    """The shipped table does not belong to the present code and results."""


def shipped_facts(study: str) -> dict[str, Any]:
    """Facts written beside the shipped table of a study."""
    return dict(json.loads((SHIPPED / study / "facts.json").read_text(encoding="utf-8")))


def shipped_table(study: str) -> pd.DataFrame:
    """The shipped table of a study, even if it is stale."""
    return read_entry(SHIPPED / study).tables["common_mode"]


def table_key(results: Results) -> str:
    """Key of a study's table: its modules, and the code that computes a row."""
    archive = Archive(results.study)
    modules = [archive.keys(config).of["modules"] for config in results.study.trained_configs()]
    return key_of({"modules": modules, "source": source_of("common_mode")})


def ship(results: Results, store: Store) -> pd.DataFrame:
    """Measure all runs of a study from stored weights, and write the table into the project."""
    check_replaceable(SHIPPED / results.study.name)
    runs = tqdm(range(results.study.runs), desc="runs")
    table = pd.concat([common_mode_table(results, run=run, store=store) for run in runs], ignore_index=True)
    made = {**provenance(), "written": time.strftime("%FT%TZ", time.gmtime())}
    facts = {"study": results.study.name, "source": source_of("common_mode")}
    entry = Entry(facts, {}, {"common_mode": table}, made)
    replace_entry(SHIPPED / results.study.name, entry, key=table_key(results))
    return table


def _scores(
    similarity: np.ndarray,
    labels: np.ndarray,
    start: dict[str, float],
    *,
    draws: int,
    steps: int,
    seed: int,
    source: np.random.Generator,
) -> dict[str, float]:
    """Q of the counterfactuals and the nulls; `start` holds the `confounds` without regularisation."""

    def q(matrix: np.ndarray, draw: int = 0) -> float:
        return paper_modules(matrix, seed=seed + draw, steps=steps).score

    def q_null(null: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> float:
        return float(np.mean([q(null(similarity, source), draw) for draw in range(draws)]))

    off_diagonal = ~np.eye(len(similarity), dtype=bool)
    equal = as_much_in_common(similarity, labels, start)
    return {
        "score_equal": q(equal),
        "clipped": float(np.mean(equal[off_diagonal] == 0)),
        "score_shifted": q(shifted(similarity, off_diagonal, start["mean"])),
        "score_shuffled": q_null(shuffled),
        "score_directions": q_null(random_directions),
    }


def as_much_in_common(similarity: np.ndarray, labels: np.ndarray, start: dict[str, float]) -> np.ndarray:
    """`rescaled` so that different modules have as much in common as at the start; all pairs if there is one module."""
    across = labels[:, None] != labels
    level = start["mean"] if np.isnan(start["across"]) else start["across"]
    return rescaled(similarity, across if across.any() else ~np.eye(len(similarity), dtype=bool), level)


def _check_level(level: float, *, lowest: float) -> None:
    if not lowest <= level < 1 or level <= 0:
        raise ValueError(
            f"level must be a mean similarity in (0, 1) and at least {lowest:g}, the share of identical pairs, got "
            f"{level!r}. Similarities must be those of a normalised measure."
        )


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")

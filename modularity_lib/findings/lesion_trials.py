"""Made-up networks on which the rule of `lesion_effects` is tried: what is there is known.

One hidden layer of ReLU units is read out into four classes; the class of an input is what the network says, and inputs
of which it is not sure are left out.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings.lesion_effects import (
    AS_NEIGHBOURS,
    DOWNSTREAM,
    MORE,
    NEITHER,
    NO_MORE,
    UNTOLD,
    Lost,
    comparable,
    families,
)
from modularity_lib.findings.lesions import SETS, Tail, compared, layer_of
from modularity_lib.progress import progress_over

UNITS, CLASSES, GROUPS, INPUTS = 48, 4, 4, 5000
SURE = 0.15  # share of the inputs that is kept: those with the largest gap between the first and the second class
RUNS = 9

GROUP = np.arange(UNITS) % GROUPS  # of each unit


class MadeUp(NamedTuple):
    """Activity (units, inputs), weights to the classes (classes, units), and modules of two families."""

    activity: np.ndarray
    weights: np.ndarray
    downstream: np.ndarray
    upstream: np.ndarray


def _modules_at_random(source: np.random.Generator) -> MadeUp:
    """Units have nothing to do with each other, and neither have modules with units."""
    activity = np.maximum(source.standard_normal((UNITS, INPUTS)), 0.0)
    weights = source.standard_normal((CLASSES, UNITS))
    return MadeUp(activity, weights, source.permutation(GROUP), source.permutation(GROUP))


def _few_dimensions(source: np.random.Generator) -> MadeUp:
    """Random ReLU units of three dimensions have near neighbours and no modules; a search finds some all the same."""
    directions = source.standard_normal((UNITS, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    before = directions @ source.standard_normal((3, INPUTS)) + 0.3 * source.standard_normal((UNITS, 1))
    activity = np.maximum(before, 0.0)
    weights = source.standard_normal((CLASSES, UNITS))
    down, up = (
        paper_modules(np.abs(np.corrcoef(activity[:, half])), seed=int(source.integers(1000))).labels
        for half in (slice(None, INPUTS // 2), slice(INPUTS // 2, None))
    )
    return MadeUp(activity, weights, down, up)


def _copies(source: np.random.Generator) -> MadeUp:
    """Every module is one signal in noisy copies, as alike in activity as in what they do."""
    signals = source.standard_normal((GROUPS, INPUTS))
    activity = np.maximum(signals[GROUP] + 0.5 * source.standard_normal((UNITS, INPUTS)), 0.0)
    weights = source.standard_normal((CLASSES, GROUPS))[:, GROUP] + 0.2 * source.standard_normal((CLASSES, UNITS))
    return MadeUp(activity, weights, GROUP, source.permutation(GROUP))


def _one_job(source: np.random.Generator) -> MadeUp:
    """Every module speaks for one class; its units are driven by different signals, each shared with other modules."""
    signals = source.standard_normal((UNITS // GROUPS, INPUTS))
    driven_by = np.arange(UNITS) // GROUPS
    activity = np.maximum(signals[driven_by] * source.choice([-1.0, 1.0], (UNITS, 1)), 0.0)
    weights = np.zeros((CLASSES, UNITS))
    weights[GROUP, np.arange(UNITS)] = source.choice([-1.0, 1.0], UNITS) * source.uniform(0.8, 1.2, UNITS)
    return MadeUp(activity, weights, GROUP, driven_by // (UNITS // GROUPS // GROUPS))


class Case(NamedTuple):
    """A kind of made-up network, and which answers of the rule are right."""

    make: Callable[[np.random.Generator], MadeUp]
    right: tuple[str, ...]
    family: str


CASES = {
    "units and modules at random": Case(_modules_at_random, (NO_MORE,), NEITHER),
    "random ReLU units of few dimensions, modules searched": Case(
        _few_dimensions, (NO_MORE, AS_NEIGHBOURS, UNTOLD), NEITHER
    ),
    "modules of noisy copies, others at random": Case(_copies, (AS_NEIGHBOURS, UNTOLD), DOWNSTREAM),
    "modules of one job, units unlike in activity": Case(_one_job, (MORE,), DOWNSTREAM),
}

# Answers in 100 experiments of each case: `tried(100)`.
TRIED: dict[str, dict[str, dict[str, int]]] = {
    "units and modules at random": {
        "answer": {NO_MORE: 96, MORE: 4},
        "family": {NEITHER: 99, DOWNSTREAM: 1},
    },
    "random ReLU units of few dimensions, modules searched": {
        "answer": {NO_MORE: 96, AS_NEIGHBOURS: 3, MORE: 1},
        "family": {NEITHER: 100},
    },
    "modules of noisy copies, others at random": {
        "answer": {UNTOLD: 100},
        "family": {DOWNSTREAM: 100},
    },
    "modules of one job, units unlike in activity": {
        "answer": {MORE: 47, AS_NEIGHBOURS: 33, NO_MORE: 20},
        "family": {DOWNSTREAM: 43, NEITHER: 57},
    },
}


def trial_rows(made: MadeUp, source: np.random.Generator, *, run: int) -> list[dict[str, object]]:
    """Rows as those of `lesions.rows_of`, of units set to 0, with one measure for each family."""
    logits = made.weights @ made.activity
    ordered = np.sort(logits, axis=0)
    gaps = ordered[-1] - ordered[-2]
    sure = np.flatnonzero(gaps >= np.quantile(gaps, 1 - SURE))
    weights, activity = made.weights.astype(np.float32), made.activity.astype(np.float32)
    tail = Tail(activity[:, sure], [weights], [np.zeros(CLASSES, np.float32)], logits[:, sure].argmax(axis=0))
    facts = layer_of(activity, weights)
    rows: list[dict[str, object]] = []
    for measure, labels in (("output_gradient_norm", made.downstream), ("input_covariance_norm", made.upstream)):
        for module in np.unique(labels).tolist():
            found = compared(labels == module, tail, facts, wanted=SETS, source=source)
            place = {"run": run, "layer": 1, "measure": measure, "module": module, "lesion": "zero"}
            sets = {"n_random": found.n_random, "n_neighbours": found.n_neighbours, **found.alike}
            rows.append({**place, **sets, **found.lost["zero"]})
    return rows


def tried(experiments: int, *, cases: Sequence[str] = tuple(CASES), seed: int = 0) -> pd.DataFrame:
    """Answers of the rule on made-up networks, `RUNS` of them in each experiment.

    Returns:
        a row per case and experiment: `case`, `experiment`, `answer` for its downstream modules, `family`.
    """
    found = []
    for case, experiment in progress_over(
        [(case, i) for case in cases for i in range(experiments)], "made-up networks"
    ):
        rows: list[dict[str, object]] = []
        for run in range(RUNS):
            source = np.random.default_rng([seed, list(CASES).index(case), experiment, run])
            rows += trial_rows(CASES[case].make(source), source, run=run)
        table = comparable(pd.DataFrame(rows))
        answer, family = Lost(table[table["measure"] == "output_gradient_norm"]), families(table)
        assert family is not None
        found.append({"case": case, "experiment": experiment, "answer": answer.answer, "family": family.answer})
    return pd.DataFrame(found)

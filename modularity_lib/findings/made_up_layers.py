"""How often the rules of `why_dropout` err: layers with and without copies, courses in and out of step, all made up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from modularity_lib.analysis.draws import random_rotation
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings.linear_control import ROTATIONS
from modularity_lib.findings.near_copies import Layer, copy_numbers, correlations
from modularity_lib.findings.synthetic import block_of
from modularity_lib.findings.training_course import EPOCHS
from modularity_lib.findings.why_dropout import (
    BASIS,
    BEFORE,
    BOTH,
    COPIES,
    MOVES,
    TOGETHER,
    basis_answer,
    copies_answer,
    half_time,
    order_answer,
)
from modularity_lib.progress import progress_bar

UNITS, IMAGES, RUNS = 64, 400, 9
BEFORE_DROPOUT = 20  # dimensions of the inputs of a layer without dropout


@dataclass(frozen=True)
class Population:
    """How the incoming weights of a layer of `UNITS` units are drawn.

    Units are random directions in `dimensions`, the k-th of which counts by k^-`decay`. Of them `copied` are copies,
    but for noise, of `prototypes` directions. All have the `bias`, and share an input of strength `common`. Weights are
    normal, or of the `same_length`.
    """

    dimensions: int = BEFORE_DROPOUT
    decay: float = 0.0
    copied: int = 0
    prototypes: int = 1
    bias: float = 0.0
    common: float = 0.0
    same_length: bool = False

    def layer(self, source: np.random.Generator, *, rectified: bool = True) -> Layer:
        """A layer of such units, and its activity on normal inputs."""
        weights = source.standard_normal((UNITS, self.dimensions))
        prototypes = source.standard_normal((self.prototypes, self.dimensions))
        copies = prototypes[block_of(self.copied, self.prototypes)] if self.copied else weights[:0]
        weights[: self.copied] = copies + 0.2 * weights[: self.copied]
        weights *= np.arange(1.0, self.dimensions + 1) ** -self.decay
        lengths = np.linalg.norm(weights, axis=1, keepdims=True)
        weights /= lengths if self.same_length else np.sqrt(np.mean(lengths**2))
        inputs = source.standard_normal((IMAGES, self.dimensions))
        before = inputs @ weights.T + self.common * source.standard_normal((IMAGES, 1)) + self.bias
        activity = np.maximum(before, 0.0) if rectified else before
        return Layer(before, activity, weights, weights)


WITHOUT_COPIES = {
    "nothing changes": Population(),
    "ReLU units use 3 dimensions instead of 20": Population(3),
    "the same with a higher threshold": Population(3, bias=-1.0),
    "few dimensions are much stronger than others": Population(decay=1.5),
    "the same, weights of all units of one length": Population(decay=1.5, same_length=True),
    "all units share more": Population(common=1.0),
}
WITH_COPIES = {
    "all units are copies of 16": Population(copied=64, prototypes=16),
    "all units are copies of 8 in 5 dimensions": Population(5, copied=64, prototypes=8),
    "half of the units are copies of 8": Population(copied=32, prototypes=8),
    "pairs of copies": Population(copied=64, prototypes=32),
}


def made_up_table(*, sets: int = 20) -> pd.DataFrame:
    """Ask the rules of made-up runs, whose truth is known.

    Args:
        sets: of nine runs, for each case.
    Returns:
        a row per rule and case: `rule`, `case`, `truth` (whether the rule should call it), `called` (share of the sets
        in which it does), `sets`.
    """
    cases: list[tuple[str, str, bool, Callable[[np.random.Generator], bool]]] = []
    for truth, populations in ((False, WITHOUT_COPIES), (True, WITH_COPIES)):
        cases += [("copies", name, truth, _calls_copies(of)) for name, of in populations.items()]
    cases += [
        ("basis", "linear units use 3 dimensions instead of 20", False, _calls_basis(Population(3))),
        ("basis", "few dimensions are much stronger than others", False, _calls_basis(Population(decay=1.5))),
        ("basis", "linear units are copies of 8", True, _calls_basis(Population(copied=64, prototypes=8))),
        ("order", "two quantities change at once", False, _calls_order(1.0)),
        ("order", "one changes three times as early", True, _calls_order(3.0)),
    ]
    rows: list[dict[str, Any]] = []
    with progress_bar(len(cases) * sets, "made-up runs") as bar:
        for number, (rule, case, truth, calls) in enumerate(cases):
            called = []
            for index in range(sets):
                called.append(calls(np.random.default_rng([index, number])))
                bar.update()
            rows.append({"rule": rule, "case": case, "truth": truth, "called": np.mean(called), "sets": sets})
    return pd.DataFrame(rows)


def _calls_copies(after: Population) -> Callable[[np.random.Generator], bool]:
    def calls(source: np.random.Generator) -> bool:
        rises = []
        for _ in range(RUNS):
            old, new = (copy_numbers(of.layer(source), source) for of in (Population(), after))
            rises.append([new[name] - old[name] for name in ("twins", "rotated_twins")])
        found, rotated = np.array(rises).T
        return copies_answer(found, rotated) in (COPIES, BOTH)

    return calls


def _calls_basis(after: Population) -> Callable[[np.random.Generator], bool]:
    def excess(population: Population, source: np.random.Generator) -> float:
        activity = population.layer(source, rectified=False).activity
        found, *turned = (
            paper_modules(np.abs(correlations(of)), seed=0, steps=500).score or 0.0
            for of in (activity, *(activity @ random_rotation(UNITS, source).T for _ in range(ROTATIONS)))
        )
        return found - float(np.mean(turned))

    def calls(source: np.random.Generator) -> bool:
        rises = [excess(after, source) - excess(Population(), source) for _ in range(RUNS)]
        return basis_answer(np.array(rises)) == BASIS

    return calls


def _calls_order(earlier: float) -> Callable[[np.random.Generator], bool]:
    """Courses that rise from 0 to 1 around epoch 30, at another epoch in each run, and are measured with noise."""

    def calls(source: np.random.Generator) -> bool:
        epochs = np.array([0, *EPOCHS])
        ratios = []
        for middle in 30 * np.exp(0.3 * source.standard_normal(RUNS)):
            times = []
            for at in (middle / earlier, middle):
                course = epochs / (epochs + at) + 0.03 * source.standard_normal(len(epochs))
                times.append(half_time(epochs.tolist(), course.tolist(), least=MOVES))
            ratios.append(np.log10(times[0] / times[1]))
        answer = order_answer(np.array(ratios))
        return answer == BEFORE if earlier > 1 else answer != TOGETHER

    return calls

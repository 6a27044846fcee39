"""The rules of `two_sides` where the truth is known: made-up layers whose two sides are related, or are not."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from modularity_lib.findings.synthetic import block_of
from modularity_lib.findings.two_sides import (
    APART,
    MORE_THAN_LITTLE,
    ONE,
    RELATED,
    answers_table,
    effects_table,
    rows_of_layers,
)
from modularity_lib.training.networks import Parameters
from modularity_lib.vocabulary import BASELINE

UNITS, INPUTS, OUTPUTS, IMAGES, MODULES = 64, 20, 10, 300, 5
FEW = 3  # dimensions
STEPS = 1_000  # of a search, a fifth of those of a study: it errs no less often, in a fifth of the time

Vectors = tuple[np.ndarray, np.ndarray]  # incoming and outgoing weights of the units, shape (units, ...)


class Case(NamedTuple):
    """A kind of made-up layer; `truth` is what the rule should answer, None where nothing is right."""

    weights: Callable[[np.random.Generator], Vectors]
    truth: str | None
    threshold: float = 0.0  # in standard deviations of a unit's input


def _independent(source: np.random.Generator) -> Vectors:
    return source.standard_normal((UNITS, INPUTS)), source.standard_normal((UNITS, OUTPUTS))


def _few_dimensions(source: np.random.Generator) -> Vectors:
    return tuple(  # type: ignore[return-value]
        source.standard_normal((UNITS, FEW)) @ source.standard_normal((FEW, size)) for size in (INPUTS, OUTPUTS)
    )


def _other_modules(source: np.random.Generator) -> Vectors:
    return _in_modules(source, INPUTS, _module_of(source)), _in_modules(source, OUTPUTS, _module_of(source))


def _same_modules(source: np.random.Generator) -> Vectors:
    of = _module_of(source)
    return _in_modules(source, INPUTS, of), _in_modules(source, OUTPUTS, of)


def _one_number(source: np.random.Generator) -> Vectors:
    """Each unit follows what is common to all by its own share, the same on both sides; all else is independent."""
    share = source.uniform(0.0, 0.95, size=(UNITS, 1))
    return tuple(  # type: ignore[return-value]
        share * source.standard_normal(size) + np.sqrt(1 - share**2) * source.standard_normal((UNITS, size))
        for size in (INPUTS, OUTPUTS)
    )


def _related(mixed_in: float) -> Callable[[np.random.Generator], Vectors]:
    """The same directions on both sides, but for noise of this length beside theirs on each."""

    def weights(source: np.random.Generator) -> Vectors:
        shared = source.standard_normal((UNITS, OUTPUTS))
        first, second = (shared + mixed_in * source.standard_normal(shared.shape) for _ in range(2))
        turned = np.linalg.qr(source.standard_normal((INPUTS, OUTPUTS)))[0]  # orthonormal: it keeps all products
        return first @ turned.T, second

    return weights


CASES = {
    "independent weights": Case(_independent, APART),
    "few dimensions": Case(_few_dimensions, APART),
    "few dimensions, rarely on": Case(_few_dimensions, APART, threshold=1.0),
    "other modules on each side": Case(_other_modules, APART),
    "one number of each unit shared": Case(_one_number, None),
    "same directions, noise half as long": Case(_related(0.5), RELATED),
    "same directions, little noise": Case(_related(0.1), ONE),
    "same directions, rarely on": Case(_related(0.1), ONE, threshold=1.0),
    "same modules": Case(_same_modules, None),
}


def made_up_layer(name: str, source: np.random.Generator) -> tuple[Parameters, np.ndarray]:
    """A perceptron with one hidden layer of that kind, and its images."""
    case = CASES[name]
    incoming, outgoing = case.weights(source)
    biases = -case.threshold * np.linalg.norm(incoming, axis=1)  # the images are standard normal
    parameters = Parameters((incoming, outgoing.T), (biases, np.zeros(OUTPUTS)))
    return parameters, source.standard_normal((IMAGES, INPUTS))


def made_up_table(*, groups: int = 3, runs: int = 9) -> pd.DataFrame:
    """What the rules answer for groups of made-up layers, each group like the runs of one setting.

    Returns:
        a row per case: `case`; `truth`, the right answer, "" where there is none; `groups`; means over all layers of
        `gram_correlation`, `rsa_signed`, `rsa_absolute`, `corrected_absolute`, `corrected_positive`; and shares of the
        groups: `right`; `one`, called one thing; `called`, called related or one thing; `beyond_chance`, whose
        agreement of modules of |S| lies above 0; `more_than_little`; `sign_hides`.
    """
    rows = []
    for name, case in CASES.items():
        layers = []
        for group in range(groups):
            for run in range(runs):
                parameters, images = made_up_layer(name, np.random.default_rng([list(CASES).index(name), group, run]))
                [row] = rows_of_layers(parameters, images, seed=run, steps=STEPS)
                # The number of the group takes the place of a layer, so that each group is a setting of its own.
                layers.append({**BASELINE._asdict(), "trained": True, "run": run, **row, "layer": group})
        table = pd.DataFrame(layers)
        effects = effects_table(table)
        answers = answers_table(effects)
        agreement = effects[effects["quantity"] == "corrected_absolute"]
        names = ["gram_correlation", "rsa_signed", "rsa_absolute", "corrected_absolute", "corrected_positive"]
        shares = {
            "right": float((answers["sides"] == case.truth).mean()) if case.truth else float("nan"),
            "one": float((answers["sides"] == ONE).mean()),
            "called": float(answers["sides"].isin([ONE, RELATED]).mean()),
            "beyond_chance": float((agreement["low"] > 0).mean()),
            "more_than_little": float((answers["modules_absolute"] == MORE_THAN_LITTLE).mean()),
            "sign_hides": float(answers["sign_hides"].mean()),
        }
        means = {column: float(table[column].mean()) for column in names}
        rows.append({"case": name, "truth": case.truth or "", "groups": groups, **means, **shares})
    return pd.DataFrame(rows)


def _module_of(source: np.random.Generator) -> np.ndarray:
    return source.permutation(block_of(UNITS, MODULES))


def _in_modules(source: np.random.Generator, size: int, module_of: np.ndarray) -> np.ndarray:
    centres, own = source.standard_normal((MODULES, size)), source.standard_normal((UNITS, size))
    return np.asarray(centres[module_of] + 0.5 * own)

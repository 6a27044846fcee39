"""How often each null of `test_modules` calls data modular: where it is true, and where blocks are planted."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from modularity_lib.analysis.nulls import NULLS
from modularity_lib.analysis.significance import test_modules
from modularity_lib.findings.synthetic import block_of
from modularity_lib.paths import checkout
from modularity_lib.progress import progress_bar
from modularity_lib.studies.entries import Entry, check_replaceable, key_of, read_entry, replace_entry
from modularity_lib.studies.provenance import provenance

SHIPPED = checkout() / "data" / "false_positives"

UNITS, SAMPLES, BLOCKS, INPUTS = 16, 150, 4, 10
DRAWS = 99  # with which p <= 0.05 has a probability of 5/100 where all draws and the data are alike
STRUCTURELESS, PLANTED = "structureless", "planted blocks"
DATA_SETS = {STRUCTURELESS: 700, PLANTED: 60}  # for each null
DATA_SETS_OF_NETWORKS = {STRUCTURELESS: 450, PLANTED: 60}  # which take ten times as long
SHARED = 0.3  # correlation within a planted block

Data = tuple[Any, dict[str, Any]]  # what is tested, and the arguments of `test_modules` that go with it


def _unequal_units(source: np.random.Generator, *, planted: bool) -> Data:
    """Every other unit is log-normal, the others normal."""
    values = _normal(source, planted=planted)
    values[:, ::2] = np.exp(values[:, ::2])
    return values, {}


def _time_courses(source: np.random.Generator, *, planted: bool) -> Data:
    """Units that remember from none to 0.8 of the sample before; those of planted blocks 0.5."""
    memory = np.full(UNITS, 0.5) if planted else np.linspace(0.0, 0.8, UNITS)
    values = _normal(source, planted=planted, samples=SAMPLES + 50)
    courses = [lfilter([1.0], [1.0, -of], values[:, unit]) for unit, of in enumerate(memory)]
    return np.stack(courses, axis=1)[50:], {}  # the first samples remember none


def _inputs_of_a_network(source: np.random.Generator, *, planted: bool) -> Data:
    """Each unit has an input of its own, and hears a little of the others; blocks are planted in the inputs."""
    weights = np.eye(UNITS) + 0.05 * source.standard_normal((UNITS, UNITS))
    return _perceptron(weights, source), {"inputs": _normal(source, planted=planted), "layer": "hidden1"}


def _before_a_non_linearity(source: np.random.Generator, *, planted: bool) -> Data:
    """Skewed inputs, and Gaussian weights that are independent."""
    mixed = source.exponential(size=(SAMPLES, INPUTS)) @ source.standard_normal((INPUTS, UNITS))
    before = _normal(source, planted=True) if planted else mixed
    return before, {"nonlinearity": lambda values: np.maximum(values, 0.0)}


def _networks(source: np.random.Generator, *, planted: bool) -> Data:
    """A network as it starts; with planted blocks, whose units want the same of the inputs but for noise."""
    from modularity_lib.analysis.networks import as_untrained
    from modularity_lib.training.networks import MLP

    def factory() -> MLP:
        return MLP([INPUTS, UNITS, 2])

    arguments = {"inputs": source.standard_normal((SAMPLES, INPUTS)), "layer": "hidden1", "factory": factory}
    wanted = source.standard_normal((BLOCKS, INPUTS))[block_of(UNITS, BLOCKS)]
    noise = source.standard_normal((UNITS, INPUTS))
    return _perceptron(wanted + 0.5 * noise, source) if planted else as_untrained(factory, source), arguments


def _similarities(source: np.random.Generator, *, planted: bool) -> Data:
    """Pairs whose similarity is drawn by itself, most of them little alike."""
    pairs = np.triu(source.beta(1.0, 3.0, size=(UNITS, UNITS)), k=1)
    return _correlations(source) if planted else pairs + pairs.T, {}


def _directions(source: np.random.Generator, *, planted: bool) -> Data:
    """Absolute cosines of directions that are all equally likely."""
    vectors = source.standard_normal((UNITS, INPUTS))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return _correlations(source) if planted else np.abs(vectors @ vectors.T), {}


TESTED: dict[str, Callable[..., Data]] = {
    "independent-units": _unequal_units,
    "shifted-units": _time_courses,
    "permuted-inputs": _inputs_of_a_network,
    "rotated-units": _before_a_non_linearity,
    "untrained": _networks,
    "shuffled-pairs": _similarities,
    "random-directions": _directions,
}


def data_sets_of(null: str) -> dict[str, int]:
    """How many data sets of each kind the shipped table has for a null."""
    return DATA_SETS_OF_NETWORKS if null in ("permuted-inputs", "untrained") else DATA_SETS


def false_positives_table(
    nulls: Sequence[str] = tuple(TESTED), *, data_sets: Mapping[str, int] | None = None, draws: int = DRAWS
) -> pd.DataFrame:
    """p-values of every null, on data where it is true ("structureless") and on planted blocks.

    What structureless means is `NULLS[null].holds`; the functions in `TESTED` make such data, of 16 units and 150
    samples, and with planted blocks four of 4 units. A null is true where the data and its draws could change places;
    those of random directions and of shifted time courses come near to that: the first fits its dimensions to the data,
    the second closes a course to a ring.

    Args:
        nulls: which.
        data_sets: how many of each kind; None: as `data_sets_of` says.
        draws: of the null for each data set.
    Returns:
        A row per data set: `test`, the null; `kind`; `data_set`, its number; `score`, Q; `z`; `p_value`. See
        `synthetic.rate_table` for the rates.
    """
    cases = [
        (null, kind, index)
        for null in nulls
        for kind, count in (data_sets or data_sets_of(null)).items()
        for index in range(count)
    ]
    rows = []
    with progress_bar(len(cases), "testing data sets") as bar:
        for case in cases:
            rows.append(p_value_of(*case, draws=draws))
            bar.update()
    return pd.DataFrame(rows)


def p_value_of(null: str, kind: str, index: int, *, draws: int = DRAWS) -> dict[str, Any]:
    """A row of `false_positives_table`."""
    source = np.random.default_rng([index, list(NULLS).index(null), kind == PLANTED])
    data, arguments = TESTED[null](source, planted=kind == PLANTED)
    test = test_modules(data, null=null, draws=draws, seed=index, progress=False, **arguments)
    seen = {"score": test.score, "z": test.z, "p_value": test.p}
    return {"test": null, "kind": kind, "data_set": index, **seen}


def ship(table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Write the table into the project; without one, compute it: 12 minutes of a core."""
    check_replaceable(SHIPPED)
    table = false_positives_table() if table is None else table
    facts = {
        "data_sets": {null: data_sets_of(null) for null in TESTED},
        "draws": DRAWS,
        "units": UNITS,
        "samples": SAMPLES,
        "shared": SHARED,
    }
    made = {**provenance(), "written": time.strftime("%FT%TZ", time.gmtime())}
    replace_entry(SHIPPED, Entry(facts, {}, {"false_positives": table}, made), key=key_of(facts))
    return table


def shipped_table() -> pd.DataFrame:
    """The `false_positives_table` that comes with the project.

    Raises:
        EntryDamaged: it is not what its checksum says.
    """
    return read_entry(SHIPPED).tables["false_positives"]


def _normal(source: np.random.Generator, *, planted: bool, samples: int = SAMPLES) -> np.ndarray:
    own = source.standard_normal((samples, UNITS))
    if not planted:
        return own
    drive = source.standard_normal((samples, BLOCKS))[:, block_of(UNITS, BLOCKS)]
    return np.sqrt(SHARED) * drive + np.sqrt(1 - SHARED) * own


def _correlations(source: np.random.Generator) -> np.ndarray:
    return np.abs(np.corrcoef(_normal(source, planted=True), rowvar=False))


def _perceptron(weights: np.ndarray, source: np.random.Generator) -> Any:
    """An `MLP` with these weights of its hidden units, without biases."""
    from modularity_lib.training.networks import Parameters, network_of

    units = len(weights)
    out = source.standard_normal((2, units))
    return network_of(Parameters((weights, out), (np.zeros(units), np.zeros(2))))

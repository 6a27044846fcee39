"""Is Q larger than chance makes it? Q beside that of nulls, which go through the same measure and search."""

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from modularity_lib.analysis.nulls import NULLS, Null, Task
from modularity_lib.arrays import flag, in_one_order, shown, whole_number
from modularity_lib.clustering.clusterings import Clustering, unchangeable
from modularity_lib.clustering.modularity import adjacency_of
from modularity_lib.clustering.search import find_modules
from modularity_lib.progress import progress_bar
from modularity_lib.similarity.recordings import whole_activity
from modularity_lib.vocabulary import MEASURES, did_you_mean

_TIE = 1e-12  # two Q that differ by less are the same but for rounding


@dataclass(frozen=True, eq=False)
class ModuleTest:
    """Q of the modules that were found, beside the Q of a null."""

    score: float  # Q
    null_scores: np.ndarray = field(repr=False)  # Q of every draw of the null, shape (draws,); read-only
    z: float  # Q above the mean of the null in its standard deviations; NaN where the draws do not differ
    p: float  # how often the null reaches Q, the data counted in: (b + 1) / (draws + 1)
    null: str
    question: str  # which the null asks
    modules: Clustering = field(repr=False)  # those that were found in the data
    measure: str | None = None  # of similarity; None where a matrix was given
    seed: int = 0

    @property
    def reason(self) -> str:
        """Why Q, z and p are NaN: all units are dead; "" otherwise."""
        return self.modules.reason


def test_modules(
    data: Any,
    *,
    null: str | None = None,
    draws: int = 199,
    seed: int = 0,
    measure: str | None = None,
    inputs: Any = None,
    labels: Any = None,
    layer: str | None = None,
    nonlinearity: Callable[[np.ndarray], np.ndarray] | None = None,
    factory: Callable[[], Any] | None = None,
    signed: bool = False,
    resolution: float = 1.0,
    method: str = "best",
    restarts: int = 1,
    progress: bool | None = None,
    **about: Any,
) -> ModuleTest:
    """Test whether Q is larger than chance makes it, by the answer to one question. Small p = larger.

    p = (b + 1) / (n + 1), with b of n draws of the null whose modules have at least the Q of those of the data

    Every draw goes through the same measure and the same search as the data: modules that a search finds have a Q above
    0 in noise, too. The null must be named where the data are no recording, since each asks something else:

        "independent-units"  each unit's samples permuted by themselves: units that have nothing to do with each other
        "shifted-units"      each unit's samples begin at another one, and go round: as before, for time courses
        "permuted-inputs"    each feature of the inputs permuted over the inputs by itself: is it the data's structure?
        "rotated-units"      units rotated at random before their non-linearity: is it in these very units?
        "untrained"          networks of `factory`: does training make modules?
        "shuffled-pairs"     similarities assigned to pairs at random: is it more than their histogram?
        "random-directions"  random vectors in a space of as few dimensions, as long as those of the units

    Where a null is true, p is at most 0.05 in 5 % of all data. `findings.false_positives` says where that is for each
    null, and measures it on 400 data sets and more. The null of random directions fits its dimensions to the data;
    "independent-units" holds for samples that are independent: for time courses take "shifted-units".

    Args:
        data: activity, shape (samples, units), of the kinds that `similarity_of_activity` takes, for "rotated-units"
            that before the non-linearity; or a similarity, shape (units, units); or a network.
        null: which. For activity "independent-units" by default.
        draws: n, from 1 to 1 million. The smallest p is 1 / (n + 1).
        seed: of the draws and of the search: the same arguments give the same result.
        measure: of similarity. Of activity "input_covariance_norm" by default, or "input_covariance"; of a network any
            of `MEASURES`, by default "input_covariance_norm"; "rotated-units" takes these two alone.
        inputs, labels, layer: of a network, as in `similarity_matrices`; a single layer.
        nonlinearity: of activity in "rotated-units": from an array to one of the same shape, as `np.tanh`. In a network
            the layer must be a module that treats each number by itself, or a Sequential that ends in such.
        factory: of "untrained": makes a new untrained network at each call. Random generators are seeded for it.
        signed, resolution, method, restarts: of `find_modules`; signed keeps the sign of the activity's similarity.
        progress: show a bar. None: on a terminal, after two seconds.
        about: further arguments of `similarity_matrices`, as units=.
    Returns:
        ModuleTest. Where all units are dead Q, z, p and null_scores are NaN, and `.reason` says so; a draw whose units
        are all dead has Q = 0.
    Raises:
        ValueError: an argument breaks a condition above, or the null does not go with the data.
    Source: Phipson & Smyth (2010), Stat. Appl. Genet. Mol. Biol. 9:39, for p; Elber-Dorozko & Loewenstein (2018), eLife
        7:e34248, on time courses that permutation would call alike; `nulls` for the draws.

    >>> random = np.random.default_rng(0)
    >>> drive = np.repeat(random.standard_normal((200, 2)), 4, axis=1)             # two groups of four units
    >>> test = test_modules(drive + random.standard_normal((200, 8)), draws=19)
    >>> test.p, test.null
    (0.05, 'independent-units')
    """
    draws = whole_number("draws", draws, at_least=1, at_most=10**6)
    seed = whole_number("seed", seed, at_least=0)
    progress = None if progress is None else flag("progress", progress)
    task = _task(
        data,
        measure=measure,
        signed=flag("signed", signed),
        inputs=inputs,
        labels=labels,
        layer=layer,
        nonlinearity=nonlinearity,
        factory=factory,
        about=about,
    )
    name = _chosen_null(null, task.kind)
    _check_left_out(task, name)
    search: dict[str, Any] = {
        "seed": seed,
        "resolution": resolution,
        "signed": signed,
        "method": method,
        "restarts": restarts,
    }
    with NULLS[name].begin(task) as (similarity, draw), progress_bar(draws + 1, f"testing: {name}", progress) as bar:
        found = find_modules(similarity, **search)
        bar.update()
        scores = np.full(draws, np.nan)
        for index in range(draws if found.status == "ok" else 0):
            source = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(index,)))  # no stream of the data
            null_modules = find_modules(draw(source), **search)
            scores[index] = null_modules.score if null_modules.status == "ok" else 0.0
            bar.update()
    z, p = float("nan"), float("nan")
    if found.status == "ok":
        p = float(np.count_nonzero(scores >= found.score - _TIE) + 1) / (draws + 1)
        spread = float(scores.std(ddof=1)) if draws > 1 else 0.0
        z = (found.score - float(scores.mean())) / spread if spread > _TIE else z
    return ModuleTest(
        score=found.score,
        null_scores=unchangeable(scores),
        z=z,
        p=p,
        null=name,
        question=NULLS[name].question,
        modules=found,
        measure=task.measure,
        seed=seed,
    )


test_modules.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test


def _task(data: Any, *, measure: Any, layer: Any, inputs: Any, labels: Any, about: dict[str, Any], **rest: Any) -> Task:
    torch = sys.modules.get("torch")  # whoever passes a network has loaded it
    if torch is not None and isinstance(data, torch.nn.Module):
        from modularity_lib.similarity.measures import similarity_matrices

        known = {*inspect.signature(similarity_matrices).parameters} - {"network", "layers", "measures"}
        if unknown := sorted(about.keys() - known):
            raise TypeError(
                f"test_modules() got an unexpected argument {unknown[0]!r}.{did_you_mean(unknown[0], known)}"
            )
        if inputs is None:
            raise ValueError("inputs must be given for a network, got None. They are those of similarity_matrices.")
        if not isinstance(layer, str):
            raise ValueError(f"layer must be the name of one layer of the network, got {shown(layer)}.")
        measure = _checked_measure(measure, MEASURES)
        inputs, labels = in_one_order(inputs=inputs, labels=labels)
        return Task(data, "network", None, layer, measure, inputs=inputs, labels=labels, about=about, **rest)
    given = {"inputs": inputs, "labels": labels, "layer": layer} | about
    if wrong := [name for name, value in given.items() if value is not None]:
        raise ValueError(f"{wrong[0]} must be left out where data is no network, got {shown(given[wrong[0]])}.")
    values = whole_activity("data", data)
    same: dict[str, Any] = {"layer": None, "inputs": None, "labels": None, "about": {}}
    if values.shape[0] == values.shape[1] and np.allclose(
        values, values.T, rtol=1e-6, atol=1e-6 * np.abs(values).max()
    ):
        if measure is not None:
            raise ValueError(f"measure must be left out where data is a similarity, got {shown(measure)}.")
        adjacency_of("data", data, signed=rest["signed"])
        return Task(data, "similarity", values, measure=None, **same, **rest)
    measure = _checked_measure(measure, ("input_covariance", "input_covariance_norm"))
    return Task(data, "activity", values, measure=measure, **same, **rest)


def _checked_measure(measure: Any, known: tuple[str, ...]) -> str:
    if measure is None:
        return "input_covariance_norm"
    if not isinstance(measure, str) or measure not in known:
        raise ValueError(
            f"measure must be one of {', '.join(known)}, got {shown(measure)}.{did_you_mean(measure, known)}"
        )
    return measure


def _chosen_null(null: Any, kind: str) -> str:
    fitting = {name: one for name, one in NULLS.items() if kind in one.takes}
    called = {"similarity": "a similarity matrix", "activity": "activity", "network": "a network"}[kind]
    if null is None and kind == "activity":
        return "independent-units"
    if null is None:
        raise ValueError(f"null must be named for {called}, since each asks another question: {_listed(fitting)}")
    if not isinstance(null, str) or null not in NULLS:
        raise ValueError(
            f"null must be one of those here, got {shown(null)}.{did_you_mean(null, NULLS)} There are {_listed(NULLS)}"
        )
    if null not in fitting:
        needs = " or ".join(
            {"similarity": "a similarity", "activity": "activity (samples, units)", "network": "a network"}[one]
            for one in NULLS[null].takes
        )
        raise ValueError(
            f"null {null!r} needs {needs}, and data is {called}. Pass that, or a null for {called}: {_listed(fitting)}"
        )
    return null


def _listed(some: Mapping[str, Null]) -> str:
    return " ".join(f"{name}: {one.question}" for name, one in some.items())


def _check_left_out(task: Task, null: str) -> None:
    """Refuse what only another null uses: it may have been meant."""
    for argument, of in (("nonlinearity", "rotated-units"), ("factory", "untrained")):
        if getattr(task, argument) is not None and null != of:
            raise ValueError(f"{argument} must be left out unless null={of!r}, got null={null!r}.")
    if task.kind == "network" and task.nonlinearity is not None:
        raise ValueError("nonlinearity must be left out for a network, whose layer has its own.")

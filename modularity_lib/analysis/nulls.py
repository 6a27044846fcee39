"""The nulls of `test_modules`: what each asks, where it is true, and how it is drawn from what is tested."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from modularity_lib.analysis import draws
from modularity_lib.arrays import shown
from modularity_lib.clustering.modularity import adjacency_of
from modularity_lib.similarity.recordings import covariances_of
from modularity_lib.vocabulary import is_normalised

_ROUNDING = 1e-9  # by which a cosine may exceed 1

Draw = Callable[[np.random.Generator], Any]  # a similarity matrix of the null


@dataclass(frozen=True)
class Task:
    """What is tested, and how its similarity is measured."""

    data: Any
    kind: str  # "similarity", "activity" or "network"
    values: Any  # of the data, as an array
    layer: Any
    measure: Any  # its name
    signed: bool
    inputs: Any
    labels: Any
    nonlinearity: Any
    factory: Any
    about: dict[str, Any]  # further arguments of similarity_matrices

    def of_activity(self, activity: Any) -> Any:
        """Similarity of other activity, measured in the same way."""
        return covariances_of("data", activity, signed=self.signed)[self.measure]

    def of_network(self, network: Any, inputs: Any) -> np.ndarray:
        """Similarity in another network, or with other inputs, measured in the same way."""
        from modularity_lib.analysis.networks import similarity_in

        return similarity_in(network, inputs, self.labels, layer=self.layer, measure=self.measure, about=self.about)

    def similarity(self) -> Any:
        """Similarity of the data."""
        if self.kind == "similarity":
            return self.data
        return self.of_activity(self.data) if self.kind == "activity" else self.of_network(self.data, self.inputs)


@contextmanager
def _independent_units(task: Task) -> Iterator[tuple[Any, Draw]]:
    yield task.similarity(), lambda source: task.of_activity(source.permuted(task.values, axis=0))


@contextmanager
def _shifted_units(task: Task) -> Iterator[tuple[Any, Draw]]:
    yield task.similarity(), lambda source: task.of_activity(draws.shifted_in_time(task.values, source))


@contextmanager
def _permuted_inputs(task: Task) -> Iterator[tuple[Any, Draw]]:
    from modularity_lib.analysis.networks import permutable, permuted_inputs

    inputs = permutable("inputs", task.inputs)
    yield (
        task.of_network(task.data, inputs),
        lambda source: task.of_network(task.data, permuted_inputs(inputs, source)),
    )


@contextmanager
def _rotated_units(task: Task) -> Iterator[tuple[Any, Draw]]:
    if task.kind == "activity":
        after = _checked_nonlinearity(task.nonlinearity, task.values)
        units = task.values.shape[1]
        yield (
            task.of_activity(_as_given(after(task.values), task.data)),
            lambda source: task.of_activity(after(task.values @ draws.random_rotation(units, source))),
        )
        return
    from modularity_lib.analysis.networks import rotatable

    if not task.measure.startswith("input_covariance"):
        raise ValueError(
            f"measure must be input_covariance or input_covariance_norm for rotated-units, got {task.measure!r}: it is "
            "activity that is rotated. With other measures take another null."
        )
    seen = rotatable(task.data, task.inputs, task.layer, task.about)
    normalised, similarity = is_normalised(task.measure), task.similarity()
    yield (
        similarity,
        lambda source: seen.covariance(draws.random_rotation(len(similarity), source), normalised=normalised),
    )


@contextmanager
def _untrained(task: Task) -> Iterator[tuple[Any, Draw]]:
    from modularity_lib.analysis.networks import as_untrained, check_draws_differ

    if not callable(task.factory) or hasattr(task.factory, "named_modules"):  # a network can be called, too
        raise ValueError(
            f"factory must be a function without arguments that gives an untrained network, got {shown(task.factory)}. "
            "For example: factory=lambda: ml.MLP([784, 64, 10])."
        )
    check_draws_differ([as_untrained(task.factory, np.random.default_rng(seed)) for seed in (0, 1)])
    yield task.similarity(), lambda source: task.of_network(as_untrained(task.factory, source), task.inputs)


@contextmanager
def _shuffled_pairs(task: Task) -> Iterator[tuple[Any, Draw]]:
    similarity = task.similarity()
    live = _live_part(similarity, signed=task.signed)
    yield similarity, lambda source: draws.shuffled(live, source)


@contextmanager
def _random_directions(task: Task) -> Iterator[tuple[Any, Draw]]:
    if task.signed:
        raise ValueError("signed must be False for random-directions, whose cosines are absolute. Take shuffled-pairs.")
    similarity = task.similarity()
    live = _live_part(similarity, signed=False)
    own = live.diagonal()
    allowed = np.sqrt(np.outer(own, own)) if own.any() else np.ones(live.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        most = float(np.max(np.nan_to_num(live / allowed, nan=0.0)[~np.eye(len(live), dtype=bool)], initial=0.0))
    if most > 1 + _ROUNDING:
        raise ValueError(
            f"data must be a similarity with |S_ij| <= √(S_ii S_jj) for random-directions, as of directions, or in "
            f"[0, 1] with a diagonal of 0 or 1; got a pair {most:.3g} times as large. Pass a normalised measure with "
            "its diagonal, or take shuffled-pairs."
        )
    yield similarity, lambda source: draws.with_lengths(live, source)


def _checked_nonlinearity(nonlinearity: Any, values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The function from arrays to arrays; one of PyTorch is given tensors."""
    advice = "Pass the function that follows, such as np.tanh or lambda z: np.maximum(z, 0)."
    if not callable(nonlinearity):
        raise ValueError(f"nonlinearity must be a function for rotated-units, got {shown(nonlinearity)}. {advice}")

    def after(before: np.ndarray) -> np.ndarray:
        torch = sys.modules.get("torch")
        try:
            return np.asarray(nonlinearity(before), dtype=np.float64)
        except (TypeError, AttributeError):
            if torch is None:
                raise
            return np.asarray(nonlinearity(torch.as_tensor(before)).detach().numpy(), dtype=np.float64)

    try:
        shape = after(values[:2].copy()).shape
    except Exception as error:  # whatever the function raises
        raise ValueError(
            f"nonlinearity must take an array (samples, units), got {shown(nonlinearity)}, which raises "
            f"{type(error).__name__}. {advice}"
        ) from error
    if shape != values[:2].shape:
        raise ValueError(
            f"nonlinearity must give an array of the shape that it takes, got {shape} for {values[:2].shape}. {advice}"
        )
    return after


def _as_given(values: np.ndarray, data: Any) -> Any:
    """The values with the names of the units that the data have, if it has some."""
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        return sys.modules["pandas"].DataFrame(values, columns=data.columns)
    return values


def _live_part(similarity: Any, *, signed: bool) -> np.ndarray:
    """Similarity of the units that are not dead, with its diagonal; symmetric."""
    matrix = adjacency_of("data", similarity, signed=signed)
    live = matrix.any(axis=1)
    np.fill_diagonal(matrix, np.asarray(similarity, dtype=np.float64).diagonal())
    return matrix[np.ix_(live, live)]


class Null(NamedTuple):
    """A null of `test_modules`."""

    question: str
    takes: tuple[str, ...]  # kinds of data
    holds: str  # where the null is true, so that p <= 0.05 in 5 % of all data
    begin: Callable[[Task], Any]  # gives the similarity of the data, and how to draw from the null


_ALL = ("similarity", "activity", "network")
NULLS = {
    "independent-units": Null(
        "Is Q larger than among units with the same values that have nothing to do with each other?",
        ("activity",),
        "units are independent, and the samples of each could come in any order",
        _independent_units,
    ),
    "shifted-units": Null(
        "Is Q larger than among units with the same time courses that began at unrelated times?",
        ("activity",),
        "units are independent, and the time course of each could begin at any of its samples",
        _shifted_units,
    ),
    "permuted-inputs": Null(
        "Is Q larger than in this network when the features of its inputs are unrelated?",
        ("network",),
        "the features of the inputs are independent, of each other and of the labels",
        _permuted_inputs,
    ),
    "rotated-units": Null(
        "Is Q larger than after a random rotation of the units before their non-linearity?",
        ("activity", "network"),
        "what comes before the non-linearity has no preferred axes, as with Gaussian weights that are independent",
        _rotated_units,
    ),
    "untrained": Null(
        "Is Q larger than in networks of the same kind before training?",
        ("network",),
        "the network comes out of the same factory",
        _untrained,
    ),
    "shuffled-pairs": Null(
        "Is Q larger than if the same similarities fell on other pairs of units?",
        _ALL,
        "the similarities of all pairs are independent and of one distribution",
        _shuffled_pairs,
    ),
    "random-directions": Null(
        "Is Q larger than among random directions in a space of as few dimensions?",
        _ALL,
        "the similarities are absolute cosines of directions that are all equally likely",
        _random_directions,
    ),
}

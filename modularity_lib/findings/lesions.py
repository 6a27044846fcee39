"""Do modules matter? What a network loses without the units of a module, and without other sets of units.

Every module of every hidden layer and normalised measure is taken out of a trained network, and beside it random sets
and sets of near neighbours of the same size and outgoing weights (`matched_sets`). `lesion_effects` says what follows.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from modularity_lib.findings.lesion_choices import FEWEST_SETS, OUTCOMES
from modularity_lib.findings.matched_sets import neighbour_sets, random_sets
from modularity_lib.findings.tables import AnalysedNetwork, Finding, Rows, is_of_dropout
from modularity_lib.training.networks import Parameters
from modularity_lib.vocabulary import NORMALISED

SETS = 60  # of each kind for each module, where so many fit
SMALLEST_MODULE = 3
LEFT_STANDING = 4  # live units at least outside a module
IMAGES = 3000  # test images on which losses are counted, evenly spaced among all
LESIONS = ("zero", "mean")  # what the activity of the units is set to


class Tail(NamedTuple):
    """A network from one hidden layer on, on some images. Units come first, as lesions take them out row by row."""

    activity: np.ndarray  # of the hidden layer, after the ReLU, (units, images), float32
    weights: Sequence[np.ndarray]  # of the layers after it
    biases: Sequence[np.ndarray]
    classes: np.ndarray  # of each image, (images,)


def tails(parameters: Parameters, images: np.ndarray, classes: np.ndarray) -> Iterator[Tail]:
    """The network from each hidden layer on, the first layer first."""
    activity = images.T
    for layer in range(len(parameters.weights) - 1):
        activity = np.maximum(parameters.weights[layer] @ activity + parameters.biases[layer][:, None], 0.0)
        yield Tail(activity, parameters.weights[layer + 1 :], parameters.biases[layer + 1 :], classes)


def losses(tail: Tail, sets: np.ndarray, mean: np.ndarray) -> dict[str, np.ndarray]:
    """What is lost when the activity of a set of units is held at 0, or at its mean, after the ReLU.

    With the next layer's input z = W h + b, and S the set,

        zero: z' = z - W_S h_S,        mean: z' = z - W_S (h_S - mean of h_S).

    Args:
        tail: the network, with n images of k classes.
        sets: units of each set, boolean, shape (sets, units).
        mean: activity of each unit over all test images, shape (units,).
    Returns:
        {"zero": ..., "mean": ...}, each of shape (sets, 4), in the order of `OUTCOMES`. accuracy: lost, mean over the
        classes, in [-1, 1]; accuracy_spread: standard deviation over the classes of what each loses, so it is large
        where some classes are hit and others are not; entropy, entropy_spread: the same of the rise of the
        cross-entropy, in nats.
    """
    first, *later = zip(tail.weights, tail.biases, strict=True)
    intact = first[0] @ tail.activity + first[1][:, None]
    n_of_class = np.bincount(tail.classes)
    before = _by_class(intact, later, tail.classes, n_of_class)
    after: dict[str, list[np.ndarray]] = {lesion: [] for lesion in LESIONS}
    for units in sets:
        z = intact - first[0][:, units] @ tail.activity[units]
        after["zero"].append(_by_class(z, later, tail.classes, n_of_class))
        z += (first[0][:, units] @ mean[units])[:, None]
        after["mean"].append(_by_class(z, later, tail.classes, n_of_class))
    lost = {lesion: before - np.stack(values) for lesion, values in after.items()}  # (sets, 2, classes)
    return {
        lesion: np.stack([values.mean(axis=2), values.std(axis=2)], axis=2).reshape(len(sets), 4)
        for lesion, values in lost.items()
    }


def _by_class(
    z: np.ndarray, later: Sequence[tuple[np.ndarray, np.ndarray]], classes: np.ndarray, n_of_class: np.ndarray
) -> np.ndarray:
    """Accuracy and minus the cross-entropy of each class that there is, shape (2, classes); z as it enters a layer."""
    for weight, bias in later:
        z = weight @ np.maximum(z, 0.0) + bias[:, None]
    own = z[classes, np.arange(len(classes))]
    top = z.max(axis=0)
    # in logarithms of sums of exp(z - top), which neither overflow nor vanish
    log_p = own - top - np.log(np.exp(z - top).sum(axis=0))
    of = np.stack([np.bincount(classes, weights=values) for values in (own == top, log_p)])
    there = n_of_class > 0
    return np.asarray(of[:, there] / n_of_class[there])


class Layer(NamedTuple):
    """What the units of a hidden layer are over all test images; the arrays are of its live units."""

    live: np.ndarray  # indices of the units whose activity varies
    mean: np.ndarray  # activity of every unit, dead or not, float32
    carried: np.ndarray  # (2, live units): sum of |outgoing weights|, and that times the standard deviation of activity
    correlation: np.ndarray  # of the activity of every two, (live units, live units)


def layer_of(activity: np.ndarray, outgoing: np.ndarray) -> Layer:
    """Facts of a layer, from its activity (units, images) and the weights of the next layer (units after, units)."""
    deviation = activity.std(axis=1, dtype=np.float64)
    live = np.flatnonzero(deviation > 0)
    weight = np.abs(outgoing).sum(axis=0, dtype=np.float64)
    carried = np.stack([weight, weight * deviation])[:, live]
    return Layer(live, activity.mean(axis=1), carried, np.corrcoef(activity[live]))


class Compared(NamedTuple):
    """A module beside the sets that are matched to it."""

    n_random: int
    n_neighbours: int
    alike: dict[str, float | None]  # mean correlation of two units: of the module, and of the sets of either kind
    lost: dict[str, dict[str, float | None]]  # by lesion: as in the table of `rows_of`


def compared(module: np.ndarray, tail: Tail, layer: Layer, *, wanted: int, source: np.random.Generator) -> Compared:
    """Take out a module, and the sets that it is compared with.

    Args:
        module: its units, boolean, shape (units,), all live.
        tail: the network from its layer on.
        wanted: sets of each kind.
    Returns:
        numbers of sets; None where there are fewer than `FEWEST_SETS` of a kind.
    """
    own, live, correlation = module[layer.live], layer.live, layer.correlation
    drawn = {
        "random": random_sets(own, layer.carried, wanted=wanted, source=source),
        "neighbours": neighbour_sets(own, layer.carried, correlation, wanted=wanted, source=source),
    }
    chosen = {kind: sets for kind, sets in drawn.items() if len(sets) >= FEWEST_SETS}
    every = np.zeros((1 + sum(map(len, chosen.values())), len(module)), dtype=bool)
    every[:, live] = np.concatenate([own[None], *chosen.values()])
    kinds = np.concatenate([["module"], *(np.repeat(kind, len(sets)) for kind, sets in chosen.items())])
    likeness = np.array([_mean_correlation(correlation, units) for units in every[:, live]])
    alike: dict[str, float | None] = {"alike": float(likeness[0])}
    alike |= {f"alike_{kind}": _mean(likeness[kinds == kind]) for kind in drawn}
    lost: dict[str, dict[str, float | None]] = {}
    for lesion, values in losses(tail, every, layer.mean).items():
        lost[lesion] = {}
        for outcome, of in zip(OUTCOMES, values.T, strict=True):
            among = of[kinds == "random"]
            lost[lesion] |= {outcome: float(of[0])}
            lost[lesion] |= {f"{outcome}_{kind}": _mean(of[kinds == kind]) for kind in drawn}
            lost[lesion] |= {f"{outcome}_above": float(np.mean(among < of[0])) if len(among) else None}
    return Compared(len(drawn["random"]), len(drawn["neighbours"]), alike, lost)


def _mean_correlation(correlation: np.ndarray, units: np.ndarray) -> float:
    among = correlation[np.ix_(units, units)]
    return float((among.sum() - len(among)) / (len(among) * (len(among) - 1)))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def rows_of(network: AnalysedNetwork) -> Rows:
    """A row per module and lesion of one network, for live units in modules of `SMALLEST_MODULE` units or more.

    Live units respond to some test image. A module that leaves fewer than `LEFT_STANDING` of them has no row.

    Returns:
        `layer`, `measure`, `module`, `units`; `n_random`, `n_neighbours`: sets found; `alike`, `alike_random`,
        `alike_neighbours`: mean correlation of the activities of two units of the module and of the sets; `lesion`,
        "zero" or "mean"; and for each of `OUTCOMES` x, see `losses`, x of the module, `x_random` and `x_neighbours`,
        mean over the sets, and `x_above`: the share of random sets that lose less than the module, 1/2 by chance.
        None where there were fewer than `FEWEST_SETS` sets.
    """
    dataset = network.dataset
    some = np.linspace(0, len(dataset.test_labels), min(IMAGES, len(dataset.test_labels)), endpoint=False).astype(int)
    rows: Rows = []
    for layer, whole in enumerate(tails(network.parameters, dataset.test_images, dataset.test_labels), start=1):
        tail = whole._replace(activity=whole.activity[:, some], classes=whole.classes[some])
        facts = layer_of(whole.activity, whole.weights[0])
        live = np.isin(np.arange(len(facts.mean)), facts.live)
        for number, measure in enumerate(NORMALISED):
            labels = np.where(live, network.labels.get((layer, measure), np.full(len(live), -1)), -1)
            for module in np.unique(labels[labels >= 0]).tolist():
                units = labels == module
                if not SMALLEST_MODULE <= units.sum() <= live.sum() - LEFT_STANDING:
                    continue
                source = np.random.default_rng([network.config.run, layer, number, module])
                found = compared(units, tail, facts, wanted=SETS, source=source)
                place = {"layer": layer, "measure": measure, "module": module, "units": int(units.sum())}
                sets = {"n_random": found.n_random, "n_neighbours": found.n_neighbours, **found.alike}
                rows += [{**place, **sets, "lesion": lesion, **lost} for lesion, lost in found.lost.items()]
    return rows


FINDING = Finding("lesions", rows_of, is_wanted=is_of_dropout)

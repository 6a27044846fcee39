"""What the explorer shows of a network: similarity matrices, modules, and what each module responds to."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from modularity_lib.clustering.modularity import dead_units, modularity_score
from modularity_lib.findings.catalogue import FINDINGS, finding_table
from modularity_lib.findings.tables import FindingNotAtHand
from modularity_lib.images.dataset import Dataset, load_dataset
from modularity_lib.images.sources import DatasetUnavailable
from modularity_lib.similarity.closed_form import forward_pass
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import Study, study_named
from modularity_lib.studies.results import Results, rows_at
from modularity_lib.studies.store import Store
from modularity_lib.training.networks import Parameters, parameters_of
from modularity_lib.vocabulary import MEASURES, Regularisation, Regulariser

N_DIGITS = 5  # shown per module

_CHUNK_IMAGES = 500  # images whose gradients are in memory at a time


class NothingToExplore(LookupError):
    """Neither the weights nor the matrices of any network of this run are at hand."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Digits shown to the units, as a page embeds them."""

    images: np.ndarray  # (digits, pixels), in [0, 1]
    labels: np.ndarray  # (digits,)


@dataclass(frozen=True)
class Lesion:
    """What a network loses when units of a layer are set to 0: accuracy, mean over the classes, in [-1, 1]."""

    accuracy: float  # without the units of a module
    random: float | None  # without as many random units of the same outgoing weight, mean; None: too few fit


@dataclass(frozen=True, eq=False)
class ModuleView:
    """One set of units of a layer, as a page shows it."""

    units: np.ndarray  # indices, ascending
    digits: np.ndarray  # indices of the digits that excite it most, strongest first; fewer where it is silent on all
    activity: np.ndarray  # (10,) mean normalised activity per class of digit, in [0, 1]
    weights: np.ndarray  # (pixels,) mean weight, or mean input gradient: see `pixel_weights`
    lesion: Lesion | None = None  # None: it was not measured


@dataclass(frozen=True, eq=False)
class MeasureView:
    """One similarity matrix, its modules, and Q."""

    matrix: np.ndarray  # (units, units), similarity with a diagonal of 0
    labels: np.ndarray  # (units,), -1 = dead
    score: float | None  # Q under its own modules, of the study's table; None: all units are dead
    n_modules: float  # soft count, of the study's table
    scores: dict[str, float | None]  # Q of this matrix under the modules of each measure; None: either has none
    modules: list[int]  # where its modules are in LayerView.modules


@dataclass(frozen=True, eq=False)
class LayerView:
    """One hidden layer: what each measure finds in it, and the modules that any of them found."""

    measures: dict[str, MeasureView]
    modules: list[ModuleView]  # each set of units once, whatever the measures that found it


@dataclass(frozen=True, eq=False)
class NetworkView:
    """One trained network."""

    setting: dict[str, float]  # l2, l1, dropout
    test_accuracy: float
    analysed: bool  # False: left out of all figures
    layers: list[LayerView]


def digits_for(study: str | Study) -> Digits:
    """Digits to show to the networks of a study: all digits of the project, or the study's test images.

    Those that come with the project are training images of MNIST.
    """
    name = study_named(study).dataset
    dataset = load_dataset("mnist-5k" if name == "mnist" else name)
    return _all_images(dataset) if dataset.name == "mnist-5k" else Digits(dataset.test_images, dataset.test_labels)


def study_at_hand(study: str, *, run: int, store: Store | None = None) -> str:
    """The study, or "v1" if its weights or matrices are not at hand: those of v1, run 0, come with the project."""
    with suppress(LookupError, DatasetUnavailable):
        archive = Archive(study, store)
        archive.matrices(archive.config(run=run))
        if all(archive.has_network(config) for config in archive.study.trained_configs() if config.run == run):
            return study
    return "v1"


def first_strength(study: Study, regulariser: Regulariser) -> float:
    """The strength that is shown first: dropout 0.7 or the nearest there is; of a penalty the one in the middle."""
    strengths = study.strengths(regulariser)
    if regulariser == "dropout":
        return min(strengths, key=lambda strength: abs(strength - 0.7))
    return strengths[len(strengths) // 2]


def explore(results: Results, digits: Digits, *, run: int = 0, store: Store | None = None) -> list[NetworkView]:
    """Everything that the explorer shows of each network of a run. Skips networks without modules or weights.

    What lesions cost is told of the networks of which that comes with the project.

    Args:
        results: the study's tables, which give modules and Q.
        digits: shown to the units to see which excite them.
        run: of the study.
        store: where weights are looked for that do not come with the project.
    Raises:
        NothingToExplore: nothing is left.
        DatasetUnavailable: matrices that are not shipped need images that cannot be had.
    """
    archive, networks, lesions = Archive(results.study, store), [], _lesions_that_come_with(results)
    for setting in map(Regularisation._asdict, results.study.settings()):
        chosen = {"trained": True, "run": run, **setting}
        rows = rows_at(results.networks, **chosen)
        if rows.empty or rows["status"].iloc[0] != "ok":
            continue
        config = archive.config(run=run, **setting)
        try:
            parameters = parameters_of(archive.network(config))
        except LookupError:
            continue
        matrices, modules = archive.matrices(config), rows_at(results.modules, **chosen)
        layers = [
            _view_of_layer(
                matrices[f"hidden{index + 1}"], modules[modules["layer"] == index + 1], parameters, digits, index
            )
            for index in range(len(matrices))
        ]
        if lesions is not None:
            lost = rows_at(lesions, run=run, lesion="zero", **setting)
            layers = [_with_lesions(layer, lost[lost["layer"] == index]) for index, layer in enumerate(layers, start=1)]
        row = rows.iloc[0]
        networks.append(NetworkView(setting, float(row["test_accuracy"]), bool(row["analysed"]), layers))
    if not networks:
        raise NothingToExplore(
            f"the weights of run {run} of the study {results.study.name!r} are neither in the store nor shipped with "
            'the project. Those of "v1", run 0, are shipped; `modularity run --weights` computes the others.'
        )
    return networks


def exciting_digits(activity: np.ndarray, modules: np.ndarray, *, n_digits: int = N_DIGITS) -> list[np.ndarray]:
    """The digits on which each module is most active, strongest first.

    A unit's activity is divided by its largest over all digits (0 for a unit silent on all), and averaged over the
    units of the module.

    Args:
        activity: (digits, units), not negative.
        modules: (modules, units), True = unit belongs to the module.
        n_digits: how many; fewer where the module is silent on the others.
    Returns:
        Per module indices of digits; of equals the first.

    >>> exciting_digits(np.array([[1.0, 0.0], [2.0, 4.0], [0.0, 1.0]]), np.array([[True, False]]), n_digits=2)
    [array([1, 0])]
    """
    means = module_activity(activity, modules)
    best = np.argsort(-means, axis=0, kind="stable")[:n_digits].T
    return [indices[means[indices, module] > 0] for module, indices in enumerate(best)]


def module_activity(activity: np.ndarray, modules: np.ndarray) -> np.ndarray:
    """Mean normalised activity of each module's units on each digit, shape (digits, modules), in [0, 1]."""
    largest = activity.max(axis=0)
    normalised = activity / np.where(largest > 0, largest, np.inf)
    return normalised @ _averaging(modules).T


def pixel_weights(parameters: Parameters, images: np.ndarray, *, layer: int, modules: np.ndarray) -> np.ndarray:
    """Mean input weight (or input gradient) from each pixel to the units of a module.

    For the first hidden layer the weights themselves, W_1. For a deeper one the input gradient, mean over the images:

        ∂h_l/∂x = D_l W_l ... D_1 W_1,  with D_k = diag(h_k > 0) the units of layer k that are active on the image

    For the first layer that would be the weights times the share of images on which the unit is active.

    Args:
        parameters: of the network.
        images: (images, pixels).
        layer: hidden layer, 0 = nearest the pixels.
        modules: (modules, units of that layer), True = unit belongs to the module.
    Returns:
        (modules, pixels), on the scale of the weights: change of activity per unit of ink.
    """
    averaging = _averaging(modules)
    weights = [weight.astype(np.float64) for weight in parameters.weights]
    if layer == 0:
        return averaging @ weights[0]
    total = np.zeros((len(modules), len(weights[0])))
    for start in range(0, len(images), _CHUNK_IMAGES):
        passed = forward_pass(parameters, images[start : start + _CHUNK_IMAGES])
        gates = [activity > 0 for activity in passed.activities]
        gradient = averaging * gates[layer][:, np.newaxis, :]  # (images, modules, units): back from the layer ...
        for below in range(layer - 1, -1, -1):
            gradient = gradient @ weights[below + 1] * gates[below][:, np.newaxis, :]  # ... to the layer below
        total += gradient.sum(axis=0)
    return total / len(images) @ weights[0]


def _all_images(dataset: Dataset) -> Digits:
    return Digits(
        np.concatenate([dataset.train_images, dataset.test_images]),
        np.concatenate([dataset.train_labels, dataset.test_labels]),
    )


def _view_of_layer(
    matrices: Mapping[str, np.ndarray], rows: pd.DataFrame, parameters: Parameters, digits: Digits, layer: int
) -> LayerView:
    by_measure = {row["measure"]: row for _, row in rows.iterrows()}
    labels = {name: np.asarray(by_measure[name]["labels"], dtype=int) for name in MEASURES}
    measures, places = dict[str, MeasureView](), dict[tuple[int, ...], int]()
    for name in MEASURES:
        own = [
            places.setdefault(tuple(np.flatnonzero(labels[name] == module).tolist()), len(places))
            for module in range(labels[name].max() + 1)
        ]
        score, matrix = float(by_measure[name]["score"]), matrices[name].copy()
        np.fill_diagonal(matrix, 0.0)
        measures[name] = MeasureView(
            matrix,
            labels[name],
            None if np.isnan(score) else score,
            float(np.nan_to_num(by_measure[name]["n_modules"])),
            {other: _score(matrix, labels[other]) for other in MEASURES},
            own,
        )
    member = np.zeros((len(places), len(labels[MEASURES[0]])), dtype=bool)
    for units, place in places.items():
        member[place, list(units)] = True
    activity = forward_pass(parameters, digits.images).activities[layer].astype(np.float64)
    top = exciting_digits(activity, member)
    by_class = _means_by_class(module_activity(activity, member), digits.labels)
    weights = pixel_weights(parameters, digits.images, layer=layer, modules=member)
    modules = [
        ModuleView(np.array(units), top[place], by_class[:, place], weights[place]) for units, place in places.items()
    ]
    return LayerView(measures, modules)


def _lesions_that_come_with(results: Results) -> pd.DataFrame | None:
    """The table of lesions of a study, or None where the project has none: measuring one for a page takes too long."""
    if not FINDINGS["lesions"].is_shipped(results.study):
        return None
    with suppress(FindingNotAtHand):
        return finding_table("lesions", results)
    return None


def _with_lesions(layer: LayerView, rows: pd.DataFrame) -> LayerView:
    """A layer whose modules know what is lost without them, from rows of the table of lesions."""
    modules = list(layer.modules)
    for _, row in rows.iterrows():
        place = layer.measures[row["measure"]].modules[row["module"]]
        random = None if np.isnan(row["accuracy_random"]) else float(row["accuracy_random"])
        modules[place] = replace(modules[place], lesion=Lesion(float(row["accuracy"]), random))
    return replace(layer, modules=modules)


def _score(matrix: np.ndarray, labels: np.ndarray) -> float | None:
    """Q, or None where no unit is live or none has a module."""
    if (labels < 0).all() or dead_units(matrix).all():
        return None
    return modularity_score(matrix, labels)


def _averaging(modules: np.ndarray) -> np.ndarray:
    """Matrix that averages over the units of each module, shape (modules, units)."""
    return modules / np.maximum(modules.sum(axis=1, keepdims=True), 1)


def _means_by_class(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean over the digits of each class, shape (10, modules)."""
    is_class = (np.arange(10)[:, np.newaxis] == labels).astype(np.float64)
    return is_class @ values / np.maximum(is_class.sum(axis=1, keepdims=True), 1)

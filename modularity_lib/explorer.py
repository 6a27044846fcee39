"""The explorer: a page on which a reader looks at every network of one run by himself, without a server.

All that the page may show is computed here and written into it: similarity matrices (8 bits a value), modules, the Q of
every matrix under the modules of every measure, and two pictures of each module, the digits that excite it and its mean
weight on the pixels. The script, style and markup are in `explorer_page/` beside this file; they are written into the
page too, because Jupyter Book adds a script that lies anywhere below `_static/` to every page.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd

from modularity_lib.data import Dataset, load_dataset, train_validation_split
from modularity_lib.derivatives import forward_pass
from modularity_lib.experiments import BASELINE_L2, EXAMPLES, REGULARISERS, Study, study_named
from modularity_lib.figures import LOOKS, MEASURE_LABELS
from modularity_lib.modularity import AllUnitsDead, modularity_score
from modularity_lib.networks import Parameters, parameters_of
from modularity_lib.results import Results
from modularity_lib.shipped import shipped_tables
from modularity_lib.similarity import FAMILY, MEASURES
from modularity_lib.sources import DATASETS, DatasetUnavailable
from modularity_lib.store import Store
from modularity_lib.study import stored_matrices, stored_network

N_DIGITS = 5  # shown per module
LEVELS = 255  # steps of a stored similarity, from 0 to the largest off the diagonal

_PAGE = Path(__file__).with_name("explorer_page")
_CHUNK_IMAGES = 500  # the gradients of so many images are in memory at a time
_MATRIX_COLOURS, _WEIGHT_COLOURS = "magma", "RdBu_r"  # both remain readable without seeing red or green
_SETTING = ["l2", "l1", "dropout"]


class NothingToExplore(LookupError):
    """Neither the weights nor the matrices of any network of this run are at hand."""


@dataclass(frozen=True, eq=False)
class Digits:
    """Digits that units are shown, as a page embeds them."""

    images: np.ndarray  # (digits, pixels), in [0, 1]
    labels: np.ndarray  # (digits,)


@dataclass(frozen=True, eq=False)
class ModuleView:
    """One set of units of a layer, as a page shows it."""

    units: np.ndarray  # indices, ascending
    digits: np.ndarray  # indices of the digits that excite it most, strongest first; fewer where it is silent on all
    activity: np.ndarray  # (10,) mean normalised activity per class of digit, in [0, 1]
    weights: np.ndarray  # (pixels,) mean weight, or mean input gradient: see `pixel_weights`


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
    """Digits to show to the networks of a study: all that come with the project, or the study's test images.

    Those that come with the project are training images of MNIST.
    """
    name = study_named(study).dataset
    dataset = load_dataset("mnist-5k" if name == "mnist" else name)
    return _all_images(dataset) if dataset.name == "mnist-5k" else Digits(dataset.test_images, dataset.test_labels)


def study_at_hand(study: str, *, run: int, store: Store | None = None) -> str:
    """The study, or "v1" where its weights or matrices cannot be had: those of v1, run 0, come with the project."""
    with suppress(LookupError, DatasetUnavailable):
        stored_network(study, run=run, store=store)
        stored_matrices(study, run=run, store=store)
        return study
    return "v1"


def explore(results: Results, digits: Digits, *, run: int = 0, store: Store | None = None) -> list[NetworkView]:
    """Everything that can be seen of each network of a run. Networks without modules or weights are not among them.

    Args:
        results: the study's tables, which give modules and Q.
        digits: shown to the units to see which excite them.
        run: of the study.
        store: where weights are looked for that do not come with the project.
    Raises:
        NothingToExplore: nothing is left.
        DatasetUnavailable: matrices that are not shipped need images that cannot be had.
    """
    networks = []
    for setting in results.study.settings():
        rows = _rows_of(results.networks, run, setting)
        if rows.empty or rows["status"].iloc[0] != "ok":
            continue
        try:
            parameters = parameters_of(stored_network(results.study, run=run, store=store, **setting))
        except LookupError:
            continue
        matrices = stored_matrices(results.study, run=run, store=store, **setting)
        modules = _rows_of(results.modules, run, setting)
        layers = [
            _view_of_layer(measured, modules[modules["layer"] == index + 1], parameters, digits, index)
            for index, measured in enumerate(matrices.values())
        ]
        row = rows.iloc[0]
        networks.append(NetworkView(setting, float(row["test_accuracy"]), bool(row["analysed"]), layers))
    if not networks:
        raise NothingToExplore(
            f"the weights of run {run} of the study {results.study.name!r} are neither in the store nor shipped with "
            'the project. Those of "v1", run 0, are shipped; `modularity run` computes the others.'
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
    """What a unit of each module adds up from each pixel, mean over its units.

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


def page_data(
    networks: Sequence[NetworkView], study: Study, digits: Digits, chosen: Mapping[str, Any]
) -> dict[str, Any]:
    """All that the script draws from, ready for JSON. Arrays are base64 of unsigned bytes, one matrix after the other.

    `matrices` holds for each network, layer and measure the upper triangle without the diagonal, row by row, as
    round(255 S_ij / largest); `pictures` per module 784 bytes, 128 + 127 w / largest |w|; `digits` the grey values of
    those digits that some module shows.

    Raises:
        ValueError: the choice that is shown first is not among what there is.
    """
    shown = sorted({int(digit) for network in networks for layer in network.layers for digit in _digits_of(layer)})
    place = {digit: index for index, digit in enumerate(shown)}
    matrices: list[np.ndarray] = []
    pictures: list[np.ndarray] = []
    entries = []
    for network in networks:
        layers = []
        for layer in network.layers:
            units = len(layer.measures[MEASURES[0]].labels)
            upper = np.triu_indices(units, 1)
            matrices += [_eight_bits(view.matrix)[upper] for view in layer.measures.values()]
            modules = []
            for module in layer.modules:
                largest = float(np.abs(module.weights).max())
                scaled = module.weights / (largest or 1.0)
                modules.append(
                    {
                        "digits": [place[int(digit)] for digit in module.digits],
                        "activity": [round(float(mean), 3) for mean in module.activity],
                        "picture": len(pictures),
                        "largest": _short(largest),
                    }
                )
                pictures.append(np.round(128 + 127 * scaled).astype(np.uint8))
            measures = [
                {
                    "largest": _short(view.matrix.max()),
                    "labels": view.labels.tolist(),
                    "score": _rounded(view.score),
                    "soft": round(view.n_modules, 2),
                    "scores": [_rounded(view.scores[name]) for name in MEASURES],
                    "modules": view.modules,
                }
                for view in layer.measures.values()
            ]
            layers.append({"units": units, "measures": measures, "modules": modules})
        entries.append(
            {
                "setting": network.setting,
                "accuracy": round(network.test_accuracy, 4),
                "analysed": network.analysed,
                "layers": layers,
            }
        )
    sweeps = _sweeps(networks)
    return {
        "study": study.name,
        "measures": [{"label": MEASURE_LABELS[name], "family": FAMILY[name]} for name in MEASURES],
        "sweeps": sweeps,
        "networks": entries,
        "matrices": _text_of(np.concatenate(matrices)),
        "pictures": _text_of(np.concatenate(pictures) if pictures else np.zeros(0, np.uint8)),
        "digits": _text_of(np.round(255 * digits.images[shown]).astype(np.uint8)),
        "digitLabels": [int(label) for label in digits.labels[shown]],
        "levels": LEVELS,
        "matrixColours": _text_of(_colours(_MATRIX_COLOURS)),
        "weightColours": _text_of(_colours(_WEIGHT_COLOURS)),
        "chosen": _places_of(sweeps, networks, chosen),
    }


def page_of(data: Mapping[str, Any]) -> str:
    """HTML of the explorer: markup, style, script and data. Nothing is fetched."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")  # no end tag inside
    parts = {name: (_PAGE / f"explorer.{name}").read_text(encoding="utf-8") for name in ("html", "css", "js")}
    return (
        f"<style>\n{parts['css']}</style>\n{parts['html']}"
        f'<script type="application/json" id="explorer-data">{text}</script>\n<script>\n{parts["js"]}</script>\n'
    )


def chosen_layer(networks: Sequence[NetworkView], chosen: Mapping[str, Any]) -> LayerView:
    """The layer of a choice as `page_data` takes it."""
    network = next(
        network
        for network in networks
        if _is_in_sweep(network.setting, chosen["regulariser"])
        and network.setting[chosen["regulariser"]] == chosen["strength"]
    )
    return network.layers[chosen["layer"] - 1]


def still_picture(networks: Sequence[NetworkView], digits: Digits, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What `figures.modules_looked_at` draws of a choice: its arguments."""
    layer = chosen_layer(networks, chosen)
    view, order = layer.measures[chosen["measure"]], chosen["sorted_by"]
    modules = [layer.modules[place] for place in layer.measures[order].modules]
    return {
        "matrix": view.matrix,
        "orders": [
            (name, layer.measures[name].labels, view.scores[name]) for name in dict.fromkeys((chosen["measure"], order))
        ],
        "digits": [digits.images[module.digits] for module in modules],
        "weights": [module.weights for module in modules],
        "measure": chosen["measure"],
        "weights_label": weights_label(chosen["layer"]),
    }


def still_code(results: Results, run: int, chosen: Mapping[str, Any]) -> str:
    """Python that makes the still picture from nothing."""
    return (
        "import modularity_lib as ml\nfrom modularity_lib import explorer, figures\n\n"
        f"results = ml.run_study({results.study.name!r})\ndigits = explorer.digits_for({results.study.name!r})\n"
        f"networks = explorer.explore(results, digits, run={run})\nchosen = {dict(chosen)!r}\n"
        "picture = explorer.still_picture(networks, digits, chosen)\n"
        'figures.modules_looked_at(**picture).savefig("fig-explorer.png")'
    )


def pairs_table(networks: Sequence[NetworkView], chosen: Mapping[str, Any]) -> pd.DataFrame:
    """The matrix of a choice: a row per pair of units, with their modules by it and by the other measure."""
    layer = chosen_layer(networks, chosen)
    measure, other = layer.measures[chosen["measure"]], layer.measures[chosen["sorted_by"]]
    first, second = np.triu_indices(len(measure.labels), 1)
    return pd.DataFrame(
        {
            "unit_a": first,
            "unit_b": second,
            "module_a": measure.labels[first],
            "module_b": measure.labels[second],
            "other_module_a": other.labels[first],
            "other_module_b": other.labels[second],
            "similarity": measure.matrix[first, second],
        }
    )


def weights_label(layer: int) -> str:
    """What `pixel_weights` gives for a layer, counted from 1."""
    return "mean input weights" if layer == 1 else "mean input gradient"


def facts(
    results: Results,
    run: int,
    networks: Sequence[NetworkView],
    digits: Digits,
    chosen: Mapping[str, Any],
    *,
    asked: str,
) -> dict[str, str]:
    """What the prose of the page says in numbers.

    Args:
        results, run, networks, digits, chosen: what the page shows.
        asked: the study that was asked for, which may not be at hand.
    """
    study, look = results.study, LOOKS[chosen["regulariser"]]
    source = DATASETS[study.dataset]
    n_trained_on = len(train_validation_split(source.n_train_images, seed=run)[0])
    shipped = shipped_tables(study.name)
    return {
        "explored": study.name,
        "run": str(run),
        "at_hand": (
            ""
            if asked == study.name
            else f"The study {asked!r} was asked for, but its weights or the images to measure them on are not at hand."
        ),
        "n_networks": str(len(networks)),
        "levels": str(LEVELS),
        "half_step": f"{0.5 / LEVELS:.3f}",
        "n_shown": str(N_DIGITS),
        "n_digits": f"{len(digits.images):,}",
        "digits_are": (
            f"training images of MNIST. Each network was trained on {n_trained_on:,} of the "
            f"{source.n_train_images:,} training images of {study.dataset}"
        ),
        "weights_are": (
            f"The weights that come with the project are rounded to half precision, but for {len(EXAMPLES)} networks "
            "of the paper's figures. That is enough for digits and pictures of weights; matrices, modules and Q are "
            "those of the exact weights."
            if shipped is not None and shipped.arrays
            else ""
        ),
        "chosen_matrix": (
            f"{MEASURE_LABELS[chosen['measure']].capitalize()} of the units of layer {chosen['layer']}, "
            f"{look.label} {chosen['strength']:g}"
        ),
        "chosen_order": MEASURE_LABELS[chosen["sorted_by"]],
        "chosen_weights": weights_label(chosen["layer"]),
    }


def _all_images(dataset: Dataset) -> Digits:
    return Digits(
        np.concatenate([dataset.train_images, dataset.test_images]),
        np.concatenate([dataset.train_labels, dataset.test_labels]),
    )


def _rows_of(table: pd.DataFrame, run: int, setting: Mapping[str, float]) -> pd.DataFrame:
    return table[
        table["trained"] & (table["run"] == run) & (table[_SETTING] == pd.Series(setting)[_SETTING]).all(axis=1)
    ]


def _view_of_layer(
    matrices: Mapping[str, np.ndarray], rows: pd.DataFrame, parameters: Parameters, digits: Digits, layer: int
) -> LayerView:
    by_measure = {row["measure"]: row for _, row in rows.iterrows()}
    labels = {name: np.asarray(by_measure[name]["labels"], dtype=int) for name in MEASURES}
    measures, places = {}, dict[tuple[int, ...], int]()
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


def _score(matrix: np.ndarray, labels: np.ndarray) -> float | None:
    """Q, or None where no unit is live or none has a module."""
    if (labels < 0).all():
        return None
    with suppress(AllUnitsDead):
        return modularity_score(matrix, labels)
    return None


def _averaging(modules: np.ndarray) -> np.ndarray:
    """Matrix (modules, units) that takes the mean over the units of each module."""
    return modules / np.maximum(modules.sum(axis=1, keepdims=True), 1)


def _means_by_class(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean over the digits of each class, shape (10, modules)."""
    is_class = (np.arange(10)[:, np.newaxis] == labels).astype(np.float64)
    return is_class @ values / np.maximum(is_class.sum(axis=1, keepdims=True), 1)


def _digits_of(layer: LayerView) -> np.ndarray:
    return np.concatenate([module.digits for module in layer.modules]) if layer.modules else np.zeros(0, int)


def _eight_bits(matrix: np.ndarray) -> np.ndarray:
    largest = matrix.max()
    return np.round(LEVELS * (matrix / largest if largest > 0 else matrix)).astype(np.uint8)


def _text_of(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype=np.uint8).tobytes()).decode("ascii")


def _colours(name: str) -> np.ndarray:
    """The 256 colours of a map, red, green, blue."""
    return np.asarray(np.round(255 * matplotlib.colormaps[name](np.arange(256))[:, :3]), dtype=np.uint8)


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 6)


def _is_in_sweep(setting: Mapping[str, float], regulariser: str) -> bool:
    """Whether a setting belongs to the sweep of a regulariser: the others are at the baseline."""
    baseline = {"l2": BASELINE_L2, "l1": 0.0, "dropout": 0.0}
    return all(setting[name] == value for name, value in baseline.items() if name != regulariser)


def _sweeps(networks: Sequence[NetworkView]) -> list[dict[str, Any]]:
    """Per regulariser its strengths, and which network each is."""
    sweeps = []
    for regulariser in REGULARISERS:
        members = [index for index, network in enumerate(networks) if _is_in_sweep(network.setting, regulariser)]
        members.sort(key=lambda index: networks[index].setting[regulariser])
        strengths = [
            {"label": f"{networks[index].setting[regulariser]:g}".replace("e-0", "e-"), "network": index}
            for index in members
        ]
        sweeps.append({"name": regulariser, "label": LOOKS[regulariser].label, "strengths": strengths})
    return sweeps


def _places_of(
    sweeps: Sequence[Mapping[str, Any]], networks: Sequence[NetworkView], chosen: Mapping[str, Any]
) -> dict[str, int]:
    """Indices of the choice that is shown first."""
    options = {
        "regulariser": [sweep["name"] for sweep in sweeps],
        "layer": [index + 1 for index in range(len(networks[0].layers))],
        "measure": list(MEASURES),
        "sorted_by": list(MEASURES),
    }
    places = {name: _place(name, chosen[name], known) for name, known in options.items()}
    strengths = [
        networks[strength["network"]].setting[chosen["regulariser"]]
        for strength in sweeps[places["regulariser"]]["strengths"]
    ]
    return places | {"strength": _place("strength", chosen["strength"], strengths)}


def _place(name: str, value: object, known: Sequence[object]) -> int:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}.")
    return known.index(value)

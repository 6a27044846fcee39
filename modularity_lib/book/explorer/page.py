"""The page of the explorer, where readers browse every network of one run, without a server.

All that the page may show is written into it: similarity matrices (8 bits a value), modules, the Q of every matrix
under the modules of every measure, and two pictures of each module. So are markup, style and script, which lie beside
this file: Jupyter Book adds a script that lies anywhere below `_static/` to every page.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from modularity_lib.book.explorer.views import N_DIGITS, Digits, LayerView, NetworkView
from modularity_lib.figures import LOOKS, modules_looked_at
from modularity_lib.images.dataset import train_validation_split
from modularity_lib.images.sources import DATASETS
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import EXAMPLES, Study
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import BASELINE, FAMILY, MEASURE_LABELS, MEASURES, REGULARISERS

LEVELS = 255  # steps of a stored similarity, from 0 to the largest off the diagonal

_MATRIX_COLOURS, _WEIGHT_COLOURS = "magma", "RdBu_r"  # both remain readable without seeing red or green


def page_data(
    networks: Sequence[NetworkView], study: Study, digits: Digits, chosen: Mapping[str, Any]
) -> dict[str, Any]:
    """All that the script draws, ready for JSON. Arrays are unsigned bytes in base64, one matrix after the other.

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
    parts = {
        name: Path(__file__).with_name(f"explorer.{name}").read_text(encoding="utf-8") for name in ("html", "css", "js")
    }
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
    """Arguments of `figures.modules_looked_at` for a choice."""
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


def still(networks: Sequence[NetworkView], digits: Digits, chosen: Mapping[str, Any]) -> Figure:
    """The still picture of a choice."""
    return modules_looked_at(**still_picture(networks, digits, chosen))


def pairs_table(networks: Sequence[NetworkView], chosen: Mapping[str, Any]) -> pd.DataFrame:
    """The matrix of a choice as a table: a row per pair of units, with their modules by either measure."""
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
    """Name of what `pixel_weights` returns for a layer, counted from 1."""
    return "mean input weights" if layer == 1 else "mean input gradient"


def texts(
    results: Results,
    run: int,
    networks: Sequence[NetworkView],
    digits: Digits,
    chosen: Mapping[str, Any],
    *,
    asked: str,
) -> dict[str, str]:
    """Numbers in the prose of the page, as texts by name.

    Args:
        results, run, networks, digits, chosen: what the page shows.
        asked: the study that was asked for, which may not be at hand.
    """
    study, look = results.study, LOOKS[chosen["regulariser"]]
    source = DATASETS[study.dataset]
    n_trained_on = len(train_validation_split(source.n_train_images, seed=run)[0])
    shipped = Archive(study).shipped
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


def _digits_of(layer: LayerView) -> np.ndarray:
    return np.concatenate([module.digits for module in layer.modules]) if layer.modules else np.zeros(0, int)


def _eight_bits(matrix: np.ndarray) -> np.ndarray:
    largest = matrix.max()
    return np.round(LEVELS * (matrix / largest if largest > 0 else matrix)).astype(np.uint8)


def _text_of(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype=np.uint8).tobytes()).decode("ascii")


def _colours(name: str) -> np.ndarray:
    """RGB values of the 256 colours of a colour map."""
    return np.asarray(np.round(255 * matplotlib.colormaps[name](np.arange(256))[:, :3]), dtype=np.uint8)


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 6)


def _is_in_sweep(setting: Mapping[str, float], regulariser: str) -> bool:
    """Whether the other regularisers are at the baseline, so that a setting belongs to this one's sweep."""
    return all(setting[name] == value for name, value in BASELINE._asdict().items() if name != regulariser)


def _sweeps(networks: Sequence[NetworkView]) -> list[dict[str, Any]]:
    """The strengths of each regulariser, and the network of each."""
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

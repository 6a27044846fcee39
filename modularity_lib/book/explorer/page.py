"""The page of the explorer, where readers browse every network of one run, without a server.

All that the page may show is written into it: similarity matrices (8 bits a value), modules, the Q of every matrix
under the modules of every measure, what lesions cost, and two pictures of each module.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modularity_lib.book.explorer.packing import (
    LEVELS,
    SIMILARITY_COLOURS,
    SQUARE_ROOT,
    WEIGHT_COLOURS,
    colours,
    embedded,
    levels_of,
    text_of,
)
from modularity_lib.book.explorer.views import Digits, LayerView, ModuleView, NetworkView
from modularity_lib.figures import LOOKS
from modularity_lib.studies.catalogue import Study
from modularity_lib.vocabulary import BASELINE, FAMILY, MEASURE_LABELS, MEASURES, REGULARISERS, strength_text


def page_data(
    networks: Sequence[NetworkView], study: Study, digits: Digits, chosen: Mapping[str, Any]
) -> dict[str, Any]:
    """All that the script draws, ready for JSON. Arrays are unsigned bytes in base64, one matrix after the other.

    `matrices` holds for each network, layer and measure the bytes of `packing.levels_of`, of the largest similarity off
    the diagonal; `pictures` per module 784 bytes, 128 + 127 w / largest |w|; `digits` the grey values of those digits
    that some module shows; `lost` of a module the accuracy lost without it and without as many random units, or None.

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
            matrices += [levels_of(view.matrix, largest=view.matrix.max()) for view in layer.measures.values()]
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
                        "lost": _lost(module),
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
        "measures": [{"name": name, "label": MEASURE_LABELS[name], "family": FAMILY[name]} for name in MEASURES],
        "sweeps": sweeps,
        "networks": entries,
        "matrices": text_of(np.concatenate(matrices)),
        "pictures": text_of(np.concatenate(pictures) if pictures else np.zeros(0, np.uint8)),
        "digits": text_of(np.round(255 * digits.images[shown]).astype(np.uint8)),
        "digitLabels": [int(label) for label in digits.labels[shown]],
        "levels": LEVELS,
        "matrixColours": text_of(colours(SIMILARITY_COLOURS, power=SQUARE_ROOT)),
        "weightColours": text_of(colours(WEIGHT_COLOURS)),
        "chosen": _places_of(sweeps, networks, chosen),
    }


def page_of(data: Mapping[str, Any]) -> str:
    """HTML of the explorer: markup, style, script and data. Nothing is fetched."""
    return embedded("explorer", data, scripts=("matrix", "address", "facts", "modules"))


def is_in_sweep(setting: Mapping[str, float], regulariser: str) -> bool:
    """Whether the other regularisers are at the baseline, so that a setting belongs to this one's sweep."""
    return all(setting[name] == value for name, value in BASELINE._asdict().items() if name != regulariser)


def _digits_of(layer: LayerView) -> np.ndarray:
    return np.concatenate([module.digits for module in layer.modules]) if layer.modules else np.zeros(0, int)


def _lost(module: ModuleView) -> list[float | None] | None:
    lesion = module.lesion
    return None if lesion is None else [_rounded(lesion.accuracy), _rounded(lesion.random)]


def _short(value: float) -> float:
    return float(f"{value:.3g}")


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 6)


def _sweeps(networks: Sequence[NetworkView]) -> list[dict[str, Any]]:
    """The strengths of each regulariser, and the network of each."""
    sweeps = []
    for regulariser in REGULARISERS:
        members = [index for index, network in enumerate(networks) if is_in_sweep(network.setting, regulariser)]
        members.sort(key=lambda index: networks[index].setting[regulariser])
        strengths = [
            {"label": strength_text(networks[index].setting[regulariser]), "network": index} for index in members
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

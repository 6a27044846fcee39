"""One choice of the explorer as a still picture, for those without JavaScript, and the prose around it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from modularity_lib.book.explorer.packing import LEVELS
from modularity_lib.book.explorer.page import is_in_sweep
from modularity_lib.book.explorer.views import N_DIGITS, Digits, LayerView, NetworkView
from modularity_lib.book.words.prose import capitalised
from modularity_lib.figures import LOOKS, modules_looked_at
from modularity_lib.images.dataset import train_validation_split
from modularity_lib.images.sources import DATASETS
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import EXAMPLES
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import MEASURE_LABELS, strength_text


def chosen_layer(networks: Sequence[NetworkView], chosen: Mapping[str, Any]) -> LayerView:
    """The layer of a choice as `page_data` takes it."""
    network = next(
        network
        for network in networks
        if is_in_sweep(network.setting, chosen["regulariser"])
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
            f"{source.n_train_images:,} training images of {study.dataset.replace('mnist', 'MNIST')}"
        ),
        "weights_are": (
            f"The weights that come with the project are rounded to half precision, but for {len(EXAMPLES)} networks "
            "of the paper's figures. That is enough for digits and pictures of weights; matrices, modules and Q are "
            "those of the exact weights."
            if shipped is not None and shipped.arrays
            else ""
        ),
        "chosen_matrix": (
            f"{capitalised(MEASURE_LABELS[chosen['measure']])} of the units of layer {chosen['layer']}, "
            f"{look.label} {strength_text(chosen['strength'])}"
        ),
        "chosen_order": MEASURE_LABELS[chosen["sorted_by"]],
        "chosen_weights": weights_label(chosen["layer"]),
    }

"""The explorer of the front page: one layer seen from upstream and from downstream, against dropout."""

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from modularity_lib.book.explorer.packing import (
    LEVELS,
    SIMILARITY_COLOURS,
    SQUARE_ROOT,
    colours,
    embedded,
    levels_of,
    text_of,
)
from modularity_lib.book.explorer.views import NothingToExplore
from modularity_lib.clustering.modularity import modularity_score
from modularity_lib.figures import both_sides_looked_at
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.results import Results, rows_at
from modularity_lib.vocabulary import BASELINE, FAMILY, MEASURE_LABELS, Measure, strength_text

# One of each family, with no similarity above 1.
SIDES: tuple[Measure, Measure] = ("input_covariance_norm", "output_gradient_norm")
LAYER, RUN = 1, 0

_ASKED = ("What units receive", "What units do")  # of each side, in words
_ALT = (
    "Four square pictures of similarity: two measures of one layer, each sorted by its own modules and by those of the "
    "other. Bright blocks along the diagonal are modules; white lines separate them."
)


@dataclass(frozen=True, eq=False)
class BothSides:
    """One layer of one network by the two measures of `SIDES`; lists are in their order."""

    dropout: float
    matrices: list[np.ndarray]  # (units, units), similarity in [0, 1]
    labels: list[np.ndarray]  # (units,), -1 = dead
    scores: list[float]  # Q of each matrix under its own modules, of the study's table
    scores_other: list[float]  # Q of each matrix under the modules of the other
    transfer: float  # share of Q that both keep under each other's modules, of the study's table


def both_sides(results: Results) -> list[BothSides]:
    """The analysed networks of the sweep of dropout, weakest first, whose matrices come with the project.

    Raises:
        NothingToExplore: there is none; the message is a sentence for the page.
    """
    archive, found = Archive(results.study), []
    for dropout in results.study.strengths("dropout"):
        chosen = {**BASELINE._asdict(), "dropout": dropout, "run": RUN, "trained": True, "analysed": True}
        rows = rows_at(results.modules, **chosen, layer=LAYER, status="ok")
        by_measure = {row["measure"]: row for _, row in rows.iterrows()}
        key = archive.keys(archive.config(run=RUN, dropout=dropout)).of["modules"]
        shipped = archive.shipped.matrices(key) if archive.shipped else None
        if shipped is None or not by_measure.keys() >= {*SIDES}:
            continue
        matrices = [shipped[f"hidden{LAYER}"][measure].copy() for measure in SIDES]
        for matrix in matrices:
            np.fill_diagonal(matrix, 0.0)
        labels = [np.asarray(by_measure[measure]["labels"], dtype=int) for measure in SIDES]
        found.append(
            BothSides(
                dropout,
                matrices,
                labels,
                [float(by_measure[measure]["score"]) for measure in SIDES],
                [modularity_score(matrix, other) for matrix, other in zip(matrices, labels[::-1], strict=True)],
                _transfer(rows_at(results.agreement, **chosen, layer=LAYER)),
            )
        )
    if not found:
        raise NothingToExplore(
            f"Matrices of the study {results.study.name} do not come with the project, so there is no picture of one "
            "network here."
        )
    return found


def front_data(networks: Sequence[BothSides]) -> dict[str, Any]:
    """All that the script draws, ready for JSON; the last network, that of the strongest dropout, is shown first.

    `matrices` holds for each network the bytes of `packing.levels_of` of either side, of the largest value that a
    normalised similarity may have, 1: so the same colour means the same at every dropout.
    """
    packed = [levels_of(matrix, largest=1.0) for one in networks for matrix in one.matrices]
    return {
        "sides": [
            {"label": MEASURE_LABELS[measure], "family": FAMILY[measure], "name": measure, "asked": asked}
            for measure, asked in zip(SIDES, _ASKED, strict=True)
        ],
        "layer": LAYER,
        "networks": [
            {
                "dropout": strength_text(one.dropout),
                "labels": [labels.tolist() for labels in one.labels],
                "scores": [round(score, 6) for score in one.scores],
                "scoresOther": [round(score, 6) for score in one.scores_other],
                "transfer": round(one.transfer, 6),
            }
            for one in networks
        ],
        "matrices": text_of(np.concatenate(packed)),
        "levels": LEVELS,
        "colours": text_of(colours(SIMILARITY_COLOURS, power=SQUARE_ROOT)),
    }


def front_page(results: Results) -> str:
    """HTML of the explorer, with a still picture for those without JavaScript; a sentence where there are no matrices.

    Args:
        results: the study's tables, which give modules, Q and transfer.
    """
    try:
        networks = both_sides(results)
    except NothingToExplore as nothing:
        return f"<p>{html.escape(str(nothing))}</p>\n"
    return f"{_still(networks[-1])}{embedded('front', front_data(networks), scripts=('matrix',))}"


def kept_text(one: BothSides) -> str:
    """What the two sides keep of Q under each other's modules, as the script says it."""
    return f"{one.transfer:.0%}".replace("-", "−").replace("%", " %")


def _still(one: BothSides) -> str:
    """A picture with its caption, which only those see who have no JavaScript."""
    figure = both_sides_looked_at(one.matrices, one.labels, list(zip(one.scores, one.scores_other, strict=True)), SIDES)
    for image in (image for axes in figure.axes for image in axes.images):
        image.set_interpolation("none")  # the file holds a pixel for each similarity
    file = io.StringIO()
    with plt.rc_context({"svg.hashsalt": "front"}):  # the same file for the same matrices
        figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)
    picture = base64.b64encode(file.getvalue().encode()).decode("ascii")
    names = " and ".join(f"{MEASURE_LABELS[measure]} ({FAMILY[measure]})" for measure in SIDES)
    caption = (
        f"Under each other's modules the two sides keep {kept_text(one)} of their modularity Q at dropout "
        f"{strength_text(one.dropout)}. Similarity of the {len(one.labels[0])} units of hidden layer {LAYER} of one "
        f"network by {names}; above sorted by its own modules, below by those of the other. With JavaScript the "
        "picture follows a slider."
    )
    return (
        f'<noscript><figure class="front-still"><img alt="{html.escape(_ALT)}" '
        f'src="data:image/svg+xml;base64,{picture}"><figcaption>{html.escape(caption)}</figcaption></figure></noscript>\n'
    )


def _transfer(agreement: pd.DataFrame) -> float:
    """Transfer between the two measures, from the rows of one layer of one network: one a pair, in either order."""
    rows = agreement[[{*pair} == {*SIDES} for pair in zip(agreement["measure_a"], agreement["measure_b"], strict=True)]]
    return float(rows["transfer"].iloc[0])

"""Q of layers whose units are rotated before the ReLU: a null with the same inputs and spectrum, and no chosen axes."""

import numpy as np
import pandas as pd

from modularity_lib.analysis.draws import random_rotation
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings.inference import Effect, effect_over_runs
from modularity_lib.findings.rises import CLEAR, since_left_end
from modularity_lib.findings.tables import AnalysedNetwork, Finding, Rows, is_of_dropout
from modularity_lib.similarity.perceptron_measures import measure_of, perceptron_averages
from modularity_lib.studies.results import Results, sweep
from modularity_lib.training.networks import Parameters
from modularity_lib.vocabulary import FAMILY, MEASURE_LABELS, NORMALISED, quantity_of

MEASURES = tuple(measure for measure in NORMALISED if FAMILY[measure] == "upstream")  # others see what comes after
DRAWS = 3  # rotations of each layer, each searched like the layer itself

SHOWN = (0.3, 0.5)  # strengths of dropout in tables, beside none and the strongest

# Shares of the rise in a pilot on runs 0 to 2, by measure, layer and dropout, None for all together; known before.
PILOTS: dict[tuple[str | None, int | None, float], float] = {
    (None, None, 0.3): 0.42,
    (None, None, 0.5): 0.44,
    (None, None, 0.7): 0.46,
    ("input_covariance_norm", 1, 0.7): 0.64,
    ("input_covariance_norm", 2, 0.7): 0.37,
    ("input_gradient_norm", 1, 0.7): 0.33,
    ("input_gradient_norm", 2, 0.7): 0.74,
}


def rows_of(network: AnalysedNetwork) -> Rows:
    """Q of every hidden layer by the normalised upstream measures: as found, and after rotations of its units.

    A layer computes ReLU(Wx + b). With R a random rotation of its live units, ReLU(RWx + Rb) sees the same inputs
    through the same singular values, and what is before the ReLU has the same second moments in all. What goes is the
    choice of axes: which directions the units stand for. Q that remains comes from few dimensions and rectified units.
    With `matched_thresholds` units fire as often as the layer's own, besides.

    Returns:
        a row per layer and measure: `layer`, `measure`; `live_units`, whose activity is not constant over the test
        images: they are rotated; Q, found by one search: `score` of the layer; `score_rotated` and `score_matched` of
        rotated units, without and with matched thresholds, means over `DRAWS` rotations.
    """
    images, run = network.dataset.test_images, network.config.run
    rows = []
    for layer in range(1, len(network.parameters.weights)):
        below, weight, bias = _up_to(network.parameters, layer)
        before = _activity(below, images) @ weight.T + bias
        live = np.ptp(np.maximum(before, 0.0), axis=0) > 0
        before, weight, bias = before[:, live], weight[live], bias[live]

        def scores(weight: np.ndarray, bias: np.ndarray, draw: int, below: Parameters = below) -> np.ndarray:
            found = _similarities(below, weight, bias, images)
            steps = network.study.search_steps
            return np.array([paper_modules(matrix, seed=run + draw, steps=steps).score for matrix in found])

        rotated, matched = np.zeros((2, DRAWS, len(MEASURES)))
        for draw in range(DRAWS):
            turn = random_rotation(len(weight), np.random.default_rng([run, layer, draw]))
            rotated[draw] = scores(turn @ weight, turn @ bias, draw)
            matched[draw] = scores(turn @ weight, -matched_thresholds(before, (before - bias) @ turn.T), draw)
        nulls = zip(scores(weight, bias, 0), rotated.mean(axis=0), matched.mean(axis=0), strict=True)
        for measure, (score, after_rotation, at_same_rates) in zip(MEASURES, nulls, strict=True):
            rows.append(
                {
                    "layer": layer,
                    "measure": measure,
                    "live_units": len(weight),
                    "score": float(score),
                    "score_rotated": float(after_rotation),
                    "score_matched": float(at_same_rates),
                }
            )
    return rows


FINDING = Finding("rotated", rows_of, is_wanted=is_of_dropout)


def matched_thresholds(before: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Thresholds above which other units come as often as units come above 0, each as its fellow.

    Args:
        before: of the units, before their ReLU, shape (samples, units).
        other: the same of the others.
    Returns:
        shape (units,): between the two values of `other` that come next to it. Where values are equal, as for an input
        that is always 0, a threshold may lie at that value, and they do not count as above.

    >>> matched_thresholds(np.array([[1.0], [-1.0], [-2.0]]), np.array([[5.0], [9.0], [7.0]]))
    array([8.])
    """
    counts = (before > 0).sum(axis=0)
    falling = -np.sort(-other, axis=0)
    # A unit that is always active has its threshold below all values; one that never is, above them.
    padded = np.vstack([falling[:1] + 1.0, falling, falling[-1:] - 1.0])
    units = np.arange(other.shape[1])
    return (padded[counts, units] + padded[counts + 1, units]) / 2


def _up_to(parameters: Parameters, layer: int) -> tuple[Parameters, np.ndarray, np.ndarray]:
    """The layers below a hidden layer, and its own weights and biases, in float64."""
    weights = [weight.astype(np.float64) for weight in parameters.weights[:layer]]
    biases = [bias.astype(np.float64) for bias in parameters.biases[:layer]]
    return Parameters(tuple(weights[:-1]), tuple(biases[:-1])), weights[-1], biases[-1]


def _activity(below: Parameters, images: np.ndarray) -> np.ndarray:
    """Activity of the last of these layers, all of which have a ReLU; the images themselves if there is none."""
    activity = np.asarray(images, dtype=np.float64)
    for weight, bias in zip(below.weights, below.biases, strict=True):
        activity = np.maximum(activity @ weight.T + bias, 0.0)
    return activity


def _similarities(below: Parameters, weight: np.ndarray, bias: np.ndarray, images: np.ndarray) -> list[np.ndarray]:
    """The `MEASURES` of a hidden layer with these weights and biases above those below; what follows does not count."""
    nothing = np.zeros((1, len(weight)))
    network = Parameters((*below.weights, weight, nothing), (*below.biases, bias, np.zeros(1)))
    quantities = {quantity_of(measure) for measure in MEASURES}
    averages = perceptron_averages(network, images, {"layer": len(below.weights)}, quantities, None)["layer"]
    return [measure_of(averages, measure, "layer") for measure in MEASURES]


def rises(table: pd.DataFrame, results: Results) -> pd.DataFrame:
    """Rises of Q along the sweep of dropout, and what rotated units show of them.

    Returns:
        a row per run, strength, layer and measure, without the left end: what the table has, and since the left end
        `rise` of Q and `rise_rotated`, the null's: the larger of its two rises, without and with matched thresholds;
        `excess`, Q above the larger of the two.
    """
    rows, first = since_left_end(sweep(table, results.study, "dropout"), "dropout")
    both = ["score_rotated", "score_matched"]
    return rows.assign(
        rise=rows["score"] - first["score"],
        rise_rotated=(rows[both] - first[both]).max(axis=1),
        excess=rows["score"] - rows[both].max(axis=1),
    )


def share_of_rise(rows: pd.DataFrame) -> Effect | None:
    """Share of the rises of Q that rotated units show too: sum of theirs over sum of the rises, run by run.

    Args:
        rows: of `rises`, of one strength, say.
    Returns:
        over runs; None if there are none, or the rises of a run are below `CLEAR` on average: their share is noise.
    """
    by_run = rows.groupby("run")[["rise", "rise_rotated"]].mean()
    if by_run.empty or (by_run["rise"] < CLEAR).any():
        return None
    return effect_over_runs((by_run["rise_rotated"] / by_run["rise"]).to_numpy())


def excess_over_runs(rows: pd.DataFrame) -> Effect | None:
    """Q above rotated units, mean over the rows of each run; None without rows."""
    by_run = rows.groupby("run")["excess"].mean()
    return None if by_run.empty else effect_over_runs(by_run.to_numpy())


def pilots_beside(found: pd.DataFrame) -> pd.DataFrame:
    """The shares of `PILOTS` beside those of all runs.

    Args:
        found: of `rises`.
    Returns:
        a row per pilot: `what`, `strength`, `pilot`; `mean`, `low`, `high` of `share_of_rise`; `holds`, whether the
        pilot lies in that interval. Without rows that are not at hand.
    """
    rows = []
    for (measure, layer, strength), pilot in PILOTS.items():
        here = found[np.isclose(found["strength"], strength)]
        if measure is not None:
            here = here[(here["measure"] == measure) & (here["layer"] == layer)]
        share = share_of_rise(here)
        if share is None:
            continue
        what = "all" if measure is None else f"{MEASURE_LABELS[measure]}, layer {layer}"
        holds = share.low is not None and share.high is not None and share.low <= pilot <= share.high
        about = {"what": what, "strength": strength, "pilot": pilot, "mean": share.mean}
        rows.append({**about, "low": share.low, "high": share.high, "holds": holds})
    return pd.DataFrame(rows, columns=["what", "strength", "pilot", "mean", "low", "high", "holds"])

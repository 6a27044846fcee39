"""Upstream and downstream: two views of one thing? Both sides of every layer on its live units, with their signs.

`rows_of` measures one network, `effects_table` what its runs have in common, and `answers_table` what follows by rules
that were fixed before the nine runs of v1 were looked at. `two_sides_made_up` tries them where the truth is known.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from modularity_lib.alignment.scores import (
    element_centric_similarity,
    expected_element_centric_similarity,
    similarity_spearman,
)
from modularity_lib.clustering.clusterings import Clustering
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings.claims import LITTLE
from modularity_lib.findings.inference import effect_over_runs
from modularity_lib.findings.tables import AnalysedNetwork, Finding, Rows, table_at_hand
from modularity_lib.similarity.covariance import similarity_of_average
from modularity_lib.similarity.perceptron_measures import perceptron_averages
from modularity_lib.studies.catalogue import setting_of
from modularity_lib.studies.results import Results, agreement_by_kind, rows_at
from modularity_lib.training.networks import Parameters, initial_parameters
from modularity_lib.vocabulary import BASELINE, REGULARISERS, Regulariser

NEGLIGIBLE = 1e-6  # length of the outgoing weights up to which a unit does nothing
FEWEST_UNITS = 8  # live ones: fewer have under 28 pairs to rank
SIDES = ("input_gradient", "output_gradient")
SECOND_SEED = 1_000  # added to the seed of the search for a ceiling

# The rules: of an answer's interval over runs, or of its smallest and largest run where they are too few for one.
SAME = (
    0.8  # signed rank correlation from which the two sides are one thing: they share two thirds of the ranks' variance
)
SHARED = 0.2  # up to which they have next to nothing in common
HIDDEN = 0.1  # fall of the rank correlation from which absolute values hide what the sides share
ONE, RELATED, APART, OPPOSED, UNDECIDED = "one thing", "related", "apart", "opposed", "undecided"
MORE_THAN_LITTLE, ONLY_LITTLE = "more than little", "little"

MEASURED = (
    *("gram_correlation", "rsa_signed", "rsa_absolute", "corrected_absolute", "corrected_positive"),
    *("ceiling_absolute", "ceiling_positive", "norm_gap", "gram_gap"),
)
DIFFERENCES = {
    "sign_loss": ("rsa_signed", "rsa_absolute"),
    "gain_of_sign": ("corrected_positive", "corrected_absolute"),
}
SETTING = [*REGULARISERS, "trained", "layer"]
_BOUNDS = ["quantity", "low", "high"]


def rows_of(network: AnalysedNetwork) -> Rows:
    """A row per hidden layer, `trained`; at the baseline also of the network as it was before training.

    Returns:
        `trained`, `layer`, and the numbers of `two_sides`.
    """
    seed, steps, images = network.config.run, network.study.search_steps, network.dataset.test_images
    states = {True: network.parameters}
    if setting_of(network.config) == BASELINE:  # all networks of a run start alike
        states[False] = initial_parameters(network.parameters.sizes, seed=seed)
    return [
        {"trained": trained, **row}
        for trained, parameters in states.items()
        for row in rows_of_layers(parameters, images, seed=seed, steps=steps)
    ]


FINDING = Finding("two_sides", rows_of)


def rows_of_layers(parameters: Parameters, images: np.ndarray, *, seed: int, steps: int) -> Rows:
    """`two_sides` of every hidden layer of a perceptron, `layer` counted from 1; averages are over these images."""
    exact = Parameters(
        tuple(weight.astype(np.float64) for weight in parameters.weights),
        tuple(bias.astype(np.float64) for bias in parameters.biases),
    )
    index_of = {f"hidden{index + 1}": index for index in range(len(exact.weights) - 1)}
    averages = perceptron_averages(exact, images, index_of, SIDES, None)
    return [
        {
            "layer": index + 1,
            **two_sides(averages[name], exact.weights[index], exact.weights[index + 1], seed=seed, steps=steps),
        }
        for name, index in index_of.items()
    ]


def live_units(averages: Mapping[str, np.ndarray], outgoing: np.ndarray) -> np.ndarray:
    """Which units answer to some image and have an effect: boolean, shape (units,).

    live_i = S_ii > 0 of the input gradient, and of the output gradient, and |w_out,i| > `NEGLIGIBLE`

    Args:
        averages: signed S of the two `SIDES`, shape (units, units) each.
        outgoing: weights of the layer after, shape (units after, units).

    >>> alike = np.ones((2, 2))
    >>> live_units({"input_gradient": alike, "output_gradient": alike}, np.array([[1.0, 1e-13]])).tolist()
    [True, False]
    """
    has_derivatives = np.all([np.diag(averages[side]) > 0 for side in SIDES], axis=0)
    return np.asarray(has_derivatives & (np.linalg.norm(outgoing, axis=0) > NEGLIGIBLE))


def two_sides(
    averages: Mapping[str, np.ndarray], incoming: np.ndarray, outgoing: np.ndarray, *, seed: int, steps: int
) -> dict[str, Any]:
    """How far what the live units of a layer receive and what they do are one thing.

    Args:
        averages: signed S of the two `SIDES`, shape (units, units) each.
        incoming: weights into the layer, W_in, shape (units, units before).
        outgoing: weights out of it, W_out, shape (units after, units).
        seed, steps: of the searches, as of the study.
    Returns:
        live_units, how many; None in all others where they are fewer than `FEWEST_UNITS`. Over pairs of live units
        gram_correlation: correlation of the cosines of incoming with those of outgoing weights, in [-1, 1];
        rsa_signed, rsa_absolute: rank correlation of the normalised input gradient S with the normalised output
        gradient, and of |S|, in [-1, 1];
        corrected_absolute, corrected_positive: element-centric similarity of the modules of both |S|, and of both
        max(S, 0), 0 = chance and 1 = identical;
        ceiling_absolute, ceiling_positive: the same of one matrix and two searches, mean of the two sides;
        norm_gap = Σ_i | |w_in,i|² - |w_out,i|² | / Σ_i (|w_in,i|² + |w_out,i|²), in [0, 1], 0 = balanced;
        gram_gap = ‖W_in W_inᵀ - W_outᵀ W_out‖ / (‖W_in W_inᵀ‖ + ‖W_outᵀ W_out‖), Frobenius, in [0, 1], 0 = balanced.
    """
    live = live_units(averages, outgoing)
    if live.sum() < FEWEST_UNITS:
        return {"live_units": int(live.sum()), **dict.fromkeys(MEASURED)}
    block = np.ix_(live, live)
    first, second = (similarity_of_average(averages[side][block], normalised=True, signed=True) for side in SIDES)
    found = {}
    for name, seen in (("absolute", np.abs), ("positive", _positive)):
        pairs = [
            [paper_modules(seen(matrix), seed=seed + added, steps=steps) for added in (0, SECOND_SEED)]
            for matrix in (first, second)
        ]
        found[f"corrected_{name}"] = corrected(pairs[0][0], pairs[1][0])
        ceilings = [corrected(*pair) for pair in pairs]
        found[f"ceiling_{name}"] = None if None in ceilings else float(np.mean(ceilings))  # type: ignore[arg-type]
    grams = incoming[live] @ incoming[live].T, outgoing[:, live].T @ outgoing[:, live]
    row = {
        "gram_correlation": _correlation(*(cosines(gram) for gram in grams)),
        "rsa_signed": similarity_spearman(first, second),
        "rsa_absolute": similarity_spearman(np.abs(first), np.abs(second)),
        **found,
        "norm_gap": float(np.abs(np.diag(grams[0] - grams[1])).sum() / np.trace(grams[0] + grams[1])),
        "gram_gap": float(np.linalg.norm(grams[0] - grams[1]) / sum(map(np.linalg.norm, grams))),
    }
    return {"live_units": int(live.sum()), **{name: row[name] for name in MEASURED}}


def corrected(a: Clustering, b: Clustering) -> float | None:
    """(E - chance) / (1 - chance) of two clusterings; 0 where chance is 1, None where one has no modules."""
    if a.status != "ok" or b.status != "ok":
        return None
    chance = expected_element_centric_similarity(a.labels, b.labels)
    return (element_centric_similarity(a.labels, b.labels) - chance) / (1 - chance) if chance < 1 else 0.0


def cosines(gram: np.ndarray) -> np.ndarray:
    """Cosines of vectors from their products ⟨v_i, v_j⟩, of which the diagonal is above 0.

    >>> cosines(np.array([[4.0, 3.0], [3.0, 9.0]])).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    lengths = np.sqrt(np.diag(gram))
    return np.asarray(gram / lengths / lengths[:, None])


def _positive(similarity: np.ndarray) -> np.ndarray:
    return np.maximum(similarity, 0.0)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    above = np.triu_indices(len(a), k=1)
    return float(np.corrcoef(a[above], b[above])[0, 1])


def effects_at_hand(results: Results) -> pd.DataFrame:
    """`effects_table` of the runs that are shipped, or else of run 0, measured now; raises as `table_at_hand`."""
    return effects_table(table_at_hand(FINDING, results))


def effects_table(table: pd.DataFrame) -> pd.DataFrame:
    """What the runs of a setting have in common, from the table of `FINDING`.

    Returns:
        a row per setting, layer and `quantity`, those of `MEASURED` and `DIFFERENCES`: `l2`, `l1`, `dropout`,
        `trained`, `layer`, `live_units` (mean), `quantity`, `mean`, `low`, `high` (95 % interval over runs; the
        smallest and the largest run where they are too few), `n_runs` that have enough live units.
    """
    with_differences = table.assign(**{name: table[a] - table[b] for name, (a, b) in DIFFERENCES.items()})
    rows = []
    for place, runs in with_differences.groupby(SETTING, sort=False):
        named = {**dict(zip(SETTING, place, strict=True)), "live_units": runs["live_units"].mean()}
        for quantity in (*MEASURED, *DIFFERENCES):
            values = runs[quantity].dropna().to_numpy(dtype=float)
            if len(values):
                effect = effect_over_runs(values)
                low, high = effect.bounds
                found = {"mean": effect.mean, "low": low, "high": high, "n_runs": effect.n_runs}
                rows.append({**named, "quantity": quantity, **found})
    return pd.DataFrame(rows)


def with_all_units(results: Results) -> pd.DataFrame:
    """What the paper's comparison says of the same two measures: all units, absolute values. Means over runs.

    Returns:
        `l2`, `l1`, `dropout`, `layer`, `rsa_all` (rank correlation of |S|) and `corrected_all` (agreement of modules).
    """
    rows = agreement_by_kind(results)
    names = [f"{side}_norm" for side in SIDES]
    rows = rows[rows["measure_a"].isin(names) & rows["measure_b"].isin(names)]
    columns = {"similarity_spearman": "rsa_all", "corrected": "corrected_all"}
    return rows.rename(columns=columns).groupby([*REGULARISERS, "layer"])[list(columns.values())].mean().reset_index()


def answer(low: float, high: float) -> str:
    """What an interval of `rsa_signed` says: the first rule that holds for all of it.

    `ONE` from `SAME` on; `RELATED` from `SHARED` on; `OPPOSED` down from -`SHARED`; `APART` between -`SHARED` and
    `SHARED`; else `UNDECIDED`.

    >>> [answer(*bounds) for bounds in ((0.85, 0.9), (0.7, 0.9), (-0.1, 0.1), (-0.4, -0.3), (0.1, 0.3))]
    ['one thing', 'related', 'apart', 'opposed', 'undecided']
    """
    rules = {ONE: low >= SAME, RELATED: low >= SHARED, OPPOSED: high <= -SHARED, APART: low > -SHARED and high < SHARED}
    return next((name for name, holds in rules.items() if holds), UNDECIDED)


def agreement_answer(low: float, high: float) -> str:
    """What an interval of corrected agreement says of the paper's "little", by the limit of claim 4."""
    return MORE_THAN_LITTLE if low > LITTLE else ONLY_LITTLE if high <= LITTLE else UNDECIDED


def answers_table(effects: pd.DataFrame) -> pd.DataFrame:
    """The answers for every setting and layer of an `effects_table`.

    Returns:
        `l2`, `l1`, `dropout`, `trained`, `layer`, `live_units`, `n_runs`; `sides`, the `answer`; `sign_hides`, whether
        absolute values lower the rank correlation by `HIDDEN` or more; `modules_absolute` and `modules_positive`, the
        `agreement_answer` for modules of |S| and of max(S, 0); `sign_helps`, whether the latter agree more.
    """
    rows = []
    for place, group in effects.groupby(SETTING, sort=False):
        bounds = {str(name): (float(low), float(high)) for name, low, high in group[_BOUNDS].to_numpy().tolist()}
        agreements = {
            f"modules_{name}": agreement_answer(*bounds[f"corrected_{name}"])
            if f"corrected_{name}" in bounds
            else UNDECIDED
            for name in ("absolute", "positive")
        }
        rows.append(
            {
                **dict(zip(SETTING, place, strict=True)),
                "live_units": group["live_units"].iloc[0],
                "n_runs": int(group["n_runs"].max()),
                "sides": answer(*bounds["rsa_signed"]),
                "sign_hides": bounds["sign_loss"][0] >= HIDDEN,
                **agreements,
                "sign_helps": bounds.get("gain_of_sign", (0.0, 0.0))[0] > 0,
            }
        )
    return pd.DataFrame(rows)


# Means of runs 0 to 2 from weights in half precision, in a review of the results that came before the rules. By
# regulariser, strength and layer, in the order of `PILOT_OF`; None: it was not measured.
PILOT_OF = (
    *("gram_correlation", "rsa_signed", "rsa_absolute"),
    *("corrected_absolute", "ceiling_absolute", "corrected_positive"),
)
PILOT: dict[tuple[Regulariser, float, int], tuple[float | None, ...]] = {
    ("dropout", 0.0, 2): (0.76, 0.71, 0.37, 0.08, 0.62, None),
    ("l2", 1e-4, 2): (0.94, 0.89, 0.71, 0.38, 0.78, None),
    ("l2", 1e-3, 2): (0.99, 0.96, 0.89, 0.39, 0.85, None),
    ("l2", 0.01, 2): (0.98, 0.91, 0.76, 0.39, 1.00, 0.85),
    ("dropout", 0.7, 2): (0.52, 0.53, 0.41, 0.15, 0.99, None),
    ("l1", 1e-4, 2): (0.43, 0.42, 0.09, 0.09, 1.00, None),
    ("dropout", 0.0, 1): (0.27, 0.18, None, None, None, None),
    ("l2", 0.01, 1): (0.82, 0.73, None, None, None, None),
    ("l2", 0.0316228, 1): (0.89, 0.83, None, None, None, None),
    ("dropout", 0.7, 1): (0.77, 0.52, None, None, None, None),
}
PILOT_ROUNDING = 0.005  # they were written with two decimals


def pilot_table(effects: pd.DataFrame) -> pd.DataFrame:
    """The `PILOT` beside an `effects_table`.

    Returns:
        a row per number of the pilot whose setting was measured: `regulariser`, `strength`, `layer`, `quantity`,
        `pilot`, `mean`, `low`, `high`, and `holds`: whether the pilot lies from `low` to `high`, up to its rounding.
    """
    rows = []
    for (regulariser, strength, layer), numbers in PILOT.items():
        chosen = {**BASELINE._asdict(), regulariser: strength, "layer": layer, "trained": True}
        measured = rows_at(effects, **chosen).set_index("quantity")
        for quantity, pilot in zip(PILOT_OF, numbers, strict=True):
            if pilot is not None and quantity in measured.index:
                mean, low, high = measured.loc[quantity, ["mean", "low", "high"]].to_numpy(dtype=float)
                named = {"regulariser": regulariser, "strength": strength, "layer": layer, "quantity": quantity}
                holds = low - PILOT_ROUNDING <= pilot <= high + PILOT_ROUNDING
                rows.append({**named, "pilot": pilot, "mean": mean, "low": low, "high": high, "holds": holds})
    return pd.DataFrame(rows)

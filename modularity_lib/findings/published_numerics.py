"""The networks measured and searched in the arithmetic of the published program, beside double precision.

The published program computed in single precision throughout. Three of its rules decide about weak units: standard
deviations below 1e-12 count as 1e-12 in the normalisation; a unit is dead below a share of 1e-15 of the similarity;
and in the search rounding may decide (`published_search`). Source: paper/method.md, "The published numerics".
"""

from collections.abc import Collection
from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd

from modularity_lib.alignment.scores import element_centric_similarity
from modularity_lib.findings.inference import effect_over_runs
from modularity_lib.findings.ledger import published_beside_ours
from modularity_lib.findings.paper import published
from modularity_lib.findings.published_search import published_modules
from modularity_lib.findings.tables import AnalysedNetwork, Finding, Rows
from modularity_lib.similarity.losses import cross_entropy_root
from modularity_lib.similarity.perceptron_measures import perceptron_averages
from modularity_lib.studies.results import Results, kinds_of_pairs, sweep
from modularity_lib.training.networks import Parameters
from modularity_lib.vocabulary import MEASURES, REGULARISERS, is_normalised, quantity_of

SMALLEST_DEVIATION = 1e-12
MET = 2.0  # combined errors within which a published number counts as met
# What is compared. Accuracies and norms do not depend on the numerics of measures and search.
GROUPS = (
    "Q against regularisation",
    "number of modules",
    "agreement of clusterings, trained",
    "agreement of clusterings by strength",
)
_NETWORK = ["run", *REGULARISERS]
BOTH, DOUBLE, PUBLISHED, NEITHER = "both", "double precision alone", "published numerics alone", "neither"


def rows_of(network: AnalysedNetwork) -> Rows:
    """A row per layer and measure: `layer`, `measure`, `score` (NaN without modules), `n_modules`, `labels`."""
    rows: Rows = []
    for layer, by_measure in enumerate(published_matrices(network.parameters, network.dataset.test_images), start=1):
        for measure, matrix in by_measure.items():
            found = published_modules(matrix, seed=network.config.run, steps=network.study.search_steps)
            seen = {"score": found.score, "n_modules": found.n_modules, "labels": found.labels.tolist()}
            rows.append({"layer": layer, "measure": measure, **seen})
    return rows


def published_matrices(parameters: Parameters, images: np.ndarray) -> list[dict[str, np.ndarray]]:
    """The eight measures of every hidden layer in single precision: {measure: (units, units)} per layer."""
    single = Parameters(
        weights=tuple(weight.astype(np.float32) for weight in parameters.weights),
        biases=tuple(bias.astype(np.float32) for bias in parameters.biases),
    )
    index_of = {f"hidden{index + 1}": index for index in range(len(single.sizes) - 2)}
    quantities = {quantity_of(name) for name in MEASURES}
    averages = perceptron_averages(single, images.astype(np.float32), index_of, quantities, cross_entropy_root)
    return [
        {name: _similarity(averages[layer][quantity_of(name)], normalised=is_normalised(name)) for name in MEASURES}
        for layer in index_of
    ]


def _similarity(average: np.ndarray, *, normalised: bool) -> np.ndarray:
    similarity: np.ndarray = average.astype(np.float32)
    if normalised:
        deviation = np.maximum(np.sqrt(np.abs(similarity.diagonal())), np.float32(SMALLEST_DEVIATION))
        similarity = similarity / deviation / deviation[:, np.newaxis]
    return np.abs(similarity)


FINDING = Finding("published_numerics", rows_of, in_full=True)


def with_published_numerics(results: Results, table: pd.DataFrame) -> Results:
    """The tables of a study with the modules of its trained networks exchanged for those of the published numerics.

    Of the agreement there is `element_centric` alone; only networks in both are kept.

    Args:
        table: of `FINDING`.
    """
    modules = results.modules[results.modules["trained"]]
    found = table.astype({"run": int})[[*_NETWORK, "layer", "measure", "score", "n_modules", "labels"]]
    old = modules.drop(columns=["score", "n_modules", "labels"])
    new = old.merge(found, on=[*_NETWORK, "layer", "measure"]).assign(status="ok")
    new.loc[new["score"].isna(), "status"] = "all_units_dead"
    agreement = results.agreement[results.agreement["trained"]]
    names = [*_NETWORK, "layer", "measure_a", "measure_b"]
    alike = agreement.drop(columns=["element_centric", "status"]).merge(_agreement(new), on=names)
    return replace(
        results,
        modules=pd.concat([new, results.modules[~results.modules["trained"]]], ignore_index=True),
        agreement=pd.concat([alike, results.agreement[~results.agreement["trained"]]], ignore_index=True),
    )


def _agreement(modules: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for names, of_layer in modules[modules["status"] == "ok"].groupby([*_NETWORK, "layer"]):
        labels = {measure: np.asarray(of) for measure, of in zip(of_layer["measure"], of_layer["labels"], strict=True)}
        for a, b in combinations_with_replacement([name for name in MEASURES if name in labels], 2):
            alike = element_centric_similarity(labels[a], labels[b])
            place = dict(zip([*_NETWORK, "layer"], names, strict=True))
            rows.append({**place, "measure_a": a, "measure_b": b, "element_centric": alike, "status": "ok"})
    return pd.DataFrame(rows)


def beside_the_paper(results: Results, table: pd.DataFrame) -> pd.DataFrame:
    """Every published number of `GROUPS` with ours in double precision and by the published numerics, a row each.

    Returns:
        `group`, `figure`, `what`, `sweep` ("all" where a number belongs to none), `paper`, `reading_error`; `here`,
        `difference`, `in_errors` (see `compare_with_paper`), the same with the ending `_published`; `met`: by which of
        the two within `MET` errors.
    """
    same = _of_runs(results, set(table["run"]))
    double = published_beside_ours(same, groups=GROUPS)
    single = published_beside_ours(with_published_numerics(same, table), groups=GROUPS)
    names, ours = ["group", "figure", "what", "paper", "reading_error"], ["here", "difference", "in_errors"]
    both = double[[*names, *ours]].merge(
        single[["group", "what", *ours]], on=["group", "what"], suffixes=("", "_published")
    )
    is_met = [both[f"in_errors{ending}"].abs() <= MET for ending in ("", "_published")]
    met = np.select([is_met[0] & is_met[1], is_met[0], is_met[1]], [BOTH, DOUBLE, PUBLISHED], NEITHER)
    words = both["what"].str.split(", ")
    sweep = [next((name for name in REGULARISERS if name in parts), "all") for parts in words]
    return both.assign(sweep=sweep, met=met)


def _of_runs(results: Results, runs: Collection[int]) -> Results:
    """The tables of a study with these runs of its trained networks alone."""

    def chosen(rows: pd.DataFrame) -> pd.DataFrame:
        return rows[rows["run"].isin(runs) | ~rows["trained"]]

    return replace(
        results,
        networks=chosen(results.networks),
        modules=chosen(results.modules),
        agreement=chosen(results.agreement),
    )


def summary(numbers: pd.DataFrame) -> pd.DataFrame:
    """How far both numerics are from the published numbers, a row per group and sweep.

    Args:
        numbers: of `beside_the_paper`.
    Returns:
        `group`, `figure`, `sweep`, `numbers`; `mean`, `largest` of the absolute differences in double precision, and
        `mean_published`, `largest_published`; how many numbers are met by `both`, `double`, `published`, `neither`.
    """
    rows = []
    for (group, name), of in numbers.groupby(["group", "sweep"], sort=False):
        sizes = {ending: of[f"difference{ending}"].abs() for ending in ("", "_published")}
        row = {"group": group, "figure": of["figure"].iloc[0], "sweep": name, "numbers": len(of)}
        for ending, size in sizes.items():
            row |= {f"mean{ending}": size.mean(), f"largest{ending}": size.max()}
        counts = of["met"].value_counts()
        names = {"both": BOTH, "double": DOUBLE, "published": PUBLISHED, "neither": NEITHER}
        rows.append({**row, **{short: int(counts.get(name, 0)) for short, name in names.items()}})
    return pd.DataFrame(rows)


def agreement_under_l2(results: Results, table: pd.DataFrame) -> pd.DataFrame:
    """Agreement by kind of pair at the strengths of L2 that were published, mean over pairs, layers and runs.

    Returns:
        a row per strength and kind: `strength`, `kind`, `paper`, and as `Effect` over runs `double` and `published`,
        pairs of a measure and its own normalised form left out, as everywhere by kind.
    """
    paper = published("agreement_by_strength").query("regulariser == 'l2'")
    paper = paper.assign(strength=paper["strength"].round(9), kind=kinds_of_pairs(paper))
    same = _of_runs(results, set(table["run"]))
    of = {"double": same, "published": with_published_numerics(same, table)}
    by_run = {name: _by_kind(of_one) for name, of_one in of.items()}
    rows = []
    means = paper[paper["kind"] != "same"].groupby(["strength", "kind"], as_index=False)["element_centric"].mean()
    for strength, kind, mean in means.itertuples(index=False):
        here = {name: effect_over_runs(found.loc[(strength, kind)].to_numpy()) for name, found in by_run.items()}
        rows.append({"strength": strength, "kind": kind, "paper": mean, **here})
    return pd.DataFrame(rows)


def _by_kind(results: Results) -> pd.Series:
    """Agreement by strength of L2, kind of pair and run."""
    rows = sweep(results.analysed("agreement", trained=True), results.study, "l2")
    rows = rows.assign(kind=kinds_of_pairs(rows), strength=rows["strength"].round(9))
    return rows.groupby(["strength", "kind", "run"])["element_centric"].mean()

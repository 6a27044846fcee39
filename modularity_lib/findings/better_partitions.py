"""Do the verdicts hang on the paper's search? The claims judged on the best partitions that are found.

Every matrix of the analysed networks is searched once more by `find_modules` as it comes, with some restarts, and the
rules of `claims` are applied to these modules. Untrained networks stand beside them: those that the networks without
regularisation started from.
"""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from modularity_lib.alignment.scores import (
    agreement_p_value,
    element_centric_similarity,
    expected_element_centric_similarity,
)
from modularity_lib.clustering.search import find_modules
from modularity_lib.findings.claims import CLAIMS, Verdict, judge_all
from modularity_lib.findings.tables import AnalysedNetwork, Finding, Rows
from modularity_lib.similarity.perceptron_measures import perceptron_matrices
from modularity_lib.studies.catalogue import setting_of
from modularity_lib.studies.results import Results
from modularity_lib.training.networks import Parameters, initial_parameters
from modularity_lib.vocabulary import BASELINE, MEASURES, REGULARISERS

RESTARTS = 5
PERMUTATIONS = 1000  # of a p-value
NO_MODULES = 1e-9  # a Q up to here is 0 but for rounding: all units are in one module
_NETWORK = ["trained", "run", *REGULARISERS]


def rows_of(network: AnalysedNetwork) -> Rows:
    """A row per layer and measure, those of the untrained network after those of the one without regularisation.

    Returns:
        `trained`, `layer`, `measure`; `score` (NaN where all units are dead), `n_modules`, `labels`; `p_values` of
        agreement with each measure that comes later in `MEASURES`, NaN where one has no modules.
    """
    rows = _rows(network.parameters, network, trained=True)
    if setting_of(network.config) == BASELINE:
        sizes = network.parameters.sizes
        rows += _rows(initial_parameters(sizes, seed=network.config.run), network, trained=False)
    return rows


def _rows(parameters: Parameters, network: AnalysedNetwork, *, trained: bool) -> Rows:
    rows: Rows = []
    matrices = perceptron_matrices(parameters, network.dataset.test_images)
    for layer, by_measure in enumerate(matrices.values(), start=1):
        found = {name: find_modules(matrix, restarts=RESTARTS) for name, matrix in by_measure.items()}
        for place, measure in enumerate(MEASURES):
            own = found[measure]
            p_values = [
                agreement_p_value(own.labels, found[other].labels, permutations=PERMUTATIONS, seed=network.config.run)
                if own.status == found[other].status == "ok"
                else np.nan
                for other in MEASURES[place + 1 :]
            ]
            seen = {"score": own.score, "n_modules": own.n_modules, "labels": own.labels.tolist()}
            rows.append({"trained": trained, "layer": layer, "measure": measure, **seen, "p_values": p_values})
    return rows


FINDING = Finding("better_partitions", rows_of, in_full=True)


def with_better_partitions(results: Results, table: pd.DataFrame) -> Results:
    """The study with modules and agreement of these partitions: what `claims` needs of them, of the same networks.

    Args:
        table: of `FINDING`.
    """
    found = table.assign(
        analysed=True,
        n_modules=table["n_modules"].astype(float),
        status=np.where(table["score"].isna(), "all_units_dead", "ok"),
    )
    return replace(results, modules=found, agreement=_agreement(found))


def _agreement(modules: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for names, of_layer in modules.groupby([*_NETWORK, "layer"]):
        place = dict(zip([*_NETWORK, "layer"], names, strict=True))
        of = of_layer.set_index("measure").to_dict("index")
        for a, b in combinations(MEASURES, 2):
            row = {**place, "measure_a": a, "measure_b": b, "analysed": True}
            if of[a]["status"] != "ok" or of[b]["status"] != "ok":
                rows.append({**row, "status": "all_units_dead"})
                continue
            labels = np.asarray(of[a]["labels"]), np.asarray(of[b]["labels"])
            at = MEASURES.index(b) - MEASURES.index(a) - 1
            rows.append(
                {
                    **row,
                    "status": "ok",
                    "element_centric": element_centric_similarity(*labels),
                    "element_centric_chance": expected_element_centric_similarity(*labels),
                    "p_value": of[a]["p_values"][at],
                }
            )
    return pd.DataFrame(rows)


def judged_by_both(results: Results, table: pd.DataFrame) -> dict[str, tuple[Verdict, Verdict]]:
    """Every claim by the paper's search and by the better partitions, by its id."""
    before, after = judge_all(results), judge_all(with_better_partitions(results, table))
    return {claim.id: (before[claim.id], after[claim.id]) for claim in CLAIMS}


def gaps(results: Results, table: pd.DataFrame) -> pd.DataFrame:
    """How far Q of the paper's search stays below that of the better partitions: a row per regulariser.

    Returns:
        `networks` ("none", then the regularisers); `matrices`, those that have modules; `mean`, `largest` and `least`
        gap, 1 - Q / Q better; the share of matrices in which the paper's search finds one `as_good`.
    """
    names = ["run", *REGULARISERS, "layer", "measure"]
    old = results.analysed("modules", trained=True)[[*names, "score"]]
    both = old.merge(table[table["trained"]][[*names, "score"]], on=names, suffixes=("", "_better"))
    missed = 1.0 - both["score"] / both["score_better"].where(both["score_better"] > NO_MODULES)
    kind = np.select(
        [both["dropout"] > 0.0, both["l1"] > 0.0, both["l2"] > BASELINE.l2], ["dropout", "l1", "l2"], "none"
    )
    rows = []
    for name in ("none", "dropout", "l2", "l1"):
        of = missed[kind == name].dropna()
        if len(of):
            seen = {"mean": of.mean(), "largest": of.max(), "as_good": (of < 1e-9).mean(), "least": of.min()}
            rows.append({"networks": name, "matrices": len(of), **seen})
    return pd.DataFrame(rows)

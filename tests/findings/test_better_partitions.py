"""Better partitions go through the same rules, and the gap of the paper's search is read off both tables."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from made_up_results import made_up_results
from modularity_lib.alignment.scores import agreement_p_value
from modularity_lib.clustering.modularity import modularity_score
from modularity_lib.findings import better_partitions
from modularity_lib.findings.better_partitions import (
    PERMUTATIONS,
    gaps,
    judged_by_both,
    rows_of,
    with_better_partitions,
)
from modularity_lib.findings.tables import AnalysedNetwork
from modularity_lib.images.dataset import load_dataset
from modularity_lib.similarity.perceptron_measures import perceptron_matrices
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.results import Results
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.networks import initial_parameters
from modularity_lib.vocabulary import MEASURES, REGULARISERS

PAIRS = list(combinations(MEASURES, 2))


def network(**settings: float) -> AnalysedNetwork:
    digits = load_dataset("mnist-5k")
    few = replace(digits, test_images=digits.test_images[:60], test_labels=digits.test_labels[:60])
    parameters = initial_parameters((784, 12, 10, 10), seed=5)
    parameters.biases[0][:3] = -1e6  # dead for the upstream measures
    return AnalysedNetwork(STUDIES["v1"], TrainingConfig(run=2, hidden=(12, 10), **settings), parameters, {}, few)


def test_rows_hold_the_best_modules_of_every_matrix_and_their_p_values() -> None:
    of = network(l2=0.01)
    table = pd.DataFrame(rows_of(of))
    assert len(table) == 2 * len(MEASURES)
    assert table["trained"].all()
    matrices = perceptron_matrices(of.parameters, of.dataset.test_images)
    for layer, by_measure in enumerate(matrices.values(), start=1):
        rows = table[table["layer"] == layer].set_index("measure")
        for a, b in PAIRS[::5]:
            at = MEASURES.index(b) - MEASURES.index(a) - 1
            labels = [np.array(rows.loc[name, "labels"]) for name in (a, b)]
            expected = agreement_p_value(*labels, permutations=PERMUTATIONS, seed=2)
            assert rows.loc[a, "p_values"][at] == expected
        for measure, matrix in by_measure.items():
            score = modularity_score(matrix, rows.loc[measure, "labels"])
            assert rows.loc[measure, "score"] == pytest.approx(score)
    assert table.set_index(["layer", "measure"]).loc[(1, "input_covariance"), "labels"].count(-1) == 3


def test_the_untrained_network_comes_with_the_one_without_regularisation() -> None:
    table = pd.DataFrame(rows_of(network()))
    assert table.groupby("trained")["score"].size().to_dict() == {False: 16, True: 16}
    layer = table[(table["layer"] == 1) & (table["measure"] == "input_gradient")].set_index("trained")
    assert layer.loc[True, "labels"].count(-1) == 3
    assert layer.loc[False, "labels"].count(-1) < 3


def table_of(results: Results) -> pd.DataFrame:
    """The modules of a study in the form of the finding, with p-values from its agreement."""
    names = ["trained", "run", *REGULARISERS, "layer"]
    p = {
        tuple(row[:-1]): row[-1]
        for row in results.agreement[[*names, "measure_a", "measure_b", "p_value"]].itertuples(index=False)
    }
    rows = results.modules[[*names, "measure", "score", "n_modules", "labels"]].to_dict("records")
    for row in rows:
        place = tuple(row[name] for name in names)
        later = MEASURES[MEASURES.index(row["measure"]) + 1 :]
        row["p_values"] = [p.get((*place, row["measure"], other), np.nan) for other in later]
    return pd.DataFrame(rows).astype({"score": float})


@pytest.fixture(scope="module")
def of_two_runs(v1: Results) -> Results:
    tables = {}
    for name in ("networks", "modules", "agreement"):
        rows = getattr(v1, name)
        rows = rows[((rows["run"] < 2) | (~rows["trained"] & (rows["run"] < 1020))) & rows["analysed"]]
        tables[name] = rows
    return replace(v1, networks=tables["networks"], modules=tables["modules"], agreement=tables["agreement"])


def test_the_same_modules_get_the_same_verdicts(of_two_runs: Results) -> None:
    for before, after in judged_by_both(of_two_runs, table_of(of_two_runs)).values():
        assert before.status == after.status
        assert [one.holds for one in before.conditions] == [one.holds for one in after.conditions]
        assert after.effect.mean == pytest.approx(before.effect.mean)


def test_modules_that_agree_no_more_than_by_chance_turn_a_verdict(of_two_runs: Results) -> None:
    table = table_of(of_two_runs)
    by_chance = table.assign(p_values=[[0.5] * len(of) for of in table["p_values"]])
    before, after = judged_by_both(of_two_runs, by_chance)["families-agree-within"]
    assert before.status == "reproduced"
    assert after.status == "not reproduced"


def test_shuffled_modules_lower_the_agreement(of_two_runs: Results) -> None:
    table = table_of(of_two_runs)
    source = np.random.default_rng(0)
    shaken = table.assign(labels=[source.permutation(of).tolist() for of in table["labels"]])
    before, after = judged_by_both(of_two_runs, shaken)["families-differ"]
    assert after.effect.mean == pytest.approx(0.0, abs=0.01)
    assert before.effect.mean > 0.05


def test_a_layer_without_modules_is_left_out(of_two_runs: Results) -> None:
    table = table_of(of_two_runs)
    table.loc[table.index[:8], "score"] = np.nan
    found = with_better_partitions(of_two_runs, table)
    assert (found.modules["status"] == "all_units_dead").sum() == 8 + table["score"].iloc[8:].isna().sum()
    assert (found.agreement["status"] == "all_units_dead").sum() >= len(PAIRS)


def test_gaps_are_shares_of_the_better_q() -> None:
    results = made_up_results()
    rows = results.analysed("modules", trained=True)
    table = rows[["trained", "run", *REGULARISERS, "layer", "measure"]].assign(score=rows["score"] / 0.9)
    found = gaps(results, table).set_index("networks")
    assert found["matrices"].sum() == len(rows)
    assert found["mean"].to_numpy() == pytest.approx(0.1)
    assert not found["as_good"].any()
    assert better_partitions.FINDING.in_full

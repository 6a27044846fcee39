"""Better partitions go through the same rules, and the gap of the paper's search is read off both tables."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from made_up_results import made_up_results
from modularity_lib.alignment.scores import (
    agreement_p_value,
    element_centric_similarity,
    expected_element_centric_similarity,
)
from modularity_lib.clustering.clusterings import Clustering
from modularity_lib.clustering.modularity import modularity_score
from modularity_lib.clustering.search import find_modules
from modularity_lib.findings import better_partitions
from modularity_lib.findings.better_partitions import (
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


def test_rows_hold_the_best_modules_of_every_matrix_and_their_p_values(monkeypatch: pytest.MonkeyPatch) -> None:
    searches = []

    def searched(matrix: np.ndarray, **settings: int) -> Clustering:
        searches.append(settings)
        return find_modules(matrix, **settings)

    monkeypatch.setattr(better_partitions, "find_modules", searched)
    of = network(l2=0.01)
    table = pd.DataFrame(rows_of(of))
    assert searches == [{"restarts": 5}] * 16
    assert len(table) == 2 * len(MEASURES)
    assert table["trained"].all()
    matrices = perceptron_matrices(of.parameters, of.dataset.test_images)
    for layer, by_measure in enumerate(matrices.values(), start=1):
        rows = table[table["layer"] == layer].set_index("measure")
        for a, b in PAIRS[::5]:
            at = MEASURES.index(b) - MEASURES.index(a) - 1
            labels = [np.array(rows.loc[name, "labels"]) for name in (a, b)]
            expected = agreement_p_value(*labels, permutations=1000, seed=2)
            assert rows.loc[a, "p_values"][at] == expected
        for measure, matrix in by_measure.items():
            score = modularity_score(matrix, rows.loc[measure, "labels"])
            assert rows.loc[measure, "score"] == pytest.approx(score)
            found = rows.loc[measure, "labels"]
            shares = [found.count(label) / len(found) for label in set(found) - {-1}]
            assert rows.loc[measure, "n_modules"] == pytest.approx(np.exp(-sum(f * np.log(f) for f in shares)))
    assert table.set_index(["layer", "measure"]).loc[(1, "input_covariance"), "labels"].count(-1) == 3


def test_the_untrained_network_comes_with_the_one_without_regularisation() -> None:
    table = pd.DataFrame(rows_of(network()))
    assert table.groupby("trained")["score"].size().to_dict() == {False: 16, True: 16}
    layer = table[(table["layer"] == 1) & (table["measure"] == "input_gradient")].set_index("trained")
    assert layer.loc[True, "labels"].count(-1) == 3
    assert layer.loc[False, "labels"].count(-1) < 3
    start = perceptron_matrices(initial_parameters((784, 12, 10, 10), seed=2), network().dataset.test_images)
    for (number, measure), row in table[~table["trained"]].groupby(["layer", "measure"]):
        expected = find_modules(start[f"hidden{number}"][measure], restarts=5)
        assert row["labels"].item() == expected.labels.tolist()


def test_a_measure_without_modules_has_neither_score_nor_p_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(better_partitions, "PERMUTATIONS", 9)
    of = network(l2=0.01)
    of.parameters.weights[1][:] = 0.0  # layer 1 acts on nothing, and layer 2 always says the same
    for row in rows_of(of):
        name, upstream = row["measure"], row["layer"] == 1
        assert np.isnan(row["score"]) == (name.startswith("input") != upstream)
        for other, p in zip(MEASURES[MEASURES.index(name) + 1 :], row["p_values"], strict=True):
            assert np.isfinite(p) == all(one.startswith("input") == upstream for one in (name, other)), (name, other)


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


def test_agreement_is_that_of_the_labels_with_the_p_value_of_the_pair() -> None:
    source, results = np.random.default_rng(0), made_up_results()
    place = {"trained": True, "run": 1, "l2": 1e-5, "l1": 0.0, "dropout": 0.3, "layer": 2}
    labels = {name: source.integers(0, 3, 15) for name in MEASURES}
    dead = MEASURES[3]
    rows = [
        {
            **place,
            "measure": name,
            "score": np.nan if name == dead else 0.1,
            "n_modules": number,
            "labels": labels[name].tolist(),
            "p_values": [number + later / 10 for later in range(number + 1, len(MEASURES))],
        }
        for number, name in enumerate(MEASURES)
    ]
    found = with_better_partitions(results, pd.DataFrame(rows))
    assert found.networks is results.networks
    assert found.modules["n_modules"].tolist() == list(range(8))
    assert found.modules["status"].tolist() == ["ok"] * 3 + ["all_units_dead"] + ["ok"] * 4
    assert [tuple(pair) for pair in found.agreement[["measure_a", "measure_b"]].to_numpy()] == PAIRS
    for row in found.agreement.to_dict("records"):
        a, b = row["measure_a"], row["measure_b"]
        assert {name: row[name] for name in place} == place
        assert row["analysed"]
        if dead in (a, b):
            assert row["status"] == "all_units_dead"
            assert np.isnan(row["element_centric"])
        else:
            assert row["status"] == "ok"
            assert row["element_centric"] == element_centric_similarity(labels[a], labels[b])
            assert row["element_centric_chance"] == expected_element_centric_similarity(labels[a], labels[b])
            assert row["p_value"] == MEASURES.index(a) + MEASURES.index(b) / 10


def test_gaps_are_counted_by_regulariser_over_the_matrices_that_have_modules() -> None:
    results = made_up_results()
    rows = results.analysed("modules", trained=True)
    table = rows[["trained", "run", *REGULARISERS, "layer", "measure"]].reset_index(drop=True)
    missed = np.random.default_rng(0).uniform(-0.01, 0.2, len(table))
    missed[::5] = 0.0
    better = rows["score"].to_numpy() / (1 - missed)
    better[::7] = np.nan  # no modules
    missed[::7] = np.nan
    better[3], missed[3] = 0.0, np.nan  # one module: nothing to take a share of
    untrained = table[(table["dropout"] == 0) & (table["l1"] == 0) & (table["l2"] == 1e-5)]
    both = pd.concat([table.assign(score=better), untrained.assign(score=1.0, trained=False)], ignore_index=True)
    expected: dict[str, list[float]] = {"none": [], "dropout": [], "l2": [], "l1": []}
    for of, gap in zip(table.to_dict("records"), missed, strict=True):
        kind = "dropout" if of["dropout"] > 0 else "l1" if of["l1"] > 0 else "l2" if of["l2"] > 1e-5 else "none"
        if not np.isnan(gap):
            expected[kind].append(gap)
    found = gaps(results, both)
    assert found["networks"].tolist() == list(expected)
    for row in found.to_dict("records"):
        values = expected[row["networks"]]
        assert row["matrices"] == len(values)
        assert row["mean"] == pytest.approx(sum(values) / len(values))
        assert (row["least"], row["largest"]) == pytest.approx((min(values), max(values)))
        assert row["as_good"] == pytest.approx(sum(gap < 1e-9 for gap in values) / len(values))
    assert list(gaps(results, both[both["dropout"] > 0])["networks"]) == ["dropout"]


def test_gaps_are_shares_of_the_better_q() -> None:
    results = made_up_results()
    rows = results.analysed("modules", trained=True)
    table = rows[["trained", "run", *REGULARISERS, "layer", "measure"]].assign(score=rows["score"] / 0.9)
    found = gaps(results, table).set_index("networks")
    assert found["matrices"].sum() == len(rows)
    assert found["mean"].to_numpy() == pytest.approx(0.1)
    assert not found["as_good"].any()
    # All units in one module: Q is 0 but for rounding, and a share of it would say nothing.
    of_one, rounding = table["l1"] > 0, table["score"].where(table["l1"] == 0, 1e-16)
    found = gaps(results, table.assign(score=rounding))
    assert found["matrices"].sum() == len(rows) - of_one.sum()
    assert "l1" not in set(found["networks"])
    assert better_partitions.FINDING.in_full

"""The claims on agreement by other metrics: each is 0 for chance and 1 for identity, and the rules stay."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

import modularity_lib as ml
from made_up_results import made_up_results
from modularity_lib.findings import metrics
from modularity_lib.findings.claims import PARTLY, REPRODUCED, judge_all
from modularity_lib.studies.results import Results, agreement_by_kind
from modularity_lib.vocabulary import FAMILY

OF_MODULES = [name for name, metric in metrics.METRICS.items() if metric.compares == "modules"]


def planted(*, shared: float, within: float = 1.0, of_matrices: float = 0.5) -> Results:
    """Measures of a family have the same modules but for a share of 1 - `within` of the units, and those of the other
    family the same for a share of `shared` of the units; else there is nothing but chance."""
    results, random = made_up_results(), np.random.default_rng(0)
    trained = results.modules[results.modules["trained"]].copy()
    network = ["run", "l2", "l1", "dropout", "layer"]
    labels = {}
    for place, rows in trained.groupby(network):
        upstream, other = random.integers(0, 6, (2, 64))
        families = {"upstream": upstream, "downstream": np.where(random.random(64) < shared, upstream, other)}
        for index, measure in rows["measure"].items():
            moved = random.random(64) > within
            labels[place, measure] = np.where(moved, random.integers(0, 6, 64), families[FAMILY[measure]])
            trained.loc[index, "place"] = str(place)
    trained["labels"] = [
        labels[tuple(row[name] for name in network), row["measure"]].tolist() for row in trained.to_dict("records")
    ]
    rows = results.agreement[results.agreement["trained"]].copy()
    pairs = [
        [labels[tuple(row[name] for name in network), row[side]] for side in ("measure_a", "measure_b")]
        for row in rows.to_dict("records")
    ]
    rows[["element_centric", "element_centric_chance", "rmi_norm"]] = [
        _scores(tuple(a.tolist()), tuple(b.tolist())) for a, b in pairs
    ]
    rows["similarity_spearman"] = of_matrices
    untrained = results.agreement[~results.agreement["trained"]]
    return replace(results, modules=trained, agreement=pd.concat([rows, untrained]))


@cache
def _scores(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[float, float, float]:
    return (
        ml.element_centric_similarity(a, b),
        ml.expected_element_centric_similarity(a, b),
        ml.reduced_mutual_information(a, b, normalized=True),
    )


@pytest.fixture(scope="module")
def unrelated() -> Results:
    return planted(shared=0.0)


@pytest.fixture(scope="module")
def table(unrelated: Results) -> pd.DataFrame:
    return metrics.metric_table(unrelated)


def test_each_metric_of_modules_is_0_for_chance_and_1_for_identity(table: pd.DataFrame) -> None:
    found = table[table["networks"] == metrics.ALL].set_index(["metric", "kind"])["mean"]
    for metric in OF_MODULES:
        assert found[metric, "upstream"] == found[metric, "downstream"] == 1.0
        assert abs(found[metric, "across"]) < (0.08 if metric == "rmi" else 0.02)  # that one is below 0 by chance


@pytest.fixture(scope="module")
def related() -> Results:
    return planted(shared=0.5, within=0.97, of_matrices=0.1)


def test_the_two_new_columns_are_what_the_library_gives_for_a_pair(related: Results) -> None:
    results = related
    rows = metrics.informed(results)
    network = ["run", "l2", "l1", "dropout", "layer", "measure"]
    labels = results.modules.set_index(network)["labels"]
    assert len(rows) == len(agreement_by_kind(results))
    for row in rows.sample(20, random_state=0).to_dict("records"):
        place = tuple(row[name] for name in network[:-1])
        a, b = (np.asarray(labels[(*place, row[side])]) for side in ("measure_a", "measure_b"))
        assert row["adjusted"] == pytest.approx(ml.adjusted_mutual_information(a, b), abs=1e-12)
        both = [ml.dirichlet_reduced_mutual_information(*pair, normalized=True) for pair in ((a, b), (b, a))]
        assert row["dirichlet_rmi"] == pytest.approx(np.mean(both), abs=1e-12)


def test_the_reduced_mutual_information_is_that_of_the_tables(related: Results) -> None:
    rows, stored = metrics.informed(related), agreement_by_kind(related)
    np.testing.assert_array_equal(rows["rmi_norm"], stored.loc[rows.index, "rmi_norm"])


def with_labels(results: Results, *of_measures: list[int]) -> Results:
    """The clusterings of a study exchanged, for one measure after the other in turn."""
    trained = results.modules[results.modules["trained"]]
    labels = [of_measures[place % len(of_measures)] for place in range(len(trained))]
    return replace(results, modules=trained.assign(labels=labels))


def test_two_clusterings_of_one_module_each_count_as_chance_by_every_metric() -> None:
    rows = metrics.informed(with_labels(made_up_results(), [0] * 5))
    assert (rows[["adjusted", "rmi_norm", "dirichlet_rmi"]] == 0).all(axis=None)


def test_without_matrices_there_is_no_metric_of_matrices(unrelated: Results) -> None:
    without = replace(unrelated, agreement=unrelated.agreement.drop(columns="similarity_spearman"))
    assert list(metrics.metric_table(without)["metric"].unique()) == OF_MODULES


def test_the_rule_of_the_claims_is_applied_to_the_metric(unrelated: Results) -> None:
    rows = metrics.informed(unrelated)
    own = {name: judge_all(unrelated)[name].status for name in metrics.JUDGED}
    assert metrics.judged_by(unrelated, rows, "element_centric") == own == dict.fromkeys(metrics.JUDGED, REPRODUCED)
    assert metrics.judged_by(unrelated, rows, "adjusted") == own
    # 0.5 for all kinds of pairs: no more within than across, and not little
    assert set(metrics.judged_by(unrelated, rows, "similarity_spearman").values()).isdisjoint({REPRODUCED, PARTLY})


def test_a_claim_may_hold_by_one_metric_and_not_by_another(related: Results) -> None:
    values = metrics.metric_table(related).query("networks == @metrics.ALL and kind == 'across'").set_index("metric")
    by_metric = values["families-differ"]
    for name in OF_MODULES:
        high = values.loc[name, "high"]
        assert (by_metric[name] == REPRODUCED) == (high <= 0.25)
    assert {by_metric[name] for name in OF_MODULES} != {by_metric["element_centric"]}
    assert by_metric["similarity_spearman"] == PARTLY  # little, but no less than within families


def test_each_sweep_is_judged_on_its_own_networks(unrelated: Results, table: pd.DataFrame) -> None:
    assert list(table["networks"].unique()) == [metrics.ALL, "l2", "l1", "dropout"]
    assert set(table["runs"]) == {unrelated.study.runs}
    pairs = agreement_by_kind(unrelated)
    for name, others in (("l2", ["l1", "dropout"]), ("l1", ["l2", "dropout"]), ("dropout", ["l2", "l1"])):
        baseline = {"l2": 1e-5, "l1": 0.0, "dropout": 0.0}
        chosen = pairs[(pairs[others[0]] == baseline[others[0]]) & (pairs[others[1]] == baseline[others[1]])]
        expected = chosen[chosen["kind"] == "across"].groupby("run")["corrected"].mean().mean()
        is_it = (table["metric"] == "element_centric") & (table["networks"] == name) & (table["kind"] == "across")
        found = table.loc[is_it, "mean"]
        assert found.item() == pytest.approx(expected, abs=1e-12)


def test_each_metric_reads_its_own_column() -> None:
    columns = ["corrected", "adjusted", "rmi_norm", "dirichlet_rmi", "similarity_spearman"]
    rows = pd.DataFrame([range(len(columns))], columns=columns)
    assert [metric.of(rows).item() for metric in metrics.METRICS.values()] == list(range(len(columns)))

"""What every condition of the rules asks for, how far it is from failing, and whether untrained networks meet it."""

import numpy as np
import pandas as pd
import pytest

from made_up_results import made_up_results
from modularity_lib.findings.claims import CLAIMS
from modularity_lib.findings.conditions import conditions_table, nearest_to_turning
from modularity_lib.findings.equal_accuracy import rises_at_equal_accuracy
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import MEASURE_LABELS, MEASURES

DROPOUT, PENALTIES, WITHIN, ACROSS = (claim.id for claim in CLAIMS)


def table_of(results: Results) -> pd.DataFrame:
    return conditions_table(results).set_index("condition")


def q_of_run(results: Results, measure: str, dropout: float, run: int) -> float:
    """Q averaged over layers, by a plain loop."""
    rows = results.modules.to_dict("records")
    found = [
        row["score"]
        for row in rows
        if row["trained"]
        and (row["measure"], row["dropout"], row["run"], row["l1"], row["l2"]) == (measure, dropout, run, 0.0, 1e-5)
    ]
    return sum(found) / len(found)


def test_the_factor_is_that_of_the_measure_with_the_smallest_and_its_interval_leaves_out_run_after_run() -> None:
    results = made_up_results()
    factors = {}
    for measure in MEASURES:
        before, after = ([q_of_run(results, measure, x, run) for run in range(4)] for x in (0.0, 0.6))
        without = [(sum(after) - after[i]) / (sum(before) - before[i]) for i in range(4)]
        half = 3.182 * np.sqrt(3 / 4 * sum((factor - np.mean(without)) ** 2 for factor in without))
        factor = sum(after) / sum(before)
        factors[measure] = factor, factor - half, factor + half
    least = min(factors, key=lambda measure: factors[measure][0])
    row = table_of(results).loc["factor of Q"]
    assert row["at"] == MEASURE_LABELS[least]
    assert (row["here"], row["low"], row["high"]) == pytest.approx(factors[least], rel=1e-4)
    assert row["in_widths"] == pytest.approx((row["here"] - 1.5) / (row["high"] - row["here"]), rel=1e-6)
    assert row["untrained"] == pytest.approx(1.0, abs=0.03)
    assert not row["untrained_meets"]


def test_conditions_hold_as_the_verdicts_say() -> None:
    results = made_up_results(dropout_rise=0.03, flat_measures=MEASURES[:1], l2_rise=0.3)
    rows = table_of(results)
    assert rows.loc["factor of Q", "in_widths"] < 0
    assert rows.loc["Q rises", "at"] == MEASURE_LABELS[MEASURES[0]]
    assert rows.loc["dropout's rise minus the larger penalty's", "in_widths"] < 0
    assert pd.isna(rows.loc["dropout's rise minus the larger penalty's", "untrained"])


def test_untrained_networks_meet_what_does_not_ask_for_training() -> None:
    results = made_up_results(agreement={"upstream": 0.7, "downstream": 0.6, "across": 0.4})
    rows = table_of(results)  # untrained networks agree just as trained ones do
    within = rows[rows["claim"] == WITHIN]
    assert within["untrained_meets"].all()
    assert within.loc["two upstream measures: minus across", "here"] == pytest.approx(0.3, abs=0.005)
    assert within.loc["two downstream measures: share with p < 0.05", "untrained"] == 1.0
    across = rows[rows["claim"] == ACROSS]
    corrected = {kind: (alike - 0.25) / 0.75 for kind, alike in (("within", 0.65), ("across", 0.4))}
    assert across["here"].tolist() == pytest.approx(
        [corrected["across"], corrected["across"] / corrected["within"]], abs=0.01
    )
    assert (across["in_widths"] > 0).all()
    assert across["untrained_meets"].all()
    table = results.agreement
    table.loc[~table["trained"], ["element_centric", "p_value"]] = [0.25, 0.9]  # now by chance
    changed = table_of(results)
    assert not changed.loc["two downstream measures: share with p < 0.05", "untrained_meets"]
    assert not changed.loc["two upstream measures: minus across", "untrained_meets"]


def test_what_could_not_be_tested_has_no_rows() -> None:
    rows = table_of(made_up_results(low_accuracy_above=0.1))
    assert set(rows["claim"]) == {WITHIN, ACROSS}


def test_the_condition_nearest_to_turning_is_that_of_the_fewest_widths() -> None:
    rows = pd.DataFrame({"condition": ["a", "b", "c"], "in_widths": [5.0, -0.5, np.nan]})
    assert nearest_to_turning(rows)["condition"] == "b"


def test_rises_are_compared_at_the_strengths_as_accurate_as_the_strongest_dropout() -> None:
    results = made_up_results(dropout_rise=0.2, l1_rise=0.3)
    networks = results.networks
    by_strength = {("dropout", 0.6): 0.9, ("l2", 1e-3): 0.97, ("l1", 1e-4): 0.91, ("l1", 1e-3): 0.85}
    for (name, strength), accuracy in by_strength.items():
        networks.loc[networks[name] == strength, "test_accuracy"] = accuracy
    found = rises_at_equal_accuracy(results)
    assert found is not None
    assert {name: rise.strength for name, rise in found.rises.items()} == {"dropout": 0.6, "l2": 1e-3, "l1": 1e-4}
    assert {name: rise.accuracy for name, rise in found.rises.items()} == pytest.approx(
        {"dropout": 0.9, "l2": 0.97, "l1": 0.91}
    )
    rises = {"dropout": 0.2, "l2": 0.03, "l1": 0.03}  # the largest rise of L1, 0.3, is had at another accuracy
    assert {name: rise.effect.mean for name, rise in found.rises.items()} == pytest.approx(rises, abs=0.003)
    assert found.margin.mean == pytest.approx(0.17, abs=0.003)
    assert rises_at_equal_accuracy(made_up_results(low_accuracy_above=0.1)) is None

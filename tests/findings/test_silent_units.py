"""Rules that call units silent change what they name and nothing else; the sentence follows the table."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modularity_lib.alignment.scores import element_centric_similarity
from modularity_lib.book.words import ledger as ledger_words
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings import silent_units
from modularity_lib.studies.archive import stored_matrices
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import MEASURES


@pytest.fixture(scope="module")
def some(v1: Results) -> Results:
    """Of v1: one network with dropout, and two of an L2 penalty, under one of which units fall silent."""
    table = v1.networks[v1.networks["trained"] & (v1.networks["run"] == 0) & (v1.networks["l1"] == 0)]
    under_l2 = table["l2"].isin([1e-3, 1e-2]) & (table["dropout"] == 0)
    return replace(v1, networks=table[under_l2 | ((table["l2"] == 1e-5) & (table["dropout"] == 0.3))])


@pytest.fixture(scope="module")
def found(some: Results) -> pd.DataFrame:
    return pd.DataFrame(silent_units._modules(some, 0))


def by_rule(found: pd.DataFrame, index: int) -> pd.DataFrame:
    name = silent_units.RULES[index].name
    return found[found["rule"] == name].set_index(["l2", "l1", "dropout", "layer", "measure"])


def test_the_first_rule_gives_the_tables_of_the_study(v1: Results, found: pd.DataFrame) -> None:
    ours = by_rule(found, 0)
    theirs = v1.analysed("modules", trained=True).query("run == 0").set_index(list(ours.index.names))
    joined = ours.join(theirs["score"].rename("score_of_study"), how="inner")
    assert len(joined) == len(ours) == 3 * 2 * len(MEASURES)
    raw = joined[~joined.index.get_level_values("measure").str.endswith("_norm")]
    # Normalised matrices are shipped in single precision, and a search may turn on a last bit.
    np.testing.assert_allclose(raw["score"], raw["score_of_study"], rtol=1e-12)
    np.testing.assert_allclose(joined["score"], joined["score_of_study"], atol=0.02)


def test_single_precision_silences_units_that_l2_has_shrunk_and_no_others(found: pd.DataFrame) -> None:
    double, single = by_rule(found, 0), by_rule(found, 1)
    own = np.diag(stored_matrices("v1", l2=0.01)["hidden2"]["output_gradient"])
    rows = single[np.isclose(single.index.get_level_values("l2"), 0.01) & single["regulariser_l2"]]
    row = rows.xs((2, "output_gradient_norm"), level=("layer", "measure")).iloc[0]
    assert row["silent"] == int((own < 1.5e-45).sum()) > 10
    assert (row["labels"] == -1).sum() == row["silent"]
    unchanged = single[single["silent"] == double["silent"]]
    assert len(unchanged) > 24
    for at in unchanged.index:
        np.testing.assert_array_equal(unchanged.loc[at, "labels"], double.loc[at, "labels"])


def test_placing_units_leaves_q_and_the_other_units_alone(found: pd.DataFrame) -> None:
    dead, placed = by_rule(found, 1), by_rule(found, 2)
    np.testing.assert_array_equal(dead["score"], placed["score"])
    moved = 0
    for at in dead.index:
        before, after = dead.loc[at, "labels"], placed.loc[at, "labels"]
        if before is None:
            continue
        np.testing.assert_array_equal(before[before >= 0], after[before >= 0])
        assert set(after[before < 0]) <= {-1, *before}
        moved += int((before != after).sum())
    assert moved > 10


def test_the_table_averages_what_was_found(some: Results, found: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silent_units, "_modules", lambda results, run: found.to_dict("records"))
    table = silent_units.rules_table(some).set_index("rule")
    assert list(table.index) == [rule.name for rule in silent_units.RULES]
    rows = by_rule(found, 3)
    chosen = rows[rows["regulariser_l2"] & rows["normalised_downstream"]]
    assert table["silent"].iloc[3] == pytest.approx(chosen["silent"].mean())
    assert table["silent"].is_monotonic_increasing
    # By hand: one published agreement.
    alike = [
        element_centric_similarity(a, b)
        for a, b in zip(
            rows.xs("output_hessian", level="measure")["labels"],
            rows.xs("input_gradient", level="measure")["labels"],
            strict=True,
        )
        if a is not None and b is not None
    ]
    differences = silent_units._agreement_beside(rows.reset_index(), some)
    assert len(differences) == len(MEASURES) * (len(MEASURES) - 1) / 2
    assert np.isclose(differences + 0.3277, np.mean(alike), atol=2e-4).any()


def test_silent_units_take_no_part_in_the_search() -> None:
    matrix = np.kron(np.eye(2), np.ones((3, 3)))
    labels = paper_modules(silent_units.without_units(matrix, np.arange(6) == 5), seed=0).labels
    assert labels.tolist() == [0, 0, 0, 1, 1, -1]


def told(*rows: tuple[str, float, float]) -> str:
    columns: dict[str, Any] = {"silent": 1.0, "q_signed": -0.01, "agreement_signed": 0.0, "agreement_largest": 0.1}
    table = pd.DataFrame([{"rule": name, "q_mean": q, "agreement_mean": a, **columns} for name, q, a in rows])
    assert len(ledger_words.rules_markdown(table).splitlines()) == 2 + len(rows)
    assert f"| A. {rows[0][0]} | 1.0 | -0.010, {rows[0][1]:.3f} | +0.000" in ledger_words.rules_markdown(table)
    return ledger_words.rules_text(table)


def test_the_sentence_names_the_rules_that_come_closest() -> None:
    one = told(("a", 0.02, 0.03), ("b", 0.01, 0.02))
    assert one == "Q fits the published values best under B, agreement under B. Only B fits both."
    none = told(("a", 0.01, 0.03), ("b", 0.02, 0.02))
    assert none == "Q fits the published values best under A, agreement under B. No rule fits both."
    near = told(("a", 0.03, 0.0205), ("b", 0.01, 0.02), ("c", 0.01, 0.03))
    assert near == "Q fits the published values best under B and C, agreement under A and B. Only B fits both."
    two = told(("a", 0.01, 0.02), ("b", 0.01, 0.02))
    assert two.endswith("Only A and B fit both.")


def test_each_rule_calls_silent_what_lies_below_its_limit() -> None:
    own = np.array([4.0, 0.0, 1e-300, 1.4012e-45, 1.4013e-45, 3.9e-12, 4.1e-12])  # of the largest, 4e-12 are negligible
    zero, single, negligible = ([1], [1, 2, 3], [1, 2, 3, 4, 5])
    found = [(np.flatnonzero(rule.normalised(own)), np.flatnonzero(rule.raw(own))) for rule in silent_units.RULES]
    expected = [(zero, zero), (single, zero), (single, zero), (negligible, negligible)]
    assert [(normalised.tolist(), raw.tolist()) for normalised, raw in found] == expected
    assert [rule.placed for rule in silent_units.RULES] == [False, False, True, False]


@pytest.mark.parametrize(("behind", "closest"), [(0.00099, "A and B"), (0.00101, "A")])
def test_rules_within_a_thousandth_are_equally_close(behind: float, closest: str) -> None:
    found = told(("a", 0.02, 0.02), ("b", 0.02 + behind, 0.02 + behind))
    assert found.startswith(f"Q fits the published values best under {closest}, agreement under {closest}.")

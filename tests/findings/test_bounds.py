"""The shipped bounds are of the matrices that are there, and say what their columns say."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import modularity_lib as ml
from modularity_lib.book.words import modules as modules_words
from modularity_lib.findings import bounds
from modularity_lib.findings.synthetic import planted
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.results import Results, rows_at


def two_matrices(results: Results, dropouts: Any) -> dict[tuple[float, int, str], np.ndarray]:
    """The first of these is a dead layer."""
    similarity = planted(24, blocks=3, common=0.2, seed=0)
    return {
        (0.0, 1, "input_covariance"): np.zeros((24, 24)),
        (0.0, 2, "input_covariance"): similarity,
        (0.7, 1, "input_gradient"): similarity**2,
    }


def test_a_row_is_the_bound_of_its_matrix_beside_the_score_of_the_study(
    v1: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "_matrices", two_matrices)
    table = bounds.bound_table(v1, seconds=5)
    assert table[["dropout", "layer", "measure"]].to_numpy().tolist() == [
        [0.0, 2, "input_covariance"],
        [0.7, 1, "input_gradient"],
    ]
    for row, similarity in zip(table.to_dict("records"), list(two_matrices(v1, ()).values())[1:], strict=True):
        assert row["score"] == pytest.approx(ml.modularity_score(similarity, row["labels"]))
        assert row["score"] <= row["upper"] <= row["score"] + 1e-7
        assert (row["proven"], row["live_units"]) == (True, 24)
        at = {"trained": True, "run": 0, "l2": 1e-5, "l1": 0.0, "dropout": row["dropout"]}
        [search] = rows_at(v1.modules, layer=row["layer"], measure=row["measure"], **at)["score"]
        assert row["search"] == search


def test_what_is_shipped_is_used_only_on_its_own_matrices(
    v1: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "_matrices", two_matrices)
    monkeypatch.setattr(bounds, "SHIPPED", tmp_path)
    without = bounds.table_at_hand(v1)
    shipped = bounds.ship(v1)
    assert (tmp_path / "v1" / "bounds.parquet").exists()
    monkeypatch.setattr(bounds, "bound_table", lambda *given, **options: "made now")
    pd.testing.assert_frame_equal(bounds.table_at_hand(v1), shipped)
    assert without["score"].tolist() == shipped["score"].tolist()
    others = lambda results, dropouts: {  # noqa: E731
        place: matrix**1.2 for place, matrix in two_matrices(results, dropouts).items()
    }
    monkeypatch.setattr(bounds, "_matrices", others)
    with pytest.warns(bounds.OtherMatrices, match="is of other matrices, so bounds are computed now, for 1 seconds"):
        assert bounds.table_at_hand(v1) == "made now"


def test_the_shipped_table_is_of_v1_and_most_of_it_is_proven_soon(v1: Results) -> None:
    matrices = bounds._matrices(v1, bounds.DROPOUTS)
    table = bounds.table_at_hand(v1)
    assert len(table) == len(matrices) == 32
    assert (table["search"] <= table["upper"]).all()
    assert (table["search"] <= table["score"] + 1e-7).all()
    assert (table["proven"] & (table["seconds"] <= bounds.SOON)).sum() >= 16
    quick = table[table["proven"]].nsmallest(2, "seconds")
    for row in quick.to_dict("records"):
        now = ml.modularity_bound(matrices[row["dropout"], row["layer"], row["measure"]], seconds=60)
        assert now.proven
        assert now.score == pytest.approx(row["score"], abs=1e-6)


def test_the_summary_counts_the_rows() -> None:
    table = pd.DataFrame(
        {
            "dropout": [0.0, 0.0, 0.0, 0.7],
            "search": [0.09, 0.1, 0.2, 0.5],
            "score": [0.1, 0.1, 0.2, 0.5],
            "upper": [0.1, 0.1, 0.25, 0.5],
            "proven": [True, True, False, True],
            "seconds": [1.0, 20.0, 300.0, 2.0],
            "default": [0.1, 0.1, 0.2, 0.49],
        }
    )
    first, second = bounds.summary(table).to_dict("records")
    assert first == {
        "dropout": 0.0,
        "matrices": 3,
        "proven": 2,
        "proven_soon": 1,
        "largest_gap": pytest.approx(0.25),
        "search_gap": pytest.approx(0.05),
        "largest_search_gap": pytest.approx(0.1),
        "search_reaches": 1,
        "default_reaches": 2,
    }
    assert (second["proven"], second["search_gap"], second["search_reaches"], second["default_reaches"]) == (
        1,
        0.0,
        1,
        0,
    )
    told = modules_words.bounds_text(bounds.summary(table))
    assert told == (
        "The best partition is proven for 3 of 4 matrices. Of the others Q can be larger by 25.0 % at most."
    )
    [_, _, without, strong] = modules_words.bounds_markdown(bounds.summary(table)).splitlines()
    assert without == "| 0 | 2 of 3 | 1 | 1 | 5.0% (10.0%) | 2 |"
    assert strong == "| 0.7 | 1 of 1 | 1 | 1 | 0.0% (0.0%) | 0 |"


def test_of_bounds_that_prove_nothing_no_search_is_judged() -> None:
    row = {"dropout": 0.0, "search": 0.1, "score": 0.1, "upper": 0.2, "proven": False, "seconds": 1.0, "default": 0.1}
    summary = bounds.summary(pd.DataFrame([row, row]))
    assert modules_words.bounds_text(summary) == "The best partition is proven for none of 2 matrices."
    assert modules_words.bounds_markdown(summary).splitlines()[-1] == "| 0 | 0 of 2 | 0 | 0 | – | 0 |"


def test_the_default_search_is_that_of_find_modules(v1: Results) -> None:
    matrices = bounds._matrices(v1, [0.7])
    table = pd.DataFrame(list(matrices)[-2:], columns=["dropout", "layer", "measure"])
    found = bounds.default_search(v1, table)["default"]
    assert found.tolist() == [ml.find_modules(matrix).score for matrix in list(matrices.values())[-2:]]


def test_dropouts_that_a_study_lacks_are_left_out(v1: Results) -> None:
    assert bounds._matrices(v1, [0.123]) == {}


def test_the_matrices_are_those_of_run_0_with_dropout_alone(v1: Results) -> None:
    place, matrix = next(iter(bounds._matrices(v1, [0.7]).items()))
    archive = Archive("v1")
    expected = archive.matrices(archive.config(dropout=0.7))[f"hidden{place[1]}"][place[2]]
    np.testing.assert_array_equal(matrix, expected)

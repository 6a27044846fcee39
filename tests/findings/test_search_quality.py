"""Searches stay at or below the best partition, and gaps and near-optima are what their names say."""

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from modularity_lib import figures
from modularity_lib.book.words import modules as modules_words
from modularity_lib.clustering.modularity import modularity_score
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings import search_quality
from modularity_lib.findings.synthetic import common_factor_table, floor_table, noise, planted
from modularity_lib.studies.archive import stored_matrices
from modularity_lib.vocabulary import FAMILY, MEASURES


def random_matrix(units: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).random((units, units))
    return values + values.T


def partitions(units: int) -> Iterator[np.ndarray]:
    """Every partition once, as labels in order of first appearance."""

    def extend(labels: list[int]) -> Iterator[np.ndarray]:
        if len(labels) == units:
            yield np.array(labels)
            return
        for label in range(max(labels, default=-1) + 2):
            yield from extend([*labels, label])

    yield from extend([])


def test_all_partitions_are_tried() -> None:
    assert [sum(1 for _ in partitions(units)) for units in (1, 3, 5, 8)] == [1, 5, 52, 4140]  # Bell numbers


@pytest.mark.parametrize("units", [2, 3, 5, 8])
@pytest.mark.parametrize("seed", range(3))
def test_the_best_partition_is_the_best_of_all(units: int, seed: int) -> None:
    matrix = random_matrix(units, seed)
    best, labels = search_quality.best_partition(matrix)
    assert best == pytest.approx(max(modularity_score(matrix, other) for other in partitions(units)))
    assert best == pytest.approx(modularity_score(matrix, labels))


def test_a_proof_that_takes_too_long_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_quality, "_SECONDS_OF_A_PROOF", 1e-3)
    with pytest.raises(RuntimeError, match=r"of 60 units was not proven within 0.001 seconds: .* Choose fewer units"):
        search_quality.best_partition(noise(60, seed=0))


def test_no_method_exceeds_the_best_partition() -> None:
    for seed in range(4):
        matrix = random_matrix(7, seed)
        best, _ = search_quality.best_partition(matrix)
        for method, find in search_quality.METHODS.items():
            assert modularity_score(matrix, find(matrix, 0)) <= best + 1e-12, method


@pytest.mark.parametrize("method", search_quality.METHODS)
def test_every_method_finds_planted_blocks_and_repeats_itself(method: str) -> None:
    labels = search_quality.METHODS[method](planted(32, blocks=4, common=0.0, seed=0), 3)
    assert len(set(labels)) == 4
    assert all(len(set(labels[block : block + 8])) == 1 for block in range(0, 32, 8))
    faint = noise(32, seed=1)
    np.testing.assert_array_equal(search_quality.METHODS[method](faint, 3), search_quality.METHODS[method](faint, 3))


def searched(searches: int, **matrices: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    kinds = {"noise": matrices}
    near = search_quality.near_optima_table(kinds, searches=searches)
    return near, search_quality.gap_table(kinds, near)


def test_gaps_are_shares_of_the_best_score() -> None:
    near, table = searched(5, a=noise(20, seed=1), dead=np.zeros((4, 4)), alike=np.ones((4, 4)))
    assert set(near["matrix"]) == {"a", "alike"}  # all units of the other are dead
    assert set(table["matrix"]) == {"a"}  # units that are all alike have no modules to miss
    assert set(table["method"]) == {*search_quality.METHODS, "best of 5 searches"}
    assert table["gap"].min() == 0
    np.testing.assert_allclose(table["gap"], 1 - table["score"] / table["score"].max())
    by_method = table.set_index("method")["score"]
    assert by_method[search_quality.SEARCH] == paper_modules(noise(20, seed=1), seed=0).score
    assert by_method["best of 5 searches"] == max(paper_modules(noise(20, seed=1), seed=s).score for s in range(5))


def test_near_optima_are_compared_with_the_best() -> None:
    matrix = noise(30, seed=3)
    table = search_quality.near_optima(matrix, searches=4)
    assert table["score"].tolist() == [paper_modules(matrix, seed=seed).score for seed in range(4)]
    assert table["is_best"].sum() == 1
    assert table.loc[table["is_best"], ["share", "alike"]].to_numpy().tolist() == [[1, 1]]
    assert table["score"].idxmax() == table["is_best"].idxmax()
    assert (table["chance"] < 0.6).all()


def test_exact_optima_of_choices_of_live_units() -> None:
    matrix = random_matrix(12, 0)
    matrix[:6] = matrix[:, :6] = 0.0
    table = search_quality.exact_table({"a": matrix, "dead": np.zeros((9, 9))}, units=6)
    assert set(table["matrix"]) == {"a"}
    assert table["method"].tolist() == list(search_quality.METHODS)
    assert set(table["units"]) == {6}
    assert (table["gap"] >= -1e-12).all()
    assert table["exact"].iloc[0] == pytest.approx(search_quality.best_partition(matrix[6:, 6:])[0])
    np.testing.assert_allclose(table["gap"], table["exact"] - table["score"])


def test_matrices_are_those_of_the_study_by_family() -> None:
    found = search_quality.matrices_by_family("v1", dropouts=[0.3], measures=["input_gradient", "output_hessian"])
    kept = stored_matrices("v1", dropout=0.3)
    assert {family: list(by_name) for family, by_name in found.items()} == {
        FAMILY[measure]: [f"dropout 0.3, {layer}, {measure}" for layer in kept]
        for measure in ("input_gradient", "output_hessian")
    }
    np.testing.assert_array_equal(
        found["upstream"]["dropout 0.3, hidden2, input_gradient"], kept["hidden2"]["input_gradient"]
    )
    assert sum(map(len, search_quality.matrices_by_family("v1", dropouts=[0.3]).values())) == len(MEASURES) * len(kept)
    with pytest.raises(ValueError, match=r"measures must be of .*input_gradient.*, got 'activity'"):
        search_quality.matrices_by_family("v1", dropouts=[0.3], measures=["activity"])


def test_tables_and_words_follow_the_gaps() -> None:
    gaps = pd.DataFrame(
        [
            {"kind": kind, "matrix": matrix, "method": method, "gap": gap}
            for kind, matrix, method, gap in [
                ("upstream", "a", "Louvain", 0.02),
                ("upstream", "b", "Louvain", 0.04),
                ("upstream", "a", search_quality.SEARCH, 0.01),
                ("upstream", "b", search_quality.SEARCH, 0.08),
                ("noise", "a", "Louvain", 0.0),
                ("noise", "a", search_quality.SEARCH, 0.5),
            ]
        ]
    )
    assert "| Louvain | 3.0% (4.0%) | 0.0% (0.0%) |" in modules_words.gap_markdown(gaps)
    sentence = modules_words.gap_text(gaps)
    assert sentence.endswith("Louvain ends closer for upstream measures.")
    closer = gaps.assign(gap=gaps["gap"].where(gaps["method"] != search_quality.SEARCH, 0.0))
    assert modules_words.gap_text(closer).endswith("none ends closer for upstream measures.")
    exact = pd.DataFrame({"method": [search_quality.SEARCH] * 2, "gap": [0.0, 0.02]})
    assert f"| {search_quality.SEARCH} | 1 of 2 | 0.0100 | 0.0200 |" in modules_words.exact_markdown(exact)


def test_figures_show_every_matrix_and_search() -> None:
    near, table = searched(4, **{str(seed): noise(16, seed=seed) for seed in range(3)})
    lines = figures.gaps_of_methods(table).axes[0].lines
    assert [len(line.get_xdata()) for line in lines] == [3, 1] * table["method"].nunique()
    last = table[table["method"] == "best of 4 searches"]["gap"]
    assert lines[0].get_xdata() == pytest.approx(100 * last.to_numpy())
    points, chance = figures.near_optima(near).axes[0].lines
    assert len(points.get_xdata()) == 3 * 3  # all searches but the best of each matrix
    assert chance.get_ydata()[0] == pytest.approx(near.loc[~near["is_best"], "chance"].mean())
    floor = floor_table((8, 16), samples=(100,), draws=2)
    common = common_factor_table((0.0, 0.5), units=16, shared=(0.3,), draws=1)
    left, middle, right = figures.floor_and_common_factor(floor, common).axes
    assert left.lines[0].get_ydata().tolist() == floor["mean"].tolist()
    assert middle.lines[0].get_ydata().tolist() == common["score"].tolist()
    assert right.lines[0].get_ydata().tolist() == common["recovered"].tolist()


@pytest.mark.parametrize(("best", "kept"), [(0.9e-9, 0), (1.1e-9, 1)])
def test_a_q_of_nothing_but_rounding_has_no_gap_and_all_of_it_is_reached(
    best: float, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([best / 2, best])
    labels = np.zeros(4, dtype=int)
    monkeypatch.setattr(
        search_quality,
        "paper_modules",
        lambda *_, **__: SimpleNamespace(labels=labels, score=next(scores), status="ok"),
    )
    near = search_quality.near_optima(np.ones((4, 4)), searches=2)
    assert near["share"].tolist() == ([0.5, 1.0] if kept else [1.0, 1.0])
    monkeypatch.setattr(search_quality, "METHODS", {})
    gaps = search_quality.gap_table({"kind": {"name": np.ones((4, 4))}}, near.assign(kind="kind", matrix="name"))
    assert len(gaps) == 2 * kept


def test_words_turn_at_their_limits() -> None:
    exact = pd.DataFrame({"method": "m", "gap": [0.9e-9, 1.1e-9]})
    assert "| m | 1 of 2 |" in modules_words.exact_markdown(exact)
    recovered = {"shared": 0.3, "common": [0.0, 0.2], "score": [0.6, 0.1], "recovered": [0.9901, 0.9899]}
    common = pd.DataFrame({**recovered, "draws": 1})
    assert "The blocks are found up to 0." in modules_words.common_text(common)
    near = pd.DataFrame({"is_best": False, "share": [0.9899, 0.9901], "alike": [0.1, 0.9], "kind": "a", "chance": 0.2})
    gaps = pd.DataFrame({"kind": "a", "matrix": "m", "method": [search_quality.SEARCH], "gap": 0.0})
    floor = pd.DataFrame({"units": 8, "samples": 10, "mean": [0.3], "draws": 1})
    tested = pd.DataFrame({"kind": "a", "matrix": "m", "test": "t", "p_value": [0.05]})
    reached = {"matrices": 2, "proven": 2, "search_reaches": 1, "default_reaches": 2, "largest_gap": 0.0}
    bounded = pd.DataFrame([reached])
    said = modules_words.texts(gaps, near, exact.assign(matrix="m"), floor, common, tested, bounded)
    agree = (0.9 - 0.2) / (1.0 - 0.2)
    assert said["near_sentence"] == (
        f"Their agreement with the best one is {agree:.2f} for a measures, where 0 is chance and 1 the same modules."
    )

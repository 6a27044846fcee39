"""Searches stay at or below the best partition; noise, planted blocks and tests behave as their definitions say."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from modularity_lib import optima
from modularity_lib.clustering import find_modules
from modularity_lib.figures import search
from modularity_lib.modularity import modularity_score


def random_matrix(units: int, seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).random((units, units))
    return values + values.T


@pytest.mark.parametrize("seed", range(3))
def test_the_best_partition_is_the_best_of_all_labels(seed: int) -> None:
    matrix = random_matrix(5, seed)
    best, count = optima.best_partition(matrix)
    every = [modularity_score(matrix, np.array(labels)) for labels in product(range(5), repeat=5)]
    assert best == pytest.approx(max(every))
    assert count == 52  # Bell number


def test_eight_units_have_4140_partitions_and_eleven_are_refused() -> None:
    assert optima.best_partition(random_matrix(8, 0))[1] == 4140
    with pytest.raises(ValueError, match="at most 10 units, got 11"):
        optima.best_partition(random_matrix(11, 0))


def test_no_method_exceeds_the_best_partition() -> None:
    for seed in range(4):
        matrix = random_matrix(7, seed)
        best, _ = optima.best_partition(matrix)
        for method, find in optima.METHODS.items():
            assert modularity_score(matrix, find(matrix, 0)) <= best + 1e-12, method


def test_gaps_are_shares_of_the_best_score() -> None:
    table = optima.gap_table({"noise": {"a": optima.noise(20, seed=1)}, "dead": {"b": np.zeros((4, 4))}}, restarts=5)
    assert set(table["kind"]) == {"noise"}  # all units of the other are dead
    assert list(table["method"]) == [*optima.METHODS, "best of 5 searches"]
    assert table["gap"].min() == 0
    np.testing.assert_allclose(table["gap"], 1 - table["score"] / table["score"].max())


def test_planted_blocks_have_the_correlations_they_are_made_with() -> None:
    matrix = optima.planted(12, blocks=3, common=0.5, seed=0, samples=200_000)
    within = 0.64 * 0.5 + 0.5
    assert matrix[0, 3] == pytest.approx(within, abs=0.01)
    assert matrix[0, 4] == pytest.approx(0.5, abs=0.01)
    assert optima.noise(6, seed=0, samples=200_000)[0, 1] == pytest.approx(0, abs=0.01)


def test_a_common_factor_lowers_q_though_the_blocks_are_found() -> None:
    table = optima.common_factor_table()
    assert table["score"].is_monotonic_decreasing
    assert table["score"].iloc[-1] < 0.1 * table["score"].iloc[0]
    assert (table["recovered"] == 1).all()


def test_the_floor_of_noise_falls_with_the_units() -> None:
    table = optima.floor_table((16, 64), draws=4).set_index("units")
    assert table.loc[64, "mean"] == pytest.approx(0.07, abs=0.01)
    assert table.loc[16, "mean"] > table.loc[64, "mean"]


def test_shuffled_labels_are_no_test_of_q_and_searched_noise_is() -> None:
    rates = optima.false_positive_table(matrices=20, units=24).set_index("test")["rate"]
    assert rates["shuffled labels"] > 0.9
    assert rates["searched noise"] < 0.25


def test_near_optima_are_compared_with_the_best() -> None:
    matrix = optima.noise(30, seed=3)
    table = optima.near_optima(matrix, searches=4)
    assert table["score"].tolist() == [find_modules(matrix, seed=seed).score for seed in range(4)]
    assert table.loc[table["score"].idxmax(), ["share", "alike"]].tolist() == [1, 1]


def test_exact_optima_of_choices_of_units() -> None:
    table = optima.exact_table({"a": random_matrix(12, 0), "dead": np.zeros((9, 9))}, units=6)
    assert table["matrix"].tolist() == ["a"]
    assert table["partitions"].tolist() == [203]
    assert (table["search"] <= table["exact"] + 1e-12).all()


def told(**changes: pd.DataFrame) -> dict[str, str]:
    tables = {
        "gaps": optima.gap_table({"trained networks": {"a": optima.noise(16, seed=0)}}, restarts=3),
        "near": optima.near_optima(optima.noise(16, seed=0), searches=4),
        "exact": optima.exact_table({"a": random_matrix(8, 0)}, units=5),
        "common": optima.common_factor_table((0.0, 0.5), units=16),
        "positives": pd.DataFrame({"test": ["shuffled labels", "searched noise"], "rate": [0.9, 0.1], "matrices": 10}),
    }
    return optima.facts(**{**tables, **changes})


def test_words_follow_the_tables() -> None:
    assert "calls 90% modular" in told()["positives_sentence"]
    exact = pd.DataFrame({"exact": [0.5, 0.4], "search": [0.5, 0.3], "partitions": [52, 52]})
    assert told(exact=exact)["exact_sentence"].startswith("On 1 of 2 such choices")
    near = pd.DataFrame({"share": [1.0, 0.96, 0.9], "alike": [1.0, 0.7, 0.2], "score": [1.0, 0.96, 0.9]})
    assert told(near=near)["near_sentence"].startswith("Of 3 searches 2 come within five percent")
    assert "0.20 to 0.70" in told(near=near)["near_sentence"]


def test_figures_show_every_matrix_and_search() -> None:
    table = optima.gap_table({"noise": {str(seed): optima.noise(16, seed=seed) for seed in range(3)}}, restarts=2)
    figure = search.gaps_of_methods(table)
    lines = figure.axes[0].lines
    assert [len(line.get_xdata()) for line in lines] == [3, 1] * table["method"].nunique()
    last = table[table["method"] == "best of 2 searches"]["gap"]
    assert lines[0].get_xdata() == pytest.approx(100 * last.to_numpy())
    near = optima.near_optima(optima.noise(16, seed=0), searches=4)
    assert len(search.near_optima(near).axes[0].lines[0].get_xdata()) == 4
    floor, common = optima.floor_table((8, 16), draws=2), optima.common_factor_table((0.0, 0.5), units=16)
    left, right = search.floor_and_common_factor(floor, common).axes
    assert right.lines[0].get_ydata().tolist() == common["score"].tolist()
    assert left.lines[0].get_ydata().tolist() == floor["mean"].tolist()

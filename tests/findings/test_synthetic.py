"""Noise, planted blocks and tests of Q behave as their definitions say."""

import numpy as np
import pandas as pd
import pytest

from modularity_lib import figures
from modularity_lib.book.words import modules as modules_words
from modularity_lib.clustering.modularity import modularity_score
from modularity_lib.findings import synthetic as made_up


def test_planted_blocks_have_the_correlations_they_are_made_with() -> None:
    matrix = made_up.planted(12, blocks=3, common=0.5, seed=0, samples=200_000, shared=0.64)
    assert matrix[0, 3] == pytest.approx(0.5 + 0.5 * 0.64, abs=0.01)
    assert matrix[0, 4] == pytest.approx(0.5, abs=0.01)
    assert made_up.noise(6, seed=0, samples=200_000)[0, 1] == pytest.approx(0, abs=0.01)


def test_a_common_factor_lowers_q_though_the_blocks_are_found() -> None:
    table = made_up.common_factor_table(shared=(0.64,))
    assert table["score"].is_monotonic_decreasing
    assert table["score"].iloc[-1] < 0.1 * table["score"].iloc[0]
    assert (table["recovered"] == 1).all()
    # Four blocks without a common factor: a unit is together with all it is similar to, so Q = 1 - 1/4.
    assert table["expected"].iloc[0] == pytest.approx(0.75)
    assert (table["expected"].iloc[1:] <= table["score"].iloc[1:]).all()


def test_the_floor_of_noise_falls_with_the_units_and_not_with_the_samples() -> None:
    table = made_up.floor_table((16, 64), samples=(100, 2_000), draws=4).set_index(["units", "samples"])["mean"]
    assert table[64, 100] == pytest.approx(0.07, abs=0.01)
    assert table[64, 2_000] == pytest.approx(0.07, abs=0.01)
    assert table[16, 2_000] > table[64, 2_000]


@pytest.fixture(scope="module")
def p_values() -> pd.DataFrame:
    return made_up.p_value_table(matrices=30, draws=19, units=24, samples=200, steps=500)


def test_shuffled_labels_are_no_test_of_q_and_searched_nulls_are(p_values: pd.DataFrame) -> None:
    rates = made_up.rate_table(p_values).set_index(["kind", "test"])
    assert rates.loc[("noise", made_up.SHUFFLED), "rate"] > 0.9
    assert rates.loc[("noise", made_up.SEARCHED), "rate"] < 0.2
    assert rates.loc[("planted blocks", made_up.SEARCHED), "rate"] > 0.9
    assert rates.loc[("blocks under a common factor", made_up.SEARCHED), "rate"] < 0.1


def test_p_values_are_those_of_phipson_and_smyth(p_values: pd.DataFrame) -> None:
    values = np.round(20 * p_values["p_value"])
    np.testing.assert_allclose(values, 20 * p_values["p_value"])
    assert values.between(1, 20).all()
    assert len(p_values) == 30 * len(made_up.TESTED) * 2
    scores = p_values.groupby(["kind", "matrix"])["score"].nunique()
    assert (scores == 1).all()  # both tests are of one search


def test_rates_count_matrices_at_the_level() -> None:
    table = pd.DataFrame({"kind": "noise", "test": "t", "p_value": [0.05, 0.05, 0.0501, 1.0]})
    row = made_up.rate_table(table).iloc[0]
    assert (row["called"], row["matrices"], row["rate"]) == (2, 4, 0.5)
    assert 0.1 < row["low"] < 0.5 < row["high"] < 0.9


def test_words_follow_the_tables(p_values: pd.DataFrame) -> None:
    rate = made_up.rate_table(p_values).iloc[0]
    assert rate["test"] == made_up.SHUFFLED
    head, _, first, *_ = modules_words.rates_markdown(p_values).splitlines()
    assert head == f"| matrices | {made_up.SHUFFLED} | {made_up.SEARCHED} |"
    assert first.startswith(f"| {rate['kind']} | {rate['called'] / 30:.0%}".replace("%", " % ("))
    floor = pd.DataFrame({"units": [8, 16] * 2, "samples": [10, 10, 1000, 1000], "mean": [0.3, 0.2, 0.1, 0.05]})
    assert "Q of pure noise is 0.05 to 0.10, depending on the number of units" in modules_words.floor_text(floor)
    assert "for 16 units Q is 0.050 to 0.200" in modules_words.floor_text(floor)


@pytest.mark.parametrize(
    ("recovered", "words"),
    [
        ([1.0, 1.0, 1.0], "Yet the blocks are found throughout."),
        ([1.0, 1.0, 0.3], "The blocks are found up to 0.2."),
        ([0.5, 1.0, 1.0], "The blocks are found in none of these cases."),
    ],
)
def test_words_say_how_far_blocks_are_found(recovered: list[float], words: str) -> None:
    common = pd.DataFrame({"shared": 0.3, "common": [0.0, 0.2, 0.5], "score": [0.6, 0.2, 0.1], "recovered": recovered})
    said = modules_words.common_text(common)
    assert said.startswith("Blocks of units with a correlation of 0.3 have a Q of 0.60 where all units share a")
    assert words in said


def test_the_figure_shows_the_share_of_matrices_up_to_each_p_value(p_values: pd.DataFrame) -> None:
    panels = figures.p_values_of_tests(p_values).axes
    assert [panel.get_title() for panel in panels] == list(made_up.TESTED)
    line = panels[0].lines[0]
    assert len(line.get_xdata()) == 30 + 2
    assert line.get_ydata()[15] == pytest.approx(0.5)


def test_the_expected_q_is_that_of_the_planted_blocks() -> None:
    table = made_up.common_factor_table((0.5,), units=8, blocks=2, shared=(0.3,), draws=1)
    same = made_up.block_of(8, 2)[:, None] == made_up.block_of(8, 2)
    exact = np.where(same, 0.65, 0.5)
    assert table["expected"].iloc[0] == pytest.approx(modularity_score(exact, made_up.block_of(8, 2)))

"""Agreement over all units calls shared silence agreement; over live units the test keeps its level and its power."""

import numpy as np
import pandas as pd
import pytest

from modularity_lib.alignment.scores import element_centric_similarity, expected_element_centric_similarity
from modularity_lib.clustering.paper_search import spectral_modules
from modularity_lib.findings import made_up_silence
from modularity_lib.findings.made_up_silence import KINDS_OF_PAIRS, SILENT, UNITS, trial_table

UNRELATED, RECTIFIED, HALF, SCATTERED = KINDS_OF_PAIRS


@pytest.fixture(scope="module")
def tried() -> pd.DataFrame:
    return trial_table().set_index(["pairs_of", "dead", "units"])


@pytest.mark.parametrize("kind", [UNRELATED, RECTIFIED])
def test_over_live_units_the_test_keeps_its_level_of_five_percent(tried: pd.DataFrame, kind: str) -> None:
    for dead in SILENT:
        # at a level of 5 %, 12 of 100 or more come by chance once in 230 times
        assert tried.loc[(kind, dead, "live"), "beyond_chance"] <= 0.11
        assert abs(tried.loc[(kind, dead, "live"), "corrected"]) < 0.03


@pytest.mark.parametrize("kind", [UNRELATED, RECTIFIED])
def test_over_all_units_shared_silence_is_called_agreement(tried: pd.DataFrame, kind: str) -> None:
    assert tried.loc[(kind, 48, "all"), "beyond_chance"] == 1.0
    assert tried.loc[(kind, 48, "all"), "corrected"] > 0.6
    assert tried.loc[(kind, 0, "all")].equals(tried.loc[(kind, 0, "live")])


def test_modules_in_common_are_found_over_live_units_and_their_share_is_right(tried: pd.DataFrame) -> None:
    found = tried.loc[HALF].xs("live", level="units")
    assert found.loc[[0, 32], "beyond_chance"].min() >= 0.9
    assert found.loc[48, "beyond_chance"] > 0.3  # of 16 units
    # A live unit of the half is with all of its half and some of the others, so less than half of the way is left.
    assert found["corrected"].between(0.15, 0.3).all()


def test_silent_units_scattered_in_one_clustering_hide_agreement_over_all_units(tried: pd.DataFrame) -> None:
    hidden = tried.loc[SCATTERED]["corrected"]
    assert hidden[48, "all"] < 0.5 * hidden[48, "live"]
    assert hidden[0, "all"] == hidden[0, "live"]


def test_modules_of_relus_are_those_of_their_absolute_correlations() -> None:
    source = np.random.default_rng(4)
    images, weights = source.standard_normal((300, 3)), source.standard_normal((3, 20))
    activity = np.array([[max(sum(x * w), 0) for w in weights.T] for x in images])
    expected = [[abs(np.corrcoef(activity[:, i], activity[:, j])[0, 1]) for j in range(20)] for i in range(20)]
    found = made_up_silence._modules_of_relus(np.random.default_rng(4), 20)
    assert found.tolist() == spectral_modules(np.array(expected)).labels.tolist()


def test_agreement_is_a_mean_over_pairs_beyond_chance() -> None:
    source, values = np.random.default_rng(0), []
    for a, b in [(source.integers(0, 4, 64), source.integers(0, 4, 64)) for _ in range(3)]:
        chance = expected_element_centric_similarity(a, b)
        values.append((element_centric_similarity(a, b) - chance) / (1 - chance))
    assert trial_table(pairs=3, permutations=9)["corrected"].iloc[0] == pytest.approx(sum(values) / 3)
    assert made_up_silence._corrected(np.zeros(5, dtype=int), np.zeros(5, dtype=int)) == 0  # by chance they agree, too


def test_a_p_value_of_the_level_itself_is_not_below_it() -> None:
    """The smallest p of 19 permutations is 1/20."""
    assert (trial_table(pairs=2, permutations=19)["beyond_chance"] == 0).all()


def test_the_table_has_every_case_once() -> None:
    table = trial_table(pairs=2, permutations=9)
    assert len(table) == len(KINDS_OF_PAIRS) * len(SILENT) * 2
    assert set(table["pairs"]) == {2}
    assert max(SILENT) < UNITS
    assert trial_table(pairs=2, permutations=9).equals(table)
    assert made_up_silence.trial_table(pairs=2, permutations=9, seed=1)["corrected"].ne(table["corrected"]).any()

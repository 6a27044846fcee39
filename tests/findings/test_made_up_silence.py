"""Agreement over all units calls shared silence agreement; over live units the test keeps its level and its power."""

import pandas as pd
import pytest

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


def test_the_table_has_every_case_once() -> None:
    table = trial_table(pairs=2, permutations=9)
    assert len(table) == len(KINDS_OF_PAIRS) * len(SILENT) * 2
    assert set(table["pairs"]) == {2}
    assert max(SILENT) < UNITS
    assert trial_table(pairs=2, permutations=9).equals(table)
    assert made_up_silence.trial_table(pairs=2, permutations=9, seed=1)["corrected"].ne(table["corrected"]).any()

"""The shipped results of v1 beside the numbers of the paper."""

from itertools import combinations

import numpy as np
import pytest

from modularity_lib.comparison import compare_with_paper
from modularity_lib.experiments import STUDIES
from modularity_lib.results import Results
from modularity_lib.shipped import shipped_tables
from modularity_lib.store import Store
from modularity_lib.tables import stored_results


@pytest.fixture(scope="module")
def v1(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return stored_results(STUDIES["v1"], Store(tmp_path_factory.mktemp("empty")))


def test_all_networks_of_v1_come_with_the_project(v1: Results) -> None:
    shipped = shipped_tables("v1")
    assert shipped is not None
    assert (v1.networks["trained"].sum(), (~v1.networks["trained"]).sum()) == (288, 500)
    assert set(v1.networks["status"]) == {"ok"}


def test_q_is_that_of_the_paper(v1: Results) -> None:
    compared = compare_with_paper(v1, "q_vs_regularisation")
    assert not compared["here"].isna().any()
    assert compared["difference"].abs().mean() <= 0.01
    assert compared["difference"].abs().max() <= 0.04


def test_the_curves_are_ordered_as_in_the_paper(v1: Results) -> None:
    compared = compare_with_paper(v1, "q_vs_regularisation")
    for measure, rows in compared.groupby("measure"):
        curves = rows.groupby("regulariser")[["paper", "here"]].max()  # how high each regulariser gets
        for a, b in combinations(curves.index, 2):
            published, ours = curves.loc[a] - curves.loc[b]
            if abs(published) > 0.03:
                assert np.sign(published) == np.sign(ours), (measure, a, b)


def test_agreement_is_that_of_the_paper(v1: Results) -> None:
    compared = compare_with_paper(v1, "agreement")
    assert compared["difference"].abs().max() <= 0.05

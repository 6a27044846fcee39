"""The shipped results of v1 beside the numbers of the paper."""

from itertools import combinations

import numpy as np
import pytest

from modularity_lib.findings.comparison import compare_with_paper
from modularity_lib.findings.paper import published
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.keys import network_keys
from modularity_lib.studies.results import Results
from modularity_lib.studies.shipped import RESULTS_FOLDER, shipped_tables


def test_all_networks_of_v1_come_with_the_project(v1: Results) -> None:
    shipped = shipped_tables("v1")
    assert shipped is not None
    assert (v1.networks["trained"].sum(), (~v1.networks["trained"]).sum()) == (288, 500)
    assert set(v1.networks["status"]) == {"ok"}


@pytest.mark.parametrize("name", [folder.name for folder in sorted(RESULTS_FOLDER.glob("*/"))])
def test_what_is_shipped_is_complete_and_made_by_the_code_as_it_is(name: str) -> None:
    study, shipped = STUDIES[name], shipped_tables(name)
    assert shipped is not None
    configs = study.trained_configs() + study.untrained_configs()
    assert shipped.keys == {network_keys(config, study).of["agreement"] for config in configs}


def test_q_is_that_of_the_paper(v1: Results) -> None:
    compared = compare_with_paper(v1, "q_vs_regularisation")
    assert not compared["here"].isna().any()
    assert compared["difference"].abs().mean() <= 0.01
    assert compared["difference"].abs().max() <= 0.04


def test_the_curves_are_ordered_as_in_the_paper(v1: Results) -> None:
    compared = compare_with_paper(v1, "q_vs_regularisation")
    compared["percent"] = published("q_vs_regularisation")["percent_regularisation"].to_numpy()
    grid = np.linspace(0, 0.7, 29)  # of the common axis; the curves have their points at different places
    n_compared = 0
    for measure, rows in compared.groupby("measure"):
        curves = {
            regulariser: {column: np.interp(grid, curve["percent"], curve[column]) for column in ("paper", "here")}
            for regulariser, curve in rows.sort_values("percent").groupby("regulariser")
        }
        for a, b in combinations(curves, 2):
            in_paper, ours = (curves[a][column] - curves[b][column] for column in ("paper", "here"))
            clear = np.abs(in_paper) > 0.03
            n_compared += int(clear.sum())
            assert (np.sign(in_paper) == np.sign(ours))[clear].all(), (measure, a, b)
    assert n_compared > 50


def test_agreement_is_that_of_the_paper(v1: Results) -> None:
    compared = compare_with_paper(v1, "agreement")
    assert not compared["here"].isna().any()
    assert compared["difference"].abs().max() <= 0.05

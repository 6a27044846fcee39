"""The rules of why dropout makes modules: what they call, and how often they err on made-up runs."""

import numpy as np
import pytest

from modularity_lib.findings import made_up_layers, why_dropout
from modularity_lib.findings.why_dropout import copies_answer, half_time, order_answer, signal_answer

SPREAD = np.linspace(-0.02, 0.02, 9)


@pytest.mark.parametrize(
    ("found", "rotated", "answer"),
    [
        (0.5, 0.0, why_dropout.COPIES),
        (0.8, 0.5, why_dropout.BOTH),
        (0.8, 0.78, why_dropout.DIMENSIONS),
        (0.04, 0.0, why_dropout.NO_COPIES),  # too little
        (-0.5, -0.6, why_dropout.NO_COPIES),
    ],
)
def test_a_rise_of_the_twins_is_copies_or_dimensions(found: float, rotated: float, answer: str) -> None:
    assert copies_answer(found + SPREAD, rotated - SPREAD) == answer


def test_one_signal_keeps_all_or_not() -> None:
    assert signal_answer(0.95 + SPREAD) == why_dropout.ONE
    assert signal_answer(0.8 + SPREAD) == why_dropout.SEVERAL
    assert signal_answer(0.9 + SPREAD) == why_dropout.UNDECIDED


def test_what_comes_first_is_said_where_all_runs_are_sure() -> None:
    assert order_answer(-0.3 + SPREAD) == why_dropout.BEFORE
    assert order_answer(0.3 + SPREAD) == why_dropout.AFTER
    assert order_answer(SPREAD) == why_dropout.TOGETHER
    assert why_dropout.basis_answer(0.1 + SPREAD) == why_dropout.BASIS
    assert why_dropout.basis_answer(0.01 + SPREAD / 100) == why_dropout.NO_BASIS


def test_a_half_time_is_that_of_the_first_crossing_in_the_logarithm_of_epochs() -> None:
    # a straight line in log10(1 + epoch), up or down: halfway at 1 + epoch = 10
    assert half_time([0, 9, 99], [0.0, 1.0, 2.0], least=0.1) == pytest.approx(9)
    assert half_time([0, 9, 99], [2.0, 1.0, 0.0], least=0.1) == pytest.approx(9)
    assert half_time([0, 99], [0.0, 1.0], least=0.1) == pytest.approx(9)
    # a dip first, and a second crossing later, change nothing
    assert half_time([0, 1, 9, 20, 99], [0.0, -0.5, 0.5, 0.1, 1.0], least=0.1) == pytest.approx(9)
    assert np.isnan(half_time([0, 9, 99], [0.0, 1.0, 0.05], least=0.1))
    assert np.isnan(half_time([0, 9, 99], [0.2, 0.2, 0.2], least=0.0))


@pytest.mark.parametrize("sets", [3])
def test_made_up_runs_are_called_by_what_they_are(sets: int) -> None:
    table = made_up_layers.made_up_table(sets=sets).set_index("case")
    assert (table.loc[table["truth"], "called"] == 1).all()
    wrong = table.loc[~table["truth"] & (table["rule"] != "order"), "called"]
    known = "the same, weights of all units of one length"  # the null cannot tell it: the page says so
    assert wrong[known] == 1
    assert (wrong.drop(known) == 0).all()

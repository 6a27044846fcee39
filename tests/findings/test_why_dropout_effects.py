"""Tables of made-up runs give the answers that they were made for, in numbers, words and figures."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from made_up_results import made_up_results
from modularity_lib import figures
from modularity_lib.book.words import why_dropout as words
from modularity_lib.findings import why_dropout, why_dropout_effects
from modularity_lib.findings.why_dropout_effects import bases, half_times, layer_answers, orders, quantities
from modularity_lib.studies.results import Results

STRENGTHS = (0.0, 0.3, 0.7)
BASE = {"l2": 1e-5, "l1": 0.0}


def near_copies(*, twins: float = 0.6, rotated: float = 0.1, kept: float = 0.5, runs: int = 9) -> pd.DataFrame:
    """Made-up rows of `near_copies`: in layer 1 twins rise to `twins`, in layer 2 they stay."""
    random, rows = np.random.default_rng(0), []
    for run in range(runs):
        for dropout in STRENGTHS:
            for layer in (1, 2):
                share = dropout / 0.7 if layer == 1 else 0.0
                numbers = dict.fromkeys(why_dropout.PILOT, 0.3 + 0.5 * share)
                numbers |= {"twins": twins * share, "rotated_twins": rotated * share}
                numbers |= {"one_signal": 0.1 + 0.85 * kept, "one_signal_random": 0.2, "same_rank": 0.1 + 0.85 * kept}
                numbers |= {"accuracy": 0.95, "rotated_twin_correlation": 0.3, "live_units": 60.0, "modules": 4.0}
                shaken = {name: value + 0.002 * random.standard_normal() for name, value in numbers.items()}
                rows.append({"run": run, **BASE, "dropout": dropout, "layer": layer, "trained": True, **shaken})
                if dropout == 0:
                    rows.append({**rows[-1], "trained": False, "twins": 0.0})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def results() -> Results:
    return made_up_results()


@pytest.mark.parametrize(
    ("twins", "rotated", "first"),
    [
        (0.6, 0.1, why_dropout.COPIES),
        (0.6, 0.4, why_dropout.BOTH),
        (0.6, 0.59, why_dropout.DIMENSIONS),
        (0.01, 0.0, why_dropout.NO_COPIES),
    ],
)
def test_each_layer_has_its_answer(twins: float, rotated: float, first: str) -> None:
    one, two = layer_answers(near_copies(twins=twins, rotated=rotated))
    assert (one.copies, two.copies) == (first, why_dropout.NO_COPIES)
    assert one.beyond.mean == pytest.approx(twins - rotated, abs=0.005)
    assert one.found.n_runs == 9


def test_what_is_kept_is_a_share_of_the_accuracy_above_guessing() -> None:
    table = near_copies(kept=0.95)
    one, _ = layer_answers(table)
    last = table[(table["dropout"] == 0.7) & (table["layer"] == 1) & table["trained"]]
    expected = ((last["one_signal"] - 0.1) / (last["accuracy"] - 0.1)).mean()
    assert one.kept.mean == pytest.approx(expected, abs=1e-12)
    assert one.signal == why_dropout.ONE
    assert one.over_random.mean == pytest.approx((last["one_signal"] - last["one_signal_random"]).mean(), abs=1e-12)
    assert layer_answers(near_copies(kept=0.5))[0].signal == why_dropout.SEVERAL


def test_quantities_are_means_over_runs_of_trained_networks_beside_the_pilot() -> None:
    table = near_copies()
    found = {(quantity.name, quantity.layer): quantity for quantity in quantities(table)}
    rows = table[table["trained"] & (table["layer"] == 1)]
    twins = found["twins", 1]
    assert twins.strongest.mean == pytest.approx(rows.loc[rows["dropout"] == 0.7, "twins"].mean(), abs=1e-12)
    assert twins.untrained is not None
    assert twins.untrained.mean == 0
    assert twins.pilot == (0.0, 0.42)
    assert twins.holds is False  # 0.6, and no interval reaches 0.42
    assert quantities(table[table["dropout"] < 0.7])[0].pilot is None  # another strength than the pilot's


def random_near_copies() -> pd.DataFrame:
    """Rows of `near_copies` with other numbers everywhere; run 4 lacks the strongest dropout, run 2 a contrast."""
    random, rows = np.random.default_rng(1), []
    names = [*why_dropout.PILOT, "rotated_twins", "same_rank", "accuracy"]
    for run in range(5):
        for dropout in (0.0, 0.3, 0.7, 0.9)[: 3 if run == 4 else 4]:
            for layer in (1, 2):
                for trained in (True, False) if dropout == 0 else (True,):
                    numbers = {name: random.random() + 0.3 * dropout for name in names}
                    rows.append({"run": run, **BASE, "dropout": dropout, "layer": layer, "trained": trained, **numbers})
    table = pd.DataFrame(rows)
    table.loc[(table["run"] == 2) & (table["dropout"] == 0.7), "input_contrast"] = np.nan
    return table


def by_run(table: pd.DataFrame, name: str, layer: int, dropout: float, *, trained: bool = True) -> dict[int, float]:
    place = {"layer": layer, "dropout": dropout, "trained": trained}
    rows = [row for row in table.to_dict("records") if all(row[key] == value for key, value in place.items())]
    return {row["run"]: row[name] for row in rows if row[name] == row[name]}


def test_every_quantity_is_a_mean_over_the_runs_that_have_it_at_the_strongest_that_all_have() -> None:
    table = random_near_copies()
    assert why_dropout_effects.strongest_dropout(table) == 0.7
    found = quantities(table)
    assert [(one.name, one.layer) for one in found] == [(name, layer) for name in why_dropout.PILOT for layer in (1, 2)]
    for one in found:
        first, last = (by_run(table, one.name, one.layer, dropout) for dropout in (0.0, 0.7))
        before = by_run(table, one.name, one.layer, 0.0, trained=False)
        assert one.untrained is not None
        for effect, values in ((one.untrained, before), (one.without, first), (one.strongest, last)):
            assert effect.mean == pytest.approx(sum(values.values()) / len(values))
            assert effect.n_runs == len(values) == (4 if values is last and one.name == "input_contrast" else 5)
        assert one.change.mean == pytest.approx(np.mean([last[run] - first[run] for run in last]))
        assert one.pilot == why_dropout.PILOT[one.name][one.layer]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("shift", "held"), [(0.004, "all"), (0.006, "participation"), (0.049, "participation")])
def test_a_pilot_holds_up_to_the_digits_in_which_it_is_told(shift: float, held: str, sign: int) -> None:
    for at in (0.0, 0.7):  # the end that is not where the pilot says
        rows = []
        for run in range(3):
            for dropout, end in ((0.0, 0), (0.7, 1)):
                for layer in (1, 2):
                    numbers = {name: of[layer][end] + 1e-6 * run for name, of in why_dropout.PILOT.items()}
                    numbers = {name: value + sign * shift * (dropout == at) for name, value in numbers.items()}
                    rows.append({"run": run, "dropout": dropout, "layer": layer, "trained": True, **numbers})
        for one in quantities(pd.DataFrame(rows)):
            assert one.holds is (held in ("all", one.name)), one
            assert one.untrained is None


def test_the_answer_of_a_layer_has_the_numbers_of_plain_loops() -> None:
    table = random_near_copies()
    for answer in layer_answers(table):
        first, last = (
            {name: by_run(table, name, answer.layer, dropout) for name in table.columns[6:]} for dropout in (0.0, 0.7)
        )
        runs = range(5)
        found = [last["twins"][run] - first["twins"][run] for run in runs]
        rotated = [last["rotated_twins"][run] - first["rotated_twins"][run] for run in runs]
        kept = [(last["one_signal"][run] - 0.1) / (last["accuracy"][run] - 0.1) for run in runs]
        expected = {
            "found": found,
            "rotated": rotated,
            "beyond": [a - b for a, b in zip(found, rotated, strict=True)],
            "kept": kept,
            "over_random": [last["one_signal"][run] - last["one_signal_random"][run] for run in runs],
            "over_rank": [last["one_signal"][run] - last["same_rank"][run] for run in runs],
        }
        for name, values in expected.items():
            effect = getattr(answer, name)
            assert (effect.mean, effect.largest) == pytest.approx((np.mean(values), max(values))), name
        shares = [np.mean(list(of.values())) for of in (first["twins"], last["twins"], last["rotated_twins"])]
        assert answer.shares == pytest.approx(shares)


def test_one_signal_is_judged_by_what_it_keeps_and_not_by_its_accuracy() -> None:
    table = near_copies(kept=0.5).assign(accuracy=0.55)  # 0.425 of 0.45 above guessing
    assert {answer.signal for answer in layer_answers(table)} == {why_dropout.ONE}


def linear_control(*, excess: float) -> pd.DataFrame:
    """Made-up rows of `linear_control`: beyond turned units Q rises by `excess`, with ReLUs by 0.2."""
    random, rows = np.random.default_rng(0), []
    for run in range(9):
        for dropout in (0.0, 0.7):
            for rectified in (False, True):
                for layer in (1, 2):
                    for measure in ("input_covariance_norm", "input_gradient_norm"):
                        rise = (dropout > 0) * (0.2 if rectified else excess)
                        numbers = {"score": 0.15 + rise, "rotated": 0.1, "accuracy": 0.9, "balance": 0.85}
                        numbers |= {"penalty": 30.0, "rotated_penalty": 40.0}
                        shaken = {
                            name: value * (1 + 0.01 * random.standard_normal()) for name, value in numbers.items()
                        }
                        place = {"rectified": rectified, "layer": layer, "measure": measure}
                        rows.append({"run": run, **BASE, "dropout": dropout, **place, **shaken})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("excess", "answer"), [(0.1, why_dropout.BASIS), (0.0, why_dropout.NO_BASIS)])
def test_a_basis_is_what_rises_beyond_turned_units(excess: float, answer: str) -> None:
    table = linear_control(excess=excess)
    found = bases(table)
    assert len(found) == 8
    assert {basis.answer for basis in found if not basis.rectified} == {answer}
    for basis in found:
        assert basis.excess.mean == pytest.approx(0.2 if basis.rectified else excess, abs=0.004)
        assert basis.without.mean == pytest.approx(0.15, abs=0.004)
        assert basis.without_rotated.mean == pytest.approx(0.1, abs=0.004)
    assert bases(table[table["dropout"] == 0]) == []


def test_a_basis_has_the_numbers_of_plain_loops_over_runs_that_have_both_ends() -> None:
    table = linear_control(excess=0.0)
    random = np.random.default_rng(2)
    table["rotated"] += 0.1 * random.random(len(table)) + 0.2 * (table["dropout"] > 0)  # all that Q rises by, and more
    table["score"] += 0.1 * random.random(len(table)) + 0.1 * (table["dropout"] > 0)
    table = table[(table["run"] > 0) | (table["dropout"] == 0)]
    for basis in bases(table):
        rows = {
            (row["run"], row["dropout"]): (row["score"], row["rotated"])
            for row in table.to_dict("records")
            if (row["rectified"], row["layer"], row["measure"]) == (basis.rectified, basis.layer, basis.measure)
        }
        first, last = ([rows[run, dropout] for run in range(1, 9)] for dropout in (0.0, 0.7))
        assert basis.without.mean == pytest.approx(np.mean([q for q, _ in first]))
        assert basis.without_rotated.mean == pytest.approx(np.mean([turned for _, turned in first]))
        assert basis.strongest.mean == pytest.approx(np.mean([q for q, _ in last]))
        assert basis.strongest_rotated.mean == pytest.approx(np.mean([turned for _, turned in last]))
        excess = [(b[0] - a[0]) - (b[1] - a[1]) for a, b in zip(first, last, strict=True)]
        assert basis.excess.mean == pytest.approx(np.mean(excess))
        assert basis.answer == (why_dropout.BASIS if basis.rectified else why_dropout.NO_BASIS)


@pytest.mark.parametrize(
    ("without", "strongest", "turned", "holds"),
    [
        (0.109, 0.180, 0.117, True),
        (0.109 + 0.006, 0.180, 0.117, False),
        (0.109, 0.180 - 0.006, 0.117, False),
        (0.109, 0.180, 0.117 + 0.006, False),
        (0.109, 0.180 + 0.004, 0.117, True),
    ],
)
def test_the_linear_pilot_is_of_one_measure_of_linear_units_in_layer_1(
    without: float, strongest: float, turned: float, holds: bool
) -> None:
    table = linear_control(excess=0.0)
    here = ~table["rectified"] & (table["layer"] == 1) & (table["measure"] == "input_covariance_norm")
    table["score"] = 0.5
    table.loc[here, "score"] = np.where(table.loc[here, "dropout"] == 0, without, strongest)
    table.loc[here, "rotated"] = np.where(table.loc[here, "dropout"] == 0, 0.114, turned)
    assert why_dropout_effects.linear_pilot_holds(bases(table)) is holds
    assert why_dropout_effects.linear_pilot_holds(bases(table[~here])) is None


def course() -> pd.DataFrame:
    """Made-up rows of `training_course`: accuracy is halfway long before Q, dimensions with it, agreement after."""
    random, rows = np.random.default_rng(0), []
    middle = {"accuracy": 2, "participation": 30, "twin_correlation": 30, "score": 30, "across": 200}
    for run in range(9):
        for dropout in (0.0, 0.7):
            for epoch in (0, 1, 3, 10, 30, 100, 300, 500):
                for layer in (1, 2):
                    noise = 1 + 0.03 * random.standard_normal()
                    numbers = {name: epoch / (epoch + at * noise) for name, at in middle.items()}
                    place = {"run": run, **BASE, "dropout": dropout, "epoch": epoch, "layer": layer}
                    numbers |= {"participation": 30 - numbers["participation"], "rotated_twin_correlation": 0.0}
                    rows.append({**place, **numbers})
    return pd.DataFrame(rows)


def test_what_comes_first_is_told_setting_by_setting() -> None:
    found = {(order.setting.dropout, order.quantity): order for order in orders(course())}
    for dropout in (0.0, 0.7):
        assert found[dropout, "accuracy"].answer == why_dropout.BEFORE
        assert found[dropout, "participation"].answer == why_dropout.TOGETHER
        assert found[dropout, "across"].answer == why_dropout.AFTER
        assert found[dropout, "score"].ratio is None
        assert found[dropout, "accuracy"].half_time < 5 < 60 < found[dropout, "across"].half_time


def test_half_times_are_compared_run_by_run_with_that_of_q_on_a_logarithmic_scale() -> None:
    table = course()
    times = half_times(table)
    for order in orders(table):
        rows = times[times["dropout"] == order.setting.dropout]
        own, q = (rows[rows["quantity"] == name].set_index("run")["half_time"] for name in (order.quantity, "score"))
        assert order.half_time == pytest.approx(np.exp(np.mean([np.log(own[run]) for run in range(9)])))
        if order.quantity == "score":
            assert (order.answer, order.ratio) == ("", None)
        else:
            assert order.ratio is not None
            assert order.ratio.mean == pytest.approx(np.mean([np.log10(own[run] / q[run]) for run in range(9)]))


def test_a_twentieth_of_the_largest_change_counts_and_every_run_must_have_a_half_time() -> None:
    table = course()
    table["across"] = 0.1 + 0.06 * table["epoch"] / 500
    table.loc[table["dropout"] > 0, "across"] = table["epoch"] / 500
    times = half_times(table).set_index(["dropout", "quantity"])["half_time"]
    assert times[0.0, "across"].notna().all()
    table.loc[(table["dropout"] == 0) & (table["run"] == 3), "across"] = 0.1
    [order] = [one for one in orders(table) if one.setting.dropout == 0 and one.quantity == "across"]
    assert (order.answer, order.ratio) == ("", None)
    assert np.isnan(order.half_time)


def test_what_does_not_move_has_no_half_time() -> None:
    table = course()
    still = table["dropout"] == 0
    table.loc[still, "across"] = 0.1
    times = half_times(table).set_index(["dropout", "quantity"])["half_time"]
    assert times[0.0, "across"].isna().all()
    assert times[0.7, "across"].notna().all()
    [order] = [o for o in orders(table) if o.setting.dropout == 0 and o.quantity == "across"]
    assert (order.answer, order.ratio) == ("", None)
    assert "hardly moves" in words.course_markdown(table)


def test_words_follow_the_tables(results: Results) -> None:
    many, few = (near_copies(twins=twins, rotated=0.0) for twins in (0.6, 0.01))
    told = words.texts(many, results, missing="")
    assert told["copies_answer"].startswith("In layer 1 dropout makes near-copies; in layer 2 units have no more twins")
    assert "not one unit copied" in told["copies_answer"]
    assert "have no more twins" in words.texts(few, results, missing="")["copies_answer"]
    assert "one thing" in words.texts(near_copies(kept=0.97), results, missing="")["copies_answer"]
    assert "twin, layer 1" in told["copies_pilot"]
    basis, none = (words.linear_texts(linear_control(excess=excess), missing="") for excess in (0.1, 0.0))
    assert "chooses a basis without any ReLU" in basis["linear_answer"]
    assert "Without the ReLU dropout chooses no basis" in none["linear_answer"]
    assert "25% less" in basis["linear_facts"]
    order = words.course_texts(course(), missing="")["course_answer"]
    assert "No regularisation: before Q: test accuracy" in order
    assert "after Q: agreement across the families" in order


def test_a_page_without_tables_says_what_is_missing(results: Results) -> None:
    for told in (
        words.texts(None, results, missing="There is none."),
        words.linear_texts(None, missing="There is none."),
        words.course_texts(None, missing="There is none."),
    ):
        assert "There is none." in told.values()
    full = [
        words.texts(near_copies(), results, missing=""),
        words.linear_texts(linear_control(excess=0.1), missing=""),
        words.course_texts(course(), missing=""),
    ]
    assert [set(told) for told in full] == [
        set(words.texts(None, results, missing="")),
        set(words.linear_texts(None, missing="")),
        set(words.course_texts(None, missing="")),
    ]
    assert words.quantities_markdown(None) == words.linear_markdown(None) == words.course_markdown(None) == ""


@pytest.mark.parametrize("is_there", [True, False])
def test_figures_are_drawn_from_their_tables(results: Results, is_there: bool) -> None:
    tables = [near_copies(), near_copies(), linear_control(excess=0.1), course()]
    plots = [
        figures.copies_against_dropout,
        figures.accuracy_of_signals,
        figures.linear_against_rectified,
        figures.course_of_training,
    ]
    panels = [10, 2, 4, 6] if is_there else [1, 1, 1, 1]
    for plot, table, count in zip(plots, tables, panels, strict=True):
        drawn = plot(results, table if is_there else None)
        assert isinstance(drawn, Figure)
        assert len(drawn.axes) == count
    if is_there:
        shares = figures.copies_against_dropout(results, tables[0]).axes[0].lines[0].get_ydata()
        by_strength = tables[0][tables[0]["trained"] & (tables[0]["layer"] == 1)].groupby("dropout")["twins"].mean()
        np.testing.assert_allclose(np.asarray(shares, dtype=float), by_strength)


def test_what_is_followed_is_a_mean_over_layers() -> None:
    table = course()
    table.loc[table["layer"] == 2, "score"] += 1
    table["rotated_twin_correlation"] = 0.25
    means = why_dropout_effects.followed(table)
    assert len(means) == len(table) / 2
    chosen = table[(table["run"] == 3) & (table["dropout"] == 0.7) & (table["epoch"] == 30)]
    [row] = means[(means["run"] == 3) & (means["dropout"] == 0.7) & (means["epoch"] == 30)].to_dict("records")
    assert row["score"] == pytest.approx(chosen["score"].sum() / 2, abs=1e-12)
    assert row["copies"] == pytest.approx(row["twin_correlation"] - 0.25, abs=1e-12)

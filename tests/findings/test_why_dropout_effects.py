"""Tables of made-up runs give the answers that they were made for, in numbers, words and figures."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from made_up_results import made_up_results
from modularity_lib import figures
from modularity_lib.book.words import linear_control as linear_words
from modularity_lib.book.words import training_course as course_words
from modularity_lib.book.words import why_dropout as words
from modularity_lib.findings import why_dropout, why_dropout_effects
from modularity_lib.findings.inference import effect_over_runs
from modularity_lib.findings.why_dropout_effects import bases, half_times, layer_answers, orders, quantities
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import Regularisation

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
    assert "hardly moves" in course_words.course_markdown(table)


def test_words_follow_the_tables(results: Results) -> None:
    many, few = (near_copies(twins=twins, rotated=0.0) for twins in (0.6, 0.01))
    told = words.texts(many, results, missing="")
    assert told["copies_answer"].startswith("In layer 1 dropout makes near-copies; in layer 2 units have no more twins")
    assert "more than one unit copied" in told["copies_answer"]
    assert "have no more twins" in words.texts(few, results, missing="")["copies_answer"]
    assert "one thing" in words.texts(near_copies(kept=0.97), results, missing="")["copies_answer"]
    assert "twin, layer 1" in told["copies_pilot"]
    basis, none = (
        linear_words.linear_texts(linear_control(excess=excess), results, missing="") for excess in (0.1, 0.0)
    )
    assert "So dropout makes a privileged basis even without a ReLU." in basis["linear_answer"]
    assert "without the ReLU dropout makes no privileged basis." in none["linear_answer"]
    assert "25 % less" in basis["linear_facts"]
    order = course_words.course_texts(course(), missing="")["course_answer"]
    assert "Under the baseline accuracy is halfway before Q" in order
    assert "agreement across the families is halfway after Q" in order


def copies_by_hand(*, same_rank: tuple[float, ...] = (0.4,)) -> pd.DataFrame:
    """Runs without spread, one for each `same_rank` of layer 1: copies there, in layer 2 fewer dimensions besides."""
    rows = []
    for run, rank in enumerate(same_rank):
        for dropout, end in ((0.0, 0), (0.7, 1)):
            for layer in (1, 2):
                numbers = {name: of[layer][end] for name, of in why_dropout.PILOT.items()}
                numbers |= {"accuracy": (0.5, 0.95)[end], "rotated_twin_correlation": 0.3, "modules": 4.0}
                numbers["twins"] = {1: (0.0, 0.62), 2: (0.1, 0.5)}[layer][end]
                numbers["rotated_twins"] = {1: (0.02, 0.12), 2: (0.05, 0.35)}[layer][end]
                numbers["one_signal"] = {1: 0.1 + 0.85 * 0.5, 2: 0.1 + 0.85 * 0.96}[layer]
                numbers |= {"one_signal_random": (0.2, 0.3)[end], "same_rank": rank if layer == 1 else 0.99}
                rows.append({"run": run, **BASE, "dropout": dropout, "layer": layer, "trained": True, **numbers})
                if dropout == 0:
                    rows.append({**rows[-1], "trained": False, "twins": 0.011})
    return pd.DataFrame(rows)


def test_words_on_copies_have_the_numbers_of_the_table(results: Results) -> None:
    told = words.texts(copies_by_hand(), results, missing="")
    both = "dropout makes near-copies, but most twins are due to fewer dimensions"
    assert told["copies_caption"] == f"In layer 1 dropout makes near-copies; in layer 2 {both}"
    assert told["copies_answer"] == (
        f"In layer 1 dropout makes near-copies; in layer 2 {both}. At its strongest 62 % and 50 % of the units in "
        "layers 1 and 2 have a twin: another unit's activity correlates with theirs above 0.9. If a random rotation "
        "mixes units, 12 % and 35 % do. So 16 % of the rise in layer 1 and 75 % of the rise in layer 2 come with fewer "
        "dimensions. In layer 1 a module is more than one unit copied, as one signal for it does not keep the "
        "accuracy; in layer 2 a module says one thing, as one unit copied would."
    )
    one = words.texts(copies_by_hand().query("layer == 1"), results, missing="")
    assert "At its strongest 62 % of the units in layer 1 have a twin" in one["copies_answer"]
    assert "So 16 % of the rise in layer 1 comes with fewer dimensions." in one["copies_answer"]
    third = copies_by_hand().query("layer == 1").assign(layer=3, rotated_twins=0.5)
    many = words.texts(pd.concat([copies_by_hand(), third], ignore_index=True), results, missing="")
    assert "strongest 50 % to 62 % of the units have a twin" in many["copies_answer"]
    assert "mixes units, 12 % to 50 % do." in many["copies_answer"]
    assert told["signal_caption"] == (
        "Of the accuracy above guessing one signal per module keeps 50 % in layer 1 and 96 % in layer 2"
    )
    assert told["copies_detail"] == (
        "In layer 1 the share of units with a twin goes from 0 % to 62 %. Among rotated units it ends at 12 %. The "
        "rise beyond theirs is 52 points [52, 52]: 84 % of the rise is copies, and the rest comes with fewer "
        "dimensions. In layer 2 the share of units with a twin goes from 10 % to 50 %. Among rotated units it ends at "
        "35 %. The rise beyond theirs is 10 points [10, 10]: 25 % of the rise is copies, and the rest comes with fewer "
        "dimensions."
    )
    assert told["signal_short"] == (
        "Of the accuracy above guessing one signal per module keeps 50 % in layer 1 and 96 % in layer 2. As many "
        "principal components of the whole layer keep no more in layer 1 and more in layer 2. From no dropout to the "
        "strongest, the accuracy with one signal per module goes from 0.53 to 0.53 in layer 1 and from 0.92 to 0.92 in "
        "layer 2."
    )
    assert told["signal_detail"] == (
        "In layer 1 one signal per module keeps 50 % [50 %, 50 %] of the accuracy above guessing. Its accuracy minus "
        "that of as many signals for the whole layer is +0.125 (0.125 to 0.125), and minus that of random groups of "
        "the same sizes +0.225 (0.225 to 0.225). In layer 2 one signal per module keeps 96 % [96 %, 96 %] of the "
        "accuracy above guessing. Its accuracy minus that of as many signals for the whole layer is -0.074 (-0.074 to "
        "-0.074), and minus that of random groups of the same sizes +0.616 (0.616 to 0.616)."
    )
    assert told["copies_n"] == "2 networks of 1 of 4 runs"
    assert words.texts(near_copies(runs=4), results, missing="")["copies_n"] == "12 networks of all 4 runs"
    assert (
        "| share of units with a twin | 1 | 0.011 | 0.000 (0.000 to 0.000) | 0.620 (0.620 to 0.620) | 0 → 0.42 |"
        in (words.quantities_markdown(copies_by_hand()).splitlines())
    )
    assert words._share(effect_over_runs(np.array([0.1, 0.2, 0.3]))) == "20 % [-5 %, 45 %]"  # 4.303 * 0.1 / √3 = 0.248


@pytest.mark.parametrize(
    ("same_rank", "said"),
    [
        ((0.57, 0.57), "no more"),  # 0.045 more
        ((0.58, 0.58), "more"),  # 0.055 more
        ((0.4, 0.6, 0.8), "about as much"),
        ((0.565, 0.585) * 3, "about as much"),  # 0.04 and 0.06 more
    ],
)
def test_signals_of_modules_are_as_good_within_a_twentieth_of_accuracy(
    same_rank: tuple[float, ...], said: str, results: Results
) -> None:
    told = words.texts(copies_by_hand(same_rank=same_rank), results, missing="")["signal_short"]
    assert f"As many principal components of the whole layer keep {said} in layer 1 and more in layer 2." in told


def test_a_signal_that_keeps_less_than_without_dropout_speaks_against_copies(results: Results) -> None:
    against = (
        "speaks against plain copies: what tells the units of a module apart matters more there than without dropout."
    )
    fallen = copies_by_hand()
    fallen.loc[(fallen["dropout"] == 0) & (fallen["layer"] == 2), "one_signal"] = 0.95  # and 0.916 with dropout
    told = words.texts(fallen, results, missing="")["signal_short"]
    assert told.endswith(f"from 0.95 to 0.92 in layer 2. The fall in layer 2 {against}")
    fallen.loc[fallen["dropout"] == 0, "one_signal"] = 0.95
    assert f"The fall in layers 1 and 2 {against}" in words.texts(fallen, results, missing="")["signal_short"]


def test_copies_that_rotated_units_do_not_have_are_all_of_the_rise(results: Results) -> None:
    told = words.texts(copies_by_hand().assign(rotated_twins=0.0), results, missing="")
    assert "100 % of the rise is copies, and hardly any comes with fewer dimensions." in told["copies_detail"]
    assert "fewer dimensions" not in told["copies_answer"]


def test_twins_of_fewer_dimensions_are_told_without_a_share(results: Results) -> None:
    told = words.texts(copies_by_hand().assign(rotated_twins=lambda rows: rows["twins"]), results, missing="")
    assert told["copies_caption"] == "Units use fewer dimensions, which explains their twins"
    assert "The rise beyond theirs is 0 points [0, 0]. In layer 2" in told["copies_detail"]
    assert "come with fewer dimensions" not in told["copies_answer"]


def test_the_pilot_of_copies_is_counted_and_what_it_missed_is_named(results: Results) -> None:
    rows = []
    for dropout, end in ((0.0, 0), (0.7, 1)):
        for layer in (1, 2):
            numbers = {name: of[layer][end] for name, of in why_dropout.PILOT.items()}
            rows.append({"run": 0, "dropout": dropout, "layer": layer, "trained": True, **numbers})
    table = pd.DataFrame(rows)
    assert words._pilot_text(quantities(table)) == "Both ends of all 18 lie within the intervals."
    table.loc[3, ["twins", "participation"]] = 0.1, 9.0
    assert words._pilot_text(quantities(table)) == (
        "Of 18 quantities 16 lie within the intervals at both ends. Not: share of units with a twin, layer 2 and "
        "dimensions of activity, layer 2. The table shows by how much."
    )
    other = table.assign(dropout=table["dropout"].replace(0.7, 0.5))
    assert words._pilot_text(quantities(other)) == "The pilot was of another study."


def test_trials_are_told_by_their_worst_case_of_each_kind() -> None:
    rows = [("a", True, 1.0), ("b", True, 0.9), ("c", False, 0.0), ("d", False, 0.04), ("e", False, 0.5)]
    made_up = pd.DataFrame(rows, columns=["case", "truth", "called"]).assign(rule="copies", sets=20)
    assert words.trials_text(made_up) == (
        "In 20 made-up sets of nine runs per case the rules find what is there in at least 90 % of the sets, and call "
        "what is not there in 4 % (median over cases). Wrongly called: e (50 %)."
    )
    assert words.trials_text(made_up.iloc[:4]).endswith("(median over cases).")
    lines = words.trials_markdown(made_up).splitlines()[2:]
    assert lines[1:3] == ["| b | copies | yes | 90 % |", "| c | copies | no | 0 % |"]


def linear_by_hand(excess: dict[bool, tuple[float, ...]]) -> pd.DataFrame:
    """One run; Q without dropout is 0.15, and 0.10 of turned units, which rises by 0.02; `excess` by layer and "
    "measure."""
    rows = []
    for dropout, end in ((0.0, 0), (0.7, 1)):
        for rectified, beyond in excess.items():
            places = [(layer, of) for layer in (1, 2) for of in ("input_covariance_norm", "input_gradient_norm")]
            for (layer, measure), rise in zip(places, beyond, strict=True):
                numbers = {"score": 0.15 + (0.02 + rise) * end, "rotated": 0.1 + 0.02 * end}
                numbers |= {"accuracy": (0.5, 0.95 if rectified else 0.91)[end]}
                numbers |= {"balance": 0.3 if rectified else (0.6, 0.85)[end]}
                numbers |= {"penalty": (36.0, 30.0)[end] / (1 + rectified), "rotated_penalty": 40.0}
                place = {"rectified": rectified, "layer": layer, "measure": measure}
                rows.append({"run": 0, **BASE, "dropout": dropout, **place, **numbers})
    return pd.DataFrame(rows)


def test_words_on_linear_units_have_the_numbers_of_the_table(results: Results) -> None:
    table = linear_by_hand({False: (0.10, 0.03, 0.01, -0.02), True: (0.2, 0.2, 0.19, 0.01)})
    assert linear_words.linear_texts(table, results, missing="") == {
        "linear_epochs": f"15 epochs, where those of the study have {results.study.epochs}",
        "linear_caption": "Beyond that of rotated units Q rises by 0.03 with linear units, by 0.15 with ReLUs",
        "linear_without": "Without dropout Q of linear units lies within 0.05 of that of the same units rotated.",
        "linear_answer": (
            "With dropout 0.7 Q of linear units rises beyond that of rotated ones in 2 of 4 pairs of layer and "
            "measure, by 0.03 on average. So dropout makes a privileged basis in part of these even without a ReLU."
        ),
        "linear_rectified": (
            "With ReLUs it rises in 3 of 4, by 0.15 on average. It does not in the input gradient (norm) in layer 2."
        ),
        "linear_facts": (
            "Dropout 0.7 is compared with none in 1 run. At that dropout 91 % of the test digits are right with linear "
            "units and 95 % with ReLUs. The cosines of incoming and of outgoing weights of linear units correlate by "
            "0.60 without dropout and 0.85 with it. What dropout adds to the loss is 25 % less than for rotated units, "
            "which compute the same. In networks that were trained without dropout it would be 10 % less."
        ),
        "linear_pilot": (
            "A pilot of one run had Q of linear units in layer 1, input covariance (norm), at 0.109 without dropout "
            "and 0.180 with it, and of rotated units at 0.114 without dropout and 0.117 with it. Not all four lie "
            "within the intervals of the table."
        ),
    }
    alike = table.assign(rotated=table["rotated"] + 0.042)
    assert linear_words.linear_texts(alike, results, missing="")["linear_without"] == (
        "Without dropout Q of linear units lies within 0.01 of that of the same units rotated. So neither Adam nor the "
        "initial weights make modules here."
    )
    one = linear_by_hand({False: (0.1,) * 4, True: (0.4, 0.01, 0.02, 0.03)})
    assert (
        "by 0.12 on average, most of it in the input covariance (norm) in layer 1 (0.40). It does not in the"
        in (linear_words.linear_texts(one, results, missing="")["linear_rectified"])
    )
    assert (
        "| linear | 1 | input gradient (norm) | 0.150 (0.150 to 0.150), 0.100 | 0.200 (0.200 to 0.200), 0.120 | +0.030 "
        "(0.030 to 0.030) | a basis |" in linear_words.linear_markdown(table).splitlines()
    )
    assert linear_words.linear_markdown(table).count("| ReLU |") == 4


@pytest.mark.parametrize(
    ("linear", "rectified", "said"),
    [
        (
            0.1,
            0.2,
            "So dropout makes a privileged basis even without a ReLU. "
            "With ReLUs it rises in 4 of 4, by 0.20 on average.",
        ),
        (
            0.0,
            0.0,
            "So without the ReLU dropout makes no privileged basis. With ReLUs it rises in 0 of 4, by 0.00 on average.",
        ),
    ],
)
def test_the_verdict_on_linear_units_is_by_how_many_choose_a_basis(
    linear: float, rectified: float, said: str, results: Results
) -> None:
    table = linear_by_hand({False: (linear,) * 4, True: (rectified,) * 4})
    told = linear_words.linear_texts(table, results, missing="")
    assert f"{told['linear_answer']} {told['linear_rectified']}".endswith(said)


def test_a_linear_pilot_that_holds_is_said_to_hold(results: Results) -> None:
    table = linear_by_hand({False: (0.1,) * 4, True: (0.1,) * 4})
    for name, (first, last) in why_dropout.LINEAR_PILOT.items():
        table[name] = np.where(table["dropout"] == 0, first, last)
    assert linear_words.linear_texts(table, results, missing="")["linear_pilot"].endswith(
        "All four lie within the intervals of the table."
    )


def test_the_order_is_told_by_setting_and_the_caption_is_of_most_dropout() -> None:
    table = course()
    late = table["dropout"] == 0
    table.loc[late, "accuracy"] = table.loc[late, "epoch"] / (table.loc[late, "epoch"] + 200)
    with_q = "the number of dimensions, the likeness of units and their likeness beyond that of rotated units"
    told = course_words.course_texts(table, missing="")
    assert told["course_answer"] == (
        f"Under the baseline {with_q} are halfway about when Q does; accuracy and agreement across the families are "
        f"halfway after Q. Under dropout 0.7 accuracy is halfway before Q; {with_q} are halfway about when Q does; "
        "agreement across the families is halfway after Q."
    )
    assert told["course_caption"] == (
        "With dropout 0.7 1 of 5 other quantities change before Q, and units are alike early and stay so"
    )
    assert told["course_short"] == (
        "With dropout 0.7 accuracy makes half of its change before Q does. Q still rises at the end, so in longer "
        "training its half would come later."
    )
    assert told["course_n"] == "18 networks of 9 runs"
    early = ~late
    table.loc[early, "across"] = table.loc[early, "accuracy"]
    two = course_words.course_texts(table, missing="")["course_short"]
    assert two.startswith(
        "With dropout 0.7 accuracy and agreement across the families make half of their change before Q does."
    )
    for name in ("participation", "twin_correlation"):
        table.loc[early, name] = 29 * (name == "participation") + table.loc[early, "accuracy"]
    everything = course_words.course_texts(table, missing="")
    assert everything["course_caption"].startswith("With dropout 0.7 Q is the last to change")
    assert everything["course_short"].startswith(
        "With dropout 0.7 all 5 other quantities make half of their change before Q"
    )
    for name in ("accuracy", "across", "participation", "twin_correlation"):
        table.loc[early, name] = 29 * (name == "participation") + table.loc[early, "score"]
    table.loc[table["epoch"] == 500, "score"] = table.loc[table["epoch"] == 300, "score"].to_numpy()
    nothing = course_words.course_texts(table, missing="")["course_short"]
    assert nothing == "With dropout 0.7 nothing that we follow makes half of its change before Q."
    table["score"] = 0.2
    assert course_words.course_texts(table, missing="")["course_answer"].startswith(
        "Under the baseline Q hardly moves in some run, so nothing is said."
    )


def test_units_that_stay_alike_are_told_apart_from_those_that_do_not() -> None:
    table = course()
    none = table["dropout"] == 0
    start = table["epoch"].map(lambda epoch: 0.3 if epoch == 0 else 0.8)
    later = 0.001 * table["epoch"] + 1e-4 * table["run"] * (table["epoch"] > 1)
    table["twin_correlation"] = start + np.where(none, -later, later / 10)
    told = course_words.course_texts(table, missing="")
    assert told["course_alike"] == (
        "After epoch 1 a unit's correlation with its most similar one is 0.80 in all settings. Units then grow less "
        "alike under the baseline (0.30). They stay alike, or grow more so, under dropout 0.7 (0.85)."
    )
    assert told["course_caption"].endswith("and units are alike early and stay so")
    table["twin_correlation"] = start - later
    told = course_words.course_texts(table, missing="")
    assert "stay" not in told["course_alike"] + told["course_caption"]


def test_half_times_stand_in_the_table_with_their_answer() -> None:
    [_, _, none, most] = course_words.course_markdown(course()).splitlines()
    times = {one.quantity: one.half_time for one in orders(course()) if one.setting.dropout == 0}
    assert none.startswith(f"| the baseline | {times['accuracy']:.2g} (before) | {times['participation']:.2g} (tog")
    assert f"| {times['score']:.2g} |" in none
    assert most.startswith("| dropout 0.7 |")
    assert course_words.setting_text(Regularisation(l2=1e-3)) == "L2 penalty 0.001"


def test_a_page_without_tables_says_what_is_missing(results: Results) -> None:
    for told in (
        words.texts(None, results, missing="There is none."),
        linear_words.linear_texts(None, results, missing="There is none."),
        course_words.course_texts(None, missing="There is none."),
    ):
        assert "There is none." in told.values()
    full = [
        words.texts(near_copies(), results, missing=""),
        linear_words.linear_texts(linear_control(excess=0.1), results, missing=""),
        course_words.course_texts(course(), missing=""),
    ]
    assert [set(told) for told in full] == [
        set(words.texts(None, results, missing="")),
        set(linear_words.linear_texts(None, results, missing="")),
        set(course_words.course_texts(None, missing="")),
    ]
    assert (
        words.quantities_markdown(None)
        == linear_words.linear_markdown(None)
        == course_words.course_markdown(None)
        == ""
    )


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

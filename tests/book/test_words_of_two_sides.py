"""Words and figures on the two sides of a layer follow their tables."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from made_up_results import STUDY, made_up_results
from modularity_lib import figures
from modularity_lib.book.words import two_sides as words
from modularity_lib.findings.claims import Verdict
from modularity_lib.findings.transfer import merged_in_pairs
from modularity_lib.findings.two_sides import MEASURED, effects_table
from modularity_lib.studies.results import Results

_SOURCE, _PLAIN = np.random.default_rng(0), made_up_results()
_OTHERS = {name: _SOURCE.random(len(_PLAIN.agreement)) for name in ("transfer", "similarity_spearman")}
RESULTS = replace(_PLAIN, agreement=_PLAIN.agreement.assign(**_OTHERS))
VERDICT = Verdict("reproduced", None, None)
MADE_UP = pd.DataFrame(
    [
        {"case": "unrelated", "truth": "apart", "groups": 4, "called": 0.25, "right": 0.75, "one": 0.0},
        {"case": "alike", "truth": "one thing", "groups": 2, "called": 1.0, "right": 1.0, "one": 1.0},
    ]
).assign(**dict.fromkeys(("rsa_signed", "rsa_absolute", "corrected_absolute"), 0.1), corrected_positive=0.4)
MADE_UP = MADE_UP.assign(beyond_chance=0.0, sign_hides=1.0)


def effects(under_l2: float = 0.9, *, n_runs: int = 4, above: float = 1e-5) -> pd.DataFrame:
    """Both sides are alike in the last layer where L2 is `above` as given, 0.5 elsewhere, 0 before training."""
    rows = []
    for setting, run, layer in product(STUDY.settings(), range(n_runs), (1, 2)):
        for trained in (True, False) if setting == STUDY.settings()[0] else (True,):
            alike = under_l2 if setting.l2 > above and layer == 2 else 0.5 if trained else 0.0
            numbers = dict.fromkeys(MEASURED, 0.3) | {"rsa_signed": alike + 0.02 * run, "rsa_absolute": alike / 2}
            rows.append(
                {**setting._asdict(), "trained": trained, "run": run, "layer": layer, "live_units": 60, **numbers}
            )
    return effects_table(pd.DataFrame(rows))


def said(table: pd.DataFrame | None, results: Results = RESULTS, absent: str = "") -> dict[str, str]:
    return words.texts(table, results, VERDICT, MADE_UP, absent)


def test_the_answer_says_in_how_many_settings_both_sides_are_one_thing() -> None:
    alike, unlike = said(effects(0.9)), said(effects(0.4))
    assert alike["sides_answer"].startswith("In the last hidden layer under L2, in 1 of 2 settings what units receive")
    assert "(rank correlation of signed similarities, live units: 0.53 to 0.93)" in alike["sides_answer"]
    assert unlike["sides_answer"].startswith("No: under no strength of L2")
    assert "before training 0.03 [-0.01, 0.07]" in alike["sides_answer"]
    assert "0.53 [0.49, 0.57] for dropout 0.6 (related)" in alike["sides_answer"]


def test_captions_begin_with_what_the_figures_show() -> None:
    table = effects(0.9)
    assert said(table)["sides_head"] == "Both sides of every layer along the three sweeps."
    everywhere = effects(0.9, above=0)
    assert said(everywhere)["sides_head"] == "Under L2 both sides of the last layer are one thing."
    assert said(table)["sides_balance_head"] == "Balance of incoming and outgoing weights against L2."
    gaps = table["quantity"].isin(["norm_gap", "gram_gap"]) & (table["l2"] > 1e-5)
    nearer = table.assign(**{name: table[name] * (1 - 0.5 * gaps) for name in ("mean", "low", "high")})
    assert said(nearer)["sides_balance_head"].startswith("Strong L2 brings")


def test_the_claim_stays_judged_as_it_is_and_the_other_sense_is_said_beside_it() -> None:
    alike, unlike = said(effects(0.9))["sides_claim"], said(effects(0.4))["sides_claim"]
    for text in (alike, unlike):
        assert "stays judged as the paper defines it: **reproduced**" in text
    assert "overturned for the last hidden layer in 1 of 2 settings of L2 (0.001 to 0.001)" in alike
    assert "Nothing here speaks against it" in unlike


def test_every_layer_and_sweep_is_told_with_its_answers() -> None:
    first, second = said(effects(0.9))["sides_course"].splitlines()
    assert first.startswith("* **Layer 1** (before training: 0.03 [-0.01, 0.07]). L2: of 2 settings 2 related")
    assert "L2: of 2 settings 1 one thing and 1 related; from 0.53 [0.49, 0.57] at 1e-05 to 0.93 [0.89, 0.97]" in second
    assert "Dropout: of 3 settings 3 related" in second


def test_what_hides_it_is_told_at_the_strength_where_both_sides_are_most_alike() -> None:
    text = said(effects(0.9))["sides_hidden"]
    rows = RESULTS.agreement.query("trained and layer == 2 and l2 == 0.001")
    of_pair = rows[(rows["measure_a"] == "output_gradient_norm") & (rows["measure_b"] == "input_gradient_norm")]
    assert f"a rank correlation of {of_pair['similarity_spearman'].mean():.2f} and modules agree by" in text
    assert "on live units it is 0.45 [0.45, 0.45] and 0.30 [0.30, 0.30]" in text
    assert "The largest step of agreement is due to the search for modules" in text
    assert "In the last layer at L2 0.001" in text
    assert "lower the rank correlation by 0.1 or more in 12 of 12" in text


def test_without_weights_the_page_says_what_is_missing_and_draws_no_curves() -> None:
    told = said(None, absent="The weights of 3 networks are missing.")
    assert told.keys() == said(effects()).keys()
    assert told["sides_answer"] == "The weights of 3 networks are missing."
    assert told["sides_course"] == ""
    assert words.answers_markdown(None, RESULTS) == "The weights of this study are not at hand."
    for plot in (figures.two_sides_against_regularisation, figures.balance_against_l2):
        assert plot.table(RESULTS, None).empty
        assert "not at hand" in plot(RESULTS, None).axes[0].texts[0].get_text()


def test_a_single_run_has_no_interval() -> None:
    assert "live units: 0.50 to 0.90)" in said(effects(n_runs=1))["sides_answer"]
    assert "[" not in said(effects(n_runs=1))["sides_answer"]
    assert said(effects(n_runs=1))["sides_n"] == "1 of 4 runs"


def test_the_table_goes_from_the_papers_numbers_to_the_answer() -> None:
    lines = words.answers_markdown(effects(0.9), RESULTS).splitlines()
    assert len(lines) == 2 + 2 * (2 + 3 + 3)  # layers; strengths of L2, L1 and dropout, the baseline in each
    [row] = [line for line in lines if line.startswith("| 2 | L2 0.001 |")]
    assert row.endswith("0.30 (0.30); 0.30 (0.30) | one thing |")
    assert "**0.93**" in row


def test_the_trial_of_the_rules_counts_groups() -> None:
    text = said(effects())["sides_made_up"]
    assert text.startswith("Of 4 groups whose sides are unrelated, 1 are called related or one thing; of 6 groups with")
    assert "a known answer 5 get it" in text
    assert "agree by 0.10 and 0.40 (alike)" in text
    assert words.made_up_markdown(MADE_UP).splitlines()[2].startswith("| unrelated | apart | 0.10, 0.10 | 0.10, 0.40 |")


def test_the_pilot_is_beside_its_own_study_alone() -> None:
    assert "nothing to compare made-up with" in said(effects())["sides_pilot"]


def test_transfer_is_told_in_percent_with_its_layers_and_families() -> None:
    table = figures.transfer_against_dropout.table(RESULTS)
    together = pd.DataFrame(
        [
            {"strength": strength, "given": family, "together": 0.4 + strength / 3, "chance": 0.25}
            for strength in (0.0, 0.6)
            for family in ("upstream", "downstream")
        ]
    )
    told = words.transfer_texts(table, together, merged_in_pairs(8))
    whole = table[(table["kind"] == "across") & (table["quantity"] == "transfer") & (table["layer"] == 0)]
    start, end = whole.sort_values("strength").iloc[[0, -1]].to_dict("records")
    for row in (start, end):
        expected = f"{row['mean']:.0%} [{row['low']:.0%}, {row['high']:.0%}]".replace("%", " %")
        assert expected in told["sides_transfer_front"]
    shared = "of the pairs of units in one upstream module 60 % share one of the other family (25 % of all pairs do)"
    assert shared in told["sides_why_lower"]
    assert told["sides_transfer_head"].startswith("Modules of one family")
    rising = table.assign(low=table["low"] + table["strength"], high=table["high"] * 0.1 + table["low"])
    assert words.transfer_texts(rising, together, merged_in_pairs(8))["sides_transfer_head"].startswith("The more")
    assert "transfer would be 0.66 and agreement 0.40" in told["sides_why_lower"]
    assert "at 2 strengths" in told["sides_transfer_known"]


def test_figures_show_every_layer_sweep_and_curve() -> None:
    figure = figures.two_sides_against_regularisation(RESULTS, effects())
    assert [axes.get_title() for axes in figure.axes][:3] == [
        "L2 penalty, layer 1",
        "L1 penalty, layer 1",
        "dropout, layer 1",
    ]
    assert len(figure.axes) == 6
    table = figures.two_sides_against_regularisation.table(RESULTS, effects(0.9))
    point = table.query("regulariser == 'l2' and strength == 0.001 and layer == 2 and quantity == 'rsa_signed'")
    assert point["mean"].tolist() == pytest.approx([0.93])
    assert set(table.loc[table["networks"] == "untrained", "regulariser"]) == {""}
    balance = figures.balance_against_l2.table(RESULTS, effects())
    assert set(balance["quantity"]) == {"norm_gap", "gram_gap"}
    assert set(balance["regulariser"]) == {"l2", ""}
    assert len(figures.balance_against_l2(RESULTS, effects()).axes) == 2
    assert len(figures.transfer_against_dropout(RESULTS).axes) == 2

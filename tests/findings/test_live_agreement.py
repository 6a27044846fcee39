"""What is left of agreement over live units, place by place, and the verdicts of the rules there."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from made_up_results import STUDY, made_up_results
from modularity_lib.book.words import live_units as words
from modularity_lib.findings import live_agreement
from modularity_lib.findings.claims import judge_all
from modularity_lib.findings.live_agreement import (
    agreement_of_both,
    beyond_chance_of_both,
    claims_by_setting,
    first_look_held,
    is_about_the_dead,
    rank_correlations,
    settings_of_study,
)
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import KINDS, MEASURES, pair_kind


def with_live_units(results: Results, live_units: int = 40) -> Results:
    return replace(results, agreement=results.agreement.assign(live_units=live_units))


WHOLE = made_up_results(agreement={"upstream": 0.7, "downstream": 0.6, "across": 0.3})
LIVE = with_live_units(made_up_results(agreement={"upstream": 0.4, "downstream": 0.65, "across": 0.45}))


def test_agreement_is_the_mean_over_runs_of_each_place_in_both_forms() -> None:
    table = agreement_of_both(WHOLE, LIVE).set_index(["networks", "layer", "kind"])
    places = {name for name, _, _ in table.index}
    assert places == {"all networks", "baseline", "dropout", "dropout 0.3", "L2", "L1"}  # 0.5, 0.7: not there
    for units, source in (("all", WHOLE), ("live", LIVE)):
        values = [
            (row["element_centric"] - 0.25) / 0.75
            for _, row in source.agreement.query("trained and l1 > 0 and layer == 2").iterrows()
            if pair_kind(row["measure_a"], row["measure_b"]) == "across"
        ]
        assert table.loc[("L1", "2", "across"), units] == pytest.approx(np.mean(values), abs=1e-12)
    row = table.loc[("all networks", "all", "upstream")]
    assert row["change"] == pytest.approx(row["live"] - row["all"], abs=1e-12)
    assert row["live_similarity"] == pytest.approx(0.4, abs=0.01)
    assert (row["all_chance"], row["live_chance"], row["live_units"], row["n_runs"]) == (0.25, 0.25, 40, STUDY.runs)
    assert row["n_networks"] == len(STUDY.trained_configs())
    assert row["live_low"] <= row["live"] <= row["live_high"]
    assert len(agreement_of_both(WHOLE, LIVE, by_layer=False)) * 3 == len(table)


@pytest.mark.parametrize(
    ("whole", "live", "high", "answer"),
    [(0.5, 0.1, -0.3, True), (0.5, 0.3, -0.1, False), (0.5, 0.1, 0.1, False), (-0.1, -0.08, 0.05, False)],
)
def test_agreement_is_about_the_dead_where_it_falls_to_less_than_half(
    whole: float, live: float, high: float, answer: bool
) -> None:
    assert is_about_the_dead(pd.Series({"all": whole, "live": live, "change_high": high})) is answer


def test_every_place_is_judged_by_the_rules_of_the_claims_on_its_own_rows() -> None:
    strong = WHOLE.agreement.copy()
    kinds = [pair_kind(a, b) for a, b in zip(strong["measure_a"], strong["measure_b"], strict=True)]
    across = np.array(kinds) == "across"
    strong.loc[across & (strong["l2"] > 1e-5) & (strong["layer"] == 2), "element_centric"] = 0.9
    results = replace(WHOLE, agreement=strong)
    table = claims_by_setting(results, LIVE).set_index(["networks", "layer", "claim", "units"])
    assert table.loc[("all networks", "all", "families-differ", "all"), "status"] == (
        judge_all(results)["families-differ"].status
    )
    assert table.loc[("L2", "2", "families-differ", "all"), "status"] == "not reproduced"
    assert table.loc[("L2", "1", "families-differ", "all"), "status"] == "reproduced"
    assert table.loc[("L1", "2", "families-differ", "all"), "status"] == "reproduced"
    row = table.loc[("L2", "2", "families-differ", "all")]
    assert row["mean"] == pytest.approx((0.9 - 0.25) / 0.75)
    assert row["half_within"] == pytest.approx((0.45 + 0.35) / 0.75 / 4, abs=0.01)
    assert table.loc[("all networks", "all", "families-agree-within", "live"), "missed"] == "two upstream measures"
    assert table.loc[("all networks", "all", "families-agree-within", "live"), "status"] == "partly reproduced"


def test_shares_beyond_chance_are_those_of_each_form() -> None:
    live = with_live_units(made_up_results(p_value={"upstream": 0.5, "downstream": 0.001, "across": 0.001}))
    table = beyond_chance_of_both(WHOLE, live).set_index(["networks", "kind"])
    assert table.loc[("L1", "upstream"), ["all", "live"]].tolist() == [1.0, 0.0]
    assert table.loc[("untrained", "across"), ["all", "live"]].tolist() == [0.0, 1.0]
    assert table.loc[("untrained", "upstream"), "comparisons"] == STUDY.untrained * 2 * 4


def test_the_first_look_is_compared_with_the_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    table = agreement_of_both(WHOLE, LIVE)
    row = table.set_index(["networks", "layer", "kind"]).loc[("L1", "1", "across")]
    looked = {("L1", "1", "across"): row["live"], ("L2", "all", "across"): 0.9, ("elsewhere", "all", "across"): 0.1}
    monkeypatch.setattr(live_agreement, "FIRST_LOOK", looked)
    assert first_look_held(table, replace(STUDY, name="v1")) == (1, 2)
    assert first_look_held(table, STUDY) == (0, 0)


def test_each_network_belongs_to_its_settings() -> None:
    rows = WHOLE.networks[WHOLE.networks["trained"]]
    groups = {name: chosen(rows) for name, chosen in settings_of_study(STUDY).items()}
    apart = sum(groups[name].astype(int) for name in ("baseline", "dropout", "L2", "L1"))
    assert (apart == 1).all()
    assert groups["all networks"].all()
    assert (rows.loc[groups["dropout 0.3"], "dropout"] == 0.3).all()


def test_the_rank_correlation_of_matrices_over_live_units_leaves_the_dead_out(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    results = made_up_results()
    labels = [[0, 0, 1, 1, -1, -1] for _ in range(len(results.modules))]
    results = replace(results, modules=results.modules.assign(labels=labels))
    squares = {}
    for measure in MEASURES:
        square = random.random((6, 6))
        square = square + square.T
        square[4:] = square[:, 4:] = 0.0
        squares[measure] = square
    config = STUDY.trained_configs()[0]
    monkeypatch.setattr(Archive, "with_matrices", lambda *_, **__: [(config, {"hidden1": squares})])
    table = rank_correlations(results)
    assert len(table) == 4
    row = table.iloc[0]
    pairs = [(i, j) for i in range(4) for j in range(i)]
    a, b = (pd.Series([squares[row[name]][pair] for pair in pairs]) for name in ("measure_a", "measure_b"))
    assert row["live"] == pytest.approx(a.rank().corr(b.rank()))
    ties = pd.Series([0.0] * 9)
    whole = [pd.concat([of, ties], ignore_index=True).rank() for of in (a, b)]
    assert row["all"] == pytest.approx(whole[0].corr(whole[1]))
    assert (row["live_units"], row["tied"]) == (4, pytest.approx(9 / 15))


def test_words_say_where_all_and_live_units_differ() -> None:
    both, claims = agreement_of_both(WHOLE, LIVE), claims_by_setting(WHOLE, LIVE)
    told = words.texts(STUDY, both, claims, beyond_chance_of_both(WHOLE, LIVE))
    assert told["live_head"] == "Under L2 and L1 upstream measures agree less once silent units are left out."
    assert told["live_families"].startswith("Over all units, upstream measures agree more than downstream ones (")
    assert told["live_families"].endswith(
        "Over live units, upstream measures agree less than downstream ones (0.20 and 0.53)."
    )
    assert told["live_dead"].startswith(
        "In the baseline, most of the upstream agreement is about silent units: it falls from 0.60 to 0.20 over "
        "live units. Under"
    )
    assert "Over live units, claim 3 is partly reproduced (" in told["live_families_agree_within"]
    assert "over all networks (from reproduced to partly reproduced)" in told["live_families_agree_within"]
    assert told["live_held"] == "Before, we had looked at live units in tables of another study."
    same = claims_by_setting(WHOLE, with_live_units(WHOLE))
    assert words.claim_text(same, "families-differ").endswith("its verdict changes in no part of the study.")
    unchanged = agreement_of_both(WHOLE, with_live_units(WHOLE))
    assert words.head_text(unchanged).startswith("Under no penalty do upstream measures agree less")
    assert words.dead_text(unchanged) == ("Nowhere is it so that most of the upstream agreement is about silent units.")
    in_layer = both.assign(layer=both["layer"].where(both["layer"] == "1", "2"))  # nothing is of all layers
    assert words.dead_text(in_layer).startswith("It holds that most of the upstream agreement is about silent units in")
    assert words.agreement_markdown(both).count("\n") == 1 + len(both) / len(KINDS)
    assert words.claims_markdown(claims).count("\n") == 1 + len(claims) / 4


def test_where_families_agree_by_more_than_the_claim_allows_is_told() -> None:
    rows = [
        {"regulariser": name, "strength": strength, "kind": kind, "units": units, "mean": mean}
        for name, strength, kind, units, mean in (
            ("dropout", 0.7, "across", "live", 0.27),
            ("l2", 0.01, "across", "live", 0.3),
            ("l2", 0.001, "across", "live", 0.25),
            ("l2", 0.001, "across", "all", 0.4),
            ("l2", 0.001, "upstream", "live", 0.4),
        )
    ]
    shown = pd.DataFrame(rows)
    assert words.exceeding_text(shown) == (
        "Over live units, agreement across the families exceeds the 0.25 that the claim allows at dropout 0.7 (0.27) "
        "and L2 0.01 (0.30)."
    )
    assert words.exceeding_text(shown.iloc[2:]) == (
        "Over live units, agreement across the families stays below the 0.25 that the claim allows."
    )

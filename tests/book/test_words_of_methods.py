"""What the pages on networks, on the search for modules and on speed say, against tables whose answers are known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from made_up_results import STUDY, made_up_results
from modularity_lib.book.words import ledger, modules, networks, speed
from modularity_lib.findings.claims import CLAIMS, NOT_REPRODUCED, PARTLY, REPRODUCED, Verdict, judge_all
from modularity_lib.findings.ledger import GROUPS, published_beside_ours
from modularity_lib.findings.search_quality import SEARCH
from modularity_lib.findings.synthetic import SEARCHED, SHUFFLED
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import BASELINE


def with_weights(**effects: float) -> Results:
    """A made-up study whose sum of |w| is 100, 300 at the strongest dropout, 50 under L2 and 20 under L1."""
    results = made_up_results(**effects)
    table = results.networks
    weights = (
        100.0
        + 200.0 * (table["dropout"] == max(STUDY.dropout))
        - 50.0 * (table["l2"] == max(STUDY.l2))
        - 80.0 * (table["l1"] == max(STUDY.l1))
    )
    return replace(results, networks=table.assign(sum_abs_weights=weights))


def test_where_weights_go_is_told_beside_what_is_learned() -> None:
    text = networks.short_text(with_weights())
    n_trained = len(STUDY.trained_configs())
    assert text == (
        f"Yes, all {n_trained} networks do. Compared with the baseline, the sum of all |w| is 3.0 times as large at "
        "dropout 0.6, 50 % of that at L2 0.001 and 20 % of that at L1 0.001, the strongest settings under which all "
        "runs learn."
    )


def test_networks_that_are_left_out_are_counted_and_their_settings_not_told() -> None:
    text = networks.short_text(with_weights(low_accuracy_above=0.4))
    kept, trained = len(STUDY.trained_configs()) - STUDY.runs, len(STUDY.trained_configs())
    assert text.startswith(
        f"Yes, {kept} of {trained} networks do. The other {STUDY.runs}, under strong dropout, are left out of"
    )
    assert "the sum of all |w| is 1.0 times as large at dropout 0.3, " in text


def test_one_network_that_is_left_out_is_told_in_the_singular_and_one_that_no_regulariser_explains_by_none() -> None:
    results = with_weights()
    one = results.networks["trained"] & (results.networks["run"] == 0)
    for at, told in (
        ({"l1": max(STUDY.l1)}, "The other one, under strong L1, is left out"),
        ({"dropout": 0.0, "l1": 0.0, "l2": BASELINE.l2}, "The other one is left out"),
    ):
        rows = one & np.logical_and.reduce([results.networks[name] == value for name, value in at.items()])
        assert rows.sum() == 1
        assert told in networks.short_text(replace(results, networks=results.networks.assign(analysed=~rows)))


def test_a_setting_that_some_runs_did_not_learn_is_not_the_strongest_that_is_told() -> None:
    results = with_weights()
    table = results.networks
    one = (table["dropout"] == max(STUDY.dropout)) & (table["run"] == 0)
    text = networks.short_text(replace(results, networks=table.assign(analysed=table["analysed"] & ~one)))
    assert "at dropout 0.3" in text
    none = networks.short_text(replace(results, networks=table.assign(analysed=~table["trained"])))
    assert none.endswith(" are left out of what follows.")


def test_the_protocols_are_told_with_the_numbers_that_training_takes() -> None:
    text = networks.protocols_text()
    for told in (
        "learning rate stays at 0.001 and the weights after epoch 500",
        "multiplied by 0.25 whenever the validation loss has not improved for more than 3 epochs",
        "stops after 6 epochs above the lowest validation loss, or after epoch 500",
    ):
        assert told in text


def test_each_study_has_a_row_with_the_epochs_that_it_really_trained() -> None:
    """Epochs, their ends and the accuracy of what is kept, each counted here by hand."""
    results = with_weights(low_accuracy_above=0.4)
    table = results.networks.copy()
    trained = np.flatnonzero(table["trained"])
    table["epochs"] = 500
    fixed = replace(results, networks=table.copy(), study=replace(STUDY, name="v1", protocol="v1"))
    table.iloc[trained, table.columns.get_loc("epochs")] = np.arange(len(trained)) + 7
    falling = replace(results, networks=table, study=replace(STUDY, name="mine", protocol="final"))
    first, second = networks.protocols_markdown([fixed, falling]).splitlines()[2:]
    n, last = len(trained), len(trained) + 6
    shape = "-".join(map(str, STUDY.hidden))
    assert first == f"| `v1` | {shape} | {STUDY.runs} (9) | 500 | 95.0 % | {STUDY.runs} of {n} |"
    middle = f"{(7 + last) / 2:.0f} (7 to {last})"
    assert second == f"| `mine` | {shape} | {STUDY.runs} (–) | {middle} | 95.0 % | {STUDY.runs} of {n} |"
    caption = networks.protocols_caption([fixed, falling])
    assert f"trains for {(7 + last) / 2:.0f} epochs on average, the arXiv version's for 500.**" in caption
    later = replace(falling, networks=table.assign(epochs=table["epochs"] + 10))
    assert f"for {(7 + last) / 2:.0f} to {(27 + last) / 2:.0f} epochs" in networks.protocols_caption(
        [falling, later, fixed]
    )
    assert networks.protocols_caption([fixed]).startswith("**How long networks were trained")


GAPS = pd.DataFrame(
    [
        ("upstream", "a", SEARCH, 0.02), ("upstream", "b", SEARCH, 0.04), ("downstream", "c", SEARCH, 0.01),
        ("upstream", "a", "Leiden", 0.01), ("upstream", "b", "Leiden", 0.02), ("downstream", "c", "Leiden", 0.05),
        ("noise", "d", SEARCH, 0.5), ("noise", "d", "Leiden", 0.0),
    ],
    columns=["kind", "matrix", "method", "gap"],
)  # fmt: skip
BOUNDED = pd.DataFrame({"proven": [3, 2], "search_reaches": [1, 0], "default_reaches": [3, 1]})


FLOOR = pd.DataFrame(
    [(8, 100, 0.3), (8, 1000, 0.1), (64, 100, 0.07), (64, 1000, 0.06)], columns=["units", "samples", "mean"]
)


def test_methods_that_end_closer_are_named_by_family() -> None:
    assert modules.gap_text(GAPS) == (
        "Of the other methods that run once, Leiden ends closer for upstream measures and none ends closer for "
        "downstream measures."
    )


@pytest.mark.parametrize(
    ("verdicts_stay", "told"),
    [(True, "all verdicts stay as they are. But"), (False, "a verdict changes. But"), (None, "that of 4. But")],
)
def test_what_the_search_is_worth_in_short(verdicts_stay: bool | None, told: str) -> None:
    """The gap is that on networks alone: of noise it is 50 %."""
    text = modules.short_text(GAPS, BOUNDED, FLOOR, verdicts_stay=verdicts_stay)
    assert text.startswith(
        "One run of the paper's search ends 2.3 % below the best Q that is known, 4.0 % at worst in these matrices. It "
        "finds the proven "
        "best partition of 1 of 5 matrices, and our find_modules that of 4."
    )
    assert told in text
    assert text.endswith("But noise has a Q of 0.06 to 0.10: what a Q means, only a null model can say.")
    assert "that of all 5." in modules.short_text(
        GAPS, BOUNDED.assign(default_reaches=[3, 2]), FLOOR, verdicts_stay=verdicts_stay
    )
    assert "proven" not in modules.short_text(GAPS, BOUNDED.assign(proven=0), FLOOR, verdicts_stay=verdicts_stay)


def test_the_captions_of_tables_begin_with_what_is_found() -> None:
    exact = pd.DataFrame({"method": [SEARCH, SEARCH, "Leiden"], "gap": [0.0, 0.1, 0.0]})
    tested = pd.DataFrame(
        [("noise", SHUFFLED, 0.01), ("noise", SHUFFLED, 0.02), ("noise", SEARCHED, 0.01), ("noise", SEARCHED, 0.9)],
        columns=["kind", "test", "p_value"],
    )
    said = modules.captions(GAPS, exact, BOUNDED, tested)
    assert said["gaps"].startswith("**Of the methods that run once, the paper's search ends closest to the best Q")
    closer = GAPS.assign(gap=GAPS["gap"].where(GAPS["method"] != "Leiden", 0.0))
    assert "once, Leiden ends closest" in modules.captions(closer, exact, BOUNDED, tested)["gaps"]
    assert said["exact"].startswith("**The paper's search finds the best of all partitions in 1 of 2 small matrices.**")
    assert said["bounds"].startswith("**Of 5 proven best partitions the paper's search finds 1, find_modules 4.**")
    assert said["rates"].startswith(
        "**Of matrices of noise, shuffled labels call 100 % modular, and a null model that is"
    )
    assert "too, 50 %.** Share with p of 0.05 or less; a valid test has 5 % on noise." in said["rates"]
    assert not any("`" in caption for caption in said.values())  # one would end the fence of the table
    assert modules.rates_markdown(tested).splitlines()[-1].startswith("| noise | 100 % (34 % to 100 %) | 50 % (9 % to")


def test_searches_that_are_nearly_as_good_are_compared_with_the_best() -> None:
    rows = [
        ("upstream", True, 1.0, 1.0, 0.2), ("upstream", False, 0.995, 0.9, 0.2), ("upstream", False, 0.99, 0.7, 0.3),
        ("upstream", False, 0.9, 0.1, 0.2), ("noise", False, 1.0, 0.5, 0.25),
    ]  # fmt: skip
    near = pd.DataFrame(rows, columns=["kind", "is_best", "share", "alike", "chance"])
    mean = (0.7 / 0.8 + 0.4 / 0.7) / 2  # of what is beyond chance
    told = (
        f"Their agreement with the best one is {mean:.2f} for upstream measures and 0.33 for noise, where 0 is chance "
        "and 1 the same modules."
    )
    assert modules.near_text(near) == told
    assert modules.near_text(near[near["is_best"]]) == "No other search comes so near."


def test_noise_is_told_by_units_at_the_most_samples_and_by_samples_at_the_most_units() -> None:
    assert modules.floor_text(FLOOR) == (
        "Q of pure noise is 0.06 to 0.10, depending on the number of units. The number of samples hardly matters: for "
        "64 units Q is 0.060 to 0.070."
    )
    alike = modules.floor_text(FLOOR.assign(mean=0.1))
    assert "is 0.10, depending" in alike  # no range from a number to itself


def test_the_ledger_in_short_counts_claims_by_version_and_numbers_within_two_errors(v1: Results) -> None:
    results = made_up_results()
    wide, base = (replace(results, study=replace(STUDY, name=name, protocol="final")) for name in ("wide", "base"))
    judged = {
        "made-up": judge_all(results),
        "wide": judge_all(results),
        "base": judge_all(made_up_results(dropout_rise=0)),
    }
    held = [sum(verdict.status == REPRODUCED for verdict in of.values()) for of in judged.values()]
    assert held[0] != held[2]
    group = GROUPS[0].title
    numbers = published_beside_ours(v1)
    numbers = numbers[numbers["group"] == group].head(4).assign(here=0.5, difference=0.0, in_errors=[0, 1.9, -2.1, 3])
    text = ledger.short_text(numbers, [results, wide, base], judged)
    assert text.startswith(
        f"Of the paper's 4 claims we reproduce {'all' if held[0] == 4 else held[0]} on the arXiv version's experiments "
        f"and {held[2]} to {held[0]} on the published version's experiments. Of the published numbers 50 % lie within "
        "two standard errors of ours (by chance alone 95 % would). Every group"
    )
    none = ledger.short_text(numbers.assign(here=np.nan), [results], judged)
    assert none.endswith("None of the published numbers belongs to this study.")


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        ((REPRODUCED,) * 4, "reproduce all on the arXiv version's experiments. None"),
        ((NOT_REPRODUCED,) * 4, "reproduce none on the arXiv version's experiments. None"),
        ((REPRODUCED, REPRODUCED, PARTLY, PARTLY), "reproduce 2 on the arXiv version's experiments. The others are"),
        ((REPRODUCED, REPRODUCED, PARTLY, NOT_REPRODUCED), "reproduce 2 on the arXiv version's experiments. None"),
    ],
)
def test_the_ledger_in_short_says_what_became_of_the_other_claims(
    v1: Results, statuses: tuple[str, ...], told: str
) -> None:
    results = made_up_results()
    verdicts = {claim.id: Verdict(status, None, None) for claim, status in zip(CLAIMS, statuses, strict=True)}
    numbers = published_beside_ours(v1, groups=[GROUPS[0].title]).assign(here=np.nan)
    assert told in ledger.short_text(numbers, [results], {"made-up": verdicts})


def test_speed_in_short_is_the_best_of_training_and_the_range_of_the_others() -> None:
    facts = {
        "training": {"rows": [{"times_plain_loop": 3.0}, {"times_plain_loop": 7.9}]},
        "similarity": {
            "rows": [
                {"table": "differentiation", "ratio": 24.0},
                {"table": "differentiation", "ratio": 37.0},
                {"table": "units", "ratio": 99.0},
            ]
        },
        "own_networks": {
            "rows": [
                {"table": "torch_func", "ratio": 0.52},
                {"table": "torch_func", "ratio": 1.04},
                {"table": "sequential", "ratio": 9.0},
            ]
        },
        "best_search": {
            "rows": [
                {"matrices": 3, "gap": 0.1, "Leiden gap": 1.0, "ratio": 0.5},
                {"matrices": 1, "gap": 0.9, "Leiden gap": 0.0, "ratio": 14.9},
            ]
        },
    }
    assert speed.short_text(facts) == (
        "Training is 8 times as fast as a plain PyTorch loop. The similarity of units in the paper's networks is 24 to "
        "37 times as fast as automatic differentiation, and other networks take 0.5 to 1.0 times as long as with "
        "torch.func. find_modules misses less Q than Leiden's method, but takes up to 15 times as long."
    )
    easy, hard = facts["best_search"]["rows"]
    facts["best_search"]["rows"] = [easy, {**hard, "gap": 9.0, "ratio": 1.0}]
    assert speed.short_text(facts).endswith("find_modules misses no less Q than Leiden's method, and is never slower.")
    facts["similarity"]["rows"][1]["ratio"] = 24.2
    assert "is 24 times as fast" in speed.short_text(facts)

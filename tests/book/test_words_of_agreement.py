"""What the page on agreement answers first, from the verdicts, from training and from live units."""

from dataclasses import replace

import pandas as pd
import pytest

from modularity_lib.book.words import agreement as words
from modularity_lib.findings.claims import PARTLY, REPRODUCED, AcrossBySweep, AcrossEvidence, KindOfPair, Verdict
from modularity_lib.findings.inference import Effect
from modularity_lib.findings.live_agreement import ALL_LAYERS, ALL_NETWORKS


def effect(mean: float, low: float | None, high: float | None) -> Effect:
    return Effect(mean, mean - 0.2, mean + 0.2, low, high, p_value=0.004, smallest_p=0.004, n_runs=9)


BY_SWEEP = AcrossBySweep({"l2": 0.05}, 0.7, None)
ACROSS = Verdict(REPRODUCED, effect(0.08, 0.07, 0.09), None, (), AcrossEvidence(0.31, 0.25, 0.37, 0.55, BY_SWEEP))
KINDS_OF_PAIR = {
    "upstream": KindOfPair(0.95, 0.57, 0.28),
    "downstream": KindOfPair(0.94, 0.50, 0.52),
    "across": KindOfPair(0.55, 0.31, 0.26),
}
WITHIN = Verdict(REPRODUCED, effect(0.224, 0.218, 0.230), None, (), KINDS_OF_PAIR)
SINCE = {
    "upstream": effect(0.30, 0.29, 0.31),
    "downstream": effect(-0.03, -0.04, -0.02),
    "across": effect(0.06, 0.05, 0.07),
}


def both(change_high: float = -0.1) -> pd.DataFrame:
    place = {"networks": ALL_NETWORKS, "layer": ALL_LAYERS, "change_high": change_high}
    rows = [place | {"kind": kind, "all": value} for kind, value in (("upstream", 0.44), ("downstream", 0.31))]
    others = [rows[0] | other | {"all": 0.9} for other in ({"networks": "L1"}, {"layer": "1"})]
    return pd.DataFrame([*rows, *others])


def claims(every: str = PARTLY, live: str = "not reproduced") -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"networks": networks, "layer": layer, "claim": claim, "units": units, "mean": mean, "status": status}
            for networks, layer, claim, units, mean, status in (
                ("dropout 0.3", ALL_LAYERS, words.ACROSS, "all", 0.10, REPRODUCED),
                ("dropout 0.3", ALL_LAYERS, words.ACROSS, "live", 0.11, REPRODUCED),
                ("dropout 0.7", ALL_LAYERS, words.ACROSS, "all", 0.25, every),
                ("dropout 0.7", ALL_LAYERS, words.ACROSS, "live", 0.27, live),
                ("dropout 0.7", "2", words.ACROSS, "all", 0.28, "not reproduced"),
                ("dropout 0.7", ALL_LAYERS, words.WITHIN, "all", 0.29, "not reproduced"),
                ("L1", ALL_LAYERS, words.ACROSS, "all", 0.30, "not reproduced"),
            )
        ]
    ).assign(low=0.2, high=0.3)


SHARES = pd.DataFrame(
    [
        {"networks": networks, "kind": kind, "alone": share}
        for networks, kind, share in (
            ("trained", "upstream", 0.5),
            ("untrained", "upstream", 0.25),
            ("untrained", "downstream", 0.99),
        )
    ]
)
VERDICTS = {words.WITHIN: WITHIN, words.ACROSS: ACROSS}
LEVELS = (
    "Two upstream measures agree by 0.44, two downstream ones by 0.31, and one of each by 0.08 (0 is chance, 1 the "
    "same modules)."
)


def test_the_answer_has_both_families_the_exception_live_units_and_training() -> None:
    assert words.short_text(VERDICTS, SINCE, both(), claims()) == (
        f"Within a family yes, across the families hardly. {LEVELS} But at dropout 0.7 the claim that families differ "
        "is partly reproduced, and over live units not reproduced. Part of the upstream agreement is about silent "
        "units, and downstream measures agree no more than in untrained networks."
    )


def test_each_part_of_the_answer_stands_only_where_it_is_true() -> None:
    verdicts = {words.WITHIN: replace(WITHIN, status=PARTLY), words.ACROSS: ACROSS}
    more = SINCE | {"downstream": effect(0.03, 0.01, 0.05)}
    told = words.short_text(verdicts, more, both(change_high=0.01))
    assert told == f"Not as clearly as the paper says. {LEVELS}"
    assert words.short_text(VERDICTS, more, both()).endswith("Part of the upstream agreement is about silent units.")
    only = words.short_text(VERDICTS, SINCE, both(change_high=0.01))
    assert only.endswith(f"{LEVELS} Downstream measures agree no more than in untrained networks.")
    assert "no more than in untrained" not in words.short_text(VERDICTS, {}, both())
    lacking = {words.WITHIN: WITHIN, words.ACROSS: Verdict("could not test", None, None)}
    assert words.short_text(lacking, SINCE, both()).startswith("This study lacks pairs of some kind")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (claims(PARTLY, PARTLY), " But at dropout 0.7 the claim that families differ is partly reproduced."),
        (claims(REPRODUCED, PARTLY), " differ is reproduced, and over live units partly reproduced."),
        (claims(REPRODUCED, REPRODUCED), ""),
        (claims().query("networks == 'L1'"), ""),
    ],
)
def test_the_strongest_dropout_is_told_where_it_is_an_exception(found: pd.DataFrame, told: str) -> None:
    more = SINCE | {"downstream": effect(0.03, 0.01, 0.05)}
    assert words.short_text(VERDICTS, more, both(change_high=0.01), found).endswith(told or LEVELS)


def test_verdicts_are_told_in_short() -> None:
    assert words.within_text(WITHIN, both(), SHARES) == (
        "Reproduced. Two upstream measures agree by 0.44, two downstream ones by 0.31. A permutation test finds more "
        "than chance in 95 % of the upstream pairs (untrained networks: 25 %) and 94 % of the downstream pairs "
        "(untrained networks: 99 %)."
    )
    assert words.within_text(WITHIN, both(), SHARES.iloc[:1]).endswith(
        "95 % of the upstream pairs and 94 % of the downstream pairs."
    )
    assert words.across_text(ACROSS, claims()) == (
        "Reproduced. An upstream and a downstream measure agree by 0.08, where the rule allows 0.25. Little is not "
        "nothing: 55 % of these pairs agree more than by chance. At dropout 0.7, where modules are clearest, they "
        "agree by 0.25 [0.20, 0.30], and by the same rule that is “partly reproduced”. Over live units it is 0.27 "
        "[0.20, 0.30], “not reproduced”."
    )
    assert words.across_text(ACROSS, claims().iloc[:0]).endswith("agree more than by chance.")
    untested = Verdict("could not test", None, None)
    assert words.within_text(untested, both(), SHARES) == words.across_text(untested, claims()) == "Could not test."


@pytest.mark.parametrize(
    ("effects", "told"),
    [
        (
            SINCE,
            "Training makes two upstream measures and measures of different families agree more, but not two "
            "downstream measures.",
        ),
        ({"upstream": effect(0.1, 0.05, 0.2)}, "Training makes two upstream measures agree more."),
        ({"upstream": effect(0.1, 0.0, 0.2)}, "Training makes no kind of pair agree more."),
        ({}, "How much agreement there is, and how much is possible."),
    ],
)
def test_the_caption_says_what_training_changes(effects: dict[str, Effect], told: str) -> None:
    assert words.since_head_text(effects) == told

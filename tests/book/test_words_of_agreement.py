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
    place = {"networks": ALL_NETWORKS, "layer": ALL_LAYERS, "all": 0.44, "live": 0.27, "change_high": change_high}
    others = [place | other | {"all": 0.9} for other in ({"networks": "L1"}, {"layer": "1"})]
    return pd.DataFrame([*({**row, "kind": "upstream"} for row in (place, *others)), {**place, "kind": "across"}])


def test_the_answer_has_both_families_live_units_and_training() -> None:
    verdicts = {words.WITHIN: WITHIN, words.ACROSS: ACROSS}
    assert words.short_text(verdicts, SINCE, both()) == (
        "Within a family they do, across the families hardly: 37 % and 8 % of the way from chance to identity. Part of "
        "the agreement of upstream measures is about which units are silent: over live units it falls from 44 % to 27 "
        "%. Two downstream measures agree no more than in untrained networks."
    )


def test_each_part_of_the_answer_stands_only_where_it_is_true() -> None:
    verdicts = {words.WITHIN: replace(WITHIN, status=PARTLY), words.ACROSS: ACROSS}
    more = SINCE | {"downstream": effect(0.03, 0.01, 0.05)}
    told = words.short_text(verdicts, more, both(change_high=0.01))
    assert told == "Not as clearly as the paper says: 37 % and 8 % of the way from chance to identity."
    assert "no more than in untrained" not in words.short_text(verdicts, {}, both())
    lacking = {words.WITHIN: WITHIN, words.ACROSS: Verdict("could not test", None, None)}
    assert words.short_text(lacking, SINCE, both()).startswith("This study lacks pairs of some kind")


def test_verdicts_are_told_in_short() -> None:
    assert words.within_text(WITHIN) == (
        "Reproduced. Two measures of one family agree by 0.22 [0.22, 0.23] more than two of different families. A "
        "permutation test finds 95 % of the comparisons of two upstream measures beyond chance, and 94 % of those of "
        "two downstream ones."
    )
    claims = pd.DataFrame(
        [
            {"networks": networks, "layer": layer, "claim": claim, "units": units, "mean": mean, "status": status}
            for networks, layer, claim, units, mean, status in (
                ("dropout 0.3", ALL_LAYERS, words.ACROSS, "all", 0.10, REPRODUCED),
                ("dropout 0.7", ALL_LAYERS, words.ACROSS, "all", 0.25, PARTLY),
                ("dropout 0.7", ALL_LAYERS, words.ACROSS, "live", 0.27, "not reproduced"),
                ("dropout 0.7", "2", words.ACROSS, "all", 0.28, "not reproduced"),
                ("dropout 0.7", ALL_LAYERS, words.WITHIN, "all", 0.29, "not reproduced"),
                ("L1", ALL_LAYERS, words.ACROSS, "all", 0.30, "not reproduced"),
            )
        ]
    )
    assert words.across_text(ACROSS, claims) == (
        "Reproduced. Agreement across the families is 8 % of the way from chance to identity, against 37 % within "
        "them. Little is not nothing: 55 % of these comparisons agree beyond chance. At dropout 0.7, where modules are "
        "clearest, agreement is 25 %. By the same rule that is “partly reproduced”."
    )
    assert words.across_text(ACROSS, claims.iloc[:0]).endswith("agree beyond chance.")
    untested = Verdict("could not test", None, None)
    assert words.within_text(untested) == words.across_text(untested, claims) == "Could not test."


@pytest.mark.parametrize(
    ("effects", "told"),
    [
        (
            SINCE,
            "Training makes two upstream measures and one of each family agree more, but not two downstream measures.",
        ),
        ({"upstream": effect(0.1, 0.05, 0.2)}, "Training makes two upstream measures agree more."),
        ({"upstream": effect(0.1, 0.0, 0.2)}, "Training makes no kind of pair agree more."),
        ({}, "How much agreement there is, and how much is possible."),
    ],
)
def test_the_caption_says_what_training_changes(effects: dict[str, Effect], told: str) -> None:
    assert words.since_head_text(effects) == told

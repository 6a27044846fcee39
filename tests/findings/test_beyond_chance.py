"""Agreement beyond chance: corrections for many comparisons, and a test that is tried where chance is all there is."""

from dataclasses import replace
from math import comb

import numpy as np
import pytest

from made_up_results import STUDY, made_up_results
from modularity_lib.book.words import agreement as agreement_words
from modularity_lib.findings import beyond_chance
from modularity_lib.findings.beyond_chance import FalsePositives
from modularity_lib.studies.results import Results


def with_labels(results: Results, labels: list[list[int]]) -> Results:
    repeated = [labels[index % len(labels)] for index in range(len(results.modules))]
    study = replace(results.study, permutations=200)
    return Results(study, results.networks, results.modules.assign(labels=repeated), results.agreement)


def test_shares_fall_with_every_correction() -> None:
    # 8 downstream and upstream pairs of a layer and 16 across: p of 0.04 is beyond chance alone, and not by Holm.
    results = made_up_results(p_value={"upstream": 0.0002, "downstream": 0.0002, "across": 0.04})
    table = beyond_chance.beyond_chance_table(results).set_index(["networks", "kind"])
    across = table.loc[("trained", "across")]
    assert across["comparisons"] == len(STUDY.trained_configs()) * 2 * 16
    assert (across["alone"], across["false_discovery"], across["holm"]) == (1, 1, 0)
    assert table.loc[("trained", "upstream"), "holm"] == 1
    none = beyond_chance.beyond_chance_table(
        made_up_results(p_value={"upstream": 0.04, "downstream": 0.5, "across": 0.5})
    )
    upstream = none.set_index(["networks", "kind"]).loc[("trained", "upstream")]
    assert (upstream["alone"], upstream["false_discovery"], upstream["holm"]) == (1, 0, 0)


def test_the_test_keeps_its_level_on_shuffled_units_although_the_clusterings_agree() -> None:
    alike = [int(unit) for unit in np.arange(64) % 4]
    errors = beyond_chance.false_positives(with_labels(made_up_results(), [alike]), pairs=200)
    assert errors.rate < 0.12
    assert errors.low <= errors.rate <= errors.high
    assert errors.pairs == 200
    again = beyond_chance.false_positives(with_labels(made_up_results(), [alike]), pairs=200)
    assert again == errors


def test_the_interval_of_the_rate_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clopper and Pearson: with the lower end as the true rate, so many hits or more are as rare as 2.5 %."""
    p_values = iter([0.0499] * 7 + [0.0501] * 93)
    monkeypatch.setattr(beyond_chance, "agreement_p_value", lambda *_, **__: next(p_values))
    errors = beyond_chance.false_positives(with_labels(made_up_results(), [[0, 1]]), pairs=100)
    assert errors.rate == 7 / 100

    def share(rate: float, hits: range) -> float:
        return sum(comb(100, k) * rate**k * (1 - rate) ** (100 - k) for k in hits)

    assert share(errors.low, range(7, 101)) == pytest.approx(0.025)
    assert share(errors.high, range(8)) == pytest.approx(0.025)


@pytest.mark.parametrize(("p_value", "alone"), [(0.0499, 1), (0.0501, 0)])
def test_a_comparison_is_beyond_chance_below_five_percent(p_value: float, alone: int) -> None:
    results = made_up_results(p_value={"upstream": p_value, "downstream": p_value, "across": p_value})
    table = beyond_chance.beyond_chance_table(results)
    assert set(table["alone"]) == set(table["false_discovery"]) == {alone}  # of equal p-values the largest is the limit
    assert set(table["holm"]) == {0}


def test_untrained_networks_are_taken_off_each_run() -> None:
    results = made_up_results(agreement={"upstream": 0.7, "downstream": 0.6, "across": 0.3})
    table = results.agreement
    higher = table["element_centric"] + 0.1 * table["trained"] * (table["measure_a"] != table["measure_b"])
    shifted = Results(results.study, results.networks, results.modules, table.assign(element_centric=higher))
    effects = beyond_chance.since_training(shifted)
    assert [effects[kind].mean for kind in beyond_chance.KINDS] == pytest.approx([0.1] * 3, abs=0.01)
    assert effects["upstream"].n_runs == STUDY.runs


def test_the_sentences_follow_the_results() -> None:
    results = made_up_results(p_value={"upstream": 0.0002, "downstream": 0.0002, "across": 0.04})
    shares, effects = beyond_chance.beyond_chance_table(results), beyond_chance.since_training(results)
    errors = FalsePositives(0.03, 0.02, 0.05, 400)
    told = agreement_words.beyond_chance_texts(results, shares, errors, effects)
    assert "100 % have p < 0.05. 100 % remain" in told["little_is_not_nothing"]
    assert "0 % when Holm's method" in told["little_is_not_nothing"]
    assert "could call none of them" in told["holm_over_all"]  # 24 networks, 2 layers, 24 pairs: 1,152 / 5,001 = 0.23
    assert told["holm_over_all"].endswith("multiplies to 0.23.")
    many = Results(replace(STUDY, permutations=10**6), results.networks, results.modules, results.agreement)
    assert "is possible" in agreement_words.beyond_chance_texts(many, shares, errors, effects)["holm_over_all"]
    assert (
        "finds agreement in 12 (95 % interval 2 % to 5 % of them). It keeps its level of 5 %."
        in told["false_positives"]
    )
    kept = replace(errors, low=0.05)
    assert (
        "It keeps its level" in agreement_words.beyond_chance_texts(results, shares, kept, effects)["false_positives"]
    )
    broken = agreement_words.beyond_chance_texts(results, shares, FalsePositives(0.2, 0.0501, 0.25, 400), effects)
    assert "does not keep its level" in broken["false_positives"]
    low = {"downstream": replace(effects["downstream"], mean=-0.1, low=None, high=None, smallest=-0.2, largest=-0.05)}
    since = agreement_words.beyond_chance_texts(results, shares, errors, low)["since_training"]
    assert since == (
        "Two downstream measures agree less after training (−0.10, single runs −0.20 to −0.05). These differences are "
        "in raw similarity."
    )
    both = {"upstream": replace(effects["upstream"], low=None, high=None, smallest=-0.01, largest=0.1)}
    told = agreement_words.since_training_text(both)
    assert "Two upstream measures agree neither more nor less after training" in told
    higher = {"across": replace(effects["across"], mean=0.1, low=0.01, high=0.2)}
    told = agreement_words.since_training_text(higher)
    assert told.startswith("Measures of different families agree more after training (+0.10 [+0.01, +0.20]).")
    assert "no untrained networks" in agreement_words.beyond_chance_texts(results, shares, errors, {})["since_training"]

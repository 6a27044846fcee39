"""Sentences and tables of the report come from results: other results, other sentences."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from made_up_results import STUDY, made_up_results
from modularity_lib.book.words.agreement import chance_to_ceiling_text, metrics_text, strength_text
from modularity_lib.book.words.measures import pair_texts, series_texts
from modularity_lib.book.words.modularity import module_texts
from modularity_lib.book.words.networks import accuracy_markdown
from modularity_lib.book.words.prose import effect_text, interval_text, markdown
from modularity_lib.book.words.rerun import studies_markdown
from modularity_lib.book.words.study import cost_texts, judged_text, study_texts
from modularity_lib.book.words.verdicts import all_claims_text, claim_text, verdicts_markdown
from modularity_lib.clustering.modularity import modularity_score
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings.claims import CLAIMS, judge_all
from modularity_lib.findings.inference import effect_over_runs
from modularity_lib.findings.stricter_claims import judge_within_stricter
from modularity_lib.studies.catalogue import STUDIES


def test_the_verdict_table_has_a_row_per_claim_and_follows_the_results() -> None:
    table = verdicts_markdown([STUDY], {"made-up": judge_all(made_up_results())})
    assert len(table.splitlines()) == 2 + len(CLAIMS)
    assert "**reproduced**" in table
    effect = judge_all(made_up_results())["dropout-raises-modularity"].effect
    assert effect is not None
    assert f"| **reproduced**: {effect.mean:.3f} [{effect.low:.3f}, {effect.high:.3f}] |" in table
    changed = verdicts_markdown([STUDY], {"made-up": judge_all(made_up_results(dropout_rise=0.0))})
    assert "**not reproduced**" in changed
    assert "; misses: Q rises in" in changed


def test_versions_of_the_paper_stand_side_by_side_with_both_rules() -> None:
    wide, base = (replace(STUDY, name=name, protocol="final") for name in ("wide", "base"))
    rises = {"made-up": 0.2, "wide": 0.03, "base": 0.2}
    verdicts = {name: judge_all(made_up_results(dropout_rise=rise)) for name, rise in rises.items()}
    stricter = {"base": judge_within_stricter(made_up_results())}
    table = verdicts_markdown([STUDY, wide, base], verdicts, stricter)
    assert "| claim | arXiv version (`made-up`) | published version (`wide`, `base`) | paper | decided by |" in table
    first, _, within, _ = table.splitlines()[2:]
    assert "| `wide` **partly reproduced**: 0.03" in first
    assert "<br>`base` **reproduced**: 0.200" in first
    told = within.split("`base` ")[1]
    assert f"; stricter rule: **{stricter['base'].status}** (" in told
    assert "upstream no more than untrained, " in told
    assert "; misses: Q rises by a factor of 1.5 in 0 of 8 only<br>" in first
    assert within.count("stricter rule") == 1


def test_the_text_of_a_claim_gives_effect_interval_runs_paper_and_rule() -> None:
    verdict = judge_all(made_up_results())["dropout-raises-modularity"]
    text = claim_text("dropout-raises-modularity", verdict)
    assert verdict.effect is not None
    for part in (
        "Verdict: reproduced",
        f"{verdict.effect.mean:.3f}",
        f"single runs: {verdict.effect.smallest:.3f} to {verdict.effect.largest:.3f}",
        f"{STUDY.runs} runs",
        f"{verdict.paper:.3f}",
        "*Rule.*",
        "*Refuted by:*",
    ):
        assert part in text


def test_the_facts_of_a_study_count_its_tables() -> None:
    results = made_up_results(low_accuracy_above=0.4)
    facts = study_texts(results)
    assert facts["n_trained"] == str(len(STUDY.trained_configs())) == "24"
    published = replace(results, study=replace(results.study, protocol="final"))
    said = [study_texts(of)["protocol"] for of in (results, published)]
    assert said == ["the arXiv version's protocol", "the published version's protocol"]
    assert facts["n_analysed"] == "20"
    assert facts["n_left_out"].startswith(
        "Left out of every analysis, as in the paper: 4 with a test accuracy under 80%"
    )
    assert (facts["n_train"], facts["n_validation"], facts["n_test"]) == ("3,600", "400", "1,000")
    results.networks.loc[results.networks.index[0], ["status", "analysed"]] = ["diverged", False]
    assert "1 that diverged" in study_texts(results)["n_left_out"]


def test_the_accuracy_table_has_a_row_per_setting_and_counts_networks_left_out() -> None:
    rows = accuracy_markdown(made_up_results(low_accuracy_above=0.4)).splitlines()
    assert len(rows) == 2 + 2 + 3 + 3  # header; L2; L1 and dropout with their baseline
    assert rows[-1] == "| dropout | 0.6 | 50.0% | 50.0% to 50.0% | 4 of 4 |"


def test_an_effect_is_told_with_its_interval_and_with_its_extremes_where_there_is_none() -> None:
    few, many = (effect_over_runs(np.array(values)) for values in ([0.15], np.linspace(0.1, 0.2, 9)))
    assert effect_text(few) == "0.150 (0.150 to 0.150)"
    assert effect_text(many, sign="+") == f"+0.150 [{many.low:.3f}, {many.high:.3f}]"
    assert interval_text(few, before=" ") == ""
    assert effect_text(None) == "–"


def test_a_bar_does_not_end_a_cell_and_columns_may_be_aligned_to_the_right() -> None:
    table = markdown(["chapter", "took"], [["a|b", "1 s"]], right=["took"])
    assert table.splitlines() == ["| chapter | took |", "|---|---:|", "| a/b | 1 s |"]


def test_the_facts_of_a_pair_say_how_far_one_measures_modules_explain_the_other() -> None:
    random = np.random.default_rng(0)
    blocks = np.kron(np.eye(2), np.ones((6, 6))) + 0.05 * random.random((12, 12))
    a = (blocks + blocks.T) / 2
    shuffled = random.permutation(12)
    matrices = {"input_gradient": a, "output_gradient": a[np.ix_(shuffled, shuffled)]}
    modules = {name: paper_modules(matrix, seed=0) for name, matrix in matrices.items()}
    scores = {(x, y): modularity_score(matrices[x], modules[y].labels) for x in matrices for y in matrices}
    facts = pair_texts(matrices, modules, scores, ("input_gradient", "output_gradient"))
    assert facts["name_b"] == "output gradient"
    assert f"Q = {modules['input_gradient'].score:.2f} under its own" in facts["pair_verdict"]
    assert "clusterings agree by " in facts["pair_verdict"]
    same = pair_texts(matrices, dict.fromkeys(modules, modules["input_gradient"]), scores, tuple(matrices))
    assert "clusterings agree by 1.00, where 0 is chance" in same["pair_verdict"]
    assert scores["input_gradient", "input_gradient"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("noises", "course"),
    [
        ((0.6, 0.0), "Q rises from each strength to the next, from "),
        ((0.0, 0.6), "Q falls from each strength to the next, from "),
        ((0.0, 0.6, 0.0), "Q rises and falls: it is "),
        ((0,), "There is only one strength to show: Q is "),
    ],
)
def test_the_facts_of_a_series_follow_its_scores(noises: tuple[float, ...], course: str) -> None:
    blocks = np.kron(np.eye(2), np.ones((6, 6)))
    modules = {0.1 * i: paper_modules(blocks + noise, seed=0) for i, noise in enumerate(noises)}
    facts = series_texts(modules, "input_covariance_norm")
    assert facts["series_verdict"].startswith(f"{course}{modules[0.0].score:.2f} at dropout 0")
    assert f"{modules[0.0].score:.2f} at dropout 0" in facts["series_verdict"]
    assert facts["series_measure"] == "Input covariance (norm)"


def test_the_table_of_studies_has_a_row_per_study_and_less_time_on_more_cores() -> None:
    made = replace(made_up_results(), study=STUDIES["v1"], made_with={"core_seconds": {"training": 7200.0}})
    rows = studies_markdown(cores=1, computed=[made]).splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(STUDIES)
    two = studies_markdown(cores=2, computed=[made]).splitlines()
    hours = [float(row.split("|")[-4].split()[0]) for row in (rows[2], two[4])]
    assert rows[2].endswith("| 2.0 h | 2.0 h |")
    assert two[4].endswith("| 60 min | 2.0 h |")
    assert two[0].endswith("| expected on 2 cores | took on 2 cores | core time |")
    assert "| took on 1 core |" in studies_markdown(cores=1).splitlines()[0]
    assert rows[3].endswith("| – | – |")
    assert "| at most " in rows[3]
    assert rows[2].startswith("| `v1` | 288 trained, 500 untrained | 64-64 | mnist | v1 | ")
    assert hours[1] == pytest.approx(hours[0] / 2, abs=0.1)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(59.4, "59 s"), (60, "60 s"), (91, "2 min"), (5399, "90 min"), (5401, "1.5 h"), (9000, "2.5 h")],
)
def test_a_time_is_told_in_the_unit_that_fits(seconds: float, told: str) -> None:
    made = replace(made_up_results(), study=STUDIES["v1"], made_with={"core_seconds": {"training": seconds}})
    assert studies_markdown(cores=1, computed=[made]).splitlines()[4].endswith(f"| {told} |")


def test_all_claims_are_told_with_their_statements() -> None:
    text = all_claims_text(judge_all(made_up_results(dropout_rise=0.0)))
    assert [text.index(claim.statement) for claim in CLAIMS] == sorted(text.index(claim.statement) for claim in CLAIMS)
    assert "Verdict: not reproduced" in text


def test_the_claims_that_hold_on_a_study_are_counted() -> None:
    verdicts = judge_all(made_up_results())
    begin = "The study made-up was judged by the same rules as the paper's own experiment. "
    first = next(iter(verdicts))
    mixed = {
        name: replace(verdict, status="partly reproduced" if name == first else "reproduced")
        for name, verdict in verdicts.items()
    }
    assert judged_text(STUDY, mixed) == f"{begin}Of the 4 claims, 3 are reproduced and 1 is partly reproduced."
    mixed[first] = replace(mixed[first], status="could not test")
    assert judged_text(STUDY, mixed).endswith("Of the 4 claims, 3 are reproduced and 1 could not be tested.")
    none = {name: replace(verdict, status="not reproduced") for name, verdict in verdicts.items()}
    assert judged_text(STUDY, none) == f"{begin}None of the 4 claims is reproduced."


def test_what_a_study_cost_comes_from_its_tables() -> None:
    results = replace(made_up_results(), made_with={"core_seconds": {"training": 1234.4, "modules": 5.0}})
    facts = cost_texts(results)
    assert facts["cost"] == "training 1,234 s, modules 5 s"
    assert cost_texts(made_up_results())["cost"] == "not recorded"


def test_agreement_in_words_gives_chance_and_ceiling() -> None:
    made_up = {"upstream": (0.6, 0.3), "downstream": (0.5, 0.51), "across": (0.3, 0.4)}
    rows = [
        {"kind": kind, "what": what, "element_centric": value}
        for kind, (trained, untrained) in made_up.items()
        for what, value in {"trained": trained, "untrained": untrained, "chance": 0.25, "ceiling": 0.8}.items()
    ]
    told = chance_to_ceiling_text(pd.DataFrame(rows))
    assert told.startswith(
        "Two upstream measures have a raw similarity of 0.60 in trained networks and of 0.30 in untrained ones. "
        "Chance is 0.25 and the ceiling 0.80. Two downstream"
    )
    assert "Measures of different families have a raw similarity of 0.30 in trained networks and of 0.40 in un" in told
    rows.append({"kind": "upstream", "what": "ceiling, images", "element_centric": 0.7})
    assert "the ceiling 0.80 (0.70 with other images)." in chance_to_ceiling_text(pd.DataFrame(rows))


def test_modules_of_untrained_networks_and_at_the_strongest_regularisation_are_told() -> None:
    results = made_up_results()
    results.modules["n_modules"] = 4.0
    strong = results.modules["dropout"] == 0.6
    results.modules.loc[strong & (results.modules["measure"] == "input_gradient"), "n_modules"] = 2.5
    live = replace(results, modules=results.modules.assign(n_modules=results.modules["n_modules"] + 1))
    facts = module_texts(results, live)
    assert facts["module_counts_short"] == (
        "Depending on the measure, there are 4.0 in untrained networks, 2.5 to 4.0 with dropout 0.6, 4.0 with L1 0.001 "
        "and 4.0 with L2 0.001. Under dropout there are fewer than in untrained networks by 1 of 8 measures. Under L1 "
        "and L2 there are no fewer than in untrained networks."
    )
    assert facts["module_counts"].startswith(
        "Over live units: Depending on the measure, there are 5.0 in untrained networks, 3.5 to 5.0 with dropout 0.6, "
    )
    all_fewer = replace(results, modules=results.modules.assign(n_modules=4.0 - results.modules["trained"]))
    assert (
        "Under dropout, L1 and L2 there are fewer than in untrained networks."
        in (module_texts(all_fewer, live)["module_counts_short"])
    )
    untrained = results.modules.query("not trained").groupby("measure")["score"].mean()
    assert f"from {untrained.min():.2f} (" in facts["untrained_scores"]
    assert f"to {untrained.max():.2f} (" in facts["untrained_scores"]
    assert facts["untrained_short"] == f"{untrained.min():.2f} to {untrained.max():.2f}, depending on the measure"
    none = module_texts(replace(results, modules=results.modules.query("trained")), live)
    assert none.keys() == facts.keys()


def test_agreement_at_the_ends_of_dropout_is_told() -> None:
    results = made_up_results(agreement={"upstream": 0.7, "downstream": 0.6, "across": 0.3})
    table = results.agreement
    table["element_centric"] = table["element_centric"].where(table["dropout"] != 0.6, 0.9)
    # corrected for a chance of 0.25: (0.7 - 0.25) / 0.75 = 0.60 and (0.9 - 0.25) / 0.75 = 0.87
    assert strength_text(results).startswith(
        "From dropout 0 to 0.6 agreement goes from 0.60 to 0.87 for two upstream me"
    )


def test_metrics_of_clusterings_and_of_matrices_are_told_apart() -> None:
    table = pd.DataFrame(
        [
            ("greedy", "vi", 0.9),
            ("greedy", "rmi", 0.8),
            ("vi", "similarity_spearman", 0.5),
            ("rmi", "similarity_spearman", 0.6),
        ],
        columns=["metric_a", "metric_b", "here"],
    )
    told = metrics_text(table)
    assert "correlate by 0.80 to 0.90 with each other" in told
    assert told.endswith("(RSA) correlates with them by 0.50 to 0.60.")

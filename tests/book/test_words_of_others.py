"""What stands beside the literature: verdicts, and how often tests of Q call noise modular."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from made_up_results import made_up_results
from modularity_lib.book.words import others
from modularity_lib.findings.claims import CLAIMS, PARTLY, REPRODUCED, Verdict

PROJECT = Path(__file__).resolve().parents[2]


RESULTS = made_up_results()
PUBLISHED = [replace(RESULTS.study, name=name, protocol="final") for name in ("wide", "deep")]
STUDIES = [RESULTS.study, *PUBLISHED]


def judged_by_hand() -> others.Judged:
    """All claims are reproduced by the first study, but for the last one; by "deep" the second is not either."""
    statuses = {RESULTS.study.name: "RRRP", "wide": "RRRP", "deep": "RPRP"}
    names = {"R": REPRODUCED, "P": PARTLY}
    return {
        study: {claim.id: Verdict(names[one], None, None) for claim, one in zip(CLAIMS, letters, strict=True)}
        for study, letters in statuses.items()
    }


def test_a_claim_stands_with_its_verdicts_by_each_protocol() -> None:
    told = [others.claim_text(claim.id, STUDIES, judged_by_hand()) for claim in CLAIMS]
    published = "under the published version's protocol."
    assert told[0] == "Here this is reproduced under both protocols."
    assert told[1].endswith(f" reproduced or partly reproduced {published}")
    assert told[3].endswith("is partly reproduced under both protocols.")
    alone = others.claim_text(CLAIMS[0].id, STUDIES[:1], judged_by_hand())
    assert alone.endswith("is reproduced under the arXiv version's protocol.")


def test_the_answer_counts_claims_by_protocol_and_says_that_tests_err() -> None:
    tests = {"shuffled labels": [0.05] * 8, "ml.test_modules": [0.5] * 7 + [0.05]}
    text = others.short_text(STUDIES, judged_by_hand(), tests)
    assert text.endswith(
        "Of the paper's 4 claims we reproduce 3 under the arXiv version's protocol and 2 to 3 under the published "
        "version's protocol. One test that is in use finds modules in pure noise in 100 % of cases."
    )
    two = others.short_text(STUDIES[:1], judged_by_hand(), tests | {"ml.test_modules": [0.5] * 4 + [0.05] * 4})
    assert two.endswith("protocol. Two tests that are in use find modules in pure noise in 50 % to 100 % of cases.")
    every = {RESULTS.study.name: dict.fromkeys((claim.id for claim in CLAIMS), Verdict(REPRODUCED, None, None))}
    assert "claims we reproduce all 4 under the arXiv" in others.short_text(STUDIES[:1], every, tests)
    none = others.short_text(STUDIES[:1], judged_by_hand(), {"ml.test_modules": [0.5]})
    assert none.endswith("No test calls noise modular more often than it should.")


def test_tests_whose_interval_holds_their_level_are_not_blamed() -> None:
    head = others.tests_head({"ml.test_modules": [0.5] * 90 + [0.05] * 10})  # 10 %, 5.5 % to 17 %
    assert head == "Tests that are in use find modules in pure noise: ml.test_modules in 10 % of cases."
    kept = others.tests_head({"ml.test_modules": [0.5] * 91 + [0.05] * 9})  # 9 %, 4.8 % to 16 %
    assert kept == "No test calls noise modular more often than it should."


def test_tests_of_q_are_counted_with_their_interval() -> None:
    p_values = {"shuffled labels": [0.05, 0.05, 0.05, 0.05], "ml.test_modules": [0.05, 0.1, 0.5, 1.0]}
    *_, permuted, searched = others.tests_markdown(p_values).splitlines()
    assert permuted.startswith("| shuffled labels | the modules that were found, on other units | 4 of 4 |")
    assert "| 1 of 4 | 5 % to 70 % |" in searched  # Wilson
    assert searched.startswith("| ml.test_modules | modules searched for in matrices of shuffled samples |")
    *_, kept = others.tests_markdown({"fixed modules in null matrices": [0.5]}).splitlines()
    assert kept.startswith(
        "| fixed modules in null matrices | the modules that were found, in matrices of shuffled samples |"
    )


def test_nulls_of_pilots_are_told_with_their_numbers() -> None:
    told = others.nulls_texts()
    assert "Their Q is 0.07 to 0.12 at every dropout and shows 2 % of the rise of Q" in told["null_entropy"]
    assert "which keeps all that the layer can compute. They show 6 % of that rise" in told["null_rotation"]


@pytest.mark.parametrize("chapter", sorted((PROJECT / "chapters").glob("*.md")), ids=lambda path: path.stem)
def test_every_source_that_is_cited_can_be_looked_up(chapter: Path) -> None:
    entries = re.split(r"\n(?=@)", (PROJECT / "references.bib").read_text(encoding="utf-8"))
    known = {re.match(r"\s*@\w+\{(\w+),", entry).group(1): entry for entry in entries}
    for cited in re.findall(r"\{cite:p\}`([^`]+)`", chapter.read_text(encoding="utf-8")):
        for key in cited.split(","):
            assert re.search(r"doi = |eprint = |booktitle|Machine Learning Research", known[key]), key

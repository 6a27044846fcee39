"""What stands beside the literature: verdicts, and how often tests of Q call noise modular."""

import re
from pathlib import Path

import pytest

from made_up_results import made_up_results
from modularity_lib.book.words import others
from modularity_lib.findings.claims import CLAIMS, judge_all

PROJECT = Path(__file__).resolve().parents[2]


def test_a_claim_stands_with_its_verdict_and_the_number_that_decides_it() -> None:
    verdicts = judge_all(made_up_results())
    for claim in CLAIMS:
        text = others.claim_text(claim.id, verdicts)
        assert claim.statement in text
        assert f"**Here:** {verdicts[claim.id].status} ({verdicts[claim.id].effect.mean:.3f}" in text
        assert text.endswith(f"], {claim.quantity}).")


def test_the_answer_counts_claims_and_names_the_tests_that_err() -> None:
    verdicts = judge_all(made_up_results())
    held = sum(verdict.status == "reproduced" for verdict in verdicts.values())
    text = others.short_text(verdicts, {"permuted labels": [0.05] * 8, "ml.test_modules": [0.5] * 7 + [0.05]})
    assert f"Of its {len(CLAIMS)} claims {held} are reproduced here." in text
    assert text.endswith("Tests that are in use call noise modular: permuted labels in 100 % of cases.")


def test_tests_whose_interval_holds_their_level_are_not_blamed() -> None:
    head = others.tests_head({"ml.test_modules": [0.5] * 90 + [0.05] * 10})  # 10 %, 5.5 % to 17 %
    assert head == "Tests that are in use call noise modular: ml.test_modules in 10 % of cases."
    kept = others.tests_head({"ml.test_modules": [0.5] * 91 + [0.05] * 9})  # 9 %, 4.8 % to 16 %
    assert kept == "No test calls noise modular more often than it should."


def test_tests_of_q_are_counted_with_their_interval() -> None:
    p_values = {"permuted labels": [0.05, 0.05, 0.05, 0.05], "ml.test_modules": [0.05, 0.1, 0.5, 1.0]}
    *_, permuted, searched = others.tests_markdown(p_values).splitlines()
    assert permuted.startswith("| permuted labels | the labels that were found, on other units | 4 of 4 |")
    assert "| 1 of 4 | 5 % to 70 % |" in searched  # Wilson
    assert searched.startswith("| ml.test_modules | modules searched for in matrices of shuffled samples |")
    *_, kept = others.tests_markdown({"modules in null matrices": [0.5]}).splitlines()
    assert kept.startswith(
        "| modules in null matrices | the modules that were found, in matrices of shuffled samples |"
    )


def test_nulls_of_pilots_are_told_with_their_numbers() -> None:
    told = others.nulls_texts()
    assert "their Q is 0.07 to 0.12 at every dropout and shows 2 % of the rise of Q" in told["null_entropy"]
    assert "which keeps all that the layer can compute: 6 % of that rise" in told["null_rotation"]


@pytest.mark.parametrize("chapter", sorted((PROJECT / "chapters").glob("*.md")), ids=lambda path: path.stem)
def test_every_source_that_is_cited_can_be_looked_up(chapter: Path) -> None:
    entries = re.split(r"\n(?=@)", (PROJECT / "references.bib").read_text(encoding="utf-8"))
    known = {re.match(r"\s*@\w+\{(\w+),", entry).group(1): entry for entry in entries}
    for cited in re.findall(r"\{cite:p\}`([^`]+)`", chapter.read_text(encoding="utf-8")):
        for key in cited.split(","):
            assert re.search(r"doi = |eprint = |booktitle|Machine Learning Research", known[key]), key

"""How to cite is written from CITATION.cff alone."""

from pathlib import Path

import pytest

from modularity_lib.book.citation import citation_markdown

CFF = """\
message: Please cite.
title: A library
version: 1.2
license: MIT
authors: [{name: a group}, {family-names: Doe, given-names: Jo}]
references:
  - title: A paper
    authors: [{family-names: Roe, given-names: R.}]
    journal: A journal
    year: 1999
    url: https://example.org/paper
    identifiers: [{type: other, value: "arXiv:9901.00001"}]
"""


def test_text_and_bibtex_follow_the_file(tmp_path: Path) -> None:
    (tmp_path / "CITATION.cff").write_text(CFF)
    said = citation_markdown(tmp_path)
    assert said.startswith("Please cite.\n")
    assert "a group; Doe, Jo: *A library.* version 1.2, MIT licence." in said
    assert "author = {{a group} and Doe, Jo}," in said
    assert "Roe, R. (1999): *A paper.* A journal. [example.org](https://example.org/paper)." in said
    assert "[arXiv:9901.00001](https://arxiv.org/abs/9901.00001)." in said
    assert "  year = {1999},\n  url = {https://example.org/paper}\n}" in said
    dated = CFF.replace("license: MIT", "license: MIT\ndate-released: 2030-05-06")
    (tmp_path / "CITATION.cff").write_text(dated)
    assert "Doe, Jo (2030): *A library.*" in citation_markdown(tmp_path)


def test_a_file_without_the_paper_is_refused(tmp_path: Path) -> None:
    (tmp_path / "CITATION.cff").write_text(CFF.split("references:")[0])
    with pytest.raises(ValueError, match="must name one paper under references, got 0"):
        citation_markdown(tmp_path)

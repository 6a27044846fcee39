"""The picture that stands for the book is that of the shipped results."""

from pathlib import Path

from PIL import Image

from made_up_results import made_up_results
from modularity_lib.book.cover import COVER, cover_source, draw_cover
from modularity_lib.book.readme import shipped_results


def test_the_cover_shows_the_shipped_results() -> None:
    with Image.open(COVER) as cover:
        assert cover.size == (1200, 630)
        assert cover.info["Source"] == cover_source(shipped_results()[0]), "run: make readme"


def test_other_results_give_another_cover(tmp_path: Path) -> None:
    draw_cover(made_up_results(), tmp_path / "cover.png")
    with Image.open(tmp_path / "cover.png") as cover:
        assert cover.size == (1200, 630)
        assert cover.info["Source"] == cover_source(made_up_results())
        assert cover.info["Source"] != cover_source(made_up_results(dropout_rise=0.1))

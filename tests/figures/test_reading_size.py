"""Every figure can be read where a page shows it, and its legend where a phone does."""

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from made_up_results import made_up_results
from modularity_lib import figures
from modularity_lib.book.html import WIDE
from modularity_lib.clustering.paper_search import spectral_modules
from modularity_lib.figures.plot import Plot
from modularity_lib.figures.png import png_of
from modularity_lib.figures.style import NARROW, PAGE, PHONE, SMALLEST_TEXT, WIDTH
from modularity_lib.findings import score_correlations
from modularity_lib.findings.layers import SearchedLayer
from modularity_lib.findings.why_dropout_effects import FOLLOWED
from modularity_lib.paths import checkout
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import MEASURES, NORMALISED, REGULARISERS

TRIMMED = 0.1  # inches that a trimmed picture keeps around what is drawn
DRAWING = checkout() / "_static" / "upstream-downstream.svg"
SVG = "{http://www.w3.org/2000/svg}"


def some_rows(levels: dict[str, list[object]], *values: str) -> pd.DataFrame:
    """A row for every combination of the levels, with numbers from 0 to 1 in the other columns."""
    table = pd.MultiIndex.from_product(levels.values(), names=list(levels)).to_frame(index=False)
    random = np.random.default_rng(0)
    return table.assign(**{value: random.random(len(table)) for value in values})


LAYERS: dict[str, list[object]] = {"layer": [1, 2]}
ALONG: dict[str, list[object]] = {"strength": [0.0, 0.35, 0.7], "run": [0, 1, 2], **LAYERS}
PANELS = {**ALONG, "measure": list(NORMALISED)}
KINDS: dict[str, list[object]] = {"kind": ["upstream", "downstream", "noise", "planted blocks"]}
NEAR = (
    *("twins", "rotated_twins", "twin_correlation", "rotated_twin_correlation", "input_cosine", "output_cosine"),
    *("participation", "score", "accuracy", "same_rank", "one_signal", "one_signal_random"),
)


def near_copies() -> pd.DataFrame:
    levels = {"trained": [True, False], "dropout": [0.0, 0.7], "run": [0, 1, 2], **LAYERS}
    return some_rows(levels, *NEAR)


def sides() -> pd.DataFrame:
    quantities = {**LAYERS, "quantity": ["gram_correlation", "rsa_signed", "rsa_absolute", "norm_gap", "gram_gap"]}
    strengths = [1e-5, 3.16228e-5, 1e-4, 3.16228e-4, 1e-3, 3.16228e-3]
    trained = some_rows({"regulariser": list(REGULARISERS), "strength": strengths, **quantities}, "mean")
    untrained = some_rows(quantities, "mean").assign(networks="untrained", regulariser="")
    return pd.concat([trained.assign(networks="trained"), untrained]).assign(low=0.0, high=1.0)


def one_layer() -> SearchedLayer:
    matrix = np.kron(np.eye(2), np.ones((4, 4)))
    return SearchedLayer(dict.fromkeys(MEASURES, matrix), dict.fromkeys(MEASURES, spectral_modules(matrix)))


def two_measures() -> tuple[SearchedLayer, dict[tuple[str, str], float]]:
    pair = ("input_covariance_norm", "output_gradient_norm")
    whole = one_layer()
    layer = SearchedLayer({name: whole.matrices[name] for name in pair}, {name: whole.modules[name] for name in pair})
    return layer, {(a, b): 0.123 for a in pair for b in pair}


def looked_at() -> Figure:
    matrix, labels, digit = np.kron(np.eye(2), np.ones((4, 4))), np.repeat([0, 1], 4), np.zeros((5, 784))
    orders = [("input_covariance_norm", labels, 0.4), ("output_gradient_norm", labels, 0.1)]
    weights = [np.ones(784)] * 2
    return figures.modules_looked_at(
        matrix, orders, [digit, digit], weights, measure="input_covariance_norm", weights_label="mean input gradient"
    )


# How to draw each figure: of the paper's study, of a made-up one, or of a made-up table.
DRAWN: dict[str, Callable[[Results], Figure]] = {
    "accuracy_of_signals": lambda _: figures.accuracy_of_signals.draw(near_copies()),
    "against_dropout": lambda _: figures.against_dropout(
        dict.fromkeys((0.1, 0.3, 0.5, 0.7), one_layer()), "input_covariance_norm"
    ),
    "agreement_against_dropout": lambda v1: figures.agreement_against_dropout(v1),
    "agreement_by_strength": lambda v1: figures.agreement_by_strength(v1),
    "agreement_maps": lambda v1: figures.agreement_maps(v1),
    "agreement_over_both": lambda _: figures.agreement_over_both(made_up_results(), _with_live_units()),
    "all_measures": lambda _: figures.all_measures(one_layer()),
    "balance_against_l2": lambda _: figures.balance_against_l2.draw(sides()),
    "chance_to_ceiling": lambda v1: figures.chance_to_ceiling(v1),
    "claims_across_studies": lambda v1: figures.claims_across_studies([v1]),
    "copies_against_dropout": lambda _: figures.copies_against_dropout.draw(near_copies()),
    "course_of_training": lambda _: figures.course_of_training.draw(
        some_rows(
            {"l2": [1e-5, 1e-3], "l1": [0.0], "dropout": [0.0], "epoch": [0, 1, 10, 100], "run": [0, 1]}, *FOLLOWED
        )
    ),
    "floor_and_common_factor": lambda _: figures.floor_and_common_factor(
        some_rows({"samples": [100, 10_000], "units": [8, 64]}, "mean", "sd"),
        some_rows({"shared": [0.3, 0.64], "common": [0.0, 0.5]}, "score", "expected", "recovered"),
    ),
    "gaps_of_methods": lambda _: figures.gaps_of_methods(
        some_rows({**KINDS, "matrix": [0, 1], "method": ["spectral, the paper's", "best of 20 searches"]}, "gap")
    ),
    "growth_curves": lambda _: figures.growth_curves(
        some_rows({"against": ["images", "units"], "what": ["8 matrices of 2 layers"], "x": [64, 1024]}, "seconds")
    ),
    "linear_against_rectified": lambda _: figures.linear_against_rectified.draw(
        some_rows(
            {
                **LAYERS,
                "measure": ["input_covariance_norm", "input_gradient_norm"],
                "dropout": [0.0, 0.7],
                "run": [0, 1],
                "rectified": [False, True],
            },
            "score",
            "rotated",
        )
    ),
    "lost_beside_neighbours": lambda _: figures.lost_beside_neighbours.draw(
        some_rows(
            {
                "lesion": ["zero", "mean"],
                "modules": ["both families", "upstream", "downstream"],
                "strength": [0.0, 0.7],
                "run": [0, 1],
            },
            *("module", "neighbours", "random"),
        )
    ),
    "lost_without_modules": lambda _: figures.lost_without_modules.draw(
        some_rows(PANELS, "module", "neighbours", "random").assign(outcome="accuracy")
    ),
    "metric_agreement": lambda v1: figures.metric_agreement(v1),
    "modularity_against_regularisation": lambda v1: figures.modularity_against_regularisation(v1, by_layer=True),
    "modules_looked_at": lambda _: looked_at(),
    "near_optima": lambda _: figures.near_optima(
        some_rows({**KINDS, "matrix": [0, 1], "is_best": [True, False]}, "share", "alike", "chance")
    ),
    "null_distributions": lambda v1: figures.null_distributions(v1),
    "p_values_of_tests": lambda _: figures.p_values_of_tests(
        some_rows(
            {"kind": ["noise", "blocks under a common factor"], "test": ["shuffled labels"], "n": [1, 2]}, "p_value"
        )
    ),
    "performance_and_norms": lambda v1: figures.performance_and_norms(v1),
    "published_against_ours": lambda _: figures.published_against_ours(
        some_rows(
            {"group": ["agreement of clusterings, untrained", "Q against regularisation"], "n": [1, 2]},
            *("paper", "here", "reading_error", "sem"),
        )
    ),
    "q_of_rotated_units": lambda _: figures.q_of_rotated_units.draw(
        some_rows(PANELS, "score", "score_rotated", "score_matched")
    ),
    "q_beside_nulls": lambda _: figures.q_beside_nulls.draw(
        some_rows(PANELS, "score", "score_null", "score_equal", "score_chance")
    ),
    "scatter_of_scores": lambda _: figures.scatter_of_scores(made_up_results()),
    "score_correlation_matrices": lambda _: figures.score_correlation_matrices(made_up_results()),
    "score_correlations_by_kind": lambda _: figures.score_correlations_by_kind(
        score_correlations.mean_correlations(made_up_results())
    ),
    "similarity_within_and_across": lambda _: figures.similarity_within_and_across.draw(
        some_rows(PANELS, "within", "mean", "across")
    ),
    "sorted_by_each_other": lambda _: figures.sorted_by_each_other(*two_measures()),
    "transfer_against_dropout": lambda v1: figures.transfer_against_dropout(v1),
    "two_sides_against_regularisation": lambda _: figures.two_sides_against_regularisation.draw(sides()),
}


def _with_live_units() -> Results:
    results = made_up_results()
    return Results(results.study, results.networks, results.modules, results.agreement.assign(live_units=60))


def width_on_paper(figure: Figure) -> float:
    """Inches, of the trimmed picture that a page shows."""
    figure.draw_without_rendering()
    return float(figure.get_tightbbox().width) + 2 * TRIMMED


def texts(figure: Figure) -> list[Text]:
    """All that can be read: texts with a letter, of what is drawn."""
    found = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def test_all_figures_are_looked_at() -> None:
    plots = {name for name in figures.__all__ if isinstance(getattr(figures, name), Plot)}
    assert set(DRAWN) == plots | {"modules_looked_at"}


@pytest.mark.parametrize("name", list(DRAWN))
def test_text_is_large_enough_and_legends_are_where_a_phone_shows_them(name: str, v1: Results) -> None:
    figure = DRAWN[name](v1)
    assert figure.get_figwidth() in (WIDTH, NARROW)
    scale = PAGE / (72 * width_on_paper(figure))  # pixels for each point
    read = {text.get_text(): text.get_fontsize() * scale for text in texts(figure)}
    assert read
    assert {text: round(size, 1) for text, size in read.items() if size < SMALLEST_TEXT} == {}
    shown = figure.bbox.width * (PHONE if figure.get_figwidth() == WIDTH else 1)
    for legend in figure.legends:
        assert legend.get_window_extent().x1 <= shown + 10


def test_a_figure_of_several_panels_scrolls_on_a_phone_and_one_of_a_single_panel_does_not(v1: Results) -> None:
    for figure, scrolls in ((figures.null_distributions(v1), True), (figures.agreement_against_dropout(v1), False)):
        dots = width_on_paper(figure) * figure.get_dpi()
        assert (dots >= WIDE) is scrolls
        assert dots >= 1.5 * PAGE  # sharp on a screen of two dots a pixel


def test_a_file_of_a_figure_is_small_and_shows_the_same(tmp_path: Path, v1: Results) -> None:
    figure = figures.null_distributions(v1)
    (tmp_path / "small.png").write_bytes(png_of(figure))
    figure.savefig(tmp_path / "all.png", bbox_inches="tight")
    small, whole = (
        np.asarray(Image.open(tmp_path / name).convert("RGB")).astype(int) for name in ("small.png", "all.png")
    )
    assert np.abs(small - whole).mean() < 0.5
    assert (small[0, 0] == 255).all()
    assert (tmp_path / "small.png").stat().st_size < 0.6 * (tmp_path / "all.png").stat().st_size


def test_the_drawing_of_upstream_and_downstream_can_be_read_and_says_what_it_shows() -> None:
    drawing = ElementTree.parse(DRAWING).getroot()
    parts = {part.tag.removeprefix(SVG): part for part in drawing}
    assert [parts[name].get("id") for name in ("title", "desc")] == drawing.get("aria-labelledby", "").split()
    style = str(parts["style"].text)
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", style)]
    width = float(drawing.get("viewBox", "").split()[2])
    assert min(sizes) * 690 / width >= 11
    assert min(sizes) * 358 / width >= 10  # on a phone of 390 pixels
    assert "font-family: sans-serif" in style
    said = {text.text for text in drawing.iter(f"{SVG}text")}
    assert {"Do they receive the same?", "Do they do the same?", "i", "j", "image", "hidden layer", "logits"} <= said
    assert {"input covariance", "input gradient", "output gradient", "output Hessian"} <= said

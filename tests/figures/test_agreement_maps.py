"""Maps of agreement show the means of the tables, and the published values beside those of the paper's study alone."""

import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from made_up_results import made_up_results
from modularity_lib import figures
from modularity_lib.alignment.scores import element_centric_similarity
from modularity_lib.book.words import agreement as agreement_words
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.figures.plot import Plot
from modularity_lib.findings import beyond_chance, noise_ceiling
from modularity_lib.findings.paper import published
from modularity_lib.studies.archive import Archive, stored_matrices
from modularity_lib.studies.results import Results
from modularity_lib.studies.store import Store
from modularity_lib.vocabulary import MEASURES, pair_kind


def value(table: pd.DataFrame, networks: str, a: str, b: str, column: str) -> float:
    return float(table.set_index(["networks", "measure_a", "measure_b"]).loc[(networks, a, b), column])


def test_the_table_holds_means_and_published_values(v1: Results) -> None:
    table, pair = figures.agreement_maps.table(v1), ("output_hessian", "input_gradient")
    rows = v1.analysed("agreement", trained=True).query("measure_a == @pair[0] and measure_b == @pair[1]")
    assert value(table, "trained", *pair, "here") == pytest.approx(rows["element_centric"].mean())
    paper = published("agreement").set_index(["networks", "measure_a", "measure_b"])["element_centric"]
    assert value(table, "untrained", *pair, "published") == paper[("untrained", *pair)]
    minus = paper[("trained", *pair)] - paper[("untrained", *pair)]
    assert value(table, "minus", *pair, "published") == pytest.approx(minus)
    assert len(table) == 3 * 28
    np.testing.assert_allclose(table["difference"], table["here"] - table["published"])


def test_one_layer_has_no_published_values_and_means_of_its_own(v1: Results) -> None:
    layers = [figures.agreement_maps.table(v1, layer=layer) for layer in (1, 2)]
    assert "published" not in layers[0]
    pair = ("output_hessian", "input_gradient")
    one, other = (value(table, "trained", *pair, "here") for table in layers)
    assert one != other
    assert value(figures.agreement_maps.table(v1), "trained", *pair, "here") == pytest.approx(
        (one + other) / 2, abs=0.01
    )


def test_the_maps_draw_the_table(v1: Results) -> None:
    figure, table = figures.agreement_maps(v1), figures.agreement_maps.table(v1)
    assert len(figure.axes) == 9 + 3  # and the colour bars
    shown = figure.axes[0].collections[0].get_array().reshape(8, 8)
    a, b = "output_hessian", "input_covariance"
    assert shown[MEASURES.index(a), MEASURES.index(b)] == pytest.approx(value(table, "trained", a, b, "here"))
    assert shown[MEASURES.index(b), MEASURES.index(a)] == pytest.approx(value(table, "trained", a, b, "here"))
    assert [axes.get_title() for axes in figure.axes[:9:4]] == [
        "trained, n = 250\nhere",
        "untrained\npublished",
        "trained minus untrained\nhere minus published",
    ]
    difference = figure.axes[6].collections[0].get_array().reshape(8, 8)
    expected = value(table, "trained", a, b, "difference")
    assert difference[MEASURES.index(a), MEASURES.index(b)] == pytest.approx(expected)
    assert len(figures.agreement_maps(made_up_results()).axes) == 3 + 2


def test_every_scale_is_drawn_and_cuts_no_value_off(v1: Results) -> None:
    figure = figures.agreement_maps(v1)
    table = figures.agreement_maps.table(v1)
    bars = {bar.get_xlabel().replace("\n", " "): bar.get_xlim() for bar in figure.axes[9:]}
    [whole] = [ends for label, ends in bars.items() if label.startswith("element-centric similarity")]
    values = table.loc[table["networks"] != "minus", ["here", "published"]].to_numpy()
    assert whole == (pytest.approx(0.2), pytest.approx(0.8))
    assert 0.2 < table["chance"].mean() < 0.3
    assert whole[0] <= values.min()
    assert values.max() <= whole[1]
    minus = table.loc[table["networks"] == "minus", ["here", "published"]].abs().to_numpy().max()
    assert minus <= bars["trained minus untrained"][1] < minus + 0.1
    assert bars["here minus published"] == (-0.05, 0.05)
    assert table["difference"].abs().max() < 0.05
    for axes in figure.axes[:9]:
        image = axes.collections[0]
        assert image.norm.vmin <= image.get_array().min()
        assert image.get_array().max() <= image.norm.vmax


@pytest.mark.parametrize("study", ["v1", "final-deep"])
def test_titles_do_not_run_into_the_maps_above(study: str, tmp_path: Path) -> None:
    results = Archive(study, Store(tmp_path)).tables_at_hand()
    for figure in (
        figures.agreement_maps(results),
        figures.agreement_maps(results, by_layer=True),
        figures.agreement_by_strength(results, minus_untrained=True, by_layer=True),
    ):
        figure.draw_without_rendering()
        panels = [axes for axes in figure.axes if axes.get_title()]
        for title in (axes.title.get_window_extent() for axes in panels):
            assert not any(title.overlaps(axes.get_window_extent()) for axes in panels)


def contrast(one: Any, other: Any) -> float:
    """Of two colours, by WCAG 2.1."""
    channels = np.array([to_rgb(one), to_rgb(other)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    dark, bright = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("one", "other", "published"),
    [("black", "white", 21.0), ("#777777", "white", 4.48), ("#ff0000", "white", 4.0), ("#0000ff", "black", 2.44)],
)
def test_the_contrast_of_the_next_test_is_that_of_the_standard(one: str, other: str, published: float) -> None:
    assert contrast(one, other) == pytest.approx(published, abs=0.005)


def test_numbers_can_be_read_on_their_squares(v1: Results) -> None:
    for axes in figures.agreement_maps(v1).axes[:9]:
        image = axes.collections[0]
        squares = image.to_rgba(image.get_array().reshape(8, 8))
        assert len(axes.texts) == 56
        for text in axes.texts:
            x, y = (int(place) for place in text.get_position())
            assert contrast(squares[y, x, :3], text.get_color()) >= 4.5


def names(axes: Axes) -> tuple[list[str], list[str]]:
    """What is written beside and below a map, without empty labels."""
    beside, below = ([tick.get_text() for tick in ticks] for ticks in (axes.get_yticklabels(), axes.get_xticklabels()))
    return [name for name in beside if name], [name for name in below if name]


def test_measures_are_named_beside_the_first_column_and_below_the_last_map_of_each(v1: Results) -> None:
    figure = figures.agreement_by_strength(v1)
    for number, axes in enumerate(figure.axes[:12]):
        beside, below = names(axes)
        assert len(beside) == (8 if number % 4 == 0 else 0)
        assert len(below) == (8 if number >= 8 else 0)
    assert names(figure.axes[0])[0][:2] == ["output Hessian", "output Hessian (n)"]
    assert figure.axes[0].get_yticklabels()[0].get_color() == figures.LOOKS["downstream"].colour


def test_a_column_of_maps_that_ends_early_is_named_below_its_last_map() -> None:
    results = made_up_results()
    kept = results.agreement[results.agreement["dropout"] != 0.6]
    figure = figures.agreement_by_strength(Results(results.study, results.networks, results.modules, kept))
    drawn = [number for number, axes in enumerate(figure.axes[:12]) if axes.collections]
    assert drawn == [0, 1, 4, 5, 8]
    assert [number for number in drawn if names(figure.axes[number])[1]] == [5, 8]


def test_published_values_are_above_the_diagonal_of_the_maps_by_strength(v1: Results) -> None:
    figure = figures.agreement_by_strength(v1)
    shown = figure.axes[3].collections[0].get_array().reshape(8, 8)  # the strongest L2
    theirs = published("agreement_by_strength").query("regulariser == 'l2' and strength == 0.01")
    rows = v1.analysed("agreement", trained=True).query("l2 == 0.01")
    a, b = MEASURES.index("output_gradient"), MEASURES.index("input_gradient")
    named = "measure_a == 'output_gradient' and measure_b == 'input_gradient'"
    assert shown[min(a, b), max(a, b)] == pytest.approx(theirs.query(named)["element_centric"].item())
    assert shown[max(a, b), min(a, b)] == pytest.approx(rows.query(named)["element_centric"].mean())
    assert "above: published" in figure.axes[-1].get_xlabel()
    assert "published" not in figures.agreement_by_strength.table(v1, layer=1)


def test_a_map_by_strength_says_how_many_networks_it_is_of(v1: Results) -> None:
    titles = [axes.get_title() for axes in figures.agreement_by_strength(v1).axes[:12]]
    rows = v1.analysed("agreement", trained=True)
    at_strongest = rows[(rows["l1"] == rows["l1"].max()) & (rows["l2"] == 1e-5) & (rows["dropout"] == 0)]
    assert at_strongest["run"].nunique() < v1.study.runs
    assert titles[7] == f"L1 0.0032\nn = {at_strongest['run'].nunique()} networks"
    assert titles[0] == f"L2 1e-5\nn = {v1.study.runs} networks"


def test_maps_of_the_layers_are_those_of_one_layer_each(v1: Results) -> None:
    table = figures.agreement_maps.table(v1, by_layer=True)
    second = figures.agreement_maps.table(v1, layer=2)
    pd.testing.assert_frame_equal(
        table[table["layer"] == 2].drop(columns="layer").reset_index(drop=True), second, check_like=True
    )
    figure = figures.agreement_maps(v1, by_layer=True)
    assert len(figure.axes) == 2 * 3 + 2
    shown = figure.axes[5].collections[0].get_array().reshape(8, 8)
    a, b = "output_hessian", "input_covariance"
    assert shown[MEASURES.index(a), MEASURES.index(b)] == pytest.approx(value(second, "minus", a, b, "here"))
    titles = [axes.get_title() for axes in figure.axes[:6]]
    assert titles[0] == "trained, n = 250\nhidden layer 1"
    assert titles[5] == "trained minus untrained\nhidden layer 2"


def test_any_number_of_layers_has_a_row_each(tmp_path: Path) -> None:
    deep = Archive("final-deep", Store(tmp_path)).tables_at_hand()
    figure = figures.agreement_maps(deep, by_layer=True)
    assert [axes.get_title().split("\n")[1] for axes in figure.axes[0:15:3]] == [
        f"hidden layer {n}" for n in range(1, 6)
    ]
    halves = figures.agreement_by_strength.table(deep, by_layer=True)
    assert sorted(halves["layer"].unique()) == [1, 5]


@pytest.mark.parametrize("plot", [figures.agreement_maps, figures.agreement_by_strength])
def test_one_layer_and_each_layer_are_not_asked_for_together(plot: Plot[...]) -> None:
    with pytest.raises(ValueError, match="layer must be None where by_layer is True, got 2"):
        plot(made_up_results(), layer=2, by_layer=True)


def test_agreement_within_families_minus_across_counts_both_families_alike() -> None:
    results = made_up_results(agreement={"upstream": 0.7, "downstream": 0.5, "across": 0.2})
    found = beyond_chance.within_minus_across(figures.agreement_maps.table(results, by_layer=True)).set_index(
        ["layer", "networks"]
    )
    assert found["within"].to_numpy() == pytest.approx(0.6, abs=0.01)
    assert found["across"].to_numpy() == pytest.approx(0.2, abs=0.01)
    assert found["difference"].to_numpy() == pytest.approx(0.4, abs=0.01)


def layers_with(levels: dict[int, tuple[float, float]]) -> pd.DataFrame:
    """A table by layer whose agreement within families exceeds that across by this: trained, untrained."""
    rows = []
    for layer, values in levels.items():
        for networks, level in zip(("trained", "untrained"), values, strict=True):
            for a, b in combinations(MEASURES, 2):
                here = 0.3 + level * (pair_kind(a, b) != "across")
                rows.append({"layer": layer, "networks": networks, "measure_a": a, "measure_b": b, "here": here})
    return pd.DataFrame(rows)


def test_what_differs_between_layers_is_told() -> None:
    told = agreement_words.layers_text(layers_with({1: (0.2, 0.1), 2: (0.1, 0.3), 3: (-0.1, -0.1)}))
    assert told == (
        "In raw similarity, two measures of one family agree more than two of different families by 0.20 in layer 1 "
        "(0.10 in untrained networks), by 0.10 in layer 2 (0.30 in untrained networks) and by -0.10 in layer 3 (-0.10 "
        "in untrained networks). So training widens this gap in layer 1 and narrows this gap in layer 2."
    )
    alike = agreement_words.layers_text(layers_with({1: (0.2, 0.1701), 2: (0.3, 0.3299)}))
    assert alike.endswith(" Training leaves this gap about as it was.")
    apart = agreement_words.layers_text(layers_with({1: (0.2, 0.1699), 2: (0.3, 0.3301)}))
    assert apart.endswith("in layer 1 and narrows this gap in layer 2.")
    wider = dict.fromkeys((1, 2, 3), (0.3, 0.2))
    assert agreement_words.layers_text(layers_with(wider)).endswith("So training widens this gap in all layers.")
    del wider[3]
    assert agreement_words.layers_text(layers_with(wider)).endswith("So training widens this gap in both layers.")
    assert agreement_words.layers_text(layers_with({1: (0.3, 0.2)})).endswith("widens this gap in layer 1.")
    three = agreement_words.layers_text(layers_with({**wider, 3: (0.2, 0.2)}))
    assert three.endswith("widens this gap in layers 1 and 2.")


@pytest.mark.parametrize("minus", [False, True])
def test_maps_by_strength_hold_the_first_layer_below_the_diagonal_and_the_last_above(v1: Results, minus: bool) -> None:
    figure = figures.agreement_by_strength(v1, minus_untrained=minus, by_layer=True)
    shown = figure.axes[11].collections[0].get_array().reshape(8, 8)
    a, b = "output_hessian", "input_covariance"
    for layer, row, column in ((1, b, a), (2, a, b)):
        rows = v1.analysed("agreement", trained=True).query("layer == @layer and dropout == 0.65 and measure_a == @a")
        expected = rows[rows["measure_b"] == b]["element_centric"].mean()
        if minus:
            expected -= value(figures.agreement_maps.table(v1, layer=layer), "untrained", a, b, "here")
        assert shown[MEASURES.index(row), MEASURES.index(column)] == pytest.approx(expected)
    assert "below the diagonal: hidden layer 1; above: hidden layer 2" in figure.axes[-1].get_xlabel()


def test_the_same_strengths_are_shown_of_each_layer(v1: Results) -> None:
    rows = v1.agreement
    kept = rows[(rows["dropout"] != 0.25) | (rows["layer"] != 1)]
    table = figures.agreement_by_strength.table(Results(v1.study, v1.networks, v1.modules, kept), by_layer=True)
    shown = table[table["regulariser"] == "dropout"].groupby("layer")["strength"].unique()
    assert shown[1].tolist() == [0.05, 0.45, 0.65]
    assert shown[2].tolist() == [0.05, 0.25, 0.45, 0.65]


def test_a_layer_without_results_at_a_strength_leaves_its_half_of_the_map_empty() -> None:
    results = made_up_results()
    rows = results.agreement
    kept = rows[~((rows["dropout"] == 0.6) & (rows["layer"] == 1))]
    figure = figures.agreement_by_strength(
        Results(results.study, results.networks, results.modules, kept), by_layer=True
    )
    shown = np.ma.filled(figure.axes[9].collections[0].get_array().astype(float), np.nan).reshape(8, 8)
    assert np.isnan(shown[np.tril_indices(8)]).all()
    assert not np.isnan(shown[np.triu_indices(8, k=1)]).any()
    assert figure.axes[9].get_title() == "dropout 0.6\nn = 4 networks"


def test_agreement_by_strength_takes_four_strengths_of_each_sweep(v1: Results) -> None:
    table = figures.agreement_by_strength.table(v1)
    strengths = table.groupby("regulariser")["strength"].unique()
    assert [len(found) for found in strengths] == [4, 4, 4]
    assert strengths["dropout"].min() == 0.05
    assert strengths["dropout"].max() == 0.65  # as in the paper
    rows = v1.analysed("agreement", trained=True).query("dropout == 0.65 and measure_a == 'output_hessian'")
    expected = rows[rows["measure_b"] == "input_gradient"]["element_centric"]
    found = table.query("strength == 0.65 and measure_a == 'output_hessian' and measure_b == 'input_gradient'")
    assert found["here"].item() == pytest.approx(expected.mean())
    assert found["n_clusterings"].item() == len(expected)
    minus = figures.agreement_by_strength.table(v1, minus_untrained=True)
    assert (set(table["networks"]), set(minus["networks"])) == ({"trained"}, {"minus"})
    first = table.loc[0, ["measure_a", "measure_b"]].tolist()
    before = value(figures.agreement_maps.table(v1), "untrained", *first, "here")
    assert table["here"].iloc[0] - minus["here"].iloc[0] == pytest.approx(before)
    assert len(figures.agreement_by_strength(v1).axes) == 13  # and the colour bar


def test_other_studies_show_strengths_that_are_evenly_spread(v1: Results) -> None:
    other = Results(replace(v1.study, protocol="final"), v1.networks, v1.modules, v1.agreement)
    table = figures.agreement_by_strength.table(other)
    assert sorted(table.query("regulariser == 'dropout'")["strength"].unique()) == [0.05, 0.25, 0.5, 0.7]
    assert "published" not in table


def test_metrics_are_drawn_beside_the_published_ones(v1: Results) -> None:
    assert len(figures.metric_agreement.table(v1)) == 21
    axes = figures.metric_agreement(v1).axes
    assert [panel.get_title() for panel in axes[:3]] == ["here", "published", "here minus published"]
    assert [bar.get_xlabel() for bar in axes[3:]] == ["mean size of the correlation", "here minus published"]
    assert axes[3].get_xlim() == (0, 1)
    table = figures.metric_agreement.table(v1).set_index(["metric_a", "metric_b"])
    assert axes[2].collections[0].get_array().reshape(7, 7)[0, 1] == pytest.approx(
        table.loc[("greedy", "rmi"), "difference"]
    )


@pytest.fixture
def one(v1: Results) -> Results:
    """Of v1: a single trained network, and the untrained ones."""
    chosen = "not trained or (run == 0 and l2 == 1e-5 and l1 == 0 and dropout == 0.3)"
    return replace(v1, networks=v1.networks.query(chosen))


def test_a_matrix_searched_twice_is_the_ceiling(v1: Results, one: Results) -> None:
    matrices = stored_matrices("v1", dropout=0.3)
    table = noise_ceiling.ceiling_table(one)
    assert len(table) == 2 * 8
    row = table.query("layer == 2 and measure == 'input_gradient'")
    matrix = matrices["hidden2"]["input_gradient"]
    labels = [paper_modules(matrix, seed=seed).labels for seed in (0, 1_000)]
    assert row["element_centric"].item() == pytest.approx(element_centric_similarity(*labels))
    assert 0.4 < table["element_centric"].mean() < 1
    levels = figures.chance_to_ceiling.table(v1, ceilings=table).set_index(["kind", "what"])["element_centric"]
    best = table.groupby("measure")["element_centric"].mean()
    pairs = [("input_covariance", "input_gradient"), ("input_covariance", "input_gradient_norm")]
    pairs += [("input_covariance_norm", "input_gradient"), ("input_covariance_norm", "input_gradient_norm")]
    assert levels["upstream", "ceiling"] == pytest.approx(np.mean([min(best[a], best[b]) for a, b in pairs]))
    assert levels["upstream", "chance"] < levels["upstream", "trained"] < levels["upstream", "ceiling"]


def test_searched_again_once_is_what_is_in_the_tables(v1: Results, one: Results) -> None:
    again = noise_ceiling.searched_again(one, restarts=1)
    pair = ["layer", "measure_a", "measure_b"]
    before = v1.analysed("agreement", trained=True).query("run == 0 and dropout == 0.3").set_index(pair)
    after = again.analysed("agreement", trained=True).set_index(pair)
    # The first search has the random numbers of the study, but normalised matrices come as float32.
    raw = [index for index in after.index if not (index[1] + index[2]).count("_norm")]
    assert len(after) == 72
    assert after.loc[raw, "element_centric"].tolist() == before.loc[raw, "element_centric"].tolist()
    assert len(again.analysed("agreement", trained=False)) == len(v1.analysed("agreement", trained=False))
    with pytest.raises(ValueError, match="restarts must be at least 1"):
        noise_ceiling.searched_again(v1, restarts=0)


def test_halves_of_the_images_are_a_ceiling_where_the_weights_are_at_hand(
    v1: Results, one: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = noise_ceiling.halves_of(one)
    assert table is not None
    assert len(table) == 2 * 8
    assert 0.3 < table["element_centric"].mean() < 1
    levels = figures.chance_to_ceiling.table(v1, halves=table).set_index(["kind", "what"])["element_centric"]
    assert np.isnan(levels["upstream", "ceiling"])
    assert levels["upstream", "trained"] < levels["upstream", "ceiling, images"] < 1

    def nowhere(*_: object, **__: object) -> None:
        raise LookupError

    monkeypatch.setattr(Archive, "network", nowhere)
    assert noise_ceiling.halves_of(v1) is None


def test_what_the_maps_cover_is_told(v1: Results) -> None:
    told = agreement_words.texts(v1, v1, restarts=0, layer=None)
    assert told["maps_of"] == "all hidden layers of 250 analysed networks"
    assert told["ceiling_of"] == "over the networks of run 0"
    assert agreement_words.texts(v1, v1, restarts=20, layer=2)["maps_of"].startswith("hidden layer 2 of")
    assert not noise_ceiling.at_hand(made_up_results())


def test_single_searches_and_better_ones_are_compared_in_their_run_alone() -> None:
    results, better = (made_up_results(agreement={"upstream": x, "downstream": 0.6, "across": 0.3}) for x in (0.7, 0.8))
    for source in (results, better):
        others = source.agreement["run"] != 1
        source.agreement["element_centric"] = source.agreement["element_centric"].where(~others, 0.0)
    told = agreement_words.restarts_text(results, better, restarts=20, run=1)
    numbers = [float(number) for number in re.findall(r"0\.\d+", told)]
    assert numbers == pytest.approx([0.7, 0.8, 0.6, 0.6, 0.3, 0.3], abs=0.01)
    assert told.startswith("In run 1, the mean raw similarity by a single search and by the best of 20 is")

"""Figures show what is in the tables."""

import inspect
import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from made_up_results import STUDY, made_up_results
from modularity_lib import figures, vocabulary
from modularity_lib.clustering.clusterings import Clustering
from modularity_lib.clustering.paper_search import spectral_modules
from modularity_lib.figures.modularity import modularity_of_measure
from modularity_lib.figures.plot import Plot
from modularity_lib.findings import score_correlations
from modularity_lib.findings.layers import SearchedLayer
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import MEASURES, NETWORK_LABELS, pair_kind


def curve(axes, label: str) -> np.ndarray:
    """Points of the curve with this label: (points, 2)."""
    container = next(c for c in axes.containers if c.get_label() == label)
    return container.lines[0].get_xydata()


def test_the_curves_of_modularity_are_the_means_over_runs() -> None:
    results = made_up_results()
    axes = modularity_of_measure(results, "input_gradient").axes[0]
    rows = results.modules.query("measure == 'input_gradient' and trained and l2 == 1e-5 and l1 == 0")
    means = rows.groupby("dropout")["score"].mean()
    np.testing.assert_allclose(curve(axes, "dropout"), np.column_stack([means.index, means]))
    assert len(curve(axes, "L1 penalty")) == len(STUDY.l1)
    np.testing.assert_allclose(curve(axes, "L2 penalty")[:, 0], [0, 1])


def test_every_measure_has_its_panel_with_axes_labelled() -> None:
    figure = figures.modularity_against_regularisation(made_up_results())
    titles = {axes.get_title().replace("\n", " ") for axes in figure.axes}
    assert titles == set(vocabulary.MEASURE_LABELS.values())
    assert figure.get_supylabel() == "modularity Q"
    assert figure.get_supxlabel().startswith("rate of dropout, or strength of a penalty")


def test_some_measures_alone_have_panels_where_they_are_asked_for() -> None:
    results, chosen = made_up_results(), ["output_gradient", "input_covariance", "output_hessian"]
    titles = [axes.get_title() for axes in figures.modularity_against_regularisation(results, measures=chosen).axes]
    assert titles == ["input covariance", "output gradient", "output Hessian"]
    titles = [
        axes.get_title()
        for axes in figures.modularity_against_regularisation(results, by_layer=True, measures=chosen[:1]).axes
    ]
    assert titles == ["output gradient\nlayer 1", "output gradient\nlayer 2"]
    assert len(figures.modularity_against_regularisation(results, by_layer=True, measures=chosen).axes) == 6
    for wrong in (["activity"], []):
        with pytest.raises(ValueError, match=r"measures must be None or some of input_gradient_norm, .*got \["):
            figures.modularity_against_regularisation(results, measures=wrong)


def test_performance_has_a_row_per_quantity_and_a_line_per_run() -> None:
    figure = figures.performance_and_norms(made_up_results())
    assert len(figure.axes) == 18
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == list(NETWORK_LABELS.values())
    thin = [line for line in figure.axes[2].lines if line.get_linewidth() == 0.7]
    assert len(thin) == STUDY.runs
    mean = made_up_results().analysed("networks", trained=False)["nuclear_norm"].mean()
    assert mean in [line.get_ydata()[0] for line in figure.axes[-1].lines if len(set(line.get_ydata())) == 1]
    assert [axes.get_xlabel() for axes in figure.axes[-3:]] == ["L2 strength", "L1 strength", "dropout"]


def test_the_legend_of_performance_names_lines_points_and_bands_and_the_paper_where_it_is_drawn(v1: Results) -> None:
    ours = ["one run", "mean of the runs ± s.e.m.", "untrained ± 1, 2, 3 s.d."]
    for results, paper in ((made_up_results(), []), (v1, ["paper ± reading error"])):
        legend = figures.performance_and_norms(results).legends[0]
        assert [text.get_text() for text in legend.get_texts()] == ours + paper
    hollow = {line.get_marker() for line in legend.findobj(Line2D) if line.get_markerfacecolor() == "none"}
    assert hollow == {figures.LOOKS[name].marker for name in ("l2", "l1", "dropout")}


def test_agreement_is_drawn_symmetric_with_the_values_written_in() -> None:
    results = made_up_results()
    figure = figures.agreement_maps(results)
    drawn = figure.axes[0].collections[0].get_array().reshape(8, 8)
    rows = results.agreement.query("trained and measure_a == 'output_hessian' and measure_b == 'input_gradient'")
    expected = rows["element_centric"].mean()
    row, column = MEASURES.index("output_hessian"), MEASURES.index("input_gradient")
    assert drawn[row, column] == drawn[column, row] == pytest.approx(expected)
    assert f"{expected:.2f}".removeprefix("0") in {text.get_text() for text in figure.axes[0].texts}


def test_agreement_against_dropout_has_a_curve_per_kind_of_pair() -> None:
    axes = figures.agreement_against_dropout(made_up_results()).axes[0]
    assert [len(curve(axes, figures.LOOKS[kind].label)) for kind in ("upstream", "downstream", "across")] == [3, 3, 3]


def test_the_curves_of_agreement_are_means_over_the_runs_with_results() -> None:
    results = made_up_results()
    rows = results.agreement
    kept = rows[(rows["dropout"] != 0.6) | (rows["run"] != 0)]
    fewer = Results(results.study, results.networks, results.modules, kept)
    table = figures.agreement_against_dropout.table(fewer).set_index(["kind", "strength"])
    assert table.loc["across", "n_runs"].tolist() == [4, 4, 3]
    pair = kept.query("trained and dropout == 0.6")
    pair = pair[[pair_kind(a, b) == "across" for a, b in zip(pair["measure_a"], pair["measure_b"], strict=True)]]
    means = pair.groupby("run")["element_centric"].mean()
    assert table.loc[("across", 0.6), "mean"] == pytest.approx(means.mean())
    assert table.loc[("across", 0.6), "sem"] == pytest.approx(means.sem())
    assert table.loc[("across", 0.6), "chance"] == pytest.approx(0.25)
    axes = figures.agreement_against_dropout(fewer).axes[0]
    np.testing.assert_allclose(curve(axes, figures.LOOKS["across"].label)[:, 1], table.loc["across", "mean"])


def test_from_chance_to_ceiling_the_bar_of_trained_networks_spans_their_runs() -> None:
    results = made_up_results()
    table = figures.chance_to_ceiling.table(results)
    trained = results.agreement.query("trained")
    chosen = [pair_kind(a, b) == "across" for a, b in zip(trained["measure_a"], trained["measure_b"], strict=True)]
    by_run = trained[chosen].groupby("run")["element_centric"].mean()
    row = table.query("kind == 'across' and what == 'trained'").iloc[0]
    assert row[["smallest_run", "largest_run"]].tolist() == pytest.approx([by_run.min(), by_run.max()])
    assert table.loc[table["what"] != "trained", ["smallest_run", "largest_run"]].isna().all(axis=None)
    figure = figures.chance_to_ceiling.draw(table)
    bars = [collection.get_segments()[0][:, 0].tolist() for collection in figure.axes[0].collections]
    assert [by_run.min(), by_run.max()] in [pytest.approx(ends) for ends in bars]
    assert "trained: mean and range of runs" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_scores_are_scattered_with_a_row_of_panels_per_layer_and_a_point_per_network() -> None:
    results = made_up_results()
    figure = figures.scatter_of_scores(results, measures=["input_gradient", "output_hessian"])
    rows = results.modules.query("trained and l1 > 0").pivot_table(
        index=["layer", "l1", "run"], columns="measure", values="score"
    )
    x, y = "input_gradient", "output_hessian"
    for axes, layer in zip(figure.axes, (1, 2), strict=True):
        points = next(line for line in axes.lines if line.get_color() == figures.LOOKS["l1"].colour)
        expected = rows.loc[layer].sort_values(x)
        np.testing.assert_allclose(sorted(points.get_xydata().tolist()), expected[[x, y]])
        assert sum(len(line.get_xdata()) for line in axes.lines) == len(STUDY.trained_configs()) + STUDY.untrained
        assert axes.get_ylabel() == "Q, output Hessian"
    assert figure.axes[1].get_xlabel() == "Q, input gradient"
    with pytest.raises(ValueError, match=r"layers must be two hidden layers, counted from 1 to 2, got \[1, 3\]"):
        figures.scatter_of_scores(results, layers=[1, 3])


def test_of_all_measures_scores_are_scattered_for_one_pair_of_each_kind_and_the_table_has_all() -> None:
    table = figures.scatter_of_scores.table(made_up_results())
    assert set(MEASURES) <= set(table)
    figure = figures.scatter_of_scores.draw(table)
    kinds = [figures.LOOKS[kind].label for kind in ("upstream", "downstream", "across")]
    assert [axes.get_title() for axes in figure.axes] == [f"{kind}\nlayer 1" for kind in kinds] + ["layer 2"] * 3
    for axes, kind in zip(figure.axes[3:], ("upstream", "downstream", "across"), strict=True):
        by_label = {f"Q, {label}": measure for measure, label in vocabulary.MEASURE_LABELS.items()}
        names = [by_label[label] for label in (axes.get_xlabel(), axes.get_ylabel())]
        assert pair_kind(*names) == kind
        assert all(name.endswith("_norm") for name in names)
    same = figures.scatter_of_scores(made_up_results(), measures=["input_gradient", "input_gradient_norm"])
    assert same.axes[0].get_title() == "the same, normalised\nlayer 1"


def test_correlations_of_scores_are_drawn_one_layer_below_the_diagonal_and_one_above() -> None:
    results = made_up_results()
    figure = figures.score_correlation_matrices(results)
    table = (
        score_correlations.score_correlations(results).query("sweep == 'dropout'").set_index(["measure_a", "measure_b"])
    )
    drawn = figure.axes[2].collections[0].get_array().reshape(8, 8)
    pair = ("output_hessian", "input_gradient")
    row, column = (MEASURES.index(name) for name in pair)
    expected = table.loc[pair].set_index("layer")["correlation"]
    assert drawn[column, row] == pytest.approx(expected[1])
    assert drawn[row, column] == pytest.approx(expected[2])
    assert np.ma.getmaskarray(drawn).diagonal().all()
    assert figure.axes[2].get_title() == "dropout: n = 12 below, 12 above"


def test_mean_correlations_have_a_point_per_sweep_and_bars_where_there_is_an_interval() -> None:
    means = score_correlations.mean_correlations(made_up_results())
    figure = figures.score_correlations_by_kind(means)
    assert len(figure.axes) == 4
    points = curve(figure.axes[0], figures.LOOKS["across"].label)
    expected = means.query("layer == 1 and kind == 'across' and strength == 'free'")["mean"]
    np.testing.assert_allclose(points[:, 1], expected)


def blocks() -> tuple[np.ndarray, Clustering]:
    matrix = np.kron(np.eye(2), np.ones((4, 4)))[:, [0, 4, 1, 5, 2, 6, 3, 7]][[0, 4, 1, 5, 2, 6, 3, 7]]
    return matrix, spectral_modules(matrix)


def test_a_sorted_matrix_shows_its_modules_as_blocks_and_no_diagonal() -> None:
    matrix, modules = blocks()
    figure = figures.all_measures(SearchedLayer(dict.fromkeys(MEASURES, matrix), dict.fromkeys(MEASURES, modules)))
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown, np.kron(np.eye(2), np.ones((4, 4))) - np.eye(8))
    assert f"Q = {modules.score:.3f}" in figure.axes[0].get_title()


def test_dead_units_come_last() -> None:
    matrix, _ = blocks()
    matrix[0] = matrix[:, 0] = 0
    modules = spectral_modules(matrix)
    pair = ("input_gradient", "output_gradient")
    scores = {(a, b): modules.score for a in pair for b in pair}
    figure = figures.sorted_by_each_other(
        SearchedLayer(dict.fromkeys(pair, matrix), dict.fromkeys(pair, modules)), scores
    )
    assert not figure.axes[2].images[0].get_array()[-1].any()
    assert figure.axes[0].images[0].get_array()[1].any()


def test_the_strip_beside_a_matrix_marks_the_module_of_each_unit_in_the_order_of_the_rows() -> None:
    matrix, modules = blocks()
    pair = ("input_gradient", "output_gradient")
    other = replace(modules, labels=np.array([0, 0, 0, 0, 1, 1, 1, -1]))
    scores = {(a, b): 0.5 for a in pair for b in pair}
    found = dict(zip(pair, (modules, other), strict=True))
    figure = figures.sorted_by_each_other(SearchedLayer(dict.fromkeys(pair, matrix), found), scores)
    strips = [axes.images[0].get_array() for axes in figure.axes[1:12:2]]
    own = np.array([[1, 0], [0, 1]] * 4)  # modules of every other unit
    np.testing.assert_array_equal(strips[0], own)
    np.testing.assert_array_equal(strips[1], own[np.argsort(modules.labels, kind="stable")])
    np.testing.assert_array_equal(strips[2], own)  # sorted by the other, whose modules are in order
    np.testing.assert_array_equal(strips[3], [[1, 0]] * 4 + [[0, 1]] * 3 + [[0, 0]])  # the dead unit has no mark


def test_matrices_under_dropout_are_sorted_by_their_own_modules() -> None:
    matrix, modules = blocks()
    name = "input_covariance_norm"
    series = {
        0.1: SearchedLayer({name: matrix}, {name: modules}),
        0.7: SearchedLayer({name: 2 * matrix}, {name: modules}),
    }
    figure = figures.against_dropout(series, name)
    assert [axes.get_title() for axes in figure.axes[:2]] == ["dropout 0.1\nQ = 0.500", "dropout 0.7\nQ = 0.500"]
    for axes in figure.axes[:2]:
        np.testing.assert_array_equal(axes.images[0].get_array(), np.kron(np.eye(2), np.ones((4, 4))) - np.eye(8))


def test_the_tables_of_the_matrices_hold_every_two_units_once_with_their_modules() -> None:
    matrix, modules = blocks()
    layer = SearchedLayer(dict.fromkeys(MEASURES, matrix), dict.fromkeys(MEASURES, modules))
    for table, n_matrices in (
        (figures.all_measures.table(layer), 8),
        (figures.against_dropout.table(dict.fromkeys((0.1, 0.7), layer), MEASURES[0]), 2),
    ):
        assert len(table) == n_matrices * 8 * 7 // 2
        together = table["module_a"] == table["module_b"]
        assert (table["similarity"] == together).all()
        assert (table["score"] == modules.score).all()


def test_the_table_of_a_pair_has_the_modules_of_both_measures() -> None:
    matrix, modules = blocks()
    pair = ("input_gradient", "output_gradient")
    found = {pair[0]: modules, pair[1]: replace(modules, labels=np.array([0, 0, 0, 0, 1, 1, 1, -1]))}
    scores = {(a, b): index / 10 for index, (a, b) in enumerate([(a, b) for a in pair for b in pair])}
    table = figures.sorted_by_each_other.table(SearchedLayer(dict.fromkeys(pair, matrix), found), scores)
    row = table.query("measure == 'output_gradient' and unit_a == 2 and unit_b == 7").iloc[0]
    assert row[["module_by_input_gradient_a", "module_by_input_gradient_b"]].tolist() == [0, 1]
    assert row[["module_by_output_gradient_a", "module_by_output_gradient_b"]].tolist() == [0, -1]
    assert row[["score", "score_other"]].tolist() == [scores[pair[1], pair[1]], scores[pair[1], pair[0]]]


def test_no_two_things_share_a_colour_or_a_label() -> None:
    looks = figures.LOOKS.values()
    assert len({look.colour for look in looks}) == len({look.label for look in looks}) == len(looks)


@pytest.mark.parametrize(
    ("plot", "options"),
    [
        (figures.performance_and_norms, {}),
        (figures.modularity_against_regularisation, {"quantity": "n_modules", "by_layer": True}),
        (figures.null_distributions, {}),
        (figures.score_correlation_matrices, {"layers": (2, 1)}),
        (figures.agreement_maps, {"by_layer": True}),
        (figures.agreement_by_strength, {"minus_untrained": True, "by_layer": True}),
        (figures.chance_to_ceiling, {}),
        (figures.metric_agreement, {}),
    ],
)
def test_a_figure_is_drawn_from_its_csv_file_alone(plot: Plot[...], options: dict[str, object], v1: Results) -> None:
    table = plot.table(v1, **options)
    read = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    np.testing.assert_array_equal(pixels(plot.draw(read)), pixels(plot.draw(table)))


def pixels(figure: Figure) -> np.ndarray:
    figure.set_dpi(50)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())


def test_a_matrix_is_drawn_from_its_csv_file_alone() -> None:
    matrix, modules = blocks()
    layer = SearchedLayer(dict.fromkeys(MEASURES, matrix), dict.fromkeys(MEASURES, modules))
    read = pd.read_csv(io.StringIO(figures.all_measures.table(layer).to_csv(index=False)))
    np.testing.assert_array_equal(pixels(figures.all_measures.draw(read)), pixels(figures.all_measures(layer)))


def test_a_plot_has_the_name_the_documentation_and_the_arguments_of_what_it_is_made_of() -> None:
    assert figures.agreement_maps.__name__ == "agreement_maps"
    assert str(figures.agreement_maps.__doc__).startswith("Agreement as maps")
    assert list(inspect.signature(figures.agreement_maps).parameters) == ["results", "layer", "by_layer"]


def test_agreement_over_live_units_is_drawn_beside_that_over_all_units_with_their_number() -> None:
    whole = made_up_results(agreement={"upstream": 0.7, "downstream": 0.6, "across": 0.3})
    live = made_up_results(agreement={"upstream": 0.4, "downstream": 0.65, "across": 0.45})
    counted = live.agreement.assign(live_units=np.where(live.agreement["l2"] > 1e-5, 20, 60))
    live = replace(live, agreement=counted)
    table = figures.agreement_over_both.table(whole, live)
    row = table.query("regulariser == 'l2' and strength == 1e-3 and kind == 'upstream'").set_index("units")
    assert row.loc["all", "mean"] == pytest.approx((0.7 - 0.25) / 0.75, abs=0.01)
    assert row.loc["live", "mean"] == pytest.approx((0.4 - 0.25) / 0.75, abs=0.01)
    assert row["live_units"].tolist() == [20, 20]
    assert row["n_runs"].tolist() == [STUDY.runs] * 2
    assert 0 not in set(table.query("regulariser == 'l1'")["strength"])
    figure = figures.agreement_over_both.draw(table)
    upper, lower = figure.axes[1], figure.axes[4]
    curves = [container.lines[0].get_xydata() for container in upper.containers]
    assert any(np.allclose(of[-1], [1e-3, row.loc["live", "mean"]]) for of in curves)
    np.testing.assert_allclose(lower.lines[0].get_xydata(), [[1e-5, 60], [1e-3, 20]])
    read = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    np.testing.assert_array_equal(pixels(figures.agreement_over_both.draw(read)), pixels(figure))

"""Maps of agreement show the means of the tables, and the published values beside those of the paper's study alone."""

import numpy as np
import pandas as pd
import pytest

from made_up_results import made_up_results
from modularity_lib import ceiling, figures
from modularity_lib.alignment import element_centric_similarity
from modularity_lib.clustering import find_modules
from modularity_lib.paper import published
from modularity_lib.results import Results
from modularity_lib.similarity import MEASURES
from modularity_lib.study import stored_matrices


def value(table: pd.DataFrame, networks: str, a: str, b: str, column: str) -> float:
    return float(table.set_index(["networks", "measure_a", "measure_b"]).loc[(networks, a, b), column])


def test_the_table_holds_means_and_published_values(v1: Results) -> None:
    table, pair = figures.agreement_table(v1), ("output_hessian", "input_gradient")
    rows = v1.analysed("agreement", trained=True).query("measure_a == @pair[0] and measure_b == @pair[1]")
    assert value(table, "trained", *pair, "here") == pytest.approx(rows["element_centric"].mean())
    paper = published("agreement").set_index(["networks", "measure_a", "measure_b"])["element_centric"]
    assert value(table, "untrained", *pair, "published") == paper[("untrained", *pair)]
    minus = paper[("trained", *pair)] - paper[("untrained", *pair)]
    assert value(table, "minus", *pair, "published") == pytest.approx(minus)
    assert len(table) == 3 * 28
    np.testing.assert_allclose(table["difference"], table["here"] - table["published"])


def test_one_layer_has_no_published_values_and_means_of_its_own(v1: Results) -> None:
    layers = [figures.agreement_table(v1, layer=layer) for layer in (1, 2)]
    assert "published" not in layers[0]
    pair = ("output_hessian", "input_gradient")
    one, other = (value(table, "trained", *pair, "here") for table in layers)
    assert one != other
    assert value(figures.agreement_table(v1), "trained", *pair, "here") == pytest.approx((one + other) / 2, abs=0.01)


def test_the_maps_draw_the_table(v1: Results) -> None:
    figure, table = figures.agreement_beside_published(v1), figures.agreement_table(v1)
    assert len(figure.axes) == 9
    shown = figure.axes[0].collections[0].get_array().reshape(8, 8)
    a, b = "output_hessian", "input_covariance"
    assert shown[MEASURES.index(a), MEASURES.index(b)] == pytest.approx(value(table, "trained", a, b, "here"))
    assert shown[MEASURES.index(b), MEASURES.index(a)] == pytest.approx(value(table, "trained", a, b, "here"))
    assert len(figures.agreement_beside_published(made_up_results()).axes) == 3


def test_agreement_by_strength_takes_four_strengths_of_each_sweep(v1: Results) -> None:
    table = figures.agreement_by_strength_table(v1)
    strengths = table.groupby("regulariser")["strength"].unique()
    assert [len(found) for found in strengths] == [4, 4, 4]
    assert strengths["dropout"].min() == 0.05
    assert strengths["dropout"].max() == 0.7
    rows = v1.analysed("agreement", trained=True).query("dropout == 0.7 and measure_a == 'output_hessian'")
    expected = rows[rows["measure_b"] == "input_gradient"]["element_centric"]
    found = table.query("strength == 0.7 and measure_a == 'output_hessian' and measure_b == 'input_gradient'")
    assert found["here"].item() == pytest.approx(expected.mean())
    assert found["n_clusterings"].item() == len(expected)
    minus = figures.agreement_by_strength_table(v1, minus_untrained=True)
    first = table.loc[0, ["measure_a", "measure_b"]].tolist()
    before = value(figures.agreement_table(v1), "untrained", *first, "here")
    assert table["here"].iloc[0] - minus["here"].iloc[0] == pytest.approx(before)
    assert len(figures.agreement_by_strength(v1).axes) == 13  # and the colour bar


def test_metrics_are_drawn_beside_the_published_ones(v1: Results) -> None:
    assert len(figures.metric_table(v1)) == 21
    assert [axes.get_title() for axes in figures.metric_agreement(v1).axes] == ["here", "published"]


def test_a_matrix_searched_twice_is_the_ceiling(v1: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    matrices = stored_matrices("v1", dropout=0.3)
    monkeypatch.setattr(ceiling, "_analysed_matrices", lambda results, run: iter([(CHOSEN, matrices)]))
    table = ceiling.ceiling_table(v1)
    assert len(table) == 2 * 8
    row = table.query("layer == 2 and measure == 'input_gradient'")
    matrix = matrices["hidden2"]["input_gradient"]
    labels = [find_modules(matrix, seed=seed).labels for seed in (0, 1_000)]
    assert row["element_centric"].item() == pytest.approx(element_centric_similarity(*labels))
    assert 0.4 < table["element_centric"].mean() < 1
    levels = figures.chance_to_ceiling_table(v1, table).set_index(["kind", "what"])["element_centric"]
    best = table.groupby("measure")["element_centric"].mean()
    pairs = [("input_covariance", "input_gradient"), ("input_covariance", "input_gradient_norm")]
    pairs += [("input_covariance_norm", "input_gradient"), ("input_covariance_norm", "input_gradient_norm")]
    assert levels["upstream", "ceiling"] == pytest.approx(np.mean([min(best[a], best[b]) for a, b in pairs]))
    assert levels["upstream", "chance"] < levels["upstream", "trained"] < levels["upstream", "ceiling"]


CHOSEN = {"l2": 1e-5, "l1": 0.0, "dropout": 0.3}


def test_searched_again_once_is_what_is_in_the_tables(v1: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    matrices = stored_matrices("v1", dropout=0.3)
    monkeypatch.setattr(ceiling, "_analysed_matrices", lambda results, run: iter([(CHOSEN, matrices)]))
    again = ceiling.searched_again(v1, restarts=1)
    names = ["layer", "measure_a", "measure_b"]
    before = v1.analysed("agreement", trained=True).query("run == 0 and dropout == 0.3").set_index(names)
    after = again.analysed("agreement", trained=True).set_index(names)
    # The first search has the random numbers of the study, but normalised matrices come as float32.
    raw = [index for index in after.index if not (index[1] + index[2]).count("_norm")]
    assert len(after) == 72
    assert after.loc[raw, "element_centric"].tolist() == before.loc[raw, "element_centric"].tolist()
    assert len(again.analysed("agreement", trained=False)) == len(v1.analysed("agreement", trained=False))
    with pytest.raises(ValueError, match="restarts must be at least 1"):
        ceiling.searched_again(v1, restarts=0)


def test_halves_of_the_images_are_a_ceiling_where_the_weights_are_at_hand(
    v1: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = v1.networks.query("run == 0 and l2 == 1e-5 and l1 == 0 and dropout == 0.3 and trained")
    table = ceiling.halves_of(Results(v1.study, one, v1.modules, v1.agreement))
    assert table is not None
    assert len(table) == 2 * 8
    assert 0.3 < table["element_centric"].mean() < 1
    levels = figures.chance_to_ceiling_table(v1, None, table).set_index(["kind", "what"])["element_centric"]
    assert np.isnan(levels["upstream", "ceiling"])
    assert levels["upstream", "trained"] < levels["upstream", "ceiling, images"] < 1

    def nowhere(*_: object, **__: object) -> None:
        raise LookupError

    monkeypatch.setattr(ceiling, "stored_network", nowhere)
    assert ceiling.halves_of(v1) is None


def test_what_the_maps_cover_is_told(v1: Results) -> None:
    told = ceiling.facts(v1, v1, restarts=0, layer=None)
    assert told["maps_of"] == "all hidden layers of 250 analysed networks"
    assert told["ceiling_of"] == "over the networks of run 0"
    assert ceiling.facts(v1, v1, restarts=20, layer=2)["maps_of"].startswith("hidden layer 2 of")
    assert not ceiling.at_hand(made_up_results())

"""The published program's arithmetic: single precision, its rules on weak units, and what it does to the comparison."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from modularity_lib.clustering.modularity import modularity_score
from modularity_lib.findings import published_numerics as numerics
from modularity_lib.findings.published_search import DEAD_SHARE, best_of_proposals, published_modules, quality
from modularity_lib.findings.synthetic import planted
from modularity_lib.studies.results import Results
from modularity_lib.training.networks import Parameters, initial_parameters
from modularity_lib.vocabulary import REGULARISERS

SINGLE = float(np.finfo(np.float32).eps)


def blocks(units: int = 24, *, seed: int = 0) -> np.ndarray:
    return planted(units, blocks=3, common=0.1, shared=0.5, seed=seed)


def quality_matrix(similarity: np.ndarray) -> np.ndarray:
    share = np.array(similarity, dtype=np.float32)
    np.fill_diagonal(share, 0.0)
    share /= share.sum()
    strength = share.sum(axis=1)
    return share - np.outer(strength, strength)


def test_quality_is_the_sum_over_pairs_of_one_module() -> None:
    matrix, labels = quality_matrix(blocks()), np.arange(24) % 4
    expected = sum(float(matrix[i, j]) for i in range(24) for j in range(24) if labels[i] == labels[j])
    found = quality(matrix, labels, 4)
    assert found == np.float32(found)
    assert found == pytest.approx(expected, abs=64 * SINGLE)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_all_proposals_has_the_q_that_is_told(seed: int) -> None:
    matrix = quality_matrix(blocks(seed=seed))
    draws = np.random.default_rng(seed).random((400, 2))
    start = np.random.default_rng(seed).integers(0, 5, 24)
    start[:5] = np.arange(5)
    best, told = best_of_proposals(matrix, start, draws, 0.15)
    again = quality(matrix, best, best.max() + 1)
    assert float(told) == pytest.approx(float(again), abs=24 * SINGLE)
    assert told > quality(matrix, start, 5)
    assert float(again) == pytest.approx(modularity_score(blocks(seed=seed), best), abs=1e-5)


def test_clear_modules_are_found_as_in_double_precision() -> None:
    found = published_modules(blocks(), seed=1)
    assert len(np.unique(found.labels)) == 3
    assert [len(np.unique(found.labels[block : block + 8])) for block in (0, 8, 16)] == [1, 1, 1]
    assert found.score == pytest.approx(modularity_score(blocks(), found.labels), abs=1e-5)
    assert published_modules(blocks(), seed=1) == found


def test_weak_units_wander_where_rounding_hides_their_gains() -> None:
    weak = blocks()
    weak[0, 1:] *= 1e-10
    weak[1:, 0] *= 1e-10
    homes = {tuple(found == found[0]) for found in (published_modules(weak, seed=seed).labels for seed in range(12))}
    assert len(homes) > 2
    strong = {tuple(found == found[0]) for found in (published_modules(blocks(), seed=s).labels for s in range(12))}
    assert len(strong) == 1


def test_units_below_the_share_are_dead_and_so_is_a_matrix_below_the_mean() -> None:
    similarity = blocks()
    for factor, is_dead in ((1e-13, False), (1e-16, True)):
        weak = similarity.copy()
        weak[0, 1:] *= factor
        weak[1:, 0] *= factor
        assert bool(published_modules(weak, seed=0).labels[0] == -1) is is_dead
    assert (published_modules(similarity * DEAD_SHARE * 0.1, seed=0).labels == -1).all()
    assert (published_modules(similarity * DEAD_SHARE * 100, seed=0).labels >= 0).all()


def test_the_matrices_are_those_of_single_precision() -> None:
    parameters = initial_parameters((6, 5, 4, 3), seed=3)
    images = np.random.default_rng(0).random((40, 6))
    from modularity_lib.similarity.perceptron_measures import perceptron_matrices

    exact = perceptron_matrices(parameters, images)
    for layer, by_measure in zip(exact.values(), numerics.published_matrices(parameters, images), strict=True):
        for measure, matrix in by_measure.items():
            assert matrix.dtype == np.float32
            assert matrix == pytest.approx(layer[measure], abs=1e-5 * layer[measure].max())
            assert not np.array_equal(matrix.astype(float), layer[measure])


@pytest.mark.parametrize(("size", "own"), [(1e-30, 0.0), (1e-16, 1e-8), (1e-10, 1.0)])
def test_small_outgoing_weights_underflow_or_are_clipped(size: float, own: float) -> None:
    parameters = initial_parameters((6, 5, 3), seed=3)
    weights = [weight.copy() for weight in parameters.weights]
    weights[1][:, 0] = size
    [measured] = numerics.published_matrices(
        Parameters(tuple(weights), parameters.biases), np.random.default_rng(0).random((40, 6))
    )
    # S_00 = 3 size²; divided by 1e-12 squared where its root is smaller.
    expected = {0.0: 0.0, 1e-8: 3e-8, 1.0: 1.0}[own]
    assert measured["output_gradient_norm"][0, 0] == pytest.approx(expected, rel=1e-5)


def table_of(results: Results) -> pd.DataFrame:
    modules = results.modules[results.modules["trained"]]
    names = ["run", *REGULARISERS, "layer", "measure", "score", "n_modules", "labels"]
    return modules[names].astype({"score": float, "n_modules": float})


@pytest.fixture(scope="module")
def of_two_runs(v1: Results) -> Results:
    tables = {name: getattr(v1, name) for name in ("networks", "modules", "agreement")}
    return replace(v1, **{name: rows[(rows["run"] < 2) | ~rows["trained"]] for name, rows in tables.items()})


def test_the_same_modules_compare_the_same(of_two_runs: Results) -> None:
    numbers = numerics.beside_the_paper(of_two_runs, table_of(of_two_runs))
    assert set(numbers["group"]) == set(numerics.GROUPS)
    assert numbers["here_published"].to_numpy() == pytest.approx(numbers["here"].to_numpy(), abs=1e-12)
    assert set(numbers["met"]) == {numerics.BOTH, numerics.NEITHER}
    table = numerics.summary(numbers)
    assert table["numbers"].sum() == len(numbers) == 232 + 232 + 28 + 336
    assert (table["both"] + table["double"] + table["published"] + table["neither"]).equals(table["numbers"])


def test_what_only_one_of_them_meets_is_counted_there(of_two_runs: Results) -> None:
    table = table_of(of_two_runs)
    far = table.assign(score=table["score"].where(table["l2"] < 0.001, table["score"] + 1.0))
    numbers = numerics.beside_the_paper(of_two_runs, far)
    q = numbers[(numbers["group"] == "Q against regularisation") & (numbers["sweep"] == "l2")]
    strong = q["what"].str.extract(r"l2, ([\d.e-]+)")[0].astype(float) >= 0.001
    assert set(q.loc[strong, "met"]) <= {numerics.DOUBLE, numerics.NEITHER}
    assert set(q.loc[~strong, "met"]) <= {numerics.BOTH, numerics.NEITHER}
    assert (q.loc[strong, "met"] == numerics.DOUBLE).any()


def test_relabelled_modules_change_the_agreement_alone(of_two_runs: Results) -> None:
    table = table_of(of_two_runs)
    turned = table.assign(labels=[list(np.roll(of, 1 + number % 7)) for number, of in enumerate(table["labels"])])
    numbers = numerics.beside_the_paper(of_two_runs, turned)
    is_agreement = numbers["group"].str.startswith("agreement")
    assert (numbers.loc[is_agreement, "here_published"] < numbers.loc[is_agreement, "here"]).mean() > 0.8
    assert numbers.loc[~is_agreement, "here_published"].to_numpy() == pytest.approx(
        numbers.loc[~is_agreement, "here"].to_numpy()
    )

"""The two sides of a layer, against plain loops and closed cases; rules that are right where the truth is known."""

from itertools import chain, combinations, pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings import two_sides
from modularity_lib.findings.tables import AnalysedNetwork
from modularity_lib.findings.two_sides import (
    FEWEST_UNITS,
    MEASURED,
    answers_table,
    corrected,
    effects_table,
    pilot_table,
    rows_of_layers,
)
from modularity_lib.findings.two_sides_made_up import CASES, made_up_layer, made_up_table
from modularity_lib.images.dataset import load_dataset
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.networks import Parameters, initial_parameters
from modularity_lib.vocabulary import BASELINE

SIZES, DEAD, SILENT = (7, 12, 11, 4), 2, 5


@pytest.fixture
def layer_of_all_kinds() -> tuple[Parameters, np.ndarray]:
    """Weights of three layers; in the first hidden one a unit is dead, and another does next to nothing."""
    source = np.random.default_rng(0)
    weights = [source.standard_normal((after, before)) for before, after in pairwise(SIZES)]
    biases = [source.standard_normal(size) for size in SIZES[1:]]
    biases[0][DEAD] = -1e3
    biases[1] = np.abs(biases[1]) + 1  # so that all are on for some image
    weights[1][:, SILENT] *= 1e-8
    return Parameters(tuple(weights), tuple(biases)), source.standard_normal((40, SIZES[0]))


def by_plain_loops(parameters: Parameters, images: np.ndarray, layer: int) -> dict[str, float]:
    """What `two_sides` says of a layer, by automatic differentiation and loops over pairs of units."""
    weights, biases = ([torch.tensor(array) for array in arrays] for arrays in (parameters.weights, parameters.biases))
    n_units = len(weights[layer - 1])
    upstream, downstream = np.zeros((n_units, n_units)), np.zeros((n_units, n_units))

    def activity(image: torch.Tensor) -> torch.Tensor:
        for weight, bias in zip(weights[:layer], biases[:layer], strict=True):
            image = torch.relu(weight @ image + bias)
        return image

    def logits(hidden: torch.Tensor) -> torch.Tensor:
        for weight, bias in zip(weights[layer:-1], biases[layer:-1], strict=True):
            hidden = torch.relu(weight @ hidden + bias)
        return weights[-1] @ hidden + biases[-1]

    for image in torch.tensor(images):
        before = torch.autograd.functional.jacobian(activity, image).numpy()
        after = torch.autograd.functional.jacobian(logits, activity(image)).numpy()
        for i in range(n_units):
            for j in range(n_units):
                upstream[i, j] += before[i] @ before[j] / len(images)
                downstream[i, j] += after[:, i] @ after[:, j] / len(images)
    incoming, outgoing = parameters.weights[layer - 1], parameters.weights[layer]
    live = [i for i in range(n_units) if upstream[i, i] > 0 and np.sqrt((outgoing[:, i] ** 2).sum()) > 1e-6]
    pairs = list(combinations(live, 2))
    first, second = (
        [s[i, j] / np.sqrt(s[i, i] * s[j, j]) for i, j in pairs] for s in (upstream, downstream)
    )  # fmt: skip
    products = [
        (vectors[i] @ vectors[j] / np.linalg.norm(vectors[i]) / np.linalg.norm(vectors[j]))
        for vectors in (incoming, outgoing.T)
        for i, j in pairs
    ]
    norms = [(incoming[i] @ incoming[i], outgoing[:, i] @ outgoing[:, i]) for i in live]
    squares = [
        [(incoming[i] @ incoming[j]), (outgoing[:, i] @ outgoing[:, j])] for i in live for j in live
    ]  # fmt: skip
    gram_in, gram_out = np.array(squares).T
    return {
        "live_units": len(live),
        "gram_correlation": np.corrcoef(products[: len(pairs)], products[len(pairs) :])[0, 1],
        "rsa_signed": spearmanr(first, second).statistic,
        "rsa_absolute": spearmanr(np.abs(first), np.abs(second)).statistic,
        "norm_gap": sum(abs(a - b) for a, b in norms) / sum(a + b for a, b in norms),
        "gram_gap": np.sqrt(((gram_in - gram_out) ** 2).sum())
        / (np.sqrt((gram_in**2).sum()) + np.sqrt((gram_out**2).sum())),
    }


@pytest.mark.parametrize("layer", [1, 2])
def test_both_sides_are_those_of_plain_loops(layer_of_all_kinds: tuple[Parameters, np.ndarray], layer: int) -> None:
    parameters, images = layer_of_all_kinds
    row = rows_of_layers(parameters, images, seed=0, steps=100)[layer - 1]
    expected = by_plain_loops(parameters, images, layer)
    assert row["layer"] == layer
    assert expected["live_units"] == (SIZES[1] - 2 if layer == 1 else SIZES[2])  # else nothing is left out
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, abs=1e-12), name


def test_modules_are_compared_on_live_units_alone_with_and_without_sign(
    layer_of_all_kinds: tuple[Parameters, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters, images = layer_of_all_kinds
    seen = []

    def searched(matrix: np.ndarray, **settings: int):
        seen.append((matrix, settings["seed"]))
        return paper_modules(matrix, **settings)

    monkeypatch.setattr(two_sides, "paper_modules", searched)
    [row, _] = rows_of_layers(parameters, images, seed=3, steps=200)
    of_layer = seen[:8]
    assert {matrix.shape for matrix, _ in of_layer} == {(SIZES[1] - 2, SIZES[1] - 2)}
    assert [seed for _, seed in of_layer] == [3, 1003] * 4
    absolute, positive = ([of_layer[place][0] for place in places] for places in ((0, 2), (4, 6)))
    for whole, part in zip(absolute, positive, strict=True):
        assert ((part == whole) | (part == 0)).all()
        assert (part == 0).any()
    for name, (a, b) in {"absolute": absolute, "positive": positive}.items():
        first, second = paper_modules(a, seed=3, steps=200), paper_modules(b, seed=3, steps=200)
        assert row[f"corrected_{name}"] == corrected(first, second)
        again = [corrected(paper_modules(s, seed=3, steps=200), paper_modules(s, seed=1003, steps=200)) for s in (a, b)]
        assert row[f"ceiling_{name}"] == pytest.approx(np.mean(again), abs=1e-15)


def test_agreement_is_corrected_by_the_mean_of_all_shuffles() -> None:
    pairs, halves = np.kron(np.eye(3), np.ones((2, 2))), np.kron(np.eye(2), np.ones((3, 3)))
    a, b = paper_modules(pairs, steps=50), paper_modules(halves, steps=50)
    of_a, of_b = a.labels, b.labels
    source, values = np.random.default_rng(0), []
    for _ in range(4_000):
        shuffled = source.permutation(of_b)
        sizes = [
            np.sum((of_a == of_a[i]) & (shuffled == shuffled[i]))
            / max(np.sum(of_a == of_a[i]), np.sum(shuffled == shuffled[i]))
            for i in range(6)
        ]
        values.append(np.mean(sizes))
    seen = np.mean([2 / 3, 2 / 3, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert corrected(a, b) == pytest.approx((seen - np.mean(values)) / (1 - np.mean(values)), abs=0.01)
    assert corrected(a, a) == 1.0
    assert corrected(a, paper_modules(np.eye(6))) is None
    one = paper_modules(np.ones((6, 6)), steps=50)
    assert set(one.labels) == {0}
    assert corrected(one, one) == 0.0  # it cannot be otherwise, so it says nothing


def test_a_layer_in_balance_is_one_thing_and_a_scale_moves_norms_alone() -> None:
    source = np.random.default_rng(1)
    outgoing = source.standard_normal((10, 20))
    turned = np.linalg.qr(source.standard_normal((15, 10)))[0]
    for scale in (1.0, 3.0):
        incoming = scale * outgoing.T @ turned.T
        parameters = Parameters((incoming, outgoing), (np.full(20, 1e3), np.zeros(10)))  # so that all units are on
        [row] = rows_of_layers(parameters, source.standard_normal((30, 15)), seed=0, steps=100)
        for name in ("gram_correlation", "rsa_signed", "rsa_absolute"):
            assert row[name] == pytest.approx(1, abs=1e-9)
        for name in ("norm_gap", "gram_gap"):
            assert row[name] == pytest.approx((scale**2 - 1) / (scale**2 + 1), abs=1e-12)


@pytest.mark.parametrize("is_linear", [True, False])
def test_the_loss_pulls_both_sides_of_a_unit_alike_and_pairs_too_where_all_is_linear(is_linear: bool) -> None:
    """W_in (∂L/∂W_in)ᵀ + b (∂L/∂b)ᵀ = (∂L/∂W_out)ᵀ W_out, on the diagonal of a layer of ReLUs, for all of a linear one.

    So where loss + λ Σ w² is at rest, and ∂L/∂b = 0, W_in W_inᵀ = W_outᵀ W_out there.
    """
    torch.manual_seed(0)
    images, classes = torch.randn(60, 5, dtype=torch.float64), torch.randint(3, (60,))
    parts = [torch.randn(shape, dtype=torch.float64).requires_grad_() for shape in ((9, 5), (9,), (3, 9), (3,))]
    w_in, b_in, w_out, b_out = parts
    hidden = images @ w_in.T + b_in
    logits = (hidden if is_linear else torch.relu(hidden)) @ w_out.T + b_out
    torch.nn.functional.cross_entropy(logits, classes).backward()
    pulls = [w_in.grad, b_in.grad, w_out.grad]
    assert all(pull is not None for pull in pulls)
    first = (w_in @ pulls[0].T + torch.outer(b_in, pulls[1])).detach().numpy()
    second = (pulls[2].T @ w_out).detach().numpy()
    np.testing.assert_allclose(np.diag(first), np.diag(second), atol=1e-12)
    assert np.allclose(first, second, atol=1e-12) == is_linear


def test_a_layer_of_few_live_units_has_no_numbers(layer_of_all_kinds: tuple[Parameters, np.ndarray]) -> None:
    parameters, images = layer_of_all_kinds
    parameters.biases[0][FEWEST_UNITS - 1 :] = -1e3  # and those two units
    [row, _] = rows_of_layers(parameters, images, seed=0, steps=100)
    assert row["live_units"] == FEWEST_UNITS - 3
    assert {row[name] for name in MEASURED} == {None}


def test_a_network_without_regularisation_is_also_measured_as_it_was_before_training() -> None:
    digits, sizes = load_dataset("mnist-5k"), (784, 16, 16, 10)
    trained, initial = initial_parameters(sizes, seed=7), initial_parameters(sizes, seed=2)
    for dropout, states in ((0.0, [True, True, False, False]), (0.3, [True, True])):
        config = TrainingConfig(hidden=(16, 16), run=2, dropout=dropout)
        network = AnalysedNetwork(STUDIES["smoke"], config, trained, {}, digits)
        rows = two_sides.rows_of(network)
        assert [row.pop("trained") for row in rows] == states
        steps = STUDIES["smoke"].search_steps
        parts = [rows_of_layers(of, digits.test_images, seed=2, steps=steps) for of in (trained, initial)]
        assert rows == list(chain(*parts))[: len(rows)]


def table_of(**columns: list[float]) -> pd.DataFrame:
    """A table of one setting and layer, a row per run; what is not given is 0.5."""
    n_runs = len(next(iter(columns.values())))
    named = {**BASELINE._asdict(), "trained": True, "layer": 1, "live_units": 60}
    rows = pd.DataFrame([{**named, "run": run, **dict.fromkeys(MEASURED, 0.5)} for run in range(n_runs)])
    return rows.assign(**columns)


def test_answers_follow_the_interval_over_runs() -> None:
    around = np.linspace(-0.02, 0.02, 9)
    for middle, expected in (
        (0.9, "one thing"),
        (0.5, "related"),
        (0.0, "apart"),
        (-0.4, "opposed"),
        (0.2, "undecided"),
    ):
        [row] = answers_table(effects_table(table_of(rsa_signed=middle + around))).to_dict("records")
        assert (row["sides"], row["n_runs"]) == (expected, 9)
        assert row["sign_hides"] == (middle - 0.5 - 0.02 >= 0.1)
    wide = table_of(rsa_signed=0.9 + 20 * around)
    assert answers_table(effects_table(wide))["sides"].tolist() == ["related"]


def test_agreement_is_more_than_little_above_the_limit_of_the_claim_and_the_sign_may_help() -> None:
    around = np.linspace(-0.02, 0.02, 9)
    table = table_of(corrected_absolute=0.2 + around, corrected_positive=0.3 - around)
    [row] = answers_table(effects_table(table)).to_dict("records")
    assert (row["modules_absolute"], row["modules_positive"], row["sign_helps"]) == ("little", "more than little", True)
    [row] = answers_table(effects_table(table.assign(corrected_absolute=0.26 + 3 * around))).to_dict("records")
    assert row["modules_absolute"] == "undecided"
    [row] = answers_table(effects_table(table.assign(corrected_absolute=None))).to_dict("records")
    assert (row["modules_absolute"], row["sign_helps"]) == ("undecided", False)


def test_differences_are_taken_within_runs_and_runs_without_numbers_are_left_out() -> None:
    table = table_of(rsa_signed=[0.9, 0.5, 0.7], rsa_absolute=[0.6, 0.3, np.nan])
    effects = effects_table(table).set_index("quantity")
    half = 12.7062 * 0.05  # t of two runs that are 0.2 and 0.3
    expected = [0.25, 0.25 - half, 0.25 + half, 2]
    assert effects.loc["sign_loss", ["mean", "low", "high", "n_runs"]].tolist() == pytest.approx(expected, abs=1e-4)
    assert effects.loc["rsa_signed", "n_runs"] == 3


def test_a_pilot_holds_within_the_interval_up_to_its_rounding() -> None:
    effects = effects_table(table_of(gram_correlation=[0.26, 0.27, 0.28], rsa_signed=[0.24, 0.25, 0.26]))
    found = pilot_table(effects).set_index("quantity")
    assert found["pilot"].to_dict() == {"gram_correlation": 0.27, "rsa_signed": 0.18}
    assert found["holds"].to_dict() == {"gram_correlation": True, "rsa_signed": False}
    assert pilot_table(effects_table(table_of(rsa_signed=[0.184, 0.185, 0.186])))["holds"].tolist()[1]


@pytest.fixture(scope="module")
def made_up() -> pd.DataFrame:
    return made_up_table(groups=2, runs=6).set_index("case")


def test_rules_are_right_where_the_truth_is_known_and_call_nothing_that_is_unrelated(made_up: pd.DataFrame) -> None:
    table = made_up
    assert list(table.index) == list(CASES)
    known = table["truth"] != ""
    assert (table.loc[known, "right"] == 1).all()
    unrelated = table[table["truth"] == "apart"]
    assert len(unrelated) == 4
    assert not unrelated[["called", "more_than_little", "sign_hides"]].any(axis=None)


def test_absolute_values_hide_that_two_sides_are_the_same_where_units_are_rarely_on(made_up: pd.DataFrame) -> None:
    """The fault is in the measure: the sides are alike by construction, and modules with the sign agree far more."""
    row = made_up.loc["same directions, rarely on"]
    assert row["gram_correlation"] > 0.95
    assert row["sign_hides"] == 1
    assert row["corrected_absolute"] < 0.2 < 0.4 < row["corrected_positive"]


def test_made_up_layers_are_what_their_names_say() -> None:
    for name in CASES:
        parameters, images = made_up_layer(name, np.random.default_rng(0))
        on = (images @ parameters.weights[0].T + parameters.biases[0] > 0).mean()
        assert on == pytest.approx(0.16 if name.endswith("rarely on") else 0.5, abs=0.03), name
        dimensions = [np.linalg.matrix_rank(weight) for weight in parameters.weights]
        if name.startswith("few"):
            assert dimensions == [3, 3]

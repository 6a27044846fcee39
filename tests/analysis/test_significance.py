"""Q beside that of nulls: p and z by hand, each null against draws made in the test, and what is refused."""

from collections.abc import Callable
from math import isnan
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import modularity_lib as ml
from modularity_lib.analysis.nulls import NULLS
from modularity_lib.analysis.significance import ModuleTest
from modularity_lib.training.networks import Parameters, initial_parameters, network_of
from on_disk import OnDisk

RANDOM = np.random.default_rng(0)
GROUP = np.repeat([0, 1], 4)
BLOCKS = RANDOM.standard_normal((80, 2))[:, GROUP] + RANDOM.standard_normal((80, 8))
NOISE = RANDOM.standard_normal((80, 8))
NETWORK = network_of(initial_parameters([6, 8, 3], seed=0))
INPUTS = RANDOM.random((40, 6)).astype(np.float32)
ABOUT: dict[str, Any] = {"inputs": INPUTS, "layer": "hidden1"}


def similarity(activity: np.ndarray) -> np.ndarray:
    return np.abs(np.corrcoef(activity, rowvar=False))


def stream(seed: int, index: int) -> np.random.Generator:
    """Random numbers of one draw, which no `default_rng(seed)` gives that the data may have been made with."""
    return np.random.default_rng(np.random.SeedSequence(seed).spawn(index + 1)[index])


def scores_of(draw: Callable[[np.random.Generator], np.ndarray], draws: int, seed: int) -> list[float]:
    """Q of similarities, with one stream of random numbers for each draw, and one seed for every search."""
    return [ml.find_modules(draw(stream(seed, index)), seed=seed).score for index in range(draws)]


def of_network(network: torch.nn.Module, inputs: np.ndarray, measure: str = "input_covariance_norm") -> np.ndarray:
    return ml.similarity_matrices(network, inputs, layers=["hidden1"], measures=[measure])["hidden1"][measure]


def test_p_counts_the_draws_that_reach_the_data_and_the_data_too() -> None:
    test = ml.test_modules(BLOCKS, draws=30, seed=3)
    assert isinstance(test, ModuleTest)
    expected = ml.find_modules(similarity(BLOCKS), seed=3)
    assert test.score == pytest.approx(expected.score, abs=1e-12)
    assert test.modules.labels.tolist() == expected.labels.tolist()
    assert test.null_scores.shape == (30,)
    assert test.p == (1 + sum(score >= test.score for score in test.null_scores)) / 31 == 1 / 31
    assert test.z == pytest.approx((test.score - np.mean(test.null_scores)) / np.std(test.null_scores, ddof=1))
    assert test.reason == ""
    assert (test.null, test.question, test.measure) == (
        "independent-units",
        NULLS["independent-units"].question,
        "input_covariance_norm",
    )
    with pytest.raises(ValueError, match="read-only"):
        test.null_scores[0] = 1.0


def test_ties_count_as_chance() -> None:
    """Two units have one partition of highest Q, -1/2 apart and 0 together, whatever their similarity."""
    test = ml.test_modules(RANDOM.standard_normal((50, 2)), draws=9)
    assert (test.score, test.p) == (0.0, 1.0)
    assert isnan(test.z)  # the draws do not differ


def test_the_same_seed_gives_the_same_result_and_another_one_another() -> None:
    first, again, other = (ml.test_modules(NOISE, draws=5, seed=seed) for seed in (1, 1, 2))
    assert first.null_scores.tolist() == again.null_scores.tolist() != other.null_scores.tolist()
    more = ml.test_modules(NOISE, draws=8, seed=1)
    assert more.null_scores[:5].tolist() == first.null_scores.tolist()


def test_global_random_numbers_are_left_alone() -> None:
    np.random.seed(0)
    torch.manual_seed(0)
    before = np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    ml.test_modules(NETWORK, null="untrained", factory=lambda: ml.MLP([6, 8, 3]), draws=2, **ABOUT)
    assert before == (np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())


def test_independent_units_are_each_permuted_by_themselves() -> None:
    expected = scores_of(lambda source: similarity(source.permuted(BLOCKS, axis=0)), 6, 2)
    found = ml.test_modules(BLOCKS, null="independent-units", draws=6, seed=2)
    np.testing.assert_allclose(found.null_scores, expected, atol=1e-10)


def test_raw_covariances_and_signs_go_through_the_same_null() -> None:
    def draw(source: np.random.Generator) -> np.ndarray:
        return np.abs(np.cov(source.permuted(BLOCKS, axis=0), rowvar=False))

    found = ml.test_modules(BLOCKS, draws=4, measure="input_covariance")
    np.testing.assert_allclose(found.null_scores, scores_of(draw, 4, 0), atol=1e-10)
    signed = ml.test_modules(BLOCKS, draws=4, signed=True)
    expected = [
        ml.find_modules(np.corrcoef(stream(0, i).permuted(BLOCKS, axis=0).T), signed=True).score for i in range(4)
    ]
    np.testing.assert_allclose(signed.null_scores, expected, atol=1e-10)


def test_the_search_is_that_of_the_data() -> None:
    for search in ({"method": "paper", "restarts": 2}, {"resolution": 2.0}):
        found = ml.test_modules(BLOCKS, draws=3, **search)
        assert found.score == pytest.approx(ml.find_modules(similarity(BLOCKS), **search).score, abs=1e-12)
        expected = [
            ml.find_modules(similarity(stream(0, i).permuted(BLOCKS, axis=0)), **search).score for i in range(3)
        ]
        np.testing.assert_allclose(found.null_scores, expected, atol=1e-10)


def test_time_courses_are_shifted_each_by_itself() -> None:
    def draw(source: np.random.Generator) -> np.ndarray:
        starts = source.integers(len(BLOCKS), size=8)
        return similarity(np.stack([np.roll(BLOCKS[:, unit], -start) for unit, start in enumerate(starts)], axis=1))

    found = ml.test_modules(BLOCKS, null="shifted-units", draws=5)
    np.testing.assert_allclose(found.null_scores, scores_of(draw, 5, 0), atol=1e-10)


@pytest.mark.parametrize("inputs", [INPUTS, torch.tensor(INPUTS)], ids=["array", "tensor"])
def test_inputs_are_permuted_feature_by_feature(inputs: Any) -> None:
    expected = scores_of(lambda source: of_network(NETWORK, source.permuted(INPUTS, axis=0)), 4, 0)
    found = ml.test_modules(NETWORK, null="permuted-inputs", draws=4, inputs=inputs, layer="hidden1")
    np.testing.assert_allclose(found.null_scores, expected, atol=1e-10)


def test_labels_stay_where_they_are_and_images_keep_their_shape() -> None:
    network = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(12, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)
    ).double()
    images, labels = RANDOM.random((30, 3, 4)), np.arange(30) % 3
    found = ml.test_modules(
        network, null="permuted-inputs", draws=2, inputs=images, labels=labels, layer="2", measure="output_hessian"
    )
    expected = []
    for index in range(2):
        permuted = stream(0, index).permuted(images.reshape(30, 12), axis=0).reshape(30, 3, 4)
        matrix = ml.similarity_matrices(network, permuted, labels, layers=["2"], measures=["output_hessian"])
        expected.append(ml.find_modules(matrix["2"]["output_hessian"]).score)
    np.testing.assert_allclose(found.null_scores, expected, atol=1e-10)


def test_labels_go_to_the_inputs_that_their_names_say() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)).double()
    labels = np.arange(40) % 3
    plain = {"null": "permuted-inputs", "draws": 2, "layer": "1", "measure": "output_hessian"}
    expected = ml.test_modules(network, inputs=INPUTS, labels=labels, **plain)
    names = [f"image {number}" for number in range(40)]
    found = ml.test_modules(
        network, inputs=pd.DataFrame(INPUTS, index=names), labels=pd.Series(labels, index=names)[::-1], **plain
    )
    assert found.null_scores.tolist() == expected.null_scores.tolist()


@pytest.mark.parametrize("nonlinearity", [np.tanh, torch.tanh, torch.nn.Tanh()], ids=["numpy", "torch", "module"])
def test_units_are_rotated_before_the_non_linearity(nonlinearity: Any) -> None:
    def draw(source: np.random.Generator) -> np.ndarray:
        orthogonal, triangular = np.linalg.qr(source.standard_normal((8, 8)))
        return similarity(np.tanh(BLOCKS @ (orthogonal * np.sign(np.diag(triangular)))))

    found = ml.test_modules(BLOCKS, null="rotated-units", nonlinearity=nonlinearity, draws=4)
    assert found.score == pytest.approx(ml.find_modules(similarity(np.tanh(BLOCKS))).score, abs=1e-10)
    np.testing.assert_allclose(found.null_scores, scores_of(draw, 4, 0), atol=1e-10)


def rotated(network: ml.MLP, source: np.random.Generator) -> ml.MLP:
    """The network whose first weights and biases are rotated: for each unit a mixture of them all."""
    orthogonal, triangular = np.linalg.qr(source.standard_normal((8, 8)))
    turn = torch.tensor(orthogonal * np.sign(np.diag(triangular)))
    other = ml.MLP([6, 8, 3]).double()
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        other.hidden1.linear.weight.copy_(turn.T @ network.hidden1.linear.weight)
        other.hidden1.linear.bias.copy_(turn.T @ network.hidden1.linear.bias)
    return other


@pytest.mark.parametrize("measure", ["input_covariance_norm", "input_covariance"])
def test_a_layer_is_rotated_in_its_network_which_stays_as_it_was(measure: str) -> None:
    network = network_of(initial_parameters([6, 8, 3], seed=1)).double()
    before = of_network(network, INPUTS, measure)
    expected = scores_of(lambda source: of_network(rotated(network, source), INPUTS, measure), 3, 0)
    found = ml.test_modules(network, null="rotated-units", draws=3, measure=measure, **ABOUT)
    np.testing.assert_allclose(found.null_scores, expected, atol=1e-9)
    assert (of_network(network, INPUTS, measure) == before).all()
    assert not network.hidden1.relu._forward_pre_hooks


@pytest.mark.parametrize("positions", ["average", "pool"])
def test_channels_are_rotated_at_each_position(positions: str) -> None:
    """Which is the same as rotating the filters."""
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 6, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(24, 2))
    images = RANDOM.random((70, 1, 4, 4)).astype(np.float32)  # more than go through together
    about: dict[str, Any] = {"units": {"1": 1}, "positions": positions}
    network[0].weight.data.mul_(3.0)
    weight, bias = (parameter.detach().clone() for parameter in (network[0].weight, network[0].bias))

    def draw(source: np.random.Generator) -> np.ndarray:
        orthogonal, triangular = np.linalg.qr(source.standard_normal((6, 6)))
        turn = torch.tensor(orthogonal * np.sign(np.diag(triangular)), dtype=torch.float32)
        with torch.no_grad():
            network[0].weight.copy_(torch.einsum("ij,i...->j...", turn, weight))
            network[0].bias.copy_(turn.T @ bias)
        name = "input_covariance_norm"
        return ml.similarity_matrices(network, images, layers=["1"], measures=[name], **about)["1"][name]

    found = ml.test_modules(network, null="rotated-units", inputs=images, layer="1", draws=3, **about)
    np.testing.assert_allclose(found.null_scores, scores_of(draw, 3, 0), atol=1e-5)
    assert found.null_scores.std() > 1e-3


def test_a_non_linearity_that_is_called_twice_is_refused() -> None:
    class Twice(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.act = torch.nn.Linear(6, 5), torch.nn.Linear(5, 5), torch.nn.Tanh()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(self.two(self.act(self.one(x))))

    with pytest.raises(ValueError, match=r"^layer 'act' must be called once for rotated-units"):
        ml.test_modules(Twice(), null="rotated-units", inputs=INPUTS, layer="act", calls={"act": 1})


@pytest.mark.parametrize("layer", ["1", "3", "block"])
def test_an_activation_function_and_a_block_that_ends_in_one_can_be_rotated(layer: str) -> None:
    block = torch.nn.Sequential(torch.nn.Linear(5, 5), torch.nn.GELU(), torch.nn.Dropout(0.5), torch.nn.Identity())
    network = torch.nn.Sequential(
        torch.nn.Linear(6, 5), torch.nn.Tanh(), torch.nn.BatchNorm1d(5), torch.nn.SiLU(), torch.nn.Linear(5, 5)
    )
    network.add_module("block", block)
    network.add_module("out", torch.nn.Linear(5, 2))
    found = ml.test_modules(network, null="rotated-units", draws=3, inputs=INPUTS, layer=layer)
    assert len(set(found.null_scores)) > 1


def test_untrained_networks_are_drawn_by_seed() -> None:
    def factory() -> ml.MLP:
        return ml.MLP([6, 8, 3])

    def draw(source: np.random.Generator) -> np.ndarray:
        torch.manual_seed(int(source.integers(2**32)))
        return of_network(factory(), INPUTS)

    found = ml.test_modules(NETWORK, null="untrained", factory=factory, draws=4, **ABOUT)
    with torch.random.fork_rng():
        expected = scores_of(draw, 4, 0)
    np.testing.assert_allclose(found.null_scores, expected, atol=1e-10)


def test_a_factory_that_draws_from_numpy_is_seeded_too() -> None:
    def factory() -> ml.MLP:
        network = ml.MLP([6, 8, 3])
        with torch.no_grad():
            network.hidden1.linear.weight.copy_(torch.tensor(np.random.standard_normal((8, 6))))
        return network

    found = []
    for state in (1, 2):
        np.random.seed(state)
        test = ml.test_modules(NETWORK, null="untrained", factory=factory, draws=3, **ABOUT)
        found.append(test.null_scores.tolist())
    assert found[0] == found[1]


@pytest.mark.parametrize("null", ["shuffled-pairs", "random-directions"])
def test_nulls_of_matrices_take_activity_and_networks_too(null: str) -> None:
    matrix = similarity(BLOCKS)
    found = ml.test_modules(matrix, null=null, draws=4)
    assert found.measure is None
    of_activity = ml.test_modules(BLOCKS, null=null, draws=4)
    np.testing.assert_allclose(of_activity.null_scores, found.null_scores, atol=1e-10)
    measured = ml.test_modules(of_network(NETWORK, INPUTS), null=null, draws=4)
    of_a_network = ml.test_modules(NETWORK, null=null, draws=4, **ABOUT)
    np.testing.assert_allclose(of_a_network.null_scores, measured.null_scores, atol=1e-10)


def test_pairs_are_shuffled_among_live_units() -> None:
    matrix = similarity(BLOCKS)
    padded = np.zeros((10, 10))
    padded[np.ix_([0, 1, 2, 4, 5, 6, 8, 9], [0, 1, 2, 4, 5, 6, 8, 9])] = matrix
    upper = np.triu_indices(8, k=1)

    def draw(source: np.random.Generator) -> np.ndarray:
        null = np.zeros((8, 8))
        null[upper] = source.permutation(matrix[upper])
        return null + null.T

    expected = scores_of(draw, 4, 0)
    for given in (matrix, padded, 7.0 * matrix):
        found = ml.test_modules(given, null="shuffled-pairs", draws=4)
        np.testing.assert_allclose(found.null_scores, expected, atol=1e-10)


def test_random_directions_do_not_depend_on_the_scale_of_a_covariance() -> None:
    scales = np.exp(RANDOM.standard_normal(8))
    raw = ml.test_modules(BLOCKS * scales, null="random-directions", draws=3, measure="input_covariance")
    by_matrix = ml.test_modules(np.abs(np.cov((BLOCKS * scales).T)), null="random-directions", draws=3)
    np.testing.assert_allclose(raw.null_scores, by_matrix.null_scores, atol=1e-10)


def test_names_are_kept_and_whatever_holds_the_numbers_is_taken() -> None:
    table = pd.DataFrame(BLOCKS, columns=list("abcdefgh"))
    of_table = ml.test_modules(table, draws=2)
    assert of_table.modules.names == tuple("abcdefgh")
    plain = ml.test_modules(BLOCKS, draws=2).null_scores.tolist()
    for held in (table, torch.tensor(BLOCKS), OnDisk(BLOCKS), BLOCKS.tolist()):
        assert ml.test_modules(held, draws=2).null_scores.tolist() == plain


def test_dead_units_have_no_test_and_draws_without_modules_have_q_0() -> None:
    for dead, null in ((np.zeros((4, 4)), "shuffled-pairs"), (np.ones((5, 3)), "independent-units")):
        test = ml.test_modules(dead, null=null, draws=3)
        assert all(isnan(value) for value in (test.score, test.z, test.p, *test.null_scores))
        assert test.null_scores.shape == (3,)
        assert "units are dead" in test.reason
    dead_network = ml.MLP([6, 8, 3])
    with torch.no_grad():
        dead_network.hidden1.linear.bias.fill_(-100.0)
    two_groups = Parameters((np.kron(np.eye(2), np.ones((4, 3))), np.ones((3, 8))), (np.zeros(8), np.zeros(3)))
    made = iter([ml.MLP([6, 8, 3]), ml.MLP([6, 8, 3]), dead_network])
    test = ml.test_modules(network_of(two_groups), null="untrained", factory=lambda: next(made), draws=1, **ABOUT)
    assert test.score > 0.3
    assert test.null_scores.tolist() == [0.0]
    assert test.p == 0.5


MATRIX = similarity(BLOCKS)
LINEAR = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.LayerNorm(4), torch.nn.Softmax(-1), torch.nn.Linear(4, 2))


@pytest.mark.parametrize(
    ("data", "given", "message"),
    [
        (MATRIX, {}, r"^null must be named for a similarity matrix.*shuffled-pairs: Is Q .*random-directions: Is Q"),
        (NETWORK, ABOUT, r"^null must be named for a network.*permuted-inputs.*rotated-units.*untrained"),
        (BLOCKS, {"null": "independent-unit"}, r"Did you mean 'independent-units'\? There are independent-units: Is Q"),
        (MATRIX, {"null": "independent-units"}, r"needs activity \(samples, units\), and data is a similarity matrix"),
        (MATRIX, {"null": "untrained"}, r"needs a network.*shuffled-pairs: Is Q"),
        (BLOCKS, {"null": "permuted-inputs"}, r"needs a network, and data is activity.*independent-units: Is Q"),
        (NETWORK, {"null": "shifted-units", **ABOUT}, r"needs activity"),
        (BLOCKS, {"null": "rotated-units"}, r"^nonlinearity must be a function for rotated-units, got None"),
        (BLOCKS, {"null": "rotated-units", "nonlinearity": lambda z: z[:, :2]}, r"^nonlinearity must give an array of"),
        (BLOCKS, {"null": "rotated-units", "nonlinearity": lambda z, a: z}, r"^nonlinearity must take an array.*TypeE"),
        (BLOCKS, {"nonlinearity": np.tanh}, r"^nonlinearity must be left out unless null='rotated-units'"),
        (BLOCKS, {"factory": ml.MLP}, r"^factory must be left out unless null='untrained'"),
        (BLOCKS, {"inputs": INPUTS}, r"^inputs must be left out where data is no network"),
        (BLOCKS, {"units": {"a": 1}}, r"^units must be left out where data is no network"),
        (BLOCKS, {"measure": "input_gradient"}, r"^measure must be one of input_covariance, input_covariance_norm"),
        (
            MATRIX,
            {"null": "shuffled-pairs", "measure": "input_gradient"},
            r"^measure must be left out where data is a s",
        ),
        (NETWORK, {"null": "untrained", "layer": "hidden1"}, r"^inputs must be given for a network"),
        (NETWORK, {"null": "untrained", "inputs": INPUTS}, r"^layer must be the name of one layer"),
        (NETWORK, {"null": "untrained", **ABOUT}, r"^factory must be a function without arguments.*got None"),
        (NETWORK, {"null": "untrained", "factory": lambda: 3, **ABOUT}, r"^factory must give a torch\.nn\.Module"),
        (NETWORK, {"null": "untrained", "factory": lambda: NETWORK, **ABOUT}, r"the same network twice"),
        (
            NETWORK,
            {"null": "permuted-inputs", "inputs": INPUTS[:1], "layer": "hidden1"},
            r"^inputs must be at least two",
        ),
        (NETWORK, {"null": "rotated-units", "nonlinearity": np.tanh, **ABOUT}, r"^nonlinearity must be left out for a"),
        (
            NETWORK,
            {"null": "rotated-units", "measure": "output_gradient", **ABOUT},
            r"^measure must be input_covariance or",
        ),
        (NETWORK, {"null": "rotated-units", "inputs": INPUTS, "layer": "nope"}, r"^layer.* has no 'nope'"),
        (
            LINEAR,
            {"null": "rotated-units", "inputs": INPUTS, "layer": "0"},
            r"^layer must be a non-linearity.*'0', a Line",
        ),
        (
            LINEAR,
            {"null": "rotated-units", "inputs": INPUTS, "layer": "1"},
            r"^layer must be a non-linearity.*LayerNorm",
        ),
        (LINEAR, {"null": "rotated-units", "inputs": INPUTS, "layer": "2"}, r"^layer must be a non-linearity.*Softmax"),
        (BLOCKS, {"null": "random-directions", "signed": True}, r"^signed must be False for random-directions"),
        (MATRIX * 3 - 3 * np.eye(8), {"null": "random-directions"}, r"^data must be a similarity with \|S_ij\| <= "),
        (MATRIX - 0.5, {"null": "shuffled-pairs"}, r"^data must not be negative off its diagonal.*signed=True"),
        (BLOCKS[:1], {}, r"^data must have at least two samples"),
        (np.where(BLOCKS > 2, np.nan, BLOCKS), {}, r"^data must have no missing numbers, got nan at sample"),
    ],
)
def test_what_does_not_go_together_is_refused(data: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ml.test_modules(data, **given)


def test_a_factory_that_sets_a_seed_is_refused() -> None:
    def factory() -> ml.MLP:
        torch.manual_seed(0)
        return ml.MLP([6, 8, 3])

    with pytest.raises(ValueError, match="the same weights twice"):
        ml.test_modules(NETWORK, null="untrained", factory=factory, **ABOUT)


def test_an_argument_that_is_none_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"unexpected argument 'curvatur'"):
        ml.test_modules(NETWORK, null="permuted-inputs", curvatur="hessian", **ABOUT)


def test_every_null_has_a_question_of_one_sentence_and_says_where_it_is_true() -> None:
    for null in NULLS.values():
        assert null.question.startswith("Is Q larger than ")
        assert null.question.endswith("?")
        assert null.question.count("?") == 1
        assert null.holds


def test_a_bar_is_shown_when_it_is_wanted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modularity_lib.progress._SHOWN_AFTER", 0.0)
    ml.test_modules(NOISE, draws=3, progress=True)
    assert "testing: independent-units" in capsys.readouterr().err
    ml.test_modules(NOISE, draws=3, progress=False)
    assert capsys.readouterr().err == ""

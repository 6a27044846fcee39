"""The eight measures, against loops, central differences and automatic differentiation."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

import oracles_derivatives as oracles
from modularity_lib.similarity import averages, closed_form, derivatives, perceptron_measures
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.training.networks import MLP, initial_parameters, network_of
from modularity_lib.vocabulary import FAMILY, MEASURES

SIZES = (8, 6, 5, 3)
N_IMAGES = 12
RAW = [name for name in MEASURES if not name.endswith("_norm")]
UPSTREAM = [name for name in MEASURES if name.startswith("input")]
DOWNSTREAM = [name for name in MEASURES if name.startswith("output")]


def float64_network(*sizes: int, dropout: float = 0.0) -> MLP:
    """A perceptron in which every hidden unit is active on half of the random images."""
    network = network_of(initial_parameters(sizes, seed=2), dropout=dropout).double()
    with torch.no_grad():
        before = torch.from_numpy(random_images(pixels=sizes[0]))
        for linear in network.linear_layers()[:-1]:
            linear.weight.mul_(3)
            linear.bias.copy_(-torch.quantile(before @ linear.weight.T, 0.5, dim=0))
            before = torch.relu(before @ linear.weight.T + linear.bias)
    return network


def random_images(n_images: int = N_IMAGES, pixels: int = 8) -> np.ndarray:
    return np.random.default_rng(5).uniform(size=(n_images, pixels))


def random_labels(n_images: int = N_IMAGES) -> np.ndarray:
    return np.random.default_rng(6).integers(3, size=n_images)


class AnyNetwork(torch.nn.Sequential):
    """Whatever is in it, nothing is known of its forward pass."""


def sequential_of(network: MLP, function: type[torch.nn.Module] = torch.nn.ReLU) -> AnyNetwork:
    """The same perceptron as any network; its hidden layers are "1", "3", ..."""
    parts: list[torch.nn.Module] = []
    for linear in network.linear_layers():
        parts += [linear, function()]
    return AnyNetwork(*parts[:-1])


def assert_equal(one: dict[str, dict[str, np.ndarray]], other: dict[str, dict[str, np.ndarray]], atol: float) -> None:
    assert [list(by_measure) for by_measure in one.values()] == [list(by_measure) for by_measure in other.values()]
    for a, b in zip(one.values(), other.values(), strict=True):
        for name in a:
            np.testing.assert_allclose(a[name], b[name], atol=atol, rtol=0, err_msg=name)


# --- values ---


def test_there_are_eight_measures_in_two_families() -> None:
    assert MEASURES == (
        "output_hessian",
        "output_hessian_norm",
        "output_gradient",
        "output_gradient_norm",
        "input_covariance",
        "input_covariance_norm",
        "input_gradient",
        "input_gradient_norm",
    )
    assert {name: FAMILY[name] for name in MEASURES} == dict.fromkeys(UPSTREAM, "upstream") | dict.fromkeys(
        DOWNSTREAM, "downstream"
    )


def test_measures_are_those_of_loops_and_central_differences() -> None:
    network = float64_network(*SIZES)
    weights = [(linear.weight.detach().numpy(), linear.bias.detach().numpy()) for linear in network.linear_layers()]
    found = similarity_matrices(network, random_images(), random_labels())
    assert list(found) == ["hidden1", "hidden2"]
    for layer, by_measure in enumerate(found.values()):
        slow = oracles.similarities(weights, random_images(), random_labels(), layer)
        assert tuple(by_measure) == MEASURES
        for name in MEASURES:
            # second differences are good to about 1e-6, all others to 1e-9
            tolerance = 1e-5 if "hessian" in name else 1e-8
            np.testing.assert_allclose(by_measure[name], slow[name], atol=tolerance, err_msg=name)


@pytest.mark.parametrize("hidden", [(6,), (6, 5), (4, 7, 5), (5, 6, 4, 6, 5)])
def test_closed_form_is_automatic_differentiation_at_any_depth(hidden: tuple[int, ...]) -> None:
    network = float64_network(8, *hidden, 3)
    found = similarity_matrices(network, random_images(), random_labels())
    layers = [str(2 * index + 1) for index in range(len(hidden))]
    assert all(matrix.max() > 0 for by_measure in found.values() for matrix in by_measure.values())
    assert_equal(
        found, similarity_matrices(sequential_of(network), random_images(), random_labels(), layers=layers), 1e-11
    )


def test_a_perceptron_with_another_non_linearity_is_differentiated() -> None:
    network = float64_network(*SIZES)
    smooth = sequential_of(network, torch.nn.Tanh)
    for layer in network.layers:
        network.get_submodule(layer).relu = torch.nn.Tanh()
    found = similarity_matrices(network, random_images(), random_labels(), layers=["hidden1", "hidden2"])
    assert_equal(found, similarity_matrices(smooth, random_images(), random_labels(), layers=["1", "3"]), 1e-13)


def test_a_subclass_with_its_own_forward_is_differentiated() -> None:
    class Squared(MLP):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images) ** 2

    network = Squared(SIZES).double()
    jacobians = derivatives.output_jacobian(network, random_images(), "hidden1")
    found = similarity_matrices(network, random_images(), layers=["hidden1"], measures=["output_gradient"])
    np.testing.assert_allclose(
        found["hidden1"]["output_gradient"],
        np.abs(oracles.average_products([jacobian.T for jacobian in jacobians])),
        atol=1e-13,
    )


def test_covariance_is_that_of_numpy_divided_by_the_number_of_images() -> None:
    network = float64_network(*SIZES)
    found = similarity_matrices(network, random_images())
    for layer, by_measure in found.items():
        activity = derivatives.activity(network, random_images(), layer)
        np.testing.assert_allclose(by_measure["input_covariance"], np.abs(np.cov(activity.T, bias=True)), atol=1e-14)
        live = activity.std(axis=0) > 0
        correlation = np.abs(np.corrcoef(activity.T[live]))
        np.testing.assert_allclose(by_measure["input_covariance_norm"][np.ix_(live, live)], correlation, atol=1e-13)


def test_hessian_of_a_smooth_network_follows_the_labels_and_may_have_negative_curvature() -> None:
    network, images = sequential_of(float64_network(*SIZES), torch.nn.Tanh), random_images()
    for labels in (random_labels(), np.full(N_IMAGES, 2)):
        signed = derivatives.loss_hessian(network, images, labels, "1").mean(axis=0)
        found = similarity_matrices(network, images, labels, layers=["1"], measures=DOWNSTREAM[:2])["1"]
        np.testing.assert_allclose(found["output_hessian"], np.abs(signed), atol=1e-14)
        np.testing.assert_allclose(found["output_hessian_norm"], oracles.normalised(signed), atol=1e-12)
    assert signed.diagonal().min() < 0 < signed.diagonal().max()


def test_labels_do_not_matter_to_a_relu_perceptron() -> None:
    network = float64_network(*SIZES)
    assert_equal(
        similarity_matrices(network, random_images(), random_labels()), similarity_matrices(network, random_images()), 0
    )


# --- what the matrices look like, and what they are blind to ---


@pytest.mark.parametrize("generic", [False, True])
def test_matrices_are_symmetric_non_negative_float64_with_the_diagonal_kept(generic: bool) -> None:
    network = float64_network(*SIZES).float()
    if generic:
        found = similarity_matrices(sequential_of(network), random_images(), random_labels(), layers=["1", "3"])
    else:
        found = similarity_matrices(network, random_images(), random_labels())
    for by_measure, units in zip(found.values(), (6, 5), strict=True):
        for name, matrix in by_measure.items():
            assert matrix.dtype == np.float64
            assert matrix.shape == (units, units)
            assert (matrix == matrix.T).all(), name
            assert (matrix >= 0).all(), name
            assert matrix.diagonal().max() > 0, name


def test_norm_is_one_on_the_diagonal_of_live_units_and_never_larger_elsewhere() -> None:
    found = similarity_matrices(float64_network(*SIZES).float(), random_images())
    for by_measure in found.values():
        for name in RAW:
            norm, live = by_measure[f"{name}_norm"], by_measure[name].diagonal() > 0
            np.testing.assert_array_equal(norm.diagonal(), live)
            assert norm.max() <= 1 + 1e-6  # Cauchy-Schwarz, up to float32
            assert norm[np.ix_(live, live)].min() < 0.5


def test_permuting_the_units_permutes_the_matrices() -> None:
    network, permuted = float64_network(*SIZES), float64_network(*SIZES)
    order = {"hidden1": [3, 0, 5, 1, 4, 2], "hidden2": [4, 2, 0, 1, 3]}
    with torch.no_grad():
        before = list(range(8))
        for linear, units in zip(permuted.linear_layers(), [*order.values(), [0, 1, 2]], strict=True):
            linear.weight.copy_(linear.weight[units][:, before])
            linear.bias.copy_(linear.bias[units])
            before = units
    found, expected = similarity_matrices(permuted, random_images()), similarity_matrices(network, random_images())
    for layer, units in order.items():
        for name in MEASURES:
            moved = expected[layer][name][np.ix_(units, units)]
            np.testing.assert_allclose(found[layer][name], moved, atol=1e-13, err_msg=name)
            assert np.abs(expected[layer][name] - moved).max() > 1e-3


@pytest.mark.parametrize(
    ("scaled", "grows"),
    [("output", ["output_gradient"]), ("hidden1", ["input_covariance", "input_gradient"])],
)
def test_scaling_the_weights_scales_raw_measures_by_the_square_and_leaves_the_norm(
    scaled: str, grows: list[str]
) -> None:
    network = float64_network(*SIZES)
    before = similarity_matrices(network, random_images())
    linear = network.output if scaled == "output" else network.hidden1.linear
    with torch.no_grad():
        linear.weight.mul_(3)
        linear.bias.mul_(3)
    after = similarity_matrices(network, random_images())
    for name in grows:
        np.testing.assert_allclose(after["hidden1"][name], 9 * before["hidden1"][name], atol=1e-12)
        np.testing.assert_allclose(after["hidden1"][f"{name}_norm"], before["hidden1"][f"{name}_norm"], atol=1e-12)
    blind = UPSTREAM if scaled == "output" else ["output_gradient", "output_gradient_norm"]
    for name in blind:
        np.testing.assert_allclose(after["hidden2"][name], before["hidden2"][name], atol=1e-13)


@pytest.mark.parametrize("dropout", [0.0, 0.9])
def test_dropout_is_off_and_the_mode_is_restored(dropout: float) -> None:
    expected = similarity_matrices(float64_network(*SIZES), random_images(), random_labels())
    for build, layers in (
        (lambda: float64_network(*SIZES, dropout=dropout), ["hidden1", "hidden2"]),
        (lambda: AnyNetwork(float64_network(*SIZES, dropout=dropout)), ["0.hidden1", "0.hidden2"]),
    ):
        network = build().train()
        network.get_submodule(layers[1]).eval()
        found = similarity_matrices(network, random_images(), random_labels(), layers=layers)
        assert_equal(found, expected, 1e-12)
        asleep = {name for name, module in network.named_modules() if not module.training}
        assert asleep == {name for name, _ in network.named_modules() if name.startswith(layers[1])}


@pytest.mark.parametrize("chunk_bytes", [1, 5 * 4 * 200, 10**9])
def test_chunks_of_images_make_no_difference(monkeypatch: pytest.MonkeyPatch, chunk_bytes: int) -> None:
    network = float64_network(8, 6, 5, 4, 3)
    whole = [
        similarity_matrices(network, random_images(), random_labels()),
        similarity_matrices(sequential_of(network), random_images(), random_labels(), layers=["3"]),
    ]
    monkeypatch.setattr(perceptron_measures, "_CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(averages, "_BATCH_INPUTS", 5)
    monkeypatch.setattr(averages, "_BATCH_BYTES", chunk_bytes)
    assert_equal(similarity_matrices(network, random_images(), random_labels()), whole[0], 1e-13)
    in_chunks = similarity_matrices(sequential_of(network), random_images(), random_labels(), layers=["3"])
    assert_equal(in_chunks, whole[1], 1e-13)


def test_a_perceptron_is_measured_in_float64_and_another_network_in_its_own_precision() -> None:
    network = float64_network(*SIZES).float()
    single = similarity_matrices(network, random_images())
    generic = similarity_matrices(sequential_of(network), random_images(), random_labels(), layers=["1", "3"])
    network = network.double()
    assert_equal(similarity_matrices(network, random_images()), single, 0)
    exact = similarity_matrices(sequential_of(network), random_images(), random_labels(), layers=["1", "3"])
    error = max(np.abs(exact[layer][name] - generic[layer][name]).max() for layer in exact for name in MEASURES)
    assert 1e-9 < error < 1e-5


@pytest.mark.parametrize(
    "convert",
    [
        torch.from_numpy,
        lambda images: torch.from_numpy(images).requires_grad_(),
        lambda images: images[::1][:, ::-1][:, ::-1],
        lambda images: [list(image) for image in images],
    ],
)
def test_images_and_labels_may_be_of_any_array_type(convert: Callable[[np.ndarray], Any]) -> None:
    network = float64_network(*SIZES)
    expected = similarity_matrices(network, random_images(), random_labels())
    assert_equal(similarity_matrices(network, convert(random_images()), list(random_labels())), expected, 0)
    labels = torch.from_numpy(random_labels())
    generic = similarity_matrices(sequential_of(network), convert(random_images()), labels, layers=["1", "3"])
    assert_equal(generic, expected, 1e-12)


def test_the_closed_forms_keep_to_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def sums(*arguments):
        threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return input_gradient_sums(*arguments)

    input_gradient_sums = closed_form.input_gradient_sums
    monkeypatch.setattr(closed_form, "input_gradient_sums", sums)
    with threadpool_limits(2, user_api="blas"):
        similarity_matrices(float64_network(*SIZES), random_images())
    assert set(threads) == {1}


def test_read_only_images_are_fine() -> None:
    images = random_images()
    images.flags.writeable = False
    network = float64_network(*SIZES)
    similarity_matrices(network, images)
    similarity_matrices(sequential_of(network), images, layers=["1"], measures=["input_gradient"])


# --- dead and constant units ---


def test_a_unit_that_is_never_active_has_upstream_similarity_exactly_zero() -> None:
    network = float64_network(*SIZES).float()
    with torch.no_grad():
        network.hidden1.linear.bias[2] = -1000.0
        network.hidden2.linear.bias[4] = -1000.0
    for network_, layers in ((network, ["hidden1", "hidden2"]), (sequential_of(network), ["1", "3"])):
        found = similarity_matrices(network_, random_images(), random_labels(), layers=layers)
        for by_measure, unit in zip(found.values(), (2, 4), strict=True):
            for name in UPSTREAM:
                assert (by_measure[name][unit] == 0).all(), name
                assert (by_measure[name][:, unit] == 0).all(), name
            # its output gradient is about what its activity would do, so it is not silenced by its own gate
            assert by_measure["output_gradient"][unit, unit] > 0


def test_a_unit_that_nothing_listens_to_has_downstream_similarity_exactly_zero() -> None:
    network = float64_network(*SIZES).float()
    with torch.no_grad():
        network.output.weight[:, 1] = 0.0
        network.hidden2.linear.weight[:, 2] = 0.0  # listened to by nobody
        network.hidden2.linear.weight[:, 3] = 0.0  # listened to by hidden2's unit 1 alone, which nobody listens to
        network.hidden2.linear.weight[1, 3] = 1.0
        network.hidden2.linear.weight[:, 4] = 0.0  # listened to by a unit that is never active
        network.hidden2.linear.weight[0, 4] = 0.5
        network.hidden2.linear.bias[0] = -1000.0
    for network_, layers in ((network, ["hidden1", "hidden2"]), (sequential_of(network), ["1", "3"])):
        found = similarity_matrices(network_, random_images(), random_labels(), layers=layers)
        for by_measure, silent in zip(found.values(), ([2, 3, 4], [1]), strict=True):
            for name in DOWNSTREAM:
                assert (by_measure[name][silent] == 0).all(), name
                assert (by_measure[name][:, silent] == 0).all(), name
                assert (np.delete(by_measure[name].diagonal(), silent) > 0).all(), name


def test_a_constant_unit_has_covariance_exactly_zero_rounding_included() -> None:
    network = float64_network(*SIZES).float()
    with torch.no_grad():
        network.hidden1.linear.weight[0] = 0.0
        network.hidden1.linear.bias[0] = 0.1
        network.hidden1.linear.weight[1] = 1.5e-8  # moves its activity by a rounding error, on some images
        network.hidden1.linear.bias[1] = 1.0
        network.hidden1.linear.weight[2] *= 1e-4  # small, but well above rounding
        network.hidden1.linear.bias[2] = 1.0
    images = random_images().astype(np.float32)
    noise = derivatives.activity(network, images, "hidden1").astype(np.float64).var(axis=0)
    assert noise[0] < 1e-30 < noise[1] < 1e-13
    precise = copy.deepcopy(network)
    with torch.no_grad():
        precise.hidden1.linear.weight[1] = 3e-17
    noise = derivatives.activity(precise.double(), images, "hidden1").var(axis=0)
    assert noise[0] < 1e-33 < noise[1] < 1e-30
    for network_, layer in ((precise.float(), "hidden1"), (sequential_of(network), "1")):
        found = similarity_matrices(network_, images, layers=[layer], measures=UPSTREAM)[layer]
        for name in ("input_covariance", "input_covariance_norm"):
            assert (found[name][:2] == 0).all(), name
            assert (found[name][:, :2] == 0).all(), name
            assert found[name][2, 2] > 0, name
        assert found["input_gradient"][1, 1] > 0  # its gradient is tiny, but it is not zero


def test_a_large_mean_does_not_swamp_the_covariance() -> None:
    network, covariances = float64_network(*SIZES), []
    for bias in (100.0, 1e6):  # always active: the activity is linear, and its covariance does not depend on the bias
        with torch.no_grad():
            network.hidden1.linear.bias.fill_(bias)
        found = similarity_matrices(network, random_images(), layers=["hidden1"], measures=["input_covariance"])
        covariances.append(found["hidden1"]["input_covariance"])
    np.testing.assert_allclose(covariances[1], covariances[0], atol=1e-8)  # in float64 1e6 rounds at 1e-10


def with_faint_unit(size: float) -> MLP:
    """A float32 network whose last hidden layer has a unit 0 with outgoing weights of this norm."""
    network = float64_network(*SIZES).float()
    with torch.no_grad():
        network.output.weight[:, 0] *= size / network.output.weight[:, 0].norm()
    return network


def test_norm_does_not_depend_on_how_small_the_weights_of_a_unit_are() -> None:
    images = random_images()
    usual = similarity_matrices(with_faint_unit(1.0), images)["hidden2"]
    faint = similarity_matrices(with_faint_unit(1e-35), images)["hidden2"]  # its square is no number of float32
    assert 0 < faint["output_gradient"][0, 0] < 1e-69
    assert (faint["output_gradient_norm"] == faint["output_gradient_norm"].T).all()
    np.testing.assert_allclose(faint["output_gradient_norm"], usual["output_gradient_norm"], rtol=1e-5)
    assert (faint["output_hessian_norm"][0] > 0).all()


def test_products_of_derivatives_are_taken_in_float64_in_other_networks_too() -> None:
    measured = sequential_of(with_faint_unit(1e-35))
    found = similarity_matrices(measured, random_images(), random_labels(), layers=["3"])["3"]
    usual = similarity_matrices(with_faint_unit(1.0), random_images())["hidden2"]
    assert 0 < found["output_gradient"][0, 0] < 1e-69
    np.testing.assert_allclose(found["output_gradient_norm"], usual["output_gradient_norm"], rtol=1e-5)


def test_norm_is_zero_for_a_unit_whose_curvature_vanishes_in_the_precision_it_is_measured_in() -> None:
    measured = sequential_of(with_faint_unit(1e-35))
    found = similarity_matrices(measured, random_images(), random_labels(), layers=["3"])["3"]
    assert found["output_hessian"][0, 0] == 0
    assert (found["output_hessian_norm"][0] == 0).all()
    assert (found["output_hessian_norm"][:, 0] == 0).all()
    assert found["output_hessian_norm"][1, 1] == 1


def test_a_layer_that_is_dead_altogether_gives_zeros() -> None:
    network = float64_network(*SIZES)
    with torch.no_grad():
        network.hidden1.linear.bias.fill_(-1000.0)
    found = similarity_matrices(network, random_images())["hidden1"]
    assert all((found[name] == 0).all() for name in UPSTREAM)


def test_one_image_has_no_covariance() -> None:
    found = similarity_matrices(float64_network(*SIZES), random_images(1))
    assert all((by_measure["input_covariance_norm"] == 0).all() for by_measure in found.values())


# --- choice of layers and measures ---


@pytest.mark.parametrize("name", MEASURES)
def test_a_measure_asked_for_alone_is_the_same_and_nothing_else_is_computed(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    network = float64_network(*SIZES)
    generic = sequential_of(network)
    expected = similarity_matrices(network, random_images(), random_labels())
    quantity = name.removesuffix("_norm")
    functions = {
        "input_covariance": [(averages, "Covariance"), (perceptron_measures, "Covariance")],
        "input_gradient": [(averages, "input_gradient_sums"), (closed_form, "input_gradient_sums")],
        "output_gradient": [(averages, "output_gradient_sums"), (closed_form, "output_gradient_sums")],
        "output_hessian": [(averages, "loss_hessian_sums"), (closed_form, "loss_hessian_sums")],
    }

    def not_asked_for(*arguments: Any) -> None:
        raise AssertionError("not asked for")

    for other in functions.keys() - {quantity}:
        for module, function in functions[other]:
            monkeypatch.setattr(module, function, not_asked_for)
    found = similarity_matrices(network, random_images(), measures=[name], layers=["hidden2"])
    assert_equal(found, {"hidden2": {name: expected["hidden2"][name]}}, 0)
    found = similarity_matrices(generic, random_images(), random_labels(), measures=[name], layers=["3"])
    assert_equal(found, {"3": {name: expected["hidden2"][name]}}, 1e-12)


def test_layers_come_in_the_order_asked_and_measures_in_theirs() -> None:
    found = similarity_matrices(
        float64_network(*SIZES),
        random_images(),
        layers=["hidden2", "hidden1", "hidden2"],
        measures=["input_gradient", "output_hessian"],
    )
    assert list(found) == ["hidden2", "hidden1"]
    assert list(found["hidden1"]) == ["output_hessian", "input_gradient"]
    assert found["hidden2"]["input_gradient"].shape == (5, 5)


# --- errors ---


def refuse(message: str, network: Any = None, images: Any = None, labels: Any = None, **options: Any) -> None:
    network = float64_network(*SIZES) if network is None else network
    with pytest.raises(ValueError, match=message):
        similarity_matrices(network, random_images() if images is None else images, labels, **options)


def test_unknown_measures_and_layers_are_refused_with_the_closest_name() -> None:
    refuse(
        r"measures has no 'input_gradients'\. Did you mean 'input_gradient'\? Expected .* output_hessian,",
        measures=["input_gradients"],
    )
    refuse(
        r"layers has no 'hiden2'\. Did you mean 'hidden2'\? Expected some of hidden1, .*hidden2, .*\.$",
        layers=["hiden2"],
    )
    refuse(r"layers has no 'zzz'\. Expected some of hidden1, .*hidden2, .*output\.$", layers=["zzz"])
    generic = sequential_of(float64_network(*SIZES))
    refuse(r"layers has no '7'\. Expected some of 0, 1, 2, 3, 4", generic, layers=["7"])
    refuse(r"layers has no ''", generic, layers=[""])


@pytest.mark.parametrize("names", [5, []])
def test_names_that_are_no_list_are_refused(names: Any) -> None:
    refuse("layers must be a list of at least one name, got", layers=names)
    refuse("measures must be a list of at least one name, got", measures=names)
    refuse("measures must be a list of at least one name, got", measures="input_gradient")


def test_layers_are_required_for_other_networks() -> None:
    refuse(
        "layers must be given for a network other than MLP: some of 0, 1, 2, 3, 4",
        sequential_of(float64_network(*SIZES)),
    )


def test_parameters_are_not_a_network() -> None:
    refuse(r"network must be a torch.nn.Module, got Parameters. .*network_of\(\)", initial_parameters(SIZES, seed=0))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 8), np.nan), "must be finite, got NaN or infinity"),
        (np.full((2, 8), np.inf), "must be finite, got NaN or infinity"),
        (random_images(pixels=7), r"shape \(inputs, 8\) with at least one input, got shape \(12, 7\)"),
        (
            random_images().reshape(-1, 2, 4),
            r"got shape \(12, 2, 4\). Images with rows and columns .*reshape\(len\(inputs\), -1\)",
        ),
        (random_images()[0], r"got shape \(8,\)"),
        (random_images()[:0], r"with at least one input, got \(0, 8\)"),
        (np.full((2, 8), "a"), "inputs must be real numbers, got <U1"),
    ],
)
def test_images_that_do_not_fit_are_refused(images: np.ndarray, message: str) -> None:
    refuse(message, images=images)


def test_images_of_other_networks_keep_their_own_scale_but_must_be_finite() -> None:
    generic = sequential_of(float64_network(*SIZES))
    options: dict[str, Any] = {"layers": ["1"], "measures": ["input_gradient"]}
    similarity_matrices(generic, 300 * random_images() - 100, **options)
    refuse("must be finite", generic, np.full((2, 8), np.nan), **options)
    refuse(r"shape \(inputs, ...\) with at least one input", generic, np.zeros((0, 8)), **options)


@pytest.mark.parametrize("generic", [False, True])
def test_labels_that_do_not_fit_are_refused(generic: bool) -> None:
    network = float64_network(*SIZES)
    options: dict[str, Any] = {"measures": ["output_hessian"], "layers": ["1" if generic else "hidden1"]}
    measured = sequential_of(network) if generic else network
    refuse(
        r"labels must hold one entry for each of 12 inputs, got int64 of shape \(11,\)",
        measured,
        labels=random_labels(11),
        **options,
    )
    refuse(
        "labels must be 12 whole numbers, one class for each input, got float64",
        measured,
        labels=random_labels() * 1.0,
        **options,
    )
    refuse(r"labels must lie in 0..2, as the network has 3 outputs", measured, labels=random_labels() + 1, **options)


def test_labels_are_required_for_the_hessian_of_other_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    generic = sequential_of(float64_network(*SIZES))
    wanted = "labels must be given for output_hessian of a network other than MLP"
    refuse(wanted, generic, layers=["1"])
    hooked = float64_network(*SIZES)
    hooked.hidden1.register_forward_hook(lambda module, inputs, output: output)
    refuse(f"{wanted}.*'hidden1' has a hook", hooked)
    monkeypatch.setattr(torch.nn.Sequential, "forward", None)  # labels are missed before the network runs
    refuse(wanted, generic, layers=["1"])
    monkeypatch.undo()
    without = [name for name in MEASURES if "hessian" not in name]
    assert list(similarity_matrices(generic, random_images(), layers=["1"], measures=without)["1"]) == without


@pytest.mark.parametrize("change", [lambda images: 16 * images, lambda images: (images - 0.5) / 0.3, np.negative])
def test_images_may_have_any_scale(change: Callable[[np.ndarray], np.ndarray]) -> None:
    network, images = float64_network(*SIZES), change(random_images())
    expected = similarity_matrices(sequential_of(network), images, random_labels(), layers=["1", "3"])
    found = similarity_matrices(network, images)
    largest = max(matrix.max() for by_measure in expected.values() for matrix in by_measure.values())
    assert_equal(found, expected, 1e-12 * largest)


def test_output_hessian_norm_of_a_smooth_network_has_no_bound() -> None:
    network = sequential_of(float64_network(*SIZES), torch.nn.Tanh)
    found = similarity_matrices(network, random_images(), random_labels(), layers=["1"])["1"]
    assert found["output_hessian_norm"].max() > 1.1
    assert max(found[f"{name}_norm"].max() for name in RAW if name != "output_hessian") <= 1 + 1e-12


# --- only finite numbers ---


class Overflowing(torch.nn.Module):
    """Its layer is beyond float32 where weights are large, its logits are not."""

    def __init__(self, scale: float, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function
        self.linear, self.output = float64_network(8, 6, 3).float().linear_layers()
        self.layer, self.squash = torch.nn.Identity(), torch.nn.Sigmoid()
        with torch.no_grad():
            self.linear.weight.mul_(scale)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.output(self.squash(self.layer(self.function(self.linear(images)))))


def odd_power(values: torch.Tensor) -> torch.Tensor:
    return values**13


@pytest.mark.parametrize("function", [torch.exp, torch.sinh, odd_power])
def test_activities_that_overflow_are_refused_by_layer_and_cause(
    function: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    options: dict[str, Any] = {"layers": ["layer"], "measures": ["input_covariance"]}
    network = Overflowing(4000.0, function)
    refuse(r"the activity of layer 'layer' must be finite, got .* overflows float32", network, **options)
    assert np.isfinite(
        similarity_matrices(Overflowing(1.0, function), random_images(), **options)["layer"][RAW[2]]
    ).all()


@pytest.mark.parametrize("measure", ["input_gradient", "input_gradient_norm"])
def test_derivatives_that_overflow_are_refused_by_layer_and_measure(measure: str) -> None:
    network = Overflowing(4000.0, torch.exp)
    refuse("input_gradient of layer 'layer' must be finite", network, layers=["layer"], measures=[measure])


def test_a_derivative_that_does_not_exist_is_refused() -> None:
    network = Overflowing(1.0, lambda values: (values * 0).abs().sqrt())  # √ at 0: its slope is infinite
    refuse("input_gradient of layer 'layer' must be finite", network, layers=["layer"], measures=["input_gradient"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("input_covariance", "input_covariance of layer '.*' must be finite"),
        ("input_gradient", "input_gradient of layer '.*' must be finite"),
        ("output_gradient", "output_gradient of layer '.*' must be finite"),
    ],
)
def test_products_beyond_float64_are_refused_by_layer_and_measure(name: str, message: str) -> None:
    network = float64_network(*SIZES)
    with torch.no_grad():
        scaled = network.output if name == "output_gradient" else network.hidden1.linear
        scaled.weight.mul_(1e160)
        scaled.bias.mul_(0 if scaled is network.output else 1e160)
    for layer, measured in (("hidden1", network), ("1", sequential_of(network))):
        refuse(message, measured, labels=random_labels(), layers=[layer], measures=[name])


@pytest.mark.parametrize("generic", [False, True])
def test_a_network_that_diverged_is_refused(generic: bool) -> None:
    network = float64_network(*SIZES)
    with torch.no_grad():
        network.hidden2.linear.weight[0, 0] = float("nan")
    measured, layer = (sequential_of(network), "1") if generic else (network, "hidden1")
    refuse(
        "outputs are not all finite: did its training diverge", measured, layers=[layer], measures=["input_gradient"]
    )

"""Losses, their labels, and Gauss-Newton in place of the Hessian, against Hessians input by input in float64."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from modularity_lib.analysis.analyze import analyze
from modularity_lib.similarity.losses import LOSSES
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.training.networks import MLP
from oracles_positions import assert_similar, signed_similarities

pytestmark = pytest.mark.usefixtures("seeded")

RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.standard_normal((6, 4))
TARGETS = RANDOM.standard_normal((6, 3))
SEVERAL = RANDOM.integers(0, 2, size=(6, 3))
CLASSES = np.arange(6) % 3

NAMED: dict[str, tuple[Any, Callable[..., torch.Tensor]]] = {
    "cross-entropy": (CLASSES, functional.cross_entropy),
    "binary-cross-entropy": (SEVERAL, functional.binary_cross_entropy_with_logits),
    "mean-squared-error": (TARGETS, functional.mse_loss),
}


def network_with(n_outputs: int, function: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    """4-5-5-n; its first hidden layer is "1"."""
    return nn.Sequential(nn.Linear(4, 5), function(), nn.Linear(5, 5), function(), nn.Linear(5, n_outputs)).double()


def right_of(
    network: nn.Sequential, loss: Callable[..., torch.Tensor], labels: Any, curvature: str = "hessian", layer: int = 1
) -> dict[str, np.ndarray]:
    """By a loss of (1, outputs) and (1, ...), one input after the other."""
    given = [torch.tensor(label[None], dtype=torch.int64 if label.ndim == 0 else torch.float64) for label in labels]
    return signed_similarities(
        network[: layer + 1],
        network[layer + 1 :],
        [torch.tensor(x) for x in VECTORS],
        [lambda y, label=label: loss(y[None], label) for label in given],
        axis=0,
        curvature=curvature,
    )


def as_taken(labels: np.ndarray) -> np.ndarray:
    """By PyTorch's functions: classes as whole numbers, all else as real ones."""
    return labels if labels.ndim == 1 else labels.astype(float)


def measured(network: nn.Module, labels: Any = None, **options: Any) -> dict[str, np.ndarray]:
    return similarity_matrices(network, VECTORS, labels, layers=["1"], **options)["1"]


@pytest.mark.parametrize("curvature", ["hessian", "gauss-newton"])
@pytest.mark.parametrize("name", NAMED)
def test_losses_with_a_name_are_those_of_pytorch_for_one_input(name: str, curvature: Any) -> None:
    labels, function = NAMED[name]
    network = network_with(3)
    right = right_of(network, function, labels, curvature)
    assert_similar(measured(network, labels, loss=name, curvature=curvature), right)
    by_hand = measured(network, as_taken(labels), loss=function, curvature=curvature)
    assert_similar(by_hand, right)


def test_the_loss_is_the_cross_entropy_unless_another_is_named() -> None:
    network = network_with(3)
    assert_similar(measured(network, CLASSES), right_of(network, functional.cross_entropy, CLASSES))


@pytest.mark.parametrize("curvature", ["hessian", "gauss-newton"])
def test_mean_and_sum_over_the_batch_are_the_same(curvature: Any) -> None:
    network = network_with(3)
    right = right_of(network, functional.cross_entropy, CLASSES, curvature)
    for reduction in ("mean", "sum", "none"):
        for loss in (nn.CrossEntropyLoss(reduction=reduction), lambda y, t: functional.huber_loss(y, t)):
            labels = CLASSES if isinstance(loss, nn.Module) else TARGETS
            found = measured(network, labels, loss=loss, curvature=curvature, batch_size=4)
            if isinstance(loss, nn.Module):
                assert_similar(found, right)
            else:
                assert found["output_hessian"].any()


def test_gauss_newton_of_named_losses_needs_no_labels_and_has_a_norm_of_at_most_one() -> None:
    network = network_with(3)
    with torch.no_grad():
        for part in network:
            if isinstance(part, nn.Linear):
                part.weight.mul_(4)
    for name, (labels, _) in NAMED.items():
        without = measured(network, loss=name, curvature="gauss-newton")
        for measure, matrix in measured(network, labels, loss=name, curvature="gauss-newton").items():
            np.testing.assert_array_equal(without[measure], matrix)
        assert without["output_hessian_norm"].max() <= 1 + 1e-12
    assert measured(network, CLASSES)["output_hessian_norm"].max() > 1.1


def test_gauss_newton_is_the_hessian_where_the_network_is_piecewise_linear() -> None:
    network = network_with(3, nn.ReLU)
    for name, (labels, _) in NAMED.items():
        full = measured(network, labels, loss=name)["output_hessian"]
        found = measured(network, loss=name, curvature="gauss-newton")["output_hessian"]
        np.testing.assert_allclose(found, full, atol=1e-13 * full.max())


def as_sequential(network: MLP) -> nn.Sequential:
    first, last = network.linear_layers()
    return nn.Sequential(first, nn.ReLU(), nn.Identity(), last).double()


@pytest.mark.parametrize("curvature", ["hessian", "gauss-newton"])
@pytest.mark.parametrize("name", NAMED)
def test_a_perceptron_has_the_same_hessians_in_closed_form(name: str, curvature: Any) -> None:
    labels, function = NAMED[name]
    network = MLP([4, 5, 3]).double()
    right = right_of(as_sequential(network), function, labels)
    for given in (labels, None):
        found = similarity_matrices(network, VECTORS, given, loss=name, curvature=curvature)["hidden1"]
        assert_similar(found, right)
    own = similarity_matrices(network, VECTORS, as_taken(labels), loss=function, curvature=curvature)["hidden1"]
    assert_similar(own, right)


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
@pytest.mark.parametrize("is_column", [True, False])
def test_one_output_may_be_a_column_or_a_number(is_column: bool, shape: tuple[int, ...]) -> None:
    """A logit, and a regression; outputs (inputs, 1) or (inputs,)."""
    network = network_with(1)
    whole = nn.Sequential(*network, nn.Flatten(0)) if is_column else network
    for name, labels in (("binary-cross-entropy", SEVERAL[:, 0]), ("mean-squared-error", TARGETS[:, 0])):
        right = right_of(network, NAMED[name][1], labels[:, None])
        assert_similar(measured(whole, labels.reshape(shape), loss=name), right)
    own = measured(whole, TARGETS[:, :1] if not is_column else TARGETS[:, 0], loss=functional.mse_loss)
    assert_similar(own, right)


def test_an_autoencoder_is_measured_by_its_squared_error() -> None:
    class Autoencoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.below, self.act, self.above = nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 4)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.above(self.act(self.below(images.flatten(1)))).reshape(images.shape)

    network, images = Autoencoder().double(), VECTORS.reshape(6, 1, 2, 2)
    right = signed_similarities(
        lambda x: network.act(network.below(x)),
        network.above,
        [torch.tensor(x) for x in VECTORS],
        [lambda y, x=x: functional.mse_loss(y, torch.tensor(x)) for x in VECTORS],
        axis=0,
    )
    options: Any = {"layers": ["act"], "loss": "mean-squared-error"}
    found = similarity_matrices(network, images, VECTORS, output=lambda y: y.flatten(1), **options)
    assert_similar(found["act"], right)
    without = similarity_matrices(network, images, layers=["act"], measures=["input_covariance", "input_gradient"])
    np.testing.assert_allclose(without["act"]["input_gradient"], found["act"]["input_gradient"], atol=1e-15)
    with pytest.raises(ValueError, match=r"shape \(2, outputs\) for 2 inputs, got shape \(2, 1, 2, 2\).*flatten\(1\)"):
        similarity_matrices(network, images, VECTORS, **options)
    with pytest.raises(ValueError, match=r"labels must have the shape of the outputs .* \(6, 4\), got \(6, 1, 2, 2\)"):
        similarity_matrices(network, images, images, output=lambda y: y.flatten(1), **options)


def test_a_loss_that_is_linear_in_the_outputs_has_no_curvature_of_its_own() -> None:
    found = measured(network_with(3), CLASSES, loss=lambda y, t: y.sum(), curvature="gauss-newton")
    assert not found["output_hessian"].any()
    assert measured(network_with(3), CLASSES, loss=lambda y, t: y.sum())["output_hessian"].any()
    assert not measured(network_with(3, nn.ReLU), CLASSES, loss=lambda y, t: y.sum())["output_hessian"].any()


# --- what is refused ---


def refuse(message: str, labels: Any = None, n_outputs: int = 3, **options: Any) -> None:
    with pytest.raises(ValueError, match=message):
        measured(network_with(n_outputs), labels, **options)


def test_one_logit_has_no_cross_entropy_of_classes() -> None:
    refuse(r"one output, .*loss='binary-cross-entropy' for a logit", CLASSES % 1, 1)
    assert measured(network_with(1), SEVERAL[:, 0], loss="binary-cross-entropy")["output_hessian"].any()


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (TARGETS, {}, r"labels must be 6 whole numbers, .*float64 of shape \(6, 3\).* loss='mean-squared-error'"),
        (TARGETS[:, 0], {}, r"targets of a regression: loss='mean-squared-error'"),
        (SEVERAL, {}, r"several labels of one input have loss='binary-cross-entropy'"),
        (CLASSES, {"loss": "binary-cross-entropy"}, r"labels must be 0 or 1 .* got 2\. Classes have loss='cross-en"),
        (CLASSES % 2, {"loss": "binary-cross-entropy"}, r"\(6, 3\), got \(6,\)\. Classes, .*loss='cross-entropy'"),
        (CLASSES, {"loss": "mean-squared-error"}, r"labels must have the shape of the outputs .* \(6, 3\), got \(6,\)"),
        (TARGETS[:, :2], {"loss": "mean-squared-error"}, r"\(6, 3\), got \(6, 2\)"),
        (np.where(TARGETS > 1, np.nan, TARGETS), {"loss": "mean-squared-error"}, r"of which \d are missing"),
        (
            CLASSES,
            {"loss": "cross_entropy"},
            r"loss must be one of .*got 'cross_entropy'\. Did you mean 'cross-entropy'",
        ),
        (CLASSES, {"loss": nn.MSELoss}, r"loss must be one of .* Make it first, as nn\.MSELoss\(\)"),
        (CLASSES, {"loss": lambda y: y.sum()}, r"loss cannot be applied to outputs of shape \(1, 3\) and labels"),
        (
            SEVERAL,
            {"loss": functional.binary_cross_entropy_with_logits},
            r"of torch\.int64.*Real ones go through \.astype",
        ),
        (CLASSES, {"loss": lambda y, t: y}, r"loss must give one real number for one input, got .* shape \(1, 3\)"),
        (CLASSES, {"loss": lambda y, t: 1.0}, r"loss must give one real number for one input, got float"),
        (None, {"loss": functional.mse_loss, "curvature": "gauss-newton"}, "labels must be given for output_hessian"),
        (None, {"loss": "mean-squared-error"}, r"labels must be given for output_hessian.*curvature='gauss-newton'"),
        (CLASSES, {"curvature": "fisher"}, r"curvature must be 'hessian' or 'gauss-newton', got 'fisher'"),
    ],
)
def test_labels_and_losses_that_do_not_go_together_are_refused(labels: Any, options: Any, message: str) -> None:
    refuse(message, labels, **options)


def test_what_labels_say_matters_only_where_it_is_needed_and_is_looked_at_first() -> None:
    measures: Any = ["input_covariance", "output_gradient"]
    for nonsense in (["a"] * 6, np.full(6, np.nan), CLASSES + 100):
        assert measured(network_with(3), nonsense, measures=measures)["output_gradient"].any()
    network = network_with(3)
    network.register_forward_pre_hook(lambda module, given: pytest.fail("labels are looked at later"))
    for labels in (CLASSES[:3], TARGETS, CLASSES - 5, ["a"] * 6):
        with pytest.raises(ValueError, match=r"^labels must"):
            measured(network, labels)


@pytest.mark.parametrize("door", [similarity_matrices, analyze])
@pytest.mark.parametrize("measure", ["input_covariance", "output_gradient"])
def test_labels_that_are_not_those_of_the_inputs_are_refused_whatever_is_measured(door: Any, measure: Any) -> None:
    network = network_with(3)
    network.register_forward_pre_hook(lambda module, given: pytest.fail("labels are looked at later"))
    for other in (CLASSES[:5], np.repeat(CLASSES, 2), 3, object(), "abc"):
        with pytest.raises(ValueError, match=r"^labels must (hold one entry for each of 6 inputs|be an array), got"):
            door(network, VECTORS, other, layers=["1"], measures=[measure])


def test_roots_are_those_of_hessians_by_the_outputs() -> None:
    outputs = 3 * RANDOM.standard_normal((4, 3))
    for name, loss in LOSSES.items():
        assert loss.root is not None
        roots = loss.root(outputs)
        for y, root, label in zip(outputs, roots, NAMED[name][0], strict=False):
            label = torch.tensor(label, dtype=None if label.ndim == 0 else torch.float64)
            by_hand = torch.autograd.functional.hessian(
                lambda y, label=label, name=name: NAMED[name][1](y[None], label[None]), torch.tensor(y)
            )
            np.testing.assert_allclose(root.T @ root, by_hand, atol=1e-14)

"""Inputs and labels that are something else are refused by name, with the way out."""

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from torch import nn
from torch.utils.data import TensorDataset

from modularity_lib.images.dataset import load_dataset
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.training.networks import MLP

IMAGES = np.random.default_rng(0).uniform(size=(12, 6))
CLASSES = np.arange(12) % 3
PAIRS = TensorDataset(torch.tensor(IMAGES), torch.tensor(CLASSES))


def refuse(message: str, images: Any = IMAGES, labels: Any = CLASSES, last: int = 3, **options: Any) -> None:
    for network, layer in (
        (MLP([6, 5, last]), "hidden1"),
        (nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, last)), "1"),
    ):
        with pytest.raises(ValueError, match=message):
            similarity_matrices(network, images, labels, layers=[layer], **options)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (list(PAIRS), "inputs must be an array, got list"),
        ([[1.0, 2.0], [3.0]], "inputs must be an array, got list"),
        (
            np.ma.masked_less(IMAGES, 0.5),
            r"inputs must have no masked entries, got \d+: .* Pass \.filled\(0\), say, or leave these inputs",
        ),
        (iter(IMAGES), "inputs must be an array, got"),
        (None, "inputs must be an array, got NoneType"),
        ("digits", "inputs must be an array, got str"),
        ({"images": "digits"}, r"inputs\['images'\] must be an array, got str"),
        (IMAGES + 1j, "inputs must be real numbers, got complex128"),
        (pd.DataFrame(IMAGES).astype(object), "inputs must be real numbers, got object"),
        (torch.zeros(12, 6, device="meta"), "got Tensor, which does not .*: a tensor on the meta device"),
        (torch.full((12, 6), float("nan")).bfloat16(), "inputs must be finite"),
    ],
)
def test_inputs_of_another_kind_are_refused_by_type_and_with_the_way_out(images: Any, message: str) -> None:
    refuse(message, images)


@pytest.mark.parametrize(
    "images",
    [
        sparse.csr_matrix(IMAGES),
        sparse.coo_array(IMAGES),
        sparse.dok_matrix(IMAGES),
        torch.tensor(IMAGES).to_sparse(),
        da.from_array(IMAGES),
        [torch.tensor(row, requires_grad=True) for row in IMAGES],
        pd.DataFrame(IMAGES).astype(pd.SparseDtype(float, 0)),
    ],
    ids=lambda images: type(images).__name__,
)
def test_inputs_are_taken_as_matrices_are(images: Any) -> None:
    network = MLP([6, 5, 3])
    right = similarity_matrices(network, IMAGES)["hidden1"]
    for measure, matrix in similarity_matrices(network, images)["hidden1"].items():
        assert np.array_equal(matrix, right[measure])


def test_a_dataset_is_refused_with_the_name_of_its_images() -> None:
    digits = load_dataset("mnist-5k")
    refuse(r"inputs must be an array, got Dataset\. Its images are \.test_images", digits)
    refuse(r"labels must be an array, got Dataset\. .* their labels \.test_labels", labels=digits)


def test_labels_go_to_the_images_of_their_names() -> None:
    network = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    names = [f"image {number}" for number in range(12)]
    options: dict[str, Any] = {"layers": ["1"], "measures": ["output_hessian"]}
    right = similarity_matrices(network, IMAGES, CLASSES, **options)["1"]["output_hessian"]
    images, labels = pd.DataFrame(IMAGES, index=names), pd.Series(CLASSES, index=names)
    for shuffled in (labels, labels[::-1], labels.sample(frac=1, random_state=0)):
        assert np.array_equal(similarity_matrices(network, images, shuffled, **options)["1"]["output_hessian"], right)
    with pytest.raises(ValueError, match="the rows of inputs and the rows of labels must name the same ones"):
        similarity_matrices(network, images, labels.rename(index={"image 3": "image 30"}), **options)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (CLASSES * 0.37, r"got float64 of shape \(12,\):.* targets of a regression: loss='mean-squared-error'"),
        (CLASSES * 1.0, r"got float64 of shape \(12,\): .*become whole numbers by \.astype\(int\)"),
        (CLASSES == 1, r"got bool of shape \(12,\): .*one logit has loss='binary-cross-entropy'"),
        (
            np.eye(3)[CLASSES],
            r"One-hot labels go through \.argmax\(axis=1\); several labels .* loss='binary-cross-entropy'",
        ),
        (
            np.full((12, 3), 2),
            r"Targets of a regression have loss='mean-squared-error', and another loss is a function",
        ),
        (CLASSES[:, np.newaxis], r"Pass labels\.ravel\(\)"),
        (CLASSES[:7], r"got int64 of shape \(7,\)\. Inputs and labels must be the same part"),
        (CLASSES.astype(str), r"np\.unique\(labels, return_inverse=True\)\[1\]"),
        (["cat", "dog"] * 6, r"np\.unique\(labels, return_inverse=True\)\[1\]"),
        (np.ma.masked_equal(CLASSES, 1), "labels must have no masked entries, got 4: .* a label cannot be filled in"),
        (
            np.where(CLASSES == 1, np.nan, CLASSES),
            r"float64 of shape \(12,\), of which 4 are missing\. Leave their",
        ),
        (pd.Series([None, *CLASSES[1:]]), "of which 1 are missing"),
        (pd.Series([None, *CLASSES[1:]], dtype="Int64"), "of which 1 are missing"),
        (pd.Series([None, *CLASSES[1:]], dtype="category"), "of which 1 are missing"),
        ([pd.NA, *CLASSES[1:].tolist()], "of which 1 are missing"),
        (["cat", None] * 6, "of which 6 are missing"),
        (torch.full((12,), torch.nan), "of which 12 are missing"),
        (np.full(12, np.inf), "infinity, which is no class"),
        (torch.tensor(CLASSES).bfloat16(), r"become whole numbers by \.astype\(int\)"),
        (CLASSES + 1, r"labels must lie in 0..2, as the network has 3 outputs, got 1..3\. Classes are counted from 0"),
        ({0: 1}, "labels must be an array, got dict"),
        (3, "labels must be an array, got int"),
    ],
)
def test_labels_of_another_kind_are_refused_and_the_loss_is_named(labels: Any, message: str) -> None:
    refuse(message, labels=labels)


@pytest.mark.parametrize("labels", [np.zeros(12, dtype=int), CLASSES % 2])
def test_the_hessian_of_one_logit_is_refused_with_the_way_out(labels: np.ndarray) -> None:
    message = r"for one output, .*loss='binary-cross-entropy' for a logit, loss='mean-squared-error' for a regression"
    refuse(message, labels=labels, last=1)
    refuse(message, labels=labels, last=1, measures=["output_hessian_norm"])
    with pytest.raises(ValueError, match=message):
        similarity_matrices(MLP([6, 5, 1]), IMAGES)
    assert similarity_matrices(MLP([6, 5, 1]), IMAGES, measures=["output_gradient"])["hidden1"]["output_gradient"].any()


def test_two_logits_of_which_one_is_zero_give_the_binary_cross_entropy() -> None:
    class Binary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.relu, self.output = nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logit = self.output(self.relu(self.first(images)))
            return torch.cat([torch.zeros_like(logit), logit], 1)

    network = Binary().double()
    found = similarity_matrices(network, IMAGES, CLASSES % 2, layers=["relu"], measures=["output_hessian"])
    with torch.no_grad():
        chance = torch.sigmoid(network(torch.tensor(IMAGES))[:, 1]).numpy()
    weight = network.output.weight.detach().numpy()
    by_hand = np.abs(weight.T @ weight) * (chance * (1 - chance)).mean()
    np.testing.assert_allclose(found["relu"]["output_hessian"], by_hand, rtol=1e-12)


@pytest.mark.parametrize("gather", [list, tuple, lambda rows: [[row] for row in rows]])
def test_masks_within_lists_are_not_lost(gather: Callable[[Any], Any]) -> None:
    images = np.ma.masked_array(np.ones((5, 4), dtype=np.float32), mask=False)
    images[3, 2] = np.ma.masked
    with pytest.raises(ValueError, match=r"inputs(\[3\])? must have no masked entries, got 1"):
        similarity_matrices(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), gather(images), layers=["1"])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (5, "list of at least one name, got 5"),
        (True, "list of at least one name, got True"),
        (nn.ReLU(), "layers must be names, got a ReLU among them"),
        ([nn.ReLU()], "layers must be names, got a ReLU among them"),
        ([1], "layers must be names, got a int among them"),
        ((name for name in ()), r"list of at least one name, got \[\]"),
    ],
)
def test_layers_are_names(layers: Any, message: str) -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    with pytest.raises(ValueError, match=message):
        similarity_matrices(network, np.eye(4), layers=layers, measures=["input_covariance"])
    once = similarity_matrices(network, np.eye(4), layers=(name for name in ["1"]), measures=["input_covariance"])
    assert list(once) == ["1"]

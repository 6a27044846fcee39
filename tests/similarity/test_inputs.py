"""What a network is given: several arrays, keywords, token ids, data sets and loaders of PyTorch."""

from collections import UserDict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, RandomSampler, TensorDataset

from modularity_lib.similarity.inputs import data_of
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.training.networks import MLP
from oracles_positions import assert_similar, cross_entropies, signed_similarities

pytestmark = pytest.mark.usefixtures("seeded")

RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.standard_normal((7, 4))
OTHERS = RANDOM.standard_normal((7, 2, 3))
IDS = RANDOM.integers(0, 9, size=(7, 3))
CLASSES = np.array([0, 2, 1, 1, 0, 2, 2])
LOSSES = cross_entropies(CLASSES)


def chain() -> nn.Sequential:
    """Its layer "1" is followed by a smooth function, so that its Hessian depends on the labels."""
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3)).double()


def measured(
    inputs: Any, labels: Any = None, network: nn.Module | None = None, **options: Any
) -> dict[str, np.ndarray]:
    options = {"layers": ["1"]} | options
    network = chain() if network is None else network
    [found] = similarity_matrices(network, inputs, labels, **options).values()
    return found


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    for name, matrix in one.items():
        np.testing.assert_allclose(other[name], matrix, rtol=0, atol=1e-13 * matrix.max(), err_msg=name)


class Two(nn.Module):
    """Takes two arrays, the second of which may be left out."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.act, self.output = nn.Linear(4, 5), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)

    def below(self, vectors: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        return self.act(self.one(vectors) + self.other(others.flatten(1)))

    def forward(self, vectors: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        return self.output(self.below(vectors, others))


def test_several_inputs_are_one_variable_together() -> None:
    network = Two().double()
    joined = [torch.tensor(np.concatenate([x, other.ravel()])) for x, other in zip(VECTORS, OTHERS, strict=True)]
    right = signed_similarities(
        lambda x: network.below(x[None, :4], x[None, 4:].reshape(1, 2, 3))[0], network.output, joined, LOSSES, axis=0
    )
    options: Any = {"network": network, "layers": ["act"]}
    assert_similar(measured((VECTORS, OTHERS), CLASSES, **options), right)
    assert_similar(measured((torch.tensor(VECTORS), OTHERS), CLASSES, batch_size=2, **options), right)
    for mapping in (dict, UserDict):
        assert_similar(measured(mapping(others=OTHERS, vectors=VECTORS), CLASSES, **options), right)


def test_inputs_of_other_lengths_are_refused_by_name() -> None:
    options: Any = {"network": Two().double(), "layers": ["act"]}
    with pytest.raises(ValueError, match=r"inputs\[0\] with 7 and inputs\[1\] with 1\. .*np\.repeat\(value\[None\], 7"):
        measured((VECTORS, OTHERS[:1]), CLASSES, **options)
    with pytest.raises(ValueError, match=r"inputs\['vectors'\] with 7 and inputs\['others'\] with 6"):
        measured({"vectors": VECTORS, "others": OTHERS[:6]}, CLASSES, **options)
    with pytest.raises(ValueError, match=r"inputs\['others'\] must be finite, got NaN"):
        measured({"vectors": VECTORS, "others": OTHERS * np.nan}, CLASSES, **options)
    with pytest.raises(ValueError, match=r"inputs\['other'\] of shape .* unexpected keyword argument 'other'"):
        measured({"vectors": VECTORS, "other": OTHERS}, CLASSES, **options)
    with pytest.raises(ValueError, match=r"missing 1 required .*A tuple of arrays is passed as several inputs"):
        measured(VECTORS, CLASSES, **options)
    with pytest.raises(ValueError, match="inputs must hold at least one array, got an empty mapping"):
        measured({}, CLASSES, **options)


def test_names_of_rows_bring_several_tables_into_one_order() -> None:
    network, names = Two().double(), list("abcdefg")
    right = measured((VECTORS, OTHERS.reshape(7, 6)), CLASSES, network=network, layers=["act"])
    one, other = pd.DataFrame(VECTORS, index=names), pd.DataFrame(OTHERS.reshape(7, 6), index=names)
    labels = pd.Series(CLASSES, index=names)
    assert_same(right, measured((one, other[::-1]), labels[::-1], network=network, layers=["act"]))


# --- whole numbers ---


class Tokens(nn.Module):
    """Looks ids up, and leaves out those that a mask leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.embeddings, self.first, self.act = nn.Embedding(9, 4), nn.Linear(4, 5), nn.Tanh()
        self.output = nn.Linear(5, 3)
        self.kinds: set[torch.dtype] = set()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> Any:
        self.kinds.add(input_ids.dtype)
        embedded = self.embeddings(input_ids)
        if attention_mask is not None:
            embedded = embedded * attention_mask[..., None]
        logits = self.output(self.act(self.first(embedded.sum(dim=1))))
        return SimpleNamespace(logits=logits, hidden_states=None)


def test_token_ids_stay_whole_numbers_and_logits_are_found() -> None:
    network = Tokens().double()
    right = signed_similarities(
        lambda x: network.act(network.first(x.sum(dim=0))),
        network.output,
        [network.embeddings(torch.tensor(ids)).detach() for ids in IDS],
        LOSSES,
        axis=0,
    )
    options: Any = {"network": network, "layers": ["act"], "inputs_at": "embeddings"}
    for ids in (IDS, torch.tensor(IDS), torch.tensor(IDS, dtype=torch.int32), IDS.astype(np.uint8)):
        assert_similar(measured(ids, CLASSES, **options), right)
    mask = np.ones_like(IDS)
    for batch in ({"input_ids": IDS, "attention_mask": mask}, UserDict(input_ids=IDS, attention_mask=mask > 0)):
        assert_similar(measured(batch, CLASSES, **options), right)
    assert_similar(measured(IDS, CLASSES, output=lambda o: o.logits, **options), right)
    assert network.kinds == {torch.int64}
    network.embeddings.weight.requires_grad_(False)
    assert_similar(measured(IDS, CLASSES, **options), right)


def test_token_ids_have_no_input_gradient_of_their_own() -> None:
    network = Tokens().double()
    options: Any = {"network": network, "layers": ["act"]}
    message = r"inputs must be real numbers for input_gradient, .* inputs_at='embeddings', or leave input_gradient"
    for inputs in (IDS, {"input_ids": IDS, "attention_mask": np.ones_like(IDS)}, (IDS, np.ones((7, 3)))):
        with pytest.raises(ValueError, match=message):
            measured(inputs, CLASSES, **options)
        rest: Any = ["output_hessian", "output_gradient", "input_covariance"]
        assert measured(inputs, CLASSES, measures=rest, **options)["output_gradient"].any()


class WithPositions(Tokens):
    """Adds a vector for the place of each token: there are three places."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Embedding(3, 4)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        added = self.embeddings(input=input_ids) + self.places(torch.arange(input_ids.shape[1]))
        return self.output(self.act(self.first(added.sum(dim=1))))


class Functional(Tokens):
    """Looks ids up by a function, which is no module."""

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        embedded = nn.functional.embedding(input_ids, self.embeddings.weight)
        return self.output(self.act(self.first(embedded.sum(dim=1))))


@pytest.mark.parametrize("measure", ["input_covariance", "input_gradient"])
def test_ids_that_an_embedding_does_not_have_are_named(measure: Any) -> None:
    options: Any = {"layers": ["act"], "measures": [measure], "inputs_at": "embeddings"}
    far = IDS.copy()
    far[-1, 0] = 9  # seen in the last batch alone
    before = IDS.copy()
    before[0, 0] = -100
    for network, ids, message in (
        (Tokens(), far, r"^inputs must hold ids that the embedding 'embeddings' has, 0 to 8, got 9\. Make them by"),
        (Tokens(), before, r"^inputs must hold ids that the embedding 'embeddings' has, 0 to 8, got -100\."),
        (WithPositions(), far, r"the embedding 'embeddings' has, 0 to 8, got 9"),
        (WithPositions(), np.repeat(IDS, 2, axis=1), r"the embedding 'places' has, 0 to 2, got 5\. .* longer than it"),
    ):
        with pytest.raises(ValueError, match=message):
            measured(ids, None, network, batch_size=3, **options)
        assert not any(module._forward_pre_hooks for module in network.modules())
    with pytest.raises(ValueError, match=r"Inputs must hold ids that are rows of the table .* by the tokenizer"):
        measured(far, None, Functional(), layers=["act"], measures=["input_covariance"])


def test_what_is_measured_may_be_stored_as_whole_numbers() -> None:
    pixels = RANDOM.integers(0, 255, size=(7, 4)).astype(np.uint8)
    network = chain()
    assert_same(measured(pixels.astype(float), CLASSES, network), measured(pixels, CLASSES, network))

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.network(pixels.double() / 255)

    scaled = measured(pixels, CLASSES, Scaled(), layers=["network.1"])
    assert_same(scaled, measured(pixels.astype(float), CLASSES, Scaled(), layers=["network.1"]))
    assert scaled["input_gradient"].any()


def test_the_place_that_inputs_are_taken_at_must_be_there() -> None:
    network = Tokens().double()
    for wrong, message in (
        ("embedding", r"inputs_at has no 'embedding'\. Did you mean 'embeddings'\? Expected some of embeddings, first"),
        (5, "inputs_at must be a list of at least one name, got 5"),
        ("output", r"a derivative is not defined: between inputs, layer 'act'"),
    ):
        with pytest.raises(ValueError, match=message):
            measured(IDS, CLASSES, network=network, layers=["act"], inputs_at=wrong)
    assert measured(IDS, CLASSES, network=network, layers=["act"], inputs_at=network.embeddings)


# --- data sets and loaders ---

PAIRS = TensorDataset(torch.tensor(VECTORS), torch.tensor(CLASSES))


class Dictionaries(Dataset):
    def __len__(self) -> int:
        return 7

    def __getitem__(self, place: int) -> dict[str, Any]:
        return {"input_ids": torch.tensor(IDS[place]), "labels": int(CLASSES[place])}


def test_data_sets_and_loaders_bring_inputs_and_labels() -> None:
    network = chain()
    right = measured(VECTORS, CLASSES, network)
    for data in (
        PAIRS,
        DataLoader(PAIRS, batch_size=3),
        DataLoader(PAIRS, batch_size=2, shuffle=True),
        DataLoader(PAIRS, sampler=RandomSampler(PAIRS), batch_size=3),
        DataLoader(PAIRS, batch_sampler=BatchSampler(RandomSampler(PAIRS), 2, drop_last=False)),
    ):
        for batch_size in (None, 1, 5):
            assert_same(right, measured(data, None, network, batch_size=batch_size))
    only = TensorDataset(torch.tensor(VECTORS))
    for data in (only, DataLoader(only, batch_size=3)):
        assert_same(right, measured(data, CLASSES, network))
    options: Any = {"layers": ["act"], "inputs_at": "embeddings"}
    tokens = Tokens().double()
    ids = measured({"input_ids": IDS}, CLASSES, tokens, **options)
    for data in (Dictionaries(), DataLoader(Dictionaries(), batch_size=3, shuffle=True)):
        assert_same(ids, measured(data, None, tokens, **options))


def test_pairs_of_several_inputs_and_a_label() -> None:
    class Pairs(Dataset):
        def __len__(self) -> int:
            return 7

        def __getitem__(self, place: int) -> Any:
            return (torch.tensor(VECTORS[place]), torch.tensor(OTHERS[place])), int(CLASSES[place])

    network = Two().double()
    right = measured((VECTORS, OTHERS), CLASSES, network, layers=["act"])
    assert_same(right, measured(DataLoader(Pairs(), batch_size=3, shuffle=True), None, network, layers=["act"]))


def test_a_perceptron_takes_a_loader() -> None:
    network = MLP([4, 5, 3]).double()
    right = similarity_matrices(network, VECTORS, CLASSES)["hidden1"]
    found = similarity_matrices(network, DataLoader(PAIRS, batch_size=3, shuffle=True))["hidden1"]
    assert_same(right, found)


def test_a_loader_is_passed_through_batch_by_batch() -> None:
    class Watched(TensorDataset):
        largest = 0

        def __getitem__(self, place: int) -> Any:
            return super().__getitem__(place)

    data = Watched(torch.tensor(VECTORS), torch.tensor(CLASSES))
    assert [len(inputs) for inputs, _ in data_of(DataLoader(data, batch_size=3), None).batches(2)] == [2, 1, 2, 1, 1]
    assert data_of(DataLoader(data, batch_size=3), None).n_inputs == 7


def test_random_numbers_of_a_loader_are_not_missed() -> None:
    networks: Any = {"1": chain(), "hidden1": MLP([4, 5, 3])}
    before = torch.get_rng_state()
    for layer, network in networks.items():
        measured(DataLoader(PAIRS, batch_size=3, shuffle=True), None, network, layers=[layer])
    assert torch.equal(torch.get_rng_state(), before)


class Endless(IterableDataset):
    def __iter__(self) -> Iterator[torch.Tensor]:
        while True:
            yield torch.zeros(4)


@pytest.mark.parametrize(
    ("data", "labels", "message"),
    [
        (Endless(), None, r"inputs must have an end and a length, got Endless without one\. Pass a part of it"),
        (DataLoader(Endless()), None, "inputs must have an end and a length, got DataLoader without one"),
        (PAIRS, CLASSES, "labels must come from one place, but TensorDataset yields labels, too"),
        (DataLoader(PAIRS), CLASSES, "labels must come from one place, but DataLoader yields labels, too"),
        (
            DataLoader(TensorDataset(torch.tensor(VECTORS)), shuffle=True),
            CLASSES,
            "labels must be yielded by a DataLoader that does not keep the order",
        ),
        (
            DataLoader(
                TensorDataset(torch.tensor(VECTORS)), batch_sampler=BatchSampler(RandomSampler(PAIRS), 2, False)
            ),
            CLASSES,
            "labels must be yielded by a DataLoader that does not keep the order",
        ),
        (TensorDataset(torch.tensor(VECTORS)), CLASSES[:5], r"labels must hold one entry for each of 7 inputs"),
        (
            TensorDataset(torch.tensor(VECTORS), torch.tensor(VECTORS), torch.tensor(CLASSES)),
            None,
            r"inputs must yield inputs, or pairs .*, got 3 parts\. Several inputs go into a tuple or a dict",
        ),
        (TensorDataset(torch.zeros(0, 4)), None, "inputs must hold at least one input, got an empty TensorDataset"),
        (TensorDataset(torch.tensor(VECTORS)), None, "labels must be given for output_hessian"),
        (TensorDataset(torch.tensor(VECTORS), torch.tensor(CLASSES * 0.5)), None, "labels must be 7 whole numbers"),
        (TensorDataset(torch.tensor(VECTORS) * torch.nan, torch.tensor(CLASSES)), None, "inputs must be finite"),
        ([*PAIRS], None, "inputs must be an array, got list"),
    ],
)
def test_data_that_cannot_be_passed_through_are_refused(data: Any, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measured(data, labels)


def test_what_cannot_be_stacked_is_refused() -> None:
    class Pictures(Dataset):
        def __len__(self) -> int:
            return 3

        def __getitem__(self, place: int) -> Any:
            return SimpleNamespace(size=3), 0

    with pytest.raises(ValueError, match="inputs must yield tensors or numbers, got Pictures, which does not"):
        measured(Pictures())


def test_batches_of_other_lengths_are_refused_not_averaged() -> None:
    class Padded(Dataset):
        def __len__(self) -> int:
            return 6

        def __getitem__(self, place: int) -> Any:
            return torch.ones(3 + place // 2, 4, dtype=torch.float64), place % 3

    network = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), Mean(), nn.Linear(5, 3)).double()
    with pytest.raises(ValueError, match=r"'1' must give the same shape for all inputs, got \(2, 4, 5\) where"):
        measured(DataLoader(Padded(), batch_size=2), None, network, units={"1": 2})


class Mean(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.mean(dim=1)

"""Units at positions: channels, tokens, time steps, against Jacobians and Hessians position by position in float64."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from modularity_lib.similarity import averages
from modularity_lib.similarity.measures import similarity_matrices
from oracles_positions import assert_similar, cross_entropies, signed_similarities

pytestmark = pytest.mark.usefixtures("seeded")

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(size=(5, 1, 6, 6))
CLASSES = np.arange(5) % 3
CROSS_ENTROPIES = cross_entropies(CLASSES)


def tensors(inputs: np.ndarray) -> list[torch.Tensor]:
    return [torch.tensor(x) for x in inputs]


def batched(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    """Of one input, without the axis of inputs."""
    return lambda x: function(x[None])[0]


# --- channels ---


class Convolutional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.act1 = nn.Conv2d(1, 4, 3), nn.Tanh()
        self.conv2, self.act2, self.pool = nn.Conv2d(4, 3, 2), nn.GELU(), nn.AvgPool2d(3)
        self.output = nn.Linear(3, 3)

    def below(self, images: torch.Tensor) -> torch.Tensor:
        return self.act1(self.conv1(images))

    def above(self, planes: torch.Tensor) -> torch.Tensor:
        return self.output(torch.flatten(self.pool(self.act2(self.conv2(planes))), 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.above(self.below(images))


@pytest.mark.parametrize("positions", ["average", "pool"])
def test_channels_are_units_at_all_positions(positions: str) -> None:
    network = Convolutional().double()
    right = signed_similarities(
        batched(network.below),
        batched(network.above),
        tensors(IMAGES),
        CROSS_ENTROPIES,
        axis=0,
        positions=positions,
    )
    options: Any = {"layers": ["act1"], "units": {"act1": 1}, "positions": positions}
    assert_similar(similarity_matrices(network, IMAGES, CLASSES, **options)["act1"], right)
    single = similarity_matrices(deepcopy(network).float(), IMAGES.astype(np.float32), CLASSES, **options)["act1"]
    assert_similar(single, right, 1e-6)


class Residual(nn.Module):
    """In the layout of torchvision's ResNet: a block with a shortcut, a pooling, torch.flatten."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Softplus()
        self.layer1 = Block(4)
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.above(self.layer1(self.relu(self.bn1(self.conv1(images)))))

    def above(self, planes: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.flatten(self.avgpool(planes), 1))


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.act, self.conv2 = nn.Softplus(), nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        return torch.tanh(planes + self.conv2(self.act(self.bn1(self.conv1(planes)))))


@pytest.mark.parametrize("layer", ["layer1", "layer1.act", "avgpool"])
def test_channels_of_a_residual_network_are_units(layer: str) -> None:
    network = Residual().double().eval()
    network.bn1.running_mean.uniform_()
    start = lambda x: network.relu(network.bn1(network.conv1(x)))  # noqa: E731
    block = network.layer1
    inner = lambda planes: block.act(block.bn1(block.conv1(planes)))  # noqa: E731
    downs = None
    if layer == "layer1":
        up, down = lambda x: block(start(x)), network.above
    elif layer == "avgpool":
        up, down = lambda x: network.avgpool(block(start(x))), lambda h: network.fc(torch.flatten(h, 1))
    else:  # the shortcut goes around this layer
        up = lambda x: inner(start(x))  # noqa: E731
        down = network.above
        downs = [
            batched(lambda h, x=x: network.above(torch.tanh(start(x[None]).detach() + block.conv2(h))))
            for x in tensors(IMAGES)
        ]
    right = signed_similarities(batched(up), batched(down), tensors(IMAGES), CROSS_ENTROPIES, axis=0, downs=downs)
    found = similarity_matrices(network.train(), IMAGES, CLASSES, layers=[layer], units={layer: 1})
    assert_similar(found[layer], right)


def test_several_layers_are_measured_as_each_by_itself() -> None:
    network, units = Convolutional().double(), {"act1": 1, "conv2": 1, "act2": 1}
    options: Any = {"units": units, "positions": "pool"}
    together = similarity_matrices(network, IMAGES, CLASSES, layers=list(units), **options)
    for layer in units:
        alone = similarity_matrices(network, IMAGES, CLASSES, layers=[layer], units={layer: 1}, positions="pool")
        for name, matrix in alone[layer].items():
            np.testing.assert_allclose(together[layer][name], matrix, rtol=0, atol=1e-13 * matrix.max())


def test_one_pass_for_each_batch_serves_all_layers_and_measures() -> None:
    network, passes = Convolutional().double(), []
    options: Any = {"layers": ["act1", "conv2"], "units": {"act1": 1, "conv2": 1}, "positions": "pool"}
    similarity_matrices(network, IMAGES, CLASSES, **options)
    images = np.repeat(IMAGES, 40, axis=0)
    network.conv1.register_forward_hook(lambda module, given, output: passes.append(len(output)))
    similarity_matrices(network, images, np.repeat(CLASSES, 40), batch_size=50, **options)
    assert passes[-4:] == [50, 50, 50, 50]
    assert passes.count(50) == 4


@pytest.mark.parametrize("positions", ["average", "pool"])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_the_batch_size_makes_no_difference_but_of_rounding(batch_size: int, positions: Any) -> None:
    options: Any = {"layers": ["act1"], "units": {"act1": -3}, "positions": positions}
    network = Convolutional().double()
    usual = similarity_matrices(network, IMAGES, CLASSES, **options)["act1"]
    found = similarity_matrices(network, IMAGES, CLASSES, batch_size=batch_size, **options)["act1"]
    for name, matrix in usual.items():
        np.testing.assert_allclose(found[name], matrix, rtol=0, atol=1e-13 * matrix.max())


def test_as_many_inputs_go_together_as_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    network, lengths = Convolutional(), []
    network.conv2.register_forward_hook(lambda module, given, output: lengths.append(len(output)))
    options: Any = {"layers": ["act1"], "units": {"act1": 1}, "measures": ["output_gradient"]}
    images = np.repeat(IMAGES, 40, axis=0)
    largest = []
    for n_bytes in (1, 20_000, 200_000, 10**9):
        lengths.clear()
        monkeypatch.setattr(averages, "_BATCH_BYTES", n_bytes)
        similarity_matrices(network, images, **options)
        largest.append(lengths[-2])  # the last is what is left
    assert largest[0] == 1
    assert 4 < largest[1] < 20
    assert 9 * largest[1] < largest[2] < 12 * largest[1]
    assert lengths[-1] == 200


def test_spikes_at_positions_have_covariances_of_their_counts() -> None:
    class Spikes(nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return values > 0.1

    network = nn.Sequential(nn.Conv2d(1, 4, 3), Spikes())
    options: Any = {"layers": ["1"], "units": {"1": 1}, "positions": "pool"}
    found = similarity_matrices(network, IMAGES, measures=["input_covariance"], **options)["1"]["input_covariance"]
    shares = (network[0](torch.tensor(IMAGES, dtype=torch.float32)) > 0.1).double().mean(dim=(2, 3)).numpy()
    np.testing.assert_allclose(found, np.abs(np.cov(shares.T, bias=True)), atol=1e-15)
    refuse(r"must have activities that can be differentiated, got torch\.bool", network, IMAGES, **options)


def test_dead_and_constant_channels_are_exactly_zero() -> None:
    network = Convolutional()
    network.act1 = nn.ReLU()
    with torch.no_grad():
        network.conv1.bias.fill_(0.5)
        network.conv1.bias[1] = -100.0
        network.conv1.weight[2] = 0.0
        network.conv1.bias[2] = 0.1
        network.conv2.weight[:, 3] = 0.0
    for positions in ("average", "pool"):
        options: Any = {"layers": ["act1"], "units": {"act1": 1}, "positions": positions}
        found = similarity_matrices(network, IMAGES.astype(np.float32), CLASSES, **options)["act1"]
        for name in ("input_covariance", "input_covariance_norm", "input_gradient", "input_gradient_norm"):
            assert not found[name][[1, 2]].any(), name
            assert found[name][3, 3] > 0, name
        for name in ("output_gradient", "output_gradient_norm", "output_hessian", "output_hessian_norm"):
            assert not found[name][:, 3].any(), name
            assert found[name][1, 1] > 0, name


def test_means_over_positions_are_taken_in_double_precision() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(64, 3))
    with torch.no_grad():
        network[0].bias.fill_(1e4)
        activity = network[0](torch.tensor(IMAGES, dtype=torch.float32)).double().mean(dim=(2, 3)).numpy()
    found = similarity_matrices(
        network, IMAGES, layers=["0"], units={"0": 1}, positions="pool", measures=["input_covariance"]
    )
    np.testing.assert_allclose(found["0"]["input_covariance"], np.abs(np.cov(activity.T, bias=True)), rtol=1e-9)


# --- tokens ---

IDS = RANDOM.integers(0, 11, size=(5, 4))


class Attention(nn.Module):
    """Token ids, embeddings, two blocks of attention and a perceptron; the mean over tokens is read out."""

    def __init__(self, causal: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.blocks = nn.ModuleList([AttentionBlock(causal) for _ in range(2)])
        self.output = nn.Linear(6, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        tokens = self.embedding(ids)
        for block in self.blocks:
            tokens = block(tokens)
        return self.output(tokens.mean(dim=1))


class AttentionBlock(nn.Module):
    def __init__(self, causal: bool) -> None:
        super().__init__()
        self.keys, self.norm, self.causal = nn.Linear(6, 18), nn.LayerNorm(6), causal
        self.up, self.act, self.down = nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 6)

    def attended(self, tokens: torch.Tensor) -> torch.Tensor:
        heads = [part.unflatten(-1, (2, 3)).transpose(1, 2) for part in self.keys(self.norm(tokens)).chunk(3, dim=-1)]
        return tokens + functional.scaled_dot_product_attention(*heads, is_causal=self.causal).transpose(1, 2).flatten(
            2
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = self.attended(tokens)
        return tokens + self.down(self.act(self.up(tokens)))


@pytest.mark.parametrize("positions", ["average", "pool", 2, -1])
def test_units_of_a_transformer_on_token_ids_are_measured_from_its_embedding(positions: Any) -> None:
    network = Attention(causal=True).double()
    first, second = network.blocks
    embeddings = [network.embedding(torch.tensor(ids)).detach() for ids in IDS]

    def up(tokens: torch.Tensor) -> torch.Tensor:
        return second.act(second.up(second.attended(first(tokens))))

    downs = [
        batched(lambda h, x=x: network.output((second.attended(first(x[None])).detach() + second.down(h)).mean(dim=1)))
        for x in embeddings
    ]
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        right = signed_similarities(
            batched(up), downs[0], embeddings, CROSS_ENTROPIES, axis=1, positions=positions, downs=downs
        )
    found = similarity_matrices(
        network,
        IDS,
        CLASSES,
        layers=["blocks.1.act"],
        units={"blocks.1.act": 2},
        positions=positions,
        inputs_at="embedding",
    )
    assert_similar(found["blocks.1.act"], right)


def test_attention_after_a_layer_is_differentiated_twice() -> None:
    network = Attention().double()
    first, second = network.blocks
    embeddings = [network.embedding(torch.tensor(ids)).detach() for ids in IDS]

    def up(tokens: torch.Tensor) -> torch.Tensor:
        return first.act(first.up(first.attended(tokens)))

    downs = [
        batched(lambda h, x=x: network.output(second(first.attended(x[None]).detach() + first.down(h)).mean(dim=1)))
        for x in embeddings
    ]
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        right = signed_similarities(batched(up), downs[0], embeddings, CROSS_ENTROPIES, axis=1, downs=downs)
    options: Any = {"units": {"blocks.0.act": 2}, "inputs_at": "embedding"}
    found = similarity_matrices(network, IDS, CLASSES, layers="blocks.0.act", **options)
    assert_similar(found["blocks.0.act"], right)


@pytest.mark.parametrize("batch_first", [True, False])
def test_the_fast_path_of_transformer_layers_is_not_taken(batch_first: bool) -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.TransformerEncoderLayer(6, 2, 8, batch_first=batch_first, activation=nn.GELU())
            self.output = nn.Linear(6, 3)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            encoded = self.encoder(tokens if batch_first else tokens.transpose(0, 1))
            return self.output(encoded.mean(dim=1 if batch_first else 0))

    network, tokens = Encoder().double(), RANDOM.standard_normal((5, 4, 6))
    inner = network.encoder.eval()

    def attended(x: torch.Tensor) -> torch.Tensor:
        tokens = x if batch_first else x.transpose(0, 1)
        return inner.norm1(tokens + inner.self_attn(tokens, tokens, tokens)[0])

    def up(x: torch.Tensor) -> torch.Tensor:
        h = inner.linear1(attended(x))
        return (h if batch_first else h.transpose(0, 1))[0]

    def down(h: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        before = attended(x[None]).detach()
        hidden = h[None] if batch_first else h[:, None]
        encoded = inner.norm2(before + inner.linear2(functional.gelu(hidden)))
        return network.output(encoded.mean(dim=1 if batch_first else 0))[0]

    downs = [lambda h, x=x: down(h, x) for x in tensors(tokens)]
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        right = signed_similarities(
            lambda x: up(x[None]), downs[0], tensors(tokens), CROSS_ENTROPIES, axis=1, downs=downs
        )
    options: Any = {"layers": ["encoder.linear1"], "units": {"encoder.linear1": 2}}
    found = similarity_matrices(network, tokens, CLASSES, **options)["encoder.linear1"]
    assert_similar(found, right)
    alone = similarity_matrices(network, tokens, measures=["input_covariance"], **options)["encoder.linear1"]
    np.testing.assert_allclose(alone["input_covariance"], found["input_covariance"], atol=1e-14)
    assert torch.backends.mha.get_fastpath_enabled()


# --- time steps ---

SERIES = RANDOM.standard_normal((5, 4, 2))


class Recurrent(nn.Module):
    def __init__(self, kind: Any, *, batch_first: bool = True, within: bool = False) -> None:
        super().__init__()
        self.first, self.act = nn.Linear(2, 3), nn.Tanh()
        self.rnn, self.output = kind(3, 6, batch_first=batch_first), nn.Linear(6, 3)
        self.batch_first = batch_first

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        before = self.act(self.first(series))
        if self.batch_first:
            return self.output(self.rnn(before)[0][:, -1])
        return self.output(self.rnn(before.transpose(0, 1))[0][-1])


def step_by_step(rnn: Any, series: torch.Tensor) -> torch.Tensor:
    """The outputs of a recurrent layer for one input, (time, units), from its weights."""
    hidden = cell = torch.zeros(rnn.hidden_size, dtype=series.dtype)
    outputs = []
    for x in series:
        from_x = rnn.weight_ih_l0 @ x + rnn.bias_ih_l0
        from_h = rnn.weight_hh_l0 @ hidden + rnn.bias_hh_l0
        if isinstance(rnn, nn.GRU):
            reset, update, new = zip(from_x.chunk(3), from_h.chunk(3), strict=True)
            gate = torch.sigmoid(sum(update))
            hidden = gate * hidden + (1 - gate) * torch.tanh(new[0] + torch.sigmoid(sum(reset)) * new[1])
        elif isinstance(rnn, nn.LSTM):
            enter, forget, value, leave = (from_x + from_h).chunk(4)
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(value)
            hidden = torch.sigmoid(leave) * torch.tanh(cell)
        else:
            hidden = torch.tanh(from_x + from_h)
        outputs.append(hidden)
    return torch.stack(outputs)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
def test_the_last_step_of_a_recurrent_layer_is_a_layer(kind: Any, batch_first: bool) -> None:
    network = Recurrent(kind, batch_first=batch_first).double()
    right = signed_similarities(
        lambda x: step_by_step(network.rnn, torch.tanh(network.first(x))),
        lambda h: network.output(h[-1]),
        tensors(SERIES),
        CROSS_ENTROPIES,
        axis=1,
        positions=-1,
    )
    options: Any = {"layers": ["rnn"], "units": {"rnn": 2}, "positions": -1}
    assert_similar(similarity_matrices(network, SERIES, CLASSES, **options)["rnn"], right)


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
def test_a_layer_before_a_recurrent_one_is_differentiated_twice_through_it(kind: Any) -> None:
    network = Recurrent(kind).double()
    right = signed_similarities(
        lambda x: torch.tanh(network.first(x)),
        lambda h: network.output(step_by_step(network.rnn, h)[-1]),
        tensors(SERIES),
        CROSS_ENTROPIES,
        axis=1,
    )
    found = similarity_matrices(network, SERIES, CLASSES, layers=["act"], units={"act": 2})
    assert_similar(found["act"], right)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch sees no CUDA device")
@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
def test_recurrent_layers_are_measured_on_a_gpu_as_on_the_cpu(kind: Any) -> None:
    network, options = Recurrent(kind).double(), {"layers": ["act", "rnn"], "units": {"act": 2, "rnn": 2}}
    right: Any = similarity_matrices(network, SERIES, CLASSES, **options)  # type: ignore[arg-type]
    found: Any = similarity_matrices(network.cuda(), SERIES, CLASSES, **options)  # type: ignore[arg-type]
    for layer, by_measure in right.items():
        for name, matrix in by_measure.items():
            np.testing.assert_allclose(found[layer][name], matrix, rtol=0, atol=1e-10 * matrix.max())


# --- what cannot be ---


def refuse(message: str, network: nn.Module, inputs: np.ndarray, **options: Any) -> None:
    with pytest.raises(ValueError, match=message):
        similarity_matrices(network, inputs, CLASSES, **options)


def test_axes_of_units_that_are_not_there_are_refused_with_the_shape() -> None:
    network = Convolutional().double()
    options: Any = {"layers": ["act1"]}
    refuse(
        r"'act1' must have an output of shape \(inputs, units\), got \(inputs, 4, 4, 4\)\. .*units=\{'act1': 1\}",
        network,
        IMAGES,
        **options,
    )
    for axis in (0, 4, -4, -5):
        refuse(
            rf"units must name an axis .*'act1' other than that of the inputs, got {axis} for \(inputs, 4, 4, 4\)",
            network,
            IMAGES,
            units={"act1": axis},
            **options,
        )
    refuse(
        r"units must name layers .*, act1, got 'act'\. Did you mean 'act1'",
        network,
        IMAGES,
        units={"act": 1},
        **options,
    )
    refuse(r"units must be a whole number for layer 'act1', got 1\.0", network, IMAGES, units={"act1": 1.0}, **options)
    refuse(r"units must be a dict .*\{'act1': 1\}, got 1", network, IMAGES, units=1, **options)


def test_positions_that_are_not_there_are_refused() -> None:
    image: Any = {"layers": ["act1"], "units": {"act1": 1}}
    series: Any = {"layers": ["rnn"], "units": {"rnn": 2}}
    network, recurrent = Convolutional().double(), Recurrent(nn.GRU).double()
    refuse(
        r"positions must be 'average' or 'pool' for layer 'act1', which has 2 axes",
        network,
        IMAGES,
        positions=0,
        **image,
    )
    refuse(r"positions must lie in -4\.\.3 for layer 'rnn', .* got 4", recurrent, SERIES, positions=4, **series)
    refuse(r"positions must be .* got 'mean'", recurrent, SERIES, positions="mean", **series)
    refuse(r"positions must be .* got True", recurrent, SERIES, positions=True, **series)
    refuse(
        r"positions must be .* got 'averag'\. Did you mean 'average'", recurrent, SERIES, positions="averag", **series
    )
    refuse(
        "positions must be 'average' where no layer has positions", recurrent, SERIES, layers=["output"], positions=-1
    )


def test_a_state_that_is_read_in_place_of_the_outputs_is_told_before_the_work() -> None:
    class State(Recurrent):
        def forward(self, series: torch.Tensor) -> torch.Tensor:
            return self.output(self.rnn(self.act(self.first(series)))[1][-1])

    options: Any = {"layers": ["rnn"], "units": {"rnn": 2}, "positions": -1}
    network = State(nn.GRU).double()
    refuse(
        r"Of several tensors .* the state h_n of a recurrent layer can read output\[:, -1\]", network, SERIES, **options
    )
    assert similarity_matrices(network, SERIES, measures=["input_gradient"], **options)["rnn"]["input_gradient"].any()


def test_a_layer_without_an_axis_of_inputs_is_refused_with_both_shapes() -> None:
    class Flat(Recurrent):
        def forward(self, series: torch.Tensor) -> torch.Tensor:
            tokens = self.act(self.first(series.flatten(0, 1)))
            return self.output(self.rnn(tokens.view(-1, 4, 3))[0][:, -1])

    refuse(
        r"'act' must give a tensor with the inputs as an axis, got shape \(8, 3\) and shape \(12, 3\) for 2 and 3",
        Flat(nn.GRU).double(),
        SERIES,
        layers=["act"],
    )

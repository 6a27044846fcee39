"""Networks that are random in evaluation mode, that remember, or in which images meet are refused."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from modularity_lib.similarity import steadiness
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.similarity.surroundings import random_states

IMAGES = np.random.default_rng(0).uniform(size=(9, 8))
CLASSES = np.arange(9) % 3


class Network(nn.Module):
    """8-6-3 with something in its middle; its layer is "relu", and "aside" is not on the way to the logits."""

    def __init__(self, middle: Callable[[torch.Tensor], torch.Tensor], **parts: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.relu, self.aside, self.output = nn.Linear(8, 6), nn.ReLU(), nn.Tanh(), nn.Linear(6, 3)
        self.middle = middle
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.output(self.middle(self.relu(self.first(images))))


class Aside(Network):
    """What is special happens beside the logits."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        activity = self.relu(self.first(images))
        self.aside(self.middle(activity))
        return self.output(activity)


@pytest.fixture(autouse=True)
def _random_state() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        yield


def refuse(message: str, network: nn.Module, images: np.ndarray = IMAGES, layer: str = "relu") -> None:
    with pytest.raises(ValueError, match=message):
        similarity_matrices(network, images, CLASSES[: len(images)], layers=[layer])


class AlwaysOn(nn.Dropout):
    def train(self, mode: bool = True) -> "AlwaysOn":
        return super().train(True)


def memory() -> Callable[[torch.Tensor], torch.Tensor]:
    seen = torch.zeros(6)

    def middle(activity: torch.Tensor) -> torch.Tensor:
        seen.add_(activity.detach().mean(dim=0))
        return activity + 0.1 * seen

    return middle


def noise_of_its_own() -> Callable[[torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return lambda activity: activity * torch.rand(6, generator=generator)


@pytest.mark.parametrize(
    "middle",
    [
        lambda activity: nn.functional.dropout(activity, 0.5),
        lambda activity: nn.functional.dropout(activity, 0.02),  # hardly ever
        lambda activity: activity + 1e-5 * torch.randn_like(activity),
        lambda activity: activity * random.random(),
        lambda activity: activity + np.random.rand(),
        lambda activity: activity * (np.random.rand() > 0.1),
        lambda activity: activity * (torch.rand(()) > 0.1),
        lambda activity: nn.functional.gumbel_softmax(activity),
        AlwaysOn(0.3),
    ],
)
def test_a_network_that_draws_random_numbers_is_refused(middle: Callable[[torch.Tensor], torch.Tensor]) -> None:
    refuse(r"network must not be random in evaluation mode.*F\.dropout\(x, p, self\.training\)", Network(middle))
    refuse("network must not be random in evaluation mode", Aside(middle), layer="aside")


class Dropping(nn.Module):
    """A whole layer, or one of its images, is left out now and then, by a generator of its own."""

    def __init__(self, generator: Any, probability: float, *, one: bool = False) -> None:
        super().__init__()
        self.generator, self.probability, self.one = generator, probability, one

    def forward(self, activity: torch.Tensor) -> torch.Tensor:
        if isinstance(self.generator, torch.Generator):
            drawn = float(torch.rand((), generator=self.generator))
        else:
            drawn = self.generator.random()
        if drawn > self.probability:
            return activity
        return torch.cat([0 * activity[:1], activity[1:]]) if self.one else 0 * activity


@pytest.mark.parametrize("probability", [0.5, 0.1])
@pytest.mark.parametrize(
    "generator",
    [
        torch.Generator().manual_seed(0),
        np.random.default_rng(0),
        np.random.default_rng(np.random.MT19937(0)),
        random.Random(0),
        np.random.RandomState(0),
    ],
)
def test_layers_that_are_dropped_now_and_then_are_seen(generator: Any, probability: float) -> None:
    for one in (False, True):
        dropping = Dropping(generator, probability, one=one)
        network, aside = Network(dropping), Aside(dropping)
        start = random_states(network)
        refuse("it draws random numbers, and its outputs differ when it is run again", network)
        refuse("it draws random numbers, and the activities of layer 'aside' differ", aside, layer="aside")
        assert random_states(network) == start


def test_noise_whose_source_is_not_seen_and_memory_are_refused() -> None:
    noise = np.random.default_rng(0)
    unseen = [noise_of_its_own(), memory(), lambda activity: activity * (noise.random() > 0.3)]
    for unsteady in unseen:
        refuse("but its outputs differ: it is random, or remembers earlier inputs", Network(unsteady))
        refuse("but the activities of layer 'aside' differ", Aside(unsteady), layer="aside")


MEETINGS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "centred": lambda activity: activity - activity.mean(0),
    "faintly centred": lambda activity: activity - 1e-4 * activity.mean(0),
    "softmax over images": lambda activity: activity.softmax(0),
    "shifted": lambda activity: activity.roll(1, 0),
    "by position": lambda activity: activity + torch.arange(len(activity))[:, None],
    "scaled by the largest": lambda activity: activity / activity.abs().max(),
}


@pytest.mark.parametrize("name", MEETINGS)
def test_images_that_meet_are_refused(name: str) -> None:
    refuse(r"each input by itself, but its outputs of an input differ .*averaged over axis 0", Network(MEETINGS[name]))
    refuse("but the activities of layer 'aside' of an input differ", Aside(MEETINGS[name]), layer="aside")
    similarity_matrices(Aside(MEETINGS[name]), IMAGES, CLASSES, layers=["relu"])  # it touches nothing that is measured


def in_groups(activity: torch.Tensor) -> torch.Tensor:
    return torch.cat([part - part.mean(0) if len(part) == 8 else part for part in activity.split(8)])


LARGE_GROUPS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "only of ten": lambda activity: activity - activity.mean(0) if len(activity) > 10 else activity,
    "only of fifty": lambda activity: activity / (1 + activity.amax(0)) if len(activity) > 50 else activity,
    "groups of eight": in_groups,
    "a bank of 16": lambda activity: activity - activity[:16].mean(0) if len(activity) >= 16 else activity,
}


@pytest.mark.parametrize("name", LARGE_GROUPS)
def test_images_that_meet_in_large_groups_only_are_refused(name: str) -> None:
    many = np.random.default_rng(1).uniform(size=(70, 8))
    with pytest.raises(ValueError, match="each input by itself, but its outputs of an input differ"):
        similarity_matrices(Network(LARGE_GROUPS[name]), many, layers=["relu"], measures=["input_covariance"])


def test_few_inputs_are_differentiated_together_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    many = np.random.default_rng(1).uniform(size=(70, 8))
    lengths: dict[bool, list[int]] = {True: [], False: []}

    def middle(activity: torch.Tensor) -> torch.Tensor:
        lengths[torch.is_grad_enabled()].append(len(activity))
        return activity

    monkeypatch.setattr(steadiness, "_BYTES_DIFFERENTIATED", 1)
    wanted: Any = {"layers": ["relu"], "measures": ["output_gradient"], "batch_size": 1}
    similarity_matrices(Network(middle), many, **wanted)
    assert max(lengths[True]) == 3  # that are looked at before
    assert max(lengths[False]) == 64
    with pytest.raises(ValueError, match="each input by itself, but its outputs of an input differ"):
        similarity_matrices(Network(LARGE_GROUPS["only of fifty"]), many, **wanted)
    meeting = Network(by_a_hook_of_the_tensor(lambda gradient: gradient / (1 + gradient.norm())))
    with pytest.raises(ValueError, match="each input by itself, but the derivatives of its outputs"):
        similarity_matrices(meeting, many, **wanted)


class Backward(torch.autograd.Function):
    """Leaves the activity alone, and changes its derivative by a function."""

    @staticmethod
    def forward(context: Any, activity: torch.Tensor, change: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        context.change = change
        return activity.clone()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        return context.change(gradient), None


def by_a_hook_of_the_module(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    module = nn.Identity()
    module.register_full_backward_hook(lambda module, given, gradients: (change(gradients[0]),))
    return lambda activity: module(activity * 1)


def by_a_hook_of_the_tensor(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    def middle(activity: torch.Tensor) -> torch.Tensor:
        result = activity * 1
        result.register_hook(change)
        return result

    return middle


def by_a_function(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda activity: Backward.apply(activity, change)


BACKWARD = [by_a_hook_of_the_module, by_a_hook_of_the_tensor, by_a_function]


@pytest.mark.parametrize("way", BACKWARD)
def test_derivatives_that_are_random_or_meet_are_refused(way: Callable[..., Any]) -> None:
    noise = np.random.default_rng(0)
    for change, message in (
        (lambda gradient: gradient * torch.rand_like(gradient), "it draws random numbers, and the derivatives of"),
        (lambda gradient: gradient * noise.random(), "the same when it is run again, but the derivatives of"),
        (lambda gradient: gradient - gradient.mean(0), "by itself, but the derivatives of"),
        (lambda gradient: gradient / (1 + gradient.norm()), "by itself, but the derivatives of"),
    ):
        network = Network(way(change))
        for measure, what in (("output_gradient", "its outputs by layer 'relu'"), ("output_hessian", "its outputs")):
            with pytest.raises(ValueError, match=f"{message} {what}"):
                similarity_matrices(network, IMAGES, CLASSES, layers=["relu"], measures=[measure])
        similarity_matrices(network, IMAGES, layers=["relu"], measures=["input_covariance", "input_gradient"])
        beside = Aside(lambda activity: activity)
        beside.relu = nn.Sequential(nn.ReLU(), Applied(way(change)))
        with pytest.raises(ValueError, match=f"{message} layer 'aside' by an input"):
            similarity_matrices(beside, IMAGES, layers=["aside"], measures=["input_gradient"])


class Applied(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, activity: torch.Tensor) -> torch.Tensor:
        return self.function(activity)


@pytest.mark.parametrize("way", BACKWARD)
def test_derivatives_that_are_changed_image_by_image_are_measured(way: Callable[..., Any]) -> None:
    plain, halved = Network(lambda activity: activity), Network(way(lambda gradient: gradient / 2))
    wanted: Any = {"layers": ["relu"], "measures": ["output_gradient"]}
    expected = similarity_matrices(plain, IMAGES, **wanted)["relu"]["output_gradient"]
    np.testing.assert_allclose(similarity_matrices(halved, IMAGES, **wanted)["relu"]["output_gradient"], expected / 4)


class Tied(nn.Module):
    """The larger of two sums of the same numbers in another order: for an image of one grey, rounding decides."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.layer, self.output = nn.Linear(784, 40, bias=False), nn.Identity(), nn.Linear(20, 3)
        with torch.no_grad():
            self.first.weight[20:] = self.first.weight[:20].flip(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        sums = self.first(images)
        return self.output(self.layer(torch.maximum(sums[:, :20], sums[:, 20:])))


@pytest.mark.parametrize("grey", [-0.4242, 0.37])
def test_ties_that_rounding_decides_are_not_taken_for_images_that_meet(grey: float) -> None:
    images = np.full((20, 784), grey) * np.linspace(1, 2, 20)[:, None]
    found = similarity_matrices(Tied(), images, layers=["layer"], measures=["input_gradient", "output_gradient"])
    assert found["layer"]["input_gradient"].any()


@pytest.mark.parametrize("name", ["centred", "by position"])
def test_two_images_are_enough_and_so_is_one(name: str) -> None:
    for n_images in (1, 2):
        images = IMAGES[:n_images]
        if name == "centred" or n_images == 2:
            refuse("each input by itself", Network(MEETINGS[name]), images)


def test_layers_that_mix_images_are_refused_with_their_usual_causes() -> None:
    statistics = nn.BatchNorm1d(6, track_running_stats=False)
    refuse("track_running_stats=False", Network(statistics))
    attention = nn.MultiheadAttention(6, 2)
    refuse("attention runs over the inputs", Network(lambda activity: attention(activity, activity, activity)[0]))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_networks_that_double_precision_is_closed_to_are_looked_at_in_their_own() -> None:
    compiled = torch.jit.script(nn.Linear(6, 6))  # its weights stay in float32
    similarity_matrices(Network(compiled), IMAGES, CLASSES, layers=["relu"])
    refuse("each input by itself", Network(lambda activity: compiled(activity - activity.mean(0))))
    refuse("and its outputs differ", Network(lambda activity: compiled(activity * random.random())))


def fixed_noise(activity: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(3)
    return activity * torch.randn(6)


def unused_draw(activity: torch.Tensor) -> torch.Tensor:
    np.random.rand()
    random.random()
    skip = torch.rand(()) < 0.5 and not torch.is_grad_enabled()  # as wav2vec2 does in training mode only
    return 0 * activity if skip else activity


@pytest.mark.parametrize(
    "middle",
    [
        nn.BatchNorm1d(6),
        nn.Dropout(0.5),
        nn.LayerNorm(6),
        lambda activity: nn.functional.dropout(activity, 0.0),
        lambda activity: (activity + 1e6) - 1e6,  # loses all but two digits in float32
        lambda activity: (20 * activity).exp(),
        fixed_noise,
        unused_draw,
    ],
)
def test_networks_that_treat_each_image_by_itself_are_measured(middle: Callable[[torch.Tensor], torch.Tensor]) -> None:
    network = Network(middle).train()
    found = similarity_matrices(network, IMAGES.astype(np.float32), CLASSES, layers=["relu"])
    assert found["relu"]["output_hessian"].any()


class Counting(Network):
    def __init__(self) -> None:
        super().__init__(lambda activity: activity)
        self.register_buffer("passes", torch.zeros(()))
        self.register_buffer("latest", torch.zeros(6))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        self.latest = self.first(images)[0].detach()
        return super().forward(images)


def test_buffers_modes_and_random_states_are_left_as_they_were() -> None:
    network: Any = Counting().train()
    network.relu.eval()
    buffers = network.passes, network.latest
    states = torch.get_rng_state(), np.random.get_state()[1:3], random.getstate()
    similarity_matrices(network, IMAGES, CLASSES, layers=["relu"])
    refuse("random", Network(lambda activity: nn.functional.dropout(activity) * random.random() * np.random.rand()))
    assert network.passes is buffers[0]
    assert network.latest is buffers[1]
    assert not network.passes
    assert not network.latest.any()
    assert [name for name, module in network.named_modules() if not module.training] == ["relu"]
    assert not network.relu._forward_hooks
    np.testing.assert_equal(np.random.get_state()[1:3], states[1])
    assert random.getstate() == states[2]


def test_the_state_of_torch_is_left_as_it_was() -> None:
    network = Network(nn.Identity())
    before = torch.get_rng_state()
    similarity_matrices(network, IMAGES, CLASSES, layers=["relu"])
    network.middle = AlwaysOn(0.5)
    refuse("random", network)
    assert torch.equal(torch.get_rng_state(), before)

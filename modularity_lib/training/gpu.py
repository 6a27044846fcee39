"""Training on a GPU: networks of all runs side by side, every layer of all of them as one batched matrix product.

It is the training of training.py with other means: the same batches, initial parameters, dropout masks, protocols and
state, so that one can go on where the other stopped. The sums are taken in another order, so the results are equal to
the rounding of float32 and not to the bit; their keys are the same, as are those of two kinds of processors.

On CUDA a training step is recorded once as a CUDA graph and then replayed, because its some hundred small kernels take
less time than it takes to start them one by one. So within an epoch nothing may wait for the host, and whatever changes
from step to step is read from tables on the device, at a row that the device counts itself. On device "cpu" the same
code runs step by step; it is meant for tests, training.py is faster there.

Memory per network: parameters, two moments, the kept parameters, the gradient and three intermediate results of Adam,
each of 4 bytes times the length of the flat vector, and the images and activities of a batch. That is 4 MB for the
paper's network (784-64-64-10, batches of 200), besides 0.2 GB for the images: all networks of a study take 1.5 GB, and
some 25,000 would fit on an H200. Where not all fit, one batch of networks is trained after the other.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import numpy as np
import torch

from modularity_lib.images.dataset import Dataset, train_validation_split
from modularity_lib.training.compiled import ADAM_BETAS, ADAM_EPSILON, DROP_LEVELS, Layout
from modularity_lib.training.training import BATCH_ORDER_STREAM, TrainingState
from modularity_lib.vocabulary import some_of

EAGER_STEPS = 3  # before a step is recorded, so that libraries have loaded their kernels and found their memory
DROP_SHARE = 0.75  # networks that ended leave the batch once no more than this share of it still trains
USABLE_SHARE = 0.8  # of the free memory; the rest is for what libraries take, and for gaps
SAVE_SECONDS = 20.0  # between two calls of `save`

# As adam_step rounds them: 1 - 0.999 in float32 is 1.3e-5 of it off.
_ONE_MINUS_BETAS = tuple(float(np.float32(1) - np.float32(beta)) for beta in ADAM_BETAS)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # as in compiled.py, where the masks are defined
_MULTIPLIERS = (0xBF58476D1CE4E5B9 - (1 << 64), 0x94D049BB133111EB - (1 << 64))  # as signed numbers
_SIGN_BITS = 0x8000800080008000 - (1 << 64)  # of the four 16-bit parts of a 64-bit number


def device_named(name: str) -> torch.device:
    """Device of this name, one that is there.

    Raises:
        ValueError: the name is none, or torch does not see the device.

    >>> device_named("cpu")
    device(type='cpu')
    """
    kind, _, number = str(name).partition(":")
    if name != "cpu" and not (kind == "cuda" and (number.isdecimal() or name == "cuda")):
        raise ValueError(f"device must be 'cpu', 'cuda', or 'cuda:1' for the second GPU, got {name!r}.")
    if name == "cpu":
        return torch.device("cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns where it finds no driver; the error below says what there is
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    index = int(number or 0)
    if index >= count:
        build = f"for CUDA {torch.version.cuda}" if torch.version.cuda else "a CPU build"
        raise ValueError(
            f"device {name!r} is not there: PyTorch {torch.__version__} ({build}) sees {count} CUDA devices. Use the "
            "device 'cpu', or install a CUDA build of this version into .venv, as pytorch.org says."
        )
    return torch.device("cuda", index)


def device_title(device: torch.device) -> str:
    """What the device is, such as "NVIDIA H200"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def train_on_device(
    states: Sequence[TrainingState],
    dataset: Dataset,
    device: torch.device,
    *,
    progress: Callable[[int], object] | None = None,
    save: Callable[[Sequence[TrainingState]], object] | None = None,
    interval: float = SAVE_SECONDS,
) -> None:
    """Train networks to their end, in place: `training.finish` then gives the networks of each state.

    What is trained, and when it ends, is as in `training.train`. A network does not depend on those beside it, but for
    rounding, because a library chooses how it sums by the number of networks.

    Args:
        states: one or more of each run, begun by `training.start` or read from a checkpoint; each at its own epoch.
            They share hidden layers, protocol and batch size.
        dataset: that of the states.
        progress: called after each epoch with the number of networks that trained in it.
        save: called with states that are up to date: at the end of an epoch every `interval` seconds, and in the end.
        interval: seconds.
    Raises:
        ValueError: the states differ in hidden layers, protocol or batch size.
    """
    _check_alike(states)
    states = [state for state in states if state.training.any()]
    if not states:
        return
    with _set_up(device):
        images = _images_on(device, dataset, width=int(states[0].layout.width[-1]))
        for together in _that_fit(states, device):
            _train_together(together, dataset, images, progress=progress, save=save, interval=interval)


def _train_together(
    states: Sequence[TrainingState],
    dataset: Dataset,
    images: "_Images",
    *,
    progress: Callable[[int], object] | None,
    save: Callable[[Sequence[TrainingState]], object] | None,
    interval: float,
) -> None:
    batch: _Batch | None = _Batch(states, dataset, images)
    saved = time.monotonic()
    while batch is not None:
        n_training = _n_training(states)
        batch.advance()
        if progress is not None:
            progress(n_training)
        n_left = _n_training(states)
        is_time = time.monotonic() - saved > interval
        shrinks = n_left <= DROP_SHARE * batch.n_networks
        if is_time or shrinks:
            batch.fill_states()
        if save is not None and (is_time or n_left == 0):
            save(states)
            saved = time.monotonic()
        if shrinks:
            batch.close()
            batch = None  # its memory is free before the next takes some
            batch = _Batch(states, dataset, images) if n_left else None


def masks_on_device(
    step_keys: torch.Tensor, levels: torch.Tensor, factors: torch.Tensor, *, n_images: int, widths: Sequence[int]
) -> torch.Tensor:
    """Dropout masks of all hidden layers in one training step, bit for bit those of `dropout.dropout_mask`.

    Args:
        step_keys: (networks,), int64, see `step_keys_of`.
        levels, factors: (networks, 1, 1), int32 and float32, see `dropout.drop_arguments`.
        n_images: images in the batch.
        widths: units of each hidden layer, multiples of 4.
    Returns:
        Masks, shape (networks, n_images, sum of widths), float32, layer beside layer.
    """
    counters = _MaskCounters(n_images, widths, step_keys.device)
    return _masks(step_keys, levels, factors, counters)


def step_keys_of(keys: np.ndarray, steps: np.ndarray, device: torch.device) -> torch.Tensor:
    """Keys of the masks of some training steps, int64, in the shape of both arguments together.

    Args:
        keys: of networks, uint64, see `dropout.mask_key`.
        steps: numbers of training steps, from 1.
    """
    return _mix(_signed(keys + steps.astype(np.uint64) * _GOLDEN).to(device))


class _MaskCounters:
    """What the generators of the masks count: the same in every step.

    A number of 64 bits serves four units; here they are called a quad.
    """

    def __init__(self, n_images: int, widths: Sequence[int], device: torch.device) -> None:
        layers = np.arange(len(widths), dtype=np.uint64) << np.uint64(32)
        rows = (layers + np.arange(n_images, dtype=np.uint64)[:, None]) * _GOLDEN
        n_quads = np.array(widths) // 4
        quads = np.concatenate([np.arange(1, n + 1, dtype=np.uint64) for n in n_quads]) * _GOLDEN
        self.rows = _signed(rows).to(device)  # (images, layers)
        self.quads = _signed(quads).to(device)  # (quads of all layers,)
        self.layer_of_quad = torch.from_numpy(np.repeat(np.arange(len(widths)), n_quads)).to(device)


def _masks(
    step_keys: torch.Tensor, levels: torch.Tensor, factors: torch.Tensor, counters: _MaskCounters
) -> torch.Tensor:
    rows = _mix(step_keys[:, None, None] + counters.rows)  # (networks, images, layers)
    random = _mix(rows.index_select(2, counters.layer_of_quad) + counters.quads)
    # Parts of 16 bits, lowest first. They are signed here: with the sign bit turned they compare as unsigned ones do.
    parts = (random ^ _SIGN_BITS).view(torch.int16)
    return (parts >= levels - DROP_LEVELS // 2) * factors


def _mix(bits: torch.Tensor) -> torch.Tensor:
    """Function _mix of compiled.py in signed numbers: PyTorch has no products of unsigned ones."""
    bits = (bits ^ _shifted(bits, 30)) * _MULTIPLIERS[0]
    bits = (bits ^ _shifted(bits, 27)) * _MULTIPLIERS[1]
    return bits ^ _shifted(bits, 31)


def _shifted(bits: torch.Tensor, count: int) -> torch.Tensor:
    """Shift to the right; zeros come in from the left, not copies of the sign."""
    return (bits >> count) & ((1 << (64 - count)) - 1)


def _signed(bits: np.ndarray) -> torch.Tensor:
    """The same 64 bits, read as signed numbers."""
    return torch.from_numpy(np.ascontiguousarray(bits).view(np.int64))


class _Images(NamedTuple):
    """Training images of the dataset, for all runs, on the device."""

    pixels: torch.Tensor  # (images, pixels), float32
    one_hot: torch.Tensor  # (images, width of the logits, padding included), float32, 1 at the class of the image


def _images_on(device: torch.device, dataset: Dataset, *, width: int) -> _Images:
    one_hot = np.zeros((len(dataset.train_labels), width), dtype=np.float32)
    one_hot[np.arange(len(one_hot)), dataset.train_labels] = 1
    return _Images(torch.tensor(dataset.train_images, device=device), torch.tensor(one_hot, device=device))


class _Batch:
    """Networks that train side by side, on the device: those that train of some states, which stay on the host.

    First axis of the tensors: networks, those with dropout first, so that no masks are made for the others.
    """

    def __init__(self, states: Sequence[TrainingState], dataset: Dataset, images: _Images) -> None:
        device = images.pixels.device
        self._device, self._images = device, images
        self._states = [state for state in states if state.training.any()]
        self._config = self._states[0].configs[0]
        self._layout: Layout = self._states[0].layout
        places = [(s, int(n)) for s, state in enumerate(self._states) for n in np.flatnonzero(state.training)]
        places.sort(key=lambda place: self._states[place[0]].networks.drop_levels[place[1]] == 0)
        self._places = places  # number of the state and of the network in it
        self.n_networks = len(places)

        self._parameters, self._first_moments, self._second_moments = (
            torch.from_numpy(self._gathered(name)).to(device)
            for name in ("parameters", "first_moments", "second_moments")
        )
        self._kept = torch.from_numpy(np.stack([self._states[s].kept[n] for s, n in places])).to(device)
        self._gradient = torch.zeros_like(self._parameters)
        self._maps = _maps(self._parameters, self._layout)
        self._gradient_maps = _maps(self._gradient, self._layout)

        def column(name: str) -> torch.Tensor:
            values = self._gathered(name)
            return torch.from_numpy(values.astype(np.int32) if values.dtype == np.uint32 else values)[:, None, None]

        self._l1, self._double_l2 = column("l1").to(device), 2 * column("l2").to(device)
        self._factors = column("drop_factors").to(device)
        levels = column("drop_levels")
        self._n_dropping = int((levels > 0).sum())
        self._levels = levels[: self._n_dropping].to(device)
        self._has_l1 = bool(self._l1.any())

        splits = [train_validation_split(len(dataset.train_labels), seed=s.configs[0].run) for s in self._states]
        self._train_index = [train_index.astype(np.int32) for train_index, _ in splits]
        self._validation_index = torch.from_numpy(np.stack([index for _, index in splits])).to(device)
        self._state_of = torch.tensor([s for s, _ in places], device=device)
        self._n_images = len(self._train_index[0])
        self._batch_size = min(self._config.batch_size, self._n_images)
        self._n_steps = -(-self._n_images // self._batch_size)

        # Tables of an epoch, and the number of the step in it.
        n_states, n_steps = len(self._states), self._n_steps
        self._next_orders: np.ndarray | None = None
        self._orders = torch.zeros((n_states, n_steps, self._batch_size), dtype=torch.int32, device=device)
        self._rates = torch.zeros((n_steps, self.n_networks), device=device)
        self._epsilons = torch.zeros((n_steps, self.n_networks), device=device)
        self._step_keys = torch.zeros((n_steps, self._n_dropping), dtype=torch.int64, device=device)
        self._at = torch.zeros(1, dtype=torch.int64, device=device)
        self._steps = {
            size: _Recorded(self._step_on(size), device)
            for size in {self._batch_size, self._n_images - (n_steps - 1) * self._batch_size}
        }

    def advance(self) -> None:
        """Train for one more epoch, and decide for each network whether it goes on: `training.advance` for all."""
        self._write_tables(self._next_orders if self._next_orders is not None else self._orders_after(0))
        for first in range(0, self._n_images, self._batch_size):
            self._steps[min(self._batch_size, self._n_images - first)]()
        self._next_orders = self._orders_after(1)  # while the device is at work
        losses = self._validation_losses() if self._config.protocol == "final" else None
        is_finite = torch.stack([torch.isfinite(moments).all(dim=1) for moments in self._all_that_must_be_finite()])
        keep = self._decide(is_finite.all(dim=0).cpu().numpy(), None if losses is None else losses.cpu().numpy())
        keep_column = torch.from_numpy(keep).to(self._device)[:, None]
        torch.where(keep_column, self._parameters, self._kept, out=self._kept)

    def fill_states(self) -> None:
        """Copy what the device has to the states."""
        tensors = {"first_moments": self._first_moments, "second_moments": self._second_moments}
        for name, tensor in {**tensors, "parameters": self._parameters}.items():
            for (s, n), row in zip(self._places, tensor.cpu().numpy(), strict=True):
                getattr(self._states[s].networks, name)[n] = row
        for (s, n), row in zip(self._places, self._kept.cpu().numpy(), strict=True):
            self._states[s].kept[n] = row

    def close(self) -> None:
        """Forget the recorded steps: they and the batch hold each other, and so the memory of both."""
        self._steps.clear()

    def _gathered(self, name: str) -> np.ndarray:
        """One of the arrays of `compiled.Networks`, of the networks of this batch."""
        return np.stack([getattr(self._states[s].networks, name)[n] for s, n in self._places])

    def _all_that_must_be_finite(self) -> tuple[torch.Tensor, ...]:
        return self._parameters, self._first_moments, self._second_moments

    def _orders_after(self, epochs: int) -> np.ndarray:
        """Images in the order of the epoch that comes after so many more, (states, steps * batch), int32."""
        orders = np.zeros((len(self._states), self._n_steps * self._batch_size), dtype=np.int32)
        permutations: dict[tuple[int, int], np.ndarray] = {}
        for state, train_index, order in zip(self._states, self._train_index, orders, strict=True):
            key = (state.configs[0].run, state.epoch + epochs)
            if key not in permutations:
                random = np.random.default_rng([key[0], BATCH_ORDER_STREAM, key[1]])
                permutations[key] = random.permutation(self._n_images)
            order[: self._n_images] = train_index[permutations[key]]
        return orders

    def _write_tables(self, orders: np.ndarray) -> None:
        """Set the tables to those of the next epoch."""
        self._orders.copy_(torch.from_numpy(orders).view(self._orders.shape))

        first_steps = np.array([self._states[s].epoch * self._n_steps for s, _ in self._places])
        steps = first_steps + np.arange(1, self._n_steps + 1)[:, None]  # (steps, networks)
        # Adam divides the moments by 1 - beta^step; here that is in the learning rate and in epsilon.
        roots = np.sqrt(1 - ADAM_BETAS[1] ** steps)
        rates = self._gathered("learning_rates") * roots / (1 - ADAM_BETAS[0] ** steps)
        is_training = np.array([self._states[s].training[n] for s, n in self._places])
        self._rates.copy_(torch.from_numpy(np.where(is_training, rates, 0)))  # at rate 0 a network stays as it is
        self._epsilons.copy_(torch.from_numpy(ADAM_EPSILON * roots))
        dropping = slice(self._n_dropping)
        keys = step_keys_of(self._gathered("mask_keys")[dropping], steps[:, dropping], self._device)
        self._step_keys.copy_(keys)
        self._at.zero_()

    def _step_on(self, n_images: int) -> Callable[[], None]:
        """A training step on so many images. It only reads and writes tensors that stay where they are."""
        widths = self._layout.width[:-1].tolist()
        counters = _MaskCounters(n_images, widths, self._device)

        def step() -> None:
            of_states = self._orders.index_select(1, self._at)[:, 0, :n_images]
            index = of_states.index_select(0, self._state_of)
            masks = None
            if self._n_dropping:
                keys = self._step_keys.index_select(0, self._at)[0]
                masks = _masks(keys, self._levels, self._factors[: self._n_dropping], counters)
            self._gradients(self._activities(index, masks), index)
            self._adam()
            self._at.add_(1)

        return step

    def _activities(self, index: torch.Tensor, masks: torch.Tensor | None) -> list[torch.Tensor]:
        """Activity of every layer from the pixels to the logits, each (networks, images, units).

        Args:
            index: (networks, images), which training images each network sees.
            masks: of the networks with dropout, see `masks_on_device`; None: without dropout.
        """
        # Every network gets a copy of its images, also those of one run. To share them, each run needs a product of its
        # own, too small to keep a large GPU busy; the copies take a tenth of a step.
        activities = [_rows_of(self._images.pixels, index)]
        first_unit = 0
        for weights, biases in self._maps[:-1]:
            activity = torch.baddbmm(biases, activities[-1], weights).relu_()
            if masks is not None:
                activity[: self._n_dropping].mul_(masks[:, :, first_unit : first_unit + activity.shape[2]])
                first_unit += activity.shape[2]
            activities.append(activity)
        weights, biases = self._maps[-1]
        activities.append(torch.baddbmm(biases, activities[-1], weights))
        activities[-1][:, :, int(self._layout.sizes[-1]) :].fill_(-math.inf)  # padding is no class
        return activities

    def _gradients(self, activities: list[torch.Tensor], index: torch.Tensor) -> None:
        """Set the gradient to that of the mean cross-entropy."""
        delta = torch.softmax(activities[-1], dim=2).sub_(_rows_of(self._images.one_hot, index)).div_(index.shape[1])
        for layer in range(len(self._maps) - 1, -1, -1):
            weight_gradient, bias_gradient = self._gradient_maps[layer]
            torch.bmm(activities[layer].transpose(1, 2), delta, out=weight_gradient)
            torch.sum(delta, dim=1, keepdim=True, out=bias_gradient)
            if layer > 0:
                delta = torch.bmm(delta, self._maps[layer][0].transpose(1, 2))
                delta.mul_(self._factors).mul_(activities[layer] > 0)

    def _adam(self) -> None:
        """Add the slopes of the penalties to the weights' gradient, and take a step: `compiled.adam_step`."""
        for (weights, _), (gradient, _) in zip(self._maps, self._gradient_maps, strict=True):
            gradient.addcmul_(weights, self._double_l2)
            if self._has_l1:
                gradient.addcmul_(weights.sign(), self._l1)
        rates, epsilons = (table.index_select(0, self._at).T for table in (self._rates, self._epsilons))
        self._first_moments.lerp_(self._gradient, _ONE_MINUS_BETAS[0])
        self._second_moments.mul_(ADAM_BETAS[1])
        self._second_moments.addcmul_(self._gradient, self._gradient, value=_ONE_MINUS_BETAS[1])
        roots = self._second_moments.sqrt().add_(epsilons)
        self._parameters.addcdiv_(self._first_moments * rates, roots, value=-1)

    def _validation_losses(self) -> torch.Tensor:
        """Mean cross-entropy on the validation images, in nats, float64, for each network."""
        total = torch.zeros(self.n_networks, dtype=torch.float64, device=self._device)
        n_images = self._validation_index.shape[1]
        for first in range(0, n_images, self._batch_size):
            index = self._validation_index[:, first : first + self._batch_size].index_select(0, self._state_of)
            logits = self._activities(index, None)[-1].double()
            is_label = _rows_of(self._images.one_hot, index) > 0
            total += (torch.logsumexp(logits, dim=2) - logits.masked_fill(~is_label, 0).sum(dim=2)).sum(dim=1)
        return total / n_images

    def _decide(self, is_finite: np.ndarray, losses: np.ndarray | None) -> np.ndarray:
        """Settle the epoch for each network that trained. Returns whose parameters are to be kept: (networks,)."""
        keep = np.zeros(self.n_networks, dtype=bool)
        trained = [bool(self._states[s].training[n]) for s, n in self._places]
        for state in self._states:
            state.epoch += bool(state.training.any())
        for row, (s, n) in enumerate(self._places):
            if trained[row]:
                loss = None if losses is None else float(losses[row])
                keep[row] = self._states[s].settle(n, is_finite=bool(is_finite[row]), loss=loss)
        return keep


class _Recorded:
    """A function of tensors that stay in place; on CUDA it is recorded as a graph after some calls, and replayed."""

    def __init__(self, function: Callable[[], None], device: torch.device) -> None:
        self._function = function
        self._calls_before_recording = EAGER_STEPS if device.type == "cuda" else math.inf
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        if self._calls_before_recording > 0:
            self._calls_before_recording -= 1
            self._function()
            return
        if self._graph is None:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):  # this computes nothing
                self._function()
        self._graph.replay()


def _maps(flat: torch.Tensor, layout: Layout) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Weights (networks, fan-in, width) and biases (networks, 1, width) of every linear map, as views."""
    bounds = zip(layout.starts[:-1].tolist(), layout.starts[1:].tolist(), layout.width.tolist(), strict=True)
    maps = [flat[:, start:stop].unflatten(1, (-1, width)) for start, stop, width in bounds]
    return [(rows[:, :-1], rows[:, -1:]) for rows in maps]


def _rows_of(matrix: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Rows of a matrix, in the shape of the index and one axis more."""
    return matrix.index_select(0, index.flatten()).unflatten(0, index.shape)


def _n_training(states: Sequence[TrainingState]) -> int:
    return sum(int(state.training.sum()) for state in states)


def _check_alike(states: Sequence[TrainingState]) -> None:
    for name in ("hidden", "protocol", "batch_size"):
        values = sorted({getattr(config, name) for state in states for config in state.configs})
        if len(values) > 1:
            raise ValueError(
                f"states must share one {name}, got {some_of(map(repr, values))}. Train them one after the other."
            )


def bytes_per_network(layout: Layout, batch_size: int) -> int:
    """About how much memory on the device one network takes in training.

    >>> from modularity_lib.training.layout import layout_of
    >>> round(bytes_per_network(layout_of((784, 64, 64, 10)), 200) / 1e6)
    4
    """
    hidden = int(layout.width[:-1].sum())
    per_image = 2 * int(layout.fan_in[0]) + 8 * (hidden + int(layout.width[-1]))  # images, activities, masks, deltas
    return 4 * (8 * int(layout.starts[-1]) + batch_size * per_image)


def _that_fit(states: Sequence[TrainingState], device: torch.device) -> list[list[TrainingState]]:
    """The states in batches that fit into the memory of the device; a state stays whole."""
    most = _usable_bytes(device) / bytes_per_network(states[0].layout, states[0].configs[0].batch_size)
    batches: list[list[TrainingState]] = [[]]
    for state in states:
        if batches[-1] and _n_training([*batches[-1], state]) > most:
            batches.append([])
        batches[-1].append(state)
    return batches


def _usable_bytes(device: torch.device) -> float:
    return USABLE_SHARE * torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else math.inf


@contextmanager
def _set_up(device: torch.device) -> Iterator[None]:
    """Work on this device, with products in float32 throughout (TF32 would keep 10 bits of a number's 23)."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            yield
    finally:
        torch.set_float32_matmul_precision(before)
        if device.type == "cuda":
            torch.cuda.empty_cache()  # to measure the networks takes long and needs no GPU

"""Trains networks: several of one run side by side, on the same batches, with different regularisation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from modularity_lib.images.dataset import Dataset, train_validation_split
from modularity_lib.training.arguments import checked_training
from modularity_lib.training.compiled import Layout, Networks, SparseImages, Workspace, mean_cross_entropy, train_epoch
from modularity_lib.training.config import Plateau, TrainingConfig
from modularity_lib.training.layout import (
    aligned_zeros,
    drop_arguments,
    layout_of,
    mask_key,
    pack,
    sparse_images,
    unpack,
    workspace_of,
)
from modularity_lib.training.networks import Parameters, initial_parameters
from modularity_lib.training.subnormal import subnormals_as_zero
from modularity_lib.vocabulary import Status, some_of

BATCH_ORDER_STREAM = 2  # keeps this draw apart from the others of a run (see networks.py, images/dataset.py)
_SHARED_FIELDS = ("run", "hidden", "protocol", "batch_size")


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network at the end of its training, and how that went."""

    config: TrainingConfig
    parameters: Parameters
    epochs: int  # epochs trained
    validation_loss: float  # mean cross-entropy of these parameters on the validation images, in nats, no penalties
    status: Status  # "ok" or "diverged"
    reason: str  # why it diverged; "" if it did not


@dataclass
class TrainingState:
    """All that changes while networks of one run are trained. First axis of every array: networks, as in `configs`."""

    configs: tuple[TrainingConfig, ...]
    layout: Layout
    networks: Networks  # parameters, moments and step sizes of Adam, regularisation
    epoch: int  # epochs trained by those that still train
    epochs: np.ndarray  # int64, epochs trained by each
    training: np.ndarray  # bool, neither finished nor diverged
    kept: np.ndarray  # float32, parameters to return: v1 the latest, final those of the lowest validation loss
    plateaus: list[Plateau]  # final protocol
    reasons: list[str]  # why a network diverged

    def settle(self, network: int, *, is_finite: bool, loss: float | None) -> bool:
        """Decide, at the end of an epoch, whether a network goes on, and at which learning rate.

        Args:
            network: one that trained in this epoch, which `epoch` counts already.
            is_finite: whether its parameters and the moments of Adam are.
            loss: on the validation images; None: protocol v1, which does not look at it.
        Returns:
            Whether its parameters are to be kept: the latest under v1, under "final" those of the lowest loss so far.
        """
        self.epochs[network] = self.epoch
        if not is_finite:
            self.training[network] = False
            self.reasons[network] = f"weights or moments of Adam were not finite after epoch {self.epoch}"
            return False
        self.training[network] = self.epoch < self.configs[network].epochs
        if loss is None:
            return True
        rates = self.networks.learning_rates
        plateau, rates[network] = self.plateaus[network].after(loss, rates[network])
        self.plateaus[network] = plateau
        self.training[network] &= not plateau.stops
        return plateau.epochs_since_lowest == 0


class RunImages(NamedTuple):
    """Images that the networks of one run train on and validate on."""

    train: SparseImages
    train_labels: np.ndarray
    validation: SparseImages
    validation_labels: np.ndarray


def train(
    configs: Sequence[TrainingConfig], dataset: Dataset, *, progress: Callable[[int], object] | None = None
) -> list[TrainedNetwork]:
    """Train the networks of one run: they share the split, the initial parameters and the order of the batches.

    Protocol "v1" trains for exactly `epochs` epochs and returns the last parameters. Protocol "final" multiplies the
    learning rate by 0.25 when the validation loss has not fallen for more than 3 epochs (ReduceLROnPlateau), stops when
    it has been above its lowest value for 6, and returns the parameters of that lowest value. The validation loss is
    the mean cross-entropy, without penalties and without dropout.

    A network depends on its own config alone, to the last bit, not on those beside it. It takes one thread.

    Args:
        configs: networks of one run, hidden layers, protocol and batch size, with any regularisation.
        dataset: images; a tenth of the training images is set aside for validation.
        progress: called after each epoch with the number of networks that trained in it, as `tqdm.update` wants it.
    Returns:
        The networks, in the order of configs. One whose parameters or moments (Adam) became infinite or NaN has status
        "diverged", and the parameters of the last epoch before; the others are not affected.
    Raises:
        ValueError: an argument is of another kind; configs is empty, or mixes runs, hidden layers, protocols or batch
            sizes.
    Source: Lange et al. (2022), Methods.
    """
    configs, dataset = checked_training(configs, dataset, progress)
    return trained(configs, dataset, progress=progress)


def trained(
    configs: Sequence[TrainingConfig], dataset: Dataset, *, progress: Callable[[int], object] | None = None
) -> list[TrainedNetwork]:
    """`train` after the look at what it is given: here the code begins that decides the numbers."""
    state = start(configs, dataset)
    # Untrained networks come in hundreds, each a run of its own: they are spared the images they never see.
    images = images_of_run(dataset, run=configs[0].run, validation_only=not state.training.any())
    while state.training.any():
        n_training = int(state.training.sum())
        advance(state, images)
        if progress is not None:
            progress(n_training)
    return finish(state, images)


def start(configs: Sequence[TrainingConfig], dataset: Dataset) -> TrainingState:
    """Begin to train networks: the state before the first epoch. Raises as `train` does."""
    _check_one_run(configs)
    n_classes = int(max(dataset.train_labels.max(), dataset.test_labels.max())) + 1
    sizes = (dataset.train_images.shape[1], *configs[0].hidden, n_classes)
    layout = layout_of(sizes)
    initial = pack(initial_parameters(sizes, seed=configs[0].run), layout)
    n_networks = len(configs)
    levels, factors = zip(*(drop_arguments(config.dropout) for config in configs), strict=True)
    networks = Networks(
        parameters=aligned_zeros((n_networks, len(initial))),
        first_moments=aligned_zeros((n_networks, len(initial))),
        second_moments=aligned_zeros((n_networks, len(initial))),
        learning_rates=np.array([config.learning_rate for config in configs], dtype=np.float64),
        l1=np.array([config.l1 for config in configs], dtype=np.float32),
        l2=np.array([config.l2 for config in configs], dtype=np.float32),
        drop_levels=np.array(levels, dtype=np.uint32),
        drop_factors=np.array(factors, dtype=np.float32),
        mask_keys=np.array([mask_key_of(config) for config in configs], dtype=np.uint64),
    )
    networks.parameters[:] = initial
    return TrainingState(
        configs=tuple(configs),
        layout=layout,
        networks=networks,
        epoch=0,
        epochs=np.zeros(n_networks, dtype=np.int64),
        training=np.array([config.epochs > 0 for config in configs]),
        kept=networks.parameters.copy(),
        plateaus=[Plateau()] * n_networks,
        reasons=[""] * n_networks,
    )


def images_of_run(dataset: Dataset, *, run: int, validation_only: bool = False) -> RunImages:
    """Images that the networks of a run train on (none if validation_only) and validate on."""
    train_index, validation_index = train_validation_split(len(dataset.train_labels), seed=run)
    if validation_only:
        train_index = train_index[:0]
    return RunImages(
        train=sparse_images(dataset.train_images, train_index),
        train_labels=dataset.train_labels[train_index],
        validation=sparse_images(dataset.train_images, validation_index),
        validation_labels=dataset.train_labels[validation_index],
    )


def mask_key_of(config: TrainingConfig) -> np.uint64:
    """Key of the dropout masks of a network, for `layout.dropout_mask`; it depends on its run and regularisation."""
    return mask_key(config.run, *config.hidden, config.l2, config.l1, config.dropout)


def advance(state: TrainingState, images: RunImages) -> None:
    """Train for one more epoch, in place, and decide for each network whether it goes on."""
    config = state.configs[0]
    order = np.random.default_rng([config.run, BATCH_ORDER_STREAM, state.epoch]).permutation(len(images.train_labels))
    steps_done = state.epoch * -(-len(order) // config.batch_size)
    workspace = workspace_of(state.layout, min(config.batch_size, len(order)))
    trained = np.flatnonzero(state.training).tolist()
    with subnormals_as_zero():
        train_epoch(
            images.train,
            images.train_labels,
            order,
            config.batch_size,
            steps_done,
            state.layout,
            state.networks,
            state.training,
            workspace,
        )
    state.epoch += 1
    for network in trained:
        parameters, loss = state.networks.parameters[network], None
        is_finite = _is_finite(state.networks, network)
        if is_finite and config.protocol == "final":
            loss = _validation_loss(parameters, state.layout, images, workspace)
        if state.settle(network, is_finite=is_finite, loss=loss):
            state.kept[network] = parameters


def _validation_loss(parameters: np.ndarray, layout: Layout, images: RunImages, workspace: Workspace) -> float:
    with subnormals_as_zero():
        return mean_cross_entropy(images.validation, images.validation_labels, layout, parameters, workspace)


def _check_one_run(configs: Sequence[TrainingConfig]) -> None:
    if not configs:
        raise ValueError("configs is empty: give at least one TrainingConfig.")
    for name in _SHARED_FIELDS:
        values = sorted({getattr(config, name) for config in configs})
        if len(values) > 1:
            raise ValueError(
                f"configs must share one {name}, got {some_of(map(repr, values))}. Networks trained together differ "
                "in regularisation only: call train once for each."
            )


def finish(state: TrainingState, images: RunImages) -> list[TrainedNetwork]:
    """The networks of a training that has ended, in the order of its configs."""
    return [_trained_network(state, network, images) for network in range(len(state.configs))]


def _is_finite(networks: Networks, network: int) -> bool:
    arrays = (networks.parameters, networks.first_moments, networks.second_moments)
    return all(np.isfinite(array[network]).all() for array in arrays)


def _trained_network(state: TrainingState, network: int, images: RunImages) -> TrainedNetwork:
    kept, reason = state.kept[network], state.reasons[network]
    return TrainedNetwork(
        config=state.configs[network],
        parameters=unpack(kept, state.layout),
        epochs=int(state.epochs[network]),
        validation_loss=_validation_loss(kept, state.layout, images, workspace_of(state.layout, 1)),
        status="diverged" if reason else "ok",
        reason=reason,
    )

"""How long one training step of one network takes, beside a plain PyTorch loop and beside the matrix products alone.

    OPENBLAS_NUM_THREADS=1 python benchmarks/training.py [--json FOLDER] [--repeats 15] [--smallest] [--profile]

The paper's network and batches (784-64-64-10, 200 images), one thread. Everything is timed in turn in one run; a row is
the median over repeats of an epoch on the digits that the project ships. "Matrix products" are the eight of a step
(three forwards, three for the weights, two backwards) on full matrices and nothing else, for eight networks at once; a
step counts 46 MFLOP, whoever does it, although ours skips what is multiplied by 0. Products by numpy are timed only if
the environment holds its BLAS to one thread, as above.

Where PyTorch sees a CUDA device, one more row: all networks of the study v1 side by side on it, on as many images as
MNIST has (the digits that the project ships, over and over), and how long the study would train.
"""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

import numpy as np
import torch

from measuring import keep, machine, medians_of, options, show
from modularity_lib.images.dataset import Dataset, load_dataset
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.training.compiled import NETWORKS_PER_PASS, adam_step, loss_gradient, sort_by_pixel
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.gpu import device_title, train_on_device
from modularity_lib.training.layout import workspace_of
from modularity_lib.training.networks import MLP
from modularity_lib.training.training import advance, images_of_run, start

SIZES = (784, 64, 64, 10)
BATCH = 200
V1 = STUDIES["v1"]
N_IN_PRODUCTS = 8  # networks whose products are timed together
_FORWARD = sum(fan_in * fan_out for fan_in, fan_out in pairwise(SIZES))
FLOP = 2 * BATCH * (3 * _FORWARD - SIZES[0] * SIZES[1])  # of one step of one network
CONFIGS = [
    *(TrainingConfig(l2=10.0**exponent) for exponent in (-5, -4, -3, -2)),
    *(TrainingConfig(l1=10.0**exponent) for exponent in (-5, -4, -3, -2)),
    *(TrainingConfig(dropout=dropout) for dropout in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.05)),
]


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    ms_per_network_step: float
    network_epochs_per_second: float
    gflop_per_second: float
    times_plain_loop: float
    share_of_products_rate: float


def main() -> None:
    """Print the table."""
    arguments = options(__doc__, repeats=15, profile="also time the parts of a step")
    torch.set_num_threads(1)
    digits = load_dataset("mnist-5k")
    rows = rows_of(digits, arguments.repeats)
    if torch.cuda.is_available():
        rows.append(device_row(digits, torch.device("cuda", 0), plain=rows[0], fastest=fastest_products(rows)))
    show(f"{'-'.join(map(str, SIZES))}, batches of {BATCH}, one thread, {machine()}", list(map(asdict, rows)))
    if torch.cuda.is_available():
        networks = len(V1.trained_configs())
        minutes = networks * V1.epochs / rows[-1].network_epochs_per_second / 60
        print(f"so v1, {networks} networks of {V1.epochs} epochs, trains in {minutes:.1f} minutes")
    if arguments.profile:
        show("parts of a step", [{"part": part, "ms": ms} for part, ms in profile(digits, arguments.repeats).items()])
    keep([asdict(row) for row in rows], arguments.json, name="training")


def rows_of(digits: Dataset, repeats: int) -> list[Row]:
    """Time everything in turn; steps per epoch are those of the paper's 54,000 images."""
    noise = np.random.default_rng(0).random(digits.train_images.shape, dtype=np.float32) + np.float32(0.1)
    dense = replace(digits, train_images=noise)
    n_steps = len(images_of_run(digits, run=0).train_labels) // BATCH
    timed: dict[str, tuple[Callable[[], object], int]] = {
        "plain PyTorch loop": (plain_loop(digits), n_steps),
        "matrix products, torch": (products(torch_products), N_IN_PRODUCTS),
        **{f"side by side, {n}": (side_by_side(digits, CONFIGS[-n:]), n * n_steps) for n in (1, 2, 4, 8, 16)},
        "side by side, 8, no pixel 0": (side_by_side(dense, CONFIGS[-8:]), 8 * n_steps),
    }
    if "1" in (os.environ.get("OPENBLAS_NUM_THREADS"), os.environ.get("OMP_NUM_THREADS")):
        timed["matrix products, numpy"] = (products(numpy_products), N_IN_PRODUCTS)
    medians = dict(zip(timed, medians_of([function for function, _ in timed.values()], repeats), strict=True))
    ms = {what: 1000 * seconds / timed[what][1] for what, seconds in medians.items()}
    plain, products_ms = ms["plain PyTorch loop"], [value for what, value in ms.items() if what.startswith("matrix")]
    return [row_of(what, value, plain=plain, fastest=min(products_ms)) for what, value in ms.items()]


def row_of(what: str, ms: float, *, plain: float, fastest: float) -> Row:
    """Row of something that takes so many milliseconds per step of one network."""
    return Row(
        what=what,
        ms_per_network_step=ms,
        network_epochs_per_second=1000 / (ms * 54_000 / BATCH),
        gflop_per_second=FLOP / ms / 1e6,
        times_plain_loop=plain / ms,
        share_of_products_rate=fastest / ms,
    )


def fastest_products(rows: list[Row]) -> float:
    """Milliseconds of the fastest matrix products."""
    return min(row.ms_per_network_step for row in rows if row.what.startswith("matrix"))


def device_row(digits: Dataset, device: torch.device, *, plain: Row, fastest: float, copies: int = 15) -> Row:
    """All networks of v1 side by side on a device: median of five epochs, after two in which steps are recorded.

    Args:
        copies: how often the training images are repeated; 15 makes MNIST's 60,000.
    """
    many = replace(
        digits,
        train_images=np.tile(digits.train_images, (copies, 1)),
        train_labels=np.tile(digits.train_labels, copies),
    )
    configs = [replace(config, epochs=7) for config in V1.trained_configs()]
    states = [start([config for config in configs if config.run == run], many) for run in range(V1.runs)]
    ends: list[float] = []
    train_on_device(states, many, device, progress=lambda _: ends.append(time.perf_counter()))
    seconds = statistics.median(after - before for before, after in pairwise(ends[1:]))
    n_steps = -(-len(images_of_run(many, run=0).train_labels) // BATCH)
    ms = 1000 * seconds / (len(configs) * n_steps)
    what = f"all networks of v1 on {device_title(device)}"
    return row_of(what, ms, plain=plain.ms_per_network_step, fastest=fastest)


def side_by_side(dataset: Dataset, configs: list[TrainingConfig]) -> Callable[[], object]:
    """One epoch of networks trained by this project."""
    state, images = start(configs, dataset), images_of_run(dataset, run=0)
    return lambda: advance(state, images)


def plain_loop(dataset: Dataset) -> Callable[[], object]:
    """One epoch of one network, as one would write it first."""
    torch.manual_seed(0)
    network = MLP(SIZES, dropout=0.3)
    weights = [module.weight for module in network.linear_layers()]
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    n_images = len(images_of_run(dataset, run=0).train_labels)
    images, labels = torch.tensor(dataset.train_images[:n_images]), torch.tensor(dataset.train_labels[:n_images])

    def epoch() -> None:
        for batch in torch.randperm(n_images).split(BATCH):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(network(images[batch]), labels[batch])
            (loss + 1e-5 * sum((weight**2).sum() for weight in weights)).backward()
            optimiser.step()

    return epoch


def products(multiply: Callable[[list[tuple[np.ndarray, np.ndarray, np.ndarray]]], object]) -> Callable[[], object]:
    """The products of a step of eight networks: those with the images as one wide product, the others as stacks."""
    random = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, dtype=np.float32)

    n, (pixels, first, second, classes) = N_IN_PRODUCTS, SIZES
    images, w1, w2, w3 = draw(BATCH, pixels), draw(n * first, pixels), draw(n, second, first), draw(n, classes, second)
    h1, h2, d1 = draw(n, first, BATCH), draw(n, second, BATCH), draw(n * first, BATCH)
    d2, d3 = draw(n, second, BATCH), draw(n, classes, BATCH)
    transposed = (0, 2, 1)
    factors = [
        (w1, images.T),
        (w2, h1),
        (w3, h2),
        (d3, h2.transpose(transposed)),
        (w3.transpose(transposed), d3),
        (d2, h1.transpose(transposed)),
        (w2.transpose(transposed), d2),
        (d1, images),
    ]
    triples = [(left, right, np.matmul(left, right)) for left, right in factors]
    return lambda: multiply(triples)


def numpy_products(triples: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
    """By OpenBLAS."""
    for left, right, out in triples:
        np.matmul(left, right, out=out)


def torch_products(triples: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
    """By MKL."""
    for left, right, out in triples:
        torch.matmul(torch.from_numpy(left), torch.from_numpy(right), out=torch.from_numpy(out))


def profile(digits: Dataset, repeats: int) -> dict[str, float]:
    """Median milliseconds of the parts of a step of one network with dropout."""
    state, images = start(CONFIGS[-1:], digits), images_of_run(digits, run=0)
    workspace = workspace_of(state.layout, BATCH)
    batch = np.arange(BATCH)
    labels, layout, networks = images.train_labels, state.layout, state.networks
    parts: dict[str, Callable[[], object]] = {
        f"sort by pixel (once for up to {NETWORKS_PER_PASS})": lambda: sort_by_pixel(
            images.train, batch, workspace.by_pixel
        ),
        "gradient": lambda: loss_gradient(images.train, labels, batch, 1, 0, layout, networks, workspace),
        "Adam": lambda: adam_step(1, 0, layout, networks, workspace.gradient),
    }
    medians = medians_of(list(parts.values()), 20 * repeats)
    return {part: 1000 * seconds for part, seconds in zip(parts, medians, strict=True)}


if __name__ == "__main__":
    main()

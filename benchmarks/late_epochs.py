"""Whether training is as fast at its end as at its start, beside a plain PyTorch loop.

    OMP_NUM_THREADS=1 python benchmarks/late_epochs.py [--json FOLDER] [--repeats 1] [--smallest]

Under L2 the weights of silent units and of pixels at the border become subnormal, below 1.2e-38. Intel processors
compute with such numbers a hundred times as slowly as with others, so a training that does nothing about them slows
down as it goes. The paper's network is trained on the digits that the project ships, in one thread; a figure is the
median processor time of the epochs 5 to 25, or 475 to 500, and that over repeats, ours and the plain loop in turn.
"""

import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from statistics import median

import torch

from measuring import keep, machine, options, show
from modularity_lib.images.dataset import Dataset, load_dataset
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.plain import train_plain
from modularity_lib.training.training import train

STRENGTHS = (0.0, 1e-5, 1e-2)  # of L2; the second is the baseline of all networks of the paper
EARLY, LATE = slice(5, 25), slice(475, 500)


@dataclass(frozen=True)
class Row:
    """One line of the table: milliseconds of an epoch, and late epochs as a multiple of early ones."""

    l2: float
    early_ms: float
    late_ms: float
    late_by_early: float
    plain_early_ms: float
    plain_late_ms: float
    plain_late_by_early: float


def main() -> None:
    """Print the table."""
    arguments = options(__doc__, repeats=1)
    torch.set_num_threads(1)
    digits, epochs = load_dataset("mnist-5k"), 30 if arguments.smallest else LATE.stop
    train([TrainingConfig(epochs=1)], digits)  # compiles
    rows = [row(digits, l2, epochs=epochs, repeats=arguments.repeats) for l2 in STRENGTHS]
    show(f"Epochs {EARLY.start} to {EARLY.stop} and {LATE.start} to {LATE.stop}, {machine()}", list(map(asdict, rows)))
    keep([asdict(one) for one in rows], arguments.json, name="late_epochs")


def row(digits: Dataset, l2: float, *, epochs: int, repeats: int) -> Row:
    """Both loops with one strength of L2; with few epochs the last of them stand for the late ones."""
    config = TrainingConfig(l2=l2, epochs=epochs)
    late = LATE if epochs >= LATE.stop else slice(-5, None)
    ours, plain = [], []
    for _ in range(repeats):
        ours.append(seconds_of_epochs(config, digits, plain=False))
        plain.append(seconds_of_epochs(config, digits, plain=True))
    early_ms, late_ms = (milliseconds(ours, part) for part in (EARLY, late))
    plain_early_ms, plain_late_ms = (milliseconds(plain, part) for part in (EARLY, late))
    return Row(l2, early_ms, late_ms, late_ms / early_ms, plain_early_ms, plain_late_ms, plain_late_ms / plain_early_ms)


def milliseconds(runs: list[list[float]], part: slice) -> float:
    """Median over runs of the median of a part of their epochs."""
    return 1000 * median(median(run[part]) for run in runs)


def seconds_of_epochs(config: TrainingConfig, digits: Dataset, *, plain: bool) -> list[float]:
    """Processor time of each epoch of a training."""
    ends = [time.process_time()]
    if plain:
        train_plain(config, digits, after_epoch=lambda _: ends.append(time.process_time()))
    else:
        train([config], digits, progress=lambda _: ends.append(time.process_time()))
    return [after - before for before, after in pairwise(ends)]


if __name__ == "__main__":
    main()

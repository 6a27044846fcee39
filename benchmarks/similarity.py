"""How long the similarity matrices take: closed form against automatic differentiation, and growth with the problem.

    python benchmarks/similarity.py [--json FOLDER] [--repeats 5] [--smallest]

Medians of several repeats in one run, in seconds of processor time, which other work on the machine disturbs less
than wall time; run it with OMP_NUM_THREADS=1 and the two are the same on an idle machine. Networks are untrained and
images made up (a fifth of the pixels lit), so that about half of the units are active on an image. A trained network
takes longer if more of its units are active, and the other way round.
"""

import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
import torch

from measuring import keep, options, show
from modularity_lib.similarity.derivatives import activity
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.training.networks import MLP, initial_parameters, network_of
from modularity_lib.vocabulary import MEASURES, is_normalised

PIXELS, CLASSES = 784, 10


def main() -> None:
    """Print a table for each question."""
    arguments = options(__doc__, repeats=5)
    torch.set_num_threads(1)
    similarity_matrices(network_with(64, 64), images_like_digits(2))  # compile
    repeats, few = arguments.repeats, arguments.smallest
    n_images = 10 if few else 10_000
    rows = [
        *against_differentiation((10,) if few else (500, 2_000), repeats),
        *by_measure(n_images, repeats),
        *growth_with_images((10,) if few else (1_000, 3_000, 10_000, 30_000), repeats),
        *growth_with_units((64,) if few else (64, 128, 256, 512, 1_024), 10 if few else 300, repeats),
        *growth_with_depth((1,) if few else (1, 2, 3, 5), n_images, repeats),
    ]
    keep(rows, arguments.json, name="similarity")


def against_differentiation(sizes: Sequence[int], repeats: int) -> list[dict[str, Any]]:
    """The same network and images, by both ways, all 8 measures of 2 layers."""
    rows = []
    for n_images in sizes:
        network, images = network_with(64, 64), images_like_digits(n_images)
        labels = np.zeros(n_images, dtype=int)
        generic = Unknown(network)
        layers = [f"network.{layer}" for layer in network.layers]
        closed, found = seconds(network, images, repeats=repeats)
        slow, expected = seconds(generic, images, repeats=repeats, labels=labels, layers=layers)
        # As a share of the largest entry.
        difference = max(
            float(np.abs(found[layer][name] - expected[f"network.{layer}"][name]).max() / found[layer][name].max())
            for layer in network.layers
            for name in MEASURES
        )
        assert difference > 0, "both ways took the closed form"  # never alike to the last bit
        rows.append(
            {"table": "differentiation", "images": n_images, "closed_form_s": closed, "differentiation_s": slow}
            | {"ratio": slow / closed, "largest_difference": difference}
        )
    show("All measures of 784-64-64-10: closed form against automatic differentiation", rows)
    return rows


class Unknown(torch.nn.Module):
    """A network whose forward is its user's own, so that no closed form is taken for it."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits of the network within."""
        return torch.as_tensor(self.network(x))


def by_measure(n_images: int, repeats: int) -> list[dict[str, Any]]:
    """What each measure takes when it is asked for alone."""
    network, images = network_with(64, 64), images_like_digits(n_images)
    share = [float((activity(network, images[:1000], layer) > 0).mean()) for layer in network.layers]
    rows = []
    for names in (*((name,) for name in MEASURES if not is_normalised(name)), MEASURES):
        took, _ = seconds(network, images, repeats=repeats, measures=names)
        title = names[0] if len(names) == 1 else f"all {len(MEASURES)} measures"
        rows.append({"table": "measures", "measures": title, "active": share, "seconds": took})
    show(f"Closed form, 784-64-64-10, {n_images:,} images", rows)
    return rows


def growth_with_images(sizes: Sequence[int], repeats: int) -> list[dict[str, Any]]:
    """Linear: the time per image stays the same."""
    network, rows = network_with(64, 64), []
    for n_images in sizes:
        took, _ = seconds(network, images_like_digits(n_images), repeats=repeats)
        rows.append({"table": "images", "images": n_images, "seconds": took})
    show("Closed form, 784-64-64-10, all measures", rows)
    return rows


def growth_with_units(sizes: Sequence[int], n_images: int, repeats: int) -> list[dict[str, Any]]:
    """Between square (covariance, downstream) and cubic (input gradient behind the first layer) in the units."""
    rows: list[dict[str, Any]] = []
    for units in sizes:
        network, images = network_with(units, units), images_like_digits(n_images)
        gradient, whole = (
            seconds(network, images, repeats=repeats, measures=names)[0] * 1_000 / n_images
            for names in (["input_gradient"], MEASURES)
        )
        rows.append({"table": "units", "units": units, "input_gradient_s": gradient, "all_s": whole})
    show(f"Closed form, 784-n-n-10, time per 1,000 images, from {n_images}", rows)
    return rows


def growth_with_depth(sizes: Sequence[int], n_images: int, repeats: int) -> list[dict[str, Any]]:
    """Linear in the number of layers, from the second on."""
    rows = []
    for n_layers in sizes:
        took, _ = seconds(network_with(*[64] * n_layers), images_like_digits(n_images), repeats=repeats)
        rows.append({"table": "depth", "layers": n_layers, "seconds": took})
    show(f"Closed form, hidden layers of 64 units, all measures of all layers, {n_images:,} images", rows)
    return rows


def network_with(*hidden: int) -> MLP:
    """An untrained network with these hidden layers."""
    return network_of(initial_parameters([PIXELS, *hidden, CLASSES], seed=0))


def images_like_digits(n_images: int) -> np.ndarray:
    """Noise in a fifth of the pixels, black in the others."""
    random = np.random.default_rng(0)
    lit = random.random((n_images, PIXELS), dtype=np.float32) < 0.2
    return lit * random.random((n_images, PIXELS), dtype=np.float32)


def seconds(network: torch.nn.Module, images: np.ndarray, *, repeats: int, **options: Any) -> tuple[float, Any]:
    """Median processor time of `similarity_matrices`, and its result."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        found = similarity_matrices(network, images, **options)
        times.append(time.process_time() - start)
    return median(times), found


if __name__ == "__main__":
    main()

"""How long the similarity matrices take: closed form against automatic differentiation, and growth with the problem.

    python benchmarks/similarity.py [--json FOLDER]

Medians of several repetitions in one run, in seconds of processor time, which other work on the machine disturbs less
than wall time; run it with OMP_NUM_THREADS=1 and the two are the same on an idle machine. Networks are untrained and
images made up (a fifth of the pixels lit), so that about half of the units are active on an image. A trained network
takes longer if more of its units are active, and the other way round.
"""

import time
from statistics import median
from typing import Any

import numpy as np
import torch

from measuring import keep, options
from modularity_lib.similarity.derivatives import activity
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.training.networks import MLP, initial_parameters, network_of
from modularity_lib.vocabulary import MEASURES, is_normalised

PIXELS, CLASSES = 784, 10


def main() -> None:
    arguments = options(__doc__, repeats=3).parse_args()
    torch.set_num_threads(1)
    similarity_matrices(network_with(64, 64), images_like_digits(2))  # compile
    rows = [
        *against_differentiation(),
        *by_measure(),
        *growth_with_images(),
        *growth_with_units(),
        *growth_with_depth(),
    ]
    keep(rows, arguments.json, name="similarity")


def against_differentiation() -> list[dict[str, Any]]:
    """The same network and images, by both ways, all 8 measures of 2 layers."""
    print("All 8 measures of 2 layers, 784-64-64-10: closed form against automatic differentiation")
    print("  images   closed form   differentiation   ratio   largest difference, share of the largest entry")
    rows = []
    for n_images in (500, 2_000):
        network, images = network_with(64, 64), images_like_digits(n_images)
        labels = np.zeros(n_images, dtype=int)
        generic = torch.nn.Sequential(network)
        layers = [f"0.{layer}" for layer in network.layers]
        closed, found = seconds(network, images, repetitions=7)
        slow, expected = seconds(generic, images, repetitions=3, labels=labels, layers=layers)
        difference = max(
            float(np.abs(found[layer][name] - expected[f"0.{layer}"][name]).max() / found[layer][name].max())
            for layer in network.layers
            for name in MEASURES
        )
        print(f"{n_images:8,}{closed:12.3f} s{slow:16.3f} s{slow / closed:8.0f}   {difference:.0e}")
        rows.append(
            {"table": "differentiation", "images": n_images, "closed_form_s": closed, "differentiation_s": slow}
            | {"ratio": slow / closed, "largest_difference": difference}
        )
    return rows


def by_measure() -> list[dict[str, Any]]:
    """What each measure takes when it is asked for alone."""
    print("\nClosed form, 784-64-64-10, 10,000 images, 2 layers")
    network, images = network_with(64, 64), images_like_digits(10_000)
    share = [float((activity(network, images[:1000], layer) > 0).mean()) for layer in network.layers]
    print(f"  share of active units {share[0]:.2f}, {share[1]:.2f}")
    rows = []
    for names in (*((name,) for name in MEASURES if not is_normalised(name)), MEASURES):
        took, _ = seconds(network, images, repetitions=7, measures=names)
        title = names[0] if len(names) == 1 else "all 8 measures"
        print(f"  {title:18s}{took:8.3f} s")
        rows.append({"table": "measures", "measures": title, "active": share, "seconds": took})
    return rows


def growth_with_images() -> list[dict[str, Any]]:
    """Linear: the time per image stays the same."""
    print("\nClosed form, 784-64-64-10, all 8 measures of 2 layers\n  images      time   per 1,000 images")
    network, rows = network_with(64, 64), []
    for n_images in (1_000, 3_000, 10_000, 30_000):
        images = images_like_digits(n_images)
        took, _ = seconds(network, images, repetitions=3)
        print(f"{n_images:8,}{took:8.3f} s{1e6 * took / n_images:12.1f} ms")
        rows.append({"table": "images", "images": n_images, "seconds": took})
    return rows


def growth_with_units() -> list[dict[str, Any]]:
    """Between square (covariance, downstream) and cubic (input gradient behind the first layer) in the units."""
    print("\nClosed form, 784-n-n-10, 300 images, 2 layers; time per 1,000 images")
    print("   units   input gradient   the other three   all 8 measures   growth of all")
    rows: list[dict[str, Any]] = []
    others = ["input_covariance", "output_gradient", "output_hessian"]
    for units in (64, 128, 256, 512, 1_024):
        network, images = network_with(units, units), images_like_digits(300)
        times = []
        for names in (["input_gradient"], others, MEASURES):
            took, _ = seconds(network, images, repetitions=3, measures=names)
            times.append(took * 1_000 / len(images))
        growth = f"x {times[-1] / rows[-1]['all_s']:.1f}" if rows else ""
        print(f"{units:8,}{times[0]:15.3f} s{times[1]:16.3f} s{times[2]:15.3f} s{growth:>16s}")
        rows.append({"table": "units", "units": units, "input_gradient_s": times[0]} | {"all_s": times[2]})
    return rows


def growth_with_depth() -> list[dict[str, Any]]:
    """Linear in the number of layers, from the second on."""
    print("\nClosed form, hidden layers of 64 units, all 8 measures of all layers, 10,000 images\n  layers      time")
    rows = []
    for n_layers in (1, 2, 3, 5):
        network, images = network_with(*[64] * n_layers), images_like_digits(10_000)
        took, _ = seconds(network, images, repetitions=3)
        print(f"{n_layers:8}{took:8.3f} s")
        rows.append({"table": "depth", "layers": n_layers, "seconds": took})
    return rows


def network_with(*hidden: int) -> MLP:
    return network_of(initial_parameters([PIXELS, *hidden, CLASSES], seed=0))


def images_like_digits(n_images: int) -> np.ndarray:
    random = np.random.default_rng(0)
    lit = random.random((n_images, PIXELS), dtype=np.float32) < 0.2
    return lit * random.random((n_images, PIXELS), dtype=np.float32)


def seconds(network: torch.nn.Module, images: np.ndarray, *, repetitions: int, **options: Any) -> tuple[float, Any]:
    """Median processor time of `similarity_matrices`, and its result."""
    times = []
    for _ in range(repetitions):
        start = time.process_time()
        found = similarity_matrices(network, images, **options)
        times.append(time.process_time() - start)
    return median(times), found


if __name__ == "__main__":
    main()

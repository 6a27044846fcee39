"""The benchmarks that come with the project, as tables: written by `make bench JSON=data/benchmarks`."""

import json
from collections.abc import Mapping
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modularity_lib.book.words.prose import listed, markdown, markdown_of
from modularity_lib.images.sources import DATASETS
from modularity_lib.paths import checkout
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.vocabulary import MEASURES

BENCHMARKS_FOLDER = checkout() / "data" / "benchmarks"
IMAGES_OF_A_ROW = 1_000  # benchmarks/similarity.py gives seconds against units for so many images
NAMES = ("training", "module_search", "similarity", "agreement", "analysis", "overhead")


def benchmark(name: str, folder: Path | str = BENCHMARKS_FOLDER) -> dict[str, Any]:
    """What one benchmark measured: machine, versions, commit, day, rows.

    Args:
        name: one of `NAMES`; the script is `benchmarks/<name>.py`.
        folder: where its JSON file is; by default that of the benchmarks that come with the project.
    Raises:
        ValueError: unknown name.
        FileNotFoundError: it was not run yet.
    """
    if name not in NAMES:
        raise ValueError(f"name must be one of {', '.join(map(repr, NAMES))}, got {name!r}.")
    file = Path(folder) / f"{name}.json"
    if not file.exists():
        raise FileNotFoundError(f"{file} is missing: `make bench JSON=data/benchmarks` writes it.")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def origin(facts: Mapping[str, Any], *names: str) -> list[str]:
    """Where the numbers of benchmarks come from, in lines for a fold-out."""
    scripts = ", ".join(f"benchmarks/{name}.py" for name in names)
    return [f"measured by {scripts}, medians", machine_text(facts), f"commit {facts['commit']}"]


def short_text(facts: Mapping[str, Mapping[str, Any]]) -> str:
    """How fast training, similarity and comparing are beside the obvious alternatives, in a sentence.

    Args:
        facts: {name of a benchmark: of `benchmark`}.
    """
    training = max(row["times_plain_loop"] for row in facts["training"]["rows"])
    similarity = [row["ratio"] for row in facts["similarity"]["rows"] if row["table"] == "differentiation"]
    tests = [row["ratio"] for row in facts["agreement"]["rows"] if row["other"] == "numpy loop"]
    return (
        f"Training is {training:.0f} times as fast as a plain PyTorch loop. The similarity of units is computed "
        f"{min(similarity):.0f} to {max(similarity):.0f} times as fast as by automatic differentiation, and a "
        f"permutation test is {min(tests):.0f} to {max(tests):.0f} times as fast as a loop of NumPy."
    )


def setup_texts() -> dict[str, str]:
    """What the benchmarks are run on, in words: networks, images, searches and comparisons of the study v1."""
    study = STUDIES["v1"]
    n_measures, n_layers = len(MEASURES), len(study.hidden)
    config = study.trained_configs()[0]
    return {
        "bench_hidden": listed(study.hidden),
        "bench_batch": f"{config.batch_size:,}",
        "bench_images": f"{DATASETS['mnist'].n_test_images:,}",
        "bench_units": str(study.hidden[0]),
        "bench_measures": str(n_measures),
        "bench_layers": str(n_layers),
        "bench_searches": str(n_measures * n_layers),
        "bench_pairs": str(comb(n_measures + 1, 2) * n_layers),
        "bench_steps": f"{study.search_steps:,}",
        "bench_permutations": f"{study.permutations:,}",
    }


def growth_text(growth: Mapping[str, pd.DataFrame]) -> str:
    """Markdown list: the power of images or units with which each time grows, overall and at the largest sizes."""
    lines = []
    for what, table in growth.items():
        for name, rows in table.groupby("what", sort=False):
            x, seconds = np.log(rows["x"]), np.log(rows["seconds"])
            overall = np.polyfit(x, seconds, 1)[0]
            last = (seconds.iloc[-1] - seconds.iloc[-2]) / (x.iloc[-1] - x.iloc[-2])
            lines.append(f"* {name}, with {what}: power {overall:.2f} over all sizes, {last:.2f} at the two largest")
    return "\n".join(lines)


def machine_text(facts: Mapping[str, Any]) -> str:
    """On what and when a benchmark was run, in a sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if name != "modularity-lib")
    return f"{facts['machine']}; {versions}; {facts['day']}"


def training_markdown(facts: Mapping[str, Any]) -> str:
    """Markdown table: what one training step of one network takes, side by side and in other ways."""
    cells = {
        "one step of": "{what}",
        "ms per network-step": "{ms_per_network_step:.3f}",
        "network-epochs per second": "{network_epochs_per_second:.1f}",
        "times plain loop": "{times_plain_loop:.2f}",
        "rate / that of matrix products": "{share_of_products_rate:.2f}",
    }
    return markdown_of(facts["rows"], cells)


def module_search_markdown(facts: Mapping[str, Any]) -> str:
    """Markdown table: time and Q of every method on every matrix."""
    cells = {
        "matrix": "{matrix}",
        "method": "{method}",
        "ms": "{ms:.2f}",
        "times faster than Louvain of networkx": "{ratio:.1f}",
        "Q": "{score:z.4f}",
    }
    return markdown_of(facts["rows"]["methods"], cells)


def similarity_markdown(facts: Mapping[str, Any]) -> str:
    """Markdown table: closed form against automatic differentiation."""
    cells = {
        "images": "{images:,}",
        "closed form, s": "{closed_form_s:.3f}",
        "automatic differentiation, s": "{differentiation_s:.2f}",
        "ratio": "{ratio:.0f}",
        "largest difference / largest entry": "{largest_difference:.0e}",
    }
    return markdown_of((row for row in facts["rows"] if row["table"] == "differentiation"), cells)


def agreement_markdown(facts: Mapping[str, Any]) -> str:
    """Markdown table: the scores of a pair of clusterings, ours and others'."""
    rows = []
    for row in facts["rows"]:
        theirs = [f"{row['other_ms']:.2f}", f"{row['ratio']:.0f}", row["other"]] if row["other_ms"] else ["–"] * 3
        rows.append([row["modules"], row["score"], f"{row['ours_ms']:.3f}", *theirs])
    return markdown(["modules", "score", "ours, ms", "other, ms", "ratio", "other"], rows)


def analysis_markdown(analysis: Mapping[str, Any], overhead: Mapping[str, Any]) -> str:
    """Markdown table: one network from weights to tables, and what store and engine add."""
    rows = [[part, f"{seconds:.3f} s"] for part, seconds in analysis["rows"]["seconds"].items()]
    rows += [
        ["writing it to the store", f"{overhead['rows']['store_ms']:.1f} ms"],
        ["store and engine together", f"{overhead['rows']['store_and_engine_ms']:.1f} ms"],
        ["memory of a process of v1", f"{analysis['rows']['memory_gb']:.2f} GB"],
    ]
    return markdown(["part", "one core"], rows)


def growth(similarity: Mapping[str, Any], module_search: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Seconds against the number of images and of units: {"images" or "units": columns x, what, seconds}.

    Similarity against units is given for as many images as MNIST has for testing.
    """
    times = DATASETS["mnist"].n_test_images / IMAGES_OF_A_ROW
    rows = similarity["rows"]
    by_images = [
        {"x": row["images"], "what": "8 matrices of 2 layers", "seconds": row["seconds"]}
        for row in rows
        if row["table"] == "images"
    ]
    by_units = [
        {"x": row["units"], "what": what, "seconds": row[column] * times}
        for row in rows
        if row["table"] == "units"
        for what, column in (("8 matrices of 2 layers", "all_s"), ("input gradient alone", "input_gradient_s"))
    ]
    by_units += [
        {"x": row["units"], "what": "one module search", "seconds": row["ms"] / 1000}
        for row in module_search["rows"]["units"]
    ]
    return {"images": pd.DataFrame(by_images), "units": pd.DataFrame(by_units)}


def growth_table(growth: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The points of both panels in one table: against (images or units), x, what, seconds."""
    return pd.concat([table.assign(against=against) for against, table in growth.items()])[
        ["against", "x", "what", "seconds"]
    ]

"""The benchmarks that come with the project, as tables: written by `make bench JSON=data/benchmarks`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

BENCHMARKS_FOLDER = Path(__file__).resolve().parents[1] / "data" / "benchmarks"
NAMES = ("training", "module_search", "similarity", "agreement", "analysis", "overhead")


def benchmark(name: str) -> dict[str, Any]:
    """What one benchmark measured: machine, versions, commit, day, rows.

    Args:
        name: one of `NAMES`; the script is `benchmarks/<name>.py`.
    Raises:
        ValueError: unknown name.
        FileNotFoundError: it was not run yet.
    """
    if name not in NAMES:
        raise ValueError(f"name must be one of {', '.join(map(repr, NAMES))}, got {name!r}.")
    file = BENCHMARKS_FOLDER / f"{name}.json"
    if not file.exists():
        raise FileNotFoundError(f"{file} is missing: `make bench JSON=data/benchmarks` writes it.")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def machine_text(facts: Mapping[str, Any]) -> str:
    """On what and when a benchmark was run, in a sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if name != "modularity-lib")
    return f"{facts['machine']}; {versions}; {facts['day']}"


def training_table(facts: Mapping[str, Any]) -> str:
    """Markdown: what one training step of one network takes, side by side and in other ways."""
    return _table(
        ["", "ms per network-step", "network-epochs per second", "times plain loop", "rate / that of matrix products"],
        [
            [
                row["what"],
                f"{row['ms_per_network_step']:.3f}",
                f"{row['network_epochs_per_second']:.1f}",
                f"{row['times_plain_loop']:.2f}",
                f"{row['share_of_products_rate']:.2f}",
            ]
            for row in facts["rows"]
        ],
    )


def module_search_table(facts: Mapping[str, Any]) -> str:
    """Markdown: time and Q of every method on every matrix."""
    return _table(
        ["matrix", "method", "ms", "times faster than Louvain of networkx", "Q"],
        [
            [row["matrix"], row["method"], f"{row['ms']:.2f}", f"{row['ratio']:.1f}", f"{row['score']:.4f}"]
            for row in facts["rows"]["methods"]
        ],
    )


def similarity_table(facts: Mapping[str, Any]) -> str:
    """Markdown: closed form against automatic differentiation."""
    rows = [row for row in facts["rows"] if row["table"] == "differentiation"]
    return _table(
        ["images", "closed form, s", "automatic differentiation, s", "ratio", "largest difference / largest entry"],
        [
            [
                f"{row['images']:,}",
                f"{row['closed_form_s']:.3f}",
                f"{row['differentiation_s']:.2f}",
                f"{row['ratio']:.0f}",
                f"{row['largest_difference']:.0e}",
            ]
            for row in rows
        ],
    )


def agreement_table(facts: Mapping[str, Any]) -> str:
    """Markdown: the scores of a pair of clusterings, ours and others'."""
    return _table(
        ["modules", "score", "ours, ms", "other, ms", "ratio", "other"],
        [
            [str(row["modules"]), row["score"], f"{row['ours_ms']:.3f}"]
            + ([f"{row['other_ms']:.2f}", f"{row['ratio']:.0f}", row["other"]] if row["other_ms"] else ["–"] * 3)
            for row in facts["rows"]
        ],
    )


def analysis_table(analysis: Mapping[str, Any], overhead: Mapping[str, Any]) -> str:
    """Markdown: one network from weights to tables, and what store and engine add."""
    rows = [[part, f"{seconds:.3f} s"] for part, seconds in analysis["rows"]["seconds"].items()]
    rows += [
        ["writing it to the store", f"{overhead['rows']['store_ms']:.1f} ms"],
        ["store and engine together", f"{overhead['rows']['store_and_engine_ms']:.1f} ms"],
        ["memory of a process of v1", f"{analysis['rows']['memory_gb']:.2f} GB"],
    ]
    return _table(["", "one core"], rows)


def growth(similarity: Mapping[str, Any], module_search: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Seconds against the number of images and of units: {"images" or "units": columns x, what, seconds}."""
    rows = similarity["rows"]
    by_images = [
        {"x": row["images"], "what": "8 matrices of 2 layers", "seconds": row["seconds"]}
        for row in rows
        if row["table"] == "images"
    ]
    by_units = [
        {"x": row["units"], "what": what, "seconds": row[column] * 10}
        for row in rows
        if row["table"] == "units"
        for what, column in (("8 matrices of 2 layers", "all_s"), ("input gradient alone", "input_gradient_s"))
    ]
    by_units += [
        {"x": row["units"], "what": "one module search", "seconds": row["ms"] / 1000}
        for row in module_search["rows"]["units"]
    ]
    return {"images": pd.DataFrame(by_images), "units": pd.DataFrame(by_units)}


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

"""What the benchmarks share: their options, medians of functions timed in turn, and how results are kept."""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from modularity_lib.studies.provenance import cores, provenance


def options(description: str | None, *, repeats: int) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FOLDER", help="also write the rows to a file in this folder")
    parser.add_argument("--repeats", type=int, default=repeats, help=f"timings of each row (default: {repeats})")
    return parser


def medians_of(functions: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Median seconds of functions called in turn, after one call of each that is not counted."""
    for function in functions:
        function()
    seconds: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, timings in zip(functions, seconds, strict=True):
            started = time.perf_counter()
            function()
            timings.append(time.perf_counter() - started)
    return [statistics.median(timings) for timings in seconds]


def machine() -> str:
    """The machine in a few words."""
    made = provenance()
    return f"{made['processor']}, {cores()} cores, {made['system']}"


def keep(rows: Any, folder: Path | None, *, name: str) -> None:
    """Write rows to `<folder>/<name>.json`, with the machine, the versions and the day."""
    if folder is None:
        return
    made = provenance()
    facts = {
        "machine": machine(),
        "versions": {"python": made["python"], **made["packages"]},
        "commit": made["commit"],
        "day": time.strftime("%F", time.gmtime()),
        "rows": rows,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

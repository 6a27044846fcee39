"""What the benchmarks share: options, medians of functions timed in turn, tables on screen and in files."""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from modularity_lib.studies.provenance import cores, provenance


def options(description: str | None, *, repeats: int, **flags: str) -> argparse.Namespace:
    """The options that every benchmark has, and flags of its own with their help."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FOLDER", help="also write the rows to a file in this folder")
    parser.add_argument("--repeats", type=int, default=repeats, help=f"timings of each row (default: {repeats})")
    parser.add_argument("--smallest", action="store_true", help="one repeat at the smallest size, to see that it runs")
    for name, text in flags.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    chosen = parser.parse_args()
    if chosen.smallest:
        chosen.repeats = 1
    return chosen


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


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows as a table under a title, a column for each key."""
    print(f"\n{title}\n{pd.DataFrame(rows).to_string(index=False, float_format='{:.4g}'.format, na_rep='')}")


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

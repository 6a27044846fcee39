"""The benchmarks that come with the project, as tables: written by `make bench JSON=data/benchmarks`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modularity_lib.book.words.prose import listed, markdown, markdown_of, span
from modularity_lib.images.sources import DATASETS
from modularity_lib.paths import checkout
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.vocabulary import MEASURES

BENCHMARKS_FOLDER = checkout() / "data" / "benchmarks"
LEAST_GAP = 0.005  # % of Q; less is 0 in the table
IMAGES_OF_A_ROW = 1_000  # benchmarks/similarity.py gives seconds against units for so many images
NAMES = (
    "training",
    "module_search",
    "best_search",
    "similarity",
    "own_networks",
    "agreement",
    "analysis",
    "overhead",
    "late_epochs",
    "imports",
)


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
    """How fast training, similarity and the search are beside the obvious alternatives, in a few sentences.

    Args:
        facts: {name of a benchmark: of `benchmark`}.
    """
    training = max(row["times_plain_loop"] for row in facts["training"]["rows"])
    similarity = [row["ratio"] for row in _of(facts["similarity"], "differentiation")]
    own = [row["ratio"] for row in _of(facts["own_networks"], "torch_func")]
    search = pd.DataFrame(facts["best_search"]["rows"])
    gap, leiden = (np.average(search[name], weights=search["matrices"]) for name in ("gap", "Leiden gap"))
    slowest = search["ratio"].max()
    misses = "less" if gap < leiden else "no less"
    takes = f"but takes up to {slowest:.0f} times as long" if slowest > 1 else "and is never slower"
    return (
        f"Training is {training:.0f} times as fast as a plain PyTorch loop. The similarity of units in the paper's "
        f"networks is {span(similarity, '{:.0f}'.format)} times as fast as automatic differentiation, and other "
        f"networks take {span(own, '{:.1f}'.format)} times as long as with torch.func. find_modules misses {misses} Q "
        f"than Leiden's method, {takes}."
    )


def summary_markdown(facts: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown table: what is done, in what time, and beside what."""
    rows = (
        [what, _milliseconds(ours), beside, _milliseconds(theirs), _times(theirs / ours)]
        for what, ours, beside, theirs in _summary(facts)
    )
    return markdown(["what", "ours", "beside", "takes", "times as fast"], rows)


def summary_caption(facts: Mapping[str, Mapping[str, Any]]) -> str:
    """Its finding: how many of these are slower than what stands beside them."""
    rows = list(_summary(facts))
    slower = sum(theirs < ours for _, ours, _, theirs in rows)
    finding = f"We are slower in {slower} of {len(rows)} comparisons." if slower else "We are slower in none of these."
    return (
        f"**{finding}** Medians of several repeats, one thread. Of networks and matrices: where we compare best, and "
        "where worst."
    )


def _summary(facts: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, float, str, float]]:
    """What is done, in how many ms, beside what, and in how many ms that does it."""
    steps = {row["what"]: row["ms_per_network_step"] for row in facts["training"]["rows"]}
    alike = [ms for what, ms in steps.items() if what.startswith("side by side") and "no pixel" not in what]
    yield "training step of one network", min(alike), "plain PyTorch loop", steps["plain PyTorch loop"]
    most = _of(facts["similarity"], "differentiation")[-1]
    ours, theirs = (1e3 * most[name] for name in ("closed_form_s", "differentiation_s"))
    yield f"8 similarities, {most['images']:,} images", ours, "automatic differentiation", theirs
    for row in _extremes(_of(facts["own_networks"], "torch_func")):
        ours, theirs = (1e3 * row[name] for name in ("ours_s", "torch_func_s"))
        yield f"input gradient of a {row['network']}", ours, "torch.func at its best", theirs
    searched = facts["best_search"]["rows"]
    of_the_paper = [row for row in searched if row["kind"].startswith("v1")][:1]
    for row in [*of_the_paper, *_extremes(searched)]:
        yield f"modules: {row['kind']}", row["ms"], "Leiden of igraph", row["Leiden ms"]
    test = next(row for row in facts["agreement"]["rows"] if row["other"] == "numpy loop")
    yield "permutation test of agreement", test["ours_ms"], "loop of NumPy", test["other_ms"]
    starts = {row["what"]: row["milliseconds"] for row in facts["imports"]["rows"]}
    yield "import modularity_lib", starts["import modularity_lib"], "import click", starts["import click"]


def _of(facts: Mapping[str, Any], table: str) -> list[dict[str, Any]]:
    """The rows of one of the tables that a benchmark writes."""
    return [row for row in facts["rows"] if row["table"] == table]


def _extremes(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The row in which we compare best, and that in which we compare worst."""
    ordered = sorted(rows, key=lambda row: row["ratio"])
    return [ordered[0], ordered[-1]] if len(ordered) > 1 else ordered


def _milliseconds(value: float) -> str:
    """A time with three digits, in ms or in s."""
    return f"{value / 1000:.3g} s" if value >= 1000 else f"{value:.3g} ms"


def _times(ratio: float) -> str:
    """A ratio with two digits, from ten on as a whole number."""
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"


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


def growth_markdown(growth: Mapping[str, pd.DataFrame]) -> str:
    """Markdown table: the power of images or units with which each time grows, overall and at the largest sizes."""
    rows = []
    for against, table in growth.items():
        for name, of in table.groupby("what", sort=False):
            x, seconds = np.log(of["x"]), np.log(of["seconds"])
            overall = np.polyfit(x, seconds, 1)[0]
            last = (seconds.iloc[-1] - seconds.iloc[-2]) / (x.iloc[-1] - x.iloc[-2])
            rows.append([name, against, f"{overall:.2f}", f"{last:.2f}"])
    return markdown(["time of", "grows with", "power, all sizes", "power, two largest"], rows)


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
    return markdown_of(_of(facts, "differentiation"), cells)


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


def own_networks_markdown(facts: Mapping[str, Any]) -> str:
    """Markdown table: the input gradient of networks of any kind, beside torch.func at its best."""
    cells = {
        "network": "{network}",
        "inputs": "{inputs:,}",
        "ours, s": "{ours_s:.2f}",
        "torch.func, s": "{torch_func_s:.2f}",
        "ours / torch.func": "{ratio:.2f}",
        "largest difference / largest entry": "{largest_difference:.0e}",
    }
    return markdown_of(_of(facts, "torch_func"), cells)


def best_search_markdown(facts: Mapping[str, Any]) -> str:
    """Markdown table: what `find_modules` and Leiden's method miss of the best known Q, and their times."""
    cells = {
        "matrices": "{kind}",
        "number": "{matrices}",
        "find_modules misses": "{gap:.2f}%",
        "Leiden misses": "{Leiden gap:.2f}%",
        "find_modules, ms": "{ms:.1f}",
        "Leiden, ms": "{Leiden ms:.1f}",
        "ours / Leiden's time": "{ratio:.2g}",
    }
    return markdown_of(facts["rows"], cells)


def best_search_text(facts: Mapping[str, Any]) -> str:
    """On which kinds of graphs `find_modules` takes longer than Leiden's method, and on which it misses more of Q."""
    rows = facts["rows"]
    slower = [row["kind"] for row in rows if row["ratio"] > 1]
    misses = [row["kind"] for row in rows if row["gap"] > row["Leiden gap"] + LEAST_GAP]
    return (
        f"find_modules takes longer than Leiden's method on {len(slower)} of {len(rows)} kinds of graphs"
        f"{f': {listed(slower)}' if slower else ''}. It misses more of Q on {len(misses)}"
        f"{f' ({listed(misses)})' if misses else ''}."
    )


def late_epochs_markdown(facts: Mapping[str, Any]) -> str:
    """Markdown table: epochs at the end of training beside those at its start, ours and those of a plain loop."""
    cells = {
        "L2": "{l2:g}",
        "early epoch, ms": "{early_ms:.1f}",
        "late epoch, ms": "{late_ms:.1f}",
        "late / early": "{late_by_early:.2f}",
        "plain loop: late / early": "{plain_late_by_early:.2f}",
    }
    return markdown_of(facts["rows"], cells)


def imports_markdown(facts: Mapping[str, Any]) -> str:
    """Markdown table: what it takes to start."""
    return markdown_of(facts["rows"], {"start of Python and": "{what}", "ms": "{milliseconds:.0f}"})


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

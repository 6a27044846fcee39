"""Where the numbers of the studies come from: when, on what and by which code they were computed, and their size."""

from collections.abc import Iterable

from modularity_lib.studies.results import Results
from modularity_lib.studies.shipped import RESULTS_FOLDER


def provenance_table(studies: Iterable[Results]) -> str:
    """Markdown table, a row for each study: networks, size where shipped, days, core-hours, commits, versions."""
    rows = [_row(results) for results in studies]
    if not rows:
        return ""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(results: Results) -> dict[str, str]:
    made = results.made_with
    versions = made["versions"]
    first, last = (written[:10] for written in made["written"])
    packages = [f"{label} {' and '.join(versions[label.lower()])}" for label in ("Python", "torch", "numpy")]
    return {
        "study": results.study.name,
        "networks": f"{len(results.networks):,}",
        "where": where(results.study.name),
        "computed (UTC)": first if first == last else f"{first} to {last}",
        "core-hours": f"{sum(made['core_seconds'].values()) / 3600:.2g}",
        "commits": ", ".join(versions["commit"]),
        "with": "; ".join([", ".join(packages), *versions["machine"]]),
    }


def where(study: str) -> str:
    """Whether the tables of a study come with the project, and then how large they are."""
    folder = RESULTS_FOLDER / study
    if not folder.is_dir():
        return "computed here"
    return f"shipped, {sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.1f} MB"

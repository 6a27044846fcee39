"""Where the numbers of the studies come from: when, on what and by which code they were computed, and their size."""

from collections.abc import Iterable

from modularity_lib.results import Results
from modularity_lib.shipped import RESULTS_FOLDER


def provenance_table(studies: Iterable[Results]) -> str:
    """Markdown table, a column for each study: networks, size where shipped, days, core-hours, commits, versions."""
    columns = [_column(results) for results in studies]
    lines = [["study", *(column["study"] for column in columns)], ["---"] * (len(columns) + 1)]
    lines += [
        [what, *(column[what] for column in columns)] for what in (columns[0] if columns else {}) if what != "study"
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _column(results: Results) -> dict[str, str]:
    made = results.made_with
    versions = made["versions"]
    first, last = (written[:10] for written in made["written"])
    return {
        "study": results.study.name,
        "networks": f"{len(results.networks):,}",
        "where": where(results.study.name),
        "computed (UTC)": first if first == last else f"{first} to {last}",
        "core-hours": f"{sum(made['core_seconds'].values()) / 3600:.2g}",
        "commits": ", ".join(versions["commit"]),
        **{package: ", ".join(versions[package]) for package in ("python", "torch", "numpy")},
        "on": "; ".join(versions["machine"]),
    }


def where(study: str) -> str:
    """Whether the tables of a study come with the project, and then how large they are."""
    folder = RESULTS_FOLDER / study
    if not folder.is_dir():
        return "computed here"
    return f"shipped, {sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.1f} MB"

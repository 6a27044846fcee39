"""From a result to the command that makes it again, the file behind it, and the time it takes: one table.

The book shows all of it with the times of its own build (`{build-status} commands`, see extension.py); the README has
the part on the paper's claims.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

from modularity_lib.book.words.prose import markdown
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.estimate import duration
from modularity_lib.studies.results import StudyIncomplete
from modularity_lib.studies.shipped import RESULTS_FOLDER

STUDY = "v1"


class Result(NamedTuple):
    """What a chapter shows."""

    what: str
    chapter: str
    files: tuple[str, ...]  # that it reads, from the root of the project
    of_claim: bool = False
    computes: str = ""  # the study that it computes where it is not stored yet


RESULTS = (
    Result("claims 1 and 2", "modularity", (f"data/results/{STUDY}/modules.parquet",), of_claim=True),
    Result("claims 3 and 4", "agreement", (f"data/results/{STUDY}/agreement.parquet",), of_claim=True),
    Result("all claims, beside the published numbers", "ledger", ("modularity_lib/findings/paper",), of_claim=True),
    Result(
        "all claims, on a small study trained here",
        "live",
        ("modularity_lib/images/mnist_5k.npz",),
        of_claim=True,
        computes="quick",
    ),
    Result("is it modules?", "is_it_modules", ("data/common_mode", "data/findings/rotated", "data/made_up_rises")),
    Result("both sides of a unit", "two_sides", ("data/findings/two_sides",)),
    Result("networks without a module", "lesions", ("data/findings/lesions",)),
    Result(
        "near-copies, and how they come about",
        "why_dropout",
        ("data/findings/near_copies", "data/findings/linear_control", "data/findings/training_course"),
    ),
    Result("silent units", "ledger", ("data/findings/published_numerics", "data/findings/silent_weights")),
    Result("how good the search is", "modules", ("data/findings/better_partitions", "data/bounds")),
)


def commands_markdown(seconds: Mapping[str, float | None]) -> str:
    """Markdown table for the book: every result as a link to its page, with command, files, and what the page took.

    A page that computes a study has the core time of that study: its own time would be short where the study is stored.

    Args:
        seconds: {chapter: time of its execution}; None where it is not known.
    """
    rows = [
        [
            f"{{doc}}`{result.what} </chapters/{result.chapter}>`",
            f"`modularity chapter {result.chapter}`",
            _files(result),
            _core_time(result.computes)
            if result.computes and result.chapter in seconds
            else _time(seconds.get(result.chapter)),
        ]
        for result in RESULTS
    ]
    rows += [[what, f"`{command}`", f"`data/results/{STUDY}`", took] for what, command, took in _from_nothing()]
    return markdown(["result", "command", "read, or compared with", "time"], rows)


def short_commands_markdown() -> str:
    """Markdown table for the README: the claims alone, without the times of a build."""
    rows = [
        [result.what, f"`.venv/bin/modularity chapter {result.chapter}`", _files(result), "a minute or two"]
        for result in RESULTS
        if result.of_claim
    ]
    rows += [
        [what, f"`.venv/bin/{command}`", f"`data/results/{STUDY}`", took] for what, command, took in _from_nothing()
    ]
    return markdown(["result", "command", "read, or compared with", "time"], rows)


def _core_time(study: str) -> str:
    try:
        spent = Archive(study).tables().made_with["core_seconds"]
    except StudyIncomplete:
        return "–"
    return f"{duration(sum(spent.values()))} of core time, once"


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else duration(seconds)


def _files(result: Result) -> str:
    return ", ".join(f"`{file}`" for file in result.files)


def _from_nothing() -> list[tuple[str, str, str]]:
    """What is trained anew and compared with the shipped tables, the command, and how long it took them on one core.

    The command uses one core. The time is "–" where no tables are shipped.
    """
    n_networks = len(STUDIES[STUDY].trained_configs())
    facts = RESULTS_FOLDER / STUDY / "facts.json"
    spent = (
        json.loads(facts.read_text(encoding="utf-8"))["facts"]["made_with"]["core_seconds"] if facts.exists() else {}
    )
    all_of_it = spent.get("training", 0.0) + spent.get("modules", 0.0)
    return [
        (
            what,
            f"modularity verify {STUDY} --sample {sample}",
            f"{duration(all_of_it * sample / n_networks)} in one process" if spent else "–",
        )
        for what, sample in (("three networks, trained anew", 3), ("all networks, trained anew", n_networks))
    ]

"""Table of the studies, and how long they take."""

from collections.abc import Sequence

from modularity_lib.book.words.prose import markdown
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.estimate import duration, expected_cost
from modularity_lib.studies.results import Results


def studies_markdown(*, cores: int, computed: Sequence[Results] = ()) -> str:
    """Markdown table of every study: networks, shape, and the time it takes from nothing on this many cores.

    "Expected" follows from the shapes of the networks; with early stopping it is an upper limit. "Took" is the core
    time of the studies that were `computed`, divided by the cores.
    """
    on = f"on {cores} core" + "s" * (cores > 1)
    spent = {results.study.name: sum(results.made_with["core_seconds"].values()) for results in computed}
    rows = []
    for name, study in STUDIES.items():
        cost, trained = expected_cost(study), study.trained_configs()
        seconds = sum(map(cost.of, trained)) + study.untrained * cost.analysis
        rows.append(
            [
                f"`{name}`",
                f"{len(trained)} trained, {study.untrained} untrained",
                "-".join(map(str, study.hidden)),
                study.dataset,
                study.protocol,
                ("at most " if study.protocol != "v1" else "") + _time(seconds / cores),
                *([duration(spent[name] / cores), duration(spent[name])] if name in spent else ["–", "–"]),
            ]
        )
    times = [f"expected {on}", f"took {on}", "core time"]
    return markdown(["study", "networks", "hidden units", "digits", "protocol", *times], rows)


def _time(seconds: float) -> str:
    return "under a minute" if seconds < 60 else duration(seconds)  # the estimate is a guess

"""Table of the studies, and what it takes to run them."""

from collections.abc import Sequence

from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.estimate import expected_cost
from modularity_lib.studies.results import Results


def studies_table(*, cores: int, computed: Sequence[Results] = ()) -> str:
    """Markdown table: every study, what it consists of, and its time from nothing on so many cores.

    "Expected" is from the shapes of the networks; with early stopping it is what it takes at most. "Took" divides the
    core time of those that were `computed` by the cores.
    """
    took = {results.study.name: sum(results.made_with["core_seconds"].values()) for results in computed}
    lines = ["| study | networks | hidden units | digits | protocol | expected | took |", "|---" * 7 + "|"]
    for name, study in STUDIES.items():
        cost, trained = expected_cost(study), study.trained_configs()
        seconds = sum(map(cost.of, trained)) + study.untrained * cost.analysis
        expected = ("at most " if study.protocol != "v1" else "") + _duration(seconds / cores)
        lines.append(
            f"| `{name}` | {len(trained)} trained, {study.untrained} untrained | {'-'.join(map(str, study.hidden))} | "
            f"{study.dataset} | {study.protocol} | {expected} | "
            f"{_duration(took[name] / cores) if name in took else '–'} |"
        )
    return "\n".join(lines)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return "under a minute"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"

"""Words on the verdicts by better partitions than the paper's search finds."""

from collections.abc import Mapping

import pandas as pd

from modularity_lib.book.words.prose import capitalised, effect_text, listed, markdown, markdown_of, percent
from modularity_lib.findings.better_partitions import RESTARTS
from modularity_lib.findings.claims import CLAIMS, Verdict
from modularity_lib.vocabulary import LABELS

_NETWORKS = {"none": "baseline", **{name: LABELS[name] for name in ("dropout", "l2", "l1")}}

Both = Mapping[str, tuple[Verdict, Verdict]]  # by the paper's search and by the better partitions


def gaps_markdown(table: pd.DataFrame) -> str:
    """Markdown table of `better_partitions.gaps`."""
    cells = {
        "networks": "{name}",
        "matrices": "{matrices:,}",
        "gap: mean, largest": "{mean:.1%}, {largest:.1%}",
        "as good as the better one": "{as_good:.0%}",
    }
    return markdown_of(table.assign(name=table["networks"].map(_NETWORKS)), cells)


def verdicts_markdown(both: Both) -> str:
    """Markdown table: each claim with its verdict and deciding quantity by both searches."""
    rows = [
        [claim.statement, *(f"{verdict.status}: {effect_text(verdict.effect)}" for verdict in both[claim.id])]
        for claim in CLAIMS
    ]
    return markdown(["claim", "the paper's search", "better partitions"], rows)


def verdicts_stay(both: Both) -> bool:
    """Whether every verdict is the same by both searches."""
    return not _changed(both)


def _changed(both: Both) -> list[str]:
    return [claim.statement for claim in CLAIMS if both[claim.id][0].status != both[claim.id][1].status]


def verdicts_text(both: Both) -> str:
    """Whether a verdict changes with better partitions."""
    how = f"We searched every matrix once more with {RESTARTS} restarts of find_modules and judged the claims again."
    changed = _changed(both)
    if not changed:
        return f"{how} All verdicts stay as they are."
    get = "gets" if len(changed) == 1 else "get"
    return f"{how} {capitalised(listed(f'“{one}”' for one in changed))} {get} another verdict."


def missed_text(table: pd.DataFrame) -> str:
    """How far the paper's search stays below the better partitions over all networks, from `better_partitions.gaps`."""
    mean = (table["mean"] * table["matrices"]).sum() / table["matrices"].sum()
    worst = table.sort_values("largest").to_dict("records")[-1]
    return (
        f"The paper's search stays {percent(mean, digits=1)} below these partitions on average, and "
        f"{percent(worst['largest'], digits=1)} at worst ({_NETWORKS[worst['networks']]})."
    )

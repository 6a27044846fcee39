"""Words on the verdicts by better partitions than the paper's search finds."""

from collections.abc import Mapping

import pandas as pd

from modularity_lib.book.words.prose import capitalised, effect_text, listed, markdown, markdown_of
from modularity_lib.findings.better_partitions import RESTARTS
from modularity_lib.findings.claims import CLAIMS, Verdict
from modularity_lib.vocabulary import LABELS

_NETWORKS = {"none": "no regularisation", **{name: LABELS[name] for name in ("dropout", "l2", "l1")}}

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
    return not _turned(both)


def _turned(both: Both) -> list[str]:
    return [claim.statement for claim in CLAIMS if both[claim.id][0].status != both[claim.id][1].status]


def verdicts_text(both: Both) -> str:
    """Whether a verdict turns with better partitions."""
    turned = _turned(both)
    how = (
        f"Every matrix was searched once more by `find_modules` with {RESTARTS} restarts, and the rules of the claims "
        "were applied to these modules; untrained networks are those that the networks without regularisation started "
        "from."
    )
    if not turned:
        return f"{how} No verdict turns."
    get = "gets" if len(turned) == 1 else "get"
    return f"{how} {capitalised(listed(f'“{one}”' for one in turned))} {get} another verdict."

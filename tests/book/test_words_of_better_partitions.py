"""The words on better partitions: gaps in percent, both verdicts of a claim, and which verdicts turn."""

import numpy as np
import pandas as pd

from modularity_lib.book.words import better_partitions as words
from modularity_lib.findings.claims import CLAIMS, Verdict
from modularity_lib.findings.inference import effect_over_runs

BEFORE, AFTER = (Verdict("reproduced", effect_over_runs(np.array([value])), None) for value in (0.1, 0.2))


def test_gaps_are_told_in_percent_by_what_networks_have() -> None:
    rows = [("none", 1234, 0.012, 0.083, 0.25, -0.01), ("l2", 5, 0.02, 0.03, 1.0, 0.0)]
    table = pd.DataFrame(rows, columns=["networks", "matrices", "mean", "largest", "as_good", "least"])
    assert words.gaps_markdown(table).splitlines() == [
        "| networks | matrices | gap: mean, largest | as good as the better one |",
        "|---|---|---|---|",
        "| baseline | 1,234 | 1.2%, 8.3% | 25% |",
        "| L2 penalty | 5 | 2.0%, 3.0% | 100% |",
    ]


def test_both_verdicts_of_a_claim_stand_in_their_columns() -> None:
    both = {claim.id: (BEFORE, AFTER) for claim in CLAIMS}
    lines = words.verdicts_markdown(both).splitlines()
    assert lines[0] == "| claim | the paper's search | better partitions |"
    assert lines[2:] == [
        f"| {claim.statement} | reproduced: 0.100 (0.100 to 0.100) | reproduced: 0.200 (0.200 to 0.200) |"
        for claim in CLAIMS
    ]


def test_a_verdict_changes_where_its_status_does() -> None:
    both = {claim.id: (BEFORE, AFTER) for claim in CLAIMS}
    text = words.verdicts_text(both)
    assert text.startswith("We searched every matrix once more with 5 restarts of find_modules and judged")
    assert text.endswith(" again. All verdicts stay as they are.")
    first, *_, last = CLAIMS
    both |= {claim.id: (BEFORE, Verdict("not reproduced", None, None)) for claim in (first, last)}
    assert words.verdicts_text(both).endswith(
        f" again. “{first.statement}” and “{last.statement}” get another verdict."
    )
    both[last.id] = (BEFORE, AFTER)
    assert words.verdicts_text(both).endswith(f" again. “{first.statement}” gets another verdict.")


def test_the_gap_over_all_networks_is_a_mean_over_matrices_and_the_worst_is_named() -> None:
    rows = [("none", 1, 0.04, 0.05), ("l2", 3, 0.02, 0.123)]
    table = pd.DataFrame(rows, columns=["networks", "matrices", "mean", "largest"])
    assert words.missed_text(table) == (
        "The paper's search stays 2.5 % below these partitions on average, and 12.3 % at worst (L2 penalty)."
    )

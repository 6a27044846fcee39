"""The findings whose tables are measured network by network, by name. `modularity finding NAME` measures one."""

import pandas as pd

from modularity_lib.findings import (
    better_partitions,
    lesions,
    linear_control,
    near_copies,
    published_numerics,
    rotated,
    silent_weights,
    training_course,
    two_sides,
)
from modularity_lib.findings.tables import Finding, table_at_hand
from modularity_lib.studies.results import Results

_ALL: tuple[Finding, ...] = (
    better_partitions.FINDING,
    lesions.FINDING,
    linear_control.FINDING,
    near_copies.FINDING,
    published_numerics.FINDING,
    rotated.FINDING,
    silent_weights.FINDING,
    training_course.FINDING,
    two_sides.FINDING,
)

FINDINGS: dict[str, Finding] = {finding.name: finding for finding in _ALL}


def finding_table(name: str, results: Results) -> pd.DataFrame:
    """The table of a finding, shipped or measured now: see `tables.table_at_hand`, which has the same errors."""
    return table_at_hand(FINDINGS[name], results)

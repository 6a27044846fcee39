"""What was known when: dates of rules and tables, what was measured again, and which rules came late."""

from typing import NamedTuple


class Dated(NamedTuple):
    """Something that was done, and the commit that did it."""

    what: str
    date: str  # as of `git log --date=iso`, to the minute; to the day where no commit is named
    commit: str = ""


HISTORY = (
    Dated("the limits of the claims were set", "2026-11-22 09:49", "38d319f"),
    Dated("a rule of a claim was changed for the last time before there were tables", "2026-11-22 11:23", "a2e48fc"),
    Dated("the first tables of v1 were complete", "2026-11-24 13:03", "537f2bf"),
    Dated("v1 was measured again, from the same weights, in double precision", "2026-11-24 14:01", "069c472"),
)
# Deciding numbers of the first tables of v1 (537f2bf), as the commit that replaced them gives them (069c472).
FIRST_TABLES = {"families-agree-within": 0.190, "families-differ": 0.127}
# Rules that were written when the nine runs of v1 were known.
SET_AFTER = (
    Dated("what counts as modules and what as having less in common", "2026-11-24 19:11", "e28682b"),
    Dated("Student's t in place of bootstrap intervals, which turned no verdict", "2026-11-26"),
    Dated("which units count as live", "2026-11-26"),
    Dated("the stricter rule on agreement within families", "2026-11-26"),
)
# Of the rules of the findings that the paper does not have: when they were set.
TABLES_FIRST = "after the tables of v1; rotated units after a pilot on three of its nine runs"
PILOT_FIRST = "after a pilot on three of the nine runs of v1, before all were measured"

"""The findings whose tables are measured network by network, by name. `modularity finding NAME` measures one."""

from modularity_lib.findings.tables import Finding

_ALL: tuple[Finding, ...] = ()

FINDINGS: dict[str, Finding] = {finding.name: finding for finding in _ALL}

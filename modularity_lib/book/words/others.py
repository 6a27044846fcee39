"""Words on what others found: the verdicts of this book beside them, and tests of Q that call noise modular."""

from collections.abc import Mapping, Sequence

import pandas as pd

from modularity_lib.book.words.prose import listed, markdown, percent, span
from modularity_lib.book.words.verdicts import by_version
from modularity_lib.findings.claims import ALPHA, CLAIMS, REPRODUCED, Verdict
from modularity_lib.findings.synthetic import rate_table
from modularity_lib.studies.catalogue import Study

TESTS = {
    "shuffled labels": "the modules that were found, on other units",
    "fixed modules in null matrices": "the modules that were found, in matrices of shuffled samples",
    "ml.test_modules": "modules searched for in matrices of shuffled samples",
}
# Pilots on runs 0 to 2 of v1 in half precision: share of the rise of Q, from no dropout to the strongest, of upstream
# measures that a null shows as well; and the range of its Q.
MOST_ENTROPY = {"share": 0.02, "lowest": 0.07, "highest": 0.12}
ROTATED_AFTER = {"share": 0.06}


_COUNTS = {2: "Two", 3: "Three"}  # as many as `TESTS` has

Judged = Mapping[str, Mapping[str, Verdict]]  # {study: verdicts of `judge_all`}


def short_text(studies: Sequence[Study], judged: Judged, p_values: Mapping[str, Sequence[float]]) -> str:
    """The answer of the page: what agrees, how many claims hold by each protocol, and how far tests err."""
    parts = []
    for version, names in by_version(studies).items():
        held = sorted({sum(verdict.status == REPRODUCED for verdict in judged[name].values()) for name in names})
        counts = f"{held[0]}" if len(held) == 1 else f"{held[0]} to {held[-1]}"
        counts = f"all {len(CLAIMS)}" if held == [len(CLAIMS)] else counts
        parts.append(f"{counts} under the {version}'s protocol")
    return (
        "Few studies looked at the same thing, and most of them agree. Dropout was found before to make networks more "
        "modular, in the graph of their weights. We found no study that compares the modules of what units receive "
        f"with those of what they do. Of the paper's {len(CLAIMS)} claims we reproduce {listed(parts)}. "
        f"{_noise_text(p_values)}"
    )


def claim_text(claim_id: str, studies: Sequence[Study], judged: Judged) -> str:
    """The verdicts on a claim by each protocol, in a sentence."""
    versions = by_version(studies)
    found = {
        version: " or ".join(dict.fromkeys(judged[name][claim_id].status for name in versions[version]))
        for version in versions
    }
    if len(versions) > 1 and len(set(found.values())) == 1:
        told = f"{next(iter(found.values()))} under both protocols"
    else:
        told = listed(f"{statuses} under the {version}'s protocol" for version, statuses in found.items())
    return f"Here this is {told}."


def _noise_text(p_values: Mapping[str, Sequence[float]]) -> str:
    """The same as `tests_head`, without the names."""
    wrong = _wrong(p_values)
    if wrong.empty:
        return tests_head(p_values)
    shares = wrong["called"] / wrong["matrices"]
    tests = "One test that is in use finds" if len(wrong) == 1 else f"{_COUNTS[len(wrong)]} tests that are in use find"
    return f"{tests} modules in pure noise in {span(shares, percent)} of cases."


def nulls_texts() -> dict[str, str]:
    """Nulls that were tried in pilots."""
    return {
        "null_entropy": (
            "Correlations with most entropy that keep each unit's sum. Their Q is "
            f"{MOST_ENTROPY['lowest']:.2f} to {MOST_ENTROPY['highest']:.2f} at every dropout and shows "
            f"{percent(MOST_ENTROPY['share'])} of the rise of Q of upstream measures (pilot, three runs). Signed "
            "correlations are near 0 on average, so their sums say little."
        ),
        "null_rotation": (
            "Units rotated after the ReLU, which keeps all that the layer can compute. They show "
            f"{percent(ROTATED_AFTER['share'])} of that rise (pilot, three runs)."
        ),
    }


def tests_markdown(p_values: Mapping[str, Sequence[float]]) -> str:
    """Markdown table: how often each of `TESTS` calls noise modular."""
    rates = _rates(p_values)
    cells = (
        [
            row["test"],
            TESTS[row["test"]],
            f"{row['called']} of {row['matrices']}",
            f"{percent(row['low'])} to {percent(row['high'])}",
        ]
        for row in rates.to_dict("records")
    )
    return markdown(["test", "compares Q with that of", "called modular", "95 % interval"], cells)


def tests_head(p_values: Mapping[str, Sequence[float]]) -> str:
    """Which tests call noise modular more often than they should, for a caption."""
    wrong = _wrong(p_values)
    if wrong.empty:
        return "No test calls noise modular more often than it should."
    shares = [f"{row['test']} in {percent(row['called'] / row['matrices'])}" for row in wrong.to_dict("records")]
    return f"Tests that are in use find modules in pure noise: {listed(shares)} of cases."


def _wrong(p_values: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    rates = _rates(p_values)
    return rates[rates["low"] > ALPHA]


def _rates(p_values: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    rows = [
        {"kind": "noise", "test": test, "matrix": index, "p_value": p}
        for test, of_test in p_values.items()
        for index, p in enumerate(of_test)
    ]
    return rate_table(pd.DataFrame(rows))

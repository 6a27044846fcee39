"""What the book says of the claims by other metrics."""

import pandas as pd
import pytest

from modularity_lib.book.words.metrics import by_metric_markdown, by_metric_text, by_sweep_markdown
from modularity_lib.findings.claims import NOT_REPRODUCED, PARTLY, REPRODUCED
from modularity_lib.findings.metrics import ALL, JUDGED, METRICS
from modularity_lib.vocabulary import KINDS


def made_up(**across: tuple[float, str]) -> pd.DataFrame:
    """Agreement of 0.5 within families, and across as given, with what the claim would be; L2 has half of that."""
    rows = []
    for metric in METRICS:
        mean, status = across.get(metric, (0.1, REPRODUCED))
        for networks, share in ((ALL, 1.0), ("l2", 0.5)):
            for kind in KINDS:
                found = mean * share if kind == "across" else 0.5
                row = {"metric": metric, "networks": networks, "kind": kind, "mean": found, "low": found - 0.2}
                rows.append({**row, "high": found + 0.2, "runs": 9, JUDGED[0]: REPRODUCED, JUDGED[1]: status})
    return pd.DataFrame(rows)


def test_metrics_that_agree_are_counted() -> None:
    text = by_metric_text(made_up())
    assert text == (
        "All 3 other ways to compare two clusterings give both verdicts of this page. By these and by element-centric "
        "similarity, agreement across the families is 0.10."
    )
    assert "But" not in text


def test_a_metric_that_gives_another_verdict_is_named() -> None:
    text = by_metric_text(made_up(adjusted=(0.4, NOT_REPRODUCED), similarity_spearman=(0.3, PARTLY)))
    assert text.startswith("2 of 3")
    assert "across the families is 0.10 to 0.40. But by adj" in text
    assert (
        "by adjusted mutual information, variation of information the claim on pairs across the families is not" in text
    )
    assert "rank correlation (RSA) the claim on pairs across the families is partly reproduced (0.30 across)" in text


def test_without_pairs_of_some_kind_it_is_said() -> None:
    assert by_metric_text(made_up().iloc[:0]) == "Could not test: this study lacks pairs of some kind."


def test_over_live_units_the_verdicts_are_compared_with_those_over_live_units() -> None:
    text = by_metric_text(made_up().query("metric != 'similarity_spearman'"), live=True)
    assert text.startswith(
        "All 3 other ways to compare two clusterings give the verdicts of element-centric similarity over"
    )


@pytest.mark.parametrize(("markdown", "cells"), [(by_metric_markdown, 6), (by_sweep_markdown, 2)])
def test_the_tables_have_a_row_for_each_metric(markdown, cells) -> None:
    head, _, *rows = markdown(made_up(rmi=(-0.05, REPRODUCED))).splitlines()
    assert len(rows) == len(METRICS)
    assert all(line.count(" | ") == cells - 1 for line in (head, *rows))
    assert "−" in rows[list(METRICS).index("rmi")]


def test_the_table_by_sweep_has_the_sweeps_that_there_are() -> None:
    assert by_sweep_markdown(made_up()).splitlines()[0] == "| metric | L2 |"
    assert "0.050 [−0.150, 0.250] reproduced" in by_sweep_markdown(made_up())

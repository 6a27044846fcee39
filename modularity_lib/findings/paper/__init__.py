"""Numbers read off the published figures, for comparison and overlay only."""

from pathlib import Path

import pandas as pd

TABLES = (
    "q_vs_regularisation",
    "n_modules_vs_regularisation",
    "agreement",
    "agreement_by_strength",
    "performance_and_norms",
    "metric_agreement",
)


def published(table: str) -> pd.DataFrame:
    """One table of published numbers, with `reading_error`: the half-width of what could be read differently.

    Args:
        table: one of `TABLES`; the figure each comes from is in `README.md` in this folder.
    Raises:
        ValueError: unknown table.
    Source: arXiv:2203.11815v1.
    """
    if table not in TABLES:
        raise ValueError(f"table must be one of {', '.join(map(repr, TABLES))}, got {table!r}.")
    return pd.read_csv(Path(__file__).parent / f"{table}.csv")

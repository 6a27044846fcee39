"""Published numbers beside those of a study, with differences in units of their combined error. For comparison only."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd

from modularity_lib.arrays import shown
from modularity_lib.findings.paper import published
from modularity_lib.studies.catalogue import Study
from modularity_lib.studies.results import LAYER_OF_NETWORK, Results, sweep
from modularity_lib.vocabulary import REGULARISERS, did_you_mean

_METRICS = ("greedy", "rmi", "rmi_norm", "vi", "vi_norm", "element_centric", "similarity_spearman")


def compare_with_paper(results: Results, table: str) -> pd.DataFrame:
    """Join a table of published numbers with the same quantities of a study.

    Args:
        results: tables of a study.
        table: "q_vs_regularisation", "untrained_q", "n_modules_vs_regularisation", "untrained_n_modules", "agreement",
            "agreement_by_strength", "performance_and_norms" or "metric_agreement".
    Returns:
        A row per published number: the columns that say what it is, then

        paper, reading_error: the published value, and the half-width of what could be read differently;
        here, sem, n: the value of the study, its standard error, and over how many runs (or networks) it is a mean;
        difference: here - paper;
        in_errors: the difference in units of √(2 sem² + reading_error²). The paper's own standard error cannot be
            read off everywhere; as it has as many runs of the same kind, it is taken to be as large as ours.

        `here` is NaN where the study has no such network.
    Raises:
        ValueError: results are no tables of a study, or the table is unknown.

    >>> from modularity_lib.findings.paper import published
    >>> published("agreement").columns.tolist()
    ['networks', 'measure_a', 'measure_b', 'element_centric', 'reading_error']
    """
    if not isinstance(results, Results):
        raise ValueError(
            f"results must be the Results of a study, got {shown(results)}. run_study('v1') gives those shipped."
        )
    if not isinstance(table, str) or table not in _COMPARISONS:
        known = ", ".join(map(repr, _COMPARISONS))
        raise ValueError(f"table must be one of {known}, got {shown(table)}.{did_you_mean(table, _COMPARISONS)}")
    return _beside(*_COMPARISONS[table](results))


def _beside(paper: pd.DataFrame, ours: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    joined = paper.merge(ours, on=list(names), how="left")
    joined["difference"] = joined["here"] - joined["paper"]
    error = np.sqrt(2 * joined["sem"].fillna(0) ** 2 + joined["reading_error"] ** 2)
    joined["in_errors"] = joined["difference"] / error
    return joined[[*names, "paper", "reading_error", "here", "sem", "n", "difference", "in_errors"]]


_Parts = tuple[pd.DataFrame, pd.DataFrame, Sequence[str]]


def _over_runs(rows: pd.DataFrame, by: Sequence[str], value: str) -> pd.DataFrame:
    """Mean over layers and runs, with the standard error over the runs' means."""
    by_run = rows.groupby([*by, "run"])[value].mean().reset_index()
    return by_run.groupby(list(by))[value].agg(here="mean", sem="sem", n="count").reset_index()


def _sweeps(rows: pd.DataFrame, results: Results) -> pd.DataFrame:
    parts = [sweep(rows, results.study, name).assign(regulariser=name) for name in REGULARISERS]
    table = pd.concat(parts)
    return table.assign(strength=table["strength"].round(9))


def _strengths_as_ours(paper: pd.DataFrame) -> pd.DataFrame:
    return paper.assign(strength=paper["strength"].round(9))


def _against_regularisation(results: Results, *, table: str, published_as: str, column: str) -> _Parts:
    """A column of the modules along the sweeps."""
    paper = _strengths_as_ours(published(table)).rename(columns={published_as: "paper"})
    rows = _sweeps(results.analysed("modules", trained=True), results)
    names = ("measure", "regulariser", "strength")
    return paper, _over_runs(rows, names, column), names


def _untrained(results: Results, *, table: str, column: str) -> _Parts:
    """Mean and s.d. of a column of the modules of untrained networks."""
    first = published(table).groupby("measure", as_index=False).first()
    statistics = {"mean": first["untrained_mean"], "sd": first["untrained_sd"]}
    paper = pd.concat(
        pd.DataFrame({"measure": first["measure"], "statistic": name, "paper": values, "reading_error": 0.0})
        for name, values in statistics.items()
    )
    values = results.analysed("modules", trained=False).groupby("measure")[column]
    ours = pd.concat(
        pd.DataFrame({"here": value, "sem": error, "n": values.count()}).assign(statistic=name).reset_index()
        for name, value, error in (
            ("mean", values.mean(), values.sem()),
            ("sd", values.std(), values.std() / np.sqrt(2 * values.count())),
        )
    )
    return paper, ours, ("measure", "statistic")


def _agreement(results: Results) -> _Parts:
    paper = published("agreement").rename(columns={"element_centric": "paper"})
    names = ("networks", "measure_a", "measure_b")
    ours = [
        _over_runs(results.analysed("agreement", trained=trained).assign(networks=label), names, "element_centric")
        for label, trained in (("trained", True), ("untrained", False))
    ]
    return paper, pd.concat(ours), names


def _agreement_by_strength(results: Results) -> _Parts:
    paper = _strengths_as_ours(published("agreement_by_strength")).rename(columns={"element_centric": "paper"})
    names = ("regulariser", "strength", "measure_a", "measure_b")
    rows = _sweeps(results.analysed("agreement", trained=True), results)
    # The published maps have either order of two measures.
    turned = rows.rename(columns={"measure_a": "measure_b", "measure_b": "measure_a"})
    return paper, _over_runs(pd.concat([rows, _of_two_measures(turned)]), names, "element_centric"), names


def _performance(results: Results) -> _Parts:
    paper = _strengths_as_ours(published("performance_and_norms")).rename(columns={"mean": "paper"})
    # The published figure shows all networks, those of low accuracy too.
    networks = results.networks[results.networks["trained"] & (results.networks["status"] == "ok")]
    rows = _sweeps(networks, results).melt(
        id_vars=["regulariser", "strength", "run"],
        value_vars=sorted(paper["quantity"].unique()),
        var_name="quantity",
    )
    names = ("quantity", "regulariser", "strength")
    return paper, _over_runs(rows, names, "value"), names


_ENTRIES = {
    "every pair once, each measure with itself": lambda rows: rows,
    "every pair in both orders, each measure with itself": lambda rows: pd.concat([rows, _of_two_measures(rows)]),
    "every pair once, no measure with itself": lambda rows: _of_two_measures(rows),
}


def _of_two_measures(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["measure_a"] != rows["measure_b"]]


def _metric_agreement(results: Results, entries: str = "every pair once, each measure with itself") -> _Parts:
    """Absolute correlation of two metrics over the entries of a layer's 8 x 8 matrix, mean over layers and runs.

    The paper does not say over which entries it correlates. The choice here is the one of `metric_choices` that comes
    closest to the published values: it was made by looking at them.
    """
    paper = published("metric_agreement").rename(columns={"mean_abs_correlation": "paper"})
    rows = _ENTRIES[entries](results.analysed("agreement", trained=True))
    correlations = rows.groupby(LAYER_OF_NETWORK)[list(_METRICS)].corr().abs()
    pairs = []
    for metric_a, metric_b in combinations(_METRICS, 2):
        sizes = correlations[metric_b].xs(metric_a, level=-1).dropna().rename("here").reset_index()
        pairs.append(sizes.assign(metric_a=metric_a, metric_b=metric_b))
    names = ("metric_a", "metric_b")
    return paper, _over_runs(pd.concat(pairs), names, "here"), names


def metric_choices(results: Results) -> pd.DataFrame:
    """Distance of the metric correlations from the published ones, for each choice of matrix entries.

    Returns:
        `entries`, `mean` and `largest` (absolute difference), `signed` (mean difference), `within_two` (share within
        two combined errors).
    """
    rows = []
    for entries in _ENTRIES:
        table = _beside(*_metric_agreement(results, entries))
        distance = table["difference"].abs()
        within = (table["in_errors"].abs() <= 2).mean()
        measured = {"mean": distance.mean(), "largest": distance.max(), "signed": table["difference"].mean()}
        rows.append({"entries": entries, **measured, "within_two": within})
    return pd.DataFrame(rows)


_COMPARISONS: dict[str, Callable[[Results], _Parts]] = {
    "q_vs_regularisation": partial(
        _against_regularisation, table="q_vs_regularisation", published_as="Q", column="score"
    ),
    "untrained_q": partial(_untrained, table="q_vs_regularisation", column="score"),
    "n_modules_vs_regularisation": partial(
        _against_regularisation, table="n_modules_vs_regularisation", published_as="n_modules", column="n_modules"
    ),
    "untrained_n_modules": partial(_untrained, table="n_modules_vs_regularisation", column="n_modules"),
    "agreement": _agreement,
    "agreement_by_strength": _agreement_by_strength,
    "performance_and_norms": _performance,
    "metric_agreement": _metric_agreement,
}


def repeats_the_paper(study: Study) -> bool:
    """Whether a study repeats the paper's experiment, so that published values belong beside its own."""
    return (study.dataset, study.protocol, tuple(study.hidden)) == ("mnist", "v1", (64, 64))

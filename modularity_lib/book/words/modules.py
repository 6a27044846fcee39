"""Words on the search for modules, and on what Q does where the truth is known."""

import pandas as pd

from modularity_lib.book.words.prose import listed, markdown
from modularity_lib.findings.search_quality import METHODS, SEARCH
from modularity_lib.findings.synthetic import BLOCKS_IN_TEST, LEVEL, TESTED, rate_table

CLOSE = 0.99  # share of the best Q from which a search counts as nearly the best
FOUND = 0.99  # element-centric similarity with the planted blocks from which they count as found
MADE_UP = ("noise", "planted blocks")  # kinds of matrices that come from no network


def gap_markdown(gaps: pd.DataFrame) -> str:
    """Markdown table: mean and largest gap of each method on each kind of matrix."""
    kinds = gaps["kind"].unique()
    gap = gaps.groupby(["method", "kind"])["gap"]
    mean, largest = gap.mean(), gap.max()
    rows = (
        [method, *(f"{mean[method, kind]:.1%} ({largest[method, kind]:.1%})" for kind in kinds)]
        for method in gaps["method"].unique()
    )
    return markdown(["method", *kinds], rows)


def exact_markdown(exact: pd.DataFrame) -> str:
    """Markdown table: how often each method reaches the largest Q of all partitions, and how far it stays below."""
    rows = []
    for method, found in exact.groupby("method", sort=False):
        reached, missed = int((found["gap"] <= 1e-9).sum()), found["gap"].clip(lower=0.0)
        rows.append([method, f"{reached} of {len(found)}", f"{missed.mean():.4f}", f"{missed.max():.4f}"])
    return markdown(["method", "reaches the largest Q", "Q missed, mean", "Q missed, most"], rows)


def bounds_markdown(summary: pd.DataFrame) -> str:
    """Markdown table: of how many matrices the best partition is proven, and how often two searches find it."""
    rows = (
        [
            f"{row['dropout']:g}",
            f"{row['proven']:.0f} of {row['matrices']:.0f}",
            f"{row['proven_soon']:.0f}",
            f"{row['search_reaches']:.0f}",
            f"{row['search_gap']:.1%} ({row['largest_search_gap']:.1%})" if row["proven"] else "–",
            f"{row['default_reaches']:.0f}",
        ]
        for row in summary.to_dict("records")
    )
    paper, default = "found by the paper's search", "found by `find_modules`"
    return markdown(["dropout", "best proven", "in ten seconds", paper, "paper's search below it", default], rows)


def bounds_text(summary: pd.DataFrame) -> str:
    """For how many whole layers the best modules are proven, and how often two searches find these."""
    matrices, proven, found, default = (
        int(summary[column].sum()) for column in ("matrices", "proven", "search_reaches", "default_reaches")
    )
    which = f"all {matrices}" if proven == matrices else f"{proven} of {matrices}"
    if proven == 0:
        return f"The best partition is proven for none of {matrices} matrices."
    open_ = (
        "" if proven == matrices else f" Of the others Q can be larger by {summary['largest_gap'].max():.1%} at most."
    )
    return (
        f"The best partition is proven for {which} matrices.{open_} One search of the paper finds it in {found} of "
        f"them, one call of find_modules in {default}."
    )


def texts(
    gaps: pd.DataFrame,
    near: pd.DataFrame,
    exact: pd.DataFrame,
    floor: pd.DataFrame,
    common: pd.DataFrame,
    p_values: pd.DataFrame,
    bounded: pd.DataFrame,
) -> dict[str, str]:
    """What `search_quality` and `synthetic` found, in words."""
    kinds = gaps.groupby("kind", sort=False)["matrix"].nunique()
    return {
        "n_matrices": ", ".join(f"{count} of {kind}" for kind, count in kinds.items()),
        "gap_sentence": gap_text(gaps),
        "exact_size": f"{exact['matrix'].nunique()} matrices",
        "near_sentence": near_text(near),
        "floor_sentence": floor_text(floor),
        "common_sentence": common_text(common),
        "rates_sentence": rates_text(p_values),
        "close": f"{1 - CLOSE:.0%}",
        "bounds_sentence": bounds_text(bounded),
        "level": f"{LEVEL:.0%}",
        "draws": f"{floor['draws'].iloc[0]}",
        "draws_common": f"{common['draws'].iloc[0]}",
        "n_tested": f"{p_values['matrix'].nunique()}",
        "blocks_tested": f"{BLOCKS_IN_TEST['blocks']:.0f} blocks of correlation {BLOCKS_IN_TEST['shared']:g}",
        "common_tested": f"{max(share for share in TESTED.values() if share is not None):g}",
    }


def short_text(gaps: pd.DataFrame, bounded: pd.DataFrame, *, verdicts_stay: bool | None) -> str:
    """How good both searches are, and whether it matters, in a few sentences.

    Args:
        gaps: of `search_quality.gap_table`.
        bounded: of `bounds.summary`.
        verdicts_stay: whether better partitions leave all verdicts as they are; None: that was not measured.
    """
    of_networks = gaps[~gaps["kind"].isin(MADE_UP) & (gaps["method"] == SEARCH)]
    proven, paper, default = (int(bounded[name].sum()) for name in ("proven", "search_reaches", "default_reaches"))
    told = f"A single run of the paper's search ends {of_networks['gap'].mean():.1%} below the best Q that is known."
    if proven:
        told += (
            f" Of {proven} layers whose best partition is proven, it finds that one in {paper}, and the default of "
            f"find_modules in {default}."
        )
    if verdicts_stay is not None:
        told += " Better partitions turn no verdict." if verdicts_stay else " Better partitions turn a verdict."
    return told + " A high Q by itself proves nothing: noise has one, too."


def gap_text(gaps: pd.DataFrame) -> str:
    """How far one search of the paper ends below the best on the matrices of networks, and what ends closer."""
    kinds = dict(list(gaps[~gaps["kind"].isin(MADE_UP)].groupby("kind", sort=False)))
    own = {str(kind): rows.loc[rows["method"] == SEARCH, "gap"] for kind, rows in kinds.items()}
    means = listed(f"{gap.mean():.1%} for {kind} measures" for kind, gap in own.items())
    most = max(gap.max() for gap in own.values())
    closer = []
    for kind, rows in kinds.items():
        by_method = rows.groupby("method", sort=False)["gap"].mean()
        ahead = [name for name in by_method.index if name in METHODS and by_method[name] < by_method[SEARCH]]
        ends = f"{listed(ahead)} end{'s' * (len(ahead) == 1)}" if ahead else "no other method ends"
        closer.append(f"{ends} closer for {kind!s} measures")
    return (
        f"A single run of the paper's search ends below the best Q that is known: by {means}, on average over the "
        f"matrices, and by {most:.1%} at worst. Of the methods that run once {listed(closer)}."
    )


def near_text(near: pd.DataFrame) -> str:
    """How alike the modules of nearly equally good searches are."""
    close = near[~near["is_best"] & (near["share"] >= CLOSE)]
    found = [
        f"{rows['alike'].mean():.2f} for {kind} (chance {rows['chance'].mean():.2f})"
        for kind, rows in close.groupby("kind", sort=False)
    ]
    if not found:
        return "No other search comes so near."
    return f"Their similarity to the best one's is {listed(found)}."


def floor_text(floor: pd.DataFrame) -> str:
    """Q of noise, and what it depends on."""
    most, largest = floor["samples"].max(), floor["units"].max()
    by_units = floor.loc[floor["samples"] == most, "mean"]
    by_samples = floor.loc[floor["units"] == largest, "mean"]
    return (
        f"Pure noise scores between {by_units.min():.2f} and {by_units.max():.2f}, depending on the number of units. "
        f"The number of samples hardly matters: for {largest} units Q lies between {by_samples.min():.3f} and "
        f"{by_samples.max():.3f}."
    )


def common_text(common: pd.DataFrame) -> str:
    """What a common factor does to the Q of planted blocks, and whether they are found."""
    return " ".join(_common_text(within, rows) for within, rows in common.groupby("shared"))


def rates_text(p_values: pd.DataFrame) -> str:
    """How often each test calls each kind of matrix modular."""
    return " ".join(
        f"On {kind}, {listed(_rate_text(row) for _, row in rows.iterrows())}."
        for kind, rows in rate_table(p_values).groupby("kind", sort=False)
    )


def _common_text(within: object, rows: pd.DataFrame) -> str:
    first, last = rows.iloc[0], rows.iloc[-1]
    found = rows["recovered"] >= FOUND
    still = rows.loc[found.cummin(), "common"]
    if found.all():
        recovered = "though the blocks are found throughout"
    elif still.empty:
        recovered = "and the blocks are found in none of these cases"
    else:
        recovered = f"and the blocks are found up to {still.iloc[-1]:g}"
    return (
        f"With a correlation of {within:g} within blocks Q goes from {first['score']:.3f} to {last['score']:.3f} as "
        f"the correlation shared by all units goes from {first['common']:g} to {last['common']:g}, {recovered}."
    )


def _rate_text(row: pd.Series) -> str:
    return (
        f"the test by {row['test']} calls {row['called']} of {row['matrices']} modular "
        f"({row['rate']:.0%}, 95 % interval {row['low']:.0%} to {row['high']:.0%})"
    )

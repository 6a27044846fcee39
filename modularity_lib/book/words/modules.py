"""Words on the search for modules, and on what Q does where the truth is known."""

import pandas as pd

from modularity_lib.book.words.prose import listed, markdown, percent, span
from modularity_lib.findings.search_quality import METHODS, SEARCH
from modularity_lib.findings.synthetic import BLOCKS_IN_TEST, LEVEL, SEARCHED, SHUFFLED, TESTED, rate_table

CLOSE = 0.99  # share of the best Q from which a search counts as nearly the best
FOUND = 0.99  # element-centric similarity with the planted blocks from which they count as found
REACHED = 1e-9  # Q missed up to here is rounding
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
        reached, missed = int((found["gap"] <= REACHED).sum()), found["gap"].clip(lower=0.0)
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
    return markdown(["dropout", "best proven", "in ten seconds", paper, "below it", default], rows)


def bounds_text(summary: pd.DataFrame) -> str:
    """For how many whole layers the best modules are proven, and how far Q of the others could be from it."""
    matrices, proven = int(summary["matrices"].sum()), int(summary["proven"].sum())
    if proven == matrices:
        return f"The best partition is proven for all {matrices} matrices."
    if proven == 0:
        return f"The best partition is proven for none of {matrices} matrices."
    return (
        f"The best partition is proven for {proven} of {matrices} matrices. Of the others Q can be larger by "
        f"{percent(summary['largest_gap'].max(), digits=1)} at most."
    )


def captions(gaps: pd.DataFrame, exact: pd.DataFrame, bounded: pd.DataFrame, p_values: pd.DataFrame) -> dict[str, str]:
    """The finding of each table, in bold, and what is in it."""
    of_networks = gaps[~gaps["kind"].isin(MADE_UP) & gaps["method"].isin(list(METHODS))]
    closest = of_networks.groupby("method", sort=False)["gap"].mean().idxmin()
    own = exact.loc[exact["method"] == SEARCH, "gap"]
    found, default, proven = (int(bounded[name].sum()) for name in ("search_reaches", "default_reaches", "proven"))
    rates = rate_table(p_values).set_index(["kind", "test"])["rate"]
    shuffled, searched = (percent(rates["noise", test]) for test in (SHUFFLED, SEARCHED))
    closest = "the paper's search" if closest == SEARCH else closest
    return {
        "gaps": (
            f"**Of the methods that run once, {closest} ends closest to the best Q, on average over matrices of "
            "networks.** Gap: mean and, in brackets, the largest."
        ),
        "exact": (
            f"**The paper's search finds the best of all partitions in {int((own <= REACHED).sum())} of {len(own)} "
            "small matrices.** The last columns say how much Q a method misses."
        ),
        "bounds": (
            f"**Of {proven} proven best partitions the paper's search finds {found}, find_modules {default}.** Below "
            "it: how far Q of the paper's search stays below a proven best, mean and, in brackets, most."
        ),
        "rates": (
            f"**Of matrices of noise, shuffled labels call {shuffled} modular, and a null model that is searched, too, "
            f"{searched}.** Share with p of {LEVEL:g} or less; a valid test has {percent(LEVEL)} on noise."
        ),
    }


def rates_markdown(p_values: pd.DataFrame) -> str:
    """Markdown table: how often each test calls each kind of matrix modular, with its 95 % interval."""
    rows = rate_table(p_values)
    tests = list(dict.fromkeys(rows["test"]))
    cells = rows.set_index(["kind", "test"])
    lines = ([kind, *(_rate_text(cells.loc[(kind, test)]) for test in tests)] for kind in dict.fromkeys(rows["kind"]))
    return markdown(["matrices", *tests], lines)


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
    return {
        "gap_sentence": gap_text(gaps),
        "exact_size": f"{exact['matrix'].nunique()} matrices",
        "near_sentence": near_text(near),
        "floor_sentence": floor_text(floor),
        "common_sentence": common_text(common),
        "close": f"{1 - CLOSE:.0%}",
        "bounds_sentence": bounds_text(bounded),
        "draws": f"{floor['draws'].iloc[0]}",
        "draws_common": f"{common['draws'].iloc[0]}",
        "n_tested": f"{p_values['matrix'].nunique()}",
        "blocks_tested": f"{BLOCKS_IN_TEST['blocks']:.0f} blocks of correlation {BLOCKS_IN_TEST['shared']:g}",
        "common_tested": f"{max(share for share in TESTED.values() if share is not None):g}",
    }


def short_text(gaps: pd.DataFrame, bounded: pd.DataFrame, floor: pd.DataFrame, *, verdicts_stay: bool | None) -> str:
    """How good both searches are, whether it matters, and what Q alone does not say, in a few sentences.

    Args:
        gaps: of `search_quality.gap_table`.
        bounded: of `bounds.summary`.
        floor: of `synthetic.floor_table`.
        verdicts_stay: whether better partitions leave all verdicts as they are; None: that was not measured.
    """
    gap = gaps.loc[~gaps["kind"].isin(MADE_UP) & (gaps["method"] == SEARCH), "gap"]
    proven, paper, default = (int(bounded[name].sum()) for name in ("proven", "search_reaches", "default_reaches"))
    told = (
        f"One run of the paper's search ends {percent(gap.mean(), digits=1)} below the best Q that is known, "
        f"{percent(gap.max(), digits=1)} at worst in these matrices."
    )
    if proven:
        told += (
            f" It finds the proven best partition of {paper} of {proven} matrices, and our find_modules that of "
            f"{f'all {proven}' if default == proven else default}."
        )
    if verdicts_stay is not None:
        told += (
            " With better partitions all verdicts stay as they are."
            if verdicts_stay
            else " With better partitions a verdict changes."
        )
    return f"{told} But noise has a Q of {_noise_range(floor)}: what a Q means, only a null model can say."


def gap_text(gaps: pd.DataFrame) -> str:
    """Which methods that run once end closer than one search of the paper, on the matrices of networks."""
    kinds = dict(list(gaps[~gaps["kind"].isin(MADE_UP)].groupby("kind", sort=False)))
    closer = []
    for kind, rows in kinds.items():
        by_method = rows.groupby("method", sort=False)["gap"].mean()
        ahead = [name for name in by_method.index if name in METHODS and by_method[name] < by_method[SEARCH]]
        ends = f"{listed(ahead)} end{'s' * (len(ahead) == 1)}" if ahead else "none ends"
        closer.append(f"{ends} closer for {kind!s} measures")
    return f"Of the other methods that run once, {listed(closer)}."


def near_text(near: pd.DataFrame) -> str:
    """How alike the modules of nearly equally good searches are, corrected for chance."""
    close = near[~near["is_best"] & (near["share"] >= CLOSE)]
    corrected = (close["alike"] - close["chance"]) / (1.0 - close["chance"])
    found = [
        f"{mean:.2f} for {kind}{'' if kind in MADE_UP else ' measures'}"
        for kind, mean in corrected.groupby(close["kind"], sort=False).mean().items()
    ]
    if not found:
        return "No other search comes so near."
    return f"Their agreement with the best one is {listed(found)}, where 0 is chance and 1 the same modules."


def floor_text(floor: pd.DataFrame) -> str:
    """Q of noise, and what it depends on."""
    largest = floor["units"].max()
    by_samples = floor.loc[floor["units"] == largest, "mean"]
    return (
        f"Q of pure noise is {_noise_range(floor)}, depending on the number of units. The number of samples hardly "
        f"matters: for {largest} units Q is {span(by_samples, '{:.3f}'.format)}."
    )


def _noise_range(floor: pd.DataFrame) -> str:
    """Q of noise by the number of units, at the largest number of samples."""
    return span(floor.loc[floor["samples"] == floor["samples"].max(), "mean"], "{:.2f}".format)


def common_text(common: pd.DataFrame) -> str:
    """What a common factor does to the Q of planted blocks, and whether they are found."""
    return " ".join(_common_text(within, rows) for within, rows in common.groupby("shared"))


def _common_text(within: object, rows: pd.DataFrame) -> str:
    first, last = rows.iloc[0], rows.iloc[-1]
    found = rows["recovered"] >= FOUND
    still = rows.loc[found.cummin(), "common"]
    if found.all():
        recovered = "Yet the blocks are found throughout."
    elif still.empty:
        recovered = "The blocks are found in none of these cases."
    else:
        recovered = f"The blocks are found up to {still.iloc[-1]:g}."
    return (
        f"Blocks of units with a correlation of {within:g} have a Q of {first['score']:.2f} where all units share a "
        f"correlation of {first['common']:g}, and of {last['score']:.2f} where they share {last['common']:g}. "
        f"{recovered}"
    )


def _rate_text(row: pd.Series) -> str:
    return f"{percent(row['rate'])} ({percent(row['low'])} to {percent(row['high'])})"

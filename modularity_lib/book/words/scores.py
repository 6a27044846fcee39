"""Words on the correlations of similarity scores between measures."""

import pandas as pd

from modularity_lib.book.words.prose import listed, markdown
from modularity_lib.vocabulary import KINDS, LABELS, REGULARISERS, SWEEP_NAMES


def score_texts(means: pd.DataFrame) -> dict[str, str]:
    """What `mean_correlations` found, in sentences.

    `score_short`: the answer of the page; `score_verdict`: whether the families agree over whole sweeps;
    `score_untrained`: and among untrained ones;
    `score_head`, `score_fixed_head`: for captions.
    """
    trained, untrained = means[means["sweep"] != "untrained"], means[means["sweep"] == "untrained"]
    free, fixed = (trained[trained["strength"] == name] for name in ("free", "fixed"))
    across = free[free["kind"] == "across"]
    before, after = across["mean"].mean(), fixed.loc[fixed["kind"] == "across", "mean"].mean()
    if after < before / 2:
        head = "Most of what the families share is that Q of both changes with the strength of the regulariser."
        because = ", since Q of both families changes with the strength of the regulariser"
    else:
        head = "The families share more than that Q of both changes with the strength of the regulariser."
        because = ""
    return {
        "score_short": (
            f"{_answer(across, fixed)} Over the networks of a sweep the correlation is {before:z.2f}{because}."
        ),
        "score_head": _head(across),
        "score_verdict": _verdict(across),
        "score_fixed_head": head,
        "score_untrained": _untrained_text(untrained),
    }


def sweeps_markdown(means: pd.DataFrame) -> str:
    """Markdown table: mean rank correlation of Q, averaged over layers, by sweep and kind of pair."""
    free = means[means["strength"] == "free"]
    rows = []
    for sweep in (*REGULARISERS, "untrained"):
        chosen = free[free["sweep"] == sweep].groupby("kind")["mean"].mean().reindex(KINDS)
        if chosen.notna().all():
            rows.append([SWEEP_NAMES.get(sweep, sweep), *(f"{mean:.2f}" for mean in chosen)])
    if not rows:
        return "There are too few networks to compare."
    return markdown(["networks", *(LABELS[kind] for kind in KINDS)], rows)


def _panel(row: pd.Series) -> str:
    return f"{SWEEP_NAMES[row['sweep']]} layer {row['layer']}"


def _answer(across: pd.DataFrame, fixed: pd.DataFrame) -> str:
    """Whether the families agree among networks of one setting, which is what the page asks."""
    if across["low"].isna().all():
        runs = int(across["runs"].max()) if len(across) else 0
        return f"There is no interval over {runs} run{'' if runs == 1 else 's'}, and so no verdict."
    means = fixed.groupby("kind")["mean"].mean()
    within = means.reindex(["upstream", "downstream"])
    answer = "Hardly, across the families" if means["across"] < within.min() / 2 else "Partly, across the families"
    return (
        f"{answer}: among networks of one setting the mean rank correlation of Q is {means['across']:z.2f} for two "
        f"measures of different families, {within['upstream']:.2f} for two upstream ones and "
        f"{within['downstream']:.2f} for two downstream ones."
    )


def _head(across: pd.DataFrame) -> str:
    """Over whole sweeps, for the picture of all networks."""
    agreeing = across["low"] > 0
    if agreeing.all():
        return "As a regulariser gets stronger, Q of both families changes alike."
    if not agreeing.any():
        return "As a regulariser gets stronger, Q of one family does not follow that of the other."
    return "Whether Q of both families changes alike depends on the regulariser and the layer."


def _verdict(across: pd.DataFrame) -> str:
    """In how many sweeps and layers the families agree, and in which where these are not all."""
    agreeing = across["low"] > 0
    of = f"{int(agreeing.sum())} of {len(across)} sweeps and layers"
    if agreeing.all():
        of = f"all {len(across)} sweeps and layers"
    elif agreeing.any():
        of += f" ({listed(_panel(row) for _, row in across[agreeing].iterrows())})"
    return f"Over whole sweeps the 95 % interval of the correlation across the families lies above 0 in {of}."


def _untrained_text(untrained: pd.DataFrame) -> str:
    if untrained["mean"].isna().all():
        return "There are too few untrained networks to compare."
    return (
        f"The {untrained['networks'].max():,} untrained networks differ in nothing but their random weights. Across "
        f"the families their correlation is {untrained.loc[untrained['kind'] == 'across', 'mean'].mean():z.2f}."
    )

"""Words on the correlations of similarity scores between measures."""

import numpy as np
import pandas as pd

from modularity_lib.book.words.prose import listed, markdown
from modularity_lib.vocabulary import KINDS, LABELS, REGULARISERS, SWEEP_NAMES


def score_texts(means: pd.DataFrame) -> dict[str, str]:
    """What `mean_correlations` found, in sentences.

    `score_short`: the answer of the page; `score_verdict`: whether the measures agree on how modular a layer is;
    `score_fixed`: whether they still do among networks of one setting; `score_untrained`: and among untrained ones;
    `score_head`, `score_fixed_head`: for captions.
    """
    trained, untrained = means[means["sweep"] != "untrained"], means[means["sweep"] == "untrained"]
    free, fixed = (trained[trained["strength"] == name] for name in ("free", "fixed"))
    across = free[free["kind"] == "across"]
    agreeing = across["low"] > 0
    names = [_panel(row) for _, row in across[agreeing].iterrows()]
    before, after = across["mean"].mean(), fixed.loc[fixed["kind"] == "across", "mean"].mean()
    within = fixed.loc[fixed["kind"].isin(("upstream", "downstream")), "mean"].mean()
    answer = _answer(agreeing.to_numpy()) if across["low"].notna().any() else _without_intervals(across)
    if after < before / 2:
        follows = "At fixed strength less than half of the correlation across the families is left."
        head = "What the families share is mostly that both follow the regulariser."
    else:
        follows = "At fixed strength half of the correlation across the families or more is left."
        head = "The families share more than that both follow the regulariser."
    return {
        "score_short": (
            f"{answer} Across the families the mean rank correlation of Q is {before:.2f} over the networks of a "
            f"sweep, and {after:.2f} among networks of the same setting. {head}"
        ),
        "score_head": answer,
        "score_verdict": (
            f"Across the families the 95 % interval lies above 0 in {int(agreeing.sum())} of {len(across)} sweeps and "
            f"layers{f' ({listed(names)})' if names else ''}."
        ),
        "score_fixed": f"{follows} Within the families the correlation is {within:.2f} there.",
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


def _answer(agreeing: np.ndarray) -> str:
    if agreeing.all():
        return "A network that one family calls more modular, the other does too."
    if not agreeing.any():
        return "Which network is more modular depends on the family of the measure."
    return "Whether the other family calls the same networks more modular depends on the regulariser and the layer."


def _without_intervals(across: pd.DataFrame) -> str:
    runs = int(across["runs"].max()) if len(across) else 0
    return f"There is no interval over {runs} run{'' if runs == 1 else 's'}, and so no verdict."


def _untrained_text(untrained: pd.DataFrame) -> str:
    if untrained["mean"].isna().all():
        return "There are too few untrained networks to compare."
    return (
        f"The {untrained['networks'].max():,} untrained networks differ in nothing but their random weights. Across "
        f"the families their correlation is {untrained.loc[untrained['kind'] == 'across', 'mean'].mean():.2f}."
    )

"""Words on the correlations of similarity scores between measures."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from modularity_lib.vocabulary import KINDS, REGULARISERS, SWEEP_NAMES


def score_texts(means: pd.DataFrame) -> dict[str, str]:
    """What `mean_correlations` found, in sentences.

    `score_verdict`: whether the measures agree on how modular a layer is; `score_fixed`: whether they still do among
    networks of one setting; `score_untrained`: and among untrained ones.
    """
    trained, untrained = means[means["sweep"] != "untrained"], means[means["sweep"] == "untrained"]
    free, fixed = (trained[trained["strength"] == name] for name in ("free", "fixed"))
    across = free[free["kind"] == "across"]
    sweeps = []
    for regulariser in REGULARISERS:
        chosen = free[free["sweep"] == regulariser].groupby("kind")["mean"].mean()
        if chosen.reindex(KINDS).notna().all():
            label = SWEEP_NAMES[regulariser]
            sweeps.append(
                f"{label}: {chosen['upstream']:.2f} for two upstream measures, {chosen['downstream']:.2f} for two "
                f"downstream ones, {chosen['across']:.2f} across"
            )
    agreeing = across["low"] > 0
    names = ", ".join(_panel(row) for _, row in across[agreeing].iterrows()) or "none"
    verdict = (
        f"Mean rank correlation of Q, averaged over layers, by sweep: {'; '.join(sweeps)}. Across the families the "
        f"95 % interval lies above 0 in {int(agreeing.sum())} of {len(across)} sweeps and layers ({names}). "
        + _answer(agreeing.to_numpy())
    )
    before, after = across["mean"].mean(), fixed.loc[fixed["kind"] == "across", "mean"].mean()
    within = fixed.loc[fixed["kind"].isin(("upstream", "downstream")), "mean"].mean()
    if after < before / 2:
        follows = "Less than half of it is left: much of what the families share is that both follow the regulariser."
    else:
        follows = "Half of it or more is left: the families share more than that both follow the regulariser."
    return {
        "score_verdict": verdict if across["low"].notna().any() else _without_intervals(across, sweeps),
        "score_fixed": (
            f"Across the families the mean correlation is {before:.2f} over all networks of a sweep and {after:.2f} "
            f"once the mean of each setting is taken off (there {within:.2f} within families). {follows}"
        ),
        "score_untrained": _untrained_text(untrained),
    }


def _panel(row: pd.Series) -> str:
    return f"{SWEEP_NAMES[row['sweep']]} layer {row['layer']}"


def _answer(agreeing: np.ndarray) -> str:
    if agreeing.all():
        return "A network that one family calls more modular, the other does too."
    if not agreeing.any():
        return "Which network is more modular depends on the family that is asked."
    return "Whether the other family calls the same networks more modular depends on the regulariser and the layer."


def _without_intervals(across: pd.DataFrame, sweeps: Sequence[str]) -> str:
    runs = int(across["runs"].max()) if len(across) else 0
    return (
        f"Mean rank correlation of Q, averaged over layers, by sweep: {'; '.join(sweeps) or 'none'}. There is no "
        f"interval over {runs} run{'' if runs == 1 else 's'}, and so no verdict."
    )


def _untrained_text(untrained: pd.DataFrame) -> str:
    if untrained["mean"].isna().all():
        return "There are too few untrained networks to compare."
    means = untrained.groupby("kind")["mean"].mean()
    return (
        f"Among {untrained['networks'].max():,} untrained networks, which differ in nothing but their random weights, "
        f"it is {means['upstream']:.2f} for two upstream measures, {means['downstream']:.2f} for two downstream ones "
        f"and {means['across']:.2f} across."
    )

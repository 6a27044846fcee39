"""Effect of each regulariser on Q, by measure and layer, with its uncertainty."""

import numpy as np
import pandas as pd

from modularity_lib.findings.inference import effect_over_runs, holm, joint_sign_flips
from modularity_lib.studies.results import Results, sweep
from modularity_lib.vocabulary import MEASURES, PANEL_ORDER, REGULARISERS, Regulariser

LEVEL = 0.05


def usable_strengths(results: Results, regulariser: Regulariser) -> list[float]:
    """Strengths of a sweep at which every run has a score in every measure and layer, weakest first.

    Empty if the weakest one lacks a score.
    """
    study = results.study
    rows = sweep(results.analysed("modules", trained=True), study, regulariser)
    complete = rows.groupby("strength").size() == len(MEASURES) * len(study.hidden) * study.runs
    usable = [strength for strength in study.strengths(regulariser) if complete.get(strength, False)]
    return usable if usable[:1] == study.strengths(regulariser)[:1] else []


def effect_table(results: Results) -> pd.DataFrame:
    """Rise of Q from the left end of each sweep to its strongest usable strength, paired by run.

    Returns:
        a row per regulariser, measure and layer:
        weakest, strongest: the two strengths (see `usable_strengths`); q_weakest, q_strongest: mean Q at each;
        rise, low, high: mean difference over runs and its 95 % interval (NaN with one run);
        smallest, largest: single runs; n_runs; p_value: exact sign-flip test, two-sided, at least smallest_p;
        p_holm, p_joint: adjusted over the measures and layers of the regulariser, see `inference`.
        A regulariser without two usable strengths has no rows.
    """
    parts = []
    for regulariser in REGULARISERS:
        strengths = usable_strengths(results, regulariser)
        if len(strengths) < 2:
            continue
        weakest, strongest = strengths[0], strengths[-1]
        rows = sweep(results.analysed("modules", trained=True), results.study, regulariser)
        scores = rows.pivot_table(index=["measure", "layer"], columns=["strength", "run"], values="score")
        scores = scores.reindex(PANEL_ORDER, level="measure")
        before, after = (scores.xs(strength, axis=1).to_numpy() for strength in (weakest, strongest))
        effects = [effect_over_runs(values) for values in after - before]
        table = scores.index.to_frame(index=False).assign(
            regulariser=regulariser,
            weakest=weakest,
            strongest=strongest,
            q_weakest=before.mean(axis=1),
            q_strongest=after.mean(axis=1),
            rise=[effect.mean for effect in effects],
            low=[np.nan if effect.low is None else effect.low for effect in effects],
            high=[np.nan if effect.high is None else effect.high for effect in effects],
            smallest=[effect.smallest for effect in effects],
            largest=[effect.largest for effect in effects],
            n_runs=[effect.n_runs for effect in effects],
            p_value=[effect.p_value for effect in effects],
            smallest_p=[effect.smallest_p for effect in effects],
            p_holm=holm([effect.p_value for effect in effects]),
            p_joint=joint_sign_flips(after - before),
        )
        parts.append(table)
    if not parts:
        return pd.DataFrame(columns=["measure", "layer", "regulariser"])
    table = pd.concat(parts, ignore_index=True)
    return table[["regulariser", "measure", "layer", *table.columns.drop(["regulariser", "measure", "layer"])]]

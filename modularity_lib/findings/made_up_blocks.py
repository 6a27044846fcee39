"""The counterfactuals of `common_mode`, tried on planted blocks for which the Q that they should give is known."""

import numpy as np
import pandas as pd

from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings.common_mode import as_much_in_common, confounds, shifted
from modularity_lib.findings.synthetic import block_of, planted

# Made-up matrices whose truth is known: correlation shared by all units and within blocks, before and after.
# None: such a common factor that the mean similarity stays as it was.
MADE_UP: dict[str, list[tuple[tuple[float, float], tuple[float | None, float]]]] = {
    "the common factor weakens": [((0.5, 0.3), (0.2, 0.3)), ((0.5, 0.64), (0.2, 0.64)), ((0.3, 0.3), (0.1, 0.3))],
    "blocks strengthen at the same mean": [((0.5, 0.2), (None, 0.5)), ((0.3, 0.2), (None, 0.5))],
    "both": [((0.5, 0.3), (0.2, 0.6)), ((0.3, 0.2), (0.2, 0.4))],
}


def made_up_table(*, units: int = 64, blocks: int = 4, draws: int = 2) -> pd.DataFrame:
    """Test both counterfactuals on planted blocks, where the Q that they should give is known.

    It is that of the blocks after the change, under the common factor from before.

    Returns:
        a row per kind of change, case and draw: `kind`, `case`; q_before, q_after; truth; rescaled, shifted.
    """
    off_diagonal = ~np.eye(units, dtype=bool)
    truth = block_of(units, blocks)
    together = float((truth[:, None] == truth)[off_diagonal].mean())
    rows = []
    for kind, cases in MADE_UP.items():
        for case, ((common, shared), (later, stronger)) in enumerate(cases):
            if later is None:
                mean = common + (1 - common) * shared * together
                later = (mean - stronger * together) / (1 - stronger * together)
            for draw in range(draws):
                seeds = iter(range(3 * draw, 3 * draw + 3))
                before, after, wanted = (
                    planted(units, blocks=blocks, common=c, shared=s, seed=next(seeds))
                    for c, s in ((common, shared), (later, stronger), (common, stronger))
                )
                first, then = paper_modules(before), paper_modules(after)
                start = confounds(before, first.labels)
                scores = {"q_before": first.score, "q_after": then.score, "truth": paper_modules(wanted).score}
                scores["rescaled"] = paper_modules(as_much_in_common(after, then.labels, start)).score
                scores["shifted"] = paper_modules(shifted(after, off_diagonal, start["mean"])).score
                rows.append({"kind": kind, "case": case, **scores})
    return pd.DataFrame(rows)

"""The rule of `rises` where the truth is known: pairs of layers that get modules, or something else that raises Q."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from modularity_lib.analysis.draws import random_rotation
from modularity_lib.clustering.paper_search import paper_modules
from modularity_lib.findings import common_mode
from modularity_lib.findings.rises import IN_COMMON, MODULES, compared, with_kinds
from modularity_lib.findings.rotated import DRAWS, matched_thresholds
from modularity_lib.findings.synthetic import block_of
from modularity_lib.paths import checkout
from modularity_lib.progress import progress_bar
from modularity_lib.similarity.recordings import similarity_of_activity
from modularity_lib.studies.entries import Entry, check_replaceable, key_of, read_entry, replace_entry
from modularity_lib.studies.provenance import provenance

SHIPPED = checkout() / "data" / "made_up_rises"

UNITS, SAMPLES = 64, 2_000
PAIRS = 100  # of each case
STEPS = 5_000  # of each search, as in the studies

NOTHING = "no modules"
TRUTHS = (NOTHING, MODULES, IN_COMMON)


class Layer(NamedTuple):
    """Units before their ReLU, shape (samples, units), with their thresholds taken off; and whether there is a ReLU."""

    before: np.ndarray
    rectified: bool = True

    def similarity(self) -> np.ndarray:
        """Absolute correlations of the activity, as `input_covariance_norm` of a network."""
        activity = np.maximum(self.before, 0.0) if self.rectified else self.before
        found: np.ndarray = similarity_of_activity(activity)["input_covariance_norm"]
        return found

    def rotated(self, source: np.random.Generator) -> list["Layer"]:
        """With the units mixed by a rotation: as it is and, where there is a ReLU, with matched thresholds."""
        turned = self.before @ random_rotation(UNITS, source).T
        matched = turned - matched_thresholds(self.before, turned)
        return [Layer(turned), Layer(matched)] if self.rectified else [Layer(turned, rectified=False)]


Source = np.random.Generator
Made = Callable[[Source], Layer]


class Case(NamedTuple):
    """A layer before and after a change, and what a rise of Q between them is in truth."""

    truth: str
    before: Made
    after: Made


def _seen(
    weights: np.ndarray, source: Source, *, threshold: float = 0.0, common: np.ndarray | float = 0.0
) -> np.ndarray:
    """Units with these weights on independent normal inputs, each of variance 1, in part the same signal for all."""
    lengths = np.linalg.norm(weights, axis=1)
    own = source.standard_normal((SAMPLES, weights.shape[1])) @ (weights / lengths[:, np.newaxis]).T
    shared = np.broadcast_to(common, UNITS)
    return np.sqrt(shared) * source.standard_normal((SAMPLES, 1)) + np.sqrt(1.0 - shared) * own - threshold


def _directions(
    dimensions: int, *, power: float = 0.0, threshold: float = 0.0, rectified: bool = True, equal: bool = False
) -> Made:
    """Gaussian weights on inputs whose standard deviations fall as a power of their number.

    Thresholds count in standard deviations of each unit. `equal`: all units have one, so that a rotation, which mixes
    strong units with weak ones, is another distribution of directions.
    """

    def made(source: Source) -> Layer:
        deviations = np.arange(1.0, dimensions + 1) ** -power
        weights = source.standard_normal((UNITS, dimensions)) * deviations
        before = _seen(weights, source, threshold=threshold)
        return Layer(before if equal else before * np.linalg.norm(weights, axis=1), rectified)

    return made


def _under_a_factor(common: float, *, spread: float = 0.0, blocks: int = 0) -> Made:
    """Units that share a signal, the more unequally the larger the spread; below it random directions, or blocks."""

    def made(source: Source) -> Layer:
        of_each = common + spread * np.linspace(-1.0, 1.0, UNITS)[source.permutation(UNITS)]
        if not blocks:
            weights = source.standard_normal((UNITS, 10))
        else:  # correlation of a third within a block
            weights = np.hstack([np.eye(blocks)[block_of(UNITS, blocks)], np.sqrt(2.0) * np.eye(UNITS)])
        return Layer(_seen(weights, source, common=of_each), rectified=False)

    return made


def _on_a_sphere(axes: int, threshold: float) -> Made:
    """Units that prefer a point on a ring or sphere, and see points there: the higher the threshold, the narrower."""

    def made(source: Source) -> Layer:
        points, preferred = (source.standard_normal((count, axes)) for count in (SAMPLES, UNITS))
        near = points @ preferred.T
        near /= np.linalg.norm(points, axis=1)[:, np.newaxis] * np.linalg.norm(preferred, axis=1)
        return Layer(near - threshold)

    return made


def _groups(
    noise: float,
    *,
    groups: int = 6,
    dimensions: int = 20,
    unequal: bool = False,
    overlap: bool = False,
    threshold: float = 0.0,
    rectified: bool = True,
) -> Made:
    """Units that want the same of the inputs as the others of their group, but for noise of this relative size."""

    def made(source: Source) -> Layer:
        wanted = source.standard_normal((groups, dimensions)) / np.sqrt(dimensions)
        if unequal:
            share = np.arange(groups, 0, -1) / (groups * (groups + 1) / 2)
            of_unit = np.searchsorted(np.cumsum(share) * UNITS, np.arange(UNITS) + 0.5)
        else:
            of_unit = block_of(UNITS, groups)
        weights = wanted[of_unit] + noise * source.standard_normal((UNITS, dimensions)) / np.sqrt(dimensions)
        if overlap:  # every fourth unit belongs to two groups
            weights[::4] += wanted[(of_unit[::4] + 1) % groups]
        return Layer(_seen(weights, source, threshold=threshold), rectified)

    return made


CASES: dict[str, Case] = {
    "a weaker common factor": Case(NOTHING, _under_a_factor(0.6), _under_a_factor(0.1)),
    "a weaker common factor, unequal loadings": Case(
        NOTHING, _under_a_factor(0.6, spread=0.3), _under_a_factor(0.15, spread=0.1)
    ),
    "40 → 4 equal dimensions": Case(NOTHING, _directions(40, rectified=False), _directions(4, rectified=False)),
    "40 → 2 equal dimensions": Case(NOTHING, _directions(40, rectified=False), _directions(2, rectified=False)),
    "a steeper spectrum": Case(
        NOTHING, _directions(40, power=0.3, rectified=False), _directions(40, power=1.0, rectified=False)
    ),
    "a very steep spectrum": Case(
        NOTHING, _directions(40, power=0.3, rectified=False), _directions(40, power=2.0, rectified=False)
    ),
    "ReLU units, 20 → 3 dimensions": Case(NOTHING, _directions(20), _directions(3)),
    "ReLU units, 20 → 3 dimensions, thresholds 0 → 1": Case(NOTHING, _directions(20), _directions(3, threshold=1.0)),
    "ReLU units, 20 → 6 dimensions, thresholds 0 → 1": Case(NOTHING, _directions(20), _directions(6, threshold=1.0)),
    "ReLU units, a steeper spectrum, thresholds 0 → 1": Case(
        NOTHING, _directions(40, power=0.3), _directions(40, power=1.0, threshold=1.0)
    ),
    "ReLU units of equal variance, a steeper spectrum, thresholds 0 → 1": Case(
        NOTHING, _directions(40, power=0.3, equal=True), _directions(40, power=1.0, threshold=1.0, equal=True)
    ),
    "a ring, units become narrower": Case(NOTHING, _on_a_sphere(2, 0.0), _on_a_sphere(2, 0.8)),
    "a sphere, units become narrower": Case(NOTHING, _on_a_sphere(3, 0.0), _on_a_sphere(3, 0.7)),
    "groups without ReLU": Case(MODULES, _groups(4.0, rectified=False), _groups(0.7, rectified=False)),
    "groups": Case(MODULES, _groups(4.0), _groups(0.7)),
    "groups of unequal size": Case(MODULES, _groups(4.0, unequal=True), _groups(0.7, unequal=True)),
    "groups that overlap": Case(MODULES, _groups(4.0, overlap=True), _groups(0.7, overlap=True)),
    "groups of few dimensions, thresholds 0 → 1": Case(
        MODULES, _groups(4.0), _groups(0.5, dimensions=6, threshold=1.0)
    ),
    "pairs of near-copies": Case(
        MODULES, _groups(4.0, groups=32, dimensions=40), _groups(0.3, groups=32, dimensions=40)
    ),
    "near-copies, eight of each": Case(MODULES, _groups(4.0, groups=8), _groups(0.3, groups=8)),
    "the same blocks, a weaker common factor": Case(
        IN_COMMON, _under_a_factor(0.7, blocks=4), _under_a_factor(0.2, blocks=4)
    ),
}


def made_up_rises(
    cases: Sequence[str] = tuple(CASES), *, pairs: int = PAIRS, draws: int = DRAWS, steps: int = STEPS
) -> pd.DataFrame:
    """The rule on pairs of layers of 64 units, by 2,000 samples, for which it is known what a rise of Q is.

    Args:
        cases: names in `CASES`.
        pairs: how many of each.
        draws: of each null.
        steps: of each search.
    Returns:
        a row per pair: `case`, `truth`, `pair`; `rise` of Q and `remains` of it with as much in common;
        `rise_shuffled`, `rise_directions`, `rise_rotated`, the larger without and with matched thresholds; `kind` by
        all nulls, `kind_by_weak_nulls` without rotations.
    """
    chosen = [(case, pair) for case in cases for pair in range(pairs)]
    rows = []
    with progress_bar(len(chosen), "made-up rises") as bar:
        for case, pair in chosen:
            rows.append(row_of(case, pair, draws=draws, steps=steps))
            bar.update()
    return pd.DataFrame(rows)


def row_of(case: str, pair: int, *, draws: int = DRAWS, steps: int = STEPS) -> dict[str, object]:
    """A row of `made_up_rises`."""
    source = np.random.default_rng([list(CASES).index(case), pair])
    ends, rotated = [], []
    start: dict[str, float] = {}
    for number, made in enumerate((CASES[case].before, CASES[case].after)):
        layer = made(source)
        similarity = layer.similarity()
        found = paper_modules(similarity, seed=pair, steps=steps)
        start = start or common_mode.confounds(*common_mode.live_part(similarity, found.labels))
        measured = common_mode.measured(similarity, found.labels, start, draws=draws, steps=steps, run=pair, row=number)
        ends.append(pd.DataFrame([{"score": found.score, **measured}]))
        scores = [
            [paper_modules(other.similarity(), seed=pair + draw, steps=steps).score for other in layer.rotated(source)]
            for draw in range(draws)
        ]
        rotated.append(np.mean(scores, axis=0))
    first, after = ends
    by_rotation = float((rotated[1] - rotated[0]).max())
    [row] = with_kinds(compared(after, first).assign(rise_rotated=by_rotation)).to_dict("records")
    kept = ("rise", "remains", "rise_shuffled", "rise_directions", "rise_rotated", "kind", "kind_by_weak_nulls")
    return {"case": case, "truth": CASES[case].truth, "pair": pair, **{name: row[name] for name in kept}}


def called_table(table: pd.DataFrame) -> pd.DataFrame:
    """How often the rule says what: a row per case of `made_up_rises`.

    Returns:
        `case`, `truth`, `pairs`; `rise`, mean; `risen`, rises that are split; `modules` and `modules_by_weak_nulls`,
        called so with and without rotations, each with the bounds of Wilson's 95 % interval of its share, `_low` and
        `_high`; `right`, calls of what is true with all nulls: without modules, all that are not called modules.
    """
    rows = []
    for case, group in table.groupby("case", sort=False):
        truth, pairs = group["truth"].iloc[0], len(group)
        counted: dict[str, float] = {}
        for name, column in (("modules", "kind"), ("modules_by_weak_nulls", "kind_by_weak_nulls")):
            called = int((group[column] == MODULES).sum())
            interval = stats.binomtest(called, pairs).proportion_ci(method="wilson")
            counted |= {name: called, f"{name}_low": interval.low, f"{name}_high": interval.high}
        right = group["kind"] != MODULES if truth == NOTHING else group["kind"] == truth
        about = {"rise": group["rise"].mean(), "risen": int((group["kind"] != "").sum()), **counted}
        rows.append({"case": case, "truth": truth, "pairs": pairs, **about, "right": int(right.sum())})
    return pd.DataFrame(rows)


class ErrorRates(NamedTuple):
    """Shares of the made-up pairs that the rule calls modules."""

    wrong: float  # of those without modules
    worst: float  # of the case without modules in which it errs most
    weak: float  # of those without modules, where rotated units are not at hand
    found: float  # of those with planted modules


def error_rates(called: pd.DataFrame) -> ErrorRates:
    """How often the rule is wrong, and how often it finds what is there.

    Args:
        called: of `called_table`.
    """
    without, planted = (called[called["truth"] == truth] for truth in (NOTHING, MODULES))
    return ErrorRates(
        wrong=without["modules"].sum() / without["pairs"].sum(),
        worst=(without["modules"] / without["pairs"]).max(),
        weak=without["modules_by_weak_nulls"].sum() / without["pairs"].sum(),
        found=planted["modules"].sum() / planted["pairs"].sum(),
    )


def ship(table: pd.DataFrame | None = None) -> pd.DataFrame:
    """Write the table into the project; without one, compute it: some minutes of a core."""
    check_replaceable(SHIPPED)
    table = made_up_rises() if table is None else table
    facts = {"cases": list(CASES), "pairs": PAIRS, "draws": DRAWS, "steps": STEPS, "units": UNITS, "samples": SAMPLES}
    made = {**provenance(), "written": time.strftime("%FT%TZ", time.gmtime())}
    replace_entry(SHIPPED, Entry(facts, {}, {"made_up_rises": table}, made), key=key_of(facts))
    return table


def shipped_table() -> pd.DataFrame:
    """The `made_up_rises` that come with the project.

    Raises:
        EntryDamaged: the table is not what its checksum says.
    """
    return read_entry(SHIPPED).tables["made_up_rises"]

"""What `near_copies`, `linear_control` and `training_course` say over runs, by the rules of `why_dropout`."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from modularity_lib.findings.inference import Effect, effect_over_runs
from modularity_lib.findings.why_dropout import (
    GUESSING,
    LINEAR_PILOT,
    MOVES,
    PILOT,
    basis_answer,
    copies_answer,
    half_time,
    order_answer,
    signal_answer,
)
from modularity_lib.studies.results import rows_at
from modularity_lib.vocabulary import REGULARISERS, Regularisation

PILOT_STRENGTH = 0.7  # of dropout
ROUNDED = 0.005  # pilots are told to two digits after the point
DECIMALS = {"participation": 0.05}

# What is followed through training, and how it is called.
FOLLOWED = {
    "accuracy": "test accuracy",
    "participation": "dimensions of activity",
    "twin_correlation": "correlation with the most similar unit",
    "copies": "the same, beyond rotated units",
    "score": "Q",
    "across": "agreement across the families",
}


class Quantity(NamedTuple):
    """A quantity of `near_copies` in one layer: over runs, and in the pilot if it had it."""

    name: str
    layer: int
    untrained: Effect | None
    without: Effect  # dropout
    strongest: Effect
    change: Effect  # from without to strongest, run by run
    pilot: tuple[float, float] | None
    holds: bool | None  # whether both numbers of the pilot lie within the intervals


class LayerAnswer(NamedTuple):
    """What the rules say of one layer at the strongest dropout."""

    layer: int
    copies: str
    shares: tuple[float, float, float]  # of units with a twin: without dropout, with it, and of units turned at random
    found: Effect  # rise of the share of twins
    rotated: Effect  # the same of units turned at random
    beyond: Effect  # their difference
    signal: str
    kept: Effect  # share of the accuracy above guessing that one signal per module keeps
    over_random: Effect  # accuracy with one signal per module, minus that of random groups
    over_rank: Effect  # minus that of as many signals for the whole layer


def strongest_dropout(table: pd.DataFrame) -> float:
    """The strongest dropout at which all runs of a table are there."""
    runs = table.groupby("dropout")["run"].nunique()
    return float(runs.index[runs == table["run"].nunique()].max())


def quantities(table: pd.DataFrame) -> list[Quantity]:
    """Every quantity that the pilot had, without dropout and at the strongest, by layer."""
    strongest = strongest_dropout(table)
    found = []
    for name in PILOT:
        for layer in sorted(table["layer"].unique()):
            rows = table[table["layer"] == layer]
            untrained = rows.loc[~rows["trained"], name].dropna()
            without, last = (_by_run(rows, name, dropout) for dropout in (0.0, strongest))
            pilot = PILOT[name].get(layer) if strongest == PILOT_STRENGTH else None
            effects = effect_over_runs(without.to_numpy()), effect_over_runs(last.to_numpy())
            found.append(
                Quantity(
                    name=name,
                    layer=int(layer),
                    untrained=effect_over_runs(untrained.to_numpy()) if len(untrained) else None,
                    without=effects[0],
                    strongest=effects[1],
                    change=effect_over_runs((last - without).dropna().to_numpy()),
                    pilot=pilot,
                    holds=None if pilot is None else all(map(_lies_within, pilot, effects, [name] * 2)),
                )
            )
    return found


def _lies_within(pilot: float, effect: Effect, name: str) -> bool:
    low, high = effect.bounds
    room = DECIMALS.get(name, ROUNDED)
    return low - room <= pilot <= high + room


def _by_run(rows: pd.DataFrame, name: str, dropout: float) -> pd.Series:
    """One number per run of trained networks; where a run has none, it is left out."""
    chosen = rows[rows["trained"] & (rows["dropout"] == dropout)]
    return chosen.set_index("run")[name].astype(float).dropna()


def layer_answers(table: pd.DataFrame) -> list[LayerAnswer]:
    """What the rules say of each layer, at the strongest dropout."""
    strongest, answers = strongest_dropout(table), []
    for layer in sorted(table["layer"].unique()):
        rows = table[table["layer"] == layer]

        def rise(name: str, rows: pd.DataFrame = rows) -> pd.Series:
            return _by_run(rows, name, strongest) - _by_run(rows, name, 0.0)

        last = {name: _by_run(rows, name, strongest) for name in ("one_signal", "one_signal_random", "same_rank")}
        kept = (last["one_signal"] - GUESSING) / (_by_run(rows, "accuracy", strongest) - GUESSING)
        found, rotated = rise("twins").dropna(), rise("rotated_twins").dropna()
        answers.append(
            LayerAnswer(
                layer=int(layer),
                copies=copies_answer(found.to_numpy(), rotated.to_numpy()),
                shares=(
                    float(_by_run(rows, "twins", 0.0).mean()),
                    float(_by_run(rows, "twins", strongest).mean()),
                    float(_by_run(rows, "rotated_twins", strongest).mean()),
                ),
                found=effect_over_runs(found.to_numpy()),
                rotated=effect_over_runs(rotated.to_numpy()),
                beyond=effect_over_runs((found - rotated).to_numpy()),
                signal=signal_answer(kept.to_numpy()),
                kept=effect_over_runs(kept.to_numpy()),
                over_random=effect_over_runs((last["one_signal"] - last["one_signal_random"]).to_numpy()),
                over_rank=effect_over_runs((last["one_signal"] - last["same_rank"]).to_numpy()),
            )
        )
    return answers


class Basis(NamedTuple):
    """Q of linear units or of ReLUs in one layer and measure, and of the same units turned at random."""

    rectified: bool
    layer: int
    measure: str
    answer: str
    without: Effect
    without_rotated: Effect
    strongest: Effect
    strongest_rotated: Effect
    excess: Effect  # rise of Q beyond that of turned units


def bases(table: pd.DataFrame) -> list[Basis]:
    """What `linear_control` says of each kind of unit, layer and measure; empty without dropout."""
    strongest = table["dropout"].max()
    if strongest == 0:
        return []
    found = []
    places = table[["rectified", "layer", "measure"]].drop_duplicates().sort_values(["rectified", "layer", "measure"])
    for rectified, layer, measure in places.itertuples(index=False, name=None):
        rows = table[(table["rectified"] == rectified) & (table["layer"] == layer) & (table["measure"] == measure)]
        by_run = rows.set_index(["run", "dropout"])[["score", "rotated"]].unstack("dropout").dropna()
        first, last = by_run.xs(0.0, axis=1, level=1), by_run.xs(strongest, axis=1, level=1)
        excess = ((last["score"] - first["score"]) - (last["rotated"] - first["rotated"])).to_numpy()
        found.append(
            Basis(
                rectified=bool(rectified),
                layer=int(layer),
                measure=str(measure),
                answer=basis_answer(excess),
                without=effect_over_runs(first["score"].to_numpy()),
                without_rotated=effect_over_runs(first["rotated"].to_numpy()),
                strongest=effect_over_runs(last["score"].to_numpy()),
                strongest_rotated=effect_over_runs(last["rotated"].to_numpy()),
                excess=effect_over_runs(excess),
            )
        )
    return found


def linear_pilot_holds(found: list[Basis]) -> bool | None:
    """Whether the pilot lies within the intervals: Q of the input covariance in layer 1 of linear units."""
    for basis in found:
        if (basis.rectified, basis.layer, basis.measure) == (False, 1, "input_covariance_norm"):
            seen = {
                "score": (basis.without, basis.strongest),
                "rotated": (basis.without_rotated, basis.strongest_rotated),
            }
            return all(all(map(_lies_within, LINEAR_PILOT[name], seen[name], [name] * 2)) for name in seen)
    return None


def followed(course: pd.DataFrame) -> pd.DataFrame:
    """The quantities of `FOLLOWED`, means over layers: a row per network and epoch of `training_course`."""
    beyond = course["twin_correlation"] - course["rotated_twin_correlation"]
    return course.assign(copies=beyond).groupby(["run", *REGULARISERS, "epoch"])[list(FOLLOWED)].mean().reset_index()


def half_times(course: pd.DataFrame) -> pd.DataFrame:
    """When each quantity of `FOLLOWED` is halfway: `run`, `l2`, `l1`, `dropout`, `quantity`, `half_time` in epochs.

    A quantity that hardly moves has none (NaN).
    """
    rows, courses = [], followed(course)
    for place, part in courses.groupby(["run", *REGULARISERS]):
        means = part.set_index("epoch").sort_index()
        for name in FOLLOWED:
            least = MOVES * abs(courses[name].max() - courses[name].min())
            when = half_time(means.index.to_list(), means[name].to_list(), least=least)
            rows.append({**dict(zip(("run", *REGULARISERS), place, strict=True)), "quantity": name, "half_time": when})
    return pd.DataFrame(rows)


class Order(NamedTuple):
    """When one quantity is halfway beside Q, in the networks of one setting."""

    setting: Regularisation
    quantity: str
    answer: str  # "" where it has no half-time in every run
    half_time: float  # epochs, geometric mean over runs; NaN where there is none
    ratio: Effect | None  # log10 of its half-time over that of Q


def orders(course: pd.DataFrame) -> list[Order]:
    """Which quantities come before Q, setting by setting."""
    times = half_times(course)
    found = []
    for setting in times[list(REGULARISERS)].drop_duplicates().itertuples(index=False, name=None):
        part = rows_at(times, **Regularisation(*setting)._asdict())
        by_run = part.pivot_table(index="run", columns="quantity", values="half_time", dropna=False)
        for name in FOLLOWED:
            middle = by_run[name].to_numpy()
            ratios = np.log10(middle / by_run["score"].to_numpy())
            known = bool(np.isfinite(ratios).all())
            found.append(
                Order(
                    setting=Regularisation(*setting),
                    quantity=name,
                    answer=order_answer(ratios) if known and name != "score" else "",
                    half_time=float(10 ** np.mean(np.log10(middle))) if np.isfinite(middle).all() else float("nan"),
                    ratio=effect_over_runs(ratios) if known and name != "score" else None,
                )
            )
    return found

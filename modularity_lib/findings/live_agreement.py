"""How much of agreement is agreement about who is dead: all units beside live units, by setting and layer.

The verdicts are those of `claims`, by rules that know nothing of live units.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from modularity_lib.alignment.scores import similarity_spearman
from modularity_lib.findings.claims import ALPHA, CLAIMS, AcrossEvidence
from modularity_lib.findings.inference import effect_over_runs
from modularity_lib.findings.live_units import PAIRS, are_live
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import Study, setting_of
from modularity_lib.studies.results import LAYER_OF_NETWORK, Results, agreement_by_kind, rows_at
from modularity_lib.vocabulary import BASELINE, FAMILY, KINDS, MEASURES, REGULARISERS, SWEEP_NAMES

LARGELY = 0.5  # of agreement over all units: if less remains over live ones, it is largely about who is dead
ALL_NETWORKS, NONE, ALL_LAYERS = "all networks", "baseline", "all"
AGREEMENT_CLAIMS = ("families-agree-within", "families-differ")
_DROPOUTS = (0.3, 0.5, 0.7)  # shown one by one where a study has them

# Corrected agreement over live units, by (networks, layer, kind of pair), of a first look at tables that were computed
# again since (81ae34a). It was made with other code before this module was written; the rules of the claims
# are older than both.
FIRST_LOOK_AT = "v1"
FIRST_LOOK = {
    (ALL_NETWORKS, ALL_LAYERS, "upstream"): 0.273,
    (ALL_NETWORKS, ALL_LAYERS, "downstream"): 0.331,
    (ALL_NETWORKS, ALL_LAYERS, "across"): 0.103,
    (NONE, ALL_LAYERS, "upstream"): 0.096,
    (NONE, ALL_LAYERS, "downstream"): 0.251,
    (NONE, ALL_LAYERS, "across"): 0.042,
    ("dropout", ALL_LAYERS, "upstream"): 0.365,
    ("dropout", ALL_LAYERS, "downstream"): 0.330,
    ("dropout", ALL_LAYERS, "across"): 0.125,
    ("dropout 0.7", ALL_LAYERS, "across"): 0.263,
    ("L2", ALL_LAYERS, "upstream"): 0.254,
    ("L2", ALL_LAYERS, "downstream"): 0.384,
    ("L2", ALL_LAYERS, "across"): 0.132,
    ("L2", "2", "across"): 0.207,
    ("L1", ALL_LAYERS, "upstream"): 0.101,
    ("L1", "1", "upstream"): 0.060,
    ("L1", ALL_LAYERS, "downstream"): 0.285,
    ("L1", ALL_LAYERS, "across"): 0.025,
}

_Chosen = Callable[[pd.DataFrame], pd.Series]


def settings_of_study(study: Study) -> dict[str, _Chosen]:
    """Groups of settings by name, each a function that says of the rows of a table which belong to it."""

    def differs(name: str, strength: float | None = None) -> _Chosen:
        if strength is None:
            return lambda rows: rows[name] != getattr(BASELINE, name)
        return lambda rows: rows[name] == strength

    groups: dict[str, _Chosen] = {
        ALL_NETWORKS: lambda rows: rows["run"] >= 0,
        NONE: lambda rows: (rows[list(REGULARISERS)] == list(BASELINE)).all(axis=1),
        "dropout": differs("dropout"),
    }
    groups |= {f"dropout {x:g}": differs("dropout", x) for x in _DROPOUTS if x in study.strengths("dropout")}
    return groups | {SWEEP_NAMES[name]: differs(name) for name in ("l2", "l1")}


def _places(study: Study, *, by_layer: bool) -> Iterator[tuple[str, str, _Chosen]]:
    """Every group of settings, in all layers and in each: its name, the layer's, and which rows belong to it."""
    for name, chosen in settings_of_study(study).items():
        yield name, ALL_LAYERS, chosen
        for layer in range(1, len(study.hidden) + 1) if by_layer else ():
            yield name, str(layer), _in_layer(chosen, layer)


def _in_layer(chosen: _Chosen, layer: int) -> _Chosen:
    return lambda rows: chosen(rows) & (rows["layer"] == layer)


def agreement_of_both(results: Results, live: Results, *, by_layer: bool = True) -> pd.DataFrame:
    """Corrected agreement over all and over live units, by setting, layer and kind of pair, over runs.

    Args:
        live: the same results `on_live_units`.
        by_layer: each layer by itself too, besides all of them together.
    Returns:
        A row per place with trained networks: `networks` (which settings), `layer`, `kind`, `n_networks`, `n_runs`,
        `live_units` (mean per layer); for `all` and `live` units the `..._similarity` and its `..._chance`, means over
        runs, and the corrected agreement in a column of that name with `..._low` and `..._high`, its 95 % interval
        (smallest and largest run where there are too few); `change`, live minus all, with its interval.
    """
    both = {"all": agreement_by_kind(results), "live": agreement_by_kind(live)}
    rows = []
    for name, layer, chosen in _places(results.study, by_layer=by_layer):
        found = {units: table[chosen(table)] for units, table in both.items()}
        for kind in KINDS:
            of_kind = {units: table[table["kind"] == kind] for units, table in found.items()}
            if all(len(table) for table in of_kind.values()):
                rows.append({"networks": name, "layer": layer, "kind": kind, **_beside(**of_kind)})
    return pd.DataFrame(rows)


def _beside(all: pd.DataFrame, live: pd.DataFrame) -> dict[str, float]:
    """Numbers of one row of `agreement_of_both`."""
    columns = {"similarity": "element_centric", "chance": "element_centric_chance"}
    by_run = {units: table.groupby("run")["corrected"].mean() for units, table in (("all", all), ("live", live))}
    change = (by_run["live"] - by_run["all"]).dropna()
    numbers: dict[str, float] = {
        "n_networks": len(live[["run", *REGULARISERS]].drop_duplicates()),
        "n_runs": len(change),
        "live_units": live.drop_duplicates(LAYER_OF_NETWORK)["live_units"].mean(),
    }
    for units, table in (("all", all), ("live", live)):
        numbers |= {f"{units}_{name}": table.groupby("run")[of].mean().mean() for name, of in columns.items()}
    for name, values in (*by_run.items(), ("change", change)):
        effect = effect_over_runs(values.to_numpy())
        numbers |= {name: effect.mean, f"{name}_low": effect.bounds[0], f"{name}_high": effect.bounds[1]}
    return numbers


def is_about_the_dead(row: pd.Series) -> bool:
    """Whether agreement is largely about who is dead: it falls, and less than `LARGELY` of it is left over live units.

    Args:
        row: of `agreement_of_both`.
    """
    return bool(row["change_high"] < 0 and row["live"] < LARGELY * row["all"])


def first_look_held(table: pd.DataFrame, study: Study) -> tuple[int, int]:
    """How many numbers of the `FIRST_LOOK` lie in the intervals of `agreement_of_both`, and how many there are.

    None of a study other than the one that was looked at.
    """
    if study.name != FIRST_LOOK_AT:
        return 0, 0
    places = table[["networks", "layer", "kind"]].itertuples(index=False, name=None)
    intervals = zip(places, table["live_low"].round(3), table["live_high"].round(3), strict=True)
    inside = [low <= FIRST_LOOK[place] <= high for place, low, high in intervals if place in FIRST_LOOK]
    return sum(inside), len(inside)


def beyond_chance_of_both(results: Results, live: Results) -> pd.DataFrame:
    """Share of comparisons with permutation p < 0.05, over all and over live units, by setting and kind of pair.

    Returns:
        `networks` (which settings, or "untrained"), `kind`, `comparisons`, `all`, `live`.
    """
    trained, untrained = (
        {"all": agreement_by_kind(results, trained=flag), "live": agreement_by_kind(live, trained=flag)}
        for flag in (True, False)
    )
    groups = {name: (trained, chosen) for name, chosen in settings_of_study(results.study).items()}
    groups["untrained"] = (untrained, lambda rows: rows["run"] >= 0)
    rows = []
    for name, (tables, chosen) in groups.items():
        for kind in KINDS:
            found = {units: table[chosen(table) & (table["kind"] == kind)] for units, table in tables.items()}
            if all(len(table) for table in found.values()):
                shares = {units: (table["p_value"] < ALPHA).mean() for units, table in found.items()}
                rows.append({"networks": name, "kind": kind, "comparisons": len(found["live"]), **shares})
    return pd.DataFrame(rows)


def claims_by_setting(results: Results, live: Results, *, by_layer: bool = True) -> pd.DataFrame:
    """The claims on agreement judged by their rules on parts of a study, over all and over live units.

    Args:
        live: the same results `on_live_units`.
        by_layer: each layer by itself too, besides all of them together.
    Returns:
        A row per claim, place and form: `networks`, `layer`, `claim`, `units` ("all" or "live"), `status`, `missed`
        (names of the conditions that do not hold), `half_within` (half of the agreement within families, the second
        limit of the claim on families that differ), `mean`, `low` and `high` of the quantity that decides (95 %
        interval, or smallest and largest run), `n_runs`.
    """
    judges = {claim.id: claim.judge for claim in CLAIMS if claim.id in AGREEMENT_CLAIMS}
    rows = []
    for name, layer, chosen in _places(results.study, by_layer=by_layer):
        for units, source in (("all", results), ("live", live)):
            part = replace(source, agreement=_part(source.agreement, chosen, layer))
            for claim, judge in judges.items():
                verdict = judge(part)
                missed = "; ".join(condition.name for condition in verdict.missed)
                row: dict[str, Any] = {"networks": name, "layer": layer, "claim": claim, "units": units}
                low, high = verdict.effect.bounds if verdict.effect else (np.nan, np.nan)
                mean, n_runs = (verdict.effect.mean, verdict.effect.n_runs) if verdict.effect else (np.nan, 0)
                half_within = verdict.evidence.within / 2 if isinstance(verdict.evidence, AcrossEvidence) else np.nan
                row |= {"status": verdict.status, "missed": missed, "half_within": half_within}
                rows.append({**row, "mean": mean, "low": low, "high": high, "n_runs": n_runs})
    return pd.DataFrame(rows)


def across_at_strongest(claims: pd.DataFrame, units: str) -> pd.Series | None:
    """The row on agreement across the families at the strongest dropout that is told by itself, over all layers.

    Args:
        claims: of `claims_by_setting`.
        units: "all" or "live".
    """
    rows = claims[(claims["claim"] == "families-differ") & (claims["layer"] == ALL_LAYERS) & (claims["units"] == units)]
    rows = rows[rows["networks"].str.startswith("dropout ")]
    if rows.empty:
        return None
    strengths = rows["networks"].str.removeprefix("dropout ").astype(float)
    return rows.iloc[int(strengths.argmax())]


def _part(agreement: pd.DataFrame, chosen: _Chosen, layer: str) -> pd.DataFrame:
    """The chosen rows of trained networks, and all rows of untrained ones of the layer."""
    untrained = ~agreement["trained"] & ((layer == ALL_LAYERS) | (agreement["layer"].astype(str) == layer))
    return agreement[untrained | (agreement["trained"] & chosen(agreement))]


def rank_correlations(results: Results, *, run: int = 0) -> pd.DataFrame:
    """Rank correlation of every two upstream similarity matrices of a run (RSA), over all and over live units.

    Pairs of units of which one is dead have similarity 0 in both matrices: ties that count as agreement.

    Returns:
        A row per network, layer and pair of measures: `l2`, `l1`, `dropout`, `layer`, `measure_a`, `measure_b`,
        `live_units`, `tied` (share of the pairs of units of which one is dead), `all`, `live`.
    Raises:
        LookupError, DatasetUnavailable: as of `stored_matrices`.
    """
    upstream = [pair for pair in PAIRS if {FAMILY[name] for name in pair} == {"upstream"}]
    modules = rows_at(results.analysed("modules", trained=True), run=run)
    rows = []
    for config, matrices in Archive(results.study).with_matrices(results, run=run):
        setting = setting_of(config)._asdict()
        for layer, by_measure in enumerate(matrices.values(), start=1):
            labels = rows_at(modules, layer=layer, **setting).set_index("measure")["labels"]
            labels = labels.reindex([name for name in MEASURES if FAMILY[name] == "upstream"])
            if labels.isna().any():  # all units are dead
                continue
            live = are_live(np.array(labels.tolist()))
            few, n = int(live.sum()), len(live)
            for a, b in upstream:
                over = {
                    units: similarity_spearman(*(by_measure[name][np.ix_(of, of)] for name in (a, b)))
                    for units, of in (("all", np.full(n, True)), ("live", live))
                }
                names = {**setting, "layer": layer, "measure_a": a, "measure_b": b}
                rows.append({**names, "live_units": few, "tied": 1 - few * (few - 1) / (n * (n - 1)), **over})
    return pd.DataFrame(rows)

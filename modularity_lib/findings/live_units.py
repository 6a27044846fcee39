"""Agreement and the number of modules over live units alone, beside the paper's form, which counts silent units too.

Upstream, a unit that responds to no image is dead, and the dead units of a clustering count as one more module: two
upstream measures then agree about who is dead. Downstream no unit is ever dead, since its weights are never quite 0,
and the same silent units are scattered. Under a strong penalty most units are silent, so that agreement over all units
is largely about them. Over live units nothing of that is left.
"""

import hashlib
import json
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from modularity_lib.alignment.many_pairs import element_centric_of_pairs
from modularity_lib.alignment.scores import agreement_p_value
from modularity_lib.clustering.clusterings import Clustering
from modularity_lib.paths import checkout
from modularity_lib.progress import progress_bar
from modularity_lib.studies.entries import Entry, check_replaceable, key_of, read_entry, replace_entry
from modularity_lib.studies.lineage import source_of
from modularity_lib.studies.provenance import provenance
from modularity_lib.studies.results import IDENTIFYING, LAYER_OF_NETWORK, Results
from modularity_lib.vocabulary import FAMILY, MEASURES, pair_kind

SHIPPED = checkout() / "data" / "live_units"
PAIRS = tuple((a, b) for a, b in combinations(MEASURES, 2) if pair_kind(a, b) != "same")
_UPSTREAM = [place for place, measure in enumerate(MEASURES) if FAMILY[measure] == "upstream"]


def are_live(labels: np.ndarray) -> np.ndarray:
    """Which units are live: dead in none of these clusterings, those of the upstream measures of a layer.

    Args:
        labels: module of each unit, shape (..., measures, units); -1 = dead.
    Returns:
        boolean array, shape (..., units).

    >>> are_live(np.array([[0, 1, -1, 0], [0, 0, -1, -1]])).tolist()
    [True, True, False, False]
    """
    return np.asarray((np.asarray(labels) >= 0).all(axis=-2))


class OtherPairs(UserWarning):
    """The shipped p-values are not of the pairs that are there now, or of another test."""


def on_live_units(results: Results) -> Results:
    """The results of a study with all clusterings restricted to the units that are live in all upstream measures.

    What works on results works on these, such as `agreement_by_kind` and the rules of the claims. 48 of 64 units dead
    in both clusterings, and the others in modules that have nothing to do with each other, agree well over all units,
    and less than by chance over live ones:

    >>> a = np.r_[np.full(48, -1), np.arange(16) % 4]
    >>> b = np.r_[np.full(48, -1), np.arange(16) // 4]
    >>> for counted in (np.full(64, True), a >= 0):
    ...     [[alike], [chance]] = element_centric_of_pairs(a[None], b[None], counted[None])
    ...     print(f"{alike:.2f}, chance {chance:.2f}, corrected {(alike - chance) / (1 - chance):.2f}")
    0.81, chance 0.47, corrected 0.65
    0.25, chance 0.40, corrected -0.25

    Returns:
        Results of the same networks. `agreement`: a row per layer and pair of measures of different quantities, with
        `live_units` (how many are compared), `element_centric`, `element_centric_chance` and `p_value`, each computed
        anew; what takes similarity matrices is left out. `modules`: `labels`, `dead_units` and `n_modules` are those
        of live units, `score` is still that of the layer. Rows that enter no figure, and layers without a live unit,
        are left out of both.
    Raises:
        EntryDamaged: the shipped p-values are not what their checksum says.
    """
    modules, agreement, pairs = _measured(results)
    agreement["p_value"] = _p_values_at_hand(results, agreement["run"].tolist(), pairs)
    return replace(results, modules=modules, agreement=agreement)


def ship(results: Results) -> pd.DataFrame:
    """Test all pairs of a study over live units, and write the p-values, in the order of `agreement`, into the project.

    Returns:
        what was written: `p_value`.
    """
    study = results.study
    check_replaceable(SHIPPED / study.name)
    _, agreement, pairs = _measured(results)
    runs = agreement["run"].tolist()
    table = pd.DataFrame({"p_value": _tested(pairs, runs, permutations=study.permutations)})
    made = {**provenance(), "written": time.strftime("%FT%TZ", time.gmtime())}
    facts = {"study": study.name, "permutations": study.permutations}
    key = _key(pairs, runs, permutations=study.permutations)
    replace_entry(SHIPPED / study.name, Entry(facts, {}, {"p_values": table}, made), key=key)
    return table


_Pair = tuple[np.ndarray, np.ndarray]  # two clusterings, each of shape (live units,)
_Layer = tuple[pd.DataFrame, np.ndarray, np.ndarray]  # networks, labels (networks, measures, units), who is live


def _layers(modules: pd.DataFrame) -> Iterator[_Layer]:
    """Each hidden layer of all networks that have a live unit in it; a measure without modules has labels -1."""
    for _, rows in modules.groupby("layer"):
        none = [-1] * len(rows["labels"].iloc[0])
        wide = rows.pivot(index=LAYER_OF_NETWORK, columns="measure", values="labels").reindex(columns=MEASURES)
        labels = np.array([[none if isinstance(of, float) else of for of in row] for row in wide.to_numpy()])
        live = are_live(labels[:, _UPSTREAM])
        some = live.any(axis=1)
        networks = rows.drop_duplicates(LAYER_OF_NETWORK).set_index(LAYER_OF_NETWORK).loc[wide[some].index]
        yield networks.reset_index()[[*IDENTIFYING, "analysed", "layer"]], labels[some], live[some]


def _restricted(modules: pd.DataFrame, networks: pd.DataFrame, _: np.ndarray, live: np.ndarray) -> pd.DataFrame:
    """The rows of `modules` of a layer, over live units."""
    rows = modules.merge(networks[LAYER_OF_NETWORK].assign(live=list(live)), on=LAYER_OF_NETWORK)
    labels = [np.asarray(of)[live] for of, live in zip(rows["labels"], rows.pop("live"), strict=True)]
    counts = [Clustering(of, score=np.nan, method="paper").n_modules for of in labels]
    dead = [int((of < 0).sum()) for of in labels]
    return rows.assign(labels=[of.tolist() for of in labels], n_modules=counts, dead_units=dead)


def _compared(
    networks: pd.DataFrame, labels: np.ndarray, live: np.ndarray
) -> Iterator[tuple[pd.DataFrame, list[_Pair]]]:
    """Rows of `agreement` of a layer, over live units, for one pair of measures after the other."""
    for measure_a, measure_b in PAIRS:
        a, b = (labels[:, MEASURES.index(name)] for name in (measure_a, measure_b))
        found = (a >= 0).any(axis=1) & (b >= 0).any(axis=1)
        if not found.any():
            continue
        a, b, counted = a[found], b[found], live[found]
        alike, chance = element_centric_of_pairs(a, b, counted)
        rows = networks[found].assign(
            measure_a=measure_a,
            measure_b=measure_b,
            status="ok",
            reason="",
            live_units=counted.sum(axis=1),
            element_centric=alike,
            element_centric_chance=chance,
        )
        yield rows, [(a[of], b[of]) for a, b, of in zip(a, b, counted, strict=True)]


def _measured(results: Results) -> tuple[pd.DataFrame, pd.DataFrame, list[_Pair]]:
    """The tables of `on_live_units`, the second without p-values, and the pair of clusterings behind each row of it."""
    rows = pd.concat([results.analysed("modules", trained=flag) for flag in (True, False)])
    layers = list(_layers(rows))
    compared = [part for layer in layers for part in _compared(*layer)]
    modules = pd.concat([_restricted(rows, *layer) for layer in layers], ignore_index=True)
    agreement = pd.concat([part for part, _ in compared], ignore_index=True)
    return modules, agreement, [pair for _, some in compared for pair in some]


def _p_values_at_hand(results: Results, runs: Sequence[int], pairs: Sequence[_Pair]) -> Sequence[float]:
    """The shipped p-values if they are of these pairs and of the same test, otherwise computed now."""
    study, folder = results.study, SHIPPED / results.study.name
    if (folder / "facts.json").exists():
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        if facts["key"] == _key(pairs, runs, permutations=study.permutations):
            return list(read_entry(folder).tables["p_values"]["p_value"])
        warnings.warn(
            f"the p-values in {folder} are of other modules or other code, so they are computed now. `modularity "
            f"live-units {study.name}` ships new ones.",
            OtherPairs,
            stacklevel=3,
        )
    return _tested(pairs, runs, permutations=study.permutations)


def _tested(pairs: Sequence[_Pair], runs: Sequence[int], *, permutations: int) -> list[float]:
    """Permutation p of each pair, with the random numbers of its run as where the study tests all units."""
    found = []
    with progress_bar(len(pairs), "testing agreement over live units") as bar:
        for (a, b), run in zip(pairs, runs, strict=True):
            found.append(agreement_p_value(a, b, permutations=permutations, seed=run))
            bar.update()
    return found


def _key(pairs: Sequence[_Pair], runs: Sequence[int], *, permutations: int) -> str:
    """Key of the p-values: what is tested, and the code of the test, which is part of the stage "agreement"."""
    digest = hashlib.sha256()
    for (a, b), run in zip(pairs, runs, strict=True):
        digest.update(f"{run}:{a.tolist()}:{b.tolist()}\n".encode())
    return key_of({"pairs": digest.hexdigest(), "permutations": permutations, "source": source_of("agreement")})

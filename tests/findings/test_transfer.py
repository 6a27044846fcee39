"""Transfer of Q against dropout is the mean over pairs, layers and runs; closed cases of merged modules."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest

from made_up_results import made_up_results
from modularity_lib.findings.transfer import ALL_LAYERS, merged_in_pairs, together_table, transfer_table
from modularity_lib.studies.results import Results
from modularity_lib.vocabulary import FAMILY, pair_kind


@pytest.fixture
def made_up() -> Results:
    """Tables with a transfer and an agreement of its own in every row."""
    results = made_up_results()
    source, agreement = np.random.default_rng(0), results.agreement.copy()
    for name in ("transfer", "element_centric", "element_centric_chance"):
        agreement[name] = source.random(len(agreement)) * (0.5 if name.endswith("chance") else 1)
    return replace(results, agreement=agreement)


def test_transfer_is_the_mean_over_pairs_of_two_quantities_layer_by_layer(made_up: Results) -> None:
    table = transfer_table(made_up).set_index(["strength", "kind", "layer", "quantity"])
    rows = made_up.agreement.query("trained and l1 == 0 and l2 == 1e-5 and dropout == 0.6 and layer == 2")
    by_run: dict[int, list[tuple[float, float]]] = {}
    for row in rows.to_dict("records"):
        if pair_kind(row["measure_a"], row["measure_b"]) == "across":
            chance = row["element_centric_chance"]
            values = row["transfer"], (row["element_centric"] - chance) / (1 - chance)
            by_run.setdefault(row["run"], []).append(values)
    means = np.array([np.mean(values, axis=0) for values in by_run.values()])
    assert means.shape == (4, 2)
    for place, quantity in enumerate(("transfer", "corrected")):
        found = table.loc[(0.6, "across", 2, quantity)]
        assert found["mean"] == pytest.approx(means[:, place].mean(), abs=1e-12)
        assert found["n_runs"] == 4
        assert (found["smallest"], found["largest"]) == pytest.approx((means[:, place].min(), means[:, place].max()))
        both = [table.loc[(0.6, "across", layer, quantity), "mean"] for layer in (1, 2)]
        assert table.loc[(0.6, "across", ALL_LAYERS, quantity), "mean"] == pytest.approx(np.mean(both))
    assert set(table.index.get_level_values("strength")) == {0.0, 0.3, 0.6}


@pytest.mark.parametrize("blocks", [4, 8, 16])
def test_of_blocks_merged_in_pairs_transfer_and_agreement_have_a_closed_form(blocks: int) -> None:
    size = 64 // blocks
    fine = (1 - 2 / blocks) / (1 - 1 / blocks + 0.001)
    coarse = ((size - 1) / (2 * size - 1) - 1 / blocks) / (1 - 2 / blocks + 0.001)
    fine_of, coarse_of = np.arange(64) // size, np.arange(64) // size // 2
    source, chance = np.random.default_rng(0), []
    for _ in range(500):
        shuffled = source.permutation(coarse_of)
        overlaps = ((fine_of[:, None] == fine_of) & (shuffled[:, None] == shuffled)).sum(axis=1)
        chance.append((overlaps / (2 * size)).mean())
    found = merged_in_pairs(blocks)
    assert found.transfer == pytest.approx((fine + coarse) / 2, abs=1e-12)
    assert found.corrected == pytest.approx((0.5 - np.mean(chance)) / (1 - np.mean(chance)), abs=0.01)


def test_units_are_together_as_often_as_counted_pair_by_pair() -> None:
    results = made_up_results()
    source, modules = np.random.default_rng(1), results.modules.copy()
    modules["labels"] = [source.integers(-1, 3, size=10).tolist() for _ in range(len(modules))]
    results = replace(results, modules=modules)
    table = together_table(results).set_index(["strength", "given"])
    rows = modules.query("trained and l1 == 0 and l2 == 1e-5 and dropout == 0.6")
    seen: list[tuple[float, float]] = []
    for _, layer in rows.groupby(["run", "layer"]):
        labels = dict(zip(layer["measure"], layer["labels"], strict=True))
        for given, other in product(labels, repeat=2):
            if (FAMILY[given], FAMILY[other]) == ("upstream", "downstream"):
                a, b = labels[given], labels[other]
                pairs = [(i, j) for i, j in combinations(range(10), 2) if min(a[i], a[j], b[i], b[j]) >= 0]
                one = [b[i] == b[j] for i, j in pairs if a[i] == a[j]]
                seen.append((np.mean(one) if one else np.nan, np.mean([b[i] == b[j] for i, j in pairs])))
    expected = pd.DataFrame(seen).mean()
    assert table.loc[(0.6, "upstream")].tolist() == pytest.approx(expected.tolist(), abs=1e-12)
    assert set(table.index) == {(strength, family) for strength in (0.0, 0.6) for family in ("upstream", "downstream")}

"""Agreement over live units is that of the restricted clusterings, and the rest of the results stays."""

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from made_up_results import made_up_results
from modularity_lib.alignment.scores import (
    agreement_p_value,
    element_centric_similarity,
    expected_element_centric_similarity,
)
from modularity_lib.findings import live_units
from modularity_lib.findings.live_units import OtherPairs, are_live, on_live_units
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.results import LAYER_OF_NETWORK, Results, agreement_by_kind
from modularity_lib.vocabulary import FAMILY, MEASURES, pair_kind


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_units, "SHIPPED", tmp_path / "live_units")


def with_labels(results: Results, *, units: int = 12, dead: float = 0.3, seed: int = 0) -> Results:
    """Made-up results with modules at random; upstream, units are dead at random, in each measure some others."""
    random = np.random.default_rng(seed)
    rows = results.modules
    rows = rows[(rows["run"] < 4) & (rows["l1"] == 0)]
    results = replace(results, modules=rows)
    labels = [
        np.where((random.random(units) < dead) & (FAMILY[name] == "upstream"), -1, random.integers(0, 3, units))
        for name in results.modules["measure"]
    ]
    modules = results.modules.assign(labels=[of.tolist() for of in labels])
    few = replace(results.study, permutations=50)
    return replace(results, study=few, modules=modules)


@pytest.fixture
def made_up() -> Results:
    return with_labels(made_up_results())


def labels_of_layer(results: Results, row: pd.Series) -> dict[str, np.ndarray]:
    """Labels by measure of the layer that a row is of, by a plain loop."""
    return {
        one["measure"]: np.array(one["labels"])
        for _, one in results.modules.iterrows()
        if all(one[name] == row[name] for name in LAYER_OF_NETWORK)
    }


def test_every_comparison_is_that_of_the_units_live_in_all_upstream_measures(made_up: Results) -> None:
    live = on_live_units(made_up)
    table = live.agreement.sample(25, random_state=0)
    for _, row in table.iterrows():
        of = labels_of_layer(made_up, row)
        units = [i for i in range(12) if all(of[name][i] >= 0 for name in MEASURES if FAMILY[name] == "upstream")]
        a, b = of[row["measure_a"]][units], of[row["measure_b"]][units]
        assert row["live_units"] == len(units) > 0
        assert row["element_centric"] == pytest.approx(element_centric_similarity(a, b), abs=1e-12)
        assert row["element_centric_chance"] == pytest.approx(expected_element_centric_similarity(a, b), abs=1e-12)
        assert row["p_value"] == agreement_p_value(a, b, permutations=50, seed=row["run"])


def test_all_pairs_of_two_quantities_are_there_for_all_layers_with_a_live_unit(made_up: Results) -> None:
    live = on_live_units(made_up)
    pairs = {(a, b) for a, b in combinations(MEASURES, 2) if pair_kind(a, b) != "same"}
    found = live.agreement.groupby(LAYER_OF_NETWORK)[["measure_a", "measure_b"]].apply(
        lambda rows: set(rows.itertuples(index=False, name=None))
    )
    assert all(of == pairs for of in found)
    layers = made_up.modules[made_up.modules["analysed"]].groupby(LAYER_OF_NETWORK)
    expected = {
        name
        for name, rows in layers
        if any(all(of[i] >= 0 for of in rows.loc[rows["measure"].str.startswith("input"), "labels"]) for i in range(12))
    }
    assert set(found.index) == expected
    assert len(expected) < layers.ngroups  # where 12 units are dead in some measure each, nothing is left to compare


def test_without_silent_units_agreement_is_what_it_was(made_up: Results) -> None:
    alive = with_labels(made_up_results(), dead=0.0)
    live = on_live_units(alive)
    for _, row in live.agreement.sample(10, random_state=0).iterrows():
        of = labels_of_layer(alive, row)
        whole = element_centric_similarity(of[row["measure_a"]], of[row["measure_b"]])
        assert row["element_centric"] == pytest.approx(whole, abs=1e-12)
        assert row["live_units"] == 12


def test_the_shared_dead_of_a_small_example_are_no_agreement() -> None:
    """48 of 64 units dead, the others in 4 modules each that have nothing to do with each other."""
    a, b = (np.r_[np.full(48, -1), of] for of in (np.arange(16) % 4, np.arange(16) // 4))
    one = made_up_results()
    chosen = one.modules.query("trained and run == 0 and layer == 1 and dropout == 0.3")
    labels = [(a if name.endswith("_norm") else b).tolist() for name in chosen["measure"]]
    results = replace(one, modules=chosen.assign(labels=labels), study=replace(one.study, permutations=999))
    table = agreement_by_kind(on_live_units(results)).set_index(["measure_a", "measure_b"])
    row = table.loc["input_covariance", "input_gradient_norm"]
    assert row["live_units"] == 16
    # Modules of 4 share 1 unit of 4 with each other. By chance 4 units share (1 + 3 · 3/15) of 4 with those of one.
    assert row["element_centric"] == 1 / 4
    assert row["element_centric_chance"] == pytest.approx((1 + 3 * 3 / 15) / 4)
    assert row["corrected"] == pytest.approx(-0.25)
    assert row["p_value"] == 1.0
    whole, chance = element_centric_similarity(a, b), expected_element_centric_similarity(a, b)
    assert whole == (48 + 16 / 4) / 64
    assert (whole - chance) / (1 - chance) == pytest.approx(0.65, abs=0.005)


def test_units_that_respond_in_no_measure_are_dead_and_the_others_live() -> None:
    labels = np.array([[[0, -1, 2, 0], [0, 0, -1, 1]], [[-1] * 4, [0] * 4]])
    assert are_live(labels).tolist() == [[True, False, False, True], [False] * 4]


def test_modules_are_counted_over_live_units(made_up: Results) -> None:
    modules = on_live_units(made_up).modules
    for _, row in modules.sample(25, random_state=0).iterrows():
        of = labels_of_layer(made_up, row)
        units = [i for i in range(12) if all(of[name][i] >= 0 for name in MEASURES if FAMILY[name] == "upstream")]
        restricted = of[row["measure"]][units]
        assert row["labels"] == restricted.tolist()
        shares = [np.mean(restricted == module) for module in set(restricted.tolist())]
        assert row["n_modules"] == pytest.approx(np.exp(-sum(share * np.log(share) for share in shares)))
    scores = made_up.modules.merge(modules, on=[*LAYER_OF_NETWORK, "measure"])
    assert (scores["score_x"] == scores["score_y"]).all()


def test_a_measure_without_modules_is_left_out_and_the_others_stay(made_up: Results) -> None:
    lost = made_up.modules["measure"] == "output_hessian"
    status = made_up.modules["status"].mask(lost, "all_units_dead")
    live = on_live_units(replace(made_up, modules=made_up.modules.assign(status=status)))
    assert "output_hessian" not in set(live.agreement["measure_a"]) | set(live.agreement["measure_b"])
    assert "output_gradient" in set(live.agreement["measure_a"])
    lost = made_up.modules["measure"] == "input_gradient"
    lost &= made_up.modules["run"] == 1
    status = made_up.modules["status"].mask(lost, "all_units_dead")
    live = on_live_units(replace(made_up, modules=made_up.modules.assign(status=status)))
    assert set(live.agreement.query("trained")["run"]) == {0, 2, 3}  # who is live is not known without that measure


def test_shipped_p_values_are_used_while_modules_and_the_test_are_the_same(
    made_up: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = on_live_units(made_up).agreement["p_value"].tolist()
    assert live_units.ship(made_up)["p_value"].tolist() == computed
    with monkeypatch.context() as patched:
        patched.setattr(live_units, "agreement_p_value", lambda *_, **__: pytest.fail("tested"))
        assert on_live_units(made_up).agreement["p_value"].tolist() == computed
    for other in (with_labels(made_up, seed=1), replace(made_up, study=replace(made_up.study, permutations=60))):
        with pytest.warns(OtherPairs, match="modularity live-units made-up"):
            on_live_units(other)
    monkeypatch.setattr(live_units, "source_of", lambda stage: "other code")
    with pytest.warns(OtherPairs):
        on_live_units(made_up)


@pytest.mark.parametrize("study", ["v1", "final-base", "final-wide", "final-deep"])
def test_shipped_p_values_belong_to_the_shipped_modules(study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails: `modularity reaffirm`, or `modularity live-units STUDY` where modules or the test changed."""
    monkeypatch.undo()
    results = Archive(study).tables_at_hand()
    _, agreement, pairs = live_units._measured(results)
    runs = agreement["run"].tolist()
    place = live_units.SHIPPED / study
    facts = json.loads((place / "facts.json").read_text())
    assert facts["key"] == live_units._key(pairs, runs, permutations=results.study.permutations)
    shipped = live_units.read_entry(place).tables["p_values"]["p_value"]
    assert len(shipped) == len(pairs)
    for index in np.random.default_rng(0).choice(len(pairs), 15, replace=False).tolist():
        a, b = pairs[index]
        p_value = agreement_p_value(a, b, permutations=results.study.permutations, seed=runs[index])
        assert shipped[index] == p_value

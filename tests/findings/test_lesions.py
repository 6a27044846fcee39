"""A lesion holds units at 0 or at their mean, and what is lost is counted by class, beside sets that are matched."""

import math
from dataclasses import replace

import numpy as np
import pytest

from modularity_lib.findings import lesions
from modularity_lib.findings.lesions import FEWEST_SETS, LESIONS, NORMALISED, OUTCOMES, Tail, losses, rows_of, tails
from modularity_lib.findings.tables import AnalysedNetwork
from modularity_lib.images.dataset import Dataset
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.training.config import TrainingConfig
from modularity_lib.training.networks import Parameters, initial_parameters

SIZES = (5, 7, 6, 3)


def network(seed: int = 0, sizes: tuple[int, ...] = SIZES) -> Parameters:
    drawn = initial_parameters(sizes, seed=seed)
    return Parameters(tuple(4 * weight for weight in drawn.weights), drawn.biases)


def images(n: int, pixels: int = SIZES[0], classes: int = SIZES[-1]) -> tuple[np.ndarray, np.ndarray]:
    source = np.random.default_rng(1)
    return source.random((n, pixels), dtype=np.float32), source.integers(classes, size=n)


def forward(parameters: Parameters, image: np.ndarray, layer: int, held: dict[int, float]) -> tuple[list, list]:
    """Activity of the layer and logits, unit by unit in float64; some units of the layer are held at a value."""
    values = [float(x) for x in image]
    activity: list[float] = []
    last = len(parameters.weights)
    for number, (weight, bias) in enumerate(zip(parameters.weights, parameters.biases, strict=True), start=1):
        sums = []
        for row, b in zip(weight.tolist(), bias.tolist(), strict=True):
            total = b
            for w, x in zip(row, values, strict=True):
                total += w * x
            sums.append(total)
        values = sums if number == last else [max(0.0, x) for x in sums]
        if number == layer:
            activity = values
            values = [held.get(unit, x) for unit, x in enumerate(values)]
    return activity, values


def scored(logits: list[list[float]], classes: np.ndarray) -> tuple[list[float], list[float]]:
    """Accuracy and cross-entropy of each class, image by image."""
    right = {k: [] for k in sorted(set(classes.tolist()))}
    entropy: dict[int, list[float]] = {k: [] for k in right}
    for z, k in zip(logits, classes.tolist(), strict=True):
        right[k].append(float(z.index(max(z)) == k))
        entropy[k].append(math.log(sum(math.exp(x) for x in z)) - z[k])
    return [sum(v) / len(v) for v in right.values()], [sum(v) / len(v) for v in entropy.values()]


def spread(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((x - mean) ** 2 for x in values) / len(values))


@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("lesion", LESIONS)
@pytest.mark.parametrize("missing", [None, 1], ids=["all classes", "a class without images"])
def test_losses_are_those_of_a_network_computed_unit_by_unit(layer: int, lesion: str, missing: int | None) -> None:
    parameters, (shown, classes) = network(), images(60)
    shown = 4 * (shown - 0.5)  # so that logits of each class are the largest somewhere
    if missing is not None:
        classes[classes == missing] = 2
    [*ends] = tails(parameters, shown, classes)
    tail = ends[layer - 1]
    whole = [forward(parameters, image, layer, {}) for image in shown]
    activity = np.array([one for one, _ in whole]).T
    np.testing.assert_allclose(tail.activity, activity, atol=1e-5)
    sets = np.array([[True, False] * 3 + [True], [False] * 2 + [True] * 5])[:, : SIZES[layer]]
    found = losses(tail, sets, activity.mean(axis=1))
    before = scored([z for _, z in whole], classes)
    for row, units in zip(found[lesion], sets, strict=True):
        at = {int(i): 0.0 if lesion == "zero" else activity[i].mean() for i in np.flatnonzero(units)}
        after = scored([forward(parameters, image, layer, at)[1] for image in shown], classes)
        lost = [a - b for a, b in zip(before[0], after[0], strict=True)]
        rise = [b - a for a, b in zip(before[1], after[1], strict=True)]
        expected = (sum(lost) / len(lost), spread(lost), sum(rise) / len(rise), spread(rise))
        assert abs(expected[0]) > 0.01  # something is lost, or won
        assert row == pytest.approx(expected, abs=2e-5)


def one_unit_for_each_class(copies: int = 1) -> Tail:
    """Every unit is on for the images of its class alone, and speaks for that class alone."""
    classes = np.repeat(np.arange(4), 5)
    activity = np.tile((np.arange(4)[:, None] == classes).astype(np.float32), (copies, 1))
    return Tail(activity, [np.tile(np.eye(4, dtype=np.float32), (1, copies))], [np.zeros(4, np.float32)], classes)


def test_a_class_whose_only_unit_is_gone_is_lost_and_its_copy_keeps_it() -> None:
    alone, twice = one_unit_for_each_class(), one_unit_for_each_class(copies=2)
    last = np.arange(4) == 3  # without it all logits of the last class are 0; the tie counts as right
    both = np.tile(last, 2)
    one = both & (np.arange(8) > 3)
    entropy = math.log(4) - math.log(math.e + 3) + 1  # ln 4 without the unit, ln(e + 3) - 1 with it
    [row] = losses(alone, last[None], alone.activity.mean(axis=1))["zero"]
    assert row[2:] == pytest.approx([entropy / 4, entropy * math.sqrt(3) / 4], abs=1e-6)
    shifted = alone._replace(biases=[np.array([0.5, 0, 0, 0], np.float32)])  # no tie: the first class wins
    [row] = losses(shifted, last[None], shifted.activity.mean(axis=1))["zero"]
    assert row[:2] == pytest.approx([1 / 4, math.sqrt(3) / 4])
    shifted = twice._replace(biases=[np.array([0.5, 0, 0, 0], np.float32)])
    with_copy, without = losses(shifted, np.stack([one, both]), shifted.activity.mean(axis=1))["zero"]
    assert with_copy[:2].tolist() == [0, 0]
    assert without[:2] == pytest.approx([1 / 4, math.sqrt(3) / 4])


def test_a_unit_that_never_changes_is_not_missed_at_its_mean() -> None:
    tail = one_unit_for_each_class()
    constant = tail._replace(activity=np.where(np.arange(4)[:, None] == 3, np.float32(2), tail.activity))
    found = losses(constant, (np.arange(4) == 3)[None], constant.activity.mean(axis=1))
    assert np.abs(found["mean"]).max() < 1e-6
    assert found["zero"][0, 0] == -3 / 4  # at 2 it outvotes the units of all other classes; without it they win


def analysed(labels: dict[tuple[int, str], np.ndarray], seed: int = 0) -> AnalysedNetwork:
    shown, classes = images(400, pixels=12, classes=4)
    dataset = Dataset("made-up", shown[:1], classes[:1], shown, classes, "")
    return AnalysedNetwork(STUDIES["v1"], TrainingConfig(run=2), network(seed, (12, 40, 40, 4)), labels, dataset)


def some_labels() -> dict[tuple[int, str], np.ndarray]:
    return {(layer, measure): np.arange(40) % 4 for layer in (1, 2) for measure in NORMALISED}


def test_there_is_a_row_for_every_module_and_lesion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lesions, "NORMALISED", NORMALISED[:2])
    rows = rows_of(analysed(some_labels()))
    assert len(rows) == 2 * 2 * 4 * len(LESIONS)
    assert {(row["layer"], row["measure"]) for row in rows} == {
        place for place in some_labels() if place[1] in NORMALISED[:2]
    }
    for row in rows:
        assert row["n_random"] == lesions.SETS
        assert 0 <= row["accuracy_above"] <= 1
        names = [f"{outcome}{ending}" for outcome in OUTCOMES for ending in ("", "_random", "_neighbours", "_above")]
        assert set(names) <= set(row)
    zero = [row for row in rows if row["lesion"] == "zero"]
    near = [row for row in zero if row["alike_neighbours"] is not None]
    assert len(near) > len(zero) / 2
    assert np.mean([row["alike_neighbours"] - row["alike_random"] for row in near]) > 0.1
    assert rows == rows_of(analysed(some_labels()))  # to the bit


def test_modules_of_dead_units_and_those_too_small_or_too_large_have_no_row() -> None:
    live = np.where(np.arange(40) < 36, np.arange(40) % 3, -1)
    live[:2] = 3  # a module of two
    large = np.zeros(40, dtype=int)
    large[:3] = 1  # leaves three, of the modules of which it keeps its own row
    place = (1, NORMALISED[0])
    found = {row["module"] for row in rows_of(analysed({place: live}))}
    assert found == {0, 1, 2}
    assert {row["module"] for row in rows_of(analysed({place: large}))} == {1}
    one = analysed({place: np.arange(40) % 4})
    silent = one.parameters.weights[0].copy()
    silent[:8] = -1  # they never respond: images are positive, and biases small
    dead = Parameters((silent, *one.parameters.weights[1:]), one.parameters.biases)
    rows = rows_of(replace(one, parameters=dead))
    assert {row["units"] for row in rows} == {8}


def test_a_module_without_enough_sets_says_what_it_loses_and_nothing_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    none = np.zeros((FEWEST_SETS - 1, 40), dtype=bool)
    monkeypatch.setattr(lesions, "random_sets", lambda *_, **__: none)
    row = rows_of(analysed({(1, NORMALISED[0]): np.arange(40) % 4}))[0]
    assert row["n_random"] == FEWEST_SETS - 1
    assert row["accuracy"] is not None
    assert (row["accuracy_random"], row["accuracy_above"], row["alike_random"]) == (None, None, None)
    assert row["accuracy_neighbours"] is not None


def test_the_sets_beside_a_module_are_averaged_one_by_one() -> None:
    one = analysed({})
    tail, _ = tails(one.parameters, one.dataset.test_images, one.dataset.test_labels)
    module = np.arange(40) < 10
    facts = lesions.layer_of(tail.activity, tail.weights[0])
    found = lesions.compared(module, tail, facts, wanted=30, source=np.random.default_rng(0))
    live = np.flatnonzero(tail.activity.std(axis=1) > 0)
    outgoing = np.abs(tail.weights[0]).sum(axis=0)[live].astype(float)
    carried = np.stack([outgoing, outgoing * tail.activity[live].std(axis=1)])
    source = np.random.default_rng(0)
    sets = lesions.random_sets(module[live], carried.astype(np.float64), wanted=30, source=source)
    lost = []
    for chosen in sets:
        units = np.zeros(40, dtype=bool)
        units[live[chosen]] = True
        lost.append(losses(tail, units[None], tail.activity.mean(axis=1))["zero"][0])
    own = losses(tail, module[None] & np.isin(np.arange(40), live), tail.activity.mean(axis=1))["zero"][0]
    for number, outcome in enumerate(OUTCOMES):
        of = [row[number] for row in lost]
        assert found.lost["zero"][f"{outcome}_random"] == pytest.approx(sum(of) / len(of))
        assert found.lost["zero"][f"{outcome}_above"] == sum(x < own[number] for x in of) / len(of)
        assert found.lost["zero"][outcome] == pytest.approx(own[number])


def test_sets_that_lose_as_much_do_not_lose_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lesions, "random_sets", lambda module, *_, **__: np.tile(module, (FEWEST_SETS, 1)))
    for row in rows_of(analysed({(1, NORMALISED[0]): np.arange(40) % 4})):
        assert [row[f"{outcome}_above"] for outcome in OUTCOMES] == [0.0] * 4
        assert [row[f"{outcome}_random"] for outcome in OUTCOMES] == pytest.approx([row[name] for name in OUTCOMES])

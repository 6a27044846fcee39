"""What many searches agree on, beside counts made unit by unit."""

import sys
from typing import Any

import numpy as np
import pytest

import modularity_lib as ml
from modularity_lib.clustering import consensus
from modularity_lib.clustering.consensus import consensus_modules
from modularity_lib.clustering.modularity import modularity_matrix
from modularity_lib.findings.synthetic import noise, planted


def two_blocks_and_a_unit_between() -> np.ndarray:
    """Unit 8 is linked as strongly to both blocks of four."""
    similarity = np.zeros((9, 9))
    similarity[:4, :4] = similarity[4:8, 4:8] = 1.0
    similarity[8, :8] = similarity[:8, 8] = 0.5
    return similarity


def test_where_all_searches_agree_every_unit_is_certain_and_of_the_core() -> None:
    similarity = planted(64, blocks=4, common=0.2, seed=0)
    agreed = consensus_modules(similarity, searches=20)
    assert agreed.n_partitions == 1
    assert agreed.labels.tolist() == ml.find_modules(similarity).labels.tolist()
    assert (agreed.confidence == 1.0).all()
    assert agreed.core.all()
    assert agreed.score == pytest.approx(ml.modularity_score(similarity, agreed.labels))
    assert agreed.scores == pytest.approx([agreed.score] * 20)


def test_a_unit_between_two_modules_is_the_one_that_is_not_certain() -> None:
    agreed = consensus_modules(two_blocks_and_a_unit_between(), searches=200, seed=1)
    assert agreed.n_partitions == 2
    assert len(set(agreed.labels[:4])) == len(set(agreed.labels[4:8])) == 1
    assert agreed.labels[0] != agreed.labels[4]
    assert agreed.core.tolist() == [True] * 8 + [False]
    assert agreed.confidence.argmin() == 8
    # Unit 8 has the company of its block in a share of the searches, and none of it in the others. A unit of that block
    # is with three others always, and with unit 8 in that share: 1 or 3/4. So is one of the other block.
    share = agreed.confidence[8]
    assert 0.2 < share < 0.8
    mates = agreed.labels[:8] == agreed.labels[8]
    assert agreed.confidence[:8][mates] == pytest.approx([share + (1 - share) * 3 / 4] * 4)
    assert agreed.confidence[:8][~mates] == pytest.approx([share + (1 - share) * 3 / 4] * 4)


@pytest.mark.parametrize("seed", range(4))
def test_confidence_and_core_are_what_they_are_counted_to_be(seed: int) -> None:
    random = np.random.default_rng(seed)
    agreed, found = random.integers(0, 3, 12), random.integers(0, 4, (30, 12))
    agreed[:3] = [0, 1, 2]
    confidence = consensus._confidence(agreed, found)
    for unit in range(12):
        overlaps = []
        for labels in found:
            mates, others = ({j for j in range(12) if one[j] == one[unit]} - {unit} for one in (agreed, labels))
            overlaps.append(len(mates & others) / len(mates | others) if mates | others else 1.0)
        assert confidence[unit] == pytest.approx(np.mean(overlaps))
    together = consensus._together(found)
    assert together[2, 5] == np.mean([labels[2] == labels[5] for labels in found])


def test_the_core_is_the_largest_group_of_a_module_that_stays_together() -> None:
    together = np.eye(7)
    for group in ([0, 1], [2, 3, 4]):
        together[np.ix_(group, group)] = consensus.CORE_SHARE
    together[4, 5] = together[5, 4] = 0.94
    assert consensus._core(np.array([0] * 6 + [1]), together).tolist() == [False] * 2 + [True] * 3 + [False] * 2


def test_links_that_are_no_more_than_chance_do_not_count_but_the_strongest_of_each_unit() -> None:
    found = np.array([[0, 0, 0, 1, 1], [0, 0, 1, 1, 2], [0, 0, 1, 2, 3], [0, 0, 1, 2, 3]])
    # Together in all four searches: 0 and 1. In one: 0 and 1 with 2; 3 with 4; 2 with 3. The mean of ten pairs: 0.2.
    weight = consensus._beyond_chance(found)
    assert weight[0, 1] == 1.0
    assert weight[2, 0] == weight[3, 4] == weight[2, 3] == 0.25  # above 0.2
    once_more = consensus._beyond_chance(np.concatenate([found, [[0, 0, 1, 2, 3]] * 4]))  # 0.15, and these are 1/8
    assert once_more[0, 1] == 1.0
    assert once_more[1, 2] == 0.0  # unit 1 has a stronger link
    # Units 2, 3 and 4 keep the first of their strongest: to 0, to 2 and to 3.
    assert once_more[2:].tolist() == [[0.125, 0, 0, 0.125, 0], [0, 0, 0.125, 0, 0.125], [0, 0, 0, 0.125, 0]]
    assert (once_more == once_more.T).all()


def test_noise_has_many_partitions_and_little_confidence() -> None:
    similarity = noise(64, seed=0)
    agreed = consensus_modules(similarity, searches=50)
    assert agreed.n_partitions > 40
    assert np.nanmean(agreed.confidence) < 0.5
    assert agreed.score <= ml.find_modules(similarity, restarts=20).score
    assert agreed.scores.max() <= ml.find_modules(similarity, restarts=20).score + 1e-12


@pytest.mark.parametrize("options", [{}, {"method": "paper"}, {"resolution": 1.5}, {"signed": True}])
def test_the_same_arguments_give_the_same_and_another_seed_other_searches(options: dict[str, Any]) -> None:
    similarity = noise(40, seed=3)
    if options.get("signed"):
        similarity = similarity * np.sign(np.add.outer(np.arange(40) % 3, np.arange(40) % 3) - 1.5)
    one, same, other = (consensus_modules(similarity, searches=12, seed=seed, **options) for seed in (0, 0, 1))
    assert one.labels.tolist() == same.labels.tolist()
    assert one.scores.tolist() == same.scores.tolist()
    assert one.scores.tolist() != other.scores.tolist()
    asked = {name: value for name, value in options.items() if name != "method"}
    assert one.score == pytest.approx(ml.modularity_score(similarity, one.labels, **asked))


def test_a_search_ends_where_no_move_of_a_unit_raises_q() -> None:
    similarity = noise(20, seed=5)
    labels = consensus._way_up(modularity_matrix(similarity), 0, 0)
    score = ml.modularity_score(similarity, labels)
    for unit in range(20):
        for module in range(labels.max() + 2):
            moved = labels.copy()
            moved[unit] = module
            assert ml.modularity_score(similarity, moved) <= score + 1e-9


def test_dead_units_have_no_confidence_and_are_no_core() -> None:
    similarity = np.zeros((8, 8))
    similarity[1:4, 1:4] = similarity[5:8, 5:8] = 1.0
    agreed = consensus_modules(similarity, searches=5)
    assert agreed.labels.tolist() == [-1, 0, 0, 0, -1, 1, 1, 1]
    assert np.isnan(agreed.confidence).tolist() == [True, False, False, False] * 2
    assert agreed.core.tolist() == [False, True, True, True] * 2
    nothing = consensus_modules(np.eye(3), searches=5)
    assert nothing.labels.tolist() == [-1] * 3
    assert np.isnan(nothing.score)
    assert np.isnan(nothing.confidence).all()
    assert (nothing.n_partitions, nothing.core.any(), len(nothing.scores)) == (0, False, 0)


def test_names_are_kept_and_scores_of_agreement_take_the_consensus() -> None:
    import pandas as pd

    names = list("abcdef")
    agreed = consensus_modules(pd.DataFrame(np.kron(np.eye(2), np.ones((3, 3))), names, names), searches=3)
    assert agreed.names == tuple(names)
    assert ml.element_centric_similarity(agreed, np.repeat([0, 1], 3)) == 1.0


def test_a_bar_is_shown_when_asked_for(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modularity_lib.progress._SHOWN_AFTER", 0.0)
    for asked, is_there in ((True, True), (False, False), (None, sys.stderr.isatty())):
        consensus_modules(np.kron(np.eye(2), np.ones((3, 3))), searches=3, progress=asked)
        assert ("searching" in capsys.readouterr().err) == is_there


def test_arguments_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^searches must be a whole number of at least 2, got 1\."):
        consensus_modules(np.ones((3, 3)), searches=1)
    with pytest.raises(ValueError, match=r'^method must be "best" or "paper", got \'fast\''):
        consensus_modules(np.ones((3, 3)), method="fast")
    for asked in ({"signed": True}, {"resolution": 2.0}):
        with pytest.raises(ValueError, match=rf"^{next(iter(asked))} must be left out"):
            consensus_modules(np.ones((3, 3)), method="paper", **asked)
    with pytest.raises(ValueError, match=r"^similarity must not be negative"):
        consensus_modules(-np.ones((3, 3)))

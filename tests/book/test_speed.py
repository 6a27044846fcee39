"""The benchmarks' figures reach the page as they were measured."""

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from modularity_lib import figures
from modularity_lib.book.words import speed as speed_words

FACTS = {"machine": "a machine, 2 cores", "versions": {"python": "3.11", "numpy": "2.4"}, "day": "2026-01-01"}
TRAINING = {
    **FACTS,
    "rows": [
        {
            "what": "plain PyTorch loop",
            "ms_per_network_step": 1.5,
            "network_epochs_per_second": 2.5,
            "gflop_per_second": 30.0,
            "times_plain_loop": 1.0,
            "share_of_products_rate": 0.25,
        }
    ],
}
SIMILARITY = {
    **FACTS,
    "rows": [
        {"table": "differentiation", "images": 500, "closed_form_s": 0.01, "differentiation_s": 2.0}
        | {"ratio": 200.0, "largest_difference": 1e-6},
        {"table": "images", "images": 1000, "seconds": 0.1},
        {"table": "images", "images": 10_000, "seconds": 1.0},
        {"table": "units", "units": 64, "input_gradient_s": 0.01, "all_s": 0.02},
        {"table": "units", "units": 128, "input_gradient_s": 0.05, "all_s": 0.09},
    ],
}
SEARCH = {
    **FACTS,
    "rows": {
        "methods": [{"matrix": "noise", "method": "find_modules", "ms": 4.0, "ratio": 5.5, "score": 0.0712}],
        "units": [{"units": 64, "ms": 4.0}, {"units": 128, "ms": 9.0}],
    },
}
AGREEMENT = {
    **FACTS,
    "rows": [
        {"modules": 4, "score": "rmi", "ours_ms": 0.02, "other": "clusim", "other_ms": 0.8, "ratio": 40.0},
        {"modules": 4, "score": "agreement()", "ours_ms": 0.5, "other": None, "other_ms": None, "ratio": None},
    ],
}


def test_the_tables_show_what_was_measured() -> None:
    assert "| plain PyTorch loop | 1.500 | 2.5 | 1.00 | 0.25 |" in speed_words.training_markdown(TRAINING)
    assert "| 500 | 0.010 | 2.00 | 200 | 1e-06 |" in speed_words.similarity_markdown(SIMILARITY)
    assert "| noise | find_modules | 4.00 | 5.5 | 0.0712 |" in speed_words.module_search_markdown(SEARCH)
    lines = speed_words.agreement_markdown(AGREEMENT).splitlines()
    assert lines[2:] == ["| 4 | rmi | 0.020 | 0.80 | 40 | clusim |", "| 4 | agreement() | 0.500 | – | – | – |"]
    assert len({line.count("|") for line in lines}) == 1


OWN = {
    **FACTS,
    "rows": [
        {"table": "torch_func", "network": name, "inputs": 1_500, "ours_s": ours, "torch_func_s": theirs}
        | {"ratio": ours / theirs, "largest_difference": 4.5e-9}
        for name, ours, theirs in (("middle", 0.3, 0.4), ("tanh MLP", 0.1, 0.2), ("ResNet block", 2.2, 2.0))
    ]
    + [{"table": "sequential", "ratio": 9.0}],
}
BEST = {
    **FACTS,
    "rows": [
        {"kind": kind, "matrices": n, "gap": gap, "Leiden gap": theirs, "ms": ms, "Leiden ms": 2.0, "ratio": ms / 2.0}
        for kind, n, gap, theirs, ms in (
            ("karate club", 1, 0.03, 0.0, 1.0), ("v1, dropout 0", 16, 0.0, 1.862, 4.0), ("LFR", 1, 0.001, 0.0, 30.0),
        )
    ],
}  # fmt: skip
LATE = {
    **FACTS,
    "rows": [
        {"l2": 1e-05, "early_ms": 5.11, "late_ms": 5.84, "late_by_early": 1.1427, "plain_early_ms": 31.2}
        | {"plain_late_ms": 31.2, "plain_late_by_early": 1.0028}
    ],
}
STARTS = {
    **FACTS,
    "rows": [{"what": "import click", "milliseconds": 42.2}, {"what": "import modularity_lib", "milliseconds": 21.1}],
}


def test_own_networks_the_best_search_late_epochs_and_starts_are_shown_as_measured() -> None:
    own = speed_words.own_networks_markdown(OWN).splitlines()
    assert own[3] == "| tanh MLP | 1,500 | 0.10 | 0.20 | 0.50 | 4e-09 |"
    assert len(own) == 2 + 3  # without those of a Sequential
    assert "| v1, dropout 0 | 16 | 0.00% | 1.86% | 4.0 | 2.0 | 2 |" in speed_words.best_search_markdown(BEST)
    assert "| 1e-05 | 5.1 | 5.8 | 1.14 | 1.00 |" in speed_words.late_epochs_markdown(LATE)
    assert "| import click | 42 |" in speed_words.imports_markdown(STARTS)


def test_it_is_said_where_the_search_is_slower_and_where_it_misses_more() -> None:
    assert speed_words.best_search_text(BEST) == (
        "find_modules takes longer than Leiden's method on 2 of 3 kinds of graphs: v1, dropout 0 and LFR. It misses "
        "more of Q on 1 (karate club)."
    )
    better = {**BEST, "rows": [{**row, "gap": 0.0, "ratio": 0.5} for row in BEST["rows"]]}
    assert speed_words.best_search_text(better) == (
        "find_modules takes longer than Leiden's method on 0 of 3 kinds of graphs. It misses more of Q on 0."
    )


def test_the_table_in_sight_has_each_step_beside_its_alternative_and_the_worst_case_too() -> None:
    rows = [{**TRAINING["rows"][0]}]
    rows += [
        {**rows[0], "what": what, "ms_per_network_step": ms}
        for what, ms in (("side by side, 1", 0.5), ("side by side, 8", 0.25), ("side by side, 8, no pixel 0", 0.1))
    ]
    test = {"modules": 4, "score": "permutation test", "ours_ms": 1.0, "other": "numpy loop", "other_ms": 1200.0}
    agreement = {**FACTS, "rows": [AGREEMENT["rows"][0], test, {**test, "ours_ms": 3.0}]}
    facts = {
        "training": {**FACTS, "rows": rows}, "similarity": SIMILARITY, "own_networks": OWN, "best_search": BEST,
        "agreement": agreement, "imports": STARTS,
    }  # fmt: skip
    assert speed_words.summary_markdown(facts).splitlines()[2:] == [
        "| training step of one network | 0.25 ms | plain PyTorch loop | 1.5 ms | 6 |",
        "| 8 similarities, 500 images | 10 ms | automatic differentiation | 2 s | 200 |",
        "| input gradient of a tanh MLP | 100 ms | torch.func at its best | 200 ms | 2 |",
        "| input gradient of a ResNet block | 2.2 s | torch.func at its best | 2 s | 0.91 |",
        "| modules: v1, dropout 0 | 4 ms | Leiden of igraph | 2 ms | 0.5 |",
        "| modules: karate club | 1 ms | Leiden of igraph | 2 ms | 2 |",
        "| modules: LFR | 30 ms | Leiden of igraph | 2 ms | 0.067 |",
        "| permutation test of agreement | 1 ms | loop of NumPy | 1.2 s | 1,200 |",
        "| import modularity_lib | 21.1 ms | import click | 42.2 ms | 2 |",
    ]
    assert speed_words.summary_caption(facts).startswith("**We are slower in 3 of 9 comparisons.**")
    fast = {**facts, "own_networks": {"rows": OWN["rows"][1:2]}, "best_search": {"rows": BEST["rows"][:1]}}
    assert speed_words.summary_caption(fast).startswith("**We are slower in none of these.**")


def test_one_network_and_its_overhead_are_one_table() -> None:
    analysis = {**FACTS, "rows": {"seconds": {"module searches": 0.05}, "memory_gb": 1.25}}
    overhead = {**FACTS, "rows": {"store_ms": 7.25, "store_and_engine_ms": 12.0}}
    table = speed_words.analysis_markdown(analysis, overhead)
    for line in ("| module searches | 0.050 s |", "| store and engine together | 12.0 ms |", "| 1.25 GB |"):
        assert line in table


def test_growth_is_drawn_for_images_and_units_on_one_scale_of_images() -> None:
    growth = speed_words.growth(SIMILARITY, SEARCH)
    units = growth["units"].set_index(["what", "x"])["seconds"]
    assert units["8 matrices of 2 layers", 128] == pytest.approx(0.9)  # 10,000 images, measured per 1,000
    assert units["one module search", 128] == pytest.approx(0.009)
    figure = figures.growth_curves(speed_words.growth_table(growth))
    drawn = {line.get_label(): line.get_xydata() for line in figure.axes[0].lines}
    np.testing.assert_allclose(drawn["8 matrices of 2 layers"], [[1000, 0.1], [10_000, 1.0]])
    np.testing.assert_allclose(drawn["in proportion"], [[1000, 0.1], [10_000, 1.0]])
    assert [axes.get_xlabel() for axes in figure.axes] == ["images (logarithmic)", "units (logarithmic)"]
    figure.canvas.draw()
    names = [[tick.get_text() for tick in axes.get_xticklabels()] for axes in figure.axes]
    assert names == [["1,000", "10,000"], ["64", "128"]]
    assert "0.1" in [tick.get_text() for tick in figure.axes[0].get_yticklabels()]


def test_the_powers_of_growth_are_those_of_the_points() -> None:
    growth = speed_words.growth(SIMILARITY, SEARCH)
    text = speed_words.growth_markdown(growth)
    assert "| 8 matrices of 2 layers | images | 1.00 | 1.00 |" in text
    power = np.log2(9 / 4)
    assert f"| one module search | units | {power:.2f} | {power:.2f} |" in text
    steeper = {**SEARCH, "rows": {**SEARCH["rows"], "units": [{"units": n, "ms": float(n) ** 3} for n in (64, 128)]}}
    assert "| one module search | units | 3.00 |" in speed_words.growth_markdown(
        speed_words.growth(SIMILARITY, steeper)
    )
    table = speed_words.growth_table(growth)
    assert len(table) == sum(map(len, growth.values()))
    assert set(table["against"]) == {"images", "units"}


def test_the_scripts_measure_what_the_page_says(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(project / "benchmarks")
    analysis, agreement, search, training = (
        SimpleNamespace(**runpy.run_path(str(project / "benchmarks" / f"{name}.py")))
        for name in ("analysis", "agreement", "module_search", "training")
    )
    assert speed_words.setup_texts() == {
        "bench_hidden": "{} and {}".format(*training.SIZES[1:-1]),
        "bench_batch": f"{training.BATCH}",
        "bench_images": f"{analysis.TEST_IMAGES:,}",
        "bench_units": f"{search.N_UNITS}",
        "bench_measures": "8",
        "bench_layers": "2",
        "bench_searches": "16",
        "bench_pairs": "72",  # of each of 8 measures with itself or a later one, in 2 layers
        "bench_steps": f"{analysis.STEPS:,}",
        "bench_permutations": f"{agreement.PERMUTATIONS:,}",
    }
    assert (analysis.STEPS, agreement.N_UNITS) == (analysis.PERMUTATIONS, search.N_UNITS)


def test_a_benchmark_that_was_not_run_or_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make bench JSON=data/benchmarks"):
        speed_words.benchmark("training", tmp_path)
    with pytest.raises(ValueError, match="name must be one of 'training'"):
        speed_words.benchmark("trainig")
    (tmp_path / "training.json").write_text(json.dumps(TRAINING))
    found = speed_words.benchmark("training", tmp_path)
    assert speed_words.machine_text(found) == "a machine, 2 cores; python 3.11, numpy 2.4; 2026-01-01"
    assert speed_words.origin({**found, "commit": "abc"}, "training")[-1] == "commit abc"


def test_every_benchmark_that_the_page_shows_comes_with_the_project(project: Path) -> None:
    for name in speed_words.NAMES:
        assert (project / "benchmarks" / f"{name}.py").exists()
        assert {"machine", "versions", "commit", "day", "rows"} <= set(speed_words.benchmark(name))

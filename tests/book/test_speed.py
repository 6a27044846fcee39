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
    text = speed_words.growth_text(growth)
    assert "* 8 matrices of 2 layers, with images: power 1.00 over all sizes, 1.00 at the two largest" in text
    power = np.log2(9 / 4)
    assert f"* one module search, with units: power {power:.2f} over all sizes" in text
    steeper = {**SEARCH, "rows": {**SEARCH["rows"], "units": [{"units": n, "ms": float(n) ** 3} for n in (64, 128)]}}
    assert "one module search, with units: power 3.00" in speed_words.growth_text(
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

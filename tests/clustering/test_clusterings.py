"""A clustering as a table, as a picture and as a file."""

import json
import os
import pickle
import re
import zipfile
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import modularity_lib as ml
from modularity_lib.clustering import keeping
from modularity_lib.clustering.paper_search import spectral_modules
from modularity_lib.clustering.pictures import draw_matrix
from modularity_lib.extras import ExtraMissing

BLOCKS = np.kron(np.eye(3), np.ones((4, 4))) + 0.1 * np.random.default_rng(0).random((12, 12))
BLOCKS = BLOCKS + BLOCKS.T
NAMES: tuple[Any, ...] = ("a", 'ü"\n', "", 1, -(10**30), 2.5, float("inf"), True, (1, "x", (0.1,)), (), "1", False)


def named(similarity: np.ndarray, names: tuple[Any, ...]) -> pd.DataFrame:
    index = pd.Index(names, dtype=object, tupleize_cols=False)
    return pd.DataFrame(similarity, index, index)


def clusterings() -> dict[str, Any]:
    sparse = BLOCKS.copy()
    sparse[5] = sparse[:, 5] = 0.0
    return {
        "best": ml.find_modules(BLOCKS, seed=3, restarts=2, resolution=1.1),
        "paper": ml.find_modules(BLOCKS, method="paper", steps=20),
        "spectral": spectral_modules(BLOCKS),
        "signed": ml.find_modules(BLOCKS - 0.3, signed=True),
        "names": ml.find_modules(named(BLOCKS, NAMES)),
        "a dead unit": ml.find_modules(sparse),
        "all dead": ml.find_modules(np.eye(5)),
        "one unit": ml.find_modules(np.ones((1, 1))),
        "without similarity": replace(ml.find_modules(BLOCKS), similarity=None),
        "consensus": ml.consensus_modules(named(BLOCKS, NAMES), searches=5, seed=2),
        "consensus, all dead": ml.consensus_modules(np.eye(5), searches=2),
        "matched": ml.match_modules([[0, 0, 1, 1], [1, 1, -1, -1]])[1],
    }


CLUSTERINGS = clusterings()


@pytest.mark.parametrize("name", CLUSTERINGS)
def test_what_is_saved_comes_back_equal_in_every_field(name: str, tmp_path: Path) -> None:
    before = CLUSTERINGS[name]
    before.save(tmp_path / "layer4.modules")
    after = ml.load_modules(tmp_path / "layer4.modules")
    for field in fields(before):
        one, other = getattr(before, field.name), getattr(after, field.name)
        assert type(one) is type(other)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype
            assert one.tobytes() == other.tobytes()
            assert not other.flags.writeable
        elif isinstance(one, tuple):
            assert repr(one) == repr(other)  # types too
        else:
            assert one == other or (np.isnan(one) and np.isnan(other))
    assert before == after
    assert hash(before) == hash(after)
    assert os.listdir(tmp_path) == ["layer4.modules"]


def test_clusterings_are_equal_only_if_every_field_is() -> None:
    one = CLUSTERINGS["names"]
    changed = {"labels": 1 - one.labels, "score": 0.1, "seed": 9, "names": NAMES[::-1], "similarity": None}
    for field, value in changed.items():
        assert replace(one, **{field: value}) != one
    assert replace(one, similarity=one.similarity * 2.0) != one
    assert replace(one) == one
    assert one != "labels"
    agreed = CLUSTERINGS["consensus"]
    assert replace(agreed) == agreed
    assert replace(agreed, confidence=agreed.confidence / 2) != agreed
    same = {field.name: getattr(agreed, field.name) for field in fields(ml.Clustering)}
    assert ml.Clustering(**same) != agreed
    assert agreed != ml.Clustering(**same)
    assert (one == one.labels).all()  # an array compares itself with the labels


def test_a_file_that_is_changed_anywhere_is_refused_or_is_the_same(tmp_path: Path) -> None:
    before = CLUSTERINGS["paper"]
    path = tmp_path / "modules"
    before.save(path)
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content), 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            assert ml.load_modules(path) == before
        except ValueError as error:
            assert str(error).startswith("path must be a file that Clustering.save has written, got ")  # noqa: PT017
            refused += 1
    assert refused > len(content) / 3 * 0.7
    for length in (0, 1, 30, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"^path must be a file that Clustering.save has written, got .*damaged"):
            ml.load_modules(path)


def test_content_that_does_not_have_its_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "modules.npz"
    CLUSTERINGS["best"].save(path)
    with np.load(path) as content:
        arrays = dict(content)
    np.savez(path, **(arrays | {"labels": arrays["labels"][::-1]}))
    with pytest.raises(ValueError, match="is damaged: its content is not what was written"):
        ml.load_modules(path)
    np.savez(path, **(arrays | {"labels": arrays["labels"].view(np.uint64)}))
    with pytest.raises(ValueError, match="is damaged: its content is not what was written"):
        ml.load_modules(path)


def test_files_of_others_are_refused_and_nothing_in_them_is_run(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return (Path.touch, (tmp_path / "harm",))

    (tmp_path / "pickle").write_bytes(pickle.dumps(Harm()))
    np.savez(tmp_path / "objects.npz", facts=np.array([Harm()], dtype=object), sha256=np.zeros(1))
    np.savez(tmp_path / "others.npz", labels=np.arange(3))
    np.save(tmp_path / "array.npy", np.arange(3))
    (tmp_path / "text").write_text("labels: 0 0 1")
    (tmp_path / "json").write_text(json.dumps({"labels": [0, 0, 1]}))
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("facts.npy", b"\x00")
    for file in sorted(tmp_path.iterdir()):
        with pytest.raises(ValueError, match=r"^path must be a file that Clustering.save has written, got .*another"):
            ml.load_modules(file)
    assert not (tmp_path / "harm").exists()
    keeping.write_record(tmp_path / "other", "Consensus", {}, {})
    with pytest.raises(ValueError, match="which holds a Consensus"):
        ml.load_modules(tmp_path / "other")


def test_a_file_of_a_newer_version_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr(keeping, "_VERSION", 2)
        CLUSTERINGS["best"].save(tmp_path / "modules")
    with pytest.raises(ValueError, match=r"of format 2; this one reads up to 1\. Install a newer one: pip install -U"):
        ml.load_modules(tmp_path / "modules")


def test_names_that_could_not_come_back_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    for bad in (pd.Timestamp("2020"), np.int64(3), None, b"x", ("a", np.str_("b")), [1]):
        names = (*NAMES[:11], bad)
        with pytest.raises(
            ValueError, match=r"^names must be text, numbers, or tuples .* for unit 11\. .*astype\(str\)"
        ):
            replace(CLUSTERINGS["best"], names=names).save(tmp_path / "modules")
    assert not list(tmp_path.iterdir())


def test_names_are_one_for_each_unit_and_each_of_one_unit() -> None:
    with pytest.raises(ValueError, match=r"^names must name each unit once, got 'a' for units 0 and 1"):
        ml.Clustering(np.array([0, 1]), 0.0, "given", names=("a", "a"))
    with pytest.raises(ValueError, match=r"^names must be one for each of 12 units, got 11\. Leave them out, or"):
        replace(CLUSTERINGS["consensus"], names=NAMES[1:])


def test_what_was_there_stays_if_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "modules"
    CLUSTERINGS["best"].save(path)

    def fails(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fails)
    with pytest.raises(OSError, match="No space"):
        CLUSTERINGS["paper"].save(path)
    assert ml.load_modules(path) == CLUSTERINGS["best"]
    assert os.listdir(tmp_path) == ["modules"]


def test_paths_that_are_none_are_refused(tmp_path: Path) -> None:
    modules = CLUSTERINGS["best"]
    for bad in (5, None, b"x", "", tmp_path):
        with pytest.raises(ValueError, match=r"^path must be the path of a file, got"):
            modules.save(bad)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^path must lie in a folder that exists"):
        modules.save(tmp_path / "none" / "modules")
    with pytest.raises(ValueError, match=r"^path must be a file .*where there is none"):
        ml.load_modules(tmp_path / "none")
    with pytest.raises(ValueError, match=r"^path must be a file .*which is a folder"):
        ml.load_modules(tmp_path)


def test_a_clustering_is_printed_in_a_line() -> None:
    shown = {name: str(found) for name, found in CLUSTERINGS.items()}
    assert re.fullmatch(r"3 modules of 4, 4 and 4 units: Q = 0\.\d{3}", shown["best"])
    assert re.fullmatch(r"3 modules of 4, 3 and 4 units, 1 dead unit: Q = 0\.\d{3}", shown["a dead unit"])
    several = CLUSTERINGS["consensus"].n_partitions
    assert re.fullmatch(
        rf"3 modules of 4, 4 and 4 units: Q = 0\.\d{{3}}; confidence \d\.\d\d on average, {several} partitions? "
        "in 5 searches",
        shown["consensus"],
    )
    assert shown["consensus, all dead"] == "no modules, 5 dead units"
    assert shown["matched"] == "1 module of 2 units, 2 dead units"  # of labels Q is not known
    assert shown["all dead"] == "no modules, 5 dead units"
    assert str(ml.match_modules([np.repeat(np.arange(12), [1, *[3] * 11])])[0]) == "12 modules of 1 to 3 units"


def test_the_table_has_a_row_for_each_unit() -> None:
    table = CLUSTERINGS["names"].to_frame()
    assert table.columns.tolist() == ["unit", "module"]
    assert tuple(table["unit"]) == NAMES
    assert table["module"].tolist() == CLUSTERINGS["names"].labels.tolist()
    table.loc[0, "module"] = 7  # the table is the user's own
    numbered = CLUSTERINGS["a dead unit"].to_frame()
    assert numbered["unit"].tolist() == list(range(12))
    assert numbered.loc[5, "module"] == -1
    sure = CLUSTERINGS["consensus"]
    assert sure.to_frame().columns.tolist() == ["unit", "module", "confidence", "core"]
    assert tuple(sure.to_frame()["unit"]) == NAMES
    assert sure.to_frame()["confidence"].tolist() == sure.confidence.tolist()
    assert sure.to_frame()["core"].tolist() == sure.core.tolist()
    assert CLUSTERINGS["consensus, all dead"].to_frame()["confidence"].isna().all()
    assert CLUSTERINGS["all dead"].to_frame()["module"].tolist() == [-1] * 5
    assert CLUSTERINGS["names"].labels[0] == 0


@pytest.mark.parametrize("name", [name for name in CLUSTERINGS if name not in ("without similarity", "matched")])
def test_the_picture_shows_the_matrix_in_the_order_of_the_modules(name: str) -> None:
    modules = CLUSTERINGS[name]
    axes = modules.plot()
    [image] = axes.get_images()
    order = sorted(range(len(modules.labels)), key=lambda unit: (modules.labels[unit] < 0, modules.labels[unit], unit))
    similarity = modules.similarity
    assert similarity is not None
    shown = similarity[np.ix_(order, order)] / (np.abs(similarity).max() or 1.0)
    np.testing.assert_allclose(image.get_array(), shown)
    assert image.get_clim() == ((-1 if name == "signed" else 0), 1)
    borders = np.count_nonzero(np.diff(modules.labels[order]))
    assert len(axes.get_lines()) == 2 * borders
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks == ["dead" if label < 0 else str(label) for label in dict.fromkeys(modules.labels[order].tolist())]
    dead = int((modules.labels < 0).sum())
    assert axes.get_title() == ", ".join(
        [f"Q = {modules.score:.3f}, {len(modules.communities())} modules"] * (modules.status == "ok")
        + [f"{dead} dead unit{'s' * (dead > 1)}"] * (dead > 0)
    )
    axes.figure.canvas.draw()  # names with signs of formulas, line breaks and nothing in them


def test_the_names_of_a_few_units_are_beside_the_picture() -> None:
    names = tuple(f"unit ${index}" + "x" * 40 * (index == 2) for index in range(12))
    axes = ml.find_modules(named(BLOCKS, names)).plot()
    axes.figure.canvas.draw()
    written = [tick.get_text() for tick in axes.get_yticklabels()]
    assert written[0] == r"unit \$0"
    assert len(written[2]) <= 25
    assert [tick.get_text() for tick in ml.find_modules(np.ones((50, 50))).plot().get_yticklabels()] == []


def test_it_is_drawn_on_the_axes_that_are_given() -> None:
    figure, panels = plt.subplots(1, 2)
    assert CLUSTERINGS["best"].plot(panels[1]) is panels[1]
    assert not panels[0].get_images()
    for bad in (figure, panels, 5):
        with pytest.raises(ValueError, match=r"^axes must be those of matplotlib"):
            CLUSTERINGS["best"].plot(bad)
    with pytest.raises(ValueError, match=r"^similarity must be kept in a clustering to be drawn, got None"):
        CLUSTERINGS["without similarity"].plot()


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = lambda name: None if name == "matplotlib" else find_spec(name)  # noqa: E731
    monkeypatch.setattr("modularity_lib.extras.find_spec", hidden)
    with pytest.raises(ExtraMissing, match=r'Clustering.plot takes matplotlib.*pip install "modularity-lib\[plot\]"'):
        CLUSTERINGS["best"].plot()


def test_a_matrix_without_modules_is_drawn_as_it_is() -> None:
    _, axes = plt.subplots()
    image = draw_matrix(axes, np.array([[5.0, 1.0], [1.0, 5.0]]), None)
    assert np.asarray(image.get_array()).tolist() == [[0, 1], [1, 0]]
    assert not axes.get_lines()

"""What a chapter reads besides the book is part of its key: studies in the store, their images, folders."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import tiny
from made_up_book import HEADER, build, make_book, page_of
from modularity_lib.book import execution
from modularity_lib.book.execution import Chapter, ChapterFailed, executed_notebook
from modularity_lib.book.outside import outside
from modularity_lib.book.parameters import declared_parameters
from modularity_lib.studies import run as study_run
from modularity_lib.studies.archive import Archive
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.run import run_study
from modularity_lib.studies.store import Store

DECLARED = declared_parameters(
    'study: "study" = "v1"\nothers: "list of studies" = []\nfolder: "folder or empty" = ""\nlayer: "layer" = 1\n'
)


def state(root: Path = Path(), **parameters: object) -> dict[str, str]:
    return outside(DECLARED, parameters, root=root)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store, and a study of three networks that can be computed into it at once."""
    monkeypatch.setenv("MODULARITY_STORE", str(tmp_path / "store"))
    monkeypatch.setitem(STUDIES, "tiny", replace(tiny.TINY, epochs=2))
    monkeypatch.setattr(study_run, "run_on_dask", tiny.run_here)
    return Store()


def test_only_what_is_named_and_not_in_the_book_has_a_state() -> None:
    assert set(state()) == {"study", "others", "folder"}
    assert state() == state() == state(layer=2)


def test_a_folder_has_another_state_when_a_file_in_it_does(tmp_path: Path) -> None:
    file = tmp_path / "mine" / "a.json"
    states = [state(tmp_path)["folder"]]

    def look() -> None:
        assert state(tmp_path, folder="mine") == state(tmp_path, folder=str(tmp_path / "mine"))
        states.append(state(tmp_path, folder="mine")["folder"])

    file.parent.mkdir()
    look()
    file.write_text("1")
    look()
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    file.write_text("2")
    os.utime(file, ns=times)  # as large and as old as before
    look()
    file.rename(file.with_name("b.json"))
    look()
    file.symlink_to(tmp_path / "elsewhere")
    look()
    (tmp_path / "elsewhere").write_text("3")
    look()
    assert len(set(states)) == len(states) - 1  # a link that leads nowhere is no file
    shutil.rmtree(file.parent)
    assert state(tmp_path, folder="mine")["folder"] == states[1]


def test_a_study_has_another_state_whenever_the_store_has(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before, unnamed = state(others=["tiny"]), state()
    run_study("tiny", progress=False)
    computed = state(others=["tiny"])
    assert computed["others"] != before["others"]
    assert computed["study"] == before["study"] == unnamed["study"] == state()["study"]  # it is of another study

    first = Archive("tiny").configs[0]
    entry = Archive("tiny").read("training", first)
    assert entry is not None
    Archive("tiny").remove("training", first)
    removed = state(others=["tiny"])
    Archive("tiny").write("training", first, entry, seconds=1234.0)  # the same numbers, at another time
    again = state(others=["tiny"])
    monkeypatch.setenv("MODULARITY_STORE", str(store.root / "other"))
    assert state(others=["tiny"]) == before
    assert len({found["others"] for found in (before, computed, removed, again)}) == 4


def test_a_study_has_another_state_when_its_images_come_to_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODULARITY_DATA", str(tmp_path))
    before = state(study="v1"), state(study="final-base")
    (tmp_path / "notes.txt").touch()
    assert (state(study="v1"), state(study="final-base")) == before
    (tmp_path / "train-images-idx3-ubyte.gz").touch()
    after = state(study="v1"), state(study="final-base")
    assert all(one["study"] != other["study"] for one, other in zip(before, after, strict=True))


def test_a_chapter_is_remembered_with_the_study_that_it_computed_but_not_with_others_that_came_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = {"study": "empty", "others": "empty"}
    runs = []

    def execute(chapter: Chapter, parameters: dict[str, object], written: Path, progress: object) -> None:
        runs.append(dict(states))
        states.update({name: "full" for name, when in (("study", 1), ("others", 2)) if len(runs) == when})
        written.touch()

    monkeypatch.setattr(execution, "outside", lambda *_, **__: dict(states))
    monkeypatch.setattr(execution, "_execute", execute)
    cell = 'study: "study" = "quick"\nothers: "list of studies" = []'
    text = f"{HEADER}# A\n\n```{{code-cell}} ipython3\n:tags: [parameters]\n\n{cell}\n```\n"
    chapter = Chapter(tmp_path, "a", text)
    executed_notebook(chapter, {}, "")  # computes its study
    executed_notebook(chapter, {}, "")
    assert len(runs) == 1
    executed_notebook(chapter, {"others": ["v1"]}, "")  # meanwhile another process computes another study
    executed_notebook(chapter, {"others": ["v1"]}, "")
    executed_notebook(chapter, {"others": ["v1"]}, "")
    assert len(runs) == 3


def test_a_failed_chapter_is_kept_under_its_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(chapter: Chapter, parameters: dict[str, object], written: Path, progress: object) -> tuple[str, int]:
        written.write_text(str(parameters))
        return "NameError", 1

    monkeypatch.setattr(execution, "_execute", fail)
    kept = []
    for factor in (1, 2):
        with pytest.raises(ChapterFailed) as failed:
            executed_notebook(Chapter(tmp_path, "a", f"{HEADER}# A\n"), {"factor": factor}, "")
        kept.append(failed.value.notebook)
    assert [notebook.read_text() for notebook in kept] == ["{'factor': 1}", "{'factor': 2}"]


# Each prints what the folder holds.
READER = """\
# What a folder holds

```{code-cell} ipython3
:tags: [parameters]

folder: "folder" = "data"
```

```{code-cell} ipython3
from pathlib import Path

print("it holds", Path(folder, "numbers.csv").read_text())
```
"""
PAGES = {"introduction": "# A plain page\n", "reader": HEADER + READER}


def test_a_build_elsewhere_leaves_the_checkout_as_it_is_and_sees_what_has_changed(
    tmp_path: Path, project: Path
) -> None:
    root = make_book(tmp_path / "book", project, PAGES, reader={"folder": str(tmp_path / "mine")})
    shutil.copytree(root / "data", tmp_path / "mine")
    before = sorted(root.rglob("*"))
    command = "import sys; from jupyter_book.cli.main import main; sys.dont_write_bytecode = True; main()"
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    for number in ("7", "8"):
        (tmp_path / "mine" / "numbers.csv").write_text(number)
        arguments = ["build", ".", "--path-output", str(tmp_path / "out")]
        built = subprocess.run([sys.executable, "-c", command, *arguments], cwd=root, env=environment, text=True)
        assert built.returncode == 0
        assert f"it holds {number}" in page_of(tmp_path / "out", "reader")
    assert sorted(root.rglob("*")) == before
    assert len(list((tmp_path / "out" / "_build" / ".jupyter_cache" / "chapters").glob("reader-*.ipynb"))) == 2


def test_a_build_that_may_not_remember_its_chapters_says_so_in_a_line_and_ends(tmp_path: Path, project: Path) -> None:
    root = make_book(tmp_path / "book", project, PAGES)
    (root / "_build").mkdir()
    (root / "_build" / ".jupyter_cache").touch()  # no folder can be made there
    built = build(root)
    assert built.returncode == 1
    assert ".jupyter_cache" in built.stderr
    assert "jupyter-book build . --path-output /a/folder" in built.stderr
    assert "Traceback" not in built.stderr + built.stdout

"""Chapters of a build run side by side, as many as there are cores; what needs all cores runs alone."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from made_up_book import BUILD, HEADER, build, make_book, page_of, start_python
from modularity_lib.book import execution, schedule
from modularity_lib.book.execution import Chapter, ChapterFailed, remembered
from modularity_lib.book.schedule import Job, at_once, execute_side_by_side, last_seconds, need_all_cores
from modularity_lib.studies.provenance import cores

PLAIN = HEADER + "# A chapter\n\n```{code-cell} ipython3\nstudy = 1\n```\n"
GREEDY = PLAIN.replace("ipython3\n", "ipython3\n:tags: [all-cores]\n\n")
# Each waits until the other has begun, so that they only end side by side.
MEETING = """\
# A chapter that meets another

```{code-cell} ipython3
import os
import time
from pathlib import Path

Path("begun-by-%s").write_text(str(os.getpid()))
end = time.monotonic() + 60
while not Path("begun-by-%s").exists() and time.monotonic() < end:
    time.sleep(0.05)
print("met" if Path("begun-by-%s").exists() else "alone", "with", os.environ["OPENBLAS_NUM_THREADS"], "thread")
```
"""


class Chapters:
    """Made-up executions: which began, in order, and how many there were at once."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.at_once: dict[str, int] = {}  # the most while each ran
        self._running: set[str] = set()
        self._lock = threading.Lock()
        self.during: Callable[[str], None] = lambda name: time.sleep(0.02)

    def execute(self, chapter: Chapter, parameters: dict[str, object], key: str) -> Path:
        with self._lock:
            self.begun.append(chapter.name)
            self._running.add(chapter.name)
            for name in self._running:
                self.at_once[name] = max(self.at_once.get(name, 0), len(self._running))
        try:
            self.during(chapter.name)
        finally:
            with self._lock:
                self._running.remove(chapter.name)
        return remembered(chapter, key)


@pytest.fixture
def chapters(monkeypatch: pytest.MonkeyPatch) -> Chapters:
    made_up = Chapters()
    monkeypatch.setattr(schedule, "executed_notebook", made_up.execute)
    return made_up


def job(root: Path, name: str, text: str = PLAIN, **parameters: object) -> Job:
    return Job(Chapter(root, name, text), parameters, "key")


def remember(file: Path, seconds: float, *, age: float = 0.0) -> None:
    """Leave an executed notebook that took so long, made `age` seconds ago."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"metadata": {"papermill": {"duration": seconds}}}))
    os.utime(file, (time.time() - age, time.time() - age))


def nothing_fails(_: Job, failure: ChapterFailed) -> None:
    raise failure


def test_as_many_chapters_run_at_once_as_are_allowed(chapters: Chapters, tmp_path: Path) -> None:
    two = threading.Barrier(2, timeout=20)
    chapters.during = lambda name: two.wait() and None
    execute_side_by_side([job(tmp_path, name) for name in "abcdef"], nothing_fails, n_at_once=2)
    assert sorted(chapters.begun) == list("abcdef")
    assert set(chapters.at_once.values()) == {2}


def test_one_at_once_runs_one_after_the_other_in_the_order_of_the_book(chapters: Chapters, tmp_path: Path) -> None:
    execute_side_by_side([job(tmp_path, name) for name in "bca"], nothing_fails, n_at_once=1)
    assert chapters.begun == list("bca")
    assert set(chapters.at_once.values()) == {1}


def test_how_many_run_at_once_is_the_number_of_cores_or_what_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(schedule.AT_ONCE_VARIABLE, raising=False)
    assert at_once() == cores()
    monkeypatch.setenv(schedule.AT_ONCE_VARIABLE, "3")
    assert at_once() == 3
    for wrong in ("0", "two", "-1"):
        monkeypatch.setenv(schedule.AT_ONCE_VARIABLE, wrong)
        with pytest.raises(ValueError, match=f"CHAPTERS_AT_ONCE must be .* got '{wrong}'. Unset it"):
            at_once()


def test_a_chapter_that_needs_all_cores_runs_alone_and_first(chapters: Chapters, tmp_path: Path) -> None:
    execute_side_by_side(
        [job(tmp_path, "a"), job(tmp_path, "b"), job(tmp_path, "live", GREEDY)], nothing_fails, n_at_once=2
    )
    assert chapters.begun[0] == "live"
    assert chapters.at_once["live"] == 1


def test_the_first_chapter_that_shows_a_chosen_study_runs_alone_since_it_may_compute_it(tmp_path: Path) -> None:
    studies = [None, "quick", "quick", "smoke", None]
    jobs = [job(tmp_path, str(n), **({"study": study} if study else {})) for n, study in enumerate(studies)]
    assert [one.chapter.name for one in need_all_cores(jobs)] == ["1", "3"]


def test_what_took_longest_last_time_runs_first_and_what_is_new_before_it(chapters: Chapters, tmp_path: Path) -> None:
    jobs = [job(tmp_path, name) for name in ("short", "long", "new", "longer")]
    for one, seconds in zip(jobs, (1.0, 20.0, None, 30.0), strict=True):
        if seconds:
            remember(remembered(one.chapter, "older"), 1000.0 - seconds, age=60.0)
            remember(remembered(one.chapter, "old"), seconds)
    assert [last_seconds(one.chapter) for one in jobs] == [1.0, 20.0, float("inf"), 30.0]
    execute_side_by_side(jobs, nothing_fails, n_at_once=2)
    assert set(chapters.begun[:2]) == {"new", "longer"}
    assert chapters.begun[2:] == ["long", "short"]


def test_what_is_remembered_is_not_executed(chapters: Chapters, tmp_path: Path) -> None:
    jobs = [job(tmp_path, "a"), job(tmp_path, "b", GREEDY), job(tmp_path, "c")]
    for one in jobs[:2]:
        remember(one.notebook, 1.0)
    notebooks = execute_side_by_side(jobs, nothing_fails, n_at_once=2)
    assert chapters.begun == ["c"]
    assert set(notebooks) == {"a", "b", "c"}


def test_what_is_remembered_of_the_others_is_looked_up_after_a_study_was_computed(
    chapters: Chapters, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {"store": "empty"}
    monkeypatch.setattr(execution, "outside", lambda *_, **__: dict(state))
    reader = job(tmp_path, "reader")
    remember(reader.notebook, 1.0)
    chapters.during = lambda name: state.update(store="full")
    execute_side_by_side([reader, job(tmp_path, "live", GREEDY)], nothing_fails, n_at_once=2)
    assert chapters.begun == ["live", "reader"]


def test_a_chapter_that_fails_is_told_at_once_and_the_others_go_on(chapters: Chapters, tmp_path: Path) -> None:
    told = threading.Event()

    def fail(name: str) -> None:
        if name == "a":
            raise ChapterFailed("no", line=3, notebook=tmp_path)
        assert told.wait(20)

    failed: list[str] = []

    def report(one: Job, failure: ChapterFailed) -> None:
        failed.append(f"{one.chapter.name}:{failure.line}")
        told.set()

    chapters.during = fail
    execute_side_by_side([job(tmp_path, name) for name in "abc"], report, n_at_once=2)
    assert failed == ["a:3"]
    assert sorted(chapters.begun) == ["a", "b", "c"]


def test_a_build_runs_two_chapters_side_by_side_in_its_root_with_one_thread_each(tmp_path: Path, project: Path) -> None:
    pages = {one: HEADER + MEETING % (one, other, other) for one, other in (("left", "right"), ("right", "left"))}
    root = make_book(tmp_path / "book", project, pages)
    built = build(root, **{schedule.AT_ONCE_VARIABLE: "2"})
    assert built.returncode == 0, built.stderr
    for name in pages:
        assert (root / f"begun-by-{name}").exists()
        assert "met with 1 thread" in page_of(root, name)
        assert re.search(rf"^chapters/{name}: running$", built.stderr, re.MULTILINE)
        assert re.search(rf"^chapters/{name}: ended after [\d.]+ s$", built.stderr, re.MULTILINE)


def test_a_wrong_number_of_chapters_at_once_fails_a_build_and_is_explained(tmp_path: Path, project: Path) -> None:
    root = make_book(tmp_path / "book", project, {"plain": PLAIN, "other": PLAIN})
    built = build(root, **{schedule.AT_ONCE_VARIABLE: "many"})
    assert built.returncode != 0
    assert "ERROR: MODULARITY_CHAPTERS_AT_ONCE must be how many chapters run side by side" in built.stderr


def is_running(process: int) -> bool:
    state = Path(f"/proc/{process}/stat")
    return state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc to look for kernels in")
def test_ctrl_c_ends_the_kernels_of_all_chapters_and_leaves_nothing(tmp_path: Path, project: Path) -> None:
    pages = {name: HEADER + MEETING % (name, "nobody", "nobody") for name in ("left", "right")}
    root = make_book(tmp_path / "book", project, pages)
    begun = [root / f"begun-by-{name}" for name in pages]
    with start_python(root, *BUILD, **{schedule.AT_ONCE_VARIABLE: "2"}) as building:
        try:
            end = time.monotonic() + 60
            while not all(file.exists() and file.read_text() for file in begun) and time.monotonic() < end:
                assert building.poll() is None
                time.sleep(0.05)
            building.send_signal(signal.SIGINT)
            _, said = building.communicate(timeout=30)  # either chapter alone would take 60 s
        finally:
            building.kill()
    assert building.returncode != 0
    assert "chapters/left: broken off after" in said
    assert "chapters/right: broken off after" in said
    assert not any(is_running(int(file.read_text())) for file in begun)
    assert list((root / "_build" / ".jupyter_cache" / "chapters").iterdir()) == []

"""Workers that cannot come: one error that says why, at once or when patience ends, and nothing is left running."""

import multiprocessing
import os
import subprocess
import sys
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from modularity_lib.studies import engine, rehearsal
from modularity_lib.studies.engine import WORKER_SECONDS, WorkersUnavailable

SCRIPT = """
import modularity_lib as ml
{guard}ml.run_study(
    ml.Study(name="tiny", dataset="mnist-5k", hidden=(4, 4), epochs=1, dropout=(0.3,), runs=1, untrained=2),
    store=ml.Store("store"), workers=2, progress=False
)
{after}
"""
GUARD = 'if __name__ == "__main__": '


def python(*arguments: str, folder: Path, **options) -> subprocess.CompletedProcess:
    """Run Python in a folder, and see that no process of it is left."""
    mark = f"OF_THE_TEST={folder}"
    name, _, value = mark.partition("=")
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, name: value, **options.pop("environment", {})}
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=600,
        **options,
    )
    deadline = time.monotonic() + 20
    while left := [process for process in psutil.process_iter() if is_marked(process, name, value)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    return done


def is_marked(process: psutil.Process, name: str, value: str) -> bool:
    try:
        return process.environ().get(name) == value and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("after", ["", "raise SystemExit"])
def test_a_script_without_a_main_guard_is_told_to_have_one(after: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT.format(guard="", after=after))
    done = python("script.py", folder=tmp_path)
    assert done.returncode == 1
    assert "has not come" not in done.stderr  # it was not waited for
    assert 'if __name__ == "__main__":' in done.stderr.splitlines()[-1]
    assert done.stderr.count("Traceback (most recent call last)") == 1  # their own
    assert [path.name for path in (tmp_path / "store").iterdir()] == []


@pytest.mark.slow
def test_a_script_that_starts_other_processes_without_a_guard_is_told_so(tmp_path: Path) -> None:
    """In a worker that is multiprocessing's own error, of many lines."""
    before = "import multiprocessing as m; m.get_context('spawn').Process(target=print).start()"
    (tmp_path / "script.py").write_text(before + SCRIPT.format(guard=GUARD, after=""))
    done = python("script.py", folder=tmp_path)
    assert done.returncode == 1
    assert "or other processes, again in each worker. Workers import the script" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_script_that_leaves_early_has_no_workers(tmp_path: Path) -> None:
    """The process ends with status 0, and yet it has not come."""
    script = 'import sys\nif __name__ != "__main__": sys.exit()\n' + SCRIPT.format(guard="", after="")
    (tmp_path / "script.py").write_text(script)
    done = python("script.py", folder=tmp_path)
    assert done.returncode == 1
    assert "the first one ended with status 0 instead of coming" in done.stderr


@pytest.mark.parametrize("guard", ["", GUARD])
def test_a_script_from_standard_input_is_refused(guard: str, tmp_path: Path) -> None:
    done = python("-", input=SCRIPT.format(guard=guard, after=""), folder=tmp_path)
    assert done.returncode == 1
    assert "is no file: <stdin>. Workers import the script that starts them" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_code_of_the_command_line_needs_no_guard(tmp_path: Path) -> None:
    done = python("-c", SCRIPT.format(guard="", after="print('done')"), folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


def test_a_complete_study_needs_no_guard_and_starts_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; import modularity_lib as ml; from modularity_lib.studies.archive import Archive\n"
        "assert not Archive('v1').missing(), 'v1 is stale'\n"
        "print(len(ml.run_study('v1').networks), 'distributed' in sys.modules)"
    )
    (tmp_path / "script.py").write_text(code)
    done = python("script.py", folder=tmp_path)
    assert (done.returncode, done.stdout.split()[1:], done.stderr) == (0, ["False"], "")


def test_a_process_that_may_not_start_others_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsal.check_may_start_workers()
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    with pytest.raises(WorkersUnavailable, match=r"may not start others.*--shard"):
        rehearsal.check_may_start_workers()


def test_a_process_that_is_importing_the_script_is_told_to_guard_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(WorkersUnavailable, match='below `if __name__ == "__main__":` in it'):
        rehearsal.check_may_start_workers()


def never(sender: Connection) -> None:
    print("I wait", file=sys.stderr, flush=True)
    time.sleep(1000)


def dies(sender: Connection) -> None:
    os.write(2, b"out of luck\n" * 100)
    os._exit(7)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (never, "the first one has not come in 5 s.* It said:\nI wait$"),
        (dies, f"ended with status 7 instead.* It said:(\nout of luck){{{rehearsal._MANY_LINES}}}$"),
    ],
)
def test_what_a_process_said_that_did_not_come_is_shown(
    target: object, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(rehearsal, "_import_all", target)
    monkeypatch.setattr(rehearsal, "WORKER_SECONDS", 5.0)
    with pytest.raises(WorkersUnavailable, match=message), rehearsal.rehearsal(tmp_path) as first_has_come:
        first_has_come()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    "error", [BlockingIOError(11, "Resource temporarily unavailable"), RuntimeError("can't start new thread")]
)
def test_a_limit_on_processes_is_named(error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(_: object) -> None:
        raise error

    monkeypatch.setattr(multiprocessing.get_context("spawn").Process, "start", refuse)
    with (
        pytest.raises(WorkersUnavailable, match=r"Resource temporarily|can't start.*`ulimit -u`"),
        rehearsal.rehearsal(tmp_path),
    ):
        pass


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("sys.modules['torch'] = None", "import of torch halted"),
        ("sys.modules['distributed'] = None", "A study needs distributed, not installed here"),
        ("import os; os.write(2, b'no licence'); os._exit(3)", "status 3 instead of coming"),
    ],
)
def test_what_keeps_workers_from_importing_is_shown(fault: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nif 'spawn_main' in str(sys.orig_argv): {fault}\n")
    (tmp_path / "script.py").write_text(SCRIPT.format(guard=GUARD, after=""))
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = python("script.py", folder=tmp_path, environment={"PYTHONPATH": path})
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("WorkersUnavailable: no worker could be started") == 1


def test_of_the_traceback_of_a_process_its_error_is_shown() -> None:
    try:
        try:
            int("x")
        except ValueError as error:
            raise OSError("no such\n        disk\n    at all") from error
    except OSError:
        lines = ["a warning", *traceback.format_exc().splitlines()]
    assert rehearsal._without_traceback(lines) == (
        ["a warning", "OSError: no such", "        disk", "    at all"],
        True,
    )
    assert rehearsal._without_traceback(["Traceback of mine"]) == (["Traceback of mine"], False)


@pytest.mark.slow
def test_a_worker_that_may_not_start_the_thread_that_computes_never_reports_for_work(tmp_path: Path) -> None:
    """As under a limit on threads: one task would fail, and the others wait for ever."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, threading\n"
        "def start(self, before=threading.Thread.start):\n"
        "    if 'Dask-Default' in self.name: raise RuntimeError(\"can't start new thread\")\n"
        "    before(self)\n"
        "if 'spawn_main' in str(sys.orig_argv): threading.Thread.start = start\n"
    )
    (tmp_path / "script.py").write_text(SCRIPT.format(guard=GUARD, after="").replace("runs=1", "runs=3"))
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = python("script.py", folder=tmp_path, environment={"PYTHONPATH": path})
    assert done.returncode == 1
    assert "the system refuses a new process or thread (can't start new thread)" in done.stderr
    assert "WorkersUnavailable: all workers ended as they started" in done.stderr.splitlines()[-1]
    assert done.stderr.count("Traceback (most recent call last)") == 1


@pytest.mark.slow
def test_workers_that_take_long_to_start_are_waited_for(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, time\nif 'spawn_main' in str(sys.orig_argv): time.sleep(20)\n"
    )
    (tmp_path / "script.py").write_text(SCRIPT.format(guard=GUARD, after=""))
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    done = python("script.py", folder=tmp_path, environment={"PYTHONPATH": path})
    assert (done.returncode, done.stderr) == (0, "")


def cluster_of(workers: dict[str, object], *nannies: str) -> SimpleNamespace:
    alive = {str(number): SimpleNamespace(status=SimpleNamespace(name=name)) for number, name in enumerate(nannies)}
    return SimpleNamespace(cluster=SimpleNamespace(scheduler=SimpleNamespace(workers=workers), workers=alive))


def test_workers_that_stay_away_end_the_run() -> None:
    rounds = int(WORKER_SECONDS / engine.REPORT_SECONDS)
    workers: dict[str, object] = {}
    watch = engine._Watch(cluster_of(workers, "running", "closed"))
    for _ in range(rounds):
        watch.look()
    workers["one"] = object()
    watch.look()
    workers.clear()
    for _ in range(rounds):
        watch.look()
    with pytest.raises(WorkersUnavailable, match="no worker has come in 60 s, or come back"):
        watch.look()


def test_workers_that_all_ended_as_they_started_end_the_run_at_once() -> None:
    with pytest.raises(WorkersUnavailable, match="all workers ended as they started"):
        engine._Watch(cluster_of({}, "closed", "failed")).look()


@pytest.mark.parametrize("n_workers", [0, 1])
def test_a_scheduler_without_workers_is_waited_for_and_this_is_said(
    n_workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    info = {"workers": dict.fromkeys(range(n_workers))}
    watch = engine._Watch(SimpleNamespace(cluster=None, scheduler_info=lambda **_: info))
    for _ in range(3 * int(WORKER_SECONDS / engine.REPORT_SECONDS)):
        watch.look()
    assert caplog.text.count("has no workers yet") == (n_workers == 0)

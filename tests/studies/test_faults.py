"""Runs that are killed, started twice, damaged or starved end complete, with the tables of an undisturbed run.

What a run shows decides when it is disturbed: entries, checkpoints and signs of life that appear in its store, and its
processes. No moment is counted in seconds, so that a busy machine changes nothing; time-outs only end a hang.
"""

import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from modularity_lib.studies.archive import Archive, arrays_of
from modularity_lib.studies.catalogue import STUDIES, Study
from modularity_lib.studies.checkpoints import CHECKPOINT_SECONDS
from modularity_lib.studies.entries import Entry
from modularity_lib.studies.results import TABLES, Results
from modularity_lib.studies.store import Store, is_alive
from modularity_lib.training.networks import initial_parameters
from without_powers import without_root_powers

pytestmark = pytest.mark.slow

SMOKE = STUDIES["smoke"]
# Long enough to be killed in the middle: seconds of training in each of two tasks.
LONG = replace(SMOKE, name="long", hidden=(64, 64), epochs=300, untrained=2, l2=(1e-5,), l1=(), dropout=(0.3,))
SECONDS_BETWEEN_CHECKPOINTS = 0.1  # 20 outside this test
HANGS = 600.0  # seconds after which a test gives up
DRIVER = """
import os
import sys
import time
from modularity_lib.studies import checkpoints, run
from modularity_lib.studies.catalogue import STUDIES
from modularity_lib.studies.store import Store
from test_faults import LONG, SECONDS_BETWEEN_CHECKPOINTS
STUDIES["long"] = LONG
checkpoints.train_with_checkpoints.__kwdefaults__["interval"] = SECONDS_BETWEEN_CHECKPOINTS  # in the workers, too
if "SLOW_DISK" in os.environ:
    os.fsync = lambda descriptor: time.sleep(0.2)
if __name__ == "__main__":
    name, root, *how = sys.argv[1:]
    if how == ["in one process"]:
        run.run_shard(name, store=Store(root), shard=(1, 1), progress=False)
    else:
        run.run_study(name, store=Store(root), workers=2, progress=False, scheduler=how[0] if how else None)
"""


def environment() -> dict[str, str]:
    project = Path(__file__).parents[2]
    paths = [
        str(project),
        str(project / "tests"),
        str(project / "tests" / "studies"),
        *filter(None, [os.environ.get("PYTHONPATH")]),
    ]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("driver") / "driver.py"
    file.write_text(DRIVER)
    return file


STARTED: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def _no_process_stays() -> Iterator[None]:
    """Kill what a failed test has left, with all its children."""
    yield
    for process in STARTED:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    STARTED.clear()


def group_of(command: list[str], **options) -> subprocess.Popen:
    """A process that leads a group of its own."""
    STARTED.append(subprocess.Popen(command, text=True, env=environment(), start_new_session=True, **options))
    return STARTED[-1]


def start(driver: Path, study: str, root: Path, *more: str, **options) -> subprocess.Popen:
    command = [sys.executable, str(driver), study, str(root), *more]
    return group_of(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=HANGS)
    assert process.returncode == 0, output
    return output


def tables(study: Study, root: Path) -> Results:
    return Archive(study, Store(root)).tables()


def assert_equal(ours: Results, theirs: Results) -> None:
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(ours, name), getattr(theirs, name))


def files(root: Path, stages: tuple[str, ...] = ("training", "modules", "agreement")) -> dict[str, tuple[int, bytes]]:
    found = [file for stage in stages for file in (root / stage).rglob("*") if file.is_file()]
    return {str(file): (file.stat().st_mtime_ns, file.read_bytes()) for file in found if "/." not in str(file)}


@pytest.fixture(scope="module")
def undisturbed(driver: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("undisturbed")
    finish(start(driver, "smoke", root))
    return root


@pytest.fixture(scope="module")
def undisturbed_long(driver: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("undisturbed-long")
    finish(start(driver, "long", root))
    return root


def workers_on(root: Path) -> list[int]:
    """Processes that compute for a store, told from their signs of life."""
    return [int(file.stem.rsplit("~", 1)[1]) for file in (root / "running").rglob("[!.]*.json")]


def wait_for(condition: Callable[[], object], process: subprocess.Popen | None = None) -> None:
    """Wait until something is so; fail where the process that should bring it about has ended."""
    deadline = time.monotonic() + HANGS
    while not condition():
        assert process is None or process.poll() is None, f"the run ended too early: {process.communicate()}"
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.01)


def signs_of_life(root: Path) -> dict[int, int]:
    """Network-epochs that each process at work says to have trained."""
    signs = {}
    for file in (root / "running").rglob("[!.]*.json"):
        with contextlib.suppress(OSError, ValueError):  # it is being replaced
            signs[int(file.stem.rsplit("~", 1)[1])] = json.loads(file.read_text())["network_epochs"]
    return signs


def epochs_of_checkpoints(root: Path) -> list[int]:
    facts = [file for file in root.glob("checkpoints-*/*/*/facts.json") if not file.parent.name.startswith(".")]
    return [json.loads(file.read_text())["ingredients"]["epoch"] for file in facts]


def test_a_killed_worker_is_replaced_and_goes_on_from_its_checkpoint(
    driver: Path, undisturbed_long: Path, tmp_path: Path
) -> None:
    process = start(driver, "long", tmp_path)
    wait_for(lambda: max(epochs_of_checkpoints(tmp_path), default=0) > 3, process)
    before = set(workers_on(tmp_path))
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    saved = max(epochs_of_checkpoints(tmp_path))
    first_signs: dict[int, int] = {}

    def goes_on() -> bool:
        for worker, epochs in signs_of_life(tmp_path).items():
            if worker not in before and epochs:
                first_signs.setdefault(worker, epochs)
        return max(first_signs.values(), default=0) >= 2 * saved  # two networks in each task

    wait_for(goes_on, process)
    finish(process)
    assert_equal(tables(LONG, tmp_path), tables(LONG, undisturbed_long))
    assert not epochs_of_checkpoints(tmp_path)


def test_at_most_a_minute_of_work_lies_between_two_checkpoints() -> None:
    epoch_of_a_batch_of_v1 = 30  # seconds, on a slow core
    assert CHECKPOINT_SECONDS + epoch_of_a_batch_of_v1 <= 60


def test_a_killed_driver_leaves_work_that_the_next_one_does_not_repeat(
    driver: Path, undisturbed_long: Path, tmp_path: Path
) -> None:
    process = start(driver, "long", tmp_path)
    wait_for(lambda: list((tmp_path / "agreement").glob("*/[!.]*")), process)
    workers = workers_on(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    wait_for(lambda: not any(map(is_alive, workers)))  # they end by themselves
    before = files(tmp_path)
    assert before
    finish(start(driver, "long", tmp_path))
    after = files(tmp_path)
    assert {name: after[name] for name in before} == before
    assert_equal(tables(LONG, tmp_path), tables(LONG, undisturbed_long))


def half_written(root: Path) -> list[Path]:
    return [path for path in root.rglob(".*") if path.is_dir()]


def events(root: Path) -> set[str]:
    """What a run has begun or finished: signs of life, entries, and the temporary folders that become entries."""
    return {str(place) for pattern in ("running/*/*.json", "[!.]*/??/*") for place in root.glob(pattern)}


def test_twenty_kills_at_random_moments_change_nothing(
    driver: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOW_DISK", "1")  # or else hardly a kill would meet a process while it writes
    moments = random.Random(0)
    n_half_written = 0
    for kill in range(20):
        # Mostly without an engine, whose workers take seconds to start.
        process = start(driver, "smoke", tmp_path, *([] if kill % 5 == 0 else ["in one process"]))
        seen = before = events(tmp_path)
        n_events = moments.randint(1, 6)  # twelve networks make about a hundred

        def has_come_so_far() -> bool:
            nonlocal seen
            seen = seen | events(tmp_path)
            return len(seen) >= len(before) + n_events  # noqa: B023, called in this round alone

        wait_for(has_come_so_far, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        n_half_written += len(half_written(tmp_path))
    assert n_half_written > 0
    monkeypatch.delenv("SLOW_DISK")
    finish(start(driver, "smoke", tmp_path))
    assert_equal(tables(SMOKE, tmp_path), tables(SMOKE, undisturbed))
    assert not half_written(tmp_path)


def test_two_drivers_on_one_store_agree_though_both_write_checkpoints(
    driver: Path, undisturbed_long: Path, tmp_path: Path
) -> None:
    for process in [start(driver, "long", tmp_path) for _ in range(2)]:
        finish(process)
    assert_equal(tables(LONG, tmp_path), tables(LONG, undisturbed_long))
    assert not list((tmp_path / "set-aside").glob("*"))


def damage(root: Path) -> None:
    """Damage one entry in each way: a flipped bit, a file cut short, an empty file, two entries of each other's key."""
    entries = sorted((root / "training").glob("*/*"))
    flipped = entries[0] / "arrays.safetensors"
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1
    flipped.write_bytes(content)
    cut = entries[1] / "facts.json"
    cut.write_bytes(cut.read_bytes()[:-20])
    (sorted((root / "modules").glob("*/*"))[0] / "facts.json").write_bytes(b"")
    first, second = sorted((root / "agreement").glob("*/*"))[:2]
    first.rename(first.with_name("aside"))
    second.rename(first)
    first.with_name("aside").rename(second)


def test_damaged_entries_are_noticed_set_aside_and_computed_again(
    driver: Path, undisturbed: Path, tmp_path: Path
) -> None:
    finish(start(driver, "smoke", tmp_path))
    damage(tmp_path)
    output = finish(start(driver, "smoke", tmp_path))
    assert output.count("Damaged result set aside") == 5
    assert len(list((tmp_path / "set-aside").iterdir())) == 5
    assert_equal(tables(SMOKE, tmp_path), tables(SMOKE, undisturbed))


def limit_files_to(size: int):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_disk_is_a_clear_error_and_loses_nothing(driver: Path, undisturbed: Path, tmp_path: Path) -> None:
    assert modularity("run", "smoke", "--shard", "1/2", "--store", str(tmp_path)).returncode == 0
    finished = files(tmp_path)
    assert finished
    small = 4096  # bytes a file may have: enough for a few facts, not for the weights
    process = start(driver, "smoke", tmp_path, preexec_fn=limit_files_to(small))
    output, _ = process.communicate(timeout=HANGS)
    assert process.returncode == 1
    assert "results cannot be written to the store" in output
    assert "free some space, or choose another folder" in output
    finish(start(driver, "smoke", tmp_path))
    assert {name: content for name, content in files(tmp_path).items() if name in finished} == finished
    assert_equal(tables(SMOKE, tmp_path), tables(SMOKE, undisturbed))


def test_a_store_that_cannot_be_written_can_be_read_and_is_an_error_before_any_work(
    undisturbed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    shutil.copytree(undisturbed, folder)
    everything = [folder, *folder.rglob("*")]
    try:
        for path in everything:
            path.chmod(0o555 if path.is_dir() else 0o444)
        read = modularity("run", "smoke", "--store", str(folder), preexec_fn=without_root_powers)
        assert read.returncode == 0, read.stderr
        assert "all 12 networks are in" in read.stderr
        refused = modularity("run", "quick", "--store", str(folder), preexec_fn=without_root_powers)
    finally:
        for path in everything:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "(Permission denied)" in refused.stderr
    assert "make it writable, or choose another folder with --store" in refused.stderr


def test_a_poisoned_network_is_set_aside_and_the_others_finish(driver: Path, undisturbed: Path, tmp_path: Path) -> None:
    victim = next(config for config in SMOKE.trained_configs() if config.dropout)
    arrays = arrays_of(initial_parameters((784, 16, 16, 10), seed=0))
    arrays["weight1"][:] = np.nan
    poison = Entry({"status": "ok", "reason": "", "epochs": 10}, arrays)
    archive = Archive(SMOKE, Store(tmp_path))
    archive.write("training", victim, poison, seconds=0.0)

    process = start(driver, "smoke", tmp_path)
    output, _ = process.communicate(timeout=HANGS)
    assert process.returncode == 1
    assert "1 networks of the study 'smoke' failed three times" in output
    assert len(list((tmp_path / "agreement").glob("*/[!.]*"))) == 11

    shown = modularity("status", "smoke", "--store", str(tmp_path))
    assert shown.returncode == 1
    assert "failed     1" in shown.stdout
    assert "not all finite" in shown.stdout
    assert "Traceback" in shown.stdout

    archive.remove("training", victim)
    finish(start(driver, "smoke", tmp_path))
    assert_equal(tables(SMOKE, tmp_path), tables(SMOKE, undisturbed))
    assert modularity("status", "smoke", "--store", str(tmp_path)).returncode == 0


def modularity(*arguments: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "modularity_lib.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment(), **options)


@contextlib.contextmanager
def cluster_by_hand(folder: Path, workers: int) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """Address of a Dask scheduler, and its process followed by those of its workers."""
    file, dask = folder / "scheduler.json", [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment()}
    listens = ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file), "--no-dashboard"]
    started = [subprocess.Popen([*dask, "scheduler", *listens], **quiet)]
    try:
        wait_for(lambda: file.exists() and file.read_text().endswith("}"), started[0])
        address = json.loads(file.read_text())["address"]
        worker = [*dask, "worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
        started += [subprocess.Popen(worker, **quiet) for _ in range(workers)]
        yield address, started
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_a_scheduler_and_workers_started_by_hand_run_a_study_though_one_is_stopped(
    driver: Path, undisturbed_long: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    with cluster_by_hand(tmp_path, workers=2) as (address, (_, *workers)):
        process = start(driver, "long", store, address)
        wait_for(lambda: len(workers_on(store)) == 2, process)
        assert set(workers_on(store)) == {worker.pid for worker in workers}
        wait_for(lambda: signs_of_life(store).get(workers[0].pid), process)
        workers[0].kill()
        finish(process)
    assert_equal(tables(LONG, store), tables(LONG, undisturbed_long))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "127.0.0.1", "http://127.0.0.1:9"])
def test_a_scheduler_that_is_not_there_is_one_line(address: str, tmp_path: Path) -> None:
    shown = modularity("run", "smoke", "--scheduler", address, "--store", str(tmp_path), "--quiet")
    assert shown.returncode == 2
    assert shown.stderr.count("\n") == 1
    assert f"no Dask scheduler answers at {address}" in shown.stderr


def test_a_scheduler_that_ends_in_the_middle_is_one_line(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "modularity_lib.cli",
        "run",
        "quick",
        "--quiet",
        "--store",
        str(tmp_path / "store"),
    ]
    with cluster_by_hand(tmp_path, workers=1) as (address, (scheduler, _)):
        process = group_of([*command, "--scheduler", address], stderr=subprocess.PIPE)
        wait_for(lambda: workers_on(tmp_path / "store"), process)
        scheduler.kill()
        _, message = process.communicate(timeout=HANGS)
    assert process.returncode == 2
    assert "the Dask scheduler ended" in message
    assert "Traceback" not in message


def test_shards_without_an_engine_make_the_same_study(undisturbed: Path, tmp_path: Path) -> None:
    for shard in ("1/2", "2/2"):
        done = modularity("run", "smoke", "--shard", shard, "--store", str(tmp_path))
        assert done.returncode == 0, done.stderr
    assert_equal(tables(SMOKE, tmp_path), tables(SMOKE, undisturbed))


@pytest.mark.parametrize("moment", ["workers start", "workers train"])
def test_ctrl_c_ends_though_no_worker_answers_and_says_how_to_go_on(moment: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "modularity_lib.cli", "run", "smoke", "--store", str(tmp_path)]
    process = group_of(command, stderr=subprocess.PIPE)
    started = psutil.Process(process.pid)
    has_come = {
        "workers start": lambda: len(started.children()) == 3,  # two workers and the keeper of semaphores
        "workers train": lambda: len(workers_on(tmp_path)) == 2,
    }
    wait_for(has_come[moment], process)
    for worker in started.children():
        worker.suspend()  # whoever waits for one waits for ever
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: all processes at once
    process.wait(timeout=HANGS)
    os.killpg(process.pid, signal.SIGCONT)
    _, message = process.communicate(timeout=HANGS)  # until the last of the workers has ended, too
    assert process.returncode == 130
    said = [line for line in message.splitlines() if line and not line.startswith("study smoke: ")]
    assert said == ["modularity: stopped. Nothing finished is lost: the same command goes on from here."]

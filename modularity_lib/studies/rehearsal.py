"""Start one process as the workers of a run will be started: what keeps it from coming is told in its own words.

Dask would wait for its workers for ever, and each of them would say the same.
"""

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Worker

WORKER_SECONDS = 60.0  # what has not come by then does not come: on a slow machine it takes a few seconds
_MANY_LINES = 30  # of what a process said, the last ones

_BELOW_THE_GUARD = (
    'Workers import the script that starts them, so the run belongs below `if __name__ == "__main__":` in it, or into '
    "a function that is called there."
)

# How multiprocessing begins to tell a script without a main guard that starts processes of its own.
_OF_MULTIPROCESSING = "An attempt has been made to start a new process before the"


class WorkersUnavailable(RuntimeError):
    """On this machine no process comes that could compute; the message says why, and what to do."""


def check_may_start_workers() -> None:
    """Raise where it is known beforehand that no worker can come.

    Raises:
        WorkersUnavailable: this process is a worker itself, one that is just importing the script that started it; or
            one that may not start others; or the script is no file.
    """
    process = multiprocessing.current_process()
    if getattr(process, "_inheriting", False):  # as multiprocessing asks it before it starts a process
        raise WorkersUnavailable(f"a script that is imported by a worker starts a run itself. {_BELOW_THE_GUARD}")
    if process.daemon:
        raise WorkersUnavailable(
            f"the process {process.name!r} may not start others, as one of a multiprocessing.Pool or of Dask. Start "
            "the run from the main process, or compute a share of it with `modularity run --shard`."
        )
    main = sys.modules["__main__"]
    script = getattr(main, "__file__", None)
    if getattr(main, "__spec__", None) is None and script is not None and not os.path.exists(script):
        raise WorkersUnavailable(
            f"the script that starts the run is no file: {script}. {_BELOW_THE_GUARD} Keep it in a file, and do not "
            "read it from standard input."
        )


@contextmanager
def rehearsal(folder: Path) -> Iterator[Callable[[], None]]:
    """Start a process that imports what a worker needs; what is yielded waits for it.

    Meanwhile this process can import the same.

    Args:
        folder: where what the process says is kept for the moment.
    Raises:
        WorkersUnavailable: from what is yielded, if the process has not come.
    """
    spawn = multiprocessing.get_context("spawn")  # as Dask does
    receiver, sender = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_import_all, args=(sender,), daemon=True)
    with receiver, (folder / "said").open("w+b") as said:
        try:
            with _errors_into(said):
                process.start()
        except (OSError, RuntimeError) as error:
            raise WorkersUnavailable(could_not_start(error)) from None
        finally:
            sender.close()
        try:
            yield lambda: _wait_for(process, receiver, said)
        finally:
            process.kill()
            process.join()


def is_refused_thread(error: BaseException) -> bool:
    """Whether Python could not start a thread: it tells so in words alone."""
    return isinstance(error, RuntimeError) and "can't start new thread" in str(error)


def could_not_start(error: Exception) -> str:
    """What to say where the system refuses a process or a thread."""
    why = getattr(error, "strerror", None) or str(error)
    return (
        f"no worker could be started: the system refuses a new process or thread ({why}). A limit may be the reason, "
        "such as `ulimit -u`, or a lack of memory: raise it, or give fewer workers."
    )


def dask_setup(worker: "Worker") -> None:
    """What Dask calls in each process of ours before it reports for work: to start the thread that computes.

    Where a limit refuses that thread, Dask would note it in one task, and let all others of this worker wait.
    """
    try:
        worker.executors["default"].submit(int).result(WORKER_SECONDS)
    except (RuntimeError, TimeoutError) as error:
        os.write(2, f"{could_not_start(error)}\n".encode())
        os._exit(1)  # no thread of it may go on


def _import_all(sender: Connection) -> None:
    import distributed.nanny

    import modularity_lib.studies.worker  # noqa: F401

    sender.send_bytes(distributed.__version__.encode())


def _wait_for(process: multiprocessing.process.BaseProcess, receiver: Connection, said: IO[bytes]) -> None:
    if not receiver.poll(WORKER_SECONDS):
        what = f"has not come in {WORKER_SECONDS:.0f} s"
    else:
        try:
            receiver.recv_bytes()
            process.join(WORKER_SECONDS)  # its memory is for the workers now
            return
        except (EOFError, OSError):
            process.join(WORKER_SECONDS)
            what = f"ended with status {process.exitcode} instead of coming"
    said.seek(0)
    text = said.read().decode(errors="replace")
    if _BELOW_THE_GUARD in text or _OF_MULTIPROCESSING in text:
        raise WorkersUnavailable(
            "the script that starts the run would start it, or other processes, again in each worker. "
            + _BELOW_THE_GUARD
        )
    lines, is_error = _without_traceback(text.splitlines())
    hint = "" if is_error else f" {_BELOW_THE_GUARD}"
    words = "\n".join(["It said:", *lines[-_MANY_LINES:]]) if lines else "It said nothing."
    raise WorkersUnavailable(f"no worker could be started: the first one {what}.{hint} {words}")


def _without_traceback(lines: list[str]) -> tuple[list[str], bool]:
    """What a process said but for the way to its last error, which is of no use to who started it; was there one?"""
    frames = [number for number, line in enumerate(lines) if line.startswith('  File "')]
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if not starts or not frames:
        return lines, False
    end = frames[-1] + 1
    while end < len(lines) and lines[end].startswith("    "):  # the line of code, and what marks a part of it
        end += 1
    return lines[: starts[0]] + lines[end:], True


@contextmanager
def _errors_into(file: IO[bytes]) -> Iterator[None]:
    """Make a file the standard error of the processes that start meanwhile."""
    try:
        before = os.dup(2)
    except OSError:  # this process has none
        yield
        return
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)

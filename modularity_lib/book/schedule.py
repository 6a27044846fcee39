"""Executes the chapters of a build side by side: as many at once as there are cores.

Threads do: each chapter has a kernel, a process of its own that does the work, and a thread here only waits for it.
"""

import json
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from time import sleep
from typing import Any, NamedTuple

from modularity_lib.book.execution import (
    Chapter,
    ChapterFailed,
    end_kernels,
    executed_notebook,
    notebook_of,
    remembered,
)
from modularity_lib.studies.provenance import cores

AT_ONCE_VARIABLE = "MODULARITY_CHAPTERS_AT_ONCE"  # how many chapters run side by side; 1 is one after the other
ALL_CORES = "all-cores"  # tag of a cell that computes with as many processes as there are cores


class Job(NamedTuple):
    """A chapter to be executed; `around` is the part of its key that comes from `surroundings`."""

    chapter: Chapter
    parameters: dict[str, Any]
    around: str

    @property
    def notebook(self) -> Path:
        """File of the executed notebook; it exists if the chapter has run and all that it read is as it was."""
        return notebook_of(self.chapter, self.parameters, self.around)

    def run(self) -> Path:
        """File of the executed notebook; executes the chapter unless it is remembered."""
        return executed_notebook(self.chapter, self.parameters, self.around)


def execute_side_by_side(
    jobs: Sequence[Job], report: Callable[[Job, ChapterFailed], None], *, n_at_once: int
) -> dict[str, Path]:
    """Execute what is not remembered: first, alone, what needs all cores; then the others, longest first.

    Args:
        jobs: at most one per chapter.
        report: called in this thread as soon as a chapter has failed. The others go on.
        n_at_once: how many run side by side.
    Returns:
        The executed notebook of each chapter that did not fail.
    """
    alone = need_all_cores([job for job in jobs if not job.notebook.exists()])
    notebooks = _execute(alone, 1, report)
    # Those that ran alone may have computed a study that others read: only now it is known what is remembered of these.
    files = {job.chapter.name: job.notebook for job in jobs if job not in alone}
    notebooks |= {name: file for name, file in files.items() if file.exists()}
    missing = [job for job in jobs if job not in alone and job.chapter.name not in notebooks]
    return notebooks | _execute(sorted(missing, key=lambda job: -last_seconds(job.chapter)), n_at_once, report)


def _execute(jobs: Sequence[Job], n_at_once: int, report: Callable[[Job, ChapterFailed], None]) -> dict[str, Path]:
    notebooks = {}
    with ThreadPoolExecutor(n_at_once, "chapters") as pool:
        jobs_of = {pool.submit(job.run): job for job in jobs}
        try:
            for ended in as_completed(jobs_of):
                try:
                    notebooks[jobs_of[ended].chapter.name] = ended.result()
                except ChapterFailed as failure:
                    report(jobs_of[ended], failure)
        except BaseException:  # Ctrl-C, say, which only this thread sees
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in jobs_of):
                end_kernels()  # again and again: one may just be starting
                sleep(0.1)
            raise
    return notebooks


def at_once() -> int:
    """How many chapters run side by side: $MODULARITY_CHAPTERS_AT_ONCE, else as many as there are cores.

    Raises:
        ValueError: the variable is not a number of chapters.
    """
    chosen = os.environ.get(AT_ONCE_VARIABLE, "")
    if not chosen:
        return cores()
    if not chosen.isdecimal() or int(chosen) < 1:
        raise ValueError(
            f"{AT_ONCE_VARIABLE} must be how many chapters run side by side, a whole number from 1, got {chosen!r}. "
            "Unset it to run as many as there are cores."
        )
    return int(chosen)


def need_all_cores(jobs: Sequence[Job]) -> list[Job]:
    """The jobs that compute with all cores: chapters that say so, and the first of those that show a chosen study.

    A study that was chosen may not be at hand; the first chapter computes it, and the others then read it.
    """
    found: list[Job] = []
    studies: set[str] = set()
    for job in jobs:
        chosen = {str(job.parameters["study"])} if "study" in job.parameters else set()
        tags = [tag for cell in job.chapter.notebook().cells for tag in cell.metadata.get("tags", [])]
        if ALL_CORES in tags or chosen - studies:
            found.append(job)
        studies |= chosen
    return found


def last_seconds(chapter: Chapter) -> float:
    """How long the chapter took when it last ran to its end; infinite if nothing is remembered of it."""
    with suppress(OSError, ValueError):
        newest = max(remembered(chapter, "*").parent.glob(remembered(chapter, "*").name), key=os.path.getmtime)
        return float(json.loads(newest.read_text(encoding="utf-8"))["metadata"]["papermill"]["duration"])
    return math.inf

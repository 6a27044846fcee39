"""Status of a build: parameters and duration of every chapter, the machine, and what each chapter takes.

The directive `build-status` (see extension.py) writes these texts in every build, even if no chapter had to run.
"""

import importlib.metadata
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from modularity_lib.book.execution import Chapter, all_chapters
from modularity_lib.book.words.prose import markdown
from modularity_lib.studies.provenance import provenance

PACKAGES = (
    *("torch", "numpy", "scipy", "numba", "pandas", "pyarrow", "matplotlib", "seaborn"),
    *("papermill", "jupytext", "myst-nb", "jupyter-book", "sphinx"),
)


@dataclass(frozen=True)
class Execution:
    """How a chapter was executed: what its page shows."""

    chapter: str
    parameters: Mapping[str, Any]  # all that the chapter has, defaults included
    chosen: frozenset[str]  # names of those that were given
    failed: bool
    started: str  # UTC, e.g. "2026-01-02T03:04:05"; "" where the kernel died
    seconds: float | None


def execution_of(chapter: Chapter, parameters: Mapping[str, Any], notebook: Path, *, failed: bool) -> Execution:
    """Read from an executed notebook how the chapter was executed."""
    noted = nbformat.read(notebook, as_version=4).metadata.get("papermill", {})
    return Execution(
        chapter=chapter.name,
        parameters={**chapter.defaults(), **parameters},
        chosen=frozenset(parameters),
        failed=failed,
        started=(noted.get("start_time") or "")[:19],
        seconds=noted.get("duration"),
    )


def chapters_text(executions: Iterable[Execution]) -> str:
    """Markdown table: study, parameters, day and time, and duration of every chapter's execution, and the sum."""
    executions = list(executions)
    rows = []
    for execution in executions:
        texts = {name: _parameter_text(execution, name) for name in execution.parameters}
        study = texts.pop("study", "–")
        others = ", ".join(f"{name} = {text}" for name, text in texts.items()) or "–"
        started = execution.started.replace("T", " ") or "–"
        took = "–" if execution.seconds is None else f"{execution.seconds:.1f} s"
        state = "**failed** after " if execution.failed else ""
        rows.append([execution.chapter, study, others, started, f"{state}{took}"])
    total = sum(execution.seconds or 0.0 for execution in executions)
    rows.append(["**all**", "", "", "", f"**{total:.1f} s**"])
    return markdown(["chapter", "study", "other parameters", "executed (UTC)", "took"], rows, right=["took"])


def environment_text() -> str:
    """Markdown table: machine, commit of the checkout, versions of Python and of the packages that matter here."""
    made = provenance()
    rows = {
        "machine": f"{made['processor']}, {os.cpu_count()} cores, {made['system']}",
        "commit of this checkout": str(made["commit"] or "none: not a checkout").replace("+changes", ", with changes"),
        "Python": made["python"],
        "packages": ", ".join(f"{package} {importlib.metadata.version(package)}" for package in PACKAGES),
    }
    return markdown(["what", "which"], rows.items())


def parameters_markdown(root: Path) -> str:
    """Markdown list: every chapter by name and title; its parameters, what they take, their defaults and meaning."""
    lines = []
    for chapter in all_chapters(root):
        parameters = chapter.parameters()
        lines += [f"- `{chapter.name}`: {{doc}}`/chapters/{chapter.name}`"] if parameters else []
        for name, parameter in parameters.items():
            default = json.dumps(parameter.default) if isinstance(parameter.default, str) else str(parameter.default)
            meaning = f": {parameter.meaning}" if parameter.meaning else ""
            lines.append(f"  - `{name}` ({parameter.takes}; default `{default}`){meaning}")
    return "\n".join(lines)


def _parameter_text(execution: Execution, name: str) -> str:
    """The value as code; bold if this build overrides the chapter's own."""
    value = str(execution.parameters[name]) or '""'
    return f"**`{value}`**" if name in execution.chosen else f"`{value}`"

"""A small book with the settings and the extension of the real one: for tests that build it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

BUILD = ("-c", "from jupyter_book.cli.main import main; main()", "build", ".")  # arguments of Python
HEADER = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

"""


def make_book(root: Path, project: Path, pages: dict[str, str], **chapter_parameters: dict[str, object]) -> Path:
    """A book with the settings and the extension of the real one, and a library of one number."""
    for name in ("chapters", "data", "modularity_lib"):
        (root / name).mkdir(parents=True)
    settings = yaml.safe_load((project / "_config.yml").read_text())
    settings["sphinx"]["config"]["chapter_parameters"] = chapter_parameters
    (root / "_config.yml").write_text(yaml.safe_dump(settings))
    for name in ("references.bib", "CITATION.cff"):
        shutil.copy(project / name, root)
    shutil.copytree(project / "_static", root / "_static")
    library = project / "modularity_lib"
    for name in ("book", "studies"):
        shutil.copytree(library / name, root / "modularity_lib" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(library / "paths.py", root / "modularity_lib")
    (root / "modularity_lib" / "__init__.py").touch()
    (root / "modularity_lib" / "numbers.py").write_text("SEVEN = 7\n")
    (root / "data" / "numbers.csv").write_text("7\n")
    for name, text in pages.items():
        (root / "chapters" / f"{name}.md").write_text(text)
    first, *others = pages
    listed = "".join(f"\n- file: chapters/{name}" for name in others)
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: chapters/{first}\nchapters:{listed}\n")
    return root


def start_python(book: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start Python in a book whose user has registered a kernel "python3" that does not work any more."""
    stale = book / "jupyter" / "kernels" / "python3"
    stale.mkdir(parents=True, exist_ok=True)
    gone = {"argv": ["/gone/python", "-f", "{connection_file}"], "display_name": "gone", "language": "python"}
    (stale / "kernel.json").write_text(json.dumps(gone))
    environment = os.environ | {"PYTHONPATH": str(book), "JUPYTER_PATH": str(stale.parents[1]), "NO_COLOR": "1"}
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=book,
        env=environment | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_python(book: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python there to its end, with these environment variables besides."""
    with start_python(book, *arguments, **variables) as process:
        try:
            said, complained = process.communicate(timeout=120)
        finally:
            process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, said, complained)


def build(book: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Build the book."""
    return run_python(book, *BUILD, **variables)


def page_of(book: Path, name: str, html: str = "_build/html") -> str:
    """Text of a page without its markup."""
    text = (book / html / "chapters" / f"{name}.html").read_text()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text))

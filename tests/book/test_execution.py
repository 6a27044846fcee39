"""Chapters run through Papermill inside `jupyter-book build`, are remembered, and fail loudly. Tried on small books."""

import base64
import html
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest

from made_up_book import HEADER, build, make_book, page_of, run_python
from modularity_lib.book import execution
from modularity_lib.book.execution import (
    Chapter,
    ChapterFailed,
    chapter_key,
    chosen_parameters,
    executed_notebook,
    find_chapter,
    surroundings,
)

TABLE = base64.b64encode(b"q,a\n1,2\n").decode()
OFFERED = f'<a download="q &amp; a.csv" href="data:text/csv;base64,{TABLE}">q</a>'
# Each run adds a line to runs.txt, so that the tests can count them.
ANSWER = """\
# The answer

It was found by {cite:t}`newman2006`.

```{code-cell} ipython3
:tags: [parameters]

factor = 6  # a whole number
label = "answer"
```

```{code-cell} ipython3
import sys
from pathlib import Path

from tqdm import tqdm

from modularity_lib.numbers import SEVEN

with Path("runs.txt").open("a") as runs:
    print(factor, file=runs)
for _ in tqdm(range(100_000)):
    pass
print("a warning that stays", file=sys.stderr)
print(f"{label} {factor * SEVEN} by {sys.executable}")
```
"""
BROKEN = """\
# A chapter with a mistake

```{code-cell} ipython3
first = 1
```

```{code-cell} ipython3
:tags: [remove-cell]

second = first + 1
second + third
```
"""
RERUN = "from modularity_lib.book.rerun import rerun; print(*rerun('answer', {}))"
KILLED = "# A chapter whose kernel dies\n\n```{code-cell} ipython3\nimport os\nos._exit(9)\n```\n"


def runs_of(book: Path) -> list[str]:
    return (book / "runs.txt").read_text().split()


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory, project: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A book with a plain page and a chapter, built once, and what the build said."""
    introduction = "# A plain page\n\nNo code, only $a^2$.\n\n```{cite-this}\n```\n\n```{bibliography}\n```\n"
    introduction += f"\n```{{raw}} html\n{OFFERED}\n```\n"
    introduction += "".join(f"\n```{{build-status}} {what}\n```\n" for what in ("chapters", "environment"))
    pages = {"introduction": introduction, "answer": HEADER + ANSWER}
    root = make_book(tmp_path_factory.mktemp("book"), project, pages)
    return root, build(root)


@pytest.fixture
def chapter(tmp_path: Path, project: Path) -> Chapter:
    """A chapter of a book that nothing has run yet."""
    return find_chapter(make_book(tmp_path / "book", project, {"answer": HEADER + ANSWER}), "answer")


def test_a_build_executes_a_chapter_with_the_running_python_whatever_kernels_are_registered(book) -> None:
    root, built = book
    assert built.returncode == 0, built.stderr
    assert f"answer 42 by {sys.executable}" in page_of(root, "answer")
    assert runs_of(root) == ["6"]


def test_a_build_says_in_a_few_lines_what_runs_and_gives_no_warning(book) -> None:
    _, built = book
    assert re.fullmatch(r"chapters/answer: running\nchapters/answer: ended after [\d.]+ s\n", built.stderr)


def test_a_kernel_that_closes_a_socket_too_early_does_not_say_so_in_the_terminal(chapter: Chapter) -> None:
    said = "import logging\n\nprint(logging.getLogger('tornado.general').isEnabledFor(logging.ERROR))"
    text = f"{HEADER}# Said\n\n```{{code-cell}} ipython3\n{said}\n```\n"
    executed = executed_notebook(replace(chapter, text=text), {}, "said")
    assert nbformat.read(executed, as_version=4).cells[-1].outputs[0].text == "False\n"


def test_a_page_shows_warnings_but_no_progress_bars(book) -> None:
    root, _ = book
    assert "a warning that stays" in page_of(root, "answer")
    assert "it/s" not in page_of(root, "answer")


def test_pages_need_no_other_host(book) -> None:
    root, _ = book
    for page in (root / "_build" / "html" / "chapters").glob("*.html"):
        loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"([^\"]+)\"", page.read_text())
        assert any("tex-svg-full.js" in address for address in loaded) == (page.stem == "introduction")  # it has maths
        assert [address for address in loaded if re.match(r"(?:https?:)?//", address)] == []
        assert "thebe" not in page.read_text().lower()
    assert (root / "_build" / "html" / "_static" / "tex-svg-full.js").exists()


def test_a_table_that_a_page_offers_lies_in_a_file_of_its_own(book) -> None:
    root, _ = book
    page = root / "_build" / "html" / "chapters" / "introduction.html"
    assert "base64" not in page.read_text()
    [address] = re.findall(r'<a download="q &amp; a.csv" href="([^"]+)">', page.read_text())
    assert (page.parent / html.unescape(address)).read_text() == "q,a\n1,2\n"


def test_a_page_says_what_a_link_to_it_should_show(book) -> None:
    root, _ = book
    page = (root / "_build" / "html" / "chapters" / "introduction.html").read_text()
    said = dict(re.findall(r'<meta (?:property|name)="([\w:]+)" content="([^"]*)"', page))
    assert said["og:title"] == "A plain page"
    assert said["og:description"] == said["description"] == "No code, only a^2."
    assert said["og:image"] == "../_static/cover.png"
    assert "og:url" not in said


def test_a_citation_names_authors_and_year_and_shows_its_entry_when_it_is_pointed_at(book) -> None:
    root, _ = book
    page = (root / "_build" / "html" / "chapters" / "answer.html").read_text()
    assert "It was found by Newman [2006]." in page_of(root, "answer")
    [(where, shown)] = re.findall(r'<a class="reference internal" href="([^"]+)" title="([^"]+)">2006</a>', page)
    assert where.startswith("introduction.html#")
    assert shown.startswith("M. E. J. Newman. Modularity and community structure")
    listed = (root / "_build" / "html" / "chapters" / "introduction.html").read_text()
    assert 'href="https://doi.org/10.1073/pnas.0601602103">doi:10.1073/pnas.0601602103</a>' in listed


def test_a_page_says_how_to_cite_the_project_and_the_paper(book) -> None:
    root, _ = book
    page = page_of(root, "introduction")
    assert "This project. the modularity-lib authors: Clustering units in neural networks: a reproduction." in page
    assert "@article{lange2022, author = {Lange, Richard D. and Rolnick, David S. and Kording, Konrad P.}" in page


def test_a_page_has_its_picture_for_the_tab_of_a_browser(book) -> None:
    root, _ = book
    page = root / "_build" / "html" / "chapters" / "answer.html"
    [address] = re.findall(r'<link rel="icon" href="([^"]+)"', page.read_text())
    assert (page.parent / address).resolve().is_file()


def test_links_are_shown_by_their_full_addresses_where_the_book_has_one(book) -> None:
    root, _ = book
    settings = (root / "_config.yml").read_text()
    (root / "_config.yml").write_text(settings.replace("baseurl: ''", "baseurl: https://example.org/book/"))
    assert build(root).returncode == 0
    page = (root / "_build" / "html" / "chapters" / "introduction.html").read_text()
    (root / "_config.yml").write_text(settings)
    said = dict(re.findall(r'<meta (?:property|name)="([\w:]+)" content="([^"]*)"', page))
    assert said["og:image"] == "https://example.org/book/_static/cover.png"
    assert said["og:url"] == "https://example.org/book/chapters/introduction.html"


def test_what_is_unchanged_is_not_executed_again_and_a_changed_library_is(book) -> None:
    root, _ = book
    before = runs_of(root)
    assert build(root).returncode == 0
    assert runs_of(root) == before

    (root / "modularity_lib" / "numbers.py").write_text("SEVEN = 8\n")
    assert build(root).returncode == 0
    assert runs_of(root) == [*before, "6"]
    assert "answer 48" in page_of(root, "answer")
    (root / "modularity_lib" / "numbers.py").write_text("SEVEN = 7\n")


def test_the_status_of_a_build_names_time_parameters_versions_and_commit(book) -> None:
    root, _ = book
    text = page_of(root, "introduction")
    executed = (root / "_build" / ".jupyter_cache" / "chapters").glob("answer-*.ipynb")
    notes = [nbformat.read(notebook, as_version=4).metadata.papermill for notebook in executed]
    rows = [f"{noted.start_time[:19].replace('T', ' ')} {noted.duration:.1f} s" for noted in notes]
    assert any(f"answer – factor = 6, label = answer {row}" in text for row in rows)
    assert f"Python {platform.python_version()}" in text
    assert f"torch {version('torch')}" in text


def test_an_unchanged_book_is_built_with_its_present_status(book) -> None:
    root, _ = book
    before = runs_of(root)
    assert build(root).returncode == 0
    assert "commit of this checkout none" in page_of(root, "introduction")

    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "a"]):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout.strip()
    assert build(root).returncode == 0
    shutil.rmtree(root / ".git")
    assert f"commit of this checkout {commit}, with changes" in page_of(root, "introduction")
    assert runs_of(root) == before


def test_one_chapter_can_be_run_again_with_other_parameters(book) -> None:
    root, _ = book
    again = run_python(root, "-c", RERUN.format({"factor": 3, "label": "now"}))
    assert again.returncode == 0, again.stderr
    folder = root / "_build" / "chapters" / "answer-factor=3-label=now"
    assert again.stdout == f"{folder}/answer.ipynb {folder}/html/chapters/answer.html\n"
    assert "now 21 by" in page_of(root, "answer", "_build/chapters/answer-factor=3-label=now/html")
    assert "It was found by Newman [2006]." in page_of(root, "answer", "_build/chapters/answer-factor=3-label=now/html")
    assert "now 21 by" in (folder / "answer.ipynb").read_text()


def test_a_build_with_failing_chapters_fails_and_says_where_and_why(tmp_path: Path, project: Path) -> None:
    pages = {"introduction": "# A plain page\n", "answer": HEADER + ANSWER, "broken": HEADER + BROKEN}
    root = make_book(tmp_path / "book", project, pages, answer={"facter": 3}, anser={})
    built = build(root)
    assert built.returncode != 0
    line = (HEADER + BROKEN).splitlines().index("second + third") + 1
    where = f"{root / 'chapters' / 'broken.md'}:{line}: ERROR"
    assert f"{where}: chapter 'broken' failed: NameError: name 'third' is not defined" in built.stderr
    assert "chapter 'answer': there is no parameter 'facter'. Did you mean 'factor'?" in built.stderr
    assert "no chapter with code named 'anser'. Did you mean 'answer'?" in built.stderr

    assert "NameError: name 'third' is not defined" in page_of(root, "broken")  # although its cell was to be removed
    assert not (root / "runs.txt").exists()
    assert not list((root / "_build" / ".jupyter_cache" / "chapters").iterdir())


def test_a_chapter_whose_kernel_dies_fails_and_is_not_remembered(tmp_path: Path, project: Path) -> None:
    root = make_book(tmp_path / "book", project, {"killed": HEADER + KILLED})
    with pytest.raises(ChapterFailed, match="kernel died") as failed:
        executed_notebook(find_chapter(root, "killed"), {}, "key")
    assert nbformat.read(failed.value.notebook, as_version=4).cells[0].source == "# A chapter whose kernel dies"
    assert not list((root / "_build" / ".jupyter_cache" / "chapters").iterdir())


def test_every_cell_knows_its_line(chapter: Chapter) -> None:
    lines = chapter.text.splitlines()
    for cell in chapter.notebook().cells:
        assert lines[cell.metadata[execution.LINE] - 1] == cell.source.splitlines()[0]


def test_the_key_changes_with_everything_that_a_chapter_depends_on(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = chapter.root
    monkeypatch.setattr(execution, "LIBRARY", root / "modularity_lib")

    def key(parameters: dict[str, object] | None = None) -> str:
        return chapter_key(find_chapter(root, "answer"), parameters or {}, surroundings(root), {})

    keys = [key(), key({"factor": 3}), key({"factor": 4}), key({"label": "3"})]
    for file, text in {
        "chapters/answer.md": chapter.text + "\nMore.\n",
        "modularity_lib/numbers.py": "SEVEN = 8\n",
        "modularity_lib/more/numbers.csv": "7\n",
        "data/numbers.csv": "8\n",
        "data/more/numbers.csv": "7\n",
    }.items():
        (root / file).parent.mkdir(exist_ok=True)
        (root / file).write_text(text)
        keys.append(key())
    monkeypatch.setattr(sys, "version", "3.99")
    keys.append(key())
    monkeypatch.setattr(execution.importlib.metadata, "distributions", list)
    keys.append(key())
    assert len(set(keys)) == len(keys)
    assert key() == keys[-1]


def test_the_study_of_the_environment_is_shown_where_a_chapter_shows_one(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_study = Chapter(chapter.root, "shows", chapter.text.replace("factor = 6", 'factor = 6\nstudy: "study" = "v1"'))
    assert chosen_parameters(with_study, {"factor": 3}) == {"factor": 3}
    monkeypatch.setenv("MODULARITY_STUDY", "smoke")
    assert chosen_parameters(with_study, {"factor": 3}) == {"factor": 3, "study": "smoke"}
    assert chosen_parameters(with_study, {"study": "v1"}) == {"study": "v1"}
    assert chosen_parameters(chapter, {}) == {}
    monkeypatch.setenv("MODULARITY_STUDY", "smok")
    with pytest.raises(ValueError, match=r"MODULARITY_STUDY must be one of .*, got 'smok'\. Did you mean 'smoke'\?"):
        chosen_parameters(with_study, {})


def test_an_unknown_chapter_fails_with_the_closest_one(chapter: Chapter) -> None:
    with pytest.raises(ValueError, match=r"named 'answers'. Did you mean 'answer'\? There are: answer\."):
        find_chapter(chapter.root, "answers")

"""A long piece of work shows how far it is: in place in a terminal, in whole lines in a log."""

import io
import re
import time

import pytest

from modularity_lib.book import progress
from modularity_lib.book.progress import Progress

INNER_BAR = "\r  5%|#         | 1/20\r 50%|#####     | 10/20"  # as tqdm writes it


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown_by(stream: io.StringIO, until: str) -> str:
    """What the work shows, once a sign of life holds this text."""
    with Progress("chapters/measures", stream) as shown:
        shown.write(INNER_BAR)
        deadline = time.monotonic() + 10
        while until not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.005)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_LIVE", 0.01)
    monkeypatch.setattr(progress, "_LOGGED", 0.01)


def test_a_terminal_shows_the_last_step_of_the_inner_bar_on_one_line() -> None:
    shown = shown_by(Terminal(), until="10/20")
    assert "running for 0 s  50%|#####     | 10/20" in shown
    assert shown.count("\n") == 1
    assert shown.endswith(" s\n")


def test_a_line_in_a_terminal_is_never_wider_than_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    shown = shown_by(Terminal(), until="50%")
    assert max(len(line.removeprefix("\x1b[J")) for line in shown.split("\r") if "running for" in line) == 39


def test_a_terminal_shows_a_line_for_each_that_runs_and_what_ended_above_them() -> None:
    stream = Terminal()
    with Progress("chapters/measures", stream), Progress("chapters/modules", stream):
        deadline = time.monotonic() + 10
        while "chapters/modules: running" not in stream.getvalue() and time.monotonic() < deadline:
            time.sleep(0.005)
    # Both below each other, then back to the first of them.
    both = r"\x1b\[Jchapters/measures: running for \d s  \nchapters/modules: running for \d s  \x1b\[1A"
    assert re.search(both, stream.getvalue())
    left = r"\x1b\[Jchapters/modules: ended after \d\.\d s\nchapters/measures: running for \d s  \r"
    assert re.search(left, stream.getvalue())


def test_a_log_gets_whole_lines_without_control_characters() -> None:
    shown = shown_by(io.StringIO(), until="10/20")
    assert shown.startswith("chapters/measures: running\n")
    assert "\r" not in shown
    assert "\x1b" not in shown
    assert "chapters/measures: running for 0 s  50%|#####     | 10/20\n" in shown


def test_work_that_is_broken_off_says_so() -> None:
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt), Progress("chapters/measures", stream):
        raise KeyboardInterrupt
    assert "chapters/measures: broken off after" in stream.getvalue()

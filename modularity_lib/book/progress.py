"""Shows how far a long piece of work has got: a live line in a terminal, a line a minute in a log."""

import re
import shutil
import sys
import threading
import time
from types import TracebackType
from typing import Self, TextIO

_LIVE, _LOGGED = 0.5, 60.0  # seconds between two signs of life, in a terminal and in a log


class Progress:
    """Says what is running, for how long, and the last line that it wrote; it can be written to like a file.

    Args:
        name: what is running.
        stream: where to say it. Default: standard error.
    """

    def __init__(self, name: str, stream: TextIO | None = None) -> None:
        self._name = name
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._last_line = ""
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def write(self, text: str) -> int:
        """Take note of the last line, such as the progress bar of an inner loop."""
        lines = [line.strip() for line in re.split(r"[\r\n]", text)]
        self._last_line = next((line for line in reversed(lines) if line), self._last_line)
        return len(text)

    def flush(self) -> None:
        """Do nothing: `write` keeps no text back."""

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        self._ticker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._ticker.join()
        seconds = time.monotonic() - self._started
        self._say(f"{self._name}: {'ended' if kind is None else 'broken off'} after {seconds:.1f} s\n")

    def _tick(self) -> None:
        self._say(f"{self._name}: running" + ("" if self._live else "\n"))
        while not self._ended.wait(_LIVE if self._live else _LOGGED):
            seconds = time.monotonic() - self._started
            line = f"{self._name}: running for {seconds:.0f} s  {self._last_line}"
            self._say(line[: shutil.get_terminal_size().columns - 1] if self._live else f"{line}\n")

    def _say(self, text: str) -> None:
        # \r goes to the start of the line, \x1b[K clears what was longer there.
        self._stream.write(f"\r\x1b[K{text}" if self._live else text)
        self._stream.flush()

"""Shows how far long pieces of work are: a live line for each in a terminal, a line a minute for each in a log."""

import re
import shutil
import sys
import threading
import time
from types import TracebackType
from typing import Self, TextIO

_LIVE, _LOGGED = 0.5, 60.0  # seconds between two signs of life, in a terminal and in a log
_running: list["Progress"] = []
_writing = threading.Lock()


class Progress:
    """Says what is running, for how long, and the last line that it wrote. It can be written to like a file.

    Several may run at once, each in a thread of its own.

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
        """Remember the last line, such as the progress bar of an inner loop."""
        lines = [line.strip() for line in re.split(r"[\r\n]", text)]
        self._last_line = next((line for line in reversed(lines) if line), self._last_line)
        return len(text)

    def flush(self) -> None:
        """Do nothing: `write` holds nothing back."""

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        _running.append(self)
        self._ticker.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._ticker.join()
        _running.remove(self)
        seconds = time.monotonic() - self._started
        self._say(f"{self._name}: {'ended' if kind is None else 'broken off'} after {seconds:.1f} s\n")

    def _tick(self) -> None:
        self._say("" if self._live else f"{self._name}: running\n")
        while not self._ended.wait(_LIVE if self._live else _LOGGED):
            self._say("" if self._live else f"{self._line()}\n")

    def _line(self) -> str:
        return f"{self._name}: running for {time.monotonic() - self._started:.0f} s  {self._last_line}"

    def _say(self, text: str) -> None:
        """Write whole lines. In a terminal, all that runs stands below them until something is said again."""
        with _writing:
            if self._live:
                columns, rows = shutil.get_terminal_size()
                lines = [one._line()[: columns - 1] for one in list(_running) if one._stream is self._stream]
                lines = lines[: rows - 1]
                # \x1b[J clears from here to the end of the screen, \x1b[2A goes two lines up.
                up = f"\x1b[{len(lines) - 1}A" if len(lines) > 1 else ""
                text = "\r\x1b[J" + text + "\n".join(lines) + up
            self._stream.write(text)
            self._stream.flush()

"""Signs of life: what the processes that compute a study are at."""

import json
import math
import os
import socket
import time
from contextlib import suppress
from typing import Any

from modularity_lib.studies.store import Store, is_alive


class Heartbeat:
    """A small file that says what this process is at, for progress bars and `modularity status` in other processes."""

    def __init__(self, store: Store, study: str) -> None:
        folder = store.root / "running" / study
        self._file = folder / f"{socket.gethostname()}~{os.getpid()}.json"
        self.epochs = 0
        self.resumed = 0  # epochs that checkpoints brought along, of all trainings of this process
        self._said = -math.inf

    def __enter__(self) -> "Heartbeat":
        self.say()
        return self

    def trained(self, network_epochs: int) -> None:
        """Take note of network-epochs trained; the first are said at once, such as those of a checkpoint."""
        is_first = self.epochs == 0
        self.epochs += network_epochs
        if is_first:
            self.resumed += network_epochs
        if is_first or time.monotonic() - self._said > 1.0:
            self.say()

    def written(self) -> None:
        """The networks that were trained are in the store, where others can see them."""
        self.epochs = 0
        self.say()

    def say(self) -> None:
        """Write the file."""
        self._said = time.monotonic()
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._file.with_name(f".{self._file.name}")
            temporary.write_text(
                json.dumps({"network_epochs": self.epochs, "resumed": self.resumed, "at": time.time()})
            )
            temporary.replace(self._file)
        except OSError:
            pass  # a sign of life is not worth a failure; the store itself says what is wrong when a result is written

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # as in `say`
            self._file.unlink(missing_ok=True)


def running(store: Store, study: str) -> list[dict[str, Any]]:
    """Signs of life of the processes that work on a study: from the last half minute, and not from a dead process."""
    found = []
    for file in (store.root / "running" / study).glob("[!.]*.json"):
        host, _, process = file.stem.partition("~")
        try:
            sign = json.loads(file.read_text()) | {"process": file.stem}
            is_recent = time.time() - sign["at"] < 30.0
            is_of_the_living = host != socket.gethostname() or is_alive(int(process))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it ended in this moment, or is none of ours
        if is_recent and is_of_the_living:
            found.append(sign)
    return found

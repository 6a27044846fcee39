"""Progress bars for work that may take longer than two seconds."""

from collections.abc import Iterator, Sequence
from typing import Any

from tqdm import tqdm

_SHOWN_AFTER = 2.0  # seconds: what is done by then needs no bar


def progress_bar(total: int, what: str, progress: bool | None = None) -> Any:
    """A bar on standard error with the time left, which appears after two seconds; to be used in `with`, and updated.

    Args:
        total: how many steps there are.
        what: is done, such as "searching".
        progress: whether to show it; None = where standard error is a terminal.
    """
    disable = None if progress is None else not progress
    return tqdm(total=total, desc=what, disable=disable, delay=_SHOWN_AFTER, leave=False)


def progress_over(items: Sequence[Any], what: str) -> Iterator[Any]:
    """The items, one after the other, under such a bar."""
    with progress_bar(len(items), what) as bar:
        for item in items:
            yield item
            bar.update()

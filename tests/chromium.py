"""Chromium for the tests of the pages: without it, or the book, they are skipped, or fail where they must run."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Defines copyOf(canvas): its picture, to be read again and again, which the browser would complain of.
COPY_OF = """() => { window.copyOf = canvas => {
    const context = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", {willReadFrequently: true});
    context.drawImage(canvas, 0, 0);
    return context;
}; }"""
QUIET = ["background-networking", "component-update", "gpu", "quic", "sync"]  # what the browser does by itself


def cannot_run(reason: str) -> NoReturn:
    """Skip, or fail where the pages must be tested."""
    if os.environ.get("MODULARITY_REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def browser_for(page: Path, *, untested: str) -> Iterator[Browser]:
    """A browser, if there is one and the page was built; `untested` begins the reason why not."""
    executable = next((path for path in map(shutil.which, BROWSERS) if path), None)
    if executable is None:
        cannot_run(f"{untested}: none of {', '.join(BROWSERS)} is installed")
    if not page.exists():
        cannot_run(f"{untested}: the book is not built; run: make book")
    options = ["--no-sandbox", "--no-first-run", *(f"--disable-{feature}" for feature in QUIET)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=options)
        yield browser
        browser.close()

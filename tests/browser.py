"""A real Chromium for tests of pages: it opens local files, and what they say, break or ask for is recorded.

Debian: `apt-get install chromium`. Elsewhere any Chromium or Chrome on PATH, or `playwright install chromium`. Without
one such tests are skipped, unless ECGBENCH_REQUIRE_BROWSER=1 says that they must run, as in CI.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Playwright

REQUIRED = "ECGBENCH_REQUIRE_BROWSER"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
HOW_TO_GET_IT = "no browser: `apt-get install chromium`, any Chrome on PATH, or `playwright install chromium`"
QUIET = ["--disable-gpu", "--disable-quic", "--disable-sync"]
"""Beside what playwright sets itself, such as --no-first-run and --disable-background-networking."""

PATIENCE = 60_000
"""Milliseconds after which something is not there: a busy machine takes its time, and no test is about that."""


@dataclass
class Tab:
    """An open page and what it did: `faults` are errors, warnings and failed requests, `requests` all addresses."""

    page: Page
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Record from now on."""
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        self.page.on("requestfailed", lambda request: self.faults.append(f"not loaded: {request.url}"))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(f"{message.type}: {message.text}")


OpenPage = Callable[..., Tab]


# For a module and no longer: while it is there, no other test of the thread can run an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start a browser, or skip the test and say how to get one."""
    try:
        from playwright.sync_api import expect, sync_playwright
    except ImportError:
        _miss("no playwright: `pip install playwright`")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        path = find_browser(playwright)
        if path is None:
            _miss(HOW_TO_GET_IT)
        started = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Return what opens a file in a tab without a network: `open_page(path, width=375, color_scheme="dark")`.

    Further options are those of playwright's `new_context`.
    """
    contexts = []

    def open_file(path: Path, *, width: int = 1280, height: int = 900, **options: Any) -> Tab:
        context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        tab = Tab(context.new_page())
        tab.watch()
        tab.page.goto(path.resolve().as_uri())
        return tab

    yield open_file
    for context in contexts:
        context.close()


def find_browser(playwright: Playwright) -> str | None:
    """Return the path of a Chromium or Chrome; None where there is none."""
    own = playwright.chromium.executable_path
    return next(filter(None, map(shutil.which, (*NAMES, own))), None)


def _miss(reason: str) -> NoReturn:
    if os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set and there is {reason}", pytrace=False)
    pytest.skip(reason)

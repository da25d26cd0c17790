"""A headless Chromium for all browser tests, and pages that record what they ask others for."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

SYSTEM = "/usr/bin/chromium"


@dataclass
class Recorded:
    """A page and what happened on it.

    Attributes
    ----------
    outside
        Requests that went neither to a file nor to an allowed place, which were aborted, and sockets that did.
    dialogs, errors
        What scripts opened, and what failed in them.
    """

    page: Any
    outside: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start the system's Chromium, else Playwright's own; without either, skip (fail in CI).

    Ended with the module: while Playwright runs, its event loop keeps other tests from running one.
    """
    system = SYSTEM if Path(SYSTEM).exists() else shutil.which("chromium")
    with sync_playwright() as started:
        if system is None and not Path(started.chromium.executable_path).exists():
            reason = "no Chromium: apt install chromium, or playwright install chromium"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        running = started.chromium.launch(executable_path=system, args=arguments)
        yield running
        running.close()


@pytest.fixture
def recorded_page(browser: Any) -> Callable[..., AbstractContextManager[Recorded]]:
    """``recorded_page(allowed=(), **context)``: a page in a context of its own; other places are not reached."""

    @contextmanager
    def opened(allowed: tuple[str, ...] = (), **options: Any) -> Iterator[Recorded]:
        context = browser.new_context(**options)
        recorded = Recorded(context.new_page())

        def answer(route: Any) -> None:
            url = route.request.url
            if url.startswith(("file://", "data:", "blob:", *allowed)):
                route.continue_()
            else:
                recorded.outside.append(url)
                route.abort()

        def dismiss(dialog: Any) -> None:
            recorded.dialogs.append(dialog.message)
            dialog.dismiss()

        def listen(socket: Any) -> None:
            if not socket.url.replace("ws", "http", 1).startswith(allowed):
                recorded.outside.append(socket.url)

        context.route("**/*", answer)
        recorded.page.on("websocket", listen)
        recorded.page.on("dialog", dismiss)
        recorded.page.on("pageerror", lambda error: recorded.errors.append(str(error)))
        yield recorded
        context.close()

    return opened

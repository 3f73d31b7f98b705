"""A real Chromium, started once for all tests of a process, and pages in it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

PATIENCE_MS = 60_000
# Without it, five seconds are all that a busy machine gets for a click and what follows from it.
expect.set_options(timeout=PATIENCE_MS)

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
    "--autoplay-policy=no-user-gesture-required",
]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium without a window; whoever opens a page in it is somebody new."""
    program = chromium()
    if program is None:
        assert not os.environ.get("CI"), "Chromium is missing: scripts/setup --test installs it"
        pytest.skip("Chromium is not installed, and without it nothing can look at the page")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield running
        await running.close()


@asynccontextmanager
async def open_page(browser: Browser, address: str) -> AsyncIterator[Page]:
    """Open an address as somebody new; the page's own scripts must not fail while it is open."""
    # Without motion: what breathes and sways costs the processor that also paints.
    context = await browser.new_context(
        viewport={"width": 1280, "height": 900}, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE_MS)
    opened = await context.new_page()
    troubles: list[str] = []
    opened.on("pageerror", lambda error: troubles.append(str(error)))
    try:
        await opened.goto(address)
        yield opened
    finally:
        # Also after a test that failed: its page would go on playing beside all others.
        await context.close()
        await _end_held_requests()
    assert troubles == []


async def _end_held_requests() -> None:
    """End what waits for an answer to a request that a test has held, or left without one.

    Playwright leaves it waiting, and asyncio reports it whenever it is collected: on the stderr of
    whatever test runs then.
    """
    held = [task for task in asyncio.all_tasks() if _name_of(task).endswith("._on_route")]
    for task in held:
        task.cancel()
    await asyncio.gather(*held, return_exceptions=True)


def _name_of(task: asyncio.Task[Any]) -> str:
    return getattr(task.get_coro(), "__qualname__", "")


def chromium() -> str | None:
    # The first has the same engine and no window, and takes less processor time.
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)

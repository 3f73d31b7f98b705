"""A studio with containers of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from browsers import browser, open_page
from playwright.async_api import Browser, Page
from studio_bench import TOKEN, Opened, opened

__all__ = ["browser", "page", "studio"]


@pytest_asyncio.fixture(loop_scope="session")
async def studio(storage_connection):
    async with opened(storage_connection) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def page(studio: Opened, browser: Browser) -> AsyncIterator[Page]:
    async with open_page(browser, f"{studio.url}/?token={TOKEN}") as shown:
        yield shown

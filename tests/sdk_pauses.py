"""The Event Hubs SDK without most of its waiting, and with certificates that are loaded once.

It looks every 50 ms whether a link has opened, and once a second whether a client may close, and
loads the certificates that it trusts for each connection, also for one without TLS, which all adds
up to minutes over these tests. Its code, its deadlines, and all pauses that settings choose stay
as they are.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest
from azure.eventhub._pyamqp.aio._transport_async import AsyncTransportMixin

_SHORTER_S = {0.05: 0.01, 1: 0.1}
_build: Any = AsyncTransportMixin._build_ssl_opts
MODULES = (
    "azure.eventhub._pyamqp.aio._client_async",
    "azure.eventhub.aio._client_base_async",
    "azure.eventhub.aio._eventprocessor.event_processor",
    "azure.eventhub.aio._transport._pyamqp_transport_async",
)


class _ShorterPauses:
    """``asyncio``, but the SDK's fixed pauses are short."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, delay: float, *_: Any) -> None:
        await asyncio.sleep(_SHORTER_S.get(delay, delay))


@functools.cache
def _context(options: tuple[tuple[str, Any], ...]) -> ssl.SSLContext:
    return _build(None, dict(options))


def _build_once(_transport: object, options: Any) -> Any:
    return _context(tuple(sorted(options.items()))) if isinstance(options, dict) else options


@contextmanager
def shorter_sdk_pauses() -> Iterator[None]:
    """Shorten the fixed pauses of this process's SDK clients, and what a connection costs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AsyncTransportMixin, "_build_ssl_opts", _build_once)
        for module in map(import_module, MODULES):
            patch.setattr(module, "asyncio", _ShorterPauses())
        yield

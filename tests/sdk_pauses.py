"""The Event Hubs SDK without most of its waiting.

It looks every 50 ms whether a link has opened, and once a second whether a client may close, which
adds up to minutes over these tests. Its code, its deadlines, and all pauses that settings choose
stay as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest

_FIXED_S = (0.05, 1)
MODULES = (
    "azure.eventhub._pyamqp.aio._client_async",
    "azure.eventhub.aio._client_base_async",
    "azure.eventhub.aio._eventprocessor.event_processor",
    "azure.eventhub.aio._transport._pyamqp_transport_async",
)


class _ShorterPauses:
    """``asyncio``, but the SDK's fixed pauses last a tenth."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, delay: float, *_: Any) -> None:
        await asyncio.sleep(delay / 10 if delay in _FIXED_S else delay)


@contextmanager
def shorter_sdk_pauses() -> Iterator[None]:
    """Shorten the fixed pauses of this process's SDK clients."""
    with pytest.MonkeyPatch.context() as patch:
        for module in map(import_module, MODULES):
            patch.setattr(module, "asyncio", _ShorterPauses())
        yield

"""Events are delivered as they arrive; the SDK would poll for them 20 times a second."""

from __future__ import annotations

import asyncio
import math
import time
from typing import Any

import pytest
from azure.eventhub.aio._transport import _pyamqp_transport_async
from hub_reader import Reader, send

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_events_are_awaited_without_polling(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    class Looked:
        """What the SDK's transport knows as asyncio."""

        def __getattr__(self, name: str) -> Any:
            return getattr(asyncio, name)

        async def sleep(self, delay_s: float) -> None:
            looks.append(delay_s)
            await asyncio.sleep(delay_s)

    monkeypatch.setattr(_pyamqp_transport_async, "asyncio", Looked())
    await send(reader, "0", 0)
    await send(reader, "1", 1)
    async with reader.reading():
        # Given a consumer that reads both partitions
        await reader.until(2)
        looks.clear()
        # When nothing comes for a second, or however long a busy machine makes of it
        begin_s = time.monotonic()
        await asyncio.sleep(1)
        seconds = math.ceil(time.monotonic() - begin_s)
        # Then each partition's connection was looked after once or twice in each
        assert len(looks) <= 2 * 2 * seconds
        # And what comes is taken up
        await send(reader, "0", 2)
        await reader.until(3)

"""Damaged conversations against the broker on its socket: it stays up, small, and correct."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient
from fuzzing import INPUTS, every_input
from unit.eventhubs.conversations import HUB, conversation, spoil

from local.eventhubs import EventHubs

AT_ONCE = 16
DEADLINE_S = 60.0
# Each costs a connection and up to three writes to the disk.
CONVERSATIONS = INPUTS // 5
# Python keeps what it once took; a leak of 1 KB an input would show within the usual 5,000.
GROWTH_BYTES = 64 * 2**20


async def say(port: int, data: bytes) -> None:
    """Say all at once, stop talking, and hear the broker out until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(DEADLINE_S):
            with contextlib.suppress(ConnectionError):
                writer.write(data)
                writer.write_eof()
                await reader.read()
    finally:
        writer.transport.abort()


async def say_all(port: int, inputs: Sequence[bytes]) -> None:
    waiting = iter(inputs)

    async def say_some() -> None:
        for data in waiting:
            await say(port, data)

    await asyncio.gather(*(say_some() for _ in range(AT_ONCE)))


async def send_one(hubs: EventHubs) -> int:
    """Send an event as a user would; return how many its partition has had."""
    async with EventHubProducerClient.from_connection_string(
        hubs.connection_string, eventhub_name=HUB
    ) as producer:
        await producer.send_batch([EventData(b"well-behaved")], partition_id="0")
        end = await producer.get_partition_properties("0")
    return int(end["last_enqueued_sequence_number"])


@pytest.mark.timeout(1800)
async def test_spoilt_conversations_leave_the_broker_up_small_and_right(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = conversation()
    inputs = every_input(lambda chance: spoil(frames, chance), 8, CONVERSATIONS)
    process = psutil.Process()
    async with EventHubs(tmp_path, {HUB: 1}) as hubs:
        with caplog.at_level(logging.ERROR):
            await say_all(hubs.port, inputs[:200])
            before = process.memory_info().rss
            await say_all(hubs.port, inputs)
        assert process.memory_info().rss - before < GROWTH_BYTES
        # A defect inside the broker is caught and logged: none was.
        assert [record.getMessage() for record in caplog.records] == []
        first = await send_one(hubs)
        assert await send_one(hubs) == first + 1


async def test_half_a_conversation_is_cut_off_anywhere_without_harm(tmp_path: Path) -> None:
    whole = b"".join(conversation())
    chance = random.Random(9)
    cuts = [whole[: chance.randrange(1, len(whole))] for _ in range(100)]
    async with EventHubs(tmp_path, {HUB: 1}) as hubs:
        await say_all(hubs.port, cuts)
        assert await send_one(hubs) >= 0

"""What clients of a broker see that may open no more files for a while."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from local.eventhubs import EventHubs
from local.eventhubs.amqp.encoder import encode
from local.eventhubs.amqp.performatives import Flow, Transfer
from local.eventhubs.amqp.values import Described, ULong

pytestmark = pytest.mark.asyncio(loop_scope="session")
READER = "frames/ConsumerGroups/$Default/Partitions/0"
ACCEPTED, REJECTED = 0x24, 0x25


def data(body: bytes) -> bytes:
    return encode(Described(ULong(0x75), body))


async def enter(server: EventHubs, connect: Any) -> Any:
    """Return a client that may use the hub and has a sender to its partition, handle 1."""
    wire = await connect(server.port)
    await wire.open()
    await wire.begin()
    await wire.authorize("frames")
    wire.attach("sender", 1, "frames/Partitions/0", receive=False)
    await wire.until(0x13)
    return wire


async def send(wire: Any, body: bytes, number: int = 1) -> int:
    """Send an event; return how the broker settles it."""
    wire.send(Transfer(1, number, b"%d" % number, 0), data(body))
    outcome: int = (await wire.until(0x15)).fields[4].descriptor
    return outcome


async def read(wire: Any, handle: int, bodies: list[bytes]) -> None:
    """Read from the start, and expect ``bodies``."""
    wire.attach(f"reader{handle}", handle, READER, receive=True)
    wire.send(Flow(1, 5000, 10, 5000, handle, 0, 100))
    for body in bodies:
        assert data(body) in (await wire.until(0x14)).payload


@pytest_asyncio.fixture(loop_scope="session")
async def reopened(tmp_path: Path, connect: Any) -> AsyncIterator[EventHubs]:
    """A broker that holds an event and has no file of it open yet."""
    async with EventHubs(tmp_path, hubs={"frames": 1}) as server:
        assert await send(await enter(server, connect), b"first") == ACCEPTED
    async with EventHubs(tmp_path, hubs={"frames": 1}) as server:
        yield server


def use_up_files(patch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refuse(path: Any, *more: Any) -> int:
        if str(path).endswith(".log"):
            raise OSError(errno.EMFILE, "too many open files")
        return real(path, *more)

    patch.setattr(os, "open", refuse)


async def test_an_event_that_cannot_be_stored_is_rejected_and_no_other(
    reopened: EventHubs, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = await enter(reopened, connect)
    with monkeypatch.context() as patch:
        use_up_files(patch)
        assert await send(wire, b"lost") == REJECTED
    assert await send(wire, b"second", number=2) == ACCEPTED
    await read(wire, 2, [b"first", b"second"])


async def test_a_reader_whose_place_cannot_be_looked_up_is_refused_and_its_connection_stays(
    reopened: EventHubs, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = await enter(reopened, connect)
    with monkeypatch.context() as patch:
        use_up_files(patch)
        selector = "amqp.annotation.x-opt-offset >= '0'"
        wire.attach("reader", 2, READER, receive=True, selector=selector)
        refused = await wire.until(0x16)
        assert refused.fields[2].value[0] == "amqp:internal-error"
    await read(wire, 3, [b"first"])

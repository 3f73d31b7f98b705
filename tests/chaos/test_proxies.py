"""The proxies pass everything on unchanged, unless a fault is set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from chaos.history import BlobCall
from chaos.hub_relay import HubRelay
from chaos.relay import Relay
from chaos.storage_proxy import REFUSALS, StorageProxy

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[int]:
    """Run a server; yield its port."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)


class Client:
    """One connection that says a word and hears it back."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, word: bytes) -> bytes:
        self.writer.write(word)
        async with asyncio.timeout(60):
            return await self.reader.readexactly(len(word))


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    async with serving(echo) as port, Relay(lambda: port) as relay:
        yield relay


@pytest.fixture
async def connect_to() -> AsyncIterator[Callable[[int], Awaitable[Client]]]:
    clients: list[Client] = []

    async def one(port: int) -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", port)))
        return clients[-1]

    yield one
    for client in clients:
        client.writer.transport.abort()


@pytest.fixture
def connect(relay, connect_to) -> Callable[[], Awaitable[Client]]:
    return lambda: connect_to(relay.port)


async def test_bytes_pass_both_ways(connect) -> None:
    client = await connect()
    assert await client.say(b"x" * 300_000) == b"x" * 300_000


async def test_a_cut_is_felt_at_once_and_a_new_connection_is_fine(relay, connect) -> None:
    client = await connect()
    await client.say(b"hello")
    relay.cut()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await client.say(b"hello")
    assert await (await connect()).say(b"again") == b"again"


async def test_held_bytes_arrive_later_and_in_order(relay, connect) -> None:
    client = await connect()
    await client.say(b"hello")
    relay.hold()
    client.writer.write(b"one")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.reader.read(1)
    relay.release()
    assert await client.say(b"two") == b"one"
    assert await client.reader.readexactly(3) == b"two"


async def test_silence_lasts_forever_but_only_for_existing_connections(relay, connect) -> None:
    client = await connect()
    await client.say(b"hello")
    relay.silence()
    relay.release()
    client.writer.write(b"anybody?")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.reader.read(1)
    assert await (await connect()).say(b"hello") == b"hello"


async def test_without_a_target_a_client_is_turned_away() -> None:
    async with Relay(lambda: None) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        async with asyncio.timeout(60):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        writer.transport.abort()


async def test_one_hub_can_be_away_while_others_answer(connect_to) -> None:
    async with serving(echo) as port, HubRelay(lambda: port) as relay:
        frames, segments = await connect_to(relay.port), await connect_to(relay.port)
        await frames.say(b"sb://localhost/frames/ConsumerGroups")
        await segments.say(b"sb%3a%2f%2flocalhost%2fsegments")
        relay.turn_away("frames")
        for client in (frames, await connect_to(relay.port)):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await client.say(b"sb://localhost/frames")
        assert await segments.say(b"hello") == b"hello"
        relay.turn_away(None)
        assert await (await connect_to(relay.port)).say(b"/frames") == b"/frames"


async def storage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request as storage would a successful write or a list in chunks."""
    head = await reader.readuntil(b"\r\n\r\n")
    if head.startswith(b"PUT"):
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
    else:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nlist\r\n0\r\n\r\n")
    await writer.drain()


PUT = (
    b"PUT /account/segments/job/00000001.mp4 HTTP/1.1\r\nIf-None-Match: *\r\n"
    b"x-ms-meta-Sha256: abc\r\nContent-Length: 5\r\n\r\nhello"
)
GET = b"GET /account/frames?restype=container&comp=list HTTP/1.1\r\n\r\n"


async def ask(port: int, *requests: bytes) -> bytes:
    """Send requests on one connection and read until it ends or nothing more comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    for request in requests:
        writer.write(request)
    writer.write_eof()
    async with asyncio.timeout(60):
        try:
            while piece := await reader.read(1000):
                answer += piece
        except ConnectionError:
            pass
    writer.transport.abort()
    return answer


@pytest.fixture
def calls() -> list[BlobCall]:
    return []


@pytest.fixture
async def proxy(calls: list[BlobCall]) -> AsyncIterator[StorageProxy]:
    async with serving(storage) as port, StorageProxy(lambda: port, calls.append) as proxy:
        yield proxy


async def test_requests_on_one_connection_are_passed_on_and_noted(proxy, calls) -> None:
    answer = await ask(proxy.port, PUT, GET)
    assert answer.count(b"HTTP/1.1 20") == 2
    assert answer.endswith(b"0\r\n\r\n")
    written, listed = calls
    assert (written.operation, written.container, written.name) == (
        "write",
        "segments",
        "job/00000001.mp4",
    )
    assert written.succeeded
    assert written.unless_exists
    assert dict(written.metadata) == {"sha256": "abc"}
    assert (listed.operation, listed.container) == ("list", "frames")


@pytest.mark.parametrize(("status", "code"), REFUSALS.items())
async def test_a_refused_request_does_not_reach_storage(proxy, calls, status, code) -> None:
    proxy.refusing = status
    answer = await ask(proxy.port, PUT.replace(b"If-None-Match", b"If-Match"))
    assert f" {status} ".encode() in answer
    assert f"x-ms-error-code: {code}".encode() in answer
    assert calls == []


async def test_a_request_without_a_condition_never_fails_with_a_wrong_version(proxy, calls) -> None:
    proxy.refusing = "412"
    assert b" 201 " in await ask(proxy.port, PUT)
    assert [call.status for call in calls] == [201]


async def test_a_write_whose_answer_is_lost_was_done(proxy, calls) -> None:
    proxy.losing_answers = True
    assert await ask(proxy.port, PUT) == b""
    assert [call.status for call in calls] == [201]


async def test_bytes_sent_into_a_silent_connection_are_lost_with_it(
    proxy, calls, connect_to
) -> None:
    client = await connect_to(proxy.port)
    client.writer.write(PUT)
    assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 201")
    proxy.silence()
    client.writer.write(PUT)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.reader.read(1)
    proxy.cut()
    assert b" 201 " in await ask(proxy.port, PUT)
    assert len(calls) == 2

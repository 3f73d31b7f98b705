"""Callers of the webhook that hold connections open, or come by the thousand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from structlog.testing import capture_logs
from webhook_door import SECRET, Door, Hub, open_door, through

from splitter.intake import webhook
from splitter.intake.connections import Connections
from splitter.intake.forwarding import Intake
from splitter.metrics import SplitterMetrics

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_connections_without_a_request_are_closed(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "_HEAD_DEADLINE_S", 0.2)
    async with open_door(hub, Intake(through(hub.producer))) as door:
        port = urlsplit(door.address).port
        mute = await asyncio.open_connection("127.0.0.1", port)
        half = await asyncio.open_connection("127.0.0.1", port)
        half[1].write(b"POST /events HTTP/1.1\r\nHost: localhost\r\n")
        await half[1].drain()
        async with asyncio.timeout(60):
            assert [await reader.read() for reader, _ in (mute, half)] == [b"", b""]
        for _, writer in (mute, half):
            writer.close()
        assert (await door.post(door.cloud_event("a.mp4")))[0] == 200


async def test_connections_are_closed_even_after_a_failed_check(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "_HEAD_DEADLINE_S", 0.2)
    sweep, failures = Connections.sweep, iter(["one"])

    def fail_first(self: Connections, there: Iterable[RequestHandler], now_s: float) -> None:
        for failure in failures:
            raise RuntimeError(failure)
        sweep(self, there, now_s)

    monkeypatch.setattr(Connections, "sweep", fail_first)
    async with open_door(hub, Intake(through(hub.producer))) as door:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(door.address).port)
        async with asyncio.timeout(60):
            assert await reader.read() == b""
        writer.close()


async def test_a_connection_on_which_requests_come_stays_open() -> None:
    connections = Connections(deadline_s=30)
    app = web.Application(middlewares=[connections.note])
    used = list[object]()

    async def answer(request: web.Request) -> web.Response:
        used.append(request.protocol)
        return web.Response()

    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        async with aiohttp.ClientSession() as session:
            # When a request comes between any two checks, but none is handled during one
            for now_s in (0, 20, 40, 60):
                async with session.get(address) as response:
                    assert response.status == 200
                assert runner.server is not None
                connections.sweep(runner.server.connections, now_s)
        assert len(used) == 4
        assert len(set(used)) == 1
    finally:
        await runner.cleanup()


async def test_many_refusals_are_one_line_and_all_of_them_are_counted(door: Door) -> None:
    with capture_logs() as lines:
        for _ in range(20):
            assert (await door.post(door.cloud_event("a.mp4"), secret="another"))[0] == 401
    assert [line["event"] for line in lines].count("webhook caller refused") == 1
    assert door.counted() == {"unauthorised": 20}


async def test_a_caller_that_leaves_while_it_sends_is_no_fault_of_the_splitter(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: asyncio.Queue[str] = asyncio.Queue()
    monkeypatch.setattr(SplitterMetrics, "delivery", lambda _, outcome: counted.put_nowait(outcome))
    headers = [
        "POST /events HTTP/1.1",
        "Host: localhost",
        f"X-Webhook-Key: {SECRET}",
        "Content-Length: 100",
        # It is answered as soon as the webhook begins to read.
        "Expect: 100-continue",
    ]
    with capture_logs() as lines:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(door.address).port)
        writer.write("\r\n".join([*headers, "", "[{"]).encode())
        assert (await reader.readline()).split()[1] == b"100"
        writer.close()
        await writer.wait_closed()
        assert await counted.get() == "put_off"
    assert [line["log_level"] for line in lines] == ["warning"]

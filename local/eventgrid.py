"""Stands in for an Event Grid topic on one machine: takes announcements and writes them to a file.

It answers like a topic with the schema CloudEvents 1.0, so that the SDK's own publisher can send to
it. Each event becomes a line of JSON in a file that other programs can follow.

Source: "Post to custom topic for Azure Event Grid"; CloudEvents 1.0, JSON format, batches.
"""

from __future__ import annotations

import errno
import hmac
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from aiohttp import web
from azure.core.messaging import CloudEvent

from local.workspace import TOPIC_PATH, topic_endpoint
from shared.contracts.errors import StylestreamError

KEY_HEADER: Final = "aeg-sas-key"

_MAX_BODY: Final = 1 << 20
_CONTENT_TYPES: Final = {"application/cloudevents-batch+json", "application/cloudevents+json"}

Receiver = Callable[[dict[str, Any]], None]
"""Takes one event; if it raises, the sender tries again."""


class LocalTopic:
    """Serves a topic on loopback while its context is open.

    Raises:
        StylestreamError: on entering, if it cannot listen on the port.
    """

    def __init__(self, port: int, key: str, receive: Receiver) -> None:
        self._port = port
        self._key = key.encode()
        self._receive = receive
        app = web.Application(client_max_size=_MAX_BODY)
        app.add_routes([web.post(TOPIC_PATH, self._publish)])
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise StylestreamError(
                f"the topic cannot listen on port {self._port}: {error.strerror}"
            ) from error
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._runner.cleanup()

    @property
    def endpoint(self) -> str:
        """The address to publish to."""
        return topic_endpoint(self._runner.addresses[0][1])

    async def _publish(self, request: web.Request) -> web.Response:
        given = request.headers.get(KEY_HEADER, "").encode(errors="surrogateescape")
        if not hmac.compare_digest(given, self._key):
            return web.Response(status=401, text="the key is not this topic's\n")
        if request.content_type not in _CONTENT_TYPES:
            return web.Response(status=415, text="this topic takes CloudEvents\n")
        try:
            content = await request.json()
            events = content if isinstance(content, list) else [content]
            for event in events:
                CloudEvent.from_dict(event)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return web.Response(status=400, text=f"not CloudEvents: {error}\n")
        for event in events:
            self._receive(event)
        return web.Response()


def written_to(path: Path) -> Receiver:
    """Return a receiver that appends each event to a file as a line.

    On a full disk it appends nothing, and raises ``OSError``.
    """

    def write(event: dict[str, Any]) -> None:
        line = json.dumps(event, ensure_ascii=False).encode() + b"\n"
        with path.open("ab", buffering=0) as file:
            end = file.tell()
            if file.write(line) < len(line):
                file.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    return write

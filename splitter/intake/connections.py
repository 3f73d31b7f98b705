"""Bounds what callers of the webhook cost: connections that send nothing, and refusals by the mass.

The HTTP library waits for a request's head for as long as its sender likes, and each connection
that is held open costs memory and a file descriptor. And a line in the log for each caller who is
turned away would let anybody use up a day's quota of logs, with which all other lines end, too.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

log = structlog.get_logger()

COMPLAINT_INTERVAL_S: Final = 60.0


class Connections:
    """Closes connections on which no request has come for ``deadline_s``."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._busy: set[object] = set()
        self._silent_since: dict[RequestHandler, float] = {}

    @web.middleware
    async def note(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Middleware: a connection with a request in hand is not silent."""
        connection = request.protocol
        self._busy.add(connection)
        try:
            return await handler(request)
        finally:
            self._busy.discard(connection)

    def sweep(self, connections: Iterable[RequestHandler], now_s: float) -> None:
        """Look at all that are open; to be called again and again, with a steady clock's time."""
        silent = {one for one in connections if one not in self._busy}
        since = {one: self._silent_since.get(one, now_s) for one in silent}
        late = {one for one in silent if now_s - since[one] >= self._deadline_s}
        for connection in late:
            connection.force_close()
        self._silent_since = {one: since[one] for one in silent - late}


class Complaints:
    """Writes a warning of each kind once in `COMPLAINT_INTERVAL_S`, and how many it left out."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warn(self, event: str, **details: object) -> None:
        """Write a warning, or count it."""
        now = time.monotonic()
        if now < self._next.get(event, 0.0):
            self._left_out[event] = self._left_out.get(event, 0) + 1
            return
        self._next[event] = now + COMPLAINT_INTERVAL_S
        log.warning(event, **details, left_out=self._left_out.pop(event, 0))

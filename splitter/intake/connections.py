"""Bound what callers of the webhook cost: idle connections and floods of refused requests.

The HTTP library waits for a request's head without a deadline, and each open connection costs
memory and a file descriptor. And if each refusal were logged, anybody could use up a day's log
quota and so silence all other lines.
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
        """Middleware that marks a connection as busy while its request is handled."""
        connection = request.protocol
        self._busy.add(connection)
        try:
            return await handler(request)
        finally:
            self._busy.discard(connection)
            # Short ones come and go between two checks.
            self._silent_since.pop(connection, None)

    def sweep(self, connections: Iterable[RequestHandler], now_s: float) -> None:
        """Check all open connections; to be called periodically, with a monotonic time."""
        silent = {one for one in connections if one not in self._busy}
        since = {one: self._silent_since.get(one, now_s) for one in silent}
        late = {one for one in silent if now_s - since[one] >= self._deadline_s}
        for connection in late:
            connection.force_close()
        self._silent_since = {one: since[one] for one in silent - late}


class Complaints:
    """Logs each kind of warning once per `COMPLAINT_INTERVAL_S`, with a count of those left out."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warn(self, event: str, **details: object) -> None:
        """Log a warning, or count it."""
        now = time.monotonic()
        if now < self._next.get(event, 0.0):
            self._left_out[event] = self._left_out.get(event, 0) + 1
            return
        self._next[event] = now + COMPLAINT_INTERVAL_S
        log.warning(event, **details, left_out=self._left_out.pop(event, 0))

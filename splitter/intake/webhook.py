"""The alternative intake: Event Grid delivers over HTTP instead of into the hub.

Events are not processed here. An accepted event is forwarded to the hub of uploads and processed
from there like any other. It is acknowledged only once the hub has stored it: a splitter that dies
before that loses nothing, because Event Grid delivers again.

======  ==================================================================================
answer  when, and what Event Grid does then
======  ==================================================================================
200     every event is in the hub, or is not about an upload: nothing
400     something in the body is not an event (the others are in the hub): gives up
401     the caller may not deliver events: gives up
408     the body did not come in time: retries
413     the body is larger than an event can be: gives up
503     the hub or Entra is unavailable: retries after the time in ``Retry-After``
======  ==================================================================================

It has a port of its own, so that it can be exposed to the internet without the metrics.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any, Final, Self

import structlog
from aiohttp import web

from shared.contracts.errors import MessageError, PermanentError, TransientError
from shared.service.http_server import listening
from shared.service.settings import listed
from shared.tasks.rounds import in_rounds
from splitter.intake.acceptance import Acceptance
from splitter.intake.callers import CallerRefused, Callers
from splitter.intake.connections import Complaints, Connections
from splitter.intake.forwarding import Intake
from splitter.intake.uploads import parse_upload, split_events
from splitter.intake.validation import permission, validation_code
from splitter.metrics import DeliveryOutcome, SplitterMetrics
from splitter.settings import SplitterSettings

log = structlog.get_logger()

PATH: Final = "/events"
_MAX_BODY: Final = 1 << 20  # Event Grid's own limit for a delivery
_HEAD_DEADLINE_S: Final = 30.0
_BODY_DEADLINE_S: Final = 15.0
_RETRY_AFTER_S: Final = 10
_CLOSING_S: Final = 10.0
_OUTCOMES: Final[dict[int, DeliveryOutcome]] = {
    HTTPStatus.OK: "delivered",
    HTTPStatus.BAD_REQUEST: "refused",
    HTTPStatus.UNAUTHORIZED: "unauthorised",
    HTTPStatus.REQUEST_TIMEOUT: "put_off",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "refused",
    HTTPStatus.SERVICE_UNAVAILABLE: "put_off",
}


class Webhook:
    """Serves ``POST /events`` and ``OPTIONS /events`` while its context is open.

    Raises:
        ConfigurationError: on entering, if the port cannot be listened on.
    """

    def __init__(
        self,
        settings: SplitterSettings,
        acceptance: Acceptance,
        intake: Intake,
        metrics: SplitterMetrics,
    ) -> None:
        assert settings.webhook_port is not None
        self._host, self._port = settings.webhook_host, settings.webhook_port
        self._origins = listed(settings.webhook_origins.lower())
        self._callers = Callers(settings)
        self._acceptance = acceptance
        self._intake = intake
        self._metrics = metrics
        self._complaints = Complaints()
        self._connections = Connections(_HEAD_DEADLINE_S)
        self._closing = AsyncExitStack()
        app = web.Application(client_max_size=_MAX_BODY, middlewares=[self._connections.note])
        app.add_routes([web.post(PATH, self._deliver), web.options(PATH, self._handshake)])
        # No access log: the requested URL may contain the secret.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSING_S)

    async def __aenter__(self) -> Self:
        await self._closing.enter_async_context(
            listening(self._runner, self._host, self._port, "WEBHOOK_PORT")
        )
        sweeping = asyncio.create_task(
            in_rounds(
                "connections", _HEAD_DEADLINE_S / 5, self._sweep, self._metrics.background_failed
            )
        )
        self._closing.callback(sweeping.cancel)
        log.info("webhook open", port=self.port)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._closing.aclose()

    async def _sweep(self) -> None:
        if self._runner.server is not None:
            self._connections.sweep(self._runner.server.connections, time.monotonic())

    @property
    def port(self) -> int:
        """The port that is listened on, also if port 0 (any) was configured."""
        return int(self._runner.addresses[0][1])

    async def _handshake(self, request: web.Request) -> web.Response:
        headers = permission(request.headers, self._origins)
        if headers is None:
            origin = request.headers.get("WebHook-Request-Origin")
            self._complaints.warn("webhook origin refused", origin=origin)
            return web.Response(status=403, text="this origin is not allowed\n")
        return web.Response(headers=headers)

    async def _deliver(self, request: web.Request) -> web.Response:
        try:
            await self._callers.admit(request.headers, request.query)
            answer = await self._answer(await _body(request))
        except Exception as error:  # whatever it is, Event Grid must get a meaningful answer
            answer = _refusal(error, self._complaints)
        self._metrics.delivery(_OUTCOMES[answer.status])
        return answer

    async def _answer(self, body: bytes) -> web.Response:
        events = split_events(body)
        if code := validation_code(events):
            log.info("webhook subscription validated")
            return web.json_response({"validationResponse": code})
        await self._take(events)
        return web.Response()

    async def _take(self, events: list[Any]) -> None:
        """Forward accepted events; a malformed one must not keep the others out of the hub."""
        accepted, problem = [], None
        for event in events:
            try:
                if self._accepts(event):
                    accepted.append(json.dumps(event).encode())
            except MessageError as error:
                problem = error
        if accepted:
            await self._intake.put(accepted)
            log.info("webhook delivery accepted", events=len(accepted))
        if problem:
            raise problem

    def _accepts(self, event: Any) -> bool:
        upload = parse_upload(event)
        if upload is None:
            log.info("event ignored", reason="it does not announce a finished upload")
            return False
        if reason := self._acceptance.refusal(upload):
            log.info("upload ignored", video=upload.name, container=upload.container, reason=reason)
            return False
        return True


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(_BODY_DEADLINE_S):
            return await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout(text="the body did not arrive in time\n") from error
    except ConnectionError as error:
        raise TransientError("the connection was lost before the whole body was there") from error
    except web.RequestPayloadError as error:
        raise MessageError("the body cannot be read") from error


def _refusal(error: Exception, complaints: Complaints) -> web.Response:
    match error:
        case web.HTTPException(status=status, text=text):
            return web.Response(status=status, text=text)
        case CallerRefused():
            complaints.warn("webhook caller refused", reason=str(error))
            challenge = {"WWW-Authenticate": "Bearer"}
            return web.Response(status=401, text="not authorized\n", headers=challenge)
        case PermanentError(code=code, message=message):
            complaints.warn("webhook delivery refused", code=code, error=message)
            return web.Response(status=413 if code == "TOO_LARGE" else 400, text=f"{message}\n")
        case TransientError():
            log.warning("webhook delivery deferred", error=str(error))
        case _:
            log.error("webhook delivery deferred", exc_info=error)
    again = {"Retry-After": str(_RETRY_AFTER_S)}
    return web.Response(status=503, text="try again later\n", headers=again)

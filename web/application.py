"""The HTTP application: the page, its files and the API, behind one guard."""

from __future__ import annotations

import functools
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from shared.contracts.errors import PermanentError, TransientError
from web.access.guard import Guard
from web.api import jobs, live, uploads
from web.api.openapi import description
from web.previews import LARGEST_BYTES
from web.problems import STORAGE_AWAY, Problem, bad_request
from web.studio import Studio
from web.uploads import BLOCK_BYTES

log = structlog.get_logger()

ENDPOINTS: Final = (*uploads.ENDPOINTS, *jobs.ENDPOINTS, *live.ENDPOINTS)

_STATIC: Final = Path(__file__).parent / "static"
_CSP: Final = (
    "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer", with which browsers would hide a form's origin even from the studio.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_BEGUN: Final = web.RequestKey("begun", web.StreamResponse)
_HSTS: Final = {"Strict-Transport-Security": "max-age=31536000"}


def application(studio: Studio) -> web.Application:
    """Return the application that answers the studio's requests."""
    app = web.Application(
        client_max_size=max(BLOCK_BYTES, LARGEST_BYTES) + 1,
        middlewares=[_answering(studio), _guarding(studio.guard)],
    )
    for endpoint in ENDPOINTS:
        for method in endpoint.methods:
            app.router.add_route(method, endpoint.path, functools.partial(endpoint.handler, studio))
    described = description(ENDPOINTS)

    async def describe(_request: web.Request) -> web.Response:
        return web.json_response(described)

    app.add_routes(
        [
            web.get("/", _page("index.html")),
            web.get("/api", _page("api.html")),
            web.get("/api/openapi.json", describe),
            web.static("/static", _STATIC),
            *studio.guard.routes(),
        ]
    )
    headers = {
        "Content-Security-Policy": _policy(studio),
        **_HEADERS,
        **(_HSTS if studio.settings.encrypted else {}),
    }

    async def harden(request: web.Request, answer: web.StreamResponse) -> None:
        request[_BEGUN] = answer
        for name, value in headers.items():
            answer.headers.setdefault(name, value)
        # Files of the page have an ETag, so that new versions show at once. The rest is not cached.
        answer.headers.setdefault(
            "Cache-Control",
            "no-cache" if isinstance(answer, web.FileResponse) else "no-store",
        )

    app.on_response_prepare.append(harden)
    return app


def _policy(studio: Studio) -> str:
    """Return the page's content security policy: requests to the studio, and uploads to storage."""
    if not studio.settings.web_direct_uploads:
        return _CSP
    storage = urlsplit(studio.storage_url)
    return f"{_CSP}; connect-src 'self' {storage.scheme}://{storage.netloc}"


def _page(name: str) -> Handler:
    async def page(_request: web.Request) -> web.StreamResponse:
        return web.FileResponse(_STATIC / name)

    return page


def _guarding(guard: Guard) -> Middleware:
    @web.middleware
    async def guarding(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await guard.check(request, handler)

    return guarding


def _answering(studio: Studio) -> Middleware:
    @web.middleware
    async def answering(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            answer = await handler(request)
        except Exception as error:  # whatever it is, the client gets a sentence
            begun = request.get(_BEGUN)
            if begun is None:
                answer = _problem(error, request).response()
            else:
                answer = _broken_off(begun, request, error)
        studio.metrics.answered(answer.status)
        return answer

    return answering


def _broken_off(
    answer: web.StreamResponse, request: web.Request, error: Exception
) -> web.StreamResponse:
    """Cut off an answer that has begun, so that a part of it cannot pass for the whole."""
    if not isinstance(error, ConnectionError):  # then the client has disconnected
        log.warning("answer broken off", path=request.path, error=str(error))
    if request.transport is not None:
        request.transport.close()
    return answer


def _problem(error: Exception, request: web.Request) -> Problem:
    match error:
        case Problem():
            return error
        case web.HTTPException(status=status, reason=reason, headers=headers):
            allowed = {name: headers[name] for name in ("Allow",) if name in headers}
            return Problem(
                HTTPStatus(status), f"{reason}: {request.method} {request.path}", allowed
            )
        case ConnectionError() | web.RequestPayloadError():  # the client's fault, or nobody's
            reason = " ".join(str(error).split())
            return bad_request(f"the request did not arrive whole: {reason}")
        case TransientError():
            log.warning("request deferred", path=request.path, error=str(error))
            return Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                STORAGE_AWAY,
                {"Retry-After": "2"},
            )
        case PermanentError(message=message):
            return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, message)
        case _:
            log.error("request failed", path=request.path, exc_info=error)
            return Problem(
                HTTPStatus.INTERNAL_SERVER_ERROR, "the studio failed on this request: see its log"
            )

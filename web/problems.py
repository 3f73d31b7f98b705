"""Errors for programs and people: problem details (RFC 9457) with one clear sentence."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from aiohttp import web

CONTENT_TYPE: Final = "application/problem+json"

STORAGE_AWAY: Final = "storage does not answer at the moment: try again"


class Problem(Exception):
    """Raised to answer a request with a problem."""

    def __init__(
        self, status: HTTPStatus, detail: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}

    def response(self) -> web.Response:
        """Return the answer."""
        body = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
        }
        return web.Response(
            text=json.dumps(body),
            status=self.status,
            headers=self.headers,
            content_type=CONTENT_TYPE,
        )


def bad_request(detail: str) -> Problem:
    """Return the problem of an invalid request."""
    return Problem(HTTPStatus.BAD_REQUEST, detail)


def not_found(detail: str) -> Problem:
    """Return the problem of a request for something that does not exist, or not for this user."""
    return Problem(HTTPStatus.NOT_FOUND, detail)

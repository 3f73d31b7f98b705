"""One endpoint of the API: its address, its input and output, and its handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from web.problems import bad_request
from web.studio import Studio

M = TypeVar("M", bound=BaseModel)

BYTES: Final = "application/octet-stream"
EVENTS: Final = "text/event-stream"

Handler = Callable[[Studio, web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint of the API.

    ``body`` and ``answer`` are models of JSON, or media types of other content. ``refusals`` are
    the statuses of its problems, besides those that every endpoint has.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    query: type[BaseModel] | None = None
    body: type[BaseModel] | str | None = None
    answer: type[BaseModel] | str | None = None
    status: HTTPStatus = HTTPStatus.OK
    refusals: tuple[HTTPStatus, ...] = ()

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that it answers: besides GET also HEAD, except for endless streams."""
        whole = self.method == "GET" and self.answer != EVENTS
        return (self.method, "HEAD") if whole else (self.method,)


def query_of(model: type[M], request: web.Request) -> M:
    """Return the query of a request.

    Raises:
        Problem: it says nothing sensible.
    """
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        raise bad_request(_sentence(model, error)) from error


async def body_of(model: type[M], request: web.Request) -> M:
    """Return the JSON body of a request.

    Raises:
        Problem: it is not such JSON.
    """
    if request.content_type != "application/json":
        raise bad_request("the body must be JSON, and say so in its Content-Type")
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        raise bad_request(_sentence(model, error)) from error


def answer_of(value: BaseModel, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    """Return a value as JSON."""
    return web.Response(
        text=value.model_dump_json(), status=status, content_type="application/json"
    )


def _sentence(model: type[BaseModel], error: ValidationError) -> str:
    known = ", ".join(model.model_fields)
    return "; ".join(
        f"there is no {where!r}; there are: {known}"
        if problem["type"] == "extra_forbidden"
        else f"{where or 'the body'}: {problem['msg'].lower()}"
        for problem in error.errors()
        for where in [".".join(map(str, problem["loc"]))]
    )

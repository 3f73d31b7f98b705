"""Endpoints of jobs: lists, changes, cancellation, deletion, and results."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from http import HTTPStatus
from itertools import islice
from typing import Final, Literal

from aiohttp import web
from pydantic import Field

from client.deletion import is_result_of
from shared.contracts.errors import LockedError, StylestreamError, TransientError
from shared.contracts.status import State
from web.access.guard import USER
from web.access.users import User
from web.api.blobs import send_blob
from web.api.endpoint import EVENTS, Endpoint, answer_of, query_of
from web.jobs.board import Board, Entry
from web.models import Asked, Job, Jobs
from web.problems import STORAGE_AWAY, Problem, not_found
from web.studio import Studio

_SIGN_OF_LIFE_S: Final = 15.0
"""How often something is sent, so that proxies do not close a quiet connection."""


class ListQuery(Asked):
    """The query of a list of jobs."""

    state: State | None = None
    style: str | None = None
    after: str | None = None
    limit: int = Field(50, ge=1, le=500)


async def entry_of(studio: Studio, request: web.Request) -> Entry:
    """Return the job that a request's path names.

    Raises:
        Problem: there is none that the user may see.
    """
    job = request.match_info["job"]
    entry = await studio.board.find(job, request[USER])
    if entry is None:
        raise not_found(f"there is no job {job}")
    return entry


async def list_jobs(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Answer with a page of jobs."""
    query = query_of(ListQuery, request)
    await studio.board.refresh()
    # A position in the list rather than a job, which may be deleted before the next page.
    wanted = (
        entry
        for entry in studio.board.visible(request[USER])
        if query.state in (None, entry.job.state)
        and query.style in (None, entry.job.style)
        and (query.after is None or entry.place < query.after)
    )
    page = list(islice(wanted, query.limit + 1))
    shown = page[: query.limit]
    after = shown[-1].place if page[query.limit :] else None
    return answer_of(Jobs(jobs=tuple(entry.job for entry in shown), after=after))


async def show_job(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Answer with one job."""
    return answer_of((await entry_of(studio, request)).job)


async def follow_jobs(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Send every visible job, and then every change, until the client leaves."""
    return await _follow(studio, request, None)


async def follow_job(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Send one job, and then every change of it, until it has ended."""
    entry = await entry_of(studio, request)
    return await _follow(studio, request, entry.job.id)


async def _follow(studio: Studio, request: web.Request, only: str | None) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"X-Accel-Buffering": "no"})
    answer.content_type = EVENTS
    await answer.prepare(request)
    studio.metrics.viewers(+1)
    try:
        await _send_changes(studio, request, answer, only)
    finally:
        studio.metrics.viewers(-1)
    return answer


async def _send_changes(
    studio: Studio, request: web.Request, answer: web.StreamResponse, only: str | None
) -> None:
    follower = _Follower(studio.board, request[USER], only)
    clock = asyncio.get_running_loop()
    quiet_since = clock.time()
    while not (studio.closing.is_set() or follower.done or studio.guard.is_over(request)):
        events = await follower.news()
        if not events and clock.time() - quiet_since >= _SIGN_OF_LIFE_S:
            events = [b": \n\n"]
        if events:
            await answer.write(b"".join(events))
            quiet_since = clock.time()
        await studio.board.rest()


class _Follower:
    """One client, and the state of all jobs, or of one, that it has been sent."""

    def __init__(self, board: Board, user: User, only: str | None) -> None:
        self._board = board
        self._user = user
        self._only = only
        self._seen: int | None = None
        self._state: Literal["ready", "away"] | None = None
        self.done = False
        """Whether the one job has ended, or was deleted."""

    async def news(self) -> list[bytes]:
        """Return the events that the client has not been sent.

        While storage is unavailable, that is the only event: an empty list would look like no jobs.
        """
        try:
            await self._board.refresh()
        except TransientError:
            return self._turn("away", {"detail": STORAGE_AWAY})
        jobs, gone = self._board.changed(self._seen or 0, self._user)
        mine = [job for job in jobs if self._only in (None, job.id)]
        # A new client knows no jobs that could be gone, except for the one that it has asked for.
        everything = self._only is None and self._seen is not None
        lost = [job for job in gone if everything or job == self._only]
        self._seen = self._board.revision
        self.done = self._only is not None and (bool(lost) or any(job.ended for job in mine))
        return [
            *(_event("job", job.model_dump_json()) for job in mine),
            *(_event("gone", json.dumps(job)) for job in lost),
            *self._turn("ready", {}),
        ]

    def _turn(self, state: Literal["ready", "away"], data: dict[str, str]) -> list[bytes]:
        """Return the event of the state of storage if the client does not know it."""
        before, self._state = self._state, state
        return [] if before == state else [_event(state, json.dumps(data))]


def _event(kind: str, data: str) -> bytes:
    return f"event: {kind}\ndata: {data}\n\n".encode()


async def cancel_job(studio: Studio, request: web.Request) -> web.StreamResponse:
    """End a job."""
    entry = await entry_of(studio, request)
    await _obey(studio.pipeline.cancel(entry.job.id))
    await studio.board.reread(entry.job.id)
    return answer_of((await entry_of(studio, request)).job)


async def delete_job(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Delete an ended job with its upload and its result."""
    entry = await entry_of(studio, request)
    await _obey(studio.pipeline.delete(entry.job.id))
    studio.board.forget(entry.job.id)
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def _obey(order: Awaitable[object]) -> None:
    try:
        await order
    except StylestreamError as error:
        # A lease is somebody's wish, and may last: to try again does not help.
        if isinstance(error, TransientError) and not isinstance(error, LockedError):
            raise
        raise Problem(HTTPStatus.CONFLICT, str(error)) from error


async def send_result(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Send the painted video."""
    container, result = studio.settings.results_container, await _result_of(studio, request)
    download = "download" in request.query
    return await send_blob(request, studio.pieces, container, result, download=download)


async def _result_of(studio: Studio, request: web.Request) -> str:
    """Return the name of a job's result; another job's may have its former name by now."""
    entry, before = await entry_of(studio, request), ""
    while (result := entry.status.result) is not None:
        facts = await studio.pieces.facts(studio.settings.results_container, result)
        if is_result_of(entry.job.id, facts):
            return result
        if result == before:
            raise not_found(f"{result} no longer exists in storage")
        before = result
        await studio.board.reread(entry.job.id)
        entry = await entry_of(studio, request)
    raise not_found(f"job {entry.job.id} is {entry.job.state} and has no result")


async def send_source(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Send the video as it was put in."""
    entry = await entry_of(studio, request)
    container = studio.settings.uploads_container
    return await send_blob(
        request, studio.pieces, container, entry.status.video_name, download=False
    )


async def send_thumbnail(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Send a small picture of what is painted."""
    entry = await entry_of(studio, request)
    picture = await studio.thumbnails.of(entry.status)
    if picture is None:
        raise not_found("nothing of the job is painted yet")
    return web.Response(
        body=picture,
        content_type="image/jpeg",
        headers={"Cache-Control": "private, max-age=604800, immutable"},
    )


_CONFLICT: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
_MISSING: Final = (HTTPStatus.NOT_FOUND,)
_RANGE: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
ONE_JOB: Final = "/api/jobs/{job:[0-9a-f]{24}}"

ENDPOINTS: Final = (
    Endpoint("GET", "/api/jobs", "List jobs, newest first", list_jobs, ListQuery, answer=Jobs),
    Endpoint(
        "GET",
        "/api/events",
        "Follow all jobs: events job (as JSON), gone (an id), ready and away",
        follow_jobs,
        answer=EVENTS,
    ),
    Endpoint("GET", ONE_JOB, "Show a job", show_job, answer=Job, refusals=_MISSING),
    Endpoint(
        "GET",
        f"{ONE_JOB}/events",
        "Follow a job until it has ended or is deleted, by the same events",
        follow_job,
        answer=EVENTS,
        refusals=_MISSING,
    ),
    Endpoint("POST", f"{ONE_JOB}/cancel", "End a job", cancel_job, answer=Job, refusals=_CONFLICT),
    Endpoint(
        "DELETE",
        ONE_JOB,
        "Delete an ended job, its upload and its result",
        delete_job,
        status=HTTPStatus.NO_CONTENT,
        refusals=_CONFLICT,
    ),
    Endpoint(
        "GET",
        f"{ONE_JOB}/result",
        "Get the painted video; ?download saves it under its name",
        send_result,
        answer="video/mp4",
        refusals=_RANGE,
    ),
    Endpoint(
        "GET",
        f"{ONE_JOB}/source",
        "Get the original video",
        send_source,
        answer="application/octet-stream",
        refusals=_RANGE,
    ),
    Endpoint(
        "GET",
        f"{ONE_JOB}/thumbnail.jpg",
        "Get a small picture of what is painted",
        send_thumbnail,
        answer="image/jpeg",
        refusals=_MISSING,
    ),
)

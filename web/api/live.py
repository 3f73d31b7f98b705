"""The painted picture while it is being painted, for players."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web
from pydantic import Field

from web.api.endpoint import Endpoint, answer_of, query_of
from web.api.jobs import ONE_JOB, entry_of
from web.live.playlist import CONTENT_TYPE, playlist
from web.models import Asked, LivePicture, Segment
from web.problems import not_found
from web.studio import Studio

_NOTHING: Final = "nothing of the job is painted yet, or it has ended a while ago: see its result"


class LiveQuery(Asked):
    """The query for segments that a player does not know yet."""

    first: int = Field(0, ge=0)
    """The number of the first listed segment."""


async def show_live(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Answer with what a player needs to know."""
    query = query_of(LiveQuery, request)
    entry = await entry_of(studio, request)
    job = entry.job
    index = await studio.segments.index(job.id, ended=job.ended)
    codec = await studio.segments.codec(job.id) if index.playable else None
    if codec is None:
        raise not_found(_NOTHING)
    if entry.first_seen():
        begun = datetime.fromisoformat(entry.status.started_at)
        studio.metrics.first_picture((datetime.now(UTC) - begun).total_seconds())
    segments = tuple(
        Segment(number=number, start_s=float(place.start_s), duration_s=float(place.duration_s))
        for number, place in enumerate(index.playable[query.first :], query.first)
    )
    return answer_of(LivePicture(codec=codec, segments=segments, ended=job.ended))


async def send_playlist(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Send the HLS playlist."""
    job = (await entry_of(studio, request)).job
    index = await studio.segments.index(job.id, ended=job.ended)
    if not index.playable:
        raise not_found(_NOTHING)
    return web.Response(text=playlist(index.playable, ended=job.ended), content_type=CONTENT_TYPE)


async def send_init(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Send the header of the job's fragments."""
    entry = await entry_of(studio, request)
    return _fragment(request, await studio.segments.init(entry.job.id))


async def send_fragment(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Send a segment as a fragment."""
    entry = await entry_of(studio, request)
    studio.metrics.segment()
    number = int(request.match_info["number"])
    return _fragment(request, await studio.segments.fragment(entry.job.id, number))


def _fragment(request: web.Request, data: bytes | None) -> web.Response:
    if data is None:
        raise not_found(_NOTHING)
    etag = hashlib.sha256(data).hexdigest()
    # Browsers ask whether it is still the same, because a segment may be painted again.
    headers = {"Cache-Control": "private, no-cache", "ETag": f'"{etag}"'}
    if any(known.value in (etag, "*") for known in request.if_none_match or ()):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=data, content_type="video/mp4", headers=headers)


_MISSING: Final = (HTTPStatus.NOT_FOUND,)

ENDPOINTS: Final = (
    Endpoint(
        "GET",
        f"{ONE_JOB}/live",
        "List the fragments that can be played, from ?first on",
        show_live,
        LiveQuery,
        answer=LivePicture,
        refusals=_MISSING,
    ),
    Endpoint(
        "GET",
        f"{ONE_JOB}/live.m3u8",
        "Get the playlist for HLS players",
        send_playlist,
        answer=CONTENT_TYPE,
        refusals=_MISSING,
    ),
    Endpoint(
        "GET",
        f"{ONE_JOB}/live/init.mp4",
        "Get the header of the fragments",
        send_init,
        answer="video/mp4",
        refusals=_MISSING,
    ),
    Endpoint(
        "GET",
        f"{ONE_JOB}/live/{{number:[0-9]{{1,8}}}}.m4s",
        "Get a fragment",
        send_fragment,
        answer="video/mp4",
        refusals=_MISSING,
    ),
)

"""Uploads: open one, send its blocks, complete it; and previews, before anything is sent."""

from __future__ import annotations

from fractions import Fraction
from http import HTTPStatus
from typing import Final

from aiohttp import web
from pydantic import Field

from shared.contracts.times import LONGEST_S
from web.access.guard import USER
from web.api.endpoint import BYTES, Endpoint, answer_of, body_of, query_of
from web.models import Asked, NewUpload, Received, Session, Style, Submitted, Upload
from web.studio import Studio
from web.uploads import BLOCK_BYTES, requested


class PreviewQuery(Asked):
    """How large a picture is, and how it is to be painted."""

    width: int
    height: int
    style: str = ""
    strength: str = ""
    preserve_color: str = ""
    brush: str = ""
    fade: str = ""
    at: float = Field(default=0.0, ge=0, le=LONGEST_S)
    """When the picture is shown, in seconds: styles over time depend on it."""


async def show_session(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Answer with who asks, and what this studio allows."""
    user = request[USER]
    styles = tuple(
        Style(
            name=style.name,
            title=style.card.title,
            painter=style.card.painter,
            year=style.card.year,
        )
        for style in studio.gallery.styles.values()
    )
    return answer_of(
        Session(
            user=user.name,
            operator=user.operator,
            sign_out=studio.guard.sign_out,
            default_style=studio.settings.default_style,
            max_upload_bytes=studio.settings.max_upload_mib << 20,
            block_bytes=BLOCK_BYTES,
            styles=styles,
        )
    )


async def paint_preview(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Answer a picture's pixels with the painted picture."""
    query = query_of(PreviewQuery, request)
    texts = query.model_dump(exclude={"width", "height", "at"})
    style = requested(texts, studio.settings.default_style, studio.gallery)
    pixels = await request.read()
    shown = style.at(Fraction(query.at))
    with studio.metrics.timed("preview"):
        picture = await studio.previews.paint(pixels, query.width, query.height, shown)
    return web.Response(body=picture, content_type="image/jpeg")


async def open_upload(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Open an upload."""
    new = await body_of(NewUpload, request)
    return answer_of(await studio.uploads.open(new, request[USER]), HTTPStatus.CREATED)


async def take_block(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Take one block of an upload."""
    data = await request.read()
    number = int(request.match_info["number"])
    await studio.uploads.take(request.match_info["upload"], number, data, request[USER])
    studio.metrics.uploaded(len(data))
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def show_received(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Answer with the blocks that are there."""
    return answer_of(await studio.uploads.received(request.match_info["upload"], request[USER]))


async def complete_upload(studio: Studio, request: web.Request) -> web.StreamResponse:
    """Make a video of an upload's blocks, which starts its job."""
    done = await studio.uploads.complete(request.match_info["upload"], request[USER])
    studio.board.expect(done.job)
    return answer_of(done, HTTPStatus.CREATED)


_REFUSED: Final = (HTTPStatus.BAD_REQUEST,)
_UPLOAD: Final = "/api/uploads/{upload:[A-Za-z0-9_=-]+}"
_OF_UPLOAD: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)

ENDPOINTS: Final = (
    Endpoint(
        "GET",
        "/api/session",
        "Show who asks, what this studio allows, and its styles",
        show_session,
        answer=Session,
    ),
    Endpoint(
        "POST",
        "/api/previews",
        "Paint a picture, given as width x height RGB bytes, row by row",
        paint_preview,
        PreviewQuery,
        body=BYTES,
        answer="image/jpeg",
        refusals=(*_REFUSED, HTTPStatus.TOO_MANY_REQUESTS),
    ),
    Endpoint(
        "POST",
        "/api/uploads",
        "Open an upload",
        open_upload,
        body=NewUpload,
        answer=Upload,
        status=HTTPStatus.CREATED,
        refusals=(*_REFUSED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    ),
    Endpoint(
        "PUT",
        f"{_UPLOAD}/{{number:[0-9]{{1,5}}}}",
        "Send a block; numbers begin with 0, and only the last block is shorter",
        take_block,
        body=BYTES,
        status=HTTPStatus.NO_CONTENT,
        refusals=_OF_UPLOAD,
    ),
    Endpoint(
        "GET",
        _UPLOAD,
        "List the blocks that are there, to go on after a break",
        show_received,
        answer=Received,
        refusals=_OF_UPLOAD,
    ),
    Endpoint(
        "POST",
        f"{_UPLOAD}/complete",
        "Complete an upload, which starts its job",
        complete_upload,
        answer=Submitted,
        status=HTTPStatus.CREATED,
        refusals=_OF_UPLOAD,
    ),
)

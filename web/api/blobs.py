"""Serves a blob over HTTP, whole or in ranges, so that players can seek (RFC 9110)."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from aiohttp import web

from shared.storage.descriptions import BlobFacts
from web.pieces import PIECE_BYTES, Pieces
from web.problems import Problem

_TYPES: Final = {
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "mov": "video/quicktime",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
}

_LAST_NONE: Final = re.compile(r"bytes=-0+", re.IGNORECASE)
"""Asks for the last 0 bytes, which aiohttp takes for all."""


async def send_blob(
    request: web.Request,
    pieces: Pieces,
    container: str,
    name: str,
    *,
    download: bool,
) -> web.StreamResponse:
    """Answer a request with a blob's bytes.

    ``download`` makes the browser save it under its own name.

    Raises:
        Problem: there is no such blob, or no such range of it.
        TransientError: storage cannot be reached.
    """
    facts = await pieces.facts(container, name)
    if facts is None:
        raise Problem(HTTPStatus.NOT_FOUND, f"{name} no longer exists in storage")
    file = name.rsplit("/", 1)[-1]
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{facts.etag}"',
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f"{'attachment' if download else 'inline'}; "
        f"filename*=UTF-8''{quote(file, safe='')}",
    }
    if _is_known(request, facts):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    wanted = _range(request, facts)
    if wanted is None:
        wanted, status = slice(0, facts.size), HTTPStatus.OK
    else:
        status = HTTPStatus.PARTIAL_CONTENT
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{facts.size}"
    answer = web.StreamResponse(status=status, headers=headers)
    answer.content_type = _TYPES.get(file.rpartition(".")[2].lower(), "application/octet-stream")
    answer.content_length = wanted.stop - wanted.start
    if request.method == "HEAD":
        return answer
    async with aclosing(_parts(pieces, container, name, facts, wanted)) as parts:
        # Before the answer begins, so that a failure can still be answered with a sentence.
        first = await anext(parts, b"")
        await answer.prepare(request)
        await answer.write(first)
        async for part in parts:
            await answer.write(part)
    await answer.write_eof()
    return answer


async def _parts(
    pieces: Pieces, container: str, name: str, facts: BlobFacts, wanted: slice
) -> AsyncGenerator[bytes, None]:
    """Yield a range piece by piece, fetching the next one while one is sent."""

    def fetch(number: int) -> asyncio.Task[bytes]:
        return asyncio.create_task(pieces.piece(container, name, facts, number))

    begin, end = wanted.start // PIECE_BYTES, math.ceil(wanted.stop / PIECE_BYTES)
    if begin == end:
        return
    pending = fetch(begin)
    try:
        for number in range(begin, end):
            piece = await pending
            if number + 1 < end:
                pending = fetch(number + 1)
            at = number * PIECE_BYTES
            yield piece[max(0, wanted.start - at) : wanted.stop - at]
    finally:
        pending.cancel()


def _is_known(request: web.Request, facts: BlobFacts) -> bool:
    """Return whether the client has the blob's bytes already."""
    return any(known.value in (facts.etag, "*") for known in request.if_none_match or ())


def _range(request: web.Request, facts: BlobFacts) -> slice | None:
    """Return the requested range of bytes; None for all."""
    if request.headers.get("If-Range", f'"{facts.etag}"') != f'"{facts.etag}"':
        return None
    try:
        asked = request.http_range
    except ValueError:
        return None
    if asked.start is None and asked.stop is None:
        return None
    begin, end, _ = asked.indices(facts.size)
    if begin >= end or _LAST_NONE.fullmatch(request.headers["Range"]):
        raise Problem(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            f"the video has {facts.size} bytes",
            {"Content-Range": f"bytes */{facts.size}"},
        )
    return slice(begin, end)

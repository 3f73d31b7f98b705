"""The part of HTTP/1.1 that a proxy between the storage SDK and Azurite needs: heads and bodies.

Source: RFC 9112, sections 2 (messages), 6 (bodies) and 7.1 (chunked coding).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

_PIECE: Final = 64 * 1024
_HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Head:
    """The start line and the headers of a request or an answer; header names in lower case."""

    line: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def method(self) -> str:
        """The method, of a request."""
        return self.line.split(" ", 1)[0]

    @property
    def target(self) -> str:
        """Path and query, of a request."""
        return self.line.split(" ")[1]

    @property
    def status(self) -> int:
        """The status code, of an answer."""
        return int(self.line.split(" ")[1])

    @property
    def closes(self) -> bool:
        """Whether the connection ends with this message."""
        return self.headers.get("connection", "").lower() == "close"


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """Read a message's head; None if the connection ends before its end."""
    try:
        raw = await reader.readuntil(_HEAD_END)
    except asyncio.IncompleteReadError:
        return None
    line, *fields = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (field.partition(":") for field in fields)
    return Head(line, {name.strip().lower(): value.strip() for name, _, value in pairs}, raw)


async def read_body(
    reader: asyncio.StreamReader, head: Head, *, bodiless: bool = False
) -> AsyncIterator[tuple[bytes, bytes]]:
    """Yield a message's body in pieces: the bytes on the wire, and the content in them.

    ``bodiless`` is for answers that have no body, whatever their headers say.

    Raises:
        asyncio.IncompleteReadError: the connection ended in the middle.
    """
    if bodiless:
        return
    if head.headers.get("transfer-encoding", "").lower() == "chunked":
        async for both in _read_chunked(reader):
            yield both
        return
    left = int(head.headers.get("content-length", "0"))
    while left:
        piece = await reader.read(min(left, _PIECE))
        if not piece:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(piece)
        yield piece, piece


async def _read_chunked(reader: asyncio.StreamReader) -> AsyncIterator[tuple[bytes, bytes]]:
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        chunk = await reader.readexactly(size + 2)
        yield line + chunk, chunk[:-2]
        if size == 0:
            # The SDK and Azurite send no trailers, so the body ends with the empty chunk.
            return

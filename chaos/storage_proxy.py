"""The proxy before Azurite: records every request, and can refuse them or lose their answers."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from chaos.history import BlobCall, Operation
from chaos.http1 import Head, read_body, read_head
from chaos.relay import BROKEN, Line, Relay, Target

KEPT_BYTES: Final = 256 * 1024
"""The largest bodies that are kept: records, manifests and dead letters, but not frames."""

_METADATA: Final = "x-ms-meta-"
_KEPT_CONTAINERS: Final = frozenset({"jobs", "dead-letters"})
_MANIFEST: Final = "/manifest.json"
_DELETED: Final = re.compile(rb"^DELETE (\S+) HTTP/1\.1\r$", re.MULTILINE)
REFUSALS: Final = {
    "503": "ServerBusy",
    "429": "TooManyRequests",
    "401": "InvalidAuthenticationInfo",
    "403": "AuthorizationFailure",
    "404": "ContainerNotFound",
    "409": "ContainerBeingDeleted",
    "412": "ConditionNotMet",
}
"""Statuses of temporary refusals, with storage's error codes for them."""

CallHook = Callable[[BlobCall], Awaitable[None]]


class StorageProxy(Relay):
    """Passes requests on one by one and records each, with storage's answer, through ``note``.

    What counts is what storage did, not what the service learnt of it: if a connection is cut after
    a request has passed, its answer is still awaited and recorded, and a request that the proxy
    itself refuses is not recorded.
    """

    def __init__(self, target: Target, note: Callable[[BlobCall], None]) -> None:
        super().__init__(target)
        self._note = note
        self.refusing: str | None = None
        """The status with which all requests that allow it are refused; see `REFUSALS`."""
        self.away: frozenset[str] = frozenset()
        """The containers of an account that cannot be reached, while another can."""
        self.losing_answers = False
        """Whether connections break after a write is done and before its answer arrives."""
        self.call_hooks: list[CallHook] = []
        """Each is awaited after storage's answer and before the client gets it."""

    async def serve(
        self, line: Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Serve one client's requests until the connection ends."""
        while (request := await read_head(reader)) is not None:
            began = time.time()
            await line.clear()
            if _place(request)[0] in self.away:
                return
            if self.refusing is not None and _can_refuse(self.refusing, request):
                await _refuse(self.refusing, request, reader, writer)
                continue
            if not await self._pass_on(line, request, began, reader, writer):
                return

    async def _pass_on(
        self,
        line: Line,
        request: Head,
        began: float,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Serve one request; return whether the connection goes on."""
        upstream, downstream = await self.connect()
        container, name, _ = _place(request)
        kept = container in _KEPT_CONTAINERS or name.endswith(_MANIFEST) or _is_batch(request)
        sent = _Sent(keep=kept)
        try:
            downstream.write(request.raw)
            async for wire, content in read_body(reader, request):
                sent.add(content)
                downstream.write(wire)
                await downstream.drain()
            answer = await self._answer(upstream, request, began, sent, line)
            if answer is None:
                return False
            call = _call(request, began, answer.status, sent, line.client)
            for call_hook in list(self.call_hooks):
                await call_hook(call)
            await line.clear()
            if self.losing_answers and request.method != "GET":
                return False
            writer.write(answer.raw)
            async for wire, _ in read_body(upstream, answer, bodiless=_bodiless(request, answer)):
                writer.write(wire)
                await writer.drain()
            return not answer.closes
        finally:
            downstream.transport.abort()

    async def _answer(
        self, upstream: asyncio.StreamReader, request: Head, began: float, sent: _Sent, line: Line
    ) -> Head | None:
        try:
            answer = await read_head(upstream)
        except BROKEN:
            answer = None
        status = 0 if answer is None else answer.status
        call = _call(request, began, status, sent, line.client)
        for each in (call, *_batched(request, call)):
            self._note(each)
        return answer


class _Sent:
    """The body of a request as it passes by."""

    def __init__(self, *, keep: bool) -> None:
        self._digest = hashlib.sha256()
        self._kept: bytearray | None = bytearray() if keep else None

    def add(self, content: bytes) -> None:
        self._digest.update(content)
        if self._kept is not None:
            self._kept += content
            if len(self._kept) > KEPT_BYTES:
                self._kept = None

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    @property
    def body(self) -> bytes | None:
        return None if self._kept is None else bytes(self._kept)


def _can_refuse(status: str, request: Head) -> bool:
    """Return whether storage may answer a request like this: 412 needs a condition."""
    return status != "412" or "if-match" in request.headers


async def _refuse(
    status: str, request: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async for _ in read_body(reader, request):
        pass
    code = REFUSALS[status]
    writer.write(
        f"HTTP/1.1 {status} {code}\r\nx-ms-error-code: {code}\r\nContent-Length: 0\r\n\r\n".encode()
    )
    await writer.drain()


def _bodiless(request: Head, answer: Head) -> bool:
    return request.method == "HEAD" or answer.status in (
        HTTPStatus.NO_CONTENT,
        HTTPStatus.NOT_MODIFIED,
    )


def _call(request: Head, began: float, status: int, sent: _Sent, client: int) -> BlobCall:
    container, name, operation = _place(request)
    return BlobCall(
        began=began,
        answered=time.time() if status else None,
        operation=operation,
        container=container,
        name=name,
        status=status,
        unless_exists=request.headers.get("if-none-match") == "*",
        if_version="if-match" in request.headers,
        sha256=sent.sha256,
        metadata=_sent_metadata(request.headers),
        body=sent.body,
        client=client,
    )


def _is_batch(request: Head) -> bool:
    return request.method == "POST" and "comp=batch" in urlsplit(request.target).query.split("&")


def _batched(request: Head, batch: BlobCall) -> Iterator[BlobCall]:
    """Yield a call for each blob that a batch deletes."""
    for path in _DELETED.findall(batch.body or b"") if _is_batch(request) else ():
        _, _, container, name = urlsplit(path.decode()).path.split("/", 3)
        yield replace(batch, operation="delete", container=container, name=unquote(name), body=None)


def _sent_metadata(headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(_METADATA): value
        for name, value in headers.items()
        if name.startswith(_METADATA)
    }


def _place(request: Head) -> tuple[str, str, Operation]:
    """Return the container, the blob's name and the operation of a request."""
    url = urlsplit(request.target)
    query = parse_qs(url.query)
    # Path-style addresses: /account/container/name
    _, _, container, *rest = [*url.path.split("/", 3), ""][:4]
    name = unquote("/".join(rest)) if rest else ""
    return container, name, _operation(request, query, name)


def _operation(request: Head, query: Mapping[str, list[str]], name: str) -> Operation:
    part = query.get("comp", [""])[0]
    if not name:
        return "list" if part == "list" else "other"
    plain: dict[tuple[str, str], Operation] = {
        ("GET", ""): "read",
        ("HEAD", ""): "facts",
        ("GET", "metadata"): "facts",
        ("PUT", ""): "write",
        ("PUT", "blocklist"): "write",
        ("PUT", "metadata"): "metadata",
        ("DELETE", ""): "delete",
    }
    return plain.get((request.method, part), "other")

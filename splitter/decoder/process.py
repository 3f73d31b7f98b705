"""Run the split of one upload in a sandboxed child process, and supervise it.

The child requests the parts of the upload that it needs, so a file of any size is streamed and its
index is found wherever it is. Its results come through a pipe: a busy consumer blocks the child,
which bounds memory. Every failure of the child, be it a crash, a limit, a stall or a broken
protocol, arrives as a `SourceRefused` with a code of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Final

import structlog

from shared.contracts.errors import SourceRefused
from shared.forks.endings import signal_name
from splitter.decoder.bounds import Bounds
from splitter.decoder.forks import Fork, ForkServer
from splitter.decoder.wire import (
    DECODE,
    LENGTH,
    MESSAGE,
    RANGE,
    GarbageError,
    Job,
    Refusal,
    decode_message,
    encode_job,
)
from splitter.media.split import SplitEnd, SplitEvent

ReadRange = Callable[[int, int], Awaitable[bytes]]
"""Read ``length`` bytes of the upload from ``offset``: ``await read_range(offset, length)``."""

log = structlog.get_logger()

_REMEDY: Final = "convert the video to H.264, for example, and upload that"
_STDERR_BYTES = 4096
_PR_SET_DUMPABLE = 4


class DecoderKilled(SourceRefused):
    """The child was killed from outside, most likely because other processes used up memory."""


def deny_inspection() -> None:
    """Have the kernel deny other processes of our user access to our environment and memory.

    A compromised decoder runs under the same user, and would find the keys there. The fork server
    loses this protection by its exec. It does not hold against processes of root.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


async def split_in_child(
    server: ForkServer,
    read_range: ReadRange,
    job: Job,
    *,
    frame_deadline_s: float = 60.0,
) -> AsyncGenerator[SplitEvent, None]:
    """Yield what `splitter.media.split.split` yields for the upload of a job.

    The child is killed when the generator is closed or cancelled, and when it neither reports nor
    reads for ``frame_deadline_s`` although nothing keeps it waiting. The job's ``side_path`` exists
    afterwards only if the end was reached and says so.

    Errors that ``read_range`` raises pass through.

    Raises:
        SourceRefused: as from `splitter.media.split.split`, or because of the child, with the code
            ``DECODER_CRASHED``, ``DECODER_STALLED``, ``DECODER_OUT_OF_MEMORY``,
            ``DECODER_OUT_OF_TIME``, ``DECODER_FAILED`` or ``NO_SPACE``; a `DecoderKilled` if the
            video may not be the cause.
    """
    has_side = False
    child = await _Child.start(server, job, read_range)
    try:
        while True:
            event = await child.next_event(frame_deadline_s)
            if isinstance(event, Refusal):
                raise SourceRefused(event.code, event.message)
            if isinstance(event, SplitEnd):
                has_side = event.has_side
                yield event
                return
            yield event
    finally:
        await child.stop()
        if not has_side:
            await asyncio.to_thread(job.side_path.unlink, missing_ok=True)


class _Child:
    """The decoder, the task that feeds it, and the tail of what it prints."""

    def __init__(
        self,
        fork: Fork,
        feeder: asyncio.Task[None],
        stderr: asyncio.Task[bytes],
        bounds: Bounds,
        progress: _Progress,
    ) -> None:
        self._fork = fork
        self._feeder = feeder
        self._stderr = stderr
        self._bounds = bounds
        self._progress = progress

    @classmethod
    async def start(cls, server: ForkServer, job: Job, read_range: ReadRange) -> _Child:
        fork = await server.fork(DECODE)
        progress, bounds = _Progress(), Bounds(job)
        feeder = asyncio.create_task(_feed(fork.connection, job, read_range, bounds, progress))
        return cls(fork, feeder, asyncio.create_task(_tail(fork.errors)), bounds, progress)

    async def next_event(self, deadline_s: float) -> SplitEvent | Refusal:
        """Wait for the child's next message while it makes progress."""
        self._progress.note()
        message = asyncio.create_task(self._read_message())
        try:
            while not message.done():
                left_s = self._progress.left_s(deadline_s)
                if left_s <= 0:
                    raise SourceRefused(
                        "DECODER_STALLED",
                        f"The decoder made no progress for {deadline_s:.0f} s and was ended: "
                        f"{_REMEDY}.",
                    )
                waited = {message} if self._feeder.done() else {message, self._feeder}
                await asyncio.wait(waited, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                if self._feeder.done():
                    # If storage fails, the child ends as well: storage's error is the cause.
                    self._feeder.result()
            return message.result()
        except GarbageError as error:
            raise SourceRefused(
                "DECODER_CRASHED", f"The decoder broke its protocol: {error}."
            ) from error
        finally:
            message.cancel()
            await asyncio.gather(message, return_exceptions=True)

    async def stop(self) -> None:
        """Kill the child if it still runs, and clean up after it."""
        self._feeder.cancel()
        self._stderr.cancel()
        await self._fork.stop()
        await asyncio.gather(self._feeder, self._stderr, return_exceptions=True)

    async def _read_message(self) -> SplitEvent | Refusal:
        stream = self._fork.output
        try:
            header_size, payload_size = MESSAGE.unpack(await stream.readexactly(MESSAGE.size))
            self._bounds.check_sizes(header_size, payload_size)
            header = await stream.readexactly(header_size)
            event = decode_message(header, await stream.readexactly(payload_size))
            self._bounds.check_event(event)
        except asyncio.IncompleteReadError:
            raise await self._why_it_ended() from None
        return event

    async def _why_it_ended(self) -> SourceRefused:
        code = await self._fork.wait()
        if code is None:
            return DecoderKilled(
                "DECODER_FAILED",
                "The splitter's machine had no memory or no processes left for a decoder: give it "
                "more, and upload the video again.",
            )
        if code == -signal.SIGKILL:
            return DecoderKilled(
                "DECODER_OUT_OF_MEMORY",
                f"The decoder was killed, most likely for using too much memory: {_REMEDY}.",
            )
        if code == -signal.SIGXCPU:
            return SourceRefused(
                "DECODER_OUT_OF_TIME",
                f"Decoding takes more processor time than allowed: {_REMEDY}.",
            )
        cause = signal_name(-code) if code < 0 else f"exit code {code}"
        said = (await self._stderr).decode(errors="replace").strip()
        log.error("decoder crashed", cause=cause, stderr=said)
        return SourceRefused("DECODER_CRASHED", f"The decoder crashed ({cause}): {_REMEDY}.")


class _Progress:
    """When the child last made progress, not counting the time it waited for us."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._waits = False

    def note(self) -> None:
        self._last = time.monotonic()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Stop the clock while the child waits for a part of the upload."""
        self._waits = True
        try:
            yield
        finally:
            self._waits = False
            self.note()

    def left_s(self, deadline_s: float) -> float:
        if self._waits:
            return deadline_s
        return self._last + deadline_s - time.monotonic()


async def _feed(
    connection: socket.socket,
    job: Job,
    read_range: ReadRange,
    bounds: Bounds,
    progress: _Progress,
) -> None:
    """Send the child its job, then every part of the upload that it requests."""
    reader, writer = await asyncio.open_connection(sock=connection)
    # When the connection ends, the child has read all it needs or is gone; its exit tells which.
    gone = contextlib.suppress(asyncio.IncompleteReadError, ConnectionError)
    try:
        writer.write(encode_job(job))
        while True:
            asked = b""
            with gone:
                asked = await reader.readexactly(RANGE.size)
            if not asked:
                return
            offset, length = RANGE.unpack(asked)
            bounds.check_range(offset, length)
            with progress.waiting():
                data = await read_range(offset, length)
            with gone:
                writer.write(LENGTH.pack(len(data)))
                writer.write(data)
                await writer.drain()
    finally:
        writer.close()


async def _tail(stream: asyncio.StreamReader) -> bytes:
    """Read a stream to its end and return the last `_STDERR_BYTES` of it."""
    tail = b""
    while data := await stream.read(_STDERR_BYTES):
        tail = (tail + data)[-_STDERR_BYTES:]
    return tail

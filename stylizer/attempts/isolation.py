"""Paints a suspect chunk in a child process, where a crash or a hang affects nothing else.

A chunk whose first attempt raised or killed its worker is tried again here: a crash or a hang then
costs the attempt instead of the worker, and the other chunks carry on.

The child says when it is ready and has the chunk. What ends it earlier cannot be the chunk's fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, Self

from shared.contracts.errors import PermanentError, StylestreamError
from shared.contracts.layout import chunk_blob
from shared.contracts.messages import ChunkReady
from shared.forks.endings import signal_name
from shared.service.settings import ServiceSettings

Work = Literal["paint", "pass_through"]
READY: Final = b"ready\n"
BEGIN: Final = b"begin\n"

_COMMAND: Final = (sys.executable, "-P", "-m", "stylizer.attempts.isolated_child")
_ROOT: Final = Path(__file__).resolve().parents[2]
_START_S: Final = 120.0
_STDERR_TAIL: Final = 300


class AttemptFailed(StylestreamError):
    """An attempt that failed for a reason that another attempt may not meet.

    The message is for users; ``detail`` is for the log, in the words of the library that failed.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail or message


class NotStarted(StylestreamError):
    """A child that ended, or could not be started, before it had its chunk; for the log."""


class IsolatedPainter:
    """A child process that is ready and has its chunk; it lives as long as its context."""

    def __init__(self, child: Process) -> None:
        self._child = child
        assert child.stderr is not None
        # Read from the beginning: a full pipe that is not read would hold the child up.
        self._stderr = asyncio.create_task(child.stderr.read())

    @classmethod
    async def start(
        cls,
        work: Work,
        event: ChunkReady,
        mezzanine: bytes,
        styles: str = "",
        chosen: Mapping[str, str] = MappingProxyType({}),
    ) -> Self:
        """Start a child and hand it the chunk.

        The child gets this process's environment, without the settings that give access to hubs and
        storage, and with those that this process has ``chosen``. ``styles`` is the version of the
        event's style that this process has: a child that finds another one on disk refuses to
        paint.

        Raises:
            NotStarted: it ended, could not be started, or took too long.
        """
        try:
            child = await asyncio.create_subprocess_exec(
                *_COMMAND,
                *(work, styles, str(len(mezzanine)), chunk_blob(event.job_id, event.chunk.index)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**_environment(), **chosen},
            )
        except OSError as error:
            raise NotStarted(f"{type(error).__name__}: {error}") from error
        painter = cls(child)
        try:
            await painter._hand_over(event.to_json() + b"\n" + mezzanine)
        except BaseException:
            await painter._end()
            raise
        return painter

    async def _hand_over(self, chunk: bytes) -> None:
        child = self._child
        assert child.stdout is not None
        try:
            async with asyncio.timeout(_START_S):
                await self._tell(chunk)
                if await child.stdout.readline() == READY:
                    return
                _, err = await self._ending()
        except TimeoutError as error:
            raise NotStarted(f"the process did not start within {_START_S:g} s") from error
        raise NotStarted(": ".join(["the process did not start", *_last_words(child, err)]))

    async def segment(self, deadline_s: float) -> bytes:
        """Return the segment that the child makes. It is killed at the deadline.

        Raises:
            PermanentError: what the child found wrong with the chunk or its style.
            AttemptFailed: the child crashed, hung, or raised something unforeseen.
        """
        try:
            async with asyncio.timeout(deadline_s):
                await self._tell(BEGIN)
                out, err = await self._ending()
        except TimeoutError as error:
            raise AttemptFailed(f"it was not painted within {deadline_s:g} s") from error
        if self._child.returncode == 0:
            return _segment(out)
        cause, *tail = _last_words(self._child, err)
        sentence = f"the process that painted it ended with {cause}"
        raise AttemptFailed(sentence, ": ".join([sentence, *tail]))

    async def _tell(self, data: bytes) -> None:
        assert self._child.stdin is not None
        with contextlib.suppress(ConnectionError):  # from a child that has ended
            self._child.stdin.write(data)
            await self._child.stdin.drain()

    async def _ending(self) -> tuple[bytes, bytes]:
        """Return the rest of what the child writes to its output, and all of its errors."""
        assert self._child.stdout is not None
        out, err = await self._child.stdout.read(), await self._stderr
        await self._child.wait()
        return out, err

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    async def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()
        # Close the pipes before the wait, which ends only when they have: a full pipe that is not
        # read never ends.
        transport = self._child._transport  # type: ignore[attr-defined]  # noqa: SLF001
        transport.close()
        await self._child.wait()
        self._stderr.cancel()


def _segment(out: bytes) -> bytes:
    header, _, segment = out.partition(b"\n")
    answer = json.loads(header)
    if "code" not in answer:
        return segment
    raise PermanentError(answer["code"], answer["message"])


def _last_words(child: Process, err: bytes) -> list[str]:
    """Return how a child has ended, and the last line of what it wrote, if any."""
    code = child.returncode or 0
    cause = signal_name(-code) if code < 0 else f"exit code {code}"
    tail = err.decode(errors="replace").strip().splitlines()[-1:]
    return [cause, *(line[-_STDERR_TAIL:] for line in tail)]


def _environment() -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH", "")]))
    withheld = {name.upper() for name in ServiceSettings.model_fields} - {"STYLES_DIR"}
    kept = {name: value for name, value in os.environ.items() if name not in withheld}
    return {**kept, "PYTHONPATH": path}

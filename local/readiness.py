"""How to tell that a child process is ready: by its output, its port or its address."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

PROBE_TIMEOUT_S = 2.0


class Readiness(Protocol):
    """How to tell that a child is ready; ``output`` is what it has written since its start."""

    async def reached(self, output: str) -> bool:
        """Look once, without waiting."""


@dataclass(frozen=True, slots=True)
class HttpReady:
    """Ready when ``url`` answers 200."""

    url: str

    async def reached(self, output: str) -> bool:
        """Ask once; a connection that is refused or slow counts as not ready."""
        del output
        # Loaded at the first look, when the child is already starting.
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=PROBE_TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self.url) as response,
            ):
                return response.status == HTTPStatus.OK
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False


@dataclass(frozen=True, slots=True)
class TcpReady:
    """Ready when ``port`` on loopback accepts a connection."""

    port: int

    async def reached(self, output: str) -> bool:
        """Connect once and hang up."""
        del output
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True


@dataclass(frozen=True, slots=True)
class LineReady:
    """Ready when a whole line of output begins with ``prefix``."""

    prefix: str

    async def reached(self, output: str) -> bool:
        """Look through the output."""
        return self.find(output) is not None

    def find(self, output: str) -> str | None:
        """Return what follows the prefix in the first line that has it; None without one."""
        for line in output.splitlines(keepends=True):
            if line.startswith(self.prefix) and line.endswith("\n"):
                return line[len(self.prefix) :].strip()
        return None

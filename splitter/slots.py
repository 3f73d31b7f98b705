"""Slots for decoders: as many as fit into memory, and never held by a split that only waits.

A split that waits for the stylizers keeps its slot while nobody else needs it. When another split
does, the one that has waited longest is called: it stops its decoder, and continues later from
where it was. So a short video is split at once, however many long ones wait.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from shared.hubs.workers import GivenBack


class Slots:
    """Lends ``count`` slots, first come, first served."""

    def __init__(self, count: int) -> None:
        self._count = self._free = count
        self._wanting: deque[asyncio.Future[None]] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._called = 0
        """Holders that were called and have not left yet."""
        self._alone = asyncio.Lock()
        self.leaving: Final = asyncio.Event()
        """Set when the service is shutting down."""

    @asynccontextmanager
    async def hold(self, *, alone: bool = False) -> AsyncIterator[None]:
        """Wait for a slot, or for all of them if ``alone``, and hold it.

        Raises:
            GivenBack: the service is shutting down.
        """
        held = 0
        async with self._alone if alone else contextlib.nullcontext():
            try:
                while held < (self._count if alone else 1):
                    await self._take(first=held > 0)
                    held += 1
                yield
            finally:
                for _ in range(held):
                    self._release()

    async def called(self) -> None:
        """Return when a holder with nothing to do should leave its slot to another."""
        if self.leaving.is_set():
            return
        if len(self._wanting) > self._called:
            self._called += 1
            return
        call = asyncio.get_running_loop().create_future()
        self._idle.append(call)
        try:
            await call
        except asyncio.CancelledError:
            if call in self._idle:
                self._idle.remove(call)
            elif not call.cancelled():
                # It was called just as it went back to work: the call passes to another holder.
                self._called = max(0, self._called - 1)
                self._call()
            raise

    def drain(self) -> None:
        """Stop lending slots, and call every idle holder."""
        self.leaving.set()
        for future in (*self._wanting, *self._idle):
            if not future.done():
                future.set_result(None)
        self._wanting.clear()
        self._idle.clear()

    async def _take(self, *, first: bool) -> None:
        if not self.leaving.is_set() and self._free and (first or not self._wanting):
            self._free -= 1
            return
        if not self.leaving.is_set():
            await self._wait(first=first)
        if self.leaving.is_set():
            raise GivenBack("the service is shutting down")

    async def _wait(self, *, first: bool) -> None:
        turn = asyncio.get_running_loop().create_future()
        (self._wanting.appendleft if first else self._wanting.append)(turn)
        self._call()
        try:
            await turn
        except asyncio.CancelledError:
            if turn in self._wanting:
                self._wanting.remove(turn)
            elif not turn.cancelled():
                self._release()
            raise

    def _call(self) -> None:
        """Call the holders idle for longest, while more slots are wanted than called."""
        while self._idle and len(self._wanting) > self._called:
            call = self._idle.popleft()
            if not call.done():  # otherwise its holder is just going back to work
                self._called += 1
                call.set_result(None)

    def _release(self) -> None:
        self._called = max(0, self._called - 1)
        while self._wanting:
            turn = self._wanting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

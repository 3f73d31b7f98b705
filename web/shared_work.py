"""Work that several people request at once is done once, and its result is kept for a while."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class InFlight(Generic[K, V]):
    """Work by key: requests while it is under way wait for it, and share its result or failure."""

    def __init__(self) -> None:
        self._tasks: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K, make: Callable[[], Coroutine[None, None, V]]) -> V:
        """Return what ``make`` makes, or what it is making already for the same ``key``."""
        if (task := self._tasks.get(key)) is None:
            task = self._tasks[key] = asyncio.create_task(make())
            task.add_done_callback(lambda _: self._tasks.pop(key))
        # Shielded: a request that is cancelled must not cancel the work for the others.
        return await asyncio.shield(task)


class SharedBytes(Generic[K]):
    """Bytes by key, made when first requested; a cache of a total size that drops the oldest use.

    Requests while a value is being made wait for it. A failure is raised to all that wait, and not
    kept.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[K, bytes] = OrderedDict()
        self._size = 0
        self._making = InFlight[K, bytes]()

    async def get(self, key: K, make: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return the value of ``key``, made by ``make`` if it is not kept."""
        if (kept := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
            return kept
        return await self._making.get(key, lambda: self._make(key, make))

    async def _make(self, key: K, make: Callable[[], Awaitable[bytes]]) -> bytes:
        made = await make()
        self._kept[key] = made
        self._size += len(made)
        while self._size > self._most_bytes and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped)
        return made


class SharedAnswers(Generic[K, V]):
    """Answers by key that serve all requests within some seconds, including failures."""

    def __init__(self, fresh_s: float) -> None:
        self._fresh_s = fresh_s
        self._asked: dict[K, tuple[float, asyncio.Task[V]]] = {}

    async def get(self, key: K, ask: Callable[[], Coroutine[None, None, V]]) -> V:
        """Return the answer of ``ask`` to the first of these requests."""
        now = time.monotonic()
        since = now - self._fresh_s
        self._asked = {key: asked for key, asked in self._asked.items() if asked[0] > since}
        if key not in self._asked:
            self._asked[key] = (now, asyncio.create_task(ask()))
        return await asyncio.shield(self._asked[key][1])

"""Partitions being handed over to other consumers: no longer read, and released when finished."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from shared.hubs.delivery import OwnedPartition
from shared.hubs.sharing import BeginHandover, Release

_CLOSING_S: Final = 10.0


class Handovers:
    """Hands partitions over: their work in hand is finished, and their positions are written.

    A partition that is not finished within ``within_s`` goes nevertheless, and that work is done
    twice. Without ``within_s`` there are no handovers: newcomers take partitions as they are.
    """

    def __init__(
        self,
        owned: Mapping[str, OwnedPartition],
        flush: Callable[[OwnedPartition], Awaitable[None]],
    ) -> None:
        self.within_s: float | None = None
        self._owned = owned
        self._flush = flush
        self._under_way: dict[asyncio.Task[None], OwnedPartition] = {}

    @property
    def begin_handover(self) -> BeginHandover | None:
        """The function that chooses partitions for others; None if there are no handovers."""
        return None if self.within_s is None else self._begin

    async def end(self) -> None:
        """Release the partitions under way, finished or not."""
        for partition in self._under_way.values():
            partition.abandon()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_CLOSING_S)

    def _begin(self, count: int, release: Release) -> set[str]:
        """Take up no more events of ``count`` partitions, idle ones first; return their ids."""
        staying = [one for one in self._owned.values() if not one.leaving]
        leaving = sorted(staying, key=lambda one: one.in_hand)[:count]
        for partition in leaving:
            partition.leaving = True
            task = asyncio.create_task(self._hand_over(partition, release))
            self._under_way[task] = partition
            task.add_done_callback(self._under_way.pop)
        return {partition.context.partition_id for partition in leaving}

    async def _hand_over(self, partition: OwnedPartition, release: Release) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.within_s):
                await partition.finished()
        await self._flush(partition)
        await release(partition.context.partition_id)

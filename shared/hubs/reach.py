"""Tells events that still wait in a hub from those that no consumer will process any more.

An event has passed if the consumers' positions have passed it, or if the hub was recreated and no
longer goes that far. That is a proof, not a guess by the clock.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Self

from shared.hubs.positions import Positions
from shared.hubs.publisher import Publisher


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a hub's partitions go, and how far they have been processed.

    Sequence numbers, by the partition's index in the hub; -1 if there is none yet.
    """

    newest: tuple[int, ...]
    finished: tuple[int, ...]

    @classmethod
    async def look_up(cls, hub: Publisher, positions: Positions) -> Self:
        """Look up a hub, whose consumers' ``positions`` are given.

        Raises:
            TransientError: the hub or storage is unavailable.
        """
        partitions = await hub.partitions()
        # In this order, so that an event in between makes a partition look unfinished at worst.
        finished = await positions.reached()
        newest = await asyncio.gather(*map(hub.newest, partitions))
        return cls(tuple(newest), tuple(finished.get(id_, -1) for id_ in partitions))

    def has_passed(self, partition: int, number: int) -> bool:
        """Return whether all events of a partition up to this sequence number have passed.

        A partition that is no longer there went with an earlier hub.
        """
        if partition >= len(self.newest):
            return True
        return self.finished[partition] >= number or self.newest[partition] < number
